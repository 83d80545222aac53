//! Glucose Service 1808: measurement context 2A34 and features 2A51 (GLS 1.0.1).
//!
//! A context carries no time: it belongs to the measurement (2A18) with the same sequence number.

use alloc::vec::Vec;

use super::fields::Fields;
use super::float::Number;
use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError, bits, coded};

const CARBOHYDRATE: u8 = 1;
const MEAL: u8 = 1 << 1;
const TESTER_HEALTH: u8 = 1 << 2;
const EXERCISE: u8 = 1 << 3;
const MEDICATION: u8 = 1 << 4;
const LITRES: u8 = 1 << 5;
const HBA1C: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

coded! {
    /// When the sample was taken, seen from meals.
    Meal {
        /// Before a meal.
        Before = 1 => "before meal",
        /// After a meal.
        After = 2 => "after meal",
        /// Fasting.
        Fasting = 3 => "fasting",
        /// Between meals.
        Casual = 4 => "casual",
        /// At bedtime.
        Bedtime = 5 => "bedtime",
    }
}

/// Unit of a dose on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoseUnit {
    /// Kilograms.
    Kilogram,
    /// Litres.
    Litre,
}

/// A medication and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dose {
    /// 1 rapid, 2 short, 3 intermediate, 4 long acting insulin, 5 pre-mixed insulin.
    pub medication: u8,
    /// In `unit`.
    pub amount: Number,
    /// Unit of `amount`.
    pub unit: DoseUnit,
}

/// 2A34.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlucoseContext {
    /// Of the measurement that this is about.
    pub sequence: u16,
    /// Reserved for later versions of the profile.
    pub extended_flags: Option<u8>,
    /// What was eaten (1 breakfast, 2 lunch, 3 dinner, 4 snack, 5 drink, 6 supper, 7 brunch) and its
    /// carbohydrates, kilograms.
    pub carbohydrate: Option<(u8, Number)>,
    /// Seen from meals.
    pub meal: Option<Meal>,
    /// Who tested (1 oneself, 2 a professional, 3 a laboratory, 15 unknown) and the state of health (1 minor,
    /// 2 major issues, 3 menses, 4 stress, 5 none, 15 unknown): four bits each.
    pub tester_and_health: Option<(u8, u8)>,
    /// Seconds (65535 = overrun) and intensity, percent.
    pub exercise: Option<(u16, u8)>,
    /// A medication that was taken.
    pub dose: Option<Dose>,
    /// Glycated haemoglobin, percent.
    pub hba1c: Option<Number>,
}

impl GlucoseContext {
    /// From the octets of a notification.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let has = |bit: u8| flags & bit != 0;
        let unit = if has(LITRES) {
            DoseUnit::Litre
        } else {
            DoseUnit::Kilogram
        };
        let decoded = Self {
            sequence: octets.u16("seq")?,
            extended_flags: octets.when(has(EXTENDED), |octets| octets.u8("extended_flags"))?,
            carbohydrate: octets.when(has(CARBOHYDRATE), |octets| {
                let what = octets.u8("carbohydrate_type")?;
                Ok((what, octets.sfloat("carbohydrate_kg")?))
            })?,
            meal: octets.when(has(MEAL), |octets| octets.u8("meal").map(Meal::from_code))?,
            tester_and_health: octets.when(has(TESTER_HEALTH), |octets| {
                let both = octets.u8("tester")?;
                Ok((both & 0x0F, both >> 4))
            })?,
            exercise: octets.when(has(EXERCISE), |octets| {
                let seconds = octets.u16("exercise_s")?;
                Ok((seconds, octets.u8("exercise_pct")?))
            })?,
            dose: octets.when(has(MEDICATION), |octets| {
                let medication = octets.u8("medication_type")?;
                let amount = octets.sfloat("medication")?;
                Ok(Dose {
                    medication,
                    amount,
                    unit,
                })
            })?,
            hba1c: octets.when(has(HBA1C), |octets| octets.sfloat("hba1c_pct"))?,
        };
        // Extended flags announce fields of a later version.
        octets.finish(decoded.extended_flags.is_some_and(|flags| flags != 0))?;
        Ok(decoded)
    }

    /// The octets of a notification.
    ///
    /// # Errors
    /// A number that no SFLOAT holds, or a tester or health above 4 bits.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let litres = self.dose.is_some_and(|dose| dose.unit == DoseUnit::Litre);
        let flags = flags8(&[
            (self.carbohydrate.is_some(), CARBOHYDRATE),
            (self.meal.is_some(), MEAL),
            (self.tester_and_health.is_some(), TESTER_HEALTH),
            (self.exercise.is_some(), EXERCISE),
            (self.dose.is_some(), MEDICATION),
            (litres, LITRES),
            (self.hba1c.is_some(), HBA1C),
            (self.extended_flags.is_some(), EXTENDED),
        ]);
        Builder::default()
            .u8(flags)
            .u16(self.sequence)
            .when(self.extended_flags, |builder, flags| Ok(builder.u8(flags)))?
            .when(self.carbohydrate, |builder, (what, amount)| {
                builder.u8(what).sfloat(amount, "carbohydrate_kg")
            })?
            .when(self.meal, |builder, meal| Ok(builder.u8(meal.code())))?
            .when(self.tester_and_health, |builder, (tester, health)| {
                if tester > 15 || health > 15 {
                    return Err(EncodeError {
                        field: "tester",
                        expected: "two numbers of 4 bits",
                    });
                }
                Ok(builder.u8(health << 4 | tester))
            })?
            .when(self.exercise, |builder, (seconds, percent)| {
                Ok(builder.u16(seconds).u8(percent))
            })?
            .when(self.dose, |builder, dose| {
                builder
                    .u8(dose.medication)
                    .sfloat(dose.amount, "medication")
            })?
            .when(self.hba1c, |builder, percent| {
                builder.sfloat(percent, "hba1c_pct")
            })?
            .finish()
    }
}

bits! {
    /// 2A51: what a meter can do.
    GlucoseFeatures(u16) {
        /// Detects a low battery.
        LOW_BATTERY = 0;
        /// Detects a broken sensor.
        SENSOR_MALFUNCTION = 1;
        /// Detects a sample that is too small.
        SAMPLE_SIZE = 2;
        /// Detects a strip that was put in wrongly.
        STRIP_INSERTION = 3;
        /// Detects a strip of another sort.
        STRIP_TYPE = 4;
        /// Detects results above or below its range.
        RESULT_RANGE = 5;
        /// Detects temperatures above or below its range.
        TEMPERATURE_RANGE = 6;
        /// Detects a strip that was pulled too early.
        READ_INTERRUPTED = 7;
        /// Detects general faults.
        GENERAL_FAULT = 8;
        /// Detects a wrong clock.
        TIME_FAULT = 9;
        /// Keeps several bonds.
        MULTIPLE_BONDS = 10;
    }
}

impl GlucoseFeatures {
    /// From the octets of a read.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let features = octets.u16("features")?;
        octets.finish(false)?;
        Ok(Self(features))
    }

    /// The octets of a read.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        self.0.to_le_bytes().into()
    }
}

impl GlucoseContext {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        let unit = |dose: Dose| match dose.unit {
            DoseUnit::Kilogram => "kg",
            DoseUnit::Litre => "L",
        };
        Fields::default()
            .with("seq", self.sequence)
            .with_some("extended_flags", self.extended_flags)
            .with_some("carbohydrate_type", self.carbohydrate.map(|(what, _)| what))
            .with_some("carbohydrate_kg", self.carbohydrate.map(|(_, mass)| mass))
            .with_some("meal", self.meal.map(Meal::code))
            .with_some("meal_name", self.meal.map(Meal::name))
            .with_some("tester", self.tester_and_health.map(|(tester, _)| tester))
            .with_some("health", self.tester_and_health.map(|(_, health)| health))
            .with_some("exercise_s", self.exercise.map(|(seconds, _)| seconds))
            .with_some("exercise_pct", self.exercise.map(|(_, percent)| percent))
            .with_some("medication_type", self.dose.map(|dose| dose.medication))
            .with_some("medication", self.dose.map(|dose| dose.amount))
            .with_some("medication_unit", self.dose.map(unit))
            .with_some("hba1c_pct", self.hba1c)
    }
}
