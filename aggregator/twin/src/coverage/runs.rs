//! Stretches of time as a sorted list without overlaps.
//!
//! Two stretches that are at most a given time apart are one: so a thousand readings a second apart cost one
//! stretch, and in whatever order they come, the list is the same. Bound: [`MOST`]; beyond it the oldest is
//! forgotten, and how far that reaches is remembered.

use alloc::vec::Vec;

use vitals::{Span, Time};

/// Stretches in one list: 64 a day for eight days.
pub(crate) const MOST: usize = 512;

/// See the module. A stretch holds its first moment and not its last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Runs {
    list: Vec<(Time, Time)>,
    /// Nothing is known up to here.
    forgotten: Option<Time>,
}

impl Runs {
    /// Adds `[from, to]`; what is at most `join` away becomes one with it.
    pub(crate) fn insert(&mut self, from: Time, to: Time, join: Span) {
        if to < from || self.forgotten.is_some_and(|end| to <= end) {
            return;
        }
        if let Some((begin, end)) = self.list.last_mut()
            && *begin <= from
            && from <= *end + join
        {
            *end = (*end).max(to);
            return;
        }
        let start = self.list.partition_point(|&(_, end)| end + join < from);
        let stop = self.list.partition_point(|&(begin, _)| begin <= to + join);
        let joined = self.list.get(start..stop).and_then(|near| {
            let (first, last) = (near.first()?, near.last()?);
            Some((from.min(first.0), to.max(last.1)))
        });
        match joined {
            Some(run) => drop(self.list.splice(start..stop, [run])),
            None => self.list.insert(start, (from, to)),
        }
        if self.list.len() > MOST {
            let (_, end) = self.list.remove(0);
            self.forgotten = Some(end);
        }
    }

    /// Lets go of what ended before.
    pub(crate) fn prune(&mut self, before: Time) {
        if self.list.first().is_some_and(|&(_, end)| end < before) {
            self.list.retain(|&(_, end)| end >= before);
            if self.list.is_empty() {
                self.list = Vec::new();
            }
        }
    }

    /// True if it holds nothing that ended before.
    pub(crate) fn begins_after(&self, before: Time) -> bool {
        self.list.first().is_none_or(|&(_, end)| end >= before)
    }

    pub(crate) fn contains(&self, at: Time) -> bool {
        self.before(at).is_some_and(|(_, end)| at < end)
    }

    /// The last stretch that has begun at `at`.
    pub(crate) fn before(&self, at: Time) -> Option<(Time, Time)> {
        let after = self.list.partition_point(|&(begin, _)| begin <= at);
        self.list.get(after.checked_sub(1)?).copied()
    }

    /// True if a stretch begins after `at`.
    pub(crate) fn goes_on_after(&self, at: Time) -> bool {
        self.list.last().is_some_and(|&(begin, _)| begin > at)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (Time, Time)> + '_ {
        self.list.iter().copied()
    }

    /// Up to here nothing is known.
    pub(crate) const fn forgotten(&self) -> Option<Time> {
        self.forgotten
    }
}

crate::canonical_fields! {
    Runs { forgotten, list }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    const JOIN: Span = Span::from_secs(3);

    fn runs(points: &[(i64, i64)]) -> Runs {
        let mut runs = Runs::default();
        for &(from, length) in points {
            runs.insert(at(from), at(from + length), JOIN);
        }
        runs
    }

    #[test]
    fn a_thousand_readings_are_one_stretch() {
        let points: Vec<(i64, i64)> = (0..1000).map(|second| (second, 0)).collect();
        assert_eq!(runs(&points).list, [(at(0), at(999))]);
    }

    #[test]
    fn more_than_are_kept_are_forgotten_from_the_old_end() {
        let count = i64::try_from(MOST).expect("small") + 3;
        let points: Vec<(i64, i64)> = (0..count).map(|n| (n * 10, 1)).collect();
        let mut runs = runs(&points);
        assert_eq!((runs.iter().len(), runs.forgotten()), (MOST, Some(at(21))));
        runs.insert(at(0), at(5), JOIN);
        assert_eq!(runs.iter().len(), MOST, "what was forgotten stays so");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn order_and_copies_do_not_matter(
            points in prop::collection::vec((0i64..200, 0i64..5), 0..60),
            again in prop::collection::vec((0usize..60, 0usize..60), 0..60),
        ) {
            let mut shuffled = points.clone();
            for (a, b) in again {
                if let (true, Some(copy)) = (a < shuffled.len(), points.get(b)) {
                    shuffled.push(*copy);
                    let last = shuffled.len() - 1;
                    shuffled.swap(a, last);
                }
            }
            let runs = runs(&points);
            prop_assert_eq!(&runs, &self::runs(&shuffled));
            for pair in runs.list.windows(2) {
                prop_assert!(pair[0].1 + JOIN < pair[1].0, "{:?}", runs.list);
            }
            for (from, length) in points {
                prop_assert!(runs.list.iter().any(|run| run.0 <= at(from) && at(from + length) <= run.1));
            }
        }
    }
}
