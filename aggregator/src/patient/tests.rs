//! The fold over small logs told by hand: order of deadlines, panics, replays.

use std::sync::Arc;

use proptest::prelude::*;
use proto::seal::Secret;
use proto::v1;
use proto::wire::split_to_fit;
use twin::{Effect, Event, Twin};
use vitals::{
    ContextId, Fixed, GatewayId, Kind, PatientId, Quality, Reading, SourceId, Span, StreamId, Time,
    Value,
};

use super::fold::{Fold, Quarantine};
use super::guarded::Step;
use super::saved::SavedPatient;
use super::{Again, Pages};
use crate::journal::{
    Committed, Content, Entry, JournalError, Opened, OpenedBatch, Position, SealedText,
};
use crate::publish::{AlertIds, CursorKey, Hub, Limits};
use crate::traces::Trace;

const START: Time = Time::from_micros(1_800_000_000_000_000);

fn patient(number: u8) -> PatientId {
    PatientId::parse(&format!("p-{number}")).expect("a patient id")
}

fn gateway(number: u8) -> GatewayId {
    GatewayId::parse(&format!("g-{number}")).expect("a gateway id")
}

fn stream(number: u8) -> StreamId {
    StreamId([number; 16])
}

/// Entries as the journal would commit them.
#[derive(Default)]
struct Log {
    entries: Vec<Committed>,
}

impl Log {
    fn add(&mut self, after: Span, entry: Entry, body: Option<Opened>) -> u64 {
        let known = self.entries.last().map_or(START, |last| last.known) + after;
        let position = Position(self.entries.len() as u64 + 1);
        let (entry, body) = (Arc::new(entry), body.map(Arc::new));
        self.entries.push(Committed {
            position,
            known,
            entry,
            body,
            trace: Trace::default(),
        });
        position.0
    }

    fn patient(&mut self, number: u8) {
        let name = SealedText::default();
        let entry = Entry::PatientAdded {
            patient: patient(number),
            name,
            test_data: true,
        };
        self.add(Span::from_millis(1), entry, None);
    }

    /// Patient `number` at gateway `by`, on a stream of the patient's number.
    fn assign(&mut self, number: u8, by: u8) {
        let entry = Entry::Assigned {
            patient: patient(number),
            gateway: gateway(by),
            stream: stream(number),
            key_id: [0; 8],
            devices: SealedText::default(),
            from: START,
        };
        self.add(
            Span::from_millis(1),
            entry,
            Some(Opened::Devices(vec![format!(
                "AA:BB:CC:DD:EE:{number:02X}"
            )])),
        );
    }

    fn batch(&mut self, of: u8, number: u64, content: Content) -> u64 {
        let batch = OpenedBatch {
            stream: stream(of),
            patient: patient(of),
            context: ContextId([of; 16]),
            number,
            lane: 2,
            source: SourceId(1),
            readings: 3,
            content,
        };
        let entry = Entry::Batch {
            gateway: gateway(1),
            record: Vec::new(),
        };
        self.add(Span::from_secs(1), entry, Some(Opened::Batch(batch)))
    }

    /// Ten slow heart beats, one a second, up to now.
    fn beats(&mut self, of: u8, number: u64) -> u64 {
        let last = self.entries.last().expect("not empty").known;
        let reading = |second: i64| Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(Fixed(34)),
            source: SourceId(1),
            sequence: number * 10 + second.cast_unsigned(),
            effective: last - Span::from_secs(9 - second),
            received: last,
            quality: Quality::GOOD,
            device: None,
        };
        let readings: Vec<_> = (0..10).map(reading).collect();
        let batch = split_to_fit(&readings, 0).remove(0);
        self.batch(of, number, Content::Body(batch.into_body()))
    }

    /// The readings of a patient's sensor from so many seconds ago until now were another's.
    fn void(&mut self, of: u8, seconds: i64) -> u64 {
        let to = self.entries.last().expect("not empty").known;
        let entry = Entry::Voided {
            patient: patient(of),
            sources: vec![(stream(of), SourceId(1))],
            from: to - Span::from_secs(seconds),
            to,
            since: to,
            by: "Ann".into(),
            reason: SealedText::default(),
            moved_to: None,
        };
        let why = Opened::Text("worn by another".into());
        self.add(Span::from_millis(5), entry, Some(why))
    }

    fn settle(&mut self, of: u8, void: u64) -> u64 {
        let (patient, void) = (patient(of), Position(void));
        let entry = Entry::VoidSettled { patient, void };
        self.add(Span::from_millis(5), entry, None)
    }

    fn tick(&mut self, after: Span) -> u64 {
        self.add(after, Entry::Tick, None)
    }
}

/// What readers could know after a log.
#[derive(Debug, PartialEq)]
struct Known {
    twins: Vec<v1::Twin>,
    alerts: Vec<(u64, u32, v1::Alert)>,
}

fn fold_with(step: Step) -> (Fold, Arc<Hub>) {
    let hub = Arc::new(Hub::new(
        CursorKey::new(Secret::new([1; 32])),
        Limits::default(),
    ));
    (
        Fold::with_step(Arc::clone(&hub), AlertIds::new(Secret::new([1; 32])), step),
        hub,
    )
}

fn known(hub: &Hub) -> Known {
    let twins = hub
        .patients()
        .into_iter()
        .map(|(_, index)| hub.view(index).twin);
    let mut alerts: Vec<_> = hub.alerts();
    alerts.sort_by_key(|record| record.at);
    let alerts = alerts.iter().map(|record| {
        (
            record.at.position,
            record.at.index,
            v1::Alert::clone(&record.alert),
        )
    });
    Known {
        twins: twins.map(|twin| v1::Twin::clone(&twin)).collect(),
        alerts: alerts.collect(),
    }
}

/// The log, to be read again from memory; what comes after a first reading may be held back.
struct Kept {
    entries: Arc<Vec<Committed>>,
    forgets: bool,
}

impl Again for Kept {
    fn open(&self, _: &PatientId) -> Result<Box<dyn Pages>, JournalError> {
        let (entries, forgets) = (Arc::clone(&self.entries), self.forgets);
        Ok(Box::new(Self { entries, forgets }))
    }
}

impl Pages for Kept {
    fn read(
        &mut self,
        after: Position,
        end: Position,
        take: &mut dyn FnMut(&Committed) -> bool,
    ) -> Result<(), JournalError> {
        if self.forgets && after > Position::START {
            return Ok(());
        }
        let entries = self.entries.iter();
        let mut entries = entries.filter(|of| of.position > after && of.position < end);
        entries.all(take);
        Ok(())
    }
}

fn fold_reading(log: &Log, step: Step, forgets: bool) -> (Fold, Arc<Hub>) {
    let (fold, hub) = fold_with(step);
    let entries = Arc::new(log.entries.clone());
    (fold.reading(Arc::new(Kept { entries, forgets })), hub)
}

fn folded(log: &Log, step: Step) -> (Fold, Known) {
    let (mut fold, hub) = fold_reading(log, step, false);
    log.entries
        .iter()
        .for_each(|committed| fold.apply(committed));
    let known = known(&hub);
    (fold, known)
}

#[test]
fn deadlines_fire_in_order_of_time_then_patient_at_the_tick_that_reaches_them() {
    let mut log = Log::default();
    for number in [1, 2, 3] {
        log.patient(number);
    }
    // The third patient's gateway falls silent first.
    for number in [3, 1, 2] {
        log.assign(number, number);
    }
    let (mut fold, hub) = fold_with(twin::step);
    log.entries
        .iter()
        .for_each(|committed| fold.apply(committed));
    let due = fold.next_deadline().expect("silence is waited for");
    assert!(hub.alerts().is_empty());
    // A tick just before it fires nothing.
    let last = log.entries.last().expect("not empty").known;
    let early = due.since(last).as_micros() - 1;
    log.tick(Span::from_micros(early));
    fold.apply(log.entries.last().expect("just added"));
    assert!(hub.alerts().is_empty(), "control");
    let at = log.tick(Span::from_mins(20));
    fold.apply(log.entries.last().expect("just added"));
    let known = known(&hub);
    let order: Vec<_> = known
        .alerts
        .iter()
        .map(|(position, index, one)| (*position, *index, one.patient.as_str()))
        .collect();
    // Each alert is followed by its twin at a place of its own: a reader that stands at an alert's place has
    // not had the twin, and one that stands at a twin's place still gets the alerts behind it.
    assert_eq!(order, [(at, 0, "p-3"), (at, 2, "p-1"), (at, 4, "p-2")]);
    assert!(
        known
            .alerts
            .iter()
            .all(|(_, _, alert)| alert.condition == "gateway_silent")
    );
    let raised: Vec<_> = known
        .alerts
        .iter()
        .map(|(_, _, alert)| alert.raised_us)
        .collect();
    assert_eq!(
        raised[0],
        due.as_micros(),
        "raised at its deadline, not at the tick"
    );
    assert!(raised.is_sorted());
}

#[test]
fn a_revoked_gateway_concerns_its_patients_only() {
    let mut log = Log::default();
    (1..=3).for_each(|number| log.patient(number));
    log.assign(1, 7);
    log.assign(2, 7);
    log.assign(3, 8);
    let at = log.add(
        Span::from_secs(1),
        Entry::GatewayRevoked {
            gateway: gateway(7),
        },
        None,
    );
    let (_, known) = folded(&log, twin::step);
    let touched: Vec<_> = known.twins.iter().map(|twin| twin.position == at).collect();
    assert_eq!(touched, [true, true, false]);
}

#[test]
fn a_frozen_stream_is_told_to_its_patient_only() {
    let mut log = Log::default();
    for number in [1, 2] {
        log.patient(number);
        log.assign(number, 7);
    }
    let entry = Entry::StreamFrozen { stream: stream(1) };
    let at = log.add(Span::from_secs(1), entry, None);
    let (_, known) = folded(&log, twin::step);
    let touched: Vec<_> = known.twins.iter().map(|twin| twin.position == at).collect();
    assert_eq!(touched, [true, false]);
    let conditions = |of: usize| -> Vec<_> {
        let alerts = known.twins[of].alerts.iter();
        alerts.map(|alert| alert.condition.as_str()).collect()
    };
    assert_eq!(
        (conditions(0), conditions(1)),
        (vec!["not_monitored"], vec![])
    );
}

/// Panics on batch number 13 as `twin::step` might.
fn fragile(twin: &mut Twin, event: &Event, now: Time, out: &mut Vec<Effect>) {
    twin::step(twin, event, now, out);
    if let Event::Malformed { number: 13, .. } = event {
        panic!("the step for number 13 is broken, on purpose");
    }
}

#[test]
fn a_panic_quarantines_its_entry_and_the_rest_goes_on() {
    let mut log = Log::default();
    for number in [1, 2] {
        log.patient(number);
        log.assign(number, number);
    }
    log.batch(1, 12, Content::Malformed);
    let broken = log.batch(1, 13, Content::Malformed);
    log.batch(1, 14, Content::Malformed);
    log.batch(2, 1, Content::Malformed);
    let (fold, known) = folded(&log, fragile);
    let quarantine = Quarantine {
        position: broken,
        patient: patient(1),
    };
    assert_eq!(fold.broken().iter().collect::<Vec<_>>(), [&quarantine]);
    assert!(
        known.alerts.is_empty(),
        "people hear of it when it is durable"
    );
    // As if the entry had never been there.
    let mut without = Log::default();
    for committed in &log.entries {
        if committed.position.0 != broken {
            without.entries.push(committed.clone());
        }
    }
    assert_eq!(folded(&without, twin::step).1, known);
    let (_, whole) = folded(&log, twin::step);
    assert_ne!(whole, known, "control: the entry would have shown");

    let entry = Entry::Quarantined {
        position: Position(broken),
        patient: patient(1),
    };
    let at = log.add(Span::from_secs(1), entry, None);
    let (fold, known) = folded(&log, fragile);
    assert!(fold.broken().is_empty());
    let [(position, _, alert)] = known.alerts.as_slice() else {
        panic!("one alert")
    };
    assert_eq!(
        (*position, alert.condition.as_str()),
        (at, "entry_quarantined")
    );
    assert_eq!(known.twins[0].alerts.len(), 1, "the twin shows it");
    // Taking notice ends it.
    let (key, note) = (format!("q-{broken}"), SealedText::default());
    let ack = Entry::Acknowledged {
        patient: patient(1),
        alert: key,
        by: "Ann".into(),
        note,
    };
    log.add(Span::from_secs(1), ack, Some(Opened::Text("seen".into())));
    let (_, known) = folded(&log, fragile);
    let (_, _, alert) = &known.alerts[0];
    assert_eq!(
        (alert.state(), alert.acknowledged_by.as_str()),
        (v1::AlertState::Resolved, "Ann")
    );
    assert!(known.twins[0].alerts.is_empty());
}

/// Deadlines that a broken twin never moves on do not stop the fold.
fn stuck(twin: &mut Twin, event: &Event, now: Time, out: &mut Vec<Effect>) {
    if !matches!(event, Event::Tick) {
        twin::step(twin, event, now, out);
    }
}

#[test]
fn a_deadline_that_does_not_move_on_waits_for_the_next_event() {
    let mut log = Log::default();
    log.patient(1);
    log.assign(1, 1);
    log.tick(Span::from_mins(60));
    let (fold, known) = folded(&log, stuck);
    assert_eq!(fold.next_deadline(), None);
    assert!(known.alerts.is_empty());
    log.batch(1, 1, Content::Malformed);
    let (_, known) = folded(&log, stuck);
    assert!(!known.alerts.is_empty(), "the event brings what was due");
}

#[test]
fn entries_of_unknown_patients_and_without_keys_are_passed_over() {
    let mut log = Log::default();
    log.patient(1);
    log.batch(2, 1, Content::Malformed);
    log.add(
        Span::from_secs(1),
        Entry::Batch {
            gateway: gateway(1),
            record: Vec::new(),
        },
        None,
    );
    let (_, known) = folded(&log, twin::step);
    assert_eq!(known.twins.len(), 1);
    assert_eq!(known.twins[0].position, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The same log gives the same twins, alerts and places, wherever the process was restarted.
    #[test]
    fn a_replay_gives_the_same(steps in proptest::collection::vec((0..6_u8, 1..4_u8, 1..400_i64), 1..40)) {
        let mut log = Log::default();
        for number in 1..4 {
            log.patient(number);
            log.assign(number, number);
        }
        for (number, (step, who, seconds)) in (1..).zip(steps) {
            match step {
                0 | 1 => { log.tick(Span::from_secs(seconds)); }
                2 | 3 => { log.batch(who, number, Content::Malformed); }
                4 => {
                    let heartbeat = v1::Heartbeat { sent_us: START.as_micros(), ..Default::default() };
                    let body = v1::BatchBody { heartbeat: Some(heartbeat), ..Default::default() };
                    log.batch(who, number, Content::Body(body));
                }
                _ => log.assign(who, who),
            }
        }
        // Live, readers look between entries; in a replay nobody does.
        let (mut live, hub) = fold_with(twin::step);
        for committed in &log.entries {
            live.apply(committed);
            known(&hub);
        }
        prop_assert_eq!(known(&hub), folded(&log, twin::step).1);
    }
}

/// A log of every kind of event, by numbers.
fn any_log(steps: Vec<(u8, u8, i64)>) -> Log {
    let mut log = Log::default();
    for number in 1..4 {
        log.patient(number);
        log.assign(number, number % 2);
    }
    let mut voids = Vec::new();
    for (number, (step, who, seconds)) in (1..).zip(steps) {
        match step {
            0 | 1 => {
                log.tick(Span::from_secs(seconds));
            }
            2 => {
                log.batch(who, number, Content::Malformed);
            }
            3 => {
                // On this one the fold panics; the entry that says so comes later, or never.
                log.batch(who, 13, Content::Malformed);
            }
            4 => {
                let position = Position(log.entries.len() as u64);
                let patient = patient(who);
                let entry = Entry::Quarantined { position, patient };
                log.add(Span::from_secs(1), entry, None);
            }
            5 => {
                let sent_us = log.entries.last().expect("not empty").known.as_micros();
                let heartbeat = v1::Heartbeat {
                    sent_us,
                    ..Default::default()
                };
                let body = v1::BatchBody {
                    heartbeat: Some(heartbeat),
                    ..Default::default()
                };
                log.batch(who, number, Content::Body(body));
            }
            6 => {
                let gateway = gateway(who % 2);
                log.add(Span::from_secs(1), Entry::GatewayRevoked { gateway }, None);
            }
            7 => {
                let stream = stream(who);
                log.add(Span::from_secs(1), Entry::StreamFrozen { stream }, None);
            }
            9 if seconds > 300 => {
                let (epoch, program) = (number + 1, String::new());
                log.add(
                    Span::from_mins(5),
                    Entry::EpochStarted { epoch, program },
                    None,
                );
            }
            10 | 11 => {
                log.beats(who, number);
            }
            12 => {
                voids.push((who, log.void(who, seconds)));
            }
            13 => {
                // Of that one or an older one, or of nothing.
                if let Some((who, void)) = voids.iter().rev().nth(usize::from(seconds % 5 == 0)) {
                    log.settle(*who, *void);
                }
            }
            8 if log.entries.len() % 3 == 0 => log.patient(3 + u8::try_from(number).expect("few")),
            _ => log.assign(who, who % 2),
        }
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 96 } else { 2000 }))]

    /// Snapshots made while the log goes on, each patient at a position of its own and unchanged ones from an earlier
    /// snapshot, and the tail, are the whole log: twins, alerts, places, what is due and what is broken.
    #[test]
    fn a_snapshot_and_the_tail_are_the_whole_log(
        steps in proptest::collection::vec((0..14_u8, 1..4_u8, 1..400_i64), 1..60),
        pauses in proptest::collection::vec(0..12_usize, 12),
    ) {
        let log = any_log(steps);
        let (mut live, live_hub) = fold_reading(&log, fragile, false);
        let saver = live.saver();
        let mut entries = log.entries.iter();
        let mut kept: std::collections::BTreeMap<u32, Vec<u8>> = std::collections::BTreeMap::new();
        let mut last = None;
        let mut pauses = pauses.into_iter();
        for pass in 1..4 {
            let mut go_on = |live: &mut Fold| {
                let some = pauses.next().unwrap_or(0);
                entries.by_ref().take(some).for_each(|committed| live.apply(committed));
                // A part of what is read again is read meanwhile.
                if let Some(reading) = live.rereading() {
                    let durable = live_hub.position();
                    let _ = reading.read_on(Position(durable + 1), &|| some % 2 == 0);
                }
            };
            go_on(&mut live);
            let begin = saver.begin(pass);
            let mut index = 0;
            while index < saver.patients() {
                go_on(&mut live);
                if let Some(taken) = saver.save(index, pass) {
                    saver.kept(&taken);
                    kept.insert(taken.index, taken.bytes);
                }
                index += 1;
            }
            go_on(&mut live);
            let (end, alerts) = saver.end();
            last = Some((begin, end, alerts, kept.clone()));
        }
        entries.for_each(|committed| live.apply(committed));
        let (begin, end, alerts, kept) = last.expect("three of them");
        let saved: Result<Vec<_>, _> = kept.values().map(|bytes| SavedPatient::read(bytes)).collect();
        let (mut again, hub) = fold_reading(&log, fragile, false);
        hub.restore_alerts(alerts, end);
        let before = log.entries.iter().rfind(|committed| committed.position.0 <= begin);
        let last = before.map_or(Time::ZERO, |last| last.known);
        again.restore((begin, last), Arc::default(), saved.expect("what was written reads back"));
        for committed in log.entries.iter().filter(|committed| committed.position.0 > begin) {
            again.apply(committed);
        }
        prop_assert_eq!(known(&hub), known(&live_hub));
        let ring = |hub: &Hub| -> Vec<_> {
            let ring = hub.keep_alerts().ring;
            ring.iter().map(|of| (of.at, of.peak, of.rested.clone(), of.key.clone(), v1::Alert::clone(&of.alert))).collect()
        };
        prop_assert_eq!(ring(&hub), ring(&live_hub));
        prop_assert_eq!(again.next_deadline(), live.next_deadline());
        prop_assert_eq!(again.broken().clone(), live.broken().clone());
        prop_assert_eq!(known(&hub), folded(&log, fragile).1, "and both are the whole log folded again");
    }
}

/// The fold does not wait for the reading, and what comes meanwhile counts, in order.
#[test]
fn a_void_is_settled_beside_the_fold_and_a_replay_gives_the_same() {
    let mut log = Log::default();
    for number in [1, 2] {
        log.patient(number);
        log.assign(number, number);
    }
    for number in 1..=9 {
        log.beats(1, number);
        log.tick(Span::from_secs(9));
    }
    let void = log.void(1, 200);
    for number in 10..=18 {
        log.beats(1, number);
        log.beats(2, number);
        log.tick(Span::from_secs(8));
    }
    let settled = log.settle(1, void);
    log.beats(1, 19);
    let holds = |known: &Known, of: usize| {
        let alerts = known.twins[of].alerts.iter();
        alerts.filter(|of| of.condition == "heart_rate_low").count()
    };
    let live = |forgets| {
        let (mut live, hub) = fold_reading(&log, twin::step, forgets);
        let mut entries = log.entries.iter();
        for committed in entries.by_ref() {
            live.apply(committed);
            if committed.position.0 == void {
                break;
            }
        }
        // Nobody reads, and everybody's twin goes on, the patient's, too.
        for committed in entries.by_ref() {
            if committed.position.0 == settled {
                break;
            }
            live.apply(committed);
            if committed.position.0 == void + 2 {
                let reading = live.rereading().expect("it waits to be read");
                let read = reading.read_on(Position(void + 3), &|| true);
                assert_eq!(read.expect("read"), Position(void + 2));
                let asked = reading.ask();
                let is_of =
                    matches!(asked, Entry::VoidSettled { void: of, .. } if of == Position(void));
                assert!(is_of, "{asked:?}");
            }
        }
        let before = known(&hub);
        assert_eq!((holds(&before, 0), holds(&before, 1)), (1, 1));
        assert!(live.rereading().is_none(), "it was asked for");
        for committed in &log.entries[usize::try_from(settled).expect("few") - 1..] {
            live.apply(committed);
        }
        known(&hub)
    };
    let after = live(false);
    let (_, again) = folded(&log, twin::step);
    assert_eq!(after, again);
    let withdrawn: Vec<_> = after
        .alerts
        .iter()
        .filter(|(.., alert)| alert.withdrawn_us > 0)
        .map(|(at, _, alert)| {
            (
                *at,
                alert.withdrawn_by.as_str(),
                alert.withdrawn_reason.as_str(),
            )
        })
        .collect();
    assert_eq!(withdrawn, []);
    assert_ne!(live(true), again, "control: what came meanwhile counts");
}

#[test]
fn a_centre_that_is_set_to_keep_fewer_alerts_forgets_the_oldest_of_a_snapshot() {
    let mut log = Log::default();
    for number in [1, 2, 3] {
        log.patient(number);
        log.assign(number, number);
    }
    let end = log.tick(Span::from_mins(20));
    let (mut fold, hub) = fold_with(twin::step);
    log.entries
        .iter()
        .for_each(|committed| fold.apply(committed));
    let kept = hub.keep_alerts();
    assert_eq!(kept.ring.len(), 3, "control");
    let fewer = Hub::new(CursorKey::new(Secret::new([1; 32])), Limits::keeping(2));
    fewer.restore_alerts(kept.clone(), end);
    let left = fewer.keep_alerts();
    assert_eq!((left.ring.len(), left.dropped), (2, kept.ring[0].at));
    assert_eq!(left.latest.len(), 3, "what holds stays");
}

#[test]
fn a_state_whose_hash_does_not_fit_is_refused() {
    let mut log = Log::default();
    log.patient(1);
    log.assign(1, 1);
    let (fold, _) = folded(&log, twin::step);
    let taken = fold.saver().save(0, 1).expect("it was never kept");
    assert!(SavedPatient::read(&taken.bytes).is_ok(), "control");
    let mut other = taken.bytes.clone();
    other[0] ^= 1;
    let refused = SavedPatient::read(&other);
    assert_eq!(refused.err(), Some(super::Unreadable::Hash));
    let refused = SavedPatient::read(&taken.bytes[..taken.bytes.len() - 1]);
    assert_eq!(refused.err(), Some(super::Unreadable::Bytes));
}
