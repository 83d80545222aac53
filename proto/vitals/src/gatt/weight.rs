//! Weight Scale Service 181D: measurement 2A9D (WSS 1.0.1). Body Composition Service 181B: measurement 2A9C
//! (BCS 1.0), and the layout of its own that Xiaomi's Mi scales use on that same UUID.
//!
//! Scales count in steps; the steps are kept. 0xFFFF means that the measurement failed.

use alloc::vec::Vec;

use super::date_time::{DateTime, Validity};
use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError};

/// A scale's system of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleUnits {
    /// Mass in steps of 0.005 kg, height in steps of 0.001 m.
    Metric,
    /// Mass in steps of 0.01 lb, height in steps of 0.1 inch.
    Imperial,
}

/// 2A9D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightMeasurement {
    /// Of `weight` and `height`.
    pub units: ScaleUnits,
    /// Steps of mass.
    pub weight: u16,
    /// The device's stamp.
    pub time: Option<DateTime>,
    /// Which person, as the device numbers them; 255 = unknown.
    pub user: Option<u8>,
    /// Body mass index (steps of 0.1) and height (steps).
    pub bmi_and_height: Option<(u16, u16)>,
}

impl WeightMeasurement {
    const IMPERIAL: u8 = 1;
    const TIME: u8 = 1 << 1;
    const USER: u8 = 1 << 2;
    const BMI_HEIGHT: u8 = 1 << 3;
    const RESERVED: u8 = 0b1111_0000;

    /// From the octets of an indication.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let has = |bit: u8| flags & bit != 0;
        let decoded = Self {
            units: if has(Self::IMPERIAL) {
                ScaleUnits::Imperial
            } else {
                ScaleUnits::Metric
            },
            weight: octets.u16("weight")?,
            time: octets.when(has(Self::TIME), DateTime::read)?,
            user: octets.when(has(Self::USER), |octets| octets.u8("user"))?,
            bmi_and_height: octets.when(has(Self::BMI_HEIGHT), |octets| {
                Ok((octets.u16("bmi")?, octets.u16("height")?))
            })?,
        };
        octets.finish(has(Self::RESERVED))?;
        Ok(decoded)
    }

    /// The octets of an indication.
    ///
    /// # Errors
    /// None today.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let flags = flags8(&[
            (self.units == ScaleUnits::Imperial, Self::IMPERIAL),
            (self.time.is_some(), Self::TIME),
            (self.user.is_some(), Self::USER),
            (self.bmi_and_height.is_some(), Self::BMI_HEIGHT),
        ]);
        Builder::default()
            .u8(flags)
            .u16(self.weight)
            .when(self.time, |builder, time| Ok(time.write(builder)))?
            .when(self.user, |builder, user| Ok(builder.u8(user)))?
            .when(self.bmi_and_height, |builder, (bmi, height)| {
                Ok(builder.u16(bmi).u16(height))
            })?
            .finish()
    }
}

/// 2A9C in the SIG's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyComposition {
    /// Of masses and height.
    pub units: ScaleUnits,
    /// Body fat, steps of 0.1 %.
    pub body_fat: u16,
    /// The device's stamp.
    pub time: Option<DateTime>,
    /// Which person, as the device numbers them; 255 = unknown.
    pub user: Option<u8>,
    /// Basal metabolism, kJ.
    pub basal_metabolism_kj: Option<u16>,
    /// Muscle, steps of 0.1 %.
    pub muscle_percentage: Option<u16>,
    /// Muscle, steps of mass.
    pub muscle_mass: Option<u16>,
    /// What is not fat, steps of mass.
    pub fat_free_mass: Option<u16>,
    /// What is neither fat nor bone, steps of mass.
    pub soft_lean_mass: Option<u16>,
    /// Water, steps of mass.
    pub body_water_mass: Option<u16>,
    /// Impedance, steps of 0.1 ohm.
    pub impedance: Option<u16>,
    /// Weight, steps of mass.
    pub weight: Option<u16>,
    /// Height, steps.
    pub height: Option<u16>,
    /// The rest comes in a second value.
    pub more_follows: bool,
}

impl BodyComposition {
    const IMPERIAL: u16 = 1;
    const MORE: u16 = 1 << 12;
    const RESERVED: u16 = 0b1110_0000_0000_0000;

    /// From the octets of an indication.
    ///
    /// # Errors
    /// Short, trailing, or a date that does not exist: that is how a Mi scale's own layout shows, which has
    /// the same length as this one.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u16("flags")?;
        let has = |bit: u16| flags & bit != 0;
        let body_fat = octets.u16("body_fat_pct")?;
        let time = octets.when(has(1 << 1), DateTime::read)?;
        if time.is_some_and(|time| time.validity() == Validity::Impossible) {
            return Err(DecodeError::BadValue {
                field: "time",
                expected: "a date of the calendar; if the scale is a Xiaomi Mi scale, name its profile or device",
            });
        }
        let user = octets.when(has(1 << 2), |octets| octets.u8("user"))?;
        let mut word = |bit: u16, field| octets.when(has(bit), |octets| octets.u16(field));
        let decoded = Self {
            units: if has(Self::IMPERIAL) {
                ScaleUnits::Imperial
            } else {
                ScaleUnits::Metric
            },
            body_fat,
            time,
            user,
            basal_metabolism_kj: word(1 << 3, "basal_metabolism_kj")?,
            muscle_percentage: word(1 << 4, "muscle_pct")?,
            muscle_mass: word(1 << 5, "muscle_mass")?,
            fat_free_mass: word(1 << 6, "fat_free_mass")?,
            soft_lean_mass: word(1 << 7, "soft_lean_mass")?,
            body_water_mass: word(1 << 8, "body_water_mass")?,
            impedance: word(1 << 9, "impedance_ohm")?,
            weight: word(1 << 10, "weight")?,
            height: word(1 << 11, "height")?,
            more_follows: has(Self::MORE),
        };
        octets.finish(has(Self::RESERVED))?;
        Ok(decoded)
    }

    /// The octets of an indication.
    ///
    /// # Errors
    /// A date that does not exist.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if self
            .time
            .is_some_and(|time| time.validity() == Validity::Impossible)
        {
            return Err(EncodeError {
                field: "time",
                expected: "a date of the calendar",
            });
        }
        let words = [
            (1 << 3, self.basal_metabolism_kj),
            (1 << 4, self.muscle_percentage),
            (1 << 5, self.muscle_mass),
            (1 << 6, self.fat_free_mass),
            (1 << 7, self.soft_lean_mass),
            (1 << 8, self.body_water_mass),
            (1 << 9, self.impedance),
            (1 << 10, self.weight),
            (1 << 11, self.height),
        ];
        let set = |is: bool, bit: u16| if is { bit } else { 0 };
        let flags = words.iter().fold(
            set(self.units == ScaleUnits::Imperial, Self::IMPERIAL)
                | set(self.time.is_some(), 1 << 1)
                | set(self.user.is_some(), 1 << 2)
                | set(self.more_follows, Self::MORE),
            |flags, (bit, word)| flags | set(word.is_some(), *bit),
        );
        let head = Builder::default()
            .u16(flags)
            .u16(self.body_fat)
            .when(self.time, |builder, time| Ok(time.write(builder)))?
            .when(self.user, |builder, user| Ok(builder.u8(user)))?;
        words
            .iter()
            .filter_map(|(_, word)| *word)
            .fold(head, Builder::u16)
            .finish()
    }
}

/// 2A9C in the layout of Xiaomi's Mi body composition scales (13 octets).
///
/// Source: what openScale and its users found out; Xiaomi publishes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiScale {
    /// Two octets of flags.
    pub control: [u8; 2],
    /// The device's stamp.
    pub time: DateTime,
    /// Ohm; 0 or 65535 = not measured.
    pub impedance: u16,
    /// Steps of 0.005 kg, or of 0.01 lb if [`MiScale::is_pounds`].
    pub weight: u16,
}

impl MiScale {
    /// From the octets of a notification.
    ///
    /// # Errors
    /// Short, trailing, or a date that does not exist (then it is not this layout).
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let decoded = Self {
            control: octets.array("control")?,
            time: DateTime::read(&mut octets)?,
            impedance: octets.u16("impedance")?,
            weight: octets.u16("weight")?,
        };
        octets.finish(false)?;
        if decoded.time.validity() == Validity::Impossible {
            return Err(DecodeError::BadValue {
                field: "time",
                expected: "a date of the calendar",
            });
        }
        Ok(decoded)
    }

    /// The octets of a notification.
    ///
    /// # Errors
    /// A date that does not exist.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if self.time.validity() == Validity::Impossible {
            return Err(EncodeError {
                field: "time",
                expected: "a date of the calendar",
            });
        }
        self.time
            .write(Builder::default().octets(&self.control))
            .u16(self.impedance)
            .u16(self.weight)
            .finish()
    }

    /// The weight counts pounds. (Kilograms and Chinese catties share one step.)
    #[must_use]
    pub const fn is_pounds(&self) -> bool {
        self.control[0] & 1 != 0
    }

    /// The weight has settled.
    #[must_use]
    pub const fn is_stabilised(&self) -> bool {
        self.control[1] & 1 << 5 != 0
    }
}
