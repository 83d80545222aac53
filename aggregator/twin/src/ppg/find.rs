//! Whether some seconds of light are believed, and the beats of those that are.
//!
//! Each two seconds the last eight are looked at, and those of the beats are said that lie three seconds back: what comes
//! before and after them is known. They are believed where the light moved, where two ways to look for pulse waves found
//! the same ([`waves`]; the agreement of Li 2008, at nine in ten), where the waves are alike (the template test of
//! Orphanidou 2015, at its 0.86), and where none of them is far higher than the others. A template ends where the next wave
//! begins, so that a beat that comes early is not unlike for that.
//!
//! Light that comes back gets less when blood comes, and a monitor turns that around: which way a sensor counts is learned
//! from the slopes, for blood comes faster than it goes.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::Span;

use super::waves::{self, Wave};
use crate::signal::{Find, Findings, Found, Reason};

/// Samples that are looked at: 8 s.
const KEPT: usize = 400;
/// ... each two seconds ...
pub(super) const HOP: usize = 100;
/// ... for the beats before the last three seconds.
pub(super) const AHEAD: usize = 150;
/// So much around these is judged with them.
const AROUND: usize = 100;
/// At the begin and the end of a run no peak can be seen: a second.
const EDGE: usize = 50;
/// Light that does not change for so long, anywhere: 0.5 s; and at its highest or lowest: 0.2 s.
const HELD: usize = 25;
const CLIPPED: usize = 10;
/// What lies so near to these in parts of the range does, too: between two rates corners are rounded.
const LIMIT: f64 = 0.05;
/// No beat for so long is no pulse (Orphanidou 2015): 3 s.
const LONGEST: f64 = 150.0;
/// Beats of the two ways are the same within 160 ms.
const SAME: f64 = 8.0;
/// So many of all beats that either finds both must find (the usual cut of bSQI).
const AGREED: f64 = 0.9;
/// A template: 0.16 s before and 0.5 s after the steepest place, and where its end is cut off, at least 0.3 s of it.
const BEFORE: usize = 8;
const TEMPLATE: usize = BEFORE + 25;
const LEAST: usize = 15;
/// The mean likeness of waves to their template (Orphanidou 2015 for light).
pub(super) const ALIKE: f64 = 0.86;
/// No wave is so many times as high as the middle one.
const LEAP: f64 = 3.0;
/// How much of what slopes tell is new in each window.
const LEARNED: f64 = 0.2;
/// The time that a pulse takes to the sensor changes from beat to beat: so many samples (30 ms).
const TRAVEL: f64 = 1.5;
/// An interval that is less sure than this, in samples (100 ms), is none.
const VAGUE: f64 = 5.0;

/// A wave, how like the others it is, and the one before it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    wave: Wave,
    likeness: f64,
    before: Option<Wave>,
}

/// See the module. Bounded by `KEPT`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finder {
    last: VecDeque<f64>,
    /// Samples of this run.
    seen: u64,
    /// The beats before it are said.
    settled: u64,
    /// How much faster the signal rises than it falls, -1 to 1. Below 0 a pulse goes down.
    rises: f64,
    /// The last wave that was said; none after what was refused.
    said: Option<f64>,
    /// For reports alone: nothing is refused.
    believes_all: bool,
}

impl Find for Finder {
    const RATE: u32 = super::RATE;
    const RATES: core::ops::RangeInclusive<u32> = 24_000..=1_000_000;
    /// Light is counted in whole numbers, and a weak pulse is a few of them.
    const STUCK: Span = Span::from_millis(500);
    const IMPOSSIBLE: f64 = 1e12;

    fn take(&mut self, value: f64, found: &mut Findings) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(value);
        self.seen += 1;
        let kept = KEPT as u64;
        if self.seen >= kept && (self.seen - kept).is_multiple_of(HOP as u64) {
            self.look(self.seen - AHEAD as u64, found);
        }
    }

    fn finish(&mut self, found: &mut Findings) {
        let until = self.seen.saturating_sub(EDGE as u64);
        if until > self.settled {
            self.look(until, found);
        }
        if self.seen > self.settled {
            let short = (self.settled, self.seen, Some(Reason::Short));
            found.windows.push(short);
        }
        // Which way the sensor counts it still does.
        *self = Self {
            rises: self.rises,
            believes_all: self.believes_all,
            ..Self::default()
        };
    }
}

impl Finder {
    /// For reports: one that refuses nothing, to show what refusing is worth.
    #[must_use]
    pub fn that_believes_all() -> Self {
        Self {
            believes_all: true,
            ..Self::default()
        }
    }

    /// Judges what lies before `until`, and says its beats.
    fn look(&mut self, until: u64, found: &mut Findings) {
        let begin = self.seen - self.last.len() as u64;
        if self.settled == 0 {
            let edge = (EDGE as u64).min(until);
            found.windows.push((0, edge, Some(Reason::Short)));
            self.settled = edge;
        }
        let from = (self.settled.max(begin) - begin) as usize;
        let to = (until - begin) as usize;
        let (waves, judged) = self.judge(from, to);
        let refused = judged.err().filter(|_| !self.believes_all);
        found.windows.push((self.settled, until, refused));
        self.settled = until;
        if refused.is_some() {
            self.said = None;
            return;
        }
        for Seen {
            wave,
            likeness,
            before,
        } in waves
        {
            let position = begin as f64 + wave.middle;
            let pair = before.filter(|before: &Wave| {
                let interval = wave.middle - before.middle;
                let last = begin as f64 + before.middle;
                interval <= LONGEST && self.said.is_some_and(|said| libm::fabs(said - last) < SAME)
            });
            let within = pair.map(|before| {
                let interval = wave.middle - before.middle;
                let other = wave.steep - before.steep;
                TRAVEL + 2.0 * libm::fabs(interval - other)
            });
            let within = within.filter(|within| *within <= VAGUE);
            found.beats.push(Found {
                position,
                follows: within.is_some(),
                within,
                quality: likeness.clamp(0.0, 1.0),
            });
            self.said = Some(position);
        }
    }

    /// The waves from `from` to `to`, and whether they are believed.
    fn judge(&mut self, from: usize, to: usize) -> (Vec<Seen>, Result<(), Reason>) {
        let raw: Vec<f64> = self.last.iter().copied().collect();
        // No peak can be seen at the edges of what is kept.
        let around = from.saturating_sub(AROUND).max(EDGE)
            ..(to + AROUND).min(raw.len().saturating_sub(EDGE));
        if around.len() < 2 * AROUND {
            return (Vec::new(), Err(Reason::Short));
        }
        let held = is_held(&raw[around.clone()]);
        let mut signal = smooth(&raw);
        self.turn(&mut signal, around.clone());
        let scaled = waves::scaled(&signal);
        let likeness = likenesses(&signal, &scaled);
        let before = core::iter::once(None).chain(scaled.iter().copied().map(Some));
        let all = scaled.iter().copied().zip(likeness).zip(before);
        let seen: Vec<Seen> = all
            .map(|((wave, likeness), before)| Seen {
                wave,
                likeness,
                before,
            })
            .collect();
        let judged = if held {
            Err(Reason::Held)
        } else {
            believed(&seen, &waves::sloped(&signal), around, from..to)
        };
        let within = |seen: &Seen| from as f64 <= seen.wave.middle && seen.wave.middle < to as f64;
        (seen.into_iter().filter(within).collect(), judged)
    }

    /// Turns the signal so that a pulse goes up.
    fn turn(&mut self, signal: &mut [f64], judged: core::ops::Range<usize>) {
        let (mut sum, mut size) = (0.0, 0.0);
        for pair in signal[judged].windows(2) {
            let slope = pair[1] - pair[0];
            sum += slope * slope * slope;
            size += libm::fabs(slope * slope * slope);
        }
        let rises = if size > 0.0 { sum / size } else { 0.0 };
        let before = self.rises;
        self.rises = if before == 0.0 {
            rises
        } else {
            before + LEARNED * (rises - before)
        };
        if (before < 0.0) != (self.rises < 0.0) {
            self.said = None;
        }
        if self.rises < 0.0 {
            signal.iter_mut().for_each(|value| *value = -*value);
        }
    }
}

/// Whether waves are believed: `around` what is said is looked at with it.
fn believed(
    seen: &[Seen],
    sloped: &[f64],
    around: core::ops::Range<usize>,
    said: core::ops::Range<usize>,
) -> Result<(), Reason> {
    let inside = |place: f64| around.start as f64 <= place && place < around.end as f64;
    let waves: Vec<&Seen> = seen.iter().filter(|seen| inside(seen.wave.steep)).collect();
    // Fewer than twenty a minute are no pulse; nor is a stretch of three seconds without one.
    let gap = |pair: &[Seen]| {
        let (first, second) = (pair[0].wave.middle, pair[1].wave.middle);
        second - first > LONGEST && second > said.start as f64 && first < said.end as f64
    };
    if waves.len() < 2 || seen.windows(2).any(gap) {
        return Err(Reason::NoPulse);
    }
    let same = |a: f64, b: f64| libm::fabs(a - b) <= SAME;
    let found_too = |seen: &&&Seen| sloped.iter().any(|place| same(seen.wave.steep, *place));
    let alone =
        |place: &&f64| inside(**place) && !seen.iter().any(|seen| same(seen.wave.steep, **place));
    let both = waves.iter().filter(found_too).count();
    let either = waves.len() + sloped.iter().filter(alone).count();
    if (both as f64) < AGREED * either as f64 {
        return Err(Reason::Disputed);
    }
    let mut heights: Vec<f64> = waves.iter().map(|seen| seen.wave.height).collect();
    heights.sort_unstable_by(f64::total_cmp);
    let (middle, highest) = (heights[heights.len() / 2], heights[heights.len() - 1]);
    if highest > LEAP * middle {
        return Err(Reason::Leapt);
    }
    let likeness: f64 = waves.iter().map(|seen| seen.likeness).sum();
    if likeness < ALIKE * waves.len() as f64 {
        return Err(Reason::Unlike);
    }
    Ok(())
}

/// True if the light did not change for long, or lay at its highest or lowest.
fn is_held(raw: &[f64]) -> bool {
    let low = raw.iter().copied().fold(f64::INFINITY, f64::min);
    let high = raw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut run, mut last) = (0, f64::NAN);
    raw.iter().any(|value| {
        run = if *value == last { run + 1 } else { 1 };
        last = *value;
        let limit = last <= low + LIMIT * (high - low) || last >= high - LIMIT * (high - low);
        run >= HELD || run >= CLIPPED && limit
    })
}

/// What is slower than 7 Hz, without a shift in time. Slopes take care of what is too slow.
fn smooth(raw: &[f64]) -> Vec<f64> {
    let end = raw.len() - 1;
    let at = |place: usize, beside: isize| raw[place.saturating_add_signed(beside).min(end)];
    let sum = |n: usize| at(n, -2) + at(n, 2) + 4.0 * (at(n, -1) + at(n, 1)) + 6.0 * at(n, 0);
    (0..raw.len()).map(|n| sum(n) / 16.0).collect()
}

/// How like each wave is to the mean of all of them, -1 to 1. What lies beyond the foot of the next is not looked at.
fn likenesses(signal: &[f64], waves: &[Wave]) -> Vec<f64> {
    let next = waves
        .iter()
        .skip(1)
        .map(|wave| wave.foot)
        .chain(core::iter::once(signal.len()));
    let part = |(wave, next): (&Wave, usize)| {
        let from = (libm::round(wave.steep) as usize).checked_sub(BEFORE)?;
        let to = (from + TEMPLATE).min(next).min(signal.len());
        (to >= from + LEAST).then(|| &signal[from..to])
    };
    let parts: Vec<Option<&[f64]>> = waves.iter().zip(next).map(part).collect();
    let mut mean = [(0.0, 0.0); TEMPLATE];
    for part in parts.iter().flatten() {
        for ((sum, count), value) in mean.iter_mut().zip(part.iter()) {
            *sum += value;
            *count += 1.0;
        }
    }
    let mean = mean.map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 });
    parts
        .iter()
        .map(|part| part.map_or(0.0, |part| correlation(part, &mean[..part.len()])))
        .collect()
}

/// Of what is left of both without their mean and slope: breathing lifts and tilts waves.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let spread = n * (n * n - 1.0) / 12.0;
    let line = |of: &[f64]| {
        let mean = of.iter().sum::<f64>() / n;
        let tilt = |(at, value): (usize, &f64)| (at as f64 - middle) * value;
        (mean, of.iter().enumerate().map(tilt).sum::<f64>() / spread)
    };
    let (line_a, line_b) = (line(a), line(b));
    let left = |at: usize, value: f64, (mean, slope): (f64, f64)| {
        value - mean - slope * (at as f64 - middle)
    };
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        let (a, b) = (left(at, *a, line_a), left(at, *b, line_b));
        (both, of_a, of_b) = (both + a * b, of_a + a * a, of_b + b * b);
    }
    let size = libm::sqrt(of_a * of_b);
    if size > 0.0 { both / size } else { 0.0 }
}

/// What decides, for hashes.
pub(super) fn definition() -> String {
    alloc::format!(
        "kept {KEPT} hop {HOP} ahead {AHEAD} around {AROUND} edge {EDGE} held {HELD} clipped {CLIPPED} {LIMIT} longest {LONGEST} \
         same {SAME} agreed {AGREED} template {BEFORE} {TEMPLATE} {LEAST} alike {ALIKE} leap {LEAP} learned {LEARNED} travel {TRAVEL} vague {VAGUE}"
    )
}

crate::canonical_fields! {
    Finder { last, seen, settled, rises, said, believes_all }
}
