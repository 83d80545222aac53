//! Which models speak of whom: each is live, in shadow (it is scored and raises nothing) or off (nothing is said of it), for
//! everybody or for a cohort. Lines are read in order, and the last one that fits a person counts; none: as its card has it.
//!
//! Promises: threshold rules, NEWS2, a low and a high of glucose that are there, and everything technical cannot be switched; a
//! person is of a cohort only where facts say so: what nobody knows of them makes them of none. Must not know: alerts, facts'
//! codes, documents.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::Time;

use super::{Fault, Unfit};
use crate::alert::Condition;
use crate::facts::Facts;
use crate::{forecast, glucose, news2, rhythm, watch};

pub use crate::watch::Standing;

/// What the part is called in documents and errors.
pub const MODEL: &str = "model";
/// Lines of one set of rules.
pub const MOST: usize = 32;
/// Characters of a cohort's code.
const CODE: usize = 128;

/// Sex, as facts have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Sex {
    /// `female`.
    Female = 1,
    /// `male`.
    Male = 2,
    /// `other`.
    Other = 3,
}

impl Sex {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Female, Self::Male, Self::Other];

    /// As a fact's text says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
            Self::Other => "other",
        }
    }
}

/// Whom a line is about: everything that is given must be known of them; nothing given: everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// Of this age or older ...
    pub age_from: Option<u8>,
    /// ... and younger than that. Of a birth the year alone is known: whoever may be either is of neither.
    pub age_below: Option<u8>,
    /// Of this sex.
    pub sex: Option<Sex>,
    /// With a condition whose code begins so, `system|code`; dots do not count.
    pub condition: Option<String>,
    /// Pregnant.
    pub pregnant: bool,
}

impl Cohort {
    fn is_everybody(&self) -> bool {
        *self == Self::default()
    }

    /// For people.
    #[must_use]
    pub fn says(&self) -> String {
        if self.is_everybody() {
            return "everybody".to_owned();
        }
        let mut said = Vec::new();
        said.extend(self.pregnant.then(|| "pregnant".to_owned()));
        said.extend(self.sex.map(|sex| sex.name().to_owned()));
        said.extend(self.age_from.map(|age| format!("{age} years or more")));
        said.extend(self.age_below.map(|age| format!("below {age} years")));
        said.extend(self.condition.as_ref().map(|code| format!("with {code}")));
        format!("people who are {}", said.join(", "))
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The model, by what it raises.
    pub condition: Condition,
    /// Whether it speaks ...
    pub standing: Standing,
    /// ... of them.
    pub of: Cohort,
}

/// Models that can be switched: what each raises, and its name. Never one of a threshold, of NEWS2, or of equipment.
pub const SWITCHED: [(Condition, &str); 12] = [
    (Condition::AtrialFibrillation, rhythm::MODEL),
    (Condition::OxygenSaturationFalling, forecast::MODEL),
    (Condition::GlucoseFalling, glucose::MODEL),
    (Condition::GlucoseRising, glucose::MODEL),
    (Condition::HeartPause, watch::MODELS[0].name),
    (Condition::ShockIndexHigh, watch::MODELS[1].name),
    (Condition::Fever, watch::MODELS[2].name),
    (Condition::RestingHeartRateRaised, watch::MODELS[3].name),
    (Condition::HeartFailureDrift, watch::MODELS[4].name),
    (Condition::BreathingDrift, watch::MODELS[5].name),
    (Condition::BloodPressureLow, watch::MODELS[6].name),
    (Condition::Fall, watch::MODELS[7].name),
];

/// True for a model that can be switched, by what it raises.
#[must_use]
pub fn can_be_switched(condition: Condition) -> bool {
    SWITCHED.iter().any(|(of, _)| *of == condition)
}

/// All that is wrong with lines.
pub(super) fn check(switches: &[Switch], unfit: &mut Vec<Unfit>) {
    let mut wrong = |field: String, fault| unfit.push(Unfit { field, fault });
    if switches.len() > MOST {
        wrong(MODEL.to_owned(), Fault::TooMany { most: MOST });
    }
    for (place, switch) in switches.iter().enumerate() {
        let field = |of: &str| format!("{MODEL}[{place}].{of}");
        if !can_be_switched(switch.condition) {
            wrong(field("raises"), Fault::NotSwitched);
        }
        let of = &switch.of;
        if let (Some(from), Some(below)) = (of.age_from, of.age_below)
            && from >= below
        {
            wrong(field("age_below"), Fault::NobodyFits);
        }
        let coded = |code: &String| {
            let split = code.rsplit_once('|');
            code.len() <= CODE && split.is_some_and(|(of, code)| !of.is_empty() && !code.is_empty())
        };
        if !of.condition.as_ref().is_none_or(coded) {
            wrong(field("condition"), Fault::Code);
        }
        // A card's shadow means that it does not beat a trivial rule.
        if switch.standing == Standing::Live && watch::is_shadow(switch.condition) {
            wrong(field("standing"), Fault::ShadowByCard);
        }
    }
}

/// Lines that put a model in shadow or off for some people while it speaks of others: their places. Lines of one model are judged
/// together, from the last one on that is about everybody, because nothing before that counts for anybody.
#[must_use]
pub fn uneven(switches: &[Switch]) -> Vec<usize> {
    let mut uneven = Vec::new();
    for (condition, _) in SWITCHED {
        // By its card it speaks of nobody, so nobody is worse off than others.
        if watch::is_shadow(condition) {
            continue;
        }
        let all = switches.iter().enumerate();
        let of: Vec<(usize, &Switch)> = all.filter(|(_, of)| of.condition == condition).collect();
        let from = of.iter().rposition(|(_, line)| line.of.is_everybody());
        let counting = &of[from.unwrap_or(0)..];
        let is_live = |(_, line): &(usize, &Switch)| line.standing == Standing::Live;
        // Without a line for everybody it is live by its card.
        if from.is_none() || counting.iter().any(is_live) {
            let quiet = counting.iter().filter(|line| !is_live(line));
            uneven.extend(quiet.map(|(place, _)| *place));
        }
    }
    uneven.sort_unstable();
    uneven
}

/// Whom the line at `place` is about, for people: with those whom later lines of the same model have otherwise. Of a place that
/// there is not: nobody.
#[must_use]
pub fn whom(switches: &[Switch], place: usize) -> String {
    let Some((line, later)) = switches.get(place..).and_then(<[Switch]>::split_first) else {
        return "nobody".to_owned();
    };
    let others = later
        .iter()
        .filter(|of| of.condition == line.condition && of.standing != line.standing)
        .map(|of| of.of.says());
    let others: Vec<String> = others.collect();
    if others.is_empty() {
        return line.of.says();
    }
    format!("{}, but not {}", line.of.says(), others.join(", nor "))
}

/// How the models stand for one person: only those that are not live by the rules, each with its line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standings(Vec<(Condition, (Standing, u8))>);

impl Standings {
    pub(crate) fn of(switches: &[Switch], facts: &Facts, at: Time) -> Self {
        let line = |condition: Condition| {
            let lines = switches.iter().enumerate().rev();
            let mut of = lines.filter(|(_, line)| line.condition == condition);
            let (place, line) = of.find(|(_, line)| facts.is_in(&line.of, at))?;
            let place = u8::try_from(place).unwrap_or(u8::MAX);
            let quiet = line.standing != Standing::Live;
            quiet.then_some((condition, (line.standing, place)))
        };
        Self(
            SWITCHED
                .into_iter()
                .filter_map(|(of, _)| line(of))
                .collect(),
        )
    }

    /// Whether it speaks, and the line that says so.
    pub(crate) fn get(&self, condition: Condition) -> (Standing, Option<usize>) {
        let of = self.0.iter().find(|(of, _)| *of == condition);
        of.map_or((Standing::Live, None), |(_, (standing, line))| {
            (*standing, Some(usize::from(*line)))
        })
    }

    pub(crate) fn is_live(&self, condition: Condition) -> bool {
        self.get(condition).0 == Standing::Live
    }
}

/// How a model stands for a person, for readers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelStanding {
    /// What it raises.
    pub condition: Condition,
    /// Its name and version.
    pub model: &'static str,
    /// Whether it speaks.
    pub standing: Standing,
    /// Why not; empty: it does.
    pub why: String,
    /// In shadow by the rules: how often it would have been told.
    pub unsaid: u32,
}

/// Why a model does not speak where no rule has it so.
pub(crate) const HEART_NOT_KNOWN: &str =
    "only where heart failure is known, or an ejection fraction or NT-proBNP speaks for it";
pub(crate) const NOT_BY_CARD: &str = "its card does not show that it beats a trivial rule";
pub(crate) const NOT_FOR_TARGET: &str = "with an oxygen target of 88-92 % nothing is foreseen";
pub(crate) const NOT_FOR_THEM: &str = "not for people under 16 and not in pregnancy";

/// In the place of what a model says that is off.
pub(crate) const OFF: &str = "switched off by the rules in force";

/// By a line of the rules.
pub(crate) fn because(line: Option<&Switch>) -> String {
    let whom = line.map_or_else(String::new, |line| format!(" for {}", line.of.says()));
    format!("the rules in force have it so{whom}")
}

/// News2 is no model that can be switched, and stands beside them.
pub(crate) const SCORE: (Condition, &str) = (Condition::EarlyWarningScore, news2::MODEL);

/// What ended an alert: for people.
pub(crate) fn ended(standing: Standing, line: Option<&Switch>) -> String {
    let how = match standing {
        Standing::Live => "live",
        Standing::Shadow => "in shadow",
        Standing::Off => "off",
    };
    format!(
        "Ended, because this model is {how} now, and not because what it told of is over: {}.",
        because(line)
    )
}

/// Whose word it is.
pub(crate) const BY: &str = "rules";

crate::canonical_fields! {
    Cohort { age_from, age_below, sex, condition, pregnant }
    Switch { condition, standing, of }
    Standings { 0 }
}

crate::canonical_numbers! {
    Sex { Female, Male, Other }
}
