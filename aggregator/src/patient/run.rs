//! The fold at work: its thread, the ticks that time asks for, and what the rest of the centre asks of patients.
//!
//! Invariants: entries are folded by one thread in the order of the feed; a tick is appended only when a
//! deadline is due, and the next one only after that tick is folded.
//!
//! Must not know: gRPC, the gate, SQLite.

use std::sync::{Arc, PoisonError};

use proto::clock::Clock;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use vitals::{PatientId, SourceId, StreamId, Time};

use super::anew;
use super::fold::{Fold, Quarantine, Shared};
use super::saved::Saver;
use crate::journal::{Entry, Feed, Journal, Position, SealedText};
use crate::publish::Hub;
use crate::vault::Vault;

/// Quarantines that wait to be appended. More at once mean a defect that a restart will report again.
const QUARANTINES: usize = 1024;

/// Sums over all patients, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Patients.
    pub patients: u32,
    /// Folded into a twin.
    pub applied: u64,
    /// Had been folded before.
    pub duplicated: u64,
    /// Declared lost by gateways.
    pub declared_lost: u64,
    /// Declared losses of unknown size.
    pub losses_of_unknown_size: u64,
    /// Set aside: outside the assignment, impossible time, malformed, or on a quarantined entry.
    pub quarantined: u64,
    /// Entries on which the fold panicked.
    pub entries_quarantined: u64,
}

/// Seals what people write about a patient.
pub trait NoteSealer: Send + Sync {
    /// Sealed under the patient's key; `None` when that no longer exists.
    fn seal_note(&self, patient: &PatientId, note: &str) -> Option<SealedText>;

    /// The same of facts, encoded.
    fn seal_facts(&self, patient: &PatientId, facts: &[u8]) -> Option<SealedText>;
}

impl NoteSealer for Vault {
    fn seal_note(&self, patient: &PatientId, note: &str) -> Option<SealedText> {
        // `registry::Books` opens it for the fold under the same purpose.
        self.seal_text(patient, "note", note)
    }

    fn seal_facts(&self, patient: &PatientId, facts: &[u8]) -> Option<SealedText> {
        self.seal(patient, "facts", facts).map(SealedText)
    }
}

/// What the rest of the centre holds of the fold. Cheap to clone.
#[derive(Clone)]
pub struct Patients {
    pub(super) hub: Arc<Hub>,
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    pub(super) sealer: Arc<dyn NoteSealer>,
}

impl std::fmt::Debug for Patients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patients")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

impl Patients {
    /// Where readers are served from.
    #[must_use]
    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// What a snapshot is made from.
    #[must_use]
    pub fn saver(&self) -> Saver {
        Saver::new(Arc::clone(&self.hub), Arc::clone(&self.shared))
    }

    /// Sums over all patients.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let cells = self
            .shared
            .cells
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut totals = Totals {
            patients: u32::try_from(cells.len()).unwrap_or(u32::MAX),
            ..Totals::default()
        };
        for cell in cells {
            let (counters, counts) = {
                let state = cell.lock();
                (state.guarded.twin().counters(), state.counts)
            };
            totals.quarantined += counts.readings_quarantined;
            totals.entries_quarantined += counts.entries_quarantined;
            totals.applied += counters.applied;
            totals.duplicated += counters.duplicated;
            totals.declared_lost += counters.declared_lost;
            totals.losses_of_unknown_size += counters.losses_of_unknown_size;
            totals.quarantined += counters.quarantined + counters.malformed;
        }
        totals
    }

    /// Times that a log could not be read again without what was voided in it.
    #[must_use]
    pub fn rereadings_failed(&self) -> u64 {
        self.shared.rereadings.failed()
    }

    /// Returns when a void was settled: nothing in the twin rests on those readings any more.
    pub async fn void_settled(&self) {
        self.shared.rereadings.settled.notified().await;
    }

    /// The sensors of a patient: under which number of which stream each is known, and its Bluetooth address.
    #[must_use]
    pub fn devices(&self, patient: &PatientId) -> Vec<(StreamId, SourceId, String)> {
        let cells = self
            .shared
            .cells
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let cell = cells.iter().find(|cell| cell.id == *patient);
        let devices = cell.map(|cell| cell.lock().guarded.twin().devices());
        let devices = devices.unwrap_or_default().into_iter();
        let of = devices.map(|of| (of.stream, of.source, of.address.clone()));
        of.collect()
    }
}

/// The fold's thread and its helpers.
#[derive(Debug)]
pub struct Folder {
    thread: std::thread::JoinHandle<()>,
    ticks: tokio::task::JoinHandle<()>,
    rings: tokio::task::JoinHandle<()>,
    quarantines: tokio::task::JoinHandle<()>,
    rereadings: tokio::task::JoinHandle<()>,
}

impl Folder {
    /// Starts with a fold that has replayed everything before the feed, or with one that is behind and catches up first.
    /// From then on readers are served and deadlines asked for.
    /// Needs a tokio runtime. The thread ends with the feed, the tasks with `stop`.
    ///
    /// # Errors
    /// When the thread cannot be had.
    pub fn start(
        mut fold: Fold,
        feed: impl Into<Feed>,
        journal: &Journal,
        sealer: Arc<dyn NoteSealer>,
        clock: Clock,
        stop: &CancellationToken,
    ) -> std::io::Result<(Self, Patients)> {
        let mut feed: Feed = feed.into();
        let hub = Arc::clone(fold.hub());
        let shared = Arc::clone(&fold.shared);
        let patients = Patients {
            hub,
            shared,
            journal: journal.clone(),
            sealer,
        };
        let (deadline, deadlines) = watch::channel(None);
        let (broken, found) = mpsc::channel(QUARANTINES);
        let current = move |fold: &Fold, deadline: &watch::Sender<Option<Time>>, broken: &_| {
            report(fold, broken);
            deadline.send_replace(fold.next_deadline());
            fold.hub().ready();
        };
        if !feed.is_behind() {
            current(&fold, &deadline, &broken);
        }
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("fold".into())
            .spawn(move || {
                if feed.is_behind() {
                    let caught_up = feed.catch_up(|committed| {
                        fold.apply(&committed);
                        !stopped.is_cancelled()
                    });
                    match caught_up {
                        Ok(true) => current(&fold, &deadline, &broken),
                        // The next start goes on; until the writer has ended, it need not find that nobody listens.
                        Ok(false) => {
                            while feed.blocking_recv().is_some() {}
                            return;
                        }
                        Err(error) => {
                            tracing::error!(%error, "the twins cannot be brought up to date: start the centre again");
                            return;
                        }
                    }
                }
                while let Some(committed) = feed.blocking_recv() {
                    let before = fold.broken().len();
                    fold.apply(&committed);
                    if fold.broken().len() > before {
                        report(&fold, &broken);
                    }
                    let next = fold.next_deadline();
                    deadline.send_if_modified(|last| std::mem::replace(last, next) != next);
                }
            })?;
        let hub = Arc::clone(&patients.hub);
        let ticks = ticks(journal.clone(), clock, deadlines, hub);
        let ticks = tokio::spawn(until(stop.clone(), ticks));
        let hub = Arc::clone(&patients.hub);
        let rings = tokio::spawn(until(stop.clone(), async move { hub.ring().await }));
        let quarantines = tokio::spawn(until(stop.clone(), quarantine(journal.clone(), found)));
        let (hub, shared) = (Arc::clone(&patients.hub), Arc::clone(&patients.shared));
        let settle = anew::settle(shared, journal.clone(), stop.clone());
        let ended = stop.clone();
        let rereadings = tokio::spawn(async move {
            // What was settled already may lie in what is still to be read.
            until(ended, async move { hub.wait_ready().await }).await;
            settle.await;
        });
        Ok((
            Self {
                thread,
                ticks,
                rings,
                quarantines,
                rereadings,
            },
            patients,
        ))
    }

    /// Waits for the helpers, then for the thread. `stop` was given and the journal has ended before.
    pub async fn join(self) {
        let _ = self.ticks.await;
        let _ = self.rings.await;
        let _ = self.quarantines.await;
        let _ = self.rereadings.await;
        let ended = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the fold's thread panicked");
        }
    }
}

async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

fn report(fold: &Fold, broken: &mpsc::Sender<Quarantine>) {
    for quarantine in fold.broken().iter() {
        if broken.try_send(quarantine.clone()).is_err() {
            tracing::error!(
                "too many quarantines at once; the rest is found again at the next start"
            );
            return;
        }
    }
}

/// Makes quarantines durable, each once.
async fn quarantine(journal: Journal, mut found: mpsc::Receiver<Quarantine>) {
    let mut done = std::collections::BTreeSet::new();
    while let Some(quarantine) = found.recv().await {
        if !done.insert(quarantine.clone()) {
            continue;
        }
        let Quarantine { position, patient } = quarantine;
        let entry = Entry::Quarantined {
            position: Position(position),
            patient,
        };
        if let Err(error) = journal.append(vec![entry.into()]).await {
            tracing::error!(%error, "a quarantine could not be noted");
        }
    }
}

/// Appends a tick whenever a deadline is due and nothing else has come.
async fn ticks(
    journal: Journal,
    clock: Clock,
    mut deadlines: watch::Receiver<Option<Time>>,
    hub: Arc<Hub>,
) {
    loop {
        let next = *deadlines.borrow_and_update();
        let wait = next.map(|deadline| clock.real(deadline.since(clock.now())));
        let changed = tokio::select! {
            changed = deadlines.changed() => Some(changed),
            () = sleep_or_never(wait) => None,
        };
        match changed {
            Some(Ok(())) => continue,
            Some(Err(_)) => return,
            None => {}
        }
        if next.is_none_or(|deadline| clock.now() < deadline) {
            continue;
        }
        match journal.append(vec![Entry::Tick.into()]).await {
            Ok(appended) => hub.wait_folded(appended.last.0).await,
            Err(error) => {
                tracing::error!(%error, "time stands still for the twins: no tick can be noted");
                return;
            }
        }
    }
}

async fn sleep_or_never(wait: Option<std::time::Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
