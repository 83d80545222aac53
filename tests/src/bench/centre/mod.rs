//! The centre with 1,000 to 100,000 patients: readings a second by either door, from a publisher to a subscriber at half
//! load, an hour's backlog, memory, a restart; beside mosquitto alone and beside decoding with a map, in the same run.
//!
//! * `worn`: PURE: what one patient measures.
//! * `load`: gateways with sealed messages. `probe`: one patient beside them, from sending to a subscriber.
//! * `broker`: mosquitto alone, carrying the same messages. `limit`: decoding and a map.
//! * `curve`: PURE: the page with a picture of how each figure grows.
//!
//! Everything is on: mutual TLS, opening, order, twins, alerts, history, and the durable journal. Readings are those of
//! the hours before the run, as after an outage; the load runs on the same cores, sealed in advance. Promise: what stands
//! beside a figure was measured in the same run, on the same machine.

mod broker;
mod curve;
mod limit;
mod load;
mod probe;
mod worn;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use proto::clock::{Clock, TEST_CLOCK_VARIABLE};
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::{self, GatewayToCentre};
use tokio::task::JoinSet;
use vitals::Span;

use self::broker::Broker;
use self::curve::Row;
use self::load::{Messages, Sender, Shape};
use self::probe::Probe;
use super::{cpu_time, memory_kib, sync_limit_ms};
use crate::centre::Centre;
use crate::demo::summary::Percentiles;
use crate::house::{Home, PATIENTS, furnish};
use crate::line::Doors;

/// Readings in a record, as in the peers' messages.
const READINGS: usize = 10;
/// Records in a message: one, as the peers' are, and as an agent sends what has waited.
const TOGETHER: [usize; 2] = [1, 32];
/// An hour of a patient in records, and how many of them make a message.
const HOUR: Shape = Shape {
    readings: 2160,
    records: 2,
    together: 16,
};
/// How long half load lasts.
const HALF_LOAD: Duration = Duration::from_secs(10);
/// Longest wait for twins that are behind.
const BEHIND: Duration = Duration::from_secs(1200);

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Patients of each round; multiples of 250.
    pub patients: Vec<usize>,
    /// Readings of each rate, all patients together.
    pub readings: usize,
    /// The round whose patients were also cut off for an hour.
    pub backlog: usize,
}

/// Runs it, prints the table, and writes the page with the curves.
///
/// # Errors
/// When a process fails, or a round's number does not fill its gateways.
pub async fn run(plan: &Plan, page: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sync = sync_limit_ms(folder.path(), 1000)?;
    println!(
        "limits: append 4 KiB + fdatasync p50 {:.2} ms, p99 {:.2} ms; protobuf decoded and a map updated, one core: {:.1} M readings/s",
        sync.p50,
        sync.p99,
        limit::decode_and_update(10_000, 2_000_000)? / 1e6
    );
    let broker = Broker::start(folder.path()).await?;
    let mut rows = Vec::new();
    for patients in &plan.patients {
        ensure!(
            patients % PATIENTS == 0 && *patients > 0,
            "--patients: multiples of {PATIENTS}"
        );
        let place = folder.path().join(patients.to_string());
        let round = Round::begin(&place, *patients, plan).await?;
        let row = round.play(plan, broker.as_ref()).await;
        rows.push(row.with_context(|| format!("with {patients} patients"))?);
        std::fs::remove_dir_all(&place)?;
    }
    if let Some(folder) = page.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(page, curve::page(&rows))?;
    println!("curves: {}", page.display());
    Ok(())
}

/// One number of patients.
struct Round {
    centre: Centre,
    senders: Vec<Sender>,
    probe: Probe,
    /// Readings that were sent.
    sent: u64,
    /// KiB of the centre before anybody was measured.
    idle_kib: u64,
    row: Row,
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
impl Round {
    async fn begin(place: &Path, patients: usize, plan: &Plan) -> Result<Self> {
        // What is measured is of the hours before now: both rates by both doors, half load, and the hour.
        let each = i64::try_from(plan.readings / patients * 8)?;
        let before = Span::from_secs(each + 2 * 3600);
        ensure!(
            before < Span::from_secs(20 * 3600),
            "--readings: too many for so few patients"
        );
        let wall = proto::clock::wall_now();
        let then = Clock::test(wall, wall - before, 1.0)?;
        let mut centre = Centre::init(place, &envs(then)?)?;
        centre.set("gateway_kib_per_s", 0)?;
        // All of it is tail when it starts again.
        centre.set("snapshot_minutes", 0)?;
        centre.start().await?;
        let begin = Instant::now();
        let mut homes = furnish(&centre, patients + 1, then).await?;
        homes.sort_by_key(|home| home.number);
        println!(
            "\n{patients} patients at {} gateways, added in {:.0} s",
            homes.len() - 1,
            begin.elapsed().as_secs_f64()
        );
        centre.stop()?;
        let now = Clock::test(wall, wall, 1.0)?;
        centre.set_envs(&envs(now)?);
        centre.start_early().await?;
        centre.wait_current(BEHIND).await?;
        let doors = Doors::of(&centre)?;
        let last = homes.pop().context("the probe's home")?;
        let mut senders = Vec::new();
        for home in homes {
            let gateway = home.gateway.at_time(doors.grpc, now);
            senders.push(Sender::open(Home { gateway, ..home }, doors).await?);
        }
        let probe = Probe::open(last, &centre, now).await?;
        let idle_kib = memory_kib(centre.process()?.id(), "VmRSS")?;
        Ok(Self {
            centre,
            senders,
            probe,
            sent: 0,
            idle_kib,
            row: Row {
                patients,
                figures: Vec::new(),
            },
        })
    }

    async fn play(mut self, plan: &Plan, broker: Option<&Broker>) -> Result<Row> {
        let records = (plan.readings / READINGS / self.row.patients).max(1);
        let mut fastest = 0.0_f64;
        for by_mqtt in [false, true] {
            let doors = Doors::of(&self.centre)?;
            for sender in &mut self.senders {
                sender.reopen(doors, by_mqtt).await?;
            }
            for together in TOGETHER {
                let shape = Shape {
                    readings: READINGS,
                    records,
                    together,
                };
                let rate = self.rate(shape, by_mqtt, broker).await?;
                if !by_mqtt {
                    fastest = fastest.max(rate);
                }
            }
        }
        let doors = Doors::of(&self.centre)?;
        for sender in &mut self.senders {
            sender.reopen(doors, false).await?;
        }
        self.memory()?;
        self.half_load(fastest / 2.0, broker).await?;
        if plan.backlog == self.row.patients {
            self.hour().await?;
        }
        self.restart().await?;
        Ok(self.row)
    }

    fn figure(&mut self, name: &str, value: f64) {
        self.row.figures.push((name.to_owned(), value));
    }

    fn seal(&mut self, shape: Shape) -> Result<Vec<Messages>> {
        let all: Vec<Messages> = self
            .senders
            .iter_mut()
            .map(|sender| sender.seal(shape))
            .collect::<Result<_>>()?;
        let records = self.row.patients * shape.records;
        self.sent += u64::try_from(records * shape.readings)?;
        Ok(all)
    }

    /// All gateways at once; returns the time from the first message to the last receipt.
    async fn send(&mut self, all: Vec<Messages>, every: Option<Duration>) -> Result<Duration> {
        let start = Instant::now();
        let mut sending = JoinSet::new();
        for (mut sender, messages) in self.senders.drain(..).zip(all) {
            sending.spawn(async move {
                sender.send(messages, every).await?;
                anyhow::Ok(sender)
            });
        }
        let senders = sending.join_all().await;
        let took = start.elapsed();
        self.senders = senders.into_iter().collect::<Result<_>>()?;
        Ok(took)
    }

    /// Until the twins have all of it.
    async fn settle(&self) -> Result<()> {
        let all = self.sent + self.probe.sent();
        crate::wait::wait_for("all readings applied", BEHIND, async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let applied = self.centre.status()?["readings_applied"].as_u64();
            Ok((applied == Some(all)).then_some(()))
        })
        .await
    }

    async fn rate(&mut self, shape: Shape, by_mqtt: bool, broker: Option<&Broker>) -> Result<f64> {
        let all = self.seal(shape)?;
        let plain = by_mqtt.then(|| encoded(&all));
        let readings = (self.row.patients * shape.records * shape.readings) as f64;
        let process = self.centre.process()?.id();
        let (cpu, start) = (cpu_time(process)?, Instant::now());
        let took = self.send(all, None).await?;
        let rate = readings / took.as_secs_f64();
        self.settle().await?;
        let applied = readings / start.elapsed().as_secs_f64();
        let spent = cpu_time(process)?.saturating_sub(cpu).as_secs_f64();
        let door = if by_mqtt { "MQTT" } else { "gRPC" };
        let of = shape.together * shape.readings;
        println!(
            "  {door}, {of:3} readings a message: {rate:9.0} readings/s receipted (each after its fdatasync), {applied:9.0} in the twins, {:9.0} a core of the centre",
            readings / spent
        );
        self.figure(&format!("readings/s by {door}, {of} a message"), rate);
        if let (Some(broker), Some(plain)) = (broker, plain) {
            let carried = broker.carry(plain, None).await?;
            let alone = carried.a_second * of as f64;
            println!(
                "    mosquitto alone, the same messages, TLS, nothing durable: {alone:9.0} readings/s; MQTT here is {:.2} of it (aim 0.85)",
                rate / alone
            );
        }
        Ok(rate)
    }

    fn memory(&mut self) -> Result<()> {
        let now = memory_kib(self.centre.process()?.id(), "VmRSS")?;
        let each = now.saturating_sub(self.idle_kib) as f64 / self.row.patients as f64;
        println!(
            "  memory: {:.0} MiB before the first reading, {:.0} MiB now: {each:.2} KiB a patient with both sensors (bare map 0.25)",
            self.idle_kib as f64 / 1024.0,
            now as f64 / 1024.0
        );
        self.figure("KiB a patient with both sensors", each);
        Ok(())
    }

    async fn half_load(&mut self, rate: f64, broker: Option<&Broker>) -> Result<()> {
        let together = TOGETHER[1];
        let messages = rate * HALF_LOAD.as_secs_f64() / (together * READINGS) as f64;
        let wanted = messages * together as f64 / self.row.patients as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number of records"
        )]
        let shape = Shape {
            readings: READINGS,
            records: (wanted.ceil() as usize).max(1),
            together,
        };
        let all = self.seal(shape)?;
        let plain = encoded(&all);
        let each = rate / (together * READINGS) as f64 / self.senders.len() as f64;
        let quiet = self.probe.some(HALF_LOAD / 2).await?;
        let probing = self.probe.begin();
        self.send(all, Some(Duration::from_secs_f64(1.0 / each)))
            .await?;
        let late = self.probe.end(probing).await?;
        println!(
            "  publish to subscriber, after the durable write: idle {}; at {rate:.0} readings/s {} (aims 1 and 7)",
            text(quiet),
            text(late)
        );
        self.figure("ms to a subscriber at half load, p99", late.p99);
        if let Some(broker) = broker {
            let full = broker.carry(plain.clone(), None).await?;
            let half = broker.carry(plain, Some(full.a_second / 2.0)).await?;
            println!(
                "    mosquitto alone at half of what it carries: {}; p99 here is {:.2} of its",
                text(half.late),
                late.p99 / half.late.p99
            );
        }
        self.settle().await
    }

    async fn hour(&mut self) -> Result<()> {
        let all = self.seal(HOUR)?;
        let bytes: usize = all.iter().flatten().flatten().map(Vec::len).sum();
        let readings = (self.row.patients * HOUR.records * HOUR.readings) as f64;
        let probing = self.probe.begin();
        let took = self.send(all, None).await?;
        let late = self.probe.end(probing).await?;
        let start = Instant::now();
        self.settle().await?;
        println!(
            "  an hour's backlog of all, {readings:.0} readings in full records ({:.2} B a reading sealed): receipted in {:.1} s, in the twins {:.1} s later (aim 60 s; PostgreSQL 7.5 min); a live reading meanwhile {}",
            bytes as f64 / readings,
            took.as_secs_f64(),
            start.elapsed().as_secs_f64(),
            text(late)
        );
        Ok(())
    }

    async fn restart(&mut self) -> Result<()> {
        let journal = self.centre.dir().join("store");
        let (bytes, read) = read_all(&journal)?;
        self.centre.kill()?;
        let start = Instant::now();
        self.centre.start_early().await?;
        let doors = start.elapsed();
        self.probe.again(&self.centre).await?;
        let first = start.elapsed();
        self.centre.wait_current(BEHIND).await?;
        let current = start.elapsed();
        println!(
            "  after kill -9, with {:.0} MiB of journal and no snapshot: doors {:.1} s, first receipt {:.1} s (aim 5), all twins current {:.1} s (aim 60); reading the files alone {:.2} s",
            bytes as f64 / 1_048_576.0,
            doors.as_secs_f64(),
            first.as_secs_f64(),
            current.as_secs_f64(),
            read.as_secs_f64()
        );
        self.figure("s to the first receipt after kill -9", first.as_secs_f64());
        self.figure(
            "s to all twins current after kill -9",
            current.as_secs_f64(),
        );
        Ok(())
    }
}

/// What goes over a broker.
fn encoded(all: &[Messages]) -> Vec<Vec<u8>> {
    let message = |records: &Vec<Vec<u8>>| {
        let records = records.clone();
        let kind = Some(Up::Batches(v1::SealedBatches { records }));
        GatewayToCentre { kind }.encode_to_vec()
    };
    all.iter().flatten().map(message).collect()
}

fn text(late: Percentiles) -> String {
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, n {}",
        late.p50, late.p99, late.n
    )
}

fn envs(clock: Clock) -> Result<Vec<(String, String)>> {
    let text = clock.to_text().context("a test clock")?;
    Ok(vec![(TEST_CLOCK_VARIABLE.into(), text)])
}

/// Bytes below a folder, and how long reading them takes.
fn read_all(folder: &Path) -> Result<(u64, Duration)> {
    let (start, mut bytes) = (Instant::now(), 0);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        bytes += if path.is_dir() {
            read_all(&path)?.0
        } else {
            std::io::copy(&mut std::fs::File::open(&path)?, &mut std::io::sink())?
        };
    }
    Ok((bytes, start.elapsed()))
}
