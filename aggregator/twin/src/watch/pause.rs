//! A heart that pauses: one interval between beats of three seconds or more, by a strap or an electrocardiogram.
//!
//! Three seconds are a pause (medium), four an asystole (high; the definition of PhysioNet/CinC 2015). What looks like one and
//! is none: a beat that was not found, which doubles an interval. A doubled interval below four seconds counts only if a
//! second one comes within five minutes; so does a true sinus-node exit block of one beat, which is the price. Half a minute and
//! more without a beat is no interval but a sensor that lost the skin.
//!
//! Over after ten minutes of beats without another one. Must not know: alerts' life, fibrillation.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;

use vitals::{Kind, Quality, Span, Time};

use super::{Model, Shown, Stand, Standing, one};
use crate::alert::Condition;
use crate::life::Say;
use crate::rhythm::Beat;

pub(super) const MODEL: Model = Model {
    name: "pause/1",
    condition: Condition::HeartPause,
    standing: Standing::Live,
    definition,
};

/// Tenths of milliseconds.
const PAUSE: i64 = 30_000;
const ASYSTOLE: i64 = 40_000;
const LONGEST: i64 = 300_000;
const SHORTEST: i64 = 3_000;
/// Intervals that the usual one is the middle of, and how many are enough.
const KEPT: usize = 9;
const ENOUGH: usize = 5;
/// Within this part of twice the usual interval it may be a beat that was not found.
const DOUBLED: f64 = 0.2;
const TWICE_WITHIN: Span = Span::from_mins(5);
const OVER: Span = Span::from_mins(10);

/// The last intervals of a heart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pause {
    usual: VecDeque<i64>,
    /// The last pause that holds as one.
    last: Option<Time>,
    /// The last interval that may be a lost beat.
    doubled: Option<Time>,
    newest: Option<(Time, i64)>,
}

impl Pause {
    pub(super) fn take(&mut self, beat: &Beat, quality: Quality, live: bool) -> Option<Say> {
        let interval = beat
            .tenth_ms
            .filter(|of| (SHORTEST..=LONGEST).contains(of))?;
        let in_order = self.newest.is_none_or(|(newest, _)| beat.at >= newest);
        if in_order {
            self.newest = Some((beat.at, interval));
        }
        if interval < PAUSE {
            return if in_order {
                self.beats(beat.at, interval, live)
            } else {
                None
            };
        }
        let may_be_lost = interval < ASYSTOLE && self.is_doubled(interval);
        if may_be_lost {
            let second = self
                .doubled
                .is_some_and(|at| beat.at.since(at) <= TWICE_WITHIN && beat.at > at);
            self.doubled = Some(beat.at);
            if !second {
                return None;
            }
        }
        let draft = draft(beat.at, interval, quality, live);
        if !live {
            return Some(Say::Find(draft, beat.at));
        }
        self.last = Some(beat.at);
        Some(Say::Raise(draft))
    }

    fn beats(&mut self, at: Time, interval: i64, live: bool) -> Option<Say> {
        if self.usual.len() >= KEPT {
            self.usual.pop_front();
        }
        self.usual.push_back(interval);
        self.last
            .take_if(|last| live && at.since(*last) >= OVER)
            .map(|_| Say::Resolve(MODEL.condition))
    }

    fn is_doubled(&self, interval: i64) -> bool {
        let mut sorted: alloc::vec::Vec<i64> = self.usual.iter().copied().collect();
        sorted.sort_unstable();
        let middle = sorted
            .get(sorted.len() / 2)
            .filter(|_| sorted.len() >= ENOUGH);
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        middle.is_some_and(|usual| libm::fabs(interval as f64 / *usual as f64 - 2.0) <= DOUBLED)
    }

    pub(super) fn stand(&self) -> Stand {
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let figure = self.newest.map(|(_, interval)| interval as f64 / 10_000.0);
        Stand {
            figure: figure.ok_or("no beats"),
            cut: 3.0,
        }
    }
}

fn draft(at: Time, interval: i64, quality: Quality, live: bool) -> crate::life::Draft {
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let seconds = interval as f64 / 10_000.0;
    let asystole = interval >= ASYSTOLE;
    let late = if live {
        ""
    } else {
        ", seen in data that came late"
    };
    Shown {
        model: MODEL,
        priority: if asystole {
            MODEL.condition.worst()
        } else {
            MODEL.condition.base()
        },
        onset: at - Span::from_micros(interval.saturating_mul(100)),
        at,
        summary: format!(
            "No heart beat for {seconds:.1} s{}{late}. Confirm with an ECG.",
            if asystole { " (asystole)" } else { "" }
        ),
        plain: "The heart paused for several seconds.",
        parts: one(
            Some(Kind::RrInterval),
            "Interval between two beats, s",
            seconds,
            if asystole { 4.0 } else { 3.0 },
        ),
        avoided: [Some(3.0), None],
        quality,
    }
    .draft()
}

fn definition() -> String {
    format!(
        "{} pause {PAUSE} asystole {ASYSTOLE} longest {LONGEST} doubled {DOUBLED} {TWICE_WITHIN:?} over {OVER:?}",
        MODEL.name
    )
}

crate::canonical_fields! {
    Pause { usual, last, doubled, newest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Priority;

    /// A heart of one beat a second, then `intervals`.
    fn after(usual: i64, intervals: &[i64]) -> (Pause, alloc::vec::Vec<Say>) {
        let (mut pause, mut at, mut said) = (Pause::default(), Time::ZERO, alloc::vec::Vec::new());
        let steady = core::iter::repeat_n(usual, 20);
        for interval in steady.chain(intervals.iter().copied()) {
            at = at + Span::from_micros(interval * 100);
            let beat = Beat {
                at,
                tenth_ms: Some(interval),
                sequence: 0,
                run: 0,
            };
            said.extend(pause.take(&beat, Quality::GOOD, true));
        }
        (pause, said)
    }

    fn priorities(said: &[Say]) -> alloc::vec::Vec<Priority> {
        let raised = |said: &Say| match said {
            Say::Raise(draft) => Some(draft.priority),
            Say::Resolve(_) | Say::Find(..) => None,
        };
        said.iter().filter_map(raised).collect()
    }

    #[test]
    fn a_pause_and_an_asystole_are_told_at_their_next_beat() {
        assert!(
            after(10_000, &[29_999]).1.is_empty(),
            "the cut itself is a pause"
        );
        assert_eq!(priorities(&after(10_000, &[30_000]).1), [Priority::Medium]);
        assert_eq!(priorities(&after(10_000, &[40_000]).1), [Priority::High]);
        assert_eq!(
            priorities(&after(10_000, &[120_000]).1),
            [Priority::High],
            "a syncope"
        );
        assert!(
            after(10_000, &[300_001]).1.is_empty(),
            "a sensor without skin"
        );
    }

    #[test]
    fn a_lost_beat_of_a_slow_heart_is_no_pause_and_an_asystole_always_is_one() {
        assert!(after(15_500, &[31_000]).1.is_empty());
        // What comes twice is no lost beat: an exit block drops them one by one.
        assert_eq!(
            priorities(&after(15_500, &[31_000, 15_500, 31_000]).1).len(),
            1
        );
        let far: alloc::vec::Vec<i64> = [31_000]
            .into_iter()
            .chain([15_500; 250])
            .chain([31_000])
            .collect();
        assert!(after(15_500, &far).1.is_empty());
        assert_eq!(priorities(&after(20_500, &[41_000]).1), [Priority::High]);
    }

    #[test]
    fn it_is_over_after_ten_minutes_of_beats_and_never_without_them() {
        let quiet = [10_000; 599];
        let (_, said) = after(10_000, &[&[35_000][..], &quiet].concat());
        assert_eq!(said.len(), 1);
        let (_, said) = after(10_000, &[&[35_000][..], &quiet, &[10_000]].concat());
        assert!(matches!(said[1], Say::Resolve(_)));
    }
}
