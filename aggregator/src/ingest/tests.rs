//! Ingest against real seals: what is taken, receipted once durable, taken once, and refused with its reason.

use proto::clock::Clock;
use proto::seal::{Predecessor, SigningKey, command};
use proto::v1::{self, RefusalReason as Reason};
use vitals::{ContextId, Span, Time};

use super::enrol::EnrolError;
use super::rig::{
    BY, Gateway, Rig, Said, batches, hello, label, list_of, open_message, pieces, receipted, said,
    seal, seal_at,
};
use super::*;
use crate::journal::{Content, Draft, Entry, Opened};

async fn one_patient() -> (Rig, Gateway, rig::Assigned) {
    let rig = Rig::new().await;
    let gateway = rig.gateway().await;
    let assigned = rig.assign(&gateway).await;
    (rig, gateway, assigned)
}

#[tokio::test]
async fn what_is_sealed_is_journaled_opened_and_receipted() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    assert_eq!(
        said(&rig.say(&session, open).await),
        [Said::Admitted(sealer.context())]
    );
    let records: Vec<_> = (0..5).map(|_| seal(&mut sealer)).collect();
    let answers = rig.say(&session, batches(records.clone())).await;
    assert_eq!(
        said(&answers),
        [Said::Receipt(sealer.context(), vec![(1, 5)])]
    );
    assert!(receipted(&answers, &sealer, &records));
    assert!(
        !receipted(&answers, &sealer, &records[..4]),
        "control: a receipt is for exactly its records"
    );
    let mut opened = 0;
    while let Ok(committed) = rig.feed.try_recv() {
        if let Some(Opened::Batch(batch)) = committed.body.as_deref() {
            opened += 1;
            assert_eq!(
                (batch.number, batch.patient.reveal()),
                (opened, assigned.patient.as_str())
            );
            assert!(matches!(batch.content, Content::Body(_)));
        }
    }
    assert_eq!(opened, 5);
    let status = rig.admin.status();
    assert_eq!(
        (status.batches_journaled, status.readings_journaled),
        (5, 5)
    );
    assert_eq!(status.readings_receipted["grpc"], 5);
}

#[tokio::test]
async fn a_record_in_pieces_is_taken_once_whole_and_others_pass_between() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    rig.say(&session, open).await;
    let (large, alert) = (seal(&mut sealer), seal(&mut sealer));
    let mut parts = pieces(&large, 50);
    let last = parts.pop().expect("several");
    for (n, part) in parts.clone().into_iter().enumerate() {
        let answers = said(&rig.say(&session, part).await);
        assert_eq!(
            answers,
            [Said::Held(50 * (u32::try_from(n).expect("few") + 1))]
        );
    }
    let answers = rig.say(&session, batches(vec![alert.clone()])).await;
    assert!(receipted(&answers, &sealer, &[alert]), "between the pieces");
    assert_eq!(rig.journaled(), [2]);
    let answers = rig.say(&session, last.clone()).await;
    assert_eq!(
        said(&answers),
        [Said::Receipt(sealer.context(), vec![(1, 1)])]
    );
    assert_eq!(rig.journaled(), [1]);
    // A piece of nothing, and one of a record that began on another connection.
    let out_of_place = [Said::Refused(Reason::Malformed)];
    assert_eq!(said(&rig.say(&session, last.clone()).await), out_of_place);
    for part in parts {
        rig.say(&session, part).await;
    }
    let newer = rig.session(&gateway);
    assert_eq!(said(&rig.say(&newer, last).await), out_of_place);
    // What is put together is judged as any other record.
    let mut bad = large;
    bad[80] ^= 1;
    for part in pieces(&bad, 60) {
        let answers = said(&rig.say(&newer, part).await);
        assert!(
            matches!(
                answers[..],
                [Said::Held(_) | Said::Refused(Reason::Malformed)]
            ),
            "{answers:?}"
        );
    }
    assert_eq!(rig.journaled(), [0u64; 0]);
}

#[tokio::test]
async fn duplicates_and_disorder_are_receipted_again_and_journaled_once() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    let records: Vec<_> = (0..6).map(|_| seal(&mut sealer)).collect();
    rig.say(&session, open.clone()).await;
    let pick = |which: &[usize]| {
        which
            .iter()
            .map(|at| records[*at].clone())
            .collect::<Vec<_>>()
    };
    // Twice in one message, out of order, with holes; then overlapping; then in a life of its own.
    let answers = rig.say(&session, batches(pick(&[4, 0, 0, 2, 4]))).await;
    assert_eq!(
        said(&answers),
        [Said::Receipt(
            sealer.context(),
            vec![(1, 1), (3, 3), (5, 5)]
        )]
    );
    let answers = rig.say(&session, batches(records.clone())).await;
    assert!(receipted(&answers, &sealer, &records));
    assert_eq!(rig.journaled(), [5, 1, 3, 2, 4, 6]);
    drop(session);
    let mut rig = rig.restart(None).await;
    let session = rig.session(&gateway);
    let answers = rig.say(&session, batches(records.clone())).await;
    assert!(
        receipted(&answers, &sealer, &records),
        "without its header again: {:?}",
        said(&answers)
    );
    assert_eq!(
        said(&rig.say(&session, open).await),
        [Said::Admitted(sealer.context())]
    );
    assert_eq!(rig.journaled(), [0u64; 0]);
    assert_eq!(rig.admin.status().readings_journaled, 6);
}

#[tokio::test]
async fn tampered_records_are_refused_and_ordered_to_be_set_aside() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    rig.say(&session, open).await;
    let good = seal(&mut sealer);
    // Each byte flipped, with the checksum made right again: only the tag can tell.
    for at in (4..good.len() - 4).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        mend(&mut bad);
        let answers = said(&rig.say(&session, batches(vec![bad])).await);
        let expected = [Reason::Forged, Reason::UnknownContext, Reason::Malformed];
        assert!(
            matches!(&answers[..], [Said::Refused(reason)] if expected.contains(reason)),
            "{at}: {answers:?}"
        );
    }
    // Damaged without mending: found before any key is used.
    let mut damaged = good.clone();
    damaged[70] ^= 1;
    assert_eq!(
        said(&rig.say(&session, batches(vec![damaged])).await),
        [Said::Refused(Reason::Malformed)]
    );
    assert_eq!(rig.journaled(), [0u64; 0]);
    let (_, before) = rig.ingest.commands(&gateway.id, 0);

    // One forged record again and again: the third time the gateway is told to set it aside.
    let second = seal(&mut sealer);
    let mut forged = second.clone();
    forged[60] ^= 1;
    mend(&mut forged);
    for _ in 0..2 {
        rig.say(&session, batches(vec![forged.clone()])).await;
    }
    assert!(set_aside(&rig, &gateway, before).is_none());
    rig.say(&session, batches(vec![forged])).await;
    let order = set_aside(&rig, &gateway, before).expect("ordered");
    assert_eq!(
        (order.context, order.numbers),
        (sealer.context().0.to_vec(), vec![2])
    );
    // Control: what was not touched is taken.
    let answers = rig
        .say(&session, batches(vec![good.clone(), second.clone()]))
        .await;
    assert!(receipted(&answers, &sealer, &[good, second]));
}

/// Makes a record's checksum right, as a forger would.
fn mend(record: &mut [u8]) {
    let end = record.len() - 4;
    let sum = proto::seal::record::checksum(&record[..end]);
    record[end..].copy_from_slice(&sum);
}

fn set_aside(rig: &Rig, gateway: &Gateway, after: u64) -> Option<v1::SetAside> {
    let (commands, _) = rig.ingest.commands(&gateway.id, after);
    commands.iter().find_map(|signed| {
        let command =
            command::verify(&rig.command_point, &gateway.id, after, signed).expect("signed");
        match command.kind {
            Some(v1::command::Kind::SetAside(order)) => Some(order),
            Some(
                v1::command::Kind::Assignments(_)
                | v1::command::Kind::Configuration(_)
                | v1::command::Kind::Rules(_),
            )
            | None => None,
        }
    })
}

#[tokio::test]
async fn a_header_is_admitted_for_its_signature_gateway_stream_and_key_only() {
    let (rig, gateway, assigned) = one_patient().await;
    let (other, now) = (rig.gateway().await, Clock::system().now());
    let elsewhere = rig.assign(&other).await;
    let session = rig.session(&gateway);
    let refusals = async |message| match &said(&rig.say(&session, message).await)[..] {
        [Said::Refused(reason)] => Some(*reason),
        _ => None,
    };
    let header_of = |message: &GatewayToCentre| match &message.kind {
        Some(gateway_to_centre::Kind::OpenContext(open)) => open.header.clone(),
        _ => Vec::new(),
    };
    let (good, _) = gateway.open(&assigned, None, now);
    let header = header_of(&good);

    let (wrong_stream, _) = gateway.open(&elsewhere, None, now);
    assert_eq!(refusals(wrong_stream).await, Some(Reason::NotAssigned));
    let (not_mine, _) = other.open(&elsewhere, None, now);
    assert_eq!(refusals(not_mine).await, Some(Reason::HeaderInvalid));
    let mut wrong_key = assigned.clone();
    wrong_key.key_id = elsewhere.key_id;
    let (wrong_key, _) = gateway.open(&wrong_key, None, now);
    assert_eq!(refusals(wrong_key).await, Some(Reason::HeaderInvalid));
    let thief = Gateway {
        pkcs8: SigningKey::generate_pkcs8().to_vec(),
        ..gateway.clone()
    };
    let (stolen_certificate, _) = thief.open(&assigned, None, now);
    assert_eq!(
        refusals(stolen_certificate).await,
        Some(Reason::HeaderInvalid)
    );
    let mine_with_other_chain = open_message(header.clone(), other.chain.clone());
    assert_eq!(
        refusals(mine_with_other_chain).await,
        Some(Reason::HeaderInvalid)
    );
    let foreign = Rig::new().await.gateway().await;
    let foreign_ca = open_message(header.clone(), foreign.chain);
    assert_eq!(refusals(foreign_ca).await, Some(Reason::HeaderInvalid));
    assert_eq!(
        refusals(open_message(header.clone(), vec![])).await,
        Some(Reason::HeaderInvalid)
    );
    let long = vec![vec![0; 5000]; 2];
    assert_eq!(
        refusals(open_message(header.clone(), long)).await,
        Some(Reason::TooLarge)
    );
    for at in 0..header.len() {
        let mut changed = header.clone();
        changed[at] ^= 1;
        assert!(
            refusals(open_message(changed, gateway.chain.clone()))
                .await
                .is_some(),
            "byte {at}"
        );
    }
    assert_eq!(rig.books.registry().contexts_count(), 0);
    assert!(
        matches!(
            said(&rig.say(&session, good).await)[..],
            [Said::Admitted(_)]
        ),
        "control"
    );
}

#[tokio::test]
async fn a_batch_of_another_gateway_or_of_no_context_is_refused() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let other = rig.gateway().await;
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    let record = seal(&mut sealer);
    let (mine, theirs) = (rig.session(&gateway), rig.session(&other));
    let unknown = said(&rig.say(&mine, batches(vec![record.clone()])).await);
    assert_eq!(unknown, [Said::Refused(Reason::UnknownContext)]);
    rig.say(&mine, open).await;
    let replayed = said(&rig.say(&theirs, batches(vec![record.clone()])).await);
    assert_eq!(replayed, [Said::Refused(Reason::NotAssigned)]);
    assert_eq!(rig.journaled(), [0u64; 0]);
    let too_long = said(&rig.say(&mine, batches(vec![vec![0; 5000]])).await);
    assert_eq!(too_long, [Said::Refused(Reason::TooLarge)]);
    let empty = said(&rig.say(&mine, GatewayToCentre { kind: None }).await);
    assert_eq!(empty, [Said::Refused(Reason::Malformed)]);
    assert!(
        matches!(
            said(&rig.say(&mine, batches(vec![record])).await)[..],
            [Said::Receipt(..)]
        ),
        "control"
    );
}

#[tokio::test]
async fn what_opens_but_does_not_parse_is_journaled_and_receipted() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    rig.say(&session, open).await;
    let record = sealer
        .seal_encoded(&label(1, Clock::system().now()), b"\xFF\xFF\xFF")
        .expect("it fits");
    let answers = rig.say(&session, batches(vec![record.clone()])).await;
    assert!(receipted(&answers, &sealer, &[record]));
    let mut malformed = false;
    while let Ok(committed) = rig.feed.try_recv() {
        if let Some(Opened::Batch(batch)) = committed.body.as_deref() {
            malformed = batch.content == Content::Malformed;
        }
    }
    assert!(malformed);
}

#[tokio::test]
async fn a_revoked_gateway_gets_nothing_more() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    rig.say(&session, open).await;
    let mut changes = rig.books.changes();
    changes.mark_unchanged();
    assert_eq!(
        rig.admin
            .revoke(gateway.id.as_str(), BY)
            .await
            .expect("it is there"),
        1
    );
    assert!(
        changes.has_changed().expect("the books are there"),
        "connections hear of it"
    );
    let record = seal(&mut sealer);
    assert_eq!(
        said(&rig.say(&session, batches(vec![record])).await),
        [Said::Refused(Reason::Revoked)]
    );
    let (again, _) = gateway.open(&assigned, None, Clock::system().now());
    assert_eq!(
        said(&rig.say(&session, again).await),
        [Said::Refused(Reason::Revoked)]
    );
    assert_eq!(rig.journaled(), [0u64; 0]);
    let csr = crate::ca::tests::request(&gateway.pkcs8);
    assert!(matches!(
        rig.enrolment.renew(&gateway.chain[0], &csr).await,
        Err(EnrolError::Revoked)
    ));
    let rig = rig.restart(None).await;
    assert!(!rig.ingest.may_write(&gateway.id), "after a restart too");
}

#[tokio::test]
async fn a_stopped_store_receipts_nothing() {
    let (rig, gateway, assigned) = one_patient().await;
    // The rig's journal has a few KiB; 1 MiB is soon full.
    let rig = rig.restart(Some(1)).await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    rig.say(&session, open).await;
    let mut feed = rig.feed;
    let drain = tokio::spawn(async move { while feed.recv().await.is_some() {} });
    let mut durable = 0;
    // What cannot be deflated.
    let body = proto::seal::crypto::random::<3000>();
    let refused = loop {
        let records: Vec<_> = (0..8)
            .map(|_| {
                sealer
                    .seal_encoded(&label(sealer.next_number(), Time::ZERO), &body)
                    .expect("it fits")
            })
            .collect();
        let answers = rig
            .ingest
            .handle(&session, vec![batches(records)])
            .await
            .messages;
        match &said(&answers)[..] {
            [Said::Receipt(_, ranges)] => durable = ranges[0].1,
            other => break other.to_vec(),
        }
        assert!(durable < 1000, "1 MiB never holds this much");
    };
    assert_eq!(refused, [Said::Refused(Reason::StoreStopped)]);
    assert!(!rig.admin.status().store_stopped.is_empty());
    assert!(
        rig.admin.add_patient("", true).await.is_err(),
        "nobody is told that an act has happened"
    );
    assert_eq!(rig.admin.status().batches_journaled, durable);
    drop((rig.admin, rig.ingest, rig.enrolment, rig.journal));
    drain.await.expect("no panic");
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_acts_but_no_batches() {
    let (rig, gateway, assigned) = one_patient().await;
    let mut rig = rig.restart_with(None, u64::MAX).await;
    let session = rig.session(&gateway);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    rig.say(&session, open.clone()).await;
    let record = seal(&mut sealer);
    let answers = said(&rig.say(&session, batches(vec![record.clone()])).await);
    assert_eq!(answers, [Said::Refused(Reason::Busy)]);
    assert_eq!(rig.journaled(), [0u64; 0]);
    assert_eq!(rig.refused(Refused::DiskLow), 1);
    let told = rig.admin.status().store_stopped;
    assert!(told.contains("disk_free_min_mib"), "{told}");
    rig.admin
        .add_patient("", true)
        .await
        .expect("acts are taken");
    let rig = rig.restart(None).await;
    let answers = rig
        .say(&rig.session(&gateway), batches(vec![record.clone()]))
        .await;
    assert!(
        receipted(&answers, &sealer, &[record]),
        "control: with room"
    );
    assert_eq!(rig.admin.status().store_stopped, "");
}

#[tokio::test]
async fn rules_that_are_in_force_go_to_every_gateway() {
    let (rig, gateway, _assigned) = one_patient().await;
    let (_, number) = rig.ingest.commands(&gateway.id, 0);
    let slow = crate::rules::RuleSet::built_in()
        .text
        .replace("{ cut = 40.0", "{ cut = 45.0");
    let entry = Entry::RulesActivated {
        document: slow,
        since: Time::from_micros(5),
        by: BY.into(),
        reason: "slow hearts here".into(),
    };
    let journal = &rig.journal;
    journal
        .append(vec![Draft::from(entry)])
        .await
        .expect("durable");
    let later = rig.gateway().await;
    for (of, after, others) in [(&gateway, number, 0), (&later, 0, 1)] {
        let (commands, highest) = rig.ingest.commands(&of.id, after);
        let mut verified = commands.iter().map(|signed| {
            command::verify(&rig.command_point, &of.id, after, signed).expect("signed")
        });
        let found = verified.find_map(|command| match command.kind {
            Some(v1::command::Kind::Rules(rules)) => Some((command.number, rules)),
            Some(_) | None => None,
        });
        let (at, rules) = found.expect("the rules");
        assert!(at > number && at <= highest && commands.len() <= 1 + others);
        let names = rules.rules.iter().map(|rule| rule.condition.as_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["oxygen_saturation_low", "heart_rate_high", "heart_rate_low"]
        );
        let first = &rules.rules[2].levels[0];
        assert_eq!(
            (first.cut, first.hold_s, first.priority()),
            (45.0, 30, v1::Priority::Medium)
        );
        assert!(
            rig.ingest.commands(&of.id, highest).0.is_empty(),
            "obeyed once"
        );
    }
}

#[tokio::test]
async fn commands_carry_the_whole_list_and_rising_numbers() {
    let (rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let first = rig.ingest.handle(&session, vec![hello(0)]).await;
    assert_eq!(said(&first.messages), [Said::Command]);
    let number = first.commands_after.expect("it said hello");
    assert!(
        rig.ingest.commands(&gateway.id, number).0.is_empty(),
        "obeyed once"
    );
    let again = rig.ingest.handle(&session, vec![hello(number)]).await;
    assert_eq!(said(&again.messages), []);

    // A second patient; then the first one's device changes; then it ends.
    let second = rig.assign(&gateway).await;
    let read = |after| {
        let (commands, highest) = rig.ingest.commands(&gateway.id, after);
        let command =
            command::verify(&rig.command_point, &gateway.id, after, &commands[0]).expect("signed");
        assert_eq!((commands.len(), command.number), (1, highest));
        (list_of(command).expect("a list").assignments, highest)
    };
    let (list, number) = read(number);
    assert_eq!(list.len(), 2);
    let device = ["aa:bb:cc:00:11:22".to_owned()];
    rig.admin
        .assign(&assigned.patient, gateway.id.as_str(), &device, BY)
        .await
        .expect("assigned");
    let (list, number) = read(number);
    let changed = list
        .iter()
        .find(|one| one.stream == assigned.stream.0)
        .expect("the same stream");
    assert_eq!(changed.devices, ["AA:BB:CC:00:11:22"]);
    rig.admin
        .assign(&assigned.patient, gateway.id.as_str(), &[], BY)
        .await
        .expect("ended");
    let (list, number) = read(number);
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].stream, second.stream.0);
    let rig = rig.restart(None).await;
    assert!(
        rig.ingest.commands(&gateway.id, number).0.is_empty(),
        "numbers survive a restart"
    );
    assert_eq!(rig.ingest.commands(&gateway.id, 0).1, number);
}

/// A second successor of one context, opened `later` minutes after the first.
fn second_successor(
    gateway: &Gateway,
    assigned: &rig::Assigned,
    of: ContextId,
    at: Time,
) -> (GatewayToCentre, proto::seal::Sealer) {
    let before = Predecessor {
        context: of,
        durable: 0,
        durable_at: Time::ZERO,
        receipted: 0,
        receipt_epoch: 0,
    };
    gateway.open(assigned, Some(before), at)
}

#[tokio::test]
async fn a_rolled_back_buffer_is_flagged_and_a_clone_is_frozen() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let start = Clock::system().now();
    let at = |minutes: i64| start + Span::from_mins(minutes);
    let (open, first) = gateway.open(&assigned, None, start);
    rig.say(&session, open).await;
    let (open_b, mut b) = second_successor(&gateway, &assigned, first.context(), at(1));
    let (open_c, mut c) = second_successor(&gateway, &assigned, first.context(), at(10));
    rig.say(&session, open_b).await;
    assert_eq!(rig.refused(Refused::Forked), 0);
    let early = seal_at(&mut b, at(2));
    assert!(matches!(
        said(&rig.say(&session, batches(vec![early])).await)[..],
        [Said::Receipt(..)]
    ));
    assert!(
        matches!(
            said(&rig.say(&session, open_c).await)[..],
            [Said::Admitted(_)]
        ),
        "admitted all the same"
    );
    assert_eq!(rig.refused(Refused::Forked), 1);
    // A rollback: the old successor's backlog was measured before; both are taken.
    let record = seal_at(&mut c, at(20));
    assert!(matches!(
        said(&rig.say(&session, batches(vec![record])).await)[..],
        [Said::Receipt(..)]
    ));
    let late_backlog = seal_at(&mut b, at(9));
    assert!(matches!(
        said(&rig.say(&session, batches(vec![late_backlog])).await)[..],
        [Said::Receipt(..)]
    ));
    assert_eq!(rig.journaled().len(), 3);
    // A clone: the old successor goes on living.
    let alive = seal_at(&mut b, at(21));
    assert_eq!(
        said(&rig.say(&session, batches(vec![alive])).await),
        [Said::Refused(Reason::Frozen)]
    );
    let other = seal_at(&mut c, at(22));
    assert_eq!(
        said(&rig.say(&session, batches(vec![other])).await),
        [Said::Refused(Reason::Frozen)]
    );
    let (open, _) = gateway.open(&assigned, None, at(30));
    assert_eq!(
        said(&rig.say(&session, open).await),
        [Said::Refused(Reason::Frozen)]
    );
    let mut rig = rig.restart(None).await;
    let session = rig.session(&gateway);
    let other = seal_at(&mut c, at(23));
    assert_eq!(
        said(&rig.say(&session, batches(vec![other])).await),
        [Said::Refused(Reason::Frozen)]
    );
    assert_eq!(rig.journaled(), [0u64; 0]);
    // A gateway that is enrolled anew gets a stream of its own and goes on.
    let fresh = rig.gateway().await;
    let session = rig.session(&fresh);
    rig.admin
        .assign(&assigned.patient, fresh.id.as_str(), &assigned.devices, BY)
        .await
        .expect("assigned");
    let anew = rig.assigned(&fresh, &assigned.patient);
    let (open, mut sealer) = fresh.open(&anew, None, at(30));
    rig.say(&session, open).await;
    let record = seal_at(&mut sealer, at(31));
    assert!(matches!(
        said(&rig.say(&session, batches(vec![record])).await)[..],
        [Said::Receipt(..)]
    ));
}

#[tokio::test]
async fn a_restart_in_order_is_no_fork() {
    let (rig, gateway, assigned) = one_patient().await;
    let session = rig.session(&gateway);
    let start = Clock::system().now();
    let (open, mut last) = gateway.open(&assigned, None, start);
    rig.say(&session, open).await;
    for life in 1..5i64 {
        let at = start + Span::from_mins(10 * life);
        let record = seal_at(&mut last, at - Span::from_mins(1));
        assert!(matches!(
            said(&rig.say(&session, batches(vec![record])).await)[..],
            [Said::Receipt(..)]
        ));
        let (open, next) = second_successor(&gateway, &assigned, last.context(), at);
        rig.say(&session, open).await;
        last = next;
    }
    assert_eq!(rig.refused(Refused::Forked), 0);
}

#[tokio::test]
async fn too_many_contexts_are_delayed_and_delay_nobody_else() {
    let (rig, gateway, assigned) = one_patient().await;
    let other = rig.gateway().await;
    let theirs = rig.assign(&other).await;
    let session = rig.session(&gateway);
    let mut busy = 0;
    for _ in 0..300 {
        let (open, _) = gateway.open(&assigned, None, Clock::system().now());
        busy += usize::from(said(&rig.say(&session, open).await) == [Said::Refused(Reason::Busy)]);
    }
    assert!((1..=44).contains(&busy), "{busy}");
    let (open, _) = other.open(&theirs, None, Clock::system().now());
    assert!(matches!(
        said(&rig.say(&rig.session(&other), open).await)[..],
        [Said::Admitted(_)]
    ));
}

#[tokio::test]
async fn hellos_certificates_and_orders_are_within_a_budget() {
    let (mut rig, gateway, assigned) = one_patient().await;
    let other = rig.gateway().await;
    let session = rig.session(&gateway);
    let first = rig.ingest.handle(&session, vec![hello(0)]).await;
    let again = rig.ingest.handle(&session, vec![hello(0)]).await;
    assert_eq!(
        first.messages, again.messages,
        "signed once (P-256 is random)"
    );
    let many = vec![hello(0); 100];
    let answers = said(&rig.ingest.handle(&session, many).await.messages);
    let busy = |of: &[Said]| {
        let busy = of.iter().filter(|one| **one == Said::Refused(Reason::Busy));
        busy.count()
    };
    assert!((20..=38).contains(&busy(&answers)), "{}", busy(&answers));
    let theirs = rig
        .ingest
        .handle(&rig.session(&other), vec![hello(0)])
        .await;
    assert_eq!(busy(&said(&theirs.messages)), 0, "nobody else waits");

    let csr = crate::ca::tests::request(&gateway.pkcs8);
    for _ in 0..8 {
        rig.enrolment
            .renew(&gateway.chain[0], &csr)
            .await
            .expect("renewed");
    }
    let ninth = rig.enrolment.renew(&gateway.chain[0], &csr).await;
    assert!(matches!(ninth, Err(EnrolError::Busy)));
    rig.enrolment
        .renew(&other.chain[0], &crate::ca::tests::request(&other.pkcs8))
        .await
        .expect("control");

    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    rig.say(&session, open).await;
    let forged: Vec<_> = (0..80)
        .map(|_| {
            let mut record = seal(&mut sealer);
            record[60] ^= 1;
            mend(&mut record);
            record
        })
        .collect();
    while rig.feed.try_recv().is_ok() {}
    for record in forged.iter().flat_map(|record| [record; 3]) {
        rig.say(&session, batches(vec![record.clone()])).await;
    }
    let mut orders = 0;
    while let Ok(committed) = rig.feed.try_recv() {
        orders += usize::from(matches!(&*committed.entry, Entry::SetAside { .. }));
    }
    assert!((64..=66).contains(&orders), "{orders}");
}

#[tokio::test]
async fn a_token_is_spent_exactly_once() {
    let rig = Rig::new().await;
    let (token, gateway, _) = rig
        .admin
        .create_token("race", 0, BY)
        .await
        .expect("a token");
    let csr = crate::ca::tests::request(&SigningKey::generate_pkcs8());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (enrolment, token, csr) = (Arc::clone(&rig.enrolment), token.clone(), csr.clone());
        calls.spawn(async move { enrolment.enrol(&token, &csr).await });
    }
    let (mut spent, mut refused) = (0, 0);
    while let Some(called) = calls.join_next().await {
        match called.expect("no panic") {
            Ok((id, _)) => {
                assert_eq!(id, gateway);
                spent += 1;
            }
            Err(EnrolError::Token) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((spent, refused), (1, 999));
    let rig = rig.restart(None).await;
    assert!(
        matches!(
            rig.enrolment.enrol(&token, &csr).await,
            Err(EnrolError::Token)
        ),
        "nor after a restart"
    );
}

#[tokio::test]
async fn a_token_with_a_bad_request_is_not_spent_and_a_bad_token_never_holds() {
    let rig = Rig::new().await;
    let (text, ..) = rig.admin.create_token("x", 0, BY).await.expect("a token");
    let csr = crate::ca::tests::request(&SigningKey::generate_pkcs8());
    assert!(matches!(
        rig.enrolment.enrol(&text, b"nonsense").await,
        Err(EnrolError::Request(_))
    ));
    let mut forged = proto::token::EnrolmentToken::parse(&text).expect("a token");
    forged.secret[0] ^= 1;
    assert!(matches!(
        rig.enrolment.enrol(&forged.encode(), &csr).await,
        Err(EnrolError::Token)
    ));
    assert!(matches!(
        rig.enrolment.enrol("vt1.nonsense", &csr).await,
        Err(EnrolError::Token)
    ));
    // One that has run out: as the entry says.
    let late = proto::token::EnrolmentToken {
        secret: [7; 32],
        ..forged
    };
    let entry = Entry::TokenCreated {
        gateway: late.gateway.clone(),
        label: String::new(),
        hash: late.secret_sha256(),
        expires: Clock::system().now() - Span::from_secs(1),
    };
    let (good, _) = rig
        .enrolment
        .enrol(&text, &csr)
        .await
        .expect("control: it still holds");
    assert_eq!(good, late.gateway);
    rig.journal
        .append(vec![Draft::from(entry)])
        .await
        .expect("durable");
    assert!(matches!(
        rig.enrolment.enrol(&late.encode(), &csr).await,
        Err(EnrolError::Token)
    ));
    assert_eq!(rig.refused(Refused::Token), 3);
}
