//! What each platform was given, and which patients share nothing with it.
//!
//! Invariants: who paused or withdrew shares nothing with any platform; a team that ended leaves no scope behind, so that a later
//! one of its name gives nobody away. What a scope means is the gate's affair.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use twin::canonical_fields;
use vitals::{PatientId, Time};

use super::{Registry, Wards};
use crate::journal::Entry;
use crate::scope::Scope;

/// What was said of a platform last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `None`: nothing.
    pub scope: Option<Arc<Scope>>,
    /// When, by the centre's clock; [`Time::ZERO`]: nothing was said yet.
    pub since: Time,
    /// Who said so.
    pub by: String,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Platforms {
    given: BTreeMap<String, Given>,
    /// Who does not share with which.
    stopped: BTreeMap<String, Arc<BTreeSet<PatientId>>>,
}

canonical_fields! {
    Given { scope, since, by }
    Platforms { given, stopped }
}

impl Platforms {
    pub(super) fn note(&mut self, entry: &Entry) {
        if let Entry::Platform {
            platform,
            scope,
            since,
            by,
        } = entry
        {
            let given = Given {
                scope: scope.clone(),
                since: *since,
                by: by.clone(),
            };
            self.given.insert(platform.clone(), given);
        }
        if let Entry::Sharing {
            patient,
            platform,
            shared,
            ..
        } = entry
        {
            let stopped = Arc::make_mut(self.stopped.entry(platform.clone()).or_default());
            if *shared {
                stopped.remove(patient);
            } else {
                stopped.insert(patient.clone());
            }
        }
    }

    pub(super) fn forget_team(&mut self, team: &str) {
        for given in self.given.values_mut() {
            if let Some(scope) = &mut given.scope
                && scope.teams.contains(team)
            {
                Arc::make_mut(scope).teams.remove(team);
            }
        }
    }
}

impl Registry {
    /// All platforms of which anything was said, by name.
    pub fn platforms(&self) -> impl Iterator<Item = (&str, &Given)> {
        let given = self.platforms.given.iter();
        given.map(|(name, given)| (name.as_str(), given))
    }

    /// What a platform was given.
    #[must_use]
    pub fn given(&self, platform: &str) -> Option<&Arc<Scope>> {
        self.platforms.given.get(platform)?.scope.as_ref()
    }

    /// Whom the teams of a scope look after.
    #[must_use]
    pub fn wards_within(&self, scope: &Scope) -> Wards {
        let teams = scope.teams.iter().filter_map(|team| self.team(team));
        teams.map(|team| Arc::clone(&team.patients)).collect()
    }

    /// Who shares nothing with a platform: who paused or withdrew, and who said so of this one.
    #[must_use]
    pub fn not_shared_with(&self, platform: &str) -> Wards {
        let stopped = self.platforms.stopped.get(platform);
        let all = std::iter::once(&self.aside).chain(stopped);
        all.filter(|of| !of.is_empty()).map(Arc::clone).collect()
    }

    /// Whether a patient said that this platform gets nothing.
    #[must_use]
    pub fn has_stopped(&self, patient: &PatientId, platform: &str) -> bool {
        let stopped = self.platforms.stopped.get(platform);
        stopped.is_some_and(|of| of.contains(patient))
    }
}
