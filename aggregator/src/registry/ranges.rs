//! A set of batch numbers as ranges: small for numbers that come in order, bounded for numbers that do not.
//!
//! Invariant: a number that is said to be in the set was inserted. Beyond [`RangeSet::MOST`] ranges the lowest are
//! forgotten, so that such a number is journaled once more (the twin tells it apart) and never wrongly receipted.

use std::collections::BTreeMap;

/// Inclusive ranges, disjoint and not adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// First to last.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Most ranges kept: 16 bytes each. An agent that merges its backlog by the minute leaves one hole a minute
    /// and source: this is more than half a day of six sources.
    pub const MOST: usize = 8192;

    /// Whether the number was inserted (and not forgotten).
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.ranges
            .range(..=number)
            .next_back()
            .is_some_and(|(_, last)| *last >= number)
    }

    /// Adds a number; `false` if it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        let before = self
            .ranges
            .range(..number)
            .next_back()
            .map(|(first, last)| (*first, *last));
        let first = match before {
            Some((first, last)) if last + 1 == number => first,
            Some(_) | None => number,
        };
        let last = number
            .checked_add(1)
            .and_then(|next| self.ranges.remove(&next))
            .unwrap_or(number);
        self.ranges.insert(first, last);
        if self.ranges.len() > Self::MOST {
            self.ranges.pop_first();
        }
        true
    }

    /// How many ranges there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The ranges, first and last of each, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ranges.iter().map(|(first, last)| (*first, *last))
    }

    /// A set of these ranges; `None` unless they rise and do not touch.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u64, u64)>) -> Option<Self> {
        let mut set = Self::default();
        let mut free = Some(0);
        for (first, last) in ranges {
            (first <= last && free.is_some_and(|free| free <= first)).then_some(())?;
            set.ranges.insert(first, last);
            free = last.checked_add(2);
        }
        (set.len() <= Self::MOST).then_some(set)
    }

    /// Whether nothing was inserted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

twin::canonical_fields! {
    RangeSet { ranges }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_set(numbers in proptest::collection::vec(1u64..60, 0..120)) {
            let (mut ranges, mut model) = (RangeSet::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(ranges.insert(number), model.insert(number));
            }
            for number in 0..62 {
                prop_assert_eq!(ranges.contains(number), model.contains(&number));
            }
            let runs = model.iter().filter(|number| !model.contains(&(*number - 1))).count();
            prop_assert_eq!(ranges.len(), runs);
        }
    }

    #[test]
    fn it_is_bounded_and_forgets_the_lowest() {
        let mut ranges = RangeSet::default();
        let most = u64::try_from(RangeSet::MOST).expect("a small constant");
        for number in 1..=most + 5 {
            assert!(ranges.insert(number * 2));
        }
        assert!(ranges.insert(u64::MAX));
        assert_eq!(ranges.len(), RangeSet::MOST);
        assert!(!ranges.contains(2) && !ranges.contains(12));
        assert!(ranges.contains(14) && ranges.contains(u64::MAX) && !ranges.contains(15));
    }
}
