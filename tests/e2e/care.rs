//! Who is called while nobody takes notice of an alert, across the death of the centre; and what a fact changes.

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::hand::{heart_rates, seal_readings};
use e2e::wait::wait_for;
use proto::v1::{self, gateway_to_centre::Kind as Up};
use serde_json::Value;
use vitals::Span;

use crate::support::Small;

const MINUTE: i64 = 60_000_000;

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_alert_that_nobody_answers_climbs_its_ladder_though_the_centre_is_killed()
-> Result<()> {
    let mut small = Small::fast(60.0).await?;
    let clock = small.clock;
    let (mut up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, clock.now())?;
    up.send(Up::OpenContext(header)).await?;

    // A very fast heart, half a minute a batch.
    let urgent = loop {
        let start = clock.now();
        tokio::time::sleep(clock.real(Span::from_secs(30))).await;
        let readings = heart_rates(start, &[170; 30]);
        up.send_records(seal_readings(&mut sealer, &readings)?)
            .await?;
        up.listen(|heard| !heard.receipts.is_empty()).await?;
        let mut alerts = small.client.all_alerts().await?.into_iter();
        if let Some(alert) = alerts.find(|alert| alert.priority() == v1::Priority::High) {
            break alert;
        }
    };
    // What nobody silences: this. What a person may say: anything, and it is no answer.
    let silence = [
        "alert",
        "snooze",
        &small.patient,
        "heart_rate_high",
        "--minutes",
        "60",
        "--reason",
        "quiet",
    ];
    let refused = small
        .centre
        .cli(&silence)
        .expect_err("high priority")
        .to_string();
    ensure!(refused.contains("nothing silences"), "{refused}");
    small
        .centre
        .cli(&["alert", "comment", &urgent.id, "rang twice"])?;

    // The centre dies with people still to be called, and is away until after the last of them.
    small.centre.kill()?;
    tokio::time::sleep(clock.real(Span::from_mins(11))).await;
    small.centre.start().await?;
    let client = small.centre.client().await?;
    let last = wait_for(
        "the ladder's end",
        std::time::Duration::from_secs(30),
        async || {
            let mut alerts = client.all_alerts().await?.into_iter();
            let ours = alerts.find(|alert| alert.id == urgent.id);
            Ok(ours.filter(|alert| alert.unanswered_us > 0))
        },
    )
    .await?;
    let began = last.calls[0].at_us;
    let calls: Vec<_> = last
        .calls
        .iter()
        .map(|call| (call.duty(), call.at_us - began))
        .collect();
    let (nurse, doctor) = (v1::Duty::Nurse, v1::Duty::Doctor);
    let supervisor = v1::Duty::Supervisor;
    assert_eq!(
        calls,
        [(nurse, 0), (doctor, 3 * MINUTE), (supervisor, 6 * MINUTE)],
        "each at its own time, whatever the centre went through"
    );
    assert_eq!(last.unanswered_us - began, 10 * MINUTE);
    assert_eq!(last.comments[0].text, "rang twice");

    let handover = json(&small.centre.cli(&["alert", "handover", "--json"])?)?;
    let ids = |part: &str| {
        let alerts = handover[part].as_array().into_iter().flatten();
        alerts
            .filter_map(|alert| alert["id"].as_str())
            .collect::<Vec<_>>()
    };
    ensure!(ids("nobody_answered").contains(&urgent.id.as_str()));
    let taken = small
        .centre
        .cli(&["alert", "acknowledge", &urgent.id, "--note", "on my way"])?;
    ensure!(taken.contains("acknowledged by operator"), "{taken}");
    let handover = json(&small.centre.cli(&["alert", "handover", "--json"])?)?;
    assert_eq!(handover["acknowledged_and_not_over"][0]["id"], urgent.id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_says_what_it_changes_and_one_that_is_unfit_says_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    centre.start().await?;
    let patient = centre.add_patient("Story")?;
    let record = |more: &[&str]| {
        let all = [&["fact", "record", &patient][..], more].concat();
        centre.cli(&all)
    };
    let told = record(&["--kind", "oxygen_target", "--text", "88-92"])?;
    ensure!(told.contains("NEWS2 scale 2"), "{told}");
    let refused = record(&["--kind", "oxygen_target", "--text", "90"]);
    let refused = refused.expect_err("no such target").to_string();
    ensure!(refused.contains("must be 88-92 or 94-98"), "{refused}");
    record(&["--kind", "birth_year", "--value", "2019"])?;
    let listed = json(&centre.cli(&["fact", "list", &patient, "--json"])?)?;
    assert_eq!(listed[0]["kind"], "birth_year");
    let influence = listed[0]["influences"][0].as_str().unwrap_or_default();
    ensure!(influence.contains("under 16"), "{influence}");
    let client = centre.client().await?;
    let names = async || -> Result<Vec<String>> {
        let twin = client.twin(&patient).await?;
        Ok(twin.scores.into_iter().map(|score| score.name).collect())
    };
    assert_eq!(names().await?, ["qsofa"]);
    centre.cli(&["fact", "retract", &patient, "birth_year"])?;
    assert_eq!(names().await?, ["news2", "qsofa", "mews"], "control");
    Ok(())
}
