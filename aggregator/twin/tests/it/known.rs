//! What is known of a person bears upon alerts: it makes them more urgent or has to be said with them, while it holds, and hides none.

use std::collections::BTreeMap;

use proptest::prelude::*;
use twin::alert::{Alert, Change, Condition, Priority, State};
use twin::bearing;
use twin::event::Batch;
use twin::facts::{Fact, FactKind};
use twin::{Event, Twin};
use vitals::{Kind, Reading, Waveform};

use crate::shared::Chance;
use crate::shared::moved::{Moved, SUPINE, UPRIGHT};
use crate::support::{OXIMETER, STRAP, World, at, batch, fact, oxygen, pulse, reading};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn coded(id: &str, kind: FactKind, code: &str) -> Fact {
    Fact {
        code: code.into(),
        ..fact(id, kind, "")
    }
}

fn medicine(atc: &str) -> Fact {
    let code = format!("http://www.whocc.no/atc|{atc}");
    coded(atc, FactKind::Medication, &code)
}

fn result(loinc: &str, value: f64, unit: &str) -> Fact {
    let code = format!("http://loinc.org|{loinc}");
    Fact {
        value: Some(value),
        unit: unit.into(),
        ..coded(loinc, FactKind::Laboratory, &code)
    }
}

fn image(loinc: &str, value: f64) -> Fact {
    Fact {
        kind: FactKind::Imaging,
        ..result(loinc, value, "%")
    }
}

fn gene(code: &str, text: &str) -> Fact {
    Fact {
        text: text.into(),
        ..coded(code, FactKind::Genomic, code)
    }
}

fn symptom(snomed: &str) -> Fact {
    let code = format!("http://snomed.info/sct|{snomed}");
    coded(snomed, FactKind::Reported, &code)
}

fn cyp2c9() -> Fact {
    gene("http://loinc.org|79716-7", "Poor metabolizer")
}

fn cyp2d6() -> Fact {
    gene(
        "http://www.genenames.org/geneId|HGNC:2625",
        "poor metaboliser",
    )
}

const CHEST_PAIN: &str = "29857009";
const BREATHLESS: &str = "267036007";

/// What is said of what is known.
fn remarks(alert: &Alert) -> Vec<&str> {
    let known = alert.evidence.iter().filter(|of| of.known);
    known.map(|of| of.label.as_str()).collect()
}

fn says(alert: &Alert, words: &str) -> bool {
    remarks(alert).iter().any(|label| label.contains(words))
}

fn slow(world: &mut World, from: i64, to: i64, rate: f64) {
    world.live((from..to).map(|second| pulse(second, rate)));
}

/// Somebody who fell on their back, and lies for so long.
fn fallen(seconds: f64) -> Vec<Waveform> {
    let mut chance = Chance(1);
    let mut moved = Moved::default();
    moved.step(&mut chance, 0.3, 30.0);
    moved.rest(&mut chance, UPRIGHT, 10.0);
    moved.drop(&mut chance, (0.2, 0.4), 4.0, SUPINE);
    moved.rest(&mut chance, SUPINE, seconds);
    moved.blocks(at(0))
}

fn waves(world: &mut World, blocks: Vec<Waveform>) {
    for block in blocks {
        let known = block.time_of(block.samples());
        let known = known.since(at(0)).as_micros() / 1_000_000 + 1;
        let waveforms = vec![Waveform {
            received: at(known),
            ..block
        }];
        world.send(
            known,
            Batch {
                waveforms,
                ..batch(0, Vec::new())
            },
        );
    }
}

#[test]
fn a_fall_under_an_anticoagulant_is_urgent_at_once_and_says_why() {
    let told = |facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        waves(&mut world, fallen(30.0));
        world.active(Condition::Fall).expect("a fall").clone()
    };
    assert_eq!(told(Vec::new()).priority, Priority::Medium);
    for atc in ["B01AA03", "B01AF02", "B01AE07", "B01AB05", "B01AX05"] {
        let alert = told(vec![medicine(atc)]);
        assert_eq!(
            (alert.priority, alert.measured),
            (Priority::High, Priority::Medium)
        );
        assert!(says(&alert, "anticoagulant"), "{:?}", remarks(&alert));
        let sum: f64 = alert.evidence.iter().map(|of| of.contribution).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }
    // Aspirin is none, a gene without the medicine means nothing, and neither does one that ended or has not begun.
    let ended = Fact {
        from: at(-DAY),
        to: Some(at(0)),
        ..medicine("B01AF02")
    };
    let later = Fact {
        from: at(DAY),
        ..medicine("B01AA03")
    };
    for none in [medicine("B01AC06"), cyp2c9(), ended, later] {
        let alert = told(vec![none]);
        assert_eq!(
            (alert.priority, remarks(&alert).len()),
            (Priority::Medium, 0)
        );
    }
    let warfarin = || medicine("B01AA03");
    let alert = told(vec![warfarin(), cyp2c9(), result("6301-6", 5.2, "{INR}")]);
    assert!(
        says(&alert, "CYP2C9") && says(&alert, "INR"),
        "{:?}",
        remarks(&alert)
    );
    let inr = alert.evidence.iter().find(|of| of.label.starts_with("INR"));
    let inr = inr.expect("it is said");
    assert_eq!(
        (inr.value, inr.limit, inr.effective),
        (Some(5.2), Some(4.0), at(0))
    );
    let vkorc1 = gene("http://www.genenames.org/geneId|HGNC:23663", "-1639 A/A");
    assert!(says(&told(vec![warfarin(), vkorc1]), "VKORC1"));
    let normal = gene("http://loinc.org|79716-7", "Normal metabolizer");
    assert!(!says(&told(vec![warfarin(), normal]), "CYP2C9"));
}

#[test]
fn old_bones_are_said_with_a_fall() {
    let told = |born: f64, sex: &str| {
        let mut world = World::new();
        let born = Fact {
            value: Some(born),
            ..fact("born", FactKind::BirthYear, "")
        };
        world.facts(0, vec![born, fact("sex", FactKind::Sex, sex)]);
        waves(&mut world, fallen(30.0));
        let alert = world.active(Condition::Fall).expect("a fall");
        assert_eq!(alert.priority, Priority::Medium);
        says(alert, "bones")
    };
    // It is 2026: whoever was born in 1961 may still be 64.
    assert!(told(1960.0, "female") && !told(1961.0, "female"));
    assert!(told(1950.0, "male") && !told(1951.0, "male"));
    assert!(!told(1930.0, "other"), "no source says");
}

#[test]
fn the_newest_result_that_can_be_read_counts_and_none_counts_for_ever() {
    let told = |facts: Vec<Fact>, seconds: i64| {
        let mut world = World::new();
        world.facts(0, facts.clone());
        slow(&mut world, seconds, seconds + 60, 38.0);
        let mut turned = World::new();
        for one in facts.into_iter().rev() {
            turned.facts(0, vec![one]);
        }
        slow(&mut turned, seconds, seconds + 60, 38.0);
        assert_eq!(
            world.twin.alerts(),
            turned.twin.alerts(),
            "whatever order they came in"
        );
        world.active(Condition::HeartRateLow).expect("38").priority
    };
    use Priority::{High, Medium};
    let potassium = |value| result("2823-3", value, "mmol/L");
    for (value, priority) in [
        (2.9, High),
        (3.0, Medium),
        (4.2, Medium),
        (5.9, Medium),
        (6.0, High),
        (15.0, Medium),
    ] {
        assert_eq!(told(vec![potassium(value)], 10), priority, "{value}");
    }
    let newer = |value, unit: &str| Fact {
        id: "newer".into(),
        from: at(5),
        ..result("6298-4", value, unit)
    };
    assert_eq!(told(vec![potassium(6.4), newer(4.1, "mmol/L")], 10), Medium);
    assert_eq!(told(vec![potassium(4.1), newer(6.4, "meq/L")], 10), High);
    // What cannot be read takes the place of nothing.
    assert_eq!(told(vec![potassium(6.4), newer(4.1, "mg/dL")], 10), High);
    assert_eq!(told(vec![potassium(4.1), newer(25.0, "mg/dL")], 10), Medium);
    let days = |days: i64| told(vec![potassium(6.4)], days * DAY);
    assert_eq!((days(2), days(3)), (High, Medium), "three days");
    let ended = Fact {
        to: Some(at(HOUR)),
        ..potassium(6.4)
    };
    assert_eq!(told(vec![ended], HOUR), Medium);
}

#[test]
fn a_result_in_another_unit_is_kept_and_says_that_it_does_not_count() {
    let mut world = World::new();
    world.facts(
        0,
        vec![result("2823-3", 25.0, "mg/dL"), image("10230-1", 0.3)],
    );
    assert_eq!(world.twin.counters().facts_refused, 0);
    let told = world.twin.influences();
    let told: Vec<_> = told
        .iter()
        .map(|of| (of.fact.as_str(), of.effect))
        .collect();
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|(_, effect)| effect.starts_with("not used")),
        "{told:?}"
    );
}

/// Measured trouble that gets worse after somebody took notice rings again, though what is known had made it urgent before.
#[test]
fn what_is_urgent_for_what_is_known_rings_again_when_it_is_urgent_by_itself() {
    let rings = |facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        slow(&mut world, 10, 70, 38.0);
        let alert = world.active(Condition::HeartRateLow).expect("38").id;
        let (by, note) = ("anna".into(), String::new());
        world.event(70, Event::Acknowledged { alert, by, note });
        slow(&mut world, 71, 131, 27.0);
        let alert = world.active(Condition::HeartRateLow).expect("27");
        assert_eq!(
            (alert.priority, alert.state),
            (Priority::High, State::Active)
        );
        assert!(alert.summary.contains("below 30"), "{}", alert.summary);
    };
    rings(Vec::new());
    rings(vec![result("2823-3", 6.4, "mmol/L")]);
}

#[test]
fn a_symptom_makes_what_stands_more_urgent_and_fades_and_takes_nothing_back() {
    let mut world = World::new();
    slow(&mut world, 10, 100, 38.0);
    let alert = world.active(Condition::HeartRateLow).expect("38").id;
    let (by, note) = ("anna".into(), String::new());
    world.event(100, Event::Acknowledged { alert, by, note });
    let pain = Fact {
        from: at(101),
        ..symptom(CHEST_PAIN)
    };
    world.facts(101, vec![pain.clone()]);
    let stands = world.active(Condition::HeartRateLow).expect("it stands");
    assert_eq!(stands.id, alert);
    assert_eq!(
        (stands.priority, stands.state),
        (Priority::High, State::Active)
    );
    assert!(says(stands, "Chest pain") && stands.calls.since == Some(at(101)));
    assert_eq!(world.count(Condition::HeartRateLow, Change::Updated), 1);
    let mut bytes = Vec::new();
    world.twin.canonical_bytes(&mut bytes);
    assert_eq!(
        Twin::from_canonical_bytes(&bytes).as_ref(),
        Some(&world.twin)
    );
    // It is over, and no longer known; the alert stays what it was told as.
    world.facts(
        200,
        vec![Fact {
            to: Some(at(200)),
            ..pain
        }],
    );
    let stands = world.active(Condition::HeartRateLow).expect("it stands");
    assert_eq!(stands.priority, Priority::High);

    let later = |seconds: i64, facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        slow(&mut world, seconds, seconds + 60, 38.0);
        let alert = world.active(Condition::HeartRateLow).expect("38").clone();
        alert.priority
    };
    assert_eq!(later(5 * HOUR, vec![symptom(CHEST_PAIN)]), Priority::High);
    assert_eq!(later(6 * HOUR, vec![symptom(CHEST_PAIN)]), Priority::Medium);
    let none = Fact {
        value: Some(0.0),
        ..symptom(CHEST_PAIN)
    };
    assert_eq!(later(10, vec![none]), Priority::Medium, "none at all");
    assert_eq!(
        later(10, vec![symptom("404640003")]),
        Priority::Medium,
        "dizzy"
    );
}

#[test]
fn breathlessness_beside_a_low_saturation_is_urgent() {
    for (facts, priority) in [
        (Vec::new(), Priority::Medium),
        (vec![symptom(BREATHLESS)], Priority::High),
    ] {
        let mut world = World::new();
        world.facts(0, facts);
        world.live((10..60).map(|second| oxygen(second, 90.0)));
        let alert = world.active(Condition::OxygenSaturationLow).expect("90 %");
        assert_eq!(alert.priority, priority);
    }
}

#[test]
fn a_fever_is_urgent_where_neutrophils_are_few() {
    let warm = |minute: i64| reading(OXIMETER, Kind::BodyTemperature, minute * 60, 38.4);
    let told = |facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        world.live([warm(1), warm(31)]);
        world.active(Condition::Fever).expect("38.4 twice").priority
    };
    let neutrophils = |value| result("751-8", value, "10*9/L");
    assert_eq!(told(Vec::new()), Priority::Low);
    assert_eq!(told(vec![neutrophils(0.5)]), Priority::High);
    assert_eq!(told(vec![neutrophils(0.6)]), Priority::Low);
    assert_eq!(told(vec![medicine("L01XA01")]), Priority::Medium);
    assert_eq!(
        told(vec![medicine("L01XA01"), neutrophils(0.2)]),
        Priority::High
    );
}

#[test]
fn lactate_makes_an_early_warning_score_urgent() {
    let told = |facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        for second in 10..100 {
            let of = |kind, value| reading(OXIMETER, kind, second, value);
            world.readings(
                second + 1,
                vec![
                    of(Kind::RespiratoryRate, 23.0),
                    of(Kind::SystolicPressure, 98.0),
                    of(Kind::BodyTemperature, 38.5),
                ],
            );
        }
        let alert = world
            .active(Condition::EarlyWarningScore)
            .expect("5 points");
        alert.priority
    };
    assert_eq!(told(Vec::new()), Priority::Medium);
    assert_eq!(
        told(vec![result("32693-4", 2.0, "mmol/L")]),
        Priority::Medium
    );
    assert_eq!(told(vec![result("32693-4", 2.1, "mmol/L")]), Priority::High);
}

#[test]
fn an_ejection_fraction_or_a_peptide_makes_the_drift_of_a_failing_heart_applicable() {
    let live = |facts: Vec<Fact>, seconds: i64| {
        let mut world = World::new();
        world.facts(0, facts);
        world.tick(seconds);
        let mut models = world.twin.models().into_iter();
        let model = models.find(|of| of.condition == Condition::HeartFailureDrift);
        model.expect("a model").live
    };
    let peptide = |value, unit| result("33762-6", value, unit);
    assert!(!live(Vec::new(), 10));
    assert!(live(vec![image("10230-1", 40.0)], 10));
    assert!(!live(vec![image("10230-1", 41.0)], 10));
    assert!(live(vec![peptide(2001.0, "pg/mL")], 89 * DAY));
    assert!(!live(vec![peptide(2001.0, "pg/mL")], 90 * DAY), "too old");
    assert!(!live(vec![peptide(2000.0, "ng/L")], 10));
    assert!(!live(vec![peptide(2001.0, "pmol/L")], 10), "another unit");
    let better = Fact {
        id: "later".into(),
        from: at(5),
        ..image("10230-1", 52.0)
    };
    assert!(
        !live(vec![image("10230-1", 35.0), better], 10),
        "it recovered"
    );
}

#[test]
fn a_low_of_glucose_says_what_the_medicines_do() {
    let told = |facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        let monitor =
            |minute: i64, value| reading(OXIMETER, Kind::InterstitialGlucose, minute * 60, value);
        let wave = |slot: i64| 120.0 + 35.0 * libm::sin(slot as f64 / 12.0);
        world.live((1..=300).map(|slot| monitor(slot * 5, wave(slot))));
        world.live((301..=340).map(|slot| {
            let value = wave(300) - 2.5 * (slot - 300) as f64;
            monitor(slot * 5, value.max(60.0))
        }));
        let of = |condition| {
            let mut changes = world.changes.iter();
            let raised = changes.find(|of| of.alert.condition == condition);
            raised.expect("told").alert.clone()
        };
        [of(Condition::GlucoseFalling), of(Condition::GlucoseLow)]
    };
    let [falling, low] = told(Vec::new());
    assert!(
        remarks(&falling).is_empty() && remarks(&low).is_empty(),
        "nothing is known"
    );
    let [falling, low] = told(vec![medicine("A10AE04"), medicine("A10BA02")]);
    assert!(says(&falling, "Insulin") && says(&low, "Insulin"));
    let [falling, low] = told(vec![medicine("A10BA02")]);
    assert!(says(&falling, "None of the known") && remarks(&low).is_empty());
    assert_eq!(falling.priority, Priority::Medium, "it is told as ever");
}

#[test]
fn a_beta_blocker_is_said_where_it_speaks_and_takes_a_learned_limit_away_while_it_is_new() {
    let metoprolol = |from: i64, to: Option<i64>| Fact {
        from: at(from),
        to: to.map(at),
        ..medicine("C07AB02")
    };
    let told = |facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        slow(&mut world, 10, 70, 38.0);
        world.active(Condition::HeartRateLow).expect("38").clone()
    };
    let alert = told(vec![metoprolol(0, None), cyp2d6()]);
    assert!(says(&alert, "beta blocker") && says(&alert, "CYP2D6") && says(&alert, "new"));
    assert_eq!(alert.priority, Priority::Medium);
    let old = told(vec![metoprolol(-14 * DAY, None)]);
    assert!(says(&old, "beta blocker") && !says(&old, "new"));
    let other = told(vec![
        Fact {
            id: "b".into(),
            ..medicine("C07AB07")
        },
        cyp2d6(),
    ]);
    assert!(!says(&other, "CYP2D6"), "bisoprolol");
    assert!(remarks(&told(vec![metoprolol(-DAY, Some(0))])).is_empty());
    let fast = |facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        slow(&mut world, 10, 100, 135.0);
        let alert = world.active(Condition::HeartRateHigh).expect("135").clone();
        says(&alert, "A beta blocker ended")
    };
    assert!(fast(vec![metoprolol(-DAY, Some(0))]));
    assert!(fast(vec![metoprolol(-60 * DAY, Some(-27 * DAY))]));
    assert!(!fast(vec![metoprolol(-60 * DAY, Some(-28 * DAY))]));
    let next = Fact {
        id: "next".into(),
        ..medicine("C07AB07")
    };
    assert!(
        !fast(vec![metoprolol(-DAY, Some(0)), next]),
        "another one follows"
    );

    // Nights of 40 and a little below: this person's own limit is learned, and does not count while a beta blocker is new.
    let mut world = World::new();
    for day in 0..10 {
        for minute in (0..1440).step_by(2) {
            let second = day * DAY + minute * 60;
            let rate = if minute < 480 { 40.0 } else { 62.0 };
            world.readings(second + 1, vec![pulse(second, rate)]);
        }
    }
    let learned = |world: &World| {
        let told = world.twin.influences();
        told.iter().any(|of| of.effect.starts_with("nights"))
    };
    assert!(learned(&world));
    world.facts(10 * DAY, vec![metoprolol(10 * DAY, None)]);
    assert!(!learned(&world));
    world.tick(24 * DAY);
    assert!(learned(&world), "two weeks later");
}

#[test]
fn a_beta_blocker_hides_no_illness() {
    // The pulse falls by 8 with it; an illness brings it to where it was.
    let rest = |day: i64| match day {
        0..10 => 66.0,
        10..18 => 58.0,
        _ => 65.0,
    };
    let told = |facts: Vec<Fact>| {
        let mut world = World::new();
        world.facts(0, facts);
        for day in 0..21 {
            for minute in (0..1440).step_by(3) {
                let second = day * DAY + minute * 60;
                let rate = rest(day) + if minute < 480 { 0.0 } else { 20.0 };
                world.readings(second + 1, vec![pulse(second, rate)]);
            }
        }
        world.active(Condition::RestingHeartRateRaised).is_some()
    };
    assert!(!told(Vec::new()), "nobody would know");
    let begun = Fact {
        from: at(10 * DAY),
        ..medicine("C07AB07")
    };
    assert!(told(vec![begun]));
}

#[test]
fn a_fact_begins_also_where_something_else_is_due_at_that_moment() {
    let mut world = World::new();
    let begins = Fact {
        from: at(71),
        ..fact("target", FactKind::OxygenTarget, "88-92")
    };
    world.facts(0, vec![begins]);
    // A pulse of second 11 is stale from second 71 on.
    world.live([pulse(11, 60.0)]);
    world.tick(100);
    assert!(world.twin.context().oxygen_target_88_92);
}

/// What somebody may be known to be and have, but what changes rules or scores by declaration: a target, oxygen, known
/// fibrillation, an own limit, an age or a pregnancy without NEWS2.
fn all_known() -> Vec<Fact> {
    let born = Fact {
        value: Some(1950.0),
        ..fact("born", FactKind::BirthYear, "")
    };
    let ended = Fact {
        id: "ended".into(),
        from: at(-30 * DAY),
        to: Some(at(0)),
        ..medicine("C07AB07")
    };
    vec![
        medicine("B01AF02"),
        medicine("B01AA03"),
        result("6301-6", 5.2, "{INR}"),
        cyp2c9(),
        cyp2d6(),
        medicine("A10AE04"),
        medicine("A10BA02"),
        medicine("C07AB02"),
        ended,
        image("10230-1", 30.0),
        result("33762-6", 5000.0, "pg/mL"),
        result("2823-3", 6.4, "mmol/L"),
        result("32693-4", 3.0, "mmol/L"),
        result("751-8", 0.2, "10*9/L"),
        medicine("L01XA01"),
        symptom(CHEST_PAIN),
        symptom("271594007"),
        symptom(BREATHLESS),
        symptom("404640003"),
        born,
        fact("sex", FactKind::Sex, "female"),
        fact("target", FactKind::OxygenTarget, "94-98"),
        fact("acvpu", FactKind::Consciousness, "A"),
        coded(
            "heart",
            FactKind::Condition,
            "http://hl7.org/fhir/sid/icd-10|I50.0",
        ),
    ]
}

/// A part of a dangerous course.
enum Part {
    Readings(Vec<Reading>),
    Waves(Vec<Waveform>),
    /// A person takes notice of all that waits.
    Notice(i64),
}

fn courses() -> Vec<Vec<Part>> {
    use Part::{Notice, Readings, Waves};
    let rates = |from: i64, to: i64, rate: f64| {
        Readings((from..to).map(|second| pulse(second, rate)).collect())
    };
    let saturation = |from: i64, to: i64, percent: f64| {
        Readings((from..to).map(|second| oxygen(second, percent)).collect())
    };
    let beats = |from: i64, intervals: &[f64]| {
        let mut second = from;
        let beat = |(place, ms): (usize, &f64)| {
            second += (ms / 1000.0) as i64;
            Reading {
                sequence: from as u64 + place as u64,
                ..reading(STRAP, Kind::RrInterval, second, *ms)
            }
        };
        Readings(intervals.iter().enumerate().map(beat).collect())
    };
    let cuffs = |from: i64, count: i64, systolic: f64, rate: f64| {
        let cuff = |number: i64| {
            let second = (from + number * 8) * HOUR;
            [
                pulse(second, rate),
                reading(OXIMETER, Kind::SystolicPressure, second, systolic),
            ]
        };
        Readings((0..count).flat_map(cuff).collect())
    };
    let warm = |minute: i64, celsius| {
        Readings(vec![reading(
            OXIMETER,
            Kind::BodyTemperature,
            minute * 60,
            celsius,
        )])
    };
    let sweet = |from: i64, to: i64, of: fn(i64) -> f64| {
        let slot = |slot: i64| reading(OXIMETER, Kind::InterstitialGlucose, slot * 300, of(slot));
        Readings((from..to).map(slot).collect())
    };
    let ill = |from: i64, to: i64, respiration: f64, systolic: f64| {
        let one = |second: i64| {
            [
                reading(OXIMETER, Kind::RespiratoryRate, second, respiration),
                reading(OXIMETER, Kind::SystolicPressure, second, systolic),
            ]
        };
        Readings((from..to).step_by(5).flat_map(one).collect())
    };
    let mut pauses = vec![1000.0; 60];
    pauses.push(3000.0);
    vec![
        vec![
            saturation(10, 70, 96.0),
            saturation(70, 110, 90.0),
            Notice(111),
            saturation(112, 160, 85.0),
            Notice(161),
            saturation(162, 300, 97.0),
        ],
        vec![
            rates(10, 70, 37.0),
            Notice(71),
            rates(72, 130, 27.0),
            rates(130, 300, 60.0),
        ],
        vec![
            rates(10, 100, 138.0),
            Notice(101),
            rates(102, 260, 160.0),
            rates(260, 400, 80.0),
        ],
        vec![
            beats(0, &pauses),
            Notice(64),
            beats(100, &[1000.0, 5000.0]),
            beats(107, &[1000.0; 60]),
        ],
        vec![
            cuffs(0, 9, 130.0, 72.0),
            cuffs(80, 1, 112.0, 104.0),
            Notice(81 * HOUR),
            cuffs(82, 1, 80.0, 125.0),
        ],
        vec![
            warm(1, 38.3),
            warm(31, 38.4),
            Notice(1900),
            warm(120, 39.2),
            Notice(7300),
            warm(180, 41.2),
        ],
        vec![
            sweet(1, 301, |slot| 120.0 + 35.0 * libm::sin(slot as f64 / 12.0)),
            sweet(301, 330, |slot| 117.0 - 2.5 * (slot - 300) as f64),
            Notice(330 * 300 + 1),
            sweet(331, 340, |_| 48.0),
        ],
        vec![Waves(fallen(30.0))],
        vec![Waves(fallen(120.0))],
        vec![
            ill(10, 120, 23.0, 98.0),
            warm(3, 38.6),
            ill(190, 300, 23.0, 98.0),
            Notice(301),
            ill(310, 500, 27.0, 88.0),
        ],
    ]
}

/// After each step: the alerts that hold, how urgent, and whether they wait for a person.
fn lived(course: &[Part], facts: Vec<Fact>) -> Vec<BTreeMap<Condition, (Priority, bool)>> {
    let mut world = World::new();
    world.facts(0, facts);
    let mut seen = Vec::new();
    let look = |world: &World| {
        let alerts = world.twin.alerts().into_iter();
        let of = |alert: &Alert| {
            (
                alert.condition,
                (alert.priority, alert.state == State::Active),
            )
        };
        alerts.map(of).collect()
    };
    for part in course {
        match part {
            Part::Readings(readings) => {
                for one in readings {
                    world.live([*one]);
                    seen.push(look(&world));
                }
            }
            Part::Waves(blocks) => {
                for block in blocks {
                    waves(&mut world, vec![block.clone()]);
                    seen.push(look(&world));
                }
            }
            Part::Notice(second) => {
                let waiting: Vec<_> = world
                    .twin
                    .alerts()
                    .into_iter()
                    .map(|alert| alert.id)
                    .collect();
                for alert in waiting {
                    let (by, note) = ("anna".into(), String::new());
                    world.event(*second, Event::Acknowledged { alert, by, note });
                }
                seen.push(look(&world));
            }
        }
    }
    seen
}

/// The first step at which something is less urgent than without those facts, or waits for nobody though it is of high priority.
fn hidden(
    course: &[Part],
    without: &[BTreeMap<Condition, (Priority, bool)>],
    facts: Vec<Fact>,
) -> Option<String> {
    let with = lived(course, facts);
    assert_eq!(with.len(), without.len());
    for (step, (without, with)) in without.iter().zip(&with).enumerate() {
        for (condition, (priority, waits)) in without {
            if condition.category() != twin::Category::Physiological {
                continue;
            }
            let is = with.get(condition);
            let kept = is.is_some_and(|(now, rings)| {
                now >= priority && (*rings || !*waits || *priority < Priority::High)
            });
            if !kept {
                return Some(format!(
                    "step {step}: {condition:?} {priority:?} waits {waits}, with facts {is:?}"
                ));
            }
        }
    }
    None
}

#[test]
fn nothing_that_is_known_hides_a_dangerous_course() {
    let courses = courses();
    let all = all_known();
    for (number, course) in courses.iter().enumerate() {
        let without = lived(course, Vec::new());
        assert!(
            without.iter().any(|step| step
                .keys()
                .any(|of| of.category() == twin::Category::Physiological)),
            "course {number} is dangerous"
        );
        for one in &all {
            let found = hidden(course, &without, vec![one.clone()]);
            assert_eq!(found, None, "course {number} with {}", one.id);
        }
        assert_eq!(
            hidden(course, &without, all.clone()),
            None,
            "course {number} with all"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_subset_of_what_is_known_hides_a_dangerous_course(
        place in 0..10_usize,
        chosen in prop::collection::vec(any::<bool>(), 24),
    ) {
        let courses = courses();
        let course = &courses[place % courses.len()];
        let without = lived(course, Vec::new());
        let facts = all_known().into_iter().zip(chosen).filter(|(_, is)| *is);
        let found = hidden(course, &without, facts.map(|(fact, _)| fact).collect());
        prop_assert_eq!(found, None);
    }
}

#[test]
fn the_card_names_the_table_of_this_build() {
    let cards = include_str!("../../MODELS.md");
    let hash = twin::rule::fingerprint(&bearing::definition());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(
        cards.contains(bearing::MODEL) && cards.contains(&hash),
        "{} {hash}",
        bearing::MODEL
    );
}
