//! PURE: all streams, found by their id, their patient or their gateway without a look at all others.
//!
//! Promise: a patient's and a gateway's streams come in the order of their ids. Only the streams are saved.

use std::collections::{BTreeMap, BTreeSet};

use twin::canonical::Canonical;
use vitals::{GatewayId, PatientId, StreamId};

use super::Stream;

#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    all: BTreeMap<StreamId, Stream>,
    of: BTreeMap<PatientId, BTreeSet<StreamId>>,
    at: BTreeMap<GatewayId, BTreeSet<StreamId>>,
}

impl Streams {
    /// A stream stays its patient's and its gateway's for good.
    pub(super) fn insert(&mut self, id: StreamId, stream: Stream) {
        self.of
            .entry(stream.patient.clone())
            .or_default()
            .insert(id);
        self.at
            .entry(stream.gateway.clone())
            .or_default()
            .insert(id);
        self.all.insert(id, stream);
    }

    pub(super) fn get(&self, id: &StreamId) -> Option<&Stream> {
        self.all.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &StreamId) -> Option<&mut Stream> {
        self.all.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.all.iter().map(|(id, of)| (*id, of))
    }

    pub(super) fn of(&self, patient: &PatientId) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.each(self.of.get(patient))
    }

    pub(super) fn at(&self, gateway: &GatewayId) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.each(self.at.get(gateway))
    }

    fn each<'a>(
        &'a self,
        ids: Option<&'a BTreeSet<StreamId>>,
    ) -> impl Iterator<Item = (StreamId, &'a Stream)> {
        let ids = ids.into_iter().flatten();
        ids.filter_map(|id| self.all.get(id).map(|of| (*id, of)))
    }
}

impl Canonical for Streams {
    fn encode(&self, to: &mut Vec<u8>) {
        self.all.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let all: BTreeMap<StreamId, Stream> = Canonical::decode(from)?;
        let mut streams = Self::default();
        for (id, of) in all {
            streams.insert(id, of);
        }
        Some(streams)
    }
}

#[cfg(test)]
mod tests {
    use proto::seal::KeyId;
    use vitals::Time;

    use super::*;
    use crate::journal::SealedText;

    fn stream(patient: &str, gateway: &str) -> Stream {
        Stream {
            patient: PatientId::parse(patient).expect("an id"),
            gateway: GatewayId::parse(gateway).expect("an id"),
            key_id: KeyId([1; 8]),
            sealed_to: 0,
            devices: SealedText(Vec::new()),
            from: Time::from_micros(0),
            frozen: false,
        }
    }

    #[test]
    fn each_is_found_where_it_belongs_and_nowhere_else_also_after_a_snapshot() {
        let mut streams = Streams::default();
        for (id, patient, gateway) in [
            (3, "p-a", "g-1"),
            (1, "p-a", "g-2"),
            (2, "p-b", "g-1"),
            (3, "p-a", "g-1"),
        ] {
            streams.insert(StreamId([id; 16]), stream(patient, gateway));
        }
        let mut bytes = Vec::new();
        streams.encode(&mut bytes);
        let again = Streams::decode(&mut bytes.as_slice()).expect("what was written");
        for streams in [streams, again] {
            let of = |patient| PatientId::parse(patient).expect("an id");
            let ids = |patient| -> Vec<u8> {
                let patient = of(patient);
                let ids = streams.of(&patient).map(|(id, _)| id.0[0]);
                ids.collect()
            };
            assert_eq!(ids("p-a"), [1, 3]);
            assert_eq!(ids("p-b"), [2]);
            assert_eq!(ids("p-c"), Vec::<u8>::new());
            let gateway = GatewayId::parse("g-1").expect("an id");
            let at: Vec<u8> = streams.at(&gateway).map(|(id, _)| id.0[0]).collect();
            assert_eq!(at, [2, 3]);
        }
    }
}
