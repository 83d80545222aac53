//! The scoreboard over whole logs: what came due, gaps, restarts, other sensors, and alerts that foretell.

use twin::board::{AlertScore, ForecastScore, Scoreboard};
use twin::{Condition, Twin, step};
use vitals::{Kind, SourceId, Span};

use crate::shared::Chance;
use crate::support::{OXIMETER, World, batch, oxygen, reading};

fn of(board: &Scoreboard, kind: Kind) -> &ForecastScore {
    let mut all = board.forecasts.iter();
    all.find(|of| of.kind == kind).expect("on the board")
}

fn told(board: &Scoreboard, condition: Condition) -> AlertScore {
    let mut all = board.alerts.iter();
    *all.find(|of| of.condition == condition).expect("told")
}

/// A saturation of 96 with noise, each second of `seconds`.
fn steady(world: &mut World, chance: &mut Chance, seconds: core::ops::Range<i64>) {
    world.live(seconds.map(|second| oxygen(second, 96.0 + 0.3 * chance.normal())));
}

#[test]
fn what_comes_due_is_scored_and_a_gap_is_told_as_one() {
    let (mut world, mut chance) = (World::new(), Chance(1));
    // A whole number of minutes after the epoch; forecasts are kept once a minute.
    steady(&mut world, &mut chance, 0..3600);
    let board = world.twin.scoreboard();
    let before = of(&board, Kind::OxygenSaturation);
    // Minutes 0 to 2 have too little; a forecast is made of closed buckets, the first of a minute.
    assert_eq!(before.made + before.abstained[0].1, 60, "{before:?}");
    assert_eq!(before.abstained.len(), 1, "{before:?}");
    let five = before.horizons[0];
    assert_eq!(
        (five.ahead, five.due),
        (Span::from_mins(5), before.made - 5)
    );
    assert_eq!(five.due, five.scored);
    let half = before.horizons[4];
    assert_eq!(
        (half.ahead, half.scored),
        (Span::from_mins(30), before.made - 30)
    );
    let (error, persistence) = five.errors().expect("scored");
    assert!(error > 0.0 && error < 0.3 && persistence > 0.0, "{error}");
    // Twenty minutes of nothing: what came due then was not measured, and there was no forecast.
    steady(&mut world, &mut chance, 4800..5400);
    let board = world.twin.scoreboard();
    let after = of(&board, Kind::OxygenSaturation);
    let five = after.horizons[0];
    assert!(
        five.due - five.scored >= 4 && five.due - five.scored <= 6,
        "{five:?}"
    );
    let silent = after
        .abstained
        .iter()
        .find(|(why, _)| *why == "no readings");
    assert!(
        silent.is_some_and(|(_, times)| (18..=21).contains(times)),
        "{after:?}"
    );
}

#[test]
fn another_sensor_ends_what_waits() {
    let (mut world, mut chance) = (World::new(), Chance(2));
    steady(&mut world, &mut chance, 0..1200);
    let made = of(&world.twin.scoreboard(), Kind::OxygenSaturation).made;
    // The first one is off; another takes over after a minute.
    let other = SourceId(1);
    world.live((1300..1400).map(|second| reading(other, Kind::OxygenSaturation, second, 96.0)));
    let board = world.twin.scoreboard();
    let after = of(&board, Kind::OxygenSaturation);
    let half = after.horizons[4];
    assert_eq!(
        (half.scored, half.due),
        (0, made),
        "none of them can be known"
    );
    assert!(after.horizons.iter().all(|of| of.due >= of.scored));
}

#[test]
fn it_survives_a_restart_and_a_replay_makes_the_same() {
    let (mut world, mut chance) = (World::new(), Chance(3));
    steady(&mut world, &mut chance, 0..2000);
    // Restarted from its bytes in the middle.
    let mut bytes = Vec::new();
    world.twin.canonical_bytes(&mut bytes);
    let read = Twin::from_canonical_bytes(&bytes).expect("what was written");
    assert_eq!(read.scoreboard(), world.twin.scoreboard());
    world.twin = read;
    fall(&mut world, &mut chance, 2000);
    let (mut again, mut out) = (Twin::new(), Vec::new());
    for (known, event) in &world.log {
        step(&mut again, event, *known, &mut out);
    }
    assert_eq!(again.scoreboard(), world.twin.scoreboard());
    assert_eq!(again, world.twin);
}

/// From 96 to 86 in a quarter of an hour, and it stays.
fn fall(world: &mut World, chance: &mut Chance, from: i64) {
    world.live((from..from + 1800).map(|second| {
        let part = ((second - from) as f64 / 900.0).clamp(0.0, 1.0);
        oxygen(second, 96.0 - 10.0 * part + 0.3 * chance.normal())
    }));
}

#[test]
fn a_fall_that_was_foreseen_is_right_and_has_its_lead() {
    let (mut world, mut chance) = (World::new(), Chance(4));
    steady(&mut world, &mut chance, 0..1800);
    fall(&mut world, &mut chance, 1800);
    let falling = told(&world.twin.scoreboard(), Condition::OxygenSaturationFalling);
    assert_eq!(
        (falling.told, falling.right, falling.events, falling.missed),
        (1, 1, 1, 0),
        "{falling:?}"
    );
    let first = |condition| {
        let mut changes = world.changes.iter();
        let found = changes.find(|change| change.alert.condition == condition);
        &found.expect("told").alert
    };
    let (warning, low) = (
        first(Condition::OxygenSaturationFalling),
        first(Condition::OxygenSaturationLow),
    );
    let lead = falling.lead.expect("foretold");
    assert_eq!(lead.sum, low.onset.since(warning.raised));
    assert!(lead.sum > Span::ZERO && lead.sum <= Span::from_mins(15));
}

#[test]
fn a_fall_without_a_warning_is_missed_and_voiding_it_takes_it_back() {
    let (mut world, mut chance) = (World::new(), Chance(5));
    steady(&mut world, &mut chance, 0..1800);
    world.live((1800..2100).map(|second| oxygen(second, 80.0)));
    let falling = told(&world.twin.scoreboard(), Condition::OxygenSaturationFalling);
    assert_eq!((falling.told, falling.events, falling.missed), (0, 1, 1));
    // The same log without those readings, as a void folds it.
    let mut anew = World::new();
    let mut chance = Chance(5);
    steady(&mut anew, &mut chance, 0..1800);
    let falling = told(&anew.twin.scoreboard(), Condition::OxygenSaturationFalling);
    assert_eq!(falling.events, 0);
}

#[test]
fn a_horizon_that_is_no_better_than_persistence_is_not_shown() {
    // A saturation that jumps between two levels and back in five minutes: at each horizon it is again what it was, and
    // whatever a trend says is worse.
    let (mut world, mut chance) = (World::new(), Chance(6));
    let mut unfit = false;
    for minute in 0..900 {
        let readings = (0..6).map(|part| {
            let second = minute * 60 + part * 10;
            let level = if (second / 150) % 2 == 0 { 98.5 } else { 93.5 };
            oxygen(second, level + 0.1 * chance.normal())
        });
        world.send(minute * 60 + 59, batch(0, readings.collect()));
        let view = world.twin.forecasts();
        let view = view.iter().find(|view| view.kind == Kind::OxygenSaturation);
        let view = view.expect("measured");
        let shown: Vec<Span> = view
            .points
            .iter()
            .map(|point| point.at.since(view.made))
            .collect();
        assert!(view.unfit.iter().all(|ahead| !shown.contains(ahead)));
        unfit |= !view.unfit.is_empty();
        if view.unfit.len() == 5 {
            assert_eq!(view.abstained, "not good enough for this patient");
        }
    }
    let board = world.twin.scoreboard();
    let score = of(&board, Kind::OxygenSaturation);
    let bad = score.horizons.iter().filter(|of| of.unfit > 0);
    for horizon in bad {
        assert!(
            unfit && horizon.withheld > 0 && horizon.scored >= 200,
            "{horizon:?}"
        );
        let (error, persistence) = horizon.errors().expect("scored");
        let share = horizon.covered as f64 / horizon.scored as f64;
        assert!(error > persistence || share < 0.85, "{horizon:?}");
    }
    assert!(
        score.horizons.iter().any(|of| of.withheld > 0),
        "{score:#?}"
    );
}

#[test]
fn a_monitor_of_glucose_is_scored_by_its_slots() {
    let mut world = World::new();
    let glucose = |slot: i64| {
        let value = 120.0 + 20.0 * libm::sin(slot as f64 / 12.0) + (slot % 3) as f64;
        reading(OXIMETER, Kind::InterstitialGlucose, slot * 300, value)
    };
    world.live((0..96).map(glucose));
    let board = world.twin.scoreboard();
    let before = of(&board, Kind::InterstitialGlucose).clone();
    assert_eq!(
        before.made + before.abstained.iter().map(|(_, times)| times).sum::<u64>(),
        96
    );
    let [half, whole] = [before.horizons[0], before.horizons[1]];
    assert_eq!((half.due, whole.due), (before.made - 6, before.made - 12));
    // An hour without a reading.
    world.live((108..110).map(glucose));
    let board = world.twin.scoreboard();
    let after = of(&board, Kind::InterstitialGlucose);
    let half = after.horizons[0];
    assert_eq!((half.due, half.scored), (before.made, before.made - 6));
    assert!(after.abstained.contains(&("no readings", 12)), "{after:?}");
}
