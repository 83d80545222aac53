//! Glucose through the fold: rules on readings, the forecast beside its baseline, and what it says when it does not know.

use twin::alert::{Change, Condition, Priority};
use twin::glucose::MODEL;
use vitals::{Kind, Quality, Reading};

use crate::support::{STRAP, World, batch, reading};

fn monitor(minute: i64, value: f64) -> Reading {
    reading(STRAP, Kind::InterstitialGlucose, minute * 60, value)
}

fn changes(world: &World, condition: Condition) -> Vec<(Change, Priority)> {
    // Who is called about them is the affair of `care`.
    let of = |change: &&twin::AlertChange| {
        change.alert.condition == condition
            && !matches!(change.what, Change::Called | Change::Unanswered)
    };
    let all = world.changes.iter().filter(of);
    all.map(|change| (change.what, change.alert.priority))
        .collect()
}

#[test]
fn one_reading_below_54_rings_and_one_below_70_waits_for_a_second() {
    let mut world = World::new();
    world.live([monitor(5, 90.0), monitor(10, 66.0), monitor(15, 92.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [],
        "somebody lay on the sensor"
    );
    world.live([monitor(20, 66.0), monitor(25, 64.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Raised, Priority::Medium)]
    );
    world.live([monitor(30, 52.0)]);
    let expected = [
        (Change::Raised, Priority::Medium),
        (Change::Updated, Priority::High),
    ];
    assert_eq!(changes(&world, Condition::GlucoseLow), expected);
    // 72 is inside, and not well inside; ten minutes at 75 or more end it.
    world.live([monitor(35, 72.0), monitor(40, 76.0), monitor(45, 80.0)]);
    assert_eq!(changes(&world, Condition::GlucoseLow).len(), 2);
    world.live([monitor(50, 90.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow)[2].0,
        Change::Resolved
    );
    world.live([monitor(55, 41.0)]);
    let last = world
        .changes
        .iter()
        .rfind(|change| change.alert.condition == Condition::GlucoseLow)
        .expect("at once");
    assert_eq!(
        (last.what, last.alert.priority),
        (Change::Raised, Priority::High)
    );
    assert!(!last.alert.plain_summary.is_empty() && last.alert.model == MODEL);
}

#[test]
fn a_drop_of_blood_counts_by_itself() {
    let mut world = World::new();
    let drop = |minute: i64, value| reading(STRAP, Kind::BloodGlucose, minute * 60, value);
    world.live([drop(5, 62.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Raised, Priority::Medium)]
    );
    world.live([drop(20, 85.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow)[1].0,
        Change::Resolved
    );
    // While a monitor still sees a low, a finger that was just licked clean of juice does not end it.
    world.live([monitor(30, 60.0), monitor(35, 60.0), drop(36, 140.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow)
            .last()
            .map(|last| last.0),
        Some(Change::Raised)
    );
}

#[test]
fn high_must_last_and_a_gap_begins_it_anew() {
    let mut world = World::new();
    world.live([
        monitor(5, 260.0),
        monitor(10, 260.0),
        monitor(30, 260.0),
        monitor(40, 262.0),
    ]);
    assert_eq!(changes(&world, Condition::GlucoseHigh), []);
    world.live([monitor(45, 270.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseHigh),
        [(Change::Raised, Priority::Medium)]
    );
}

#[test]
fn a_low_in_the_backlog_is_one_finding_and_raises_nothing() {
    let mut world = World::new();
    let night = (1..=60).map(|slot| {
        let value = if (20..30).contains(&slot) {
            58.0
        } else {
            110.0
        };
        Reading {
            received: monitor(305, 0.0).received,
            ..monitor(slot * 5, value)
        }
    });
    world.send(330 * 60, batch(0, night.collect()));
    world.event(340 * 60, twin::Event::Tick);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Finding, Priority::Medium)]
    );
    let found = &world.changes.last().expect("one").alert;
    assert!(
        found.retrospective && found.summary.contains("58"),
        "{found:?}"
    );
}

#[test]
fn what_is_not_usable_moves_nothing() {
    let mut world = World::new();
    let bad = |minute| Reading {
        quality: Quality::IMPLAUSIBLE,
        ..monitor(minute, 41.0)
    };
    world.live([bad(5), bad(10), bad(15)]);
    assert_eq!(changes(&world, Condition::GlucoseLow), []);
    assert!(world.twin.forecasts().is_empty());
}

#[test]
fn it_says_why_it_does_not_know_and_then_beats_persistence() {
    let mut world = World::new();
    let wave = |slot: i64| {
        130.0 + 40.0 * libm::sin(slot as f64 / 9.0) + 15.0 * libm::sin(slot as f64 / 5.0)
    };
    let forecast = |world: &World| world.twin.forecasts().pop().expect("the monitor speaks");
    world.live((1..=40).map(|slot| monitor(slot * 5, wave(slot))));
    assert!(
        forecast(&world).abstained.contains("learning"),
        "{:?}",
        forecast(&world)
    );
    world.live((41..=400).map(|slot| monitor(slot * 5, wave(slot))));
    let view = forecast(&world);
    assert_eq!((view.points.len(), view.abstained), (2, ""));
    assert!(view.error < view.persistence_error, "{view:?}");
    let [half_hour, hour] = [406, 412].map(wave);
    assert!((view.points[0].low..=view.points[0].high).contains(&half_hour));
    assert!((view.points[1].low..=view.points[1].high).contains(&hour));
    // After a gap of half an hour it knows the level, and not where that goes.
    world.live([monitor(406 * 5, wave(406))]);
    assert!(forecast(&world).abstained.contains("gaps"));
    world.event(410 * 300, twin::Event::Tick);
    assert!(forecast(&world).abstained.contains("fresh"));
}

#[test]
fn a_steady_fall_is_foreseen_once_and_gives_way_to_the_low() {
    let mut world = World::new();
    let wave = |slot: i64| 120.0 + 35.0 * libm::sin(slot as f64 / 12.0);
    world.live((1..=300).map(|slot| monitor(slot * 5, wave(slot))));
    assert_eq!(
        changes(&world, Condition::GlucoseFalling),
        [],
        "it turns at 85 each time, and that is known"
    );
    let from = wave(300);
    world.live(
        (301..=340).map(|slot| monitor(slot * 5, (from - 2.5 * (slot - 300) as f64).max(60.0))),
    );
    let falling = changes(&world, Condition::GlucoseFalling);
    assert_eq!(
        falling,
        [
            (Change::Raised, Priority::Medium),
            (Change::Resolved, Priority::Medium)
        ]
    );
    let raised = world
        .changes
        .iter()
        .find(|change| change.alert.condition == Condition::GlucoseFalling);
    let (raised, low) = (raised.expect("one"), changes(&world, Condition::GlucoseLow));
    assert!(raised.alert.expected.is_some() && raised.alert.probability >= Some(0.4));
    assert_eq!(low, [(Change::Raised, Priority::Medium)]);
}

/// It peaks at 235 each time, and climbs on once.
#[test]
fn a_steady_climb_is_foreseen_once_and_gives_way_to_the_high() {
    let mut world = World::new();
    let wave = |slot: i64| 200.0 - 35.0 * libm::sin(slot as f64 / 12.0);
    world.live((1..=338).map(|slot| monitor(slot * 5, wave(slot))));
    assert_eq!(changes(&world, Condition::GlucoseRising), []);
    let from = wave(338);
    world.live(
        (339..=380).map(|slot| monitor(slot * 5, (from + 2.9 * (slot - 338) as f64).min(262.0))),
    );
    assert_eq!(
        changes(&world, Condition::GlucoseRising),
        [
            (Change::Raised, Priority::Low),
            (Change::Resolved, Priority::Low)
        ]
    );
    let told = |condition| {
        let mut all = world.changes.iter();
        let raised = all.find(|change| change.alert.condition == condition);
        raised.expect("raised").clone()
    };
    let (rising, high) = (told(Condition::GlucoseRising), told(Condition::GlucoseHigh));
    assert!(rising.at < high.alert.onset, "ahead of it");
    let alert = &rising.alert;
    assert!(alert.probability >= Some(0.5) && alert.expected > Some(alert.onset));
    assert!(alert.summary.contains("above 250"), "{}", alert.summary);
    let shares = alert.evidence.iter().map(|one| one.contribution);
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(alert.evidence[1].limit, Some(250.0));
    // The board counts it.
    let board = world.twin.scoreboard();
    let line = board.alerts.iter();
    let mut line = line.filter(|one| one.condition == Condition::GlucoseRising);
    let line = line.next().expect("it foretells what is measured");
    assert_eq!(
        (line.told, line.right, line.events, line.missed),
        (1, 1, 1, 0)
    );
}

/// Loop #2521, with what it was about: back-fill took back an urgent low one second after it was raised.
#[test]
fn back_fill_does_not_withdraw_an_urgent_low() {
    let mut world = World::new();
    world.live([monitor(0, 110.0), monitor(40, 52.0)]);
    let raised = [(Change::Raised, Priority::High)];
    assert_eq!(changes(&world, Condition::GlucoseLow), raised);
    let filled = (1..8).map(|slot| monitor(slot * 5, 100.0)).collect();
    world.readings(40 * 60 + 2, filled);
    assert_eq!(changes(&world, Condition::GlucoseLow), raised);
    // Control: what is measured afterwards does.
    world.live([monitor(45, 90.0), monitor(50, 95.0), monitor(55, 99.0)]);
    assert_eq!(changes(&world, Condition::GlucoseLow).len(), 2);
}

/// Faifly xDrip #289: the monitor was away while glucose was high, and all is well when its readings are filled in.
#[test]
fn back_fill_of_a_high_that_is_over_rings_no_more() {
    let mut world = World::new();
    world.live([monitor(0, 140.0)]);
    // The last high is ten minutes old, and fresh by the kind's limit; the newest came with it.
    let mut filled: Vec<_> = (1..7).map(|slot| monitor(slot * 5, 280.0)).collect();
    filled.extend([monitor(35, 200.0), monitor(40, 143.0)]);
    world.readings(40 * 60 + 1, filled.clone());
    assert_eq!(changes(&world, Condition::GlucoseHigh), []);
    // Control: still high, it rings.
    let mut world = World::new();
    filled.truncate(6);
    world.readings(30 * 60 + 1, filled);
    assert_eq!(
        changes(&world, Condition::GlucoseHigh),
        [(Change::Raised, Priority::Medium)]
    );
}

/// The second low reading was measured first and came last.
#[test]
fn late_readings_complete_how_long_glucose_has_been_low() {
    let mut world = World::new();
    world.live([monitor(0, 110.0), monitor(10, 66.0)]);
    assert_eq!(changes(&world, Condition::GlucoseLow), []);
    world.readings(12 * 60, vec![monitor(5, 64.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Raised, Priority::Medium)]
    );
    // Control: once the newest is no longer about now it is a finding.
    let mut world = World::new();
    world.live([monitor(0, 110.0), monitor(10, 66.0)]);
    world.readings(30 * 60, vec![monitor(5, 64.0)]);
    world.tick(40 * 60);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Finding, Priority::Medium)]
    );
}

#[test]
fn a_drop_of_blood_that_came_late_is_a_finding() {
    let mut world = World::new();
    let drop = |minute: i64, value| reading(STRAP, Kind::BloodGlucose, minute * 60, value);
    world.readings(5 * 3600, vec![drop(5, 48.0), drop(60, 120.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Finding, Priority::Medium)]
    );
}

/// Somebody lies on the sensor from `slot` 10 on: it reads `low`, for so many slots.
fn lain_upon(low: f64, slots: i64) -> World {
    let mut world = World::new();
    world.live((1..10).map(|slot| monitor(slot * 5, 105.0)));
    world.live((10..10 + slots).map(|slot| monitor(slot * 5, low)));
    world
}

const PRESSED: Condition = Condition::GlucoseSensorPressed;

#[test]
fn pressure_on_the_sensor_is_told_beside_the_low_and_ends_with_it() {
    let mut world = lain_upon(62.0, 4);
    let told = [(Change::Raised, Priority::Low)];
    assert_eq!(changes(&world, PRESSED), told, "at once");
    let alert = world.active(PRESSED).expect("it holds");
    assert!(
        alert.summary.contains("62") && alert.summary.contains("105"),
        "{}",
        alert.summary
    );
    let low = world
        .active(Condition::GlucoseLow)
        .expect("no doubt hides it");
    assert_eq!(low.priority, Priority::Medium);
    assert!(low.summary.contains("pressed upon"), "{}", low.summary);
    world.live([monitor(70, 103.0)]);
    assert_eq!(
        changes(&world, PRESSED).last().map(|last| last.0),
        Some(Change::Resolved)
    );
}

#[test]
fn a_low_rings_as_soon_as_any_other_and_doubt_ends_where_it_lasts() {
    let world = lain_upon(62.0, 8);
    let low = world.active(Condition::GlucoseLow).expect("it lasts");
    // The second reading below 70, as of any low.
    assert_eq!(
        low.raised.since(crate::support::at(0)).as_micros() / 60_000_000,
        55
    );
    assert!(world.active(PRESSED).is_none(), "after 25 minutes");
}

#[test]
fn below_54_no_doubt_is_a_reason_to_wait() {
    let world = lain_upon(53.0, 1);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Raised, Priority::High)]
    );
    // Neither where it was doubted before.
    let mut world = lain_upon(62.0, 2);
    world.live([monitor(60, 53.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [
            (Change::Raised, Priority::Medium),
            (Change::Updated, Priority::High)
        ]
    );
}

#[test]
fn a_fall_that_had_begun_is_not_doubted() {
    let mut world = World::new();
    let values = [120.0, 118.0, 108.0, 96.0, 69.0, 66.0];
    world.live(
        values
            .iter()
            .zip(1..)
            .map(|(value, slot)| monitor(slot * 5, *value)),
    );
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Raised, Priority::Medium)]
    );
    assert_eq!(changes(&world, PRESSED), []);
    // Nor what fell while nothing was measured.
    let mut world = World::new();
    world.live([monitor(5, 105.0), monitor(20, 62.0), monitor(25, 62.0)]);
    assert_eq!(
        changes(&world, Condition::GlucoseLow),
        [(Change::Raised, Priority::Medium)]
    );
}
