//! The life of physiological alerts: one per episode, acknowledged by people, ended by recovery.

use twin::alert::{AlertId, Change, Condition, Priority, State};
use twin::event::Context;
use twin::facts::{Fact, FactKind};
use twin::rules::Rules;
use twin::{Event, FOLD_VERSION, rule};
use vitals::{Kind, Quality, Reading};

use crate::support::{OXIMETER, STRAP, World, at, fact, oxygen, pulse, reading, seconds};

#[test]
fn one_alert_per_episode_however_it_flickers() {
    let mut world = World::new();
    let value = |second: i64| if second / 10 % 2 == 0 { 91.0 } else { 92.5 };
    world.live((0..60).map(|second| oxygen(second, 90.0)));
    world.live((60..600).map(|second| oxygen(second, value(second))));
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Raised),
        1
    );
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Resolved),
        0
    );
    world.live((600..700).map(|second| oxygen(second, 96.0)));
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Resolved),
        1
    );
    world.live((700..760).map(|second| oxygen(second, 88.0)));
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Raised),
        2,
        "a new episode"
    );
}

#[test]
fn it_becomes_more_urgent_when_deeper_or_longer() {
    let mut world = World::new();
    world.live((0..45).map(|second| oxygen(second, 90.0)));
    let alert = world
        .active(Condition::OxygenSaturationLow)
        .expect("below 92 for half a minute");
    assert_eq!(
        (alert.priority, seconds(alert.onset)),
        (Priority::Medium, 0)
    );
    world.live((45..95).map(|second| oxygen(second, 86.0)));
    assert_eq!(
        world
            .active(Condition::OxygenSaturationLow)
            .map(|alert| alert.priority),
        Some(Priority::High)
    );
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Updated),
        1
    );
    let mut world = World::new();
    world.live((0..320).map(|second| oxygen(second, 90.0)));
    assert_eq!(
        world
            .active(Condition::OxygenSaturationLow)
            .map(|alert| alert.priority),
        Some(Priority::High)
    );
}

#[test]
fn an_acknowledgement_is_remembered_once_and_is_not_an_end() {
    let mut world = World::new();
    world.live((0..60).map(|second| oxygen(second, 90.0)));
    let id = world
        .active(Condition::OxygenSaturationLow)
        .expect("active")
        .id;
    let act = |by: &str| Event::Acknowledged {
        alert: id,
        by: by.into(),
        note: "calling".into(),
    };
    world.event(61, act("nurse"));
    world.event(62, act("doctor"));
    let alert = world
        .active(Condition::OxygenSaturationLow)
        .expect("still holds");
    assert_eq!(alert.state, State::Acknowledged);
    assert_eq!(
        alert.acknowledged.as_ref().map(|a| a.by.as_str()),
        Some("nurse")
    );
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Acknowledged),
        1
    );
    world.live((63..200).map(|second| oxygen(second, 96.0)));
    assert_eq!(
        world.twin.alert(id).map(|alert| alert.state),
        Some(State::Resolved)
    );
}

#[test]
fn an_acknowledged_alert_that_gets_worse_waits_for_a_person_again() {
    let mut world = World::new();
    world.live((0..45).map(|second| oxygen(second, 90.0)));
    let id = world
        .active(Condition::OxygenSaturationLow)
        .expect("medium")
        .id;
    let act = |by: &str| Event::Acknowledged {
        alert: id,
        by: by.into(),
        note: String::new(),
    };
    world.event(46, act("nurse"));
    world.live((46..95).map(|second| oxygen(second, 75.0)));
    let alert = world
        .active(Condition::OxygenSaturationLow)
        .expect("worse than what was acknowledged");
    assert_eq!(
        (alert.id, alert.priority, alert.state),
        (id, Priority::High, State::Active)
    );
    assert!(alert.acknowledged.is_none());
    let risen = world.changes.last().expect("the rise");
    assert_eq!(
        (risen.what, risen.alert.state),
        (Change::Updated, State::Active)
    );
    world.event(96, act("doctor"));
    let alert = world.twin.alert(id).expect("still holds");
    assert_eq!(alert.state, State::Acknowledged);
    assert_eq!(
        alert.acknowledged.as_ref().map(|a| a.by.as_str()),
        Some("doctor")
    );
    // What does not get worse stays acknowledged.
    world.live((97..200).map(|second| oxygen(second, 75.0)));
    assert_eq!(
        world.twin.alert(id).map(|alert| alert.state),
        Some(State::Acknowledged)
    );
}

#[test]
fn people_may_take_notice_of_what_is_over() {
    let mut world = World::new();
    world.live((0..60).map(|second| oxygen(second, 90.0)));
    let id = world
        .active(Condition::OxygenSaturationLow)
        .expect("active")
        .id;
    world.live((60..200).map(|second| oxygen(second, 96.0)));
    world.event(
        201,
        Event::Acknowledged {
            alert: id,
            by: "nurse".into(),
            note: String::new(),
        },
    );
    let alert = world.twin.alert(id).expect("remembered");
    assert!(alert.state == State::Resolved && alert.acknowledged.is_some());
}

#[test]
fn an_unknown_alert_is_counted_and_changes_nothing() {
    let mut world = World::new();
    world.event(
        1,
        Event::Acknowledged {
            alert: AlertId(77),
            by: "x".into(),
            note: String::new(),
        },
    );
    assert_eq!(world.twin.counters().unknown_alerts, 1);
    assert!(world.changes.is_empty());
}

#[test]
fn implausible_and_test_readings_are_shown_and_raise_nothing() {
    let mut world = World::new();
    let bad = |second| Reading {
        quality: Quality::IMPLAUSIBLE,
        ..oxygen(second, 60.0)
    };
    world.live((0..120).map(bad));
    assert!(world.physiological().is_empty());
    assert_eq!(world.twin.channels()[0].value, Some(60.0));
    assert_eq!(
        world.twin.scores()[0].parts[1].missing,
        "the readings are not usable"
    );
}

#[test]
fn the_pulse_of_an_oximeter_counts_only_while_there_is_no_heart_rate() {
    let fast = |second| reading(OXIMETER, Kind::PulseRate, second, 150.0);
    let mut world = World::new();
    for second in 0..120 {
        world.live([
            pulse(second, 70.0),
            Reading {
                sequence: second as u64,
                ..fast(second)
            },
        ]);
    }
    assert!(world.active(Condition::HeartRateHigh).is_none());
    let mut world = World::new();
    world.live((0..120).map(fast));
    assert!(world.active(Condition::HeartRateHigh).is_some());
}

#[test]
fn a_spot_check_stands_for_itself() {
    let mut world = World::new();
    world.live([oxygen(100, 86.0)]);
    assert!(world.physiological().is_empty(), "perhaps more is coming");
    world.tick(131);
    let alert = world
        .active(Condition::OxygenSaturationLow)
        .expect("nothing came: a spot check");
    assert_eq!(
        (alert.priority, seconds(alert.raised)),
        (Priority::High, 130)
    );
    // The next one, half an hour later, is fine.
    world.live([oxygen(1900, 96.0)]);
    world.tick(1931);
    assert!(world.active(Condition::OxygenSaturationLow).is_none());
}

#[test]
fn a_lone_reading_followed_by_no_signal_is_no_spot_check() {
    let mut world = World::new();
    world.live([oxygen(100, 70.0)]);
    world.live((101..110).map(|second| {
        crate::support::absent(
            OXIMETER,
            Kind::OxygenSaturation,
            second,
            vitals::Absence::NotANumber,
        )
    }));
    world.tick(140);
    assert!(world.physiological().is_empty());
}

#[test]
fn scale_2_moves_the_limits() {
    let mut world = World::new();
    world.facts(
        1,
        vec![
            fact("target", FactKind::OxygenTarget, "88-92"),
            fact("acvpu", FactKind::Consciousness, "A"),
        ],
    );
    assert_eq!(world.twin.influences()[0].fact, "target");
    world.live((2..120).map(|second| oxygen(second, 90.0)));
    assert!(world.physiological().is_empty());
    assert_eq!(world.twin.scores()[0].parts[1].points, Some(0));
    world.live((120..200).map(|second| oxygen(second, 86.0)));
    assert!(world.active(Condition::OxygenSaturationLow).is_some());
}

/// A trained heart at 37 in its sleep, a team that wants to hear earlier, and what no limit moves.
#[test]
fn a_patients_own_limit_moves_the_first_limit_and_never_the_most_urgent() {
    let limit = |name: &str, value: f64| Fact {
        value: Some(value),
        ..fact(name, FactKind::Limit, name)
    };
    let mut world = World::new();
    let own = vec![
        limit("heart_rate_low", 35.0),
        limit("oxygen_saturation_low", 90.0),
        limit("heart_rate_high", 110.0),
    ];
    world.facts(1, own);
    assert_eq!(world.twin.influences().len(), 3);
    let resting = |second| [pulse(second, 37.0), oxygen(second, 91.0)];
    world.live((2..700).flat_map(resting));
    // The score counts as for everybody.
    let limits = [Condition::HeartRateLow, Condition::OxygenSaturationLow];
    assert!(limits.iter().all(|of| world.active(*of).is_none()));
    world.live((700..800).map(|second| pulse(second, 34.0)));
    let low = world.active(Condition::HeartRateLow).expect("below 35");
    assert_eq!(low.priority, Priority::Medium);
    assert!(low.summary.contains("below 35"), "{}", low.summary);
    let of_all = rule::fingerprint(&rule::definition(&Rules::BUILT_IN, &Context::default()));
    assert_ne!(low.model_hash, of_all, "judged by other numbers");
    world.live((800..900).map(|second| pulse(second, 29.0)));
    let low = world.active(Condition::HeartRateLow).expect("still");
    assert_eq!(low.priority, Priority::High);
    world.live((900..1100).map(|second| pulse(second, 115.0)));
    assert!(world.active(Condition::HeartRateLow).is_none());
    assert!(world.active(Condition::HeartRateHigh).is_some());
    world.live((1100..1200).map(|second| oxygen(second, 87.0)));
    let low = world.active(Condition::OxygenSaturationLow);
    assert_eq!(low.map(|alert| alert.priority), Some(Priority::High));
    // Taken back, the limits for everybody count again.
    let mut world = World::new();
    world.facts(1, vec![limit("heart_rate_low", 35.0)]);
    world.event(
        2,
        Event::Facts {
            by: "anna".to_owned(),
            record: Vec::new(),
            retract: vec!["heart_rate_low".to_owned()],
        },
    );
    world.live((3..100).map(|second| pulse(second, 37.0)));
    assert!(world.active(Condition::HeartRateLow).is_some());
}

#[test]
fn news2_is_not_for_everybody_and_what_it_said_ends() {
    let mut world = World::new();
    // 90 % is 3 points and low by itself; with the pulse and the breathing it is 7.
    for second in 0..100 {
        let breaths = reading(STRAP, Kind::RespiratoryRate, second, 22.0);
        world.live([oxygen(second, 90.0), pulse(second, 115.0), breaths]);
    }
    let names = |world: &World| {
        let scores = world.twin.scores().into_iter();
        scores.map(|score| score.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&world), ["news2", "qsofa", "mews"]);
    assert!(world.active(Condition::EarlyWarningScore).is_some());
    world.facts(101, vec![fact("baby", FactKind::Pregnancy, "")]);
    assert_eq!(names(&world), ["qsofa"]);
    assert!(world.active(Condition::EarlyWarningScore).is_none());
    assert!(
        world.active(Condition::OxygenSaturationLow).is_some(),
        "thresholds stay"
    );
    // A retraction is heeded, too.
    let retract = vec!["baby".to_owned()];
    let by = "anna".to_owned();
    world.event(
        102,
        Event::Facts {
            by,
            record: Vec::new(),
            retract,
        },
    );
    assert_eq!(names(&world).len(), 3);
}

#[test]
fn facts_end_when_time_says_so() {
    let mut world = World::new();
    world.facts(1, vec![fact("acvpu", FactKind::Consciousness, "A")]);
    let alert = |world: &World| world.twin.context().alert_and_oriented;
    world.tick(43_199);
    assert_eq!(alert(&world), Some(true));
    assert_eq!(world.twin.next_deadline(), Some(at(43_200)));
    world.tick(43_201);
    assert_eq!(alert(&world), None, "nobody looked for twelve hours");
}

#[test]
fn news2_warns_after_its_hold_with_contributions_that_sum_to_one() {
    let mut world = World::new();
    for second in 0..100 {
        world.live([
            oxygen(second, 93.0),
            pulse(second, 115.0),
            Reading {
                sequence: second as u64,
                ..reading(STRAP, Kind::RespiratoryRate, second, 22.0)
            },
        ]);
    }
    let alert = world
        .active(Condition::EarlyWarningScore)
        .expect("2 + 2 + 2 = 6");
    assert_eq!(alert.priority, Priority::Medium);
    let sum: f64 = alert
        .evidence
        .iter()
        .map(|evidence| evidence.contribution)
        .sum();
    assert!((sum - 1.0).abs() < 1e-12);
    assert!(
        alert.summary.contains("at least 6") && alert.summary.contains("consciousness"),
        "{}",
        alert.summary
    );
}

#[test]
fn a_fall_is_foreseen_before_the_limit_and_the_foresight_ends_when_it_came_true() {
    let mut world = World::new();
    let mut chance = crate::shared::Chance(11);
    // 96 % until 240 s, then 8 % in 13 minutes.
    let truth = |second: i64| 96.0 - 8.0 * ((second - 240) as f64 / 780.0).clamp(0.0, 1.0);
    world.live((0..1100).map(|second| oxygen(second, truth(second) + 0.6 * chance.normal())));
    let raised = |condition| {
        let change = world
            .changes
            .iter()
            .find(|c| c.alert.condition == condition && c.what == Change::Raised);
        change
            .unwrap_or_else(|| panic!("{condition:?} was raised"))
            .alert
            .clone()
    };
    let (falling, low) = (
        raised(Condition::OxygenSaturationFalling),
        raised(Condition::OxygenSaturationLow),
    );
    let crossed = (0..1100)
        .find(|second| truth(*second) < 92.0)
        .expect("falls to 88");
    assert!(
        seconds(falling.raised) + 90 < crossed,
        "foreseen at {}, crossed at {crossed}",
        seconds(falling.raised)
    );
    assert!(seconds(low.raised) > crossed);
    assert!(falling.probability.is_some_and(|p| p >= 0.8) && falling.expected.is_some());
    let sum: f64 = falling
        .evidence
        .iter()
        .map(|evidence| evidence.contribution)
        .sum();
    assert!((sum - 1.0).abs() < 1e-12);
    assert_eq!(
        world.count(Condition::OxygenSaturationFalling, Change::Raised),
        1
    );
    assert_eq!(
        world.count(Condition::OxygenSaturationFalling, Change::Resolved),
        1
    );
    println!(
        "foreseen {} s, crossed {crossed} s, threshold alert {} s",
        seconds(falling.raised),
        seconds(low.raised)
    );
}

#[test]
fn every_alert_names_its_model_and_a_hash_of_its_definition() {
    let mut world = World::new();
    world.live((0..60).map(|second| oxygen(second, 80.0)));
    world.tick(1000);
    assert!(world.changes.len() >= 2);
    for change in &world.changes {
        assert!(change.alert.model.contains('/'), "{}", change.alert.model);
        assert_ne!(change.alert.model_hash, [0; 16]);
        assert!(!change.alert.summary.is_empty() && !change.alert.plain_summary.is_empty());
        let sum: f64 = change
            .alert
            .evidence
            .iter()
            .map(|evidence| evidence.contribution)
            .sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }
    assert_eq!(FOLD_VERSION, 25);
}

#[test]
fn ids_are_readable_and_parse_back() {
    assert_eq!(AlertId(12).to_string(), "a-12");
    assert_eq!(AlertId::parse("a-12"), Some(AlertId(12)));
    for bad in [
        "",
        "a-",
        "a-012",
        "a-+1",
        "b-1",
        "a-1x",
        "a-99999999999999999999",
    ] {
        assert_eq!(AlertId::parse(bad), None, "{bad}");
    }
}

/// Anybody in the street can send "72" or "180" under the strap's address.
#[test]
fn adverts_neither_end_nor_raise_an_alert_nor_hide_a_silence() {
    let advert = |second: i64, value: f64| Reading {
        quality: Quality::ADVERTISED,
        sequence: 100_000 + u64::try_from(second).expect("small"),
        ..pulse(second, value)
    };
    // A fast heart by the strap; then the strap falls silent, and somebody says that all is well.
    let mut world = World::new();
    world.live((0..300).map(|second| pulse(second, 150.0)));
    assert!(world.active(Condition::HeartRateHigh).is_some());
    world.live((300..900).map(|second| advert(second, 72.0)));
    assert!(
        world.active(Condition::HeartRateHigh).is_some(),
        "it is not over"
    );
    assert!(
        world.active(Condition::DeviceSilent).is_some(),
        "the strap is silent"
    );
    // The control: over the link, both end.
    world.live((900..1500).map(|second| pulse(second, 72.0)));
    assert!(world.active(Condition::HeartRateHigh).is_none());
    assert!(world.active(Condition::DeviceSilent).is_none());

    // A fast heart by adverts alone: shown, counted, and no alarm.
    let mut world = World::new();
    world.live((0..900).map(|second| advert(second, 180.0)));
    assert!(world.physiological().is_empty());
    let channels = world.twin.channels();
    let shown = channels
        .iter()
        .find(|channel| channel.kind == Kind::HeartRate);
    let shown = shown.expect("shown");
    assert_eq!((shown.value, shown.count), (Some(180.0), 900));
    assert!(shown.quality.has(Quality::ADVERTISED));
    // What comes over a link takes its place at once, and no later advert takes it back.
    world.live([pulse(900, 72.0), advert(901, 180.0)]);
    let channels = world.twin.channels();
    let shown = channels
        .iter()
        .find(|channel| channel.kind == Kind::HeartRate);
    assert_eq!(shown.and_then(|channel| channel.value), Some(72.0));
}

/// A clock of two battery lives: what it said in the first may look like minutes ago.
#[test]
fn what_was_released_from_quarantine_tells_of_the_past_alone() {
    let low = |released: bool| {
        let mut world = World::new();
        world.live((0..120).map(|second| oxygen(second, 97.0)));
        for second in 120..420 {
            let quality = if released {
                Quality::CLOCK_REPAIRED.with(Quality::RELEASED)
            } else {
                Quality::CLOCK_REPAIRED
            };
            world.live([Reading {
                quality,
                ..oxygen(second, 80.0)
            }]);
        }
        world.tick(1000);
        world
    };
    let control = low(false);
    assert_eq!(
        control.count(Condition::OxygenSaturationLow, Change::Raised),
        1
    );
    let world = low(true);
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Raised),
        0
    );
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Finding),
        1
    );
}
