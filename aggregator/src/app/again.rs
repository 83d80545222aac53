//! The journal read again for the fold of one patient: from the disk, beside the writer, with keys of its own.
//!
//! Must not know: what is made of it.

use std::path::PathBuf;
use std::sync::Arc;

use vitals::{PatientId, Time};

use crate::dir::CentreDir;
use crate::journal::{Committed, Entry, JournalError, Keeper, Opened, Position, Replay};
use crate::patient::Again;
use crate::registry::Books;
use crate::vault::Vault;

/// The journal and the vault of a centre.
pub(crate) struct FromDisk {
    journal: PathBuf,
    vault: PathBuf,
}

impl FromDisk {
    pub(crate) fn new(dir: &CentreDir) -> Self {
        Self {
            journal: dir.journal(),
            vault: dir.vault(),
        }
    }
}

impl Again for FromDisk {
    fn read(
        &self,
        patient: &PatientId,
        end: u64,
        take: &mut dyn FnMut(&Committed),
    ) -> Result<(), JournalError> {
        let vault = Vault::open_to_read(&self.vault);
        let vault = vault.map_err(|error| JournalError::Read(error.to_string().into()))?;
        let of = OfOne {
            books: Books::new(Arc::new(vault)),
            patient: patient.clone(),
        };
        let replay = Replay::open(&self.journal, Arc::new(of))?;
        replay.run(Position::START, Position(end), |committed| take(&committed))
    }
}

/// Opens one patient's batches alone.
struct OfOne {
    books: Books,
    patient: PatientId,
}

impl Keeper for OfOne {
    fn apply(&self, position: Position, known: Time, entry: &Entry) {
        self.books.apply(position, known, entry);
    }

    fn unseal(&self, entry: &Entry) -> Option<Arc<Opened>> {
        if let Entry::Batch { record, .. } = entry {
            let stream = proto::seal::parse_stub(record).ok()?.stream;
            let registry = self.books.registry();
            if registry.stream(stream)?.patient != self.patient {
                return None;
            }
        }
        self.books.unseal(entry)
    }
}
