//! PURE. What a platform was given: of whom, what, and for what.
//!
//! Invariant: a scope that is here is whole: it names a service, no service without the one that it rests on, and no patient or
//! team beside everybody. Must not know: who says so, whether a patient or a team exists, consent.

use std::collections::BTreeSet;

use prost::Message as _;
use proto::v1::{self, PlatformService};
use twin::canonical::Canonical;
use vitals::{Kind, PatientId};

/// Patients and teams that one scope names.
const MOST: usize = 1000;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// All patients, those who come later among them.
    pub all: bool,
    /// These,
    pub patients: BTreeSet<PatientId>,
    /// and whom these teams look after.
    pub teams: BTreeSet<String>,
    /// Empty: of every kind.
    pub kinds: BTreeSet<Kind>,
    /// For what.
    pub services: BTreeSet<PlatformService>,
}

/// Why words of the contract are no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {remedy}")]
pub struct Unfit {
    /// Which field.
    pub field: &'static str,
    /// What it must be.
    pub remedy: &'static str,
}

impl Scope {
    /// From the contract's words.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn of(asked: &v1::PlatformScope) -> Result<Self, Unfit> {
        let unfit = |field, remedy| Err(Unfit { field, remedy });
        if asked.patients.len() > MOST || asked.teams.len() > MOST {
            return unfit("patients", "at most 1000, and as many teams: name teams");
        }
        let patients = asked.patients.iter().map(|id| PatientId::parse(id));
        let Some(patients) = patients.collect::<Option<BTreeSet<_>>>() else {
            return unfit("patients", "must be ids as `patient list` shows them");
        };
        let kinds = asked.kinds.iter().map(|number| Kind::from_wire(*number));
        let Some(kinds) = kinds.collect::<Option<BTreeSet<_>>>() else {
            return unfit("kinds", "must be kinds of the contract, not UNSPECIFIED");
        };
        let known = |number: &i32| {
            let service = PlatformService::try_from(*number).ok()?;
            (service != PlatformService::Unspecified).then_some(service)
        };
        let services = asked.services.iter().map(known);
        let Some(services) = services.collect::<Option<BTreeSet<_>>>() else {
            return unfit("services", "must be services of the contract");
        };
        if services.is_empty() {
            return unfit("services", "name one at least, or give no scope at all");
        }
        let acknowledges = services.contains(&PlatformService::Acknowledge);
        if acknowledges && !services.contains(&PlatformService::Alerts) {
            return unfit(
                "services",
                "who acknowledges alerts must see them: add alerts",
            );
        }
        let names = !patients.is_empty() || !asked.teams.is_empty();
        if asked.all_patients && names {
            return unfit("all_patients", "name patients and teams, or all, not both");
        }
        if !asked.all_patients && !names {
            return unfit("patients", "name patients or teams, or say all");
        }
        Ok(Self {
            all: asked.all_patients,
            patients,
            teams: asked.teams.iter().cloned().collect(),
            kinds,
            services,
        })
    }

    /// In the contract's words.
    #[must_use]
    pub fn told(&self) -> v1::PlatformScope {
        let patients = self.patients.iter().map(|id| id.reveal().to_owned());
        v1::PlatformScope {
            all_patients: self.all,
            patients: patients.collect(),
            teams: self.teams.iter().cloned().collect(),
            kinds: self.kinds.iter().map(|kind| kind.wire()).collect(),
            services: self.services.iter().map(|of| i32::from(*of)).collect(),
        }
    }

    /// As bytes for the log and for snapshots; nothing: no scope.
    #[must_use]
    pub fn to_bytes(scope: Option<&Self>) -> Vec<u8> {
        scope.map_or_else(Vec::new, |scope| scope.told().encode_to_vec())
    }

    /// Back again. The outer `None`: no scope of this program.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Option<Self>> {
        if bytes.is_empty() {
            return Some(None);
        }
        let mut told = v1::PlatformScope::decode(bytes).ok()?;
        // Of a scope whose last team has ended nobody is left: that is not all, and still whole.
        let nobody = !told.all_patients && told.patients.is_empty() && told.teams.is_empty();
        told.all_patients |= nobody;
        let scope = Self::of(&told).ok()?;
        let all = scope.all && !nobody;
        Some(Some(Self { all, ..scope }))
    }
}

impl Canonical for Scope {
    fn encode(&self, to: &mut Vec<u8>) {
        Canonical::encode(&Self::to_bytes(Some(self)), to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let bytes: Vec<u8> = Canonical::decode(from)?;
        Self::from_bytes(&bytes)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> v1::PlatformScope {
        v1::PlatformScope {
            all_patients: false,
            patients: vec!["p-2".into(), "p-1".into(), "p-2".into()],
            teams: vec!["Ward 3".into()],
            kinds: vec![Kind::OxygenSaturation.wire()],
            services: vec![
                PlatformService::Acknowledge.into(),
                PlatformService::Alerts.into(),
            ],
        }
    }

    #[test]
    fn a_scope_is_what_was_written_and_nothing_that_is_not_whole() {
        let scope = Scope::of(&fine()).expect("it is whole");
        assert_eq!(Scope::of(&scope.told()), Ok(scope.clone()));
        assert_eq!(
            Scope::from_bytes(&Scope::to_bytes(Some(&scope))),
            Some(Some(scope.clone()))
        );
        assert_eq!(Scope::from_bytes(&Scope::to_bytes(None)), Some(None));
        assert_eq!(Scope::from_bytes(&[0xff]), None);
        // Its teams may end while it holds: nobody is not everybody.
        let nobody = Scope {
            patients: BTreeSet::new(),
            teams: BTreeSet::new(),
            ..scope
        };
        assert_eq!(
            Scope::from_bytes(&Scope::to_bytes(Some(&nobody))),
            Some(Some(nobody))
        );
        type Spoil = fn(&mut v1::PlatformScope);
        let wrong: [(&str, Spoil); 8] = [
            ("services", |of| of.services.clear()),
            ("services", |of| of.services = vec![0]),
            ("services", |of| of.services = vec![99]),
            ("services", |of| {
                of.services = vec![PlatformService::Acknowledge.into()];
            }),
            ("kinds", |of| of.kinds = vec![0]),
            ("patients", |of| of.patients = vec!["not an id".into()]),
            ("all_patients", |of| of.all_patients = true),
            ("patients", |of| {
                (of.patients, of.teams) = (Vec::new(), Vec::new());
            }),
        ];
        for (field, spoil) in wrong {
            let mut asked = fine();
            spoil(&mut asked);
            let unfit = Scope::of(&asked).expect_err(field);
            assert_eq!(unfit.field, field, "{unfit}");
        }
    }
}
