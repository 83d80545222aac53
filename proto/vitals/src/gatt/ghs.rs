//! Generic Health Sensor Service 1840: live 2B8B and stored 2BDD observations (GHSS 1.0), and the elapsed time
//! 2BF2 (ETS 1.0) that stamps them.
//!
//! One service for any sensor: an observation says by an MDC code what it is and in which unit. Numbers, several
//! numbers, sample arrays and bundles of them are read; other classes (codes, texts) are passed over by their
//! length and kept as "other". An observation that does not fit one notification comes in segments:
//! [`Segments`] joins them.

use alloc::vec::Vec;

use super::fields::{Field, Fields};
use super::float::Number;
use super::octets::{Builder, Octets};
use super::{DecodeError, EncodeError, MAX_JOINED, SampleArray};
use crate::{Span, Time};

const SIMPLE: u8 = 0x01;
/// A sample array.
pub const SAMPLES: u8 = 0x04;
const COMPOUND: u8 = 0x07;
const BUNDLE: u8 = 0xFF;

const TYPE: u16 = 1;
const TIME: u16 = 1 << 1;
const DURATION: u16 = 1 << 2;
const STATUS: u16 = 1 << 3;
const ID: u16 = 1 << 4;
const PATIENT: u16 = 1 << 5;
const SUPPLEMENT: u16 = 1 << 6;
const DERIVED: u16 = 1 << 7;
const MEMBERS: u16 = 1 << 8;
const TLVS: u16 = 1 << 9;

const FIRST: u8 = 1;
const LAST: u8 = 1 << 1;

/// 2000-01-01, seconds since 1970.
const EPOCH_2000: i64 = 946_684_800;

/// Nine octets of elapsed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElapsedTime {
    /// Bit 0: ticks since the device started, no time of day; bit 1: UTC; bits 2 and 3: unit (1 s, 100 ms,
    /// 1 ms, 100 us); bit 4: the offset below counts; bit 5: of the present time line.
    pub flags: u8,
    /// 48 bits, in that unit, since 2000-01-01 if it is a time of day.
    pub value: u64,
    /// Who set the clock (0 unknown, 1 network, 2 GPS, 3 radio, 4 by hand, 5 atomic, 6 cellular, 7 not).
    pub source: u8,
    /// Quarters of an hour that local time is ahead of UTC.
    pub offset: i8,
}

impl ElapsedTime {
    fn read(octets: &mut Octets<'_>) -> Result<Self, DecodeError> {
        let flags = octets.u8("time")?;
        let [a, b, c, d, e, f] = octets.array("time")?;
        Ok(Self {
            flags,
            value: u64::from_le_bytes([a, b, c, d, e, f, 0, 0]),
            source: octets.u8("time")?,
            offset: octets.u8("time")?.cast_signed(),
        })
    }

    fn write(self, builder: Builder) -> Result<Builder, EncodeError> {
        let [a, b, c, d, e, f, 0, 0] = self.value.to_le_bytes() else {
            return Err(EncodeError {
                field: "time",
                expected: "48 bits",
            });
        };
        Ok(builder
            .octets(&[self.flags, a, b, c, d, e, f, self.source])
            .u8(self.offset.cast_unsigned()))
    }

    /// From exactly nine octets.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let time = Self::read(&mut octets)?;
        octets.finish(false)?;
        Ok(time)
    }

    /// As nine octets.
    ///
    /// # Errors
    /// More than 48 bits.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        self.write(Builder::default())?.finish()
    }

    /// What one step of its value is.
    #[must_use]
    pub const fn unit(self) -> Span {
        Span::from_micros(match self.flags >> 2 & 3 {
            0 => 1_000_000,
            1 => 100_000,
            2 => 1_000,
            _ => 100,
        })
    }

    /// What it counted, since whatever it counts from.
    #[must_use]
    pub fn counted(self) -> Option<Span> {
        let value = i64::try_from(self.value).ok()?;
        let micros = value.checked_mul(self.unit().as_micros())?;
        Some(Span::from_micros(micros))
    }

    /// The moment, UTC; a clock that keeps local time without telling its offset is `ahead` of UTC. `None` for
    /// a counter of ticks, or one that nobody set.
    #[must_use]
    pub fn utc(self, ahead: Span) -> Option<Time> {
        const NOT_SET: u8 = 7;
        if self.flags & 1 != 0 || self.source == NOT_SET {
            return None;
        }
        let wall = Time::ZERO + Span::from_secs(EPOCH_2000) + self.counted()?;
        let ahead = match self.flags {
            flags if flags & 1 << 1 != 0 => Span::ZERO,
            flags if flags & 1 << 4 != 0 => {
                Span::from_mins(i64::from(self.offset).saturating_mul(15))
            }
            _ => ahead,
        };
        Some(wall - ahead)
    }
}

/// A number with what it is and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numeric {
    /// MDC code of what it is; 0 = the observation's own.
    pub code: u32,
    /// MDC code of the unit, within its partition.
    pub unit: u16,
    /// The number.
    pub value: Number,
}

/// What an observation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GhsValue {
    /// A number.
    Numeric(Numeric),
    /// Several numbers that belong together.
    Compound(Vec<Numeric>),
    /// A waveform.
    Samples(SampleArray),
    /// Observations that share what the bundle says about itself.
    Bundle(Vec<Observation>),
    /// Of a class that is not read, or sample arrays of another layout: its octets.
    Other(u8, Vec<u8>),
}

/// One observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// MDC code of what it is.
    pub code: Option<u32>,
    /// When.
    pub time: Option<ElapsedTime>,
    /// How long it was measured, seconds.
    pub duration: Option<Number>,
    /// Bit 0 invalid, 1 questionable, 2 not available, 3 calibrating, 4 test, 5 demonstration, 6 early estimate,
    /// 7 set by hand, 8 and 9 in alarm.
    pub status: Option<u16>,
    /// Number of the observation.
    pub id: Option<u32>,
    /// Which person, as the device numbers them.
    pub patient: Option<u8>,
    /// MDC codes that say more.
    pub supplement: Option<Vec<u32>>,
    /// Observations that it was made of.
    pub derived_from: Option<Vec<u32>>,
    /// Observations that belong to it.
    pub members: Option<Vec<u32>>,
    /// What it says.
    pub value: GhsValue,
}

/// A sample array with what is said about it.
#[derive(Clone, Copy, Debug)]
pub struct Arrayed<'a> {
    /// MDC code of what it is; 0 = not told.
    pub code: u32,
    /// `None` for a layout that is not known.
    pub samples: Option<&'a SampleArray>,
    /// When the first sample was taken.
    pub time: Option<ElapsedTime>,
    /// As in [`Observation`].
    pub status: u16,
}

/// Flags of later versions, and vendor values of unknown length: where they are, nobody knows what follows.
const UNREADABLE: u16 = !(TLVS.wrapping_sub(1));

impl Observation {
    /// From a whole observation, its segments joined.
    ///
    /// # Errors
    /// Short, trailing, a bundle in a bundle, or flags that announce fields of unknown length.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::joined(value)?;
        let one = Self::read(&mut octets, true)?;
        octets.finish(false)?;
        Ok(one)
    }

    fn read(octets: &mut Octets<'_>, outer: bool) -> Result<Self, DecodeError> {
        let class = octets.u8("class")?;
        let length = octets.u16("length")?;
        let mut body = Octets::joined(octets.take("observation", usize::from(length))?)?;
        let flags = body.u16("flags")?;
        let has = |bit: u16| flags & bit != 0;
        if has(UNREADABLE) {
            return Err(DecodeError::BadValue {
                field: "flags",
                expected: "without vendor attributes (bit 9) and reserved bits",
            });
        }
        let codes = |field| move |body: &mut Octets<'_>| read_codes(body, field);
        let one = Self {
            code: body.when(has(TYPE), |body| body.u32("code"))?,
            time: body.when(has(TIME), ElapsedTime::read)?,
            duration: body.when(has(DURATION), |body| body.float("duration"))?,
            status: body.when(has(STATUS), |body| body.u16("status"))?,
            id: body.when(has(ID), |body| body.u32("id"))?,
            patient: body.when(has(PATIENT), |body| body.u8("patient"))?,
            supplement: body.when(has(SUPPLEMENT), codes("supplement"))?,
            derived_from: body.when(has(DERIVED), codes("derived_from"))?,
            members: body.when(has(MEMBERS), codes("members"))?,
            value: match class {
                SIMPLE => GhsValue::Numeric(read_numeric(&mut body, 0)?),
                COMPOUND => read_compound(&mut body)?,
                SAMPLES => read_samples(&mut body)?,
                BUNDLE if outer => {
                    let count = body.u8("count")?;
                    let all = (0..count).map(|_| Self::read(&mut body, false));
                    GhsValue::Bundle(all.collect::<Result<_, _>>()?)
                }
                BUNDLE => {
                    return Err(DecodeError::BadValue {
                        field: "class",
                        expected: "no bundle inside a bundle",
                    });
                }
                class => GhsValue::Other(class, body.rest().to_vec()),
            },
        };
        body.finish(false)?;
        Ok(one)
    }

    /// The octets of the whole observation.
    ///
    /// # Errors
    /// A number that no FLOAT holds, or too much for one observation.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let present = [
            (self.code.is_some(), TYPE),
            (self.time.is_some(), TIME),
            (self.duration.is_some(), DURATION),
            (self.status.is_some(), STATUS),
            (self.id.is_some(), ID),
            (self.patient.is_some(), PATIENT),
            (self.supplement.is_some(), SUPPLEMENT),
            (self.derived_from.is_some(), DERIVED),
            (self.members.is_some(), MEMBERS),
        ];
        let flags = present
            .iter()
            .filter(|(set, _)| *set)
            .fold(0, |flags, (_, bit)| flags | bit);
        let head = Builder::default()
            .u16(flags)
            .when(self.code, |builder, code| Ok(builder.u32(code)))?
            .when(self.time, |builder, time| time.write(builder))?
            .when(self.duration, |builder, time| {
                builder.float(time, "duration")
            })?
            .when(self.status, |builder, status| Ok(builder.u16(status)))?
            .when(self.id, |builder, id| Ok(builder.u32(id)))?
            .when(self.patient, |builder, patient| Ok(builder.u8(patient)))?
            .when(self.supplement.as_deref(), write_codes)?
            .when(self.derived_from.as_deref(), write_codes)?
            .when(self.members.as_deref(), write_codes)?;
        let (class, body) = match &self.value {
            GhsValue::Numeric(one) => (SIMPLE, write_numeric(head, one)?),
            GhsValue::Compound(all) => {
                let head = head.u8(few(all.len())?);
                let write = |builder: Builder, one: &Numeric| {
                    write_numeric(builder.u32(one.code).u8(1), one)
                };
                (COMPOUND, all.iter().try_fold(head, write)?)
            }
            GhsValue::Samples(samples) => (SAMPLES, samples.write(head)?),
            GhsValue::Bundle(all) => {
                let head = head.u8(few(all.len())?);
                let write = |builder: Builder, one: &Self| Ok(builder.octets(&one.encode()?));
                (BUNDLE, all.iter().try_fold(head, write)?)
            }
            GhsValue::Other(class, octets) => (*class, head.octets(octets)),
        };
        let body = body.finish_joined()?;
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
        Builder::default()
            .u8(class)
            .u16(length)
            .octets(&body)
            .finish_joined()
    }

    /// The numbers of this observation, each with what it is, its stamp and its status; a bundle's own stamp
    /// and status count for those without.
    #[must_use]
    pub fn numbers(&self) -> Vec<(u32, Numeric, Option<ElapsedTime>, u16)> {
        let one = |numeric: &Numeric| {
            let code = match numeric.code {
                0 => self.code.unwrap_or_default(),
                code => code,
            };
            (code, *numeric, self.time, self.status.unwrap_or_default())
        };
        match &self.value {
            GhsValue::Numeric(numeric) => Vec::from([one(numeric)]),
            GhsValue::Compound(all) => all.iter().map(one).collect(),
            GhsValue::Bundle(all) => {
                let inner = all.iter().flat_map(Self::numbers);
                let outer = |(code, numeric, time, status): (_, _, Option<_>, u16)| {
                    let own = self.status.unwrap_or_default();
                    (code, numeric, time.or(self.time), status | own)
                };
                inner.map(outer).collect()
            }
            GhsValue::Samples(_) | GhsValue::Other(..) => Vec::new(),
        }
    }

    /// The sample arrays of this observation; a bundle's own stamp and status count for those without.
    #[must_use]
    pub fn arrays(&self) -> Vec<Arrayed<'_>> {
        let one = |samples| Arrayed {
            code: self.code.unwrap_or_default(),
            samples,
            time: self.time,
            status: self.status.unwrap_or_default(),
        };
        match &self.value {
            GhsValue::Samples(samples) => Vec::from([one(Some(samples))]),
            GhsValue::Other(SAMPLES, _) => Vec::from([one(None)]),
            GhsValue::Bundle(all) => {
                let mut inner: Vec<Arrayed<'_>> = all.iter().flat_map(Self::arrays).collect();
                for one in &mut inner {
                    one.time = one.time.or(self.time);
                    one.status |= self.status.unwrap_or_default();
                }
                inner
            }
            GhsValue::Numeric(_) | GhsValue::Compound(_) | GhsValue::Other(..) => Vec::new(),
        }
    }

    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        let number = |(code, numeric, ..): &(u32, Numeric, _, _)| {
            Fields::default()
                .with("code", *code)
                .with("unit_code", numeric.unit)
                .with("value", numeric.value)
        };
        let numbers = self.numbers().iter().map(number).collect();
        let array = |one: &SampleArray| {
            Fields::default()
                .with("unit_code", one.unit)
                .with("scale", one.scale)
                .with("offset", one.offset)
                .with("period_s", one.period)
                .with("at_once", one.at_once)
                .with(
                    "samples",
                    Field::Wholes(one.samples().map(i64::from).collect()),
                )
        };
        let arrays: Vec<Fields> = self
            .arrays()
            .iter()
            .filter_map(|one| Some(array(one.samples?).with("code", one.code)))
            .collect();
        let arrays = (!arrays.is_empty()).then_some(Field::Records(arrays));
        let stamp = self.time.and_then(|time| time.utc(Span::ZERO));
        Fields::default()
            .with_some("code", self.code)
            .with_some("time", stamp.and_then(super::DateTime::from_utc))
            .with_some("measurement_status", self.status)
            .with_some("id", self.id)
            .with_some("user", self.patient)
            .with("observations", Field::Records(numbers))
            .with_some("sample_arrays", arrays)
    }
}

fn few(count: usize) -> Result<u8, EncodeError> {
    u8::try_from(count).map_err(|_| EncodeError {
        field: "count",
        expected: "at most 255",
    })
}

fn read_codes(body: &mut Octets<'_>, field: &'static str) -> Result<Vec<u32>, DecodeError> {
    let count = body.u8(field)?;
    (0..count).map(|_| body.u32(field)).collect()
}

fn write_codes(builder: Builder, codes: &[u32]) -> Result<Builder, EncodeError> {
    let head = builder.u8(few(codes.len())?);
    Ok(codes.iter().fold(head, |builder, code| builder.u32(*code)))
}

fn read_numeric(body: &mut Octets<'_>, code: u32) -> Result<Numeric, DecodeError> {
    Ok(Numeric {
        code,
        unit: body.u16("unit")?,
        value: body.float("value")?,
    })
}

fn write_numeric(builder: Builder, one: &Numeric) -> Result<Builder, EncodeError> {
    builder.u16(one.unit).float(one.value, "value")
}

/// Several numbers; with anything but numbers among them it is of a class that is not read.
fn read_compound(body: &mut Octets<'_>) -> Result<GhsValue, DecodeError> {
    let whole = body.rest();
    let mut inner = Octets::joined(whole)?;
    let count = inner.u8("count")?;
    let mut all = Vec::new();
    for _ in 0..count {
        let code = inner.u32("code")?;
        if inner.u8("class")? != 1 {
            return Ok(GhsValue::Other(COMPOUND, whole.to_vec()));
        }
        all.push(read_numeric(&mut inner, code)?);
    }
    inner.finish(false)?;
    Ok(GhsValue::Compound(all))
}

fn read_samples(body: &mut Octets<'_>) -> Result<GhsValue, DecodeError> {
    let whole = body.rest();
    if SampleArray::fits(whole) {
        SampleArray::read(&mut Octets::joined(whole)?).map(GhsValue::Samples)
    } else {
        Ok(GhsValue::Other(SAMPLES, whole.to_vec()))
    }
}

/// 2B8B and 2BDD: one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Begins an observation.
    pub first: bool,
    /// Ends it.
    pub last: bool,
    /// Counts segments, 6 bits.
    pub counter: u8,
    /// Octets of the observation.
    pub octets: Vec<u8>,
}

impl Segment {
    /// From the octets of a notification.
    ///
    /// # Errors
    /// Nothing behind the head; alone, no observation.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let head = octets.u8("segment")?;
        if octets.is_empty() {
            return Err(DecodeError::Short {
                field: "observation",
                need: 1,
                got: 0,
            });
        }
        let segment = Self {
            first: head & FIRST != 0,
            last: head & LAST != 0,
            counter: head >> 2,
            octets: octets.rest().to_vec(),
        };
        if segment.first && segment.last {
            Observation::decode(&segment.octets)?;
        }
        Ok(segment)
    }

    /// The octets of a notification.
    ///
    /// # Errors
    /// A counter above 6 bits, or too many octets.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if self.counter > 63 {
            return Err(EncodeError {
                field: "counter",
                expected: "6 bits",
            });
        }
        let head = u8::from(self.first) | u8::from(self.last) << 1 | self.counter << 2;
        Builder::default().u8(head).octets(&self.octets).finish()
    }

    /// Its named fields: those of the observation, if it is a whole one.
    pub(super) fn fields(&self) -> Fields {
        let whole = (self.first && self.last).then(|| Observation::decode(&self.octets));
        match whole {
            Some(Ok(observation)) => observation.fields(),
            Some(Err(_)) | None => Fields::default()
                .with("first", self.first)
                .with("last", self.last)
                .with("counter", self.counter)
                .with(
                    "octets",
                    Field::Whole(i64::try_from(self.octets.len()).unwrap_or(0)),
                ),
        }
    }
}

/// Joins segments; holds at most one observation.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    held: Vec<u8>,
    next: Option<u8>,
}

impl Segments {
    /// Takes a segment; the observation when it is whole.
    ///
    /// # Errors
    /// A segment is missing before this one, or the observation does not decode. What was held is given up.
    pub fn take(&mut self, segment: &Segment) -> Result<Option<Observation>, DecodeError> {
        let missing = DecodeError::BadValue {
            field: "segment",
            expected: "the one after the last",
        };
        if segment.first {
            self.held.clear();
        } else if self.next != Some(segment.counter) {
            self.next = None;
            return Err(missing);
        }
        self.held.extend_from_slice(&segment.octets);
        self.next = Some(segment.counter.wrapping_add(1) & 63);
        if self.held.len() > MAX_JOINED {
            self.next = None;
            return Err(DecodeError::TooLong {
                octets: self.held.len(),
            });
        }
        if !segment.last {
            return Ok(None);
        }
        self.next = None;
        Observation::decode(&self.held).map(Some)
    }
}
