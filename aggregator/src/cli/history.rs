//! `history`: one patient's past, as lines for people or as JSON, one object a line.
//!
//! Must not know: where readings lie.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use proto::clock::Clock;
use proto::v1::history_service_client::HistoryServiceClient;
use proto::v1::{HistoryChunk, HistoryRequest, Resolution};
use serde_json::{Value, json};
use vitals::{Kind, Quality, Span};

use super::office::{self, Reader};
use super::show;
use crate::dir::CentreDir;

/// What is shown without being told from when.
const A_DAY: Span = Span::from_mins(24 * 60);

/// See the module.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The patient's id.
    patient: String,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    reader: Reader,
    /// As JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// Which readings.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Question {
    /// A kind, such as heart_rate (repeat it for more). Default: all.
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<Kind>,
    /// From when on, such as 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Until when. Default: now.
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Each reading, or minutes or hours with minimum, mean and maximum.
    #[arg(long, value_enum, default_value_t = Fine::Raw)]
    resolution: Fine,
    /// As the centre knew it at that time: what came later is left out.
    #[arg(long, value_name = "TIME")]
    known_at: Option<Timestamp>,
}

/// How fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Fine {
    Raw,
    Minute,
    Hour,
}

pub(super) fn kind(name: &str) -> Result<Kind, String> {
    let found = Kind::ALL.into_iter().find(|kind| kind.info().name == name);
    found.ok_or_else(|| {
        let names = Kind::ALL.map(|kind| kind.info().name);
        format!("no such kind; there are {}", names.join(", "))
    })
}

impl Question {
    /// Each reading is asked for, not stretches.
    pub(super) fn is_raw(&self) -> bool {
        self.resolution == Fine::Raw
    }

    /// About one patient, with where each reading came from; without `from`: that long before `to`.
    pub(super) fn request(&self, patient: &str, now_us: i64, before: Span) -> HistoryRequest {
        let to_us = self.to.map_or(now_us, Timestamp::as_microsecond);
        let resolution = match self.resolution {
            Fine::Raw => Resolution::Raw,
            Fine::Minute => Resolution::Minute,
            Fine::Hour => Resolution::Hour,
        };
        let from_us = to_us.saturating_sub(before.as_micros());
        HistoryRequest {
            patient: patient.into(),
            kinds: self.kinds.iter().map(|kind| kind.wire()).collect(),
            from_us: self.from.map_or(from_us, Timestamp::as_microsecond),
            to_us,
            resolution: resolution as i32,
            known_at_us: self.known_at.map_or(0, Timestamp::as_microsecond),
            provenance: resolution == Resolution::Raw,
            ..HistoryRequest::default()
        }
    }
}

pub(super) async fn run(dir: &CentreDir, clock: Clock, asked: &Arguments) -> Result<()> {
    let channel = office::reader(dir, &asked.reader, clock).await?;
    let now = clock.now().as_micros();
    let request = asked.question.request(&asked.patient, now, A_DAY);
    let answer = HistoryServiceClient::new(channel).query(request).await;
    let answer = answer.map_err(office::said)?;
    if let Some(since) = office::kept_since(answer.metadata()) {
        let hint = "not all of it: what was known before is no longer kept";
        writeln!(std::io::stderr(), "{hint} ({})", show::time(since)).context("standard error")?;
    }
    let mut chunks = answer.into_inner();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    while let Some(chunk) = chunks.message().await.map_err(office::said)? {
        for index in 0..chunk.effective_us.len() {
            if asked.json {
                writeln!(out, "{}", line(&asked.patient, &chunk, index))?;
            } else {
                writeln!(out, "{}", text(&chunk, index))?;
            }
        }
    }
    out.flush().context("standard output")
}

/// One reading or stretch of a chunk, with the field names of `HistoryChunk` in the singular.
pub(super) fn line(patient: &str, chunk: &HistoryChunk, index: usize) -> Value {
    let info = Kind::from_wire(chunk.kind).map(Kind::info);
    let mut line = json!({
        "patient": patient,
        "kind": info.map_or("", |info| info.name),
        "unit": info.map_or("", |info| info.unit),
        "stream": chunk.stream,
        "source": chunk.source,
        "effective_us": chunk.effective_us.get(index),
        "quality": chunk.quality.get(index),
    });
    let Some(fields) = line.as_object_mut() else {
        return line;
    };
    let mut put = |name: &str, value: Value| fields.insert(name.into(), value);
    if let Some(count) = chunk.count.get(index) {
        let told = |values: &[f64]| json!(values.get(index).filter(|_| *count > 0));
        put("count", json!(count));
        put("left_out", json!(chunk.left_out.get(index)));
        put("mean", told(&chunk.value));
        put("low", told(&chunk.low));
        put("high", told(&chunk.high));
    } else {
        put("value", json!(chunk.value.get(index)));
    }
    if let Some(position) = chunk.position.get(index) {
        put("position", json!(position));
        put("known_us", json!(chunk.known_us.get(index)));
        put("received_us", json!(chunk.received_us.get(index)));
    }
    line
}

fn text(chunk: &HistoryChunk, index: usize) -> String {
    let info = Kind::from_wire(chunk.kind).map(Kind::info);
    let (name, unit) = info.map_or(("", ""), |info| (info.name, info.unit));
    let number = |values: &[f64]| values.get(index).map_or_else(String::new, f64::to_string);
    let at = chunk.effective_us.get(index).copied().unwrap_or_default();
    let what = match (chunk.count.get(index), chunk.left_out.get(index)) {
        (Some(0), left_out) => format!("nothing usable of {} readings", left_out.unwrap_or(&0)),
        (Some(count), left_out) => {
            let mean = chunk.value.get(index).copied().unwrap_or_default();
            let left_out = match left_out {
                Some(0) | None => String::new(),
                Some(more) => format!(", {more} left out"),
            };
            let (low, high) = (number(&chunk.low), number(&chunk.high));
            format!("{mean:.1} {unit} ({low} to {high}, {count} readings{left_out})")
        }
        (None, _) => format!("{} {unit}", number(&chunk.value)),
    };
    let quality = chunk.quality.get(index).copied().unwrap_or_default();
    let usable = chunk.count.is_empty() && !Quality::from_bits(quality).usable();
    let flagged = if usable { " (flagged: not used)" } else { "" };
    let source = chunk.source;
    format!(
        "{}  {name} {what}{flagged}  sensor {source} of stream {}",
        show::time(at),
        chunk.stream
    )
}
