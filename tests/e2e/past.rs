//! What the centre knew at a position, and why it rang: asked of the running centre's directory and of a copy elsewhere.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::client::clock_of;
use e2e::hand::{HandGateway, heart_rates, seal_readings};
use e2e::process::{program, run};
use e2e::world::fast_clock;
use proto::text::hex;
use proto::v1;
use proto::v1::gateway_to_centre::Kind as Up;
use serde_json::Value;
use vitals::Span;

use crate::support::ADDRESS;

/// Readings in one batch of this story, one a second.
const READINGS: usize = 30;

/// A centre's directory, and its clock.
type Place<'a> = (&'a Path, &'a [(String, String)]);

/// `vitaltwin-aggregator` there, with its answer as JSON.
fn ask((dir, envs): Place<'_>, args: &[&str]) -> Result<Value> {
    let dir = dir.to_string_lossy();
    let all = ["--dir", &dir, "--test-clock"].into_iter();
    let all = all.chain(args.iter().copied());
    let text = run(&program("vitaltwin-aggregator")?, all, envs)?;
    serde_json::from_str(&text).with_context(|| text)
}

fn rebuild(dir: Place<'_>, twin: &v1::Twin, hash: &str) -> Result<Value> {
    let at = twin.position.to_string();
    let asked = [
        "rebuild",
        &twin.patient,
        "--at",
        &at,
        "--expect",
        hash,
        "--json",
    ];
    ask(dir, &asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_is_made_again_at_any_position_and_an_alert_leads_back_to_its_batches() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let envs = fast_clock(60.0);
    let clock = clock_of(&envs)?;
    let mut centre = Centre::init(&folder.path().join("centre"), &envs)?;
    centre.start().await?;
    let (token, id) = centre.token("by hand")?;
    let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
    let patient = centre.add_patient("Story")?;
    centre.assign(&patient, &id, &[ADDRESS.into()])?;
    let client = centre.client().await?;
    let mut up = gateway.connect().await?;
    let assignment = up.assignments().await?.into_iter().next().context("one")?;
    let (header, mut sealer) = gateway.open_context(&assignment, clock.now())?;
    up.send(Up::OpenContext(header)).await?;

    // A fast heart for minutes, one batch as each half minute has passed; in between, twins as readers saw them.
    let mut seen: Vec<v1::Twin> = Vec::new();
    let mut numbers = Vec::new();
    let alert = loop {
        ensure!(seen.len() < 40, "twenty minutes of it, and no alert");
        let start = clock.now();
        tokio::time::sleep(clock.real(Span::from_secs(READINGS as i64))).await;
        let readings = heart_rates(start, &[150; READINGS]);
        numbers.push(sealer.next_number());
        up.send_records(seal_readings(&mut sealer, &readings)?)
            .await?;
        up.listen(|heard| !heard.receipts.is_empty()).await?;
        seen.push(client.twin(&patient).await?);
        let mut alerts = client.all_alerts().await?.into_iter();
        if let Some(alert) = alerts.find(|alert| alert.condition == "heart_rate_high") {
            break alert;
        }
    };
    let noted = v1::AcknowledgeRequest {
        alert: alert.id.clone(),
        note: "on my way".into(),
    };
    client.alerts().acknowledge(noted).await?;
    seen.push(client.twin(&patient).await?);

    // Beside the running centre, and on a copy of what a stopped one left: the same states.
    let copy = folder.path().join("elsewhere");
    for moved in [false, true] {
        if moved {
            centre.stop()?;
            run(
                Path::new("/bin/cp"),
                [
                    "-a",
                    &centre.dir().to_string_lossy(),
                    &copy.to_string_lossy(),
                ],
                &[],
            )?;
        }
        let dir = (if moved { copy.as_path() } else { centre.dir() }, &envs[..]);
        for twin in &seen {
            let again = rebuild(dir, twin, &hex(&twin.state_hash))?;
            ensure!(
                again["position"] == twin.position && again["known_us"] == twin.known_us,
                "{again}"
            );
        }
        let (first, last) = (&seen[0], &seen[seen.len() - 1]);
        let other = rebuild(dir, last, &hex(&first.state_hash));
        let said = other.map_or_else(|error| format!("{error:#}"), |_| "the same".into());
        ensure!(said.contains("the state's hash is"), "control: {said}");
        explained(dir, &alert, &id, &numbers)?;
    }
    // Beside the running centre it was written down who looked; nobody wrote down what was read from files alone.
    let looked = ask((&copy, &envs), &["accesses", &patient, "--json"])?;
    let looks = looked.as_array().context("a list")?;
    let looks = |part: &str| looks.iter().filter(|of| of["part"] == part).count();
    ensure!(
        looks("past") > 0 && looks("past") < seen.len() + 2,
        "{looked:#}"
    );
    ensure!(looks("values") > 0 && looks("facts") == 0, "{looked:#}");
    let all = looked.as_array().into_iter().flatten();
    let own = all.filter(|of| of["part"] == "past");
    for of in own {
        ensure!(
            of["by"] == "operator operator" && of["door"] == "files" && of["named"] == true,
            "{of}"
        );
    }
    let nobody = ["accesses", &patient, "--by", "nobody", "--json"];
    ensure!(
        ask((&copy, &envs), &nobody)? == serde_json::json!([]),
        "control: nobody looked"
    );
    let far = ask(
        (&copy, &envs),
        &["rebuild", &patient, "--at", "999999", "--json"],
    );
    ensure!(far.is_err(), "control: there is no such position");
    let unknown = ask((&copy, &envs), &["why", "0123456789abcdef", "--json"]);
    ensure!(unknown.is_err(), "control: there is no such alert");
    Ok(())
}

/// From the alert back to the batches by hand.
fn explained(dir: Place<'_>, alert: &v1::Alert, gateway: &str, numbers: &[u64]) -> Result<()> {
    let why = ask(dir, &["why", &alert.id, "--json"])?;
    let life = why["life"].as_array().context("its life")?;
    ensure!(
        life[0]["position"] == why["position"] && life[0]["state"] == "active",
        "{why}"
    );
    // A batch brought it; or none came for half a minute after one, and what there was is judged by time alone.
    let causes = [format!("a batch of {gateway}"), "time".into()];
    ensure!(
        causes.iter().any(|cause| life[0]["cause"] == *cause),
        "{why}"
    );
    let evidence = why["evidence"].as_array().context("evidence")?;
    ensure!(
        evidence.iter().any(|of| of["avoided_at"].is_number()),
        "what would have avoided it: {why}"
    );
    let acknowledged = life.iter().find(|step| step["state"] == "acknowledged");
    let by = acknowledged.context("acknowledged")?["cause"]
        .as_str()
        .unwrap_or_default();
    ensure!(by.contains("operator"), "a person is named: {why}");
    let batches = why["batches"].as_array().context("batches")?;
    ensure!(!batches.is_empty(), "{why}");
    for batch in batches {
        let number = batch["number"].as_u64().unwrap_or_default();
        ensure!(
            numbers.contains(&number) && batch["gateway"] == gateway,
            "{batch}"
        );
        ensure!(
            batch["position"].as_u64() <= why["position"].as_u64(),
            "known before it rang: {batch}"
        );
    }
    Ok(())
}
