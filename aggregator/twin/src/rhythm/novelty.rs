//! How new a pattern of intervals is: its distance to the nearest one shortly before it.
//!
//! A pattern is four intervals in a row; the distance of two is the largest of their four differences, in parts of the
//! median of the last nine intervals. The logarithm of the distance to the nearest neighbour is an estimate of entropy
//! (Kozachenko and Leonenko, Problemy Peredachi Informatsii 23:95, 1987). An ectopic beat makes a few patterns new; what
//! repeats itself (bigeminy, flutter with a fixed or a changing block, breathing) soon finds a neighbour; fibrillation
//! never does.

use alloc::collections::VecDeque;
use alloc::string::String;

use super::{Kept, neighbours};

/// Intervals of a pattern.
pub(super) const INTERVALS: usize = 4;
/// Patterns that it is compared with: those that end up to so many beats before it.
const BEFORE: usize = 24;
/// Fewer than so many tell nothing.
const ENOUGH: usize = 8;
/// A beat is of importance to the patterns that end within so many beats from it.
pub(super) const REACHES: usize = BEFORE + INTERVALS;
/// Intervals of the median.
const MEDIAN: usize = 9;
/// Distances are no smaller than the resolution of sensors, and no larger than what tells more.
const FLOOR: f64 = 0.01;
const CEILING: f64 = 0.5;

/// Novelty of the pattern that ends at `place`; `None` if it is not whole, or too few are before it.
pub(super) fn at(kept: &VecDeque<Kept>, place: usize) -> Option<f64> {
    let interval = |place: usize| kept.get(place)?.beat.tenth_ms;
    let whole = |last: usize| {
        let first = (last + 1).checked_sub(INTERVALS)?;
        let valid = kept.get(first)?.symbol.is_some();
        let joined = (first..last).all(|before| {
            let pair = kept.get(before).zip(kept.get(before + 1));
            pair.is_some_and(|(before, after)| neighbours(before, after))
        });
        (valid && joined).then_some(())
    };
    whole(place)?;
    let mut pattern = [0; INTERVALS];
    for (back, interval_of) in pattern.iter_mut().enumerate() {
        *interval_of = interval(place - back)?;
    }
    let (mut nearest, mut found) = (i64::MAX, 0);
    for last in (0..place).rev().take(BEFORE) {
        if whole(last).is_none() {
            continue;
        }
        found += 1;
        let mut distance = 0;
        for (back, of_pattern) in pattern.iter().enumerate() {
            distance = distance.max((interval(last - back)? - of_pattern).abs());
        }
        nearest = nearest.min(distance);
    }
    if found < ENOUGH {
        return None;
    }
    let mut last: [i64; MEDIAN] = [0; MEDIAN];
    let mut count = 0;
    for kept in kept.range(..=place).rev() {
        if let (Some(_), Some(tenth_ms)) = (kept.symbol, kept.beat.tenth_ms) {
            last[count] = tenth_ms;
            count += 1;
        }
        if count == MEDIAN {
            break;
        }
    }
    let last = &mut last[..count];
    last.sort_unstable();
    let median = *last.get(count / 2)?;
    #[expect(clippy::cast_precision_loss, reason = "intervals of a few seconds")]
    let distance = nearest as f64 / median as f64;
    Some(libm::log(distance.min(CEILING) + FLOOR))
}

/// What decides, for the hash.
pub(super) fn definition() -> String {
    alloc::format!(
        "novelty {INTERVALS} of {BEFORE} at least {ENOUGH} median {MEDIAN} {FLOOR}..{CEILING}"
    )
}
