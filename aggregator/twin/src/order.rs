//! Is it new? Deduplication by (context, number), with the numbers that merged batches replace.
//!
//! Numbers are kept as ranges, so a context that arrived whole costs one range however long it ran. A merged
//! batch of which a part is already here is told apart reading by reading, by their sequence numbers.
//!
//! Bounds: [`MAX_CONTEXTS`] contexts per stream in full, [`MAX_FORGOTTEN`] more by id alone (their batches are
//! refused rather than risk to be applied twice), [`MAX_RANGES`] ranges per list (the lowest two are merged
//! beyond that). Not known here: time, values, patients.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use vitals::{ContextId, Kind, Reading, SourceId};

use crate::canonical::Bytes;

/// Contexts remembered in full, per stream. An agent opens one per start and day: more than half a year.
pub const MAX_CONTEXTS: usize = 256;
/// Older contexts remembered by id alone, per stream.
pub const MAX_FORGOTTEN: usize = 4096;
/// Ranges per list. Live data before backlog makes two or three; only a hostile gateway makes many.
pub const MAX_RANGES: usize = 1024;
/// (Source, kind) lists per context.
pub const MAX_SEQUENCES: usize = 512;

/// A set of numbers as sorted, disjoint, inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// True if `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|&(first, _)| first <= number);
        after
            .checked_sub(1)
            .and_then(|i| self.0.get(i))
            .is_some_and(|&(_, last)| number <= last)
    }

    /// Adds `number`; false if it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        let at = self.0.partition_point(|&(first, _)| first <= number);
        let before = at.checked_sub(1).and_then(|i| self.0.get(i).copied());
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        let joins_before = before.is_some_and(|(_, last)| last.checked_add(1) == Some(number));
        let joins_after = self
            .0
            .get(at)
            .is_some_and(|&(first, _)| number.checked_add(1) == Some(first));
        match (joins_before, joins_after) {
            (true, true) => {
                let (_, last) = self.0.remove(at);
                self.0[at - 1].1 = last;
            }
            (true, false) => self.0[at - 1].1 = number,
            (false, true) => self.0[at].0 = number,
            (false, false) => self.0.insert(at, (number, number)),
        }
        if self.0.len() > MAX_RANGES {
            let (first, _) = self.0.remove(0);
            self.0[0].0 = first;
        }
        true
    }

    /// How many ranges.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, to: &mut Bytes<'_>) {
        to.len(self.0.len());
        for &(first, last) in &self.0 {
            to.u64(first);
            to.u64(last);
        }
    }
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing of it was here.
    New,
    /// It was here.
    Duplicate,
    /// Some of the batches that it replaces were here: ask [`Order::is_new`] for each reading.
    Partly,
    /// Its context is known by name only: it cannot be told what was here.
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
        if !seen.numbers.insert(number) {
            return Verdict::Duplicate;
        }
        let mut partly = false;
        for &replaced in supersedes {
            // A batch that names itself replaces nothing.
            partly |= replaced != number && !seen.numbers.insert(replaced);
        }
        if partly {
            Verdict::Partly
        } else {
            Verdict::New
        }
    }

    /// Remembers a reading of an admitted batch; false if it was here.
    pub fn is_new(&mut self, context: ContextId, reading: &Reading) -> bool {
        let Some(seen) = self.contexts.get_mut(&context) else {
            return true;
        };
        let key = (reading.source, reading.kind);
        if seen.sequences.len() >= MAX_SEQUENCES && !seen.sequences.contains_key(&key) {
            return true;
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

    pub(crate) fn encode(&self, to: &mut Bytes<'_>) {
        to.len(self.contexts.len());
        for (context, seen) in &self.contexts {
            to.bytes(&context.0);
            to.u64(seen.used);
            seen.numbers.encode(to);
            to.len(seen.sequences.len());
            for ((source, kind), ranges) in &seen.sequences {
                to.u32(u32::from(source.0));
                to.kind(*kind);
                ranges.encode(to);
            }
        }
        to.len(self.forgotten.len());
        for context in &self.forgotten {
            to.bytes(&context.0);
        }
        to.u64(self.uses);
    }
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
        assert!(order.is_new(A, &reading(0)));
        assert_eq!(order.admit(A, 9, &[1, 2]), Verdict::Partly);
        assert!(!order.is_new(A, &reading(0)));
        assert!(order.is_new(A, &reading(1)));
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
    fn hostile_numbers_stay_bounded() {
        let mut order = Order::default();
        for n in 0..5_000 {
            order.admit(A, n * 2, &[]);
        }
        assert!(order.contexts[&A].numbers.ranges() <= MAX_RANGES);
        assert_eq!(order.admit(A, 9_998, &[]), Verdict::Duplicate);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn ranges_are_a_set(numbers in prop::collection::vec(0u64..60, 0..200)) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for n in numbers {
                prop_assert_eq!(ranges.insert(n), model.insert(n));
            }
            for n in 0..61 {
                prop_assert_eq!(ranges.contains(n), model.contains(&n));
            }
        }

        #[test]
        fn the_ends_of_the_range_do_not_overflow(n in prop::sample::select(alloc::vec![0, 1, u64::MAX - 1, u64::MAX])) {
            let mut ranges = Ranges::default();
            for m in [0, u64::MAX, 1, u64::MAX - 1] { ranges.insert(m); }
            prop_assert!(ranges.contains(n));
            prop_assert!(!ranges.insert(n));
        }
    }
}
