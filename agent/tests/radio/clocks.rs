//! A device whose clock is wrong: it is read at each connect, before what the device stored comes in, and the
//! readings get the time at which they were measured.

use vitals::gatt::Characteristic;
use vitals::observe::{Memory, Sequences};
use vitals::{Kind, Quality, Reading, SourceId, Span, Time};
use vitaltwin_agent::ble::Address;
use vitaltwin_agent::ble::Notification;
use vitaltwin_agent::decode::decode;

use crate::bench::{Bench, Plan};

const METER: &str = "C0:00:00:00:00:06";
const STORED: i64 = 20;
const PERIOD: Span = Span::from_secs(3000);
/// New York, and the minute that nobody corrected.
const AHEAD: Span = Span::from_secs(-5 * 3600 - 60);
/// Where the bench's clock begins.
const START: Time = Time::from_micros(1_800_000_000_000_000);

fn scenario() -> String {
    format!(
        r#"
        [[patient]]
        name = "p"
        gateway = "g"
        [[patient.wearable]]
        kind = "glucose-meter"
        address = "{METER}"
        period_s = 3000
        stored = {STORED}
        clock = {{ offset_s = {}, drift_ppm = 200 }}
        "#,
        AHEAD.as_micros() / 1_000_000
    )
}

fn readings<'a>(values: impl Iterator<Item = &'a Notification>) -> Vec<Reading> {
    let (mut memory, mut sequences) = (Memory::default(), Sequences::default());
    let decoded = values.flat_map(|value| {
        let observed = decode(
            value,
            None,
            (SourceId(1), Span::ZERO),
            &mut memory,
            &mut sequences,
        );
        observed.expect("well formed").readings
    });
    decoded
        .filter(|reading| reading.kind == Kind::BloodGlucose)
        .collect()
}

fn off(reading: &Reading, number: usize) -> Span {
    let earlier = STORED - i64::try_from(number).expect("few");
    let measured = START - Span::from_micros(PERIOD.as_micros() * earlier);
    Span::from_micros(reading.effective.since(measured).as_micros().abs())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_readings_of_a_wrong_clock_get_the_time_they_were_measured_at() {
    let plan = Plan {
        scenario: scenario(),
        assigned: vec![METER],
        ..Plan::default()
    };
    let Some(mut bench) = Bench::with(plan).await else {
        return;
    };
    let glucose = Characteristic::GlucoseMeasurement.uuid();
    let clock = Characteristic::CurrentTime.uuid();
    let count = |bench: &Bench| {
        let values = bench.others.iter();
        values
            .filter(|value| value.characteristic == glucose)
            .count()
    };
    let all = usize::try_from(STORED).expect("few");
    bench
        .until("all stored records", |bench| count(bench) >= all)
        .await;
    let device = Address::parse(METER).expect("an address");
    let values = || bench.others.iter().filter(|value| value.device == device);
    assert_eq!(
        values().next().map(|value| value.characteristic),
        Some(clock)
    );
    let repaired = readings(values());
    for (number, reading) in repaired.iter().take(all).enumerate() {
        let device = reading.device.expect("it gives a time");
        // The bench needs some seconds of its fast clock before the meter's begins.
        let allowed = device.uncertainty + Span::from_secs(60);
        assert!(off(reading, number) <= allowed, "{number}: {reading:?}");
        assert!(device.uncertainty < Span::from_mins(5));
        assert!(reading.quality.has(Quality::CLOCK_REPAIRED));
        let said = device.stamp.since(reading.effective);
        assert!(
            (said.as_micros() - AHEAD.as_micros()).abs() < 120_000_000,
            "reversible"
        );
    }
    assert!(
        repaired
            .windows(2)
            .all(|pair| pair[0].effective <= pair[1].effective)
    );
    // Control: without the look at its clock all of them would be five hours old.
    let believed = readings(values().filter(|value| value.characteristic != clock));
    assert!(off(&believed[0], 0) > Span::from_mins(290));
}
