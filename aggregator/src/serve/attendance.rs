//! Which platforms read alerts just now, and how far they say that they are.
//!
//! Invariants: a stream counts until it is dropped; names are those of certificates that the gate let in. Must not know:
//! who ought to be there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::clock::Clock;

use crate::chain::Heard;

/// Who reads.
#[derive(Debug)]
pub struct Attendance {
    clock: Clock,
    heard: Mutex<BTreeMap<String, Heard>>,
}

/// An open stream; dropping it signs it off.
#[derive(Debug)]
pub(super) struct Attending {
    of: Arc<Attendance>,
    platform: String,
}

impl Attendance {
    /// Nobody yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            heard: Mutex::default(),
        }
    }

    /// What was heard of whom since the centre was started.
    #[must_use]
    pub fn heard(&self) -> BTreeMap<String, Heard> {
        self.lock().clone()
    }

    pub(super) fn begin(self: &Arc<Self>, platform: &str) -> Attending {
        self.note(platform, |of| of.open += 1);
        Attending {
            of: Arc::clone(self),
            platform: platform.to_owned(),
        }
    }

    /// It has dealt with everything that it was told so far.
    pub(super) fn confirm(&self, platform: &str) {
        let now = self.clock.now();
        let mut heard = self.lock();
        heard.entry(platform.to_owned()).or_default().confirmed = Some(now);
    }

    fn note(&self, platform: &str, change: impl FnOnce(&mut Heard)) {
        let now = self.clock.now();
        let mut heard = self.lock();
        let of = heard.entry(platform.to_owned()).or_default();
        change(of);
        of.at = now;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.of
            .note(&self.platform, |of| of.open = of.open.saturating_sub(1));
    }
}
