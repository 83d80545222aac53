//! The journal's second medium: rows in memory, on a disk that can fail, tear and lose power.
//!
//! Invariants: a row is durable once it is synced, and only whole rows come back after the power was gone, as SQLite
//! promises of its write-ahead log. Must not know: what entries mean, the simulation's time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vitals::{StreamId, Time};
use vitaltwin_aggregator::journal::{
    Group, HistoryCursor, Medium, NewRow, Position, Row, Rows, Store, StoreError,
};

/// What becomes of the next commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Fine,
    /// Nothing is written, and the centre is told so.
    Refused,
    /// It is on disk, but the centre is told that it failed.
    Doubtful,
    /// A part of it is written when the power goes.
    Torn,
}

/// A disk that outlives the centres that write to it. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<Disk>>);

#[derive(Default)]
struct Disk {
    rows: Vec<NewRow>,
    /// How many of them survive the power.
    synced: usize,
    fate: Fate,
    /// Planted: most commits are called durable without a sync.
    forgets: bool,
}

impl Shelf {
    pub(crate) fn new(forgets: bool) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            forgets,
            ..Disk::default()
        })))
    }

    pub(crate) fn next_commit(&self, fate: Fate) {
        self.lock().fate = fate;
    }

    /// The power goes: what was not synced is gone.
    pub(crate) fn power_off(&self) {
        let mut disk = self.lock();
        let synced = disk.synced;
        disk.rows.truncate(synced);
        disk.fate = Fate::Fine;
    }

    /// Entries that would survive the power.
    pub(crate) fn durable(&self) -> Position {
        let disk = self.lock();
        let last = disk.synced.checked_sub(1).map(|last| &disk.rows[last]);
        last.map_or(Position::START, |row| Position(row.first.0 + row.count - 1))
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium for Shelf {
    fn writer(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn reader(&self) -> Result<Box<dyn Rows>, StoreError> {
        Ok(Box::new(self.clone()))
    }
}

impl Store for Shelf {
    fn commit(&mut self, row: &NewRow) -> Result<(), StoreError> {
        let mut disk = self.lock();
        match std::mem::take(&mut disk.fate) {
            Fate::Refused => return Err(StoreError::new("the disk refused")),
            // A torn row fails its checksum when the log is opened: it never was.
            Fate::Torn => return Err(StoreError::new("the power went")),
            fate @ (Fate::Fine | Fate::Doubtful) => {
                disk.rows.push(row.clone());
                if !disk.forgets || disk.rows.len() % 4 == 1 {
                    disk.synced = disk.rows.len();
                }
                if fate == Fate::Doubtful {
                    return Err(StoreError::new("the disk failed after the write"));
                }
            }
        }
        Ok(())
    }
}

impl Rows for Shelf {
    fn rows(&self, from: Position, limit: u32) -> Result<Vec<Row>, StoreError> {
        let disk = self.lock();
        let begin = disk.rows.partition_point(|row| row.first < from);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(disk.rows[begin..].iter().take(most).map(read).collect())
    }

    fn last(&self) -> Result<Option<(Position, u64, Time)>, StoreError> {
        let disk = self.lock();
        let last = disk.rows.last();
        Ok(last.map(|row| (row.first, row.count, row.known)))
    }

    fn row_of(&self, position: Position) -> Result<Option<Row>, StoreError> {
        let disk = self.lock();
        let holds = |row: &&NewRow| (row.first.0..row.first.0 + row.count).contains(&position.0);
        Ok(disk.rows.iter().find(holds).map(read))
    }

    fn history(
        &self,
        stream: StreamId,
        (from, to): (i64, i64),
        after: Option<HistoryCursor>,
        limit: u32,
    ) -> Result<Vec<(Group, HistoryCursor, Row)>, StoreError> {
        let disk = self.lock();
        let of_row = |row: &NewRow| {
            let wanted = |group: &&Group| {
                group.stream == stream && group.oldest <= to && group.newest >= from
            };
            let cursor = |group: &Group| HistoryCursor {
                oldest: group.oldest,
                first: i64::try_from(row.first.0).unwrap_or(i64::MAX),
                wide: group.wide,
            };
            let groups = row.groups.iter().filter(wanted);
            groups
                .map(|group| (*group, cursor(group), read(row)))
                .collect::<Vec<_>>()
        };
        let key = |cursor: &HistoryCursor| (cursor.oldest, cursor.first, cursor.wide);
        let mut found: Vec<_> = disk.rows.iter().flat_map(of_row).collect();
        found.retain(|(_, cursor, _)| after.is_none_or(|after| key(cursor) > key(&after)));
        found.sort_by_key(|(_, cursor, _)| key(cursor));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }
}

fn read(row: &NewRow) -> Row {
    Row {
        first: row.first,
        count: row.count,
        frames: row.frames.clone(),
    }
}
