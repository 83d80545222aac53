//! `TwinService.LookIn`: who else has a patient's page open, told to people at the page for as long as they look.
//!
//! Invariants: rights are asked once a second and before each answer; a right that ended ends the stream. Must not know: what is shown of
//! patients.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::unfold;
use proto::v1::{Looker, Lookers as Told};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;
use vitals::PatientId;

use super::watch::Events;
use crate::chain::KEEP_ALIVE;
use crate::counters::Refused;
use crate::gate::{Kind, Reason, Role};
use crate::serve::access::{Access, Caller};
use crate::serve::error;
use crate::serve::lookers::{Lookers, Looking};
use crate::serve::peer::Stopping;

/// Rights are looked at so often.
const RIGHTS: Duration = Duration::from_secs(1);
/// Whoever leafs through pages is not told to everybody page by page.
const SETTLE: Duration = Duration::from_millis(200);

struct Look {
    access: Arc<Access>,
    caller: Caller,
    person: String,
    patient: Option<PatientId>,
    lookers: Arc<Lookers>,
    changes: watch::Receiver<()>,
    stopping: Stopping,
    told: Option<Told>,
    told_at: Instant,
    /// They are here for as long as this is.
    _page: Looking,
}

/// The stream for `caller`, who has the page of `patient` open, or of nobody.
pub(super) fn open(
    access: Arc<Access>,
    lookers: Arc<Lookers>,
    (caller, stopping): (Caller, Stopping),
    patient: Option<PatientId>,
) -> Result<Events<Told>, Status> {
    let Role::Person(person) = access.actor(&caller).role else {
        return Err(error::denied(Reason::RoleMayNot));
    };
    let may = access.check(&caller, patient.as_ref(), Kind::Twin);
    may.map_err(error::denied)?;
    let changes = lookers.changes();
    let page = lookers.open(&person.name, patient.clone());
    let look = Look {
        _page: page.ok_or_else(|| error::busy("pages of one person are open"))?,
        access,
        caller,
        person: person.name,
        patient,
        lookers,
        changes,
        stopping,
        told: None,
        told_at: Instant::now(),
    };
    Ok(Box::pin(unfold(Some(look), |look| async move {
        let mut look = look?;
        let answer = look.next().await;
        let goes_on = answer.is_ok();
        Some((answer, goes_on.then_some(look)))
    })))
}

impl Look {
    async fn next(&mut self) -> Result<Told, Status> {
        loop {
            if self.stopping.0.is_cancelled() {
                return Err(error::stopping());
            }
            let may = self
                .access
                .check(&self.caller, self.patient.as_ref(), Kind::Twin);
            may.map_err(|reason| {
                self.access.counters().refuse(Refused::Gate);
                error::denied(reason)
            })?;
            let now = self.now();
            if self.told.as_ref() != Some(&now) || self.told_at.elapsed() >= KEEP_ALIVE {
                self.told = Some(now.clone());
                self.told_at = Instant::now();
                return Ok(now);
            }
            tokio::select! {
                // The sender lives in `lookers`: the wait cannot fail.
                _ = self.changes.changed() => tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(RIGHTS) => {}
                () = self.stopping.0.cancelled() => {}
            }
        }
    }

    fn now(&self) -> Told {
        let may = |patient: &PatientId| {
            let check = self.access.check(&self.caller, Some(patient), Kind::Twin);
            check.is_ok()
        };
        let seen = self.lookers.beside(&self.person, may);
        let looker = |(patient, people): (PatientId, _)| Looker {
            patient: patient.reveal().to_owned(),
            people: std::collections::BTreeSet::into_iter(people).collect(),
        };
        Told {
            lookers: seen.into_iter().map(looker).collect(),
        }
    }
}
