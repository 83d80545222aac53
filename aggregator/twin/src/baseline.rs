//! What is usual for this person: a slow, robust level with its spread, learned from minute means.
//!
//! Each minute's mean moves the level by a Huberised step, so that an hour of trouble does not become the
//! new normal at once. Nothing is shown before enough points over enough time (see [`rule`]). Late data
//! count like live data; a minute whose readings arrive in pieces counts once per piece.
//!
//! No time of day is modelled yet: the band covers day and night alike.

use vitals::{Fixed, Kind, Span, Time};

/// Residuals beyond this many standard deviations are pulled in (Huber).
const CLIP: f64 = 2.5;
/// Mean square of a standard normal clipped at 2.5: the spread is corrected by it.
const CLIPPED_VARIANCE: f64 = 0.978;
/// Points before clipping begins: the first spread is a guess.
const UNCLIPPED: u32 = 10;

/// When a baseline counts as learned, and how fast it forgets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Minute means needed.
    pub points: u32,
    /// Time they must span.
    pub span: Span,
    /// Points after which an old one has lost 63 % of its weight.
    pub memory: f64,
    /// Smallest standard deviation believed, in the kind's unit.
    pub floor: f64,
}

/// The rule for a kind; `None` where a baseline says nothing (counters, batteries, single intervals).
#[must_use]
pub const fn rule(kind: Kind) -> Option<Rule> {
    // Streaming kinds: two hours of minutes over at least six hours; three days of memory.
    const fn streaming(floor: f64) -> Option<Rule> {
        Some(Rule {
            points: 120,
            span: Span::from_mins(6 * 60),
            memory: 4320.0,
            floor,
        })
    }
    // Spot checks: ten over at least three days; a month of two a day.
    const fn sparse(floor: f64) -> Option<Rule> {
        Some(Rule {
            points: 10,
            span: Span::from_mins(3 * 24 * 60),
            memory: 60.0,
            floor,
        })
    }
    match kind {
        Kind::HeartRate | Kind::PulseRate => streaming(1.0),
        Kind::OxygenSaturation => streaming(0.3),
        Kind::RespiratoryRate => streaming(0.5),
        Kind::BodyTemperature => sparse(0.1),
        Kind::SystolicPressure | Kind::DiastolicPressure | Kind::MeanPressure => sparse(2.0),
        Kind::RrInterval
        | Kind::EnergyExpended
        | Kind::PulseAmplitudeIndex
        | Kind::BatteryLevel
        | Kind::StepCount
        | Kind::BodyWeight
        | Kind::BodyFat
        | Kind::BodyMassIndex
        | Kind::BodyHeight
        | Kind::MuscleMass
        | Kind::MusclePart
        | Kind::FatFreeMass
        | Kind::SoftLeanMass
        | Kind::BodyWaterMass
        | Kind::BodyImpedance
        | Kind::BasalMetabolism
        | Kind::BloodGlucose
        | Kind::InterstitialGlucose
        | Kind::GlucoseRate
        | Kind::MealContext
        | Kind::Carbohydrates
        | Kind::HaemoglobinA1c
        | Kind::StepsTaken
        | Kind::PulseInterval
        | Kind::RoomTemperature => None,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Minute {
    index: i64,
    sum: i64,
    count: i64,
}

/// A personal baseline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    level: f64,
    variance: f64,
    points: u32,
    first: Time,
    last: Time,
    live: Minute,
    late: Minute,
}

impl Baseline {
    /// Takes a usable reading, in any order.
    pub fn take(&mut self, kind: Kind, effective: Time, value: Fixed) {
        let Some(rule) = rule(kind) else { return };
        let index = effective.as_micros().div_euclid(60_000_000);
        let is_late = self.live.count > 0 && index < self.live.index;
        let minute = if is_late {
            &mut self.late
        } else {
            &mut self.live
        };
        let closed = (minute.count > 0 && minute.index != index).then_some(*minute);
        if closed.is_some() || minute.count == 0 {
            *minute = Minute {
                index,
                sum: 0,
                count: 0,
            };
        }
        minute.sum = minute.sum.saturating_add(value.0);
        minute.count += 1;
        if let Some(closed) = closed {
            self.fold(kind, rule, closed);
        }
    }

    /// Level and 95 % band, once learned.
    #[must_use]
    pub fn learned(&self, kind: Kind) -> Option<(f64, (f64, f64))> {
        let rule = rule(kind)?;
        let enough = self.points >= rule.points && self.last.since(self.first) >= rule.span;
        let half = 1.96 * libm::sqrt(self.variance).max(rule.floor);
        enough.then_some((self.level, (self.level - half, self.level + half)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "sums of a minute's readings stay far below 2^53"
    )]
    fn fold(&mut self, kind: Kind, rule: Rule, minute: Minute) {
        let mean = minute.sum as f64 / minute.count as f64 / crate::window::per_unit(kind);
        let at = Time::from_micros(minute.index.saturating_mul(60_000_000));
        if self.points == 0 {
            (self.level, self.variance) = (mean, rule.floor * rule.floor);
            (self.first, self.last) = (at, at);
        }
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        let sigma = libm::sqrt(self.variance).max(rule.floor);
        let residual = mean - self.level;
        let clipped = if self.points < UNCLIPPED {
            residual
        } else {
            residual.clamp(-CLIP * sigma, CLIP * sigma)
        };
        self.points = self.points.saturating_add(1);
        let weight = (1.0 / f64::from(self.points)).max(1.0 / rule.memory);
        self.level += weight * clipped;
        self.variance += weight * (clipped * clipped / CLIPPED_VARIANCE - self.variance);
    }
}

crate::canonical_fields! {
    Minute { index, sum, count }
    Baseline { level, variance, points, first, last, live, late }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(values: impl Iterator<Item = i64>) -> Baseline {
        let mut baseline = Baseline::default();
        for (minute, value) in values.enumerate() {
            baseline.take(
                Kind::HeartRate,
                Time::ZERO + Span::from_mins(minute as i64),
                Fixed(value),
            );
        }
        baseline
    }

    #[test]
    fn nothing_is_shown_before_it_is_learned() {
        assert_eq!(
            minutes((0..200).map(|_| 70)).learned(Kind::HeartRate),
            None,
            "long enough, not yet"
        );
        assert!(
            minutes((0..400).map(|_| 70))
                .learned(Kind::HeartRate)
                .is_some()
        );
    }

    #[test]
    fn the_level_and_the_band_are_those_of_the_data() {
        let baseline = minutes((0..2000).map(|n| 70 + [-4, -2, 0, 2, 4][n % 5]));
        let (level, (low, high)) = baseline
            .learned(Kind::HeartRate)
            .expect("learned after 2000 minutes");
        assert!((level - 70.0).abs() < 0.5, "{level}");
        assert!(
            (low - (70.0 - 1.96 * 2.83)).abs() < 1.0 && (high - (70.0 + 1.96 * 2.83)).abs() < 1.0
        );
    }

    #[test]
    fn an_hour_of_trouble_does_not_become_normal() {
        let values = (0..2000)
            .map(|n| 70 + [-4, -2, 0, 2, 4][n % 5])
            .chain((0..60).map(|_| 140));
        let (level, _) = minutes(values).learned(Kind::HeartRate).expect("learned");
        assert!(level < 71.0, "{level}");
    }

    #[test]
    fn late_minutes_count_as_well() {
        let mut baseline = minutes((0..400).map(|_| 70));
        let points = baseline.points;
        for second in 0..300 {
            baseline.take(
                Kind::HeartRate,
                Time::ZERO + Span::from_secs(3600 + second),
                Fixed(80),
            );
        }
        assert_eq!(baseline.points, points + 4);
    }
}
