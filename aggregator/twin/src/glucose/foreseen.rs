//! A limit is foreseen when it is likely that glucose is beyond it in half an hour: of a low with 0.4 at once, of a high with 0.5
//! twice in a row; no longer when that has become unlikely three times in a row, or when it has come.
//!
//! A low is foreseen however good the forecast has been for this person: means of quiet days say nothing about falls, and a
//! false one costs a look. A high harms over hours, so the forecast has to earn it: while half an hour ahead is not good enough
//! for this person ([`crate::board`]: too often outside its interval, or no nearer than persistence) no high is foreseen.
//!
//! Must not know: alerts' life.

use alloc::vec::Vec;

use super::words::{Shown, falling, rising};
use super::{Ahead, Glucose, HIGH, HIGH_HOLD, LOW};
use crate::alert::Condition;
use crate::life::Say;

/// What is likely, and how often in a row it must be.
const LOW_LIKELY: (f64, u8) = (0.4, 1);
const HIGH_LIKELY: (f64, u8) = (0.5, 2);
const UNLIKELY: f64 = 0.15;
const UNLIKELY_TIMES: u8 = 3;

/// How often in a row a limit was likely to be passed, and unlikely.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Foreseen {
    likely: u8,
    unlikely: u8,
}

impl Foreseen {
    /// Half an hour ahead; `None`: nobody knows.
    fn take(&mut self, probability: Option<f64>, (likely, _): (f64, u8)) {
        let count = |before: u8, holds: bool| if holds { before.saturating_add(1) } else { 0 };
        self.likely = count(self.likely, probability.is_some_and(|of| of >= likely));
        self.unlikely = count(self.unlikely, probability.is_some_and(|of| of < UNLIKELY));
    }

    const fn is_coming(&self, (_, times): (f64, u8)) -> bool {
        self.likely >= times
    }

    const fn is_over(&self) -> bool {
        self.unlikely >= UNLIKELY_TIMES
    }
}

impl Glucose {
    /// A forecast was made, or none could be.
    pub(super) fn foresee(&mut self) {
        let ahead = self.ahead().ok();
        let earned = !self.ledgers[0].recent.unfit;
        let low = ahead.map(|ahead| below(&ahead, LOW));
        self.falling.take(low, LOW_LIKELY);
        let high = |ahead| {
            if earned {
                1.0 - below(&ahead, HIGH)
            } else {
                0.0
            }
        };
        self.rising.take(ahead.map(high), HIGH_LIKELY);
    }

    pub(super) fn judge_foreseen(&self, shown: &Shown, said: &mut Vec<Say>) {
        let ahead = self.ahead();
        // What was foreseen has come: the low at its first reading, because it rings soon; the high when it is told.
        let (is_low, is_high) = (shown.value < LOW, self.high.held(HIGH_HOLD).is_some());
        if !is_low
            && self.falling.is_coming(LOW_LIKELY)
            && let Ok(ahead) = &ahead
        {
            said.push(Say::Raise(falling(
                shown,
                ahead.value[0],
                below(ahead, LOW),
            )));
        } else if is_low || self.falling.is_over() {
            said.push(Say::Resolve(Condition::GlucoseFalling));
        }
        if is_high || self.rising.is_over() {
            said.push(Say::Resolve(Condition::GlucoseRising));
        } else if shown.value <= HIGH
            && self.rising.is_coming(HIGH_LIKELY)
            && let Ok(ahead) = &ahead
        {
            said.push(Say::Raise(rising(
                shown,
                ahead.value[0],
                1.0 - below(ahead, HIGH),
            )));
        }
    }
}

/// Probability of less than `limit` in half an hour.
fn below(ahead: &Ahead, limit: f64) -> f64 {
    0.5 * libm::erfc((ahead.value[0] - limit) / (ahead.spread[0] * core::f64::consts::SQRT_2))
}

/// Its constants.
pub(super) fn definition() -> alloc::string::String {
    alloc::format!("foreseen {LOW_LIKELY:?} {HIGH_LIKELY:?} {UNLIKELY} {UNLIKELY_TIMES}")
}

crate::canonical_fields! {
    Foreseen { likely, unlikely }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::{Kind, Quality, Span, Time};

    fn at(slot: i64) -> Time {
        Time::ZERO + Span::from_mins(5 * slot)
    }

    /// Somebody whose sugar peaks at 235, and sinks to 165, and is known.
    fn known() -> Glucose {
        let mut glucose = Glucose::default();
        for slot in 1..=300 {
            feed(
                &mut glucose,
                slot,
                200.0 - 35.0 * libm::sin(slot as f64 / 12.0),
            );
        }
        glucose
    }

    /// The forecasts for half an hour have been far worse than persistence for a long time.
    fn spoil(glucose: &mut Glucose) {
        let recent = &mut glucose.ledgers[0].recent;
        (0..2000).for_each(|_| recent.take(500, false, (50.0, 1.0), 0.1));
        assert!(recent.unfit);
    }

    fn feed(glucose: &mut Glucose, slot: i64, value: f64) -> Vec<Say> {
        let mut said = glucose.take(at(slot), value, Quality::GOOD, at(slot), true);
        said.extend(glucose.settle());
        said
    }

    fn raised(said: &[Say], condition: Condition) -> bool {
        let is = |one: &Say| matches!(one, Say::Raise(draft) if draft.condition == condition);
        said.iter().any(is)
    }

    /// Climbs on, or falls on, for two hours: until it is raised, in which slot.
    fn goes_on(glucose: &mut Glucose, by: f64, condition: Condition) -> Option<i64> {
        let from = glucose.recent.back().expect("known").1;
        (301..325).find(|slot| {
            let value = from + by * (slot - 300) as f64;
            raised(&feed(glucose, *slot, value), condition)
        })
    }

    #[test]
    fn a_high_is_foreseen_where_the_forecast_is_good_enough_and_a_low_always() {
        for unfit in [false, true] {
            let mut glucose = known();
            if unfit {
                spoil(&mut glucose);
            }
            let high = goes_on(&mut glucose.clone(), 2.5, Condition::GlucoseRising);
            assert_eq!(high.is_none(), unfit);
            let low = goes_on(&mut glucose, -6.0, Condition::GlucoseFalling);
            assert!(low.is_some(), "{unfit}");
        }
    }

    #[test]
    fn what_stands_ends_where_the_forecast_is_no_longer_good_enough() {
        let mut glucose = known();
        let told = goes_on(&mut glucose, 2.5, Condition::GlucoseRising).expect("it climbs");
        spoil(&mut glucose);
        let ends = (1..=3).map(|slot| {
            let said = feed(&mut glucose, told + slot, 245.0);
            said.contains(&Say::Resolve(Condition::GlucoseRising))
        });
        assert_eq!(ends.collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn what_is_there_is_not_foreseen() {
        let mut glucose = known();
        let likely = Foreseen {
            likely: HIGH_LIKELY.1,
            unlikely: 0,
        };
        (glucose.rising, glucose.falling) = (likely, likely);
        for (value, [rises, falls]) in [
            (240.0, [true, true]),
            (251.0, [false, true]),
            (69.0, [true, false]),
        ] {
            let shown = Shown {
                kind: Kind::InterstitialGlucose,
                onset: at(301),
                at: at(301),
                value,
                quality: Quality::GOOD,
                before: None,
            };
            let mut said = Vec::new();
            glucose.judge_foreseen(&shown, &mut said);
            assert_eq!(raised(&said, Condition::GlucoseRising), rises, "{value}");
            assert_eq!(raised(&said, Condition::GlucoseFalling), falls, "{value}");
        }
    }
}
