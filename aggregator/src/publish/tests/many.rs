//! Ten thousand readers, one of them stuck: each state is encoded once, the stuck one holds a bounded number of
//! them, and the others get everything.

use std::sync::Weak;

use super::*;
use crate::publish::question::Made;

const READERS: usize = 10_000;
const PATIENTS: usize = 8;
const ROUNDS: u64 = 5;

/// A state that is watched for how long somebody holds it.
fn look(rig: &Rig, index: PatientIndex) -> Weak<Made> {
    let question = rig.hub.twin_question(&TwinFilter::default());
    Arc::downgrade(&question.state(&rig.hub, index, None))
}

#[test]
fn one_stuck_reader_among_ten_thousand_costs_the_others_nothing() {
    let names: Vec<String> = (0..PATIENTS).map(|n| format!("p{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let limits = Limits {
        pending_twins: 64,
        shared: PATIENTS,
        ..SMALL
    };
    let rig = Rig::with(&names, limits);
    let mut readers: Vec<TwinReader> = (0..READERS).map(|_| rig.twins(&[])).collect();
    let question = rig.hub.twin_question(&TwinFilter::default());
    for reader in &mut readers {
        assert_eq!(
            std::iter::from_fn(|| reader.next(ALL)).count(),
            PATIENTS + 1
        );
    }
    assert_eq!(question.encoded(), PATIENTS as u64, "one snapshot for all");
    let (mut held, mut got) = (Vec::new(), 0);
    let mut position = PATIENTS as u64;
    let (stuck, others) = readers.split_first_mut().expect("there are readers");
    for round in 0..ROUNDS {
        for name in &names {
            position += 1;
            rig.twin(position, name);
        }
        if round == 0 {
            // It takes one event of the eight and hangs from then on.
            let event = stuck.next(ALL).expect("somebody changed");
            assert_eq!(event.conflated, 0);
        }
        for reader in &mut *others {
            got += std::iter::from_fn(|| reader.next(ALL))
                .filter(|event| event.conflated == 0)
                .count();
        }
        held.extend(rig.patients.values().map(|(_, index)| look(&rig, *index)));
    }
    let changes = PATIENTS * usize::try_from(ROUNDS).expect("a few");
    assert_eq!(
        got,
        (READERS - 1) * changes,
        "each of the others got each state"
    );
    let encoded = PATIENTS + changes;
    assert_eq!(question.encoded(), encoded as u64, "once, whoever reads");
    // In memory are the newest states, and those that the stuck one still holds.
    let alive = held
        .iter()
        .filter(|state| state.upgrade().is_some())
        .count();
    assert_eq!(alive, PATIENTS + PATIENTS - 1);
    // It wakes: what it held comes first, then the newest state of everybody, with what was left out.
    let woken: Vec<u64> = std::iter::from_fn(|| stuck.next(ALL))
        .map(|event| event.conflated)
        .collect();
    assert_eq!(woken.len(), PATIENTS - 1 + PATIENTS);
    assert_eq!(
        woken.iter().sum::<u64>() + woken.len() as u64 + 1,
        changes as u64
    );
    drop(readers);
    assert_eq!(rig.hub.watchers(), 0);
}

#[test]
fn readers_of_one_patient_each_hold_one_state_each() {
    let names: Vec<String> = (0..100).map(|n| format!("p{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rig = Rig::new(&names);
    let filter = |name: &str| TwinFilter {
        patients: only(name),
        ..TwinFilter::default()
    };
    let mut readers: Vec<TwinReader> = names
        .iter()
        .map(|name| rig.twins_of(&filter(name), &[]))
        .collect();
    let mut states = Vec::new();
    for round in 0..3 {
        for (n, name) in (1..).zip(&names) {
            rig.twin(100 * (round + 1) + n, name);
        }
        for reader in &mut readers {
            drain_twins(reader);
        }
        for name in &names {
            let (_, index) = &rig.patients[*name];
            let question = rig.hub.twin_question(&filter(name));
            states.push(Arc::downgrade(&question.state(&rig.hub, *index, None)));
        }
    }
    let alive = states
        .iter()
        .filter(|state| state.upgrade().is_some())
        .count();
    assert_eq!(alive, names.len());
}
