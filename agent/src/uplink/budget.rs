//! PURE. What a metered line may carry on a day, and what waits.
//!
//! The order, declared in `config.sample.toml`: alerts, spot checks, gaps and heartbeats always go, and count; live
//! vitals go while the day's bytes last; backlog and waveforms go with what live data left over of the day's even
//! share so far. The day is UTC's by the agent's clock. A clock that steps back gives no second budget: each day
//! remembers what it spent, also one that has yet to come again, and what was spent on later days is charged to the
//! one that the clock came back to.
//! Must not know: records, transports.

use std::collections::BTreeMap;

use vitals::{Span, Time};

/// Days that are remembered.
const DAYS: usize = 16;
/// A crash forgets at most this part of a budget.
const WORTH_KEEPING: u64 = 200;
const DAY_US: i64 = 86_400_000_000;

/// What may go now. The order is the order of what is given up last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance {
    /// Alerts, spot checks, gaps, heartbeats.
    Urgent,
    /// And live vitals.
    Live,
    /// Everything.
    All,
}

/// The budget and what was spent.
#[derive(Clone, Debug)]
pub struct Budget {
    /// `None`: the line is free.
    bytes_per_day: Option<u64>,
    /// The day that it is, since 1970.
    day: i64,
    days: BTreeMap<i64, u64>,
    /// Handed to the line, not yet counted by it.
    handed: u64,
}

impl Budget {
    /// With what was remembered by [`Budget::remembered`]. 0 bytes: the line is free.
    #[must_use]
    pub fn new(bytes_per_day: u64, remembered: (i64, BTreeMap<i64, u64>)) -> Self {
        Self {
            bytes_per_day: (bytes_per_day > 0).then_some(bytes_per_day),
            day: remembered.0,
            days: remembered.1,
            handed: 0,
        }
    }

    /// The day that it is and what the days spent: to be kept across restarts.
    #[must_use]
    pub fn remembered(&self) -> (i64, &BTreeMap<i64, u64>) {
        (self.day, &self.days)
    }

    /// Another budget, for tests that start with none.
    #[cfg(test)]
    pub(crate) const fn set_for_tests(&mut self, bytes_per_day: u64) {
        self.bytes_per_day = Some(bytes_per_day);
    }

    /// True if enough passed since `kept` was written that a crash must not forget it.
    #[must_use]
    pub fn is_worth_keeping(&self, kept: &BTreeMap<i64, u64>) -> bool {
        let kept = kept.get(&self.day).copied().unwrap_or(0);
        let most = self.bytes_per_day.map(|budget| budget / WORTH_KEEPING);
        most.is_some_and(|most| self.spent().abs_diff(kept) > most)
    }

    /// Bytes a day, if the line is metered.
    #[must_use]
    pub const fn bytes_per_day(&self) -> Option<u64> {
        self.bytes_per_day
    }

    /// Bytes that passed the line today, both ways.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.days.get(&self.day).copied().unwrap_or(0)
    }

    /// When the day ends.
    #[must_use]
    pub const fn day_ends(&self) -> Time {
        Time::from_micros((self.day + 1).saturating_mul(DAY_US))
    }

    /// A message goes to the line, which will count it later: until then it counts by its length.
    pub const fn hand(&mut self, bytes: u64) {
        self.handed = self.handed.saturating_add(bytes);
    }

    /// These bytes passed the line.
    pub fn spend(&mut self, bytes: u64, now: Time) {
        self.turn(now);
        self.handed = self.handed.saturating_sub(bytes);
        let spent = self.days.entry(self.day).or_default();
        *spent = spent.saturating_add(bytes);
        // A clock that went far back makes today the oldest: it is the one that counts.
        while self.days.len() > DAYS
            && let Some(other) = self.days.keys().copied().find(|day| *day != self.day)
        {
            self.days.remove(&other);
        }
    }

    /// The line is gone, and what was handed to it.
    pub const fn line_down(&mut self) {
        self.handed = 0;
    }

    /// What may go now.
    pub fn allowance(&mut self, now: Time) -> Allowance {
        self.turn(now);
        let Some(budget) = self.bytes_per_day else {
            return Allowance::All;
        };
        let spent = self.spent().saturating_add(self.handed);
        if spent >= budget {
            Allowance::Urgent
        } else if spent >= even_share(budget, now) {
            Allowance::Live
        } else {
            Allowance::All
        }
    }

    fn turn(&mut self, now: Time) {
        let today = now.as_micros().div_euclid(DAY_US);
        if today < self.day {
            let later = today + 1..=self.day;
            let charged: u64 = self.days.range(later).map(|(_, bytes)| *bytes).sum();
            *self.days.entry(today).or_default() += charged;
        }
        self.day = today;
    }
}

/// What an even spender would have spent by now.
fn even_share(budget: u64, now: Time) -> u64 {
    let passed = now.as_micros().rem_euclid(DAY_US);
    let share =
        u128::from(budget) * u128::from(passed.unsigned_abs()) / u128::from(DAY_US.unsigned_abs());
    u64::try_from(share).unwrap_or(budget)
}

/// How long small records are gathered on a metered line.
#[must_use]
pub fn gather(allowance: Allowance) -> Span {
    match allowance {
        // It keeps within its share: freshness goes first.
        Allowance::All => Span::from_secs(10),
        Allowance::Live | Allowance::Urgent => Span::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3600;

    fn at(hours: i64) -> Time {
        Time::ZERO + Span::from_secs(hours * HOUR)
    }

    fn budget(bytes: u64) -> Budget {
        Budget::new(bytes, (0, BTreeMap::new()))
    }

    #[test]
    fn a_free_line_carries_everything() {
        let mut free = budget(0);
        free.spend(u64::MAX, at(1));
        assert_eq!(free.allowance(at(1)), Allowance::All);
        assert_eq!(free.bytes_per_day(), None);
    }

    #[test]
    fn backlog_goes_with_what_live_data_left_over_and_the_day_ends_at_midnight() {
        let mut budget = budget(24_000);
        assert_eq!(
            budget.allowance(at(0)),
            Allowance::Live,
            "nothing is left over yet"
        );
        budget.spend(500, at(1));
        assert_eq!(budget.allowance(at(1)), Allowance::All, "500 of 1000");
        budget.hand(600);
        assert_eq!(budget.allowance(at(1)), Allowance::Live, "1100 of 1000");
        budget.spend(650, at(1));
        assert_eq!(budget.allowance(at(1)), Allowance::Live, "counted once");
        assert_eq!(budget.allowance(at(2)), Allowance::All);
        budget.spend(23_000, at(20));
        assert_eq!(budget.allowance(at(23)), Allowance::Urgent);
        budget.spend(7, at(23));
        assert_eq!((budget.spent(), budget.day_ends()), (24_157, at(24)));
        assert_eq!(budget.allowance(at(24)), Allowance::Live);
        assert_eq!(budget.spent(), 0);
    }

    #[test]
    fn what_was_handed_to_a_line_that_is_gone_counts_no_more() {
        let mut budget = budget(1000);
        budget.hand(1000);
        assert_eq!(budget.allowance(at(23)), Allowance::Urgent);
        budget.line_down();
        assert_eq!(budget.allowance(at(23)), Allowance::All);
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_second_budget_and_starves_nobody() {
        let mut first = budget(1000);
        first.spend(1000, at(23));
        first.spend(1000, at(25));
        assert_eq!(
            first.allowance(at(23)),
            Allowance::Urgent,
            "back in the first day"
        );
        // Across a restart, and when the second day comes for the second time.
        let (day, days) = first.remembered();
        let mut second = Budget::new(1000, (day, days.clone()));
        assert_eq!(second.allowance(at(26)), Allowance::Urgent);
        assert_eq!(
            second.allowance(at(49)),
            Allowance::All,
            "the third day is new"
        );
        // A clock that is far behind all that is remembered.
        let mut behind = budget(1000);
        for day in 100..100 + 2 * i64::try_from(DAYS).expect("few") {
            behind.spend(10, at(24 * day));
        }
        behind.spend(1000, at(1));
        assert_eq!(
            behind.allowance(at(2)),
            Allowance::Urgent,
            "today is not forgotten"
        );
        // A clock that was in the year 2040 for a moment.
        let mut far = budget(1000);
        far.spend(400, at(20));
        far.spend(900, at(24 * 365 * 70));
        assert_eq!(far.allowance(at(21)), Allowance::Urgent);
        assert_eq!(far.allowance(at(30)), Allowance::All);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Whatever the clock does, a line that is filled whenever it may be never carries more than one budget for
        /// each day that the clock ever showed, a message's overshoot aside.
        #[test]
        fn no_clock_gives_a_second_budget(hours in prop::collection::vec(0..24 * 12_i64, 1..200), restarts in any::<u64>()) {
            let mut budget = budget(1000);
            let (mut total, mut shown) = (0, std::collections::BTreeSet::new());
            for (n, hour) in hours.into_iter().enumerate() {
                shown.insert(hour / 24);
                while budget.allowance(at(hour)) >= Allowance::Live {
                    budget.spend(100, at(hour));
                    total += 100;
                }
                if restarts >> (n % 64) & 1 == 1 {
                    let (day, days) = budget.remembered();
                    budget = Budget::new(1000, (day, days.clone()));
                }
            }
            prop_assert!(total <= 1000 * shown.len(), "{total} on {} days", shown.len());
        }
    }
}
