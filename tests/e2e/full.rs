//! A full journal: nothing is receipted that did not fit, and all goes on when there is room again. The limit of
//! `config.toml` stands in for the disk: it makes the same write fail. What a full outbox drops and declares is
//! shown by the agent's own tests (`agent/src/outbox`, `agent/src/core`).

use anyhow::{Context, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use e2e::wait::wait_for;
use proto::v1::gateway_to_centre::Kind as Up;

use crate::support::{SOON, Small};

/// Sets one key of the centre's `config.toml`.
fn set(small: &Small, key: &str, value: u64) -> Result<()> {
    let file = small.centre.dir().join("config.toml");
    let text = std::fs::read_to_string(&file)?;
    let kept = text.lines().filter(|line| !line.starts_with(key));
    let lines: Vec<&str> = kept.collect();
    std::fs::write(&file, format!("{key} = {value}\n{}\n", lines.join("\n"))).context("config.toml")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_receipts_nothing_and_says_so() -> Result<()> {
    let mut small = Small::new().await?;
    let (uplink, assignment) = small.uplink().await?;
    drop(uplink);
    small.centre.stop()?;
    set(&small, "journal_max_mib", 1)?;
    small.centre.start().await?;
    let gateway = small.gateway.at(small.centre.ready()?.grpc);
    let mut uplink = gateway.connect().await?;
    let (header, mut sealer) = gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header.clone())).await?;
    // 3 MiB of records: more than fit.
    let mut records = Vec::new();
    for n in 0..900 {
        let start = small.clock.now() + vitals::Span::from_millis(n);
        records.extend(seal_readings(&mut sealer, &heart_rates(start, &[60; 250]))?);
    }
    let mut receipted = 0;
    for piece in records.chunks(10) {
        if uplink.send_records(piece.to_vec()).await.is_err() {
            break;
        }
        let heard = uplink.listen(|heard| !heard.receipts.is_empty() || !heard.refusals.is_empty());
        let Ok(heard) = heard.await else { break };
        let ranges = heard.receipts.iter().flat_map(|receipt| &receipt.ranges);
        receipted += ranges
            .map(|range| range.last - range.first + 1)
            .sum::<u64>();
        if !heard.refusals.is_empty() {
            break;
        }
    }
    let all = u64::try_from(records.len())?;
    ensure!(
        receipted < all,
        "the negative control: {receipted} of {all} batches fitted"
    );
    let status = small.centre.status()?;
    let why = status["store_stopped"].as_str().unwrap_or_default();
    ensure!(!why.is_empty(), "a stopped store must say so: {status}");
    // With room again everything that was receipted is still there, and the rest is taken.
    small.centre.kill()?;
    set(&small, "journal_max_mib", 1000)?;
    small.centre.start().await?;
    let journaled = small.centre.status()?["batches_journaled"].as_u64();
    ensure!(
        journaled >= Some(receipted),
        "{receipted} receipted, {journaled:?} journaled"
    );
    let gateway = small.gateway.at(small.centre.ready()?.grpc);
    let uplink = gateway.connect().await?;
    uplink.send(Up::OpenContext(header)).await?;
    for piece in records.chunks(10) {
        uplink.send_records(piece.to_vec()).await?;
    }
    wait_for("all batches in the journal", SOON, async || {
        let status = small.centre.status()?;
        Ok((status["batches_journaled"].as_u64() == Some(all)).then_some(()))
    })
    .await
}
