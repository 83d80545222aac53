//! The thread that owns the store: takes jobs in order, answers each, and ends when there are no more.
//!
//! Invariants: both queues are bounded by who makes them; every job is answered, in its order. Must not know: what
//! records mean, transports.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::RecordId;
use super::store::{Changes, Store, StoreError};

/// What the core asks of the writer.
#[derive(Debug)]
pub enum Job {
    /// Make these changes durable.
    Commit(Arc<Changes>),
    /// Read these records.
    Load(Vec<RecordId>),
}

/// What the writer answers, in the order of the jobs.
#[derive(Debug)]
pub enum Done {
    /// Durable, or why not.
    Committed {
        /// The outcome. After an error the changes must be given again.
        result: Result<(), StoreError>,
        /// Bytes that are free where it lies; 0 while even the reserve is spent.
        free: u64,
    },
    /// The records asked for that are there and whole.
    Loaded(Result<Vec<(RecordId, Vec<u8>)>, StoreError>),
}

/// The thread that owns the store. Ends when the core drops its end of the jobs, everything before that done.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    jobs: mpsc::Receiver<Job>,
    done: mpsc::Sender<Done>,
}

impl Writer {
    /// A writer, not yet running.
    #[must_use]
    pub const fn new(store: Store, jobs: mpsc::Receiver<Job>, done: mpsc::Sender<Done>) -> Self {
        Self { store, jobs, done }
    }

    /// Works until the jobs end. Call it on a thread of its own: it blocks.
    pub fn run(mut self) {
        while let Some(job) = self.jobs.blocking_recv() {
            let done = match job {
                Job::Commit(changes) => {
                    let result = self.store.commit(&changes);
                    let free = self.store.free();
                    Done::Committed { result, free }
                }
                Job::Load(ids) => Done::Loaded(self.store.load(&ids)),
            };
            if self.done.blocking_send(done).is_err() {
                return;
            }
        }
        self.store.finish();
    }
}
