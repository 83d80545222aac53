//! The hub: where the fold leaves its change notes and readers find them.
//!
//! Invariants: each patient has at most one place in `changed`, that of its newest change; `twin_changed` is
//! called while the patient's own lock is held, so a [`Source`] whose view stands at the place found here *is*
//! the state of that place; `folded` is called after all events of an entry were told. One entry may move a twin more
//! than once (deadlines up to its time, then what it says): readers are shown states of whole entries only, those
//! that the log gives again.
//!
//! Lock order: a patient's lock before the hub's. The hub never calls a `Source` under its own lock.
//!
//! Must not know: how a state is computed, who may see it, gRPC.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, RangeBounds as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use proto::v1;
use tokio::sync::watch;
use twin::board::Scoreboard;
use twin::coverage::Line;
use vitals::{Kind, PatientId, Time};

use super::alerts::{Alerts, KeptAlerts};
use super::bells::{Bell, Bells};
use super::question::{AlertQuestion, Questions, TwinQuestion};
use super::{
    AlertFilter, AlertRecord, At, CursorError, CursorKey, Events, FilterHash, Limits, Rested,
    Stream, TwinFilter,
};

/// Readers of twins are woken no faster than this; states that change faster are conflated. Bounds what is built
/// and looked at, however many read.
const TWIN_ROUND: Duration = Duration::from_millis(4);

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

    /// How good the models are for this patient.
    fn scoreboard(&self) -> Scoreboard;
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

impl Inner {
    /// Between its being named and its first place, a patient has a source and no state.
    fn has_state(&self, index: PatientIndex) -> bool {
        self.patients[index.0 as usize].at.is_some()
    }
}

/// See the module.
pub struct Hub {
    inner: Mutex<Inner>,
    progress: watch::Sender<Progress>,
    /// Journal position of the newest entry that changed an alert: most entries do not, and then nobody who
    /// waits for alerts is woken.
    alerted: watch::Sender<u64>,
    twin_bells: Arc<Bells>,
    alert_bells: Arc<Bells>,
    twin_questions: Questions<TwinFilter, TwinQuestion>,
    alert_questions: Questions<AlertFilter, AlertQuestion>,
    cursors: CursorKey,
    epoch: AtomicU64,
    /// Something waits and the fold does not move.
    stands_still: AtomicBool,
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
            twin_bells: Arc::default(),
            alert_bells: Arc::default(),
            twin_questions: Questions::default(),
            alert_questions: Questions::default(),
            cursors,
            epoch: AtomicU64::new(0),
            stands_still: AtomicBool::new(false),
            limits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change; a poisoned lock still guards whole state.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever watches the fold says whether it stands still.
    pub fn note_still(&self, stands_still: bool) {
        self.stands_still.store(stands_still, Ordering::Relaxed);
    }

    /// Whether the fold goes on, as far as anybody noticed.
    #[must_use]
    pub fn lives(&self) -> bool {
        !self.stands_still.load(Ordering::Relaxed)
    }

    /// Whether all that was durable at start is told.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.progress.borrow().ready
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
        let room = inner.patients.len() * self.limits.alerts_a_patient;
        inner.alerts.make_room(room);
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
    /// What is kept about alerts, for a snapshot.
    pub(crate) fn keep_alerts(&self) -> KeptAlerts {
        self.lock().alerts.keep()
    }

    /// Alerts as a snapshot kept them at the end of the entry at `position`; what is told again up to there is
    /// known. No alert may have been told, and the patients must be there: how many changes are kept goes by them.
    pub(crate) fn restore_alerts(&self, kept: KeptAlerts, position: u64) {
        self.lock().alerts.restore(kept, At::end_of(position));
    }

    /// Wakes readers whenever the fold told something that may concern them; never ends. The fold itself wakes this
    /// one task, however many read: readers of alerts at once, readers of twins in rounds.
    pub async fn ring(&self) {
        let (mut alerted, mut progress) = (self.alerted.subscribe(), self.progress.subscribe());
        // What was told before the first reader came needs no bell: a reader looks before it waits.
        let (mut alerts, mut twins) = (At::START, At::START);
        let (mut due, mut next_round) = (false, tokio::time::Instant::now());
        loop {
            tokio::select! {
                // The senders live in `self`: the waits cannot fail.
                _ = alerted.changed() => alerts = self.ring_alerts(alerts),
                _ = progress.changed(), if !due => due = true,
                () = tokio::time::sleep_until(next_round), if due => {
                    due = false;
                    next_round = tokio::time::Instant::now() + TWIN_ROUND;
                    twins = self.ring_twins(twins);
                }
            }
        }
    }

    /// Wakes who may want what of twins was told after `told`, of whole entries; how far that is.
    fn ring_twins(&self, told: At) -> At {
        let inner = self.lock();
        let whole = At::end_of(inner.folded).max(told);
        let changed = inner
            .changed
            .range((Bound::Excluded(told), Bound::Included(whole)));
        let patients: Vec<_> = changed
            .map(|(_, index)| inner.patients[index.0 as usize].id.clone())
            .collect();
        drop(inner);
        if !patients.is_empty() {
            self.twin_bells.ring(patients.iter());
        }
        whole
    }

    /// As [`Self::ring_twins`], for alerts.
    fn ring_alerts(&self, told: At) -> At {
        let inner = self.lock();
        let patients: Vec<_> = inner.alerts.patients_after(told).cloned().collect();
        let last = inner.last;
        drop(inner);
        self.alert_bells.ring(patients.iter());
        last
    }

    /// A bell for who reads the twins of these patients (nobody named: all).
    pub(super) fn twin_bell(&self, patients: &BTreeSet<PatientId>) -> Bell {
        self.twin_bells.hang(patients)
    }

    /// A bell for who reads the alerts of these patients (nobody named: all).
    pub(super) fn alert_bell(&self, patients: &BTreeSet<PatientId>) -> Bell {
        self.alert_bells.hang(patients)
    }

    /// What all who ask this about twins share.
    pub(super) fn twin_question(&self, filter: &TwinFilter) -> Arc<TwinQuestion> {
        let make = |filter| TwinQuestion::new(filter, self.limits.shared);
        self.twin_questions.of(filter, make)
    }

    /// What all who ask this about alerts share.
    pub(super) fn alert_question(&self, filter: &AlertFilter) -> Arc<AlertQuestion> {
        let make = |filter| AlertQuestion::new(filter, self.limits.shared);
        self.alert_questions.of(filter, make)
    }

    /// The cursor that resumes after `at`.
    pub(super) fn cursor(&self, stream: Stream, filter: FilterHash, at: At) -> Bytes {
        self.cursors.encode(stream, self.epoch(), filter, at).into()
    }

    /// Waits until all that was durable at start is folded.
    pub async fn wait_ready(&self) {
        // The sender lives in `self`: the wait cannot fail.
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|progress| progress.ready).await;
    }

    /// Waits until the entry at `position` is folded.
    pub async fn wait_folded(&self, position: u64) {
        let mut progress = self.progress.subscribe();
        let _ = progress
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
        self.twin_bells.listening() + self.alert_bells.listening()
    }

    /// The patient's index and id, if there is such a patient with a state.
    #[must_use]
    pub fn find(&self, id: &PatientId) -> Option<PatientIndex> {
        let inner = self.lock();
        let index = inner.by_id.get(id).copied()?;
        inner.has_state(index).then_some(index)
    }

    /// Every patient with a state, by id.
    #[must_use]
    pub fn patients(&self) -> Vec<(PatientId, PatientIndex)> {
        let inner = self.lock();
        let mut all: Vec<_> = inner
            .by_id
            .iter()
            .filter(|(_, index)| inner.has_state(**index))
            .map(|(id, index)| (id.clone(), *index))
            .collect();
        drop(inner);
        all.sort();
        all
    }

    /// The newest state of a patient; of an entry that is being folded, it may be one in between.
    #[must_use]
    pub fn view(&self, index: PatientIndex) -> View {
        let source = Arc::clone(&self.lock().patients[index.0 as usize].source);
        source.view()
    }

    /// The newest state of a patient after a whole entry.
    pub async fn whole_view(&self, index: PatientIndex) -> View {
        loop {
            let whole = self.whole();
            let view = self.view(index);
            if view.at <= whole {
                return view;
            }
            self.wait_folded(view.at.position).await;
        }
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

    /// How good the models are for a patient.
    #[must_use]
    pub fn scoreboard(&self, index: PatientIndex) -> Scoreboard {
        let source = Arc::clone(&self.lock().patients[index.0 as usize].source);
        source.scoreboard()
    }

    pub(super) fn id_of(&self, index: PatientIndex) -> PatientId {
        self.lock().patients[index.0 as usize].id.clone()
    }

    /// Those of `wanted` (empty = all) whose newest change after a whole entry lies after `after` and not beyond
    /// `upto`, in order of those changes, at most `limit`; and, when these are all of them, the place up to which a
    /// reader that has them is complete.
    pub(super) fn changed(
        &self,
        wanted: &BTreeSet<PatientId>,
        (after, upto): (At, Option<At>),
        limit: usize,
    ) -> (Vec<(At, PatientIndex)>, Option<At>) {
        let inner = self.lock();
        let whole = At::end_of(inner.folded);
        let end = upto.map_or(whole, |upto| upto.min(whole)).max(after);
        let range = (Bound::Excluded(after), Bound::Included(end));
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
        let complete = (found.len() <= limit).then_some(whole);
        found.truncate(limit);
        (found, complete)
    }

    /// Up to here every entry is wholly folded. What a view shows is of a whole entry if this, asked before, is not
    /// before it.
    pub(super) fn whole(&self) -> At {
        At::end_of(self.lock().folded)
    }

    /// True if the state of the place is the newest of the patient, and of a whole entry.
    pub(super) fn is_whole(&self, index: PatientIndex, at: At) -> bool {
        let inner = self.lock();
        let newest = inner.patients[index.0 as usize].at;
        newest == Some(at) && at <= At::end_of(inner.folded)
    }

    /// One alert by its id.
    #[must_use]
    pub fn alert(&self, id: &str) -> Option<Arc<AlertRecord>> {
        self.lock().alerts.get(id)
    }

    /// What an alert rested on so far.
    #[must_use]
    pub fn rested(&self, id: &str) -> Rested {
        let record = self.alert(id);
        record.map_or_else(Rested::default, |record| record.rested.clone())
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
