//! Tells when the machine's clock was set, by hand or when the network told the time.
//!
//! Time of day is compared with the time since the machine was started, its sleep included: a clock that is only
//! disciplined keeps their distance. Must not know: devices, what follows from it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vitals::{Span, Time};

/// What is learnt from this clock allows for this much.
const UNSTEADY: Span = Span::from_secs(2);

/// The distance between the two, as it was last taken to be.
#[derive(Debug, Default)]
pub(super) struct Distance(Option<Time>);

impl Distance {
    /// Whether the clock, which reads `now`, was set since the last call.
    pub(super) fn changed(&mut self, now: Time, since_boot: Duration) -> bool {
        let micros = i64::try_from(since_boot.as_micros()).unwrap_or(i64::MAX);
        let booted = now - Span::from_micros(micros);
        let before = *self.0.get_or_insert(booted);
        let moved = booted.since(before).as_micros().saturating_abs();
        if moved <= UNSTEADY.as_micros() {
            return false;
        }
        self.0 = Some(booted);
        true
    }
}

/// How long the machine runs.
pub(super) fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_was_set_is_told() {
        let mut distance = Distance::default();
        let now = Time::from_micros(1_800_000_000_000_000);
        let mut told = |ahead: i64, seconds: u64| {
            let passed = Span::from_secs(i64::try_from(seconds).expect("small"));
            let now = now + passed + Span::from_millis(ahead);
            distance.changed(now, Duration::from_secs(1000 + seconds))
        };
        assert!(!told(0, 0));
        assert!(!told(0, 90_000), "a day, or asleep for one");
        assert!(!told(1_900, 90_001), "disciplined");
        assert!(told(3_600_000, 90_002), "the network told the time");
        assert!(!told(3_600_000, 90_003), "once");
        assert!(told(0, 90_004), "and back");
        // Time that runs at half speed because the clock was set back: again and again until it is right.
        let steps = (0..100).filter(|n| told(-500 * n, 90_005 + u64::try_from(*n).expect("small")));
        assert!((10..50).contains(&steps.count()));
    }

    #[test]
    fn the_machine_has_run_for_a_while() {
        let before = since_boot();
        assert!(before > Duration::ZERO && since_boot() >= before);
    }
}
