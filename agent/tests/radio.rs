//! The agent's radio, on the unmodified btleplug, against the pretended Bluetooth daemon and its faults.
//!
//! btleplug takes its bus from the environment, so the radio runs in a process of its own: this test program
//! again, asked for the "test" [`radio_program`], which prints what the core would be told. Both processes
//! share a clock that runs ten times as fast.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firmware::gatt;
use firmware_sim::bluez::{FakeBluez, Options};
use firmware_sim::bus::{BusError, PrivateBus};
use firmware_sim::scenario::Scenario;
use proto::clock::{Clock, TEST_CLOCK_VARIABLE, wall_now};
use proto::text::hex;
use tokio::sync::{mpsc, watch};
use vitals::{Span, Time};
use vitaltwin_agent::ble::btleplug::{Bluetooth, quiet_known_panic};
use vitaltwin_agent::ble::link::Limits;
use vitaltwin_agent::ble::radio::ScanWindows;
use vitaltwin_agent::ble::{Address, Overflow, RadioEvent};

const STRAP: &str = "C0:00:00:00:00:01";
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
/// Set for the process that plays the radio.
const RADIO: &str = "VITALTWIN_AGENT_TEST_RADIO";
/// Nothing here takes longer unless it is broken.
const LIMIT: Duration = Duration::from_secs(60);

struct Bench {
    _folder: tempfile::TempDir,
    _bus: PrivateBus,
    bluez: FakeBluez,
    sent: Arc<Mutex<Vec<String>>>,
    radio: Child,
    lines: Receiver<String>,
    values: Vec<String>,
    others: Vec<String>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has seen then.
        let _ended = self.radio.kill();
        let _reaped = self.radio.wait();
    }
}

impl Bench {
    /// `None` where there is no D-Bus broker.
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bus = match PrivateBus::start(folder.path()).await {
            Ok(bus) => bus,
            Err(error @ BusError::NoBroker) => {
                println!("skipped: {error}");
                return None;
            }
            Err(error) => panic!("no private bus: {error}"),
        };
        let clock = Clock::test(wall_now(), Time::from_micros(1_800_000_000_000_000), 10.0)
            .expect("a rate");
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        let options = Options {
            bus: bus.address().into(),
            gateway: "g".into(),
            clock,
            start: clock.now(),
            trace: Some(Arc::new(move |emitted| {
                if emitted.characteristic == gatt::HEART_RATE_MEASUREMENT {
                    kept.lock()
                        .expect("nobody panics")
                        .push(hex(&emitted.bytes));
                }
            })),
        };
        let scenario = Scenario::parse(SCENARIO, "test".as_ref()).expect("well formed");
        let bluez = FakeBluez::start(options, scenario.wearables(Some("g"), 1, None))
            .await
            .expect("the bus is there");
        let (radio, lines) = start_radio(bus.address(), clock);
        Some(Self {
            _folder: folder,
            _bus: bus,
            bluez,
            sent,
            radio,
            lines,
            values: Vec::new(),
            others: Vec::new(),
        })
    }

    /// Reads what the radio tells until `done` says so of a line.
    async fn until(&mut self, what: &str, mut done: impl FnMut(&Self, &str) -> bool) {
        let deadline = Instant::now() + LIMIT;
        loop {
            assert!(
                Instant::now() < deadline,
                "not within {LIMIT:?}: {what}; told {:?}",
                self.others
            );
            tokio::task::yield_now().await;
            let line = match self.lines.recv_timeout(Duration::from_millis(1)) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => panic!("the radio ended: {:?}", self.others),
            };
            if let Some(value) = line.strip_prefix("VALUE 2a37 ") {
                self.values.push(value.to_owned());
            } else {
                self.others.push(line.clone());
            }
            if done(self, &line) {
                return;
            }
        }
    }

    async fn until_told(&mut self, expected: &str) {
        self.until(expected, |_, line| line.starts_with(expected))
            .await;
    }

    async fn until_more_values(&mut self, count: usize) {
        let all = self.values.len() + count;
        self.until("values", |bench, _| bench.values.len() >= all)
            .await;
    }

    fn faults(&self) -> &firmware_sim::bluez::Faults {
        self.bluez.faults()
    }
}

fn start_radio(bus: &str, clock: Clock) -> (Child, Receiver<String>) {
    let mut child = Command::new(std::env::current_exe().expect("a running program has a file"))
        .args([
            "--exact",
            "radio_program",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
        .env(TEST_CLOCK_VARIABLE, clock.to_text().expect("a test clock"))
        .env(RADIO, STRAP)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let (told, lines) = channel();
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                return;
            }
        }
    });
    (child, lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_come_whole_and_in_order_over_drops_and_failed_connects() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_told("ABOUT").await;
    bench.until_more_values(5).await;
    for failures in [0, 3] {
        bench
            .faults()
            .fail_connects(STRAP, failures)
            .expect("known");
        assert!(
            bench.faults().drop_link(STRAP).await.expect("known"),
            "there was a link"
        );
        bench.until_told("LINK Lost").await;
        bench.until_told("LINK Connected").await;
        bench.until_more_values(5).await;
    }
    let sent = bench.sent.lock().expect("nobody panics").clone();
    assert_eq!(
        bench.values,
        sent[..bench.values.len()],
        "nothing lost, doubled or out of order"
    );
    let about = bench
        .others
        .iter()
        .find(|line| line.starts_with("ABOUT"))
        .expect("waited for");
    for part in ["vitaltwin sim", "battery_percent: Some("] {
        assert!(about.contains(part), "{part} in {about}");
    }
    // The thermometer beside it is not assigned: seen, told, never connected.
    assert!(
        bench
            .others
            .iter()
            .any(|line| line == "UNASSIGNED C0:00:00:00:00:02")
    );
    assert_eq!(
        bench.faults().counts("C0:00:00:00:00:02").expect("known").0,
        0
    );
    // The battery was read, and its echo is no measurement.
    assert!(
        !bench
            .others
            .iter()
            .any(|line| line.starts_with("VALUE 2a29"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_without_services_is_no_link() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(1).await;
    bench.faults().hide_services(STRAP, true).expect("known");
    bench.faults().drop_link(STRAP).await.expect("known");
    bench.until_told("LINK Lost").await;
    // For twenty seconds of its clock it connects again and again, and never takes that for a link.
    let told = tokio::time::timeout(Duration::from_secs(2), bench.until_told("LINK Connected"));
    assert!(
        told.await.is_err(),
        "a link without services was taken for one"
    );
    bench.faults().hide_services(STRAP, false).expect("known");
    bench.until_told("LINK Connected").await;
    bench.until_more_values(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_a_restarted_daemon_are_cured_by_connecting_anew() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(3).await;
    // The link stays up and says nothing.
    bench.faults().silence(STRAP, true).expect("known");
    bench.until_told("LINK Lost").await;
    bench.faults().silence(STRAP, false).expect("known");
    bench.until_told("LINK Connected").await;
    bench.until_more_values(3).await;
    // The daemon's successor knows the link, and no subscription.
    bench
        .faults()
        .restart_daemon(50)
        .await
        .expect("the bus is there");
    bench.until_told("LINK Lost").await;
    bench.until_told("LINK Connected").await;
    bench.until_more_values(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_goes_away_is_told_and_taken_back() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_more_values(2).await;
    bench
        .faults()
        .vanish_adapter(true)
        .await
        .expect("the bus is there");
    bench.until_told("HEALTH trouble").await;
    bench
        .faults()
        .vanish_adapter(false)
        .await
        .expect("the bus is there");
    bench.until_told("HEALTH fine").await;
    bench.until_told("LINK Connected").await;
    bench.until_more_values(2).await;
}

/// Not a test but the radio's program; does nothing unless it is asked to.
#[test]
fn radio_program() {
    let Ok(assigned) = std::env::var(RADIO) else {
        return;
    };
    quiet_known_panic();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(play_radio(&assigned));
}

async fn play_radio(assigned: &str) {
    let (values_sender, mut values) = mpsc::channel(256);
    let (events_sender, mut events) = mpsc::channel(64);
    let device = Address::parse(assigned).expect("an address");
    let (_devices, devices) = watch::channel(BTreeSet::from([device]));
    let (_stop, stop) = watch::channel(false);
    let bluetooth = Bluetooth {
        adapter: None,
        limits: Limits {
            silence: Span::from_secs(15),
            ..Limits::default()
        },
        windows: ScanWindows::default(),
        clock: Clock::from_env(true).expect("the parent's clock"),
        devices,
        values: values_sender,
        events: events_sender,
        overflow: Overflow::default(),
        stop,
    };
    let tell = async {
        loop {
            tokio::select! {
                Some(value) = values.recv() => {
                    let short = value.characteristic >> 96;
                    println!("VALUE {short:04x} {}", hex(&value.value));
                }
                Some(event) = events.recv() => match event {
                    RadioEvent::Link(_, state) => println!("LINK {state:?}"),
                    RadioEvent::About(_, about) => println!("ABOUT {about:?}"),
                    RadioEvent::Unassigned(address) => println!("UNASSIGNED {address}"),
                    RadioEvent::UnknownProfiles(_, count) => println!("UNKNOWN {count}"),
                    RadioEvent::Health(None) => println!("HEALTH fine"),
                    RadioEvent::Health(Some(text)) => println!("HEALTH trouble {text}"),
                },
                else => return,
            }
        }
    };
    tokio::join!(bluetooth.run(), tell);
}
