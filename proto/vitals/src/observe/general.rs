//! Sensors that say what they measure: Generic Health Sensors, open watches, adverts.
//!
//! A number becomes a reading if its code and its unit are known together; nobody guesses a unit.

use super::{Collector, fixed_or_absent, scaled, value};
use crate::gatt::ghs::{ElapsedTime, Numeric, Observation};
use crate::gatt::{BangleLine, BtHome, Number, PolarRate};
use crate::{Absence, Fixed, Kind, Quality, Value};

// Units: MDC_DIM codes of ISO/IEEE 11073-10101.
const PERCENT: u16 = 544;
const BEATS: u16 = 2720;
const BREATHS: u16 = 2784;
const MMHG: u16 = 3872;
const KILOPASCAL: u16 = 3843;
const CELSIUS: u16 = 6048;
const FAHRENHEIT: u16 = 4416;
const KILOGRAM: u16 = 1731;
const POUND: u16 = 1760;
const CENTIMETRE: u16 = 1297;
const KG_PER_SQUARE_METRE: u16 = 1952;
const MG_PER_DECILITRE: u16 = 2130;

/// The same quantity under another code: pulse by cuff.
const PULSE_BY_CUFF: u32 = 149_546;

fn kind(code: u32) -> Option<Kind> {
    if code == PULSE_BY_CUFF {
        return Some(Kind::PulseRate);
    }
    let known = |kind: &Kind| code != 0 && kind.info().mdc == code;
    Kind::ALL.into_iter().find(known)
}

/// The number in the unit of its kind; `None` for a unit that is not the kind's.
fn converted(kind: Kind, numeric: Numeric) -> Option<Value> {
    let number = numeric.value;
    Some(match (kind.info().unit, numeric.unit) {
        ("%", PERCENT)
        | ("/min", BEATS | BREATHS)
        | ("mm[Hg]", MMHG)
        | ("Cel", CELSIUS)
        | ("kg", KILOGRAM)
        | ("cm", CENTIMETRE)
        | ("kg/m2", KG_PER_SQUARE_METRE)
        | ("mg/dL", MG_PER_DECILITRE) => value(kind, number),
        ("mm[Hg]", KILOPASCAL) => scaled(kind, number, super::MMHG_PER_KPA),
        ("kg", POUND) => scaled(kind, number, super::scale::KG_PER_LB),
        ("Cel", FAHRENHEIT) => match number {
            Number::Finite(decimal) => {
                let celsius = (decimal.to_f64() - 32.0) * 5.0 / 9.0;
                fixed_or_absent(Fixed::from_f64(kind, celsius))
            }
            Number::Special(special) => Value::Absent(special.absence()),
        },
        _ => return None,
    })
}

/// What a status says of what was measured; `None`: it was not.
pub(super) fn quality(status: u16) -> Option<Quality> {
    const INVALID: u16 = 1 | 1 << 2;
    const DOUBT: u16 = 1 << 1 | 1 << 3;
    const TEST: u16 = 1 << 4 | 1 << 5;
    const EARLY: u16 = 1 << 6;
    let has = |bits: u16| status & bits != 0;
    let quality = [
        (has(DOUBT), Quality::QUESTIONABLE),
        (has(TEST), Quality::DEVICE_TEST),
        (has(EARLY), Quality::ESTIMATE),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .fold(Quality::GOOD, |quality, (_, flag)| quality.with(flag));
    (!has(INVALID)).then_some(quality)
}

pub(super) fn observation(out: &mut Collector<'_>, observation: &Observation) {
    for (code, numeric, time, status) in observation.numbers() {
        let Some((kind, number)) =
            kind(code).and_then(|kind| Some((kind, converted(kind, numeric)?)))
        else {
            continue;
        };
        let (number, quality) = match quality(status) {
            Some(quality) => (number, quality),
            None => (Value::Absent(Absence::NotANumber), Quality::GOOD),
        };
        // Judged like every wall clock: the zone goes on again, because the judge takes it off.
        let ahead = out.origin.clock_ahead;
        let wall = |time: ElapsedTime| time.utc(ahead).map(|utc| utc + ahead);
        let stamp = time.map(|time| out.judge(wall(time), super::SECOND, true));
        out.stamped(kind, number, stamp, quality);
    }
}

pub(super) fn watch_line(out: &mut Collector<'_>, line: BangleLine) {
    /// Below this the watch itself draws its rate in grey.
    const SURE: f64 = 50.0;
    let doubt = line
        .confidence
        .and_then(Number::to_f64)
        .is_some_and(|percent| percent < SURE);
    let quality = if doubt {
        Quality::QUESTIONABLE
    } else {
        Quality::GOOD
    };
    if let Some(rate) = line.heart_rate {
        rate_reading(out, rate, quality);
    }
    if let Some(steps) = line.steps {
        out.stamped(
            Kind::StepsTaken,
            value(Kind::StepsTaken, steps),
            None,
            Quality::GOOD,
        );
    }
    if let Some(percent) = line.battery {
        let percent = value(Kind::BatteryLevel, percent);
        out.stamped(Kind::BatteryLevel, percent, None, Quality::GOOD);
    }
}

/// What Polar sensors advertise: the rate over little time, as the strap itself shows it.
pub(super) fn polar_advert(out: &mut Collector<'_>, rate: PolarRate) {
    rate_reading(out, Number::new(rate.fast.into(), 0), Quality::GOOD);
}

/// What a home sensor advertises. Its temperature is the room's: BTHome has no object for a body's.
pub(super) fn bthome(out: &mut Collector<'_>, sensor: &BtHome) {
    let known = [
        ("temperature", Kind::RoomTemperature),
        ("mass_kg", Kind::BodyWeight),
        ("battery", Kind::BatteryLevel),
    ];
    for (name, kind) in known {
        if let Some(number) = sensor.get(name) {
            out.stamped(kind, value(kind, number), None, Quality::GOOD);
        }
    }
    if let Some(pounds) = sensor.get("mass_lb") {
        let weight = scaled(Kind::BodyWeight, pounds, super::scale::KG_PER_LB);
        out.stamped(Kind::BodyWeight, weight, None, Quality::GOOD);
    }
}

/// A rate of 0 is no lock, as everywhere.
fn rate_reading(out: &mut Collector<'_>, rate: Number, quality: Quality) {
    let rate = match rate {
        Number::Finite(decimal) if decimal.mantissa == 0 => Value::Absent(Absence::NoLock),
        Number::Finite(_) | Number::Special(_) => value(Kind::HeartRate, rate),
    };
    out.stamped(Kind::HeartRate, rate, None, quality);
}
