//! The program as a gateway's test or the demo starts it, its control object, and what it says when it cannot.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use firmware_sim::bus::{BusError, PrivateBus};

mod client;

const PROGRAM: &str = env!("CARGO_BIN_EXE_firmware-sim");
const STRAP: &str = "C0:51:AB:00:00:01";
const STRAP_PATH: &str = "/org/bluez/hci0/dev_C0_51_AB_00_00_01";

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scenarios")
        .join(name)
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn bytes(seed: &str) -> Vec<u8> {
    let file = scenario("demo.toml");
    let file = file.to_string_lossy();
    let output = run(&[
        "bytes",
        "--scenario",
        &file,
        "--seed",
        seed,
        "--seconds",
        "40",
    ]);
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn two_processes_with_the_same_seed_print_the_same_octets() {
    let once = bytes("5");
    assert!(
        once.iter().filter(|byte| **byte == b'\n').count() > 200,
        "many values"
    );
    assert_eq!(once, bytes("5"));
    assert_ne!(once, bytes("6"));
}

#[test]
fn a_scenario_is_described_for_people_and_for_programs() {
    let file = scenario("demo.toml");
    let file = file.to_string_lossy();
    let text = String::from_utf8(run(&["list", &file]).stdout).expect("text");
    assert!(
        text.contains("test data") && text.contains("atrial fibrillation begins after 120 s"),
        "{text}"
    );
    let json: serde_json::Value =
        serde_json::from_slice(&run(&["list", &file, "--json"]).stdout).expect("JSON");
    assert_eq!(json["test_data"], true);
    assert_eq!(json["patients"].as_array().map(Vec::len), Some(4));
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bad = folder.path().join("bad.toml");
    let text = std::fs::read_to_string(scenario("demo.toml")).expect("it is there");
    std::fs::write(&bad, text.replace("spo2_to = 87", "spo2_to = 187")).expect("a small file");
    let check = |arguments: &[&str], expected: &str| {
        let output = run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(expected),
            "{said}"
        );
    };
    let (good, bad) = (scenario("demo.toml"), bad.to_string_lossy().into_owned());
    let good = good.to_string_lossy();
    check(&["list", &bad], "patient[2].change[0].spo2_to is 187");
    check(
        &["list", "/no/such.toml"],
        "cannot read the scenario /no/such.toml",
    );
    check(
        &["bytes", "--scenario", &good, "--gateway", "attic"],
        "no gateway attic; it has livingroom, clinic",
    );
    check(
        &["bytes", "--scenario", &good, "--recording", "/no/rr.txt"],
        "cannot read the recording /no/rr.txt",
    );
    check(
        &["run", "--scenario", &good, "--bus", "unix:path=/no/bus"],
        "cannot serve org.bluez on the bus",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_serves_traces_takes_faults_and_ends_with_its_bus() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bus = match PrivateBus::start(folder.path()).await {
        Ok(bus) => bus,
        Err(error @ BusError::NoBroker) => {
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("no private bus: {error}"),
    };
    let trace = folder.path().join("trace.jsonl");
    let mut program = Command::new(PROGRAM)
        .args([
            "run",
            "--seed",
            "1",
            "--gateway",
            "livingroom",
            "--bus",
            bus.address(),
            "--scenario",
        ])
        .arg(scenario("demo.toml"))
        .arg("--trace")
        .arg(&trace)
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let client = client::connect(bus.address()).await;
    client
        .call::<_, ()>(
            "/org/bluez/hci0",
            "org.bluez.Adapter1",
            "StartDiscovery",
            &(),
        )
        .await
        .expect("a scan");
    let twice = client
        .call::<_, ()>(
            "/org/bluez/hci0",
            "org.bluez.Adapter1",
            "StartDiscovery",
            &(),
        )
        .await;
    assert!(twice.is_err_and(|error| error.to_string().contains("org.bluez.Error.InProgress")));
    client.until(STRAP_PATH, "Connected", Some(false)).await;
    client
        .call::<_, ()>(STRAP_PATH, "org.bluez.Device1", "Connect", &())
        .await
        .expect("a link");
    client
        .until(STRAP_PATH, "ServicesResolved", Some(true))
        .await;
    let injected = |value: u8| (STRAP, "2a37", vec![0u8, value]);
    let refused = client
        .control::<_, (u64, i64, i64)>("Inject", &injected(60))
        .await;
    assert!(refused.is_err_and(|error| error.to_string().contains("nobody is subscribed")));
    let heart_rate = format!("{STRAP_PATH}/service0010/char0011");
    let characteristic = "org.bluez.GattCharacteristic1";
    client
        .call::<_, ()>(&heart_rate, characteristic, "StartNotify", &())
        .await
        .expect("a session");
    let (number, at, at_wall) = client
        .control::<_, (u64, i64, i64)>("Inject", &injected(61))
        .await
        .expect("somebody hears it");
    assert!(number >= 1 && at > 0 && at_wall > 0);
    let lines = std::fs::read_to_string(&trace).expect("it is written");
    let line = lines
        .lines()
        .find(|line| line.contains("\"hex\":\"003d\""))
        .expect("what was injected is traced");
    let noted: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(
        (
            noted["n"].as_u64(),
            noted["at_us"].as_i64(),
            noted["device"].as_str()
        ),
        (Some(number), Some(at), Some(STRAP))
    );
    assert!(
        client
            .control::<_, bool>("DropLink", &STRAP)
            .await
            .expect("known")
    );
    assert_eq!(client.flag(STRAP_PATH, "Connected").await, Some(false));
    let waiting = client
        .call::<_, ()>(&heart_rate, characteristic, "StartNotify", &())
        .await;
    assert!(waiting.is_err_and(|error| error.to_string().contains("In Progress")));
    let unknown = client
        .control::<_, bool>("DropLink", &"C0:00:00:00:00:99")
        .await;
    assert!(unknown.is_err_and(|error| error.to_string().contains("no wearable has the address")));
    client
        .control::<_, ()>("VanishAdapter", &true)
        .await
        .expect("unplugged");
    assert_eq!(client.flag(STRAP_PATH, "Connected").await, None);
    client
        .control::<_, ()>("VanishAdapter", &false)
        .await
        .expect("plugged in");
    client
        .call::<_, ()>(
            "/org/bluez/hci0",
            "org.bluez.Adapter1",
            "StartDiscovery",
            &(),
        )
        .await
        .expect("a scan");
    client.until(STRAP_PATH, "Connected", Some(false)).await;
    drop(bus);
    let ended = tokio::task::spawn_blocking(move || program.wait())
        .await
        .expect("joined")
        .expect("waited for");
    assert!(
        !ended.success(),
        "without its bus it must not go on as if all were well"
    );
}
