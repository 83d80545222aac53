//! Several of one person's numbers that leave what is usual for them together, each a little: day by day, or half hour by
//! half hour.
//!
//! Each number is held against its own level and spread, in the direction of trouble and cut; their sum over the root of their
//! number (so that what is missing neither hides nor makes anything) goes into a cumulative sum. While that stands, levels
//! do not follow, for a while: a drift is not learned as usual. Must not know: which numbers, what follows from them.

use vitals::Time;

use super::usual::{self, Usual};

/// How a drift is measured.
pub(super) struct Rule<const N: usize> {
    /// Of each number: the direction of trouble, and the smallest spread believed.
    pub(super) of: [(f64, f64); N],
    pub(super) usual: fn(f64) -> usual::Rule,
    /// Standard deviations that one number may give.
    pub(super) least: f64,
    pub(super) most: f64,
    /// What a sum must be above to count; what they add up to at most is twice the limit.
    pub(super) slack: f64,
    pub(super) limit: f64,
    /// Weight of the newest in what a number has been lately, and whether one that is missing is taken for usual there.
    pub(super) leans: f64,
    pub(super) fades: bool,
    /// Levels freeze from here on, for so many steps at most.
    pub(super) frozen: f64,
    pub(super) frozen_most: u32,
}

/// What the steps added up to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drift<const N: usize> {
    pub(super) usual: [Usual; N],
    pub(super) sum: f64,
    /// How far each number has been towards trouble lately.
    pub(super) lean: [f64; N],
    /// The step with which it began, and steps for which levels were frozen.
    pub(super) since: Option<i64>,
    pub(super) frozen: u32,
    /// Enough numbers of the last step could be judged.
    pub(super) known: bool,
}

impl<const N: usize> Default for Drift<N> {
    fn default() -> Self {
        Self {
            usual: [Usual::default(); N],
            sum: 0.0,
            lean: [0.0; N],
            since: None,
            frozen: 0,
            known: false,
        }
    }
}

impl<const N: usize> Drift<N> {
    /// A step that is over. Gives how far each number was from usual, where that can be told; `enough`: whether that is
    /// enough of them to be counted.
    pub(super) fn take(
        &mut self,
        rule: &Rule<N>,
        (step, at): (i64, Time),
        values: &[Option<f64>; N],
        enough: impl Fn(&[Option<f64>; N]) -> bool,
    ) -> [Option<f64>; N] {
        let mut apart: [Option<f64>; N] = [None; N];
        for (place, value) in values.iter().enumerate() {
            let (direction, floor) = rule.of[place];
            let learned = self.usual[place].learned(&(rule.usual)(floor));
            apart[place] = value.zip(learned).map(|(value, (level, sigma))| {
                (direction * (value - level) / sigma).clamp(rule.least, rule.most)
            });
        }
        for (lean, apart) in self.lean.iter_mut().zip(apart) {
            let missing = if rule.fades { 0.0 } else { *lean };
            *lean += rule.leans * (apart.unwrap_or(missing) - *lean);
        }
        self.known = enough(&apart);
        if self.known {
            #[expect(clippy::cast_precision_loss, reason = "a few")]
            let count = apart.iter().flatten().count() as f64;
            let score = apart.iter().flatten().sum::<f64>() / libm::sqrt(count);
            self.sum = (self.sum + score - rule.slack).clamp(0.0, 2.0 * rule.limit);
        }
        if self.sum == 0.0 {
            (self.since, self.frozen) = (None, 0);
        } else if self.since.is_none() {
            self.since = Some(step);
        }
        if self.sum >= rule.frozen && self.frozen < rule.frozen_most {
            self.frozen += 1;
        } else {
            for (place, value) in values.iter().enumerate() {
                if let Some(value) = value {
                    self.usual[place].learn(&(rule.usual)(rule.of[place].1), at, *value);
                }
            }
        }
        apart
    }
}

crate::canonical_fields! {
    Drift<3> { usual, sum, lean, since, frozen, known }
    Drift<5> { usual, sum, lean, since, frozen, known }
}
