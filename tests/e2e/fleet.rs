//! The fleet at the page: a real agent enrolled by the token that the page showed, given devices, sent settings, and revoked
//! there; each act is an entry with who did it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::centre::Centre;
use e2e::gateway::{Bench, Gateway, Uplink};
use e2e::hand::HandGateway;
use e2e::wait::wait_for;
use proto::clock::Clock;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::page;
use crate::paths::LONG;

const STRAP: &str = "C0:00:00:00:01:01";
const OXIMETER: &str = "C0:00:00:00:01:02";

/// Somebody at the page, who says what has to be done away from it.
struct Desk {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    answer: ChildStdin,
}

impl Desk {
    fn sit_down(centre: &Centre, patient: &str) -> Result<Self> {
        let mut child = Command::new("node")
            .arg(page::root().join("tests/browser/fleet.mjs"))
            .env("SIGN_IN", page::link(centre, &["Adam"])?)
            .env("SUPERVISOR", page::link(centre, &["Sue"])?)
            .env("PATIENT", patient)
            .env("DEVICES", format!("{STRAP} {OXIMETER}"))
            .env("SHOTS", page::shots()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("running node")?;
        let said = BufReader::new(child.stdout.take().context("piped")?).lines();
        let answer = child.stdin.take().context("piped")?;
        Ok(Self {
            child,
            said,
            answer,
        })
    }

    /// What follows the word that is awaited.
    async fn asks(&mut self, word: &str) -> Result<String> {
        while let Some(line) = self.said.next_line().await? {
            if let Some(rest) = line.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
            eprintln!("{line}");
        }
        bail!("fleet.mjs ended before it said {word:?}: see above")
    }

    async fn done(&mut self) -> Result<()> {
        Ok(self.answer.write_all(b"done\n").await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_enrolled_assigned_configured_and_revoked_at_the_page() -> Result<()> {
    let Some(_alone) = page::browser().await else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    centre.start().await?;
    let patient = centre.add_patient("Ann <b onclick=alert(1)>x</b>")?;
    centre.cli(&["person", "add", "Adam", "--role", "administrator"])?;
    centre.cli(&["person", "add", "Sue", "--role", "supervisor"])?;
    let mut home = Gateway::new(&folder.path().join("home"), Uplink::Grpc, &[]).await?;
    let mut desk = Desk::sit_down(&centre, &patient)?;

    let token = desk.asks("enrol ").await?;
    home.enrol(&token)?;
    let again = HandGateway::enrol(centre.ready()?.grpc, &token, Clock::system()).await;
    ensure!(again.is_err(), "the token works once");
    home.start_wearables(&Bench {
        scenario: &page::root().join("tests/scenarios/one.toml"),
        gateway: "home",
        seed: 7,
        recording: None,
    })?;
    home.start_agent()?;
    desk.done().await?;

    let id = desk.asks("revoked ").await?;
    let at = Instant::now();
    wait_for("the agent to be told", LONG, async || {
        let status = home.status().unwrap_or_default();
        let told = status["line_trouble"].as_str().unwrap_or_default();
        let cut = status["connected"] == false && told.contains("revoked");
        Ok(cut.then_some(()))
    })
    .await?;
    let took = at.elapsed();
    eprintln!("a revoked agent was told and showed it within {took:?}");
    // The status is written once a second: the order itself is faster.
    ensure!(took < Duration::from_secs(2), "it took {took:?} to revoke");
    desk.done().await?;
    desk.asks("done").await?;
    let status = desk.child.wait().await?;
    ensure!(status.success(), "fleet.mjs: see above");

    let fleet: Value = serde_json::from_str(&centre.cli(&["fleet", &id, "--json"])?)?;
    let acts = fleet["gateways"][0]["acts"].as_array().context("acts")?;
    let told: Vec<_> = acts.iter().map(|act| (&act["kind"], &act["by"])).collect();
    let count = |kind: &str, by: &str| {
        let kind = format!("GATEWAY_ACT_KIND_{kind}");
        let same = |of: &&(&Value, &Value)| *of.0 == kind.as_str() && *of.1 == by;
        told.iter().filter(same).count()
    };
    ensure!(count("TOKEN", "Adam") == 1, "{told:?}");
    ensure!(count("SETTINGS", "Adam") == 3, "{told:?}");
    ensure!(count("REVOKED", "Adam") == 1, "{told:?}");
    // Once by Adam; the other one follows from what the patient said.
    ensure!(count("ASSIGNED", "Adam") == 1, "{told:?}");
    ensure!(count("ASSIGNED", "patient") == 1, "{told:?}");
    centre.kill()?;
    centre.start().await?;
    let again: Value = serde_json::from_str(&centre.cli(&["fleet", &id, "--json"])?)?;
    ensure!(
        again["gateways"][0]["acts"] == fleet["gateways"][0]["acts"],
        "a start finds who did what"
    );
    let secret = token.rsplit('.').next().context("a token")?;
    let log = std::fs::read_to_string(folder.path().join("centre.log")).unwrap_or_default();
    ensure!(!log.contains(secret), "the token is in the log");
    home.stop_agent()?;
    centre.stop()
}

/// A thousand gateways with hostile names before a made-up centre, and a centre that is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_gateways_do_not_slow_the_page_and_their_names_do_not_run() -> Result<()> {
    let Some(_alone) = page::browser().await else {
        return Ok(());
    };
    let output = std::process::Command::new("node")
        .arg(page::root().join("tests/browser/fleet.mjs"))
        .arg("--thousand")
        .env("SHOTS", page::shots()?)
        .stdin(Stdio::null())
        .output()
        .context("running node")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "fleet.mjs:\n{said}{complained}");
    eprintln!("{said}");
    Ok(())
}
