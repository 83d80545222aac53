//! The log's old end: batches that are older than what is kept, and that a snapshot covers, are removed.
//!
//! Invariants: rows go oldest first and whole; of each the entries that are neither batch nor tick stay for good
//! (what people and gateways were allowed, and what people did); a row that is damaged ends it, for a person to look
//! at. Who calls says what is covered. Must not know: snapshots, clocks.

use std::path::Path;
use std::sync::PoisonError;

use tokio::sync::oneshot;
use vitals::Time;

use super::codec::{decode_entry, split_row};
use super::entry::{Entry, Position};
use super::medium::{Removal, Row, Rows as _, StoreError};
use super::store::Reader;
use super::writer::{Ask, add_to_index};
use super::{Journal, JournalError, WRITER_ENDED};

/// Rows removed in one transaction: it holds up commits for some milliseconds.
const ROWS: u32 = 16;

/// What a step removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Batches and ticks that are gone.
    pub entries: u64,
    /// Entries of the same rows that stay.
    pub kept: u64,
}

/// A whole copy of a journal in another file, as of now; the writer goes on.
///
/// # Errors
/// [`JournalError::Read`].
pub fn copy(path: &Path, to: &Path) -> Result<(), JournalError> {
    let to = to
        .to_str()
        .ok_or_else(|| JournalError::Read("the path is not UTF-8".into()))?;
    Ok(Reader::open(path)?.copy_to(to)?)
}

/// The last entry of a journal's file, and its known time.
///
/// # Errors
/// [`JournalError::Read`].
pub fn last(path: &Path) -> Result<(Position, Time), JournalError> {
    let last = Reader::open(path)?.last()?;
    Ok(
        last.map_or((Position::START, Time::ZERO), |(first, count, known)| {
            (Position(first.0 + count - 1), known)
        }),
    )
}

impl Journal {
    /// Whether it holds rows that were known before `known`.
    pub async fn reaches_before(&self, known: Time) -> bool {
        let journal = self.clone();
        let look = move || {
            let reader = journal
                .reader
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            reader.oldest(Position(u64::MAX >> 1), known, 1)
        };
        let found = tokio::task::spawn_blocking(look).await;
        matches!(found, Ok(Ok(rows)) if !rows.is_empty())
    }

    /// One bounded step: the oldest rows whose entries lie before `before` and were known before `known`. Nothing
    /// left to remove gives zeros.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing was removed.
    pub async fn remove(&self, before: Position, known: Time) -> Result<Removed, JournalError> {
        let journal = self.clone();
        let look = move || {
            let reader = journal
                .reader
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            reader.oldest(before, known, ROWS)
        };
        let found = tokio::task::spawn_blocking(look).await;
        let found: Result<Vec<(Row, Time)>, StoreError> =
            found.map_err(|error| JournalError::Read(error.to_string().into()))?;
        let mut removed = Removed::default();
        let mut rows = Vec::new();
        for (row, known) in found? {
            let Some(removal) = removal(&row, known) else {
                tracing::error!(
                    position = row.first.0,
                    "old entries are damaged: nothing from here on is removed"
                );
                break;
            };
            let kept = removal.kept.len() as u64;
            removed.kept += kept;
            removed.entries += row.count - kept;
            rows.push(removal);
        }
        if rows.is_empty() {
            return Ok(removed);
        }
        let gone = || JournalError::StoreStopped(WRITER_ENDED.into());
        let (reply, done) = oneshot::channel();
        let ask = Ask::Remove(rows, reply);
        self.requests.send(ask).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())??;
        Ok(removed)
    }
}

/// `None` if the row is damaged.
fn removal(row: &Row, known: Time) -> Option<Removal> {
    let frames = split_row(row.first, &row.frames)?;
    let (mut kept, mut groups) = (Vec::new(), Vec::new());
    for (frame, position) in frames.iter().zip(row.first.0..) {
        let position = Position(position);
        let (_, entry) = decode_entry(position, frame.bytes).ok()?;
        if let Entry::Batch { record, .. } = &entry {
            add_to_index(&mut groups, record);
        }
        if frame.is_lasting() {
            kept.push((position, frame.bytes.to_vec()));
        }
    }
    Some(Removal {
        first: row.first,
        end: Position(row.first.0 + row.count),
        known,
        kept,
        groups,
    })
}
