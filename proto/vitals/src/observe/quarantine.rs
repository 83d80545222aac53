//! Readings of which nobody knows when they were taken, until somebody does.
//!
//! Such a reading goes to the centre at once, with the time of receipt and [`Quality::CLOCK_UNKNOWN`]: kept and shown,
//! used for nothing. A copy waits here. When the device's clock becomes known (it was read, or deliveries agree), the
//! reading is given once more with the time that its stamp then means, marked [`Quality::CLOCK_REPAIRED`] and [`Quality::RELEASED`]; the first one
//! stays beside it as it was.
//!
//! Invariants: at most `MOST` wait, the oldest are forgotten and stay in quarantine; they wait in memory alone, so a
//! restart leaves them there, too. Must not know: transports.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::clock::{Claim, DeviceClock};
use super::{MINUTE, SECOND, Sequences};
use crate::{DeviceTime, Kind, Quality, Reading, Span};

/// Readings of one device that wait: a day of spot checks.
const MOST: usize = 64;

/// What waits of one device.
#[derive(Clone, Debug, Default)]
pub(super) struct Quarantine {
    waiting: VecDeque<Reading>,
}

impl Quarantine {
    /// Takes in what of `readings` has no time, and adds what has one now by the clocks as they are.
    pub(super) fn settle(
        &mut self,
        readings: &mut Vec<Reading>,
        (clock, counter): (&DeviceClock, &DeviceClock),
        sequences: &mut Sequences,
    ) {
        let mut released = Vec::new();
        self.waiting.retain(|reading| {
            let clock = if is_counted(reading.kind) {
                counter
            } else {
                clock
            };
            match dated(reading, clock) {
                Some(reading) => {
                    released.push(reading);
                    false
                }
                None => true,
            }
        });
        for reading in readings.iter() {
            if reading.quality.has(Quality::CLOCK_UNKNOWN) && reading.device.is_some() {
                self.waiting.push_back(*reading);
            }
        }
        while self.waiting.len() > MOST {
            self.waiting.pop_front();
        }
        for mut reading in released {
            reading.sequence = sequences.take(reading.source, reading.kind);
            readings.push(reading);
        }
    }
}

/// Kinds whose stamps count from the start of a monitor's session.
const fn is_counted(kind: Kind) -> bool {
    matches!(kind, Kind::InterstitialGlucose | Kind::GlucoseRate)
}

/// The reading with the time that its stamp means.
fn dated(reading: &Reading, clock: &DeviceClock) -> Option<Reading> {
    let exact = if is_counted(reading.kind) {
        MINUTE
    } else {
        SECOND
    };
    let stamp = reading.device?.stamp;
    let claim = Claim {
        stamp,
        exact,
        ahead: Span::ZERO,
        trusted: true,
    };
    let judged = clock.judge_again(claim, reading.received)?;
    Some(Reading {
        effective: judged.effective,
        quality: reading
            .quality
            .without(Quality::CLOCK_UNKNOWN)
            .with(judged.quality)
            .with(Quality::RELEASED),
        device: Some(DeviceTime {
            stamp,
            uncertainty: judged.uncertainty,
        }),
        ..*reading
    })
}
