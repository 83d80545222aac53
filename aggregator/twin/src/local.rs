//! Alerts that gateways raised by themselves while they heard nothing from the centre, and how each becomes
//! one with what the centre finds in the same data.
//!
//! The agreed identity of an episode: the patient, the condition, and a window of time around its onset and end.
//! Both ends follow the same rules on the same readings, so what they find differs by seconds at most. What a
//! gateway told, and nothing else speaks of yet, waits here: for a live alert (it is the same one while the
//! gateway has not called it over), for a finding in late data (the same one if their times touch), or for
//! [`rule::FINDING_AFTER`] to pass ([`rule::LOCAL_WAITS`] if it is not called over), when it becomes a finding by itself. At most one per condition waits.

use alloc::collections::BTreeMap;

use vitals::Time;

use crate::alert::Condition;
use crate::event::LocalAlert;
use crate::life::{Draft, SAME_EPISODE};
use crate::rules::Rules;
use crate::{rule, words};

impl LocalAlert {
    /// As far as is known, it held until then.
    pub(crate) fn until(&self) -> Time {
        self.resolved.unwrap_or(self.as_of).max(self.onset)
    }

    /// True if the episode's time touches this one.
    fn touches(&self, from: Time, to: Time) -> bool {
        self.onset <= to + SAME_EPISODE && self.until() + SAME_EPISODE >= from
    }
}

/// What gateways told and nothing else speaks of yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Waiting(BTreeMap<Condition, (LocalAlert, Time)>);

impl Waiting {
    /// Takes a gateway's word and gives what it says as a draft; `None` if no rule has such a condition.
    pub(crate) fn take(&mut self, told: &LocalAlert, rules: &Rules, now: Time) -> Option<Draft> {
        let mut told = *told;
        // A word about the same episode that came before, perhaps of an agent that was started anew since.
        if let Some((before, _)) = self.0.get(&told.condition)
            && (before.resolved.is_none() || before.touches(told.onset, told.until()))
        {
            told.onset = told.onset.min(before.onset);
            told.raised = told.raised.min(before.raised);
            told.as_of = told.as_of.max(before.as_of);
            told.resolved = told.resolved.or(before.resolved);
        }
        let draft = words::told(&told, rules, false)?;
        let wait = if told.resolved.is_some() {
            rule::FINDING_AFTER
        } else {
            rule::LOCAL_WAITS
        };
        self.0.insert(told.condition, (told, now + wait));
        Some(draft)
    }

    /// A live alert is raised: what waits and is not over is the same one.
    pub(crate) fn join_live(&mut self, draft: &mut Draft) {
        if let Some((told, _)) = self.0.get(&draft.condition)
            && told.resolved.is_none()
        {
            join(draft, told);
            self.0.remove(&draft.condition);
        }
    }

    /// An episode was found in late data that ends at `end`.
    pub(crate) fn join_past(&mut self, draft: &mut Draft, end: Time) {
        if let Some((told, _)) = self.0.get(&draft.condition)
            && told.touches(draft.onset, end)
        {
            join(draft, told);
            self.0.remove(&draft.condition);
        }
    }

    /// When the next one has waited long enough.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.values().map(|(_, due)| *due).min()
    }

    /// One that has, as a finding, with its end.
    pub(crate) fn pop_due(&mut self, rules: &Rules, now: Time) -> Option<(Draft, Time)> {
        let (condition, _) = self.0.iter().find(|(_, (_, due))| *due <= now)?;
        let (told, _) = self.0.remove(&{ *condition })?;
        Some((words::told(&told, rules, true)?, told.until()))
    }
}

fn join(draft: &mut Draft, told: &LocalAlert) {
    draft.onset = draft.onset.min(told.onset);
    draft.told_locally = Some(told.raised);
    // The gateway tells of nothing less.
    draft.priority = crate::alert::Priority::High;
}

crate::canonical_fields! {
    LocalAlert { condition, kind, value, limit, onset, raised, as_of, resolved }
    Waiting { 0 }
}
