//! Simulated electrocardiograms with exact truth: waves as bell curves around each R, and the noise of muscles.
//! Simple on purpose, and not the project's patient simulator.

use super::Chance;

/// Share of the interval or seconds beside R, height beside R's, width in seconds: P, Q, R, S, T.
const WAVES: [(f64, f64, f64); 5] = [
    (-0.17, 0.12, 0.022),
    (-0.026, -0.12, 0.010),
    (0.0, 1.0, 0.011),
    (0.028, -0.22, 0.011),
    (0.27, 0.25, 0.05),
];

/// Times of R waves, seconds: a sinus rhythm that breathes, or one without any order.
pub(crate) fn beats(chance: &mut Chance, seconds: f64, irregular: bool) -> Vec<f64> {
    let (mut times, mut at) = (Vec::new(), 0.6);
    while at < seconds - 0.6 {
        times.push(at);
        at += if irregular {
            0.42 + 0.5 * chance.uniform()
        } else {
            0.8 + 0.04 * libm::sin(1.6 * at) + 0.006 * chance.normal()
        };
    }
    times
}

/// Microvolts: R waves of a millivolt, a wandering baseline, a little white noise.
pub(crate) fn signal(chance: &mut Chance, beats: &[f64], seconds: f64, rate: f64) -> Vec<f64> {
    let sample = |n: usize| {
        let at = n as f64 / rate;
        let near = beats.partition_point(|beat| *beat < at - 0.6);
        let waves = beats[near..].iter().take_while(|beat| **beat < at + 0.6);
        let heart: f64 = waves
            .flat_map(|beat| {
                WAVES.map(|(place, height, width)| {
                    let off = (at - beat - place) / width;
                    1000.0 * height * libm::exp(-0.5 * off * off)
                })
            })
            .sum();
        heart + 120.0 * libm::sin(1.3 * at)
    };
    let clean = (0..(seconds * rate) as usize).map(sample);
    clean.map(|value| value + 8.0 * chance.normal()).collect()
}

/// Adds muscle noise between `low` and `high` Hz in bursts of one to four seconds, as strong as the signal itself: over
/// all of it (0 dB), so stronger in the bursts, which are told as begin and end in seconds.
pub(crate) fn bursts(
    chance: &mut Chance,
    signal: &mut [f64],
    rate: f64,
    (low, high): (f64, f64),
) -> Vec<(f64, f64)> {
    let mut noise: Vec<f64> = signal.iter().map(|_| chance.normal()).collect();
    pass(&mut noise, rate, low, true);
    if high < 0.45 * rate {
        pass(&mut noise, rate, high, false);
    }
    let (mut spans, mut at) = (Vec::new(), 1.0);
    let seconds = signal.len() as f64 / rate;
    while at < seconds {
        let end = (at + 1.0 + 3.0 * chance.uniform()).min(seconds);
        spans.push((at, end));
        at = end + 2.0 + 6.0 * chance.uniform();
    }
    for (n, noise) in noise.iter_mut().enumerate() {
        let at = n as f64 / rate;
        let within = spans.iter().any(|(from, to)| (*from..*to).contains(&at));
        *noise *= f64::from(u8::from(within));
    }
    let size = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = values.iter().map(|value| (value - mean) * (value - mean));
        (square.sum::<f64>() / values.len() as f64).sqrt()
    };
    let gain = size(signal) / size(&noise);
    for (value, noise) in signal.iter_mut().zip(&noise) {
        *value += gain * noise;
    }
    spans
}

/// A second-order Butterworth filter.
pub(super) fn pass(values: &mut [f64], rate: f64, corner: f64, high: bool) {
    let turn = 2.0 * core::f64::consts::PI * corner / rate;
    let (cos, sin) = (libm::cos(turn), libm::sin(turn));
    let alpha = sin * core::f64::consts::FRAC_1_SQRT_2;
    let (outer, middle) = if high {
        ((1.0 + cos) / 2.0, -(1.0 + cos))
    } else {
        ((1.0 - cos) / 2.0, 1.0 - cos)
    };
    let (mut before, mut said) = ([0.0; 2], [0.0; 2]);
    for value in values {
        let sum = outer * (*value + before[1]) + middle * before[0];
        let next = (sum + 2.0 * cos * said[0] - (1.0 - alpha) * said[1]) / (1.0 + alpha);
        before = [*value, before[0]];
        said = [next, said[0]];
        *value = next;
    }
}

/// Found beats beside true ones, within 150 ms (AAMI EC57).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Match {
    pub(crate) found: usize,
    pub(crate) truth: usize,
    pub(crate) both: usize,
    /// Standard deviation of the offset and of the interval's error, milliseconds.
    pub(crate) jitter: f64,
    pub(crate) interval_jitter: f64,
}

impl Match {
    pub(crate) fn of(found: &[f64], truth: &[f64]) -> Self {
        let (mut i, mut j) = (0, 0);
        let (mut offsets, mut intervals, mut last) = (Vec::new(), Vec::new(), None);
        while i < found.len() && j < truth.len() {
            let off = found[i] - truth[j];
            if off.abs() <= 0.15 {
                offsets.push(1000.0 * off);
                if last == Some((i.wrapping_sub(1), j.wrapping_sub(1))) {
                    intervals.push(offsets[offsets.len() - 1] - offsets[offsets.len() - 2]);
                }
                last = Some((i, j));
                (i, j) = (i + 1, j + 1);
            } else if off < 0.0 {
                i += 1;
            } else {
                j += 1;
            }
        }
        let deviation = |values: &[f64]| {
            let n = values.len().max(1) as f64;
            let mean = values.iter().sum::<f64>() / n;
            (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt()
        };
        Self {
            found: found.len(),
            truth: truth.len(),
            both: offsets.len(),
            jitter: deviation(&offsets),
            interval_jitter: deviation(&intervals),
        }
    }

    pub(crate) fn f1(&self) -> f64 {
        200.0 * self.both as f64 / (self.found + self.truth) as f64
    }
}
