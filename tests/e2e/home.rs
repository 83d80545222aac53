//! Life in the field: what a support person asks a gateway, and what it says.

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::gateway::{Gateway, Uplink};
use e2e::process::program;
use e2e::proxy::Weather;
use e2e::wait::wait_for;
use proto::v1;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// `doctor --json` at a gateway: its exit code and its findings.
fn doctor(gateway: &Gateway) -> Result<(i32, Value)> {
    let output = Command::new(program("vitaltwin-agent")?)
        .arg("--dir")
        .arg(gateway.agent_dir())
        .args(["doctor", "--json"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", gateway.bus().address())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).with_context(|| format!("no report: {text}"))?;
    Ok((output.status.code().context("killed")?, report))
}

/// The line of a report about one thing.
fn line<'a>(report: &'a Value, check: &str) -> Result<&'a Value> {
    let findings = report["findings"].as_array().context("findings")?;
    let line = findings.iter().find(|finding| finding["check"] == check);
    line.with_context(|| format!("nothing about {check} in {report:#}"))
}

fn expect(report: &Value, check: &str, verdict: &str, words: &str) -> Result<()> {
    let line = line(report, check)?;
    let said = format!("{} {}", line["found"], line["remedy"]);
    ensure!(
        line["verdict"] == verdict && said.contains(words),
        "{check}: expected {verdict} with {words:?}:\n{report:#}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_wrong_and_says_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    centre.start().await?;
    let gateway = Gateway::new(&folder.path().join("home"), Uplink::Grpc, &[]).await?;
    let (code, report) = doctor(&gateway)?;
    ensure!(code == 1, "never enrolled: {report:#}");
    expect(&report, "identity", "fail", "not enrolled")?;

    let (token, _) = centre.token("home")?;
    gateway.enrol(&token)?;
    let (_, report) = doctor(&gateway)?;
    for check in ["config", "folder", "identity", "certificate"] {
        expect(&report, check, "ok", "")?;
    }
    expect(&report, "centre", "ok", "trusted")?;
    expect(&report, "clock", "ok", "agrees with the centre's")?;
    // This bus has no bluetoothd.
    expect(&report, "radio", "fail", "bluetoothd")?;

    // Another centre at that address: not the one that this gateway was enrolled at.
    let address = centre.ready()?.grpc;
    let mut stranger = Centre::init(&folder.path().join("stranger"), &[])?;
    let door = stranger.start().await?.grpc;
    gateway.configure(&format!("grpc_address = \"localhost:{}\"\n", door.port()))?;
    let (code, report) = doctor(&gateway)?;
    ensure!(code == 1, "{report:#}");
    expect(
        &report,
        "centre",
        "fail",
        "not the centre of this enrolment",
    )?;

    // The centre is off; keys lie open; the configuration has a slip.
    centre.kill()?;
    gateway.configure(&format!(
        "grpc_address = \"localhost:{}\"\n",
        address.port()
    ))?;
    let key = gateway.agent_dir().join("identity/key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644))?;
    let (_, report) = doctor(&gateway)?;
    expect(&report, "centre", "fail", "cannot be reached")?;
    expect(&report, "clock", "warn", "")?;
    expect(&report, "folder", "fail", "chmod")?;
    gateway.configure("heartbeat_s = 1\n")?;
    let (_, report) = doctor(&gateway)?;
    expect(&report, "config", "fail", "heartbeat_s")
}

const LOW: &str = "oxygen_saturation_low";

/// The centre's alerts of the condition that this story is about, resolved ones too.
async fn central(client: &e2e::client::Client) -> Result<Vec<v1::Alert>> {
    let mut alerts = client.all_alerts().await?;
    alerts.retain(|alert| alert.condition == LOW);
    Ok(alerts)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_centre_is_away_the_gateway_rings_and_afterwards_the_alert_is_one() -> Result<()>
{
    let rung = tempfile::NamedTempFile::new()?;
    let script = tempfile::NamedTempFile::new()?;
    let text = format!("echo \"$@\" >> {}\n", rung.path().display());
    std::fs::write(script.path(), text)?;
    let config = format!(
        "survival_hook = [\"/bin/sh\", \"{}\"]\nsurvival_words = \"Please call 0800 4711.\"\n",
        script.path().display()
    );
    let (folder, mut world, proxy) =
        crate::paths::world_behind_proxy("survive.toml", 60.0, Uplink::Grpc, &config).await?;
    let client = world.centre.client().await?;
    wait_for("first readings", crate::paths::LONG, async || {
        Ok((world.centre.status()?["readings_applied"].as_u64() > Some(20)).then_some(()))
    })
    .await?;
    proxy.set(Weather {
        cut: true,
        ..Weather::default()
    });
    let lines = || std::fs::read_to_string(rung.path()).unwrap_or_default();
    wait_for("the gateway to ring", crate::paths::LONG, async || {
        Ok((lines() == format!("raised {LOW}\n")).then_some(()))
    })
    .await?;
    // The status is written every second.
    wait_for("the status to say so", crate::paths::LONG, async || {
        let status = world.gateway("home")?.status().context("a status")?;
        let says = status["centre_silent"] == true && status["alerts_here"] == 1;
        Ok(says.then_some(()))
    })
    .await?;
    ensure!(
        central(&client).await?.is_empty(),
        "the negative control: the centre cannot know"
    );
    let patient = world.patients.values().next().context("one")?.clone();
    let status = world.gateway("home")?.status().context("a status")?;
    let secrets = [patient.as_str(), "C0:00:00:00:03:01", LOW, "sensor"];
    let page = Browser::open(&status["page"], &secrets).await?;
    proxy.set(Weather::default());
    wait_for("the centre to take over", crate::paths::LONG, async || {
        Ok(lines()
            .ends_with(&format!("handed-over {LOW}\n"))
            .then_some(()))
    })
    .await?;
    wait_for("the backlog to arrive", crate::paths::LONG, async || {
        let gateway = world.gateway("home")?;
        let quiet = gateway.count("/alerts_here") == 0 && gateway.count("/buffer/records") < 20;
        Ok(quiet.then_some(()))
    })
    .await?;
    let alerts = central(&client).await?;
    let [alert] = alerts.as_slice() else {
        anyhow::bail!("one alert, not {alerts:#?}");
    };
    ensure!(
        alert.told_locally_us > 0,
        "it is the one that the home was told of: {alert:#?}"
    );
    ensure!(alert.onset_us < alert.told_locally_us && alert.told_locally_us < alert.raised_us);
    ensure!(alert.priority() == v1::Priority::High && !alert.retrospective);
    ensure!(alert.state() == v1::AlertState::Active, "it still holds");
    ensure!(
        lines().lines().count() == 2,
        "rung once, handed over once: {}",
        lines()
    );

    page.close().await?;

    // The log can be read aloud: whom to call is in it, and nothing about the patient.
    let log = std::fs::read_to_string(folder.path().join("home/agent.log"))?;
    ensure!(log.contains("Please call 0800 4711."), "{log}");
    speaks_of_no_patient(&log, &[&patient, "C0:00:00:00:03:01"])
}

/// A person at home who looks at the gateway's page all the time.
struct Browser(Option<tokio::process::Child>);

impl Browser {
    /// Opens the page while help is needed, and has looked at it when this returns.
    async fn open(address: &Value, secrets: &[&str]) -> Result<Self> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let tests = root.join("tests/browser");
        if !std::path::Path::new("/usr/bin/chromium").exists()
            || !tests.join("node_modules").exists()
        {
            eprintln!("skipped: the status page in a browser: run `tests/run install`");
            return Ok(Self(None));
        }
        let shots = root.join("target/screenshots");
        std::fs::create_dir_all(&shots)?;
        let address = address.as_str().context("the page's address")?;
        let mut child = tokio::process::Command::new("node")
            .arg(tests.join("gateway.mjs"))
            .env("PAGE", format!("http://{address}"))
            .env("SHOTS", shots)
            .env("FIRST", "Please call 0800 4711.")
            .env("THEN", "Everything is working")
            .env("SECRETS", secrets.join(","))
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("running node")?;
        let mut said = String::new();
        let mut out = tokio::io::BufReader::new(child.stdout.take().context("piped")?);
        tokio::io::AsyncBufReadExt::read_line(&mut out, &mut said).await?;
        ensure!(said.trim() == "surveyed", "gateway.mjs: see above");
        Ok(Self(Some(child)))
    }

    /// Has seen the page change by itself.
    async fn close(self) -> Result<()> {
        if let Some(mut child) = self.0 {
            let status = child.wait().await?;
            ensure!(status.success(), "gateway.mjs: see above");
        }
        Ok(())
    }
}

/// Nothing in a log may be about a patient: no id, no device, no condition, no kind of measurement.
fn speaks_of_no_patient(log: &str, secrets: &[&str]) -> Result<()> {
    let words = [
        LOW,
        "saturation",
        "oxygen",
        "spo2",
        "heart",
        "pulse",
        "alone",
        "bpm",
        "fibrillation",
    ];
    let lower = log.to_lowercase();
    for word in words.iter().chain(secrets) {
        ensure!(
            !lower.contains(&word.to_lowercase()),
            "the log says {word:?}:\n{log}"
        );
    }
    Ok(())
}

#[test]
fn a_log_that_betrays_would_be_noticed() {
    let said = "WARN vitaltwin_agent: SpO2 84 % of C0:00:00:00:03:01";
    assert!(speaks_of_no_patient(said, &[]).is_err());
    assert!(
        speaks_of_no_patient(
            "WARN line lost to C0:00:00:00:03:01",
            &["c0:00:00:00:03:01"]
        )
        .is_err()
    );
    assert!(speaks_of_no_patient("INFO line to the centre", &["p-1"]).is_ok());
}

/// Runs a program and gives what it said.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}:\n{text}\n{errors}");
    Ok(text)
}

#[test]
fn the_debian_package_is_whole_and_purging_it_leaves_no_secret() -> Result<()> {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        eprintln!("skipped: no dpkg-deb on this machine");
        return Ok(());
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir()?;
    // What the program is does not matter here, and a small one packs at once.
    let build = || {
        let mut command = Command::new(root.join("agent/package/build"));
        said(command.arg("/bin/true").arg(folder.path()))
    };
    let package = build()?.trim().to_owned();
    let first = std::fs::read(&package)?;
    build()?;
    ensure!(
        first == std::fs::read(&package)?,
        "the same input gives the same bytes"
    );
    let info = said(Command::new("dpkg-deb").args(["--info", &package]))?;
    for part in [
        "Package: vitaltwin-agent",
        "Depends: ",
        "conffiles",
        "postinst",
        "prerm",
        "postrm",
    ] {
        ensure!(info.contains(part), "{part}:\n{info}");
    }
    let contents = said(Command::new("dpkg-deb").args(["--contents", &package]))?;
    for part in [
        "-rwxr-xr-x root/root",
        "./usr/bin/vitaltwin-agent",
        "./lib/systemd/system/vitaltwin-agent.service",
        "./etc/vitaltwin-agent/config.toml",
        "./usr/share/doc/vitaltwin-agent/copyright",
    ] {
        ensure!(contents.contains(part), "{part}:\n{contents}");
    }
    // Its scripts, as dpkg runs them on another root.
    let (control, system) = (folder.path().join("control"), folder.path().join("root"));
    said(
        Command::new("dpkg-deb")
            .arg("-e")
            .arg(&package)
            .arg(&control),
    )?;
    said(
        Command::new("dpkg-deb")
            .arg("-x")
            .arg(&package)
            .arg(&system),
    )?;
    let script = |name: &str, argument: &str| {
        said(
            Command::new(control.join(name))
                .arg(argument)
                .env("DPKG_ROOT", &system),
        )
    };
    script("postinst", "configure")?;
    let state = system.join("var/lib/vitaltwin-agent");
    let mode = std::fs::metadata(&state)?.permissions().mode() & 0o777;
    ensure!(mode == 0o700, "the state is private: {mode:o}");
    std::fs::create_dir(state.join("identity"))?;
    std::fs::write(state.join("identity/key.pem"), "a secret")?;
    // The negative control: removing keeps what is buffered and who this gateway is.
    script("prerm", "remove")?;
    script("postrm", "remove")?;
    ensure!(state.join("identity/key.pem").exists());
    script("postrm", "purge")?;
    ensure!(!state.exists() && !system.join("etc/vitaltwin-agent").exists());
    Ok(())
}

#[test]
fn the_service_has_few_privileges() -> Result<()> {
    let unit =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/vitaltwin-agent.service");
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    match command.arg(&unit).output() {
        Err(_) => eprintln!("skipped: no systemd-analyze on this machine"),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            ensure!(output.status.success(), "exposed by more than 2.0:\n{text}");
            eprintln!("{}", text.lines().last().unwrap_or_default());
        }
    }
    Ok(())
}
