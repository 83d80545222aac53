//! The registry as a fold: the same log gives the same registry, and what was taken away stays away.

use super::*;
use crate::journal::{PasskeyAct, Sight, TeamAct};

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

/// A context that an agent opened at `opened_at`, after `before` whose last data were durable at that time.
fn admitted(context: u8, opened_at: Time, before: Option<(u8, Time)>) -> Entry {
    use proto::seal::{Predecessor, SigningKey, Suite};
    let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("made just now");
    let predecessor = before.map(|(before, durable_at)| Predecessor {
        context: ContextId([before; 16]),
        durable: 100,
        durable_at,
        receipted: 100,
        receipt_epoch: 1,
    });
    let header = ContextHeader {
        suite: Suite::Aes256Gcm,
        key_id: KeyId([2; 8]),
        stream: StreamId([1; 16]),
        context: ContextId([context; 16]),
        predecessor,
        opened_at,
        gateway: gateway(),
        encapsulated: [9; 32],
    };
    Entry::ContextAdmitted {
        gateway: gateway(),
        header: header.sign(&key),
        chain: vec![],
        forked: false,
    }
}

/// A batch with readings of that minute; only its stub is sound.
fn data(context: u8, number: u64, at: Time) -> Entry {
    let minute = u32::try_from(at.as_micros() / 60_000_000).expect("this century");
    let mut record = b"VTB1".to_vec();
    record.extend_from_slice(&[1; 16]);
    record.extend_from_slice(&[context; 16]);
    record.extend_from_slice(&number.to_be_bytes());
    record.extend_from_slice(&[2, 0, 1, 0, 1]);
    record.extend_from_slice(&minute.to_be_bytes());
    record.extend_from_slice(&[0, 1, 0, 64]);
    record.resize(57 + 64 + 16, 0x5A);
    let sum = proto::seal::record::checksum(&record);
    record.extend_from_slice(&sum);
    Entry::Batch {
        gateway: gateway(),
        record,
    }
}

fn minute(minutes: i64) -> Time {
    Time::from_micros(1_800_000_000_000_000) + Span::from_mins(minutes)
}

const A: ContextId = ContextId([1; 16]);
const B: ContextId = ContextId([2; 16]);

#[test]
fn a_power_cut_that_sets_the_clock_back_is_no_clone() {
    // No real-time clock: after a cut at 50 the gateway wakes at 17, where its clock was saved last.
    let [token, spent] = enrolled();
    let mut log = vec![token, spent, assigned(1, 0), admitted(1, minute(0), None)];
    log.push(data(1, 1, minute(50)));
    log.push(admitted(2, minute(17), Some((1, minute(50)))));
    let registry = fold(&log);
    assert!(!registry.proves_clone(B, minute(20)), "the second life");
    log.push(data(2, 1, minute(20)));
    let registry = fold(&log);
    assert!(
        !registry.proves_clone(A, minute(49)),
        "backlog of the first"
    );
    // The network sets the clock right.
    assert!(!registry.proves_clone(B, minute(60)));
    log.push(data(2, 2, minute(60)));
    assert!(!fold(&log).proves_clone(A, minute(50)));
    // Control: the first life goes on beside the second.
    assert!(fold(&log).proves_clone(A, minute(61)));
    log.push(data(1, 2, minute(61)));
    assert!(fold(&log).proves_clone(B, minute(62)));
}

#[test]
fn what_a_context_sent_before_the_other_was_there_proves_no_clone() {
    // Lost state: neither names the other, and the clock went back.
    let [token, spent] = enrolled();
    let mut log = vec![token, spent, assigned(1, 0), admitted(1, minute(0), None)];
    log.push(data(1, 1, minute(50)));
    log.push(admitted(2, minute(17), None));
    log.push(data(2, 1, minute(20)));
    assert!(!fold(&log).proves_clone(B, minute(30)));
    log.push(data(1, 2, minute(55)));
    assert!(fold(&log).proves_clone(B, minute(30)), "control: it lives");
}

/// Octets at a snapshot's end of which an earlier program knew nothing: other ways to sign in, acts about gateways, rosters, platforms,
/// filters of teams.
fn newer_than_rules(registry: &Registry) -> usize {
    use twin::canonical::Canonical as _;
    let mut tail = Vec::new();
    registry.accounts.encode(&mut tail);
    registry.offices.encode(&mut tail);
    registry.staff.rosters().encode(&mut tail);
    registry.platforms.encode(&mut tail);
    registry.staff.filters().encode(&mut tail);
    tail.len()
}

#[test]
fn voids_are_kept_and_a_snapshot_from_before_them_is_read() {
    use twin::canonical::{Canonical as _, read};
    let mut registry = Registry::default();
    for (position, entry) in (1..).zip(enrolled()) {
        registry.apply(Position(position), &entry);
    }
    let mut before = Vec::new();
    registry.encode(&mut before);
    // Earlier programs wrote no voids, or not by whose word: not even that there are none.
    // The first knew of nothing newer than rules, then of no rules, of no looks, of no people, teams and passkeys.
    for unknown in [newer_than_rules(&registry), 8, 4, 12, 4, 4] {
        before.truncate(before.len() - unknown);
        let former: Registry = read(&before).expect("it is read");
        assert_eq!(former.at(), Position(2));
    }
    assert_eq!(registry.needs_the_log_at(), Position::START);
    let voided = Entry::Voided {
        patient: patient(),
        sources: vec![(StreamId([1; 16]), vitals::SourceId(3))],
        from: Time::from_micros(5),
        to: Time::from_micros(9),
        since: Time::from_micros(20),
        by: "olga".into(),
        reason: SealedText::default(),
        moved_to: None,
    };
    registry.apply(Position(3), &voided);
    let mut bytes = Vec::new();
    registry.encode(&mut bytes);
    let again: Registry = read(&bytes).expect("it is read");
    let [of] = again.voids(&patient()) else {
        panic!("one void");
    };
    assert_eq!(
        (of.position, of.since),
        (Position(3), Time::from_micros(20))
    );
    let stream = StreamId([1; 16]);
    let covers = |source, at| {
        of.void
            .covers(stream, vitals::SourceId(source), Time::from_micros(at))
    };
    assert!(covers(3, 5) && covers(3, 8) && !covers(3, 9) && !covers(3, 4) && !covers(4, 5));

    // Nothing is removed from the log while one is not settled, nor from before where it was.
    assert_eq!(again.needs_the_log_at(), Position(u64::MAX));
    registry.apply(Position(4), &voided);
    let settled = |void| Entry::VoidSettled {
        patient: patient(),
        void: Position(void),
    };
    let at = |registry: &Registry| -> Vec<_> {
        let all = registry.voidings(&patient()).iter();
        all.map(|of| of.settled).collect()
    };
    // The newest is settled, and those before it with it; an older one alone is not.
    registry.apply(Position(5), &settled(3));
    assert_eq!(at(&registry), [None, None]);
    registry.apply(Position(6), &settled(4));
    assert_eq!(at(&registry), [Some(Position(6)); 2]);
    assert_eq!(registry.needs_the_log_at(), Position(6));
}

#[test]
fn people_and_teams_are_as_the_log_says_and_come_back_from_a_snapshot() {
    use proto::v1::StaffRole;
    use twin::canonical::{Canonical as _, read};

    let person = |name: &str, role| Entry::Person {
        person: name.into(),
        role,
        by: "olga".into(),
    };
    let team = |name: &str, act| Entry::Team {
        team: name.into(),
        act,
        by: "olga".into(),
    };
    let passkey = |person: &str, id, act| Entry::Passkey {
        person: person.into(),
        id: vec![id; 16],
        act,
    };
    let added = |count| PasskeyAct::Added {
        host: "centre.example".into(),
        key: vec![1; 66],
        count,
        label: "phone".into(),
        at: Time::from_micros(5),
    };
    let joined = |name: &str| TeamAct::Joined(name.into());
    let other = PatientId::parse("p-2").expect("fine id");
    let registry = fold(&[
        person("ann", StaffRole::Nurse),
        person("ben", StaffRole::Doctor),
        team("ward", joined("ann")),
        team("ward", TeamAct::Made),
        team("ward", joined("ann")),
        team("ward", joined("ben")),
        team("ward", TeamAct::Took(patient())),
        team("home", TeamAct::Made),
        team("home", joined("ann")),
        team("home", TeamAct::Took(patient())),
        team("home", TeamAct::Took(other.clone())),
        team("night", TeamAct::Made),
        team("night", joined("ann")),
        team("night", TeamAct::Ended),
        person("ann", StaffRole::Supervisor),
        person("ben", StaffRole::Unspecified),
        person("ben", StaffRole::Administrator),
        team("home", TeamAct::Released(patient())),
        passkey("ann", 1, added(4)),
        passkey("eve", 1, added(0)),
        passkey("ann", 1, PasskeyAct::Used(9)),
        passkey("ann", 1, PasskeyAct::Used(8)),
        passkey("ann", 2, added(0)),
        passkey("ann", 2, PasskeyAct::Removed),
        person("eve", StaffRole::Viewer),
        passkey("eve", 3, added(0)),
        person("eve", StaffRole::Unspecified),
    ]);
    let one = registry.passkey(&[1; 16]).expect("a passkey");
    assert_eq!((one.person.as_str(), one.count), ("ann", 9));
    assert_eq!(registry.passkeys_of("ann").count(), 1);
    assert_eq!(
        registry.passkeys_of("eve").count(),
        0,
        "nobody's key outlives their rights"
    );
    assert_eq!(registry.role_of("ann"), Some(StaffRole::Supervisor));
    assert_eq!(registry.role_of("ben"), None, "taken back is taken back");
    let wards = registry.wards_of("ann");
    let all: Vec<_> = wards.iter().flat_map(|ward| ward.iter()).collect();
    assert_eq!(all, [&other, &patient()]);
    assert!(
        registry.wards_of("ben").is_empty(),
        "no team keeps who left for good"
    );
    assert_eq!(registry.teams().count(), 2);

    let mut bytes = Vec::new();
    registry.encode(&mut bytes);
    let again: Registry = read(&bytes).expect("what was written");
    assert_eq!(
        again.people().collect::<Vec<_>>(),
        registry.people().collect::<Vec<_>>()
    );
    assert_eq!(
        again.teams().collect::<Vec<_>>(),
        registry.teams().collect::<Vec<_>>()
    );
    assert_eq!(again.passkey(&[1; 16]), registry.passkey(&[1; 16]));
    // Of an earlier program, which knew nothing of them.
    let mut none = Vec::new();
    Registry::default().encode(&mut none);
    let earlier = &none[..none.len() - 24 - newer_than_rules(&Registry::default())];
    assert!(read::<Registry>(earlier).is_some_and(|of| of.people().count() == 0));
}

#[test]
fn looks_of_a_day_are_one_line_each_bounded_and_come_back_from_a_snapshot() {
    use proto::v1::{AccessDoor, AccessPart, StaffRole};
    use twin::canonical::{Canonical as _, read};
    use vitals::Kind;

    const HOUR: i64 = 3_600_000_000;
    let looked = |by: &str, part, kinds: &[Kind], hour: i64| Entry::Looked {
        by: by.into(),
        sight: Sight {
            part,
            kinds: kinds.to_vec(),
            named: true,
            door: AccessDoor::Page,
        },
        patients: vec![patient()],
        from: Time::from_micros(hour * HOUR),
        until: Time::from_micros((hour + 1) * HOUR),
    };
    let readings = AccessPart::Readings;
    let person = |role| Entry::Person {
        person: "ann".into(),
        role,
        by: "olga".into(),
    };
    let mut entries = vec![
        person(StaffRole::Nurse),
        looked("ann", readings, &[Kind::HeartRate], 1),
        looked("ann", AccessPart::Alerts, &[], 2),
        looked("ann", readings, &[Kind::OxygenSaturation], 5),
        // The next day, and in another role.
        looked("ann", readings, &[Kind::HeartRate], 25),
        person(StaffRole::Doctor),
        looked("ann", readings, &[], 26),
        looked("platform tele", readings, &[], 27),
    ];
    let registry = fold(&entries);
    let lines = registry.looks(&patient());
    let told: Vec<_> = lines
        .iter()
        .map(|of| {
            let hour = |time: Time| time.as_micros() / HOUR;
            (hour(of.from), hour(of.last), hour(of.until), of.role)
        })
        .collect();
    let (nurse, doctor) = (StaffRole::Nurse, StaffRole::Doctor);
    assert_eq!(
        told,
        [
            (2, 2, 3, nurse),
            (1, 5, 6, nurse),
            (25, 25, 26, nurse),
            (26, 26, 27, doctor),
            (27, 27, 28, StaffRole::Unspecified)
        ]
    );
    assert_eq!(
        lines[1].sight.kinds,
        [Kind::HeartRate, Kind::OxygenSaturation]
    );

    for hour in 0..200 {
        entries.push(looked("ann", readings, &[], 30 + 24 * hour));
    }
    let registry = fold(&entries);
    let lines = registry.looks(&patient());
    assert_eq!(lines.len(), looks::KEPT);
    let newest = lines.back().expect("some").from;
    assert_eq!(newest, Time::from_micros((30 + 24 * 199) * HOUR));
    let mut bytes = Vec::new();
    registry.encode(&mut bytes);
    let again: Registry = read(&bytes).expect("what was written");
    assert_eq!(again.looks(&patient()), lines);
    // Of an earlier program, which knew nothing of them, nor of rules, nor of who did what.
    let mut none = Vec::new();
    Registry::default().encode(&mut none);
    let earlier = &none[..none.len() - 12 - newer_than_rules(&Registry::default())];
    assert!(read::<Registry>(earlier).is_some_and(|of| of.looks(&patient()).is_empty()));
}

#[test]
fn rules_are_kept_newest_first_and_come_back_from_a_snapshot() {
    use twin::canonical::{Canonical as _, read};
    let activated = |number: u64| Entry::RulesActivated {
        document: format!("n = {number}"),
        since: Time::from_micros(5),
        by: "olga".into(),
        reason: "too loud".into(),
    };
    let mut registry = Registry::default();
    for number in 1..=70 {
        registry.apply(Position(number), &activated(number));
    }
    let tried = Entry::RulesTried { report: vec![1, 2] };
    registry.apply(Position(71), &tried);
    let mut bytes = Vec::new();
    registry.encode(&mut bytes);
    let again: Registry = read(&bytes).expect("what was written");
    let positions = |of: &Registry| of.rules().map(|one| one.at.0).collect::<Vec<_>>();
    assert_eq!(positions(&again), (7..=70).rev().collect::<Vec<_>>());
    assert!(again.rules().eq(registry.rules()));
    assert_eq!(again.rules_tried(), [1, 2]);
}

#[test]
fn a_team_keeps_its_roster_its_filters_and_who_took_over_last() {
    use twin::canonical::{Canonical as _, read};

    let team = |act| Entry::Team {
        team: "ward".into(),
        act,
        by: "olga".into(),
    };
    let roster = |team: &str, document: &str, since| Entry::Roster {
        team: team.into(),
        document: document.into(),
        since: Time::from_micros(since),
        by: "sue".into(),
    };
    let taken = |duty, shift, by: &str| Entry::TakenOver {
        team: "ward".into(),
        duty,
        shift: Time::from_micros(shift),
        leaving: vec!["ann".into()],
        at: Time::from_micros(shift + 1),
        by: by.into(),
    };
    let filters = |name: &str, facets: &[&str]| {
        team(TeamAct::Filters {
            name: name.into(),
            facets: facets.iter().map(|of| (*of).to_owned()).collect(),
        })
    };
    let mut entries = vec![
        roster("ward", "before there was a team", 1),
        team(TeamAct::Made),
        roster("ward", "one", 2),
        roster("ward", "two", 3),
        taken(1, 10, "ben"),
        taken(1, 20, "cy"),
        taken(2, 10, "dee"),
        roster("absent", "x", 4),
        filters("quiet", &["data=stale"]),
        filters("mine", &["owner=mine"]),
        filters("quiet", &["data=fresh"]),
        filters("mine", &[]),
    ];
    let registry = fold(&entries);
    let of = registry.team("ward").expect("the team");
    let kept: Vec<_> = of.filters.iter().collect();
    let [(name, quiet)] = kept.as_slice() else {
        panic!("one filter: {kept:?}");
    };
    assert_eq!((name.as_str(), quiet.by.as_str()), ("quiet", "olga"));
    assert_eq!(quiet.facets, ["data=fresh"]);
    let held = of.roster.as_ref().expect("a roster");
    assert_eq!((&*held.document, held.since), ("two", Time::from_micros(3)));
    let by: Vec<_> = of.taken.values().map(|of| of.by.as_str()).collect();
    assert_eq!(by, ["cy", "dee"], "the last of each duty");
    let mut bytes = Vec::new();
    registry.encode(&mut bytes);
    assert_eq!(
        read::<Registry>(&bytes).map(|of| of.team("ward").cloned()),
        Some(Some(of.clone()))
    );
    entries.push(roster("ward", "", 5));
    assert_eq!(fold(&entries).team("ward").expect("the team").roster, None);
}

#[test]
fn who_did_what_about_a_gateway_is_kept_newest_first_and_comes_back_from_a_snapshot() {
    use twin::canonical::{Canonical as _, read};
    let by = |who: &str, entries| Entry::By {
        by: who.into(),
        at: Time::from_micros(5),
        entries,
    };
    let configured = |number: usize| Entry::Configured {
        gateway: gateway(),
        settings: format!("heartbeat_s = {number}"),
    };
    let mut entries = vec![
        by("olga", 2),
        configured(10),
        configured(20),
        // Of an earlier program.
        configured(30),
        by("adam", 1),
        // What is between is nobody's.
        Entry::Tick,
        configured(40),
    ];
    let registry = fold(&entries);
    let gateway = gateway();
    let who =
        |of: &Registry| -> Vec<String> { of.acts(&gateway).map(|act| act.by.clone()).collect() };
    assert_eq!(who(&registry), ["", "", "olga", "olga"]);
    let newest = registry.acts(&gateway).next().expect("some");
    assert_eq!((newest.at, newest.time), (Position(7), Time::ZERO));
    assert_eq!(newest.deed, Deed::Settings("heartbeat_s = 40".into()));
    for number in 0..100 {
        entries.extend([by("adam", 1), configured(number)]);
    }
    let registry = fold(&entries);
    assert_eq!(who(&registry), vec!["adam"; 32]);
    let mut bytes = Vec::new();
    registry.encode(&mut bytes);
    let again: Registry = read(&bytes).expect("what was written");
    assert!(again.acts(&gateway).eq(registry.acts(&gateway)));
}
