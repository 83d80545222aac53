//! The load: sealed in advance, so that it costs little while it is measured.

use anyhow::{Context, Result};
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::gateway_to_centre::Kind as Up;
use vitals::{Span, Time};

use super::{BATCHES, PATIENTS, READINGS, WINDOW};
use crate::hand::{HandGateway, HandUplink, heart_rates, seal_readings};

/// What one gateway sends.
pub(super) struct Load {
    uplink: HandUplink,
    messages: Vec<Vec<Vec<u8>>>,
}

/// Opens a context for each patient and seals everything: patients in turn, each a reading a second from the begin
/// of its assignment on.
pub(super) async fn prepare(gateway: &HandGateway, messages: usize) -> Result<Load> {
    let mut uplink = gateway.connect().await?;
    let assignments = uplink.assignments().await?;
    anyhow::ensure!(assignments.len() == PATIENTS, "one assignment a patient");
    let mut patients = Vec::new();
    for assignment in &assignments {
        let from = Time::from_micros(assignment.effective_from_us);
        let (header, sealer) = gateway.open_context(assignment, from)?;
        uplink.send(Up::OpenContext(header)).await?;
        patients.push((sealer, from, 0_u64));
    }
    uplink
        .listen(|heard| heard.admitted.len() == PATIENTS)
        .await?;
    let mut all = Vec::with_capacity(messages);
    let mut turn = 0;
    for _ in 0..messages {
        let mut records = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let (sealer, at, sequence) = &mut patients[turn % PATIENTS];
            turn += 1;
            let values: Vec<i64> = (0..READINGS)
                .map(|n| 60 + i64::try_from(n % 7).unwrap_or(0))
                .collect();
            let mut readings = heart_rates(*at, &values);
            for reading in &mut readings {
                reading.sequence = *sequence;
                *sequence += 1;
            }
            *at = *at + Span::from_secs(i64::try_from(READINGS)?);
            records.extend(seal_readings(sealer, &readings)?);
        }
        all.push(records);
    }
    Ok(Load {
        uplink,
        messages: all,
    })
}

/// Sends it with a window of receipts.
pub(super) async fn send_all(mut load: Load) -> Result<()> {
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
            Down::Command(_) | Down::ContextAdmitted(_) | Down::PieceTaken(_) => {}
        }
    }
    Ok(())
}
