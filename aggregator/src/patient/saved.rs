//! A patient's whole part of the fold as bytes, and the fold's side of making a snapshot.
//!
//! A snapshot is not of one moment: patients are saved one after the other while the fold goes on, each between
//! two entries and with the position it stands at ([`SavedPatient::upto`]). The log is then folded again from where
//! the saving began, and each twin takes only what came after its own position. Places are given in the order of
//! the log for all patients together, so each patient also saves which places it took meanwhile: those that are
//! folded again get the ones that they had.
//!
//! Invariants: what is saved is the state at `upto`, with everything that the fold keeps of the patient; the fold
//! waits for one patient's bytes at most. Must not know: files, keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prost::Message as _;
use proto::seal::crypto::sha256;
use proto::v1;
use twin::canonical::{Canonical, read};
use twin::{AlertId, Twin, canonical_fields};
use vitals::{GatewayId, PatientId, StreamId, Time};

use super::cell::{Cell, Counts};
use super::fold::Shared;
use super::guarded::{Guarded, Step};
use crate::publish::{AlertIds, At, Hub, KeptAlerts};

/// Of the twin's canonical bytes.
const HASH: usize = 32;

/// All that the fold keeps of a patient. `Debug` of the twin tells values: nothing prints it.
#[derive(Clone)]
pub struct SavedPatient {
    /// Whose.
    pub patient: PatientId,
    /// The patient's number in order of appearance, from 0.
    pub index: u32,
    /// The journal position that this is the state of.
    pub upto: u64,
    pub(super) test_data: bool,
    newest: (At, Time, u64),
    places: BTreeMap<AlertId, u64>,
    own: Vec<(String, Vec<u8>)>,
    pub(super) streams: BTreeMap<StreamId, GatewayId>,
    counts: Counts,
    asleep: bool,
    unsettled: Option<u64>,
    pub(super) broken: Vec<u64>,
    pub(super) taken: Vec<At>,
    twin: Twin,
}

impl std::fmt::Debug for SavedPatient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SavedPatient(hidden)")
    }
}

canonical_fields! {
    At { position, index }
    Counts { readings_quarantined, entries_quarantined }
    SavedPatient {
        patient, index, upto, test_data, newest, places, own, streams, counts, asleep, unsettled, broken,
        taken, twin
    }
}

/// Why bytes are no patient's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// They do not parse.
    Bytes,
    /// The state that they give has another hash than the one that was saved.
    Hash,
}

impl SavedPatient {
    /// Reads what [`Saver::save`] wrote, and proves it: the state that was read has the hash of the one saved.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (hash, bytes) = bytes.split_at_checked(HASH).ok_or(Unreadable::Bytes)?;
        let saved: Self = read(bytes).ok_or(Unreadable::Bytes)?;
        if hash == state_hash(&saved.twin) {
            Ok(saved)
        } else {
            Err(Unreadable::Hash)
        }
    }
}

fn state_hash(twin: &Twin) -> [u8; HASH] {
    let mut state = Vec::new();
    twin.canonical_bytes(&mut state);
    sha256(&[&state])
}

impl Cell {
    fn to_saved(&self, index: u32, upto: u64, broken: Vec<u64>, pass: u64) -> SavedPatient {
        let state = self.lock();
        let own = state.own.iter();
        let taken = if state.save.pass == pass {
            state.save.taken.clone()
        } else {
            Vec::new()
        };
        SavedPatient {
            patient: self.id.clone(),
            index,
            upto,
            test_data: self.test_data,
            newest: state.newest(),
            places: state.places.clone(),
            own: own
                .map(|(key, alert)| (key.clone(), alert.encode_to_vec()))
                .collect(),
            streams: state.streams.clone(),
            counts: state.counts,
            asleep: state.asleep,
            unsettled: state.unsettled,
            broken,
            taken,
            twin: state.guarded.twin().clone(),
        }
    }

    /// As it was saved.
    pub(super) fn restored(saved: SavedPatient, ids: AlertIds, step: Step) -> Self {
        let guarded = Guarded::from_twin(step, saved.twin);
        let cell = Self::new(saved.patient, saved.test_data, ids, guarded);
        {
            let mut state = cell.lock();
            state.set_newest(saved.newest);
            state.places = saved.places;
            let own = saved.own.into_iter();
            let own = own.filter_map(|(key, alert)| {
                let alert = v1::Alert::decode(alert.as_slice()).ok()?;
                Some((key, alert))
            });
            state.own = own.collect();
            state.streams = saved.streams;
            state.counts = saved.counts;
            state.asleep = saved.asleep;
            state.unsettled = saved.unsettled;
            state.upto = saved.upto;
            // It lies in the snapshot that it came from.
            state.save.kept = Some(state.save.touched);
        }
        cell
    }
}

/// A patient's part, ready to be sealed.
#[derive(Clone)]
pub struct Taken {
    /// Whose.
    pub patient: PatientId,
    /// The patient's number.
    pub index: u32,
    /// The position that it is the state of.
    pub upto: u64,
    /// In clear: to be sealed before it goes anywhere.
    pub bytes: Vec<u8>,
    touched: u64,
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Taken(hidden)")
    }
}

/// What a snapshot is made from while the fold goes on. One snapshot at a time.
pub struct Saver {
    hub: Arc<Hub>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Saver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Saver")
    }
}

impl Saver {
    pub(super) const fn new(hub: Arc<Hub>, shared: Arc<Shared>) -> Self {
        Self { hub, shared }
    }

    /// A snapshot of this number (from 1) begins; gives the position from which on the log will be folded again.
    #[must_use]
    pub fn begin(&self, pass: u64) -> u64 {
        let at = self.shared.hold();
        self.shared.pass.store(pass, Ordering::Relaxed);
        *at
    }

    /// How many patients there are.
    #[must_use]
    pub fn patients(&self) -> usize {
        let cells = self.shared.cells.read();
        cells
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .len()
    }

    /// One patient's part as it stands now; `None` if it did not change since it was kept last.
    #[must_use]
    pub fn save(&self, index: usize, pass: u64) -> Option<Taken> {
        let cell = self.cell(index)?;
        let (saved, touched) = {
            // Between two entries: the state is that of the position.
            let at = self.shared.hold();
            let touched = {
                let state = cell.lock();
                let touched = state.save.touched;
                (state.save.kept != Some(touched)).then_some(touched)
            }?;
            let broken = self.shared.broken_of(&cell.id);
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            (cell.to_saved(index, *at, broken, pass), touched)
        };
        let mut bytes = state_hash(&saved.twin).to_vec();
        saved.encode(&mut bytes);
        Some(Taken {
            patient: saved.patient,
            index: saved.index,
            upto: saved.upto,
            bytes,
            touched,
        })
    }

    /// What [`Saver::save`] gave lies durable in a snapshot.
    pub fn kept(&self, taken: &Taken) {
        if let Some(cell) = usize::try_from(taken.index)
            .ok()
            .and_then(|index| self.cell(index))
        {
            cell.lock().save.kept = Some(taken.touched);
        }
    }

    /// What lies in no snapshot any more is saved again next time.
    pub fn forget(&self) {
        let cells = self.shared.cells.read();
        let cells = cells
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        for cell in cells {
            cell.lock().save.kept = None;
        }
    }

    /// All patients are saved: the alerts, and the position that they are of.
    #[must_use]
    pub fn end(&self) -> (u64, KeptAlerts) {
        let at = self.shared.hold();
        self.shared.pass.store(0, Ordering::Relaxed);
        (*at, self.hub.keep_alerts())
    }

    fn cell(&self, index: usize) -> Option<Arc<Cell>> {
        let cells = self.shared.cells.read();
        let cells = cells.unwrap_or_else(std::sync::PoisonError::into_inner);
        cells.get(index).cloned()
    }
}
