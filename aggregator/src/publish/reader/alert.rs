//! A reader of alert changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use prost::Message as _;
use proto::v1;

use super::{Allowed, Cut, Seat};
use crate::publish::bells::Bell;
use crate::publish::event::{AlertEvent, AlertKind};
use crate::publish::filter::names;
use crate::publish::question::AlertQuestion;
use crate::publish::within::measured;
use crate::publish::{AlertFilter, AlertRecord, Hub, Shown, Stream};

/// See the module.
#[derive(Debug)]
pub struct AlertReader {
    seat: Seat,
    question: Arc<AlertQuestion>,
    bell: Bell,
    snapshot: Option<(VecDeque<Arc<AlertRecord>>, String)>,
    caught_up: bool,
}

impl AlertReader {
    /// A reader that resumes at `cursor` (empty = from a snapshot).
    #[must_use]
    pub fn new(hub: Arc<Hub>, filter: &AlertFilter, cursor: &[u8]) -> Self {
        let question = hub.alert_question(filter);
        let bell = hub.alert_bell(&filter.patients);
        let mut seat = Seat::new(hub, Stream::Alerts);
        let snapshot = match seat.resume(question.hash, cursor) {
            Ok(()) => None,
            Err(reason) => {
                let (active, complete) = seat.hub.active_alerts();
                seat.at = complete;
                Some((VecDeque::from(active), reason))
            }
        };
        Self {
            seat,
            question,
            bell,
            snapshot,
            caught_up: false,
        }
    }

    /// What the reader gets of it, if it is of those asked for, with this priority.
    fn wants(&self, record: &AlertRecord, priority: i32) -> Option<Bytes> {
        let filter = &self.question.filter;
        let asked = priority >= filter.priority_at_least
            && filter.takes(record.alert.category)
            && names(&filter.patients, &record.patient);
        if !asked {
            return None;
        }
        match filter.within.shows(&record.alert, || record.rested.clone()) {
            Shown::Whole => Some(record.encoded().clone()),
            Shown::Measured => Some(measured(&record.alert).encode_to_vec().into()),
            Shown::Bare => Some(record.encoded_bare().clone()),
            Shown::Not => None,
        }
    }

    /// The next event, if there is one now.
    ///
    /// # Errors
    /// [`Cut`] when the reader is too far behind: the stream ends.
    pub fn next(&mut self, allowed: Allowed<'_>) -> Result<Option<AlertEvent>, Cut> {
        while let Some((rest, reason)) = &mut self.snapshot {
            let Some(record) = rest.pop_front() else {
                let reason = std::mem::take(reason);
                self.snapshot = None;
                let end = v1::AlertSnapshotEnd { reason };
                return Ok(Some(self.event(AlertKind::SnapshotEnd(end), Bytes::new())));
            };
            if let Some(bytes) = self.wants(&record, record.alert.priority)
                && allowed(&record.patient)
            {
                return Ok(Some(AlertEvent {
                    cursor: Bytes::new(),
                    kind: Some(AlertKind::Snapshot(bytes)),
                    event_id: record.event_id().clone(),
                }));
            }
        }
        loop {
            let Some((next, behind)) = self.seat.hub.alert_after(self.seat.at) else {
                return Err(self.cut(0));
            };
            if self.caught_up && behind > self.seat.hub.limits().alert_lag {
                return Err(self.cut(behind));
            }
            match next {
                Ok(record) => {
                    self.seat.at = record.at;
                    if let Some(bytes) = self.wants(&record, record.peak)
                        && allowed(&record.patient)
                    {
                        let kind = AlertKind::Change(bytes);
                        return Ok(Some(self.event(kind, record.event_id().clone())));
                    }
                }
                Err(complete) => {
                    self.seat.at = complete;
                    self.caught_up = true;
                    return Ok(None);
                }
            }
        }
    }

    /// Ready when an alert changed that may concern this reader; wakes the task that asked last.
    pub fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.bell.poll_rung(context)
    }

    /// Whether the fold goes on.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.seat.hub.lives()
    }

    /// Says that the line works; carries the newest cursor.
    #[must_use]
    pub fn keep_alive(&self) -> AlertEvent {
        let kind = AlertKind::KeepAlive(v1::AlertKeepAlive {});
        let mut event = self.event(kind, Bytes::new());
        if self.snapshot.is_some() {
            event.cursor.clear();
        }
        event
    }

    fn cursor(&self) -> Bytes {
        self.question.cursor(&self.seat.hub, self.seat.at)
    }

    fn cut(&self, behind: usize) -> Cut {
        Cut {
            cursor: self.cursor().to_vec(),
            behind,
        }
    }

    fn event(&self, kind: AlertKind, event_id: Bytes) -> AlertEvent {
        AlertEvent {
            cursor: self.cursor(),
            kind: Some(kind),
            event_id,
        }
    }
}
