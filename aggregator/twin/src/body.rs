//! What is known about the body: channels, models, and the rules that raise physiological alerts.
//!
//! Live rules look at newest, fresh data only; everything else (late, or past its freshness limit) goes to
//! the followers of the past, which report findings and can neither raise nor withdraw a live alert. Late
//! data still complete windows and beats, so they count towards durations and slopes of what is live.

mod beats;
mod findings;
mod judge;
mod kinds;
mod rate;
mod shown;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use vitals::{ContextId, Kind, Quality, Reading, SourceId, StreamId, Time, Value};

use crate::alert::Condition;
use crate::bearing::Bearing;
use crate::board::Board;
use crate::channel::{Channel, Origin, Role, usable};
use crate::event::Context;
use crate::fusion::{Tallied, Tally};
use crate::glucose::Glucose;
use crate::life::{Life, Subject};
use crate::motion::{MOVING, Motion};
use crate::news2::{Inputs, Parameter, Score};
use crate::past::Past;
use crate::resting::Resting;
use crate::rhythm::{self, Beats};
use crate::rule;
use crate::rules::{self, Rules};
use crate::twin::{Effect, PULSE};
use crate::warning::{self, Warning};
use crate::watch::{Cuff, Watch};
use crate::window::{Placed, Window};
use crate::{ecg, ppg};
use beats::Means;
use rate::Rate;

/// What time alone can bring about. The order breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BodyDue {
    Stale(Kind),
    Spot(Kind),
    /// A reading beyond a cut or of a slow sensor, and nothing after it.
    Unjudged(Kind),
    Past,
    RhythmPast,
    LightPast,
    Waveform(Origin, Means),
    GlucosePast,
    Warning,
}

/// What is known about the body.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Body {
    context: Context,
    /// What the centre decided in place of what is built in.
    rules: Option<Arc<Rules>>,
    // Boxed: a node of the map has room for eleven.
    channels: BTreeMap<Kind, Box<Channel>>,
    tallies: BTreeMap<Tallied, Tally>,
    motion: Motion,
    resting: Resting,
    /// The lower limit of the heart rate that their nights taught.
    night_limit: Option<u16>,
    glucose: Option<Box<Glucose>>,
    /// The monitor that it is of.
    glucose_of: Option<Origin>,
    beats: Beats,
    beats_past: rhythm::Past,
    beats_quality: Quality,
    /// Of beats found in light, once some came late.
    light_past: Option<Box<rhythm::Past>>,
    /// The source of the beats, and how they are seen; the runs known, newest last.
    beats_of: Option<(Origin, Means)>,
    runs: VecDeque<((StreamId, ContextId, SourceId), u64)>,
    last_run: u64,
    /// What beats say of the heart rate, and when a source last told it, or a pulse rate, itself.
    rate: Rate,
    late_rate: Rate,
    rate_told: Option<Time>,
    pulse_told: Option<Time>,
    past: Past,
    /// Electrocardiograms, and light.
    leads: BTreeMap<Origin, Arc<ecg::Lead>>,
    lights: BTreeMap<Origin, Arc<ppg::Lead>>,
    /// The newest beat that was seen in each way, and its source.
    heard: BTreeMap<Means, (Origin, Time)>,
    warning: Warning,
    /// Kinds whose window late data changed since it was looked at.
    late: Vec<Kind>,
    score_due: bool,
    watch: Watch,
    board: Board,
    /// Measurements of a cuff that came, about now, by their moment; empty between steps.
    cuffs: BTreeMap<Time, Cuff>,
}

impl Body {
    pub(crate) const fn context(&self) -> Context {
        self.context
    }

    /// From now on these rules judge what comes; what is built in is the same as nothing decided.
    pub(crate) fn set_rules(&mut self, rules: &Arc<Rules>) {
        self.rules = (**rules != Rules::BUILT_IN).then(|| Arc::clone(rules));
    }

    pub(crate) fn rules_in_force(&self) -> &Rules {
        self.rules.as_deref().unwrap_or(&rules::BUILT_IN)
    }

    /// The same, with the limit that this person's nights taught where none is prescribed: what threshold rules go by.
    fn judged(&self) -> Context {
        let mut context = self.context;
        let learned = self.learned_limit();
        let limit = &mut context.limits.heart_rate_low;
        *limit = limit.or(learned);
        context
    }

    /// The learned limit, where it counts: never stricter than for everybody.
    pub(crate) fn learned_limit(&self) -> Option<u16> {
        let prescribed = self.context.limits.heart_rate_low;
        let everybody = rule::first_cut(&self.rules_in_force().heart_rate_low);
        // Nights under a beta blocker that is new are slow for it, and that is to be told.
        let new = self.context.bearings.get(Bearing::BetaBlockerNew).is_some();
        let own = self.night_limit.filter(|_| prescribed.is_none() && !new);
        own.filter(|own| f64::from(*own) < everybody)
    }

    pub(crate) fn set_context(
        &mut self,
        context: Context,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        life.heed(&context.bearings, known, out);
        if self.context != context {
            self.context = context;
            self.judge_score(known, life, out);
        }
    }

    /// Takes a reading that was applied.
    #[expect(clippy::too_many_arguments, reason = "what a reading comes with")]
    pub(crate) fn take(
        &mut self,
        origin: Origin,
        context: ContextId,
        reading: &Reading,
        effective: Time,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let rates = [
            (Kind::HeartRate, &mut self.rate_told),
            (Kind::PulseRate, &mut self.pulse_told),
        ];
        let told = rates.into_iter().find(|(kind, _)| *kind == reading.kind);
        if let (Some((_, told)), Some(_)) = (told, usable(reading)) {
            *told = Some(told.map_or(effective, |told| told.max(effective)));
        }
        self.place(origin, context, reading, effective, known, life, out);
    }

    /// Puts a reading where it belongs.
    #[expect(clippy::too_many_arguments, reason = "what a reading comes with")]
    fn place(
        &mut self,
        origin: Origin,
        context: ContextId,
        reading: &Reading,
        effective: Time,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let kind = reading.kind;
        self.tally(origin, reading, effective);
        if reading.quality.has(Quality::MOVED) {
            self.take_moved(origin, reading, effective, known, life, out);
            return;
        }
        let walks = (!self.watch.is_another()).then(|| self.motion.explains(effective));
        let channel = self
            .channels
            .entry(kind)
            .or_insert_with(|| Box::new(Channel::new(kind)));
        let role = channel.take(origin, reading, effective, known, walks);
        if let Some((origin, window)) = channel.left.take() {
            self.leave((kind, origin), &window, i64::MAX);
        }
        if role == Role::Aside {
            self.follow_aside(origin, reading, effective, known, life, out);
            return;
        }
        if kind == Kind::InterstitialGlucose || kind == Kind::BloodGlucose {
            self.sweet(origin, reading, role, effective, known, life, out);
            return;
        }
        if reading.quality.has(Quality::RELEASED) {
            // Its time was worked out afterwards: whatever it says, it tells of the past alone.
            if let Value::Measured(fixed) = reading.value
                && !reading.quality.has(Quality::IMPLAUSIBLE)
            {
                self.follow_past((kind, origin), effective, fixed, false, known, life, out);
            }
            return;
        }
        self.watch_scalar(reading, role, effective, known, life, out);
        self.score_due |= warning::concerns(kind);
        if kind == Kind::RrInterval {
            self.beat(origin, context, reading, effective, known, life, out);
        } else if self.window(kind).is_some() {
            self.track(origin, reading, role, effective, known, life, out);
        }
    }

    /// After a batch: what late data completed, and the score.
    pub(crate) fn settle(&mut self, known: Time, life: &mut Life, out: &mut Vec<Effect>) {
        for kind in core::mem::take(&mut self.late) {
            let last = self
                .window(kind)
                .and_then(Window::newest)
                .map(|newest| newest - 1);
            if let Some(last) = last.filter(|_| self.is_fresh(kind, known)) {
                self.judge_thresholds(kind, last, false, known, life, out);
            }
        }
        if let Some(glucose) = &mut self.glucose {
            let said = glucose.settle();
            said.into_iter().for_each(|said| said.to(life, known, out));
        }
        if self.past.is_fed() {
            self.look_back(known, false, life, out);
        }
        if self.beats.settle() {
            self.judge_rhythm(false, known, life, out);
        }
        if core::mem::take(&mut self.score_due) {
            self.judge_score(known, life, out);
        }
        for (at, cuff) in core::mem::take(&mut self.cuffs) {
            let rests = !self.motion.explains(known);
            let pulse = self.pulse(known).ok().map(|(pulse, _)| pulse);
            let pulse = pulse.filter(|_| rests);
            let context = &self.context;
            self.watch
                .pressure((at, &cuff), pulse, context, (known, life), out);
            self.board.cuff(at, &cuff);
        }
    }

    pub(crate) fn deadline(&self) -> Option<(Time, BodyDue)> {
        let channels = self.channels.iter().flat_map(|(kind, channel)| {
            let stale = channel.deadline().map(|at| (at, BodyDue::Stale(*kind)));
            let spot = channel
                .lone
                .map(|at| (at + rule::SPOT_AFTER, BodyDue::Spot(*kind)));
            let unjudged = channel
                .unjudged
                .map(|at| (at + rule::SPOT_AFTER, BodyDue::Unjudged(*kind)));
            stale.into_iter().chain(spot).chain(unjudged)
        });
        let past = self.past.deadline().map(|at| (at, BodyDue::Past));
        let rhythm = self
            .beats_past
            .deadline()
            .map(|at| (at, BodyDue::RhythmPast));
        let light = self.light_past.as_ref().and_then(|past| past.deadline());
        let light = light.map(|at| (at, BodyDue::LightPast));
        let waits = self.waits();
        let leads = waits.map(|(at, (origin, means))| (at, BodyDue::Waveform(origin, means)));
        let glucose = self.glucose.as_ref().and_then(|glucose| glucose.deadline());
        let glucose = glucose.map(|at| (at, BodyDue::GlucosePast));
        let warning = self.warning.deadline(&self.rules_in_force().early_warning);
        let warning = warning.map(|at| (at, BodyDue::Warning));
        let models = rhythm
            .into_iter()
            .chain(light)
            .chain(glucose)
            .chain(warning);
        channels.chain(past).chain(leads).chain(models).min()
    }

    pub(crate) fn fire(&mut self, due: BodyDue, now: Time, life: &mut Life, out: &mut Vec<Effect>) {
        match due {
            BodyDue::Stale(kind) => {
                if let Some(channel) = self.channels.get_mut(&kind) {
                    channel.notice(now);
                }
                self.judge_score(now, life, out);
            }
            BodyDue::Spot(kind) => self.judge_spot(kind, now, life, out),
            BodyDue::Unjudged(kind) => self.judge_last(kind, now, life, out),
            BodyDue::Past => self.look_back(now, true, life, out),
            BodyDue::RhythmPast => {
                if let Some(episode) = self.beats_past.flush() {
                    findings::find_fibrillation(&episode, false, now, life, out);
                }
            }
            BodyDue::LightPast => {
                if let Some(episode) = self.light_past.as_mut().and_then(|past| past.flush()) {
                    findings::find_fibrillation(&episode, true, now, life, out);
                }
            }
            BodyDue::Waveform(origin, means) => self.quiet((origin, means), now, life, out),
            BodyDue::GlucosePast => {
                let told = self.glucose.as_mut().and_then(|glucose| glucose.flush());
                told.into_iter().for_each(|said| said.to(life, now, out));
            }
            BodyDue::Warning => self.judge_score(now, life, out),
        }
    }

    fn window(&self, kind: Kind) -> Option<&Window> {
        self.channels.get(&kind)?.window.as_ref()
    }

    fn is_fresh(&self, kind: Kind, now: Time) -> bool {
        self.channels
            .get(&kind)
            .is_some_and(|channel| channel.is_fresh(now))
    }

    /// A reading of the leading source of a tracked kind.
    #[expect(clippy::too_many_arguments, reason = "what a reading comes with")]
    fn track(
        &mut self,
        origin: Origin,
        reading: &Reading,
        role: Role,
        effective: Time,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let kind = reading.kind;
        let Some(fixed) = usable(reading) else {
            self.no_signal((kind, origin), role, effective);
            return;
        };
        self.lead((kind, origin), effective);
        let learns = kind == Kind::HeartRate && !self.watch.is_another();
        if learns && self.resting.take(effective, fixed.0) {
            self.watch
                .day_over(&self.resting, &self.context, (known, life), out);
            self.night_limit = self
                .resting
                .usual_floor(effective)
                .and_then(rule::night_limit);
        }
        let is_beyond = self.is_beyond(kind, fixed, known);
        let Some(channel) = self.channels.get_mut(&kind) else {
            return;
        };
        let Some(window) = &mut channel.window else {
            return;
        };
        let before = window.newest();
        let placed = window.take(effective, fixed);
        let live = known.since(effective) < rule::fresh_for(kind);
        if role == Role::Newest {
            let newest = window.newest().unwrap_or(0);
            let alone = placed == Placed::Opened
                && window
                    .mean_of(
                        newest - rule::SPOT_BEFORE.as_micros() / crate::window::BUCKET.as_micros(),
                        newest - 1,
                    )
                    .is_none();
            channel.lone = (alone && live).then_some(effective);
            // What opens the next ten seconds of a slow sensor comes too late to judge these.
            let awaited = is_beyond || channel.is_slow();
            channel.unjudged = (awaited && live).then_some(effective);
        }
        match placed {
            Placed::Opened => {
                if let Some(closed) = before {
                    self.closed(kind, closed, live, known, life, out);
                }
            }
            Placed::Newest => {}
            Placed::Older => {
                if !self.late.contains(&kind) {
                    self.late.push(kind);
                }
            }
            Placed::TooOld => {}
        }
        if !live || matches!(placed, Placed::Older | Placed::TooOld) {
            let kept = placed != Placed::TooOld;
            self.follow_past((kind, origin), effective, fixed, kept, known, life, out);
        }
    }

    fn judge_score(&mut self, now: Time, life: &mut Life, out: &mut Vec<Effect>) {
        if self.context.early_warning_unfit {
            self.warning = Warning::default();
            life.resolve(Condition::EarlyWarningScore, Subject::Patient, now, out);
            return;
        }
        let inputs = self.inputs(now);
        let score = Score::of(&inputs);
        let rules = self.rules_in_force().early_warning;
        match self.warning.judge(&score, &rules, now) {
            warning::Verdict::Nothing => {}
            warning::Verdict::Raise(priority) => {
                let times = Parameter::ALL.map(|parameter| self.parameter_time(parameter, now));
                let onset = self.warning.onset().unwrap_or(now);
                life.raise(
                    Subject::Patient,
                    warning::draft((&inputs, &score), &rules, priority, &times, onset),
                    now,
                    out,
                );
            }
            warning::Verdict::Resolve => {
                life.resolve(Condition::EarlyWarningScore, Subject::Patient, now, out);
            }
        }
    }

    pub(crate) fn observation(&self, kind: Kind, now: Time) -> Result<(f64, Time), &'static str> {
        self.channels
            .get(&kind)
            .map_or(Err("not measured"), |channel| channel.observation(now))
    }

    fn pulse(&self, now: Time) -> Result<(f64, Time), &'static str> {
        let [best, second] = PULSE;
        self.observation(best, now).or_else(|first| {
            self.observation(second, now).map_err(|second| {
                if first == "not measured" {
                    second
                } else {
                    first
                }
            })
        })
    }

    fn score(&self, now: Time) -> Score {
        Score::of(&self.inputs(now))
    }

    /// What bedside scores are made of.
    fn inputs(&self, now: Time) -> Inputs {
        let value = |kind| self.observation(kind, now).map(|(value, _)| value);
        let inputs = Inputs {
            respiration: value(Kind::RespiratoryRate),
            oxygen_saturation: value(Kind::OxygenSaturation),
            on_oxygen: self.context.on_oxygen.ok_or("not known"),
            systolic: value(Kind::SystolicPressure),
            pulse: self.pulse(now).map(|(value, _)| value),
            alert: self.context.alert_and_oriented.ok_or("not known"),
            temperature: value(Kind::BodyTemperature),
            scale_2: self.context.oxygen_target_88_92,
        };
        if self.motion.explains(now) {
            inputs.walking(MOVING)
        } else {
            inputs
        }
    }

    fn parameter_time(&self, parameter: Parameter, now: Time) -> (Time, Quality) {
        let of = |kind: Kind| {
            let time = self.observation(kind, now).map_or(Time::ZERO, |(_, at)| at);
            (
                time,
                self.channels
                    .get(&kind)
                    .map_or(Quality::GOOD, |channel| channel.quality()),
            )
        };
        match parameter {
            Parameter::Respiration => of(Kind::RespiratoryRate),
            Parameter::OxygenSaturation => of(Kind::OxygenSaturation),
            Parameter::Systolic => of(Kind::SystolicPressure),
            Parameter::Pulse if self.is_fresh(Kind::HeartRate, now) => of(Kind::HeartRate),
            Parameter::Pulse => of(Kind::PulseRate),
            Parameter::Temperature => of(Kind::BodyTemperature),
            Parameter::Oxygen | Parameter::Consciousness => (Time::ZERO, Quality::GOOD),
        }
    }
}
