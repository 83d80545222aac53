//! A device's own count of time, against ours, where it only orders samples.
//!
//! Nobody need have set that clock: its distance from ours is the smallest that was seen (what travelled fastest), and
//! may grow by a ten-thousandth, so that a slow crystal is followed. So blocks follow each other as the device took
//! them, and not as the radio was in the mood. Only for what is sent as it is measured.

use crate::{Span, Time};

/// What is this far from where the clock should be comes from a clock that was set anew.
const JUMP: Span = Span::from_secs(5);

/// One device's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// When something was received, and our time less the device's, microseconds.
    distance: Option<(Time, i64)>,
}

impl Timeline {
    /// Our time of the device's, microseconds since whatever it counts from; never after `received`.
    pub(super) fn time(&mut self, device: i64, received: Time) -> Time {
        let seen = received.as_micros().saturating_sub(device);
        let distance = match self.distance {
            Some((before, distance)) => {
                let elapsed = received.since(before).as_micros().max(0);
                let crept = distance.saturating_add(elapsed.div_euclid(10_000));
                if seen.abs_diff(crept) > JUMP.as_micros().unsigned_abs() {
                    seen
                } else {
                    seen.min(crept)
                }
            }
            None => seen,
        };
        self.distance = Some((received, distance));
        Time::from_micros(device.saturating_add(distance)).min(received)
    }
}
