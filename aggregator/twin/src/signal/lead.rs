//! All blocks of one source: what comes in time order, and what came late.
//!
//! Live data go before a backlog, so there are two detectors: one at the newest end, and one for what lies before it.
//! Each needs its blocks in time order; a block that lies before the end of both begins a run of its own.

use vitals::{Span, Time, Waveform};

use super::{Beat, Detector, Find, Place, Reason, Said, Window};
use crate::canonical::{Buffer, Canonical};
use alloc::vec::Vec;

/// After so long without a block the last beats are said without what would follow them.
const QUIET: Span = Span::from_secs(5);

/// What became of blocks and samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks looked at for beats.
    pub blocks: u64,
    /// Of these: older than what was there already.
    pub late: u64,
    /// Of these: that follow no other, because something is missing between them, or as the first.
    pub runs: u64,
    /// Blocks refused: a rate that no beat can be found at, or no samples.
    pub refused: u64,
    /// Samples left out because another block of the same time was there.
    pub overlapped: u64,
    /// Samples made up in gaps of a few.
    pub bridged: u64,
    /// Samples that did not change: an electrode that is off, an amplifier at its limit.
    pub stuck: u64,
    /// Samples of a volt or more: the one before stands in.
    pub impossible: u64,
    /// Beats found.
    pub beats: u64,
    /// Milliseconds whose beats were said; only where windows are judged.
    pub told_ms: u64,
    /// Milliseconds that were refused, by [`Reason`].
    pub refused_ms: [u64; Reason::ALL.len()],
}

impl Counts {
    /// Adds another's.
    pub const fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.late += other.late;
        self.runs += other.runs;
        self.refused += other.refused;
        self.overlapped += other.overlapped;
        self.bridged += other.bridged;
        self.stuck += other.stuck;
        self.impossible += other.impossible;
        self.beats += other.beats;
        self.told_ms += other.told_ms;
        let mut reason = 0;
        while reason < self.refused_ms.len() {
            self.refused_ms[reason] += other.refused_ms[reason];
            reason += 1;
        }
    }
}

/// What a block gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Beats of the newest run.
    pub live: Vec<Beat>,
    /// Beats of late blocks.
    pub late: Vec<Beat>,
    /// Stretches that were judged, of either.
    pub windows: Vec<Window>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lead<F> {
    now: Detector<F>,
    past: Detector<F>,
    /// Known time of the last block.
    fed: Time,
    counts: Counts,
    /// Mean quality of the last ten beats or so.
    quality: Option<f64>,
}

impl<F: Find> Lead<F> {
    /// One with a finder that was made beforehand.
    pub fn of(finder: F) -> Self {
        let mut lead = Self::default();
        lead.now.finder = finder.clone();
        lead.past.finder = finder;
        lead
    }

    /// Takes a block, known at `known`.
    pub fn take(&mut self, block: &Waveform, known: Time) -> Taken {
        let mut taken = Taken::default();
        if !F::RATES.contains(&block.rate_millihertz) || block.samples() == 0 {
            self.counts.refused += 1;
            return taken;
        }
        self.fed = known;
        self.counts.blocks += 1;
        let mut place = self.now.place(block);
        let is_late = place == Place::Before;
        let detector = if is_late {
            self.counts.late += 1;
            place = match self.past.place(block) {
                Place::Before => Place::Begins,
                place @ (Place::Begins | Place::GoesOn { .. }) => place,
            };
            &mut self.past
        } else {
            &mut self.now
        };
        if place == Place::Begins {
            self.counts.runs += 1;
        }
        let run = self.counts.runs;
        let mut said = Said::default();
        detector.take(block, place, run, &mut self.counts, &mut said);
        taken.windows = said.windows;
        *(if is_late {
            &mut taken.late
        } else {
            &mut taken.live
        }) = said.beats;
        self.note(&taken);
        taken
    }

    /// When the last beats are said if nothing more comes.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let open = self.now.end.is_some() || self.past.end.is_some();
        open.then(|| self.fed + QUIET)
    }

    /// Says the last beats.
    pub fn finish(&mut self) -> Taken {
        let (mut live, mut late) = (Said::default(), Said::default());
        self.now.finish(&mut live);
        self.past.finish(&mut late);
        live.windows.append(&mut late.windows);
        let taken = Taken {
            live: live.beats,
            late: late.beats,
            windows: live.windows,
        };
        self.note(&taken);
        taken
    }

    /// How far the last ten beats or so can be trusted.
    #[must_use]
    pub const fn quality(&self) -> Option<f64> {
        self.quality
    }

    fn note(&mut self, taken: &Taken) {
        self.counts.beats += (taken.live.len() + taken.late.len()) as u64;
        for window in &taken.windows {
            let lasted = window.to.since(window.from).as_micros() / 1000;
            let lasted = u64::try_from(lasted).unwrap_or(0);
            match window.refused {
                None => self.counts.told_ms += lasted,
                Some(reason) => self.counts.refused_ms[reason as usize] += lasted,
            }
        }
        for beat in &taken.live {
            let before = self.quality.unwrap_or(beat.quality);
            self.quality = Some(before + 0.1 * (beat.quality - before));
        }
    }

    /// What became of blocks and samples.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Known time of the last block.
    #[must_use]
    pub const fn fed(&self) -> Time {
        self.fed
    }
}

impl<F: Find> Canonical for Lead<F> {
    fn encode(&self, to: &mut Buffer) {
        self.now.encode(to);
        self.past.encode(to);
        self.fed.encode(to);
        self.counts.encode(to);
        self.quality.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            now: Canonical::decode(from)?,
            past: Canonical::decode(from)?,
            fed: Canonical::decode(from)?,
            counts: Canonical::decode(from)?,
            quality: Canonical::decode(from)?,
        })
    }
}

crate::canonical_fields! {
    Counts { blocks, late, runs, refused, overlapped, bridged, stuck, impossible, beats, told_ms, refused_ms }
}
