//! Messages to browsers: switched on in a real Chromium, opened at a push service by another maker's library, proved by the
//! browser's word, and no more of them for a browser that is gone.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use e2e::wait::wait_for;
use proto::v1::{self, gateway_to_centre::Kind as Up};
use serde_json::Value;
use vitals::Span;

use crate::channels::{Receiver, comments};
use crate::page::{browser, link, root, shots};
use crate::support::{SOON, Small};

#[tokio::test(flavor = "multi_thread")]
async fn a_nurses_browser_is_told_when_she_is_called_and_says_so_itself() -> Result<()> {
    let Some(_alone) = browser().await else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let Some((receiver, ports)) = Receiver::start(folder.path()).await? else {
        return Ok(());
    };
    let mut small = Small::fast(30.0).await?;
    let clock = small.clock;
    small.centre.stop()?;
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let port = &ports["webhook"];
    let config = small.centre.dir().join("config.toml");
    let mut text = fs::read_to_string(&config)?;
    text += &format!(
        "\n[[channels]]\nname = \"browsers\"\nduties = [\"nurse\", \"doctor\"]\nca_file = \"{}\"\n\
         push = {{ contact = \"mailto:olga@example.org\", near = [\"localhost:{port}\"] }}\n",
        file("cert.pem")
    );
    fs::write(&config, text)?;
    small.centre.start().await?;
    small.client = small.centre.client().await?;
    small.gateway = small.gateway.at(small.centre.ready()?.grpc);
    for command in [
        ["person", "add", "Nina", "--role", "nurse"].as_slice(),
        &["team", "add", "Ward"],
        &["team", "join", "Ward", "Nina"],
        &["team", "take", "Ward", &small.patient],
    ] {
        small.centre.cli(command)?;
    }
    let page = small.centre.ready()?.page.clone();
    let output = Command::new("node")
        .arg(root().join("tests/browser/push.mjs"))
        .env("PAGE", page.trim_end_matches('/'))
        .env("SIGN_IN", link(&small.centre, &["Nina"])?)
        .env("ENDPOINT", format!("https://localhost:{port}/push/1"))
        .env("P256DH", ports["p256dh"].as_str().context("a key")?)
        .env("AUTH", ports["auth"].as_str().context("a secret")?)
        .env("MESSAGES", file("messages.jsonl"))
        .env("SHOTS", shots()?)
        .output()
        .context("running node")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "push.mjs:\n{said}{complained}");
    eprintln!("{said}");

    // From here on the push service stands for the browser, too. First it says nothing: taken is not told.
    let (up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, clock.now())?;
    up.send(Up::OpenContext(header)).await?;
    let urgent = loop {
        let start = clock.now();
        tokio::time::sleep(clock.real(Span::from_secs(30))).await;
        let readings = heart_rates(start, &[170; 30]);
        up.send_records(seal_readings(&mut sealer, &readings)?)
            .await?;
        let mut alerts = small.client.all_alerts().await?.into_iter();
        if let Some(alert) = alerts.find(|alert| alert.priority() == v1::Priority::High) {
            break alert;
        }
    };
    let alert = async |small: &Small| {
        let alerts = small.client.all_alerts().await?.into_iter();
        let mut ours = alerts.filter(|alert| alert.id == urgent.id);
        ours.next().context("the alert")
    };
    let called = |receiver: &Receiver| -> Result<Vec<Value>> {
        let all = receiver.messages()?.into_iter();
        Ok(all
            .filter(|of| of["message"]["priority"] == "high")
            .collect())
    };
    let first = wait_for("the message", SOON, async || Ok(called(&receiver)?.pop()));
    let first = first.await?;
    ensure!(first["message"]["duty"] == "nurse", "{first}");
    let doctor = wait_for("that nobody has the doctor's duty", SOON, async || {
        let alert = alert(&small).await?;
        Ok((comments(&alert, "call 2 (doctor) could not be told: no browser") > 0).then_some(()))
    });
    doctor.await?;
    ensure!(
        comments(&alert(&small).await?, "call 1 (nurse) was told") == 0,
        "a push service's 201 was taken for proof"
    );
    let unconfirmed = wait_for("that the nurse's is not confirmed", SOON, async || {
        let alert = alert(&small).await?;
        let said = comments(
            &alert,
            "call 1 (nurse) could not be told: push services took it",
        );
        Ok((said > 0).then_some(()))
    });
    unconfirmed.await?;
    let silent = small.centre.status()?["silent"].to_string();
    ensure!(silent.contains("browsers"), "{silent}");

    fs::write(file("confirm"), &page)?;
    let told = wait_for("the browser's word", SOON, async || {
        let alert = alert(&small).await?;
        let said = comments(&alert, "call 1 (nurse) was told: shown on a device of Nina");
        Ok((said > 0).then_some(()))
    });
    told.await?;

    // All were one message to the browser, equally long, and say nothing of whom or what.
    let all = called(&receiver)?;
    let same = all
        .iter()
        .all(|of| of["message"] == first["message"] && of["length"] == first["length"]);
    ensure!(same, "{all:?}");
    let words = serde_json::to_string(&all)?;
    for word in [&small.patient, "Story", "heart", "170", &urgent.condition] {
        ensure!(!words.contains(word), "{word:?} was sent: {words}");
    }

    // Gone is gone.
    let browsers = |small: &Small| -> Result<Value> {
        let people: Value =
            serde_json::from_str(&small.centre.cli(&["person", "list", "--json"])?)?;
        Ok(people["people"][0]["browsers"].clone())
    };
    ensure!(browsers(&small)? == 1);
    fs::write(file("gone"), "")?;
    // A new call: somebody takes notice, and it comes again.
    small.centre.cli(&["alert", "acknowledge", &urgent.id])?;
    loop {
        let start = clock.now();
        tokio::time::sleep(clock.real(Span::from_secs(30))).await;
        let readings = heart_rates(start, &[55; 30]);
        up.send_records(seal_readings(&mut sealer, &readings)?)
            .await?;
        let alerts = small.client.all_alerts().await?;
        let over =
            |alert: &v1::Alert| alert.id != urgent.id || alert.state() == v1::AlertState::Resolved;
        if alerts.iter().all(over) {
            break;
        }
    }
    let gone = wait_for("the end of the subscription", SOON, async || {
        let start = clock.now();
        tokio::time::sleep(clock.real(Span::from_secs(30))).await;
        let readings = heart_rates(start, &[175; 30]);
        up.send_records(seal_readings(&mut sealer, &readings)?)
            .await?;
        Ok((browsers(&small)? == 0).then_some(()))
    });
    gone.await?;
    small.centre.stop()
}
