//! A reader that goes away and comes back: what it saw, and whether that is what happened.
//!
//! Promise: [`Record::verdict`] is PURE: a gap, a duplicate, a wrong order and a state that went back are each
//! named with where they are. A snapshot is taken as what it says, and only where the centre said why.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1::{AlertEvent, TwinEvent, alert_event, twin_event};

/// Something that a reader of alerts saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A snapshot began anew here, for this reason (none for a first call).
    Snapshot(String),
    /// A change: event id, alert, state.
    Change(String, String, i32),
}

/// What a reader of alerts saw over all its connections, and where it would go on.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// In the order in which it came.
    pub steps: Vec<Step>,
    /// The newest cursor.
    pub cursor: Vec<u8>,
}

impl Record {
    /// Takes an event.
    pub fn take(&mut self, event: &AlertEvent) {
        match &event.kind {
            Some(alert_event::Kind::SnapshotEnd(end)) => {
                self.steps.push(Step::Snapshot(end.reason.clone()));
            }
            Some(alert_event::Kind::Change(alert)) => {
                let id = event.event_id.clone();
                self.steps
                    .push(Step::Change(id, alert.id.clone(), alert.state));
            }
            Some(alert_event::Kind::Snapshot(_) | alert_event::Kind::KeepAlive(_)) | None => {}
        }
        if !event.cursor.is_empty() {
            self.cursor.clone_from(&event.cursor);
        }
    }

    /// Changes so far.
    #[must_use]
    pub fn changes(&self) -> usize {
        let change = |step: &&Step| matches!(step, Step::Change(..));
        self.steps.iter().filter(change).count()
    }

    /// Holds it against all that happened since its first snapshot.
    ///
    /// # Errors
    /// What is wrong first, and where.
    pub fn verdict(&self, happened: &[Step]) -> Result<(), String> {
        let Some((Step::Snapshot(first), seen)) = self.steps.split_first() else {
            return Err("it does not begin with a snapshot".into());
        };
        if !first.is_empty() {
            return Err(format!("a first call got a reason: {first}"));
        }
        for (n, step) in seen.iter().enumerate() {
            let Step::Change(id, ..) = step else {
                return Err(format!("after {n} changes came a snapshot: {step:?}"));
            };
            if Some(step) == happened.get(n) {
                continue;
            }
            if seen[..n].contains(step) {
                return Err(format!("{id} came twice"));
            }
            return Err(match happened.get(n) {
                Some(Step::Change(missing, ..)) if !seen.contains(&happened[n]) => {
                    format!("{missing} is missing before {id}")
                }
                Some(_) => format!("{id} came out of order"),
                None => format!("{id} never happened"),
            });
        }
        match happened.get(seen.len()) {
            Some(missing) => Err(format!("the end is missing, from {missing:?}")),
            None => Ok(()),
        }
    }
}

/// What a reader of twins knows over all its connections.
#[derive(Clone, Debug, Default)]
pub struct Twins {
    /// Newest position and hash of the state, by patient.
    pub known: BTreeMap<String, (u64, Vec<u8>)>,
    /// The newest cursor.
    pub cursor: Vec<u8>,
    /// States that came, and those that the centre said it left out.
    pub states: (u64, u64),
    /// Snapshots, with the reasons that the centre gave.
    pub snapshots: Vec<String>,
    in_snapshot: bool,
    /// Patients whose states came since the cursor moved last: of a reader that caught up. Broken off, it begins that again.
    uncovered: BTreeSet<String>,
}

impl Twins {
    /// Takes an event.
    ///
    /// # Errors
    /// When a state that the cursor covers comes again, or an older one, outside of a snapshot.
    pub fn take(&mut self, event: &TwinEvent) -> Result<(), String> {
        match &event.kind {
            Some(twin_event::Kind::Snapshot(twin)) => {
                self.in_snapshot = true;
                let state = (twin.position, twin.state_hash.clone());
                self.known.insert(twin.patient.clone(), state);
            }
            Some(twin_event::Kind::SnapshotEnd(end)) => {
                self.in_snapshot = false;
                self.snapshots.push(end.reason.clone());
            }
            Some(twin_event::Kind::Change(twin)) => {
                if std::mem::take(&mut self.in_snapshot) {
                    return Err("a snapshot did not end".into());
                }
                let known = self.known.get(&twin.patient);
                let before = known.map_or(0, |(position, _)| *position);
                let again = known.is_some_and(|(position, hash)| {
                    (*position, hash) == (twin.position, &twin.state_hash)
                        && self.uncovered.contains(&twin.patient)
                });
                if twin.position <= before && !again {
                    let now = twin.position;
                    return Err(format!("a state at {now} came after the one at {before}"));
                }
                let state = (twin.position, twin.state_hash.clone());
                self.known.insert(twin.patient.clone(), state);
                if !event.cursor.is_empty() && event.cursor == self.cursor {
                    self.uncovered.insert(twin.patient.clone());
                }
                self.states.0 += 1;
                self.states.1 += event.conflated;
            }
            Some(twin_event::Kind::KeepAlive(_)) | None => {}
        }
        if !event.cursor.is_empty() && event.cursor != self.cursor {
            self.cursor.clone_from(&event.cursor);
            self.uncovered.clear();
        }
        Ok(())
    }

    /// The reader goes away: an unfinished snapshot comes anew.
    pub fn leave(&mut self) {
        self.in_snapshot = false;
    }

    /// The newest position that it knows of a patient.
    #[must_use]
    pub fn position(&self, patient: &str) -> u64 {
        self.known.get(patient).map_or(0, |(position, _)| *position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(n: usize) -> Step {
        Step::Change(format!("{n}.0"), format!("a{}", n / 2), 1)
    }

    #[test]
    fn planted_faults_are_found_and_named() {
        let happened: Vec<Step> = (0..6).map(change).collect();
        let verdict = |steps: &[usize]| {
            let mut record = Record::default();
            record.steps.push(Step::Snapshot(String::new()));
            record.steps.extend(steps.iter().map(|n| change(*n)));
            record.verdict(&happened)
        };
        assert_eq!(verdict(&[0, 1, 2, 3, 4, 5]), Ok(()), "control");
        for (steps, says) in [
            (vec![0, 1, 3, 4, 5], "2.0 is missing before 3.0"),
            (vec![0, 1, 1, 2, 3, 4, 5], "1.0 came twice"),
            (vec![0, 2, 1, 3, 4, 5], "2.0 came out of order"),
            (vec![0, 1, 2, 3, 4], "the end is missing"),
            (vec![0, 1, 2, 3, 4, 5, 9], "9.0 never happened"),
        ] {
            let said = verdict(&steps).expect_err("a fault was planted");
            assert!(said.contains(says), "{said}");
        }
        let silent = Record {
            steps: vec![
                Step::Snapshot(String::new()),
                change(0),
                Step::Snapshot("x".into()),
            ],
            ..Record::default()
        };
        assert!(
            silent
                .verdict(&happened)
                .is_err_and(|said| said.contains("a snapshot"))
        );
    }

    #[test]
    fn what_the_cursor_covers_may_not_come_again() {
        let event = |patient: &str, position, cursor: u8| TwinEvent {
            cursor: vec![cursor],
            kind: Some(twin_event::Kind::Change(proto::v1::Twin {
                patient: patient.into(),
                position,
                ..Default::default()
            })),
            ..Default::default()
        };
        let mut twins = Twins::default();
        twins.take(&event("a", 5, 1)).expect("new");
        // It catches up: the cursor stands. Broken off, all of it comes again.
        for _ in 0..2 {
            twins.take(&event("b", 7, 1)).expect("not covered");
            twins.leave();
        }
        assert!(twins.take(&event("a", 5, 1)).is_err(), "covered");
        twins.take(&event("a", 8, 2)).expect("new");
        assert!(twins.take(&event("b", 7, 2)).is_err(), "covered by now");
    }

    #[test]
    fn a_twin_that_goes_back_is_found() {
        let event = |position, snapshot| {
            let twin = proto::v1::Twin {
                patient: "a".into(),
                position,
                ..Default::default()
            };
            let kind = if snapshot {
                twin_event::Kind::Snapshot(twin)
            } else {
                twin_event::Kind::Change(twin)
            };
            TwinEvent {
                kind: Some(kind),
                ..Default::default()
            }
        };
        let end = TwinEvent {
            kind: Some(twin_event::Kind::SnapshotEnd(
                proto::v1::SnapshotEnd::default(),
            )),
            ..Default::default()
        };
        let take = |events: &[&TwinEvent]| {
            let mut twins = Twins::default();
            events.iter().try_for_each(|event| twins.take(event))
        };
        let (first, second) = (event(3, false), event(4, false));
        assert_eq!(take(&[&first, &second]), Ok(()), "control");
        assert!(take(&[&first, &first]).is_err());
        assert!(take(&[&second, &first]).is_err());
        assert!(
            take(&[&event(3, true), &second]).is_err(),
            "a snapshot without its end"
        );
        assert_eq!(
            take(&[&second, &event(3, true), &end, &second]),
            Ok(()),
            "an explicit one"
        );
    }
}
