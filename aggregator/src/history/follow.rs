//! The thread that makes the history: reads the journal, keeps the tail, writes and merges blocks.
//!
//! Each flush writes the tail as one young block per patient, together with what was seen and how far the journal was
//! read, in one transaction: before it, the next start reads that part of the journal again; after it, never. Young
//! blocks of a patient are merged by [`FAN`], thrice, or earlier once they are [`FULL`].
//!
//! Must not know: who asks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use proto::wire;
use vitals::{ContextId, Fixed, PatientId, Reading, Span, Time, Value};

use super::block::{Batch, Block, Flags, Origin, Point, Stamp, UNKNOWN};
use super::rollup::{self, Width};
use super::seen::Seen;
use super::store::{NewBlock, Part, Row, Store};
use super::{Begins, HistoryError, Reached, Shared, minute, purpose};
use crate::journal::{Committed, Content, Journal, Opened, OpenedBatch, Position};

/// The tail is written when it holds so many readings (about 20 MiB)...
const TAIL_READINGS: usize = 250_000;
/// ...or when its first one lies in it for so long.
const TAIL_AGE: Duration = Duration::from_secs(600);
/// The journal is looked at so often when nobody asks.
const LOOK: Duration = Duration::from_secs(1);
/// ...or when so many entries were read since, whatever they hold: a start reads them again.
const ENTRIES: u64 = 100_000;
/// Contexts whose numbers are kept in memory between flushes: about 300 bytes each.
const CONTEXTS: usize = 50_000;
/// Young blocks of a patient and level that are merged into one.
const FAN: usize = 16;
/// A block of so many readings grows no more.
const FULL: usize = 32_768;
/// The level of a block that grows no more.
const GROWN: u32 = 3;
/// Merged blocks in one transaction.
const MERGES: usize = 64;
/// Old blocks removed in one transaction.
const REMOVED: u32 = 64;
const PURPOSE_SEEN: &str = "history seen";

/// What was read of the journal and lies in no block yet.
#[derive(Debug)]
pub(super) struct Tail {
    /// Up to here it lies in blocks.
    pub(super) covered: u64,
    pub(super) patients: BTreeMap<PatientId, Arc<Block>>,
}

impl Tail {
    pub(super) const fn after(covered: u64) -> Self {
        Self {
            covered,
            patients: BTreeMap::new(),
        }
    }
}

/// What came of a context, and whether that is on disk.
struct Known {
    patient: PatientId,
    seen: Seen,
    changed: bool,
}

/// Reads the journal.
pub(super) struct Follower {
    journal: Journal,
    begins: Arc<Begins>,
    keeper: Keeper,
}

/// Keeps the tail and writes blocks, whoever brings the readings.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    store: Store,
    /// Read up to here.
    read: u64,
    /// Readings in the tail.
    readings: usize,
    /// When the first of them came.
    since: Option<Instant>,
    contexts: HashMap<ContextId, Known>,
    /// Blocks that do not open: left alone.
    damaged: HashSet<i64>,
}

impl Follower {
    pub(super) const fn new(keeper: Keeper, journal: Journal, begins: Arc<Begins>) -> Self {
        Self {
            journal,
            begins,
            keeper,
        }
    }

    /// Until it is asked to stop, or something fails.
    pub(super) fn run(mut self) {
        while self.wait() {
            // What is half done lies in memory alone: the next start reads it again.
            let followed = catch_unwind(AssertUnwindSafe(|| self.follow()));
            let why: Arc<str> = match followed {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string().into(),
                Err(_) => "it panicked: report it to the makers".into(),
            };
            tracing::error!(%why, "the history stopped");
            self.keeper.shared.call().failed = Some(why);
            return;
        }
    }

    /// Until there is something to do; `false`: stop.
    fn wait(&self) -> bool {
        let shared = &self.keeper.shared;
        let idle = |call: &mut super::Call| !call.read && !call.stop;
        let waited = shared.called.wait_timeout_while(shared.call(), LOOK, idle);
        let (mut call, _) = waited.unwrap_or_else(PoisonError::into_inner);
        call.read = false;
        !call.stop
    }

    fn follow(&mut self) -> Result<(), HistoryError> {
        let (write, remove_below) = {
            let mut call = self.keeper.shared.call();
            (std::mem::take(&mut call.write), call.remove_below.take())
        };
        if let Some(below) = remove_below {
            self.keeper.remove_before(below)?;
        }
        loop {
            let read = self.keeper.read;
            let (entries, next) = self.journal.read(Position(read + 1))?;
            let all_read = next.0 <= read + 1;
            for committed in &entries {
                self.take(committed)?;
            }
            self.keeper.read = read.max(next.0.saturating_sub(1));
            self.keeper.tell();
            if self.keeper.is_due() || (all_read && write) {
                self.keeper.flush()?;
            }
            if all_read || self.keeper.shared.call().stop {
                return Ok(());
            }
        }
    }

    fn take(&mut self, committed: &Committed) -> Result<(), HistoryError> {
        let Some(Opened::Batch(batch)) = committed.body.as_deref() else {
            return Ok(());
        };
        let Content::Body(body) = &batch.content else {
            return Ok(());
        };
        if body.columns.is_empty() {
            return Ok(());
        }
        let Ok(content) = wire::decode_body(batch.source, batch.number, body) else {
            return Ok(());
        };
        let begin = (self.begins)(batch.stream);
        let known = self.keeper.known(batch)?;
        let new = known
            .seen
            .admit(batch.number, &content.supersedes, &content.readings);
        known.changed = true;
        let Some(received) = new.iter().map(|reading| reading.received).max() else {
            return Ok(());
        };
        let of = Batch {
            position: committed.position.0,
            known: millis(committed.known),
            received: millis(received),
            origin: Origin {
                stream: batch.stream,
                source: batch.source,
            },
        };
        let aside = |reading: &Reading| begin.is_none_or(|begin| reading.effective < begin);
        let points = new.iter().map(|reading| point(reading, aside(reading)));
        self.keeper.put(&batch.patient, of, points.collect());
        Ok(())
    }
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, store: Store, covered: u64) -> Self {
        Self {
            shared,
            store,
            read: covered,
            readings: 0,
            since: None,
            contexts: HashMap::new(),
            damaged: HashSet::new(),
        }
    }

    fn tell(&self) {
        let covered = self.shared.tail().covered;
        let reached = Reached {
            read: self.read,
            covered,
        };
        self.shared
            .reached
            .send_if_modified(|before| std::mem::replace(before, reached) != reached);
    }

    /// The tail has grown, or waited, for long enough.
    fn is_due(&self) -> bool {
        self.readings >= TAIL_READINGS
            || self.contexts.len() >= CONTEXTS
            || self.since.is_some_and(|since| since.elapsed() >= TAIL_AGE)
            || self.read - self.shared.tail().covered >= ENTRIES
    }

    /// In steps: who asks about the past looks again where a block is gone.
    fn remove_before(&mut self, below: u64) -> Result<(), HistoryError> {
        let (mut blocks, mut readings) = (0, 0);
        loop {
            let (gone, lost) = self.store.remove_before(below, REMOVED)?;
            blocks += gone;
            readings += lost;
            if gone < u64::from(REMOVED) || self.shared.call().stop {
                break;
            }
        }
        if blocks > 0 {
            tracing::info!(blocks, readings, "old blocks of the history removed");
        }
        Ok(())
    }

    /// Adds new readings of one batch to the tail.
    pub(super) fn put(&mut self, patient: &PatientId, batch: Batch, points: Vec<Point>) {
        self.readings += points.len();
        self.since.get_or_insert_with(Instant::now);
        let mut tail = self.shared.tail();
        let block = tail.patients.entry(patient.clone()).or_default();
        Arc::make_mut(block).push(batch, points);
    }

    /// Adds readings that come from no journal, and writes blocks when that is due.
    pub(super) fn fill(
        &mut self,
        patient: &PatientId,
        batch: Batch,
        points: Vec<Point>,
    ) -> Result<(), HistoryError> {
        self.read = self.read.max(batch.position);
        self.put(patient, batch, points);
        if self.readings >= TAIL_READINGS {
            self.flush()?;
        }
        Ok(())
    }

    /// What came of the batch's context so far.
    fn known(&mut self, batch: &OpenedBatch) -> Result<&mut Known, HistoryError> {
        let (context, patient) = (batch.context, &batch.patient);
        if !self.contexts.contains_key(&context) {
            let sealed = self.store.seen(context)?;
            let open = |sealed: Vec<u8>| {
                let plain = self
                    .shared
                    .vault
                    .open_sealed(patient, PURPOSE_SEEN, &sealed)?;
                // Bound to its context: moved rows must not pass.
                let (of, seen) = plain.split_first_chunk::<16>()?;
                (*of == context.0).then(|| Seen::decode(seen)).flatten()
            };
            let seen = match sealed {
                None => Seen::default(),
                Some(sealed) => open(sealed).ok_or_else(|| {
                    HistoryError::Store("what was seen of a context is damaged: stop the centre and remove store/history.db, which is then made again from the journal".into())
                })?,
            };
            let known = Known {
                patient: patient.clone(),
                seen,
                changed: false,
            };
            self.contexts.insert(context, known);
        }
        Ok(self.contexts.get_mut(&context).expect("just put there"))
    }

    /// The tail becomes blocks.
    pub(super) fn flush(&mut self) -> Result<(), HistoryError> {
        let patients = self.shared.tail().patients.clone();
        let mut blocks = Vec::new();
        for (patient, block) in &patients {
            for part in split(block) {
                blocks.extend(self.seal(patient, &part, 0)?);
            }
        }
        let changed = self.contexts.iter().filter(|(_, known)| known.changed);
        let sealed = changed.filter_map(|(context, known)| {
            let plain = [&context.0[..], &known.seen.encode()].concat();
            // Without a key the patient was erased meanwhile.
            let sealed = self
                .shared
                .vault
                .seal(&known.patient, PURPOSE_SEEN, &plain)?;
            Some((*context, known.patient.clone(), sealed))
        });
        self.store
            .add(&blocks, &sealed.collect::<Vec<_>>(), self.read)?;
        {
            let mut tail = self.shared.tail();
            tail.covered = self.read;
            tail.patients.clear();
        }
        self.tell();
        (self.readings, self.since) = (0, None);
        if self.contexts.len() >= CONTEXTS {
            self.contexts.clear();
        }
        self.contexts
            .values_mut()
            .for_each(|known| known.changed = false);
        self.merge(patients.keys())
    }

    /// Sealed, opened again and compared; nothing for an erased patient.
    fn seal(
        &self,
        patient: &PatientId,
        block: &Block,
        level: u32,
    ) -> Result<Option<NewBlock>, HistoryError> {
        let (Some((oldest, newest)), Some(first), Some(last)) =
            (block.span(), block.batches.first(), block.batches.last())
        else {
            return Ok(None);
        };
        let row = Row {
            id: 0,
            level: if block.points.len() >= FULL / 2 {
                GROWN
            } else {
                level
            },
            first: first.position,
            last: last.position,
            known: last.known,
            oldest: minute(oldest),
            newest: minute(newest),
            readings: block.points.len(),
        };
        let vault = &self.shared.vault;
        let sealed = |part, plain: &[u8]| {
            let purpose = purpose(&row, part);
            let sealed = vault.seal(patient, &purpose, plain)?;
            Some((vault.open_sealed(patient, &purpose, &sealed), sealed))
        };
        let (hours, minutes) = (
            rollup::of(block, Width::Hour),
            rollup::of(block, Width::Minute),
        );
        let parts = (
            sealed(Part::Hours, &rollup::encode(&hours)),
            sealed(Part::Minutes, &rollup::encode(&minutes)),
            sealed(Part::Readings, &block.encode()),
        );
        let (
            Some((hours_back, hours_sealed)),
            Some((minutes_back, minutes_sealed)),
            Some((back, readings)),
        ) = parts
        else {
            return Ok(None);
        };
        let same =
            back.is_some_and(|back| Block::decode(&back, &[]).is_some_and(|back| back.same(block)));
        let sums_same = |back: Option<zeroize::Zeroizing<Vec<u8>>>, sums: &rollup::Rollup| {
            let mut read = rollup::Rollup::new();
            back.is_some_and(|back| rollup::decode(&back, &[], &mut read).is_some())
                && read == *sums
        };
        if !same || !sums_same(hours_back, &hours) || !sums_same(minutes_back, &minutes) {
            return Err(HistoryError::Store(
                "a block did not read back as it was: report it to the makers".into(),
            ));
        }
        Ok(Some(NewBlock {
            patient: patient.clone(),
            row,
            hours: hours_sealed,
            minutes: minutes_sealed,
            readings,
        }))
    }

    fn merge<'a>(
        &mut self,
        patients: impl Iterator<Item = &'a PatientId>,
    ) -> Result<(), HistoryError> {
        let mut merged = Vec::new();
        for patient in patients {
            let rows = self.store.young(patient, GROWN)?;
            for level in 0..GROWN {
                let of_level = rows
                    .iter()
                    .filter(|row| row.level == level && !self.damaged.contains(&row.id));
                let Some(chosen) = choose(of_level) else {
                    continue;
                };
                let mut whole = Block::default();
                let mut parts = Vec::new();
                for row in chosen {
                    let opened = self.shared.open(&self.store, patient, row, Part::Readings);
                    let block = match opened {
                        Ok(plain) => plain.and_then(|plain| {
                            let block = Block::decode(&plain, &[]);
                            if block.is_none() {
                                let _ = self.shared.damaged(patient, row);
                            }
                            block
                        }),
                        Err(HistoryError::Damaged { .. }) => None,
                        Err(error) => return Err(error),
                    };
                    if let Some(block) = block {
                        whole.append(&block);
                        parts.push(row.id);
                    } else {
                        self.damaged.insert(row.id);
                    }
                }
                if let Some(block) = self.seal(patient, &whole, level + 1)? {
                    merged.push((parts, block));
                }
            }
            if merged.len() >= MERGES {
                self.store.replace(&std::mem::take(&mut merged))?;
            }
        }
        Ok(self.store.replace(&merged)?)
    }
}

/// The oldest young blocks of a level (in journal order), if there are enough of them to merge.
fn choose<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<Vec<&'a Row>> {
    let (mut chosen, mut readings) = (Vec::new(), 0);
    for row in rows {
        chosen.push(row);
        readings += row.readings;
        if chosen.len() > 1 && (chosen.len() == FAN || readings >= FULL) {
            return Some(chosen);
        }
    }
    None
}

/// In parts that are not much more than full.
fn split(block: &Arc<Block>) -> Vec<std::borrow::Cow<'_, Block>> {
    if block.points.len() < 2 * FULL {
        return vec![std::borrow::Cow::Borrowed(block)];
    }
    let mut parts = Vec::new();
    let mut part = Block::default();
    // The tail's readings lie in the order of their batches.
    for points in block.points.chunk_by(|one, next| one.batch == next.batch) {
        part.push(*block.batch(&points[0]), points.iter().copied());
        if part.points.len() >= FULL {
            parts.push(std::borrow::Cow::Owned(std::mem::take(&mut part)));
        }
    }
    parts.push(std::borrow::Cow::Owned(part));
    parts
}

fn point(reading: &Reading, aside: bool) -> Point {
    let (number, absent) = match reading.value {
        Value::Measured(number) => (number, None),
        Value::Absent(absence) => (Fixed(0), Some(absence)),
    };
    Point {
        batch: 0,
        kind: reading.kind,
        effective: millis(reading.effective),
        number,
        flags: Flags::new(reading.quality, absent, aside),
        stamp: reading.device.map(|device| Stamp {
            stamp: millis(device.stamp),
            uncertainty: if device.uncertainty < Span::MAX {
                // Rounded up: never surer than it was.
                device
                    .uncertainty
                    .as_micros()
                    .saturating_add(999)
                    .div_euclid(1000)
            } else {
                UNKNOWN
            },
        }),
    }
}

/// Whole milliseconds, rounded down.
const fn millis(time: Time) -> i64 {
    time.as_micros().div_euclid(1000)
}
