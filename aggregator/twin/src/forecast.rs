//! Where a vital sign is going: a damped local linear trend, followed by a robust Kalman filter over the
//! window's ten-second buckets, with intervals calibrated online.
//!
//! The fit is a function of the window alone (late data complete it). Intervals: adaptive conformal inference
//! (Gibbs and Candes 2021, arXiv 2106.00170) on errors divided by the filter's own spread; feedback only
//! when the label has been measured, so it is delayed by the horizon. Every forecast is scored beside
//! persistence (the mean of the last minute goes on). The model abstains, with a reason, rather than guess.
//!
//! A horizon that is not good enough for this person ([`crate::board`]) is made and scored, and not shown; the predictive alert
//! stays, because mean errors on quiet days say nothing about falls.
//!
//! Bounds: 30 waiting forecasts, 100 scores per horizon.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Span, Time};

use crate::board::{Abstained, ForecastScore, HorizonScore, NO_READINGS, Recent, UNFIT};
use crate::lean;
use crate::trend::{CLIP, FARTHEST, NEEDED, NEEDED_RECENT, SHRINK};
pub use crate::trend::{Fit, Predict, Rule, rule};
use crate::view::{ForecastPoint, ForecastView};
use crate::window::{BUCKET, Window};

/// Name and version.
pub const MODEL: &str = "damped-trend-aci/1";
/// Why there is no forecast, for people.
pub(crate) const NO_DATA: &str = "no data yet";
/// See above.
pub(crate) const OTHER_SENSOR: &str = "another sensor took over";
/// Horizons, in buckets: 5, 10, 15, 20 and 30 minutes.
pub const HORIZONS: [i64; 5] = [30, 60, 90, 120, FARTHEST];
/// Share of the outcomes that the intervals are meant to hold.
pub const COVERAGE: f64 = 0.9;
/// Step of the adaptive miss rate.
const ACI_STEP: f64 = 0.01;
/// Scores kept per horizon.
const SCORES: usize = 100;
/// Scores before the quantile of the scores replaces the normal one.
const SCORES_NEEDED: usize = 20;
/// Half-width in spreads before that: 90 % of a normal, widened by half.
const FIRST_WIDTH: f64 = 1.645 * 1.5;
/// A forecast is kept for scoring once a minute.
const KEEP_EVERY: i64 = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Waiting {
    made: i64,
    // Half as large as they are computed: what a sensor tells has three digits.
    value: [f32; 5],
    spread: [f32; 5],
    half: [f32; 5],
    persistence: f32,
}

/// What one horizon learned about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    scores: VecDeque<f32>,
    miss_rate: f64,
    /// Points scored.
    pub scored: u64,
    /// Of these: inside their interval.
    pub covered: u64,
    /// Sum of absolute errors.
    pub error: f64,
    /// The same for persistence.
    pub persistence_error: f64,
    /// Sums of squared errors, and of persistence's.
    squares: (f64, f64),
    /// Came due while nothing was measured.
    pub(crate) unmeasured: u64,
    /// Made while it was unfit.
    pub(crate) withheld: u64,
    pub(crate) recent: Recent,
}

/// What became of a forecast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) truth: f64,
    pub(crate) value: f64,
    pub(crate) spread: f64,
    pub(crate) half: f64,
    pub(crate) persistence: f64,
    /// Errors below it are the sensor's own.
    pub(crate) floor: f64,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let miss_rate = 1.0 - COVERAGE;
        Self {
            scores: VecDeque::new(),
            miss_rate,
            scored: 0,
            covered: 0,
            error: 0.0,
            persistence_error: 0.0,
            squares: (0.0, 0.0),
            unmeasured: 0,
            withheld: 0,
            recent: Recent::default(),
        }
    }

    /// As the scoreboard tells it.
    pub(crate) fn told(&self, ahead: Span) -> HorizonScore {
        HorizonScore {
            ahead,
            due: self.scored + self.unmeasured,
            scored: self.scored,
            covered: self.covered,
            square: self.squares.0,
            persistence_square: self.squares.1,
            withheld: self.withheld,
            unfit: u64::from(self.recent.unfit),
        }
    }

    /// Half-width of the interval in spreads.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into at most 100 scores"
    )]
    pub(crate) fn width(&self) -> f64 {
        if self.scores.len() < SCORES_NEEDED {
            return FIRST_WIDTH;
        }
        let mut sorted: Vec<f64> = self.scores.iter().copied().map(f64::from).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank =
            libm::ceil((1.0 - self.miss_rate).clamp(0.0, 1.0) * (sorted.len() + 1) as f64) as usize;
        match sorted.get(rank.saturating_sub(1)) {
            Some(width) => *width,
            // Asked for more than was ever seen: a quarter wider than the worst.
            None => sorted.last().map_or(FIRST_WIDTH, |worst| worst * 1.25),
        }
    }

    /// A label came.
    pub(crate) fn score(&mut self, outcome: &Outcome) {
        let error = libm::fabs(outcome.truth - outcome.value);
        let persistence = libm::fabs(outcome.truth - outcome.persistence);
        let inside = error <= outcome.half;
        self.scored += 1;
        self.covered += u64::from(inside);
        self.error += error;
        self.persistence_error += persistence;
        self.squares.0 += error * error;
        self.squares.1 += persistence * persistence;
        let errors = (error, persistence);
        self.recent.take(self.scored, inside, errors, outcome.floor);
        let missed = if inside { 0.0 } else { 1.0 };
        self.miss_rate = (self.miss_rate + ACI_STEP * (1.0 - COVERAGE - missed)).clamp(0.0, 0.5);
        if self.scores.len() >= SCORES {
            self.scores.pop_front();
        }
        lean::push_back(&mut self.scores, short(error / outcome.spread));
    }
}

/// What the predictive rule says at a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Foresight {
    /// Neither.
    Undecided,
    /// A crossing is foreseen, persistently.
    Coming {
        /// Expected crossing.
        expected: Time,
        /// Probability at the horizon.
        probability: f64,
        /// The fit that it rests on.
        fit: Fit,
    },
    /// No crossing is foreseen any more, persistently.
    Clear,
}

/// The forecasting state of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecaster {
    kind: Kind,
    fit: Result<Fit, &'static str>,
    waiting: VecDeque<Waiting>,
    ledgers: [Ledger; 5],
    /// Newest bucket looked at.
    looked: i64,
    coming: u32,
    clear: u32,
    /// Forecasts kept for scoring, and minutes without one.
    made: u64,
    abstained: Abstained,
}

impl Forecaster {
    /// One that knows nothing.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            fit: Err(NO_DATA),
            waiting: VecDeque::new(),
            ledgers: core::array::from_fn(|_| Ledger::new()),
            looked: i64::MIN,
            coming: 0,
            clear: 0,
            made: 0,
            abstained: Abstained::default(),
        }
    }

    /// Looks at the window up to the closed bucket `last`: scores what has come true, and forecasts anew.
    pub fn look(&mut self, window: &Window, last: i64) {
        let Some(rule) = rule(self.kind) else { return };
        let seen = self.score(window, last, rule.floor);
        self.fit = Fit::of(window, rule, last);
        let is_due = last.rem_euclid(KEEP_EVERY) == 0;
        self.count_silence(seen, last);
        let fit = match self.fit {
            Ok(fit) => fit,
            Err(why) => {
                (self.coming, self.clear) = (0, 0);
                self.abstained.count(why, u64::from(is_due && last > seen));
                return;
            }
        };
        if is_due && self.waiting.back().is_none_or(|newest| newest.made < last) {
            self.keep(
                &fit,
                rule,
                window.mean_of(last - 5, last).unwrap_or(fit.level),
            );
        }
        if let Some(predict) = &rule.predict {
            let coming = is_coming(&fit, rule, predict);
            self.coming = if coming {
                self.coming.saturating_add(1)
            } else {
                0
            };
            let clear = fit.probability(rule, predict.horizon) < predict.clear_probability;
            self.clear = if clear {
                self.clear.saturating_add(1)
            } else {
                0
            };
        }
    }

    /// What the predictive rule says.
    #[must_use]
    pub fn foresight(&self) -> Foresight {
        let (Some(rule), Ok(fit)) = (rule(self.kind), self.fit) else {
            return Foresight::Undecided;
        };
        let Some(predict) = &rule.predict else {
            return Foresight::Undecided;
        };
        if self.coming >= predict.persist
            && let Some(buckets) = fit.crosses(rule)
        {
            let probability = fit.probability(rule, predict.horizon);
            let expected = Window::start(fit.at.saturating_add(1 + buckets));
            return Foresight::Coming {
                expected,
                probability,
                fit,
            };
        }
        if self.clear >= predict.clear_persist {
            Foresight::Clear
        } else {
            Foresight::Undecided
        }
    }

    /// Another source leads: what waits can no longer be scored.
    pub fn restart(&mut self) {
        let seen = self.looked;
        for waiting in self.waiting.drain(..) {
            for (buckets, ledger) in HORIZONS.into_iter().zip(&mut self.ledgers) {
                ledger.unmeasured += u64::from(waiting.made.saturating_add(buckets) > seen);
            }
        }
        (self.coming, self.clear) = (0, 0);
        self.fit = Err(OTHER_SENSOR);
    }

    /// For readers. `stale`: the channel has no fresh usable reading.
    #[must_use]
    pub fn view(&self, stale: bool) -> ForecastView {
        let total = |of: fn(&Ledger) -> u64| self.ledgers.iter().map(of).sum::<u64>();
        let sum = |of: fn(&Ledger) -> f64| self.ledgers.iter().map(of).sum::<f64>();
        let scored = total(|ledger| ledger.scored);
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let mean = |sum: f64| (scored > 0).then(|| sum / scored as f64);
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let covered = total(|ledger| ledger.covered) as f64;
        let rule = rule(self.kind);
        let fit = match self.fit {
            Ok(_) if stale => Err("no fresh data"),
            Ok(_) if self.ledgers.iter().all(|ledger| ledger.recent.unfit) => Err(UNFIT),
            fit => fit,
        };
        let points = match (&fit, rule) {
            (Ok(fit), Some(rule)) => self.points(fit, rule),
            (Err(_), _) | (_, None) => Vec::new(),
        };
        let crosses = fit.ok().zip(rule).and_then(|(fit, rule)| {
            Some(Window::start(fit.at.saturating_add(1 + fit.crosses(rule)?)))
        });
        ForecastView {
            kind: self.kind,
            made: fit.map_or(Time::ZERO, |fit| Window::start(fit.at.saturating_add(1))),
            points,
            unfit: unfit(HORIZONS.map(ahead).into_iter().zip(&self.ledgers)),
            abstained: fit.err().unwrap_or(""),
            model: MODEL,
            coverage_nominal: COVERAGE,
            coverage_observed: mean(covered),
            scored,
            crosses,
            threshold: rule.map(|rule| rule.threshold),
            error: mean(sum(|ledger| ledger.error)),
            persistence_error: mean(sum(|ledger| ledger.persistence_error)),
        }
    }

    /// The horizons' ledgers, in the order of [`HORIZONS`].
    #[must_use]
    pub const fn ledgers(&self) -> &[Ledger; 5] {
        &self.ledgers
    }

    /// As the scoreboard tells it.
    pub(crate) fn told(&self) -> ForecastScore {
        let ledgers = HORIZONS.map(ahead).into_iter().zip(&self.ledgers);
        ForecastScore {
            kind: self.kind,
            model: MODEL,
            nominal: COVERAGE,
            made: self.made,
            abstained: self.abstained.told(),
            horizons: ledgers.map(|(ahead, of)| of.told(ahead)).collect(),
        }
    }

    /// Whole minutes between two looks, in which nothing was looked at.
    fn count_silence(&mut self, seen: i64, last: i64) {
        if seen == i64::MIN {
            return;
        }
        let minutes = (last - 1).div_euclid(KEEP_EVERY) - seen.div_euclid(KEEP_EVERY);
        self.abstained
            .count(NO_READINGS, u64::try_from(minutes).unwrap_or(0));
    }

    fn points(&self, fit: &Fit, rule: &Rule) -> Vec<ForecastPoint> {
        let point = |(buckets, ledger): (i64, &Ledger)| {
            let (value, spread) = fit.ahead(rule, buckets);
            let half = ledger.width() * spread;
            ForecastPoint {
                at: Window::start(fit.at.saturating_add(1 + buckets)),
                value,
                low: (value - half).max(rule.range.0),
                high: (value + half).min(rule.range.1),
            }
        };
        let ledgers = HORIZONS.into_iter().zip(&self.ledgers);
        let fit = ledgers.filter(|(_, ledger)| !ledger.recent.unfit);
        fit.map(point).collect()
    }

    fn keep(&mut self, fit: &Fit, rule: &Rule, persistence: f64) {
        let ahead = HORIZONS.map(|buckets| fit.ahead(rule, buckets));
        let (value, spread) = (
            ahead.map(|(value, _)| short(value)),
            ahead.map(|(_, spread)| short(spread)),
        );
        let half = core::array::from_fn(|h| short(self.ledgers[h].width() * f64::from(spread[h])));
        self.made += 1;
        for ledger in &mut self.ledgers {
            ledger.withheld += u64::from(ledger.recent.unfit);
        }
        let waiting = Waiting {
            made: fit.at,
            value,
            spread,
            half,
            persistence: short(persistence),
        };
        lean::push_back(&mut self.waiting, waiting);
    }

    /// Scores each waiting forecast at each horizon that lies in `(previous look, last]`. The label is the
    /// bucket's mean; where it was not measured by then, the point is never scored. Gives the previous look.
    fn score(&mut self, window: &Window, last: i64, floor: f64) -> i64 {
        let seen = core::mem::replace(&mut self.looked, last);
        for waiting in &self.waiting {
            for (h, buckets) in HORIZONS.into_iter().enumerate() {
                let target = waiting.made.saturating_add(buckets);
                if target <= seen || target > last {
                    continue;
                }
                let Some(truth) = window.mean(target) else {
                    self.ledgers[h].unmeasured += 1;
                    continue;
                };
                self.ledgers[h].score(&Outcome {
                    truth,
                    value: waiting.value[h].into(),
                    spread: waiting.spread[h].into(),
                    half: waiting.half[h].into(),
                    persistence: waiting.persistence.into(),
                    floor,
                });
            }
        }
        while self
            .waiting
            .front()
            .is_some_and(|oldest| oldest.made.saturating_add(FARTHEST) <= last)
        {
            self.waiting.pop_front();
        }
        seen
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven digits of a vital sign are more than anybody measures"
)]
const fn short(number: f64) -> f32 {
    number as f32
}

fn ahead(buckets: i64) -> Span {
    Span::from_micros(BUCKET.as_micros() * buckets)
}

/// Times ahead that are not shown, because the horizon is unfit.
pub(crate) fn unfit<'l>(ledgers: impl Iterator<Item = (Span, &'l Ledger)>) -> Vec<Span> {
    let unfit = ledgers.filter(|(_, ledger)| ledger.recent.unfit);
    unfit.map(|(ahead, _)| ahead).collect()
}

fn is_coming(fit: &Fit, rule: &Rule, predict: &Predict) -> bool {
    let towards = if rule.below { -1.0 } else { 1.0 };
    fit.significance() * towards >= predict.significance
        && fit.moved * towards >= predict.moved
        && fit
            .crosses(rule)
            .is_some_and(|buckets| buckets <= predict.horizon)
        && fit.probability(rule, predict.horizon) >= predict.probability
}

/// The definition, for the hash that alerts carry.
#[must_use]
pub fn definition(kind: Kind) -> String {
    alloc::format!(
        "{MODEL} {kind:?} {:?} coverage {COVERAGE} aci {ACI_STEP} scores {SCORES} {SCORES_NEEDED} {FIRST_WIDTH} \
         needed {NEEDED} {NEEDED_RECENT} clip {CLIP} shrink {SHRINK} horizons {HORIZONS:?}",
        rule(kind)
    )
}

crate::canonical_fields! {
    Waiting { made, value, spread, half, persistence }
    Ledger { scores, miss_rate, scored, covered, error, persistence_error, squares, unmeasured, withheld, recent }
    Forecaster { kind, fit, waiting, ledgers, looked, coming, clear, made, abstained }
}
