//! A start from snapshots is a start from the whole log, whenever the centre was killed; and a centre that was lost
//! goes on from its backup: everything comes again or is named as gone.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::client::clock_of;
use e2e::hand::{HandGateway, heart_rates, seal_readings};
use e2e::process::{program, run};
use e2e::world::fast_clock;
use proto::text::hex;
use proto::v1;
use proto::v1::gateway_to_centre::Kind as Up;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::support::{ADDRESS, Small};

/// Kills of the gate; `VITALTWIN_SNAPSHOT_KILLS` for more.
const KILLS: u64 = 5;

fn command(dir: &Path, args: &[&str]) -> Result<String> {
    let dir = dir.to_string_lossy();
    let all = ["--dir", &dir].into_iter().chain(args.iter().copied());
    run(&program("vitaltwin-aggregator")?, all, &[])
}

/// The position of the snapshot from which the last start went on, as the log tells; 0: the whole journal.
fn started_from(log: &str) -> u64 {
    let line = log.lines().rfind(|line| line.contains("journal replayed"));
    let after = line.and_then(|line| line.split("snapshot=").nth(1));
    let digits = after.map(|text| {
        text.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    });
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_goes_on_from_a_snapshot_as_from_the_whole_log() -> Result<()> {
    let kills = std::env::var("VITALTWIN_SNAPSHOT_KILLS");
    let kills = kills
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    let folder = tempfile::tempdir()?;
    // A snapshot each minute of a clock on which a minute lasts a fifth of a second.
    let envs = fast_clock(300.0);
    let clock = clock_of(&envs)?;
    let mut centre = Centre::init(&folder.path().join("centre"), &envs)?;
    let config = centre.dir().join("config.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(
        &config,
        text.replace("snapshot_minutes = 10", "snapshot_minutes = 1"),
    )?;
    centre.start().await?;
    let (token, id) = centre.token("by hand")?;
    let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
    let patient = centre.add_patient("Story")?;
    centre.assign(&patient, &id, &[ADDRESS.into()])?;
    let mut chance = ChaCha8Rng::seed_from_u64(7);
    let (mut sent, mut from_snapshots) = (0, 0);
    let (mut header, mut sealer) = (None, None);
    for kill in 0..kills {
        let gateway = gateway.at(centre.ready()?.grpc);
        let mut up = gateway.connect().await?;
        let assignment = up.assignments().await?.into_iter().next().context("one")?;
        if sealer.is_none() {
            let (opened, first) = gateway.open_context(&assignment, clock.now())?;
            (header, sealer) = (Some(opened), Some(first));
        }
        up.send(Up::OpenContext(header.clone().context("opened")?))
            .await?;
        let sealer = sealer.as_mut().context("opened")?;
        for _ in 0..chance.random_range(3..12) {
            let readings = heart_rates(clock.now(), &[chance.random_range(50..170)]);
            up.send_records(seal_readings(sealer, &readings)?).await?;
            up.listen(|heard| !heard.receipts.is_empty()).await?;
            sent += 1;
            let pause = chance.random_range(0..150);
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
        centre.kill()?;
        centre.start().await?;
        let from = started_from(&centre.process()?.log());
        from_snapshots += u64::from(from > 0);
        let status = centre.status()?;
        ensure!(
            status["readings_applied"] == sent && status["readings_journaled"] == sent,
            "kill {kill}: {sent} receipted, {status}"
        );
        // The whole log, folded anew by another process, gives the state that this start published.
        let twin = centre.client().await?.twin(&patient).await?;
        let (at, hash) = (twin.position.to_string(), hex(&twin.state_hash));
        centre
            .cli(&["rebuild", &patient, "--at", &at, "--expect", &hash])
            .with_context(|| format!("kill {kill}, started from {from}"))?;
    }
    ensure!(from_snapshots > 0, "control: no start used a snapshot");
    // Control: without the file the same centre starts from the whole journal.
    centre.kill()?;
    std::fs::remove_file(centre.dir().join("store/snapshots.db"))?;
    centre.start().await?;
    ensure!(
        started_from(&centre.process()?.log()) == 0,
        "there was none"
    );
    ensure!(
        centre.status()?["readings_applied"] == sent,
        "the journal is enough"
    );
    Ok(())
}

/// How long the last start folded, as its log tells: (with the snapshot alone, in all), milliseconds.
fn folded_in(log: &str) -> Option<(u64, u64)> {
    let line = log
        .lines()
        .rfind(|line| line.contains("journal replayed"))?;
    let field = |name: &str| {
        let text = line.split(name).nth(1)?;
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    Some((field("snapshot_ms=")?, field("all_ms=")?))
}

/// A figure, not a promise: nothing is asserted of times.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_and_without_a_snapshot() -> Result<()> {
    let batches = std::env::var("VITALTWIN_RESTART_BATCHES");
    let batches: usize = batches
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400);
    let mut small = Small::new().await?;
    let (mut up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    up.send(Up::OpenContext(header)).await?;
    let begin = small.clock.now() - vitals::Span::from_secs(i64::try_from(batches)? * 30);
    let mut sent = 0;
    for batch in 0..batches {
        let start = begin + vitals::Span::from_secs(i64::try_from(batch)? * 30);
        let records = seal_readings(&mut sealer, &heart_rates(start, &[70; 30]))?;
        let last = sealer.next_number() - 1;
        sent += records.len();
        up.send_records(records).await?;
        if batch % 50 == 49 || batch + 1 == batches {
            up.listen(|heard| {
                let mut ranges = heard.receipts.iter().flat_map(|receipt| &receipt.ranges);
                ranges.any(|range| range.last == last)
            })
            .await?;
        }
    }
    let readings = small.centre.status()?["readings_journaled"].clone();
    small.centre.stop()?;
    small.centre.start().await?;
    let with = folded_in(&small.centre.process()?.log()).context("a line of the log")?;
    ensure!(
        started_from(&small.centre.process()?.log()) > 0,
        "a snapshot"
    );
    let twin = small.centre.client().await?.twin(&small.patient).await?;
    small.centre.kill()?;
    std::fs::remove_file(small.centre.dir().join("store/snapshots.db"))?;
    small.centre.start().await?;
    let without = folded_in(&small.centre.process()?.log()).context("a line of the log")?;
    let again = small.centre.client().await?.twin(&small.patient).await?;
    ensure!(again.state_hash == twin.state_hash, "one state");
    println!(
        "start with {readings} readings in {sent} batches: {} ms from a snapshot ({} ms of it reading it), {} ms from the whole journal",
        with.1, with.0, without.1
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_centre_goes_on_from_its_backup_and_names_what_is_gone() -> Result<()> {
    let small = Small::new().await?;
    let folder = tempfile::tempdir()?;
    let (up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    up.send(Up::OpenContext(header.clone())).await?;
    let mut records = Vec::new();
    for _ in 0..90 {
        let readings = heart_rates(small.clock.now(), &[72]);
        records.extend(seal_readings(&mut sealer, &readings)?);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let all = records.len();
    ensure!(all == 90, "one reading a record");
    let (first, rest) = records.split_at(30);
    let (during, rest) = rest.split_at(30);
    let (after, unsent) = rest.split_at(20);
    up.send_records(first.to_vec()).await?;
    small.applied(30).await?;
    // Under load: what comes meanwhile is in the backup or not, each record as a whole.
    let (to, vault) = (folder.path().join("backup"), folder.path().join("keys"));
    let dir = small.centre.dir().to_path_buf();
    let backup = {
        let (to, vault) = (to.clone(), vault.clone());
        tokio::task::spawn_blocking(move || {
            let (to, vault) = (to.to_string_lossy(), vault.to_string_lossy());
            command(&dir, &["backup", &to, "--vault", &vault])
        })
    };
    for record in during {
        up.send_records(vec![record.clone()]).await?;
    }
    let said = backup.await??;
    ensure!(said.starts_with("position "), "{said}");
    up.send_records(after.to_vec()).await?;
    small.applied(80).await?;

    // The house burns down; the backup does not.
    let mut small = small;
    small.centre.kill()?;
    std::fs::remove_dir_all(small.centre.dir())?;
    let dir = folder.path().join("restored");
    let (from, keys) = (to.to_string_lossy(), vault.to_string_lossy());
    let said = command(&dir, &["restore", &from, "--vault", &keys])?;
    ensure!(said.contains("epoch 2"), "{said}");
    let again = command(&dir, &["restore", &from, "--vault", &keys]);
    ensure!(again.is_err(), "control: not over a centre");
    let mut centre = Centre::init(&dir, &[])?;
    centre.start().await?;
    let status = centre.status()?;
    let held = status["readings_applied"].as_u64().context("a count")?;
    ensure!((30..=60).contains(&held), "{status}");
    ensure!(
        status["journal_epoch"] == 2 && status["losses_of_unknown_size"] == 1,
        "what is gone is named: {status}"
    );

    // The gateway has deleted what was receipted, and sends the rest.
    let gateway = small.gateway.at(centre.ready()?.grpc);
    let mut up = gateway.connect().await?;
    up.send(Up::OpenContext(header)).await?;
    up.send_records(unsent.to_vec()).await?;
    let heard = up.listen(|heard| !heard.receipts.is_empty()).await?;
    ensure!(
        heard
            .receipts
            .iter()
            .all(|receipt| receipt.journal_epoch == 2),
        "{heard:?}"
    );
    let applied =
        |centre: &Centre| -> Result<Value> { Ok(centre.status()?["readings_applied"].clone()) };
    let delivered = held + 10;
    ensure!(applied(&centre)? == delivered, "{}", centre.status()?);
    let lost = 80 - held;
    // That time is called lost, for as long as nobody brings it.
    let asked = v1::CoverageRequest {
        patient: small.patient.clone(),
        kinds: Vec::new(),
        from_us: (small.clock.now() - vitals::Span::from_mins(60)).as_micros(),
        to_us: small.clock.now().as_micros(),
    };
    let told = centre.client().await?.history().coverage(asked).await?;
    let mut lines = told.get_ref().lines.iter().flat_map(|line| &line.stretches);
    ensure!(
        lines.any(|of| of.class() == v1::CoverageClass::Lost && of.to_us > of.from_us),
        "{told:?}"
    );
    // Control: a gateway that still held all of it would have brought exactly the rest, each reading once.
    up.send_records(records.clone()).await?;
    up.listen(|heard| {
        let ranges = heard.receipts.iter().flat_map(|receipt| &receipt.ranges);
        ranges
            .map(|range| range.last - range.first + 1)
            .sum::<u64>()
            >= 90
    })
    .await?;
    ensure!(
        applied(&centre)? == delivered + lost,
        "{lost} were lost: {}",
        centre.status()?
    );
    Ok(())
}
