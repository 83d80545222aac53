//! Nothing is applied twice, nothing is lost uncounted, nothing of another patient's is folded.

use twin::Event;
use twin::event::{Assigned, Gap};
use vitals::{ContextId, GatewayId, Kind, SourceId, StreamId};

use crate::support::{CONTEXT, STREAM, World, at, batch, oxygen, pulse, reading, report};

#[test]
fn a_second_copy_is_counted_and_changes_no_value() {
    let mut world = World::new();
    let copy = batch(7, vec![oxygen(1, 97.0), oxygen(2, 96.0)]);
    world.event(3, Event::Batch(copy.clone()));
    let before = world.twin.channels();
    world.event(3, Event::Batch(copy));
    assert_eq!(world.twin.channels(), before);
    let counters = world.twin.counters();
    assert_eq!((counters.applied, counters.duplicated), (2, 2));
}

#[test]
fn a_merged_batch_gives_exactly_what_its_parts_had_not() {
    let mut world = World::new();
    world.event(3, Event::Batch(batch(10, vec![oxygen(1, 97.0)])));
    let mut merged = batch(12, vec![oxygen(1, 97.0), oxygen(2, 96.0)]);
    merged.supersedes = vec![10, 11];
    world.event(4, Event::Batch(merged));
    world.event(5, Event::Batch(batch(11, vec![oxygen(2, 96.0)])));
    let counters = world.twin.counters();
    assert_eq!((counters.applied, counters.duplicated), (2, 2));
    assert_eq!(world.twin.channels()[0].count, 2);
}

#[test]
fn readings_outside_the_assignment_are_set_aside() {
    let mut world = World::new();
    world.readings(1, vec![oxygen(-5, 97.0)]);
    let stray = twin::event::Batch {
        stream: StreamId([9; 16]),
        ..batch(1, vec![oxygen(1, 97.0)])
    };
    world.event(2, Event::Batch(stray));
    let ancient = 400 * 24 * 3600;
    world.readings(3, vec![oxygen(-ancient, 97.0)]);
    let counters = world.twin.counters();
    assert_eq!(counters.quarantined_before_assignment, 1);
    assert_eq!(counters.quarantined_unassigned, 1);
    assert_eq!(counters.quarantined_ancient, 1);
    assert_eq!((counters.quarantined, counters.applied), (3, 0));
    assert!(world.twin.channels().is_empty());
}

#[test]
fn a_sensor_that_is_not_assigned_is_set_aside() {
    let mut world = World::new();
    let mut other = batch(0, vec![reading(SourceId(9), Kind::HeartRate, 5, 70.0)]);
    other.devices = vec![report(SourceId(9), twin::event::Link::Connected, 1)];
    world.send(6, other);
    assert_eq!(world.twin.counters().quarantined_unassigned, 1);
}

#[test]
fn a_sensor_that_stays_keeps_its_begin_when_another_is_added() {
    let mut world = World::new();
    world.event(
        100,
        Event::Assigned(Assigned {
            stream: STREAM,
            gateway: GatewayId::parse("gw-1").expect("valid"),
            devices: vec!["aa:bb:cc:dd:ee:02".into(), "AA:BB:CC:DD:EE:03".into()],
            from: at(100),
        }),
    );
    world.readings(101, vec![oxygen(50, 97.0)]);
    assert_eq!(
        world.twin.counters().applied,
        1,
        "backlog of the sensor that stays"
    );
    world.readings(
        102,
        vec![reading(crate::support::STRAP, Kind::HeartRate, 101, 70.0)],
    );
    assert_eq!(
        world.twin.counters().quarantined_unassigned,
        1,
        "the strap was taken away"
    );
}

fn list(devices: &[&str], from: i64) -> Event {
    Event::Assigned(Assigned {
        stream: STREAM,
        gateway: GatewayId::parse("gw-1").expect("valid"),
        devices: devices.iter().map(|device| (*device).into()).collect(),
        from: at(from),
    })
}

#[test]
fn after_an_assignment_ended_only_its_backlog_is_folded() {
    let mut world = World::new();
    world.event(100, list(&[], 0));
    // One with a known address, and one that no report has named yet.
    let unnamed = |second| reading(SourceId(7), Kind::BodyTemperature, second, 37.0);
    world.readings(110, vec![oxygen(99, 97.0), unnamed(98)]);
    assert_eq!(world.twin.counters().applied, 2);
    world.readings(5000, vec![oxygen(100, 97.0), oxygen(4999, 97.0)]);
    world.readings(5000, vec![unnamed(4999)]);
    let counters = world.twin.counters();
    assert_eq!((counters.applied, counters.quarantined_unassigned), (2, 3));
}

#[test]
fn each_sensor_is_this_patients_from_its_own_begin_to_its_own_end() {
    let mut world = World::new();
    let (strap, oximeter) = ("AA:BB:CC:DD:EE:01", "AA:BB:CC:DD:EE:02");
    // The strap goes to somebody else for a while, the oximeter stays.
    world.event(100, list(&[oximeter], 0));
    // The centre may pass the stream's first begin: what comes back begins now all the same.
    world.event(200, list(&[strap, oximeter], 0));
    for (second, folds) in [
        (-1, false),
        (50, true),
        (100, false),
        (150, false),
        (199, false),
        (200, true),
        (201, true),
    ] {
        let before = world.twin.counters().applied;
        world.readings(300, vec![pulse(second, 70.0)]);
        assert_eq!(
            world.twin.counters().applied - before,
            u64::from(folds),
            "strap at {second}"
        );
        world.readings(300, vec![oxygen(second, 97.0)]);
    }
    let counters = world.twin.counters();
    assert_eq!(
        (
            counters.quarantined_unassigned,
            counters.quarantined_before_assignment
        ),
        (3, 2)
    );
    // Nobody's while it was not on the list: 3 of the strap; the oximeter stayed.
    assert_eq!(counters.applied, 3 + 6);
    // A begin that lies ahead is kept.
    world.event(400, list(&[strap, oximeter, "AA:BB:CC:DD:EE:03"], 500));
    let mut third = batch(0, Vec::new());
    third.devices = vec![report(SourceId(3), twin::event::Link::Connected, 400)];
    world.send(410, third);
    let weight = |second| vec![reading(SourceId(3), Kind::BodyTemperature, second, 37.0)];
    world.readings(510, weight(499));
    world.readings(510, weight(500));
    let counters = world.twin.counters();
    assert_eq!(
        (counters.applied, counters.quarantined_before_assignment),
        (10, 3)
    );
}

#[test]
fn many_changes_of_the_list_stay_bounded() {
    let mut world = World::new();
    for turn in 0..2000 {
        let address = format!("AA:BB:CC:DD:{:02X}:{:02X}", turn / 256, turn % 256);
        world.event(turn, list(&[&address], turn));
    }
    let mut bytes = Vec::new();
    world.twin.canonical_bytes(&mut bytes);
    assert!(bytes.len() < 20_000, "{}", bytes.len());
    world.readings(
        3000,
        vec![reading(SourceId(7), Kind::BodyTemperature, 2999, 37.0)],
    );
    assert_eq!(world.twin.counters().applied, 1, "the newest is among them");
}

#[test]
fn declared_losses_and_malformed_batches_are_counted_once() {
    let mut world = World::new();
    let mut lossy = batch(20, Vec::new());
    lossy.gaps = vec![Gap {
        source: SourceId(0),
        reason: 2,
        readings: 17,
        exact: false,
        from: at(1),
        to: at(9),
    }];
    world.event(10, Event::Batch(lossy.clone()));
    world.event(11, Event::Batch(lossy));
    let malformed = Event::Malformed {
        stream: STREAM,
        context: CONTEXT,
        number: 21,
        readings: 5,
    };
    world.event(12, malformed.clone());
    world.event(13, malformed);
    let counters = world.twin.counters();
    assert_eq!(
        (
            counters.declared_lost,
            counters.losses_of_unknown_size,
            counters.malformed,
            counters.duplicated
        ),
        (17, 1, 5, 5)
    );
}

#[test]
fn a_day_of_backlog_with_the_urgent_lane_first_is_applied_whole() {
    let mut world = World::new();
    // Numbers in the order of sealing: every vitals batch is followed by an urgent one.
    let batches: Vec<_> = (1..=1440)
        .flat_map(|minute| {
            let temperature = reading(SourceId(2), Kind::BodyTemperature, minute * 60, 37.0);
            let number = 2 * u64::try_from(minute).expect("positive");
            [
                batch(number, vec![pulse(minute * 60, 70.0)]),
                batch(number + 1, vec![temperature]),
            ]
        })
        .collect();
    for urgent in [1, 0] {
        for batch in batches.iter().filter(|batch| batch.number % 2 == urgent) {
            world.event(90_000, Event::Batch(batch.clone()));
        }
    }
    let counters = world.twin.counters();
    assert_eq!(
        (
            counters.applied,
            counters.duplicated,
            counters.quarantined_forgotten
        ),
        (2880, 0, 0)
    );
}

#[test]
fn contexts_are_apart() {
    let mut world = World::new();
    world.event(3, Event::Batch(batch(7, vec![oxygen(1, 97.0)])));
    let other = twin::event::Batch {
        context: ContextId([3; 16]),
        ..batch(7, vec![oxygen(2, 97.0)])
    };
    world.event(4, Event::Batch(other));
    assert_eq!(world.twin.counters().applied, 2);
}

#[test]
fn a_stream_that_ended_a_year_ago_is_forgotten_and_its_counts_stay() {
    const DAY: i64 = 24 * 3600;
    let mut world = World::new();
    world.readings(2, vec![pulse(1, 70.0)]);
    let assigned = |stream: u8, devices: &[&str]| {
        Event::Assigned(Assigned {
            stream: StreamId([stream; 16]),
            gateway: GatewayId::parse("gw-1").expect("valid"),
            devices: devices.iter().map(|address| (*address).into()).collect(),
            from: at(0),
        })
    };
    world.event(10, assigned(1, &[]));
    let known = |world: &World| world.twin.gateways().len();
    world.event(365 * DAY, assigned(2, &["AA:BB:CC:DD:EE:01"]));
    assert_eq!(known(&world), 2, "its backlog may still come");
    world.readings(365 * DAY, vec![pulse(2, 70.0)]);
    assert_eq!(world.twin.counters().applied, 2, "and is taken");
    world.event(367 * DAY, assigned(3, &["AA:BB:CC:DD:EE:01"]));
    assert_eq!(known(&world), 2, "the second one has not ended");
    world.readings(367 * DAY, vec![pulse(3, 70.0)]);
    let counters = world.twin.counters();
    assert_eq!((counters.applied, counters.quarantined), (2, 1));
}
