//! Breathing that gets worse over hours: respiration, saturation and pulse drift together, each a little, before any of them is
//! beyond a limit. Half hours at rest are held against this person's own level and spread (someone with COPD lives at 90 % and
//! 24/min), cut at four standard deviations; their sum over the root of their number goes into a cumulative sum, and levels
//! do not follow while it stands.
//!
//! Respiration or saturation must be among what drifts, and one other number with it: a fast pulse alone is no breathing.
//! Medium priority. Abstains until a day is known. Must not know: alerts' life, which sensor measured.

use alloc::format;
use alloc::string::String;

use vitals::{Kind, Quality, Span, Time};

use super::days::Sum;
use super::drift::{Drift, Rule};
use super::usual;
use super::{Model, Shown, Stand, Standing};
use crate::alert::Condition;
use crate::life::Say;

pub(super) const MODEL: Model = Model {
    name: "breathing-drift/1",
    condition: Condition::BreathingDrift,
    standing: Standing::Live,
    definition,
};

const FEATURES: usize = 3;
/// Name, kind, direction of trouble, smallest spread believed.
const OF: [(&str, Kind, f64, f64); FEATURES] = [
    ("Respiration", Kind::RespiratoryRate, 1.0, 1.2),
    ("Saturation", Kind::OxygenSaturation, -1.0, 0.8),
    ("Pulse", Kind::HeartRate, 1.0, 5.0),
];
const HALF_HOUR_US: i64 = 1_800_000_000;
/// Standard deviations that one number may give.
const MOST: f64 = 4.0;
const LEAST: f64 = -1.0;
/// What a half hour's sum must be above to count, and what they add up to.
const SLACK: f64 = 1.5;
const LIMIT: f64 = 6.0;
/// An alert rests on two numbers at least that are so far from usual in the mean of the last half hours.
const SPEAKS: f64 = 1.0;
const LEANS: f64 = 0.4;
/// Levels freeze above it, for two days at most.
const FROZEN: f64 = 2.0;
const FROZEN_MOST: u32 = 96;

const fn usual(floor: f64) -> usual::Rule {
    usual::Rule {
        points: 24,
        span: Span::from_mins(24 * 60),
        memory: 300.0,
        floor,
    }
}

const DRIFT: Rule<FEATURES> = Rule {
    of: [(OF[0].2, OF[0].3), (OF[1].2, OF[1].3), (OF[2].2, OF[2].3)],
    usual,
    least: LEAST,
    most: MOST,
    slack: SLACK,
    limit: LIMIT,
    leans: LEANS,
    fades: true,
    frozen: FROZEN,
    frozen_most: FROZEN_MOST,
};

/// The open half hour, and what those before it added up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Breathing {
    open: i64,
    sums: [Sum; FEATURES],
    drift: Drift<FEATURES>,
}

impl Breathing {
    /// A usable value that is about now, of somebody at rest.
    pub(super) fn take(&mut self, kind: Kind, at: Time, value: f64) -> Option<Say> {
        let place = OF.iter().position(|(_, of, ..)| *of == kind)?;
        let half_hour = at.as_micros().div_euclid(HALF_HOUR_US);
        if half_hour < self.open {
            return None;
        }
        let said = if half_hour > self.open {
            let values = core::mem::take(&mut self.sums).map(Sum::mean);
            let closed = core::mem::replace(&mut self.open, half_hour);
            self.close(closed, values)
        } else {
            None
        };
        self.sums[place].take(value);
        said
    }

    fn close(&mut self, half_hour: i64, values: [Option<f64>; FEATURES]) -> Option<Say> {
        let start = |half_hour: i64| Time::from_micros(half_hour.saturating_mul(HALF_HOUR_US));
        let enough = |apart: &[Option<f64>; FEATURES]| {
            apart.iter().flatten().count() >= 2 && apart[..2].iter().any(Option::is_some)
        };
        let step = (half_hour, start(half_hour));
        let apart = self.drift.take(&DRIFT, step, &values, enough);
        let Drift {
            sum, lean, since, ..
        } = self.drift;
        if sum < LIMIT {
            return (sum < LIMIT / 3.0).then_some(Say::Resolve(MODEL.condition));
        }
        let speaks = |lean: &f64| *lean >= SPEAKS;
        if !lean[..2].iter().any(speaks) || lean.iter().filter(|of| speaks(of)).count() < 2 {
            return None;
        }
        let parts = (0..FEATURES).filter_map(|place| {
            let (name, kind, ..) = OF[place];
            let apart = apart[place]?;
            let label = format!("{name}, {apart:.1} of this person's deviations towards trouble");
            Some((Some(kind), label, values[place]?, None, apart.max(0.0)))
        });
        let since = since.unwrap_or(half_hour);
        #[expect(clippy::cast_precision_loss, reason = "hours")]
        let hours = (half_hour + 1 - since) as f64 / 2.0;
        let shown = Shown {
            model: MODEL,
            priority: MODEL.condition.base(),
            onset: start(since),
            at: start(half_hour + 1),
            summary: format!(
                "Breathing has been getting worse for {hours:.1} h against this person's own usual: sum {sum:.1}, limit {LIMIT}."
            ),
            plain: "Breathing, oxygen and pulse have changed together over hours. Please call this person.",
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
                Err(UNKNOWN)
            },
            cut: LIMIT,
        }
    }
}

const UNKNOWN: &str = "respiration and saturation at rest are not known for a day";

fn definition() -> String {
    format!(
        "{} {OF:?} {MOST} {LEAST} {SLACK} {LIMIT} {SPEAKS} {LEANS} {FROZEN} {FROZEN_MOST} {:?}",
        MODEL.name,
        usual(0.0)
    )
}

crate::canonical_fields! {
    Breathing { open, sums, drift }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Half hours of respiration, saturation and pulse after three usual days.
    fn after(usual: [f64; 3], hours: &[[f64; 3]]) -> (Breathing, Vec<Say>) {
        let (mut breathing, mut said) = (Breathing::default(), Vec::new());
        let before = (0..144).map(|number| {
            let sway = if number % 2 == 0 { 0.5 } else { -0.5 };
            usual.map(|value| value + sway)
        });
        for (number, values) in before.chain(hours.iter().copied()).enumerate() {
            let at = Time::ZERO + Span::from_mins(30 * i64::try_from(number).expect("few"));
            for ((_, kind, ..), value) in OF.iter().zip(values) {
                said.extend(breathing.take(*kind, at, value));
            }
        }
        said.retain(|said| matches!(said, Say::Raise(_)));
        (breathing, said)
    }

    #[test]
    fn a_pneumonia_is_told_before_a_number_is_beyond_a_limit() {
        // Each half hour a little: below every limit for four hours.
        let worse = |n: u32| {
            let n = f64::from(n);
            [16.0 + 0.7 * n, 96.0 - 0.35 * n, 72.0 + 2.0 * n]
        };
        let worse: Vec<[f64; 3]> = (0..10).map(worse).collect();
        assert!(!after([16.0, 96.0, 72.0], &worse).1.is_empty());
        assert!(
            after([16.0, 96.0, 72.0], &[[16.0, 96.0, 72.0]; 10])
                .1
                .is_empty()
        );
    }

    #[test]
    fn whoever_lives_at_90_percent_is_held_against_themselves() {
        let own = [24.0, 90.0, 88.0];
        assert!(after(own, &[own; 48]).1.is_empty());
        let worse = [29.0, 86.5, 99.0];
        assert!(!after(own, &[worse; 6]).1.is_empty());
    }

    #[test]
    fn a_fast_pulse_alone_is_no_breathing() {
        assert!(
            after([16.0, 96.0, 72.0], &[[16.0, 96.0, 110.0]; 24])
                .1
                .is_empty()
        );
    }

    #[test]
    fn with_one_number_it_abstains() {
        let mut breathing = Breathing::default();
        for number in 0..200 {
            let at = Time::ZERO + Span::from_mins(30 * number);
            assert!(
                breathing
                    .take(Kind::OxygenSaturation, at, 96.0)
                    .is_none_or(|said| matches!(said, Say::Resolve(_)))
            );
        }
        assert!(breathing.stand().figure.is_err());
    }
}
