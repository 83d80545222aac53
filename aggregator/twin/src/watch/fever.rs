//! Fever: a core temperature of 38 °C and more, or one that is a degree above what is usual for this person.
//!
//! One reading can be a hot drink, a blanket or a thermometer in the sun, so 38 needs a second reading at least ten minutes
//! after it that is no lower than 37.8; 39 needs none. Sensors on the skin read lower, and each person's own: there the
//! second reading must be a degree above their usual level, too. Over at 37.5.
//!
//! Must not know: alerts' life, which thermometer it was.

use alloc::format;
use alloc::string::String;

use vitals::{Kind, Quality, Span, Time};

use super::usual::{Rule, Usual};
use super::{Model, Shown, Stand, Standing, one};
use crate::alert::{Condition, Priority};
use crate::life::Say;

pub(super) const MODEL: Model = Model {
    name: "fever/1",
    condition: Condition::Fever,
    standing: Standing::Live,
    definition,
};

const FEVER: f64 = 38.0;
const STILL: f64 = 37.8;
const HIGH: f64 = 39.0;
const EXTREME: f64 = 41.0;
const OVER: f64 = 37.5;
/// Above one's own level.
const OWN: f64 = 1.0;
const OWN_OVER: f64 = 0.5;
const AGAIN_AFTER: Span = Span::from_mins(10);
const AGAIN_WITHIN: Span = Span::from_mins(12 * 60);
const USUAL: Rule = Rule {
    points: 8,
    span: Span::from_mins(2 * 24 * 60),
    memory: 60.0,
    floor: 0.2,
};
/// A fever teaches nothing of what is usual; what lasts longer is another sensor, or another place of it.
const FROZEN: Span = Span::from_mins(3 * 24 * 60);
/// Streaming thermometers teach once in so long.
const LEARN_EACH: Span = Span::from_mins(60);

/// What thermometers said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fever {
    usual: Usual,
    learned_at: Option<Time>,
    newest: Option<f64>,
    /// The first and the last reading of what may be a fever.
    fever: Option<(Time, Time)>,
}

impl Fever {
    /// A temperature that is about now.
    pub(super) fn take(&mut self, at: Time, celsius: f64, quality: Quality) -> Option<Say> {
        self.newest = Some(celsius);
        let cut = self.cut();
        let own = cut - OWN;
        let frozen = self
            .fever
            .is_some_and(|(first, _)| at.since(first) < FROZEN);
        let due = self
            .learned_at
            .is_none_or(|last| at.since(last) >= LEARN_EACH);
        if due && !frozen {
            self.learned_at = Some(at);
            self.usual.learn(&USUAL, at, celsius);
        }
        let over = celsius <= OVER.min(own + OWN_OVER);
        if over {
            self.fever = None;
            return Some(Say::Resolve(MODEL.condition));
        }
        if celsius < cut.min(STILL) {
            return None;
        }
        let goes_on = self
            .fever
            .filter(|(_, last)| at.since(*last) <= AGAIN_WITHIN);
        let first = match goes_on {
            Some((first, _)) => first,
            None if celsius < cut => return None,
            None => at,
        };
        self.fever = Some((first, at));
        let confirmed = at.since(first) >= AGAIN_AFTER;
        if !confirmed && celsius < HIGH {
            return None;
        }
        let priority = if celsius >= EXTREME {
            MODEL.condition.worst()
        } else if celsius >= HIGH {
            Priority::Medium
        } else {
            MODEL.condition.base()
        };
        let usual = self.usual.learned(&USUAL);
        let own = usual.map_or_else(String::new, |(level, _)| format!(", usually {level:.1}"));
        let shown = Shown {
            model: MODEL,
            priority,
            onset: first,
            at,
            summary: format!("Temperature {celsius:.1} °C{own}; limit {cut:.1} °C."),
            plain: "The temperature is raised: this may be a fever.",
            parts: one(Some(Kind::BodyTemperature), "Temperature", celsius, cut),
            // One that is not confirmed is told because it is high.
            avoided: [Some(if confirmed { cut.min(STILL) } else { HIGH }), None],
            quality,
        };
        Some(Say::Raise(shown.draft()))
    }

    /// 38, or less for whoever's own level is below 37.
    fn cut(&self) -> f64 {
        let own = self.usual.learned(&USUAL).map(|(level, _)| level + OWN);
        own.map_or(FEVER, |own| own.min(FEVER))
    }

    pub(super) fn stand(&self) -> Stand {
        Stand {
            figure: self.newest.ok_or("no temperature measured"),
            cut: self.cut(),
        }
    }
}

fn definition() -> String {
    format!(
        "{} {FEVER} {STILL} {HIGH} {EXTREME} {OVER} own {OWN} {OWN_OVER} again {AGAIN_AFTER:?} {AGAIN_WITHIN:?} frozen {FROZEN:?} {USUAL:?}",
        MODEL.name
    )
}

crate::canonical_fields! {
    Fever { usual, learned_at, newest, fever }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Time {
        Time::ZERO + Span::from_mins(minutes)
    }

    /// Raises of a person whose usual level was `usual` for a week.
    fn said(usual: Option<f64>, readings: &[(i64, f64)]) -> alloc::vec::Vec<Priority> {
        let mut fever = Fever::default();
        for number in 0..28 {
            usual.and_then(|level| fever.take(at(number * 360), level, Quality::GOOD));
        }
        let raised = readings.iter().filter_map(|(minutes, celsius)| {
            match fever.take(at(20_000 + minutes), *celsius, Quality::GOOD)? {
                Say::Raise(draft) => Some(draft.priority),
                Say::Resolve(_) | Say::Find(..) => None,
            }
        });
        raised.collect()
    }

    #[test]
    fn a_hot_drink_is_no_fever_and_a_second_reading_is_one() {
        assert!(said(None, &[(0, 38.4), (15, 36.9), (240, 37.0)]).is_empty());
        assert!(
            said(None, &[(0, 38.4), (3, 38.4)]).is_empty(),
            "the same drink"
        );
        assert_eq!(said(None, &[(0, 38.0), (10, 37.8)]), [Priority::Low]);
        assert!(said(None, &[(0, 37.9), (10, 37.9)]).is_empty());
    }

    #[test]
    fn what_is_high_does_not_wait() {
        assert_eq!(said(None, &[(0, 39.0)]), [Priority::Medium]);
        assert_eq!(said(None, &[(0, 41.2)]), [Priority::High]);
    }

    #[test]
    fn a_sensor_on_the_skin_has_its_own_level() {
        assert_eq!(said(Some(34.5), &[(0, 35.6), (60, 35.7)]), [Priority::Low]);
        assert!(said(Some(34.5), &[(0, 35.3), (60, 35.3)]).is_empty());
        // An old person whose 37.6 is a fever.
        assert_eq!(said(Some(36.2), &[(0, 37.4), (60, 37.4)]), [Priority::Low]);
    }
}
