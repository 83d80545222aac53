//! The same log gives the same twin and the same alerts, bit for bit; no log makes the fold panic.

use std::sync::Arc;

use proptest::prelude::*;
use twin::Condition;
use twin::care::{Act, Duty};
use twin::event::{Assigned, Batch, Damaged, Gap, Heartbeat, Link, LocalAlert};
use twin::facts::{Fact, FactKind};
use twin::rules::switch::{Cohort, Standing, Switch};
use twin::rules::{Level, Levels, Rules};
use twin::{Effect, Event, Priority, Twin, step};
use vitals::{
    Absence, ContextId, Fixed, GatewayId, Kind, Quality, Reading, SourceId, Span, StreamId, Time,
    Value, Wave, Waveform,
};

use crate::support::{World, assigned, at, fact, oxygen, pulse, report};

fn replay(log: &[(Time, Event)]) -> (Vec<u8>, Vec<Effect>) {
    let (mut twin, mut effects, mut bytes) = (Twin::new(), Vec::new(), Vec::new());
    for (known, event) in log {
        step(&mut twin, event, *known, &mut effects);
    }
    twin.canonical_bytes(&mut bytes);
    reads_back(&twin, &bytes);
    (bytes, effects)
}

/// A snapshot of any state is that state, and goes on as it would; nothing less is taken for one.
fn reads_back(twin: &Twin, bytes: &[u8]) {
    let mut again = Twin::from_canonical_bytes(bytes).expect("what was written reads back");
    assert!(&again == twin, "a field was lost");
    let (mut twin, later) = (twin.clone(), twin.known() + Span::from_mins(45));
    let (mut effects, mut effects_again) = (Vec::new(), Vec::new());
    step(&mut twin, &Event::Tick, later, &mut effects);
    step(&mut again, &Event::Tick, later, &mut effects_again);
    assert_eq!(effects, effects_again);
    assert!(Twin::from_canonical_bytes(&bytes[..bytes.len() - 1]).is_none());
    assert!(Twin::from_canonical_bytes(&[bytes, &[0]].concat()).is_none());
    let mut newer = bytes.to_vec();
    newer[3] += 1;
    assert!(
        Twin::from_canonical_bytes(&newer).is_none(),
        "another fold version"
    );
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let value = prop_oneof![
        4 => (0i64..2000).prop_map(|v| Value::Measured(Fixed(v))),
        1 => any::<i64>().prop_map(|v| Value::Measured(Fixed(v))),
        1 => (1i32..8).prop_map(|n| Value::Absent(Absence::from_wire(n).expect("1 to 7"))),
    ];
    let time = prop_oneof![
        8 => (-100i64..4000).prop_map(at),
        1 => any::<i64>().prop_map(Time::from_micros),
    ];
    (
        0usize..13,
        value,
        0u16..4,
        0u64..50,
        time.clone(),
        time,
        0u32..64,
    )
        .prop_map(
            |(kind, value, source, sequence, effective, received, quality)| Reading {
                kind: Kind::ALL[kind],
                value,
                source: SourceId(source),
                sequence,
                effective,
                received,
                quality: Quality::from_bits(quality),
                device: None,
            },
        )
}

/// From what a heart gives to what nobody would send.
fn any_block() -> impl Strategy<Value = Waveform> {
    (
        prop_oneof![9 => (0i64..4000).prop_map(at), 1 => any::<i64>().prop_map(Time::from_micros)],
        prop_oneof![9 => Just(130_000u32), 1 => any::<u32>()],
        prop_oneof![9 => Just(0i8), 1 => any::<i8>()],
        prop_oneof![
            1 => prop::collection::vec(any::<i32>(), 0..300),
            2 => (1usize..1500).prop_map(|n| (0..n).map(|n| if n % 104 < 8 { 150 * (n % 8) as i32 } else { 0 }).collect()),
        ],
        0u16..3,
        any::<u8>(),
        prop::sample::select(Wave::ALL.to_vec()),
    )
        .prop_map(|(start, rate_millihertz, exponent, numbers, source, channels, wave)| Waveform {
            wave,
            source: SourceId(source),
            sequence: 0,
            start,
            received: start,
            rate_millihertz,
            channels: channels % 3,
            step: vitals::gatt::Decimal { mantissa: 1, exponent },
            numbers,
            quality: Quality::GOOD,
        })
}

fn any_batch() -> impl Strategy<Value = Batch> {
    (
        0u8..3,
        0u8..3,
        prop_oneof![9 => 0u64..30, 1 => any::<u64>()],
        prop::collection::vec(0u64..30, 0..4),
        prop::collection::vec(any_reading(), 0..40),
        prop::option::of((any::<i64>(), any::<u64>())),
        prop::collection::vec(
            (
                0u16..4,
                0u8..3,
                -100i64..4000,
                prop::option::of(any::<u8>()),
                prop::option::of(any::<bool>()),
            ),
            0..3,
        ),
        prop::collection::vec(any_block(), 0..3),
    )
        .prop_map(
            |(stream, context, number, supersedes, readings, beat, devices, waveforms)| Batch {
                stream: StreamId([stream; 16]),
                context: ContextId([context; 16]),
                number,
                supersedes,
                readings,
                waveforms,
                local_alerts: vec![LocalAlert {
                    condition: Condition::OxygenSaturationLow,
                    kind: Kind::OxygenSaturation,
                    value: 84.0,
                    limit: 88.0,
                    onset: at(i64::from(stream)),
                    raised: at(40),
                    as_of: at(i64::from(context)),
                    resolved: (number % 2 == 0).then(|| at(60)),
                }],
                gaps: vec![Gap {
                    source: SourceId(0),
                    reason: 1,
                    readings: number,
                    exact: number % 2 == 0,
                    from: at(0),
                    to: at(1),
                }],
                heartbeat: beat.map(|(sent, decoded)| Heartbeat {
                    sent: Time::from_micros(sent),
                    buffer_records: 1,
                    readings_decoded: decoded,
                    awake_since: None,
                    complete_until: None,
                }),
                devices: devices
                    .into_iter()
                    .map(|(source, link, since, battery_percent, contact)| {
                        let link =
                            [Link::Connected, Link::Searching, Link::Lost][usize::from(link)];
                        twin::event::DeviceReport {
                            battery_percent,
                            contact,
                            ..report(SourceId(source), link, since)
                        }
                    })
                    .collect(),
            },
        )
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let texts = ["", "88-92", "94-98", "A", "V", "x"];
    let codes = [
        "",
        "http://snomed.info/sct|49436004",
        "http://www.whocc.no/atc|C07",
        "http://www.whocc.no/atc|B01AF02",
        "http://loinc.org|751-8",
        "http://snomed.info/sct|29857009",
    ];
    let time = || prop_oneof![9 => (-100i64..8000).prop_map(at), 1 => any::<i64>().prop_map(Time::from_micros)];
    let value = prop::option::of(prop_oneof![
        Just(0.0),
        Just(2.0),
        Just(2015.0),
        Just(f64::NAN)
    ]);
    let what = (0..FactKind::ALL.len(), 0..texts.len(), 0..codes.len());
    (0u8..4, what, value, time(), prop::option::of(time())).prop_map(
        move |(id, (kind, text, code), value, from, to)| Fact {
            code: codes[code].into(),
            value,
            unit: String::from("10*9/L"),
            from,
            to,
            ..fact(&id.to_string(), FactKind::ALL[kind], texts[text])
        },
    )
}

fn any_act() -> impl Strategy<Value = Act> {
    let condition = || (0..Condition::ALL.len()).prop_map(|index| Condition::ALL[index]);
    let until = prop_oneof![9 => (-100i64..8000).prop_map(at), 1 => any::<i64>().prop_map(Time::from_micros)];
    prop_oneof![
        (0u64..6).prop_map(|n| Act::Comment {
            alert: twin::AlertId(n),
            text: "so".into()
        }),
        (0u64..6).prop_map(|n| Act::Own {
            alert: twin::AlertId(n),
            owner: "y".into()
        }),
        (condition(), until).prop_map(|(condition, until)| Act::Snooze {
            condition,
            until,
            reason: String::new()
        }),
        condition().prop_map(|condition| Act::Wake { condition }),
        (0u64..6, 0u32..4).prop_map(|(n, calls)| Act::Pass {
            alert: twin::AlertId(n),
            calls,
            text: "nobody".into()
        }),
        (0u64..6, 0..Duty::ALL.len()).prop_map(|(n, duty)| Act::Escalate {
            alert: twin::AlertId(n),
            duty: Duty::ALL[duty],
            text: String::new()
        }),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(assigned()),
        1 => prop::collection::vec(0u8..4, 0..3).prop_map(|devices| {
            let Event::Assigned(assigned) = assigned() else { unreachable!("it is one") };
            let devices = devices.iter().map(|n| format!("AA:BB:CC:DD:EE:{n:02}")).collect();
            Event::Assigned(Assigned { devices, ..assigned })
        }),
        10 => any_batch().prop_map(Event::Batch),
        1 => (0u8..3, 0u64..30, any::<u64>()).prop_map(|(context, number, readings)| Event::Malformed {
            stream: StreamId([1; 16]), context: ContextId([context; 16]), number, readings,
        }),
        1 => (0u64..6).prop_map(|n| Event::Acknowledged { alert: twin::AlertId(n), by: "x".into(), note: String::new() }),
        1 => any_act().prop_map(|act| Event::Care { by: "x".into(), act }),
        1 => (prop::collection::vec(any_fact(), 0..4), 0u8..4).prop_map(|(record, gone)| {
            Event::Facts { by: "x".into(), record, retract: vec![gone.to_string()] }
        }),
        1 => (0u8..4).prop_map(|n| Event::Rules(Arc::new(stricter(n)))),
        1 => (0i64..4000).prop_map(|since| Event::Restored { since: at(since) }),
        1 => (0i64..4000, 0i64..500).prop_map(|(from, length)| Event::Damaged(Damaged {
            stream: StreamId([1; 16]),
            from: at(from),
            to: at(from + length),
            readings: length.unsigned_abs(),
            exact: length % 2 == 0,
        })),
        1 => Just(Event::GatewayRevoked { gateway: GatewayId::parse("gw-1").expect("valid") }),
        1 => (0u8..3).prop_map(|stream| Event::StreamFrozen { stream: StreamId([stream; 16]) }),
        2 => Just(Event::Tick),
    ]
}

/// What is built in, or by so much stricter.
fn stricter(by: u8) -> Rules {
    let mut rules = Rules::BUILT_IN;
    let level = |cut, priority| Level {
        cut,
        hold: Span::from_secs(20),
        priority,
    };
    let by = f64::from(by);
    if by > 0.0 {
        let levels = [
            level(92.0 + by, Priority::Medium),
            level(88.0 + by, Priority::High),
        ];
        rules.oxygen_low.levels = Levels::new(&levels).expect("two");
        rules.early_warning.urgent = 3;
        let of = |condition, standing, age_from| Switch {
            condition,
            standing,
            of: Cohort {
                age_from,
                ..Cohort::default()
            },
        };
        rules.models = vec![
            of(Condition::HeartPause, Standing::Shadow, None),
            of(Condition::AtrialFibrillation, Standing::Off, Some(10)),
        ];
    }
    assert_eq!(rules.check(), []);
    rules
}

fn any_log() -> impl Strategy<Value = Vec<(Time, Event)>> {
    prop::collection::vec((0i64..300, any_event()), 1..40).prop_map(|list| {
        let mut known = at(0);
        let mut log = vec![(known, assigned())];
        for (wait, event) in list {
            known = known + Span::from_secs(wait) + Span::from_micros(1);
            log.push((known, event));
        }
        log
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_log_gives_equal_bytes_and_effects_and_counts_every_reading(log in any_log()) {
        prop_assert_eq!(replay(&log), replay(&log));
        let (mut twin, mut given) = (Twin::new(), 0u128);
        for (known, event) in &log {
            if let Event::Batch(batch) = event {
                given += batch.readings.len() as u128;
            }
            let before = twin.next_deadline();
            step(&mut twin, event, *known, &mut Vec::new());
            prop_assert!(twin.next_deadline().is_none_or(|next| next > *known), "{:?} after {:?}", twin.next_deadline(), before);
            let _ = (twin.channels(), twin.scores(), twin.forecasts(), twin.rhythm(), twin.devices(), twin.gateways());
        }
        let malformed = log.iter().any(|(_, event)| matches!(event, Event::Malformed { readings: 1.., .. }));
        let counters = twin.counters();
        if !malformed {
            let sum = u128::from(counters.applied) + u128::from(counters.duplicated) + u128::from(counters.quarantined);
            prop_assert_eq!(sum, given);
        }
    }

    #[test]
    fn how_live_readings_are_cut_into_batches_does_not_matter(cuts in prop::collection::vec(1usize..9, 40)) {
        // All known at the same pace: the batch that ends at a second is known at that second.
        let value = |second: i64| if second > 60 { 85.0 } else { 97.0 };
        let readings: Vec<Reading> = (0..200).flat_map(|second| [oxygen(second, value(second)), pulse(second, 70.0)]).collect();
        let run = |cuts: &[usize]| {
            let mut world = World::new();
            let (mut rest, mut turn) = (readings.as_slice(), 0);
            while !rest.is_empty() {
                let (now, later) = rest.split_at((cuts[turn % cuts.len()] * 2).min(rest.len()));
                let known = now[now.len() - 1].effective.since(at(0)).as_micros() / 1_000_000;
                world.readings(known, now.to_vec());
                (rest, turn) = (later, turn + 1);
            }
            let conditions: Vec<_> = world.changes.iter().map(|c| (c.what, c.alert.condition, c.alert.onset)).collect();
            let latest: Vec<_> = world.twin.channels().iter().map(|c| (c.value, c.effective, c.count)).collect();
            (conditions, latest, world.twin.forecasts())
        };
        prop_assert_eq!(run(&cuts), run(&[1]));
    }
}

#[test]
fn another_log_gives_other_bytes() {
    let log = |value| {
        let mut world = World::new();
        world.live([oxygen(1, value)]);
        let mut bytes = Vec::new();
        world.twin.canonical_bytes(&mut bytes);
        bytes
    };
    assert_eq!(log(97.0), log(97.0));
    assert_ne!(log(97.0), log(97.1));
}
