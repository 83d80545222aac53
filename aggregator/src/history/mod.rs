//! The history: every reading of the journal once more, as sealed columnar blocks per patient, with sums by the minute
//! and by the hour, to be asked for any stretch of time.
//!
//! A thread of its own ([`Following`]) reads the journal behind everybody's back, keeps the newest readings in memory
//! (the *tail*), and moves them into blocks (`follow.rs`); small blocks are merged into bigger ones. A question takes
//! the blocks and the tail as they stand at one moment (`History::plan`).
//!
//! Invariants: a reading of the journal is in the blocks or in the tail, never in both, never twice (told apart as the
//! fold tells them); a kill at any moment changes nothing of that; a block is opened again and compared before it is
//! written; what a plan names is what was known at its position. The file can be made again from the journal as long as
//! the journal is whole: stop the centre and remove it.
//!
//! Must not know: gRPC, the gate, what a twin makes of readings.

pub mod block;
mod column;
mod follow;
pub mod rollup;
mod seen;
mod store;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use vitals::{Kind, PatientId, StreamId, Time};

use crate::journal::{Journal, JournalError, Position};
use crate::vault::Vault;
use block::Block;
use follow::{Follower, Keeper, Tail};
use rollup::{Rollup, Width};
pub(crate) use store::Row;
use store::{Part, Store, StoreError};
#[cfg(test)]
pub(crate) use store::{blocks, damage};

/// A question waits so long for the thread to have read what is in the journal.
const REACH: Duration = Duration::from_secs(20);
const MILLIS_A_MINUTE: i64 = 60_000;

/// Since when the readings of a stream are the patient's; `None`: no such stream.
pub type Begins = dyn Fn(StreamId) -> Option<Time> + Send + Sync;

/// Why the history cannot answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HistoryError {
    /// Its file, or the journal under it.
    #[error("the history cannot be read or written: {0}")]
    Store(Arc<str>),
    /// The thread that reads the journal ended.
    #[error("the history stopped: {0}; start the centre again")]
    Stopped(Arc<str>),
    /// The journal is far ahead: after an upgrade, or under a load that leaves no processor.
    #[error("the history has read {at} of {of} journal entries: ask again in a moment")]
    Behind {
        /// How far it is.
        at: u64,
        /// How far it should be.
        of: u64,
    },
    /// A block does not open, or is not what was written.
    #[error(
        "{readings} readings of minutes {oldest} to {newest} (since 1970) are damaged: ask for the time before and after, or stop the centre and remove store/history.db, which is then made again from the journal"
    )]
    Damaged {
        /// How many.
        readings: usize,
        /// Whole minutes of effective time.
        oldest: i64,
        /// See above.
        newest: i64,
    },
}

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string().into())
    }
}

impl From<JournalError> for HistoryError {
    fn from(error: JournalError) -> Self {
        Self::Store(error.to_string().into())
    }
}

/// What the thread and those who ask share.
struct Shared {
    vault: Arc<Vault>,
    tail: Mutex<Tail>,
    reader: Mutex<Store>,
    reached: watch::Sender<Reached>,
    call: Mutex<Call>,
    called: Condvar,
    /// By id, those that were found since the start.
    bad: Mutex<BTreeMap<i64, Bad>>,
}

/// How far the thread is, in journal positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reached {
    /// In the tail or in blocks.
    read: u64,
    /// In blocks.
    covered: u64,
}

/// What is asked of the thread.
#[derive(Debug, Default)]
struct Call {
    read: bool,
    write: bool,
    stop: bool,
    /// Blocks wholly before this journal position are to go.
    remove_below: Option<u64>,
    failed: Option<Arc<str>>,
}

/// A block that does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    patient: PatientId,
    /// Nothing in it was measured before this ...
    pub(crate) from: Time,
    /// ... nor from then on.
    pub(crate) to: Time,
    pub(crate) readings: usize,
}

impl Bad {
    #[cfg(test)]
    pub(crate) fn for_test(from: Time, to: Time, readings: usize) -> Self {
        Self {
            patient: PatientId::parse("p-1").expect("an id"),
            from,
            to,
            readings,
        }
    }
}

impl Shared {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self) -> MutexGuard<'_, Call> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> MutexGuard<'_, Store> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sealed part in clear; `None` if the block was merged meanwhile.
    fn open(
        &self,
        store: &Store,
        patient: &PatientId,
        row: &Row,
        part: Part,
    ) -> Result<Option<Vec<u8>>, HistoryError> {
        let Some(sealed) = store.part(row.id, part)? else {
            return Ok(None);
        };
        let plain = self
            .vault
            .open_sealed(patient, &purpose(row, part), &sealed);
        Ok(Some(
            plain.ok_or_else(|| self.damaged(patient, row))?.to_vec(),
        ))
    }

    fn bad(&self) -> MutexGuard<'_, BTreeMap<i64, Bad>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a block that does not open.
    fn damaged(&self, patient: &PatientId, row: &Row) -> HistoryError {
        let time = |minute: i64| Time::from_micros(minute.saturating_mul(1000 * MILLIS_A_MINUTE));
        let bad = Bad {
            patient: patient.clone(),
            from: time(row.oldest),
            to: time(row.newest.saturating_add(1)),
            readings: row.readings,
        };
        if self.bad().insert(row.id, bad).is_none() {
            tracing::error!(
                readings = row.readings,
                first = row.first,
                last = row.last,
                "a block of the history is damaged"
            );
        }
        HistoryError::Damaged {
            readings: row.readings,
            oldest: row.oldest,
            newest: row.newest,
        }
    }
}

/// What is in clear is bound to what is sealed.
fn purpose(row: &Row, part: Part) -> String {
    let part = match part {
        Part::Hours => "hours",
        Part::Minutes => "minutes",
        Part::Readings => "readings",
    };
    let Row {
        first,
        last,
        known,
        oldest,
        newest,
        readings,
        ..
    } = row;
    format!("history {part} {first} {last} {known} {oldest} {newest} {readings}")
}

const fn minute(millis: i64) -> i64 {
    millis.div_euclid(MILLIS_A_MINUTE)
}

/// To ask with. Cheap to clone.
#[derive(Clone)]
pub struct History(Arc<Shared>);

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("History(hidden)")
    }
}

/// The thread.
#[derive(Debug)]
pub struct Following {
    history: History,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Makes a history without a journal, by the same flushes and merges: for the bench.
pub struct Filler(Keeper);

impl std::fmt::Debug for Filler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filler(hidden)")
    }
}

impl Filler {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// [`HistoryError::Store`].
    pub fn open(path: &Path, vault: Arc<Vault>) -> Result<Self, HistoryError> {
        let store = Store::open(path)?;
        let covered = store.covered()?;
        Ok(Self(History::open(path, vault, store, covered)?.1))
    }

    /// Adds readings of one batch, whose positions rise.
    ///
    /// # Errors
    /// [`HistoryError::Store`].
    pub fn fill(
        &mut self,
        patient: &PatientId,
        batch: block::Batch,
        points: Vec<block::Point>,
    ) -> Result<(), HistoryError> {
        self.0.fill(patient, batch, points)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// [`HistoryError::Store`].
    pub fn finish(mut self) -> Result<(), HistoryError> {
        self.0.flush()
    }
}

/// Where to look for a patient's readings, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Blocks, by their oldest reading.
    pub(crate) rows: VecDeque<Row>,
    /// Readings that lie in no block yet.
    pub(crate) tail: Option<Arc<Block>>,
}

impl Row {
    /// Nothing in it is older than this, ms.
    pub(crate) const fn oldest_ms(&self) -> i64 {
        self.oldest.saturating_mul(MILLIS_A_MINUTE)
    }

    /// Of a block that lies nowhere.
    #[cfg(test)]
    pub(crate) fn for_test(id: i64, block: &Block) -> Self {
        let (oldest, newest) = block.span().expect("readings");
        let positions = || block.batches.iter().map(|batch| batch.position);
        Self {
            id,
            level: 0,
            first: positions().min().expect("batches"),
            last: positions().max().expect("batches"),
            known: block
                .batches
                .iter()
                .map(|batch| batch.known)
                .max()
                .expect("batches"),
            oldest: minute(oldest),
            newest: minute(newest),
            readings: block.points.len(),
        }
    }

    /// Which one it is.
    #[cfg(test)]
    pub(crate) const fn number(&self) -> i64 {
        self.id
    }

    /// Whether any of it may be of these times, ms.
    pub(crate) const fn reaches_into(&self, from: i64, to: i64) -> bool {
        self.oldest_ms() < to
            && from
                < self
                    .newest
                    .saturating_add(1)
                    .saturating_mul(MILLIS_A_MINUTE)
    }

    /// Whether all of it was known by then.
    pub(crate) const fn is_known_by(&self, position: u64, known: i64) -> bool {
        self.last <= position && self.known <= known
    }

    /// Whether any of it may have been.
    pub(crate) const fn begins_by(&self, position: u64) -> bool {
        self.first <= position
    }

    /// Whether all of it, and whether any of it, lies at this journal position or after it.
    pub(crate) const fn is_kept_from(&self, position: u64) -> (bool, bool) {
        (position <= self.first, position <= self.last)
    }
}

impl History {
    /// Opens or creates the file and starts to follow the journal.
    ///
    /// # Errors
    /// [`HistoryError::Store`].
    pub fn start(
        path: &Path,
        vault: Arc<Vault>,
        journal: Journal,
        begins: Arc<Begins>,
    ) -> Result<(Self, Following), HistoryError> {
        let mut store = Store::open(path)?;
        let mut covered = store.covered()?;
        if covered > journal.status().position.0 {
            // A journal that was restored or begun anew: what was made from another one is kept, but not believed.
            let aside = path.with_extension("db.aside");
            tracing::error!(
                covered,
                "the history reaches further than the journal: it is set aside and made again from the journal"
            );
            drop(store);
            let set_aside = std::fs::rename(path, aside);
            set_aside.map_err(|error| HistoryError::Store(error.to_string().into()))?;
            store = Store::open(path)?;
            covered = store.covered()?;
        }
        let (history, keeper) = Self::open(path, vault, store, covered)?;
        let follower = Follower::new(keeper, journal, begins);
        let thread = std::thread::Builder::new()
            .name("history".into())
            .spawn(move || follower.run())
            .map_err(|error| HistoryError::Store(error.to_string().into()))?;
        let following = Following {
            history: history.clone(),
            thread: Some(thread),
        };
        Ok((history, following))
    }

    fn open(
        path: &Path,
        vault: Arc<Vault>,
        store: Store,
        covered: u64,
    ) -> Result<(Self, Keeper), HistoryError> {
        let shared = Arc::new(Shared {
            vault,
            tail: Mutex::new(Tail::after(covered)),
            reader: Mutex::new(Store::open_to_read(path)?),
            reached: watch::Sender::new(Reached {
                read: covered,
                covered,
            }),
            call: Mutex::default(),
            called: Condvar::new(),
            bad: Mutex::default(),
        });
        let keeper = Keeper::new(Arc::clone(&shared), store, covered);
        Ok((Self(shared), keeper))
    }

    /// The journal up to here lies in blocks: durable, verified, not to be read again by the history.
    #[must_use]
    pub fn covered(&self) -> Position {
        Position(self.0.tail().covered)
    }

    /// True once the thread that makes it has failed: questions are refused until the centre is started again.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.0.call().failed.is_some()
    }

    /// Blocks that were found damaged since the start.
    #[must_use]
    pub fn damaged_blocks(&self) -> usize {
        self.0.bad().len()
    }

    /// Those of a patient.
    pub(crate) fn damaged_of(&self, patient: &PatientId) -> Vec<Bad> {
        let bad = self.0.bad();
        let of = bad.values().filter(|bad| bad.patient == *patient);
        of.cloned().collect()
    }

    /// Has the blocks removed of which every reading lies before `below` in the journal; some more may lie there, of which
    /// only a part does.
    pub fn remove_before(&self, below: Position) {
        let mut call = self.0.call();
        call.read = true;
        call.remove_below = call.remove_below.max(Some(below.0));
        drop(call);
        self.0.called.notify_all();
    }

    /// Waits until everything up to `position` is in the history.
    ///
    /// # Errors
    /// [`HistoryError::Stopped`], [`HistoryError::Behind`].
    pub async fn reach(&self, position: Position) -> Result<(), HistoryError> {
        self.wait(position, |reached| reached.read, false).await
    }

    /// Waits until everything up to `position` lies in blocks, which are written now.
    ///
    /// # Errors
    /// [`HistoryError::Stopped`], [`HistoryError::Behind`].
    pub async fn write_out(&self, position: Position) -> Result<(), HistoryError> {
        self.reach(position).await?;
        self.wait(position, |reached| reached.covered, true).await
    }

    async fn wait(
        &self,
        position: Position,
        at: fn(&Reached) -> u64,
        write: bool,
    ) -> Result<(), HistoryError> {
        let mut reached = self.0.reached.subscribe();
        {
            let mut call = self.0.call();
            if let Some(why) = &call.failed {
                return Err(HistoryError::Stopped(Arc::clone(why)));
            }
            if at(&reached.borrow_and_update()) < position.0 {
                call.read = true;
                call.write |= write;
            }
        }
        self.0.called.notify_all();
        let there = reached.wait_for(|reached| at(reached) >= position.0);
        match tokio::time::timeout(REACH, there).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(match &self.0.call().failed {
                Some(why) => HistoryError::Stopped(Arc::clone(why)),
                None => HistoryError::Behind {
                    at: at(&self.0.reached.borrow()),
                    of: position.0,
                },
            }),
        }
    }

    /// Where to look for readings of these times (ms, both included). Blocks on the disk.
    ///
    /// # Errors
    /// [`HistoryError::Store`].
    pub(crate) fn plan(
        &self,
        patient: &PatientId,
        (from, to): (i64, i64),
    ) -> Result<Plan, HistoryError> {
        // Held while the blocks are listed: nothing moves from the tail into a block in between.
        let tail = self.0.tail();
        let minutes = (minute(from), minute(to));
        let rows = self.0.reader().rows(patient, minutes, tail.covered)?;
        Ok(Plan {
            rows: rows.into(),
            tail: tail.patients.get(patient).cloned(),
        })
    }

    /// A block's readings of these kinds (empty: all); `None` if it was merged meanwhile: plan again. Blocks on the disk.
    ///
    /// # Errors
    /// [`HistoryError::Store`], [`HistoryError::Damaged`].
    pub(crate) fn readings(
        &self,
        patient: &PatientId,
        row: &Row,
        kinds: &[Kind],
    ) -> Result<Option<Block>, HistoryError> {
        let plain = self
            .0
            .open(&self.0.reader(), patient, row, Part::Readings)?;
        let damaged = || self.0.damaged(patient, row);
        let decode = |plain: Vec<u8>| Block::decode(&plain, kinds).ok_or_else(damaged);
        plain.map(decode).transpose()
    }

    /// A block's sums of these kinds (empty: all); `None` if it was merged meanwhile. Blocks on the disk.
    ///
    /// # Errors
    /// As [`History::readings`].
    pub(crate) fn sums(
        &self,
        patient: &PatientId,
        row: &Row,
        width: Width,
        kinds: &[Kind],
    ) -> Result<Option<Rollup>, HistoryError> {
        let part = match width {
            Width::Minute => Part::Minutes,
            Width::Hour => Part::Hours,
        };
        let plain = self.0.open(&self.0.reader(), patient, row, part)?;
        let decode = |plain: Vec<u8>| {
            let mut sums = Rollup::new();
            let whole = rollup::decode(&plain, kinds, &mut sums);
            whole.ok_or_else(|| self.0.damaged(patient, row))?;
            Ok(sums)
        };
        plain.map(decode).transpose()
    }

    fn ask_to_stop(&self) {
        self.0.call().stop = true;
        self.0.called.notify_all();
    }
}

impl Following {
    /// Ends the thread. What is in the tail is read again at the next start. Blocks until it has ended.
    pub fn stop(mut self) {
        self.history.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            // Its panic was logged by the hook; nobody waits for it any more.
            let _ = thread.join();
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.history.ask_to_stop();
    }
}
