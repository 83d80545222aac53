//! Devices that nobody connects to: what they advertise is in the history, marked as what it is.

use anyhow::{Result, ensure};
use e2e::client::dated_readings;
use e2e::gateway::Uplink;
use e2e::wait::wait_for;
use vitals::{Kind, Quality};

use crate::paths::{LONG, quiet_world, settle};

#[tokio::test(flavor = "multi_thread")]
async fn adverts_reach_the_history_marked_as_adverts() -> Result<()> {
    let (_folder, mut world) = quiet_world("adverts.toml", 10.0, Uplink::Mqtt).await?;
    world.start()?;
    let client = world.centre.client().await?;
    let patient = world.patients["adverts"].clone();
    for (kind, plausible) in [
        (Kind::RoomTemperature, 20.0..45.0),
        (Kind::HeartRate, 50.0..85.0),
    ] {
        let readings = wait_for(&format!("{kind:?} in the history"), LONG, async || {
            let readings = dated_readings(&client, &patient, kind).await?;
            Ok((readings.len() >= 3).then_some(readings))
        })
        .await?;
        ensure!(
            readings
                .iter()
                .all(|one| one.quality.has(Quality::ADVERTISED) && plausible.contains(&one.value)),
            "{readings:?}"
        );
    }
    // Each decoded reading came once.
    settle(&mut world)?;
    Ok(())
}
