//! What keeps a start short and the journal small: snapshots now and then, and the removal of what they cover.
//!
//! Invariants: a start folds the newest snapshot that holds and the log since; a snapshot takes half of one core at
//! most; nothing is removed from the journal before the newest snapshot was read back from the disk, and nothing
//! that is younger than the stated age. Must not know: what a snapshot holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use proto::clock::Clock;
use tokio_util::sync::CancellationToken;
use vitals::Span;

use super::{Core, empty_fold};
use crate::dir::CentreDir;
use crate::history::History;
use crate::journal::{Entry, Journal, Log, Position, known_at};
use crate::patient::{Fold, Patients};
use crate::publish::Limits;
use crate::registry::Books;
use crate::snapshot::{self, KnownAt, Restored, Snapshots, Why};

/// Real time that the snapshot at a stop may take; without it a start reads more of the log.
const LAST: Duration = Duration::from_secs(10);
/// Real time between two steps of a removal.
const STEP: Duration = Duration::from_millis(20);

/// A fold as the newest snapshot gives it, and what is left of the log.
pub(super) struct Begun {
    pub(super) fold: Fold,
    pub(super) restored: Restored,
    /// The fold knows the log up to here.
    pub(super) after: Position,
    began: Instant,
    restored_in: Duration,
}

/// The fold of the newest snapshot.
pub(super) fn begin(dir: &CentreDir, limits: Limits, books: &Books, log: &Log) -> Result<Begun> {
    anyhow::ensure!(
        !dir.restoring().exists(),
        "the restore into {} was broken off: remove that directory, and restore again",
        dir.root().display()
    );
    let began = Instant::now();
    let (mut fold, _) = empty_fold(dir, limits, books.vault_handle())?;
    let path = dir.snapshots();
    let known_at = |position| log.known_at(position);
    let all = Position(u64::MAX);
    let restored = snapshot::restore(&path, books, &mut fold, &known_at, all);
    if restored.ignored.contains(&Why::Newer) {
        return Err(snapshot::NewerRelease.into());
    }
    if restored.ignored.contains(&Why::File)
        && let Err(error) = snapshot::set_aside(&path)
    {
        tracing::error!(%error, "the damaged snapshots cannot be set aside");
    }
    let after = restored.begin.unwrap_or(Position::START);
    if let Some((below, _)) = log.removed().filter(|(below, _)| *below > after.next()) {
        tracing::error!(
            position = below.0,
            "no snapshot can be used: the twins are folded from what the journal still keeps, and lack what was removed"
        );
    }
    let restored_in = began.elapsed();
    Ok(Begun {
        fold,
        restored,
        after,
        began,
        restored_in,
    })
}

impl Begun {
    /// What tells how long the rest took, once the twins are current.
    pub(super) fn replayed(&self, log: &Log) -> impl FnOnce() + Send + use<> {
        let entries = log.next().0 - 1 - self.after.0;
        let (snapshot, patients) = (self.after.0, self.restored.patients);
        let (began, snapshot_ms) = (self.began, self.restored_in.as_millis());
        move || {
            tracing::info!(
                entries,
                snapshot,
                patients,
                snapshot_ms,
                all_ms = began.elapsed().as_millis(),
                "journal replayed"
            );
        }
    }

    /// The fold of the whole log.
    pub(super) fn whole(mut self, log: &Log) -> Result<(Fold, Restored)> {
        let tell = self.replayed(log);
        log.replay(self.after, |committed| self.fold.apply(&committed))?;
        tell();
        Ok((self.fold, self.restored))
    }
}

impl Core {
    /// A restored centre goes on: a new epoch, in which every gateway sees that what it was promised before may be
    /// lost. Gives its number and its first position.
    ///
    /// # Errors
    /// When the journal cannot be read or written, or the clock cannot be right.
    pub async fn new_epoch(mut self) -> Result<(u64, u64)> {
        self.check_clock(false)?;
        self.log.replay(Position::START, |_| {})?;
        self.check_damage(false)?;
        self.log.leap();
        let (journal, mut feed) = self.log.start()?;
        let epoch = self.books.registry().epoch() + 1;
        let program = env!("CARGO_PKG_VERSION").into();
        let entry = Entry::EpochStarted { epoch, program };
        let appended = journal.append(vec![entry.into()]).await?;
        journal.close().await;
        while feed.recv().await.is_some() {}
        match std::fs::remove_file(self.dir.restoring()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => crate::dir::sync(self.dir.root())?,
        }
        Ok((epoch, appended.first.0))
    }
}

/// Snapshots of a centre that starts.
pub(super) fn snapshots(
    dir: &CentreDir,
    books: &Arc<Books>,
    patients: &Patients,
    restored: &Restored,
) -> Arc<Snapshots> {
    let journal = dir.journal();
    let known_at = KnownAt(Box::new(move |position| known_at(&journal, position)));
    let (path, books) = (dir.snapshots(), Arc::clone(books));
    Arc::new(Snapshots::new(
        path,
        books,
        patients.saver(),
        known_at,
        restored,
    ))
}

/// Takes snapshots and removes what is old.
pub(super) struct Keep {
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) journal: Journal,
    pub(super) history: History,
    pub(super) books: Arc<Books>,
    pub(super) patients: Patients,
    /// Between two snapshots; zero: none are taken.
    pub(super) every: Span,
    /// What is older is removed; zero: nothing is.
    pub(super) retention: Span,
    pub(super) clock: Clock,
}

impl Keep {
    /// Until `stop`; then gives itself back for [`Keep::last`].
    pub(super) async fn run(self, stop: CancellationToken) -> Self {
        if self.every <= Span::ZERO {
            stop.cancelled().await;
            return self;
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.clock.real(self.every)) => {}
                // A start from before it would read the whole log again.
                () = self.patients.void_settled() => {}
            }
            let stopped = stop.clone();
            let rest = move |worked| {
                std::thread::sleep(worked);
                !stopped.is_cancelled()
            };
            if self.take(rest).await && self.retention > Span::ZERO {
                self.remove(&stop).await;
            }
        }
        self
    }

    /// A centre that ends well starts from where it ended; but it does not take long for that.
    pub(super) async fn last(self) {
        if self.every > Span::ZERO {
            let until = Instant::now() + LAST;
            self.take(move |_| Instant::now() < until).await;
        }
    }

    async fn take(&self, rest: impl FnMut(Duration) -> bool + Send + 'static) -> bool {
        let snapshots = Arc::clone(&self.snapshots);
        let made = tokio::task::spawn_blocking(move || snapshots.take(rest)).await;
        // What went wrong was told.
        let Ok(Ok(made)) = made else { return false };
        tracing::info!(
            position = made.begin.0,
            written = made.written,
            patients = made.patients,
            bytes = made.bytes,
            "snapshot"
        );
        true
    }

    async fn remove(&self, stop: &CancellationToken) {
        let before = self.clock.now() - self.retention;
        if !self.journal.reaches_before(before).await {
            return;
        }
        let snapshots = Arc::clone(&self.snapshots);
        let verified = tokio::task::spawn_blocking(move || snapshots.verify()).await;
        let Ok(Ok(covered)) = verified else { return };
        // What is not in blocks yet would be gone from the history for good.
        let covered = covered.min(self.history.covered());
        // A start from a snapshot before it needs the whole log there.
        if self.books.registry().needs_the_log_at() >= covered {
            return;
        }
        let (mut entries, mut kept) = (0, 0);
        while !stop.is_cancelled() {
            match self.journal.remove(covered, before).await {
                Ok(removed) if removed.entries + removed.kept == 0 => break,
                Ok(removed) => {
                    entries += removed.entries;
                    kept += removed.kept;
                }
                Err(error) => {
                    tracing::error!(%error, "old entries are not removed");
                    return;
                }
            }
            tokio::time::sleep(STEP).await;
        }
        if let Some((below, _)) = self.journal.status().removed {
            // Also what a run before did not come to.
            self.history.remove_before(below);
        }
        tracing::info!(entries, kept, "old entries removed");
    }
}
