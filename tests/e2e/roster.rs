//! Who is on duty, on the real centre: a roster by command, a call that names whoever has the shift, a rung that is passed over
//! because nobody has it, a hole that `status` tells, and a shift that is taken over at the page.

use anyhow::{Context as _, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use e2e::wait::wait_for;
use proto::v1::{self, Alert, gateway_to_centre::Kind as Up};
use serde_json::Value;
use vitals::{Span, Time};

use crate::page;
use crate::support::{SOON, Small};

impl Small {
    fn told(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.centre.cli(arguments)?;
        serde_json::from_str(&text).with_context(|| text)
    }

    /// What a command says that is refused.
    fn refused(&self, arguments: &[&str]) -> Result<String> {
        let done = self.centre.command(arguments)?.output()?;
        ensure!(!done.status.success(), "{arguments:?} was done");
        Ok(String::from_utf8(done.stderr)?)
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        let file = self.centre.dir().join(name);
        std::fs::write(&file, text)?;
        Ok(file.to_string_lossy().into_owned())
    }
}

/// Nurses by day and by night, in UTC, where the night begins at that minute of the day; nobody as doctor.
fn document(night: u32, doctors: &str) -> String {
    let clock = |minute: u32| format!("{:02}:{:02}", minute % 1440 / 60, minute % 60);
    let (night, day) = (clock(night), clock(night + 720));
    let shift = |name: &str, duty: &str, from: &str, until: &str, people: &str| {
        format!(
            "[[shifts]]\nname = \"{name}\"\nduty = \"{duty}\"\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\nfrom = \"{from}\"\nuntil = \"{until}\"\npeople = [{people}]\n"
        )
    };
    [
        "format = \"roster/1\"\ntime_zone = \"UTC\"\n".to_owned(),
        shift("day", "nurse", &day, &night, "\"Ann\""),
        shift("night", "nurse", &night, &day, "\"Nina\""),
        shift("doctors", "doctor", "00:00", "00:00", doctors),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ladder_calls_who_is_on_duty_and_a_shift_is_taken_over_by_an_act() -> Result<()> {
    let small = Small::fast(20.0).await?;
    let clock = small.clock;
    let cli = |arguments: &[&str]| small.centre.cli(arguments);
    for (name, role) in [
        ("Ann", "nurse"),
        ("Nina", "nurse"),
        ("Dee", "doctor"),
        ("Sue", "supervisor"),
    ] {
        cli(&["person", "add", name, "--role", role])?;
    }
    cli(&["team", "add", "Home"])?;
    for name in ["Ann", "Nina"] {
        cli(&["team", "join", "Home", name])?;
    }
    cli(&["team", "take", "Home", &small.patient])?;

    // The night begins in nine minutes of the centre's time, which is half a minute here.
    let minute = clock.now().as_micros() / 60_000_000;
    let begins = u32::try_from((minute + 9) % 1440)?;
    let bad = small.file(
        "bad.toml",
        &document(begins, "\"Dee\"").replace("\"UTC\"", "\"Home/Here\""),
    )?;
    let said = small.refused(&["roster", "check", &bad])?;
    ensure!(said.contains("time_zone"), "{said}");
    let file = small.file("roster.toml", &document(begins, ""))?;
    cli(&["roster", "check", &file])?;
    cli(&["roster", "set", "Home", &file])?;
    let shown = small.told(&["roster", "show", "Home", "--json"])?;
    let of = &shown["rosters"][0];
    ensure!(
        of["now"][0]["able"] == serde_json::json!(["Ann"]),
        "{shown}"
    );
    ensure!(of["now"][1]["people"] == serde_json::json!([]), "{shown}");
    ensure!(
        of["now"][0]["handover"] == false,
        "the roster is younger: {shown}"
    );
    let status = small.centre.status()?;
    let hops: Vec<_> = status["silent"].as_array().into_iter().flatten().collect();
    ensure!(
        hops.iter()
            .any(|of| of["hop"] == "duty" && of["who"] == "Home, doctor"),
        "nobody is on duty: {status}"
    );

    let (mut up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, clock.now())?;
    up.send(Up::OpenContext(header)).await?;
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
    let climbed = wait_for("the doctor's rung, passed over", SOON, async || {
        let mut alerts = small.client.all_alerts().await?.into_iter();
        let ours = alerts.find(|alert| alert.id == urgent.id);
        Ok(ours.filter(|alert| alert.calls.len() == 3))
    })
    .await?;
    told_by_the_roster(&climbed)?;

    // The night comes.
    let shift = of["next"][0]["from_us"]
        .as_i64()
        .context("when it begins")?;
    wait_for(
        "the night",
        std::time::Duration::from_secs(90),
        async || Ok((clock.now() >= Time::from_micros(shift)).then_some(())),
    )
    .await?;
    let shown = small.told(&["roster", "show", "Home", "--json"])?;
    let turn = &shown["rosters"][0]["now"][0];
    ensure!(
        turn["shift"] == "night" && turn["handover"] == true,
        "{shown}"
    );
    ensure!(turn["leaving"] == serde_json::json!(["Ann"]), "{shown}");
    at_the_page(&small)?;
    let shown = small.told(&["handover", "--team", "Home", "--json"])?;
    let turn = &shown["rosters"][0]["now"][0];
    if !page::browser_is_absent() {
        ensure!(turn["taken_by"] == "Nina", "{shown}");
    }
    let open = [
        "nobody_answered",
        "waits_for_a_person",
        "acknowledged_and_not_over",
    ];
    let mut listed = open
        .iter()
        .flat_map(|part| shown[part].as_array().into_iter().flatten());
    ensure!(listed.any(|alert| alert["id"] == urgent.id), "{shown}");
    Ok(())
}

/// Whom the first call was for, and why the third came at once.
fn told_by_the_roster(alert: &Alert) -> Result<()> {
    let words: Vec<&str> = alert
        .comments
        .iter()
        .filter(|of| of.by == "roster")
        .map(|of| of.text.as_str())
        .collect();
    ensure!(
        words.first() == Some(&"call 1 (nurse): is for Ann (Home)"),
        "{words:?}"
    );
    ensure!(
        words.contains(
            &"call 2 (doctor): nobody is on duty in Home; the supervisor is called at once"
        ),
        "{words:?}"
    );
    let [_, second, third] = &alert.calls[..] else {
        anyhow::bail!("three calls: {:?}", alert.calls);
    };
    // By the ladder it would be three minutes.
    ensure!(third.at_us - second.at_us < 90_000_000, "{:?}", alert.calls);
    Ok(())
}

/// The same in a real browser.
fn at_the_page(small: &Small) -> Result<()> {
    if page::browser_is_absent() {
        return Ok(());
    }
    let output = std::process::Command::new("node")
        .arg(page::root().join("tests/browser/roster.mjs"))
        .env("NURSE", page::link(&small.centre, &["Nina"])?)
        .env("SUPERVISOR", page::link(&small.centre, &["Sue"])?)
        .env("SHOTS", page::shots()?)
        .output()
        .context("running node")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "roster.mjs:\n{said}{complained}");
    Ok(())
}
