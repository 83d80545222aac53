//! Life in the field: certificates that end while nobody looks, patients who want a pause, settings from afar.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::client::{all_readings, clock_of};
use e2e::gateway::{Gateway, Uplink};
use e2e::hand::HandGateway;
use e2e::proxy::Weather;
use e2e::wait::wait_for;
use e2e::world::{World, days_later};
use proto::clock::Clock;
use proto::seal::SigningKey;

use crate::buffer::{assigned, fill_buffer};
use crate::paths::{LONG, one_patient, quiet_world, settle, world_behind_proxy};

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

/// How long until `done` holds of the agent's status.
async fn until(
    gateway: &Gateway,
    what: &str,
    done: impl Fn(&serde_json::Value) -> bool,
) -> Result<Duration> {
    let began = Instant::now();
    wait_for(what, LONG, async || {
        Ok(done(&gateway.status().unwrap_or_default()).then_some(()))
    })
    .await?;
    Ok(began.elapsed())
}

/// A patient pauses, resumes and withdraws while the gateway is connected.
async fn a_patients_word(uplink: Uplink) -> Result<()> {
    let (_folder, mut world) = one_patient(uplink).await?;
    world.start()?;
    world.gateway("home")?.wait_decoded(50, LONG).await?;
    let patient = world.patients.values().next().cloned().unwrap_or_default();
    world.centre.cli(&["patient", "pause", &patient])?;
    let home = world.gateways.get("home").context("home")?;
    let took = until(home, "the pause", |status| {
        status["withheld"][0]["collection"] == "paused"
    })
    .await?;
    // The status is written once a second: the order itself is faster.
    println!("a pause was obeyed and shown within {took:?}");
    ensure!(took < Duration::from_secs(2), "it took {took:?} to pause");
    let paused = home.count("/readings_decoded");
    until(home, "the pause to last", |status| {
        status["written_us"].as_i64()
            > Some(home.count("/withheld/0/since_us").cast_signed() + 30_000_000)
    })
    .await?;
    let after = home.count("/readings_decoded");
    ensure!(after == paused, "{} readings in a pause", after - paused);
    let listed = world.centre.cli(&["patient", "list"])?;
    ensure!(listed.contains("paused since"), "{listed}");

    world.centre.cli(&["patient", "resume", &patient])?;
    world
        .gateway("home")?
        .wait_decoded(after + 20, LONG)
        .await?;
    world
        .centre
        .cli(&["patient", "withdraw", &patient, "--erase-unsent"])?;
    let home = world.gateways.get("home").context("home")?;
    let took = until(home, "the withdrawal", |status| {
        status["withheld"][0]["collection"] == "withdrawn"
    })
    .await?;
    ensure!(took < Duration::from_secs(2), "it took {took:?} to end");
    until(home, "nothing to be left", |status| {
        status["buffer"]["records"] == 0
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_pause_and_a_withdrawal_are_obeyed_within_two_seconds_by_grpc() -> Result<()> {
    a_patients_word(Uplink::Grpc).await
}

#[tokio::test]
async fn a_pause_and_a_withdrawal_are_obeyed_within_two_seconds_by_mqtt() -> Result<()> {
    a_patients_word(Uplink::Mqtt).await
}

/// What the centre shows of the gateway's settings.
async fn outcome(world: &World, number: u64, wanted: &str) -> Result<String> {
    wait_for(&format!("settings {number} {wanted}"), LONG, async || {
        let status = world.centre.status()?;
        let told = &status["gateways"][0]["configuration"];
        let ours = told["number"] == number && told["outcome"] == wanted;
        Ok(ours.then(|| told["detail"].as_str().unwrap_or_default().to_owned()))
    })
    .await
}

fn send(world: &World, setting: &str) -> Result<u64> {
    let id = world.gateway_ids.get("home").context("home")?;
    let said = world
        .centre
        .cli(&["gateway", "configure", id, "--set", setting])?;
    let number = said.split(' ').nth(1).context("a number")?;
    Ok(number.parse()?)
}

#[tokio::test]
async fn settings_from_afar_are_tried_kept_refused_or_rolled_back() -> Result<()> {
    // Fifty times as fast: ten minutes on trial are twelve seconds.
    let (_folder, mut world) = quiet_world("one.toml", 50.0, Uplink::Grpc).await?;
    world.start()?;
    world.gateway("home")?.wait_decoded(50, LONG).await?;
    let good = send(&world, "heartbeat_s=20")?;
    outcome(&world, good, "applied").await?;
    let before = world.gateway("home")?.count("/readings_decoded");
    world
        .gateway("home")?
        .wait_decoded(before + 20, LONG)
        .await?;

    let bad = send(&world, "heartbeat_s=1")?;
    let why = outcome(&world, bad, "refused").await?;
    ensure!(why.contains("5 to 3600"), "{why}");
    let hostile = send(&world, "local_alarm_command=/bin/true")?;
    let why = outcome(&world, hostile, "refused").await?;
    ensure!(why.contains("local_alarm_command"), "{why}");

    // The branch it sits on.
    let lost = send(&world, "grpc_address=localhost:1")?;
    let home = world.gateways.get("home").context("home")?;
    until(home, "the centre to be lost", |status| {
        status["configuration"]["outcome"] == "on trial" && status["connected"] == false
    })
    .await?;
    let why = outcome(&world, lost, "rolled back").await?;
    ensure!(why.contains("no word from the centre"), "{why}");
    let listed = world.centre.cli(&["gateway", "list"])?;
    ensure!(listed.contains("rolled back"), "{listed}");
    Ok(())
}

#[tokio::test]
async fn an_agent_that_does_not_stay_up_under_settings_goes_back_to_the_former_ones() -> Result<()>
{
    let (_folder, mut world) = one_patient(Uplink::Mqtt).await?;
    world.start()?;
    world.gateway("home")?.wait_decoded(10, LONG).await?;
    let lost = send(&world, "mqtt_address=localhost:2")?;
    for _ in 0..3 {
        let home = world.gateway("home")?;
        until(home, "the trial", |status| {
            status["configuration"]["number"] == lost
                && status["configuration"]["outcome"] == "on trial"
                && status["connected"] == false
        })
        .await?;
        home.kill_agent()?;
        std::fs::remove_file(home.agent_dir().join("status.json"))?;
        home.start_agent()?;
    }
    let why = outcome(&world, lost, "rolled back").await?;
    ensure!(why.contains("started 3 times"), "{why}");
    let home = world.gateways.get("home").context("home")?;
    until(home, "the line", |status| status["connected"] == true).await?;
    Ok(())
}

/// Three commands at the centre and two at the gateway; each state names the next one. The machine's part of it is
/// printed: the rest of a person's three minutes is typing.
#[tokio::test]
async fn each_step_to_a_first_reading_names_the_next_one() -> Result<()> {
    let (_folder, mut world) = one_patient(Uplink::Grpc).await?;
    let next = |world: &World, id: &str| -> Result<String> {
        let status = world.centre.status()?;
        let gateways = status["gateways"].as_array().cloned().unwrap_or_default();
        let ours = gateways.into_iter().find(|of| of["gateway"] == id);
        let ours = ours.context("the gateway is listed")?;
        Ok(ours["waiting_for"].as_str().unwrap_or_default().to_owned())
    };
    let folder = tempfile::tempdir()?;
    let mut second = Gateway::new(folder.path(), Uplink::Grpc, &world.plan.envs).await?;
    let began = Instant::now();
    let (token, id) = world.centre.token("second home")?;
    let said = next(&world, &id)?;
    ensure!(said.contains("vitaltwin-agent enrol"), "{said}");
    second.enrol(&token)?;
    let said = next(&world, &id)?;
    ensure!(said.contains("patient assign"), "{said}");
    let patient = world.centre.add_patient("Second")?;
    world
        .centre
        .assign(&patient, &id, &["C0:00:00:00:02:02".into()])?;
    let said = next(&world, &id)?;
    ensure!(said.contains("start its agent"), "{said}");
    second.start_agent()?;
    wait_for("the gateway to be ready", LONG, async || {
        let waits = next(&world, &id)?;
        let receipted = second.count("/last_receipt_us") > 0;
        Ok((waits.is_empty() && receipted).then_some(()))
    })
    .await?;
    println!(
        "five commands, {:.1} s of machine time",
        began.elapsed().as_secs_f64()
    );

    // What goes wrong says what to do.
    let (token, _) = world.centre.token("third home")?;
    let third = Gateway::new(&folder.path().join("third"), Uplink::Grpc, &world.plan.envs).await?;
    let said =
        |enrolled: Result<()>| enrolled.map_or_else(|e| format!("{e:#}"), |()| "enrolled".into());
    let damaged = said(third.enrol(&token[..token.len() - 1]));
    ensure!(damaged.contains("token"), "{damaged}");
    world.centre.stop()?;
    let away = said(third.enrol(&token));
    ensure!(away.contains("does the centre run"), "{away}");
    Ok(())
}

/// Generations of the patient's key, and the one that the gateway has sealed to.
fn keys(world: &World) -> Result<(u64, u64)> {
    let listed = world.centre.cli(&["patient", "list", "--json"])?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let patient = &listed["patients"][0];
    let generation = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
    Ok((
        generation(&patient["key_generation"]),
        generation(&patient["assignments"][0]["key_generation"]),
    ))
}

/// A patient's key changes several times while readings come: on a line, without one, and while the agent is off.
async fn keys_rotate(uplink: Uplink) -> Result<()> {
    let (_folder, mut world, proxy) = world_behind_proxy("one.toml", 20.0, uplink, "").await?;
    let patient = world.patients.values().next().cloned().unwrap_or_default();
    let rotate = |world: &World| {
        world
            .centre
            .cli(&["patient", "rotate-key", &patient])
            .map(drop)
    };
    let sealed_to = async |world: &World, wanted: u64| {
        wait_for(&format!("key {wanted}"), LONG, async || {
            Ok((keys(world)? == (wanted, wanted)).then_some(()))
        })
        .await
    };
    let more = async |world: &mut World, count: u64| {
        let home = world.gateway("home")?;
        let decoded = home.count("/readings_decoded");
        home.wait_decoded(decoded + count, LONG).await.map(drop)
    };
    more(&mut world, 50).await?;
    sealed_to(&world, 1).await?;
    for generation in 2..=4 {
        rotate(&world)?;
        sealed_to(&world, generation).await?;
        more(&mut world, 50).await?;
    }
    // Without a line the gateway cannot hear of it, and goes on sealing to the last key that it knows.
    proxy.set(Weather {
        cut: true,
        ..Weather::default()
    });
    more(&mut world, 100).await?;
    rotate(&world)?;
    more(&mut world, 100).await?;
    ensure!(keys(&world)? == (5, 4), "{:?}", keys(&world)?);
    let listed = world.centre.cli(&["patient", "list"])?;
    ensure!(listed.contains("seals to key 4 of 5"), "{listed}");
    // Nor while it is off; and the centre starts anew in between.
    world.gateway("home")?.stop_agent()?;
    rotate(&world)?;
    world.centre.stop()?;
    proxy.lead_to(match uplink {
        Uplink::Grpc => world.centre.start().await?.grpc,
        Uplink::Mqtt | Uplink::MqttElseGrpc => world.centre.start().await?.mqtt,
    });
    proxy.set(Weather::default());
    world.gateway("home")?.start_agent()?;
    more(&mut world, 50).await?;
    sealed_to(&world, 6).await?;
    let status = settle(&mut world)?;
    ensure!(status["readings_declared_lost"] == 0, "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_under_load_and_nothing_is_lost() -> Result<()> {
    for uplink in [Uplink::Grpc, Uplink::Mqtt] {
        let story = keys_rotate(uplink).await;
        story.with_context(|| format!("by {}", uplink.name()))?;
    }
    Ok(())
}
