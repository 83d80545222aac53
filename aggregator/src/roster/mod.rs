//! Who is on duty: a team's shifts as a document, what they say at any moment, and what the ladder makes of it.
//!
//! * [`document`]: PURE. Text to a roster, and everything that is wrong with it.
//! * [`plan`]: PURE. Who is on duty at a moment, since when and until when; who leaves and who comes.
//! * [`watch`]: PURE. Which calls name whom, which are passed over because nobody is on duty, and what is said of gaps and of
//!   shifts that nobody took over.
//!
//! The fold decides when a rung of the ladder is called (`twin::care`) and knows no clock on a wall: time zones are a matter of
//! laws, their tables change, and a log must fold to the same twins under any of them. So rosters are read here, beside the
//! fold, and what comes of them for an alert is an entry: whom a call is for, or that nobody is on duty for it, upon which the
//! fold calls the next rung at once.
//!
//! Promises: a roster takes no call from anybody: it names people, and makes calls come sooner. Where there is none, where it
//! says nothing of a duty or cannot be read, the ladder goes on as without it.
//!
//! Must not know: gRPC, pages, what an alert is about.

pub mod document;
pub mod plan;
pub mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::clock::Clock;
use proto::v1::{Duty, StaffRole};
use tokio_util::sync::CancellationToken;
use vitals::Time;

pub use document::{DUTIES, Roster, RosterError};
pub use plan::Turn;
use watch::{Act, Post, Ward, Watch};

use crate::patient::Patients;
use crate::registry::{Books, Registry, Rostered, Team};

/// How often it is looked whether a call is to be named or passed over.
const LOOK: Duration = Duration::from_millis(500);
/// Acts that are written at once.
const AT_ONCE: usize = 256;

/// May somebody of that role be called for a duty? Whoever decides more may stand in for who decides less.
#[must_use]
pub const fn may(role: StaffRole, duty: Duty) -> bool {
    match duty {
        Duty::Nurse => matches!(
            role,
            StaffRole::Nurse | StaffRole::Doctor | StaffRole::Supervisor
        ),
        Duty::Doctor => matches!(role, StaffRole::Doctor | StaffRole::Supervisor),
        Duty::Supervisor => matches!(role, StaffRole::Supervisor),
        Duty::Unspecified => false,
    }
}

/// Who of these may be called for a duty in a team now: they work here, in a fitting role, and see its patients.
pub fn able<'a>(
    registry: &'a Registry,
    team: &'a Team,
    duty: Duty,
    people: &'a [String],
) -> impl Iterator<Item = &'a String> {
    let fits = move |name: &&String| {
        registry.role_of(name).is_some_and(|role| {
            may(role, duty) && (role == StaffRole::Supervisor || team.people.contains(*name))
        })
    };
    people.iter().filter(fits)
}

/// Rosters as they were read last, and what they said: reading and asking one is much more work than looking whether a turn lasts.
#[derive(Debug, Default)]
pub struct Read {
    of: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    of: Rostered,
    /// `None`: another release wrote it, or its time zone is not known here.
    roster: Option<Roster>,
    /// What it said last of each duty, and whether that is to be taken over.
    turns: BTreeMap<Duty, (Turn, bool)>,
}

impl Known {
    fn new(of: &Rostered) -> Self {
        let read = Roster::parse(&of.document);
        if let Err(error) = &read {
            tracing::error!(%error, "a roster in the log cannot be read: calls go on without it");
        }
        Self {
            of: of.clone(),
            roster: read.ok(),
            turns: BTreeMap::new(),
        }
    }

    fn turn(&mut self, duty: Duty, now: Time) -> Option<&(Turn, bool)> {
        let lasts = |(turn, _): &(Turn, bool)| turn.from <= now && now < turn.until;
        if !self.turns.get(&duty).is_some_and(lasts) {
            let roster = self.roster.as_ref()?;
            let turn = roster.at(duty, now)?;
            let awaited = roster.handover(&turn, self.of.since).is_some();
            self.turns.insert(duty, (turn, awaited));
        }
        self.turns.get(&duty)
    }
}

impl Read {
    /// What the rosters of all teams say now; one that cannot be read says nothing, and that is told.
    pub fn wards(&mut self, registry: &Registry, now: Time) -> Vec<Ward> {
        self.of
            .retain(|name, _| registry.team(name).is_some_and(|of| of.roster.is_some()));
        let teams = registry.teams();
        teams
            .map(|(name, team)| self.ward(registry, (name, team), now))
            .collect()
    }

    fn ward(&mut self, registry: &Registry, (name, team): (&str, &Team), now: Time) -> Ward {
        let mut ward = Ward {
            team: name.to_owned(),
            patients: Arc::clone(&team.patients),
            unread: None,
            duties: Vec::new(),
        };
        let Some(rostered) = &team.roster else {
            return ward;
        };
        let known = self
            .of
            .entry(name.to_owned())
            .or_insert_with(|| Known::new(rostered));
        if known.of != *rostered {
            *known = Known::new(rostered);
        }
        ward.unread = known.roster.is_none().then_some(rostered.since);
        for duty in DUTIES {
            let Some((turn, awaited)) = known.turn(duty, now) else {
                continue;
            };
            let taken = team.taken.get(&number(duty)).map(|taken| taken.shift);
            ward.duties.push(Post {
                duty,
                able: able(registry, team, duty, &turn.people).cloned().collect(),
                taken: !awaited || taken == Some(turn.from),
                turn: turn.clone(),
            });
        }
        ward
    }
}

/// A duty's number in the contract.
#[must_use]
pub const fn number(duty: Duty) -> u8 {
    match duty {
        Duty::Unspecified => 0,
        Duty::Nurse => 1,
        Duty::Doctor => 2,
        Duty::Supervisor => 3,
    }
}

/// Names whom calls are for, and passes over those for whom nobody is on duty, until it is stopped.
pub async fn run(patients: Patients, books: Arc<Books>, clock: Clock, stop: CancellationToken) {
    patients.hub().wait_ready().await;
    let mut looks = tokio::time::interval(LOOK);
    let (mut read, mut watch) = (Read::default(), Watch::default());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        let wards = read.wards(&books.registry(), clock.now());
        if wards.iter().all(|ward| ward.duties.is_empty()) {
            continue;
        }
        let alerts = patients.hub().alerts();
        let alerts = alerts
            .iter()
            .map(|of| (&of.patient, of.key.as_str(), &*of.alert));
        let mut acts: Vec<Act> = watch.look(&wards, alerts);
        acts.truncate(AT_ONCE);
        if acts.is_empty() {
            continue;
        }
        // What failed is found again by the next look.
        if let Err(error) = patients.roster(acts).await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "whom calls are for is not in the log");
        }
    }
}
