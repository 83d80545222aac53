//! Filters of the worklist that a team keeps together.
//!
//! Invariants: what is kept says nothing of a patient but in its name, which people choose: facets are words of a closed list; at most
//! [`MOST`] a team. Must not know: gRPC, what a facet lets pass.

use std::collections::BTreeSet;

use proto::v1::{StaffRole, TeamFilter, TeamFilters};

use super::roster::team_named;
use super::{Admin, AdminError, Asker};
use crate::journal::{Entry, TeamAct};

/// Filters of a team.
const MOST: usize = 24;
/// Longest name, characters.
const NAME: usize = 40;
/// Facets and their words.
const FACETS: [(&str, [&str; 2]); 4] = [
    ("alerts", ["open", "waiting"]),
    ("category", ["physiological", "technical"]),
    ("owner", ["mine", "nobody"]),
    ("data", ["stale", "fresh"]),
];

/// The facet, if it is one of the list.
fn facet_of(text: &str) -> Option<&'static str> {
    let (facet, word) = text.split_once('=')?;
    let (known, words) = FACETS.into_iter().find(|(known, _)| *known == facet)?;
    words.contains(&word).then_some(known)
}

fn invalid(field: &'static str, remedy: &str) -> AdminError {
    AdminError::Invalid {
        field,
        remedy: remedy.to_owned(),
    }
}

impl Admin {
    /// What the teams keep that `asker` may see.
    #[must_use]
    pub fn team_filters(&self, asker: Asker<'_>) -> TeamFilters {
        let registry = self.parts.books.registry();
        let (mut filters, mut teams) = (Vec::new(), Vec::new());
        for (team, of) in registry.teams().filter(|(_, team)| asker.has(team)) {
            teams.push(team.to_owned());
            filters.extend(of.filters.iter().map(|(name, kept)| TeamFilter {
                team: team.to_owned(),
                name: name.clone(),
                facets: kept.facets.clone(),
                by: kept.by.clone(),
            }));
        }
        if asker.role == Some(StaffRole::Viewer) {
            teams.clear();
        }
        TeamFilters { filters, teams }
    }

    /// `asker` keeps a filter in a team, in place of the one of its name; without facets: forgets it.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn keep_team_filter(
        &self,
        asked: TeamFilter,
        asker: Asker<'_>,
    ) -> Result<TeamFilters, AdminError> {
        let name = asked.name.trim().to_owned();
        let long = name.is_empty() || name.chars().count() > NAME;
        if long || name.chars().any(char::is_control) {
            return Err(invalid("filter.name", "must be 1 to 40 characters"));
        }
        let facets: Option<Vec<_>> = asked.facets.iter().map(|text| facet_of(text)).collect();
        let facets = facets.unwrap_or_default();
        let each_once = facets.iter().collect::<BTreeSet<_>>().len() == asked.facets.len();
        if !each_once {
            return Err(invalid(
                "filter.facets",
                "must be facets of the contract, each once, such as owner=nobody",
            ));
        }
        let _one = self.one_at_a_time.lock().await;
        let team = {
            let registry = self.parts.books.registry();
            let (team, of) = team_named(&registry, &asked.team)?;
            if !asker.has(of) {
                return Err(AdminError::NotFound {
                    what: "team",
                    list: "team list",
                });
            }
            let known = of.filters.contains_key(&name);
            if !known && facets.is_empty() {
                return Err(AdminError::NotFound {
                    what: "filter",
                    list: "worklist",
                });
            }
            if !known && of.filters.len() >= MOST {
                return Err(AdminError::Conflict(
                    "the team keeps 24 filters already: forget one that nobody uses".into(),
                ));
            }
            team.to_owned()
        };
        let facets = asked.facets;
        let entry = Entry::Team {
            team,
            act: TeamAct::Filters { name, facets },
            by: asker.name.to_owned(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        Ok(self.team_filters(asker))
    }
}
