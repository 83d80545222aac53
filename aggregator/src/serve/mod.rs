//! Serve: gRPC and the page on one TLS port, for whom the gate allows.
//!
//! The way of a request: [`tls`] (handshake, limits, who the certificate names) -> [`mod@front`] (gRPC, gRPC-web or
//! page?) -> [`guard`] (who asks, may they at all?) -> `grpc::*` or `page` -> [`access`] again for each patient
//! and each message of an open stream.
//!
//! Invariants: no route shows anything of a patient to who did not prove who they are; every method of the
//! contract is in [`guard::kind_of`]'s table, one that is not is refused; every connection, stream, header, body
//! and wait is bounded; refusals are counted by reason.
//!
//! Must not know: how twins are computed, how the journal stores.

pub mod access;
pub mod attendance;
mod cohort;
mod coverage;
pub mod error;
pub mod front;
mod grpc;
pub mod guard;
mod history;
pub mod lockout;
mod lookers;
pub mod looks;
mod page;
pub mod passkey;
pub mod password;
pub mod peer;
pub mod provider;
mod scoreboard;
pub mod signin;
mod thin;
pub mod tls;
pub mod totp;
mod waveforms;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use axum::{Router, middleware};
use proto::tls::{Identity, Role};
use proto::v1;
use proto::v1::StaffRole;
use proto::v1::alert_service_server::AlertServiceServer;
use proto::v1::context_service_server::ContextServiceServer;
use proto::v1::history_service_server::HistoryServiceServer;
use proto::v1::twin_service_server::TwinServiceServer;
use tonic::service::Routes;
use tonic_web::GrpcWebLayer;
use vitals::{GatewayId, PatientId, StreamId, Time};
use zeroize::Zeroizing;

use crate::channel::push::Desk;
use crate::gate::Platform;
use crate::journal::{Journal, SealedText};
use crate::patient::Patients;
use crate::registry::{Books, Look, Passkey, Password, Voided, Wards};
use access::Access;
use front::Front;
use grpc::alert::AlertsApi;
use grpc::context::ContextApi;
use grpc::history::History;
use grpc::twin::Twins;

pub use page::About;

/// Longest request of a reader, bytes: a list of patients and a cursor.
const REQUEST: usize = 256 * 1024;

/// How people sign in beside passkeys and links.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// Not at all, also where somebody could.
    pub passkey_only: bool,
    /// By this provider of identities.
    pub provider: Option<Arc<provider::Provider>>,
    /// What sends messages to browsers, which is switched on at the page.
    pub push: Option<Arc<Desk>>,
}

/// What serving works with.
#[derive(Debug)]
pub struct Parts {
    /// Twins, alerts, acknowledging.
    pub patients: Patients,
    /// Waveforms are read from it.
    pub journal: Journal,
    /// Past readings.
    pub history: crate::history::History,
    /// Who asks and may they.
    pub access: Arc<Access>,
    /// What the page says about the centre.
    pub about: About,
    /// How people sign in beside passkeys and links.
    pub ways: Ways,
    /// Services of gateways and operators: `UplinkService`, `EnrolmentService`, `OperatorService`.
    pub others: Routes,
}

/// Both surfaces, ready for [`tls::Port::run`].
#[must_use]
pub fn front(parts: Parts) -> Front {
    let Parts {
        patients,
        journal,
        history,
        access,
        about,
        ways,
        others,
    } = parts;
    let hub = Arc::clone(patients.hub());
    let page = page::routes(
        Arc::clone(&access),
        about,
        Arc::clone(&hub),
        journal.clone(),
        ways,
    );
    let history = History::new(patients.clone(), journal, history, Arc::clone(&access));
    let twins = Arc::new(Twins::new(hub, Arc::clone(&access)));
    let context = ContextApi {
        patients: patients.clone(),
        access: Arc::clone(&access),
    };
    let alerts = Arc::new(AlertsApi {
        patients,
        access: Arc::clone(&access),
    });
    let routes = others
        .add_service(
            TwinServiceServer::from_arc(Arc::clone(&twins)).max_decoding_message_size(REQUEST),
        )
        .add_service(
            AlertServiceServer::from_arc(Arc::clone(&alerts)).max_decoding_message_size(REQUEST),
        )
        .add_service(ContextServiceServer::new(context).max_decoding_message_size(REQUEST))
        .add_service(HistoryServiceServer::new(history).max_decoding_message_size(REQUEST));
    let streams = |router| {
        let router = grpc::route(router, twins, REQUEST);
        grpc::route(router, alerts, REQUEST)
    };
    Front::new(grpc_router(routes, streams, &access), page)
}

/// gRPC with health and reflection, behind the guard, for native and for web callers.
fn grpc_router(
    routes: Routes,
    streams: impl FnOnce(Router) -> Router,
    access: &Arc<Access>,
) -> Router {
    // The reporter is not kept: a centre that answers at all is serving, and `status` says the rest.
    let (_, health) = tonic_health::server::health_reporter();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let sound = "the contract's descriptors were made by its compiler";
    let services = routes
        .add_service(health)
        .add_service(reflection().build_v1().expect(sound))
        .add_service(reflection().build_v1alpha().expect(sound))
        .into_axum_router();
    streams(services)
        .layer(middleware::from_fn_with_state(
            Arc::clone(access),
            guard::guard,
        ))
        .layer(GrpcWebLayer::new())
}

/// One (gateway, patient) assignment as history needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOf {
    /// The stream.
    pub stream: StreamId,
    /// Readings with an effective time before this do not belong to the patient.
    pub from: Time,
}

/// What serving asks of the registry.
pub trait Directory: Send + Sync {
    /// Was this certificate, or the right of its holder, taken back?
    fn is_revoked(&self, identity: &Identity) -> bool;

    /// Streams that were ever assigned to the patient.
    fn streams(&self, patient: &PatientId) -> Vec<StreamOf>;

    /// What was voided in the patient's log.
    fn voids(&self, patient: &PatientId) -> Vec<Voided>;

    /// Who was shown what of a patient: the newest, oldest first.
    fn looks(&self, patient: &PatientId) -> Arc<VecDeque<Look>>;

    /// What a person does here, and whom each of their teams looks after; `None`: they are nobody, or no longer.
    fn person(&self, name: &str) -> Option<(StaffRole, Wards)>;

    /// What a platform was given, as of now.
    fn platform(&self, name: &str) -> Platform;

    /// A passkey, by the credential's id.
    fn passkey(&self, id: &[u8]) -> Option<Passkey>;

    /// The passkeys of a person, by their ids.
    fn passkeys_of(&self, person: &str) -> Vec<(Vec<u8>, Passkey)>;

    /// Whom somebody means who writes this name, if they have a password, and that.
    fn password_named(&self, name: &str) -> Option<(String, Password)>;

    /// The browsers of a person that take messages: their ids and names.
    fn browsers_of(&self, person: &str) -> Vec<([u8; 16], String)>;

    /// The person whom a provider calls so.
    fn linked(&self, issuer: &str, subject: &str) -> Option<String>;

    /// Seals a secret of a person (`Vault::seal_for`).
    fn seal_for(&self, person: &str, purpose: &str, plain: &[u8]) -> SealedText;

    /// Opens it.
    fn open_for(
        &self,
        person: &str,
        purpose: &str,
        sealed: &SealedText,
    ) -> Option<Zeroizing<Vec<u8>>>;
}

impl Directory for Books {
    fn is_revoked(&self, identity: &Identity) -> bool {
        match identity.role {
            // A gateway that the registry does not know is none of ours, whoever signed its certificate.
            Role::Gateway => {
                let gateway = GatewayId::parse(&identity.name);
                !gateway.is_some_and(|gateway| self.registry().may_write(&gateway))
            }
            role @ (Role::Operator | Role::Platform | Role::Centre) => {
                self.registry().is_revoked(role, &identity.name)
            }
        }
    }

    fn looks(&self, patient: &PatientId) -> Arc<VecDeque<Look>> {
        self.registry().looks(patient)
    }

    fn passkey(&self, id: &[u8]) -> Option<Passkey> {
        self.registry().passkey(id).cloned()
    }

    fn passkeys_of(&self, person: &str) -> Vec<(Vec<u8>, Passkey)> {
        let registry = self.registry();
        let theirs = registry.passkeys_of(person);
        theirs.map(|(id, of)| (id.to_vec(), of.clone())).collect()
    }

    fn password_named(&self, name: &str) -> Option<(String, Password)> {
        let registry = self.registry();
        let (person, of) = registry.password_named(name)?;
        Some((person.to_owned(), of.clone()))
    }

    fn browsers_of(&self, person: &str) -> Vec<([u8; 16], String)> {
        let registry = self.registry();
        let all = registry.subscriptions();
        let own = all.filter(|(_, of)| of.person == person);
        own.map(|(id, of)| (*id, of.label.clone())).collect()
    }

    fn linked(&self, issuer: &str, subject: &str) -> Option<String> {
        self.registry().linked(issuer, subject).map(str::to_owned)
    }

    fn seal_for(&self, person: &str, purpose: &str, plain: &[u8]) -> SealedText {
        self.vault_handle().seal_for(person, purpose, plain)
    }

    fn open_for(
        &self,
        person: &str,
        purpose: &str,
        sealed: &SealedText,
    ) -> Option<Zeroizing<Vec<u8>>> {
        self.vault_handle().open_for(person, purpose, sealed)
    }

    fn person(&self, name: &str) -> Option<(StaffRole, Wards)> {
        let registry = self.registry();
        let role = registry.role_of(name)?;
        Some((role, registry.wards_of(name)))
    }

    fn platform(&self, name: &str) -> Platform {
        let registry = self.registry();
        let scope = registry.given(name).map(Arc::clone);
        let wards = scope.as_ref().map(|scope| registry.wards_within(scope));
        Platform {
            name: name.to_owned(),
            scope,
            wards: wards.unwrap_or_default(),
            without: registry.not_shared_with(name),
        }
    }

    fn voids(&self, patient: &PatientId) -> Vec<Voided> {
        self.registry().voids(patient).to_vec()
    }

    fn streams(&self, patient: &PatientId) -> Vec<StreamOf> {
        let registry = self.registry();
        let streams = registry.streams_of(patient);
        streams
            .map(|(stream, of)| StreamOf {
                stream,
                from: of.from,
            })
            .collect()
    }
}
