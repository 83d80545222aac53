//! Before any gRPC method: who asks, and may they call it at all?
//!
//! Invariants: a method that is not in [`kind_of`]'s table is refused to everybody who proved nothing, and means
//! administration to the rest; the cookie of a session counts only for gRPC-web calls of the centre's own page
//! (their `Origin` is this host), so no other site can spend it; a certificate wins over a cookie.
//!
//! Must not know: what methods do.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Request, Uri, header};
use tonic::Status;

use super::access::{Access, Caller, Proof};
use super::front::Wire;
use super::peer::PeerIdentity;
use super::{error, page};
use crate::counters::Refused;
use crate::gate::Kind;
use crate::traces::{Fact, Name, Step};

/// From a call to the beginning of its answer. Streams may last for ever once they have begun.
const ANSWER: Duration = Duration::from_secs(60);

/// Recorded days of a large centre are folded before an answer begins; only supervisors and who runs the centre may ask.
const TRIAL: Duration = Duration::from_secs(12 * 3600);

/// The longest wait for an answer to begin.
fn patience(path: &str) -> Duration {
    if path == "/vitaltwin.v1.OperatorService/ShadowRules" {
        TRIAL
    } else {
        ANSWER
    }
}

/// What calling a method means, for the gate. Every method of the contract is here; a test holds the table
/// against the contract's descriptors.
#[must_use]
pub fn kind_of(path: &str) -> Option<Kind> {
    Some(match path {
        "/vitaltwin.v1.TwinService/Get"
        | "/vitaltwin.v1.TwinService/List"
        | "/vitaltwin.v1.TwinService/Watch"
        | "/vitaltwin.v1.TwinService/NotePrint"
        | "/vitaltwin.v1.TwinService/LookIn"
        | "/vitaltwin.v1.TwinService/GetScoreboard"
        | "/vitaltwin.v1.ContextService/Get" => Kind::Twin,
        "/vitaltwin.v1.AlertService/Get"
        | "/vitaltwin.v1.AlertService/List"
        | "/vitaltwin.v1.AlertService/Watch"
        | "/vitaltwin.v1.AlertService/Confirm" => Kind::Alert,
        "/vitaltwin.v1.AlertService/Acknowledge" | "/vitaltwin.v1.AlertService/Comment" => {
            Kind::Acknowledgement
        }
        "/vitaltwin.v1.AlertService/SetOwner"
        | "/vitaltwin.v1.AlertService/Escalate"
        | "/vitaltwin.v1.AlertService/Snooze"
        | "/vitaltwin.v1.AlertService/EndSnooze"
        | "/vitaltwin.v1.OperatorService/TakeOver"
        | "/vitaltwin.v1.OperatorService/KeepTeamFilter" => Kind::Duty,
        // What each fact means is asked where it is known.
        "/vitaltwin.v1.ContextService/Record" => Kind::Report,
        "/vitaltwin.v1.OperatorService/SetCollection"
        | "/vitaltwin.v1.OperatorService/SetSharing" => Kind::Will,
        "/vitaltwin.v1.HistoryService/Query"
        | "/vitaltwin.v1.HistoryService/Waveforms"
        | "/vitaltwin.v1.HistoryService/Coverage"
        | "/vitaltwin.v1.HistoryService/BeginExport" => Kind::History,
        "/vitaltwin.v1.HistoryService/ListAccesses" => Kind::Accesses,
        "/vitaltwin.v1.OperatorService/ListPatients"
        | "/vitaltwin.v1.OperatorService/ListVoids" => Kind::Directory,
        "/vitaltwin.v1.OperatorService/ListPeople"
        | "/vitaltwin.v1.OperatorService/ListTeams"
        | "/vitaltwin.v1.OperatorService/ChangeTeam"
        | "/vitaltwin.v1.OperatorService/CheckRoster"
        | "/vitaltwin.v1.OperatorService/SetRoster" => Kind::Teams,
        "/vitaltwin.v1.OperatorService/ListRosters"
        | "/vitaltwin.v1.OperatorService/ListTeamFilters" => Kind::Roster,
        "/vitaltwin.v1.TwinService/SumScoreboard"
        | "/vitaltwin.v1.OperatorService/ListRules"
        | "/vitaltwin.v1.OperatorService/CheckRules"
        | "/vitaltwin.v1.OperatorService/ShadowRules"
        | "/vitaltwin.v1.OperatorService/ActivateRules" => Kind::Rules,
        "/vitaltwin.v1.FleetService/Read" => Kind::Fleet,
        "/vitaltwin.v1.OperatorService/AddPatient"
        | "/vitaltwin.v1.OperatorService/Assign"
        | "/vitaltwin.v1.OperatorService/CreateToken"
        | "/vitaltwin.v1.OperatorService/RevokeGateway"
        | "/vitaltwin.v1.OperatorService/ConfigureGateway"
        | "/vitaltwin.v1.OperatorService/RotateKey"
        | "/vitaltwin.v1.OperatorService/VoidReadings"
        | "/vitaltwin.v1.OperatorService/RevokeCertificate"
        | "/vitaltwin.v1.OperatorService/ImportRecords"
        | "/vitaltwin.v1.OperatorService/SetPlatformScope"
        | "/vitaltwin.v1.OperatorService/ListPlatforms"
        | "/vitaltwin.v1.OperatorService/AddPerson"
        | "/vitaltwin.v1.OperatorService/SetRole"
        | "/vitaltwin.v1.OperatorService/RevokePerson"
        | "/vitaltwin.v1.OperatorService/ResetPerson"
        | "/vitaltwin.v1.OperatorService/LinkPerson"
        | "/vitaltwin.v1.OperatorService/ListSessions"
        | "/vitaltwin.v1.OperatorService/EndSessions"
        | "/vitaltwin.v1.OperatorService/CreateSignIn"
        | "/vitaltwin.v1.OperatorService/NoteAccess"
        | "/vitaltwin.v1.OperatorService/Status" => Kind::Administration,
        "/vitaltwin.v1.UplinkService/Exchange" => Kind::Uplink,
        "/vitaltwin.v1.EnrolmentService/Enrol" | "/vitaltwin.v1.EnrolmentService/Renew" => {
            Kind::Enrolment
        }
        "/grpc.health.v1.Health/Check"
        | "/grpc.health.v1.Health/Watch"
        | "/grpc.health.v1.Health/List"
        | "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => Kind::Contract,
        _ => return None,
    })
}

/// The layer.
pub(super) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let path = request.uri().path();
    // Of a path that is in no list nothing is told: the caller wrote it.
    let mut step = Step::first(Name::Call);
    if kind_of(path).is_some() {
        step.note(Fact::Method(path.to_owned()));
    }
    let response = answer(&access, request, next).await;
    if let Some(code) = grpc_status(response.headers()) {
        step.note(Fact::Status(code));
    }
    response
}

/// The code, where the head says it already; else it follows the answer.
fn grpc_status(head: &HeaderMap) -> Option<i32> {
    head.get("grpc-status")?.to_str().ok()?.parse().ok()
}

async fn answer(access: &Access, mut request: Request<Body>, next: Next) -> Response {
    match admit(access, &request) {
        Ok(caller) => {
            let longest = patience(request.uri().path());
            request.extensions_mut().insert(caller);
            // Until the answer begins: a request whose body never comes must not stay for ever.
            match tokio::time::timeout(longest, next.run(request)).await {
                Ok(response) => response,
                Err(_) => {
                    access.counters().refuse(Refused::Timeout);
                    error::too_slow().into_http()
                }
            }
        }
        Err(status) => status.into_http(),
    }
}

fn admit(access: &Access, request: &Request<Body>) -> Result<Caller, Status> {
    let extensions = request.extensions();
    let (Some(peer), Some(wire)) = (extensions.get::<PeerIdentity>(), extensions.get::<Wire>())
    else {
        return Err(Status::internal(
            "a request came past the port: report it to the makers",
        ));
    };
    let web = *wire == Wire::Web;
    let origin = same_origin(request.headers(), request.uri());
    if web && origin == Some(false) {
        access.counters().refuse(Refused::Origin);
        return Err(error::foreign_origin());
    }
    let own_page = web && origin == Some(true);
    let caller = caller(access, peer, request.headers(), own_page);
    let kind = kind_of(request.uri().path()).unwrap_or(Kind::Administration);
    access.check(&caller, None, kind).map_err(|reason| {
        access.counters().refuse(Refused::Gate);
        error::denied(reason)
    })?;
    if let Proof::Session(key) = &caller.proof {
        access.sign_in().touch(*key);
    }
    Ok(caller)
}

/// Who asks: the certificate, else (where it counts) the session.
pub(super) fn caller(
    access: &Access,
    peer: &PeerIdentity,
    headers: &HeaderMap,
    cookie_counts: bool,
) -> Caller {
    let proof = if let Some(identity) = &peer.certificate {
        Proof::Certificate(Arc::clone(identity))
    } else {
        let session = page::session_cookie(headers)
            .filter(|_| cookie_counts)
            .and_then(|cookie| access.sign_in().session(cookie));
        session.map_or(Proof::Nothing, Proof::Session)
    };
    Caller {
        proof,
        address: peer.address,
    }
}

/// Does `Origin` name the host that was called? `None`: there is no `Origin`.
pub(super) fn same_origin(headers: &HeaderMap, uri: &Uri) -> Option<bool> {
    let origin = headers.get(header::ORIGIN)?;
    // HTTP/2 has the authority in the URI, HTTP/1 in `Host`.
    let host = match uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => headers.get(header::HOST).map(http::HeaderValue::as_bytes),
    };
    let named = origin.as_bytes().strip_prefix(b"https://");
    Some(matches!((named, host), (Some(named), Some(host)) if named.eq_ignore_ascii_case(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_has_a_kind() {
        let mut methods = 0;
        for path in super::super::tests::contract_methods() {
            assert!(
                kind_of(&path).is_some(),
                "{path} is not in the gate's table"
            );
            methods += 1;
        }
        assert!(methods >= 17, "the descriptors hold the contract");
        assert_eq!(kind_of("/vitaltwin.v1.TwinService/Erase"), None, "control");
    }

    #[test]
    fn only_the_same_host_is_the_same_origin() {
        let check = |origin: &str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().expect("a header"));
            headers.insert(header::HOST, host.parse().expect("a header"));
            same_origin(&headers, &Uri::from_static("/x"))
        };
        assert_eq!(check("https://centre:8443", "centre:8443"), Some(true));
        assert_eq!(check("https://CENTRE:8443", "centre:8443"), Some(true));
        assert_eq!(check("https://evil:8443", "centre:8443"), Some(false));
        assert_eq!(
            check("https://centre:8443.evil", "centre:8443"),
            Some(false)
        );
        assert_eq!(check("http://centre:8443", "centre:8443"), Some(false));
        assert_eq!(check("null", "centre:8443"), Some(false));
        assert_eq!(
            same_origin(&HeaderMap::new(), &Uri::from_static("/x")),
            None
        );
    }
}
