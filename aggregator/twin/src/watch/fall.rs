//! A fall, by an accelerometer on the trunk: for a moment there is little weight, then an impact, then somebody lies who stood
//! or sat before, and hardly moves.
//!
//! The machine of thresholds that most published detectors are (below 0.6 g, then 3 g and more within a second, then lying and
//! still). Laboratory figures do not carry over: on 143 real falls a trained classifier found 80 % with a false alert each two
//! hours (FARSEEING), so this one asks for all four steps, and misses a fall after which somebody gets up at once.
//! Twenty seconds after the impact it speaks (medium), after a minute without a movement it is urgent (high). Over when
//! somebody has been as upright as before for a minute. What came late is told as a finding.
//!
//! Must not know: alerts' life, where on the body the sensor is (on a wrist, lying cannot be told from a lowered arm).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Span, Time, Waveform};

use super::{Model, Shown, Stand, Standing};
use crate::alert::{Condition, Priority};
use crate::life::Say;

pub(super) const MODEL: Model = Model {
    name: "fall/1",
    condition: Condition::Fall,
    standing: Standing::Live,
    definition,
};

/// Less weight than this, g, and this much within [`SOON`].
const FREE: f64 = 0.6;
const IMPACT: f64 = 3.0;
const SOON: Span = Span::from_secs(1);
/// Seconds in which a body comes to rest, and is judged; and until it is urgent.
const SETTLES: u16 = 2;
const JUDGED: u16 = 20;
const URGENT: u16 = 60;
/// So many of a hundred seconds must be still, and in another posture.
const STILL_PERCENT: u16 = 75;
/// A still second: its magnitude varies by less, g.
const STILL: f64 = 0.25;
/// Cosines of 45 degrees away from the posture before, and of 30.
const TURNED: f64 = 0.707;
const AS_BEFORE: f64 = 0.866;
/// Seconds as upright as before, until it is over.
const UP: u16 = 60;
/// Seconds whose postures are known; the oldest is the one before a fall.
const POSTURES: usize = 5;
const ENOUGH: usize = 3;
/// Samples in a thousand seconds: an impact lasts 50 ms.
const RATES: core::ops::RangeInclusive<u32> = 20_000..=1_000_000;
/// A block begins where the one before ended, or this much beside it.
const SEAM: Span = Span::from_millis(500);

/// The second that is being measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Second {
    begin: Time,
    sum: [f64; 3],
    count: f64,
    lowest: f64,
    highest: f64,
}

/// What follows an impact.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Impact {
    at: Time,
    peak: f64,
    /// Which way was down before.
    before: [f64; 3],
    seconds: u16,
    still: u16,
    up: u16,
    told: bool,
}

/// Blocks in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fall {
    end: Option<Time>,
    second: Second,
    postures: VecDeque<[f64; 3]>,
    /// When there was little weight last.
    free: Option<Time>,
    impact: Option<Impact>,
    /// The highest magnitude of the last whole second, g.
    peak: f64,
}

/// An accelerometer: its newest end, and what lies before it, because live data go before a backlog.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Accelerometer {
    now: Fall,
    past: Fall,
    pub(super) fed: Time,
}

impl Accelerometer {
    /// Takes a block; `live`: it is about now.
    pub(super) fn take(&mut self, block: &Waveform, live: bool, known: Time) -> Vec<Say> {
        self.fed = known;
        if self.now.comes_before(block) {
            if self.past.comes_before(block) {
                self.past = Fall::default();
            }
            self.past.take(block, false)
        } else {
            self.now.take(block, live)
        }
    }

    pub(super) fn stand(&self) -> Stand {
        let figure = self.now.end.map(|_| self.now.peak);
        Stand {
            figure: figure.ok_or(NO_DATA),
            cut: IMPACT,
        }
    }
}

pub(super) const NO_DATA: &str = "no acceleration along three axes at 20 Hz or more";

impl Fall {
    fn comes_before(&self, block: &Waveform) -> bool {
        self.end.is_some_and(|end| block.start + SEAM < end)
    }

    fn take(&mut self, block: &Waveform, live: bool) -> Vec<Say> {
        let mut said = Vec::new();
        if block.channels != 3 || !RATES.contains(&block.rate_millihertz) {
            return said;
        }
        if self.end.is_none_or(|end| block.start > end + SEAM) {
            // What happened in between is not known. Somebody who lay still lies until seen upright.
            let told = self.impact.take().filter(|impact| impact.told);
            *self = Self {
                impact: told,
                ..Self::default()
            };
        }
        self.end = Some(block.time_of(block.samples()));
        let scale = block.step.to_f64() / 1000.0;
        for (index, numbers) in block.numbers.chunks_exact(3).enumerate() {
            let mut axes = [0.0; 3];
            for (axis, number) in axes.iter_mut().zip(numbers) {
                *axis = f64::from(*number) * scale;
            }
            let at = block.time_of(index);
            if at.since(self.second.begin) >= Span::from_secs(1) {
                let second = core::mem::take(&mut self.second);
                said.extend(self.close(&second, block.quality, live));
                self.second.begin = at;
            }
            self.sample(at, axes);
        }
        said
    }

    fn sample(&mut self, at: Time, axes: [f64; 3]) {
        let square: f64 = axes.iter().map(|axis| axis * axis).sum();
        let magnitude = libm::sqrt(square);
        let second = &mut self.second;
        second.lowest = if second.count == 0.0 {
            magnitude
        } else {
            second.lowest.min(magnitude)
        };
        second.highest = second.highest.max(magnitude);
        second.count += 1.0;
        for (sum, axis) in second.sum.iter_mut().zip(axes) {
            *sum += axis;
        }
        if magnitude < FREE {
            self.free = Some(at);
        }
        if magnitude < IMPACT {
            return;
        }
        let dropped = self.free.is_some_and(|free| at.since(free) <= SOON);
        match &mut self.impact {
            Some(impact) if impact.told => {}
            // The body bounces: its seconds count from the last blow.
            Some(impact) if impact.seconds <= SETTLES => {
                (impact.at, impact.seconds) = (at, 0);
                impact.peak = impact.peak.max(magnitude);
            }
            Some(_) | None if dropped && self.postures.len() >= ENOUGH => {
                let before = self.postures.front().copied().unwrap_or_default();
                self.impact = Some(Impact {
                    at,
                    peak: magnitude,
                    before,
                    ..Impact::default()
                });
            }
            Some(_) | None => {}
        }
    }

    fn close(&mut self, second: &Second, quality: Quality, live: bool) -> Option<Say> {
        if second.count == 0.0 {
            return None;
        }
        self.peak = second.highest;
        let posture = second.sum.map(|sum| sum / second.count);
        let is_still = second.highest - second.lowest < STILL;
        let said = self.follow(second.begin, posture, is_still, quality, live);
        if self.postures.len() >= POSTURES {
            self.postures.pop_front();
        }
        self.postures.push_back(posture);
        said
    }

    /// A second after an impact.
    fn follow(
        &mut self,
        begin: Time,
        posture: [f64; 3],
        is_still: bool,
        quality: Quality,
        live: bool,
    ) -> Option<Say> {
        let impact = self.impact.as_mut().filter(|impact| begin >= impact.at)?;
        impact.seconds = impact.seconds.saturating_add(1);
        let turn = cosine(posture, impact.before);
        if impact.told {
            impact.up = if turn > AS_BEFORE { impact.up + 1 } else { 0 };
            if impact.up >= UP {
                self.impact = None;
                return live.then_some(Say::Resolve(MODEL.condition));
            }
        }
        if impact.seconds > SETTLES && impact.seconds <= URGENT {
            impact.still += u16::from(is_still && turn < TURNED);
        }
        let most = |seconds: u16| impact.still * 100 >= STILL_PERCENT * (seconds - SETTLES);
        let draft = match impact.seconds {
            JUDGED if most(JUDGED) => draft(impact, MODEL.condition.base(), begin, quality),
            URGENT if most(URGENT) && live => {
                draft(impact, MODEL.condition.worst(), begin, quality)
            }
            JUDGED => {
                self.impact = None;
                return None;
            }
            _ => return None,
        };
        impact.told = true;
        if live {
            return Some(Say::Raise(draft));
        }
        let at = impact.at;
        self.impact = None;
        Some(Say::Find(draft, at))
    }
}

fn cosine(one: [f64; 3], other: [f64; 3]) -> f64 {
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let length = libm::sqrt(dot(one, one) * dot(other, other));
    // Without weight there is no posture: as before.
    if length > 0.0 {
        dot(one, other) / length
    } else {
        1.0
    }
}

fn draft(impact: &Impact, priority: Priority, at: Time, quality: Quality) -> crate::life::Draft {
    let Impact {
        peak,
        still,
        seconds,
        ..
    } = impact;
    Shown {
        model: MODEL,
        priority,
        onset: impact.at,
        at,
        summary: format!(
            "Perhaps a fall: little weight, an impact of {peak:.1} g, then lying still for {still} of {} s.",
            seconds - SETTLES
        ),
        plain: "Somebody seems to have fallen and hardly moves. Please call them, or look after them.",
        parts: Vec::from([
            (
                None::<Kind>,
                "Impact after little weight, g".into(),
                *peak,
                Some(IMPACT),
                0.5,
            ),
            (
                None,
                "Seconds of lying still afterwards".into(),
                f64::from(*still),
                Some(f64::from((seconds - SETTLES) * STILL_PERCENT) / 100.0),
                0.5,
            ),
        ]),
        avoided: [Some(IMPACT), Some(f64::from((seconds - SETTLES) * STILL_PERCENT) / 100.0)],
        quality,
    }
    .draft()
}

fn definition() -> String {
    format!(
        "{} free {FREE} impact {IMPACT} {SOON:?} still {STILL} {STILL_PERCENT} % of {JUDGED} {URGENT} after {SETTLES} turned {TURNED} up {AS_BEFORE} {UP}",
        MODEL.name
    )
}

crate::canonical_fields! {
    Second { begin, sum, count, lowest, highest }
    Impact { at, peak, before, seconds, still, up, told }
    Fall { end, second, postures, free, impact, peak }
    Accelerometer { now, past, fed }
}
