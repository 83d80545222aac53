//! A patient's log folded once more, without what was voided in it.
//!
//! Promises: what comes of it is what the fold would have given had the voided readings never come, except what people
//! did about alerts, which is kept by whoever amends the twin. Must not know: publishing, other patients' twins.

use twin::event::{MAX_VOIDS, Void};
use twin::{Event, Twin};
use vitals::{PatientId, Time};

use super::event::{Meaning, meaning};
use super::guarded::{Guarded, Step};
use crate::journal::{Committed, JournalError};

/// Reads the log again.
pub trait Again: Send + Sync {
    /// Every entry before `end` in order; of batches only this patient's need be opened.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(
        &self,
        patient: &PatientId,
        end: u64,
        take: &mut dyn FnMut(&Committed),
    ) -> Result<(), JournalError>;
}

/// The twin that the log before `end` gives without the voided readings, at `known`; `None` if it cannot be read: then
/// only what still comes can be left out.
pub(super) fn fold(
    again: Option<&dyn Again>,
    step: Step,
    patient: &PatientId,
    voids: &[Void],
    end: (u64, Time),
) -> Option<Twin> {
    let voids = &voids[voids.len().saturating_sub(MAX_VOIDS)..];
    let folded = again.map(|again| read(again, step, patient, voids, end));
    match folded {
        Some(Ok(twin)) => Some(twin),
        Some(Err(error)) => {
            tracing::error!(position = end.0, %error, "the log cannot be read without what was voided");
            None
        }
        None => {
            tracing::error!(
                position = end.0,
                "there is no log to read without what was voided"
            );
            None
        }
    }
}

fn read(
    again: &dyn Again,
    step: Step,
    patient: &PatientId,
    voids: &[Void],
    (end, known): (u64, Time),
) -> Result<Twin, JournalError> {
    let mut guarded = Guarded::from_twin(step, Twin::without(voids));
    let (mut effects, mut before) = (Vec::new(), Time::ZERO);
    let mut one = |event: Event, at: Time| {
        // What panics is left out here as it was there.
        let _ = guarded.step(event, at, &mut effects);
        effects.clear();
    };
    again.read(patient, end, &mut |committed| {
        let at = committed.known;
        match meaning(committed) {
            Meaning::One { patient: of, event } if of == *patient => {
                if !matches!(event, Event::Acknowledged { .. } | Event::Care { .. }) {
                    one(event, at);
                }
            }
            Meaning::GatewayRevoked(gateway) => one(Event::GatewayRevoked { gateway }, at),
            Meaning::StreamFrozen(stream) => one(Event::StreamFrozen { stream }, at),
            Meaning::Epoch(epoch) if epoch > 1 => one(Event::Restored { since: before }, at),
            Meaning::One { .. }
            | Meaning::Begin { .. }
            | Meaning::Epoch(_)
            | Meaning::OwnAlertAcknowledged { .. }
            | Meaning::Quarantined { .. }
            | Meaning::Voided { .. }
            | Meaning::Nothing => {}
        }
        before = at;
    })?;
    one(Event::Tick, known);
    Ok(guarded.into_twin())
}
