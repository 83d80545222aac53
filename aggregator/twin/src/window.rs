//! The last half hour of a kind, in ten-second buckets: what thresholds and forecasts rest on.
//!
//! Sums are whole numbers, so the order of arrival does not matter (but to a bucket that is full): late data complete the picture. A
//! bucket's value is its mean without the lowest and the highest reading where it has five or more, so that
//! one artefact does not move it. At most [`BUCKETS`] buckets of 16 bytes.

use alloc::collections::VecDeque;

use vitals::{Fixed, Kind, Span, Time};

use crate::lean;

/// Length of a bucket.
pub const BUCKET: Span = Span::from_secs(10);
/// Buckets kept: half an hour.
pub const BUCKETS: usize = 180;
/// Readings from which a bucket's extremes are left out.
const TRIM_FROM: u32 = 5;

/// Small, because a twin has hundreds. It is full when the sum leaves 32 bits, some hundred thousand heart rates in ten seconds: then it
/// takes no more and keeps the mean that it has. The readings are counted and kept as all others are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bucket {
    sum: i32,
    count: u32,
    lowest: i32,
    highest: i32,
}

impl Bucket {
    pub(crate) fn take(&mut self, value: i64) {
        let Ok(value) = i32::try_from(value) else {
            return;
        };
        self.join(&Self {
            sum: value,
            count: 1,
            lowest: value,
            highest: value,
        });
    }

    /// Takes what another holds of the same ten seconds.
    pub(crate) fn join(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let joined = self.sum.checked_add(other.sum);
        let Some((sum, count)) = joined.zip(self.count.checked_add(other.count)) else {
            return;
        };
        *self = Self {
            sum,
            count,
            lowest: self.lowest.min(other.lowest),
            highest: self.highest.max(other.highest),
        };
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        let sum = f64::from(self.sum);
        match self.count {
            0 => None,
            count if count < TRIM_FROM => Some(sum / f64::from(count)),
            count => {
                let extremes = f64::from(self.lowest) + f64::from(self.highest);
                Some((sum - extremes) / f64::from(count - 2))
            }
        }
    }
}

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// In the newest bucket.
    Newest,
    /// It opened a new bucket; the one before is complete as far as live data go.
    Opened,
    /// In an older bucket.
    Older,
    /// Before the window.
    TooOld,
}

/// The last half hour of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    kind: Kind,
    buckets: VecDeque<Bucket>,
    /// Number of the newest bucket.
    newest: i64,
    /// Newest effective time.
    at: Time,
}

impl Window {
    /// An empty one.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            buckets: VecDeque::new(),
            newest: 0,
            at: Time::ZERO,
        }
    }

    /// Number of the bucket that holds a time.
    #[must_use]
    pub const fn index(at: Time) -> i64 {
        at.as_micros().div_euclid(BUCKET.as_micros())
    }

    /// Begin of a bucket.
    #[must_use]
    pub const fn start(index: i64) -> Time {
        Time::from_micros(index.saturating_mul(BUCKET.as_micros()))
    }

    /// Puts a usable reading in its place.
    pub fn take(&mut self, effective: Time, value: Fixed) -> Placed {
        let index = Self::index(effective);
        if self.buckets.is_empty() || index > self.newest {
            let gap = index.saturating_sub(self.newest);
            if self.buckets.is_empty() || gap >= BUCKETS as i64 {
                self.buckets.clear();
                lean::push_back(&mut self.buckets, Bucket::default());
            } else {
                for _ in 0..gap {
                    lean::push_back(&mut self.buckets, Bucket::default());
                }
                while self.buckets.len() > BUCKETS {
                    self.buckets.pop_front();
                }
            }
            self.newest = index;
            self.at = effective;
            if let Some(bucket) = self.buckets.back_mut() {
                bucket.take(value.0);
            }
            return Placed::Opened;
        }
        self.at = self.at.max(effective);
        let back = self.newest - index;
        if back == 0 {
            if let Some(bucket) = self.buckets.back_mut() {
                bucket.take(value.0);
            }
            return Placed::Newest;
        }
        let Ok(back) = usize::try_from(back) else {
            return Placed::TooOld;
        };
        if back >= BUCKETS {
            return Placed::TooOld;
        }
        while self.buckets.len() <= back {
            self.buckets.push_front(Bucket::default());
        }
        let position = self.buckets.len() - 1 - back;
        if let Some(bucket) = self.buckets.get_mut(position) {
            bucket.take(value.0);
        }
        Placed::Older
    }

    /// Forgets everything: another source leads.
    pub fn clear(&mut self) {
        self.buckets.clear();
    }

    /// Number of the newest bucket; `None` when empty.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        (!self.buckets.is_empty()).then_some(self.newest)
    }

    /// Newest effective time.
    #[must_use]
    pub const fn at(&self) -> Time {
        self.at
    }

    /// Number of the oldest bucket.
    #[must_use]
    pub fn oldest(&self) -> i64 {
        self.newest - self.buckets.len() as i64 + 1
    }

    /// Mean of a bucket in the kind's unit; `None` where nothing usable was measured.
    #[must_use]
    pub fn mean(&self, index: i64) -> Option<f64> {
        self.bucket(index)?
            .mean()
            .map(|mean| mean / per_unit(self.kind))
    }

    /// A bucket in which something was measured.
    pub(crate) fn bucket(&self, index: i64) -> Option<&Bucket> {
        let position = usize::try_from(index.checked_sub(self.oldest())?).ok()?;
        self.buckets.get(position).filter(|bucket| bucket.count > 0)
    }

    /// Mean over the buckets of the last minute up to the newest: what a nurse would note.
    #[must_use]
    pub fn last_minute(&self) -> Option<f64> {
        let newest = self.newest()?;
        self.mean_of(newest - 5, newest)
    }

    /// Mean of the measured buckets `first..=last`.
    #[must_use]
    pub fn mean_of(&self, first: i64, last: i64) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for mean in (first..=last).filter_map(|index| self.mean(index)) {
            sum += mean;
            count += 1.0;
        }
        (count > 0.0).then(|| sum / count)
    }
}

/// How many steps of a kind's resolution make one unit: 10 for one decimal.
pub(crate) fn per_unit(kind: Kind) -> f64 {
    libm::round(1.0 / Fixed(1).to_f64(kind))
}

crate::canonical_fields! {
    Bucket { sum, count, lowest, highest }
    Window { kind, newest, at, buckets }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn one_artefact_does_not_move_a_bucket() {
        let mut window = Window::new(Kind::OxygenSaturation);
        for second in 0..10 {
            window.take(at(second), Fixed(if second == 4 { 600 } else { 960 }));
        }
        assert_eq!(window.mean(0), Some(96.0));
    }

    #[test]
    fn a_full_bucket_keeps_the_mean_it_has() {
        assert_eq!(size_of::<Bucket>(), 16);
        let mut bucket = Bucket::default();
        for _ in 0..4 {
            bucket.take(i64::from(i32::MAX / 4));
        }
        let mean = bucket.mean();
        bucket.take(1000);
        bucket.take(i64::MAX);
        assert_eq!(bucket.mean(), mean);
    }

    #[test]
    fn late_data_complete_older_buckets_also_before_the_first() {
        let mut window = Window::new(Kind::HeartRate);
        assert_eq!(window.take(at(100), Fixed(70)), Placed::Opened);
        assert_eq!(window.take(at(50), Fixed(60)), Placed::Older);
        assert_eq!(window.mean(5), Some(60.0));
        assert_eq!(window.mean(7), None);
        assert_eq!(window.oldest(), 5);
        assert_eq!(window.take(at(100 - 1800), Fixed(60)), Placed::TooOld);
    }

    #[test]
    fn a_long_gap_starts_again() {
        let mut window = Window::new(Kind::HeartRate);
        window.take(at(0), Fixed(70));
        window.take(at(7200), Fixed(80));
        assert_eq!((window.oldest(), window.newest()), (720, Some(720)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn order_of_arrival_within_the_window_does_not_matter(
            readings in prop::collection::vec((0i64..1500, 400i64..1000), 1..80),
            rotation in 0usize..80,
        ) {
            let mut turned = readings.clone();
            turned.rotate_left(rotation % readings.len());
            let fill = |list: &[(i64, i64)]| {
                let mut window = Window::new(Kind::OxygenSaturation);
                for (second, value) in list { window.take(at(*second), Fixed(*value)); }
                (0..150).map(|index| window.mean(index)).collect::<alloc::vec::Vec<_>>()
            };
            prop_assert_eq!(fill(&readings), fill(&turned));
        }
    }
}
