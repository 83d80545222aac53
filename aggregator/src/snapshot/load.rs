//! The start: the newest snapshot that holds, read on all cores.
//!
//! Invariants: either a whole snapshot is restored or nothing is; nothing of one that fails anywhere is used.
//! Must not know: how it was made.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use prost::Message as _;
use proto::seal::Opener;
use proto::seal::crypto::{ContextKeys, Secret, Suite};
use proto::v1;
use twin::canonical::{Canonical, read};
use vitals::{ContextId, PatientId, StreamId, Time};

use super::store::{AlertPiece, OpenerPiece, Pass, SnapshotStore};
use super::{ALERT, Header, OPENER, TWIN, Why, header_of, unpack};
use crate::journal::Position;
use crate::patient::{Fold, SavedPatient, Unreadable};
use crate::publish::{AlertRecord, At, Events as _, Kept, KeptAlerts, PatientIndex, Rested};
use crate::registry::{Books, Registry};
use crate::rules;
use crate::vault::Vault;

/// What a start found.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// The log is to be folded from after this position; `None`: from its beginning.
    pub begin: Option<Position>,
    /// Patients.
    pub patients: usize,
    /// Why newer snapshots were not used.
    pub ignored: Vec<Why>,
}

/// Everything of a snapshot, in memory.
struct Whole {
    header: Header,
    registry: Registry,
    patients: Vec<SavedPatient>,
    alerts: KeptAlerts,
    openers: Vec<Opener>,
}

/// Puts the newest snapshot that holds, and that says nothing of entries after `upto`, into books and fold, which must
/// be empty. `known_at` tells the known time of a journal's entry. Damage is told and counted, never an error: the
/// journal holds what is needed. Where only the fold is of another version, the registry is still restored: it knows
/// which batches were taken, also those that the journal no longer keeps.
pub fn restore(
    path: &Path,
    books: &Books,
    fold: &mut Fold,
    known_at: &dyn Fn(Position) -> Option<Time>,
    upto: Position,
) -> Restored {
    let mut restored = Restored::default();
    if !path.exists() {
        return restored;
    }
    let passes = SnapshotStore::open_to_read(path).and_then(|store| store.passes());
    let passes = match passes {
        Ok(passes) => passes,
        Err(error) => {
            restored.ignored.push(error.into());
            return restored;
        }
    };
    for pass in &passes {
        if header_of(pass).is_ok_and(|header| header.end > upto.0) {
            continue;
        }
        match whole(path, pass, books.vault(), known_at) {
            Ok(whole) => {
                restored.begin = Some(Position(whole.header.begin));
                restored.patients = whole.patients.len();
                let rules = rules::in_force(&whole.registry, Position(whole.header.begin)).rules;
                books.restore(whole.registry, whole.openers);
                let hub = Arc::clone(fold.hub());
                hub.begin_epoch(whole.header.epoch);
                fold.restore(
                    (whole.header.begin, whole.header.begin_known),
                    rules,
                    whole.patients,
                );
                hub.restore_alerts(whole.alerts, whole.header.end);
                break;
            }
            Err(why) => {
                tracing::error!(
                    pass = pass.pass,
                    why = why.as_str(),
                    "a snapshot is not used"
                );
                restored.ignored.push(why);
            }
        }
    }
    if restored.begin.is_none() && restored.ignored.contains(&Why::FoldVersion) {
        let registry = passes.iter().find_map(|pass| {
            let header = header_of(pass).ok()?;
            registry(pass, &header, known_at).ok()
        });
        if let Some(registry) = registry {
            books.restore(registry, Vec::new());
        }
    }
    restored
}

/// Reads back everything that a start would need of the newest snapshot, on one core.
///
/// # Errors
/// Why it would not be used.
pub fn verify(
    path: &Path,
    vault: &Vault,
    known_at: &dyn Fn(Position) -> Option<Time>,
) -> Result<Position, Why> {
    let passes = SnapshotStore::open_to_read(path)?.passes()?;
    let newest = passes.first().ok_or(Why::Torn)?;
    let oldest = passes.last().ok_or(Why::Torn)?;
    // What a fall back to an older one would fold again stays, too.
    let begin = header_of(oldest)?.begin;
    whole_on(1, path, newest, vault, known_at)?;
    Ok(Position(begin))
}

fn registry(
    pass: &Pass,
    header: &Header,
    known_at: &dyn Fn(Position) -> Option<Time>,
) -> Result<Registry, Why> {
    if known_at(header.registry_at) != Some(header.registry_known) {
        return Err(Why::OtherJournal);
    }
    read(&pass.registry).ok_or(Why::Torn)
}

fn whole(
    path: &Path,
    pass: &Pass,
    vault: &Vault,
    known_at: &dyn Fn(Position) -> Option<Time>,
) -> Result<Whole, Why> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    whole_on(cores, path, pass, vault, known_at)
}

fn whole_on(
    cores: usize,
    path: &Path,
    pass: &Pass,
    vault: &Vault,
    known_at: &dyn Fn(Position) -> Option<Time>,
) -> Result<Whole, Why> {
    let header = header_of(pass)?;
    if header.fold_version > twin::FOLD_VERSION {
        return Err(Why::Newer);
    }
    if header.fold_version != twin::FOLD_VERSION {
        return Err(Why::FoldVersion);
    }
    let registry = registry(pass, &header, known_at)?;
    let patients = patients(cores, path, pass.pass, vault)?;
    let complete = usize::try_from(header.patients) == Ok(patients.len())
        && patients
            .iter()
            .zip(0..)
            .all(|(saved, index)| saved.index == index);
    if !complete {
        return Err(Why::Torn);
    }
    let store = SnapshotStore::open_to_read(path)?;
    let alerts = alerts(&header, store.alerts()?, vault)?;
    let openers = store.openers()?;
    let openers = openers.iter().map(|piece| opener(piece, vault));
    let openers: Option<Vec<_>> = openers.collect();
    Ok(Whole {
        registry,
        patients,
        alerts,
        openers: openers.ok_or(Why::Unreadable)?,
        header,
    })
}

/// Every patient's part, in their order.
fn patients(cores: usize, path: &Path, pass: u64, vault: &Vault) -> Result<Vec<SavedPatient>, Why> {
    let ids = SnapshotStore::open_to_read(path)?.patients(pass)?;
    let share = ids.len().div_ceil(cores).max(1);
    let parts = std::thread::scope(|scope| {
        let readers: Vec<_> = ids
            .chunks(share)
            .map(|ids| scope.spawn(move || some_patients(path, pass, vault, ids)))
            .collect();
        let joined = readers.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.collect::<Vec<_>>()
    });
    let mut all = Vec::with_capacity(ids.len());
    for part in parts {
        all.extend(part.map_err(|_| Why::Unreadable)??);
    }
    all.sort_by_key(|saved| saved.index);
    Ok(all)
}

fn some_patients(
    path: &Path,
    pass: u64,
    vault: &Vault,
    ids: &[String],
) -> Result<Vec<SavedPatient>, Why> {
    let store = SnapshotStore::open_to_read(path)?;
    let one = |id: &String| {
        let patient = PatientId::parse(id).ok_or(Why::Torn)?;
        let sealed = store.twin(id, pass)?.ok_or(Why::Torn)?;
        let plain = unpack(vault, &patient, TWIN, &sealed).ok_or(Why::Unreadable)?;
        let saved = SavedPatient::read(&plain).map_err(|unreadable| match unreadable {
            Unreadable::Bytes => Why::Unreadable,
            Unreadable::Hash => Why::Hash,
        })?;
        if saved.patient == patient {
            Ok(saved)
        } else {
            Err(Why::Unreadable)
        }
    };
    ids.iter().map(one).collect()
}

fn alerts(header: &Header, pieces: Vec<AlertPiece>, vault: &Vault) -> Result<KeptAlerts, Why> {
    let wanted = super::places_of(header);
    let mut records: BTreeMap<At, Arc<AlertRecord>> = BTreeMap::new();
    for AlertPiece { place, piece } in pieces {
        if !wanted.contains(&place) {
            continue;
        }
        let at = At {
            position: place.0,
            index: place.1,
        };
        let patient = PatientId::parse(&piece.patient).ok_or(Why::Torn)?;
        let plain = vault.open_sealed(&patient, ALERT, &piece.sealed);
        let plain = plain.ok_or(Why::Unreadable)?;
        let record = record(at, patient, &plain).ok_or(Why::Unreadable)?;
        records.insert(at, Arc::new(record));
    }
    let of = |places: &[At]| {
        let found = places.iter().map(|at| records.get(at).cloned());
        found.collect::<Option<Vec<_>>>().ok_or(Why::Torn)
    };
    Ok(KeptAlerts {
        ring: of(&header.ring)?,
        latest: of(&header.latest)?,
        dropped: header.dropped,
    })
}

fn record(at: At, patient: PatientId, mut plain: &[u8]) -> Option<AlertRecord> {
    let (index, peak, key) = Canonical::decode(&mut plain)?;
    let alert = Arc::new(v1::Alert::decode(plain).ok()?);
    let rested = Rested::from(Kept::decode(plain).ok()?).and(&alert);
    let whose = (patient, PatientIndex(index));
    let so_far = (peak, rested);
    Some(AlertRecord::new(whose, at, so_far, key, alert))
}

fn opener(piece: &OpenerPiece, vault: &Vault) -> Option<Opener> {
    let context = ContextId(piece.context);
    let patient = PatientId::parse(&piece.piece.patient)?;
    let purpose = format!("{OPENER} {context}");
    let plain = vault.open_sealed(&patient, &purpose, &piece.piece.sealed)?;
    let mut rest = plain.as_slice();
    let suite = Suite::from_wire(u8::decode(&mut rest)?)?;
    let stream = StreamId::decode(&mut rest)?;
    let (batch, receipt) = rest.split_at_checked(32)?;
    let keys = ContextKeys {
        batch: Secret::from_slice(batch)?,
        receipt: Secret::from_slice(receipt)?,
    };
    Some(Opener::from_keys(suite, stream, context, keys))
}
