//! Glucose: meters, what people ate, and continuous monitors.
//!
//! Everything becomes mg/dL. A context belongs to the record before it and gets that record's time; a
//! monitor's records count from its session's start, and without one they get the time of receipt, marked.

use super::clock::DeviceClock;
use super::{Collector, Memory, SECOND, scaled, value};
use crate::gatt::{
    CgmRecord, CgmSessionStart, GlucoseContext, GlucoseMeasurement, GlucoseSample, GlucoseUnit,
};
use crate::{Absence, Fixed, Kind, Quality, Span, Time, Value};

/// mg/dL in a kg/L, and in a mol/L (180.156 g/mol).
const PER_KG_PER_LITRE: f64 = 100_000.0;
const PER_MOL_PER_LITRE: f64 = 18_015.6;

/// Control solution: the meter was tested, not the patient.
const CONTROL_SOLUTION: u8 = 10;

// Sensor status annunciation of 2A18.
const DOUBT: u16 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10;
const ABOVE_RANGE: u16 = 1 << 5;
const BELOW_RANGE: u16 = 1 << 6;
const CLOCK_FAULT: u16 = 1 << 11;

// Octets of a continuous monitor's annunciation. Session stopped, wrong sensor, broken sensor, broken device.
const STATUS_DOUBT: u8 = 1 | 1 << 2 | 1 << 3 | 1 << 5;
/// Calibration required, sensor too hot, too cold.
const CALTEMP_DOUBT: u8 = 1 << 3 | 1 << 4 | 1 << 5;
const WARNING_BELOW: u8 = 1 << 6;
const WARNING_ABOVE: u8 = 1 << 7;

pub(super) fn measurement(
    out: &mut Collector<'_>,
    measurement: &GlucoseMeasurement,
    memory: &mut Memory,
) {
    let status = measurement.sensor_status.unwrap_or_default();
    let offset = Span::from_mins(i64::from(measurement.time_offset_min.unwrap_or_default()));
    let wall = measurement.base_time.as_if_utc();
    let sound = status & CLOCK_FAULT == 0;
    let stamp = Some(out.judge(wall.map(|wall| wall + offset), SECOND, sound));
    memory.glucose = Some((measurement.sequence, stamp));
    let Some(sample) = measurement.sample else {
        return;
    };
    let kind = Kind::BloodGlucose;
    let value = if status & ABOVE_RANGE != 0 {
        Value::Absent(Absence::PositiveInfinity)
    } else if status & BELOW_RANGE != 0 {
        Value::Absent(Absence::NegativeInfinity)
    } else {
        match sample.unit {
            GlucoseUnit::KgPerLitre => scaled(kind, sample.concentration, PER_KG_PER_LITRE),
            GlucoseUnit::MolPerLitre => scaled(kind, sample.concentration, PER_MOL_PER_LITRE),
        }
    };
    out.stamped(kind, value, stamp, quality(sample, status));
}

fn quality(sample: GlucoseSample, status: u16) -> Quality {
    let context = Quality::sample(sample.fluid, sample.location);
    let test = if sample.fluid == CONTROL_SOLUTION {
        context.with(Quality::DEVICE_TEST)
    } else {
        context
    };
    if status & DOUBT == 0 {
        test
    } else {
        test.with(Quality::QUESTIONABLE)
    }
}

pub(super) fn context(out: &mut Collector<'_>, context: &GlucoseContext, memory: &Memory) {
    // A context of a record that never came: nobody knows when it was.
    let stamp = match memory.glucose {
        Some((sequence, stamp)) if sequence == context.sequence => stamp,
        Some(_) | None => Some(out.judge(None, SECOND, false)),
    };
    if let Some(meal) = context.meal {
        let code = Value::Measured(Fixed(i64::from(meal.code())));
        out.stamped(Kind::MealContext, code, stamp, Quality::GOOD);
    }
    if let Some((_, kilograms)) = context.carbohydrate {
        let grams = scaled(Kind::Carbohydrates, kilograms, 1000.0);
        out.stamped(Kind::Carbohydrates, grams, stamp, Quality::GOOD);
    }
    if let Some(percent) = context.hba1c {
        let percent = value(Kind::HaemoglobinA1c, percent);
        out.stamped(Kind::HaemoglobinA1c, percent, stamp, Quality::GOOD);
    }
}

pub(super) fn session(out: &mut Collector<'_>, start: &CgmSessionStart, memory: &mut Memory) {
    if start.crc_ok == Some(false) {
        return;
    }
    if memory.session.replace(*start) != Some(*start) {
        out.counter = DeviceClock::default();
    }
}

pub(super) fn monitor(out: &mut Collector<'_>, records: &[CgmRecord], memory: &Memory) {
    let start = memory.session.and_then(|session| {
        let wall = session.time.as_if_utc()?;
        let utc = session.utc(out.origin.clock_ahead)?;
        Some((wall, wall.since(utc)))
    });
    // Without a start the minutes still count: from 1970, which nobody believes until deliveries agree.
    let (start, ahead) = start.unwrap_or((Time::ZERO, Span::ZERO));
    // A record whose checksum does not fit is counted by `damaged`, and is none.
    for record in records.iter().filter(|one| one.crc_ok != Some(false)) {
        let counted = Span::from_mins(i64::from(record.time_offset_min));
        let stamp = Some(out.judge_counted(start + counted, ahead));
        let has = |octet: Option<u8>, bits: u8| octet.is_some_and(|octet| octet & bits != 0);
        let doubt = has(record.status, STATUS_DOUBT) || has(record.caltemp, CALTEMP_DOUBT);
        let quality = if doubt {
            Quality::QUESTIONABLE
        } else {
            Quality::GOOD
        };
        let glucose = if has(record.warning, WARNING_ABOVE) {
            Value::Absent(Absence::PositiveInfinity)
        } else if has(record.warning, WARNING_BELOW) {
            Value::Absent(Absence::NegativeInfinity)
        } else {
            value(Kind::InterstitialGlucose, record.glucose)
        };
        out.stamped(Kind::InterstitialGlucose, glucose, stamp, quality);
        if let Some(trend) = record.trend {
            let rate = value(Kind::GlucoseRate, trend);
            out.stamped(Kind::GlucoseRate, rate, stamp, quality);
        }
    }
}
