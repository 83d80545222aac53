//! `import`: a file of sealed records goes to the running centre, piece by piece, and its receipts into a file.
//!
//! Invariants: memory is bounded, whatever the file says; what is damaged is passed over and counted; the file of
//! receipts is there whole or not at all, and takes the place of no other. Must not know: how a record is judged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use proto::carry::{Cargo, Frame, Reader, Writer};
use proto::v1::{ImportRecordsRequest, ImportRecordsResponse};

use super::office::Office;

/// Bytes sent in one go.
const TOGETHER: usize = 32 * 1024;
/// While the centre is busy the same is sent again, this often and so long apart.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);
/// How often progress is told.
const TOLD: u64 = 10_000;

/// What became of a file.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Imported {
    /// Records that are new.
    pub(super) taken: u64,
    /// Records that were known.
    pub(super) known: u64,
    /// Contexts and records that were not taken, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// Pieces of the file that were damaged.
    pub(super) damaged: u64,
    /// Why the file could not be read to its end; empty if it could.
    pub(super) cut_off: String,
    /// The file for `vitaltwin-agent import-receipts`.
    pub(super) receipts: PathBuf,
}

/// Where the receipts go if nothing else is said.
pub(super) fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".receipts");
    name.into()
}

/// Imports a file.
pub(super) async fn import(office: &mut Office, file: &Path, receipts: &Path) -> Result<Imported> {
    let shown = || file.display().to_string();
    let open = File::open(file).with_context(shown)?;
    let mut reader = Reader::new(BufReader::new(open), Cargo::Records).with_context(shown)?;
    let part = part_of(receipts)?;
    let written = File::create_new(&part).with_context(|| part.display().to_string())?;
    let mut back = Writer::new(BufWriter::new(written), Cargo::Receipts)?;
    let mut done = Imported {
        receipts: receipts.to_owned(),
        ..Imported::default()
    };
    let result = send_all(office, &mut reader, &mut back, &mut done).await;
    let kept = result.and_then(|()| keep(back, &part, receipts));
    if let Err(error) = kept {
        let _not_whole = fs::remove_file(&part);
        return Err(error);
    }
    Ok(done)
}

async fn send_all(
    office: &mut Office,
    reader: &mut Reader<BufReader<File>>,
    back: &mut Writer<BufWriter<File>>,
    done: &mut Imported,
) -> Result<()> {
    let (mut request, mut told) = (ImportRecordsRequest::default(), 0);
    loop {
        let frame = match reader.next_frame() {
            Ok(frame) => frame,
            Err(error) if error.is_passing() => {
                done.damaged += 1;
                continue;
            }
            Err(error) => {
                // What came before it counts all the same.
                done.cut_off = error.to_string();
                None
            }
        };
        let last = frame.is_none();
        match frame {
            // A context goes before its records, also those that wait.
            Some(Frame::Context(open)) => request.contexts.push(open),
            Some(Frame::Record(record)) => request.records.push(record),
            Some(Frame::Receipt(_)) => done.damaged += 1,
            None => {}
        }
        if last || request.encoded_len() >= TOGETHER {
            let sent = std::mem::take(&mut request);
            let answer = send(office, sent).await?;
            for receipt in &answer.receipts {
                back.put(&Frame::Receipt(receipt.clone()))?;
            }
            done.taken += answer.taken;
            done.known += answer.known;
            for (reason, count) in answer.refused {
                *done.refused.entry(reason).or_insert(0) += count;
            }
            let so_far = done.taken + done.known;
            if so_far / TOLD > told {
                told = so_far / TOLD;
                writeln!(std::io::stderr(), "{so_far} records").context("standard error")?;
            }
        }
        if last {
            return Ok(());
        }
    }
}

/// Sends one piece; while the centre is busy, again.
async fn send(office: &mut Office, request: ImportRecordsRequest) -> Result<ImportRecordsResponse> {
    let passing = |answer: &ImportRecordsResponse| {
        let reasons = ["busy", "store_stopped"];
        reasons
            .iter()
            .any(|reason| answer.refused.contains_key(*reason))
    };
    // What is taken in a first try is known in a second one: it is counted as new all the same.
    let mut taken = 0;
    for _ in 0..TRIES {
        let mut answer = office.import_records(request.clone()).await?;
        if !passing(&answer) {
            let before = taken.min(answer.known);
            answer.taken += before;
            answer.known -= before;
            return Ok(answer);
        }
        taken += answer.taken;
        tokio::time::sleep(PAUSE).await;
    }
    bail!(
        "the centre takes nothing now: look at its `status`, and import the same file again later"
    )
}

/// A name for the file while it is not whole.
fn part_of(file: &Path) -> Result<PathBuf> {
    ensure!(
        !file.exists(),
        "{} is there already: give another name (--receipts)",
        file.display()
    );
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    Ok(name.into())
}

fn keep(back: Writer<BufWriter<File>>, part: &Path, file: &Path) -> Result<()> {
    let into = back
        .finish()?
        .into_inner()
        .map_err(|error| error.into_error());
    into?.sync_all()?;
    part_of(file)?;
    fs::rename(part, file).with_context(|| file.display().to_string())
}
