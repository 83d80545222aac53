//! Report: QRS complexes, their times and their quality. Run: `cargo run --release -p twin --example ecg_report`.
//!
//! MITDB 100 as it is and under noise, simulated ECG with exact truth at 125 to 500 Hz, and the quality's power to tell
//! noisy recordings of CinC 2017.

mod support;

use support::Chance;
use support::electric::{self, Match};
use support::recorded::{area, beats, bootstrap, cinc, mitdb};
use twin::ecg::{Beat, DOUBTFUL};

/// Bands of muscle noise, Hz: surface EMG as usual; reaching lower; and covering the QRS complex itself.
const BANDS: [(f64, f64); 3] = [(20.0, 120.0), (10.0, 90.0), (5.0, 50.0)];

fn main() {
    let recordings = support::recordings();
    let folder = recordings.join("wfdb_sample");
    if folder.exists() {
        let (signal, truth) = mitdb(&folder);
        let truth: Vec<f64> = truth.iter().map(|sample| *sample as f64 / 360.0).collect();
        println!(
            "MITDB 100, 360 Hz, {} reference beats, within 150 ms",
            truth.len()
        );
        let start = support::spent();
        let found = beats(&signal, 360.0);
        let each = (support::spent() - start).as_nanos() as f64 / signal.len() as f64;
        print("as it is", &found, &truth);
        println!("  {each:.0} ns a sample");
        noisy(&signal, &truth, 360.0);
    } else {
        println!("skipped: {} absent", folder.display());
    }
    println!("Simulated, exact truth, 10 min each");
    for rate in [125.0, 130.0, 200.0, 250.0, 360.0, 500.0] {
        for irregular in [false, true] {
            let mut chance = Chance(11);
            let truth = electric::beats(&mut chance, 600.0, irregular);
            let signal = electric::signal(&mut chance, &truth, 600.0, rate);
            let rhythm = if irregular { "irregular" } else { "sinus" };
            let name = format!("{rate} Hz {rhythm}");
            print(&name, &beats(&signal, rate), &truth);
            let mut burst = signal.clone();
            electric::bursts(&mut chance, &mut burst, rate, BANDS[0]);
            print(&format!("{name}, bursts"), &beats(&burst, rate), &truth);
        }
    }
    let folder = recordings.join("cinc2017");
    if folder.exists() {
        quality(&cinc(&folder));
    } else {
        println!("skipped: {} absent", folder.display());
    }
}

fn noisy(signal: &[f64], truth: &[f64], rate: f64) {
    for band in BANDS {
        for seed in [7, 8] {
            let mut noisy = signal.to_vec();
            let spans = electric::bursts(&mut Chance(seed), &mut noisy, rate, band);
            let found = beats(&noisy, rate);
            let name = format!("bursts {}-{} Hz 0 dB, {seed}", band.0, band.1);
            print(&name, &found, truth);
            // Bursts that a doubtful beat lies in, and beats away from bursts that are doubted.
            let doubted = |from: f64, to: f64| {
                let within = |beat: &&Beat| (from..to).contains(&seconds(beat));
                found
                    .iter()
                    .filter(within)
                    .any(|beat| beat.quality < DOUBTFUL)
            };
            let flagged = spans
                .iter()
                .filter(|(from, to)| doubted(*from, *to))
                .count();
            let away = |beat: &&Beat| {
                let at = seconds(beat);
                spans
                    .iter()
                    .all(|(from, to)| at < from - 0.7 || at > to + 0.7)
            };
            let clear: Vec<&Beat> = found.iter().filter(away).collect();
            let wrong = clear.iter().filter(|beat| beat.quality < DOUBTFUL).count();
            println!(
                "    {flagged} of {} bursts doubted, {wrong} of {} beats away from them",
                spans.len(),
                clear.len()
            );
        }
    }
}

fn seconds(beat: &Beat) -> f64 {
    beat.at.as_micros() as f64 / 1e6
}

fn print(name: &str, found: &[Beat], truth: &[f64]) {
    let found: Vec<f64> = found.iter().map(seconds).collect();
    let of = Match::of(&found, truth);
    println!(
        "  {name:>26}: Se {:6.2} PPV {:6.2} F1 {:6.2}  jitter {:.2} ms, of intervals {:.2} ms",
        100.0 * of.both as f64 / of.truth as f64,
        100.0 * of.both as f64 / of.found as f64,
        of.f1(),
        of.jitter,
        of.interval_jitter
    );
}

fn quality(recordings: &[(String, char, Vec<f64>)]) {
    let mean = |signal: &[f64]| {
        let found = beats(signal, 300.0);
        let sum: f64 = found.iter().map(|beat| beat.quality).sum();
        if found.is_empty() {
            0.0
        } else {
            sum / found.len() as f64
        }
    };
    let of: Vec<(char, f64)> = recordings
        .iter()
        .map(|(_, label, signal)| (*label, mean(signal)))
        .collect();
    let only = |of: &[&(char, f64)], wanted: &str| {
        let those = of.iter().filter(|(label, _)| wanted.contains(*label));
        those.map(|(_, quality)| *quality).collect::<Vec<f64>>()
    };
    println!("CinC 2017, mean quality of a recording's beats: noisy recordings told from others");
    for (name, others) in [
        ("all others", "NAO"),
        ("normal", "N"),
        ("AF", "A"),
        ("other", "O"),
    ] {
        let all: Vec<&(char, f64)> = of.iter().collect();
        let figure = |of: &[&(char, f64)]| area(&only(of, "~"), &only(of, others));
        let (low, high) = bootstrap(&of, figure);
        println!(
            "  {name:>10}: area {:.3} (95 %: {low:.3}-{high:.3})",
            figure(&all)
        );
    }
}
