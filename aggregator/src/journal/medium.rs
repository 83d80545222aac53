//! What a journal lies on, as traits and rows: a file (`store.rs`), memory in a simulation, a stream of a message system
//! past one machine.
//!
//! Must not know: SQLite, what entries mean.

use vitals::{StreamId, Time};

use super::entry::Position;

/// Longest span of a group that is looked for near its oldest minute only.
pub(super) const NARROW_MINUTES: i64 = 120;

/// What the medium said, for people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub(super) String);

impl StoreError {
    /// With these words.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

/// A row to write.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Position of its first entry.
    pub first: Position,
    /// How many entries it holds.
    pub count: u64,
    /// Known time of its last entry.
    pub known: Time,
    /// The entries, each with its checksum (`codec.rs`).
    pub frames: Vec<u8>,
    /// For the history index.
    pub groups: Vec<Group>,
}

/// Batches of one stream in one row whose oldest reading lies in the same hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub stream: StreamId,
    /// Whole minutes since the Unix epoch.
    pub oldest: i64,
    /// Whole minutes, rounded up.
    pub newest: i64,
    /// Its batches span more than two hours each.
    pub wide: bool,
}

impl Group {
    /// A group of one batch.
    pub(super) const fn new(stream: StreamId, oldest: i64, newest: i64) -> Self {
        let wide = newest.saturating_sub(oldest) > NARROW_MINUTES;
        Self {
            stream,
            oldest,
            newest,
            wide,
        }
    }

    /// Whether both belong to the same index row.
    pub(super) fn same(&self, other: &Self) -> bool {
        let key = |group: &Self| (group.stream, group.oldest.div_euclid(60), group.wide);
        key(self) == key(other)
    }

    /// Adds a batch for which [`Group::same`] holds. A narrow group then spans at most an hour more.
    pub(super) fn join(&mut self, other: &Self) {
        self.oldest = self.oldest.min(other.oldest);
        self.newest = self.newest.max(other.newest);
    }
}

/// A row to remove, and what stays of it.
#[derive(Debug)]
pub struct Removal {
    /// Position of its first entry.
    pub first: Position,
    /// After its last entry.
    pub end: Position,
    /// Known time of its last entry.
    pub known: Time,
    /// The entries that stay.
    pub kept: Vec<(Position, Vec<u8>)>,
    /// As they were indexed.
    pub groups: Vec<Group>,
}

/// A row as read.
#[derive(Clone, Debug)]
pub struct Row {
    /// Position of its first entry.
    pub first: Position,
    /// How many entries it holds.
    pub count: u64,
    /// The entries, each with its checksum (`codec.rs`).
    pub frames: Vec<u8>,
}

/// Where a history query goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryCursor {
    /// The group's oldest minute.
    pub oldest: i64,
    /// Position of its row.
    pub first: i64,
    /// See [`Group::wide`].
    pub wide: bool,
}

/// What a journal lies on: a file (`store.rs`), memory in a simulation, a stream of a message system past one machine.
pub trait Medium: Send + Sync {
    /// For the one who writes.
    ///
    /// # Errors
    /// It cannot be written, or was written by a newer program.
    fn writer(&self) -> Result<Box<dyn Store>, StoreError>;

    /// For one of those who read, beside the writer.
    ///
    /// # Errors
    /// It cannot be read, or was written by a newer program.
    fn reader(&self) -> Result<Box<dyn Rows>, StoreError>;
}

/// What the writer needs of a medium.
pub trait Store: Send {
    /// Returns when the row is durable.
    ///
    /// # Errors
    /// Whether it is durable is not known; the store is not asked again in this life.
    fn commit(&mut self, row: &NewRow) -> Result<(), StoreError>;

    /// Removes the oldest rows, given in order. All of them or, with an error, none.
    ///
    /// # Errors
    /// The medium's; or it is one from which nothing is removed.
    fn remove(&mut self, _: &[Removal]) -> Result<(), StoreError> {
        Err(StoreError::new("nothing is removed from this medium"))
    }
}

/// What readers need of a medium.
pub trait Rows: Send {
    /// Rows with `first >= from`, in order, at most `limit`.
    ///
    /// # Errors
    /// The medium's.
    fn rows(&self, from: Position, limit: u32) -> Result<Vec<Row>, StoreError>;

    /// First position, length and known time of the last row; `None` in an empty journal.
    ///
    /// # Errors
    /// The medium's.
    fn last(&self) -> Result<Option<(Position, u64, Time)>, StoreError>;

    /// The row that holds an entry; `None` if there is none.
    ///
    /// # Errors
    /// The medium's.
    fn row_of(&self, position: Position) -> Result<Option<Row>, StoreError>;

    /// Up to where rows were removed, and the known time of the last entry that was; `None`: nothing ever was.
    ///
    /// # Errors
    /// The medium's.
    fn removed(&self) -> Result<Option<(Position, Time)>, StoreError> {
        Ok(None)
    }

    /// Entries kept of removed rows, from a position on, in order, at most so many.
    ///
    /// # Errors
    /// The medium's.
    fn kept(&self, _: Position, _: u32) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }

    /// The oldest rows whose entries all lie before a position and were known before a time, each with the known time
    /// of its last entry, at most so many; none where nothing is removed.
    ///
    /// # Errors
    /// The medium's.
    fn oldest(&self, _: Position, _: Time, _: u32) -> Result<Vec<(Row, Time)>, StoreError> {
        Ok(Vec::new())
    }

    /// The groups of the row that begins there, as they were indexed. May look through the whole index: for damage alone.
    ///
    /// # Errors
    /// The medium's.
    fn groups(&self, _: Position) -> Result<Vec<Group>, StoreError> {
        Ok(Vec::new())
    }

    /// Groups of `stream` that may hold readings of the minutes `from..=to`, oldest first, each with its row.
    ///
    /// # Errors
    /// The medium's.
    fn history(
        &self,
        stream: StreamId,
        minutes: (i64, i64),
        after: Option<HistoryCursor>,
        limit: u32,
    ) -> Result<Vec<(Group, HistoryCursor, Row)>, StoreError>;
}
