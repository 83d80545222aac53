//! Who may sign in at the page, in which role, and which teams look after whom.
//!
//! Invariants: a name whose rights were taken back is never given again, so that no two people share what is recorded
//! under it; ended teams leave nothing behind. What a role may do is the gate's affair.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::v1::StaffRole;
use twin::canonical::Canonical;
use twin::canonical_fields;
use vitals::{PatientId, Time};

use super::Registry;
use crate::journal::{PasskeyAct, TeamAct};

/// Sets of patients that lie as they are while somebody looks through them.
pub type Wards = Vec<Arc<BTreeSet<PatientId>>>;

/// Who looks after whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    /// Names of those who belong to it.
    pub people: BTreeSet<String>,
    /// Whom it looks after.
    pub patients: Arc<BTreeSet<PatientId>>,
    /// Who is on duty; `None`: nobody says.
    pub roster: Option<Rostered>,
    /// Who took over which duty last, by the duty's number in the contract.
    pub taken: BTreeMap<u8, TakenOver>,
    /// Filters of the worklist, by their names.
    pub filters: BTreeMap<String, KeptFilter>,
}

/// A filter of the worklist that a team keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFilter {
    /// What passes, as the contract has it.
    pub facets: Vec<String>,
    /// Who kept it.
    pub by: String,
}

/// A team's roster as it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rostered {
    /// TOML (`roster::Roster`).
    pub document: Arc<str>,
    /// When, by the centre's clock.
    pub since: Time,
    /// Who said so.
    pub by: String,
}

/// That somebody took over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// When the shift began that they took over.
    pub shift: Time,
    /// When, by the centre's clock.
    pub at: Time,
    /// Who.
    pub by: String,
}

/// Rosters and filters came later, and are written behind everything else (`Rosters`, `Filters`).
impl Canonical for Team {
    fn encode(&self, to: &mut Vec<u8>) {
        self.people.encode(to);
        self.patients.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            people: Canonical::decode(from)?,
            patients: Canonical::decode(from)?,
            ..Self::default()
        })
    }
}

/// Filters by name, by team.
pub(super) type Filters = BTreeMap<String, BTreeMap<String, KeptFilter>>;

/// Rosters and who took over, by team.
pub(super) type Rosters = BTreeMap<String, (Option<Rostered>, BTreeMap<u8, TakenOver>)>;

impl Canonical for Rostered {
    fn encode(&self, to: &mut Vec<u8>) {
        self.document.to_string().encode(to);
        self.since.encode(to);
        self.by.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let document = String::decode(from)?;
        Some(Self {
            document: document.into(),
            since: Canonical::decode(from)?,
            by: Canonical::decode(from)?,
        })
    }
}

/// With what somebody signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Who.
    pub person: String,
    /// For pages of this host alone.
    pub host: String,
    /// As `serve::passkey` writes it.
    pub key: Vec<u8>,
    /// How often it has signed, as far as it counts.
    pub count: u32,
    /// For its person.
    pub label: String,
    /// When it was made.
    pub at: Time,
}

canonical_fields! {
    TakenOver { shift, at, by }
    KeptFilter { facets, by }
    Passkey { person, host, key, count, label, at }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Staff {
    people: BTreeMap<String, StaffRole>,
    teams: BTreeMap<String, Team>,
    passkeys: BTreeMap<Vec<u8>, Passkey>,
}

impl Canonical for Staff {
    fn encode(&self, to: &mut Vec<u8>) {
        let people = self.people.iter();
        let people: Vec<(String, i32)> = people
            .map(|(name, role)| (name.clone(), i32::from(*role)))
            .collect();
        people.encode(to);
        self.teams.encode(to);
        self.passkeys.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let people: Vec<(String, i32)> = Canonical::decode(from)?;
        let role = |(name, role)| Some((name, StaffRole::try_from(role).ok()?));
        Some(Self {
            people: people.into_iter().map(role).collect::<Option<_>>()?,
            teams: Canonical::decode(from)?,
            passkeys: Canonical::decode(from)?,
        })
    }
}

impl Staff {
    pub(super) fn note_person(&mut self, person: &str, role: StaffRole) {
        let of = self.people.entry(person.to_owned()).or_insert(role);
        if *of != StaffRole::Unspecified {
            *of = role;
        }
        if *of == StaffRole::Unspecified {
            for team in self.teams.values_mut() {
                team.people.remove(person);
            }
            self.passkeys.retain(|_, of| of.person != person);
        }
    }

    /// Everything was taken back from them.
    pub(super) fn is_gone(&self, person: &str) -> bool {
        self.people.get(person) == Some(&StaffRole::Unspecified)
    }

    pub(super) fn note_passkey(&mut self, person: &str, id: &[u8], act: &PasskeyAct) {
        match act {
            PasskeyAct::Added {
                host,
                key,
                count,
                label,
                at,
            } => {
                // An id is chosen by whoever makes the key: nobody takes over another's.
                self.passkeys.entry(id.to_vec()).or_insert_with(|| Passkey {
                    person: person.to_owned(),
                    host: host.clone(),
                    key: key.clone(),
                    count: *count,
                    label: label.clone(),
                    at: *at,
                });
            }
            PasskeyAct::Used(count) => {
                if let Some(of) = self.passkeys.get_mut(id) {
                    of.count = of.count.max(*count);
                }
            }
            PasskeyAct::Removed => {
                self.passkeys.remove(id);
            }
        }
    }

    pub(super) fn note_team(&mut self, name: &str, act: &TeamAct, by: &str) {
        match act {
            TeamAct::Made => {
                self.teams.entry(name.to_owned()).or_default();
                return;
            }
            TeamAct::Ended => {
                self.teams.remove(name);
                return;
            }
            TeamAct::Joined(_)
            | TeamAct::Left(_)
            | TeamAct::Took(_)
            | TeamAct::Released(_)
            | TeamAct::Filters { .. } => {}
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
            TeamAct::Filters { name, facets } if facets.is_empty() => {
                team.filters.remove(name);
            }
            TeamAct::Filters { name, facets } => {
                let kept = KeptFilter {
                    facets: facets.clone(),
                    by: by.to_owned(),
                };
                team.filters.insert(name.clone(), kept);
            }
            TeamAct::Made | TeamAct::Ended => {}
        }
    }
}

impl Staff {
    /// Those of teams that have any.
    pub(super) fn filters(&self) -> Filters {
        let teams = self.teams.iter();
        let of = teams.filter(|(_, of)| !of.filters.is_empty());
        of.map(|(name, of)| (name.clone(), of.filters.clone()))
            .collect()
    }

    pub(super) fn with_filters(mut self, filters: Filters) -> Self {
        for (name, filters) in filters {
            if let Some(team) = self.teams.get_mut(&name) {
                team.filters = filters;
            }
        }
        self
    }

    pub(super) fn note_roster(&mut self, name: &str, roster: Rostered) {
        if let Some(team) = self.teams.get_mut(name) {
            team.roster = Some(roster).filter(|of| !of.document.is_empty());
        }
    }

    /// Those of teams that have any.
    pub(super) fn rosters(&self) -> Rosters {
        let teams = self.teams.iter();
        let of = teams.filter(|(_, of)| of.roster.is_some() || !of.taken.is_empty());
        of.map(|(name, of)| (name.clone(), (of.roster.clone(), of.taken.clone())))
            .collect()
    }

    pub(super) fn with_rosters(mut self, rosters: Rosters) -> Self {
        for (name, (roster, taken)) in rosters {
            if let Some(team) = self.teams.get_mut(&name) {
                (team.roster, team.taken) = (roster, taken);
            }
        }
        self
    }

    pub(super) fn note_taken(&mut self, name: &str, duty: u8, taken: TakenOver) {
        if let Some(team) = self.teams.get_mut(name) {
            team.taken.insert(duty, taken);
        }
    }
}

impl Registry {
    /// One passkey, by the credential's id.
    #[must_use]
    pub fn passkey(&self, id: &[u8]) -> Option<&Passkey> {
        self.staff.passkeys.get(id)
    }

    /// The passkeys of a person, by their ids.
    pub fn passkeys_of<'a>(
        &'a self,
        person: &'a str,
    ) -> impl Iterator<Item = (&'a [u8], &'a Passkey)> {
        let all = self.staff.passkeys.iter();
        all.filter(move |(_, of)| of.person == person)
            .map(|(id, of)| (id.as_slice(), of))
    }

    /// Everybody who was ever added, by name; [`StaffRole::Unspecified`]: all is taken back.
    pub fn people(&self) -> impl Iterator<Item = (&str, StaffRole)> {
        self.staff
            .people
            .iter()
            .map(|(name, role)| (name.as_str(), *role))
    }

    /// Somebody's role; `None`: there is no such person, or everything was taken back.
    #[must_use]
    pub fn role_of(&self, person: &str) -> Option<StaffRole> {
        let role = self.staff.people.get(person).copied();
        role.filter(|role| *role != StaffRole::Unspecified)
    }

    /// All teams, by name.
    pub fn teams(&self) -> impl Iterator<Item = (&str, &Team)> {
        self.staff
            .teams
            .iter()
            .map(|(name, team)| (name.as_str(), team))
    }

    /// One team.
    #[must_use]
    pub fn team(&self, name: &str) -> Option<&Team> {
        self.staff.teams.get(name)
    }

    /// Whom the teams of a person look after.
    #[must_use]
    pub fn wards_of(&self, person: &str) -> Wards {
        let own = self
            .staff
            .teams
            .values()
            .filter(|team| team.people.contains(person));
        own.map(|team| Arc::clone(&team.patients)).collect()
    }
}
