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

use crate::publish::Hub;

/// Gateways take over after 180 s without a receipt: with this, a start that takes longer is noticed as one.
const GRACE: Duration = Duration::from_secs(120);

/// See the module.
pub struct Late {
    since: Instant,
    grace: Duration,
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
    pub fn of(hub: &Arc<Hub>) -> Self {
        Self::within(GRACE, hub)
    }

    fn within(grace: Duration, hub: &Arc<Hub>) -> Self {
        let hub = Arc::clone(hub);
        Self {
            since: Instant::now(),
            grace,
            is_current: Box::new(move || hub.is_ready()),
        }
    }

    /// Of a centre whose twins are current.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self {
            since: Instant::now(),
            grace: GRACE,
            is_current: Box::new(|| true),
        }
    }

    /// Whether nothing is to be taken now.
    pub(super) fn is_too_late(&self) -> bool {
        !(self.is_current)() && self.since.elapsed() >= self.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{CursorKey, Limits};
    use proto::seal::Secret;

    #[test]
    fn the_door_is_shut_after_a_while_until_twins_are_current() {
        let hub = Arc::new(Hub::new(
            CursorKey::new(Secret::new([1; 32])),
            Limits::default(),
        ));
        let (open, shut) = (Late::of(&hub), Late::within(Duration::ZERO, &hub));
        assert!(!open.is_too_late(), "not yet");
        assert!(shut.is_too_late());
        hub.ready();
        assert!(!shut.is_too_late());
        assert!(
            GRACE.as_secs() < twin::rule::GATEWAY_SILENT.as_micros().unsigned_abs() / 1_000_000
        );
    }
}
