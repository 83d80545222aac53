//! What a gateway must obey, from the registry: its whole list of assignments, and batches to set aside.
//!
//! Invariant: a command's number is the position of the entry that it rests on, so numbers rise strictly, survive a
//! restart, and need no counter. Must not know: connections, signatures.

use proto::v1::{self, Command, RefusalReason, command};
use vitals::GatewayId;

use crate::registry::{Books, SET_ASIDE_KEPT};

/// Commands that a gateway has open, at most: its orders and its list.
pub(super) const MOST: usize = SET_ASIDE_KEPT + 1;

/// The commands with a number above `after`, in order.
pub(super) fn newer(books: &Books, gateway: &GatewayId, after: u64) -> Vec<Command> {
    let (list_changed, orders) = {
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
    v1::AssignmentList { assignments }
}
