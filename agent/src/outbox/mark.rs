//! The number of the newest commit, in a file of twelve bytes beside the store.
//!
//! Where sled's log is damaged, sled goes back to an older state, whole in itself, and says nothing: only what lies
//! outside of it can tell. The file is written in place after each commit and never synced, so it costs the flash
//! one page each time the kernel writes back, about twice a minute. A dead process loses nothing of it.
//! Invariant: after a power cut it may be older than the store, never newer, so it never cries wolf.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use proto::seal::record::checksum;

/// The number, big-endian, and its CRC-32C.
const SIZE: usize = 8 + 4;

/// The mark of a folder.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    file: Option<File>,
}

impl Mark {
    /// In the agent's folder. Nothing is written yet.
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            path: dir.join("outbox.mark"),
            file: None,
        }
    }

    /// The number of the newest commit as far as it is known; 0 = unknown.
    pub(super) fn read(&self) -> u64 {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let parts = bytes.split_first_chunk::<8>();
        let whole = parts.filter(|(number, sum)| checksum(*number) == **sum);
        whole.map_or(0, |(number, _)| u64::from_be_bytes(*number))
    }

    /// Notes a commit that is durable. Failing is no loss: a loss is found a little later, or not at all.
    pub(super) fn write(&mut self, commit: u64) {
        if let Err(error) = self.try_write(commit) {
            self.file = None;
            tracing::debug!(%error, "the number of the newest commit could not be noted");
        }
    }

    fn try_write(&mut self, commit: u64) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&self.path)?,
        };
        let number = commit.to_be_bytes();
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&number);
        bytes[8..].copy_from_slice(&checksum(&number));
        self.file.insert(file).write_all_at(&bytes, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_number_is_read_and_a_damaged_one_is_unknown() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut mark = Mark::of(dir.path());
        assert_eq!(mark.read(), 0);
        mark.write(7);
        mark.write(8);
        assert_eq!(Mark::of(dir.path()).read(), 8);
        let path = dir.path().join("outbox.mark");
        for bit in 0..SIZE * 8 {
            let mut bytes = fs::read(&path).expect("there");
            bytes[bit / 8] ^= 1 << (bit % 8);
            let other = tempfile::tempdir().expect("a folder");
            fs::write(other.path().join("outbox.mark"), bytes).expect("written");
            assert_eq!(Mark::of(other.path()).read(), 0, "bit {bit}");
        }
    }
}
