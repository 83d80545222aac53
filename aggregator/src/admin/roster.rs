//! Who is on duty in a team, and who took over from whom.
//!
//! Invariants: what is decided can be read; only whoever is named for a shift takes it over, or a supervisor in their stead, and the
//! entry names who left. Must not know: gRPC, when anybody is called.

use std::sync::{Mutex, PoisonError};

use proto::v1::{self, Duty, StaffRole};
use vitals::{Span, Time};

use super::{Admin, AdminError};
use crate::chain::Silence;
use crate::channel::settings::name_of;
use crate::journal::Entry;
use crate::registry::{Registry, Rostered, Team};
use crate::roster::{self, Read, Roster, Turn, watch};

/// So long before it begins a shift may be taken over.
const EARLY: Span = Span::from_mins(30);
/// So far ahead gaps are told, and so many.
const AHEAD: Span = Span::from_mins(14 * 24 * 60);
const GAPS: usize = 50;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// As acts are recorded.
    pub name: &'a str,
    /// Somebody who signs in at the page, and in which role; `None`: a certificate.
    pub role: Option<StaffRole>,
}

impl Asker<'_> {
    /// May see that team's roster, and what else it keeps.
    pub(super) fn has(&self, team: &Team) -> bool {
        match self.role {
            None | Some(StaffRole::Supervisor | StaffRole::Administrator) => true,
            Some(
                StaffRole::Unspecified | StaffRole::Viewer | StaffRole::Nurse | StaffRole::Doctor,
            ) => team.people.contains(self.name),
        }
    }
}

/// Rosters as they were read last.
#[derive(Debug, Default)]
pub(super) struct Rosters(Mutex<Read>);

impl Admin {
    /// The rosters of all teams that `asker` may see.
    #[must_use]
    pub fn rosters(&self, asker: Asker<'_>) -> Vec<v1::Roster> {
        let now = self.parts.clock.now();
        let registry = self.parts.books.registry();
        let teams = registry.teams().filter(|(_, team)| asker.has(team));
        teams
            .map(|(name, team)| described(&registry, name, team, team.roster.as_ref(), now))
            .collect()
    }

    /// What a document would say now.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn check_roster(&self, team: &str, document: &str) -> Result<v1::Roster, AdminError> {
        parsed(document)?;
        let now = self.parts.clock.now();
        let registry = self.parts.books.registry();
        let (name, of) = team_named(&registry, team)?;
        let rostered = Rostered {
            document: document.into(),
            since: now,
            by: String::new(),
        };
        Ok(described(&registry, name, of, Some(&rostered), now))
    }

    /// `by` says who is on duty in a team; an empty document: nobody says any more.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn set_roster(
        &self,
        team: &str,
        document: &str,
        by: &str,
    ) -> Result<v1::Roster, AdminError> {
        if !document.is_empty() {
            parsed(document)?;
        }
        let _one = self.one_at_a_time.lock().await;
        let team = {
            let registry = self.parts.books.registry();
            let (name, of) = team_named(&registry, team)?;
            let now = of.roster.as_ref().map_or("", |of| &of.document);
            if now == document {
                return Err(AdminError::Conflict(
                    "the team has this roster already".into(),
                ));
            }
            name.to_owned()
        };
        let entry = Entry::Roster {
            team: team.clone(),
            document: document.to_owned(),
            since: self.parts.clock.now(),
            by: by.to_owned(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        self.roster_of(&team)
    }

    /// `asker` has taken over a duty in a team, for the shift that began or begins at `shift`.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn take_over(
        &self,
        team: &str,
        duty: Duty,
        shift: Time,
        asker: Asker<'_>,
    ) -> Result<v1::Roster, AdminError> {
        let _one = self.one_at_a_time.lock().await;
        let now = self.parts.clock.now();
        let (team, leaving) = {
            let registry = self.parts.books.registry();
            let (name, of) = team_named(&registry, team)?;
            let rostered = of.roster.as_ref().filter(|_| asker.has(of));
            let rostered = rostered.ok_or(AdminError::NotFound {
                what: "roster",
                list: "roster show",
            })?;
            let roster = parsed(&rostered.document)?;
            let turn = roster.at(duty, now);
            let turn = turn
                .filter(|turn| turn.from == shift)
                .or_else(|| roster.at(duty, shift))
                .filter(|turn| turn.from == shift && turn.from <= now + EARLY && now < turn.until);
            let turn = turn.ok_or_else(|| {
                AdminError::Conflict(
                    "no such shift is to be taken over now: look at the roster again".into(),
                )
            })?;
            if let Some(taken) = taken(of, duty, &turn) {
                return Err(AdminError::Conflict(format!(
                    "{} has taken it over already",
                    taken.by
                )));
            }
            let may = named(&registry, of, &turn, asker.name)
                || asker.role == Some(StaffRole::Supervisor);
            if asker.role.is_none() || !may {
                return Err(AdminError::Conflict(format!(
                    "the roster names {} for this shift: one of them takes over, or a supervisor in their stead",
                    people(&turn)
                )));
            }
            let leaving = roster.handover(&turn, rostered.since);
            (name.to_owned(), leaving.unwrap_or_default())
        };
        let entry = Entry::TakenOver {
            team: team.clone(),
            duty: roster::number(duty),
            shift,
            leaving,
            at: now,
            by: asker.name.to_owned(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        self.roster_of(&team)
    }

    fn roster_of(&self, team: &str) -> Result<v1::Roster, AdminError> {
        let registry = self.parts.books.registry();
        let (name, of) = team_named(&registry, team)?;
        let now = self.parts.clock.now();
        Ok(described(&registry, name, of, of.roster.as_ref(), now))
    }

    /// Holes in rosters.
    pub(super) fn roster_silences(&self, now: Time) -> Vec<Silence> {
        let mut read = self
            .rosters
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let wards = read.wards(&self.parts.books.registry(), now);
        watch::silences(&wards, now)
    }
}

fn parsed(document: &str) -> Result<Roster, AdminError> {
    Roster::parse(document).map_err(|error| AdminError::Invalid {
        field: "document",
        remedy: error.to_string(),
    })
}

/// The team that is meant by this name.
pub(super) fn team_named<'a>(
    registry: &'a Registry,
    name: &str,
) -> Result<(&'a str, &'a Team), AdminError> {
    let mut teams = registry.teams();
    let found = teams.find(|(team, _)| crate::staff::alike(team, name));
    found.ok_or(AdminError::NotFound {
        what: "team",
        list: "team list",
    })
}

fn taken<'a>(team: &'a Team, duty: Duty, turn: &Turn) -> Option<&'a crate::registry::TakenOver> {
    let taken = team.taken.get(&roster::number(duty));
    taken.filter(|taken| taken.shift == turn.from)
}

fn named(registry: &Registry, team: &Team, turn: &Turn, person: &str) -> bool {
    roster::able(registry, team, turn.duty, &turn.people).any(|name| name == person)
}

fn people(turn: &Turn) -> String {
    if turn.people.is_empty() {
        "nobody".into()
    } else {
        turn.people.join(", ")
    }
}

fn described(
    registry: &Registry,
    name: &str,
    team: &Team,
    rostered: Option<&Rostered>,
    now: Time,
) -> v1::Roster {
    let Some(rostered) = rostered else {
        return v1::Roster {
            team: name.to_owned(),
            ..Default::default()
        };
    };
    let known = v1::Roster {
        team: name.to_owned(),
        document: rostered.document.to_string(),
        since_us: rostered.since.as_micros(),
        by: rostered.by.clone(),
        ..Default::default()
    };
    let roster = match Roster::parse(&rostered.document) {
        Ok(roster) => roster,
        Err(error) => {
            return v1::Roster {
                unread: error.to_string(),
                ..known
            };
        }
    };
    let shown = |turn: &Turn| {
        let leaving = roster.handover(turn, rostered.since);
        let taken = taken(team, turn.duty, turn);
        v1::Turn {
            duty: turn.duty.into(),
            shift: turn.shift.clone(),
            from_us: turn.from.as_micros(),
            until_us: turn.until.as_micros(),
            people: turn.people.clone(),
            able: roster::able(registry, team, turn.duty, &turn.people)
                .cloned()
                .collect(),
            handover: leaving.is_some(),
            leaving: leaving.unwrap_or_default(),
            taken_by: taken.map(|of| of.by.clone()).unwrap_or_default(),
            taken_us: taken.map_or(0, |of| of.at.as_micros()),
        }
    };
    let turns: Vec<Turn> = roster::DUTIES
        .into_iter()
        .filter_map(|duty| roster.at(duty, now))
        .collect();
    let next = turns.iter().filter_map(|turn| roster.after(turn));
    let empty = |turn: &Turn| {
        roster::able(registry, team, turn.duty, &turn.people)
            .next()
            .is_none()
    };
    let ahead = roster::DUTIES
        .into_iter()
        .filter_map(|duty| roster.turns(duty, now, now + AHEAD));
    let mut gaps: Vec<Turn> = ahead.flatten().filter(empty).collect();
    gaps.sort_by_key(|turn| turn.from);
    gaps.truncate(GAPS);
    v1::Roster {
        now: turns.iter().map(shown).collect(),
        next: next.map(|turn| shown(&turn)).collect(),
        gaps: gaps.iter().map(shown).collect(),
        remarks: remarks(registry, team, &roster),
        ..known
    }
}

fn remarks(registry: &Registry, team: &Team, roster: &Roster) -> Vec<String> {
    let mut remarks = Vec::new();
    for (duty, name) in roster.named() {
        let (of, duty_name) = ([name.to_owned()], name_of(duty));
        if roster::able(registry, team, duty, &of).next().is_some() {
            continue;
        }
        remarks.push(match registry.role_of(name) {
            None => format!("{name}: nobody of this name works here (`person list`)"),
            Some(role) if !roster::may(role, duty) => format!(
                "{name}: a {} cannot be on duty as {duty_name}",
                crate::staff::role_name(role)
            ),
            Some(_) => format!(
                "{name}: does not belong to this team, and sees no patient of it (`team join`)"
            ),
        });
    }
    for duty in roster::DUTIES {
        if !roster.named().iter().any(|(of, _)| *of == duty) {
            remarks.push(format!(
                "no {} is named: at that rung calls go on as without a roster",
                name_of(duty)
            ));
        }
    }
    remarks
}
