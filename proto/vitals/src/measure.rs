//! Measurement kinds with their units, codes and plausible ranges, and the reading type.
//!
//! A reading is one scalar: a heart-rate notification with two RR intervals is three readings.

use crate::{Absence, DeviceTime, Quality, SourceId, Time};

/// What was measured. The discriminants are wire format (`proto` enum `Kind`): add, never reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Heart rate from electrical or optical beats.
    HeartRate = 1,
    /// Interval between two heart beats.
    RrInterval = 2,
    /// Energy spent since the counter was reset.
    EnergyExpended = 3,
    /// Pulse rate from an oximeter.
    PulseRate = 4,
    /// Oxygen saturation of arterial blood by pulse oximetry.
    OxygenSaturation = 5,
    /// Pulse amplitude (perfusion) index.
    PulseAmplitudeIndex = 6,
    /// Respiratory rate.
    RespiratoryRate = 7,
    /// Body temperature.
    BodyTemperature = 8,
    /// Charge of the sensor's battery.
    BatteryLevel = 9,
    /// Steps since the device's counter was reset.
    StepCount = 10,
    /// Systolic blood pressure.
    SystolicPressure = 11,
    /// Diastolic blood pressure.
    DiastolicPressure = 12,
    /// Mean blood pressure.
    MeanPressure = 13,
    /// Body weight.
    BodyWeight = 14,
    /// Fat, part of the body.
    BodyFat = 15,
    /// Body mass index.
    BodyMassIndex = 16,
    /// Height.
    BodyHeight = 17,
    /// Muscle.
    MuscleMass = 18,
    /// Muscle, part of the body.
    MusclePart = 19,
    /// What is not fat.
    FatFreeMass = 20,
    /// What is neither fat nor bone.
    SoftLeanMass = 21,
    /// Water.
    BodyWaterMass = 22,
    /// Electrical impedance of the body.
    BodyImpedance = 23,
    /// Basal metabolic rate.
    BasalMetabolism = 24,
    /// Glucose in a drop of blood, control solution aside; which fluid and from where: [`Quality::sample`].
    BloodGlucose = 25,
    /// Glucose under the skin, by a continuous monitor.
    InterstitialGlucose = 26,
    /// How fast a continuous monitor sees glucose change.
    GlucoseRate = 27,
    /// Glucose seen from meals: 1 before, 2 after, 3 fasting, 4 between, 5 bedtime. Has the effective time of the glucose that it is about.
    MealContext = 28,
    /// Carbohydrates eaten. Has the effective time of the glucose that it is about.
    Carbohydrates = 29,
    /// Glycated haemoglobin.
    HaemoglobinA1c = 30,
    /// Steps since the reading before.
    StepsTaken = 31,
    /// Interval between two optical pulses: close to [`Kind::RrInterval`], and blurred by motion.
    PulseInterval = 32,
    /// Temperature of the room.
    RoomTemperature = 33,
}

/// Codes, unit and ranges of a kind.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// Stable lower-case name for files, JSON and the command line.
    pub name: &'static str,
    /// UCUM unit of values.
    pub unit: &'static str,
    /// LOINC code; empty where there is none.
    pub loinc: &'static str,
    /// ISO/IEEE 11073-10101 code; 0 where none is known for sure.
    pub mdc: u32,
    /// Values are kept as whole multiples of 10^-decimals.
    pub decimals: u8,
    /// Lowest and highest value a living person at home can have; outside, a reading is marked implausible.
    pub plausible: (f64, f64),
}

impl Kind {
    /// All kinds, in wire order.
    pub const ALL: [Self; 33] = [
        Self::HeartRate,
        Self::RrInterval,
        Self::EnergyExpended,
        Self::PulseRate,
        Self::OxygenSaturation,
        Self::PulseAmplitudeIndex,
        Self::RespiratoryRate,
        Self::BodyTemperature,
        Self::BatteryLevel,
        Self::StepCount,
        Self::SystolicPressure,
        Self::DiastolicPressure,
        Self::MeanPressure,
        Self::BodyWeight,
        Self::BodyFat,
        Self::BodyMassIndex,
        Self::BodyHeight,
        Self::MuscleMass,
        Self::MusclePart,
        Self::FatFreeMass,
        Self::SoftLeanMass,
        Self::BodyWaterMass,
        Self::BodyImpedance,
        Self::BasalMetabolism,
        Self::BloodGlucose,
        Self::InterstitialGlucose,
        Self::GlucoseRate,
        Self::MealContext,
        Self::Carbohydrates,
        Self::HaemoglobinA1c,
        Self::StepsTaken,
        Self::PulseInterval,
        Self::RoomTemperature,
    ];

    /// The wire number.
    #[must_use]
    pub const fn wire(self) -> i32 {
        self as i32
    }

    /// From the wire number; `None` for numbers that this version does not know.
    #[must_use]
    pub fn from_wire(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.wire() == number)
    }

    /// Codes, unit and ranges. LOINC, UCUM: FHIR R4 vital-signs profiles where one exists; MDC:
    /// ISO/IEEE 11073-10101 as used in the HL7 PHD implementation guide's examples, body composition as in
    /// 11073-10420. Plausible ranges are engineering limits, wider than any clinical one: they mark sensor
    /// nonsense, not illness. Weight, height and body mass index reach beyond the smallest newborns and the
    /// largest people on record (635 kg, 272 cm); glucose beyond what meters show (20 to 600 mg/dL) and what
    /// laboratories have seen in survivors.
    #[must_use]
    pub const fn info(self) -> KindInfo {
        const fn row(
            name: &'static str,
            unit: &'static str,
            loinc: &'static str,
            mdc: u32,
            decimals: u8,
            plausible: (f64, f64),
        ) -> KindInfo {
            KindInfo {
                name,
                unit,
                loinc,
                mdc,
                decimals,
                plausible,
            }
        }
        match self {
            Self::HeartRate => row("heart_rate", "/min", "8867-4", 147_842, 0, (20.0, 300.0)),
            Self::RrInterval => row("rr_interval", "ms", "8637-1", 147_240, 1, (200.0, 6000.0)),
            Self::EnergyExpended => row("energy_expended", "kJ", "", 0, 0, (0.0, 65_535.0)),
            Self::PulseRate => row("pulse_rate", "/min", "8867-4", 149_530, 1, (20.0, 300.0)),
            Self::OxygenSaturation => row(
                "oxygen_saturation",
                "%",
                "2708-6",
                150_456,
                1,
                (50.0, 100.0),
            ),
            Self::PulseAmplitudeIndex => {
                row("pulse_amplitude_index", "%", "", 150_448, 2, (0.0, 100.0))
            }
            Self::RespiratoryRate => row(
                "respiratory_rate",
                "/min",
                "9279-1",
                151_562,
                1,
                (3.0, 80.0),
            ),
            Self::BodyTemperature => row(
                "body_temperature",
                "Cel",
                "8310-5",
                150_364,
                2,
                (25.0, 45.0),
            ),
            Self::BatteryLevel => row("battery_level", "%", "", 0, 0, (0.0, 100.0)),
            Self::StepCount => row("step_count", "{steps}", "55423-8", 0, 0, (0.0, 1_000_000.0)),
            Self::SystolicPressure => row(
                "systolic_pressure",
                "mm[Hg]",
                "8480-6",
                150_021,
                1,
                (40.0, 300.0),
            ),
            Self::DiastolicPressure => row(
                "diastolic_pressure",
                "mm[Hg]",
                "8462-4",
                150_022,
                1,
                (20.0, 200.0),
            ),
            Self::MeanPressure => row(
                "mean_pressure",
                "mm[Hg]",
                "8478-0",
                150_023,
                1,
                (30.0, 250.0),
            ),
            Self::BodyWeight => row("body_weight", "kg", "29463-7", 188_736, 3, (0.2, 650.0)),
            Self::BodyFat => row("body_fat", "%", "41982-0", 188_748, 1, (1.0, 80.0)),
            Self::BodyMassIndex => row(
                "body_mass_index",
                "kg/m2",
                "39156-5",
                188_752,
                1,
                (5.0, 260.0),
            ),
            Self::BodyHeight => row("body_height", "cm", "8302-2", 188_740, 1, (20.0, 280.0)),
            Self::MuscleMass => row("muscle_mass", "kg", "73964-9", 0, 3, (0.1, 250.0)),
            Self::MusclePart => row("muscle_part", "%", "", 0, 1, (1.0, 95.0)),
            Self::FatFreeMass => row("fat_free_mass", "kg", "", 188_756, 3, (0.1, 400.0)),
            Self::SoftLeanMass => row("soft_lean_mass", "kg", "", 188_760, 3, (0.1, 400.0)),
            Self::BodyWaterMass => row("body_water_mass", "kg", "", 188_764, 3, (0.1, 400.0)),
            Self::BodyImpedance => row("body_impedance", "Ohm", "", 0, 1, (50.0, 5000.0)),
            Self::BasalMetabolism => row("basal_metabolism", "kJ/d", "", 0, 0, (500.0, 60_000.0)),
            Self::BloodGlucose => row(
                "blood_glucose",
                "mg/dL",
                "2339-0",
                160_184,
                1,
                (5.0, 1500.0),
            ),
            Self::InterstitialGlucose => row(
                "interstitial_glucose",
                "mg/dL",
                "99504-3",
                160_212,
                1,
                (5.0, 1500.0),
            ),
            Self::GlucoseRate => row("glucose_rate", "mg/dL/min", "", 0, 2, (-30.0, 30.0)),
            Self::MealContext => row("meal_context", "1", "", 8_417_864, 0, (1.0, 5.0)),
            Self::Carbohydrates => row("carbohydrates", "g", "9059-7", 0, 1, (0.0, 2000.0)),
            Self::HaemoglobinA1c => row("haemoglobin_a1c", "%", "4548-4", 160_220, 1, (2.0, 25.0)),
            Self::StepsTaken => row("steps_taken", "{steps}", "55423-8", 0, 0, (0.0, 100_000.0)),
            Self::PulseInterval => row("pulse_interval", "ms", "", 0, 1, (200.0, 6000.0)),
            Self::RoomTemperature => row("room_temperature", "Cel", "60832-3", 0, 2, (-40.0, 60.0)),
        }
    }
}

/// A decimal number: `mantissa * 10^-decimals(kind)`. Keeps what the sensor sent, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed(pub i64);

impl Fixed {
    /// The nearest multiple of the kind's resolution; `None` if `value` is not finite or does not fit.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked against the range just before"
    )]
    pub fn from_f64(kind: Kind, value: f64) -> Option<Self> {
        let scaled = libm::round(value * scale(kind));
        (scaled.is_finite() && libm::fabs(scaled) < 9.0e15).then_some(Self(scaled as i64))
    }

    /// As a number in the kind's unit.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "mantissas stay below 2^53")]
    pub fn to_f64(self, kind: Kind) -> f64 {
        self.0 as f64 / scale(kind)
    }
}

fn scale(kind: Kind) -> f64 {
    match kind.info().decimals {
        0 => 1.0,
        1 => 10.0,
        2 => 100.0,
        _ => 1000.0,
    }
}

/// A number, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A number in the kind's unit.
    Measured(Fixed),
    /// No number, and why.
    Absent(Absence),
}

/// One scalar from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was measured.
    pub kind: Kind,
    /// The number or its absence.
    pub value: Value,
    /// Where it comes from, within the stream.
    pub source: SourceId,
    /// Counts the readings of this source and kind, without gaps, for as long as the agent remembers it.
    pub sequence: u64,
    /// When the body did it.
    pub effective: Time,
    /// When the gateway got it.
    pub received: Time,
    /// What the sensor and the agent say about it.
    pub quality: Quality,
    /// What the device's own clock said, where it gave a time.
    pub device: Option<DeviceTime>,
}

impl Reading {
    /// The number in the kind's unit, if there is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self.value {
            Value::Measured(fixed) => Some(fixed.to_f64(self.kind)),
            Value::Absent(_) => None,
        }
    }
}
