//! Both programs as services: what they tell the service manager, their packages under the real dpkg, and the centre's
//! doctor.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::gateway::{Gateway, Uplink};
use e2e::process::program;
use e2e::wait::wait_for;

use crate::paths::{LONG, one_patient};

/// The next word to the service manager within that time.
fn hear(manager: &UnixDatagram, within: Duration) -> Result<Option<String>> {
    manager.set_read_timeout(Some(within))?;
    let mut bytes = [0; 1024];
    match manager.recv(&mut bytes) {
        Ok(length) => Ok(Some(String::from_utf8_lossy(&bytes[..length]).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits for a word with this beginning; what was said before it.
fn hear_until(manager: &UnixDatagram, beginning: &str) -> Result<Vec<String>> {
    let end = Instant::now() + LONG;
    let mut before = Vec::new();
    while Instant::now() < end {
        match hear(manager, Duration::from_secs(1))? {
            Some(word) if word.starts_with(beginning) => return Ok(before),
            Some(word) => before.push(word),
            None => {}
        }
    }
    anyhow::bail!("{beginning} was never said, but: {before:?}")
}

/// The real agent at a real socket, as the unit's `Type=notify` and `WatchdogSec` have it.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_ready_alive_and_stopping() -> Result<()> {
    let (folder, mut world) = one_patient(Uplink::Grpc).await?;
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket)?;
    let patient = world.patients.values().next().context("one")?.clone();
    let home = world.gateway("home")?;
    home.set_agent_envs(&[("NOTIFY_SOCKET".into(), socket.display().to_string())]);
    home.start_agent()?;
    let before = hear_until(&manager, "READY=1")?;
    ensure!(before.is_empty(), "said before it was ready: {before:?}");
    for _ in 0..3 {
        let word = hear(&manager, LONG)?.context("the watchdog was not fed")?;
        let told = word.strip_prefix("WATCHDOG=1\nSTATUS=");
        let told = told.with_context(|| format!("no word of life: {word}"))?;
        ensure!(!told.contains(&patient), "{told}");
    }
    // The negative control: an agent that stands still feeds nobody, so its manager would end it.
    let agent = home.agent()?.id().to_string();
    let signal = |name: &str| Command::new("kill").args([name, &agent]).status();
    signal("-STOP")?;
    while hear(&manager, Duration::from_millis(100))?.is_some() {}
    let silent = hear(&manager, Duration::from_secs(3))?;
    ensure!(silent.is_none(), "a stopped agent said {silent:?}");
    signal("-CONT")?;
    hear_until(&manager, "WATCHDOG=1")?;
    home.stop_agent()?;
    hear_until(&manager, "STOPPING=1").map(drop)
}

/// No stick, no daemon, for days: that must not cost a process a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_radio_that_is_not_there_is_tried_ever_more_seldom() -> Result<()> {
    let (_folder, mut world) = one_patient(Uplink::Grpc).await?;
    let home = world.gateway("home")?;
    home.start_agent()?;
    let number = Gateway::count;
    wait_for("the radio's trouble", LONG, async || {
        Ok((number(home, "/radio_restarts/trouble") > 0).then_some(()))
    })
    .await?;
    // The clock runs ten times as fast: pauses of 1, 2, 4, 8, 16, 32 and 60 seconds.
    let (began, two_minutes) = (number(home, "/written_us"), 120_000_000);
    wait_for("two minutes without a radio", LONG, async || {
        Ok((number(home, "/written_us") > began + two_minutes).then_some(()))
    })
    .await?;
    let restarts = number(home, "/radio_restarts/trouble");
    ensure!(
        (4..=12).contains(&restarts),
        "{restarts} workers in two minutes"
    );
    Ok(())
}

/// The real centre, likewise; and its doctor, before, while and after it runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_centre_tells_its_service_manager_and_its_doctor_how_it_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket)?;
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    let said = centre
        .cli(&["doctor"])
        .err()
        .context("there is no journal yet")?;
    ensure!(format!("{said:#}").contains("fail  journal"), "{said:#}");
    ensure!(
        centre
            .cli(&["run", "--check"])?
            .contains("disk_free_min_mib = 256")
    );

    centre.set_envs(&[("NOTIFY_SOCKET".into(), socket.display().to_string())]);
    centre.start().await?;
    let before = hear_until(&manager, "READY=1")?;
    ensure!(before.is_empty(), "said before it was ready: {before:?}");
    let word = hear(&manager, LONG)?.context("the watchdog was not fed")?;
    ensure!(word == "WATCHDOG=1\nSTATUS=0 gateways connected", "{word}");
    let name = "A. Nobody Knows";
    let patient = centre.cli(&["patient", "add", "--name", name])?;
    // The harness made the folder, and everybody may look into it.
    let said = format!(
        "{:#}",
        centre
            .cli(&["doctor"])
            .err()
            .context("others can read it")?
    );
    ensure!(
        said.contains("fail  folder") && said.contains("chmod"),
        "{said}"
    );
    std::fs::set_permissions(centre.dir(), std::fs::Permissions::from_mode(0o700))?;
    let report = centre.cli(&["doctor"])?;
    ensure!(report.contains("it runs, version"), "{report}");
    ensure!(!report.contains("fail"), "{report}");
    ensure!(
        !report.contains(name) && !report.contains(&patient),
        "{report}"
    );
    centre.stop()?;
    hear_until(&manager, "STOPPING=1")?;
    let json: serde_json::Value = serde_json::from_str(&centre.cli(&["doctor", "--json"])?)?;
    ensure!(json["verdict"] == "warn", "it does not run: {json}");

    // Each of these is found, with its name; mended, all is well again.
    let dir = centre.dir().to_owned();
    let key = dir.join("serve.key");
    std::fs::rename(&key, dir.join("hidden"))?;
    let said = format!(
        "{:#}",
        centre.cli(&["doctor"]).err().context("a key is gone")?
    );
    ensure!(
        said.contains("fail  keys") && said.contains("serve"),
        "{said}"
    );
    std::fs::rename(dir.join("hidden"), &key)?;
    let config = dir.join("config.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace("max_connections", "max_conections"))?;
    let said = format!(
        "{:#}",
        centre
            .cli(&["run", "--check"])
            .err()
            .context("a typing error")?
    );
    ensure!(said.contains("max_conections"), "{said}");
    std::fs::write(&config, text)?;
    let (journal, log) = (
        dir.join("store/journal.db"),
        dir.join("store/journal.db-wal"),
    );
    let whole = (
        std::fs::read(&journal)?,
        std::fs::read(&log).unwrap_or_default(),
    );
    let mut torn = whole.0.clone();
    torn[4096..].fill(0x5A);
    std::fs::write(&journal, torn)?;
    std::fs::write(&log, "")?;
    let said = centre.cli(&["doctor"]).err().context("a torn journal")?;
    let said = format!("{said:#}");
    ensure!(said.contains("fail  journal"), "{said}");
    std::fs::write(&journal, whole.0)?;
    std::fs::write(&log, whole.1)?;
    centre.cli(&["doctor"]).map(drop)
}

/// A root file system with nothing but a package database, and the package that is tried in it.
struct Root(PathBuf, &'static str);

impl Root {
    fn new(at: PathBuf, package: &'static str) -> Result<Self> {
        for folder in ["info", "updates", "triggers"] {
            std::fs::create_dir_all(at.join("var/lib/dpkg").join(folder))?;
        }
        for file in ["status", "available"] {
            std::fs::write(at.join("var/lib/dpkg").join(file), "")?;
        }
        Ok(Self(at, package))
    }

    /// What dpkg did and said. Scripts run outside with `DPKG_ROOT`, since there is no shell inside; dependencies are
    /// not there either.
    fn dpkg(&self, args: &[&str]) -> Result<(bool, String)> {
        let done = Command::new("dpkg")
            .arg(format!("--root={}", self.0.display()))
            .args([
                "--force-script-chrootless",
                "--force-depends",
                "--force-confold",
            ])
            .args(args)
            .output()
            .context("dpkg")?;
        let said = [done.stdout, done.stderr].concat();
        Ok((
            done.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    }

    /// The same where it must succeed.
    fn done(&self, args: &[&str]) -> Result<()> {
        let (done, said) = self.dpkg(args)?;
        ensure!(done, "dpkg {args:?}: {said}");
        Ok(())
    }

    /// dpkg's own two letters for the package, "ii" if all is well.
    fn state(&self) -> Result<String> {
        let (_, said) = self.dpkg(&["-l", self.1])?;
        let name = format!(" {} ", self.1);
        let line = said.lines().find(|line| line.contains(&name));
        Ok(line.map_or_else(String::new, |line| line[..2].to_owned()))
    }

    /// What systemd finds wrong with our unit beside its own ones; empty: nothing.
    fn verify(&self) -> Result<Option<String>> {
        let units = self.0.join("lib/systemd/system");
        if !Path::new("/lib/systemd/system").is_dir() {
            return Ok(None);
        }
        let copied = Command::new("cp")
            .arg("-r")
            .arg("/lib/systemd/system/.")
            .arg(&units)
            .status()?;
        ensure!(
            copied.success(),
            "the units of this machine were not copied"
        );
        let found = Command::new("systemd-analyze")
            .args([
                "verify",
                &format!("--root={}", self.0.display()),
                &format!("{}.service", self.1),
            ])
            .output();
        Ok(found
            .ok()
            .map(|found| String::from_utf8_lossy(&found.stderr).into_owned()))
    }
}

/// Builds a package and installs it; `None`, said why, where this machine cannot.
fn installed(folder: &Path, build: &str, name: &'static str) -> Result<Option<(Root, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = Command::new(root.join(build))
        .arg("/bin/true")
        .arg(folder)
        .output()?;
    if !built.status.success() {
        let why = String::from_utf8_lossy(&built.stderr);
        eprintln!("skipped: no package can be built here ({})", why.trim());
        return Ok(None);
    }
    let package = String::from_utf8_lossy(&built.stdout).trim().to_owned();
    let system = Root::new(folder.join("root"), name)?;
    let (installed, said) = system.dpkg(&["-i", &package])?;
    if !installed && said.contains("superuser") {
        eprintln!("skipped: dpkg installs for root alone");
        return Ok(None);
    }
    ensure!(installed && system.state()? == "ii", "{said}");
    Ok(Some((system, package)))
}

/// systemd finds nothing wrong with the package's unit, and would find a wrong word in it.
fn the_unit_is_right(system: &Root) -> Result<()> {
    let Some(found) = system.verify()? else {
        eprintln!("skipped: no systemd on this machine that could look at the unit");
        return Ok(());
    };
    ensure!(found.is_empty(), "systemd says: {found}");
    let unit = system
        .0
        .join("lib/systemd/system")
        .join(format!("{}.service", system.1));
    let text = std::fs::read_to_string(&unit)?;
    std::fs::write(&unit, text.replace("WatchdogSec=60", "WatchdogSec=sixty"))?;
    let found = system.verify()?.unwrap_or_default();
    ensure!(found.contains("sixty"), "control: {found:?}");
    Ok(())
}

#[test]
fn the_package_installs_upgrades_and_purges_under_dpkg() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some((system, package)) =
        installed(folder.path(), "agent/package/build", "vitaltwin-agent")?
    else {
        return Ok(());
    };
    let state = system.0.join("var/lib/vitaltwin-agent");
    let config = system.0.join("etc/vitaltwin-agent/config.toml");
    std::fs::create_dir(state.join("identity"))?;
    std::fs::write(state.join("identity/key.pem"), "a secret")?;
    // What the operator wrote is kept, and so is that they deleted it.
    std::fs::write(&config, "heartbeat_s = 60\n")?;
    system.done(&["-i", &package])?;
    ensure!(std::fs::read_to_string(&config)? == "heartbeat_s = 60\n");
    std::fs::remove_file(&config)?;
    system.done(&["-i", &package])?;
    ensure!(
        system.state()? == "ii" && !config.exists(),
        "{}",
        system.state()?
    );

    the_unit_is_right(&system)?;
    system.done(&["-r", "vitaltwin-agent"])?;
    ensure!(
        state.join("identity/key.pem").exists(),
        "removing is not purging"
    );
    system.done(&["-P", "vitaltwin-agent"])?;
    ensure!(system.state()? != "ii" && !state.exists());
    let left = system.0.join("etc/vitaltwin-agent").exists()
        || system.0.join("usr/bin/vitaltwin-agent").exists();
    ensure!(!left, "purging left something");
    Ok(())
}

/// Operators type `vitaltwin`: the program speaks of itself by the name that was typed, so that what it says can be typed again.
#[test]
fn the_program_has_the_name_that_was_typed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = std::path::absolute(program("vitaltwin-aggregator")?)?;
    for name in ["vitaltwin", "vitaltwin-aggregator"] {
        std::os::unix::fs::symlink(&program, folder.path().join(name))?;
    }
    for (name, other) in [
        ("vitaltwin", Some("vitaltwin-aggregator")),
        ("vitaltwin-aggregator", None),
    ] {
        let said = |arguments: &[&str]| -> Result<String> {
            let done = Command::new(folder.path().join(name))
                .args(arguments)
                .output()
                .with_context(|| format!("{name} {arguments:?}"))?;
            Ok(String::from_utf8(done.stdout)? + &String::from_utf8(done.stderr)?)
        };
        for (arguments, expected) in [
            (&["--help"][..], format!("Usage: {name} ")),
            (&["alert", "--help"], format!("Usage: {name} alert ")),
            (&["--version"], format!("{name} ")),
            (&["completions", "bash"], format!("-o default {name}\n")),
            (
                &["--dir", "/nonexistent", "run"],
                format!("`{name} --dir /nonexistent init`"),
            ),
        ] {
            let text = said(arguments)?;
            ensure!(text.contains(&expected), "{name} {arguments:?}: {text}");
            let other = other.filter(|other| text.contains(other));
            ensure!(other.is_none(), "{name} {arguments:?} says {other:?}");
        }
    }
    Ok(())
}

#[test]
fn the_centres_package_never_removes_what_it_knows_of_patients() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let built = installed(
        folder.path(),
        "aggregator/package/build",
        "vitaltwin-aggregator",
    )?;
    let Some((system, package)) = built else {
        return Ok(());
    };
    let typed = std::fs::read_link(system.0.join("usr/bin/vitaltwin"))?;
    ensure!(typed == Path::new("vitaltwin-aggregator"), "{typed:?}");
    let state = system.0.join("var/lib/vitaltwin");
    std::fs::create_dir(state.join("vault"))?;
    std::fs::write(state.join("config.toml"), "")?;
    std::fs::write(state.join("vault/kek"), "a secret")?;
    system.done(&["-i", &package])?;
    the_unit_is_right(&system)?;
    let (removed, said) = system.dpkg(&["-P", "vitaltwin-aggregator"])?;
    ensure!(removed && system.state()? != "ii", "{said}");
    ensure!(
        state.join("vault/kek").exists(),
        "a purge must not lose patients' keys"
    );
    ensure!(said.contains("stay in"), "and it says so: {said}");
    let left = system.0.join("usr/bin/vitaltwin-aggregator").exists()
        || system.0.join("usr/bin/vitaltwin").is_symlink()
        || system
            .0
            .join("lib/systemd/system/vitaltwin-aggregator.service")
            .exists();
    ensure!(!left, "purging left a program");
    Ok(())
}
