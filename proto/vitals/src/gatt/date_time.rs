//! The seven octets of a GATT date time (2A08, and inside many measurements), as the device wrote them.
//!
//! Nothing is judged while decoding: a thermometer with a dead clock still measured a temperature. Whether
//! the stamp is usable is asked of [`DateTime::validity`] and decided in [`crate::observe`].

use core::fmt;

use super::DecodeError;
use super::octets::{Builder, Octets};
use crate::{Span, Time};

/// A device's wall clock. The specification names no time zone: most devices keep local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// 1582 to 9999; 0 = unknown.
    pub year: u16,
    /// 1 to 12; 0 = unknown.
    pub month: u8,
    /// 1 to 31; 0 = unknown.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

/// What a date time is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// A moment of the calendar.
    Complete,
    /// Year, month or day is 0: the device does not know.
    Unknown,
    /// No such moment (a 13th month, 31 April, a 25th hour).
    Impossible,
}

impl DateTime {
    /// From exactly seven octets.
    ///
    /// # Errors
    /// Short or trailing octets.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let time = Self::read(&mut octets)?;
        octets.finish(false)?;
        Ok(time)
    }

    /// As seven octets.
    #[must_use]
    pub fn to_octets(self) -> [u8; 7] {
        let [low, high] = self.year.to_le_bytes();
        [
            low,
            high,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
        ]
    }

    pub(super) fn read(octets: &mut Octets<'_>) -> Result<Self, DecodeError> {
        let [low, high, month, day, hour, minute, second] = octets.array("time")?;
        Ok(Self {
            year: u16::from_le_bytes([low, high]),
            month,
            day,
            hour,
            minute,
            second,
        })
    }

    pub(super) fn write(self, builder: Builder) -> Builder {
        builder.octets(&self.to_octets())
    }

    /// Whether this is a moment of the calendar.
    #[must_use]
    pub fn validity(self) -> Validity {
        let clock_fine = self.hour <= 23 && self.minute <= 59 && self.second <= 59;
        let year_fine = self.year == 0 || (1582..=9999).contains(&self.year);
        if !clock_fine || !year_fine || self.month > 12 || self.day > 31 {
            Validity::Impossible
        } else if self.year == 0 || self.month == 0 || self.day == 0 {
            Validity::Unknown
        } else if self.day > days_in_month(self.year, self.month) {
            Validity::Impossible
        } else {
            Validity::Complete
        }
    }

    /// The moment, read as if the device kept UTC; `None` unless it is [`Validity::Complete`].
    ///
    /// Caveat: a device that keeps local time is off by its time zone. Whoever knows the zone subtracts it.
    #[must_use]
    pub fn as_if_utc(self) -> Option<Time> {
        if self.validity() != Validity::Complete {
            return None;
        }
        let days = days_from_civil(
            i64::from(self.year),
            i64::from(self.month),
            i64::from(self.day),
        );
        let seconds = days
            .saturating_mul(86_400)
            .saturating_add(i64::from(self.hour).saturating_mul(3_600))
            .saturating_add(i64::from(self.minute).saturating_mul(60))
            .saturating_add(i64::from(self.second));
        Some(Time::ZERO + Span::from_secs(seconds))
    }

    /// The UTC wall clock at `time`, cut to whole seconds; `None` outside the years 1582 to 9999.
    #[must_use]
    pub fn from_utc(time: Time) -> Option<Self> {
        let seconds = time.as_micros().div_euclid(1_000_000);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let made = Self {
            year: u16::try_from(year).ok()?,
            month: u8::try_from(month).ok()?,
            day: u8::try_from(day).ok()?,
            hour: u8::try_from(of_day.div_euclid(3_600)).ok()?,
            minute: u8::try_from(of_day.rem_euclid(3_600).div_euclid(60)).ok()?,
            second: u8::try_from(of_day.rem_euclid(60)).ok()?,
        };
        (made.validity() == Validity::Complete).then_some(made)
    }
}

/// The octets as they are, unknown parts as zeros: `0000-04-17T20:41:59`.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )
    }
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

// Both from Howard Hinnant, "chrono-compatible low-level date algorithms": years start in March, so that the
// leap day is the last one, and 400 years are 146,097 days. Days count from 1970-01-01.

#[expect(
    clippy::arithmetic_side_effects,
    reason = "year, month and day come from u16 and u8"
)]
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "days come from 64-bit microseconds: below 2^28"
)]
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}
