//! Programs of others that do a part of the agent's job, run in the same minute on the same feed.
//!
//! Each gets a bus and wearables of its own from the same scenario and seed, so it hears the same octets at the same time
//! and does not disturb the agent's links. What is missing here (Python packages, a broker) is said and left out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::demo::stage::root;
use crate::gateway::{Bench, Gateway, Uplink};
use crate::process::Process;
use crate::wait::wait_for;

/// Longest wait for a peer's first value; it scans for two seconds first.
const FIRST: Duration = Duration::from_secs(60);

/// A running peer and what it hangs on.
#[derive(Debug)]
pub struct Peer {
    /// What it is.
    pub name: &'static str,
    /// From its start to its first value; `None` if it has none.
    pub first: Option<Duration>,
    process: Process,
    _home: Gateway,
    _broker: Option<Process>,
}

impl Peer {
    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// bleak and paho-mqtt on all devices of a scenario.
    ///
    /// # Errors
    /// When it does not start; says what is missing.
    pub async fn bleak(dir: &Path, bench: &Bench<'_>, addresses: &[String]) -> Result<Self> {
        let python = python()?;
        let (home, broker, port) = surroundings(dir, bench).await?;
        let script = root()?.join("tests/foreign/bleak_gateway.py");
        let mut args = vec![script.display().to_string(), port.to_string()];
        args.extend(addresses.iter().cloned());
        let began = Instant::now();
        let mut process = start(&python, &args, dir, &home)?;
        let mut first = None;
        wait_for("values of all devices at the peer", FIRST, async || {
            let log = process.log();
            if first.is_none() && log.contains("first\n") {
                first = Some(began.elapsed());
            }
            anyhow::ensure!(process.ended()?.is_none(), "it ended: {}", process.tail());
            Ok(log.contains("all\n").then_some(()))
        })
        .await?;
        let name = "bleak + paho-mqtt";
        Ok(Self {
            name,
            first,
            process,
            _home: home,
            _broker: broker,
        })
    }

    /// Theengs gateway, which hears adverts alone.
    ///
    /// # Errors
    /// When it does not start; says what is missing.
    pub async fn theengs(dir: &Path, bench: &Bench<'_>) -> Result<Self> {
        let python = python()?;
        let (home, broker, port) = surroundings(dir, bench).await?;
        anyhow::ensure!(port > 0, "it needs a broker: apt-get install mosquitto");
        let port = port.to_string();
        let args = ["-m", "TheengsGateway", "-H", "127.0.0.1", "-P", &port];
        let args: Vec<String> = args.map(str::to_owned).into();
        let mut process = start(&python, &args, dir, &home)?;
        tokio::time::sleep(Duration::from_secs(8)).await;
        anyhow::ensure!(process.ended()?.is_none(), "it ended: {}", process.tail());
        let name = "Theengs gateway";
        Ok(Self {
            name,
            first: None,
            process,
            _home: home,
            _broker: broker,
        })
    }
}

fn start(python: &Path, args: &[String], dir: &Path, home: &Gateway) -> Result<Process> {
    let envs = [
        ("DBUS_SYSTEM_BUS_ADDRESS", home.bus().address().to_owned()),
        ("HOME", dir.display().to_string()),
    ];
    let envs = envs.map(|(name, value)| (name.to_owned(), value));
    Process::start("peer", python, args, &envs, &dir.join("peer.log"))
}

/// A bus with wearables, and a broker with its port; port 0 if there is none.
async fn surroundings(dir: &Path, bench: &Bench<'_>) -> Result<(Gateway, Option<Process>, u16)> {
    let mut home = Gateway::new(dir, Uplink::Mqtt, &[]).await?;
    home.start_wearables(bench)?;
    let program = Path::new("/usr/sbin/mosquitto");
    if !program.is_file() {
        println!("no mosquitto (apt-get install mosquitto): the peer publishes to /dev/null");
        return Ok((home, None, 0));
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let config = dir.join("mosquitto.conf");
    let text = format!("listener {free} 127.0.0.1\nallow_anonymous true\nuser root\n");
    std::fs::write(&config, text)?;
    let log = dir.join("mosquitto.log");
    let args = ["-c".to_owned(), config.display().to_string()];
    let broker = Process::start("mosquitto", program, args, &[], &log)?;
    wait_for("the broker", Duration::from_secs(10), async || {
        Ok(std::net::TcpStream::connect(("127.0.0.1", free)).ok())
    })
    .await?;
    Ok((home, Some(broker), free))
}

/// A Python with the peers' packages, made where it is missing; it needs the network once.
fn python() -> Result<PathBuf> {
    let root = root()?;
    let venv = root.join("target/tools/bench-python");
    let python = venv.join("bin/python3");
    let has = |python: &Path| {
        let probe = Command::new(python)
            .args(["-c", "import bleak, paho.mqtt.client"])
            .output();
        probe.is_ok_and(|done| done.status.success())
    };
    if !has(&python) {
        println!(
            "installing the peers' Python packages into {}",
            venv.display()
        );
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&venv)
            .status()?;
        let list = root.join("tests/foreign/peer-requirements.txt");
        let pip = [
            venv.join("bin/pip"),
            "install".into(),
            "-q".into(),
            "-r".into(),
            list,
        ];
        let done = Command::new(&pip[0])
            .args(&pip[1..])
            .output()
            .context("pip")?;
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        anyhow::ensure!(
            has(&python),
            "bleak and paho-mqtt cannot be installed: {why}"
        );
    }
    Ok(python)
}
