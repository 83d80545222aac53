//! A patient's log folded once more, without what was voided in it: beside the fold, which goes on meanwhile.
//!
//! A void is noted when its entry is folded, and from then on what still comes of that time is left out. The log before
//! it is read by a task of its own ([`settle`]), as far as the log reaches by then; once little is left it appends
//! [`Entry::VoidSettled`], and there, at a position that every replay knows, the fold reads what is left and takes the
//! twin of the other log over. So nothing waits in memory meanwhile: the log itself keeps in order what comes.
//!
//! Promises: what comes of it is what the fold would have given had the voided readings never come, except what people
//! did about alerts, which is kept by whoever amends the twin; it is the same whoever reads, and how often the reading
//! was begun again. Must not know: publishing, other patients' twins.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use twin::event::Void;
use twin::{Event, Twin, Withdrawal};
use vitals::{PatientId, Time};

use super::event::{Meaning, meaning};
use super::fold::Shared;
use super::guarded::{Guarded, Step};
use crate::journal::{Committed, Entry, Journal, JournalError, Position};

/// Entries of everybody that the fold itself may have to read where a void is settled.
const FEW: u64 = 4096;
/// Times that the reading catches up with a log that grows meanwhile; each is shorter than the one before.
const ROUNDS: u32 = 8;
/// After a log could not be read, real time until it is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Reads logs again.
pub trait Again: Send + Sync {
    /// The log from its beginning; of batches only this patient's need be opened.
    ///
    /// # Errors
    /// When it cannot be read.
    fn open(&self, patient: &PatientId) -> Result<Box<dyn Pages>, JournalError>;
}

/// A log that is being read again.
pub trait Pages: Send {
    /// The entries after `after` and before `end`, in order, until `take` has had enough. Each call goes on where the
    /// one before it ended.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(
        &mut self,
        after: Position,
        end: Position,
        take: &mut dyn FnMut(&Committed) -> bool,
    ) -> Result<(), JournalError>;
}

/// The reading for one void.
pub struct Rereading {
    patient: PatientId,
    /// The void's entry.
    void: Position,
    again: Arc<dyn Again>,
    reading: Mutex<Reading>,
    /// It was asked for in the log that it is settled.
    asked: AtomicBool,
}

struct Reading {
    log: Option<Box<dyn Pages>>,
    guarded: Guarded,
    /// The last entry that was read, and its time.
    at: (Position, Time),
    /// What the void's entry says.
    why: Option<(String, String)>,
}

impl std::fmt::Debug for Rereading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rereading")
            .field("void", &self.void)
            .finish_non_exhaustive()
    }
}

impl Rereading {
    pub(super) fn new(
        again: &Arc<dyn Again>,
        step: Step,
        (patient, void): (PatientId, Position),
        voids: &[Void],
    ) -> Self {
        Self {
            patient,
            void,
            again: Arc::clone(again),
            reading: Mutex::new(Reading {
                log: None,
                guarded: Guarded::from_twin(step, Twin::without(voids)),
                at: (Position::START, Time::ZERO),
                why: None,
            }),
            asked: AtomicBool::new(false),
        }
    }

    /// Reads on up to before `end`, until `go_on` says no. Gives the last position that was read.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read_on(
        &self,
        end: Position,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Position, JournalError> {
        let mut reading = self.lock();
        let Reading {
            log,
            guarded,
            at,
            why,
        } = &mut *reading;
        let log = match log {
            Some(log) => log,
            None => log.insert(self.again.open(&self.patient)?),
        };
        if end <= at.0.next() {
            return Ok(at.0);
        }
        log.read(at.0, end, &mut |committed| {
            if committed.position == self.void
                && let Meaning::Voided { by, reason, .. } = meaning(committed)
            {
                *why = Some((by, reason));
            }
            one(&self.patient, committed, at.1, guarded);
            *at = (committed.position, committed.known);
            go_on()
        })?;
        if go_on() {
            // The last of them may be damaged, or nobody's.
            at.0 = at.0.max(Position(end.0 - 1));
        }
        Ok(at.0)
    }

    /// What says in the log that it is settled; it is asked for once.
    #[must_use]
    pub fn ask(&self) -> Entry {
        self.asked.store(true, Ordering::Relaxed);
        Entry::VoidSettled {
            patient: self.patient.clone(),
            void: self.void,
        }
    }

    /// The twin that the log before `end` gives, at `known`, and why the readings were voided.
    pub(super) fn finish(
        &self,
        end: Position,
        known: Time,
    ) -> Result<(Twin, Withdrawal), JournalError> {
        self.read_on(end, &|| true)?;
        let mut reading = self.lock();
        let (by, reason) = reading.why.take().unwrap_or_default();
        // What panics is left out here as it was there.
        let _ = reading.guarded.step(Event::Tick, known, &mut Vec::new());
        let why = Withdrawal {
            at: known,
            by,
            reason,
        };
        Ok((reading.guarded.twin().clone(), why))
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        // A step that panics is caught under it.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One entry, as the patient's twin would have taken it.
fn one(patient: &PatientId, committed: &Committed, before: Time, guarded: &mut Guarded) {
    let event = match meaning(committed) {
        Meaning::One { patient: of, event } if of == *patient => event,
        Meaning::GatewayRevoked(gateway) => Event::GatewayRevoked { gateway },
        Meaning::StreamFrozen(stream) => Event::StreamFrozen { stream },
        Meaning::Rules(rules) => Event::Rules(rules),
        Meaning::Epoch(epoch) if epoch > 1 => Event::Restored { since: before },
        Meaning::One { .. }
        | Meaning::Begin { .. }
        | Meaning::Epoch(_)
        | Meaning::OwnAlertAcknowledged { .. }
        | Meaning::Quarantined { .. }
        | Meaning::Voided { .. }
        | Meaning::VoidSettled { .. }
        | Meaning::Nothing => return,
    };
    if !matches!(event, Event::Acknowledged { .. } | Event::Care { .. }) {
        // What panics is left out here as it was there.
        let _ = guarded.step(event, committed.known, &mut Vec::new());
    }
}

/// Voids that are not settled yet, by patient: the newest of each.
#[derive(Default)]
pub(super) struct Rereadings {
    open: Mutex<BTreeMap<PatientId, Arc<Rereading>>>,
    came: Notify,
    /// One was settled: a snapshot taken now spares a start the reading.
    pub(super) settled: Notify,
    /// Times that a log could not be read.
    failed: AtomicU64,
}

impl Rereadings {
    pub(super) fn add(&self, rereading: Rereading) {
        let patient = rereading.patient.clone();
        self.lock().insert(patient, Arc::new(rereading));
        self.came.notify_one();
    }

    pub(super) fn take(&self, patient: &PatientId) -> Option<Arc<Rereading>> {
        self.lock().remove(patient)
    }

    /// One that nobody has asked to be settled.
    pub(super) fn next(&self) -> Option<Arc<Rereading>> {
        let open = self.lock();
        let mut open = open.values();
        open.find(|one| !one.asked.load(Ordering::Relaxed)).cloned()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PatientId, Arc<Rereading>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads for one void after the other, and has each settled, until `stop`.
pub(super) async fn settle(shared: Arc<Shared>, journal: Journal, stop: CancellationToken) {
    let rereadings = &shared.rereadings;
    loop {
        let Some(next) = rereadings.next() else {
            tokio::select! {
                () = stop.cancelled() => return,
                () = rereadings.came.notified() => continue,
            }
        };
        let (reading, of, stopped) = (Arc::clone(&next), journal.clone(), stop.clone());
        let read = move || catch_up(&reading, &of, &stopped);
        let read = tokio::task::spawn_blocking(read).await;
        if stop.is_cancelled() {
            return;
        }
        let failed = match read {
            Ok(Ok(())) => {
                let appended = journal.append(vec![next.ask().into()]).await;
                appended.err().map(|error| error.to_string())
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            tracing::error!(void = next.void.0, %error, "a void is not settled: it is tried again");
            rereadings.failed.fetch_add(1, Ordering::Relaxed);
            next.asked.store(false, Ordering::Relaxed);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

/// Until little is left to read.
fn catch_up(
    reading: &Rereading,
    journal: &Journal,
    stop: &CancellationToken,
) -> Result<(), JournalError> {
    for _ in 0..ROUNDS {
        let end = journal.status().position.next();
        let at = reading.read_on(end, &|| !stop.is_cancelled())?;
        if stop.is_cancelled() || journal.status().position.0.saturating_sub(at.0) <= FEW {
            break;
        }
    }
    Ok(())
}
