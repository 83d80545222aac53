//! sled with its one file: opened so that it can be trusted, and one commit.
//!
//! Invariants and rules: see [`super`]. Must not know: tallies, marks, what is set aside.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

use super::super::RecordId;
use super::super::hang::within;
use super::super::ledger::Entry;
use super::super::places::Step;
use super::super::rows::{ContextRow, Row as _};
use super::super::tally::{Listed, MOST_LISTED};
use super::{
    Changes, STORE, StoreError, clock_key, context_key, parse_record_key, record_key, stream_key,
    sync_dir,
};

/// sled's page cache. The outbox writes once and reads once: a cache helps it little, and the agent has
/// 20 MiB for everything.
const CACHE_BYTES: u64 = 1 << 20;
/// How often sled's own thread turns. It syncs the whole file each time, which is a write of the file system's journal,
/// and nothing waits for it; half of its time goes into the collection of old segments, whatever the time is.
const FLUSHER_MS: u64 = 10_000;
/// Bytes of the file system that the file gets at once, before they are written: a commit that makes a file longer otherwise
/// changes the map of free blocks too, 12 KB of its own.
const AHEAD_BYTES: u64 = 1 << 20;
/// A commit of an ordinary size.
const COMMIT_BYTES: u64 = 64 << 10;
/// Where less than this is free, nothing is taken ahead.
const FREE_ENOUGH: u64 = 64 << 20;
/// Deletions in one batch: larger ones stall sled.
const MOST_REMOVED_AT_ONCE: usize = 400;
/// How often, and how long apart, a locked store is tried: two seconds in all.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// A worn card stalls for seconds; this is not coming back.
const LONGEST_COMMIT: Duration = Duration::from_secs(60);
/// How the names of snapshots end that sled still writes.
const HALF_MADE: &str = ".generating";

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) db: sled::Db,
    /// Our own handle on sled's file: what makes a commit durable.
    file: File,
    /// Up to here the file has its blocks.
    ahead: u64,
}

impl Engine {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(STORE);
        let config = sled::Config::new()
            .path(&path)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(CACHE_BYTES)
            // Keeps sled's collection of old segments going; commits do not wait for it.
            .flush_every_ms(Some(FLUSHER_MS))
            .use_compression(false);
        let mut tries = 0..LOCK_TRIES;
        let db = loop {
            let opened = clear_half_made(&path)?.then(|| config.open());
            match opened {
                Some(Ok(db)) => break db,
                Some(Err(sled::Error::Io(error))) if is_about_access(&error) => {
                    return Err(StoreError::Io(error));
                }
                Some(Err(sled::Error::Io(error))) if !is_locked(&error) => {
                    return Err(StoreError::Engine(sled::Error::Io(error)));
                }
                // sled gives its lock back some time after its last handle was dropped.
                None | Some(Err(sled::Error::Io(_))) => {
                    tries.next().ok_or(StoreError::InUse)?;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Some(Err(error)) => return Err(StoreError::Engine(error)),
            }
        };
        let file = File::options()
            .read(true)
            .write(true)
            .open(path.join("db"))
            .map_err(StoreError::Io)?;
        // `conf`, which sled never syncs, and the names of all files.
        for name in ["conf", "db"] {
            File::open(path.join(name))
                .and_then(|file| file.sync_all())
                .map_err(StoreError::Io)?;
        }
        let blobs = path.join("blobs");
        if blobs.is_dir() {
            sync_dir(&blobs).map_err(StoreError::Io)?;
        }
        sync_dir(&path).map_err(StoreError::Io)?;
        sync_dir(dir).map_err(StoreError::Io)?;
        Ok(Self { db, file, ahead: 0 })
    }

    pub(super) fn commit(&mut self, changes: &Changes, step: &Step) -> Result<(), StoreError> {
        self.take_room_ahead();
        let mut batch = sled::Batch::default();
        self.clear_in(step, &mut batch)?;
        for (ordinal, context) in &changes.contexts {
            let row = ContextRow::of(*ordinal, context);
            batch.insert(context_key(*ordinal).as_slice(), row.to_bytes());
        }
        for (id, record) in &changes.put {
            batch.insert(&record_key(b'r', *id), record.as_slice());
        }
        for id in &changes.aside {
            let key = record_key(b'r', *id);
            if let Some(record) = self.db.get(key).map_err(StoreError::Engine)? {
                batch.insert(&record_key(b'x', *id), record);
                batch.remove(&key);
            }
        }
        for (id, record) in &changes.put_aside {
            batch.insert(&record_key(b'x', *id), record.as_slice());
        }
        for (stream, row) in &changes.streams {
            batch.insert(stream_key(*stream).as_slice(), row.to_bytes());
        }
        for (of, row) in &changes.clocks {
            let key = clock_key(*of);
            match row {
                Some(row) => batch.insert(key.as_slice(), row.to_bytes()),
                None => batch.remove(key.as_slice()),
            }
        }
        batch.insert(b"m", changes.gateway.to_bytes());
        let mut removed = changes.remove.chunks(MOST_REMOVED_AT_ONCE);
        for id in removed.next().unwrap_or_default() {
            batch.remove(&record_key(b'r', *id));
        }
        self.db.apply_batch(batch).map_err(StoreError::Engine)?;
        for chunk in removed {
            let mut batch = sled::Batch::default();
            for id in chunk {
                batch.remove(&record_key(b'r', *id));
            }
            self.db.apply_batch(batch).map_err(StoreError::Engine)?;
        }
        // Last, so that a context is never gone while a record of it is left.
        if !changes.close.is_empty() {
            let mut batch = sled::Batch::default();
            for ordinal in &changes.close {
                batch.remove(context_key(*ordinal).as_slice());
            }
            self.db.apply_batch(batch).map_err(StoreError::Engine)?;
        }
        // Not in the batch: they need not come with it, and a batch of their own would cost a write of its own.
        for id in &step.make {
            let (key, nothing) = (record_key(b'r', *id), None::<&[u8]>);
            let made = self.db.compare_and_swap(key, nothing, Some(&[][..]));
            let _or_there_is_something = made.map_err(StoreError::Engine)?;
        }
        self.make_durable()
    }

    fn make_durable(&self) -> Result<(), StoreError> {
        within(LONGEST_COMMIT, "a commit of the outbox", || {
            self.db.flush().map_err(StoreError::Engine)?;
            self.file.sync_data().map_err(StoreError::Io)
        })
    }

    /// Takes away places that are still empty.
    pub(super) fn clear(&self, step: &Step) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        self.clear_in(step, &mut batch)?;
        self.db.apply_batch(batch).map_err(StoreError::Engine)?;
        self.make_durable()
    }

    fn clear_in(&self, step: &Step, batch: &mut sled::Batch) -> Result<(), StoreError> {
        for id in &step.clear {
            let key = record_key(b'r', *id);
            let value = self.db.get(key).map_err(StoreError::Engine)?;
            if value.is_some_and(|value| value.is_empty()) {
                batch.remove(&key);
            }
        }
        Ok(())
    }

    /// Gives the file its next blocks; it does not become longer by that. Where it cannot be done, a commit costs more.
    fn take_room_ahead(&mut self) {
        let Ok(length) = self.file.metadata().map(|about| about.len()) else {
            return;
        };
        // A file that became shorter gave the blocks behind its end back.
        if (self.ahead.saturating_sub(AHEAD_BYTES)..self.ahead.saturating_sub(COMMIT_BYTES))
            .contains(&length)
        {
            return;
        }
        self.ahead = length + AHEAD_BYTES;
        let free = fstatvfs(&self.file).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
        if free >= FREE_ENOUGH {
            let keep = FallocateFlags::KEEP_SIZE;
            if let Err(error) = fallocate(&self.file, keep, length, AHEAD_BYTES) {
                tracing::debug!(%error, "the outbox's file gets no blocks ahead");
            }
        }
    }

    /// All records, if they are not too many.
    pub(super) fn list(&self) -> Result<Option<BTreeMap<RecordId, Listed>>, StoreError> {
        let mut list = BTreeMap::new();
        for pair in self.db.scan_prefix(b"r") {
            let (key, value) = pair.map_err(StoreError::Engine)?;
            if let (Some(id), Ok(entry)) = (parse_record_key(&key), Entry::of(&value)) {
                list.insert(id, Listed::of(&entry));
            }
            if list.len() > MOST_LISTED {
                return Ok(None);
            }
        }
        Ok(Some(list))
    }
}

/// Takes away what a dead process left half made, because sled believes it and then does not open: of a store that was
/// being made its `conf`, of one that was being opened the snapshot (sled takes the one with the greatest name). The log
/// says all that a snapshot says, and an older one goes only when the newer is whole. False while another process has
/// the store: it may be making them.
fn clear_half_made(store: &Path) -> io::Result<bool> {
    let log = match File::open(store.join("db")) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return remove_if_there(&store.join("conf")).map(|()| true);
        }
        Err(error) => return Err(error),
    };
    if log.try_lock().is_err() {
        return Ok(false);
    }
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(HALF_MADE) {
            remove_if_there(&path)?;
        }
    }
    Ok(true)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// sled says so in the text of an error of kind `Other`.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().starts_with("could not acquire lock")
}

/// Errors that a fresh store would meet as well.
fn is_about_access(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::StorageFull
            | io::ErrorKind::ReadOnlyFilesystem
    )
}
