//! PURE. Which readings of a context are in the history already: told apart as the fold tells them (`twin::order`), by
//! batch number, and within merged batches by sequence number. Kept for good, so nothing is ever taken twice.
//!
//! Must not know: values, times, patients.

use std::collections::BTreeMap;

use vitals::{Kind, Reading, SourceId};

use super::column;
use crate::registry::RangeSet;

/// What came of one context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    numbers: RangeSet,
    sequences: BTreeMap<(SourceId, Kind), RangeSet>,
}

impl Seen {
    /// Those of a batch's readings that are new, and remembers all of it.
    pub(super) fn admit<'a>(
        &mut self,
        number: u64,
        supersedes: &[u64],
        readings: &'a [Reading],
    ) -> Vec<&'a Reading> {
        if !self.numbers.insert(number) {
            return Vec::new();
        }
        let mut partly = false;
        for replaced in supersedes {
            partly |= *replaced != number && !self.numbers.insert(*replaced);
        }
        let new = readings.iter().filter(|reading| {
            let of = (reading.source, reading.kind);
            let new = self
                .sequences
                .entry(of)
                .or_default()
                .insert(reading.sequence);
            // Of a batch that is new as a whole every reading is.
            new || !partly
        });
        new.collect()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, &self.numbers);
        column::put_len(&mut bytes, self.sequences.len());
        for ((source, kind), ranges) in &self.sequences {
            column::put(&mut bytes, source.0.into());
            column::put(&mut bytes, kind.wire().into());
            put(&mut bytes, ranges);
        }
        bytes
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let numbers = get(from)?;
        let count = column::get_len(from)?;
        let one = |_| {
            let source = SourceId(u16::try_from(column::get(from)?).ok()?);
            let kind = Kind::from_wire(i32::try_from(column::get(from)?).ok()?)?;
            Some(((source, kind), get(from)?))
        };
        let sequences = (0..count).map(one).collect::<Option<_>>()?;
        from.is_empty().then_some(Self { numbers, sequences })
    }
}

fn put(to: &mut Vec<u8>, ranges: &RangeSet) {
    let (first, last): (Vec<_>, Vec<_>) = ranges
        .iter()
        .map(|(first, last)| (first.cast_signed(), last.cast_signed()))
        .unzip();
    column::write(to, &first);
    column::write(to, &last);
}

fn get(from: &mut &[u8]) -> Option<RangeSet> {
    let (first, last) = (column::read(from)?, column::read(from)?);
    (first.len() == last.len()).then_some(())?;
    let ranges = first.into_iter().zip(last);
    RangeSet::from_ranges(ranges.map(|(first, last)| (first.cast_unsigned(), last.cast_unsigned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use twin::order::{Novelty, Order, Verdict};
    use vitals::{ContextId, Fixed, Quality, Time, Value};

    fn reading(sequence: u64) -> Reading {
        Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(Fixed(60)),
            source: SourceId(1),
            sequence,
            effective: Time::ZERO,
            received: Time::ZERO,
            quality: Quality::GOOD,
            device: None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Resent, merged, in any order, also from an agent that numbers wrongly: what the fold takes is taken.
        #[test]
        fn duplicates_are_told_as_the_fold_tells_them(
            batches in prop::collection::vec((1..12_u64, prop::collection::vec(1..12_u64, 0..4),
                prop::collection::vec(0..20_u64, 0..6)), 1..40),
        ) {
            let context = ContextId([1; 16]);
            let (mut seen, mut order) = (Seen::default(), Order::default());
            for (number, supersedes, sequences) in batches {
                let readings: Vec<Reading> = sequences.into_iter().map(reading).collect();
                let verdict = order.admit(context, number, &supersedes);
                let fold = readings.iter().filter(|one| match verdict {
                    Verdict::New => { order.note(context, one); true }
                    Verdict::Partly => order.note(context, one) == Novelty::New,
                    Verdict::Duplicate | Verdict::Forgotten => false,
                });
                let fold: Vec<&Reading> = fold.collect();
                prop_assert_eq!(seen.admit(number, &supersedes, &readings), fold);
                // As after a restart.
                seen = Seen::decode(&seen.encode()).expect("just written");
            }
        }
    }
}
