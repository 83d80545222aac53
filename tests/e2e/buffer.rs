//! What a thief, a bad disk or a restored image can do to a gateway's buffer.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::centre::Centre;
use e2e::client::measurements;
use e2e::gateway::Uplink;
use e2e::world::World;
use proto::carry::{Cargo, Frame, Reader, Writer};
use proto::seal::record::checksum;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use vitals::Kind;

use crate::paths::{LONG, one_patient};

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (path, name) = {
            let entry = entry?;
            (entry.path(), entry.file_name())
        };
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Measures into the buffer with the centre away, and stops.
pub(crate) async fn fill_buffer(world: &mut World) -> Result<()> {
    world
        .gateway("home")?
        .configure("grpc_address = \"localhost:1\"\nmqtt_address = \"localhost:1\"\n")?;
    world.gateway("home")?.start_agent()?;
    let before = world.gateway("home")?.count("/readings_decoded");
    world
        .gateway("home")?
        .wait_decoded(before + 100, LONG)
        .await?;
    world.gateway("home")?.stop_agent()?;
    world.gateway("home")?.configure("")
}

/// Lets the agent bring everything to the centre, and stops it.
async fn drain(world: &mut World) -> Result<u64> {
    world.gateway("home")?.start_agent()?;
    let before = world.gateway("home")?.count("/readings_decoded");
    world
        .gateway("home")?
        .wait_decoded(before + 20, LONG)
        .await?;
    world.gateway("home")?.stop_agent()?;
    world.centre.status()?["readings_applied"]
        .as_u64()
        .context("a count")
}

/// Readings that may be like another: those of two notifications. The history keeps milliseconds. On a machine that is so busy
/// that two notifications of a fast clock wait for the gateway together, both are stamped within one, and a pulse that is even
/// has the same number in both. Of a strap's only the rate can be alike, never its intervals; whoever takes a record twice
/// takes all of it twice.
const ALIKE: usize = 6;

/// No record came twice: a buffer holds a hundred readings and more. Whoever can counts them besides.
pub(crate) async fn nothing_twice(world: &World) -> Result<usize> {
    let patient = world.patients.values().next().context("one patient")?;
    let mut readings = measurements(&world.centre.client().await?, patient).await?;
    readings.sort_unstable();
    let twice: Vec<_> = readings.windows(2).filter(|two| two[0] == two[1]).collect();
    let beats = twice.iter().any(|two| two[0].0 == Kind::RrInterval.wire());
    ensure!(
        twice.len() <= ALIKE && !beats,
        "{} of {} readings twice: {:?}",
        twice.len(),
        readings.len(),
        twice.iter().take(5).collect::<Vec<_>>()
    );
    if !twice.is_empty() {
        println!(
            "{} of {} readings are like another",
            twice.len(),
            readings.len()
        );
    }
    Ok(readings.len())
}

/// An agent learns its assignments from the centre once; then the buffer can be filled without it.
pub(crate) async fn assigned(uplink: Uplink) -> Result<(tempfile::TempDir, World)> {
    let (folder, mut world) = one_patient(uplink).await?;
    world.start()?;
    world.gateway("home")?.wait_decoded(10, LONG).await?;
    world.gateway("home")?.stop_agent()?;
    Ok((folder, world))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_rolled_back_or_cloned_is_taken_once() -> Result<()> {
    let (folder, mut world) = assigned(Uplink::Mqtt).await?;
    fill_buffer(&mut world).await?;
    let (disk, image) = (
        world.gateway("home")?.agent_dir(),
        folder.path().join("image"),
    );
    copy(&disk, &image)?;
    let first = drain(&mut world).await?;
    ensure!(
        first >= 120,
        "the negative control: the buffer was drained ({first} applied)"
    );
    // The old image comes back, twice: its batches are known, what is measured from now on is new.
    for round in 1..=2 {
        std::fs::remove_dir_all(&disk)?;
        copy(&image, &disk)?;
        let before = nothing_twice(&world).await?;
        drain(&mut world).await?;
        let after = nothing_twice(&world).await?;
        ensure!(
            after >= before + 20,
            "round {round}: {before} readings before, {after} after the rollback"
        );
    }
    Ok(())
}

/// Salvaged, declared lost, and taken afterwards: together exactly what was ever decoded.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_buffer_is_salvaged_and_the_rest_is_declared_exactly() -> Result<()> {
    /// Bits to flip in half a megabyte so that no record survives.
    const EVERYTHING: usize = 400_000;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for flips in [0, 1, 40, 4000, EVERYTHING] {
        let (_folder, mut world) = assigned(Uplink::Mqtt).await?;
        fill_buffer(&mut world).await?;
        let before = world.gateway("home")?.count("/readings_decoded");
        let file = world.gateway("home")?.agent_dir().join("outbox/db");
        let mut bytes = std::fs::read(&file).context("the buffer's file")?;
        for _ in 0..flips {
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
        std::fs::write(&file, bytes)?;
        drain(&mut world)
            .await
            .with_context(|| format!("the agent starts with {flips} flipped bits"))?;
        nothing_twice(&world)
            .await
            .with_context(|| format!("{flips} flipped bits"))?;
        let decoded = world.gateway("home")?.count("/readings_decoded");
        let status = world.centre.status()?;
        let count = |field: &str| status[field].as_u64().unwrap_or(0);
        let lost = count("readings_declared_lost");
        ensure!(
            status["refused"]["forged"].is_null(),
            "damage was sent on: {status}"
        );
        ensure!(
            decoded >= before + 20,
            "{flips} flips: {before} decoded before, only {decoded} with what came after"
        );
        let known = count("readings_applied") + count("readings_quarantined") + lost;
        ensure!(
            known == decoded && count("losses_of_unknown_size") == 0,
            "{flips} flips: {decoded} decoded, {known} applied, quarantined or declared lost: {status}"
        );
        // The negative controls: without damage nothing is declared; of noise nothing comes through.
        ensure!(flips > 0 || lost == 0, "no damage, yet: {status}");
        ensure!(flips < EVERYTHING || lost >= 100, "of noise: {status}");
        let mut kept = std::fs::read_dir(world.gateway("home")?.agent_dir())?;
        let aside = kept.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("corrupt-"))
        });
        ensure!(
            flips < EVERYTHING || aside,
            "a buffer of noise is not kept for people to look at"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_buffer_shows_nothing() -> Result<()> {
    let (_folder, mut world) = assigned(Uplink::Mqtt).await?;
    fill_buffer(&mut world).await?;
    let disk = world.gateway("home")?.agent_dir();
    // The negative control: a word that is there is found.
    let planted = b"planted in clear";
    std::fs::write(disk.join("outbox/planted"), planted)?;
    let mut found_planted = false;
    let patient = world
        .patients
        .values()
        .next()
        .context("one patient")?
        .clone();
    let mut searched = 0;
    let mut folders = vec![disk.join("outbox")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path)?;
            searched += bytes.len();
            found_planted |= bytes == planted;
            for word in [
                patient.as_bytes(),
                b"steady",
                b"heart_rate",
                b"HeartRate",
                b"vitaltwin sim",
                b"C0:00:00:00:01:01",
                &[0xC0, 0, 0, 0, 1, 1],
            ] {
                let found = bytes.windows(word.len()).any(|window| window == word);
                ensure!(
                    !found,
                    "{} holds {:?} in clear",
                    path.display(),
                    String::from_utf8_lossy(word)
                );
            }
        }
    }
    ensure!(
        searched > 10_000 && found_planted,
        "the negative control: {searched} bytes were searched, the planted word was missed"
    );
    Ok(())
}

fn frames(file: &Path, cargo: Cargo) -> Result<Vec<Frame>> {
    let mut reader = Reader::new(std::fs::File::open(file)?, cargo)?;
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

fn write(frames: &[Frame], cargo: Cargo, to: &Path) -> Result<()> {
    let mut writer = Writer::new(std::fs::File::create_new(to)?, cargo)?;
    for frame in frames {
        writer.put(frame)?;
    }
    writer.finish()?;
    Ok(())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// What the centre says of a file: (taken, known, refused by reason).
fn import(centre: &Centre, file: &Path) -> Result<(u64, u64, Value)> {
    let answer = centre.cli(&["import", text(file), "--json"])?;
    let answer: Value = serde_json::from_str(&answer)?;
    let count = |field: &str| answer[field].as_u64().context("a count");
    Ok((count("taken")?, count("known")?, answer["refused"].clone()))
}

/// One record with a flipped bit and its checksums made right again; only its tag can tell.
fn tampered(honest: &[Frame]) -> Vec<Frame> {
    let mut frames = honest.to_vec();
    let record = frames.iter_mut().find_map(|frame| match frame {
        Frame::Record(record) => Some(record),
        Frame::Context(_) | Frame::Receipt(_) => None,
    });
    let record = record.expect("records");
    let (at, end) = (record.len() - 30, record.len() - 4);
    record[at] ^= 1;
    let sum = checksum(&record[..end]);
    record[end..].copy_from_slice(&sum);
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_carried_by_hand_is_taken_once_and_its_receipts_delete_it() -> Result<()> {
    let (folder, mut world) = assigned(Uplink::Mqtt).await?;
    fill_buffer(&mut world).await?;
    let at = |name: &str| folder.path().join(name);
    let file = at("stick.vt");
    let gateway = world.gateway("home")?;
    gateway.cli(&["export", text(&file)])?;
    let again = gateway.cli(&["export", text(&file)]);
    ensure!(again.is_err(), "no file is overwritten");
    let honest = frames(&file, Cargo::Records)?;
    let records = honest
        .iter()
        .filter(|frame| matches!(frame, Frame::Record(_)));
    let records = records.count() as u64;
    ensure!(records >= 2, "the negative control: {records} records");

    // Another centre takes nothing of it.
    let mut other = Centre::init(&at("other"), &[])?;
    other.start().await?;
    let elsewhere = import(&other, &file)?;
    ensure!(
        (elsewhere.0, elsewhere.1) == (0, 0) && elsewhere.2["header_invalid"].as_u64() > Some(0),
        "{elsewhere:?}"
    );
    other.stop()?;
    std::fs::remove_file(at("stick.vt.receipts"))?;

    // Tampered with: that record is refused, the others are taken; then the honest one, twice.
    write(&tampered(&honest), Cargo::Records, &at("tampered.vt"))?;
    let bad = import(&world.centre, &at("tampered.vt"))?;
    ensure!(
        (bad.0, bad.1) == (records - 1, 0) && bad.2["forged"] == 1,
        "{bad:?}"
    );
    let good = import(&world.centre, &file)?;
    ensure!((good.0, good.1) == (1, records - 1), "{good:?}");
    let readings = nothing_twice(&world).await?;
    std::fs::copy(&file, at("copy.vt"))?;
    let twice = import(&world.centre, &at("copy.vt"))?;
    ensure!((twice.0, twice.1) == (0, records), "{twice:?}");
    ensure!(
        nothing_twice(&world).await? == readings,
        "nothing comes twice"
    );
    std::fs::write(at("cut.vt"), &std::fs::read(&file)?[..500])?;
    let cut = world.centre.cli(&["import", text(&at("cut.vt"))]);
    ensure!(
        cut.is_err_and(|error| format!("{error:#}").contains("cut off")),
        "it says so"
    );

    // Receipts delete what they cover; forged ones, and the file that goes the other way, nothing.
    let receipts = frames(&at("stick.vt.receipts"), Cargo::Receipts)?;
    let forged = receipts.iter().cloned().map(|frame| match frame {
        Frame::Receipt(mut receipt) => {
            receipt.mac[0] ^= 1;
            Frame::Receipt(receipt)
        }
        Frame::Context(_) | Frame::Record(_) => frame,
    });
    write(
        &forged.collect::<Vec<_>>(),
        Cargo::Receipts,
        &at("forged.receipts"),
    )?;
    let gateway = world.gateway("home")?;
    let forged = gateway.cli(&["import-receipts", text(&at("forged.receipts"))])?;
    ensure!(forged.starts_with("0 records"), "{forged}");
    ensure!(
        gateway.cli(&["import-receipts", text(&file)]).is_err(),
        "the other way"
    );
    let taken = gateway.cli(&["import-receipts", text(&at("stick.vt.receipts"))])?;
    ensure!(taken.starts_with(&format!("{records} records")), "{taken}");
    gateway.cli(&["export", text(&at("rest.vt"))])?;
    let rest = frames(&at("rest.vt"), Cargo::Records)?;
    ensure!(
        honest
            .iter()
            .all(|frame| !rest.contains(frame) || matches!(frame, Frame::Context(_))),
        "deleted"
    );

    // And life goes on: what is measured from now on comes by the line, everything once, nothing declared lost.
    gateway.start_agent()?;
    let before = gateway.count("/readings_decoded");
    gateway.wait_decoded(before + 5, LONG).await?;
    let running = gateway.cli(&["export", text(&at("running.vt"))]);
    ensure!(
        running.is_err_and(|error| format!("{error:#}").contains("stop")),
        "it says what to do"
    );
    gateway.stop_agent()?;
    drain(&mut world).await?;
    nothing_twice(&world).await?;
    let status = world.centre.status()?;
    ensure!(status["readings_declared_lost"] == 0, "{status}");
    let decoded = world.gateway("home")?.count("/readings_decoded");
    let known = ["readings_applied", "readings_quarantined"].iter();
    let known: u64 = known.filter_map(|field| status[*field].as_u64()).sum();
    ensure!(known == decoded, "{decoded} decoded: {status}");
    Ok(())
}
