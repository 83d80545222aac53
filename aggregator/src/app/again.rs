//! The journal read again for the fold of one patient: beside the writer, with a registry of its own.
//!
//! Must not know: what is made of it.

use std::sync::Arc;

use vitals::{PatientId, Time};

use crate::journal::{Committed, Entry, JournalError, Keeper, Medium, Opened, Position, Replay};
use crate::patient::{Again, Pages};
use crate::registry::Books;
use crate::vault::Vault;

/// A journal, and the keys to what lies in it.
pub struct FromLog {
    medium: Arc<dyn Medium>,
    vault: Arc<Vault>,
}

impl std::fmt::Debug for FromLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FromLog")
    }
}

impl FromLog {
    /// Of the journal on this medium.
    #[must_use]
    pub const fn new(medium: Arc<dyn Medium>, vault: Arc<Vault>) -> Self {
        Self { medium, vault }
    }
}

impl Again for FromLog {
    fn open(&self, patient: &PatientId) -> Result<Box<dyn Pages>, JournalError> {
        let keeper = Arc::new(OfOne {
            books: Books::new(Arc::clone(&self.vault)),
            patient: patient.clone(),
        });
        let medium = Arc::clone(&self.medium);
        Ok(Box::new(Reading { medium, keeper }))
    }
}

struct Reading {
    medium: Arc<dyn Medium>,
    keeper: Arc<OfOne>,
}

impl Pages for Reading {
    fn read(
        &mut self,
        after: Position,
        end: Position,
        take: &mut dyn FnMut(&Committed) -> bool,
    ) -> Result<(), JournalError> {
        // How far it reaches is looked up each time: it grows.
        let replay = Replay::on(Arc::clone(&self.medium), Arc::clone(&self.keeper) as _)?;
        replay.run_while(after, end, |committed| take(&committed))
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
