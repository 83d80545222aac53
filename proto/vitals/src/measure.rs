//! Measurement kinds with their units, codes and plausible ranges, and the reading type.
//!
//! A reading is one scalar: a heart-rate notification with two RR intervals is three readings.

use crate::{Absence, Quality, SourceId, Time};

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
    pub const ALL: [Self; 13] = [
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
    /// ISO/IEEE 11073-10101 as used in the HL7 PHD implementation guide's examples. Plausible ranges are
    /// engineering limits, wider than any clinical one: they mark sensor nonsense, not illness.
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
