//! The journal's one writer: takes what is queued, gives it times and positions, commits it as one row, and only
//! then tells the keeper, the fold and the callers, in that order.
//!
//! Invariants: one thread, one store; a failed commit stops the store for good (a write that failed half-way says
//! nothing about the next, so nothing is tried again); known time strictly increases even when the clock stands
//! still, and never follows a clock that jumps ahead (`pace.rs`). Must not know: SQLite, tasks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use proto::clock::Clock;
use tokio::sync::{mpsc, oneshot};
use vitals::{Span, Time};

use super::codec::encode_row;
use super::entry::{Committed, Draft, Entry, Position};
use super::medium::{Group, NewRow, Removal, Store};
use super::pace::Pace;
use super::{Appended, JournalError, Keeper};
use crate::scope::Scope;
use crate::stages::{Lap, Stage};
use crate::traces::{Fact, Name, Step};

/// Requests that wait for the writer; each holds at most one message of a gateway.
pub(super) const QUEUE: usize = 1024;
/// Entries in one commit: bounds the wait of the first caller (about 2 ms of encoding).
const COMMIT_ENTRIES: usize = 4096;
/// Bytes of records in one commit, roughly: bounds memory and the row's size.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// What a handle asks of the writer.
#[derive(Debug)]
pub(super) enum Ask {
    Append(Request),
    /// Removes the oldest rows.
    Remove(Vec<Removal>, oneshot::Sender<Result<(), JournalError>>),
    /// Finish what is queued before this, then end.
    Close,
}

/// One call of [`super::Journal::append`].
#[derive(Debug)]
pub(super) struct Request {
    pub(super) drafts: Vec<Draft>,
    pub(super) reply: oneshot::Sender<Result<Appended, JournalError>>,
}

/// What everybody may see of the writer.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) position: AtomicU64,
    pub(super) known: std::sync::atomic::AtomicI64,
    pub(super) stopped: OnceLock<Arc<str>>,
    /// The fold is behind, and reads from the medium (`feed.rs`).
    pub(super) nobody_listens: AtomicBool,
    /// Up to where entries were removed, and the known time of the last one.
    removed: std::sync::Mutex<Option<(Position, Time)>>,
}

impl Shared {
    pub(super) fn note_removed(&self, below: Position, known: Time) {
        *self.lock_removed() = Some((below, known));
    }

    pub(super) fn removed(&self) -> Option<(Position, Time)> {
        *self.lock_removed()
    }

    fn lock_removed(&self) -> std::sync::MutexGuard<'_, Option<(Position, Time)>> {
        let removed = self.removed.lock();
        removed.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn check(&self) -> Result<(), JournalError> {
        match self.stopped.get() {
            None => Ok(()),
            Some(reason) => Err(JournalError::StoreStopped(Arc::clone(reason))),
        }
    }

    /// The first reason given is the one that stays.
    fn stop(&self, reason: &str) -> JournalError {
        tracing::error!(reason, "the store stopped");
        JournalError::StoreStopped(Arc::clone(self.stopped.get_or_init(|| reason.into())))
    }
}

/// The writer's own state.
pub(super) struct Writer {
    pub(super) store: Box<dyn Store>,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) next: Position,
    pub(super) last_known: Time,
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) feed: mpsc::Sender<Committed>,
    pub(super) shared: Arc<Shared>,
}

/// The writer and what is asked of it.
pub struct Desk {
    writer: Writer,
    asks: mpsc::Receiver<Ask>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("next", &self.writer.next)
            .finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) const fn new(writer: Writer, asks: mpsc::Receiver<Ask>) -> Self {
        Self { writer, asks }
    }

    /// On a thread of its own, until it is closed or every handle is gone.
    pub(super) fn start(self) -> Result<(), JournalError> {
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || self.run())
            .map_err(|error| JournalError::Read(error.to_string().into()))?;
        Ok(())
    }

    fn run(mut self) {
        while let Some(ask) = self.asks.blocking_recv() {
            if self.carry_out(ask) {
                break;
            }
        }
    }

    /// Carries out one thing that is asked, with what is queued behind it. False: nothing is.
    pub fn turn(&mut self) -> bool {
        let Ok(ask) = self.asks.try_recv() else {
            return false;
        };
        self.carry_out(ask);
        true
    }

    /// True: it was closed meanwhile.
    fn carry_out(&mut self, ask: Ask) -> bool {
        let first = match ask {
            Ask::Append(first) => first,
            Ask::Remove(rows, reply) => {
                self.writer.remove(&rows, reply);
                return false;
            }
            Ask::Close => return true,
        };
        let mut removal = None;
        let (mut entries, mut bytes) = size(&first);
        let mut group = vec![first];
        let mut closed = false;
        while entries < COMMIT_ENTRIES && bytes < COMMIT_BYTES {
            match self.asks.try_recv() {
                Ok(Ask::Append(request)) => {
                    let (more_entries, more_bytes) = size(&request);
                    entries += more_entries;
                    bytes += more_bytes;
                    group.push(request);
                }
                Ok(Ask::Remove(rows, reply)) => {
                    removal = Some((rows, reply));
                    break;
                }
                Ok(Ask::Close) => {
                    closed = true;
                    break;
                }
                Err(_) => break,
            }
        }
        self.writer.commit(group);
        if let Some((rows, reply)) = removal {
            self.writer.remove(&rows, reply);
        }
        closed
    }
}

impl Writer {
    /// A removal that fails has changed nothing, and is no reason to stop: if the disk is bad, the next commit says so.
    fn remove(&mut self, rows: &[Removal], reply: oneshot::Sender<Result<(), JournalError>>) {
        let removed = self.shared.check().and_then(|()| {
            let removed = self.store.remove(rows);
            removed.map_err(|error| JournalError::NotRemoved(error.to_string().into()))
        });
        if let (Ok(()), Some(last)) = (&removed, rows.last()) {
            self.shared.note_removed(last.end, last.known);
        }
        // A caller that is gone needs no answer.
        let _ = reply.send(removed);
    }

    fn commit(&mut self, group: Vec<Request>) {
        let steps = traced(&group);
        let outcome = self.shared.check().and_then(|()| self.write(&group));
        drop(steps);
        match outcome {
            Ok(committed) => self.announce(group, committed),
            Err(error) => {
                for request in group {
                    // A caller that is gone needs no answer.
                    let _ = request.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Makes all drafts durable as one row.
    fn write(&mut self, group: &[Request]) -> Result<Vec<(Position, Time)>, JournalError> {
        let mut lap = Lap::begin();
        let now = self.clock.now();
        if let Err(jumped) = self.pace.check(self.clock, now) {
            return Err(self.shared.stop(&jumped.to_string()));
        }
        let mut known = self.last_known;
        let mut timed = Vec::new();
        let mut placed = Vec::new();
        let mut groups = Vec::new();
        let mut position = self.next;
        for draft in group.iter().flat_map(|request| &request.drafts) {
            known = now.max(known + Span::from_micros(1));
            timed.push((known, &draft.entry));
            placed.push((position, known));
            if let Entry::Batch { record, .. } = &draft.entry {
                add_to_index(&mut groups, record);
            }
            position = position.next();
        }
        if placed.is_empty() {
            return Ok(placed);
        }
        let frames = encode_row(self.next, &timed);
        let count = position.0 - self.next.0;
        let row = NewRow {
            first: self.next,
            count,
            known,
            frames,
            groups,
        };
        lap.end(Stage::Encode);
        let stored = self.store.commit(&row);
        lap.end(Stage::Commit);
        if let Err(error) = stored {
            return Err(self.shared.stop(&error.to_string()));
        }
        self.next = position;
        self.last_known = known;
        self.shared.position.store(position.0 - 1, Ordering::SeqCst);
        self.shared
            .known
            .store(known.as_micros(), Ordering::Release);
        Ok(placed)
    }

    fn tell(&self, position: Position, known: Time, draft: Draft) {
        let body = draft.body.or_else(|| self.keeper.unseal(&draft.entry));
        let committed = Committed {
            position,
            known,
            entry: Arc::new(draft.entry),
            body,
            trace: draft.trace,
        };
        if self.feed.blocking_send(committed).is_err() {
            let _ = self.shared.stop("the fold ended: start the centre again");
        }
    }

    fn announce(&self, group: Vec<Request>, placed: Vec<(Position, Time)>) {
        let mut lap = Lap::begin();
        // Looked at after the position was told: see `feed.rs`.
        let listens = !self.shared.nobody_listens.load(Ordering::SeqCst);
        let mut placed = placed.into_iter();
        for request in group {
            let mut appended: Option<Appended> = None;
            for (draft, (position, known)) in request.drafts.into_iter().zip(&mut placed) {
                self.keeper.apply(position, known, &draft.entry);
                if listens {
                    self.tell(position, known, draft);
                }
                let first = appended.map_or(position, |a| a.first);
                appended = Some(Appended {
                    first,
                    last: position,
                    known,
                });
            }
            let nothing = Appended {
                first: self.next,
                last: Position(self.next.0 - 1),
                known: self.last_known,
            };
            // A caller that is gone needs no answer.
            let _ = request.reply.send(Ok(appended.unwrap_or(nothing)));
        }
        lap.end(Stage::Announce);
    }
}

/// One step for each traced message whose entries are in the group.
fn traced(group: &[Request]) -> Vec<Step> {
    let first = group.iter().filter_map(|request| request.drafts.first());
    let mut steps: Vec<_> = first
        .filter_map(|draft| draft.trace.traced(Name::Commit))
        .collect();
    let entries = || group.iter().map(|request| request.drafts.len()).sum();
    for step in &mut steps {
        step.note(Fact::Entries(entries()));
    }
    steps
}

fn size(request: &Request) -> (usize, usize) {
    let bytes = request.drafts.iter().map(|draft| match &draft.entry {
        Entry::Batch { record, .. } => record.len() + 64,
        Entry::ContextAdmitted { header, chain, .. } => {
            header.len() + chain.iter().map(Vec::len).sum::<usize>()
        }
        Entry::EpochStarted { .. }
        | Entry::PatientAdded { .. }
        | Entry::KeyAdded { .. }
        | Entry::TokenCreated { .. }
        | Entry::GatewayEnrolled { .. }
        | Entry::CertificateIssued { .. }
        | Entry::GatewayRevoked { .. }
        | Entry::Assigned { .. }
        | Entry::StreamFrozen { .. }
        | Entry::Acknowledged { .. }
        | Entry::Care { .. }
        | Entry::Tick
        | Entry::Quarantined { .. }
        | Entry::SetAside { .. }
        | Entry::CertificateRevoked { .. }
        | Entry::Collection { .. }
        | Entry::Voided { .. }
        | Entry::Person { .. }
        | Entry::RulesActivated { .. }
        | Entry::TakenOver { .. }
        | Entry::RulesTried { .. }
        | Entry::By { .. }
        | Entry::Team { .. }
        | Entry::Passkey { .. }
        | Entry::Account { .. }
        | Entry::Sharing { .. }
        | Entry::VoidSettled { .. }
        | Entry::Damaged { .. } => 256,
        Entry::Exported { patients, .. } | Entry::Looked { patients, .. } => {
            patients.len() * 32 + 256
        }
        Entry::Roster { document, .. } => document.len() + 256,
        Entry::Platform { scope, .. } => Scope::to_bytes(scope.as_deref()).len() + 256,
        Entry::Facts { facts, .. } => facts.0.len() + 256,
        Entry::Moved { body, .. } => body.0.len() + 128,
        Entry::Configured { settings, .. } => settings.len() + 64,
    });
    (request.drafts.len(), bytes.sum())
}

pub(super) fn add_to_index(groups: &mut Vec<Group>, record: &[u8]) {
    let Some(group) = super::group_of(record) else {
        return;
    };
    match groups.iter_mut().find(|known| known.same(&group)) {
        Some(known) => known.join(&group),
        None => groups.push(group),
    }
}
