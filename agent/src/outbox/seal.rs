//! Batches readings and seals them, one context per agent start and stream.
//!
//! Invariants: readings wait in memory at most until the next [`Sealing::flush`] and are on no disk unsealed;
//! a context is opened only for an assignment that came by signed command; the batch key lives in the open
//! context and nowhere else; a source keeps its number for as long as the stream lives.
//! Must not know: stores, transports, Bluetooth beyond addresses.

mod merge;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use proto::seal::crypto::sha256;
use proto::seal::{Label, Lane, NewContext, Predecessor, Sealer, SigningKey, Suite};
use proto::v1::{BatchBody, DeviceReport, GapReason, Heartbeat, LocalAlert};
use proto::wire::{split_to_fit, split_waveforms};
use vitals::observe::Sequences;
use vitals::{ContextId, GatewayId, Reading, SourceId, Span, StreamId, Time, Waveform};

use super::RecordId;
use super::assignment::Assignment;
use super::ledger::{Context, Entry};
use super::minute::Minutes;
use super::rows::StreamRow;
use crate::ble::Address;

use self::merge::Declared;
pub use self::merge::Loss;

/// A context is followed by a fresh one after this long or this many batches: a stolen batch key opens no
/// more than that.
const CONTEXT_AGE: Span = Span::from_secs(24 * 3600);
const CONTEXT_BATCHES: u64 = 1 << 20;
/// Readings of a stream that wait before they are sealed without waiting longer: a record holds about
/// thirteen hundred.
const MOST_WAITING: usize = 1024;
/// Device reports in one record: each takes at most 800 bytes (four texts of 64 characters).
const REPORTS_A_RECORD: usize = 4;

/// What sealing produced, in the order in which it must be kept.
#[derive(Debug)]
pub enum Output {
    /// A context was opened; its header precedes its records.
    Opened(u64, Context),
    /// A context gets no more records.
    Closed(u64),
    /// A record.
    Sealed(Sealed),
    /// These records' readings lie in the merged record that was given just before.
    Superseded(Vec<RecordId>),
}

/// A sealed record.
#[derive(Debug)]
pub struct Sealed {
    /// Its place.
    pub id: RecordId,
    /// Its bytes.
    pub record: Vec<u8>,
    /// What its stub says.
    pub entry: Entry,
    /// It may soon be replaced by a merged one: it need not go out before.
    pub gathered: bool,
}

/// Everything that seals in this process.
pub struct Sealing {
    gateway: GatewayId,
    key: Arc<SigningKey>,
    chain: Vec<Vec<u8>>,
    suite: Suite,
    next_ordinal: u64,
    streams: BTreeMap<StreamId, Stream>,
    /// What outlives assignments: a stream that comes back keeps its source numbers.
    rows: BTreeMap<StreamId, StreamRow>,
    devices: BTreeMap<Address, StreamId>,
    output: Vec<Output>,
    /// Streams whose key was no key; the order was signed, so it can only be counted and shown.
    bad_keys: u64,
    /// There is a line to the centre.
    line: bool,
    /// It is slow: for how long readings are gathered.
    gather: Option<Span>,
    /// Gathered records stay here for now, so that they grow as without a line.
    hold: bool,
}

struct Stream {
    assignment: Assignment,
    open: Option<Open>,
    waiting: BTreeMap<Lane, Vec<Reading>>,
    waves: Vec<Waveform>,
    gaps: BTreeMap<(u16, GapReason), Loss>,
    reports: BTreeMap<u16, DeviceReport>,
    minutes: Minutes,
    hours: Minutes,
    /// The newest heartbeat, if no line ever saw it.
    beat: Option<RecordId>,
    declared: Option<Declared>,
}

struct Open {
    ordinal: u64,
    sealer: Sealer,
    sequences: Sequences,
    opened_at: Time,
}

impl Sealing {
    /// Nothing assigned yet. `rows` is what the store remembers.
    #[must_use]
    pub fn new(
        gateway: GatewayId,
        key: Arc<SigningKey>,
        chain: Vec<Vec<u8>>,
        next_ordinal: u64,
        rows: BTreeMap<StreamId, StreamRow>,
    ) -> Self {
        Self {
            gateway,
            key,
            chain,
            suite: Suite::for_this_cpu(),
            next_ordinal: next_ordinal.max(1),
            streams: BTreeMap::new(),
            rows,
            devices: BTreeMap::new(),
            output: Vec::new(),
            bad_keys: 0,
            line: false,
            gather: None,
            hold: false,
        }
    }

    /// A renewed certificate: contexts opened from now on carry it.
    pub fn set_chain(&mut self, chain: Vec<Vec<u8>>) {
        self.chain = chain;
    }

    /// Replaces the list of assignments. What waits for a stream that is gone, or whose key changed, is
    /// sealed first under the old one.
    pub fn assign(&mut self, assignments: &[Assignment], now: Time) {
        let mut before = std::mem::take(&mut self.streams);
        self.devices.clear();
        for assignment in assignments {
            let stream = assignment.stream;
            let mut kept = before.remove(&stream).unwrap_or_else(|| Stream {
                assignment: assignment.clone(),
                open: None,
                waiting: BTreeMap::new(),
                waves: Vec::new(),
                gaps: BTreeMap::new(),
                reports: BTreeMap::new(),
                minutes: Minutes::default(),
                hours: Minutes::default(),
                beat: None,
                declared: None,
            });
            if kept.assignment.public_key != assignment.public_key
                || kept.assignment.key_id != assignment.key_id
            {
                self.seal_waiting(&mut kept, now);
                self.close(&mut kept);
            }
            kept.assignment = assignment.clone();
            for device in &assignment.devices {
                // A device belongs to one stream: the first one named keeps it.
                self.devices.entry(*device).or_insert(stream);
            }
            self.streams.insert(stream, kept);
        }
        for (_, mut gone) in before {
            self.seal_waiting(&mut gone, now);
            self.close(&mut gone);
        }
    }

    /// Assigned devices and their streams.
    #[must_use]
    pub const fn devices(&self) -> &BTreeMap<Address, StreamId> {
        &self.devices
    }

    /// Assigned streams.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.streams.keys().copied()
    }

    /// Readings of this stream count from this time on.
    #[must_use]
    pub fn counts_from(&self, stream: StreamId) -> Time {
        self.streams
            .get(&stream)
            .map_or(Time::MAX, |stream| stream.assignment.from)
    }

    /// What outlives the contexts of each stream.
    #[must_use]
    pub const fn rows(&self) -> &BTreeMap<StreamId, StreamRow> {
        &self.rows
    }

    /// What outlives the contexts of a stream, to be changed.
    pub fn row_mut(&mut self, stream: StreamId) -> &mut StreamRow {
        self.rows.entry(stream).or_insert_with(|| StreamRow {
            stream: stream.0.to_vec(),
            ..StreamRow::default()
        })
    }

    /// The number of a device within its stream, from 1; remembered for as long as the stream lives.
    pub fn source(&mut self, stream: StreamId, device: Address) -> SourceId {
        let name = hidden(stream, device);
        let sources = &mut self.row_mut(stream).sources;
        let place = sources.iter().position(|known| *known == name);
        let place = place.unwrap_or_else(|| {
            sources.push(name);
            sources.len() - 1
        });
        SourceId(u16::try_from(place + 1).unwrap_or(u16::MAX))
    }

    /// The counters of a stream's open context, which is opened if there is none.
    pub fn sequences(&mut self, stream: StreamId, now: Time) -> Option<&mut Sequences> {
        let mut state = self.streams.remove(&stream)?;
        self.open(&mut state, now);
        let state = self.streams.entry(stream).or_insert(state);
        state.open.as_mut().map(|open| &mut open.sequences)
    }

    /// Takes readings; they wait for [`Sealing::flush`].
    pub fn push(&mut self, stream: StreamId, lane: Lane, readings: Vec<Reading>) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.waiting.entry(lane).or_default().extend(readings);
        }
    }

    /// Takes waveform blocks; they wait for [`Sealing::flush`], and travel in a lane of their own.
    pub fn push_waveforms(&mut self, stream: StreamId, blocks: Vec<Waveform>) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.waves.extend(blocks);
        }
    }

    /// Declares a loss; losses of one source and reason are joined until they are sealed.
    pub fn declare(&mut self, stream: StreamId, source: u16, reason: GapReason, loss: Loss) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state
                .gaps
                .entry((source, reason))
                .and_modify(|known| *known = known.with(loss))
                .or_insert(loss);
        }
    }

    /// A device's state changed.
    pub fn report(&mut self, stream: StreamId, report: DeviceReport) {
        if let (Some(state), Ok(source)) =
            (self.streams.get_mut(&stream), u16::try_from(report.source))
        {
            state.reports.insert(source, report);
        }
    }

    /// True if something waits to be sealed.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.streams.values().any(Stream::is_waiting)
    }

    /// True if so much waits that it should not wait longer.
    #[must_use]
    pub fn is_full(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|state| {
            state.waiting.values().map(Vec::len).sum::<usize>() + state.waves.len() >= MOST_WAITING
        })
    }

    /// Seals what waits, in all streams.
    pub fn flush(&mut self, now: Time) {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            self.flush_stream(stream, now);
        }
    }

    /// Seals what waits in one stream.
    pub fn flush_stream(&mut self, stream: StreamId, now: Time) {
        if let Some(mut state) = self.streams.remove(&stream) {
            self.seal_waiting(&mut state, now);
            self.streams.insert(stream, state);
        }
    }

    /// Seals a heartbeat of a stream.
    pub fn heartbeat(&mut self, stream: StreamId, heartbeat: Heartbeat, now: Time) {
        let Some(mut state) = self.streams.remove(&stream) else {
            return;
        };
        self.rotate(&mut state, now);
        // Without a line only the newest counts: a month of them would outweigh the readings.
        let before = state.beat.take();
        let body = BatchBody {
            heartbeat: Some(heartbeat),
            supersedes: before.iter().map(|id| id.number).collect(),
            ..BatchBody::default()
        };
        let id = self.seal(&mut state, label(Lane::Vitals, now, now), &body, now);
        if id.is_some() {
            let before = before.into_iter().collect();
            self.output.push(Output::Superseded(before));
            state.beat = id.filter(|_| !self.line);
        }
        self.streams.insert(stream, state);
    }

    /// Seals an alert of the gateway's own.
    pub fn local_alert(&mut self, stream: StreamId, alert: LocalAlert, now: Time) {
        let Some(mut state) = self.streams.remove(&stream) else {
            return;
        };
        let body = BatchBody {
            local_alerts: vec![alert],
            ..BatchBody::default()
        };
        self.seal(&mut state, label(Lane::Alert, now, now), &body, now);
        self.streams.insert(stream, state);
    }

    /// There is a line to the centre, or none. With one, any record may be on its way: none is replaced.
    pub fn line(&mut self, up: bool) {
        self.line = up;
        self.gather = None;
        self.hold = false;
        for state in self.streams.values_mut() {
            state.forget_unsent();
        }
    }

    /// The line is slow: small records are gathered for this long and then merged, as far as they were not
    /// sent. `None`: it keeps up, and each record is on its own. `hold`: none of them is sent for now, so they grow to
    /// an hour's.
    pub fn gather(&mut self, time: Option<Span>, hold: bool) {
        if !self.line {
            return;
        }
        let changed = self.gather.is_some() != time.is_some() || self.hold != hold;
        (self.gather, self.hold) = (time, hold);
        if changed {
            for state in self.streams.values_mut() {
                state.minutes.clear();
                state.hours.clear();
            }
        }
    }

    /// What was produced since the last call.
    pub fn take_output(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.output)
    }

    /// The open context of a stream: its place and its highest number.
    #[must_use]
    pub fn position(&self, stream: StreamId) -> Option<(u64, ContextId, u64)> {
        let open = self.streams.get(&stream)?.open.as_ref()?;
        Some((
            open.ordinal,
            open.sealer.context(),
            open.sealer.next_number() - 1,
        ))
    }

    /// True if the context still gets records.
    #[must_use]
    pub fn is_open(&self, ordinal: u64) -> bool {
        self.streams
            .values()
            .filter_map(|state| state.open.as_ref())
            .any(|open| open.ordinal == ordinal)
    }

    /// The next context's place.
    #[must_use]
    pub const fn next_ordinal(&self) -> u64 {
        self.next_ordinal
    }

    /// Signed assignments whose key is no key.
    #[must_use]
    pub const fn bad_keys(&self) -> u64 {
        self.bad_keys
    }

    fn seal_waiting(&mut self, state: &mut Stream, now: Time) {
        if !state.is_waiting() {
            return;
        }
        for (lane, readings) in std::mem::take(&mut state.waiting) {
            for batch in split_to_fit(&readings, 0) {
                let label = Label {
                    source: batch.source.0,
                    count: batch.count,
                    ..label(lane, batch.oldest, batch.newest)
                };
                let whole = usize::from(batch.count);
                let id = self.seal(state, label, &batch.into_body(), now);
                let small = !self.line || self.gather.is_some();
                if let Some(id) = id.filter(|_| lane == Lane::Vitals && small) {
                    let of_source = |reading: &&Reading| reading.source.0 == label.source;
                    let of_source: Vec<Reading> =
                        readings.iter().filter(of_source).copied().collect();
                    // A source that needs several records at once is dense enough as it is.
                    if of_source.len() == whole {
                        state.minutes.add(id, &of_source, now);
                        if let Some(Output::Sealed(sealed)) = self.output.last_mut() {
                            sealed.gathered = self.line;
                        }
                    }
                }
            }
        }
        for batch in split_waveforms(&std::mem::take(&mut state.waves)) {
            let label = Label {
                source: batch.source.0,
                count: batch.count,
                ..label(Lane::Waveform, batch.oldest, batch.newest)
            };
            self.seal(state, label, &batch.into_body(), now);
        }
        let reports: Vec<DeviceReport> = std::mem::take(&mut state.reports).into_values().collect();
        for devices in reports.chunks(REPORTS_A_RECORD) {
            let body = BatchBody {
                devices: devices.to_vec(),
                ..BatchBody::default()
            };
            self.seal(state, label(Lane::Alert, now, now), &body, now);
        }
        self.seal_gaps(state, now);
        self.rotate(state, now);
    }

    /// The record's place; `None` if it could not be sealed.
    fn seal(
        &mut self,
        state: &mut Stream,
        label: Label,
        body: &BatchBody,
        now: Time,
    ) -> Option<RecordId> {
        self.open(state, now);
        let open = state.open.as_mut()?;
        let label = Label {
            number: open.sealer.next_number(),
            ..label
        };
        let id = RecordId {
            ordinal: open.ordinal,
            number: label.number,
        };
        let sealed = open.sealer.seal(&label, body).and_then(|record| {
            let entry = Entry::of(&record)?;
            Ok(Sealed {
                id,
                record,
                entry,
                gathered: false,
            })
        });
        match sealed {
            Ok(sealed) => {
                self.output.push(Output::Sealed(sealed));
                Some(id)
            }
            // `split_to_fit` and the limits above keep every body within a record.
            Err(error) => {
                debug_assert!(false, "{error}");
                tracing::error!(%error, lane = ?label.lane, "a batch could not be sealed");
                None
            }
        }
    }

    /// Opens a context if the stream has none.
    fn open(&mut self, state: &mut Stream, now: Time) {
        if state.open.is_some() {
            return;
        }
        let stream = state.assignment.stream;
        let new = NewContext {
            suite: self.suite,
            key_id: state.assignment.key_id,
            public_key: state.assignment.public_key,
            stream,
            predecessor: self.rows.get(&stream).and_then(predecessor),
            gateway: self.gateway.clone(),
            opened_at: now,
        };
        let (header, sealer) = match Sealer::open_context(new, &self.key) {
            Ok(opened) => opened,
            Err(error) => {
                self.bad_keys += 1;
                tracing::error!(%error, %stream, "a stream's key cannot be sealed to");
                return;
            }
        };
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        let context = Context {
            id: sealer.context(),
            stream,
            header,
            chain: self.chain.clone(),
            receipt_key: sealer.receipt_key().clone(),
        };
        let row = self.row_mut(stream);
        row.context = context.id.0.to_vec();
        (row.durable, row.durable_at_us) = (0, 0);
        (row.receipted, row.receipt_epoch) = (0, 0);
        self.output.push(Output::Opened(ordinal, context));
        state.open = Some(Open {
            ordinal,
            sealer,
            sequences: Sequences::default(),
            opened_at: now,
        });
    }

    fn close(&mut self, state: &mut Stream) {
        state.forget_unsent();
        if let Some(open) = state.open.take() {
            self.output.push(Output::Closed(open.ordinal));
        }
    }

    /// Ends a context that is old or full. Only while nothing waits: sequence numbers belong to a context.
    fn rotate(&mut self, state: &mut Stream, now: Time) {
        let due = state.open.as_ref().is_some_and(|open| {
            now.since(open.opened_at) >= CONTEXT_AGE || open.sealer.next_number() > CONTEXT_BATCHES
        });
        if due && state.waves.is_empty() && state.waiting.values().all(Vec::is_empty) {
            self.close(state);
        }
    }
}

impl Stream {
    /// Nothing sealed so far may be replaced any more.
    fn forget_unsent(&mut self) {
        self.minutes.clear();
        self.hours.clear();
        self.beat = None;
        self.declared = None;
    }

    fn is_waiting(&self) -> bool {
        self.waiting.values().any(|readings| !readings.is_empty())
            || !self.waves.is_empty()
            || !self.gaps.is_empty()
            || !self.reports.is_empty()
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing")
            .field("streams", &self.streams.len())
            .field("next_ordinal", &self.next_ordinal)
            .finish_non_exhaustive()
    }
}

/// What stands for a device on disk: the stream's random id salts it, and nothing there names the device.
fn hidden(stream: StreamId, device: Address) -> Vec<u8> {
    let hash = sha256(&[b"vitaltwin source v1\0", &stream.0, &device.0]);
    hash[..8].to_vec()
}

/// A label without source, readings or number yet.
const fn label(lane: Lane, oldest: Time, newest: Time) -> Label {
    Label {
        number: 0,
        lane,
        source: 0,
        count: 0,
        oldest,
        newest,
    }
}

fn predecessor(row: &StreamRow) -> Option<Predecessor> {
    Some(Predecessor {
        context: ContextId::from_slice(&row.context)?,
        durable: row.durable,
        durable_at: Time::from_micros(row.durable_at_us),
        receipted: row.receipted,
        receipt_epoch: row.receipt_epoch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::seal::{KeyId, Opener, PatientSecret, parse_header};
    use proto::wire::decode_body;
    use vitals::{Fixed, Kind, Quality, Value};

    const STREAM: StreamId = StreamId([4; 16]);
    const DEVICE: Address = Address([0xA0, 1, 2, 3, 4, 5]);

    fn at(seconds: i64) -> Time {
        Time::from_micros(1_800_000_000_000_000) + Span::from_secs(seconds)
    }

    fn sealing(rows: BTreeMap<StreamId, StreamRow>) -> Sealing {
        let pkcs8 = SigningKey::generate_pkcs8();
        let key = SigningKey::from_pkcs8(&pkcs8).expect("just generated");
        let gateway = GatewayId::parse("g-1").expect("a gateway id");
        Sealing::new(gateway, Arc::new(key), vec![vec![1, 2]], 1, rows)
    }

    fn assignment(patient: &PatientSecret) -> Assignment {
        Assignment {
            stream: STREAM,
            key_id: KeyId([1; 8]),
            public_key: patient.public(),
            devices: vec![DEVICE],
            from: at(0),
        }
    }

    fn reading(source: SourceId, sequence: u64) -> Reading {
        Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(Fixed(70)),
            source,
            sequence,
            effective: at(1),
            received: at(1),
            quality: Quality::GOOD,
            device: None,
        }
    }

    fn push(sealing: &mut Sealing, count: usize, now: Time) {
        let source = sealing.source(STREAM, DEVICE);
        let sequences = sealing.sequences(STREAM, now).expect("assigned");
        let readings = (0..count).map(|_| reading(source, sequences.take(source, Kind::HeartRate)));
        let readings = readings.collect();
        sealing.push(STREAM, Lane::Vitals, readings);
    }

    fn split(output: Vec<Output>) -> (Vec<Context>, Vec<Sealed>, usize) {
        let (mut contexts, mut sealed, mut closed) = (vec![], vec![], 0);
        for output in output {
            match output {
                Output::Opened(_, context) => contexts.push(context),
                Output::Sealed(record) => sealed.push(record),
                Output::Closed(_) => closed += 1,
                Output::Superseded(_) => {}
            }
        }
        (contexts, sealed, closed)
    }

    #[test]
    fn the_centre_opens_what_was_sealed_and_finds_every_reading() {
        let patient = PatientSecret::generate();
        let mut sealing = sealing(BTreeMap::new());
        sealing.assign(&[assignment(&patient)], at(0));
        push(&mut sealing, 3000, at(1));
        assert!(sealing.is_full(STREAM));
        let loss = Loss {
            readings: 4,
            exact: true,
            from: at(0),
            to: at(1),
        };
        sealing.declare(STREAM, 1, GapReason::QueueFull, loss);
        sealing.declare(STREAM, 1, GapReason::QueueFull, loss);
        sealing.flush(at(2));
        let (contexts, sealed, _) = split(sealing.take_output());
        assert_eq!(contexts.len(), 1);
        let header = parse_header(&contexts[0].header).expect("a header");
        let opener = Opener::new(&patient, &header).expect("the patient's own");
        let (mut readings, mut lost) = (0, 0);
        for (number, sealed) in (1..).zip(&sealed) {
            assert!(sealed.record.len() <= proto::seal::MAX_RECORD);
            let opened = opener.open(&sealed.record).expect("authentic");
            assert_eq!((opened.stub.number, sealed.id.number), (number, number));
            let body = opened.body.expect("parses");
            let content =
                decode_body(SourceId(opened.stub.source), number, &body).expect("well formed");
            assert_eq!(content.readings.len(), usize::from(opened.stub.count));
            readings += content.readings.len();
            lost += content.gaps.iter().map(|gap| gap.readings).sum::<u64>();
        }
        assert_eq!((readings, lost), (3000, 8));
    }

    #[test]
    fn waveforms_travel_in_their_own_lane_and_wait_like_readings() {
        let patient = PatientSecret::generate();
        let mut sealing = sealing(BTreeMap::new());
        sealing.assign(&[assignment(&patient)], at(0));
        push(&mut sealing, 1, at(1));
        let block = Waveform {
            wave: vitals::Wave::Ecg,
            source: sealing.source(STREAM, DEVICE),
            sequence: 0,
            start: at(0),
            received: at(1),
            rate_millihertz: 130_000,
            channels: 1,
            step: vitals::gatt::Decimal {
                mantissa: 1,
                exponent: 0,
            },
            numbers: (0..130).map(|n| n % 50).collect(),
            quality: Quality::GOOD,
        };
        sealing.push_waveforms(STREAM, vec![block.clone()]);
        assert!(sealing.is_waiting());
        sealing.flush(at(2));
        assert!(!sealing.is_waiting());
        let (contexts, sealed, _) = split(sealing.take_output());
        let header = parse_header(&contexts[0].header).expect("a header");
        let opener = Opener::new(&patient, &header).expect("the patient's own");
        let lanes: Vec<Lane> = sealed.iter().map(|sealed| sealed.entry.stub.lane).collect();
        assert_eq!(lanes, [Lane::Vitals, Lane::Waveform]);
        let opened = opener.open(&sealed[1].record).expect("authentic");
        assert_eq!(opened.stub.count, 1);
        let body = opened.body.expect("parses");
        let content = decode_body(block.source, 2, &body).expect("well formed");
        assert_eq!(
            (content.waveforms, content.readings.len()),
            (vec![block], 0)
        );
    }

    #[test]
    fn nothing_is_sealed_for_a_stream_that_is_not_assigned() {
        let mut sealing = sealing(BTreeMap::new());
        assert!(sealing.sequences(STREAM, at(0)).is_none());
        sealing.push(STREAM, Lane::Vitals, vec![reading(SourceId(1), 0)]);
        sealing.flush(at(0));
        assert!(sealing.take_output().is_empty() && !sealing.is_waiting());
    }

    #[test]
    fn a_new_key_seals_what_waited_under_the_old_one_and_names_its_predecessor() {
        let (old, new) = (PatientSecret::generate(), PatientSecret::generate());
        let mut sealing = sealing(BTreeMap::new());
        sealing.assign(&[assignment(&old)], at(0));
        push(&mut sealing, 2, at(1));
        sealing.assign(&[assignment(&new)], at(3));
        let (contexts, sealed, closed) = split(sealing.take_output());
        assert_eq!((contexts.len(), sealed.len(), closed), (1, 1, 1));
        push(&mut sealing, 1, at(4));
        sealing.flush(at(4));
        let (second, sealed, _) = split(sealing.take_output());
        let header = parse_header(&second[0].header).expect("a header");
        assert_eq!(header.predecessor.map(|p| p.context), Some(contexts[0].id));
        assert!(
            Opener::new(&new, &header)
                .expect("its own")
                .open(&sealed[0].record)
                .is_ok()
        );
        let other = Opener::new(&old, &header).expect("a key");
        assert!(other.open(&sealed[0].record).is_err());
    }

    #[test]
    fn contexts_are_followed_by_fresh_ones_after_a_day() {
        let patient = PatientSecret::generate();
        let mut sealing = sealing(BTreeMap::new());
        sealing.assign(&[assignment(&patient)], at(0));
        for now in [at(1), at(1) + CONTEXT_AGE, at(2) + CONTEXT_AGE] {
            push(&mut sealing, 1, now);
            sealing.flush(now);
        }
        let (contexts, sealed, closed) = split(sealing.take_output());
        assert_eq!((contexts.len(), sealed.len(), closed), (2, 3, 1));
        assert_eq!(
            sealed[2].id,
            RecordId {
                ordinal: 2,
                number: 1
            }
        );
    }

    #[test]
    fn sources_keep_their_numbers_across_restarts() {
        let patient = PatientSecret::generate();
        let mut first = sealing(BTreeMap::new());
        first.assign(&[assignment(&patient)], at(0));
        let other = Address([9; 6]);
        assert_eq!(first.source(STREAM, other), SourceId(1));
        assert_eq!(first.source(STREAM, DEVICE), SourceId(2));
        let mut second = sealing(first.rows().clone());
        assert_eq!(second.source(STREAM, DEVICE), SourceId(2));
    }

    #[test]
    fn a_device_belongs_to_one_stream() {
        let patient = PatientSecret::generate();
        let first = assignment(&patient);
        let mut second = first.clone();
        second.stream = StreamId([5; 16]);
        let mut sealing = sealing(BTreeMap::new());
        sealing.assign(&[first, second], at(0));
        assert_eq!(sealing.devices()[&DEVICE], STREAM);
    }
}
