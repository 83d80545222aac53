//! Whether the clock runs as time does: known time must not follow a clock that jumps ahead, since it never goes
//! back and every deadline would wait until the right time has caught up.
//!
//! Invariants: the clock is compared with the machine's monotonic time, and the time that the machine slept is
//! allowed for; no step beyond [`MOST`] passes. Must not know: entries, what is done about it.

use std::time::{Duration, Instant};

use proto::clock::Clock;
use vitals::Time;

/// The clock may be set ahead by this much while the centre runs, in real time.
const MOST: Duration = Duration::from_secs(600);

/// The clock jumped ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock was set ahead by {} s while the centre ran: set it right (or let it be, if it is right now), then start the centre again",
    by.as_secs()
)]
pub(super) struct Jumped {
    by: Duration,
}

/// Where clock and monotonic time stood when they were compared last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    began: (Instant, Option<Duration>),
    last: (Instant, Time),
    /// How long the machine had slept since `began`.
    slept: Duration,
}

impl Pace {
    /// From now on, with a clock that reads `now`.
    pub(super) fn new(clock: Clock, now: Time) -> Self {
        let moment = clock.moment();
        Self {
            began: (moment, uptime()),
            last: (moment, now),
            slept: Duration::ZERO,
        }
    }

    /// Compares; after an error nothing has changed, and the next comparison fails too.
    pub(super) fn check(&mut self, clock: Clock, now: Time) -> Result<(), Jumped> {
        self.compare(clock, now, clock.moment(), uptime)
    }

    fn compare(
        &mut self,
        clock: Clock,
        now: Time,
        moment: Instant,
        uptime: impl FnOnce() -> Option<Duration>,
    ) -> Result<(), Jumped> {
        let (last_moment, last_now) = self.last;
        let went = clock.real(now.since(last_now));
        let mut passed = moment.duration_since(last_moment);
        if went > passed + MOST {
            let slept = self.slept_until(moment, uptime());
            passed += slept.saturating_sub(self.slept);
            if went > passed + MOST {
                let by = went - passed;
                return Err(Jumped { by });
            }
            self.slept = slept;
        }
        self.last = (moment, now);
        Ok(())
    }

    /// Monotonic time stands still while the machine sleeps, its uptime does not.
    fn slept_until(&self, moment: Instant, uptime: Option<Duration>) -> Duration {
        let (began, uptime_then) = self.began;
        let up = uptime
            .zip(uptime_then)
            .map(|(now, then)| now.saturating_sub(then));
        up.unwrap_or_default()
            .saturating_sub(moment.duration_since(began))
    }

    /// As if the clock had read `then` at the last comparison.
    #[cfg(test)]
    pub(super) const fn since(mut self, then: Time) -> Self {
        self.last.1 = then;
        self
    }
}

/// How long the machine has been up, asleep or awake; `None` where the system does not say.
fn uptime() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use vitals::Span;

    use super::*;

    const START: Time = Time::from_micros(1_800_000_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_clock_that_runs_with_time_passes_and_one_that_jumps_does_not() {
        let mut pace = Pace::new(Clock::system(), START);
        let (moment, clock) = (pace.began.0, Clock::system());
        let up = pace.began.1.map(|up| up + HOUR);
        let awake = || up;
        let later = START + Span::from_mins(60);
        let mut fine = pace;
        assert_eq!(fine.compare(clock, later, moment + HOUR, awake), Ok(()));
        // Set back, and ahead a little.
        assert_eq!(fine.compare(clock, START, moment + HOUR, awake), Ok(()));
        let little = START + Span::from_mins(9);
        assert_eq!(fine.compare(clock, little, moment + HOUR, awake), Ok(()));
        let jumped = START + Span::from_mins(60 + 11);
        for _ in 0..2 {
            let by = Duration::from_secs(660);
            let checked = pace.compare(clock, jumped, moment + HOUR, awake);
            assert_eq!(checked, Err(Jumped { by }));
        }
        assert!(Jumped { by: HOUR }.to_string().contains("set it right"));
    }

    #[test]
    fn a_machine_that_slept_is_no_jump() {
        let mut pace = Pace::new(Clock::system(), START);
        pace.began.1 = Some(HOUR);
        let (moment, clock) = (pace.began.0, Clock::system());
        let morning = START + Span::from_mins(8 * 60);
        let up = Some(HOUR * 9);
        let (mut silent, mut slept) = (pace, pace);
        assert_eq!(slept.compare(clock, morning, moment, || up), Ok(()));
        // Sleep is allowed for once.
        let noon = morning + Span::from_mins(60);
        assert!(slept.compare(clock, noon, moment, || up).is_err());
        assert!(silent.compare(clock, morning, moment, || None).is_err());
    }

    #[test]
    fn a_fast_test_clock_is_no_jump() {
        let fast = Clock::test(START, START, 1000.0).expect("rate in range");
        let mut pace = Pace::new(fast, START);
        let moment = pace.began.0 + Duration::from_secs(4);
        let later = START + Span::from_mins(60);
        assert_eq!(pace.compare(fast, later, moment, || None), Ok(()));
        let far = later + Span::from_mins(60 * 1000);
        assert!(pace.compare(fast, far, moment, || None).is_err());
    }
}
