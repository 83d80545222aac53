//! Where the CPU time goes: each stage of a batch's way through the running centre, measured where it runs.
//!
//! Measured apart, in a program of its own, stages have other caches and other company, and their sum means
//! nothing. So the threads themselves keep account here: a [`Lap`] reads its thread's CPU clock at each border of a
//! stage. Waiting costs nothing in that clock. What happens once a record is looked at in one of [`SAMPLE`], because
//! reading that clock is a system call. It is switched on by `run --stage-times FILE` alone; else a border costs one
//! load.
//!
//! Invariants: a lap never lives across an await, so that all its time is one thread's; no stage is inside another.
//! Must not know: what a stage does.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use rustix::time::{ClockId, clock_gettime};

macro_rules! stages {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A stretch of a batch's way.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Stage {
            $($(#[$doc])* $name,)*
        }

        /// Thread and name of each, in the order of [`Stage`].
        const NAMES: &[&str] = &[$($text,)*];
    };
}

stages! {
    /// Stub, context, gateway, duplicates.
    Admit = "worker/admit: stub, context, duplicates",
    /// AEAD and protobuf of one record.
    Open = "worker/open the seal, parse the body",
    /// Receipts of one message.
    Receipt = "worker/receipts",
    /// Entries to the bytes of a row.
    Encode = "journal/encode the row",
    /// The row into SQLite, synced.
    Commit = "journal/SQLite, with its syncs",
    /// Registry, feed, callers.
    Announce = "journal/registry, hand on",
    /// From columns to readings.
    Readings = "fold/columns to readings",
    /// The twin's step.
    Step = "fold/step the twin",
    /// Places, hub, deadlines.
    Publish = "fold/publish",
}

const COUNT: usize = NAMES.len();

static ON: AtomicBool = AtomicBool::new(false);
static NANOS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];
static LAPS: AtomicU64 = AtomicU64::new(0);
static TURN: AtomicU64 = AtomicU64::new(0);
/// Of so many laps that may be sampled one is; a prime, so that it keeps no step with what comes in turns.
const SAMPLE: u64 = 17;

/// From now on account is kept.
pub(crate) fn switch_on() {
    ON.store(true, Relaxed);
}

/// A thread's way through stages.
#[derive(Debug)]
pub(crate) struct Lap {
    /// The thread's CPU time at the last border, nanoseconds; `None` when no account is kept.
    last: Option<u64>,
    /// How many laps it stands for.
    weight: u64,
}

impl Lap {
    /// Begins here.
    pub(crate) fn begin() -> Self {
        let last = ON.load(Relaxed).then(thread_cpu);
        Self { last, weight: 1 }
    }

    /// Begins here, or looks away and lets another stand for it: for what happens once a record.
    pub(crate) fn sample() -> Self {
        let chosen = ON.load(Relaxed) && TURN.fetch_add(1, Relaxed).is_multiple_of(SAMPLE);
        Self {
            last: chosen.then(thread_cpu),
            weight: SAMPLE,
        }
    }

    /// What passed since the last border was `stage`; the next begins.
    pub(crate) fn end(&mut self, stage: Stage) {
        let Some(last) = &mut self.last else { return };
        let now = thread_cpu();
        let spent = now.saturating_sub(*last) * self.weight;
        NANOS[stage as usize].fetch_add(spent, Relaxed);
        LAPS.fetch_add(1, Relaxed);
        *last = now;
    }
}

/// CPU time of the calling thread, nanoseconds.
fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let whole = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000;
    whole + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Writes the account as JSON: `stages` (name, nanoseconds), `borders`, and `border_ns`, what one border costs here.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    const TRIES: u32 = 100_000;
    let stages = NAMES.iter().zip(&NANOS);
    let stages: Vec<_> = stages
        .map(|(name, nanos)| (*name, nanos.load(Relaxed)))
        .collect();
    let borders = LAPS.load(Relaxed);
    let before = thread_cpu();
    for _ in 0..TRIES {
        std::hint::black_box(thread_cpu());
    }
    let border_ns = (thread_cpu() - before) / u64::from(TRIES);
    let account =
        serde_json::json!({ "stages": stages, "borders": borders, "border_ns": border_ns });
    std::fs::write(path, account.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lap_counts_work_and_not_waiting() {
        // The one test of this process that switches it on; no other stage is `Announce` of a unit test.
        switch_on();
        let read = |stage: Stage| NANOS[stage as usize].load(Relaxed);
        let before = read(Stage::Announce);
        let mut lap = Lap::begin();
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        assert!(
            never
                .recv_timeout(std::time::Duration::from_millis(50))
                .is_err()
        );
        lap.end(Stage::Announce);
        let waited = read(Stage::Announce) - before;
        assert!(waited < 25_000_000, "50 ms of waiting count as {waited} ns");
    }
}
