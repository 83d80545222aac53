//! Finds QRS complexes in samples at 250 Hz, with a fixed delay.
//!
//! 1. Maxima of the wavelet's envelope, at least 80 ms from a higher one, are *candidates*. Each waits until what comes
//!    after it tells how noisy it is there.
//! 2. A candidate's *evidence* is the logarithm of how much likelier a QRS complex would make it than noise: its height
//!    beside that of the last beats and of the noise around it, and its likeness to the last beats.
//! 3. Of all sequences of candidates with at least 200 ms between them the one with the most evidence is followed (a
//!    dynamic program over the last seconds). Where the last beats came regularly a regular sequence is a little
//!    likelier; where they did not, as in fibrillation, nothing is.
//!
//! What lies further back than [`DELAY`] is said, and never taken back.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::ring::Ring;
use super::wavelet;
use crate::signal::Found;

/// Around a candidate, samples: no higher one within.
const APART: u64 = 20;
/// The noise around a candidate is looked at so far before and after it.
const AROUND: u64 = 150;
/// How long the best sequence may still change.
const OPEN: u64 = 200;
/// From a QRS complex to its beat, samples: wavelet, noise around it, open sequence.
pub(super) const DELAY: u64 = wavelet::HALF as u64 + AROUND + OPEN;
/// What is lower in the envelope, in microvolts, is no heart beat: a QRS complex of 0.1 mV is still higher.
const LOWEST: f64 = 15.0;
/// Two beats are never closer.
const REFRACTORY: f64 = 50.0;
/// A beat may come so long after the one before (15 a minute) before the level of beats is doubted: what is lower between
/// them are P and T waves.
const SLOWEST: f64 = 1000.0;
/// The T wave of a broad beat comes so soon after it, and is lower.
const T_WAVE: f64 = 100.0;
/// Half of a template.
const HALF: u64 = 15;
const TEMPLATE: usize = 2 * HALF as usize + 1;
/// A template may lie so far beside a candidate.
const SHIFT: u64 = 5;
/// Candidates that wait or are open: two seconds of them.
const CANDIDATES: usize = 32;
/// Beats that levels and intervals are learned from.
const LEARNED: usize = 9;
/// So many times as high as the last beats ...
const LOUD: f64 = 4.0;
/// ... so often ...
const LOUDER: u8 = 5;
/// ... never so far apart.
const FAR: u64 = 1250;
/// After so many clear beats that are unlike the template it is learned anew.
const RELEARN: u8 = 10;
/// Before so many samples nothing is known about levels.
const WARM: u64 = 500;

/// What is seen of a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Signs {
    /// Height beside that of the last beats.
    pub(super) height: f64,
    /// Height of noise beside that of the last beats.
    pub(super) noise: f64,
    /// Likeness to the last beats, -1 to 1; none before there are any.
    pub(super) likeness: Option<f64>,
    /// Mean bend of the signal around it beside the height of the last beats: noise that is too fast for the wavelet.
    pub(super) grain: f64,
    /// Evidence.
    pub(super) evidence: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    at: u64,
    height: f64,
    /// Sum of the clipped envelope around it, per sample.
    floor: f64,
    /// Mean bend of the signal around it.
    bend: f64,
    /// Where a template fits best beside `at`, and how well.
    fit: Option<(f64, f64)>,
    /// The R wave's extreme.
    peak: f64,
}

/// See the module. Bounded by its rings and `CANDIDATES`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finder {
    raw: Ring,
    real: Ring,
    envelope: Ring,
    /// Found, and too new to be judged.
    waiting: VecDeque<(u64, f64)>,
    open: VecDeque<Candidate>,
    /// The last beat, and its height.
    last: Option<(f64, f64)>,
    /// Heights of the last beats.
    heights: VecDeque<f64>,
    /// Their intervals.
    intervals: VecDeque<f64>,
    template: Vec<f64>,
    /// From a template's middle to the R wave.
    offset: f64,
    /// Clear beats in a row that the template is not like.
    unlike: u8,
    /// The last candidate that stood far out, and how many did.
    loud: (u64, u8),
}

impl Finder {
    /// Takes a sample.
    pub(super) fn sample(&mut self, value: f64, out: &mut Vec<Found>) {
        self.raw.push(value);
        let taps = 2 * wavelet::HALF + 1;
        if self.raw.end() < taps as u64 {
            // What lies before the first whole window.
            if self.raw.end() <= wavelet::HALF as u64 {
                self.real.push(0.0);
                self.envelope.push(0.0);
            }
            return;
        }
        let (real, imaginary) = wavelet::transform(self.raw.last(taps));
        self.real.push(real);
        self.envelope
            .push(libm::sqrt(real * real + imaginary * imaginary));
        self.look();
        if self.envelope.end() >= WARM {
            let end = self.envelope.end();
            self.judge(end.saturating_sub(AROUND));
            self.say(end.saturating_sub(AROUND + OPEN), out);
        }
    }

    /// No more samples come: says what is open, and begins a new run. Levels and template stay.
    pub(super) fn end(&mut self, out: &mut Vec<Found>) {
        // The last complex may lie at the very end: it goes on as it ended.
        let newest = self.raw.last(1).next();
        if let Some(value) = newest {
            for _ in 0..=wavelet::HALF as u64 + APART {
                self.sample(value, out);
            }
        }
        // Less than that tells nothing.
        if self.envelope.end() >= WARM / 2 {
            self.judge(u64::MAX);
            self.say(u64::MAX, out);
        }
        *self = Self {
            heights: core::mem::take(&mut self.heights),
            intervals: core::mem::take(&mut self.intervals),
            template: core::mem::take(&mut self.template),
            offset: self.offset,
            unlike: self.unlike,
            ..Self::default()
        };
    }

    /// Is the envelope highest `APART` samples ago?
    fn look(&mut self) {
        let Some(at) = self.envelope.end().checked_sub(APART + 1) else {
            return;
        };
        let Some(height) = self.envelope.at(at).filter(|height| *height > LOWEST) else {
            return;
        };
        let after = self
            .envelope
            .last(APART as usize)
            .all(|other| other < height);
        if after {
            let before = (1..=APART).all(|back| {
                let other = at.checked_sub(back).and_then(|n| self.envelope.at(n));
                other.is_none_or(|other| other <= height)
            });
            if before && self.waiting.len() < CANDIDATES {
                self.waiting.push_back((at, height));
            }
        }
    }

    /// Candidates before `known`: what is around them is known.
    fn judge(&mut self, known: u64) {
        if self.heights.is_empty() {
            // Nothing is known yet. The highest: a slow heart beats once in that time, and a level that is too high fades.
            let highest = self.envelope.last(450).fold(0.0, f64::max);
            self.heights.push_back(highest);
        }
        while let Some((at, height)) = self.waiting.front().copied() {
            if at > known {
                return;
            }
            self.waiting.pop_front();
            self.doubt_level(at, height);
            let candidate = self.candidate(at, height);
            if self.open.len() < CANDIDATES {
                self.open.push_back(candidate);
            }
        }
    }

    /// What stands far out again and again is the beats: what the level was learned from were P and T waves. At the begin
    /// of a run the first is enough, for a slow heart beats after they are seen.
    fn doubt_level(&mut self, at: u64, height: f64) {
        if height <= LOUD * self.level() {
            return;
        }
        let (last, count) = self.loud;
        let count = if at - last > FAR { 1 } else { count + 1 };
        self.loud = (at, count);
        if count >= LOUDER || at < FAR {
            self.heights.clear();
            self.heights.push_back(height);
            self.template.clear();
            self.loud = (at, 0);
        }
    }

    fn candidate(&self, at: u64, height: f64) -> Candidate {
        let level = self.level();
        let clip = 0.35 * level;
        let (mut sum, mut bends, mut count) = (0.0, 0.0, 0.0);
        for number in at.saturating_sub(AROUND)..at + AROUND {
            if number.abs_diff(at) <= APART {
                continue;
            }
            if let Some(value) = self.envelope.at(number) {
                sum += value.min(clip);
                bends += self.bend(number);
                count += 1.0;
            }
        }
        let mean = |sum: f64| if count > 0.0 { sum / count } else { 0.0 };
        Candidate {
            at,
            height,
            floor: mean(sum),
            bend: mean(bends),
            fit: self.fit(at),
            peak: self.peak(at),
        }
    }

    /// How far the signal is from the straight line through what is 8 ms before and after.
    fn bend(&self, number: u64) -> f64 {
        let raw = |number: u64| self.raw.at(number);
        let before = number.checked_sub(2).and_then(raw);
        match (before, raw(number), raw(number + 2)) {
            (Some(before), Some(value), Some(after)) => (before - 2.0 * value + after).abs(),
            (_, _, _) => 0.0,
        }
    }

    /// Where the template fits best: place beside `at`, correlation.
    fn fit(&self, at: u64) -> Option<(f64, f64)> {
        if self.template.len() != TEMPLATE {
            return None;
        }
        let begin = at.checked_sub(HALF + SHIFT)?;
        let mut scores = [0.0f64; 2 * SHIFT as usize + 1];
        for (score, begin) in scores.iter_mut().zip(begin..) {
            *score = self.correlation(begin)?;
        }
        let (best, score) = scores
            .iter()
            .copied()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let beside = best as f64 - SHIFT as f64 + vertex(&scores, best);
        Some((beside, score))
    }

    fn correlation(&self, begin: u64) -> Option<f64> {
        let (mut product, mut square) = (0.0, 0.0);
        for (number, expected) in (begin..).zip(&self.template) {
            let value = self.real.at(number)?;
            product += value * expected;
            square += value * value;
        }
        Some(if square > 0.0 {
            product / libm::sqrt(square)
        } else {
            0.0
        })
    }

    /// The R wave: furthest from the middle of what is around it.
    fn peak(&self, at: u64) -> f64 {
        let begin = at.saturating_sub(HALF);
        let window = (begin..=at + HALF).map(|number| self.raw.at(number).unwrap_or(0.0));
        let window: Vec<f64> = window.collect();
        let mut sorted = window.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let away: Vec<f64> = window.iter().map(|value| (value - middle).abs()).collect();
        let best = (0..away.len()).max_by(|a, b| away[*a].total_cmp(&away[*b]));
        let best = best.unwrap_or(0);
        begin as f64 + best as f64 + vertex(&away, best)
    }

    /// Height of the last beats.
    fn level(&self) -> f64 {
        median(self.heights.iter().copied())
    }

    fn signs(&self, candidate: &Candidate, level: f64) -> Signs {
        let height = candidate.height / level.max(f64::MIN_POSITIVE);
        // Peaks of noise are about twice as high as its envelope's mean.
        let noise = (2.0 * candidate.floor / level.max(f64::MIN_POSITIVE)).max(0.08);
        let likeness = candidate.fit.map(|(_, fit)| fit);
        let spread = 0.3 + 0.5 * noise;
        let off = libm::log(height) / if height < 1.0 { spread } else { 2.0 * spread };
        let as_beat = -0.5 * (off * off).min(16.0);
        // Where there is no noise there are P and T waves.
        let over = height / noise.max(0.2);
        let as_noise = if over > 1.0 {
            (-1.5 * (over * over - 1.0)).max(-10.0)
        } else {
            0.0
        };
        let alike = likeness.map_or(0.0, |fit| (5.0 * (fit - 0.6)).clamp(-2.5, 2.0));
        let evidence = (as_beat - as_noise - 1.0).clamp(-8.0, 8.0) + alike;
        Signs {
            height,
            noise,
            likeness,
            grain: candidate.bend / level.max(f64::MIN_POSITIVE),
            evidence,
        }
    }

    /// What the interval adds. `height`: beside that of the beat before. Regularity tells only where there is noise.
    fn spacing(&self, interval: f64, height: f64, noise: f64) -> f64 {
        let mut sum = if interval < 75.0 {
            (interval - 75.0) / 8.0
        } else {
            0.0
        };
        if interval < T_WAVE && height < 0.5 {
            sum -= 16.0 * (0.5 - height);
        }
        if self.intervals.len() >= 5 {
            let usual = median(self.intervals.iter().copied());
            let near = |interval: f64| libm::fabs(interval / usual - 1.0);
            let regular = self.intervals.iter().filter(|i| near(**i) < 0.12).count();
            let regular = regular as f64 / self.intervals.len() as f64;
            let weight = ((regular - 0.5) / 0.4).clamp(0.0, 1.0) * (2.5 * noise).min(1.0);
            let off = near(interval) / 0.1;
            sum += weight * (4.0 * libm::exp(-0.5 * off * off) - 2.0);
        }
        sum
    }

    /// Says the beats that nothing can change any more.
    fn say(&mut self, settled: u64, out: &mut Vec<Found>) {
        while self.open.front().is_some_and(|first| first.at < settled) {
            let level = self.level() * self.fading();
            let signs: Vec<Signs> = self
                .open
                .iter()
                .map(|candidate| self.signs(candidate, level))
                .collect();
            let first = self.best(&signs);
            let Some((index, candidate)) =
                first.and_then(|index| Some((index, *self.open.get(index)?)))
            else {
                self.open.pop_front();
                continue;
            };
            if candidate.at >= settled {
                // Whatever is older is not on the way.
                self.open.retain(|other| other.at >= settled);
                return;
            }
            self.open.drain(..=index);
            let found = self.learn(&candidate, signs[index]);
            out.push(found);
        }
    }

    /// A level of beats that no longer come is believed less and less.
    fn fading(&self) -> f64 {
        let last = self.last.map_or(0.0, |(last, _)| last);
        let since = self
            .open
            .front()
            .map_or(0.0, |first| first.at as f64 - last);
        if since < SLOWEST {
            1.0
        } else {
            libm::exp(-(since - SLOWEST) / 250.0).max(0.02)
        }
    }

    /// Index of the first candidate of the best sequence.
    fn best(&self, signs: &[Signs]) -> Option<usize> {
        let mut ways: Vec<(f64, usize)> = Vec::with_capacity(signs.len());
        for (index, (candidate, of)) in self.open.iter().zip(signs).enumerate() {
            let at = candidate.at as f64;
            let from_last = match self.last {
                Some((last, _)) if at - last < REFRACTORY => f64::NEG_INFINITY,
                Some((last, height)) => {
                    self.spacing(at - last, candidate.height / height, of.noise)
                }
                None => 0.0,
            };
            let mut way = (from_last, index);
            for (before, earlier) in self.open.iter().zip(&ways) {
                let interval = at - before.at as f64;
                if interval >= REFRACTORY {
                    let height = candidate.height / before.height;
                    let sum = earlier.0 + self.spacing(interval, height, of.noise);
                    if sum > way.0 {
                        way = (sum, earlier.1);
                    }
                }
            }
            way.0 += of.evidence;
            ways.push(way);
        }
        let best = ways.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 > 0.0).then_some(best.1)
    }

    fn learn(&mut self, candidate: &Candidate, signs: Signs) -> Found {
        let alike = signs.likeness.is_none_or(|fit| fit > 0.7);
        let clear = signs.evidence > 3.0 && signs.noise < 0.6;
        let fitted = candidate
            .fit
            .filter(|(_, fit)| *fit > 0.6)
            .map(|(beside, _)| candidate.at as f64 + beside);
        let position = match fitted {
            Some(middle) => {
                if clear && alike {
                    let off = candidate.peak - middle;
                    self.offset += 0.1 * (off - self.offset).clamp(-3.0, 3.0);
                }
                middle + self.offset
            }
            None => candidate.peak,
        };
        if self.template.len() != TEMPLATE {
            self.offset = candidate.peak - candidate.at as f64;
        }
        if clear {
            if self.heights.len() == LEARNED {
                self.heights.pop_front();
            }
            self.heights.push_back(candidate.height);
        }
        if clear {
            self.unlike = if alike { 0 } else { self.unlike + 1 };
        }
        if self.unlike >= RELEARN {
            // The electrode was moved, or it was learned from something else.
            self.template.clear();
            self.unlike = 0;
        }
        if clear && (alike || self.template.len() != TEMPLATE) {
            let middle = fitted.map_or(candidate.at, |middle| libm::round(middle) as u64);
            self.imprint(middle);
        }
        if let Some((last, _)) = self.last {
            if self.intervals.len() == LEARNED {
                self.intervals.pop_front();
            }
            self.intervals.push_back(position - last);
        }
        self.last = Some((position, candidate.height));
        Found {
            position,
            follows: true,
            within: None,
            quality: super::quality(&signs),
        }
    }

    /// Makes the template more like what is around `middle`.
    fn imprint(&mut self, middle: u64) {
        let begin = middle.saturating_sub(HALF);
        let numbers = begin..begin + TEMPLATE as u64;
        let window: Vec<f64> = numbers.filter_map(|number| self.real.at(number)).collect();
        if window.len() != TEMPLATE {
            return;
        }
        let size = norm(&window);
        if size <= 0.0 {
            return;
        }
        let part = if self.template.len() == TEMPLATE {
            0.1
        } else {
            self.template = alloc::vec![0.0; TEMPLATE];
            1.0
        };
        for (of, value) in self.template.iter_mut().zip(&window) {
            *of += part * (value / size - *of);
        }
        let size = norm(&self.template);
        for of in &mut self.template {
            *of /= size;
        }
    }
}

/// What decides, for hashes.
pub(super) fn definition() -> String {
    alloc::format!(
        "apart {APART} around {AROUND} open {OPEN} refractory {REFRACTORY} t wave {T_WAVE} template {TEMPLATE} shift {SHIFT} \
         learned {LEARNED} relearn {RELEARN} loud {LOUD} {LOUDER} {FAR} slowest {SLOWEST} lowest {LOWEST}"
    )
}

fn norm(values: &[f64]) -> f64 {
    libm::sqrt(values.iter().map(|value| value * value).sum())
}

/// How far beside `place` the parabola through it and its neighbours is highest.
fn vertex(values: &[f64], place: usize) -> f64 {
    let neighbour = |place: Option<usize>| place.and_then(|place| values.get(place)).copied();
    let (Some(a), Some(b), Some(c)) = (
        neighbour(place.checked_sub(1)),
        neighbour(Some(place)),
        neighbour(place.checked_add(1)),
    ) else {
        return 0.0;
    };
    let bend = a - 2.0 * b + c;
    if bend < 0.0 {
        (0.5 * (a - c) / bend).clamp(-0.5, 0.5)
    } else {
        0.0
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

crate::canonical_fields! {
    Candidate { at, height, floor, bend, fit, peak }
    Finder { raw, real, envelope, waiting, open, last, heights, intervals, template, offset, unlike, loud }
}
