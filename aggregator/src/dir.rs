//! The centre's directory: where each file lies, and how private files are written.
//!
//! Invariants: folders are 0700, files with secrets 0600, and a file is replaced whole or not at all. A secret
//! that others may read is refused, with the command that mends it. Must not know: what is in the files.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why a file of the centre cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others on this machine may read a secret.
    #[error("{} holds a secret that others may read (mode {mode:03o}): run chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl DirError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// The directory given with `--dir`.
#[derive(Clone, Debug)]
pub struct CentreDir {
    root: PathBuf,
}

impl CentreDir {
    /// Names it; nothing is read.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// [`DirError::Io`].
    pub fn create(&self) -> Result<(), DirError> {
        for folder in [
            self.root.clone(),
            self.ca(),
            self.vault(),
            self.store(),
            self.operator(),
            self.run(),
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(DirError::at(&folder))?;
        }
        Ok(())
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Settings.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// CA and server certificate with their keys.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.root.join("ca")
    }

    /// Wrapped patients' keys and the key that wraps them.
    #[must_use]
    pub fn vault(&self) -> PathBuf {
        self.root.join("vault")
    }

    /// The key that signs commands, PKCS#8 DER.
    #[must_use]
    pub fn command_key(&self) -> PathBuf {
        self.root.join("command.key")
    }

    /// The secret that authenticates cursors and makes public alert ids, 32 bytes.
    #[must_use]
    pub fn serve_key(&self) -> PathBuf {
        self.root.join("serve.key")
    }

    /// The key by which push services know this centre, PKCS#8 DER; only where a channel needs it.
    #[must_use]
    pub fn push_key(&self) -> PathBuf {
        self.root.join("push.key")
    }

    /// The journal and its lock.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The journal's database.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.store().join("journal.db")
    }

    /// There while a backup is being made a centre of: without its new epoch it must not go on.
    #[must_use]
    pub fn restoring(&self) -> PathBuf {
        self.root.join("restoring")
    }

    /// The snapshots beside the journal.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.store().join("snapshots.db")
    }

    /// The history's database: made of the journal.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.store().join("history.db")
    }

    /// Locked by whoever writes the store.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.store().join("lock")
    }

    /// Certificate, key and CA of the first operator.
    #[must_use]
    pub fn operator(&self) -> PathBuf {
        self.root.join("operator")
    }

    /// What exists only while the centre runs.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Addresses, written when the centre listens.
    #[must_use]
    pub fn ready(&self) -> PathBuf {
        self.run().join("ready.json")
    }
}

/// Reads a whole file.
///
/// # Errors
/// [`DirError::Io`].
pub fn read(path: &Path) -> Result<Vec<u8>, DirError> {
    fs::read(path).map_err(DirError::at(path))
}

/// Reads a file with a secret; refuses one that group or others may read or write.
///
/// # Errors
/// [`DirError`].
pub fn read_secret(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, DirError> {
    let metadata = fs::metadata(path).map_err(DirError::at(path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DirError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    read(path).map(zeroize::Zeroizing::new)
}

/// Where a file lies; the parent of a bare name is the empty path, which cannot be opened.
fn folder_of(path: &Path) -> &Path {
    let named = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}

/// What was put into the folder, or taken out of it, stays so.
///
/// # Errors
/// [`DirError::Io`].
pub fn sync(folder: &Path) -> Result<(), DirError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(DirError::at(folder))
}

/// Writes a file of mode 0600, durable and whole: beside it first, then renamed over it.
///
/// # Errors
/// [`DirError::Io`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DirError> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder_of(path))?.sync_all()
    };
    write().map_err(DirError::at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_lies_here() {
        assert_eq!(folder_of(Path::new("out.ndjson")), Path::new("."));
        assert_eq!(folder_of(Path::new("a/b")), Path::new("a"), "control");
        assert_eq!(folder_of(Path::new("/b")), Path::new("/"));
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("key");
        write_private(&path, b"secret").expect("it is written");
        assert_eq!(
            read_secret(&path).expect("0600 is fine").as_slice(),
            b"secret"
        );
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
            let error = read_secret(&path)
                .expect_err("others may read it")
                .to_string();
            assert!(error.contains("chmod 600"), "{error}");
            assert!(!error.contains("secret\""));
        }
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("state.json");
        write_private(&path, b"long content").expect("it is written");
        write_private(&path, b"short").expect("it is written");
        assert_eq!(read(&path).expect("it is there"), b"short");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }
}
