//! A disk that fails: the operating system refuses the centre's writes in the middle of its work (a limit on the size of
//! its files, set from outside on the running process, makes the very system calls fail). The store stops for good and
//! says so everywhere, nothing that was receipted is lost, and the rest is taken by the next life.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::hand::{Heard, heart_rates, seal_readings};
use e2e::wait::wait_for;
use proto::v1::gateway_to_centre::Kind as Up;
use vitals::Span;

use crate::support::{SOON, Small};

/// Writes of the process beyond this offset of any file fail from now on.
fn refuse_writes(process: u32) -> Result<()> {
    let (process, limit) = (process.to_string(), "--fsize=4096:unlimited");
    let done = Command::new("prlimit")
        .args(["--pid", &process, limit])
        .status();
    ensure!(done.context("prlimit")?.success(), "prlimit failed");
    Ok(())
}

fn receipted(heard: &Heard) -> u64 {
    let ranges = heard.receipts.iter().flat_map(|receipt| &receipt.ranges);
    ranges.map(|range| range.last - range.first + 1).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_stops_the_store_and_loses_nothing_receipted() -> Result<()> {
    let mut small = Small::new().await?;
    let (mut uplink, assignment) = small.uplink().await?;
    let gateway = small.gateway.at(small.centre.ready()?.grpc);
    let (header, mut sealer) = gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header.clone())).await?;
    let mut records = Vec::new();
    for n in 0..40 {
        let start = small.clock.now() + Span::from_millis(n);
        records.extend(seal_readings(&mut sealer, &heart_rates(start, &[60, 61]))?);
    }
    let (good, refused) = records.split_at(20);
    uplink.send_records(good.to_vec()).await?;
    // The control: the disk works.
    uplink.listen(|heard| receipted(heard) == 20).await?;

    refuse_writes(small.centre.process()?.id())?;
    uplink.send_records(refused.to_vec()).await?;
    let heard = uplink.listen(|heard| !heard.refusals.is_empty()).await?;
    ensure!(
        receipted(&heard) == 0,
        "nothing was receipted that is not on the disk"
    );
    let status = small.centre.status()?;
    let why = status["store_stopped"].as_str().unwrap_or_default();
    ensure!(why.contains("the disk failed"), "it says so: {status}");
    let warned = status["warnings"].to_string();
    ensure!(warned.contains("nothing is taken"), "{warned}");

    // A disk that works again is believed by the next life only.
    small.centre.kill()?;
    small.centre.start().await?;
    let journaled = small.centre.status()?["batches_journaled"].as_u64();
    ensure!(
        journaled >= Some(20),
        "{journaled:?} of 20 receipted are there"
    );
    let gateway = small.gateway.at(small.centre.ready()?.grpc);
    let uplink = gateway.connect().await?;
    uplink.send(Up::OpenContext(header)).await?;
    uplink.send_records(records).await?;
    wait_for("all batches in the journal", SOON, async || {
        let status = small.centre.status()?;
        Ok((status["batches_journaled"].as_u64() == Some(40)).then_some(()))
    })
    .await
}
