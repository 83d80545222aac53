//! One autoregression, learned while it runs: recursive least squares with forgetting.
//!
//! Must not know: what the numbers mean.

/// Differences that a forecast rests on.
pub(super) const LAGS: usize = 6;
pub(super) const FEATURES: usize = LAGS + 1;
/// A week's memory.
pub(super) const FORGETTING: f64 = 0.9995;
/// How little is believed of the first weights.
pub(super) const OPEN: f64 = 100.0;

/// One autoregression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recursive {
    weights: [f64; FEATURES],
    /// Inverse of what was seen, row by row.
    inverse: [[f64; FEATURES]; FEATURES],
    /// Of the errors, lately.
    pub(super) variance: f64,
    pub(super) learned: u64,
}

impl Recursive {
    pub(super) fn new(variance: f64) -> Self {
        let row = |of| core::array::from_fn(|at| if at == of { OPEN } else { 0.0 });
        Self {
            weights: [0.0; FEATURES],
            inverse: core::array::from_fn(row),
            variance,
            learned: 0,
        }
    }

    pub(super) fn change(&self, features: &[f64; FEATURES]) -> f64 {
        dot(&self.weights, features)
    }

    pub(super) fn learn(&mut self, features: &[f64; FEATURES], change: f64) {
        let error = change - self.change(features);
        let seen: [f64; FEATURES] = core::array::from_fn(|row| dot(&self.inverse[row], features));
        let scale = FORGETTING + dot(&seen, features);
        let trace: f64 = (0..FEATURES).map(|at| self.inverse[at][at]).sum();
        // What is not excited would be forgotten without end (wind-up): a flat night teaches nothing.
        let forgetting = if trace < OPEN { FORGETTING } else { 1.0 };
        for (weight, seen) in self.weights.iter_mut().zip(&seen) {
            *weight += seen / scale * error;
        }
        for (row, by_row) in self.inverse.iter_mut().zip(&seen) {
            for (cell, by_column) in row.iter_mut().zip(&seen) {
                *cell = (*cell - by_row * by_column / scale) / forgetting;
            }
        }
        self.learned += 1;
        self.variance += (error * error - self.variance) * 0.01;
    }
}

fn dot(a: &[f64; FEATURES], b: &[f64; FEATURES]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

crate::canonical_fields! {
    Recursive { weights, inverse, variance, learned }
}
