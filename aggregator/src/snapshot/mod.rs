//! Snapshots: the fold's state beside the journal, so that a start reads the newest one and the log's tail.
//!
//! * [`Snapshots`]: takes them while the centre works ([`Snapshots::take`]).
//! * `load`: reads them at a start ([`restore`]), on all cores.
//! * `store`: the file.
//!
//! A snapshot is a *pass* over all patients (`patient::SavedPatient` says how it can be one without a stop); a patient
//! that did not change since the last pass is not written again. Each part is deflated and sealed under the
//! patient's own key, and dies with it; alerts and the open contexts' keys likewise, each for itself. What lies in
//! clear is what lies in clear in the journal: the registry, places, pseudonyms.
//!
//! Invariants: a snapshot that is torn, damaged, of another fold version or of another journal is not used: the
//! reason is counted, an older one or the whole log takes its place; a write that fails is told and counted and
//! stops nothing, for the journal holds everything. Must not know: what a twin is, how the journal stores.

mod load;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use prost::Message as _;
use proto::seal::Opener;
use proto::seal::crypto::sha256;
use twin::canonical::Canonical;
use twin::canonical_fields;
use vitals::{PatientId, Time};

use crate::journal::Position;
use crate::patient::Saver;
use crate::publish::{AlertRecord, At};
use crate::registry::Books;
use crate::vault::Vault;
use store::{AlertPiece, OpenerPiece, Pass, Piece, SnapshotStore, StoreError};

pub use load::{Restored, restore, verify};

/// Version of everything here that is not the fold's own.
const FORMAT: u32 = 1;
/// Patients in one transaction.
const PIECES: usize = 32;
/// Bytes that a part may inflate to: a twin's bounds keep it far below.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What a piece is sealed for.
const TWIN: &str = "snapshot twin";
const ALERT: &str = "snapshot alert";
const OPENER: &str = "snapshot opener";

/// What a snapshot says of itself, in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    fold_version: u32,
    epoch: u64,
    /// The log is folded again from after this position.
    begin: u64,
    begin_known: Time,
    /// The alerts are those of this position.
    end: u64,
    patients: u32,
    /// The registry is that of this position, and this is its known time: a mark of the journal itself.
    registry_at: Position,
    registry_known: Time,
    ring: Vec<At>,
    latest: Vec<At>,
    dropped: At,
}

canonical_fields! {
    Header {
        fold_version, epoch, begin, begin_known, end, patients, registry_at, registry_known, ring, latest, dropped
    }
}

macro_rules! why {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a snapshot is not used, or was not made.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Why {
            $($(#[$doc])* $name,)*
        }

        impl Why {
            /// As `status` shows it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

why! {
    /// A later release wrote it.
    Newer = "snapshot_newer",
    /// Something that it refers to is not there, or its sum does not hold.
    Torn = "snapshot_torn",
    /// Another version of the fold made it.
    FoldVersion = "snapshot_other_fold_version",
    /// It does not belong to this journal.
    OtherJournal = "snapshot_other_journal",
    /// A part does not open under its patient's key, or does not parse.
    Unreadable = "snapshot_unreadable",
    /// A state has another hash than the one that was saved.
    Hash = "snapshot_hash",
    /// SQLite cannot read the file.
    File = "snapshot_file",
    /// It could not be written.
    Unwritten = "snapshot_not_written",
}

impl From<StoreError> for Why {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a snapshot cannot be read");
        match error {
            StoreError::Newer(_) => Self::Newer,
            StoreError::Sqlite(_) | StoreError::Foreign => Self::File,
        }
    }
}

/// How the snapshots are doing, for `status`.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Where the newest one began, if there is one.
    pub newest: Option<Position>,
    /// What went wrong, and how often.
    pub failed: BTreeMap<&'static str, u64>,
}

/// The snapshots are a later release's. What they cover may be gone from the journal, and what an older program would make
/// of the rest would take their place: it does not start.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the snapshots were written by a newer release: install that release again, or restore a backup made with this one"
)]
pub struct NewerRelease;

/// What happened to a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its number.
    pub pass: u64,
    /// Where it began: a start folds the log from after this.
    pub begin: Position,
    /// Patients that were written.
    pub written: usize,
    /// Patients in all.
    pub patients: usize,
    /// Bytes written for them, sealed.
    pub bytes: u64,
}

/// Why one was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// The file.
    #[error("{0}")]
    Store(String),
    /// A patient's key is gone.
    #[error("a patient has no key to seal under")]
    NoKey,
    /// The centre ends.
    #[error("the centre ends")]
    Stopped,
}

impl From<StoreError> for NotMade {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// A whole copy of the snapshots in another file, as of now.
///
/// # Errors
/// As SQLite says.
pub fn copy(path: &Path, to: &Path) -> anyhow::Result<()> {
    let to = to.to_str().context("the path is not UTF-8")?;
    Ok(SnapshotStore::open_to_read(path)?.copy_to(to)?)
}

/// A file that SQLite cannot use makes room for a new one.
///
/// # Errors
/// As the system says.
pub fn set_aside(path: &Path) -> std::io::Result<()> {
    std::fs::rename(path, path.with_extension("damaged"))?;
    for beside in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(path.with_extension(beside));
    }
    Ok(())
}

/// Takes snapshots of a running centre.
#[derive(Debug)]
pub struct Snapshots {
    path: PathBuf,
    books: Arc<Books>,
    saver: Saver,
    known_at: KnownAt,
    health: Mutex<Health>,
}

/// Tells the known time of a journal's entry.
pub struct KnownAt(pub Box<dyn Fn(Position) -> Option<Time> + Send + Sync>);

impl std::fmt::Debug for KnownAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownAt")
    }
}

impl Snapshots {
    /// Of a centre whose fold `saver` is of. `restored`: what the start found.
    #[must_use]
    pub fn new(
        path: PathBuf,
        books: Arc<Books>,
        saver: Saver,
        known_at: KnownAt,
        restored: &Restored,
    ) -> Self {
        let mut health = Health {
            newest: restored.begin,
            ..Health::default()
        };
        for why in &restored.ignored {
            *health.failed.entry(why.as_str()).or_default() += 1;
        }
        if restored.begin.is_none() || !restored.ignored.is_empty() {
            // What could not be used may not be built upon.
            saver.forget();
        }
        Self {
            path,
            books,
            saver,
            known_at,
            health: Mutex::new(health),
        }
    }

    /// Reads the newest snapshot back. The journal's entries up to the position given are covered by it and by the one
    /// before.
    ///
    /// # Errors
    /// Why it does not hold; that is counted.
    pub fn verify(&self) -> Result<Position, Why> {
        let verified = verify(&self.path, self.books.vault(), &*self.known_at.0);
        if let Err(why) = verified {
            tracing::error!(why = why.as_str(), "the newest snapshot does not hold");
            let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            *health.failed.entry(why.as_str()).or_default() += 1;
            // The next one builds upon nothing of it.
            self.saver.forget();
        }
        verified
    }

    /// How they are doing.
    #[must_use]
    pub fn health(&self) -> Health {
        let health = self.health.lock();
        health.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes one. Blocks; `rest` is asked between some patients, with how long the work took since it was asked
    /// last, and says whether to go on. Failure is counted; the snapshots before stay.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn take(&self, mut rest: impl FnMut(Duration) -> bool) -> Result<Made, NotMade> {
        let made = self.make(&mut rest);
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match &made {
            Ok(made) => health.newest = Some(made.begin),
            Err(NotMade::Stopped) => {}
            Err(error @ (NotMade::Store(_) | NotMade::NoKey)) => {
                tracing::error!(%error, "a snapshot was not made; the journal holds everything, and the next one is tried in time");
                *health.failed.entry(Why::Unwritten.as_str()).or_default() += 1;
            }
        }
        made
    }

    fn make(&self, rest: &mut impl FnMut(Duration) -> bool) -> Result<Made, NotMade> {
        let mut store = SnapshotStore::open(&self.path)?;
        store.sweep()?;
        let pass = store.next_pass()?;
        let before = store.passes()?;
        if before.is_empty() {
            self.saver.forget();
            store.clear()?;
        }
        let begin = self.saver.begin(pass);
        let made = self.fill(&mut store, pass, begin, &before, rest);
        if made.is_err() {
            // Whatever of it was written is not part of any snapshot.
            self.saver.forget();
            let _ = self.saver.end();
        }
        made
    }

    fn fill(
        &self,
        store: &mut SnapshotStore,
        pass: u64,
        begin: u64,
        before: &[Pass],
        rest: &mut impl FnMut(Duration) -> bool,
    ) -> Result<Made, NotMade> {
        let (mut written, mut bytes) = (0, 0);
        let mut index = 0;
        // Patients that come while it is made are saved, too.
        while index < self.saver.patients() {
            let began = Instant::now();
            let last = (index + PIECES).min(self.saver.patients());
            let taken: Vec<_> = (index..last)
                .filter_map(|index| self.saver.save(index, pass))
                .collect();
            index = last;
            let sealed = taken.iter().map(|taken| {
                let sealed = pack(self.books.vault(), &taken.patient, TWIN, &taken.bytes)?;
                bytes += sealed.len() as u64;
                Some(piece(&taken.patient, sealed))
            });
            let pieces: Vec<_> = sealed.collect::<Option<_>>().ok_or(NotMade::NoKey)?;
            if !pieces.is_empty() {
                store.add(pass, &pieces)?;
                taken.iter().for_each(|taken| self.saver.kept(taken));
                written += pieces.len();
            }
            if !rest(began.elapsed()) {
                return Err(NotMade::Stopped);
            }
        }
        let patients = index;
        let (end, alerts) = self.saver.end();
        let registry = self.books.keep();
        let registry_at = registry.at();
        let header = Header {
            fold_version: twin::FOLD_VERSION,
            epoch: registry.epoch(),
            begin,
            begin_known: (self.known_at.0)(Position(begin)).unwrap_or(Time::ZERO),
            end,
            patients: u32::try_from(patients).unwrap_or(u32::MAX),
            registry_at,
            registry_known: (self.known_at.0)(registry_at).unwrap_or(Time::ZERO),
            ring: alerts.ring.iter().map(|record| record.at).collect(),
            latest: alerts.latest.iter().map(|record| record.at).collect(),
            dropped: alerts.dropped,
        };
        let known = places(before);
        let here = places_of(&header);
        let mut new: BTreeMap<(u64, u32), AlertPiece> = BTreeMap::new();
        for record in alerts.ring.iter().chain(&alerts.latest) {
            let place = (record.at.position, record.at.index);
            if !known.contains(&place) && !new.contains_key(&place) {
                new.insert(place, self.alert_piece(record).ok_or(NotMade::NoKey)?);
            }
        }
        let new: Vec<_> = new.into_values().collect();
        let openers = self.books.keep_openers();
        let openers: Option<Vec<_>> = openers
            .iter()
            .map(|(patient, opener)| self.opener_piece(patient, opener))
            .collect();
        let openers = openers.ok_or(NotMade::NoKey)?;
        let header = bytes_of(&header);
        let registry = bytes_of(&registry);
        let pass_row = Pass {
            pass,
            format: FORMAT,
            sum: sha256(&[&header, &registry]).to_vec(),
            header,
            registry,
        };
        // Those of the snapshot before stay for as long as it does.
        let needed: BTreeSet<_> = places(before.get(..1).unwrap_or_default())
            .union(&here)
            .copied()
            .collect();
        store.finish(&pass_row, &new, &needed, &openers)?;
        Ok(Made {
            pass,
            begin: Position(begin),
            written,
            patients,
            bytes,
        })
    }

    fn alert_piece(&self, record: &AlertRecord) -> Option<AlertPiece> {
        let mut plain = bytes_of(&(record.index.0, record.peak, record.key.clone()));
        plain.extend(record.alert.encode_to_vec());
        plain.extend(record.rested.kept().encode_to_vec());
        let sealed = self.books.vault().seal(&record.patient, ALERT, &plain)?;
        Some(AlertPiece {
            place: (record.at.position, record.at.index),
            piece: piece(&record.patient, sealed),
        })
    }

    fn opener_piece(&self, patient: &PatientId, opener: &Opener) -> Option<OpenerPiece> {
        let mut plain = vec![opener.suite().wire()];
        opener.stream().encode(&mut plain);
        let plain = zeroize::Zeroizing::new(
            [
                plain.as_slice(),
                opener.keys().batch.expose(),
                opener.keys().receipt.expose(),
            ]
            .concat(),
        );
        let purpose = format!("{OPENER} {}", opener.context());
        let sealed = self.books.vault().seal(patient, &purpose, &plain)?;
        Some(OpenerPiece {
            context: opener.context().0,
            piece: piece(patient, sealed),
        })
    }
}

fn piece(patient: &PatientId, sealed: Vec<u8>) -> Piece {
    Piece {
        patient: patient.reveal().into(),
        sealed,
    }
}

fn bytes_of(value: &impl Canonical) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

fn places_of(header: &Header) -> BTreeSet<(u64, u32)> {
    let all = header.ring.iter().chain(&header.latest);
    all.map(|at| (at.position, at.index)).collect()
}

fn places(passes: &[Pass]) -> BTreeSet<(u64, u32)> {
    let headers = passes.iter().filter_map(|pass| header_of(pass).ok());
    headers.flat_map(|header| places_of(&header)).collect()
}

/// What a finished snapshot says, if this program can read it.
fn header_of(pass: &Pass) -> Result<Header, Why> {
    if pass.format > FORMAT {
        return Err(Why::Newer);
    }
    if pass.sum != sha256(&[&pass.header, &pass.registry]) {
        return Err(Why::Torn);
    }
    twin::canonical::read(&pass.header).ok_or(Why::Torn)
}

/// Deflated, then sealed. `None` without a key.
fn pack(vault: &Vault, patient: &PatientId, purpose: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflated.write_all(plain).ok()?;
    let deflated = zeroize::Zeroizing::new(deflated.finish().ok()?);
    vault.seal(patient, purpose, &deflated)
}

/// The way back of [`pack`].
fn unpack(
    vault: &Vault,
    patient: &PatientId,
    purpose: &str,
    sealed: &[u8],
) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let deflated = vault.open_sealed(patient, purpose, sealed)?;
    let mut plain = zeroize::Zeroizing::new(Vec::new());
    let inflated = DeflateDecoder::new(deflated.as_slice()).take(LARGEST);
    let mut inflated = inflated;
    inflated.read_to_end(&mut plain).ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests;
