//! Whether this person is walking now, as their step counter tells: what NEWS2 must know, because pulse and respiration are
//! scored as of somebody at rest.
//!
//! Promises: only steps that were counted say that somebody walks, so without a step counter nothing is ever excused; and no
//! walk is one for longer than [`EXCUSED`], whatever a counter goes on to tell (rigors and tremor count steps, too).
//! Must not know: scores, alerts.

use vitals::{Span, Time};

/// Fewer steps a minute are the steps of somebody at home.
const PACE: f64 = 50.0;
/// A counter that says less often does not tell when the steps were.
const TOLD_WITHIN: Span = Span::from_mins(3);
/// Pulse and respiration are back at rest so long after the last steps.
const RECOVERY: Span = Span::from_mins(3);
/// The longest time for which walking explains anything.
pub(crate) const EXCUSED: Span = Span::from_mins(30);

/// For scores.
pub(crate) const MOVING: &str = "walking: not scored as at rest";

/// The last walk.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Motion {
    /// Its begin, and the newest steps of it.
    walk: Option<(Time, Time)>,
}

impl Motion {
    /// So many steps were counted in the time `over` before `at`.
    pub(crate) fn take(&mut self, at: Time, steps: u32, over: Span) {
        let told = over > Span::ZERO && over <= TOLD_WITHIN;
        if !told || f64::from(steps) * 60.0 < PACE * over.as_secs_f64() {
            return;
        }
        self.walk = match self.walk {
            Some((begin, last)) if at < last => Some((begin, last)),
            Some((begin, last)) if at.since(last) <= RECOVERY => Some((begin, at)),
            Some(_) | None => Some((at - over, at)),
        };
    }

    /// Walking explains a fast pulse at `now`.
    pub(crate) fn explains(&self, now: Time) -> bool {
        self.walk.is_some_and(|(begin, last)| {
            begin <= now && now.since(last) < RECOVERY && now.since(begin) < EXCUSED
        })
    }
}

crate::canonical_fields! {
    Motion { walk }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Time {
        Time::ZERO + Span::from_mins(minutes)
    }

    fn walked(minutes: core::ops::RangeInclusive<i64>, steps: u32) -> Motion {
        let mut motion = Motion::default();
        minutes.for_each(|minute| motion.take(at(minute), steps, Span::from_mins(1)));
        motion
    }

    #[test]
    fn nothing_is_explained_without_steps_or_by_a_few() {
        assert!(!Motion::default().explains(at(10)));
        assert!(!walked(1..=10, 30).explains(at(10)));
        assert!(walked(1..=10, 60).explains(at(10)), "control");
    }

    #[test]
    fn a_walk_explains_until_one_has_rested_and_half_an_hour_at_most() {
        let walk = walked(1..=10, 100);
        assert!(walk.explains(at(12)) && !walk.explains(at(13)));
        let endless = walked(1..=600, 100);
        assert!(endless.explains(at(29)) && !endless.explains(at(30)));
        assert!(!endless.explains(at(600)), "a counter that never stops");
    }

    #[test]
    fn a_total_of_a_quarter_of_an_hour_does_not_say_when() {
        let mut motion = Motion::default();
        motion.take(at(15), 1500, Span::from_mins(15));
        assert!(!motion.explains(at(15)));
    }
}
