//! Who may sign in at the page, in which role, and which teams look after whom.
//!
//! Invariants: a name whose rights were taken back is never given again, so that no two people share what is recorded
//! under it; ended teams leave nothing behind. What a role may do is the gate's affair.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::v1::StaffRole;
use twin::canonical_fields;
use vitals::PatientId;

use super::Registry;
use crate::journal::TeamAct;

/// Sets of patients that lie as they are while somebody looks through them.
pub type Wards = Vec<Arc<BTreeSet<PatientId>>>;

/// Who looks after whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    /// Names of those who belong to it.
    pub people: BTreeSet<String>,
    /// Whom it looks after.
    pub patients: Arc<BTreeSet<PatientId>>,
}

canonical_fields! {
    Team { people, patients }
}

impl Registry {
    pub(super) fn note_person(&mut self, person: &str, role: StaffRole) {
        let of = self.people.entry(person.to_owned()).or_insert(role);
        if *of != StaffRole::Unspecified {
            *of = role;
        }
        if *of == StaffRole::Unspecified {
            for team in self.teams.values_mut() {
                team.people.remove(person);
            }
        }
    }

    pub(super) fn note_team(&mut self, name: &str, act: &TeamAct) {
        match act {
            TeamAct::Made => {
                self.teams.entry(name.to_owned()).or_default();
                return;
            }
            TeamAct::Ended => {
                self.teams.remove(name);
                return;
            }
            TeamAct::Joined(_) | TeamAct::Left(_) | TeamAct::Took(_) | TeamAct::Released(_) => {}
        }
        let Some(team) = self.teams.get_mut(name) else {
            return;
        };
        match act {
            TeamAct::Joined(person) => {
                team.people.insert(person.clone());
            }
            TeamAct::Left(person) => {
                team.people.remove(person);
            }
            TeamAct::Took(patient) => {
                Arc::make_mut(&mut team.patients).insert(patient.clone());
            }
            TeamAct::Released(patient) => {
                Arc::make_mut(&mut team.patients).remove(patient);
            }
            TeamAct::Made | TeamAct::Ended => {}
        }
    }

    /// Everybody who was ever added, by name; [`StaffRole::Unspecified`]: all is taken back.
    pub fn people(&self) -> impl Iterator<Item = (&str, StaffRole)> {
        self.people
            .iter()
            .map(|(name, role)| (name.as_str(), *role))
    }

    /// Somebody's role; `None`: there is no such person, or everything was taken back.
    #[must_use]
    pub fn role_of(&self, person: &str) -> Option<StaffRole> {
        let role = self.people.get(person).copied();
        role.filter(|role| *role != StaffRole::Unspecified)
    }

    /// All teams, by name.
    pub fn teams(&self) -> impl Iterator<Item = (&str, &Team)> {
        self.teams.iter().map(|(name, team)| (name.as_str(), team))
    }

    /// One team.
    #[must_use]
    pub fn team(&self, name: &str) -> Option<&Team> {
        self.teams.get(name)
    }

    /// Whom the teams of a person look after.
    #[must_use]
    pub fn wards_of(&self, person: &str) -> Wards {
        let own = self
            .teams
            .values()
            .filter(|team| team.people.contains(person));
        own.map(|team| Arc::clone(&team.patients)).collect()
    }
}
