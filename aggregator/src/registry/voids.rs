//! What people voided: readings that are not told any more, as of which entry, by whose word, and whether the twin still
//! rests on them.

use twin::canonical_fields;
use twin::event::Void;
use vitals::{PatientId, Time};

use super::Registry;
use crate::journal::{Entry, Position, SealedText};

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

/// One word of a person that voided readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voiding {
    /// The entry.
    pub position: Position,
    /// Who, as the gate named them.
    pub by: String,
    /// Why, sealed (`Books::open_reason`).
    pub reason: SealedText,
    /// Who had worn the sensor, if that is known.
    pub moved_to: Option<PatientId>,
    /// From this entry on nothing in the twin rests on those readings; `None`: the log is being read again.
    pub settled: Option<Position>,
}

canonical_fields! {
    Voiding { position, by, reason, moved_to, settled }
}

impl Registry {
    pub(super) fn note_void(&mut self, position: Position, entry: &Entry) {
        if let Entry::Voided {
            patient,
            sources,
            from,
            to,
            since,
            by,
            reason,
            moved_to,
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
            let of = self.voidings.entry(patient.clone()).or_default();
            of.push(Voiding {
                position,
                by: by.clone(),
                reason: reason.clone(),
                moved_to: moved_to.clone(),
                settled: None,
            });
        }
    }

    /// The newest settles those before it, too; what is said of an older one came too late.
    pub(super) fn note_settled(&mut self, position: Position, patient: &PatientId, void: Position) {
        let Some(of) = self.voidings.get_mut(patient) else {
            return;
        };
        if of.last().is_some_and(|last| last.position == void) {
            for one in of.iter_mut() {
                one.settled.get_or_insert(position);
            }
        }
    }

    /// What was voided in a patient's log.
    #[must_use]
    pub fn voids(&self, patient: &PatientId) -> &[Voided] {
        self.voids.get(patient).map_or(&[], Vec::as_slice)
    }

    /// By whose word, in the order of the log.
    #[must_use]
    pub fn voidings(&self, patient: &PatientId) -> &[Voiding] {
        self.voidings.get(patient).map_or(&[], Vec::as_slice)
    }

    /// Where the newest void of anybody was settled: a replay that begins before it reads the whole log again there.
    /// [`Position::START`]: there is none; the largest one: one is not settled.
    #[must_use]
    pub fn needs_the_log_at(&self) -> Position {
        let all = self.voidings.values().flatten();
        let at = all.map(|one| one.settled.unwrap_or(Position(u64::MAX)));
        at.max().unwrap_or(Position::START)
    }
}
