//! Current Time Service 1805: current time 2A2B, local time information 2A0F, reference time 2A14 (CTS 1.1).
//!
//! Many cuffs and scales report nothing, or with a dead clock, until a collector has written one of these or
//! 2A08. A gateway writes what it was told; it never sets a device's clock unasked.

use alloc::vec::Vec;

use super::date_time::DateTime;
use super::fields::Fields;
use super::octets::{Builder, Octets};
use super::{DecodeError, EncodeError};
use crate::{Span, Time};

/// 2A2B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentTime {
    /// Local time, whole seconds.
    pub time: DateTime,
    /// 1 Monday to 7 Sunday; 0 = unknown.
    pub day_of_week: u8,
    /// 1/256 s.
    pub fraction: u8,
    /// Why it changed: bit 0 by hand, 1 from a reference, 2 time zone, 3 daylight saving.
    pub adjust_reason: u8,
}

impl CurrentTime {
    /// The wall clock that is `ahead` of UTC at `now`, to be written to a device; `None` outside the years
    /// 1582 to 9999.
    #[must_use]
    pub fn at(now: Time, ahead: Span, adjust_reason: u8) -> Option<Self> {
        let wall = now + ahead;
        let micros = wall.as_micros();
        // 1970-01-01 was a Thursday.
        let day = micros
            .div_euclid(86_400_000_000)
            .saturating_add(3)
            .rem_euclid(7)
            .saturating_add(1);
        let fraction = micros
            .rem_euclid(1_000_000)
            .saturating_mul(256)
            .div_euclid(1_000_000);
        Some(Self {
            time: DateTime::from_utc(wall)?,
            day_of_week: u8::try_from(day).ok()?,
            fraction: u8::try_from(fraction).ok()?,
            adjust_reason,
        })
    }

    /// From the octets of a read, write or notification.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let decoded = Self {
            time: DateTime::read(&mut octets)?,
            day_of_week: octets.u8("day_of_week")?,
            fraction: octets.u8("fraction_256")?,
            adjust_reason: octets.u8("adjust_reason")?,
        };
        octets.finish(false)?;
        Ok(decoded)
    }

    /// The octets of a read, write or notification.
    ///
    /// # Errors
    /// None today.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        self.time
            .write(Builder::default())
            .octets(&[self.day_of_week, self.fraction, self.adjust_reason])
            .finish()
    }
}

/// 2A0F: the time zone that a device shows to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTimeInfo {
    /// Quarters of an hour from UTC, -48 to 56; -128 = unknown.
    pub time_zone: i8,
    /// Quarters of an hour of daylight saving (0, 2, 4, 8); 255 = unknown.
    pub dst: u8,
}

impl LocalTimeInfo {
    /// From the octets of a read or write.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let decoded = Self {
            time_zone: octets.u8("time_zone")?.cast_signed(),
            dst: octets.u8("dst")?,
        };
        octets.finish(false)?;
        Ok(decoded)
    }

    /// The octets of a read or write.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        Vec::from([self.time_zone.cast_unsigned(), self.dst])
    }

    /// How far the device's wall clock is ahead of UTC; `None` if it does not say, or says nonsense.
    #[must_use]
    pub fn ahead(self) -> Option<Span> {
        let zone = (-48..=56).contains(&self.time_zone);
        let dst = matches!(self.dst, 0 | 2 | 4 | 8);
        let quarters = i64::from(self.time_zone).saturating_add(i64::from(self.dst));
        (zone && dst).then(|| Span::from_mins(quarters.saturating_mul(15)))
    }
}

/// 2A14: how much a device trusts its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceTime {
    /// 0 unknown, 1 network, 2 GPS, 3 radio, 4 by hand, 5 atomic, 6 cellular.
    pub time_source: u8,
    /// Eighths of a second; 254 = more, 255 = unknown.
    pub accuracy: u8,
    /// Days since the last update; 255 = 255 or more.
    pub days: u8,
    /// Hours beside the days; 255 with 255 days.
    pub hours: u8,
}

impl ReferenceTime {
    /// From the octets of a read.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let [time_source, accuracy, days, hours] = octets.array("reference_time")?;
        octets.finish(false)?;
        Ok(Self {
            time_source,
            accuracy,
            days,
            hours,
        })
    }

    /// The octets of a read.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        Vec::from([self.time_source, self.accuracy, self.days, self.hours])
    }
}

impl CurrentTime {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("time", self.time)
            .with("day_of_week", self.day_of_week)
            .with("fraction_256", self.fraction)
            .with("adjust_reason", self.adjust_reason)
    }
}

impl LocalTimeInfo {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("time_zone", self.time_zone)
            .with("dst", self.dst)
    }
}

impl ReferenceTime {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        Fields::default()
            .with("time_source", self.time_source)
            .with("accuracy", self.accuracy)
            .with("days", self.days)
            .with("hours", self.hours)
    }
}
