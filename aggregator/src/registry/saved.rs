//! The registry as bytes, for a snapshot: it holds no more in clear than the journal's own entries do.
//!
//! Invariant: what is read is what was written, and no entry up to its position is applied to it again.
//! Must not know: files.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use proto::cert::Role;
use proto::seal::{KeyId, PatientPublic};
use proto::v1::Collection;
use twin::canonical::Canonical;
use twin::canonical_fields;

use super::accounts::Accounts;
use super::looks::Looks;
use super::offices::Offices;
use super::people::{Filters, Rosters, Staff};
use super::platforms::Platforms;
use super::rules::Decisions;
use super::{
    Context, Gateway, Patient, RangeSet, Registry, Stream, Token, Totals, Voided, Will, Withheld,
};
use crate::journal::{Position, SealedText};

canonical_fields! {
    Position { 0 }
    SealedText { 0 }
    Totals { batches, readings }
    Voided { void, position, since }
    Token { hash, expires }
    Withheld { stream, gateway, devices }
    Gateway { label, token, enrolled, revoked, not_after, list_changed, configuration, set_aside }
}

impl Canonical for Will {
    fn encode(&self, to: &mut Vec<u8>) {
        i32::from(self.collection).encode(to);
        self.since.encode(to);
        self.erase_unsent.encode(to);
        self.withheld.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            collection: Collection::try_from(i32::decode(from)?).ok()?,
            since: Canonical::decode(from)?,
            erase_unsent: Canonical::decode(from)?,
            withheld: Canonical::decode(from)?,
        })
    }
}

impl Canonical for Patient {
    fn encode(&self, to: &mut Vec<u8>) {
        self.name.encode(to);
        self.test_data.encode(to);
        let keys = self.keys.iter();
        let keys: Vec<([u8; 8], [u8; 32])> = keys.map(|(id, public)| (id.0, public.0)).collect();
        keys.encode(to);
        self.will.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let (name, test_data) = Canonical::decode(from)?;
        let keys: Vec<([u8; 8], [u8; 32])> = Canonical::decode(from)?;
        let keys = keys.into_iter();
        Some(Self {
            name,
            test_data,
            keys: keys
                .map(|(id, public)| (KeyId(id), PatientPublic(public)))
                .collect(),
            will: Canonical::decode(from)?,
        })
    }
}

impl Canonical for Stream {
    fn encode(&self, to: &mut Vec<u8>) {
        self.patient.encode(to);
        self.gateway.encode(to);
        self.key_id.0.encode(to);
        self.sealed_to.encode(to);
        self.devices.encode(to);
        self.from.encode(to);
        self.frozen.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            patient: Canonical::decode(from)?,
            gateway: Canonical::decode(from)?,
            key_id: KeyId(Canonical::decode(from)?),
            sealed_to: Canonical::decode(from)?,
            devices: Canonical::decode(from)?,
            from: Canonical::decode(from)?,
            frozen: Canonical::decode(from)?,
        })
    }
}

impl Canonical for Context {
    fn encode(&self, to: &mut Vec<u8>) {
        self.gateway.encode(to);
        self.stream.encode(to);
        self.header.to_vec().encode(to);
        self.opened_at.encode(to);
        self.predecessor.encode(to);
        self.forked.encode(to);
        self.journaled.encode(to);
        self.admitted.encode(to);
        self.begins.encode(to);
        self.newest_data.encode(to);
        self.newest_since.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            gateway: Canonical::decode(from)?,
            stream: Canonical::decode(from)?,
            header: <Vec<u8>>::decode(from)?.into(),
            opened_at: Canonical::decode(from)?,
            predecessor: Canonical::decode(from)?,
            forked: Canonical::decode(from)?,
            journaled: RangeSet::decode(from)?,
            admitted: Canonical::decode(from)?,
            begins: Canonical::decode(from)?,
            newest_data: Canonical::decode(from)?,
            newest_since: Canonical::decode(from)?,
        })
    }
}

impl Canonical for Registry {
    fn encode(&self, to: &mut Vec<u8>) {
        self.at.encode(to);
        self.epoch.encode(to);
        self.patients.encode(to);
        self.gateways.encode(to);
        let revoked = self.revoked.iter();
        let revoked: BTreeSet<(String, String)> = revoked
            .map(|(role, name)| (role.as_str().to_owned(), name.clone()))
            .collect();
        revoked.encode(to);
        self.streams.encode(to);
        self.contexts.encode(to);
        self.successors.encode(to);
        self.totals.encode(to);
        self.voids.encode(to);
        self.voidings.encode(to);
        self.damaged.encode(to);
        self.staff.encode(to);
        self.looks.encode(to);
        self.rules.encode(to);
        self.accounts.encode(to);
        self.offices.encode(to);
        self.staff.rosters().encode(to);
        self.platforms.encode(to);
        self.staff.filters().encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let mut registry = Self {
            at: Canonical::decode(from)?,
            epoch: Canonical::decode(from)?,
            patients: Canonical::decode(from)?,
            gateways: Canonical::decode(from)?,
            revoked: {
                let revoked: BTreeSet<(String, String)> = Canonical::decode(from)?;
                let role = |(role, name): (String, String)| Some((Role::parse(&role)?, name));
                revoked
                    .into_iter()
                    .map(role)
                    .collect::<Option<HashSet<_>>>()?
            },
            streams: Canonical::decode(from)?,
            contexts: Canonical::decode(from)?,
            successors: Canonical::decode(from)?,
            totals: Canonical::decode(from)?,
            // A snapshot of an earlier program ends here,
            voids: if from.is_empty() {
                BTreeMap::new()
            } else {
                Canonical::decode(from)?
            },
            // or here,
            voidings: if from.is_empty() {
                BTreeMap::new()
            } else {
                Canonical::decode(from)?
            },
            // or here.
            damaged: if from.is_empty() {
                BTreeSet::new()
            } else {
                Canonical::decode(from)?
            },
            // or here.
            staff: if from.is_empty() {
                Staff::default()
            } else {
                Canonical::decode(from)?
            },
            // or here.
            looks: if from.is_empty() {
                Looks::default()
            } else {
                Canonical::decode(from)?
            },
            // or here.
            rules: if from.is_empty() {
                Decisions::default()
            } else {
                Canonical::decode(from)?
            },
            // or here.
            accounts: if from.is_empty() {
                Accounts::default()
            } else {
                Canonical::decode(from)?
            },
            offices: if from.is_empty() {
                Offices::default()
            } else {
                Canonical::decode(from)?
            },
            // Both follow below.
            platforms: Platforms::default(),
            aside: Arc::default(),
        };
        // or here.
        if !from.is_empty() {
            let rosters: Rosters = Canonical::decode(from)?;
            registry.staff = std::mem::take(&mut registry.staff).with_rosters(rosters);
        }
        // or here.
        if !from.is_empty() {
            registry.platforms = Canonical::decode(from)?;
        }
        // or here.
        if !from.is_empty() {
            let filters: Filters = Canonical::decode(from)?;
            registry.staff = std::mem::take(&mut registry.staff).with_filters(filters);
        }
        registry.aside = Arc::new(registry.set_aside());
        Some(registry)
    }
}
