//! Blood Pressure Service 1810: measurement 2A35, intermediate cuff pressure 2A36 (BLS 1.1.1).
//!
//! Cuffs send NaN for the mean where they have none: numbers stay [`Number`]s.

use alloc::vec::Vec;

use super::date_time::DateTime;
use super::float::Number;
use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError, bits};

const KILOPASCAL: u8 = 1;
const TIME: u8 = 1 << 1;
const PULSE: u8 = 1 << 2;
const USER: u8 = 1 << 3;
const STATUS: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Unit of a pressure on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PressureUnit {
    /// Millimetres of mercury.
    MmHg,
    /// Kilopascal.
    KPa,
}

impl PressureUnit {
    /// Its symbol.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::MmHg => "mmHg",
            Self::KPa => "kPa",
        }
    }
}

bits! {
    /// What the cuff says about this measurement. Bits 3 and 4 together are the pulse-rate range.
    PressureStatus(u16) {
        /// The body moved.
        BODY_MOVED = 0;
        /// The cuff is too loose.
        CUFF_LOOSE = 1;
        /// The pulse is irregular.
        IRREGULAR_PULSE = 2;
        /// The arm is in the wrong position.
        WRONG_POSITION = 5;
    }
}

/// 2A35, and 2A36 (where `systolic` is the present cuff pressure and the other two mean nothing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BloodPressure {
    /// Unit of the three pressures.
    pub unit: PressureUnit,
    /// Systolic pressure.
    pub systolic: Number,
    /// Diastolic pressure.
    pub diastolic: Number,
    /// Mean arterial pressure.
    pub mean: Number,
    /// The device's stamp.
    pub time: Option<DateTime>,
    /// Pulse rate, beats per minute.
    pub pulse_rate: Option<Number>,
    /// Which person, as the device numbers them; 255 = unknown.
    pub user: Option<u8>,
    /// About this measurement.
    pub status: Option<PressureStatus>,
}

impl BloodPressure {
    /// From the octets of an indication (2A35) or notification (2A36).
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let has = |bit: u8| flags & bit != 0;
        let decoded = Self {
            unit: if has(KILOPASCAL) {
                PressureUnit::KPa
            } else {
                PressureUnit::MmHg
            },
            systolic: octets.sfloat("sys")?,
            diastolic: octets.sfloat("dia")?,
            mean: octets.sfloat("map")?,
            time: octets.when(has(TIME), DateTime::read)?,
            pulse_rate: octets.when(has(PULSE), |octets| octets.sfloat("pulse"))?,
            user: octets.when(has(USER), |octets| octets.u8("user"))?,
            status: octets.when(has(STATUS), |octets| {
                octets.u16("status").map(PressureStatus)
            })?,
        };
        octets.finish(has(RESERVED))?;
        Ok(decoded)
    }

    /// The octets of an indication.
    ///
    /// # Errors
    /// A number that no SFLOAT holds.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let flags = flags8(&[
            (self.unit == PressureUnit::KPa, KILOPASCAL),
            (self.time.is_some(), TIME),
            (self.pulse_rate.is_some(), PULSE),
            (self.user.is_some(), USER),
            (self.status.is_some(), STATUS),
        ]);
        Builder::default()
            .u8(flags)
            .sfloat(self.systolic, "sys")?
            .sfloat(self.diastolic, "dia")?
            .sfloat(self.mean, "map")?
            .when(self.time, |builder, time| Ok(time.write(builder)))?
            .when(self.pulse_rate, |builder, rate| {
                builder.sfloat(rate, "pulse")
            })?
            .when(self.user, |builder, user| Ok(builder.u8(user)))?
            .when(self.status, |builder, status| Ok(builder.u16(status.0)))?
            .finish()
    }
}
