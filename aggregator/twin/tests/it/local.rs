//! Alerts that a gateway raised by itself: found by the same rules, and one with what the centre finds.

use twin::alert::{Change, Condition, Priority};
use twin::event::LocalAlert;
use twin::sentinel::Sentinel;
use vitals::{Kind, Reading};

use crate::support::{OXIMETER, STRAP, STREAM, World, at, batch, oxygen, pulse, seconds};

const LOW: Condition = Condition::OxygenSaturationLow;

/// Well until `from`, then too low until `to`, then well for five minutes.
fn dip(from: i64, to: i64) -> Vec<Reading> {
    let value = |second| {
        if (from..to).contains(&second) {
            84.0
        } else {
            97.0
        }
    };
    (0..to + 300)
        .map(|second| oxygen(second, value(second)))
        .collect()
}

fn told(onset: i64, raised: i64, as_of: i64, resolved: Option<i64>) -> LocalAlert {
    LocalAlert {
        condition: LOW,
        kind: Kind::OxygenSaturation,
        value: 84.0,
        limit: 88.0,
        onset: at(onset),
        raised: at(raised),
        as_of: at(as_of),
        resolved: resolved.map(at),
    }
}

fn say(world: &mut World, known: i64, told: LocalAlert) {
    let mut word = batch(0, Vec::new());
    word.local_alerts = vec![told];
    world.send(known, word);
}

/// Late readings, a minute in a batch, all known within a second.
fn backlog(world: &mut World, known: i64, readings: &[Reading]) {
    for minute in readings.chunks(60) {
        world.readings(known, minute.to_vec());
    }
}

#[test]
fn the_sentinel_finds_what_the_centre_finds() {
    let mut world = World::new();
    let mut sentinel = Sentinel::new();
    let (mut here, mut over) = (None, None);
    for reading in dip(120, 400) {
        let known = seconds(reading.effective) + 1;
        world.readings(known, vec![reading]);
        sentinel.take((STREAM, OXIMETER), &[reading], at(known));
        let holds = sentinel.critical().next();
        if let Some(alert) = holds.filter(|_| here.is_none()) {
            here = Some((known, alert.onset));
        }
        if here.is_some() && over.is_none() && holds.is_none() {
            over = Some(known);
        }
    }
    let urgent = world
        .changes
        .iter()
        .find(|change| change.alert.condition == LOW && change.alert.priority == Priority::High);
    let urgent = urgent.expect("the centre raises it");
    assert_eq!(here, Some((seconds(urgent.at), urgent.alert.onset)));
    let resolved = world.changes.iter().find(|c| c.what == Change::Resolved);
    assert_eq!(over, resolved.map(|change| seconds(change.at)));
}

#[test]
fn what_is_not_critical_is_left_to_the_centre() {
    let mut sentinel = Sentinel::new();
    for second in 0..280 {
        // Medium at the centre: below 92 for less than five minutes, above 130 but not above 150.
        let readings = [oxygen(second, 90.0), pulse(second, 140.0)];
        sentinel.take((STREAM, OXIMETER), &readings[..1], at(second));
        sentinel.take((STREAM, STRAP), &readings[1..], at(second));
        assert_eq!(sentinel.critical().count(), 0, "at {second} s");
    }
    // The negative control: it does watch.
    for second in 280..320 {
        sentinel.take((STREAM, OXIMETER), &[oxygen(second, 90.0)], at(second));
    }
    assert_eq!(sentinel.critical().count(), 1, "five minutes are critical");
}

#[test]
fn an_episode_of_the_outage_is_one_finding_whatever_comes_first() {
    let readings = dip(1000, 1200);
    let words = [
        told(1000, 1040, 1040, None),
        told(1000, 1040, 1190, Some(1270)),
    ];
    for order in 0..3 {
        let mut world = World::new();
        world.live((0..100).map(|second| oxygen(second, 97.0)));
        let (first, last) = (words[0], words[1]);
        match order {
            0 => {
                say(&mut world, 7200, first);
                say(&mut world, 7200, last);
                backlog(&mut world, 7201, &readings[100..]);
            }
            1 => {
                backlog(&mut world, 7200, &readings[100..]);
                say(&mut world, 7201, first);
                say(&mut world, 7201, last);
            }
            _ => {
                say(&mut world, 7200, first);
                backlog(&mut world, 7201, &readings[100..]);
                say(&mut world, 7202, last);
            }
        }
        world.tick(7600);
        assert_eq!(world.count(LOW, Change::Raised), 0, "order {order}");
        assert_eq!(world.count(LOW, Change::Finding), 1, "order {order}");
        let of = world
            .changes
            .iter()
            .rev()
            .find(|c| c.alert.condition == LOW);
        let alert = &of.expect("there is one").alert;
        assert_eq!(alert.told_locally, Some(at(1040)), "order {order}");
        assert_eq!(seconds(alert.onset), 1000, "order {order}");
        assert!(alert.retrospective && world.active(LOW).is_none());
    }
}

#[test]
fn what_still_holds_when_the_line_comes_back_is_one_live_alert() {
    let readings = dip(1000, 9000);
    for order in 0..3 {
        let mut world = World::new();
        let (old, fresh) = (told(1000, 1040, 1040, None), told(1000, 1040, 7199, None));
        let live = |world: &mut World| world.live(readings[7200..7400].iter().copied());
        match order {
            // As agents do: the alert lane first, then what is live, then what waited.
            0 => {
                say(&mut world, 7200, old);
                say(&mut world, 7200, fresh);
                assert!(world.active(LOW).is_some(), "raised by the gateway's word");
                live(&mut world);
            }
            // The agent has died since: its word is old, but not over.
            1 => {
                say(&mut world, 7200, old);
                live(&mut world);
            }
            _ => {
                live(&mut world);
                say(&mut world, 7401, old);
                say(&mut world, 7401, fresh);
            }
        }
        backlog(&mut world, 7402, &readings[900..7200]);
        world.tick(7700);
        assert_eq!(world.count(LOW, Change::Raised), 1, "order {order}");
        assert_eq!(world.count(LOW, Change::Finding), 0, "order {order}");
        let alert = world.active(LOW).expect("it holds");
        assert_eq!(alert.told_locally, Some(at(1040)), "order {order}");
        assert_eq!(seconds(alert.onset), 1000, "order {order}");
        assert_eq!(alert.priority, Priority::High);
    }
}

#[test]
fn a_word_that_nothing_else_speaks_of_is_a_finding_by_itself() {
    let mut world = World::new();
    say(&mut world, 7200, told(1000, 1040, 1190, Some(1270)));
    assert_eq!(world.physiological().len(), 0, "it waits for data first");
    world.tick(7300);
    assert_eq!(world.count(LOW, Change::Finding), 1);
    // Said twice is said once, also after it was settled.
    say(&mut world, 7301, told(1000, 1040, 1190, Some(1270)));
    world.tick(7500);
    assert_eq!(world.physiological().len(), 1);
}

#[test]
fn two_episodes_stay_two() {
    // The negative control of all the merging: another hour is another episode.
    let mut world = World::new();
    say(&mut world, 9000, told(1000, 1040, 1190, Some(1270)));
    backlog(&mut world, 9001, &dip(5000, 5200)[4900..]);
    world.tick(9200);
    assert_eq!(world.count(LOW, Change::Finding), 2);
    let told = world
        .changes
        .iter()
        .filter(|c| c.alert.told_locally.is_some());
    assert_eq!(told.count(), 1);
}
