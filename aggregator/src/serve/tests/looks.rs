//! Who looked at what: written down before it is shown, once an hour, and seen by the patient.

use proto::v1::{AccessDoor, AccessPart};

use super::*;
use crate::journal::TeamAct;
use crate::serve::access::{Caller, Proof};
use crate::serve::guard::kind_of;
use crate::{gate, staff};

const LIST: &str = "/vitaltwin.v1.HistoryService/ListAccesses";

/// Nina of ward A looks after `p-a`.
async fn ward(rig: &Rig) -> PatientId {
    let patient = rig.patient("p-a").await;
    rig.assign(&patient, "g-a", rig.clock.now()).await;
    rig.person("Nina", StaffRole::Nurse).await;
    rig.team("A", TeamAct::Made).await;
    rig.team("A", TeamAct::Took(patient.clone())).await;
    rig.team("A", TeamAct::Joined("Nina".into())).await;
    patient
}

async fn call(rig: &Rig, path: &str, message: &[u8], cookie: &str) -> (Code, Bytes) {
    let headers = [("cookie", cookie), PAGE_ORIGIN];
    let call = rig.call_raw(path, message, Wire::Web, None, &headers);
    soon(call).await
}

/// What is known of looks at the patient: who, what and whether by id.
fn looks(rig: &Rig, patient: &PatientId) -> Vec<(String, AccessPart, bool)> {
    let registry = rig.books.registry();
    let looks = registry.looks(patient);
    let looks = looks.iter().map(|of| {
        let sight = &of.sight;
        (of.by.clone(), sight.part, sight.named)
    });
    looks.collect()
}

/// Every method that shows something of a patient, what it asks, and what is written down.
fn reads(alert: &str) -> Vec<(&'static str, Vec<u8>, AccessPart, bool)> {
    let patient = || "p-a".to_owned();
    let (from_us, to_us) = (1, 2);
    vec![
        (
            "TwinService/Get",
            v1::GetTwinRequest { patient: patient() }.encode_to_vec(),
            AccessPart::Values,
            true,
        ),
        (
            "TwinService/NotePrint",
            v1::NotePrintRequest { patient: patient() }.encode_to_vec(),
            AccessPart::Paper,
            true,
        ),
        ("TwinService/List", Vec::new(), AccessPart::Values, false),
        (
            "TwinService/GetScoreboard",
            v1::ScoreboardRequest { patient: patient() }.encode_to_vec(),
            AccessPart::Values,
            true,
        ),
        (
            "ContextService/Get",
            v1::GetContextRequest { patient: patient() }.encode_to_vec(),
            AccessPart::Facts,
            true,
        ),
        (
            "AlertService/Get",
            v1::GetAlertRequest {
                alert: alert.into(),
            }
            .encode_to_vec(),
            AccessPart::Alerts,
            true,
        ),
        ("AlertService/List", Vec::new(), AccessPart::Alerts, false),
        (
            "HistoryService/Query",
            v1::HistoryRequest {
                patient: patient(),
                kinds: vec![1],
                from_us,
                to_us,
                ..Default::default()
            }
            .encode_to_vec(),
            AccessPart::Readings,
            true,
        ),
        (
            "HistoryService/Coverage",
            v1::CoverageRequest {
                patient: patient(),
                from_us,
                to_us,
                ..Default::default()
            }
            .encode_to_vec(),
            AccessPart::Coverage,
            true,
        ),
        (
            "HistoryService/Waveforms",
            v1::WaveformRequest {
                patient: patient(),
                from_us,
                to_us,
                ..Default::default()
            }
            .encode_to_vec(),
            AccessPart::Waveforms,
            true,
        ),
        (
            "HistoryService/BeginExport",
            v1::BeginExportRequest {
                patients: vec![patient()],
                from_us,
                to_us,
                ..Default::default()
            }
            .encode_to_vec(),
            AccessPart::Copy,
            true,
        ),
    ]
}

/// Answered elsewhere in these tests, or shows nothing of a patient that its caller did not have.
const OTHERS: [&str; 4] = [
    "TwinService/Watch",
    // Who else has the page open: names of staff.
    "TwinService/LookIn",
    "AlertService/Watch",
    "AlertService/Confirm",
];

async fn an_alert(rig: &Rig) -> String {
    soon(async {
        loop {
            if let Some(found) = rig.patients.hub().alerts().first() {
                return found.alert.id.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn every_read_is_written_down_and_once_an_hour() {
    // Its hours last 0.7 s.
    let fast = Rig::fast().await;
    let patient = ward(&fast).await;
    let alert = an_alert(&fast).await;
    let nina = fast.signed_in("Nina");
    let mut known = 0;
    for (method, message, part, named) in reads(&alert) {
        let path = format!("/vitaltwin.v1.{method}");
        let (code, _) = call(&fast, &path, &message, &nina).await;
        assert_eq!(code, Code::Ok, "{method}");
        let expected = ("Nina".to_owned(), part, named);
        assert!(looks(&fast, &patient).contains(&expected), "{method}");
        known += 1;
    }
    // A method that is new has to be in the list above.
    let all = super::contract_methods();
    let shows = all.iter().filter(|path| {
        matches!(
            kind_of(path),
            Some(gate::Kind::Twin | gate::Kind::Alert | gate::Kind::History)
        )
    });
    assert_eq!(shows.count(), known + OTHERS.len());

    // By the wall's clock an hour is long: the second look has no entry.
    let rig = Rig::new().await;
    let patient = ward(&rig).await;
    let nina = rig.signed_in("Nina");
    let get = v1::GetTwinRequest {
        patient: "p-a".into(),
    }
    .encode_to_vec();
    let path = "/vitaltwin.v1.TwinService/Get";
    let before = rig.journal.status().position;
    for _ in 0..50 {
        assert_eq!(call(&rig, path, &get, &nina).await.0, Code::Ok);
    }
    assert_eq!(rig.journal.status().position.0, before.0 + 1);
    // Control: another person's is another.
    rig.person("Sam", StaffRole::Supervisor).await;
    let sam = rig.signed_in("Sam");
    assert_eq!(call(&rig, path, &get, &sam).await.0, Code::Ok);
    let by: Vec<_> = looks(&rig, &patient)
        .into_iter()
        .map(|(by, ..)| by)
        .collect();
    assert_eq!(by, ["Nina", "Sam"]);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_shown() {
    let rig = Rig::fast().await;
    let patient = ward(&rig).await;
    let alert = an_alert(&rig).await;
    let nina = rig.signed_in("Nina");
    let mut stream = watch(&rig, &nina).await.expect("control: it opens");
    let first = soon(stream.next()).await.expect("an event");
    assert!(first.is_ok(), "control");
    rig.journal.close().await;
    soon(async {
        while rig.journal.status().stopped.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let before = looks(&rig, &patient);
    for (method, message, ..) in reads(&alert) {
        let path = format!("/vitaltwin.v1.{method}");
        // What was written down before holds for its hour, which lasts 0.7 s here.
        soon(async {
            loop {
                let (code, _) = call(&rig, &path, &message, &nina).await;
                if code == Code::Unavailable {
                    return;
                }
                assert_eq!(code, Code::Ok, "{method}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    assert!(watch(&rig, &nina).await.is_err());
    assert_eq!(looks(&rig, &patient), before);
    // An open stream goes on until its hour is over, and no longer.
    let ended = soon(async {
        loop {
            if let Err(ended) = stream.next().await.expect("a status") {
                return ended;
            }
        }
    })
    .await;
    assert_eq!(ended.code(), Code::Unavailable);
    assert!(ended.message().contains("written down"), "{ended:?}");
}

type Twins = super::super::grpc::Events<crate::publish::event::TwinEvent>;

async fn watch(rig: &Rig, cookie: &str) -> Result<Twins, tonic::Status> {
    let value = cookie.split_once('=').expect("a cookie").1;
    let key = rig.access.sign_in().session(value).expect("a session");
    let twins =
        super::super::grpc::twin::Twins::new(rig.patients.hub().clone(), rig.access.clone());
    let mut request = tonic::Request::new(v1::WatchTwinsRequest::default());
    request.extensions_mut().insert(Caller {
        proof: Proof::Session(key),
        address: HERE,
    });
    let stream = super::super::grpc::Watched::watch(std::sync::Arc::new(twins), request).await;
    Ok(stream?.into_inner())
}

#[tokio::test]
async fn a_stream_is_written_down_for_whom_it_shows_when_it_opens_and_later() {
    use crate::publish::event::TwinKind;

    let rig = Rig::new().await;
    let patient = ward(&rig).await;
    rig.person("Sam", StaffRole::Supervisor).await;
    let sam = rig.signed_in("Sam");
    let mut stream = watch(&rig, &sam).await.expect("it opens");
    let listed = |by: &str| vec![(by.to_owned(), AccessPart::Values, false)];
    assert_eq!(looks(&rig, &patient), listed("Sam"));
    let before = rig.journal.status().position;
    // The snapshot and its end need nothing more.
    for _ in 0..2 {
        assert!(soon(stream.next()).await.expect("an event").is_ok());
    }
    assert_eq!(rig.journal.status().position, before);

    // Somebody who came later: when the event is there, it is written down.
    let late = rig.patient("p-late").await;
    assert_eq!(looks(&rig, &late), [], "control");
    rig.assign(&late, "g-b", rig.clock.now()).await;
    soon(async {
        loop {
            let event = stream.next().await.expect("an event").expect("allowed");
            if let Some(TwinKind::Change(twin)) = event.kind
                && v1::Twin::decode(twin).expect("a twin").patient == "p-late"
            {
                return;
            }
        }
    })
    .await;
    assert_eq!(looks(&rig, &late), listed("Sam"));
}

#[tokio::test]
async fn a_patient_sees_who_looked_and_nobody_notes_what_they_see_of_themselves() {
    let rig = Rig::new().await;
    let patient = ward(&rig).await;
    let own = rig.signed_in(&staff::patient_name(&patient));
    let nina = rig.signed_in("Nina");
    let before = rig.clock.now();
    for cookie in [&own, &nina] {
        for (method, message, ..) in reads("") {
            if method.starts_with("HistoryService/Query") || method.starts_with("TwinService") {
                let path = format!("/vitaltwin.v1.{method}");
                let (code, _) = call(&rig, &path, &message, cookie).await;
                assert_eq!(code, Code::Ok);
            }
        }
    }
    let message = |patient: &str| {
        let patient = patient.into();
        v1::ListAccessesRequest { patient }.encode_to_vec()
    };
    let (code, bytes) = call(&rig, LIST, &message("p-a"), &own).await;
    assert_eq!(code, Code::Ok);
    let length = usize::from(bytes[4]) + 256 * usize::from(bytes[3]);
    let told = v1::ListAccessesResponse::decode(&bytes[5..5 + length]).expect("an answer");
    let parts: Vec<_> = told.accesses.iter().map(v1::Access::part).collect();
    let values = AccessPart::Values;
    let newest_first = [AccessPart::Readings, values, AccessPart::Paper, values];
    assert_eq!(parts, newest_first);
    let newest = &told.accesses[0];
    assert_eq!(
        (newest.by.as_str(), newest.role(), &newest.teams[..]),
        ("Nina", StaffRole::Nurse, &["A".to_owned()][..])
    );
    assert_eq!((newest.kinds.as_slice(), newest.named), (&[1][..], true));
    assert_eq!(newest.door(), AccessDoor::Page);
    let from = Time::from_micros(newest.from_us);
    assert!(before <= from && from <= rig.clock.now());
    let hour = crate::serve::looks::HOLDS.as_micros();
    assert!(newest.until_us <= newest.from_us + hour && newest.until_us > newest.from_us);

    // Nobody else's, and not for who looks.
    rig.patient("p-b").await;
    let refused = [(&own, "p-b"), (&nina, "p-a")];
    for (cookie, patient) in refused {
        let (code, _) = call(&rig, LIST, &message(patient), cookie).await;
        assert_eq!(code, Code::PermissionDenied);
    }
    // It survives a restart, and a person's later role changes nothing of it.
    let rig = rig.restart().await;
    rig.person("Nina", StaffRole::Doctor).await;
    let looks = rig.books.registry().looks(&patient);
    assert!(looks.iter().all(|of| of.role == StaffRole::Nurse));
    assert_eq!(looks.len(), 4);
}
