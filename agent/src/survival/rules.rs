//! PURE. The centre's threshold rules as they come over the line, checked: they hold as a whole, or those built in do.
//!
//! Promise: what is gone by keeps the floor of [`Rules::check`], whoever sent it.

use proto::v1::{self, Priority};
use twin::rules::{Cuts, Level, Levels, Rules};
use twin::{Condition, rule};
use vitals::Span;

/// `None`: they do not hold.
#[must_use]
pub fn parse(message: &v1::WatchRules) -> Option<Rules> {
    let mut rules = Rules::BUILT_IN;
    for of in &message.rules {
        let Some(condition) = Condition::of_threshold(&of.condition) else {
            continue;
        };
        *rule::cuts_mut(&mut rules, condition)? = cuts(of)?;
    }
    rules.check().is_empty().then_some(rules)
}

fn cuts(of: &v1::WatchRule) -> Option<Cuts> {
    let levels = of.levels.iter().map(level).collect::<Option<Vec<_>>>()?;
    Some(Cuts {
        levels: Levels::new(&levels)?,
        clear_by: of.clear_by,
        clear_hold: Span::from_secs(of.clear_hold_s.into()),
    })
}

fn level(of: &v1::WatchLevel) -> Option<Level> {
    Some(Level {
        cut: of.cut,
        hold: Span::from_secs(of.hold_s.into()),
        priority: match of.priority() {
            Priority::High => twin::Priority::High,
            Priority::Medium => twin::Priority::Medium,
            Priority::Low => twin::Priority::Low,
            Priority::Unspecified => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oxygen(levels: &[(f64, u32, Priority)]) -> v1::WatchRules {
        let level = |(cut, hold_s, priority): &(f64, u32, Priority)| v1::WatchLevel {
            cut: *cut,
            hold_s: *hold_s,
            priority: (*priority).into(),
        };
        v1::WatchRules {
            rules: vec![v1::WatchRule {
                condition: "oxygen_saturation_low".into(),
                levels: levels.iter().map(level).collect(),
                clear_by: 1.0,
                clear_hold_s: 60,
            }],
        }
    }

    #[test]
    fn what_holds_is_taken_and_the_rest_stays_as_built_in() {
        let sent = oxygen(&[(94.0, 30, Priority::Medium), (90.0, 30, Priority::High)]);
        let rules = parse(&sent).expect("stricter than the floor");
        assert_eq!(rules.oxygen_low.levels[1].cut, 90.0);
        assert_eq!(rules.heart_rate_low, Rules::BUILT_IN.heart_rate_low);
        assert_eq!(parse(&v1::WatchRules::default()), Some(Rules::BUILT_IN));
        // Of a newer centre.
        let mut unknown = sent;
        unknown.rules[0].condition = "lactate_high".into();
        assert_eq!(parse(&unknown), Some(Rules::BUILT_IN));
    }

    #[test]
    fn what_lacks_the_floor_or_makes_no_sense_does_not_hold() {
        for levels in [
            &[(92.0, 30, Priority::Medium)][..],
            &[(92.0, 30, Priority::Medium), (86.0, 30, Priority::High)],
            &[(92.0, 30, Priority::Medium), (88.0, 300, Priority::High)],
            &[(f64::NAN, 30, Priority::High)],
            &[
                (92.0, 30, Priority::Unspecified),
                (88.0, 30, Priority::High),
            ],
            &[],
        ] {
            assert_eq!(parse(&oxygen(levels)), None, "{levels:?}");
        }
    }
}
