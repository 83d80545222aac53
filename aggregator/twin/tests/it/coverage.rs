//! What each stretch of time was, from the log of a patient's day.

use twin::coverage::{Class, HORIZON, Line, Stretch};
use twin::event::{Assigned, Gap, Heartbeat, Link};
use twin::{Event, Twin};
use vitals::{Absence, GatewayId, Kind, Quality, Reading, SourceId, Span, StreamId};

use super::support::{
    OXIMETER, STRAP, STREAM, World, absent, at, batch, pulse, reading, report, seconds,
};

/// A gateway that ran since `awake` and has nothing older than `complete` left.
fn beat(world: &mut World, known: i64, awake: i64, complete: i64) {
    let mut beat = batch(0, Vec::new());
    beat.heartbeat = Some(Heartbeat {
        sent: at(known),
        buffer_records: 0,
        readings_decoded: 0,
        awake_since: Some(at(awake)),
        complete_until: Some(at(complete)),
    });
    world.send(known, beat);
}

fn link(world: &mut World, known: i64, source: SourceId, link: Link) {
    let mut news = batch(0, Vec::new());
    news.devices = vec![report(source, link, known)];
    world.send(known, news);
}

fn gap(world: &mut World, known: i64, reason: i32, readings: u64, (from, to): (i64, i64)) {
    let mut declared = batch(0, Vec::new());
    declared.gaps = vec![Gap {
        source: STRAP,
        reason,
        readings,
        exact: true,
        from: at(from),
        to: at(to),
    }];
    world.send(known, declared);
}

fn pulses(seconds: std::ops::RangeInclusive<i64>) -> Vec<Reading> {
    seconds.map(|second| pulse(second, 64.0)).collect()
}

fn together(twin: &Twin, kind: Kind, window: (i64, i64), now: i64) -> Line {
    let lines = twin.coverage(&[kind], (at(window.0), at(window.1)), at(now));
    let line = lines.into_iter().find(|line| line.source.is_none());
    line.expect("a line of all sources")
}

/// (from, to, class) in seconds.
fn story(twin: &Twin, kind: Kind, window: (i64, i64), now: i64) -> Vec<(i64, i64, Class)> {
    let line = together(twin, kind, window, now);
    let told = |one: &Stretch| (seconds(one.from), seconds(one.to), one.class);
    line.stretches.iter().map(told).collect()
}

#[test]
fn a_day_with_everything_in_it() {
    let mut world = World::new();
    world.readings(100, pulses(0..=100));
    // Taken off, and silent after it said so; put on again.
    let off = (101..=110).map(|second| absent(STRAP, Kind::HeartRate, second, Absence::NoContact));
    world.readings(110, off.collect());
    world.readings(300, pulses(200..=300));
    // Out of range, and back.
    link(&mut world, 302, STRAP, Link::Lost);
    link(&mut world, 400, STRAP, Link::Connected);
    world.readings(500, pulses(401..=500));
    beat(&mut world, 500, 0, 480);
    // The agent is stopped, and started.
    link(&mut world, 700, STRAP, Link::Searching);
    link(&mut world, 703, STRAP, Link::Connected);
    world.readings(800, pulses(704..=800));
    // The buffer drops a stretch and declares it; the readings around it come late.
    world.readings(1000, pulses(900..=1000));
    beat(&mut world, 1000, 700, 980);
    gap(&mut world, 1001, 2, 99, (801, 900));
    // The sensor hangs, then says that it cannot measure, then loses its clock.
    world.readings(1300, pulses(1200..=1300));
    let unable =
        (1301..=1400).map(|second| absent(STRAP, Kind::HeartRate, second, Absence::NoLock));
    world.readings(1400, unable.collect());
    let undated = (1401..=1500).map(|second| Reading {
        quality: Quality::CLOCK_UNKNOWN,
        ..pulse(second, 64.0)
    });
    world.readings(1500, undated.collect());
    beat(&mut world, 1510, 700, 1500);
    assert_eq!(
        story(&world.twin, Kind::HeartRate, (0, 1520), 1520),
        [
            (0, 100, Class::Measured),
            (100, 101, Class::Awaited),
            (101, 200, Class::NotWorn),
            (200, 300, Class::Measured),
            (300, 302, Class::Awaited),
            (302, 400, Class::OutOfRange),
            (400, 401, Class::Awaited),
            (401, 500, Class::Measured),
            (500, 700, Class::GatewayDown),
            (700, 703, Class::OutOfRange),
            (703, 704, Class::Awaited),
            (704, 800, Class::Measured),
            (800, 801, Class::Awaited),
            (801, 900, Class::Dropped),
            (900, 1000, Class::Measured),
            (1000, 1200, Class::SensorFault),
            (1200, 1300, Class::Measured),
            (1300, 1301, Class::Awaited),
            (1301, 1400, Class::SensorFault),
            (1400, 1401, Class::Awaited),
            (1401, 1500, Class::ClockUnknown),
            (1500, 1520, Class::Awaited),
        ]
    );
    let line = together(&world.twin, Kind::HeartRate, (0, 1520), 1520);
    let dropped = line
        .stretches
        .iter()
        .find(|one| one.class == Class::Dropped);
    assert_eq!(dropped.map(|one| one.readings), Some(99));
}

#[test]
fn what_the_centre_lost_of_what_it_had_is_lost_where_nothing_else_is_known() {
    let mut world = World::new();
    world.live(pulses(0..=600));
    world.live(pulses(720..=1200));
    beat(&mut world, 1200, 0, 1200);
    let damaged = Event::Damaged(twin::event::Damaged {
        stream: STREAM,
        from: at(540),
        to: at(780),
        readings: 119,
        exact: true,
    });
    world.event(1201, damaged);
    let told = story(&world.twin, Kind::HeartRate, (0, 1200), 1201);
    assert_eq!(
        told,
        [
            (0, 600, Class::Measured),
            (600, 720, Class::Lost),
            (720, 1200, Class::Measured)
        ]
    );
    let line = together(&world.twin, Kind::HeartRate, (0, 1200), 1201);
    assert_eq!(line.stretches[1].readings, 119);
    assert_eq!(world.twin.counters().declared_lost, 119);
    assert_eq!(world.twin.counters().losses_of_unknown_size, 0);
}

#[test]
fn what_is_awaited_becomes_something_else_when_more_is_known() {
    let mut world = World::new();
    world.readings(100, pulses(0..=100));
    beat(&mut world, 120, 0, 100);
    let now = |world: &World, now| story(&world.twin, Kind::HeartRate, (0, 200), now);
    let tail = (100, 200, Class::Awaited);
    assert_eq!(now(&world, 150)[1], tail, "silence, yet short");
    // The gateway's limit passes; then a later beat shows that it was only cut off.
    let down = (120, 200, Class::GatewayDown);
    assert_eq!(now(&world, 400)[1..], [(100, 120, Class::Awaited), down]);
    beat(&mut world, 500, 0, 100);
    assert_eq!(now(&world, 500)[1], tail, "its buffer still has that time");
    world.readings(505, pulses(101..=150));
    assert_eq!(now(&world, 505)[1], (150, 200, Class::Awaited));
    beat(&mut world, 510, 0, 500);
    let fault = (150, 200, Class::SensorFault);
    assert_eq!(now(&world, 510)[1], fault, "nothing waits any more");
    gap(&mut world, 520, 6, 50, (150, 201));
    let dropped = (150, 200, Class::Dropped);
    assert_eq!(now(&world, 520)[1], dropped, "a declared loss says why");
}

#[test]
fn a_cuff_used_once_a_day_leaves_no_gap_and_a_forgotten_one_does() {
    let mut world = World::new();
    let hour = 3600;
    let pressure = |second| reading(OXIMETER, Kind::SystolicPressure, second, 120.0);
    for day in 0..3 {
        let second = day * 24 * hour - day * 60 + 600;
        link(&mut world, second, OXIMETER, Link::Connected);
        world.readings(second, vec![pressure(second)]);
        link(&mut world, second + 60, OXIMETER, Link::Lost);
        beat(&mut world, second + 70, 0, second + 50);
    }
    let last = 2 * 24 * hour - 120 + 600;
    let now = last + 30 * hour;
    beat(&mut world, now, 0, now - 20);
    let kind = Kind::SystolicPressure;
    assert_eq!(
        story(&world.twin, kind, (600, now), now),
        [
            (600, last + 24 * hour, Class::Measured),
            (last + 24 * hour, now, Class::Awaited)
        ]
    );
}

#[test]
fn a_watch_that_looks_every_ten_minutes_counts_by_its_own_rhythm() {
    let mut world = World::new();
    for n in 0..20 {
        world.readings(n * 600, vec![pulse(n * 600, 64.0)]);
    }
    let now = 19 * 600 + 3600;
    beat(&mut world, now, 0, now - 20);
    link(&mut world, now, STRAP, Link::Lost);
    assert_eq!(
        story(&world.twin, Kind::HeartRate, (0, now), now),
        [
            (0, 19 * 600 + 1200, Class::Measured),
            (19 * 600 + 1200, now, Class::Awaited)
        ]
    );
}

#[test]
fn two_sensors_of_one_kind_are_as_good_as_the_better_one() {
    let mut world = World::new();
    world.readings(200, pulses(0..=100));
    let other = (80..=200).map(|second| reading(OXIMETER, Kind::HeartRate, second, 64.0));
    world.readings(200, other.collect());
    link(&mut world, 200, STRAP, Link::Lost);
    let lines = world
        .twin
        .coverage(&[Kind::HeartRate], (at(0), at(200)), at(200));
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0].stretches.len(), 1, "{:?}", lines[0]);
    assert_eq!(lines[0].stretches[0].class, Class::Measured);
    assert!(lines[1..].iter().all(|line| line.stretches.len() > 1));
}

#[test]
fn pauses_are_named_and_time_without_a_sensor_counts_for_nothing() {
    let mut world = World::new();
    world.readings(100, pulses(0..=100));
    world.event(101, Event::Collection { given: false });
    let mut ended = super::support::assigned();
    if let Event::Assigned(assigned) = &mut ended {
        assigned.devices.clear();
    }
    world.event(101, ended);
    world.event(301, Event::Collection { given: true });
    // Nobody waits for a beat of a gateway that has nothing to do any more.
    world.tick(900);
    assert_eq!(
        story(&world.twin, Kind::HeartRate, (-50, 400), 900),
        [
            (-50, 0, Class::Unassigned),
            (0, 100, Class::Measured),
            (100, 101, Class::Awaited),
            (101, 301, Class::Withheld),
            (301, 400, Class::Unassigned),
        ]
    );
}

#[test]
fn nothing_known_yet_is_awaited_and_too_long_ago_is_forgotten() {
    let world = World::new();
    assert_eq!(
        story(&world.twin, Kind::BodyTemperature, (0, 60), 60),
        [(0, 60, Class::Awaited)]
    );
    let (horizon, now) = (HORIZON.as_micros() / 1_000_000, 30 * 24 * 3600);
    let told = story(&world.twin, Kind::HeartRate, (10, now), now);
    assert_eq!(told[0], (10, now - horizon, Class::Forgotten));
}

#[test]
fn what_ended_streams_hold_of_coverage_is_let_go_with_its_horizon() {
    const DAY: i64 = 86_400;
    /// A patient who pauses so often.
    const LASTS: i64 = 36_000;
    let mut world = World::new();
    let assigned = |n: u8, devices: &[&str]| {
        Event::Assigned(Assigned {
            stream: StreamId([n; 16]),
            gateway: GatewayId::parse("gw-1").expect("valid"),
            devices: devices.iter().map(|address| (*address).into()).collect(),
            from: at(0),
        })
    };
    world.event(1, assigned(1, &[]));
    let mut sizes = Vec::new();
    for n in 2..=77 {
        let begin = i64::from(n - 2) * LASTS + 2;
        world.event(begin, assigned(n, &["AA:BB:CC:DD:EE:01"]));
        for known in (begin..begin + LASTS - 10).step_by(600) {
            let sequence = u64::try_from((known - begin) / 600).expect("small");
            let reading = Reading {
                sequence,
                ..pulse(known, 64.0)
            };
            let mut news = batch(0, vec![reading]);
            news.stream = StreamId([n; 16]);
            let link = [Link::Connected, Link::Lost][usize::from(known / 600 % 2 == 1)];
            news.devices = vec![report(STRAP, link, known)];
            world.send(known, news);
        }
        world.event(begin + LASTS - 1, assigned(n, &[]));
        let mut bytes = Vec::new();
        world.twin.canonical_bytes(&mut bytes);
        sizes.push((begin, bytes.len()));
    }
    let after = |days: i64| {
        let late = sizes.iter().find(|(begin, _)| *begin > days * DAY);
        late.expect("a month").1
    };
    let streams = usize::try_from(10 * DAY / LASTS).expect("small");
    let (filling, full) = (after(8) / streams, (after(30) - after(20)) / streams);
    assert!(
        filling > 1000,
        "control: {filling} bytes a stream while it fills"
    );
    assert!(full < 700, "{full} bytes a stream that ended");
}

#[test]
fn what_a_typical_week_costs_in_memory() {
    // Eight days of a strap with thirty breaks a day, as canonical bytes: what they add to a state.
    let mut world = World::new();
    let bytes = |world: &World| {
        let mut bytes = Vec::new();
        world.twin.canonical_bytes(&mut bytes);
        bytes.len()
    };
    world.readings(1, pulses(0..=1));
    let before = bytes(&world);
    for n in 1..8 * 30 {
        let from = n * 2880;
        let one = |k: i64| Reading {
            sequence: u64::try_from(n * 100 + k).expect("small"),
            ..pulse(from + k * 9, 64.0)
        };
        let run = (0..100).map(one).collect();
        world.readings(from + 900, run);
        beat(&mut world, from + 910, 0, from + 890);
    }
    let after = bytes(&world);
    println!(
        "coverage of a week with 30 breaks a day: {} bytes",
        after - before
    );
    let now = at(8 * 30 * 2880);
    let lines = world.twin.coverage(&[], (now - HORIZON, now), now);
    let sum = lines[0]
        .stretches
        .iter()
        .fold(Span::ZERO, |sum, one| sum + one.to.since(one.from));
    assert_eq!(sum, HORIZON);
}
