//! What people know about a patient that no sensor of ours measures: conditions, medications, laboratory results, genomic
//! and imaging-derived facts, what the patient reports, and what is prescribed.
//!
//! A fact has a writer's id, holds from a time until a time, and is replaced by the next one of the same id. What the
//! facts of the moment change in rules and models is worked out here, in one place (`Facts::context`), and each such
//! influence is told (`Facts::influences`): nothing is bent unseen. Facts that change nothing are kept and shown.
//! Which of them bear upon alerts beside what is measured, and how old a result may be, is in [`clinical`].
//!
//! Promises: at most [`MOST`] facts a patient, what is beyond is counted; the same facts give the same context whatever
//! order they came in. Must not know: who may write, FHIR, vital signs.

pub mod clinical;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Span, Time};

use crate::event::Context;
use crate::rule::Limits;
use crate::rules::switch::{Cohort, Sex};

/// Facts kept of a patient, those that are over included.
pub const MOST: usize = 256;
/// What somebody said about consciousness holds for this long: NEWS2 asks for a look every twelve hours at least (RCP 2017,
/// chart 4).
pub const CONSCIOUS_FOR: Span = Span::from_mins(12 * 60);
/// NEWS2 is for people of this age and older (RCP 2017). Of the birth only the year is kept, so a year is added: a person
/// whose year says sixteen may be fifteen.
pub const ADULT_YEARS: i64 = 17;

/// What sort of fact. The numbers are those of `proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum FactKind {
    /// A diagnosis or problem.
    Condition = 1,
    /// A medicine that is taken.
    Medication = 2,
    /// A laboratory result.
    Laboratory = 3,
    /// A genomic fact, such as a phenotype of CYP2D6.
    Genomic = 4,
    /// A measure taken from an image, such as an ejection fraction.
    Imaging = 5,
    /// What the patient reports: a symptom, a score.
    Reported = 6,
    /// Year of birth, in `value`.
    BirthYear = 7,
    /// `text`: female, male, other.
    Sex = 8,
    /// Holds while the patient is pregnant.
    Pregnancy = 9,
    /// A prescribed target of oxygen saturation; `text`: `88-92` or `94-98`.
    OxygenTarget = 10,
    /// Supplemental oxygen, litres a minute in `value`; 0: room air.
    OxygenSupply = 11,
    /// `text`: one letter of ACVPU.
    Consciousness = 12,
    /// `text`: a name of the IANA time zone database. For screens; nothing here reads it.
    TimeZone = 13,
    /// A limit of this patient's own, in `value`; `text`: `heart_rate_low`, `heart_rate_high` or `oxygen_saturation_low`.
    Limit = 14,
    /// Tone of the skin by the Monk scale, 1 (lightest) to 10, in `value`. No rule or model reads it: it is there so that
    /// somebody sees whom a rule or a sensor (oximeters above all) serves worse.
    SkinTone = 15,
    /// What somebody wrote at a moment of the trends (without an end) or a stretch of them; `value`: the kind of data that it is
    /// about, by its number in the contract. No rule or model reads it.
    Note = 16,
}

impl FactKind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Condition,
        Self::Medication,
        Self::Laboratory,
        Self::Genomic,
        Self::Imaging,
        Self::Reported,
        Self::BirthYear,
        Self::Sex,
        Self::Pregnancy,
        Self::OxygenTarget,
        Self::OxygenSupply,
        Self::Consciousness,
        Self::TimeZone,
        Self::Limit,
        Self::SkinTone,
        Self::Note,
    ];

    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Medication => "medication",
            Self::Laboratory => "laboratory",
            Self::Genomic => "genomic",
            Self::Imaging => "imaging",
            Self::Reported => "reported",
            Self::BirthYear => "birth_year",
            Self::Sex => "sex",
            Self::Pregnancy => "pregnancy",
            Self::OxygenTarget => "oxygen_target",
            Self::OxygenSupply => "oxygen_supply",
            Self::Consciousness => "consciousness",
            Self::TimeZone => "time_zone",
            Self::Limit => "limit",
            Self::SkinTone => "skin_tone",
            Self::Note => "note",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A fact, as somebody wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The writer's; one of a patient's facts has it.
    pub id: String,
    /// What sort.
    pub kind: FactKind,
    /// `system|code` as in a FHIR search, such as `http://hl7.org/fhir/sid/icd-10|I48.0`; empty if it has none.
    pub code: String,
    /// For people.
    pub label: String,
    /// A number, where it has one ...
    pub value: Option<f64>,
    /// ... in this unit (UCUM).
    pub unit: String,
    /// A text, where it has one.
    pub text: String,
    /// Holds from then on.
    pub from: Time,
    /// Until then; `None`: until somebody says otherwise.
    pub to: Option<Time>,
}

/// Why a fact cannot be taken. The text names the field and says what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Which field.
    pub field: &'static str,
    /// What it must be.
    pub remedy: &'static str,
}

/// By its form: whether there is such a zone is known where a clock is shown.
fn may_be_a_zone(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+-/".contains(&b);
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 64
        && name.bytes().all(fits)
}

/// As the contract numbers kinds of data.
fn is_a_kind(number: f64) -> bool {
    Kind::ALL
        .into_iter()
        .any(|kind| f64::from(kind.wire()) == number)
}

impl Fact {
    /// Checks what its kind asks of it.
    ///
    /// # Errors
    /// [`Unfit`], the first that was found.
    pub fn check(&self) -> Result<(), Unfit> {
        let unfit = |field, remedy| Err(Unfit { field, remedy });
        if self.id.is_empty() {
            return unfit("id", "must not be empty");
        }
        if self.value.is_some_and(|value| !value.is_finite()) {
            return unfit("value", "must be a number");
        }
        if self.to.is_some_and(|to| to <= self.from) {
            return unfit("to", "must be after `from`");
        }
        let text = self.text.as_str();
        match self.kind {
            FactKind::Condition | FactKind::Medication | FactKind::Genomic
                if self.code.is_empty() && self.label.is_empty() =>
            {
                unfit("code", "must say what it is, or `label` must")
            }
            FactKind::Laboratory | FactKind::Imaging
                if self.value.is_none() && self.text.is_empty() =>
            {
                unfit("value", "must be there, or `text`")
            }
            FactKind::BirthYear if !self.value.is_some_and(|y| (1880.0..2200.0).contains(&y)) => {
                unfit("value", "must be the year of birth, such as 1947")
            }
            FactKind::Sex if !matches!(text, "female" | "male" | "other") => {
                unfit("text", "must be female, male or other")
            }
            FactKind::OxygenTarget if !matches!(text, "88-92" | "94-98") => {
                unfit("text", "must be 88-92 or 94-98")
            }
            FactKind::OxygenSupply
                if !self.value.is_some_and(|flow| (0.0..=80.0).contains(&flow)) =>
            {
                unfit("value", "must be litres a minute, 0 for room air")
            }
            FactKind::Consciousness if !matches!(text, "A" | "C" | "V" | "P" | "U") => {
                unfit("text", "must be A, C, V, P or U (ACVPU)")
            }
            FactKind::TimeZone if !may_be_a_zone(text) => {
                unfit("text", "must be a time zone, such as Europe/Berlin")
            }
            FactKind::Limit => self.limit().map(|_| ()),
            FactKind::SkinTone if !self.value.is_some_and(|tone| (1.0..=10.0).contains(&tone)) => {
                unfit("value", "must be 1 to 10 of the Monk scale")
            }
            FactKind::Note if text.trim().is_empty() => unfit("text", "must say something"),
            FactKind::Note if !self.value.is_none_or(is_a_kind) => unfit(
                "value",
                "must be the number of a kind of data in the contract, or not be there",
            ),
            FactKind::Condition
            | FactKind::Medication
            | FactKind::Laboratory
            | FactKind::Genomic
            | FactKind::Imaging
            | FactKind::Reported
            | FactKind::BirthYear
            | FactKind::Sex
            | FactKind::Pregnancy
            | FactKind::OxygenTarget
            | FactKind::OxygenSupply
            | FactKind::Consciousness
            | FactKind::TimeZone
            | FactKind::SkinTone
            | FactKind::Note => Ok(()),
        }
    }

    /// The number of a limit.
    fn limit(&self) -> Result<u16, Unfit> {
        let unfit = |field, remedy| Err(Unfit { field, remedy });
        let Some(range) = Limits::range(&self.text) else {
            return unfit(
                "text",
                "must be heart_rate_low, heart_rate_high or oxygen_saturation_low",
            );
        };
        let value = self.value.unwrap_or_default();
        let whole = range.into_iter().find(|whole| f64::from(*whole) == value);
        whole.map_or_else(
            || {
                unfit(
                    "value",
                    "must be a whole number: 31 to 60 for heart_rate_low, 100 to 149 for heart_rate_high, 89 to 95 for oxygen_saturation_low",
                )
            },
            Ok,
        )
    }

    /// Until when it says something about now.
    fn until(&self) -> Option<Time> {
        let stale = (self.kind == FactKind::Consciousness).then(|| self.from + CONSCIOUS_FOR);
        stale.into_iter().chain(self.to).min()
    }

    fn holds(&self, at: Time) -> bool {
        self.from <= at && self.until().is_none_or(|until| at < until)
    }

    /// True if its code is one of a system whose name ends so, and begins so. Dots do not count.
    fn is_coded(&self, system: &str, begins: &str) -> bool {
        self.code.rsplit_once('|').is_some_and(|(of, code)| {
            let plain = || code.chars().filter(|c| *c != '.');
            let same = plain().zip(begins.chars()).all(|(a, b)| a == b);
            of.ends_with(system) && same && plain().count() >= begins.len()
        })
    }
}

/// A fact, with who wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// What.
    pub fact: Fact,
    /// Who.
    pub by: String,
    /// Known time.
    pub at: Time,
}

/// Mean Gregorian years: a day's error at New Year is nothing beside the year that is added.
const YEAR_US: i64 = 31_556_952_000_000;

/// When everybody is a year older.
const fn next_year(after: Time) -> i64 {
    let year = after.as_micros().div_euclid(YEAR_US).saturating_add(1);
    year.saturating_mul(YEAR_US)
}

/// What a fact changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Influence {
    /// The fact's id.
    pub fact: String,
    /// What follows from it, for people.
    pub effect: &'static str,
}

const NOT_FOR_CHILDREN: &str =
    "NEWS2 and MEWS are not for people under 16: they are not shown and raise nothing";
const NOT_IN_PREGNANCY: &str =
    "NEWS2 and MEWS do not hold in pregnancy: they are not shown and raise nothing";

const OWN_LIMIT: &str = "the patient's own limit takes the place of the first limit for everybody; what is most urgent for everybody stays. A gateway that hears nothing from the centre does not know it";

/// A patient's facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    facts: BTreeMap<String, Recorded>,
    /// Those that were not taken: beyond [`MOST`], or unfit.
    pub(crate) refused: u64,
    /// When something of it changes after what was told last. Worked out there: known time alone would not do, because something
    /// else may be due at the very moment at which a fact begins; and each step asks for it.
    next: Option<Time>,
}

impl Facts {
    pub(crate) fn record(&mut self, fact: &Fact, by: &str, now: Time) {
        let room = self.facts.len() < MOST || self.facts.contains_key(&fact.id);
        if !room || fact.check().is_err() {
            self.refused += 1;
            return;
        }
        let recorded = Recorded {
            fact: fact.clone(),
            by: by.into(),
            at: now,
        };
        self.facts.insert(fact.id.clone(), recorded);
    }

    pub(crate) fn retract(&mut self, id: &str) {
        self.facts.remove(id);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Recorded> {
        self.facts.values()
    }

    /// When the next one begins or ends, or begins or ceases to bear upon something.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.next
    }

    fn next_change(&self, after: Time) -> Option<Time> {
        let changes = |one: &Recorded| {
            let born = one.fact.kind == FactKind::BirthYear;
            let older = born.then(|| Time::from_micros(next_year(after)));
            let ends = [Some(one.fact.from), one.fact.until(), older];
            ends.into_iter().flatten().chain(one.fact.turns())
        };
        let times = self.facts.values().flat_map(changes);
        times.filter(|at| *at > after).min()
    }

    fn holding(&self, kind: FactKind, at: Time) -> impl Iterator<Item = &Fact> {
        let facts = self.facts.values().map(|one| &one.fact);
        facts.filter(move |fact| fact.kind == kind && fact.holds(at))
    }

    /// The one of a kind that counts: what began last; of several, by id, so that the order of writing says nothing.
    fn newest(&self, kind: FactKind, at: Time) -> Option<&Fact> {
        self.holding(kind, at)
            .max_by_key(|fact| (fact.from, &fact.id))
    }

    fn coded(&self, kind: FactKind, codes: &[(&str, &str)], at: Time) -> Option<&Fact> {
        let is = |fact: &&Fact| codes.iter().any(|(of, code)| fact.is_coded(of, code));
        self.holding(kind, at).find(is)
    }

    /// Atrial fibrillation or flutter that is known.
    fn fibrillation(&self, at: Time) -> Option<&Fact> {
        let codes = [("icd-10", "I48"), ("icd-10-cm", "I48"), ("sct", "49436004")];
        self.coded(FactKind::Condition, &codes, at)
    }

    /// Heart failure that is known.
    fn heart_failure(&self, at: Time) -> Option<&Fact> {
        let codes = [("icd-10", "I50"), ("icd-10-cm", "I50"), ("sct", "84114007")];
        self.coded(FactKind::Condition, &codes, at)
    }

    /// The fact, and the years that they are or will be in this year.
    fn age(&self, at: Time) -> Option<(&Fact, i64)> {
        let born = self.newest(FactKind::BirthYear, at)?;
        let year = 1970 + at.as_micros().div_euclid(YEAR_US);
        #[expect(clippy::cast_possible_truncation, reason = "checked: 1880 to 2200")]
        let age = year - born.value.map_or(year, |value| value as i64);
        Some((born, age))
    }

    fn child(&self, at: Time) -> Option<&Fact> {
        let (born, age) = self.age(at)?;
        (age < ADULT_YEARS).then_some(born)
    }

    /// True for somebody of whom all is known that the cohort asks for.
    pub(crate) fn is_in(&self, cohort: &Cohort, at: Time) -> bool {
        // Of an age that is this or one less.
        let age = self.age(at).map(|(_, age)| age);
        let old = |from: u8| age.is_some_and(|age| age > i64::from(from));
        let young = |below: u8| age.is_some_and(|age| age < i64::from(below));
        let sex = |sex: Sex| {
            let said = self.newest(FactKind::Sex, at);
            said.is_some_and(|fact| fact.text == sex.name())
        };
        let has = |code: &String| {
            let (of, begins) = code.rsplit_once('|').unwrap_or(("", ""));
            let plain: String = begins.chars().filter(|c| *c != '.').collect();
            let of = [(of, plain.as_str())];
            self.coded(FactKind::Condition, &of, at).is_some()
        };
        cohort.age_from.is_none_or(old)
            && cohort.age_below.is_none_or(young)
            && cohort.sex.is_none_or(sex)
            && cohort.condition.as_ref().is_none_or(has)
            && (!cohort.pregnant || self.newest(FactKind::Pregnancy, at).is_some())
    }

    /// What rules and models are told from now on.
    pub(crate) fn heed(&mut self, now: Time) -> Context {
        self.next = self.next_change(now);
        self.context(now)
    }

    /// What rules and models are told.
    pub(crate) fn context(&self, at: Time) -> Context {
        let target = self.newest(FactKind::OxygenTarget, at);
        let supply = self.newest(FactKind::OxygenSupply, at);
        let conscious = self.newest(FactKind::Consciousness, at);
        let pregnant = self.newest(FactKind::Pregnancy, at).is_some();
        Context {
            oxygen_target_88_92: target.is_some_and(|fact| fact.text == "88-92"),
            on_oxygen: supply.and_then(|fact| fact.value).map(|flow| flow > 0.0),
            alert_and_oriented: conscious.map(|fact| fact.text == "A"),
            early_warning_unfit: pregnant || self.child(at).is_some(),
            known_fibrillation: self.fibrillation(at).is_some(),
            known_heart_failure: self.heart_failure(at).is_some(),
            bearings: self.bearings(at),
            limits: Limits {
                heart_rate_low: self.limit("heart_rate_low", at),
                heart_rate_high: self.limit("heart_rate_high", at),
                oxygen_low: self.limit("oxygen_saturation_low", at),
            },
        }
    }

    fn own(&self, name: &str, at: Time) -> Option<&Fact> {
        let of = self.holding(FactKind::Limit, at);
        of.filter(|fact| fact.text == name)
            .max_by_key(|fact| (fact.from, &fact.id))
    }

    fn limit(&self, name: &str, at: Time) -> Option<u16> {
        self.own(name, at)?.limit().ok()
    }

    /// What each fact of the moment changes, or should make people careful about.
    pub(crate) fn influences(&self, at: Time) -> Vec<Influence> {
        let mut told = Vec::new();
        let mut tell = |fact: Option<&Fact>, effect| {
            told.extend(fact.map(|fact| Influence {
                fact: fact.id.clone(),
                effect,
            }));
        };
        let target = self.newest(FactKind::OxygenTarget, at);
        let scale_2 = target.filter(|fact| fact.text == "88-92");
        tell(
            scale_2,
            "oxygen saturation is judged for a target of 88-92 %: NEWS2 scale 2, and the limits of that target",
        );
        let lungs = [("icd-10", "J44"), ("icd-10-cm", "J44"), ("sct", "13645005")];
        let copd = self.coded(FactKind::Condition, &lungs, at);
        tell(
            copd.filter(|_| target.is_none()),
            "COPD without a prescribed oxygen target: judged by the rules for everybody (NEWS2 scale 1)",
        );
        let supply = self.newest(FactKind::OxygenSupply, at);
        let flows = supply.filter(|fact| fact.value.is_some_and(|flow| flow > 0.0));
        tell(flows, "supplemental oxygen: 2 points of NEWS2");
        let conscious = self.newest(FactKind::Consciousness, at);
        let not_alert = conscious.filter(|fact| fact.text != "A");
        tell(not_alert, "not alert: 3 points of NEWS2");
        tell(self.child(at), NOT_FOR_CHILDREN);
        let pregnancy = self.newest(FactKind::Pregnancy, at);
        tell(pregnancy, NOT_IN_PREGNANCY);
        tell(
            self.fibrillation(at),
            "atrial fibrillation is known: an episode is told with low priority",
        );
        tell(
            self.heart_failure(at),
            "heart failure is known: signs that drift together over days are told",
        );
        for name in ["heart_rate_low", "heart_rate_high"] {
            tell(self.own(name, at), OWN_LIMIT);
        }
        let oxygen = self.own("oxygen_saturation_low", at);
        tell(oxygen.filter(|_| scale_2.is_none()), OWN_LIMIT);
        tell(
            oxygen.filter(|_| scale_2.is_some()),
            "not used: with a target of 88-92 % oxygen saturation has the limits of that target",
        );
        told.extend(self.bearing_influences(at));
        told
    }
}

crate::canonical_fields! {
    Fact { id, kind, code, label, value, unit, text, from, to }
    Recorded { fact, by, at }
    Facts { facts, refused, next }
}

crate::canonical_numbers! {
    FactKind { Condition, Medication, Laboratory, Genomic, Imaging, Reported, BirthYear, Sex, Pregnancy, OxygenTarget, OxygenSupply, Consciousness, TimeZone, Limit, SkinTone, Note }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Time {
        Time::from_micros(1_795_219_200_000_000) + Span::from_mins(minutes)
    }

    fn fact(id: &str, kind: FactKind) -> Fact {
        Fact {
            id: id.into(),
            kind,
            code: String::new(),
            label: String::new(),
            value: None,
            unit: String::new(),
            text: String::new(),
            from: at(0),
            to: None,
        }
    }

    fn text(id: &str, kind: FactKind, text: &str) -> Fact {
        Fact {
            text: text.into(),
            ..fact(id, kind)
        }
    }

    fn number(id: &str, kind: FactKind, value: f64) -> Fact {
        Fact {
            value: Some(value),
            ..fact(id, kind)
        }
    }

    fn coded(id: &str, kind: FactKind, code: &str) -> Fact {
        Fact {
            code: code.into(),
            ..fact(id, kind)
        }
    }

    fn facts(all: &[Fact]) -> Facts {
        let mut facts = Facts::default();
        for fact in all {
            facts.record(fact, "anna", at(0));
        }
        assert_eq!(facts.refused, 0);
        facts
    }

    #[test]
    fn what_holds_now_is_what_began_last() {
        use FactKind::{Consciousness, OxygenSupply, OxygenTarget};
        let later = Fact {
            from: at(60),
            ..number("o2-b", OxygenSupply, 0.0)
        };
        let ends = Fact {
            to: Some(at(120)),
            ..text("target", OxygenTarget, "88-92")
        };
        let said = text("acvpu", Consciousness, "A");
        let all = [later, number("o2-a", OxygenSupply, 2.0), ends, said];
        let kept = facts(&all);
        let mut turned = all;
        turned.reverse();
        assert_eq!(kept, facts(&turned), "whatever order they came in");
        let seen = |minutes| {
            let context = kept.context(at(minutes));
            (
                context.oxygen_target_88_92,
                context.on_oxygen,
                context.alert_and_oriented,
            )
        };
        assert_eq!(seen(-1), (false, None, None), "nothing holds yet");
        assert_eq!(seen(0), (true, Some(true), Some(true)));
        assert_eq!(seen(60), (true, Some(false), Some(true)));
        assert_eq!(seen(120), (false, Some(false), Some(true)));
        assert_eq!(
            seen(12 * 60),
            (false, Some(false), None),
            "said too long ago"
        );
        let due = |minutes| {
            let mut kept = kept.clone();
            kept.heed(at(minutes));
            kept.deadline()
        };
        assert_eq!(due(0), Some(at(60)));
        assert_eq!(due(60), Some(at(120)));
        assert_eq!(due(120), Some(at(12 * 60)));
        assert_eq!(due(12 * 60), None);
    }

    #[test]
    fn a_limit_is_named_whole_and_within_bounds() {
        let limit = |name: &str, value| Fact {
            text: name.into(),
            ..number("l", FactKind::Limit, value)
        };
        for (name, value, field) in [
            ("heart_rate_low", 35.0, None),
            ("heart_rate_low", 30.0, Some("value")),
            ("heart_rate_low", 61.0, Some("value")),
            ("heart_rate_low", 40.5, Some("value")),
            ("heart_rate_high", 149.0, None),
            ("heart_rate_high", 150.0, Some("value")),
            ("oxygen_saturation_low", 89.0, None),
            ("oxygen_saturation_low", 88.0, Some("value")),
            ("temperature", 38.0, Some("text")),
        ] {
            let said = limit(name, value).check().err().map(|unfit| unfit.field);
            assert_eq!(said, field, "{name} {value}");
        }
        let target = text("t", FactKind::OxygenTarget, "88-92");
        let told = facts(&[limit("oxygen_saturation_low", 90.0), target]).influences(at(0));
        assert!(told.iter().any(|one| one.effect.starts_with("not used")));
    }

    #[test]
    fn children_and_pregnancy_are_not_for_news2() {
        use FactKind::{BirthYear, Pregnancy};
        // It is November 2026.
        let unfit = |all: &[Fact]| facts(all).context(at(0)).early_warning_unfit;
        assert!(!unfit(&[]));
        assert!(!unfit(&[number("y", BirthYear, 2009.0)]));
        assert!(unfit(&[number("y", BirthYear, 2010.0)]), "may be fifteen");
        assert!(unfit(&[fact("p", Pregnancy)]));
        let over = Fact {
            from: at(-100),
            to: Some(at(0)),
            ..fact("p", Pregnancy)
        };
        assert!(!unfit(&[over]));
    }

    #[test]
    fn codes_are_read_by_system_and_hierarchy() {
        use FactKind::Condition;
        let known = |code: &str| {
            let kept = facts(&[coded("c", Condition, code)]);
            kept.context(at(0)).known_fibrillation
        };
        assert!(known("http://hl7.org/fhir/sid/icd-10|I48.0"));
        assert!(known("http://hl7.org/fhir/sid/icd-10-cm|I48.21"));
        assert!(known("http://snomed.info/sct|49436004"));
        assert!(!known("http://hl7.org/fhir/sid/icd-10|I4"), "shorter");
        assert!(!known("http://hl7.org/fhir/sid/icd-10|I49.3"));
        assert!(!known("http://example.org/own|I48.0"));
        assert!(!known("I48.0"), "of no system");
    }

    #[test]
    fn every_influence_is_told_with_its_fact() {
        use FactKind::{Condition, Consciousness, Medication, OxygenSupply, OxygenTarget};
        let ids = |all: &[Fact]| {
            let told = facts(all).influences(at(0)).into_iter();
            told.map(|one| one.fact).collect::<Vec<_>>()
        };
        let copd = coded("copd", Condition, "http://hl7.org/fhir/sid/icd-10|J44.9");
        assert_eq!(
            ids(std::slice::from_ref(&copd)),
            ["copd"],
            "no target is prescribed"
        );
        let all = [
            copd,
            text("target", OxygenTarget, "88-92"),
            number("o2", OxygenSupply, 2.0),
            text("acvpu", Consciousness, "V"),
            coded("af", Condition, "http://snomed.info/sct|49436004"),
            coded("beta", Medication, "http://www.whocc.no/atc|C07AB02"),
            coded("other", Medication, "http://www.whocc.no/atc|A10BA02"),
        ];
        let told = ["target", "o2", "acvpu", "af", "other", "beta", "beta"];
        assert_eq!(ids(&all), told, "no other medicine brings about a low");
    }

    #[test]
    fn unfit_facts_say_what_is_wrong_and_are_not_taken() {
        use FactKind::{
            BirthYear, Condition, Consciousness, Imaging, Note, OxygenSupply, OxygenTarget, Sex,
            SkinTone, TimeZone,
        };
        let ends = Fact {
            to: Some(at(0)),
            ..fact("p", FactKind::Pregnancy)
        };
        let noted = |kind| Fact {
            text: "walked upstairs".into(),
            ..number("n", Note, kind)
        };
        assert_eq!(noted(1.0).check(), Ok(()), "control");
        let unfit = [
            (fact("", FactKind::Pregnancy), "id"),
            (number("v", Imaging, f64::NAN), "value"),
            (ends, "to"),
            (fact("c", Condition), "code"),
            (fact("i", Imaging), "value"),
            (number("y", BirthYear, 1.0), "value"),
            (text("s", Sex, "F"), "text"),
            (text("t", OxygenTarget, "90"), "text"),
            (number("o", OxygenSupply, -1.0), "value"),
            (text("a", Consciousness, "alert"), "text"),
            (text("z", TimeZone, "half past nine"), "text"),
            (text("z", TimeZone, ""), "text"),
            (number("m", SkinTone, 11.0), "value"),
            (text("n", Note, " "), "text"),
            (noted(0.0), "value"),
            (noted(1.5), "value"),
        ];
        for (fact, field) in unfit {
            assert_eq!(fact.check().map_err(|unfit| unfit.field), Err(field));
            let mut kept = Facts::default();
            kept.record(&fact, "anna", at(0));
            assert_eq!((kept.facts.len(), kept.refused), (0, 1));
        }
        let zone = text("z", FactKind::TimeZone, "America/Argentina/Buenos_Aires");
        assert_eq!(zone.check(), Ok(()), "control");
        let mut kept = Facts::default();
        for number in 0..=MOST {
            let id = std::format!("{number}");
            kept.record(&fact(&id, FactKind::Reported), "anna", at(0));
        }
        assert_eq!((kept.facts.len(), kept.refused), (MOST, 1));
        kept.record(&text("7", FactKind::Reported, "worse"), "ben", at(1));
        assert_eq!(kept.refused, 1, "one that is there is replaced");
        kept.retract("7");
        assert_eq!(kept.facts.len(), MOST - 1);
    }
}
