//! What a filter leaves, and that a reader of less gets no less often what it asked for.

use super::*;

fn heart() -> TwinFilter {
    TwinFilter {
        kinds: [Kind::HeartRate].into(),
        parts: [v1::TwinPart::Channels].into(),
        ..TwinFilter::default()
    }
}

fn values(event: &event::TwinEvent) -> Vec<f64> {
    match twin_event(event).kind {
        Some(twin_event::Kind::Change(twin) | twin_event::Kind::Snapshot(twin)) => {
            twin.channels.iter().filter_map(|one| one.value).collect()
        }
        Some(twin_event::Kind::SnapshotEnd(_) | twin_event::Kind::KeepAlive(_)) | None => {
            Vec::new()
        }
    }
}

#[test]
fn a_state_without_news_for_the_reader_is_not_sent_and_moves_its_cursor() {
    let rig = Rig::new(&["a", "b"]);
    let (mut narrow, mut whole) = (rig.twins_of(&heart(), &[]), rig.twins(&[]));
    drain_twins(&mut narrow);
    drain_twins(&mut whole);
    rig.value(3, "a", Kind::HeartRate, 60.0);
    rig.value(4, "b", Kind::OxygenSaturation, 97.0);
    let event = narrow.next(ALL).expect("a heart rate came");
    assert_eq!(
        (show_twin(&event), values(&event)),
        ("a@3".into(), vec![60.0])
    );
    // Nobody had the state of b at 2 in this narrow form before but in the snapshot: the same.
    assert_eq!(drain_twins(&mut narrow), Vec::<String>::new());
    assert_eq!(drain_twins(&mut whole), ["a@3", "b@4"], "control");
    rig.value(5, "a", Kind::OxygenSaturation, 96.0);
    assert_eq!(drain_twins(&mut narrow), Vec::<String>::new());
    let cursor = narrow.keep_alive().cursor;
    rig.value(6, "a", Kind::HeartRate, 61.0);
    let mut resumed = rig.twins_of(&heart(), &cursor);
    let event = resumed.next(ALL).expect("a heart rate came");
    assert_eq!(
        (show_twin(&event), values(&event)),
        ("a@6".into(), vec![61.0])
    );
    // One that was not sent is not one that was missed.
    assert_eq!(drain_twins(&mut narrow), ["a@6"]);
}

/// The reader that is behind must get the value although another one was given it long ago.
#[test]
fn what_others_were_given_is_still_news_for_who_is_behind() {
    let rig = Rig::new(&["a"]);
    let (mut fast, mut slow) = (rig.twins_of(&heart(), &[]), rig.twins_of(&heart(), &[]));
    drain_twins(&mut fast);
    drain_twins(&mut slow);
    rig.value(2, "a", Kind::HeartRate, 60.0);
    assert_eq!(drain_twins(&mut fast), ["a@2"]);
    rig.value(3, "a", Kind::OxygenSaturation, 97.0);
    assert_eq!(drain_twins(&mut fast), Vec::<String>::new(), "control");
    let event = slow.next(ALL).expect("the heart rate");
    assert_eq!(values(&event), [60.0]);
    assert_eq!(event.conflated, 1);
    // There and back again: who saw it there is told of the way back.
    rig.value(4, "a", Kind::HeartRate, 90.0);
    assert_eq!(drain_twins(&mut fast), ["a@4"]);
    rig.value(5, "a", Kind::HeartRate, 60.0);
    assert_eq!(drain_twins(&mut fast), ["a@5"]);
}

/// Another patient's state that comes before it in line says nothing of what this reader has of the one after.
#[test]
fn what_changed_before_another_patients_state_is_still_news() {
    let rig = Rig::new(&["a", "b"]);
    let (mut fast, mut slow) = (rig.twins_of(&heart(), &[]), rig.twins_of(&heart(), &[]));
    drain_twins(&mut fast);
    drain_twins(&mut slow);
    rig.value(3, "b", Kind::HeartRate, 70.0);
    assert_eq!(drain_twins(&mut fast), ["b@3"]);
    rig.value(4, "a", Kind::HeartRate, 60.0);
    rig.value(5, "b", Kind::OxygenSaturation, 97.0);
    assert_eq!(drain_twins(&mut fast), ["a@4"]);
    let first = slow.next(ALL).expect("of a");
    assert_eq!(show_twin(&first), "a@4");
    // It may break off here: who comes back gets it as well.
    let mut back = rig.twins_of(&heart(), &twin_event(&first).cursor);
    for reader in [&mut slow, &mut back] {
        let event = reader.next(ALL).expect("of b");
        assert_eq!(values(&event), [70.0]);
        assert_eq!(drain_twins(reader), Vec::<String>::new());
    }
}

/// Also in a sweep.
#[test]
fn a_narrow_reader_far_behind_gets_only_what_is_news() {
    let names = ["a", "b", "c", "d", "e"];
    let rig = Rig::new(&names);
    let mut narrow = rig.twins_of(&heart(), &[]);
    drain_twins(&mut narrow);
    for (position, name) in (6..).zip(names) {
        let kind = if name == "c" {
            Kind::HeartRate
        } else {
            Kind::OxygenSaturation
        };
        rig.value(position, name, kind, 80.0);
    }
    assert_eq!(drain_twins(&mut narrow), ["c@8"]);
    let cursor = narrow.keep_alive().cursor;
    assert_eq!(
        drain_twins(&mut rig.twins_of(&heart(), &cursor)),
        Vec::<String>::new()
    );
}

#[test]
fn a_minimum_interval_gives_one_look_at_a_time() {
    let rig = Rig::new(&["a", "b"]);
    let filter = TwinFilter {
        interval: Duration::from_secs(1),
        ..TwinFilter::default()
    };
    let mut reader = rig.twins_of(&filter, &[]);
    assert_eq!(reader.interval(), Duration::ZERO, "of the snapshot");
    drain_twins(&mut reader);
    assert_eq!(reader.interval(), Duration::from_secs(1));
    rig.twin(3, "a");
    rig.twin(4, "b");
    let first = reader.next(ALL).expect("a changed");
    assert_eq!(show_twin(&first), "a@3");
    // What changes while this look is being sent is for the next one.
    for position in 5..=7 {
        rig.twin(position, "a");
    }
    assert_eq!(drain_twins(&mut reader), ["b@4"], "the look ends");
    assert_eq!(drain_twins(&mut reader), ["a@7+2"], "the next one");
}

#[test]
fn alerts_of_one_category() {
    use v1::AlertState::Active;
    let rig = Rig::new(&["a"]);
    let of = |category: v1::Category| AlertFilter {
        category: category as i32,
        ..AlertFilter::default()
    };
    let filters = [
        of(v1::Category::Physiological),
        of(v1::Category::Technical),
        AlertFilter::default(),
    ];
    let mut readers: Vec<_> = filters
        .iter()
        .map(|filter| rig.alerts_of(filter, &[]))
        .collect();
    let got = |readers: &mut Vec<AlertReader>| -> Vec<Vec<String>> {
        readers
            .iter_mut()
            .map(|reader| drain_alerts(reader).expect("not cut"))
            .collect()
    };
    got(&mut readers);
    let (_, index) = &rig.patients["a"];
    for (position, category) in [(2, 1), (3, 2)] {
        let alert = v1::Alert {
            id: format!("x{position}"),
            position,
            category,
            priority: 2,
            state: Active as i32,
            ..Default::default()
        };
        let at = At { position, index: 0 };
        rig.hub
            .alert_changed(*index, at, format!("x{position}"), alert);
        rig.hub.folded(position);
    }
    let changes = got(&mut readers);
    assert_eq!(changes, [vec!["x2@2"], vec!["x3@3"], vec!["x2@2", "x3@3"]]);
    let mut fresh: Vec<_> = filters
        .iter()
        .map(|filter| rig.alerts_of(filter, &[]))
        .collect();
    let snapshots = got(&mut fresh);
    assert_eq!(snapshots[0], ["snapshot x2", "end()"]);
    assert_eq!(snapshots[1], ["snapshot x3", "end()"]);
    // A cursor of one category is none for another.
    let cursor = readers[0].keep_alive().cursor;
    let other = drain_alerts(&mut rig.alerts_of(&filters[1], &cursor)).expect("not cut");
    assert_eq!(other[1], format!("end({})", CursorError::OtherFilter));
}

/// A reader limited to the first kind was told of the alert: it is told that it goes on, and its end, in whatever order what it
/// rests on changes; who was never told is not.
#[test]
fn who_was_told_an_alert_is_told_its_end_whatever_it_rests_on_by_then() {
    use v1::AlertState::{Acknowledged, Active, Resolved};
    let (pulse, heart, oxygen) = (Kind::PulseRate, Kind::HeartRate, Kind::OxygenSaturation);
    let rig = Rig::new(&["a"]);
    let filter = |kind| AlertFilter {
        within: Within {
            kinds: [kind].into(),
            without_alerts: false,
        },
        ..AlertFilter::default()
    };
    let tell = |position, state, kind: Kind| {
        let (_, index) = &rig.patients["a"];
        let evidence = v1::Evidence {
            kind: kind.wire(),
            label: "measured".into(),
            contribution: 1.0,
            ..Default::default()
        };
        let alert = v1::Alert {
            id: "x".into(),
            patient: "a".into(),
            category: v1::Category::Physiological.into(),
            state: i32::from(state),
            priority: 2,
            position,
            evidence: vec![evidence],
            ..Default::default()
        };
        let at = At { position, index: 0 };
        rig.hub.alert_changed(*index, at, "x".into(), alert);
        rig.hub.folded(position);
    };
    // What the reader is told: the place, and whether it is told what the alert rests on.
    let hear = |reader: &mut AlertReader| {
        let events = std::iter::from_fn(|| reader.next(ALL).expect("not cut"));
        let told = events.filter_map(|event| {
            let said = String::from_utf8_lossy(&event.encode_to_vec()).contains("measured");
            match alert_event(&event).kind.expect("every event has a kind") {
                alert_event::Kind::Snapshot(alert) | alert_event::Kind::Change(alert) => {
                    assert_eq!(alert.withheld, !said, "{alert:?}");
                    Some((alert.position, said))
                }
                alert_event::Kind::SnapshotEnd(_) | alert_event::Kind::KeepAlive(_) => None,
            }
        });
        told.collect::<Vec<_>>()
    };
    let mut readers = [pulse, heart, oxygen].map(|kind| rig.alerts_of(&filter(kind), &[]));
    let told = |readers: &mut [AlertReader; 3]| readers.each_mut().map(hear);
    told(&mut readers);
    tell(2, Active, pulse);
    assert_eq!(told(&mut readers), [vec![(2, true)], vec![], vec![]]);
    let cursor = readers[0].keep_alive().cursor;
    tell(3, Active, heart);
    let both = [vec![(3, false)], vec![(3, true)], vec![]];
    assert_eq!(told(&mut readers), both);
    // A first call finds it as it stands.
    let mut fresh = [pulse, heart, oxygen].map(|kind| rig.alerts_of(&filter(kind), &[]));
    assert_eq!(told(&mut fresh), both);
    tell(4, Acknowledged, heart);
    tell(5, Resolved, heart);
    let end = [
        vec![(4, false), (5, false)],
        vec![(4, true), (5, true)],
        vec![],
    ];
    assert_eq!(told(&mut readers), end);
    // So does who was away meanwhile, also where the centre was another process meanwhile.
    let away = [(3, false), (4, false), (5, false)];
    assert_eq!(hear(&mut rig.alerts_of(&filter(pulse), &cursor)), away);
    let later = Rig::new(&["a"]);
    later.hub.restore_alerts(rig.hub.keep_alerts(), 5);
    later.hub.folded(5);
    assert_eq!(hear(&mut later.alerts_of(&filter(pulse), &cursor)), away);
    // It comes back with what they may see.
    tell(6, Active, pulse);
    assert_eq!(
        told(&mut readers),
        [vec![(6, true)], vec![(6, false)], vec![]]
    );
}
