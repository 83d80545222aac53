//! `vitaltwin-agent doctor`: looks at everything that the agent needs, and says in plain words what to do.
//!
//! * [`judge`]: PURE. From facts to findings.
//! * `look`: gathers the facts: reads files, asks D-Bus, calls the centre.
//!
//! Promises: it changes nothing (but for a file that it writes and removes to see that the folder can be
//! written); no finding holds a measured value, a device's address or anything that names a patient, so the
//! whole report can be read aloud on the telephone.

pub mod judge;
mod look;

use std::fmt::{self, Write as _};
use std::path::Path;

use proto::clock::Clock;
use serde::Serialize;

/// How a check came out. Larger is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, one word.
    pub check: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; empty if nothing is to be done.
    pub remedy: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            found: found.into(),
            remedy: String::new(),
        }
    }

    fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Warn,
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(check, found, remedy)
        }
    }
}

/// The report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst of the findings.
    pub verdict: Verdict,
    /// In the order in which trouble is best cured.
    pub findings: Vec<Finding>,
}

impl Report {
    fn of(findings: Vec<Finding>) -> Self {
        let worst = findings.iter().map(|finding| finding.verdict).max();
        Self {
            verdict: worst.unwrap_or(Verdict::Ok),
            findings,
        }
    }

    /// 0 if everything works (warnings included), else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Ok | Verdict::Warn => 0,
            Verdict::Fail => 1,
        }
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let Finding {
                check,
                verdict,
                found,
                remedy,
            } = finding;
            let _infallible = writeln!(text, "{verdict:<5} {check:<12} {found}");
            if !remedy.is_empty() {
                let _infallible = writeln!(text, "{:<18} -> {remedy}", "");
            }
        }
        let summary = match self.verdict {
            Verdict::Ok => "Everything is as it should be.",
            Verdict::Warn => "It works; please look at the lines marked warn.",
            Verdict::Fail => "Something is wrong: follow the arrows, from the top down.",
        };
        text.push_str(summary);
        text
    }
}

/// Looks at everything.
pub async fn examine(dir: &Path, clock: Clock) -> Report {
    let config = look::config(dir);
    let options = config.as_ref().ok().cloned().unwrap_or_default();
    let identity = look::identity(dir);
    let now = clock.now();
    let status = crate::status::Status::read(dir).ok();
    let centre = match &identity {
        Ok(identity) => look::centre(identity, &options, clock).await,
        Err(_) => Vec::new(),
    };
    let mut findings = vec![
        judge::config(&config),
        judge::folder(&look::folder(dir)),
        judge::disk(look::free(dir), &options),
        judge::identity(&identity),
    ];
    if let Ok(identity) = &identity {
        findings.push(judge::certificate(look::not_after(identity), now));
    }
    let offset = centre.iter().find_map(|door| door.clock_offset);
    let last = status.as_ref().map(|status| status.written_us);
    findings.push(judge::clock(
        now,
        last.map(vitals::Time::from_micros),
        offset,
    ));
    findings.push(judge::radio(
        &look::radio(options.adapter.as_deref()).await,
        look::is_blocked(),
    ));
    findings.extend(centre.iter().map(judge::centre));
    let running = look::is_running(dir);
    findings.push(judge::agent(running, status.as_ref(), now));
    findings.push(judge::buffer(
        status.as_ref(),
        look::set_aside(dir),
        &options,
    ));
    Report::of(findings)
}
