//! A supervisor's rules, by command on a running centre: a limit is edited, tried over what was recorded, refused above the
//! budget, mended, put into force; an alert by it names it, and a start after a kill finds all of it again.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::hand::{HandUplink, heart_rates, seal_readings};
use e2e::wait::wait_for;
use prost::Message as _;
use proto::seal::Sealer;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{self, Alert};
use serde_json::Value;
use vitals::{Reading, Time};

use crate::page;
use crate::support::{SOON, Small};

const BUILT_IN: &str = "{ cut = 40.0, hold_s = 30, priority = \"medium\" }";

impl Small {
    /// What `rules` prints, and whether it did what it was told.
    fn rules(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let arguments = [&["rules"], arguments].concat();
        let done = self.centre.command(&arguments)?.output()?;
        let text = [done.stdout, done.stderr].concat();
        Ok((done.status.success(), String::from_utf8(text)?))
    }

    /// How good the models have been, of all or of one.
    fn scoreboard(&self, of: &[&str]) -> Result<Value> {
        let arguments = [&["scoreboard", "--json"], of].concat();
        let done = self.centre.command(&arguments)?.output()?;
        let text = String::from_utf8(done.stdout)?;
        serde_json::from_str(&text).with_context(|| format!("{text}{:?}", done.stderr))
    }

    /// The set in force.
    fn in_force(&self) -> Result<Value> {
        let (_, shown) = self.rules(&["show", "--json"])?;
        serde_json::from_str(&shown).context(shown)
    }

    /// The built-in rules with another first limit for a slow heart.
    fn document(&self, name: &str, cut: &str) -> Result<String> {
        let (_, built_in) = self.rules(&["show"])?;
        ensure!(built_in.contains(BUILT_IN), "{built_in}");
        let file = self.centre.dir().join(name);
        let edited = built_in.replace(BUILT_IN, &BUILT_IN.replace("40.0", cut));
        std::fs::write(&file, edited)?;
        Ok(file.to_string_lossy().into_owned())
    }

    /// The built-in rules with a model switched.
    fn switched(&self, name: &str, raises: &str, standing: &str) -> Result<String> {
        let (_, built_in) = self.rules(&["show"])?;
        let file = self.centre.dir().join(name);
        let line = format!("\n[[model]]\nraises = \"{raises}\"\nstanding = \"{standing}\"\n");
        std::fs::write(&file, built_in + &line)?;
        Ok(file.to_string_lossy().into_owned())
    }

    /// The alert of a slow heart, if there is one.
    async fn slow(&self) -> Result<Option<Alert>> {
        let alerts = self.client.all_alerts().await?;
        let slow = |alert: &Alert| alert.condition == "heart_rate_low";
        Ok(alerts.into_iter().find(slow))
    }

    /// Sends readings once they were measured, by the centre's clock.
    async fn live(&self, up: &HandUplink, sealer: &mut Sealer, readings: &[Reading]) -> Result<()> {
        let last = readings.last().context("some")?.effective;
        wait_for("their time", Duration::from_secs(60), async || {
            Ok((self.clock.now() > last).then_some(()))
        })
        .await?;
        up.send_records(seal_readings(sealer, readings)?).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_edited_tried_refused_mended_and_in_force_without_a_release() -> Result<()> {
    let mut small = Small::fast(4.0).await?;
    // A minute is all that there is.
    small.centre.stop()?;
    small.centre.set("rules_hours", 0)?;
    small.centre.start().await?;
    small.gateway = small.gateway.at(small.centre.ready()?.grpc);
    small.client = small.centre.client().await?;
    let (mut up, assignment) = small.uplink().await?;
    let now = small.clock.now();
    let begin = Time::from_micros(assignment.effective_from_us.max(now.as_micros()));
    let (header, mut sealer) = small.gateway.open_context(&assignment, begin)?;
    up.send(Up::OpenContext(header)).await?;
    let rates = [&[70; 20][..], &[47; 50]].concat();
    let before = heart_rates(begin, &rates);
    small.live(&up, &mut sealer, &before).await?;
    small.applied(70).await?;
    ensure!(small.slow().await?.is_none(), "47 is above 40");

    let wrong = small.document("wrong.toml", "19.0")?;
    let (fine, said) = small.rules(&["check", &wrong])?;
    ensure!(
        !fine && said.contains("heart_rate_low.levels[0].cut"),
        "{said}"
    );
    let wrong = small.switched("stays.toml", "heart_rate_low", "off")?;
    let (fine, said) = small.rules(&["check", &wrong])?;
    ensure!(!fine && said.contains("cannot be switched"), "{said}");
    let quiet = small.switched("quiet.toml", "fall", "shadow")?;
    let (fine, said) = small.rules(&["check", &quiet])?;
    ensure!(
        fine && said.contains("fall: shadow for everybody"),
        "{said}"
    );
    let (fine, said) = small.rules(&["shadow", &quiet, "--json"])?;
    let report: Value = serde_json::from_str(&said).context(said)?;
    ensure!(fine && report["quieter"][0] == "fall", "{report}");
    let loud = small.document("loud.toml", "50.0")?;
    let (fine, said) = small.rules(&["activate", &loud, "--reason", "earlier"])?;
    ensure!(!fine && said.contains("rules shadow"), "untried: {said}");
    let (fine, said) = small.rules(&["shadow", &loud, "--json"])?;
    let report: Value = serde_json::from_str(&said).context(said)?;
    ensure!(fine && report["alerts"]["after"] == 1, "{report}");
    ensure!(report["missed"] == Value::Array(Vec::new()), "{report}");
    let (fine, said) = small.rules(&["activate", &loud, "--reason", "earlier"])?;
    ensure!(!fine && said.contains("above the budget"), "{said}");

    let mended = small.document("mended.toml", "45.0")?;
    let (fine, said) = small.rules(&["shadow", &mended])?;
    ensure!(fine, "{said}");
    let (fine, said) = small.rules(&["activate", &mended, "--reason", "slow hearts here"])?;
    ensure!(fine, "{said}");
    // The gateway hears of them, for when it is alone.
    let heard = up.listen(|heard| !heard.commands.is_empty()).await?;
    let command = v1::Command::decode(heard.commands[0].command.as_slice())?;
    let Some(v1::command::Kind::Rules(rules)) = command.kind else {
        bail!("{command:?}");
    };
    let slow = rules
        .rules
        .iter()
        .find(|of| of.condition == "heart_rate_low");
    ensure!(slow.is_some_and(|of| of.levels[0].cut == 45.0), "{rules:?}");

    let mut after = heart_rates(small.clock.now(), &[44; 50]);
    for (reading, sequence) in after.iter_mut().zip(70..) {
        reading.sequence = sequence;
    }
    small.live(&up, &mut sealer, &after).await?;
    let alert = wait_for("an alert below 45", SOON, async || small.slow().await).await?;
    let in_force = small.in_force()?;
    let hash = alert.model_hash.iter();
    let hash = hash.fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    ensure!(
        in_force["alert_hashes"]["thresholds"] == *hash,
        "{hash}: {in_force}"
    );
    ensure!(in_force["reason"] == "slow hearts here", "{in_force}");

    let board = small.scoreboard(&[])?;
    let of_one = small.scoreboard(&[&small.patient])?;
    ensure!(
        board["patients"] == 1 && board == of_one,
        "{board} {of_one}"
    );
    let forecast = &board["forecasts"][0];
    ensure!(
        forecast["kind"] == "KIND_HEART_RATE"
            && forecast["abstained"][0]["reason"] == "less than three minutes of data",
        "{forecast}"
    );

    small.centre.kill()?;
    small.centre.start().await?;
    ensure!(small.scoreboard(&[])? == board, "a start counts the same");
    ensure!(small.in_force()? == in_force, "a start finds it");
    small.client = small.centre.client().await?;
    let again = small.slow().await?.context("the alert is there")?;
    ensure!(
        (&again.id, &again.model_hash) == (&alert.id, &alert.model_hash),
        "{again:?}"
    );
    let (_, history) = small.rules(&["history"])?;
    ensure!(
        history.lines().count() == 2 && history.contains("built in"),
        "{history}"
    );
    let (fine, said) = small.rules(&["back", "--reason", "enough"])?;
    ensure!(fine, "{said}");
    ensure!(
        small.in_force()?["document"] != in_force["document"],
        "{said}"
    );
    at_the_page(&small)
}

/// The same in a real browser.
fn at_the_page(small: &Small) -> Result<()> {
    if page::browser_is_absent() {
        return Ok(());
    }
    let role = ["person", "add", "Sue", "--role", "supervisor"];
    small.centre.cli(&role)?;
    let output = std::process::Command::new("node")
        .arg(page::root().join("tests/browser/rules.mjs"))
        .env("SIGN_IN", page::link(&small.centre, &["Sue"])?)
        .env("SHOTS", page::shots()?)
        .output()
        .context("running node")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "rules.mjs:\n{said}{complained}");
    let in_force = small.in_force()?;
    ensure!(in_force["by"] == "Sue", "{in_force}");
    Ok(())
}
