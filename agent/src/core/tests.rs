//! The whole core against a small centre and a real store, without a clock, a radio or a network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message as _;
use proto::seal::receipt::{Range, make, tags_hash};
use proto::seal::{
    KeyId, Lane, Opener, PatientSecret, SigningKey, command, parse_header, parse_stub, tag_of,
};
use proto::v1::{
    self, CentreToGateway, GapReason, GatewayToCentre, RefusalReason, centre_to_gateway as down,
    gateway_to_centre as up,
};
use proto::wire::decode_body;
use tokio::sync::mpsc;
use vitals::{ContextId, GatewayId, Kind, SourceId, Span, StreamId, Time};
use zeroize::Zeroizing;

use super::{Core, Event, Settings};
use crate::ble::{Address, LinkState, Notification, Overflow, RadioEvent};
use crate::identity::{Identity, Obeyed};
use crate::outbox::seal::Loss;
use crate::outbox::store::{Store, StoreError};
use crate::outbox::writer::{Done, Job};
use crate::uplink::UplinkEvent;
use crate::uplink::window::Limits;

const STREAM: StreamId = StreamId([4; 16]);
const DEVICE: Address = Address([0xC0, 1, 2, 3, 4, 5]);
const HEART_RATE: u128 = vitals::gatt::uuid(0x2A37);

fn at(seconds: i64) -> Time {
    Time::from_micros(1_800_000_000_000_000) + Span::from_secs(seconds)
}

/// What the centre of this test knows.
struct Centre {
    key_id: KeyId,
    /// All generations of the patient's key.
    keys: BTreeMap<KeyId, PatientSecret>,
    command_key: SigningKey,
    openers: BTreeMap<ContextId, Opener>,
    /// Of its journal: a restore from a backup raises it.
    epoch: u64,
    /// Tags by context and number.
    tags: BTreeMap<(ContextId, u64), [u8; 16]>,
    /// What is sealed to a former key does not open any more, as if it had been destroyed.
    destroys_keys: bool,
    /// Records that did not open.
    closed: u32,
    /// A record that came in part.
    partial: Vec<u8>,
    /// Pieces that came.
    pieces: u32,
    /// Readings applied, with how often they came under different numbers.
    applied: BTreeMap<(ContextId, SourceId, Kind, u64), u32>,
    gaps: Vec<v1::Gap>,
    heartbeats: Vec<v1::Heartbeat>,
    reports: Vec<v1::DeviceReport>,
    /// What the line carried.
    bytes: u64,
    /// Receipted long ago: known, and not receipted again.
    old: BTreeSet<(ContextId, u64)>,
    hellos: Vec<u64>,
    /// When glucose was taken, as told.
    glucose: Vec<vitals::Reading>,
}

impl Centre {
    fn rotate_key(&mut self) {
        let before = u64::from_be_bytes(self.key_id.0);
        self.key_id = KeyId((before + 1).to_be_bytes());
        if self.destroys_keys {
            self.keys.clear();
            self.openers.clear();
        }
        self.keys.insert(self.key_id, PatientSecret::generate());
    }

    /// Takes a message; what it says to a piece at once.
    fn take(&mut self, message: GatewayToCentre) -> Option<down::Kind> {
        self.bytes += message.encoded_len() as u64;
        match message.kind.expect("a kind") {
            up::Kind::Hello(hello) => self.hellos.push(hello.command_number),
            up::Kind::OpenContext(open) => {
                let header = parse_header(&open.header).expect("a header");
                if let Some(key) = self.keys.get(&header.key_id) {
                    let opener = Opener::new(key, &header).expect("the patient's");
                    self.openers.insert(header.context, opener);
                }
            }
            up::Kind::Batches(batches) => {
                for record in batches.records {
                    self.record(&record);
                }
            }
            up::Kind::Piece(piece) => {
                self.pieces += 1;
                if piece.offset == 0 {
                    self.partial.clear();
                }
                assert_eq!(piece.offset as usize, self.partial.len(), "in order");
                self.partial.extend(piece.data);
                if !piece.last {
                    let held = u32::try_from(self.partial.len()).expect("small");
                    return Some(down::Kind::PieceTaken(v1::PieceTaken { held }));
                }
                let record = std::mem::take(&mut self.partial);
                self.record(&record);
            }
        }
        None
    }

    fn record(&mut self, record: &[u8]) {
        let stub = proto::seal::parse_stub(record).expect("whole");
        let Some(opener) = self.openers.get(&stub.context) else {
            assert!(self.destroys_keys, "the header came first");
            self.closed += 1;
            return;
        };
        let opened = opener.open(record).expect("authentic");
        let tag = tag_of(record).expect("whole");
        let known = self.old.contains(&(stub.context, stub.number));
        if self.tags.insert((stub.context, stub.number), tag).is_some() || known {
            return;
        }
        let body = opened.body.expect("parses");
        let content = decode_body(SourceId(stub.source), stub.number, &body).expect("well formed");
        for reading in content.readings {
            let key = (stub.context, reading.source, reading.kind, reading.sequence);
            *self.applied.entry(key).or_insert(0) += 1;
            if reading.kind == Kind::BloodGlucose {
                self.glucose.push(reading);
            }
        }
        self.gaps.extend(content.gaps);
        self.heartbeats.extend(content.heartbeat);
        self.reports.extend(content.devices);
    }

    /// Receipts are for what comes from now on.
    fn forget_receipted(&mut self) {
        self.old.extend(std::mem::take(&mut self.tags).into_keys());
    }

    /// Receipts for everything that came, one range a record.
    fn receipts(&self, core: &Core) -> Vec<v1::Receipt> {
        let mut by_context: BTreeMap<ContextId, Vec<Range>> = BTreeMap::new();
        for ((context, number), tag) in &self.tags {
            let range = Range {
                first: *number,
                last: *number,
                tags_hash: tags_hash([*tag]),
            };
            by_context.entry(*context).or_default().push(range);
        }
        let receipt = |(context, ranges): (ContextId, Vec<Range>)| {
            let ordinal = core.ledger.ordinal(context)?;
            let key = &core.ledger.context(ordinal)?.receipt_key;
            Some(make(
                key,
                context,
                self.epoch,
                &ranges[ranges.len().saturating_sub(1000)..],
            ))
        };
        by_context.into_iter().filter_map(receipt).collect()
    }
}

struct Bench {
    dir: tempfile::TempDir,
    identity: Identity,
    obeyed: Obeyed,
    centre: Centre,
    core: Core,
    store: Store,
    overflow: Overflow,
    connected: bool,
    now: Time,
    energy: u16,
    /// What is to happen to a file while the agent is off.
    damage: Option<(std::path::PathBuf, Vec<u8>)>,
    /// Records of this lane cannot be read from the disk.
    rots: Option<Lane>,
}

impl Bench {
    fn new() -> Self {
        let command_key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("a key");
        let key_pkcs8 = SigningKey::generate_pkcs8();
        let identity = Identity {
            gateway: GatewayId::parse("g-1").expect("a gateway id"),
            key: Arc::new(SigningKey::from_pkcs8(&key_pkcs8).expect("a key")),
            key_pkcs8: Zeroizing::new(key_pkcs8.to_vec()),
            chain: vec![vec![1]],
            ca: vec![2],
            command_key: command_key.public_point(),
            grpc_address: String::new(),
            mqtt_address: String::new(),
        };
        let mut centre = Centre {
            key_id: KeyId([0; 8]),
            keys: BTreeMap::new(),
            command_key,
            openers: BTreeMap::new(),
            epoch: 1,
            tags: BTreeMap::new(),
            destroys_keys: false,
            closed: 0,
            partial: Vec::new(),
            pieces: 0,
            applied: BTreeMap::new(),
            gaps: Vec::new(),
            heartbeats: Vec::new(),
            reports: Vec::new(),
            bytes: 0,
            old: BTreeSet::new(),
            hellos: Vec::new(),
            glucose: Vec::new(),
        };
        centre.rotate_key();
        let dir = tempfile::tempdir().expect("a folder");
        let obeyed = Obeyed::default();
        let (core, store) = start(
            &dir,
            &identity,
            &obeyed,
            Overflow::default(),
            at(0),
            1 << 30,
        );
        let mut bench = Self {
            dir,
            identity,
            obeyed,
            centre,
            core,
            store,
            overflow: Overflow::default(),
            connected: false,
            now: at(0),
            energy: 0,
            damage: None,
            rots: None,
        };
        bench.connect();
        let signed = bench.assignment(1);
        bench.say(down::Kind::Command(signed));
        bench.core.handle(
            Event::Radio(RadioEvent::Link(DEVICE, LinkState::Connected)),
            bench.now,
        );
        bench.pump();
        bench
    }

    fn assignment(&self, number: u64) -> v1::SignedCommand {
        let list = v1::AssignmentList {
            assignments: vec![v1::Assignment {
                stream: STREAM.0.to_vec(),
                key_id: self.centre.key_id.0.to_vec(),
                public_key: self.centre.keys[&self.centre.key_id].public().0.to_vec(),
                devices: vec![DEVICE.to_string()],
                effective_from_us: at(0).as_micros(),
            }],
            withheld: Vec::new(),
        };
        let command = v1::Command {
            gateway: "g-1".into(),
            number,
            kind: Some(v1::command::Kind::Assignments(list)),
        };
        command::sign(&self.centre.command_key, &command)
    }

    fn connect(&mut self) {
        let (line, _unused) = mpsc::channel(1);
        self.connected = true;
        self.core
            .handle(Event::Uplink(UplinkEvent::Up(line)), self.now);
    }

    fn disconnect(&mut self) {
        self.connected = false;
        let down = UplinkEvent::Down("cut".into());
        self.core.handle(Event::Uplink(down), self.now);
    }

    fn say(&mut self, kind: down::Kind) {
        let message = CentreToGateway { kind: Some(kind) };
        self.core
            .handle(Event::Uplink(UplinkEvent::Message(message)), self.now);
    }

    /// Carries out what the core wants until it wants nothing more.
    fn pump(&mut self) {
        loop {
            if let Some(obeyed) = self.core.poll_obeyed() {
                self.obeyed = obeyed;
            }
            if self.connected
                && let Some(message) = self.core.poll_message(self.now)
            {
                if let Some(answer) = self.centre.take(message) {
                    self.say(answer);
                }
                continue;
            }
            let Some(job) = self.core.poll_job() else {
                return;
            };
            let done = match job {
                Job::Commit(changes) => Done::Committed {
                    result: self.store.commit(&changes),
                    free: u64::MAX,
                },
                Job::Load(ids) => {
                    let mut found = self.store.load(&ids);
                    if let (Ok(found), Some(lane)) = (&mut found, self.rots) {
                        let whole = |record: &[u8]| parse_stub(record).expect("whole").lane != lane;
                        found.retain(|(_, record)| whole(record));
                    }
                    Done::Loaded(found)
                }
            };
            self.core.handle(Event::Store(done), self.now);
        }
    }

    /// One heart rate, then the time until the next; the core ticks when it asked to.
    fn beat(&mut self) {
        self.value();
        self.pass(Span::from_secs(1));
    }

    fn value(&mut self) {
        self.energy += 1;
        let [low, high] = self.energy.to_le_bytes();
        let notification = Notification {
            device: DEVICE,
            service: 0,
            characteristic: HEART_RATE,
            value: vec![0x08, 70, low, high],
            received: self.now,
        };
        self.core
            .handle(Event::Notification(notification), self.now);
        self.pump();
    }

    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while self.core.next_deadline() <= until {
            self.now = self.core.next_deadline().max(self.now);
            self.core.tick(self.now);
            self.pump();
            if self.core.next_deadline() <= self.now {
                self.now = self.now + Span::from_millis(1);
            }
        }
        self.now = until;
    }

    fn receipt_all(&mut self) {
        for receipt in self.centre.receipts(&self.core) {
            self.say(down::Kind::Receipt(receipt));
        }
        self.pump();
    }

    fn restart(&mut self, budget: u64) {
        self.connected = false;
        let spare = tempfile::tempdir().expect("a folder");
        let spare_store = Store::open(spare.path(), self.now).expect("opens").store;
        drop(std::mem::replace(&mut self.store, spare_store));
        if let Some((file, bytes)) = self.damage.take() {
            std::fs::write(file, bytes).expect("written");
        }
        let overflow = self.overflow.clone();
        let (core, store) = start(
            &self.dir,
            &self.identity,
            &self.obeyed,
            overflow,
            self.now,
            budget,
        );
        (self.core, self.store) = (core, store);
        self.pump();
    }

    fn decoded(&self) -> u64 {
        self.core.status(self.now).readings_decoded
    }

    fn applied_once(&self) -> usize {
        assert!(
            self.centre.applied.values().all(|times| *times == 1),
            "applied twice"
        );
        self.centre.applied.len()
    }

    fn gaps(&self, reason: GapReason) -> Vec<&v1::Gap> {
        let gaps = self.centre.gaps.iter();
        gaps.filter(|gap| gap.reason() == reason).collect()
    }
}

fn start(
    dir: &tempfile::TempDir,
    identity: &Identity,
    obeyed: &Obeyed,
    overflow: Overflow,
    now: Time,
    buffer_bytes: u64,
) -> (Core, Store) {
    let settings = Settings {
        commit_interval: Span::from_secs(1),
        buffer_bytes,
        buffer_age: Span::from_secs(40 * 86_400),
        keep_free_bytes: 0,
        clock_ahead: Span::ZERO,
        heartbeat: Span::from_secs(30),
        window: Limits::default(),
        bytes_per_day: 0,
        survival: crate::survival::Limits {
            after: Some(Span::from_secs(180)),
            clear: Span::from_secs(60),
        },
    };
    let opened = Store::open(dir.path(), now).expect("opens");
    let core = Core::new(settings, identity, obeyed.clone(), &opened, overflow, now);
    (core, opened.store)
}

#[test]
fn each_notification_reaches_the_centre_at_once_and_is_kept_until_its_receipt() {
    let mut bench = Bench::new();
    for beats in 1..=5 {
        bench.beat();
        // Each is two readings: rate and energy.
        assert_eq!(bench.decoded(), beats * 2);
        assert_eq!(
            bench.applied_once() as u64,
            beats * 2,
            "no beat waited for the next"
        );
        assert!(!bench.core.is_drained());
        bench.receipt_all();
    }
    bench.receipt_all();
    let status = bench.core.status(bench.now);
    assert!(bench.core.is_drained());
    assert_eq!(status.readings_receipted, 10);
    assert_eq!(status.readings_sealed, 10);
    assert_eq!(bench.centre.hellos.len(), 1);
    assert!(!bench.centre.heartbeats.is_empty());
    assert!(
        bench
            .centre
            .reports
            .iter()
            .any(|r| r.link() == v1::LinkState::Connected)
    );
}

#[test]
fn an_outage_is_caught_up_from_disk_and_memory_live_first() {
    let mut bench = Bench::new();
    bench.beat();
    bench.disconnect();
    for _ in 0..600 {
        bench.beat();
    }
    assert_eq!(bench.applied_once(), 2, "nothing passed during the outage");
    // Ten minutes are ten merged records, one heartbeat, and the small ones of the open minute.
    let buffer = bench.core.status(bench.now).buffer;
    assert!(buffer.records < 90, "{buffer:?}");
    assert_eq!(
        bench.core.status(bench.now).readings_sealed,
        bench.decoded()
    );
    bench.connect();
    let live = Notification {
        device: DEVICE,
        service: 0,
        characteristic: HEART_RATE,
        value: vec![0, 71],
        received: bench.now,
    };
    bench.core.handle(Event::Notification(live), bench.now);
    // Hello, then the header and the live record before any backlog.
    let mut first = None;
    while first.is_none() {
        match bench.core.poll_message(bench.now).expect("live").kind {
            Some(up::Kind::Batches(batches)) => first = Some(batches.records),
            kind => drop(bench.centre.take(GatewayToCentre { kind })),
        }
    }
    let records = first.expect("found");
    let stub = proto::seal::parse_stub(&records[0]).expect("whole");
    assert_eq!((records.len(), stub.count), (1, 1), "the live one alone");
    bench.centre.record(&records[0]);
    for _ in 0..60 {
        bench.pump();
        bench.receipt_all();
        bench.pass(Span::from_secs(1));
    }
    bench.receipt_all();
    assert!(bench.core.is_drained());
    assert_eq!(bench.applied_once() as u64, bench.decoded());
    assert_eq!(
        bench.core.status(bench.now).readings_receipted,
        bench.decoded()
    );
}

#[test]
fn a_crash_loses_at_most_what_came_after_the_last_commit_and_says_so() {
    let mut bench = Bench::new();
    bench.disconnect();
    for _ in 0..50 {
        bench.beat();
    }
    let committed = bench.decoded();
    // These are sealed or waiting in memory only.
    for _ in 0..3 {
        let notification = Notification {
            device: DEVICE,
            service: 0,
            characteristic: HEART_RATE,
            value: vec![0, 72],
            received: bench.now,
        };
        bench
            .core
            .handle(Event::Notification(notification), bench.now);
    }
    bench.now = bench.now + Span::from_millis(500);
    bench.restart(1 << 30);
    let status = bench.core.status(bench.now);
    assert!(
        committed - status.readings_decoded <= 2,
        "the counter is what is on disk"
    );
    bench.connect();
    for _ in 0..20 {
        bench.pass(Span::from_secs(1));
        bench.receipt_all();
    }
    assert!(bench.core.is_drained());
    assert!(bench.applied_once() as u64 >= committed);
    let gaps = bench.gaps(GapReason::AgentStopped);
    assert_eq!(gaps.len(), 1);
    assert!(!gaps[0].exact && gaps[0].from_us < gaps[0].to_us);
    assert_eq!(
        bench.centre.openers.len(),
        2,
        "the old context's header was sent again"
    );
}

#[test]
fn a_crash_right_after_a_connect_says_so() {
    let mut bench = Bench::new();
    let link = |state| Event::Radio(RadioEvent::Link(DEVICE, state));
    bench.core.handle(link(LinkState::Lost), bench.now);
    // The last commit knows of no connected device.
    bench.pass(Span::from_secs(5));
    bench.disconnect();
    bench.core.handle(link(LinkState::Connected), bench.now);
    let value = Notification {
        device: DEVICE,
        service: 0,
        characteristic: HEART_RATE,
        value: vec![0, 72],
        received: bench.now,
    };
    bench.core.handle(Event::Notification(value), bench.now);
    bench.restart(1 << 30);
    bench.connect();
    for _ in 0..5 {
        bench.pass(Span::from_secs(1));
        bench.receipt_all();
    }
    assert_eq!(bench.applied_once(), 0, "it is lost");
    assert_eq!(bench.gaps(GapReason::AgentStopped).len(), 1);
}

#[test]
fn while_all_is_receipted_counts_alone_write_seldom() {
    let mut bench = Bench::new();
    bench.receipt_all();
    let commits = |bench: &mut Bench, receipt_after: Option<Span>| {
        let before = bench.core.gateway.commits;
        for _ in 0..60 {
            bench.value();
            let way = receipt_after.unwrap_or_default();
            bench.pass(way);
            if receipt_after.is_some() {
                bench.receipt_all();
            }
            bench.pass(Span::from_secs(1) - way);
        }
        bench.core.gateway.commits - before
    };
    let live = commits(&mut bench, Some(Span::ZERO));
    assert!((5..=9).contains(&live), "{live}");
    // Also where each record is on its way in the moment when the one before it would be due.
    let live = commits(&mut bench, Some(Span::from_millis(50)));
    assert!((5..=9).contains(&live), "{live}");
    // The control: what has no receipt is on disk within the interval.
    let unsure = commits(&mut bench, None);
    assert!(unsure >= 55, "{unsure}");
    // And no count is lost at the end.
    let decoded = bench.decoded();
    bench.core.stop(bench.now);
    bench.pump();
    assert!(bench.core.is_durable());
    bench.restart(1 << 30);
    assert_eq!(bench.core.status(bench.now).readings_decoded, decoded);
}

#[test]
fn a_clean_stop_declares_nothing() {
    let mut bench = Bench::new();
    bench.disconnect();
    for _ in 0..5 {
        bench.beat();
    }
    bench.core.stop(bench.now);
    bench.pump();
    assert!(bench.core.is_durable());
    let decoded = bench.decoded();
    bench.restart(1 << 30);
    bench.connect();
    for _ in 0..5 {
        bench.pass(Span::from_secs(1));
        bench.receipt_all();
    }
    assert!(bench.core.is_drained());
    assert_eq!(bench.gaps(GapReason::AgentStopped).len(), 0);
    assert_eq!(bench.core.status(bench.now).readings_receipted, decoded);
}

#[test]
fn a_full_buffer_drops_the_oldest_vitals_and_declares_them_exactly() {
    let mut bench = Bench::new();
    bench.disconnect();
    bench.restart(12_000);
    bench.core.budget_for_tests(12_000);
    bench.core.handle(
        Event::Radio(RadioEvent::Link(DEVICE, LinkState::Connected)),
        bench.now,
    );
    for n in 0..6000 {
        bench.beat();
        // Beats like clockwork would deflate to nothing.
        bench.pass(Span::from_micros(n * n % 30_011));
    }
    let status = bench.core.status(bench.now);
    assert!(status.buffer.bytes <= 13_000, "{:?}", status.buffer);
    let dropped = status.readings_dropped["buffer_full"];
    assert!(dropped > 100);
    bench.connect();
    for _ in 0..30 {
        bench.pass(Span::from_secs(1));
        bench.receipt_all();
    }
    assert!(bench.core.is_drained());
    let status = bench.core.status(bench.now);
    let declared: u64 = bench
        .gaps(GapReason::BufferFull)
        .iter()
        .map(|gap| gap.readings)
        .sum();
    assert_eq!(declared, dropped);
    assert_eq!(
        status.readings_receipted + declared,
        status.readings_decoded
    );
}

/// 36.6 degrees, indicated ten times a second: no person measures like that.
fn flood(bench: &mut Bench, notifications: u32) {
    for _ in 0..notifications {
        let notification = Notification {
            device: DEVICE,
            service: 0,
            characteristic: vitals::gatt::uuid(0x2A1C),
            value: vec![0, 0x6e, 0x01, 0, 0xff],
            received: bench.now,
        };
        bench
            .core
            .handle(Event::Notification(notification), bench.now);
        bench.pump();
        bench.pass(Span::from_millis(100));
    }
}

#[test]
fn a_device_that_floods_spot_checks_cannot_fill_the_disk() {
    let mut bench = Bench::new();
    bench.disconnect();
    bench.restart(120_000);
    bench.core.budget_for_tests(120_000);
    bench.core.handle(
        Event::Radio(RadioEvent::Link(DEVICE, LinkState::Connected)),
        bench.now,
    );
    flood(&mut bench, 8_000);
    let status = bench.core.status(bench.now);
    assert!(status.buffer.bytes <= 126_000, "{:?}", status.buffer);
    // What the last second brought waits for its seal.
    assert!(status.readings_decoded == 8_000 && status.readings_sealed >= 7_980);
}

#[test]
fn what_waits_too_long_is_dropped_and_declared_exactly() {
    let mut bench = Bench::new();
    bench.disconnect();
    for _ in 0..120 {
        bench.beat();
    }
    // The control: after thirty-nine days everything is still there.
    bench.now = bench.now + Span::from_secs(39 * 86_400);
    bench.beat();
    assert!(bench.core.status(bench.now).readings_dropped.is_empty());
    bench.now = bench.now + Span::from_secs(2 * 86_400);
    bench.beat();
    let dropped = bench.core.status(bench.now).readings_dropped["too_old"];
    assert_eq!(dropped, 240, "two readings a beat");
    bench.connect();
    for _ in 0..10 {
        bench.pass(Span::from_secs(1));
        bench.receipt_all();
    }
    assert!(bench.core.is_drained());
    let declared: u64 = bench
        .gaps(GapReason::TooOld)
        .iter()
        .map(|gap| gap.readings)
        .sum();
    assert_eq!(declared, dropped);
    assert_eq!(bench.applied_once() as u64 + declared, bench.decoded());
}

/// What a line of 2 kbit/s carries next; the time that it takes passes, then the centre answers.
fn thinly(bench: &mut Bench) -> Option<up::Kind> {
    // What is read from disk for the line comes with the next call.
    let message = (0..3).find_map(|_| {
        let message = bench.core.poll_message(bench.now);
        if message.is_none() {
            bench.pump();
        }
        message
    })?;
    let took = i64::try_from(message.encoded_len() * 4).expect("small");
    bench.pass(Span::from_millis(took));
    let kind = message.kind.clone();
    if let Some(answer) = bench.centre.take(message) {
        bench.say(answer);
    }
    for receipt in bench.centre.receipts(&bench.core) {
        bench.say(down::Kind::Receipt(receipt));
    }
    kind
}

#[test]
fn on_a_thin_line_records_go_in_pieces_and_a_spot_check_between_them() {
    let mut bench = Bench::new();
    bench.receipt_all();
    bench.disconnect();
    // Intervals that differ: nothing of it can be deflated away.
    let mut jitter = 7_i64;
    for _ in 0..5000 {
        bench.beat();
        jitter = jitter * 7919 % 10_007;
        bench.pass(Span::from_millis(jitter % 500));
    }
    bench.connect();
    // Its pump carries nothing from here on: the line below does.
    bench.connected = false;
    let (mut spot, mut raised) = (None, false);
    for n in 0..4000 {
        let kind = thinly(&mut bench);
        if bench.centre.pieces == 3 && !raised {
            raised = true;
            glucose_record(&mut bench, 1);
            spot = Some(n);
        }
        if let Some(up::Kind::Batches(batches)) = &kind
            && let Some(raised) = spot
        {
            let stub = parse_stub(&batches.records[0]).expect("whole");
            assert_eq!(stub.lane, Lane::Alert, "nothing else goes before it");
            assert!(n - raised <= 3, "not before {} messages", n - raised);
            spot = None;
        }
        if kind.is_none() {
            bench.pass(Span::from_secs(1));
        }
        if bench.core.is_drained() {
            break;
        }
    }
    assert!(raised && spot.is_none());
    assert!(bench.core.is_drained());
    assert!(bench.centre.pieces > 20, "{} pieces", bench.centre.pieces);
    assert_eq!(bench.applied_once() as u64, bench.decoded());
}

/// Keys change, contexts grow old, the line comes and goes, and readings never pause.
fn rotate_under_load(bench: &mut Bench) {
    for hour in 1..=200_u64 {
        if hour % 7 == 0 {
            bench.disconnect();
        }
        if hour % 7 == 3 {
            bench.connect();
        }
        if hour % 31 == 3 {
            bench.centre.rotate_key();
            let signed = bench.assignment(1 + hour);
            bench.say(down::Kind::Command(signed));
        }
        for _ in 0..10 {
            bench.beat();
        }
        if hour % 3 == 0 {
            bench.receipt_all();
        }
        bench.now = bench.now + Span::from_secs(3600);
    }
    bench.connect();
    // Receipts come within a second from now on: the line opens.
    for _ in 0..120 {
        bench.pass(Span::from_secs(1));
        bench.receipt_all();
    }
}

#[test]
fn rotation_of_keys_and_contexts_under_load_loses_nothing() {
    let mut bench = Bench::new();
    rotate_under_load(&mut bench);
    assert!(bench.core.is_drained());
    assert_eq!(bench.applied_once() as u64, bench.decoded());
    assert!(bench.centre.gaps.is_empty(), "{:?}", bench.centre.gaps);
    let (contexts, keys) = (bench.centre.openers.len(), bench.centre.keys.len());
    assert!(
        keys > 5 && contexts > keys,
        "the control: {keys} keys, {contexts} contexts"
    );
}

#[test]
fn control_where_a_former_key_is_destroyed_what_was_sealed_to_it_is_not_delivered() {
    let mut bench = Bench::new();
    bench.centre.destroys_keys = true;
    rotate_under_load(&mut bench);
    assert!(bench.centre.closed > 0);
    assert!(!bench.core.is_drained(), "and the gateway keeps it");
    assert!((bench.applied_once() as u64) < bench.decoded());
}

/// After a clean end a damaged store's loss is known to the reading, by source; after another end, as far as its
/// rows tell.
#[test]
fn what_a_damaged_store_lost_is_declared_exactly() {
    for clean in [true, false] {
        let mut bench = Bench::new();
        bench.beat();
        bench.receipt_all();
        bench.disconnect();
        for _ in 0..100 {
            bench.beat();
        }
        if clean {
            bench.core.stop(bench.now);
            bench.pump();
            bench.store.finish();
        }
        let decoded = bench.decoded();
        let file = bench.dir.path().join("outbox/db");
        bench.damage = Some((file, vec![0xA5; 1 << 20]));
        bench.restart(1 << 30);
        bench.connect();
        for _ in 0..5 {
            bench.pass(Span::from_secs(1));
            bench.receipt_all();
        }
        let gaps = bench.gaps(GapReason::BufferDamaged);
        let lost: u64 = gaps.iter().map(|gap| gap.readings).sum();
        let exact = gaps.iter().all(|gap| gap.exact && gap.source == 1);
        if clean {
            assert_eq!(bench.applied_once() as u64 + lost, decoded);
            assert!(exact, "{gaps:?}");
            assert_eq!(bench.decoded(), decoded, "counting goes on");
        } else {
            assert!(!exact && !gaps.is_empty(), "{gaps:?}");
        }
    }
}

/// What a power cut took is told by one record. Where that rots before the centre has it, of the same time is told
/// that something is lost there.
#[test]
fn a_declaration_that_rots_is_followed_by_one_that_covers_its_time() {
    let mut bench = Bench::new();
    bench.beat();
    bench.receipt_all();
    bench.disconnect();
    bench.value();
    let lost = bench.now;
    bench.restart(1 << 30);
    for _ in 0..5 {
        bench.pass(Span::from_secs(1));
    }
    bench.rots = Some(Lane::Gap);
    bench.connect();
    bench.pass(Span::from_secs(1));
    assert_eq!(bench.gaps(GapReason::AgentStopped).len(), 0, "it rotted");
    // Newer ones are whole, and sent from memory or disk.
    bench.rots = None;
    for _ in 0..5 {
        bench.pass(Span::from_secs(1));
        bench.receipt_all();
    }
    let gaps = bench.gaps(GapReason::BufferDamaged);
    let lost = lost.as_micros();
    assert!(
        gaps.iter()
            .any(|gap| !gap.exact && gap.from_us <= lost && lost <= gap.to_us),
        "{gaps:?}"
    );
    assert!(bench.core.is_drained());
}

/// Records that were in memory when a message was put together may be on disk alone when the rest is read.
#[test]
fn a_commit_between_asking_for_records_and_reading_them_loses_none() {
    let mut bench = Bench::new();
    bench.receipt_all();
    bench.disconnect();
    bench.beat();
    let notification = Notification {
        device: DEVICE,
        service: 0,
        characteristic: HEART_RATE,
        value: vec![0, 72],
        received: bench.now,
    };
    let notified = Event::Notification(notification);
    bench.core.handle(notified, bench.now);
    bench.core.commit_now(bench.now);
    let Some(Job::Commit(changes)) = bench.core.poll_job() else {
        panic!("a commit is under way");
    };
    bench.connect();
    while let Some(message) = bench.core.poll_message(bench.now) {
        bench.centre.take(message);
    }
    let Some(Job::Load(ids)) = bench.core.poll_job() else {
        panic!("some of it must be read");
    };
    let result = bench.store.commit(&changes);
    let free = u64::MAX;
    let committed = Event::Store(Done::Committed { result, free });
    bench.core.handle(committed, bench.now);
    let loaded = Done::Loaded(bench.store.load(&ids));
    bench.core.handle(Event::Store(loaded), bench.now);
    bench.pump();
    bench.receipt_all();
    assert_eq!(bench.gaps(GapReason::BufferDamaged), Vec::<&v1::Gap>::new());
    assert_eq!(bench.applied_once() as u64, bench.decoded());
}

#[test]
fn receipts_from_before_a_restore_of_the_centre_delete_nothing_even_after_restarts() {
    let mut bench = Bench::new();
    bench.centre.epoch = 3;
    bench.beat();
    bench.receipt_all();
    bench.pass(Span::from_secs(5));
    // Twice: a context that was opened since knows of no receipt.
    for _ in 0..2 {
        bench.restart(1 << 30);
        bench.connect();
        bench.beat();
        bench.pass(Span::from_secs(5));
    }
    let before = bench.core.status(bench.now).buffer;
    assert!(before.records > 0);
    bench.centre.epoch = 2;
    bench.receipt_all();
    let status = bench.core.status(bench.now);
    assert_eq!((status.buffer, status.receipts_invalid), (before, 0));
    assert!(status.receipts_outdated > 0);
    // The control: those of the journal that is there now are acted upon.
    bench.centre.epoch = 3;
    bench.receipt_all();
    assert!(bench.core.is_drained());
}

#[test]
fn a_core_at_rest_seals_no_heartbeat() {
    let mut bench = Bench::new();
    let mut sealed = |at_rest: bool| {
        bench.restart(1 << 30);
        if at_rest {
            bench.core.rest();
        }
        let before = bench.core.status(bench.now).buffer.records;
        bench.core.tick(bench.now);
        bench.core.status(bench.now).buffer.records - before
    };
    // Both declare that the former life ended without a word.
    assert_eq!((sealed(true), sealed(false)), (1, 2));
}

#[test]
fn forged_receipts_and_commands_change_nothing() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.beat();
    }
    let before = bench.core.status(bench.now);
    for mut receipt in bench.centre.receipts(&bench.core) {
        receipt.mac[7] ^= 1;
        bench.say(down::Kind::Receipt(receipt));
    }
    let mut forged = bench.assignment(9);
    forged.signature[10] ^= 1;
    bench.say(down::Kind::Command(forged));
    let after = bench.core.status(bench.now);
    assert_eq!(after.buffer, before.buffer);
    assert_eq!((after.receipts_invalid, after.commands_refused), (1, 1));
    assert_eq!(after.command_number, 1);
    // The control: the true receipt is acted upon.
    bench.receipt_all();
    assert!(bench.core.is_drained());
}

#[test]
fn what_the_centre_does_not_take_now_is_kept_and_comes_later_whatever_its_reason() {
    let mut bench = Bench::new();
    bench.value();
    let sent: Vec<(ContextId, u64)> = bench.centre.tags.keys().copied().collect();
    let (context, number) = *sent.last().expect("sent");
    let mut told = 0;
    // One that this release knows, and one that a later centre may have.
    for (reason, name) in [
        (RefusalReason::Overloaded.into(), "overloaded"),
        (4711, "unknown_here"),
    ] {
        for _ in 0..3 {
            bench.centre.tags.remove(&(context, number));
            bench.say(down::Kind::Refusal(v1::Refusal {
                context: context.0.to_vec(),
                number,
                reason,
                detail: "not now".into(),
            }));
            bench.pump();
            let wait = 5_i64 << told;
            told += 1;
            bench.pass(Span::from_secs(wait - 1));
            assert!(
                !bench.centre.tags.contains_key(&(context, number)),
                "{wait} s"
            );
            bench.pass(Span::from_secs(1));
            assert!(
                bench.centre.tags.contains_key(&(context, number)),
                "{wait} s"
            );
        }
        assert_eq!(bench.core.status(bench.now).refusals[name], 3);
    }
    bench.drain();
    assert!(bench.centre.applied.values().all(|times| *times >= 1));
}

#[test]
fn only_a_signed_order_sets_records_aside() {
    let mut bench = Bench::new();
    bench.beat();
    let ((context, _), _) = bench.centre.tags.first_key_value().expect("sent");
    let context = *context;
    let numbers: Vec<u64> = bench.centre.tags.keys().map(|key| key.1).collect();
    let held = bench.core.status(bench.now).buffer.records;
    let refusal = v1::Refusal {
        context: context.0.to_vec(),
        number: numbers[0],
        reason: RefusalReason::Forged.into(),
        detail: "no".into(),
    };
    bench.say(down::Kind::Refusal(refusal));
    assert_eq!(
        bench.core.status(bench.now).buffer.records,
        held,
        "a hint deletes nothing"
    );
    let command = v1::Command {
        gateway: "g-1".into(),
        number: 2,
        kind: Some(v1::command::Kind::SetAside(v1::SetAside {
            context: context.0.to_vec(),
            numbers,
            reason: RefusalReason::Forged.into(),
        })),
    };
    let signed = command::sign(&bench.centre.command_key, &command);
    bench.say(down::Kind::Command(signed));
    bench.pump();
    bench.receipt_all();
    assert!(bench.core.is_drained());
    let declared: u64 = bench
        .gaps(GapReason::Refused)
        .iter()
        .map(|gap| gap.readings)
        .sum();
    assert_eq!(declared, 2);
}

#[test]
fn device_data_that_is_refused_is_counted_by_reason() {
    let mut bench = Bench::new();
    let mut send = |device, characteristic, value: &[u8], received| {
        let notification = Notification {
            device,
            service: 0,
            characteristic,
            value: value.to_vec(),
            received,
        };
        bench
            .core
            .handle(Event::Notification(notification), bench.now);
    };
    let now = at(1);
    send(Address([9; 6]), HEART_RATE, &[0, 70], now);
    send(DEVICE, 0xbeef, &[0, 70], now);
    send(DEVICE, HEART_RATE, &[0x10, 70, 1], now);
    send(DEVICE, HEART_RATE, &[0, 70], at(-5));
    // The interval before this first beat began before the assignment.
    send(DEVICE, HEART_RATE, &[0x10, 70, 0, 8], at(1));
    bench
        .core
        .handle(Event::Radio(RadioEvent::Unassigned(Address([8; 6]))), now);
    let status = bench.core.status(now);
    let counts = &status.device_data_refused;
    assert_eq!(counts["not_assigned"], 1);
    assert_eq!(counts["unknown_characteristic"], 1);
    assert_eq!(counts["short"], 1);
    assert_eq!(counts["before_assignment"], 1);
    assert_eq!(status.unassigned.len(), 1);
    assert_eq!(status.readings_decoded, 2);
}

#[test]
fn values_that_found_the_queue_full_are_declared() {
    let mut bench = Bench::new();
    let overflow = bench.overflow.clone();
    bench.restart(1 << 30);
    overflow.count(DEVICE, at(1));
    overflow.count(DEVICE, at(3));
    bench.connect();
    bench.pass(Span::from_secs(2));
    let gaps = bench.gaps(GapReason::QueueFull);
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].readings, gaps[0].exact), (2, false));
    assert_eq!(
        (gaps[0].from_us, gaps[0].to_us),
        (at(1).as_micros(), at(3).as_micros())
    );
}

#[test]
fn a_receipt_before_the_commit_keeps_the_disk_idle() {
    let mut bench = Bench::new();
    bench.pass(Span::from_secs(3));
    bench.receipt_all();
    bench.pass(Span::from_secs(3));
    let mut written = 0;
    for _ in 0..10 {
        bench.energy += 1;
        let notification = Notification {
            device: DEVICE,
            service: 0,
            characteristic: HEART_RATE,
            value: vec![0, 70],
            received: bench.now,
        };
        bench
            .core
            .handle(Event::Notification(notification), bench.now);
        while let Some(message) = bench.core.poll_message(bench.now) {
            bench.centre.take(message);
        }
        for receipt in bench.centre.receipts(&bench.core) {
            bench.say(down::Kind::Receipt(receipt));
        }
        bench.now = bench.now + Span::from_secs(1);
        bench.core.tick(bench.now);
        while let Some(job) = bench.core.poll_job() {
            let Job::Commit(changes) = job else { continue };
            written += changes.put.len();
            let result = bench.store.commit(&changes);
            let done = Done::Committed {
                result,
                free: u64::MAX,
            };
            bench.core.handle(Event::Store(done), bench.now);
        }
    }
    assert!(
        written <= 1,
        "{written} records were written although the centre had them"
    );
    assert_eq!(bench.applied_once(), 10);
}

/// Record `sequence` of a glucose meter, without a sample or a context.
fn glucose_record(bench: &mut Bench, sequence: u16) {
    let [low, high] = sequence.to_le_bytes();
    let value = vec![0x02, low, high, 0xEB, 0x07, 1, 15, 8, 0, 0, 100, 0xB0, 0x11];
    let notification = Notification {
        device: DEVICE,
        service: vitals::gatt::uuid(0x1808),
        characteristic: vitals::gatt::uuid(0x2A18),
        value,
        received: bench.now,
    };
    let now = bench.now;
    bench.core.handle(Event::Notification(notification), now);
}

#[test]
fn stored_records_are_asked_for_again_only_if_their_readings_are_not_durable() {
    let mut bench = Bench::new();
    bench.disconnect();
    let last = |bench: &mut Bench| {
        let devices = bench.core.poll_devices().expect("it changed");
        devices[&DEVICE].glucose
    };
    for sequence in 0..5 {
        glucose_record(&mut bench, sequence);
    }
    assert_eq!(last(&mut bench), Some(4));
    bench.pass(Span::from_secs(2));
    let durable = bench.decoded();
    assert_eq!(durable, 5);
    // These are in memory only when the agent dies.
    for sequence in 5..9 {
        glucose_record(&mut bench, sequence);
    }
    assert_eq!(last(&mut bench), Some(8));
    bench.restart(1 << 30);
    assert_eq!(last(&mut bench), Some(4), "asked for from 5 on");
    for sequence in 3..9 {
        glucose_record(&mut bench, sequence);
    }
    let refused = bench.core.status(bench.now).device_data_refused;
    assert_eq!(refused.get("record_taken_before"), Some(&2));
    bench.connect();
    bench.pass(Span::from_secs(2));
    bench.receipt_all();
    assert_eq!(bench.applied_once(), 9, "each once");
}

#[test]
fn a_stored_record_is_sent_once_it_is_durable_so_that_none_is_fetched_and_sent_twice() {
    let mut bench = Bench::new();
    let sent = |bench: &mut Bench| {
        while let Some(message) = bench.core.poll_message(bench.now) {
            bench.centre.take(message);
        }
        bench.centre.applied.len()
    };
    let one = {
        glucose_record(&mut bench, 0);
        assert_eq!(sent(&mut bench), 0, "the disk does not have it yet");
        // Killed: the device is asked for it again.
        bench.restart(1 << 30);
        bench.connect();
        glucose_record(&mut bench, 0);
        // Without waiting for the interval.
        bench.core.tick(bench.now);
        bench.pump();
        sent(&mut bench)
    };
    assert!(one > 0, "it came");
    bench.restart(1 << 30);
    bench.connect();
    glucose_record(&mut bench, 0);
    bench.pass(Span::from_secs(2));
    assert_eq!(sent(&mut bench), one, "taken before");
    // While nothing can be written, late is worse than twice.
    glucose_record(&mut bench, 1);
    bench.core.tick(bench.now);
    assert_eq!(sent(&mut bench), one);
    while bench.core.poll_job().is_some() {}
    let done = Done::Committed {
        result: Err(StoreError::Panicked("for this test".into())),
        free: u64::MAX,
    };
    bench.core.handle(Event::Store(done), bench.now);
    assert_eq!(sent(&mut bench), 2 * one, "sent all the same");
    glucose_record(&mut bench, 2);
    assert_eq!(sent(&mut bench), 3 * one, "and so is the next");
}

impl Bench {
    /// Until the centre has everything.
    fn drain(&mut self) {
        for _ in 0..100 {
            self.pump();
            self.receipt_all();
            self.pass(Span::from_secs(1));
            if self.core.is_drained() {
                return;
            }
        }
        panic!("{} records are left", self.core.ledger.len());
    }

    /// The list of a patient who paused or withdrew.
    fn withheld(&mut self, number: u64, collection: v1::Collection, erase_unsent: bool) {
        let list = v1::AssignmentList {
            assignments: Vec::new(),
            withheld: vec![v1::Withheld {
                stream: STREAM.0.to_vec(),
                collection: collection.into(),
                since_us: self.now.as_micros(),
                erase_unsent,
            }],
        };
        let command = v1::Command {
            gateway: "g-1".into(),
            number,
            kind: Some(v1::command::Kind::Assignments(list)),
        };
        let signed = command::sign(&self.centre.command_key, &command);
        self.say(down::Kind::Command(signed));
        self.pump();
    }
}

#[test]
fn a_pause_stops_reading_and_what_was_measured_before_is_delivered() {
    let mut bench = Bench::new();
    bench.disconnect();
    for _ in 0..20 {
        bench.beat();
    }
    bench.withheld(2, v1::Collection::Paused, false);
    let devices = bench.core.poll_devices();
    assert!(
        devices.is_some_and(|devices| devices.is_empty()),
        "the radio lets them go"
    );
    let decoded = bench.decoded();
    bench.beat();
    assert_eq!(bench.decoded(), decoded, "what still comes is not taken");
    let status = bench.core.status(bench.now);
    assert_eq!(status.withheld[0].collection, "paused");
    assert!(status.to_text(bench.now).contains("by the patient's wish"));
    // Also after a restart, from the signed word on disk.
    bench.restart(1 << 30);
    assert_eq!(bench.core.status(bench.now).withheld.len(), 1);
    bench.connect();
    bench.drain();
    assert_eq!(bench.applied_once() as u64, decoded);
}

#[test]
fn a_withdrawal_that_erases_leaves_nothing_to_deliver() {
    for erase in [true, false] {
        let mut bench = Bench::new();
        bench.receipt_all();
        let before = bench.applied_once();
        bench.disconnect();
        for _ in 0..20 {
            bench.beat();
        }
        bench.withheld(2, v1::Collection::Withdrawn, erase);
        bench.pass(Span::from_secs(2));
        let status = bench.core.status(bench.now);
        let dropped = status.readings_dropped.get("withdrawn").copied();
        assert_eq!(status.buffer.records == 0, erase);
        assert_eq!(dropped, erase.then_some(40));
        bench.restart(1 << 30);
        bench.connect();
        bench.drain();
        let delivered = bench.applied_once() - before;
        assert_eq!(
            delivered,
            if erase { 0 } else { 40 },
            "control: kept unless erased"
        );
    }
}

#[test]
fn settings_are_handed_on_and_what_became_of_them_is_said_at_once() {
    let mut bench = Bench::new();
    let command = v1::Command {
        gateway: "g-1".into(),
        number: 7,
        kind: Some(v1::command::Kind::Configuration(v1::Configuration {
            settings: "heartbeat_s = 60".into(),
        })),
    };
    let signed = command::sign(&bench.centre.command_key, &command);
    bench.say(down::Kind::Command(signed.clone()));
    assert_eq!(
        bench.core.poll_ordered(),
        Some((7, "heartbeat_s = 60".into()))
    );
    bench.say(down::Kind::Command(signed));
    assert_eq!(bench.core.poll_ordered(), None, "an order is obeyed once");
    assert!(bench.core.poll_heard() && !bench.core.poll_heard());
    let hellos = bench.centre.hellos.len();
    let report = v1::ConfigurationReport {
        number: 7,
        ..v1::ConfigurationReport::default()
    };
    bench.core.tell_configuration(Some(report.clone()));
    bench.pump();
    assert_eq!(bench.centre.hellos.len(), hellos + 1);
    bench.core.tell_configuration(Some(report));
    bench.pump();
    assert_eq!(bench.centre.hellos.len(), hellos + 1, "once");
}

#[test]
fn what_the_doctor_finds_is_told_once_and_again_when_it_is_something_else() {
    let mut bench = Bench::new();
    bench.pump();
    let hellos = bench.centre.hellos.len();
    let found = |text: &str| {
        vec![v1::GatewayFinding {
            found: text.into(),
            ..v1::GatewayFinding::default()
        }]
    };
    for (findings, told) in [
        (found("little room"), 1),
        (found("little room"), 1),
        (found("no room"), 2),
        (Vec::new(), 3),
        (Vec::new(), 3),
    ] {
        bench.core.tell_findings(findings, bench.now);
        bench.pump();
        assert_eq!(bench.centre.hellos.len(), hellos + told);
    }
}

/// What the newest heartbeat vouches for: since when it ran, and until when nothing waits; seconds.
fn vouched(bench: &mut Bench) -> (i64, i64) {
    bench.pass(Span::from_secs(31));
    let beats = bench.centre.heartbeats.iter();
    let beat = beats.max_by_key(|beat| beat.sent_us).expect("a beat");
    let seconds = |micros| Time::from_micros(micros).since(at(0)).as_micros() / 1_000_000;
    (
        seconds(beat.awake_since_us),
        seconds(beat.complete_until_us),
    )
}

#[test]
fn a_heartbeat_vouches_for_the_time_that_the_agent_ran_and_delivered() {
    let mut bench = Bench::new();
    for _ in 0..10 {
        bench.beat();
    }
    let (awake, complete) = vouched(&mut bench);
    assert_eq!(awake, 0);
    assert!(complete <= 0, "nothing has a receipt yet: {complete}");
    for _ in 0..10 {
        // The window holds back what has no room until receipts come.
        bench.receipt_all();
    }
    assert!(bench.core.is_drained(), "control");
    let (awake, complete) = vouched(&mut bench);
    let sent = bench.now.since(at(0)).as_micros() / 1_000_000;
    assert_eq!(awake, 0);
    assert!(
        (sent - 60..sent - 15).contains(&complete),
        "{complete}, {sent}"
    );
    // The machine slept for an hour, and its clock went back after that.
    for (jump, label) in [(3600, "slept"), (-500, "went back")] {
        bench.now = bench.now + Span::from_secs(jump);
        let woken = bench.now.since(at(0)).as_micros() / 1_000_000;
        bench.core.tick(bench.now);
        bench.pump();
        assert_eq!(bench.core.awake_since, bench.now, "{label}");
        bench.pass(Span::from_secs(1));
        let newest = bench
            .centre
            .heartbeats
            .last()
            .expect("a beat")
            .awake_since_us;
        assert!(newest <= at(woken).as_micros(), "{label}");
    }
}

/// Time on a line that counts what it carries, with beats or without; receipts come each second.
fn metered(bench: &mut Bench, seconds: i64, beats: bool) {
    for _ in 0..seconds {
        let sent = bench.centre.bytes;
        if beats {
            bench.beat();
        } else {
            bench.pass(Span::from_secs(1));
        }
        if bench.connected {
            bench.receipt_all();
            bench.centre.forget_receipted();
            let passed = bench.centre.bytes - sent;
            bench.core.passed(passed, bench.now);
        }
    }
}

#[test]
fn a_budget_carries_live_data_first_and_always_alerts_and_the_next_day_goes_on() {
    let mut bench = Bench::new();
    bench.receipt_all();
    // An hour's backlog, and then an hour with a budget that lasts for a part of it; the test begins in the middle of
    // a day, so backlog may go at first.
    bench.disconnect();
    metered(&mut bench, 3600, true);
    bench.core.day.set_for_tests(40_000);
    bench.connect();
    metered(&mut bench, 3600, true);
    let status = bench.core.status(bench.now);
    let budget = status.budget.clone().expect("a budget");
    assert!(
        budget.spent >= 40_000 && budget.waits.starts_with("all but"),
        "{budget:?}"
    );
    assert!(
        budget.records_waiting > 0 && budget.records_waiting < 100,
        "held as hours: {budget:?}"
    );
    let (applied, beats) = (bench.applied_once() as u64, bench.centre.heartbeats.len());
    assert!(applied < bench.decoded(), "something waits");
    // What is spent is spent after a restart, too; alerts (a gap is one) and heartbeats go on.
    bench.pass(Span::from_secs(2));
    let spent = bench.core.status(bench.now).budget.expect("a budget").spent;
    bench.restart(1 << 30);
    bench.core.day.set_for_tests(40_000);
    let again = bench.core.status(bench.now).budget.expect("a budget").spent;
    assert!(spent.abs_diff(again) <= 40_000 / 100, "{spent} and {again}");
    bench.connect();
    bench.core.declare(
        STREAM,
        1,
        GapReason::BufferFull,
        Loss {
            readings: 3,
            exact: true,
            from: at(1),
            to: at(2),
        },
    );
    metered(&mut bench, 120, false);
    assert_eq!(
        bench.gaps(GapReason::BufferFull).len(),
        1,
        "it goes at once"
    );
    assert!(bench.centre.heartbeats.len() > beats, "life is proved");
    assert_eq!(bench.applied_once() as u64, applied, "the readings wait");
    // The next day brings a budget that lasts.
    bench.disconnect();
    bench.now = Time::from_micros(
        bench
            .core
            .status(bench.now)
            .budget
            .expect("a budget")
            .day_ends_us,
    );
    bench.core.day.set_for_tests(5_000_000);
    bench.connect();
    let tomorrow = bench.core.status(bench.now).budget.expect("a budget");
    assert!(
        tomorrow.spent == 0 && tomorrow.waits.starts_with("backlog"),
        "{tomorrow:?}"
    );
    metered(&mut bench, 2400, false);
    assert_eq!(
        bench.applied_once() as u64,
        bench.decoded(),
        "nothing lost, nothing twice"
    );
    assert!(bench.core.status(bench.now).readings_dropped.is_empty());
}

/// The centre receipts heartbeats and gets nothing to watch: then this agent watches.
#[test]
fn with_the_days_bytes_spent_the_gateway_watches_itself() {
    for (budget, silent) in [(1, true), (u64::MAX, false)] {
        let mut bench = Bench::new();
        bench.receipt_all();
        bench.core.day.set_for_tests(budget);
        metered(&mut bench, 400, true);
        let status = bench.core.status(bench.now);
        assert!(status.connected && bench.centre.heartbeats.len() > 10);
        assert_eq!(status.centre_silent, silent, "budget {budget}");
    }
}

#[test]
fn control_without_a_budget_all_of_it_passes_in_the_same_time() {
    let mut bench = Bench::new();
    bench.receipt_all();
    bench.disconnect();
    metered(&mut bench, 3600, true);
    bench.connect();
    metered(&mut bench, 3600, true);
    metered(&mut bench, 600, false);
    assert_eq!(bench.applied_once() as u64, bench.decoded());
    let status = bench.core.status(bench.now);
    assert!(
        status.budget.is_none() && status.bytes_passed_today > 70_000,
        "{}",
        status.bytes_passed_today
    );
}

#[test]
fn a_core_that_has_nothing_to_do_sleeps() {
    let mut bench = Bench::new();
    for connected in [true, false] {
        if !connected {
            bench.disconnect();
        }
        bench.receipt_all();
        bench.pass(Span::from_secs(60));
        bench.receipt_all();
        let (until, mut woken) = (bench.now + Span::from_secs(3600), 0);
        while bench.core.next_deadline() <= until {
            let due = bench.core.next_deadline();
            assert!(
                due >= bench.now,
                "a deadline that is over would be waited for again and again"
            );
            bench.now = due;
            bench.core.tick(bench.now);
            bench.pump();
            bench.receipt_all();
            bench.centre.forget_receipted();
            woken += 1;
        }
        // A heartbeat every half minute, and the commits of it and of its receipt.
        assert!(
            woken <= 120 * 4,
            "{woken} times an hour, connected: {connected}"
        );
        bench.now = until;
    }
}

/// A meter whose clock is an hour behind: it was compared once, then the agent died.
#[test]
fn what_is_known_of_a_clock_outlives_the_agent() {
    let dated = |forget: bool| {
        let mut bench = Bench::new();
        bench.pass(Span::from_secs(4000));
        // 08:06:40, an hour behind 09:06:40.
        let shown = vec![0xEB, 0x07, 1, 15, 8, 6, 40, 5, 0, 0];
        let read = Notification {
            device: DEVICE,
            service: vitals::gatt::uuid(0x1805),
            characteristic: vitals::gatt::uuid(0x2A2B),
            value: shown,
            received: bench.now,
        };
        bench.core.handle(Event::Notification(read), bench.now);
        if !forget {
            bench.pass(Span::from_secs(2));
        }
        bench.restart(1 << 30);
        bench.connect();
        let status = bench.core.status(bench.now);
        let clock = status.devices[0].clock.clone();
        // Of 08:00:00 by its clock.
        bench.pass(Span::from_secs(3600));
        glucose_record(&mut bench, 7);
        bench.pass(Span::from_secs(2));
        (clock, bench.centre.glucose.pop().expect("it came"))
    };
    let (clock, reading) = dated(false);
    let clock = clock.expect("known after the restart");
    let off = (clock.ahead_us + 3_600_000_000).abs();
    assert!(off <= clock.uncertainty_us, "{clock:?}");
    let off = reading.effective.since(at(3600)).as_micros().abs();
    let said = reading.device.expect("its stamp").uncertainty;
    assert!(
        off <= said.as_micros() && said < Span::from_mins(1),
        "{reading:?}"
    );
    // Control: not committed, it is lost with the agent, and the record is taken at its word.
    let (clock, reading) = dated(true);
    assert_eq!(clock, None);
    assert_eq!(reading.effective, at(0));
}

/// The meter's clock is read: it shows this hour, at :06:40.
fn read_clock(bench: &mut Bench, hour: u8) {
    let read = Notification {
        device: DEVICE,
        service: vitals::gatt::uuid(0x1805),
        characteristic: vitals::gatt::uuid(0x2A2B),
        value: vec![0xEB, 0x07, 1, 15, hour, 6, 40, 5, 0, 0],
        received: bench.now,
    };
    bench.core.handle(Event::Notification(read), bench.now);
}

/// A gateway without a battery clock stands an hour behind when it reads the clock of a meter that is right; then the
/// network tells it the time.
#[test]
fn what_was_learnt_of_a_clock_before_the_gateway_knew_the_time_is_forgotten() {
    let dated = |told: bool, dies: bool| {
        let mut bench = Bench::new();
        bench.pass(Span::from_secs(400));
        read_clock(&mut bench, 9);
        bench.pass(Span::from_secs(2));
        bench.now = at(4002);
        if told {
            bench.core.handle(Event::ClockSet, bench.now);
        }
        bench.pass(Span::from_secs(2));
        if dies {
            bench.restart(1 << 30);
            bench.connect();
        }
        let known = bench.core.status(bench.now).devices[0].clock.is_some();
        // Of 08:00:00 by its clock, which is right.
        glucose_record(&mut bench, 7);
        bench.pass(Span::from_secs(2));
        let came = bench.centre.glucose.pop().map(|reading| reading.effective);
        (known, came)
    };
    assert_eq!(dated(true, false), (false, Some(at(0))));
    assert_eq!(dated(true, true), (false, Some(at(0))), "nor kept");
    // Control: nobody said that the clock was set. It seems to be of 07:00, before the meter was assigned.
    assert_eq!(dated(false, true), (true, None));
}

#[test]
fn a_clock_is_kept_while_its_device_is_assigned_and_used() {
    let kept = |bench: &mut Bench| {
        bench.pass(Span::from_secs(2));
        bench.restart(1 << 30);
        bench.core.clocks.len()
    };
    let mut bench = Bench::new();
    bench.pass(Span::from_secs(4000));
    read_clock(&mut bench, 9);
    assert_eq!(kept(&mut bench), 1);
    let row = bench.core.clocks.values().next().expect("one");
    assert_eq!(row.kept_at_us % 60_000_000, 0, "to the minute");
    bench.now = bench.now + Span::from_mins(80 * 24 * 60);
    bench.beat();
    assert_eq!(kept(&mut bench), 1);
    bench.now = bench.now + Span::from_mins(11 * 24 * 60);
    bench.beat();
    assert_eq!(kept(&mut bench), 0, "not met for a quarter of a year");
    // Of a device that is somebody else's now.
    let mut bench = Bench::new();
    bench.pass(Span::from_secs(4000));
    read_clock(&mut bench, 9);
    assert_eq!(kept(&mut bench), 1);
    bench.connect();
    let command = v1::Command {
        gateway: "g-1".into(),
        number: 9,
        kind: Some(v1::command::Kind::Assignments(v1::AssignmentList::default())),
    };
    let signed = command::sign(&bench.centre.command_key, &command);
    bench.say(down::Kind::Command(signed));
    assert_eq!(kept(&mut bench), 0);
}
