//! A failing heart that decompensates: weight, resting heart rate, respiration, saturation and activity drift together, over
//! days, each a little.
//!
//! Each of a day's numbers is held against this person's own level and spread, in the direction of trouble, cut at four standard
//! deviations; their sum over the root of their number (so that what is missing neither hides nor makes anything) goes into a
//! cumulative sum. While that sum is above nothing, nobody's level follows: a drift is not learned as usual. The published
//! models of this kind (LINK-HF) are such a comparison with the person alone; weight alone finds one in two to five.
//!
//! Medium priority: call this person today. Must not know: alerts' life, who has heart failure.

use alloc::format;
use alloc::string::String;

use vitals::{Kind, Quality, Span, Time};

use super::days::{Day, FEATURES};
use super::drift::{Drift, Rule};
use super::usual;
use super::{Model, Shown, Stand, Standing};
use crate::alert::Condition;
use crate::life::Say;

pub(super) const MODEL: Model = Model {
    name: "heart-failure-drift/1",
    condition: Condition::HeartFailureDrift,
    standing: Standing::Live,
    definition,
};

/// Name, kind, direction of trouble, smallest spread believed.
const OF: [(&str, Option<Kind>, f64, f64); FEATURES] = [
    ("Weight", Some(Kind::BodyWeight), 1.0, 0.4),
    ("Resting heart rate", Some(Kind::HeartRate), 1.0, 1.0),
    ("Respiration", Some(Kind::RespiratoryRate), 1.0, 0.5),
    ("Saturation", Some(Kind::OxygenSaturation), -1.0, 0.4),
    ("Steps", Some(Kind::StepsTaken), -1.0, 500.0),
];
/// Standard deviations that one number may give.
const MOST: f64 = 4.0;
const LEAST: f64 = -1.0;
/// What a day's sum must be above to count, and what they add up to.
const SLACK: f64 = 1.0;
const LIMIT: f64 = 6.0;
/// An alert rests on two numbers at least that are so far from usual in the mean of the last days.
const SPEAKS: f64 = 0.7;
const LEANS: f64 = 0.3;
/// Levels freeze above it; a drift of a single number does not freeze them for ever.
const FROZEN: f64 = 2.0;
const FROZEN_DAYS: u32 = 21;
const DAY_US: i64 = 86_400_000_000;

const fn usual(floor: f64) -> usual::Rule {
    usual::Rule {
        points: 10,
        span: Span::from_mins(10 * 24 * 60),
        memory: 28.0,
        floor,
    }
}

const DRIFT: Rule<FEATURES> = Rule {
    of: [
        (OF[0].2, OF[0].3),
        (OF[1].2, OF[1].3),
        (OF[2].2, OF[2].3),
        (OF[3].2, OF[3].3),
        (OF[4].2, OF[4].3),
    ],
    usual,
    least: LEAST,
    most: MOST,
    slack: SLACK,
    limit: LIMIT,
    leans: LEANS,
    // A scale is not stepped on each day.
    fades: false,
    frozen: FROZEN,
    frozen_most: FROZEN_DAYS,
};

/// What the days added up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct HeartFailure {
    drift: Drift<FEATURES>,
}

impl HeartFailure {
    /// A day is over.
    pub(super) fn take(&mut self, day: &Day) -> Option<Say> {
        let start = |day: i64| Time::from_micros(day.saturating_mul(DAY_US));
        let at = start(day.day);
        let enough = |apart: &[Option<f64>; FEATURES]| apart.iter().flatten().count() >= 2;
        let apart = self.drift.take(&DRIFT, (day.day, at), &day.values, enough);
        let Drift {
            sum, lean, since, ..
        } = self.drift;
        if sum < LIMIT {
            return (sum < LIMIT / 3.0).then_some(Say::Resolve(MODEL.condition));
        }
        let speak = lean.iter().filter(|lean| **lean >= SPEAKS).count();
        if speak < 2 {
            return None;
        }
        let parts = (0..FEATURES).filter_map(|place| {
            let (name, kind, ..) = OF[place];
            let apart = apart[place]?;
            let label = format!("{name}, {apart:.1} of this person's deviations towards trouble");
            Some((kind, label, day.values[place]?, None, apart.max(0.0)))
        });
        let shown = Shown {
            model: MODEL,
            priority: MODEL.condition.base(),
            onset: start(since.unwrap_or(day.day)),
            at: at + Span::from_micros(DAY_US),
            summary: format!(
                "Signs of heart failure drift together since {} days: sum {:.1}, limit {LIMIT}.",
                day.day - since.unwrap_or(day.day) + 1,
                sum
            ),
            plain: "Weight, pulse, breathing or activity have changed together over days. Please call the team today.",
            parts: parts.collect(),
            // Several numbers over a long time: no single one would have avoided it.
            avoided: [None; 2],
            quality: Quality::GOOD,
        };
        Some(Say::Raise(shown.draft()))
    }

    pub(super) fn stand(&self) -> Stand {
        Stand {
            figure: if self.drift.known {
                Ok(self.drift.sum)
            } else {
                Err("fewer than two of its numbers are learned")
            },
            cut: LIMIT,
        }
    }
}

fn definition() -> String {
    format!(
        "{} {OF:?} {LEAST} {MOST} slack {SLACK} limit {LIMIT} speaks {SPEAKS} {LEANS} frozen {FROZEN} {FROZEN_DAYS} {:?}",
        MODEL.name,
        usual(0.0)
    )
}

crate::canonical_fields! {
    HeartFailure { drift }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// A month of quiet days with their spread, then `then`; days on which it raises, counted from then.
    fn raised(then: impl Fn(i64) -> [Option<f64>; FEATURES], days: i64) -> Vec<i64> {
        let mut heart = HeartFailure::default();
        let sway = |day: i64| [-1.0, 0.5, 1.0, -0.5, 0.0][day.rem_euclid(5) as usize];
        let quiet = |day: i64| {
            let s = sway(day);
            [
                Some(80.0 + 0.3 * s),
                Some(62.0 + sway(day * 2)),
                Some(15.0 + 0.4 * sway(day * 3)),
                Some(96.0 + 0.3 * s),
                Some(4000.0 + 600.0 * sway(day + 2)),
            ]
        };
        (0..30 + days)
            .filter(|day| {
                let values = if *day < 30 {
                    quiet(*day)
                } else {
                    let (quiet, then) = (quiet(*day), then(day - 30));
                    core::array::from_fn(|at| quiet[at].zip(then[at]).map(|(a, b)| a + b))
                };
                matches!(heart.take(&Day { day: *day, values }), Some(Say::Raise(_)))
            })
            .map(|day| day - 30)
            .collect()
    }

    #[test]
    fn a_drift_of_several_is_told_within_days() {
        let drift = |day: i64| {
            let part = day as f64 / 10.0;
            [
                2.5 * part,
                7.0 * part,
                3.0 * part,
                -1.5 * part,
                -1500.0 * part,
            ]
            .map(Some)
        };
        let days = raised(drift, 14);
        assert!(
            days.first().is_some_and(|first| (2..8).contains(first)),
            "{days:?}"
        );
    }

    #[test]
    fn quiet_days_and_a_heavy_dinner_are_not() {
        assert!(raised(|_| [Some(0.0); FEATURES], 60).is_empty());
        let dinner = |day: i64| {
            let much = if day == 5 { 2.0 } else { 0.0 };
            [Some(much), Some(much), Some(0.0), Some(0.0), Some(0.0)]
        };
        assert!(raised(dinner, 30).is_empty());
        // A new scale is one number, however far.
        let scale = |_| [Some(6.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0)];
        assert!(raised(scale, 30).is_empty());
    }

    #[test]
    fn what_is_not_measured_hides_nothing() {
        let drift = |day: i64| {
            let part = day as f64 / 10.0;
            [Some(2.5 * part), Some(7.0 * part), None, None, None]
        };
        assert!(!raised(drift, 14).is_empty());
    }
}
