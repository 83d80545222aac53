//! What people voided: readings that are not told any more, as of which entry.

use twin::event::Void;
use vitals::{PatientId, Time};

use super::Registry;
use crate::journal::{Entry, Position};

/// Readings of a sensor that are not told any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voided {
    /// Which.
    pub void: Void,
    /// The entry that says so ...
    pub position: Position,
    /// ... and its time, by the centre's clock.
    pub since: Time,
}

impl Registry {
    pub(super) fn note_void(&mut self, position: Position, entry: &Entry) {
        if let Entry::Voided {
            patient,
            sources,
            from,
            to,
            since,
            ..
        } = entry
        {
            let of = self.voids.entry(patient.clone()).or_default();
            of.extend(sources.iter().map(|(stream, source)| Voided {
                void: Void {
                    stream: *stream,
                    source: *source,
                    from: *from,
                    to: *to,
                },
                position,
                since: *since,
            }));
        }
    }

    /// What was voided in a patient's log.
    #[must_use]
    pub fn voids(&self, patient: &PatientId) -> &[Voided] {
        self.voids.get(patient).map_or(&[], Vec::as_slice)
    }
}
