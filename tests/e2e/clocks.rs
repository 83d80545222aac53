//! Devices whose clocks are wrong, from their memory to the history: what they stored gets the time at which it was
//! measured, within what is said, or is marked as nobody's until somebody knows.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::client::{Client, Dated, clock_of, dated_readings};
use e2e::gateway::Uplink;
use e2e::wait::wait_for;
use e2e::world::{World, later_and_fast};
use tempfile::TempDir;
use vitals::gatt::{Characteristic, DateTime};
use vitals::{Kind, Quality, Span, Time};

use crate::paths::{LONG, quiet_world};

const MINUTE: Span = Span::from_mins(1);
const THERMOMETER: &str = "C0:00:00:00:02:04";

/// The patient was assigned three hours ago; since then the devices measured, and nobody listened.
async fn three_hours_later() -> Result<(TempDir, World)> {
    let (folder, mut world) = quiet_world("clocks.toml", 1.0, Uplink::Grpc).await?;
    world.centre.stop()?;
    let later = later_and_fast(Span::from_mins(180), 30.0);
    world.set_envs(&later);
    world.plan.envs = later;
    world.centre.start().await?;
    let port = world.centre.ready()?.grpc.port();
    world
        .gateway("home")?
        .configure(&format!("grpc_address = \"localhost:{port}\"\n"))?;
    Ok((folder, world))
}

/// When a device measured: as often as it has stored before the start, and again and again after it.
fn truths(began: Time, period_s: i64, stored: i64) -> Vec<Time> {
    let numbers = (-stored..0).chain(1..=20);
    numbers
        .map(|number| began + Span::from_secs(period_s * number))
        .collect()
}

fn off(reading: &Dated, truth: Time) -> Span {
    Span::from_micros(reading.effective.since(truth).as_micros().abs())
}

/// By the truth that is nearest to each reading.
fn by_truth(readings: &[Dated], truths: &[Time]) -> BTreeMap<Time, Vec<Dated>> {
    let mut found: BTreeMap<Time, Vec<Dated>> = BTreeMap::new();
    for reading in readings {
        let nearest = truths.iter().min_by_key(|truth| off(reading, **truth));
        found
            .entry(*nearest.expect("some"))
            .or_default()
            .push(*reading);
    }
    found
}

/// Each of these moments has `times` readings, each within what is said of it and said to a minute or two.
fn sharp(found: &BTreeMap<Time, Vec<Dated>>, of: &[Time], times: usize) -> Result<()> {
    for truth in of {
        let readings = found.get(truth).map_or(&[] as &[_], Vec::as_slice);
        ensure!(
            readings.len() == times,
            "{truth:?} was measured {times} times: {readings:?} of {found:?}"
        );
        for reading in readings {
            let said = reading.uncertainty.context("somebody knows")?;
            ensure!(
                off(reading, *truth) <= said && said <= Span::from_mins(2),
                "of {truth:?}: {reading:?}"
            );
        }
    }
    Ok(())
}

async fn until_taken(
    client: &Client,
    patient: &str,
    kind: Kind,
    done: impl Fn(&[Dated]) -> bool,
) -> Result<Vec<Dated>> {
    wait_for(&format!("{kind:?} in the history"), LONG, async || {
        let readings = dated_readings(client, patient, kind).await?;
        Ok(done(&readings).then_some(readings))
    })
    .await
}

/// A temperature with a stamp, as the thermometer sends it now: tenths of a degree, and what its clock shows.
fn take_temperature(world: &World, tenths: u8, shown: Time) -> Result<()> {
    let mut octets = vec![0x02, tenths, 1, 0, 0xFF];
    octets.extend(DateTime::from_utc(shown).context("a date")?.to_octets());
    let measurement = Characteristic::TemperatureMeasurement.uuid();
    world.gateways["home"].inject(THERMOMETER, measurement, &octets)
}

/// Three measurements minutes apart by a clock that counts from 1970, and one from the future: when each was taken,
/// and its stamp.
async fn temperatures(world: &World) -> Result<Vec<(Time, Time)>> {
    let clock = clock_of(&world.plan.envs)?;
    let began = clock.now();
    let mut taken = Vec::new();
    for number in 0..3_u8 {
        let due = began + Span::from_secs(310 * i64::from(number));
        wait_for("the next measurement", LONG, async || {
            Ok((clock.now() >= due).then_some(()))
        })
        .await?;
        let now = clock.now();
        let stamp = Time::from_micros(7_000_000) + now.since(began);
        take_temperature(world, 110 + number, stamp)?;
        taken.push((now, stamp));
    }
    let now = clock.now();
    let future = now + Span::from_mins(4 * 366 * 24 * 60);
    take_temperature(world, 120, future)?;
    taken.push((now, future));
    Ok(taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_records_of_wrong_clocks_are_dated_right_or_set_apart() -> Result<()> {
    let (_folder, mut world) = three_hours_later().await?;
    world.start()?;
    let began = world.gateway("home")?.began();
    let client = world.centre.client().await?;
    let patient = world.patients["clocks"].clone();

    // The cuff was turned at second 110; what it measures after that is an hour in the future by its old clock.
    let turned = began + Span::from_secs(200);
    let after_turn = |readings: &[Dated]| readings.iter().any(|one| one.effective >= turned);
    until_taken(&client, &patient, Kind::SystolicPressure, after_turn).await?;
    // The agent dies and comes back. It reads the cuff's clock again; the other clocks it still knows.
    world.gateway("home")?.kill_agent()?;
    world.gateway("home")?.start_agent()?;
    wait_for("the thermometer to be heard", LONG, async || {
        let measurement = Characteristic::TemperatureMeasurement.uuid();
        let without_stamp = [0, 109, 1, 0, 0xFF];
        let sent = world.gateways["home"].inject(THERMOMETER, measurement, &without_stamp);
        Ok(sent.ok())
    })
    .await?;
    let taken = temperatures(&world).await?;
    let all = |readings: &[Dated]| readings.iter().filter(|one| one.stamp.is_some()).count() >= 6;
    until_taken(&client, &patient, Kind::BodyTemperature, all).await?;
    // A killed agent knows less of what it decoded than the centre has: nothing to settle.
    world.gateway("home")?.stop_wearables()?;
    world.gateway("home")?.stop_agent()?;
    let status = world.gateways["home"].status().context("a status")?;

    glucose(&client, &patient, began).await?;
    pressure(&client, &patient, began).await?;
    saturation(&client, &patient, began).await?;
    temperature(&client, &patient, &taken).await?;
    let clocks = status["devices"].as_array().context("devices")?;
    let ahead = |place: usize| clocks[place]["clock"]["ahead_us"].as_i64();
    let near = |us: Option<i64>, seconds: i64| {
        us.is_some_and(|us| (us - seconds * 1_000_000).abs() < 120_000_000)
    };
    ensure!(near(ahead(0), -3600) && near(ahead(1), 7200), "{clocks:?}");
    ensure!(clocks[1]["clock"]["last_change"] == "zone", "{clocks:?}");
    ensure!(clocks[3]["clock"]["ahead_us"].is_i64(), "{clocks:?}");
    Ok(())
}

/// Offset and drift: all stored records are there once, at their time, the meter's own stamp beside it.
async fn glucose(client: &Client, patient: &str, began: Time) -> Result<()> {
    let readings = dated_readings(client, patient, Kind::BloodGlucose).await?;
    let truths = truths(began, 600, 12);
    sharp(&by_truth(&readings, &truths), &truths[..12], 1)?;
    for reading in &readings {
        let behind = reading.effective.since(reading.stamp.context("its stamp")?);
        ensure!(
            (behind.as_micros() - 3_600_000_000).abs() < 60_000_000,
            "reversible: {reading:?}"
        );
        ensure!(reading.quality.has(Quality::CLOCK_REPAIRED));
    }
    Ok(())
}

/// Summer time: unsure by its zone until the clock was read again, and sharp before and after.
async fn pressure(client: &Client, patient: &str, began: Time) -> Result<()> {
    let readings = dated_readings(client, patient, Kind::SystolicPressure).await?;
    let truths = truths(began, 200, 6);
    let found = by_truth(&readings, &truths);
    sharp(&found, &truths[..6], 1)?;
    for (truth, readings) in &found {
        for reading in readings {
            let said = reading.uncertainty.context("at most its zone")?;
            ensure!(off(reading, *truth) <= said, "of {truth:?}: {reading:?}");
            ensure!(reading.effective <= began + Span::from_secs(200 * 20));
        }
    }
    let after = found.iter().next_back().context("some")?.1;
    ensure!(
        after
            .iter()
            .all(|one| one.uncertainty <= Some(MINUTE + MINUTE)),
        "its clock was read again: {after:?}"
    );
    Ok(())
}

/// Coincident stamps are told.
async fn saturation(client: &Client, patient: &str, began: Time) -> Result<()> {
    let mut readings = dated_readings(client, patient, Kind::OxygenSaturation).await?;
    readings.retain(|one| one.stamp.is_some());
    let truths = truths(began, 310, 3);
    let found = by_truth(&readings, &truths);
    sharp(&found, &truths[..3], 2)?;
    for truth in &truths[..3] {
        let pair = found.get(truth).context("measured")?.iter();
        let same: Vec<bool> = pair
            .map(|one| one.quality.has(Quality::SAME_STAMP))
            .collect();
        ensure!(
            same.contains(&true) && same.contains(&false),
            "two of one stamp: {found:?}"
        );
    }
    Ok(())
}

/// 1970: set apart with the time of receipt, then given once more with the time that the stamps mean. The future: set
/// apart, and kept.
async fn temperature(client: &Client, patient: &str, taken: &[(Time, Time)]) -> Result<()> {
    let readings = dated_readings(client, patient, Kind::BodyTemperature).await?;
    let second = |time: Time| time.as_micros().div_euclid(1_000_000);
    for (number, (truth, stamp)) in taken.iter().enumerate() {
        let of = |one: &&Dated| one.stamp.map(second) == Some(second(*stamp));
        let of: Vec<&Dated> = readings.iter().filter(of).collect();
        let (dated, apart): (Vec<&Dated>, Vec<&Dated>) =
            of.iter().partition(|one| one.uncertainty.is_some());
        let set_apart = apart
            .iter()
            .all(|one| one.quality.has(Quality::CLOCK_UNKNOWN) && !one.quality.usable());
        // The third of 1970 made the clock known: it was never set apart. The future never has a time.
        let counts = [(1, 1), (1, 1), (1, 0), (0, 1)][number];
        ensure!(
            set_apart && (dated.len(), apart.len()) == counts,
            "{number}: {readings:?}"
        );
        for one in dated {
            let said = one.uncertainty.context("somebody knows")?;
            ensure!(
                off(one, *truth) <= said && said <= Span::from_mins(2),
                "taken at {truth:?}: {one:?}"
            );
            ensure!(one.quality.has(Quality::CLOCK_REPAIRED), "{one:?}");
        }
    }
    Ok(())
}
