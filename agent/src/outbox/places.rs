//! PURE. Places for records to come, so that sled writes a record of a growing backlog once.
//!
//! sled keeps up to 16 values in a leaf and writes all of them again when one more splits it: with keys that only grow, each
//! value 1.9 times more. A key whose value comes later is split off while it is empty. So where a backlog grows, the next
//! keys of its context are there before their records. A split leaves nine keys or eight to a leaf, and sled writes a leaf
//! as a whole only after ten changes of it: what fills the places changes it nine times.
//!
//! Invariants: a place has the key of a record and no value, so it is no record to anybody; whoever carries a [`Step`] out
//! makes places only where there is nothing and clears only what is empty. So nothing here can cost a record, whatever is
//! remembered wrongly after a failed commit. An agent from before there were places takes those of a buffer that was not
//! closed for damaged records: it loses nothing, and declares a loss of unknown size. Must not know: sled.

use std::collections::{BTreeMap, BTreeSet};

use super::RecordId;

/// Places ahead of the newest record: the leaf that still grows at its end (17), and one that fills (9).
const AHEAD: u64 = 32;
/// Bytes that records have on average where places are worth their own writing, and sled's memory for more changes.
const WORTH: usize = 512;
/// Places of a former run that one commit clears.
const LEFT_AT_ONCE: usize = 400;

/// The places of all contexts.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    tails: BTreeMap<u64, Tail>,
    /// Places that a former run left.
    left: Vec<RecordId>,
    /// Records that came to a place of theirs.
    taken: u64,
}

/// The end of a context: places stand behind its newest record.
#[derive(Clone, Copy, Debug)]
struct Tail {
    newest: u64,
    until: u64,
}

/// What a commit does to places.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// To be made where there is nothing.
    pub(super) make: Vec<RecordId>,
    /// To be cleared where they are empty.
    pub(super) clear: Vec<RecordId>,
    tails: BTreeMap<u64, Tail>,
    taken: u64,
}

impl Places {
    /// Those that a former run left: its contexts get no more records.
    pub(super) fn left(left: Vec<RecordId>) -> Self {
        Self {
            left,
            ..Self::default()
        }
    }

    /// What a commit of these records shall do, and of contexts that are over.
    pub(super) fn step<'a>(
        &self,
        put: impl Iterator<Item = (RecordId, usize)>,
        close: impl Iterator<Item = &'a u64>,
    ) -> Step {
        let mut step = Step {
            clear: self.left.iter().take(LEFT_AT_ONCE).copied().collect(),
            tails: self.tails.clone(),
            ..Step::default()
        };
        let mut grown: BTreeMap<u64, (BTreeSet<u64>, usize)> = BTreeMap::new();
        for (id, size) in put {
            let (numbers, bytes) = grown.entry(id.ordinal).or_default();
            numbers.insert(id.number);
            *bytes += size;
        }
        for (ordinal, (numbers, bytes)) in grown {
            step.grow(ordinal, &numbers, bytes);
        }
        for ordinal in close {
            step.make.retain(|id| id.ordinal != *ordinal);
            if let Some(tail) = step.tails.remove(ordinal) {
                step.clear(*ordinal, tail.newest + 1..=tail.until);
            }
        }
        step
    }

    /// The step was made durable.
    pub(super) fn done(&mut self, step: Step) {
        self.tails = step.tails;
        self.taken += step.taken;
        self.left.drain(..self.left.len().min(LEFT_AT_ONCE));
    }

    /// Records of this run whose key was there before them.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Clears all: nothing more is committed.
    pub(super) fn end(&self) -> Step {
        let all: Vec<u64> = self.tails.keys().copied().collect();
        self.step(std::iter::empty(), all.iter())
    }
}

impl Step {
    fn grow(&mut self, ordinal: u64, numbers: &BTreeSet<u64>, bytes: usize) {
        let Some(newest) = numbers.last().copied() else {
            return;
        };
        let known = self.tails.get(&ordinal).copied();
        let before = known.map_or(newest, |tail| tail.newest);
        let mut until = known.map_or(newest, |tail| tail.until);
        let has_place = |number: &&u64| **number > before && **number <= until;
        self.taken += numbers.iter().filter(has_place).count() as u64;
        // What was receipted or merged before its commit leaves its place empty.
        let skipped = (before + 1..=newest.min(until)).filter(|number| !numbers.contains(number));
        let skipped: Vec<u64> = skipped.collect();
        self.clear(ordinal, skipped);
        // Where most records come to the disk, more will.
        let new = numbers.range(before + 1..).count() as u64;
        if 2 * new > newest.saturating_sub(before) && bytes >= WORTH * numbers.len() {
            let from = until.max(newest) + 1;
            until = newest + AHEAD;
            let ids = (from..=until).map(|number| RecordId { ordinal, number });
            self.make.extend(ids);
        }
        let newest = newest.max(before);
        let until = until.max(newest);
        self.tails.insert(ordinal, Tail { newest, until });
    }

    fn clear(&mut self, ordinal: u64, numbers: impl IntoIterator<Item = u64>) {
        let ids = numbers.into_iter();
        let ids = ids.map(|number| RecordId { ordinal, number });
        self.clear.extend(ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit of these numbers in context 1.
    fn commit(places: &mut Places, numbers: impl IntoIterator<Item = u64>, size: usize) -> Step {
        let ids = numbers.into_iter();
        let put = ids.map(|number| (RecordId { ordinal: 1, number }, size));
        let step = places.step(put, std::iter::empty());
        let copy = Step {
            make: step.make.clone(),
            clear: step.clear.clone(),
            ..Step::default()
        };
        places.done(step);
        copy
    }

    fn numbers(ids: &[RecordId]) -> Vec<u64> {
        ids.iter().map(|id| id.number).collect()
    }

    #[test]
    fn a_backlog_that_grows_has_places_before_it() {
        let mut places = Places::default();
        assert_eq!(
            commit(&mut places, 1..=1, 2000).make,
            [],
            "not yet a backlog"
        );
        let second = commit(&mut places, 2..=3, 2000);
        assert_eq!(numbers(&second.make), (4..=35).collect::<Vec<_>>());
        let third = commit(&mut places, 4..=4, 2000);
        assert_eq!(numbers(&third.make), [36]);
        // More at once than there are places: what has none is an ordinary record.
        let many = commit(&mut places, 5..=100, 2000);
        assert_eq!(numbers(&many.make), (101..=132).collect::<Vec<_>>());
        assert!(many.clear.is_empty());
        assert_eq!(places.taken(), 1 + 32, "4, and 5 to 36");
    }

    #[test]
    fn what_never_came_to_the_disk_leaves_no_place_behind() {
        let mut places = Places::default();
        commit(&mut places, 1..=1, 2000);
        commit(&mut places, 2..=2, 2000);
        let step = commit(&mut places, [5, 6, 7], 2000);
        assert_eq!(numbers(&step.clear), [3, 4]);
        // With a line nearly all are receipted before their commit: no more places, and the old ones go.
        let live = commit(&mut places, [60], 2000);
        assert_eq!(live.make, []);
        assert_eq!(numbers(&live.clear), (8..=39).collect::<Vec<_>>());
        assert!(places.end().clear.is_empty());
    }

    #[test]
    fn small_records_get_none() {
        let mut places = Places::default();
        commit(&mut places, 1..=1, 100);
        assert_eq!(commit(&mut places, 2..=5, 100).make, []);
    }

    #[test]
    fn a_context_that_is_over_and_a_former_run_are_cleared() {
        let left = RecordId {
            ordinal: 7,
            number: 3,
        };
        let mut places = Places::left(vec![left]);
        assert_eq!(commit(&mut places, 1..=1, 2000).clear, [left]);
        commit(&mut places, 2..=2, 2000);
        assert_eq!(numbers(&places.end().clear), (3..=34).collect::<Vec<_>>());
        let step = places.step(std::iter::empty(), [1].iter());
        assert_eq!(numbers(&step.clear), (3..=34).collect::<Vec<_>>());
        places.done(step);
        assert!(places.end().clear.is_empty());
        // Its last records and its end in one commit.
        commit(&mut places, 1..=1, 2000);
        let last = (
            RecordId {
                ordinal: 1,
                number: 2,
            },
            2000,
        );
        assert_eq!(places.step([last].into_iter(), [1].iter()).make, []);
    }

    #[test]
    fn a_failed_commit_that_comes_again_plans_the_same() {
        let mut places = Places::default();
        commit(&mut places, 1..=1, 2000);
        let put = || (2..=3).map(|number| (RecordId { ordinal: 1, number }, 2000));
        let failed = places.step(put(), std::iter::empty());
        let again = places.step(put(), std::iter::empty());
        assert_eq!((failed.make, failed.clear), (again.make, again.clear));
    }
}
