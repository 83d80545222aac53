//! Commands that fold again: a twin at a position, why an alert was raised, observations from a file, what each moment was.
//!
//! Must not know: how any of it is folded.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use proto::clock::Clock;
use proto::text::hex;
use proto::v1::CoverageRequest;
use twin::signal::Reason;
use vitals::{PatientId, Span, Time};

use super::{show, show_past};
use crate::dir::CentreDir;
use crate::journal::Position;
use crate::past;
use crate::replay::{self, output::Type};

/// What `coverage` tells of without being told from when.
const A_DAY: Span = Span::from_mins(24 * 60);

/// What to feed, and what to write.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArguments {
    /// Observations, one JSON object a line; `-`: standard input.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// What the fold says, one JSON object a line; `-`: standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Write this type of line only: state, rhythm, forecast, alert, finding (repeat it for more).
    #[arg(long, value_name = "TYPE")]
    only: Vec<Type>,
}

pub(super) fn replay(asked: &ReplayArguments) -> Result<()> {
    let ReplayArguments {
        input,
        output,
        only,
    } = asked;
    let dash = Path::new("-");
    let from: Box<dyn std::io::Read> = if input == dash {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(input).with_context(|| input.display().to_string())?)
    };
    let to: Box<dyn std::io::Write> = if output == dash {
        Box::new(std::io::stdout())
    } else {
        Box::new(File::create(output).with_context(|| output.display().to_string())?)
    };
    let (from, mut to) = (BufReader::new(from), BufWriter::new(to));
    let mut errors = std::io::stderr();
    let summary = replay::run(from, &mut to, only, |number, why| {
        // Standard error may be closed: what counts stands in the sum, and in the status.
        let _ = writeln!(errors, "line {number}: {why}");
    })?;
    writeln!(
        errors,
        "{} lines of {} patients: {} taken ({} of them quarantined), {} waveforms passed over, {} refused, {} known times went back; {} lines written",
        summary.lines,
        summary.patients,
        summary.taken,
        summary.quarantined,
        summary.waveforms,
        summary.refused,
        summary.known_went_back,
        summary.written
    )
    .context("standard error")?;
    for (name, counts) in [("ECG", summary.ecg), ("light", summary.ppg)] {
        if counts != twin::signal::Counts::default() {
            writeln!(errors, "{name}: {}", became(&counts)).context("standard error")?;
        }
    }
    if summary.blocks_quarantined > 0 || summary.samples_missing > 0 {
        writeln!(
            errors,
            "waveforms: {} blocks quarantined, {} samples missing",
            summary.blocks_quarantined, summary.samples_missing
        )
        .context("standard error")?;
    }
    anyhow::ensure!(
        summary.refused == 0,
        "{} lines were refused: aggregator/REPLAY.md says what a line must be",
        summary.refused
    );
    Ok(())
}

/// Which twin to make again.
#[derive(Debug, clap::Args)]
pub(super) struct RebuildArguments {
    /// The patient's id.
    patient: String,
    /// The entry's position; without it the last one. Twins and alerts carry positions, `status` shows the newest.
    #[arg(long, value_name = "POSITION")]
    at: Option<u64>,
    /// Instead: the last entry that the centre knew at that time.
    #[arg(long, value_name = "TIME", conflicts_with = "at")]
    known_at: Option<Timestamp>,
    /// End with an error unless the state has this hash (`state_hash` of the twin that the centre published).
    #[arg(long, value_name = "HEX")]
    expect: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn rebuild(dir: &CentreDir, clock: Clock, asked: &RebuildArguments) -> Result<()> {
    super::settings(dir)?;
    let patient = PatientId::parse(&asked.patient)
        .context("PATIENT: an id as `patient list` shows it, such as p-4k2d")?;
    let at = match asked.known_at {
        None => asked.at.map(Position),
        Some(known) => {
            let known = Time::from_micros(known.as_microsecond());
            Some(past::position_at(dir, known)?)
        }
    };
    let rebuilt = past::rebuild(dir, &patient, at)?;
    super::office::note_access(dir, clock, patient.reveal()).await?;
    super::print(&if asked.json {
        show::json(&show_past::rebuilt_json(&rebuilt))?
    } else {
        show_past::rebuilt(&rebuilt)
    })?;
    let hash = hex(&rebuilt.twin.state_hash);
    let expect = asked.expect.as_deref();
    if let Some(expected) = expect.filter(|expected| !expected.eq_ignore_ascii_case(&hash)) {
        anyhow::bail!(
            "the state's hash is {hash}, not {expected}: another position, another fold version (this program's is {}), or a damaged journal",
            twin::FOLD_VERSION
        );
    }
    Ok(())
}

pub(super) async fn why(dir: &CentreDir, clock: Clock, alert: &str, json: bool) -> Result<()> {
    super::settings(dir)?;
    let why = past::why(dir, alert)?;
    super::office::note_access(dir, clock, &why.alert.patient).await?;
    super::print(&if json {
        show::json(&show_past::why_json(&why))?
    } else {
        show_past::why(&why)
    })
}

/// What each moment was. Without `from` the day before `to`, without `to` until now.
pub(super) async fn coverage(
    dir: &CentreDir,
    clock: Clock,
    patient: String,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    json: bool,
) -> Result<()> {
    let to_us = to.map_or(clock.now().as_micros(), Timestamp::as_microsecond);
    let request = CoverageRequest {
        patient,
        kinds: Vec::new(),
        from_us: from.map_or(to_us - A_DAY.as_micros(), Timestamp::as_microsecond),
        to_us,
    };
    let answer = super::office::coverage(dir, clock, request).await?;
    super::print(&if json {
        show::json(&show::coverage_json(&answer))?
    } else {
        show::coverage(&answer)
    })
}

/// What became of the blocks of a waveform, and of time whose beats were not said, by reason.
fn became(counts: &twin::signal::Counts) -> String {
    let mut text = format!(
        "{} beats in {} blocks of {} runs; {} blocks late, {} refused; {} samples bridged, {} overlapped, {} stuck, {} impossible",
        counts.beats,
        counts.blocks,
        counts.runs,
        counts.late,
        counts.refused,
        counts.bridged,
        counts.overlapped,
        counts.stuck,
        counts.impossible
    );
    let refused: u64 = counts.refused_ms.iter().sum();
    if counts.told_ms + refused > 0 {
        let reasons = Reason::ALL.into_iter().zip(counts.refused_ms);
        let reasons: Vec<String> = reasons
            .filter(|(_, lasted)| *lasted > 0)
            .map(|(reason, lasted)| format!("{} {}", lasted.div_ceil(1000), reason.name()))
            .collect();
        let _ = write!(
            text,
            "; of {} s {} believed, the others refused ({})",
            (counts.told_ms + refused) / 1000,
            counts.told_ms / 1000,
            reasons.join(", ")
        );
    }
    text
}
