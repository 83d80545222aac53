//! What keeps people from being told too often, and what must not be lost by it.

use twin::alert::{Change, Condition, Priority, State};
use twin::facts::{Fact, FactKind};
use twin::{Event, rule};
use vitals::{Kind, Reading};

use crate::support::{OXIMETER, STRAP, World, fact, oxygen, pulse, reading};

const LOW: Condition = Condition::HeartRateLow;
const SCORE: Condition = Condition::EarlyWarningScore;

/// A heart at `rate` from a second on, for some seconds.
fn at_rate(world: &mut World, from: i64, seconds: i64, rate: f64) {
    world.live((from..from + seconds).map(|second| pulse(second, rate)));
}

/// One episode of 39/min for a minute from `from` on, and its end.
fn dip(world: &mut World, from: i64) {
    at_rate(world, from, 70, 39.0);
    at_rate(world, from + 70, 110, 50.0);
}

fn notice(world: &mut World, second: i64) {
    let id = world.active(LOW).expect("active").id;
    let by = "nurse".into();
    let note = String::new();
    world.event(
        second,
        Event::Acknowledged {
            alert: id,
            by,
            note,
        },
    );
}

#[test]
fn a_slow_sleeper_is_one_alert_a_night_with_its_count() {
    let mut world = World::new();
    at_rate(&mut world, 0, 60, 39.0);
    notice(&mut world, 60);
    at_rate(&mut world, 60, 120, 50.0);
    for repeat in 1..10 {
        dip(&mut world, 180 + repeat * 1800);
    }
    assert_eq!(world.count(LOW, Change::Raised), 1);
    assert_eq!(
        world.count(LOW, Change::Resolved),
        10,
        "and each end is told"
    );
    let last = world
        .changes
        .iter()
        .rfind(|change| change.alert.condition == LOW);
    let last = &last.expect("told").alert;
    assert_eq!((last.episodes, last.state), (10, State::Resolved));
    assert!(last.summary.contains("10. time"), "{}", last.summary);
    assert_eq!(
        last.calls.made.len(),
        1,
        "who took notice is not called again"
    );
}

#[test]
fn what_comes_back_and_lasts_asks_again() {
    let mut world = World::new();
    at_rate(&mut world, 0, 60, 39.0);
    notice(&mut world, 60);
    at_rate(&mut world, 60, 120, 50.0);
    at_rate(&mut world, 900, 500, 38.0);
    assert_eq!(
        world.active(LOW).map(|of| of.state),
        Some(State::Acknowledged)
    );
    at_rate(&mut world, 1400, 200, 38.0);
    let alert = world.active(LOW).expect("a block that began");
    assert_eq!((alert.state, alert.quiet), (State::Active, false));
    assert!(alert.acknowledged.is_none() && alert.calls.since.is_some());
}

#[test]
fn what_comes_back_deeper_asks_again_at_once() {
    let mut world = World::new();
    at_rate(&mut world, 0, 60, 39.0);
    notice(&mut world, 60);
    at_rate(&mut world, 60, 120, 50.0);
    at_rate(&mut world, 900, 60, 34.0);
    assert_eq!(world.active(LOW).map(|of| of.state), Some(State::Active));
    let mut world = World::new();
    at_rate(&mut world, 0, 60, 39.0);
    notice(&mut world, 60);
    at_rate(&mut world, 60, 120, 50.0);
    at_rate(&mut world, 900, 60, 28.0);
    let alert = world.active(LOW).expect("below 30");
    assert_eq!(
        (alert.priority, alert.state),
        (Priority::High, State::Active)
    );
}

#[test]
fn what_nobody_took_notice_of_calls_again() {
    let mut world = World::new();
    dip(&mut world, 0);
    dip(&mut world, 900);
    let alert = world.twin.alert(twin::AlertId(1)).expect("remembered");
    assert_eq!((alert.episodes, alert.acknowledged.is_none()), (2, true));
    let again = world
        .changes
        .iter()
        .find(|of| of.what == Change::Updated)
        .expect("told");
    assert_eq!(again.alert.state, State::Active);
    assert!(
        again.alert.calls.since > Some(again.alert.raised),
        "a wait of its own"
    );
}

#[test]
fn hours_later_it_is_a_new_one_and_no_night_lasts_for_ever() {
    let again = rule::again(LOW).expect("a rule");
    let mut world = World::new();
    dip(&mut world, 0);
    dip(&mut world, again.within.as_micros() / 1_000_000 + 300);
    assert_eq!(world.count(LOW, Change::Raised), 2);
    let mut world = World::new();
    for half_hour in 0..60 {
        dip(&mut world, half_hour * 1800);
    }
    assert_eq!(world.count(LOW, Change::Raised), 2, "thirty hours");
}

#[test]
fn what_is_urgent_or_low_in_oxygen_is_new_each_time() {
    let mut world = World::new();
    for hour in 0..3 {
        at_rate(&mut world, hour * 3600, 60, 28.0);
        at_rate(&mut world, hour * 3600 + 60, 120, 50.0);
        let low = |second| oxygen(hour * 3600 + second, 90.0);
        world.live((200..260).map(low));
        world.live((260..400).map(|second| oxygen(hour * 3600 + second, 96.0)));
    }
    assert_eq!(world.count(LOW, Change::Raised), 3);
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Raised),
        3
    );
}

/// Whole days of a watch that measures each minute: eight hours at `night`, the others at 65.
fn days(world: &mut World, days: i64, night: impl Fn(i64) -> f64) {
    for minute in 0..days * 1440 {
        let asleep = minute % 1440 < 480;
        let rate = if asleep { night(minute) } else { 65.0 };
        world.live([pulse(minute * 60, rate)]);
    }
}

#[test]
fn a_slow_sleepers_nights_move_the_limit_and_nothing_urgent() {
    let slow = |minute: i64| if minute % 7 < 2 { 38.0 } else { 44.0 };
    let mut world = World::new();
    days(&mut world, 7, slow);
    assert!(
        world.count(LOW, Change::Raised) > 0,
        "nothing is known of the first nights"
    );
    let now = 7 * 86_400 + 600;
    at_rate(&mut world, now, 200, 50.0);
    let before = world.count(LOW, Change::Raised) + world.count(LOW, Change::Updated);
    at_rate(&mut world, now + 200, 200, 38.0);
    let after = world.count(LOW, Change::Raised) + world.count(LOW, Change::Updated);
    assert_eq!(after, before, "usual for this person");
    let told = world.twin.influences();
    assert!(
        told.iter().any(|one| one.effect.starts_with("nights")),
        "{told:?}"
    );
    at_rate(&mut world, now + 400, 60, 34.0);
    let alert = world.active(LOW).expect("below their own");
    assert!(alert.evidence.iter().any(|of| of.label.contains("learned")));
    assert_eq!(alert.evidence[0].limit, Some(36.0));
    at_rate(&mut world, now + 460, 60, 29.0);
    assert_eq!(
        world.active(LOW).map(|of| of.priority),
        Some(Priority::High)
    );
    // What is prescribed counts, whatever was learned.
    let limit = Fact {
        text: "heart_rate_low".into(),
        value: Some(45.0),
        ..fact("limit", FactKind::Limit, "")
    };
    at_rate(&mut world, now + 520, 200, 60.0);
    world.facts(now + 720, vec![limit]);
    at_rate(&mut world, now + 721, 60, 43.0);
    assert!(world.active(LOW).is_some());
}

#[test]
fn a_heart_that_grows_slower_for_weeks_is_told_of_all_the_same() {
    // A block that develops: a beat a minute slower each day. No limit follows it below 35.
    let mut world = World::new();
    days(&mut world, 24, |minute| 56.0 - (minute / 1440) as f64);
    let deep = world.changes.iter().filter(|change| {
        change.alert.condition == LOW && change.alert.evidence[0].value < Some(35.5)
    });
    assert!(deep.count() > 0);
    assert!(
        world.active(LOW).is_none(),
        "control: it ended with the night"
    );
}

/// A person at 115/min who breathes 22 times, each second for a while; `steps` each minute.
fn strained(world: &mut World, minutes: core::ops::Range<i64>, steps: Option<f64>, spo2: f64) {
    for minute in minutes {
        let counted = steps.map(|steps| Reading {
            sequence: minute as u64,
            ..reading(STRAP, Kind::StepsTaken, minute * 60, steps)
        });
        world.live(counted);
        for second in (minute * 60..minute * 60 + 60).step_by(5) {
            let breaths = reading(STRAP, Kind::RespiratoryRate, second, 22.0);
            let air = reading(OXIMETER, Kind::OxygenSaturation, second, spo2);
            world.live([pulse(second, 115.0), breaths, air]);
        }
    }
}

#[test]
fn a_walk_is_no_illness_and_says_so() {
    let mut world = World::new();
    strained(&mut world, 0..29, Some(100.0), 95.0);
    assert!(world.active(SCORE).is_none());
    let score = &world.twin.scores()[0];
    assert!(
        score.parts[4].missing.contains("walking"),
        "{:?}",
        score.parts[4]
    );
    assert!(
        score.high >= score.low + 6,
        "what is not scored may be anything"
    );
}

#[test]
fn without_a_step_counter_it_is_told_after_half_an_hour() {
    let mut world = World::new();
    strained(&mut world, 0..29, None, 95.0);
    assert!(world.active(SCORE).is_none());
    strained(&mut world, 29..32, None, 95.0);
    assert!(world.active(SCORE).is_some());
}

#[test]
fn somebody_who_walks_can_be_ill() {
    // Saturation falls: nothing is excused.
    let mut world = World::new();
    strained(&mut world, 0..5, Some(100.0), 95.0);
    strained(&mut world, 5..8, Some(100.0), 93.0);
    assert!(world.active(SCORE).is_some());
    // Rigors that a counter takes for steps, and an illness that goes on: half an hour is the most, and then another.
    let mut world = World::new();
    strained(&mut world, 0..63, Some(120.0), 95.0);
    assert!(world.active(SCORE).is_some());
    // An illness that began on a walk is told once it is over.
    let mut world = World::new();
    strained(&mut world, 0..10, Some(100.0), 95.0);
    strained(&mut world, 10..45, Some(0.0), 95.0);
    assert!(world.active(SCORE).is_some());
}

#[test]
fn who_was_asked_again_is_asked_less_readily_and_yet_is() {
    let mut world = World::new();
    at_rate(&mut world, 0, 60, 39.0);
    notice(&mut world, 60);
    at_rate(&mut world, 60, 120, 50.0);
    at_rate(&mut world, 900, 700, 38.0);
    assert_eq!(world.active(LOW).map(|of| of.asked_again), Some(1));
    notice(&mut world, 1600);
    at_rate(&mut world, 1600, 120, 50.0);
    at_rate(&mut world, 2400, 900, 38.0);
    assert_eq!(
        world.active(LOW).map(|of| of.state),
        Some(State::Acknowledged)
    );
    at_rate(&mut world, 3300, 500, 38.0);
    assert_eq!(
        world.active(LOW).map(|of| of.state),
        Some(State::Active),
        "twice as long"
    );
}
