//! Rules that a centre changed: they judge what comes from then on, alerts name them, and the floor stays.

use std::sync::Arc;

use twin::event::Context;
use twin::facts::{Fact, FactKind};
use twin::rules::{Level, Levels, Rules};
use twin::{Condition, Event, Priority, Twin, rule};
use vitals::Span;

use crate::support::{World, fact, oxygen, pulse};

fn levels(of: &[(f64, i64, Priority)]) -> Levels {
    let level = |(cut, hold, priority): &(f64, i64, Priority)| Level {
        cut: *cut,
        hold: Span::from_secs(*hold),
        priority: *priority,
    };
    Levels::new(&of.iter().map(level).collect::<Vec<_>>()).expect("one to three")
}

/// Told below 95 %, and of high priority below 90.
fn strict() -> Rules {
    let mut rules = Rules::BUILT_IN;
    rules.oxygen_low.levels = levels(&[(95.0, 30, Priority::Medium), (90.0, 30, Priority::High)]);
    assert_eq!(rules.check(), []);
    rules
}

fn hash(rules: &Rules) -> [u8; 16] {
    rule::fingerprint(&rule::definition(rules, &Context::default()))
}

#[test]
fn what_comes_is_judged_by_the_rules_in_force_and_names_them() {
    let mut world = World::new();
    world.live((1..120).map(|second| oxygen(second, 94.0)));
    assert!(world.active(Condition::OxygenSaturationLow).is_none());
    let rules = Arc::new(strict());
    world.event(120, Event::Rules(Arc::clone(&rules)));
    world.live((121..160).map(|second| oxygen(second, 94.0)));
    let low = world
        .active(Condition::OxygenSaturationLow)
        .expect("below 95");
    assert_eq!(low.priority, Priority::Medium);
    assert!(low.summary.contains("below 95"), "{}", low.summary);
    assert_eq!(low.model_hash, hash(&rules));
    assert_ne!(low.model_hash, hash(&Rules::BUILT_IN));
    world.live((160..220).map(|second| oxygen(second, 89.0)));
    let low = world.active(Condition::OxygenSaturationLow).expect("still");
    assert_eq!(low.priority, Priority::High, "nearer than the built-in 88");
    // Back to what is built in: 94 % is normal again, and ends it.
    world.event(220, Event::Rules(Arc::default()));
    world.live((221..320).map(|second| oxygen(second, 94.0)));
    assert!(world.active(Condition::OxygenSaturationLow).is_none());
    assert_eq!(*world.twin.rules(), Rules::BUILT_IN);
}

#[test]
fn what_is_built_in_is_no_change_at_all() {
    let bytes = |twin: &Twin| {
        let mut bytes = Vec::new();
        twin.canonical_bytes(&mut bytes);
        bytes
    };
    let built_in = Arc::new(Rules::BUILT_IN);
    assert_eq!(bytes(&Twin::new().under(&built_in)), bytes(&Twin::new()));
    let other = bytes(&Twin::new().under(&Arc::new(strict())));
    assert_ne!(other, bytes(&Twin::new()), "control");
}

#[test]
fn the_score_calls_when_the_rules_say() {
    // 2 for saturation and 1 for the pulse.
    let seen = |urgent| {
        let mut rules = Rules::BUILT_IN;
        rules.early_warning.urgent = urgent;
        assert_eq!(rules.check(), []);
        let mut world = World::new();
        world.event(1, Event::Rules(Arc::new(rules)));
        world.live((2..2400).flat_map(|second| [oxygen(second, 93.0), pulse(second, 100.0)]));
        world
            .active(Condition::EarlyWarningScore)
            .map(|alert| alert.model_hash)
    };
    let of = |urgent| {
        let mut rules = Rules::BUILT_IN.early_warning;
        rules.urgent = urgent;
        rule::fingerprint(&twin::news2::definition(&rules))
    };
    assert_eq!(seen(3), Some(of(3)));
    assert_eq!(seen(5), None);
}

#[test]
fn a_limit_of_their_own_stands_before_the_rules_and_never_beyond_the_floor() {
    let own = |value| Fact {
        value: Some(value),
        ..fact("own", FactKind::Limit, "heart_rate_low")
    };
    let mut rules = Rules::BUILT_IN;
    rules.heart_rate_low.levels =
        levels(&[(50.0, 30, Priority::Medium), (45.0, 30, Priority::High)]);
    assert_eq!(rules.check(), []);
    let at = |own: Option<Fact>, rate: f64| {
        let mut world = World::new();
        world.event(1, Event::Rules(Arc::new(rules.clone())));
        world.facts(2, own.into_iter().collect());
        world.live((3..200).map(|second| pulse(second, rate)));
        let low = world.active(Condition::HeartRateLow);
        low.map(|alert| alert.priority)
    };
    assert_eq!(at(None, 48.0), Some(Priority::Medium));
    assert_eq!(at(Some(own(47.0)), 48.0), None);
    assert_eq!(at(Some(own(47.0)), 46.0), Some(Priority::Medium));
    assert_eq!(at(Some(own(32.0)), 44.0), Some(Priority::High), "stays");
}
