//! PURE. How many spot checks of one device may travel first and be kept whatever happens.
//!
//! A spot check is rare and cannot be repeated, so its lane is never dropped: a broken or hostile device that
//! indicates ten a second would fill the disk with it and go before everybody's alerts. Beyond what people and
//! stored records need, its readings are dense ones like others: kept as long as there is room, and dropped
//! with a declared gap.

use vitals::{Span, Time};

/// At once: what a device stores and sends after a while away.
const BURST: u32 = 512;
/// Afterwards, one in this time: half a million a year, 70 MB sealed.
const EVERY: Span = Span::from_secs(60);

/// The allowance of one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spots {
    left: u32,
    /// Up to when it was refilled.
    filled: Time,
}

impl Spots {
    /// A full allowance.
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            left: BURST,
            filled: now,
        }
    }

    /// Takes one; false if there is none left.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let every = EVERY.as_micros();
        let due = now.since(self.filled).as_micros().max(0) / every;
        self.filled = self.filled + Span::from_micros(due * every);
        let more = u32::try_from(due).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(BURST);
        let taken = self.left > 0;
        self.left -= u32::from(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_records_pass_and_a_flood_is_bounded() {
        let start = Time::from_micros(1_800_000_000_000_000);
        let mut spots = Spots::new(start);
        assert!((0..BURST).all(|_| spots.take(start)));
        assert!(!spots.take(start));
        // Ten a second for an hour.
        let passed = (0..36_000)
            .filter(|n| spots.take(start + Span::from_millis(n * 100)))
            .count();
        assert_eq!(passed, 59);
        // A device as people use it never meets the limit, whatever the clock does.
        let mut spots = Spots::new(start);
        assert!((0..2000).all(|n| spots.take(start + Span::from_mins(n * 5))));
        assert!(
            spots.take(start),
            "a step back gives nothing and takes nothing"
        );
        assert!(spots.take(Time::MAX));
    }
}
