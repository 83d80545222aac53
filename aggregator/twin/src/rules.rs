//! What a centre may change about the rules, as one value: cuts with their durations and the way back, and when NEWS2
//! calls for people. [`Rules::BUILT_IN`] holds where nobody decided otherwise.
//!
//! Promises: what [`Rules::check`] lets pass keeps the floor: each threshold rule's outermost level of high priority, and
//! NEWS2, are told as early and as urgently as they are built in, or earlier, whatever else is changed; and no level is less
//! urgent than the table of harm and onset ([`crate::urgency`]) has its condition. Everything else about
//! the rules is code: which kinds they judge, what is fresh, how means are made.
//!
//! Which models speak of whom is in [`switch`]. Must not know: documents, who decides, when.

pub mod switch;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use vitals::Span;

use crate::alert::{Condition, Priority};
use crate::canonical::Canonical;
use crate::rule::first_cut;
use switch::Switch;

/// A cut and how long the ten-second means must be beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// In the kind's unit; the cut itself is fine.
    pub cut: f64,
    /// How long beyond it.
    pub hold: Span,
    /// What it then is.
    pub priority: Priority,
}

/// One to three levels of a rule: first the one that raises, then those that make it more urgent.
#[derive(Clone, Copy, PartialEq)]
pub struct Levels {
    pub(crate) of: [Level; Levels::MOST],
    count: usize,
}

impl Levels {
    /// Levels of one rule.
    pub const MOST: usize = 3;

    /// `None`: none, or too many.
    #[must_use]
    pub fn new(levels: &[Level]) -> Option<Self> {
        (!levels.is_empty() && levels.len() <= Self::MOST).then(|| Self::of(levels))
    }

    const fn of(levels: &[Level]) -> Self {
        let mut of = [levels[0]; Self::MOST];
        let mut place = 1;
        while place < levels.len() {
            of[place] = levels[place];
            place += 1;
        }
        Self {
            of,
            count: levels.len(),
        }
    }
}

impl core::ops::Deref for Levels {
    type Target = [Level];

    fn deref(&self) -> &[Level] {
        self.of.get(..self.count).unwrap_or_default()
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Canonical for Levels {
    fn encode(&self, to: &mut Vec<u8>) {
        self.to_vec().encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Self::new(&Vec::decode(from)?)
    }
}

/// On which side of the cut the trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Below the cut.
    Below,
    /// Above the cut.
    Above,
}

impl Side {
    /// `a` is further out than `b`: the trouble must be worse to reach it.
    fn is_further(self, a: f64, b: f64) -> bool {
        match self {
            Self::Below => a < b,
            Self::Above => a > b,
        }
    }
}

/// The cuts of one threshold rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cuts {
    /// First the level that raises, then those that make it more urgent.
    pub levels: Levels,
    /// It is over when the means were this far back inside the first cut (hysteresis) ...
    pub clear_by: f64,
    /// ... for this long.
    pub clear_hold: Span,
}

/// When NEWS2 calls for people. Its table of points is the college's, and nobody's to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyWarning {
    /// Aggregate that asks for an urgent response.
    pub urgent: u32,
    /// Aggregate that asks for an emergency response.
    pub emergency: u32,
    /// For how long: single parameters flicker at their cuts.
    pub hold: Span,
    /// The same where pulse and respiration alone bring the total to where it is: stairs, a walk, a quarrel do that, and
    /// pass. It is a sum of time: what it falls below for a while is subtracted. NEWS2 asks for a response within the hour.
    pub strain_hold: Span,
}

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Saturation too low.
    pub oxygen_low: Cuts,
    /// The same for a prescribed target of 88-92 %.
    pub oxygen_low_88_92: Cuts,
    /// Heart too fast.
    pub heart_rate_high: Cuts,
    /// Heart too slow.
    pub heart_rate_low: Cuts,
    /// NEWS2.
    pub early_warning: EarlyWarning,
    /// Models that do not stand as their cards have them; the last line that fits a person counts.
    pub models: Vec<Switch>,
}

/// What is built in, to be lent.
pub(crate) static BUILT_IN: Rules = Rules::BUILT_IN;

const HALF_MINUTE: Span = Span::from_secs(30);
const MINUTE: Span = Span::from_secs(60);

const fn level(cut: f64, hold: Span, priority: Priority) -> Level {
    Level {
        cut,
        hold,
        priority,
    }
}

impl Rules {
    /// What holds where nobody decided otherwise.
    ///
    /// Scale 1 of NEWS2 gives 3 points at 91 % and below; below 88 % is where oxygen is given whatever the disease, and
    /// staying below 92 % for five minutes is as urgent. With a prescribed target of 88-92 % (scale 2) 3 points begin at
    /// 83 %. NEWS2 gives 3 points at 131/min and above (a minute, because climbing stairs passes) and at 40/min and below.
    /// Its aggregate asks for an urgent response at 5 and for an emergency response at 7 (RCP 2017).
    pub const BUILT_IN: Self = Self {
        oxygen_low: Cuts {
            levels: Levels::of(&[
                level(92.0, HALF_MINUTE, Priority::Medium),
                level(88.0, HALF_MINUTE, Priority::High),
                level(92.0, Span::from_mins(5), Priority::High),
            ]),
            clear_by: 1.0,
            clear_hold: MINUTE,
        },
        oxygen_low_88_92: Cuts {
            levels: Levels::of(&[
                level(88.0, MINUTE, Priority::Medium),
                level(84.0, HALF_MINUTE, Priority::High),
            ]),
            clear_by: 1.0,
            clear_hold: MINUTE,
        },
        heart_rate_high: Cuts {
            levels: Levels::of(&[
                level(130.0, MINUTE, Priority::Medium),
                level(150.0, Span::from_mins(2), Priority::High),
            ]),
            clear_by: 5.0,
            clear_hold: MINUTE,
        },
        heart_rate_low: Cuts {
            levels: Levels::of(&[
                level(40.0, HALF_MINUTE, Priority::Medium),
                level(30.0, HALF_MINUTE, Priority::High),
            ]),
            clear_by: 3.0,
            clear_hold: MINUTE,
        },
        early_warning: EarlyWarning::BUILT_IN,
        models: Vec::new(),
    };
}

impl Default for Rules {
    fn default() -> Self {
        Self::BUILT_IN
    }
}

/// What a threshold rule is bound by.
struct Bound {
    name: &'static str,
    condition: Condition,
    side: Side,
    cuts: RangeInclusive<f64>,
    /// What is most urgent for everybody: high priority from there on, after that time at most.
    floor: (f64, Span),
}

/// Cuts that no body passes, or that every body passes all day, are mistakes of the pen.
const BOUNDS: [Bound; 4] = [
    Bound {
        name: OXYGEN_LOW,
        condition: Condition::OxygenSaturationLow,
        side: Side::Below,
        cuts: 80.0..=97.0,
        floor: (88.0, HALF_MINUTE),
    },
    Bound {
        name: OXYGEN_LOW_88_92,
        condition: Condition::OxygenSaturationLow,
        side: Side::Below,
        cuts: 75.0..=92.0,
        floor: (84.0, HALF_MINUTE),
    },
    Bound {
        name: HEART_RATE_HIGH,
        condition: Condition::HeartRateHigh,
        side: Side::Above,
        cuts: 90.0..=200.0,
        floor: (150.0, Span::from_mins(2)),
    },
    Bound {
        name: HEART_RATE_LOW,
        condition: Condition::HeartRateLow,
        side: Side::Below,
        cuts: 20.0..=65.0,
        floor: (30.0, HALF_MINUTE),
    },
];

/// Names of the parts, as documents and errors call them.
pub const OXYGEN_LOW: &str = "oxygen_saturation_low";
/// See [`OXYGEN_LOW`].
pub const OXYGEN_LOW_88_92: &str = "oxygen_saturation_low_88_92";
/// See [`OXYGEN_LOW`].
pub const HEART_RATE_HIGH: &str = "heart_rate_high";
/// See [`OXYGEN_LOW`].
pub const HEART_RATE_LOW: &str = "heart_rate_low";
/// See [`OXYGEN_LOW`].
pub const EARLY_WARNING: &str = "early_warning_score";

/// Durations: at least one mean of ten seconds, at most what the window of half an hour judges with room to spare.
const HOLDS: RangeInclusive<i64> = 10..=600;
/// Hysteresis, in the kind's unit: without any an alert comes and goes at its cut.
const CLEARS: RangeInclusive<f64> = 0.5..=10.0;
/// NEWS2's aggregate may be made to call earlier than the college says, and never later.
const URGENT: RangeInclusive<u32> = 3..=EarlyWarning::BUILT_IN.urgent;
const EMERGENCY: RangeInclusive<u32> = 4..=EarlyWarning::BUILT_IN.emergency;
const WARNING_HOLD: RangeInclusive<i64> = 10..=60;
const STRAIN_HOLD: RangeInclusive<i64> = 60..=3600;

/// What is wrong with a set of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfit {
    /// Where, such as `heart_rate_low.levels[1].cut`; levels count from 0.
    pub field: String,
    /// What.
    pub fault: Fault,
}

/// See [`Unfit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Not within these bounds.
    Bounds {
        /// At least.
        low: f64,
        /// At most.
        high: f64,
    },
    /// A level that makes more urgent lies nearer to normal than the first one.
    Crossed {
        /// The first cut.
        first: f64,
    },
    /// A level after the first is no more urgent than that.
    NotMoreUrgent,
    /// Less urgent than the table of harm and onset has it.
    TooMild {
        /// This at least.
        least: Priority,
    },
    /// What is most urgent for everybody would not be told, or later.
    Floor {
        /// Of high priority at this cut at the latest ...
        cut: f64,
        /// ... after so many seconds at the most.
        hold_s: i64,
    },
    /// A heart would be too slow and too fast at once.
    Overlap,
    /// The emergency is no higher than the urgent level.
    NoRoom,
    /// It is no model that can be switched.
    NotSwitched,
    /// More lines than anybody reads.
    TooMany {
        /// At most.
        most: usize,
    },
    /// No age is of this cohort.
    NobodyFits,
    /// No code of a condition.
    Code,
    /// A model that does not beat a trivial rule cannot be made live by a line.
    ShadowByCard,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match self.fault {
            Fault::Bounds { low, high } => write!(f, "must be {low} to {high}"),
            Fault::Crossed { first } => write!(
                f,
                "lies nearer to normal than the first level's cut ({first}): levels go from the one that raises outwards"
            ),
            Fault::TooMild { least } => write!(
                f,
                "must be {} at least: so the table of harm and onset has it (IEC 60601-1-8), whoever edits the rules",
                least.name()
            ),
            Fault::NotMoreUrgent => {
                f.write_str("must be more urgent than the first level, or be left out")
            }
            Fault::Floor { cut, hold_s } => write!(
                f,
                "the floor is missing: a level of priority high at {cut} or nearer to normal, with hold_s of {hold_s} or less, stays whatever else is changed"
            ),
            Fault::Overlap => f.write_str(
                "with its way back it reaches into what counts as a fast heart: lower it, or raise heart_rate_high",
            ),
            Fault::NoRoom => f.write_str("must be above urgent"),
            Fault::NotSwitched => f.write_str(
                "cannot be switched: threshold rules, NEWS2, glucose that is low or high and everything technical stay for everybody; models that can be are ",
            )
            .and_then(|()| {
                let names = switch::SWITCHED.map(|(condition, _)| condition.name());
                f.write_str(&names.join(", "))
            }),
            Fault::TooMany { most } => write!(f, "at most {most} lines"),
            Fault::NobodyFits => f.write_str("must be above age_from"),
            Fault::Code => f.write_str(
                "must be system|code, such as http://hl7.org/fhir/sid/icd-10|I50, of at most 128 characters",
            ),
            Fault::ShadowByCard => f.write_str(
                "must be shadow or off: its card does not show that it beats a trivial rule, so it is not live",
            ),
        }
    }
}

impl Rules {
    /// All that is wrong with them; nothing: they may be used.
    #[must_use]
    pub fn check(&self) -> Vec<Unfit> {
        let mut unfit = Vec::new();
        let of = [
            &self.oxygen_low,
            &self.oxygen_low_88_92,
            &self.heart_rate_high,
            &self.heart_rate_low,
        ];
        for (bound, cuts) in BOUNDS.iter().zip(of) {
            bound.check(cuts, &mut unfit);
        }
        let slow = first_cut(&self.heart_rate_low) + self.heart_rate_low.clear_by;
        let fast = first_cut(&self.heart_rate_high) - self.heart_rate_high.clear_by;
        if slow >= fast {
            unfit.push(Unfit {
                field: format!("{HEART_RATE_LOW}.levels[0].cut"),
                fault: Fault::Overlap,
            });
        }
        self.early_warning.check(&mut unfit);
        switch::check(&self.models, &mut unfit);
        unfit
    }
}

impl crate::Twin {
    /// The same twin, judging by these rules for everybody from now on; no time passes.
    #[must_use]
    pub fn under(mut self, rules: &Arc<Rules>) -> Self {
        self.body.set_rules(rules);
        self.life.standings = self.standings(self.known);
        self
    }

    /// The rules for everybody that this twin judges by.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        self.body.rules_in_force()
    }

    /// The line of [`Rules::models`] that has this model in shadow or off for this person; `None`: none does.
    #[must_use]
    pub fn silenced_by(&self, condition: crate::Condition) -> Option<usize> {
        self.life.standings.get(condition).1
    }
}

impl Bound {
    fn check(&self, cuts: &Cuts, unfit: &mut Vec<Unfit>) {
        let name = self.name;
        let mut wrong = |field: String, fault| {
            unfit.push(Unfit { field, fault });
        };
        for (place, level) in cuts.levels.iter().enumerate() {
            let field = |of: &str| format!("{name}.levels[{place}].{of}");
            if !self.cuts.contains(&level.cut) {
                wrong(field("cut"), bounds(&self.cuts));
            }
            if !HOLDS.contains(&seconds(level.hold)) {
                wrong(field("hold_s"), bounds_s(&HOLDS));
            }
            let least = self.condition.base();
            if level.priority < least {
                wrong(field("priority"), Fault::TooMild { least });
            }
        }
        if !CLEARS.contains(&cuts.clear_by) {
            wrong(format!("{name}.clear_by"), bounds(&CLEARS));
        }
        if !HOLDS.contains(&seconds(cuts.clear_hold)) {
            wrong(format!("{name}.clear_hold_s"), bounds_s(&HOLDS));
        }
        let (Some(first), further) = (cuts.levels.first(), cuts.levels.iter().enumerate().skip(1))
        else {
            return;
        };
        for (place, level) in further {
            let field = |of: &str| format!("{name}.levels[{place}].{of}");
            if self.side.is_further(first.cut, level.cut) {
                wrong(field("cut"), Fault::Crossed { first: first.cut });
            }
            if level.priority <= first.priority {
                wrong(field("priority"), Fault::NotMoreUrgent);
            }
        }
        let (cut, hold) = self.floor;
        let holds = |level: &Level| {
            level.priority == Priority::High
                && !self.side.is_further(level.cut, cut)
                && level.hold <= hold
        };
        if !cuts.levels.iter().any(holds) {
            let hold_s = seconds(hold);
            wrong(format!("{name}.levels"), Fault::Floor { cut, hold_s });
        }
    }
}

impl EarlyWarning {
    /// What holds where nobody decided otherwise.
    pub const BUILT_IN: Self = Self {
        urgent: 5,
        emergency: 7,
        hold: MINUTE,
        strain_hold: Span::from_mins(30),
    };

    fn check(&self, unfit: &mut Vec<Unfit>) {
        let mut wrong = |field: &str, fault| {
            let field = format!("{EARLY_WARNING}.{field}");
            unfit.push(Unfit { field, fault });
        };
        let points = |of: &RangeInclusive<u32>| Fault::Bounds {
            low: f64::from(*of.start()),
            high: f64::from(*of.end()),
        };
        if !URGENT.contains(&self.urgent) {
            wrong("urgent", points(&URGENT));
        }
        if !EMERGENCY.contains(&self.emergency) {
            wrong("emergency", points(&EMERGENCY));
        }
        if self.emergency <= self.urgent {
            wrong("emergency", Fault::NoRoom);
        }
        if !WARNING_HOLD.contains(&seconds(self.hold)) {
            wrong("hold_s", bounds_s(&WARNING_HOLD));
        }
        if !STRAIN_HOLD.contains(&seconds(self.strain_hold)) {
            wrong("strain_hold_s", bounds_s(&STRAIN_HOLD));
        }
    }
}

fn bounds(of: &RangeInclusive<f64>) -> Fault {
    Fault::Bounds {
        low: *of.start(),
        high: *of.end(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "an hour at most")]
fn bounds_s(of: &RangeInclusive<i64>) -> Fault {
    Fault::Bounds {
        low: *of.start() as f64,
        high: *of.end() as f64,
    }
}

/// Whole seconds; part of one counts as none, so that a duration below the least is found.
const fn seconds(span: Span) -> i64 {
    span.as_micros() / 1_000_000
}

/// Conditions whose alerts a set of rules decides about.
#[must_use]
pub fn decides(condition: Condition) -> bool {
    condition == Condition::EarlyWarningScore
        || BOUNDS.iter().any(|bound| bound.condition == condition)
}

crate::canonical_fields! {
    Level { cut, hold, priority }
    Cuts { levels, clear_by, clear_hold }
    EarlyWarning { urgent, emergency, hold, strain_hold }
    Rules { oxygen_low, oxygen_low_88_92, heart_rate_high, heart_rate_low, early_warning, models }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfit(edit: impl FnOnce(&mut Rules)) -> Vec<(String, Fault)> {
        let mut rules = Rules::BUILT_IN;
        edit(&mut rules);
        let unfit = rules.check().into_iter();
        unfit.map(|one| (one.field, one.fault)).collect()
    }

    #[test]
    fn what_is_built_in_is_fit_and_keeps_its_own_floor() {
        assert_eq!(unfit(|_| {}), []);
    }

    #[test]
    fn no_level_is_milder_than_the_table_of_harm_and_onset_has_it() {
        let mild = unfit(|rules| {
            let first = rules.heart_rate_high.levels.of[0];
            let mild = Level {
                priority: Priority::Low,
                ..first
            };
            rules.heart_rate_high.levels.of[0] = mild;
        });
        let least = Priority::Medium;
        let field = "heart_rate_high.levels[0].priority".into();
        assert_eq!(mild, [(field, Fault::TooMild { least })]);
    }

    #[test]
    fn stricter_is_fit_and_the_floor_can_be_raised_but_not_removed() {
        let oxygen = |levels: &[Level]| Levels::new(levels).expect("one to three");
        assert_eq!(
            unfit(|rules| {
                rules.oxygen_low.levels = oxygen(&[
                    level(94.0, HALF_MINUTE, Priority::Medium),
                    level(90.0, Span::from_secs(20), Priority::High),
                ]);
                rules.early_warning.emergency = 6;
            }),
            []
        );
        let floor = Fault::Floor {
            cut: 88.0,
            hold_s: 30,
        };
        for removed in [
            oxygen(&[level(92.0, HALF_MINUTE, Priority::Medium)]),
            oxygen(&[
                level(92.0, HALF_MINUTE, Priority::Medium),
                level(87.0, HALF_MINUTE, Priority::High),
            ]),
            oxygen(&[
                level(92.0, HALF_MINUTE, Priority::Medium),
                level(88.0, MINUTE, Priority::High),
            ]),
            oxygen(&[
                level(92.0, HALF_MINUTE, Priority::Low),
                level(88.0, HALF_MINUTE, Priority::Medium),
            ]),
        ] {
            // A level may be too mild besides.
            let wrong = unfit(|rules| rules.oxygen_low.levels = removed);
            let expected = ("oxygen_saturation_low.levels".into(), floor);
            assert!(wrong.contains(&expected), "{removed:?}: {wrong:?}");
        }
        let later = unfit(|rules| rules.early_warning.emergency = 8);
        assert_eq!(later.len(), 1, "NEWS2 never calls later: {later:?}");
    }

    #[test]
    fn every_fault_names_its_place() {
        let cut = |cut| {
            unfit(move |rules| {
                rules.heart_rate_low.levels.of[0].cut = cut;
            })
        };
        let bounds = Fault::Bounds {
            low: 20.0,
            high: 65.0,
        };
        let place = String::from("heart_rate_low.levels[0].cut");
        assert_eq!(cut(66.0), [(place.clone(), bounds)]);
        assert!(cut(f64::NAN).contains(&(place.clone(), bounds)));
        let crossed = Fault::Crossed { first: 28.0 };
        assert_eq!(
            cut(28.0),
            [("heart_rate_low.levels[1].cut".into(), crossed)]
        );
        let overlap = unfit(|rules| {
            rules.heart_rate_low.levels.of[0].cut = 64.0;
            rules.heart_rate_low.clear_by = 10.0;
            rules.heart_rate_high.levels.of[0].cut = 90.0;
            rules.heart_rate_high.clear_by = 10.0;
        });
        assert_eq!(overlap, [], "74 and 80");
        let overlap = unfit(|rules| {
            rules.heart_rate_low.levels.of[0].cut = 65.0;
            rules.heart_rate_low.clear_by = 10.0;
            rules.heart_rate_high.levels.of[0].cut = 90.0;
            rules.heart_rate_high.clear_by = 15.0;
        });
        let wide = Fault::Bounds {
            low: 0.5,
            high: 10.0,
        };
        assert_eq!(
            overlap,
            [
                ("heart_rate_high.clear_by".into(), wide),
                (place, Fault::Overlap)
            ]
        );
        let same = unfit(|rules| rules.heart_rate_high.levels.of[0].priority = Priority::High);
        let place = String::from("heart_rate_high.levels[1].priority");
        assert_eq!(same, [(place, Fault::NotMoreUrgent)]);
        let short = unfit(|rules| rules.heart_rate_high.levels.of[0].hold = Span::from_secs(9));
        assert_eq!(short[0].0, "heart_rate_high.levels[0].hold_s");
        let tight = unfit(|rules| rules.early_warning.urgent = 7);
        assert_eq!(tight.len(), 2, "beyond its bounds, and no room: {tight:?}");
    }

    #[test]
    fn levels_are_one_to_three() {
        let one = level(90.0, MINUTE, Priority::High);
        assert!(Levels::new(&[]).is_none());
        assert!(Levels::new(&[one; 4]).is_none());
        assert_eq!(Levels::new(&[one; 3]).map(|levels| levels.len()), Some(3));
    }
}
