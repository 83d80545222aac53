//! The whole path with real processes: the first alert, outages, kills.
//!
//! The gate runs few random kills with a fixed seed; `VITALTWIN_KILLS=300 cargo test -p e2e soak` the full count.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::client::Client;
use e2e::gateway::Uplink;
use e2e::hand::{heart_rates, seal_readings};
use e2e::proxy::{Proxy, Weather};
use e2e::wait::wait_for;
use e2e::world::{Plan, World, fast_clock};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use vitals::{Span, Time};

use crate::buffer::nothing_twice;
use crate::support::{SOON, Small};

/// The longest a story waits for a world to do what it should.
pub(crate) const LONG: Duration = Duration::from_secs(90);

pub(crate) fn plan(scenario: &str, rate: f64, uplink: Uplink) -> Plan {
    Plan {
        scenario: Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scenarios")
            .join(scenario),
        seed: 11,
        recording: None,
        envs: fast_clock(rate),
        uplinks: BTreeMap::from([("home".into(), uplink)]),
    }
}

/// One patient with a strap and an oximeter on a clock ten times as fast; nothing runs but the centre.
pub(crate) async fn one_patient(uplink: Uplink) -> Result<(TempDir, World)> {
    quiet_world("one.toml", 10.0, uplink).await
}

/// A world of `scenario` in which nothing runs but the centre.
pub(crate) async fn quiet_world(
    scenario: &str,
    rate: f64,
    uplink: Uplink,
) -> Result<(TempDir, World)> {
    let folder = tempfile::tempdir()?;
    let world = World::build(folder.path(), plan(scenario, rate, uplink)).await?;
    Ok((folder, world))
}

/// The same, fast, everything running through a proxy.
async fn small_world(rate: f64, uplink: Uplink) -> Result<(TempDir, World, Proxy)> {
    world_behind_proxy("one.toml", rate, uplink, "").await
}

/// The same with a scenario and a configuration of the agent.
pub(crate) async fn world_behind_proxy(
    scenario: &str,
    rate: f64,
    uplink: Uplink,
    config: &str,
) -> Result<(TempDir, World, Proxy)> {
    let folder = tempfile::tempdir()?;
    let mut world = World::build(folder.path(), plan(scenario, rate, uplink)).await?;
    let ready = world.centre.ready()?.clone();
    let (door, key) = match uplink {
        Uplink::Mqtt | Uplink::MqttElseGrpc => (ready.mqtt, "mqtt_address"),
        Uplink::Grpc => (ready.grpc, "grpc_address"),
    };
    let proxy = Proxy::start(door, 5).await?;
    let address = format!("localhost:{}", proxy.address.port());
    world
        .gateway("home")?
        .configure(&format!("{key} = \"{address}\"\n{config}"))?;
    world.start()?;
    Ok((folder, world, proxy))
}

/// Stops sensing, lets the agent drain, and compares what it decoded with what the centre applied.
pub(crate) fn settle(world: &mut World) -> Result<serde_json::Value> {
    world.gateway("home")?.stop_wearables()?;
    settle_quiet(world)
}

/// As [`settle`], with the wearables off already.
pub(crate) fn settle_quiet(world: &mut World) -> Result<serde_json::Value> {
    let gateway = world.gateway("home")?;
    gateway.stop_agent()?;
    let sent = gateway.count("/readings_decoded");
    let status = world.centre.status()?;
    let count = |field: &str| status[field].as_u64().unwrap_or_default();
    let kept =
        count("readings_applied") + count("readings_quarantined") + count("readings_declared_lost");
    ensure!(sent > 0, "nothing was measured");
    ensure!(
        sent == kept,
        "{sent} readings were decoded, {kept} applied, quarantined or declared lost: {status}"
    );
    Ok(status)
}

/// The line comes back thin, so that it can be seen what comes first: a reading taken after the outage is at the
/// centre while most readings of the outage are still missing; in the end none is.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_ten_minutes_is_caught_up_live_first() -> Result<()> {
    for uplink in [Uplink::Mqtt, Uplink::Grpc] {
        let (_folder, mut world, proxy) = small_world(60.0, uplink).await?;
        let client = world.centre.client().await?;
        let clock = e2e::client::clock_of(&world.plan.envs)?;
        let patient = world
            .patients
            .values()
            .next()
            .context("one patient")?
            .clone();
        wait_for("first readings", LONG, async || {
            Ok((world.centre.status()?["readings_applied"].as_u64() > Some(50)).then_some(()))
        })
        .await?;
        proxy.set(Weather {
            cut: true,
            ..Weather::default()
        });
        let before = world.centre.status()?["readings_applied"].as_u64();
        let cut_began = clock.now();
        let (decoded, ten_minutes) = (world.gateway("home")?.count("/readings_decoded"), 2 * 600);
        world
            .gateway("home")?
            .wait_decoded(decoded + ten_minutes, LONG)
            .await?;
        ensure!(
            world.centre.status()?["readings_applied"].as_u64() == before,
            "the negative control: cut means cut"
        );
        let outage = cut_began..clock.now();
        proxy.set(THIN);
        let before = backlog_before_live(&client, &patient, &outage).await?;
        proxy.set(Weather::default());
        settle(&mut world).with_context(|| format!("after the outage by {}", uplink.name()))?;
        let all = taken_during(&client, &patient, &outage).await?;
        ensure!(
            before < all / 2,
            "{before} of {all} readings of the outage came before the first live one by {}",
            uplink.name()
        );
    }
    Ok(())
}

/// The same line and the same judge, with a gateway that sends the oldest first: they must see it.
#[tokio::test(flavor = "multi_thread")]
async fn control_oldest_first_is_told_from_live_first() -> Result<()> {
    let small = Small::new().await?;
    let proxy = Proxy::start(small.centre.ready()?.grpc, 5).await?;
    proxy.set(THIN);
    let gateway = small.gateway.at(proxy.address);
    let mut uplink = gateway.connect().await?;
    let assignment = uplink.assignments().await?.remove(0);
    let now = small.clock.now();
    let outage = now..now + Span::from_secs(3);
    let (header, mut sealer) = gateway.open_context(&assignment, now)?;
    uplink
        .send(proto::v1::gateway_to_centre::Kind::OpenContext(header))
        .await?;
    // A hundred beats a second, and one after the outage.
    let mut readings = heart_rates(now, &[66; 301]);
    for (n, reading) in (0..).zip(&mut readings) {
        reading.effective = now + Span::from_millis(10 * n);
        reading.received = reading.effective;
    }
    wait_for("the outage to pass", SOON, async || {
        Ok((small.clock.now() > outage.end).then_some(()))
    })
    .await?;
    for chunk in readings.chunks(6) {
        uplink
            .send_records(seal_readings(&mut sealer, chunk)?)
            .await?;
    }
    let before = backlog_before_live(&small.client, &small.patient, &outage).await?;
    ensure!(before == 300, "only {before} of 300 came first");
    Ok(())
}

/// A line of 20 kB a second of the wall: on a clock sixty times as fast, 2.7 kbit/s.
const THIN: Weather = Weather {
    cut: false,
    delay: Duration::ZERO,
    corrupt_one_in: 0,
    drop_one_in: 0,
    bytes_per_second: 20_000,
    loss_percent: 0,
    stall: Duration::ZERO,
};

/// Waits for the first reading taken after `outage`; how many of those taken during it are at the centre then.
pub(crate) async fn backlog_before_live(
    client: &Client,
    patient: &str,
    outage: &Range<Time>,
) -> Result<usize> {
    wait_for("a reading taken after the outage", LONG, async || {
        let twin = client.twin(patient).await?;
        let after = outage.end.as_micros();
        let fresh = |channel: &proto::v1::Channel| channel.effective_us >= after;
        Ok(twin.channels.iter().any(fresh).then_some(()))
    })
    .await?;
    taken_during(client, patient, outage).await
}

/// Readings at the centre that were taken during `outage`.
pub(crate) async fn taken_during(
    client: &Client,
    patient: &str,
    outage: &Range<Time>,
) -> Result<usize> {
    let readings = e2e::client::all_readings(client, patient).await?;
    let times = outage.start.as_micros()..outage.end.as_micros();
    Ok(readings
        .iter()
        .filter(|(_, _, at, _)| times.contains(at))
        .count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rough_network_loses_nothing() -> Result<()> {
    for uplink in [Uplink::Mqtt, Uplink::Grpc] {
        let (_folder, mut world, proxy) = small_world(20.0, uplink).await?;
        // A flipped bit ends a TLS connection, as does a drop: both mean reconnect and resend.
        proxy.set(Weather {
            delay: Duration::from_millis(5),
            corrupt_one_in: 40,
            drop_one_in: 40,
            ..Weather::default()
        });
        world.gateway("home")?.wait_decoded(600, LONG).await?;
        ensure!(
            proxy.accepted() > 1,
            "the negative control: the weather broke no connection"
        );
        proxy.set(Weather::default());
        settle(&mut world).with_context(|| format!("in rough weather by {}", uplink.name()))?;
    }
    Ok(())
}

/// Kills agent and centre at random moments; whatever an agent had made durable is applied exactly once.
async fn random_kills(seed: u64, kills: u32) -> Result<()> {
    let (_folder, mut world, proxy) = small_world(20.0, Uplink::Grpc).await?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for n in 0..kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..900))).await;
        if rng.random_bool(0.5) {
            world.gateway("home")?.kill_agent()?;
            world.gateway("home")?.start_agent()?;
        } else {
            world.centre.kill()?;
            let ready = world
                .centre
                .start()
                .await
                .with_context(|| format!("kill {n} of seed {seed}"))?;
            proxy.lead_to(ready.grpc);
        }
    }
    let decoded = world.gateway("home")?.count("/readings_decoded");
    world
        .gateway("home")?
        .wait_decoded(decoded + 50, LONG)
        .await?;
    let gateway = world.gateway("home")?;
    gateway.stop_wearables()?;
    gateway.stop_agent()?;
    let durable = gateway.count("/readings_sealed");
    let status = wait_for("everything durable to be applied", SOON, async || {
        let status = world.centre.status()?;
        let count = |field: &str| status[field].as_u64().unwrap_or_default();
        Ok(
            (count("readings_applied") + count("readings_quarantined") >= durable)
                .then_some(status),
        )
    })
    .await
    .with_context(|| {
        format!(
            "seed {seed}: {durable} sealed, centre: {:?}",
            world.centre.status()
        )
    })?;
    let applied = status["readings_applied"].as_u64().unwrap_or_default();
    let journaled = status["readings_journaled"].as_u64().unwrap_or_default();
    ensure!(
        applied <= journaled,
        "seed {seed}: {applied} applied of {journaled} journaled"
    );
    // What the history gives back is what was applied: nothing twice.
    let readings = nothing_twice(&world)
        .await
        .with_context(|| format!("seed {seed}"))?;
    ensure!(
        readings as u64 == applied,
        "seed {seed}: {applied} applied, {readings} in the history"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_lose_nothing_durable_and_apply_nothing_twice() -> Result<()> {
    random_kills(1, 24).await
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_random_kills() -> Result<()> {
    let Some(kills) = std::env::var("VITALTWIN_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
    else {
        eprintln!("skipped: the soak runs with VITALTWIN_KILLS=300 (see README)");
        return Ok(());
    };
    random_kills(2, kills).await
}
