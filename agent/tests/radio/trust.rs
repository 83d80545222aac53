//! Pairing on an operator's order, and what happens to a device that is not the one it says.

use std::collections::BTreeMap;
use std::time::Duration;

use vitaltwin_agent::ble::pins;
use vitaltwin_agent::ble::records::{Marks, Outcome, Profile};
use vitaltwin_agent::ble::{Address, LinkState, RadioEvent};

use crate::bench::{Bench, Plan, STRAP};

const METER: &str = "C0:00:00:00:00:06";
const MONITOR: &str = "C0:00:00:00:00:07";
const SCENARIO: &str = r#"
    [[patient]]
    name = "p"
    gateway = "g"
    [[patient.wearable]]
    kind = "glucose-meter"
    address = "C0:00:00:00:00:06"
    period_s = 3000
    stored = 3
    pairing = 271828
    [[patient.wearable]]
    kind = "cgm"
    address = "C0:00:00:00:00:07"
    period_s = 3000
    stored = 3
    pairing = "just-works"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_device_under_the_same_address_is_refused_and_told() {
    let Some(mut bench) = Bench::start().await else {
        return;
    };
    let strap = Address::parse(STRAP).expect("an address");
    let met = |bench: &Bench| {
        let known = pins::load(bench.dir()).expect("readable");
        known.get(&strap).is_some_and(|pin| pin.serial.is_some())
    };
    bench.until("what it is was kept", met).await;
    bench.until_more_values(2).await;
    // Control: the same device on the next link is taken at once.
    let told = bench.events.len();
    bench.faults().drop_link(STRAP).await.expect("known");
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;

    let told = bench.events.len();
    bench.faults().spoof(STRAP, true).expect("known");
    bench.faults().drop_link(STRAP).await.expect("known");
    let told = bench.until_link(told, LinkState::Lost).await;
    let taken = bench.values.len();
    let impostor = |event: &RadioEvent| matches!(event, RadioEvent::Impostor(device, what) if *device == strap && what.contains("serial"));
    bench.until_event("it is told", told, impostor).await;
    bench.watch_for(Duration::from_millis(500)).await;
    assert_eq!(bench.values.len(), taken, "something of it was taken");

    // The true one is back, and is looked at again within a minute of the clock.
    let told = bench.events.len();
    bench.faults().spoof(STRAP, false).expect("known");
    bench.until_link(told, LinkState::Connected).await;
    bench.until_more_values(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_pairs_by_name_and_nothing_less_than_the_pin_is_taken() {
    let plan = Plan {
        scenario: SCENARIO.into(),
        assigned: Vec::new(),
        ..Plan::default()
    };
    let Some(mut bench) = Bench::with(plan).await else {
        return;
    };
    let bonded = |bench: &Bench, device: &str| bench.faults().bonded(device).expect("known");
    let (done, said) = bench.command(&["pair", METER]).await;
    assert!(!done && said.contains("--pin"), "{said}");
    let (done, said) = bench.command(&["pair", METER, "--pin", "111111"]).await;
    assert!(!done && said.contains("did not take this PIN"), "{said}");
    // No step down to "just works" where a PIN was ordered.
    let (done, said) = bench.command(&["pair", MONITOR, "--pin", "111111"]).await;
    assert!(!done, "{said}");
    assert!(!bonded(&bench, METER) && !bonded(&bench, MONITOR));

    let (done, said) = bench.command(&["pair", METER, "--pin", "271828"]).await;
    assert!(done && said.contains("paired"), "{said}");
    let (done, said) = bench.command(&["pair", MONITOR]).await;
    assert!(done, "{said}");
    assert!(bonded(&bench, METER) && bonded(&bench, MONITOR));
    let meter = Address::parse(METER).expect("an address");
    let pin = pins::load(bench.dir()).expect("readable")[&meter].clone();
    assert!(pin.bonded && pin.serial.is_some(), "{pin:?}");

    // What it protects can be had now.
    let assigned = BTreeMap::from([(meter, Marks::default())]);
    bench.devices.send_replace(assigned);
    let complete = RadioEvent::Records(meter, Profile::Glucose, Outcome::Complete);
    bench
        .until_event("all records", 0, |event| *event == complete)
        .await;
    // Forgotten, it has to be paired anew.
    let (done, said) = bench.command(&["pair", METER, "--forget"]).await;
    assert!(done && said.contains("forgotten"), "{said}");
    assert!(!bonded(&bench, METER));
    assert!(
        !pins::load(bench.dir())
            .expect("readable")
            .contains_key(&meter)
    );
}
