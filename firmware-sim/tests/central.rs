//! The unmodified btleplug against the pretended Bluetooth daemon: finds, connects, subscribes, survives.
//!
//! btleplug takes its bus from `DBUS_SYSTEM_BUS_ADDRESS`, so the central runs in a process of its own: this test program
//! again, asked for the "test" [`central_program`], which prints what it sees as lines.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use btleplug::api::{Central as _, CentralEvent, Manager as _, Peripheral as _, ScanFilter};
use btleplug::platform::{Adapter, Manager, Peripheral};
use firmware::gatt::{self, Uuid};
use firmware_sim::bluez::{FakeBluez, Options};
use firmware_sim::bus::{BusError, PrivateBus};
use firmware_sim::scenario::Scenario;
use futures_util::StreamExt;
use proto::clock::{Clock, wall_now};
use vitals::Time;

/// Address of the strap under test.
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
/// Set for the process that plays the central.
const CENTRAL: &str = "VITALTWIN_SIM_TEST_CENTRAL";
/// Nothing here takes longer unless it is broken.
const LIMIT: Duration = Duration::from_secs(30);

/// What the central saw.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Value(String),
    Subscribed,
    Failed,
    Empty,
    Disconnected,
    Other(String),
}

impl Seen {
    fn parse(line: &str) -> Self {
        match line.split_once(' ') {
            Some(("VALUE", hex)) => Self::Value(hex.into()),
            Some(("FAILED", _)) => Self::Failed,
            _ if line == "SUBSCRIBED" => Self::Subscribed,
            _ if line == "EMPTY" => Self::Empty,
            _ if line == "DISCONNECTED" => Self::Disconnected,
            _ => Self::Other(line.into()),
        }
    }
}

/// The daemon, its bus, and a central on it.
struct Bench {
    _folder: tempfile::TempDir,
    _bus: PrivateBus,
    bluez: FakeBluez,
    sent: Arc<Mutex<Vec<String>>>,
    central: Child,
    lines: Receiver<Seen>,
    values: Vec<String>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has seen then.
        let _ = self.central.kill();
        let _ = self.central.wait();
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
        let scenario = Scenario::parse(SCENARIO, "test".as_ref()).expect("well formed");
        // Ten seconds a second, beginning in 2027.
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
        let wearables = scenario.wearables(Some("g"), 1, None);
        let bluez = FakeBluez::start(options, wearables)
            .await
            .expect("the bus is there");
        let (central, lines) = start_central(bus.address());
        Some(Self {
            _folder: folder,
            _bus: bus,
            bluez,
            sent,
            central,
            lines,
            values: Vec::new(),
        })
    }

    fn sent(&self) -> Vec<String> {
        self.sent.lock().expect("nobody panics").clone()
    }

    /// Reads what the central saw until `done`.
    async fn until(&mut self, what: &str, mut done: impl FnMut(&Self, &Seen) -> bool) {
        let deadline = Instant::now() + LIMIT;
        let mut others = Vec::new();
        loop {
            let seen = match self.lines.try_recv() {
                Ok(seen) => seen,
                Err(_) if Instant::now() > deadline => {
                    panic!("not within {LIMIT:?}: {what}; saw {others:?}")
                }
                Err(_) => {
                    tokio::task::yield_now().await;
                    match self.lines.recv_timeout(Duration::from_millis(1)) {
                        Ok(seen) => seen,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => {
                            panic!("the central ended: {others:?}")
                        }
                    }
                }
            };
            if let Seen::Value(hex) = &seen {
                self.values.push(hex.clone());
            } else {
                others.push(seen.clone());
            }
            if done(self, &seen) {
                return;
            }
        }
    }

    async fn until_values(&mut self, count: usize) {
        self.until("values", |bench, _| bench.values.len() >= count)
            .await;
    }
}

fn start_central(bus: &str) -> (Child, Receiver<Seen>) {
    let mut child = Command::new(std::env::current_exe().expect("a running program has a file"))
        .args([
            "--exact",
            "central_program",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
        .env(CENTRAL, STRAP)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let (told, lines) = channel();
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if told.send(Seen::parse(&line)).is_err() {
                return;
            }
        }
    });
    (child, lines)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn numbered(number: u16) -> Vec<u8> {
    // Rate 60 with an energy field, which the strap itself never sends: it carries the number.
    let [low, high] = number.to_le_bytes();
    vec![0x08, 60, low, high]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_arrives_in_order_over_two_links() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_values(5).await;
    let faults_at = bench.bluez.faults();
    faults_at.fail_connects(STRAP, 2).expect("known");
    assert!(
        faults_at.drop_link(STRAP).await.expect("known"),
        "there was a link"
    );
    bench
        .until("the drop", |_, seen| *seen == Seen::Disconnected)
        .await;
    let mut failed = 0;
    bench
        .until("a new subscription after two failed connects", |_, seen| {
            failed += usize::from(*seen == Seen::Failed);
            *seen == Seen::Subscribed
        })
        .await;
    assert_eq!(failed, 2, "the two connects that were to fail");
    let before = bench.values.len();
    bench.until_values(before + 5).await;
    for number in 0..200 {
        let sent = bench
            .bluez
            .faults()
            .inject(STRAP, gatt::HEART_RATE_MEASUREMENT, numbered(number))
            .await;
        assert!(sent.is_ok(), "{sent:?}");
    }
    let last = hex(&numbered(199));
    bench
        .until("the last of 200 numbered values", |_, seen| {
            *seen == Seen::Value(last.clone())
        })
        .await;
    // Everything that left the strap, and nothing else, in that order; what it sent since is on its way.
    let sent = bench.sent();
    assert_eq!(bench.values, sent[..bench.values.len()]);
    assert!(
        bench.values.len() >= before + 205,
        "{} values",
        bench.values.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_strap_and_a_restarted_daemon_stay_connected_and_say_nothing() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_values(3).await;
    bench.bluez.faults().silence(STRAP, true).expect("known");
    let refused = bench
        .bluez
        .faults()
        .inject(STRAP, gatt::HEART_RATE_MEASUREMENT, numbered(1))
        .await;
    assert!(refused.is_err(), "a silent strap says nothing");
    bench.bluez.faults().silence(STRAP, false).expect("known");
    // Control: it speaks again.
    let count = bench.values.len();
    bench.until_values(count + 3).await;
    bench
        .bluez
        .faults()
        .restart_daemon(50)
        .await
        .expect("the bus is there");
    let refused = bench
        .bluez
        .faults()
        .inject(STRAP, gatt::HEART_RATE_MEASUREMENT, numbered(2))
        .await;
    assert!(refused.is_err(), "subscriptions do not survive the daemon");
    assert!(
        bench.bluez.faults().drop_link(STRAP).await.expect("known"),
        "the link does"
    );
    bench
        .until("a new subscription", |_, seen| *seen == Seen::Subscribed)
        .await;
    let count = bench.values.len();
    bench.until_values(count + 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_services_give_a_link_without_characteristics() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.until_values(2).await;
    bench
        .bluez
        .faults()
        .hide_services(STRAP, true)
        .expect("known");
    bench.bluez.faults().drop_link(STRAP).await.expect("known");
    bench
        .until("an empty discovery", |_, seen| *seen == Seen::Empty)
        .await;
    bench
        .bluez
        .faults()
        .hide_services(STRAP, false)
        .expect("known");
    bench
        .until("a new subscription", |_, seen| *seen == Seen::Subscribed)
        .await;
    let count = bench.values.len();
    bench.until_values(count + 2).await;
}

/// Not a test but the central's program; does nothing unless it is asked to.
#[test]
fn central_program() {
    let Ok(address) = std::env::var(CENTRAL) else {
        return;
    };
    hide_known_panic();
    // Ends the line on which the test harness names this "test".
    println!();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(central(&address))
        .expect("the central runs until it is ended");
}

/// bluez-async 0.9 panics in a background task of its own when a stream ends just as a signal comes; it does no harm.
fn hide_known_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>();
        if !text.is_some_and(|text| text.contains("No match with that id found")) {
            usual(info);
        }
    }));
}

async fn central(address: &str) -> btleplug::Result<()> {
    let manager = Manager::new().await?;
    let adapter = manager
        .adapters()
        .await?
        .into_iter()
        .next()
        .expect("the daemon shows an adapter");
    let mut events = adapter.events().await?;
    let strap = find(&adapter, address).await?;
    // One stream for life: the daemon subscribes again by itself before services are resolved.
    let mut values = strap.notifications().await?;
    tokio::spawn(async move {
        while let Some(value) = values.next().await {
            if value.uuid == uuid(gatt::HEART_RATE_MEASUREMENT) {
                println!("VALUE {}", hex(&value.value));
            }
        }
    });
    loop {
        match subscribe(&strap).await {
            Ok(true) => {
                println!("SUBSCRIBED");
                while let Some(event) = events.next().await {
                    if matches!(event, CentralEvent::DeviceDisconnected(ref id) if *id == strap.id())
                    {
                        break;
                    }
                }
                println!("DISCONNECTED");
            }
            Ok(false) => {
                println!("EMPTY");
                strap.disconnect().await?;
            }
            Err(error) => println!("FAILED {error}"),
        }
    }
}

fn uuid(uuid: Uuid) -> uuid::Uuid {
    uuid::Uuid::from_u128(uuid.0)
}

async fn find(adapter: &Adapter, address: &str) -> btleplug::Result<Peripheral> {
    let mut events = adapter.events().await?;
    adapter
        .start_scan(ScanFilter {
            services: vec![uuid(gatt::HEART_RATE.uuid)],
        })
        .await?;
    while let Some(event) = events.next().await {
        let CentralEvent::DeviceDiscovered(id) = event else {
            continue;
        };
        let peripheral = adapter.peripheral(&id).await?;
        let properties = peripheral.properties().await?.expect("the daemon knows it");
        assert!(
            properties
                .local_name
                .expect("named")
                .starts_with("vitaltwin sim strap")
        );
        if peripheral.address().to_string() == address {
            adapter.stop_scan().await?;
            return Ok(peripheral);
        }
        panic!(
            "the scan's filter lets straps through only, got {}",
            peripheral.address()
        );
    }
    panic!("the daemon's events ended");
}

/// False: connected, but there is nothing to subscribe to.
async fn subscribe(strap: &Peripheral) -> btleplug::Result<bool> {
    strap.connect().await?;
    strap.discover_services().await?;
    let characteristics = strap.characteristics();
    let wanted = uuid(gatt::HEART_RATE_MEASUREMENT);
    let Some(measurement) = characteristics.iter().find(|c| c.uuid == wanted) else {
        return Ok(false);
    };
    let maker = characteristics
        .iter()
        .find(|c| c.uuid == uuid(gatt::MANUFACTURER_NAME))
        .expect("there is one");
    assert!(strap.read(maker).await?.starts_with(b"vitaltwin sim"));
    strap.subscribe(measurement).await?;
    Ok(true)
}
