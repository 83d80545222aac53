//! What the wearables say against what the body does: the whole way from physiology through chips, drivers and firmware to
//! the octets, without D-Bus.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use firmware::gatt::{self, Uuid};
use firmware_sim::patient::{Beat, Patient, Rhythm};
use firmware_sim::replay::Replay;
use firmware_sim::scenario::{RECORDING_LEAD_S, Scenario};
use firmware_sim::wearable::{Emission, Wearable};
use vitals::Span;
use vitals::gatt::oximeter::SensorStatus;
use vitals::gatt::{
    BatteryLevel, Continuous, HeartRateMeasurement, Number, SpotCheck, StepCount,
    TemperatureMeasurement,
};

/// A scenario of one patient from the lines given.
fn scenario(patient: &str, wearable: &str) -> Scenario {
    let text = format!(
        "[[patient]]\nname = \"p\"\ngateway = \"g\"\n{patient}\n[[patient.wearable]]\naddress = \"C0:00:00:00:00:01\"\n{wearable}"
    );
    Scenario::parse(&text, Path::new("test")).expect("well formed")
}

fn wearable(patient: &str, kind: &str) -> Wearable {
    let scenario = scenario(patient, &format!("kind = \"{kind}\""));
    scenario
        .wearables(None, 7, None)
        .pop()
        .expect("there is one")
}

fn of(emissions: &[Emission], uuid: Uuid) -> impl Iterator<Item = (f64, &[u8])> {
    let matching = emissions
        .iter()
        .filter(move |emission| emission.value.characteristic == uuid);
    matching.map(|emission| (emission.at.as_secs_f64(), emission.value.bytes.as_slice()))
}

/// All beats of a patient until `until` seconds.
fn beats(mut patient: Patient, until: f64) -> Vec<Beat> {
    let mut all: Vec<Beat> = Vec::new();
    for second in 0.. {
        let at = f64::from(second);
        patient.advance_to(at);
        let last = all.last().map_or(f64::NEG_INFINITY, |beat| beat.at);
        all.extend(patient.beats().filter(|beat| beat.at > last));
        if at > until {
            return all;
        }
    }
    unreachable!("the loop has no end")
}

/// Beats per minute over the eight intervals before `at`.
fn true_rate(beats: &[Beat], at: f64) -> f64 {
    let before: Vec<f64> = beats
        .iter()
        .rev()
        .filter(|beat| beat.at < at)
        .take(8)
        .map(|beat| beat.rr)
        .collect();
    60.0 * before.len() as f64 / before.iter().sum::<f64>()
}

fn number(number: Number) -> Option<f64> {
    match number {
        Number::Finite(decimal) => Some(decimal.to_f64()),
        Number::Special(_) => None,
    }
}

/// Heart rate of strap and watch against the body's beats, once settled.
fn check_rate(patient: &str, kind: &str) {
    let mut worn = wearable(patient, kind);
    let beats = beats(worn.patient().clone(), 120.0);
    let sent = worn.advance_to(Span::from_secs(120));
    let mut seen = 0;
    for (at, bytes) in of(&sent, gatt::HEART_RATE_MEASUREMENT).filter(|(at, _)| *at > 20.0) {
        let rate = f64::from(
            HeartRateMeasurement::decode(bytes)
                .expect("well formed")
                .bpm,
        );
        let truth = true_rate(&beats, at);
        assert!(
            (rate - truth).abs() <= 2.0,
            "{kind}, {patient}: {rate} for {truth:.1} after {at} s"
        );
        seen += 1;
    }
    assert_eq!(seen, 100, "one a second");
}

#[test]
fn heart_rate_is_within_two_beats_of_the_truth() {
    for rate in [45, 60, 75, 90, 120, 150] {
        check_rate(&format!("heart_rate = {rate}"), "strap");
        check_rate(&format!("heart_rate = {rate}"), "watch");
    }
    check_rate("heart_rate = 80\nsteps_per_minute = 110", "strap");
}

#[test]
fn saturation_is_within_two_percent_of_the_truth() {
    for (rate, spo2) in [
        (60, 98.0),
        (70, 95.0),
        (80, 92.0),
        (95, 88.0),
        (110, 84.0),
        (130, 75.0),
    ] {
        let mut worn = wearable(&format!("heart_rate = {rate}\nspo2 = {spo2}"), "oximeter");
        let sent = worn.advance_to(Span::from_secs(120));
        let mut seen = 0;
        for (at, bytes) in of(&sent, gatt::PLX_CONTINUOUS).filter(|(at, _)| *at > 15.0) {
            let continuous = Continuous::decode(bytes).expect("well formed");
            let measured = number(continuous.normal.spo2).expect("settled");
            let truth = worn.patient().state(at).spo2;
            assert!(
                (measured - truth).abs() <= 2.0,
                "{measured} for {truth:.1} after {at} s"
            );
            let amplitude = continuous.pai.and_then(number).expect("settled");
            assert!((0.5..5.0).contains(&amplitude), "amplitude {amplitude}");
            seen += 1;
        }
        assert_eq!(seen, 105, "one a second");
        let spot: Vec<_> = of(&sent, gatt::PLX_SPOT_CHECK).collect();
        assert_eq!(spot.len(), 1, "one spot check when the finger has settled");
        assert!(
            SpotCheck::decode(spot[0].1)
                .expect("well formed")
                .clock_not_set
        );
    }
}

#[test]
fn a_falling_saturation_is_followed() {
    let patient =
        "spo2 = 97\nheart_rate = 80\n[[patient.change]]\nat_s = 60\nover_s = 300\nspo2_to = 87";
    let mut worn = wearable(patient, "watch");
    let sent = worn.advance_to(Span::from_secs(400));
    for (at, bytes) in of(&sent, gatt::PLX_CONTINUOUS).filter(|(at, _)| *at > 15.0) {
        let spo2 =
            number(Continuous::decode(bytes).expect("well formed").normal.spo2).expect("settled");
        let truth = worn.patient().state(at).spo2;
        assert!(
            (spo2 - truth).abs() <= 2.0,
            "{spo2} for {truth:.1} after {at} s"
        );
    }
}

#[test]
fn steps_are_counted_while_walking_only() {
    let walks = "steps_per_minute = 100\n[[patient.change]]\nat_s = 120\nsteps_per_minute_to = 0";
    let mut worn = wearable(walks, "watch");
    let sent = worn.advance_to(Span::from_secs(240));
    let steps: Vec<(f64, u32)> = of(&sent, gatt::INFINITIME_STEPS)
        .map(|(at, bytes)| (at, StepCount::decode(bytes).expect("well formed").steps))
        .collect();
    let (last_change, count) = *steps.last().expect("some steps");
    assert!((190..=205).contains(&count), "{count} steps for 200");
    assert!(
        last_change < 123.0,
        "counted at rest, after {last_change} s"
    );
}

#[test]
fn a_watch_taken_off_says_so_and_finds_the_pulse_again() {
    let times = "kind = \"watch\"\nworn = [{ at_s = 60, on = false }, { at_s = 120, on = true }]";
    let mut worn = scenario("", times)
        .wearables(None, 7, None)
        .pop()
        .expect("there is one");
    let sent = worn.advance_to(Span::from_secs(180));
    for (at, bytes) in of(&sent, gatt::HEART_RATE_MEASUREMENT) {
        let heart = HeartRateMeasurement::decode(bytes).expect("well formed");
        let status = of(&sent, gatt::PLX_CONTINUOUS)
            .find(|(when, _)| *when == at)
            .map(|(_, bytes)| bytes);
        let continuous = Continuous::decode(status.expect("sent together")).expect("well formed");
        let unconnected = continuous
            .sensor_status
            .is_some_and(|s| s.has(SensorStatus::UNCONNECTED_TO_PATIENT));
        // Contact is believed after 0.4 s; a pulse needs a few beats.
        if (62.0..=120.0).contains(&at) {
            assert_eq!(
                (heart.bpm, heart.contact, unconnected),
                (0, Some(false), true),
                "off, after {at} s"
            );
            assert_eq!(number(continuous.normal.spo2), None, "off, after {at} s");
        } else if (60.0..62.0).contains(&at) {
            // Contact is doubted: the old values or none, but never what the empty room would give.
            let spo2 = number(continuous.normal.spo2);
            assert!(
                spo2.is_none_or(|spo2| spo2 > 95.0),
                "{spo2:?} while taken off"
            );
        } else if (15.0..60.0).contains(&at) || at > 135.0 {
            assert_eq!(
                (heart.contact, unconnected),
                (Some(true), false),
                "on, after {at} s"
            );
            assert!(
                heart.bpm > 50 && number(continuous.normal.spo2).is_some(),
                "on, after {at} s"
            );
        }
    }
}

#[test]
fn a_strap_taken_off_makes_no_interval_across_the_gap() {
    let times = "kind = \"strap\"\nworn = [{ at_s = 30, on = false }, { at_s = 34, on = true }]";
    let mut worn = scenario("", times)
        .wearables(None, 7, None)
        .pop()
        .expect("there is one");
    for (at, bytes) in of(
        &worn.advance_to(Span::from_secs(60)),
        gatt::HEART_RATE_MEASUREMENT,
    ) {
        let heart = HeartRateMeasurement::decode(bytes).expect("well formed");
        assert!(
            heart.rr_1024.iter().all(|rr| (700..1100).contains(rr)),
            "{:?} after {at} s",
            heart.rr_1024
        );
        if at == 32.0 {
            assert_eq!((heart.bpm, heart.contact), (0, Some(false)));
        }
    }
}

#[test]
fn temperature_and_battery_are_as_they_are() {
    let mut worn = wearable("temperature = 38.6", "thermometer");
    let sent = worn.advance_to(Span::from_secs(120));
    let temperatures: Vec<_> = of(&sent, gatt::TEMPERATURE_MEASUREMENT).collect();
    assert_eq!(temperatures.len(), 4, "one each half minute");
    for (at, bytes) in temperatures {
        let measured = number(
            TemperatureMeasurement::decode(bytes)
                .expect("well formed")
                .value,
        )
        .expect("a number");
        let truth = worn.patient().state(at).temperature;
        assert!((measured - truth).abs() < 0.03, "{measured} for {truth:.2}");
    }
    worn.set_battery(9);
    let level = worn
        .read(Span::ZERO, gatt::BATTERY_LEVEL)
        .and_then(|bytes| BatteryLevel::decode(&bytes).ok());
    assert_eq!(level.map(|level| level.percent), Some(9));
}

#[test]
fn a_broken_sensor_wire_is_said_and_mended() {
    for (kind, uuid) in [
        ("oximeter", gatt::PLX_CONTINUOUS),
        ("thermometer", gatt::TEMPERATURE_MEASUREMENT),
    ] {
        let mut worn = wearable("", kind);
        let value = |sent: &[Emission]| {
            let (_, bytes) = of(sent, uuid).last().expect("sent");
            match kind {
                "oximeter" => number(Continuous::decode(bytes).expect("well formed").normal.spo2),
                _ => number(
                    TemperatureMeasurement::decode(bytes)
                        .expect("well formed")
                        .value,
                ),
            }
        };
        assert!(
            value(&worn.advance_to(Span::from_secs(60))).is_some(),
            "{kind} measures"
        );
        worn.break_sensor(true);
        assert_eq!(
            value(&worn.advance_to(Span::from_secs(90))),
            None,
            "{kind} is broken"
        );
        worn.break_sensor(false);
        assert!(
            value(&worn.advance_to(Span::from_secs(150))).is_some(),
            "{kind} is mended"
        );
    }
}

/// RR intervals that a strap on a recorded heart sends within `seconds`, 1/1024 s.
fn replayed(recording: &Arc<Replay>, seconds: i64) -> Vec<f64> {
    let plan = scenario("recorded_heart = true", "kind = \"strap\"");
    let mut worn = plan
        .wearables(None, 7, Some(recording))
        .pop()
        .expect("there is one");
    let sent = worn.advance_to(Span::from_secs(seconds));
    let values = of(&sent, gatt::HEART_RATE_MEASUREMENT);
    let decoded =
        values.map(|(_, bytes)| HeartRateMeasurement::decode(bytes).expect("well formed"));
    decoded
        .flat_map(|heart| heart.rr_1024)
        .map(f64::from)
        .collect()
}

/// Every interval sent equals the recording's within 1/1024 s; the strap starts with the second or third.
fn check_replay(recording: Replay, seconds: i64) -> usize {
    let recording = Arc::new(recording);
    let sent = replayed(&recording, seconds);
    let wanted: Vec<f64> = recording
        .beats()
        .iter()
        .map(|beat| beat.rr_s * 1024.0)
        .collect();
    let skipped = (1..4)
        .find(|skipped| (sent[0] - wanted[*skipped]).abs() <= 1.0)
        .expect("it begins early");
    for (place, (sent, wanted)) in sent.iter().zip(&wanted[skipped..]).enumerate() {
        assert!(
            (sent - wanted).abs() <= 1.0,
            "interval {place}: {sent} for {wanted:.2}"
        );
    }
    sent.len()
}

#[test]
fn a_users_own_recording_is_worn_to_the_tick() {
    // Irregular, 0.35 to 1.6 s, by a fixed rule.
    let intervals: Vec<f64> = (0..400u32)
        .map(|i| 0.35 + f64::from(i * 7919 % 1250) / 1000.0)
        .collect();
    assert!(check_replay(Replay::from_intervals(&intervals), 300) > 250);
}

#[test]
fn a_physionet_recording_is_worn_to_the_tick_from_sinus_into_fibrillation() {
    let shared = std::env::var_os("VITALTWIN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("recordings/afdb_rr_sample");
    if !folder.is_dir() {
        println!("skipped: {} absent", folder.display());
        return;
    }
    for record in ["04015", "04043", "04746", "08219"] {
        let file = folder.join(format!("qrs{record}.txt.gz"));
        let recording = Replay::load(&file)
            .expect("readable")
            .before_paroxysm(RECORDING_LEAD_S);
        let onset = recording
            .fibrillation_onset_s()
            .expect("each record has a paroxysm");
        assert!(
            (RECORDING_LEAD_S - 5.0..RECORDING_LEAD_S + 5.0).contains(&onset),
            "{record}: onset {onset}"
        );
        let first = recording.beats().first().map(|beat| beat.rhythm);
        assert_eq!(first, Some(Rhythm::Sinus), "{record}");
        let count = check_replay(recording, 600);
        println!("{record}: {count} intervals, fibrillation after {onset:.0} s");
        assert!(count > 500, "{record}: {count} intervals");
    }
}

#[test]
fn the_same_seed_gives_the_same_octets_and_another_does_not() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/demo.toml");
    let demo = Scenario::load(&file).expect("the demo's scenario is well formed");
    let play = |seed, steps: i64| -> Vec<Vec<Emission>> {
        let wearables = demo.wearables(None, seed, None);
        let play_one = |mut worn: Wearable| {
            // In pieces of any length: who looks when changes nothing.
            (1..=steps)
                .flat_map(|step| worn.advance_to(Span::from_micros(60_000_000 * step / steps)))
                .collect()
        };
        wearables.into_iter().map(play_one).collect()
    };
    let once = play(1, 1);
    assert_eq!(once, play(1, 37));
    assert_ne!(once, play(2, 1));
}

#[test]
fn the_demo_goes_as_its_patients_are_described() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/demo.toml");
    let demo = Scenario::load(&file).expect("the demo's scenario is well formed");
    assert_eq!(demo.gateways(), ["livingroom", "clinic"]);
    let named = |name: &str| {
        demo.patients
            .iter()
            .find(|p| p.name == name)
            .expect("the demo has it")
    };
    assert_eq!(named("af").fibrillation_onset_s(None), Some(120.0));
    assert_eq!(named("stable").fibrillation_onset_s(None), None);
    let crossing = named("respiratory")
        .saturation_below_s(92.0)
        .expect("it falls");
    assert!(
        (400.0..800.0).contains(&crossing),
        "crosses after {crossing} s"
    );
    assert_eq!(named("stable").saturation_below_s(92.0), None);
}

#[test]
fn the_load_has_ten_wearables_at_one_gateway() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/load10.toml");
    let load = Scenario::load(&file).expect("well formed");
    assert_eq!(
        (
            load.gateways().len(),
            load.wearables(Some("bench"), 1, None).len()
        ),
        (1, 10)
    );
}
