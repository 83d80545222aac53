//! PURE: what one patient wears. Heart rate each second, saturation every fifth, times with 0 to 40 ms of jitter.
//!
//! The steps are those of the peers' workload: 1.58 bits of heart rate, 0.67 of saturation.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vitals::{Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value};

/// Both sensors of a patient.
#[derive(Debug)]
pub(super) struct Worn {
    random: ChaCha8Rng,
    second: Time,
    measured: u64,
    rate: i64,
    /// In tenths of a percent.
    saturation: i64,
    /// Saturation of a second whose heart rate filled a batch.
    left: Option<Reading>,
}

impl Worn {
    /// From this moment on.
    pub(super) fn new(number: u64, begin: Time) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(number),
            second: begin,
            measured: 0,
            rate: 70,
            saturation: 970,
            left: None,
        }
    }

    /// The next readings; each is received when it is measured.
    pub(super) fn next(&mut self, readings: usize) -> Vec<Reading> {
        let mut all = Vec::with_capacity(readings + 1);
        all.extend(self.left.take());
        while all.len() < readings {
            let step = self.random.random_range(-1..=1);
            self.rate = (self.rate + step).clamp(50, 120);
            let is_fifth = self.second.as_micros() / 1_000_000 % 5 == 0;
            all.push(self.reading(Kind::HeartRate, self.rate));
            if is_fifth {
                let step = match self.random.random_range(0..16) {
                    0 => -10,
                    1 => 10,
                    _ => 0,
                };
                self.saturation = (self.saturation + step).clamp(940, 1000);
                all.push(self.reading(Kind::OxygenSaturation, self.saturation));
            }
            self.second = self.second + Span::from_secs(1);
        }
        if all.len() > readings {
            self.left = all.pop();
        }
        all
    }

    fn reading(&mut self, kind: Kind, number: i64) -> Reading {
        let jitter = self.random.random_range(0..=40);
        let at = self.second + Span::from_millis(jitter);
        self.measured += 1;
        Reading {
            kind,
            value: Value::Measured(Fixed(number)),
            source: SourceId(1),
            sequence: self.measured - 1,
            effective: at,
            received: at,
            quality: Quality::GOOD,
            device: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_sixty_rates_and_twelve_saturations_whatever_the_batches() {
        let begin = Time::from_micros(1_795_000_000_000_000);
        let mut by_ten = Worn::new(3, begin);
        let parts: Vec<_> = (0..12).flat_map(|_| by_ten.next(6)).collect();
        assert_eq!(parts, Worn::new(3, begin).next(72));
        let of = |kind| parts.iter().filter(|of| of.kind == kind).count();
        assert_eq!((of(Kind::HeartRate), of(Kind::OxygenSaturation)), (60, 12));
        let numbers: Vec<_> = parts.iter().map(|of| of.sequence).collect();
        assert_eq!(numbers, (0..72).collect::<Vec<_>>());
    }
}
