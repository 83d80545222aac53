//! An illness that begins, by a resting heart rate that rises: NightSignal (Alavi et al. 2022, Nat Med 28:175), as published but
//! for one thing. Each day's rest ([`crate::resting`]) is held against the median of those before it; four beats a minute above
//! it on two consecutive days is the published red alert (a day without data between them is bridged). Here the limit is also
//! never less than two and a half of this person's own standard deviations, because restless nights are some people's nature.
//! When a beta blocker begins or ends, the days since then are another person's: each day is held against those, too, once
//! there are enough, and what is further above its limit counts. Neither hides the other.
//!
//! Low priority: look at this person today. Over when a day is back within three. Must not know: alerts' life.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Span, Time};

use super::{Model, Shown, Stand, Standing, one};
use crate::alert::Condition;
use crate::event::Blockade;
use crate::life::Say;
use crate::resting::{LEARNED, Night, median};

pub(super) const MODEL: Model = Model {
    name: "night-signal/2",
    condition: Condition::RestingHeartRateRaised,
    standing: Standing::Live,
    definition,
};

/// Beats a minute above the median: the published constants.
const RED: f64 = 4.0;
const BACK: f64 = 3.0;
/// Of one's own standard deviations (1.4826 of the median distance), at least.
const SIGMAS: f64 = 2.5;
const DAY_US: i64 = 86_400_000_000;

/// What was made of the days.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Illness {
    /// The last day, and whether it was above its limit.
    last: Option<(i64, bool)>,
    /// How far above usual the last day was, and its limit.
    figure: Option<(f64, f64)>,
    first: Option<i64>,
}

impl Illness {
    /// A day is over; it is the last of `nights`.
    pub(super) fn take(&mut self, nights: &VecDeque<Night>, blockade: Blockade) -> Option<Say> {
        let today = nights.back()?;
        let before = || nights.iter().take(nights.len() - 1);
        let (above, cut) = apart(today, before())?;
        let changed = blockade.changed.map(|at| at.as_micros().div_euclid(DAY_US));
        let since = changed.and_then(|day| {
            let since = before().filter(|night| night.day > day);
            apart(today, since)
        });
        // It is over by both.
        let back = since.map_or(above, |(more, _)| more.max(above)) < BACK;
        let (above, cut) = match since {
            Some((more, limit)) if more - limit > above - cut => (more, limit),
            Some(_) | None => (above, cut),
        };
        self.figure = Some((above, cut));
        let red = above >= cut;
        let follows = self
            .last
            .is_some_and(|(day, was_red)| was_red && today.day - day <= 2);
        self.last = Some((today.day, red));
        if back {
            self.first = None;
            return Some(Say::Resolve(MODEL.condition));
        }
        if !red {
            return None;
        }
        if !follows {
            self.first = Some(today.day);
            return None;
        }
        let day = |day: i64| Time::from_micros(day.saturating_mul(DAY_US));
        let shown = Shown {
            model: MODEL,
            priority: MODEL.condition.base(),
            onset: day(self.first.unwrap_or(today.day)),
            at: day(today.day) + Span::from_micros(DAY_US),
            summary: format!(
                "Resting heart rate {:.0}/min, {above:.1} above usual for two days; limit {:.1}.",
                today.rest, cut
            ),
            plain: "The heart beats faster at rest than usual: an illness may be coming.",
            parts: one(
                Some(Kind::HeartRate),
                "Resting heart rate above usual, /min",
                above,
                cut,
            ),
            avoided: [Some(cut), None],
            quality: Quality::GOOD,
        };
        Some(Say::Raise(shown.draft()))
    }

    pub(super) fn stand(&self) -> Stand {
        Stand {
            figure: self
                .figure
                .map(|(above, _)| above)
                .ok_or("fewer than five days"),
            cut: self.figure.map_or(RED, |(_, cut)| cut),
        }
    }
}

/// How far a day is above those before it, and the limit; `None`: they are too few.
fn apart<'a>(today: &Night, before: impl Iterator<Item = &'a Night>) -> Option<(f64, f64)> {
    let before: Vec<f64> = before.map(|night| night.rest).collect();
    if before.len() < LEARNED {
        return None;
    }
    let usual = median(before.clone());
    let spread = before.iter().map(|rest| libm::fabs(rest - usual)).collect();
    let cut = RED.max(SIGMAS * 1.4826 * median(spread));
    Some((today.rest - usual, cut))
}

fn definition() -> String {
    format!("{} {RED} {BACK} {SIGMAS} days {LEARNED} anew", MODEL.name)
}

crate::canonical_fields! {
    Illness { last, figure, first }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(rests: &[f64]) -> Vec<(usize, Say)> {
        let (mut illness, mut nights, mut said) = (Illness::default(), VecDeque::new(), Vec::new());
        for (day, rest) in rests.iter().enumerate() {
            nights.push_back(Night {
                day: day as i64,
                rest: *rest,
                floor: rest - 4.0,
            });
            let of = illness
                .take(&nights, Blockade::default())
                .filter(|of| matches!(of, Say::Raise(_)));
            said.extend(of.map(|of| (day, of)));
        }
        said
    }

    #[test]
    fn two_days_of_four_more_are_told_and_one_is_not() {
        let usual = [60.0, 61.0, 60.0, 59.0, 60.0, 61.0, 60.0];
        let with = |more: &[f64]| days(&[&usual[..], more].concat());
        assert!(
            with(&[66.0, 60.0, 66.0, 60.0]).is_empty(),
            "a feast, and another"
        );
        assert_eq!(
            with(&[64.5, 64.5])
                .iter()
                .map(|(day, _)| *day)
                .collect::<Vec<_>>(),
            [8]
        );
        assert!(with(&[63.9, 63.9, 63.9]).is_empty());
        assert!(
            days(&[60.0, 60.0, 60.0, 70.0, 70.0]).is_empty(),
            "not known yet"
        );
    }

    #[test]
    fn restless_nights_are_some_peoples_nature() {
        let restless = [
            56.0, 64.0, 58.0, 65.0, 55.0, 63.0, 57.0, 64.0, 56.0, 65.0, 65.0,
        ];
        assert!(days(&restless).is_empty());
    }
}
