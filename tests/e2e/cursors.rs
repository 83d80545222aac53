//! Cursors: readers that are cut off at random, over gRPC and gRPC-web by turns, while the centre is stopped and
//! killed under them, see every alert change once and in order, and every twin as it is. One that comes back too
//! late is told so.
//!
//! `VITALTWIN_CUTS=1000` makes as many cuts as that; the gate makes a few with a fixed seed.

use anyhow::{Context, Result, ensure};
use e2e::centre::Centre;
use e2e::client::Client;
use e2e::hand::{HandGateway, HandUplink, heart_rates, seal_readings};
use e2e::watcher::{Record, Step, Twins};
use proto::clock::Clock;
use proto::seal::{Label, Lane, Sealer};
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::gateway_to_centre::Kind as Up;
use proto::v1::twin_service_client::TwinServiceClient;
use proto::v1::{self, AlertEvent, BatchBody, DeviceReport, TwinEvent};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use tonic::Streaming;

use crate::support::SOON;

const PATIENTS: usize = 3;
/// In the gate.
const CUTS: usize = 40;
/// One cut in so many comes with a restart of the centre.
const RESTART: usize = 10;

/// A patient with a sensor, as the gateway by hand serves it.
struct Ward {
    patient: String,
    assignment: v1::Assignment,
    sealer: Sealer,
    /// The sensor's battery was said to be low.
    low: bool,
}

struct World {
    _folder: TempDir,
    centre: Centre,
    gateway: HandGateway,
    up: HandUplink,
    wards: Vec<Ward>,
    clock: Clock,
    /// Alert changes that were asked for.
    asked: usize,
}

fn address(n: usize) -> String {
    format!("C0:00:00:00:00:{n:02X}")
}

impl World {
    async fn new(patients: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let clock = Clock::system();
        let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
        centre.start().await?;
        let (token, id) = centre.token("by hand")?;
        let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
        let mut names = Vec::new();
        for n in 0..patients {
            let patient = centre.add_patient(&format!("Story {n}"))?;
            centre.assign(&patient, &id, &[address(n)])?;
            names.push(patient);
        }
        let mut up = gateway.connect().await?;
        let mut wards = Vec::new();
        let assignments = up.assignments().await?;
        for (n, patient) in names.into_iter().enumerate() {
            let mut of = assignments.iter();
            let of = of.find(|one| one.devices == [address(n)]);
            let assignment = of.context("an assignment")?.clone();
            let (header, sealer) = gateway.open_context(&assignment, clock.now())?;
            up.send(Up::OpenContext(header)).await?;
            wards.push(Ward {
                patient,
                assignment,
                sealer,
                low: false,
            });
        }
        Ok(Self {
            _folder: folder,
            centre,
            gateway,
            up,
            wards,
            clock,
            asked: 0,
        })
    }

    /// The gateway connects again, to wherever the centre listens now.
    async fn reconnect(&mut self) -> Result<()> {
        self.gateway = self.gateway.at(self.centre.ready()?.grpc);
        self.up = self.gateway.connect().await?;
        for ward in &mut self.wards {
            let opened = self
                .gateway
                .open_context(&ward.assignment, self.clock.now())?;
            self.up.send(Up::OpenContext(opened.0)).await?;
            ward.sealer = opened.1;
        }
        Ok(())
    }

    /// A patient's sensor changes its mind about its battery so often: as many alert changes.
    async fn flip(&mut self, n: usize, times: usize) -> Result<()> {
        let now = self.clock.now();
        let ward = &mut self.wards[n];
        let mut report = || {
            ward.low = !ward.low;
            DeviceReport {
                source: 1,
                address: address(n),
                link: v1::LinkState::Connected.into(),
                since_us: now.as_micros(),
                battery_percent: Some(if ward.low { 9 } else { 90 }),
                ..DeviceReport::default()
            }
        };
        let body = BatchBody {
            devices: (0..times).map(|_| report()).collect(),
            ..BatchBody::default()
        };
        let label = Label {
            number: ward.sealer.next_number(),
            lane: Lane::Alert,
            source: 0,
            count: 0,
            oldest: now,
            newest: now,
        };
        let record = ward.sealer.seal(&label, &body)?;
        self.up.send_records(vec![record]).await?;
        self.up.listen(|heard| !heard.receipts.is_empty()).await?;
        self.asked += times;
        Ok(())
    }

    /// A patient's heart beats on.
    async fn beat(&mut self, n: usize, rate: i64) -> Result<()> {
        let ward = &mut self.wards[n];
        let readings = heart_rates(self.clock.now(), &[rate]);
        let records = seal_readings(&mut ward.sealer, &readings)?;
        self.up.send_records(records).await?;
        self.up.listen(|heard| !heard.receipts.is_empty()).await?;
        Ok(())
    }

    /// A line of the reader's: gRPC-web as a page speaks it, or gRPC.
    async fn line(&self, web: bool) -> Result<Line> {
        let client = self.centre.client().await?;
        Ok(Line { client, web })
    }
}

/// One connection of a reader.
struct Line {
    client: Client,
    web: bool,
}

impl Line {
    async fn alerts(&self, cursor: Vec<u8>) -> Result<Streaming<AlertEvent>> {
        let request = v1::WatchAlertsRequest {
            cursor,
            ..Default::default()
        };
        let answer = if self.web {
            AlertServiceClient::new(self.client.web())
                .watch(request)
                .await?
        } else {
            self.client.alerts().watch(request).await?
        };
        Ok(answer.into_inner())
    }

    async fn twins(&self, cursor: Vec<u8>) -> Result<Streaming<TwinEvent>> {
        let request = v1::WatchTwinsRequest {
            cursor,
            ..Default::default()
        };
        let answer = if self.web {
            TwinServiceClient::new(self.client.web())
                .watch(request)
                .await?
        } else {
            self.client.twins().watch(request).await?
        };
        Ok(answer.into_inner())
    }
}

async fn soon<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let done = tokio::time::timeout(SOON, work).await;
    done.with_context(|| format!("waited too long for {what}"))?
}

/// Reads so many more changes (0: to the end of a snapshot, if one comes first).
async fn read_alerts(
    record: &mut Record,
    stream: &mut Streaming<AlertEvent>,
    more: usize,
) -> Result<()> {
    let (steps, target) = (record.steps.len(), record.changes() + more);
    let reading = async {
        while record.changes() < target || (more == 0 && record.steps.len() == steps) {
            record.take(&stream.message().await?.context("the stream ended")?);
        }
        Ok(())
    };
    soon("alert changes", reading).await
}

/// Reads until the reader knows each patient as of at least these positions, or `most` events came.
async fn read_twins(
    twins: &mut Twins,
    stream: &mut Streaming<TwinEvent>,
    positions: &[(String, u64)],
    most: usize,
) -> Result<()> {
    let reading = async {
        for _ in 0..most {
            if positions
                .iter()
                .all(|(patient, at)| twins.position(patient) >= *at)
            {
                return Ok(());
            }
            let event = stream.message().await?.context("the stream ended")?;
            twins.take(&event).map_err(anyhow::Error::msg)?;
        }
        Ok(())
    };
    soon("twin states", reading).await
}

/// Takes what is still in a stream that its other side ended.
async fn take_the_rest(
    record: &mut Record,
    twins: &mut Twins,
    alerts: &mut Streaming<AlertEvent>,
    states: &mut Streaming<TwinEvent>,
) -> Result<()> {
    let reading = async {
        while let Ok(Some(event)) = alerts.message().await {
            record.take(&event);
        }
        while let Ok(Some(event)) = states.message().await {
            twins.take(&event).map_err(anyhow::Error::msg)?;
        }
        Ok(())
    };
    soon("the streams' end", reading).await
}

/// All that happened after a cursor, read without a break; at least `least` changes.
async fn all_after(world: &World, cursor: Vec<u8>, least: usize) -> Result<Record> {
    let mut record = Record::default();
    record.steps.push(Step::Snapshot(String::new()));
    record.cursor.clone_from(&cursor);
    let line = world.line(false).await?;
    read_alerts(&mut record, &mut line.alerts(cursor).await?, least).await?;
    Ok(record)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_are_cut_at_random_see_everything_once() -> Result<()> {
    let cuts = match std::env::var("VITALTWIN_CUTS") {
        Ok(text) => text.parse().context("VITALTWIN_CUTS is a number")?,
        Err(_) => CUTS,
    };
    let mut chance = ChaCha8Rng::seed_from_u64(4);
    let mut world = World::new(PATIENTS).await?;
    let (mut record, mut twins) = (Record::default(), Twins::default());
    let line = world.line(false).await?;
    read_alerts(&mut record, &mut line.alerts(Vec::new()).await?, 0).await?;
    let start = record.cursor.clone();
    for cut in 1..=cuts {
        let line = world.line(chance.random()).await.context("a line")?;
        let mut alerts = line.alerts(record.cursor.clone()).await?;
        let mut states = line.twins(twins.cursor.clone()).await?;
        twins.leave();
        for _ in 0..chance.random_range(0..4) {
            let n = chance.random_range(0..PATIENTS);
            if chance.random() {
                world.flip(n, chance.random_range(1..4)).await?;
            } else {
                world.beat(n, chance.random_range(55..90)).await?;
            }
        }
        // It reads some of what it could, and is gone.
        let waiting = world.asked - record.changes().min(world.asked);
        let some = chance.random_range(0..=waiting);
        if some > 0 {
            read_alerts(&mut record, &mut alerts, some).await?;
        }
        let mut positions = Vec::new();
        for ward in &world.wards {
            let twin = line.client.twin(&ward.patient).await?;
            positions.push((ward.patient.clone(), twin.position));
        }
        let most = chance.random_range(0..8);
        read_twins(&mut twins, &mut states, &positions, most).await?;
        if cut % RESTART == 0 {
            if chance.random() {
                world.centre.kill()?;
            } else {
                world.centre.stop()?;
            }
            take_the_rest(&mut record, &mut twins, &mut alerts, &mut states).await?;
            world.centre.start().await?;
            world.reconnect().await?;
        }
    }
    // What happened, as one reader sees it who never left; and the reader with the breaks, to the end.
    let truth = all_after(&world, start.clone(), world.asked).await?;
    let line = world.line(true).await?;
    let missing = truth.changes() - record.changes().min(truth.changes());
    if missing > 0 {
        let mut stream = line.alerts(record.cursor.clone()).await?;
        read_alerts(&mut record, &mut stream, missing).await?;
    }
    let happened = &truth.steps[1..];
    record.verdict(happened).map_err(anyhow::Error::msg)?;
    let mut positions = Vec::new();
    for ward in &world.wards {
        let twin = line.client.twin(&ward.patient).await?;
        positions.push((ward.patient.clone(), twin.position));
    }
    let mut states = line.twins(twins.cursor.clone()).await?;
    twins.leave();
    read_twins(&mut twins, &mut states, &positions, usize::MAX).await?;
    for ward in &world.wards {
        let twin = line.client.twin(&ward.patient).await?;
        let known = twins.known.get(&ward.patient).context("a known twin")?;
        ensure!(
            *known == (twin.position, twin.state_hash),
            "another state than the centre's"
        );
    }
    ensure!(
        twins.snapshots == [""],
        "one snapshot, the first: {:?}",
        twins.snapshots
    );
    println!(
        "{cuts} cuts: {} alert changes, {} twin states ({} left out)",
        record.changes(),
        twins.states.0,
        twins.states.1
    );

    // The negative control, on the same centre: a reader that comes back with an older cursor sees something
    // twice, one with a cursor that it was not given yet misses something.
    let half = happened.len() / 2;
    let mut first = Record::default();
    first.steps.push(Step::Snapshot(String::new()));
    let line = world.line(false).await?;
    let mut stream = line.alerts(start).await?;
    read_alerts(&mut first, &mut stream, half - 1).await?;
    let older = first.cursor.clone();
    read_alerts(&mut first, &mut stream, 1).await?;
    let seen = first.clone();
    read_alerts(&mut first, &mut stream, 1).await?;
    let newer = first.cursor.clone();
    for (planted, says) in [(older, "came twice"), (newer, "is missing")] {
        let mut faulty = seen.clone();
        let after = all_after(&world, planted, happened.len() - half - 1).await?;
        faulty.steps.extend_from_slice(&after.steps[1..]);
        let said = faulty
            .verdict(happened)
            .err()
            .context("a fault was planted")?;
        ensure!(said.contains(says), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_too_late_gets_a_snapshot_that_says_so() -> Result<()> {
    let mut world = World::new(1).await?;
    let mut record = Record::default();
    let line = world.line(false).await?;
    read_alerts(&mut record, &mut line.alerts(Vec::new()).await?, 0).await?;
    let old = record.cursor.clone();
    // More changes than the centre keeps, as many in a record as may be; an odd number, so that one holds in the end.
    while world.asked <= 8192 {
        world.flip(0, 63).await?;
    }
    let recent = {
        let line = world.line(false).await?;
        let mut fresh = Record::default();
        read_alerts(&mut fresh, &mut line.alerts(Vec::new()).await?, 0).await?;
        fresh.cursor
    };
    world.flip(0, 1).await?;
    for (cursor, reason) in [
        (old, "the cursor is older than the events that are kept"),
        (
            vec![7; 46],
            "the cursor was not made by this centre or was changed",
        ),
    ] {
        for web in [false, true] {
            let line = world.line(web).await?;
            let mut late = Record::default();
            read_alerts(&mut late, &mut line.alerts(cursor.clone()).await?, 0).await?;
            ensure!(
                late.steps == [Step::Snapshot(reason.into())],
                "{:?}",
                late.steps
            );
        }
    }
    // Control: who is not late hears the one change that came since.
    let mut kept = Record::default();
    let line = world.line(false).await?;
    read_alerts(&mut kept, &mut line.alerts(recent).await?, 1).await?;
    ensure!(
        matches!(kept.steps[..], [Step::Change(..)]),
        "{:?}",
        kept.steps
    );
    Ok(())
}
