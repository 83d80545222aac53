//! PURE: when beats happen. Sinus rhythm follows the body's demand with respiratory arrhythmia and a 0.1 Hz wave (Task
//! Force of the ESC 1996); atrial fibrillation is irregularly irregular; a recorded heart beats as it did.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::body::Body;
use crate::replay::Replay;

/// First beats are made before the scenario starts, so that sensors have a past to look at.
const FIRST_BEAT_S: f64 = -3.0;
/// Shares of an RR interval: respiratory arrhythmia, 0.1 Hz wave, and beat-to-beat rest (uniform, half width).
const RESPIRATORY_SHARE: f64 = 0.035;
const SLOW_SHARE: f64 = 0.015;
const REST_SHARE: f64 = 0.012;
/// The 0.1 Hz wave's frequency.
const SLOW_HZ: f64 = 0.1;
/// Spread of RR intervals in fibrillation (standard deviation of the logarithm): coefficient of variation about 0.22.
const FIBRILLATION_SPREAD: f64 = 0.22;
/// Shortest and longest RR interval that is ever made, seconds.
const RR_LIMITS_S: (f64, f64) = (0.30, 2.5);

/// How the heart beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// Regular.
    Sinus,
    /// Irregularly irregular, no P waves.
    AtrialFibrillation,
}

/// One beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// Of the R peak, seconds since the start of the scenario.
    pub at: f64,
    /// Interval that this beat ended, seconds.
    pub rr: f64,
    /// Phase of breathing at this beat, turns.
    pub breath: f64,
    /// Rhythm it belongs to.
    pub rhythm: Rhythm,
}

/// The heart.
#[derive(Clone, Debug)]
pub struct Heart {
    random: ChaCha8Rng,
    last: Beat,
    recording: Option<(Arc<Replay>, usize)>,
}

impl Heart {
    /// A simulated heart.
    #[must_use]
    pub fn simulated(seed: u64) -> Self {
        Self::new(seed, FIRST_BEAT_S, None)
    }

    /// A recorded heart: its first interval ends at second 0; after the recording's end it goes on simulated.
    #[must_use]
    pub fn recorded(seed: u64, recording: Arc<Replay>) -> Self {
        let first = recording.beats().first().map_or(0.0, |beat| -beat.rr_s);
        Self::new(seed, first, Some((recording, 0)))
    }

    fn new(seed: u64, at: f64, recording: Option<(Arc<Replay>, usize)>) -> Self {
        let last = Beat {
            at,
            rr: 1.0,
            breath: 0.0,
            rhythm: Rhythm::Sinus,
        };
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            last,
            recording,
        }
    }

    /// The next beat.
    pub fn next_beat(&mut self, body: &Body) -> Beat {
        let state = body.state(self.last.at);
        let (rr, rhythm) = match self.recorded_beat() {
            Some(recorded) => recorded,
            None => (
                self.interval(60.0 / state.heart_rate.max(20.0), state.rhythm),
                state.rhythm,
            ),
        };
        let breath = self.last.breath + rr * state.respiration.max(3.0) / 60.0;
        self.last = Beat {
            at: self.last.at + rr,
            rr,
            breath: breath.fract(),
            rhythm,
        };
        self.last
    }

    fn recorded_beat(&mut self) -> Option<(f64, Rhythm)> {
        let (recording, next) = self.recording.as_mut()?;
        let beat = recording.beats().get(*next)?;
        *next += 1;
        Some((beat.rr_s, beat.rhythm))
    }

    fn interval(&mut self, mean: f64, rhythm: Rhythm) -> f64 {
        use std::f64::consts::TAU;
        let rr = match rhythm {
            Rhythm::Sinus => {
                let respiratory = RESPIRATORY_SHARE * libm::sin(TAU * self.last.breath);
                let slow = SLOW_SHARE * libm::sin(TAU * SLOW_HZ * self.last.at);
                let rest = self.random.random_range(-REST_SHARE..REST_SHARE);
                mean * (1.0 + respiratory + slow + rest)
            }
            Rhythm::AtrialFibrillation => {
                // The sum of twelve uniform numbers is close to a normal one, and the same on every machine.
                let normal = (0..12)
                    .map(|_| self.random.random_range(0.0..1.0))
                    .sum::<f64>()
                    - 6.0;
                let spread = FIBRILLATION_SPREAD;
                mean * libm::exp(spread * normal - spread * spread / 2.0)
            }
        };
        rr.clamp(RR_LIMITS_S.0, RR_LIMITS_S.1)
    }
}
