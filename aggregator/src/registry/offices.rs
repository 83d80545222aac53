//! What people did about each gateway: tokens, assignments, settings, revocation, with who did it.
//!
//! Must not know: what settings mean, who may do what.

use std::collections::{BTreeMap, VecDeque};

use proto::v1::GatewayActKind;
use twin::canonical::Canonical;
use twin::canonical_fields;
use vitals::{GatewayId, PatientId, Time};

use super::Registry;
use crate::journal::{Entry, Position};

/// Acts that are kept here of each gateway; the journal has all.
const KEPT: usize = 32;

/// An act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The entry; of settings it is their number.
    pub at: Position,
    /// Who, as the gate named them; empty in entries of earlier programs.
    pub by: String,
    /// By the centre's clock; [`Time::ZERO`] in entries of earlier programs.
    pub time: Time,
    /// What.
    pub deed: Deed,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A token was made.
    Token,
    /// Devices of a patient were assigned, or none any more.
    Assigned(PatientId),
    /// Settings were sent.
    Settings(String),
    /// It may not write any more.
    Revoked,
}

impl Deed {
    /// As the contract has it, with what belongs to it.
    #[must_use]
    pub fn told(&self) -> (GatewayActKind, &str) {
        match self {
            Self::Token => (GatewayActKind::Token, ""),
            Self::Assigned(patient) => (GatewayActKind::Assigned, patient.reveal()),
            Self::Settings(settings) => (GatewayActKind::Settings, settings),
            Self::Revoked => (GatewayActKind::Revoked, ""),
        }
    }
}

impl Canonical for Deed {
    fn encode(&self, to: &mut Vec<u8>) {
        let (kind, text) = self.told();
        i32::from(kind).encode(to);
        text.to_owned().encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let kind = GatewayActKind::try_from(i32::decode(from)?).ok()?;
        let text = String::decode(from)?;
        Some(match kind {
            GatewayActKind::Unspecified => return None,
            GatewayActKind::Token => Self::Token,
            GatewayActKind::Assigned => Self::Assigned(PatientId::parse(&text)?),
            GatewayActKind::Settings => Self::Settings(text),
            GatewayActKind::Revoked => Self::Revoked,
        })
    }
}

canonical_fields! {
    Act { at, by, time, deed }
    Signer { by, time, left }
    Offices { signer, acts }
}

/// Who does what the next entries say.
#[derive(Clone, Debug, Default)]
struct Signer {
    by: String,
    time: Time,
    /// How many of them are still to come.
    left: u32,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Offices {
    signer: Signer,
    /// Oldest first.
    acts: BTreeMap<GatewayId, VecDeque<Act>>,
}

impl Registry {
    /// Takes note of who acts, and of what is done about a gateway.
    pub(super) fn note_act(&mut self, position: Position, entry: &Entry) {
        let Offices { signer, acts } = &mut self.offices;
        if let Entry::By { by, at, entries } = entry {
            *signer = Signer {
                by: by.clone(),
                time: *at,
                left: *entries,
            };
            return;
        }
        let who = if signer.left > 0 {
            signer.left -= 1;
            (signer.by.clone(), signer.time)
        } else {
            (String::new(), Time::ZERO)
        };
        let Some((gateway, deed)) = deed(entry) else {
            return;
        };
        let acts = acts.entry(gateway.clone()).or_default();
        if acts.len() >= KEPT {
            acts.pop_front();
        }
        acts.push_back(Act {
            at: position,
            by: who.0,
            time: who.1,
            deed,
        });
    }

    /// What was done about a gateway, newest first.
    pub fn acts(&self, gateway: &GatewayId) -> impl Iterator<Item = &Act> {
        self.offices.acts.get(gateway).into_iter().flatten().rev()
    }
}

fn deed(entry: &Entry) -> Option<(&GatewayId, Deed)> {
    if let Entry::TokenCreated { gateway, .. } = entry {
        return Some((gateway, Deed::Token));
    }
    if let Entry::Assigned {
        gateway, patient, ..
    } = entry
    {
        return Some((gateway, Deed::Assigned(patient.clone())));
    }
    if let Entry::Configured { gateway, settings } = entry {
        return Some((gateway, Deed::Settings(settings.clone())));
    }
    if let Entry::GatewayRevoked { gateway } = entry {
        return Some((gateway, Deed::Revoked));
    }
    None
}
