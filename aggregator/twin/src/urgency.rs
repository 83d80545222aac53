//! How urgent each condition is, and why: the table of IEC 60601-1-8 (clause 6.1.2, table 1), which gives a priority for the
//! harm that follows where nobody responds, and for how soon it does.
//!
//! Each condition names its dangers, mildest first: the one that it always has gives its *base* priority, and later ones what
//! it becomes when it is worse. What is technical harms nobody by itself: its harm is that of what is not seen meanwhile, and
//! that comes later than what is seen, so its onset is never sooner than *delayed*.
//!
//! Promises: no alert of a condition has a priority that is not one of its dangers', but where facts about the patient say
//! otherwise ([`KNOWN_FIBRILLATION`]); a test holds every row. Which harm and onset a condition has is a judgement of
//! medicine, made from the references in `MODELS.md` by people who are no clinicians: it is to be reviewed by one.
//!
//! Must not know: rules, cuts, who is called.

use crate::alert::{Condition, Priority};

/// What may follow where nobody responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// Discomfort, or an injury that heals by itself.
    Minor,
    /// An injury that can be mended.
    Reversible,
    /// Death, or an injury that stays.
    Irreversible,
}

/// How soon it may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Onset {
    /// Not within tens of minutes.
    Delayed,
    /// Within minutes to tens of minutes: there is time to have somebody come or call.
    Prompt,
    /// Within seconds to a few minutes.
    Immediate,
}

/// The standard's table. Where it leaves a choice between low priority and none, it is low: people at home have nobody beside them.
#[must_use]
pub const fn priority(harm: Harm, onset: Onset) -> Priority {
    match (harm, onset) {
        (Harm::Irreversible, Onset::Immediate | Onset::Prompt)
        | (Harm::Reversible, Onset::Immediate) => Priority::High,
        (Harm::Irreversible, Onset::Delayed)
        | (Harm::Reversible, Onset::Prompt)
        | (Harm::Minor, Onset::Immediate) => Priority::Medium,
        (Harm::Reversible, Onset::Delayed) | (Harm::Minor, Onset::Prompt | Onset::Delayed) => {
            Priority::Low
        }
    }
}

/// What a condition threatens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Danger {
    /// What may follow.
    pub harm: Harm,
    /// How soon.
    pub onset: Onset,
    /// Why it is so.
    pub why: &'static str,
}

impl Danger {
    /// As the table has it.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        priority(self.harm, self.onset)
    }
}

const fn danger(harm: Harm, onset: Onset, why: &'static str) -> Danger {
    Danger { harm, onset, why }
}

/// Atrial fibrillation of somebody who is known to have it: strokes are being prevented already, and what is left is that it
/// is back.
pub const KNOWN_FIBRILLATION: Danger = danger(
    Harm::Reversible,
    Onset::Delayed,
    "known, and looked after as such: what is new is the episode",
);

use Harm::{Irreversible, Minor, Reversible};
use Onset::{Delayed, Prompt};

impl Condition {
    /// What it threatens with, mildest first; never empty.
    #[must_use]
    pub const fn dangers(self) -> &'static [Danger] {
        match self {
            Self::AtrialFibrillation => {
                const {
                    &[danger(
                        Irreversible,
                        Delayed,
                        "a stroke, over days to months where nobody prevents it",
                    )]
                }
            }
            Self::OxygenSaturationFalling => {
                const {
                    &[danger(
                        Reversible,
                        Prompt,
                        "foreseen to be low within half an hour",
                    )]
                }
            }
            Self::GlucoseRising => {
                const {
                    &[danger(
                        Reversible,
                        Delayed,
                        "foreseen to be high within half an hour: thirst, and time to act before ketones rise",
                    )]
                }
            }
            Self::OxygenSaturationLow => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "three points of NEWS2, an urgent review",
                        ),
                        danger(
                            Irreversible,
                            Prompt,
                            "so low, or so long, that organs suffer",
                        ),
                    ]
                }
            }
            Self::HeartRateHigh => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "three points of NEWS2, an urgent review",
                        ),
                        danger(
                            Irreversible,
                            Prompt,
                            "a tachycardia under which the circulation may fail",
                        ),
                    ]
                }
            }
            Self::HeartRateLow => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "three points of NEWS2, an urgent review; faints and falls",
                        ),
                        danger(
                            Irreversible,
                            Prompt,
                            "a block of the heart's conduction, before a standstill",
                        ),
                    ]
                }
            }
            Self::EarlyWarningScore => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "the college asks for an urgent response within the hour",
                        ),
                        danger(
                            Irreversible,
                            Prompt,
                            "the college asks for an emergency response",
                        ),
                    ]
                }
            }
            Self::GlucoseLow => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "below 70 mg/dL: sugar, before thinking suffers",
                        ),
                        danger(
                            Irreversible,
                            Prompt,
                            "below 54 mg/dL: fits, loss of consciousness",
                        ),
                    ]
                }
            }
            Self::GlucoseHigh => {
                const {
                    &[danger(
                        Irreversible,
                        Delayed,
                        "ketoacidosis, over hours to days",
                    )]
                }
            }
            Self::GlucoseFalling => {
                const {
                    &[danger(
                        Reversible,
                        Prompt,
                        "foreseen to be low within half an hour",
                    )]
                }
            }
            Self::HeartPause => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "faints and falls, when the next one is longer",
                        ),
                        danger(
                            Irreversible,
                            Onset::Immediate,
                            "a standstill of four seconds or more",
                        ),
                    ]
                }
            }
            Self::ShockIndexHigh => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "loss of blood or water that the heart still makes up for",
                        ),
                        danger(Irreversible, Prompt, "a circulation that is about to fail"),
                    ]
                }
            }
            Self::Fever => {
                const {
                    &[
                        danger(
                            Reversible,
                            Delayed,
                            "an infection, to be looked at within the day",
                        ),
                        danger(
                            Reversible,
                            Prompt,
                            "39 degrees and more: one that may become grave within hours",
                        ),
                        danger(Irreversible, Prompt, "41 degrees and more: the heat itself"),
                    ]
                }
            }
            Self::RestingHeartRateRaised => {
                const {
                    &[danger(
                        Reversible,
                        Delayed,
                        "an illness that may come, days ahead",
                    )]
                }
            }
            Self::HeartFailureDrift => {
                const {
                    &[danger(
                        Irreversible,
                        Delayed,
                        "decompensation, days ahead: a stay in hospital or worse",
                    )]
                }
            }
            Self::BreathingDrift => {
                const {
                    &[danger(
                        Irreversible,
                        Delayed,
                        "failing respiration, hours ahead",
                    )]
                }
            }
            Self::BloodPressureLow => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "faints and falls; kidneys suffer where it lasts",
                        ),
                        danger(Irreversible, Prompt, "organs get too little blood"),
                    ]
                }
            }
            Self::Fall => {
                const {
                    &[
                        danger(
                            Reversible,
                            Prompt,
                            "somebody lies, perhaps hurt, and may get up",
                        ),
                        danger(
                            Irreversible,
                            Prompt,
                            "somebody lies and does not get up: a bleeding, or a long lie",
                        ),
                    ]
                }
            }
            Self::SensorOff => {
                const {
                    &[danger(
                        Reversible,
                        Delayed,
                        "one thing is not measured; the others are",
                    )]
                }
            }
            Self::BatteryLow => {
                const {
                    &[danger(
                        Minor,
                        Delayed,
                        "a sensor will be silent within days",
                    )]
                }
            }
            Self::DeviceSilent => {
                const {
                    &[danger(
                        Reversible,
                        Delayed,
                        "one thing is not measured; the others are",
                    )]
                }
            }
            Self::DeviceLost => {
                const {
                    &[danger(
                        Reversible,
                        Delayed,
                        "one thing is not measured; people leave the house",
                    )]
                }
            }
            Self::GatewaySilent => {
                const {
                    &[danger(
                        Irreversible,
                        Delayed,
                        "nobody here would see anything; the gateway tells the home of what is most urgent",
                    )]
                }
            }
            Self::ClockWrong => {
                const {
                    &[danger(
                        Reversible,
                        Delayed,
                        "one thing is set aside; the others are not",
                    )]
                }
            }
            Self::NotMonitored => {
                const {
                    &[danger(
                        Irreversible,
                        Delayed,
                        "nobody would see anything until somebody comes",
                    )]
                }
            }
            Self::GlucoseSensorPressed => {
                const {
                    &[danger(
                        Reversible,
                        Delayed,
                        "sugar that is taken against a low that is none",
                    )]
                }
            }
            Self::AnotherWearer => {
                const {
                    &[danger(
                        Reversible,
                        Delayed,
                        "one person is not measured, and another is taken for them",
                    )]
                }
            }
        }
    }

    /// The priority of its mildest danger: no alert of it is less urgent.
    #[must_use]
    pub const fn base(self) -> Priority {
        let dangers = self.dangers();
        dangers[0].priority()
    }

    /// The priority of its worst danger.
    #[must_use]
    pub const fn worst(self) -> Priority {
        let dangers = self.dangers();
        dangers[dangers.len() - 1].priority()
    }

    /// True for what an alert of it may have: one of its dangers', or that of what is known about the patient.
    #[must_use]
    pub fn may_be(self, priority: Priority) -> bool {
        let known = matches!(self, Self::AtrialFibrillation).then_some(KNOWN_FIBRILLATION);
        let mut all = self.dangers().iter().copied().chain(known);
        all.any(|danger| danger.priority() == priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Category;
    use crate::rule;
    use crate::rules::Rules;

    /// The standard's table, written out.
    #[test]
    fn the_table_is_that_of_the_standard() {
        use Onset::Immediate;
        use Priority::{High, Low, Medium};
        for (harm, row) in [
            (Irreversible, [High, High, Medium]),
            (Reversible, [High, Medium, Low]),
            (Minor, [Medium, Low, Low]),
        ] {
            let got = [Immediate, Prompt, Delayed].map(|onset| priority(harm, onset));
            assert_eq!(got, row, "{harm:?}");
        }
    }

    /// Every condition's priorities as teams know them: a change of urgency is a change of this text.
    #[test]
    fn every_condition_has_the_priority_of_its_row() {
        use Priority::{High, Low, Medium};
        let expected: [(Condition, &[Priority]); 27] = [
            (Condition::AtrialFibrillation, &[Medium]),
            (Condition::OxygenSaturationFalling, &[Medium]),
            (Condition::OxygenSaturationLow, &[Medium, High]),
            (Condition::HeartRateHigh, &[Medium, High]),
            (Condition::HeartRateLow, &[Medium, High]),
            (Condition::EarlyWarningScore, &[Medium, High]),
            (Condition::GlucoseLow, &[Medium, High]),
            (Condition::GlucoseHigh, &[Medium]),
            (Condition::GlucoseFalling, &[Medium]),
            (Condition::GlucoseRising, &[Low]),
            (Condition::HeartPause, &[Medium, High]),
            (Condition::ShockIndexHigh, &[Medium, High]),
            (Condition::Fever, &[Low, Medium, High]),
            (Condition::RestingHeartRateRaised, &[Low]),
            (Condition::HeartFailureDrift, &[Medium]),
            (Condition::BreathingDrift, &[Medium]),
            (Condition::BloodPressureLow, &[Medium, High]),
            (Condition::Fall, &[Medium, High]),
            (Condition::SensorOff, &[Low]),
            (Condition::BatteryLow, &[Low]),
            (Condition::DeviceSilent, &[Low]),
            (Condition::DeviceLost, &[Low]),
            (Condition::GatewaySilent, &[Medium]),
            (Condition::ClockWrong, &[Low]),
            (Condition::NotMonitored, &[Medium]),
            (Condition::GlucoseSensorPressed, &[Low]),
            (Condition::AnotherWearer, &[Low]),
        ];
        assert_eq!(expected.map(|(condition, _)| condition), Condition::ALL);
        for (condition, priorities) in expected {
            let got = condition.dangers().iter().map(Danger::priority);
            assert!(got.eq(priorities.iter().copied()), "{condition:?}");
            assert_eq!(priorities.first(), Some(&condition.base()));
            assert_eq!(priorities.last(), Some(&condition.worst()));
            assert!(priorities.is_sorted_by(|a, b| a < b), "{condition:?}");
            assert!(condition.dangers().iter().all(|of| !of.why.is_empty()));
        }
    }

    #[test]
    fn what_is_technical_harms_by_what_is_not_seen() {
        for condition in Condition::ALL {
            let technical = condition.category() == Category::Technical;
            let delayed = condition.dangers().iter().all(|of| of.onset == Delayed);
            assert!(delayed || !technical, "{condition:?}");
        }
    }

    #[test]
    fn what_is_built_in_is_as_urgent_as_the_table_says() {
        for scale_2 in [false, true] {
            for of in rule::thresholds(&Rules::BUILT_IN, scale_2) {
                let reached = of.levels.iter().map(|level| level.priority);
                assert_eq!(reached.clone().min(), Some(of.condition.base()));
                assert_eq!(reached.max(), Some(of.condition.worst()));
            }
        }
    }

    #[test]
    fn what_is_known_about_a_patient_makes_one_thing_milder_and_no_other() {
        assert_eq!(KNOWN_FIBRILLATION.priority(), Priority::Low);
        for condition in Condition::ALL {
            let milder = condition.base() > Priority::Low && condition.may_be(Priority::Low);
            assert_eq!(milder, condition == Condition::AtrialFibrillation);
        }
    }
}
