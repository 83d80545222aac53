//! Adverts as a source: those of assigned devices come as values, once each, and no one else's do.

use std::time::Duration;

use vitals::gatt::Advert;
use vitaltwin_agent::ble::adverts::ADVERT;
use vitaltwin_agent::ble::{Address, Notification, RadioEvent};

use crate::bench::{Bench, Plan, STRAP};

const ROOM: &str = "C0:00:00:00:00:0D";
const BEATS: &str = "C0:00:00:00:00:0E";
const NEIGHBOUR: &str = "C0:00:00:00:00:0F";
const SCENARIO: &str = r#"
    [[patient]]
    name = "p"
    gateway = "g"
    [[patient.wearable]]
    kind = "strap"
    address = "C0:00:00:00:00:01"
    [[patient.wearable]]
    kind = "thermometer-beacon"
    address = "C0:00:00:00:00:0D"
    [[patient.wearable]]
    kind = "heart-rate-beacon"
    address = "C0:00:00:00:00:0E"
    [[patient.wearable]]
    kind = "thermometer-beacon"
    address = "C0:00:00:00:00:0F"
"#;

fn of(bench: &Bench, device: &str) -> Vec<Notification> {
    let device = Address::parse(device).expect("an address");
    let values = bench.others.iter();
    let values = values.filter(|value| value.device == device && value.characteristic == ADVERT);
    values.cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adverts_of_assigned_devices_are_values_once_each_and_no_others_are() {
    let plan = Plan {
        scenario: SCENARIO.into(),
        assigned: vec![STRAP, ROOM, BEATS],
        ..Plan::default()
    };
    let Some(mut bench) = Bench::with(plan).await else {
        return;
    };
    bench
        .until("adverts of both", |bench| {
            of(bench, ROOM).len() >= 4 && of(bench, BEATS).len() >= 3
        })
        .await;
    for device in [ROOM, BEATS] {
        let values = of(&bench, device);
        for value in &values {
            let advert = Advert::decode(&value.value).expect("advertising data");
            let room = advert.bthome().is_some_and(|sensor| sensor.is_ok());
            assert!(room || advert.polar().is_some(), "{advert:?}");
        }
        for pair in values.windows(2) {
            assert_ne!(pair[0].value, pair[1].value, "a repetition");
        }
    }
    // Listening to them costs nobody his link.
    bench.until_more_values(5).await;
    // Nobody's beacon beside them is heard as well, and counted.
    let counted = |event: &RadioEvent| matches!(event, RadioEvent::Adverts(refused) if refused.contains_key("advert_not_assigned"));
    bench.until_event("it is counted", 0, counted).await;
    assert!(of(&bench, NEIGHBOUR).is_empty());
    // A strap that has a link does not become a second source of the same beats.
    assert!(of(&bench, STRAP).is_empty());
    bench.watch_for(Duration::from_millis(100)).await;
}
