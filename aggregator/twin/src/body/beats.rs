//! Heart beats: intervals that a strap sends, beats found in electrocardiograms, and which of them count.
//!
//! The policy: a strap that sends RR intervals measures them at a higher rate than the ECG that it lets out, and
//! without our delay, so its intervals count while they come. A beat found in an ECG counts where no interval of any
//! source is newer than [`STRAP_SILENT`] before it: the same heart is never counted twice. Beats that do not count are
//! told and counted all the same. What late ECG blocks tell counts by the same rule, and only about the past.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use vitals::{
    ContextId, Kind, Quality, Reading, SourceId, Span, StreamId, Time, Value, Wave, Waveform,
};

use super::{Body, findings};
use crate::alert::Condition;
use crate::channel::{Origin, usable};
use crate::ecg;
use crate::life::{Life, Subject};
use crate::rhythm::{Beat, Judgement};
use crate::rule;
use crate::twin::Effect;
use crate::urgency::KNOWN_FIBRILLATION;
use crate::view::BeatView;
use crate::words;

/// A strap without an interval for so long leaves its place to an ECG.
const STRAP_SILENT: Span = Span::from_secs(10);
/// Beats of less quality than this are not counted for a heart rate: noise alone gives 0, a heart at 220 a minute 0.64, an
/// ECG whose bursts of muscle noise are as strong as itself 0.61.
const RATE_FROM: f64 = 0.4;
/// Sources of an ECG that are looked at; the one that has been silent for longest makes room.
const LEADS: usize = 2;
/// Runs of beats from an ECG have numbers of their own.
const ELECTRIC: u64 = 1 << 63;
/// Runs of beats told apart: contexts come one after the other, backlog may lie one or two behind.
const RUNS: usize = 8;

impl Body {
    /// An RR interval of the leading source.
    #[expect(clippy::too_many_arguments, reason = "what a reading comes with")]
    pub(super) fn beat(
        &mut self,
        origin: Origin,
        context: ContextId,
        reading: &Reading,
        effective: Time,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        // An old interval does not take over from an ECG; it tells of the past.
        let outdated = self.beats_of.is_some_and(|(_, electric)| electric)
            && self.beats.newest().is_some_and(|newest| effective < newest);
        self.strap(effective);
        let tenth_ms = usable(reading).map(|fixed| fixed.0);
        let run = self.run_of((origin.0, context, origin.1));
        let beat = Beat {
            at: effective,
            tenth_ms,
            sequence: reading.sequence,
            run,
        };
        if outdated {
            self.say_rate(origin, &beat, true, known, life, out);
            if let Some(episode) = self.beats_past.take(beat, known) {
                findings::find_fibrillation(&episode, known, life, out);
            }
            return;
        }
        self.lead_by((origin, false));
        let quality = self.rr_quality();
        self.say_rate(
            origin,
            &beat,
            !self.is_live(effective, known),
            known,
            life,
            out,
        );
        self.follow(beat, true, quality, known, life, out);
    }

    /// What the beats say of the heart rate, where no source tells it: the electrocardiogram of a patch is watched like
    /// a strap. `late`: they are not in the order of those that are about now.
    fn say_rate(
        &mut self,
        origin: Origin,
        beat: &Beat,
        late: bool,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let rate = if late {
            &mut self.late_rate
        } else {
            &mut self.rate
        };
        let Some(value) = rate.take(beat) else {
            return;
        };
        let is_told = |told: Time| beat.at.since(told) < rule::fresh_for(Kind::HeartRate);
        if self.rate_told.is_some_and(is_told) {
            return;
        }
        let reading = Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(value),
            source: origin.1,
            sequence: beat.sequence,
            effective: beat.at,
            received: known,
            quality: Quality::GOOD,
            device: None,
        };
        // The context tells runs of intervals apart; this is none.
        let context = ContextId([0; 16]);
        self.place(origin, context, &reading, beat.at, known, life, out);
    }

    /// A beat of the source that counts. `may_live`: it is not of the past already.
    fn follow(
        &mut self,
        beat: Beat,
        may_live: bool,
        quality: Quality,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let live = may_live && self.is_live(beat.at, known);
        self.beats_quality = quality;
        self.beats.take(beat);
        self.watch.beat(&beat, quality, live, (known, life), out);
        if live {
            self.judge_rhythm(true, known, life, out);
        } else if let Some(episode) = self.beats_past.take(beat, known) {
            findings::find_fibrillation(&episode, known, life, out);
        }
    }

    fn run_of(&mut self, key: (StreamId, ContextId, SourceId)) -> u64 {
        if let Some((_, run)) = self.runs.iter().rev().find(|(known, _)| *known == key) {
            return *run;
        }
        self.last_run += 1;
        if self.runs.len() >= RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back((key, self.last_run));
        self.last_run
    }

    pub(super) fn judge_rhythm(
        &self,
        may_resolve: bool,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let Some(newest) = self.beats.newest() else {
            return;
        };
        if known.since(newest) >= rule::fresh_for(Kind::RrInterval) {
            return;
        }
        let active = life.holds(Condition::AtrialFibrillation);
        match self.beats.judgement() {
            Judgement::Holds { onset, score } if !active => {
                let quality = self.beats_quality;
                let mut draft = words::fibrillation(onset, score, newest, quality, false);
                if self.context.known_fibrillation {
                    draft.priority = KNOWN_FIBRILLATION.priority();
                }
                life.raise(Subject::Patient, draft, known, out);
            }
            Judgement::Clear if active && may_resolve => {
                life.resolve(Condition::AtrialFibrillation, Subject::Patient, known, out);
            }
            Judgement::Holds { .. } | Judgement::Clear | Judgement::Undecided => {}
        }
    }

    /// Takes a block: of an ECG its beats, of an accelerometer whether somebody fell. Light is read by no model yet.
    pub(crate) fn wave(
        &mut self,
        origin: Origin,
        block: &Waveform,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        if block.wave == Wave::Acceleration {
            self.watch.acceleration(origin, block, (known, life), out);
        }
        if block.wave != Wave::Ecg {
            return;
        }
        if self.leads.len() >= LEADS && !self.leads.contains_key(&origin) {
            let silent = self.leads.iter().min_by_key(|(_, lead)| lead.fed());
            if let Some(silent) = silent.map(|(origin, _)| *origin) {
                self.quiet(silent, known, life, out);
                self.leads.remove(&silent);
            }
        }
        let lead = Arc::make_mut(self.leads.entry(origin).or_default());
        let taken = lead.take(block, known);
        self.electric(origin, taken, known, life, out);
    }

    /// Nothing came for a while: says the last beats.
    pub(super) fn quiet(
        &mut self,
        origin: Origin,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        if let Some(taken) = self
            .leads
            .get_mut(&origin)
            .map(|lead| Arc::make_mut(lead).finish())
        {
            self.electric(origin, taken, known, life, out);
        }
    }

    fn electric(
        &mut self,
        origin: Origin,
        taken: ecg::Taken,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let live = taken.live.into_iter().map(|beat| (beat, false));
        let late = taken.late.into_iter().map(|beat| (beat, true));
        for (beat, late) in live.chain(late) {
            let counts = self
                .strap
                .is_none_or(|newest| newest + STRAP_SILENT <= beat.at);
            if counts {
                self.lead_by((origin, true));
                let tenth_ms = beat.tenth_ms;
                let counted = Beat {
                    at: beat.at.min(known),
                    tenth_ms,
                    sequence: beat.number,
                    run: ELECTRIC | beat.run,
                };
                let quality = self.doubt(origin);
                if self.tells_rate(origin) {
                    let late = late || !self.is_live(counted.at, known);
                    self.say_rate(origin, &counted, late, known, life, out);
                }
                self.follow(counted, !late, quality, known, life, out);
            }
            // Of the beats in their own time, however late they became known.
            let rhythm = (counts && !late).then(|| self.rhythm_of_beats());
            out.push(Effect::Beat(Box::new(BeatView {
                stream: origin.0,
                source: origin.1,
                beat,
                counts,
                rhythm,
            })));
        }
    }

    /// An interval of a strap is about to count.
    pub(super) fn strap(&mut self, effective: Time) {
        self.strap = Some(self.strap.map_or(effective, |newest| newest.max(effective)));
    }

    /// Beats of another source, or found in another way, are not neighbours of those before.
    pub(super) fn lead_by(&mut self, of: (Origin, bool)) {
        if self.beats_of != Some(of) {
            self.beats.clear();
            self.beats_of = Some(of);
        }
    }

    /// What an alert on beats of this ECG says about them.
    fn doubt(&self, origin: Origin) -> Quality {
        let doubtful = self.leads.get(&origin).is_some_and(|lead| {
            lead.quality()
                .is_some_and(|quality| quality < ecg::DOUBTFUL)
        });
        if doubtful {
            Quality::QUESTIONABLE
        } else {
            Quality::GOOD
        }
    }

    /// True if so much of what this ECG gives are beats that their number says something.
    fn tells_rate(&self, origin: Origin) -> bool {
        let quality = self.leads.get(&origin).and_then(|lead| lead.quality());
        quality.is_none_or(|quality| quality >= RATE_FROM)
    }

    /// When the last beats of an ECG are said if nothing more comes.
    pub(crate) fn ecg_deadline(&self) -> Option<Time> {
        self.leads.values().filter_map(|lead| lead.deadline()).max()
    }

    /// What became of the blocks of each source's ECG.
    pub(crate) fn ecg_counts(&self) -> impl Iterator<Item = (Origin, ecg::Counts)> {
        let leads = self.leads.iter();
        leads.map(|(origin, lead)| (*origin, lead.counts()))
    }

    /// Quality of an RR channel as its readings say it.
    pub(super) fn rr_quality(&self) -> Quality {
        self.channels
            .get(&Kind::RrInterval)
            .map_or(Quality::GOOD, |channel| channel.quality())
    }

    /// True if a beat of then counts as about now.
    pub(super) fn is_live(&self, at: Time, known: Time) -> bool {
        let newest = self.beats.newest().is_none_or(|newest| at >= newest);
        newest && known.since(at) < rule::fresh_for(Kind::RrInterval)
    }
}
