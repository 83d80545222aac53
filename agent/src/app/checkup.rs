//! The doctor, asked by the running agent about itself, so that the centre knows what is wrong before anybody drives there.
//!
//! It looks in a process of its own, the same program: asking the radio leaks (see `ble::worker`), and a look that hangs must not
//! hang the agent. The line is left alone: it may cost, and whoever reads the findings sees whether it works.
//!
//! Invariant: what is told of the machine holds no measured value, no device and nobody's name, as all that the doctor says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use proto::clock::Clock;
use proto::v1::GatewayFinding;
use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle as Task;
use tokio::time::timeout;
use vitals::Time;

use crate::ble::supervisor::Supervisor;
use crate::status::describe;

/// Real time to the first look: the agent has just started, and all of it moves.
const FIRST: Duration = Duration::from_secs(10);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(1800);
/// A look takes some seconds at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// As many as the contract takes.
const MOST: usize = 16;

/// What was found, and when.
type Found = Option<(Vec<GatewayFinding>, Time)>;

/// The doctor's round; it ends with the value.
pub(super) struct Checkup {
    found: watch::Receiver<Found>,
    task: Task<()>,
}

impl Checkup {
    pub(super) fn start(dir: &Path, clock: Clock) -> Self {
        let (tell, found) = watch::channel(None);
        let task = tokio::spawn(rounds(dir.to_owned(), clock, tell));
        Self { found, task }
    }

    /// What was found since the last call.
    pub(super) fn news(&mut self) -> Found {
        if self.found.has_changed().is_ok_and(|changed| changed) {
            return self.found.borrow_and_update().clone();
        }
        None
    }
}

impl Drop for Checkup {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn rounds(dir: PathBuf, clock: Clock, tell: watch::Sender<Found>) {
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        pause = EVERY;
        match look(&dir, clock).await {
            Ok(findings) => drop(tell.send(Some((findings, clock.now())))),
            Err(error) => tracing::warn!(error = describe(&*error), "the doctor did not come"),
        }
    }
}

async fn look(
    dir: &Path,
    clock: Clock,
) -> Result<Vec<GatewayFinding>, Box<dyn std::error::Error + Send + Sync>> {
    let (program, mut arguments) = Supervisor::own_program(clock.is_test());
    arguments.pop();
    arguments.extend(["--dir".into(), OsString::from(dir)]);
    arguments.extend(["doctor", "--json", "--here"].map(OsString::from));
    let mut doctor = Command::new(program);
    doctor
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    // It ends with 1 where something is wrong, and reports all the same.
    let output = timeout(PATIENCE, doctor.output()).await??;
    Ok(findings(&output.stdout)?)
}

/// As the doctor prints it.
#[derive(Deserialize)]
struct Printed {
    findings: Vec<PrintedFinding>,
}

#[derive(Deserialize)]
struct PrintedFinding {
    check: String,
    verdict: String,
    found: String,
    remedy: String,
}

/// What is not as it should be, what does not work first.
fn findings(printed: &[u8]) -> Result<Vec<GatewayFinding>, serde_json::Error> {
    let Printed { findings } = serde_json::from_slice(printed)?;
    let wrong = findings.into_iter().filter(|of| of.verdict != "ok");
    let mut wrong: Vec<_> = wrong
        .map(|of| GatewayFinding {
            check: of.check,
            broken: of.verdict == "fail",
            found: of.found,
            remedy: of.remedy,
        })
        .collect();
    wrong.sort_by_key(|of| !of.broken);
    wrong.truncate(MOST);
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use proto::report::{Finding, Report};

    use super::*;

    #[test]
    fn what_the_doctor_prints_is_told_worst_first_and_what_is_fine_is_not() {
        let report = Report::of(vec![
            Finding::ok("config", "fine"),
            Finding::warn("disk", "little room", "free some"),
            Finding::fail("radio", "blocked", "unblock it"),
        ]);
        let printed = serde_json::to_vec_pretty(&report).expect("it is JSON");
        let told = findings(&printed).expect("it is read");
        let told: Vec<_> = told.iter().map(|of| (&*of.check, of.broken)).collect();
        assert_eq!(told, [("radio", true), ("disk", false)]);
        assert!(findings(b"").is_err(), "it died");
    }
}
