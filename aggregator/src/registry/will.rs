//! The patient's word on whether the devices may be read, and what is withheld since.
//!
//! Must not know: who asked the patient.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::v1::Collection;
use vitals::{GatewayId, PatientId, StreamId, Time};

use super::Registry;
use crate::journal::{Position, SealedText};

/// What a patient allows.
#[derive(Clone, Debug, Default)]
pub struct Will {
    /// `Unspecified` until the patient said anything: as given.
    pub collection: Collection,
    /// When it was said.
    pub since: Time,
    /// What gateways still hold is not taken any more.
    pub erase_unsent: bool,
    /// The streams that it ended.
    pub withheld: Vec<Withheld>,
}

/// A stream that ended by the patient's will: what is assigned anew when it is given again.
#[derive(Clone, Debug)]
pub struct Withheld {
    /// Which.
    pub stream: StreamId,
    /// Who collected it.
    pub gateway: GatewayId,
    /// Its devices, sealed (`Books::open_devices`).
    pub devices: SealedText,
}

impl Will {
    /// Whether devices may be read.
    #[must_use]
    pub fn allows(&self) -> bool {
        matches!(self.collection, Collection::Unspecified | Collection::Given)
    }
}

impl Registry {
    /// Whether what a gateway still holds of the stream is no longer taken: the patient withdrew, and wants it
    /// deleted.
    #[must_use]
    pub fn is_erased(&self, stream: StreamId) -> bool {
        let patient = self.streams.get(&stream).map(|of| &of.patient);
        patient
            .and_then(|id| self.patients.get(id))
            .is_some_and(|patient| {
                let will = &patient.will;
                will.erase_unsent && will.withheld.iter().any(|of| of.stream == stream)
            })
    }

    pub(super) fn note_will(
        &mut self,
        position: Position,
        patient: &PatientId,
        will: Will,
        streams: &[StreamId],
    ) {
        let Some(known) = self.patients.get_mut(patient) else {
            return;
        };
        let former = std::mem::take(&mut known.will.withheld);
        let now = streams.iter().filter_map(|stream| {
            // A withdrawal after a pause: the pause has ended them, and knows their devices.
            let kept = former.iter().find(|withheld| withheld.stream == *stream);
            kept.cloned().or_else(|| {
                let of = self.streams.get(stream)?;
                Some(Withheld {
                    stream: *stream,
                    gateway: of.gateway.clone(),
                    devices: of.devices.clone(),
                })
            })
        });
        known.will = Will {
            withheld: now.collect(),
            ..will
        };
        let aside = Arc::make_mut(&mut self.aside);
        if known.will.allows() {
            aside.remove(patient);
        } else {
            aside.insert(patient.clone());
        }
        for withheld in former.iter().chain(&known.will.withheld) {
            if let Some(gateway) = self.gateways.get_mut(&withheld.gateway) {
                gateway.list_changed = Some(position);
            }
        }
    }

    /// Who paused or withdrew, by the wills that are known.
    pub(super) fn set_aside(&self) -> BTreeSet<PatientId> {
        let patients = self.patients.iter();
        let aside = patients.filter(|(_, of)| !of.will.allows());
        aside.map(|(id, _)| id.clone()).collect()
    }
}
