//! Heart beats from waveforms, whatever shows them: blocks become an unbroken run of samples at a steady rate, what a
//! [`Find`] finds in it becomes beats with times and intervals.
//!
//! * this file: from blocks to runs, and from places in a run to times. `lead`: all blocks of one source. `resample`.
//!
//! Promises: causal; what was said is not taken back; the same samples give the same beats, however they are cut into
//! blocks; memory is bounded. Intervals are counted in samples, not in stamps: a gateway's jitter does not reach them.
//!
//! Must not know: patients, sources, what a beat looks like, what beats mean.

mod lead;
mod resample;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use vitals::{Span, Time, Waveform};

use crate::canonical::{Buffer, Canonical};
pub use lead::{Counts, Lead, Taken};
use resample::Resampler;

/// A gap no longer than this is bridged by a straight line.
pub(crate) const BRIDGE: Span = Span::from_millis(60);
/// Blocks in a row whose stamps are off by less still follow each other.
pub(crate) const JITTER: Span = Span::from_millis(250);
/// Blocks whose beats may still be said: as many as begin within the delay, with room.
const ANCHORS: usize = 256;

/// A heart beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// When its R wave was, or when its pulse wave passed the sensor.
    pub at: Time,
    /// The interval that it ends, in tenths of a millisecond; none for the first of a run, or after what was refused.
    pub tenth_ms: Option<i64>,
    /// Where it is known: the interval is off from that of the heart by no more, as a rule (19 in 20), tenths of a millisecond.
    pub within_tenth_ms: Option<i64>,
    /// Counts up by one within a run.
    pub number: u64,
    /// Beats of different runs are never neighbours.
    pub run: u64,
    /// From 0 (noise) to 1 (as clear as can be).
    pub quality: f64,
}

/// Why a stretch of a signal gave no beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Too little of it beside a gap, a begin or an end.
    Short = 0,
    /// It did not change, or lay at its limit: no skin, or too much light.
    Held = 1,
    /// Nothing in it comes again and again.
    NoPulse = 2,
    /// Two ways to look for beats did not find the same.
    Disputed = 3,
    /// What was found is not alike.
    Unlike = 4,
    /// It leapt: one of its waves is much higher than the others.
    Leapt = 5,
}

impl Reason {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Short,
        Self::Held,
        Self::NoPulse,
        Self::Disputed,
        Self::Unlike,
        Self::Leapt,
    ];

    /// A short stable word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Held => "held",
            Self::NoPulse => "no_pulse",
            Self::Disputed => "disputed",
            Self::Unlike => "unlike",
            Self::Leapt => "leapt",
        }
    }
}

/// A stretch of time, and whether its beats were said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub from: Time,
    /// Its end.
    pub to: Time,
    /// Why not; none if they were.
    pub refused: Option<Reason>,
}

/// A beat, in samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Its place since the run began.
    pub(crate) position: f64,
    /// No beat lies between it and the one that was found before it.
    pub(crate) follows: bool,
    /// See [`Beat::within_tenth_ms`], in samples.
    pub(crate) within: Option<f64>,
    /// See [`Beat::quality`].
    pub(crate) quality: f64,
}

/// What a [`Find`] found, in samples since the run began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    pub(crate) beats: Vec<Found>,
    /// Begin, end, why nothing was said.
    pub(crate) windows: Vec<(u64, u64, Option<Reason>)>,
}

/// Finds beats in one unbroken run of samples after the other.
pub trait Find: Clone + core::fmt::Debug + Default + PartialEq + Canonical {
    /// Samples a second that it works on.
    const RATE: u32;
    /// Rates of sensors that are taken, in samples in a thousand seconds.
    const RATES: core::ops::RangeInclusive<u32>;
    /// A value that does not change for so long was not measured.
    const STUCK: Span;
    /// No sensor gives so much. Takes care of what is no number, too.
    const IMPOSSIBLE: f64;

    /// Takes a sample at [`Find::RATE`].
    fn take(&mut self, value: f64, found: &mut Findings);
    /// No more of this run comes: says what is open.
    fn finish(&mut self, found: &mut Findings);
}

/// One unbroken run of samples after the other.
#[derive(Clone, Debug, Default, PartialEq)]
struct Detector<F> {
    rate_millihertz: u32,
    resampler: Resampler,
    finder: F,
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

impl<F: Find> Detector<F> {
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
                self.resampler = Resampler::new(block.rate_millihertz, F::RATE);
                (0, 0)
            }
        };
        counts.bridged += missing;
        counts.overlapped += known as u64;
        let mut found = Findings::default();
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

    fn sample(&mut self, value: f64, counts: &mut Counts, found: &mut Findings) {
        self.seen += 1;
        let possible = value.abs() < F::IMPOSSIBLE;
        counts.impossible += u64::from(!possible);
        let last = self.newest.map_or(0.0, |(last, _)| last);
        let value = if possible { value } else { last };
        let unchanged = match self.newest {
            Some((last, count)) if last == value => count + 1,
            Some(_) | None => 1,
        };
        self.newest = Some((value, unchanged));
        let limit = F::STUCK.as_micros() as u64 * u64::from(self.rate_millihertz) / 1_000_000_000;
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
        let mut found = Findings::default();
        self.finder.finish(&mut found);
        self.tell(&found, out);
        self.anchors.clear();
        self.resampler = Resampler::new(self.rate_millihertz, F::RATE);
        (self.seen, self.newest, self.end, self.last) = (0, None, None, None);
    }

    fn tell(&mut self, found: &Findings, out: &mut Said) {
        for (from, to, refused) in &found.windows {
            let of = |place: u64| self.time(self.resampler.seconds(place as f64));
            if let (Some(from), Some(to)) = (of(*from), of(*to)) {
                let refused = *refused;
                out.windows.push(Window { from, to, refused });
            }
        }
        for found in &found.beats {
            let seconds = self.resampler.seconds(found.position);
            let Some(at) = self.time(seconds) else {
                continue;
            };
            let last = self.last.filter(|_| found.follows);
            let interval = last.map(|last| libm::round((seconds - last) * 1e4) as i64);
            let within = found.within.filter(|_| interval.is_some());
            self.last = Some(seconds);
            self.beats += 1;
            out.beats.push(Beat {
                at,
                tenth_ms: interval,
                within_tenth_ms: within
                    .map(|samples| libm::ceil(samples / f64::from(F::RATE) * 1e4) as i64),
                number: self.beats,
                run: self.run,
                quality: found.quality,
            });
        }
    }

    /// When that was, so many seconds after the run began: by the stamp of the block that it lies in.
    fn time(&self, seconds: f64) -> Option<Time> {
        let rate = f64::from(self.rate_millihertz.max(1)) / 1000.0;
        let of = |(first, _): &&(u64, Time)| *first as f64 <= seconds * rate;
        let anchor = self.anchors.iter().rev().find(of).or(self.anchors.front());
        let (first, start) = anchor?;
        let after = (seconds - *first as f64 / rate) * 1e6;
        Some(*start + Span::from_micros(libm::round(after) as i64))
    }
}

/// What is said of a run.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    beats: Vec<Beat>,
    windows: Vec<Window>,
}

impl<F: Find> Canonical for Detector<F> {
    fn encode(&self, to: &mut Buffer) {
        self.rate_millihertz.encode(to);
        self.resampler.encode(to);
        self.finder.encode(to);
        self.anchors.encode(to);
        self.seen.encode(to);
        self.newest.encode(to);
        self.end.encode(to);
        self.last.encode(to);
        self.run.encode(to);
        self.beats.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            rate_millihertz: Canonical::decode(from)?,
            resampler: Canonical::decode(from)?,
            finder: Canonical::decode(from)?,
            anchors: Canonical::decode(from)?,
            seen: Canonical::decode(from)?,
            newest: Canonical::decode(from)?,
            end: Canonical::decode(from)?,
            last: Canonical::decode(from)?,
            run: Canonical::decode(from)?,
            beats: Canonical::decode(from)?,
        })
    }
}
