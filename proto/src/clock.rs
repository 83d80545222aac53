//! The one clock a process reads, and the test clock that can drive all processes alike.
//!
//! Invariants: within a process `now` never goes back and never stands still, or deadlines would not come:
//! when the machine's clock is set back, time runs at half speed until the machine has caught up
//! ([`Clock::ahead_of_machine`] tells by how much it is ahead); when it is set forward, time follows. Two
//! processes that were given the same test clock read the same time at the same moment. A clock that is moved by
//! hand ([`Hands`]) is for simulations; no command line leads to it.
//! Nothing else in the house may ask the operating system for the time of day.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls_pki_types::UnixTime;
use vitals::{Span, Time};

/// The environment variable that holds a test clock: `<wall_us>:<test_us>:<rate>`.
pub const TEST_CLOCK_VARIABLE: &str = "VITALTWIN_TEST_CLOCK";

/// Rates outside this range are refused: slower than a thousandth and faster than 100 000 is a slip.
const RATES: std::ops::RangeInclusive<f64> = 0.001..=100_000.0;

/// What the clocks of this process rest on; `None` before the first reading.
static STEADY: Mutex<Option<(Steady, Instant)>> = Mutex::new(None);

/// Where a process gets its time from. Cheap to copy; pass it by value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Machine,
    Test(TestClock),
    Hand(&'static Hands),
}

/// A clock that stands until its owner moves it: both the time of day and the machine's own sense of how much time
/// passed, which a clock that was set wrong does not change.
#[derive(Debug)]
pub struct Hands {
    now_us: AtomicI64,
    passed_us: AtomicU64,
    began: Instant,
}

impl Hands {
    /// A clock that reads `now`. It lives as long as the process: clocks are copied everywhere.
    #[must_use]
    pub fn at(now: Time) -> &'static Self {
        Box::leak(Box::new(Self {
            now_us: AtomicI64::new(now.as_micros()),
            passed_us: AtomicU64::new(0),
            began: Instant::now(),
        }))
    }

    /// It reads `now` from here on, and `passed` has passed since it was made.
    pub fn set(&self, now: Time, passed: Duration) {
        let passed = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
        self.now_us.store(now.as_micros(), Ordering::Relaxed);
        self.passed_us.store(passed, Ordering::Relaxed);
    }
}

impl PartialEq for Hands {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// `test = test_us + (wall - wall_us) * rate`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct TestClock {
    wall_us: i64,
    test_us: i64,
    rate: f64,
}

/// Why a process has no clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The variable is set, but the process was not started with the test flag.
    #[error(
        "{TEST_CLOCK_VARIABLE} is set but --test-clock was not given: unset the variable, or give the flag if this is a test"
    )]
    TestClockNotAllowed,
    /// The test flag was given, but there is no test clock.
    #[error(
        "--test-clock was given but {TEST_CLOCK_VARIABLE} is not set: set it to <wall_us>:<test_us>:<rate>, or drop the flag"
    )]
    TestClockMissing,
    /// The text is not a test clock.
    #[error(
        "{TEST_CLOCK_VARIABLE}: {field} is wrong: it must be <wall_us>:<test_us>:<rate>, whole microseconds since 1970 and a rate from 0.001 to 100000"
    )]
    Malformed {
        /// The part that does not parse.
        field: &'static str,
    },
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub const fn system() -> Self {
        let source = Source::Machine;
        Self { source }
    }

    /// A clock that stands until it is moved.
    #[must_use]
    pub const fn by_hand(hands: &'static Hands) -> Self {
        let source = Source::Hand(hands);
        Self { source }
    }

    /// A test clock that reads `test` when the wall reads `wall` and runs `rate` times as fast.
    ///
    /// # Errors
    /// [`ClockError::Malformed`] if the rate is out of range.
    pub fn test(wall: Time, test: Time, rate: f64) -> Result<Self, ClockError> {
        if !RATES.contains(&rate) {
            return Err(ClockError::Malformed { field: "rate" });
        }
        let test = TestClock {
            wall_us: wall.as_micros(),
            test_us: test.as_micros(),
            rate,
        };
        let source = Source::Test(test);
        Ok(Self { source })
    }

    /// From the environment: the system's clock, or the test clock in [`TEST_CLOCK_VARIABLE`] when (and only
    /// when) the process was started with its explicit flag.
    ///
    /// # Errors
    /// The variable without the flag, the flag without the variable, or a text that is no test clock.
    pub fn from_env(allow_test: bool) -> Result<Self, ClockError> {
        let text = std::env::var_os(TEST_CLOCK_VARIABLE);
        Self::from_text(
            text.map(|text| text.to_string_lossy().into_owned())
                .as_deref(),
            allow_test,
        )
    }

    /// As [`Clock::from_env`], with the variable's content passed in.
    ///
    /// # Errors
    /// As [`Clock::from_env`].
    pub fn from_text(text: Option<&str>, allow_test: bool) -> Result<Self, ClockError> {
        let text = match (text, allow_test) {
            (None, false) => return Ok(Self::system()),
            (None, true) => return Err(ClockError::TestClockMissing),
            (Some(_), false) => return Err(ClockError::TestClockNotAllowed),
            (Some(text), true) => text,
        };
        let mut parts = text.split(':');
        let wall = whole(parts.next(), "wall_us")?;
        let test = whole(parts.next(), "test_us")?;
        let rate = parts.next().and_then(|part| part.parse().ok());
        let rate: f64 = rate.ok_or(ClockError::Malformed { field: "rate" })?;
        if parts.next().is_some() {
            return Err(ClockError::Malformed {
                field: "what follows the rate",
            });
        }
        Self::test(Time::from_micros(wall), Time::from_micros(test), rate)
    }

    /// The text that gives another process this clock; `None` for the system's clock.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let t = self.test_clock()?;
        Some(format!("{}:{}:{}", t.wall_us, t.test_us, t.rate))
    }

    const fn test_clock(&self) -> Option<TestClock> {
        match self.source {
            Source::Test(test) => Some(test),
            Source::Machine | Source::Hand(_) => None,
        }
    }

    /// The time now. Never earlier than any time given before in this process by an equal clock.
    #[must_use]
    pub fn now(&self) -> Time {
        match self.source {
            Source::Hand(hands) => Time::from_micros(hands.now_us.load(Ordering::Relaxed)),
            Source::Machine | Source::Test(_) => self.at_wall(wall_now()),
        }
    }

    /// The moment now, by which the machine measures how long something took, whatever its clock is set to.
    #[must_use]
    pub fn moment(&self) -> Instant {
        match self.source {
            Source::Hand(hands) => {
                hands.began + Duration::from_micros(hands.passed_us.load(Ordering::Relaxed))
            }
            Source::Machine | Source::Test(_) => Instant::now(),
        }
    }

    /// What this clock reads when the wall clock reads `wall`. For the few figures that are wall times by
    /// name (`_wall`) and must be compared with clock times.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a test clock runs for days, not for the 285 years that lose microseconds; the cast saturates"
    )]
    pub fn at_wall(&self, wall: Time) -> Time {
        match self.source {
            Source::Machine | Source::Hand(_) => wall,
            Source::Test(t) => {
                let elapsed = wall.as_micros().saturating_sub(t.wall_us) as f64;
                Time::from_micros(t.test_us.saturating_add((elapsed * t.rate) as i64))
            }
        }
    }

    /// How long to sleep for `span` of this clock to pass; zero for spans that are not positive.
    #[must_use]
    pub fn real(&self, span: Span) -> Duration {
        let micros = u64::try_from(span.as_micros()).unwrap_or(0);
        let plain = Duration::from_micros(micros);
        match self.source {
            Source::Machine | Source::Hand(_) => plain,
            Source::Test(_) if micros == 0 => plain,
            // A microsecond more, so that who sleeps for it does not wake just before.
            Source::Test(t) => plain
                .div_f64(t.rate)
                .saturating_add(Duration::from_micros(1)),
        }
    }

    /// How far this process's time is ahead of the machine's, because the machine's clock was set back.
    /// Beyond what half speed makes up soon, only a fresh process reads the right time again.
    #[must_use]
    pub fn ahead_of_machine(&self) -> Span {
        let read = machine_now();
        Span::from_micros(wall_now().as_micros().saturating_sub(read).max(0))
    }

    /// True when a test clock drives this process.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        matches!(self.source, Source::Test(_))
    }

    /// For every screen: empty for the system's clock, else what drives the process.
    #[must_use]
    pub fn describe(&self) -> String {
        self.test_clock()
            .map_or_else(String::new, |t| format!("TEST CLOCK, rate {}", t.rate))
    }

    /// The time now as TLS checks certificates with it.
    #[must_use]
    pub fn unix_time(&self) -> UnixTime {
        let micros = u64::try_from(self.now().as_micros()).unwrap_or(0);
        UnixTime::since_unix_epoch(Duration::from_micros(micros))
    }
}

/// The wall clock, microseconds since the Unix epoch, never going back within the process. For figures whose
/// name ends in `_wall` and for making a test clock; everything else reads a [`Clock`].
#[must_use]
pub fn wall_now() -> Time {
    let mut steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
    // Both are read under the lock, or two threads could give them in the wrong order.
    let (read, at) = (machine_now(), Instant::now());
    let (mut state, since) = steady.unwrap_or((Steady { wall_us: read }, at));
    let elapsed = at.saturating_duration_since(since);
    let (given, caught_up) = state.give(read, elapsed);
    *steady = Some((state, if caught_up { at } else { since }));
    Time::from_micros(given)
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
fn machine_now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        // A machine whose clock stands before 1970 has no usable time yet; it waits at the epoch.
        Err(_) => 0,
    }
}

/// The last wall time at which machine and process agreed.
#[derive(Clone, Copy, Debug)]
struct Steady {
    wall_us: i64,
}

impl Steady {
    /// The wall time to give when the machine reads `read` and `elapsed` passed since they agreed; and whether
    /// they agree again.
    fn give(&mut self, read: i64, elapsed: Duration) -> (i64, bool) {
        let half = i64::try_from(elapsed.as_micros() / 2).unwrap_or(i64::MAX);
        let least = self.wall_us.saturating_add(half);
        if read < least {
            return (least, false);
        }
        self.wall_us = read;
        (read, true)
    }
}

fn whole(part: Option<&str>, field: &'static str) -> Result<i64, ClockError> {
    part.and_then(|part| part.parse().ok())
        .ok_or(ClockError::Malformed { field })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_clock_needs_flag_and_variable() {
        assert_eq!(Clock::from_text(None, false), Ok(Clock::system()));
        assert_eq!(
            Clock::from_text(None, true),
            Err(ClockError::TestClockMissing)
        );
        assert_eq!(
            Clock::from_text(Some("1:2:3"), false),
            Err(ClockError::TestClockNotAllowed)
        );
        assert!(Clock::from_text(Some("1:2:3"), true).is_ok_and(|clock| clock.is_test()));
    }

    #[test]
    fn a_wrong_text_names_its_field() {
        let field = |text| match Clock::from_text(Some(text), true) {
            Err(ClockError::Malformed { field }) => field,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(field(""), "wall_us");
        assert_eq!(field("1:x:2"), "test_us");
        assert_eq!(field("1:2"), "rate");
        assert_eq!(field("1:2:0"), "rate");
        assert_eq!(field("1:2:NaN"), "rate");
        assert_eq!(field("1:2:-4"), "rate");
        assert_eq!(field("1:2:4:5"), "what follows the rate");
    }

    #[test]
    fn test_time_runs_at_its_rate_and_text_round_trips() {
        let wall = Time::from_micros(1_000_000);
        let clock = Clock::test(wall, Time::from_micros(50), 60.0).expect("rate in range");
        assert_eq!(clock.at_wall(wall), Time::from_micros(50));
        assert_eq!(
            clock.at_wall(wall + Span::from_secs(1)),
            Time::from_micros(60_000_050)
        );
        assert_eq!(
            clock.real(Span::from_mins(1)),
            Duration::from_micros(1_000_001)
        );
        assert_eq!(clock.real(Span::from_secs(-1)), Duration::ZERO);
        assert_eq!(
            Clock::from_text(clock.to_text().as_deref(), true),
            Ok(clock)
        );
        assert!(clock.describe().contains("TEST CLOCK") && Clock::system().describe().is_empty());
    }

    #[test]
    fn a_clock_moved_by_hand_reads_what_it_was_set_to() {
        let hands = Hands::at(Time::from_micros(5));
        let (clock, other) = (Clock::by_hand(hands), Clock::by_hand(Hands::at(Time::ZERO)));
        let began = clock.moment();
        assert_eq!((clock.now(), clock.moment()), (Time::from_micros(5), began));
        hands.set(Time::from_micros(9), Duration::from_secs(1));
        assert_eq!(clock.now(), Time::from_micros(9));
        assert_eq!(clock.moment(), began + Duration::from_secs(1));
        assert!(clock != other && !clock.is_test() && clock.to_text().is_none());
    }

    #[test]
    fn time_does_not_go_back() {
        let clock = Clock::system();
        let mut last = clock.now();
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_machine_set_back_slows_time_and_never_stops_it() {
        const SECOND: i64 = 1_000_000;
        let mut steady = Steady { wall_us: 0 };
        let (mut machine, mut since, mut last) = (100 * SECOND, 0, 0);
        let mut caught_up_after = None;
        for second in 0..40 {
            machine += SECOND;
            if second == 10 {
                machine -= 5 * SECOND;
            }
            since += SECOND;
            let elapsed = Duration::from_micros(u64::try_from(since).expect("forward"));
            let (given, agrees) = steady.give(machine, elapsed);
            assert!(given > last, "second {second}: {given} after {last}");
            last = given;
            if agrees {
                since = 0;
                if second > 10 {
                    caught_up_after.get_or_insert(second - 10);
                }
            }
        }
        assert_eq!(caught_up_after, Some(9));
        assert_eq!(last, machine);
    }
}
