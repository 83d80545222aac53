//! What gateways told the home by themselves, as it joins the life of alerts.
//!
//! Promises: it is one with the alert of that condition and time, or is raised if its evidence is about now, or waits for data to
//! speak and becomes a finding. Must not know: which rules raised what it joins.

use alloc::vec::Vec;

use vitals::Time;

use super::{Life, SAME_EPISODE, Subject};
use crate::event::LocalAlert;
use crate::rule;
use crate::rules::Rules;
use crate::twin::Effect;

impl Life {
    /// A gateway told of an alert by itself. It is one with the alert of that condition that holds, or with
    /// the one of that time; else it is raised if its evidence is about now; else it waits for data to speak.
    pub(crate) fn tell(
        &mut self,
        told: &LocalAlert,
        rules: &Rules,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(draft) = self.local.take(told, rules, now) else {
            return;
        };
        let key = (told.condition, Subject::Patient);
        let is_live = now.since(told.as_of) < rule::fresh_for(told.kind);
        if self
            .active
            .get(&key)
            .is_some_and(|alert| told.until() + SAME_EPISODE >= alert.onset)
            || told.resolved.is_some() && self.knows_episode(told)
        {
            self.finding(draft, told.until(), now, out);
        } else if told.resolved.is_none() && is_live {
            self.raise(Subject::Patient, draft, now, out);
        }
    }

    /// True if a remembered alert is about the same condition and time.
    fn knows_episode(&self, told: &LocalAlert) -> bool {
        self.recent.iter().any(|alert| {
            alert.condition == told.condition
                && alert.withdrawn.is_none()
                && alert.onset <= told.until() + SAME_EPISODE
                && alert.resolved.unwrap_or(Time::MAX) + SAME_EPISODE >= told.onset
        })
    }

    /// Nothing else spoke of it in time: what a gateway told becomes a finding of its own.
    pub(crate) fn settle_local(&mut self, rules: &Rules, now: Time, out: &mut Vec<Effect>) {
        while let Some((draft, end)) = self.local.pop_due(rules, now) {
            self.finding(draft, end, now, out);
        }
    }
}
