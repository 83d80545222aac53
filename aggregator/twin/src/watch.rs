//! Models that watch for one thing each: `pause` of the heart, `shock` index, `fever`, `illness` by the resting heart
//! rate, `heart_failure` that decompensates, `breathing` that gets worse, `pressure` that is low, a `fall`, and whether the `wearer` is this person. Each is a pure machine that takes what concerns it and says what to do; this
//! file lets those speak that are live, and keeps count of what the others would have said.
//!
//! A model is live where its card in MODELS.md shows that it beats its trivial baseline; else it is in shadow: it scores and
//! is shown, and raises nothing. No model here silences another.
//! Must not know: channels, which sensor measured (but that each accelerometer is its own).

mod breathing;
mod days;
mod drift;
mod fall;
mod fever;
mod heart_failure;
mod illness;
mod pause;
mod pressure;
mod shock;
mod usual;
mod wearer;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Span, Time, Waveform};

use crate::alert::{Condition, Evidence, Priority};
use crate::channel::Origin;
use crate::event::Context;
use crate::life::{Draft, Life, Say};
use crate::resting::Resting;
use crate::rhythm::Beat;
use crate::rule::fingerprint;
use crate::twin::Effect;
use crate::view::ModelView;
use breathing::Breathing;
use days::Days;
use fall::Accelerometer;
use fever::Fever;
use heart_failure::HeartFailure;
use illness::Illness;
use pause::Pause;
pub(crate) use pressure::Cuff;
use pressure::Pressure;
use shock::Shock;
use wearer::Wearer;

/// Whether a model speaks. The numbers are those of `proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Standing {
    /// It raises alerts.
    Live = 1,
    /// It is scored and shown, and raises nothing.
    Shadow = 2,
    /// Nothing is said of it.
    Off = 3,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Live, Self::Shadow, Self::Off];

    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }
}

/// True for a model whose card does not have it live.
pub(crate) fn is_shadow(condition: Condition) -> bool {
    let mut models = MODELS.iter().filter(|model| model.condition == condition);
    models.any(|model| model.standing != Standing::Live)
}

/// A model: what it is called, what it raises, whether it does.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Name and version.
    pub name: &'static str,
    /// What it raises.
    pub condition: Condition,
    /// Whether it does.
    pub standing: Standing,
    /// Its constants, for the hash that its alerts carry.
    pub definition: fn() -> String,
}

impl Model {
    /// Whether it speaks of this person: heart failure only where it is known or a result speaks for it, in all others it is in
    /// shadow.
    fn speaks(&self, heart_may_fail: bool) -> bool {
        self.standing == Standing::Live
            && (self.condition != heart_failure::MODEL.condition || heart_may_fail)
    }
}

/// All of them.
pub const MODELS: [Model; 9] = [
    pause::MODEL,
    shock::MODEL,
    fever::MODEL,
    illness::MODEL,
    heart_failure::MODEL,
    breathing::MODEL,
    pressure::MODEL,
    fall::MODEL,
    wearer::MODEL,
];

/// Accelerometers that are followed at once; of more, the one that was silent longest is forgotten.
const ACCELEROMETERS: usize = 4;
/// A block that is over for longer is no news: what it shows is a finding.
const ABOUT_NOW: Span = Span::from_mins(2);

/// An input: kind, label, value, limit, and its weight among all of an alert's.
type Part = (Option<Kind>, String, f64, Option<f64>, f64);

/// What an alert of a model says: one figure and the limit that it is beyond, and what else was looked at.
struct Shown {
    model: Model,
    priority: Priority,
    onset: Time,
    at: Time,
    summary: String,
    plain: &'static str,
    parts: Vec<Part>,
    /// With these values of the first parts, each by itself, it would not have been told.
    avoided: [Option<f64>; 2],
    quality: Quality,
}

impl Shown {
    fn draft(self) -> Draft {
        let sum: f64 = self.parts.iter().map(|part| part.4).sum();
        let share = |part: f64| if sum > 0.0 { part / sum } else { 1.0 };
        let avoided = self.avoided.into_iter().chain(core::iter::repeat(None));
        let evidence = self.parts.into_iter().zip(avoided).map(
            |((kind, label, value, limit, part), avoided_at)| Evidence {
                avoided_at,
                kind,
                label,
                value: Some(value),
                limit,
                effective: self.at,
                quality: self.quality,
                contribution: share(part),
                known: false,
            },
        );
        Draft {
            condition: self.model.condition,
            priority: self.priority,
            onset: self.onset,
            summary: self.summary,
            plain_summary: self.plain.into(),
            evidence: evidence.collect(),
            model: self.model.name,
            model_hash: fingerprint(&(self.model.definition)()),
            expected: None,
            probability: None,
            subject: String::new(),
            told_locally: None,
        }
    }
}

/// How a model's figure stands.
struct Stand {
    figure: Result<f64, &'static str>,
    cut: f64,
}

/// What a model in shadow would have told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Unsaid {
    pub(crate) holds: bool,
    pub(crate) times: u32,
}

/// The models of one person.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Watch {
    pause: Pause,
    shock: Shock,
    fever: Fever,
    illness: Illness,
    days: Days,
    heart_failure: HeartFailure,
    breathing: Breathing,
    pressure: Pressure,
    falls: BTreeMap<Origin, Accelerometer>,
    wearer: Wearer,
    shadows: BTreeMap<Condition, Unsaid>,
}

impl Watch {
    /// A beat, in its time.
    pub(crate) fn beat(
        &mut self,
        beat: &Beat,
        quality: Quality,
        live: bool,
        (now, life): (Time, &mut Life),
        out: &mut Vec<Effect>,
    ) {
        if let Some(said) = self.pause.take(beat, quality, live) {
            self.say(said, false, (now, life), out);
        }
    }

    /// A measurement of a cuff, with the pulse of that moment, at rest.
    pub(crate) fn pressure(
        &mut self,
        (at, cuff): (Time, &Cuff),
        pulse: Option<f64>,
        context: &Context,
        (now, life): (Time, &mut Life),
        out: &mut Vec<Effect>,
    ) {
        let shock = cuff
            .systolic
            .and_then(|systolic| self.shock.take(at, systolic, pulse, context.blockade()));
        for said in shock.into_iter().chain(self.pressure.take(at, cuff)) {
            self.say(said, false, (now, life), out);
        }
    }

    /// Respiration, saturation or pulse of somebody at rest.
    pub(crate) fn breath(
        &mut self,
        kind: Kind,
        at: Time,
        value: f64,
        (now, life): (Time, &mut Life),
        out: &mut Vec<Effect>,
    ) {
        if let Some(said) = self.breathing.take(kind, at, value) {
            self.say(said, false, (now, life), out);
        }
    }

    /// A figure that is each person's own, of somebody at rest.
    pub(crate) fn worn(
        &mut self,
        kind: Kind,
        at: Time,
        value: f64,
        (now, life): (Time, &mut Life),
        out: &mut Vec<Effect>,
    ) {
        if let Some(said) = self.wearer.take(kind, at, value) {
            self.say(said, false, (now, life), out);
        }
    }

    /// Nothing is to be learned of this person: somebody else may wear the sensors.
    pub(crate) const fn is_another(&self) -> bool {
        self.wearer.is_doubted()
    }

    /// A block of an accelerometer.
    pub(crate) fn acceleration(
        &mut self,
        origin: Origin,
        block: &Waveform,
        (now, life): (Time, &mut Life),
        out: &mut Vec<Effect>,
    ) {
        if self.falls.len() >= ACCELEROMETERS && !self.falls.contains_key(&origin) {
            let silent = self.falls.iter().min_by_key(|(_, of)| of.fed);
            if let Some(silent) = silent.map(|(origin, _)| *origin) {
                self.falls.remove(&silent);
            }
        }
        let live = now.since(block.time_of(block.samples())) < ABOUT_NOW;
        let accelerometer = self.falls.entry(origin).or_default();
        for said in accelerometer.take(block, live, now) {
            self.say(said, false, (now, life), out);
        }
    }

    /// A temperature that is about now.
    pub(crate) fn temperature(
        &mut self,
        at: Time,
        celsius: f64,
        quality: Quality,
        (now, life): (Time, &mut Life),
        out: &mut Vec<Effect>,
    ) {
        if let Some(said) = self.fever.take(at, celsius, quality) {
            self.say(said, false, (now, life), out);
        }
    }

    /// A usable value of what is followed day by day.
    pub(crate) fn daily(&mut self, kind: Kind, at: Time, value: f64) {
        self.days.take(kind, at, value);
    }

    /// A day of the heart is over.
    pub(crate) fn day_over(
        &mut self,
        resting: &Resting,
        context: &Context,
        (now, life): (Time, &mut Life),
        out: &mut Vec<Effect>,
    ) {
        let Some(night) = resting.nights().back() else {
            return;
        };
        let said = self.illness.take(resting.nights(), context.blockade());
        let day = self.days.close(night);
        let failing = self.heart_failure.take(&day);
        for said in said.into_iter().chain(failing) {
            self.say(said, context.heart_may_fail(), (now, life), out);
        }
    }

    fn say(
        &mut self,
        said: Say,
        heart_may_fail: bool,
        (now, life): (Time, &mut Life),
        out: &mut Vec<Effect>,
    ) {
        let condition = said.condition();
        let speaks = MODELS
            .iter()
            .any(|model| model.condition == condition && model.speaks(heart_may_fail));
        if !speaks && !matches!(said, Say::Find(..)) {
            self.keep(condition, matches!(said, Say::Raise(_)));
        }
        // What was raised while it spoke ends all the same.
        if speaks || matches!(said, Say::Resolve(_)) {
            said.to(life, now, out);
        }
    }

    fn keep(&mut self, condition: Condition, holds: bool) {
        let unsaid = self.shadows.entry(condition).or_default();
        unsaid.times = unsaid
            .times
            .saturating_add(u32::from(holds && !unsaid.holds));
        unsaid.holds = holds;
    }

    /// Of the accelerometer that was heard last.
    fn fall_stand(&self) -> Stand {
        let newest = self.falls.values().max_by_key(|of| of.fed);
        newest.map_or_else(|| Accelerometer::default().stand(), Accelerometer::stand)
    }

    pub(crate) fn unsaid(&self, condition: Condition) -> u32 {
        self.shadows
            .get(&condition)
            .map_or(0, |unsaid| unsaid.times)
    }

    pub(crate) fn view(&self, context: &Context) -> Vec<ModelView> {
        let stands = [
            self.pause.stand(),
            self.shock.stand(),
            self.fever.stand(),
            self.illness.stand(),
            self.heart_failure.stand(),
            self.breathing.stand(),
            self.pressure.stand(),
            self.fall_stand(),
            self.wearer.stand(),
        ];
        let view = |(model, stand): (Model, Stand)| {
            let unsaid = self.shadows.get(&model.condition);
            ModelView {
                model: model.name,
                condition: model.condition,
                live: model.speaks(context.heart_may_fail()),
                figure: stand.figure.ok(),
                cut: stand.cut,
                abstained: stand.figure.err().unwrap_or(""),
                unsaid: unsaid.map_or(0, |unsaid| unsaid.times),
            }
        };
        MODELS.into_iter().zip(stands).map(view).collect()
    }
}

/// One figure and its limit, where nothing else was looked at.
fn one(kind: Option<Kind>, label: &str, value: f64, limit: f64) -> Vec<Part> {
    vec![(kind, label.into(), value, Some(limit), 1.0)]
}

crate::canonical_numbers! {
    Standing { Live, Shadow, Off }
}

crate::canonical_fields! {
    Unsaid { holds, times }
    Watch { pause, shock, fever, illness, days, heart_failure, breathing, pressure, falls, wearer, shadows }
}
