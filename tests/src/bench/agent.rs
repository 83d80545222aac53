//! What an agent with ten devices at 1 Hz takes: memory and CPU.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{cpu_time, memory_kib};
use crate::demo::stage::root;
use crate::gateway::Uplink;
use crate::world::{Plan, World};

/// Runs it for both transports and prints the table.
///
/// # Errors
/// When a process fails.
pub async fn run(seconds: u64) -> Result<()> {
    println!(
        "peer: thin-edge.io gateway, as published     RSS 34 MiB typical (mapper 8, collectd mapper 8, agent 8, mosquitto 10)"
    );
    for uplink in [Uplink::Grpc, Uplink::Mqtt] {
        let folder = tempfile::tempdir()?;
        let plan = Plan {
            scenario: root()?.join("firmware-sim/scenarios/load10.toml"),
            seed: 1,
            recording: None,
            envs: Vec::new(),
            uplinks: [("home".into(), uplink)].into(),
        };
        let mut world = World::build(folder.path(), plan).await?;
        world.start()?;
        let gateway = world
            .gateways
            .values_mut()
            .next()
            .ok_or_else(|| anyhow::anyhow!("load10 has a gateway"))?;
        gateway.wait_decoded(100, Duration::from_secs(60)).await?;
        let process = gateway.agent()?.id();
        let (decoded, cpu, start) = (
            gateway.count("/readings_decoded"),
            cpu_time(process)?,
            Instant::now(),
        );
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let (wall, cpu) = (start.elapsed(), cpu_time(process)?.saturating_sub(cpu));
        let readings = gateway.count("/readings_decoded") - decoded;
        #[expect(clippy::cast_precision_loss, reason = "counts and KiB far below 2^53")]
        let (rate, rss, own, peak) = (
            readings as f64 / wall.as_secs_f64(),
            memory_kib(process, "VmRSS")? as f64 / 1024.0,
            memory_kib(process, "RssAnon")? as f64 / 1024.0,
            memory_kib(process, "VmHWM")? as f64 / 1024.0,
        );
        println!(
            "agent by {:<4} with ten devices, {rate:.1} readings/s: RSS {rss:.1} MiB (own {own:.1}, peak {peak:.1}), CPU {:.2} % of one core   (aim: 20 MiB, 1 %)",
            uplink.name(),
            cpu.as_secs_f64() / wall.as_secs_f64() * 100.0
        );
    }
    Ok(())
}
