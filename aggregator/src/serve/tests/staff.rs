//! People, roles and teams, as every surface of the port has them: the cells that the gate's own table cannot show.

use super::*;
use crate::journal::TeamAct;
use crate::serve::access::{Caller, Proof};

const TWIN_GET: &str = "/vitaltwin.v1.TwinService/Get";

/// Two wards: Nina, Dora and Vera look after `p-a`, Otto after `p-b`; Sam has all, Adam runs the centre.
async fn wards(rig: &Rig) {
    for (patient, gateway) in [("p-a", "g-a"), ("p-b", "g-b")] {
        let patient = rig.patient(patient).await;
        rig.assign(&patient, gateway, rig.clock.now()).await;
    }
    for (name, role) in [
        ("Vera", StaffRole::Viewer),
        ("Nina", StaffRole::Nurse),
        ("Dora", StaffRole::Doctor),
        ("Otto", StaffRole::Nurse),
        ("Sam", StaffRole::Supervisor),
        ("Adam", StaffRole::Administrator),
    ] {
        rig.person(name, role).await;
    }
    for (team, patient, people) in [
        ("A", "p-a", &["Vera", "Nina", "Dora"][..]),
        ("B", "p-b", &["Otto"]),
    ] {
        rig.team(team, TeamAct::Made).await;
        rig.team(team, TeamAct::Took(id(patient))).await;
        for person in people {
            rig.team(team, TeamAct::Joined((*person).into())).await;
        }
    }
}

fn id(patient: &str) -> PatientId {
    PatientId::parse(patient).expect("a patient id")
}

/// An open alert of a patient, by its public id.
async fn alert_of_patient(rig: &Rig, patient: &str) -> String {
    let patient = id(patient);
    soon(async {
        loop {
            let alerts = rig.patients.hub().alerts();
            if let Some(found) = alerts.into_iter().find(|one| one.patient == patient) {
                return found.alert.id.clone();
            }
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

fn get(patient: &str) -> Vec<u8> {
    let patient = patient.into();
    v1::GetTwinRequest { patient }.encode_to_vec()
}

/// A method, what it asks of the own and of the other patient, and who may: viewer, nurse, doctor, supervisor,
/// administrator.
type Call = (&'static str, [Vec<u8>; 2], [bool; 5]);

/// A call's message, whatever it is.
struct Raw(Vec<u8>);

impl Raw {
    async fn call(&self, rig: &Rig, path: &str, cookie: &str) -> (Code, Bytes) {
        let headers = [("cookie", cookie), PAGE_ORIGIN];
        rig.call_raw(path, &self.0, Wire::Web, None, &headers).await
    }
}

/// Every call that names a patient or an alert, by each role, for their own patient and for one of another team.
#[tokio::test]
async fn each_call_gives_a_role_its_own_patients_and_nothing_of_others() {
    let rig = Rig::fast().await;
    wards(&rig).await;
    let (own, other) = (
        alert_of_patient(&rig, "p-a").await,
        alert_of_patient(&rig, "p-b").await,
    );
    let coverage = |patient: &str| v1::CoverageRequest {
        patient: patient.into(),
        from_us: 1,
        to_us: 2,
        ..Default::default()
    };
    let history = |patient: &str| v1::HistoryRequest {
        patient: patient.into(),
        from_us: 1,
        to_us: 2,
        ..Default::default()
    };
    let waves = |patient: &str| v1::WaveformRequest {
        patient: patient.into(),
        from_us: 1,
        to_us: 2,
        ..Default::default()
    };
    let print = |patient: &str| v1::NotePrintRequest {
        patient: patient.into(),
    };
    let context = |patient: &str| v1::GetContextRequest {
        patient: patient.into(),
    };
    let fact = |patient: &str, kind: v1::FactKind, text: &str| v1::RecordFactsRequest {
        patient: patient.into(),
        facts: vec![v1::Fact {
            id: kind.as_str_name().into(),
            kind: kind.into(),
            text: text.into(),
            from_us: 1_000_000,
            ..Default::default()
        }],
        retract: Vec::new(),
    };
    let snooze = |patient: &str| v1::SnoozeRequest {
        patient: patient.into(),
        condition: "heart_rate_low".into(),
        for_s: 60,
        reason: "asleep".into(),
    };
    let wake = |patient: &str| v1::EndSnoozeRequest {
        patient: patient.into(),
        condition: "heart_rate_low".into(),
    };
    let alert = |id: &str| v1::GetAlertRequest { alert: id.into() };
    let comment = |id: &str| v1::CommentRequest {
        alert: id.into(),
        text: "rang the home".into(),
    };
    let owner = |id: &str| v1::SetOwnerRequest {
        alert: id.into(),
        owner: "Nina".into(),
    };
    let escalate = |id: &str| v1::EscalateRequest {
        alert: id.into(),
        duty: v1::Duty::Doctor.into(),
        text: String::new(),
    };
    let acknowledge = |id: &str| v1::AcknowledgeRequest {
        alert: id.into(),
        note: String::new(),
    };
    let acvpu = v1::FactKind::Consciousness;
    let target = v1::FactKind::OxygenTarget;
    let calls: Vec<Call> = vec![
        ("TwinService/Get", [get("p-a"), get("p-b")], LOOK),
        ("TwinService/NotePrint", both(print), LOOK),
        ("TwinService/GetScoreboard", [get("p-a"), get("p-b")], LOOK),
        ("ContextService/Get", both(context), LOOK),
        ("HistoryService/Coverage", both(coverage), LOOK),
        ("HistoryService/Query", both(history), LOOK),
        ("HistoryService/Waveforms", both(waves), LOOK),
        (
            "AlertService/Get",
            [own.as_str(), &other].map(|id| alert(id).encode_to_vec()),
            LOOK,
        ),
        (
            "AlertService/Comment",
            [own.as_str(), &other].map(|id| comment(id).encode_to_vec()),
            ACT,
        ),
        (
            "AlertService/SetOwner",
            [own.as_str(), &other].map(|id| owner(id).encode_to_vec()),
            ACT,
        ),
        (
            "AlertService/Escalate",
            [own.as_str(), &other].map(|id| escalate(id).encode_to_vec()),
            ACT,
        ),
        ("AlertService/Snooze", both(snooze), ACT),
        ("AlertService/EndSnooze", both(wake), ACT),
        ("ContextService/Record", both(|p| fact(p, acvpu, "A")), ACT),
        (
            "ContextService/Record",
            both(|p| fact(p, target, "88-92")),
            PRESCRIBE,
        ),
        // Last: it answers the alert.
        (
            "AlertService/Acknowledge",
            [own.as_str(), &other].map(|id| acknowledge(id).encode_to_vec()),
            ACT,
        ),
    ];
    let people = ["Vera", "Nina", "Dora", "Sam", "Adam"];
    for (method, [mine, theirs], may) in calls {
        let path = format!("/vitaltwin.v1.{method}");
        for (person, may) in people.into_iter().zip(may) {
            let cookie = rig.signed_in(person);
            let (code, _) = Raw(mine.clone()).call(&rig, &path, &cookie).await;
            if may {
                assert!(passed(code), "{person} {method}: {code:?}");
            } else {
                assert_eq!(code, Code::PermissionDenied, "{person} {method}");
            }
            let (code, bytes) = Raw(theirs.clone()).call(&rig, &path, &cookie).await;
            if person == "Sam" {
                assert!(passed(code), "{person} {method}: {code:?}");
                continue;
            }
            let refused = [Code::PermissionDenied, Code::NotFound];
            assert!(refused.contains(&code), "{person} {method}: {code:?}");
            assert!(!contains(&bytes, "p-b"), "{person} {method}");
            // Whoever asks learns as much of a patient that there is not.
            if method.starts_with("TwinService") {
                let (absent, said) = Raw(get("p-404")).call(&rig, &path, &cookie).await;
                assert_eq!((absent, said), (code, bytes), "{person}");
            }
        }
    }
    // Lists hold what is theirs.
    for (person, sees) in [
        ("Vera", [true, false]),
        ("Otto", [false, true]),
        ("Sam", [true, true]),
    ] {
        let cookie = rig.signed_in(person);
        for list in ["TwinService/List", "AlertService/List"] {
            let path = format!("/vitaltwin.v1.{list}");
            let (code, bytes) = Raw(Vec::new()).call(&rig, &path, &cookie).await;
            assert_eq!(code, Code::Ok);
            let seen = ["p-a", "p-b"].map(|patient| contains(&bytes, patient));
            assert_eq!(seen, sees, "{person} {list}");
        }
    }
}

const LOOK: [bool; 5] = [true, true, true, true, false];
const ACT: [bool; 5] = [false, true, true, true, false];
const PRESCRIBE: [bool; 5] = [false, false, true, true, false];

fn both<M: prost::Message>(of: impl Fn(&str) -> M) -> [Vec<u8>; 2] {
    ["p-a", "p-b"].map(|patient| of(patient).encode_to_vec())
}

/// The gate let it through; that the alert was answered meanwhile is no affair of the gate's.
fn passed(code: Code) -> bool {
    matches!(code, Code::Ok | Code::FailedPrecondition)
}

fn contains(bytes: &Bytes, text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_prescription_is_not_taken_back_or_replaced_by_who_may_not_prescribe() {
    let rig = Rig::new().await;
    wards(&rig).await;
    let record = "/vitaltwin.v1.ContextService/Record";
    let fact = |kind: v1::FactKind, text: &str| v1::Fact {
        id: "x".into(),
        kind: kind.into(),
        text: text.into(),
        from_us: 1_000_000,
        ..Default::default()
    };
    let say = |facts: Vec<v1::Fact>, retract: &[&str]| {
        let retract = retract.iter().map(|id| (*id).to_owned()).collect();
        let patient = "p-a".into();
        Raw(v1::RecordFactsRequest {
            patient,
            facts,
            retract,
        }
        .encode_to_vec())
    };
    let (dora, nina) = (rig.signed_in("Dora"), rig.signed_in("Nina"));
    let target = fact(v1::FactKind::OxygenTarget, "88-92");
    let (code, _) = say(vec![target], &[]).call(&rig, record, &dora).await;
    assert_eq!(code, Code::Ok, "control");
    let words = || fact(v1::FactKind::Reported, "slept well");
    for (facts, retract) in [(vec![words()], &[][..]), (vec![], &["x"])] {
        let (code, _) = say(facts, retract).call(&rig, record, &nina).await;
        assert_eq!(code, Code::PermissionDenied);
    }
    let (code, _) = say(vec![], &["x"]).call(&rig, record, &dora).await;
    assert_eq!(code, Code::Ok);
    let (code, _) = say(vec![words()], &[]).call(&rig, record, &nina).await;
    assert_eq!(code, Code::Ok, "control: it is no prescription now");
}

/// A stream of twins of somebody who is signed in.
async fn watch(
    rig: &Rig,
    cookie: &str,
    cursor: &[u8],
) -> Result<super::super::grpc::Events<crate::publish::event::TwinEvent>, tonic::Status> {
    let value = cookie.split_once('=').expect("a cookie").1;
    let key = rig.access.sign_in().session(value).expect("a session");
    let twins =
        super::super::grpc::twin::Twins::new(rig.patients.hub().clone(), rig.access.clone());
    let mut request = tonic::Request::new(v1::WatchTwinsRequest {
        cursor: cursor.to_vec(),
        ..Default::default()
    });
    request.extensions_mut().insert(Caller {
        proof: Proof::Session(key),
        address: HERE,
    });
    let stream = super::super::grpc::Watched::watch(std::sync::Arc::new(twins), request).await;
    Ok(stream?.into_inner())
}

/// The patients of a snapshot, why there was one, and the cursor at its end.
async fn snapshot(
    stream: &mut super::super::grpc::Events<crate::publish::event::TwinEvent>,
) -> (Vec<String>, String, Vec<u8>) {
    use crate::publish::event::TwinKind;
    let mut patients = Vec::new();
    loop {
        let event = soon(stream.next())
            .await
            .expect("an event")
            .expect("allowed");
        match event.kind.expect("a kind") {
            TwinKind::Snapshot(twin) => {
                let twin = v1::Twin::decode(twin).expect("a twin");
                patients.push(twin.patient);
            }
            TwinKind::SnapshotEnd(end) => return (patients, end.reason, event.cursor.to_vec()),
            TwinKind::Change(_) | TwinKind::KeepAlive(_) => {}
        }
    }
}

/// How a stream ends, and that it does within two seconds.
async fn end(
    mut stream: super::super::grpc::Events<crate::publish::event::TwinEvent>,
) -> tonic::Status {
    let asked = tokio::time::Instant::now();
    let ended = soon(async {
        loop {
            if let Err(ended) = stream.next().await.expect("a status") {
                return ended;
            }
        }
    })
    .await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{ended:?}");
    ended
}

#[tokio::test]
async fn what_is_given_and_taken_reaches_open_streams_within_two_seconds() {
    let rig = Rig::new().await;
    wards(&rig).await;
    let (nina, otto) = (rig.signed_in("Nina"), rig.signed_in("Otto"));
    let mut stream = watch(&rig, &nina, &[]).await.expect("a nurse reads");
    let mut others = watch(&rig, &otto, &[]).await.expect("a nurse reads");
    let (seen, _, cursor) = snapshot(&mut stream).await;
    assert_eq!(seen, ["p-a"]);
    assert_eq!(snapshot(&mut others).await.0, ["p-b"]);

    // A patient comes: whoever goes on from where they were would not hear of what is known already.
    rig.team("A", TeamAct::Took(id("p-b"))).await;
    let cut = end(stream).await;
    assert_eq!(cut.code(), Code::Aborted, "{cut:?}");
    let mut stream = watch(&rig, &nina, &cursor).await.expect("again");
    let (seen, why, cursor) = snapshot(&mut stream).await;
    assert_eq!(seen, ["p-a", "p-b"]);
    assert!(why.contains("other patients"), "{why}");

    // A patient goes.
    rig.team("A", TeamAct::Released(id("p-a"))).await;
    assert_eq!(end(stream).await.code(), Code::Aborted);
    let mut stream = watch(&rig, &nina, &cursor).await.expect("again");
    assert_eq!(snapshot(&mut stream).await.0, ["p-b"]);

    // The team goes, and nothing is left.
    rig.team("A", TeamAct::Ended).await;
    assert_eq!(end(stream).await.code(), Code::Aborted);
    let mut stream = watch(&rig, &nina, &[]).await.expect("again");
    let (seen, _, cursor) = snapshot(&mut stream).await;
    assert!(seen.is_empty(), "{seen:?}");

    // Another role, in the middle of a stream, twice.
    rig.person("Nina", StaffRole::Supervisor).await;
    assert_eq!(end(stream).await.code(), Code::Aborted);
    let mut stream = watch(&rig, &nina, &cursor).await.expect("again");
    assert_eq!(snapshot(&mut stream).await.0, ["p-a", "p-b"]);
    rig.person("Nina", StaffRole::Administrator).await;
    assert_eq!(end(stream).await.code(), Code::PermissionDenied);
    rig.person("Nina", StaffRole::Supervisor).await;
    let stream = watch(&rig, &nina, &[]).await.expect("again");

    // And everything taken back: for good, also after a restart, whatever is said later.
    rig.person("Nina", StaffRole::Unspecified).await;
    let ended = end(stream).await;
    assert_eq!(ended.code(), Code::Unauthenticated);
    rig.person("Nina", StaffRole::Doctor).await;
    let (code, _) = Raw(get("p-a")).call(&rig, TWIN_GET, &nina).await;
    assert_eq!(code, Code::Unauthenticated);

    // Control: nobody else noticed anything.
    let quiet = tokio::time::timeout(Duration::from_millis(1200), others.next()).await;
    assert!(quiet.is_err(), "Otto's stream goes on");
    let rig = rig.restart().await;
    let otto = rig.signed_in("Otto");
    let (code, _) = Raw(get("p-b")).call(&rig, TWIN_GET, &otto).await;
    assert_eq!(code, Code::Ok);
    assert!(rig.books.registry().role_of("Nina").is_none());
}

/// Who has a patient's page open, as `Twins` tells it to somebody who is signed in and has this page open themselves.
async fn look_in(
    rig: &Rig,
    twins: &super::super::grpc::twin::Twins,
    cookie: &str,
    patient: &str,
) -> Result<super::super::grpc::Events<v1::Lookers>, tonic::Status> {
    use proto::v1::twin_service_server::TwinService as _;
    let value = cookie.split_once('=').expect("a cookie").1;
    let key = rig.access.sign_in().session(value).expect("a session");
    let patient = patient.into();
    let mut request = tonic::Request::new(v1::LookInRequest { patient });
    request.extensions_mut().insert(Caller {
        proof: Proof::Session(key),
        address: HERE,
    });
    Ok(twins.look_in(request).await?.into_inner())
}

/// What comes next: who looks at whom.
async fn told(stream: &mut super::super::grpc::Events<v1::Lookers>) -> Vec<String> {
    let told = soon(stream.next())
        .await
        .expect("an answer")
        .expect("given");
    let line = |of: v1::Looker| format!("{}: {}", of.patient, of.people.join(", "));
    told.lookers.into_iter().map(line).collect()
}

#[tokio::test]
async fn who_looks_is_told_to_those_who_may_see_the_patient_and_to_nobody_else() {
    let rig = Rig::new().await;
    wards(&rig).await;
    let twins =
        super::super::grpc::twin::Twins::new(rig.patients.hub().clone(), rig.access.clone());
    let by = |name: &str| rig.signed_in(name);
    let open = async |cookie: &str, patient: &str| look_in(&rig, &twins, cookie, patient).await;
    let (nina, dora, otto, sam) = (by("Nina"), by("Dora"), by("Otto"), by("Sam"));
    let mut list = open(&sam, "")
        .await
        .expect("a supervisor looks at the list");
    let mut other = open(&otto, "").await.expect("a nurse looks at the list");
    let nobody = Vec::<String>::new();
    assert_eq!(
        (told(&mut list).await, told(&mut other).await),
        (nobody.clone(), nobody.clone())
    );
    let mut first = open(&nina, "p-a").await.expect("a nurse looks at theirs");
    assert_eq!(told(&mut first).await, nobody, "not of oneself");
    assert_eq!(told(&mut list).await, ["p-a: Nina"]);
    let second = open(&dora, "p-a").await.expect("a doctor looks at theirs");
    assert_eq!(told(&mut first).await, ["p-a: Dora"]);
    assert_eq!(told(&mut list).await, ["p-a: Dora, Nina"]);
    // It ends with the page.
    drop(second);
    assert_eq!(told(&mut first).await, nobody);
    assert_eq!(told(&mut list).await, ["p-a: Nina"]);
    // Of no patient of another team, nor may one look at theirs; and it is for people at the page.
    let quiet = tokio::time::timeout(Duration::from_millis(400), other.next()).await;
    assert!(quiet.is_err(), "another team's nurse was told");
    let refused = open(&otto, "p-a").await.err().expect("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = open(&by("Adam"), "").await.err().expect("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let path = "/vitaltwin.v1.TwinService/LookIn";
    let asked = v1::LookInRequest::default();
    let certificate = Some(rig.operator());
    let (code, _) = rig.call(path, &asked, Wire::Native, certificate, &[]).await;
    assert_eq!(code, Code::PermissionDenied);
    // Whose patient it is no longer is told no more, and nobody hears of them.
    rig.team("A", TeamAct::Released(id("p-a"))).await;
    let ended = soon(async {
        loop {
            if let Err(ended) = first.next().await.expect("a status") {
                return ended;
            }
        }
    });
    assert_eq!(ended.await.code(), Code::PermissionDenied);
    assert_eq!(told(&mut list).await, nobody);
}
