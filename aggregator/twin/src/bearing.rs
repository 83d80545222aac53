//! What is known of a person and bears upon what is raised: a medicine, a result, a gene, a symptom that stands beside a measured
//! alert and makes it more urgent, or has to be said with it. [`crate::facts`] finds out what of it holds; this is the table of
//! what follows, and the one place where it is done.
//!
//! Promises: an alert gets no less urgent by it, never a priority that [`crate::urgency`] does not have for its condition, and
//! what bore upon it stands in its evidence, with the time and the figure of the fact, marked as known and not measured. What
//! holds when an alert is there already makes it more urgent then. Whatever ends makes no alert less urgent: people do that.
//!
//! Each row names its source; those that say *from memory* were not read for it, of the others excerpts at most, and of some not the
//! passage itself (MODELS.md says of which). Which fact bears upon which alert is a judgement by engineers: to be reviewed by a
//! clinician. Must not know: codes, units, how old a fact may be, alerts' life.

use alloc::format;
use alloc::string::String;

use vitals::{Quality, Time};

use crate::alert::{Condition, Evidence, Priority};
use crate::life::Draft;

/// Names this table in its card.
pub const MODEL: &str = "bearing/1";

/// What is known. The numbers are places in [`Bearings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Bearing {
    /// A medicine against clotting is taken.
    Anticoagulant,
    /// The INR is above every range that is aimed at.
    InrHigh,
    /// A vitamin K antagonist is taken by somebody who breaks it down slowly, or needs little of it.
    SlowWarfarin,
    /// Insulin or another medicine that can bring about a low is taken.
    LowersGlucose,
    /// Medicines are known, and none of them can bring about a low.
    NoneLowersGlucose,
    /// A beta blocker is taken.
    BetaBlocker,
    /// ... since less than two weeks.
    BetaBlockerNew,
    /// None is taken any more, since less than four weeks.
    BetaBlockerEnded,
    /// Metoprolol is taken by somebody who breaks it down slowly.
    SlowMetoprolol,
    /// The left ventricle ejects 40 % or less.
    PumpsPoorly,
    /// NT-proBNP is very high.
    NatriureticHigh,
    /// Potassium is far out of range.
    PotassiumOff,
    /// Lactate is raised.
    LactateHigh,
    /// Neutrophils are so few that a fever is an emergency.
    NeutrophilsLow,
    /// Anticancer treatment.
    Anticancer,
    /// Chest pain was reported.
    ChestPain,
    /// A faint was reported.
    Fainted,
    /// Breathlessness was reported.
    Breathless,
    /// Dizziness was reported.
    Dizzy,
    /// Of an age and sex in which bones break easily.
    Brittle,
}

/// How many there are.
pub const BEARINGS: usize = Bearing::ALL.len();

/// One that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Given {
    /// When it began, was measured or was reported.
    pub at: Time,
    /// Its figure, where it has one, in the unit that its evidence names ...
    pub value: Option<f64>,
    /// ... and the limit that it is beyond.
    pub limit: Option<f64>,
}

/// What follows from one of them.
struct Row {
    /// In the evidence of an alert that it bears upon.
    says: &'static str,
    /// Among what facts change.
    effect: &'static str,
    /// Which alerts, and the priority that they have at least; `None`: it is said, and nothing else.
    on: &'static [(Condition, Option<Priority>)],
}

/// The signs of a tachycardia or bradycardia under which the circulation suffers are shock, syncope, myocardial ischaemia and
/// heart failure (ERC Guidelines 2015, section 3, adult advanced life support: adverse signs).
const ADVERSE: [(Condition, Option<Priority>); 3] = [
    (Condition::HeartRateHigh, HIGH),
    (Condition::HeartRateLow, HIGH),
    (Condition::HeartPause, HIGH),
];
const HIGH: Option<Priority> = Some(Priority::High);
const SAID: Option<Priority> = None;

impl Bearing {
    /// All, in the order of their places.
    pub const ALL: [Self; 20] = [
        Self::Anticoagulant,
        Self::InrHigh,
        Self::SlowWarfarin,
        Self::LowersGlucose,
        Self::NoneLowersGlucose,
        Self::BetaBlocker,
        Self::BetaBlockerNew,
        Self::BetaBlockerEnded,
        Self::SlowMetoprolol,
        Self::PumpsPoorly,
        Self::NatriureticHigh,
        Self::PotassiumOff,
        Self::LactateHigh,
        Self::NeutrophilsLow,
        Self::Anticancer,
        Self::ChestPain,
        Self::Fainted,
        Self::Breathless,
        Self::Dizzy,
        Self::Brittle,
    ];

    /// What it changes, for people.
    #[must_use]
    pub fn effect(self) -> &'static str {
        self.row().effect
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    const fn row(self) -> Row {
        match self {
            // NICE NG232 (2023), 1.5: a scan of the head after any injury of it under an anticoagulant.
            Self::Anticoagulant => Row {
                says: "An anticoagulant is taken since then: look for bleeding",
                effect: "anticoagulant: a fall is of high priority at once; a high shock index says so",
                on: &[(Condition::Fall, HIGH), (Condition::ShockIndexHigh, SAID)],
            },
            // Keeling et al. 2011 (Br J Haematol 154:311, BCSH): within 0.5 of the target, which is 3.5 at most.
            Self::InrHigh => Row {
                says: "INR, above every range that is aimed at",
                effect: "INR above 4.0: a fall is of high priority at once; a high shock index says so",
                on: &[(Condition::Fall, HIGH), (Condition::ShockIndexHigh, SAID)],
            },
            // Doses by CYP2C9 and VKORC1: Gage et al. 2008 (Clin Pharmacol Ther 84:326).
            Self::SlowWarfarin => Row {
                says: "Broken down slowly, or little needed (CYP2C9, VKORC1): a vitamin K antagonist works more, and for longer",
                effect: "CYP2C9 or VKORC1 beside a vitamin K antagonist: a fall and a high shock index say that it works more, and for longer",
                on: &[(Condition::Fall, SAID), (Condition::ShockIndexHigh, SAID)],
            },
            // From memory: insulin, sulfonylureas and glinides bring about lows, other medicines by mouth hardly do (ADA Standards
            // of Care). No priority: half of the lows that are foreseen do not come, and most are seen to by the person.
            Self::LowersGlucose => Row {
                says: "Insulin, a sulfonylurea or a glinide is taken since then: a low may go on falling, and come back",
                effect: "insulin, a sulfonylurea or a glinide: a low, and one that is foreseen, say so; no limit and no priority is changed",
                on: &[
                    (Condition::GlucoseLow, SAID),
                    (Condition::GlucoseFalling, SAID),
                ],
            },
            Self::NoneLowersGlucose => Row {
                says: "None of the known medicines brings about a low: check the sensor, too",
                effect: "none of the known medicines brings about a low of glucose: one that is foreseen says so, and is told as ever",
                on: &[(Condition::GlucoseFalling, SAID)],
            },
            // From memory: the pulse answers less to a loss of blood, to fever and to exertion.
            Self::BetaBlocker => Row {
                says: "A beta blocker is taken since then: the pulse rises less than the trouble, and is slower by itself",
                effect: "beta blocker: the pulse rises less, so what counts it may understate: the shock index counts from 0.9 until this person's own is known, shock index and resting heart rate are held against what is usual since it began, too, and alerts of them, of slow hearts and of NEWS2 say so; no limit is raised",
                on: &[
                    (Condition::ShockIndexHigh, SAID),
                    (Condition::EarlyWarningScore, SAID),
                    (Condition::RestingHeartRateRaised, SAID),
                    (Condition::HeartRateLow, SAID),
                    (Condition::HeartPause, SAID),
                ],
            },
            Self::BetaBlockerNew => Row {
                says: "It is new: the lower limit of the heart rate that was learned from this person's nights does not count",
                effect: "beta blocker of less than two weeks: the lower limit of the heart rate that was learned from nights does not count, that for everybody does",
                on: &[(Condition::HeartRateLow, SAID)],
            },
            Self::BetaBlockerEnded => Row {
                says: "A beta blocker ended then: the pulse is faster without it, and at first faster than before",
                effect: "beta blocker that ended less than four weeks ago: alerts of a fast pulse say so; shock index and resting heart rate are held against what is usual since then, too",
                on: &[
                    (Condition::HeartRateHigh, SAID),
                    (Condition::ShockIndexHigh, SAID),
                    (Condition::RestingHeartRateRaised, SAID),
                ],
            },
            // From memory: CPIC; the exposure of poor metabolisers of CYP2D6 to metoprolol is several times as high.
            Self::SlowMetoprolol => Row {
                says: "Poor metaboliser of CYP2D6: metoprolol works more, and for longer",
                effect: "CYP2D6 poor metaboliser beside metoprolol: a slow heart and a pause say that it works more, and for longer",
                on: &[
                    (Condition::HeartRateLow, SAID),
                    (Condition::HeartPause, SAID),
                    (Condition::ShockIndexHigh, SAID),
                ],
            },
            // From memory: ESC 2021, heart failure with reduced ejection fraction.
            Self::PumpsPoorly => Row {
                says: "Left ventricular ejection fraction, %",
                effect: "ejection fraction of 40 % or less: signs of heart failure that drift together over days are told",
                on: &[(Condition::HeartFailureDrift, SAID)],
            },
            // NICE NG106 (2018): above 2000 ng/L to a specialist within two weeks.
            Self::NatriureticHigh => Row {
                says: "NT-proBNP, ng/L",
                effect: "NT-proBNP above 2000 ng/L: signs of heart failure that drift together over days are told",
                on: &[(Condition::HeartFailureDrift, SAID)],
            },
            // UK Kidney Association 2023: moderate from 6.0 on, an ECG at once; below 3.0 moderate (RCEM).
            Self::PotassiumOff => Row {
                says: "Potassium, mmol/L",
                effect: "potassium of 6.0 mmol/L or more, or below 3.0: a slow or fast heart and a pause are of high priority",
                on: &[
                    (Condition::HeartRateHigh, HIGH),
                    (Condition::HeartRateLow, HIGH),
                    (Condition::HeartPause, HIGH),
                    (Condition::AtrialFibrillation, SAID),
                ],
            },
            // NICE NG51 and NG253: above 2 mmol/L is a high risk of sepsis; Sepsis-3 has it in the definition of shock.
            Self::LactateHigh => Row {
                says: "Lactate, mmol/L",
                effect: "lactate above 2 mmol/L: an early-warning score that calls and a high shock index are of high priority",
                on: &[
                    (Condition::EarlyWarningScore, HIGH),
                    (Condition::ShockIndexHigh, HIGH),
                ],
            },
            // NICE CG151 (2012): 0.5 or fewer with 38 degrees is neutropenic sepsis until shown otherwise.
            Self::NeutrophilsLow => Row {
                says: "Neutrophils, 10^9/L",
                effect: "neutrophils of 0.5 x 10^9/L or fewer: a fever is of high priority",
                on: &[(Condition::Fever, HIGH)],
            },
            // NICE CG151: who is under anticancer treatment and has a fever is seen at once; neutrophils say how bad it is.
            Self::Anticancer => Row {
                says: "Anticancer treatment since then: neutrophils may be few",
                effect: "anticancer treatment: a fever is of medium priority at least",
                on: &[(Condition::Fever, Some(Priority::Medium))],
            },
            Self::ChestPain => Row {
                says: "Chest pain was reported",
                effect: "chest pain, for six hours: a slow or fast heart and a pause are of high priority",
                on: &ADVERSE,
            },
            Self::Fainted => Row {
                says: "A faint was reported",
                effect: "a faint, for six hours: a slow or fast heart, a pause, a low pressure and a high shock index are of high priority",
                on: &[
                    ADVERSE[0],
                    ADVERSE[1],
                    ADVERSE[2],
                    (Condition::BloodPressureLow, HIGH),
                    (Condition::ShockIndexHigh, HIGH),
                ],
            },
            Self::Breathless => Row {
                says: "Breathlessness was reported",
                effect: "breathlessness, for six hours: a slow or fast heart, a pause and a low saturation are of high priority; what is foreseen of breathing and heart says so",
                on: &[
                    ADVERSE[0],
                    ADVERSE[1],
                    ADVERSE[2],
                    (Condition::OxygenSaturationLow, HIGH),
                    (Condition::OxygenSaturationFalling, SAID),
                    (Condition::BreathingDrift, SAID),
                    (Condition::HeartFailureDrift, SAID),
                ],
            },
            // Dizziness is no adverse sign.
            Self::Dizzy => Row {
                says: "Dizziness was reported",
                effect: "dizziness, for six hours: a slow or fast heart, a pause, a low pressure and a high shock index say so",
                on: &[
                    (Condition::HeartRateHigh, SAID),
                    (Condition::HeartRateLow, SAID),
                    (Condition::HeartPause, SAID),
                    (Condition::BloodPressureLow, SAID),
                    (Condition::ShockIndexHigh, SAID),
                ],
            },
            // NICE CG146 (2012): whose risk of a fracture is to be assessed by age and sex alone.
            Self::Brittle => Row {
                says: "Of an age and sex in which bones break easily",
                effect: "a woman of 65 or more, or a man of 75 or more: a fall says that bones break easily",
                on: &[(Condition::Fall, SAID)],
            },
        }
    }

    fn on(self, condition: Condition) -> Option<Option<Priority>> {
        let of = self.row().on.iter().find(|(on, _)| *on == condition);
        of.map(|(_, priority)| *priority)
    }
}

/// What holds of all of them, at their places.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bearings([Option<Given>; BEARINGS]);

impl Bearings {
    /// The one, if it holds.
    #[must_use]
    pub fn get(&self, bearing: Bearing) -> Option<Given> {
        self.0.get(bearing as usize).copied().flatten()
    }

    pub(crate) fn set(&mut self, bearing: Bearing, given: Option<Given>) {
        if let Some(place) = self.0.get_mut(bearing as usize) {
            *place = given;
        }
    }

    /// Those that hold, in order.
    pub fn all(&self) -> impl Iterator<Item = (Bearing, Given)> {
        let given = Bearing::ALL.into_iter().zip(self.0);
        given.filter_map(|(bearing, given)| Some((bearing, given?)))
    }

    /// The priority that an alert of the condition has at least for what is known.
    pub(crate) fn least(&self, condition: Condition) -> Option<Priority> {
        let on = self.all().filter_map(|(bearing, _)| bearing.on(condition));
        on.flatten().max()
    }

    /// What an alert of the condition says of it.
    pub(crate) fn remarks(&self, condition: Condition) -> impl Iterator<Item = Evidence> {
        self.all().filter_map(move |(bearing, given)| {
            let urgent = bearing.on(condition)?;
            let row = bearing.row();
            Some(Evidence {
                kind: None,
                label: match urgent {
                    Some(priority) => format!(
                        "{} (at least {} priority for it)",
                        row.says,
                        priority.name()
                    ),
                    None => String::from(row.says),
                },
                value: given.value,
                limit: given.limit,
                avoided_at: None,
                effective: given.at,
                quality: Quality::GOOD,
                contribution: 0.0,
                known: true,
            })
        })
    }

    /// Does to an alert that is about to be raised what is known of the person.
    pub(crate) fn bear_upon(&self, draft: &mut Draft) {
        let least = self.least(draft.condition);
        draft.priority = least.map_or(draft.priority, |least| draft.priority.max(least));
        draft.evidence.extend(self.remarks(draft.condition));
    }
}

/// The table, for the hash that its card has.
#[must_use]
pub fn definition() -> String {
    let row = |bearing: Bearing| {
        let Row { says, on, .. } = bearing.row();
        format!("\n{bearing:?} {says:?} {on:?}")
    };
    Bearing::ALL
        .into_iter()
        .fold(String::from(MODEL), |text, of| text + &row(of))
}

crate::canonical_fields! {
    Given { at, value, limit }
    Bearings { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What makes an alert more urgent than the table of harm and onset has it would be a wrong table.
    #[test]
    fn no_row_asks_for_a_priority_that_its_condition_does_not_have() {
        for (place, bearing) in Bearing::ALL.into_iter().enumerate() {
            assert_eq!(bearing as usize, place);
            let row = bearing.row();
            assert!(!row.says.is_empty() && !row.effect.is_empty() && !row.on.is_empty());
            for (condition, priority) in row.on {
                let fits = priority.is_none_or(|priority| condition.may_be(priority));
                assert!(fits, "{bearing:?} on {condition:?}: {priority:?}");
            }
        }
    }

    #[test]
    fn more_of_what_is_known_makes_nothing_less_urgent() {
        let given = Some(Given::default());
        for condition in Condition::ALL {
            let mut known = Bearings::default();
            let mut least = known.least(condition);
            assert_eq!(least, None);
            for bearing in Bearing::ALL {
                known.set(bearing, given);
                assert!(known.least(condition) >= least, "{bearing:?} {condition:?}");
                least = known.least(condition);
            }
        }
    }
}
