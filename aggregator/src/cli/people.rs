//! `person`, `team` and `sign-in`: who may sign in at the page, and which teams look after whom.
//!
//! Must not know: what a role may do; the gate tells.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use proto::clock::Clock;
use proto::v1::{
    AddPersonRequest, ChangeTeamRequest, EndSessionsRequest, LinkPersonRequest, ListPeopleRequest,
    ListSessionsRequest, ListTeamsRequest, Person, ResetPersonRequest, ResetPersonResponse,
    RevokePersonRequest, Session, SetRoleRequest, StaffRole, Team,
};
use serde_json::{Value, json};

use super::office::{Office, said};
use super::{print, show};
use crate::admin::TeamChange;
use crate::dir::CentreDir;
use crate::staff;

/// Whoever may write to the store is not asked who they are.
pub(super) const AT_THE_STORE: &str = "operator at the store";

#[derive(Debug, Subcommand)]
pub(super) enum PersonCommand {
    /// Let somebody sign in at the page (`sign-in NAME` makes their link). Viewers look, nurses work on alerts, doctors
    /// prescribe too, each for the patients of their teams; supervisors have all patients, and the teams;
    /// administrators run the centre and see no patient's data.
    Add {
        /// The name that their acts are recorded under. Never given to another.
        name: String,
        /// viewer, nurse, doctor, supervisor or administrator.
        #[arg(long, value_parser = role)]
        role: StaffRole,
    },
    /// Everybody who was ever added, with role and teams.
    List {
        /// As JSON, with the field names of `ListPeopleResponse` in proto/v1/operator.proto.
        #[arg(long)]
        json: bool,
    },
    /// Give somebody another role; open streams follow within two seconds.
    Role {
        /// Who.
        name: String,
        /// viewer, nurse, doctor, supervisor or administrator.
        #[arg(value_parser = role)]
        role: StaffRole,
    },
    /// Somebody's device is lost: their passkeys and password are worth nothing any more, and their sessions end.
    Reset {
        /// Who; a patient as "patient ID".
        name: String,
    },
    /// Whoever the provider of identities of config.toml calls so is this person: they sign in by it from now on.
    Link {
        /// Who.
        name: String,
        /// Whom the provider names (`sub`); the sign-in page shows it to whoever is not linked yet.
        #[arg(long)]
        subject: String,
    },
    /// Nobody of a provider is this person any more; their sessions end.
    Unlink {
        /// Who.
        name: String,
    },
    /// Take everything back from somebody, for good: sessions and open streams end within two seconds.
    Revoke {
        /// Who.
        name: String,
    },
}

/// Who is to sign in.
#[derive(Debug, clap::Args)]
pub(super) struct SignInArguments {
    /// Who it is for: somebody of `person list`.
    #[arg(required_unless_present = "patient")]
    person: Option<String>,
    /// Instead of a person: this patient, to a page of their own, which shows them and nobody else.
    #[arg(long, value_name = "PATIENT", conflicts_with = "person")]
    patient: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// Who is signed in, since when, and from where.
    List {
        /// Of this person alone; a patient as "patient ID".
        #[arg(long, value_name = "NAME")]
        person: Option<String>,
        /// As JSON, with the field names of `ListSessionsResponse` in proto/v1/operator.proto.
        #[arg(long)]
        json: bool,
    },
    /// End a session, or all of a person: open streams end within two seconds.
    End {
        /// As `session list` names it.
        #[arg(required_unless_present = "person")]
        id: Option<String>,
        /// All of this person.
        #[arg(long, value_name = "NAME", conflicts_with = "id")]
        person: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TeamCommand {
    /// A new team.
    Add {
        /// Its name.
        team: String,
    },
    /// All teams, who belongs to them, and whom they look after.
    List {
        /// As JSON, with the field names of `ListTeamsResponse` in proto/v1/operator.proto.
        #[arg(long)]
        json: bool,
    },
    /// A person belongs to a team.
    Join {
        /// Which team.
        team: String,
        /// Who.
        person: String,
    },
    /// A person no longer belongs to it.
    Leave {
        /// Which team.
        team: String,
        /// Who.
        person: String,
    },
    /// A team looks after a patient.
    Take {
        /// Which team.
        team: String,
        /// The patient's id.
        patient: String,
    },
    /// It no longer does.
    Release {
        /// Which team.
        team: String,
        /// The patient's id.
        patient: String,
    },
    /// The team is no more.
    Remove {
        /// Which.
        team: String,
    },
}

fn role(name: &str) -> Result<StaffRole, String> {
    staff::role_of(name).ok_or_else(|| {
        let names = staff::ROLES.map(staff::role_name);
        format!("must be one of {}", names.join(", "))
    })
}

pub(super) async fn person(command: PersonCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    let issuer = match &command {
        PersonCommand::Link { .. } => {
            let provider = super::settings(&dir)?.provider;
            provider
                .context("config.toml names no [provider]: its sample shows how")?
                .issuer
        }
        PersonCommand::Add { .. }
        | PersonCommand::List { .. }
        | PersonCommand::Role { .. }
        | PersonCommand::Reset { .. }
        | PersonCommand::Unlink { .. }
        | PersonCommand::Revoke { .. } => String::new(),
    };
    let mut office = Office::open(dir, clock).await?;
    let answer = match command {
        PersonCommand::Link { name, subject } => {
            let linked = office.link_person(&name, issuer, subject).await;
            linked.map(|person| format!("{} signs in by the provider, too\n", person.name))
        }
        PersonCommand::Unlink { name } => {
            let unlinked = office.link_person(&name, issuer, String::new()).await;
            unlinked.map(|person| format!("nobody of a provider is {} any more\n", person.name))
        }
        PersonCommand::Add { name, role } => office.add_person(&name, role).await.map(|person| {
            format!(
                "{} may sign in as {}: `sign-in {}` makes a link\n",
                person.name,
                staff::role_name(person.role()),
                super::word(&person.name)
            )
        }),
        PersonCommand::List { json } => match office.people().await {
            Ok(people) if json => show::json(&wrapped("people", &people, person_json)),
            Ok(people) => Ok(people_text(&people)),
            Err(error) => Err(error),
        },
        PersonCommand::Role { name, role } => office.set_role(&name, role).await.map(|person| {
            format!(
                "{} is {} now\n",
                person.name,
                staff::role_name(person.role())
            )
        }),
        PersonCommand::Reset { name } => office.reset_person(&name).await.map(|reset| {
            format!(
                "{} passkeys{} are worth nothing any more, {} sessions are over\n",
                reset.passkeys,
                if reset.password {
                    " and the password"
                } else {
                    ""
                },
                reset.sessions
            )
        }),
        PersonCommand::Revoke { name } => office.revoke_person(&name).await.map(|person| {
            format!(
                "everything is taken back from {}; the name is not given again\n",
                person.name
            )
        }),
    };
    office.close().await;
    print(&answer?)
}

pub(super) async fn team(command: TeamCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    let mut office = Office::open(dir, clock).await?;
    let (team, change) = match command {
        TeamCommand::List { json } => {
            let teams = office.teams().await;
            office.close().await;
            let teams = teams?;
            return print(&if json {
                show::json(&wrapped("teams", &teams, team_json))?
            } else {
                teams_text(&teams)
            });
        }
        TeamCommand::Add { team } => (team, TeamChange::Make(true)),
        TeamCommand::Remove { team } => (team, TeamChange::End(true)),
        TeamCommand::Join { team, person } => (team, TeamChange::Join(person)),
        TeamCommand::Leave { team, person } => (team, TeamChange::Leave(person)),
        TeamCommand::Take { team, patient } => (team, TeamChange::Take(patient)),
        TeamCommand::Release { team, patient } => (team, TeamChange::Release(patient)),
    };
    let ended = matches!(change, TeamChange::End(_));
    let changed = office.change_team(&team, change).await;
    office.close().await;
    let changed = changed?;
    print(&if ended {
        format!("{} is no more\n", changed.name)
    } else {
        teams_text(&[changed])
    })
}

pub(super) async fn session(command: SessionCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    let mut office = Office::open(dir, clock).await?;
    let answer = match command {
        SessionCommand::List { person, json } => {
            let listed = office.sessions(person.unwrap_or_default()).await;
            match listed {
                Ok(sessions) if json => show::json(&wrapped("sessions", &sessions, session_json)),
                Ok(sessions) => Ok(sessions_text(&sessions)),
                Err(error) => Err(error),
            }
        }
        SessionCommand::End { id, person } => {
            let (id, person) = (id.unwrap_or_default(), person.unwrap_or_default());
            let ended = office.end_sessions(id, person).await;
            ended.map(|ended| format!("{ended} sessions are over\n"))
        }
    };
    office.close().await;
    print(&answer?)
}

pub(super) async fn sign_in(who: &SignInArguments, dir: CentreDir, clock: Clock) -> Result<()> {
    let mut office = Office::open(dir, clock).await?;
    let person = who.person.as_deref().unwrap_or_default();
    let patient = who.patient.as_deref().unwrap_or_default();
    let signed = office.sign_in(person, patient).await;
    office.close().await;
    let (link, fingerprint) = signed?;
    print(&show::sign_in(&link, &fingerprint))
}

fn people_text(people: &[Person]) -> String {
    if people.is_empty() {
        return "nobody yet: `person add NAME --role nurse`\n".into();
    }
    let line = |person: &Person| {
        let teams = match person.teams.as_slice() {
            [] => "in no team".into(),
            teams => teams.join(", "),
        };
        let role = staff::role_name(person.role());
        format!("{:<24} {role:<14} {teams}\n", person.name)
    };
    people.iter().map(line).collect()
}

fn teams_text(teams: &[Team]) -> String {
    if teams.is_empty() {
        return "no teams yet: `team add NAME`\n".into();
    }
    let list = |names: &[String]| match names {
        [] => "nobody".into(),
        names => names.join(", "),
    };
    let one = |team: &Team| {
        format!(
            "{}\n  people   {}\n  patients {}\n",
            team.name,
            list(&team.people),
            list(&team.patients)
        )
    };
    teams.iter().map(one).collect()
}

fn sessions_text(sessions: &[Session]) -> String {
    if sessions.is_empty() {
        return "nobody is signed in\n".into();
    }
    let line = |of: &Session| {
        let began = show::time(of.began_us);
        let locked = if of.locked { ", locked" } else { "" };
        format!(
            "{}  {:<24} since {began} by {}{locked}, from {} {}\n",
            of.id, of.person, of.how, of.address, of.browser
        )
    };
    sessions.iter().map(line).collect()
}

fn session_json(of: &Session) -> Value {
    json!({
        "id": of.id,
        "person": of.person,
        "how": of.how,
        "began_us": of.began_us,
        "used_us": of.used_us,
        "address": of.address,
        "browser": of.browser,
        "locked": of.locked,
    })
}

fn wrapped<T>(name: &str, all: &[T], one: fn(&T) -> Value) -> Value {
    let all: Vec<Value> = all.iter().map(one).collect();
    json!({ name: all })
}

fn person_json(person: &Person) -> Value {
    json!({
        "name": person.name,
        "role": staff::role_name(person.role()),
        "teams": person.teams,
        "passkeys": person.passkeys,
        "password": person.password,
        "subject": person.subject,
        "browsers": person.browsers,
    })
}

fn team_json(team: &Team) -> Value {
    json!({ "name": team.name, "people": team.people, "patients": team.patients })
}

impl Office {
    async fn add_person(&mut self, name: &str, role: StaffRole) -> Result<Person> {
        match self {
            Self::Direct(admin, _) => Ok(admin.add_person(name, role, AT_THE_STORE).await?),
            Self::Running(client, _) => {
                let (name, role) = (name.into(), role.into());
                let added = client.add_person(AddPersonRequest { name, role }).await;
                Ok(added.map_err(said)?.into_inner())
            }
        }
    }

    async fn set_role(&mut self, name: &str, role: StaffRole) -> Result<Person> {
        match self {
            Self::Direct(admin, _) => Ok(admin.set_role(name, role, AT_THE_STORE).await?),
            Self::Running(client, _) => {
                let (name, role) = (name.into(), role.into());
                let set = client.set_role(SetRoleRequest { name, role }).await;
                Ok(set.map_err(said)?.into_inner())
            }
        }
    }

    async fn revoke_person(&mut self, name: &str) -> Result<Person> {
        match self {
            Self::Direct(admin, _) => Ok(admin.revoke_person(name, AT_THE_STORE).await?),
            Self::Running(client, _) => {
                let name = name.into();
                let revoked = client.revoke_person(RevokePersonRequest { name }).await;
                Ok(revoked.map_err(said)?.into_inner())
            }
        }
    }

    async fn reset_person(&mut self, name: &str) -> Result<ResetPersonResponse> {
        match self {
            Self::Direct(admin, _) => Ok(admin.reset_person(name, AT_THE_STORE).await?),
            Self::Running(client, _) => {
                let name = name.into();
                let reset = client.reset_person(ResetPersonRequest { name }).await;
                Ok(reset.map_err(said)?.into_inner())
            }
        }
    }

    async fn link_person(&mut self, name: &str, issuer: String, subject: String) -> Result<Person> {
        match self {
            Self::Direct(admin, _) => {
                let linked = admin.link_person(name, &issuer, &subject, AT_THE_STORE);
                Ok(linked.await?)
            }
            Self::Running(client, _) => {
                let asked = LinkPersonRequest {
                    name: name.into(),
                    issuer,
                    subject,
                };
                Ok(client.link_person(asked).await.map_err(said)?.into_inner())
            }
        }
    }

    async fn sessions(&mut self, person: String) -> Result<Vec<Session>> {
        match self {
            Self::Direct(admin, _) => Ok(admin.sessions(&person)?),
            Self::Running(client, _) => {
                let listed = client.list_sessions(ListSessionsRequest { person }).await;
                Ok(listed.map_err(said)?.into_inner().sessions)
            }
        }
    }

    async fn end_sessions(&mut self, id: String, person: String) -> Result<u32> {
        match self {
            Self::Direct(admin, _) => Ok(admin.end_sessions(&id, &person)?),
            Self::Running(client, _) => {
                let ended = client.end_sessions(EndSessionsRequest { id, person }).await;
                Ok(ended.map_err(said)?.into_inner().ended)
            }
        }
    }

    async fn people(&mut self) -> Result<Vec<Person>> {
        match self {
            Self::Direct(admin, _) => Ok(admin.people()),
            Self::Running(client, _) => {
                let listed = client.list_people(ListPeopleRequest {}).await;
                Ok(listed.map_err(said)?.into_inner().people)
            }
        }
    }

    async fn change_team(&mut self, team: &str, change: TeamChange) -> Result<Team> {
        match self {
            Self::Direct(admin, _) => {
                Ok(admin.change_team(team, Some(change), AT_THE_STORE).await?)
            }
            Self::Running(client, _) => {
                let (team, change) = (team.into(), Some(change));
                let changed = client.change_team(ChangeTeamRequest { team, change }).await;
                Ok(changed.map_err(said)?.into_inner())
            }
        }
    }

    async fn teams(&mut self) -> Result<Vec<Team>> {
        match self {
            Self::Direct(admin, _) => Ok(admin.teams()),
            Self::Running(client, _) => {
                let listed = client.list_teams(ListTeamsRequest {}).await;
                Ok(listed.map_err(said)?.into_inner().teams)
            }
        }
    }
}
