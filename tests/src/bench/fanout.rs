//! Messages a second from the centre to many readers, with filters and the gate on; beside raw tonic in the same
//! shape: as many streams on as many connections, the same TLS, messages of the same size.
//!
//! Promise: both are driven alike, the next change once the readers have all but a few of those before; a state that
//! the centre left out because a newer one replaced it is no message, and is counted. The readers run on the same
//! cores and decode as little as they can.

mod crowd;
pub mod raw;

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use proto::clock::Clock;
use proto::seal::Sealer;
use proto::v1::centre_to_gateway::Kind as Down;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{self, TwinPart};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{cpu_time, memory_kib};
use crate::centre::Centre;
use crate::client::Client;
use crate::hand::{HandGateway, HandUplink, heart_rates, seal_readings};
use crowd::Crowd;

/// Patients whose twins change in turn. More than `AHEAD`: a reader that keeps up gets each change.
const PATIENTS: usize = 32;
/// Changes that may be on their way to the readers at once.
const AHEAD: u64 = 16;
/// Batches of the gateway that may wait for a receipt.
const WINDOW: u64 = 8;

/// What one side did.
struct Figure {
    messages_per_s: f64,
    messages_per_core_s: f64,
    kib_per_stream: f64,
    left_out: f64,
    bytes: f64,
}

/// Runs each shape ("streams x connections") for so many seconds a side and prints it.
///
/// # Errors
/// When a process fails.
pub async fn run(shapes: &[(usize, usize)], seconds: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clock = Clock::system();
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    let config = centre.dir().join("config.toml");
    let text = std::fs::read_to_string(&config)?
        .replace("max_connections = 4096", "max_connections = 20000")
        .replace("gateway_kib_per_s = 2048", "gateway_kib_per_s = 0");
    std::fs::write(&config, text).context("config.toml")?;
    centre.start().await?;
    let (token, id) = centre.token("load")?;
    let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
    for n in 0..PATIENTS {
        let patient = centre.add_patient(&format!("Load {n}"))?;
        centre.assign(&patient, &id, &[format!("C0:00:00:00:00:{n:02X}")])?;
    }
    let narrow = v1::WatchTwinsRequest {
        kinds: vec![v1::Kind::HeartRate.into()],
        parts: vec![TwinPart::Channels.into()],
        ..Default::default()
    };
    println!(
        "{PATIENTS} patients; all streams get each change; TLS 1.3; readers and servers on the same cores"
    );
    for (streams, connections) in shapes {
        for (request, what) in [
            (&narrow, "heart rates alone"),
            (&v1::WatchTwinsRequest::default(), "whole twins"),
        ] {
            centre.stop()?;
            centre.start().await?;
            let shape = (*streams, *connections);
            let ours = of_centre(&mut centre, &gateway, clock, shape, request, seconds).await?;
            let raw = of_raw(&centre, shape, ours.bytes, seconds).await?;
            println!(
                "{streams} streams on {connections} connections, {what}, {:.0} B a message",
                ours.bytes
            );
            for (name, figure) in [("centre", &ours), ("raw tonic", &raw)] {
                println!(
                    "  {name:10} {:9.0} messages/s {:9.0} a core-second of the server {:6.1} KiB a stream {:5.1} % left out",
                    figure.messages_per_s,
                    figure.messages_per_core_s,
                    figure.kib_per_stream,
                    figure.left_out * 100.0
                );
            }
            println!(
                "  of raw     {:9.2}            {:9.2}                           {:6.2}",
                ours.messages_per_s / raw.messages_per_s,
                ours.messages_per_core_s / raw.messages_per_core_s,
                ours.kib_per_stream / raw.kib_per_stream
            );
        }
    }
    Ok(())
}

/// Gathers a crowd, drives it, and says what the server did and took.
async fn measure(
    server: u32,
    clients: impl AsyncFnMut() -> Result<Client>,
    (streams, connections): (usize, usize),
    request: &v1::WatchTwinsRequest,
    seconds: u64,
    mut tick: impl AsyncFnMut(u64) -> Result<()>,
) -> Result<Figure> {
    let before = memory_kib(server, "VmRSS")?;
    let crowd = Crowd::gather(clients, streams, connections, request).await?;
    let idle = memory_kib(server, "VmRSS")?;
    let streams = u64::try_from(streams)?;
    let (mut ticks, mut warm) = (0, None);
    let begin = Instant::now();
    let length = Duration::from_secs(seconds);
    // A second to get going, then what is measured.
    while begin.elapsed() < length + Duration::from_secs(1) {
        let waiting = Instant::now();
        while crowd.taken() + AHEAD * streams < ticks * streams {
            anyhow::ensure!(
                waiting.elapsed() < Duration::from_secs(60),
                "the readers got nothing for a minute"
            );
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        tick(ticks).await?;
        ticks += 1;
        if warm.is_none() && begin.elapsed() > Duration::from_secs(1) {
            warm = Some((Instant::now(), cpu_time(server)?, crowd.counts()));
        }
    }
    let (since, cpu, counts) = warm.context("it got going")?;
    let (now, spent) = (crowd.counts(), cpu_time(server)?.saturating_sub(cpu));
    let wall = since.elapsed().as_secs_f64();
    crowd.leave();
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let of = |count: u64| count as f64;
    let messages = of(now.messages - counts.messages);
    Ok(Figure {
        messages_per_s: messages / wall,
        messages_per_core_s: messages / spent.as_secs_f64(),
        kib_per_stream: of(idle.saturating_sub(before)) / of(streams),
        left_out: of(now.left_out - counts.left_out) / messages,
        bytes: of(now.bytes - counts.bytes) / messages,
    })
}

/// The gateway that makes the twins change.
struct Load {
    uplink: HandUplink,
    patients: Vec<(Sealer, u64)>,
    clock: Clock,
    sent: u64,
    receipted: u64,
}

impl Load {
    async fn prepare(gateway: &HandGateway, clock: Clock) -> Result<Self> {
        let mut uplink = gateway.connect().await?;
        let mut patients = Vec::new();
        for assignment in uplink.assignments().await? {
            let (header, sealer) = gateway.open_context(&assignment, clock.now())?;
            uplink.send(Up::OpenContext(header)).await?;
            patients.push((sealer, 0));
        }
        anyhow::ensure!(patients.len() == PATIENTS, "one assignment a patient");
        uplink
            .listen(|heard| heard.admitted.len() == PATIENTS)
            .await?;
        Ok(Self {
            uplink,
            patients,
            clock,
            sent: 0,
            receipted: 0,
        })
    }

    /// One patient's twin changes.
    async fn tick(&mut self, n: u64) -> Result<()> {
        let turn = usize::try_from(n)? % PATIENTS;
        let (sealer, sequence) = &mut self.patients[turn];
        let rate = 60 + i64::try_from(*sequence % 30)?;
        let mut readings = heart_rates(self.clock.now(), &[rate]);
        readings[0].sequence = *sequence;
        *sequence += 1;
        let records = seal_readings(sealer, &readings)?;
        self.sent += u64::try_from(records.len())?;
        self.uplink.send_records(records).await?;
        while self.sent - self.receipted > WINDOW {
            match self
                .uplink
                .next()
                .await?
                .context("the centre ended the stream")?
            {
                Down::Receipt(receipt) => {
                    let ranges = receipt.ranges.iter();
                    self.receipted += ranges.map(|r| r.last - r.first + 1).sum::<u64>();
                }
                Down::Refusal(refusal) => anyhow::bail!("refused: {refusal:?}"),
                Down::Command(_) | Down::ContextAdmitted(_) | Down::PieceTaken(_) => {}
            }
        }
        Ok(())
    }
}

async fn of_centre(
    centre: &mut Centre,
    gateway: &HandGateway,
    clock: Clock,
    shape: (usize, usize),
    request: &v1::WatchTwinsRequest,
    seconds: u64,
) -> Result<Figure> {
    let server = centre.process()?.id();
    let mut load = Load::prepare(&gateway.at(centre.ready()?.grpc), clock).await?;
    let centre = &*centre;
    let clients = async || centre.client().await;
    measure(server, clients, shape, request, seconds, async |n| {
        load.tick(n).await
    })
    .await
}

async fn of_raw(
    centre: &Centre,
    shape: (usize, usize),
    bytes: f64,
    seconds: u64,
) -> Result<Figure> {
    let mut server = tokio::process::Command::new(std::env::current_exe()?)
        .arg("fanout-raw")
        .arg(centre.dir())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the raw server")?;
    let out = server.stdout.take().context("its output")?;
    let line = BufReader::new(out).lines().next_line().await?;
    let address = line
        .context("the raw server ended")?
        .parse()
        .context("an address")?;
    let identity = centre.dir().join("operator");
    let clients = async || Client::connect(address, &identity, &[]).await;
    let mut ticker = clients().await?.twins();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size of some bytes"
    )]
    let size = (bytes as usize).to_string();
    let tick = async |_| {
        let request = v1::GetTwinRequest {
            patient: size.clone(),
        };
        ticker.get(request).await?;
        Ok(())
    };
    let id = server.id().context("it runs")?;
    let request = v1::WatchTwinsRequest::default();
    let figure = measure(id, clients, shape, &request, seconds, tick).await?;
    server.kill().await?;
    Ok(figure)
}
