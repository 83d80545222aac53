//! A patient at their own page: themselves, and nobody else.

use super::*;
use crate::journal::Entry;
use crate::staff;

const RECORD: &str = "/vitaltwin.v1.ContextService/Record";

fn fact(id: &str, kind: v1::FactKind, text: &str) -> v1::Fact {
    v1::Fact {
        id: id.into(),
        kind: kind.into(),
        text: text.into(),
        from_us: 1_000_000,
        ..Default::default()
    }
}

async fn call<M: prost::Message>(rig: &Rig, path: &str, message: M, cookie: &str) -> (Code, Bytes) {
    let headers = [("cookie", cookie), PAGE_ORIGIN];
    rig.call(path, &message, Wire::Web, None, &headers).await
}

#[tokio::test]
async fn a_patient_sees_themselves_and_says_how_they_feel_and_nothing_else() {
    let rig = Rig::new().await;
    let (own, other) = (rig.patient("p-a").await, rig.patient("p-b").await);
    let cookie = rig.signed_in(&staff::patient_name(&own));
    let get = |patient: &PatientId| v1::GetTwinRequest {
        patient: patient.reveal().into(),
    };
    let twin = "/vitaltwin.v1.TwinService/Get";
    assert_eq!(call(&rig, twin, get(&own), &cookie).await.0, Code::Ok);
    let (refused, said) = call(&rig, twin, get(&other), &cookie).await;
    assert_eq!(refused, Code::PermissionDenied);
    let absent = PatientId::parse("p-404").expect("an id");
    assert_eq!(
        call(&rig, twin, get(&absent), &cookie).await,
        (refused, said)
    );
    let list = "/vitaltwin.v1.TwinService/List";
    let (code, bytes) = call(&rig, list, v1::ListTwinsRequest::default(), &cookie).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        code == Code::Ok && text.contains("p-a") && !text.contains("p-b"),
        "{text}"
    );

    // A nurse wrote something down before.
    rig.person("Sam", StaffRole::Supervisor).await;
    let sam = rig.signed_in("Sam");
    let record =
        |patient: &PatientId, facts: Vec<v1::Fact>, retract: &[&str]| v1::RecordFactsRequest {
            patient: patient.reveal().into(),
            facts,
            retract: retract.iter().map(|id| (*id).to_owned()).collect(),
        };
    let reported = v1::FactKind::Reported;
    let theirs = record(&own, vec![fact("theirs", reported, "looked pale")], &[]);
    assert_eq!(call(&rig, RECORD, theirs, &sam).await.0, Code::Ok);
    let mine = record(&own, vec![fact("mine", reported, "dizzy")], &[]);
    let (code, bytes) = call(&rig, RECORD, mine, &cookie).await;
    assert_eq!(code, Code::Ok);
    assert!(String::from_utf8_lossy(&bytes).contains("dizzy"));
    for refused in [
        record(&other, vec![fact("x", reported, "dizzy")], &[]),
        record(&own, vec![fact("x", v1::FactKind::Consciousness, "A")], &[]),
        record(
            &own,
            vec![fact("x", v1::FactKind::OxygenTarget, "88-92")],
            &[],
        ),
        record(&own, vec![fact("theirs", reported, "looked well")], &[]),
        record(&own, Vec::new(), &["theirs"]),
    ] {
        assert_eq!(
            call(&rig, RECORD, refused, &cookie).await.0,
            Code::PermissionDenied
        );
    }
    let back = record(&own, Vec::new(), &["mine"]);
    assert_eq!(
        call(&rig, RECORD, back, &cookie).await.0,
        Code::Ok,
        "control: one's own words"
    );

    // The page knows what it is for; and whoever looks after them in vain tried to become them.
    let headers = [("cookie", cookie.as_str())];
    let session = rig
        .ask(request(Method::GET, "/session", &headers, ""), None)
        .await;
    let session = axum::body::to_bytes(session.into_body(), 1 << 20)
        .await
        .expect("a body");
    let session: serde_json::Value = serde_json::from_slice(&session).expect("JSON");
    assert_eq!(
        (&session["role"], &session["person"]),
        (&"patient".into(), &"patient".into())
    );
    let disguised = Entry::Person {
        person: staff::patient_name(&other),
        role: StaffRole::Supervisor,
        by: "olga".into(),
    };
    rig.append(vec![disguised.into()]).await;
    let cookie = rig.signed_in(&staff::patient_name(&other));
    assert_eq!(
        call(&rig, twin, get(&own), &cookie).await.0,
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn a_patient_sees_an_alert_of_theirs_and_neither_answers_it_nor_calls_anybody() {
    let rig = Rig::fast().await;
    let own = rig.patient("p-a").await;
    rig.assign(&own, "g-1", rig.clock.now()).await;
    let alert = first_alert(&rig).await.id;
    let cookie = rig.signed_in(&staff::patient_name(&own));
    let path = |method: &str| format!("/vitaltwin.v1.AlertService/{method}");
    let escalate = v1::EscalateRequest {
        alert: alert.clone(),
        duty: v1::Duty::Doctor.into(),
        text: String::new(),
    };
    let acknowledge = v1::AcknowledgeRequest {
        alert: alert.clone(),
        note: String::new(),
    };
    let get = v1::GetAlertRequest { alert };
    let refused = [
        call(&rig, &path("Escalate"), escalate, &cookie).await.0,
        call(&rig, &path("Acknowledge"), acknowledge, &cookie)
            .await
            .0,
    ];
    assert_eq!(refused, [Code::PermissionDenied; 2]);
    let sees = call(&rig, &path("Get"), get, &cookie).await.0;
    assert_eq!(sees, Code::Ok, "control");
}
