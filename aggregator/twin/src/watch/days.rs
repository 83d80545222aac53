//! A day in five numbers: what a failing heart shows over days. Weight (the last of the day), the resting heart rate, the mean
//! respiration and saturation, the steps.
//!
//! Promises: bounded, one open day. Must not know: what follows from them.

use vitals::{Kind, Time};

use crate::resting::Night;

const DAY_US: i64 = 86_400_000_000;

/// What is followed, in the order of [`Day::values`].
pub(super) const FEATURES: usize = 5;

/// A day that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Day {
    /// Days since the epoch.
    pub(super) day: i64,
    /// Weight, resting heart rate, respiration, saturation, steps; none: not measured.
    pub(super) values: [Option<f64>; FEATURES],
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    sum: f64,
    count: f64,
}

impl Sum {
    pub(super) fn take(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    pub(super) fn mean(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

/// The open day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Days {
    day: i64,
    weight: Option<f64>,
    respiration: Sum,
    saturation: Sum,
    steps: Sum,
    /// Of the day before: the heart's day may be closed after this one's first value.
    before: Option<(i64, [Option<f64>; FEATURES])>,
}

impl Days {
    /// A usable value; what is older than the open day is left out.
    pub(super) fn take(&mut self, kind: Kind, at: Time, value: f64) {
        let day = at.as_micros().div_euclid(DAY_US);
        if day < self.day {
            return;
        }
        if day > self.day {
            let before = Some((self.day, self.values()));
            *self = Self {
                day,
                before,
                ..Self::default()
            };
        }
        if kind == Kind::BodyWeight {
            self.weight = Some(value);
        } else if kind == Kind::RespiratoryRate {
            self.respiration.take(value);
        } else if kind == Kind::OxygenSaturation {
            self.saturation.take(value);
        } else if kind == Kind::StepsTaken {
            self.steps.take(value);
        }
    }

    /// The day of a heart that is over.
    pub(super) fn close(&self, night: &Night) -> Day {
        let mut values = match self.before {
            Some((day, values)) if day == night.day => values,
            Some(_) | None if self.day == night.day => self.values(),
            Some(_) | None => [None; FEATURES],
        };
        values[1] = Some(night.rest);
        Day {
            day: night.day,
            values,
        }
    }

    fn values(&self) -> [Option<f64>; FEATURES] {
        let steps = (self.steps.count > 0.0).then_some(self.steps.sum);
        [
            self.weight,
            None,
            self.respiration.mean(),
            self.saturation.mean(),
            steps,
        ]
    }
}

crate::canonical_fields! {
    Sum { sum, count }
    Days { day, weight, respiration, saturation, steps, before }
}
