//! The live scoreboard: how good each model is for this person, counted while it runs.
//!
//! *Forecasts* ([`HorizonScore`]): how many came due, how many of those were measured then, the share inside their interval,
//! the error beside persistence's on the same moments, and how often nothing was said, by reason. A horizon whose newest
//! outcomes are too often outside, or no nearer than persistence, is *unfit* for this person (`Recent`) and is not shown.
//!
//! *Alerts that foretell* (`TELLERS`): each names the event it foretells and within what time. An alert was right if the
//! event began after it was told and within that time; *late* if the event had begun when it was told, and no
//! longer before than that time; *wrong* if
//! the event did not begin though it would have been measured; *unknown* if nobody measured. An event that no alert came
//! before is missed; one that begins again within the same time is the same. What late data tell makes an alert right that
//! still waits, and no event missed: nobody could foretell what nobody had sent. All others foretell nothing that is
//! measured here, and say so (`SILENT`).
//!
//! Promises: additive (scores of many people are summed), at most `WAITING` alerts wait, and no state of any model or
//! alert depends on it, but whether a horizon is shown. Must not know: clocks, which sensor measured, patients.

mod score;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use vitals::{Kind, Span, Time};

use crate::alert::{AlertChange, Change, Condition};
use crate::watch::Cuff;
use crate::{forecast, glucose, news2, rhythm, trend, watch, words};
use score::both;
pub use score::{AlertScore, ForecastScore, HorizonScore, Lead, Scoreboard};

/// Outcomes before a horizon can be unfit, and after which an old one has lost 63 % of its weight.
const NEEDED: u64 = 200;
const MEMORY: u64 = 500;
/// Unfit below this share inside the interval, fit again above the other.
const COVERED: f64 = 0.80;
const COVERED_AGAIN: f64 = 0.85;
/// Unfit where the mean square error is above persistence's by this (5 % of its root); fit again where it is not above it.
const WORSE: f64 = 1.05 * 1.05;
/// Alerts of one model that wait for their event; of more, the oldest is judged early.
const WAITING: usize = 8;
/// An event is known later than it begins: durations have to hold, readings to arrive.
const KNOWN_WITHIN: Span = Span::from_mins(10);
/// Mean and systolic pressure that are events, mmHg.
const MEAN_LOW: f64 = 65.0;
const SYSTOLIC_LOW: f64 = 90.0;

/// Why a horizon is not shown, for people.
pub const UNFIT: &str = "not good enough for this patient";
/// Readings came again after a time without any.
pub(crate) const NO_READINGS: &str = "no readings";

/// Reasons to abstain that are counted.
const REASONS: [&str; 7] = [
    forecast::NO_DATA,
    forecast::OTHER_SENSOR,
    trend::TOO_SHORT,
    trend::TOO_MANY_GAPS,
    glucose::LEARNING,
    glucose::GAPS,
    NO_READINGS,
];

/// How often a model said nothing, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Abstained([u64; REASONS.len()]);

impl Abstained {
    pub(crate) fn count(&mut self, why: &str, times: u64) {
        let place = REASONS.iter().position(|reason| *reason == why);
        if let Some(count) = place.and_then(|place| self.0.get_mut(place)) {
            *count = count.saturating_add(times);
        }
    }

    pub(crate) fn told(&self) -> Vec<(&'static str, u64)> {
        let told = REASONS.into_iter().zip(self.0);
        told.filter(|(_, count)| *count > 0).collect()
    }
}

/// The newest outcomes of a horizon: means that forget.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Recent {
    covered: f64,
    square: f64,
    persistence_square: f64,
    pub(crate) unfit: bool,
}

impl Recent {
    /// The `count`th outcome. `floor`: errors below it are the sensor's own.
    #[expect(clippy::cast_precision_loss, reason = "at most MEMORY")]
    pub(crate) fn take(
        &mut self,
        count: u64,
        inside: bool,
        (error, persistence): (f64, f64),
        floor: f64,
    ) {
        let weight = 1.0 / count.clamp(1, MEMORY) as f64;
        self.covered += weight * (f64::from(u8::from(inside)) - self.covered);
        self.square += weight * (error * error - self.square);
        self.persistence_square += weight * (persistence * persistence - self.persistence_square);
        let beside = self.persistence_square + floor * floor;
        let bad = if self.unfit {
            self.covered < COVERED_AGAIN || self.square > beside
        } else {
            self.covered < COVERED || self.square > WORSE * beside
        };
        self.unfit = bad && count >= NEEDED;
    }
}

/// The event that an alert foretells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreseen {
    /// An alert of one of these is raised.
    Alert(&'static [Condition]),
    /// A cuff measures a mean arterial pressure below 65 mmHg, after one that was not.
    MeanLow,
    /// A cuff measures a systolic pressure below 90 mmHg, after one that was not.
    SystolicLow,
}

/// A model whose alerts foretell something that is measured here.
#[derive(Clone, Copy, Debug)]
struct Teller {
    condition: Condition,
    model: &'static str,
    within: Span,
    event: Foreseen,
    /// For people.
    says: &'static str,
    /// Whether the event would have been measured.
    kinds: &'static [Kind],
}

const TELLERS: [Teller; 6] = [
    Teller {
        condition: Condition::OxygenSaturationFalling,
        model: forecast::MODEL,
        within: Span::from_mins(15),
        event: Foreseen::Alert(&[Condition::OxygenSaturationLow]),
        says: "saturation below its limit, as the threshold rule tells it",
        kinds: &[Kind::OxygenSaturation],
    },
    Teller {
        condition: Condition::GlucoseFalling,
        model: glucose::MODEL,
        within: Span::from_mins(30),
        event: Foreseen::Alert(&[Condition::GlucoseLow]),
        says: "glucose below 70 mg/dL, as its rule tells it",
        kinds: &[Kind::InterstitialGlucose],
    },
    Teller {
        condition: Condition::GlucoseRising,
        model: glucose::MODEL,
        within: Span::from_mins(30),
        event: Foreseen::Alert(&[Condition::GlucoseHigh]),
        says: "glucose above 250 mg/dL, as its rule tells it",
        kinds: &[Kind::InterstitialGlucose],
    },
    Teller {
        condition: Condition::BreathingDrift,
        model: watch::MODELS[5].name,
        within: Span::from_mins(24 * 60),
        event: Foreseen::Alert(&[Condition::OxygenSaturationLow, Condition::EarlyWarningScore]),
        says: "saturation below its limit, or an early-warning score that calls",
        kinds: &[Kind::OxygenSaturation, Kind::RespiratoryRate],
    },
    Teller {
        condition: Condition::BloodPressureLow,
        model: watch::MODELS[6].name,
        within: Span::from_mins(4 * 60),
        event: Foreseen::MeanLow,
        says: "a mean arterial pressure below 65 mmHg",
        kinds: &[Kind::SystolicPressure, Kind::MeanPressure],
    },
    Teller {
        condition: Condition::ShockIndexHigh,
        model: watch::MODELS[1].name,
        within: Span::from_mins(12 * 60),
        event: Foreseen::SystolicLow,
        says: "a systolic pressure below 90 mmHg",
        kinds: &[Kind::SystolicPressure],
    },
];

/// Models of which no foretold event is measured here, and why.
const SILENT: [(Condition, &str, &str); 9] = [
    (
        Condition::RestingHeartRateRaised,
        watch::MODELS[3].name,
        "it foretells an illness, and nobody tells this twin who fell ill",
    ),
    (
        Condition::HeartFailureDrift,
        watch::MODELS[4].name,
        "it foretells a decompensation, and nobody tells this twin of stays in hospital",
    ),
    (
        Condition::EarlyWarningScore,
        news2::MODEL,
        "it foretells a deterioration that needs a team, and no measurement here says so by itself",
    ),
    (Condition::Fever, watch::MODELS[2].name, NOW),
    (Condition::HeartPause, watch::MODELS[0].name, NOW),
    (Condition::Fall, watch::MODELS[7].name, NOW),
    (Condition::AnotherWearer, watch::MODELS[8].name, NOW),
    (Condition::AtrialFibrillation, rhythm::MODEL, NOW),
    (Condition::HeartRateHigh, words::THRESHOLDS, NOW),
];
const NOW: &str = "it tells what is, and foretells nothing";

/// What became of one model's alerts, and of the events that they foretell.
#[derive(Clone, Debug, Default, PartialEq)]
struct Foretelling {
    /// When those were told that wait.
    open: VecDeque<Time>,
    /// Begin of the newest event.
    last: Option<Time>,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    told: u64,
    right: u64,
    late: u64,
    wrong: u64,
    unknown: u64,
    events: u64,
    missed: u64,
    /// Of the events that were foretold: their lead, summed up, least and most.
    lead: Option<Lead>,
}

impl Foretelling {
    fn tell(&mut self, at: Time, within: Span) {
        self.counts.told += 1;
        if self.last.is_some_and(|last| at.since(last) <= within) {
            self.counts.late += 1;
            return;
        }
        if self.open.len() >= WAITING {
            self.open.pop_front();
            self.counts.wrong += 1;
        }
        self.open.push_back(at);
    }

    /// The event began at `onset`; `late`: data that came late say so.
    fn event(&mut self, onset: Time, within: Span, late: bool) {
        let counts = &mut self.counts;
        let before = |told: &Time| *told < onset && onset.since(*told) <= within;
        let first = self.open.iter().find(|told| before(told)).copied();
        let again = self
            .last
            .is_some_and(|last| onset.since(last) <= within && last.since(onset) <= within);
        if late && first.is_none() {
            return;
        }
        counts.right += self.open.iter().filter(|told| before(told)).count() as u64;
        self.open.retain(|told| !before(told));
        if !late {
            let after = self.open.iter().filter(|told| **told >= onset).count();
            counts.late += after as u64;
            self.open.retain(|told| *told < onset);
        }
        self.last = Some(self.last.map_or(onset, |last| last.max(onset)));
        if again {
            return;
        }
        counts.events += 1;
        match first {
            Some(told) => counts.lead = both(counts.lead, Some(Lead::of(onset.since(told)))),
            None => counts.missed += 1,
        }
    }
}

/// The scoreboard of alerts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Board {
    of: [Foretelling; TELLERS.len()],
    /// The newest cuff was below the limits of mean and systolic pressure.
    mean_low: bool,
    systolic_low: bool,
}

impl Board {
    fn each(&mut self) -> impl Iterator<Item = (&Teller, &mut Foretelling)> {
        TELLERS.iter().zip(&mut self.of)
    }

    /// An alert changed.
    pub(crate) fn hear(&mut self, change: &AlertChange) {
        let alert = &change.alert;
        let late = change.what == Change::Finding;
        if !late && change.what != Change::Raised {
            return;
        }
        for (teller, of) in self.each() {
            if let Foreseen::Alert(conditions) = teller.event
                && conditions.contains(&alert.condition)
            {
                of.event(alert.onset, teller.within, late);
            }
            if teller.condition == alert.condition && !late {
                of.tell(change.at, teller.within);
            }
        }
    }

    /// A model in shadow would have told.
    pub(crate) fn hear_unsaid(&mut self, condition: Condition, at: Time) {
        for (teller, of) in self.each() {
            if teller.condition == condition {
                of.tell(at, teller.within);
            }
        }
    }

    /// A cuff measured, about now.
    pub(crate) fn cuff(&mut self, at: Time, cuff: &Cuff) {
        let begins = |was: &mut bool, value: Option<f64>, limit: f64| {
            let low = value.map_or(*was, |value| value < limit);
            let was = core::mem::replace(was, low);
            low && !was
        };
        let mean_begins = begins(&mut self.mean_low, cuff.mean(), MEAN_LOW);
        let systolic_begins = begins(&mut self.systolic_low, cuff.systolic, SYSTOLIC_LOW);
        for (teller, of) in self.each() {
            let begins = match teller.event {
                Foreseen::MeanLow => mean_begins,
                Foreseen::SystolicLow => systolic_begins,
                Foreseen::Alert(_) => false,
            };
            if begins {
                of.event(at, teller.within, false);
            }
        }
    }

    /// Judges those whose time is over. `measured`: when a kind was measured last, and how long that says something.
    pub(crate) fn settle(&mut self, now: Time, measured: impl Fn(Kind) -> Option<(Time, Span)>) {
        for (teller, of) in self.each() {
            while let Some(told) = of.open.front().copied() {
                let end = told + teller.within;
                if now < end + KNOWN_WITHIN {
                    break;
                }
                of.open.pop_front();
                let seen = |kind: &Kind| {
                    measured(*kind).is_some_and(|(at, fresh)| at > told && at >= end - fresh)
                };
                if teller.kinds.iter().any(seen) {
                    of.counts.wrong += 1;
                } else {
                    of.counts.unknown += 1;
                }
            }
        }
    }

    pub(crate) fn view(&self) -> Vec<AlertScore> {
        let told = TELLERS.iter().zip(&self.of).map(|(teller, of)| {
            let Counts {
                told,
                right,
                late,
                wrong,
                unknown,
                events,
                missed,
                lead,
            } = of.counts;
            AlertScore {
                model: teller.model,
                condition: teller.condition,
                event: teller.says,
                within: teller.within,
                told,
                right,
                late,
                wrong,
                unknown,
                waiting: of.open.len() as u64,
                events,
                missed,
                lead,
                absent: "",
            }
        });
        let silent = SILENT.iter().map(|(condition, model, why)| AlertScore {
            model,
            condition: *condition,
            absent: why,
            ..AlertScore::default()
        });
        told.chain(silent).collect()
    }
}

crate::canonical_fields! {
    Abstained { 0 }
    Recent { covered, square, persistence_square, unfit }
    Lead { sum, least, most }
    Counts { told, right, late, wrong, unknown, events, missed, lead }
    Foretelling { open, last, counts }
    Board { of, mean_low, systolic_low }
}

#[cfg(test)]
mod tests;
