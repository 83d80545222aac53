//! PURE. Stretches of time with minimum, mean, maximum and count, per kind and sensor.
//!
//! Bytes (before sealing): version (1) || origins (as in `block.rs`) || sections: count, then each: kind, origin, and
//! columns: stretch, count, left out, quality, low, high minus low, sum minus count times low.
//!
//! Invariants: what may not be used (a flag takes its meaning away) is counted beside, never mixed in; two parts of
//! one stretch join to what both together give; sums are whole numbers, so the order of joining changes nothing.
//! Must not know: keys, SQLite, the journal.

use std::collections::BTreeMap;

use vitals::Kind;

use super::block::{Block, Index, Origin};
use super::column;

const VERSION: u8 = 1;

/// How long a stretch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Width {
    /// In milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }
}

/// Which stretch of what; they are told in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counted from the Unix epoch in stretches.
    pub number: i64,
    /// Of what.
    pub kind: Kind,
    /// By which sensor.
    pub origin: Origin,
}

/// What a stretch holds; numbers as the kind's decimals say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Readings that may be used.
    pub count: u32,
    /// Readings with a number that may not.
    pub left_out: u32,
    /// The flags of all of them.
    pub quality: u32,
    /// Lowest of those that may be used; 0 without.
    pub low: i64,
    /// Highest.
    pub high: i64,
    /// All of them together.
    pub total: i64,
}

impl Sum {
    const NOTHING: Self = Self {
        count: 0,
        left_out: 0,
        quality: 0,
        low: 0,
        high: 0,
        total: 0,
    };

    /// Adds another part of the same stretch.
    pub fn join(&mut self, other: &Self) {
        if self.count == 0 {
            (self.low, self.high) = (other.low, other.high);
        } else if other.count > 0 {
            self.low = self.low.min(other.low);
            self.high = self.high.max(other.high);
        }
        self.count = self.count.saturating_add(other.count);
        self.left_out = self.left_out.saturating_add(other.left_out);
        self.quality |= other.quality;
        self.total = self.total.saturating_add(other.total);
    }

    /// The mean, in the same unit as the numbers; `None` without any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "mantissas stay below 2^53")]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.total as f64 / f64::from(self.count))
    }
}

/// Stretches of one patient.
pub type Rollup = BTreeMap<Place, Sum>;

/// Adds readings that `chosen` lets through.
pub fn add(
    to: &mut Rollup,
    block: &Block,
    width: Width,
    mut chosen: impl FnMut(&super::block::Point) -> bool,
) {
    for point in &block.points {
        if !point.flags.is_told() || !chosen(point) {
            continue;
        }
        let place = Place {
            number: point.effective.div_euclid(width.millis()),
            kind: point.kind,
            origin: block.batch(point).origin,
        };
        let quality = point.flags.quality();
        let one = if quality.usable() {
            let number = point.number.0;
            Sum {
                count: 1,
                left_out: 0,
                quality: quality.bits(),
                low: number,
                high: number,
                total: number,
            }
        } else {
            Sum {
                left_out: 1,
                quality: quality.bits(),
                ..Sum::NOTHING
            }
        };
        to.entry(place).or_insert(Sum::NOTHING).join(&one);
    }
}

/// All readings of a block.
pub(super) fn of(block: &Block, width: Width) -> Rollup {
    let mut rollup = Rollup::new();
    add(&mut rollup, block, width, |_| true);
    rollup
}

/// As bytes.
pub(super) fn encode(rollup: &Rollup) -> Vec<u8> {
    let origins = Index::of(rollup.keys().map(|place| place.origin));
    let mut bytes = vec![VERSION];
    origins.encode(&mut bytes);
    let mut sections: BTreeMap<(Kind, Origin), Vec<(i64, &Sum)>> = BTreeMap::new();
    for (place, sum) in rollup {
        let of = (place.kind, place.origin);
        sections.entry(of).or_default().push((place.number, sum));
    }
    column::put_len(&mut bytes, sections.len());
    for ((kind, origin), sums) in sections {
        column::put(&mut bytes, kind.wire().into());
        column::put(&mut bytes, origins.number(&origin));
        let mut each = |of: &dyn Fn(&Sum) -> i64| {
            let numbers: Vec<i64> = sums.iter().map(|(_, sum)| of(sum)).collect();
            column::write(&mut bytes, &numbers);
        };
        each(&|sum| sum.count.into());
        each(&|sum| sum.left_out.into());
        each(&|sum| sum.quality.into());
        each(&|sum| sum.low);
        each(&|sum| sum.high.wrapping_sub(sum.low));
        each(&|sum| {
            sum.total
                .wrapping_sub(sum.low.wrapping_mul(sum.count.into()))
        });
        let numbers: Vec<i64> = sums.iter().map(|(number, _)| *number).collect();
        column::write(&mut bytes, &numbers);
    }
    bytes
}

/// Joins the stretches of the kinds wanted (empty: all) to `to`; `None` if these are no such bytes.
pub(super) fn decode(mut bytes: &[u8], kinds: &[Kind], to: &mut Rollup) -> Option<()> {
    let from = &mut bytes;
    (column::take(from, 1)? == [VERSION]).then_some(())?;
    let origins = Index::decode(from)?;
    for _ in 0..column::get_len(from)? {
        let kind = Kind::from_wire(i32::try_from(column::get(from)?).ok()?);
        let origin = origins.at(column::get(from)?)?;
        let Some(kind) = kind.filter(|kind| kinds.is_empty() || kinds.contains(kind)) else {
            (0..7).try_for_each(|_| column::skip(from))?;
            continue;
        };
        let columns: Vec<Vec<i64>> = (0..7).map(|_| column::read(from)).collect::<Option<_>>()?;
        let [count, left_out, quality, low, range, rest, number] = columns.try_into().ok()?;
        let length = count.len();
        let lengths = [&left_out, &quality, &low, &range, &rest, &number].map(Vec::len);
        (lengths == [length; 6]).then_some(())?;
        for at in 0..length {
            let small = |of: &[i64]| u32::try_from(of[at]).ok();
            let sum = Sum {
                count: small(&count)?,
                left_out: small(&left_out)?,
                quality: small(&quality)?,
                low: low[at],
                high: low[at].wrapping_add(range[at]),
                total: rest[at].wrapping_add(low[at].wrapping_mul(count[at])),
            };
            let place = Place {
                number: number[at],
                kind,
                origin,
            };
            to.entry(place).or_insert(Sum::NOTHING).join(&sum);
        }
    }
    from.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::super::block::{Point, tests::any_block};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn parts_join_to_the_whole_and_come_back(one in any_block(), other in any_block()) {
            for width in [Width::Minute, Width::Hour] {
                let mut both = one.clone();
                both.append(&other);
                let whole = of(&both, width);
                let mut joined = Rollup::new();
                decode(&encode(&of(&other, width)), &[], &mut joined).expect("just written");
                decode(&encode(&of(&one, width)), &[], &mut joined).expect("just written");
                prop_assert_eq!(&joined, &whole);
                // The obvious way.
                for (place, sum) in &whole {
                    let of_it = both.points.iter().filter(|point| {
                        point.flags.is_told()
                            && point.kind == place.kind
                            && both.batch(point).origin == place.origin
                            && point.effective.div_euclid(width.millis()) == place.number
                    });
                    let (used, left): (Vec<&Point>, Vec<&Point>) = of_it.partition(|point| point.flags.quality().usable());
                    prop_assert_eq!((used.len(), left.len()), (sum.count as usize, sum.left_out as usize));
                    if let Some(low) = used.iter().map(|point| point.number.0).min() {
                        prop_assert_eq!(low, sum.low);
                        prop_assert_eq!(used.iter().map(|point| point.number.0).sum::<i64>(), sum.total);
                        prop_assert_eq!(used.iter().map(|point| point.number.0).max(), Some(sum.high));
                    }
                }
            }
        }
    }
}
