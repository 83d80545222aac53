//! The fold's way through the log: what is durable already, read from the medium while more is appended behind it, then
//! each entry as it is committed.
//!
//! Invariants: entries come in position order, each once, none before it is durable, whether the fold keeps up or not; a
//! fold that is behind holds up no commit, and nothing waits in memory for it. Must not know: what entries mean.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::entry::{Committed, Position};
use super::medium::Medium;
use super::replay::Replay;
use super::writer::Shared;
use super::{JournalError, Keeper};

/// See the module.
pub struct Feed {
    committed: mpsc::Receiver<Committed>,
    behind: Option<Behind>,
    /// The last entry that was given.
    at: Position,
}

/// What a fold that is behind reads from.
struct Behind {
    medium: Arc<dyn Medium>,
    keeper: Arc<dyn Keeper>,
    shared: Arc<Shared>,
    /// Entries up to here may have been told to nobody.
    until: Option<Position>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// For a fold that knows everything before the first commit.
impl From<mpsc::Receiver<Committed>> for Feed {
    fn from(committed: mpsc::Receiver<Committed>) -> Self {
        Self {
            committed,
            behind: None,
            at: Position::START,
        }
    }
}

impl Feed {
    /// For a fold that knows the log up to `at`. The writer tells nobody until it has caught up.
    pub(super) fn behind(
        (committed, at): (mpsc::Receiver<Committed>, Position),
        medium: Arc<dyn Medium>,
        keeper: Arc<dyn Keeper>,
        shared: Arc<Shared>,
    ) -> Self {
        shared.nobody_listens.store(true, Ordering::SeqCst);
        Self {
            committed,
            behind: Some(Behind {
                medium,
                keeper,
                shared,
                until: None,
            }),
            at,
        }
    }

    /// Whether [`Feed::catch_up`] has something to do.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Gives what is durable until nothing is left of it: true; or until `take` has had enough: call it again then.
    ///
    /// # Errors
    /// When the medium cannot be read.
    pub fn catch_up(
        &mut self,
        mut take: impl FnMut(Committed) -> bool,
    ) -> Result<bool, JournalError> {
        while let Some(behind) = &mut self.behind {
            let durable = Position(behind.shared.position.load(Ordering::SeqCst));
            let until = behind.until.unwrap_or(durable);
            if self.at < until {
                // How far it reaches is looked up each time: it grows.
                let medium = Arc::clone(&behind.medium);
                let replay = Replay::on(medium, Arc::clone(&behind.keeper))?.quietly();
                let (mut at, mut go_on) = (self.at, true);
                replay.run_while(self.at, until.next(), |committed| {
                    at = committed.position;
                    go_on = take(committed);
                    go_on
                })?;
                // The last of them may be damaged.
                self.at = if go_on { until } else { at };
                if !go_on {
                    return Ok(false);
                }
            } else if behind.until.is_none() {
                // From here on the writer tells; what it told nobody just before is durable by now.
                behind.shared.nobody_listens.store(false, Ordering::SeqCst);
                let durable = behind.shared.position.load(Ordering::SeqCst);
                behind.until = Some(Position(durable));
            } else {
                self.behind = None;
            }
        }
        Ok(true)
    }

    /// The next entry; `None`: the writer ended. Blocks.
    pub fn blocking_recv(&mut self) -> Option<Committed> {
        loop {
            let committed = self.committed.blocking_recv()?;
            if self.is_new(&committed) {
                return Some(committed);
            }
        }
    }

    /// The next entry, if there is one.
    pub fn try_recv(&mut self) -> Option<Committed> {
        loop {
            let committed = self.committed.try_recv().ok()?;
            if self.is_new(&committed) {
                return Some(committed);
            }
        }
    }

    fn is_new(&mut self, committed: &Committed) -> bool {
        let new = committed.position > self.at;
        self.at = self.at.max(committed.position);
        new
    }
}

/// Whoever goes on without a fold is stopped: the writer notices that nobody takes what it tells.
impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(behind) = &self.behind {
            behind.shared.nobody_listens.store(false, Ordering::SeqCst);
        }
    }
}
