//! Models that watch for one thing each, through the whole fold: what would harm somebody if they were wrong.

use twin::Twin;
use twin::alert::{Change, Condition, Priority};
use twin::facts::{Fact, FactKind};
use vitals::{Absence, Kind, Quality, Reading};

use crate::support::{OXIMETER, STRAP, World, absent, at, fact, pulse, reading};

const PAUSE: Condition = Condition::HeartPause;

/// An interval that ends at a second.
fn interval(number: i64, second: i64, ms: f64) -> Reading {
    Reading {
        sequence: number as u64,
        ..reading(STRAP, Kind::RrInterval, second, ms)
    }
}

/// A beat a second up to `until`.
fn beats(world: &mut World, from: i64, until: i64) {
    world.live((from..until).map(|second| interval(second, second, 1000.0)));
}

#[test]
fn an_asystole_is_told_at_its_next_beat_and_outlives_a_snapshot() {
    let mut world = World::new();
    beats(&mut world, 0, 60);
    world.live([interval(60, 65, 6000.0)]);
    let alert = world.active(PAUSE).expect("six seconds without a beat");
    assert_eq!(alert.priority, Priority::High);
    assert_eq!(alert.onset, at(59), "when the heart stood still");
    let mut bytes = Vec::new();
    world.twin.canonical_bytes(&mut bytes);
    assert_eq!(
        Twin::from_canonical_bytes(&bytes).as_ref(),
        Some(&world.twin)
    );
    world.live((66..667).map(|second| interval(second, second, 1000.0)));
    assert!(world.active(PAUSE).is_none(), "ten minutes of beats");
}

#[test]
fn a_sensor_that_lost_the_skin_is_no_asystole() {
    let mut world = World::new();
    beats(&mut world, 0, 60);
    world.live((60..90).map(|second| absent(STRAP, Kind::RrInterval, second, Absence::NoContact)));
    world.live([interval(90, 90, 31_000.0)]);
    let bad = Reading {
        quality: Quality::IMPLAUSIBLE,
        ..interval(91, 96, 6000.0)
    };
    world.live([bad]);
    assert!(world.active(PAUSE).is_none());
}

#[test]
fn a_pause_in_data_that_came_late_is_a_finding() {
    let mut world = World::new();
    let late: Vec<_> = (0..60)
        .map(|second| interval(second, second, 1000.0))
        .collect();
    let late = late.into_iter().chain([interval(60, 64, 5000.0)]).collect();
    world.readings(7200, late);
    assert!(world.active(PAUSE).is_none());
    assert_eq!(world.count(PAUSE, Change::Finding), 1);
}

/// A cuff and a pulse at an hour.
fn cuff(world: &mut World, hour: i64, systolic: f64, rate: f64) {
    let second = hour * 3600;
    world.readings(
        second + 1,
        vec![
            pulse(second, rate),
            reading(OXIMETER, Kind::SystolicPressure, second, systolic),
        ],
    );
}

#[test]
fn bleeding_is_told_by_the_shock_index_and_a_walk_is_not() {
    let mut world = World::new();
    (0..9).for_each(|number| cuff(&mut world, number * 8, 130.0, 72.0));
    cuff(&mut world, 80, 112.0, 104.0);
    let alert = world
        .active(Condition::ShockIndexHigh)
        .expect("0.93, usually 0.55");
    assert!(alert.summary.contains("usually 0.55"), "{}", alert.summary);
    cuff(&mut world, 82, 130.0, 72.0);
    assert!(world.active(Condition::ShockIndexHigh).is_none());
    // The same pulse on a walk; and a pulse that is not of that time says nothing.
    for minute in 0..3 {
        let second = 84 * 3600 - 180 + minute * 60;
        world.readings(
            second + 1,
            vec![Reading {
                sequence: second as u64,
                ..reading(STRAP, Kind::StepsTaken, second, 100.0)
            }],
        );
    }
    cuff(&mut world, 84, 112.0, 104.0);
    let alone = reading(OXIMETER, Kind::SystolicPressure, 90 * 3600, 80.0);
    world.readings(90 * 3600 + 1, vec![alone]);
    assert_eq!(world.count(Condition::ShockIndexHigh, Change::Raised), 1);
}

#[test]
fn a_fever_rises_with_its_height_and_ends_with_it() {
    let warm =
        |minute: i64, celsius| reading(OXIMETER, Kind::BodyTemperature, minute * 60, celsius);
    let mut world = World::new();
    world.live([warm(0, 38.3)]);
    assert!(
        world.active(Condition::Fever).is_none(),
        "one reading, perhaps of a hot drink"
    );
    world.live([warm(30, 38.4)]);
    let priority = |world: &World| world.active(Condition::Fever).map(|of| of.priority);
    assert_eq!(priority(&world), Some(Priority::Low));
    world.live([warm(120, 39.2)]);
    assert_eq!(priority(&world), Some(Priority::Medium));
    world.live([warm(600, 37.4)]);
    assert_eq!(priority(&world), None);
}

/// Days of a watch that measures every two minutes: asleep at `rest`, the others 20 faster; a scale in the morning.
fn days(world: &mut World, days: core::ops::Range<i64>, of: impl Fn(i64) -> (f64, f64)) {
    for day in days {
        let (rest, weight) = of(day);
        for minute in (0..1440).step_by(2) {
            let second = day * 86_400 + minute * 60;
            let rate = if minute < 480 { rest } else { rest + 20.0 };
            world.readings(second + 1, vec![pulse(second, rate)]);
        }
        let second = day * 86_400 + 30_000;
        let scale = reading(OXIMETER, Kind::BodyWeight, second, weight);
        world.readings(day * 86_400 + 86_399, vec![scale]);
    }
}

#[test]
fn an_illness_is_told_after_two_nights() {
    let mut world = World::new();
    days(&mut world, 0..9, |day| {
        (
            if day < 7 {
                58.0 + (day % 2) as f64
            } else {
                65.0
            },
            80.0,
        )
    });
    assert!(
        world.active(Condition::RestingHeartRateRaised).is_none(),
        "one night"
    );
    days(&mut world, 9..10, |_| (65.0, 80.0));
    let alert = world
        .active(Condition::RestingHeartRateRaised)
        .expect("two nights");
    assert_eq!(alert.priority, Priority::Low);
}

#[test]
fn drift_of_a_failing_heart_is_told_for_those_who_have_one_and_kept_in_shadow_for_others() {
    let drift = |day: i64| {
        let sway = [-1.0, 0.5, 1.0, -0.5, 0.0][(day % 5) as usize];
        let part = ((day - 25) as f64 / 8.0).clamp(0.0, 1.0);
        (62.0 + sway + 8.0 * part, 80.0 + 0.3 * sway + 3.0 * part)
    };
    let known = Fact {
        code: "http://hl7.org/fhir/sid/icd-10|I50.0".into(),
        ..fact("heart", FactKind::Condition, "")
    };
    for is_known in [true, false] {
        let mut world = World::new();
        if is_known {
            world.facts(1, vec![known.clone()]);
        }
        days(&mut world, 0..34, drift);
        let told = drift;
        let drift = Condition::HeartFailureDrift;
        assert_eq!(world.active(drift).is_some(), is_known);
        let model = world
            .twin
            .models()
            .into_iter()
            .find(|of| of.condition == drift);
        let model = model.expect("a model");
        assert_eq!((model.live, model.unsaid), (is_known, u32::from(!is_known)));
        // The diagnosis is taken back, and the body is as it was: what was told must not stand for ever.
        if is_known {
            let over = known.clone();
            let to = Some(at(34 * 86_400));
            world.facts(34 * 86_400, vec![Fact { to, ..over }]);
            days(&mut world, 34..60, |_| told(0));
            assert!(world.active(drift).is_none(), "it ends in shadow, too");
        }
    }
}
