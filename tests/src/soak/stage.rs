//! The world of the soak, and what it takes to hurt, look after and end it.
//!
//! Stands in for three things of the field: the service manager (an agent that ends by itself is started again, and
//! counted), the machine's clock (a preloaded libfaketime moves it under the running agent, where it is installed), and
//! a small disk (a file system of its own, where this user may mount one). What is not there is said, and its
//! troubles are left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use proto::clock::Clock;
use vitals::Kind;

use super::hurt::CUT;
use super::sample::{self, Sample, centre_counts, counts, taken};
use super::trouble::{Lane, Trouble, Whose};
use super::verdict::{Last, alike};
use super::{Options, Plant};
use crate::centre::Centre;
use crate::client::measurements;
use crate::gateway::{Bench, Gateway, Uplink};
use crate::process::children;
use crate::proxy::{Proxy, Weather};
use crate::world::{Plan, World, fast_clock};

const SCENARIO: &str = include_str!("../../scenarios/soak.toml");
/// Homes and the centre, one lane each.
const LANES: [&str; 4] = ["steady", "rough", "small", "centre"];
/// Where Debian puts it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
/// Size of the small disk.
const SMALL_DISK: &str = "size=64m,mode=0700";
/// What the centre keeps of the past of alerts, so few that it is full from the first minutes on: what still fills up
/// grows like a leak.
const ALERTS_KEPT: u64 = 64;
/// A service manager's patience before it starts an agent again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Calm before the end, so that lines come up and clocks agree again.
const CALM: Duration = Duration::from_secs(30);
/// For this share of the run the centre is ended now and then; the life that is judged comes after.
const MORTAL: f64 = 0.45;
/// After this share of the run the centre is started anew, to see what its log alone makes it hold.
const ANEW: f64 = 0.92;
/// How late a process may see that its clock was set, of the wall.
const SLACK: Duration = Duration::from_secs(3);
/// Longest wait for the last record to be delivered.
const DRAIN: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug)]
enum Act {
    Sample,
    Look,
    Begin(usize),
    End(usize, Trouble),
    Plant(Plant),
    Anew,
}

/// Everything that runs.
#[derive(Debug)]
pub struct Stage {
    /// One a minute.
    pub samples: Vec<Sample>,
    /// What was done, by name.
    pub troubles: BTreeMap<&'static str, u64>,
    pub(super) options: Options,
    pub(super) world: World,
    pub(super) lines: BTreeMap<String, Lines>,
    lanes: Vec<Lane>,
    agenda: BTreeMap<(Instant, u64), Act>,
    pub(super) acts: u64,
    began: Instant,
    pub(super) last: Last,
    planted: Vec<std::fs::File>,
    disk: Option<SmallDisk>,
    clock: Clock,
    /// What each home's clock passed more than once, or may have, in microseconds of the test clock: from, to.
    pub(super) again: BTreeMap<String, Vec<(i64, i64)>>,
}

/// The two doors of the centre, as one home sees them.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) grpc: Proxy,
    pub(super) mqtt: Proxy,
}

impl Stage {
    /// Everything enrolled, assigned and switched on.
    ///
    /// # Errors
    /// When a step fails; says which.
    pub async fn build(options: &Options) -> Result<Self> {
        if options.dir.exists() {
            std::fs::remove_dir_all(&options.dir).context("clearing the folder")?;
        }
        std::fs::create_dir_all(&options.dir).context("making the folder")?;
        let dir = options.dir.canonicalize()?;
        let scenario = dir.join("soak.toml");
        std::fs::write(&scenario, SCENARIO)?;
        let disk = SmallDisk::new(&dir.join("small/agent"))?;
        let uplinks = [
            ("steady".into(), Uplink::Mqtt),
            ("rough".into(), Uplink::Grpc),
            ("small".into(), Uplink::Mqtt),
        ];
        let wall = proto::clock::wall_now();
        let clock = Clock::test(wall, wall, options.speed)?;
        let plan = Plan {
            scenario,
            seed: options.seed,
            recording: None,
            envs: fast_clock(options.speed),
            uplinks: uplinks.into(),
        };
        let centre = Centre::init(&dir.join("centre"), &plan.envs)?;
        centre.set("alerts_kept", ALERTS_KEPT)?;
        let mut world = World::build_around(&dir, plan, centre).await?;
        let ready = world.centre.ready()?.clone();
        let mut lines = BTreeMap::new();
        for (name, gateway) in &mut world.gateways {
            let (grpc, mqtt) = (
                Proxy::start(ready.grpc, options.seed).await?,
                Proxy::start(ready.mqtt, options.seed).await?,
            );
            gateway.configure(&settings(&grpc, &mqtt))?;
            lines.insert(name.clone(), Lines { grpc, mqtt });
        }
        let began = Instant::now();
        let mut stage = Self {
            samples: Vec::new(),
            troubles: BTreeMap::new(),
            options: Options {
                dir,
                ..options.clone()
            },
            world,
            lines,
            lanes: (0..)
                .zip(LANES)
                .map(|(n, _)| Lane::new(options.seed, n))
                .collect(),
            agenda: BTreeMap::new(),
            acts: 0,
            began,
            last: Last::default(),
            planted: Vec::new(),
            disk,
            clock,
            again: BTreeMap::new(),
        };
        stage.switch_on()?;
        Ok(stage)
    }

    fn switch_on(&mut self) -> Result<()> {
        let fake = Path::new(FAKETIME).is_file();
        if !fake {
            println!("no libfaketime (apt-get install libfaketime): clocks are not set");
        }
        for name in ["steady", "rough", "small"] {
            self.start_wearables(name)?;
            let clock = self.clock_file(name);
            let gateway = self.world.gateway(name)?;
            if fake && name != "steady" {
                std::fs::write(&clock, "+0")?;
                gateway.set_agent_envs(&faked(&clock));
            }
            gateway.start_agent()?;
        }
        Ok(())
    }

    /// Does what is due until `end`.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub async fn play(&mut self, end: Instant) -> Result<()> {
        self.schedule(LOOK_EVERY, Act::Look);
        self.schedule(self.options.sample_every(), Act::Sample);
        for lane in 0..LANES.len() {
            let whose = self.whose(lane);
            let pause = self.lanes[lane].pause(whose);
            self.schedule(pause, Act::Begin(lane));
        }
        self.schedule(self.options.length().mul_f64(ANEW), Act::Anew);
        if let Some(plant) = self.options.plant {
            self.schedule(self.options.length() / 2, Act::Plant(plant));
        }
        while let Some(((at, _), act)) = self.agenda.pop_first() {
            tokio::time::sleep_until(at.min(end).into()).await;
            if at >= end {
                // What was begun is ended when the rest drains.
                self.agenda.insert((at, 0), act);
                return Ok(());
            }
            // A harness that stumbles goes on, or hours are lost; the verdict tells.
            if let Err(error) = self.act(act).await {
                let text = format!("the soak itself failed at {act:?}: {error:#}");
                self.note(&text);
                self.last.seen.push(text);
            }
        }
        Ok(())
    }

    fn schedule(&mut self, after: Duration, act: Act) {
        self.acts += 1;
        let at = Instant::now() + after;
        self.agenda.insert((at, self.acts), act);
    }

    async fn act(&mut self, act: Act) -> Result<()> {
        match act {
            Act::Look => {
                self.schedule(LOOK_EVERY, act);
                self.look_after()?;
            }
            Act::Sample => {
                self.schedule(self.options.sample_every(), act);
                let sample = self.sample();
                sample::append(&self.options.dir.join("samples.jsonl"), &sample)?;
                self.samples.push(sample);
            }
            Act::Begin(lane) => {
                let whose = self.whose(lane);
                let (trouble, hold) = self.lanes[lane].next(whose);
                if self.possible(trouble) {
                    *self.troubles.entry(trouble.name()).or_default() += 1;
                    self.note(&format!("{} {trouble:?} for {hold:?}", LANES[lane]));
                    self.schedule(hold, Act::End(lane, trouble));
                    self.begin(LANES[lane], trouble)?;
                } else {
                    self.schedule(Duration::ZERO, act);
                }
            }
            Act::End(lane, trouble) => {
                let whose = self.whose(lane);
                let pause = self.lanes[lane].pause(whose);
                self.schedule(pause, Act::Begin(lane));
                self.end(LANES[lane], trouble).await?;
            }
            Act::Plant(plant) => self.plant(plant)?,
            Act::Anew => {
                self.note("the centre is started anew on its log");
                self.begin("centre", Trouble::CentreStopped)?;
                self.end("centre", Trouble::CentreStopped).await?;
            }
        }
        Ok(())
    }

    /// A line of the diary.
    pub(super) fn note(&self, text: &str) {
        println!("{:7.1} s  {text}", self.began.elapsed().as_secs_f64());
    }

    fn whose(&self, lane: usize) -> Whose {
        match LANES[lane] {
            "steady" => Whose::Steady,
            "rough" => Whose::Rough,
            "small" => Whose::Small,
            _ if self.began.elapsed() < self.options.length().mul_f64(MORTAL) => Whose::Centre,
            _ => Whose::CentreSpared,
        }
    }

    fn possible(&self, trouble: Trouble) -> bool {
        let of_clocks = matches!(trouble, Trouble::ClockStep(_) | Trouble::PowerCut(_));
        (!of_clocks || Path::new(FAKETIME).is_file())
            && (trouble != Trouble::DiskFull || self.disk.is_some())
    }

    pub(super) fn clock_file(&self, home: &str) -> PathBuf {
        self.options.dir.join(home).join("clock")
    }

    /// The clock of that home is this many seconds off from now on, or again right.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn set_clock(&mut self, home: &str, off: i64, begins: bool) -> Result<()> {
        let text = if begins {
            format!("{off:+}")
        } else {
            "+0".into()
        };
        std::fs::write(self.clock_file(home), text)?;
        let slack = SLACK.as_micros() as f64 * self.options.speed;
        let off = off as f64 * 1e6 * self.options.speed;
        let now = self.clock.now().as_micros();
        let stretches = self.again.entry(home.to_owned()).or_default();
        if begins {
            let from = now + (off.min(0.0) - slack) as i64;
            // Until it is set right nobody knows when.
            stretches.push((from, i64::MAX));
        } else if let Some((_, to)) = stretches.last_mut() {
            *to = now + (off.max(0.0) + slack) as i64;
        }
        Ok(())
    }

    pub(super) fn start_wearables(&mut self, home: &str) -> Result<()> {
        // Nobody reads the trace of days.
        let trace = self.world.gateway(home)?.trace();
        if !trace.exists() {
            std::os::unix::fs::symlink("/dev/null", trace)?;
        }
        let (scenario, seed) = (self.world.plan.scenario.clone(), self.options.seed);
        self.world.gateway(home)?.start_wearables(&Bench {
            scenario: &scenario,
            gateway: home,
            seed,
            recording: None,
        })
    }

    pub(super) fn stop_agent(&mut self, home: &str) -> Result<()> {
        self.look_after()?;
        let stopped = self.world.gateway(home)?.stop_agent();
        if let Err(error) = stopped {
            self.note(&format!("{home}: {error:#}"));
            self.last
                .seen
                .push(format!("{home}: an agent did not stop in order"));
        }
        Ok(())
    }

    /// As systemd does: who ended by itself is started again.
    fn look_after(&mut self) -> Result<()> {
        for (name, gateway) in &mut self.world.gateways {
            let Ok(agent) = gateway.agent() else { continue };
            let Some(status) = agent.ended()? else {
                continue;
            };
            let said = agent.tail();
            let why = if said.contains("clock was set back") {
                "the clock was set back".to_owned()
            } else {
                self.last
                    .seen
                    .push(format!("{name}: an agent ended with {status}"));
                println!("{name}: an agent ended with {status}:\n{said}");
                status.to_string()
            };
            *self.last.ended_by_themselves.entry(why).or_default() += 1;
            gateway.start_agent()?;
        }
        if let Ok(centre) = self.world.centre.process()
            && let Some(status) = centre.ended()?
        {
            let said = centre.tail();
            // It is not looked at again.
            self.world.centre.kill()?;
            anyhow::bail!("the centre ended by itself with {status}:\n{said}");
        }
        Ok(())
    }

    fn plant(&mut self, plant: Plant) -> Result<()> {
        match plant {
            Plant::Handles => {
                self.planted.push(std::fs::File::open("/dev/null")?);
                self.schedule(self.options.sample_every(), Act::Plant(plant));
            }
            Plant::Loss => {
                self.weather("rough", CUT);
                std::thread::sleep(Duration::from_secs(5));
                self.world.gateway("rough")?.kill_agent().ok();
                let folder = self.world.gateway("rough")?.agent_dir();
                for gone in ["outbox", "outbox.tally"] {
                    let path = folder.join(gone);
                    drop(std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path)));
                }
                self.weather("rough", Weather::default());
                self.world.gateway("rough")?.start_agent()?;
            }
            // For the centre's own soak.
            Plant::Twice | Plant::Leak => {}
        }
        Ok(())
    }

    fn sample(&mut self) -> Sample {
        let at_s = self.began.elapsed().as_secs_f64();
        let mut processes = BTreeMap::new();
        let mut put = |name: String, pid: u32| {
            if let Some(taken) = taken(pid) {
                processes.insert(name, taken);
            }
        };
        put("soak".into(), std::process::id());
        if let Ok(centre) = self.world.centre.process() {
            put("centre".into(), centre.id());
        }
        for (name, gateway) in &mut self.world.gateways {
            if let Ok(wearables) = gateway.wearables() {
                put(format!("{name}/wearables"), wearables.id());
            }
            let Ok(agent) = gateway.agent() else { continue };
            put(format!("{name}/agent"), agent.id());
            for radio in children(agent.id()) {
                put(format!("{name}/radio"), radio);
            }
        }
        // The centre first: what agents hear meanwhile is in the journal, not the other way round.
        let centre = centre_counts(&self.world.centre);
        let homes = self.world.gateways.iter();
        Sample {
            at_s,
            test_hours: at_s * self.options.speed / 3600.0,
            troubles: self.troubles.values().sum(),
            processes,
            homes: homes
                .map(|(name, gateway)| (name.clone(), counts(gateway)))
                .collect(),
            centre,
        }
    }

    /// Sets everything right, lets the agents deliver what they hold, stops them and counts.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub async fn drain(&mut self) -> Result<Last> {
        self.note("setting everything right, draining");
        self.planted.clear();
        for act in std::mem::take(&mut self.agenda).into_values() {
            if let Act::End(lane, trouble) = act {
                self.end(LANES[lane], trouble).await?;
            }
        }
        self.wait_while(CALM, |_| true).await?;
        for gateway in self.world.gateways.values_mut() {
            gateway.stop_wearables()?;
        }
        let holding = |gateway: &Gateway| gateway.count("/buffer/records") > 0;
        self.wait_while(DRAIN, |world| world.gateways.values().any(holding))
            .await?;
        for name in ["steady", "rough", "small"] {
            self.stop_agent(name)?;
        }
        // What was journaled last is folded a moment later.
        self.wait_while(Duration::from_secs(3), |_| true).await?;
        let mut last = std::mem::take(&mut self.last);
        last.sample = self.sample();
        let client = self.world.centre.client().await?;
        for patient in self.world.patients.values() {
            let readings = measurements(&client, patient).await?;
            last.in_history += readings.len() as u64;
            let twin = client.twin(patient).await?;
            let streams = twin.gateways.iter();
            let kept = streams
                .map(|of| of.readings_applied + of.readings_quarantined)
                .sum();
            let mut plan = self.world.scenario.patients.iter();
            let home = plan.find(|plan| self.world.patients.get(&plan.name) == Some(patient));
            let home = home.context("a patient of the scenario")?.gateway.clone();
            *last.read.entry(home.clone()).or_default() += readings.len() as u64;
            let again = self.again.get(&home).map_or(&[][..], Vec::as_slice);
            let pairs = alike(&readings, again);
            for (kind, source) in pairs.twice {
                let kind =
                    Kind::from_wire(kind).map_or_else(String::new, |kind| format!("{kind:?}"));
                let what = format!("{home}: {kind} of source {source}");
                *last.twice.entry(what).or_default() += 1;
            }
            *last.unknown.entry(home.clone()).or_default() += pairs.unknown;
            last.kept.insert(home, kept);
        }
        self.world.centre.stop()?;
        Ok(last)
    }

    async fn wait_while(&mut self, most: Duration, go_on: impl Fn(&World) -> bool) -> Result<()> {
        let end = Instant::now() + most;
        while Instant::now() < end && go_on(&self.world) {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look_after()?;
        }
        Ok(())
    }
}

/// Intervals are longer than by default, so that they are still some hundred milliseconds of the wall.
fn settings(grpc: &Proxy, mqtt: &Proxy) -> String {
    format!(
        "grpc_address = \"localhost:{}\"\nmqtt_address = \"localhost:{}\"\ncommit_interval_ms = 30000\n\
         heartbeat_s = 120\nsilence_s = 600\nkeep_free_bytes = 4194304\n",
        grpc.address.port(),
        mqtt.address.port()
    )
}

/// The machine's clock is what the file says; the steady clock stays true.
fn faked(clock: &Path) -> Vec<(String, String)> {
    let file = clock.to_string_lossy().into_owned();
    [
        ("LD_PRELOAD", FAKETIME.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", file),
        ("FAKETIME_CACHE_DURATION", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
        ("NO_FAKE_STAT", "1".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// A small file system, gone with its handle.
#[derive(Debug)]
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn new(at: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SMALL_DISK, "soak"])
            .arg(at)
            .output()
            .context("mount")?;
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr);
            println!(
                "no small disk can be mounted here ({}): it is never full",
                why.trim()
            );
            return Ok(None);
        }
        Ok(Some(Self(at.to_owned())))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
