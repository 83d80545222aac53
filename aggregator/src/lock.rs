//! The store's lock: one writer at a time, the running centre or one command of the CLI.
//!
//! Invariant: the operating system frees the lock when the process ends, however it ends. Must not know: what is
//! written. The only file that names fs4.

use std::fs::{File, OpenOptions};
use std::path::Path;

use fs4::fs_std::FileExt;

/// Held for as long as this lives.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process writes this store.
    #[error("another vitaltwin-aggregator works on this directory")]
    Held,
    /// The lock file cannot be used.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl StoreLock {
    /// Takes the lock or says at once that somebody holds it.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io {
            path: path.display().to_string(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(io)?;
        match file.try_lock_exclusive() {
            Ok(true) => Ok(Self { _file: file }),
            Ok(false) => Err(LockError::Held),
            Err(source) => Err(io(source)),
        }
    }

    /// True while somebody works on the store. Asking makes no file and takes no lock.
    #[must_use]
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| FileExt::try_lock_shared(&file).is_ok_and(|free| !free))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("lock");
        assert!(
            !StoreLock::is_held(&path) && !path.exists(),
            "asking makes nothing"
        );
        let held = StoreLock::take(&path).expect("free");
        assert!(StoreLock::is_held(&path));
        assert!(matches!(StoreLock::take(&path), Err(LockError::Held)));
        drop(held);
        assert!(!StoreLock::is_held(&path), "a file alone is no holder");
        assert!(StoreLock::take(&path).is_ok());
    }
}
