//! Which record is next, and where it is taken from.

use vitals::Time;

use super::{Class, RecordId, Window};

/// Where a record to be sent is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Live,
    Flight,
    /// Out in part.
    Cut,
    Backlog,
}

/// One message holds records of one origin and urgency.
pub(super) fn goes_with(began: Option<(Origin, bool)>, next: &(RecordId, Class, Origin)) -> bool {
    began.is_none_or(|began| began == (next.2, next.1 == Class::Urgent))
}

impl Window {
    /// The next record to send and where it is taken from: urgent ones, live ones, those to be sent again, the rest of
    /// what is out in part, backlog; of them only what `goes`. A message is of one origin and urgency (`began`), so that nothing rides in front of what is
    /// more urgent.
    pub(super) fn candidate(
        &self,
        now: Time,
        backlog_too: bool,
        began: Option<(Origin, bool)>,
        goes: &impl Fn(RecordId) -> bool,
    ) -> Option<(RecordId, Class, Origin)> {
        let urgent = |(_, class, _): &(RecordId, Class, Origin)| *class == Class::Urgent;
        let waiting = || self.next_backlog(goes).filter(|_| backlog_too);
        let first = self
            .next_live(goes)
            .filter(urgent)
            .or_else(|| waiting().filter(urgent))
            .or_else(|| self.next_live(goes))
            .or_else(|| self.unreceipted(now, backlog_too, goes))
            .or_else(|| self.rest_of_cut().filter(|_| backlog_too))
            .or_else(waiting);
        first.filter(|next| goes_with(began, next))
    }

    /// What was sent and has had no receipt for too long.
    pub(super) fn unreceipted(
        &self,
        now: Time,
        backlog_too: bool,
        goes: &impl Fn(RecordId) -> bool,
    ) -> Option<(RecordId, Class, Origin)> {
        let waited = self
            .due
            .iter()
            .take_while(|(due, _)| backlog_too && *due <= now);
        let mut may_go = waited.filter_map(|(_, id)| {
            let flight = self.flights.get(id)?;
            let may_go = self.may_go(flight.class, flight.live) && goes(*id);
            may_go.then_some((*id, flight.class, Origin::Flight))
        });
        may_go.next()
    }

    fn next_live(&self, goes: &impl Fn(RecordId) -> bool) -> Option<(RecordId, Class, Origin)> {
        let may_go = |(class, id): &&(Class, RecordId)| {
            !self.held.contains_key(&id.ordinal) && self.may_go(*class, true) && goes(*id)
        };
        self.live
            .iter()
            .find(may_go)
            .filter(|_| self.live_flights < self.limits.live_in_flight)
            .map(|(class, id)| (*id, *class, Origin::Live))
    }

    fn next_backlog(&self, goes: &impl Fn(RecordId) -> bool) -> Option<(RecordId, Class, Origin)> {
        if self.flights.len() - self.live_flights >= self.limits.backlog_in_flight {
            return None;
        }
        let mut may_go = self.backlog.iter().filter(|((class, ordinal), _)| {
            !self.held.contains_key(ordinal)
                && self.may_go(*class, false)
                && (self.cut.is_none() || *class == Class::Urgent)
        });
        may_go.find_map(|((class, ordinal), numbers)| {
            let id = |number: &u64| RecordId {
                ordinal: *ordinal,
                number: *number,
            };
            let mut ids = numbers.iter().map(id);
            let id = ids.find(|id| goes(*id))?;
            Some((id, *class, Origin::Backlog))
        })
    }
}
