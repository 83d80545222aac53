//! Technical alerts: each names its subject and its hop, and comes by time alone where it must.

use twin::Event;
use twin::alert::{Category, Change, Condition, Priority};
use twin::event::{Assigned, Batch, DeviceReport, Heartbeat, Link};
use vitals::{Absence, GatewayId, Kind, Quality, Reading, SourceId, StreamId};

use crate::support::{
    OXIMETER, STRAP, STREAM, World, absent, at, batch, oxygen, pulse, reading, report, seconds,
};

/// Both sensors and the gateway's heart, second by second.
fn all_well(world: &mut World, from: i64, to: i64) {
    for second in from..to {
        world.readings(second, vec![pulse(second, 70.0), oxygen(second, 97.0)]);
        if second % 30 == 0 {
            world.heartbeat(second, second);
        }
    }
}

#[test]
fn nothing_is_said_while_all_is_well() {
    let mut world = World::new();
    all_well(&mut world, 1, 1200);
    assert!(world.changes.is_empty(), "{:?}", world.changes);
}

#[test]
fn a_sensor_taken_off_is_reported_by_time_alone_and_ends_when_it_is_back() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    world.readings(
        100,
        vec![absent(STRAP, Kind::HeartRate, 100, Absence::NoContact)],
    );
    assert!(world.active(Condition::SensorOff).is_none());
    world.tick(131);
    let alert = world.active(Condition::SensorOff).expect("off for 30 s");
    assert_eq!((seconds(alert.onset), seconds(alert.raised)), (100, 130));
    assert_eq!(
        (alert.category(), alert.priority),
        (Category::Technical, Priority::Low)
    );
    assert_eq!(alert.subject, "Sensor 1 (AA:BB:CC:DD:EE:01)");
    world.live((140..149).map(|second| pulse(second, 70.0)));
    assert!(
        world.active(Condition::SensorOff).is_some(),
        "not yet ten seconds"
    );
    world.live((149..152).map(|second| pulse(second, 70.0)));
    assert!(world.active(Condition::SensorOff).is_none());
}

#[test]
fn a_finger_withdrawn_from_the_oximeter_is_reported_after_a_minute() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    world.live((100..155).map(|second| {
        absent(
            OXIMETER,
            Kind::OxygenSaturation,
            second,
            Absence::NotANumber,
        )
    }));
    assert!(world.active(Condition::SensorOff).is_none());
    world.live((155..165).map(|second| {
        absent(
            OXIMETER,
            Kind::OxygenSaturation,
            second,
            Absence::NotANumber,
        )
    }));
    assert!(world.active(Condition::SensorOff).is_some());
}

#[test]
fn a_watch_that_cannot_see_oxygen_but_sees_the_pulse_is_worn() {
    let mut world = World::new();
    for second in 1..300 {
        world.live([
            pulse(second, 70.0),
            absent(STRAP, Kind::OxygenSaturation, second, Absence::NotANumber),
        ]);
    }
    assert!(world.active(Condition::SensorOff).is_none());
}

#[test]
fn readings_of_no_contact_flagged_with_a_number_count_as_off_too() {
    let mut world = World::new();
    let off = |second| Reading {
        quality: Quality::NO_CONTACT,
        ..pulse(second, 61.0)
    };
    world.live((1..60).map(off));
    assert!(world.active(Condition::SensorOff).is_some());
    assert!(world.physiological().is_empty());
}

#[test]
fn a_low_battery_is_reported_once_with_hysteresis() {
    let mut world = World::new();
    let level = |second, percent| reading(STRAP, Kind::BatteryLevel, second, percent);
    world.live([level(1, 16.0)]);
    assert!(world.active(Condition::BatteryLow).is_none());
    world.live([
        level(2, 15.0),
        level(3, 16.0),
        level(4, 14.0),
        level(5, 19.0),
    ]);
    assert_eq!(world.count(Condition::BatteryLow, Change::Raised), 1);
    assert!(world.active(Condition::BatteryLow).is_some());
    world.live([level(6, 80.0)]);
    assert!(world.active(Condition::BatteryLow).is_none());
    // Late news of an empty battery is no news.
    world.readings(
        10,
        vec![Reading {
            sequence: 99,
            ..level(4, 3.0)
        }],
    );
    assert_eq!(world.count(Condition::BatteryLow, Change::Raised), 1);
}

#[test]
fn a_silent_sensor_is_reported_while_its_gateway_lives() {
    let mut world = World::new();
    all_well(&mut world, 1, 200);
    for second in 200..400 {
        world.readings(second, vec![oxygen(second, 97.0)]);
        if second % 30 == 0 {
            world.heartbeat(second, second);
        }
    }
    let alert = world
        .active(Condition::DeviceSilent)
        .expect("the strap said nothing for 90 s");
    assert_eq!(seconds(alert.raised), 199 + 90);
    assert!(
        alert.subject.contains("Sensor 1") && alert.summary.contains("gw-1"),
        "{}",
        alert.summary
    );
    assert_eq!(world.changes.len(), 1);
    all_well(&mut world, 400, 410);
    assert!(world.active(Condition::DeviceSilent).is_none());
}

#[test]
fn a_silent_gateway_is_named_and_its_sensors_are_not() {
    let mut world = World::new();
    all_well(&mut world, 1, 200);
    world.tick(199 + 179);
    assert!(world.changes.is_empty());
    world.tick(199 + 1500);
    let alert = world.active(Condition::GatewaySilent).expect("silent");
    assert_eq!(
        (alert.subject.as_str(), alert.priority),
        ("gw-1", Priority::Medium)
    );
    assert_eq!(
        (seconds(alert.onset), seconds(alert.raised)),
        (199, 199 + 180)
    );
    assert_eq!(
        world.changes.len(),
        1,
        "the sensors' silence is the gateway's"
    );
    assert!(world.twin.gateways()[0].silent);
}

#[test]
fn a_gateway_is_judged_by_what_it_made_not_by_arrival() {
    let mut world = World::new();
    world.heartbeat(1, 1);
    world.tick(200);
    assert!(world.active(Condition::GatewaySilent).is_some());
    // Backlog of its last minutes arrives: still nothing fresh.
    world.heartbeat(600, 100);
    assert!(world.active(Condition::GatewaySilent).is_some());
    world.heartbeat(610, 605);
    assert!(world.active(Condition::GatewaySilent).is_none());
}

#[test]
fn after_an_outage_the_gateway_gets_time_to_hear_its_sensors_again() {
    let mut world = World::new();
    all_well(&mut world, 1, 200);
    world.heartbeat(900, 900);
    world.heartbeat(930, 930);
    world.heartbeat(960, 960);
    assert!(
        world.active(Condition::DeviceSilent).is_none(),
        "back for a minute only"
    );
    world.heartbeat(990, 990);
    assert_eq!(world.count(Condition::DeviceSilent, Change::Raised), 2);
}

#[test]
fn a_gateway_that_never_spoke_is_reported_later() {
    let mut twin = twin::Twin::new();
    twin::step(
        &mut twin,
        &crate::support::assigned(),
        at(0),
        &mut Vec::new(),
    );
    assert_eq!(twin.next_deadline(), Some(at(600)));
    twin::step(&mut twin, &Event::Tick, at(600), &mut Vec::new());
    assert_eq!(twin.alerts()[0].condition, Condition::GatewaySilent);
}

#[test]
fn a_lost_link_is_reported_after_two_minutes_and_ends_on_reconnection() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    let mut lost = batch(0, Vec::new());
    lost.devices = vec![report(STRAP, Link::Lost, 100)];
    world.send(101, lost);
    for second in 101..230 {
        world.readings(second, vec![oxygen(second, 97.0)]);
    }
    let alert = world
        .active(Condition::DeviceLost)
        .expect("lost for two minutes");
    assert_eq!((seconds(alert.onset), seconds(alert.raised)), (100, 220));
    assert!(world.active(Condition::DeviceSilent).is_none());
    let mut found = batch(0, Vec::new());
    found.devices = vec![report(STRAP, Link::Connected, 231)];
    world.send(231, found);
    assert!(world.active(Condition::DeviceLost).is_none());
}

#[test]
fn a_sensor_that_is_taken_off_and_goes_to_sleep_is_one_alert() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    let mut off = batch(0, Vec::new());
    off.devices = vec![twin::event::DeviceReport {
        contact: Some(false),
        ..report(STRAP, Link::Connected, 100)
    }];
    world.send(101, off);
    let mut lost = batch(0, Vec::new());
    lost.devices = vec![report(STRAP, Link::Lost, 110)];
    world.send(111, lost);
    for second in 111..1000 {
        world.readings(second, vec![oxygen(second, 97.0)]);
    }
    let alerts = world.twin.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let raised = world.changes.iter();
    let raised = raised.filter(|change| change.what == Change::Raised);
    assert_eq!(raised.count(), 1, "and none before it");
    // Gone by itself it is told.
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    let mut lost = batch(0, Vec::new());
    lost.devices = vec![report(STRAP, Link::Lost, 110)];
    world.send(111, lost);
    for second in 111..400 {
        world.readings(second, vec![oxygen(second, 97.0)]);
    }
    assert!(world.active(Condition::DeviceLost).is_some(), "control");
}

#[test]
fn sensors_of_one_gateway_that_are_gone_at_once_are_one_call() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    let mut lost = batch(0, Vec::new());
    lost.devices = vec![
        report(STRAP, Link::Lost, 100),
        report(OXIMETER, Link::Lost, 130),
    ];
    world.send(131, lost);
    for second in 0..30 {
        world.heartbeat(140 + second * 10, 140 + second * 10);
    }
    let alerts = world.twin.alerts();
    let [first, second] = alerts[..] else {
        panic!("both are told: {alerts:?}");
    };
    assert_eq!((first.part_of, second.part_of), (None, Some(first.id)));
    assert!(second.calls.made.is_empty() && first.calls.made.len() == 1);
    let (first, second) = (first.id, second.id);
    // The one that was called about is back, and the other one is not.
    let mut found = batch(0, Vec::new());
    found.devices = vec![report(STRAP, Link::Connected, 450)];
    world.send(450, found);
    let alerts = world.twin.alerts();
    assert!(alerts.iter().all(|alert| alert.id != first), "{alerts:?}");
    let of = alerts.iter().find(|alert| alert.id == second);
    let of = of.expect("it is still gone");
    assert_eq!((of.part_of, of.calls.made.len()), (None, 1));
}

#[test]
fn a_short_loss_of_the_link_is_not_reported() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    for (link, second) in [(Link::Lost, 100), (Link::Connected, 130)] {
        let mut change = batch(0, Vec::new());
        change.devices = vec![report(STRAP, link, second)];
        world.send(second, change);
    }
    all_well(&mut world, 131, 400);
    assert!(world.changes.is_empty());
}

#[test]
fn an_impossible_clock_is_reported_and_its_readings_are_set_aside() {
    let mut world = World::new();
    world.readings(10, vec![oxygen(10 + 3600, 97.0)]);
    let alert = world.active(Condition::ClockWrong).expect("an hour ahead");
    assert!(alert.summary.contains("future"), "{}", alert.summary);
    assert_eq!(world.twin.counters().quarantined_future, 1);
    assert!(world.twin.channels().is_empty());
    world.tick(71);
    assert!(world.active(Condition::ClockWrong).is_none());
}

#[test]
fn a_revoked_gateway_is_expected_to_be_silent() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    world.tick(1000);
    assert!(world.active(Condition::GatewaySilent).is_some());
    world.event(
        1001,
        Event::GatewayRevoked {
            gateway: GatewayId::parse("gw-1").expect("valid"),
        },
    );
    assert!(world.active(Condition::GatewaySilent).is_none());
    world.readings(1002, vec![oxygen(1002, 80.0)]);
    assert_eq!(world.twin.counters().quarantined_unassigned, 1);
    world.tick(9000);
    let alerts = world.twin.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0].condition, Condition::NotMonitored);
}

const SECOND: StreamId = StreamId([7; 16]);

fn elsewhere(devices: &[&str], from: i64) -> Event {
    Event::Assigned(Assigned {
        stream: SECOND,
        gateway: GatewayId::parse("gw-2").expect("valid"),
        devices: devices.iter().map(|device| (*device).into()).collect(),
        from: at(from),
    })
}

fn beat_elsewhere(number: u64, second: i64) -> Event {
    Event::Batch(Batch {
        stream: SECOND,
        heartbeat: Some(Heartbeat {
            sent: at(second),
            buffer_records: 0,
            readings_decoded: 0,
            awake_since: None,
            complete_until: None,
        }),
        ..batch(number, Vec::new())
    })
}

const BOTH: [&str; 2] = ["AA:BB:CC:DD:EE:01", "AA:BB:CC:DD:EE:02"];

fn revoked() -> Event {
    Event::GatewayRevoked {
        gateway: GatewayId::parse("gw-1").expect("valid"),
    }
}

#[test]
fn a_patient_whose_only_gateway_is_revoked_or_frozen_is_not_monitored() {
    for (end, word) in [
        (revoked(), "revoked"),
        (Event::StreamFrozen { stream: STREAM }, "two copies"),
    ] {
        let mut world = World::new();
        all_well(&mut world, 1, 100);
        world.event(100, end.clone());
        world.event(101, end);
        let alert = world
            .active(Condition::NotMonitored)
            .expect("nothing collects any more");
        assert_eq!(
            (alert.subject.as_str(), alert.priority, alert.category()),
            ("gw-1", Priority::Medium, Category::Technical)
        );
        assert_eq!(alert.condition.name(), "not_monitored");
        assert!(alert.summary.contains(word), "{}", alert.summary);
        assert_eq!(world.count(Condition::NotMonitored, Change::Raised), 1);
        assert!(world.twin.gateways()[0].revoked);
        // The old one may go on: it is not heard.
        world.heartbeat(130, 130);
        // Another gateway, first only assigned, then heard.
        world.event(200, elsewhere(&BOTH, 200));
        assert!(world.active(Condition::NotMonitored).is_some());
        world.event(230, beat_elsewhere(1, 230));
        assert!(world.twin.alerts().is_empty(), "{:?}", world.twin.alerts());
    }
}

#[test]
fn an_old_word_of_the_new_gateway_is_not_being_heard() {
    let mut world = World::new();
    world.event(100, revoked());
    world.event(1000, elsewhere(&BOTH, 1000));
    world.event(1500, beat_elsewhere(1, 1001));
    assert!(world.active(Condition::NotMonitored).is_some());
    world.event(1501, beat_elsewhere(2, 1501));
    assert!(world.active(Condition::NotMonitored).is_none());
}

#[test]
fn another_gateway_monitors_only_the_sensors_on_its_list() {
    // It has them all: nothing is lost.
    let mut world = World::new();
    world.event(10, elsewhere(&BOTH, 10));
    world.event(100, revoked());
    assert!(world.active(Condition::NotMonitored).is_none());
    // It has one of two: its heart says nothing about the other, until somebody decides anew.
    let mut world = World::new();
    world.event(10, elsewhere(&BOTH[..1], 10));
    world.event(100, revoked());
    world.event(101, beat_elsewhere(1, 101));
    assert!(world.active(Condition::NotMonitored).is_some());
    world.event(110, elsewhere(&BOTH[..1], 110));
    world.event(111, beat_elsewhere(2, 111));
    assert!(world.active(Condition::NotMonitored).is_none());
}

#[test]
fn what_was_ended_before_is_not_missed_when_its_gateway_goes() {
    for end in [revoked(), Event::StreamFrozen { stream: STREAM }] {
        let mut world = World::new();
        world.event(100, list(&[], 0));
        world.event(200, end);
        assert!(world.changes.is_empty(), "{:?}", world.changes);
    }
}

#[test]
fn a_frozen_stream_keeps_what_was_measured_before_and_stays_frozen() {
    let mut world = World::new();
    world.event(100, Event::StreamFrozen { stream: STREAM });
    world.readings(101, vec![oxygen(99, 97.0)]);
    world.readings(102, vec![oxygen(101, 97.0)]);
    world.event(150, crate::support::assigned());
    world.readings(160, vec![oxygen(155, 97.0)]);
    let counters = world.twin.counters();
    assert_eq!((counters.applied, counters.quarantined_unassigned), (1, 2));
    assert!(world.active(Condition::NotMonitored).is_some());
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
fn after_an_assignment_ended_nobody_is_expected_to_speak() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    world.event(100, list(&[], 0));
    world.tick(9000);
    assert!(world.changes.is_empty(), "{:?}", world.changes);
    // Neither is one that never spoke.
    let mut twin = twin::Twin::new();
    for event in [crate::support::assigned(), list(&[], 0)] {
        twin::step(&mut twin, &event, at(0), &mut Vec::new());
    }
    assert_eq!(twin.next_deadline(), None);
}

#[test]
fn the_end_of_an_assignment_ends_its_silence_and_a_new_one_counts_from_its_begin() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    world.tick(1000);
    assert!(world.active(Condition::GatewaySilent).is_some());
    world.event(1001, list(&[], 0));
    assert!(world.twin.alerts().is_empty() && !world.twin.gateways()[0].silent);
    world.event(5000, crate::support::assigned());
    world.tick(5179);
    assert!(world.twin.alerts().is_empty());
    world.tick(5180);
    assert!(world.active(Condition::GatewaySilent).is_some());
}

#[test]
fn a_sensor_that_was_taken_off_the_list_is_not_missed() {
    let mut world = World::new();
    all_well(&mut world, 1, 100);
    let mut lost = batch(0, Vec::new());
    lost.devices = vec![DeviceReport {
        battery_percent: Some(3),
        ..report(STRAP, Link::Lost, 100)
    }];
    world.send(101, lost.clone());
    assert!(world.active(Condition::BatteryLow).is_some());
    world.event(150, list(&["AA:BB:CC:DD:EE:02"], 0));
    assert!(world.twin.alerts().is_empty());
    world.send(160, lost);
    for second in 160..600 {
        world.readings(second, vec![oxygen(second, 97.0)]);
    }
    assert!(world.twin.alerts().is_empty(), "{:?}", world.twin.alerts());
    // Back on the list it gets its time to be found.
    world.event(600, crate::support::assigned());
    for second in 600..719 {
        world.readings(second, vec![oxygen(second, 97.0)]);
    }
    assert!(world.twin.alerts().is_empty(), "{:?}", world.twin.alerts());
    world.readings(720, vec![oxygen(720, 97.0)]);
    assert!(world.active(Condition::DeviceLost).is_some());
}

#[test]
fn many_sources_stay_bounded() {
    let mut world = World::new();
    for source in 0..500u16 {
        world.readings(1, vec![reading(SourceId(source), Kind::HeartRate, 1, 60.0)]);
    }
    assert!(world.twin.devices().len() <= 64);
    let counters = world.twin.counters();
    assert_eq!(counters.applied + counters.quarantined, 500);
}
