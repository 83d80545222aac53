//! After readings were voided: the alerts that the log gives without them, beside those that were told.
//!
//! An alert that the other log knows, too (same condition and subject, times that touch), stays the alert that it is,
//! with its id and what people did about it. One that it does not know rested on what was voided: it is withdrawn, with
//! the reason, and stays to be seen. What only the other log knows is told now: raised if it holds, else as a finding.
//!
//! Bounds: those of [`Life`]: an alert that it has forgotten is not withdrawn. Not known here: readings, models.

use alloc::vec::Vec;

use vitals::Time;

use crate::alert::{Alert, AlertId, Category, Change, State, Withdrawal};
use crate::care;
use crate::life::{Life, RECENT, SAME_EPISODE, emit};
use crate::twin::Effect;

/// When an alert's condition ended, as far as it is told.
fn until(alert: &Alert) -> Time {
    if alert.retrospective {
        let evidence = alert.evidence.iter().map(|of| of.effective);
        evidence.chain([alert.onset]).max().unwrap_or(alert.onset)
    } else {
        alert.resolved.unwrap_or(Time::MAX)
    }
}

fn is_same(a: &Alert, b: &Alert) -> bool {
    a.condition == b.condition
        && a.subject == b.subject
        && a.onset <= until(b) + SAME_EPISODE
        && b.onset <= until(a) + SAME_EPISODE
}

fn end(alert: &mut Alert, now: Time) {
    (alert.state, alert.resolved) = (State::Resolved, Some(now));
    alert.snoozed_until = None;
    care::rest(alert);
}

impl Life {
    /// Takes over what `other`, the life without the voided readings, knows better.
    pub(crate) fn amend(
        &mut self,
        mut other: Self,
        why: &Withdrawal,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        self.local = core::mem::take(&mut other.local);
        self.bearings = other.bearings;
        self.standings = core::mem::take(&mut other.standings);
        self.unsaid = core::mem::take(&mut other.unsaid);
        self.last = self.last.max(other.last);
        let theirs: Vec<Alert> = other
            .active
            .values()
            .chain(&other.recent)
            .cloned()
            .collect();
        // Older than what is remembered here: it may have been told and forgotten.
        let oldest = self.recent.iter().map(|alert| alert.raised).min();
        let oldest = oldest.filter(|_| self.recent.len() >= RECENT);
        let ours: Vec<Alert> = self.active.values().chain(&self.recent).cloned().collect();
        self.amend_active(&other, &theirs, why, now, out);
        for alert in &mut self.recent {
            let known = theirs.iter().any(|of| is_same(of, alert));
            if !known && alert.withdrawn.is_none() && alert.resolved != Some(now) {
                alert.withdrawn = Some(why.clone());
                emit(Change::Withdrawn, now, alert, out);
            }
        }
        // Also one that ended here: what ended it was voided.
        for (key, alert) in other.active {
            if !self.active.contains_key(&key) {
                let mut alert = self.adopted(alert, now);
                let snooze = self.snooze_of(alert.condition);
                care::wait(&mut alert, snooze, now);
                emit(Change::Raised, now, &alert, out);
                self.active.insert(key, alert);
            }
        }
        for alert in other.recent {
            let is_new = oldest.is_none_or(|oldest| alert.raised >= oldest)
                && alert.condition.category() == Category::Physiological
                && !ours.iter().any(|of| is_same(of, &alert));
            if is_new {
                let mut alert = self.adopted(alert, now);
                end(&mut alert, now);
                alert.retrospective = true;
                emit(Change::Finding, now, &alert, out);
                self.remember(alert);
            }
        }
    }

    /// What holds here: it goes on, ends as it did there, or is withdrawn.
    fn amend_active(
        &mut self,
        other: &Self,
        theirs: &[Alert],
        why: &Withdrawal,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        for (key, mut alert) in core::mem::take(&mut self.active) {
            let there = other.active.get(&key).filter(|of| is_same(of, &alert));
            if let Some(there) = there {
                if (there.priority, there.onset, &there.evidence)
                    != (alert.priority, alert.onset, &alert.evidence)
                {
                    if there.priority > alert.priority {
                        // Nobody took notice of that much.
                        (alert.state, alert.acknowledged) = (State::Active, None);
                        alert.priority = there.priority;
                        let snooze = self.snooze_of(alert.condition);
                        care::wait(&mut alert, snooze, now);
                    }
                    alert.priority = there.priority;
                    alert.measured = there.measured;
                    alert.onset = there.onset;
                    alert.evidence.clone_from(&there.evidence);
                    alert.summary.clone_from(&there.summary);
                    alert.plain_summary.clone_from(&there.plain_summary);
                    emit(Change::Updated, now, &alert, out);
                }
                self.active.insert(key, alert);
                continue;
            }
            end(&mut alert, now);
            if theirs.iter().any(|of| is_same(of, &alert)) {
                emit(Change::Resolved, now, &alert, out);
            } else {
                alert.withdrawn = Some(why.clone());
                emit(Change::Withdrawn, now, &alert, out);
            }
            self.remember(alert);
        }
    }

    /// An alert of the other life under an id of this one.
    fn adopted(&mut self, alert: Alert, now: Time) -> Alert {
        self.last += 1;
        Alert {
            id: AlertId(self.last),
            raised: now,
            ..alert
        }
    }
}
