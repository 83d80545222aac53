//! All blocks of one source's electrocardiogram: what comes in time order, and what came late.
//!
//! Live data go before a backlog, so there are two detectors: one at the newest end, and one for what lies before it.
//! Each needs its blocks in time order; a block that lies before the end of both begins a run of its own.

use vitals::{Span, Time, Waveform};

use super::{Detector, Place, RATES, Said};

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
    }
}

/// What a block gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Beats of the newest run.
    pub live: Said,
    /// Beats of late blocks.
    pub late: Said,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lead {
    now: Detector,
    past: Detector,
    /// Known time of the last block.
    fed: Time,
    counts: Counts,
    /// Mean quality of the last ten beats or so.
    quality: Option<f64>,
}

impl Lead {
    /// Takes a block, known at `known`.
    pub fn take(&mut self, block: &Waveform, known: Time) -> Taken {
        let mut taken = Taken::default();
        if !RATES.contains(&block.rate_millihertz) || block.samples() == 0 {
            self.counts.refused += 1;
            return taken;
        }
        self.fed = known;
        self.counts.blocks += 1;
        let mut place = self.now.place(block);
        let (detector, said) = if place == Place::Before {
            self.counts.late += 1;
            place = match self.past.place(block) {
                Place::Before => Place::Begins,
                place @ (Place::Begins | Place::GoesOn { .. }) => place,
            };
            (&mut self.past, &mut taken.late)
        } else {
            (&mut self.now, &mut taken.live)
        };
        if place == Place::Begins {
            self.counts.runs += 1;
        }
        let run = self.counts.runs;
        detector.take(block, place, run, &mut self.counts, said);
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
        let mut taken = Taken::default();
        self.now.finish(&mut taken.live);
        self.past.finish(&mut taken.late);
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

crate::canonical_fields! {
    Counts { blocks, late, runs, refused, overlapped, bridged, stuck, impossible, beats }
    Lead { now, past, fed, counts, quality }
}
