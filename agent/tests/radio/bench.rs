//! A pretended Bluetooth daemon on a private bus, and the agent's radio on it: the supervisor in this process,
//! its worker as the real program in a process of its own, because libdbus takes its bus from the environment.
//! Daemon and worker share a clock that runs ten times as fast.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firmware::gatt;
use firmware_sim::bluez::{FakeBluez, Faults, Options};
use firmware_sim::bus::{BusError, PrivateBus};
use firmware_sim::scenario::Scenario;
use proto::clock::{Clock, TEST_CLOCK_VARIABLE, wall_now};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use vitals::{Span, Time};
use vitaltwin_agent::ble::pipe::Setup;
use vitaltwin_agent::ble::records::Marks;
use vitaltwin_agent::ble::supervisor::Supervisor;
use vitaltwin_agent::ble::{Address, LinkState, Notification, Overflow, RadioEvent, WorkerEnd};

/// The strap that most tests are about.
pub(crate) const STRAP: &str = "C0:00:00:00:00:01";
/// Never assigned unless a test says so.
pub(crate) const THERMOMETER: &str = "C0:00:00:00:00:02";
const SCENARIO: &str = r#"
    [[patient]]
    name = "p"
    gateway = "g"
    [[patient.wearable]]
    kind = "strap"
    address = "C0:00:00:00:00:01"
    [[patient.wearable]]
    kind = "thermometer"
    address = "C0:00:00:00:00:02"
"#;
/// Nothing here takes longer unless it is broken.
const LIMIT: Duration = Duration::from_secs(60);

/// How a test's world differs from the usual one.
pub(crate) struct Plan {
    pub(crate) scenario: String,
    pub(crate) assigned: Vec<&'static str>,
    pub(crate) setup: Setup,
    /// Real time without a sign of life after which a worker is killed.
    pub(crate) patience: Duration,
    /// Match rules that the bus gives one connection.
    pub(crate) match_rules: Option<u32>,
}

impl Plan {
    /// A patient who wears all of these straps, all assigned.
    pub(crate) fn of_straps(addresses: &[&'static str]) -> Self {
        let mut scenario = "[[patient]]\nname = \"p\"\ngateway = \"g\"\n".to_owned();
        for address in addresses {
            scenario += "[[patient.wearable]]\nkind = \"strap\"\n";
            scenario += &format!("address = \"{address}\"\n");
        }
        Self {
            scenario,
            assigned: addresses.to_vec(),
            ..Self::default()
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            scenario: SCENARIO.into(),
            assigned: vec![STRAP],
            setup: Setup {
                silence: Span::from_secs(15),
                ..Setup::default()
            },
            patience: LIMIT,
            match_rules: None,
        }
    }
}

/// The world of one test.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    bus: Option<PrivateBus>,
    bluez: Option<FakeBluez>,
    clock: Clock,
    scenario: Scenario,
    match_rules: Option<u32>,
    sent: Arc<Mutex<Vec<String>>>,
    pub(crate) devices: watch::Sender<BTreeMap<Address, Marks>>,
    stop: watch::Sender<bool>,
    pub(crate) overflow: Overflow,
    supervisor: tokio::task::JoinHandle<()>,
    values_in: mpsc::Receiver<Notification>,
    events_in: mpsc::Receiver<RadioEvent>,
    /// What the strap's measurements were, as hexadecimal text.
    pub(crate) values: Vec<String>,
    /// All other values.
    pub(crate) others: Vec<Notification>,
    /// All news.
    pub(crate) events: Vec<RadioEvent>,
}

impl Bench {
    /// `None` where there is no D-Bus broker.
    pub(crate) async fn start() -> Option<Self> {
        Self::with(Plan::default()).await
    }

    /// `None` where there is no D-Bus broker.
    pub(crate) async fn with(plan: Plan) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bus = start_bus(&folder, plan.match_rules).await?;
        let clock = Clock::test(wall_now(), Time::from_micros(1_800_000_000_000_000), 10.0)
            .expect("a rate");
        let assigned = plan.assigned.iter();
        let assigned = assigned.map(|text| Address::parse(text).expect("an address"));
        let assigned = assigned.map(|address| (address, Marks::default()));
        let (devices, devices_wanted) = watch::channel(assigned.collect());
        let (stop, stop_wanted) = watch::channel(false);
        let (values, values_in) = mpsc::channel(256);
        let (events, events_in) = mpsc::channel(64);
        let overflow = Overflow::default();
        let (program, arguments) = worker(&folder, bus.address(), clock);
        let supervisor = Supervisor {
            program,
            arguments,
            setup: plan.setup,
            dir: folder.path().to_owned(),
            clock,
            devices: devices_wanted,
            values,
            events,
            overflow: overflow.clone(),
            stop: stop_wanted,
            patience: plan.patience,
        };
        let mut bench = Self {
            folder,
            bus: Some(bus),
            bluez: None,
            clock,
            scenario: Scenario::parse(&plan.scenario, "test".as_ref()).expect("well formed"),
            match_rules: plan.match_rules,
            sent: Arc::default(),
            devices,
            stop,
            overflow,
            supervisor: tokio::spawn(async {}),
            values_in,
            events_in,
            values: Vec::new(),
            others: Vec::new(),
            events: Vec::new(),
        };
        bench.start_daemon().await;
        bench.supervisor = tokio::spawn(supervisor.run());
        Some(bench)
    }

    async fn start_daemon(&mut self) {
        let kept = Arc::clone(&self.sent);
        let options = Options {
            bus: self.bus.as_ref().expect("there is a bus").address().into(),
            gateway: "g".into(),
            clock: self.clock,
            start: self.clock.now(),
            trace: Some(Arc::new(move |emitted| {
                if emitted.characteristic == gatt::HEART_RATE_MEASUREMENT
                    && emitted.address == STRAP
                {
                    let hex = hex(&emitted.bytes);
                    kept.lock().expect("nobody panics").push(hex);
                }
            })),
        };
        let wearables = self.scenario.wearables(Some("g"), 1, None);
        let bluez = FakeBluez::start(options, wearables).await;
        self.bluez = Some(bluez.expect("the bus is there"));
    }

    /// The whole D-Bus dies, the Bluetooth daemon with it.
    pub(crate) fn kill_bus(&mut self) {
        self.bluez = None;
        self.bus = None;
    }

    /// Bus and daemon are back where they were.
    pub(crate) async fn revive_bus(&mut self) {
        self.bus = start_bus(&self.folder, self.match_rules).await;
        self.start_daemon().await;
    }

    pub(crate) fn faults(&self) -> &Faults {
        self.bluez.as_ref().expect("the daemon runs").faults()
    }

    /// What left the strap, in order.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.sent.lock().expect("nobody panics").clone()
    }

    /// Takes what the radio tells until `done`; it is asked before the first and after each.
    pub(crate) async fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(self) {
            let told = async {
                tokio::select! {
                    Some(value) = self.values_in.recv() => {
                        let heart = gatt::HEART_RATE_MEASUREMENT.0;
                        let strap = Address::parse(STRAP) == Some(value.device);
                        if strap && value.characteristic == heart {
                            self.values.push(hex(&value.value));
                        } else {
                            self.others.push(value);
                        }
                    }
                    Some(event) = self.events_in.recv() => self.events.push(event),
                }
            };
            let told = timeout_at(deadline, told).await;
            assert!(
                told.is_ok(),
                "not within {LIMIT:?}: {what}; told {:?}",
                self.events
            );
        }
    }

    /// Until the news after the first `after` hold one that `wanted` accepts; how many news there are then.
    pub(crate) async fn until_event(
        &mut self,
        what: &str,
        after: usize,
        wanted: impl Fn(&RadioEvent) -> bool,
    ) -> usize {
        self.until(what, |bench| bench.events[after..].iter().any(&wanted))
            .await;
        self.events.len()
    }

    /// The same for the state of the strap's link.
    pub(crate) async fn until_link(&mut self, after: usize, state: LinkState) -> usize {
        let what = format!("the strap is {}", state.as_str());
        self.until_event(
            &what,
            after,
            |event| matches!(event, RadioEvent::Link(device, s) if *s == state && Address::parse(STRAP) == Some(*device)),
        )
        .await
    }

    /// The same for the end of a worker.
    pub(crate) async fn until_ended(&mut self, after: usize, end: WorkerEnd) -> usize {
        self.until_event(end.as_str(), after, |event| {
            *event == RadioEvent::Ended(end)
        })
        .await
    }

    pub(crate) async fn until_more_values(&mut self, count: usize) {
        let all = self.values.len() + count;
        self.until("values", |bench| bench.values.len() >= all)
            .await;
    }

    /// Takes what comes for so long; for what must not happen.
    pub(crate) async fn watch_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let never = timeout_at(end, self.until("time passes", |_| Instant::now() >= end));
        let _time_is_over = never.await;
    }

    /// The process id of the running worker.
    pub(crate) fn worker_pid(&self) -> String {
        let path = self.folder.path().join("worker.pid");
        let text = std::fs::read_to_string(path).expect("a worker was started");
        text.trim().to_owned()
    }

    /// Sends the worker a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.worker_pid()])
            .status();
        assert!(status.expect("kill is there").success());
    }

    /// The agent's folder.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Runs a command of the agent on this bus, beside the radio: whether it succeeded, and what it said.
    pub(crate) async fn command(&self, arguments: &[&str]) -> (bool, String) {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_vitaltwin-agent"))
            .arg("--dir")
            .arg(self.dir())
            .args(arguments)
            .env(
                "DBUS_SYSTEM_BUS_ADDRESS",
                self.bus.as_ref().expect("there is a bus").address(),
            )
            .output()
            .await
            .expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// Open files of the running worker.
    pub(crate) fn worker_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.worker_pid());
        std::fs::read_dir(folder).expect("it runs").count()
    }

    /// Ends the radio in order.
    pub(crate) async fn stop(mut self) -> Self {
        self.stop.send_replace(true);
        let ended = timeout_at(Instant::now() + LIMIT, &mut self.supervisor).await;
        ended.expect("in time").expect("nobody panics");
        self
    }
}

async fn start_bus(folder: &tempfile::TempDir, match_rules: Option<u32>) -> Option<PrivateBus> {
    let bus = match match_rules {
        None => PrivateBus::start(folder.path()).await,
        Some(most) => PrivateBus::start_limited(folder.path(), most).await,
    };
    match bus {
        Ok(bus) => Some(bus),
        Err(error @ BusError::NoBroker) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("no private bus: {error}"),
    }
}

/// The real program; the shell leaves its process id in a file and becomes it.
fn worker(
    folder: &tempfile::TempDir,
    bus: &str,
    clock: Clock,
) -> (PathBuf, Vec<std::ffi::OsString>) {
    let script = format!(
        "echo $$ > '{}' && exec env DBUS_SYSTEM_BUS_ADDRESS='{bus}' {TEST_CLOCK_VARIABLE}='{}' '{}' --test-clock radio",
        folder.path().join("worker.pid").display(),
        clock.to_text().expect("a test clock"),
        env!("CARGO_BIN_EXE_vitaltwin-agent"),
    );
    ("sh".into(), vec!["-c".into(), script.into()])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
