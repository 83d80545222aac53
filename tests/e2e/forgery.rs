//! A liar between gateway and centre: forged receipts, forged commands, swapped keys. The agent keeps its data.

use anyhow::{Context, Result, ensure};
use e2e::client::clock_of;
use e2e::gateway::Uplink;
use e2e::rogue::{Lies, Rogue};
use e2e::wait::wait_for;
use e2e::world::World;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use vitaltwin_aggregator::ca::Authority;
use vitaltwin_aggregator::dir::CentreDir;

use crate::paths::{LONG, one_patient};

/// A liar with the centre's own server key, stolen.
pub(crate) async fn rogue(folder: &TempDir, world: &World, lies: Lies) -> Result<Rogue> {
    let clock = clock_of(&world.plan.envs)?;
    let centre_dir = CentreDir::new(world.centre.dir());
    let stolen = folder.path().join("stolen");
    std::fs::create_dir_all(&stolen)?;
    let credentials = Authority::open(&centre_dir, clock)?.server(&stolen, &[])?;
    let chain = credentials
        .chain
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(credentials.key.to_vec()));
    Rogue::start(chain, key, lies, clock).await
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_receipts_and_commands_move_nothing() -> Result<()> {
    let (folder, mut world) = one_patient(Uplink::Grpc).await?;
    world.start()?;
    world.gateway("home")?.wait_decoded(30, LONG).await?;
    let gateway = world.gateway("home")?;
    gateway.stop_agent()?;
    let sent = gateway.count("/readings_decoded");
    let lies = Lies {
        gateway: world.gateway_ids["home"].clone(),
        stream: vec![1; 16],
        replayed: None,
        refuses: None,
    };
    let rogue = rogue(&folder, &world, lies).await?;
    let address = format!("grpc_address = \"localhost:{}\"\n", rogue.address.port());
    let gateway = world.gateway("home")?;
    gateway.configure(&address)?;
    gateway.start_agent()?;
    wait_for("records at the liar", LONG, async || {
        Ok((rogue.seen().records.len() >= 20).then_some(()))
    })
    .await?;
    wait_for("the lies to be counted", LONG, async || {
        let gateway = world.gateways.get("home").context("home")?;
        let (receipts, commands) = (
            gateway.count("/receipts_invalid"),
            gateway.count("/commands_refused"),
        );
        Ok((receipts >= 20 && commands > 0).then_some(()))
    })
    .await?;
    let gateway = world.gateway("home")?;
    let kept = gateway.count("/buffer/records");
    ensure!(
        kept >= 20,
        "only {kept} records are left after forged receipts"
    );
    ensure!(
        rogue
            .seen()
            .records
            .iter()
            .all(|record| record.len() <= 4096),
        "a record above 4 KiB"
    );
    // Back to the true centre: everything arrives, under the patient's true key.
    gateway.stop_wearables()?;
    gateway.stop_agent()?;
    gateway.configure("")?;
    gateway.start_agent()?;
    let decoded = gateway.count("/readings_decoded");
    wait_for("the buffer to be drained", LONG, async || {
        let done = world.centre.status()?["readings_applied"].as_u64() == Some(decoded);
        Ok(done.then_some(()))
    })
    .await?;
    let gateway = world.gateway("home")?;
    gateway.stop_agent()?;
    let decoded = gateway.count("/readings_decoded");
    ensure!(
        decoded > sent,
        "the negative control: it measured while the liar was there"
    );
    let status = world.centre.status()?;
    let applied = status["readings_applied"].as_u64().unwrap_or_default();
    ensure!(
        applied == decoded,
        "{decoded} decoded, {applied} applied: {status}"
    );
    ensure!(
        world.gateway("home")?.count("/buffer/records") == 0,
        "the true receipts delete"
    );
    Ok(())
}
