//! A sensor that the wrong person wore: voided, told, left out, and given to whose it was.

use std::sync::Arc;

use proto::seal::{Label, Lane, Sealer};
use proto::v1;
use proto::wire::split_to_fit;
use vitals::{Fixed, Kind, PatientId, Quality, Reading, SourceId, Span, Time, Value};

use super::past::{ask, gateway, open, whole_second};
use super::rig::Rig;
use crate::admin::{Admin, AdminError, AdminParts, Live, Misattributed};
use crate::journal::Entry;
use crate::patient::Patients;

const DEVICE: &str = "AA:BB:CC:DD:EE:FF";

struct Desk(Patients);

impl Live for Desk {
    fn fill(&self, _: &mut v1::CentreStatus) {}

    fn devices(&self, patient: &PatientId) -> Vec<(vitals::StreamId, SourceId, String)> {
        self.0.devices(patient)
    }

    fn sign_in(&self, _: &str) -> Option<String> {
        None
    }
}

fn admin(rig: &Rig) -> Admin {
    desk(rig, crate::config::Config::default().budget())
}

pub(super) fn desk(rig: &Rig, budget: crate::rules::Budget) -> Admin {
    Admin::new(AdminParts {
        books: Arc::clone(&rig.books),
        journal: rig.journal.clone(),
        clock: rig.clock,
        counters: Arc::default(),
        ca_sha256: [0; 32],
        grpc_address: None,
        sessions: Arc::default(),
        live: Arc::new(Desk(rig.patients.clone())),
        room: Arc::new(crate::ingest::Room::new(rig.dir().store(), 0)),
        budget,
    })
}

/// A pulse a second, as a strap sends it.
pub(super) fn pulses(from: Time, seconds: std::ops::Range<i64>, value: i64) -> Vec<Reading> {
    let reading = |second: i64| Reading {
        kind: Kind::HeartRate,
        value: Value::Measured(Fixed(value)),
        source: SourceId(1),
        sequence: second.cast_unsigned(),
        effective: from + Span::from_secs(second),
        received: from + Span::from_secs(second),
        quality: Quality::GOOD,
        device: None,
    };
    seconds.map(reading).collect()
}

pub(super) async fn send(rig: &Rig, sealer: &mut Sealer, readings: &[Reading]) {
    for batch in split_to_fit(readings, 200) {
        let label = Label {
            number: sealer.next_number(),
            lane: Lane::Vitals,
            source: batch.source.0,
            count: batch.count,
            oldest: batch.oldest,
            newest: batch.newest,
        };
        let mut body = batch.into_body();
        body.devices.push(v1::DeviceReport {
            source: 1,
            address: DEVICE.into(),
            link: v1::LinkState::Connected.into(),
            since_us: readings[0].received.as_micros(),
            ..Default::default()
        });
        let record = sealer.seal(&label, &body).expect("it fits");
        let gateway = gateway();
        rig.append(vec![Entry::Batch { gateway, record }.into()])
            .await;
    }
}

/// Values of an answer, in order, and whether they are marked as moved.
async fn values(
    rig: &Rig,
    patient: &PatientId,
    at: u64,
    resolution: v1::Resolution,
) -> Vec<(f64, bool)> {
    let request = v1::HistoryRequest {
        patient: patient.reveal().into(),
        from_us: 0,
        to_us: i64::MAX / 2,
        known_at_position: at,
        resolution: resolution.into(),
        ..Default::default()
    };
    let chunks = ask(rig, request).await.expect("an answer");
    let of = |chunk: &v1::HistoryChunk| {
        let moved = |place: usize| {
            let quality = chunk.quality.get(place).copied().unwrap_or(0);
            Quality::from_bits(quality).has(Quality::MOVED)
        };
        chunk
            .value
            .iter()
            .enumerate()
            .map(|(place, value)| (*value, moved(place)))
            .collect::<Vec<_>>()
    };
    chunks.iter().flat_map(of).collect()
}

pub(super) fn alerts(rig: &Rig, patient: &PatientId) -> Vec<v1::Alert> {
    let all = rig.patients.hub().alerts();
    let of = all
        .iter()
        .filter(|of| of.patient == *patient && of.alert.condition == "heart_rate_low");
    of.map(|of| v1::Alert::clone(&of.alert)).collect()
}

pub(super) fn state_hash(rig: &Rig, patient: &PatientId) -> Vec<u8> {
    let hub = rig.patients.hub();
    let index = hub.find(patient).expect("known");
    hub.view(index).twin.state_hash.clone()
}

#[tokio::test]
async fn readings_of_the_wrong_person_are_voided_and_given_to_the_right_one() {
    let rig = Rig::new().await;
    let (ann, bob) = (rig.patient("p-ann").await, rig.patient("p-bob").await);
    let begin = whole_second(rig.clock.now()) - Span::from_secs(300);
    let stream = rig.assign(&ann, "g-1", begin).await;
    let mut sealer = open(&rig, &ann, stream).await;
    // Ann's own, then a minute of Bob, whose heart is slow, and it is now.
    send(&rig, &mut sealer, &pulses(begin, 0..200, 70)).await;
    send(&rig, &mut sealer, &pulses(begin, 230..300, 34)).await;
    let raised = alerts(&rig, &ann);
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].state(), v1::AlertState::Active);
    let before = rig.journal.status().position.0;

    let admin = admin(&rig);
    let what = Misattributed {
        patient: ann.reveal(),
        device: DEVICE,
        from: begin + Span::from_secs(220),
        to: begin + Span::from_secs(400),
        to_patient: bob.reveal(),
        reason: "the strap was Bob's since the change of beds",
    };
    let voided = admin.void(what, "operator olga").await.expect("done");
    assert_eq!((voided.readings, voided.moved), (70, 70));
    admin.settled(ann.reveal()).await.expect("known");
    let last = rig.journal.status().position.0;
    rig.patients.hub().wait_folded(last).await;
    let [told] = &admin.voids(ann.reveal()).expect("known")[..] else {
        panic!("one void")
    };
    assert_eq!(
        (told.position, told.by.as_str(), told.reason.as_str()),
        (voided.position, "operator olga", what.reason)
    );
    assert_eq!(told.devices, [DEVICE]);
    assert_eq!(told.to_patient, bob.reveal());
    assert_eq!(
        (told.from_us, told.to_us),
        (what.from.as_micros(), what.to.as_micros())
    );
    assert_eq!(told.settled_position, last);
    assert!(admin.voids(bob.reveal()).expect("known").is_empty());

    // Her alert is withdrawn, and says why; it did not vanish.
    let told = alerts(&rig, &ann);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0].id, told[0].state()),
        (&raised[0].id, v1::AlertState::Resolved)
    );
    assert_eq!(told[0].withdrawn_by, "operator olga");
    assert_eq!(told[0].withdrawn_reason, what.reason);
    assert!(told[0].withdrawn_us > 0);
    // Nothing rings for him, though they are a minute old.
    let index = rig.patients.hub().find(&bob).expect("known");
    let twin = rig.patients.hub().view(index).twin;
    assert!(
        twin.alerts
            .iter()
            .all(|alert| alert.condition != "heart_rate_low")
    );
    // History: hers without them, as of before with them; his with them, marked.
    let raw = v1::Resolution::Raw;
    let own = vec![(70.0, false); 200];
    assert_eq!(values(&rig, &ann, 0, raw).await, own);
    let then = values(&rig, &ann, before, raw).await;
    assert_eq!(then.len(), 270);
    assert_eq!(values(&rig, &bob, 0, raw).await, vec![(34.0, true); 70]);
    assert!(values(&rig, &bob, before, raw).await.is_empty());
    // Sums, too, also once the readings lie in blocks whose sums hold them.
    let minute = v1::Resolution::Minute;
    for _ in 0..2 {
        let sums = values(&rig, &ann, 0, minute).await;
        assert!(
            !sums.is_empty() && sums.iter().all(|(mean, _)| *mean == 70.0),
            "{sums:?}"
        );
        let then = values(&rig, &ann, before, minute).await;
        assert!(then.iter().any(|(mean, _)| *mean < 70.0), "control");
        let written = rig.history.write_out(rig.journal.status().position).await;
        written.expect("blocks");
    }
    // What the gateway still had of that time is void as well.
    send(&rig, &mut sealer, &pulses(begin, 300..320, 34)).await;
    assert_eq!(values(&rig, &ann, 0, raw).await, own);

    // The same after a start from the whole log.
    let hashes = [state_hash(&rig, &ann), state_hash(&rig, &bob)];
    drop(admin);
    let rig = rig.restart().await;
    assert_eq!([state_hash(&rig, &ann), state_hash(&rig, &bob)], hashes);
    let again = alerts(&rig, &ann);
    assert_eq!(
        (again.len(), &again[0].withdrawn_by),
        (1, &told[0].withdrawn_by)
    );
    assert_eq!(values(&rig, &ann, 0, raw).await, own);
}

#[tokio::test]
async fn what_cannot_be_voided_is_refused_with_a_remedy() {
    let rig = Rig::new().await;
    let (ann, bob) = (rig.patient("p-ann").await, rig.patient("p-bob").await);
    let begin = whole_second(rig.clock.now()) - Span::from_secs(300);
    let stream = rig.assign(&ann, "g-1", begin).await;
    let mut sealer = open(&rig, &ann, stream).await;
    send(&rig, &mut sealer, &pulses(begin, 0..20, 70)).await;
    let admin = admin(&rig);
    let fine = Misattributed {
        patient: ann.reveal(),
        device: DEVICE,
        from: begin,
        to: begin + Span::from_secs(10),
        to_patient: "",
        reason: "a test on the bench",
    };
    let position = rig.journal.status().position;
    for (what, named) in [
        (
            Misattributed {
                patient: "p-nobody",
                ..fine
            },
            "patient list",
        ),
        (
            Misattributed {
                device: "AA:BB",
                ..fine
            },
            "AA:BB:CC:DD:EE:FF",
        ),
        (
            Misattributed {
                device: "AA:BB:CC:DD:EE:00",
                ..fine
            },
            "patient list",
        ),
        (Misattributed { to: begin, ..fine }, "later"),
        (
            Misattributed {
                reason: "  ",
                ..fine
            },
            "why",
        ),
        (
            Misattributed {
                to_patient: ann.reveal(),
                ..fine
            },
            "another patient",
        ),
        (
            Misattributed {
                to_patient: "p-nobody",
                ..fine
            },
            "patient list",
        ),
        (
            Misattributed {
                patient: bob.reveal(),
                ..fine
            },
            "patient list",
        ),
    ] {
        let refused: AdminError = admin.void(what, "x").await.expect_err("refused");
        let text = refused.to_string();
        assert!(text.contains(named), "{text}");
        assert!(!text.contains("p-ann") && !text.contains("p-bob"), "{text}");
    }
    assert_eq!(
        rig.journal.status().position,
        position,
        "nothing was entered"
    );
    let done = admin.void(fine, "x").await.expect("control");
    assert_eq!((done.readings, done.moved), (10, 0));
}
