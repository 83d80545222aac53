//! Bytes a reading on disk in history, beside the information in the workload; and how long questions take.
//!
//! Workload: heart rate each second and SpO2 every fifth second, times with 0 to 40 ms of jitter, ten readings a batch,
//! each patient's batches among those of 9,999 others. Blocks are made by the production flushes and merges, in memory
//! fed with readings instead of a journal (sealing a year of records would take most of the run). Questions go through
//! a running centre by gRPC over mutual TLS, one at a time on one connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use proto::clock::Clock;
use proto::v1::{self, HistoryRequest, Resolution};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vitals::{Fixed, Kind, PatientId, Quality, SourceId, StreamId};
use vitaltwin_aggregator::dir::CentreDir;
use vitaltwin_aggregator::history::Filler;
use vitaltwin_aggregator::history::block::{Batch, Flags, Origin, Point};
use vitaltwin_aggregator::journal::{Draft, Entry, Log, Position};
use vitaltwin_aggregator::registry::Books;
use vitaltwin_aggregator::vault::Vault;

use crate::centre::Centre;
use crate::client::Client;
use crate::demo::summary::Percentiles;

/// Patients whose bytes are counted.
const PATIENTS: u64 = 20;
/// Batches of all patients of the centre in the time of one of a patient.
const AMONG: u64 = 10_000;
/// Readings in a batch.
const READINGS: usize = 10;
/// A day, ms.
const DAY: i64 = 86_400_000;
/// The first moment, ms.
const BEGIN: i64 = 1_795_000_000_000 / DAY * DAY;
/// Questions of each sort.
const QUESTIONS: usize = 60;

/// Runs it and prints the table.
///
/// # Errors
/// When a process fails.
pub async fn run(hours: i64, days: i64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    bytes(folder.path(), hours)?;
    let small = questions(&folder.path().join("day"), 1, days).await?;
    println!("history of {days} days of one patient: {small:.1} MiB");
    Ok(())
}

/// One patient's sensors.
struct Wearer {
    random: ChaCha8Rng,
    patient: PatientId,
    origin: Origin,
    second: i64,
    heart_rate: i64,
    saturation: i64,
    position: u64,
    /// How often each step and each jitter came.
    counts: [std::collections::BTreeMap<i64, u64>; 3],
}

impl Wearer {
    fn new(number: u64, patient: PatientId, first: u64) -> Self {
        let mut stream = [0; 16];
        stream[..8].copy_from_slice(&number.to_be_bytes());
        Self {
            random: ChaCha8Rng::seed_from_u64(number),
            patient,
            origin: Origin {
                stream: StreamId(stream),
                source: SourceId(1),
            },
            second: 0,
            heart_rate: 70,
            saturation: 970,
            position: first,
            counts: Default::default(),
        }
    }

    fn note(&mut self, what: usize, value: i64) {
        *self.counts[what].entry(value).or_default() += 1;
    }

    fn point(&mut self, kind: Kind, number: i64) -> Point {
        let jitter = self.random.random_range(0..=40);
        self.note(0, jitter);
        Point {
            batch: 0,
            kind,
            effective: BEGIN + self.second * 1000 + jitter,
            number: Fixed(number),
            flags: Flags::new(Quality::GOOD, None, false),
            stamp: None,
        }
    }

    /// The next ten readings. Steps as in the anchors: 1.58 bits of heart rate, 0.67 of saturation.
    fn batch(&mut self, among: u64) -> (Batch, Vec<Point>) {
        let mut points = Vec::with_capacity(READINGS + 1);
        while points.len() < READINGS {
            let step = self.random.random_range(-1..=1);
            let step = if (50..=120).contains(&(self.heart_rate + step)) {
                step
            } else {
                0
            };
            self.note(1, step);
            self.heart_rate += step;
            points.push(self.point(Kind::HeartRate, self.heart_rate));
            if self.second % 5 == 0 {
                let step = match self.random.random_range(0..16) {
                    0 => -10,
                    1 => 10,
                    _ => 0,
                };
                let step = if (900..=1000).contains(&(self.saturation + step)) {
                    step
                } else {
                    0
                };
                self.note(2, step);
                self.saturation += step;
                points.push(self.point(Kind::OxygenSaturation, self.saturation));
            }
            self.second += 1;
        }
        let last = points
            .iter()
            .map(|point| point.effective)
            .max()
            .unwrap_or_default();
        // The line and the commit take 2 to 12 ms; others' batches come in between, now a few more, now less.
        let known = last + self.random.random_range(2..=12);
        self.position += among;
        let jitter = if among > 100 {
            self.random.random_range(0..100)
        } else {
            0
        };
        let batch = Batch {
            position: self.position + jitter,
            known,
            received: last,
            origin: self.origin,
        };
        (batch, points)
    }

    /// Bits a reading: jitter of each, and the steps.
    fn entropy(&self) -> f64 {
        let total = |counts: &std::collections::BTreeMap<i64, u64>| counts.values().sum::<u64>();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let bits = |counts: &std::collections::BTreeMap<i64, u64>| {
            let all = total(counts) as f64;
            let of = counts.values().map(|count| *count as f64);
            of.map(|count| -count * (count / all).log2()).sum::<f64>()
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let readings = total(&self.counts[0]) as f64;
        self.counts.iter().map(bits).sum::<f64>() / readings
    }
}

/// Disk bytes of some patients' history.
fn bytes(folder: &Path, hours: i64) -> Result<()> {
    let dir = CentreDir::new(folder.join("bytes"));
    dir.create()?;
    Vault::create(&dir.vault())?;
    let vault = Arc::new(Vault::open(&dir.vault())?);
    let mut wearers = Vec::new();
    for number in 0..PATIENTS {
        let patient = PatientId::parse(&format!("p-{number:016x}")).context("an id")?;
        vault.generate(&patient)?;
        wearers.push(Wearer::new(number, patient, number * AMONG / PATIENTS + 1));
    }
    let (start, mut readings) = (Instant::now(), 0);
    let mut filler = Filler::open(&dir.history(), vault)?;
    while wearers[0].second < hours * 3600 {
        for wearer in &mut wearers {
            let (batch, points) = wearer.batch(AMONG);
            readings += points.len();
            filler.fill(&wearer.patient, batch, points)?;
        }
    }
    filler.finish()?;
    let took = start.elapsed().as_secs_f64();
    let size: u64 = std::fs::metadata(dir.history())?.len();
    let entropy = wearers[0].entropy() / 8.0;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (of, size) = (readings as f64, size as f64);
    println!("{readings} readings of {PATIENTS} patients over {hours} h, {READINGS} a batch");
    println!(
        "disk, sealed, indexes, sums by minute and hour, known times and positions included: {:.3} B a reading",
        size / of
    );
    println!(
        "information in the times' jitter and the values' steps of this run:     {entropy:.3} B a reading"
    );
    println!(
        "made at {:.2} M readings/s of one core (flush, seal, open again, compare, merge)",
        of / took / 1e6
    );
    Ok(())
}

/// How long questions take; gives the history's size, MiB.
async fn questions(folder: &Path, patients: u64, days: i64) -> Result<f64> {
    let mut centre = Centre::init(&folder.join("centre"), &[])?;
    let patient = centre.add_patient("Bench")?;
    let dir = CentreDir::new(centre.dir());
    let vault = Arc::new(Vault::open(&dir.vault())?);
    let id = PatientId::parse(&patient).context("an id")?;
    let mut wearer = Wearer::new(1, id, 1);
    let mut filler = Filler::open(&dir.history(), Arc::clone(&vault))?;
    while wearer.second < days * 86_400 {
        let (batch, points) = wearer.batch(patients);
        filler.fill(&wearer.patient, batch, points)?;
    }
    filler.finish()?;
    let size = std::fs::metadata(dir.history())?.len();
    lengthen(&dir, vault, wearer.position).await?;
    centre.start().await?;
    let client = centre.client().await?;
    println!("questions by gRPC over mutual TLS, one after the other:");
    let span = |from: i64, length: i64| (BEGIN + from, BEGIN + from + length);
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let both = vec![
        v1::Kind::HeartRate as i32,
        v1::Kind::OxygenSaturation as i32,
    ];
    let one = vec![v1::Kind::HeartRate as i32];
    for (name, kinds, resolution, length) in [
        (
            "a day by the minute, heart rate",
            &one,
            Resolution::Minute,
            DAY,
        ),
        (
            "a day by the minute, both kinds",
            &both,
            Resolution::Minute,
            DAY,
        ),
        (
            "all of it by the hour, heart rate",
            &one,
            Resolution::Hour,
            days * DAY,
        ),
        (
            "all of it by the minute, heart rate",
            &one,
            Resolution::Minute,
            days * DAY,
        ),
        ("a raw hour, heart rate", &one, Resolution::Raw, DAY / 24),
        ("a raw day, heart rate", &one, Resolution::Raw, DAY),
    ] {
        let mut times = Vec::new();
        let mut points = 0;
        for _ in 0..if length > DAY { 10 } else { QUESTIONS } {
            let latest = (days * DAY - length) / DAY;
            let (from, to) = span(random.random_range(0..=latest) * DAY, length);
            let request = HistoryRequest {
                patient: patient.clone(),
                kinds: kinds.clone(),
                from_us: from * 1000,
                to_us: to * 1000,
                resolution: resolution as i32,
                ..Default::default()
            };
            let start = Instant::now();
            points = ask(&client, request).await?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let (first, told) = (times[0], Percentiles::of(times));
        println!(
            "  {name:36} {points:8} points: p50 {:7.2} ms, p99 {:7.2} ms, first {first:.2} ms",
            told.p50, told.p99
        );
    }
    centre.stop()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    Ok(size as f64 / 1024.0 / 1024.0)
}

async fn ask(client: &Client, request: HistoryRequest) -> Result<usize> {
    let mut chunks = client.history().query(request).await?.into_inner();
    let mut points = 0;
    while let Some(chunk) = chunks.message().await? {
        points += chunk.effective_us.len();
    }
    Ok(points)
}

/// Entries that mean nothing, so that the journal reaches as far as the history does.
async fn lengthen(dir: &CentreDir, vault: Arc<Vault>, to: u64) -> Result<()> {
    let log = Log::open(
        &dir.journal(),
        None,
        Clock::system(),
        Arc::new(Books::new(vault)),
    )?;
    log.replay(Position::START, |_| {})?;
    let (journal, mut feed) = log.start()?;
    let drain = tokio::spawn(async move { while feed.recv().await.is_some() {} });
    let mut at = journal.status().position.0;
    while at < to {
        let many = (to - at).min(4096);
        let ticks = (0..many).map(|_| Draft::from(Entry::Tick)).collect();
        at = journal.append(ticks).await?.last.0;
    }
    journal.close().await;
    Ok(drain.await?)
}
