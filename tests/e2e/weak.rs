//! Weak networks: a line of 2 kbit/s that loses two of five packets, a door that is blocked, and a metered line.
//!
//! The lossy line is `e2e::proxy`'s model of what TCP shows of loss: segments that stall and come again, and now and then
//! a connection that ends. Its seed is fixed; the world's clock runs sixty times as fast as the wall's, and so does the
//! line. The time-outs of handshakes and pings are the wall's: that they fit a line of 2 kbit/s is told by their
//! constants, not by this story, unless `VITALTWIN_THIN=1` runs it on a clock as fast as the wall's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::gateway::Uplink;
use e2e::proxy::Weather;
use e2e::wait::wait_for;

use crate::paths::{
    LONG, backlog_before_live, settle, settle_quiet, taken_during, world_behind_proxy,
};

/// 2 kbit/s each way with 40 % loss for a world whose clock runs at `rate`.
fn thin_and_lossy(rate: f64) -> Weather {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few thousand"
    )]
    let bytes_per_second = (250.0 * rate) as u32;
    Weather {
        bytes_per_second,
        loss_percent: 40,
        stall: Duration::from_secs(1).div_f64(rate),
        drop_one_in: 150,
        ..Weather::default()
    }
}

async fn thin_line(uplink: Uplink, rate: f64, patience: Duration) -> Result<()> {
    let (_folder, mut world, proxy) = world_behind_proxy("one.toml", rate, uplink, "").await?;
    let client = world.centre.client().await?;
    let clock = e2e::client::clock_of(&world.plan.envs)?;
    let patient = world
        .patients
        .values()
        .next()
        .context("one patient")?
        .clone();
    world.gateway("home")?.wait_decoded(50, LONG).await?;
    let cut = Weather {
        cut: true,
        ..Weather::default()
    };
    proxy.set(cut);
    let (began, decoded) = (
        clock.now(),
        world.gateway("home")?.count("/readings_decoded"),
    );
    world
        .gateway("home")?
        .wait_decoded(decoded + 600, patience)
        .await?;
    let outage = began..clock.now();
    let (ended_before, lost_before) = proxy.harm();
    let before = proxy.accepted();
    proxy.set(thin_and_lossy(rate));
    let backlog = backlog_before_live(&client, &patient, &outage).await?;
    // Everything arrives over the same bad line, each reading once.
    let decoded = world.gateway("home")?.count("/readings_decoded");
    world
        .gateway("home")?
        .wait_decoded(decoded + 300, patience)
        .await?;
    world.gateway("home")?.stop_wearables()?;
    wait_for("the backlog over the thin line", patience, async || {
        Ok((world.gateway("home")?.count("/buffer/records") < 3).then_some(()))
    })
    .await?;
    let (ended, lost) = proxy.harm();
    let (ended, lost) = (ended - ended_before, lost - lost_before);
    let connections = proxy.accepted() - before;
    proxy.set(Weather::default());
    settle_quiet(&mut world)?;
    let all = taken_during(&client, &patient, &outage).await?;
    ensure!(
        lost > 20,
        "the negative control: only {lost} segments were lost"
    );
    ensure!(
        backlog < all,
        "the backlog of {all} came before anything live"
    );
    ensure!(
        connections <= ended + 3,
        "{connections} connections, and the weather ended {ended}: handshakes starve the line"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_kbit_with_two_of_five_lost_carry_everything_once_live_first() -> Result<()> {
    for uplink in [Uplink::Mqtt, Uplink::Grpc] {
        let story = thin_line(uplink, 60.0, LONG).await;
        story.with_context(|| format!("by {}", uplink.name()))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_thin_line_by_the_wall() -> Result<()> {
    if std::env::var_os("VITALTWIN_THIN").is_none() {
        eprintln!(
            "skipped: the thin line by the wall's clock runs with VITALTWIN_THIN=1 (see README)"
        );
        return Ok(());
    }
    for uplink in [Uplink::Mqtt, Uplink::Grpc] {
        thin_line(uplink, 1.0, Duration::from_secs(1800)).await?;
    }
    Ok(())
}

/// Waits until the agent says that this transport is in use and connected.
async fn using(world: &mut e2e::world::World, name: &str) -> Result<serde_json::Value> {
    wait_for(&format!("a line by {name}"), LONG, async || {
        let status = world.gateway("home")?.status().unwrap_or_default();
        let fine = status["uplink"] == name && status["connected"] == true;
        Ok(fine.then_some(status))
    })
    .await
}

async fn arrives(world: &mut e2e::world::World) -> Result<()> {
    let before = world.centre.status()?["readings_applied"].as_u64();
    wait_for("more readings", LONG, async || {
        Ok((world.centre.status()?["readings_applied"].as_u64() > before).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_door_is_gone_round_and_come_back_to() -> Result<()> {
    let config = "uplink_after_s = 240\n";
    let (_folder, mut world, proxy) =
        world_behind_proxy("one.toml", 60.0, Uplink::MqttElseGrpc, config).await?;
    let status = using(&mut world, "mqtt").await?;
    ensure!(
        status["uplink_why"] == "it is the preferred one",
        "{status}"
    );
    arrives(&mut world).await?;
    proxy.set(Weather {
        cut: true,
        ..Weather::default()
    });
    let status = using(&mut world, "grpc").await?;
    ensure!(
        status["uplink_why"]
            .as_str()
            .is_some_and(|why| why.contains("by mqtt")),
        "{status}"
    );
    arrives(&mut world).await?;
    proxy.set(Weather::default());
    using(&mut world, "mqtt").await?;
    arrives(&mut world).await?;
    let switches = world.gateway("home")?.count("/uplink_switches");
    ensure!(switches >= 2, "{switches}");
    settle(&mut world).map(drop)
}

/// The control: with one transport nothing comes while its door is blocked.
#[tokio::test(flavor = "multi_thread")]
async fn control_without_a_second_way_nothing_arrives() -> Result<()> {
    let (_folder, mut world, proxy) =
        world_behind_proxy("one.toml", 60.0, Uplink::Mqtt, "").await?;
    arrives(&mut world).await?;
    proxy.set(Weather {
        cut: true,
        ..Weather::default()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = world.centre.status()?["readings_applied"].as_u64();
    let decoded = world.gateway("home")?.count("/readings_decoded");
    // Twice the silence after which the other door would have been taken.
    world
        .gateway("home")?
        .wait_decoded(decoded + 900, LONG)
        .await?;
    ensure!(
        world.centre.status()?["readings_applied"].as_u64() == before,
        "something arrived"
    );
    proxy.set(Weather::default());
    settle(&mut world).map(drop)
}

/// What the agent says passed its line is what passed the proxy: measured at the socket by gRPC, and told by packets by
/// MQTT, where it may be a fifth off.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_what_passes() -> Result<()> {
    for (uplink, most_off) in [(Uplink::Grpc, 0.02), (Uplink::Mqtt, 0.2)] {
        let config = "bytes_per_day = 50000000\n";
        let (_folder, mut world, proxy) =
            world_behind_proxy("one.toml", 20.0, uplink, config).await?;
        world.gateway("home")?.wait_decoded(1500, LONG).await?;
        world.gateway("home")?.stop_wearables()?;
        world.gateway("home")?.stop_agent()?;
        let counted = world.gateway("home")?.count("/budget/spent");
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = counted as f64 / proxy.bytes() as f64;
        println!(
            "by {}: {counted} bytes counted, {} passed: {ratio:.3}",
            uplink.name(),
            proxy.bytes()
        );
        ensure!(
            (ratio - 1.0).abs() <= most_off,
            "by {}: {ratio:.3}",
            uplink.name()
        );
    }
    Ok(())
}
