//! One gateway: the production core of the agent, with its card, its radio and its end of the line replaced.
//!
//! Must not know: the network, the centre, what must hold.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proto::v1::{CentreToGateway, GatewayToCentre};
use tokio::sync::mpsc;
use vitals::{Span, Time};
use vitaltwin_agent::backoff::Backoff;
use vitaltwin_agent::ble::{Address, LinkState, Notification, Overflow, RadioEvent};
use vitaltwin_agent::core::{Core, Event, Settings};
use vitaltwin_agent::outbox::store::StoreError;
use vitaltwin_agent::outbox::writer::{Done, Job};
use vitaltwin_agent::survival;
use vitaltwin_agent::uplink::UplinkEvent;
use vitaltwin_agent::uplink::window::Limits;

use crate::card::{Card, Extent};
use crate::stock::Stock;

/// Heart Rate Measurement.
const HEART_RATE: u128 = vitals::gatt::uuid(0x2A37);
/// What the core works with, as people configure it by default.
const SETTINGS: Settings = Settings {
    commit_interval: Span::from_secs(1),
    buffer_bytes: 64 << 20,
    buffer_age: Span::from_secs(30 * 86_400),
    keep_free_bytes: 1 << 20,
    clock_ahead: Span::ZERO,
    heartbeat: Span::from_secs(30),
    window: Limits {
        backlog_in_flight: 256,
        live_in_flight: 1024,
        message_bytes: 32 * 1024,
        retry_first: Span::from_secs(20),
        retry_longest: Span::from_secs(300),
        hold: Span::from_secs(60),
        pause: Span::from_secs(5),
    },
    bytes_per_day: 0,
    survival: survival::Limits {
        after: Some(Span::from_secs(180)),
        clear: Span::from_secs(60),
    },
};
/// Delays between attempts to connect, as the real line has them.
const RETRY_FIRST: Span = Span::from_millis(250);
const RETRY_LONGEST: Span = Span::from_secs(30);
/// Jobs that wait for the writer.
const JOBS: usize = 4;

/// The address of a patient's sensor.
pub(crate) fn sensor(patient: usize) -> Address {
    Address([0xC0, 0, 0, 0, 0, u8::try_from(patient).unwrap_or(0)])
}

/// What the planted bugs change in a house.
#[derive(Clone, Copy, Default)]
pub(crate) struct Planted {
    pub(crate) values_again: bool,
    pub(crate) quiet_loss: bool,
    pub(crate) endless_backoff: bool,
    pub(crate) hanging_writer: bool,
    pub(crate) swapped_devices: bool,
}

/// An agent that runs.
struct Running {
    core: Core,
    assigned: BTreeSet<Address>,
    heard: BTreeSet<Address>,
    jobs: VecDeque<Job>,
}

pub(crate) struct House {
    pub(crate) number: usize,
    pub(crate) card: Card,
    running: Option<Running>,
    /// Starts so far: what was meant for an earlier life is void.
    pub(crate) life: u64,
    /// How far its clock is ahead of the right time.
    pub(crate) ahead: Span,
    /// The same when an agent ran last.
    pub(crate) ran_ahead: Span,
    pub(crate) backoff: Backoff,
    /// The next commit fails.
    pub(crate) disk_full: bool,
    hangs: bool,
    planted: Planted,
    /// The last value of each sensor.
    last: BTreeMap<Address, Notification>,
    /// Two sensors are taken for each other.
    swapped: bool,
}

impl House {
    pub(crate) fn new(number: usize, planted: Planted) -> Self {
        let longest = if planted.endless_backoff {
            Span::from_secs(86_400)
        } else {
            RETRY_LONGEST
        };
        Self {
            number,
            card: Card::new(planted.quiet_loss),
            running: None,
            life: 0,
            ahead: Span::ZERO,
            ran_ahead: Span::ZERO,
            backoff: Backoff::new(RETRY_FIRST, longest),
            disk_full: false,
            hangs: false,
            planted,
            last: BTreeMap::new(),
            swapped: false,
        }
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The agent starts from its card. `now` is the right time.
    pub(crate) fn start(&mut self, now: Time) {
        self.life += 1;
        self.backoff.succeed();
        (self.hangs, self.disk_full) = (false, false);
        let opened = self.card.open();
        let identity = Stock::get().identity(self.number);
        let obeyed = self.card.obeyed.clone();
        let overflow = Overflow::default();
        let now = now + self.ahead;
        let core = Core::new(SETTINGS, &identity, obeyed, &opened, overflow, now);
        self.running = Some(Running {
            core,
            assigned: BTreeSet::new(),
            heard: BTreeSet::new(),
            jobs: VecDeque::new(),
        });
        self.settle(now);
        self.swapped = self.planted.swapped_devices && self.life > 1;
        if self.planted.values_again {
            for value in self.last.clone().into_values() {
                self.hand_over(value, now);
            }
        }
    }

    /// It dies: of the commit that is under way, this much is on the card.
    pub(crate) fn crash(&mut self, extent: Extent) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.ran_ahead = self.ahead;
        if let Some(Job::Commit(changes)) = running.jobs.front()
            && !self.hangs
        {
            self.card.commit(changes, extent);
        }
    }

    /// It is stopped, in order: nothing is left in memory.
    pub(crate) fn stop(&mut self, now: Time) {
        self.ran_ahead = self.ahead;
        let now = now + self.ahead;
        if let Some(running) = &mut self.running {
            running.core.stop(now);
        }
        for _ in 0..8 {
            self.settle(now);
            while self.work(now) {}
            self.with(|core| core.commit_now(now));
        }
        self.running = None;
    }

    /// A sensor notifies a value. True: the agent listens to it, and is answerable for it from here on.
    pub(crate) fn value(&mut self, patient: usize, bpm: u8, received: Time, now: Time) -> bool {
        let now = now + self.ahead;
        let mut device = sensor(patient);
        let Some(running) = &self.running else {
            return false;
        };
        if self.swapped {
            let mut others = running.assigned.iter().filter(|other| **other != device);
            device = others.next().copied().unwrap_or(device);
        }
        if !running.assigned.contains(&device) {
            return false;
        }
        let value = Notification {
            device,
            service: 0,
            characteristic: HEART_RATE,
            value: vec![0, bpm],
            received,
        };
        self.last.insert(device, value.clone());
        self.hand_over(value, now);
        true
    }

    fn hand_over(&mut self, value: Notification, now: Time) {
        let Some(running) = &mut self.running else {
            return;
        };
        if running.heard.insert(value.device) {
            let link = RadioEvent::Link(value.device, LinkState::Connected);
            running.core.handle(Event::Radio(link), now);
        }
        running.core.handle(Event::Notification(value), now);
        self.settle(now);
    }

    /// A sensor's link broke; it comes back with its next value.
    pub(crate) fn lose_sensor(&mut self, patient: usize, now: Time) {
        let device = sensor(patient);
        let now = now + self.ahead;
        if let Some(running) = &mut self.running
            && running.heard.remove(&device)
        {
            let link = RadioEvent::Link(device, LinkState::Lost);
            running.core.handle(Event::Radio(link), now);
        }
        self.settle(now);
    }

    /// The line is up.
    pub(crate) fn line_up(&mut self, now: Time) {
        // The core does not send through it: the simulation asks for each message.
        let (line, _unused) = mpsc::channel(1);
        self.uplink(UplinkEvent::Up(line), now);
    }

    /// The line is down.
    pub(crate) fn line_down(&mut self, now: Time) {
        self.uplink(UplinkEvent::Down("cut".into()), now);
    }

    /// The centre says something.
    pub(crate) fn hear(&mut self, message: CentreToGateway, now: Time) {
        self.uplink(UplinkEvent::Message(message), now);
    }

    fn uplink(&mut self, event: UplinkEvent, now: Time) {
        let now = now + self.ahead;
        self.with(|core| core.handle(Event::Uplink(event), now));
        self.settle(now);
    }

    /// The next message for the line, which takes one.
    pub(crate) fn message(&mut self, now: Time) -> Option<GatewayToCentre> {
        let now = now + self.ahead;
        let message = self.with(|core| core.poll_message(now)).flatten();
        self.settle(now);
        message
    }

    /// Time passed.
    pub(crate) fn tick(&mut self, now: Time) {
        let now = now + self.ahead;
        self.with(|core| core.tick(now));
        self.settle(now);
    }

    /// When it wants to be woken, in the right time.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let core = &self.running.as_ref()?.core;
        Some(core.next_deadline() - self.ahead)
    }

    /// A job waits for the card.
    pub(crate) fn has_work(&self) -> bool {
        let jobs = self.running.as_ref().map_or(0, |of| of.jobs.len());
        jobs > 0 && !self.hangs
    }

    /// The card is done with a job.
    pub(crate) fn card_done(&mut self, now: Time) {
        self.work(now + self.ahead);
    }

    fn work(&mut self, now: Time) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        let Some(job) = running.jobs.pop_front() else {
            return false;
        };
        let done = match job {
            Job::Commit(_) if std::mem::take(&mut self.disk_full) => {
                self.hangs |= self.planted.hanging_writer;
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                Done::Committed {
                    result: Err(StoreError::Io(full)),
                    free: 0,
                }
            }
            Job::Commit(changes) => {
                self.card.commit(&changes, Extent::All);
                Done::Committed {
                    result: Ok(()),
                    free: u64::MAX,
                }
            }
            Job::Load(ids) => Done::Loaded(Ok(self.card.load(&ids))),
        };
        running.core.handle(Event::Store(done), now);
        self.settle(now);
        true
    }

    /// Everything is delivered and durable.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = |of: &Running| of.core.is_drained() && of.core.is_durable();
        self.running.as_ref().is_some_and(settled)
    }

    /// For people: what it still holds.
    pub(crate) fn describe(&self, now: Time) -> String {
        let Some(running) = &self.running else {
            return format!("house {}: off", self.number);
        };
        let status = running.core.status(now + self.ahead);
        format!(
            "house {}: {} records, connected {}, durable {}, trouble '{}' '{}'",
            self.number,
            status.buffer.records,
            status.connected,
            running.core.is_durable(),
            status.line_trouble,
            status.store_trouble
        )
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Core) -> T) -> Option<T> {
        self.running.as_mut().map(|running| act(&mut running.core))
    }

    /// What the shell does after each event.
    fn settle(&mut self, now: Time) {
        let Some(running) = &mut self.running else {
            return;
        };
        let core = &mut running.core;
        if core.next_deadline() <= now {
            core.tick(now);
        }
        if let Some(devices) = core.poll_devices() {
            running.assigned = devices.keys().copied().collect();
            running
                .heard
                .retain(|device| running.assigned.contains(device));
        }
        if let Some(obeyed) = core.poll_obeyed() {
            self.card.obeyed = obeyed;
        }
        while core.poll_signal().is_some() {}
        while running.jobs.len() < JOBS
            && let Some(job) = core.poll_job()
        {
            running.jobs.push_back(job);
        }
    }
}
