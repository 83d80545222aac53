//! A centre that has been bringing its twins up to date for too long takes nothing more until that is done.
//!
//! A receipt tells a gateway that the centre watches. While twins are behind, nobody does: were gateways receipted all the
//! same, none would raise the critical alerts itself. So the door is open for less than a gateway waits for a receipt
//! before it takes over, then it is shut, and gateways keep what they have and watch.
//!
//! Must not know: what twins are.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::clock::Clock;

use crate::publish::Hub;

/// Gateways take over after 180 s without a receipt: with this, a start that takes longer is noticed as one.
const GRACE: Duration = Duration::from_secs(120);

/// See the module.
pub struct Late {
    clock: Clock,
    since: Instant,
    is_current: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").finish_non_exhaustive()
    }
}

impl Late {
    /// By whether the hub was told all that was durable at the start, which is now.
    #[must_use]
    pub fn of(hub: &Arc<Hub>, clock: Clock) -> Self {
        let hub = Arc::clone(hub);
        Self {
            clock,
            since: clock.moment(),
            is_current: Box::new(move || hub.is_ready()),
        }
    }

    /// Of a centre whose twins are current.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        let clock = Clock::system();
        Self {
            clock,
            since: clock.moment(),
            is_current: Box::new(|| true),
        }
    }

    /// Whether nothing is to be taken now.
    pub(super) fn is_too_late(&self) -> bool {
        let waited = self.clock.moment().saturating_duration_since(self.since);
        waited >= GRACE && !(self.is_current)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{CursorKey, Limits};
    use proto::clock::Hands;
    use proto::seal::Secret;
    use vitals::Time;

    #[test]
    fn the_door_is_shut_after_a_while_until_twins_are_current() {
        let hub = Arc::new(Hub::new(
            CursorKey::new(Secret::new([1; 32])),
            Limits::default(),
        ));
        let hands = Hands::at(Time::ZERO);
        let late = Late::of(&hub, Clock::by_hand(hands));
        assert!(!late.is_too_late(), "not yet");
        // A clock that is set says nothing of how long it took.
        hands.set(Time::MAX, GRACE / 2);
        assert!(!late.is_too_late(), "not yet");
        hands.set(Time::ZERO, GRACE);
        assert!(late.is_too_late());
        hub.ready();
        assert!(!late.is_too_late());
        assert!(
            GRACE.as_secs() < twin::rule::GATEWAY_SILENT.as_micros().unsigned_abs() / 1_000_000
        );
    }
}
