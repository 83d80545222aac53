//! QRS complexes, their times and their quality: MITDB 100 as it is and under noise, simulated electrocardiograms with exact
//! truth at 125 to 500 Hz, and the quality's power to tell noisy recordings of CinC 2017.

use twin::ecg::DOUBTFUL;
use twin::signal::Beat;

use super::support::Chance;
use super::support::electric::{self, Match};
use super::support::recorded::{area, beats, bootstrap, cinc, mitdb};
use super::{Aim, Figure, Section, Wanted};

/// Bands of muscle noise, Hz: surface EMG as usual; reaching lower; and covering the QRS complex itself.
const BANDS: [(f64, f64); 3] = [(20.0, 120.0), (10.0, 90.0), (5.0, 50.0)];

pub(super) fn report(wanted: &Wanted) -> Vec<Section> {
    let mut sections = Vec::new();
    let folder = wanted.recordings.join("wfdb_sample");
    sections.push(if folder.exists() {
        let (signal, truth) = mitdb(&folder);
        let truth: Vec<f64> = truth.iter().map(|sample| *sample as f64 / 360.0).collect();
        let mut section = Section::new(
            "Heart beats: MITDB 100",
            format!(
                "360 Hz, {} reference beats, within 150 ms; noise is synthetic (0 dB over the record, in bursts, two seeds). The one recording here with reference beats.",
                truth.len()
            ),
        );
        let found = beats(&signal, 360.0);
        section.figures = of("as it is", &found, &truth);
        section.figures[0].aim = Some(Aim::Least(99.9));
        section.figures[1].aim = Some(Aim::Most(1.5));
        noisy(&signal, &truth, 360.0, &mut section.figures);
        section
    } else {
        Section::absent("Heart beats: MITDB 100", &folder)
    });
    let mut section = Section::new("Heart beats: simulated", "Exact truth, 10 min each.");
    for rate in [125.0, 130.0, 250.0, 500.0] {
        for irregular in [false, true] {
            let mut chance = Chance(11);
            let truth = electric::beats(&mut chance, 600.0, irregular);
            let mut signal = electric::signal(&mut chance, &truth, 600.0, rate);
            let rhythm = if irregular { "without order" } else { "sinus" };
            let name = format!("{rate} Hz {rhythm}");
            section
                .figures
                .extend(of(&name, &beats(&signal, rate), &truth));
            electric::bursts(&mut chance, &mut signal, rate, BANDS[0]);
            let name = format!("{name}, bursts");
            section
                .figures
                .extend(of(&name, &beats(&signal, rate), &truth));
        }
    }
    sections.push(section);
    let folder = wanted.recordings.join("cinc2017");
    sections.push(if folder.exists() {
        quality(&cinc(&folder))
    } else {
        Section::absent("Quality of beats: CinC 2017", &folder)
    });
    sections
}

fn seconds(beat: &Beat) -> f64 {
    beat.at.as_micros() as f64 / 1e6
}

/// F1 and jitter.
fn of(name: &str, found: &[Beat], truth: &[f64]) -> Vec<Figure> {
    let found: Vec<f64> = found.iter().map(seconds).collect();
    let of = Match::of(&found, truth);
    vec![
        Figure::new(format!("F1, {name}"), of.f1(), "%"),
        Figure::new(format!("jitter of times, {name}"), of.jitter, "ms"),
        Figure::new(
            format!("jitter of intervals, {name}"),
            of.interval_jitter,
            "ms",
        ),
    ]
}

fn noisy(signal: &[f64], truth: &[f64], rate: f64, figures: &mut Vec<Figure>) {
    for band in BANDS {
        for seed in [7, 8] {
            let mut noisy = signal.to_vec();
            let spans = electric::bursts(&mut Chance(seed), &mut noisy, rate, band);
            let found = beats(&noisy, rate);
            let name = format!("bursts {}-{} Hz, {seed}", band.0, band.1);
            figures.extend(of(&name, &found, truth));
            let place = figures.len() - 3;
            figures[place].aim = (band == BANDS[0]).then_some(Aim::Least(97.5));
            let doubted = |(from, to): &&(f64, f64)| {
                let mut within = found
                    .iter()
                    .filter(|beat| (*from..*to).contains(&seconds(beat)));
                within.any(|beat| beat.quality < DOUBTFUL)
            };
            let flagged = spans.iter().filter(doubted).count() as u64;
            let share = Figure::share(format!("doubted, {name}"), flagged, spans.len() as u64);
            figures.push(share.aims(Aim::Least(95.0)));
        }
    }
}

fn quality(recordings: &[(String, char, Vec<f64>)]) -> Section {
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
    let mut section = Section::new(
        "Quality of beats: CinC 2017",
        "Area under the curve: noisy recordings told from others by the mean quality of their beats. The quality was chosen on these recordings.",
    );
    for (name, others) in [
        ("all others", "NAO"),
        ("normal", "N"),
        ("AF", "A"),
        ("other", "O"),
    ] {
        let all: Vec<&(char, f64)> = of.iter().collect();
        let figure = |of: &[&(char, f64)]| area(&only(of, "~"), &only(of, others));
        let interval = bootstrap(&of, figure);
        let area = Figure::new(format!("noisy against {name}"), figure(&all), "").within(interval);
        section.figures.push(if others.len() == 3 {
            area.aims(Aim::Least(0.95))
        } else {
            area
        });
    }
    section
}
