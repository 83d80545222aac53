//! Somebody else may wear the sensors: after a time without any readings, several figures that are each person's own (pulse,
//! respiration, saturation, how much the beats vary) are all at once elsewhere, and stay there.
//!
//! What is usual is learned in means of five minutes at rest, for each quarter of the (UTC) day by itself, because everybody's night
//! is another than their day. A trial begins when nothing was measured for ten minutes, and takes half an hour of readings.
//! Two figures at least must be three of one's own deviations away from what is usual, and as far from where they were
//! before the sensors were off: who was ill before is ill after. While doubt lasts nobody's baselines learn; it ends
//! when the figures are this person's again, or after three days (a new device, or a new life), when they are learned anew.
//!
//! It is about the equipment: no alert about the body waits for it or is silenced by it. Must not know: alerts' life.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Span, Time};

use super::usual::{Rule, Usual};
use super::{Model, Shown, Stand, Standing};
use crate::alert::Condition;
use crate::life::Say;

pub(super) const MODEL: Model = Model {
    name: "wearer/1",
    condition: Condition::AnotherWearer,
    standing: Standing::Live,
    definition,
};

const BLOCK: Span = Span::from_mins(5);
/// Blocks of a trial, and how many of them another figure must have.
const TRIAL: u32 = 6;
const ENOUGH: u32 = 4;
/// Nothing measured for so long: perhaps taken off.
const OFF: Span = Span::from_mins(10);
/// Own deviations away, and back.
const FAR: f64 = 3.0;
const NEAR: f64 = 2.0;
/// Figures that must be.
const FIGURES: usize = 2;
const LONGEST: Span = Span::from_mins(3 * 24 * 60);
/// Quarters of the day.
const QUARTERS: usize = 4;
/// Weight of a block in where a figure was lately.
const LATELY: f64 = 1.0 / 6.0;
/// Differences between neighbouring intervals that a block must have, and the longest that is the sinus node's, ms.
const DIFFERENCES: u32 = 30;
const SINUS: f64 = 300.0;
/// Name, kind, smallest deviation believed (of the logarithm for the beats).
const LINES: [(&str, Option<Kind>, f64); 4] = [
    ("Pulse", Some(Kind::HeartRate), 3.0),
    ("Respiration", Some(Kind::RespiratoryRate), 1.0),
    ("Saturation", Some(Kind::OxygenSaturation), 0.7),
    (
        "Variation of beats (logarithm of RMSSD)",
        Some(Kind::RrInterval),
        0.2,
    ),
];
const BEATS: usize = 3;

/// Two hours of blocks in a quarter, on two days at least; eight days of memory.
const fn rule(floor: f64) -> Rule {
    Rule {
        points: 24,
        span: Span::from_mins(18 * 60),
        memory: 576.0,
        floor,
    }
}

/// One figure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Line {
    usual: [Usual; QUARTERS],
    block: i64,
    sum: f64,
    count: u32,
    /// Where it was lately, in own deviations from what is usual.
    lately: Option<f64>,
    /// Deviations and values of a trial, summed up.
    trial: (f64, f64),
    blocks: u32,
}

impl Line {
    /// The open block, if it has enough.
    fn close(&mut self, beats: bool) -> Option<f64> {
        let (sum, count) = (
            core::mem::take(&mut self.sum),
            core::mem::take(&mut self.count),
        );
        let mean = sum / f64::from(count.max(1));
        if beats {
            return (count >= DIFFERENCES && mean > 0.0).then(|| 0.5 * libm::log(mean));
        }
        (count > 0).then_some(mean)
    }

    fn begin_trial(&mut self) {
        (self.sum, self.count) = (0.0, 0);
        (self.trial, self.blocks) = ((0.0, 0.0), 0);
    }
}

/// Who wears it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wearer {
    lines: [Line; LINES.len()],
    /// The newest interval between beats.
    beat: Option<(Time, f64)>,
    newest: Option<Time>,
    on_trial: bool,
    /// Doubt, since.
    doubt: Option<Time>,
    figure: Option<f64>,
}

impl Wearer {
    /// Doubted: nothing is to be learned.
    pub(super) const fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// A usable value of somebody at rest, about now and the newest of its kind.
    pub(super) fn take(&mut self, kind: Kind, at: Time, value: f64) -> Option<Say> {
        let place = LINES.iter().position(|(_, of, _)| *of == Some(kind))?;
        if self.newest.is_some_and(|newest| at.since(newest) >= OFF) {
            self.on_trial = true;
            self.lines.iter_mut().for_each(Line::begin_trial);
        }
        self.newest = self.newest.max(Some(at));
        let value = if place == BEATS {
            let before = self.beat.replace((at, value));
            let (before_at, before) = before?;
            let neighbours = at.since(before_at) <= Span::from_micros((value * 1300.0) as i64);
            let difference = value - before;
            if !neighbours || libm::fabs(difference) > SINUS {
                return None;
            }
            difference * difference
        } else {
            value
        };
        let line = self.lines.get_mut(place)?;
        let block = at.as_micros().div_euclid(BLOCK.as_micros());
        let closed = if line.block < block {
            line.close(place == BEATS)
        } else {
            None
        };
        line.block = line.block.max(block);
        line.sum += value;
        line.count += 1;
        self.block(place, at, closed?)
    }

    /// Five minutes of a figure are over.
    fn block(&mut self, place: usize, at: Time, mean: f64) -> Option<Say> {
        let rule = rule(LINES[place].2);
        let waits = self.on_trial || self.is_doubted();
        let line = &mut self.lines[place];
        let usual = &mut line.usual[quarter(at)];
        let away = usual
            .learned(&rule)
            .map(|(level, sigma)| (mean - level) / sigma);
        if !waits {
            usual.learn(&rule, at, mean);
            if let Some(away) = away {
                let lately = line.lately.unwrap_or(away);
                line.lately = Some(lately + LATELY * (away - lately));
            }
            return None;
        }
        line.blocks += 1;
        line.trial.1 += mean;
        match away {
            Some(away) => line.trial.0 += away,
            // What is not known cannot be far away. No NaN: a state is equal to itself.
            None => line.trial.0 = f64::INFINITY,
        }
        (line.blocks >= TRIAL).then(|| self.judge(at)).flatten()
    }

    fn judge(&mut self, at: Time) -> Option<Say> {
        let lines = self.lines;
        let mean = |line: &Line| line.trial.0 / f64::from(line.blocks);
        let told = |line: &&Line| line.blocks >= ENOUGH && line.trial.0.is_finite();
        let figure = |of: &dyn Fn(&Line) -> f64| {
            let mut away: Vec<f64> = lines.iter().filter(told).map(of).collect();
            away.sort_unstable_by(|a, b| b.total_cmp(a));
            away.get(FIGURES - 1).copied()
        };
        let away = figure(&|line| libm::fabs(mean(line)));
        let jumped = figure(&|line| {
            let jump = libm::fabs(mean(line) - line.lately.unwrap_or(f64::NAN));
            libm::fabs(mean(line)).min(if jump.is_nan() { 0.0 } else { jump })
        });
        self.figure = if self.is_doubted() { away } else { jumped };
        let said = match self.doubt {
            None if jumped.is_some_and(|figure| figure >= FAR) => {
                self.doubt = Some(at);
                Some(Say::Raise(shown(&lines, at).draft()))
            }
            None => None,
            Some(since) if at.since(since) > LONGEST => {
                self.lines = Default::default();
                self.doubt = None;
                Some(Say::Resolve(MODEL.condition))
            }
            Some(_) if away.is_some_and(|away| away < NEAR) => {
                self.doubt = None;
                Some(Say::Resolve(MODEL.condition))
            }
            Some(_) => None,
        };
        let believed = self.doubt.is_none();
        for (line, (.., floor)) in self.lines.iter_mut().zip(LINES) {
            if believed && line.blocks > 0 {
                let usual = &mut line.usual[quarter(at)];
                usual.learn(&rule(floor), at, line.trial.1 / f64::from(line.blocks));
            }
            line.begin_trial();
        }
        self.on_trial = false;
        said
    }

    pub(super) fn stand(&self) -> Stand {
        Stand {
            figure: self
                .figure
                .ok_or("nothing was put on again since this person is known"),
            cut: FAR,
        }
    }
}

/// Of the day, which need not be the patient's: each is learned by itself.
fn quarter(at: Time) -> usize {
    let hour = at.as_micros().div_euclid(3_600_000_000).rem_euclid(24);
    usize::try_from(hour / 6).unwrap_or(0)
}

fn shown(lines: &[Line], at: Time) -> Shown {
    let parts = lines
        .iter()
        .zip(LINES)
        .filter_map(|(line, (name, kind, _))| {
            let blocks = f64::from(line.blocks);
            let away = line.trial.0 / blocks;
            let far = line.blocks >= ENOUGH && away.is_finite() && libm::fabs(away) >= FAR;
            let label = format!("{name}: {away:+.1} own deviations from what is usual");
            far.then(|| {
                (
                    kind.filter(|kind| *kind != Kind::RrInterval),
                    label,
                    line.trial.1 / blocks,
                    None,
                    libm::fabs(away),
                )
            })
        });
    let parts: Vec<_> = parts.collect();
    Shown {
        model: MODEL,
        priority: MODEL.condition.base(),
        onset: at,
        at,
        summary: format!(
            "The sensors were off, and since then {} figures are at once far from what is usual for this person: somebody else may wear them. Nothing is learned of this person meanwhile.",
            parts.len()
        ),
        plain: "Are you wearing your own sensors? The readings do not look like yours.",
        parts,
        avoided: [None; 2],
        quality: Quality::GOOD,
    }
}

fn definition() -> String {
    format!(
        "{} block {BLOCK:?} trial {TRIAL} {ENOUGH} off {OFF:?} far {FAR} {NEAR} figures {FIGURES} longest {LONGEST:?} {LATELY} beats {DIFFERENCES} {SINUS} {LINES:?} {:?}",
        MODEL.name,
        rule(0.0)
    )
}

crate::canonical_fields! {
    Line { usual, block, sum, count, lately, trial, blocks }
    Wearer { lines, beat, newest, on_trial, doubt, figure }
}
