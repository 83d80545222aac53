//! The command line of an operator beside the page: who needs somebody, one patient, and alerts as they come, for people and
//! for scripts.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use proto::v1::gateway_to_centre::Kind as Up;
use serde_json::Value;
use vitals::Span;

use crate::support::Small;

/// The first line that `watch` prints; then it is stopped, as a person stops it.
fn first_change(small: &Small, cursor: &Path) -> Result<Value> {
    let cursor = cursor.to_string_lossy();
    let mut watch = small
        .centre
        .command(&["watch", "--json", "--cursor", &cursor])?;
    let mut child = watch.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let out = child.stdout.take().context("a pipe")?;
    BufReader::new(out).read_line(&mut line)?;
    // The cursor is written after the line.
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.kill()?;
    child.wait()?;
    serde_json::from_str(&line).with_context(|| format!("watch said {line:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_who_needs_somebody_and_what_changes() -> Result<()> {
    let small = Small::fast(60.0).await?;
    let clock = small.clock;
    let calm = small.centre.cli(&["worklist"])?;
    ensure!(calm == "nobody waits for anything", "{calm}");
    let (up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, clock.now())?;
    up.send(Up::OpenContext(header)).await?;
    let alert = loop {
        let start = clock.now();
        tokio::time::sleep(clock.real(Span::from_secs(30))).await;
        let readings = heart_rates(start, &[170; 30]);
        up.send_records(seal_readings(&mut sealer, &readings)?)
            .await?;
        if let Some(alert) = small.client.all_alerts().await?.into_iter().next() {
            break alert;
        }
    };
    let list = small.centre.cli(&["worklist"])?;
    ensure!(
        list.contains(&small.patient) && list.contains(&alert.id) && !list.contains('\u{1b}'),
        "into a pipe without colours: {list}"
    );
    let list: Value = serde_json::from_str(&small.centre.cli(&["worklist", "--json"])?)?;
    ensure!(list[0]["patient"] == small.patient.as_str(), "{list}");
    ensure!(list[0]["alerts"][0]["id"] == alert.id.as_str(), "{list}");
    let said = small.centre.cli(&["patient", "show", &small.patient])?;
    ensure!(said.contains("heart_rate 170 /min, "), "{said}");
    let said = small
        .centre
        .cli(&["patient", "show", &small.patient, "--json"])?;
    let said: Value = serde_json::from_str(&said)?;
    ensure!(said["channels"][0]["value"] == 170.0, "{said}");
    let nobody = small.centre.cli(&["patient", "show", "p-nobody"]);
    ensure!(nobody.is_err(), "{nobody:?}");

    let folder = tempfile::tempdir()?;
    let cursor = folder.path().join("cursor");
    let first = first_change(&small, &cursor)?;
    ensure!(first["id"] == alert.id.as_str(), "{first}");
    let words = "seen\u{1b}[2J by day";
    small.centre.cli(&["alert", "comment", &alert.id, words])?;
    let next = first_change(&small, &cursor)?;
    ensure!(
        next["comments"].to_string().contains("by day"),
        "what came while nobody watched: {next}"
    );
    let list = small.centre.cli(&["alert", "list"])?;
    ensure!(
        list.contains("by day") && !list.contains('\u{1b}'),
        "{list:?}"
    );
    let script = small.centre.cli(&["completions", "bash"])?;
    ensure!(script.contains("worklist"), "{script}");
    Ok(())
}
