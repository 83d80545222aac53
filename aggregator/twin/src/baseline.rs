//! What is usual for this person at this hour: a structural model of minute means, followed by a robust Kalman filter.
//!
//! For kinds that stream: *usual = level + daily rhythm (24 h and 12 h) + what walking adds + an excursion that fades*. The
//! level wanders slowly, the rhythm and what walking adds more slowly still; an excursion (a meal, a fright, a restless hour) is
//! an autoregression with `FADES`. The band is where minutes of this person lie at this hour whatever excursion they are in,
//! wider where little is known of the hour. Kinds that are measured now and then have a level and noise alone.
//!
//! All variances are relative to one scale, the variance of a usual minute, which is learned with the rest (a dynamic linear
//! model with unknown variance: West and Harrison 1997, *Bayesian Forecasting and Dynamic Models*, ch. 4 and 8). Innovations
//! beyond `CLIP` standard deviations are pulled in (Huber), and a minute `FAR` from what is usual tells of an excursion alone,
//! so an hour of trouble does not become the new normal. What lasts does: it widens the band within half a day, and counts from
//! there. On people simulated from it, parameters come back and innovations are white with the variance that it states (tests).
//!
//! Late data teach like live data, without an excursion of their own; a minute whose readings arrive in pieces counts once per
//! piece. Hours are UTC: a journey or summer time is relearned. Nothing is shown before enough points over enough time (see
//! [`rule`]). Must not know: alerts. No alert rests on it.

use core::f64::consts::TAU;

use vitals::{Fixed, Kind, Span, Time};

/// Standardised innovations beyond it are pulled in.
const CLIP: f64 = 2.5;
/// Spreads from what is usual.
const FAR: f64 = 3.5;
/// Mean square of a standard normal clipped at 2.5: the scale is corrected by it.
const CLIPPED_VARIANCE: f64 = 0.978;
/// Points before clipping begins: the first scale is a guess.
const UNCLIPPED: u32 = 10;

/// States: the level, sine and cosine of a day and of half a day, what walking adds, the excursion.
const STATES: usize = 7;
const LEVEL: usize = 0;
const RHYTHM: core::ops::Range<usize> = 1..5;
const WALKING: usize = 5;
const EXCURSION: usize = 6;
/// Their covariances, the upper triangle by rows.
const PAIRS: usize = STATES * (STATES + 1) / 2;

/// Share of a usual minute's variance that is excursion; the rest is noise of that minute alone.
const EXCURSIONS: f64 = 0.7;
/// Minutes after which 63 % of an excursion is over.
const FADES: f64 = 20.0;
/// What is believed before anything was measured, relative to the scale: half a spread of rhythm and more, and that walking
/// adds some spreads.
const PRIOR_LEVEL: f64 = 4.0;
const PRIOR_RHYTHM: f64 = 2.0;
const PRIOR_WALKING: f64 = 50.0;
/// The rhythm is relearned in a week, what walking adds in ten days of walking an hour.
const RHYTHM_MEMORY: f64 = 10_080.0;
const WALKING_MEMORY: f64 = 6_000.0;
/// The longest gap that is believed to have changed anything, minutes: two weeks.
const LONGEST_GAP: i64 = 20_160;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// When a baseline counts as learned, and how fast it forgets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Minute means needed.
    pub points: u32,
    /// Time they must span.
    pub span: Span,
    /// Points after which an old one has lost 63 % of its weight.
    pub memory: f64,
    /// Smallest standard deviation believed, in the kind's unit.
    pub floor: f64,
    /// Streams: it has a rhythm, excursions, and walking may change it.
    pub streams: bool,
}

/// The rule for a kind; `None` where a baseline says nothing (counters, batteries, single intervals).
#[must_use]
pub const fn rule(kind: Kind) -> Option<Rule> {
    // Streaming kinds: two hours of minutes over at least six hours; three days of memory.
    const fn streaming(floor: f64) -> Option<Rule> {
        Some(Rule {
            points: 120,
            span: Span::from_mins(6 * 60),
            memory: 4320.0,
            floor,
            streams: true,
        })
    }
    // Spot checks: ten over at least three days; a month of two a day.
    const fn sparse(floor: f64) -> Option<Rule> {
        Some(Rule {
            points: 10,
            span: Span::from_mins(3 * 24 * 60),
            memory: 60.0,
            floor,
            streams: false,
        })
    }
    match kind {
        Kind::HeartRate | Kind::PulseRate => streaming(1.0),
        Kind::OxygenSaturation => streaming(0.3),
        Kind::RespiratoryRate => streaming(0.5),
        Kind::BodyTemperature => sparse(0.1),
        Kind::SystolicPressure | Kind::DiastolicPressure | Kind::MeanPressure => sparse(2.0),
        Kind::RrInterval
        | Kind::EnergyExpended
        | Kind::PulseAmplitudeIndex
        | Kind::BatteryLevel
        | Kind::StepCount
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

impl Rule {
    /// Noise of a point, and the variance of the excursions in it.
    const fn shares(&self) -> (f64, f64) {
        if self.streams {
            (1.0 - EXCURSIONS, EXCURSIONS)
        } else {
            (1.0, 0.0)
        }
    }

    /// How fast each state wanders, in variance a point: what makes its memory as long as stated. Excursions make a minute
    /// say little about a level: a row of them says as much as every fiftieth that has none.
    fn wander(&self) -> [f64; STATES] {
        let (noise, excursions) = self.shares();
        let slow = noise + excursions * 2.0 * FADES;
        let of = |memory: f64| slow / (memory * memory);
        let mut all = [0.0; STATES];
        all[LEVEL] = of(self.memory);
        if self.streams {
            all[RHYTHM].fill(2.0 * of(RHYTHM_MEMORY));
            all[WALKING] = of(WALKING_MEMORY);
        }
        all
    }
}

/// A minute as it is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Minute {
    index: i64,
    sum: i64,
    count: u32,
    /// Of these: while walking.
    walked: u32,
}

impl Minute {
    fn begin(&self) -> Time {
        Time::from_micros(self.index.saturating_mul(MINUTE))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "sums of a minute's readings stay far below 2^53"
    )]
    fn mean(&self, kind: Kind) -> f64 {
        self.sum as f64 / f64::from(self.count) / crate::window::per_unit(kind)
    }

    fn walking(&self) -> f64 {
        f64::from(self.walked) / f64::from(self.count.max(1))
    }
}

/// A personal baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    state: [f64; STATES],
    /// Relative to `scale`.
    covariance: [f64; PAIRS],
    /// Variance of a usual point, as the innovations tell it.
    scale: f64,
    /// Variance of points around what is usual, as they tell it themselves: the band does not rest on how excursions fade.
    spread: f64,
    points: u32,
    first: Time,
    last: Time,
    live: Minute,
    late: Minute,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            state: [0.0; STATES],
            covariance: [0.0; PAIRS],
            scale: 0.0,
            spread: 0.0,
            points: 0,
            first: Time::ZERO,
            last: Time::ZERO,
            live: Minute::default(),
            late: Minute::default(),
        }
    }
}

impl Baseline {
    /// Takes a usable reading, in any order. `walks`: while the person walked.
    pub fn take(&mut self, kind: Kind, effective: Time, value: Fixed, walks: bool) {
        let Some(rule) = rule(kind) else { return };
        let index = effective.as_micros().div_euclid(MINUTE);
        let is_late = self.live.count > 0 && index < self.live.index;
        let minute = if is_late {
            &mut self.late
        } else {
            &mut self.live
        };
        let closed = (minute.count > 0 && minute.index != index).then_some(*minute);
        if closed.is_some() || minute.count == 0 {
            *minute = Minute {
                index,
                ..Minute::default()
            };
        }
        minute.sum = minute.sum.saturating_add(value.0);
        minute.count = minute.count.saturating_add(1);
        minute.walked = minute.walked.saturating_add(u32::from(walks));
        if let Some(closed) = closed {
            self.fold(kind, rule, closed, is_late);
        }
    }

    /// What is usual at that moment, and the band in which 95 % of minutes lie then; once learned.
    #[must_use]
    pub fn learned(&self, kind: Kind, at: Time, walks: bool) -> Option<(f64, (f64, f64))> {
        let rule = rule(kind)?;
        let enough = self.points >= rule.points && self.last.since(self.first) >= rule.span;
        let (usual, unsure) = self.usual(weights(at, if walks { 1.0 } else { 0.0 }));
        let half = 1.96 * libm::sqrt(self.spread + unsure).max(rule.floor);
        enough.then_some((usual, (usual - half, usual + half)))
    }

    /// Without an excursion, and the variance of not knowing it well.
    fn usual(&self, mut weights: [f64; STATES]) -> (f64, f64) {
        weights[EXCURSION] = 0.0;
        let unsure = self.scale * dot(&weights, &self.times(&weights));
        (dot(&weights, &self.state), unsure)
    }

    /// Learns from a minute. The innovation in its own standard deviations, before it was pulled in.
    fn fold(&mut self, kind: Kind, rule: Rule, minute: Minute, is_late: bool) -> f64 {
        let (at, mean) = (minute.begin(), minute.mean(kind));
        if self.points == 0 {
            self.begin(rule, at, mean);
        }
        let (mut noise, excursions) = rule.shares();
        let mut weights = weights(at, minute.walking());
        if is_late {
            weights[EXCURSION] = 0.0;
            noise += excursions;
        } else {
            self.pass(rule, at);
        }
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        let gain = self.times(&weights);
        let variance = dot(&weights, &gain) + noise;
        let is_new = self.points < UNCLIPPED;
        let clip = |deviation: f64| {
            if is_new {
                deviation
            } else {
                deviation.clamp(-CLIP, CLIP)
            }
        };
        let of_one = libm::sqrt(variance * self.scale);
        let innovation = (mean - dot(&weights, &self.state)) / of_one;
        let clipped = clip(innovation);
        let (usual, unsure) = self.usual(weights);
        let away = (mean - usual) / libm::sqrt(self.spread + unsure);
        let step = |gain: f64| gain / variance * clipped * of_one;
        if is_new || away.abs() <= FAR {
            for (state, gain) in self.state.iter_mut().zip(gain) {
                *state += step(gain);
            }
            for (pair, row, column) in pairs() {
                self.covariance[pair] -= gain[row] * gain[column] / variance;
            }
        } else {
            self.state[EXCURSION] += step(gain[EXCURSION]);
        }
        self.points = self.points.saturating_add(1);
        let weight = (1.0 / f64::from(self.points)).max(1.0 / rule.memory);
        let learn = |of: f64, deviation: f64| {
            let told = of * (1.0 + weight * (deviation * deviation / CLIPPED_VARIANCE - 1.0));
            told.max(rule.floor * rule.floor)
        };
        self.scale = learn(self.scale, clipped);
        self.spread = learn(self.spread, clip(away));
        innovation
    }

    fn begin(&mut self, rule: Rule, at: Time, mean: f64) {
        (self.scale, self.spread) = (rule.floor * rule.floor, rule.floor * rule.floor);
        (self.first, self.last) = (at, at);
        self.state[LEVEL] = mean;
        let mut prior = [0.0; STATES];
        prior[LEVEL] = PRIOR_LEVEL;
        if rule.streams {
            prior[RHYTHM].fill(PRIOR_RHYTHM);
            prior[WALKING] = PRIOR_WALKING;
            prior[EXCURSION] = EXCURSIONS;
        }
        for (pair, row, column) in pairs() {
            self.covariance[pair] = if row == column { prior[row] } else { 0.0 };
        }
    }

    /// Time goes by until the next point.
    fn pass(&mut self, rule: Rule, at: Time) {
        let minutes = at.since(self.last).as_micros().div_euclid(MINUTE);
        let minutes = u32::try_from(minutes.clamp(0, LONGEST_GAP)).unwrap_or(0);
        let minutes = f64::from(minutes);
        let kept = libm::exp(-minutes / FADES);
        let (_, excursions) = rule.shares();
        let mut wander = rule.wander();
        // Where points are rare, memory is counted in points.
        let steps = if rule.streams { minutes } else { 1.0 };
        wander.iter_mut().for_each(|of| *of *= steps);
        wander[EXCURSION] = excursions * (1.0 - kept * kept);
        self.state[EXCURSION] *= kept;
        for (pair, row, column) in pairs() {
            let keeps = |of: usize| if of == EXCURSION { kept } else { 1.0 };
            self.covariance[pair] *= keeps(row) * keeps(column);
            if row == column {
                self.covariance[pair] += wander[row];
            }
        }
    }

    /// The covariance times weights.
    fn times(&self, weights: &[f64; STATES]) -> [f64; STATES] {
        let mut product = [0.0; STATES];
        for (pair, row, column) in pairs() {
            product[row] += self.covariance[pair] * weights[column];
            if row != column {
                product[column] += self.covariance[pair] * weights[row];
            }
        }
        product
    }
}

/// Places in the triangle, with row and column.
fn pairs() -> impl Iterator<Item = (usize, usize, usize)> {
    let all = (0..STATES).flat_map(|row| (row..STATES).map(move |column| (row, column)));
    all.enumerate()
        .map(|(pair, (row, column))| (pair, row, column))
}

/// What each state adds at that moment.
fn weights(at: Time, walking: f64) -> [f64; STATES] {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a day")]
    let turn = TAU * at.as_micros().rem_euclid(DAY) as f64 / DAY as f64;
    [
        1.0,
        libm::cos(turn),
        libm::sin(turn),
        libm::cos(2.0 * turn),
        libm::sin(2.0 * turn),
        walking,
        1.0,
    ]
}

fn dot(a: &[f64; STATES], b: &[f64; STATES]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

crate::canonical_fields! {
    Minute { index, sum, count, walked }
    Baseline { state, covariance, scale, spread, points, first, last, live, late }
}

#[cfg(test)]
mod tests;
