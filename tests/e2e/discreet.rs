//! What a support person reads aloud names nobody: the logs of the whole path at their most talkative.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::all_readings;
use e2e::gateway::Uplink;
use e2e::proxy::{Proxy, Weather};
use e2e::world::World;

use crate::paths::{LONG, plan};

/// A name that no program would write by chance.
const NAME: &str = "wendeline-quillfeather";
/// An RR interval of so many characters, 903.3 for instance, stands in no log by chance, if not as a time.
const DIGITS: usize = 5;

/// The first of the secrets that stands in the text as a word of its own.
fn betrayed<'s>(text: &str, secrets: &'s [String]) -> Option<&'s String> {
    let alone = |secret: &String| {
        text.match_indices(secret.as_str()).any(|(at, found)| {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            let after = text[at + found.len()..].chars().next().unwrap_or(' ');
            !before.is_ascii_digit() && !after.is_ascii_digit() && !"mµns".contains(after)
        })
    };
    secrets.iter().find(|secret| alone(secret))
}

/// A world whose processes log all they can, with a patient of an unmistakable name, behind a proxy.
async fn talkative(folder: &Path, uplink: Uplink) -> Result<(World, Proxy)> {
    let mut plan = plan("one.toml", 10.0, uplink);
    let scenario = std::fs::read_to_string(&plan.scenario)?;
    plan.scenario = folder.join("named.toml");
    std::fs::write(
        &plan.scenario,
        scenario.replace("\"steady\"", &format!("{NAME:?}")),
    )?;
    plan.envs.push(("RUST_LOG".into(), "trace".into()));
    let mut world = World::build(folder, plan).await?;
    let ready = world.centre.ready()?.clone();
    let (door, key) = if uplink == Uplink::Grpc {
        (ready.grpc, "grpc_address")
    } else {
        (ready.mqtt, "mqtt_address")
    };
    let proxy = Proxy::start(door, 5).await?;
    let address = format!("{key} = \"localhost:{}\"\n", proxy.address.port());
    world.gateway("home")?.configure(&address)?;
    world.start()?;
    Ok((world, proxy))
}

/// Good days and bad ones: a start, an outage, `kill -9` of both, a damaged buffer, a pause, a refused command, a
/// revocation. Then every log is searched.
async fn a_talkative_life(uplink: Uplink) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut world, proxy) = talkative(folder.path(), uplink).await?;
    let patient = world
        .patients
        .values()
        .next()
        .cloned()
        .context("a patient")?;
    world.gateway("home")?.wait_decoded(40, LONG).await?;
    proxy.set(Weather {
        cut: true,
        ..Weather::default()
    });
    world.gateway("home")?.wait_decoded(80, LONG).await?;
    proxy.set(Weather {
        corrupt_one_in: 20,
        ..Weather::default()
    });
    world.gateway("home")?.wait_decoded(120, LONG).await?;
    proxy.set(Weather::default());
    let home = world.gateway("home")?;
    home.kill_agent()?;
    std::fs::write(home.agent_dir().join("outbox/conf"), b"rubbish")?;
    world.centre.kill()?;
    world.centre.start().await?;
    let ready = world.centre.ready()?.clone();
    proxy.lead_to(if uplink != Uplink::Grpc {
        ready.mqtt
    } else {
        ready.grpc
    });
    let home = world.gateway("home")?;
    home.start_agent()?;
    home.wait_decoded(160, LONG).await?;
    let unknown = world.centre.cli(&["patient", "pause", "p-nobody"]);
    ensure!(unknown.is_err(), "control: nobody was paused");
    world.centre.cli(&["patient", "pause", &patient])?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.centre.cli(&["patient", "resume", &patient])?;
    let client = world.centre.client().await?;
    let readings = all_readings(&client, &patient).await?;
    let id = world.gateway_ids.get("home").cloned().context("home")?;
    world.centre.cli(&["gateway", "revoke", &id])?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.gateway("home")?.kill_agent()?;
    world.centre.stop()?;

    let values = readings
        .iter()
        .map(|(_, _, _, bits)| f64::from_bits(*bits).to_string());
    let mut secrets: Vec<String> = values.filter(|value| value.len() >= DIGITS).collect();
    ensure!(secrets.len() > 20, "control: no reading has so many digits");
    secrets.push(NAME.into());
    secrets.extend(NAME.split('-').map(str::to_owned));
    secrets.push(patient);
    for (name, own) in [
        ("centre.log", "vitaltwin_aggregator"),
        ("home/agent.log", "vitaltwin_agent"),
    ] {
        let log = std::fs::read_to_string(folder.path().join(name)).context(name)?;
        ensure!(log.contains(own), "control: {name} says little");
        let planted = format!("{log}{}", secrets[0]);
        ensure!(
            betrayed(&planted, &secrets).is_some(),
            "control: the search finds nothing"
        );
        if let Some(secret) = betrayed(&log, &secrets) {
            let line = log.lines().find(|line| line.contains(secret.as_str()));
            anyhow::bail!("{name} betrays {secret:?}: {line:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_names_a_patient_or_a_reading_by_grpc() -> Result<()> {
    a_talkative_life(Uplink::Grpc).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_names_a_patient_or_a_reading_by_mqtt() -> Result<()> {
    a_talkative_life(Uplink::Mqtt).await
}
