//! Simulated light through skin with exact truth: pulse waves that follow each R wave, weaker after a short interval, with
//! what breathing, movement and a cold finger make of them; and the trivial way to find beats in it.
//! Simple on purpose, and not the project's patient simulator.

use std::path::Path;

use twin::ppg;
use twin::signal::Window;
use vitals::Time;

use super::Chance;
use super::electric::{Match, pass};
use super::recorded::{self, Light};

/// Counts of a pulse of usual height, and of the light that comes back without one.
const PULSE: f64 = 1000.0;
const STILL: f64 = 100_000.0;

/// How a sensor is worn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worn {
    /// A pulse beside the usual one.
    pub(crate) perfusion: f64,
    /// Light that comes back is counted: a pulse goes down.
    pub(crate) returns: bool,
    /// White noise, counts.
    pub(crate) noise: f64,
}

impl Worn {
    /// A warm finger.
    pub(crate) const WELL: Self = Self {
        perfusion: 1.0,
        returns: false,
        noise: 10.0,
    };
    /// A cold one: a twentieth of the pulse, with the same noise.
    pub(crate) const COLD: Self = Self {
        perfusion: 0.05,
        ..Self::WELL
    };
}

/// From an R wave to the foot of its pulse wave: 0.2 s, with breathing and from beat to beat (some 8 ms together).
fn travel(chance: &mut Chance, at: f64) -> f64 {
    0.2 + 0.008 * libm::sin(1.6 * at) + 0.005 * chance.normal()
}

/// A pulse wave, `t` seconds after its foot: up within 0.15 s, down by itself, and the second wave after the valve closes.
fn wave(t: f64) -> f64 {
    if t <= 0.0 {
        return 0.0;
    }
    let first = t / 0.15;
    let second = (t - 0.37) / 0.05;
    first * first * libm::exp(2.0 * (1.0 - first)) + 0.15 * libm::exp(-0.5 * second * second)
}

/// Counts at `rate` a second of the pulse waves that follow these R waves.
pub(crate) fn signal(
    chance: &mut Chance,
    beats: &[f64],
    seconds: f64,
    rate: f64,
    worn: Worn,
) -> Vec<f64> {
    let mut last: Option<f64> = None;
    let pulses: Vec<(f64, f64)> = beats
        .iter()
        .map(|beat| {
            // What the heart had no time to fill with it does not throw out.
            let filled = last.map_or(1.0, |last| ((beat - last - 0.25) / 0.45).clamp(0.15, 1.1));
            last = Some(*beat);
            (beat + travel(chance, *beat), filled)
        })
        .collect();
    let sample = |n: usize| {
        let at = n as f64 / rate;
        let from = pulses.partition_point(|(foot, _)| *foot < at - 1.5);
        let near = pulses[from..].iter().take_while(|(foot, _)| *foot < at);
        let pulse: f64 = near.map(|(foot, height)| height * wave(at - foot)).sum();
        let breath = 1.0 + 0.1 * libm::sin(1.6 * at);
        PULSE * worn.perfusion * (pulse * breath + 0.25 * libm::sin(1.6 * at) + libm::sin(0.2 * at))
    };
    (0..(seconds * rate) as usize)
        .map(|n| {
            let value = sample(n) + worn.noise * chance.normal();
            (STILL + if worn.returns { -value } else { value }).round()
        })
        .collect()
}

/// Adds what movement does, 0.5 to 5 Hz and as high as so many pulses, in stretches of 3 to 12 s, which are told.
pub(crate) fn moved(
    chance: &mut Chance,
    signal: &mut [f64],
    rate: f64,
    times: f64,
) -> Vec<(f64, f64)> {
    let mut noise: Vec<f64> = signal.iter().map(|_| chance.normal()).collect();
    pass(&mut noise, rate, 0.5, true);
    pass(&mut noise, rate, 5.0, false);
    let square: f64 = noise.iter().map(|value| value * value).sum();
    // A pulse is about three deviations high.
    let gain = times * PULSE / 3.0 / (square / noise.len() as f64).sqrt();
    let (mut spans, mut at) = (Vec::new(), 10.0);
    let seconds = signal.len() as f64 / rate;
    while at < seconds {
        let end = (at + 3.0 + 9.0 * chance.uniform()).min(seconds);
        spans.push((at, end));
        at = end + 8.0 + 12.0 * chance.uniform();
    }
    for (n, (value, noise)) in signal.iter_mut().zip(&noise).enumerate() {
        let at = n as f64 / rate;
        if spans.iter().any(|(from, to)| (*from..*to).contains(&at)) {
            *value = (*value + gain * noise).round();
        }
    }
    spans
}

/// The trivial way: what is highest within 0.3 s on both sides and above a fixed share of the signal's range.
pub(crate) fn trivial(signal: &[f64], rate: f64) -> Vec<f64> {
    let mut sorted = signal.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let cut = at(0.05) + 0.6 * (at(0.95) - at(0.05));
    let apart = (0.3 * rate) as usize;
    let is_peak = |n: &usize| {
        let around = n.saturating_sub(apart)..(n + apart + 1).min(signal.len());
        let highest = around
            .clone()
            .all(|m| signal[m] < signal[*n] || m >= *n && signal[m] <= signal[*n]);
        signal[*n] > cut && highest
    };
    let found = (0..signal.len()).filter(is_peak);
    found.map(|n| n as f64 / rate).collect()
}

/// Found waves beside true beats: by how much they are later on the whole, as most of them match.
pub(crate) fn lag(found: &[f64], truth: &[f64]) -> f64 {
    let matched = |lag: f64| {
        let near = |at: &&f64| {
            let place = truth.partition_point(|beat| beat + lag < **at);
            let off = |place: Option<usize>| {
                let beat = place.and_then(|place| truth.get(place));
                beat.map_or(f64::INFINITY, |beat| (beat + lag - **at).abs())
            };
            off(Some(place)).min(off(place.checked_sub(1))) < 0.075
        };
        found.iter().filter(near).count()
    };
    let lags = (-10..=60).map(|hundredth| f64::from(hundredth) / 100.0);
    let best = lags.max_by_key(|lag| matched(*lag)).unwrap_or(0.0);
    // To the middle of what matches.
    let mut offs: Vec<f64> = found
        .iter()
        .filter_map(|at| {
            let nearest = |beat: &f64| (beat + best - at).abs();
            let beat = truth
                .iter()
                .copied()
                .min_by(|a, b| nearest(a).total_cmp(&nearest(b)))?;
            (nearest(&beat) < 0.15).then_some(at - beat)
        })
        .collect();
    offs.sort_unstable_by(f64::total_cmp);
    offs.get(offs.len() / 2).copied().unwrap_or(best)
}

/// Waves that were found beside true beats, with the best lag: of all, and of those whose windows were believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    /// F1 over all true beats, per cent.
    pub(crate) all: f64,
    /// The same without the true beats in windows that were refused.
    pub(crate) believed: f64,
    pub(crate) lag: f64,
    /// Of intervals, milliseconds: standard deviation, the 95th of a hundred, and the share within the bound that was told, per cent.
    pub(crate) error: f64,
    pub(crate) error_95: f64,
    pub(crate) within: f64,
}

impl Beside {
    pub(crate) fn of(found: &Light, truth: &[f64]) -> Self {
        let times = found.times();
        let lag = lag(&times, truth);
        let shifted: Vec<f64> = truth.iter().map(|beat| beat + lag).collect();
        let all = Match::of(&times, &shifted);
        let near = |list: &[f64], at: f64| {
            let place = list.partition_point(|other| *other < at);
            let around = [Some(place), place.checked_sub(1)];
            let off = around
                .into_iter()
                .flatten()
                .filter_map(|place| list.get(place));
            off.map(|other| (other - at).abs())
                .fold(f64::INFINITY, f64::min)
        };
        // A true beat at the edge of a window may have its wave in it.
        let due = shifted
            .iter()
            .filter(|at| found.believes(**at) || near(&times, **at) <= 0.15);
        let believed = 200.0 * all.both as f64 / (times.len() + due.count()).max(1) as f64;
        let (mut errors, mut held) = (Vec::new(), 0);
        for (pair, beat) in times.windows(2).zip(found.beats.iter().skip(1)) {
            let (Some(interval), Some(within)) = (beat.tenth_ms, beat.within_tenth_ms) else {
                continue;
            };
            let of = |at: f64| shifted.partition_point(|beat| *beat < at - 0.15);
            let (a, b) = (of(pair[0]), of(pair[1]));
            let is_pair = b == a + 1 && b < shifted.len();
            if is_pair
                && (shifted[a] - pair[0]).abs() <= 0.15
                && (shifted[b] - pair[1]).abs() <= 0.15
            {
                let error = interval as f64 / 10.0 - 1000.0 * (shifted[b] - shifted[a]);
                errors.push(error);
                held += usize::from(error.abs() <= within as f64 / 10.0);
            }
        }
        let n = errors.len().max(1) as f64;
        let mean = errors.iter().sum::<f64>() / n;
        let error = (errors.iter().map(|e| (e - mean) * (e - mean)).sum::<f64>() / n).sqrt();
        let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let error_95 = sizes.get(sizes.len() * 95 / 100).copied().unwrap_or(0.0);
        Self {
            all: all.f1(),
            believed,
            lag,
            error,
            error_95,
            within: 100.0 * held as f64 / n,
        }
    }
}

/// F1 of the trivial way at its best lag and in the direction in which it is better, per cent.
pub(crate) fn trivial_beside(signal: &[f64], rate: f64, truth: &[f64]) -> f64 {
    let down: Vec<f64> = signal.iter().map(|value| -value).collect();
    let f1 = |signal: &[f64]| {
        let found = trivial(signal, rate);
        let lag = lag(&found, truth);
        let shifted: Vec<f64> = truth.iter().map(|beat| beat + lag).collect();
        Match::of(&found, &shifted).f1()
    };
    f1(signal).max(f1(&down))
}

/// What was reached on the light of a103l, beside its own electrocardiogram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Challenge {
    /// Seconds whose reference both leads agree on, of those that there are.
    pub(crate) seconds: f64,
    pub(crate) of_seconds: f64,
    /// Reference beats in them.
    pub(crate) beats: usize,
    /// Share of that time whose beats were said.
    pub(crate) told: f64,
    pub(crate) beside: Beside,
    /// F1 if nothing is refused, and of the trivial way, per cent.
    pub(crate) everything: f64,
    pub(crate) trivial: f64,
}

/// No reference beats come with a103l: they are those of our own QRS detection, in stretches of ten seconds in which it finds
/// the same in both leads.
pub(crate) fn challenge(folder: &Path) -> Challenge {
    const RATE: f64 = 250.0;
    const STRETCH: f64 = 10.0;
    let (leads, light) = recorded::challenge(folder);
    let times = |lead: &Vec<f64>| {
        let found = recorded::beats(lead, RATE);
        found
            .iter()
            .map(|beat| beat.at.as_micros() as f64 / 1e6)
            .collect::<Vec<f64>>()
    };
    let [first, second] = [&leads[0], &leads[1]].map(times);
    // A lead's R wave may be a little later than the other's.
    let apart = lag(&second, &first);
    let shifted: Vec<f64> = second.iter().map(|at| at - apart).collect();
    let length = light.len() as f64 / RATE;
    let within = |list: &[f64], from: f64| {
        let those = list
            .iter()
            .filter(|at| (from..from + STRETCH).contains(*at));
        those.copied().collect::<Vec<f64>>()
    };
    let stretches = (0..(length / STRETCH) as usize).map(|n| n as f64 * STRETCH);
    let sure: Vec<f64> = stretches
        .filter(|from| Match::of(&within(&first, *from), &within(&shifted, *from)).f1() >= 95.0)
        .collect();
    let is_sure = |at: f64| {
        sure.iter()
            .any(|from| (*from..from + STRETCH).contains(&at))
    };
    let truth: Vec<f64> = first.iter().copied().filter(|at| is_sure(*at)).collect();
    let only = |mut found: Light| {
        let start = |at: Time| is_sure(at.as_micros() as f64 / 1e6);
        found.beats.retain(|beat| start(beat.at));
        found.windows.retain(|window| start(window.from));
        found
    };
    let found = only(recorded::light(ppg::Finder::default(), &light, RATE));
    let all = only(recorded::light(
        ppg::Finder::that_believes_all(),
        &light,
        RATE,
    ));
    let lasted = |window: &Window| window.to.since(window.from).as_secs_f64();
    let told = found
        .windows
        .iter()
        .filter(|window| window.refused.is_none());
    let (told, judged): (f64, f64) = (
        told.map(lasted).sum(),
        found.windows.iter().map(lasted).sum(),
    );
    let trivially: Vec<f64> = trivial(&light, RATE)
        .into_iter()
        .filter(|at| is_sure(*at))
        .collect();
    let late = lag(&trivially, &truth);
    let due: Vec<f64> = truth.iter().map(|at| at + late).collect();
    Challenge {
        seconds: sure.len() as f64 * STRETCH,
        of_seconds: length,
        beats: truth.len(),
        told: told / judged,
        beside: Beside::of(&found, &truth),
        everything: Beside::of(&all, &truth).all,
        trivial: Match::of(&trivially, &due).f1(),
    }
}
