//! What platforms get: what they were given, of whom it was given, less what patients do not share; and at once.

use proto::v1::{Collection, PlatformScope, PlatformService as Service, TwinPart};
use vitals::Kind;

use super::past::{self, open, whole_second};
use super::*;
use crate::journal::TeamAct;
use crate::publish::event::{TwinEvent, TwinKind};
use crate::serve::access::{Caller, Proof};
use crate::serve::grpc::{Events, Watched, twin::Twins};

/// All of everybody.
pub(super) fn everything() -> PlatformScope {
    PlatformScope {
        all_patients: true,
        services: vec![1, 2, 3, 4],
        ..Default::default()
    }
}

/// Of the patients of team A, for these services.
fn of_team_a(services: &[Service]) -> PlatformScope {
    PlatformScope {
        teams: vec!["A".into()],
        services: services.iter().map(|of| i32::from(*of)).collect(),
        ..Default::default()
    }
}

fn tele(rig: &Rig) -> Identity {
    Identity {
        role: Role::Platform,
        name: "tele".into(),
        ..rig.operator()
    }
}

fn id(patient: &str) -> PatientId {
    PatientId::parse(patient).expect("a patient id")
}

/// Team A looks after `p-a`, nobody after `p-b`; each has a silent gateway.
async fn wards(rig: &Rig) {
    for (patient, gateway) in [("p-a", "g-a"), ("p-b", "g-b")] {
        let patient = rig.patient(patient).await;
        rig.assign(&patient, gateway, rig.clock.now()).await;
    }
    rig.team("A", TeamAct::Made).await;
    rig.team("A", TeamAct::Took(id("p-a"))).await;
}

async fn alert_of_patient(rig: &Rig, patient: &str) -> String {
    let patient = id(patient);
    soon(async {
        loop {
            let mut alerts = rig.patients.hub().alerts().into_iter();
            if let Some(found) = alerts.find(|one| one.patient == patient) {
                return found.alert.id.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Each read and act of the contract that a platform has: its service, and what it asks about a patient or their alert.
fn calls(patient: &str, alert: &str) -> Vec<(&'static str, Service, Vec<u8>)> {
    let (patient, alert) = (patient.to_owned(), alert.to_owned());
    let (from_us, to_us) = (1, 2);
    let of = patient.clone();
    let get = v1::GetTwinRequest { patient: of };
    let of = patient.clone();
    let print = v1::NotePrintRequest { patient: of };
    let of = patient.clone();
    let context = v1::GetContextRequest { patient: of };
    let coverage = v1::CoverageRequest {
        patient: patient.clone(),
        from_us,
        to_us,
        ..Default::default()
    };
    let history = v1::HistoryRequest {
        patient: patient.clone(),
        from_us,
        to_us,
        ..Default::default()
    };
    let waves = v1::WaveformRequest {
        patient: patient.clone(),
        from_us,
        to_us,
        ..Default::default()
    };
    let export = v1::BeginExportRequest {
        patients: vec![patient],
        from_us,
        to_us,
        ..Default::default()
    };
    let of = alert.clone();
    let one = v1::GetAlertRequest { alert: of };
    let comment = v1::CommentRequest {
        alert: alert.clone(),
        text: "rang the home".into(),
    };
    let acknowledge = v1::AcknowledgeRequest {
        alert,
        note: String::new(),
    };
    vec![
        ("TwinService/Get", Service::Values, get.encode_to_vec()),
        (
            "TwinService/NotePrint",
            Service::Values,
            print.encode_to_vec(),
        ),
        (
            "ContextService/Get",
            Service::Values,
            context.encode_to_vec(),
        ),
        (
            "HistoryService/Coverage",
            Service::History,
            coverage.encode_to_vec(),
        ),
        (
            "HistoryService/Query",
            Service::History,
            history.encode_to_vec(),
        ),
        (
            "HistoryService/Waveforms",
            Service::History,
            waves.encode_to_vec(),
        ),
        (
            "HistoryService/BeginExport",
            Service::History,
            export.encode_to_vec(),
        ),
        ("AlertService/Get", Service::Alerts, one.encode_to_vec()),
        (
            "AlertService/Comment",
            Service::Acknowledge,
            comment.encode_to_vec(),
        ),
        (
            "AlertService/Acknowledge",
            Service::Acknowledge,
            acknowledge.encode_to_vec(),
        ),
    ]
}

fn contains(bytes: &Bytes, text: &str) -> bool {
    let mut windows = bytes.windows(text.len());
    windows.any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn each_service_is_refused_outside_of_what_was_given() {
    let rig = Rig::fast().await;
    wards(&rig).await;
    let (own, other) = (
        alert_of_patient(&rig, "p-a").await,
        alert_of_patient(&rig, "p-b").await,
    );
    let call = async |path: &str, message: &[u8]| {
        let path = format!("/vitaltwin.v1.{path}");
        rig.call_raw(&path, message, Wire::Native, Some(tele(&rig)), &[])
            .await
    };
    let passed = |code| matches!(code, Code::Ok | Code::FailedPrecondition);
    let refused = [Code::PermissionDenied, Code::NotFound];
    // Nothing was said of it yet.
    for (path, _, message) in calls("p-a", &own) {
        let (code, _) = call(path, &message).await;
        assert_eq!(code, Code::PermissionDenied, "{path}");
    }
    let scopes: [&[Service]; 5] = [
        &[Service::Values],
        &[Service::History],
        &[Service::Alerts],
        &[Service::Alerts, Service::Acknowledge],
        &[Service::Values, Service::Alerts, Service::History],
    ];
    for services in scopes {
        rig.platform("tele", Some(&of_team_a(services))).await;
        for (path, service, message) in calls("p-a", &own) {
            let (code, _) = call(path, &message).await;
            if services.contains(&service) {
                assert!(passed(code), "{path} {services:?}: {code:?}");
            } else {
                assert_eq!(code, Code::PermissionDenied, "{path} {services:?}");
            }
        }
        for (path, _, message) in calls("p-b", &other) {
            let (code, bytes) = call(path, &message).await;
            assert!(refused.contains(&code), "{path} {services:?}: {code:?}");
            assert!(!contains(&bytes, "p-b"), "{path}");
        }
        // Who is not given is as one who is not there.
        let asked = |patient: &str| calls(patient, "0000000000000000");
        for ((path, service, other), (.., absent)) in asked("p-b").into_iter().zip(asked("p-404")) {
            if services.contains(&service) {
                let (other, absent) = (call(path, &other).await, call(path, &absent).await);
                assert_eq!(other, absent, "{path}");
            }
        }
        // Lists hold what was given; an alert in a twin is an alert.
        let twins = call("TwinService/List", &[]).await.1;
        let alerts = call("AlertService/List", &[]).await.1;
        let values = services.contains(&Service::Values);
        let rings = services.contains(&Service::Alerts);
        assert_eq!(contains(&twins, "p-a"), values, "{services:?}");
        assert_eq!(contains(&twins, &own), values && rings, "{services:?}");
        assert_eq!(contains(&alerts, &own), rings, "{services:?}");
        for bytes in [&twins, &alerts] {
            assert!(!contains(bytes, "p-b") && !contains(bytes, &other));
        }
    }
    // What no scope gives.
    rig.platform("tele", Some(&everything())).await;
    let export = v1::ListPatientsRequest {}.encode_to_vec();
    // Whom a team calls is the team's affair.
    let escalate = v1::EscalateRequest {
        alert: own.clone(),
        duty: v1::Duty::Doctor.into(),
        text: String::new(),
    };
    for (path, message) in [
        ("OperatorService/ListPatients", &export),
        ("FleetService/Read", &export),
        ("HistoryService/ListAccesses", &export),
        ("AlertService/Escalate", &escalate.encode_to_vec()),
    ] {
        let (code, _) = call(path, message).await;
        assert_eq!(code, Code::PermissionDenied, "{path}");
    }
}

#[tokio::test]
async fn a_platform_that_was_given_kinds_gets_nothing_of_another() {
    let rig = Rig::new().await;
    let patient = rig.patient("p-a").await;
    let start = whole_second(rig.clock.now());
    let stream = rig.assign(&patient, "g-1", start).await;
    let mut sealer = open(&rig, &patient, stream).await;
    for kind in [Kind::HeartRate, Kind::OxygenSaturation] {
        past::journal(&rig, &mut sealer, &past::readings_of(kind, start, 20)).await;
    }
    let scope = PlatformScope {
        kinds: vec![Kind::OxygenSaturation.wire()],
        ..everything()
    };
    rig.platform("tele", Some(&scope)).await;
    let call = async |path: &str, message: &[u8]| {
        let path = format!("/vitaltwin.v1.{path}");
        rig.call_raw(&path, message, Wire::Native, Some(tele(&rig)), &[])
            .await
    };
    let get = v1::GetTwinRequest {
        patient: "p-a".into(),
    }
    .encode_to_vec();
    let (code, bytes) = call("TwinService/Get", &get).await;
    assert_eq!(code, Code::Ok);
    let twin = v1::Twin::decode(&bytes[5..]).expect("a twin");
    let kinds: Vec<i32> = twin.channels.iter().map(|of| of.kind).collect();
    assert_eq!(kinds, [Kind::OxygenSaturation.wire()]);
    assert!(twin.scores.is_empty() && twin.rhythm.is_none());
    // Control: without the scope there is the other one.
    let whole = rig.patients.hub().find(&patient).expect("known");
    assert_eq!(rig.patients.hub().view(whole).twin.channels.len(), 2);

    let history = |kinds: Vec<i32>| {
        v1::HistoryRequest {
            patient: "p-a".into(),
            kinds,
            from_us: start.as_micros(),
            to_us: start.as_micros() + 60_000_000,
            ..Default::default()
        }
        .encode_to_vec()
    };
    let (code, bytes) = call("HistoryService/Query", &history(Vec::new())).await;
    assert_eq!(code, Code::Ok);
    let told: Vec<i32> = past::chunks(&bytes).iter().map(|of| of.kind).collect();
    assert_eq!(told, [Kind::OxygenSaturation.wire()]);
    let denied = Code::PermissionDenied;
    let named = history(vec![Kind::OxygenSaturation.wire(), Kind::HeartRate.wire()]);
    assert_eq!(call("HistoryService/Query", &named).await.0, denied);
    for (path, _, message) in calls("p-a", "0000000000000000") {
        let several = ["ContextService/Get", "HistoryService/Waveforms"].contains(&path);
        if several {
            assert_eq!(call(path, &message).await.0, denied, "{path}");
        }
    }
    let watch = |kinds: &[Kind], parts: &[TwinPart]| v1::WatchTwinsRequest {
        kinds: kinds.iter().map(|kind| kind.wire()).collect(),
        parts: parts.iter().map(|part| i32::from(*part)).collect(),
        ..Default::default()
    };
    for asked in [
        watch(&[Kind::HeartRate], &[]),
        watch(&[], &[TwinPart::Scores]),
        watch(&[], &[TwinPart::Rhythm]),
    ] {
        let refused = watched(&rig, asked).await.err().expect("refused");
        assert_eq!(refused.code(), denied);
        assert!(
            refused.message().contains("platform scope"),
            "{}",
            refused.message()
        );
    }
    let mut stream = watched(&rig, watch(&[], &[])).await.expect("given");
    let twins = snapshot(&mut stream).await.0;
    assert_eq!(twins[0].channels.len(), 1);
}

/// What it rests on changes to a kind that the platform was not given: lists and single calls go on telling it, without that.
#[tokio::test]
async fn an_alert_that_was_told_is_told_on() {
    use crate::publish::{At, Events as _};
    let rig = Rig::new().await;
    let patient = rig.patient("p-a").await;
    let hub = rig.patients.hub();
    let index = hub.find(&patient).expect("known");
    let tell = |kind: Kind| {
        let position = hub.position() + 1;
        let evidence = v1::Evidence {
            kind: kind.wire(),
            label: "as measured".into(),
            contribution: 1.0,
            ..Default::default()
        };
        let alert = v1::Alert {
            id: "00000000000000aa".into(),
            patient: "p-a".into(),
            category: v1::Category::Physiological.into(),
            state: v1::AlertState::Active.into(),
            evidence: vec![evidence],
            ..Default::default()
        };
        let at = At { position, index: 0 };
        hub.alert_changed(index, at, "a-9".into(), alert);
    };
    let scope = |kind: Kind| PlatformScope {
        kinds: vec![kind.wire()],
        ..everything()
    };
    let asked = async || {
        let get = v1::GetAlertRequest {
            alert: "00000000000000aa".into(),
        };
        let mut said = Vec::new();
        for (path, message) in [("Get", get.encode_to_vec()), ("List", Vec::new())] {
            let path = format!("/vitaltwin.v1.AlertService/{path}");
            let (_, bytes) = rig
                .call_raw(&path, &message, Wire::Native, Some(tele(&rig)), &[])
                .await;
            said.push((
                contains(&bytes, "00000000000000aa"),
                contains(&bytes, "as measured"),
            ));
        }
        assert_eq!(said[0], said[1]);
        said[0]
    };
    rig.platform("tele", Some(&scope(Kind::PulseRate))).await;
    tell(Kind::PulseRate);
    assert_eq!(asked().await, (true, true), "control");
    tell(Kind::HeartRate);
    assert_eq!(asked().await, (true, false));
    rig.platform("tele", Some(&scope(Kind::BodyTemperature)))
        .await;
    assert_eq!(asked().await, (false, false));
    rig.platform("tele", Some(&scope(Kind::HeartRate))).await;
    assert_eq!(asked().await, (true, true));
}

async fn watched(
    rig: &Rig,
    asked: v1::WatchTwinsRequest,
) -> Result<Events<TwinEvent>, tonic::Status> {
    let twins = Twins::new(rig.patients.hub().clone(), rig.access.clone());
    let mut request = tonic::Request::new(asked);
    request.extensions_mut().insert(Caller {
        proof: Proof::Certificate(tele(rig).into()),
        address: HERE,
    });
    let stream = Watched::watch(std::sync::Arc::new(twins), request).await;
    Ok(stream?.into_inner())
}

/// The twins of a snapshot, why there was one, and the cursor at its end.
async fn snapshot(stream: &mut Events<TwinEvent>) -> (Vec<v1::Twin>, String, Vec<u8>) {
    let mut twins = Vec::new();
    loop {
        let event = soon(stream.next()).await.expect("an event");
        let event = event.expect("given");
        match event.kind.expect("a kind") {
            TwinKind::Snapshot(twin) => twins.push(v1::Twin::decode(twin).expect("a twin")),
            TwinKind::SnapshotEnd(end) => return (twins, end.reason, event.cursor.to_vec()),
            TwinKind::Change(_) | TwinKind::KeepAlive(_) => {}
        }
    }
}

/// How a stream ends, and that it does within two seconds, with nothing of `p-b` after it was known to.
async fn end(mut stream: Events<TwinEvent>) -> tonic::Status {
    let asked = tokio::time::Instant::now();
    let ended = soon(async {
        loop {
            if let Err(ended) = stream.next().await.expect("a status") {
                return ended;
            }
        }
    });
    let ended = ended.await;
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
    ended
}

#[tokio::test]
async fn what_is_taken_back_ends_open_streams_and_a_patients_word_stands_above_it() {
    let rig = Rig::new().await;
    wards(&rig).await;
    let open = async |cursor: &[u8]| {
        let cursor = cursor.to_vec();
        let asked = v1::WatchTwinsRequest {
            cursor,
            ..Default::default()
        };
        let mut stream = watched(&rig, asked).await?;
        let (twins, reason, cursor) = snapshot(&mut stream).await;
        let seen: Vec<String> = twins.into_iter().map(|twin| twin.patient).collect();
        Ok::<_, tonic::Status>((stream, seen, reason, cursor))
    };
    rig.platform("tele", Some(&everything())).await;
    let (stream, seen, _, cursor) = open(&[]).await.expect("given");
    assert_eq!(seen, ["p-a", "p-b"]);
    // Fewer patients: the old cursor gives a snapshot that says why.
    rig.platform("tele", Some(&of_team_a(&[Service::Values])))
        .await;
    let ended = end(stream).await;
    assert_eq!(ended.code(), Code::Aborted, "{}", ended.message());
    let (stream, seen, reason, _) = open(&cursor).await.expect("given");
    assert_eq!(seen, ["p-a"]);
    assert!(!reason.is_empty());
    // Who the team takes comes; when it ends nobody is left, and a later team of its name gives nobody.
    rig.team("A", TeamAct::Took(id("p-b"))).await;
    assert_eq!(end(stream).await.code(), Code::Aborted);
    let (stream, seen, ..) = open(&[]).await.expect("given");
    assert_eq!(seen, ["p-a", "p-b"]);
    rig.team("A", TeamAct::Ended).await;
    assert_eq!(end(stream).await.code(), Code::Aborted);
    rig.team("A", TeamAct::Made).await;
    rig.team("A", TeamAct::Took(id("p-a"))).await;
    let (stream, seen, ..) = open(&[]).await.expect("given");
    assert!(seen.is_empty(), "{seen:?}");
    drop(stream);
    // A service less: refused, with what to do.
    rig.platform("tele", Some(&everything())).await;
    let (stream, ..) = open(&[]).await.expect("given");
    rig.platform("tele", Some(&of_team_a(&[Service::Alerts])))
        .await;
    let ended = end(stream).await;
    assert_eq!(ended.code(), Code::PermissionDenied);
    assert!(
        ended.message().contains("platform scope"),
        "{}",
        ended.message()
    );
    rig.platform("tele", Some(&everything())).await;
    let (stream, ..) = open(&[]).await.expect("given");
    rig.platform("tele", None).await;
    let ended = end(stream).await;
    assert_eq!(ended.code(), Code::PermissionDenied);
    assert!(
        ended.message().contains("given nothing"),
        "{}",
        ended.message()
    );
    let watch = "/vitaltwin.v1.TwinService/Watch";
    let (code, _) = rig
        .call_raw(watch, &[], Wire::Native, Some(tele(&rig)), &[])
        .await;
    assert_eq!(code, Code::PermissionDenied);

    // The patient's word, on this platform alone, and on all of it.
    rig.platform("tele", Some(&everything())).await;
    let share = async |shared| {
        let entry = Entry::Sharing {
            patient: id("p-b"),
            platform: "tele".into(),
            shared,
            by: "patient".into(),
        };
        rig.append(vec![entry.into()]).await;
    };
    let collect = async |collection| {
        let entry = Entry::Collection {
            patient: id("p-b"),
            collection,
            erase_unsent: false,
            since: rig.clock.now(),
            streams: Vec::new(),
        };
        rig.append(vec![entry.into()]).await;
    };
    for (what, stop) in [
        ("this one", None),
        ("paused", Some(Collection::Paused)),
        ("withdrawn", Some(Collection::Withdrawn)),
    ] {
        let (stream, seen, ..) = open(&[]).await.expect("given");
        assert_eq!(seen.len(), 2, "{what}");
        match stop {
            None => share(false).await,
            Some(collection) => collect(collection).await,
        }
        assert_eq!(end(stream).await.code(), Code::Aborted, "{what}");
        let (stream, seen, ..) = open(&[]).await.expect("given");
        assert_eq!(seen, ["p-a"], "{what}");
        match stop {
            None => share(true).await,
            Some(_) => collect(Collection::Given).await,
        }
        assert_eq!(end(stream).await.code(), Code::Aborted, "{what}");
    }
    // All of it lies in the log.
    share(false).await;
    collect(Collection::Paused).await;
    let rig = rig.restart().await;
    let get = |patient: &str| v1::GetTwinRequest {
        patient: patient.into(),
    };
    for (patient, want) in [("p-a", Code::Ok), ("p-b", Code::PermissionDenied)] {
        let path = "/vitaltwin.v1.TwinService/Get";
        let (code, _) = rig
            .call(path, &get(patient), Wire::Native, Some(tele(&rig)), &[])
            .await;
        assert_eq!(code, want, "{patient}");
    }
}
