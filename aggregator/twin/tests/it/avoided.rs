//! What would have avoided an alert, said with it: the same log with that value tells nobody, and one nearer to what was does.

use twin::alert::{Alert, Change, Condition};
use vitals::{Kind, Reading};

use crate::support::{STRAP, World, oxygen, pulse, reading};

/// The first alert of a condition that a log raises.
fn first(log: &dyn Fn(&mut World), condition: Condition) -> Option<Alert> {
    let mut world = World::new();
    log(&mut world);
    let raised = world
        .changes
        .iter()
        .find(|one| one.what == Change::Raised && one.alert.condition == condition);
    raised.map(|one| one.alert.clone())
}

/// A log of one value is told; a `step` beyond what is said to avoid it, it is not, and one nearer to what it was, it is.
fn holds(log: &dyn Fn(&mut World, f64), condition: Condition, value: f64, step: f64) {
    let of = |value: f64| first(&|world: &mut World| log(world, value), condition);
    let alert = of(value).unwrap_or_else(|| panic!("{condition:?} at {value}"));
    let avoided = alert.evidence.iter().filter_map(|one| one.avoided_at);
    let [avoided] = avoided.collect::<Vec<_>>()[..] else {
        panic!(
            "one of its inputs would have avoided it: {:?}",
            alert.evidence
        )
    };
    let nearer = if avoided > value { -step } else { step };
    assert!(
        of(avoided - nearer).is_none(),
        "{condition:?}: {value}, {avoided}"
    );
    assert!(
        of(avoided + nearer).is_some(),
        "{condition:?}: {value}, {avoided}"
    );
}

fn each_second(world: &mut World, of: fn(i64, f64) -> Reading, value: f64, seconds: i64) {
    world.live((0..seconds).map(|second| of(second, value)));
}

#[test]
fn a_threshold_names_its_first_cut_however_far_beyond_it_is() {
    for value in [91.0, 89.9, 86.0, 70.0] {
        let log = |world: &mut World, value| each_second(world, oxygen, value, 120);
        holds(&log, Condition::OxygenSaturationLow, value, 0.1);
    }
    // Below 92 % for five minutes is urgent, and would not have been at 92 % either.
    let log = |world: &mut World, value| each_second(world, oxygen, value, 400);
    holds(&log, Condition::OxygenSaturationLow, 90.0, 0.1);
    for value in [136.0, 190.0] {
        let log = |world: &mut World, value| each_second(world, pulse, value, 200);
        holds(&log, Condition::HeartRateHigh, value, 1.0);
    }
    for value in [39.0, 25.0] {
        let log = |world: &mut World, value| each_second(world, pulse, value, 120);
        holds(&log, Condition::HeartRateLow, value, 1.0);
    }
}

fn monitor(minute: i64, value: f64) -> Reading {
    reading(STRAP, Kind::InterstitialGlucose, minute * 60, value)
}

#[test]
fn of_glucose_it_is_the_limit_that_counted() {
    let lasting =
        |world: &mut World, value| world.live((1..8).map(|slot| monitor(slot * 5, value)));
    holds(&lasting, Condition::GlucoseLow, 61.0, 1.0);
    holds(&lasting, Condition::GlucoseHigh, 300.0, 1.0);
    // One reading rings below 54 alone.
    let once = |world: &mut World, value| world.live([monitor(5, 90.0), monitor(10, value)]);
    holds(&once, Condition::GlucoseLow, 48.0, 1.0);
    // And a drop of blood below 70.
    let drop =
        |world: &mut World, value| world.live([reading(STRAP, Kind::BloodGlucose, 60, value)]);
    holds(&drop, Condition::GlucoseLow, 48.0, 1.0);
}

#[test]
fn of_models_that_watch_for_one_thing_it_is_their_cut() {
    let cuff = |world: &mut World, mean: f64| {
        world.live([reading(STRAP, Kind::MeanPressure, 3600, mean)]);
    };
    holds(&cuff, Condition::BloodPressureLow, 60.0, 0.5);
    let beats = |world: &mut World, seconds: f64| {
        let mut beat = |number: i64, at: i64, ms: f64| {
            let interval = reading(STRAP, Kind::RrInterval, at, ms);
            world.live([Reading {
                sequence: number as u64,
                ..interval
            }]);
        };
        (0..60).for_each(|second| beat(second, second, 1000.0));
        beat(60, 65, seconds * 1000.0);
    };
    holds(&beats, Condition::HeartPause, 5.5, 0.1);
    holds(&beats, Condition::HeartPause, 3.4, 0.1);
    // Above 39 one reading is believed; a second one below that is what confirms a milder one.
    let once = |world: &mut World, celsius: f64| {
        world.live([reading(STRAP, Kind::BodyTemperature, 60, celsius)]);
    };
    holds(&once, Condition::Fever, 39.6, 0.1);
    let twice = |world: &mut World, celsius: f64| {
        let first = reading(STRAP, Kind::BodyTemperature, 60, 38.2);
        world.live([first, reading(STRAP, Kind::BodyTemperature, 1200, celsius)]);
    };
    holds(&twice, Condition::Fever, 38.4, 0.1);
}

#[test]
fn each_of_two_numbers_would_have_avoided_a_shock_index() {
    // The shock index has two that would have, each by itself; here it is held against 0.9.
    let cuff = |rate: f64, systolic: f64| {
        move |world: &mut World| {
            for half_day in 1..=7 {
                let (rate, systolic) = if half_day < 7 {
                    (70.0, 100.0)
                } else {
                    (rate, systolic)
                };
                let at = half_day * 43_200;
                world.live((at - 100..at).map(|second| pulse(second, rate)));
                world.live([reading(STRAP, Kind::SystolicPressure, at, systolic)]);
            }
        }
    };
    let told = |rate, systolic| first(&cuff(rate, systolic), Condition::ShockIndexHigh);
    let alert = told(120.0, 95.0).expect("above its cut");
    let [slower, higher] =
        [0, 1].map(|place: usize| alert.evidence[place].avoided_at.expect("either would have"));
    assert!(
        told(slower - 1.0, 95.0).is_none() && told(slower + 1.0, 95.0).is_some(),
        "{slower}"
    );
    assert!(
        told(120.0, higher + 1.0).is_none() && told(120.0, higher - 1.0).is_some(),
        "{higher}"
    );
}
