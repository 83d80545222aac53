//! Glucose that came late: it completes how long what holds now has held, and tells of the past.

use alloc::vec::Vec;

use vitals::{Kind, Quality, Time};

use super::words::{Shown, high, low, past};
use super::{
    APART, Glucose, HIGH, HIGH_CLEAR, HIGH_HOLD, KIND, LOW, LOW_CLEAR, LOW_HOLD, RECENT, Run, Say,
};
use crate::alert::Priority;

impl Glucose {
    /// Puts a late reading among the recent ones; false if it is older than those.
    pub(super) fn complete(&mut self, at: Time, value: f64) -> bool {
        let place = self.recent.partition_point(|(of, _)| *of <= at);
        if place == 0 && self.recent.len() >= RECENT {
            return false;
        }
        self.keep(place, at, value);
        (self.low, self.high) = (Run::default(), Run::default());
        for (at, value) in self.recent.clone() {
            self.run(at, value);
        }
        true
    }

    pub(super) fn keep(&mut self, place: usize, at: Time, value: f64) {
        self.recent.insert(place, (at, value));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    pub(super) fn run(&mut self, at: Time, value: f64) {
        self.low
            .take(at, value, value < LOW, value >= LOW_CLEAR, f64::min);
        self.high
            .take(at, value, value > HIGH, value <= HIGH_CLEAR, f64::max);
    }

    /// Late data made what holds now last long enough. They end nothing.
    pub(super) fn judge_completed(&self, quality: Quality, said: &mut Vec<Say>) {
        let Some(&(at, value)) = self.recent.back() else {
            return;
        };
        let shown = |onset| Shown {
            kind: KIND,
            onset,
            at,
            value,
            quality,
            before: self.pressed.map(|pressed| pressed.before),
        };
        if value < LOW
            && let Some(onset) = self.low.held(LOW_HOLD)
        {
            said.push(Say::Raise(low(&shown(onset), Priority::Medium, true)));
        }
        if let Some(onset) = self.high.held(HIGH_HOLD) {
            said.push(Say::Raise(high(&shown(onset))));
        }
    }

    /// A drop of blood that came late says of its time what it says live of now.
    pub(crate) fn late_spot(at: Time, value: f64, quality: Quality) -> Option<Say> {
        let shown = Shown {
            kind: Kind::BloodGlucose,
            onset: at,
            at,
            value,
            quality,
            before: None,
        };
        (value < LOW).then(|| Say::Find(past(&shown), at))
    }

    /// Late data: an episode of lows is told once, when it ends or no more of it comes.
    pub(super) fn follow_past(&mut self, at: Time, value: f64, known: Time, said: &mut Vec<Say>) {
        if let Some((onset, end, ..)) = self.past
            && (value >= LOW || at.since(end) > APART || at < onset)
        {
            said.extend(self.flush());
        }
        if value < LOW {
            self.past = Some(match self.past {
                Some((onset, end, worst, _)) => (onset, end.max(at), worst.min(value), known),
                None => (at, at, value, known),
            });
        }
    }

    /// No more of it came.
    pub(crate) fn flush(&mut self) -> Option<Say> {
        let (onset, end, worst, _) = self.past.take()?;
        let shown = Shown {
            kind: Kind::InterstitialGlucose,
            onset,
            at: end,
            value: worst,
            quality: Quality::GOOD,
            before: None,
        };
        Some(Say::Find(past(&shown), end))
    }
}
