//! Rules that people change: refused, mended, put into force; alerts name them, and every start finds them again.

use proto::v1;
use vitals::{Fixed, Kind, PatientId, Quality, Reading, SourceId, Span, Time, Value};

use super::past::{open, whole_second};
use super::rig::Rig;
use super::void::{alerts, desk, pulses, send, state_hash};
use crate::admin::{Admin, AdminError};
use crate::rules::{Budget, RuleSet};

const BY: &str = "operator olga";
const BUDGET: Budget = Budget {
    alerts: 100,
    margin: 5_000,
    hours: 0,
};

/// Slow below this.
fn slow(cut: f64) -> String {
    let built_in = RuleSet::built_in().text;
    let from = "{ cut = 40.0, hold_s = 30, priority = \"medium\" }";
    assert!(built_in.contains(from));
    let to = format!("{{ cut = {cut:.1}, hold_s = 30, priority = \"medium\" }}");
    built_in.replace(from, &to)
}

fn hash_of(document: &str) -> [u8; 16] {
    let set = RuleSet::parse(document).expect("it holds");
    let context = twin::event::Context::default();
    twin::rule::fingerprint(&twin::rule::definition(&set.rules, &context))
}

fn conflict(error: AdminError) -> String {
    let AdminError::Conflict(text) = error else {
        panic!("{error}");
    };
    text
}

async fn tried(admin: &Admin, document: &str) -> v1::ShadowReport {
    let all = (Time::ZERO, Time::ZERO);
    let report = admin.shadow_rules(document, all, BY).await;
    report.expect("it is folded")
}

/// A patient whose heart was calm, and is slow now.
async fn slow_heart(rig: &Rig, id: &str, rate: i64) -> PatientId {
    let patient = rig.patient(id).await;
    let begin = whole_second(rig.clock.now()) - Span::from_secs(300);
    let stream = rig.assign(&patient, "g-1", begin).await;
    let mut sealer = open(rig, &patient, stream).await;
    send(rig, &mut sealer, &pulses(begin, 0..200, 70)).await;
    send(rig, &mut sealer, &pulses(begin, 230..300, rate)).await;
    patient
}

#[tokio::test]
async fn rules_are_tried_refused_mended_and_in_force_and_a_start_finds_them() {
    let rig = Rig::new().await;
    let ann = slow_heart(&rig, "p-ann", 47).await;
    assert!(
        alerts(&rig, &ann).is_empty(),
        "40 is the limit that is built in"
    );
    let admin = desk(&rig, BUDGET);
    let wrong = admin
        .check_rules(&slow(19.0))
        .expect_err("no body passes it");
    assert!(
        wrong.to_string().contains("heart_rate_low.levels[0].cut"),
        "{wrong}"
    );
    // Nothing is activated that was not tried.
    let untried = admin.activate_rules(&slow(50.0), "earlier", BY).await;
    let untried = conflict(untried.expect_err("not tried"));
    assert!(untried.contains("rules shadow"), "{untried}");

    // It would raise one where there was none, in at most two measured hours: far above one a day.
    let loud = tried(&admin, &slow(50.0)).await;
    assert_eq!(
        loud.alerts,
        Some(v1::Count {
            before: 0,
            after: 1
        })
    );
    assert!(loud.patient_days > 0.0 && loud.patient_days < 0.1);
    assert_eq!(loud.missed, []);
    let above = admin.activate_rules(&slow(50.0), "earlier", BY).await;
    let above = conflict(above.expect_err("above the budget"));
    assert!(
        above.contains("alerts a patient-day are above the budget of 1.00"),
        "{above}"
    );
    assert!(rules_of(&rig).is_empty(), "nothing was decided");

    // Mended: what these days hold is not told.
    let document = slow(45.0);
    let report = tried(&admin, &document).await;
    assert_eq!(report.refusals, [""; 0]);
    assert_eq!(
        report.alerts,
        Some(v1::Count {
            before: 0,
            after: 0
        })
    );
    let former = admin.activate_rules(&slow(50.0), "earlier", BY).await;
    conflict(former.expect_err("another one was tried since"));
    let unnamed = admin.activate_rules(&document, " ", BY).await;
    assert!(matches!(
        unnamed,
        Err(AdminError::Invalid {
            field: "reason",
            ..
        })
    ));
    let set = admin
        .activate_rules(&document, "earlier, for a fortnight", BY)
        .await;
    let set = set.expect("nothing stands against it");
    let twice = admin.activate_rules(&document, "again", BY).await;
    assert!(conflict(twice.expect_err("it is")).contains("in force already"));
    let listed = admin.rules();
    assert_eq!(listed.sets.len(), 2, "and what is built in");
    assert_eq!((&listed.sets[0], listed.sets[0].by.as_str()), (&set, BY));
    assert_eq!(listed.shadow, None, "nothing was tried beside these");

    // An alert by the new limit names the rules that raised it.
    let bob = slow_heart(&rig, "p-bob", 44).await;
    let [alert] = &alerts(&rig, &bob)[..] else {
        panic!("one alert");
    };
    assert!(alert.summary.contains("below 45"), "{}", alert.summary);
    assert_eq!(alert.model_hash, hash_of(&document));
    assert_ne!(
        alert.model_hash,
        hash_of(&RuleSet::built_in().text),
        "control"
    );

    // A start makes the same of the log.
    let hashes = [&ann, &bob].map(|patient| state_hash(&rig, patient));
    drop(admin);
    let rig = rig.restart().await;
    assert_eq!(
        [&ann, &bob].map(|patient| state_hash(&rig, patient)),
        hashes
    );
    let admin = desk(&rig, BUDGET);
    assert_eq!(admin.rules().sets[0], set);

    // The way back is open at once, and is a decision of its own.
    let back = admin
        .rules_back("too many", BY)
        .await
        .expect("there was one");
    assert_eq!(back.hash, RuleSet::built_in().hash);
    assert_eq!(admin.rules().sets.len(), 3);
    let again = admin
        .rules_back("after all", BY)
        .await
        .expect("there was one");
    assert_eq!(again.hash, set.hash);
}

#[tokio::test]
async fn an_alert_of_high_priority_that_would_be_missed_stands_against_it() {
    let rig = Rig::new().await;
    // In force: of high priority below 35.
    let strict = RuleSet::built_in().text.replace(
        "{ cut = 30.0, hold_s = 30, priority = \"high\" }",
        "{ cut = 35.0, hold_s = 30, priority = \"high\" }",
    );
    let budget = Budget {
        alerts: u32::MAX,
        margin: u32::MAX,
        ..BUDGET
    };
    let admin = desk(&rig, budget);
    tried(&admin, &strict).await;
    let set = admin.activate_rules(&strict, "stricter", BY).await;
    set.expect("nothing stands against it");
    slow_heart(&rig, "p-ann", 33).await;

    // Back to what is built in, below 35 is of medium priority only.
    let built_in = RuleSet::built_in().text;
    let report = tried(&admin, &built_in).await;
    let [missed] = &report.missed[..] else {
        panic!("one is missed: {report:?}");
    };
    assert_eq!(missed.priority(), v1::Priority::High);
    let refused = admin.activate_rules(&built_in, "as before", BY).await;
    let refused = conflict(refused.expect_err("it misses one"));
    assert!(refused.contains("1 alerts of high priority"), "{refused}");
}

/// A person of this sex whose heart paused for seven seconds.
async fn paused_heart(rig: &Rig, id: &str, sex: &str) {
    let patient = rig.patient(id).await;
    let fact = v1::Fact {
        id: "sex".into(),
        kind: v1::FactKind::Sex.into(),
        text: sex.into(),
        from_us: 1,
        ..Default::default()
    };
    let recorded = rig
        .patients
        .record_facts(&patient, BY, vec![fact], Vec::new());
    recorded.await.expect("it is taken");
    // What is told at once is about now.
    let begin = whole_second(rig.clock.now()) - Span::from_secs(68);
    let stream = rig.assign(&patient, "g-1", begin).await;
    let mut sealer = open(rig, &patient, stream).await;
    let interval = |second: i64, ms: f64| Reading {
        kind: Kind::RrInterval,
        value: Value::Measured(Fixed::from_f64(Kind::RrInterval, ms).expect("a number")),
        source: SourceId(1),
        sequence: second.cast_unsigned(),
        effective: begin + Span::from_secs(second),
        received: begin + Span::from_secs(second),
        quality: Quality::GOOD,
        device: None,
    };
    let mut beats: Vec<Reading> = (0..60).map(|second| interval(second, 1000.0)).collect();
    beats.push(interval(67, 7000.0));
    send(rig, &mut sealer, &beats).await;
}

#[tokio::test]
async fn a_model_that_is_off_for_women_alone_is_refused_until_the_document_says_by_whom_and_why() {
    let rig = Rig::new().await;
    paused_heart(&rig, "p-ann", "female").await;
    paused_heart(&rig, "p-bob", "male").await;
    let budget = Budget {
        alerts: u32::MAX,
        ..BUDGET
    };
    let admin = desk(&rig, budget);
    let built_in = RuleSet::built_in().text;
    let off = "[[model]]\nraises = \"heart_pause\"\nstanding = \"off\"\n";
    let women = format!("{built_in}\n{off}sex = \"female\"\n");

    let report = tried(&admin, &women).await;
    let [missed] = &report.missed[..] else {
        panic!("hers alone is missed: {report:?}");
    };
    assert_eq!((missed.alerts, missed.switched), (1, 1));
    let refused = admin.activate_rules(&women, "rings falsely", BY).await;
    let refused = conflict(refused.expect_err("women are worse off"));
    for part in [
        "heart_pause is off for people who are female",
        "missed 1 alerts of high or medium priority",
        "by = ",
        "why = ",
    ] {
        assert!(refused.contains(part), "{part:?} is not in {refused}");
    }
    assert_eq!(report.refusals, [refused.as_str()], "told with the report");

    // For everybody it is a decision.
    let all = format!("{built_in}\n{off}");
    let report = tried(&admin, &all).await;
    assert_eq!(report.missed[0].alerts, 2);
    assert_eq!(
        (&report.silenced[..], &report.refusals[..]),
        (&[][..], &[][..])
    );

    // With a reason it is activated, and what they miss is told with it.
    let with = format!("{women}by = \"Dr. Weber\"\nwhy = \"their patch is being replaced\"\n");
    let report = tried(&admin, &with).await;
    assert_eq!(report.refusals, [""; 0]);
    let set = admin.activate_rules(&with, "until Friday", BY).await;
    let set = set.expect("nothing stands against it");
    assert!(set.document.contains("Dr. Weber"), "{}", set.document);
    let [silenced] = &report.silenced[..] else {
        panic!("one line: {report:?}");
    };
    assert_eq!(silenced.why, "their patch is being replaced");
    let hers = silenced.groups.iter().find(|group| group.of == "sex");
    let hers = hers.expect("of her sex");
    assert_eq!((hers.group.as_str(), hers.alerts), ("female", 1));

    // Without it, once it is in force, nobody could count what they miss.
    let report = tried(&admin, &women).await;
    assert_eq!(report.missed, []);
    assert!(
        report.refusals[0].contains("cannot be counted"),
        "{report:?}"
    );
}

fn rules_of(rig: &Rig) -> Vec<String> {
    let registry = rig.books.registry();
    registry
        .rules()
        .map(|decided| decided.reason.clone())
        .collect()
}
