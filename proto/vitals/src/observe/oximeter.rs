//! Oximeters: what they say about their own numbers, and which of them mean something.

use super::{Collector, Stamp, value};
use crate::gatt::{MeasurementStatus, Number, SensorStatus, SpO2Pr};
use crate::{Absence, Kind, Quality, Value};

pub(super) const OFF_BODY: SensorStatus =
    SensorStatus::UNCONNECTED_TO_PATIENT.with(SensorStatus::DISCONNECTED);

const WEAK: SensorStatus = SensorStatus::EQUIPMENT_MALFUNCTION
    .with(SensorStatus::PROCESSING_IRREGULAR)
    .with(SensorStatus::INADEQUATE_SIGNAL)
    .with(SensorStatus::POOR_SIGNAL)
    .with(SensorStatus::LOW_PERFUSION)
    .with(SensorStatus::ERRATIC_SIGNAL)
    .with(SensorStatus::NON_PULSATILE)
    .with(SensorStatus::QUESTIONABLE_PULSE)
    .with(SensorStatus::INTERFERENCE)
    .with(SensorStatus::DISPLACED)
    .with(SensorStatus::SENSOR_MALFUNCTION);

/// What an oximeter says about its own numbers.
#[derive(Clone, Copy)]
pub(super) struct Status {
    quality: Quality,
    /// The device disowns its numbers.
    invalid: bool,
    off_body: bool,
}

impl Status {
    pub(super) fn of(measurement: Option<MeasurementStatus>, sensor: Option<SensorStatus>) -> Self {
        let measurement = measurement.unwrap_or_default();
        let sensor = sensor.unwrap_or_default();
        let test = MeasurementStatus::DEMONSTRATION.with(MeasurementStatus::TESTING);
        let doubt = MeasurementStatus::QUESTIONABLE.with(MeasurementStatus::CALIBRATING);
        let off_body = sensor.has(OFF_BODY);
        let quality = [
            (
                measurement.has(MeasurementStatus::EARLY_ESTIMATE),
                Quality::ESTIMATE,
            ),
            (measurement.has(test), Quality::DEVICE_TEST),
            (
                measurement.has(doubt) || sensor.has(WEAK),
                Quality::QUESTIONABLE,
            ),
            (off_body, Quality::NO_CONTACT),
        ]
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(Quality::GOOD, |quality, (_, flag)| quality.with(flag));
        let disowned = MeasurementStatus::UNAVAILABLE.with(MeasurementStatus::INVALID);
        Self {
            quality,
            invalid: measurement.has(disowned),
            off_body,
        }
    }
}

pub(super) fn oximeter(
    out: &mut Collector<'_>,
    pair: SpO2Pr,
    pai: Option<Number>,
    status: Status,
    stamp: Option<Stamp>,
) {
    let mut one = |kind, number| {
        let value = match number {
            _ if status.invalid && status.off_body => Value::Absent(Absence::NoContact),
            _ if status.invalid => Value::Absent(Absence::NotANumber),
            Number::Special(_) if status.off_body => Value::Absent(Absence::NoContact),
            Number::Finite(_) | Number::Special(_) => value(kind, number),
        };
        out.stamped(kind, value, stamp, status.quality);
    };
    one(Kind::OxygenSaturation, pair.spo2);
    one(Kind::PulseRate, pair.pulse_rate);
    if let Some(pai) = pai {
        one(Kind::PulseAmplitudeIndex, pai);
    }
}
