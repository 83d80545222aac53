//! Scales: weight and what a body is made of, in kilograms.
//!
//! Scales count in steps; a step count of 65535 says that the measurement failed, and is an absence. A weight
//! that still moves is no reading.

use super::{Collector, Stamp, fixed_or_absent};
use crate::gatt::{BodyComposition, MiScale, ScaleUnits, WeightMeasurement};
use crate::{Absence, Fixed, Kind, Quality, Value};

pub(super) const KG_PER_LB: f64 = 0.453_592_37;
const CM_PER_INCH: f64 = 2.54;

fn steps(kind: Kind, steps: u16, step: f64) -> Value {
    if steps == u16::MAX {
        Value::Absent(Absence::NotANumber)
    } else {
        fixed_or_absent(Fixed::from_f64(kind, f64::from(steps) * step))
    }
}

/// Kilograms in a step.
const fn mass_step(units: ScaleUnits) -> f64 {
    match units {
        ScaleUnits::Metric => 0.005,
        ScaleUnits::Imperial => 0.01 * KG_PER_LB,
    }
}

/// Centimetres in a step.
const fn height_step(units: ScaleUnits) -> f64 {
    match units {
        ScaleUnits::Metric => 0.1,
        ScaleUnits::Imperial => 0.1 * CM_PER_INCH,
    }
}

pub(super) fn weight(out: &mut Collector<'_>, value: &WeightMeasurement) {
    let stamp = out.stamp(value.time, true);
    let mut one = |kind, count, step| {
        out.stamped(kind, steps(kind, count, step), stamp, Quality::GOOD);
    };
    one(Kind::BodyWeight, value.weight, mass_step(value.units));
    if let Some((index, height)) = value.bmi_and_height {
        one(Kind::BodyMassIndex, index, 0.1);
        one(Kind::BodyHeight, height, height_step(value.units));
    }
}

pub(super) fn composition(out: &mut Collector<'_>, value: &BodyComposition) {
    let stamp = out.stamp(value.time, true);
    let mass = mass_step(value.units);
    let parts = [
        (Kind::BodyFat, Some(value.body_fat), 0.1),
        (Kind::BasalMetabolism, value.basal_metabolism_kj, 1.0),
        (Kind::MusclePart, value.muscle_percentage, 0.1),
        (Kind::MuscleMass, value.muscle_mass, mass),
        (Kind::FatFreeMass, value.fat_free_mass, mass),
        (Kind::SoftLeanMass, value.soft_lean_mass, mass),
        (Kind::BodyWaterMass, value.body_water_mass, mass),
        (Kind::BodyImpedance, value.impedance, 0.1),
        (Kind::BodyWeight, value.weight, mass),
        (Kind::BodyHeight, value.height, height_step(value.units)),
    ];
    for (kind, count, step) in parts {
        if let Some(count) = count {
            out.stamped(kind, steps(kind, count, step), stamp, Quality::GOOD);
        }
    }
}

pub(super) fn mi_scale(out: &mut Collector<'_>, value: &MiScale) {
    if !value.is_stabilised() {
        return;
    }
    let units = if value.is_pounds() {
        ScaleUnits::Imperial
    } else {
        ScaleUnits::Metric
    };
    let stamp: Option<Stamp> = out.stamp(Some(value.time), true);
    let weight = steps(Kind::BodyWeight, value.weight, mass_step(units));
    out.stamped(Kind::BodyWeight, weight, stamp, Quality::GOOD);
    if !matches!(value.impedance, 0 | u16::MAX) {
        let impedance = steps(Kind::BodyImpedance, value.impedance, 1.0);
        out.stamped(Kind::BodyImpedance, impedance, stamp, Quality::GOOD);
    }
}
