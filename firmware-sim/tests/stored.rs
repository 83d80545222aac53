//! Devices that store: what is in their memory comes out once and whole, with the stamps that their clocks gave it.
//! Decoded by the codecs of `vitals`, compared with the body that was measured.

use std::collections::BTreeSet;
use std::path::Path;

use firmware::gatt::{self, Refusal, Uuid, Value};
use firmware::{polar, profiles};
use firmware_sim::scenario::Scenario;
use firmware_sim::wearable::{Kind, USUAL_START, Wearable};
use vitals::gatt::{
    BloodPressure, CgmRecord, CgmSessionStart, CurrentTime, GlucoseContext, GlucoseMeasurement,
    HeartRateMeasurement, Number, PmdControl, PmdData, PmdFrame, PmdType, SpotCheck,
};
use vitals::{Span, Time};

const SECOND: Span = Span::from_secs(1);

/// That device of `devices.toml`, of whose values only `to` are listened to.
fn device(kind: Kind, to: &[Uuid]) -> Wearable {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/devices.toml");
    let scenario = Scenario::load(&file).expect("well formed");
    let mut all = scenario.wearables(None, 7, None).into_iter();
    let mut device = all
        .find(|wearable| wearable.identity().kind == kind)
        .expect("one of each");
    device.begin(USUAL_START);
    device.listen(to.iter().copied().collect());
    device
}

/// Everything that is said from `from` on, until it has nothing to say.
fn said(device: &mut Wearable, from: Span) -> Vec<Value> {
    let (mut at, mut said) = (from, Vec::new());
    loop {
        said.extend(device.advance_to(at).into_iter().map(|sent| sent.value));
        let next = device.next_due();
        if next - at >= SECOND {
            break;
        }
        at = next;
    }
    said.retain(|value| value.characteristic != gatt::BATTERY_LEVEL);
    said
}

fn of(values: &[Value], characteristic: Uuid) -> Vec<Vec<u8>> {
    let wanted = values.iter().filter(|v| v.characteristic == characteristic);
    wanted.map(|value| value.bytes.clone()).collect()
}

fn ask(device: &mut Wearable, at: Span, request: &[u8]) -> Vec<Value> {
    device
        .write(at, profiles::RECORD_ACCESS, request)
        .expect("taken");
    said(device, at)
}

fn number(number: Number) -> f64 {
    number.to_f64().expect("a number")
}

fn stamp(time: Option<vitals::gatt::DateTime>) -> Time {
    time.and_then(vitals::gatt::DateTime::as_if_utc)
        .expect("a moment")
}

#[test]
fn a_cuff_keeps_what_nobody_hears_and_sends_it_once() {
    let mut cuff = device(Kind::Cuff, &[]);
    assert!(said(&mut cuff, Span::from_secs(310)).is_empty());
    cuff.listen(BTreeSet::from([profiles::BLOOD_PRESSURE_MEASUREMENT]));
    let at = Span::from_secs(320);
    let mut sent = said(&mut cuff, at);
    // Three from before the start, one since.
    let decoded: Vec<BloodPressure> = sent
        .iter()
        .map(|value| BloodPressure::decode(&value.bytes).expect("well formed"))
        .collect();
    assert_eq!(decoded.len(), 4);
    for value in &decoded {
        let (systolic, diastolic) = (number(value.systolic), number(value.diastolic));
        assert!((140.0..156.0).contains(&systolic), "{systolic} for 148");
        assert!((84.0..100.0).contains(&diastolic), "{diastolic} for 92");
    }
    assert!(said(&mut cuff, at + SECOND).is_empty(), "once");
    // The indication was not confirmed: it comes again, and first.
    let last = sent.pop().expect("four");
    cuff.undelivered(at + SECOND, last.clone());
    assert_eq!(said(&mut cuff, at + SECOND), [last]);
    // An hour ahead; the memory of 15 minutes ago lost 1.3 s on the way.
    let first = decoded.first().expect("four");
    let off = stamp(first.time).since(USUAL_START).as_secs_f64() - 3600.0 + 900.0;
    assert!((-1.0..0.5).contains(&off), "{off} s off");
    let newest = decoded.last().expect("four");
    let off = stamp(newest.time).since(USUAL_START).as_secs_f64() - 3600.0 - 300.0;
    assert!((-3.0..-1.0).contains(&off), "{off} s off");
}

#[test]
fn a_meter_gives_its_records_with_context_from_any_number_on() {
    let listened = [
        profiles::GLUCOSE_MEASUREMENT,
        profiles::GLUCOSE_CONTEXT,
        profiles::RECORD_ACCESS,
    ];
    let mut meter = device(Kind::GlucoseMeter, &listened);
    let now = SECOND;
    assert!(said(&mut meter, now).is_empty(), "nothing unasked");
    let all = ask(&mut meter, now, &[1, 1]);
    let measured: Vec<_> = of(&all, profiles::GLUCOSE_MEASUREMENT)
        .iter()
        .map(|bytes| GlucoseMeasurement::decode(bytes).expect("well formed"))
        .collect();
    let contexts: Vec<_> = of(&all, profiles::GLUCOSE_CONTEXT)
        .iter()
        .map(|bytes| GlucoseContext::decode(bytes).expect("well formed").sequence)
        .collect();
    assert_eq!(contexts, (0..12).collect::<Vec<u16>>());
    for (number, record) in (0..12).zip(&measured) {
        assert_eq!((record.sequence, record.context_follows), (number, true));
        let sample = record.sample.as_ref().expect("there is one");
        let glucose = 1e5 * self::number(sample.concentration);
        assert!((110.0..150.0).contains(&glucose), "{glucose} for 128");
    }
    assert_eq!(
        all.last().map(|v| v.bytes.clone()),
        Some(vec![6, 0, 1, 1]),
        "the end is said"
    );
    let some = ask(&mut meter, now, &[1, 3, 1, 10, 0]);
    assert_eq!(of(&some, profiles::GLUCOSE_MEASUREMENT).len(), 2);
    // An hour behind, until somebody sets it.
    let wrong = stamp(measured.first().map(|record| record.base_time));
    assert_eq!(wrong, USUAL_START - Span::from_secs(3600 + 12 * 300));
    let right = USUAL_START + now;
    let written = CurrentTime::at(right, Span::ZERO, 0).and_then(|t| t.encode().ok());
    let written = written.expect("a moment of 2026");
    meter
        .write(now, profiles::CURRENT_TIME, &written)
        .expect("taken");
    said(&mut meter, Span::from_secs(300));
    let newest = ask(&mut meter, Span::from_secs(301), &[1, 6]);
    let newest = of(&newest, profiles::GLUCOSE_MEASUREMENT);
    let newest = GlucoseMeasurement::decode(newest.first().expect("one")).expect("well formed");
    assert_eq!(
        stamp(Some(newest.base_time)),
        USUAL_START + Span::from_secs(300)
    );
}

#[test]
fn an_abort_ends_a_report_and_a_second_request_waits_for_the_first() {
    let mut meter = device(Kind::GlucoseMeter, &[profiles::RECORD_ACCESS]);
    meter
        .write(SECOND, profiles::RECORD_ACCESS, &[1, 1])
        .expect("taken");
    let twice = meter.write(SECOND, profiles::RECORD_ACCESS, &[1, 1]);
    assert_eq!(twice, Err(Refusal::IN_PROGRESS));
    let answer = ask(&mut meter, SECOND, &[3, 0]);
    assert_eq!(of(&answer, profiles::RECORD_ACCESS), [[6, 0, 3, 1]]);
    let nobody = meter.write(SECOND, gatt::BATTERY_LEVEL, &[1]);
    assert_eq!(nobody, Err(Refusal::NOT_PERMITTED));
}

#[test]
fn a_continuous_monitor_counts_minutes_from_its_session_and_checks_each_record() {
    let listened = [profiles::CGM_MEASUREMENT, profiles::RECORD_ACCESS];
    let mut monitor = device(Kind::Cgm, &listened);
    let start = monitor.read(SECOND, profiles::CGM_SESSION_START);
    let start = CgmSessionStart::decode(&start.expect("readable")).expect("well formed");
    assert_eq!(start.crc_ok, Some(true));
    let began = USUAL_START - Span::from_secs(24 * 300);
    assert_eq!(start.utc(Span::ZERO), Some(began));
    let record = |bytes: &Vec<u8>| {
        let records = CgmRecord::decode(bytes).expect("well formed");
        let first = *records.first().expect("one each");
        assert_eq!((records.len(), first.crc_ok), (1, Some(true)));
        assert!((100.0..200.0).contains(&number(first.glucose)), "{first:?}");
        first.time_offset_min
    };
    let live = said(&mut monitor, Span::from_secs(300));
    let offsets: Vec<u16> = live.iter().map(|value| record(&value.bytes)).collect();
    assert_eq!(offsets, [125]);
    let stored = ask(&mut monitor, Span::from_secs(301), &[1, 3, 1, 100, 0]);
    let stored = of(&stored, profiles::CGM_MEASUREMENT);
    let offsets: Vec<u16> = stored.iter().map(record).collect();
    assert_eq!(offsets, [100, 105, 110, 115, 125]);
}

#[test]
fn a_reset_clock_stamps_nothing_and_two_checks_share_a_stamp() {
    let listened = [gatt::PLX_SPOT_CHECK, profiles::RECORD_ACCESS];
    let mut oximeter = device(Kind::SpotOximeter, &listened);
    let check = |bytes: &Vec<u8>| SpotCheck::decode(bytes).expect("well formed");
    let stored = ask(&mut oximeter, SECOND, &[1, 1]);
    let checks: Vec<_> = of(&stored, gatt::PLX_SPOT_CHECK)
        .iter()
        .map(check)
        .collect();
    assert_eq!(checks.len(), 10);
    for pair in checks.chunks(2) {
        let stamps: Vec<_> = pair.iter().map(|check| check.time).collect();
        assert!(stamps.first() == stamps.last() && stamps[0].is_some());
    }
    let live = said(&mut oximeter, Span::from_secs(121));
    let live: Vec<_> = live.iter().map(|value| check(&value.bytes)).collect();
    assert_eq!(live.len(), 2);
    assert!(live.iter().all(|c| c.clock_not_set && c.time.is_none()));
    let shown = oximeter.read(Span::from_secs(160), profiles::CURRENT_TIME);
    let shown = CurrentTime::decode(&shown.expect("readable")).expect("well formed");
    assert_eq!(
        stamp(Some(shown.time)),
        Time::ZERO + Span::from_secs(60),
        "1970"
    );
}

#[test]
fn a_polar_strap_streams_what_is_asked_for_and_its_ecg_beats_as_its_intervals_do() {
    let listened = [polar::CONTROL, polar::DATA, gatt::HEART_RATE_MEASUREMENT];
    let mut strap = device(Kind::PolarH10, &listened);
    let before = of(&said(&mut strap, SECOND), polar::DATA);
    assert!(before.is_empty(), "nothing unasked");
    for request in [
        PmdControl::start_ecg(),
        PmdControl::start_acceleration(50),
        PmdControl::start_intervals(),
        PmdControl::start_ecg(),
    ] {
        let octets = request.encode().expect("well formed");
        strap.write(SECOND, polar::CONTROL, &octets).expect("taken");
    }
    let mut values = Vec::new();
    for second in 1..=40 {
        let sent = strap.advance_to(Span::from_secs(second)).into_iter();
        values.extend(sent.map(|sent| sent.value));
    }
    let answers: Vec<u8> = of(&values, polar::CONTROL)
        .iter()
        .filter_map(|bytes| bytes.get(3).copied())
        .collect();
    assert_eq!(answers, [0, 0, 0, 6], "started, and the ECG not twice");
    let (mut ecg, mut stamps, mut motion, mut intervals) = (vec![], vec![], 0, vec![]);
    for bytes in of(&values, polar::DATA) {
        let frame = PmdFrame::decode(&bytes).expect("well formed");
        match (frame.what, frame.data) {
            (PmdType::Ecg, PmdData::Samples { values, .. }) => {
                assert_eq!((bytes.len(), values.len()), (229, 73));
                ecg.extend(values);
                stamps.push(frame.timestamp_ns);
            }
            (PmdType::Acceleration, PmdData::Samples { .. }) => motion += 1,
            (_, PmdData::Intervals(some)) => intervals.extend(some),
            (what, data) => panic!("{what:?} {data:?}"),
        }
    }
    // 39 s: 69 frames of the ECG, 54 of the acceleration.
    assert!((67..=70).contains(&stamps.len()), "{}", stamps.len());
    assert!((52..=55).contains(&motion), "{motion}");
    for pair in stamps.windows(2) {
        let apart = (pair[1] - pair[0]) as f64 / 1e9 - 73.0 / 130.0;
        assert!(apart.abs() < 1e-4, "{apart} s");
    }
    // 2000 and 19 years, in nanoseconds.
    let year = *stamps.first().expect("many") as f64 / 1e9 / 86_400.0 / 365.25;
    assert!((18.9..19.1).contains(&year), "{year} years after 2000");
    // R peaks of the ECG against the intervals that were streamed.
    let peaks: Vec<usize> = (1..ecg.len() - 1)
        .filter(|&i| ecg[i] > 600 && ecg[i] >= ecg[i - 1] && ecg[i] > ecg[i + 1])
        .collect();
    let beats = peaks
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) as f64 / 130.0);
    let mean = |all: Vec<f64>| all.iter().sum::<f64>() / all.len() as f64;
    let from_ecg = mean(beats.collect());
    let sent: Vec<f64> = intervals
        .iter()
        .map(|i| f64::from(i.interval_ms) / 1000.0)
        .collect();
    assert!(sent.len() > 30, "{}", sent.len());
    let told = mean(sent);
    assert!((from_ecg - told).abs() < 0.01, "{from_ecg} s for {told} s");
    // Control: who stops listening ends the streams.
    strap.listen(BTreeSet::new());
    strap.advance_to(Span::from_secs(41));
    strap.listen(listened.into());
    let after = strap.advance_to(Span::from_secs(45));
    assert!(
        after
            .iter()
            .all(|sent| sent.value.characteristic != polar::DATA)
    );
}

#[test]
fn open_watches_tell_a_rate_and_a_pine_time_takes_the_time() {
    let mut bangle = device(Kind::Bangle, &[gatt::HEART_RATE_MEASUREMENT]);
    let values = bangle.advance_to(Span::from_secs(20));
    let last = values.last().expect("one a second").value.clone();
    let rate = HeartRateMeasurement::decode(&last.bytes).expect("well formed");
    assert_eq!(rate.contact, None);
    assert!((60..90).contains(&rate.bpm), "{} for 72", rate.bpm);
    let mut pine = device(Kind::PineTime, &[gatt::INFINITIME_STEPS]);
    let shown = |pine: &mut Wearable, at| {
        let read = pine.read(at, profiles::CURRENT_TIME).expect("readable");
        stamp(Some(CurrentTime::decode(&read).expect("well formed").time))
    };
    assert_eq!(
        shown(&mut pine, SECOND),
        USUAL_START + Span::from_secs(3601)
    );
    let now = CurrentTime::at(USUAL_START + SECOND, Span::ZERO, 0);
    let now = now.and_then(|t| t.encode().ok()).expect("a moment");
    pine.write(SECOND, profiles::CURRENT_TIME, &now)
        .expect("taken");
    assert_eq!(shown(&mut pine, SECOND), USUAL_START + SECOND);
}

#[test]
fn the_same_seed_gives_the_same_octets_from_every_device() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/devices.toml");
    let scenario = Scenario::load(&file).expect("well formed");
    let play = |seed| {
        let mut sent = Vec::new();
        for mut wearable in scenario.wearables(None, seed, None) {
            // Those that stream were compared elsewhere; an hour of them takes long.
            if wearable.next_due() > Span::from_secs(60) {
                sent.extend(wearable.advance_to(Span::from_secs(3600)));
            }
        }
        sent
    };
    let once = play(3);
    assert!(once.len() > 30, "{} values", once.len());
    assert_eq!(once, play(3));
    assert_ne!(once, play(4));
}
