//! Heart beats from an electrocardiogram, while it comes: where each QRS complex is, the intervals between them, and
//! how far each can be trusted.
//!
//! * this file: from blocks to an unbroken run of samples, and from places in it to times and intervals.
//! * `resample`: to [`RATE`]; `wavelet`: what a QRS complex is like; `find`: which of its maxima are beats; `ring`.
//!
//! Promises: causal, with a delay of [`DELAY`] and no more; what was said is not taken back; the same samples give the
//! same beats, however they are cut into blocks; memory is bounded (three rings of two seconds). Intervals are counted
//! in samples, not in stamps: a gateway's jitter does not reach them. The quality of a beat is told and vetoes nothing:
//! rules on likeness and regularity would reject fibrillation and ectopy (MODELS.md).
//!
//! Must not know: patients, sources, what the beats mean.

mod find;
mod lead;
mod resample;
mod ring;
mod wavelet;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Span, Time, Waveform};

use find::{Finder, Found, Signs};
pub use lead::{Counts, Lead, Taken};
use resample::Resampler;

/// Name and version.
pub const MODEL: &str = "qrs-wavelet-path/2";
/// Samples a second that the finder works on.
pub const RATE: u32 = 250;
/// Rates that are taken, in samples in a thousand seconds.
pub const RATES: core::ops::RangeInclusive<u32> = 100_000..=1_000_000;
/// From a QRS complex to its beat at most: 1.5 s of samples, and two of the sensor's own.
pub const DELAY: Span = Span::from_millis(find::DELAY as i64 * 1000 / RATE as i64 + 20);
/// Beats below it are doubtful: a burst of noise as strong as the signal, or what is seldom a beat.
pub const DOUBTFUL: f64 = 0.75;
/// So much fast noise, in parts of a beat's height, is usual.
const GRAIN: f64 = 0.15;
/// A gap no longer than this is bridged by a straight line.
const BRIDGE: Span = Span::from_millis(60);
/// Blocks in a row whose stamps are off by less still follow each other.
const JITTER: Span = Span::from_millis(250);
/// A value that does not change for so long was not measured: the electrode is off, or the amplifier at its limit.
const STUCK: Span = Span::from_millis(100);
/// No electrode gives a volt; in microvolts. Takes care of what is no number, too.
const IMPOSSIBLE: f64 = 1e6;
/// Blocks whose beats may still be said: as many as begin within the delay, with room.
const ANCHORS: usize = 256;

/// A heart beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// When its R wave was.
    pub at: Time,
    /// The interval that it ends, in tenths of a millisecond; none for the first of a run.
    pub tenth_ms: Option<i64>,
    /// Counts up by one within a run.
    pub number: u64,
    /// Beats of different runs are never neighbours.
    pub run: u64,
    /// From 0 (noise) to 1 (as clear as can be).
    pub quality: f64,
}

/// One unbroken run of samples after the other.
#[derive(Clone, Debug, Default, PartialEq)]
struct Detector {
    rate_millihertz: u32,
    resampler: Resampler,
    finder: Finder,
    /// First sample and start of the last blocks.
    anchors: VecDeque<(u64, Time)>,
    /// Samples of this run.
    seen: u64,
    /// The last sample, and for how many it has not changed.
    newest: Option<(f64, u64)>,
    /// Where the next block begins, and the number of the last one.
    end: Option<(Time, u64)>,
    /// The last beat's place, in seconds since the run began.
    last: Option<f64>,
    run: u64,
    beats: u64,
}

/// How a block lies to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It begins a run.
    Begins,
    /// It goes on, after so many samples that are missing, or after leaving out so many that were there.
    GoesOn { missing: u64, known: usize },
    /// All of it lies before the end.
    Before,
}

impl Detector {
    fn place(&self, block: &Waveform) -> Place {
        let Some((end, sequence)) = self.end else {
            return Place::Begins;
        };
        if block.time_of(block.samples()) <= end && block.start < end {
            return Place::Before;
        }
        if self.rate_millihertz != block.rate_millihertz {
            return Place::Begins;
        }
        let off = block.start.since(end);
        let follows = sequence.checked_add(1) == Some(block.sequence);
        let sample = Span::from_micros(1_000_000_000 / i64::from(block.rate_millihertz.max(1)));
        let seamless = off <= sample && end.since(block.start) <= sample;
        let jittered = follows && off < JITTER && end.since(block.start) < JITTER;
        if seamless || jittered {
            return Place::GoesOn {
                missing: 0,
                known: 0,
            };
        }
        let samples = |span: Span| {
            let micros = u64::try_from(span.as_micros()).unwrap_or(0);
            (micros * u64::from(block.rate_millihertz) + 500_000_000) / 1_000_000_000
        };
        if block.start < end {
            let known = usize::try_from(samples(end.since(block.start))).unwrap_or(usize::MAX);
            return Place::GoesOn { missing: 0, known };
        }
        if off <= BRIDGE {
            return Place::GoesOn {
                missing: samples(off),
                known: 0,
            };
        }
        Place::Begins
    }

    /// Takes a block whose place is not [`Place::Before`].
    fn take(
        &mut self,
        block: &Waveform,
        place: Place,
        run: u64,
        counts: &mut Counts,
        out: &mut Said,
    ) {
        let (missing, known) = match place {
            Place::GoesOn { missing, known } => (missing, known),
            Place::Begins | Place::Before => {
                self.finish(out);
                self.run = run;
                self.rate_millihertz = block.rate_millihertz;
                self.resampler = Resampler::new(block.rate_millihertz);
                (0, 0)
            }
        };
        counts.bridged += missing;
        counts.overlapped += known as u64;
        let mut found = Vec::new();
        let channels = usize::from(block.channels.max(1));
        let mut values = block.values().step_by(channels).skip(known).peekable();
        if let (Some((last, _)), Some(next)) = (self.newest, values.peek().copied()) {
            for step in 1..=missing {
                let part = step as f64 / (missing + 1) as f64;
                self.sample(last + part * (next - last), counts, &mut found);
            }
        }
        self.anchors.push_back((self.seen, block.time_of(known)));
        if self.anchors.len() > ANCHORS {
            self.anchors.pop_front();
        }
        for value in values {
            self.sample(value, counts, &mut found);
        }
        self.end = Some((block.time_of(block.samples()), block.sequence));
        self.tell(&found, out);
    }

    fn sample(&mut self, value: f64, counts: &mut Counts, found: &mut Vec<Found>) {
        self.seen += 1;
        let possible = value.abs() < IMPOSSIBLE;
        counts.impossible += u64::from(!possible);
        let last = self.newest.map_or(0.0, |(last, _)| last);
        let value = if possible { value } else { last };
        let unchanged = match self.newest {
            Some((last, count)) if last == value => count + 1,
            Some(_) | None => 1,
        };
        self.newest = Some((value, unchanged));
        let limit = STUCK.as_micros() as u64 * u64::from(self.rate_millihertz) / 1_000_000_000;
        counts.stuck += match unchanged {
            count if count == limit => limit,
            count if count > limit => 1,
            _ => 0,
        };
        let finder = &mut self.finder;
        self.resampler
            .take(value, |value| finder.take(value, found));
    }

    /// No more of this run comes: says its last beats.
    fn finish(&mut self, out: &mut Said) {
        let mut found = Vec::new();
        self.finder.finish(&mut found);
        self.tell(&found, out);
        self.anchors.clear();
        self.resampler = Resampler::new(self.rate_millihertz);
        (self.seen, self.newest, self.end, self.last) = (0, None, None, None);
    }

    fn tell(&mut self, found: &[Found], out: &mut Said) {
        let rate = f64::from(self.rate_millihertz.max(1)) / 1000.0;
        for found in found {
            let seconds = self.resampler.seconds(found.position);
            let of = |(first, _): &&(u64, Time)| *first as f64 <= seconds * rate;
            let anchor = self.anchors.iter().rev().find(of).or(self.anchors.front());
            let Some((first, start)) = anchor else {
                continue;
            };
            let after = (seconds - *first as f64 / rate) * 1e6;
            let interval = self
                .last
                .map(|last| libm::round((seconds - last) * 1e4) as i64);
            self.last = Some(seconds);
            self.beats += 1;
            out.push(Beat {
                at: *start + Span::from_micros(libm::round(after) as i64),
                tenth_ms: interval,
                number: self.beats,
                run: self.run,
                quality: quality(&found.signs),
            });
        }
    }
}

/// Beats as they are said.
type Said = Vec<Beat>;

/// How far a beat can be trusted: the noise around it beside it, and the evidence for it beside the most there can be.
/// Fast noise moves the wavelet little, but shows that something is wrong.
fn quality(signs: &Signs) -> f64 {
    let slow = signs.noise.min(1.0) + 1.0 - (signs.evidence / 9.0).clamp(0.0, 1.0);
    let fast = signs.grain - GRAIN;
    (1.0 - slow.max(fast)).clamp(0.0, 1.0)
}

/// The definition, for hashes.
#[must_use]
pub fn definition() -> String {
    alloc::format!(
        "{MODEL} rate {RATE} delay {DELAY:?} bridge {BRIDGE:?} jitter {JITTER:?} stuck {STUCK:?} doubtful {DOUBTFUL} grain {GRAIN} {}",
        find::definition()
    )
}

crate::canonical_fields! {
    Detector { rate_millihertz, resampler, finder, anchors, seen, newest, end, last, run, beats }
}
