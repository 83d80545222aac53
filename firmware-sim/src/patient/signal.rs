//! PURE: what sensors on a body see: the ECG in millivolt, light absorbed by pulsing blood, acceleration, warmth.
//!
//! Shapes are sums of Gaussians, as in McSharry et al. 2003 (IEEE Trans Biomed Eng 50:289), fixed in time around each R
//! peak, so that the R peak is where the beat is.

use std::f64::consts::TAU;

use super::Patient;
use super::heart::{Beat, Rhythm};
use super::noise::uniform;

/// Channels of noise.
const ECG_NOISE: u64 = 101;
const IR_NOISE: u64 = 102;
const RED_NOISE: u64 = 103;
const MOTION_NOISE: u64 = 104;

/// (time from the R peak s, height mV, width s) of P, Q, R, S.
const P_WAVE: (f64, f64, f64) = (-0.16, 0.12, 0.022);
const QRS: [(f64, f64, f64); 3] = [
    (-0.030, -0.10, 0.010),
    (0.0, 1.10, 0.011),
    (0.030, -0.18, 0.011),
];
/// T wave for an RR interval of one second; its time follows the square root of the interval (Bazett).
const T_WAVE: (f64, f64, f64) = (0.32, 0.28, 0.045);
/// Fibrillatory waves: height mV and frequency Hz.
const F_WAVE: (f64, f64) = (0.04, 6.3);
/// Baseline wander with breathing, mV.
const WANDER_MV: f64 = 0.08;
/// Half width of the front end's own noise, mV.
const ECG_NOISE_MV: f64 = 0.006;
/// From the R peak to the foot of the pulse at the finger or wrist, seconds.
const PULSE_TRANSIT_S: f64 = 0.18;
/// (time from the foot s, height, width s) of the pulse's systolic and reflected wave.
const PULSE: [(f64, f64, f64); 2] = [(0.13, 1.0, 0.055), (0.36, 0.30, 0.080)];
/// Pulsing share of the light at infrared: 2 %.
const PERFUSION: f64 = 0.02;
/// Half width of the photodiode's noise, share of full light.
const LIGHT_NOISE: f64 = 0.000_12;

/// Light that comes back, as a share of what comes back from still tissue (1.0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// At 880 nm.
    pub infrared: f64,
    /// At 660 nm.
    pub red: f64,
}

fn gauss(t: f64, (at, height, width): (f64, f64, f64)) -> f64 {
    let x = (t - at) / width;
    // Beyond five widths a wave is below a microvolt.
    if x.abs() > 5.0 {
        0.0
    } else {
        height * libm::exp(-0.5 * x * x)
    }
}

/// Breathing's phase at `at`, turns.
fn breath(patient: &Patient, at: f64, respiration: f64) -> f64 {
    let last = patient.beats().rev().find(|beat| beat.at <= at);
    last.map_or(0.0, |beat| {
        beat.breath + (at - beat.at) * respiration / 60.0
    })
}

/// What is particular about one sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensor {
    /// Of its own noise, so that two sensors on one body differ.
    pub seed: u64,
    /// How disturbed its signal is by movement, cold or a bad fit: 0 = not at all, 1 = noise as large as the signal.
    pub disturbed: f64,
}

/// Chest ECG at `at` seconds, millivolt; `sample` numbers the sample, for its noise. The patient must have been
/// advanced to `at`.
#[must_use]
pub fn ecg_mv(patient: &Patient, at: f64, sample: u64, sensor: Sensor) -> f64 {
    let state = patient.state(at);
    let near = |beat: &Beat| (beat.at - at).abs() < 0.75;
    // The next beat is known wherever it matters: beats are made a second ahead.
    let next = patient
        .beats()
        .skip(1)
        .map(|beat| beat.at)
        .chain([f64::INFINITY]);
    let pairs = patient.beats().zip(next).filter(|(beat, _)| near(beat));
    let waves: f64 = pairs
        .map(|(beat, next)| beat_mv(beat, next - beat.at, at - beat.at))
        .sum();
    let fibrillation = match state.rhythm {
        Rhythm::AtrialFibrillation => F_WAVE.0 * libm::sin(TAU * F_WAVE.1 * at),
        Rhythm::Sinus => 0.0,
    };
    let wander = WANDER_MV * libm::sin(TAU * breath(patient, at, state.respiration));
    let noise = ECG_NOISE_MV + sensor.disturbed * QRS[1].1;
    waves + fibrillation + wander + noise * uniform(sensor.seed, ECG_NOISE, sample)
}

fn beat_mv(beat: &Beat, next_rr: f64, t: f64) -> f64 {
    let (at, height, width) = T_WAVE;
    // Repolarisation is over before the ventricle beats again, however early it does.
    let repolarisation = (at * libm::sqrt(beat.rr))
        .clamp(0.17, 0.42)
        .min(0.55 * next_rr);
    let atrial = match beat.rhythm {
        Rhythm::Sinus => gauss(t, P_WAVE),
        Rhythm::AtrialFibrillation => 0.0,
    };
    QRS.iter().map(|wave| gauss(t, *wave)).sum::<f64>()
        + gauss(
            t,
            (repolarisation, height, width.min(0.14 * repolarisation)),
        )
        + atrial
}

/// Pulsing blood at `at`, about 0..1: more after a long pause, for the ventricle filled longer.
fn pulse(patient: &Patient, at: f64) -> f64 {
    let waves = patient.beats().map(|beat| {
        let filling = (0.55 + 0.5 * beat.rr).clamp(0.5, 1.2);
        let t = at - beat.at - PULSE_TRANSIT_S;
        filling * PULSE.iter().map(|wave| gauss(t, *wave)).sum::<f64>()
    });
    waves.sum()
}

/// Light through a finger or wrist at `at` seconds. Blood absorbs; the more oxygen it lacks, the more it absorbs red:
/// the ratio of ratios is that of the usual first calibration, SpO2 = 110 - 25 R.
#[must_use]
pub fn light(patient: &Patient, at: f64, sample: u64, sensor: Sensor) -> Light {
    let state = patient.state(at);
    let ratio = (110.0 - state.spo2) / 25.0;
    let breathing = 1.0 + 0.08 * libm::sin(TAU * breath(patient, at, state.respiration));
    let absorbed = PERFUSION * pulse(patient, at) * breathing;
    let seed = sensor.seed;
    let noise = LIGHT_NOISE + sensor.disturbed * PERFUSION;
    Light {
        infrared: 1.0 - absorbed + noise * uniform(seed, IR_NOISE, sample),
        red: 1.0 - ratio * absorbed + noise * uniform(seed, RED_NOISE, sample),
    }
}

/// Acceleration at the wrist (x, y, z), in units of gravity. `gait` is the phase of walking, turns of one step each.
#[must_use]
pub fn acceleration(
    patient: &Patient,
    at: f64,
    gait: f64,
    sample: u64,
    sensor: Sensor,
) -> [f64; 3] {
    let walking = patient.state(at).cadence > 20.0;
    let swing = if walking {
        0.30 * libm::sin(TAU * gait)
    } else {
        0.0
    };
    let noise = |axis: u64| 0.012 * uniform(sensor.seed, MOTION_NOISE + axis, sample);
    [
        0.2 * swing + noise(0),
        0.3 * swing + noise(1),
        1.0 + swing + noise(2),
    ]
}
