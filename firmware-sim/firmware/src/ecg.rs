//! R peaks in a single-lead ECG: when each beat was, to a fraction of a sample.
//!
//! A peak counts when it stands out steeply from 40 ms before and after it, by at least half of what recent beats did, and
//! not within 100 ms of the last one. Its time comes from the parabola through its three highest samples: at 250 samples
//! per second that is good to about 0.1 ms. Time is counted in samples.

use crate::ads1292::SAMPLE_RATE_HZ;

/// 40 ms: a QRS complex is over, a T wave has hardly begun.
const REACH: usize = 10;
const WINDOW: usize = 2 * REACH + 1;
/// 100 ms: the QRS complex itself. A ventricle rests longer, but who judges that is not the sensor: double beats that a
/// recording holds go through as they are.
const REFRACTORY: u64 = 25;
/// Without a beat for 1.5 s the expectation halves.
const PATIENCE: u64 = 375;
/// Expected height at start, microvolt.
const FIRST_HEIGHT_UV: f32 = 700.0;
/// Never look for less: below this is noise, microvolt.
const LEAST_HEIGHT_UV: f32 = 150.0;
/// Longest interval that is reported, seconds: beyond it a beat was missed or the strap was off.
const LONGEST_RR_S: f32 = 8.0;

/// Finds R peaks.
#[derive(Clone, Debug)]
pub struct RPeaks {
    window: [f32; WINDOW],
    fed: u64,
    height: f32,
    /// Sample and fraction of the last peak.
    last: Option<(u64, f32)>,
}

impl Default for RPeaks {
    fn default() -> Self {
        Self {
            window: [0.0; WINDOW],
            fed: 0,
            height: FIRST_HEIGHT_UV,
            last: None,
        }
    }
}

impl RPeaks {
    /// Takes a sample in microvolt; gives the interval that ended 40 ms ago in 1/1024 s, if a beat did.
    pub fn feed(&mut self, microvolt: f32) -> Option<u16> {
        self.window.copy_within(1.., 0);
        self.window[WINDOW - 1] = microvolt;
        self.fed += 1;
        if self.fed < WINDOW as u64 {
            return None;
        }
        let centre = self.fed - 1 - REACH as u64;
        let [before, peak, after] = [
            self.window[REACH - 1],
            self.window[REACH],
            self.window[REACH + 1],
        ];
        let since = self.last.map(|(last, _)| centre - last);
        if since.is_some_and(|since| since > PATIENCE && since % PATIENCE == 0) {
            self.height = (self.height * 0.5).max(LEAST_HEIGHT_UV);
        }
        let stands_out = peak - self.window[0].max(self.window[WINDOW - 1]);
        let highest = peak > before && peak >= after;
        if !highest
            || stands_out < 0.5 * self.height
            || since.is_some_and(|since| since < REFRACTORY)
        {
            return None;
        }
        self.height = (self.height + 0.125 * (stands_out - self.height)).max(LEAST_HEIGHT_UV);
        let fraction = (after - before) / (2.0 * (2.0 * peak - before - after));
        let (last, last_fraction) = self.last.replace((centre, fraction))?;
        // Samples between peaks stay far below 2^24: an f32 holds them exactly.
        let seconds = ((centre - last) as f32 + fraction - last_fraction) / SAMPLE_RATE_HZ as f32;
        (seconds <= LONGEST_RR_S).then(|| libm::roundf(seconds * 1024.0) as u16)
    }

    /// Forgets the last beat: the leads were off, so the next interval would not be one.
    pub fn interrupt(&mut self) {
        self.last = None;
    }

    /// Seconds since the last beat; `None` before the first one.
    #[must_use]
    pub fn silent_for_s(&self) -> Option<f32> {
        self.last
            .map(|(last, _)| (self.fed - last) as f32 / SAMPLE_RATE_HZ as f32)
    }
}
