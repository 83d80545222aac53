//! Readings that were attributed to the wrong person: voided in one patient's log, and sealed anew for the other.
//!
//! Promises: one append, so that nothing lies between; what is void is never changed or removed, and stays readable as
//! it was known before; nothing about the other patient's present rests on what is moved. Must not know: gRPC, what a
//! twin makes of it.

use std::collections::{BTreeMap, BTreeSet};

use proto::seal::crypto;
use proto::v1;
use proto::wire;
use twin::event::Void;
use vitals::{ContextId, PatientId, Quality, Reading, SourceId, StreamId, Time};

use super::{Admin, AdminError, addresses, text};
use crate::journal::{Content, Draft, Entry, Opened, Past};

/// Readings that one command moves at most (what the entries hold lies in one row of the journal), and counts at most: each
/// is remembered while they are counted.
pub const MOST_VOIDED: usize = 100_000;

/// What is to be voided.
#[derive(Clone, Copy, Debug)]
pub struct Misattributed<'a> {
    /// In whose log.
    pub patient: &'a str,
    /// The sensor's Bluetooth address.
    pub device: &'a str,
    /// First effective time.
    pub from: Time,
    /// The first one after it.
    pub to: Time,
    /// Whose readings they are; empty: nobody's.
    pub to_patient: &'a str,
    /// For people.
    pub reason: &'a str,
}

/// Readings of one context, in the order of their batches.
type Came = BTreeMap<(StreamId, ContextId), Vec<Reading>>;

impl Admin {
    /// Voids readings of a patient's sensor, by the word of `by`, and gives them to another patient if they are that
    /// one's.
    ///
    /// # Errors
    /// [`AdminError`]; then nothing has changed.
    pub async fn void(
        &self,
        what: Misattributed<'_>,
        by: &str,
    ) -> Result<v1::VoidReadingsResponse, AdminError> {
        let patient = self.patient(what.patient)?;
        let device = addresses(&[what.device.to_owned()])?.remove(0);
        let reason = text("reason", what.reason)?;
        if reason.is_empty() {
            return Err(invalid(
                "reason",
                "say why: it is told with each alert that is withdrawn",
            ));
        }
        if what.from >= what.to {
            return Err(invalid("to_us", "must be later than from_us"));
        }
        let other = match what.to_patient {
            "" => None,
            other => Some(self.patient(other)?),
        };
        if other.as_ref() == Some(&patient) {
            return Err(invalid("to_patient", "must be another patient"));
        }
        let _one = self.one_at_a_time.lock().await;
        if !self.is_settled(&patient) {
            return Err(AdminError::Conflict(
                "what was voided before is still being left out (`patient voids` tells): ask again when that is done".into(),
            ));
        }
        let devices = self.parts.live.devices(&patient).into_iter();
        let sources: Vec<_> = devices
            .filter(|(.., address)| address.eq_ignore_ascii_case(&device))
            .map(|(stream, source, _)| (stream, source))
            .collect();
        if sources.is_empty() {
            return Err(AdminError::Conflict(
                "no sensor of this address ever sent anything for this patient: `patient list` shows the addresses".into(),
            ));
        }
        let span = (what.from, what.to);
        let (readings, came) = self.came(&patient, &sources, span, other.is_some()).await?;
        let books = &self.parts.books;
        let gone = || AdminError::Conflict("the patient's key is gone".into());
        let voided = Entry::Voided {
            patient: patient.clone(),
            sources,
            from: what.from,
            to: what.to,
            since: self.parts.clock.now(),
            by: by.to_owned(),
            reason: books.seal_reason(&patient, &reason).ok_or_else(gone)?,
            moved_to: other.clone(),
        };
        let mut drafts = vec![Draft::from(voided)];
        if let Some(other) = &other {
            drafts.extend(self.moved(other, &device, what.from, &came)?);
        }
        let appended = self.parts.journal.append(drafts).await?;
        tracing::warn!(
            position = appended.first.0,
            readings,
            moved = other.is_some(),
            "readings were voided"
        );
        let readings = readings as u64;
        Ok(v1::VoidReadingsResponse {
            position: appended.first.0,
            readings,
            moved: if other.is_some() { readings } else { 0 },
        })
    }

    /// What was voided of a patient, oldest first.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub fn voids(&self, patient: &str) -> Result<Vec<v1::PatientVoid>, AdminError> {
        let patient = self.patient(patient)?;
        let devices = self.parts.live.devices(&patient);
        let books = &self.parts.books;
        let registry = books.registry();
        let told = registry.voidings(&patient).iter().map(|of| {
            let all = registry.voids(&patient).iter();
            let parts: Vec<_> = all.filter(|part| part.position == of.position).collect();
            let addresses = devices.iter().filter(|(stream, source, _)| {
                let sensor = (*stream, *source);
                parts
                    .iter()
                    .any(|part| (part.void.stream, part.void.source) == sensor)
            });
            let addresses: BTreeSet<_> = addresses.map(|(.., address)| address.clone()).collect();
            let first = parts.first();
            v1::PatientVoid {
                position: of.position.0,
                voided_us: first.map_or(0, |part| part.since.as_micros()),
                by: of.by.clone(),
                reason: books.open_reason(&patient, &of.reason),
                from_us: first.map_or(0, |part| part.void.from.as_micros()),
                to_us: first.map_or(0, |part| part.void.to.as_micros()),
                devices: addresses.into_iter().collect(),
                to_patient: of
                    .moved_to
                    .as_ref()
                    .map_or_else(String::new, |other| other.reveal().to_owned()),
                settled_position: of.settled.map_or(0, |at| at.0),
            }
        });
        Ok(told.collect())
    }

    /// Returns when nothing in the patient's twin rests any more on what was voided.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub async fn settled(&self, patient: &str) -> Result<(), AdminError> {
        let patient = self.patient(patient)?;
        let mut changes = self.parts.books.changes();
        while !self.is_settled(&patient) {
            if changes.changed().await.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn is_settled(&self, patient: &PatientId) -> bool {
        let registry = self.parts.books.registry();
        let all = registry.voidings(patient).iter();
        all.into_iter().all(|of| of.settled.is_some())
    }

    /// How many readings came of these sources and times, without what is void already, up to [`MOST_VOIDED`]; and which, if
    /// they are to be `kept`.
    async fn came(
        &self,
        patient: &PatientId,
        sources: &[(StreamId, SourceId)],
        (from, to): (Time, Time),
        kept: bool,
    ) -> Result<(usize, Came), AdminError> {
        let before: Vec<Void> = {
            let registry = self.parts.books.registry();
            registry.voids(patient).iter().map(|of| of.void).collect()
        };
        let (mut came, mut seen, mut count) = (Came::new(), BTreeSet::new(), 0);
        let streams: BTreeSet<StreamId> = sources.iter().map(|(stream, _)| *stream).collect();
        for stream in streams {
            let mut after = None;
            loop {
                let journal = &self.parts.journal;
                let page = journal
                    .history(stream, (from, to), after, Past::Readings)
                    .await?;
                for committed in &page.batches {
                    let Some(Opened::Batch(batch)) = committed.body.as_deref() else {
                        continue;
                    };
                    let Content::Body(body) = &batch.content else {
                        continue;
                    };
                    let Ok(content) = wire::decode_body(batch.source, batch.number, body) else {
                        continue;
                    };
                    for reading in content.readings {
                        let (source, at) = (reading.source, reading.effective);
                        let name = (
                            stream,
                            batch.context,
                            source,
                            reading.kind,
                            reading.sequence,
                        );
                        let is_void = before.iter().any(|void| void.covers(stream, source, at));
                        if (from..to).contains(&at)
                            && sources.contains(&(stream, source))
                            && !is_void
                            && seen.insert(name)
                        {
                            if count == MOST_VOIDED && !kept {
                                return Ok((count, came));
                            }
                            count += 1;
                            if !kept {
                                continue;
                            }
                            if count > MOST_VOIDED {
                                return Err(invalid(
                                    "to_us",
                                    "more than 100000 readings: void a shorter time, and the rest after it",
                                ));
                            }
                            came.entry((stream, batch.context))
                                .or_default()
                                .push(reading);
                        }
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok((count, came))
    }

    /// The same readings in another patient's log: a stream of their own, which has ended, so that no gateway is asked for
    /// it, and what they say under that patient's key.
    fn moved(
        &self,
        other: &PatientId,
        device: &str,
        from: Time,
        came: &Came,
    ) -> Result<Vec<Draft>, AdminError> {
        let books = &self.parts.books;
        let gone = || AdminError::Conflict("the other patient's key is gone".into());
        let mut drafts = Vec::new();
        let streams: BTreeSet<StreamId> = came.keys().map(|(stream, _)| *stream).collect();
        for former in streams {
            let (gateway, key_id) = {
                let registry = books.registry();
                let of = registry.stream(former).map(|of| of.gateway.clone());
                let keys = registry.patient(other).map(|of| of.keys.as_slice());
                let key = keys.and_then(<[_]>::last).map(|(key, _)| key.0);
                of.zip(key).ok_or_else(gone)?
            };
            let stream = StreamId(crypto::random());
            let place = (stream, key_id, from);
            drafts.push(self.assigned(other, &gateway, place, vec![device.to_owned()])?);
            drafts.push(self.assigned(other, &gateway, place, Vec::new())?);
            for readings in came
                .iter()
                .filter(|((of, _), _)| *of == former)
                .map(|(_, of)| of)
            {
                let context = ContextId(crypto::random());
                let moved: Vec<Reading> = readings
                    .iter()
                    .map(|reading| Reading {
                        quality: reading.quality.with(Quality::MOVED),
                        ..*reading
                    })
                    .collect();
                for (number, batch) in (1..).zip(wire::split_to_fit(&moved, 0)) {
                    let (source, readings) = (batch.source, batch.count);
                    let body = books
                        .seal_moved(other, &batch.into_body())
                        .ok_or_else(gone)?;
                    let entry = Entry::Moved {
                        patient: other.clone(),
                        stream,
                        context,
                        number,
                        source,
                        readings,
                        body,
                    };
                    drafts.push(entry.into());
                }
            }
        }
        Ok(drafts)
    }
}

fn invalid(field: &'static str, remedy: &str) -> AdminError {
    AdminError::Invalid {
        field,
        remedy: remedy.into(),
    }
}
