//! Facts about patients: between the contract, the log and the fold, and what people do with them.
//!
//! Invariants: what is recorded is checked whole before anything is written; an act is answered when it is durable and
//! folded. Must not know: gRPC, the gate (who may was asked before), what facts change.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::v1;
use twin::Event;
use twin::facts::{Fact, FactKind, MOST, Recorded, Unfit};
use vitals::{PatientId, Time};

use super::run::Patients;
use crate::journal::{Draft, Entry, JournalError};

/// Facts in one call.
const AT_ONCE: usize = 64;
/// Notes at the trends that a patient has at most: they must not take the room of what rules go by.
const NOTES: usize = 128;
/// Longest id, characters.
const ID: usize = 64;
/// Longest other text, characters.
const TEXT: usize = 1000;

/// Why facts could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// There is no such patient.
    #[error("there is no such patient")]
    NoSuchPatient,
    /// One of them cannot be taken.
    #[error("facts[{index}].{field}: {remedy}")]
    Unfit {
        /// Which, from 0.
        index: usize,
        /// Its field.
        field: &'static str,
        /// What it must be.
        remedy: &'static str,
    },
    /// More than are taken at once.
    #[error("facts: at most {AT_ONCE} in one call")]
    TooManyAtOnce,
    /// More than are kept.
    #[error("facts: a patient has at most {MOST}; take back those that are over")]
    TooMany,
    /// More notes than are kept.
    #[error("facts: a patient has at most {NOTES} notes at the trends; take back old ones")]
    TooManyNotes,
    /// The patient's key was destroyed.
    #[error("the patient's key no longer exists")]
    KeyGone,
    /// The journal takes nothing.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Patients {
    /// What is known about a patient.
    ///
    /// # Errors
    /// [`FactsError::NoSuchPatient`].
    pub fn facts(&self, patient: &PatientId) -> Result<v1::PatientContext, FactsError> {
        let index = self.hub.find(patient).ok_or(FactsError::NoSuchPatient)?;
        let cells = self.shared.cells.read();
        let cells = cells.unwrap_or_else(std::sync::PoisonError::into_inner);
        let cell = cells
            .get(index.0 as usize)
            .ok_or(FactsError::NoSuchPatient)?;
        let facts = cell.lock().guarded.twin().facts().map(message).collect();
        Ok(v1::PatientContext { facts })
    }

    /// `by` records facts and takes back others: all of it, or nothing.
    ///
    /// # Errors
    /// [`FactsError`].
    pub async fn record_facts(
        &self,
        patient: &PatientId,
        by: &str,
        facts: Vec<v1::Fact>,
        retract: Vec<String>,
    ) -> Result<v1::PatientContext, FactsError> {
        let known = self.facts(patient)?.facts;
        if facts.len() + retract.len() > AT_ONCE {
            return Err(FactsError::TooManyAtOnce);
        }
        for (index, fact) in facts.iter().enumerate() {
            let unfit = |unfit: Unfit| FactsError::Unfit {
                index,
                field: unfit.field,
                remedy: unfit.remedy,
            };
            check(fact).map_err(unfit)?;
        }
        room(&known, &facts, &retract)?;
        let said = v1::RecordFactsRequest {
            patient: String::new(),
            facts,
            retract,
        };
        let sealed = self.sealer.seal_facts(patient, &said.encode_to_vec());
        let entry = Entry::Facts {
            patient: patient.clone(),
            by: by.to_owned(),
            facts: sealed.ok_or(FactsError::KeyGone)?,
        };
        let appended = self.journal.append(vec![Draft::from(entry)]).await?;
        self.hub.wait_folded(appended.last.0).await;
        self.facts(patient)
    }
}

/// Whether there is room for what would be known then.
fn room(known: &[v1::Fact], facts: &[v1::Fact], retract: &[String]) -> Result<(), FactsError> {
    let stays = known.iter().filter(|one| !retract.contains(&one.id));
    let then: BTreeMap<_, _> = stays
        .chain(facts)
        .map(|one| (one.id.as_str(), one.kind))
        .collect();
    if then.len() > MOST {
        return Err(FactsError::TooMany);
    }
    let note = FactKind::Note as i32;
    if then.values().filter(|kind| **kind == note).count() > NOTES {
        return Err(FactsError::TooManyNotes);
    }
    Ok(())
}

fn check(fact: &v1::Fact) -> Result<(), Unfit> {
    let unfit = |field, remedy| Unfit { field, remedy };
    let texts = [
        ("code", &fact.code),
        ("label", &fact.label),
        ("unit", &fact.unit),
        ("text", &fact.text),
    ];
    if fact.id.chars().count() > ID {
        return Err(unfit("id", "must be at most 64 characters"));
    }
    for (field, text) in texts {
        if text.chars().count() > TEXT {
            return Err(unfit(field, "must be at most 1000 characters"));
        }
    }
    if fact.from_us <= 0 {
        return Err(unfit("from_us", "must say since when it holds"));
    }
    of(fact)
        .ok_or(unfit(
            "kind",
            "must be one of the contract's kinds of facts",
        ))?
        .check()
}

/// `None`: a kind that this program does not know.
fn of(fact: &v1::Fact) -> Option<Fact> {
    let kind = FactKind::ALL
        .into_iter()
        .find(|kind| *kind as i32 == fact.kind)?;
    Some(Fact {
        id: fact.id.clone(),
        kind,
        code: fact.code.clone(),
        label: fact.label.clone(),
        value: fact.value,
        unit: fact.unit.clone(),
        text: fact.text.clone(),
        from: Time::from_micros(fact.from_us),
        to: (fact.to_us != 0).then(|| Time::from_micros(fact.to_us)),
    })
}

fn message(recorded: &Recorded) -> v1::Fact {
    let fact = &recorded.fact;
    v1::Fact {
        id: fact.id.clone(),
        kind: fact.kind as i32,
        code: fact.code.clone(),
        label: fact.label.clone(),
        value: fact.value,
        unit: fact.unit.clone(),
        text: fact.text.clone(),
        from_us: fact.from.as_micros(),
        to_us: fact.to.map_or(0, Time::as_micros),
        recorded_by: recorded.by.clone(),
        recorded_us: recorded.at.as_micros(),
    }
}

/// What an entry means to the fold. Kinds of a later program are left out, as their readers would.
pub(super) fn event(by: &str, said: &v1::RecordFactsRequest) -> Event {
    Event::Facts {
        by: by.to_owned(),
        record: said.facts.iter().filter_map(of).collect(),
        retract: said.retract.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_contract_says_comes_back_and_what_it_must_not_say_is_named() {
        let fact = v1::Fact {
            id: "ef".into(),
            kind: v1::FactKind::Imaging as i32,
            code: "http://loinc.org|10230-1".into(),
            label: "Left ventricular ejection fraction".into(),
            value: Some(32.0),
            unit: "%".into(),
            from_us: 5,
            to_us: 9,
            ..v1::Fact::default()
        };
        assert_eq!(check(&fact), Ok(()));
        let recorded = Recorded {
            fact: of(&fact).expect("a known kind"),
            by: "anna".into(),
            at: Time::from_micros(7),
        };
        let back = v1::Fact {
            recorded_by: String::new(),
            recorded_us: 0,
            ..message(&recorded)
        };
        assert_eq!(back, fact);
        let field = |fact: &v1::Fact| check(fact).expect_err("unfit").field;
        let with = |change: fn(&mut v1::Fact)| {
            let mut other = fact.clone();
            change(&mut other);
            field(&other)
        };
        assert_eq!(with(|fact| fact.kind = 99), "kind");
        assert_eq!(with(|fact| fact.from_us = 0), "from_us");
        assert_eq!(with(|fact| fact.to_us = 5), "to");
        assert_eq!(with(|fact| fact.id = "x".repeat(65)), "id");
        assert_eq!(with(|fact| fact.label = "x".repeat(1001)), "label");
        assert_eq!(with(|fact| fact.value = None), "value");
    }

    #[test]
    fn notes_leave_room_for_what_rules_go_by() {
        let of = |kind: FactKind, from: usize, many: usize| -> Vec<v1::Fact> {
            let one = |n| v1::Fact {
                id: format!("{kind:?} {n}"),
                kind: kind as i32,
                ..v1::Fact::default()
            };
            (from..from + many).map(one).collect()
        };
        let known = [of(FactKind::Note, 0, NOTES), of(FactKind::Condition, 0, 1)].concat();
        let beyond = of(FactKind::Note, NOTES, 1);
        let refused = room(&known, &beyond, &[]);
        assert!(matches!(refused, Err(FactsError::TooManyNotes)));
        assert!(room(&known, &beyond, &["Note 3".into()]).is_ok());
        assert!(
            room(&known, &of(FactKind::Note, 3, 1), &[]).is_ok(),
            "in its place"
        );
        let rest = MOST - NOTES - 1;
        assert!(room(&known, &of(FactKind::Reported, 0, rest), &[]).is_ok());
        let full = room(&known, &of(FactKind::Reported, 0, rest + 1), &[]);
        assert!(matches!(full, Err(FactsError::TooMany)));
    }

    #[test]
    fn every_kind_of_the_contract_is_one_of_the_twin() {
        for kind in FactKind::ALL {
            let wire = v1::FactKind::try_from(kind as i32).expect("in the contract");
            let name = format!("FACT_KIND_{}", kind.name().to_uppercase());
            assert_eq!(wire.as_str_name(), name);
        }
        assert!(v1::FactKind::try_from(17).is_err(), "control: no others");
    }
}
