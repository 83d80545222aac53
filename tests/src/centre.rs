//! The centre as a process: `init`, `run`, its command line, kill and restart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::process::{Process, program, run};
use crate::wait::wait_for;

/// An initialised centre, running or not.
#[derive(Debug)]
pub struct Centre {
    dir: PathBuf,
    envs: Vec<(String, String)>,
    process: Option<Process>,
    ready: Option<Ready>,
    log: PathBuf,
}

/// Where a running centre listens; `run/ready.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// gRPC and page.
    pub grpc: SocketAddr,
    /// MQTT.
    pub mqtt: SocketAddr,
    /// The page's address, for people.
    pub page: String,
    /// Metrics, where they are switched on.
    #[serde(default)]
    pub metrics: Option<SocketAddr>,
    /// Its twins are up to date.
    #[serde(default)]
    pub current: bool,
}

impl Centre {
    /// Makes a fresh centre in `dir` that listens on free ports of this machine.
    ///
    /// # Errors
    /// When `init` fails.
    pub fn init(dir: &Path, envs: &[(String, String)]) -> Result<Self> {
        Self::init_listening(dir, envs, "127.0.0.1:0", "127.0.0.1:0")
    }

    /// As [`Centre::init`], on given addresses.
    ///
    /// # Errors
    /// When `init` fails.
    pub fn init_listening(
        dir: &Path,
        envs: &[(String, String)],
        listen: &str,
        mqtt: &str,
    ) -> Result<Self> {
        std::fs::create_dir_all(dir).context("the centre's folder")?;
        let log = dir.with_extension("log");
        let centre = Self {
            dir: dir.into(),
            envs: envs.to_vec(),
            process: None,
            ready: None,
            log,
        };
        centre.cli(&[
            "init",
            "--name",
            "localhost",
            "--listen",
            listen,
            "--mqtt-listen",
            mqtt,
        ])?;
        Ok(centre)
    }

    /// A centre that somebody made before, or a folder for one.
    #[must_use]
    pub fn existing(dir: &Path, envs: &[(String, String)]) -> Self {
        Self {
            dir: dir.into(),
            envs: envs.to_vec(),
            process: None,
            ready: None,
            log: dir.with_extension("log"),
        }
    }

    /// Sets one key of `config.toml`, for the next start.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn set(&self, key: &str, value: u64) -> Result<()> {
        let file = self.dir.join("config.toml");
        let text = std::fs::read_to_string(&file).context("config.toml")?;
        let kept = text.lines().filter(|line| !line.starts_with(key));
        let lines: Vec<&str> = kept.collect();
        std::fs::write(&file, format!("{key} = {value}\n{}\n", lines.join("\n")))
            .context("config.toml")
    }

    /// Another clock for the next start and the next commands.
    pub fn set_envs(&mut self, envs: &[(String, String)]) {
        self.envs = envs.to_vec();
    }

    fn has_test_clock(&self) -> bool {
        self.envs
            .iter()
            .any(|(name, _)| name == "VITALTWIN_TEST_CLOCK")
    }

    /// The data folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// One command of `vitaltwin-aggregator`, to be started by the caller.
    ///
    /// # Errors
    /// When the program was not built.
    pub fn command(&self, args: &[&str]) -> Result<std::process::Command> {
        let mut command = std::process::Command::new(program("vitaltwin-aggregator")?);
        command.arg("--dir").arg(&self.dir);
        command.args(self.has_test_clock().then_some("--test-clock"));
        command.args(args).envs(self.envs.iter().cloned());
        Ok(command)
    }

    /// One command of `vitaltwin-aggregator`; its standard output without the last line break.
    ///
    /// # Errors
    /// When the command fails; carries what it said.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        let dir = self.dir.to_string_lossy().into_owned();
        let test_clock = self.has_test_clock().then_some("--test-clock");
        let all = ["--dir", &dir]
            .into_iter()
            .chain(test_clock)
            .chain(args.iter().copied());
        Ok(run(&program("vitaltwin-aggregator")?, all, &self.envs)?
            .trim_end()
            .to_owned())
    }

    /// Starts it and waits until it listens and its twins are up to date.
    ///
    /// # Errors
    /// When it ends or is not so within two minutes; carries the end of its log.
    pub async fn start(&mut self) -> Result<&Ready> {
        self.start_with(&[]).await
    }

    /// As [`Centre::start`] with more arguments for `run`.
    ///
    /// # Errors
    /// As [`Centre::start`].
    pub async fn start_with(&mut self, more: &[&str]) -> Result<&Ready> {
        self.start_until(more, |ready| ready.current).await
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// As [`Centre::start`].
    pub async fn start_early(&mut self) -> Result<&Ready> {
        self.start_until(&[], |_| true).await
    }

    async fn start_until(
        &mut self,
        more: &[&str],
        enough: impl Fn(&Ready) -> bool,
    ) -> Result<&Ready> {
        let dir = self.dir.to_string_lossy().into_owned();
        let ready_file = self.dir.join("run/ready.json");
        // A killed centre leaves its file behind.
        drop(std::fs::remove_file(&ready_file));
        let test_clock = self.has_test_clock().then_some("--test-clock");
        let args = ["--dir", &dir]
            .into_iter()
            .chain(test_clock)
            .chain(["run"])
            .chain(more.iter().copied());
        let mut process = Process::start(
            "aggregator",
            &program("vitaltwin-aggregator")?,
            args,
            &self.envs,
            &self.log,
        )?;
        let ready = wait_for(
            "the centre to listen",
            Duration::from_secs(120),
            async || {
                if let Some(status) = process.ended()? {
                    anyhow::bail!("the centre ended with {status}:\n{}", process.tail());
                }
                Ok(std::fs::read(&ready_file)
                    .ok()
                    .and_then(|bytes| serde_json::from_slice::<Ready>(&bytes).ok())
                    .filter(|ready| enough(ready)))
            },
        )
        .await
        .with_context(|| format!("log:\n{}", process.tail()))?;
        self.process = Some(process);
        Ok(self.ready.insert(ready))
    }

    /// Waits until its twins are up to date.
    ///
    /// # Errors
    /// When the deadline passes first.
    pub async fn wait_current(&self, deadline: Duration) -> Result<()> {
        let ready_file = self.dir.join("run/ready.json");
        wait_for("twins that are current", deadline, async || {
            // It may be written just now.
            Ok(std::fs::read(&ready_file)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Ready>(&bytes).ok())
                .filter(|ready| ready.current)
                .map(drop))
        })
        .await
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When it was never started.
    pub fn ready(&self) -> Result<&Ready> {
        self.ready.as_ref().context("the centre was never started")
    }

    /// The running process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the centre does not run")
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process
            .take()
            .context("the centre does not run")?
            .kill()
    }

    /// SIGTERM and an orderly end.
    ///
    /// # Errors
    /// When it does not end with status 0 within a minute.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the centre does not run")?;
        let status = process.stop(Duration::from_secs(60))?;
        anyhow::ensure!(
            status.success(),
            "the centre ended with {status}:\n{}",
            process.tail()
        );
        Ok(())
    }

    /// A reader with the operator's certificate.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn client(&self) -> Result<Client> {
        Client::connect(self.ready()?.grpc, &self.dir.join("operator"), &self.envs).await
    }

    /// A new patient's pseudonymous id; marked as test data.
    ///
    /// # Errors
    /// When the command fails.
    pub fn add_patient(&self, name: &str) -> Result<String> {
        self.cli(&["patient", "add", "--test-data", "--name", name])
    }

    /// A one-time token and the id of the gateway that it will make.
    ///
    /// # Errors
    /// When the command fails.
    pub fn token(&self, label: &str) -> Result<(String, String)> {
        let text = self.cli(&["gateway", "token", "--label", label, "--json"])?;
        let json: Value = serde_json::from_str(&text)
            .with_context(|| format!("`gateway token --json` gave {text}"))?;
        let field = |name: &str| {
            json[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {name} in {text}"))
        };
        Ok((field("token")?, field("gateway")?))
    }

    /// Gives `devices` at `gateway` to `patient`.
    ///
    /// # Errors
    /// When the command fails.
    pub fn assign(&self, patient: &str, gateway: &str, devices: &[String]) -> Result<()> {
        let mut args = vec!["patient", "assign", patient, "--gateway", gateway];
        for device in devices {
            args.extend(["--device", device]);
        }
        self.cli(&args).map(drop)
    }

    /// `status --json`.
    ///
    /// # Errors
    /// When the command fails.
    pub fn status(&self) -> Result<Value> {
        serde_json::from_str(&self.cli(&["status", "--json"])?)
            .context("`status --json` gives JSON")
    }
}
