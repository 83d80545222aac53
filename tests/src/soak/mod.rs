//! The soak: days of three homes in hours, with everything happening to them that happens in a year.
//!
//! * [`trouble`]: what is done to whom, from a seed.
//! * [`stage`]: the world it is done to, and a service manager that starts an agent again which ended by itself.
//! * `hurt`: what a trouble does, and what sets it right.
//! * [`sample`]: what each process takes and counts, a JSON line a minute.
//! * [`verdict`]: PURE: from samples and last counts to what failed.
//!
//! * `centre`: with `--centre`, the centre alone, with many simulated patients and by the wall's clock.
//!
//! Real processes on a test clock. Who of them is let alone: the agent of the home `steady` runs from the first to the
//! last minute (its radio worker, Bluetooth daemon, bus, line and centre do not), and the centre is ended in the first
//! half only, and once near the end (`verdict` says why). What grows in these two lives is a leak; in short lives it
//! would not show.

mod centre;
mod hurt;
pub mod sample;
pub mod stage;
pub mod trouble;
pub mod verdict;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;

use self::stage::Stage;
use self::verdict::Verdict;

/// Days of three homes in hours, with restarts, faults and clock jumps; exits 0 only if nothing was lost, applied twice
/// or leaked. Build all programs in the same profile first.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Wall hours.
    #[arg(long, default_value_t = 2.0)]
    pub hours: f64,
    /// Wall minutes instead, for short runs.
    #[arg(long)]
    pub minutes: Option<f64>,
    /// How many times faster than the wall the clock of all processes runs.
    #[arg(long, default_value_t = 100.0)]
    pub speed: f64,
    /// What happens when.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for data, logs and `samples.jsonl`; made anew. A short path: sockets lie in it.
    #[arg(long, default_value = "/tmp/vitaltwin-soak")]
    pub dir: PathBuf,
    /// The centre alone, with simulated patients at some hundred gateways, by the wall's clock (`--speed` says nothing then).
    #[arg(long)]
    pub centre: bool,
    /// Patients, with `--centre`.
    #[arg(long, default_value_t = 50_000)]
    pub patients: usize,
    /// Readings a second of all of them, with `--centre`.
    #[arg(long, default_value_t = 5_000)]
    pub rate: u32,
    /// Negative control: plants this fault, and the soak must fail.
    #[arg(long, value_enum)]
    pub plant: Option<Plant>,
}

/// A fault that the verdict must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Plant {
    /// Handles of the soak's own process, which is measured like the others, are never let go.
    Handles,
    /// A home's outbox is deleted with what was not delivered; with `--centre`, a batch counts as delivered that was not sent.
    Loss,
    /// With `--centre`: a batch is measured and sent once, and once more as another one.
    Twice,
    /// With `--centre`: the soak's own process, which is measured like the centre, never gives memory back.
    Leak,
}

impl Options {
    /// How long it runs.
    #[must_use]
    pub fn length(&self) -> Duration {
        let hours = self.minutes.map_or(self.hours, |minutes| minutes / 60.0);
        Duration::from_secs_f64(hours * 3600.0)
    }

    /// Between two samples: a minute, less in short runs.
    #[must_use]
    pub fn sample_every(&self) -> Duration {
        (self.length() / 90).clamp(Duration::from_secs(1), Duration::from_secs(60))
    }
}

/// Runs it and prints the verdict. True: nothing failed.
///
/// # Errors
/// When the harness itself fails.
pub async fn run(options: Options) -> Result<bool> {
    let (of_homes, of_centre) = match options.plant {
        None | Some(Plant::Loss) => (true, true),
        Some(Plant::Handles) => (true, false),
        Some(Plant::Twice | Plant::Leak) => (false, true),
    };
    let fits = if options.centre { of_centre } else { of_homes };
    anyhow::ensure!(
        fits,
        "--plant: `handles` is for the soak of homes, `twice` and `leak` for that of the centre"
    );
    if options.centre {
        return centre::run(options).await;
    }
    let mut stage = Stage::build(&options).await?;
    let end = Instant::now() + options.length();
    stage.play(end).await.context("during the soak")?;
    let last = stage.drain().await.context("while draining")?;
    let verdict = Verdict::of(&stage.samples, &last, options.length());
    println!("{}", serde_json::to_string(&last)?);
    println!("{}", verdict.text(&stage.troubles));
    Ok(verdict.failures.is_empty())
}
