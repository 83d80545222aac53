//! Several sensors of one kind, through the fold: what counts, what is said of the others.

use twin::view::ChannelView;
use vitals::{Kind, SourceId};

use crate::support::{OXIMETER, STRAP, World, at, reading};

const CUFF: SourceId = SourceId(3);

fn channel(world: &World, kind: Kind) -> ChannelView {
    let of = |channel: &ChannelView| channel.kind == kind;
    world
        .twin
        .channels()
        .into_iter()
        .find(of)
        .expect("measured")
}

#[test]
fn the_second_cuff_counts_at_once_and_their_difference_is_told() {
    let mut world = World::new();
    let kind = Kind::SystolicPressure;
    world.live([reading(STRAP, kind, 60, 128.0)]);
    // Somebody measures again with another cuff: what it says must not wait for hours.
    world.live([reading(CUFF, kind, 660, 201.0)]);
    let shown = channel(&world, kind);
    assert_eq!((shown.value, shown.source), (Some(201.0), CUFF));
    // Again with the first one: they differ by more than two cuffs may.
    world.live([reading(STRAP, kind, 900, 130.0)]);
    let shown = channel(&world, kind);
    assert_eq!((shown.value, shown.source), (Some(130.0), STRAP));
    let other = shown.disagreement.expect("71 mmHg apart");
    assert_eq!((other.source, other.value), (CUFF, 201.0));
    assert_eq!(shown.count, 3, "all are kept");
}

#[test]
fn a_spot_check_does_not_interrupt_a_patch_that_streams_but_follows_one_that_stopped() {
    let mut world = World::new();
    let kind = Kind::BodyTemperature;
    world.live((1..=20).map(|minute| reading(STRAP, kind, minute * 60, 36.6)));
    world.live([reading(CUFF, kind, 1230, 38.9)]);
    let shown = channel(&world, kind);
    assert_eq!((shown.value, shown.source), (Some(36.6), STRAP));
    assert_eq!(
        shown.disagreement.map(|other| other.value),
        Some(38.9),
        "but it is told"
    );
    // The patch is off: six minutes later the ear thermometer counts, not after four hours.
    world.live([reading(CUFF, kind, 1620, 39.1)]);
    assert_eq!(channel(&world, kind).value, Some(39.1));
}

#[test]
fn two_straps_do_not_flip_flop() {
    let mut world = World::new();
    let kind = Kind::HeartRate;
    let mut led = Vec::new();
    for second in 1..300 {
        world.live([
            reading(STRAP, kind, second, 70.0),
            reading(OXIMETER, kind, second, 118.0),
        ]);
        led.push(channel(&world, kind).source);
    }
    led.dedup();
    assert_eq!(led, [STRAP], "one leads throughout");
    let other = channel(&world, kind)
        .disagreement
        .expect("48 beats apart for minutes");
    assert_eq!((other.source, other.value), (OXIMETER, 118.0));
    assert!(other.since < at(15));
}

#[test]
fn a_watch_and_a_strap_that_agree_say_nothing_of_each_other() {
    let mut world = World::new();
    let kind = Kind::HeartRate;
    for second in 1..300 {
        world.live([
            reading(STRAP, kind, second, 70.0),
            reading(OXIMETER, kind, second, 76.0),
        ]);
    }
    assert_eq!(channel(&world, kind).disagreement, None);
}

#[test]
fn steps_of_watch_and_phone_are_one_walk() {
    let mut world = World::new();
    for minute in 1..60 {
        let second = minute * 60;
        world.live([reading(
            STRAP,
            Kind::StepCount,
            second,
            110.0 * minute as f64,
        )]);
        world.live([reading(OXIMETER, Kind::StepsTaken, second, 100.0)]);
    }
    let tallies = world.twin.tallies();
    let [steps] = tallies.as_slice() else {
        panic!("one tally for both kinds of counting: {tallies:?}");
    };
    // The counter's first word is no step; in the first ten minutes the other one counted as much or more.
    assert!((6000..=6490).contains(&steps.last_hour), "{steps:?}");
    let of: Vec<_> = steps
        .sources
        .iter()
        .map(|(_, source, sum)| (*source, *sum))
        .collect();
    assert_eq!(of, [(STRAP, 110 * 58), (OXIMETER, 5900)]);
}
