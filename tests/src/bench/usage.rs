//! What processes take: CPU, memory, wake-ups, writes. Read from `/proc`, summed over several.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{memory_kib, thread_cpu};

/// Counts of some processes so far.
#[derive(Clone, Debug)]
pub struct Usage {
    at: Instant,
    cpu: Duration,
    switches: u64,
    written: u64,
}

/// The difference between two looks, by the second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Percent of one core.
    pub cpu_percent: f64,
    /// Context switches of all threads a second, asked for or not: each is a wake-up of somebody.
    pub wakeups: f64,
    /// Bytes that the kernel was given to write to a disk, a second: whole pages, each once however often it is changed
    /// before it goes out, without those thrown away before; without what the file system adds. A kernel with large
    /// folios counts a whole one for a changed byte, so this is an upper bound: [`CountedDisk`] says what is so.
    pub written: f64,
    /// Length, seconds.
    pub seconds: f64,
}

impl Usage {
    /// Of these processes, now.
    ///
    /// # Errors
    /// When one is gone.
    pub fn of(processes: &[u32]) -> Result<Self> {
        let (mut cpu, mut switches, mut written) = (Duration::ZERO, 0, 0);
        for process in processes {
            // By the scheduler's account: ticks of 10 ms would say nothing of a process that wakes for less.
            cpu += thread_cpu(*process)?.values().sum::<Duration>();
            switches += context_switches(*process)?;
            written += net_written(*process)?;
        }
        Ok(Self {
            at: Instant::now(),
            cpu,
            switches,
            written,
        })
    }

    /// Since this look.
    ///
    /// # Errors
    /// When one is gone.
    pub fn since(&self, processes: &[u32]) -> Result<Rates> {
        let now = Self::of(processes)?;
        let seconds = now.at.duration_since(self.at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let a_second = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        Ok(Rates {
            cpu_percent: now.cpu.saturating_sub(self.cpu).as_secs_f64() / seconds * 100.0,
            wakeups: a_second(self.switches, now.switches),
            written: a_second(self.written, now.written),
            seconds,
        })
    }
}

/// Resident and own memory of some processes, MiB. Pages of the program that several share are counted for each.
///
/// # Errors
/// When one is gone.
pub fn memory_mib(processes: &[u32]) -> Result<(f64, f64)> {
    let (mut resident, mut own) = (0, 0);
    for process in processes {
        resident += memory_kib(*process, "VmRSS")?;
        own += memory_kib(*process, "RssAnon")?;
    }
    #[expect(clippy::cast_precision_loss, reason = "KiB far below 2^53")]
    Ok((resident as f64 / 1024.0, own as f64 / 1024.0))
}

/// Proportional memory of some processes, MiB: a page that several share is divided among them.
///
/// # Errors
/// When one is gone.
pub fn proportional_mib(processes: &[u32]) -> Result<f64> {
    let mut kib = 0;
    for process in processes {
        let rollup = format!("/proc/{process}/smaps_rollup");
        kib += field(Path::new(&rollup), "Pss:")?;
    }
    #[expect(clippy::cast_precision_loss, reason = "KiB far below 2^53")]
    Ok(kib as f64 / 1024.0)
}

fn context_switches(process: u32) -> Result<u64> {
    let mut all = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task")).context("/proc/PID/task")? {
        let status = task?.path().join("status");
        for name in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
            // A thread that ended meanwhile has nothing to say.
            all += field(&status, name).unwrap_or(0);
        }
    }
    Ok(all)
}

fn net_written(process: u32) -> Result<u64> {
    let io = format!("/proc/{process}/io");
    let written = field(Path::new(&io), "write_bytes:")?;
    Ok(written.saturating_sub(field(Path::new(&io), "cancelled_write_bytes:")?))
}

/// The number behind a name at the start of a line.
fn field(file: &Path, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("{name} in {}", file.display()))
}

/// A disk of its own, where this user may mount one: a file with ext4 on a loop device, in blocks of 4 KiB as on any
/// real one (`mkfs` takes smaller ones for so small a disk, and the figure is then half). Its counter tells what reaches a
/// device, the file system's own writes among it.
#[derive(Debug)]
pub struct CountedDisk {
    at: std::path::PathBuf,
    device: String,
}

impl CountedDisk {
    /// Mounted at `at`; `None`, with the reason said, where it cannot be.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(image: &Path, at: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let script = "truncate -s 256M \"$0\" && mkfs.ext4 -q -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 \"$0\" \
                      && device=$(losetup --find --show --direct-io=on \"$0\") && mount \"$device\" \"$1\" && rmdir \"$1/lost+found\" && chmod 0700 \"$1\" && echo \"$device\"";
        let made = std::process::Command::new("sh")
            .args(["-c", script])
            .args([image, at])
            .output()
            .context("sh")?;
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr);
            println!("no disk to count on: {}", why.trim());
            return Ok(None);
        }
        let device = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        Ok(Some(Self {
            at: at.to_owned(),
            device,
        }))
    }

    /// Bytes that reached the device so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn written(&self) -> Result<u64> {
        // What waits in memory goes out first.
        std::process::Command::new("sync")
            .arg("-f")
            .arg(&self.at)
            .status()?;
        let name = self.device.trim_start_matches("/dev/");
        let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        let sectors: u64 = stat
            .split_whitespace()
            .nth(6)
            .and_then(|text| text.parse().ok())
            .context("sectors written")?;
        Ok(sectors * 512)
    }
}

impl Drop for CountedDisk {
    fn drop(&mut self) {
        drop(
            std::process::Command::new("umount")
                .arg("-l")
                .arg(&self.at)
                .status(),
        );
        drop(
            std::process::Command::new("losetup")
                .args(["-d", &self.device])
                .status(),
        );
    }
}
