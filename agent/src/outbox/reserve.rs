//! Room kept for the moment when the disk is full: a file that is given up so that the store can open, drop
//! what the policy says, and go on.
//!
//! Without it a full disk is a trap: even deleting needs a little room first.
//! Invariant: the reserve is made again only where it leaves at least as much free as it takes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Bytes kept: two segments of the store.
const BYTES: u64 = 1 << 20;

/// The reserve of a folder.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// In the agent's folder. Nothing is written yet.
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            path: dir.join("outbox.reserve"),
        }
    }

    /// True if the room is there to be given up.
    pub(super) fn is_kept(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| file.len() >= BYTES)
    }

    /// Keeps the room, if `free` bytes allow it.
    pub(super) fn keep(&self, free: u64) {
        if self.is_kept() || free < 2 * BYTES {
            return;
        }
        if let Err(error) = self.fill() {
            tracing::debug!(%error, "no reserve could be kept");
            self.give_up();
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
