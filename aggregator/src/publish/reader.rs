//! One reader of a stream: where it stands, and what it gets next. Pull only; the shell that waits, asks the
//! gate and writes to the network is `serve::grpc::watch`.
//!
//! Twins. While at most [`Limits::pending_twins`](super::Limits) patients wait, each event carries a cursor
//! that resumes exactly after it. A first call, and a reader that fell further behind, get a *sweep*: every
//! waiting patient once, in its newest state; the cursor stands at the sweep's beginning until the sweep is
//! complete, so a reader that breaks off in the middle is swept again (states may repeat then, none is missed).
//!
//! Alerts. Every change, in order, or the stream ends with [`Cut`].
//!
//! Invariants: after a complete sweep the cursor is exact: every patient's newest change up to it was sent, and
//! no state beyond it. `allowed` is asked for every patient of every event, right before the event is given.
//!
//! Must not know: tonic, sockets, time.

use std::collections::{HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use proto::v1::{self, alert_event, twin_event};
use tokio::sync::watch;
use vitals::PatientId;

use super::hub::{Progress, View};
use super::{AlertRecord, At, CursorError, FilterHash, Hub, PatientIndex, Stream};

/// May the reader see this patient now?
pub type Allowed<'a> = &'a dyn Fn(&PatientId) -> bool;

/// Why a stream of alerts ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where to resume.
    pub cursor: Vec<u8>,
    /// How many changes the reader was behind; 0 when they are no longer counted.
    pub behind: usize,
}

/// The patients a reader asked for; empty = all.
#[derive(Debug)]
struct Wanted(Vec<PatientId>);

impl Wanted {
    fn new(mut patients: Vec<PatientId>) -> Self {
        patients.sort();
        patients.dedup();
        Self(patients)
    }

    fn has(&self, patient: &PatientId) -> bool {
        self.0.is_empty() || self.0.binary_search(patient).is_ok()
    }
}

/// What both kinds of readers know.
#[derive(Debug)]
struct Seat {
    hub: Arc<Hub>,
    stream: Stream,
    filter: FilterHash,
    at: At,
}

impl Seat {
    fn cursor(&self) -> Vec<u8> {
        self.hub
            .cursors()
            .encode(self.stream, self.hub.epoch(), self.filter, self.at)
    }

    /// Takes the cursor's place. `Ok(false)`: there was none. An error says why it cannot be honoured.
    fn resume(&mut self, cursor: &[u8]) -> Result<bool, CursorError> {
        if cursor.is_empty() {
            return Ok(false);
        }
        let hub = &self.hub;
        let at = hub
            .cursors()
            .decode(self.stream, hub.epoch(), self.filter, cursor)?;
        match self.stream {
            Stream::Twins => hub.check_ahead(at)?,
            Stream::Alerts => hub.check_alert_cursor(at)?,
        }
        self.at = at;
        Ok(true)
    }
}

/// Every waiting patient once.
#[derive(Debug)]
struct Sweep {
    /// Still to be sent; taken from the end.
    todo: Vec<PatientIndex>,
    /// Places of the states that were sent in this sweep.
    sent: HashMap<PatientIndex, At>,
    /// Highest of these places.
    highest: At,
    /// `Some` for a snapshot, with its reason; `None` for a reader that fell behind.
    snapshot: Option<String>,
}

/// A reader of twin states.
#[derive(Debug)]
pub struct TwinReader {
    seat: Seat,
    progress: watch::Receiver<Progress>,
    wanted: Wanted,
    sweep: Option<Sweep>,
    ready: VecDeque<(PatientIndex, View)>,
    /// Changes of each patient that this reader knows of.
    seen: HashMap<PatientIndex, u64>,
}

impl TwinReader {
    /// A reader of `patients` (empty = all) that resumes at `cursor` (empty = from a snapshot).
    #[must_use]
    pub fn new(hub: Arc<Hub>, patients: Vec<PatientId>, cursor: &[u8]) -> Self {
        let filter = FilterHash::of(&patients, 0);
        let progress = hub.progress();
        let at = At::START;
        let stream = Stream::Twins;
        let mut seat = Seat {
            hub,
            stream,
            filter,
            at,
        };
        let snapshot = match seat.resume(cursor) {
            Ok(true) => None,
            Ok(false) => Some(String::new()),
            Err(error) => Some(error.to_string()),
        };
        let mut reader = Self {
            seat,
            progress,
            wanted: Wanted::new(patients),
            sweep: None,
            ready: VecDeque::new(),
            seen: HashMap::new(),
        };
        if let Some(reason) = snapshot {
            reader.begin_snapshot(reason);
        }
        reader
    }

    fn begin_snapshot(&mut self, reason: String) {
        // Everything up to this place will be in the snapshot. Read before the list of patients, so that a
        // patient who appears in between is found as a change.
        self.seat.at = self.seat.hub.last();
        let mut todo: Vec<PatientIndex> = self
            .seat
            .hub
            .patients()
            .into_iter()
            .filter(|(id, _)| self.wanted.has(id))
            .map(|(_, index)| index)
            .collect();
        todo.reverse();
        let sent = HashMap::new();
        self.sweep = Some(Sweep {
            todo,
            sent,
            highest: self.seat.at,
            snapshot: Some(reason),
        });
    }

    /// The next event, if there is one now.
    pub fn next(&mut self, allowed: Allowed<'_>) -> Option<v1::TwinEvent> {
        loop {
            if self.sweep.is_some() {
                if let Some(event) = self.next_of_sweep(allowed) {
                    return Some(event);
                }
                continue;
            }
            if let Some((index, view)) = self.ready.pop_front() {
                self.seat.at = view.at;
                if allowed(&self.seat.hub.id_of(index)) {
                    return Some(self.change(index, &view));
                }
                continue;
            }
            if !self.capture() {
                return None;
            }
        }
    }

    /// Waits until the fold made progress.
    pub async fn changed(&mut self) {
        // The sender lives in the hub that we hold: the wait cannot fail.
        let _ = self.progress.changed().await;
    }

    /// Says that the line works; carries the newest cursor.
    #[must_use]
    pub fn keep_alive(&self) -> v1::TwinEvent {
        let cursor = if self.in_snapshot() {
            Vec::new()
        } else {
            self.seat.cursor()
        };
        let kind = Some(twin_event::Kind::KeepAlive(v1::KeepAlive {}));
        v1::TwinEvent {
            cursor,
            kind,
            conflated: 0,
        }
    }

    fn in_snapshot(&self) -> bool {
        self.sweep
            .as_ref()
            .is_some_and(|sweep| sweep.snapshot.is_some())
    }

    /// Takes the newest states of all waiting patients, in order. False: nobody waits.
    fn capture(&mut self) -> bool {
        let hub = &self.seat.hub;
        let (found, complete) = hub.changed(
            &self.wanted.0,
            after(self.seat.at),
            hub.limits().pending_twins,
        );
        let Some(complete) = complete else {
            self.begin_catch_up();
            return true;
        };
        if found.is_empty() {
            self.seat.at = complete.max(self.seat.at);
            return false;
        }
        for (at, index) in found {
            let view = hub.view(index);
            // If it changed again since we looked, it comes later, in its new place.
            if view.at == at {
                self.ready.push_back((index, view));
            }
        }
        true
    }

    /// Too many wait: they are swept in their newest states.
    fn begin_catch_up(&mut self) {
        let (found, _) = self
            .seat
            .hub
            .changed(&self.wanted.0, after(self.seat.at), usize::MAX);
        let highest = found.last().map_or(self.seat.at, |(at, _)| *at);
        let todo: Vec<PatientIndex> = found.into_iter().map(|(_, index)| index).rev().collect();
        let sent = HashMap::with_capacity(todo.len());
        self.sweep = Some(Sweep {
            todo,
            sent,
            highest,
            snapshot: None,
        });
    }

    /// The next event of the sweep; `None` when it ended without one, or a patient was passed over.
    fn next_of_sweep(&mut self, allowed: Allowed<'_>) -> Option<v1::TwinEvent> {
        let mut sweep = self.sweep.take()?;
        let (index, view) = if let Some(index) = sweep.todo.pop() {
            let view = self.seat.hub.view(index);
            sweep.highest = sweep.highest.max(view.at);
            (index, view)
        } else if let Some(index) = self.moved_on(&sweep) {
            (index, self.seat.hub.view(index))
        } else {
            return self.end_sweep(sweep);
        };
        // While the sweep is being closed its end stands: a state beyond it comes later, as a change.
        let beyond = view.at > sweep.highest;
        sweep.sent.insert(index, view.at);
        let snapshot = sweep.snapshot.is_some();
        self.sweep = Some(sweep);
        if beyond || !allowed(&self.seat.hub.id_of(index)) {
            return None;
        }
        if !snapshot {
            return Some(self.change(index, &view));
        }
        self.seen.insert(index, view.changes);
        let kind = Some(twin_event::Kind::Snapshot(v1::Twin::clone(&view.twin)));
        Some(v1::TwinEvent {
            cursor: Vec::new(),
            kind,
            conflated: 0,
        })
    }

    /// A patient that changed up to the sweep's end, in a state that was not sent.
    fn moved_on(&self, sweep: &Sweep) -> Option<PatientIndex> {
        let range = (
            Bound::Excluded(self.seat.at),
            Bound::Included(sweep.highest),
        );
        let (found, _) = self.seat.hub.changed(&self.wanted.0, range, usize::MAX);
        let new = found
            .into_iter()
            .find(|(at, index)| sweep.sent.get(index) != Some(at));
        new.map(|(_, index)| index)
    }

    fn end_sweep(&mut self, sweep: Sweep) -> Option<v1::TwinEvent> {
        self.seat.at = sweep.highest;
        let reason = sweep.snapshot?;
        let kind = Some(twin_event::Kind::SnapshotEnd(v1::SnapshotEnd { reason }));
        Some(v1::TwinEvent {
            cursor: self.seat.cursor(),
            kind,
            conflated: 0,
        })
    }

    fn change(&mut self, index: PatientIndex, view: &View) -> v1::TwinEvent {
        let before = self.seen.insert(index, view.changes);
        let conflated = before.map_or(0, |before| view.changes.saturating_sub(before + 1));
        let kind = Some(twin_event::Kind::Change(v1::Twin::clone(&view.twin)));
        v1::TwinEvent {
            cursor: self.seat.cursor(),
            kind,
            conflated,
        }
    }
}

/// A reader of alert changes.
#[derive(Debug)]
pub struct AlertReader {
    seat: Seat,
    alerted: watch::Receiver<u64>,
    wanted: Wanted,
    priority_at_least: i32,
    snapshot: Option<(VecDeque<Arc<AlertRecord>>, String)>,
    caught_up: bool,
}

impl AlertReader {
    /// A reader of `patients` (empty = all), of alerts that have or had at least this priority, that resumes at
    /// `cursor` (empty = from a snapshot).
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        patients: Vec<PatientId>,
        priority_at_least: i32,
        cursor: &[u8],
    ) -> Self {
        let filter = FilterHash::of(&patients, priority_at_least);
        let alerted = hub.alerted();
        let at = At::START;
        let stream = Stream::Alerts;
        let mut seat = Seat {
            hub,
            stream,
            filter,
            at,
        };
        let reason = match seat.resume(cursor) {
            Ok(true) => None,
            Ok(false) => Some(String::new()),
            Err(error) => Some(error.to_string()),
        };
        let snapshot = reason.map(|reason| {
            let (active, complete) = seat.hub.active_alerts();
            seat.at = complete;
            (VecDeque::from(active), reason)
        });
        let wanted = Wanted::new(patients);
        Self {
            seat,
            alerted,
            wanted,
            priority_at_least,
            snapshot,
            caught_up: false,
        }
    }

    fn wants(&self, record: &AlertRecord) -> bool {
        record.peak >= self.priority_at_least && self.wanted.has(&record.patient)
    }

    /// The next event, if there is one now.
    ///
    /// # Errors
    /// [`Cut`] when the reader is too far behind: the stream ends.
    pub fn next(&mut self, allowed: Allowed<'_>) -> Result<Option<v1::AlertEvent>, Cut> {
        while let Some((rest, reason)) = &mut self.snapshot {
            let Some(record) = rest.pop_front() else {
                let reason = std::mem::take(reason);
                self.snapshot = None;
                let end = v1::AlertSnapshotEnd { reason };
                return Ok(Some(self.event(alert_event::Kind::SnapshotEnd(end), None)));
            };
            let urgent = record.alert.priority >= self.priority_at_least;
            if urgent && self.wanted.has(&record.patient) && allowed(&record.patient) {
                let alert = v1::Alert::clone(&record.alert);
                let kind = Some(alert_event::Kind::Snapshot(alert));
                let event_id = event_id(record.at);
                return Ok(Some(v1::AlertEvent {
                    cursor: Vec::new(),
                    kind,
                    event_id,
                }));
            }
        }
        loop {
            let Some((next, behind)) = self.seat.hub.alert_after(self.seat.at) else {
                return Err(Cut {
                    cursor: self.seat.cursor(),
                    behind: 0,
                });
            };
            if self.caught_up && behind > self.seat.hub.limits().alert_lag {
                return Err(Cut {
                    cursor: self.seat.cursor(),
                    behind,
                });
            }
            match next {
                Ok(record) => {
                    self.seat.at = record.at;
                    if self.wants(&record) && allowed(&record.patient) {
                        let alert = v1::Alert::clone(&record.alert);
                        let kind = alert_event::Kind::Change(alert);
                        return Ok(Some(self.event(kind, Some(record.at))));
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

    /// Waits until an alert changed.
    pub async fn changed(&mut self) {
        // The sender lives in the hub that we hold: the wait cannot fail.
        let _ = self.alerted.changed().await;
    }

    /// Says that the line works; carries the newest cursor.
    #[must_use]
    pub fn keep_alive(&self) -> v1::AlertEvent {
        let kind = alert_event::Kind::KeepAlive(v1::AlertKeepAlive {});
        let mut event = self.event(kind, None);
        if self.snapshot.is_some() {
            event.cursor.clear();
        }
        event
    }

    fn event(&self, kind: alert_event::Kind, at: Option<At>) -> v1::AlertEvent {
        let event_id = at.map(event_id).unwrap_or_default();
        v1::AlertEvent {
            cursor: self.seat.cursor(),
            kind: Some(kind),
            event_id,
        }
    }
}

fn after(at: At) -> (Bound<At>, Bound<At>) {
    (Bound::Excluded(at), Bound::Unbounded)
}

/// Stable across resumes and restarts.
fn event_id(at: At) -> String {
    format!("{}.{}", at.position, at.index)
}
