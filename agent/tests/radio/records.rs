//! What devices stored while nobody listened is fetched, whole and once, over drops in the middle.

use std::collections::BTreeMap;

use firmware::gatt::Uuid;
use vitals::gatt::{CgmRecord, Characteristic, DateTime, GlucoseMeasurement, PmdFrame, PmdType};
use vitals::{Span, Time};
use vitaltwin_agent::ble::pipe::{PolarStream, Setup};
use vitaltwin_agent::ble::records::{Marks, Outcome, Profile};
use vitaltwin_agent::ble::{Address, LinkState, Notification, RadioEvent};

use crate::bench::{Bench, Plan};

const METER: &str = "C0:00:00:00:00:06";
const MONITOR: &str = "C0:00:00:00:00:07";
const OXIMETER: &str = "C0:00:00:00:00:09";
const CUFF: &str = "C0:00:00:00:00:05";
const SCENARIO: &str = r#"
    [[patient]]
    name = "p"
    gateway = "g"
    [[patient.wearable]]
    kind = "cuff"
    address = "C0:00:00:00:00:05"
    period_s = 3000
    stored = 1
    [[patient.wearable]]
    kind = "glucose-meter"
    address = "C0:00:00:00:00:06"
    period_s = 3000
    stored = 60
    [[patient.wearable]]
    kind = "cgm"
    address = "C0:00:00:00:00:07"
    period_s = 3000
    stored = 24
    [[patient.wearable]]
    kind = "spot-oximeter"
    address = "C0:00:00:00:00:09"
    period_s = 3000
    stored = 5
    repeat = 2
"#;

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

fn plan(assigned: &[&'static str]) -> Plan {
    Plan {
        scenario: SCENARIO.into(),
        assigned: assigned.to_vec(),
        ..Plan::default()
    }
}

fn of(bench: &Bench, device: &str, characteristic: Characteristic) -> Vec<Notification> {
    let values = bench.others.iter();
    let values = values.filter(|value| {
        value.device == address(device) && value.characteristic == characteristic.uuid()
    });
    values.cloned().collect()
}

fn numbers(bench: &Bench) -> Vec<u16> {
    let records = of(bench, METER, Characteristic::GlucoseMeasurement);
    let number = |value: &Notification| {
        GlucoseMeasurement::decode(&value.value)
            .expect("well formed")
            .sequence
    };
    records.iter().map(number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_records_come_whole_and_once_over_a_drop() {
    let Some(mut bench) = Bench::with(plan(&[METER])).await else {
        return;
    };
    // The link drops in the middle of the transfer; the core has taken what came.
    let some = |bench: &Bench| numbers(bench).len() >= 3;
    bench.until("the first records", some).await;
    bench.faults().drop_link(METER).await.expect("known");
    let lost = RadioEvent::Link(address(METER), LinkState::Lost);
    bench
        .until("the drop", |bench| bench.events.contains(&lost))
        .await;
    let first = numbers(&bench);
    assert!(first.len() < 60, "the transfer was over before the drop");
    let marks = Marks {
        glucose: first.last().copied(),
        monitor: None,
    };
    bench
        .devices
        .send_replace(BTreeMap::from([(address(METER), marks)]));
    let complete = RadioEvent::Records(address(METER), Profile::Glucose, Outcome::Complete);
    let told = bench.events.len();
    bench
        .until_event("all records", told, |event| *event == complete)
        .await;
    let whole = |bench: &Bench| numbers(bench).contains(&59);
    bench.until("the last record", whole).await;
    // Only what was still on its way when the mark was told may come again: the core knows it by its number.
    let mut all = numbers(&bench);
    all.sort_unstable();
    let again = all.windows(2).filter(|pair| pair[0] == pair[1]);
    assert!(
        again
            .map(|pair| Some(pair[0]))
            .all(|number| number > marks.glucose)
    );
    all.dedup();
    assert_eq!(all, (0..60).collect::<Vec<_>>());
    let contexts = of(&bench, METER, Characteristic::GlucoseMeasurementContext);
    assert!(contexts.len() >= 59, "{} contexts", contexts.len());
    // Control: on the next link there is nothing new, and nothing comes.
    let marks = Marks {
        glucose: Some(59),
        monitor: None,
    };
    bench
        .devices
        .send_replace(BTreeMap::from([(address(METER), marks)]));
    let (told, before) = (bench.events.len(), numbers(&bench).len());
    bench.faults().drop_link(METER).await.expect("known");
    bench
        .until_event("nothing new", told, |event| *event == complete)
        .await;
    assert_eq!(numbers(&bench).len(), before, "nothing came again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_tell_their_session_first_and_oximeters_send_all() {
    let mut plan = plan(&[MONITOR, OXIMETER, CUFF]);
    plan.setup = Setup {
        clock_ahead_min: Some(60),
        ..plan.setup
    };
    let Some(mut bench) = Bench::with(plan).await else {
        return;
    };
    for (device, profile) in [(MONITOR, Profile::Monitor), (OXIMETER, Profile::Oximeter)] {
        let complete = RadioEvent::Records(address(device), profile, Outcome::Complete);
        bench
            .until_event("all records", 0, |event| *event == complete)
            .await;
    }
    let minutes = |bench: &Bench| {
        let values = of(bench, MONITOR, Characteristic::CgmMeasurement);
        let records = values
            .iter()
            .flat_map(|value| CgmRecord::decode(&value.value));
        records
            .flatten()
            .map(|record| record.time_offset_min)
            .collect::<Vec<_>>()
    };
    bench
        .until("24 minutes", |bench| minutes(bench).len() >= 24)
        .await;
    assert!(minutes(&bench).is_sorted());
    let session = of(&bench, MONITOR, Characteristic::CgmSessionStart);
    assert_eq!(session.len(), 1, "read once, and no echo of it");
    let of_monitor = bench.others.iter();
    let mut of_monitor = of_monitor.filter(|value| value.device == address(MONITOR));
    assert_eq!(of_monitor.next(), session.first(), "before any record");
    let spots = |bench: &Bench| of(bench, OXIMETER, Characteristic::PlxSpotCheck).len();
    bench.until("spot checks", |bench| spots(bench) >= 10).await;
    assert_eq!(spots(&bench), 10, "five, each twice");
    // The cuff was told the time of where it is, an hour ahead, and told its one stored measurement.
    let cuff = |bench: &Bench| of(bench, CUFF, Characteristic::BloodPressureMeasurement).len();
    bench.until("the cuff", |bench| cuff(bench) >= 1).await;
    assert_eq!(cuff(&bench), 1);
    let told = bench.faults().written(CUFF, Uuid::short(0x2A08));
    let told = told.expect("known").pop().expect("it was told");
    let told = DateTime::decode(&told).expect("a time").as_if_utc();
    // The bench begins there.
    let began = Time::from_micros(1_800_000_000_000_000) + Span::from_mins(60);
    let told = told.expect("complete").since(began).as_micros();
    assert!((-1_000_000..600_000_000).contains(&told), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polar_strap_streams_what_it_is_asked_for_on_every_link_and_nothing_else() {
    const POLAR: &str = "C0:00:00:00:00:0A";
    let scenario = r#"
        [[patient]]
        name = "p"
        gateway = "g"
        [[patient.wearable]]
        kind = "polar-h10"
        address = "C0:00:00:00:00:0A"
    "#;
    let plan = |streams: Vec<PolarStream>| Plan {
        scenario: scenario.into(),
        assigned: vec![POLAR],
        setup: Setup {
            polar_streams: streams,
            ..Plan::default().setup
        },
        ..Plan::default()
    };
    let Some(mut bench) = Bench::with(plan(vec![PolarStream::Ecg])).await else {
        return;
    };
    let frames = |bench: &Bench| of(bench, POLAR, Characteristic::PolarData);
    bench
        .until("frames", |bench| frames(bench).len() >= 3)
        .await;
    for frame in frames(&bench) {
        let frame = PmdFrame::decode(&frame.value).expect("well formed");
        assert_eq!(frame.what, PmdType::Ecg);
    }
    // The stream ends with its link, and is asked for on the next one.
    bench.faults().drop_link(POLAR).await.expect("known");
    let lost = RadioEvent::Link(address(POLAR), LinkState::Lost);
    bench
        .until("the drop", |bench| bench.events.contains(&lost))
        .await;
    let before = frames(&bench).len();
    bench
        .until("frames again", |bench| frames(bench).len() >= before + 3)
        .await;
    // Let go, it is told to stop, or it would stream into its battery.
    let control = firmware::polar::CONTROL;
    let written = |bench: &Bench| bench.faults().written(POLAR, control).expect("known");
    let stop = vec![3, 0];
    assert!(!written(&bench).contains(&stop), "control: not before");
    bench.devices.send_replace(BTreeMap::new());
    // Nothing is told of it: it is looked for.
    for _ in 0..200 {
        bench.watch_for(std::time::Duration::from_millis(50)).await;
        if written(&bench).contains(&stop) {
            break;
        }
    }
    assert!(written(&bench).contains(&stop), "{:?}", written(&bench));
    // And at the end of the radio.
    let assigned = BTreeMap::from([(address(POLAR), Marks::default())]);
    bench.devices.send_replace(assigned);
    let before = frames(&bench).len();
    bench
        .until("frames again", |bench| frames(bench).len() > before)
        .await;
    let stops = |bench: &Bench| written(bench).iter().filter(|w| **w == stop).count();
    let before = stops(&bench);
    let bench = bench.stop().await;
    assert_eq!(stops(&bench), before + 1);
    // Control: nobody asked, and only the heart rate comes.
    drop(bench);
    let Some(mut quiet) = Bench::with(plan(Vec::new())).await else {
        return;
    };
    let beats = |bench: &Bench| of(bench, POLAR, Characteristic::HeartRateMeasurement).len();
    quiet.until("beats", |bench| beats(bench) >= 20).await;
    assert_eq!(frames(&quiet).len(), 0);
}
