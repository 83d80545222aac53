//! Somebody else wears the sensors: told once, nothing is learned of them, and it ends when the person is back.

use twin::alert::{Category, Condition};
use vitals::Kind;

use crate::shared::Chance;
use crate::support::{OXIMETER, STRAP, World, batch, oxygen, pulse, reading};

/// Each minute of hours `from` to `to`: pulse, respiration and saturation around these.
fn wear(world: &mut World, chance: &mut Chance, (from, to): (i64, i64), of: (f64, f64, f64)) {
    for minute in from * 60..to * 60 {
        let second = minute * 60;
        let respiration = of.1 + 0.7 * chance.normal();
        let readings = vec![
            pulse(second, of.0 + 2.0 * chance.normal()),
            reading(STRAP, Kind::RespiratoryRate, second, respiration),
            oxygen(second, (of.2 + 0.5 * chance.normal()).min(100.0)),
        ];
        world.send(second + 2, batch(0, readings));
    }
}

const OWN: (f64, f64, f64) = (60.0, 14.0, 97.0);
const OTHER: (f64, f64, f64) = (85.0, 20.0, 95.5);
const ANOTHER: Condition = Condition::AnotherWearer;

/// What is usual, and how wide its band is.
fn usual(world: &World, kind: Kind) -> (f64, f64) {
    let channels = world.twin.channels();
    let of = channels.iter().find(|of| of.kind == kind);
    let learned = of.and_then(|of| Some((of.baseline?, of.band?)));
    let (usual, (low, high)) = learned.expect("learned");
    (usual, high - low)
}

#[test]
fn another_wearer_is_told_and_not_learned_of() {
    let (mut world, mut chance) = (World::new(), Chance(7));
    wear(&mut world, &mut chance, (0, 44), OWN);
    // Off for an hour, and on again: the same person.
    wear(&mut world, &mut chance, (45, 46), OWN);
    assert!(world.active(ANOTHER).is_none());
    wear(&mut world, &mut chance, (47, 48), OTHER);
    let alert = world.active(ANOTHER).expect("three figures jumped");
    assert_eq!(alert.category(), Category::Technical);
    let shares: f64 = alert.evidence.iter().map(|one| one.contribution).sum();
    assert!(
        alert.evidence.len() >= 2 && (shares - 1.0).abs() < 1e-9,
        "{alert:?}"
    );
    let before = usual(&world, Kind::HeartRate);
    // What is usual depends on the hour: a day later.
    wear(&mut world, &mut chance, (48, 72), OTHER);
    let after = usual(&world, Kind::HeartRate);
    let change = (after.0 - before.0).abs() + (after.1 - before.1).abs();
    assert!(change < 1e-9, "{change} is learned of somebody else");
    assert!(before.0 < 62.0, "{before:?}");
    // No alert about the body waits for it.
    world.live(
        (0..120).map(|second| reading(OXIMETER, Kind::OxygenSaturation, 72 * 3600 + second, 85.0)),
    );
    assert!(world.active(Condition::OxygenSaturationLow).is_some());
    // The person is back.
    wear(&mut world, &mut chance, (73, 75), OWN);
    assert!(world.active(ANOTHER).is_none());
    let raised = world
        .changes
        .iter()
        .filter(|change| change.alert.condition == ANOTHER && change.what == twin::Change::Raised);
    assert_eq!(raised.count(), 1);
}

#[test]
fn what_changes_without_a_pause_or_in_one_figure_alone_is_the_body() {
    let (mut world, mut chance) = (World::new(), Chance(8));
    wear(&mut world, &mut chance, (0, 44), OWN);
    wear(&mut world, &mut chance, (44, 46), OTHER);
    assert!(world.active(ANOTHER).is_none(), "an illness that begins");
    wear(&mut world, &mut chance, (47, 49), (90.0, 14.0, 97.0));
    assert!(world.active(ANOTHER).is_none(), "one figure");
}
