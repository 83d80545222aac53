//! The alerts as readers see them: the newest state of each, and a bounded ring of their changes.
//!
//! Invariants: `ring` is ordered by place; `dropped` is the place of the newest change that left the ring; at
//! most `resolved_kept` resolved alerts stay, active ones always do.
//!
//! Must not know: cursors, readers, the gate.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prost::Message as _;
use proto::v1;
use vitals::PatientId;

use super::within::bare;
use super::{At, PatientIndex, Rested};

/// An alert with what the filters need.
#[derive(Clone, Debug)]
pub struct AlertRecord {
    /// Whose.
    pub patient: PatientId,
    /// Index of the same patient.
    pub index: PatientIndex,
    /// Place of this change.
    pub at: At,
    /// Highest priority the alert had up to this change: a reader that asks for urgent alerts only must also
    /// learn that one it knows became less urgent.
    pub peak: i32,
    /// What it rested on up to this change: whoever was told of it also learns how it goes on.
    pub rested: Rested,
    /// What the journal calls the alert.
    pub key: String,
    /// The state, under its public id.
    pub alert: Arc<v1::Alert>,
    /// What readers get of it: the state encoded, and the event's id.
    sent: OnceLock<(Bytes, Bytes)>,
    /// The same for readers who get no more than that it is.
    bare: OnceLock<Bytes>,
}

impl AlertRecord {
    /// One that nobody has been sent yet.
    pub(crate) fn new(
        (patient, index): (PatientId, PatientIndex),
        at: At,
        (peak, rested): (i32, Rested),
        key: String,
        alert: Arc<v1::Alert>,
    ) -> Self {
        Self {
            patient,
            index,
            at,
            peak,
            rested,
            key,
            alert,
            sent: OnceLock::new(),
            bare: OnceLock::new(),
        }
    }

    fn sent(&self) -> &(Bytes, Bytes) {
        self.sent.get_or_init(|| {
            let id = format!("{}.{}", self.at.position, self.at.index);
            (self.alert.encode_to_vec().into(), id.into())
        })
    }

    /// The state as a message of the contract; encoded once, for who wants it first.
    pub(super) fn encoded(&self) -> &Bytes {
        &self.sent().0
    }

    /// As [`Self::encoded`], of the bare alert.
    pub(super) fn encoded_bare(&self) -> &Bytes {
        self.bare
            .get_or_init(|| bare(&self.alert).encode_to_vec().into())
    }

    /// "position.index": stable across resumes and restarts.
    pub(super) fn event_id(&self) -> &Bytes {
        &self.sent().1
    }

    fn is_resolved(&self) -> bool {
        self.alert.state == v1::AlertState::Resolved as i32
    }
}

/// What the hub keeps about alerts.
#[derive(Debug)]
pub(super) struct Alerts {
    latest: HashMap<String, Arc<AlertRecord>>,
    resolved: VecDeque<(String, At)>,
    resolved_kept: usize,
    ring: VecDeque<Arc<AlertRecord>>,
    ring_kept: usize,
    dropped: At,
    /// What is told up to here is known from a snapshot.
    restored: At,
}

/// What is kept about alerts, for a snapshot.
#[derive(Clone, Debug, Default)]
pub struct KeptAlerts {
    /// The changes from which readers resume, in order.
    pub ring: Vec<Arc<AlertRecord>>,
    /// The newest state of each alert, in no order.
    pub latest: Vec<Arc<AlertRecord>>,
    /// Place of the newest change that is no longer kept.
    pub dropped: At,
}

impl Alerts {
    pub(super) fn new(ring_kept: usize, resolved_kept: usize) -> Self {
        Self {
            latest: HashMap::new(),
            resolved: VecDeque::new(),
            resolved_kept,
            ring: VecDeque::new(),
            ring_kept,
            dropped: At::START,
            restored: At::START,
        }
    }

    /// From here on so many changes are kept at least.
    pub(super) fn make_room(&mut self, changes: usize) {
        self.ring_kept = self.ring_kept.max(changes);
    }

    pub(super) fn keep(&self) -> KeptAlerts {
        KeptAlerts {
            ring: self.ring.iter().cloned().collect(),
            latest: self.latest.values().cloned().collect(),
            dropped: self.dropped,
        }
    }

    /// Goes on from what was kept; changes up to `upto` that are told again are known.
    pub(super) fn restore(&mut self, kept: KeptAlerts, upto: At) {
        let mut resolved: Vec<_> = kept.latest.iter().filter(|of| of.is_resolved()).collect();
        resolved.sort_by_key(|record| record.at);
        let resolved = resolved.into_iter();
        self.resolved = resolved
            .map(|record| (record.alert.id.clone(), record.at))
            .collect();
        let latest = kept.latest.into_iter();
        self.latest = latest
            .map(|record| (record.alert.id.clone(), record))
            .collect();
        self.ring = kept.ring.into();
        self.dropped = kept.dropped;
        self.restored = upto;
        // It may be set to keep fewer than it did.
        while self.ring.len() > self.ring_kept
            && let Some(gone) = self.ring.pop_front()
        {
            self.dropped = gone.at;
        }
        self.forget_resolved();
    }

    /// Takes a change; places never go back.
    pub(super) fn change(
        &mut self,
        patient: PatientId,
        index: PatientIndex,
        at: At,
        key: String,
        alert: v1::Alert,
    ) {
        if at <= self.restored {
            return;
        }
        let before = self.latest.get(&alert.id);
        let (peak, rested) = before.map_or((0, Rested::default()), |record| {
            (record.peak, record.rested.clone())
        });
        let so_far = (peak.max(alert.priority), rested.and(&alert));
        let id = alert.id.clone();
        let whose = (patient, index);
        let record = AlertRecord::new(whose, at, so_far, key, Arc::new(alert));
        let record = Arc::new(record);
        if record.is_resolved() {
            self.resolved.push_back((id.clone(), at));
        }
        self.latest.insert(id, Arc::clone(&record));
        self.ring.push_back(record);
        if self.ring.len() > self.ring_kept
            && let Some(gone) = self.ring.pop_front()
        {
            self.dropped = gone.at;
        }
        self.forget_resolved();
    }

    fn forget_resolved(&mut self) {
        while self.resolved.len() > self.resolved_kept {
            let Some((id, at)) = self.resolved.pop_front() else {
                return;
            };
            // It may have been raised again since: then a later place owns it.
            if self.latest.get(&id).is_some_and(|record| record.at == at) {
                self.latest.remove(&id);
            }
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<AlertRecord>> {
        self.latest.get(id).cloned()
    }

    /// Every alert that is kept, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<AlertRecord>> {
        self.latest.values()
    }

    /// Those that are not resolved, in order of their last change.
    pub(super) fn active(&self) -> Vec<Arc<AlertRecord>> {
        let mut active: Vec<_> = self
            .latest
            .values()
            .filter(|record| !record.is_resolved())
            .cloned()
            .collect();
        active.sort_by_key(|record| record.at);
        active
    }

    /// The first change after `at`.
    pub(super) fn after(&self, at: At) -> Option<Arc<AlertRecord>> {
        self.ring
            .get(self.ring.partition_point(|record| record.at <= at))
            .cloned()
    }

    /// Whose alerts changed after `at`.
    pub(super) fn patients_after(&self, at: At) -> impl Iterator<Item = &PatientId> {
        let first = self.ring.partition_point(|record| record.at <= at);
        self.ring.range(first..).map(|record| &record.patient)
    }

    /// How many changes lie after `at`.
    pub(super) fn behind(&self, at: At) -> usize {
        self.ring.len() - self.ring.partition_point(|record| record.at <= at)
    }

    /// Are all changes after `at` still here?
    pub(super) fn reaches(&self, at: At) -> bool {
        at >= self.dropped
    }
}
