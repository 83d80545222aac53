//! The port from outside: who gets in, what strangers see, streams that end and resume.

mod blocks;
mod csrf;
mod looks;
mod password;
mod past;
mod patient;
mod platform;
mod proof;
mod push;
mod readers;
mod rig;
mod rules;
mod staff;
mod void;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Request, StatusCode, header};
use prost::Message as _;
use proto::tls::{Identity, Role};
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::twin_service_client::TwinServiceClient;
use proto::v1::{self, StaffRole, alert_event, twin_event};
use tonic::Code;
use vitals::{PatientId, Time};

use super::front::Wire;
use crate::journal::Entry;
use rig::{HERE, Rig, alert_of, channel, place};

/// "/package.Service/Method" of every method of the contract, from its descriptors.
pub(crate) fn contract_methods() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(v1::DESCRIPTORS).expect("our own descriptors");
    let mut methods = Vec::new();
    for file in set
        .file
        .iter()
        .filter(|file| file.package() == "vitaltwin.v1")
    {
        for service in &file.service {
            for method in &service.method {
                methods.push(format!(
                    "/vitaltwin.v1.{}/{}",
                    service.name(),
                    method.name()
                ));
            }
        }
    }
    methods
}

/// No wait in here is longer than this, on any machine.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("within 20 s")
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "centre:8443");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

const PAGE_ORIGIN: (&str, &str) = ("origin", "https://centre:8443");

fn a_gateway() -> Identity {
    let (role, name) = (Role::Gateway, "g-1".into());
    Identity {
        role,
        name,
        serial: "2".into(),
        not_after: Time::MAX,
    }
}

/// A platform's certificate that ran out a moment ago.
fn expired(rig: &Rig) -> Identity {
    let name = "platform".into();
    Identity {
        role: Role::Platform,
        name,
        serial: "3".into(),
        not_after: rig.clock.now(),
    }
}

#[tokio::test]
async fn nobody_without_a_proof_gets_anything_but_the_contract() {
    let rig = Rig::new().await;
    rig.patient("p-canary").await;
    let empty = v1::ListTwinsRequest::default();
    for path in contract_methods() {
        for wire in [Wire::Native, Wire::Web] {
            let (code, bytes) = rig.call(&path, &empty, wire, None, &[]).await;
            // Spending a token and renewing need no certificate; without token or key they yield nothing either.
            let want = if path.ends_with("/Enrol") || path.ends_with("/Renew") {
                Code::Unimplemented
            } else {
                Code::Unauthenticated
            };
            assert_eq!(code, want, "{path}");
            assert!(
                !String::from_utf8_lossy(&bytes).contains("canary"),
                "{path}"
            );
        }
        let (code, _) = rig
            .call(&path, &empty, Wire::Native, Some(expired(&rig)), &[])
            .await;
        assert_ne!(code, Code::Ok, "{path} with an expired certificate");
    }
    let (code, _) = rig
        .call(
            "/vitaltwin.v1.TwinService/Erase",
            &empty,
            Wire::Native,
            None,
            &[],
        )
        .await;
    assert_eq!(
        code,
        Code::Unauthenticated,
        "a method that nobody put in the table"
    );
    // Controls: the operator sees the patient, and the public part is public.
    let list = "/vitaltwin.v1.TwinService/List";
    let (code, bytes) = rig
        .call(list, &empty, Wire::Native, Some(rig.operator()), &[])
        .await;
    assert_eq!(code, Code::Ok);
    assert!(String::from_utf8_lossy(&bytes).contains("p-canary"));
    let health = "/grpc.health.v1.Health/Check";
    assert_eq!(
        rig.call(health, &empty, Wire::Native, None, &[]).await.0,
        Code::Ok
    );
}

#[tokio::test]
async fn a_gateway_may_not_read() {
    let rig = Rig::new().await;
    let patient = rig.patient("p-canary").await;
    rig.assign(&patient, "g-1", rig.clock.now()).await;
    let serial = vec![2];
    let gateway = vitals::GatewayId::parse("g-1").expect("a gateway id");
    let enrolled = crate::journal::Entry::GatewayEnrolled {
        gateway,
        serial,
        not_after: Time::MAX,
    };
    rig.append(vec![enrolled.into()]).await;
    for path in contract_methods() {
        let empty = v1::ListTwinsRequest::default();
        let (code, _) = rig
            .call(&path, &empty, Wire::Native, Some(a_gateway()), &[])
            .await;
        let own = ["/Exchange", "/Renew", "/Enrol"]
            .iter()
            .any(|end| path.ends_with(end));
        let want = if own {
            Code::Unimplemented
        } else {
            Code::PermissionDenied
        };
        assert_eq!(code, want, "{path}");
    }
}

#[tokio::test]
async fn the_page_shows_nothing_to_who_is_not_signed_in() {
    let rig = Rig::new().await;
    rig.patient("p-canary").await;
    for (method, path) in super::page::ROUTES {
        let response = rig.ask(request(method.clone(), path, &[], ""), None).await;
        let (status, policy) = (
            response.status(),
            response
                .headers()
                .get(header::CONTENT_SECURITY_POLICY)
                .cloned(),
        );
        let policy = policy.expect("every answer has a policy");
        assert!(!policy.to_str().expect("text").contains("unsafe"), "{path}");
        assert!(
            response
                .headers()
                .contains_key(header::X_CONTENT_TYPE_OPTIONS),
            "{path}"
        );
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .expect("a body");
        assert!(!String::from_utf8_lossy(&body).contains("canary"), "{path}");
        match path {
            "/" => assert_eq!(status, StatusCode::SEE_OTHER),
            "/session" => assert_eq!(status, StatusCode::UNAUTHORIZED),
            _ => assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}"),
        }
    }
    // Control: who is signed in sees the page and who they are.
    rig.person("Ann", StaffRole::Supervisor).await;
    let cookie = rig.signed_in("Ann");
    let signed_in = [("cookie", cookie.as_str())];
    let response = rig
        .ask(request(Method::GET, "/", &signed_in, ""), None)
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    let response = rig
        .ask(request(Method::GET, "/session", &signed_in, ""), None)
        .await;
    let body = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .expect("a body");
    let session: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(session["person"], "Ann");
    assert_eq!(session["ca_fingerprint"], "AA:BB");
}

#[tokio::test]
async fn a_link_signs_in_once_and_a_preview_burns_nothing() {
    let rig = Rig::new().await;
    let code = rig.access.sign_in().create_code("Ann");
    let link = format!("/sign-in?code={code}");
    for _ in 0..2 {
        let preview = rig.ask(request(Method::GET, &link, &[], ""), None).await;
        assert_eq!(preview.status(), StatusCode::OK);
        assert!(!preview.headers().contains_key(header::SET_COOKIE));
    }
    let form = ("content-type", "application/x-www-form-urlencoded");
    let spend = |headers: &[(&str, &str)]| {
        request(
            Method::POST,
            "/sign-in",
            &[&[form], headers].concat(),
            &format!("code={code}"),
        )
    };
    let foreign = rig
        .ask(spend(&[("sec-fetch-site", "cross-site")]), None)
        .await;
    assert_eq!(
        foreign.status(),
        StatusCode::FORBIDDEN,
        "a form of another site"
    );
    // A page with `no-referrer` posts its forms with `Origin: null`.
    let own = [("sec-fetch-site", "same-origin"), ("origin", "null")];
    let first = rig.ask(spend(&own), None).await;
    assert_eq!(first.status(), StatusCode::SEE_OTHER);
    let cookie = first
        .headers()
        .get(header::SET_COOKIE)
        .expect("a cookie")
        .to_str()
        .expect("text");
    for flag in ["__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(flag), "{flag}");
    }
    let again = rig.ask(spend(&own), None).await;
    assert_eq!(
        again.headers().get(header::LOCATION).expect("where to"),
        "/sign-in?error=code"
    );
    assert!(!again.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn the_cookie_counts_for_the_own_page_only() {
    let rig = Rig::new().await;
    rig.patient("p-canary").await;
    rig.person("Ann", StaffRole::Supervisor).await;
    let cookie = rig.signed_in("Ann");
    let (list, empty) = (
        "/vitaltwin.v1.TwinService/List",
        v1::ListTwinsRequest::default(),
    );
    let cookie = ("cookie", cookie.as_str());
    let evil = ("origin", "https://evil.example");
    let call =
        async |wire, headers: &[(&str, &str)]| rig.call(list, &empty, wire, None, headers).await.0;
    assert_eq!(
        call(Wire::Web, &[cookie, PAGE_ORIGIN]).await,
        Code::Ok,
        "control"
    );
    assert_eq!(
        call(Wire::Web, &[cookie, evil]).await,
        Code::PermissionDenied
    );
    assert_eq!(
        call(Wire::Web, &[cookie]).await,
        Code::Unauthenticated,
        "no origin"
    );
    assert_eq!(
        call(Wire::Native, &[cookie, PAGE_ORIGIN]).await,
        Code::Unauthenticated
    );
    let person = "/vitaltwin.v1.OperatorService/CreateToken";
    let headers = [cookie, PAGE_ORIGIN];
    let (code, _) = rig.call(person, &empty, Wire::Web, None, &headers).await;
    assert_eq!(
        code,
        Code::PermissionDenied,
        "a person does not run the centre"
    );
}

#[tokio::test]
async fn signing_out_ends_open_streams_with_the_reason() {
    let rig = Rig::new().await;
    rig.patient("p-1").await;
    rig.person("Ann", StaffRole::Supervisor).await;
    let code = rig.access.sign_in().create_code("Ann");
    let cookie = rig
        .access
        .sign_in()
        .spend(&code, place())
        .expect("a fresh code");
    let key = rig.access.sign_in().session(&cookie).expect("a session");
    let caller = super::access::Caller {
        proof: super::access::Proof::Session(key),
        address: HERE,
    };
    let twins = super::grpc::twin::Twins::new(rig.patients.hub().clone(), rig.access.clone());
    let mut request = tonic::Request::new(v1::WatchTwinsRequest::default());
    request.extensions_mut().insert(caller);
    let stream = super::grpc::Watched::watch(std::sync::Arc::new(twins), request).await;
    let mut stream = stream.expect("signed in").into_inner();
    for _ in 0..2 {
        assert!(soon(stream.next()).await.expect("a snapshot").is_ok());
    }
    let asked = tokio::time::Instant::now();
    rig.access.sign_in().end(key);
    let ended = soon(stream.next())
        .await
        .expect("a status")
        .expect_err("it ends");
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert!(
        ended.message().contains("signed out"),
        "{}",
        ended.message()
    );
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert!(soon(stream.next()).await.is_none());
}

#[tokio::test]
async fn a_revoked_platform_loses_its_open_stream_and_no_other_does() {
    let rig = Rig::new().await;
    rig.patient("p-1").await;
    for name in ["tele", "third"] {
        rig.platform(name, Some(&platform::everything())).await;
    }
    let identity = |role, name: &str| Identity {
        role,
        name: name.into(),
        ..rig.operator()
    };
    let revoke = async |role, name: &str| {
        let name = name.into();
        rig.append(vec![Entry::CertificateRevoked { role, name }.into()])
            .await;
    };
    // Control: another platform, and a person who happens to have the same name.
    revoke(Role::Platform, "other").await;
    revoke(Role::Operator, "tele").await;
    let twins = super::grpc::twin::Twins::new(rig.patients.hub().clone(), rig.access.clone());
    let caller = super::access::Caller {
        proof: super::access::Proof::Certificate(identity(Role::Platform, "tele").into()),
        address: HERE,
    };
    let mut request = tonic::Request::new(v1::WatchTwinsRequest::default());
    request.extensions_mut().insert(caller);
    let stream = super::grpc::Watched::watch(std::sync::Arc::new(twins), request).await;
    let mut stream = stream.expect("its certificate holds").into_inner();
    for _ in 0..2 {
        assert!(soon(stream.next()).await.expect("a snapshot").is_ok());
    }
    let asked = tokio::time::Instant::now();
    revoke(Role::Platform, "tele").await;
    let ended = soon(stream.next()).await.expect("a status");
    let ended = ended.expect_err("it ends");
    assert_eq!(ended.code(), Code::Unauthenticated, "{}", ended.message());
    assert!(asked.elapsed() < Duration::from_secs(2));
    // A fresh call is refused too, and after a restart.
    let rig = rig.restart().await;
    let path = "/vitaltwin.v1.TwinService/List";
    let list = v1::ListTwinsRequest::default();
    for (role, name, code) in [
        (Role::Platform, "tele", Code::Unauthenticated),
        (Role::Operator, "tele", Code::Unauthenticated),
        (Role::Platform, "third", Code::Ok),
    ] {
        let who = Identity {
            role,
            name: name.into(),
            ..rig.operator()
        };
        let (got, _) = rig.call(path, &list, Wire::Native, Some(who), &[]).await;
        assert_eq!(got, code, "{name}");
    }
}

#[tokio::test]
async fn tls_refuses_strangers_and_serves_our_own() {
    let (rig, other) = (Rig::new().await, Rig::new().await);
    rig.patient("p-1").await;
    let address = rig.listen().await;
    let get = async |config| {
        let mut twins = TwinServiceClient::new(channel(address, config).await.map_err(drop)?);
        let request = v1::GetTwinRequest {
            patient: "p-1".into(),
        };
        twins
            .get(request)
            .await
            .map(|twin| twin.into_inner().patient)
            .map_err(drop)
    };
    let own = rig.client(Some((&rig, "olga", Role::Operator)));
    assert_eq!(soon(get(own)).await, Ok("p-1".into()), "control");
    // A certificate of another centre's CA does not survive the handshake.
    let foreign = rig.client(Some((&other, "olga", Role::Operator)));
    assert_eq!(soon(get(foreign)).await, Err(()));
    // And we do not talk to another centre's port.
    assert_eq!(soon(get(other.client(None))).await, Err(()));
    assert_eq!(
        soon(get(rig.client(None))).await,
        Err(()),
        "without a certificate: UNAUTHENTICATED"
    );
}

#[tokio::test]
async fn more_connections_than_allowed_are_closed_at_once() {
    use tokio::io::AsyncReadExt as _;
    let rig = Rig::new().await;
    let address = rig.listen().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(
            tokio::net::TcpStream::connect(address)
                .await
                .expect("a connection"),
        );
    }
    let mut one_more = tokio::net::TcpStream::connect(address)
        .await
        .expect("the kernel takes it");
    let ended = soon(one_more.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "closed");
    assert_eq!(
        rig.access
            .counters()
            .refused(crate::counters::Refused::Connections),
        1
    );
    // Control: when one leaves, there is room again.
    drop(open);
    let own = || rig.client(Some((&rig, "olga", Role::Operator)));
    let room = async { while channel(address, own()).await.is_err() {} };
    soon(room).await;
}

/// The cursor that a stream of alerts gives, over TLS, and what follows after a restart of the centre.
#[tokio::test]
async fn alerts_resume_across_a_restart_without_gap_or_duplicate() {
    let mut rig = Rig::fast().await;
    let first = rig.patient("p-1").await;
    rig.assign(&first, "g-1", rig.clock.now()).await;
    let watch = async |rig: &Rig, cursor: Vec<u8>| {
        let address = rig.listen().await;
        let own = rig.client(Some((rig, "olga", Role::Operator)));
        let channel = soon(channel(address, own)).await.expect("a channel");
        let request = v1::WatchAlertsRequest {
            cursor,
            ..Default::default()
        };
        AlertServiceClient::new(channel)
            .watch(request)
            .await
            .expect("a stream")
            .into_inner()
    };
    let mut stream = watch(&rig, Vec::new()).await;
    let mut seen = Vec::new();
    let cursor = loop {
        let event = soon(stream.message())
            .await
            .expect("no error")
            .expect("an event");
        let cursor = event.cursor.clone();
        let end = matches!(event.kind, Some(alert_event::Kind::SnapshotEnd(_)));
        seen.extend(alert_of(event));
        if end && !seen.is_empty() || !end && !cursor.is_empty() && !seen.is_empty() {
            break cursor;
        }
    };
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].condition, "gateway_silent");
    drop(stream);
    // While the reader is away: another alert, a restart, a third.
    let second = rig.patient("p-2").await;
    rig.assign(&second, "g-2", rig.clock.now()).await;
    rig = rig.restart().await;
    let third = rig.patient("p-3").await;
    rig.assign(&third, "g-3", rig.clock.now()).await;
    let mut stream = watch(&rig, cursor).await;
    let mut after = Vec::new();
    while after.len() < 2 {
        let event = soon(stream.message())
            .await
            .expect("no error")
            .expect("an event");
        assert!(
            !matches!(event.kind, Some(alert_event::Kind::SnapshotEnd(_))),
            "no snapshot"
        );
        // Time runs so fast here that people are called about each meanwhile, as often as the machine is slow.
        let new = alert_of(event).filter(|new| new.id != seen[0].id);
        after.extend(new.filter(|new| after.iter().all(|of: &v1::Alert| of.id != new.id)));
    }
    let patients: Vec<_> = after.iter().map(|alert| alert.patient.as_str()).collect();
    assert_eq!(patients, ["p-2", "p-3"]);
    // The same alert has the same id as before.
    let kept = rig
        .patients
        .hub()
        .alert(&seen[0].id)
        .expect("it is still known");
    let named = |alert: &v1::Alert| (alert.condition.clone(), alert.onset_us, alert.raised_us);
    assert_eq!(named(&kept.alert), named(&seen[0]));
}

/// Waits for it: the gateway that was assigned never says anything.
async fn first_alert(rig: &Rig) -> v1::Alert {
    let raised = async {
        loop {
            if let Some(record) = rig.patients.hub().alerts().first() {
                return v1::Alert::clone(&record.alert);
            }
            tokio::task::yield_now().await;
        }
    };
    soon(raised).await
}

#[tokio::test]
async fn an_alert_is_acknowledged_once_with_its_note() {
    let rig = Rig::fast().await;
    let patient = rig.patient("p-1").await;
    rig.assign(&patient, "g-1", rig.clock.now()).await;
    let id = first_alert(&rig).await.id;
    let path = "/vitaltwin.v1.AlertService/Acknowledge";
    let operator = || Some(rig.operator());
    let ack = |alert: &str, note: &str| v1::AcknowledgeRequest {
        alert: alert.into(),
        note: note.into(),
    };
    let call = async |message: v1::AcknowledgeRequest| {
        rig.call(path, &message, Wire::Native, operator(), &[])
            .await
    };
    assert_eq!(call(ack("0123456789abcdef", "")).await.0, Code::NotFound);
    assert_eq!(
        call(ack(&id, &"x".repeat(1001))).await.0,
        Code::InvalidArgument
    );
    let (code, bytes) = call(ack(&id, "called\u{202e} the ward\n")).await;
    assert_eq!(code, Code::Ok);
    let alert = v1::Alert::decode(&bytes[5..]).expect("an alert");
    assert_eq!(alert.state(), v1::AlertState::Acknowledged);
    assert_eq!(alert.acknowledge_note, "called the ward");
    assert_eq!(alert.acknowledged_by, "operator olga");
    let position = rig.journal.status().position;
    let (code, bytes) = call(ack(&id, "again")).await;
    assert_eq!(code, Code::Ok);
    assert_eq!(
        v1::Alert::decode(&bytes[5..]).expect("an alert"),
        alert,
        "the first act stands"
    );
    assert_eq!(
        rig.journal.status().position,
        position,
        "and nothing was written"
    );
}

#[tokio::test]
async fn what_people_do_about_an_alert_is_in_their_name_and_in_the_log() {
    let rig = Rig::fast().await;
    let patient = rig.patient("p-1").await;
    rig.assign(&patient, "g-1", rig.clock.now()).await;
    let raised = first_alert(&rig).await;
    assert_eq!(raised.condition, "gateway_silent");
    assert_eq!(raised.calls[0].duty(), v1::Duty::Nurse, "called at once");
    async fn call<M: prost::Message>(rig: &Rig, method: &str, message: M) -> (Code, Bytes) {
        let path = format!("/vitaltwin.v1.AlertService/{method}");
        let operator = Some(rig.operator());
        rig.call(&path, &message, Wire::Native, operator, &[]).await
    }
    let alert = raised.id.clone();
    let comment = |text: &str| v1::CommentRequest {
        alert: alert.clone(),
        text: text.into(),
    };
    let own = |owner: &str| v1::SetOwnerRequest {
        alert: alert.clone(),
        owner: owner.into(),
    };
    let snooze = |condition: &str, for_s: u32, reason: &str| v1::SnoozeRequest {
        patient: "p-1".into(),
        condition: condition.into(),
        for_s,
        reason: reason.into(),
    };
    // What cannot be done says why, and changes nothing. (The clock runs fast: ticks come by themselves.)
    let refused = [
        call(&rig, "Comment", comment(" \n")).await,
        call(&rig, "Comment", comment(&"x".repeat(1001))).await,
        call(&rig, "SetOwner", own(&"x".repeat(101))).await,
        call(&rig, "Snooze", snooze("gateway_silent", 0, "r")).await,
        call(&rig, "Snooze", snooze("gateway_silent", 43_201, "r")).await,
        call(&rig, "Snooze", snooze("gateway_silent", 60, " ")).await,
        call(&rig, "Snooze", snooze("no_such_condition", 60, "r")).await,
    ];
    assert!(
        refused
            .iter()
            .all(|(code, _)| *code == Code::InvalidArgument)
    );
    let (code, _) = call(
        &rig,
        "EndSnooze",
        v1::EndSnoozeRequest {
            patient: "p-1".into(),
            condition: "gateway_silent".into(),
        },
    )
    .await;
    assert_eq!(code, Code::Ok, "there was none to end");
    let unknown = v1::SnoozeRequest {
        patient: "p-9".into(),
        ..snooze("gateway_silent", 60, "r")
    };
    assert_eq!(call(&rig, "Snooze", unknown).await.0, Code::NotFound);
    let kept = rig.patients.hub().alert(&alert).expect("known");
    assert!(kept.alert.comments.is_empty() && kept.alert.owner.is_empty());
    assert_eq!(kept.alert.snoozed_until_us, 0);
    // What can is there at once, with the name of who did it.
    let (code, _) = call(&rig, "Comment", comment("rang the home: \u{202e}no answer")).await;
    assert_eq!(code, Code::Ok);
    let (code, bytes) = call(&rig, "SetOwner", own("ben")).await;
    assert_eq!(code, Code::Ok);
    let held = v1::Alert::decode(&bytes[5..]).expect("an alert");
    assert_eq!(held.owner, "ben");
    let words = (held.comments[0].by.as_str(), held.comments[0].text.as_str());
    assert_eq!(words, ("operator olga", "rang the home: no answer"));
    assert_eq!(held.state(), v1::AlertState::Active, "words are no answer");
    let (code, bytes) = call(
        &rig,
        "Snooze",
        snooze("gateway_silent", 43_200, "moving house"),
    )
    .await;
    assert_eq!(code, Code::Ok);
    let answer = v1::SnoozeResponse::decode(&bytes[5..]).expect("an answer");
    let snoozed = answer.snooze.expect("what is in force");
    let lasts = Time::from_micros(snoozed.until_us).since(Time::from_micros(snoozed.since_us));
    // From the call, not from the commit, and the clock runs fast.
    let asked = vitals::Span::from_mins(12 * 60);
    assert!(
        lasts <= asked && lasts > vitals::Span::from_mins(11 * 60),
        "{lasts:?}"
    );
    let held = rig.patients.hub().alert(&alert).expect("known");
    assert_eq!(held.alert.snoozed_until_us, snoozed.until_us);
    assert_eq!(held.alert.next_call_us, 0, "nobody is called");
    // Their words lie sealed in the log, and the same is there after a restart.
    let rig = rig.restart().await;
    let again = rig.patients.hub().alert(&alert).expect("known");
    assert_eq!(again.alert.comments, held.alert.comments);
    assert_eq!(again.alert.owner, "ben");
}

#[tokio::test]
async fn a_person_has_the_next_one_of_a_ladder_called_once_and_the_log_has_it() {
    let rig = Rig::fast().await;
    let patient = rig.patient("p-1").await;
    rig.assign(&patient, "g-1", rig.clock.now()).await;
    let raised = first_alert(&rig).await;
    assert_eq!(raised.priority(), v1::Priority::Medium);
    assert_eq!(raised.next_duty(), v1::Duty::Doctor);
    let escalate = |duty: v1::Duty, text: &str| v1::EscalateRequest {
        alert: raised.id.clone(),
        duty: duty.into(),
        text: text.into(),
    };
    async fn call<M: prost::Message>(rig: &Rig, method: &str, message: M) -> (Code, Bytes) {
        let path = format!("/vitaltwin.v1.AlertService/{method}");
        let operator = Some(rig.operator());
        rig.call(&path, &message, Wire::Native, operator, &[]).await
    }
    let (nurse, doctor) = (v1::Duty::Nurse, v1::Duty::Doctor);
    // What cannot be done says why, and changes nothing.
    let unknown = v1::EscalateRequest {
        alert: "0123456789abcdef".into(),
        ..escalate(doctor, "")
    };
    let too_long = escalate(doctor, &"x".repeat(1001));
    for (message, expected) in [
        (unknown, Code::NotFound),
        (too_long, Code::InvalidArgument),
        (escalate(v1::Duty::Unspecified, ""), Code::InvalidArgument),
        (escalate(v1::Duty::Supervisor, ""), Code::FailedPrecondition),
        (escalate(nurse, "she was called already"), Code::Ok),
    ] {
        assert_eq!(call(&rig, "Escalate", message).await.0, expected);
    }
    let kept = rig.patients.hub().alert(&raised.id).expect("known");
    assert_eq!((kept.alert.calls.len(), kept.alert.comments.len()), (1, 0));
    // The doctor is called, in the name of who says so; again, by whomever: nobody is called twice.
    for again in ["nobody \u{202e}opens", "nobody opens, still"] {
        let (code, bytes) = call(&rig, "Escalate", escalate(doctor, again)).await;
        assert_eq!(code, Code::Ok);
        let held = v1::Alert::decode(&bytes[5..]).expect("an alert");
        let calls: Vec<_> = held.calls.iter().map(|of| (of.duty(), &*of.by)).collect();
        assert_eq!(calls, [(nurse, ""), (doctor, "operator olga")]);
        assert_eq!(held.next_duty(), v1::Duty::Unspecified, "nobody is left");
        let words: Vec<_> = held.comments.iter().map(|of| &*of.text).collect();
        assert_eq!(words, ["nobody opens"]);
        assert_eq!(held.state(), v1::AlertState::Active);
    }
    assert_eq!(
        call(&rig, "Escalate", escalate(v1::Duty::Supervisor, ""))
            .await
            .0,
        Code::FailedPrecondition
    );
    // The same after a restart; and nobody is called of what is silenced.
    let before = rig.patients.hub().alert(&raised.id).expect("known");
    let rig = rig.restart().await;
    let after = rig.patients.hub().alert(&raised.id).expect("known");
    assert_eq!(after.alert.calls[..2], before.alert.calls[..2]);
    let snooze = v1::SnoozeRequest {
        patient: "p-1".into(),
        condition: "gateway_silent".into(),
        for_s: 43_200,
        reason: "moving house".into(),
    };
    assert_eq!(call(&rig, "Snooze", snooze).await.0, Code::Ok);
    for duty in [nurse, doctor] {
        let (code, _) = call(&rig, "Escalate", escalate(duty, "")).await;
        assert_eq!(code, Code::FailedPrecondition);
    }
}

#[tokio::test]
async fn an_acknowledged_alert_that_is_escalated_waits_for_a_person_again() {
    let rig = Rig::fast().await;
    let patient = rig.patient("p-1").await;
    rig.assign(&patient, "g-1", rig.clock.now()).await;
    let alert = first_alert(&rig).await.id;
    async fn call<M: prost::Message>(rig: &Rig, method: &str, message: M) -> v1::Alert {
        let path = format!("/vitaltwin.v1.AlertService/{method}");
        let operator = Some(rig.operator());
        let (code, bytes) = rig.call(&path, &message, Wire::Native, operator, &[]).await;
        assert_eq!(code, Code::Ok, "{method}");
        v1::Alert::decode(&bytes[5..]).expect("an alert")
    }
    let acknowledge = || v1::AcknowledgeRequest {
        alert: alert.clone(),
        note: "on my way".into(),
    };
    let escalate = || v1::EscalateRequest {
        alert: alert.clone(),
        duty: v1::Duty::Doctor.into(),
        text: String::new(),
    };
    let held = call(&rig, "Acknowledge", acknowledge()).await;
    assert_eq!(held.state(), v1::AlertState::Acknowledged);
    assert_eq!(held.next_call_us, 0, "the ladder calls nobody");
    let held = call(&rig, "Escalate", escalate()).await;
    assert_eq!(held.state(), v1::AlertState::Active);
    assert_eq!(held.acknowledged_by, "");
    assert!(held.next_call_us > 0, "its end is in sight");
    // The one who was called answers; the click of before, repeated, does not undo that.
    call(&rig, "Acknowledge", acknowledge()).await;
    let held = call(&rig, "Escalate", escalate()).await;
    assert_eq!(held.state(), v1::AlertState::Acknowledged);
    assert_eq!(held.calls.len(), 2);
}

#[tokio::test]
async fn facts_are_recorded_whole_sealed_and_heeded() {
    let rig = Rig::new().await;
    rig.patient("p-1").await;
    async fn call<M: prost::Message>(rig: &Rig, method: &str, message: M) -> (Code, Bytes) {
        let path = format!("/vitaltwin.v1.ContextService/{method}");
        let operator = Some(rig.operator());
        rig.call(&path, &message, Wire::Native, operator, &[]).await
    }
    let fact = |id: &str, kind: v1::FactKind, text: &str| v1::Fact {
        id: id.into(),
        kind: kind as i32,
        text: text.into(),
        from_us: 1_000_000,
        recorded_by: "somebody else".into(),
        ..v1::Fact::default()
    };
    let record = |facts: Vec<v1::Fact>, retract: &[&str]| v1::RecordFactsRequest {
        patient: "p-1".into(),
        facts,
        retract: retract.iter().map(|id| (*id).to_owned()).collect(),
    };
    let target = || fact("target", v1::FactKind::OxygenTarget, "88-92");
    let twin = |rig: &Rig| {
        let hub = rig.patients.hub();
        let index = hub
            .find(&PatientId::parse("p-1").expect("fine"))
            .expect("known");
        hub.view(index).twin
    };
    // One that is unfit, and nothing is written of the others.
    let before = rig.journal.status().position;
    let unfit = fact("acvpu", v1::FactKind::Consciousness, "awake");
    let refused = [
        call(&rig, "Record", record(vec![target(), unfit], &[])).await,
        call(&rig, "Record", record(vec![], &[])).await,
        call(&rig, "Record", record(vec![target(); 65], &[])).await,
    ];
    assert!(
        refused
            .iter()
            .all(|(code, _)| *code == Code::InvalidArgument)
    );
    let nobody = v1::RecordFactsRequest {
        patient: "p-9".into(),
        ..record(vec![target()], &[])
    };
    assert_eq!(call(&rig, "Record", nobody).await.0, Code::NotFound);
    assert_eq!(rig.journal.status().position, before, "nothing was written");
    let note = fact("felt", v1::FactKind::Reported, "dizzy\u{202e} on stairs");
    let (code, bytes) = call(&rig, "Record", record(vec![target(), note], &[])).await;
    assert_eq!(code, Code::Ok);
    let known = v1::PatientContext::decode(&bytes[5..]).expect("an answer");
    let words: Vec<_> = known.facts.iter().map(|fact| fact.text.as_str()).collect();
    assert_eq!(words, ["dizzy on stairs", "88-92"]);
    assert!(
        known
            .facts
            .iter()
            .all(|fact| fact.recorded_by == "operator olga")
    );
    assert_eq!(twin(&rig).influences[0].fact, "target");
    // Which models do not speak of this patient is said, with the reason.
    let silent = twin(&rig).models.clone();
    let foreseen = silent
        .iter()
        .find(|of| of.condition == "oxygen_saturation_falling");
    let foreseen = foreseen.expect("not with this target");
    assert!(foreseen.standing() == v1::Standing::Off && foreseen.why.contains("88-92"));
    // They are in the log, under the patient's key, and come back with it.
    let rig = rig.restart().await;
    assert_eq!(twin(&rig).influences[0].fact, "target");
    let get = v1::GetContextRequest {
        patient: "p-1".into(),
    };
    let (_, bytes) = call(&rig, "Get", get).await;
    let again = v1::PatientContext::decode(&bytes[5..]).expect("an answer");
    assert_eq!(again, known);
    let (code, _) = call(&rig, "Record", record(vec![], &["target"])).await;
    assert_eq!(code, Code::Ok);
    assert!(twin(&rig).influences.is_empty());
    let silent = twin(&rig).models.clone();
    let names: Vec<_> = silent.iter().map(|of| of.condition.as_str()).collect();
    assert_eq!(
        names,
        ["heart_failure_drift"],
        "nobody knows of a failing heart"
    );
}

#[tokio::test]
async fn twins_are_listed_page_by_page_and_watched_by_name() {
    let rig = Rig::new().await;
    for id in ["p-b", "p-a", "p-c"] {
        rig.patient(id).await;
    }
    let list = async |token: &str| {
        let request = v1::ListTwinsRequest {
            page_size: 2,
            page_token: token.into(),
        };
        let path = "/vitaltwin.v1.TwinService/List";
        let (code, bytes) = rig
            .call(path, &request, Wire::Native, Some(rig.operator()), &[])
            .await;
        assert_eq!(code, Code::Ok);
        let page = v1::ListTwinsResponse::decode(&bytes[5..]).expect("a list");
        let ids: Vec<_> = page.twins.into_iter().map(|twin| twin.patient).collect();
        (ids, page.next_page_token)
    };
    let (ids, token) = list("").await;
    assert_eq!(ids, ["p-a", "p-b"]);
    assert_eq!(list(&token).await, (vec!["p-c".to_owned()], String::new()));
    let address = rig.listen().await;
    let own = rig.client(Some((&rig, "olga", Role::Operator)));
    let channel = soon(channel(address, own)).await.expect("a channel");
    let request = v1::WatchTwinsRequest {
        patients: vec!["p-c".into()],
        ..Default::default()
    };
    let stream = TwinServiceClient::new(channel).watch(request).await;
    let mut stream = stream.expect("a stream").into_inner();
    let event = soon(stream.message())
        .await
        .expect("no error")
        .expect("an event");
    assert!(matches!(event.kind, Some(twin_event::Kind::Snapshot(twin)) if twin.patient == "p-c"));
}

#[tokio::test]
async fn stopping_ends_open_streams_with_a_status() {
    let rig = Rig::new().await;
    rig.patient("p-1").await;
    let address = rig.listen().await;
    let own = rig.client(Some((&rig, "olga", Role::Operator)));
    let channel = soon(channel(address, own)).await.expect("a channel");
    let request = v1::WatchAlertsRequest::default();
    let stream = AlertServiceClient::new(channel).watch(request).await;
    let mut stream = stream.expect("a stream").into_inner();
    let event = soon(stream.message())
        .await
        .expect("no error")
        .expect("an event");
    assert!(matches!(
        event.kind,
        Some(alert_event::Kind::SnapshotEnd(_))
    ));
    rig.stop.cancel();
    let ended = soon(stream.message()).await.expect_err("it ends");
    assert_eq!(ended.code(), Code::Unavailable);
    assert!(
        ended.message().contains("the centre stops"),
        "{}",
        ended.message()
    );
}

/// What `chain` judges of subscribers is heard here.
#[tokio::test]
async fn a_platform_that_reads_alerts_is_there_until_it_goes() {
    let rig = Rig::new().await;
    let address = rig.listen().await;
    let client = |name, role| {
        let own = rig.client(Some((&rig, name, role)));
        async move {
            let channel = soon(channel(address, own)).await.expect("a channel");
            AlertServiceClient::new(channel)
        }
    };
    rig.platform("tele", Some(&platform::everything())).await;
    let heard = |name: &str| rig.access.attendance().heard().get(name).copied();
    let mut platform = client("tele", Role::Platform).await;
    let request = v1::WatchAlertsRequest::default;
    assert_eq!(heard("tele"), None);
    let stream = platform.watch(request()).await.expect("a stream");
    let there = heard("tele").map(|of| (of.open, of.confirmed.is_some()));
    assert_eq!(there, Some((1, false)));
    let confirmed = platform.confirm(v1::ConfirmRequest {}).await;
    confirmed.expect("a platform may");
    assert!(heard("tele").is_some_and(|of| of.confirmed.is_some()));
    // Somebody at the page is no platform.
    let mut operator = client("olga", Role::Operator).await;
    let _theirs = operator.watch(request()).await.expect("a stream");
    assert_eq!(heard("olga"), None);
    drop((stream, platform));
    soon(async {
        while heard("tele").is_none_or(|of| of.open > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
