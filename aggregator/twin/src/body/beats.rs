//! Heart beats: intervals that a strap sends, beats found in electrocardiograms and in light, and which of them count.
//!
//! The policy: a strap that sends RR intervals measures them at a higher rate than the ECG that it lets out, and
//! without our delay, so its intervals count while they come; then an ECG; then light ([`Means`]). A beat counts where
//! nothing better, and no other source of its own means that leads, is newer than [`SILENT`] before it: the same heart is
//! never counted twice, and two sources do not take turns. Beats that do not count are told and counted all the same. What
//! late blocks tell counts by the same rule, and only about the past.
//!
//! What light may say: a pulse rate, and an irregular pulse ([`rhythm::LIGHT_MODEL`]: low priority, twice the time, never
//! over what RR intervals said). Nothing of a pause: a pulse wave that is not seen may be a bad contact, a cuff or an early
//! beat. Nothing at all while steps are counted: a step looks like a pulse.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use vitals::{
    ContextId, Fixed, Kind, Quality, Reading, SourceId, Span, StreamId, Time, Value, Wave, Waveform,
};

use super::{Body, findings};
use crate::alert::Condition;
use crate::channel::{Origin, usable};
use crate::life::{Life, Subject};
use crate::rhythm::{self, Beat, Judgement};
use crate::signal::{Counts, Taken};
use crate::twin::Effect;
use crate::urgency::KNOWN_FIBRILLATION;
use crate::view::BeatView;
use crate::words;
use crate::{ecg, rule};

/// A source without a beat for so long leaves its place to another.
const SILENT: Span = Span::from_secs(10);
/// Beats of less quality than this are not counted for a heart rate: noise alone gives 0, a heart at 220 a minute 0.64, an
/// ECG whose bursts of muscle noise are as strong as itself 0.61.
const RATE_FROM: f64 = 0.4;
/// Sources of an ECG, and of light, that are looked at; the one that has been silent for longest makes room.
const LEADS: usize = 2;
/// Runs of beats from an ECG have numbers of their own, and so do those from light.
const ELECTRIC: u64 = 1 << 63;
const LIGHT: u64 = 1 << 62;
/// Runs of beats told apart: contexts come one after the other, backlog may lie one or two behind.
const RUNS: usize = 8;

/// How beats are seen, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Means {
    /// Intervals that a strap sends.
    Interval = 0,
    /// Found in an electrocardiogram.
    Electric = 1,
    /// Found in light through skin.
    Light = 2,
}

impl Means {
    /// How long beats must look like fibrillation.
    const fn hold(self) -> Span {
        match self {
            Self::Interval | Self::Electric => rule::RHYTHM_HOLD,
            Self::Light => rhythm::LIGHT_HOLD,
        }
    }

    /// What the rate of these beats is.
    const fn rate(self) -> Kind {
        match self {
            Self::Interval | Self::Electric => Kind::HeartRate,
            // A beat too early to make a wave is not in it.
            Self::Light => Kind::PulseRate,
        }
    }

    const fn wave(self) -> Wave {
        match self {
            Self::Interval | Self::Electric => Wave::Ecg,
            Self::Light => Wave::Photoplethysmogram,
        }
    }
}

crate::canonical_numbers! {
    Means { Interval, Electric, Light }
}

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
        // An old interval does not take over from a waveform; it tells of the past.
        let outdated = self
            .beats_of
            .is_some_and(|(_, means)| means != Means::Interval)
            && self.beats.newest().is_some_and(|newest| effective < newest);
        self.hear(Means::Interval, origin, effective);
        let tenth_ms = usable(reading).map(|fixed| fixed.0);
        let run = self.run_of((origin.0, context, origin.1));
        let beat = Beat {
            at: effective,
            tenth_ms,
            sequence: reading.sequence,
            run,
        };
        if outdated {
            self.say_rate((origin, Means::Interval), &beat, true, known, life, out);
            self.follow_late(beat, Means::Interval, known, life, out);
            return;
        }
        self.lead_by((origin, Means::Interval));
        let quality = self.rr_quality();
        self.say_rate(
            (origin, Means::Interval),
            &beat,
            !self.is_live(effective, known),
            known,
            life,
            out,
        );
        self.follow((beat, Means::Interval), true, quality, known, life, out);
    }

    /// What the beats say of the heart rate, where no source tells it: the electrocardiogram of a patch is watched like
    /// a strap, and light like an oximeter. `late`: they are not in the order of those that are about now.
    fn say_rate(
        &mut self,
        (origin, means): (Origin, Means),
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
        let kind = means.rate();
        let is_told = |told: Time| beat.at.since(told) < rule::fresh_for(kind);
        let is_pulse_told = means == Means::Light && self.pulse_told.is_some_and(is_told);
        if is_pulse_told || self.rate_told.is_some_and(is_told) {
            return;
        }
        // Whole beats, in the kind's own steps.
        let steps = 10_i64.pow(u32::from(kind.info().decimals));
        let reading = Reading {
            kind,
            value: Value::Measured(Fixed(value.0.saturating_mul(steps))),
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
        (beat, means): (Beat, Means),
        may_live: bool,
        quality: Quality,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let live = may_live && self.is_live(beat.at, known);
        self.beats_quality = quality;
        self.beats.take(beat);
        if means != Means::Light {
            self.watch.beat(&beat, quality, live, (known, life), out);
        }
        if live {
            self.judge_rhythm(true, known, life, out);
        } else {
            self.follow_late(beat, means, known, life, out);
        }
    }

    /// A beat about the past.
    fn follow_late(
        &mut self,
        beat: Beat,
        means: Means,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let light = means == Means::Light;
        let past = if light {
            &mut **self.light_past.get_or_insert_default()
        } else {
            &mut self.beats_past
        };
        if let Some(episode) = past.take(beat, means.hold(), known) {
            findings::find_fibrillation(&episode, light, known, life, out);
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
        let means = self.beats_of.map_or(Means::Interval, |(_, means)| means);
        let light = means == Means::Light;
        let holds = life.holds(Condition::AtrialFibrillation);
        let alert = life.active(Condition::AtrialFibrillation, Subject::Patient);
        // What light says is confirmed by better beats, and never takes back what they said. Of what was said in shadow
        // nobody kept by which: either ends it.
        let by_light = alert.is_some_and(|alert| alert.model == rhythm::LIGHT_MODEL);
        let may_end = by_light || !light || alert.is_none();
        match self.beats.judgement(means.hold()) {
            Judgement::Holds { onset, score } if !holds || by_light && !light => {
                let quality = self.beats_quality;
                let mut draft = words::fibrillation(onset, score, newest, quality, (false, light));
                if self.context.known_fibrillation {
                    draft.priority = draft.priority.min(KNOWN_FIBRILLATION.priority());
                }
                life.raise(Subject::Patient, draft, known, out);
            }
            Judgement::Clear if holds && may_resolve && may_end => {
                life.resolve(Condition::AtrialFibrillation, Subject::Patient, known, out);
            }
            Judgement::Holds { .. } | Judgement::Clear | Judgement::Undecided => {}
        }
    }

    /// Takes a block: of an ECG and of light its beats, of an accelerometer whether somebody fell.
    pub(crate) fn wave(
        &mut self,
        origin: Origin,
        block: &Waveform,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        match block.wave {
            Wave::Acceleration => {
                self.watch.acceleration(origin, block, (known, life), out);
            }
            Wave::Ecg => {
                let of = self
                    .leads
                    .iter()
                    .map(|(origin, lead)| (*origin, lead.fed()));
                if let Some(silent) = makes_room(origin, of) {
                    self.quiet((silent, Means::Electric), known, life, out);
                    self.leads.remove(&silent);
                }
                let lead = Arc::make_mut(self.leads.entry(origin).or_default());
                let taken = lead.take(block, known);
                self.found((origin, Means::Electric), taken, known, life, out);
            }
            Wave::Photoplethysmogram => {
                let of = self
                    .lights
                    .iter()
                    .map(|(origin, lead)| (*origin, lead.fed()));
                if let Some(silent) = makes_room(origin, of) {
                    self.quiet((silent, Means::Light), known, life, out);
                    self.lights.remove(&silent);
                }
                let lead = Arc::make_mut(self.lights.entry(origin).or_default());
                let taken = lead.take(block, known);
                self.found((origin, Means::Light), taken, known, life, out);
            }
        }
    }

    /// Nothing came for a while: says the last beats.
    pub(super) fn quiet(
        &mut self,
        (origin, means): (Origin, Means),
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let taken = match means {
            Means::Interval => None,
            Means::Electric => self
                .leads
                .get_mut(&origin)
                .map(|lead| Arc::make_mut(lead).finish()),
            Means::Light => self
                .lights
                .get_mut(&origin)
                .map(|lead| Arc::make_mut(lead).finish()),
        };
        if let Some(taken) = taken {
            self.found((origin, means), taken, known, life, out);
        }
    }

    /// Beats of a waveform.
    fn found(
        &mut self,
        (origin, means): (Origin, Means),
        taken: Taken,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let run = if means == Means::Light {
            LIGHT
        } else {
            ELECTRIC
        };
        let live = taken.live.into_iter().map(|beat| (beat, false));
        let late = taken.late.into_iter().map(|beat| (beat, true));
        for (beat, late) in live.chain(late) {
            let counts = self.counts(means, origin, beat.at);
            if counts {
                let tells_rate = self.tells_rate(origin, means);
                // Noise in which beats are seen takes no worse source's place.
                if tells_rate {
                    self.hear(means, origin, beat.at);
                }
                self.lead_by((origin, means));
                let tenth_ms = beat.tenth_ms;
                let counted = Beat {
                    at: beat.at.min(known),
                    tenth_ms,
                    sequence: beat.number,
                    run: run | beat.run,
                };
                let quality = self.doubt(origin, means);
                if tells_rate {
                    let late = late || !self.is_live(counted.at, known);
                    self.say_rate((origin, means), &counted, late, known, life, out);
                }
                self.follow((counted, means), !late, quality, known, life, out);
            }
            // Of the beats in their own time, however late they became known.
            let rhythm = (counts && !late).then(|| self.rhythm_of_beats());
            out.push(Effect::Beat(Box::new(BeatView {
                stream: origin.0,
                source: origin.1,
                wave: means.wave(),
                beat,
                counts,
                rhythm,
            })));
        }
    }

    /// A beat that was seen so is about to count.
    pub(super) fn hear(&mut self, means: Means, origin: Origin, at: Time) {
        let (of, newest) = self.heard.entry(means).or_insert((origin, at));
        (*of, *newest) = (origin, at.max(*newest));
    }

    /// Whether a beat that was seen so counts: see the module.
    fn counts(&self, means: Means, origin: Origin, at: Time) -> bool {
        let steps = means == Means::Light && self.motion.explains(at);
        let silent = |(other, (of, newest)): (&Means, &(Origin, Time))| {
            let better = *other < means || *other == means && *of != origin;
            !better || *newest + SILENT <= at
        };
        !steps && self.heard.iter().all(silent)
    }

    /// Beats of another source, or found in another way, are not neighbours of those before.
    pub(super) fn lead_by(&mut self, of: (Origin, Means)) {
        if self.beats_of != Some(of) {
            self.beats.clear();
            self.beats_of = Some(of);
        }
    }

    /// What an alert on these beats says about them.
    fn doubt(&self, origin: Origin, means: Means) -> Quality {
        let doubtful = self
            .beats_of_quality(origin, means)
            .is_some_and(|quality| quality < ecg::DOUBTFUL);
        if doubtful || means == Means::Light {
            Quality::QUESTIONABLE
        } else {
            Quality::GOOD
        }
    }

    /// True if so much of what this source gives are beats that their number says something.
    fn tells_rate(&self, origin: Origin, means: Means) -> bool {
        let quality = self.beats_of_quality(origin, means);
        quality.is_none_or(|quality| quality >= RATE_FROM)
    }

    fn beats_of_quality(&self, origin: Origin, means: Means) -> Option<f64> {
        match means {
            Means::Interval => None,
            Means::Electric => self.leads.get(&origin)?.quality(),
            Means::Light => self.lights.get(&origin)?.quality(),
        }
    }

    /// When the last beats of each waveform are said if nothing more comes.
    pub(crate) fn waits(&self) -> impl Iterator<Item = (Time, (Origin, Means))> {
        let electric = self
            .leads
            .iter()
            .map(|(of, lead)| (of, lead.deadline(), Means::Electric));
        let light = self
            .lights
            .iter()
            .map(|(of, lead)| (of, lead.deadline(), Means::Light));
        electric
            .chain(light)
            .filter_map(|(of, due, means)| Some((due?, (*of, means))))
    }

    /// When all of them are said.
    pub(crate) fn beats_deadline(&self) -> Option<Time> {
        self.waits().map(|(due, _)| due).max()
    }

    /// What became of the blocks of each source's ECG.
    pub(crate) fn ecg_counts(&self) -> impl Iterator<Item = (Origin, Counts)> {
        let leads = self.leads.iter();
        leads.map(|(origin, lead)| (*origin, lead.counts()))
    }

    /// ... and of each source's light.
    pub(crate) fn ppg_counts(&self) -> impl Iterator<Item = (Origin, Counts)> {
        let lights = self.lights.iter();
        lights.map(|(origin, lead)| (*origin, lead.counts()))
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

/// The source that makes room for a new one, if there is none: the one that has been silent for longest.
fn makes_room(of: Origin, known: impl Iterator<Item = (Origin, Time)> + Clone) -> Option<Origin> {
    let full = known.clone().count() >= LEADS && known.clone().all(|(other, _)| other != of);
    let silent = known.min_by_key(|(_, fed)| *fed);
    silent.filter(|_| full).map(|(origin, _)| origin)
}
