//! The clock of a device: it runs a little wrong, shows local time or whatever it was set to, loses everything when its
//! battery is changed, and can be set through the time characteristics.
//!
//! PURE: `up` is how long the device has been running.

use vitals::gatt::{CurrentTime, DateTime};
use vitals::{Span, Time};

use crate::gatt::{Refusal, Uuid};
use crate::profiles;

/// What a clock shows.
#[derive(Clone, Copy, Debug)]
pub struct DeviceClock {
    shown: Time,
    since: Span,
    drift_ppm: f64,
    set: bool,
}

impl DeviceClock {
    /// Shows `shown` at first and gains `drift_ppm` microseconds a second.
    #[must_use]
    pub fn new(shown: Time, drift_ppm: f64) -> Self {
        Self {
            shown,
            since: Span::ZERO,
            drift_ppm,
            set: true,
        }
    }

    /// What it shows, as if that were UTC.
    #[must_use]
    pub fn now(&self, up: Span) -> Time {
        let ran = up - self.since;
        // Drift of a running time below a century is far below what 53 bits hold.
        let gained = libm::round(ran.as_secs_f64() * self.drift_ppm) as i64;
        self.shown + ran + Span::from_micros(gained)
    }

    /// The same in calendar form; `None` outside the years that the form has.
    #[must_use]
    pub fn date_time(&self, up: Span) -> Option<DateTime> {
        DateTime::from_utc(self.now(up))
    }

    /// False after a reset, until it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.set
    }

    /// Shows `shown` from now on.
    pub fn set(&mut self, up: Span, shown: Time) {
        (self.shown, self.since, self.set) = (shown, up, true);
    }

    /// Somebody turns it forward, or back for a negative span: daylight saving, a journey.
    pub fn turn(&mut self, up: Span, by: Span) {
        self.set(up, self.now(up) + by);
    }

    /// The battery was out: it shows the beginning of 1970.
    pub fn reset(&mut self, up: Span) {
        (self.shown, self.since, self.set) = (Time::ZERO, up, false);
    }

    /// What a read of a time characteristic gives; `None` if it is none.
    #[must_use]
    pub fn read(&self, up: Span, characteristic: Uuid) -> Option<alloc::vec::Vec<u8>> {
        match characteristic {
            profiles::CURRENT_TIME => CurrentTime::at(self.now(up), Span::ZERO, 0)?.encode().ok(),
            profiles::DATE_TIME => Some(self.date_time(up)?.to_octets().into()),
            _ => None,
        }
    }

    /// A write to a time characteristic; `None` if it is none.
    pub fn write(
        &mut self,
        up: Span,
        characteristic: Uuid,
        octets: &[u8],
    ) -> Option<Result<(), Refusal>> {
        let time = match characteristic {
            profiles::CURRENT_TIME => CurrentTime::decode(octets).map(|current| current.time),
            profiles::DATE_TIME => DateTime::decode(octets),
            _ => return None,
        };
        let Ok(time) = time else {
            return Some(Err(Refusal::LENGTH));
        };
        Some(match time.as_if_utc() {
            Some(shown) => {
                self.set(up, shown);
                Ok(())
            }
            None => Err(Refusal::OUT_OF_RANGE),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_drifts_is_set_turned_and_forgets() {
        let start = Time::from_micros(1_800_000_000_000_000);
        let mut clock = DeviceClock::new(start, 100.0);
        let hour = Span::from_secs(3600);
        // 100 ppm of an hour are 0.36 s.
        assert_eq!(clock.now(hour), start + hour + Span::from_millis(360));
        clock.turn(hour, hour);
        assert_eq!(
            clock.now(hour),
            start + Span::from_secs(7200) + Span::from_millis(360)
        );
        clock.reset(hour);
        assert_eq!(clock.now(hour), Time::ZERO);
        assert!(!clock.is_set());
        let written = CurrentTime::at(start, hour, 1)
            .and_then(|t| t.encode().ok())
            .expect("a moment of 2027");
        let done = clock.write(hour, profiles::CURRENT_TIME, &written);
        assert_eq!(done, Some(Ok(())));
        assert!(clock.is_set());
        assert_eq!(clock.now(hour), start + hour);
        let thirteenth_month = [0xEB, 0x07, 13, 1, 0, 0, 0];
        let refused = clock.write(hour, profiles::DATE_TIME, &thirteenth_month);
        assert_eq!(refused, Some(Err(Refusal::OUT_OF_RANGE)));
        assert_eq!(clock.write(hour, crate::gatt::BATTERY_LEVEL, &[1]), None);
    }
}
