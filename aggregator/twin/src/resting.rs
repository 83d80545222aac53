//! How slow this person's heart is at rest, day by day: what is usual in their nights, and whether it changes.
//!
//! Of each day (24 hours of UTC: one night's hours, in one piece or two) the minutes are counted by their mean rate. The
//! *rest* of a day is the mean between its 5th and 25th percentile: whoever wears a sensor for the day is asleep or at rest
//! for so long, wherever they live, and neither a walk nor an artefact moves it. The *floor* is the 2nd percentile.
//!
//! Promises: bounded ([`NIGHTS`] days, one open), and nothing is said before [`LEARNED`] whole days. Minutes come in their
//! own order; one older than the newest is left out (a night that a watch delivers in the morning comes in order).
//! Must not know: alerts, which sensor measured.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use vitals::Time;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1440;
/// Minutes that a day must have.
const ENOUGH: u32 = 360;
/// Days kept.
const NIGHTS: usize = 28;
/// Days before anything is said, of the last two weeks.
pub(crate) const LEARNED: usize = 5;
const RECENT: i64 = 14;
/// Slowest and fastest rate that is counted by itself.
const SLOWEST: i64 = 25;
const FASTEST: i64 = 160;
const BINS: usize = (FASTEST - SLOWEST + 1) as usize;

/// A day that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Night {
    /// Days since the epoch.
    pub(crate) day: i64,
    /// Mean of the slow minutes.
    pub(crate) rest: f64,
    /// The slowest 2 % of minutes begin below it.
    pub(crate) floor: f64,
}

/// Days of a heart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resting {
    minute: i64,
    sum: i64,
    count: i64,
    /// Minutes of the open day, by their rate from [`SLOWEST`] on; empty before the first.
    rates: Vec<u32>,
    nights: VecDeque<Night>,
}

impl Resting {
    /// A usable heart rate. True if it ended a day.
    pub(crate) fn take(&mut self, at: Time, per_minute: i64) -> bool {
        let minute = at.as_micros().div_euclid(MINUTE);
        if self.count > 0 && minute < self.minute {
            return false;
        }
        let mut ended = false;
        if minute != self.minute {
            self.close_minute();
            if minute.div_euclid(DAY) != self.minute.div_euclid(DAY) {
                ended = self.close_day();
            }
            (self.minute, self.sum, self.count) = (minute, 0, 0);
        }
        self.sum = self.sum.saturating_add(per_minute);
        self.count += 1;
        ended
    }

    fn close_minute(&mut self) {
        if self.count == 0 {
            return;
        }
        if self.rates.is_empty() {
            self.rates = alloc::vec![0; BINS];
        }
        let rate = (self.sum + self.count / 2).div_euclid(self.count);
        let bin = usize::try_from(rate.clamp(SLOWEST, FASTEST) - SLOWEST).unwrap_or(0);
        if let Some(minutes) = self.rates.get_mut(bin) {
            *minutes += 1;
        }
    }

    fn close_day(&mut self) -> bool {
        let minutes: u32 = self.rates.iter().sum();
        let whole = minutes >= ENOUGH;
        if whole {
            if self.nights.len() >= NIGHTS {
                self.nights.pop_front();
            }
            self.nights.push_back(Night {
                day: self.minute.div_euclid(DAY),
                rest: self.mean_between(0.05 * f64::from(minutes), 0.25 * f64::from(minutes)),
                floor: self.rank(0.02 * f64::from(minutes)),
            });
        }
        self.rates.fill(0);
        whole
    }

    /// Rates with their minutes, slowest first.
    fn counted(&self) -> impl Iterator<Item = (f64, f64)> {
        let rates = (SLOWEST..).zip(&self.rates);
        #[expect(clippy::cast_precision_loss, reason = "three digits")]
        rates.map(|(rate, minutes)| (rate as f64, f64::from(*minutes)))
    }

    /// Mean of the minutes of rank `from..to`.
    fn mean_between(&self, from: f64, to: f64) -> f64 {
        let (mut before, mut sum) = (0.0_f64, 0.0);
        for (rate, minutes) in self.counted() {
            let inside = (before + minutes).min(to) - before.max(from);
            sum += rate * inside.max(0.0);
            before += minutes;
        }
        sum / (to - from)
    }

    fn rank(&self, rank: f64) -> f64 {
        let mut before = 0.0;
        for (rate, minutes) in self.counted() {
            before += minutes;
            if before > rank {
                return rate;
            }
        }
        0.0
    }

    /// Days that are over, the newest last.
    pub(crate) fn nights(&self) -> &VecDeque<Night> {
        &self.nights
    }

    /// The usual floor of the last two weeks, once it is learned.
    pub(crate) fn usual_floor(&self, now: Time) -> Option<f64> {
        let today = now.as_micros().div_euclid(MINUTE * DAY);
        let recent = self
            .nights
            .iter()
            .filter(|night| today - night.day <= RECENT);
        let floors: Vec<f64> = recent.map(|night| night.floor).collect();
        (floors.len() >= LEARNED).then(|| median(floors))
    }
}

/// The middle one; the mean of two.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    let half = of.len() / 2;
    match (of.get(half.wrapping_sub(1)), of.get(half)) {
        (Some(a), Some(b)) if of.len().is_multiple_of(2) => f64::midpoint(*a, *b),
        (_, Some(b)) => *b,
        (_, None) => 0.0,
    }
}

crate::canonical_fields! {
    Night { day, rest, floor }
    Resting { minute, sum, count, rates, nights }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days with `night` for eight hours and 75 for the rest, each minute.
    fn days(count: i64, night: impl Fn(i64) -> i64) -> Resting {
        let mut resting = Resting::default();
        for minute in 0..=count * DAY {
            let asleep = minute % DAY < 480;
            let rate = if asleep { night(minute) } else { 75 };
            resting.take(Time::from_micros(minute * MINUTE), rate);
        }
        resting
    }

    #[test]
    fn a_day_says_how_slow_its_night_was() {
        let resting = days(6, |minute| 50 + minute % 5);
        let night = resting.nights()[5];
        assert!((51.0..53.0).contains(&night.rest), "{night:?}");
        assert!((night.floor - 50.0).abs() < 1e-9, "{night:?}");
        assert_eq!(
            resting.usual_floor(Time::from_micros(6 * DAY * MINUTE)),
            Some(50.0)
        );
    }

    #[test]
    fn nothing_is_learned_from_a_few_days_or_of_old_ones() {
        let now = |day: i64| Time::from_micros(day * DAY * MINUTE);
        assert_eq!(days(4, |_| 50).usual_floor(now(4)), None);
        let learned = days(6, |_| 50);
        assert!(learned.usual_floor(now(6)).is_some(), "control");
        assert_eq!(learned.usual_floor(now(20)), None, "a fortnight later");
    }

    #[test]
    fn a_day_of_a_few_hours_does_not_count() {
        let mut resting = Resting::default();
        for day in 0..9 {
            for minute in 0..300 {
                resting.take(Time::from_micros((day * DAY + minute) * MINUTE), 45);
            }
        }
        assert!(resting.nights().is_empty());
    }

    #[test]
    fn the_size_is_bounded() {
        assert_eq!(days(60, |_| 50).nights().len(), NIGHTS);
    }
}
