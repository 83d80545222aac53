//! Readings a second through the whole aggregator: TLS, admission, opening, durable journal, twin, publishing,
//! with a watcher; and where the time goes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use proto::seal::Opener;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{self, centre_to_gateway::Kind as Down};
use twin::{Event, Twin};
use vitals::{SourceId, Span};

use super::{cpu_time, memory_kib, sync_limit_ms};
use crate::centre::Centre;
use crate::hand::{HandGateway, HandUplink, heart_rates, seal_readings};

/// Gateways that send at the same time.
const GATEWAYS: usize = 4;
/// Readings in one sealed batch.
const READINGS: usize = 10;
/// Batches in one message.
const BATCHES: usize = 32;
/// Messages of one gateway that may wait for a receipt.
const WINDOW: u64 = 8;

/// Runs it and prints the table.
///
/// # Errors
/// When a process fails.
pub async fn run(messages: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sync = sync_limit_ms(folder.path(), 1000)?;
    println!(
        "limit: append 4 KiB + fdatasync p50 {:.2} ms: {:.0} receipts/s one by one",
        sync.p50,
        1e3 / sync.p50
    );
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    centre.start().await?;
    let address = centre.ready()?.grpc;
    let clock = proto::clock::Clock::system();
    let mut gateways = Vec::new();
    for n in 0..GATEWAYS {
        let (token, id) = centre.token(&format!("load {n}"))?;
        let gateway = HandGateway::enrol(address, &token, clock).await?;
        let patient = centre.add_patient(&format!("Load {n}"))?;
        centre.assign(&patient, &id, &[format!("C0:00:00:00:00:{n:02X}")])?;
        gateways.push(gateway);
    }
    let mut loads = Vec::new();
    for gateway in &gateways {
        loads.push(prepare(gateway, messages, clock).await?);
    }
    let _watcher = centre.client().await?.watch_twins(Vec::new()).await?;
    let process = centre.process()?.id();
    let (cpu, start) = (cpu_time(process)?, Instant::now());
    let sending: Vec<_> = loads
        .into_iter()
        .map(|load| tokio::spawn(send_all(load)))
        .collect();
    for task in sending {
        task.await??;
    }
    let receipted = start.elapsed();
    let total = GATEWAYS * messages * BATCHES * READINGS;
    crate::wait::wait_for(
        "all readings applied",
        Duration::from_secs(120),
        async || {
            Ok(
                (centre.status()?["readings_applied"].as_u64() == u64::try_from(total).ok())
                    .then_some(()),
            )
        },
    )
    .await?;
    let cpu = cpu_time(process)?.saturating_sub(cpu);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (total, rss) = (total as f64, memory_kib(process, "VmRSS")? as f64 / 1024.0);
    println!(
        "{total:.0} readings, {READINGS} a batch, {BATCHES} batches a message, {GATEWAYS} gateways by gRPC, load on the same cores"
    );
    println!(
        "receipted:  {:9.0} readings/s of wall time",
        total / receipted.as_secs_f64()
    );
    println!(
        "everything: {:9.0} readings/s per core of the aggregator ({:.2} s CPU), RSS {rss:.0} MiB",
        total / cpu.as_secs_f64(),
        cpu.as_secs_f64()
    );
    stages(cpu.as_secs_f64() / total * 1e9)
}

struct Load {
    uplink: HandUplink,
    messages: Vec<Vec<Vec<u8>>>,
}

/// Opens a context and seals everything in advance, so that the load costs little while it is measured.
async fn prepare(
    gateway: &HandGateway,
    messages: usize,
    clock: proto::clock::Clock,
) -> Result<Load> {
    let mut uplink = gateway.connect().await?;
    let assignment = uplink
        .assignments()
        .await?
        .into_iter()
        .next()
        .context("one assignment")?;
    let (header, mut sealer) = gateway.open_context(&assignment, clock.now())?;
    uplink.send(Up::OpenContext(header)).await?;
    uplink.listen(|heard| !heard.admitted.is_empty()).await?;
    // A reading a millisecond: after the assignment began, and not so far ahead that it is set aside.
    let mut at = clock.now();
    let mut all = Vec::with_capacity(messages);
    for _ in 0..messages {
        let mut records = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let values: Vec<i64> = (0..READINGS)
                .map(|n| 60 + i64::try_from(n % 7).unwrap_or(0))
                .collect();
            let mut readings = heart_rates(at, &values);
            for reading in &mut readings {
                (reading.effective, reading.received) = (at, at);
                at = at + Span::from_millis(1);
            }
            records.extend(seal_readings(&mut sealer, &readings)?);
        }
        all.push(records);
    }
    Ok(Load {
        uplink,
        messages: all,
    })
}

async fn send_all(mut load: Load) -> Result<()> {
    let (mut sent, mut receipted, all) = (0, 0, u64::try_from(load.messages.len() * BATCHES)?);
    let mut messages = load.messages.into_iter();
    while receipted < all {
        while sent - receipted < WINDOW * u64::try_from(BATCHES)? {
            let Some(records) = messages.next() else {
                break;
            };
            sent += u64::try_from(records.len())?;
            load.uplink.send_records(records).await?;
        }
        match load
            .uplink
            .next()
            .await?
            .context("the centre ended the stream")?
        {
            Down::Receipt(receipt) => {
                receipted += receipt
                    .ranges
                    .iter()
                    .map(|r| r.last - r.first + 1)
                    .sum::<u64>();
            }
            Down::Refusal(refusal) => anyhow::bail!("refused: {refusal:?}"),
            Down::Command(_) | Down::ContextAdmitted(_) => {}
        }
    }
    Ok(())
}

/// The stages on one core of this process, nanoseconds a reading, beside the whole.
fn stages(whole_ns: f64) -> Result<()> {
    let secret = proto::seal::PatientSecret::generate();
    let key = proto::seal::SigningKey::from_pkcs8(&proto::seal::SigningKey::generate_pkcs8())
        .ok()
        .context("a key")?;
    let new = proto::seal::NewContext {
        suite: proto::seal::Suite::for_this_cpu(),
        key_id: proto::seal::KeyId::random(),
        public_key: secret.public(),
        stream: vitals::StreamId([1; 16]),
        predecessor: None,
        gateway: vitals::GatewayId::parse("bench").context("an id")?,
        opened_at: vitals::Time::ZERO,
    };
    let (header, mut sealer) = proto::seal::Sealer::open_context(new, &key)?;
    let opener = Opener::new(&secret, &proto::seal::parse_header(&header)?)?;
    let rounds = 20_000;
    // The same shape as the load: ten readings a batch, a millisecond apart.
    let base = proto::clock::wall_now();
    let mut at = base;
    let mut records = Vec::new();
    for _ in 0..rounds {
        let mut readings = heart_rates(at, &[60, 61, 62, 63, 64, 65, 66, 65, 64, 63]);
        for reading in &mut readings {
            (reading.effective, reading.received) = (at, at);
            at = at + Span::from_millis(1);
        }
        records.extend(seal_readings(&mut sealer, &readings)?);
    }
    let mut patient = Twin::default();
    let mut effects = Vec::new();
    let assigned = Event::Assigned(twin::event::Assigned {
        stream: vitals::StreamId([1; 16]),
        gateway: vitals::GatewayId::parse("bench").context("an id")?,
        devices: vec!["AA:BB:CC:DD:EE:01".into()],
        from: vitals::Time::ZERO,
    });
    twin::step(&mut patient, &assigned, base, &mut effects);
    let (mut open, mut decode, mut step) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for record in &records {
        let start = Instant::now();
        let opened = opener.open(record)?;
        open += start.elapsed();
        let start = Instant::now();
        let body: v1::BatchBody = opened.body.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let content =
            proto::wire::decode_body(SourceId(opened.stub.source), opened.stub.number, &body)?;
        decode += start.elapsed();
        let known = content.readings.last().map_or(base, |last| last.received);
        let batch = twin::event::Batch {
            stream: opened.stub.stream,
            context: opened.stub.context,
            number: opened.stub.number,
            supersedes: Vec::new(),
            readings: content.readings,
            gaps: Vec::new(),
            heartbeat: None,
            devices: Vec::new(),
        };
        let start = Instant::now();
        effects.clear();
        twin::step(&mut patient, &Event::Batch(batch), known, &mut effects);
        step += start.elapsed();
    }
    let [open, decode, step] =
        [open, decode, step].map(|time| time.as_secs_f64() * 1e9 / f64::from(rounds) / 10.0);
    let rest = whole_ns - open - decode - step;
    println!("where the time goes, ns of CPU a reading ({READINGS} a batch):");
    for (what, ns) in [
        ("open the seal, parse the body", open),
        ("columns to readings", decode),
        ("step the twin", step),
        (
            "all else: TLS, gRPC, admission, SQLite, publishing, scheduling",
            rest,
        ),
        ("whole", whole_ns),
    ] {
        println!("  {ns:9.0}  {:5.1} %  {what}", ns / whole_ns * 100.0);
    }
    Ok(())
}
