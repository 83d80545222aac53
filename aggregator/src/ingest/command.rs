//! What a gateway must obey, from the registry: its whole list of assignments, its settings, the rules that it goes by while it is
//! alone, and batches to set aside.
//!
//! Invariant: a command's number is the position of the entry that it rests on, so numbers rise strictly, survive a
//! restart, and need no counter. Must not know: connections, signatures.

use proto::v1::{self, Command, RefusalReason, command};
use twin::rules::Level;
use twin::{Condition, rule};
use vitals::{GatewayId, Span};

use crate::journal::Position;
use crate::registry::{Books, Registry, SET_ASIDE_KEPT, Will};
use crate::rules::{self, RuleSet};

/// Commands that a gateway has open, at most: its orders, its list, its settings and the rules.
pub(super) const MOST: usize = SET_ASIDE_KEPT + 3;

/// The commands with a number above `after`, in order.
pub(super) fn newer(books: &Books, gateway: &GatewayId, after: u64) -> Vec<Command> {
    let (list_changed, configuration, rules, orders) = {
        let registry = books.registry();
        let Some(of) = registry.gateway(gateway) else {
            return Vec::new();
        };
        let orders = of
            .set_aside
            .iter()
            .filter(|(position, ..)| position.0 > after);
        (
            of.list_changed.filter(|position| position.0 > after),
            of.configuration
                .clone()
                .filter(|(position, _)| position.0 > after),
            rules(&registry, after),
            orders.cloned().collect::<Vec<_>>(),
        )
    };
    let mut commands: Vec<Command> = orders
        .into_iter()
        .map(|(position, context, numbers)| Command {
            gateway: gateway.as_str().into(),
            number: position.0,
            kind: Some(command::Kind::SetAside(v1::SetAside {
                context: context.0.to_vec(),
                numbers,
                reason: RefusalReason::Forged.into(),
            })),
        })
        .collect();
    commands.extend(configuration.map(|(position, settings)| Command {
        gateway: gateway.as_str().into(),
        number: position.0,
        kind: Some(command::Kind::Configuration(v1::Configuration { settings })),
    }));
    commands.extend(rules.map(|(position, rules)| Command {
        gateway: gateway.as_str().into(),
        number: position.0,
        kind: Some(command::Kind::Rules(watch_rules(&rules))),
    }));
    commands.extend(list_changed.map(|position| Command {
        gateway: gateway.as_str().into(),
        number: position.0,
        kind: Some(command::Kind::Assignments(assignments(books, gateway))),
    }));
    commands.sort_by_key(|command| command.number);
    commands
}

/// The rules in force, if they were decided after that; what this program cannot read changes nothing.
fn rules(registry: &Registry, after: u64) -> Option<(Position, RuleSet)> {
    let decided = registry.rules().next().filter(|one| one.at.0 > after)?;
    Some((decided.at, rules::in_force(registry, decided.at)))
}

fn watch_rules(set: &RuleSet) -> v1::WatchRules {
    let level = |of: &Level| v1::WatchLevel {
        cut: of.cut,
        hold_s: seconds(of.hold),
        priority: match of.priority {
            twin::Priority::Low => v1::Priority::Low,
            twin::Priority::Medium => v1::Priority::Medium,
            twin::Priority::High => v1::Priority::High,
        }
        .into(),
    };
    let of = |condition: Condition| {
        let cuts = rule::cuts(&set.rules, condition)?;
        Some(v1::WatchRule {
            condition: condition.name().into(),
            levels: cuts.levels.iter().map(level).collect(),
            clear_by: cuts.clear_by,
            clear_hold_s: seconds(cuts.clear_hold),
        })
    };
    v1::WatchRules {
        rules: rule::THRESHOLDS.into_iter().filter_map(of).collect(),
    }
}

/// Rules that hold have whole seconds, ten minutes at most.
fn seconds(span: Span) -> u32 {
    u32::try_from(span.as_micros() / 1_000_000).unwrap_or(0)
}

fn assignments(books: &Books, gateway: &GatewayId) -> v1::AssignmentList {
    let found: Vec<_> = {
        let registry = books.registry();
        registry
            .streams_at(gateway)
            .filter_map(|(stream, of)| {
                let keys = &registry.patient(&of.patient)?.keys;
                let (_, public) = keys.iter().find(|(id, _)| *id == of.key_id)?;
                Some((stream, of.key_id, *public, of.from))
            })
            .collect()
    };
    let assignments = found
        .into_iter()
        .map(|(stream, key_id, public, from)| v1::Assignment {
            stream: stream.0.to_vec(),
            key_id: key_id.0.to_vec(),
            public_key: public.0.to_vec(),
            devices: books.devices(stream),
            effective_from_us: from.as_micros(),
        });
    // A stream without devices has ended; its backlog is still taken.
    let assignments = assignments
        .filter(|assignment| !assignment.devices.is_empty())
        .collect();
    v1::AssignmentList {
        assignments,
        withheld: withheld(books, gateway),
    }
}

fn withheld(books: &Books, gateway: &GatewayId) -> Vec<v1::Withheld> {
    let registry = books.registry();
    let wills = registry.patients().map(|(_, patient)| &patient.will);
    let of = |will: &Will| -> Vec<v1::Withheld> {
        let here = will.withheld.iter().filter(|of| of.gateway == *gateway);
        here.map(|of| v1::Withheld {
            stream: of.stream.0.to_vec(),
            collection: will.collection.into(),
            since_us: will.since.as_micros(),
            erase_unsent: will.erase_unsent,
        })
        .collect()
    };
    wills.flat_map(of).collect()
}
