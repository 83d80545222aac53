//! The pretended daemon's oddities, each beside how it behaves when nothing is wrong: bonds and agents, slots, scans,
//! restarts, links left up, reads that look like values, match rules.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firmware_sim::bluez::{FakeBluez, Faults, Options};
use firmware_sim::bus::{BusError, PrivateBus};
use firmware_sim::scenario::Scenario;
use futures_util::StreamExt;
use proto::clock::{Clock, wall_now};
use vitals::Time;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};

mod client;
use client::Client;

const ADAPTER: &str = "/org/bluez/hci0";
const DEVICE: &str = "org.bluez.Device1";
const VALUE: &str = "org.bluez.GattCharacteristic1";
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
    pairing = "just-works"
    [[patient.wearable]]
    kind = "strap"
    address = "C0:00:00:00:00:03"
    pairing = 123456
"#;
const STRAP: &str = "C0:00:00:00:00:01";
const THERMOMETER: &str = "C0:00:00:00:00:02";
const KEYED: &str = "C0:00:00:00:00:03";
/// The location that a strap, and the type that a thermometer, can be asked for.
const SECOND_VALUE: &str = "service0010/char0014";
const FIRST_VALUE: &str = "service0010/char0011";

fn path(address: &str) -> String {
    format!("{ADAPTER}/dev_{}", address.replace(':', "_"))
}

struct Bench {
    _folder: tempfile::TempDir,
    bus: PrivateBus,
    bluez: FakeBluez,
    client: Client,
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
        let bluez = serve(&bus).await;
        let client = client::connect(bus.address()).await;
        Some(Self {
            _folder: folder,
            bus,
            bluez,
            client,
        })
    }

    fn faults(&self) -> &Faults {
        self.bluez.faults()
    }

    async fn scan(&self, method: &str) -> zbus::Result<()> {
        self.client
            .call(ADAPTER, "org.bluez.Adapter1", method, &())
            .await
    }

    async fn device(&self, address: &str, method: &str) -> zbus::Result<()> {
        self.client.call(&path(address), DEVICE, method, &()).await
    }

    /// Found, connected, resolved.
    async fn connect(&self, address: &str) {
        self.scan("StartDiscovery").await.expect("a scan");
        self.client
            .until(&path(address), "Connected", Some(false))
            .await;
        self.scan("StopDiscovery").await.expect("it ran");
        self.device(address, "Connect").await.expect("a link");
        self.client
            .until(&path(address), "ServicesResolved", Some(true))
            .await;
    }

    async fn read(&self, address: &str, value: &str) -> zbus::Result<Vec<u8>> {
        let options = (std::collections::HashMap::<&str, zbus::zvariant::Value<'_>>::new(),);
        let at = format!("{}/{value}", path(address));
        self.client.call(&at, VALUE, "ReadValue", &options).await
    }

    async fn subscribe(&self, address: &str) -> zbus::Result<()> {
        let at = format!("{}/{FIRST_VALUE}", path(address));
        self.client.call(&at, VALUE, "StartNotify", &()).await
    }

    async fn flag(&self, address: &str, property: &str) -> Option<bool> {
        self.client.flag(&path(address), property).await
    }

    /// An agent of the client, answering with this passkey, as the default one.
    async fn agent(&self, capability: &str, passkey: u32) -> Arc<Agent> {
        let agent = Arc::new(Agent {
            passkey: AtomicU32::new(passkey),
            asked: Mutex::default(),
        });
        let server = self.client.0.object_server();
        let there = server.at("/agent", Face(Arc::clone(&agent))).await;
        assert!(there.expect("a valid path"));
        let at = ObjectPath::from_static_str_unchecked("/agent");
        let manager = "org.bluez.AgentManager1";
        let registered = (&at, capability);
        self.client
            .call::<_, ()>("/org/bluez", manager, "RegisterAgent", &registered)
            .await
            .expect("registered");
        self.client
            .call::<_, ()>("/org/bluez", manager, "RequestDefaultAgent", &at)
            .await
            .expect("the default");
        agent
    }
}

async fn serve(bus: &PrivateBus) -> FakeBluez {
    let scenario = Scenario::parse(SCENARIO, "test".as_ref()).expect("well formed");
    let clock =
        Clock::test(wall_now(), Time::from_micros(1_800_000_000_000_000), 10.0).expect("a rate");
    let options = Options {
        bus: bus.address().into(),
        gateway: "g".into(),
        clock,
        start: clock.now(),
        trace: None,
    };
    FakeBluez::start(options, scenario.wearables(Some("g"), 1, None))
        .await
        .expect("the bus is there")
}

/// What a program answers for the person in front of it. A passkey of 0 stands for one who walked away.
struct Agent {
    passkey: AtomicU32,
    asked: Mutex<Vec<&'static str>>,
}

impl Agent {
    fn note(&self, question: &'static str) {
        self.asked.lock().expect("nobody panics").push(question);
    }

    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.asked.lock().expect("nobody panics"))
    }
}

struct Face(Arc<Agent>);

#[zbus::interface(name = "org.bluez.Agent1")]
impl Face {
    fn request_authorization(&self, _device: OwnedObjectPath) {
        self.0.note("authorization");
    }

    async fn request_passkey(&self, _device: OwnedObjectPath) -> u32 {
        self.0.note("passkey");
        let passkey = self.0.passkey.load(Ordering::SeqCst);
        if passkey == 0 {
            std::future::pending::<()>().await;
        }
        passkey
    }

    fn cancel(&self) {
        self.0.note("cancel");
    }
}

fn is(outcome: zbus::Result<impl std::fmt::Debug>, expected: &str) {
    let error = outcome.expect_err("refused").to_string();
    assert!(error.contains(expected), "{error} for {expected}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_value_needs_a_bond_and_a_bond_needs_an_agent() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.connect(THERMOMETER).await;
    // Nobody answers for the person: the call hangs, as measured; anybody may read who made the device.
    let hangs = tokio::time::timeout(
        Duration::from_millis(300),
        bench.read(THERMOMETER, SECOND_VALUE),
    );
    assert!(hangs.await.is_err(), "it must not answer yet");
    is(
        bench.device(THERMOMETER, "Pair").await,
        "AuthenticationFailed",
    );
    assert_eq!(bench.flag(THERMOMETER, "Bonded").await, Some(false));
    bench
        .read(THERMOMETER, "service001a/char001b")
        .await
        .expect("the maker is no secret");
    let agent = bench.agent("NoInputNoOutput", 0).await;
    bench
        .read(THERMOMETER, SECOND_VALUE)
        .await
        .expect("bonded on the way");
    assert_eq!(agent.asked(), ["authorization"]);
    assert_eq!(bench.flag(THERMOMETER, "Bonded").await, Some(true));
    is(bench.device(THERMOMETER, "Pair").await, "AlreadyExists");
    bench.subscribe(THERMOMETER).await.expect("bonded");
    // A bond outlives link and daemon, and ends with RemoveDevice.
    bench.faults().restart_daemon(10).await.expect("a bus");
    assert_eq!(bench.flag(THERMOMETER, "Paired").await, Some(true));
    // The new daemon has the link and knows no service of it, as measured, until there is a new link.
    assert_eq!(bench.flag(THERMOMETER, "Connected").await, Some(true));
    bench
        .device(THERMOMETER, "Connect")
        .await
        .expect("it is up");
    is(bench.subscribe(THERMOMETER).await, "UnknownObject");
    bench.device(THERMOMETER, "Disconnect").await.expect("up");
    bench.connect(THERMOMETER).await;
    bench.subscribe(THERMOMETER).await.expect("still bonded");
    let at = ObjectPath::try_from(path(THERMOMETER)).expect("a path");
    bench
        .client
        .call::<_, ()>(ADAPTER, "org.bluez.Adapter1", "RemoveDevice", &at)
        .await
        .expect("known");
    assert!(!bench.faults().bonded(THERMOMETER).expect("known"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_must_be_typed_and_must_be_right() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.connect(KEYED).await;
    let agent = bench.agent("KeyboardDisplay", 654_321).await;
    is(bench.device(KEYED, "Pair").await, "AuthenticationFailed");
    is(bench.read(KEYED, SECOND_VALUE).await, "Not paired");
    is(bench.subscribe(KEYED).await, "Not paired");
    assert_eq!(agent.asked(), ["passkey"; 3]);
    // Somebody goes for their glasses; the pairing is broken off, and the agent told.
    agent.passkey.store(0, Ordering::SeqCst);
    let (paired, cancelled) = tokio::join!(bench.device(KEYED, "Pair"), async {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        while bench.device(KEYED, "CancelPairing").await.is_err() {
            assert!(Instant::now() < deadline, "no pairing to break off");
            pace.tick().await;
        }
    });
    is(paired, "AuthenticationCanceled");
    let () = cancelled;
    assert!(agent.asked().contains(&"cancel"));
    agent.passkey.store(123_456, Ordering::SeqCst);
    bench.device(KEYED, "Pair").await.expect("the right one");
    bench.subscribe(KEYED).await.expect("bonded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_in_anothers_place_has_another_serial_number_and_no_key() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let serial = "service001a/char001f";
    bench.connect(THERMOMETER).await;
    let honest = bench.read(THERMOMETER, serial).await.expect("readable");
    bench.faults().spoof(THERMOMETER, true).expect("known");
    let spoofed = bench.read(THERMOMETER, serial).await.expect("readable");
    assert_ne!(honest, spoofed);
    bench.faults().spoof(THERMOMETER, false).expect("known");
    bench.agent("NoInputNoOutput", 0).await;
    bench.device(THERMOMETER, "Pair").await.expect("bonded");
    bench.faults().spoof(THERMOMETER, true).expect("known");
    bench.device(THERMOMETER, "Disconnect").await.expect("up");
    bench.device(THERMOMETER, "Connect").await.expect("a link");
    let (down, resolved) = (path(THERMOMETER), "ServicesResolved");
    bench.client.until(&down, "Connected", Some(false)).await;
    assert_eq!(bench.client.flag(&down, resolved).await, Some(false));
    // Control: the real one is let in.
    bench.faults().spoof(THERMOMETER, false).expect("known");
    bench.device(THERMOMETER, "Connect").await.expect("a link");
    bench.client.until(&down, resolved, Some(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_with_one_slot_carries_one_link() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.connect(STRAP).await;
    bench.connect(KEYED).await;
    bench.device(KEYED, "Disconnect").await.expect("up");
    bench.faults().set_slots(1);
    is(
        bench.device(KEYED, "Connect").await,
        "le-connection-abort-by-local",
    );
    // A device that it never had a link to is forgotten, and the call is never answered.
    let limit = Duration::from_millis(300);
    let unanswered = tokio::time::timeout(limit, bench.device(THERMOMETER, "Connect")).await;
    assert!(unanswered.is_err(), "{unanswered:?}");
    bench
        .client
        .until(&path(THERMOMETER), "Connected", None)
        .await;
    bench.device(STRAP, "Disconnect").await.expect("up");
    bench.device(KEYED, "Connect").await.expect("a free slot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_scan_a_link_left_up_and_a_daemon_that_starts_afresh() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.faults().hold_scan(true).await;
    is(bench.scan("StartDiscovery").await, "InProgress");
    is(bench.scan("StopDiscovery").await, "No discovery started");
    bench.faults().leave_link_up(STRAP).await.expect("known");
    let strap = path(STRAP);
    let resolved = "ServicesResolved";
    bench.client.until(&strap, resolved, Some(true)).await;
    bench.subscribe(STRAP).await.expect("a session");
    // It is dead, comes back knowing nothing, and says nothing of it.
    bench
        .faults()
        .restart_daemon_afresh(10)
        .await
        .expect("a bus");
    is(bench.device(STRAP, "Connect").await, "UnknownObject");
    bench.faults().hold_scan(false).await;
    bench.connect(STRAP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_services_come_back_when_the_device_was_forgotten() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.connect(STRAP).await;
    bench.faults().lose_services(STRAP).expect("known");
    bench.device(STRAP, "Disconnect").await.expect("up");
    let (strap, resolved) = (path(STRAP), "ServicesResolved");
    for _ in 0..2 {
        bench.device(STRAP, "Connect").await.expect("a link");
        bench.client.until(&strap, resolved, Some(true)).await;
        is(bench.subscribe(STRAP).await, "UnknownObject");
        bench.device(STRAP, "Disconnect").await.expect("up");
    }
    let at = ObjectPath::try_from(strap).expect("a path");
    bench
        .client
        .call::<_, ()>(ADAPTER, "org.bluez.Adapter1", "RemoveDevice", &at)
        .await
        .expect("known");
    bench.connect(STRAP).await;
    bench.subscribe(STRAP).await.expect("services are back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_read_looks_like_a_value_and_slow_discovery_lets_values_through() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.connect(STRAP).await;
    let bus = &bench.client.0;
    let rule = zbus::MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .interface("org.freedesktop.DBus.Properties")
        .expect("valid")
        .path_namespace(format!("{}/service0010", path(STRAP)))
        .expect("valid")
        .build();
    let mut values = zbus::MessageStream::for_match_rule(rule, bus, None)
        .await
        .expect("a match");
    bench.subscribe(STRAP).await.expect("a session");
    until_value(&mut values, FIRST_VALUE).await;
    let before = bench.faults().match_rules().await.expect("statistics");
    let own = bus.unique_name().expect("on a bus").to_string();
    assert!(before.get(&own).is_some_and(|count| *count >= 1));
    // Discovery takes a minute of the wearable's time: what it says meanwhile comes before services are resolved.
    let slow = Duration::from_secs(6);
    bench.faults().slow_discovery(STRAP, slow).expect("known");
    bench.device(STRAP, "Disconnect").await.expect("up");
    bench.device(STRAP, "Connect").await.expect("a link");
    until_value(&mut values, FIRST_VALUE).await;
    assert_eq!(bench.flag(STRAP, "ServicesResolved").await, Some(false));
    let location = firmware::gatt::BODY_SENSOR_LOCATION;
    bench
        .faults()
        .read_by_another(STRAP, location)
        .await
        .expect("readable");
    until_value(&mut values, SECOND_VALUE).await;
}

/// Until a change of this characteristic is announced.
async fn until_value(values: &mut zbus::MessageStream, characteristic: &str) {
    let limit = Duration::from_secs(30);
    let found = async {
        while let Some(Ok(message)) = values.next().await {
            let header = message.header();
            if header
                .path()
                .is_some_and(|path| path.ends_with(characteristic))
            {
                return true;
            }
        }
        false
    };
    let heard = tokio::time::timeout(limit, found).await;
    assert_eq!(heard, Ok(true), "{characteristic} did not change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_died_comes_back_at_its_address_without_its_clients() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    bench.bus.kill();
    assert!(bench.scan("StartDiscovery").await.is_err());
    bench.bus.revive().await.expect("the folder is there");
    assert!(bench.scan("StartDiscovery").await.is_err(), "gone for good");
    let _again = serve(&bench.bus).await;
    let client = client::connect(bench.bus.address()).await;
    client
        .call::<_, ()>(ADAPTER, "org.bluez.Adapter1", "StartDiscovery", &())
        .await
        .expect("a new client on a new bus");
}
