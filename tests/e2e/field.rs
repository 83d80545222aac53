//! Life in the field: certificates that end while nobody looks.

use anyhow::{Result, ensure};
use e2e::centre::Centre;
use e2e::client::{all_readings, clock_of};
use e2e::gateway::Uplink;
use e2e::hand::HandGateway;
use e2e::wait::wait_for;
use e2e::world::days_later;
use proto::clock::Clock;
use proto::seal::SigningKey;

use crate::buffer::{assigned, fill_buffer};
use crate::paths::LONG;

/// A gateway was switched off for a month with readings on its disk. Its certificate ended on the first day.
async fn a_month_off(uplink: Uplink) -> Result<()> {
    let (_folder, mut world) = assigned(uplink).await?;
    fill_buffer(&mut world).await?;
    let held = world.gateway("home")?.count("/buffer/records");
    ensure!(held > 0, "control: there is a backlog");
    world.gateway("home")?.stop_wearables()?;
    world.centre.stop()?;
    let later = days_later(30);
    world.set_envs(&later);
    world.centre.start().await?;
    let ready = world.centre.ready()?.clone();
    let (grpc, mqtt) = (ready.grpc, ready.mqtt);
    let home = world.gateway("home")?;
    home.configure(&format!(
        "grpc_address = \"localhost:{}\"\nmqtt_address = \"localhost:{}\"\n",
        grpc.port(),
        mqtt.port()
    ))?;
    home.start_agent()?;
    wait_for("the backlog of a month ago to arrive", LONG, async || {
        let status = home.status().unwrap_or_default();
        let drained = status["buffer"]["records"] == 0 && status["connected"] == true;
        Ok(drained.then_some(()))
    })
    .await?;
    let status = home.status().unwrap_or_default();
    let ends = status["certificate_expires_us"].as_i64().unwrap_or(0);
    let now = clock_of(&later)?.now();
    ensure!(ends > now.as_micros(), "no fresh certificate: {status}");
    home.stop_agent()?;
    let patient = world.patients.values().next().cloned().unwrap_or_default();
    let client = world.centre.client().await?;
    ensure!(
        !all_readings(&client, &patient).await?.is_empty(),
        "nothing of the month before is there"
    );
    Ok(())
}

#[tokio::test]
async fn a_gateway_comes_back_by_itself_after_a_month_by_grpc() -> Result<()> {
    a_month_off(Uplink::Grpc).await
}

#[tokio::test]
async fn a_gateway_comes_back_by_itself_after_a_month_by_mqtt() -> Result<()> {
    a_month_off(Uplink::Mqtt).await
}

/// What the centre says to a renewal, in its own words.
fn said(renewed: Result<()>) -> String {
    renewed.map_or_else(|error| format!("{error:#}"), |()| "renewed".into())
}

#[tokio::test]
async fn only_the_enrolled_key_brings_a_gateway_back_and_not_for_ever() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    centre.start().await?;
    let mut gateways = Vec::new();
    for label in ["honest", "revoked", "forgotten"] {
        let (token, _) = centre.token(label)?;
        gateways.push(HandGateway::enrol(centre.ready()?.grpc, &token, Clock::system()).await?);
    }
    let [honest, revoked, forgotten] = &mut gateways[..] else {
        anyhow::bail!("three gateways");
    };
    centre.cli(&["gateway", "revoke", revoked.id.as_str()])?;

    let clock = restart_later(&mut centre, 30).await?;
    let address = centre.ready()?.grpc;
    let mut honest = honest.at_time(address, clock);
    let ended = match honest.connect().await {
        // TLS 1.3 lets a client finish before the server has judged it.
        Ok(mut uplink) => uplink.next().await.is_err(),
        Err(_) => true,
    };
    ensure!(ended, "control: its certificate has ended");
    let other = SigningKey::generate_pkcs8();
    let stolen = said(honest.renew(Some(&other)).await);
    ensure!(stolen.contains("not signed by the key"), "{stolen}");
    let back = said(revoked.at_time(address, clock).renew(None).await);
    ensure!(back.contains("revoked"), "{back}");
    ensure!(said(honest.renew(None).await) == "renewed", "control");
    honest.connect().await?;

    // Sixty-four days after its last certificate the one comes back, ninety-four days after its own the other not.
    let clock = restart_later(&mut centre, 95).await?;
    let address = centre.ready()?.grpc;
    let late = said(forgotten.at_time(address, clock).renew(None).await);
    ensure!(late.contains("ended 94 days ago"), "{late}");
    let again = said(honest.at_time(address, clock).renew(None).await);
    ensure!(again == "renewed", "{again}");
    let refused = &centre.status()?["refused"];
    ensure!(refused["certificate_too_old"] == 1, "{refused}");
    Ok(())
}

async fn restart_later(centre: &mut Centre, days: i64) -> Result<Clock> {
    centre.stop()?;
    let envs = days_later(days);
    centre.set_envs(&envs);
    centre.start().await?;
    clock_of(&envs)
}
