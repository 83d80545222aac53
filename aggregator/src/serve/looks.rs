//! Who looks at what: written down before anything is shown.
//!
//! Invariants: [`Looks::note`] returns once the entry is durable, and nothing is shown to who gets an error; what
//! somebody is shown of the same patient and kind within [`HOLDS`] is one entry, however often; memory is bounded by who
//! looked within that time. Must not know: gRPC, who may look.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::clock::Clock;
use vitals::{PatientId, Span, Time};

use crate::journal::{Entry, Journal, Sight};

/// An entry vouches for what is shown within this time.
pub const HOLDS: Span = Span::from_mins(60);
/// Longest wait for the journal, real time.
const WAIT: Duration = Duration::from_secs(10);
/// Different sights of one person within [`HOLDS`]; who has more is noted as looking at all kinds.
const SIGHTS: usize = 256;

/// It cannot be written down, so nothing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "who looks at a patient is written down first, and that cannot be done now: an operator has to look at `status`"
)]
pub struct Unnoted;

/// What may be shown, as far as it is written down.
#[derive(Clone, Debug)]
pub struct Noted {
    until: Time,
    /// `None`: of everybody.
    patients: Option<Arc<HashSet<PatientId>>>,
}

impl Noted {
    /// Nobody notes what patients see of themselves.
    #[must_use]
    pub const fn own() -> Self {
        Self {
            until: Time::MAX,
            patients: None,
        }
    }

    /// Whether it has to be written down anew at that time.
    #[must_use]
    pub fn is_over(&self, at: Time) -> bool {
        at >= self.until
    }

    /// Whether it holds for this patient.
    #[must_use]
    pub fn holds_for(&self, patient: &PatientId) -> bool {
        let patients = self.patients.as_ref();
        patients.is_none_or(|patients| patients.contains(patient))
    }

    /// Whom it holds for.
    #[must_use]
    pub fn patients(&self) -> Vec<PatientId> {
        let patients = self.patients.iter().flat_map(|patients| patients.iter());
        patients.cloned().collect()
    }
}

/// What one person is shown within an hour.
#[derive(Debug)]
struct Hour {
    until: Time,
    seen: HashMap<Sight, Arc<HashSet<PatientId>>>,
}

/// See the module.
#[derive(Debug)]
pub struct Looks {
    journal: Journal,
    clock: Clock,
    hours: Mutex<HashMap<String, Hour>>,
}

impl Looks {
    /// Over this journal.
    #[must_use]
    pub fn new(journal: Journal, clock: Clock) -> Self {
        Self {
            journal,
            clock,
            hours: Mutex::default(),
        }
    }

    /// Writes down that `by` is shown `sight` of `patients`, as far as that is not written down yet.
    ///
    /// # Errors
    /// [`Unnoted`] if it did not become durable.
    pub async fn note(
        &self,
        by: &str,
        sight: Sight,
        patients: &[PatientId],
    ) -> Result<Noted, Unnoted> {
        let now = self.clock.now();
        let (sight, until, seen) = self.known(by, sight, now);
        let new = patients.iter().filter(|patient| !seen.contains(patient));
        let new: Vec<PatientId> = new.cloned().collect();
        if new.is_empty() {
            return Ok(Noted {
                until,
                patients: Some(seen),
            });
        }
        let entry = Entry::Looked {
            by: by.to_owned(),
            sight: sight.clone(),
            patients: new.clone(),
            from: now,
            until,
        };
        let appended = tokio::time::timeout(WAIT, self.journal.append(vec![entry.into()])).await;
        let is_durable = matches!(appended, Ok(Ok(_)));
        if !is_durable {
            return Err(Unnoted);
        }
        Ok(Noted {
            until,
            patients: Some(self.learn(by, sight, until, seen, new)),
        })
    }

    /// What is written down of it, and until when that holds.
    fn known(&self, by: &str, sight: Sight, now: Time) -> (Sight, Time, Arc<HashSet<PatientId>>) {
        let mut hours = self.lock();
        if hours.get(by).is_none_or(|hour| now >= hour.until) {
            hours.retain(|_, hour| now < hour.until);
            let hour = Hour {
                until: now + HOLDS,
                seen: HashMap::new(),
            };
            hours.insert(by.to_owned(), hour);
        }
        let hour = &hours[by];
        let kinds = if hour.seen.len() < SIGHTS || hour.seen.contains_key(&sight) {
            sight.kinds
        } else {
            Vec::new()
        };
        let sight = Sight { kinds, ..sight };
        let seen = hour.seen.get(&sight).cloned().unwrap_or_default();
        (sight, hour.until, seen)
    }

    /// After the entry is durable, never before.
    fn learn(
        &self,
        by: &str,
        sight: Sight,
        until: Time,
        seen: Arc<HashSet<PatientId>>,
        new: Vec<PatientId>,
    ) -> Arc<HashSet<PatientId>> {
        let mut hours = self.lock();
        // Another hour may have begun meanwhile: this entry says nothing about it.
        let hour = hours.get_mut(by).filter(|hour| hour.until == until);
        let mut alone = seen;
        let seen = hour.map_or(&mut alone, |hour| hour.seen.entry(sight).or_default());
        Arc::make_mut(seen).extend(new);
        Arc::clone(seen)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Hour>> {
        self.hours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
