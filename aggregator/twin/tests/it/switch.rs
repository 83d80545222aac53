//! Models that the rules have live, in shadow or off, for everybody or a cohort: what ends, what stays, what is counted, what is said.

use std::sync::Arc;

use twin::alert::{Change, Condition, Priority, State};
use twin::facts::{Fact, FactKind};
use twin::rules::switch::{Cohort, Sex, Standing, Switch, uneven, whom};
use twin::rules::{Fault, Rules};
use twin::{Event, Twin};
use vitals::{Kind, Reading};

use crate::support::{OXIMETER, STRAP, World, at, fact, oxygen, pulse, reading};

const PAUSE: Condition = Condition::HeartPause;
const YEAR: i64 = 31_556_952;

fn line(condition: Condition, standing: Standing, of: Cohort) -> Switch {
    Switch {
        condition,
        standing,
        of,
    }
}

fn all(condition: Condition, standing: Standing) -> Switch {
    line(condition, standing, Cohort::default())
}

fn rules(models: Vec<Switch>) -> Arc<Rules> {
    let rules = Rules {
        models,
        ..Rules::BUILT_IN
    };
    assert_eq!(rules.check(), []);
    Arc::new(rules)
}

/// A world under these lines from its first second on.
fn under(models: Vec<Switch>) -> World {
    let mut world = World::new();
    world.event(0, Event::Rules(rules(models)));
    world
}

fn standing(twin: &Twin, condition: Condition) -> (Standing, String) {
    let mut all = twin.model_standings().into_iter();
    let one = all.find(|of| of.condition == condition).expect("a model");
    (one.standing, one.why)
}

fn unsaid(twin: &Twin, condition: Condition) -> u32 {
    let mut all = twin.model_standings().into_iter();
    all.find(|of| of.condition == condition)
        .expect("a model")
        .unsaid
}

/// A beat a second from `from` on, then one after `ms`.
fn pause(world: &mut World, from: i64, ms: f64) {
    let beat = |second: i64, ms: f64| Reading {
        sequence: second as u64,
        ..reading(STRAP, Kind::RrInterval, second, ms)
    };
    world.live((from..from + 60).map(|second| beat(second, 1000.0)));
    let end = from + 60 + (ms / 1000.0) as i64;
    let one = Reading {
        sequence: (from + 60) as u64,
        ..beat(end, ms)
    };
    world.live([one]);
}

fn notice(world: &mut World, second: i64, condition: Condition) {
    let alert = world.active(condition).expect("it holds").id;
    let (by, note) = ("anna".into(), String::new());
    world.event(second, Event::Acknowledged { alert, by, note });
}

fn last(world: &World, condition: Condition) -> &twin::AlertChange {
    let mut changes = world.changes.iter().rev();
    changes
        .find(|change| change.alert.condition == condition)
        .expect("told")
}

fn reads_back(twin: &Twin) {
    let mut bytes = Vec::new();
    twin.canonical_bytes(&mut bytes);
    assert_eq!(Twin::from_canonical_bytes(&bytes).as_ref(), Some(twin));
}

#[test]
fn what_is_live_raises_and_what_is_in_shadow_or_off_does_not() {
    for (how, times) in [
        (Standing::Live, 0),
        (Standing::Shadow, 1),
        (Standing::Off, 0),
    ] {
        let mut world = under(vec![all(PAUSE, how)]);
        pause(&mut world, 0, 6000.0);
        assert_eq!(world.active(PAUSE).is_some(), how == Standing::Live);
        assert_eq!(
            world.count(PAUSE, Change::Raised),
            usize::from(how == Standing::Live)
        );
        assert_eq!(unsaid(&world.twin, PAUSE), times, "{how:?}");
        let (stands, why) = standing(&world.twin, PAUSE);
        assert_eq!(stands, how);
        assert_eq!(why.is_empty(), how == Standing::Live);
        assert!(why.is_empty() || why.contains("everybody"), "{why}");
        let shown = world
            .twin
            .models()
            .into_iter()
            .find(|of| of.condition == PAUSE);
        assert_eq!(
            shown.is_some(),
            how != Standing::Off,
            "nothing is said of one that is off"
        );
        assert_eq!(shown.is_some_and(|of| of.live), how == Standing::Live);
        reads_back(&world.twin);
    }
}

#[test]
fn a_cohort_is_of_whom_it_is_known_and_the_last_line_that_fits_counts() {
    let born = |year: f64| Fact {
        value: Some(year),
        ..fact("born", FactKind::BirthYear, "")
    };
    let code = |code: &str| Fact {
        code: format!("http://hl7.org/fhir/sid/icd-10|{code}"),
        ..fact("c", FactKind::Condition, "")
    };
    let sex = |sex: &str| fact("sex", FactKind::Sex, sex);
    let off = |cohort: Cohort, facts: Vec<Fact>| {
        let mut world = under(vec![line(PAUSE, Standing::Off, cohort)]);
        world.facts(1, facts);
        standing(&world.twin, PAUSE).0 == Standing::Off
    };
    // It is 2026: whoever was born in 1961 is 64 or 65.
    let from = |age| Cohort {
        age_from: Some(age),
        ..Cohort::default()
    };
    assert!(!off(from(65), Vec::new()), "not known");
    assert!(off(from(65), vec![born(1960.0)]) && !off(from(65), vec![born(1961.0)]));
    let below = |age| Cohort {
        age_below: Some(age),
        ..Cohort::default()
    };
    assert!(off(below(65), vec![born(1962.0)]) && !off(below(65), vec![born(1961.0)]));
    let women = Cohort {
        sex: Some(Sex::Female),
        ..Cohort::default()
    };
    assert!(off(women.clone(), vec![sex("female")]) && !off(women.clone(), vec![sex("male")]));
    let failing = Cohort {
        condition: Some("http://hl7.org/fhir/sid/icd-10|I50".into()),
        ..Cohort::default()
    };
    assert!(off(failing.clone(), vec![code("I50.1")]) && !off(failing.clone(), vec![code("I48")]));
    let pregnant = Cohort {
        pregnant: true,
        ..Cohort::default()
    };
    assert!(off(
        pregnant.clone(),
        vec![fact("p", FactKind::Pregnancy, "")]
    ));
    assert!(!off(pregnant, Vec::new()));
    let both = Cohort {
        sex: Some(Sex::Female),
        ..failing.clone()
    };
    assert!(!off(both.clone(), vec![sex("female")]) && !off(both.clone(), vec![code("I50")]));
    assert!(off(both, vec![sex("female"), code("I50")]));

    let mut world = under(vec![
        all(PAUSE, Standing::Off),
        line(PAUSE, Standing::Live, women),
        line(PAUSE, Standing::Shadow, failing),
    ]);
    assert_eq!(standing(&world.twin, PAUSE).0, Standing::Off);
    world.facts(1, vec![sex("female")]);
    assert_eq!(
        standing(&world.twin, PAUSE),
        (Standing::Live, String::new())
    );
    let to = Some(at(100));
    world.facts(2, vec![Fact { to, ..code("I50") }]);
    let (how, why) = standing(&world.twin, PAUSE);
    assert_eq!(how, Standing::Shadow);
    assert!(
        why.contains("with http://hl7.org/fhir/sid/icd-10|I50"),
        "{why}"
    );
    world.tick(100);
    assert_eq!(standing(&world.twin, PAUSE).0, Standing::Live, "it is over");
}

#[test]
fn somebody_grows_into_a_cohort_without_a_word() {
    let old = Cohort {
        age_from: Some(65),
        ..Cohort::default()
    };
    let mut world = under(vec![line(PAUSE, Standing::Off, old)]);
    let born = Fact {
        value: Some(1961.0),
        ..fact("born", FactKind::BirthYear, "")
    };
    world.facts(1, vec![born]);
    world.tick(10);
    assert_eq!(standing(&world.twin, PAUSE).0, Standing::Live);
    world.tick(YEAR);
    assert_eq!(
        standing(&world.twin, PAUSE).0,
        Standing::Off,
        "in the next year"
    );
}

#[test]
fn the_alert_of_a_model_that_is_switched_ends_and_says_why() {
    for how in [Standing::Shadow, Standing::Off] {
        let mut world = World::new();
        pause(&mut world, 0, 3000.0);
        assert_eq!(
            world.active(PAUSE).expect("a pause").priority,
            Priority::Medium
        );
        world.event(70, Event::Rules(rules(vec![all(PAUSE, how)])));
        assert!(world.active(PAUSE).is_none());
        let change = last(&world, PAUSE);
        assert_eq!(
            (change.what, change.alert.state),
            (Change::Resolved, State::Resolved)
        );
        let said = &change.alert.comments.last().expect("why").text;
        assert!(
            said.contains(how.name()) && said.contains("not because"),
            "{said}"
        );
        reads_back(&world.twin);
        // It was told: in shadow it goes on as the same, and is counted as none.
        assert_eq!(unsaid(&world.twin, PAUSE), 0);
        pause(&mut world, 71, 3000.0);
        assert_eq!(world.count(PAUSE, Change::Raised), 1);
        // It speaks again, of what is then.
        world.event(200, Event::Rules(rules(Vec::new())));
        pause(&mut world, 201, 3000.0);
        assert_eq!(world.active(PAUSE).expect("again").comments.len(), 0);
    }
}

#[test]
fn one_of_high_priority_waits_for_a_person_whatever_its_model_says_by_then() {
    let mut world = World::new();
    pause(&mut world, 0, 6000.0);
    assert_eq!(
        world.active(PAUSE).expect("asystole").priority,
        Priority::High
    );
    let calls = world.active(PAUSE).expect("asystole").calls.clone();
    world.event(70, Event::Rules(rules(vec![all(PAUSE, Standing::Off)])));
    let stands = world.active(PAUSE).expect("nobody took notice");
    assert_eq!(
        (&stands.calls, stands.state),
        (&calls, State::Active),
        "people are called on"
    );
    // Ten minutes of beats would end it.
    let beats = (71..800).map(|second| Reading {
        sequence: second as u64,
        ..reading(STRAP, Kind::RrInterval, second, 1000.0)
    });
    world.live(beats);
    assert!(world.active(PAUSE).is_some());
    notice(&mut world, 801, PAUSE);
    assert!(world.active(PAUSE).is_none(), "people have it in hand");
    let change = last(&world, PAUSE);
    assert_eq!(change.what, Change::Resolved);
    assert!(change.alert.acknowledged.is_some() && change.alert.comments.len() == 1);
    // Noticed before the switch: it ends with it.
    let mut world = World::new();
    pause(&mut world, 0, 6000.0);
    notice(&mut world, 69, PAUSE);
    world.event(70, Event::Rules(rules(vec![all(PAUSE, Standing::Shadow)])));
    assert!(world.active(PAUSE).is_none());
    // Where it is live again before anybody came, it goes on as ever.
    let mut world = World::new();
    pause(&mut world, 0, 6000.0);
    world.event(70, Event::Rules(rules(vec![all(PAUSE, Standing::Off)])));
    world.event(71, Event::Rules(rules(Vec::new())));
    notice(&mut world, 72, PAUSE);
    assert_eq!(
        world.active(PAUSE).expect("it holds").state,
        State::Acknowledged
    );
}

#[test]
fn in_shadow_it_is_on_the_scoreboard_as_if_it_had_been_told() {
    let lived = |models: Vec<Switch>| {
        let mut world = under(models);
        let monitor =
            |minute: i64, value| reading(OXIMETER, Kind::InterstitialGlucose, minute * 60, value);
        let wave = |slot: i64| 120.0 + 35.0 * libm::sin(slot as f64 / 12.0);
        world.live((1..=300).map(|slot| monitor(slot * 5, wave(slot))));
        world.live((301..=340).map(|slot| {
            let value = wave(300) - 2.5 * (slot - 300) as f64;
            monitor(slot * 5, value.max(60.0))
        }));
        let board = world.twin.scoreboard();
        let of = |one: &&twin::board::AlertScore| one.condition == Condition::GlucoseFalling;
        let score = *board.alerts.iter().find(of).expect("a line");
        let low = world.active(Condition::GlucoseLow).is_some();
        (
            score,
            world.count(Condition::GlucoseFalling, Change::Raised),
            low,
        )
    };
    let (live, raised, low) = lived(Vec::new());
    assert_eq!((live.told, live.right, raised, low), (1, 1, 1, true));
    let (shadow, raised, low) = lived(vec![all(Condition::GlucoseFalling, Standing::Shadow)]);
    assert_eq!((raised, low), (0, true), "what is low is told as ever");
    assert_eq!(shadow, live);
    let (off, ..) = lived(vec![all(Condition::GlucoseFalling, Standing::Off)]);
    assert_eq!(off.told, 0);
}

#[test]
fn what_is_off_shows_no_figure() {
    let mut world = under(vec![
        all(Condition::AtrialFibrillation, Standing::Off),
        all(Condition::OxygenSaturationFalling, Standing::Off),
    ]);
    world.live((0..700).map(|second| oxygen(second, 97.0)));
    let rhythm = world.twin.rhythm();
    assert!(rhythm.score.is_none() && rhythm.finding.contains("switched off"));
    let forecasts = world.twin.forecasts();
    let of = forecasts
        .iter()
        .find(|of| of.kind == Kind::OxygenSaturation);
    let of = of.expect("it abstains");
    assert!(of.points.is_empty() && of.abstained.contains("switched off"));
}

#[test]
fn fibrillation_in_shadow_is_counted_once_an_episode() {
    let mut world = under(vec![all(Condition::AtrialFibrillation, Standing::Shadow)]);
    let mut chance = crate::shared::Chance(5);
    let (mut second, mut number) = (0.0_f64, 0);
    let mut beat = |world: &mut World, ms: f64| {
        second += ms / 1000.0;
        number += 1;
        let when = second as i64;
        let one = Reading {
            sequence: number,
            ..reading(STRAP, Kind::RrInterval, when, ms)
        };
        world.readings(when + 1, vec![one]);
    };
    for _ in 0..300 {
        let ms = 500.0 + 600.0 * chance.uniform();
        beat(&mut world, libm::floor(ms));
    }
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Raised),
        0
    );
    assert_eq!(unsaid(&world.twin, Condition::AtrialFibrillation), 1);
    for _ in 0..400 {
        beat(&mut world, 800.0);
    }
    for _ in 0..300 {
        let ms = 500.0 + 600.0 * chance.uniform();
        beat(&mut world, libm::floor(ms));
    }
    assert_eq!(unsaid(&world.twin, Condition::AtrialFibrillation), 2);
}

#[test]
fn what_keeps_people_alive_cannot_be_switched_and_says_so() {
    let fault = |condition| {
        let rules = Rules {
            models: vec![all(condition, Standing::Off)],
            ..Rules::BUILT_IN
        };
        rules.check().into_iter().next()
    };
    for condition in Condition::ALL {
        let fixed = condition.category() == twin::Category::Technical
            || matches!(
                condition,
                Condition::OxygenSaturationLow
                    | Condition::HeartRateHigh
                    | Condition::HeartRateLow
                    | Condition::EarlyWarningScore
                    | Condition::GlucoseLow
                    | Condition::GlucoseHigh
            );
        let found = fault(condition);
        assert_eq!(found.is_some(), fixed, "{condition:?}");
        if let Some(found) = found {
            assert_eq!(found.fault, Fault::NotSwitched);
            let said = found.to_string();
            assert!(
                said.starts_with("model[0].raises: cannot be switched"),
                "{said}"
            );
            assert!(said.contains("heart_pause"), "what can be is named: {said}");
        }
    }
    let wrong = |of: Cohort| {
        let rules = Rules {
            models: vec![line(PAUSE, Standing::Off, of)],
            ..Rules::BUILT_IN
        };
        rules
            .check()
            .into_iter()
            .next()
            .map(|found| (found.field, found.fault))
    };
    let nobody = Cohort {
        age_from: Some(65),
        age_below: Some(65),
        ..Cohort::default()
    };
    assert_eq!(
        wrong(nobody),
        Some(("model[0].age_below".into(), Fault::NobodyFits))
    );
    for code in ["I50", "|I50", "icd-10|", &"x|".repeat(100)] {
        let of = Cohort {
            condition: Some(code.to_owned()),
            ..Cohort::default()
        };
        assert_eq!(
            wrong(of),
            Some(("model[0].condition".into(), Fault::Code)),
            "{code}"
        );
    }
    let many = Rules {
        models: vec![all(PAUSE, Standing::Off); 33],
        ..Rules::BUILT_IN
    };
    assert_eq!(many.check()[0].fault, Fault::TooMany { most: 32 });
}

#[test]
fn with_every_model_off_thresholds_and_the_score_are_told_as_ever() {
    let told = |models: Vec<Switch>| {
        let mut world = under(models);
        world.live((1..200).flat_map(|second| {
            [
                oxygen(second, 84.0),
                pulse(second, 28.0),
                reading(OXIMETER, Kind::RespiratoryRate, second, 27.0),
                reading(OXIMETER, Kind::InterstitialGlucose, second, 50.0),
            ]
        }));
        let alerts = world.twin.alerts().into_iter();
        let told: Vec<_> = alerts
            .map(|of| (of.condition, of.priority, of.evidence.clone()))
            .collect();
        told
    };
    let off = twin::rules::switch::SWITCHED.map(|(of, _)| all(of, Standing::Off));
    let without = told(off.to_vec());
    let high = |of: &&(Condition, Priority, _)| of.1 == Priority::High;
    assert_eq!(without.iter().filter(high).count(), 4, "{without:?}");
    let with = told(Vec::new());
    assert!(without.iter().all(|one| with.contains(one)));
}

#[test]
fn influences_that_were_there_before_are_among_the_reasons() {
    let target = fact("target", FactKind::OxygenTarget, "88-92");
    let pregnant = fact("p", FactKind::Pregnancy, "");
    let mut world = World::new();
    let (how, why) = standing(&world.twin, Condition::HeartFailureDrift);
    assert!(
        how == Standing::Shadow && why.contains("heart failure is known"),
        "{why}"
    );
    assert_eq!(
        standing(&world.twin, Condition::EarlyWarningScore).0,
        Standing::Live
    );
    world.facts(1, vec![target, pregnant]);
    for (condition, says) in [
        (Condition::OxygenSaturationFalling, "88-92"),
        (Condition::EarlyWarningScore, "pregnancy"),
    ] {
        let (how, why) = standing(&world.twin, condition);
        assert!(how == Standing::Off && why.contains(says), "{why}");
    }
    assert_eq!(world.twin.model_standings().len(), 13);
}

#[test]
fn a_line_is_uneven_where_its_model_speaks_of_others() {
    use Standing::{Live, Off, Shadow};
    let women = || Cohort {
        sex: Some(Sex::Female),
        ..Cohort::default()
    };
    let old = || Cohort {
        age_from: Some(80),
        ..Cohort::default()
    };
    let fall = |standing, of| line(Condition::Fall, standing, of);
    let pause = |standing, of| line(PAUSE, standing, of);
    let everybody = Cohort::default;
    let of = |lines: &[Switch]| uneven(lines);
    assert_eq!(of(&[]), []);
    assert_eq!(of(&[fall(Off, everybody())]), [], "everybody alike");
    assert_eq!(of(&[fall(Off, women()), pause(Shadow, old())]), [0, 1]);
    assert_eq!(
        of(&[fall(Off, everybody()), fall(Live, women())]),
        [0],
        "live again for some"
    );
    assert_eq!(
        of(&[
            fall(Off, women()),
            fall(Live, old()),
            fall(Shadow, everybody())
        ]),
        [],
        "the last one that fits counts"
    );
    assert_eq!(
        of(&[fall(Off, everybody()), fall(Shadow, women())]),
        [],
        "quiet either way"
    );
    assert_eq!(of(&[fall(Off, women()), fall(Live, everybody())]), []);
    let never = line(Condition::RestingHeartRateRaised, Off, women());
    let by_card = !matches!(
        standing(&World::new().twin, Condition::RestingHeartRateRaised).0,
        Live
    );
    assert_eq!(of(&[never]).is_empty(), by_card, "by its card of nobody");

    let lines = [
        fall(Off, everybody()),
        fall(Live, women()),
        pause(Off, old()),
    ];
    assert_eq!(whom(&lines, 0), "everybody, but not people who are female");
    assert_eq!(whom(&lines, 2), "people who are 80 years or more");
    assert_eq!(whom(&lines, 3), "nobody");
}

#[test]
fn the_line_that_silences_a_model_for_somebody_is_known() {
    let women = Cohort {
        sex: Some(Sex::Female),
        ..Cohort::default()
    };
    let mut world = under(vec![
        all(Condition::Fall, Standing::Live),
        line(PAUSE, Standing::Shadow, women),
    ]);
    assert_eq!(world.twin.silenced_by(PAUSE), None, "nobody knows her sex");
    world.facts(1, vec![fact("sex", FactKind::Sex, "female")]);
    assert_eq!(world.twin.silenced_by(PAUSE), Some(1));
    assert_eq!(world.twin.silenced_by(Condition::Fall), None);
}
