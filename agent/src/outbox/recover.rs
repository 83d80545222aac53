//! What becomes of a store that does not open, or that opens and has lost something.
//!
//! Its folder becomes `salvage-TIME`, and a fresh store takes its place. Then whatever can be read of it is adopted,
//! piece by piece, and when the last piece is durable the folder is called `corrupt-TIME`. So its name says whether
//! something is still to be fetched from it: a kill between any two steps is made good by the next start, and what
//! was adopted before is known by its place and adopted once. Of searched folders the two newest are kept, for
//! people who look for more: a dying card must not fill with copies. One that waits is never deleted.
//!
//! A salvage has its bounds ([`Patience`]): live readings matter more than old ones, so it neither keeps the agent
//! from starting nor takes the room that the live outbox needs. The rest waits, and the next start goes on with it.
//!
//! Invariants: memory is bounded, however large the store; a place (ordinal) that another context took is never
//! taken twice; a fresh store says from its first commit on that there is a loss to declare; a list of records is
//! believed only for the store that it was made of.
//! Must not know: sled, what records say.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use proto::seal::Stub;
use vitals::{ContextId, Time};

use super::RecordId;
use super::ledger::Context;
use super::rows::GatewayRow;
use super::salvage::{self, Found, Rows};
use super::store::{Changes, Opened, Patience, Store, StoreError, put_tally, sync_dir};
use super::tally::{self, Tally};
use crate::identity::own_dir;

/// A folder with something to fetch, and one without.
const WAITING: &str = "salvage-";
const SEARCHED: &str = "corrupt-";
/// Searched folders that are kept.
const MOST_SEARCHED: usize = 2;
/// In a folder that waits: up to which byte all its records were adopted. The last of its files by name, so that it
/// moves no other's place.
const ADOPTED: &str = "~adopted";
/// A store in which nothing was kept yet is not larger, bytes.
const A_FRESH_STORE: u64 = 4 << 20;
/// Bytes of records adopted in one commit.
const A_PIECE: usize = 256 * 1024;
/// How often, and how long apart, a closed store's lock is tried: two seconds in all.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// Gives the store's folder a name that says that it waits to be salvaged; one that is not there needs none. A
/// fresh one, from before a kill in the middle of a salvage, has nothing to fetch and goes.
pub(super) fn set_aside(dir: &Path, store: &str, now: Time) -> io::Result<()> {
    // What closes late could still write into it.
    let file = File::open(dir.join(store).join("db"));
    for _ in 0..LOCK_TRIES {
        match file.as_ref().map(File::try_lock) {
            Ok(Err(fs::TryLockError::WouldBlock)) => std::thread::sleep(LOCK_PAUSE),
            Ok(Ok(()) | Err(fs::TryLockError::Error(_))) | Err(_) => break,
        }
    }
    let is_fresh = |bytes| bytes <= A_FRESH_STORE;
    if is_waiting(dir) && salvage::nothing_in(&dir.join(store)).is_some_and(is_fresh) {
        fs::remove_dir_all(dir.join(store))?;
        return own_dir(&dir.join(store));
    }
    let mut stamp = now.as_micros();
    let name = |kind, stamp| dir.join(format!("{kind}{stamp}"));
    while name(WAITING, stamp).exists() || name(SEARCHED, stamp).exists() {
        stamp += 1;
    }
    fs::rename(dir.join(store), name(WAITING, stamp))?;
    sync_dir(dir)?;
    own_dir(&dir.join(store))
}

/// Folders with something to fetch, the oldest first.
fn waiting(dir: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(stamp) = name.strip_prefix(WAITING) {
            let searched = dir.join(format!("{SEARCHED}{stamp}"));
            found.push((path, searched));
        }
    }
    found.sort();
    Ok(found)
}

/// True while a folder waits to be salvaged, or nobody can tell.
pub(super) fn is_waiting(dir: &Path) -> bool {
    waiting(dir).map_or(true, |folders| !folders.is_empty())
}

/// Deletes the oldest searched folders, until this many are left.
fn keep_searched(dir: &Path, most: usize) -> io::Result<()> {
    let mut searched: Vec<(i64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stamp = name.strip_prefix(SEARCHED);
        // Others are a person's.
        if let Some(stamp) = stamp.and_then(|stamp| stamp.parse().ok()) {
            searched.push((stamp, path));
        }
    }
    searched.sort();
    let too_many = searched.len().saturating_sub(most);
    for (_, folder) in &searched[..too_many] {
        fs::remove_dir_all(folder)?;
        let folder = folder.display();
        tracing::warn!(%folder, "the oldest copy of a damaged store is deleted: all that could be read was fetched");
    }
    Ok(())
}

/// The bounds of a salvage at this start.
struct Bounds<'d> {
    dir: &'d Path,
    until: Option<Instant>,
    leave_free: u64,
}

impl<'d> Bounds<'d> {
    fn from_now(dir: &'d Path, patience: Patience) -> Self {
        Self {
            dir,
            until: patience.time.map(|time| Instant::now() + time),
            leave_free: patience.leave_free,
        }
    }

    fn time(&self) -> Result<(), StoreError> {
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        let fault = StoreError::Waits("the agent must start in time");
        if is_over { Err(fault) } else { Ok(()) }
    }

    /// Copies that were searched go first.
    fn room(&self, store: &Store) -> Result<(), StoreError> {
        if store.free() < self.leave_free {
            keep_searched(self.dir, 0)?;
        }
        let is_full = store.free() < self.leave_free;
        let fault = StoreError::Waits("the disk is nearly full");
        if is_full { Err(fault) } else { Ok(()) }
    }
}

/// What is adopted now was not there when the list was made: it must not be called safe for not being listed. On
/// disk as well, or the next start would believe it.
fn disbelieve_list(dir: &Path, beside: &mut Option<Tally>) {
    if let Some(tally) = beside
        && tally.list.take().is_some()
    {
        put_tally(dir, tally);
    }
}

impl Opened {
    /// False if something is missing that was there at the newest commit. Damaged records are not missing: they are
    /// where they were. What was salvaged already is as whole as it will be.
    pub(super) fn is_whole(&self, beside: Option<&Tally>, newest: u64) -> bool {
        let gateway = self.gateway.clone().unwrap_or_default();
        if gateway.loss_undeclared {
            return true;
        }
        let beside_it = beside.map_or(0, |tally| tally.gateway.commits);
        let list = beside
            .filter(|_| beside_it == gateway.commits)
            .and_then(|tally| tally.list.as_ref());
        // In the order of their keys.
        let is_damaged = |id: &RecordId| self.damaged.binary_search(id).is_ok();
        let is_there = |id: &RecordId| self.records.contains(*id) || is_damaged(id);
        let listed = list.is_none_or(|list| list.keys().all(is_there));
        // Without its context nobody can open a record; an older copy of the row may be found.
        let has_context = |id: &RecordId| self.contexts.contains_key(&id.ordinal);
        let in_context = self.damaged.iter().all(has_context);
        // More than counted is no sign: deletions may lag behind a crash.
        let records = self.records.len() + self.damaged.len();
        let missing = tally::missing_of_rows(&self.streams, &self.records, true);
        let counted = records as u64 >= gateway.records_kept
            && (missing.is_empty() || !self.damaged.is_empty());
        gateway.commits >= newest.max(beside_it) && in_context && listed && counted
    }

    /// Fetches what waits to be salvaged. What cannot be fetched now waits for the next start.
    pub(super) fn adopt_waiting(
        &mut self,
        dir: &Path,
        beside: &mut Option<Tally>,
        patience: Patience,
    ) -> Result<(), StoreError> {
        let waiting = waiting(dir)?;
        if waiting.is_empty() {
            return Ok(());
        }
        // A list is made only while nothing waits. So it tells of the one folder from which a fresh store fetches,
        // and of no other.
        let has_a_past = |row: &GatewayRow| !row.loss_undeclared;
        if waiting.len() > 1 || self.gateway.as_ref().is_some_and(has_a_past) {
            disbelieve_list(dir, beside);
        }
        let bounds = Bounds::from_now(dir, patience);
        for (folder, searched) in waiting {
            match self.adopt(&folder, &bounds, beside) {
                Ok(()) => {
                    fs::rename(&folder, &searched)?;
                    sync_dir(dir)?;
                    self.set_aside = Some(searched);
                    if let Err(error) = keep_searched(dir, MOST_SEARCHED) {
                        tracing::warn!(%error, "an old copy of a damaged store could not be deleted");
                    }
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "not all could be salvaged now: the next start goes on with it"
                    );
                    self.more_may_be_missing = true;
                    self.set_aside = Some(folder);
                    // What waits is not lost: no exact loss is told of it.
                    if let Some(tally) = beside {
                        tally.list = None;
                    }
                }
            }
            self.read_all()?;
        }
        Ok(())
    }

    fn adopt(
        &mut self,
        folder: &Path,
        bounds: &Bounds<'_>,
        beside: &mut Option<Tally>,
    ) -> Result<(), StoreError> {
        let adopted = fs::read_to_string(folder.join(ADOPTED)).unwrap_or_default();
        let from: u64 = adopted.parse().unwrap_or(0);
        let name = folder.display();
        tracing::warn!(folder = %name, from, "salvaging a damaged outbox, before anything is measured");
        let mut found = Rows::default();
        let take = |it: Found<'_>| {
            found.take(it);
            Ok(())
        };
        salvage::scan(folder, 0, |_| bounds.time(), take)?;
        let gateway = self.gateway.iter().chain(&found.gateway);
        let mut gateway = gateway
            .max_by_key(|row| row.age())
            .cloned()
            .unwrap_or_default();
        let both = self.gateway.iter().chain(&found.gateway);
        let next = both.map(|row| row.next_ordinal).max().unwrap_or(0);
        gateway.next_ordinal = gateway.next_ordinal.max(next);
        (gateway.clean, gateway.loss_undeclared) = (false, true);
        for row in self.streams.values() {
            found.take(Found::Stream(row.clone()));
        }
        for row in self.clocks.values() {
            found.take(Found::Clock(row.clone()));
        }
        let mut adopting = Adopting::new(&self.contexts, found.contexts, gateway, bounds);
        if adopting.moved {
            // The list knows these records by another place.
            disbelieve_list(bounds.dir, beside);
        }
        adopting.changes.streams = found.streams.into_iter().collect();
        let clocks = found.clocks.into_iter();
        adopting.changes.clocks = clocks.map(|(of, row)| (of, Some(row))).collect();
        // The rows first: from here on the store knows that there is a loss to declare.
        adopting.commit(&mut self.store)?;
        let reached = Cell::new(from);
        let go_on = |at| {
            reached.set(at);
            bounds.time()
        };
        let scanned = salvage::scan(folder, from, go_on, |it| match it {
            Found::Record(stub, record) => adopting.take(&stub, record, &mut self.store),
            Found::Context(_) | Found::Stream(_) | Found::Gateway(_) | Found::Clock(_) => Ok(()),
        });
        if let Err(StoreError::Waits(_)) = &scanned
            && bounds.time().is_err()
        {
            adopting.commit(&mut self.store)?;
            fs::write(folder.join(ADOPTED), reached.get().to_string())?;
        }
        scanned?;
        adopting.commit(&mut self.store)?;
        if adopting.homeless > 0 {
            let records = adopting.homeless;
            tracing::warn!(records, "whole records were found, but not their context");
        }
        Ok(())
    }

    /// Compares what is there with what should be: by the rows of the store, or by the tally beside it where
    /// that is newer (not even the rows could be read).
    pub(super) fn count(&mut self, beside: Option<Tally>, newest: u64) {
        let gateway = self.gateway.clone().unwrap_or_default();
        let is_damaged = !self.damaged.is_empty();
        let salvaged = self.set_aside.is_some() || gateway.loss_undeclared || is_damaged;
        // Even the folder may be gone.
        self.more_may_be_missing |= newest > gateway.commits;
        let newer = beside.filter(|tally| {
            tally.gateway.commits > gateway.commits
                || (salvaged && tally.gateway.commits == gateway.commits)
        });
        let list = newer.as_ref().and_then(|tally| tally.list.clone());
        self.more_may_be_missing |= salvaged || newer.is_some();
        self.more_may_be_missing &= list.is_none();
        if let Some(tally) = newer {
            self.streams.extend(tally.streams);
            let next_ordinal = gateway.next_ordinal.max(tally.gateway.next_ordinal);
            self.gateway = Some(GatewayRow {
                next_ordinal,
                ..tally.gateway
            });
        }
        if let Some(list) = list {
            let safe = |id: &RecordId| !list.contains_key(id);
            self.safe = self.records.iter().map(|(id, _)| id).filter(safe).collect();
            self.records.retain(|id| list.contains_key(&id));
            self.missing = tally::missing_of_list(&list, &self.records);
        } else {
            let exact = !self.more_may_be_missing;
            self.missing = tally::missing_of_rows(&self.streams, &self.records, exact);
        }
        if newest > 0 {
            // Numbers that were given are not given again, or the next loss would go unnoticed.
            let gateway = self.gateway.get_or_insert_default();
            gateway.commits = gateway.commits.max(newest);
        }
    }
}

/// A salvage on its way.
struct Adopting<'b> {
    bounds: &'b Bounds<'b>,
    /// Where each context is, or will be.
    places: BTreeMap<ContextId, u64>,
    /// A context is not where it was.
    moved: bool,
    /// Those that are not in the store yet.
    new: BTreeMap<ContextId, Context>,
    changes: Changes,
    put: BTreeSet<RecordId>,
    bytes: usize,
    /// Whole records whose context was not found: nobody could open them.
    homeless: u64,
}

impl<'b> Adopting<'b> {
    /// Contexts keep their place, unless another one has it.
    fn new(
        there: &BTreeMap<u64, Context>,
        found: BTreeMap<ContextId, (u64, Context)>,
        mut gateway: GatewayRow,
        bounds: &'b Bounds<'b>,
    ) -> Self {
        let mut places: BTreeMap<ContextId, u64> = there
            .iter()
            .map(|(place, context)| (context.id, *place))
            .collect();
        let mut taken: BTreeSet<u64> = there.keys().copied().collect();
        let (mut new, mut moved) = (BTreeMap::new(), false);
        for (id, (place, context)) in found {
            if let Some(there) = places.get(&id) {
                moved |= *there != place;
                continue;
            }
            let place = if taken.insert(place) {
                place
            } else {
                moved = true;
                let above = taken.last().map_or(1, |last| last + 1);
                taken.insert(above);
                above
            };
            places.insert(id, place);
            new.insert(id, context);
        }
        let above = taken.last().map_or(1, |last| last + 1);
        gateway.next_ordinal = gateway.next_ordinal.max(above);
        Self {
            bounds,
            places,
            moved,
            new,
            changes: Changes {
                gateway,
                ..Changes::default()
            },
            put: BTreeSet::new(),
            bytes: 0,
            homeless: 0,
        }
    }

    fn take(&mut self, stub: &Stub, record: &[u8], store: &mut Store) -> Result<(), StoreError> {
        let Some(place) = self.places.get(&stub.context) else {
            self.homeless += 1;
            return Ok(());
        };
        let id = RecordId {
            ordinal: *place,
            number: stub.number,
        };
        if self.put.contains(&id) || store.has(id)? {
            return Ok(());
        }
        if let Some(context) = self.new.remove(&stub.context) {
            self.changes.contexts.push((*place, context));
        }
        self.put.insert(id);
        self.changes.put.push((id, record.to_vec()));
        self.bytes += record.len();
        if self.bytes >= A_PIECE {
            self.commit(store)?;
        }
        Ok(())
    }

    fn commit(&mut self, store: &mut Store) -> Result<(), StoreError> {
        self.bounds.room(store)?;
        store.try_commit(&self.changes)?;
        self.changes = Changes {
            gateway: std::mem::take(&mut self.changes.gateway),
            ..Changes::default()
        };
        self.put.clear();
        self.bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::rows::StreamRow;
    use crate::outbox::store::tests::{Bench, bench, id};

    const STORE: &str = "outbox";

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("created");
        for entry in fs::read_dir(from).expect("a folder").flatten() {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).expect("copied");
            }
        }
    }

    /// The next commit of so many records of one reading each, with rows as the core writes them.
    fn commit(bench: &mut Bench, opened: &mut Opened, number: u64, records: u64) -> Vec<RecordId> {
        let mut changes = bench.first_commit(records);
        let kept: u64 = opened.records.len() as u64 + records;
        changes.gateway = GatewayRow {
            commits: number,
            committed_at_us: 5,
            next_ordinal: 2,
            records_kept: kept,
            ..GatewayRow::default()
        };
        changes.streams[0].1 = StreamRow {
            commits: number,
            readings_kept: 3 * kept,
            ..changes.streams[0].1.clone()
        };
        opened.store.commit(&changes).expect("committed");
        for (id, record) in &changes.put {
            let entry = super::super::ledger::Entry::of(record).expect("whole");
            opened.records.insert(*id, entry);
        }
        changes.put.into_iter().map(|(id, _)| id).collect()
    }

    fn folders(dir: &Path, kind: &str) -> usize {
        let entries = fs::read_dir(dir).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(kind)).count()
    }

    /// A store of two commits; a copy of it after the first.
    fn two_states(bench: &mut Bench) -> tempfile::TempDir {
        let old = tempfile::tempdir().expect("a folder");
        let mut opened = bench.open();
        commit(bench, &mut opened, 1, 20);
        copy(&bench.dir.path().join(STORE), old.path());
        commit(bench, &mut opened, 2, 20);
        old
    }

    #[test]
    fn an_older_state_that_is_whole_in_itself_is_noticed() {
        let mut bench = bench();
        let old = two_states(&mut bench);
        let store = bench.dir.path().join(STORE);
        // The control: as it was left, it is whole.
        let opened = bench.open();
        assert!(opened.set_aside.is_none() && !opened.more_may_be_missing);
        assert_eq!(opened.records.len(), 40);
        drop(opened);
        fs::remove_dir_all(&store).expect("removed");
        copy(old.path(), &store);
        let opened = bench.open();
        assert!(opened.set_aside.is_some() && opened.more_may_be_missing);
        assert_eq!(opened.records.len(), 20, "what is there is kept");
        let commits = opened.gateway.as_ref().map(|row| row.commits);
        assert_eq!(commits, Some(2), "numbers are not given twice");
        drop(opened);
        // Not declared yet: it still says so, and is not set aside again.
        let again = bench.open();
        assert!(again.more_may_be_missing && again.set_aside.is_none());
        assert_eq!(folders(bench.dir.path(), SEARCHED), 1);
    }

    #[test]
    fn a_record_that_is_gone_is_noticed_and_fetched() {
        let mut bench = bench();
        let mut opened = bench.open();
        commit(&mut bench, &mut opened, 1, 20);
        // As if sled had lost it: gone, and no row knows.
        let gone = Changes {
            remove: vec![id(7)],
            gateway: GatewayRow {
                commits: 2,
                records_kept: 20,
                ..GatewayRow::default()
            },
            ..Changes::default()
        };
        opened.store.commit(&gone).expect("committed");
        drop(opened);
        let opened = bench.open();
        assert!(opened.set_aside.is_some(), "noticed");
        assert!(opened.records.contains(id(7)), "fetched");
        assert_eq!(opened.records.len(), 20);
        assert_eq!(opened.missing.iter().map(|m| m.readings).sum::<u64>(), 0);
    }

    #[test]
    fn a_salvage_that_a_kill_cut_short_is_made_good_by_the_next_start() {
        // What lies there: the folder that waits; and of the fresh store nothing, or half of the records.
        for half in [false, true] {
            let mut bench = bench();
            let mut opened = bench.open();
            let ids = commit(&mut bench, &mut opened, 1, 30);
            let half_of_it: Vec<_> = opened.store.load(&ids[..15]).expect("readable");
            drop(opened);
            let dir = bench.dir.path().to_owned();
            fs::rename(dir.join(STORE), dir.join("salvage-5")).expect("moved");
            if half {
                let fresh = Store::open(&dir.join("elsewhere"), Time::ZERO);
                let mut fresh = fresh.expect("opens").store;
                let changes = Changes {
                    contexts: vec![(1, bench.context.clone())],
                    put: half_of_it,
                    gateway: GatewayRow {
                        commits: 1,
                        loss_undeclared: true,
                        ..GatewayRow::default()
                    },
                    ..Changes::default()
                };
                fresh.commit(&changes).expect("committed");
                drop(fresh);
                fs::rename(dir.join("elsewhere/outbox"), dir.join(STORE)).expect("moved");
            }
            let opened = bench.open();
            let there: Vec<_> = opened.records.iter().map(|(id, _)| id).collect();
            assert_eq!(there, ids, "half adopted: {half}");
            assert!(opened.more_may_be_missing);
            assert_eq!(folders(&dir, WAITING), 0);
            drop(opened);
            assert_eq!(bench.open().records.len(), 30);
        }
    }

    #[test]
    fn a_place_that_another_context_took_is_not_taken_twice() {
        let (mut lost, mut bench) = (bench(), bench());
        let mut opened = lost.open();
        commit(&mut lost, &mut opened, 9, 10);
        drop(opened);
        let mut opened = bench.open();
        commit(&mut bench, &mut opened, 1, 10);
        drop(opened);
        let dir = bench.dir.path().to_owned();
        copy(&lost.dir.path().join(STORE), &dir.join("salvage-5"));
        let opened = bench.open();
        assert_eq!((opened.records.len(), opened.contexts.len()), (20, 2));
        let contexts: BTreeSet<_> = opened.contexts.values().map(|of| of.id).collect();
        assert_eq!(contexts, [bench.context.id, lost.context.id].into());
        assert_eq!(opened.gateway.map(|row| row.next_ordinal), Some(3));
        assert!(opened.damaged.is_empty());
    }

    #[test]
    fn a_large_store_is_adopted_piece_by_piece_and_two_may_wait() {
        let mut bench = bench();
        let mut opened = bench.open();
        let records = 2 * A_PIECE as u64 / 100;
        commit(&mut bench, &mut opened, 1, records);
        let bytes: usize = opened
            .records
            .iter()
            .map(|(_, entry)| entry.stub.record_size())
            .sum();
        assert!(bytes > 2 * A_PIECE, "several pieces");
        drop(opened);
        let dir = bench.dir.path().to_owned();
        copy(&dir.join(STORE), &dir.join("salvage-3"));
        fs::rename(dir.join(STORE), dir.join("salvage-77")).expect("moved");
        let opened = bench.open();
        assert_eq!(opened.records.len() as u64, records);
        assert_eq!(folders(&dir, SEARCHED), 2);
    }

    /// A store of another history that waits to be salvaged: records that no list of this one knows.
    fn another_waits(bench: &Bench, name: &str) -> Bench {
        let mut lost = super::super::store::tests::bench();
        let mut opened = lost.open();
        commit(&mut lost, &mut opened, 1, 10);
        drop(opened);
        copy(&lost.dir.path().join(STORE), &bench.dir.path().join(name));
        lost
    }

    /// A clean end: from here on a list of all records lies beside the store.
    fn end_cleanly(bench: &mut Bench, opened: &mut Opened, number: u64) {
        let mut changes = bench.first_commit(0);
        changes.gateway = GatewayRow {
            commits: number,
            clean: true,
            next_ordinal: 2,
            records_kept: opened.records.len() as u64,
            ..GatewayRow::default()
        };
        opened.store.commit(&changes).expect("committed");
        opened.store.finish();
    }

    fn list_of(bench: &Bench) -> Option<BTreeMap<RecordId, tally::Listed>> {
        let bytes = fs::read(bench.dir.path().join("outbox.tally")).expect("there");
        Tally::from_bytes(&bytes).expect("whole").list
    }

    #[test]
    fn a_list_of_another_history_calls_nothing_safe() {
        let mut bench = bench();
        let mut opened = bench.open();
        commit(&mut bench, &mut opened, 1, 10);
        end_cleanly(&mut bench, &mut opened, 2);
        drop(opened);
        assert_eq!(list_of(&bench).map(|list| list.len()), Some(10), "control");
        let lost = another_waits(&bench, "salvage-5");
        // The second time as after a kill before the core committed anything.
        for _ in 0..2 {
            let opened = bench.open();
            assert_eq!((opened.records.len(), opened.safe.len()), (20, 0));
            assert!(opened.contexts.values().any(|of| of.id == lost.context.id));
            assert!(opened.more_may_be_missing, "a loss of unknown size");
        }
    }

    #[test]
    fn a_clean_end_lists_nothing_while_a_folder_waits() {
        let mut bench = bench();
        let mut opened = bench.open();
        commit(&mut bench, &mut opened, 1, 10);
        let _lost = another_waits(&bench, "salvage-5");
        end_cleanly(&mut bench, &mut opened, 2);
        drop(opened);
        assert_eq!(list_of(&bench), None);
        // Even if the store is damaged as well.
        let conf = bench.dir.path().join(STORE).join("conf");
        fs::write(conf, b"rubbish, and more than eight bytes of it").expect("written");
        let opened = bench.open();
        assert_eq!((opened.records.len(), opened.safe.len()), (20, 0));
    }

    #[test]
    fn a_list_is_not_believed_for_a_place_that_was_moved() {
        let mut bench = bench();
        let mut opened = bench.open();
        commit(&mut bench, &mut opened, 1, 10);
        end_cleanly(&mut bench, &mut opened, 2);
        drop(opened);
        // Listed, and then its place was taken by another one.
        let dir = bench.dir.path().to_owned();
        let mut lost = super::super::store::tests::bench();
        let mut taken = lost.open();
        let mut changes = lost.first_commit(10);
        changes.gateway.loss_undeclared = true;
        taken.store.commit(&changes).expect("committed");
        drop(taken);
        fs::rename(dir.join(STORE), dir.join("salvage-5")).expect("moved");
        copy(&lost.dir.path().join(STORE), &dir.join(STORE));
        for _ in 0..2 {
            let opened = bench.open();
            assert_eq!((opened.records.len(), opened.safe.len()), (20, 0));
            assert!(opened.more_may_be_missing);
        }
    }

    #[test]
    fn a_damaged_record_sets_no_store_aside() {
        for clean in [false, true] {
            let mut bench = bench();
            let mut opened = bench.open();
            commit(&mut bench, &mut opened, 1, 20);
            // As a bad cell leaves it: the key is there, the value is not a record.
            let bad = Changes {
                put: vec![(id(7), vec![0; 80])],
                gateway: GatewayRow {
                    commits: 2,
                    records_kept: 20,
                    clean,
                    ..GatewayRow::default()
                },
                ..Changes::default()
            };
            if clean {
                end_cleanly(&mut bench, &mut opened, 2);
                let beside = fs::read(bench.dir.path().join("outbox.tally")).expect("there");
                opened.store.try_commit(&bad).expect("committed");
                fs::write(bench.dir.path().join("outbox.tally"), beside).expect("written");
            } else {
                opened.store.commit(&bad).expect("committed");
            }
            drop(opened);
            let opened = bench.open();
            assert_eq!(
                (opened.damaged.clone(), opened.set_aside.clone()),
                (vec![id(7)], None)
            );
            assert_eq!((opened.records.len(), opened.safe.len()), (19, 0));
            let missing: Vec<_> = opened
                .missing
                .iter()
                .map(|m| (m.readings, m.exact))
                .collect();
            assert_eq!(missing, [(3, clean)], "clean: {clean}");
            assert_eq!(folders(bench.dir.path(), WAITING), 0);
        }
    }

    #[test]
    fn of_searched_folders_the_two_newest_are_kept() {
        let mut bench = bench();
        let mut opened = bench.open();
        commit(&mut bench, &mut opened, 1, 20);
        drop(opened);
        let dir = bench.dir.path().to_owned();
        for stamp in [9, 10, 100] {
            copy(&dir.join(STORE), &dir.join(format!("salvage-{stamp}")));
        }
        fs::create_dir(dir.join("corrupt-of-a-person")).expect("made");
        let opened = bench.open();
        assert_eq!(opened.records.len(), 20);
        let there = |name: &str| dir.join(name).exists();
        assert!(!there("corrupt-9") && there("corrupt-10") && there("corrupt-100"));
        assert!(there("corrupt-of-a-person"), "not one of ours");
        assert_eq!(folders(&dir, WAITING), 0);
    }

    fn open_with(bench: &Bench, patience: Patience) -> Opened {
        let dir = bench.dir.path();
        Store::open_with(dir, Time::from_micros(88), patience).expect("always opens")
    }

    const NO_TIME: Patience = Patience {
        time: Some(std::time::Duration::ZERO),
        ..Patience::BY_HAND
    };

    /// A salvage that waits; of the fresh store nothing is there yet.
    fn it_waits(records: u64) -> (Bench, PathBuf) {
        let mut bench = bench();
        let mut opened = bench.open();
        commit(&mut bench, &mut opened, 1, records);
        drop(opened);
        let dir = bench.dir.path().to_owned();
        fs::rename(dir.join(STORE), dir.join("salvage-5")).expect("moved");
        (bench, dir)
    }

    #[test]
    fn a_salvage_leaves_room_and_the_reserve_to_the_live_outbox() {
        let (bench, dir) = it_waits(30);
        fs::create_dir(dir.join("corrupt-3")).expect("made");
        let nearly_full = Patience {
            leave_free: u64::MAX,
            ..Patience::BY_HAND
        };
        let mut opened = open_with(&bench, nearly_full);
        assert_eq!((opened.records.len(), folders(&dir, WAITING)), (0, 1));
        assert!(opened.more_may_be_missing);
        assert!(dir.join("outbox.reserve").exists(), "not given up");
        assert_eq!(folders(&dir, SEARCHED), 0, "what was searched makes room");
        // The live outbox goes on meanwhile.
        opened.store.commit(&Changes::default()).expect("committed");
        drop(opened);
        // The control: with room, all is fetched.
        let opened = bench.open();
        assert_eq!((opened.records.len(), folders(&dir, WAITING)), (30, 0));
    }

    #[test]
    fn starts_that_are_cut_short_leave_one_folder_and_not_one_each() {
        let (bench, dir) = it_waits(30);
        fs::write(dir.join("outbox.mark"), {
            let number = 1_u64.to_be_bytes();
            let sum = proto::seal::record::checksum(&number);
            [number.as_slice(), &sum].concat()
        })
        .expect("written");
        for _ in 0..3 {
            let opened = open_with(&bench, NO_TIME);
            assert_eq!(opened.records.len(), 0, "the control: nothing in no time");
            assert_eq!((folders(&dir, WAITING), folders(&dir, SEARCHED)), (1, 0));
        }
        let opened = bench.open();
        assert_eq!((opened.records.len(), folders(&dir, WAITING)), (30, 0));
    }

    #[test]
    fn a_salvage_goes_on_where_the_start_before_it_ran_out_of_time() {
        let (bench, dir) = it_waits(30);
        // As if the time had ended right behind the file: what lies before is not adopted again.
        let length = fs::metadata(dir.join("salvage-5/db")).expect("there").len();
        fs::write(
            dir.join("salvage-5").join(ADOPTED),
            (2 * length).to_string(),
        )
        .expect("written");
        let opened = bench.open();
        assert_eq!((opened.records.len(), folders(&dir, WAITING)), (0, 0));
        assert!(dir.join("corrupt-5").join(ADOPTED).exists());
    }
}
