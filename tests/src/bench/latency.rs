//! From the D-Bus signal of a wearable to the alert at a gRPC subscriber.
//!
//! The wearables run in this process on a private bus, so that the moment of the signal is known exactly; agent
//! and centre are the real processes. Each sample is a battery value that crosses its limit: the one alert that
//! a single notification raises, so nothing waits for a rule's duration.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use firmware::gatt::Uuid;
use firmware_sim::bluez::{FakeBluez, Options};
use firmware_sim::scenario::Scenario;
use proto::clock::Clock;
use proto::v1;

use super::sync_limit_ms;
use crate::client::Client;
use crate::demo::stage::root;
use crate::demo::summary::Percentiles;
use crate::gateway::Uplink;
use crate::wait::wait_for;
use crate::world::{Plan, World};

const BATTERY_LEVEL: Uuid = Uuid::short(0x2A19);

/// Runs it for both transports and prints the table.
///
/// # Errors
/// When a process fails.
pub async fn run(samples: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sync = sync_limit_ms(folder.path(), 2000)?;
    println!(
        "limit: append 4 KiB + fdatasync          p50 {:6.2} ms  p99 {:6.2} ms  n {}",
        sync.p50, sync.p99, sync.n
    );
    for uplink in [Uplink::Grpc, Uplink::Mqtt] {
        let (alerts, call) = one(uplink, samples).await?;
        println!(
            "limit: one unary gRPC call over TLS 1.3  p50 {:6.2} ms  p99 {:6.2} ms  n {}",
            call.p50, call.p99, call.n
        );
        println!(
            "D-Bus signal to alert, by {:<4}           p50 {:6.2} ms  p99 {:6.2} ms  n {}   (aim: p99 under 10 ms)",
            uplink.name(),
            alerts.p50,
            alerts.p99,
            alerts.n
        );
    }
    Ok(())
}

async fn one(uplink: Uplink, samples: usize) -> Result<(Percentiles, Percentiles)> {
    let folder = tempfile::tempdir()?;
    let plan = Plan {
        scenario: root()?.join("tests/scenarios/one.toml"),
        seed: 1,
        recording: None,
        envs: Vec::new(),
        uplinks: [("home".into(), uplink)].into(),
    };
    let mut world = World::build(folder.path(), plan).await?;
    let scenario = Scenario::load(&world.plan.scenario)?;
    let address = scenario
        .patients
        .first()
        .context("a patient")?
        .addresses()
        .first()
        .context("a device")?
        .clone();
    let clock = Clock::system();
    let gateway = world.gateway("home")?;
    let options = Options {
        bus: gateway.bus().address().into(),
        gateway: "home".into(),
        clock,
        start: clock.now(),
        trace: None,
    };
    let wearables = FakeBluez::start(options, scenario.wearables(None, 1, None)).await?;
    gateway.start_agent()?;
    wait_for(
        "a subscription to the battery",
        Duration::from_secs(60),
        async || {
            Ok(wearables
                .faults()
                .heard(&address, BATTERY_LEVEL)?
                .then_some(()))
        },
    )
    .await?;
    gateway.wait_decoded(20, Duration::from_secs(60)).await?;
    let client = world.centre.client().await?;
    let mut alerts = client.watch_alerts(Vec::new()).await?;
    let mut sample = Vec::with_capacity(samples);
    for n in 0..samples {
        let (charge, wanted) = if n % 2 == 0 {
            (5, v1::AlertState::Active)
        } else {
            (90, v1::AlertState::Resolved)
        };
        let sent = wearables
            .faults()
            .inject(&address, BATTERY_LEVEL, vec![charge])
            .await?;
        tokio::time::timeout(Duration::from_secs(10), battery_alert(&mut alerts, wanted))
            .await
            .context("no alert in 10 s")??;
        sample.push(sent.instant.elapsed().as_secs_f64() * 1e3);
        // Spread over the wearables' own second, as real events are.
        tokio::time::sleep(Duration::from_millis(37)).await;
    }
    Ok((Percentiles::of(sample), unary_ms(&client, samples).await?))
}

async fn battery_alert(
    alerts: &mut tonic::Streaming<v1::AlertEvent>,
    wanted: v1::AlertState,
) -> Result<()> {
    loop {
        let event = alerts.message().await?.context("the stream ended")?;
        if let Some(v1::alert_event::Kind::Change(alert)) = event.kind
            && alert.condition == "battery_low"
            && alert.state() == wanted
        {
            return Ok(());
        }
    }
}

async fn unary_ms(client: &Client, times: usize) -> Result<Percentiles> {
    let mut twins = client.twins();
    let mut sample = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        twins
            .list(v1::ListTwinsRequest {
                page_size: 1,
                ..Default::default()
            })
            .await?;
        sample.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Percentiles::of(sample))
}
