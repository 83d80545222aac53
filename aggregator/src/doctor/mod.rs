//! `vitaltwin-aggregator doctor`: looks at everything that the centre needs, and says in plain words what to do.
//!
//! * [`judge`]: PURE. From facts to findings.
//! * `look`: gathers the facts: reads files and the journal.
//!
//! Promises: it changes nothing and takes no lock, so it runs beside a centre at work; no finding holds anything about
//! a patient, so the whole report can be read aloud on the telephone.

pub mod judge;
mod look;

use proto::clock::Clock;
pub use proto::report::{Finding, Report, Verdict};
use proto::v1::CentreStatus;

use crate::dir::CentreDir;

/// Looks at everything. `asked`: what the running centre said of itself, or why it did not answer.
#[must_use]
pub fn examine(
    dir: &CentreDir,
    clock: Clock,
    is_running: bool,
    asked: Option<Result<CentreStatus, String>>,
) -> Report {
    let now = clock.now();
    let config = look::config(dir);
    let mut findings = vec![judge::config(&config)];
    let config = config.unwrap_or_default();
    findings.push(judge::folder(dir.root(), look::folder(dir)));
    findings.push(judge::disk(
        look::free(dir),
        look::journal_bytes(dir),
        &config,
    ));
    findings.push(judge::keys(look::keys(dir, clock)));
    findings
        .extend(look::certificates(dir).map(|(whose, end)| judge::certificate(whose, end, now)));
    let journal = look::journal(dir);
    findings.push(judge::clock(now, journal.as_ref().ok()));
    findings.push(judge::journal(&journal));
    findings.push(judge::centre(is_running, asked.as_ref()));
    if let Some(Ok(status)) = &asked {
        findings.push(judge::gateways(status, now));
        findings.extend(
            status
                .warnings
                .iter()
                .map(|warning| judge::warning(warning)),
        );
    }
    Report::of(findings)
}
