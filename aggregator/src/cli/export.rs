//! `export`: past readings of a whole cohort into a file, one JSON object a line.
//!
//! The cohort is told by the centre (`HistoryService.BeginExport`), of those whom the reader may see: the gate is asked for
//! each patient and each message, and the journal says who took what. All of it is as of one journal position, whenever and however often the run was cut: beside
//! the file lies its progress, written after what it vouches for is on disk, and a repeated run goes on from there.
//!
//! Patients and streams have names that this file alone has, by a key that goes with its progress: two exports cannot be
//! joined by them, and nobody can lead them back, not even who made them. Times of day are exact.
//!
//! Invariants: the file is mode 0600 and never overwritten; nothing lies in it twice; a patient who could not be read is
//! named at the end and makes the run fail; memory is bounded by one answer of the centre and the list of the cohort. Must
//! not know: where readings lie.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use proto::clock::Clock;
use proto::seal::{Secret, crypto};
use proto::text::hex;
use proto::v1::history_service_client::HistoryServiceClient;
use proto::v1::{BeginExportRequest, FactFilter, HistoryChunk, HistoryRequest};
use serde::{Deserialize, Serialize};
use tonic::Code;
use tonic::transport::Channel;
use twin::facts::FactKind;
use vitals::Span;

use super::history::{Question, line};
use super::office::{self, Reader};
use crate::dir::{self, CentreDir};

/// Octets between two marks of progress.
const MARK: u64 = 1024 * 1024;
/// Largest list of a cohort, octets: about a million patients.
const COHORT: usize = 32 * 1024 * 1024;

/// See the module.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file; its progress lies in FILE.progress until it is whole.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// This patient only (repeat it for more). Default: all that the reader may see.
    #[arg(long = "patient", value_name = "ID")]
    patients: Vec<String>,
    /// Only patients of whom this is known at the moment, such as condition=I48.0 or oxygen_target (repeat it for more: all
    /// must hold). The value is a fact's code, with or without its system, or its text.
    #[arg(long = "with", value_name = "KIND[=VALUE]", value_parser = filter)]
    facts: Vec<Filter>,
    /// With the patients' ids and the streams as the centre names them, and where each reading came from. Default: names
    /// that this file alone has.
    #[arg(long)]
    identified: bool,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    reader: Reader,
}

/// A fact that patients of the cohort have.
#[derive(Clone, Debug)]
struct Filter {
    kind: FactKind,
    value: String,
}

fn filter(text: &str) -> Result<Filter, String> {
    let (kind, value) = text.split_once('=').unwrap_or((text, ""));
    let kind = FactKind::parse(kind).ok_or_else(|| {
        let names = FactKind::ALL.map(FactKind::name);
        format!("no such kind of fact; there are {}", names.join(", "))
    })?;
    let value = value.into();
    Ok(Filter { kind, value })
}

/// What is done of an export.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// What was asked, as the command line said it: another question is another file.
    question: String,
    /// Who is asked about.
    patients: Vec<String>,
    /// As of which journal position.
    known_at_position: u64,
    /// Until when, so that a question without an end stays the same.
    to_us: i64,
    /// So many patients are done...
    done: usize,
    /// ...and of the next one everything before this token.
    resume: Vec<u8>,
    /// Octets of the file that this vouches for.
    bytes: u64,
    /// Lines in them.
    lines: u64,
    /// Patients who could not be read, and why.
    refused: Vec<(String, String)>,
    /// The entry of the journal that says who took what.
    #[serde(default)]
    entry: u64,
    /// Makes the names that this file alone has; `None`: the centre's are told. It goes with the progress.
    #[serde(default)]
    names: Option<[u8; 32]>,
}

impl Progress {
    /// What stands in the file for a name of the centre's.
    fn name(&self, prefix: &str, name: &str) -> String {
        let Some(key) = self.names else {
            return name.into();
        };
        let mac = crypto::hmac_sha256(&Secret::new(key), format!("{prefix} {name}").as_bytes());
        format!("{prefix}-{}", hex(&mac[..8]))
    }

    /// A reading or stretch as it stands in the file.
    fn line(&self, patient: &str, chunk: &HistoryChunk, index: usize) -> String {
        let mut line = line(patient, chunk, index);
        if self.names.is_some() {
            let (patient, stream) = (self.name("x", patient), self.name("s", &chunk.stream));
            line["patient"] = patient.into();
            line["stream"] = stream.into();
        }
        line.to_string()
    }
}

pub(super) async fn run(dir: &CentreDir, clock: Clock, asked: &Arguments) -> Result<()> {
    let channel = office::reader(dir, &asked.reader, clock).await?;
    let mut beside = asked.out.clone().into_os_string();
    beside.push(".progress");
    let beside = PathBuf::from(beside);
    let question = format!(
        "{:?} {:?} {:?} {}",
        asked.patients, asked.question, asked.facts, asked.identified
    );
    let mut progress = if beside.exists() {
        let progress: Progress = serde_json::from_slice(&dir::read(&beside)?)
            .with_context(|| beside.display().to_string())?;
        ensure!(
            progress.question == question,
            "{} was begun with other options: repeat those, or give another --out",
            asked.out.display()
        );
        progress
    } else {
        ensure!(
            !asked.out.exists(),
            "{} is there already and is not overwritten: give another --out",
            asked.out.display()
        );
        let progress = begin(&channel, asked, question, clock).await?;
        mark(&beside, &progress)?;
        eprint(&format!(
            "{} patients; entry {} of the journal says who took it",
            progress.patients.len(),
            progress.entry
        ));
        progress
    };
    let mut out = open(&asked.out, progress.bytes)?;
    while let Some(patient) = progress.patients.get(progress.done).cloned() {
        if let Err(error) = one(&channel, asked, &patient, &mut progress, &mut out, &beside).await {
            return Err(error.context("the export was cut: repeat the command, and it goes on"));
        }
        progress.done += 1;
        progress.resume.clear();
        save(&mut out, &mut progress, &beside)?;
        eprint(&format!(
            "{} of {} patients, {} lines",
            progress.done,
            progress.patients.len(),
            progress.lines
        ));
    }
    if !progress.refused.is_empty() {
        for (patient, why) in &progress.refused {
            eprint(&format!("{patient}: {why}"));
        }
        bail!(
            "{} of {} patients could not be read; the rest is in {}, and {} tells of it",
            progress.refused.len(),
            progress.patients.len(),
            asked.out.display(),
            beside.display()
        );
    }
    std::fs::remove_file(&beside).with_context(|| beside.display().to_string())
}

/// Who is asked about, and as of when.
async fn begin(
    channel: &Channel,
    asked: &Arguments,
    question: String,
    clock: Clock,
) -> Result<Progress> {
    let now = clock.now().as_micros();
    let whole = asked.question.request("", now, Span::from_micros(now));
    let fact = |filter: &Filter| FactFilter {
        kind: filter.kind as i32,
        value: filter.value.clone(),
    };
    let request = BeginExportRequest {
        patients: asked.patients.clone(),
        kinds: whole.kinds.clone(),
        from_us: whole.from_us,
        to_us: whole.to_us,
        facts: asked.facts.iter().map(fact).collect(),
        pseudonymous: !asked.identified,
    };
    let mut client = HistoryServiceClient::new(channel.clone()).max_decoding_message_size(COHORT);
    let begun = client.begin_export(request).await;
    let begun = begun.map_err(office::said)?.into_inner();
    Ok(Progress {
        question,
        patients: begun.patients,
        known_at_position: begun.known_at_position,
        to_us: whole.to_us,
        done: 0,
        resume: Vec::new(),
        bytes: 0,
        lines: 0,
        refused: Vec::new(),
        entry: begun.position,
        names: (!asked.identified).then(crypto::random),
    })
}

/// The rest of one patient.
async fn one(
    channel: &Channel,
    asked: &Arguments,
    patient: &str,
    progress: &mut Progress,
    out: &mut BufWriter<File>,
    beside: &Path,
) -> Result<()> {
    let everything = Span::from_micros(progress.to_us);
    let request = HistoryRequest {
        known_at_position: progress.known_at_position,
        resume: progress.resume.clone(),
        provenance: asked.identified && asked.question.is_raw(),
        ..asked.question.request(patient, progress.to_us, everything)
    };
    let answer = HistoryServiceClient::new(channel.clone())
        .query(request)
        .await;
    let mut chunks = match answer {
        Ok(answer) => answer.into_inner(),
        Err(status) => return refused(status, patient, progress),
    };
    let mut written = 0;
    loop {
        let chunk = match chunks.message().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(()),
            Err(status) => return refused(status, patient, progress),
        };
        for index in 0..chunk.effective_us.len() {
            let text = progress.line(patient, &chunk, index);
            writeln!(out, "{text}").with_context(|| asked.out.display().to_string())?;
            written += text.len() as u64 + 1;
            progress.lines += 1;
        }
        if !chunk.resume.is_empty() && written >= MARK {
            written = 0;
            progress.resume = chunk.resume;
            save(out, progress, beside)?;
        }
    }
}

/// What one may not see is left out and told at the end; anything else cuts the run.
fn refused(status: tonic::Status, patient: &str, progress: &mut Progress) -> Result<()> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other code is a failure"
    )]
    match status.code() {
        Code::PermissionDenied | Code::NotFound | Code::DataLoss => {
            let why = office::said(status).to_string();
            progress.refused.push((patient.into(), why));
            Ok(())
        }
        _ => Err(office::said(status)),
    }
}

/// The file as far as it is vouched for.
fn open(path: &Path, bytes: u64) -> Result<BufWriter<File>> {
    let open = || {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok::<_, std::io::Error>(file)
    };
    let file = open().with_context(|| path.display().to_string())?;
    Ok(BufWriter::new(file))
}

/// What was written is durable first, then it is vouched for.
fn save(out: &mut BufWriter<File>, progress: &mut Progress, beside: &Path) -> Result<()> {
    let write = |out: &mut BufWriter<File>| {
        out.flush()?;
        out.get_ref().sync_data()?;
        out.stream_position()
    };
    progress.bytes = write(out).context("--out")?;
    mark(beside, progress)
}

fn mark(beside: &Path, progress: &Progress) -> Result<()> {
    Ok(dir::write_private(beside, &serde_json::to_vec(progress)?)?)
}

/// Progress for people; standard error may be closed.
fn eprint(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
