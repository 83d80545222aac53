//! Glucose under the skin, as a continuous monitor sees it every few minutes: where it will be in 30 and 60 minutes, and
//! whether it is, or soon will be, too low or too high.
//!
//! Forecast: for each horizon an autoregression learned for this person alone while it runs (recursive least squares with
//! forgetting; the last six differences of five minutes and the level), which is what individual linear models in the
//! literature are (Prendin et al. 2021: within 3 % of the best nonlinear ones). Without what was learned it is persistence,
//! the baseline that it is shown beside. Intervals: adaptive conformal inference, as in [`crate::forecast`], fed only when the
//! label has come. It knows no meal, insulin or exercise, and abstains until it has learned for three hours, and after gaps.
//!
//! Rules: below 70 mg/dL (level 1), below 54 (level 2), above 250 (level 2), by the international consensus on time in range
//! (Battelino et al. 2019, Diabetes Care 42:1593), with hysteresis. Low now is judged on readings, never on the forecast. Both a low
//! and a high are foreseen half an hour ahead (`foreseen`).
//!
//! Must not know: what alerts look like to readers, patients, other kinds.

mod foreseen;
mod late;
mod learn;
mod pressed;
mod words;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Span, Time};

use crate::alert::{Condition, Priority};
use crate::board::{Abstained, ForecastScore, NO_READINGS, UNFIT};
use crate::forecast::{self, COVERAGE, Ledger, Outcome};
use crate::life::Say;
use crate::rule;
use crate::view::{ForecastPoint, ForecastView};
use foreseen::Foreseen;
use learn::{FEATURES, FORGETTING, LAGS, OPEN, Recursive};
use pressed::Pressed;
use words::{Shown, high, low, pressed as pressed_upon};

/// Name and version.
pub const MODEL: &str = "glucose-rls/3";
const KIND: Kind = Kind::InterstitialGlucose;
/// Horizons, in slots: 30 and 60 minutes.
pub const HORIZONS: [usize; 2] = [6, 12];
const AHEAD: [Span; 2] = [Span::from_mins(30), Span::from_mins(60)];

/// Monitors measure once in this time; of those that measure more often one reading in each counts.
const SLOT: Span = Span::from_mins(5);
/// A reading that comes so much early still opens the next slot.
const EARLY: Span = Span::from_secs(30);
/// Enough to learn from the label of the farthest horizon.
const RING: usize = HORIZONS[1] + LAGS + 1;
/// Gaps up to this many slots are bridged by a line, for what the forecast rests on only: never a label.
const BRIDGED: i64 = 2;
/// Labels learned before it forecasts: three hours.
const NEEDED: u64 = 36;
/// Variance of the errors before any was seen: 20 and 30 mg/dL, wider than what is published for either horizon.
const FIRST_VARIANCE: [f64; 2] = [400.0, 900.0];
/// Why there is no forecast, for people.
pub(crate) const LEARNING: &str = "still learning this person (three hours of readings)";
/// See above.
pub(crate) const GAPS: &str = "gaps in the last half hour";
/// Errors below it are the monitor's own, mg/dL.
const FLOOR: f64 = 2.0;
/// What monitors can show, mg/dL.
const RANGE: (f64, f64) = (40.0, 400.0);

/// Consensus limits, mg/dL.
const LOW: f64 = 70.0;
const VERY_LOW: f64 = 54.0;
const HIGH: f64 = 250.0;
/// Inside again: this far, for this long.
const LOW_CLEAR: f64 = 75.0;
const HIGH_CLEAR: f64 = 240.0;
const CLEAR_HOLD: Span = Span::from_mins(10);
/// Two readings of a monitor, so one that lies on the sensor does not ring. Below [`VERY_LOW`] one is enough.
const LOW_HOLD: Span = Span::from_mins(4);
const HIGH_HOLD: Span = Span::from_mins(15);
/// Runs of readings further apart than this are two.
const APART: Span = Span::from_mins(16);
/// Readings kept for durations: those of the last hour, of a monitor that sends every minute.
const RECENT: usize = 60;

/// What is expected at both horizons, mg/dL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ahead {
    /// Expected values.
    pub value: [f64; 2],
    /// Half-widths of the intervals.
    pub half: [f64; 2],
    /// Standard deviations of the errors so far.
    pub spread: [f64; 2],
}

/// A forecast that waits for its labels; the slot it was made in.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Waiting {
    made: i64,
    now: f64,
    ahead: Ahead,
}

/// How long readings have been beyond a limit, or back inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Run {
    since: Option<Time>,
    clear: Option<Time>,
    last: Time,
    worst: f64,
}

impl Run {
    /// Takes a reading that is (not) beyond, (not) well inside again. `worse`: the further one of two.
    fn take(
        &mut self,
        at: Time,
        value: f64,
        beyond: bool,
        inside: bool,
        worse: fn(f64, f64) -> f64,
    ) {
        if at.since(self.last) > APART {
            (self.since, self.clear) = (None, None);
        }
        self.last = at;
        self.worst = match self.since {
            Some(_) if beyond => worse(self.worst, value),
            Some(_) | None => value,
        };
        self.since = beyond.then(|| self.since.unwrap_or(at));
        self.clear = inside.then(|| self.clear.unwrap_or(at));
    }

    fn held(&self, hold: Span) -> Option<Time> {
        self.since.filter(|since| self.last.since(*since) >= hold)
    }

    fn is_clear(&self) -> bool {
        self.clear
            .is_some_and(|clear| self.last.since(clear) >= CLEAR_HOLD)
    }
}

/// What is known of one person's glucose.
#[derive(Clone, Debug, PartialEq)]
pub struct Glucose {
    /// When the newest slot was measured, and its number.
    newest: Option<Time>,
    slot: i64,
    /// Value, and whether it was measured; oldest first, at most [`RING`].
    ring: VecDeque<(Option<f64>, bool)>,
    models: [Recursive; 2],
    ledgers: [Ledger; 2],
    /// At most one a slot up to the farther horizon.
    waiting: VecDeque<Waiting>,
    /// The readings that durations rest on, in time order, at most [`RECENT`].
    recent: VecDeque<(Time, f64)>,
    /// The newest, about now; empty between steps.
    unjudged: Option<(Time, f64, Quality)>,
    low: Run,
    high: Run,
    falling: Foreseen,
    rising: Foreseen,
    /// Forecasts made, and slots without one.
    made: u64,
    abstained: Abstained,
    /// A fall that may be pressure on the sensor.
    pressed: Option<Pressed>,
    /// A low in data that came late: onset, end, worst, known time of the last word.
    past: Option<(Time, Time, f64, Time)>,
}

impl Default for Glucose {
    fn default() -> Self {
        Self {
            newest: None,
            slot: 0,
            ring: VecDeque::new(),
            models: FIRST_VARIANCE.map(Recursive::new),
            ledgers: core::array::from_fn(|_| Ledger::new()),
            waiting: VecDeque::new(),
            recent: VecDeque::new(),
            unjudged: None,
            low: Run::default(),
            high: Run::default(),
            falling: Foreseen::default(),
            rising: Foreseen::default(),
            made: 0,
            abstained: Abstained::default(),
            pressed: None,
            past: None,
        }
    }
}

impl Glucose {
    /// A usable reading of the monitor that leads, mg/dL. `live`: about now, and the newest.
    pub(crate) fn take(
        &mut self,
        at: Time,
        value: f64,
        quality: Quality,
        known: Time,
        live: bool,
    ) -> Vec<Say> {
        let mut said = Vec::new();
        if !live {
            self.follow_past(at, value, known, &mut said);
        }
        if let Some(newest) = self.newest.filter(|newest| at < *newest) {
            // What holds now may have held for longer than was known.
            if self.complete(at, value) && known.since(newest) < rule::fresh_for(KIND) {
                self.judge_completed(quality, &mut said);
            }
            return said;
        }
        let before = self.slot;
        let opened = self.place(at, value);
        self.press(at, value);
        self.keep(self.recent.len(), at, value);
        self.run(at, value);
        if opened {
            self.learn(before);
            self.promise();
            self.foresee();
        }
        if live && let Some((at, value, _)) = self.unjudged.replace((at, value, quality)) {
            // Something newer came with it: it tells of the past.
            self.follow_past(at, value, known, &mut said);
        }
        said
    }

    /// Judges the newest of what came together: what was beyond a limit and is well again by then rings no more.
    pub(crate) fn settle(&mut self) -> Vec<Say> {
        let mut said = Vec::new();
        if let Some((at, value, quality)) = self.unjudged.take() {
            self.judge(at, value, quality, &mut said);
        }
        said
    }

    /// A single measurement by a drop of blood, mg/dL, about now. `alone`: no monitor speaks.
    pub(crate) fn spot(at: Time, value: f64, quality: Quality, alone: bool) -> Option<Say> {
        let shown = Shown {
            kind: Kind::BloodGlucose,
            onset: at,
            at,
            value,
            quality,
            before: None,
        };
        if value < VERY_LOW {
            Some(Say::Raise(low(&shown, Priority::High, true)))
        } else if value < LOW {
            Some(Say::Raise(low(&shown, Priority::Medium, true)))
        } else if value > HIGH {
            Some(Say::Raise(high(&shown)))
        } else {
            alone.then_some(Say::Resolve(Condition::GlucoseLow))
        }
    }

    /// When a low of the past is told if no more of it comes.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.past.map(|(.., fed)| fed + rule::FINDING_AFTER)
    }

    /// Another monitor leads: what was promised cannot be scored by it. What was learned of the person stays.
    pub(crate) fn restart(&mut self) {
        self.newest = None;
        self.ring.clear();
        for waiting in self.waiting.drain(..) {
            for (slots, ledger) in HORIZONS.into_iter().zip(&mut self.ledgers) {
                ledger.unmeasured += u64::from(waiting.made + slots as i64 > self.slot);
            }
        }
        self.recent.clear();
        (self.unjudged, self.pressed) = (None, None);
        (self.low, self.high) = (Run::default(), Run::default());
        (self.falling, self.rising) = (Foreseen::default(), Foreseen::default());
    }

    /// The forecasts' ledgers, in the order of [`HORIZONS`].
    #[must_use]
    pub const fn ledgers(&self) -> &[Ledger; 2] {
        &self.ledgers
    }

    /// For readers; `None` before the first reading. `stale`: nothing fresh came.
    #[must_use]
    pub fn view(&self, stale: bool) -> Option<ForecastView> {
        let made = self.newest?;
        let sum = |of: fn(&Ledger) -> f64| self.ledgers.iter().map(of).sum::<f64>();
        let scored: u64 = self.ledgers.iter().map(|ledger| ledger.scored).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let mean = |sum: f64| (scored > 0).then(|| sum / scored as f64);
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let covered = sum(|ledger| ledger.covered as f64);
        let ahead = if stale {
            Err("no fresh data")
        } else {
            self.ahead()
        };
        let (points, abstained) = match ahead {
            Ok(_) if self.ledgers.iter().all(|of| of.recent.unfit) => (Vec::new(), UNFIT),
            Ok(ahead) => (self.points(made, &ahead), ""),
            Err(why) => (Vec::new(), why),
        };
        let crosses = points
            .iter()
            .find(|point| point.value < LOW)
            .map(|point| point.at);
        Some(ForecastView {
            kind: Kind::InterstitialGlucose,
            made,
            points,
            unfit: forecast::unfit(AHEAD.into_iter().zip(&self.ledgers)),
            abstained,
            model: MODEL,
            coverage_nominal: COVERAGE,
            coverage_observed: mean(covered),
            scored,
            crosses,
            threshold: Some(LOW),
            error: mean(sum(|ledger| ledger.error)),
            persistence_error: mean(sum(|ledger| ledger.persistence_error)),
        })
    }

    /// Expected values, half-widths and spreads at both horizons, or why there are none.
    ///
    /// # Errors
    /// Why it abstains, for people.
    pub fn ahead(&self) -> Result<Ahead, &'static str> {
        if self.models.iter().any(|model| model.learned < NEEDED) {
            return Err(LEARNING);
        }
        let (features, now) = self.features(0).ok_or(GAPS)?;
        let value = core::array::from_fn(|h| {
            (now + self.models[h].change(&features)).clamp(RANGE.0, RANGE.1)
        });
        let spread: [f64; 2] = core::array::from_fn(|h| libm::sqrt(self.models[h].variance));
        let half = core::array::from_fn(|h| self.ledgers[h].width() * spread[h]);
        Ok(Ahead {
            value,
            half,
            spread,
        })
    }

    /// Puts a reading into its slot; false if that is taken.
    fn place(&mut self, at: Time, value: f64) -> bool {
        let Some(newest) = self.newest else {
            self.newest = Some(at);
            self.push((Some(value), true));
            return true;
        };
        let steps = (at.since(newest) + EARLY)
            .as_micros()
            .div_euclid(SLOT.as_micros());
        if steps < 1 {
            return false;
        }
        let before = self.ring.back().and_then(|(value, _)| *value);
        let missing = steps - 1;
        if missing >= RING as i64 {
            self.ring.clear();
        } else {
            for step in 1..=missing {
                #[expect(clippy::cast_precision_loss, reason = "small counts")]
                let share = step as f64 / steps as f64;
                let line = before.map(|before| before + (value - before) * share);
                self.push((line.filter(|_| missing <= BRIDGED), false));
            }
        }
        self.push((Some(value), true));
        self.newest = Some(at);
        self.slot = self.slot.saturating_add(steps);
        true
    }

    fn push(&mut self, slot: (Option<f64>, bool)) {
        if self.ring.len() >= RING {
            self.ring.pop_front();
        }
        self.ring.push_back(slot);
    }

    /// The value so many slots ago.
    fn back(&self, slots: usize) -> Option<(f64, bool)> {
        let at = self.ring.len().checked_sub(slots + 1)?;
        let (value, measured) = self.ring.get(at)?;
        value.map(|value| (value, *measured))
    }

    /// What a forecast made so many slots ago rests on, and the value then.
    fn features(&self, ago: usize) -> Option<([f64; FEATURES], f64)> {
        let (now, _) = self.back(ago)?;
        let mut features = [0.0; FEATURES];
        for (lag, feature) in features.iter_mut().take(LAGS).enumerate() {
            *feature = self.back(ago + lag)?.0 - self.back(ago + lag + 1)?.0;
        }
        // Far from the middle it comes back; a tenth, so that the weights are of one size.
        features[LAGS] = (now - 120.0) / 10.0;
        Some((features, now))
    }

    /// The newest slot is the label of what was forecast; `before`: the one before it, perhaps long before.
    fn learn(&mut self, before: i64) {
        let missing = u64::try_from(self.slot - before - 1).unwrap_or(0);
        self.abstained.count(NO_READINGS, missing);
        let Some((label, true)) = self.back(0) else {
            return;
        };
        for (h, slots) in HORIZONS.into_iter().enumerate() {
            if let Some((features, then)) = self.features(slots) {
                self.models[h].learn(&features, label - then);
            }
        }
        let slot = self.slot;
        for waiting in &self.waiting {
            for (h, slots) in HORIZONS.into_iter().enumerate() {
                let target = waiting.made + slots as i64;
                if before < target && target < slot {
                    self.ledgers[h].unmeasured += 1;
                } else if target == slot {
                    let ahead = &waiting.ahead;
                    self.ledgers[h].score(&Outcome {
                        truth: label,
                        value: ahead.value[h],
                        spread: ahead.spread[h],
                        half: ahead.half[h],
                        persistence: waiting.now,
                        floor: FLOOR,
                    });
                }
            }
        }
        self.waiting
            .retain(|waiting| waiting.made + (HORIZONS[1] as i64) > slot);
    }

    fn promise(&mut self) {
        let ahead = match self.ahead() {
            Ok(ahead) => ahead,
            Err(why) => return self.abstained.count(why, 1),
        };
        let Some((now, _)) = self.back(0) else { return };
        self.made += 1;
        for ledger in &mut self.ledgers {
            ledger.withheld += u64::from(ledger.recent.unfit);
        }
        self.waiting.push_back(Waiting {
            made: self.slot,
            now,
            ahead,
        });
    }

    /// As the scoreboard tells it.
    pub(crate) fn told(&self) -> ForecastScore {
        let ledgers = AHEAD.into_iter().zip(&self.ledgers);
        ForecastScore {
            kind: KIND,
            model: MODEL,
            nominal: COVERAGE,
            made: self.made,
            abstained: self.abstained.told(),
            horizons: ledgers.map(|(ahead, of)| of.told(ahead)).collect(),
        }
    }

    /// Those of the horizons that are fit for this person.
    fn points(&self, made: Time, ahead: &Ahead) -> Vec<ForecastPoint> {
        let Ahead { value, half, .. } = ahead;
        let point = |h: usize| ForecastPoint {
            at: made + AHEAD[h],
            value: value[h],
            low: (value[h] - half[h]).max(RANGE.0),
            high: (value[h] + half[h]).min(RANGE.1),
        };
        let fit = |h: &usize| !self.ledgers[*h].recent.unfit;
        [0, 1].into_iter().filter(fit).map(point).collect()
    }

    fn judge(&self, at: Time, value: f64, quality: Quality, said: &mut Vec<Say>) {
        let shown = |onset| Shown {
            kind: Kind::InterstitialGlucose,
            onset,
            at,
            value,
            quality,
            before: self.pressed.map(|pressed| pressed.before),
        };
        if let Some(pressed) = self.doubted(value) {
            said.push(Say::Raise(pressed_upon(&shown(at), pressed.before)));
        } else {
            said.push(Say::Resolve(Condition::GlucoseSensorPressed));
        }
        if value < VERY_LOW {
            said.push(Say::Raise(low(
                &shown(self.low.since.unwrap_or(at)),
                Priority::High,
                self.low.held(LOW_HOLD).is_some(),
            )));
        } else if let Some(onset) = self.low.held(LOW_HOLD) {
            said.push(Say::Raise(low(&shown(onset), Priority::Medium, true)));
        } else if self.low.is_clear() {
            said.push(Say::Resolve(Condition::GlucoseLow));
        }
        if let Some(onset) = self.high.held(HIGH_HOLD) {
            said.push(Say::Raise(high(&shown(onset))));
        } else if self.high.is_clear() {
            said.push(Say::Resolve(Condition::GlucoseHigh));
        }
        self.judge_foreseen(&shown(at), said);
    }
}

/// The definition, for the hash that alerts carry.
#[must_use]
pub fn definition() -> String {
    format!(
        "{MODEL} slot {SLOT:?} {EARLY:?} lags {LAGS} horizons {HORIZONS:?} bridged {BRIDGED} needed {NEEDED} forgetting \
         {FORGETTING} open {OPEN} first {FIRST_VARIANCE:?} range {RANGE:?} low {LOW} {VERY_LOW} {LOW_CLEAR} {LOW_HOLD:?} high \
         {HIGH} {HIGH_CLEAR} {HIGH_HOLD:?} clear {CLEAR_HOLD:?} apart {APART:?} coverage {COVERAGE} {} {}",
        foreseen::definition(),
        pressed::definition()
    )
}

crate::canonical_fields! {
    Waiting { made, now, ahead }
    Ahead { value, half, spread }
    Run { since, clear, last, worst }
    Glucose { newest, slot, ring, models, ledgers, waiting, recent, unjudged, low, high, falling, rising, made, abstained, pressed, past }
}
