//! A bad day at home: a watch is taken off, a strap goes out of range, a thermometer has lost its clock, the agent is
//! killed, and a full outbox drops. What the centre says of that day's time is right in each of its stretches, and the
//! stretches of every source tile the day.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::gateway::Uplink;
use e2e::wait::wait_for;
use e2e::world::World;
use firmware::gatt::TEMPERATURE_MEASUREMENT;
use firmware_sim::bluez::{FakeBluez, Options};
use proto::clock::Clock;
use proto::v1::{CoverageClass, CoverageLine, CoverageRequest, CoverageResponse, Kind};
use vitals::{Span, Time};

use crate::full::Mounted;
use crate::paths::{LONG, plan};

const WATCH: &str = "C0:00:00:00:03:01";
const STRAP: &str = "C0:00:00:00:03:02";
const THERMOMETER: &str = "C0:00:00:00:03:03";
/// How long each mishap lasts on the wall; the clock runs twenty times as fast.
const MISHAP: Duration = Duration::from_secs(4);
/// What a device, a link or a beat may be late by.
const SLACK: Span = Span::from_secs(45);

/// What is wrong with a line that should tile its window.
fn fault(line: &CoverageLine, (from, to): (i64, i64)) -> Option<String> {
    let (mut at, mut sum) = (from, 0);
    for stretch in &line.stretches {
        if stretch.from_us != at {
            return Some(format!("a hole or an overlap at {at}: {stretch:?}"));
        }
        if stretch.to_us <= stretch.from_us || stretch.class() == CoverageClass::Unspecified {
            return Some(format!("no stretch: {stretch:?}"));
        }
        sum += stretch.to_us - stretch.from_us;
        at = stretch.to_us;
    }
    let whole = at == to && sum == to - from;
    (!whole).then(|| format!("{sum} of {} us are named", to - from))
}

/// How much of `[from, to)` the line gives to a class, from 0 to 1.
fn share(line: &CoverageLine, class: CoverageClass, (from, to): (Time, Time)) -> f64 {
    let (from, to) = (from.as_micros(), to.as_micros());
    let of_class = line.stretches.iter().filter(|one| one.class() == class);
    let within = of_class.map(|one| (one.to_us.min(to) - one.from_us.max(from)).max(0));
    Span::from_micros(within.sum()).as_secs_f64() / Span::from_micros(to - from).as_secs_f64()
}

/// The story so far.
struct Day {
    world: World,
    bluez: FakeBluez,
    clock: Clock,
    patient: String,
}

impl Day {
    async fn begin(mut world: World) -> Result<Self> {
        let clock = e2e::client::clock_of(&world.plan.envs)?;
        let patient = world.patients.values().next().context("a patient")?.clone();
        let gateway = world.gateways.get_mut("home").context("a gateway")?;
        let options = Options {
            bus: gateway.bus().address().into(),
            gateway: "home".into(),
            clock,
            start: clock.now(),
            trace: None,
        };
        let wearables = world.scenario.wearables(Some("home"), 11, None);
        let bluez = FakeBluez::start(options, wearables).await?;
        gateway.start_agent()?;
        let mut day = Self {
            world,
            bluez,
            clock,
            patient,
        };
        day.all_connected().await?;
        Ok(day)
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    async fn all_connected(&mut self) -> Result<()> {
        // What a killed agent wrote last says nothing of the one that runs.
        let (world, since) = (&self.world, self.now().as_micros());
        wait_for("all sensors connected", LONG, async || {
            let status = world.gateways["home"].status().unwrap_or_default();
            let devices = status["devices"].as_array().cloned().unwrap_or_default();
            let all = devices.iter().all(|device| device["link"] == "connected");
            let fresh = status["written_us"].as_i64() > Some(since);
            Ok((devices.len() == 9 && all && fresh).then_some(()))
        })
        .await
    }

    /// The watch lies on the table.
    async fn watch_off(&self) -> Result<(Time, Time)> {
        self.bluez.faults().set_worn(WATCH, false)?;
        let from = self.now();
        tokio::time::sleep(MISHAP).await;
        let to = self.now();
        self.bluez.faults().set_worn(WATCH, true)?;
        Ok((from, to))
    }

    /// The strap is carried away: its link ends, and no other can be made.
    async fn out_of_range(&mut self) -> Result<(Time, Time)> {
        self.bluez.faults().fail_connects(STRAP, 100_000)?;
        self.bluez.faults().drop_link(STRAP).await?;
        let from = self.now();
        tokio::time::sleep(MISHAP).await;
        let to = self.now();
        self.bluez.faults().fail_connects(STRAP, 0)?;
        self.all_connected().await?;
        Ok((from, to))
    }

    /// The thermometer's stamps are of 2016: 36.6 degrees Celsius each time.
    async fn clock_lost(&self) -> Result<(Time, Time)> {
        let octets = [
            0x02, 0x6E, 0x01, 0x00, 0xFF, 0xE0, 0x07, 0x01, 0x02, 0x03, 0x04, 0x05,
        ];
        let from = self.now();
        for _ in 0..8 {
            let value = octets.to_vec();
            let faults = self.bluez.faults();
            faults
                .inject(THERMOMETER, TEMPERATURE_MEASUREMENT, value)
                .await?;
            tokio::time::sleep(MISHAP / 8).await;
        }
        Ok((from, self.now() - SLACK))
    }

    /// The agent is killed, and starts again.
    async fn gateway_down(&mut self) -> Result<(Time, Time)> {
        self.world.gateway("home")?.kill_agent()?;
        let from = self.now();
        tokio::time::sleep(MISHAP).await;
        let to = self.now();
        self.world.gateway("home")?.start_agent()?;
        self.all_connected().await?;
        Ok((from, to))
    }

    /// There is no line, and then no room: the outbox drops. Gives when, and how much.
    async fn outbox_full(&mut self) -> Result<(Time, Time, u64)> {
        let gateway = self.world.gateway("home")?;
        gateway.stop_agent()?;
        gateway.configure("grpc_address = \"localhost:1\"\ncommit_interval_ms = 10\n")?;
        gateway.start_agent()?;
        let from = self.clock.now();
        let decoded = gateway.count("/readings_decoded");
        gateway.wait_decoded(decoded + 50, LONG).await?;
        let filler = gateway.agent_dir().join("filler");
        let fill = ["-c", "cat /dev/zero > \"$0\""];
        let filled = Command::new("sh").args(fill).arg(&filler).output();
        ensure!(!filled.context("sh")?.status.success(), "not filled");
        wait_for("dropped readings", LONG, async || {
            Ok((gateway.count("/readings_dropped/buffer_full") > 0).then_some(()))
        })
        .await?;
        std::fs::remove_file(&filler)?;
        gateway.stop_agent()?;
        let to = self.clock.now();
        gateway.configure("")?;
        gateway.start_agent()?;
        self.all_connected().await?;
        let dropped = self.world.gateways["home"].count("/readings_dropped/buffer_full");
        Ok((from, to, dropped))
    }

    async fn coverage(&self, from: Time) -> Result<CoverageResponse> {
        let client = self.world.centre.client().await?;
        let request = CoverageRequest {
            patient: self.patient.clone(),
            kinds: Vec::new(),
            from_us: from.as_micros(),
            to_us: (self.now() + Span::from_mins(60)).as_micros(),
        };
        Ok(client.history().coverage(request).await?.into_inner())
    }

    /// The line of one sensor and kind.
    async fn line(&self, of: &CoverageResponse, address: &str, kind: Kind) -> Result<CoverageLine> {
        let twin = self
            .world
            .centre
            .client()
            .await?
            .twin(&self.patient)
            .await?;
        let device = twin.devices.iter().find(|known| known.address == address);
        let device = device.context("the sensor is known")?;
        let same = |line: &&CoverageLine| {
            line.stream == device.stream && line.source == device.source && line.kind() == kind
        };
        let line = of.lines.iter().find(same).cloned();
        line.with_context(|| format!("no line of {address} and {kind:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_second_of_a_bad_day_has_its_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("home/agent");
    let Some(_mounted) = Mounted::new(&disk, "8m")? else {
        return Ok(());
    };
    let plan = plan("cover.toml", 20.0, Uplink::Grpc);
    let mut day = Day::begin(World::build(folder.path(), plan).await?).await?;
    let begin = day.now();
    tokio::time::sleep(MISHAP).await;
    let good = (begin, day.now());
    let off = day.watch_off().await?;
    let away = day.out_of_range().await?;
    let undated = day.clock_lost().await?;
    let down = day.gateway_down().await?;
    // A gap record tells its span in whole minutes: what is dropped next must not seem to reach back into this.
    tokio::time::sleep(day.clock.real(Span::from_secs(70))).await;
    let (from, to, dropped) = day.outbox_full().await?;
    ensure!(dropped > 0, "control: something was dropped");
    // Until nothing waits any more, and a beat says so.
    wait_for("a drained buffer", LONG, async || {
        Ok((day.world.gateways["home"].count("/buffer/records") == 0).then_some(()))
    })
    .await?;
    tokio::time::sleep(MISHAP).await;

    let answer = day.coverage(begin - Span::from_mins(2)).await?;
    let window = (answer.from_us, answer.to_us);
    ensure!(answer.to_us <= answer.as_of_us, "the future has no class");
    for line in &answer.lines {
        let fault = fault(line, window);
        ensure!(fault.is_none(), "{fault:?} in {line:?}");
    }
    let watch = day.line(&answer, WATCH, Kind::HeartRate).await?;
    let strap = day.line(&answer, STRAP, Kind::HeartRate).await?;
    let temperature = day
        .line(&answer, THERMOMETER, Kind::BodyTemperature)
        .await?;
    // What is inside of a mishap by the slack is all of its class.
    let inner = |(from, to): (Time, Time)| (from + SLACK.min(Span::from_secs(20)), to);
    for (what, line, class, stretch) in [
        ("worn", &watch, CoverageClass::Measured, good),
        ("worn", &strap, CoverageClass::Measured, good),
        ("off", &watch, CoverageClass::NotWorn, inner(off)),
        ("control", &strap, CoverageClass::Measured, inner(off)),
        ("away", &strap, CoverageClass::OutOfRange, inner(away)),
        (
            "no clock",
            &temperature,
            CoverageClass::ClockUnknown,
            undated,
        ),
        ("down", &watch, CoverageClass::GatewayDown, inner(down)),
        ("down", &strap, CoverageClass::GatewayDown, inner(down)),
    ] {
        let share = share(line, class, stretch);
        ensure!(share > 0.95, "{what}: {share} of it is {class:?}: {line:?}");
    }
    let sources = answer.lines.iter().filter(|line| line.source != 0);
    let stretches = sources.flat_map(|line| &line.stretches);
    let full: Vec<_> = stretches
        .filter(|one| one.class() == CoverageClass::Dropped)
        .collect();
    ensure!(
        !full.is_empty(),
        "{dropped} were dropped, and no stretch says so"
    );
    for one in full {
        let minute = Span::from_mins(2);
        let inside =
            one.from_us >= (from - minute).as_micros() && one.to_us <= (to + minute).as_micros();
        ensure!(
            inside && one.readings > 0,
            "dropped outside of {from:?} to {to:?}: {one:?}"
        );
    }

    // The negative control: the checker finds what is planted.
    let mut holed = strap.clone();
    holed.stretches.remove(1);
    ensure!(fault(&holed, window).is_some(), "a planted hole was missed");
    let mut short = strap;
    short.stretches.pop();
    ensure!(fault(&short, window).is_some(), "a missing end was missed");
    Ok(())
}
