//! The log read in order, from any position up to any other.
//!
//! Invariants: entries reach the keeper and the taker in position order, each once; a damaged entry is skipped,
//! counted and reported, and hides no other; nothing is written, so a replay may run beside a centre at work, on what
//! was durable when it was opened. Must not know: what entries mean.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use vitals::Time;

use super::codec::decode_entry;
use super::damage::{Broken, Damage, Lost, read_row, whose};
use super::entry::{Committed, Entry, Position};
use super::medium::{Medium, Row, Rows};
use super::store::Disk;
use super::{JournalError, Keeper};
use crate::traces::Trace;

/// Rows read at once: at most a few MiB in memory.
const ROWS: u32 = 64;
/// Rows with damaged batches that are named.
const MOST_DAMAGES: usize = 256;
/// Rows that are opened and wait for the fold.
const AHEAD: usize = 16;

/// An entry whose checksum held, where it lies and when it was known.
type Sound = (Position, Time, Entry);

/// Known time of an entry of the journal in this file; `None` if it is not there or damaged.
#[must_use]
pub fn known_at(path: &Path, position: Position) -> Option<Time> {
    known_on(&Disk::of(path, None), position)
}

fn known_on(medium: &dyn Medium, position: Position) -> Option<Time> {
    let row = medium.reader().and_then(|reader| reader.row_of(position));
    let entries = read_row(&row.ok()??, |_| {});
    let found = entries.into_iter().find(|(at, ..)| *at == position);
    found.map(|(_, known, _)| known)
}

/// A journal to read again.
pub struct Replay {
    medium: Arc<dyn Medium>,
    keeper: Arc<dyn Keeper>,
    next: Position,
    last_known: Time,
    removed: Option<(Position, Time)>,
    damaged: Arc<AtomicU64>,
    /// Position of the first damaged entry that may have been administrative; 0: none so far.
    lost: AtomicU64,
    damages: Mutex<Vec<Damage>>,
    /// Damage was told before.
    quiet: bool,
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
        let reader = medium.reader()?;
        let removed = reader.removed()?;
        let (next, last_known) = match reader.last()? {
            Some((first, count, known)) => (Position(first.0 + count), known),
            None => (Position(1), Time::ZERO),
        };
        Ok(Self {
            medium,
            keeper,
            next,
            last_known,
            removed,
            damaged: Arc::default(),
            lost: AtomicU64::new(0),
            damages: Mutex::default(),
            quiet: false,
        })
    }

    /// Damage is neither told nor counted: somebody read it all before.
    pub(super) fn quietly(mut self) -> Self {
        self.quiet = true;
        self
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

    /// Known time of an entry; `None` if it is not there or damaged.
    #[must_use]
    pub fn known_at(&self, position: Position) -> Option<Time> {
        known_on(&*self.medium, position)
    }

    /// Batches before this position were removed, and the known time of the last one; `None`: nothing ever was.
    #[must_use]
    pub const fn removed(&self) -> Option<(Position, Time)> {
        self.removed
    }

    /// The count of damaged entries, which goes on counting.
    #[must_use]
    pub fn damaged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.damaged)
    }

    /// Every entry after `after` and before `end` in order, through the keeper and then to `take`. What `keeper`
    /// knows must be what stood at `after`, or later. Reading and opening run ahead of `take` on a thread of their
    /// own, by a few rows.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn run(
        &self,
        after: Position,
        end: Position,
        mut take: impl FnMut(Committed),
    ) -> Result<(), JournalError> {
        self.run_while(after, end, |committed| {
            take(committed);
            true
        })
    }

    /// The same, until `take` has had enough: what `keeper` knows is then what stood at the last entry taken, or later.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn run_while(
        &self,
        after: Position,
        end: Position,
        mut take: impl FnMut(Committed) -> bool,
    ) -> Result<(), JournalError> {
        let reader = self.medium.reader()?;
        std::thread::scope(|scope| {
            let (send, opened) = std::sync::mpsc::sync_channel(AHEAD);
            let ahead = scope.spawn(move || {
                self.read(&*reader, after, end, &mut |entries| {
                    let opened = entries.into_iter().map(|entry| self.tell(entry));
                    // Where nobody takes them any more, it ends.
                    send.send(opened.collect::<Vec<_>>()).is_ok()
                })
            });
            // The reader ends when nobody takes any more.
            for committed in opened.into_iter().flatten() {
                if !take(committed) {
                    break;
                }
            }
            ahead.join().unwrap_or_else(|_| {
                let text = "an entry of the journal made this program panic";
                Err(JournalError::Read(text.into()))
            })
        })
    }

    /// Every entry after `after` through the keeper alone: nothing is opened.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub(super) fn survey(&self, after: Position) -> Result<(), JournalError> {
        let reader = self.medium.reader()?;
        self.read(&*reader, after, self.next, &mut |entries| {
            for (position, known, entry) in entries {
                self.keeper.apply(position, known, &entry);
            }
            true
        })
    }

    /// Rows in order, as `take` wants more.
    fn read(
        &self,
        reader: &dyn Rows,
        after: Position,
        end: Position,
        take: &mut dyn FnMut(Vec<Sound>) -> bool,
    ) -> Result<(), JournalError> {
        let end = end.min(self.next);
        let mut from = after.next();
        if let Some((below, _)) = self.removed {
            while from < below.min(end) {
                let kept = reader.kept(from, ROWS)?;
                let Some((last, _)) = kept.last() else { break };
                from = last.next();
                let kept = kept.into_iter().filter(|(position, _)| *position < end);
                let entries =
                    kept.filter_map(|(position, frame)| match decode_entry(position, &frame) {
                        Ok((known, entry)) => Some((position, known, entry)),
                        Err(error) => {
                            if !self.quiet {
                                tracing::error!(position = position.0, %error, "damaged entry");
                            }
                            self.report(&Broken::unknown(position, 1));
                            None
                        }
                    });
                if !take(entries.collect()) {
                    return Ok(());
                }
            }
            from = from.max(below);
        }
        // The row in which it lies may begin before it.
        let mut rows: Vec<Row> = reader.row_of(from)?.into_iter().collect();
        while from < end {
            if rows.is_empty() {
                rows = reader.rows(from, ROWS)?;
            }
            if rows.is_empty() {
                self.report(&Broken::unknown(from, end.0 - from.0));
                return Ok(());
            }
            for row in std::mem::take(&mut rows) {
                if row.first >= end {
                    return Ok(());
                }
                let entries = self.sound(reader, &row);
                let leaps = matches!(entries.first(), Some((_, _, Entry::EpochStarted { .. })));
                if row.first > from && !leaps {
                    self.report(&Broken::unknown(from, row.first.0 - from.0));
                }
                let entries = entries.into_iter();
                let entries = entries.filter(|(position, ..)| (from..end).contains(position));
                let entries = entries.collect();
                from = Position(row.first.0 + row.count);
                if !take(entries) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn tell(&self, (position, known, entry): Sound) -> Committed {
        self.keeper.apply(position, known, &entry);
        let body = self.keeper.unseal(&entry);
        Committed {
            position,
            known,
            entry: Arc::new(entry),
            body,
            trace: Trace::default(),
        }
    }

    fn sound(&self, reader: &dyn Rows, row: &Row) -> Vec<Sound> {
        let mut broken = Vec::new();
        let entries = read_row(row, |one| {
            self.report(&one);
            broken.push(one);
        });
        if !broken.is_empty() && !self.quiet {
            let mut damages = self.damages.lock().unwrap_or_else(PoisonError::into_inner);
            // A file that is shot to pieces is restored from a backup, not declared row by row.
            if damages.len() < MOST_DAMAGES {
                // Without its index nobody knows whose it was.
                let groups = reader.groups(row.first).unwrap_or_default();
                damages.extend(whose(&broken, &groups));
            }
        }
        entries
    }

    /// After a run: the damaged batches that it found, by row.
    pub(super) fn damages(&self) -> Vec<Damage> {
        let damages = self.damages.lock().unwrap_or_else(PoisonError::into_inner);
        damages.clone()
    }

    /// After a run: where the first damaged entry lies that was, or may have been, administrative.
    #[must_use]
    pub fn lost_administrative(&self) -> Option<Position> {
        let lost = self.lost.load(Ordering::Relaxed);
        (lost > 0).then_some(Position(lost))
    }

    fn report(&self, broken: &Broken) {
        if self.quiet {
            return;
        }
        if broken.lost == Lost::Anything {
            // The first one is kept.
            let first = broken.position.0;
            let _ = self
                .lost
                .compare_exchange(0, first, Ordering::Relaxed, Ordering::Relaxed);
        }
        broken.tell();
        self.damaged.fetch_add(broken.count, Ordering::Relaxed);
    }
}
