//! Readings to bodies and back: nothing is lost, everything fits, hostile bodies are refused by field.

use proptest::prelude::*;
use prost::Message as _;
use vitals::{Absence, DeviceTime, Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value};
use vitaltwin_proto::seal::MAX_BODY;
use vitaltwin_proto::v1::{
    BatchBody, Column, DeviceReport, Flagged, Gap, Heartbeat, LanePosition, Stamped,
};
use vitaltwin_proto::wire::{
    MAX_READINGS, WireError, decode_body, decode_columns, encode_columns, estimated_size, sanitise,
    split_to_fit,
};

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (-5_000_i64..200_000).prop_map(|mantissa| Value::Measured(Fixed(mantissa))),
        1 => (-9_000_000_000_000_000_i64..=9_000_000_000_000_000).prop_map(|m| Value::Measured(Fixed(m))),
        1 => (1_i32..=7).prop_map(|number| Value::Absent(Absence::from_wire(number).expect("known"))),
    ]
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let times = prop_oneof![
        8 => (1_700_000_000_000_000_i64..1_700_003_600_000_000, -2_000_i64..900_000),
        1 => (any::<i64>(), -1_000_i64..1_000),
    ];
    let quality = prop_oneof![6 => Just(0_u32), 1 => any::<u32>()];
    let sequence = prop_oneof![20 => Just(None), 1 => any::<u64>().prop_map(Some)];
    let device = prop_oneof![
        3 => Just(None),
        1 => (any::<i32>(), 0_i64..=i64::MAX).prop_map(Some),
    ];
    (
        0..Kind::ALL.len(),
        any_value(),
        1_u16..4,
        times,
        quality,
        sequence,
        device,
    )
        .prop_map(
            |(kind, value, source, (effective, delay), quality, sequence, device)| Reading {
                kind: Kind::ALL[kind],
                value,
                source: SourceId(source),
                // `u64::MAX - 1` stands for "counts on"; see `numbered`.
                sequence: sequence.unwrap_or(u64::MAX - 1),
                effective: Time::from_micros(effective),
                received: Time::from_micros(effective.saturating_add(delay)),
                quality: Quality::from_bits(quality),
                device: device.map(|(ahead, uncertainty)| DeviceTime {
                    stamp: Time::from_micros(effective.saturating_add(i64::from(ahead) * 1000)),
                    uncertainty: Span::from_micros(uncertainty),
                }),
            },
        )
}

/// Readings whose sequence numbers count on by source and kind, with jumps here and there.
fn numbered(max: usize) -> impl Strategy<Value = Vec<Reading>> {
    prop::collection::vec(any_reading(), 0..max).prop_map(|mut readings| {
        let mut next = std::collections::BTreeMap::new();
        for reading in &mut readings {
            let expected = next.entry((reading.source, reading.kind)).or_insert(0_u64);
            if reading.sequence == u64::MAX - 1 {
                reading.sequence = *expected;
            }
            *expected = reading.sequence.wrapping_add(1);
        }
        readings
    })
}

/// By source and kind, in the order given.
fn sorted(readings: &[Reading]) -> Vec<Reading> {
    let mut readings = readings.to_vec();
    readings.sort_by_key(|reading| (reading.source, reading.kind));
    readings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn split_readings_fit_and_come_back_in_order(readings in numbered(1500), reserve in 0_usize..3000) {
        let mut back = Vec::new();
        for batch in split_to_fit(&readings, reserve) {
            let (source, count, oldest, newest) = (batch.source, batch.count, batch.oldest, batch.newest);
            let bytes = batch.into_body().encode_to_vec();
            prop_assert!(bytes.len() + reserve <= MAX_BODY);
            let body = BatchBody::decode(bytes.as_slice()).expect("just encoded");
            let inside = decode_columns(source, &body).expect("just made");
            prop_assert_eq!(inside.len(), usize::from(count));
            prop_assert_eq!(inside.iter().map(|reading| reading.effective).min(), Some(oldest));
            prop_assert_eq!(inside.iter().map(|reading| reading.effective).max(), Some(newest));
            back.extend(inside);
        }
        prop_assert_eq!(sorted(&back), sorted(&readings));
    }

    #[test]
    fn the_estimate_is_never_too_small(readings in numbered(300)) {
        let one: Vec<Reading> = readings.into_iter().filter(|reading| reading.source == SourceId(1)).collect();
        let body = BatchBody { columns: encode_columns(&one), ..BatchBody::default() };
        prop_assert!(body.encoded_len() <= estimated_size(&one));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), number in any::<u64>()) {
        if let Ok(body) = BatchBody::decode(bytes.as_slice()) {
            let _ = decode_body(SourceId(1), number, &body);
        }
    }

    #[test]
    fn arbitrary_columns_never_panic(
        kind in -2_i32..16,
        first in any::<(i64, u64)>(),
        effective in prop::collection::vec(any::<i64>(), 0..6),
        received in prop::collection::vec(any::<i64>(), 0..6),
        value in prop::collection::vec(any::<i64>(), 0..6),
        flagged in prop::collection::vec((0_u32..8, any::<u32>(), -1_i32..10), 0..6),
    ) {
        let flagged = flagged.into_iter().map(|(index, quality, absence)| Flagged { index, quality, absence });
        let column = Column {
            kind,
            first_effective_us: first.0,
            effective_delta_us: effective,
            received_delta_us: received,
            value_delta: value,
            flagged: flagged.collect(),
            first_sequence: first.1,
            stamped: vec![],
        };
        let body = BatchBody { columns: vec![column], ..BatchBody::default() };
        let _ = decode_columns(SourceId(1), &body);
    }
}

/// A heart strap's minute costs about as much as measured for the design.
#[test]
fn a_dense_series_takes_few_bytes_a_reading() {
    let readings: Vec<Reading> = (0..600_u32)
        .map(|n| Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(Fixed(60 + i64::from(n * 7 % 5))),
            source: SourceId(1),
            sequence: u64::from(n),
            effective: Time::from_micros(1_700_000_000_000_000 + i64::from(n) * 1_000_000),
            received: Time::from_micros(1_700_000_000_000_000 + i64::from(n) * 1_000_000),
            quality: Quality::GOOD,
            device: None,
        })
        .collect();
    let batches = split_to_fit(&readings, 0);
    assert_eq!(batches.len(), 1);
    assert!(batches[0].clone().into_body().encoded_len() < 600 * 5 + 60);
}

#[test]
fn a_hostile_column_is_refused_by_field() {
    let fine = Column {
        kind: Kind::HeartRate.wire(),
        first_effective_us: 10,
        effective_delta_us: vec![0, 5],
        received_delta_us: vec![1, 1],
        value_delta: vec![60, 1],
        flagged: vec![Flagged {
            index: 1,
            quality: 2,
            absence: 0,
        }],
        first_sequence: 3,
        stamped: vec![],
    };
    let decode = |change: &dyn Fn(&mut Column)| {
        let mut column = fine.clone();
        change(&mut column);
        decode_columns(
            SourceId(1),
            &BatchBody {
                columns: vec![column],
                ..BatchBody::default()
            },
        )
    };
    assert_eq!(
        decode(&|_| {}).map(|readings| readings.len()),
        Ok(2),
        "the control"
    );
    let field = |change: &dyn Fn(&mut Column)| match decode(change) {
        Err(
            WireError::Malformed { field, .. }
            | WireError::Unknown { field, .. }
            | WireError::TooMany { field, .. },
        ) => field,
        Ok(_) => "taken",
    };
    assert_eq!(field(&|c| c.kind = 0), "column.kind");
    assert_eq!(field(&|c| c.kind = 99), "column.kind");
    assert_eq!(
        field(&|c| c.effective_delta_us = vec![0]),
        "column.effective_delta_us"
    );
    assert_eq!(
        field(&|c| c.effective_delta_us = vec![1, 5]),
        "column.effective_delta_us"
    );
    assert_eq!(
        field(&|c| c.effective_delta_us = vec![0, i64::MAX]),
        "column.effective_delta_us"
    );
    assert_eq!(
        field(&|c| c.received_delta_us = vec![1]),
        "column.received_delta_us"
    );
    assert_eq!(
        field(&|c| c.received_delta_us = vec![1, i64::MAX]),
        "column.received_delta_us"
    );
    assert_eq!(field(&|c| c.value_delta = vec![]), "column.value_delta");
    assert_eq!(
        field(&|c| c.value_delta = vec![i64::MAX, i64::MAX]),
        "column.value_delta"
    );
    assert_eq!(
        field(&|c| c.value_delta = vec![1; MAX_READINGS + 1]),
        "columns.value_delta"
    );
    assert_eq!(
        field(&|c| c.first_sequence = u64::MAX),
        "column.first_sequence"
    );
    assert_eq!(field(&|c| c.flagged[0].index = 2), "column.flagged.index");
    let stamped = |index, device_delta_us, uncertainty_us| Stamped {
        index,
        device_delta_us,
        uncertainty_us,
    };
    assert_eq!(field(&|c| c.stamped = vec![stamped(1, 0, 0)]), "taken");
    for stamps in [
        vec![stamped(2, 0, 0)],
        vec![stamped(1, 0, 0), stamped(0, 0, 0)],
        vec![stamped(0, 0, 0); 3],
    ] {
        assert_eq!(
            field(&|c| c.stamped = stamps.clone()),
            "column.stamped.index"
        );
    }
    assert_eq!(
        field(&|c| c.stamped = vec![stamped(0, i64::MAX, 0)]),
        "column.stamped.device_delta_us"
    );
    assert_eq!(
        field(&|c| c.stamped = vec![stamped(0, 0, u64::MAX)]),
        "column.stamped.uncertainty_us"
    );
    assert_eq!(
        field(&|c| c.flagged = vec![c.flagged[0]; 2]),
        "column.flagged.index"
    );
    assert_eq!(
        field(&|c| c.flagged[0].absence = 99),
        "column.flagged.absence"
    );
}

#[test]
fn the_rest_of_a_body_is_checked_and_cleaned() {
    let fine = BatchBody {
        gaps: vec![Gap {
            source: 1,
            reason: 2,
            readings: 7,
            exact: true,
            from_us: 1,
            to_us: 2,
        }],
        heartbeat: Some(Heartbeat {
            oldest_unreceipted: vec![LanePosition {
                lane: 2,
                context: vec![0; 16],
                number: 4,
            }],
            ..Heartbeat::default()
        }),
        devices: vec![DeviceReport {
            source: 1,
            address: "AA:BB:CC:DD:EE:0f".into(),
            name: "  Strap\u{0}\u{202e} 1\n".into(),
            link: 1,
            battery_percent: Some(100),
            ..DeviceReport::default()
        }],
        supersedes: vec![1, 2],
        ..BatchBody::default()
    };
    let decode = |change: &dyn Fn(&mut BatchBody)| {
        let mut body = fine.clone();
        change(&mut body);
        decode_body(SourceId(1), 3, &body)
    };
    let content = decode(&|_| {}).expect("the control");
    assert_eq!(content.devices[0].name, "Strap 1");
    let refused = |change: &dyn Fn(&mut BatchBody)| assert!(decode(change).is_err());
    refused(&|b| b.gaps[0].reason = 0);
    refused(&|b| b.gaps[0].source = 70_000);
    refused(&|b| b.gaps[0].to_us = 0);
    refused(&|b| b.devices[0].source = 0);
    refused(&|b| b.devices[0].address = "somewhere".into());
    refused(&|b| b.devices[0].link = 9);
    refused(&|b| b.devices[0].battery_percent = Some(101));
    refused(&|b| b.supersedes = vec![3]);
    refused(&|b| b.supersedes = vec![0]);
    refused(&|b| b.gaps = vec![b.gaps[0]; 513]);
    refused(&|b| b.heartbeat.as_mut().expect("there").oldest_unreceipted[0].lane = 0);
    refused(&|b| {
        b.heartbeat.as_mut().expect("there").oldest_unreceipted[0]
            .context
            .clear();
    });
    // A beat cannot vouch for what comes after it.
    for (sent, told, fine) in [(5, 5, true), (5, 6, false), (5, -1, false), (-5, 1, false)] {
        let beat = |change: fn(&mut Heartbeat, i64)| {
            let told = decode(&|b| {
                let beat = b.heartbeat.as_mut().expect("there");
                beat.sent_us = sent;
                change(beat, told);
            });
            assert_eq!(told.is_ok(), fine, "{sent} {told:?}");
        };
        beat(|beat, at| beat.awake_since_us = at);
        beat(|beat, at| beat.complete_until_us = at);
    }
    assert_eq!(sanitise(&"ä".repeat(100)).chars().count(), 64);
}
