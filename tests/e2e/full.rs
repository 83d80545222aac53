//! Full disks. A full journal receipts nothing that did not fit, and all goes on when there is room again: the limit
//! of `config.toml` stands in for the disk, it makes the same write fail. A full outbox drops by its declared policy
//! and declares each drop: on a small file system of its own, filled up, which only root may mount.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use e2e::wait::wait_for;
use e2e::world::World;
use proto::v1::gateway_to_centre::Kind as Up;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::paths::{plan, settle};
use crate::support::{SOON, Small};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_receipts_nothing_and_says_so() -> Result<()> {
    let mut small = Small::new().await?;
    let (uplink, assignment) = small.uplink().await?;
    drop(uplink);
    small.centre.stop()?;
    small.centre.set("journal_max_mib", 1)?;
    small.centre.start().await?;
    let gateway = small.gateway.at(small.centre.ready()?.grpc);
    let mut uplink = gateway.connect().await?;
    let (header, mut sealer) = gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header.clone())).await?;
    // 2 MiB of records: more than fit. A heart that always beats alike would be deflated to nothing.
    let (mut records, mut rng) = (Vec::new(), ChaCha8Rng::seed_from_u64(7));
    for n in 0..5000 {
        let start = small.clock.now() + vitals::Span::from_millis(n);
        let rates: [i64; 250] = std::array::from_fn(|_| rng.random_range(40..200));
        records.extend(seal_readings(&mut sealer, &heart_rates(start, &rates))?);
    }
    let bytes: usize = records.iter().map(Vec::len).sum();
    ensure!(bytes > 3 << 19, "control: {bytes} bytes");
    let mut receipted = 0;
    for piece in records.chunks(50) {
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
    small.centre.set("journal_max_mib", 1000)?;
    small.centre.start().await?;
    let journaled = small.centre.status()?["batches_journaled"].as_u64();
    ensure!(
        journaled >= Some(receipted),
        "{receipted} receipted, {journaled:?} journaled"
    );
    let gateway = small.gateway.at(small.centre.ready()?.grpc);
    let uplink = gateway.connect().await?;
    uplink.send(Up::OpenContext(header)).await?;
    for piece in records.chunks(50) {
        uplink.send_records(piece.to_vec()).await?;
    }
    wait_for("all batches in the journal", SOON, async || {
        let status = small.centre.status()?;
        Ok((status["batches_journaled"].as_u64() == Some(all)).then_some(()))
    })
    .await
}

/// A file system of a few MiB, gone with its handle.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this user may not mount, with the reason said.
    pub(crate) fn new(at: &Path, size: &str) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0700"),
                "outbox",
            ])
            .arg(at)
            .output()
            .context("mount")?;
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr);
            eprintln!(
                "skipped: no small disk can be mounted here ({})",
                why.trim()
            );
            return Ok(None);
        }
        Ok(Some(Self(at.to_owned())))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_drops_by_its_policy_and_declares_each_reading() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = plan("busy.toml", 20.0, e2e::gateway::Uplink::Grpc);
    let disk = folder.path().join("home/agent");
    let Some(_mounted) = Mounted::new(&disk, "8m")? else {
        return Ok(());
    };
    let mut world = World::build(folder.path(), plan).await?;
    world.start()?;
    let minute = Duration::from_secs(60);
    world.gateway("home")?.wait_decoded(50, minute).await?;
    // The negative control: with the line, and room, nothing is dropped.
    world.gateway("home")?.stop_agent()?;
    ensure!(
        world
            .gateway("home")?
            .count("/readings_dropped/buffer_full")
            == 0
    );
    world
        .gateway("home")?
        .configure("grpc_address = \"localhost:1\"\ncommit_interval_ms = 10\n")?;
    world.gateway("home")?.start_agent()?;
    // Each value is a record of its own until its minute is over: a minute of eight sensors is more than the agent
    // keeps on a disk that has no room for it.
    let before = world.gateway("home")?.count("/readings_decoded");
    world
        .gateway("home")?
        .wait_decoded(before + 50, minute)
        .await?;
    // Somebody else takes all the room that is left.
    let filler = disk.join("filler");
    let filled = Command::new("sh")
        .args(["-c", "cat /dev/zero > \"$0\""])
        .arg(&filler)
        .output()
        .context("sh")?;
    ensure!(!filled.status.success(), "the disk was not filled");
    wait_for("dropped readings", minute, async || {
        let dropped = world
            .gateway("home")?
            .count("/readings_dropped/buffer_full");
        Ok((dropped > 0).then_some(()))
    })
    .await
    .with_context(|| format!("status: {:?}", world.gateways["home"].status()))?;
    std::fs::remove_file(&filler)?;
    world.gateway("home")?.stop_agent()?;
    world.gateway("home")?.configure("")?;
    world.gateway("home")?.start_agent()?;
    let before = world.gateway("home")?.count("/readings_decoded");
    world
        .gateway("home")?
        .wait_decoded(before + 50, minute)
        .await?;
    let status = settle(&mut world)?;
    let gateway = world.gateway("home")?;
    let dropped = gateway.count("/readings_dropped/buffer_full");
    let declared = status["readings_declared_lost"].as_u64();
    ensure!(
        declared == Some(dropped) && status["losses_of_unknown_size"] == 0,
        "{dropped} dropped: {status}"
    );
    Ok(())
}
