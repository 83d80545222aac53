//! Room kept for the moment when the disk is full: files that are given up so that the store can open, drop
//! what the policy says, and go on.
//!
//! Without them a full disk is a trap: even deleting needs a little room first, and so does opening. There are two, because a
//! commit may have used up one for good when the machine starts anew.
//! Invariant: a reserve is made again only where it leaves at least as much free as it takes; of what an opening
//! was lent, what it did not use for good is kept again at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Bytes kept: two segments of the store.
const BYTES: u64 = 1 << 20;

/// One reserve of a folder.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// For commits, in the agent's folder. Nothing is written yet.
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            path: dir.join("outbox.reserve"),
        }
    }

    /// For openings.
    pub(super) fn for_opening(dir: &Path) -> Self {
        Self {
            path: dir.join("outbox.reserve-to-open"),
        }
    }

    /// True if the room is there to be given up.
    pub(super) fn is_kept(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| file.len() >= BYTES)
    }

    /// Keeps the room, if `free` bytes allow it.
    pub(super) fn keep(&self, free: u64) {
        if !self.is_kept()
            && free >= 2 * BYTES
            && let Err(error) = self.fill()
        {
            tracing::debug!(%error, "no reserve could be kept");
            self.give_up();
        }
    }

    /// Keeps the room again that was lent a moment ago, or what is left of it.
    pub(super) fn take_back(&self) {
        if let Err(error) = self.fill() {
            tracing::debug!(%error, "not all that was lent came back");
        }
    }

    /// Gives the room up; true if there was any.
    pub(super) fn give_up(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn fill(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file: File = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.path)?;
        // Written, not only sized: a file with holes keeps nothing.
        let block = [0xA5_u8; 64 * 1024];
        for _ in 0..BYTES / block.len() as u64 {
            file.write_all(&block)?;
        }
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_only_where_there_is_enough_and_can_be_given_up_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let reserve = Reserve::of(dir.path());
        reserve.keep(BYTES);
        assert!(!reserve.is_kept());
        reserve.keep(2 * BYTES);
        assert!(reserve.is_kept());
        assert!(reserve.give_up() && !reserve.is_kept() && !reserve.give_up());
    }
}
