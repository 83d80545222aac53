//! Files of observations through the fold.

use super::*;

fn reading(kind: &str, second: i64, value: f64) -> String {
    let at = |millis: i64| {
        let time = jiff::Timestamp::from_millisecond(1_767_225_600_000 + second * 1000 + millis);
        format!("{:.3}", time.expect("in range"))
    };
    format!(
        r#"{{"patient":"p1","source":"s","kind":"{kind}","value":{value},"effective":"{}","known":"{}"}}"#,
        at(0),
        at(90)
    )
}

fn played(input: &str, only: &[Type]) -> (Vec<Value>, Summary, Vec<(u64, String)>) {
    let (mut out, mut refused) = (Vec::new(), Vec::new());
    let summary = run(input.as_bytes(), &mut out, only, |number, why| {
        refused.push((number, why.to_owned()));
    })
    .expect("memory takes it");
    let text = String::from_utf8(out).expect("JSON");
    let lines = text.lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("one object a line"));
    (lines.collect(), summary, refused)
}

fn of<'l>(lines: &'l [Value], name: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["type"] == name).collect()
}

/// Saturation that falls from 97 to 88 % in ten minutes.
fn falling() -> String {
    let value = |second: i64| 97.0 - 9.0 * (second as f64 - 300.0).clamp(0.0, 600.0) / 600.0;
    let lines = (0..1200).map(|second| reading("spo2", second, value(second)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_falls_is_foreseen_then_found_and_forecast_with_its_interval() {
    let (lines, summary, refused) = played(&falling(), &[]);
    assert!(refused.is_empty() && summary.taken == 1200, "{refused:?}");
    let first = |condition: &str| {
        let alerts = of(&lines, "alert");
        let found = alerts.iter().find(|line| line["condition"] == condition);
        found.map(|line| line["known"].as_str().expect("a time").to_owned())
    };
    let (foreseen, low) = (
        first("oxygen_saturation_falling"),
        first("oxygen_saturation_low"),
    );
    assert!(foreseen.is_some() && foreseen < low, "{foreseen:?} {low:?}");
    let forecasts = of(&lines, "forecast");
    assert!(
        forecasts[0]["abstain"].is_string(),
        "it begins with a reason"
    );
    let made = forecasts.iter().find(|line| line["abstain"].is_null());
    let made = made.expect("a forecast");
    assert!(
        made["low"].as_f64() < made["mean"].as_f64() && made["horizon_s"] == 300,
        "{made}"
    );
    let states = of(&lines, "state");
    let last = states.last().expect("states");
    assert!(
        last["levels"]["oxygen_saturation"]["value"].is_number(),
        "{last}"
    );
    assert!(last["scores"]["news2"]["high"].is_number(), "{last}");
}

#[test]
fn each_interval_has_its_rhythm_line() {
    let steady: Vec<_> = (0..300).map(|n| reading("rr_interval", n, 800.0)).collect();
    let (lines, _, _) = played(&steady.join("\n"), &[Type::Rhythm]);
    assert_eq!(lines.len(), 300, "and nothing else");
    assert!(lines[0]["abstain"].is_string() && lines[0]["af"] == false);
    assert!(lines[299]["abstain"].is_null() && lines[299]["score"].is_number());
}

/// Seconds of an ECG in millivolts, 130 Hz, a beat every 104 samples; a line a second.
fn electric(source: &str, from: i64, seconds: i64) -> Vec<String> {
    let sample = |n: i64| match n % 104 {
        50 => 0.4,
        51 => 1.1,
        52 => 0.5,
        53 => -0.2,
        _ => 0.0,
    };
    let line = |second: i64| {
        let at = |millis: i64| {
            let millis = 1_767_225_600_000 + second * 1000 + millis;
            format!(
                "{:.3}",
                jiff::Timestamp::from_millisecond(millis).expect("in range")
            )
        };
        let samples: Vec<_> = (second * 130..(second + 1) * 130)
            .map(|n| sample(n).to_string())
            .collect();
        format!(
            r#"{{"patient":"p1","source":"{source}","kind":"ecg","unit":"mV","start":"{}","rate_hz":130,"samples":[{}],"known":"{}","seq":{second}}}"#,
            at(0),
            samples.join(","),
            at(1100)
        )
    };
    (from..from + seconds).map(line).collect()
}

#[test]
fn beats_of_an_electrocardiogram_are_told_with_time_interval_and_quality() {
    let lines = electric("patch", 0, 60);
    let (told, summary, refused) = played(&lines.join("\n"), &[Type::Beat, Type::Rhythm]);
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(
        (summary.taken, summary.ecg.blocks, summary.ecg.runs),
        (60, 60, 1)
    );
    let beats = of(&told, "beat");
    assert_eq!(beats.len(), 75, "all of them, also the last ones");
    assert_eq!(of(&told, "rhythm").len(), 75);
    for (n, beat) in beats.iter().enumerate() {
        // R is at sample 51 of 104.
        let truth = 1_767_225_600.0 + (n as f64 * 104.0 + 51.0) / 130.0;
        let at: jiff::Timestamp = beat["effective"]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time");
        assert!(
            (at.as_microsecond() as f64 / 1e6 - truth).abs() < 0.005,
            "{n} {beat}"
        );
        assert!(
            beat["quality"].as_f64() > Some(0.75) && beat["counts"] == true,
            "{beat}"
        );
        assert_eq!(beat["source"], "patch");
        let interval = beat["rr_ms"].as_f64();
        assert_eq!(interval.is_none(), n == 0);
        assert!(interval.is_none_or(|ms| (ms - 800.0).abs() < 2.0), "{beat}");
    }
    let last = of(&told, "rhythm")[74];
    assert!(last["abstain"].is_null() && last["af"] == false, "{last}");
    assert_eq!(last["effective"], beats[74]["effective"]);
}

/// Light at 50 Hz: a pulse each 0.8 s, in parts of one, and ten seconds in which it does not change.
#[test]
fn pulse_waves_of_light_are_told_with_their_bound_and_what_was_refused_is_counted() {
    let sample = |n: i64| {
        let since = (n % 40) as f64 / 50.0 / 0.15;
        let ripple = (n * 7 % 11) as f64 / 5000.0;
        let held = (1500..2000).contains(&n);
        if held {
            0.25
        } else {
            (since * since * (2.0 * (1.0 - since)).exp() + ripple) / 2.0
        }
    };
    let line = |second: i64| {
        let at = |millis: i64| {
            let millis = 1_767_225_600_000 + second * 1000 + millis;
            jiff::Timestamp::from_millisecond(millis).expect("in range")
        };
        let samples: Vec<_> = (second * 50..(second + 1) * 50)
            .map(|n| format!("{:.6}", sample(n)))
            .collect();
        format!(
            r#"{{"patient":"p1","source":"clip","kind":"photoplethysmogram","start":"{:.3}","rate_hz":50,"samples":[{}],"known":"{:.3}"}}"#,
            at(0),
            samples.join(","),
            at(1000)
        )
    };
    let lines: Vec<String> = (0..120).map(line).collect();
    let (told, summary, refused) = played(&lines.join("\n"), &[Type::Beat, Type::Rhythm]);
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!((summary.taken, summary.ppg.blocks), (120, 120));
    assert_eq!(summary.ecg, twin::signal::Counts::default());
    let beats = of(&told, "beat");
    assert!(beats.len() > 125 && beats.len() < 137, "{}", beats.len());
    for beat in &beats {
        assert_eq!(beat["wave"], "photoplethysmogram");
        let (interval, within) = (beat["rr_ms"].as_f64(), beat["within_ms"].as_f64());
        assert_eq!(interval.is_none(), within.is_none());
        assert!(interval.is_none_or(|ms| (ms - 800.0).abs() < 3.0), "{beat}");
        assert!(within.is_none_or(|ms| (30.0..40.0).contains(&ms)), "{beat}");
    }
    let held = summary.ppg.refused_ms[twin::signal::Reason::Held as usize];
    assert!(held >= 10_000, "{:?}", summary.ppg);
}

#[test]
fn blocks_with_holes_late_doubled_or_of_no_use_are_counted() {
    let mut lines = electric("patch", 0, 60);
    // Half a second without numbers, a block that is not there, one that comes twice, and one at ten a second.
    let hole = vec!["null"; 65].join(",");
    let cut = lines[10].find("[").expect("samples") + 1;
    let rest = lines[10].split_off(cut);
    let rest = rest.splitn(66, ',').last().expect("the others").to_owned();
    lines[10] = format!("{}{hole},{rest}", lines[10]);
    lines.remove(20);
    let again = lines[30].clone();
    lines.insert(31, again);
    lines.push(lines[50].replace("\"rate_hz\":130", "\"rate_hz\":10"));
    let (told, summary, refused) = played(&lines.join("\n"), &[Type::Beat]);
    assert!(refused.is_empty(), "{refused:?}");
    let ecg = summary.ecg;
    assert_eq!((summary.samples_missing, ecg.late, ecg.refused), (65, 1, 1));
    assert_eq!(
        ecg.runs, 4,
        "the first, after each of two holes, and the doubled block's"
    );
    assert!(told.len() > 65, "{}", told.len());
}

#[test]
fn late_data_make_a_finding_and_no_alert() {
    let falling = falling();
    let late: Vec<_> = falling
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            line["known"] = "2026-01-01T06:00:00Z".into();
            line.to_string()
        })
        .chain([reading("spo2", 7 * 3600, 97.0)])
        .collect();
    let (lines, _, _) = played(&late.join("\n"), &[Type::Alert, Type::Finding]);
    assert!(!of(&lines, "finding").is_empty(), "{lines:?}");
    let live = of(&lines, "alert");
    let physiological = live.iter().any(|line| line["category"] == "physiological");
    assert!(!physiological, "{live:?}");
}

#[test]
fn the_same_file_gives_the_same_bytes_and_patients_do_not_meet() {
    let alone = falling();
    let other = alone.replace("\"p1\"", "\"p2\"");
    let mixed: Vec<_> = alone
        .lines()
        .zip(other.lines())
        .flat_map(|(a, b)| [a, b])
        .collect();
    let of_one = |input: &str, only_patient: &str| {
        let (lines, _, _) = played(input, &[]);
        let own = lines
            .into_iter()
            .filter(|line| line["patient"] == only_patient);
        own.map(|line| line.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of_one(&alone, "p1"), of_one(&mixed.join("\n"), "p1"));
    let swapped: Vec<_> = of_one(&mixed.join("\n"), "p2")
        .into_iter()
        .map(|line| line.replace("\"p2\"", "\"p1\""))
        .collect();
    assert_eq!(of_one(&alone, "p1"), swapped);
}

#[test]
fn a_bad_line_is_told_and_hides_no_other() {
    let input = format!(
        "{}\n\n{{\"patient\":\"p1\"}}\n{}\n",
        reading("heart_rate", 0, 60.0),
        reading("heart_rate", 1, 61.0)
    );
    let (_, summary, refused) = played(&input, &[]);
    assert_eq!((summary.lines, summary.taken, summary.refused), (3, 2, 1));
    assert_eq!(
        refused[0].0, 3,
        "the line's number in the file: {refused:?}"
    );
    let huge = format!(
        "{}\n{}\n",
        "x".repeat(LONGEST as usize + 5),
        reading("heart_rate", 0, 60.0)
    );
    let (_, summary, refused) = played(&huge, &[]);
    assert_eq!((summary.taken, summary.refused), (1, 1), "{refused:?}");
}

#[test]
fn known_times_that_go_back_are_counted() {
    let input = [
        reading("heart_rate", 10, 60.0),
        reading("heart_rate", 5, 61.0),
    ]
    .join("\n");
    assert_eq!(played(&input, &[]).1.known_went_back, 1);
}

#[test]
fn what_the_fold_sets_aside_is_counted() {
    let good = reading("heart_rate", 0, 60.0);
    let ahead = good.replace("\"effective\":\"2026", "\"effective\":\"2036");
    assert_eq!(played(&good, &[]).1.quarantined, 0, "control");
    assert_eq!(played(&[good, ahead].join("\n"), &[]).1.quarantined, 1);
}

/// The document's example is run, so that it stays true.
#[test]
fn the_document_shows_what_comes_out() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("REPLAY.md");
    let text = std::fs::read_to_string(path).expect("REPLAY.md");
    let block = |name: &str| {
        let (_, rest) = text.split_once(&format!("```{name}\n")).expect("a block");
        rest.split_once("```").expect("its end").0.to_owned()
    };
    let (lines, summary, refused) = played(&block("json input"), &[Type::State]);
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!((summary.waveforms, summary.ecg.blocks), (0, 1));
    let last: Value = serde_json::from_str(&block("json output")).expect("JSON");
    assert_eq!(lines.last(), Some(&last));
}
