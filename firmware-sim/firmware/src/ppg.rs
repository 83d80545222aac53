//! Pulse and oxygen saturation from two colours of light through tissue.
//!
//! * Contact: enough infrared comes back.
//! * Beats: peaks of absorbed infrared above half of what recent beats did, not within 270 ms of the last; their time is
//!   that of the parabola through three samples.
//! * Saturation: the ratio of ratios R by least squares of red on infrared over the last beats, and SpO2 = 110 - 25 R, the
//!   usual first calibration (a product would fit its own sensor by a study on volunteers).
//!
//! Time is counted in samples.

use crate::rate::Rate;

/// Samples per second that the sensor is set to.
pub const SAMPLE_RATE_HZ: u32 = 50;
/// Infrared counts below which nothing is in front of the sensor (tissue gives about 120 000 of 262 143).
const CONTACT_COUNTS: f32 = 30_000.0;
/// Samples that contact must hold, and be gone, before it is believed: 0.4 s.
const CONTACT_SAMPLES: u8 = 20;
/// The still part of the light is followed with a time constant of 1.6 s.
const STILL_SHARE: f32 = 1.0 / 80.0;
/// 270 ms.
const REFRACTORY: u32 = 14;
/// Without a beat for 2.5 s the lock is lost.
const PATIENCE: u32 = 125;
/// Least pulse that is looked for, share of full light: a perfusion of 0.1 %.
const LEAST_PULSE: f32 = 0.000_5;
/// Beats over which saturation is averaged.
const BEATS: usize = 6;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pulse {
    /// Something is in front of the sensor.
    pub contact: bool,
    /// Beats per minute.
    pub rate: Option<f32>,
    /// Percent.
    pub spo2: Option<f32>,
    /// Pulse amplitude index, percent of the light.
    pub amplitude: Option<f32>,
}

/// Sums over one beat.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    infrared_squared: f32,
    product: f32,
    low: f32,
    high: f32,
}

/// Follows the light.
#[derive(Clone, Debug, Default)]
pub struct Ppg {
    contact: bool,
    contact_run: u8,
    still: Option<(f32, f32)>,
    /// Smoothed absorbed infrared: the last three values.
    recent: [f32; 3],
    raw: [(f32, f32); 4],
    height: f32,
    since_peak: u32,
    /// Fraction of a sample at the last peak.
    peak: Option<f32>,
    rate: Rate,
    beat: Sums,
    beats: [Sums; BEATS],
    beat_count: usize,
}

impl Ppg {
    /// Takes a sample in counts.
    pub fn feed(&mut self, red: u32, infrared: u32) {
        // 18 bits: exact in an f32.
        let (red, infrared) = (red as f32, infrared as f32);
        self.watch_contact(infrared);
        // What is seen while contact is doubted is not tissue: it would look like an enormous pulse.
        if !self.contact || infrared <= CONTACT_COUNTS {
            return;
        }
        let (still_red, still_infrared) = *self.still.get_or_insert((red, infrared));
        let absorbed = (1.0 - red / still_red, 1.0 - infrared / still_infrared);
        self.still = Some((
            still_red + STILL_SHARE * (red - still_red),
            still_infrared + STILL_SHARE * (infrared - still_infrared),
        ));
        self.raw.copy_within(1.., 0);
        self.raw[3] = absorbed;
        let (red, infrared) = self.smoothed();
        self.recent.copy_within(1.., 0);
        self.recent[2] = infrared;
        self.beat.infrared_squared += infrared * infrared;
        self.beat.product += red * infrared;
        self.beat.low = self.beat.low.min(infrared);
        self.beat.high = self.beat.high.max(infrared);
        self.look_for_peak();
    }

    /// What is known now.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        if !self.contact {
            return Pulse::default();
        }
        Pulse {
            contact: true,
            rate: self.rate.per_minute(),
            spo2: self.saturation(),
            amplitude: self.amplitude(),
        }
    }

    fn smoothed(&self) -> (f32, f32) {
        let sum = self
            .raw
            .iter()
            .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (sum.0 / 4.0, sum.1 / 4.0)
    }

    fn watch_contact(&mut self, infrared: f32) {
        let now = infrared > CONTACT_COUNTS;
        self.contact_run = if now == self.contact {
            0
        } else {
            self.contact_run + 1
        };
        if self.contact_run >= CONTACT_SAMPLES {
            *self = Self {
                contact: now,
                height: LEAST_PULSE * 4.0,
                ..Self::default()
            };
        }
    }

    fn look_for_peak(&mut self) {
        self.since_peak += 1;
        if self.since_peak > PATIENCE {
            self.lose_lock();
        }
        let [before, top, after] = self.recent;
        let is_peak = top > before && top >= after && top > (0.5 * self.height).max(LEAST_PULSE);
        if !is_peak || (self.peak.is_some() && self.since_peak < REFRACTORY) {
            return;
        }
        self.height += 0.25 * (top - self.height);
        let fraction = (after - before) / (2.0 * (2.0 * top - before - after));
        if let Some(last) = self.peak.replace(fraction) {
            let samples = self.since_peak as f32 + fraction - last;
            self.rate.feed(samples / SAMPLE_RATE_HZ as f32);
            self.beats[self.beat_count % BEATS] = self.beat;
            self.beat_count += 1;
        }
        self.since_peak = 0;
        self.beat = Sums::default();
    }

    fn lose_lock(&mut self) {
        self.rate.reset();
        self.peak = None;
        self.height = LEAST_PULSE * 4.0;
        self.beat_count = 0;
        self.since_peak = 0;
    }

    fn last_beats(&self) -> impl Iterator<Item = &Sums> {
        self.beats.iter().take(self.beat_count)
    }

    fn saturation(&self) -> Option<f32> {
        if self.beat_count < 3 {
            return None;
        }
        let product: f32 = self.last_beats().map(|beat| beat.product).sum();
        let infrared: f32 = self.last_beats().map(|beat| beat.infrared_squared).sum();
        let ratio = product / infrared;
        let percent = 110.0 - 25.0 * ratio;
        // Outside, the light did not pass through pulsing blood.
        (50.0..=103.0)
            .contains(&percent)
            .then(|| percent.min(100.0))
    }

    fn amplitude(&self) -> Option<f32> {
        let count = self.beat_count.min(BEATS);
        let sum: f32 = self.last_beats().map(|beat| beat.high - beat.low).sum();
        (count > 0).then(|| 100.0 * sum / count as f32)
    }
}
