//! The heart rate that intervals between beats say.

use alloc::collections::VecDeque;

use vitals::Fixed;

use crate::rhythm::Beat;

/// The middle of so many: a beat that was not found, or found twice, moves it little.
const INTERVALS: usize = 5;
/// ... and of no fewer.
const FEWEST: usize = 3;

/// The last intervals of one run of beats.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rate {
    run: u64,
    newest: u64,
    tenth_ms: VecDeque<i64>,
}

impl Rate {
    /// Takes the next beat; gives the rate in whole beats a minute.
    pub(super) fn take(&mut self, beat: &Beat) -> Option<Fixed> {
        let follows = beat.run == self.run && self.newest.checked_add(1) == Some(beat.sequence);
        if !follows || beat.tenth_ms.is_none() {
            self.tenth_ms.clear();
        }
        (self.run, self.newest) = (beat.run, beat.sequence);
        let interval = beat.tenth_ms.filter(|interval| *interval > 0)?;
        if self.tenth_ms.len() == INTERVALS {
            self.tenth_ms.pop_front();
        }
        self.tenth_ms.push_back(interval);
        if self.tenth_ms.len() < FEWEST {
            return None;
        }
        let mut sorted: alloc::vec::Vec<i64> = self.tenth_ms.iter().copied().collect();
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len() / 2)?;
        // Tenths of a millisecond in a minute; to the nearest whole beat.
        Some(Fixed((600_000 + middle / 2) / middle))
    }
}

crate::canonical_fields! {
    Rate { run, newest, tenth_ms }
}
