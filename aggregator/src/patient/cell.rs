//! One patient's place in the fold: the twin, what was published of it, and the message made of it on demand.
//!
//! Invariants: `at` is the place of the newest published change, and the twin under the same lock is the state
//! of that place; the message is made at most once per state.
//!
//! Must not know: other patients, the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::v1;
use twin::AlertId;
use twin::board::Scoreboard;
use twin::coverage::Line;
use vitals::{GatewayId, Kind, PatientId, StreamId, Time};

use super::guarded::Guarded;
use crate::publish::view::{self, AlertIds, Frame};
use crate::publish::{At, Source, View};

pub(super) struct Cell {
    pub(super) id: PatientId,
    pub(super) test_data: bool,
    ids: AlertIds,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) guarded: Guarded,
    /// Newest published change.
    at: At,
    known: Time,
    changes: u64,
    built: Option<Arc<v1::Twin>>,
    /// Journal position of the last change of each alert that holds.
    pub(super) places: BTreeMap<AlertId, u64>,
    /// Alerts of the centre itself about this patient that hold, by the journal's name.
    pub(super) own: BTreeMap<String, v1::Alert>,
    /// Streams that were ever assigned to this patient, and who collects them.
    pub(super) streams: BTreeMap<StreamId, GatewayId>,
    pub(super) counts: Counts,
    /// A step panicked, or a deadline did not move on: time alone does not wake it.
    pub(super) asleep: bool,
    /// The newest void whose readings the twin may still rest on.
    pub(super) unsettled: Option<u64>,
    /// What the log says up to this position is in the state already: it came from a snapshot.
    pub(super) upto: u64,
    pub(super) save: Save,
}

/// What the fold counts of a patient itself, besides what the twin counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) readings_quarantined: u64,
    pub(super) entries_quarantined: u64,
}

/// What a snapshot must know of a patient's part.
#[derive(Debug, Default)]
pub(super) struct Save {
    /// Changes so far.
    pub(super) touched: u64,
    /// How many of them lie in a snapshot; `None`: it never did.
    pub(super) kept: Option<u64>,
    /// The snapshot that is being made, and the places that were taken since it began.
    pub(super) pass: u64,
    pub(super) taken: Vec<At>,
}

impl Save {
    /// Something changes during a snapshot (0: none is being made).
    pub(super) fn touch(&mut self, pass: u64) {
        self.touched += 1;
        if self.pass != pass {
            self.pass = pass;
            self.taken.clear();
        }
    }
}

impl Cell {
    pub(super) fn new(id: PatientId, test_data: bool, ids: AlertIds, guarded: Guarded) -> Self {
        let state = State {
            guarded,
            at: At::START,
            known: Time::ZERO,
            changes: 0,
            built: None,
            places: BTreeMap::new(),
            own: BTreeMap::new(),
            streams: BTreeMap::new(),
            counts: Counts::default(),
            asleep: false,
            unsettled: None,
            upto: 0,
            save: Save::default(),
        };
        Self {
            id,
            test_data,
            ids,
            state: Mutex::new(state),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A step that panics is caught under this lock and leaves the state whole (see `guarded`).
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn frame(&self, at: At, known: Time) -> Frame<'_> {
        Frame {
            patient: &self.id,
            at,
            known,
            test_data: self.test_data,
        }
    }

    pub(super) const fn ids(&self) -> &AlertIds {
        &self.ids
    }
}

impl State {
    /// Place, known time and number of the newest published change.
    pub(super) const fn newest(&self) -> (At, Time, u64) {
        (self.at, self.known, self.changes)
    }

    /// As it was when a snapshot was made.
    pub(super) fn set_newest(&mut self, (at, known, changes): (At, Time, u64)) {
        (self.at, self.known, self.changes) = (at, known, changes);
        self.built = None;
    }

    /// A place was taken for a change of this patient.
    pub(super) fn took(&mut self, at: At) {
        if self.save.pass > 0 {
            self.save.taken.push(at);
        }
    }

    /// The state now standing is published at `at`.
    pub(super) fn published(&mut self, at: At, known: Time) {
        self.at = at;
        self.known = known;
        self.changes += 1;
        self.built = None;
    }
}

impl Source for Cell {
    fn view(&self) -> View {
        let mut guard = self.lock();
        let state = &mut *guard;
        let twin = state.built.get_or_insert_with(|| {
            let frame = self.frame(state.at, state.known);
            let changed_at = |alert| state.places.get(&alert).copied();
            let own = state.own.values().cloned();
            Arc::new(view::twin(
                state.guarded.twin(),
                &frame,
                &self.ids,
                changed_at,
                own,
            ))
        });
        View {
            at: state.at,
            changes: state.changes,
            twin: Arc::clone(twin),
        }
    }

    fn coverage(&self, kinds: &[Kind], window: (Time, Time), now: Time) -> Vec<Line> {
        self.lock().guarded.twin().coverage(kinds, window, now)
    }

    fn scoreboard(&self) -> Scoreboard {
        self.lock().guarded.twin().scoreboard()
    }
}
