//! The trend behind a forecast: level and slope of a window, by a robust Kalman filter.
//!
//! A fit is a function of the window alone, so late data complete it. Which kinds are forecast, how they move
//! and when a crossing foreseen makes an alert is data ([`rule`]).

use alloc::vec::Vec;

use vitals::Kind;

use crate::window::Window;

/// Why a window cannot be fitted, for people.
pub(crate) const TOO_SHORT: &str = "less than three minutes of data";
/// See above.
pub(crate) const TOO_MANY_GAPS: &str = "too many gaps in the last three minutes";
/// Measured buckets that a fit needs: three minutes.
pub(crate) const NEEDED: usize = 18;
/// Of the last 18 buckets at least this many must be measured.
pub(crate) const NEEDED_RECENT: usize = 9;
/// Residuals beyond this many spreads are pulled in (Huber).
pub(crate) const CLIP: f64 = 2.0;
/// Farthest bucket ahead that is looked at: half an hour.
pub(crate) const FARTHEST: i64 = 180;

/// How a kind moves, and which limit matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Damping of the slope per bucket.
    pub damping: f64,
    /// Standard deviation of the level's own wander per bucket, in the kind's unit.
    pub wander: f64,
    /// Standard deviation of the change of slope per bucket, in the kind's unit per bucket.
    pub bend: f64,
    /// Smallest standard deviation of a bucket mean believed.
    pub floor: f64,
    /// Time constant of going back to the window's mean, in buckets, as far as no trend is significant.
    pub reversion: f64,
    /// What can be: forecasts are cut to it.
    pub range: (f64, f64),
    /// The limit, and whether trouble lies below it.
    pub threshold: f64,
    /// Trouble lies below the threshold.
    pub below: bool,
    /// When a crossing foreseen makes an alert; `None`: shown only.
    pub predict: Option<Predict>,
}

/// When a foreseen crossing makes an alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predict {
    /// Within this many buckets.
    pub horizon: i64,
    /// With at least this probability at the horizon.
    pub probability: f64,
    /// The slope must be this many of its standard deviations away from none.
    pub significance: f64,
    /// The level must have moved by this much from the level before (see [`Fit::moved`]).
    pub moved: f64,
    /// For this many buckets in a row.
    pub persist: u32,
    /// It is over when the probability was below this ...
    pub clear_probability: f64,
    /// ... for this many buckets in a row.
    pub clear_persist: u32,
}

/// Rules for the kinds that are forecast.
#[must_use]
pub const fn rule(kind: Kind) -> Option<&'static Rule> {
    const OXYGEN: Rule = Rule {
        damping: 0.99,
        wander: 0.05,
        bend: 0.004,
        floor: 0.15,
        reversion: 60.0,
        range: (50.0, 100.0),
        threshold: 92.0,
        below: true,
        predict: Some(Predict {
            horizon: 90,
            probability: 0.8,
            significance: 3.0,
            moved: 1.3,
            persist: 3,
            clear_probability: 0.3,
            clear_persist: 18,
        }),
    };
    // Exercise moves the heart rate faster than illness does: a crossing is shown, and makes no alert.
    const PULSE: Rule = Rule {
        damping: 0.985,
        wander: 0.6,
        bend: 0.02,
        floor: 0.5,
        reversion: 90.0,
        range: (20.0, 250.0),
        threshold: 130.0,
        below: false,
        predict: None,
    };
    match kind {
        Kind::OxygenSaturation => Some(&OXYGEN),
        Kind::HeartRate | Kind::PulseRate => Some(&PULSE),
        Kind::RrInterval
        | Kind::EnergyExpended
        | Kind::PulseAmplitudeIndex
        | Kind::RespiratoryRate
        | Kind::BodyTemperature
        | Kind::BatteryLevel
        | Kind::StepCount
        | Kind::SystolicPressure
        | Kind::DiastolicPressure
        | Kind::MeanPressure
        | Kind::BodyWeight
        | Kind::BodyFat
        | Kind::BodyMassIndex
        | Kind::BodyHeight
        | Kind::MuscleMass
        | Kind::MusclePart
        | Kind::FatFreeMass
        | Kind::SoftLeanMass
        | Kind::BodyWaterMass
        | Kind::BodyImpedance
        | Kind::BasalMetabolism
        | Kind::BloodGlucose
        | Kind::InterstitialGlucose
        | Kind::GlucoseRate
        | Kind::MealContext
        | Kind::Carbohydrates
        | Kind::HaemoglobinA1c
        | Kind::StepsTaken
        | Kind::PulseInterval
        | Kind::RoomTemperature => None,
    }
}

/// Level, slope (per bucket) and their covariance at the newest closed bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Bucket that it ends with.
    pub at: i64,
    /// In the kind's unit.
    pub level: f64,
    /// In the kind's unit per bucket.
    pub slope: f64,
    /// Variance of the level.
    pub level_variance: f64,
    /// Covariance.
    pub covariance: f64,
    /// Variance of the slope.
    pub slope_variance: f64,
    /// Standard deviation of a bucket's mean around the level.
    pub sigma: f64,
    /// Level now minus the median of what is older than five minutes (or of the oldest three minutes).
    pub moved: f64,
    /// Mean of the window: what the level goes back to where no trend is seen.
    pub usual: f64,
}

impl Fit {
    /// Fits the window up to bucket `last`, or says why not.
    ///
    /// # Errors
    /// The reason for people.
    pub fn of(window: &Window, rule: &Rule, last: i64) -> Result<Self, &'static str> {
        let measured: Vec<(i64, f64)> = (window.oldest()..=last)
            .filter_map(|index| Some((index, window.mean(index)?)))
            .collect();
        if measured.len() < NEEDED {
            return Err(TOO_SHORT);
        }
        let recent = measured
            .iter()
            .filter(|(index, _)| last - index < NEEDED as i64)
            .count();
        if recent < NEEDED_RECENT {
            return Err(TOO_MANY_GAPS);
        }
        let sigma = spread(&measured).max(rule.floor);
        let mut fit = Self::start(&measured, sigma);
        for &(index, value) in &measured {
            fit.predict(index - fit.at, rule);
            fit.at = index;
            fit.correct(value);
        }
        fit.predict(last - fit.at, rule);
        fit.at = last;
        fit.moved = fit.level - before(&measured, last);
        #[expect(clippy::cast_precision_loss, reason = "at most 180 buckets")]
        let count = measured.len() as f64;
        fit.usual = measured.iter().map(|(_, value)| value).sum::<f64>() / count;
        Ok(fit)
    }

    fn start(measured: &[(i64, f64)], sigma: f64) -> Self {
        let first: Vec<f64> = measured.iter().take(5).map(|(_, value)| *value).collect();
        Self {
            at: measured.first().map_or(0, |(index, _)| *index),
            level: median(first),
            slope: 0.0,
            level_variance: 4.0 * sigma * sigma,
            covariance: 0.0,
            // A tenth of the spread per bucket: steep enough for any illness.
            slope_variance: 0.01 * sigma * sigma,
            sigma,
            moved: 0.0,
            usual: 0.0,
        }
    }

    fn predict(&mut self, buckets: i64, rule: &Rule) {
        for _ in 0..buckets.max(0) {
            self.level += self.slope;
            self.slope *= rule.damping;
            let d = rule.damping;
            self.level_variance +=
                2.0 * self.covariance + self.slope_variance + rule.wander * rule.wander;
            self.covariance = d * (self.covariance + self.slope_variance);
            self.slope_variance = d * d * self.slope_variance + rule.bend * rule.bend;
        }
    }

    fn correct(&mut self, value: f64) {
        let innovation = value - self.level;
        let noise = self.sigma * self.sigma;
        let z = libm::fabs(innovation) / libm::sqrt(self.level_variance + noise);
        // Huber: a far residual counts as one of CLIP spreads would.
        let noise = noise * (z / CLIP).max(1.0) * (z / CLIP).max(1.0);
        let total = self.level_variance + noise;
        let (gain_level, gain_slope) = (self.level_variance / total, self.covariance / total);
        self.level += gain_level * innovation;
        self.slope += gain_slope * innovation;
        self.slope_variance -= gain_slope * self.covariance;
        self.covariance *= 1.0 - gain_level;
        self.level_variance *= 1.0 - gain_level;
    }

    /// How many of its standard deviations the slope is away from none; negative when falling.
    #[must_use]
    pub fn significance(&self) -> f64 {
        self.slope / libm::sqrt(self.slope_variance)
    }

    /// Expected bucket mean and its standard deviation `buckets` ahead.
    #[must_use]
    pub fn ahead(&self, rule: &Rule, buckets: i64) -> (f64, f64) {
        let mut then = *self;
        // A slope that is not significant is shrunk (noise has slopes too), and the level goes back to what
        // was usual in the window.
        let z = self.significance();
        let trend = z * z / (z * z + SHRINK);
        then.slope *= trend;
        then.predict(buckets, rule);
        #[expect(clippy::cast_precision_loss, reason = "at most 180 buckets")]
        let back = 1.0 - libm::exp(-(buckets as f64) / rule.reversion);
        then.level += (1.0 - trend) * back * (self.usual - self.level);
        let spread = libm::sqrt(then.level_variance + self.sigma * self.sigma);
        (then.level.clamp(rule.range.0, rule.range.1), spread)
    }

    /// Probability that the level is beyond the threshold `buckets` ahead.
    #[must_use]
    pub fn probability(&self, rule: &Rule, buckets: i64) -> f64 {
        let mut then = *self;
        then.predict(buckets, rule);
        let beyond = if rule.below {
            rule.threshold - then.level
        } else {
            then.level - rule.threshold
        };
        0.5 * libm::erfc(-beyond / libm::sqrt(2.0 * then.level_variance))
    }

    /// First bucket ahead at which the expected path is beyond the threshold, if it is not yet.
    #[must_use]
    pub fn crosses(&self, rule: &Rule) -> Option<i64> {
        let beyond = |level: f64| {
            if rule.below {
                level < rule.threshold
            } else {
                level > rule.threshold
            }
        };
        if beyond(self.level) {
            return None;
        }
        let (mut level, mut slope) = (self.level, self.slope);
        (1..=FARTHEST).find(|_| {
            level += slope;
            slope *= rule.damping;
            beyond(level)
        })
    }
}

/// See [`Fit::ahead`].
pub(crate) const SHRINK: f64 = 4.0;

/// Robust standard deviation of a bucket's mean around a smooth path: from the median absolute difference of
/// neighbours.
fn spread(measured: &[(i64, f64)]) -> f64 {
    let pairs = measured.iter().zip(measured.iter().skip(1));
    let steps: Vec<f64> = pairs
        .filter(|(a, b)| b.0 - a.0 == 1)
        .map(|(a, b)| libm::fabs(b.1 - a.1))
        .collect();
    1.4826 * median(steps) / core::f64::consts::SQRT_2
}

/// Median of what is older than five minutes; of the oldest three minutes where there is nothing older.
fn before(measured: &[(i64, f64)], last: i64) -> f64 {
    let old: Vec<f64> = measured
        .iter()
        .filter(|(index, _)| last - index >= 30)
        .map(|(_, value)| *value)
        .collect();
    if old.len() >= NEEDED / 2 {
        return median(old);
    }
    median(
        measured
            .iter()
            .take(NEEDED / 2)
            .map(|(_, value)| *value)
            .collect(),
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

crate::canonical_fields! {
    Fit { at, level, slope, level_variance, covariance, slope_variance, sigma, moved, usual }
}
