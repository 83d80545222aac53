//! What each process takes and what it counts, at one moment.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use crate::bench::memory_kib;
use crate::centre::Centre;
use crate::gateway::Gateway;

/// One line of `samples.jsonl`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    /// Wall seconds since the start.
    pub at_s: f64,
    /// Hours of the test clock since the start.
    pub test_hours: f64,
    /// Troubles so far.
    pub troubles: u64,
    /// What processes take, by home and part ("steady/agent", "steady/radio", "centre").
    pub processes: BTreeMap<String, Taken>,
    /// What agents count, by home.
    pub homes: BTreeMap<String, Counts>,
    /// What the centre counts.
    pub centre: CentreCounts,
}

/// What one process takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Whose life this is.
    pub pid: u32,
    /// Resident, KiB.
    pub rss_kib: u64,
    /// Its own, KiB.
    pub anon_kib: u64,
    /// Open handles.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
}

/// What an agent counts since enrolment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Decoded readings.
    pub decoded: u64,
    /// Sealed.
    pub sealed: u64,
    /// Receipted.
    pub receipted: u64,
    /// Dropped and declared.
    pub dropped: u64,
    /// Records that wait.
    pub waiting: u64,
    /// Bytes on disk of outbox and tally.
    pub store_bytes: u64,
    /// Match rules on the bus, of all clients; 0 if it did not answer.
    pub match_rules: u64,
    /// Clients on the bus that have one.
    pub clients: u64,
}

/// What the centre counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CentreCounts {
    /// It answered.
    pub known: bool,
    /// Readings in the journal.
    pub journaled: u64,
    /// Folded into twins.
    pub applied: u64,
    /// Came again and were not applied again.
    pub duplicated: u64,
    /// Declared lost.
    pub declared_lost: u64,
    /// Declared losses of unknown size.
    pub losses_of_unknown_size: u64,
    /// Set aside with a reason.
    pub quarantined: u64,
    /// Bytes of its folder.
    pub store_bytes: u64,
}

/// What a process takes now; `None` if it is gone.
#[must_use]
pub fn taken(pid: u32) -> Option<Taken> {
    let entries = |folder: &str| {
        let read = std::fs::read_dir(format!("/proc/{pid}/{folder}")).ok()?;
        u64::try_from(read.count()).ok()
    };
    Some(Taken {
        pid,
        rss_kib: memory_kib(pid, "VmRSS").ok()?,
        anon_kib: memory_kib(pid, "RssAnon").ok()?,
        fds: entries("fd")?,
        threads: entries("task")?,
    })
}

/// What an agent says of itself, and what lies on its disk.
#[must_use]
pub fn counts(gateway: &Gateway) -> Counts {
    let status = gateway.status().unwrap_or_default();
    let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let dropped = status["readings_dropped"].as_object().into_iter().flatten();
    let rules = gateway.control("MatchRules", &[]).unwrap_or_default();
    // dbus-send prints each entry as a string and, after the word "uint64", a number.
    let rules: Vec<u64> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("uint64 ")?.parse().ok())
        .collect();
    let folder = gateway.agent_dir();
    Counts {
        decoded: number("/readings_decoded"),
        sealed: number("/readings_sealed"),
        receipted: number("/readings_receipted"),
        dropped: dropped.filter_map(|(_, count)| count.as_u64()).sum(),
        waiting: number("/buffer/records"),
        store_bytes: bytes_below(&folder.join("outbox"))
            + bytes_below(&folder.join("outbox.tally")),
        match_rules: rules.iter().sum(),
        clients: rules.len() as u64,
    }
}

/// What the centre says of itself; zeros if it is away.
#[must_use]
pub fn centre_counts(centre: &Centre) -> CentreCounts {
    let Ok(status) = centre.status() else {
        return CentreCounts::default();
    };
    let number = |field: &str| status[field].as_u64().unwrap_or(0);
    CentreCounts {
        known: true,
        journaled: number("readings_journaled"),
        applied: number("readings_applied"),
        duplicated: number("readings_duplicated"),
        declared_lost: number("readings_declared_lost"),
        losses_of_unknown_size: number("losses_of_unknown_size"),
        quarantined: number("readings_quarantined"),
        store_bytes: bytes_below(centre.dir()),
    }
}

/// Bytes of a file, or of all files below a folder; what vanishes meanwhile counts as nothing.
#[must_use]
pub fn bytes_below(path: &Path) -> u64 {
    let Ok(about) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !about.is_dir() {
        return about.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes_below(&entry.path())).sum()
}

/// One JSON line at the end of the file.
///
/// # Errors
/// The disk's.
pub fn append(file: &Path, sample: &Sample) -> Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .context("samples.jsonl")?;
    writeln!(file, "{}", serde_json::to_string(sample)?).context("samples.jsonl")
}
