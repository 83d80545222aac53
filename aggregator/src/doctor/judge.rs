//! PURE. From what was found to what it means and what to do about it.
//!
//! Must not know: files, sockets, clocks.

use std::path::Path;

use proto::report::Finding;
use proto::v1::CentreStatus;
use vitals::{Span, Time};

use crate::config::{Config, ConfigError};

/// A clock further behind the journal than this cannot be right: known time never goes back.
const CLOCK_BEHIND: Span = Span::from_secs(30);
/// A certificate is made anew long before this is left of it.
const CERTIFICATE_WARN: Span = Span::from_mins(14 * 24 * 60);
/// A gateway says something every minute or so; this long without a word is silence.
const SILENT: Span = Span::from_mins(3);
const MIB: u64 = 1 << 20;

/// The journal as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Entries.
    pub entries: u64,
    /// Known time of the last one; [`Time::ZERO`] without any.
    pub last_known: Time,
    /// Whether SQLite finds its pages in order; `None`: too large to look at here.
    pub is_sound: Option<bool>,
}

/// `config.toml`.
#[must_use]
pub fn config(config: &Result<Config, ConfigError>) -> Finding {
    match config {
        Ok(_) => Finding::ok("config", "config.toml is fine"),
        Err(error) => Finding::fail(
            "config",
            error.to_string(),
            "correct it: `run --check` reads it again, and the comments of a fresh `init` explain every key",
        ),
    }
}

/// The directory: why it cannot be used, if so.
#[must_use]
pub fn folder(path: &Path, trouble: Option<String>) -> Finding {
    let path = path.display();
    match trouble {
        None => Finding::ok(
            "folder",
            format!("{path} is private, and all of it is the owner's"),
        ),
        Some(trouble) => Finding::fail(
            "folder",
            trouble,
            format!("as root: chown -R --reference={path} {path} && chmod -R go= {path}"),
        ),
    }
}

/// Room on the journal's disk, and what the journal takes already; bytes.
#[must_use]
pub fn disk(free: Result<u64, String>, journal: u64, config: &Config) -> Finding {
    let least = u64::from(config.disk_free_min_mib) * MIB;
    let taken = journal / MIB;
    match free {
        Err(why) => Finding::fail("disk", why, "check that the disk is mounted"),
        Ok(free) if free <= least => Finding::fail(
            "disk",
            format!(
                "{} MiB are free: batches are refused, gateways keep them",
                free / MIB
            ),
            format!(
                "free some room: more than {} MiB (disk_free_min_mib) must stay free",
                least / MIB
            ),
        ),
        Ok(free) if free < least.saturating_mul(4).saturating_add(journal / 10) => Finding::warn(
            "disk",
            format!(
                "{} MiB are free beside a journal of {taken} MiB",
                free / MIB
            ),
            "give it more room soon: it refuses batches before the disk is full",
        ),
        Ok(free) => Finding::ok(
            "disk",
            format!("{} MiB are free, the journal takes {taken}", free / MIB),
        ),
    }
}

/// Secrets: what cannot be used, and why.
#[must_use]
pub fn keys(broken: Vec<String>) -> Finding {
    if broken.is_empty() {
        return Finding::ok(
            "keys",
            "authority, vault, command and serve keys are there, and private",
        );
    }
    Finding::fail(
        "keys",
        broken.join("; "),
        "do as it says, or restore that file from its backup: a new one would lock out gateways or patients' data",
    )
}

/// The end of a certificate; `None`: it cannot be read.
#[must_use]
pub fn certificate(whose: &'static str, end: Option<Time>, now: Time) -> Finding {
    let check = "certificate";
    let again = "run `init` again: it makes it anew, and keeps every key";
    let Some(end) = end else {
        return Finding::warn(
            check,
            format!("{whose}: it cannot be read, or was never made"),
            again,
        );
    };
    let left = end.since(now);
    let days = left.as_micros() / Span::from_mins(24 * 60).as_micros();
    if left <= Span::ZERO {
        Finding::fail(check, format!("{whose}: it has ended"), again)
    } else if left < CERTIFICATE_WARN {
        Finding::warn(check, format!("{whose}: it ends in {days} days"), again)
    } else {
        Finding::ok(check, format!("{whose}: valid for another {days} days"))
    }
}

/// The clock against the journal.
#[must_use]
pub fn clock(now: Time, journal: Option<&Found>) -> Finding {
    let Some(last) = journal
        .map(|found| found.last_known)
        .filter(|last| *last > Time::ZERO)
    else {
        return Finding::ok("clock", "nothing to hold it against yet");
    };
    let behind = last.since(now);
    if behind > CLOCK_BEHIND {
        return Finding::fail(
            "clock",
            format!(
                "{:.0} s behind the journal's last entry",
                behind.as_secs_f64()
            ),
            "set it right (`timedatectl set-ntp true`); a centre that ran with --test-clock stays on that clock",
        );
    }
    Finding::ok("clock", "later than the journal's last entry")
}

/// The journal.
#[must_use]
pub fn journal(found: &Result<Found, String>) -> Finding {
    match found {
        Err(why) => Finding::fail(
            "journal",
            why,
            "if this is a fresh centre, `run` makes it; else restore it from a backup, and keep the old file",
        ),
        Ok(found) if found.is_sound == Some(false) => Finding::fail(
            "journal",
            "SQLite finds its pages damaged",
            "copy the folder `store` away first; then start the centre (it names what is lost) or restore a backup",
        ),
        Ok(found) => Finding::ok(
            "journal",
            format!(
                "{} entries{}",
                found.entries,
                if found.is_sound.is_none() {
                    "; too large to look at page by page here"
                } else {
                    ", its pages in order"
                }
            ),
        ),
    }
}

/// The running centre and its store.
#[must_use]
pub fn centre(is_running: bool, asked: Option<&Result<CentreStatus, String>>) -> Finding {
    let check = "centre";
    match asked {
        None if is_running => Finding::warn(
            check,
            "something works on this directory, but no centre listens yet",
            "wait until it has read its journal, or look at its log",
        ),
        None => Finding::warn(
            check,
            "it does not run",
            "`systemctl enable --now vitaltwin-aggregator`, or `run`",
        ),
        Some(Err(why)) => Finding::fail(
            check,
            format!("it runs and does not answer: {why}"),
            "look at its log (`journalctl -u vitaltwin-aggregator`), then restart it",
        ),
        Some(Ok(status)) if !status.store_stopped.is_empty() => Finding::fail(
            check,
            format!("it takes nothing: {}", status.store_stopped),
            "cure the disk, then restart it; gateways keep what they have until then",
        ),
        Some(Ok(status)) => Finding::ok(
            check,
            format!(
                "it runs, version {}, at entry {}",
                status.version, status.journal_position
            ),
        ),
    }
}

/// Gateways that should be heard.
#[must_use]
pub fn gateways(status: &CentreStatus, now: Time) -> Finding {
    let check = "gateways";
    let of: Vec<_> = status
        .gateways
        .iter()
        .filter(|gateway| !gateway.revoked)
        .collect();
    let waiting = |gateway: &&&proto::v1::GatewayStatus| !gateway.waiting_for.is_empty();
    let silent = of.iter().filter(|gateway| {
        gateway.waiting_for.is_empty()
            && now.since(Time::from_micros(gateway.last_seen_us)) > SILENT
    });
    let (silent, waiting) = (silent.count(), of.iter().filter(waiting).count());
    let text = format!(
        "{} in use, {silent} silent, {waiting} waiting for somebody",
        of.len()
    );
    if silent + waiting > 0 {
        return Finding::warn(
            check,
            text,
            "`gateway list` says which, and what each waits for",
        );
    }
    Finding::ok(check, text)
}

/// What the centre itself wants looked at.
#[must_use]
pub fn warning(text: &str) -> Finding {
    Finding::warn("centre", text, "")
}

#[cfg(test)]
mod tests {
    use proto::report::Verdict;
    use proto::v1::GatewayStatus;

    use super::*;

    const NOW: Time = Time::from_micros(1_700_000_000_000_000);

    fn says(finding: &Finding, verdict: Verdict, words: &str) {
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        let text = format!("{} {}", finding.found, finding.remedy);
        assert!(text.contains(words), "{words:?} is not in {text:?}");
        assert!(
            verdict == Verdict::Ok || !finding.remedy.is_empty(),
            "nobody knows what to do: {finding:?}"
        );
    }

    #[test]
    fn each_trouble_has_its_remedy() {
        let (fine, failed) = (Config::default(), Config::parse("listne = 1"));
        says(&config(&Ok(fine.clone())), Verdict::Ok, "fine");
        says(&config(&failed), Verdict::Fail, "listne");
        let path = Path::new("/var/lib/vitaltwin");
        says(&folder(path, None), Verdict::Ok, "private");
        says(
            &folder(path, Some("not ours".into())),
            Verdict::Fail,
            "chown",
        );
        says(&disk(Ok(100 * MIB), 0, &fine), Verdict::Fail, "refused");
        says(&disk(Ok(1000 * MIB), 0, &fine), Verdict::Warn, "more room");
        says(&disk(Ok(10_000 * MIB), 0, &fine), Verdict::Ok, "free");
        says(
            &disk(Ok(10_000 * MIB), 200_000 * MIB, &fine),
            Verdict::Warn,
            "more room",
        );
        says(
            &disk(Err("gone".into()), 0, &fine),
            Verdict::Fail,
            "mounted",
        );
        says(&keys(Vec::new()), Verdict::Ok, "private");
        says(&keys(vec!["ca.key: no".into()]), Verdict::Fail, "backup");
    }

    #[test]
    fn certificates_end() {
        let in_days = |days: i64| Some(NOW + Span::from_mins(days * 24 * 60));
        says(
            &certificate("its own", in_days(60), NOW),
            Verdict::Ok,
            "60 days",
        );
        says(
            &certificate("its own", in_days(3), NOW),
            Verdict::Warn,
            "3 days",
        );
        says(
            &certificate("its own", in_days(-1), NOW),
            Verdict::Fail,
            "has ended",
        );
        says(&certificate("its own", None, NOW), Verdict::Warn, "init");
    }

    #[test]
    fn the_journal_and_the_clock() {
        let found = Found {
            entries: 7,
            last_known: NOW,
            is_sound: Some(true),
        };
        says(&journal(&Ok(found)), Verdict::Ok, "7 entries");
        let torn = Found {
            is_sound: Some(false),
            ..found
        };
        says(&journal(&Ok(torn)), Verdict::Fail, "copy the folder");
        let large = Found {
            is_sound: None,
            ..found
        };
        says(&journal(&Ok(large)), Verdict::Ok, "too large");
        says(
            &journal(&Err("no such file".into())),
            Verdict::Fail,
            "no such file",
        );
        says(&clock(NOW, Some(&found)), Verdict::Ok, "later");
        says(
            &clock(NOW - Span::from_mins(5), Some(&found)),
            Verdict::Fail,
            "300 s behind",
        );
        says(&clock(NOW, None), Verdict::Ok, "nothing to hold");
    }

    #[test]
    fn a_centre_at_work_and_its_gateways() {
        says(&centre(false, None), Verdict::Warn, "does not run");
        says(&centre(true, None), Verdict::Warn, "journal");
        says(
            &centre(true, Some(&Err("refused".into()))),
            Verdict::Fail,
            "restart",
        );
        let mut status = CentreStatus {
            version: "1".into(),
            ..CentreStatus::default()
        };
        says(
            &centre(true, Some(&Ok(status.clone()))),
            Verdict::Ok,
            "it runs",
        );
        let heard = GatewayStatus {
            last_seen_us: NOW.as_micros(),
            ..GatewayStatus::default()
        };
        status.gateways = vec![heard.clone()];
        says(&gateways(&status, NOW), Verdict::Ok, "1 in use, 0 silent");
        says(
            &gateways(&status, NOW + Span::from_mins(4)),
            Verdict::Warn,
            "1 silent",
        );
        let gone = GatewayStatus {
            revoked: true,
            ..GatewayStatus::default()
        };
        let new = GatewayStatus {
            waiting_for: "a device".into(),
            ..GatewayStatus::default()
        };
        status.gateways = vec![heard, gone, new];
        says(
            &gateways(&status, NOW),
            Verdict::Warn,
            "2 in use, 0 silent, 1 waiting",
        );
        status.store_stopped = "no space".into();
        says(&centre(true, Some(&Ok(status))), Verdict::Fail, "no space");
    }
}
