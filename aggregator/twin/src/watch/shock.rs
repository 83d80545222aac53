//! The shock index: pulse by systolic pressure, beside what is usual for this person.
//!
//! Loss of fluid and blood raises the pulse before the pressure falls. 0.5 to 0.7 is usual, above 0.9 is of concern, 1 and more
//! is a high risk; but some people live at 0.9. So where this person's own index is known, it must be well above it; where
//! it is not, only 1 and more counts. Judged at each measurement of a cuff, with the pulse of that minute; on a walk not at all.
//!
//! Must not know: alerts' life, where the pulse came from.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Span, Time};

use super::usual::{Rule, Usual};
use super::{Model, Shown, Stand, Standing};
use crate::alert::Condition;
use crate::event::Blockade;
use crate::life::Say;

pub(super) const MODEL: Model = Model {
    name: "shock-index/2",
    condition: Condition::ShockIndexHigh,
    standing: Standing::Live,
    definition,
};

const CONCERN: f64 = 0.9;
const HIGH: f64 = 1.0;
const URGENT: f64 = 1.2;
/// Above one's own: by this, and by so many standard deviations.
const ABOVE: f64 = 0.2;
const SIGMAS: f64 = 3.0;
const BACK: f64 = 0.1;
const USUAL: Rule = Rule {
    points: 6,
    span: Span::from_mins(2 * 24 * 60),
    memory: 40.0,
    floor: 0.05,
};

/// What the cuff and the pulse said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shock {
    usual: Usual,
    /// The same since a beta blocker began or ended, and when that was.
    anew: Option<(Time, Usual)>,
    /// One was taken at the last pressure.
    blocked: bool,
    /// None: no pulse was known at the last pressure.
    newest: Option<f64>,
}

impl Shock {
    /// A systolic pressure that is about now.
    pub(super) fn take(
        &mut self,
        at: Time,
        systolic: f64,
        pulse: Option<f64>,
        blockade: Blockade,
    ) -> Option<Say> {
        self.heed(blockade);
        let pulse = pulse.filter(|_| systolic > 0.0);
        self.newest = pulse.map(|pulse| pulse / systolic);
        let index = self.newest?;
        let (cut, learned) = self.cut();
        self.usual.learn(&USUAL, at, index);
        if let Some((_, anew)) = &mut self.anew {
            anew.learn(&USUAL, at, index);
        }
        if index < cut {
            return (index < cut - BACK).then_some(Say::Resolve(MODEL.condition));
        }
        let urgent = index >= URGENT.max(cut);
        let pulse = index * systolic;
        let mut parts = Vec::from([
            (Some(Kind::HeartRate), "Pulse".into(), pulse, None, 0.5),
            (
                Some(Kind::SystolicPressure),
                "Systolic pressure".into(),
                systolic,
                None,
                0.5,
            ),
            (
                None,
                "Pulse by systolic pressure".into(),
                index,
                Some(cut),
                0.0,
            ),
        ]);
        let own = learned.map_or_else(String::new, |(level, _)| {
            parts.push((None, "Usual for this person".into(), level, None, 0.0));
            format!(", usually {level:.2}")
        });
        let draft = Shown {
            model: MODEL,
            priority: if urgent {
                MODEL.condition.worst()
            } else {
                MODEL.condition.base()
            },
            onset: at,
            at,
            summary: format!(
                "Shock index {index:.2} (pulse {pulse:.0}, systolic {systolic:.0}){own}; limit {cut:.2}."
            ),
            plain: "The pulse is fast for so low a blood pressure. Please measure again, and look for bleeding, fever and thirst.",
            parts,
            avoided: [Some(cut * systolic), Some(pulse / cut)],
            quality: Quality::GOOD,
        };
        Some(Say::Raise(draft.draft()))
    }

    fn heed(&mut self, blockade: Blockade) {
        self.blocked = blockade.taken;
        // What was learned since is nobody else's.
        let changed = blockade.changed.filter(|at| !self.usual.is_since(*at));
        self.anew = changed.map(|at| match self.anew {
            Some((since, usual)) if since == at => (since, usual),
            Some(_) | None => (at, Usual::default()),
        });
    }

    /// The limit, and what it rests on of this person.
    fn cut(&self) -> (f64, Option<(f64, f64)>) {
        let unknown = if self.blocked { CONCERN } else { HIGH };
        let of = |usual: &Usual| {
            let learned = usual.learned(&USUAL);
            let cut = learned.map_or(unknown, |(level, sigma)| {
                CONCERN.max(level + ABOVE.max(SIGMAS * sigma))
            });
            (cut, learned)
        };
        let before = of(&self.usual);
        let since = self.anew.as_ref().map(|(_, usual)| of(usual));
        since.filter(|since| since.0 < before.0).unwrap_or(before)
    }

    pub(super) fn stand(&self) -> Stand {
        Stand {
            figure: self.newest.ok_or("no pressure with a pulse at rest"),
            cut: self.cut().0,
        }
    }
}

fn definition() -> String {
    format!(
        "{} {CONCERN} {HIGH} {URGENT} {ABOVE} {SIGMAS} {BACK} {USUAL:?} blocked {CONCERN} anew",
        MODEL.name
    )
}

crate::canonical_fields! {
    Shock { usual, anew, blocked, newest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Priority;

    const NONE: Blockade = Blockade {
        taken: false,
        changed: None,
    };

    fn at(hours: i64) -> Time {
        Time::ZERO + Span::from_mins(60 * hours)
    }

    /// Somebody whose index was `usual` for a week, three times a day.
    fn person(usual: f64) -> Shock {
        let mut shock = Shock::default();
        for number in 0..21 {
            assert_eq!(
                shock
                    .take(at(8 * number), 120.0, Some(120.0 * usual), NONE)
                    .filter(|of| matches!(of, Say::Raise(_))),
                None
            );
        }
        shock
    }

    fn raised(shock: &mut Shock, systolic: f64, pulse: f64) -> Option<Priority> {
        match shock.take(at(200), systolic, Some(pulse), NONE) {
            Some(Say::Raise(draft)) => Some(draft.priority),
            Some(Say::Resolve(_) | Say::Find(..)) | None => None,
        }
    }

    #[test]
    fn bleeding_is_told_before_the_pressure_falls_far() {
        assert_eq!(
            raised(&mut person(0.6), 105.0, 100.0),
            Some(Priority::Medium)
        );
        assert_eq!(raised(&mut person(0.6), 80.0, 120.0), Some(Priority::High));
        assert_eq!(
            raised(&mut Shock::default(), 105.0, 100.0),
            None,
            "nothing is known of them"
        );
        assert_eq!(
            raised(&mut Shock::default(), 100.0, 100.0),
            Some(Priority::Medium)
        );
    }

    #[test]
    fn whoever_lives_at_a_high_index_is_not_told_of_each_day_but_of_the_worst() {
        assert_eq!(raised(&mut person(0.9), 110.0, 105.0), None);
        assert_eq!(raised(&mut person(0.9), 90.0, 115.0), Some(Priority::High));
    }

    #[test]
    fn without_a_pulse_it_abstains_and_ends_nothing() {
        let mut shock = person(0.6);
        assert!(shock.take(at(200), 90.0, None, NONE).is_none());
        assert!(shock.stand().figure.is_err());
    }

    #[test]
    fn a_beta_blocker_lowers_the_limit_and_never_raises_it() {
        let taken = |hours: i64| Blockade {
            taken: true,
            changed: Some(at(hours)),
        };
        let judge = |shock: &mut Shock, hours: i64, index: f64, blockade| {
            let said = shock.take(at(hours), 100.0, Some(100.0 * index), blockade);
            matches!(said, Some(Say::Raise(_)))
        };
        let mut unknown = Shock::default();
        assert!(judge(&mut unknown.clone(), 1, 0.95, taken(0)), "not known");
        assert!(!judge(&mut unknown, 1, 0.95, NONE));
        // Lives at 0.9, so 1.1 counts; then one begins, and the pulse is slower: what is usual since then is learned.
        let mut shock = person(0.9);
        assert!(libm::fabs(shock.cut().0 - 1.1) < 1e-9);
        for number in 0..12 {
            assert!(!judge(&mut shock, 170 + 8 * number, 0.6, taken(169)));
        }
        let mut without = person(0.9);
        for number in 0..12 {
            assert!(!judge(&mut without, 170 + 8 * number, 0.6, NONE));
        }
        assert!(judge(&mut shock.clone(), 300, 0.92, taken(169)));
        assert!(!judge(&mut without, 300, 0.92, NONE));
        // It ends: the pulse is faster, which the old limit tells; nothing is hidden.
        let ended = Blockade {
            taken: false,
            changed: Some(at(300)),
        };
        assert!(judge(&mut shock, 301, 1.2, ended));
        let mut low = person(0.6);
        assert!(
            judge(&mut low, 301, 0.95, ended),
            "as without, and not from 1 on"
        );
        // What was learned under it for years needs nothing anew.
        let mut long = person(0.9);
        assert!(!judge(&mut long, 301, 1.0, taken(-1)));
        assert_eq!(long.anew, None);
    }
}
