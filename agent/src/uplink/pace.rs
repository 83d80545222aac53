//! PURE. How much may be on its way at once: what the line carries in a moment, learnt from its receipts.
//!
//! A receipt that takes `t` for a record behind `n` bytes says that the line carries `n / t`. Twice a moment of
//! that may be under way: enough to keep a line busy, little enough that an alert is through in seconds even at
//! 2 kbit/s, and quick to grow where receipts are quick. The first bytes of a connection go out carefully,
//! because a connection often comes back on a worse network.
//! Must not know: records, transports, clocks.

use vitals::{Span, Time};

/// How long what is on its way may take.
const MOMENT: Span = Span::from_secs(1);
/// What may be on its way before the first receipt of a connection, bytes.
const FIRST: usize = 2048;
/// What the thinnest line carries in a moment, bytes: a half of 2 kbit/s, for what is lost of it.
const THINNEST: usize = 128;
/// Most that is ever on its way, bytes.
const MOST: usize = 1 << 20;
/// A line whose receipts take longer than this does not keep up.
const SLOW: Span = Span::from_secs(3);
/// It keeps up again once receipts were quick for this long...
const CALM: Span = Span::from_secs(60);
/// ... or once it carries this much in a moment.
const QUICK: usize = 16 * 1024;

/// What is known of the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Bytes a moment; `None` before the first receipt.
    carries: Option<usize>,
    /// How long the last receipt took.
    took: Span,
    /// How long receipts took lately: halved by each that is quicker, so that a small one says little of large ones.
    longest: Span,
    /// When a receipt was last late.
    late: Option<Time>,
}

impl Pace {
    /// Nothing is known yet.
    pub(super) const fn new() -> Self {
        Self {
            carries: None,
            took: Span::ZERO,
            longest: Span::ZERO,
            late: None,
        }
    }

    /// A receipt came for what was handed over at `sent`, `behind` bytes with those before it.
    pub(super) fn arrived(&mut self, behind: usize, sent: Time, now: Time) {
        self.took = now.since(sent).max(Span::from_millis(1));
        let half = Span::from_micros(self.longest.as_micros() / 2);
        self.longest = self.took.max(half);
        let took = u64::try_from(self.took.as_micros()).unwrap_or(1);
        let moment = u64::try_from(MOMENT.as_micros()).unwrap_or(1);
        let carries = (behind as u64).saturating_mul(moment) / took;
        let carries = usize::try_from(carries).unwrap_or(MOST).min(MOST);
        // Halfway: one lost packet is not a slow line, several are.
        self.carries = Some(
            self.carries
                .map_or(carries, |known| known.midpoint(carries)),
        );
        if self.took > SLOW {
            self.late = Some(now);
        } else if self.carries.is_some_and(|carries| carries > QUICK)
            || self.late.is_some_and(|late| now.since(late) > CALM)
        {
            self.late = None;
        }
    }

    /// Bytes that may be on their way.
    pub(super) fn room(&self) -> usize {
        self.carries
            .map_or(FIRST, |carries| (2 * carries).min(MOST))
    }

    /// The line does not keep up. `oldest`: when the oldest of what is on its way was handed over.
    pub(super) fn is_slow(&self, oldest: Option<Time>, now: Time) -> bool {
        self.late.is_some() || oldest.is_some_and(|oldest| now.since(oldest) > SLOW)
    }

    /// How long to wait for a receipt of what went out as the last of `behind` bytes: `least`, or four times what the
    /// last ones took, or four times what the line needs for it. TCP loses nothing by itself: sending again what is still
    /// on a thin line only makes it thinner.
    pub(super) fn patience(&self, least: Span, behind: usize) -> Span {
        let carries = self.carries.unwrap_or(THINNEST).max(THINNEST);
        let moments = i64::try_from(4 * behind / carries).unwrap_or(i64::MAX);
        let line = Span::from_micros(MOMENT.as_micros().saturating_mul(moments));
        Span::from_micros(self.longest.as_micros().saturating_mul(4))
            .max(line)
            .max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn a_quick_line_opens_within_a_few_receipts() {
        let mut pace = Pace::new();
        assert_eq!(pace.room(), FIRST);
        let mut now = 0;
        for _ in 0..8 {
            // Whatever is allowed is sent and receipted in 10 ms.
            let room = pace.room();
            pace.arrived(room, at(now), at(now + 10));
            now += 10;
        }
        assert_eq!(pace.room(), MOST);
        assert!(!pace.is_slow(Some(at(now)), at(now + 10)));
    }

    #[test]
    fn a_line_of_2_kbit_takes_a_moment_at_a_time() {
        let mut pace = Pace::new();
        let mut now = 0;
        for _ in 0..8 {
            let sent = pace.room().max(1000);
            let took = i64::try_from(sent * 4).expect("small");
            pace.arrived(sent, at(now), at(now + took));
            now += took;
        }
        assert!(pace.room() <= 600, "{}", pace.room());
        assert!(pace.is_slow(None, at(now)));
        assert!(pace.patience(Span::from_secs(1), 100) >= Span::from_secs(2));
        // The line recovers: a few quick receipts of little say so after a minute, one of much at once.
        let mut much = pace;
        for n in 0..6 {
            much.arrived(40_000, at(now + n), at(now + n + 20));
        }
        assert!(!much.is_slow(None, at(now + 100)));
        pace.arrived(100, at(now), at(now + 500));
        assert!(pace.is_slow(None, at(now + 500)));
        pace.arrived(100, at(now + 61_000), at(now + 61_500));
        assert!(!pace.is_slow(None, at(now + 61_500)));
    }

    #[test]
    fn what_is_still_on_a_thin_line_is_waited_for() {
        let least = Span::from_secs(20);
        let mut pace = Pace::new();
        assert_eq!(pace.patience(least, 141), least);
        // A record of 4 KiB takes sixteen seconds at 2 kbit/s, and more where packets are lost.
        assert!(pace.patience(least, 4077) > Span::from_secs(60));
        for n in 0..8 {
            pace.arrived(100_000, at(n), at(n + 10));
        }
        assert_eq!(pace.patience(least, 4077), least, "not on a quick one");
    }

    #[test]
    fn far_away_is_not_slow() {
        let mut pace = Pace::new();
        for n in 0..20 {
            // Half a second there and back, one small record a second.
            pace.arrived(150, at(n * 1000), at(n * 1000 + 600));
            assert!(!pace.is_slow(None, at(n * 1000 + 600)));
        }
        // ... and a backlog opens it.
        let mut now = 20_000;
        for _ in 0..40 {
            pace.arrived(pace.room().max(2000), at(now), at(now + 600));
            now += 600;
        }
        assert_eq!(pace.room(), MOST);
    }

    #[test]
    fn what_hangs_is_slow_before_it_arrives() {
        let pace = Pace::new();
        assert!(!pace.is_slow(Some(at(0)), at(2_900)));
        assert!(pace.is_slow(Some(at(0)), at(3_100)));
    }
}
