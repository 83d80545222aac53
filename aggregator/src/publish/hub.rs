//! The hub: where the fold leaves its change notes and readers find them.
//!
//! Invariants: each patient has at most one place in `changed`, that of its newest change; `twin_changed` is
//! called while the patient's own lock is held, so a [`Source`] whose view stands at the place found here *is*
//! the state of that place; `folded` is called after all events of an entry were told.
//!
//! Lock order: a patient's lock before the hub's. The hub never calls a `Source` under its own lock.
//!
//! Must not know: how a state is computed, who may see it, gRPC.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeBounds as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::v1;
use tokio::sync::watch;
use twin::coverage::Line;
use vitals::{Kind, PatientId, Time};

use super::alerts::Alerts;
use super::{AlertRecord, At, CursorError, CursorKey, Events, Limits};

/// A patient's number within this process, dense from 0 in order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatientIndex(pub u32);

/// A state of a twin as readers get it.
#[derive(Clone, Debug)]
pub struct View {
    /// Place of the change that made it.
    pub at: At,
    /// Changes of this patient up to and including this one.
    pub changes: u64,
    /// The message.
    pub twin: Arc<v1::Twin>,
}

/// Where the newest state of one patient is had from.
pub trait Source: Send + Sync {
    /// The newest state. May build the message; a second call for the same state is cheap.
    fn view(&self) -> View;

    /// What each stretch of a window was, as known at `now`.
    fn coverage(&self, kinds: &[Kind], window: (Time, Time), now: Time) -> Vec<Line>;
}

/// How far the fold is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Journal position of the last entry that is wholly folded and published.
    pub(super) folded: u64,
    /// Everything that was durable at start is folded: readers are served.
    pub(super) ready: bool,
}

struct Patient {
    id: PatientId,
    source: Arc<dyn Source>,
    at: Option<At>,
}

struct Inner {
    patients: Vec<Patient>,
    by_id: HashMap<PatientId, PatientIndex>,
    changed: BTreeMap<At, PatientIndex>,
    alerts: Alerts,
    /// Highest place told so far, twins and alerts alike.
    last: At,
    /// Wholly folded up to here.
    folded: u64,
    /// An alert changed since readers of alerts were woken.
    alerted: bool,
}

/// See the module.
pub struct Hub {
    inner: Mutex<Inner>,
    progress: watch::Sender<Progress>,
    /// Journal position of the newest entry that changed an alert: most entries do not, and then nobody who
    /// waits for alerts is woken.
    alerted: watch::Sender<u64>,
    cursors: CursorKey,
    epoch: AtomicU64,
    limits: Limits,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// An empty hub for a journal that has not begun: epoch 0.
    #[must_use]
    pub fn new(cursors: CursorKey, limits: Limits) -> Self {
        let inner = Inner {
            patients: Vec::new(),
            by_id: HashMap::new(),
            changed: BTreeMap::new(),
            alerts: Alerts::new(limits.alert_ring, limits.resolved_alerts),
            last: At::START,
            folded: 0,
            alerted: false,
        };
        let (alerted, _) = watch::channel(0);
        let (progress, _) = watch::channel(Progress::default());
        Self {
            inner: Mutex::new(inner),
            progress,
            alerted,
            cursors,
            epoch: AtomicU64::new(0),
            limits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change; a poisoned lock still guards whole state.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was durable at start is told. Wakes readers.
    pub fn ready(&self) {
        self.progress.send_modify(|progress| progress.ready = true);
    }
}

/// What the fold tells.
impl Events for Hub {
    fn begin_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    fn add_patient(&self, id: PatientId, source: Arc<dyn Source>) -> PatientIndex {
        let mut inner = self.lock();
        if let Some(index) = inner.by_id.get(&id) {
            return *index;
        }
        let index = PatientIndex(u32::try_from(inner.patients.len()).expect("patients fit u32"));
        inner.by_id.insert(id.clone(), index);
        inner.patients.push(Patient {
            id,
            source,
            at: None,
        });
        index
    }

    fn twin_changed(&self, index: PatientIndex, at: At) {
        let mut inner = self.lock();
        let before = inner.patients[index.0 as usize].at.replace(at);
        if let Some(before) = before {
            inner.changed.remove(&before);
        }
        inner.changed.insert(at, index);
        inner.last = inner.last.max(at);
    }

    fn alert_changed(&self, index: PatientIndex, at: At, key: String, alert: v1::Alert) {
        let mut inner = self.lock();
        let patient = inner.patients[index.0 as usize].id.clone();
        inner.alerts.change(patient, index, at, key, alert);
        inner.alerted = true;
        inner.last = inner.last.max(at);
    }

    fn folded(&self, position: u64) {
        let alerted = {
            let mut inner = self.lock();
            inner.folded = position;
            std::mem::take(&mut inner.alerted)
        };
        if alerted {
            self.alerted.send_replace(position);
        }
        self.progress
            .send_modify(|progress| progress.folded = position);
    }
}

/// What readers ask.
impl Hub {
    /// Wakes when the fold made progress.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Wakes when alerts changed.
    pub(super) fn alerted(&self) -> watch::Receiver<u64> {
        self.alerted.subscribe()
    }

    /// Waits until all that was durable at start is folded.
    pub async fn wait_ready(&self) {
        // The sender lives in `self`: the wait cannot fail.
        let _ = self.progress().wait_for(|progress| progress.ready).await;
    }

    /// Waits until the entry at `position` is folded.
    pub async fn wait_folded(&self, position: u64) {
        let _ = self
            .progress()
            .wait_for(|progress| progress.folded >= position)
            .await;
    }

    /// Journal position up to which everything is published.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.progress.borrow().folded
    }

    /// How many readers wait on this hub (open streams).
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.progress.receiver_count() + self.alerted.receiver_count()
    }

    /// The patient's index and id, if there is such a patient.
    #[must_use]
    pub fn find(&self, id: &PatientId) -> Option<PatientIndex> {
        self.lock().by_id.get(id).copied()
    }

    /// Every patient, by id.
    #[must_use]
    pub fn patients(&self) -> Vec<(PatientId, PatientIndex)> {
        let inner = self.lock();
        let mut all: Vec<_> = inner
            .by_id
            .iter()
            .map(|(id, index)| (id.clone(), *index))
            .collect();
        drop(inner);
        all.sort();
        all
    }

    /// The newest state of a patient.
    #[must_use]
    pub fn view(&self, index: PatientIndex) -> View {
        let source = Arc::clone(&self.lock().patients[index.0 as usize].source);
        source.view()
    }

    /// What each stretch of a patient's window was, as known at `now`.
    #[must_use]
    pub fn coverage(
        &self,
        index: PatientIndex,
        kinds: &[Kind],
        window: (Time, Time),
        now: Time,
    ) -> Vec<Line> {
        let source = Arc::clone(&self.lock().patients[index.0 as usize].source);
        source.coverage(kinds, window, now)
    }

    pub(super) fn id_of(&self, index: PatientIndex) -> PatientId {
        self.lock().patients[index.0 as usize].id.clone()
    }

    /// Those of `wanted` (empty = all) whose newest change lies in `range`, in order of those changes, at most
    /// `limit`; and, when these are all of them, the place up to which a reader that has them is complete.
    pub(super) fn changed(
        &self,
        wanted: &[PatientId],
        range: (Bound<At>, Bound<At>),
        limit: usize,
    ) -> (Vec<(At, PatientIndex)>, Option<At>) {
        let inner = self.lock();
        let mut found: Vec<(At, PatientIndex)> = if wanted.is_empty() {
            let all = inner.changed.range(range).take(limit.saturating_add(1));
            all.map(|(at, index)| (*at, *index)).collect()
        } else {
            let indices = wanted.iter().filter_map(|id| inner.by_id.get(id));
            let places = indices
                .filter_map(|index| inner.patients[index.0 as usize].at.map(|at| (at, *index)));
            places.filter(|(at, _)| range.contains(at)).collect()
        };
        found.sort_unstable();
        let complete = (found.len() <= limit).then(|| At::end_of(inner.folded).max(inner.last));
        found.truncate(limit);
        (found, complete)
    }

    /// The highest place told so far.
    pub(super) fn last(&self) -> At {
        let inner = self.lock();
        inner.last.max(At::end_of(inner.folded))
    }

    /// One alert by its id.
    #[must_use]
    pub fn alert(&self, id: &str) -> Option<Arc<AlertRecord>> {
        self.lock().alerts.get(id)
    }

    /// All alerts that are kept, in no order.
    #[must_use]
    pub fn alerts(&self) -> Vec<Arc<AlertRecord>> {
        self.lock().alerts.all().cloned().collect()
    }

    /// Alerts that are not resolved, and the place up to which that is complete.
    pub(super) fn active_alerts(&self) -> (Vec<Arc<AlertRecord>>, At) {
        let inner = self.lock();
        (
            inner.alerts.active(),
            inner.last.max(At::end_of(inner.folded)),
        )
    }

    /// What a reader at `at` gets next: the next change; or, when there is none, the place up to which the
    /// reader is complete. Also how many changes lie after `at`. `None` when changes after `at` are lost.
    pub(super) fn alert_after(&self, at: At) -> Option<(Result<Arc<AlertRecord>, At>, usize)> {
        let inner = self.lock();
        if !inner.alerts.reaches(at) {
            return None;
        }
        let behind = inner.alerts.behind(at);
        let next = inner
            .alerts
            .after(at)
            .ok_or_else(|| At::end_of(inner.folded).max(at));
        Some((next, behind))
    }

    /// Can a reader of alerts resume at `at`?
    pub(super) fn check_alert_cursor(&self, at: At) -> Result<(), CursorError> {
        self.check_ahead(at)?;
        if self.lock().alerts.reaches(at) {
            Ok(())
        } else {
            Err(CursorError::TooOld)
        }
    }

    /// A cursor beyond all that was ever told: the journal lost its end.
    pub(super) fn check_ahead(&self, at: At) -> Result<(), CursorError> {
        let inner = self.lock();
        let known = inner.folded.max(inner.last.position);
        if at.position > known {
            Err(CursorError::Ahead)
        } else {
            Ok(())
        }
    }

    pub(super) const fn cursors(&self) -> &CursorKey {
        &self.cursors
    }

    /// The journal's epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }
}
