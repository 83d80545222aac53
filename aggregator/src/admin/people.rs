//! Who may sign in at the page, in which role, and which teams look after whom.

use std::collections::BTreeSet;

use proto::v1::{self, StaffRole};
use vitals::PatientId;

use super::{Admin, AdminError};
use crate::journal::{AccountAct, Entry, PasskeyAct, TeamAct};
use crate::serve::signin::Listed;
use crate::staff;

/// People and teams of one centre.
const MOST_PEOPLE: usize = 10_000;
const MOST_TEAMS: usize = 1_000;

/// What is to change about a team: as in `ChangeTeamRequest`.
pub type TeamChange = v1::change_team_request::Change;

impl Admin {
    /// `by` lets somebody sign in at the page from now on.
    ///
    /// # Errors
    /// [`AdminError`]; a name that somebody has or had is not given again.
    pub async fn add_person(
        &self,
        name: &str,
        role: StaffRole,
        by: &str,
    ) -> Result<v1::Person, AdminError> {
        let person = fit("name", name)?;
        let role = given(role)?;
        let _one = self.one_at_a_time.lock().await;
        {
            let registry = self.parts.books.registry();
            if registry.people().count() >= MOST_PEOPLE {
                return Err(AdminError::Conflict(format!(
                    "a centre has at most {MOST_PEOPLE} people, revoked ones included"
                )));
            }
            let mut known = registry.people();
            if let Some((other, role)) = known.find(|(other, _)| staff::alike(other, &person)) {
                return Err(AdminError::Conflict(match role {
                    StaffRole::Unspecified => format!(
                        "{other} was revoked, and a name is never given to another: choose a new one"
                    ),
                    StaffRole::Viewer
                    | StaffRole::Nurse
                    | StaffRole::Doctor
                    | StaffRole::Supervisor
                    | StaffRole::Administrator => {
                        format!("there is {other} already: `person role` changes what they do")
                    }
                }));
            }
        }
        self.say_role(&person, role, by).await
    }

    /// `by` gives somebody another role. Their open streams follow within two seconds.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn set_role(
        &self,
        name: &str,
        role: StaffRole,
        by: &str,
    ) -> Result<v1::Person, AdminError> {
        let role = given(role)?;
        let _one = self.one_at_a_time.lock().await;
        let person = self.person_named(name)?;
        self.say_role(&person, role, by).await
    }

    /// `by` takes everything back from somebody, for good. Their sessions and open streams end within two seconds.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn revoke_person(&self, name: &str, by: &str) -> Result<v1::Person, AdminError> {
        let _one = self.one_at_a_time.lock().await;
        let person = self.person_named(name)?;
        self.say_role(&person, StaffRole::Unspecified, by).await
    }

    async fn say_role(
        &self,
        person: &str,
        role: StaffRole,
        by: &str,
    ) -> Result<v1::Person, AdminError> {
        let entry = Entry::Person {
            person: person.to_owned(),
            role,
            by: by.to_owned(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        Ok(self.describe_person(person, role))
    }

    /// `by` makes passkeys and password of somebody worth nothing, ends their sessions, and sends their browsers nothing more: their
    /// device is lost. How many. What a provider says of them stays: `link_person`.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn reset_person(
        &self,
        name: &str,
        by: &str,
    ) -> Result<v1::ResetPersonResponse, AdminError> {
        let _one = self.one_at_a_time.lock().await;
        let person = self.signs_in(name)?;
        let ids: Vec<Vec<u8>> = {
            let registry = self.parts.books.registry();
            let theirs = registry.passkeys_of(&person);
            theirs.map(|(id, _)| id.to_vec()).collect()
        };
        let removed = ids.iter().map(|id| {
            let (person, id) = (person.clone(), id.clone());
            let act = PasskeyAct::Removed;
            Entry::Passkey { person, id, act }.into()
        });
        let mut removed: Vec<_> = removed.collect();
        let browsers: Vec<[u8; 16]> = {
            let registry = self.parts.books.registry();
            let all = registry.subscriptions();
            let theirs = all.filter(|(_, of)| of.person == person);
            theirs.map(|(id, _)| *id).collect()
        };
        removed.extend(browsers.into_iter().map(|id| {
            let act = AccountAct::Unsubscribed { id };
            let (person, by) = (person.clone(), by.to_owned());
            Entry::Account { person, act, by }.into()
        }));
        let password = self.parts.books.registry().password_of(&person).is_some();
        if password {
            let entry = Entry::Account {
                person: person.clone(),
                act: AccountAct::PasswordRemoved,
                by: by.to_owned(),
            };
            removed.push(entry.into());
        }
        if !removed.is_empty() {
            self.parts.journal.append(removed).await?;
        }
        Ok(v1::ResetPersonResponse {
            passkeys: count(ids.len()),
            sessions: count(self.parts.live.end_sessions(None, Some(&person))),
            password,
        })
    }

    /// `by` says that whoever a provider calls `subject` is this person; empty: nobody is any more, and their sessions that began so
    /// end with all others.
    ///
    /// # Errors
    /// [`AdminError`]; one of a provider is one person here.
    pub async fn link_person(
        &self,
        name: &str,
        issuer: &str,
        subject: &str,
        by: &str,
    ) -> Result<v1::Person, AdminError> {
        let _one = self.one_at_a_time.lock().await;
        let person = self.person_named(name)?;
        let act = if subject.is_empty() {
            AccountAct::Unlinked
        } else {
            if !issuer.starts_with("https://") || issuer.len() > 1000 || subject.len() > 255 {
                return Err(AdminError::Invalid {
                    field: "issuer",
                    remedy: "the provider's https address as in config.toml, and whom it names"
                        .into(),
                });
            }
            let registry = self.parts.books.registry();
            if let Some(other) = registry.linked(issuer, subject).filter(|of| *of != person) {
                return Err(AdminError::Conflict(format!(
                    "that is {other} already: `person unlink` first"
                )));
            }
            AccountAct::Linked {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
                at: self.parts.clock.now(),
            }
        };
        let ends = act == AccountAct::Unlinked;
        let entry = Entry::Account {
            person: person.clone(),
            act,
            by: by.to_owned(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        if ends {
            self.parts.live.end_sessions(None, Some(&person));
        }
        let role = self.parts.books.registry().role_of(&person);
        Ok(self.describe_person(&person, role.unwrap_or_default()))
    }

    /// Who is signed in at the page; `person` empty: everybody.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub fn sessions(&self, person: &str) -> Result<Vec<v1::Session>, AdminError> {
        let person = match person {
            "" => None,
            name => Some(self.signs_in(name)?),
        };
        let sessions = self.parts.live.sessions(person.as_deref()).into_iter();
        let one = |of: Listed| v1::Session {
            id: of.id,
            person: of.person,
            how: of.how.as_str().into(),
            began_us: of.began.as_micros(),
            used_us: of.used.as_micros(),
            address: of.address.to_string(),
            browser: of.browser,
            locked: of.locked,
        };
        Ok(sessions.map(one).collect())
    }

    /// Ends sessions, and their open streams within two seconds. How many.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn end_sessions(&self, id: &str, person: &str) -> Result<u32, AdminError> {
        if id.is_empty() && person.is_empty() {
            return Err(AdminError::Invalid {
                field: "id",
                remedy: "say which session, or whose".into(),
            });
        }
        let person = match person {
            "" => None,
            name => Some(self.signs_in(name)?),
        };
        let id = Some(id).filter(|id| !id.is_empty());
        let ended = self.parts.live.end_sessions(id, person.as_deref());
        if ended == 0 && id.is_some() {
            return Err(AdminError::NotFound {
                what: "session",
                list: "session list",
            });
        }
        Ok(count(ended))
    }

    /// Everybody who was ever added.
    #[must_use]
    pub fn people(&self) -> Vec<v1::Person> {
        let people: Vec<(String, StaffRole)> = {
            let registry = self.parts.books.registry();
            let people = registry.people();
            people.map(|(name, role)| (name.to_owned(), role)).collect()
        };
        let described = people.iter();
        described
            .map(|(name, role)| self.describe_person(name, *role))
            .collect()
    }

    fn describe_person(&self, name: &str, role: StaffRole) -> v1::Person {
        let registry = self.parts.books.registry();
        let teams = registry
            .teams()
            .filter(|(_, team)| team.people.contains(name));
        v1::Person {
            name: name.to_owned(),
            role: role.into(),
            teams: teams.map(|(team, _)| team.to_owned()).collect(),
            passkeys: count(registry.passkeys_of(name).count()),
            password: registry.password_of(name).is_some(),
            browsers: count(
                registry
                    .subscriptions()
                    .filter(|(_, of)| of.person == name)
                    .count(),
            ),
            subject: registry
                .link_of(name)
                .map_or_else(String::new, |of| of.subject.clone()),
        }
    }

    /// `by` changes a team. Open streams of its people follow within two seconds.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn change_team(
        &self,
        team: &str,
        change: Option<TeamChange>,
        by: &str,
    ) -> Result<v1::Team, AdminError> {
        let team = fit("team", team)?;
        let change = change.ok_or(AdminError::Invalid {
            field: "change",
            remedy: "say what is to be different".into(),
        })?;
        let _one = self.one_at_a_time.lock().await;
        let act = match change {
            TeamChange::Make(_) => {
                self.check_new_team(&team)?;
                TeamAct::Made
            }
            TeamChange::End(_) => TeamAct::Ended,
            TeamChange::Join(person) => TeamAct::Joined(self.person_named(&person)?),
            TeamChange::Leave(person) => TeamAct::Left(self.person_named(&person)?),
            TeamChange::Take(patient) => TeamAct::Took(self.patient(&patient)?),
            TeamChange::Release(patient) => TeamAct::Released(self.patient(&patient)?),
        };
        if act != TeamAct::Made && self.parts.books.registry().team(&team).is_none() {
            return Err(AdminError::NotFound {
                what: "team",
                list: "team list",
            });
        }
        let by = by.to_owned();
        let name = team.clone();
        let entry = Entry::Team { team, act, by };
        self.parts.journal.append(vec![entry.into()]).await?;
        Ok(self.describe_team(&name))
    }

    fn check_new_team(&self, team: &str) -> Result<(), AdminError> {
        let registry = self.parts.books.registry();
        if registry.teams().any(|(other, _)| staff::alike(other, team)) {
            return Err(AdminError::Conflict(
                "there is a team of that name already".into(),
            ));
        }
        if registry.teams().count() >= MOST_TEAMS {
            return Err(AdminError::Conflict(format!(
                "a centre has at most {MOST_TEAMS} teams"
            )));
        }
        Ok(())
    }

    /// All teams.
    #[must_use]
    pub fn teams(&self) -> Vec<v1::Team> {
        let names: Vec<String> = {
            let registry = self.parts.books.registry();
            registry.teams().map(|(name, _)| name.to_owned()).collect()
        };
        names.iter().map(|name| self.describe_team(name)).collect()
    }

    fn describe_team(&self, name: &str) -> v1::Team {
        let registry = self.parts.books.registry();
        let (people, patients) = registry.team(name).map_or_else(Default::default, |team| {
            let reveal = |patient: &PatientId| patient.reveal().to_owned();
            let people: Vec<String> = team.people.iter().cloned().collect();
            (people, team.patients.iter().map(reveal).collect())
        });
        v1::Team {
            name: name.to_owned(),
            people,
            patients,
        }
    }

    /// Who signs in under this name: a person, or, as "patient ID", a patient.
    fn signs_in(&self, name: &str) -> Result<String, AdminError> {
        match staff::patient_of(name) {
            Some(patient) => Ok(staff::patient_name(&self.patient(patient.reveal())?)),
            None => self.person_named(name),
        }
    }

    /// Which teams look after a patient.
    pub(super) fn teams_of(&self, patient: &PatientId) -> Vec<String> {
        let registry = self.parts.books.registry();
        let teams = registry
            .teams()
            .filter(|(_, team)| team.patients.contains(patient));
        teams.map(|(name, _)| name.to_owned()).collect()
    }

    /// The name of somebody who was added and not revoked, as they are called.
    pub(super) fn person_named(&self, name: &str) -> Result<String, AdminError> {
        let wanted = staff::name(name).unwrap_or_default();
        let registry = self.parts.books.registry();
        let mut people = registry.people();
        let found = people
            .find(|(known, role)| *role != StaffRole::Unspecified && staff::alike(known, &wanted));
        found
            .map(|(known, _)| known.to_owned())
            .ok_or(AdminError::NotFound {
                what: "person",
                list: "person list",
            })
    }

    /// Patients whose alerts reach nobody at the page who could do something about them; none where nobody signs in.
    pub(super) fn seen_by_nobody(&self) -> usize {
        let registry = self.parts.books.registry();
        let acts = |role| {
            matches!(
                role,
                StaffRole::Nurse | StaffRole::Doctor | StaffRole::Supervisor
            )
        };
        let roles: BTreeSet<i32> = registry
            .people()
            .map(|(_, role)| i32::from(role))
            .filter(|role| *role != i32::from(StaffRole::Unspecified))
            .collect();
        if roles.is_empty() || roles.contains(&i32::from(StaffRole::Supervisor)) {
            return 0;
        }
        let at_work = |name: &String| registry.role_of(name).is_some_and(acts);
        let teams: Vec<_> = registry
            .teams()
            .filter(|(_, team)| team.people.iter().any(at_work))
            .collect();
        let patients = registry.patients();
        patients
            .filter(|(patient, _)| !teams.iter().any(|(_, of)| of.patients.contains(patient)))
            .count()
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn fit(field: &'static str, name: &str) -> Result<String, AdminError> {
    staff::name(name).ok_or(AdminError::Invalid {
        field,
        remedy: "one line of 1 to 80 characters that print, not beginning with operator, platform, gateway, channel, roster, patient or anonymous".into(),
    })
}

fn given(role: StaffRole) -> Result<StaffRole, AdminError> {
    match role {
        StaffRole::Unspecified => Err(AdminError::Invalid {
            field: "role",
            remedy: "viewer, nurse, doctor, supervisor or administrator".into(),
        }),
        StaffRole::Viewer
        | StaffRole::Nurse
        | StaffRole::Doctor
        | StaffRole::Supervisor
        | StaffRole::Administrator => Ok(role),
    }
}
