//! History from the outside: really sealed batches, through the journal's index, to the reader.

use prost::Message as _;
use proto::seal::{Label, Lane, NewContext, Sealer, SigningKey, Suite};
use proto::v1;
use proto::wire::split_to_fit;
use tonic::Code;
use vitals::{
    Fixed, GatewayId, Kind, PatientId, Quality, Reading, SourceId, Span, StreamId, Time, Value,
};

use super::rig::Rig;
use crate::journal::Entry;
use crate::serve::front::Wire;

const PATH: &str = "/vitaltwin.v1.HistoryService/Query";

pub(super) fn gateway() -> GatewayId {
    GatewayId::parse("g-1").expect("a gateway id")
}

/// Opens a context as an admitted gateway would.
pub(super) async fn open(rig: &Rig, patient: &PatientId, stream: StreamId) -> Sealer {
    let (key_id, public_key) = {
        let registry = rig.books.registry();
        let known = registry.patient(patient).expect("added before");
        *known.keys.last().expect("it has a key")
    };
    let new = NewContext {
        suite: Suite::for_this_cpu(),
        key_id,
        public_key,
        stream,
        predecessor: None,
        gateway: gateway(),
        opened_at: rig.clock.now(),
    };
    let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("a fresh key");
    let (header, sealer) = Sealer::open_context(new, &key).expect("a context");
    let gateway = gateway();
    rig.append(vec![
        Entry::ContextAdmitted {
            gateway,
            header,
            chain: Vec::new(),
            forked: false,
        }
        .into(),
    ])
    .await;
    sealer
}

/// History tells times to the millisecond.
pub(super) fn whole_second(at: Time) -> Time {
    Time::from_micros(at.as_micros().div_euclid(1_000_000) * 1_000_000)
}

/// One reading a second from `from` on; the value is the count.
fn readings(from: Time, count: i64) -> Vec<Reading> {
    readings_of(Kind::HeartRate, from, count)
}

/// The same of another kind.
pub(super) fn readings_of(kind: Kind, from: Time, count: i64) -> Vec<Reading> {
    let reading = |second: i64| Reading {
        kind,
        value: Value::Measured(Fixed(40 + second % 100)),
        source: SourceId(1),
        sequence: second.cast_unsigned(),
        effective: from + Span::from_secs(second),
        received: from + Span::from_secs(second),
        quality: Quality::GOOD,
        device: None,
    };
    (0..count).map(reading).collect()
}

pub(super) async fn journal(rig: &Rig, sealer: &mut Sealer, readings: &[Reading]) {
    for batch in split_to_fit(readings, 0) {
        let label = Label {
            number: sealer.next_number(),
            lane: Lane::Vitals,
            source: batch.source.0,
            count: batch.count,
            oldest: batch.oldest,
            newest: batch.newest,
        };
        let record = sealer.seal(&label, &batch.into_body()).expect("it fits");
        let entry = Entry::Batch {
            gateway: gateway(),
            record,
        };
        rig.append(vec![entry.clone().into(), entry.into()]).await;
    }
}

/// The chunks of an answer, or its status.
pub(super) async fn ask(
    rig: &Rig,
    request: v1::HistoryRequest,
) -> Result<Vec<v1::HistoryChunk>, Code> {
    let (code, bytes) = rig
        .call(PATH, &request, Wire::Native, Some(rig.operator()), &[])
        .await;
    if code != Code::Ok {
        return Err(code);
    }
    Ok(chunks(&bytes))
}

/// The messages of a body.
pub(super) fn chunks(bytes: &[u8]) -> Vec<v1::HistoryChunk> {
    let mut rest = bytes;
    let mut chunks = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        chunks.push(v1::HistoryChunk::decode(&tail[..length]).expect("a chunk"));
        rest = &tail[length..];
    }
    chunks
}

#[tokio::test]
async fn readings_come_back_as_they_were_each_once_and_after_a_restart() {
    let mut rig = Rig::new().await;
    let patient = rig.patient("p-1").await;
    let from = whole_second(rig.clock.now() - Span::from_mins(120));
    let stream = rig.assign(&patient, "g-1", from).await;
    let mut sealer = open(&rig, &patient, stream).await;
    let all = readings(from, 6_000);
    // Live data first, then the backlog; each record lies there twice.
    journal(&rig, &mut sealer, &all[3_000..]).await;
    journal(&rig, &mut sealer, &all[..3_000]).await;
    rig = rig.restart().await;
    let question = |max_points| v1::HistoryRequest {
        patient: "p-1".into(),
        kinds: vec![v1::Kind::HeartRate as i32],
        from_us: from.as_micros(),
        to_us: (from + Span::from_secs(5_000)).as_micros(),
        max_points,
        ..Default::default()
    };
    let chunks = ask(&rig, question(0)).await.expect("an answer");
    let times: Vec<i64> = chunks
        .iter()
        .flat_map(|chunk| chunk.effective_us.clone())
        .collect();
    let values: Vec<f64> = chunks
        .iter()
        .flat_map(|chunk| chunk.value.clone())
        .collect();
    let expected = &all[..5_000];
    assert_eq!(
        times,
        expected
            .iter()
            .map(|one| one.effective.as_micros())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        values,
        expected
            .iter()
            .filter_map(Reading::number)
            .collect::<Vec<_>>()
    );
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.effective_us.len() <= 4096 && !chunk.thinned)
    );

    let thin = ask(&rig, question(200)).await.expect("an answer");
    assert!(thin.iter().all(|chunk| chunk.thinned));
    assert!(thin.iter().map(|chunk| chunk.value.len()).sum::<usize>() <= 200);
    let extreme = |pick: fn(f64, f64) -> f64| {
        thin.iter()
            .flat_map(|chunk| chunk.value.iter().copied())
            .reduce(pick)
    };
    assert_eq!(
        (extreme(f64::min), extreme(f64::max)),
        (Some(40.0), Some(139.0))
    );
    assert_eq!(
        rig.patients.totals().applied,
        6_000,
        "control: the twin has them once, too"
    );
}

#[tokio::test]
async fn a_question_that_makes_no_sense_names_its_field() {
    let rig = Rig::new().await;
    rig.patient("p-1").await;
    let good = v1::HistoryRequest {
        patient: "p-1".into(),
        to_us: 1,
        ..Default::default()
    };
    assert_eq!(ask(&rig, good.clone()).await, Ok(Vec::new()), "control");
    for wrong in [
        v1::HistoryRequest {
            patient: "p 1".into(),
            ..good.clone()
        },
        v1::HistoryRequest {
            to_us: 0,
            ..good.clone()
        },
        v1::HistoryRequest {
            kinds: vec![0],
            ..good.clone()
        },
        v1::HistoryRequest {
            max_points: 1,
            ..good.clone()
        },
    ] {
        assert_eq!(ask(&rig, wrong).await, Err(Code::InvalidArgument));
    }
    let unknown = v1::HistoryRequest {
        patient: "p-2".into(),
        ..good
    };
    assert_eq!(ask(&rig, unknown).await, Err(Code::NotFound));
}

#[tokio::test]
async fn coverage_is_answered_for_the_past_alone_and_by_the_same_gate() {
    const COVERAGE: &str = "/vitaltwin.v1.HistoryService/Coverage";
    let rig = Rig::new().await;
    let patient = rig.patient("p-1").await;
    let now = rig.clock.now();
    let from = now - Span::from_secs(600);
    let stream = rig.assign(&patient, "g-1", from).await;
    let mut sealer = open(&rig, &patient, stream).await;
    journal(&rig, &mut sealer, &readings(from, 300)).await;
    let question = v1::CoverageRequest {
        patient: "p-1".into(),
        kinds: Vec::new(),
        from_us: from.as_micros(),
        to_us: (now + Span::from_mins(600)).as_micros(),
    };
    let identity = Some(rig.operator());
    let (code, bytes) = rig
        .call(COVERAGE, &question, Wire::Native, identity.clone(), &[])
        .await;
    assert_eq!(code, Code::Ok);
    let answer = v1::CoverageResponse::decode(&bytes[5..]).expect("an answer");
    assert!(answer.to_us <= rig.clock.now().as_micros(), "no future");
    let kinds: Vec<_> = answer
        .lines
        .iter()
        .map(|line| (line.kind(), line.source))
        .collect();
    assert_eq!(kinds, [(v1::Kind::HeartRate, 0), (v1::Kind::HeartRate, 1)]);
    for line in &answer.lines {
        let first = &line.stretches[0];
        assert_eq!(first.class(), v1::CoverageClass::Measured);
        assert_eq!(first.to_us - first.from_us, 299_000_000);
        let ends = line.stretches.iter().map(|one| one.to_us);
        assert_eq!(ends.max(), Some(answer.to_us));
    }
    for (wrong, expected) in [
        (
            v1::CoverageRequest {
                kinds: vec![0],
                ..question.clone()
            },
            Code::InvalidArgument,
        ),
        (
            v1::CoverageRequest {
                to_us: 0,
                ..question.clone()
            },
            Code::InvalidArgument,
        ),
        (
            v1::CoverageRequest {
                patient: "p-2".into(),
                ..question.clone()
            },
            Code::NotFound,
        ),
    ] {
        let (code, _) = rig
            .call(COVERAGE, &wrong, Wire::Native, identity.clone(), &[])
            .await;
        assert_eq!(code, expected);
    }
    let (code, _) = rig.call(COVERAGE, &question, Wire::Native, None, &[]).await;
    assert_ne!(code, Code::Ok, "nobody is told anything without a proof");
}
