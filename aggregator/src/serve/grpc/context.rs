//! `ContextService`: what people know about a patient that no sensor measures.

use std::sync::Arc;

use proto::v1::context_service_server::ContextService;
use proto::v1::{Fact, FactKind, GetContextRequest, PatientContext, RecordFactsRequest};
use tonic::{Request, Response, Status};

use super::{caller, current, patient};
use crate::gate::Kind;
use crate::patient::Patients;
use crate::serve::access::Access;
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
        let known = self.patients.facts(&patient);
        known
            .map(Response::new)
            .map_err(|failed| error::facts(&failed))
    }

    async fn record(
        &self,
        request: Request<RecordFactsRequest>,
    ) -> Result<Response<PatientContext>, Status> {
        let caller = caller(&request)?;
        current(self.patients.hub()).await?;
        let asked = request.into_inner();
        let patient = patient("patient", &asked.patient)?;
        self.access
            .check(&caller, Some(&patient), Kind::Duty)
            .map_err(error::denied)?;
        let facts = asked.facts.into_iter().map(readable);
        let facts = facts.collect::<Result<Vec<_>, _>>()?;
        if facts.is_empty() && asked.retract.is_empty() {
            return Err(error::invalid("facts", "must hold one, or `retract` must"));
        }
        let known = self.patients.facts(&patient);
        let known = known.map_err(|failed| error::facts(&failed))?.facts;
        if prescribes(&known, &facts, &asked.retract) {
            self.access
                .check(&caller, Some(&patient), Kind::Prescription)
                .map_err(error::denied)?;
        }
        let by = self.access.actor(&caller).name();
        let done = self
            .patients
            .record_facts(&patient, &by, facts, asked.retract);
        let known = done.await.map_err(|failed| error::facts(&failed))?;
        Ok(Response::new(known))
    }
}

/// Does this say, replace or take back what bends rules for one patient?
fn prescribes(known: &[Fact], facts: &[Fact], retract: &[String]) -> bool {
    let prescribed = |fact: &Fact| matches!(fact.kind(), FactKind::OxygenTarget | FactKind::Limit);
    let replaced =
        |fact: &Fact| retract.contains(&fact.id) || facts.iter().any(|new| new.id == fact.id);
    facts.iter().any(prescribed) || known.iter().any(|fact| prescribed(fact) && replaced(fact))
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
