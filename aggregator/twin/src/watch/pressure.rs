//! A blood pressure that is too low for the organs, by the mean arterial pressure of a cuff: below 65 mmHg is hypotension
//! (the event of the published models), 72 the limit that a simple rule needs to do as well as they do (clinical notes beside the
//! cards). Here one's own usual counts, too: whoever lives at 75 is told of less.
//!
//! Between cuffs that follow each other within an hour the line through the last ones is drawn on for half an hour. One value
//! below 65 asks for a second measurement (medium); two within half an hour, or one below 55, are urgent (high).
//! Must not know: alerts' life, where the values come from.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Span, Time};

use super::usual::{Rule, Usual};
use super::{Model, Shown, Stand, Standing};
use crate::alert::Condition;
use crate::life::Say;

pub(super) const MODEL: Model = Model {
    name: "low-pressure/1",
    condition: Condition::BloodPressureLow,
    standing: Standing::Live,
    definition,
};

/// Mean arterial pressure, mmHg.
const EVENT: f64 = 65.0;
const URGENT: f64 = 55.0;
const CUT: f64 = 72.0;
const BACK: f64 = 4.0;
/// One's own level minus so many standard deviations, if that is lower than [`CUT`].
const SIGMAS: f64 = 2.0;
const AGAIN: Span = Span::from_mins(30);
/// Cuffs that are one line, and how far it is drawn on.
const LINE: usize = 3;
const APART: Span = Span::from_mins(60);
const AHEAD: Span = Span::from_mins(30);
const USUAL: Rule = Rule {
    points: 6,
    span: Span::from_mins(2 * 24 * 60),
    memory: 40.0,
    floor: 4.0,
};

/// A measurement of a cuff, mmHg. What it did not tell is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cuff {
    pub(crate) systolic: Option<f64>,
    pub(crate) diastolic: Option<f64>,
    pub(crate) mean: Option<f64>,
}

impl Cuff {
    /// The mean as told, else a third above the diastolic one.
    pub(crate) fn mean(&self) -> Option<f64> {
        let worked_out = || Some((self.systolic? + 2.0 * self.diastolic?) / 3.0);
        self.mean.or_else(worked_out)
    }
}

/// What the cuffs said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pressure {
    usual: Usual,
    /// The last measurements that follow each other.
    line: Vec<(Time, f64)>,
    last_event: Option<Time>,
}

impl Pressure {
    /// A measurement that is about now.
    pub(super) fn take(&mut self, at: Time, cuff: &Cuff) -> Option<Say> {
        let mean = cuff.mean()?;
        let cut = self.cut();
        let learned = self.usual.learned(&USUAL);
        self.usual.learn(&USUAL, at, mean);
        if self
            .line
            .last()
            .is_some_and(|(last, _)| at.since(*last) > APART)
        {
            self.line.clear();
        }
        if self.line.len() >= LINE {
            self.line.remove(0);
        }
        self.line.push((at, mean));
        let ahead = self.ahead();
        let falls = mean < cut + BACK && ahead.is_some_and(|ahead| ahead < EVENT);
        if mean >= cut && !falls {
            return (mean >= cut + BACK).then_some(Say::Resolve(MODEL.condition));
        }
        let again = self.last_event.is_some_and(|last| at.since(last) <= AGAIN);
        let event = mean < EVENT;
        if event {
            self.last_event = Some(at);
        }
        let urgent = mean < URGENT || event && again;
        let mut parts = Vec::from([(
            Some(Kind::MeanPressure),
            "Mean arterial pressure".into(),
            mean,
            Some(cut),
            1.0,
        )]);
        if let Some(ahead) = ahead.filter(|_| falls) {
            let label = "In half an hour, as the last measurements go".into();
            parts.push((Some(Kind::MeanPressure), label, ahead, Some(EVENT), 1.0));
        }
        if let Some((level, _)) = learned {
            let label = "Usual for this person".into();
            parts.push((Some(Kind::MeanPressure), label, level, None, 0.0));
        }
        let shown = Shown {
            model: MODEL,
            priority: if urgent {
                MODEL.condition.worst()
            } else {
                MODEL.condition.base()
            },
            onset: at,
            at,
            summary: format!(
                "Mean arterial pressure {mean:.0} mmHg; limit {cut:.0}, hypotension below {EVENT}."
            ),
            plain: "The blood pressure is low. Please sit or lie down, drink if you may, and measure again in ten minutes.",
            parts,
            // As long as it falls, it has to be further away.
            avoided: [Some(if falls { cut + BACK } else { cut }), None],
            quality: Quality::GOOD,
        };
        Some(Say::Raise(shown.draft()))
    }

    fn cut(&self) -> f64 {
        let own = self.usual.learned(&USUAL);
        own.map_or(CUT, |(level, sigma)| {
            (level - SIGMAS * sigma).clamp(EVENT, CUT)
        })
    }

    /// Where the line through the last measurements is after [`AHEAD`].
    fn ahead(&self) -> Option<f64> {
        let (first, last) = (self.line.first()?, self.line.last()?);
        let over = last.0.since(first.0).as_secs_f64();
        let falls = self.line.len() == LINE && over > 0.0;
        falls.then(|| last.1 + (last.1 - first.1) / over * AHEAD.as_secs_f64())
    }

    pub(super) fn stand(&self) -> Stand {
        let newest = self.line.last().map(|(_, mean)| *mean);
        Stand {
            figure: newest.ok_or("no systolic and diastolic pressure"),
            cut: self.cut(),
        }
    }
}

fn definition() -> String {
    format!(
        "{} {EVENT} {URGENT} {CUT} {BACK} {SIGMAS} {AGAIN:?} {LINE} {APART:?} {AHEAD:?} {USUAL:?}",
        MODEL.name
    )
}

crate::canonical_fields! {
    Cuff { systolic, diastolic, mean }
    Pressure { usual, line, last_event }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Priority;

    fn at(minute: i64) -> Time {
        Time::ZERO + Span::from_mins(minute)
    }

    fn cuff(systolic: f64, diastolic: f64) -> Cuff {
        Cuff {
            systolic: Some(systolic),
            diastolic: Some(diastolic),
            mean: None,
        }
    }

    /// Somebody measured three times a day for a week.
    fn person(systolic: f64, diastolic: f64) -> Pressure {
        let mut pressure = Pressure::default();
        for number in 0..21 {
            let said = pressure.take(at(480 * number), &cuff(systolic, diastolic));
            assert!(!matches!(said, Some(Say::Raise(_))) || number < 12);
        }
        pressure
    }

    fn raised(pressure: &mut Pressure, minute: i64, cuff: &Cuff) -> Option<Priority> {
        match pressure.take(at(minute), cuff) {
            Some(Say::Raise(draft)) => Some(draft.priority),
            Some(Say::Resolve(_) | Say::Find(..)) | None => None,
        }
    }

    #[test]
    fn low_is_told_and_a_second_time_is_urgent() {
        let mut pressure = person(125.0, 80.0);
        assert_eq!(raised(&mut pressure, 20_000, &cuff(95.0, 62.0)), None);
        assert_eq!(
            raised(&mut pressure, 21_000, &cuff(84.0, 50.0)),
            Some(Priority::Medium)
        );
        assert_eq!(
            raised(&mut pressure, 21_010, &cuff(85.0, 52.0)),
            Some(Priority::High)
        );
        assert_eq!(
            raised(&mut person(125.0, 80.0), 21_000, &cuff(70.0, 40.0)),
            Some(Priority::High),
            "one below 55"
        );
    }

    #[test]
    fn whoever_lives_low_is_told_of_less() {
        assert_eq!(
            raised(&mut person(98.0, 62.0), 20_000, &cuff(92.0, 60.0)),
            None
        );
        assert_eq!(
            raised(&mut person(125.0, 80.0), 20_000, &cuff(92.0, 60.0)),
            Some(Priority::Medium)
        );
    }

    #[test]
    fn a_line_that_falls_is_told_before_its_end() {
        let mut pressure = person(125.0, 80.0);
        assert_eq!(raised(&mut pressure, 20_000, &cuff(115.0, 72.0)), None);
        assert_eq!(raised(&mut pressure, 20_020, &cuff(106.0, 66.0)), None);
        // 73 now, and 20 less an hour.
        let mean = Cuff {
            mean: Some(73.0),
            ..cuff(0.0, 0.0)
        };
        assert_eq!(raised(&mut pressure, 20_040, &mean), Some(Priority::Medium));
    }

    #[test]
    fn without_a_diastolic_value_it_abstains() {
        let mut pressure = Pressure::default();
        let alone = Cuff {
            diastolic: None,
            ..cuff(70.0, 0.0)
        };
        assert_eq!(pressure.take(at(0), &alone), None);
        assert!(pressure.stand().figure.is_err());
    }
}
