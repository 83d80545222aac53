//! Readings a second through the whole aggregator: TLS, admission, opening, durable journal, twin, publishing,
//! with a watcher; and where the time goes.
//!
//! Promise: the table is an account of the very run whose figures stand above it. Threads are read from the kernel,
//! stages from `run --stage-times`; what no stage claims is printed as the rest of its thread, so that the lines
//! add up to the process.

mod account;
mod load;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use proto::clock::{Clock, TEST_CLOCK_VARIABLE};
use vitals::Span;

use super::{cpu_time, memory_kib, sync_limit_ms, thread_cpu};
use crate::centre::Centre;
use crate::hand::HandGateway;
use load::{Load, prepare, send_all};

/// Gateways that send at the same time.
const GATEWAYS: usize = 4;
/// Patients of one gateway.
const PATIENTS: usize = 25;
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
    let total = GATEWAYS * messages * BATCHES * READINGS;
    // What each patient measured, one a second: the hours before the run.
    let seconds = i64::try_from(total / GATEWAYS / PATIENTS)? + 60;
    anyhow::ensure!(
        seconds < 20 * 3600,
        "--messages: at most 5600, or the gateways' certificates run out before the run"
    );
    let wall = proto::clock::wall_now();
    let before = Clock::test(wall, wall + Span::from_secs(-seconds), 1.0)?;
    let mut centre = Centre::init(&folder.path().join("centre"), &envs(before)?)?;
    unlimited(&centre)?;
    let gateways = enrol(&mut centre, before).await?;
    centre.stop()?;

    let now = Clock::test(wall, wall, 1.0)?;
    centre.set_envs(&envs(now)?);
    let account_file = folder.path().join("stages.json");
    let flag = account_file.to_string_lossy().into_owned();
    centre.start_with(&["--stage-times", &flag]).await?;
    let address = centre.ready()?.grpc;
    let mut loads: Vec<Load> = Vec::new();
    for gateway in gateways {
        loads.push(prepare(&gateway.at_time(address, now), messages).await?);
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
    crate::wait::wait_for(
        "all readings applied",
        Duration::from_secs(300),
        async || {
            let applied = centre.status()?["readings_applied"].as_u64();
            Ok((applied == u64::try_from(total).ok()).then_some(()))
        },
    )
    .await?;
    let whole = cpu_time(process)?;
    let threads = thread_cpu(process)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (readings, rss) = (total as f64, memory_kib(process, "VmRSS")? as f64 / 1024.0);
    centre.stop()?;
    println!(
        "{total} readings of {} patients, one a second each, taken after an outage; {READINGS} a batch, {BATCHES} batches a message,\n\
         {GATEWAYS} gateways by gRPC with the limit per gateway off; the load runs on the same cores",
        GATEWAYS * PATIENTS
    );
    println!(
        "receipted:  {:9.0} readings/s of wall time (each durable: one fdatasync a group)",
        readings / receipted.as_secs_f64()
    );
    let spent = whole.saturating_sub(cpu).as_secs_f64();
    println!(
        "everything: {:9.0} readings/s per core of the aggregator ({spent:.2} s CPU), RSS {rss:.0} MiB",
        readings / spent
    );
    let account = std::fs::read_to_string(&account_file).context("--stage-times")?;
    account::print(&account, &threads, whole, readings)
}

fn envs(clock: Clock) -> Result<Vec<(String, String)>> {
    let text = clock.to_text().context("a test clock")?;
    Ok(vec![(TEST_CLOCK_VARIABLE.into(), text)])
}

/// The limit per gateway is for hostile gateways; four that carry a hundred patients would run into it.
fn unlimited(centre: &Centre) -> Result<()> {
    let path = centre.dir().join("config.toml");
    let text = std::fs::read_to_string(&path)?;
    let text = text.replace("gateway_kib_per_s = 2048", "gateway_kib_per_s = 0");
    std::fs::write(path, text).context("config.toml")
}

async fn enrol(centre: &mut Centre, clock: Clock) -> Result<Vec<HandGateway>> {
    centre.start().await?;
    let address = centre.ready()?.grpc;
    let mut gateways = Vec::new();
    for n in 0..GATEWAYS {
        let (token, id) = centre.token(&format!("load {n}"))?;
        gateways.push(HandGateway::enrol(address, &token, clock).await?);
        for p in 0..PATIENTS {
            let patient = centre.add_patient(&format!("Load {n} {p}"))?;
            centre.assign(&patient, &id, &[format!("C0:00:00:00:{n:02X}:{p:02X}")])?;
        }
    }
    Ok(gateways)
}
