//! `vitals` types to messages and back: total one way, checked with typed errors the other.
//!
//! * [`split_to_fit`]: readings into columnar batches that fit a record each.
//! * [`split_waveforms`]: the same for waveform blocks.
//! * [`decode_body`]: what lay inside a seal, checked field by field.
//!
//! Invariants: nothing a peer can send makes this panic, overflow, or allocate more than a small multiple of
//! the message; every error names the field. What an error says never holds a value.
//!
//! Must not know: the seal, twins, stores.

mod columns;
mod content;
mod waveforms;

pub use columns::{
    ReadingBatch, decode_columns, encode_columns, estimated_size, one_batch, split_to_fit,
};
pub use content::{Content, clean, decode_body, sanitise};
pub use waveforms::{WaveformBatch, decode_waveforms, split_waveforms};

use crate::v1;

/// Longest encoded `GatewayToCentre` or `CentreToGateway`, bytes. Both ends refuse longer ones.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Most readings in one body: more than fit a record (three bytes each, one where they
/// are deflated and alike); whoever packs them stops there.
pub const MAX_READINGS: usize = 4096;
/// Most numbers of waveforms in one body: one byte each at least, so that only forged lists meet it.
pub const MAX_SAMPLES: usize = 4096;
/// Most gaps in one body.
pub const MAX_GAPS: usize = 512;
/// Most device reports in one body: a gateway has one radio and at most this many sensors a patient.
pub const MAX_DEVICES: usize = 64;
/// Most superseded numbers in one body: an open minute of one source has at most a few hundred batches.
pub const MAX_SUPERSEDES: usize = 2048;
/// Longest text of a device, characters.
pub const MAX_TEXT: usize = 64;
/// Largest mantissa: whole numbers up to here are exact as `f64` (see `vitals::Fixed`).
const MAX_MANTISSA: i64 = 9_000_000_000_000_000;

/// Why a message does not say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field does not hold.
    #[error("{field} of element {index} is malformed")]
    Malformed {
        /// "message.field".
        field: &'static str,
        /// Which element of its list, from 0.
        index: usize,
    },
    /// A number of an enumeration that this version does not know: the reader is older than the writer.
    #[error("{field} of element {index} is not known here: update this program")]
    Unknown {
        /// "message.field".
        field: &'static str,
        /// Which element of its list, from 0.
        index: usize,
    },
    /// A list is longer than anything we make.
    #[error("{field} has more than {limit} elements")]
    TooMany {
        /// "message.field".
        field: &'static str,
        /// What is taken.
        limit: usize,
    },
}

impl From<vitals::Kind> for v1::Kind {
    fn from(kind: vitals::Kind) -> Self {
        match kind {
            vitals::Kind::HeartRate => Self::HeartRate,
            vitals::Kind::RrInterval => Self::RrInterval,
            vitals::Kind::EnergyExpended => Self::EnergyExpended,
            vitals::Kind::PulseRate => Self::PulseRate,
            vitals::Kind::OxygenSaturation => Self::OxygenSaturation,
            vitals::Kind::PulseAmplitudeIndex => Self::PulseAmplitudeIndex,
            vitals::Kind::RespiratoryRate => Self::RespiratoryRate,
            vitals::Kind::BodyTemperature => Self::BodyTemperature,
            vitals::Kind::BatteryLevel => Self::BatteryLevel,
            vitals::Kind::StepCount => Self::StepCount,
            vitals::Kind::SystolicPressure => Self::SystolicPressure,
            vitals::Kind::DiastolicPressure => Self::DiastolicPressure,
            vitals::Kind::MeanPressure => Self::MeanPressure,
            vitals::Kind::BodyWeight => Self::BodyWeight,
            vitals::Kind::BodyFat => Self::BodyFat,
            vitals::Kind::BodyMassIndex => Self::BodyMassIndex,
            vitals::Kind::BodyHeight => Self::BodyHeight,
            vitals::Kind::MuscleMass => Self::MuscleMass,
            vitals::Kind::MusclePart => Self::MusclePart,
            vitals::Kind::FatFreeMass => Self::FatFreeMass,
            vitals::Kind::SoftLeanMass => Self::SoftLeanMass,
            vitals::Kind::BodyWaterMass => Self::BodyWaterMass,
            vitals::Kind::BodyImpedance => Self::BodyImpedance,
            vitals::Kind::BasalMetabolism => Self::BasalMetabolism,
            vitals::Kind::BloodGlucose => Self::BloodGlucose,
            vitals::Kind::InterstitialGlucose => Self::InterstitialGlucose,
            vitals::Kind::GlucoseRate => Self::GlucoseRate,
            vitals::Kind::MealContext => Self::MealContext,
            vitals::Kind::Carbohydrates => Self::Carbohydrates,
            vitals::Kind::HaemoglobinA1c => Self::HaemoglobinA1c,
            vitals::Kind::StepsTaken => Self::StepsTaken,
            vitals::Kind::PulseInterval => Self::PulseInterval,
            vitals::Kind::RoomTemperature => Self::RoomTemperature,
        }
    }
}

impl From<vitals::Wave> for v1::Wave {
    fn from(wave: vitals::Wave) -> Self {
        match wave {
            vitals::Wave::Ecg => Self::Ecg,
            vitals::Wave::Photoplethysmogram => Self::Photoplethysmogram,
            vitals::Wave::Acceleration => Self::Acceleration,
        }
    }
}

impl From<vitals::Absence> for v1::Absence {
    fn from(absence: vitals::Absence) -> Self {
        match absence {
            vitals::Absence::NotANumber => Self::Nan,
            vitals::Absence::NotAtThisResolution => Self::NotAtThisResolution,
            vitals::Absence::PositiveInfinity => Self::PositiveInfinity,
            vitals::Absence::NegativeInfinity => Self::NegativeInfinity,
            vitals::Absence::Reserved => Self::Reserved,
            vitals::Absence::NoContact => Self::NoContact,
            vitals::Absence::NoLock => Self::NoLock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_vitals_are_those_of_the_contract() {
        for kind in vitals::Kind::ALL {
            let wire = v1::Kind::from(kind);
            assert_eq!(wire as i32, kind.wire());
            let name = wire
                .as_str_name()
                .trim_start_matches("KIND_")
                .to_lowercase();
            assert_eq!(name, kind.info().name);
        }
        for wave in vitals::Wave::ALL {
            let wire = v1::Wave::from(wave);
            assert_eq!(wire as i32, wave.wire());
            let name = wire.as_str_name().trim_start_matches("WAVE_");
            assert_eq!(name.to_lowercase(), wave.info().name);
        }
        for number in -1..50 {
            assert_eq!(
                vitals::Kind::from_wire(number).is_some(),
                number != 0 && v1::Kind::try_from(number).is_ok()
            );
            let absence = vitals::Absence::from_wire(number);
            assert_eq!(
                absence.is_some(),
                number != 0 && v1::Absence::try_from(number).is_ok()
            );
            if let Some(absence) = absence {
                assert_eq!(v1::Absence::from(absence) as i32, number);
            }
        }
    }
}
