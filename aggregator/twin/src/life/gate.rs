//! What stands before an alert's life: models that do not speak by the rules in force, and what is known of the person.
//!
//! Promises: an alert of a model that is switched ends and says why, and one of high priority waits for a person first; what is
//! known makes what stands more urgent, and nothing less. Must not know: what a model looks at, facts.

use alloc::vec::Vec;

use vitals::Time;

use super::{Life, Subject, emit};
use crate::alert::{Change, Condition, Priority, State};
use crate::bearing::Bearings;
use crate::care;
use crate::care::note;
use crate::rules::switch::{self, Standings, Switch};
use crate::twin::Effect;
use crate::watch::Standing;

impl Life {
    pub(super) fn speaks(&self, condition: Condition) -> bool {
        self.standings.is_live(condition)
    }

    pub(super) fn keep_unsaid(&mut self, condition: Condition) {
        if self.standings.get(condition).0 != Standing::Shadow {
            return;
        }
        let unsaid = self.unsaid.entry(condition).or_default();
        if !unsaid.holds {
            unsaid.holds = true;
            unsaid.times = unsaid.times.saturating_add(1);
            self.unsaid_now.push(condition);
        }
    }

    /// What models in shadow would have told in this step.
    pub(crate) fn take_unsaid(&mut self) -> Vec<Condition> {
        core::mem::take(&mut self.unsaid_now)
    }

    /// An alert of it holds, or would if its model spoke.
    pub(crate) fn holds(&self, condition: Condition) -> bool {
        let unsaid = self.unsaid.get(&condition);
        self.active(condition, Subject::Patient).is_some() || unsaid.is_some_and(|of| of.holds)
    }

    /// The models stand so from now on. An alert of one that no longer speaks ends, and says why, unless it is of high priority and
    /// nobody has taken notice: that one waits for a person.
    pub(crate) fn stand(
        &mut self,
        standings: Standings,
        lines: &[Switch],
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if self.standings == standings {
            return;
        }
        self.standings = standings;
        let standings = &self.standings;
        self.unsaid
            .retain(|condition, _| standings.get(*condition).0 == Standing::Shadow);
        let all = self.active.iter();
        let over: Vec<Condition> = all
            .filter(|((condition, subject), alert)| {
                let waits = alert.priority == Priority::High && alert.acknowledged.is_none();
                *subject == Subject::Patient && !self.standings.is_live(*condition) && !waits
            })
            .map(|((condition, _), _)| *condition)
            .collect();
        for condition in over {
            self.end_switched(condition, lines, now, out);
        }
    }

    /// Ends the alert of a model that no longer speaks.
    pub(crate) fn end_switched(
        &mut self,
        condition: Condition,
        lines: &[Switch],
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let (standing, line) = self.standings.get(condition);
        let line = line.and_then(|line| lines.get(line));
        if let Some(alert) = self.active.get_mut(&(condition, Subject::Patient)) {
            note(alert, switch::BY, &switch::ended(standing, line), now);
        }
        if standing == Standing::Shadow {
            // It was told, and goes on in shadow as the same.
            self.unsaid.entry(condition).or_default().holds = true;
        }
        self.end(condition, Subject::Patient, now, out);
    }

    /// An alert that was left open for a person, who has taken notice now.
    pub(crate) fn let_go(&mut self, lines: &[Switch], now: Time, out: &mut Vec<Effect>) {
        let all = self.active.iter();
        let noticed = all.filter(|((condition, subject), alert)| {
            *subject == Subject::Patient
                && alert.acknowledged.is_some()
                && !self.standings.is_live(*condition)
        });
        let over: Vec<Condition> = noticed.map(|((condition, _), _)| *condition).collect();
        for condition in over {
            self.end_switched(condition, lines, now, out);
        }
    }

    /// What is known of the person is this from now on: an alert that holds may be more urgent for it, and waits for a person
    /// again then. None is less urgent.
    pub(crate) fn heed(&mut self, bearings: &Bearings, now: Time, out: &mut Vec<Effect>) {
        if self.bearings == *bearings {
            return;
        }
        self.bearings = *bearings;
        let mut ended = Vec::new();
        for ((condition, subject), alert) in &mut self.active {
            let least = bearings.least(*condition);
            let Some(least) = least.filter(|least| *least > alert.priority) else {
                continue;
            };
            if *subject != Subject::Patient {
                continue;
            }
            alert.priority = least;
            alert.quiet = false;
            (alert.state, alert.acknowledged) = (State::Active, None);
            alert.evidence.retain(|of| !of.known);
            alert.evidence.extend(bearings.remarks(*condition));
            care::wait(alert, self.snoozes.get(condition), now);
            emit(Change::Updated, now, alert, out);
            ended.push((*condition, least));
        }
        for (condition, priority) in ended {
            self.end_snooze_at(condition, priority, now, out);
        }
    }
}
