//! Power cuts: the child's writes and syncs are written down, and its folder is rebuilt as a disk may hold it
//! after the power went: what was synced, and of the rest nothing (*dropped*), any pages in any order
//! (*reordered*), or those and one of them by halves (*torn*). Whatever the child had called durable before the
//! cut must be there, or have its receipt.
//!
//! Making, renaming and removing files counts as durable at once: the model is lenient about folders.
//! `VITALTWIN_POWER_CUTS=600 cargo test -p vitaltwin-agent --test outbox power` runs the full count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vitals::ContextId;
use vitaltwin_agent::outbox::store::Store;

use crate::centre::{Centre, Durable, at};
use crate::house::{House, Life};
use crate::shim::{Op, library, read_log};

const PAGE: usize = 4096;
const SECTOR: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Dropped,
    Reordered,
    Torn,
}

/// A file as the processes see it, and as it is on the disk for sure.
#[derive(Clone, Debug, Default)]
struct Image {
    now: Vec<u8>,
    synced: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl Image {
    fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(data);
        self.dirty.extend(offset / PAGE..end.div_ceil(PAGE));
    }

    fn sync(&mut self) {
        self.synced.resize(self.now.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            copy(&self.now, &mut self.synced, page * PAGE, PAGE);
        }
    }

    /// What the disk may hold after the cut.
    fn after(&self, loss: Loss, rng: &mut ChaCha8Rng) -> Vec<u8> {
        let mut after = self.synced.clone();
        if loss == Loss::Dropped {
            return after;
        }
        if rng.random_bool(0.5) {
            after.resize(self.now.len(), 0);
        }
        let torn = (loss == Loss::Torn).then(|| {
            let nth = rng.random_range(0..self.dirty.len().max(1));
            self.dirty.iter().nth(nth).copied()
        });
        for page in &self.dirty {
            if torn == Some(Some(*page)) {
                let sectors = rng.random_range(1..PAGE / SECTOR);
                put(&self.now, &mut after, page * PAGE, sectors * SECTOR);
            } else if rng.random_bool(0.5) {
                put(&self.now, &mut after, page * PAGE, PAGE);
            }
        }
        after
    }
}

/// Copies what both have.
fn copy(from: &[u8], to: &mut [u8], at: usize, length: usize) {
    let end = (at + length).min(from.len()).min(to.len());
    if at < end {
        to[at..end].copy_from_slice(&from[at..end]);
    }
}

/// Copies and makes room for it.
fn put(from: &[u8], to: &mut Vec<u8>, at: usize, length: usize) {
    let end = (at + length).min(from.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    copy(from, to, at, length);
}

/// A disk that is played back, and what the child had said by then.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Image>,
    /// The negative control: once the child relies on it, no sync does anything.
    deaf: bool,
    /// The lives had waves.
    waves: bool,
    /// Durable from the first marker of each life to this one, as the child said.
    durable: BTreeMap<u64, u64>,
    receipted: BTreeSet<(ContextId, u64)>,
}

impl Disk {
    fn play(&mut self, path: &str, op: &Op) {
        if let ("ack", Op::Write { data, .. }) = (path, op) {
            self.said(std::str::from_utf8(data).expect("a line"));
            return;
        }
        match op {
            Op::Write { offset, data } => self.file(path).write(*offset, data),
            Op::Length(length) => {
                let file = self.file(path);
                file.now.resize(*length, 0);
            }
            Op::Sync | Op::DataSync if self.deaf && !self.durable.is_empty() => {}
            Op::Sync | Op::DataSync => self.file(path).sync(),
            Op::Rename(to) => {
                let file = self.files.remove(path).unwrap_or_default();
                self.files.insert(to.clone(), file);
            }
            Op::Unlink => {
                self.files.remove(path);
            }
        }
    }

    fn file(&mut self, path: &str) -> &mut Image {
        self.files.entry(path.to_owned()).or_default()
    }

    fn said(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("C") => {
                let mut marker = || words.next().and_then(|word| word.parse().ok());
                let (first, last) = (marker().expect("a marker"), marker().expect("a marker"));
                if last >= first {
                    self.durable.insert(first, last);
                }
            }
            Some("R") => {
                let context = words.next().expect("a context");
                let byte = |at| u8::from_str_radix(&context[at..at + 2], 16).expect("hex");
                let bytes: Vec<u8> = (0..32).step_by(2).map(byte).collect();
                let context = ContextId::from_slice(&bytes).expect("sixteen bytes");
                let number = words.next().and_then(|word| word.parse().ok());
                self.receipted.insert((context, number.expect("a number")));
            }
            _ => panic!("the child said {line}"),
        }
    }

    fn rebuild(&self, dir: &Path, loss: Loss, rng: &mut ChaCha8Rng) {
        for (path, image) in &self.files {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().expect("below the folder")).expect("created");
            std::fs::write(path, image.after(loss, rng)).expect("written");
        }
    }

    /// What is wrong with the folder after the cut, if anything.
    fn check(&self, dir: &Path, centre: &mut Centre) -> Result<(), String> {
        let mut opened = Store::open(dir, at(60_000)).map_err(|error| error.to_string())?;
        if opened.set_aside.is_some() || !opened.damaged.is_empty() {
            return Err(format!("set aside, or damaged: {:?}", opened.damaged));
        }
        if !opened.missing.is_empty() || opened.more_may_be_missing {
            return Err(format!("declares a loss: {:?}", opened.missing));
        }
        for context in opened.contexts.values() {
            centre.open(&context.header);
        }
        let ids: Vec<_> = opened.records.iter().map(|(id, _)| id).collect();
        let records = opened.store.load(&ids).map_err(|error| error.to_string())?;
        let mut there: BTreeSet<u64> = BTreeSet::new();
        for (_, record) in &records {
            there.extend(centre.markers(record));
        }
        for place in &self.receipted {
            there.extend(centre.records.get(place).into_iter().flatten());
        }
        let durable = self.durable.iter().map(|(first, last)| Durable {
            first: *first,
            last: *last,
            waves: self.waves,
        });
        let markers = durable.flat_map(Durable::markers);
        let lost: Vec<u64> = markers.filter(|m| !there.contains(m)).collect();
        if lost.is_empty() {
            return Ok(());
        }
        Err(format!("durable: {:?}, lost {lost:?}", self.durable))
    }
}

/// Lets a child live twice under the shim, so that a store is opened in which something lies; its log.
fn lived(seed: u64, beats: u64) -> (House, Vec<(String, Op)>) {
    let mut house = House::new();
    house.receipts_lost = 30;
    let log = house.dir().with_extension("writes");
    let life = |seed| Life {
        seed,
        from: 0,
        beats: beats / 2,
        line: true,
        drain: false,
        budget: 1 << 30,
        waves: has_waves(seed),
    };
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let envs = [
        ("LD_PRELOAD", path(&library())),
        ("RIG_DIR", path(&house.dir())),
        ("RIG_LOG", path(&log)),
    ];
    for life in [life(seed), life(seed + 2000)] {
        house.start(life, &envs).end(&house);
    }
    let ops = read_log(&std::fs::read(log).expect("a log"));
    (house, ops)
}

/// Every other house.
const fn has_waves(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

/// Cuts the power at random moments; (cuts, what was wrong).
fn cut(seed: u64, cuts: u64, beats: u64, deaf: bool) -> (u64, Vec<String>) {
    let (house, ops) = lived(seed, beats);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Not before the first word of the child: before that nothing was promised.
    let first = ops
        .iter()
        .position(|(path, _)| path == "ack")
        .expect("a commit");
    let mut moments: Vec<usize> = (0..cuts)
        .map(|_| rng.random_range(first..ops.len()))
        .collect();
    moments.sort_unstable();
    let mut disk = Disk {
        deaf,
        waves: has_waves(seed),
        ..Disk::default()
    };
    let mut played = 0;
    let mut wrong = Vec::new();
    for moment in moments {
        while played <= moment {
            let (path, op) = &ops[played];
            disk.play(path, op);
            played += 1;
        }
        for loss in [Loss::Dropped, Loss::Reordered, Loss::Torn] {
            let folder = tempfile::tempdir().expect("a folder");
            disk.rebuild(folder.path(), loss, &mut rng);
            if let Err(what) = disk.check(folder.path(), &mut house.centre()) {
                wrong.push(format!("seed {seed}, write {moment}, {loss:?}: {what}"));
            }
        }
    }
    (3 * cuts, wrong)
}

#[test]
fn what_was_called_durable_survives_every_power_cut() {
    let cuts = crate::count("VITALTWIN_POWER_CUTS", 45);
    let (mut made, mut wrong) = (0, Vec::new());
    for seed in 0..cuts.div_ceil(60) {
        let (cuts, found) = cut(seed, cuts.min(60) / 3, 250, false);
        made += cuts;
        wrong.extend(found);
    }
    println!("{made} power cuts, {} bad", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_negative_control_a_disk_that_lies_about_syncs_loses() {
    // A child that a busy machine starved has promised too little to lose: then another life is cut.
    let seen = (7..15).any(|seed| {
        let (made, wrong) = cut(seed, 8, 250, true);
        println!("{made} power cuts of a lying disk, {} bad", wrong.len());
        wrong.len() > 4
    });
    assert!(seen, "the rig sees nothing");
}
