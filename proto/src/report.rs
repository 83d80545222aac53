//! What a doctor reports: findings in plain words, each with a verdict and what to do. Both programs have a `doctor`,
//! and a support person reads both in the same way.
//!
//! Must not know: what was looked at.

use std::fmt::{self, Write as _};

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
    /// Nothing is to be done.
    #[must_use]
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            found: found.into(),
            remedy: String::new(),
        }
    }

    /// It works, and `remedy` says what to do.
    #[must_use]
    pub fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Warn,
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    /// It does not work, and `remedy` says what to do.
    #[must_use]
    pub fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
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
    /// Of these findings.
    #[must_use]
    pub fn of(findings: Vec<Finding>) -> Self {
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
