//! A month without a line: three vitals at 1 Hz are held, and drained in order with live data first.
//!
//! `VITALTWIN_OFFLINE_HOURS=720 cargo test --release -p vitaltwin-agent --test outbox month -- --nocapture` prints the
//! figures of thirty days; the gate runs three hours of the child's time.

use std::path::Path;
use std::time::Instant;

use proto::v1::{GatewayToCentre, gateway_to_centre as up};
use tokio::sync::mpsc;
use vitals::{Span, Time};
use vitaltwin_agent::ble::{Address, LinkState, Notification, Overflow, RadioEvent};
use vitaltwin_agent::core::{Core, Event, Settings};
use vitaltwin_agent::identity::Obeyed;
use vitaltwin_agent::outbox::store::Store;
use vitaltwin_agent::outbox::writer::{Done, Job};
use vitaltwin_agent::uplink::UplinkEvent;

use crate::centre::{Centre, DEVICE, OXIMETER, at};
use crate::house::{identity, settings};

const HEART_RATE: u128 = vitals::gatt::uuid(0x2A37);
const PLX_CONTINUOUS: u128 = vitals::gatt::uuid(0x2A5F);
/// Heart rate; saturation and pulse rate.
const VITALS: u64 = 3;

struct Home {
    folder: tempfile::TempDir,
    core: Core,
    store: Store,
    centre: Centre,
    now: Time,
    connected: bool,
    second: u64,
    /// Everything that was sent, in order, instead of being answered.
    held_back: Option<Vec<GatewayToCentre>>,
}

impl Home {
    fn new(commit_interval: Span) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (home, dir) = (folder.path(), folder.path().join("agent"));
        let centre = Centre::new();
        let key = proto::seal::SigningKey::generate_pkcs8();
        std::fs::write(home.join("key"), &*key).expect("written");
        std::fs::write(home.join("command"), centre.command_key.public_point()).expect("written");
        let (_, who) = identity(home, &dir);
        let opened = Store::open(&dir, at(0)).expect("opens");
        let settings = Settings {
            commit_interval,
            ..settings(1 << 30)
        };
        let overflow = Overflow::default();
        let core = Core::new(settings, &who, Obeyed::default(), &opened, overflow, at(0));
        let mut home = Self {
            store: opened.store,
            folder,
            core,
            centre,
            now: at(0),
            connected: false,
            second: 0,
            held_back: None,
        };
        home.line(true);
        home.pump();
        home
    }

    fn line(&mut self, there: bool) {
        self.connected = there;
        let (line, _unused) = mpsc::channel(1);
        let event = if there {
            UplinkEvent::Up(line)
        } else {
            UplinkEvent::Down("away".into())
        };
        self.core.handle(Event::Uplink(event), self.now);
    }

    fn value(&mut self, device: &str, characteristic: u128, value: Vec<u8>) {
        let device = Address::parse(device).expect("an address");
        let link = RadioEvent::Link(device, LinkState::Connected);
        self.core.handle(Event::Radio(link), self.now);
        let notification = Notification {
            device,
            service: 0,
            characteristic,
            value,
            received: self.now,
        };
        self.core
            .handle(Event::Notification(notification), self.now);
    }

    /// A second of values that wander a little, as a resting person's do.
    fn beat(&mut self) {
        self.second += 1;
        let wander =
            |period: u64, most: u64| u8::try_from(self.second / period % most).unwrap_or(0);
        let (rate, saturation) = (62 + wander(3, 9), 95 + wander(40, 4));
        self.value(DEVICE, HEART_RATE, vec![0, rate]);
        self.value(
            OXIMETER,
            PLX_CONTINUOUS,
            vec![0, saturation, 0, rate + 1, 0],
        );
        self.pump();
        self.pass(Span::from_secs(1));
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

    fn pump(&mut self) {
        loop {
            if self.connected
                && let Some(message) = self.core.poll_message(self.now)
            {
                if let Some(held_back) = &mut self.held_back {
                    held_back.push(message);
                    continue;
                }
                for answer in self.centre.take(message, true) {
                    let event = Event::Uplink(UplinkEvent::Message(answer));
                    self.core.handle(event, self.now);
                }
                continue;
            }
            let done = match self.core.poll_job() {
                None => return,
                Some(Job::Commit(changes)) => Done::Committed {
                    result: self.store.commit(&changes),
                    free: u64::MAX,
                },
                Some(Job::Load(ids)) => Done::Loaded(self.store.load(&ids)),
            };
            self.core.handle(Event::Store(done), self.now);
        }
    }

    /// The line comes back while a value comes: the first records sent are the live ones alone.
    fn comes_back(&mut self) {
        self.centre.live_from = self.now - Span::from_secs(30);
        self.line(true);
        self.held_back = Some(Vec::new());
        self.value(DEVICE, HEART_RATE, vec![0, 99]);
        self.pump();
        let sent = self.held_back.take().expect("held back just before");
        let batches = sent.iter().find_map(|message| match &message.kind {
            Some(up::Kind::Batches(batches)) => Some(batches.records.clone()),
            _ => None,
        });
        let first = batches.expect("something was sent");
        for message in sent {
            for answer in self.centre.take(message, true) {
                let event = Event::Uplink(UplinkEvent::Message(answer));
                self.core.handle(event, self.now);
            }
        }
        for record in &first {
            let oldest = proto::seal::parse_stub(record).expect("whole").oldest();
            let age = self.now.since(oldest);
            assert!(age < Span::from_secs(120), "backlog went before live data");
        }
    }
}

/// Bytes that a folder takes on the disk.
fn on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(dir).expect("a folder");
    let size = |path: &Path| {
        if path.is_dir() {
            on_disk(path)
        } else {
            std::fs::metadata(path).map_or(0, |file| file.blocks() * 512)
        }
    };
    entries
        .map(|entry| size(&entry.expect("an entry").path()))
        .sum()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn a_month_offline_is_held_and_drained_in_order_with_live_data_first() {
    let seconds = crate::count("VITALTWIN_OFFLINE_HOURS", 3) * 3600;
    // At one second the month's commits take an hour of real time.
    let mut home = Home::new(Span::from_secs(10));
    home.beat();
    home.pass(Span::from_secs(60));
    let (before, memory) = (home.core.status(home.now), resident_kib());
    home.line(false);
    let start = Instant::now();
    for _ in 0..seconds {
        home.beat();
    }
    let filled = start.elapsed();
    let status = home.core.status(home.now);
    let held = status.readings_decoded - before.readings_decoded;
    assert!(held >= seconds * VITALS, "{held} readings in {seconds} s");
    assert!(
        status.readings_dropped.is_empty(),
        "{:?}",
        status.readings_dropped
    );
    let (disk, sealed) = (
        on_disk(&home.folder.path().join("agent/outbox")),
        status.buffer.bytes,
    );
    println!(
        "{held} readings of {} h held in {} records: {:.2} sealed bytes a reading, {:.2} bytes on disk; {:.0} readings/s taken; resident {} KiB, before {memory} KiB",
        seconds / 3600,
        status.buffer.records,
        sealed as f64 / held as f64,
        disk as f64 / held as f64,
        held as f64 / filled.as_secs_f64(),
        resident_kib(),
    );
    let start = Instant::now();
    home.comes_back();
    while !home.core.is_drained() {
        home.pump();
        home.pass(Span::from_millis(100));
        assert!(start.elapsed().as_secs() < 600, "not drained");
    }
    let rate = home.centre.readings as f64 / start.elapsed().as_secs_f64();
    println!(
        "drained at {rate:.0} readings/s, each record opened by the centre of the test; {} readings of the backlog came after a newer one",
        home.centre.backwards
    );
    let decoded = home.core.status(home.now).readings_decoded;
    assert_eq!(home.centre.readings, decoded, "all of them, each once");
    assert_eq!(home.centre.backwards, 0, "of the backlog, out of turn");
}

/// What a short line took and never answered is not merged: each value is a record of its own, and what is known of it
/// lies in memory.
#[test]
fn small_records_that_wait_take_little_memory_and_are_there_after_a_restart() {
    let count = crate::count("VITALTWIN_BACKLOG", 500);
    let mut home = Home::new(Span::from_secs(3600));
    home.beat();
    home.pass(Span::from_secs(60));
    let memory = resident_kib();
    let mut waiting = 0;
    while waiting < count {
        home.line(true);
        home.value(DEVICE, HEART_RATE, vec![0, 62]);
        home.line(false);
        home.pump();
        home.pass(Span::from_secs(1));
        waiting = home.core.status(home.now).buffer.records as u64;
    }
    home.core.commit_now(home.now);
    home.pump();
    let status = home.core.status(home.now);
    assert!(status.readings_dropped.is_empty());
    println!(
        "{} records ({} bytes) wait: resident {} KiB, before {memory} KiB",
        status.buffer.records,
        status.buffer.bytes,
        resident_kib(),
    );
    let Home {
        folder,
        store,
        core,
        now,
        ..
    } = home;
    drop((store, core));
    let opened = Store::open(&folder.path().join("agent"), now).expect("opens");
    assert_eq!(opened.records.len(), status.buffer.records);
}
