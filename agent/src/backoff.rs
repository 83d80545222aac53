//! PURE. Growing delays between attempts, reset only by success.
//!
//! Jitter is passed in, so that a house full of gateways does not come back in step and tests stay exact.

use vitals::Span;

/// Delays that double from `first` to `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Span,
    longest: Span,
    failures: u32,
}

impl Backoff {
    /// From `first`, doubled by each failure, at most `longest`.
    #[must_use]
    pub const fn new(first: Span, longest: Span) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// One more failure: how long to wait now. `jitter` in 0..=255 takes away up to a quarter of it.
    pub fn fail(&mut self, jitter: u8) -> Span {
        let doubled = self
            .first
            .as_micros()
            .saturating_mul(1_i64 << self.failures.min(30));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.longest.as_micros());
        let taken = whole / 4 / 255 * i64::from(jitter);
        Span::from_micros(whole - taken)
    }

    /// Success: the next failure waits `first` again.
    pub const fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_its_longest_and_starts_again_after_success() {
        let mut backoff = Backoff::new(Span::from_secs(1), Span::from_secs(5));
        let waits: Vec<i64> = (0..4)
            .map(|_| backoff.fail(0).as_micros() / 1_000_000)
            .collect();
        assert_eq!(waits, [1, 2, 4, 5]);
        assert_eq!(backoff.failures(), 4);
        backoff.succeed();
        assert_eq!(backoff.fail(0), Span::from_secs(1));
    }

    #[test]
    fn jitter_takes_at_most_a_quarter_and_nothing_overflows() {
        let mut backoff = Backoff::new(Span::from_secs(4), Span::from_micros(i64::MAX));
        for _ in 0..100 {
            let mut same = backoff;
            let (most, least) = (backoff.fail(0).as_micros(), same.fail(255).as_micros());
            assert!(least <= most && least >= most / 4 * 3 - 4);
        }
    }
}
