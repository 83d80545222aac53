//! A set of rules as TOML.
//!
//! Invariants: a document is whole (every key, and no other); what is built in has the hash of its own file; two
//! documents with equal rules and equal reasons have equal hashes, whatever their comments and spaces.

use std::sync::Arc;

use proto::seal::crypto::sha256;
use serde::{Deserialize, Serialize};
use twin::event::Context;
use twin::news2;
use twin::rule::{definition, fingerprint};
use twin::rules::switch::{self, Cohort, Sex, Standing, Switch};
use twin::rules::{self, Cuts, EarlyWarning, Level, Levels, Rules, Unfit};
use twin::{Condition, Priority};
use vitals::Span;

use super::report::{Switched, Uneven};

/// The file that says what is built in.
const BUILT_IN: &str = include_str!("../../rules/built-in.toml");
/// What documents of this form begin with.
const FORMAT: &str = "rules/1";
/// Bytes of a document.
const LONGEST: usize = 16 * 1024;
/// Characters of who decided, and of why.
const LONGEST_BY: usize = 100;
const LONGEST_WHY: usize = 300;

/// Why a text is no set of rules.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// Nobody writes so much.
    #[error("at most {LONGEST} bytes")]
    TooLong,
    /// No TOML, a key that is missing or unknown, a value of the wrong kind; the text says where.
    #[error("{0}")]
    Toml(String),
    /// Another form.
    #[error("format: must be \"{FORMAT}\" for this program")]
    Format,
    /// A rule without levels, or with too many.
    #[error("{0}.levels: one to three")]
    Levels(&'static str),
    /// No model has that name.
    #[error("model[{place}].raises: {name:?} is none of {}", switched())]
    Model {
        /// Which line, from 0.
        place: usize,
        /// What it says.
        name: String,
    },
    /// Nobody knows who is not pregnant.
    #[error("model[{0}].pregnant: must be true, or be left out: of others nobody says so")]
    NotPregnant(usize),
    /// Half a reason, or none that can be read on one line.
    #[error(
        "model[{0}]: `by` (who decided it, 1 to {LONGEST_BY} characters) and `why` (1 to {LONGEST_WHY}, naming no patient) are each one line, and stand both or not at all"
    )]
    Because(usize),
    /// The values do not hold.
    #[error("{}", lines(.0))]
    Unfit(Vec<Unfit>),
}

fn switched() -> String {
    switch::SWITCHED.map(|(of, _)| of.name()).join(", ")
}

fn lines(unfit: &[Unfit]) -> String {
    let lines: Vec<String> = unfit.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Rules that hold, with their text.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// What they say.
    pub rules: Arc<Rules>,
    /// The document as this program writes it; of what is built in, its file.
    pub text: String,
    /// Hex of the SHA-256 of what this program writes.
    pub hash: String,
    /// Who decided each line about a model, and why, where it says so; in the order of [`Rules::models`].
    because: Vec<Option<Because>>,
}

/// Whose decision a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Because {
    by: String,
    why: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    oxygen_saturation_low: Part,
    oxygen_saturation_low_88_92: Part,
    heart_rate_high: Part,
    heart_rate_low: Part,
    early_warning_score: Warning,
    // None: not written, so that documents without any keep their hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    model: Vec<ModelLine>,
}

/// A line about a model; what is not given of a cohort is not asked for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelLine {
    raises: String,
    standing: Stands,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_from: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_below: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sex: Option<Gender>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pregnant: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stands {
    Live,
    Shadow,
    Off,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Gender {
    Female,
    Male,
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    clear_by: f64,
    clear_hold_s: u32,
    levels: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    cut: f64,
    hold_s: u32,
    priority: Urgency,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Urgency {
    Low,
    Medium,
    High,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Warning {
    urgent: u32,
    emergency: u32,
    hold_s: u32,
    strain_hold_s: u32,
}

impl RuleSet {
    /// What holds where nobody decided otherwise.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            text: BUILT_IN.into(),
            ..Self::of(Rules::BUILT_IN, Vec::new())
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`DocumentError`], with everything that is wrong with its values.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if text.len() > LONGEST {
            return Err(DocumentError::TooLong);
        }
        let document: Document =
            toml::from_str(text).map_err(|error| DocumentError::Toml(error.to_string()))?;
        if document.format != FORMAT {
            return Err(DocumentError::Format);
        }
        let rules = Rules {
            oxygen_low: cuts(rules::OXYGEN_LOW, &document.oxygen_saturation_low)?,
            oxygen_low_88_92: cuts(
                rules::OXYGEN_LOW_88_92,
                &document.oxygen_saturation_low_88_92,
            )?,
            heart_rate_high: cuts(rules::HEART_RATE_HIGH, &document.heart_rate_high)?,
            heart_rate_low: cuts(rules::HEART_RATE_LOW, &document.heart_rate_low)?,
            early_warning: EarlyWarning {
                urgent: document.early_warning_score.urgent,
                emergency: document.early_warning_score.emergency,
                hold: Span::from_secs(document.early_warning_score.hold_s.into()),
                strain_hold: Span::from_secs(document.early_warning_score.strain_hold_s.into()),
            },
            models: switches(&document.model)?,
        };
        let unfit = rules.check();
        if !unfit.is_empty() {
            return Err(DocumentError::Unfit(unfit));
        }
        if rules == Rules::BUILT_IN {
            return Ok(Self::built_in());
        }
        let because = document.model.iter().enumerate().map(because);
        let because = because.collect::<Result<_, _>>()?;
        Ok(Self::of(rules, because))
    }

    fn of(rules: Rules, because: Vec<Option<Because>>) -> Self {
        let part = |cuts: &Cuts| Part {
            clear_by: cuts.clear_by,
            clear_hold_s: seconds(cuts.clear_hold),
            levels: cuts.levels.iter().map(line).collect(),
        };
        let document = Document {
            format: FORMAT.into(),
            oxygen_saturation_low: part(&rules.oxygen_low),
            oxygen_saturation_low_88_92: part(&rules.oxygen_low_88_92),
            heart_rate_high: part(&rules.heart_rate_high),
            heart_rate_low: part(&rules.heart_rate_low),
            early_warning_score: Warning {
                urgent: rules.early_warning.urgent,
                emergency: rules.early_warning.emergency,
                hold_s: seconds(rules.early_warning.hold),
                strain_hold_s: seconds(rules.early_warning.strain_hold),
            },
            model: rules
                .models
                .iter()
                .zip(&because)
                .map(|(switch, because)| model_line(switch, because.as_ref()))
                .collect(),
        };
        let text = toml::to_string(&document).expect("numbers and texts are TOML");
        Self {
            rules: Arc::new(rules),
            hash: hex(&sha256(&[text.as_bytes()])),
            text,
            because,
        }
    }

    /// What each line about a model says, for people, with whose decision it is where it says so.
    #[must_use]
    pub fn models(&self) -> Vec<String> {
        let says = |(of, because): (&Switch, &Option<Because>)| {
            let (what, how) = (of.condition.name(), of.standing.name());
            let says = format!("{what}: {how} for {}", of.of.says());
            match because {
                Some(Because { by, why }) => format!("{says} (by {by}: {why})"),
                None => says,
            }
        };
        self.rules
            .models
            .iter()
            .zip(&self.because)
            .map(says)
            .collect()
    }

    /// What these rules do to models beside those of `before`.
    #[must_use]
    pub fn switched(&self, before: &Self) -> Switched {
        let models = &self.rules.models;
        let uneven = |place: usize| {
            let line = models.get(place)?;
            let because = self.because.get(place).cloned().flatten();
            let quiet =
                |of: &Switch| of.condition == line.condition && of.standing != Standing::Live;
            Some(Uneven {
                place,
                condition: line.condition,
                standing: line.standing,
                whom: switch::whom(models, place),
                by: because
                    .as_ref()
                    .map_or_else(String::new, |of| of.by.clone()),
                why: because.map_or_else(String::new, |of| of.why),
                uncounted: before.rules.models.iter().any(quiet),
            })
        };
        Switched {
            quieter: self.quieter(before),
            uneven: switch::uneven(models)
                .into_iter()
                .filter_map(uneven)
                .collect(),
        }
    }

    /// Conditions whose models these rules have quieter, for anybody, than `before` has.
    fn quieter(&self, before: &Self) -> Vec<Condition> {
        let lines = |of: &Self, condition: Condition| -> Vec<Switch> {
            let lines = of.rules.models.iter();
            let of = lines.filter(|line| line.condition == condition);
            of.cloned().collect()
        };
        let quieter = |condition: &Condition| {
            let now = lines(self, *condition);
            let quiet = now.iter().any(|line| line.standing != Standing::Live);
            quiet && now != lines(before, *condition)
        };
        let all = switch::SWITCHED.into_iter().map(|(condition, _)| condition);
        all.filter(quieter).collect()
    }

    /// The hashes that alerts carry under these rules, where a patient has no limits of their own.
    #[must_use]
    pub fn alert_hashes(&self) -> [(&'static str, String); 3] {
        let thresholds = |oxygen_target_88_92| {
            let context = Context {
                oxygen_target_88_92,
                ..Context::default()
            };
            hex(&fingerprint(&definition(&self.rules, &context)))
        };
        let score = news2::definition(&self.rules.early_warning);
        [
            ("thresholds", thresholds(false)),
            (rules::OXYGEN_LOW_88_92, thresholds(true)),
            (rules::EARLY_WARNING, hex(&fingerprint(&score))),
        ]
    }
}

fn cuts(name: &'static str, part: &Part) -> Result<Cuts, DocumentError> {
    let level = |line: &Line| Level {
        cut: line.cut,
        hold: Span::from_secs(line.hold_s.into()),
        priority: match line.priority {
            Urgency::Low => Priority::Low,
            Urgency::Medium => Priority::Medium,
            Urgency::High => Priority::High,
        },
    };
    let levels: Vec<Level> = part.levels.iter().map(level).collect();
    Ok(Cuts {
        levels: Levels::new(&levels).ok_or(DocumentError::Levels(name))?,
        clear_by: part.clear_by,
        clear_hold: Span::from_secs(part.clear_hold_s.into()),
    })
}

fn switches(lines: &[ModelLine]) -> Result<Vec<Switch>, DocumentError> {
    let switch = |(place, line): (usize, &ModelLine)| {
        if line.pregnant == Some(false) {
            return Err(DocumentError::NotPregnant(place));
        }
        let model = || DocumentError::Model {
            place,
            name: line.raises.clone(),
        };
        Ok(Switch {
            condition: Condition::parse(&line.raises).ok_or_else(model)?,
            standing: match line.standing {
                Stands::Live => Standing::Live,
                Stands::Shadow => Standing::Shadow,
                Stands::Off => Standing::Off,
            },
            of: Cohort {
                age_from: line.age_from,
                age_below: line.age_below,
                sex: line.sex.map(|sex| match sex {
                    Gender::Female => Sex::Female,
                    Gender::Male => Sex::Male,
                    Gender::Other => Sex::Other,
                }),
                condition: line.condition.clone(),
                pregnant: line.pregnant == Some(true),
            },
        })
    };
    lines.iter().enumerate().map(switch).collect()
}

/// Whose decision a line is, if it says so.
fn because((place, line): (usize, &ModelLine)) -> Result<Option<Because>, DocumentError> {
    let fits = |text: &str, longest: usize| {
        (1..=longest).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    let (by, why) = match (&line.by, &line.why) {
        (None, None) => return Ok(None),
        (Some(by), Some(why)) => (by.trim(), why.trim()),
        (Some(_), None) | (None, Some(_)) => return Err(DocumentError::Because(place)),
    };
    if !fits(by, LONGEST_BY) || !fits(why, LONGEST_WHY) {
        return Err(DocumentError::Because(place));
    }
    let (by, why) = (by.to_owned(), why.to_owned());
    Ok(Some(Because { by, why }))
}

fn model_line(switch: &Switch, because: Option<&Because>) -> ModelLine {
    let of = &switch.of;
    ModelLine {
        raises: switch.condition.name().into(),
        standing: match switch.standing {
            Standing::Live => Stands::Live,
            Standing::Shadow => Stands::Shadow,
            Standing::Off => Stands::Off,
        },
        age_from: of.age_from,
        age_below: of.age_below,
        sex: of.sex.map(|sex| match sex {
            Sex::Female => Gender::Female,
            Sex::Male => Gender::Male,
            Sex::Other => Gender::Other,
        }),
        condition: of.condition.clone(),
        pregnant: of.pregnant.then_some(true),
        by: because.map(|of| of.by.clone()),
        why: because.map(|of| of.why.clone()),
    }
}

fn line(level: &Level) -> Line {
    Line {
        cut: level.cut,
        hold_s: seconds(level.hold),
        priority: match level.priority {
            Priority::Low => Urgency::Low,
            Priority::Medium => Urgency::Medium,
            Priority::High => Urgency::High,
        },
    }
}

fn seconds(span: Span) -> u32 {
    u32::try_from(span.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_is_built_in() {
        let read = RuleSet::parse(BUILT_IN).expect("it holds");
        assert_eq!(*read.rules, Rules::BUILT_IN);
        assert_eq!(read, RuleSet::built_in());
        let bare = RuleSet::of(Rules::BUILT_IN, Vec::new()).text;
        assert_eq!(RuleSet::parse(&bare), Ok(read), "comments do not count");
    }

    #[test]
    fn a_document_is_read_back_as_it_was_written() {
        let edited = BUILT_IN.replace("cut = 92.0, hold_s = 30,", "cut = 93.5, hold_s = 20,");
        let set = RuleSet::parse(&edited).expect("it holds");
        assert_ne!(set.hash, RuleSet::built_in().hash);
        assert_eq!(RuleSet::parse(&set.text), Ok(set.clone()));
        let hashes = |set: &RuleSet| set.alert_hashes().map(|(_, hash)| hash);
        let (new, old) = (hashes(&set), hashes(&RuleSet::built_in()));
        assert_ne!(new[0], old[0], "alerts name other numbers");
        assert_eq!(new[2], old[2], "the score's are the same");
    }

    #[test]
    fn models_are_switched_by_lines_and_nothing_else_of_a_document_changes_by_that() {
        let with = |lines: &str| RuleSet::parse(&format!("{BUILT_IN}\n{lines}"));
        let set = with(
            "[[model]]\nraises = \"fall\"\nstanding = \"off\"\n\n[[model]]\nraises = \"fever\"\nstanding = \"shadow\"\nsex = \"female\"\nage_from = 18\nage_below = 50\ncondition = \"http://hl7.org/fhir/sid/icd-10|C50\"\npregnant = true\n",
        );
        let set = set.expect("it holds");
        assert_eq!(
            RuleSet::parse(&set.text),
            Ok(set.clone()),
            "as it was written"
        );
        assert_ne!(set.hash, RuleSet::built_in().hash);
        assert_eq!(set.alert_hashes(), RuleSet::built_in().alert_hashes());
        assert_eq!(
            set.models(),
            [
                "fall: off for everybody",
                "fever: shadow for people who are pregnant, female, 18 years or more, below 50 years, with http://hl7.org/fhir/sid/icd-10|C50"
            ]
        );
        for (lines, says) in [
            (
                "raises = \"heart_rate_low\"\nstanding = \"off\"",
                "cannot be switched",
            ),
            (
                "raises = \"early_warning_score\"\nstanding = \"shadow\"",
                "cannot be switched",
            ),
            (
                "raises = \"falls\"\nstanding = \"off\"",
                "\"falls\" is none of",
            ),
            ("raises = \"fall\"\nstanding = \"on\"", "standing"),
            ("raises = \"fall\"\nstanding = \"off\"\nage = 5", "age"),
            (
                "raises = \"fall\"\nstanding = \"off\"\npregnant = false",
                "pregnant",
            ),
            (
                "raises = \"fall\"\nstanding = \"off\"\nage_from = 300",
                "age_from",
            ),
            ("standing = \"off\"", "raises"),
        ] {
            let told = with(&format!("[[model]]\n{lines}")).expect_err("it does not hold");
            assert!(told.to_string().contains(says), "{says:?} is not in {told}");
        }
    }

    #[test]
    fn a_line_says_who_decided_it_and_why_and_both_or_neither() {
        let with = |lines: &str| {
            RuleSet::parse(&format!(
                "{BUILT_IN}\n[[model]]\nraises = \"fall\"\nstanding = \"off\"\nsex = \"female\"\n{lines}"
            ))
        };
        let bare = with("").expect("it holds");
        let told =
            with("by = \"Dr. Weber\"\nwhy = \" one device rings by itself \"\n").expect("it holds");
        assert_ne!(told.hash, bare.hash, "another decision");
        assert_eq!(told.rules, bare.rules, "alerts are judged alike");
        assert_eq!(RuleSet::parse(&told.text), Ok(told.clone()));
        assert_eq!(
            told.models(),
            ["fall: off for people who are female (by Dr. Weber: one device rings by itself)"]
        );
        let long = format!("by = \"x\"\nwhy = \"{}\"", "y".repeat(LONGEST_WHY + 1));
        for lines in [
            "by = \"x\"",
            "why = \"y\"",
            "by = \"\"\nwhy = \"y\"",
            "by = \"x\"\nwhy = \"  \"",
            "by = \"x\"\nwhy = \"a\\nb\"",
            &long,
        ] {
            assert_eq!(with(lines), Err(DocumentError::Because(0)), "{lines}");
        }
    }

    #[test]
    fn uneven_lines_are_told_with_whom_they_are_about_and_whether_their_loss_can_be_counted() {
        let with = |lines: &str| RuleSet::parse(&format!("{BUILT_IN}\n{lines}")).expect("it holds");
        let off = "[[model]]\nraises = \"fall\"\nstanding = \"off\"\n";
        let men = "[[model]]\nraises = \"fall\"\nstanding = \"live\"\nsex = \"male\"\n";
        let all = with(off);
        assert_eq!(all.switched(&RuleSet::built_in()).uneven, []);
        // Two steps do what one may not: off for everybody, then live again for some.
        let split = with(&format!("{off}{men}")).switched(&all);
        let [line] = &split.uneven[..] else {
            panic!("one line: {split:?}");
        };
        assert_eq!(line.whom, "everybody, but not people who are male");
        assert!(line.uncounted, "nobody has it now");
        assert_eq!((line.by.as_str(), line.why.as_str()), ("", ""));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |from: &str, to: &str| {
            assert!(BUILT_IN.contains(from), "{from}");
            let told = RuleSet::parse(&BUILT_IN.replacen(from, to, 1));
            told.expect_err("it does not hold").to_string()
        };
        for (from, to, says) in [
            ("format = \"rules/1\"", "format = \"rules/2\"", "format"),
            ("urgent = 5\n", "", "urgent"),
            ("urgent = 5", "urgent = 5\nurgnt = 4", "urgnt"),
            (
                "cut = 88.0, hold_s = 30",
                "cut = 86.0, hold_s = 30",
                "floor",
            ),
            (
                "cut = 92.0",
                "cut = 29.0",
                "oxygen_saturation_low.levels[0].cut",
            ),
            ("cut = 92.0", "cut = nan", "must be 80 to 97"),
            ("\"medium\"", "\"urgent\"", "urgent"),
            ("\"medium\"", "\"low\"", "must be medium at least"),
            ("hold_s = 30", "hold_s = -30", "hold_s"),
        ] {
            let told = told(from, to);
            assert!(told.contains(says), "{says:?} is not in {told:?}");
        }
        let many = "    { cut = 91.0, hold_s = 30, priority = \"high\" },\n]";
        assert_eq!(
            told("\n]\n", &format!("\n{many}\n")),
            "oxygen_saturation_low.levels: one to three"
        );
        let both = told(
            "clear_by = 1.0\nclear_hold_s = 60",
            "clear_by = 0\nclear_hold_s = 0",
        );
        assert_eq!(both.lines().count(), 2, "all of it at once: {both}");
        let long = " ".repeat(LONGEST + 1);
        assert_eq!(RuleSet::parse(&long), Err(DocumentError::TooLong));
    }
}
