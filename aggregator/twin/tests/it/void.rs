//! Readings that were somebody else's: voided, and what rested on them is withdrawn and said.

use twin::alert::{Change, Condition, State, Withdrawal};
use twin::event::Void;
use twin::{Effect, Event, Twin, step};
use vitals::{Kind, Quality, Reading};

use crate::support::{OXIMETER, STRAP, STREAM, World, at, oxygen, pulse, reading};

const LOW: Condition = Condition::OxygenSaturationLow;

fn void(from: i64, to: i64) -> Void {
    Void {
        stream: STREAM,
        source: OXIMETER,
        from: at(from),
        to: at(to),
    }
}

/// What a centre does: folds the log anew without the voided readings, and amends the twin by it.
fn voided(world: &mut World, known: i64, void: Void) {
    let mut voids = world.twin.voids().to_vec();
    voids.push(void);
    let mut anew = Twin::without(&voids);
    let mut unused = Vec::new();
    for (known, event) in &world.log {
        if !matches!(event, Event::Acknowledged { .. }) {
            step(&mut anew, event, *known, &mut unused);
        }
    }
    step(&mut anew, &Event::Tick, at(known), &mut unused);
    world.tick(known);
    let why = Withdrawal {
        at: at(known),
        by: "op".into(),
        reason: "worn by the neighbour".into(),
    };
    let mut out = Vec::new();
    world.twin.amend(anew, &why, &mut out);
    world
        .changes
        .extend(out.into_iter().filter_map(|effect| match effect {
            Effect::Alert(change) => Some(*change),
            Effect::TwinChanged | Effect::Beat(_) => None,
        }));
}

fn state(twin: &Twin) -> Vec<u8> {
    let mut bytes = Vec::new();
    twin.canonical_bytes(&mut bytes);
    bytes
}

#[test]
fn an_alert_that_rested_on_voided_readings_is_withdrawn_with_the_reason() {
    let mut world = World::new();
    world.live((0..60).map(|second| pulse(second, 70.0)));
    world.live((100..160).map(|second| oxygen(second, 85.0)));
    let id = world.active(LOW).expect("raised").id;
    voided(&mut world, 200, void(90, 300));
    assert!(world.active(LOW).is_none());
    let last = world
        .changes
        .iter()
        .rfind(|change| change.alert.condition == LOW);
    let last = last.expect("told");
    assert_eq!(
        (last.what, last.alert.id, last.alert.state),
        (Change::Withdrawn, id, State::Resolved)
    );
    let withdrawn = last.alert.withdrawn.as_ref().expect("with the reason");
    assert_eq!(
        (withdrawn.by.as_str(), withdrawn.reason.as_str()),
        ("op", "worn by the neighbour")
    );
    // The channel knows nothing of it, and its readings are counted.
    let kinds: Vec<Kind> = world
        .twin
        .channels()
        .iter()
        .map(|channel| channel.kind)
        .collect();
    assert_eq!(kinds, [Kind::HeartRate]);
    let counters = world.twin.counters();
    assert_eq!(
        (
            counters.applied,
            counters.quarantined_voided,
            counters.quarantined
        ),
        (60, 60, 60)
    );
    // What still comes of that time is void, too; what comes of another is not.
    world.readings(310, (160..200).map(|second| oxygen(second, 85.0)).collect());
    world.live((400..441).map(|second| oxygen(second, 85.0)));
    assert_eq!(world.twin.counters().quarantined_voided, 100);
    let again = world.active(LOW).expect("of its own");
    assert!(again.id > id, "no id is given twice");
}

/// All but the alerts is bit for bit what the log gives without the readings.
#[test]
fn the_twin_is_what_it_would_be_without_them() {
    let log = |with: bool| {
        let mut world = World::new();
        for second in 0..3000 {
            let strap = pulse(
                second,
                70.0 + f64::from(u8::try_from(second % 7).unwrap_or(0)),
            );
            let mut list = vec![strap];
            if second % 3 == 0 && (with || !(1000..2000).contains(&second)) {
                list.push(oxygen(
                    second,
                    if (1000..2000).contains(&second) {
                        90.0
                    } else {
                        97.0
                    },
                ));
            }
            world.readings(second + 1, list);
        }
        world
    };
    let (mut with, mut without) = (log(true), log(false));
    voided(&mut with, 3100, void(1000, 2000));
    without.tick(3100);
    assert_eq!(with.twin.channels(), without.twin.channels());
    assert_eq!(with.twin.forecasts(), without.twin.forecasts());
    assert_eq!(with.twin.scores(), without.twin.scores());
    let of = |world: &World| {
        world
            .twin
            .coverage(&[Kind::OxygenSaturation], (at(0), at(3100)), at(3100))
    };
    assert_eq!(of(&with), of(&without));
    assert!(with.twin.alerts().is_empty());
}

#[test]
fn alerts_that_do_not_rest_on_them_stay_with_what_people_did() {
    let mut world = World::new();
    world.live((0..60).map(|second| pulse(second, 34.0)));
    world.live((60..120).map(|second| oxygen(second, 85.0)));
    let slow = world
        .active(Condition::HeartRateLow)
        .expect("raised")
        .clone();
    let (by, note) = ("N".into(), "seen".into());
    world.event(
        130,
        Event::Acknowledged {
            alert: slow.id,
            by,
            note,
        },
    );
    let before = world.changes.len();
    voided(&mut world, 140, void(0, 1000));
    let after = world.active(Condition::HeartRateLow).expect("it holds");
    assert_eq!(
        (after.id, after.state, after.raised),
        (slow.id, State::Acknowledged, slow.raised)
    );
    let told: Vec<_> = world.changes[before..]
        .iter()
        .map(|change| (change.what, change.alert.condition))
        .collect();
    assert!(told.contains(&(Change::Withdrawn, LOW)), "{told:?}");
    assert!(
        told.iter().all(|(_, of)| *of != Condition::HeartRateLow),
        "{told:?}"
    );
}

/// A neighbour's good values had ended a low of this patient's own.
#[test]
fn what_voided_readings_hid_is_told() {
    let mut world = World::new();
    world.live((0..60).map(|second| oxygen(second, 85.0)));
    world.live((60..200).map(|second| oxygen(second, 97.0)));
    assert!(world.active(LOW).is_none(), "resolved");
    // Without them nothing ended it.
    voided(&mut world, 210, void(60, 200));
    assert_eq!(
        world.changes.last().map(|change| change.what),
        Some(Change::Raised)
    );
    // And what they hid from the rule altogether is a finding: every other second was the neighbour's.
    let mut world = World::new();
    world.live((0..120).map(|second| Reading {
        source: if second % 2 == 0 { OXIMETER } else { STRAP },
        ..oxygen(second, if second % 2 == 0 { 97.0 } else { 85.0 })
    }));
    assert_eq!(world.count(LOW, Change::Raised), 0);
    world.live((200..300).map(|second| reading(STRAP, Kind::OxygenSaturation, second, 97.0)));
    voided(&mut world, 400, void(0, 150));
    let found: Vec<_> = world
        .changes
        .iter()
        .filter(|change| change.alert.condition == LOW)
        .map(|change| change.what)
        .collect();
    assert_eq!(found, [Change::Finding]);
}

#[test]
fn a_finding_is_withdrawn_too_and_only_once() {
    let mut world = World::new();
    world.live((1000..1010).map(|second| oxygen(second, 97.0)));
    world.readings(
        1011,
        (100..200).map(|second| oxygen(second, 85.0)).collect(),
    );
    world.tick(1100);
    assert_eq!(world.count(LOW, Change::Finding), 1);
    voided(&mut world, 1200, void(0, 300));
    voided(&mut world, 1300, void(0, 400));
    assert_eq!(world.count(LOW, Change::Withdrawn), 1);
    // Its place is free: what comes of that time by another sensor is told.
    let kept = world.twin.voids().to_vec();
    assert_eq!(kept, [void(0, 300), void(0, 400)]);
    let bytes = state(&world.twin);
    assert_eq!(
        Twin::from_canonical_bytes(&bytes).as_ref(),
        Some(&world.twin)
    );
}

/// The other patient's side: however young they are, nothing about now rests on readings that people moved.
#[test]
fn what_was_moved_here_tells_of_the_past_alone() {
    let mut world = World::new();
    world.live((0..60).map(|second| pulse(second, 70.0)));
    let moved = |second| Reading {
        quality: Quality::MOVED,
        ..oxygen(second, 84.0)
    };
    world.readings(141, (100..141).map(moved).collect());
    world.readings(
        142,
        vec![Reading {
            quality: Quality::MOVED,
            ..reading(STRAP, Kind::BloodGlucose, 140, 45.0)
        }],
    );
    world.tick(400);
    let told: Vec<_> = world
        .physiological()
        .iter()
        .map(|change| (change.what, change.alert.condition))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&(Change::Finding, LOW)));
    assert!(told.contains(&(Change::Finding, Condition::GlucoseLow)));
    assert_eq!(world.twin.scores()[0].parts[1].missing, "not measured");
}
