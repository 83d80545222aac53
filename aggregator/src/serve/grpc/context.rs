//! `ContextService`: what people know about a patient that no sensor measures.

use std::sync::Arc;

use proto::v1::context_service_server::ContextService;
use proto::v1::{
    AccessPart, Fact, FactKind, GetContextRequest, PatientContext, RecordFactsRequest,
};
use tonic::{Request, Response, Status};
use vitals::PatientId;

use super::{caller, current, patient};
use crate::gate::Kind;
use crate::patient::Patients;
use crate::serve::access::{Access, Caller, Seen};
use crate::serve::error;

/// Longest text that is looked at, characters; what is longer than a field may be is refused behind it.
const TEXT: usize = 4000;

pub(in crate::serve) struct ContextApi {
    pub(in crate::serve) patients: Patients,
    pub(in crate::serve) access: Arc<Access>,
}

#[tonic::async_trait]
impl ContextService for ContextApi {
    async fn get(
        &self,
        request: Request<GetContextRequest>,
    ) -> Result<Response<PatientContext>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let patient = patient("patient", &request.get_ref().patient)?;
        self.access
            .check(&caller, Some(&patient), Kind::Twin)
            .map_err(error::denied)?;
        // A fact may tell of anything.
        self.access.whole(&caller).map_err(error::denied)?;
        let known = self.patients.facts(&patient);
        let known = known.map_err(|failed| error::facts(&failed))?;
        self.look(&caller, patient).await?;
        Ok(Response::new(known))
    }

    async fn record(
        &self,
        request: Request<RecordFactsRequest>,
    ) -> Result<Response<PatientContext>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.into_inner();
        let patient = patient("patient", &asked.patient)?;
        // Asked before anything is said of the patient, and again below for what it turns out to be.
        self.access
            .check(&caller, Some(&patient), Kind::Report)
            .map_err(error::denied)?;
        let facts = asked.facts.into_iter().map(readable);
        let facts = facts.collect::<Result<Vec<_>, _>>()?;
        if facts.is_empty() && asked.retract.is_empty() {
            return Err(error::invalid("facts", "must hold one, or `retract` must"));
        }
        let known = self.patients.facts(&patient);
        let known = known.map_err(|failed| error::facts(&failed))?.facts;
        let by = self.access.actor(&caller).name();
        self.access
            .check(
                &caller,
                Some(&patient),
                means(&known, &facts, &asked.retract, &by),
            )
            .map_err(error::denied)?;
        let done = self
            .patients
            .record_facts(&patient, &by, facts, asked.retract);
        let known = done.await.map_err(|failed| error::facts(&failed))?;
        // It is done; the answer shows all that is known.
        self.look(&caller, patient).await?;
        Ok(Response::new(known))
    }
}

impl ContextApi {
    async fn look(&self, caller: &Caller, patient: PatientId) -> Result<(), Status> {
        let seen = Seen::of(AccessPart::Facts);
        let noted = self.access.look(caller, &seen, &[patient]).await;
        noted.map(drop).map_err(error::unnoted)
    }
}

/// What it is to the gate that `by` says these facts, replaces those of the same ids, and takes back others.
fn means(known: &[Fact], facts: &[Fact], retract: &[String], by: &str) -> Kind {
    let touched = known
        .iter()
        .filter(|fact| retract.contains(&fact.id) || facts.iter().any(|new| new.id == fact.id));
    let touched: Vec<&Fact> = touched.collect();
    let any = |which: fn(&Fact) -> bool| {
        facts.iter().any(which) || touched.iter().any(|fact| which(fact))
    };
    if any(|fact| matches!(fact.kind(), FactKind::OxygenTarget | FactKind::Limit)) {
        // It bends rules for this patient.
        Kind::Prescription
    } else if any(|fact| fact.kind() != FactKind::Reported)
        || touched.iter().any(|fact| fact.recorded_by != by)
    {
        Kind::Duty
    } else {
        Kind::Report
    }
}

/// With texts that are fit to be stored and shown.
fn readable(fact: Fact) -> Result<Fact, Status> {
    Ok(Fact {
        id: error::text("facts.id", &fact.id, TEXT)?,
        code: error::text("facts.code", &fact.code, TEXT)?,
        label: error::text("facts.label", &fact.label, TEXT)?,
        unit: error::text("facts.unit", &fact.unit, TEXT)?,
        text: error::text("facts.text", &fact.text, TEXT)?,
        recorded_by: String::new(),
        recorded_us: 0,
        ..fact
    })
}
