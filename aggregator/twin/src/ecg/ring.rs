//! The last samples of a signal, by their number since the run began.

use alloc::collections::VecDeque;

/// Samples kept: two seconds at 250 Hz.
pub(super) const KEPT: usize = 512;

/// See the module. Bound: [`KEPT`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ring {
    samples: VecDeque<f64>,
    /// Number of the next one.
    end: u64,
}

impl Ring {
    pub(super) fn push(&mut self, value: f64) {
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(value);
        self.end += 1;
    }

    /// Number of the next one.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Sample `number`, if it is kept.
    pub(super) fn at(&self, number: u64) -> Option<f64> {
        let begin = self.end - self.samples.len() as u64;
        let index = usize::try_from(number.checked_sub(begin)?).ok()?;
        self.samples.get(index).copied()
    }

    /// The last `count` samples, oldest first.
    pub(super) fn last(&self, count: usize) -> impl DoubleEndedIterator<Item = f64> {
        self.samples
            .range(self.samples.len().saturating_sub(count)..)
            .copied()
    }
}

crate::canonical_fields! {
    Ring { samples, end }
}
