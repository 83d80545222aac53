//! Who may come in: tokens, certificates, revocation.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::centre::Centre;
use e2e::client::{Client, channel};
use e2e::gateway::Uplink;
use e2e::hand::{HandGateway, heart_rates, seal_readings};
use e2e::wait::wait_for;
use proto::clock::Clock;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::twin_service_client::TwinServiceClient;

use crate::paths::{LONG, one_patient};
use crate::support::Small;

#[tokio::test]
async fn a_token_enrols_exactly_one_gateway() -> Result<()> {
    let small = Small::new().await?;
    let (token, id) = small.centre.token("contested")?;
    let address = small.centre.ready()?.grpc;
    let tries = (0..40).map(|_| HandGateway::enrol(address, &token, small.clock));
    let won: Vec<_> = futures_util::future::join_all(tries)
        .await
        .into_iter()
        .filter_map(Result::ok)
        .collect();
    ensure!(won.len() == 1, "{} of 40 simultaneous uses won", won.len());
    ensure!(won[0].id.as_str() == id, "the winner got another id");
    let again = HandGateway::enrol(address, &token, small.clock).await;
    ensure!(again.is_err(), "a spent token enrolled again");
    let damaged = format!("{}x", &token[..token.len() - 1]);
    ensure!(
        HandGateway::enrol(address, &damaged, small.clock)
            .await
            .is_err(),
        "a damaged token enrolled"
    );
    Ok(())
}

#[tokio::test]
async fn strangers_and_the_anonymous_see_nothing() -> Result<()> {
    let small = Small::new().await?;
    let other = Small::new().await?;
    let address = small.centre.ready()?.grpc;
    // Another centre's gateway and operator: the handshake fails on both sides' CA.
    ensure!(
        other.gateway.at(address).connect().await.is_err(),
        "a foreign gateway was let in"
    );
    let foreign = Client::connect(address, &other.centre.dir().join("operator"), &[]).await;
    ensure!(foreign.is_err(), "a foreign operator was let in");
    // No certificate, but the right CA: TLS holds, every patient's data is refused.
    let ca = std::fs::read(small.centre.dir().join("operator/ca.pem"))?;
    let ca =
        <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(
            &ca,
        )?;
    let nobody = channel(address, proto::tls::client_config(&ca, None, small.clock)?).await?;
    let refused = TwinServiceClient::new(nobody)
        .get(proto::v1::GetTwinRequest {
            patient: small.patient.clone(),
        })
        .await;
    let code = refused
        .err()
        .context("an anonymous caller saw a twin")?
        .code();
    ensure!(code == tonic::Code::Unauthenticated, "{code:?}");
    // A gateway may send, not read.
    let as_gateway = TwinServiceClient::new(channel(address, small.gateway.tls()?).await?)
        .get(proto::v1::GetTwinRequest {
            patient: small.patient.clone(),
        })
        .await;
    ensure!(as_gateway.is_err(), "a gateway read a twin");
    // The negative control: the operator sees it.
    small.client.twin(&small.patient).await.map(drop)
}

#[tokio::test]
async fn revocation_cuts_a_living_uplink() -> Result<()> {
    let small = Small::new().await?;
    let (mut uplink, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header.clone())).await?;
    uplink
        .send_records(seal_readings(
            &mut sealer,
            &heart_rates(small.clock.now(), &[60]),
        )?)
        .await?;
    uplink.listen(|heard| !heard.receipts.is_empty()).await?;
    let revoked = Instant::now();
    small
        .centre
        .cli(&["gateway", "revoke", small.gateway.id.as_str()])?;
    let ended = async { while let Ok(Some(_)) = uplink.next().await {} };
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .context("the uplink lives on after revocation")?;
    let took = revoked.elapsed();
    ensure!(
        took < Duration::from_secs(3),
        "it took {took:?} to cut the uplink"
    );
    // Nor by a new connection.
    if let Ok(mut again) = small.gateway.connect().await {
        drop(again.send(Up::OpenContext(header)).await);
        drop(
            again
                .send_records(seal_readings(
                    &mut sealer,
                    &heart_rates(small.clock.now(), &[61]),
                )?)
                .await,
        );
        let heard = again.listen(|heard| !heard.receipts.is_empty()).await;
        ensure!(heard.is_err(), "a revoked gateway got a receipt");
    }
    let status = small.centre.status()?;
    ensure!(status["readings_applied"] == 1, "{status}");
    Ok(())
}

/// The real agent, whose gateway was stolen while it sent: the centre cuts it, takes nothing of it any more, and the
/// agent says why.
async fn a_stolen_gateway(uplink: Uplink) -> Result<()> {
    let (_folder, mut world) = one_patient(uplink).await?;
    world.start()?;
    let id = world.gateway_ids.get("home").cloned().context("home")?;
    let sender = |status: &serde_json::Value| status["gateways"][0]["connected_by"].clone();
    wait_for("readings by the line", LONG, async || {
        let status = world.centre.status()?;
        let flows = status["readings_applied"].as_u64() > Some(30);
        Ok((flows && sender(&status) == uplink.name()).then_some(()))
    })
    .await
    .context("the negative control: before, it was connected")?;
    world.centre.cli(&["gateway", "revoke", &id])?;
    let revoked = Instant::now();
    wait_for("the line to be cut", LONG, async || {
        Ok((sender(&world.centre.status()?) == "").then_some(()))
    })
    .await?;
    let took = revoked.elapsed();
    ensure!(took < Duration::from_secs(2), "cut after {took:?}");
    let applied = world.centre.status()?["readings_applied"].clone();
    let home = world.gateway("home")?;
    let decoded = home.count("/readings_decoded");
    home.wait_decoded(decoded + 60, LONG).await?;
    let status = world.centre.status()?;
    ensure!(
        status["readings_applied"] == applied,
        "a revoked gateway's readings were taken: {applied} before, {status}"
    );
    let said = world.gateway("home")?.status().unwrap_or_default();
    ensure!(said["connected"] == false, "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_gateway_is_cut_within_two_seconds_by_grpc() -> Result<()> {
    a_stolen_gateway(Uplink::Grpc).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_gateway_is_cut_within_two_seconds_by_mqtt() -> Result<()> {
    a_stolen_gateway(Uplink::Mqtt).await
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_a_valid_one_is_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    centre.start().await?;
    let (token, _) = centre.token("soon old")?;
    let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, Clock::system()).await?;
    ensure!(
        gateway.connect().await.is_ok(),
        "the negative control: a fresh certificate connects"
    );
    centre.stop()?;
    // The same centre, three days later.
    let wall = proto::clock::wall_now().as_micros();
    let later = wall + 3 * 24 * 3600 * 1_000_000;
    let envs = [(
        proto::clock::TEST_CLOCK_VARIABLE.to_owned(),
        format!("{wall}:{later}:1"),
    )];
    centre.set_envs(&envs);
    centre.start().await?;
    let grpc = centre.ready()?.grpc;
    let clock = e2e::client::clock_of(&envs)?;
    let refused = match gateway.at(grpc).connect().await {
        Err(error) => format!("{error:#}"),
        // TLS 1.3 lets a client finish before the server has judged it.
        Ok(mut uplink) => uplink
            .next()
            .await
            .err()
            .map_or_else(String::new, |error| format!("{error:#}")),
    };
    // The negative control: a certificate of today, at the same door, by the same clock.
    let (token, _) = centre.token("fresh")?;
    let fresh = HandGateway::enrol(grpc, &token, clock).await?;
    ensure!(
        fresh.connect().await.is_ok(),
        "a fresh certificate was refused too"
    );
    ensure!(
        !refused.is_empty(),
        "a certificate that expired days ago was accepted"
    );
    Ok(())
}
