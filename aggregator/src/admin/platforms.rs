//! What platforms were given, and with which of them a patient shares.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::cert::Role;
use proto::v1;
use vitals::PatientId;

use super::{Admin, AdminError, text};
use crate::journal::Entry;
use crate::registry::{Given, Registry};
use crate::scope::Scope;

/// Platforms of one centre.
const MOST_PLATFORMS: usize = 1_000;
/// As certificates have it.
const LONGEST_NAME: usize = 60;

impl Admin {
    /// `by` says what a platform may have, in place of what was said before; `None`: nothing. Its open streams follow within two
    /// seconds. Which certificates were issued is kept nowhere, so a platform may be given something before it has one.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn set_platform_scope(
        &self,
        name: &str,
        asked: Option<&v1::PlatformScope>,
        by: &str,
    ) -> Result<v1::Platform, AdminError> {
        let platform = platform_name(name)?;
        let scope = asked.map(Scope::of).transpose();
        let scope = scope.map_err(|unfit| AdminError::Invalid {
            field: unfit.field,
            remedy: unfit.remedy.into(),
        })?;
        let _one = self.one_at_a_time.lock().await;
        {
            let registry = self.parts.books.registry();
            if registry.is_revoked(Role::Platform, &platform) && scope.is_some() {
                return Err(AdminError::Conflict(
                    "this platform was revoked, and a name is never used again: choose a new one"
                        .into(),
                ));
            }
            let known = registry.platforms().any(|(known, _)| known == platform);
            if !known && registry.platforms().count() >= MOST_PLATFORMS {
                return Err(AdminError::Conflict(format!(
                    "a centre has at most {MOST_PLATFORMS} platforms, revoked ones included"
                )));
            }
            for patient in scope.iter().flat_map(|scope| &scope.patients) {
                self.patient(patient.reveal())?;
            }
            let mut teams = scope.iter().flat_map(|scope| &scope.teams);
            if teams.any(|team| registry.team(team).is_none()) {
                return Err(AdminError::NotFound {
                    what: "team",
                    list: "team list",
                });
            }
        }
        let given = Given {
            scope: scope.map(Arc::new),
            since: self.parts.clock.now(),
            by: by.to_owned(),
        };
        let entry = Entry::Platform {
            platform: platform.clone(),
            scope: given.scope.clone(),
            since: given.since,
            by: given.by.clone(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        tracing::info!(
            nothing = given.scope.is_none(),
            "what a platform may have has changed"
        );
        let registry = self.parts.books.registry();
        Ok(describe(&registry, &platform, &given))
    }

    /// All platforms of which anything was said.
    #[must_use]
    pub fn platforms(&self) -> Vec<v1::Platform> {
        let registry = self.parts.books.registry();
        let all = registry.platforms();
        all.map(|(name, given)| describe(&registry, name, given))
            .collect()
    }

    /// `by` writes down whether a patient shares with a platform.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn set_sharing(
        &self,
        patient: &str,
        platform: &str,
        shared: bool,
        by: &str,
    ) -> Result<(), AdminError> {
        let patient = self.patient(patient)?;
        let platform = platform_name(platform)?;
        let _one = self.one_at_a_time.lock().await;
        let known = {
            let registry = self.parts.books.registry();
            registry.platforms().any(|(name, _)| name == platform)
        };
        if !known {
            return Err(AdminError::NotFound {
                what: "platform",
                list: "platform list",
            });
        }
        let entry = Entry::Sharing {
            patient,
            platform,
            shared,
            by: by.to_owned(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        Ok(())
    }

    /// Which platforms were given something of a patient.
    pub(super) fn shares_of(&self, patient: &PatientId) -> Vec<v1::PlatformShare> {
        let registry = self.parts.books.registry();
        let shares = registry.platforms().filter_map(|(name, given)| {
            let scope = given.scope.as_ref()?;
            let wards = registry.wards_within(scope);
            let has = scope.all
                || scope.patients.contains(patient)
                || wards.iter().any(|ward| ward.contains(patient));
            let told = scope.told();
            (has && !registry.is_revoked(Role::Platform, name)).then(|| v1::PlatformShare {
                platform: name.to_owned(),
                services: told.services,
                kinds: told.kinds,
                stopped: registry.has_stopped(patient, name),
            })
        });
        shares.collect()
    }
}

fn platform_name(name: &str) -> Result<String, AdminError> {
    let name = text("name", name)?;
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(AdminError::Invalid {
            field: "name",
            remedy: "the name given to `platform add`, at most 60 characters".into(),
        });
    }
    Ok(name)
}

fn describe(registry: &Registry, name: &str, given: &Given) -> v1::Platform {
    let revoked = registry.is_revoked(Role::Platform, name);
    let has = given
        .scope
        .as_ref()
        .filter(|_| !revoked)
        .map_or(0, |scope| {
            let without = registry.not_shared_with(name);
            let shares = |patient: &&PatientId| !without.iter().any(|of| of.contains(*patient));
            if scope.all {
                let all = registry.patients().map(|(patient, _)| patient);
                return all.filter(shares).count();
            }
            let wards = registry.wards_within(scope);
            let named = wards.iter().flat_map(|ward| &**ward).chain(&scope.patients);
            let named: BTreeSet<&PatientId> = named.collect();
            named.into_iter().filter(shares).count()
        });
    v1::Platform {
        name: name.to_owned(),
        scope: given.scope.as_ref().map(|scope| scope.told()),
        since_us: given.since.as_micros(),
        by: given.by.clone(),
        revoked,
        patients_now: u32::try_from(has).unwrap_or(u32::MAX),
    }
}
