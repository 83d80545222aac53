//! Continuous Glucose Monitoring Service 181F, around the measurements: features 2AA8, status 2AA9, session
//! start 2AAA, run time 2AAB, specific operations 2AAC (CGMS 1.0.2).
//!
//! Records count minutes from the session's start: without 2AAA nobody knows when they were taken. A value
//! whose checksum does not fit is decoded and says so (`crc_ok`): whoever uses it drops and counts it.

use alloc::vec::Vec;

use super::cgm::crc;
use super::date_time::DateTime;
use super::fields::Fields;
use super::float::Number;
use super::octets::{Builder, Octets};
use super::{DecodeError, EncodeError, coded};
use crate::{Span, Time};

/// `value` without its checksum, and whether that fits; `whole` = length without one.
fn split_crc(value: &[u8], whole: usize) -> (&[u8], Option<bool>) {
    match value.split_last_chunk::<2>() {
        Some((covered, sent)) if covered.len() == whole => {
            (covered, Some(u16::from_le_bytes(*sent) == crc(covered)))
        }
        _ => (value, None),
    }
}

/// With a checksum if there is one to write; a wrong one for `Some(false)`, so that fault tests can send it.
fn with_crc(covered: Vec<u8>, crc_ok: Option<bool>) -> Result<Vec<u8>, EncodeError> {
    let fits = crc(&covered);
    let sent = crc_ok.map(|ok| if ok { fits } else { !fits });
    Builder::default()
        .octets(&covered)
        .when(sent, |builder, crc| Ok(builder.u16(crc)))?
        .finish()
}

/// 2AA8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgmFeatures {
    /// 24 bits; bit 12: values carry a checksum, bit 15: trend, bit 16: quality.
    pub supported: u32,
    /// Kind of fluid, 4 bits (9 = interstitial fluid).
    pub fluid: u8,
    /// Where the sensor sits, 4 bits (5 = subcutaneous tissue).
    pub location: u8,
    /// Whether the checksum fits; `None` = not in use (the device sends FFFF).
    pub crc_ok: Option<bool>,
}

impl CgmFeatures {
    const UNUSED: u16 = 0xFFFF;

    /// From the octets of a read.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let supported = octets.u24("features")?;
        let both = octets.u8("type")?;
        let sent = octets.u16("crc")?;
        octets.finish(false)?;
        let (_, fits) = split_crc(value, 4);
        Ok(Self {
            supported,
            fluid: both & 0x0F,
            location: both >> 4,
            crc_ok: fits.filter(|_| sent != Self::UNUSED),
        })
    }

    /// The octets of a read.
    ///
    /// # Errors
    /// Features above 24 bits, fluid or location above 4.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if self.fluid > 15 || self.location > 15 {
            return Err(EncodeError {
                field: "type",
                expected: "two numbers of 4 bits",
            });
        }
        let covered = Builder::default()
            .u24(self.supported, "features")?
            .u8(self.location << 4 | self.fluid)
            .finish()?;
        let fits = crc(&covered);
        let sent = match self.crc_ok {
            None => Self::UNUSED,
            Some(true) => fits,
            // Neither right nor "not in use".
            Some(false) if !fits == Self::UNUSED => 1,
            Some(false) => !fits,
        };
        Builder::default().octets(&covered).u16(sent).finish()
    }
}

/// 2AA9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgmStatus {
    /// Minutes since the session's start.
    pub time_offset_min: u16,
    /// Status octet (bit 0: session stopped, 1: battery low, 2: sensor of a wrong type, 3: sensor broken).
    pub status: u8,
    /// Calibration and temperature octet.
    pub caltemp: u8,
    /// Warning octet.
    pub warning: u8,
    /// Whether the checksum fits; `None` = it has none.
    pub crc_ok: Option<bool>,
}

impl CgmStatus {
    /// From the octets of a read.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let (covered, crc_ok) = split_crc(value, 5);
        let mut octets = Octets::new(covered)?;
        let decoded = Self {
            time_offset_min: octets.u16("time_offset_min")?,
            status: octets.u8("status_octet")?,
            caltemp: octets.u8("caltemp_octet")?,
            warning: octets.u8("warning_octet")?,
            crc_ok,
        };
        octets.finish(false)?;
        Ok(decoded)
    }

    /// The octets of a read.
    ///
    /// # Errors
    /// None today.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let covered = Builder::default()
            .u16(self.time_offset_min)
            .octets(&[self.status, self.caltemp, self.warning])
            .finish()?;
        with_crc(covered, self.crc_ok)
    }
}

/// 2AAA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgmSessionStart {
    /// The device's local time when the session began.
    pub time: DateTime,
    /// Quarters of an hour from UTC; -128 = unknown.
    pub time_zone: i8,
    /// Quarters of an hour of daylight saving (0, 2, 4, 8); 255 = unknown.
    pub dst: u8,
    /// Whether the checksum fits; `None` = it has none.
    pub crc_ok: Option<bool>,
}

impl CgmSessionStart {
    /// From the octets of a read or write.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let (covered, crc_ok) = split_crc(value, 9);
        let mut octets = Octets::new(covered)?;
        let decoded = Self {
            time: DateTime::read(&mut octets)?,
            time_zone: octets.u8("time_zone")?.cast_signed(),
            dst: octets.u8("dst")?,
            crc_ok,
        };
        octets.finish(false)?;
        Ok(decoded)
    }

    /// The octets of a read or write.
    ///
    /// # Errors
    /// None today.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let covered = self
            .time
            .write(Builder::default())
            .u8(self.time_zone.cast_unsigned())
            .u8(self.dst)
            .finish()?;
        with_crc(covered, self.crc_ok)
    }

    /// When the session began, UTC. A zone that the device does not tell is `fallback` (how far its wall
    /// clock is ahead of UTC). `None` if the date is none or the checksum does not fit.
    #[must_use]
    pub fn utc(&self, fallback: Span) -> Option<Time> {
        if self.crc_ok == Some(false) {
            return None;
        }
        let dst = if self.dst == u8::MAX { 0 } else { self.dst };
        let quarters = i64::from(self.time_zone).saturating_add(i64::from(dst));
        let ahead = match self.time_zone {
            i8::MIN => fallback,
            _ => Span::from_mins(quarters.saturating_mul(15)),
        };
        Some(self.time.as_if_utc()? - ahead)
    }
}

/// 2AAB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgmRunTime {
    /// How long a sensor lasts, hours from the session's start.
    pub hours: u16,
    /// Whether the checksum fits; `None` = it has none.
    pub crc_ok: Option<bool>,
}

impl CgmRunTime {
    /// From the octets of a read.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let (covered, crc_ok) = split_crc(value, 2);
        let mut octets = Octets::new(covered)?;
        let hours = octets.u16("run_time_h")?;
        octets.finish(false)?;
        Ok(Self { hours, crc_ok })
    }

    /// The octets of a read.
    ///
    /// # Errors
    /// None today.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        with_crc(self.hours.to_le_bytes().into(), self.crc_ok)
    }
}

coded! {
    /// How an operation went.
    CgmOutcome {
        /// Done.
        Success = 1 => "success",
        /// The device does not know the operation.
        OpNotSupported = 2 => "op code not supported",
        /// The operand is none.
        InvalidOperand = 3 => "invalid operand",
        /// It stopped by itself.
        NotCompleted = 4 => "procedure not completed",
        /// Outside the range.
        OutOfRange = 5 => "parameter out of range",
    }
}

/// What is asked or answered at 2AAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgmOp {
    /// Send a record every so many minutes; 0 = never, 255 = as fast as the device can.
    SetInterval(u8),
    /// How often are records sent?
    GetInterval,
    /// Answer: minutes.
    Interval(u8),
    /// Alert the wearer above this, mg/dL.
    SetHighAlert(Number),
    /// Alert the wearer below this, mg/dL.
    SetLowAlert(Number),
    /// Begin a session.
    StartSession,
    /// End the session.
    StopSession,
    /// Answer to everything without an answer of its own.
    Response {
        /// Op code that is answered.
        request: u8,
        /// How it went.
        outcome: CgmOutcome,
    },
}

/// 2AAC, written or indicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgmControl {
    /// What is asked or answered.
    pub op: CgmOp,
    /// Whether the checksum fits; `None` = it has none.
    pub crc_ok: Option<bool>,
}

impl CgmControl {
    /// From the octets of a write or an indication.
    ///
    /// # Errors
    /// Short, trailing, or an operation that nobody here uses (calibration, hypo- and hyperglycaemia and rate
    /// alerts): those belong to the wearer's own app.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let [code, ..] = *value else {
            return Err(DecodeError::Short {
                field: "op",
                need: 1,
                got: 0,
            });
        };
        let operand: usize = match code {
            1 | 3 => 1,
            7 | 10 | 28 => 2,
            _ => 0,
        };
        let (covered, crc_ok) = split_crc(value, operand.wrapping_add(1));
        let mut octets = Octets::new(covered)?;
        octets.u8("op")?;
        let op = match code {
            1 => CgmOp::SetInterval(octets.u8("interval_min")?),
            2 => CgmOp::GetInterval,
            3 => CgmOp::Interval(octets.u8("interval_min")?),
            7 => CgmOp::SetHighAlert(octets.sfloat("high_alert")?),
            10 => CgmOp::SetLowAlert(octets.sfloat("low_alert")?),
            26 => CgmOp::StartSession,
            27 => CgmOp::StopSession,
            28 => CgmOp::Response {
                request: octets.u8("request")?,
                outcome: CgmOutcome::from_code(octets.u8("value")?),
            },
            _ => {
                return Err(DecodeError::BadValue {
                    field: "op",
                    expected: "1, 2, 3, 7, 10, 26, 27 or 28",
                });
            }
        };
        octets.finish(false)?;
        Ok(Self { op, crc_ok })
    }

    /// The octets of a write or an indication.
    ///
    /// # Errors
    /// A number that no SFLOAT holds.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let start = |code: u8| Builder::default().u8(code);
        let covered = match self.op {
            CgmOp::SetInterval(minutes) => start(1).u8(minutes),
            CgmOp::GetInterval => start(2),
            CgmOp::Interval(minutes) => start(3).u8(minutes),
            CgmOp::SetHighAlert(level) => start(7).sfloat(level, "high_alert")?,
            CgmOp::SetLowAlert(level) => start(10).sfloat(level, "low_alert")?,
            CgmOp::StartSession => start(26),
            CgmOp::StopSession => start(27),
            CgmOp::Response { request, outcome } => start(28).u8(request).u8(outcome.code()),
        };
        with_crc(covered.finish()?, self.crc_ok)
    }
}

impl CgmFeatures {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("features", self.supported)
            .with("type", self.fluid)
            .with("location", self.location)
            .with_some("crc_ok", self.crc_ok)
    }
}

impl CgmStatus {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("time_offset_min", self.time_offset_min)
            .with("status_octet", self.status)
            .with("caltemp_octet", self.caltemp)
            .with("warning_octet", self.warning)
            .with_some("crc_ok", self.crc_ok)
    }
}

impl CgmSessionStart {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("time", self.time)
            .with("time_zone", self.time_zone)
            .with("dst", self.dst)
            .with_some("crc_ok", self.crc_ok)
    }
}

impl CgmRunTime {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("run_time_h", self.hours)
            .with_some("crc_ok", self.crc_ok)
    }
}

impl CgmControl {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        let none = Fields::default();
        match self.op {
            CgmOp::SetInterval(minutes) => none
                .with("op", "set communication interval")
                .with("interval_min", minutes),
            CgmOp::GetInterval => none.with("op", "get communication interval"),
            CgmOp::Interval(minutes) => none
                .with("op", "communication interval response")
                .with("interval_min", minutes),
            CgmOp::SetHighAlert(level) => none
                .with("op", "set patient high alert level")
                .with("level", level),
            CgmOp::SetLowAlert(level) => none
                .with("op", "set patient low alert level")
                .with("level", level),
            CgmOp::StartSession => none.with("op", "start the session"),
            CgmOp::StopSession => none.with("op", "stop the session"),
            CgmOp::Response { request, outcome } => none
                .with("op", "response code")
                .with("request", request)
                .with("value", outcome.name()),
        }
        .with_some("crc_ok", self.crc_ok)
    }
}
