//! The log read from its beginning, in order, up to any position.
//!
//! Invariants: entries reach the keeper and the taker in position order, each once; a damaged entry is skipped,
//! counted and reported, and hides no other; nothing is written, so a replay may run beside a centre at work, on what
//! was durable when it was opened. Must not know: what entries mean.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vitals::Time;

use super::entry::{Committed, Entry, Position};
use super::store::{Disk, Medium, Row};
use super::{JournalError, Keeper, Lost, read_row};

/// Rows read at once: at most a few MiB in memory.
const ROWS: u32 = 64;

/// A journal to read again.
pub struct Replay {
    medium: Arc<dyn Medium>,
    keeper: Arc<dyn Keeper>,
    next: Position,
    last_known: Time,
    damaged: Arc<AtomicU64>,
    /// Position of the first damaged entry that may have been administrative; 0: none so far.
    lost: AtomicU64,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// Looks how far the journal reaches. What `keeper` knows must be what stood before the first entry: nothing.
    ///
    /// # Errors
    /// [`JournalError::Read`] when there is none, it is no journal, or is newer than this program.
    pub fn open(path: &Path, keeper: Arc<dyn Keeper>) -> Result<Self, JournalError> {
        Self::on(Arc::new(Disk::of(path, None)), keeper)
    }

    /// The same on any medium.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn on(medium: Arc<dyn Medium>, keeper: Arc<dyn Keeper>) -> Result<Self, JournalError> {
        let (next, last_known) = match medium.reader()?.last()? {
            Some((first, count, known)) => (Position(first.0 + count), known),
            None => (Position(1), Time::ZERO),
        };
        Ok(Self {
            medium,
            keeper,
            next,
            last_known,
            damaged: Arc::default(),
            lost: AtomicU64::new(0),
        })
    }

    /// Where the next entry will lie; `Position(1)` in an empty journal.
    #[must_use]
    pub const fn next(&self) -> Position {
        self.next
    }

    /// Known time of the last entry; [`Time::ZERO`] in an empty journal.
    #[must_use]
    pub const fn last_known(&self) -> Time {
        self.last_known
    }

    /// The count of damaged entries, which goes on counting.
    pub(super) fn damaged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.damaged)
    }

    /// Every entry before `end` in order, through the keeper and then to `take`.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn run(&self, end: Position, mut take: impl FnMut(Committed)) -> Result<(), JournalError> {
        let reader = self.medium.reader()?;
        let end = end.min(self.next);
        let mut from = Position(1);
        while from < end {
            let rows = reader.rows(from, ROWS)?;
            if rows.is_empty() {
                self.report_damage(from, end.0 - from.0, Lost::Anything);
                return Ok(());
            }
            for row in rows {
                if row.first >= end {
                    return Ok(());
                }
                if row.first > from {
                    self.report_damage(from, row.first.0 - from.0, Lost::Anything);
                }
                from = Position(row.first.0 + row.count);
                for (position, known, entry) in self.read(&row) {
                    if position >= end {
                        return Ok(());
                    }
                    self.keeper.apply(position, known, &entry);
                    let body = self.keeper.unseal(&entry);
                    take(Committed {
                        position,
                        known,
                        entry: Arc::new(entry),
                        body,
                    });
                }
            }
        }
        Ok(())
    }

    fn read(&self, row: &Row) -> Vec<(Position, Time, Entry)> {
        read_row(row, |position, count, lost| {
            self.report_damage(position, count, lost);
        })
    }

    /// After a run: where the first damaged entry lies that was, or may have been, administrative.
    #[must_use]
    pub fn lost_administrative(&self) -> Option<Position> {
        let lost = self.lost.load(Ordering::Relaxed);
        (lost > 0).then_some(Position(lost))
    }

    fn report_damage(&self, position: Position, count: u64, lost: Lost) {
        if lost == Lost::Anything {
            // The first one is kept.
            let _ = self
                .lost
                .compare_exchange(0, position.0, Ordering::Relaxed, Ordering::Relaxed);
        }
        tracing::error!(
            position = position.0,
            count,
            "damaged entries in the journal are skipped"
        );
        self.damaged.fetch_add(count, Ordering::Relaxed);
    }
}
