//! What the scoreboard says: sums, so that those of many people can be added.
//!
//! Must not know: how they came about.

use alloc::vec::Vec;

use vitals::{Kind, Span};

use crate::alert::Condition;

/// How long before an event its first alert came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Summed up over the events that were foretold.
    pub sum: Span,
    /// The shortest.
    pub least: Span,
    /// The longest.
    pub most: Span,
}

impl Lead {
    pub(super) const fn of(one: Span) -> Self {
        Self {
            sum: one,
            least: one,
            most: one,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }
}

pub(super) fn both(one: Option<Lead>, other: Option<Lead>) -> Option<Lead> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(other)),
        (one, other) => one.or(other),
    }
}

/// How good the models are for one person, or for many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scoreboard {
    /// People that it is of.
    pub patients: u64,
    /// By kind.
    pub forecasts: Vec<ForecastScore>,
    /// By model: those that foretell first.
    pub alerts: Vec<AlertScore>,
}

/// One model's forecasts of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastScore {
    /// What is foreseen.
    pub kind: Kind,
    /// Name and version.
    pub model: &'static str,
    /// Share of outcomes that the intervals are meant to hold.
    pub nominal: f64,
    /// Forecasts made that are scored: one a minute, or each reading of a glucose monitor.
    pub made: u64,
    /// How often there was none, by reason.
    pub abstained: Vec<(&'static str, u64)>,
    /// By horizon, the nearest first.
    pub horizons: Vec<HorizonScore>,
}

/// Forecasts for one time ahead. Sums, so that those of many people can be added.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HorizonScore {
    /// How far ahead.
    pub ahead: Span,
    /// Came due, whether anything was measured then or not.
    pub due: u64,
    /// Of these: measured then. The others follow from these.
    pub scored: u64,
    /// Inside their interval.
    pub covered: u64,
    /// Sum of squared errors.
    pub square: f64,
    /// The same of persistence, at the same moments.
    pub persistence_square: f64,
    /// Made and not shown, because the horizon was unfit.
    pub withheld: u64,
    /// People for whom it is unfit now.
    pub unfit: u64,
}

/// What became of the alerts of one model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlertScore {
    /// Name and version.
    pub model: &'static str,
    /// What it raises.
    pub condition: Condition,
    /// The event that it foretells, for people.
    pub event: &'static str,
    /// Within this time.
    pub within: Span,
    /// Alerts told: the sum of the next five.
    pub told: u64,
    /// The event began after it, in time.
    pub right: u64,
    /// The event had begun when it was told.
    pub late: u64,
    /// The event did not begin in time.
    pub wrong: u64,
    /// Nobody measured then.
    pub unknown: u64,
    /// Their time is not over.
    pub waiting: u64,
    /// Events.
    pub events: u64,
    /// Of these: no alert came before it, or only late ones.
    pub missed: u64,
    /// Of those that were not missed.
    pub lead: Option<Lead>,
    /// Why nothing is counted; empty if something is.
    pub absent: &'static str,
}

impl Default for AlertScore {
    fn default() -> Self {
        Self {
            model: "",
            condition: Condition::Fever,
            event: "",
            within: Span::ZERO,
            told: 0,
            right: 0,
            late: 0,
            wrong: 0,
            unknown: 0,
            waiting: 0,
            events: 0,
            missed: 0,
            lead: None,
            absent: "",
        }
    }
}

impl HorizonScore {
    /// Root mean square error, and that of persistence; none before anything was scored.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub fn errors(&self) -> Option<(f64, f64)> {
        let root = |sum: f64| libm::sqrt(sum / self.scored as f64);
        (self.scored > 0).then(|| (root(self.square), root(self.persistence_square)))
    }
}

impl Scoreboard {
    /// Adds other people's.
    pub fn add(&mut self, other: &Self) {
        self.patients += other.patients;
        for theirs in &other.forecasts {
            let mut ours = self.forecasts.iter_mut();
            match ours.find(|ours| ours.kind == theirs.kind) {
                Some(ours) => ours.add(theirs),
                None => self.forecasts.push(theirs.clone()),
            }
        }
        self.forecasts.sort_by_key(|one| one.kind);
        for theirs in &other.alerts {
            let mut ours = self.alerts.iter_mut();
            match ours.find(|ours| ours.condition == theirs.condition) {
                Some(ours) => ours.add(theirs),
                None => self.alerts.push(*theirs),
            }
        }
    }
}

impl ForecastScore {
    fn add(&mut self, other: &Self) {
        self.made += other.made;
        for (why, times) in &other.abstained {
            match self.abstained.iter_mut().find(|(ours, _)| ours == why) {
                Some((_, count)) => *count += times,
                None => self.abstained.push((why, *times)),
            }
        }
        for (ours, theirs) in self.horizons.iter_mut().zip(&other.horizons) {
            ours.due += theirs.due;
            ours.scored += theirs.scored;
            ours.covered += theirs.covered;
            ours.square += theirs.square;
            ours.persistence_square += theirs.persistence_square;
            ours.withheld += theirs.withheld;
            ours.unfit += theirs.unfit;
        }
    }
}

impl AlertScore {
    fn add(&mut self, other: &Self) {
        self.told += other.told;
        self.right += other.right;
        self.late += other.late;
        self.wrong += other.wrong;
        self.unknown += other.unknown;
        self.waiting += other.waiting;
        self.events += other.events;
        self.missed += other.missed;
        self.lead = both(self.lead, other.lead);
    }
}
