//! `OperatorService` over [`Admin`]. The gate was asked before any method runs whether the caller may call it at all; it is
//! asked here again for each patient whom an answer names.
//!
//! Must not know: how an act is done.

use std::sync::Arc;

use proto::cert::Role;
use proto::v1::operator_service_server::OperatorService;
use proto::v1::{
    AccessPart, ActivateRulesRequest, AddPatientRequest, AddPersonRequest, AssignRequest,
    AssignResponse, CentreStatus, ChangeTeamRequest, CheckRosterRequest, CheckRulesRequest,
    CheckRulesResponse, Collection, ConfigureGatewayRequest, ConfigureGatewayResponse,
    CreateSignInRequest, CreateSignInResponse, CreateTokenRequest, CreateTokenResponse,
    EndSessionsRequest, EndSessionsResponse, ImportRecordsRequest, ImportRecordsResponse,
    KeepTeamFilterRequest, LinkPersonRequest, ListPatientsRequest, ListPatientsResponse,
    ListPeopleRequest, ListPeopleResponse, ListPlatformsRequest, ListPlatformsResponse,
    ListRostersRequest, ListRostersResponse, ListRulesRequest, ListRulesResponse,
    ListSessionsRequest, ListSessionsResponse, ListTeamFiltersRequest, ListTeamsRequest,
    ListTeamsResponse, ListVoidsRequest, ListVoidsResponse, NoteAccessRequest, NoteAccessResponse,
    Patient, Person, Platform, ResetPersonRequest, ResetPersonResponse, RevokeCertificateRequest,
    RevokeCertificateResponse, RevokeGatewayRequest, RevokeGatewayResponse, RevokePersonRequest,
    Roster, RotateKeyRequest, RotateKeyResponse, RuleSet, SetCollectionRequest,
    SetCollectionResponse, SetPlatformScopeRequest, SetRoleRequest, SetRosterRequest,
    SetSharingRequest, SetSharingResponse, ShadowReport, ShadowRulesRequest, StatusRequest,
    TakeOverRequest, Team, TeamFilters, VoidReadingsRequest, VoidReadingsResponse,
};
use tonic::{Request, Response, Status};
use vitals::{PatientId, Time};

use super::{Admin, AdminError, Asker, Misattributed};
use crate::gate::{self, Kind};
use crate::ingest::Ingest;
use crate::serve::access::{Access, Caller, Seen};
use crate::serve::error;

/// The operator's service.
#[derive(Clone, Debug)]
pub struct OperatorDoor {
    admin: Arc<Admin>,
    ingest: Arc<Ingest>,
    access: Arc<Access>,
}

impl OperatorDoor {
    /// Over the desk, the core that takes what gateways sealed, and the gate.
    #[must_use]
    pub const fn new(admin: Arc<Admin>, ingest: Arc<Ingest>, access: Arc<Access>) -> Self {
        Self {
            admin,
            ingest,
            access,
        }
    }

    /// Who calls, for the log.
    fn who<T>(&self, request: &Request<T>) -> Result<String, Status> {
        Ok(self.access.actor(caller(request)?).name())
    }
}

/// The guard has put it there.
pub(super) fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    let caller = request.extensions().get::<Caller>();
    caller.ok_or_else(|| Status::internal("a call came past the guard: report it to the makers"))
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
        request: Request<ListPatientsRequest>,
    ) -> Result<Response<ListPatientsResponse>, Status> {
        let caller = caller(&request)?;
        let theirs = |patient: &Patient| {
            let patient = PatientId::parse(&patient.patient);
            patient.is_some_and(|patient| {
                let asked = self.access.check(caller, Some(&patient), Kind::Directory);
                asked.is_ok()
            })
        };
        let mut patients = self.admin.patients();
        patients.retain(theirs);
        let shown = patients.iter();
        let shown: Vec<_> = shown
            .filter_map(|of| PatientId::parse(&of.patient))
            .collect();
        let seen = Seen::of(AccessPart::Names).listed(false);
        let noted = self.access.look(caller, &seen, &shown).await;
        noted.map_err(error::unnoted)?;
        Ok(Response::new(ListPatientsResponse { patients }))
    }

    async fn assign(
        &self,
        request: Request<AssignRequest>,
    ) -> Result<Response<AssignResponse>, Status> {
        let by = self.who(&request)?;
        let AssignRequest {
            patient,
            gateway,
            devices,
        } = request.into_inner();
        let assigned = self
            .admin
            .assign(&patient, &gateway, &devices, &by)
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
        let by = self.who(&request)?;
        let CreateTokenRequest { label, valid_s } = request.into_inner();
        let (token, gateway, expires) = self
            .admin
            .create_token(&label, valid_s, &by)
            .await
            .map_err(status_of)?;
        Ok(Response::new(CreateTokenResponse {
            token,
            gateway: gateway.as_str().into(),
            expires_us: expires.as_micros(),
        }))
    }

    async fn revoke_gateway(
        &self,
        request: Request<RevokeGatewayRequest>,
    ) -> Result<Response<RevokeGatewayResponse>, Status> {
        let by = self.who(&request)?;
        let revoked = self
            .admin
            .revoke(&request.into_inner().gateway, &by)
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
        let by = self.who(&request)?;
        let ConfigureGatewayRequest { gateway, settings } = request.into_inner();
        let sent = self.admin.configure(&gateway, &settings, &by).await;
        sent.map(|number| Response::new(ConfigureGatewayResponse { number }))
            .map_err(status_of)
    }

    async fn set_collection(
        &self,
        request: Request<SetCollectionRequest>,
    ) -> Result<Response<SetCollectionResponse>, Status> {
        let caller = caller(&request)?.clone();
        let request = request.into_inner();
        let named = PatientId::parse(&request.patient);
        let named = named.ok_or_else(|| error::not_found("patient"))?;
        self.access
            .check(&caller, Some(&named), Kind::Will)
            .map_err(error::denied)?;
        let actor = self.access.actor(&caller);
        let (collection, erase) = (request.collection(), request.erase_unsent);
        if matches!(actor.role, gate::Role::Patient(_)) && collection == Collection::Given {
            let will = self.admin.will(&named).collection;
            if will == Collection::Withdrawn {
                // Whoever takes up a withdrawn consent talks with them first.
                return Err(Status::permission_denied(
                    "you have withdrawn: to share again, ask those who look after you",
                ));
            }
        }
        let by = actor.name();
        let set = self
            .admin
            .set_collection(&request.patient, collection, erase, &by)
            .await;
        let since = set.map_err(status_of)?;
        Ok(Response::new(SetCollectionResponse {
            collection: collection.into(),
            since_us: since.as_micros(),
        }))
    }

    async fn set_sharing(
        &self,
        request: Request<SetSharingRequest>,
    ) -> Result<Response<SetSharingResponse>, Status> {
        let by = self.who(&request)?;
        let named = PatientId::parse(&request.get_ref().patient);
        let named = named.ok_or_else(|| error::not_found("patient"))?;
        self.access
            .check(caller(&request)?, Some(&named), Kind::Will)
            .map_err(error::denied)?;
        let SetSharingRequest {
            patient,
            platform,
            shared,
        } = request.into_inner();
        let set = self.admin.set_sharing(&patient, &platform, shared, &by);
        set.await.map_err(status_of)?;
        Ok(Response::new(SetSharingResponse {}))
    }

    async fn set_platform_scope(
        &self,
        request: Request<SetPlatformScopeRequest>,
    ) -> Result<Response<Platform>, Status> {
        let by = self.who(&request)?;
        let SetPlatformScopeRequest { name, scope } = request.into_inner();
        let set = self.admin.set_platform_scope(&name, scope.as_ref(), &by);
        set.await.map(Response::new).map_err(status_of)
    }

    async fn list_platforms(
        &self,
        _: Request<ListPlatformsRequest>,
    ) -> Result<Response<ListPlatformsResponse>, Status> {
        Ok(Response::new(ListPlatformsResponse {
            platforms: self.admin.platforms(),
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
        let by = self.who(&request)?;
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
        let patient = &request.get_ref().patient;
        let named = PatientId::parse(patient).ok_or_else(|| error::not_found("patient"))?;
        self.access
            .check(caller(&request)?, Some(&named), Kind::Directory)
            .map_err(error::denied)?;
        let voids = self.admin.voids(patient);
        let voids = voids.map_err(status_of)?;
        let seen = Seen::of(AccessPart::Names);
        let noted = self.access.look(caller(&request)?, &seen, &[named]).await;
        noted.map_err(error::unnoted)?;
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

    async fn add_person(
        &self,
        request: Request<AddPersonRequest>,
    ) -> Result<Response<Person>, Status> {
        let by = self.who(&request)?;
        let asked = request.into_inner();
        let added = self.admin.add_person(&asked.name, asked.role(), &by).await;
        added.map(Response::new).map_err(status_of)
    }

    async fn set_role(&self, request: Request<SetRoleRequest>) -> Result<Response<Person>, Status> {
        let by = self.who(&request)?;
        let asked = request.into_inner();
        let set = self.admin.set_role(&asked.name, asked.role(), &by).await;
        set.map(Response::new).map_err(status_of)
    }

    async fn revoke_person(
        &self,
        request: Request<RevokePersonRequest>,
    ) -> Result<Response<Person>, Status> {
        let by = self.who(&request)?;
        let revoked = self
            .admin
            .revoke_person(&request.into_inner().name, &by)
            .await;
        revoked.map(Response::new).map_err(status_of)
    }

    async fn list_people(
        &self,
        _: Request<ListPeopleRequest>,
    ) -> Result<Response<ListPeopleResponse>, Status> {
        Ok(Response::new(ListPeopleResponse {
            people: self.admin.people(),
        }))
    }

    async fn change_team(
        &self,
        request: Request<ChangeTeamRequest>,
    ) -> Result<Response<Team>, Status> {
        let by = self.who(&request)?;
        let asked = request.into_inner();
        let changed = self.admin.change_team(&asked.team, asked.change, &by).await;
        changed.map(Response::new).map_err(status_of)
    }

    async fn list_teams(
        &self,
        _: Request<ListTeamsRequest>,
    ) -> Result<Response<ListTeamsResponse>, Status> {
        Ok(Response::new(ListTeamsResponse {
            teams: self.admin.teams(),
        }))
    }

    async fn link_person(
        &self,
        request: Request<LinkPersonRequest>,
    ) -> Result<Response<Person>, Status> {
        let by = self.who(&request)?;
        let LinkPersonRequest {
            name,
            issuer,
            subject,
        } = request.into_inner();
        let linked = self.admin.link_person(&name, &issuer, &subject, &by).await;
        linked.map(Response::new).map_err(status_of)
    }

    async fn reset_person(
        &self,
        request: Request<ResetPersonRequest>,
    ) -> Result<Response<ResetPersonResponse>, Status> {
        let by = self.who(&request)?;
        let name = request.into_inner().name;
        let reset = self.admin.reset_person(&name, &by).await;
        reset.map(Response::new).map_err(status_of)
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let sessions = self.admin.sessions(&request.into_inner().person);
        let sessions = sessions.map_err(status_of)?;
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn end_sessions(
        &self,
        request: Request<EndSessionsRequest>,
    ) -> Result<Response<EndSessionsResponse>, Status> {
        let EndSessionsRequest { id, person } = request.into_inner();
        let ended = self.admin.end_sessions(&id, &person).map_err(status_of)?;
        Ok(Response::new(EndSessionsResponse { ended }))
    }

    async fn create_sign_in(
        &self,
        request: Request<CreateSignInRequest>,
    ) -> Result<Response<CreateSignInResponse>, Status> {
        let CreateSignInRequest { person, patient } = request.into_inner();
        let made = self.admin.sign_in(&person, &patient);
        let (link, ca_fingerprint) = made.map_err(status_of)?;
        Ok(Response::new(CreateSignInResponse {
            link,
            ca_fingerprint,
        }))
    }

    async fn note_access(
        &self,
        request: Request<NoteAccessRequest>,
    ) -> Result<Response<NoteAccessResponse>, Status> {
        let patient = PatientId::parse(&request.get_ref().patient);
        let known = |patient: &PatientId| {
            let registry = self.admin.parts.books.registry();
            registry.patient(patient).is_some()
        };
        let patient = patient.filter(known);
        let patient = patient.ok_or_else(|| error::not_found("patient"))?;
        let seen = Seen::of(AccessPart::Past);
        let noted = self.access.look(caller(&request)?, &seen, &[patient]).await;
        noted.map_err(error::unnoted)?;
        Ok(Response::new(NoteAccessResponse {}))
    }

    async fn list_rules(
        &self,
        _: Request<ListRulesRequest>,
    ) -> Result<Response<ListRulesResponse>, Status> {
        Ok(Response::new(self.admin.rules()))
    }

    async fn check_rules(
        &self,
        request: Request<CheckRulesRequest>,
    ) -> Result<Response<CheckRulesResponse>, Status> {
        let checked = self.admin.check_rules(&request.into_inner().document);
        checked.map(Response::new).map_err(status_of)
    }

    async fn shadow_rules(
        &self,
        request: Request<ShadowRulesRequest>,
    ) -> Result<Response<ShadowReport>, Status> {
        let by = self.who(&request)?;
        let asked = request.into_inner();
        let span = (
            Time::from_micros(asked.from_us),
            Time::from_micros(asked.to_us),
        );
        let tried = self.admin.shadow_rules(&asked.document, span, &by).await;
        tried.map(Response::new).map_err(status_of)
    }

    async fn activate_rules(
        &self,
        request: Request<ActivateRulesRequest>,
    ) -> Result<Response<RuleSet>, Status> {
        let by = self.who(&request)?;
        let asked = request.into_inner();
        let activated = if asked.back {
            self.admin.rules_back(&asked.reason, &by).await
        } else {
            let (document, reason) = (&asked.document, &asked.reason);
            self.admin.activate_rules(document, reason, &by).await
        };
        activated.map(Response::new).map_err(status_of)
    }

    async fn list_rosters(
        &self,
        request: Request<ListRostersRequest>,
    ) -> Result<Response<ListRostersResponse>, Status> {
        let actor = self.access.actor(caller(&request)?);
        let rosters = self.admin.rosters(asker(&actor, &actor.name()));
        Ok(Response::new(ListRostersResponse { rosters }))
    }

    async fn check_roster(
        &self,
        request: Request<CheckRosterRequest>,
    ) -> Result<Response<Roster>, Status> {
        let CheckRosterRequest { team, document } = request.into_inner();
        let checked = self.admin.check_roster(&team, &document);
        checked.map(Response::new).map_err(status_of)
    }

    async fn set_roster(
        &self,
        request: Request<SetRosterRequest>,
    ) -> Result<Response<Roster>, Status> {
        let by = self.who(&request)?;
        let SetRosterRequest { team, document } = request.into_inner();
        let set = self.admin.set_roster(&team, &document, &by).await;
        set.map(Response::new).map_err(status_of)
    }

    async fn take_over(
        &self,
        request: Request<TakeOverRequest>,
    ) -> Result<Response<Roster>, Status> {
        let actor = self.access.actor(caller(&request)?);
        let asked = request.into_inner();
        let shift = Time::from_micros(asked.shift_from_us);
        let name = actor.name();
        let by = asker(&actor, &name);
        let taken = self
            .admin
            .take_over(&asked.team, asked.duty(), shift, by)
            .await;
        taken.map(Response::new).map_err(status_of)
    }

    async fn list_team_filters(
        &self,
        request: Request<ListTeamFiltersRequest>,
    ) -> Result<Response<TeamFilters>, Status> {
        let actor = self.access.actor(caller(&request)?);
        let name = actor.name();
        let told = self.admin.team_filters(asker(&actor, &name));
        Ok(Response::new(told))
    }

    async fn keep_team_filter(
        &self,
        request: Request<KeepTeamFilterRequest>,
    ) -> Result<Response<TeamFilters>, Status> {
        let actor = self.access.actor(caller(&request)?);
        let filter = request.into_inner().filter.unwrap_or_default();
        let name = actor.name();
        let kept = self.admin.keep_team_filter(filter, asker(&actor, &name));
        kept.await.map(Response::new).map_err(status_of)
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<CentreStatus>, Status> {
        Ok(Response::new(self.admin.status()))
    }
}

fn asker<'a>(actor: &gate::Actor, name: &'a str) -> Asker<'a> {
    let role = match &actor.role {
        gate::Role::Person(person) => Some(person.role),
        gate::Role::Anonymous
        | gate::Role::Gateway(_)
        | gate::Role::Operator(_)
        | gate::Role::Platform(_)
        | gate::Role::Patient(_) => None,
    };
    Asker { name, role }
}

pub(super) fn status_of(error: AdminError) -> Status {
    let text = error.to_string();
    match error {
        AdminError::Invalid { .. } => Status::invalid_argument(text),
        AdminError::NotFound { .. } => Status::not_found(text),
        AdminError::Conflict(_) => Status::failed_precondition(text),
        AdminError::Vault(_) | AdminError::Journal(_) => Status::unavailable(text),
    }
}
