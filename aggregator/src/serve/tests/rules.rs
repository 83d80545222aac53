//! Rules that people change: refused, mended, put into force; alerts name them, and every start finds them again.

use proto::v1;
use vitals::{PatientId, Span, Time};

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

fn rules_of(rig: &Rig) -> Vec<String> {
    let registry = rig.books.registry();
    registry
        .rules()
        .map(|decided| decided.reason.clone())
        .collect()
}
