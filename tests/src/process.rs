//! A child process with its log on disk.
//!
//! Promise: a process that this module started is dead when its handle is dropped.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// Where cargo puts our programs: beside this test or demo binary.
///
/// # Errors
/// When the program was not built; says with what command to build it.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program")?;
    let mut folder = own.parent().context("a program lies in a folder")?;
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder = folder.parent().context("deps lies in a folder")?;
    }
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "{} is not built: run `cargo build --workspace --bins` first",
            path.display()
        );
    }
    Ok(path)
}

impl Process {
    /// Starts `program` with `args` and `envs`; standard output and error go to `log` (appended).
    ///
    /// # Errors
    /// When the program is missing or the log cannot be written.
    pub fn start<I, S>(
        name: &str,
        program: &Path,
        args: I,
        envs: &[(String, String)],
        log: &Path,
    ) -> Result<Self>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let out = open_log(log)?;
        let err = out.try_clone().context("a second handle on the log")?;
        let child = Command::new(program)
            .args(args)
            .envs(envs.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self {
            name: name.into(),
            child,
            log: log.into(),
        })
    }

    /// The operating system's number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The exit status, if it has ended.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("looking after {}", self.name))
    }

    /// `kill -9` and wait until it is gone.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .with_context(|| format!("killing {}", self.name))?;
        self.child
            .wait()
            .with_context(|| format!("waiting for {}", self.name))?;
        Ok(())
    }

    /// SIGTERM, then waits for at most `grace`.
    ///
    /// # Errors
    /// When it does not end in time (it is then killed).
    pub fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        let done = Command::new("kill")
            .arg("-TERM")
            .arg(self.id().to_string())
            .status()
            .context("kill -TERM")?;
        if !done.success() && self.ended()?.is_none() {
            bail!("kill -TERM {} failed", self.name);
        }
        let end = Instant::now() + grace;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                self.kill()?;
                bail!(
                    "{} did not stop within {} s; its log ends:\n{}",
                    self.name,
                    grace.as_secs(),
                    self.tail()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last lines of the log, for failure messages.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(25)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is fine; anything else would leave a zombie that only ends with us.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("opening the log {}", path.display()))
}

/// Runs a command to its end and gives its standard output.
///
/// # Errors
/// When it cannot start or exits with another status than 0; carries its standard error.
pub fn run<I, S>(program: &Path, args: I, envs: &[(String, String)]) -> Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let output = Command::new(program)
        .args(args)
        .envs(envs.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", program.display()))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{} ended with {}: {}{}",
            program.display(),
            output.status,
            out,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(out)
}

/// The children of a process.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    found
}
