//! The registry as a fold: the same log gives the same registry, and what was taken away stays away.

use super::*;

fn patient() -> PatientId {
    PatientId::parse("p-1").expect("fine id")
}

fn gateway() -> GatewayId {
    GatewayId::parse("g-1").expect("fine id")
}

fn enrolled() -> [Entry; 2] {
    let (hash, expires, not_after) = ([1; 32], Time::from_micros(9), Time::from_micros(99));
    [
        Entry::TokenCreated {
            gateway: gateway(),
            label: "ward".into(),
            hash,
            expires,
        },
        Entry::GatewayEnrolled {
            gateway: gateway(),
            serial: vec![1],
            not_after,
        },
    ]
}

fn assigned(stream: u8, from: i64) -> Entry {
    Entry::Assigned {
        patient: patient(),
        gateway: gateway(),
        stream: StreamId([stream; 16]),
        key_id: [2; 8],
        devices: SealedText::default(),
        from: Time::from_micros(from),
    }
}

fn fold(entries: &[Entry]) -> Registry {
    let mut registry = Registry::default();
    for (entry, position) in entries.iter().zip(1..) {
        registry.apply(Position(position), entry);
    }
    registry
}

#[test]
fn a_token_is_there_until_it_is_spent_or_taken_back() {
    let [created, spent] = enrolled();
    let before = fold(std::slice::from_ref(&created));
    assert!(
        before
            .gateway(&gateway())
            .is_some_and(|of| of.token.is_some() && !of.enrolled)
    );
    assert!(!before.may_write(&gateway()));
    let after = fold(&[created.clone(), spent]);
    assert!(
        after
            .gateway(&gateway())
            .is_some_and(|of| of.token.is_none() && of.label == "ward")
    );
    assert!(after.may_write(&gateway()));
    let revoked = fold(&[created, Entry::GatewayRevoked { gateway: gateway() }]);
    assert!(
        revoked
            .gateway(&gateway())
            .is_some_and(|of| of.token.is_none())
    );
}

#[test]
fn a_revoked_gateway_stays_revoked_whatever_comes_after() {
    let [created, spent] = enrolled();
    let revoked = Entry::GatewayRevoked { gateway: gateway() };
    let renewed = Entry::CertificateIssued {
        gateway: gateway(),
        serial: vec![2],
        not_after: Time::MAX,
    };
    let registry = fold(&[
        created,
        spent.clone(),
        revoked,
        renewed,
        spent,
        assigned(1, 0),
    ]);
    assert!(!registry.may_write(&gateway()));
}

#[test]
fn an_assignment_replaces_the_former_one_of_its_stream_and_moves_the_list() {
    let [created, spent] = enrolled();
    let registry = fold(&[
        created,
        spent,
        assigned(1, 5),
        assigned(2, 6),
        assigned(1, 5),
    ]);
    assert_eq!(registry.streams_of(&patient()).count(), 2);
    assert_eq!(registry.streams_at(&gateway()).count(), 2);
    let changed = registry.gateway(&gateway()).and_then(|of| of.list_changed);
    assert_eq!(changed, Some(Position(5)));
}

#[test]
fn a_frozen_stream_stays_frozen_when_it_is_assigned_again() {
    let stream = StreamId([1; 16]);
    let registry = fold(&[
        assigned(1, 5),
        Entry::StreamFrozen { stream },
        assigned(1, 5),
    ]);
    assert!(registry.stream(stream).is_some_and(|of| of.frozen));
}

#[test]
fn orders_to_set_aside_are_bounded() {
    let order = |number| Entry::SetAside {
        gateway: gateway(),
        context: ContextId([3; 16]),
        numbers: vec![number],
    };
    let orders: Vec<Entry> = (1..=300).map(order).collect();
    let registry = fold(&orders);
    let kept = &registry.gateway(&gateway()).expect("named").set_aside;
    assert_eq!(kept.len(), SET_ASIDE_KEPT);
    assert_eq!(
        kept.back().map(|(position, ..)| *position),
        Some(Position(300))
    );
}

#[test]
fn what_is_no_header_or_record_changes_nothing() {
    let [created, spent] = enrolled();
    let context = Entry::ContextAdmitted {
        gateway: gateway(),
        header: b"VTH1 nonsense".to_vec(),
        chain: vec![],
        forked: false,
    };
    let batch = Entry::Batch {
        gateway: gateway(),
        record: vec![0; 100],
    };
    let registry = fold(&[created, spent, context, batch]);
    assert_eq!(
        (registry.contexts_count(), registry.totals()),
        (0, Totals::default())
    );
}
