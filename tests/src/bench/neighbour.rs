//! One gateway that sends as fast as it is let, beside some that send a batch now and then: how much longer those wait for
//! a receipt than alone. Run with what each gateway may send limited, as by default, and without, which is the negative
//! control.
//!
//! Promise: the same gateways, patients and disk in all three cases; only the neighbour and the limit differ.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use proto::clock::Clock;
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::gateway_to_centre::Kind as Up;
use tokio::task::JoinHandle;
use vitals::Span;

use super::sync_limit_ms;
use crate::centre::Centre;
use crate::demo::summary::Percentiles;
use crate::hand::{HandGateway, HandUplink, heart_rates, seal_readings};

/// Gateways that are measured.
const LIGHT: usize = 8;
/// Between two batches of each.
const EVERY: Duration = Duration::from_millis(50);
/// Readings in a batch, everybody's.
const READINGS: usize = 10;
/// Batches in one message of the neighbour, and its messages that wait for a receipt.
const BATCHES: usize = 32;
const WINDOW: usize = 8;

/// Runs it and prints the table.
///
/// # Errors
/// When a process fails.
pub async fn run(rounds: usize, messages: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sync = sync_limit_ms(folder.path(), 500)?;
    println!(
        "limit: append 4 KiB + fdatasync p50 {:.2} ms, p99 {:.2} ms",
        sync.p50, sync.p99
    );
    println!("{LIGHT} gateways, a batch each {EVERY:?}, from sending to receipt, ms:");
    let mut alone: Option<Percentiles> = None;
    for (name, neighbour, limited) in [
        ("alone", false, true),
        ("beside a neighbour, limited", true, true),
        ("beside a neighbour, control: no limit", true, false),
    ] {
        let place = folder.path().join(name.replace([' ', ':', ','], "-"));
        let (sample, rate) = case(&place, (rounds, messages), neighbour, limited).await?;
        let of = Percentiles::of(sample);
        let base = alone.get_or_insert(of);
        println!(
            "  {name:40} p50 {:7.2}  p99 {:7.2}  p99 to alone {:5.2}  neighbour {rate:7.0} batches/s",
            of.p50,
            of.p99,
            of.p99 / base.p99
        );
    }
    Ok(())
}

async fn case(
    place: &std::path::Path,
    (rounds, messages): (usize, usize),
    neighbour: bool,
    limited: bool,
) -> Result<(Vec<f64>, f64)> {
    let clock = Clock::system();
    let mut centre = Centre::init(place, &[])?;
    if !limited {
        centre.set("gateway_kib_per_s", 0)?;
    }
    centre.start().await?;
    let mut lights = Vec::new();
    for number in 0..LIGHT {
        lights.push(gateway(&centre, number, clock).await?);
    }
    let loud = if neighbour {
        let (uplink, sealed) =
            prepare(gateway(&centre, LIGHT, clock).await?, messages, clock).await?;
        Some(tokio::spawn(shout(uplink, sealed)))
    } else {
        None
    };
    let mut tasks: Vec<JoinHandle<Result<Vec<f64>>>> = Vec::new();
    for light in lights {
        let (uplink, sealed) = prepare(light, rounds.div_ceil(BATCHES), clock).await?;
        tasks.push(tokio::spawn(speak(uplink, sealed, rounds)));
    }
    let begin = Instant::now();
    let mut sample = Vec::new();
    for task in tasks {
        sample.extend(task.await??);
    }
    let mut rate = 0.0;
    if let Some(loud) = loud {
        loud.abort();
        let batches = centre.status()?["batches_journaled"]
            .as_f64()
            .unwrap_or(0.0);
        rate = (batches - sample.len() as f64) / begin.elapsed().as_secs_f64();
    }
    centre.stop()?;
    Ok((sample, rate))
}

async fn gateway(centre: &Centre, number: usize, clock: Clock) -> Result<HandGateway> {
    let (token, id) = centre.token(&format!("gateway {number}"))?;
    let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
    let patient = centre.add_patient(&format!("Patient {number}"))?;
    centre.assign(&patient, &id, &[format!("C0:00:00:00:00:{number:02X}")])?;
    Ok(gateway)
}

/// Everything sealed in advance, so that it costs little while it is measured.
async fn prepare(
    gateway: HandGateway,
    messages: usize,
    clock: Clock,
) -> Result<(HandUplink, Vec<Vec<Vec<u8>>>)> {
    let mut uplink = gateway.connect().await?;
    let assignments = uplink.assignments().await?;
    let assignment = assignments.first().context("one assignment")?;
    let (header, mut sealer) = gateway.open_context(assignment, clock.now())?;
    uplink.send(Up::OpenContext(header)).await?;
    uplink.listen(|heard| !heard.admitted.is_empty()).await?;
    let (mut at, mut sequence) = (clock.now(), 0);
    let mut sealed = Vec::with_capacity(messages);
    for _ in 0..messages {
        let mut records = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let mut readings = heart_rates(at, &[70; READINGS]);
            for reading in &mut readings {
                reading.sequence = sequence;
                sequence += 1;
            }
            at = at + Span::from_millis(1);
            records.extend(seal_readings(&mut sealer, &readings)?);
        }
        sealed.push(records);
    }
    Ok((uplink, sealed))
}

/// A batch now and then; how long each waited for its receipt, ms.
async fn speak(
    mut uplink: HandUplink,
    sealed: Vec<Vec<Vec<u8>>>,
    rounds: usize,
) -> Result<Vec<f64>> {
    let mut turns = tokio::time::interval(EVERY);
    let mut waits = Vec::with_capacity(rounds);
    for record in sealed.into_iter().flatten().take(rounds) {
        turns.tick().await;
        let begin = Instant::now();
        uplink.send_records(vec![record]).await?;
        uplink.listen(|heard| !heard.receipts.is_empty()).await?;
        waits.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(waits)
}

/// As fast as it is let.
async fn shout(mut uplink: HandUplink, sealed: Vec<Vec<Vec<u8>>>) -> Result<()> {
    let mut open: usize = 0;
    for records in sealed {
        while open >= WINDOW * BATCHES {
            match uplink
                .next()
                .await?
                .context("the centre ended the stream")?
            {
                Down::Receipt(receipt) => {
                    let ranges = receipt.ranges.iter().map(|of| of.last - of.first + 1);
                    open = open.saturating_sub(usize::try_from(ranges.sum::<u64>())?);
                }
                // It keeps it, and goes on.
                Down::Refusal(_) => open = open.saturating_sub(1),
                Down::Command(_) | Down::ContextAdmitted(_) | Down::PieceTaken(_) => {}
            }
        }
        open += records.len();
        uplink.send_records(records).await?;
    }
    Ok(())
}
