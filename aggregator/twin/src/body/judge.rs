//! The live rules: thresholds and the forecast, judged on what is about now.

use alloc::vec::Vec;

use vitals::{Fixed, Kind, Time};

use super::Body;
use crate::alert::Condition;
use crate::forecast::Foresight;
use crate::life::{Life, Subject};
use crate::rule::{self, Threshold};
use crate::threshold;
use crate::twin::Effect;
use crate::window::Window;
use crate::words::{self, Beyond};

impl Body {
    /// Ten seconds are complete, as far as live data go.
    pub(super) fn closed(
        &mut self,
        kind: Kind,
        closed: i64,
        live: bool,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        if let Some(channel) = self.channels.get_mut(&kind)
            && let (Some(forecaster), Some(window)) = (&mut channel.forecaster, &channel.window)
        {
            forecaster.look(window, closed);
        }
        if live {
            self.judge_closed(kind, closed, known, life, out);
            self.judge_forecast(kind, known, life, out);
        }
    }

    /// The rules for a kind that count now: a later kind counts only while the better ones are not fresh.
    pub(super) fn rules(&self, kind: Kind, now: Time) -> impl Iterator<Item = (usize, Threshold)> {
        let better = |rule: &Threshold| {
            rule.kinds
                .iter()
                .take_while(|other| **other != kind)
                .any(|other| self.is_fresh(*other, now))
        };
        let rules = rule::personal(self.rules_in_force(), &self.judged())
            .into_iter()
            .enumerate();
        rules
            .filter(|(_, rule)| rule.kinds.contains(&kind) && !better(rule))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Judges ten seconds now if they are about now, else later, as a part of the past.
    pub(super) fn judge_closed(
        &mut self,
        kind: Kind,
        closed: i64,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        if known.since(Window::start(closed + 1)) < rule::fresh_for(kind) {
            self.judge_thresholds(kind, closed, true, known, life, out);
        } else if rule::is_watched(kind) {
            self.past.doubt(known);
        }
    }

    /// Nothing came after readings beyond a cut, or the sensor is slow: what there is of the last ten seconds is all
    /// there will be.
    pub(super) fn judge_last(
        &mut self,
        kind: Kind,
        now: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        if let Some(channel) = self.channels.get_mut(&kind) {
            channel.unjudged = None;
        }
        if let Some(last) = self.window(kind).and_then(Window::newest) {
            self.judge_thresholds(kind, last, true, now, life, out);
        }
    }

    /// True if a value is beyond the first cut of a rule that counts now.
    pub(super) fn is_beyond(&self, kind: Kind, value: Fixed, now: Time) -> bool {
        rule::is_watched(kind)
            && self.rules(kind, now).any(|(_, rule)| {
                let cut = rule.levels.first().map(|level| level.cut);
                cut.is_some_and(|cut| threshold::is_beyond(rule.side, value.to_f64(kind), cut))
            })
    }

    pub(super) fn judge_thresholds(
        &self,
        kind: Kind,
        last: i64,
        may_resolve: bool,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let Some(channel) = self.channels.get(&kind) else {
            return;
        };
        let Some(window) = &channel.window else {
            return;
        };
        for (_, rule) in self.rules(kind, known) {
            if let Some((level, run)) = threshold::level(window, last, &rule) {
                let found = Beyond {
                    rule: &rule,
                    level,
                    kind,
                    onset: run.onset,
                    value: run.newest,
                    at: Window::start(last + 1),
                    quality: channel.quality(),
                    context: self.judged(),
                    rules: self.rules_in_force(),
                    learned: self.learned_limit().is_some(),
                };
                self.raise_threshold(&found, known, life, out);
            } else if may_resolve && threshold::is_clear(window, last, &rule) {
                life.resolve(rule.condition, Subject::Patient, known, out);
            }
        }
    }

    pub(super) fn raise_threshold(
        &self,
        found: &Beyond<'_>,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let condition = found.rule.condition;
        let urgent = life
            .active(condition, Subject::Patient)
            .is_none_or(|alert| {
                alert.measured < found.level.priority
                    || alert.quiet && found.is_worse(alert.asked_again)
            });
        if urgent {
            life.raise(Subject::Patient, words::threshold(found, false), known, out);
        }
        if condition == Condition::OxygenSaturationLow {
            // What was foreseen has come.
            life.resolve(
                Condition::OxygenSaturationFalling,
                Subject::Patient,
                known,
                out,
            );
        }
    }

    pub(super) fn judge_spot(
        &mut self,
        kind: Kind,
        now: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let Some(at) = self
            .channels
            .get_mut(&kind)
            .and_then(|channel| channel.lone.take())
        else {
            return;
        };
        if now.since(at) >= rule::fresh_for(kind) {
            return;
        }
        let Some(channel) = self.channels.get(&kind) else {
            return;
        };
        let Ok((value, effective)) = channel.observation(now) else {
            return;
        };
        for (_, rule) in self.rules(kind, now) {
            if let Some(level) = threshold::spot(value, &rule) {
                let found = Beyond {
                    rule: &rule,
                    level,
                    kind,
                    onset: effective,
                    value,
                    at: effective,
                    quality: channel.quality(),
                    context: self.judged(),
                    rules: self.rules_in_force(),
                    learned: self.learned_limit().is_some(),
                };
                self.raise_threshold(&found, now, life, out);
            } else if threshold::spot_is_clear(value, &rule) {
                life.resolve(rule.condition, Subject::Patient, now, out);
            }
        }
    }

    pub(super) fn judge_forecast(
        &self,
        kind: Kind,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        if kind != Kind::OxygenSaturation || self.context.oxygen_target_88_92 {
            return;
        }
        let Some(channel) = self.channels.get(&kind) else {
            return;
        };
        let Some(forecaster) = &channel.forecaster else {
            return;
        };
        let condition = Condition::OxygenSaturationFalling;
        match forecaster.foresight() {
            Foresight::Coming {
                expected,
                probability,
                fit,
            } => {
                let held = life.holds(condition)
                    || life
                        .active(Condition::OxygenSaturationLow, Subject::Patient)
                        .is_some();
                let at = Window::start(fit.at + 1);
                if !held
                    && let Some(draft) =
                        words::falling(&fit, expected, probability, at, channel.quality())
                {
                    life.raise(Subject::Patient, draft, known, out);
                }
            }
            Foresight::Clear => life.resolve(condition, Subject::Patient, known, out),
            Foresight::Undecided => {}
        }
    }
}
