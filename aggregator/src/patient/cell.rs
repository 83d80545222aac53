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
use twin::coverage::Line;
use vitals::{Kind, PatientId, Time};

use super::guarded::{Guarded, Step};
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
}

impl Cell {
    pub(super) fn new(id: PatientId, test_data: bool, ids: AlertIds, step: Step) -> Self {
        let state = State {
            guarded: Guarded::new(step),
            at: At::START,
            known: Time::ZERO,
            changes: 0,
            built: None,
            places: BTreeMap::new(),
            own: BTreeMap::new(),
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
}
