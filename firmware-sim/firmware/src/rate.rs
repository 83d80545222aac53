//! A rate per minute from the last few intervals between beats.

/// Intervals averaged: about eight seconds at rest.
const KEPT: usize = 8;
/// Fewer give no rate: the sensor has no lock yet.
const NEEDED: usize = 3;

/// Average over the last intervals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    intervals_s: [f32; KEPT],
    seen: usize,
}

impl Rate {
    /// Takes an interval in seconds.
    pub fn feed(&mut self, interval_s: f32) {
        self.intervals_s[self.seen % KEPT] = interval_s;
        self.seen += 1;
    }

    /// Beats per minute; `None` without a lock.
    #[must_use]
    pub fn per_minute(&self) -> Option<f32> {
        if self.seen < NEEDED {
            return None;
        }
        let count = self.seen.min(KEPT);
        let sum: f32 = self.intervals_s.iter().take(count).sum();
        Some(60.0 * count as f32 / sum)
    }

    /// Loses the lock.
    pub fn reset(&mut self) {
        self.seen = 0;
    }
}
