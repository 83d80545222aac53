//! The log: the one place where anything that can change a twin becomes durable.
//!
//! Invariants: [`Journal::append`] returns only after the entries are synced to disk; the feed delivers every
//! committed entry once, in position order, after it is durable; known time strictly increases; after a failed
//! write nothing more is appended (the store is *stopped* and says why).
//!
//! Must not know: who sends, what a twin makes of it, gRPC, MQTT.

mod entry;

pub use entry::{Committed, Content, Draft, Entry, Opened, OpenedBatch, Position, SealedText};

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use vitals::{StreamId, Time};

/// Why the journal could not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// A write failed before; nothing is taken until the centre is started again.
    #[error("the store stopped: {0}")]
    StoreStopped(Arc<str>),
    /// The store could not be read.
    #[error("reading the store failed: {0}")]
    Read(Arc<str>),
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
    /// A centre restored from a backup starts a new one.
    pub epoch: u64,
    /// Last durable entry.
    pub position: Position,
    /// Empty when the store works; else why it stopped.
    pub stopped: String,
    /// Entries whose checksum did not hold when they were read.
    pub damaged: u64,
}

/// One page of history.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Batches of the stream that may hold readings of the time asked for, in position order, opened.
    pub batches: Vec<Committed>,
    /// Ask again with this as `after`; `None` when there is no more.
    pub next: Option<Position>,
}

/// A handle on the running journal.
#[derive(Clone, Debug)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    drafts: Vec<Draft>,
    reply: oneshot::Sender<Result<Appended, JournalError>>,
}

impl Journal {
    /// Appends all drafts in order, without others between them. Returns when they are durable.
    ///
    /// # Errors
    /// [`JournalError::StoreStopped`] after a failed write; then none of the drafts may be taken as durable.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<Appended, JournalError> {
        let (reply, done) = oneshot::channel();
        let gone = || JournalError::StoreStopped("the writer ended".into());
        self.requests.send(Request { drafts, reply }).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }

    /// Position, epoch and health.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::default()
    }

    /// Batches of `stream` that may hold readings with an effective time in `from..to`, after `after`, at
    /// most `limit`. On a connection of its own: never in the way of appends.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    #[expect(clippy::unused_async, reason = "skeleton")]
    pub async fn history(
        &self,
        stream: StreamId,
        from: Time,
        to: Time,
        after: Position,
        limit: usize,
    ) -> Result<Page, JournalError> {
        let _ = (stream, from, to, after, limit);
        Ok(Page::default())
    }
}
