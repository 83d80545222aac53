//! Acts at a distance: settings of a gateway, whether a patient's devices may be read, and to which key they are sealed.
//!
//! Invariants: what a patient says becomes one append, with the ends and begins of assignments that follow from it, so
//! that no batch lies between them; a pause or withdrawal ends every stream of the patient, and giving it again begins
//! new ones. Must not know: gRPC, what a setting means.

use std::sync::{Arc, PoisonError};

use proto::v1::{self, Collection};
use vitals::{GatewayId, PatientId, StreamId, Time};

use super::{Admin, AdminError};
use crate::journal::{Draft, Entry, Opened};
use crate::registry::{Stream, Will};

/// Bytes of settings that a gateway takes.
const LONGEST_SETTINGS: usize = 4096;

impl Admin {
    /// Sends settings to a gateway: TOML, which replaces what was sent before. Returns the command's number.
    ///
    /// # Errors
    /// [`AdminError`]; whether the keys and values hold is the gateway's to say.
    pub async fn configure(
        &self,
        gateway: &str,
        settings: &str,
        by: &str,
    ) -> Result<u64, AdminError> {
        let gateway = self.gateway(gateway)?;
        let invalid = |remedy| AdminError::Invalid {
            field: "settings",
            remedy,
        };
        if settings.len() > LONGEST_SETTINGS {
            return Err(invalid(format!("at most {LONGEST_SETTINGS} bytes")));
        }
        toml::from_str::<toml::Table>(settings)
            .map_err(|error| invalid(format!("must be TOML: {}", error.message())))?;
        if !self.parts.books.registry().may_write(&gateway) {
            return Err(AdminError::Conflict(format!(
                "gateway {gateway} is not enrolled, or was revoked"
            )));
        }
        let entry = Entry::Configured {
            gateway: gateway.clone(),
            settings: settings.to_owned(),
        };
        let appended = self.append_by(by, vec![entry.into()]).await?;
        tracing::info!(%gateway, number = appended.last.0, "settings for a gateway");
        Ok(appended.last.0)
    }

    /// Notes whether a patient's devices may be read, and ends or begins the assignments accordingly.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn set_collection(
        &self,
        patient: &str,
        collection: Collection,
        erase_unsent: bool,
        by: &str,
    ) -> Result<Time, AdminError> {
        let patient = self.patient(patient)?;
        if erase_unsent && collection != Collection::Withdrawn {
            return Err(AdminError::Invalid {
                field: "erase_unsent",
                remedy: "goes with a withdrawal only".into(),
            });
        }
        let _one = self.one_at_a_time.lock().await;
        let will = self.will(&patient);
        let since = self.parts.clock.now();
        let (streams, assignments) = match (collection, will.collection) {
            (Collection::Unspecified, _) => {
                return Err(AdminError::Invalid {
                    field: "collection",
                    remedy: "given, paused or withdrawn".into(),
                });
            }
            (Collection::Given, _) if will.allows() => {
                return Err(AdminError::Conflict("it is given already".into()));
            }
            (Collection::Given, _) => (Vec::new(), self.begun_again(&patient, &will)?),
            (Collection::Paused, Collection::Paused | Collection::Withdrawn)
            | (Collection::Withdrawn, Collection::Withdrawn) => {
                return Err(AdminError::Conflict(
                    "the patient's devices are not read already: `patient resume` ends that".into(),
                ));
            }
            (Collection::Paused | Collection::Withdrawn, _) => self.ended(&patient, &will)?,
        };
        let said = Entry::Collection {
            patient,
            collection,
            erase_unsent,
            since,
            streams,
        };
        let drafts = std::iter::once(Draft::from(said)).chain(assignments);
        self.append_by(by, drafts.collect()).await?;
        tracing::info!(
            collection = collection.as_str_name(),
            "a patient's will was noted"
        );
        Ok(since)
    }

    /// Gives a patient a new key, and tells it to every gateway that collects for the patient. What was and is sealed to
    /// the former ones still opens: the journal holds it, and gateways hold more of it.
    ///
    /// # Errors
    /// [`AdminError`]; then nothing has changed that anybody would see.
    pub async fn rotate_key(&self, patient: &str) -> Result<v1::RotateKeyResponse, AdminError> {
        let patient = self.patient(patient)?;
        let _one = self.one_at_a_time.lock().await;
        let (key_id, public) = self.generate(&patient).await?;
        let key = Entry::KeyAdded {
            patient: patient.clone(),
            key_id: key_id.0,
            public_key: public.0,
        };
        let mut live = self.live(&patient);
        // Whoever was revoked is told nothing, and is not let in again by the way.
        live.retain(|(_, of, _)| self.parts.books.registry().may_write(&of.gateway));
        let assignments = u32::try_from(live.len()).unwrap_or(u32::MAX);
        let told = live.into_iter().map(|(stream, of, devices)| {
            // The same devices from the same begin on.
            let place = (stream, key_id.0, of.from);
            self.assigned(&patient, &of.gateway, place, devices)
        });
        let drafts: Result<Vec<Draft>, _> = std::iter::once(Ok(key.into())).chain(told).collect();
        self.parts.journal.append(drafts?).await?;
        let registry = self.parts.books.registry();
        let keys = registry.patient(&patient).map_or(0, |of| of.keys.len());
        tracing::info!(assignments, "a patient has a new key");
        Ok(v1::RotateKeyResponse {
            key_generation: u32::try_from(keys).unwrap_or(u32::MAX),
            assignments,
        })
    }

    /// The patient's streams that are collected, with their devices.
    fn live(&self, patient: &PatientId) -> Vec<(StreamId, Stream, Vec<String>)> {
        let books = &self.parts.books;
        let own: Vec<_> = {
            let registry = books.registry();
            let own = registry.streams_of(patient).filter(|(_, of)| !of.frozen);
            own.map(|(stream, of)| (stream, of.clone())).collect()
        };
        let with_devices = own
            .into_iter()
            .map(|(stream, of)| (stream, of, books.devices(stream)));
        with_devices
            .filter(|(.., devices)| !devices.is_empty())
            .collect()
    }

    /// What a patient allows.
    pub(super) fn will(&self, patient: &PatientId) -> Will {
        let registry = self.parts.books.registry();
        let of = registry.patient(patient).map(|of| of.will.clone());
        of.unwrap_or_default()
    }

    /// Everything of the patient that is withheld, and the ends of what is still collected.
    fn ended(
        &self,
        patient: &PatientId,
        will: &Will,
    ) -> Result<(Vec<StreamId>, Vec<Draft>), AdminError> {
        let live = self.live(patient);
        let before = will.withheld.iter().map(|of| of.stream);
        let streams = before
            .chain(live.iter().map(|(stream, ..)| *stream))
            .collect();
        let end = |(stream, of, _): (StreamId, Stream, Vec<String>)| {
            let place = (stream, of.key_id.0, of.from);
            self.assigned(patient, &of.gateway, place, Vec::new())
        };
        let ends = live.into_iter().map(end).collect::<Result<_, _>>()?;
        Ok((streams, ends))
    }

    /// The devices that were withheld, assigned anew from now on.
    fn begun_again(&self, patient: &PatientId, will: &Will) -> Result<Vec<Draft>, AdminError> {
        let mut begun = Vec::new();
        for withheld in &will.withheld {
            let gateway = &withheld.gateway;
            if !self.parts.books.registry().may_write(gateway) {
                continue;
            }
            let devices = self.parts.books.open_devices(patient, &withheld.devices);
            let place = self.place(patient, gateway, &devices)?;
            begun.push(self.assigned(patient, gateway, place, devices)?);
        }
        Ok(begun)
    }

    /// An assignment as an entry.
    pub(super) fn assigned(
        &self,
        patient: &PatientId,
        gateway: &GatewayId,
        (stream, key_id, from): (StreamId, [u8; 8], Time),
        devices: Vec<String>,
    ) -> Result<Draft, AdminError> {
        let known = self.devices.lock();
        known
            .unwrap_or_else(PoisonError::into_inner)
            .given(stream, &devices);
        let sealed = self.parts.books.seal_devices(patient, &devices);
        let sealed =
            sealed.ok_or_else(|| AdminError::Conflict("the patient's key is gone".into()))?;
        let entry = Entry::Assigned {
            patient: patient.clone(),
            gateway: gateway.clone(),
            stream,
            key_id,
            devices: sealed,
            from,
        };
        let body = Some(Arc::new(Opened::Devices(devices)));
        Ok(Draft {
            body,
            ..entry.into()
        })
    }
}
