//! A clock's model as plain numbers, so that a gateway keeps it over its own restart: a clock that was known stays
//! known, and its uncertainty has grown by its age, because the model widens with the distance from where it was
//! compared.
//!
//! Promise: what [`DeviceClock::from_numbers`] takes back judges as the clock did that gave the numbers. Must not know:
//! stores.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Change, DeviceClock, EPOCHS, Epoch, Last, Lone, WORST_DRIFT_PPB};
use crate::Time;

/// Numbers of an epoch, and in front of the epochs.
const AN_EPOCH: usize = 12;
const HEAD: usize = 11;

impl DeviceClock {
    /// All that is known; empty if nothing is.
    #[must_use]
    pub fn to_numbers(&self) -> Vec<i64> {
        if *self == Self::default() {
            return Vec::new();
        }
        let change = self.change.map_or(0, |change| match change {
            Change::Zone => 1,
            Change::Set => 2,
            Change::Reset => 3,
        });
        let lone = self.lone.map_or([0; 3], |lone| {
            [
                lone.difference,
                lone.received.as_micros(),
                lone.count.into(),
            ]
        });
        let last = self.last.map_or([0; 3], |last| {
            [last.stamp, last.effective, last.received].map(Time::as_micros)
        });
        let mut numbers = Vec::with_capacity(HEAD.saturating_add(AN_EPOCH * EPOCHS));
        numbers.extend([self.seen_drift, self.changes.into(), change]);
        numbers.push(self.lone.is_some().into());
        numbers.extend(lone);
        numbers.push(self.last.is_some().into());
        numbers.extend(last);
        for epoch in &self.epochs {
            let first = epoch.first.unwrap_or_default();
            numbers.extend([
                epoch.at,
                epoch.low,
                epoch.high,
                epoch.rate,
                epoch.rate_off,
                epoch.first.is_some().into(),
                first.0,
                first.1,
                first.2,
                epoch.sure,
                epoch.begins,
                epoch.ends,
            ]);
        }
        numbers
    }

    /// From [`DeviceClock::to_numbers`]; `None` for what no clock gave.
    #[must_use]
    pub fn from_numbers(numbers: &[i64]) -> Option<Self> {
        if numbers.is_empty() {
            return Some(Self::default());
        }
        let (head, epochs) = numbers.split_first_chunk::<HEAD>()?;
        let [seen_drift, changes, change, head @ ..] = *head;
        let [has_lone, difference, lone_received, count, head @ ..] = head;
        let [has_last, stamp, effective, received] = head;
        let (epochs, rest) = epochs.as_chunks::<AN_EPOCH>();
        let sound = (0..=WORST_DRIFT_PPB).contains(&seen_drift)
            && (0..=3).contains(&change)
            && rest.is_empty()
            && epochs.len() <= EPOCHS;
        if !sound {
            return None;
        }
        let change = match change {
            1 => Some(Change::Zone),
            2 => Some(Change::Set),
            3 => Some(Change::Reset),
            _ => None,
        };
        let count = u32::try_from(count).ok()?;
        let lone = Lone {
            difference,
            received: Time::from_micros(lone_received),
            count,
        };
        let last = Last {
            stamp: Time::from_micros(stamp),
            effective: Time::from_micros(effective),
            received: Time::from_micros(received),
        };
        Some(Self {
            epochs: epochs.iter().map(epoch).collect::<Option<VecDeque<_>>>()?,
            seen_drift,
            lone: (has_lone != 0).then_some(lone),
            last: (has_last != 0).then_some(last),
            changes: u32::try_from(changes).ok()?,
            change,
        })
    }
}

fn epoch(numbers: &[i64; AN_EPOCH]) -> Option<Epoch> {
    let [at, low, high, rate, rate_off, has_first, numbers @ ..] = *numbers;
    let [first, first_offset, first_half, sure, begins, ends] = numbers;
    let sound = low <= high && rate_off >= 0;
    sound.then_some(Epoch {
        at,
        low,
        high,
        rate,
        rate_off,
        first: (has_first != 0).then_some((first, first_offset, first_half)),
        sure,
        begins,
        ends,
    })
}
