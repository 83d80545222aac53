//! What is usual: a level and a spread, learned one value at a time, robust against single wild ones (Huber).
//!
//! Must not know: what the values mean.

use vitals::{Span, Time};

/// Further from the level than so many standard deviations a value is pulled in.
const CLIP: f64 = 2.5;
/// Values before that begins: the first spread is a guess.
const UNCLIPPED: u32 = 5;

/// How something usual is learned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Values, and the time that they must span, before it is learned.
    pub(super) points: u32,
    pub(super) span: Span,
    /// Values after which an old one has lost 63 % of its weight.
    pub(super) memory: f64,
    /// The smallest standard deviation believed.
    pub(super) floor: f64,
}

/// What is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usual {
    level: f64,
    variance: f64,
    points: u32,
    first: Time,
    last: Time,
}

impl Usual {
    pub(super) fn learn(&mut self, rule: &Rule, at: Time, value: f64) {
        if self.points == 0 {
            (self.level, self.variance) = (value, rule.floor * rule.floor);
            self.first = at;
        }
        self.last = self.last.max(at);
        let sigma = libm::sqrt(self.variance).max(rule.floor);
        let residual = value - self.level;
        let clipped = if self.points < UNCLIPPED {
            residual
        } else {
            residual.clamp(-CLIP * sigma, CLIP * sigma)
        };
        self.points = self.points.saturating_add(1);
        let weight = (1.0 / f64::from(self.points)).max(1.0 / rule.memory);
        self.level += weight * clipped;
        self.variance += weight * (clipped * clipped - self.variance);
    }

    /// All of it was seen since then.
    pub(super) fn is_since(&self, at: Time) -> bool {
        self.points > 0 && self.first >= at
    }

    /// Level and standard deviation, once learned.
    pub(super) fn learned(&self, rule: &Rule) -> Option<(f64, f64)> {
        let enough = self.points >= rule.points && self.last.since(self.first) >= rule.span;
        enough.then(|| (self.level, libm::sqrt(self.variance).max(rule.floor)))
    }
}

crate::canonical_fields! {
    Usual { level, variance, points, first, last }
}
