//! PURE: a body with a seeded physiology. The same seed and scenario give the same body, beat by beat.
//!
//! * [`body`]: what changes slowly (heart rate asked for, saturation, respiration, temperature, blood
//!   pressure, glucose, weight, activity, sleep).
//! * [`glucose`]: a recorded glucose.
//! * [`heart`]: when beats happen, simulated or replayed from a recording.
//! * [`signal`]: what a sensor on this body would see (ECG, light through tissue, motion, warmth).
//! * [`noise`]: random numbers by place instead of by order.
//!
//! Time is in seconds since the start of the scenario. Every wearable of a patient carries its own copy, which is the
//! same body because nothing but the seed decides. Must not know: chips, Bluetooth, clocks.

pub mod body;
pub mod glucose;
pub mod heart;
pub mod noise;
pub mod signal;

use std::collections::VecDeque;

pub use body::{Body, State};
pub use heart::{Beat, Heart, Rhythm};

/// Beats are kept this long, seconds: longer than the slowest pulse wave takes.
const PAST_S: f64 = 4.0;
/// Beats are known this far ahead, seconds: the P wave precedes its beat.
const AHEAD_S: f64 = 1.0;

/// One patient.
#[derive(Clone, Debug)]
pub struct Patient {
    body: Body,
    heart: Heart,
    beats: VecDeque<Beat>,
}

impl Patient {
    /// At the start of the scenario.
    #[must_use]
    pub fn new(body: Body, heart: Heart) -> Self {
        let mut patient = Self {
            body,
            heart,
            beats: VecDeque::new(),
        };
        patient.advance_to(0.0);
        patient
    }

    /// Lets the heart beat until `at`; time never goes back.
    pub fn advance_to(&mut self, at: f64) {
        while self.beats.back().is_none_or(|beat| beat.at < at + AHEAD_S) {
            self.beats.push_back(self.heart.next_beat(&self.body));
        }
        while self.beats.front().is_some_and(|beat| beat.at < at - PAST_S) {
            self.beats.pop_front();
        }
    }

    /// Slow state at `at`.
    #[must_use]
    pub fn state(&self, at: f64) -> State {
        self.body.state(at)
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Beats around the time of the last [`Patient::advance_to`], in order.
    pub fn beats(&self) -> impl DoubleEndedIterator<Item = &Beat> {
        self.beats.iter()
    }
}
