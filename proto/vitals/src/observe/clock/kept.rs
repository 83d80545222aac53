//! A clock's model as plain numbers, so that a gateway keeps it over its own restart: a clock that was known stays
//! known, and its uncertainty has grown by its age, because the model widens with the distance from where it was
//! compared.
//!
//! The numbers lie in clear on the gateway, so they name no moment closer than to the minute, as the records beside
//! them do. Promise: the true time is within what [`DeviceClock::from_numbers`] says as it was before, which is wider
//! by the drift of a minute at most. Must not know: stores.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Change, DeviceClock, EPOCHS, Epoch, Lone, SECOND, WORST_DRIFT_PPB, parts};
use crate::Time;

/// Numbers of an epoch, and in front of the epochs.
const AN_EPOCH: usize = 12;
const HEAD: usize = 7;
/// No moment is kept closer than to this.
const MINUTE: i64 = 60 * SECOND;

impl DeviceClock {
    /// All that is known, to the minute; empty if nothing is.
    #[must_use]
    pub fn to_numbers(&self) -> Vec<i64> {
        let coarse = self.coarse();
        if coarse == Self::default() {
            return Vec::new();
        }
        coarse.numbers()
    }

    /// What may lie in clear. What was judged last tells the order within one delivery only, and is not kept.
    fn coarse(&self) -> Self {
        let lone = |lone: Lone| Lone {
            received: Time::from_micros(down(lone.received.as_micros())),
            ..lone
        };
        Self {
            epochs: self.epochs.iter().map(Epoch::coarse).collect(),
            lone: self.lone.map(lone),
            last: None,
            ..*self
        }
    }

    fn numbers(&self) -> Vec<i64> {
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
        let mut numbers = Vec::with_capacity(HEAD.saturating_add(AN_EPOCH * EPOCHS));
        numbers.extend([self.seen_drift, self.changes.into(), change]);
        numbers.push(self.lone.is_some().into());
        numbers.extend(lone);
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
        let [has_lone, difference, lone_received, count] = head;
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
        Some(Self {
            epochs: epochs.iter().map(epoch).collect::<Option<VecDeque<_>>>()?,
            seen_drift,
            lone: (has_lone != 0).then_some(lone),
            last: None,
            changes: u32::try_from(changes).ok()?,
            change,
        })
    }
}

impl Epoch {
    /// The same to the minute: wider by what the clock may drift in one.
    fn coarse(&self) -> Self {
        let at = down(self.at);
        let (low, high) = self.offsets(at);
        let drift = self.rate.saturating_abs().saturating_add(self.rate_off);
        let first = |(stamp, offset, half): (i64, i64, i64)| {
            let moved = stamp.saturating_sub(down(stamp));
            (
                down(stamp),
                offset,
                half.saturating_add(parts(moved, drift)),
            )
        };
        Self {
            at,
            low,
            high,
            first: self.first.map(first),
            sure: down(self.sure),
            begins: down(self.begins),
            ends: up(self.ends),
            ..*self
        }
    }
}

const fn down(time: i64) -> i64 {
    time.div_euclid(MINUTE).saturating_mul(MINUTE)
}

const fn up(time: i64) -> i64 {
    match time.checked_add(MINUTE - 1) {
        Some(time) => down(time),
        None => time,
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
