//! Which facts bear upon alerts ([`crate::bearing`]): their codes, the units in which they are understood, from which figure on
//! they count, and how old a result may be. The newest one that can be read counts, whatever order they were written in.
//!
//! Systems: ATC for medicines, LOINC for results and measures of images, LOINC or HGNC for genes, SNOMED CT for symptoms. A
//! result in another unit, or of a size that no body has, is kept and shown, does not count, and says so.
//!
//! Must not know: alerts, what follows from a fact.

use vitals::{Span, Time};

use super::{Fact, FactKind, Facts, Influence};
use crate::bearing::{Bearing, Bearings, Given};

/// A code: how its system's name ends, and how the code begins.
type Code = (&'static str, &'static str);

const ANTICOAGULANTS: [Code; 5] = [
    ("atc", "B01AA"),
    ("atc", "B01AB"),
    ("atc", "B01AE"),
    ("atc", "B01AF"),
    // Fondaparinux.
    ("atc", "B01AX05"),
];
const VITAMIN_K_ANTAGONISTS: [Code; 1] = [("atc", "B01AA")];
/// Insulins, sulfonylureas (alone and in combinations) and glinides.
const LOWERS_GLUCOSE: [Code; 8] = [
    ("atc", "A10A"),
    ("atc", "A10BB"),
    ("atc", "A10BD02"),
    ("atc", "A10BD04"),
    ("atc", "A10BD06"),
    ("atc", "A10BD14"),
    ("atc", "A10BX02"),
    ("atc", "A10BX03"),
];
const BETA_BLOCKERS: [Code; 2] = [("atc", "C07"), ("sct", "33252009")];
/// Alone and in combinations.
const METOPROLOL: [Code; 6] = [
    ("atc", "C07AB02"),
    ("atc", "C07BB02"),
    ("atc", "C07CB02"),
    ("atc", "C07FB02"),
    ("atc", "C07FX03"),
    ("atc", "C07FX05"),
];
const ANTICANCER: [Code; 1] = [("atc", "L01")];

const CHEST_PAIN: [Code; 1] = [("sct", "29857009")];
const FAINTED: [Code; 1] = [("sct", "271594007")];
const BREATHLESS: [Code; 1] = [("sct", "267036007")];
const DIZZY: [Code; 1] = [("sct", "404640003")];

/// Metabolic activity by LOINC, or the gene by HGNC.
const CYP2C9: [Code; 2] = [("loinc.org", "79716-7"), ("geneId", "HGNC:2623")];
const CYP2D6: [Code; 2] = [("loinc.org", "79715-9"), ("geneId", "HGNC:2625")];
const VKORC1: [Code; 1] = [("geneId", "HGNC:23663")];
/// As texts say it, without spaces, hyphens and underscores, in small letters; the code is LOINC's answer.
const POOR: [&str; 3] = ["poormetabolizer", "poormetaboliser", "la96573"];
/// The genotype of VKORC1 that needs least, by both of its names.
const NEEDS_LITTLE: [&str; 4] = ["1639a/a", "1639aa", "rs9923231t/t", "rs9923231tt"];

/// What a patient said of how they are says nothing of how they are this long afterwards, unless it says how long it holds.
pub const SYMPTOM_FOR: Span = Span::from_mins(6 * 60);
/// A beta blocker is new for this long: what was learned of slow nights before does not count.
pub const NEW_FOR: Span = days(14);
/// ... and is felt to be missing for this long.
pub const ENDED_FOR: Span = days(28);

const fn days(days: i64) -> Span {
    Span::from_mins(days * 24 * 60)
}

/// A result that has a limit.
struct Analyte {
    bearing: Bearing,
    loinc: &'static [&'static str],
    /// UCUM; all of one size.
    units: &'static [&'static str],
    /// What a body has.
    range: core::ops::RangeInclusive<f64>,
    /// It counts for this long, at most.
    counts_for: Span,
    /// Counts below the first limit, and above the second; the limit itself as `inclusive` says.
    below: Option<f64>,
    above: Option<f64>,
    inclusive: (bool, bool),
}

const ANALYTES: [Analyte; 6] = [
    // Under a stable dose the INR is measured every few weeks; one that is too high is another one within days.
    Analyte {
        bearing: Bearing::InrHigh,
        loinc: &["6301-6", "34714-6"],
        units: &["{INR}", "1", ""],
        range: 0.5..=25.0,
        counts_for: days(7),
        below: None,
        above: Some(4.0),
        inclusive: (false, false),
    },
    Analyte {
        bearing: Bearing::PumpsPoorly,
        loinc: &["10230-1"],
        units: &["%"],
        range: 5.0..=90.0,
        counts_for: days(2 * 365),
        below: Some(40.0),
        above: None,
        inclusive: (true, false),
    },
    Analyte {
        bearing: Bearing::NatriureticHigh,
        loinc: &["33762-6"],
        units: &["ng/L", "pg/mL"],
        range: 0.0..=500_000.0,
        counts_for: days(90),
        below: None,
        above: Some(2000.0),
        inclusive: (false, false),
    },
    Analyte {
        bearing: Bearing::PotassiumOff,
        loinc: &["2823-3", "6298-4"],
        units: &["mmol/L", "meq/L"],
        range: 1.0..=12.0,
        counts_for: days(3),
        below: Some(3.0),
        above: Some(6.0),
        inclusive: (false, true),
    },
    Analyte {
        bearing: Bearing::LactateHigh,
        loinc: &["2524-7", "32693-4"],
        units: &["mmol/L"],
        range: 0.0..=40.0,
        counts_for: Span::from_mins(12 * 60),
        below: None,
        above: Some(2.0),
        inclusive: (false, false),
    },
    Analyte {
        bearing: Bearing::NeutrophilsLow,
        loinc: &["751-8", "26499-4"],
        units: &["10*9/L", "10*3/uL"],
        range: 0.0..=200.0,
        counts_for: days(7),
        below: Some(0.5),
        above: None,
        inclusive: (true, false),
    },
];

impl Analyte {
    fn is(&self, fact: &Fact) -> bool {
        let measured = matches!(fact.kind, FactKind::Laboratory | FactKind::Imaging);
        measured
            && self
                .loinc
                .iter()
                .any(|code| fact.has_code(("loinc.org", code)))
    }

    /// The figure, where it is one.
    fn read(&self, fact: &Fact) -> Option<f64> {
        let fits = self.units.contains(&fact.unit.as_str());
        fact.value
            .filter(|value| fits && self.range.contains(value))
    }

    /// The limit that it is beyond.
    fn beyond(&self, value: f64) -> Option<f64> {
        let (low, high) = self.inclusive;
        let below = self
            .below
            .filter(|limit| value < *limit || low && value <= *limit);
        let above = self
            .above
            .filter(|limit| value > *limit || high && value >= *limit);
        below.or(above)
    }
}

impl Fact {
    /// Exactly that code of a system whose name ends so.
    fn has_code(&self, (system, code): Code) -> bool {
        let split = self.code.rsplit_once('|');
        split.is_some_and(|(of, own)| of.ends_with(system) && own == code)
    }

    /// Its text in small letters, without what divides words.
    fn says_one_of(&self, words: &[&str]) -> bool {
        let plain = |c: &char| !c.is_whitespace() && !"-_()".contains(*c);
        let said = || {
            self.text
                .chars()
                .filter(plain)
                .map(|c| c.to_ascii_lowercase())
        };
        words.iter().any(|word| said().eq(word.chars()))
    }

    /// When it begins or ceases to bear upon anything, other than by its own begin and end.
    pub(super) fn turns(&self) -> impl Iterator<Item = Time> + use<> {
        let result = ANALYTES.iter().find(|of| of.is(self));
        let result = result.map(|of| self.from + of.counts_for);
        let symptom = (self.kind == FactKind::Reported).then(|| self.from + SYMPTOM_FOR);
        let blocker = self.kind == FactKind::Medication
            && BETA_BLOCKERS
                .iter()
                .any(|(of, code)| self.is_coded(of, code));
        let new = blocker.then(|| self.from + NEW_FOR);
        let ended = self.to.filter(|_| blocker).map(|to| to + ENDED_FOR);
        result.into_iter().chain(symptom).chain(new).chain(ended)
    }
}

fn since(at: Time) -> Given {
    Given {
        at,
        ..Given::default()
    }
}

/// The newest one: what began last; of several, by id.
fn newest<'a>(facts: impl Iterator<Item = &'a Fact>) -> Option<&'a Fact> {
    facts.max_by_key(|fact| (fact.from, &fact.id))
}

impl Facts {
    fn medicine(&self, codes: &[Code], at: Time) -> Option<&Fact> {
        let is = |fact: &&Fact| codes.iter().any(|(of, code)| fact.is_coded(of, code));
        newest(self.holding(FactKind::Medication, at).filter(is))
    }

    fn symptom(&self, codes: &[Code], at: Time) -> Option<&Fact> {
        let is = |fact: &&Fact| {
            let named = codes.iter().any(|code| fact.has_code(*code));
            named && at < fact.from + SYMPTOM_FOR
        };
        // Of none at all it was said that it is not there; what was said last counts.
        newest(self.holding(FactKind::Reported, at).filter(is))
            .filter(|fact| fact.value != Some(0.0))
    }

    fn gene(&self, codes: &[Code], at: Time) -> Option<&Fact> {
        let is = |fact: &&Fact| codes.iter().any(|code| fact.has_code(*code));
        newest(self.holding(FactKind::Genomic, at).filter(is))
    }

    /// Results of it that are not too old.
    fn results<'a>(&'a self, of: &'a Analyte, at: Time) -> impl Iterator<Item = &'a Fact> {
        let facts = self.facts.values().map(|one| &one.fact);
        let fresh = move |fact: &&Fact| fact.holds(at) && at < fact.from + of.counts_for;
        facts.filter(move |fact| of.is(fact)).filter(fresh)
    }

    /// A beta blocker that ended not long ago.
    fn blocker_ended(&self, at: Time) -> Option<(&Fact, Time)> {
        let facts = self.facts.values().map(|one| &one.fact);
        let is = |fact: &&Fact| {
            fact.kind == FactKind::Medication
                && BETA_BLOCKERS
                    .iter()
                    .any(|(of, code)| fact.is_coded(of, code))
        };
        let ended = facts.filter(is).filter_map(|fact| Some((fact, fact.to?)));
        let lately = ended.filter(|(_, to)| *to <= at && at < *to + ENDED_FOR);
        lately.max_by_key(|(fact, to)| (*to, &fact.id))
    }

    /// Whose bones break easily: women of 65 or more, men of 75 or more (of the birth only the year is known, so a year is
    /// subtracted).
    fn brittle(&self, at: Time) -> Option<&Fact> {
        let (born, age) = self.age(at)?;
        let sex = self.newest(FactKind::Sex, at)?;
        let from = match sex.text.as_str() {
            "female" => 65,
            "male" => 75,
            _ => return None,
        };
        (age > from).then_some(born)
    }

    /// Each that holds, with its fact.
    fn bearing(&self, at: Time) -> impl Iterator<Item = (Bearing, &Fact, Given)> {
        let antagonist = self.medicine(&VITAMIN_K_ANTAGONISTS, at);
        let slow = self
            .gene(&CYP2C9, at)
            .filter(|fact| fact.says_one_of(&POOR));
        let needs = self
            .gene(&VKORC1, at)
            .filter(|fact| fact.says_one_of(&NEEDS_LITTLE));
        let lowers = self.medicine(&LOWERS_GLUCOSE, at);
        let others = newest(self.holding(FactKind::Medication, at)).filter(|_| lowers.is_none());
        let blocker = self.medicine(&BETA_BLOCKERS, at);
        let metoprolol = self.medicine(&METOPROLOL, at);
        let slow_2d6 = self
            .gene(&CYP2D6, at)
            .filter(|fact| fact.says_one_of(&POOR));
        let ended = self.blocker_ended(at).filter(|_| blocker.is_none());
        let simple = [
            (Bearing::Anticoagulant, self.medicine(&ANTICOAGULANTS, at)),
            (
                Bearing::SlowWarfarin,
                slow.or(needs).filter(|_| antagonist.is_some()),
            ),
            (Bearing::LowersGlucose, lowers),
            (Bearing::NoneLowersGlucose, others),
            (Bearing::BetaBlocker, blocker),
            (
                Bearing::BetaBlockerNew,
                blocker.filter(|fact| at < fact.from + NEW_FOR),
            ),
            (
                Bearing::SlowMetoprolol,
                slow_2d6.filter(|_| metoprolol.is_some()),
            ),
            (Bearing::Anticancer, self.medicine(&ANTICANCER, at)),
            (Bearing::ChestPain, self.symptom(&CHEST_PAIN, at)),
            (Bearing::Fainted, self.symptom(&FAINTED, at)),
            (Bearing::Breathless, self.symptom(&BREATHLESS, at)),
            (Bearing::Dizzy, self.symptom(&DIZZY, at)),
            (Bearing::Brittle, self.brittle(at)),
        ];
        let simple = simple.into_iter().filter_map(|(bearing, fact)| {
            let fact = fact?;
            Some((bearing, fact, since(fact.from)))
        });
        let ended = ended.map(|(fact, to)| (Bearing::BetaBlockerEnded, fact, since(to)));
        let results = ANALYTES.iter().filter_map(move |of| {
            let readable = self.results(of, at).filter(|fact| of.read(fact).is_some());
            let fact = newest(readable)?;
            let value = of.read(fact)?;
            let given = Given {
                at: fact.from,
                value: Some(value),
                limit: Some(of.beyond(value)?),
            };
            Some((of.bearing, fact, given))
        });
        simple.chain(ended).chain(results)
    }

    pub(super) fn bearings(&self, at: Time) -> Bearings {
        let mut bearings = Bearings::default();
        for (bearing, _, given) in self.bearing(at) {
            bearings.set(bearing, Some(given));
        }
        bearings
    }

    pub(super) fn bearing_influences(&self, at: Time) -> impl Iterator<Item = Influence> {
        let told = self.bearing(at).map(|(bearing, fact, _)| Influence {
            fact: fact.id.clone(),
            effect: bearing.effect(),
        });
        let unread = ANALYTES.iter().flat_map(move |of| {
            let unread = self.results(of, at).filter(|fact| of.read(fact).is_none());
            unread.map(|fact| Influence {
                fact: fact.id.clone(),
                effect: NOT_READ,
            })
        });
        told.chain(unread)
    }
}

const NOT_READ: &str =
    "not used: without a figure, in a unit that is not known for it, or of a size that no body has";
