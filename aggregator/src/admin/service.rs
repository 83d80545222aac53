//! `OperatorService` over [`Admin`]. The gate has asked who calls before any method runs.
//!
//! Must not know: how an act is done.

use std::sync::Arc;

use proto::cert::Role;
use proto::v1::operator_service_server::OperatorService;
use proto::v1::{
    AddPatientRequest, AssignRequest, AssignResponse, CentreStatus, ConfigureGatewayRequest,
    ConfigureGatewayResponse, CreateSignInRequest, CreateSignInResponse, CreateTokenRequest,
    CreateTokenResponse, ImportRecordsRequest, ImportRecordsResponse, ListPatientsRequest,
    ListPatientsResponse, ListVoidsRequest, ListVoidsResponse, Patient, RevokeCertificateRequest,
    RevokeCertificateResponse, RevokeGatewayRequest, RevokeGatewayResponse, RotateKeyRequest,
    RotateKeyResponse, SetCollectionRequest, SetCollectionResponse, StatusRequest,
    VoidReadingsRequest, VoidReadingsResponse,
};
use tonic::{Request, Response, Status};
use vitals::Time;

use super::{Admin, AdminError, Misattributed};
use crate::ingest::Ingest;
use crate::serve::access::{Caller, Proof};

/// The operator's service.
#[derive(Clone, Debug)]
pub struct OperatorDoor {
    admin: Arc<Admin>,
    ingest: Arc<Ingest>,
}

impl OperatorDoor {
    /// Over the desk, and the core that takes what gateways sealed.
    #[must_use]
    pub const fn new(admin: Arc<Admin>, ingest: Arc<Ingest>) -> Self {
        Self { admin, ingest }
    }
}

#[tonic::async_trait]
impl OperatorService for OperatorDoor {
    async fn add_patient(
        &self,
        request: Request<AddPatientRequest>,
    ) -> Result<Response<Patient>, Status> {
        let AddPatientRequest {
            display_name,
            test_data,
        } = request.into_inner();
        let added = self.admin.add_patient(&display_name, test_data).await;
        added.map(Response::new).map_err(status_of)
    }

    async fn list_patients(
        &self,
        _: Request<ListPatientsRequest>,
    ) -> Result<Response<ListPatientsResponse>, Status> {
        Ok(Response::new(ListPatientsResponse {
            patients: self.admin.patients(),
        }))
    }

    async fn assign(
        &self,
        request: Request<AssignRequest>,
    ) -> Result<Response<AssignResponse>, Status> {
        let AssignRequest {
            patient,
            gateway,
            devices,
        } = request.into_inner();
        let assigned = self
            .admin
            .assign(&patient, &gateway, &devices)
            .await
            .map_err(status_of)?;
        Ok(Response::new(AssignResponse {
            assignment: Some(assigned),
        }))
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let CreateTokenRequest { label, valid_s } = request.into_inner();
        let (token, gateway) = self
            .admin
            .create_token(&label, valid_s)
            .await
            .map_err(status_of)?;
        Ok(Response::new(CreateTokenResponse {
            token,
            gateway: gateway.as_str().into(),
        }))
    }

    async fn revoke_gateway(
        &self,
        request: Request<RevokeGatewayRequest>,
    ) -> Result<Response<RevokeGatewayResponse>, Status> {
        let revoked = self
            .admin
            .revoke(&request.into_inner().gateway)
            .await
            .map_err(status_of)?;
        Ok(Response::new(RevokeGatewayResponse {
            connections_cut: revoked,
        }))
    }

    async fn configure_gateway(
        &self,
        request: Request<ConfigureGatewayRequest>,
    ) -> Result<Response<ConfigureGatewayResponse>, Status> {
        let ConfigureGatewayRequest { gateway, settings } = request.into_inner();
        let sent = self.admin.configure(&gateway, &settings).await;
        sent.map(|number| Response::new(ConfigureGatewayResponse { number }))
            .map_err(status_of)
    }

    async fn set_collection(
        &self,
        request: Request<SetCollectionRequest>,
    ) -> Result<Response<SetCollectionResponse>, Status> {
        let request = request.into_inner();
        let (collection, erase) = (request.collection(), request.erase_unsent);
        let set = self
            .admin
            .set_collection(&request.patient, collection, erase)
            .await;
        let since = set.map_err(status_of)?;
        Ok(Response::new(SetCollectionResponse {
            collection: collection.into(),
            since_us: since.as_micros(),
        }))
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        let rotated = self.admin.rotate_key(&request.into_inner().patient).await;
        rotated.map(Response::new).map_err(status_of)
    }

    async fn void_readings(
        &self,
        request: Request<VoidReadingsRequest>,
    ) -> Result<Response<VoidReadingsResponse>, Status> {
        let by = who(&request);
        let request = request.into_inner();
        let what = Misattributed {
            patient: &request.patient,
            device: &request.device,
            from: Time::from_micros(request.from_us),
            to: Time::from_micros(request.to_us),
            to_patient: &request.to_patient,
            reason: &request.reason,
        };
        let voided = self.admin.void(what, &by).await;
        voided.map(Response::new).map_err(status_of)
    }

    async fn list_voids(
        &self,
        request: Request<ListVoidsRequest>,
    ) -> Result<Response<ListVoidsResponse>, Status> {
        let voids = self.admin.voids(&request.into_inner().patient);
        let voids = voids.map_err(status_of)?;
        Ok(Response::new(ListVoidsResponse { voids }))
    }

    async fn import_records(
        &self,
        request: Request<ImportRecordsRequest>,
    ) -> Result<Response<ImportRecordsResponse>, Status> {
        Ok(Response::new(
            self.ingest.import(request.into_inner()).await,
        ))
    }

    async fn revoke_certificate(
        &self,
        request: Request<RevokeCertificateRequest>,
    ) -> Result<Response<RevokeCertificateResponse>, Status> {
        let RevokeCertificateRequest { role, name } = request.into_inner();
        let role = Role::parse(&role)
            .ok_or_else(|| Status::invalid_argument("role: operator or platform"))?;
        let revoked = self.admin.revoke_certificate(role, &name).await;
        revoked.map_err(status_of)?;
        Ok(Response::new(RevokeCertificateResponse {}))
    }

    async fn create_sign_in(
        &self,
        request: Request<CreateSignInRequest>,
    ) -> Result<Response<CreateSignInResponse>, Status> {
        let (link, ca_fingerprint) = self
            .admin
            .sign_in(&request.into_inner().person)
            .map_err(status_of)?;
        Ok(Response::new(CreateSignInResponse {
            link,
            ca_fingerprint,
        }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<CentreStatus>, Status> {
        Ok(Response::new(self.admin.status()))
    }
}

/// Whose certificate this call came with, for the log.
fn who<T>(request: &Request<T>) -> String {
    match request
        .extensions()
        .get::<Caller>()
        .map(|caller| &caller.proof)
    {
        Some(Proof::Certificate(identity)) => format!("operator {}", identity.name),
        Some(Proof::Session(_) | Proof::Nothing) | None => "operator".into(),
    }
}

fn status_of(error: AdminError) -> Status {
    let text = error.to_string();
    match error {
        AdminError::Invalid { .. } => Status::invalid_argument(text),
        AdminError::NotFound { .. } => Status::not_found(text),
        AdminError::Conflict(_) => Status::failed_precondition(text),
        AdminError::Vault(_) | AdminError::Journal(_) => Status::unavailable(text),
    }
}
