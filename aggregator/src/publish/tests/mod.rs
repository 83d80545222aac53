//! The hub and its readers against a small log told by hand: resume, conflation, sweeps, cuts, restarts.

mod filters;
mod many;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use prost::Message as _;
use proto::seal::Secret;
use proto::v1::{self, alert_event, twin_event};
use vitals::{Kind, PatientId, Time};

use super::*;

/// A patient whose state is its place and the newest value of each kind.
#[derive(Debug)]
struct Fake {
    id: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    at: At,
    changes: u64,
    values: BTreeMap<i32, f64>,
}

impl Source for Fake {
    fn view(&self) -> View {
        let state = self.state.lock().expect("no test panics here");
        let channel = |(kind, value): (&i32, &f64)| v1::Channel {
            kind: *kind,
            value: Some(*value),
            ..Default::default()
        };
        let twin = v1::Twin {
            patient: self.id.clone(),
            position: state.at.position,
            channels: state.values.iter().map(channel).collect(),
            ..Default::default()
        };
        View {
            at: state.at,
            changes: state.changes,
            twin: Arc::new(twin),
        }
    }

    fn coverage(&self, _: &[Kind], _: (Time, Time), _: Time) -> Vec<twin::coverage::Line> {
        Vec::new()
    }

    fn scoreboard(&self) -> twin::board::Scoreboard {
        twin::board::Scoreboard::default()
    }
}

/// A hub and who is in it.
struct Rig {
    hub: Arc<Hub>,
    patients: BTreeMap<String, (Arc<Fake>, PatientIndex)>,
}

const SMALL: Limits = Limits {
    alert_ring: 8,
    alerts_a_patient: 0,
    alert_lag: 4,
    resolved_alerts: 4,
    pending_twins: 3,
    shared: 2,
};

impl Rig {
    fn new(names: &[&str]) -> Self {
        Self::with(names, SMALL)
    }

    fn with(names: &[&str], limits: Limits) -> Self {
        let hub = Arc::new(Hub::new(CursorKey::new(Secret::new([1; 32])), limits));
        hub.begin_epoch(1);
        let mut rig = Self {
            hub,
            patients: BTreeMap::new(),
        };
        for (number, name) in names.iter().enumerate() {
            let id = PatientId::parse(name).expect("a patient id");
            let state = Mutex::default();
            let fake = Arc::new(Fake {
                id: (*name).to_owned(),
                state,
            });
            let index = rig
                .hub
                .add_patient(id, Arc::clone(&fake) as Arc<dyn Source>);
            rig.patients.insert((*name).to_owned(), (fake, index));
            rig.twin(number as u64 + 1, name);
        }
        rig.hub.ready();
        rig
    }

    /// One entry that changes one twin.
    fn twin(&self, position: u64, name: &str) {
        self.change(position, name, |_| {});
    }

    /// One entry that brings one twin a value.
    fn value(&self, position: u64, name: &str, kind: Kind, value: f64) {
        self.change(position, name, |state| {
            state.values.insert(kind.wire(), value);
        });
    }

    fn change(&self, position: u64, name: &str, how: impl FnOnce(&mut State)) {
        self.moved(At { position, index: 0 }, name, how);
        self.hub.folded(position);
    }

    /// A part of an entry.
    fn moved(&self, at: At, name: &str, how: impl FnOnce(&mut State)) {
        let (fake, index) = &self.patients[name];
        let mut state = fake.state.lock().expect("no test panics here");
        state.at = at;
        state.changes += 1;
        how(&mut state);
        self.hub.twin_changed(*index, state.at);
    }

    /// One entry that changes one alert.
    fn alert(&self, position: u64, name: &str, id: &str, priority: i32, state: v1::AlertState) {
        let (_, index) = &self.patients[name];
        let alert = v1::Alert {
            id: id.into(),
            patient: name.into(),
            priority,
            state: state as i32,
            position,
            ..Default::default()
        };
        self.hub
            .alert_changed(*index, At { position, index: 0 }, id.into(), alert);
        self.hub.folded(position);
    }

    fn twins(&self, cursor: &[u8]) -> TwinReader {
        self.twins_of(&TwinFilter::default(), cursor)
    }

    fn alerts(&self, cursor: &[u8]) -> AlertReader {
        self.alerts_of(&AlertFilter::default(), cursor)
    }

    fn twins_of(&self, filter: &TwinFilter, cursor: &[u8]) -> TwinReader {
        TwinReader::new(Arc::clone(&self.hub), filter, cursor)
    }

    fn alerts_of(&self, filter: &AlertFilter, cursor: &[u8]) -> AlertReader {
        AlertReader::new(Arc::clone(&self.hub), filter, cursor)
    }
}

/// The event as a client reads it.
fn twin_event(event: &event::TwinEvent) -> v1::TwinEvent {
    v1::TwinEvent::decode(event.encode_to_vec().as_slice()).expect("the contract's bytes")
}

/// The event as a client reads it.
fn alert_event(event: &event::AlertEvent) -> v1::AlertEvent {
    v1::AlertEvent::decode(event.encode_to_vec().as_slice()).expect("the contract's bytes")
}

fn only(name: &str) -> BTreeSet<PatientId> {
    [PatientId::parse(name).expect("a patient id")].into()
}

const ALL: Allowed<'static> = &|_| true;

fn show_twin(event: &event::TwinEvent) -> String {
    let event = twin_event(event);
    match event.kind.as_ref().expect("every event has a kind") {
        twin_event::Kind::Snapshot(twin) => format!("snapshot {}@{}", twin.patient, twin.position),
        twin_event::Kind::SnapshotEnd(end) => format!("end({})", end.reason),
        twin_event::Kind::Change(twin) if event.conflated == 0 => {
            format!("{}@{}", twin.patient, twin.position)
        }
        twin_event::Kind::Change(twin) => {
            format!("{}@{}+{}", twin.patient, twin.position, event.conflated)
        }
        twin_event::Kind::KeepAlive(_) => "alive".into(),
    }
}

fn drain_twins(reader: &mut TwinReader) -> Vec<String> {
    std::iter::from_fn(|| reader.next(ALL))
        .map(|event| show_twin(&event))
        .collect()
}

fn show_alert(event: &event::AlertEvent) -> String {
    let event = alert_event(event);
    match event.kind.as_ref().expect("every event has a kind") {
        alert_event::Kind::Snapshot(alert) => format!("snapshot {}", alert.id),
        alert_event::Kind::SnapshotEnd(end) => format!("end({})", end.reason),
        alert_event::Kind::Change(alert) => {
            assert_eq!(event.event_id, format!("{}.0", alert.position));
            format!("{}@{}", alert.id, alert.position)
        }
        alert_event::Kind::KeepAlive(_) => "alive".into(),
    }
}

fn drain_alerts(reader: &mut AlertReader) -> Result<Vec<String>, Cut> {
    let mut got = Vec::new();
    while let Some(event) = reader.next(ALL)? {
        got.push(show_alert(&event));
    }
    Ok(got)
}

#[test]
fn a_first_call_gets_a_snapshot_then_changes() {
    let rig = Rig::new(&["a", "b"]);
    let mut reader = rig.twins(&[]);
    assert_eq!(
        drain_twins(&mut reader),
        ["snapshot a@1", "snapshot b@2", "end()"]
    );
    rig.twin(3, "a");
    assert_eq!(drain_twins(&mut reader), ["a@3"]);
    assert_eq!(drain_twins(&mut reader), Vec::<String>::new());
}

#[test]
fn a_slow_reader_gets_the_newest_state_and_the_count() {
    let rig = Rig::new(&["a", "b"]);
    let mut reader = rig.twins(&[]);
    drain_twins(&mut reader);
    for position in 3..=7 {
        rig.twin(position, "a");
    }
    rig.twin(8, "b");
    assert_eq!(drain_twins(&mut reader), ["a@7+4", "b@8"]);
}

#[test]
fn a_cursor_resumes_exactly_after_its_event() {
    let rig = Rig::new(&["a", "b"]);
    let mut reader = rig.twins(&[]);
    drain_twins(&mut reader);
    rig.twin(3, "a");
    rig.twin(4, "b");
    let first = reader.next(ALL).expect("a changed");
    assert_eq!(show_twin(&first), "a@3");
    rig.twin(5, "a");
    assert_eq!(drain_twins(&mut rig.twins(&first.cursor)), ["b@4", "a@5"]);
    // Control: without the cursor everything comes again.
    assert_eq!(
        drain_twins(&mut rig.twins(&[])),
        ["snapshot a@5", "snapshot b@4", "end()"]
    );
}

#[test]
fn a_keep_alive_moves_a_filtered_reader_on() {
    let rig = Rig::new(&["a", "b"]);
    let only_b = TwinFilter {
        patients: only("b"),
        ..TwinFilter::default()
    };
    let reader = |cursor: &[u8]| rig.twins_of(&only_b, cursor);
    let mut first = reader(&[]);
    assert_eq!(drain_twins(&mut first), ["snapshot b@2", "end()"]);
    rig.twin(3, "a");
    assert_eq!(drain_twins(&mut first), Vec::<String>::new());
    let cursor = first.keep_alive().cursor;
    rig.twin(4, "b");
    assert_eq!(drain_twins(&mut reader(&cursor)), ["b@4"]);
}

#[test]
fn a_cursor_that_cannot_be_honoured_gives_a_snapshot_with_the_reason() {
    let rig = Rig::new(&["a"]);
    let end = {
        let mut reader = rig.twins(&[]);
        reader.next(ALL);
        reader.next(ALL).expect("the snapshot ends").cursor
    };
    assert_eq!(
        drain_twins(&mut rig.twins(&end)),
        Vec::<String>::new(),
        "control"
    );

    let mut tampered = end.to_vec();
    tampered[20] ^= 1;
    let reason = CursorError::NotOurs.to_string();
    assert_eq!(
        drain_twins(&mut rig.twins(&tampered))[1],
        format!("end({reason})")
    );

    let filter = TwinFilter::default().hash();
    let made = |epoch, at| rig.hub.cursors().encode(Stream::Twins, epoch, filter, at);
    let other_epoch = made(
        2,
        At {
            position: 1,
            index: 0,
        },
    );
    let reason = CursorError::OtherEpoch.to_string();
    assert_eq!(
        drain_twins(&mut rig.twins(&other_epoch))[1],
        format!("end({reason})")
    );
    let ahead = made(
        1,
        At {
            position: 99,
            index: 0,
        },
    );
    let reason = CursorError::Ahead.to_string();
    assert_eq!(
        drain_twins(&mut rig.twins(&ahead))[1],
        format!("end({reason})")
    );

    let others = [
        TwinFilter {
            patients: only("a"),
            ..TwinFilter::default()
        },
        TwinFilter {
            kinds: [Kind::HeartRate].into(),
            ..TwinFilter::default()
        },
        TwinFilter {
            parts: [v1::TwinPart::Channels].into(),
            ..TwinFilter::default()
        },
        TwinFilter {
            interval: Duration::from_secs(1),
            ..TwinFilter::default()
        },
    ];
    let reason = CursorError::OtherFilter.to_string();
    for other in others {
        let mut filtered = rig.twins_of(&other, &end);
        assert_eq!(drain_twins(&mut filtered)[1], format!("end({reason})"));
    }
}

#[test]
fn a_reader_far_behind_is_swept_and_misses_nobody() {
    let rig = Rig::new(&["a", "b", "c", "d", "e"]);
    let mut reader = rig.twins(&[]);
    drain_twins(&mut reader);
    for (position, name) in (6..).zip(["a", "b", "c", "d", "e"]) {
        rig.twin(position, name);
    }
    let first = reader.next(ALL).expect("a sweep begins");
    assert_eq!(show_twin(&first), "a@6");
    // It breaks off within the sweep: the cursor still stands at its beginning.
    let again = drain_twins(&mut rig.twins(&first.cursor));
    assert_eq!(again, ["a@6", "b@7", "c@8", "d@9", "e@10"]);
    // It goes on: a patient that moved meanwhile comes once, in its newest state.
    rig.twin(11, "b");
    rig.twin(12, "a");
    assert_eq!(
        drain_twins(&mut reader),
        ["b@11+1", "c@8", "d@9", "e@10", "a@12"]
    );
    let cursor = reader.keep_alive().cursor;
    assert_eq!(drain_twins(&mut rig.twins(&cursor)), Vec::<String>::new());
}

/// One entry moves a twin twice. Whoever looks in between sees the one before: neither as a change, nor in a snapshot,
/// nor in a sweep, nor by a single question is a state shown that the log does not give again.
#[tokio::test]
async fn nobody_is_shown_a_state_from_the_middle_of_an_entry() {
    let rig = Rig::new(&["a", "b", "c", "d", "e"]);
    let mut follows = rig.twins(&[]);
    let cursor = {
        assert_eq!(drain_twins(&mut follows).len(), 6);
        follows.keep_alive().cursor
    };
    let part = |index, value| {
        rig.moved(At { position: 6, index }, "a", |state| {
            state.values.insert(Kind::HeartRate.wire(), value);
        });
    };
    part(0, 50.0);
    assert_eq!(drain_twins(&mut follows), Vec::<String>::new());
    // One who was named and has no state yet is nobody's business.
    let (unborn, _) = &rig.patients["b"];
    let named = PatientId::parse("aa").expect("a patient id");
    rig.hub
        .add_patient(named.clone(), Arc::clone(unborn) as Arc<dyn Source>);
    assert_eq!(rig.hub.find(&named), None);
    // Patients come by name: the snapshot waits before it has said anything of the others.
    let mut begins = rig.twins(&[]);
    assert_eq!(drain_twins(&mut begins), Vec::<String>::new());
    let (_, index) = rig.patients["a"];
    let mut asks = std::pin::pin!(rig.hub.whole_view(index));
    assert!(futures_util::poll!(asks.as_mut()).is_pending());
    part(1, 51.0);
    rig.hub.folded(6);
    assert_eq!(drain_twins(&mut follows), ["a@6+1"]);
    assert_eq!(drain_twins(&mut begins).len(), 6);
    assert_eq!(
        asks.await.at,
        At {
            position: 6,
            index: 1
        }
    );
    // More than three wait: this reader is swept.
    for (position, name) in (7..).zip(["b", "c", "d", "e"]) {
        rig.twin(position, name);
    }
    rig.moved(
        At {
            position: 11,
            index: 0,
        },
        "b",
        |_| {},
    );
    let mut swept = rig.twins(&cursor);
    let first = drain_twins(&mut swept);
    rig.moved(
        At {
            position: 11,
            index: 1,
        },
        "b",
        |_| {},
    );
    rig.hub.folded(11);
    let then = drain_twins(&mut swept);
    let all = first.iter().chain(&then).map(String::as_str);
    let all: BTreeSet<&str> = all.collect();
    assert_eq!(all, ["a@6", "b@11", "c@8", "d@9", "e@10"].into());
    assert_eq!(first.len() + then.len(), 5, "{first:?} {then:?}");
}

async fn woken(reader: &mut TwinReader) -> bool {
    let changed = std::future::poll_fn(|context| reader.poll_changed(context));
    let rang = tokio::time::timeout(Duration::from_millis(300), changed).await;
    rang.is_ok()
}

/// The bell for a change in the middle of an entry rings when the entry is whole, however often it rang before.
#[tokio::test]
async fn who_looked_in_the_middle_of_an_entry_is_woken_at_its_end() {
    let rig = Rig::new(&["a"]);
    let hub = Arc::clone(&rig.hub);
    let ringing = tokio::spawn(async move { hub.ring().await });
    tokio::task::yield_now().await;
    let mut reader = rig.twins(&[]);
    assert_eq!(drain_twins(&mut reader).len(), 2);
    rig.moved(
        At {
            position: 2,
            index: 0,
        },
        "a",
        |_| {},
    );
    // A round for progress that has nothing to do with it.
    rig.hub.ready();
    assert!(!woken(&mut reader).await, "nothing is whole yet");
    assert_eq!(drain_twins(&mut reader), Vec::<String>::new());
    rig.hub.folded(2);
    assert!(woken(&mut reader).await, "the entry is whole");
    assert_eq!(drain_twins(&mut reader), ["a@2"]);
    ringing.abort();
}

#[test]
fn alerts_come_all_and_in_order() {
    use v1::AlertState::{Acknowledged, Active, Resolved};
    let rig = Rig::new(&["a", "b"]);
    rig.alert(3, "a", "x", 2, Active);
    let mut reader = rig.alerts(&[]);
    assert_eq!(
        drain_alerts(&mut reader).expect("not cut"),
        ["snapshot x", "end()"]
    );
    rig.alert(4, "a", "x", 2, Acknowledged);
    rig.alert(5, "b", "y", 3, Active);
    rig.alert(6, "a", "x", 2, Resolved);
    let first = reader.next(ALL).expect("not cut").expect("x changed");
    assert_eq!(show_alert(&first), "x@4");
    let rest = drain_alerts(&mut rig.alerts(&first.cursor)).expect("not cut");
    assert_eq!(rest, ["y@5", "x@6"]);
    assert_eq!(drain_alerts(&mut reader).expect("not cut"), rest);
    let fresh = drain_alerts(&mut rig.alerts(&[])).expect("not cut");
    assert_eq!(
        fresh,
        ["snapshot y", "end()"],
        "resolved alerts are not in a snapshot"
    );
}

#[test]
fn a_priority_filter_also_learns_that_an_alert_became_less_urgent() {
    use v1::AlertState::Active;
    let rig = Rig::new(&["a"]);
    let filter = AlertFilter {
        priority_at_least: 3,
        ..AlertFilter::default()
    };
    let mut urgent = rig.alerts_of(&filter, &[]);
    assert_eq!(drain_alerts(&mut urgent).expect("not cut"), ["end()"]);
    rig.alert(2, "a", "x", 2, Active);
    rig.alert(3, "a", "x", 3, Active);
    rig.alert(4, "a", "x", 1, Active);
    assert_eq!(drain_alerts(&mut urgent).expect("not cut"), ["x@3", "x@4"]);
}

#[test]
fn a_slow_alert_reader_is_cut_with_a_cursor_that_still_resumes() {
    use v1::AlertState::Active;
    let rig = Rig::new(&["a"]);
    let mut reader = rig.alerts(&[]);
    drain_alerts(&mut reader).expect("not cut");
    for position in 2..=5 {
        rig.alert(position, "a", &format!("n{position}"), 1, Active);
    }
    assert_eq!(
        reader.next(ALL).map(|event| event.is_some()),
        Ok(true),
        "control: 4 behind"
    );
    rig.alert(6, "a", "n6", 1, Active);
    rig.alert(7, "a", "n7", 1, Active);
    let cut = reader
        .next(ALL)
        .expect_err("5 behind is over the limit of 4");
    assert_eq!(cut.behind, 5);
    let rest = drain_alerts(&mut rig.alerts(&cut.cursor)).expect("a resumed reader may catch up");
    assert_eq!(rest, ["n3@3", "n4@4", "n5@5", "n6@6", "n7@7"]);
}

#[test]
fn a_cursor_older_than_the_ring_gives_a_snapshot() {
    use v1::AlertState::Active;
    let rig = Rig::new(&["a"]);
    let mut reader = rig.alerts(&[]);
    drain_alerts(&mut reader).expect("not cut");
    let cursor = reader.keep_alive().cursor;
    for position in 2..=9 {
        rig.alert(position, "a", "x", 1, Active);
    }
    let kept = drain_alerts(&mut rig.alerts(&cursor)).expect("not cut");
    assert_eq!(kept.len(), 8, "control: the ring holds 8");
    rig.alert(10, "a", "x", 1, Active);
    let got = drain_alerts(&mut rig.alerts(&cursor)).expect("not cut");
    assert_eq!(
        got,
        [
            "snapshot x".to_owned(),
            format!("end({})", CursorError::TooOld)
        ]
    );
}

#[test]
fn changes_are_kept_for_each_patient_also_after_a_restart() {
    let limits = Limits {
        alerts_a_patient: 10,
        ..SMALL
    };
    let active = v1::AlertState::Active;
    let rig = Rig::with(&["a", "b"], limits);
    let mut reader = rig.alerts(&[]);
    assert_eq!(drain_alerts(&mut reader).expect("not cut"), ["end()"]);
    let cursor = reader.keep_alive().cursor;
    for position in 3..23 {
        rig.alert(position, "a", &format!("x{position}"), 2, active);
    }
    let back = |rig: &Rig| {
        let mut reader = rig.alerts(&cursor);
        let next = reader
            .next(ALL)
            .expect("it reaches back")
            .expect("a change");
        show_alert(&next)
    };
    assert_eq!(back(&rig), "x3@3", "twenty are kept, not eight");
    let again = Rig::with(&["a", "b"], limits);
    again.hub.restore_alerts(rig.hub.keep_alerts(), 22);
    again.hub.folded(22);
    assert_eq!(back(&again), "x3@3");
}

#[test]
fn resolved_alerts_are_forgotten_oldest_first_and_active_ones_never() {
    use v1::AlertState::{Active, Resolved};
    let rig = Rig::new(&["a"]);
    rig.alert(2, "a", "stays", 1, Active);
    for position in 3..=9 {
        rig.alert(position, "a", &format!("r{position}"), 1, Resolved);
    }
    let kept: BTreeSet<_> = rig
        .hub
        .alerts()
        .iter()
        .map(|r| r.alert.id.clone())
        .collect();
    assert_eq!(
        kept,
        ["r6", "r7", "r8", "r9", "stays"].map(String::from).into()
    );
}

#[test]
fn a_patient_that_is_no_longer_allowed_is_left_out_at_once() {
    let rig = Rig::new(&["a", "b"]);
    let mut reader = rig.twins(&[]);
    drain_twins(&mut reader);
    rig.twin(3, "a");
    rig.twin(4, "b");
    let without_a: Allowed<'_> = &|patient| patient.reveal() != "a";
    assert_eq!(
        reader.next(without_a).map(|event| show_twin(&event)),
        Some("b@4".into())
    );
}

/// What a client does with a stream: keeps the newest state of each patient.
fn follow(known: &mut BTreeMap<String, u64>, event: &v1::TwinEvent) {
    match event.kind.as_ref().expect("every event has a kind") {
        twin_event::Kind::Snapshot(twin) | twin_event::Kind::Change(twin) => {
            let before = known.insert(twin.patient.clone(), twin.position);
            assert!(
                before.is_none_or(|before| before <= twin.position),
                "time went back"
            );
        }
        twin_event::Kind::SnapshotEnd(_) | twin_event::Kind::KeepAlive(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the interleaving of changes, reads and reconnects, and also when the hub is made anew from the
    /// same log in between: in the end the client knows the newest state of everybody, and no resumed stream
    /// repeats a state that its cursor had covered.
    #[test]
    fn twins_no_gap_and_no_duplicate(steps in proptest::collection::vec(0..12_u8, 1..60)) {
        let names = ["a", "b", "c", "d", "e"];
        let mut log: Vec<&str> = Vec::new();
        let replay = |log: &[&str]| {
            let rig = Rig::new(&names);
            for (position, name) in (6..).zip(log) {
                rig.twin(position, name);
            }
            rig
        };
        let mut rig = replay(&log);
        let mut reader = rig.twins(&[]);
        let mut known = BTreeMap::new();
        let mut cursor = Vec::new();
        let mut covered: BTreeSet<(String, u64)> = BTreeSet::new();
        let mut pending: Vec<(String, u64)> = Vec::new();
        let mut read = |reader: &mut TwinReader, cursor: &mut Vec<u8>, many: usize| {
            for _ in 0..many {
                let Some(event) = reader.next(ALL).map(|event| twin_event(&event)) else { break };
                follow(&mut known, &event);
                if let Some(twin_event::Kind::Change(twin) | twin_event::Kind::Snapshot(twin)) = &event.kind {
                    let state = (twin.patient.clone(), twin.position);
                    assert!(!covered.contains(&state), "{state:?} was sent twice");
                    pending.push(state);
                }
                *cursor = event.cursor;
                let filter = TwinFilter::default().hash();
                if let Ok(at) = CursorKey::new(Secret::new([1; 32])).decode(Stream::Twins, 1, filter, cursor) {
                    covered.extend(pending.extract_if(.., |state| state.1 <= at.position));
                }
            }
            known.clone()
        };
        for step in steps {
            match step {
                0..=4 => {
                    let name = names[usize::from(step)];
                    log.push(name);
                    rig.twin(log.len() as u64 + 5, name);
                }
                5 => { read(&mut reader, &mut cursor, 1); }
                6 => { read(&mut reader, &mut cursor, 3); }
                7 => { read(&mut reader, &mut cursor, 100); }
                8 | 9 => reader = rig.twins(&cursor),
                _ => {
                    rig = replay(&log);
                    reader = rig.twins(&cursor);
                }
            }
        }
        let known = read(&mut reader, &mut cursor, 1000);
        for name in names {
            let (fake, _) = &rig.patients[name];
            let newest = fake.state.lock().expect("no test panics here").at.position;
            prop_assert_eq!(known.get(name), Some(&newest));
        }
    }
}
