//! Polar Measurement Data, control point FB005C81: settings asked for, streams started and stopped.

use alloc::vec::Vec;

use super::fields::{Field, Fields};
use super::octets::{Builder, Octets};
use super::pmd::PmdType;
use super::{DecodeError, EncodeError};

const GET_SETTINGS: u8 = 1;
const START: u8 = 2;
const STOP: u8 = 3;
/// First octet of a read: what the device can stream.
const FEATURES: u8 = 0x0F;
/// First octet of an answer.
const RESPONSE: u8 = 0xF0;

/// One setting of a stream, with the values that are asked for or offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PmdSetting {
    /// Hertz.
    SampleRate(Vec<u16>),
    /// Bits.
    Resolution(Vec<u16>),
    /// Plus and minus: g for acceleration, degrees a second for rotation, gauss for a magnetic field.
    Range(Vec<u16>),
    /// Range in thousandths.
    RangeMilli(Vec<u32>),
    /// How many numbers a sample has.
    Channels(Vec<u8>),
    /// What one step of packed samples means: the bits of a 32-bit float.
    Factor(Vec<u32>),
}

impl PmdSetting {
    const fn code(&self) -> u8 {
        match self {
            Self::SampleRate(_) => 0,
            Self::Resolution(_) => 1,
            Self::Range(_) => 2,
            Self::RangeMilli(_) => 3,
            Self::Channels(_) => 4,
            Self::Factor(_) => 5,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::SampleRate(_) => "sample_rate",
            Self::Resolution(_) => "resolution",
            Self::Range(_) => "range",
            Self::RangeMilli(_) => "range_milli",
            Self::Channels(_) => "channels",
            Self::Factor(_) => "factor_bits",
        }
    }

    fn values(&self) -> Vec<i64> {
        match self {
            Self::SampleRate(values) | Self::Resolution(values) | Self::Range(values) => {
                values.iter().copied().map(i64::from).collect()
            }
            Self::RangeMilli(values) | Self::Factor(values) => {
                values.iter().copied().map(i64::from).collect()
            }
            Self::Channels(values) => values.iter().copied().map(i64::from).collect(),
        }
    }

    fn read(octets: &mut Octets<'_>) -> Result<Self, DecodeError> {
        let code = octets.u8("setting")?;
        let count = octets.u8("setting count")?;
        let words = |octets: &mut Octets<'_>| {
            let words = (0..count).map(|_| octets.u16("setting"));
            words.collect::<Result<Vec<u16>, _>>()
        };
        let longs = |octets: &mut Octets<'_>| {
            let longs = (0..count).map(|_| octets.u32("setting"));
            longs.collect::<Result<Vec<u32>, _>>()
        };
        Ok(match code {
            0 => Self::SampleRate(words(octets)?),
            1 => Self::Resolution(words(octets)?),
            2 => Self::Range(words(octets)?),
            3 => Self::RangeMilli(longs(octets)?),
            4 => Self::Channels(octets.take("setting", usize::from(count))?.to_vec()),
            5 => Self::Factor(longs(octets)?),
            _ => {
                return Err(DecodeError::BadValue {
                    field: "setting",
                    expected: "0 to 5",
                });
            }
        })
    }

    fn write(&self, builder: Builder) -> Result<Builder, EncodeError> {
        let values = match self {
            Self::SampleRate(values) | Self::Resolution(values) | Self::Range(values) => values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            Self::RangeMilli(values) | Self::Factor(values) => values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            Self::Channels(values) => values.clone(),
        };
        let count = u8::try_from(self.values().len()).map_err(|_| EncodeError {
            field: "setting",
            expected: "at most 255 values",
        })?;
        Ok(builder.u8(self.code()).u8(count).octets(&values))
    }
}

/// FB005C81, written, read or indicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PmdControl {
    /// Which settings does the stream have?
    GetSettings(PmdType),
    /// Start the stream with these settings.
    Start(PmdType, Vec<PmdSetting>),
    /// Stop the stream.
    Stop(PmdType),
    /// Read: which streams the device has, one bit for each [`PmdType`]; what follows is kept.
    Features(u8, Vec<u8>),
    /// The answer to a request.
    Response {
        /// Op code that is answered.
        request: u8,
        /// Of which stream.
        what: PmdType,
        /// 0 = done; 1 op code, 2 type not known, 3 not supported, 4 length, 5 parameter, 6 running already,
        /// 7 resolution, 8 rate, 9 range, 10 MTU too small (the first frame needs 232), 11 channels, 12 not in this
        /// state, 13 in its charger, 14 disk full.
        status: u8,
        /// More answers follow.
        more: bool,
        /// Settings, where they were asked for or chosen.
        settings: Vec<PmdSetting>,
    },
}

impl PmdControl {
    /// Starts a chest strap's ECG: 130 Hz, 14 bits, the only setting that it has.
    #[must_use]
    pub fn start_ecg() -> Self {
        let settings = [
            PmdSetting::SampleRate(Vec::from([130])),
            PmdSetting::Resolution(Vec::from([14])),
        ];
        Self::Start(PmdType::Ecg, settings.into())
    }

    /// Starts acceleration at `hertz`, 16 bits, within 8 g.
    #[must_use]
    pub fn start_acceleration(hertz: u16) -> Self {
        let settings = [
            PmdSetting::SampleRate(Vec::from([hertz])),
            PmdSetting::Resolution(Vec::from([16])),
            PmdSetting::Range(Vec::from([8])),
        ];
        Self::Start(PmdType::Acceleration, settings.into())
    }

    /// Starts pulse intervals, which have no settings.
    #[must_use]
    pub const fn start_intervals() -> Self {
        Self::Start(PmdType::PulseIntervals, Vec::new())
    }

    /// Starts the optical signal of an armband: 55 Hz, 22 bits, three channels and ambient light.
    #[must_use]
    pub fn start_light() -> Self {
        let settings = [
            PmdSetting::SampleRate(Vec::from([55])),
            PmdSetting::Resolution(Vec::from([22])),
            PmdSetting::Channels(Vec::from([4])),
        ];
        Self::Start(PmdType::Ppg, settings.into())
    }

    /// Starts a stream with what the device offers for it: the rate nearest to 50 Hz, the finest resolution, the range
    /// nearest to 8, the most channels.
    #[must_use]
    pub fn start_offered(what: PmdType, offered: &[PmdSetting]) -> Self {
        let nearest = |values: &[u16], to: u16| {
            let nearest = values.iter().min_by_key(|value| value.abs_diff(to));
            nearest.copied().into_iter().collect::<Vec<_>>()
        };
        let chosen = offered.iter().filter_map(|setting| {
            Some(match setting {
                PmdSetting::SampleRate(rates) => PmdSetting::SampleRate(nearest(rates, 50)),
                PmdSetting::Resolution(bits) => {
                    PmdSetting::Resolution(bits.iter().max().copied().into_iter().collect())
                }
                PmdSetting::Range(ranges) => PmdSetting::Range(nearest(ranges, 8)),
                PmdSetting::Channels(channels) => {
                    PmdSetting::Channels(channels.iter().max().copied().into_iter().collect())
                }
                // The device tells these, nobody asks for them.
                PmdSetting::RangeMilli(_) | PmdSetting::Factor(_) => return None,
            })
        });
        Self::Start(what, chosen.collect())
    }

    /// Why a stream does not run although it was asked for, in words for counters; `None` for anything else that a
    /// device says.
    #[must_use]
    pub const fn refusal(&self) -> Option<&'static str> {
        let status = match self {
            Self::Response {
                request: START | GET_SETTINGS,
                status,
                ..
            } => *status,
            // Said by the device, op code 1 means that it stopped a stream by itself.
            Self::GetSettings(_) => return Some("polar_stopped_by_itself"),
            Self::Start(..) | Self::Stop(_) | Self::Features(..) | Self::Response { .. } => {
                return None;
            }
        };
        Some(match status {
            0 => return None,
            2 => "polar_unknown_stream",
            3 => "polar_not_supported",
            6 => "polar_already_running",
            7 => "polar_resolution_refused",
            8 => "polar_rate_refused",
            9 => "polar_range_refused",
            10 => "polar_mtu_too_small",
            11 => "polar_channels_refused",
            12 => "polar_not_in_this_state",
            13 => "polar_in_its_charger",
            14 => "polar_disk_full",
            _ => "polar_bad_request",
        })
    }

    /// What to ask next after an answer: a device that refuses our settings is asked for its own, and started with
    /// them. `None` where nothing is left to ask.
    #[must_use]
    pub fn next_request(&self) -> Option<Self> {
        match self {
            Self::Response {
                request: START,
                what,
                status: 7..=9 | 11,
                ..
            } => Some(Self::GetSettings(*what)),
            Self::Response {
                request: GET_SETTINGS,
                what,
                status: 0,
                settings,
                ..
            } => Some(Self::start_offered(*what, settings)),
            Self::GetSettings(_)
            | Self::Start(..)
            | Self::Stop(_)
            | Self::Features(..)
            | Self::Response { .. } => None,
        }
    }

    /// From the octets of a write, read or indication.
    ///
    /// # Errors
    /// Short, or an op code or setting that Polar did not publish.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let op = octets.u8("op")?;
        let settings = |octets: &mut Octets<'_>| {
            let mut settings = Vec::new();
            while !octets.is_empty() {
                settings.push(PmdSetting::read(octets)?);
            }
            Ok(settings)
        };
        let decoded = match op {
            GET_SETTINGS => Self::GetSettings(PmdType::from_code(octets.u8("type")?)),
            START => {
                let what = PmdType::from_code(octets.u8("type")?);
                Self::Start(what, settings(&mut octets)?)
            }
            STOP => Self::Stop(PmdType::from_code(octets.u8("type")?)),
            FEATURES => Self::Features(octets.u8("features")?, octets.rest().to_vec()),
            RESPONSE => {
                let request = octets.u8("request")?;
                let what = PmdType::from_code(octets.u8("type")?);
                let status = octets.u8("status")?;
                // Some firmwares end a failure here.
                let more = !octets.is_empty() && octets.u8("more")? != 0;
                Self::Response {
                    request,
                    what,
                    status,
                    more,
                    settings: settings(&mut octets)?,
                }
            }
            _ => {
                return Err(DecodeError::BadValue {
                    field: "op",
                    expected: "1 (settings), 2 (start), 3 (stop), 15 (features) or 240 (response)",
                });
            }
        };
        octets.finish(false)?;
        Ok(decoded)
    }

    /// The octets of a write, read or indication.
    ///
    /// # Errors
    /// More than 255 values of one setting.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let write = |builder: Builder, settings: &[PmdSetting]| {
            settings
                .iter()
                .try_fold(builder, |builder, setting| setting.write(builder))
        };
        let start = |op: u8| Builder::default().u8(op);
        match self {
            Self::GetSettings(what) => start(GET_SETTINGS).u8(what.code()),
            Self::Start(what, settings) => write(start(START).u8(what.code()), settings)?,
            Self::Stop(what) => start(STOP).u8(what.code()),
            Self::Features(features, rest) => start(FEATURES).u8(*features).octets(rest),
            Self::Response {
                request,
                what,
                status,
                more,
                settings,
            } => {
                let head =
                    start(RESPONSE).octets(&[*request, what.code(), *status, u8::from(*more)]);
                write(head, settings)?
            }
        }
        .finish()
    }

    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        let none = Fields::default();
        match self {
            Self::GetSettings(what) => none.with("op", "get settings").with("type", what.name()),
            Self::Start(what, settings) => none
                .with("op", "start")
                .with("type", what.name())
                .and(settings_fields(settings)),
            Self::Stop(what) => none.with("op", "stop").with("type", what.name()),
            Self::Features(features, _) => none.with("op", "features").with("features", *features),
            Self::Response {
                request,
                what,
                status,
                more,
                settings,
            } => none
                .with("op", "response")
                .with("request", *request)
                .with("type", what.name())
                .with("status", *status)
                .with_some("more", more.then_some(true))
                .and(settings_fields(settings)),
        }
    }
}

/// One value as a number, several as a list.
fn settings_fields(settings: &[PmdSetting]) -> Fields {
    settings.iter().fold(Fields::default(), |fields, setting| {
        let values = setting.values();
        let field = match values.as_slice() {
            [one] => Field::Whole(*one),
            _ => Field::Wholes(values),
        };
        fields.with(setting.name(), field)
    })
}
