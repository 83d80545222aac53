//! Steps from acceleration: each swing of the total acceleration through its mean, upwards, with hysteresis.
//!
//! Time is counted in samples.

/// Samples per second that the sensor is set to.
pub const SAMPLE_RATE_HZ: u32 = 25;
/// Above and below the mean by this much, in units of gravity, is a swing.
const UP: f32 = 0.10;
const DOWN: f32 = -0.06;
/// 240 ms: nobody steps faster.
const REFRACTORY: u32 = 6;

/// Counts steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps {
    mean: Option<f32>,
    was_down: bool,
    since: u32,
    count: u32,
}

impl Steps {
    /// Takes an acceleration in units of gravity.
    pub fn feed(&mut self, [x, y, z]: [f32; 3]) {
        let total = libm::sqrtf(x * x + y * y + z * z);
        let mean = *self.mean.get_or_insert(total);
        self.mean = Some(mean + 0.02 * (total - mean));
        self.since += 1;
        let swing = total - mean;
        if swing < DOWN {
            self.was_down = true;
        } else if swing > UP && self.was_down && self.since >= REFRACTORY {
            self.was_down = false;
            self.since = 0;
            self.count += 1;
        }
    }

    /// Steps so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}
