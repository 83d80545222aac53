//! The page in a real browser, the demo as people run it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::centre::Centre;
use tokio::sync::{Mutex, MutexGuard};

pub(crate) fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The demo without a screen: every process, both transports, all expected alerts, nothing lost.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_with_nothing_lost_and_every_expected_alert() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let summary = folder.path().join("summary.json");
    let output = Command::new(e2e::process::program("demo")?)
        .args(["--headless", "--no-build", "--seconds", "85"])
        .arg("--summary")
        .arg(&summary)
        .arg("--dir")
        .arg(folder.path().join("data"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the demo failed:\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&summary)?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    ensure!(
        json["lost"] == 0 && json["duplicated"] == 0 && json["declared_gaps"] == 0,
        "{text}"
    );
    eprintln!("{text}");
    Ok(())
}

/// Says what is missing, if a real browser cannot be run here.
pub(crate) fn browser_is_absent() -> bool {
    let browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
    let there = [
        (
            "chromium",
            browsers.iter().any(|path| Path::new(path).exists()),
        ),
        (
            "tests/browser/node_modules",
            root().join("tests/browser/node_modules").exists(),
        ),
        (
            "aggregator/web/node_modules",
            root().join("aggregator/web/node_modules").exists(),
        ),
    ];
    for (what, _) in there.iter().filter(|(_, there)| !there) {
        eprintln!("skipped: {what} is absent: run `tests/run install`");
    }
    there.iter().any(|(_, there)| !there)
}

/// For a story that needs one from its begin: two at once leave neither of them, on two cores, time for what should come at
/// once. `None`: it cannot be run here.
pub(crate) async fn browser() -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    if browser_is_absent() {
        return None;
    }
    Some(ALONE.lock().await)
}

/// Where screenshots are left for people; never committed.
pub(crate) fn shots() -> Result<std::path::PathBuf> {
    let shots = root().join("target/screenshots");
    std::fs::create_dir_all(&shots)?;
    Ok(shots)
}

/// Everything that a monitoring team does in a night, by keyboard, and 5,000 patients: the page as it is built, before a
/// centre that is made up for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_night_is_done_at_the_page_by_keyboard_and_thousands_do_not_slow_it() -> Result<()> {
    let Some(_alone) = browser().await else {
        return Ok(());
    };
    let run = |mode: &[&str]| -> Result<String> {
        let output = Command::new("node")
            .arg(root().join("tests/browser/night.mjs"))
            .args(mode)
            .env("SHOTS", shots()?)
            .output()
            .context("running node")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "night.mjs {mode:?}:\n{said}{complained}"
        );
        Ok(said)
    };
    run(&["--negative-control"])?;
    eprintln!("{}", run(&[])?);
    Ok(())
}

/// A patient's page is put on paper: written down first, or not printed; who printed it is on each sheet.
#[tokio::test(flavor = "multi_thread")]
async fn a_patients_page_on_paper_says_who_printed_it_and_is_written_down_first() -> Result<()> {
    let Some(_alone) = browser().await else {
        return Ok(());
    };
    if !Path::new("/usr/bin/pdftotext").exists() {
        eprintln!(
            "skipped: poppler-utils reads the sheets back, and is not here: tests/run install"
        );
        return Ok(());
    }
    let output = Command::new("node")
        .arg(root().join("tests/browser/paper.mjs"))
        .env("SHOTS", shots()?)
        .output()
        .context("running node")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "paper.mjs:\n{said}{complained}");
    Ok(())
}

/// A one-time link for somebody who was added, or a patient.
pub(crate) fn link(centre: &Centre, whom: &[&str]) -> Result<String> {
    let said = centre.cli(&[&["sign-in"], whom].concat())?;
    let mut words = said.split_whitespace();
    let link = words.find(|word| word.starts_with("https://"));
    Ok(link.context("a link")?.to_owned())
}

/// Two patients, and a nurse who looks after one of them: link, passkey, lock, a copied passkey, another session ended; her
/// patient pauses at a page of their own; then her phone is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_nurse_signs_in_with_a_passkey_and_sees_the_patients_of_her_team_alone() -> Result<()> {
    let Some(_alone) = browser().await else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    centre.start().await?;
    let own = centre.add_patient("Own Patient")?;
    let other = centre.add_patient("Other Patient")?;
    for command in [
        ["person", "add", "Nina", "--role", "nurse"].as_slice(),
        &["team", "add", "Ward"],
        &["person", "add", "Dora", "--role", "doctor"],
        &["team", "join", "Ward", "nina"],
        &["team", "join", "Ward", "dora"],
        &["team", "take", "Ward", &own],
    ] {
        centre.cli(command)?;
    }
    let output = Command::new("node")
        .arg(root().join("tests/browser/signin.mjs"))
        .env("PAGE", centre.ready()?.page.trim_end_matches('/'))
        .env("SIGN_IN", link(&centre, &["Nina"])?)
        .env("DOCTOR", link(&centre, &["Dora"])?)
        .env("OTHER", &other)
        .env("PATIENT_LINK", link(&centre, &["--patient", &own])?)
        .env("SHOTS", shots()?)
        .output()
        .context("running node")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "signin.mjs:\n{said}{complained}");
    eprintln!("{said}");
    let json = |command: &[&str]| -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&centre.cli(command)?)?)
    };
    let people = json(&["person", "list", "--json"])?;
    let expected = serde_json::json!({"people": [
        {"name": "Dora", "role": "doctor", "teams": ["Ward"], "passkeys": 0, "password": false, "subject": "", "browsers": 0},
        {"name": "Nina", "role": "nurse", "teams": ["Ward"], "passkeys": 1, "password": true, "subject": "", "browsers": 0}
    ]});
    ensure!(people == expected, "{people}");
    let teams = json(&["team", "list", "--json"])?;
    let expected = serde_json::json!({"teams": [{"name": "Ward", "people": ["Dora", "Nina"], "patients": [own]}]});
    ensure!(teams == expected, "{teams}");
    let patients = json(&["patient", "list", "--json"])?;
    let paused = patients["patients"].as_array().context("a list")?.iter();
    let paused: Vec<_> = paused
        .filter(|of| of["collection"] == "paused")
        .map(|of| &of["patient"])
        .collect();
    ensure!(paused == [own.as_str()], "{patients}");
    let of_nina = ["session", "list", "--json", "--person", "Nina"];
    let sessions = json(&of_nina)?;
    let sessions = sessions["sessions"].to_string();
    for how in ["\"how\":\"passkey\"", "\"how\":\"password\""] {
        ensure!(sessions.contains(how), "{sessions}");
    }
    let said = centre.cli(&["person", "reset", "Nina"])?;
    ensure!(
        said.starts_with("1 passkeys and the password are"),
        "{said}"
    );
    let sessions = json(&of_nina)?;
    ensure!(
        sessions == serde_json::json!({"sessions": []}),
        "{sessions}"
    );
    let people = json(&["person", "list", "--json"])?;
    let nina = &people["people"][1];
    ensure!(
        nina["passkeys"] == 0 && nina["password"] == false,
        "{people}"
    );
    ensure!(
        centre.cli(&["sign-in", "nobody"]).is_err(),
        "a link for who was not added"
    );
    centre.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_patient_to_the_signed_in_only() -> Result<()> {
    let Some(_alone) = browser().await else {
        return Ok(());
    };
    let (_folder, mut world) =
        crate::paths::quiet_world("falling.toml", 20.0, e2e::gateway::Uplink::Mqtt).await?;
    world.start()?;
    world
        .gateway("home")?
        .wait_decoded(40, crate::paths::LONG)
        .await?;
    let page = world.centre.ready()?.page.clone();
    world
        .centre
        .cli(&["person", "add", "browser", "--role", "supervisor"])?;
    let shots = shots()?;
    let run = |mode: &[&str]| -> Result<()> {
        let link = link(&world.centre, &["browser"])?;
        let output = Command::new("node")
            .arg(root().join("tests/browser/page.mjs"))
            .args(mode)
            .env("PAGE", &page)
            .env("SIGN_IN", &link)
            .env("SHOTS", &shots)
            .output()
            .context("running node")?;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(output.status.success(), "page.mjs {mode:?}:\n{said}");
        Ok(())
    };
    run(&["--negative-control"])?;
    run(&[])
}
