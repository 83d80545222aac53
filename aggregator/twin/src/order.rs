//! Is it new? Deduplication by (context, number), with the numbers that merged batches replace.
//!
//! Numbers are kept as ranges, so a context that arrived whole costs one range however long it ran. A merged
//! batch of which a part is already here is told apart reading by reading, by their sequence numbers.
//!
//! Nothing is ever taken for seen that was not: what the bounds made this forget is answered as forgotten, and
//! set aside and counted rather than dropped as a duplicate or applied twice.
//!
//! Bounds: [`MAX_CONTEXTS`] contexts per stream in full, [`MAX_FORGOTTEN`] more by id alone, [`MAX_RANGES`]
//! ranges per list (the lowest is forgotten beyond that), [`MAX_SEQUENCES`] lists per context. Not known here:
//! time, values, patients.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use vitals::{ContextId, Kind, Reading, SourceId};

/// Contexts remembered in full, per stream. An agent opens one per start and day: more than half a year.
pub const MAX_CONTEXTS: usize = 256;
/// Older contexts remembered by id alone, per stream.
pub const MAX_FORGOTTEN: usize = 4096;
/// Ranges per list. Live data before backlog makes two or three. Lanes share the numbers, so backlog whose urgent
/// lane goes first makes one per urgent batch: days of an outage, at one a minute, fit.
pub const MAX_RANGES: usize = 8192;
/// (Source, kind) lists per context.
pub const MAX_SEQUENCES: usize = 512;

/// Whether a number was here before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// It was not.
    New,
    /// It was.
    Known,
    /// It cannot be told any more.
    Forgotten,
}

/// A set of numbers as sorted, disjoint, inclusive ranges, above a floor below which it has forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    list: Vec<(u64, u64)>,
    /// Numbers up to here may have been in the set or not.
    forgotten: Option<u64>,
}

impl Ranges {
    /// True if `number` is in the set for certain.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let after = self.list.partition_point(|&(first, _)| first <= number);
        after
            .checked_sub(1)
            .and_then(|i| self.list.get(i))
            .is_some_and(|&(_, last)| number <= last)
    }

    /// Adds `number`, unless it cannot be told whether it was there.
    pub fn insert(&mut self, number: u64) -> Novelty {
        self.insert_within(number, MAX_RANGES)
    }

    fn insert_within(&mut self, number: u64, limit: usize) -> Novelty {
        if self.forgotten.is_some_and(|floor| number <= floor) {
            return Novelty::Forgotten;
        }
        let at = self.list.partition_point(|&(first, _)| first <= number);
        let before = at.checked_sub(1).and_then(|i| self.list.get(i).copied());
        if before.is_some_and(|(_, last)| number <= last) {
            return Novelty::Known;
        }
        let joins_before = before.is_some_and(|(_, last)| last.checked_add(1) == Some(number));
        let joins_after = self
            .list
            .get(at)
            .is_some_and(|&(first, _)| number.checked_add(1) == Some(first));
        match (joins_before, joins_after) {
            (true, true) => {
                let (_, last) = self.list.remove(at);
                self.list[at - 1].1 = last;
            }
            (true, false) => self.list[at - 1].1 = number,
            (false, true) => self.list[at].0 = number,
            (false, false) => self.list.insert(at, (number, number)),
        }
        if self.list.len() > limit {
            let (_, last) = self.list.remove(0);
            self.forgotten = Some(last);
        }
        Novelty::New
    }

    /// How many ranges.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.list.len()
    }
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing of it was here.
    New,
    /// It was here.
    Duplicate,
    /// Some of the batches that it replaces were here, or may have been: ask [`Order::note`] for each reading.
    Partly,
    /// Its context is known by name only, or its number lies where this has forgotten: it cannot be told.
    Forgotten,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    numbers: Ranges,
    sequences: BTreeMap<(SourceId, Kind), Ranges>,
    used: u64,
}

/// What was here, per context of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    contexts: BTreeMap<ContextId, Seen>,
    forgotten: VecDeque<ContextId>,
    uses: u64,
}

impl Order {
    /// Judges a batch and remembers it, with what it replaces.
    pub fn admit(&mut self, context: ContextId, number: u64, supersedes: &[u64]) -> Verdict {
        if !self.contexts.contains_key(&context) {
            if self.forgotten.contains(&context) {
                return Verdict::Forgotten;
            }
            self.make_room();
        }
        self.uses += 1;
        let seen = self.contexts.entry(context).or_default();
        seen.used = self.uses;
        match seen.numbers.insert(number) {
            Novelty::New => {}
            Novelty::Known => return Verdict::Duplicate,
            Novelty::Forgotten => return Verdict::Forgotten,
        }
        let mut partly = false;
        for &replaced in supersedes {
            // A batch that names itself replaces nothing.
            partly |= replaced != number && seen.numbers.insert(replaced) != Novelty::New;
        }
        if partly {
            Verdict::Partly
        } else {
            Verdict::New
        }
    }

    /// Remembers a reading of an admitted batch, and tells whether it was here. Of a batch that is new as a
    /// whole every reading is, whatever this answers: sequence numbers decide only within merged ones.
    pub fn note(&mut self, context: ContextId, reading: &Reading) -> Novelty {
        let Some(seen) = self.contexts.get_mut(&context) else {
            return Novelty::Forgotten;
        };
        let key = (reading.source, reading.kind);
        if seen.sequences.len() >= MAX_SEQUENCES && !seen.sequences.contains_key(&key) {
            return Novelty::Forgotten;
        }
        seen.sequences
            .entry(key)
            .or_default()
            .insert(reading.sequence)
    }

    fn make_room(&mut self) {
        if self.contexts.len() < MAX_CONTEXTS {
            return;
        }
        let oldest = self
            .contexts
            .iter()
            .min_by_key(|(_, seen)| seen.used)
            .map(|(context, _)| *context);
        if let Some(oldest) = oldest {
            self.contexts.remove(&oldest);
            if self.forgotten.len() >= MAX_FORGOTTEN {
                self.forgotten.pop_front();
            }
            self.forgotten.push_back(oldest);
        }
    }
}

crate::canonical_fields! {
    Ranges { forgotten, list }
    Seen { used, numbers, sequences }
    Order { contexts, forgotten, uses }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;
    use vitals::{Quality, Time, Value};

    const A: ContextId = ContextId([1; 16]);

    fn reading(sequence: u64) -> Reading {
        Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(vitals::Fixed(60)),
            source: SourceId(1),
            sequence,
            effective: Time::ZERO,
            received: Time::ZERO,
            quality: Quality::GOOD,
            device: None,
        }
    }

    #[test]
    fn the_second_copy_is_a_duplicate() {
        let mut order = Order::default();
        assert_eq!(order.admit(A, 1, &[]), Verdict::New);
        assert_eq!(order.admit(A, 1, &[]), Verdict::Duplicate);
        assert_eq!(order.admit(ContextId([2; 16]), 1, &[]), Verdict::New);
    }

    #[test]
    fn a_merged_batch_before_its_parts_makes_them_duplicates() {
        let mut order = Order::default();
        assert_eq!(order.admit(A, 9, &[1, 2, 3]), Verdict::New);
        assert_eq!(order.admit(A, 2, &[]), Verdict::Duplicate);
        assert_eq!(order.admit(A, 4, &[]), Verdict::New);
    }

    #[test]
    fn a_merged_batch_after_some_of_its_parts_gives_only_the_rest() {
        let mut order = Order::default();
        assert_eq!(order.admit(A, 1, &[]), Verdict::New);
        assert_eq!(order.note(A, &reading(0)), Novelty::New);
        assert_eq!(order.admit(A, 9, &[1, 2]), Verdict::Partly);
        assert_eq!(order.note(A, &reading(0)), Novelty::Known);
        assert_eq!(order.note(A, &reading(1)), Novelty::New);
    }

    #[test]
    fn a_context_out_of_memory_is_refused_not_applied_twice() {
        let mut order = Order::default();
        let id = |n: u64| ContextId((u128::from(n) + 1000).to_be_bytes());
        for n in 0..=MAX_CONTEXTS as u64 {
            assert_eq!(order.admit(id(n), 1, &[]), Verdict::New);
        }
        assert_eq!(order.admit(id(0), 1, &[]), Verdict::Forgotten);
        assert_eq!(order.admit(id(1), 1, &[]), Verdict::Duplicate);
    }

    #[test]
    fn hostile_numbers_stay_bounded_and_what_they_push_out_is_forgotten_not_seen() {
        let mut order = Order::default();
        let count = MAX_RANGES as u64 + 10;
        for n in 1..=count {
            assert_eq!(order.admit(A, n * 2, &[]), Verdict::New);
        }
        assert_eq!(order.contexts[&A].numbers.ranges(), MAX_RANGES);
        assert_eq!(order.admit(A, count * 2, &[]), Verdict::Duplicate);
        assert_eq!(order.admit(A, 20, &[]), Verdict::Forgotten);
        assert_eq!(order.admit(A, 3, &[]), Verdict::Forgotten);
        assert_eq!(order.admit(A, 21, &[]), Verdict::New);
        assert_eq!(order.admit(A, count * 2 + 2, &[5]), Verdict::Partly);
    }

    #[test]
    fn sources_beyond_the_bound_are_not_taken_for_new_in_a_merged_batch() {
        let mut order = Order::default();
        order.admit(A, 1, &[]);
        let of = |source| Reading {
            source: SourceId(source),
            ..reading(0)
        };
        for source in 0..600 {
            order.note(A, &of(source));
        }
        assert_eq!(order.note(A, &of(599)), Novelty::Forgotten);
        assert_eq!(order.note(A, &of(1)), Novelty::Known);
    }

    #[test]
    fn a_backlog_whose_urgent_lane_comes_first_is_new_to_the_last() {
        let mut order = Order::default();
        for first in [2, 1] {
            for n in 0..1440 {
                assert_eq!(order.admit(A, first + 2 * n, &[]), Verdict::New);
            }
        }
        assert_eq!(order.contexts[&A].numbers.ranges(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn ranges_are_a_set(numbers in prop::collection::vec(0u64..60, 0..200)) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for n in numbers {
                let new = model.insert(n);
                prop_assert_eq!(ranges.insert(n), if new { Novelty::New } else { Novelty::Known });
            }
            for n in 0..61 {
                prop_assert_eq!(ranges.contains(n), model.contains(&n));
            }
        }

        #[test]
        fn full_ranges_forget_and_never_err(numbers in prop::collection::vec(0u64..60, 0..200), limit in 1usize..6) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for n in numbers {
                match ranges.insert_within(n, limit) {
                    Novelty::New => prop_assert!(model.insert(n), "{n} would be applied twice"),
                    Novelty::Known => prop_assert!(model.contains(&n), "{n} would be dropped unseen"),
                    Novelty::Forgotten => prop_assert!(ranges.forgotten.is_some_and(|floor| n <= floor)),
                }
                prop_assert!(ranges.ranges() <= limit);
            }
        }

        #[test]
        fn lanes_that_come_one_after_the_other_are_new_once(lanes in prop::collection::vec(0usize..3, 1..2880)) {
            // Each number belongs to a lane; the most urgent lane is sent first, all of it.
            let mut order = Order::default();
            for pass in [Verdict::New, Verdict::Duplicate] {
                for lane in 0..3 {
                    for (n, of) in lanes.iter().enumerate() {
                        if *of == lane {
                            prop_assert_eq!(order.admit(A, n as u64 + 1, &[]), pass);
                        }
                    }
                }
            }
        }

        #[test]
        fn the_ends_of_the_range_do_not_overflow(n in prop::sample::select(alloc::vec![0, 1, u64::MAX - 1, u64::MAX])) {
            let mut ranges = Ranges::default();
            for m in [0, u64::MAX, 1, u64::MAX - 1] { ranges.insert(m); }
            prop_assert!(ranges.contains(n));
            prop_assert_eq!(ranges.insert(n), Novelty::Known);
        }
    }
}
