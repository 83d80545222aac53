//! The benches that people read: figures beside the limit or peer of the same run, never an assertion.
//!
//! * [`latency`]: D-Bus signal to alert at a gRPC subscriber, with a durable journal between.
//! * [`agent`]: what an agent takes with 10 and 40 devices, an ECG, a backlog; beside peers. [`peer`] runs those,
//!   [`usage`] reads what processes take.
//! * [`centre`]: the centre with many patients: rates, latency, a backlog, memory, a restart; beside mosquitto alone.
//! * [`fanout`]: messages a second to many readers, beside raw tonic in the same shape.
//! * [`history`]: bytes a reading on disk, and how long questions about the past take.
//! * [`neighbour`]: what one gateway that sends as fast as it can costs the others.
//! * [`throughput`]: readings a second through the aggregator with everything on, and where the time goes.

pub mod agent;
pub mod centre;
pub mod fanout;
pub mod history;
pub mod latency;
pub mod neighbour;
pub mod peer;
pub mod throughput;
pub mod usage;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::demo::summary::Percentiles;

/// CPU time (user and system) of a process so far.
///
/// # Errors
/// When the process is gone.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let stat =
        std::fs::read_to_string(format!("/proc/{process}/stat")).context("/proc/PID/stat")?;
    // The name in parentheses may hold spaces; what follows it does not.
    let (_, fields) = stat.rsplit_once(')').context("a name in parentheses")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux that this runs on.
    Ok(Duration::from_millis(ticks * 10))
}

/// CPU time so far of a process's live threads, by name: exact but for the slice that runs just now (4 ms).
///
/// # Errors
/// When the process is gone, or the kernel keeps no `schedstat`.
pub fn thread_cpu(process: u32) -> Result<BTreeMap<String, Duration>> {
    let mut threads = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{process}/task")).context("/proc/PID/task")? {
        let task = task?.path();
        // One that ended meanwhile has nothing to say.
        let (Ok(name), Ok(times)) = (
            std::fs::read_to_string(task.join("comm")),
            std::fs::read_to_string(task.join("schedstat")),
        ) else {
            continue;
        };
        let nanos = times.split_whitespace().next().and_then(|n| n.parse().ok());
        let nanos = Duration::from_nanos(nanos.context("a number in schedstat")?);
        *threads.entry(name.trim().to_owned()).or_default() += nanos;
    }
    Ok(threads)
}

/// A field of `/proc/PID/status` in KiB (`VmRSS`, `VmHWM`, `RssAnon`).
///
/// # Errors
/// When the process is gone or has no such field.
pub fn memory_kib(process: u32, field: &str) -> Result<u64> {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).context("/proc/PID/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with(&format!("{field}:")))
        .context(field.to_owned())?;
    line.split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .context("a number of KiB")
}

/// The limit of any durable write here: append 4 KiB and fdatasync, milliseconds.
///
/// # Errors
/// When the disk does not take it.
pub fn sync_limit_ms(folder: &Path, times: usize) -> Result<Percentiles> {
    let mut file = File::create(folder.join("sync-limit")).context("a file for the limit")?;
    let mut sample = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        file.write_all(&[0x5A; 4096])?;
        file.sync_data()?;
        sample.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Percentiles::of(sample))
}
