//! Readers of shared recordings, and what the reports count on them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use twin::ppg;
use twin::signal::{Beat, Counts, Window};
use vitals::gatt::Decimal;
use vitals::{Quality, SourceId, Span, Time, Wave, Waveform};

use super::Chance;
use super::fold::{Fold, ZERO};

/// Text of a gzip file.
pub(crate) fn unzip(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).expect("listed in SOURCE.md");
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("gzip text");
    text
}

/// Beats of a recording in microvolts, taken in blocks as a sensor sends them, through the whole fold. Their times are those
/// of the recording.
pub(crate) fn beats(microvolts: &[f64], rate_hz: f64) -> Vec<Beat> {
    let (mut fold, mut out) = (Fold::new(ZERO), Vec::new());
    let size = (rate_hz * 0.56) as usize;
    for (block, samples) in (0..).zip(microvolts.chunks(size)) {
        let micros = (block * size as u64) as f64 / rate_hz * 1e6;
        let block = Waveform {
            wave: Wave::Ecg,
            source: SourceId(1),
            sequence: block,
            start: ZERO + Span::from_micros(micros.round() as i64),
            received: ZERO,
            rate_millihertz: (rate_hz * 1000.0) as u32,
            channels: 1,
            step: Decimal {
                mantissa: 1,
                exponent: -1,
            },
            numbers: samples.iter().map(|x| (x * 10.0).round() as i32).collect(),
            quality: Quality::GOOD,
        };
        fold.block(block);
        out.extend(fold.beats());
    }
    fold.last_beats();
    out.extend(fold.beats());
    for beat in &mut out {
        beat.at = Time::from_micros(beat.at.since(ZERO).as_micros());
    }
    out
}

/// What is found in light, times as those of the recording.
pub(crate) struct Light {
    pub(crate) beats: Vec<Beat>,
    pub(crate) windows: Vec<Window>,
    pub(crate) counts: Counts,
}

impl Light {
    /// Seconds of its beats.
    pub(crate) fn times(&self) -> Vec<f64> {
        let seconds = |beat: &Beat| beat.at.as_micros() as f64 / 1e6;
        self.beats.iter().map(seconds).collect()
    }

    /// True if the window that a time lies in was believed.
    pub(crate) fn believes(&self, seconds: f64) -> bool {
        let at = Time::from_micros((seconds * 1e6) as i64);
        let mut around = self.windows.iter();
        around.any(|window| window.refused.is_none() && window.from <= at && at < window.to)
    }

    /// Share of the time that was judged whose beats were said.
    pub(crate) fn told(&self) -> f64 {
        let refused: u64 = self.counts.refused_ms.iter().sum();
        self.counts.told_ms as f64 / (self.counts.told_ms + refused).max(1) as f64
    }
}

/// Counts of light, taken in blocks as a sensor sends them.
pub(crate) fn light(finder: ppg::Finder, counts: &[f64], rate_hz: f64) -> Light {
    let (mut lead, mut beats, mut windows) = (ppg::Lead::of(finder), Vec::new(), Vec::new());
    let size = (rate_hz * 0.56) as usize;
    let mut keep = |taken: ppg::Taken| {
        beats.extend(taken.live);
        windows.extend(taken.windows);
    };
    for (block, samples) in (0..).zip(counts.chunks(size)) {
        let micros = (block * size as u64) as f64 / rate_hz * 1e6;
        let block = Waveform {
            wave: Wave::Photoplethysmogram,
            source: SourceId(1),
            sequence: block,
            start: Time::from_micros(micros.round() as i64),
            received: Time::ZERO,
            rate_millihertz: (rate_hz * 1000.0) as u32,
            channels: 1,
            step: Decimal {
                mantissa: 1,
                exponent: 0,
            },
            numbers: samples.iter().map(|x| x.round() as i32).collect(),
            quality: Quality::GOOD,
        };
        keep(lead.take(&block, Time::ZERO));
    }
    keep(lead.finish());
    Light {
        beats,
        windows,
        counts: lead.counts(),
    }
}

/// Challenge 2015 a103l at 250 Hz: microvolts of two leads, and counts of light. No reference beats come with it.
pub(crate) fn challenge(folder: &Path) -> ([Vec<f64>; 2], Vec<f64>) {
    let octets = std::fs::read(folder.join("a103l.mat")).expect("listed in SOURCE.md");
    // Three numbers of 16 bits a sample after 24 octets; 7,247 and 10,520 units a millivolt.
    let channel = |place: usize, unit: f64| {
        let samples = octets[24..].chunks_exact(6);
        let number = |of: &[u8]| f64::from(i16::from_le_bytes([of[2 * place], of[2 * place + 1]]));
        samples.map(|of| number(of) * unit).collect::<Vec<f64>>()
    };
    let microvolts = [channel(0, 1000.0 / 7247.0), channel(1, 1000.0 / 10520.0)];
    (microvolts, channel(2, 1.0))
}

/// MITDB 100: microvolts of its first lead at 360 Hz, and samples of its reference beats.
pub(crate) fn mitdb(folder: &Path) -> (Vec<f64>, Vec<i64>) {
    let read = |name: &str| std::fs::read(folder.join(name)).expect("listed in SOURCE.md");
    // Format 212: two numbers of twelve bits in three octets; 200 units a millivolt from 1024.
    let first = |octets: &[u8]| {
        let number = i32::from(octets[0]) | (i32::from(octets[1] & 0x0f) << 8);
        let number = if number > 2047 { number - 4096 } else { number };
        f64::from(number - 1024) * 5.0
    };
    let signal = read("100.dat").chunks_exact(3).map(first).collect();
    (signal, annotated(&read("100.atr")))
}

/// Samples of the beats in an annotation file of the WFDB format.
fn annotated(octets: &[u8]) -> Vec<i64> {
    let word = |at: usize| u16::from(octets[at]) | (u16::from(octets[at + 1]) << 8);
    let (mut beats, mut time, mut at) = (Vec::new(), 0_i64, 0);
    while at + 1 < octets.len() {
        let (code, amount) = (word(at) >> 10, i64::from(word(at) & 0x3ff));
        at += 2;
        match (code, amount) {
            (0, 0) => break,
            // SKIP: a long interval follows.
            (59, _) => {
                time += i64::from(word(at)) << 16 | i64::from(word(at + 2));
                at += 4;
            }
            (60..=62, _) => {}
            // AUX: text follows.
            (63, _) => at += (amount as usize).next_multiple_of(2),
            (1..=13 | 25 | 30 | 31 | 34 | 35 | 38 | 41, _) => {
                time += amount;
                beats.push(time);
            }
            (_, _) => time += amount,
        }
    }
    beats
}

/// CinC 2017: name, label, and microvolts at 300 Hz of each recording.
pub(crate) fn cinc(folder: &Path) -> Vec<(String, char, Vec<f64>)> {
    let list = std::fs::read_to_string(folder.join("REFERENCE.csv")).expect("listed in SOURCE.md");
    let recording = |line: &str| {
        let (name, label) = line.split_once(',')?;
        let octets = std::fs::read(folder.join(format!("{name}.mat"))).ok()?;
        let samples = octets.get(24..)?.chunks_exact(2);
        let microvolts = samples.map(|two| f64::from(i16::from_le_bytes([two[0], two[1]])));
        Some((name.to_owned(), label.chars().next()?, microvolts.collect()))
    };
    list.lines().filter_map(recording).collect()
}

/// 95 % interval of a share by Wilson.
pub(crate) fn wilson(hits: u64, of: u64) -> (f64, f64) {
    let (n, z) = (of.max(1) as f64, 1.96);
    let p = hits as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    (
        100.0 * (middle - half).max(0.0),
        100.0 * (middle + half).min(1.0),
    )
}

/// 95 % interval of a figure over recordings, by drawing them again two thousand times.
pub(crate) fn bootstrap<T>(recordings: &[T], figure: impl Fn(&[&T]) -> f64) -> (f64, f64) {
    let mut chance = Chance(1);
    let mut figures: Vec<f64> = (0..2000)
        .map(|_| {
            let draw = |_| &recordings[(chance.uniform() * recordings.len() as f64) as usize];
            figure(&(0..recordings.len()).map(draw).collect::<Vec<_>>())
        })
        .filter(|figure| figure.is_finite())
        .collect();
    figures.sort_by(f64::total_cmp);
    let at = |share: f64| figures[((figures.len() - 1) as f64 * share) as usize];
    (at(0.025), at(0.975))
}

/// How well `low` and `high` are told apart: the share of pairs in which the second is higher.
pub(crate) fn area(low: &[f64], high: &[f64]) -> f64 {
    let wins = |x: &f64| {
        let lower = low.iter().filter(|y| *y < x).count() as f64;
        lower + 0.5 * low.iter().filter(|y| *y == x).count() as f64
    };
    high.iter().map(wins).sum::<f64>() / (low.len() * high.len()) as f64
}
