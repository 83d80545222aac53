//! What a gateway must obey, from the registry: its whole list of assignments, its settings, and batches to set
//! aside.
//!
//! Invariant: a command's number is the position of the entry that it rests on, so numbers rise strictly, survive a
//! restart, and need no counter. Must not know: connections, signatures.

use proto::v1::{self, Command, RefusalReason, command};
use vitals::GatewayId;

use crate::registry::{Books, SET_ASIDE_KEPT, Will};

/// Commands that a gateway has open, at most: its orders, its list and its settings.
pub(super) const MOST: usize = SET_ASIDE_KEPT + 2;

/// The commands with a number above `after`, in order.
pub(super) fn newer(books: &Books, gateway: &GatewayId, after: u64) -> Vec<Command> {
    let (list_changed, configuration, orders) = {
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
    commands.extend(list_changed.map(|position| Command {
        gateway: gateway.as_str().into(),
        number: position.0,
        kind: Some(command::Kind::Assignments(assignments(books, gateway))),
    }));
    commands.sort_by_key(|command| command.number);
    commands
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
