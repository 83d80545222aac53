//! Blood Pressure Service 1810, its newer half: enhanced measurement 2B34 and enhanced cuff pressure 2B35
//! (BLS 1.1.1, layout of the GATT Specification Supplement).
//!
//! Like 2A35 and 2A36, with clocks that count seconds instead of calendar fields. No device that sends these
//! was at hand: the layout is that of the supplement and of other people's decoders.

use alloc::vec::Vec;

use super::blood_pressure::{PressureStatus, PressureUnit};
use super::date_time::DateTime;
use super::fields::Fields;
use super::float::Number;
use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError};
use crate::{Span, Time};

const KILOPASCAL: u8 = 1;
const TIME: u8 = 1 << 1;
const PULSE: u8 = 1 << 2;
const USER: u8 = 1 << 3;
const STATUS: u8 = 1 << 4;
const USER_TIME: u8 = 1 << 5;
const EPOCH_2000: u8 = 1 << 6;
const RESERVED: u8 = 1 << 7;

/// Seconds from 1970 to 1900 and to 2000.
const SINCE_1900: i64 = -2_208_988_800;
const SINCE_2000: i64 = 946_684_800;

/// What both values may carry besides pressures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced {
    /// Unit of the pressures.
    pub unit: PressureUnit,
    /// The device's clock, seconds since its epoch.
    pub seconds: Option<u32>,
    /// Pulse rate, beats per minute.
    pub pulse_rate: Option<Number>,
    /// Which person, as the device numbers them; 255 = unknown.
    pub user: Option<u8>,
    /// About this measurement.
    pub status: Option<PressureStatus>,
    /// What the device shows to people, seconds since its epoch.
    pub user_seconds: Option<u32>,
    /// The epoch is 2000-01-01; else 1900-01-01.
    pub epoch_2000: bool,
}

impl Enhanced {
    /// The device's stamp as a date.
    #[must_use]
    pub fn time(&self) -> Option<DateTime> {
        self.date(self.seconds)
    }

    /// The date that the device shows to people.
    #[must_use]
    pub fn user_time(&self) -> Option<DateTime> {
        self.date(self.user_seconds)
    }

    fn date(&self, seconds: Option<u32>) -> Option<DateTime> {
        let epoch = if self.epoch_2000 {
            SINCE_2000
        } else {
            SINCE_1900
        };
        let since_1970 = epoch.saturating_add(i64::from(seconds?));
        DateTime::from_utc(Time::ZERO + Span::from_secs(since_1970))
    }

    fn flags(&self) -> u8 {
        flags8(&[
            (self.unit == PressureUnit::KPa, KILOPASCAL),
            (self.seconds.is_some(), TIME),
            (self.pulse_rate.is_some(), PULSE),
            (self.user.is_some(), USER),
            (self.status.is_some(), STATUS),
            (self.user_seconds.is_some(), USER_TIME),
            (self.epoch_2000, EPOCH_2000),
        ])
    }

    fn read(flags: u8, octets: &mut Octets<'_>) -> Result<Self, DecodeError> {
        let has = |bit: u8| flags & bit != 0;
        Ok(Self {
            unit: if has(KILOPASCAL) {
                PressureUnit::KPa
            } else {
                PressureUnit::MmHg
            },
            seconds: octets.when(has(TIME), |octets| octets.u32("time"))?,
            pulse_rate: octets.when(has(PULSE), |octets| octets.sfloat("pulse"))?,
            user: octets.when(has(USER), |octets| octets.u8("user"))?,
            status: octets.when(has(STATUS), |octets| {
                octets.u16("status").map(PressureStatus)
            })?,
            user_seconds: octets.when(has(USER_TIME), |octets| octets.u32("user_time"))?,
            epoch_2000: has(EPOCH_2000),
        })
    }

    fn write(&self, builder: Builder) -> Result<Builder, EncodeError> {
        builder
            .when(self.seconds, |builder, time| Ok(builder.u32(time)))?
            .when(self.pulse_rate, |builder, rate| {
                builder.sfloat(rate, "pulse")
            })?
            .when(self.user, |builder, user| Ok(builder.u8(user)))?
            .when(self.status, |builder, status| Ok(builder.u16(status.0)))?
            .when(self.user_seconds, |builder, time| Ok(builder.u32(time)))
    }
}

/// 2B34.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedBloodPressure {
    /// Systolic pressure.
    pub systolic: Number,
    /// Diastolic pressure.
    pub diastolic: Number,
    /// Mean arterial pressure.
    pub mean: Number,
    /// Everything else.
    pub about: Enhanced,
}

impl EnhancedBloodPressure {
    /// From the octets of an indication.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let decoded = Self {
            systolic: octets.sfloat("sys")?,
            diastolic: octets.sfloat("dia")?,
            mean: octets.sfloat("map")?,
            about: Enhanced::read(flags, &mut octets)?,
        };
        octets.finish(flags & RESERVED != 0)?;
        Ok(decoded)
    }

    /// The octets of an indication.
    ///
    /// # Errors
    /// A number that no SFLOAT holds.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let pressures = Builder::default()
            .u8(self.about.flags())
            .sfloat(self.systolic, "sys")?
            .sfloat(self.diastolic, "dia")?
            .sfloat(self.mean, "map")?;
        self.about.write(pressures)?.finish()
    }
}

/// 2B35.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedCuffPressure {
    /// Present pressure in the cuff.
    pub cuff: Number,
    /// Everything else.
    pub about: Enhanced,
}

impl EnhancedCuffPressure {
    /// From the octets of a notification.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let decoded = Self {
            cuff: octets.sfloat("cuff")?,
            about: Enhanced::read(flags, &mut octets)?,
        };
        octets.finish(flags & RESERVED != 0)?;
        Ok(decoded)
    }

    /// The octets of a notification.
    ///
    /// # Errors
    /// A number that no SFLOAT holds.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let cuff = Builder::default()
            .u8(self.about.flags())
            .sfloat(self.cuff, "cuff")?;
        self.about.write(cuff)?.finish()
    }
}

impl EnhancedBloodPressure {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("unit", self.about.unit.text())
            .with("sys", self.systolic)
            .with("dia", self.diastolic)
            .with("map", self.mean)
            .and(self.about.fields())
    }
}

impl EnhancedCuffPressure {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("unit", self.about.unit.text())
            .with("cuff", self.cuff)
            .and(self.about.fields())
    }
}

impl Enhanced {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with_some("time", self.time())
            .with_some("pulse", self.pulse_rate)
            .with_some("user", self.user)
            .with_some("status", self.status.map(|status| status.0))
            .with_some("user_time", self.user_time())
    }
}
