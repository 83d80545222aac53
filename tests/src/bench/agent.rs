//! What an agent takes: memory, CPU, wake-ups, writes, and how soon it speaks; beside peers on the same feed.
//!
//! The radio's worker is a process of its own: figures are sums of both, memory also by process. Everything runs on this
//! machine at once, so ratios to the peer of the same minute say more than the numbers.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::peer::Peer;
use super::usage::{CountedDisk, Rates, Usage, memory_mib, proportional_mib};
use crate::gateway::{Bench, Gateway, Uplink};
use crate::process::{children, program};
use crate::wait::wait_for;
use crate::world::{Plan, World, fast_clock};

/// Name of the gateway in all scenarios here.
const HOME: &str = "bench";
/// After the first readings, until everything is connected and at its working size.
const SETTLE: Duration = Duration::from_secs(15);
/// Two whole minutes at least: a record is full when its minute is over.
const WRITES_S: u64 = 150;
/// Resident memory, CPU to the peer's, written to sealed bytes.
///
/// What a sealed byte costs besides itself: a commit, whatever it holds, costs ext4 with blocks of 4 KiB two half-filled
/// blocks and three of its journal or more, 25 KB in all (12 KB more where the file must be given blocks by it); sled writes a
/// record again when its leaf is split, 1.9 times where its place was not there before it (`agent/src/outbox/places.rs`).
const AIM_MIB: f64 = 20.0;
const AIM_CPU: f64 = 0.2;
const AIM_WRITTEN: f64 = 3.0;

/// One row.
struct Case {
    name: &'static str,
    scenario: String,
    uplink: Uplink,
    config: String,
    line: bool,
    peers: bool,
    seconds: u64,
    /// What lies on the counted disk: the agent's folder, or the outbox in it.
    counted: &'static str,
}

/// Runs the cases whose names contain `only` and prints them.
///
/// # Errors
/// When a process fails. A missing peer is said and left out.
pub async fn run(seconds: u64, only: &str) -> Result<()> {
    println!(
        "load of this machine now: {}",
        std::fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
    );
    println!(
        "peer: thin-edge.io gateway, as published: 34 MiB resident (mapper 8, collectd mapper 8, agent 8, mosquitto 10)"
    );
    size()?;
    let ten = devices(10);
    let case = |name, uplink, config: &str, line, peers, seconds| Case {
        name,
        scenario: ten.clone(),
        uplink,
        config: config.into(),
        line,
        peers,
        seconds,
        counted: "agent",
    };
    let (second, ten_seconds) = ("", "commit_interval_ms = 10000\n");
    let cases = [
        case(
            "10 devices, gRPC",
            Uplink::Grpc,
            second,
            true,
            true,
            seconds,
        ),
        case(
            "10 devices, MQTT",
            Uplink::Mqtt,
            second,
            true,
            false,
            seconds,
        ),
        Case {
            scenario: devices(40),
            ..case(
                "40 devices, gRPC",
                Uplink::Grpc,
                second,
                true,
                false,
                seconds,
            )
        },
        Case {
            scenario: ecgs(1),
            ..case(
                "ECG at 130 Hz, gRPC",
                Uplink::Grpc,
                "polar_streams = [\"ecg\"]\n",
                true,
                false,
                seconds,
            )
        },
        case(
            "10 devices, commit 10 s",
            Uplink::Grpc,
            ten_seconds,
            true,
            false,
            WRITES_S.max(seconds),
        ),
        case(
            "no line, commit 1 s",
            Uplink::Grpc,
            second,
            false,
            false,
            WRITES_S.max(seconds),
        ),
        case(
            "no line, commit 10 s",
            Uplink::Grpc,
            ten_seconds,
            false,
            false,
            WRITES_S.max(seconds),
        ),
        outbox(case(
            "the same, outbox alone",
            Uplink::Grpc,
            ten_seconds,
            false,
            false,
            WRITES_S.max(seconds),
        )),
        full(case(
            "full records, outbox, 10 s",
            Uplink::Grpc,
            "commit_interval_ms = 10000\npolar_streams = [\"ecg\"]\n",
            false,
            false,
            WRITES_S.max(seconds),
        )),
        full(case(
            "full records, outbox, 1 s",
            Uplink::Grpc,
            "polar_streams = [\"ecg\"]\n",
            false,
            false,
            WRITES_S.max(seconds),
        )),
    ];
    for case in cases.iter().filter(|case| case.name.contains(only)) {
        if let Err(error) = measure(case).await {
            println!("{}: FAILED: {error:#}", case.name);
        }
    }
    if "backlog".contains(only) {
        backlog().await?;
    }
    Ok(())
}

/// Only what the outbox writes.
fn outbox(case: Case) -> Case {
    Case {
        counted: "agent/outbox",
        ..case
    }
}

/// Ten electrocardiograms: what is sealed at a commit fills its pages.
fn full(case: Case) -> Case {
    Case {
        scenario: ecgs(10),
        ..outbox(case)
    }
}

fn size() -> Result<()> {
    let agent = program("vitaltwin-agent")?;
    let bytes = std::fs::metadata(&agent)?.len();
    let folder = tempfile::tempdir()?;
    let stripped = folder.path().join("stripped");
    let done = std::process::Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(&agent)
        .status();
    let bare = std::fs::metadata(&stripped).map_or(0, |about| about.len());
    let note = if cfg!(debug_assertions) {
        " (DEBUG BUILD: no figure)"
    } else {
        ""
    };
    println!(
        "program: {} KiB, stripped {} KiB ({done:?}){note}",
        bytes >> 10,
        bare >> 10
    );
    Ok(())
}

/// So many straps and oximeters at 1 Hz.
fn devices(count: usize) -> String {
    let mut text = format!("about = \"{count} devices at 1 Hz\"\n");
    for device in 0..count {
        // A String takes everything.
        if device % 2 == 0 {
            let _fine = write!(
                text,
                "[[patient]]\nname = \"p{device}\"\ngateway = \"{HOME}\"\n"
            );
        }
        let kind = ["strap", "oximeter"][device % 2];
        let _fine = write!(
            text,
            "[[patient.wearable]]\nkind = \"{kind}\"\naddress = \"C0:10:AD:00:00:{device:02X}\"\nperiod_s = 1\n"
        );
    }
    text
}

/// So many patients with an electrocardiogram at 130 Hz each.
fn ecgs(count: usize) -> String {
    let mut text = format!("about = \"{count} ECGs\"\n");
    for n in 0..count {
        let _fine = write!(
            text,
            "[[patient]]\nname = \"p{n}\"\ngateway = \"{HOME}\"\n[[patient.wearable]]\nkind = \"polar-h10\"\n\
             address = \"C0:10:AD:00:01:{n:02X}\"\n"
        );
    }
    text
}

/// Forty thermometers at a value each twenty seconds: each value is a record of its own.
fn thermometers() -> String {
    let mut text = String::from("about = \"forty thermometers\"\n");
    for n in 0..40 {
        let _fine = write!(
            text,
            "[[patient]]\nname = \"p{n}\"\ngateway = \"{HOME}\"\n[[patient.wearable]]\nkind = \"thermometer\"\n\
             address = \"C0:10:AD:00:02:{n:02X}\"\nperiod_s = 20\nbattery_per_hour = 0.001\n"
        );
    }
    text
}

async fn measure(case: &Case) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path();
    let disk = CountedDisk::new(&dir.join("disk.img"), &dir.join(HOME).join(case.counted))?;
    let mut world = world(dir, case, Vec::new()).await?;
    let first = first_reading(&mut world, case).await?;
    let mut peers = Vec::new();
    if case.peers {
        peers = start_peers(dir, &world).await;
    }
    tokio::time::sleep(SETTLE).await;
    let gateway = world.gateway(HOME)?;
    let agent = gateway.agent()?.id();
    let both = [vec![agent], children(agent)].concat();
    let before = (
        gateway.count("/readings_decoded"),
        gateway.count("/buffer/bytes"),
    );
    let device = disk.as_ref().map(CountedDisk::written).transpose()?;
    let look = Usage::of(&both)?;
    let own = Usage::of(&both[..1])?;
    let looks = peers.iter().map(|peer| Usage::of(&[peer.id()]));
    let looks = looks.collect::<Result<Vec<_>>>()?;
    tokio::time::sleep(Duration::from_secs(case.seconds)).await;
    let (rates, own) = (look.since(&both)?, own.since(&both[..1])?);
    let device = match (&disk, device) {
        (Some(disk), Some(before)) => Some(disk.written()?.saturating_sub(before)),
        _ => None,
    };
    let readings = gateway.count("/readings_decoded") - before.0;
    let sealed = gateway.count("/buffer/bytes").saturating_sub(before.1);
    let (resident, anonymous) = memory_mib(&both)?;
    println!(
        "{:<24} {:6.1} readings/s  resident {resident:.1} MiB (agent {:.1}, radio {:.1}; own {anonymous:.1}, shared pages once {:.1}; aim {AIM_MIB})  CPU {:.2} % (agent {:.2})  wake-ups {:.0}/s (agent {:.0}){}",
        case.name,
        per(readings, rates.seconds),
        memory_mib(&both[..1])?.0,
        memory_mib(&both[1..])?.0,
        proportional_mib(&both)?,
        rates.cpu_percent,
        own.cpu_percent,
        rates.wakeups,
        own.wakeups,
        first.map_or_else(String::new, |first| format!(
            "  first reading at the centre after {:.2} s",
            first.as_secs_f64()
        )),
    );
    println!(
        "{:<24} {}",
        "",
        writes(
            gateway,
            rates,
            device,
            readings,
            (!case.line).then_some(sealed)
        )
    );
    if !peers.is_empty() {
        println!(
            "  what is kept: ours seals each reading, and has it on the disk within the commit interval or a receipt for what the \
             centre synced; the peers keep nothing, and their broker syncs nothing before it answers"
        );
    }
    for (peer, look) in peers.iter().zip(looks) {
        beside(peer, look.since(&[peer.id()])?, rates, resident)?;
    }
    Ok(())
}

/// What was written, by reading and by sealed byte, and how much of it is the status file.
fn writes(
    gateway: &Gateway,
    rates: Rates,
    device: Option<u64>,
    readings: u64,
    sealed: Option<u64>,
) -> String {
    let all = rates.written * rates.seconds;
    let status =
        std::fs::metadata(gateway.agent_dir().join("status.json")).map_or(0, |about| about.len());
    let mut text = format!(
        "written {:.0} bytes/s, {:.0} a reading (status.json alone: {} pages a second)",
        rates.written,
        all / count(readings.max(1)),
        status.div_ceil(4096)
    );
    if let Some(device) = device {
        let _fine = write!(
            text,
            "; at the device {:.0} bytes/s, {:.0} a reading",
            per(device, rates.seconds),
            count(device) / count(readings.max(1))
        );
    }
    if let Some(sealed) = sealed {
        let sealed = count(sealed.max(1));
        let _fine = write!(
            text,
            "; sealed {:.1} bytes a reading; {:.1} written a sealed byte",
            sealed / count(readings.max(1)),
            all / sealed
        );
        if let Some(device) = device {
            let _fine = write!(text, ", {:.1} at the device", count(device) / sealed);
        }
        let _fine = write!(text, " (aim {AIM_WRITTEN} at 10 s)");
    }
    text
}

fn beside(peer: &Peer, rates: Rates, ours: Rates, resident: f64) -> Result<()> {
    let (memory, own) = memory_mib(&[peer.id()])?;
    let first = peer.first.map_or_else(String::new, |first| {
        format!(", first value after {:.2} s", first.as_secs_f64())
    });
    println!(
        "  beside {:<18} resident {memory:.1} MiB (own {own:.1}), CPU {:.2} %, wake-ups {:.0}/s{first}; ours to it: memory {:.2}, CPU {:.2} (aim {AIM_CPU}), wake-ups {:.2}",
        peer.name,
        rates.cpu_percent,
        rates.wakeups,
        resident / memory,
        ours.cpu_percent / rates.cpu_percent,
        ours.wakeups / rates.wakeups
    );
    Ok(())
}

async fn world(dir: &Path, case: &Case, envs: Vec<(String, String)>) -> Result<World> {
    let scenario = dir.join("scenario.toml");
    std::fs::write(&scenario, &case.scenario)?;
    let plan = Plan {
        scenario,
        seed: 1,
        recording: None,
        envs,
        uplinks: [(HOME.into(), case.uplink)].into(),
    };
    let mut world = World::build(dir, plan).await?;
    world.gateway(HOME)?.configure(&case.config)?;
    world.start()?;
    let gateway = world.gateway(HOME)?;
    gateway.wait_decoded(20, Duration::from_secs(90)).await?;
    if !case.line {
        gateway.stop_agent()?;
        gateway.configure(&format!("grpc_address = \"localhost:1\"\n{}", case.config))?;
        gateway.start_agent()?;
        let decoded = gateway.count("/readings_decoded");
        gateway
            .wait_decoded(decoded + 20, Duration::from_secs(90))
            .await?;
    }
    Ok(world)
}

/// Stops the agent, starts it again as after a power cut, and waits for a new reading in the centre's journal.
async fn first_reading(world: &mut World, case: &Case) -> Result<Option<Duration>> {
    if !case.line {
        return Ok(None);
    }
    world.gateway(HOME)?.stop_agent()?;
    let mut operator = world.centre.client().await?.operator();
    let mut journaled = async || -> Result<u64> {
        let status = operator.status(proto::v1::StatusRequest {}).await?;
        Ok(status.into_inner().readings_journaled)
    };
    let before = journaled().await?;
    let began = Instant::now();
    world.gateway(HOME)?.start_agent()?;
    wait_for(
        "a reading at the centre",
        Duration::from_secs(60),
        async || Ok((journaled().await? > before).then_some(())),
    )
    .await?;
    Ok(Some(began.elapsed()))
}

async fn start_peers(dir: &Path, world: &World) -> Vec<Peer> {
    let bench = Bench {
        scenario: &world.plan.scenario,
        gateway: HOME,
        seed: world.plan.seed,
        recording: None,
    };
    let patients = world.scenario.patients.iter();
    let addresses: Vec<String> = patients.flat_map(|patient| patient.addresses()).collect();
    let mut peers = Vec::new();
    let bleak = Peer::bleak(&dir.join("bleak"), &bench, &addresses).await;
    let theengs = Peer::theengs(&dir.join("theengs"), &bench).await;
    for (name, peer) in [("bleak + paho-mqtt", bleak), ("Theengs gateway", theengs)] {
        match peer {
            Ok(peer) => peers.push(peer),
            Err(error) => println!("peer {name} does not run here: {error:#}"),
        }
    }
    peers
}

/// Memory with nearly a hundred thousand records that wait, before and after a restart; a fast clock fills the buffer.
async fn backlog() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let case = Case {
        name: "backlog",
        scenario: thermometers(),
        uplink: Uplink::Grpc,
        config: "commit_interval_ms = 20000\nsilence_s = 3600\nheartbeat_s = 3600\nsurvival_after_s = 0\n".into(),
        line: false,
        peers: false,
        seconds: 0,
        counted: "agent",
    };
    // Not faster: the radio's own limits are a few seconds of this clock, and forty devices come at once.
    let mut world = world(folder.path(), &case, fast_clock(200.0))
        .await
        .context("the backlog")?;
    let gateway = world.gateway(HOME)?;
    let end = Instant::now() + Duration::from_secs(600);
    while gateway.count("/buffer/records") < 95_000 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for when in ["as filled", "after a restart"] {
        // The radio's worker holds no backlog.
        let agent = [gateway.agent()?.id()];
        let (resident, own) = memory_mib(&agent)?;
        println!(
            "backlog of {} records ({} bytes), {when}: agent alone resident {resident:.1} MiB (own {own:.1}; aim {AIM_MIB})",
            gateway.count("/buffer/records"),
            gateway.count("/buffer/bytes"),
        );
        if when == "as filled" {
            gateway.stop_wearables()?;
            gateway.stop_agent()?;
            gateway.start_agent()?;
            tokio::time::sleep(SETTLE).await;
        }
    }
    Ok(())
}

fn count(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let number = number as f64;
    number
}

fn per(number: u64, seconds: f64) -> f64 {
    count(number) / seconds
}
