//! With its `engine` the only file that names sled: durable commits, reads, and a store that always opens.
//!
//! sled 0.34's `flush` is not durable on Linux (it neither syncs file metadata nor the device cache, and its
//! `conf` file is never synced). So a commit is: one batch, `flush`, then `sync_data` on a handle of our own;
//! at open everything is synced once; values stay at most 4 KiB, or sled would put them into blob files that
//! it never syncs; `flush_async` (which can deadlock) is never called. Measured by simulated power cuts: as
//! shipped, sled lost data or did not open in 29 of 30; under these rules in 0 of 480.
//!
//! Invariants: one thread owns the store ([`super::writer`]); a failed commit poisons it until it was closed and
//! opened anew, and nothing counts as durable meanwhile; a store that does not open, panics, or went back to an
//! older state is set aside, and `recover.rs` fetches from it what can be read before it may be deleted.
//! Must not know: what records mean, transports.

mod engine;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vitals::{Span, StreamId, Time};

use self::engine::Engine;
use super::RecordId;
use super::format;
use super::ledger::{Context, Entry};
use super::mark::Mark;
use super::places::{Places, Step};
use super::records::Records;
use super::recover;
use super::reserve::Reserve;
use super::rows::{ClockOf, ClockRow, ContextRow, GatewayRow, Row as _, StreamRow};
use super::tally::{Missing, Tally};
use crate::identity::{own_dir, write_atomically};

/// The store's folder inside the agent's folder.
const STORE: &str = "outbox";
/// The file with its [`Tally`], beside it.
const TALLY: &str = "outbox.tally";
/// How often the tally is renewed: flash wears out, and an older one only makes a loss less exactly known.
const TALLY_EVERY: Span = Span::from_secs(300);

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// sled or the disk.
    #[error("the outbox store failed")]
    Engine(#[source] sled::Error),
    /// The disk.
    #[error("the outbox cannot be written or read")]
    Io(#[from] io::Error),
    /// sled panicked.
    #[error("the outbox store panicked: {0}")]
    Panicked(String),
    /// Another process has it open. It is whole: it must not be set aside.
    #[error("the outbox store is in use by another process: stop the other agent of this folder")]
    InUse,
    /// It lies under the rules of a later release. It is whole: it must not be set aside.
    #[error(
        "the outbox was written by a newer release (format {found}, known here: {known}): install that release again; what waits in it is safe until then"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// A salvage reached its bounds.
    #[error("the salvage waits: {0}")]
    Waits(&'static str),
}

impl StoreError {
    /// True if there is no room on the disk.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let error = match self {
            Self::Io(error) | Self::Engine(sled::Error::Io(error)) => error,
            Self::Engine(_)
            | Self::Panicked(_)
            | Self::InUse
            | Self::Newer { .. }
            | Self::Waits(_) => return false,
        };
        error.kind() == io::ErrorKind::StorageFull || error.raw_os_error() == Some(28)
    }
}

/// What one commit changes, all or nothing (but deletions of receipted records may lag behind a crash, which
/// is harmless: the centre knows them).
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New contexts.
    pub contexts: Vec<(u64, Context)>,
    /// New records.
    pub put: Vec<(RecordId, Vec<u8>)>,
    /// Records that are receipted or dropped.
    pub remove: Vec<RecordId>,
    /// Records set aside by order of the centre, or because they are damaged.
    pub aside: Vec<RecordId>,
    /// The same for records that never were on disk.
    pub put_aside: Vec<(RecordId, Vec<u8>)>,
    /// Contexts that are over.
    pub close: Vec<u64>,
    /// Streams whose lasting state changed.
    pub streams: Vec<(StreamId, StreamRow)>,
    /// Clocks of which more is known; `None`: nothing is kept any more.
    pub clocks: BTreeMap<ClockOf, Option<ClockRow>>,
    /// The gateway's counters.
    pub gateway: GatewayRow,
}

/// What a salvage may use up at one start. What is left of it waits for the next one.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Real time; `None` = as long as it takes.
    pub time: Option<Duration>,
    /// Bytes of the disk that it leaves free.
    pub leave_free: u64,
}

impl Patience {
    /// Where a person waits for it and nothing is measured meanwhile.
    pub const BY_HAND: Self = Self {
        time: None,
        leave_free: 4 << 20,
    };
}

/// A store that opened, and what lay in it.
#[derive(Debug)]
pub struct Opened<S = Store> {
    /// The store.
    pub store: S,
    /// Contexts by place.
    pub contexts: BTreeMap<u64, Context>,
    /// Whole records, by what their stubs say.
    pub records: Records,
    /// Streams.
    pub streams: BTreeMap<StreamId, StreamRow>,
    /// What is known of devices' clocks.
    pub clocks: BTreeMap<ClockOf, ClockRow>,
    /// The gateway's counters; `None` in a fresh store.
    pub gateway: Option<GatewayRow>,
    /// Records whose checksum did not hold, or whose context is lost. They are set aside in the store.
    pub damaged: Vec<RecordId>,
    /// The store before did not open, or had lost something, and lies here now.
    pub set_aside: Option<PathBuf>,
    /// What should be here and is not: losses to declare.
    pub missing: Vec<Missing>,
    /// More may be missing than could be counted.
    pub more_may_be_missing: bool,
    /// Records that came back from the dead: they are safe elsewhere and may go.
    pub safe: Vec<RecordId>,
}

/// The store. Owned by one thread.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    engine: Option<Engine>,
    reserve: Reserve,
    /// The rows of the last commit.
    tally: Tally,
    /// When the tally was written last in this run; before that, what lies there is of the run before.
    tally_written: Option<i64>,
    mark: Mark,
    places: Places,
}

impl Store {
    /// [`Self::open_with`] the patience of a person.
    ///
    /// # Errors
    /// As there.
    pub fn open(dir: &Path, now: Time) -> Result<Opened, StoreError> {
        Self::open_with(dir, now, Patience::BY_HAND)
    }

    /// Opens the store `outbox` in the agent's folder, whatever state it is in. `now` names a folder set aside.
    ///
    /// # Errors
    /// Only if not even a fresh store can be written there.
    pub fn open_with(dir: &Path, now: Time, patience: Patience) -> Result<Opened, StoreError> {
        // The receipt keys in it must not be read by others: with one, a receipt could be made up.
        own_dir(&dir.join(STORE)).map_err(StoreError::Io)?;
        format::check(dir)?;
        let bytes = fs::read(dir.join(TALLY)).unwrap_or_default();
        let (mut beside, newest) = (Tally::from_bytes(&bytes), Mark::of(dir).read());
        let was_there = dir.join(STORE).join("db").exists();
        let mut opened = match Self::try_open(dir) {
            Ok(opened) if !was_there || opened.is_whole(beside.as_ref(), newest) => opened,
            Ok(not_whole) => {
                tracing::error!(
                    "the outbox store lost something: setting it aside and salvaging what can be read"
                );
                drop(not_whole);
                Self::fresh(dir, now)?
            }
            // Neither a folder that cannot be written nor a store in use is damage: moving would not help.
            Err(error @ (StoreError::Io(_) | StoreError::InUse | StoreError::Newer { .. })) => {
                return Err(error);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the outbox store does not open: setting it aside and salvaging what can be read"
                );
                Self::fresh(dir, now)?
            }
        };
        opened.adopt_waiting(dir, &mut beside, patience)?;
        opened.count(beside, newest);
        opened.store.tally = Tally {
            gateway: opened.gateway.clone().unwrap_or_default(),
            streams: opened.streams.clone(),
            list: None,
        };
        Ok(opened)
    }

    fn fresh(dir: &Path, now: Time) -> Result<Opened, StoreError> {
        recover::set_aside(dir, STORE, now)?;
        Self::try_open(dir)
    }

    fn try_open(dir: &Path) -> Result<Opened, StoreError> {
        guard(|| {
            let engine = open_engine(dir)?;
            let mut opened = Opened {
                store: Self {
                    dir: dir.to_owned(),
                    engine: Some(engine),
                    reserve: Reserve::of(dir),
                    tally: Tally::default(),
                    tally_written: None,
                    mark: Mark::of(dir),
                    places: Places::default(),
                },
                contexts: BTreeMap::new(),
                records: Records::default(),
                streams: BTreeMap::new(),
                clocks: BTreeMap::new(),
                gateway: None,
                damaged: Vec::new(),
                set_aside: None,
                missing: Vec::new(),
                more_may_be_missing: false,
                safe: Vec::new(),
            };
            opened.read_all()?;
            Ok(opened)
        })
    }

    /// Makes the changes durable. After an error nothing of them counts, and the store was closed: the next
    /// call opens it again first. On a full disk the reserve is given up and the commit tried once more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if self.tally_written.is_none() {
            // From here on the list of the run before is not the whole truth any more.
            self.write_tally();
        }
        let sizes = changes.put.iter();
        let sizes = sizes.map(|(id, record)| (*id, record.len()));
        let step = self.places.step(sizes, changes.close.iter());
        match self.try_step(changes, &step) {
            Err(error) if error.is_disk_full() && self.reserve.give_up() => {
                tracing::warn!("the disk is full: the outbox gives up its reserve");
                self.try_step(changes, &step)?;
            }
            result => result?,
        }
        self.places.done(step);
        self.mark.write(changes.gateway.commits);
        self.tally.gateway.clone_from(&changes.gateway);
        self.tally.streams.extend(changes.streams.iter().cloned());
        let age = self.tally.gateway.committed_at_us - self.tally_written.unwrap_or(0);
        if age >= TALLY_EVERY.as_micros() {
            self.write_tally();
        }
        Ok(())
    }

    /// The end of a run: if it was a clean one, the tally gets its list. Nothing may be committed after it. While
    /// records wait to be salvaged nothing is listed: they would be missing in it.
    pub fn finish(&mut self) {
        let places = self.places.end();
        if !places.clear.is_empty() && guard(|| self.engine()?.clear(&places)).is_err() {
            // The next run finds them.
            self.close();
        }
        if !self.tally.gateway.clean || recover::is_waiting(&self.dir) {
            return;
        }
        let listed = guard(|| self.engine()?.list());
        self.tally.list = listed.unwrap_or_default();
        self.write_tally();
    }

    fn write_tally(&mut self) {
        self.tally_written = Some(self.tally.gateway.committed_at_us);
        put_tally(&self.dir, &self.tally);
    }

    /// One try, without any account of it beside the store, and leaving the reserve alone.
    pub(super) fn try_commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.try_step(changes, &Step::default())
    }

    fn try_step(&mut self, changes: &Changes, step: &Step) -> Result<(), StoreError> {
        let result = guard(|| self.engine()?.commit(changes, step));
        if result.is_err() {
            self.close();
        }
        result
    }

    /// The bytes of records; those that are missing or damaged are left out.
    ///
    /// # Errors
    /// [`StoreError`]; the store was closed.
    pub fn load(&mut self, ids: &[RecordId]) -> Result<Vec<(RecordId, Vec<u8>)>, StoreError> {
        let result = guard(|| {
            let db = &self.engine()?.db;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let value = db.get(record_key(b'r', *id)).map_err(StoreError::Engine)?;
                if let Some(value) = value.filter(|value| Entry::of(value).is_ok()) {
                    found.push((*id, value.to_vec()));
                }
            }
            Ok(found)
        });
        if result.is_err() {
            self.close();
        }
        result
    }

    /// True if there is a record at this place.
    pub(super) fn has(&mut self, id: RecordId) -> Result<bool, StoreError> {
        guard(|| {
            let db = &self.engine()?.db;
            let value = db.get(record_key(b'r', id));
            let value = value.map_err(StoreError::Engine)?;
            Ok(value.is_some_and(|value| !value.is_empty()))
        })
    }

    /// Records of this run whose key was put ahead of them (`places.rs`).
    #[must_use]
    pub const fn places_taken(&self) -> u64 {
        self.places.taken()
    }

    /// Bytes that are free where the store lies; 0 while even the reserve is spent.
    #[must_use]
    pub fn free(&self) -> u64 {
        let free = || fs4::available_space(&self.dir).unwrap_or(u64::MAX);
        self.reserve.keep(free());
        Reserve::for_opening(&self.dir).keep(free());
        if self.reserve.is_kept() { free() } else { 0 }
    }

    fn engine(&mut self) -> Result<&mut Engine, StoreError> {
        if self.engine.is_none() {
            self.engine = Some(open_engine(&self.dir)?);
        }
        Ok(self.engine.as_mut().expect("opened just before"))
    }

    /// Dropping sled after an error can panic again: that must not end the writer.
    fn close(&mut self) {
        let engine = self.engine.take();
        let _already_failed = catch_unwind(AssertUnwindSafe(|| drop(engine)));
    }
}

/// sled writes when it opens, too. On a full disk it is lent the room that is kept for that.
fn open_engine(dir: &Path) -> Result<Engine, StoreError> {
    let reserve = Reserve::for_opening(dir);
    match Engine::open(dir) {
        Err(error) if error.is_disk_full() && reserve.give_up() => {
            tracing::warn!("the disk is full: the outbox opens with the room that is kept for it");
            let engine = Engine::open(dir);
            reserve.take_back();
            engine
        }
        result => result,
    }
}

impl Opened {
    pub(super) fn read_all(&mut self) -> Result<(), StoreError> {
        let db = self.store.engine()?.db.clone();
        self.contexts.clear();
        self.records.clear();
        self.damaged.clear();
        for pair in db.scan_prefix(b"c") {
            let (_, value) = pair.map_err(StoreError::Engine)?;
            let Some(row) = ContextRow::from_bytes(&value) else {
                continue;
            };
            let ordinal = row.ordinal;
            if let Some(context) = row.context() {
                self.contexts.insert(ordinal, context);
            }
        }
        for pair in db.scan_prefix(b"s") {
            let (_, value) = pair.map_err(StoreError::Engine)?;
            let row = StreamRow::from_bytes(&value);
            if let Some((row, stream)) =
                row.and_then(|row| StreamId::from_slice(&row.stream).map(|stream| (row, stream)))
            {
                self.streams.insert(stream, row);
            }
        }
        for pair in db.scan_prefix(b"k") {
            let (_, value) = pair.map_err(StoreError::Engine)?;
            let row = ClockRow::from_bytes(&value);
            if let Some((row, of)) = row.and_then(|row| row.of().map(|of| (row, of))) {
                self.clocks.insert(of, row);
            }
        }
        let gateway = db.get(b"m").map_err(StoreError::Engine)?;
        self.gateway = gateway.and_then(|value| GatewayRow::from_bytes(&value));
        let mut left = Vec::new();
        for pair in db.scan_prefix(b"r") {
            let (key, value) = pair.map_err(StoreError::Engine)?;
            let Some(id) = parse_record_key(&key) else {
                continue;
            };
            if value.is_empty() {
                left.push(id);
                continue;
            }
            // sled looks at the size of its cache when a page of one of 256 shards was asked for 64 times: a walk that asks once for
            // each of ten thousand pages would leave all of them in memory.
            let _seen = db.get(&key).map_err(StoreError::Engine)?;
            match (Entry::of(&value), self.contexts.get(&id.ordinal)) {
                (Ok(entry), Some(context)) if is_its_own(id, &entry, context) => {
                    self.records.insert(id, entry);
                }
                _ => self.damaged.push(id),
            }
        }
        self.store.places = Places::left(left);
        Ok(())
    }
}

/// Puts the tally beside the store. Failing is no loss, but a stale one would count wrong: it goes.
pub(super) fn put_tally(dir: &Path, tally: &Tally) {
    if let Err(error) = write_atomically(dir, TALLY, &tally.to_bytes()) {
        tracing::debug!(%error, "the outbox's tally could not be written");
        let _there_or_not = fs::remove_file(dir.join(TALLY));
    }
}

/// The record is the one that its key says.
fn is_its_own(id: RecordId, entry: &Entry, context: &Context) -> bool {
    let stub = entry.stub;
    stub.number == id.number && stub.context == context.id && stub.stream == context.stream
}

/// Runs what may panic inside sled; a panic is an error like another.
fn guard<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(StoreError::Panicked(text.unwrap_or("no text").to_owned()))
    })
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn record_key(kind: u8, id: RecordId) -> [u8; 17] {
    let mut key = [kind; 17];
    key[1..9].copy_from_slice(&id.ordinal.to_be_bytes());
    key[9..].copy_from_slice(&id.number.to_be_bytes());
    key
}

fn parse_record_key(key: &[u8]) -> Option<RecordId> {
    let (ordinal, number) = key.get(1..)?.split_first_chunk::<8>()?;
    Some(RecordId {
        ordinal: u64::from_be_bytes(*ordinal),
        number: u64::from_be_bytes(number.try_into().ok()?),
    })
}

fn context_key(ordinal: u64) -> Vec<u8> {
    [b"c".as_slice(), &ordinal.to_be_bytes()].concat()
}

fn stream_key(stream: StreamId) -> Vec<u8> {
    [b"s".as_slice(), &stream.0].concat()
}

fn clock_key((stream, source): ClockOf) -> Vec<u8> {
    [b"k".as_slice(), &stream.0, &source.to_be_bytes()].concat()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proto::seal::{KeyId, Label, Lane, NewContext, PatientSecret, Sealer, SigningKey, Suite};
    use proto::v1::BatchBody;
    use std::collections::BTreeSet;
    use std::io::Write as _;
    use std::process::Command;
    use std::sync::Arc;
    use tokio::sync::mpsc;
    use vitals::GatewayId;

    use super::super::writer::{Done, Job, Writer};

    pub(in super::super) struct Bench {
        pub(in super::super) dir: tempfile::TempDir,
        sealer: Sealer,
        pub(in super::super) context: Context,
    }

    pub(in super::super) fn bench() -> Bench {
        let pkcs8 = SigningKey::generate_pkcs8();
        let key = SigningKey::from_pkcs8(&pkcs8).expect("just generated");
        let new = NewContext {
            suite: Suite::for_this_cpu(),
            key_id: KeyId([1; 8]),
            public_key: PatientSecret::generate().public(),
            stream: StreamId([2; 16]),
            predecessor: None,
            gateway: GatewayId::parse("g-1").expect("a gateway id"),
            opened_at: Time::ZERO,
        };
        let (header, sealer) = Sealer::open_context(new, &key).expect("a good key");
        let context = Context {
            id: sealer.context(),
            stream: sealer.stream(),
            header,
            chain: vec![vec![5; 700]],
            receipt_key: sealer.receipt_key().clone(),
        };
        let dir = tempfile::tempdir().expect("a folder");
        Bench {
            dir,
            sealer,
            context,
        }
    }

    impl Bench {
        pub(in super::super) fn open(&self) -> Opened {
            Store::open(self.dir.path(), Time::from_micros(77)).expect("always opens")
        }

        pub(in super::super) fn records(&mut self, count: u64) -> Vec<(RecordId, Vec<u8>)> {
            (0..count)
                .map(|_| {
                    let number = self.sealer.next_number();
                    let label = Label {
                        number,
                        lane: Lane::Vitals,
                        source: 1,
                        count: 3,
                        oldest: Time::ZERO,
                        newest: Time::ZERO,
                    };
                    let record = self.sealer.seal(&label, &BatchBody::default());
                    (id(number), record.expect("fits"))
                })
                .collect()
        }

        pub(in super::super) fn first_commit(&mut self, count: u64) -> Changes {
            Changes {
                contexts: vec![(1, self.context.clone())],
                put: self.records(count),
                streams: vec![(
                    self.context.stream,
                    StreamRow {
                        stream: self.context.stream.0.to_vec(),
                        readings_decoded: 3 * count,
                        ..StreamRow::default()
                    },
                )],
                ..Changes::default()
            }
        }

        fn store_file(&self) -> PathBuf {
            self.dir.path().join(STORE).join("db")
        }
    }

    pub(in super::super) fn id(number: u64) -> RecordId {
        RecordId { ordinal: 1, number }
    }

    #[test]
    fn what_was_committed_is_there_after_reopening() {
        let mut bench = bench();
        let changes = bench.first_commit(1000);
        let mut opened = bench.open();
        opened.store.commit(&changes).expect("committed");
        let gone = Changes {
            remove: (1..=600).map(id).collect(),
            aside: vec![id(601)],
            gateway: GatewayRow {
                readings_decoded: 9,
                ..GatewayRow::default()
            },
            ..Changes::default()
        };
        opened.store.commit(&gone).expect("committed");
        drop(opened);
        let mut opened = bench.open();
        assert!(opened.set_aside.is_none() && opened.damaged.is_empty());
        let numbers: Vec<u64> = opened.records.iter().map(|(id, _)| id.number).collect();
        assert_eq!(numbers, (602..=1000).collect::<Vec<_>>());
        assert_eq!(
            opened.gateway.as_ref().map(|row| row.readings_decoded),
            Some(9)
        );
        assert_eq!(opened.streams[&bench.context.stream].readings_decoded, 3000);
        assert_eq!(opened.contexts[&1].header, bench.context.header);
        let loaded = opened.store.load(&[id(5), id(700)]).expect("readable");
        assert_eq!(loaded, [changes.put[699].clone()]);
    }

    #[test]
    fn a_process_that_dies_keeps_its_commits() {
        let mut bench = bench();
        let changes = bench.first_commit(50);
        let mut opened = bench.open();
        opened.store.commit(&changes).expect("committed");
        // A dead process runs no destructor; its files are copied away as they are.
        let copy = tempfile::tempdir().expect("a folder");
        let store = copy.path().join(STORE);
        fs::create_dir_all(&store).expect("created");
        for name in ["db", "conf"] {
            let from = bench.dir.path().join(STORE).join(name);
            fs::copy(from, store.join(name)).expect("copied");
        }
        let after = Store::open(copy.path(), Time::ZERO).expect("opens");
        assert!(after.set_aside.is_none());
        assert_eq!(after.records.len(), 50);
    }

    #[test]
    fn records_stay_inline_so_that_syncing_one_file_is_enough() {
        let mut bench = bench();
        let mut changes = bench.first_commit(1);
        let body = vec![0xA5; proto::seal::MAX_BODY];
        for number in 2..400 {
            let label = Label {
                number,
                lane: Lane::Waveform,
                source: 1,
                count: 1,
                oldest: Time::ZERO,
                newest: Time::ZERO,
            };
            let record = bench.sealer.seal_encoded(&label, &body).expect("fits");
            changes.put.push((id(number), record));
        }
        bench.open().store.commit(&changes).expect("committed");
        let blobs = bench.dir.path().join(STORE).join("blobs");
        let count = fs::read_dir(blobs).map_or(0, Iterator::count);
        assert_eq!(count, 0, "a blob file would not be synced");
    }

    #[test]
    fn a_growing_backlog_is_written_about_once_and_its_places_are_no_records() {
        let mut bench = bench();
        let mut opened = bench.open();
        let first = bench.first_commit(1);
        opened.store.commit(&first).expect("committed");
        let body: Vec<u8> = (0..2000_u32)
            .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap_or(0))
            .collect();
        let mut sealed = 0;
        for number in 2..=100 {
            let label = Label {
                number,
                lane: Lane::Waveform,
                source: 1,
                count: 1,
                oldest: Time::ZERO,
                newest: Time::ZERO,
            };
            let record = bench.sealer.seal_encoded(&label, &body).expect("fits");
            sealed += record.len() as u64;
            let changes = Changes {
                put: vec![(id(number), record)],
                ..Changes::default()
            };
            opened.store.commit(&changes).expect("committed");
        }
        // The file is still what was appended: nothing in it was given free and used again.
        let length = fs::metadata(bench.store_file()).expect("there").len();
        assert!(length < 2 * sealed, "{length} for {sealed}");
        assert!(!opened.store.has(id(101)).expect("readable"), "a place");
        drop(opened);
        let mut again = bench.open();
        assert_eq!((again.records.len(), again.damaged.len()), (100, 0));
        let keys = |opened: &mut Opened| {
            let db = &opened.store.engine().expect("open").db;
            db.scan_prefix(b"r").count()
        };
        assert!(keys(&mut again) > 100, "they were left");
        again.store.commit(&Changes::default()).expect("committed");
        assert_eq!(keys(&mut again), 100, "and are cleared by the next run");
    }

    /// A disk of six mebibytes; `None` where none can be mounted.
    struct SmallDisk(tempfile::TempDir);

    impl SmallDisk {
        fn mount() -> Option<Self> {
            let dir = tempfile::tempdir().expect("a folder");
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]);
            match mount.arg(dir.path()).output() {
                Ok(output) if output.status.success() => Some(Self(dir)),
                Ok(output) => {
                    let why = String::from_utf8_lossy(&output.stderr).into_owned();
                    println!("skipped: no small disk can be mounted ({})", why.trim());
                    None
                }
                Err(error) => {
                    println!("skipped: no small disk can be mounted ({error})");
                    None
                }
            }
        }

        /// Somebody else takes every octet that is free.
        fn fill(&self, name: &str) {
            let mut file = File::create(self.0.path().join(name)).expect("an entry needs no room");
            while file.write_all(&[0x5A; 512]).is_ok() {}
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let mut umount = Command::new("umount");
            let ended = umount.args(["--lazy"]).arg(self.0.path()).status();
            assert!(ended.is_ok_and(|ended| ended.success()), "not unmounted");
        }
    }

    #[test]
    fn a_store_opens_on_a_full_disk_again_and_again() {
        let Some(disk) = SmallDisk::mount() else {
            return;
        };
        let mut bench = bench();
        let dir = disk.0.path().join("gateway");
        own_dir(&dir).expect("made");
        let first = bench.first_commit(50);
        let mut opened = Store::open(&dir, Time::ZERO).expect("opened");
        opened.store.commit(&first).expect("committed");
        assert!(opened.store.free() > 0, "both reserves are kept");
        disk.fill("others");
        // A commit gives the first reserve up, and somebody else takes that, too.
        opened.store.reserve.give_up();
        disk.fill("more of others");
        drop(opened);
        for round in 1..=20 {
            let mut opened = Store::open(&dir, Time::ZERO).unwrap_or_else(|error| {
                panic!(
                    "round {round}: {error}, {:?}",
                    std::error::Error::source(&error)
                )
            });
            assert_eq!(opened.records.len(), 50, "round {round}");
            assert_eq!(opened.store.free(), 0, "round {round}: it knows");
            // Whatever a process writes until it is killed: the room to open with is not among it.
            let _may_find_no_room = opened.store.commit(&Changes::default());
            drop(opened);
            disk.fill(&format!("round {round}"));
        }
        // The control: without that room it does not open.
        assert!(Reserve::for_opening(&dir).give_up(), "still kept");
        disk.fill("the last of it");
        let error = Store::open(&dir, Time::ZERO).expect_err("no room");
        assert!(error.is_disk_full(), "{error}");
        fs::remove_file(disk.0.path().join("others")).expect("room");
        let opened = Store::open(&dir, Time::ZERO).expect("opened");
        assert_eq!((opened.records.len(), opened.set_aside), (50, None));
    }

    #[test]
    fn a_store_that_does_not_open_is_set_aside_and_salvaged() {
        let mut bench = bench();
        let changes = bench.first_commit(200);
        bench.open().store.commit(&changes).expect("committed");
        // The control: undamaged, it opens with all records and nothing is set aside.
        let control = bench.open();
        assert_eq!(
            (control.records.len(), control.set_aside.clone()),
            (200, None)
        );
        drop(control);
        let conf = bench.dir.path().join(STORE).join("conf");
        fs::write(&conf, b"rubbish, and more than eight bytes of it").expect("written");
        let opened = bench.open();
        let aside = opened.set_aside.clone().expect("set aside");
        assert_eq!(aside, bench.dir.path().join("corrupt-77"));
        let folder = fs::metadata(bench.dir.path().join(STORE)).expect("a fresh one");
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&folder.permissions()) & 0o077,
            0
        );
        assert!(aside.join("db").exists(), "never deleted");
        assert_eq!(opened.records.len(), 200, "all could be read");
        assert_eq!(opened.contexts[&1].id, bench.context.id);
        assert_eq!(opened.streams.len(), 1);
        drop(opened);
        // And the fresh store is an ordinary one.
        let again = bench.open();
        assert_eq!((again.records.len(), again.set_aside.clone()), (200, None));
    }

    #[test]
    fn what_a_dead_process_left_half_made_is_not_believed() {
        let mut bench = bench();
        let changes = bench.first_commit(200);
        bench.open().store.commit(&changes).expect("committed");
        let half = bench
            .dir
            .path()
            .join(STORE)
            .join("snap.7FFFFFFFFFFFFFFF.generating");
        fs::write(&half, b"half of one").expect("written");
        let opened = bench.open();
        assert_eq!(
            (opened.records.len(), opened.set_aside.clone()),
            (200, None)
        );
        // Whoever finds the store in use takes nothing away from its owner.
        fs::write(&half, b"being made").expect("written");
        assert!(matches!(
            Store::open(bench.dir.path(), Time::ZERO),
            Err(StoreError::InUse)
        ));
        assert!(half.exists());
    }

    #[test]
    fn a_store_in_use_is_never_set_aside() {
        let bench = bench();
        let first = bench.open();
        let second = Store::open(bench.dir.path(), Time::ZERO);
        assert!(matches!(second, Err(StoreError::InUse)));
        assert!(first.store.engine.is_some());
    }

    #[test]
    fn flipped_bits_are_found_and_the_rest_survives() {
        let mut bench = bench();
        let changes = bench.first_commit(100);
        bench.open().store.commit(&changes).expect("committed");
        let mut bytes = fs::read(bench.store_file()).expect("readable");
        // One bit in the ciphertext of record 40, wherever copies of it lie.
        let needle = &changes.put[39].1[60..90];
        let places: BTreeSet<usize> = bytes
            .windows(needle.len())
            .enumerate()
            .filter(|(_, window)| *window == needle)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at] ^= 0x10;
        }
        fs::write(bench.store_file(), bytes).expect("written");
        let opened = bench.open();
        assert!(
            !opened.records.contains(id(40)),
            "never sent as if it were whole"
        );
        // sled's own checksum covers a page: it either lost that page, or we found the record damaged.
        assert!(
            opened.set_aside.is_some() || !opened.damaged.is_empty() || opened.records.len() < 100
        );
        for (id, entry) in opened.records.iter() {
            let number = usize::try_from(id.number).expect("small");
            let whole = Entry::of(&changes.put[number - 1].1).expect("whole");
            assert_eq!(entry, whole);
        }
    }

    #[test]
    fn a_failed_commit_poisons_until_the_store_opens_again() {
        let mut bench = bench();
        let changes = bench.first_commit(3);
        let mut store = bench.open().store;
        store.close();
        // A file where the folder should be: opening fails, so nothing counts as durable.
        let path = bench.dir.path().join(STORE);
        fs::rename(&path, bench.dir.path().join("away")).expect("moved");
        fs::write(&path, b"").expect("written");
        assert!(store.commit(&changes).is_err());
        assert!(store.commit(&changes).is_err());
        fs::remove_file(&path).expect("removed");
        fs::rename(bench.dir.path().join("away"), &path).expect("moved");
        store
            .commit(&changes)
            .expect("the same changes, given again");
        drop(store);
        assert_eq!(bench.open().records.len(), 3);
    }

    #[test]
    fn the_writer_answers_in_order_and_ends_with_its_jobs() {
        let mut bench = bench();
        let changes = bench.first_commit(5);
        let (jobs, jobs_rx) = mpsc::channel(4);
        let (done_tx, mut done) = mpsc::channel(4);
        let writer = Writer::new(bench.open().store, jobs_rx, done_tx);
        let thread = std::thread::spawn(move || writer.run());
        jobs.blocking_send(Job::Commit(Arc::new(changes)))
            .expect("runs");
        jobs.blocking_send(Job::Load(vec![id(2), id(9)]))
            .expect("runs");
        drop(jobs);
        assert!(matches!(
            done.blocking_recv(),
            Some(Done::Committed { result: Ok(()), .. })
        ));
        assert!(matches!(done.blocking_recv(), Some(Done::Loaded(Ok(found))) if found.len() == 1));
        assert!(done.blocking_recv().is_none());
        thread.join().expect("no panic");
    }
}
