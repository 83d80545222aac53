//! What one gateway may cost: public-key operations, signatures, certificates, orders.
//!
//! Token buckets in real time, passed in as `now`. Over budget means later, not never. Must not know: clocks,
//! messages.

use std::time::{Duration, Instant};

/// Contexts that a gateway may open at once: an agent opens one per patient at each start, and some gateways
/// restart often.
const CONTEXTS: u32 = 256;
/// One more context each.
const CONTEXT_EVERY: Duration = Duration::from_secs(5);
/// Openers that a gateway may have made again at once (a decapsulation each): only those that were pushed out of
/// memory, or that a restart forgot.
const OPENERS: u32 = 512;
/// One more opener each.
const OPENER_EVERY: Duration = Duration::from_millis(100);
/// Hellos at once: one a connection, and bad lines break often.
const HELLOS: u32 = 64;
/// One more hello each.
const HELLO_EVERY: Duration = Duration::from_secs(1);
/// Orders to set aside at once, an entry of the journal each.
const ORDERS: u32 = 64;
/// One more order each.
const ORDER_EVERY: Duration = Duration::from_secs(10);
/// Certificates at once; a gateway renews every sixteen hours.
const CERTIFICATES: u32 = 8;
/// One more certificate each.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(600);

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    contexts: Bucket,
    openers: Bucket,
    hellos: Bucket,
    orders: Bucket,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            contexts: Bucket::full(CONTEXTS, CONTEXT_EVERY),
            openers: Bucket::full(OPENERS, OPENER_EVERY),
            hellos: Bucket::full(HELLOS, HELLO_EVERY),
            orders: Bucket::full(ORDERS, ORDER_EVERY),
        }
    }
}

impl Budget {
    /// Spends the opening of a context; `false` when there is none left now.
    pub(super) fn context(&mut self, now: Instant) -> bool {
        self.contexts.spend(now)
    }

    /// Spends a decapsulation.
    pub(super) fn opener(&mut self, now: Instant) -> bool {
        self.openers.spend(now)
    }

    /// Spends a hello.
    pub(super) fn hello(&mut self, now: Instant) -> bool {
        self.hellos.spend(now)
    }

    /// Spends an order to set batches aside.
    pub(super) fn order(&mut self, now: Instant) -> bool {
        self.orders.spend(now)
    }
}

/// Bytes that a gateway may send; what is more waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// On the long run, bytes a second; 0: no limit.
    pub per_second: u64,
    /// At once, bytes.
    pub at_once: u64,
}

/// Bytes that it sent ahead of its flow.
#[derive(Debug, Default)]
pub(super) struct Sent {
    ahead: u64,
    since: Option<Instant>,
}

impl Sent {
    /// Takes note of `bytes`, and says how long whoever sent them must wait now.
    pub(super) fn note(&mut self, flow: Flow, bytes: u64, now: Instant) -> Duration {
        if flow.per_second == 0 {
            return Duration::ZERO;
        }
        let passed = now.duration_since(self.since.replace(now).unwrap_or(now));
        let gone = passed.as_micros() * u128::from(flow.per_second) / 1_000_000;
        let gone = u64::try_from(gone).unwrap_or(u64::MAX);
        self.ahead = self.ahead.saturating_sub(gone).saturating_add(bytes);
        let over = self.ahead.saturating_sub(flow.at_once);
        Duration::from_micros(over.saturating_mul(1_000_000) / flow.per_second)
    }
}

/// Certificates that a gateway may still renew.
#[derive(Debug)]
pub(super) struct Renewals(Bucket);

impl Default for Renewals {
    fn default() -> Self {
        Self(Bucket::full(CERTIFICATES, CERTIFICATE_EVERY))
    }
}

impl Renewals {
    /// Spends a certificate.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        self.0.spend(now)
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
    fn who_sends_more_than_its_flow_waits_and_others_do_not() {
        let flow = Flow {
            per_second: 1000,
            at_once: 5000,
        };
        let (mut sent, start) = (Sent::default(), Instant::now());
        assert_eq!(sent.note(flow, 5000, start), Duration::ZERO);
        assert_eq!(sent.note(flow, 500, start), Duration::from_millis(500));
        let later = start + Duration::from_secs(2);
        assert_eq!(sent.note(flow, 1500, later), Duration::ZERO);
        assert_eq!(sent.note(flow, 1000, later), Duration::from_secs(1));
        assert_eq!(Sent::default().note(flow, 1000, later), Duration::ZERO);
        let free = Flow::default();
        assert_eq!(sent.note(free, u64::MAX, later), Duration::ZERO);
    }

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
