//! A gateway machine: a private D-Bus, the wearables around it, an agent.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use firmware_sim::bus::PrivateBus;
use serde_json::Value;
use vitals::Time;

use crate::client::clock_of;
use crate::process::{Process, program, run};
use crate::wait::wait_for;

/// How readings leave the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uplink {
    /// rumqttc to the centre's MQTT door.
    Mqtt,
    /// tonic to the centre's gRPC door.
    Grpc,
    /// MQTT while it delivers, else gRPC.
    MqttElseGrpc,
}

impl Uplink {
    /// The word used on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Grpc => "grpc",
            Self::MqttElseGrpc => "mqtt,grpc",
        }
    }
}

/// One machine in a living room.
#[derive(Debug)]
pub struct Gateway {
    dir: PathBuf,
    envs: Vec<(String, String)>,
    bus: PrivateBus,
    wearables: Option<Process>,
    began: Time,
    agent: Option<Process>,
    uplink: Uplink,
    only_agent: Vec<(String, String)>,
}

/// What the wearables around a gateway play.
#[derive(Clone, Debug)]
pub struct Bench<'a> {
    /// Scenario file.
    pub scenario: &'a Path,
    /// The gateway's name in the scenario.
    pub gateway: &'a str,
    /// Seed of the physiology.
    pub seed: u64,
    /// A recorded heart for the strap that asks for one.
    pub recording: Option<&'a Path>,
}

impl Gateway {
    /// A machine with an empty disk and a bus of its own.
    ///
    /// # Errors
    /// When no private bus can be had; says what to install.
    pub async fn new(dir: &Path, uplink: Uplink, envs: &[(String, String)]) -> Result<Self> {
        std::fs::create_dir_all(dir).context("the gateway's folder")?;
        let bus = PrivateBus::start(dir)
            .await
            .context("a private D-Bus for this gateway")?;
        let gateway = Self {
            dir: dir.into(),
            envs: envs.to_vec(),
            bus,
            wearables: None,
            began: Time::ZERO,
            agent: None,
            uplink,
            only_agent: Vec::new(),
        };
        gateway.configure("")?;
        Ok(gateway)
    }

    /// Another clock for the next start and the next commands.
    pub fn set_envs(&mut self, envs: &[(String, String)]) {
        self.envs = envs.to_vec();
    }

    /// More environment for the agent alone, from its next start on.
    pub fn set_agent_envs(&mut self, envs: &[(String, String)]) {
        self.only_agent = envs.to_vec();
    }

    /// The agent's data folder.
    #[must_use]
    pub fn agent_dir(&self) -> PathBuf {
        self.dir.join("agent")
    }

    /// Where the wearables write when each notification left them.
    #[must_use]
    pub fn trace(&self) -> PathBuf {
        self.dir.join("trace.jsonl")
    }

    /// The bus, for faults and for wearables inside the test.
    #[must_use]
    pub fn bus(&self) -> &PrivateBus {
        &self.bus
    }

    /// The same, to hurt it.
    pub fn bus_mut(&mut self) -> &mut PrivateBus {
        &mut self.bus
    }

    /// A method of the pretended daemon's control object; `arguments` as `dbus-send` writes them. Its answer.
    ///
    /// # Errors
    /// When the daemon is not there, or refuses.
    pub fn control(&self, method: &str, arguments: &[&str]) -> Result<String> {
        let address = format!("--bus={}", self.bus.address());
        let method = format!("org.vitaltwin.Sim1.{method}");
        let call = [
            address.as_str(),
            "--print-reply",
            "--reply-timeout=10000",
            "--dest=org.bluez",
            "/sim",
            &method,
        ];
        let all = call.into_iter().chain(arguments.iter().copied());
        run(Path::new("dbus-send"), all, &[])
    }

    /// Switches the wearables on.
    ///
    /// # Errors
    /// When the program cannot start.
    pub fn start_wearables(&mut self, bench: &Bench<'_>) -> Result<()> {
        let (seed, bus) = (bench.seed.to_string(), self.bus.address().to_owned());
        let (scenario, trace) = (bench.scenario.to_string_lossy(), self.trace());
        let trace = trace.to_string_lossy();
        let recording = bench.recording.map(Path::to_string_lossy);
        let mut args = vec![
            "run",
            "--scenario",
            &scenario,
            "--seed",
            &seed,
            "--bus",
            &bus,
            "--trace",
            &trace,
        ];
        args.extend(["--gateway", bench.gateway]);
        if let Some(file) = &recording {
            args.extend(["--recording", file]);
        }
        self.began = clock_of(&self.envs)?.now();
        let began = self.began.as_micros().to_string();
        args.extend(["--start-us", &began]);
        args.extend(self.test_clock());
        let log = self.dir.join("wearables.log");
        self.wearables = Some(Process::start(
            "firmware-sim",
            &program("firmware-sim")?,
            args,
            &self.envs,
            &log,
        )?);
        Ok(())
    }

    /// Second 0 of the scenario, by the clock of all processes.
    #[must_use]
    pub const fn began(&self) -> Time {
        self.began
    }

    /// Sends any octets as a value of a wearable's characteristic; somebody must be subscribed.
    ///
    /// # Errors
    /// When the wearables refuse; carries what they said.
    pub fn inject(&self, address: &str, characteristic: u128, octets: &[u8]) -> Result<()> {
        let hex = format!("{characteristic:032x}");
        let uuid = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-");
        let octets: Vec<String> = octets.iter().map(ToString::to_string).collect();
        let args = [
            format!("--bus={}", self.bus.address()),
            "--print-reply".into(),
            "--dest=org.bluez".into(),
            "/sim".into(),
            "org.vitaltwin.Sim1.Inject".into(),
            format!("string:{address}"),
            format!("string:{uuid}"),
            format!("array:byte:{}", octets.join(",")),
        ];
        let args = args.iter().map(String::as_str);
        run(Path::new("dbus-send"), args, &[]).map(drop)
    }

    /// The wearables' process.
    ///
    /// # Errors
    /// When they are off.
    pub fn wearables(&mut self) -> Result<&mut Process> {
        self.wearables.as_mut().context("the wearables are off")
    }

    /// Switches the wearables off.
    ///
    /// # Errors
    /// When they are off already.
    pub fn stop_wearables(&mut self) -> Result<()> {
        self.wearables
            .take()
            .context("the wearables are off")?
            .kill()
    }

    /// One command of `vitaltwin-agent`; its standard output.
    ///
    /// # Errors
    /// When the command fails; carries what it said.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        let dir = self.agent_dir().to_string_lossy().into_owned();
        let all = ["--dir", &dir]
            .into_iter()
            .chain(self.test_clock())
            .chain(args.iter().copied());
        run(&program("vitaltwin-agent")?, all, &self.agent_envs())
    }

    /// The flag that lets the environment's test clock in.
    fn test_clock(&self) -> Option<&'static str> {
        (!self.envs.is_empty()).then_some("--test-clock")
    }

    fn agent_envs(&self) -> Vec<(String, String)> {
        let mut envs = self.envs.clone();
        envs.push(("DBUS_SYSTEM_BUS_ADDRESS".into(), self.bus.address().into()));
        envs.extend(self.only_agent.iter().cloned());
        envs
    }

    /// Spends a token.
    ///
    /// # Errors
    /// When enrolment fails.
    pub fn enrol(&self, token: &str) -> Result<()> {
        self.cli(&["enrol", token]).map(drop)
    }

    /// Writes the agent's `config.toml`. Its status page listens on any free port: there are many gateways on this
    /// machine.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn configure(&self, text: &str) -> Result<()> {
        let mut folder = std::fs::DirBuilder::new();
        let folder = folder.recursive(true).mode(0o700);
        folder
            .create(self.agent_dir())
            .context("the agent's folder")?;
        let text = format!("page_listen = \"127.0.0.1:0\"\n{text}");
        std::fs::write(self.agent_dir().join("config.toml"), text)
            .context("the agent's config.toml")
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// When the program cannot start.
    pub fn start_agent(&mut self) -> Result<()> {
        let dir = self.agent_dir().to_string_lossy().into_owned();
        let run = [
            "run",
            "--uplink",
            self.uplink.name(),
            "--drain-seconds",
            "20",
        ];
        let args = ["--dir", &dir]
            .into_iter()
            .chain(self.test_clock())
            .chain(run);
        let log = self.dir.join("agent.log");
        self.agent = Some(Process::start(
            "agent",
            &program("vitaltwin-agent")?,
            args,
            &self.agent_envs(),
            &log,
        )?);
        Ok(())
    }

    /// The running agent.
    ///
    /// # Errors
    /// When it does not run.
    pub fn agent(&mut self) -> Result<&mut Process> {
        self.agent.as_mut().context("the agent does not run")
    }

    /// `kill -9` of the agent.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_agent(&mut self) -> Result<()> {
        self.agent.take().context("the agent does not run")?.kill()
    }

    /// SIGTERM: the agent seals what is open, drains and ends.
    ///
    /// # Errors
    /// When it does not end with status 0 within 40 s.
    pub fn stop_agent(&mut self) -> Result<()> {
        let mut process = self.agent.take().context("the agent does not run")?;
        let status = process.stop(Duration::from_secs(40))?;
        anyhow::ensure!(
            status.success(),
            "the agent ended with {status}:\n{}",
            process.tail()
        );
        Ok(())
    }

    /// The agent's `status.json`; `None` until it has written one.
    #[must_use]
    pub fn status(&self) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.agent_dir().join("status.json")).ok()?).ok()
    }

    /// A whole number of the agent's status; 0 until it is there.
    #[must_use]
    pub fn count(&self, pointer: &str) -> u64 {
        self.status()
            .and_then(|status| status.pointer(pointer).and_then(Value::as_u64))
            .unwrap_or(0)
    }

    /// Waits until the agent has decoded at least this many readings.
    ///
    /// # Errors
    /// When it has not within the deadline; carries its log's end.
    pub async fn wait_decoded(&mut self, at_least: u64, deadline: Duration) -> Result<()> {
        let done = wait_for("decoded readings", deadline, async || {
            Ok((self.count("/readings_decoded") >= at_least).then_some(()))
        })
        .await;
        done.with_context(|| self.agent.as_ref().map_or_else(String::new, Process::tail))
    }
}
