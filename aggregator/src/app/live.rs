//! What the operators' desk learns of the rest of the centre: one that serves, and one that does not.
//!
//! Must not know: who asks.

use std::sync::Arc;

use proto::v1::CentreStatus;
use vitals::{PatientId, SourceId, StreamId};

use super::certificate::ServerCertificate;
use crate::admin::{HISTORY_STOPPED, Live};
use crate::history::History;
use crate::patient::Patients;
use crate::serve::signin::SignIn;
use crate::snapshot::Snapshots;

/// A centre that serves.
pub(super) struct Running {
    pub(super) certificate: Arc<ServerCertificate>,
    pub(super) patients: Patients,
    pub(super) sign_in: Arc<SignIn>,
    pub(super) page: String,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) history: History,
}

impl Live for Running {
    fn fill(&self, status: &mut CentreStatus) {
        fill(&self.patients, status);
        status.watchers = u32::try_from(self.patients.hub().watchers()).unwrap_or(u32::MAX);
        status.server_certificate_expires_us = self.certificate.ends().as_micros();
        for (why, count) in self.snapshots.health().failed {
            status.refused.insert(why.into(), count);
        }
        if self.history.has_stopped() {
            status.refused.insert(HISTORY_STOPPED.into(), 1);
        }
    }

    fn sources(&self, patient: &PatientId, device: &str) -> Vec<(StreamId, SourceId)> {
        self.patients.sources(patient, device)
    }

    fn sign_in(&self, person: &str) -> Option<String> {
        Some(format!(
            "{}sign-in?code={}",
            self.page,
            self.sign_in.create_code(person)
        ))
    }
}

/// A centre that does not.
pub(super) struct Still {
    pub(super) patients: Patients,
}

impl Live for Still {
    fn fill(&self, status: &mut CentreStatus) {
        fill(&self.patients, status);
    }

    fn sources(&self, patient: &PatientId, device: &str) -> Vec<(StreamId, SourceId)> {
        self.patients.sources(patient, device)
    }

    fn sign_in(&self, _: &str) -> Option<String> {
        None
    }
}

fn fill(patients: &Patients, status: &mut CentreStatus) {
    let totals = patients.totals();
    status.readings_applied = totals.applied;
    status.readings_duplicated = totals.duplicated;
    status.readings_declared_lost = totals.declared_lost;
    status.losses_of_unknown_size = totals.losses_of_unknown_size;
    status.readings_quarantined = totals.quarantined;
    if totals.entries_quarantined > 0 {
        let count = totals.entries_quarantined;
        status.refused.insert("quarantined_entry".into(), count);
    }
}
