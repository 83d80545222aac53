//! A reader of twin states.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use proto::v1;

use super::{Allowed, Seat};
use crate::publish::bells::Bell;
use crate::publish::event::{TwinEvent, TwinKind};
use crate::publish::filter::names;
use crate::publish::question::{Made, TwinQuestion};
use crate::publish::{At, Hub, PatientIndex, Stream, TwinFilter};

/// Every waiting patient once.
#[derive(Debug)]
struct Sweep {
    /// Still to be sent; taken from the end.
    todo: Vec<PatientIndex>,
    /// Sent, and moved since up to the sweep's end: looked for together, as that takes the hub's lock for all of them.
    moved: VecDeque<PatientIndex>,
    /// Places of the states that were sent in this sweep.
    sent: HashMap<PatientIndex, At>,
    /// Highest of these places.
    highest: At,
    /// The cursor of the sweep's beginning.
    cursor: Bytes,
    /// `Some` for a snapshot, with its reason; `None` for a reader that fell behind.
    snapshot: Option<String>,
}

/// What a reader knows of a patient.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Changes that it knows of, for counting those it did not get; 0 = none. They wrap: only differences are used.
    changes: u32,
    /// Digest of what it was sent last, of a filter that leaves something out.
    said: Option<u64>,
}

#[derive(Debug)]
enum Seen {
    /// Of a reader of all, by index.
    All(Vec<Known>),
    /// Of a reader that named its patients.
    Named(HashMap<PatientIndex, Known>),
}

impl Seen {
    fn of(&mut self, index: PatientIndex) -> &mut Known {
        match self {
            Self::All(known) => {
                let place = index.0 as usize;
                if known.len() <= place {
                    known.resize(place + 1, Known::default());
                }
                &mut known[place]
            }
            Self::Named(known) => known.entry(index).or_default(),
        }
    }

    /// Notes a state: how many since the one known before this reader did not get, and whether it is news. What a reader
    /// that came back was sent before, nobody knows: then it is.
    fn note(&mut self, made: &Made) -> (u64, bool) {
        let known = self.of(made.index);
        #[expect(clippy::cast_possible_truncation, reason = "only differences are used")]
        let before = std::mem::replace(&mut known.changes, made.changes as u32);
        let left_out = match before {
            0 => 0,
            before => known.changes.wrapping_sub(before).saturating_sub(1),
        };
        let news = made.digest.is_none() || known.said != made.digest;
        known.said = made.digest;
        (left_out.into(), news)
    }
}

/// See the module.
#[derive(Debug)]
pub struct TwinReader {
    seat: Seat,
    question: Arc<TwinQuestion>,
    bell: Bell,
    sweep: Option<Sweep>,
    ready: VecDeque<Arc<Made>>,
    seen: Seen,
    /// With a minimum interval: this look's changes were taken, the next are for the next look.
    looked: bool,
}

impl TwinReader {
    /// A reader that resumes at `cursor` (empty = from a snapshot).
    #[must_use]
    pub fn new(hub: Arc<Hub>, filter: &TwinFilter, cursor: &[u8]) -> Self {
        let question = hub.twin_question(filter);
        let bell = hub.twin_bell(&filter.patients);
        let mut seat = Seat::new(hub, Stream::Twins);
        let resumed = seat.resume(question.hash, cursor);
        let seen = if filter.patients.is_empty() {
            Seen::All(Vec::new())
        } else {
            Seen::Named(HashMap::new())
        };
        let mut reader = Self {
            seat,
            question,
            bell,
            sweep: None,
            ready: VecDeque::new(),
            seen,
            looked: false,
        };
        if let Err(reason) = resumed {
            reader.begin_snapshot(reason);
        }
        reader
    }

    /// Shortest time between two looks for changes that its filter asks for; none in the middle of a snapshot or of
    /// catching up, which may have to wait for the end of an entry.
    #[must_use]
    pub fn interval(&self) -> Duration {
        match &self.sweep {
            Some(_) => Duration::ZERO,
            None => self.question.filter.interval,
        }
    }

    fn begin_snapshot(&mut self, reason: String) {
        // Everything up to this place will be in the snapshot. Read before the list of patients, so that a
        // patient who appears in between is found as a change.
        self.seat.at = self.seat.hub.whole();
        let wanted = &self.question.filter.patients;
        let mut todo: Vec<PatientIndex> = self
            .seat
            .hub
            .patients()
            .into_iter()
            .filter(|(id, _)| names(wanted, id))
            .map(|(_, index)| index)
            .collect();
        todo.reverse();
        self.sweep = Some(Sweep {
            todo,
            moved: VecDeque::new(),
            sent: HashMap::new(),
            highest: self.seat.at,
            cursor: Bytes::new(),
            snapshot: Some(reason),
        });
    }

    /// The next event, if there is one now.
    pub fn next(&mut self, allowed: Allowed<'_>) -> Option<TwinEvent> {
        loop {
            if self.sweep.is_some() {
                match self.next_of_sweep(allowed) {
                    Poll::Ready(Some(event)) => return Some(event),
                    Poll::Ready(None) => continue,
                    // The bell rings when the entry that moves this patient is whole.
                    Poll::Pending => return None,
                }
            }
            if let Some(made) = self.ready.pop_front() {
                self.seat.at = made.at;
                let cursor = made.cursor.clone();
                if allowed(&made.patient)
                    && let Some(event) = self.change(&made, cursor)
                {
                    return Some(event);
                }
                continue;
            }
            if self.looked {
                self.looked = false;
                return None;
            }
            if !self.capture() {
                return None;
            }
            self.looked = !self.interval().is_zero();
        }
    }

    /// Ready when the fold made progress that may concern this reader; wakes the task that asked last.
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
    pub fn keep_alive(&self) -> TwinEvent {
        let snapshot = |sweep: &Sweep| sweep.snapshot.is_some();
        let cursor = if self.sweep.as_ref().is_some_and(snapshot) {
            Bytes::new()
        } else {
            self.cursor()
        };
        TwinEvent {
            cursor,
            kind: Some(TwinKind::KeepAlive(v1::KeepAlive {})),
            conflated: 0,
        }
    }

    fn cursor(&self) -> Bytes {
        let Seat { hub, stream, at } = &self.seat;
        hub.cursor(*stream, self.question.hash, *at)
    }

    /// Takes the newest states of all waiting patients, in order. False: nobody waits.
    fn capture(&mut self) -> bool {
        let hub = &self.seat.hub;
        let limit = hub.limits().pending_twins;
        let wanted = &self.question.filter.patients;
        let (found, complete) = hub.changed(wanted, (self.seat.at, None), limit);
        let Some(complete) = complete else {
            self.begin_catch_up();
            return true;
        };
        if found.is_empty() {
            self.seat.at = complete.max(self.seat.at);
            return false;
        }
        for (at, index) in found {
            let made = self.question.state(hub, index, Some(at));
            // If it changed again since we looked, it comes later, in its new place.
            if made.at == at {
                self.ready.push_back(made);
            }
        }
        true
    }

    /// Too many wait: they are swept in their newest states.
    fn begin_catch_up(&mut self) {
        let wanted = &self.question.filter.patients;
        let (found, _) = self
            .seat
            .hub
            .changed(wanted, (self.seat.at, None), usize::MAX);
        let highest = found.last().map_or(self.seat.at, |(at, _)| *at);
        let todo: Vec<PatientIndex> = found.into_iter().map(|(_, index)| index).rev().collect();
        self.sweep = Some(Sweep {
            sent: HashMap::with_capacity(todo.len()),
            todo,
            moved: VecDeque::new(),
            highest,
            cursor: self.cursor(),
            snapshot: None,
        });
    }

    /// The next event of the sweep; none when it ended without one, or a patient was passed over. Pending when the
    /// next patient is moved by an entry that is being folded.
    fn next_of_sweep(&mut self, allowed: Allowed<'_>) -> Poll<Option<TwinEvent>> {
        let Some(mut sweep) = self.sweep.take() else {
            return Poll::Ready(None);
        };
        let hub = &self.seat.hub;
        let made = if let Some(index) = sweep.todo.pop() {
            let made = self.question.state(hub, index, None);
            // It is being moved, or was moved since: then the bell has rung, or will.
            if !hub.is_whole(index, made.at) {
                sweep.todo.push(index);
                self.sweep = Some(sweep);
                return Poll::Pending;
            }
            sweep.highest = sweep.highest.max(made.at);
            made
        } else if let Some(index) = self.moved_on(&mut sweep) {
            self.question.state(hub, index, None)
        } else {
            return Poll::Ready(self.end_sweep(sweep));
        };
        // While the sweep is being closed its end stands: a state beyond it comes later, as a change.
        let beyond = made.at > sweep.highest;
        sweep.sent.insert(made.index, made.at);
        let cursor = sweep.cursor.clone();
        let snapshot = sweep.snapshot.is_some();
        self.sweep = Some(sweep);
        if beyond || !allowed(&made.patient) {
            return Poll::Ready(None);
        }
        if !snapshot {
            return Poll::Ready(self.change(&made, cursor));
        }
        self.seen.note(&made);
        Poll::Ready(Some(TwinEvent {
            cursor,
            kind: Some(TwinKind::Snapshot(made.twin.clone())),
            conflated: 0,
        }))
    }

    /// A patient that changed up to the sweep's end, in a state that was not sent.
    fn moved_on(&self, sweep: &mut Sweep) -> Option<PatientIndex> {
        if sweep.moved.is_empty() {
            let range = (self.seat.at, Some(sweep.highest));
            let wanted = &self.question.filter.patients;
            let (found, _) = self.seat.hub.changed(wanted, range, usize::MAX);
            let new = found
                .into_iter()
                .filter(|(at, index)| sweep.sent.get(index) != Some(at));
            sweep.moved.extend(new.map(|(_, index)| index));
        }
        sweep.moved.pop_front()
    }

    fn end_sweep(&mut self, sweep: Sweep) -> Option<TwinEvent> {
        self.seat.at = sweep.highest;
        let reason = sweep.snapshot?;
        Some(TwinEvent {
            cursor: self.cursor(),
            kind: Some(TwinKind::SnapshotEnd(v1::SnapshotEnd { reason })),
            conflated: 0,
        })
    }

    /// The event of a state, if there is news in it for this reader. One without news is not one that was left out.
    fn change(&mut self, made: &Made, cursor: Bytes) -> Option<TwinEvent> {
        let (conflated, news) = self.seen.note(made);
        news.then(|| TwinEvent {
            cursor,
            kind: Some(TwinKind::Change(made.twin.clone())),
            conflated,
        })
    }
}
