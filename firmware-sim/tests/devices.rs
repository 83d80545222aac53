//! One of each device on one gateway, and the unmodified btleplug: adverts are heard, a cuff empties its memory, a glucose
//! meter is paired with its passkey and asked for its records, a Polar strap streams its ECG.
//!
//! btleplug takes its bus from `DBUS_SYSTEM_BUS_ADDRESS`, so the central runs in a process of its own: this test program
//! again, asked for the "test" [`central_program`], which fails where something is not as it must be.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use btleplug::api::{
    Central as _, CentralEvent, Characteristic, Manager as _, Peripheral as _, ScanFilter,
    ValueNotification, WriteType,
};
use btleplug::platform::{Adapter, Manager, Peripheral};
use firmware::gatt::Uuid;
use firmware::{polar, profiles};
use firmware_sim::bluez::{FakeBluez, Options};
use firmware_sim::bus::{BusError, PrivateBus};
use firmware_sim::scenario::Scenario;
use futures_util::{Stream, StreamExt};
use proto::clock::{Clock, wall_now};
use vitals::Time;
use vitals::gatt::{BloodPressure, GlucoseMeasurement, PmdControl, PmdFrame, PmdType};
use zbus::zvariant::{ObjectPath, OwnedObjectPath};

/// Set for the process that plays the central.
const CENTRAL: &str = "VITALTWIN_SIM_TEST_DEVICES";
/// Nothing here takes longer unless it is broken.
const LIMIT: Duration = Duration::from_secs(60);
const CUFF: &str = "C0:DE:00:00:00:05";
const METER: &str = "C0:DE:00:00:00:06";
const POLAR: &str = "C0:DE:00:00:00:0A";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_each_device_serves_the_unmodified_btleplug() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bus = match PrivateBus::start(folder.path()).await {
        Ok(bus) => bus,
        Err(error @ BusError::NoBroker) => {
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("no private bus: {error}"),
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/devices.toml");
    let scenario = Scenario::load(&file).expect("well formed");
    // Ten seconds a second, beginning in 2027.
    let clock =
        Clock::test(wall_now(), Time::from_micros(1_800_000_000_000_000), 10.0).expect("a rate");
    let options = Options {
        bus: bus.address().into(),
        gateway: "home".into(),
        clock,
        start: clock.now(),
        trace: None,
    };
    let _bluez = FakeBluez::start(options, scenario.wearables(Some("home"), 1, None))
        .await
        .expect("the bus is there");
    let mut central = Command::new(std::env::current_exe().expect("a running program has a file"))
        .args(["--exact", "central_program", "--nocapture"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env(CENTRAL, bus.address())
        .stdin(Stdio::null())
        .spawn()
        .expect("this program starts again");
    let deadline = Instant::now() + LIMIT;
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let ended = loop {
        pace.tick().await;
        if let Some(ended) = central.try_wait().expect("it is ours") {
            break ended;
        }
        if Instant::now() > deadline {
            // Whatever comes of it: it is late.
            let _ = central.kill();
            let _ = central.wait();
            panic!("the central is not done within {LIMIT:?}");
        }
    };
    assert!(ended.success(), "the central ended with {ended}");
}

/// Not a test but the central's program; does nothing unless it is asked to.
#[test]
fn central_program() {
    let Ok(bus) = std::env::var(CENTRAL) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(central(&bus)).expect("D-Bus works");
}

async fn central(bus: &str) -> btleplug::Result<()> {
    let manager = Manager::new().await?;
    let adapters = manager.adapters().await?;
    let adapter = adapters.first().expect("the daemon shows an adapter");
    hear_adverts(adapter).await?;
    empty_the_cuff(&find(adapter, CUFF).await?).await?;
    ask_the_meter(&find(adapter, METER).await?, bus).await?;
    stream_the_ecg(&find(adapter, POLAR).await?).await
}

/// Until every device was found, and both beacons were heard twice with what they measure.
async fn hear_adverts(adapter: &Adapter) -> btleplug::Result<()> {
    let mut events = adapter.events().await?;
    adapter.start_scan(ScanFilter::default()).await?;
    let (mut found, mut temperatures, mut rates) = (BTreeSet::new(), vec![], vec![]);
    while found.len() < 14 || temperatures.len() < 2 || rates.len() < 2 {
        let event = events.next().await.expect("events do not end");
        if let CentralEvent::DeviceDiscovered(id) = &event {
            found.insert(id.to_string());
        }
        if let CentralEvent::ServiceDataAdvertisement { service_data, .. } = &event {
            temperatures.extend(service_data.values().cloned());
        }
        if let CentralEvent::ManufacturerDataAdvertisement {
            manufacturer_data, ..
        } = event
        {
            rates.extend(manufacturer_data.into_values());
        }
    }
    adapter.stop_scan().await?;
    for octets in temperatures {
        // Hundredths of a degree behind packet number and battery.
        let &[0x40, 0, _, 1, _, 2, low, high] = octets.as_slice() else {
            panic!("no BTHome: {octets:02x?}");
        };
        let celsius = f64::from(i16::from_le_bytes([low, high])) / 100.0;
        assert!((36.0..37.5).contains(&celsius), "{celsius}");
    }
    for octets in rates {
        let &[0x3B, 0x1B, fast, slow] = octets.as_slice() else {
            panic!("no rate: {octets:02x?}");
        };
        assert!((62..82).contains(&fast) && (62..82).contains(&slow));
    }
    Ok(())
}

async fn find(adapter: &Adapter, address: &str) -> btleplug::Result<Peripheral> {
    let all = adapter.peripherals().await?;
    let found = all.into_iter().find(|p| p.address().to_string() == address);
    Ok(found.expect("it was heard"))
}

fn characteristic(device: &Peripheral, uuid: Uuid) -> Characteristic {
    let all = device.characteristics();
    let found = all.iter().find(|c| c.uuid == uuid::Uuid::from_u128(uuid.0));
    found.expect("the device has it").clone()
}

type Values = std::pin::Pin<Box<dyn Stream<Item = ValueNotification> + Send>>;

async fn open(device: &Peripheral, subscribe: &[Uuid]) -> btleplug::Result<Values> {
    device.connect().await?;
    device.discover_services().await?;
    let values = device.notifications().await?;
    for uuid in subscribe {
        device.subscribe(&characteristic(device, *uuid)).await?;
    }
    Ok(values)
}

async fn next(values: &mut Values, uuid: Uuid) -> Vec<u8> {
    let wanted = uuid::Uuid::from_u128(uuid.0);
    while let Some(value) = values.next().await {
        if value.uuid == wanted {
            return value.value;
        }
    }
    panic!("the device's values ended");
}

async fn empty_the_cuff(cuff: &Peripheral) -> btleplug::Result<()> {
    let mut values = open(cuff, &[profiles::BLOOD_PRESSURE_MEASUREMENT]).await?;
    for _ in 0..3 {
        let octets = next(&mut values, profiles::BLOOD_PRESSURE_MEASUREMENT).await;
        BloodPressure::decode(&octets).expect("well formed");
    }
    let clock = characteristic(cuff, profiles::DATE_TIME);
    let new_year = [0xEB, 0x07, 1, 1, 0, 0, 0];
    cuff.write(&clock, &new_year, WriteType::WithResponse)
        .await?;
    let shown = cuff.read(&clock).await?;
    assert_eq!(shown.get(..5), new_year.get(..5));
    let month = [0xEB, 0x07, 13, 1, 0, 0, 0];
    let refused = cuff.write(&clock, &month, WriteType::WithResponse).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("0xff")));
    cuff.disconnect().await
}

async fn ask_the_meter(meter: &Peripheral, bus: &str) -> btleplug::Result<()> {
    let _agent = pair(meter, bus).await.expect("the right passkey");
    let access = profiles::RECORD_ACCESS;
    let mut values = open(meter, &[profiles::GLUCOSE_MEASUREMENT]).await?;
    let control = characteristic(meter, access);
    let report = [1, 3, 1, 9, 0];
    let deaf = meter
        .write(&control, &report, WriteType::WithResponse)
        .await;
    assert!(deaf.is_err_and(|error| error.to_string().contains("0xfd")));
    meter.subscribe(&control).await?;
    meter
        .write(&control, &report, WriteType::WithResponse)
        .await?;
    let mut sequences = Vec::new();
    loop {
        let value = values.next().await.expect("values do not end");
        if value.uuid == control.uuid {
            assert_eq!(value.value, [6, 0, 1, 1]);
            break;
        }
        let record = GlucoseMeasurement::decode(&value.value).expect("well formed");
        sequences.push(record.sequence);
    }
    assert_eq!(sequences, [9, 10, 11]);
    meter.disconnect().await
}

async fn stream_the_ecg(strap: &Peripheral) -> btleplug::Result<()> {
    let mut values = open(strap, &[polar::CONTROL, polar::DATA]).await?;
    let control = characteristic(strap, polar::CONTROL);
    let start = PmdControl::start_ecg().encode().expect("well formed");
    strap
        .write(&control, &start, WriteType::WithResponse)
        .await?;
    assert_eq!(
        next(&mut values, polar::CONTROL).await.get(..4),
        Some(&[0xF0, 2, 0, 0][..])
    );
    for _ in 0..5 {
        let octets = next(&mut values, polar::DATA).await;
        let frame = PmdFrame::decode(&octets).expect("well formed");
        assert_eq!((frame.what, frame.samples()), (PmdType::Ecg, 73));
    }
    strap.disconnect().await
}

/// Types the passkey that is on the meter's label.
struct Person;

#[zbus::interface(name = "org.bluez.Agent1")]
impl Person {
    fn request_passkey(&self, _device: OwnedObjectPath) -> u32 {
        271_828
    }
}

async fn pair(device: &Peripheral, bus: &str) -> zbus::Result<zbus::Connection> {
    let connection = zbus::connection::Builder::address(bus)?
        .serve_at("/agent", Person)?
        .build()
        .await?;
    let agent = ObjectPath::from_static_str_unchecked("/agent");
    let (bluez, manager) = (Some("org.bluez"), Some("org.bluez.AgentManager1"));
    let registered = (&agent, "KeyboardDisplay");
    connection
        .call_method(bluez, "/org/bluez", manager, "RegisterAgent", &registered)
        .await?;
    let address = device.address().to_string().replace(':', "_");
    let path = format!("/org/bluez/hci0/dev_{address}");
    connection
        .call_method(bluez, path, Some("org.bluez.Device1"), "Pair", &())
        .await?;
    Ok(connection)
}
