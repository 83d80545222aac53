//! Two ways to find pulse waves in some seconds of light, as unlike each other as can be.
//!
//! * The multi-scale one (Bishop and Ercole 2018, in windows of some seconds as "MSPTDfast", Charlton 2025): a peak is what is
//!   highest at all scales up to the one at which most samples are. Here of the slope, in which what is slow is small, and a
//!   wave that comes early stands beside the one before it and not upon it. It finds weak waves beside strong ones.
//! * The slope sum (Zong 2003, "wabp" and "qppg"): where the sum of rising slopes of an eighth of a second passes a third of
//!   what it usually reaches. It has a threshold, and knows no shape.
//!
//! Pure; both work on samples at [`super::RATE`] in which a pulse goes up. Neither looks at how regular beats are.

use alloc::string::String;
use alloc::vec::Vec;

/// Scales of the first are looked at each second sample (25 Hz), up to a second: from 30 beats a minute on.
const STRIDE: usize = 2;
const SCALES: usize = 25;
/// A wave rises for no longer: 0.7 s.
const RISE: usize = 35;
/// What rises less than a tenth as fast as the fastest is noise.
const LEAST: f64 = 0.1;
/// What rises within 0.4 s of another, and less than a third as fast, is its second wave, after the valve closed.
const SECOND: usize = 20;
const SECONDARY: f64 = 1.0 / 3.0;
/// It rises where it does so at least a twentieth as fast as at its steepest.
const FLAT: f64 = 0.05;
/// The slope sum: 120 ms.
const SUMMED: usize = 6;
/// Its highest is looked for so far after it passes the threshold: 160 ms.
const AFTER: usize = 8;
/// Two waves are never closer: 260 ms.
const REFRACTORY: usize = 13;

/// A pulse wave, in samples since the window began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wave {
    /// Where it begins to rise.
    pub(super) foot: usize,
    /// Where it rises fastest.
    pub(super) steep: f64,
    /// Where it is half way up.
    pub(super) middle: f64,
    /// From its foot to its peak.
    pub(super) height: f64,
}

/// Waves by the multi-scale peaks of their slopes.
pub(super) fn scaled(signal: &[f64]) -> Vec<Wave> {
    let slopes: Vec<f64> = (0..signal.len())
        .map(|at| {
            let after = signal.get(at + 1).unwrap_or(&signal[at]);
            after - signal[at.saturating_sub(1)]
        })
        .collect();
    let fastest = slopes.iter().copied().fold(0.0, f64::max);
    let mut steep: Vec<usize> = Vec::new();
    for at in peaks(&slopes) {
        let second = steep
            .last()
            .is_some_and(|last| at - last < SECOND && slopes[at] < SECONDARY * slopes[*last]);
        if slopes[at] > LEAST * fastest && !second {
            steep.push(at);
        }
    }
    let next = steep
        .iter()
        .skip(1)
        .copied()
        .chain(core::iter::once(signal.len()));
    let rising = |(at, next): (&usize, usize)| wave(signal, &slopes, *at, next);
    steep.iter().zip(next).filter_map(rising).collect()
}

/// Places that are highest at every scale up to the one at which most are.
fn peaks(signal: &[f64]) -> Vec<usize> {
    let coarse: Vec<f64> = signal.iter().step_by(STRIDE).copied().collect();
    // Of two equal neighbours one is the peak: light is counted in whole numbers.
    let highest = |at: usize, scale: usize| {
        at >= scale
            && at + scale < coarse.len()
            && coarse[at] > coarse[at - scale]
            && coarse[at] >= coarse[at + scale]
    };
    let (mut best, mut most) = (1, 0);
    for scale in 1..=SCALES {
        let count = (scale..coarse.len().saturating_sub(scale))
            .filter(|at| highest(*at, scale))
            .count();
        if count > most {
            (best, most) = (scale, count);
        }
    }
    let is_peak = |at: &usize| (1..=best).all(|scale| highest(*at, scale));
    let fine = |at: usize| {
        let around = (at * STRIDE).saturating_sub(1)..=(at * STRIDE + 1).min(signal.len() - 1);
        around.max_by(|a, b| signal[*a].total_cmp(&signal[*b]))
    };
    (0..coarse.len()).filter(is_peak).filter_map(fine).collect()
}

/// The wave that rises fastest at `steep`; the next one does at `next`.
fn wave(signal: &[f64], slopes: &[f64], steep: usize, next: usize) -> Option<Wave> {
    if slopes[steep] <= 0.0 {
        return None;
    }
    // It begins and ends to rise where it hardly rises: before a slow heart's wave the ground itself may.
    let flat = |at: &usize| slopes[*at] <= FLAT * slopes[steep];
    let foot = (steep.saturating_sub(RISE)..=steep).rev().find(flat)?;
    let peak = (steep..next.min(steep + RISE)).find(flat)?;
    let beside = vertex(
        slopes[steep.checked_sub(1)?],
        slopes[steep],
        *slopes.get(steep + 1)?,
    );
    let half = (signal[foot] + signal[peak]) / 2.0;
    let crosses = |at: &usize| signal[*at] <= half && signal[*at + 1] > half;
    let near = |at: &usize| (at.abs_diff(steep), *at);
    let below = (foot..peak).filter(crosses).min_by_key(near)?;
    let middle = below as f64 + (half - signal[below]) / (signal[below + 1] - signal[below]);
    Some(Wave {
        foot,
        steep: steep as f64 + beside,
        middle,
        height: signal[peak] - signal[foot],
    })
}

/// How far beside the middle of three the parabola through them is highest.
fn vertex(before: f64, middle: f64, after: f64) -> f64 {
    let bend = before - 2.0 * middle + after;
    if bend < 0.0 {
        (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
    } else {
        0.0
    }
}

/// Where waves rise fastest, by the sum of slopes.
pub(super) fn sloped(signal: &[f64]) -> Vec<f64> {
    let rise = |at: usize| (signal[at] - signal[at - 1]).max(0.0);
    let sums: Vec<f64> = (0..signal.len())
        .map(|at| {
            (at.saturating_sub(SUMMED).max(1)..=at)
                .map(|at| if at == 0 { 0.0 } else { rise(at) })
                .sum()
        })
        .collect();
    let mean = sums.iter().sum::<f64>() / sums.len().max(1) as f64;
    // Three times the mean is about what the sum of a pulse reaches.
    let mut usual = 3.0 * mean;
    let (mut found, mut open) = (Vec::new(), 1);
    for at in 1..sums.len() {
        let cut = usual / 3.0;
        if at < open || sums[at] <= cut || sums[at - 1] > cut {
            continue;
        }
        let until = (at + AFTER).min(sums.len() - 1);
        let Some(highest) = (at..=until).max_by(|a, b| sums[*a].total_cmp(&sums[*b])) else {
            continue;
        };
        usual += (sums[highest] - usual) / 10.0;
        found.push(highest as f64 - SUMMED as f64 / 2.0);
        open = at + REFRACTORY;
    }
    found
}

/// What decides, for hashes.
pub(super) fn definition() -> String {
    alloc::format!(
        "scales {SCALES} of {STRIDE} rise {RISE} {FLAT} least {LEAST} second {SECOND} {SECONDARY} slopes {SUMMED} {AFTER} refractory {REFRACTORY}"
    )
}
