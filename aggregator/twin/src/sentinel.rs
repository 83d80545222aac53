//! What a gateway runs of the twin while it hears nothing from the centre: the threshold rules, on the same
//! windows, with the same freshness, durations and hysteresis, and nothing else.
//!
//! A gateway feeds it all the time, so that durations are complete when the line goes. It is the same code as
//! the centre's fold, so both find the same alerts in the same readings. It knows nothing that people told the
//! centre about the patient (see [`crate::event::Context`]): it judges by the
//! rules for everybody, as they are built in or as the centre changed them ([`crate::rules`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use vitals::{ContextId, Kind, Reading, SourceId, StreamId, Time};

use crate::alert::Alert;
use crate::body::Body;
use crate::life::Life;
use crate::rule;
use crate::rules::Rules;

/// The rules at work on one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sentinel {
    body: Body,
    life: Life,
    known: Time,
}

impl Sentinel {
    /// One that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges what comes from now on by these rules for everybody.
    pub fn go_by(&mut self, rules: &Arc<Rules>) {
        self.body.set_rules(rules);
    }

    /// Takes what a source sent, at `known`. Kinds without a threshold rule, and stamps that no clock of today
    /// gives, are left to the centre.
    pub fn take(&mut self, origin: (StreamId, SourceId), readings: &[Reading], known: Time) {
        self.pass(known);
        let known = self.known;
        let mut out = Vec::new();
        for reading in readings {
            let ahead = reading.effective.since(known) > rule::MAX_AHEAD;
            let ancient = known.since(reading.effective) > rule::MAX_AGE;
            if !rule::is_watched(reading.kind) || ahead || ancient {
                continue;
            }
            let effective = reading.effective.min(known);
            // The context tells runs of beats apart; beats are not watched here.
            let context = ContextId([0; 16]);
            let life = &mut self.life;
            self.body
                .take(origin, context, reading, effective, known, life, &mut out);
        }
        self.body.settle(known, &mut self.life, &mut out);
    }

    /// Time passed: fires every deadline up to `known`.
    pub fn pass(&mut self, known: Time) {
        self.known = self.known.max(known);
        let mut out = Vec::new();
        while let Some((at, due)) = self.body.deadline().filter(|(at, _)| *at <= self.known) {
            self.body.fire(due, at, &mut self.life, &mut out);
        }
    }

    /// When time alone will next change what holds.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.body.deadline().map(|(at, _)| at)
    }

    /// The critical alerts that hold, by condition.
    pub fn critical(&self) -> impl Iterator<Item = &Alert> {
        let alerts = self.life.all_active();
        alerts.filter(|alert| rule::is_critical(alert.condition, alert.priority))
    }

    /// The newest usable value of a kind and its time, while it is about now.
    #[must_use]
    pub fn newest(&self, kind: Kind) -> Option<(f64, Time)> {
        self.body.observation(kind, self.known).ok()
    }
}
