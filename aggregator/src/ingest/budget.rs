//! What one gateway may cost: contexts opened, a public-key operation each.
//!
//! A token bucket in real time, passed in as `now`. Over budget means later, not never. Must not know: clocks,
//! messages.

use std::time::{Duration, Instant};

/// Contexts that a gateway may open at once: an agent opens one per patient at each start, and some gateways
/// restart often.
const CONTEXTS: u32 = 256;
/// One more context each.
const CONTEXT_EVERY: Duration = Duration::from_secs(5);
/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    contexts: Bucket,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            contexts: Bucket::full(CONTEXTS, CONTEXT_EVERY),
        }
    }
}

impl Budget {
    /// Spends the opening of a context; `false` when there is none left now.
    pub(super) fn context(&mut self, now: Instant) -> bool {
        self.contexts.spend(now)
    }
}

#[derive(Debug)]
struct Bucket {
    most: u32,
    every: Duration,
    left: u32,
    /// Time from which the next refill is counted.
    since: Option<Instant>,
}

impl Bucket {
    const fn full(most: u32, every: Duration) -> Self {
        Self {
            most,
            every,
            left: most,
            since: None,
        }
    }

    fn spend(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let refills = now.duration_since(since).as_nanos() / self.every.as_nanos();
        let refills = u32::try_from(refills).unwrap_or(u32::MAX);
        if refills > 0 {
            self.left = self.left.saturating_add(refills).min(self.most);
            self.since = Some(now);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills_to_its_brim() {
        let start = Instant::now();
        let mut bucket = Bucket::full(3, Duration::from_secs(10));
        assert_eq!(
            [0; 4].map(|_| bucket.spend(start)),
            [true, true, true, false]
        );
        assert!(!bucket.spend(start + Duration::from_secs(9)));
        assert!(bucket.spend(start + Duration::from_secs(10)));
        assert!(!bucket.spend(start + Duration::from_secs(10)));
        let later = start + Duration::from_secs(100_000);
        assert_eq!(
            [0; 4].map(|_| bucket.spend(later)),
            [true, true, true, false]
        );
    }
}
