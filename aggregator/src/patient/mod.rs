//! The fold: every durable entry, in order, into the twins it concerns.
//!
//! `Committed` entry -> `event` (what it means to which patient) -> `fold` (deadlines first, then the
//! entry) -> `guarded` (`twin::step`, which may panic without harm) -> `publish` (places, alerts). One thread
//! owns all twins ([`Folder`]); [`Patients`] is what the rest of the centre holds.
//!
//! `anew` reads a log once more where readings were voided, beside the fold.
//!
//! Invariants: entries are folded in position order, each once, and only when durable; a deadline `d` fires
//! with `now = d`, in (d, patient) order, when the log reaches an entry with known time >= d, before that
//! entry's own event; a step that panics changes nothing, its entry is quarantined for that patient by an entry
//! of its own, and everything else goes on. The same log gives the same twins, alerts and places.
//!
//! Must not know: gRPC, MQTT, who may see what, how the journal stores.

mod anew;
mod care;
mod cell;
mod event;
mod facts;
mod fold;
mod guarded;
mod rehearsal;
mod run;
mod saved;

#[cfg(test)]
mod tests;

pub use anew::{Again, Pages, Rereading};
pub use care::CareError;
pub use facts::FactsError;
pub use fold::{Fold, Quarantine};
pub use rehearsal::Rehearsal;
pub use run::{Folder, NoteSealer, Patients, Totals};
pub use saved::{SavedPatient, Saver, Taken, Unreadable};
