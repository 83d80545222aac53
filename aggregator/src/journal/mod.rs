//! The log: the one place where anything that can change a twin becomes durable.
//!
//! [`Log::open`] -> [`Log::replay`] (every entry in order) -> [`Log::start`] (the writer's thread; a [`Journal`]
//! handle to append with, and the feed of what was committed); or [`Log::survey`] (every entry through the keeper) ->
//! [`Log::start_behind`], where the fold reads the log while more is appended behind it (`feed.rs`). What it lies on is a [`Medium`]: a file, in SQLite;
//! or, where a simulation moves time by hand ([`Log::by_hand`]), memory.
//!
//! Invariants: [`Journal::append`] returns only after the entries are synced to disk; the feed delivers every
//! committed entry once, in position order, after it is durable; known time strictly increases; after a failed
//! write nothing more is appended (the store is *stopped* and says why); a damaged entry is skipped, counted and
//! reported, and hides no other; whether one that could have taken a right away is among them is told apart
//! ([`Log::lost_administrative`]).
//!
//! Must not know: who sends, what a twin makes of it, gRPC, MQTT, how anything is sealed.

mod account;
mod acts;
mod bytes;
mod care;
mod codec;
mod damage;
mod entry;
mod feed;
mod fields;
mod medium;
mod pace;
mod replay;
mod retention;
mod store;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proto::clock::Clock;
use proto::seal::{Lane, parse_stub};
use tokio::sync::{mpsc, oneshot};
use vitals::{StreamId, Time};

use crate::traces::Trace;

pub use account::{AccountAct, PasskeyAct, PasswordHash};
pub use care::CareAct;
use damage::{Broken, read_row};
pub use damage::{Damage, LostPart};
pub use entry::{
    Committed, Content, Draft, Entry, Opened, OpenedBatch, Position, SealedText, Sight, TeamAct,
};
pub use feed::Feed;
pub use medium::{Group, HistoryCursor, Medium, NewRow, Removal, Row, Rows, Store, StoreError};
use pace::Pace;
pub use replay::{Replay, known_at};
pub use retention::{Removed, copy, last};
use store::{Disk, Reader};
pub use writer::Desk;
use writer::{Ask, QUEUE, Request, Shared, Writer};

/// Rows in one page of history.
const PAGE_ROWS: u32 = 64;
/// Rows read at once by [`Journal::read`]; one has at most a few MiB.
const READ_ROWS: u32 = 16;
/// Committed entries that wait for the fold; beyond it the writer waits, and with it every gateway.
const FEED: usize = 4096;
/// Why nothing is taken when the writer's thread is gone.
const WRITER_ENDED: &str = "the journal was closed: start the centre again";
const MICROS_A_MINUTE: i64 = 60_000_000;

/// The file of a journal as a medium, to be read.
#[must_use]
pub fn on_disk(path: &Path) -> Arc<dyn Medium> {
    Arc::new(Disk::of(path, None))
}

/// Why the journal could not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// A write failed before; nothing is taken until the centre is started again.
    #[error("the store stopped: {0}")]
    StoreStopped(Arc<str>),
    /// Old entries could not be removed; they are all still there.
    #[error("old entries of the journal cannot be removed: {0}")]
    NotRemoved(Arc<str>),
    /// The store could not be opened or read.
    #[error("the journal cannot be read: {0}")]
    Read(Arc<str>),
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.to_string().into())
    }
}

/// Where an append came to lie: `last - first + 1` entries, in the order of the drafts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Of the first draft.
    pub first: Position,
    /// Of the last draft.
    pub last: Position,
    /// Known time of the last.
    pub known: Time,
}

/// State of the journal, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Last durable entry.
    pub position: Position,
    /// Known time of the last durable entry.
    pub known: Time,
    /// Empty when the store works; else why it stopped.
    pub stopped: String,
    /// Entries whose checksum did not hold when they were read.
    pub damaged: u64,
    /// Batches before this position were removed, and the known time of the last one; `None`: everything is kept.
    pub removed: Option<(Position, Time)>,
}

/// Which part of a stream's past is asked for: batches of the other are not even opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Everything but waveforms.
    Readings,
    /// Waveforms, which share no batch with anything else.
    Waveforms,
}

/// One page of history.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Batches of the stream that may hold readings of the time asked for, opened, in the order of the oldest
    /// minute of the group they were committed in.
    pub batches: Vec<Committed>,
    /// No reading on later pages is older than this.
    pub oldest_left: Option<Time>,
    /// Ask again with this as `after`; `None` when there is no more.
    pub next: Option<HistoryCursor>,
}

/// What a look at a journal shows, without reading its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Where the next entry will lie.
    pub next: Position,
    /// Known time of the last entry; [`Time::ZERO`] in an empty journal.
    pub last_known: Time,
    /// Whether SQLite finds the file's pages in order; `None`: it is too large for that.
    pub is_sound: Option<bool>,
}

/// Looks at a journal, beside whoever works on it; page by page up to a size of `most` bytes.
///
/// # Errors
/// [`JournalError::Read`] when there is none, it is no journal, or is newer than this program.
pub fn examine(path: &Path, most: u64) -> Result<Examined, JournalError> {
    let reader = Reader::open(path)?;
    let last = reader.last()?;
    Ok(Examined {
        next: last.map_or(Position(1), |(first, count, _)| Position(first.0 + count)),
        last_known: last.map_or(Time::ZERO, |(_, _, known)| known),
        is_sound: reader.is_sound(most)?,
    })
}

/// What the journal asks of those who keep registry and keys.
pub trait Keeper: Send + Sync {
    /// Takes note of an entry: replayed or just committed, in order, before anybody else sees it.
    fn apply(&self, position: Position, known: Time, entry: &Entry);

    /// Opens an entry's sealed part with the keys that are known at its position.
    fn unseal(&self, entry: &Entry) -> Option<Arc<Opened>>;
}

/// A journal that is open but takes nothing yet.
pub struct Log {
    medium: Arc<dyn Medium>,
    store: Box<dyn Store>,
    clock: Clock,
    keeper: Arc<dyn Keeper>,
    replay: Replay,
    /// The next entry lies here at least.
    leap: Position,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Opens or creates the file. The caller holds the store's lock.
    ///
    /// # Errors
    /// [`JournalError::Read`] when it cannot be opened, is no journal, or is newer than this program.
    pub fn open(
        path: &Path,
        max_mib: Option<u32>,
        clock: Clock,
        keeper: Arc<dyn Keeper>,
    ) -> Result<Self, JournalError> {
        Self::on(Arc::new(Disk::of(path, max_mib)), clock, keeper)
    }

    /// The same on any medium.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn on(
        medium: Arc<dyn Medium>,
        clock: Clock,
        keeper: Arc<dyn Keeper>,
    ) -> Result<Self, JournalError> {
        let store = medium.writer()?;
        let replay = Replay::on(Arc::clone(&medium), Arc::clone(&keeper))?;
        Ok(Self {
            medium,
            store,
            clock,
            keeper,
            replay,
            leap: Position::START,
        })
    }

    /// Where the next entry will lie; `Position(1)` in an empty journal.
    #[must_use]
    pub const fn next(&self) -> Position {
        self.replay.next()
    }

    /// Known time of the last entry; [`Time::ZERO`] in an empty journal.
    #[must_use]
    pub const fn last_known(&self) -> Time {
        self.replay.last_known()
    }

    /// Every entry after `after` in order, through the keeper and then to `take`. Damaged entries are skipped and
    /// counted. The keeper knows what stood at `after`, or later.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn replay(&self, after: Position, take: impl FnMut(Committed)) -> Result<(), JournalError> {
        self.replay.run(after, self.replay.next(), take)
    }

    /// Every entry after `after` in order, through the keeper alone: who may do what, and which batches are there. Damage
    /// is told and counted as in a replay.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn survey(&self, after: Position) -> Result<(), JournalError> {
        self.replay.survey(after)
    }

    /// Batches before this position were removed, and the known time of the last one; `None`: nothing ever was.
    #[must_use]
    pub const fn removed(&self) -> Option<(Position, Time)> {
        self.replay.removed()
    }

    /// Known time of an entry; `None` if it is not there or damaged.
    #[must_use]
    pub fn known_at(&self, position: Position) -> Option<Time> {
        self.replay.known_at(position)
    }

    /// After a replay: where the first damaged entry lies that was, or may have been, administrative. Without it
    /// the registry may give back a right that was taken away.
    #[must_use]
    pub fn lost_administrative(&self) -> Option<Position> {
        self.replay.lost_administrative()
    }

    /// After a replay: the batches that it found damaged, as far as the index still tells whose they were.
    #[must_use]
    pub fn damages(&self) -> Vec<Damage> {
        self.replay.damages()
    }

    /// A new epoch after a restore: the next entry lies behind every position that the former life may have given out
    /// since the last entry here. Known time rises by a microsecond an entry at least, so as many positions as
    /// microseconds have passed are more than enough; gateways obey only numbers above those that they have seen.
    pub fn leap(&mut self) {
        let passed = self.clock.now().since(self.replay.last_known());
        let passed = u64::try_from(passed.as_micros()).unwrap_or(0);
        self.leap = Position(self.replay.next().0.saturating_add(passed));
    }

    /// Starts the writer. The feed holds what is committed from now on.
    ///
    /// # Errors
    /// [`JournalError::Read`] if a reading connection or the thread cannot be had.
    pub fn start(self) -> Result<(Journal, mpsc::Receiver<Committed>), JournalError> {
        let (journal, feed, desk) = self.by_hand()?;
        desk.start()?;
        Ok((journal, feed))
    }

    /// The same for a fold that knows the log up to `after`, once the keeper knows all of it ([`Log::survey`]): entries are
    /// taken while the fold reads the rest.
    ///
    /// # Errors
    /// As [`Log::start`].
    pub fn start_behind(self, after: Position) -> Result<(Journal, Feed), JournalError> {
        let (journal, feed, desk) = self.by_hand_behind(after)?;
        desk.start()?;
        Ok((journal, feed))
    }

    /// The same without a thread.
    ///
    /// # Errors
    /// As [`Log::by_hand`].
    pub fn by_hand_behind(self, after: Position) -> Result<(Journal, Feed, Desk), JournalError> {
        let (medium, keeper) = (Arc::clone(&self.medium), Arc::clone(&self.keeper));
        let (journal, committed, desk) = self.by_hand()?;
        let shared = Arc::clone(&journal.shared);
        let feed = Feed::behind((committed, after), medium, keeper, shared);
        Ok((journal, feed, desk))
    }

    /// The same without a thread: what is queued is written when [`Desk::turn`] is called.
    ///
    /// # Errors
    /// [`JournalError::Read`] if a reader cannot be had.
    pub fn by_hand(self) -> Result<(Journal, mpsc::Receiver<Committed>, Desk), JournalError> {
        let reader = self.medium.reader()?;
        let store = self.store;
        let seat = Seat {
            clock: self.clock,
            pace: Pace::new(self.clock, self.clock.now()),
            keeper: self.keeper,
            next: self.replay.next().max(self.leap),
            last_known: self.replay.last_known(),
            damaged: self.replay.damaged(),
            removed: self.replay.removed(),
        };
        Ok(seat.take(store, reader))
    }
}

/// What a writer starts from; apart from the store, so that a test can put a failing store under it.
struct Seat {
    clock: Clock,
    pace: Pace,
    keeper: Arc<dyn Keeper>,
    next: Position,
    last_known: Time,
    damaged: Arc<AtomicU64>,
    removed: Option<(Position, Time)>,
}

impl Seat {
    fn take(
        self,
        store: Box<dyn Store>,
        reader: Box<dyn Rows>,
    ) -> (Journal, mpsc::Receiver<Committed>, Desk) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let (feed, committed) = mpsc::channel(FEED);
        let shared = Arc::new(Shared::default());
        shared.position.store(self.next.0 - 1, Ordering::Release);
        shared
            .known
            .store(self.last_known.as_micros(), Ordering::Release);
        if let Some((below, known)) = self.removed {
            shared.note_removed(below, known);
        }
        let writer = Writer {
            store,
            clock: self.clock,
            pace: self.pace,
            next: self.next,
            last_known: self.last_known,
            keeper: Arc::clone(&self.keeper),
            feed,
            shared: Arc::clone(&shared),
        };
        let reader = Arc::new(Mutex::new(reader));
        let journal = Journal {
            requests,
            shared,
            keeper: self.keeper,
            reader,
            damaged: self.damaged,
        };
        (journal, committed, Desk::new(writer, queue))
    }
}

/// A handle on the running journal. The writer ends when the last handle is gone and the queue is empty.
#[derive(Clone)]
pub struct Journal {
    requests: mpsc::Sender<Ask>,
    shared: Arc<Shared>,
    keeper: Arc<dyn Keeper>,
    reader: Arc<Mutex<Box<dyn Rows>>>,
    damaged: Arc<AtomicU64>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Appends all drafts in order, without others between them. Returns when they are durable.
    ///
    /// # Errors
    /// [`JournalError::StoreStopped`] after a failed write; then none of the drafts may be taken as durable.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<Appended, JournalError> {
        self.shared.check()?;
        let (reply, done) = oneshot::channel();
        let gone = || JournalError::StoreStopped(WRITER_ENDED.into());
        self.requests
            .send(Ask::Append(Request { drafts, reply }))
            .await
            .map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }

    /// Ends the writer after what is queued; the feed ends with it, and later appends are refused.
    pub async fn close(&self) {
        // It may have ended before.
        let _ = self.requests.send(Ask::Close).await;
    }

    /// Position and health.
    #[must_use]
    pub fn status(&self) -> Status {
        let stopped = match self.shared.stopped.get() {
            Some(reason) => reason.to_string(),
            None if self.requests.is_closed() => WRITER_ENDED.into(),
            None => String::new(),
        };
        Status {
            position: Position(self.shared.position.load(Ordering::Acquire)),
            known: Time::from_micros(self.shared.known.load(Ordering::Acquire)),
            stopped,
            damaged: self.damaged.load(Ordering::Relaxed),
            removed: self.shared.removed(),
        }
    }

    /// One page of the batches of `stream` that may hold what is asked for with an effective time in `from..to`. On
    /// a connection of its own: never in the way of appends.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub async fn history(
        &self,
        stream: StreamId,
        (from, to): (Time, Time),
        after: Option<HistoryCursor>,
        past: Past,
    ) -> Result<Page, JournalError> {
        let journal = self.clone();
        let minutes = (minute(from), minute(to));
        let page = move || journal.page(stream, minutes, after, past);
        let page = tokio::task::spawn_blocking(page).await;
        page.map_err(|error| JournalError::Read(error.to_string().into()))?
    }

    /// What was committed from `from` on, opened, a few rows at a time, and where to go on; nothing is left when that
    /// is `from`. `from` must be where a row begins: 1, or what this gave before. Blocks on the disk.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn read(&self, from: Position) -> Result<(Vec<Committed>, Position), JournalError> {
        let rows = {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.rows(from, READ_ROWS)?
        };
        let next = rows
            .last()
            .map_or(from, |row| Position(row.first.0 + row.count));
        // The start's replay has counted what is damaged.
        let entries = rows.iter().flat_map(|row| read_row(row, |_| {}));
        let committed = entries.map(|(position, known, entry)| Committed {
            position,
            known,
            body: self.keeper.unseal(&entry),
            entry: Arc::new(entry),
            trace: Trace::default(),
        });
        Ok((committed.collect(), next))
    }

    fn page(
        &self,
        stream: StreamId,
        minutes: (i64, i64),
        after: Option<HistoryCursor>,
        past: Past,
    ) -> Result<Page, JournalError> {
        let found = {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.history(stream, minutes, after, PAGE_ROWS)?
        };
        let full = found.len() == usize::try_from(PAGE_ROWS).expect("a small constant");
        let last = found
            .last()
            .filter(|_| full)
            .map(|(group, cursor, _)| (*group, *cursor));
        let mut batches = Vec::new();
        for (group, _, row) in found {
            let entries = read_row(&row, |broken: Broken| {
                broken.tell();
                self.damaged.fetch_add(broken.count, Ordering::Relaxed);
            });
            batches.extend(entries.into_iter().filter_map(|(position, known, entry)| {
                let Entry::Batch { record, .. } = &entry else {
                    return None;
                };
                let (of, lane) = place_of(record)?;
                let wanted = (lane == Lane::Waveform) == (past == Past::Waveforms);
                (wanted && of.same(&group)).then_some(())?;
                let body = self.keeper.unseal(&entry);
                Some(Committed {
                    position,
                    known,
                    entry: Arc::new(entry),
                    body,
                    trace: Trace::default(),
                })
            }));
        }
        Ok(Page {
            batches,
            oldest_left: last
                .map(|(group, _)| Time::from_micros(group.oldest.saturating_mul(MICROS_A_MINUTE))),
            next: last.map(|(_, cursor)| cursor),
        })
    }
}

/// Where a record belongs in the history index, from its clear stub; `None` for batches without readings.
fn group_of(record: &[u8]) -> Option<Group> {
    place_of(record).map(|(group, _)| group)
}

/// The same, and the lane that it came in.
fn place_of(record: &[u8]) -> Option<(Group, Lane)> {
    let stub = parse_stub(record).ok().filter(|stub| stub.count > 0)?;
    let oldest = i64::from(stub.oldest_minute);
    let newest = match stub.span_minutes {
        // The longest span that a stub can say means "at least": it may reach into any later time.
        u16::MAX => i64::MAX,
        span => oldest + i64::from(span),
    };
    Some((Group::new(stub.stream, oldest, newest), stub.lane))
}

const fn minute(time: Time) -> i64 {
    time.as_micros().div_euclid(MICROS_A_MINUTE)
}

/// Damages one bit of the row that begins there.
#[cfg(test)]
pub(crate) fn damage(path: &Path, first: u64, at: usize) {
    store::damage(path, Position(first), at);
}

/// Says that the file has this version of tables.
#[cfg(test)]
pub(crate) fn set_tables(path: &Path, version: u32) {
    store::set_tables(path, version);
}

#[cfg(test)]
mod tests;
