//! All twins, and the order in which things happen to them.
//!
//! For each entry: first every deadline up to its known time, in (deadline, patient) order; then the entry
//! itself. What comes of it goes to the hub at once: the entry is durable already.
//!
//! Must not know: threads, the journal's handle, clocks.

mod voids;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use proto::v1;
use twin::rules::Rules;
use twin::{Effect, Event, State, Twin};
use vitals::{GatewayId, PatientId, StreamId, Time};

use super::anew::{Again, Rereading, Rereadings};
use super::cell::Cell;
use super::event::{Meaning, meaning};
use super::guarded::{Guarded, Panicked, Step};
use super::saved::{SavedPatient, Saver};
use crate::journal::{Committed, Opened};
use crate::publish::view::{self, AlertIds};
use crate::publish::{At, Events, Hub, PatientIndex};
use crate::stages::{Lap, Stage};
use crate::traces::Name;

/// An entry on which the fold of a patient panicked: to be appended as [`Entry::Quarantined`](crate::journal::Entry::Quarantined).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantine {
    /// The entry.
    pub position: u64,
    /// Whose twin.
    pub patient: PatientId,
}

/// What the fold shares with those who ask for sums or make snapshots.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) cells: RwLock<Vec<Arc<Cell>>>,
    /// The last position that is wholly folded. Held while an entry is folded: whoever holds it finds every twin
    /// at that position.
    at: Mutex<u64>,
    /// The snapshot that is being made; 0: none.
    pub(super) pass: AtomicU64,
    /// Panicked, and not yet seen as an entry.
    broken: Mutex<BTreeSet<Quarantine>>,
    pub(super) rereadings: Rereadings,
}

impl Shared {
    /// Entries on which a step panicked and which no entry quarantines yet.
    pub(super) fn broken(&self) -> MutexGuard<'_, BTreeSet<Quarantine>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of one patient, as positions.
    pub(super) fn broken_of(&self, patient: &PatientId) -> Vec<u64> {
        let broken = self.broken();
        let of = broken.iter().filter(|broken| broken.patient == *patient);
        of.map(|broken| broken.position).collect()
    }

    /// Holds the fold between two entries. Keep it for one twin only.
    pub(super) fn hold(&self) -> MutexGuard<'_, u64> {
        // The fold catches what panics under it.
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Next free place within the entry that is being folded. Twins and alerts share one count: places are told
/// in rising order, so a reader that stands at any told place misses nothing that is told after it.
struct Places {
    position: u64,
    known: Time,
    next: u32,
    /// Taken in this entry by twins that came from a snapshot made after it.
    skip: Vec<u32>,
    pass: u64,
    lap: Lap,
}

impl Places {
    fn take(&mut self) -> At {
        while self.skip.contains(&self.next) {
            self.next += 1;
        }
        let at = At {
            position: self.position,
            index: self.next,
        };
        self.next += 1;
        at
    }
}

/// See the module.
pub struct Fold<E = Hub> {
    hub: Arc<E>,
    ids: AlertIds,
    step: Step,
    cells: Vec<Arc<Cell>>,
    by_id: BTreeMap<PatientId, PatientIndex>,
    due: BTreeSet<(Time, PatientIndex)>,
    deadlines: Vec<Option<Time>>,
    collects: BTreeMap<GatewayId, BTreeSet<PatientIndex>>,
    streams: BTreeMap<StreamId, PatientIndex>,
    /// Places that twins from a snapshot took in entries that are folded again for the others.
    taken: BTreeSet<At>,
    effects: Vec<Effect>,
    /// In force for everybody.
    rules: Arc<Rules>,
    /// Where a log is read once more of which a part was voided.
    again: Option<Arc<dyn Again>>,
    /// Of the last entry that was folded.
    last_known: Time,
    pub(super) shared: Arc<Shared>,
}

impl<E> std::fmt::Debug for Fold<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fold")
            .field("patients", &self.cells.len())
            .finish_non_exhaustive()
    }
}

impl Fold {
    /// What a snapshot is made from.
    #[must_use]
    pub fn saver(&self) -> Saver {
        Saver::new(Arc::clone(&self.hub), Arc::clone(&self.shared))
    }
}

impl<E: Events> Fold<E> {
    /// No patients yet. What happens is told to `hub`.
    #[must_use]
    pub fn new(hub: Arc<E>, ids: AlertIds) -> Self {
        Self::with_step(hub, ids, twin::step)
    }

    /// With another function in place of `twin::step`.
    pub(super) fn with_step(hub: Arc<E>, ids: AlertIds, step: Step) -> Self {
        Self {
            hub,
            ids,
            step,
            cells: Vec::new(),
            by_id: BTreeMap::new(),
            due: BTreeSet::new(),
            deadlines: Vec::new(),
            collects: BTreeMap::new(),
            streams: BTreeMap::new(),
            taken: BTreeSet::new(),
            effects: Vec::new(),
            rules: Arc::default(),
            again: None,
            last_known: Time::ZERO,
            shared: Arc::default(),
        }
    }

    /// With the log that it folds, to be read again where readings of it are voided.
    #[must_use]
    pub fn reading(mut self, again: Arc<dyn Again>) -> Self {
        self.again = Some(again);
        self
    }

    /// Folds the next entry.
    pub fn apply(&mut self, committed: &Committed) {
        let (position, known) = (committed.position.0, committed.known);
        let shared = Arc::clone(&self.shared);
        let _until_published = committed.trace.traced(Name::Fold);
        let mut at = shared.hold();
        let mut places = Places {
            position,
            known,
            next: 0,
            skip: self.skip(position),
            pass: shared.pass.load(Ordering::Relaxed),
            lap: Lap::sample(),
        };
        self.fire(&mut places);
        let meaning = meaning(committed);
        places.lap.end(Stage::Readings);
        match meaning {
            Meaning::Begin { patient, test_data } => self.begin(&patient, test_data, &mut places),
            Meaning::One { patient, event } => self.one(&patient, event, committed, &mut places),
            Meaning::Rules(rules) => {
                self.rules = rules;
                for index in (0..).map(PatientIndex).take(self.cells.len()) {
                    let event = Event::Rules(Arc::clone(&self.rules));
                    self.step(index, event, known, &mut places);
                }
            }
            Meaning::GatewayRevoked(gateway) => {
                for index in self.collects.get(&gateway).cloned().unwrap_or_default() {
                    let event = Event::GatewayRevoked {
                        gateway: gateway.clone(),
                    };
                    self.step(index, event, known, &mut places);
                }
            }
            Meaning::StreamFrozen(stream) => {
                if let Some(index) = self.streams.get(&stream).copied() {
                    self.step(index, Event::StreamFrozen { stream }, known, &mut places);
                }
            }
            Meaning::OwnAlertAcknowledged {
                patient,
                key,
                by,
                note,
            } => {
                self.own_acknowledged(&patient, key, by, note, &mut places);
            }
            Meaning::Quarantined { patient, position } => {
                self.quarantined(patient, position, &mut places);
            }
            Meaning::Voided { patient, voids, .. } => {
                self.voided(&patient, &voids, &mut places);
            }
            Meaning::VoidSettled { patient, void } => {
                self.void_settled(&patient, void, &mut places);
            }
            Meaning::Epoch(epoch) => {
                self.hub.begin_epoch(epoch);
                if epoch > 1 {
                    self.restored(&mut places);
                }
            }
            Meaning::Nothing => {}
        }
        self.hub.folded(position);
        *at = position;
        self.last_known = known;
        places.lap.end(Stage::Publish);
    }

    /// Goes on from a snapshot that was begun at `position`, which was known at `known`: entries up to there are not folded again, and later
    /// ones only into those twins that were saved before them. `rules` were in force there. The fold must be empty.
    pub fn restore(
        &mut self,
        (position, known): (u64, Time),
        rules: Arc<Rules>,
        saved: Vec<SavedPatient>,
    ) {
        self.rules = rules;
        self.last_known = known;
        for saved in saved {
            let patient = saved.patient.clone();
            let index = PatientIndex(u32::try_from(self.cells.len()).unwrap_or(u32::MAX));
            for (stream, gateway) in &saved.streams {
                self.streams.insert(*stream, index);
                self.collects
                    .entry(gateway.clone())
                    .or_default()
                    .insert(index);
            }
            let broken = saved.broken.iter().map(|position| Quarantine {
                position: *position,
                patient: patient.clone(),
            });
            self.shared.broken().extend(broken);
            let taken = saved.taken.iter().filter(|at| at.position > position);
            self.taken.extend(taken);
            let cell = Arc::new(Cell::restored(saved, self.ids.clone(), self.step));
            let (at, deadline) = {
                let state = cell.lock();
                if let Some(void) = state.unsettled {
                    self.read_again(&cell.id, void, state.guarded.twin().voids());
                }
                let deadline = state.guarded.twin().next_deadline();
                (state.newest().0, deadline.filter(|_| !state.asleep))
            };
            let added = self
                .hub
                .add_patient(patient.clone(), Arc::clone(&cell) as _);
            debug_assert_eq!(added, index, "patients are saved in their order");
            self.by_id.insert(patient, index);
            self.shared
                .cells
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Arc::clone(&cell));
            self.hub.twin_changed(index, at);
            self.cells.push(cell);
            self.deadlines.push(None);
            self.set_deadline(index, deadline);
        }
        *self.shared.hold() = position;
        self.hub.folded(position);
    }

    fn skip(&mut self, position: u64) -> Vec<u32> {
        let begin = At { position, index: 0 };
        let of_entry = self.taken.range(begin..=At::end_of(position));
        let skip = of_entry.map(|at| at.index).collect();
        if self.taken.last().is_some_and(|last| *last < begin) {
            self.taken.clear();
        }
        skip
    }

    /// Where it publishes.
    pub(crate) const fn hub(&self) -> &Arc<E> {
        &self.hub
    }

    /// When time alone changes something next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    /// A patient's log that is to be read without what was voided in it, for whoever has no [`super::Folder`].
    #[must_use]
    pub fn rereading(&self) -> Option<Arc<Rereading>> {
        self.shared.rereadings.next()
    }

    /// Entries on which a step panicked and which no entry quarantines yet.
    pub fn broken(&self) -> MutexGuard<'_, BTreeSet<Quarantine>> {
        self.shared.broken()
    }

    /// The centre goes on from a backup: whatever it knew after the entry before this one is lost.
    fn restored(&mut self, places: &mut Places) {
        let since = self.last_known;
        for index in (0..).map(PatientIndex).take(self.cells.len()) {
            self.step(index, Event::Restored { since }, places.known, places);
        }
    }

    /// Every deadline up to the entry's known time.
    fn fire(&mut self, places: &mut Places) {
        while let Some((deadline, index)) = self.due.first().copied() {
            if deadline > places.known {
                return;
            }
            self.step(index, Event::Tick, deadline, places);
            places.lap.end(Stage::Publish);
            let again = self.deadlines[index.0 as usize];
            if again.is_some_and(|again| again <= deadline) {
                // A defect of the twin: it would keep the fold here for ever. Its next event wakes it.
                tracing::error!(
                    "a deadline did not move on when it fired; it waits for the next event"
                );
                self.cells[index.0 as usize].lock().asleep = true;
                self.set_deadline(index, None);
            }
        }
    }

    fn begin(&mut self, patient: &PatientId, test_data: bool, places: &mut Places) {
        if self.by_id.contains_key(patient) {
            return;
        }
        let cell = Arc::new(Cell::new(
            patient.clone(),
            test_data,
            self.ids.clone(),
            Guarded::from_twin(self.step, Twin::new().under(&self.rules)),
        ));
        let index = self
            .hub
            .add_patient(patient.clone(), Arc::clone(&cell) as _);
        self.by_id.insert(patient.clone(), index);
        self.shared
            .cells
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&cell));
        let mut state = cell.lock();
        state.save.touch(places.pass);
        let at = places.take();
        state.took(at);
        state.published(at, places.known);
        self.hub.twin_changed(index, at);
        drop(state);
        self.cells.push(cell);
        self.deadlines.push(None);
    }

    fn one(
        &mut self,
        patient: &PatientId,
        event: Event,
        committed: &Committed,
        places: &mut Places,
    ) {
        let Some(index) = self.by_id.get(patient).copied() else {
            tracing::error!(
                position = places.position,
                "an entry about an unknown patient is skipped"
            );
            return;
        };
        if let Event::Assigned(assigned) = &event {
            self.streams.insert(assigned.stream, index);
            self.collects
                .entry(assigned.gateway.clone())
                .or_default()
                .insert(index);
            let mut state = self.cells[index.0 as usize].lock();
            let (stream, gateway) = (assigned.stream, assigned.gateway.clone());
            state.streams.insert(stream, gateway);
        }
        if !self.step(index, event, places.known, places)
            && let Some(Opened::Batch(batch)) = committed.body.as_deref()
        {
            let mut state = self.cells[index.0 as usize].lock();
            state.counts.readings_quarantined += u64::from(batch.readings);
        }
    }

    /// Steps one twin and publishes what comes of it. False: it panicked, and nothing changed.
    fn step(&mut self, index: PatientIndex, event: Event, now: Time, places: &mut Places) -> bool {
        self.change(index, places, |guarded, out| guarded.step(event, now, out))
    }

    /// Changes one twin and publishes what comes of it. False: it panicked, and nothing changed.
    fn change(
        &mut self,
        index: PatientIndex,
        places: &mut Places,
        how: impl FnOnce(&mut Guarded, &mut Vec<Effect>) -> Result<(), Panicked>,
    ) -> bool {
        let cell = Arc::clone(&self.cells[index.0 as usize]);
        let mut state = cell.lock();
        if places.position <= state.upto {
            return true;
        }
        state.save.touch(places.pass);
        let mut effects = std::mem::take(&mut self.effects);
        places.lap.end(Stage::Publish);
        let result = how(&mut state.guarded, &mut effects);
        places.lap.end(Stage::Step);
        let mut changed = false;
        for effect in effects.drain(..) {
            match effect {
                Effect::TwinChanged => changed = true,
                // What a beat means is in the twin.
                Effect::Beat(_) => {}
                Effect::Alert(change) => {
                    let (alert, at) = (&change.alert, places.take());
                    state.took(at);
                    if alert.state == State::Resolved {
                        state.places.remove(&alert.id);
                    } else {
                        state.places.insert(alert.id, at.position);
                    }
                    let message = view::alert(alert, &cell.frame(at, places.known), cell.ids());
                    self.hub
                        .alert_changed(index, at, alert.id.to_string(), message);
                }
            }
        }
        self.effects = effects;
        if changed {
            let at = places.take();
            state.took(at);
            state.published(at, places.known);
            self.hub.twin_changed(index, at);
        }
        let deadline = state.guarded.twin().next_deadline();
        state.asleep = result.is_err();
        drop(state);
        if result.is_err() {
            let quarantine = Quarantine {
                position: places.position,
                patient: cell.id.clone(),
            };
            tracing::error!(
                position = places.position,
                "the fold of an entry panicked; it is quarantined"
            );
            self.shared.broken().insert(quarantine);
            // What panicked may be the deadline itself: the next event of this patient decides.
            self.set_deadline(index, None);
            return false;
        }
        self.set_deadline(index, deadline);
        true
    }

    fn set_deadline(&mut self, index: PatientIndex, deadline: Option<Time>) {
        let slot = &mut self.deadlines[index.0 as usize];
        if let Some(before) = std::mem::replace(slot, deadline) {
            self.due.remove(&(before, index));
        }
        if let Some(deadline) = deadline {
            self.due.insert((deadline, index));
        }
    }

    /// The quarantine is durable: people hear of it.
    fn quarantined(&mut self, patient: PatientId, position: u64, places: &mut Places) {
        let Some(index) = self.by_id.get(&patient).copied() else {
            return;
        };
        {
            let mut state = self.cells[index.0 as usize].lock();
            if places.position <= state.upto {
                return;
            }
            state.counts.entries_quarantined += 1;
        }
        let key = format!("q-{position}");
        let summary = "An entry of the journal could not be processed and was set aside: \
                       this patient's values may be incomplete. Report it to the makers of this software.";
        let plain = "Some data could not be processed. The technical team has to look at it.";
        let alert = v1::Alert {
            id: self.ids.public(&patient, &key),
            condition: "entry_quarantined".into(),
            priority: v1::Priority::Medium as i32,
            category: v1::Category::Technical as i32,
            state: v1::AlertState::Active as i32,
            onset_us: places.known.as_micros(),
            raised_us: places.known.as_micros(),
            summary: summary.into(),
            plain_summary: plain.into(),
            model: "fold/1".into(),
            ..Default::default()
        };
        self.shared
            .broken()
            .remove(&Quarantine { position, patient });
        self.publish_own(index, key, alert, places);
    }

    /// Taking notice of an alert of the centre itself ends it: there is nothing that could end otherwise.
    fn own_acknowledged(
        &mut self,
        patient: &PatientId,
        key: String,
        by: String,
        note: String,
        places: &mut Places,
    ) {
        let Some(index) = self.by_id.get(patient).copied() else {
            return;
        };
        let found = {
            let state = self.cells[index.0 as usize].lock();
            let again = places.position <= state.upto;
            state.own.get(&key).filter(|_| !again).cloned()
        };
        let Some(mut alert) = found else { return };
        alert.state = v1::AlertState::Resolved as i32;
        alert.acknowledged_us = places.known.as_micros();
        alert.acknowledged_by = by;
        alert.acknowledge_note = note;
        alert.resolved_us = places.known.as_micros();
        self.publish_own(index, key, alert, places);
    }

    fn publish_own(
        &self,
        index: PatientIndex,
        key: String,
        mut alert: v1::Alert,
        places: &mut Places,
    ) {
        let cell = &self.cells[index.0 as usize];
        let mut state = cell.lock();
        state.save.touch(places.pass);
        let at = places.take();
        state.took(at);
        alert.patient = cell.id.reveal().to_owned();
        alert.position = at.position;
        alert.test_data = cell.test_data;
        if alert.state == v1::AlertState::Resolved as i32 {
            state.own.remove(&key);
        } else {
            state.own.insert(key.clone(), alert.clone());
        }
        self.hub.alert_changed(index, at, key, alert);
        let at = places.take();
        state.took(at);
        state.published(at, places.known);
        self.hub.twin_changed(index, at);
    }
}
