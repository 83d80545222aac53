//! A centre for one gateway: opens, remembers, receipts, and judges. It outlives the child.
//!
//! Each beat of the child has a marker, a number that is used once, in its heart rate and in each frame of its ECG. So
//! the centre can tell what is missing and what came twice, whatever contexts, numbers and sequences the agent gave it.

use std::collections::{BTreeMap, BTreeSet};

use proto::seal::receipt::{Range, make, tags_hash};
use proto::seal::{
    KeyId, Opener, PatientSecret, SigningKey, command, parse_header, parse_stub, tag_of,
};
use proto::v1::{
    self, CentreToGateway, GatewayToCentre, PieceTaken, SealedBatches, centre_to_gateway as down,
    gateway_to_centre as up,
};
use proto::wire::decode_body;
use vitals::{ContextId, Kind, Reading, SourceId, StreamId, Time, Value, Waveform};

pub(crate) const STREAM: StreamId = StreamId([4; 16]);
pub(crate) const GATEWAY: &str = "g-1";
pub(crate) const DEVICE: &str = "C0:01:02:03:04:05";
pub(crate) const OXIMETER: &str = "C0:01:02:03:04:06";
/// A beat's marker stands for this many readings: a heart rate and the energy that is the marker.
pub(crate) const READINGS_A_MARKER: u64 = 2;

/// A frame of an ECG is a marker of its own, with this bit.
const FRAME: u64 = 1 << 32;
/// Frames of a marker at most: four bits.
const MOST_FRAMES: u64 = 10;

/// The frames of an ECG that a beat with this marker has, in a life with waves: none, one or many.
pub(crate) fn frames(marker: u64) -> std::ops::Range<u64> {
    0..(marker.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % MOST_FRAMES
}

/// The number that a frame begins with.
pub(crate) const fn number_of(marker: u64, frame: u64) -> u64 {
    marker << 4 | frame
}

/// Beats of one life that the child called durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durable {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) waves: bool,
}

impl Durable {
    /// The markers of these beats and of their frames.
    pub(crate) fn markers(self) -> impl Iterator<Item = u64> {
        (self.first..=self.last).flat_map(move |marker| {
            let frames = if self.waves { frames(marker) } else { 0..0 };
            let frames = frames.map(move |frame| FRAME | number_of(marker, frame));
            std::iter::once(marker).chain(frames)
        })
    }

    /// Readings of all of them.
    pub(crate) fn readings(self) -> u64 {
        self.markers().map(readings).sum()
    }
}

/// True for the marker of a frame.
pub(crate) const fn is_frame(marker: u64) -> bool {
    marker & FRAME != 0
}

/// Readings that a marker stands for; a frame is a block, and counted as one.
const fn readings(marker: u64) -> u64 {
    if is_frame(marker) {
        1
    } else {
        READINGS_A_MARKER
    }
}

/// What the centre knows.
pub(crate) struct Centre {
    pub(crate) command_key: SigningKey,
    patients: BTreeMap<KeyId, PatientSecret>,
    newest_key: KeyId,
    commands: u64,
    openers: BTreeMap<ContextId, Opener>,
    /// A record that came in part.
    partial: Vec<u8>,
    /// Each record once, with its markers.
    pub(crate) records: BTreeMap<(ContextId, u64), Vec<u64>>,
    /// Where each marker was first applied.
    applied: BTreeMap<u64, (ContextId, SourceId, u64)>,
    twice: Vec<u64>,
    gaps: BTreeMap<(ContextId, u64), Vec<v1::Gap>>,
    /// Numbers whose content a later record replaced.
    superseded: BTreeSet<(ContextId, u64)>,
    /// What the child called durable, life by life.
    pub(crate) durable: Vec<Durable>,
    pub(crate) commits: u64,
    /// Records whose key was there before them.
    pub(crate) places: u64,
    /// Readings of records that came for the first time.
    pub(crate) readings: u64,
    /// Of these, older than one of their kind that came before.
    pub(crate) backwards: u64,
    newest: BTreeMap<(SourceId, Kind), Time>,
    /// What was measured from here on is live, and out of turn on purpose.
    pub(crate) live_from: Time,
}

impl Centre {
    pub(crate) fn new() -> Self {
        let command_key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("a key");
        let mut centre = Self {
            command_key,
            patients: BTreeMap::new(),
            newest_key: KeyId([0; 8]),
            commands: 0,
            openers: BTreeMap::new(),
            partial: Vec::new(),
            records: BTreeMap::new(),
            applied: BTreeMap::new(),
            twice: Vec::new(),
            gaps: BTreeMap::new(),
            superseded: BTreeSet::new(),
            durable: Vec::new(),
            commits: 0,
            places: 0,
            readings: 0,
            backwards: 0,
            newest: BTreeMap::new(),
            live_from: Time::MAX,
        };
        centre.rotate_key();
        centre
    }

    /// A new generation of the patient's key; the next assignment carries it.
    pub(crate) fn rotate_key(&mut self) {
        self.commands += 1;
        self.newest_key = KeyId(self.commands.to_be_bytes());
        self.patients
            .insert(self.newest_key, PatientSecret::generate());
    }

    fn assignment(&self) -> v1::SignedCommand {
        let list = v1::AssignmentList {
            assignments: vec![v1::Assignment {
                stream: STREAM.0.to_vec(),
                key_id: self.newest_key.0.to_vec(),
                public_key: self.patients[&self.newest_key].public().0.to_vec(),
                devices: vec![DEVICE.into(), OXIMETER.into()],
                effective_from_us: 0,
            }],
            withheld: Vec::new(),
        };
        let command = v1::Command {
            gateway: GATEWAY.into(),
            number: self.commands,
            kind: Some(v1::command::Kind::Assignments(list)),
        };
        command::sign(&self.command_key, &command)
    }

    /// Takes one message; the answers. Without `receipts` it takes silently, as if they got lost.
    pub(crate) fn take(
        &mut self,
        message: GatewayToCentre,
        receipts: bool,
    ) -> Vec<CentreToGateway> {
        match message.kind.expect("a kind") {
            up::Kind::Hello(hello) if hello.command_number < self.commands => {
                vec![answer(down::Kind::Command(self.assignment()))]
            }
            up::Kind::Hello(_) => Vec::new(),
            up::Kind::OpenContext(open) => {
                let header = parse_header(&open.header).expect("a header");
                let patient = &self.patients[&header.key_id];
                let opener = Opener::new(patient, &header).expect("the patient's");
                self.openers.entry(header.context).or_insert(opener);
                Vec::new()
            }
            up::Kind::Piece(piece) => {
                if piece.offset == 0 {
                    self.partial.clear();
                }
                assert_eq!(piece.offset as usize, self.partial.len(), "in order");
                self.partial.extend(piece.data);
                if piece.last {
                    let records = vec![std::mem::take(&mut self.partial)];
                    let whole = up::Kind::Batches(SealedBatches { records });
                    return self.take(GatewayToCentre { kind: Some(whole) }, receipts);
                }
                let held = u32::try_from(self.partial.len()).expect("small");
                vec![answer(down::Kind::PieceTaken(PieceTaken { held }))]
            }
            up::Kind::Batches(batches) => {
                let mut ranges: BTreeMap<ContextId, Vec<Range>> = BTreeMap::new();
                for record in &batches.records {
                    let (context, number) = self.record(record);
                    let tag = tag_of(record).expect("whole");
                    ranges.entry(context).or_default().push(Range {
                        first: number,
                        last: number,
                        tags_hash: tags_hash([tag]),
                    });
                }
                let receipt = |(context, ranges): (ContextId, Vec<Range>)| {
                    let key = self.openers[&context].receipt_key();
                    answer(down::Kind::Receipt(make(key, context, 1, &ranges)))
                };
                let answers = ranges.into_iter().map(receipt);
                answers.filter(|_| receipts).collect()
            }
        }
    }

    /// Opens a record; its place.
    pub(crate) fn record(&mut self, record: &[u8]) -> (ContextId, u64) {
        let stub = parse_stub(record).expect("damaged records are never sent");
        let place = (stub.context, stub.number);
        if self.records.contains_key(&place) {
            return place;
        }
        let opener = &self.openers[&stub.context];
        let body = opener.open(record).expect("authentic").body;
        let body = body.expect("parses");
        let content = decode_body(SourceId(stub.source), stub.number, &body).expect("well formed");
        for number in &body.supersedes {
            self.superseded.insert((stub.context, *number));
        }
        let mut markers = Vec::new();
        for block in &content.waveforms {
            let marker = frame_of(block);
            markers.push(marker);
            self.apply(marker, (stub.context, block.source, block.sequence));
        }
        for reading in content.readings {
            self.readings += 1;
            if reading.effective < self.live_from {
                let kind = (reading.source, reading.kind);
                let newest = self.newest.entry(kind).or_insert(reading.effective);
                self.backwards += u64::from(reading.effective < *newest);
                *newest = (*newest).max(reading.effective);
            }
            if let Some(marker) = marker(&reading) {
                markers.push(marker);
                self.apply(marker, (stub.context, reading.source, reading.sequence));
            }
        }
        self.records.insert(place, markers);
        self.gaps.insert(place, content.gaps);
        place
    }

    /// The same reading under another number (merged) is one; a marker under another sequence is two.
    fn apply(&mut self, marker: u64, here: (ContextId, SourceId, u64)) {
        if *self.applied.entry(marker).or_insert(here) != here {
            self.twice.push(marker);
        }
    }

    /// What a record says, which is not taken.
    pub(crate) fn body(&self, record: &[u8]) -> v1::BatchBody {
        let stub = parse_stub(record).expect("whole");
        let opened = self.openers[&stub.context].open(record);
        opened.expect("authentic").body.expect("parses")
    }

    /// The markers of a record, which is not taken.
    pub(crate) fn markers(&self, record: &[u8]) -> Vec<u64> {
        let (stub, body) = (parse_stub(record).expect("whole"), self.body(record));
        let content = decode_body(SourceId(stub.source), stub.number, &body).expect("well formed");
        let frames = content.waveforms.iter().map(frame_of);
        let markers = content.readings.iter().filter_map(marker);
        markers.chain(frames).collect()
    }

    /// The header of a context that lies in a store.
    pub(crate) fn open(&mut self, header: &[u8]) {
        let header = parse_header(header).expect("a header");
        let patient = &self.patients[&header.key_id];
        let opener = Opener::new(patient, &header).expect("the patient's");
        self.openers.insert(header.context, opener);
    }

    pub(crate) fn batch_keys(&self) -> Vec<[u8; 32]> {
        let openers = self.openers.values();
        openers
            .map(|opener| *opener.keys().batch.expose())
            .collect()
    }

    pub(crate) fn private_keys(&self) -> Vec<[u8; 32]> {
        let patients = self.patients.values();
        patients.map(|patient| *patient.expose()).collect()
    }

    pub(crate) fn is_a_private_key(&self, bytes: &[u8]) -> bool {
        self.patients
            .values()
            .any(|patient| patient.expose() == bytes)
    }

    pub(crate) fn applied(&self, marker: u64) -> bool {
        self.applied.contains_key(&marker)
    }

    /// Gaps in force: not those that a later record says anew.
    pub(crate) fn gaps(&self) -> Vec<&v1::Gap> {
        let in_force =
            |(place, _): &(&(ContextId, u64), &Vec<v1::Gap>)| !self.superseded.contains(*place);
        self.gaps
            .iter()
            .filter(in_force)
            .flat_map(|(_, gaps)| gaps)
            .collect()
    }

    /// Durable markers that never came.
    pub(crate) fn missing(&self) -> Vec<u64> {
        let durable = self.durable.iter().flat_map(|life| life.markers());
        durable.filter(|marker| !self.applied(*marker)).collect()
    }

    /// Nothing twice; nothing durable gone without a gap record that covers it. What is missing.
    pub(crate) fn judge(&self) -> Result<u64, String> {
        if !self.twice.is_empty() {
            return Err(format!("applied twice: {:?}", self.twice));
        }
        let missing = self.missing();
        let readings = missing.iter().copied().map(readings).sum();
        let gaps = self.gaps();
        let declared: u64 = gaps.iter().map(|gap| gap.readings).sum();
        // Of unknown size: a store whose rows cannot be trusted. A crash takes nothing that was durable.
        let open_ended = |marker: &u64| {
            let time = at(marker & !FRAME);
            let holds = |gap: &v1::Gap| {
                let (from, to) = (Time::from_micros(gap.from_us), Time::from_micros(gap.to_us));
                !gap.exact
                    && gap.reason() != v1::GapReason::AgentStopped
                    && from - ROUNDING <= time
                    && time <= to + ROUNDING
            };
            gaps.iter().any(|gap| holds(gap))
        };
        if readings > declared && !missing.iter().all(open_ended) {
            return Err(format!(
                "{readings} durable readings are missing, {declared} declared lost; markers {missing:?}, gaps {gaps:?}"
            ));
        }
        Ok(readings)
    }
}

/// Stubs tell minutes.
const ROUNDING: vitals::Span = vitals::Span::from_secs(61);

fn marker(reading: &Reading) -> Option<u64> {
    match (reading.kind, reading.value) {
        (Kind::EnergyExpended, Value::Measured(value)) => u64::try_from(value.0).ok(),
        _ => None,
    }
}

/// The marker of a frame.
fn frame_of(block: &Waveform) -> u64 {
    let number = block.numbers.first().copied().unwrap_or_default();
    FRAME | u64::try_from(number).expect("what the child numbered")
}

const fn answer(kind: down::Kind) -> CentreToGateway {
    CentreToGateway { kind: Some(kind) }
}

/// The begin of the child's time; a marker is a second after it.
pub(crate) fn at(marker: u64) -> Time {
    let seconds = i64::try_from(marker).expect("small");
    Time::from_micros(1_800_000_000_000_000) + vitals::Span::from_secs(seconds)
}
