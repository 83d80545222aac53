//! PURE. The agent as one machine: takes what radio, line, store and time tell it, and says what to do.
//!
//! * [`intake`](self): values become readings, readings become sealed records (`intake.rs`).
//! * delivery: what goes to the centre, and what its receipts, refusals and orders do (`delivery.rs`).
//! * survival: what is raised here while the centre is silent (`survive.rs`).
//! * keeping: what becomes durable when, and what is dropped when there is no room (`keep.rs`).
//! * `records.rs`, `spots.rs`, `clocks.rs`: which stored records were taken, which values are spot checks, what is known
//!   of devices' clocks; `report.rs`: the status.
//!
//! The shell (`app.rs`) owns one `Core`, feeds it [`Event`]s with the time, and after each carries out what
//! [`Core::poll_message`], [`Core::poll_job`], [`Core::poll_devices`] and [`Core::poll_obeyed`] give.
//! Invariants: state has this one owner; nothing here waits, reads a clock or does I/O (randomness comes in
//! with the keys of a fresh context only); every queue between the parts is bounded by them.

mod clocks;
mod delivery;
mod intake;
mod keep;
mod records;
mod report;
mod spots;
mod survive;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proto::v1::{
    ConfigurationReport, DeviceClock, GapReason, GatewayFinding, GatewayHealth, GatewayToCentre,
};
use vitals::observe::Memory;
use vitals::{GatewayId, SourceId, Span, StreamId, Time};

use self::records::TakenRecords;
use crate::ble::records::Marks;
use crate::ble::{About, Address, LinkState, Notification, Overflow, RadioEvent};
use crate::command::Commander;
use crate::decode::Counts;
use crate::identity::{Identity, Obeyed};
use crate::outbox::RecordId;
use crate::outbox::assignment::Withheld;
use crate::outbox::ledger::Ledger;
use crate::outbox::rows::{ClockOf, ClockRow, GatewayRow};
use crate::outbox::seal::{Loss, Output, Sealing};
use crate::outbox::store::{Changes, Opened};
use crate::outbox::writer::{Done, Job};
use crate::survival::{self, Survival};
use crate::uplink::UplinkEvent;
use crate::uplink::budget::{Allowance, Budget, gather};
use crate::uplink::window::{Limits, Window};

/// On a slow line the readings of this long travel together.
const GATHER: Span = Span::from_secs(10);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A subscribed value.
    Notification(Notification),
    /// The radio's news.
    Radio(RadioEvent),
    /// The line's news; the shell keeps the sender of `Up` itself.
    Uplink(UplinkEvent),
    /// The store's answer.
    Store(Done),
    /// A renewed certificate chain.
    Renewed(Vec<Vec<u8>>),
    /// The machine's clock was set.
    ClockSet,
}

/// What the core needs to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often what changed becomes durable.
    pub commit_interval: Span,
    /// Bytes of sealed records kept at most.
    pub buffer_bytes: u64,
    /// How long a reading may wait at most.
    pub buffer_age: Span,
    /// Bytes of disk that stay free.
    pub keep_free_bytes: u64,
    /// How far the home's wall clocks are ahead of UTC.
    pub clock_ahead: Span,
    /// Time between heartbeats.
    pub heartbeat: Span,
    /// The window's limits.
    pub window: Limits,
    /// Bytes that may pass the line on a day; 0: it is free.
    pub bytes_per_day: u64,
    /// When the centre counts as silent.
    pub survival: survival::Limits,
}

/// A device as the core sees it.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) stream: StreamId,
    pub(crate) source: SourceId,
    pub(crate) link: LinkState,
    pub(crate) since: Time,
    pub(crate) about: About,
    /// What differs between this device and the one that answered last under its address.
    pub(crate) impostor: Option<String>,
    /// Which of its stored records were taken.
    pub(crate) records: TakenRecords,
    /// What it said that later values rest on.
    pub(crate) memory: Memory,
    pub(crate) contact: Option<bool>,
    pub(crate) readings: u64,
    pub(crate) last_value: Option<Time>,
    pub(crate) spots: spots::Spots,
}

/// Counters of this process that are in no row; those since enrolment are in the [`GatewayRow`].
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Device data refused, by reason.
    pub device_data_refused: Counts,
    /// Receipts that were not authentic.
    pub receipts_invalid: u64,
    /// Receipts for contexts that are over.
    pub receipts_late: u64,
    /// Receipts of an earlier journal of the centre than one that was acted upon.
    pub receipts_outdated: u64,
    /// Unsigned refusals of the centre, by reason.
    pub refusals: Counts,
    /// Messages from the line that are none of the contract.
    pub malformed_messages: u64,
    /// Radio workers that ended and were started again, by reason.
    pub radio_restarts: Counts,
    /// Commits that failed.
    pub commits_failed: u64,
    /// Times that the line came up.
    pub connections: u64,
}

/// The machine.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    gateway_id: GatewayId,
    commander: Commander,
    sealing: Sealing,
    survival: Survival,
    ledger: Ledger,
    window: Window,
    day: Budget,

    devices: BTreeMap<Address, Device>,
    /// What is kept, or about to be, of devices' clocks.
    clocks: BTreeMap<ClockOf, ClockRow>,
    /// Devices seen but not assigned, with how often.
    unassigned: BTreeMap<Address, u64>,
    /// Streams that are not collected by a patient's will.
    withheld: Vec<Withheld>,
    overflow: Overflow,
    radio_trouble: Option<String>,

    /// Sealed records that are not known to be durable.
    pending: BTreeMap<RecordId, Vec<u8>>,
    /// Those of them that no commit under way holds, and since when the oldest that is in them waits.
    unsaved: BTreeMap<RecordId, Time>,
    /// Those of them that stay here until they are durable, because their device is asked for them again if not.
    held: BTreeSet<RecordId>,
    /// Streams that took stored records since the last commit began.
    listing: BTreeSet<StreamId>,
    changes: Changes,
    committing: Option<Arc<Changes>>,
    committed: GatewayRow,
    gateway: GatewayRow,
    commit_due: Option<Time>,
    /// Since when readings wait for their seal.
    waits_since: Option<Time>,
    /// The next commit waits for nothing.
    at_once: bool,
    /// The streams whose row differs from what is on disk.
    dirty: BTreeSet<StreamId>,
    /// Those of which only counts and positions differ: they wait for the next commit that something else needs.
    counted: BTreeSet<StreamId>,
    budget: keep::Budget,
    /// When to look next for what waited too long.
    expiry_due: Time,
    store_trouble: Option<String>,

    jobs: VecDeque<Job>,
    /// Records being read for sending, in the order of the jobs: live ones may follow backlog. `None` after the
    /// line that asked is gone.
    loading: VecDeque<Option<delivery::Asked>>,
    /// The record read last for a piece: its other pieces need no reading.
    in_pieces: Option<(RecordId, Vec<u8>)>,
    ready: VecDeque<GatewayToCentre>,
    hello_due: bool,
    line_trouble: Option<String>,

    heartbeat_due: Time,
    /// This process has run without a break since then ...
    awake_since: Time,
    /// ... as far as its ticks show.
    ticked: Time,
    stopping: bool,
    /// The radio was ended with what it held.
    is_cut_short: bool,
    devices_changed: bool,
    obeyed_changed: bool,
    /// Settings that the centre ordered, and the number of the order.
    ordered: Option<(u64, String)>,
    /// What became of the last ones.
    configuration: Option<ConfigurationReport>,
    /// What the doctor found, and when it looked; `None` before it did.
    health: Option<GatewayHealth>,
    /// The centre proved that it heard this agent.
    heard: bool,
    counters: Counters,
}

impl Core {
    /// From what was on disk. Declares what a crash or damage may have lost.
    #[must_use]
    pub fn new<S>(
        settings: Settings,
        identity: &Identity,
        obeyed: Obeyed,
        opened: &Opened<S>,
        overflow: Overflow,
        now: Time,
    ) -> Self {
        let gateway = opened.gateway.clone().unwrap_or_default();
        let highest = opened.contexts.keys().last().copied().unwrap_or(0);
        let sealing = Sealing::new(
            identity.gateway.clone(),
            Arc::clone(&identity.key),
            identity.chain.clone(),
            gateway.next_ordinal.max(highest + 1),
            opened.streams.clone(),
        );
        let mut core = Self {
            settings,
            gateway_id: identity.gateway.clone(),
            commander: Commander::new(identity.command_key, identity.gateway.clone(), obeyed),
            sealing,
            survival: Survival::new(settings.survival, now),
            ledger: Ledger::default(),
            window: Window::new(settings.window),
            day: Budget::new(settings.bytes_per_day, (gateway.day, gateway.spent.clone())),
            devices: BTreeMap::new(),
            clocks: opened.clocks.clone(),
            unassigned: BTreeMap::new(),
            withheld: Vec::new(),
            overflow,
            radio_trouble: None,
            pending: BTreeMap::new(),
            unsaved: BTreeMap::new(),
            held: BTreeSet::new(),
            listing: BTreeSet::new(),
            changes: Changes::default(),
            committing: None,
            committed: gateway.clone(),
            gateway,
            commit_due: Some(now),
            waits_since: None,
            at_once: true,
            dirty: BTreeSet::new(),
            counted: BTreeSet::new(),
            budget: keep::Budget::new(settings.buffer_bytes, settings.keep_free_bytes),
            expiry_due: now,
            store_trouble: None,
            jobs: VecDeque::new(),
            loading: VecDeque::new(),
            in_pieces: None,
            ready: VecDeque::new(),
            hello_due: false,
            line_trouble: None,
            heartbeat_due: now,
            awake_since: now,
            ticked: now,
            stopping: false,
            is_cut_short: false,
            devices_changed: true,
            obeyed_changed: false,
            ordered: None,
            configuration: None,
            health: None,
            heard: false,
            counters: Counters::default(),
        };
        core.take_over(opened);
        let rules = core.commander.rules();
        core.survival.go_by(rules);
        let duty = core.commander.in_force();
        core.assign(duty, now);
        core.declare_crash(opened, now);
        core.declare_damage(opened, now);
        (core.gateway.clean, core.gateway.loss_undeclared) = (false, false);
        core.drain_sealing(now);
        core
    }

    /// Takes one event.
    pub fn handle(&mut self, event: Event, now: Time) {
        match event {
            Event::Notification(notification) => self.notification(&notification, now),
            Event::Radio(event) => self.radio(event, now),
            Event::Uplink(event) => self.uplink(event, now),
            Event::Store(done) => self.store(done, now),
            Event::Renewed(chain) => self.sealing.set_chain(chain),
            Event::ClockSet => self.clock_set(now),
        }
        self.survive(now);
        self.seal_if_live(now);
        self.drain_sealing(now);
        self.commit_if_quiet(now);
    }

    /// These bytes passed the line since the last call.
    pub fn passed(&mut self, bytes: u64, now: Time) {
        self.day.spend(bytes, now);
        self.allow(now);
    }

    /// What the day's budget lets go.
    fn allow(&mut self, now: Time) -> Allowance {
        let allowance = self.day.allowance(now);
        self.window
            .allow(allowance, self.day.bytes_per_day().is_some());
        allowance
    }

    /// Time passed.
    pub fn tick(&mut self, now: Time) {
        self.stay_awake(now);
        self.survive(now);
        self.allow(now);
        self.declare_overflow(now);
        if self.heartbeat_due <= now {
            self.heartbeat_due = now + self.settings.heartbeat;
            self.heartbeats(now);
        }
        if self.commit_due.is_some_and(|due| due <= now) {
            self.sealing.flush(now);
            self.drain_sealing(now);
            self.merge(now);
            self.drain_sealing(now);
            self.commit(now);
        }
        self.drain_sealing(now);
    }

    /// When [`Core::tick`] or [`Core::poll_message`] has something to do although nothing comes.
    #[must_use]
    pub fn next_deadline(&self) -> Time {
        let commit = self.commit_due.unwrap_or(Time::MAX);
        let window = self.window.next_deadline().unwrap_or(Time::MAX);
        let survival = self.survival.next_deadline();
        commit.min(window).min(self.heartbeat_due).min(survival)
    }

    /// The next thing for the store.
    pub fn poll_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// The devices that the radio shall connect, with the last records taken of each; when that changed.
    pub fn poll_devices(&mut self) -> Option<BTreeMap<Address, Marks>> {
        let marks = |(address, device): (&Address, &Device)| (*address, device.records.marks());
        std::mem::take(&mut self.devices_changed).then(|| self.devices.iter().map(marks).collect())
    }

    /// What was obeyed, when that changed: to be made durable.
    pub fn poll_obeyed(&mut self) -> Option<Obeyed> {
        std::mem::take(&mut self.obeyed_changed).then(|| self.commander.obeyed().clone())
    }

    /// Settings that the centre ordered, and the number of the order: to be judged.
    pub fn poll_ordered(&mut self) -> Option<(u64, String)> {
        self.ordered.take()
    }

    /// Whether the centre proved since the last call that it hears this agent: an authentic receipt or command.
    pub fn poll_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// What became of the centre's settings: told at once, and with every hello.
    pub fn tell_configuration(&mut self, report: Option<ConfigurationReport>) {
        if self.configuration != report {
            self.hello_due |= self.window.is_connected();
            self.configuration = report;
        }
    }

    /// What the doctor found: told at once where it is something else, and with every hello.
    pub fn tell_findings(&mut self, findings: Vec<GatewayFinding>, looked: Time) {
        let news = self.health.as_ref().map(|of| &of.findings) != Some(&findings);
        // Clocks drift: what is known of them is told with each look.
        let known = |device: &Device| clocks::shown(&device.memory, looked).is_some();
        let clocks = self.devices.values().any(known);
        self.hello_due |= (news || clocks) && self.window.is_connected();
        self.health = Some(GatewayHealth {
            looked_us: looked.as_micros(),
            findings,
            clocks: Vec::new(),
        });
    }

    /// As it is told, with the devices' clocks as they are now.
    fn health(&self, now: Time) -> Option<GatewayHealth> {
        let mut health = self.health.clone()?;
        let clock = |device: &Device| {
            let clock = clocks::shown(&device.memory, now)?;
            Some(DeviceClock {
                stream: device.stream.0.to_vec(),
                source: device.source.0.into(),
                ahead_us: clock.ahead_us,
                gains_ppb: clock.gains_ppb,
            })
        };
        health.clocks = self.devices.values().filter_map(clock).collect();
        Some(health)
    }

    /// Intake is over: seals what waits and commits it, marked as a clean end.
    pub fn stop(&mut self, now: Time) {
        self.stopping = true;
        self.heartbeat_due = Time::MAX;
        self.declare_overflow(now);
        for row in self.sealing.rows().keys().copied().collect::<Vec<_>>() {
            self.sealing.row_mut(row).collecting = false;
            self.dirty.insert(row);
        }
        self.sealing.flush(now);
        self.drain_sealing(now);
        self.gateway.clean = !self.is_cut_short;
        self.commit_now(now);
    }

    /// Before [`Core::stop`]: not all that was taken came here.
    pub const fn end_unclean(&mut self) {
        self.is_cut_short = true;
    }

    /// Nothing is measured by this core, so it says no heartbeat: it would tell the centre that somebody watches.
    pub const fn rest(&mut self) {
        self.heartbeat_due = Time::MAX;
    }

    /// Commits what changed without waiting for the interval.
    pub fn commit_now(&mut self, now: Time) {
        self.hurry(now);
        self.tick(now);
    }

    /// After [`Core::stop`]: nothing is left that is not durable.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.committing.is_none() && !self.has_changes()
    }

    /// After [`Core::stop`]: the centre has everything.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.ledger.is_empty()
    }

    /// True while the store does not take commits.
    #[must_use]
    pub const fn is_store_in_trouble(&self) -> bool {
        self.store_trouble.is_some()
    }

    /// True while there is a line to the centre.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.window.is_connected()
    }

    /// Puts what was sealed where it belongs: ledger, window, memory.
    fn drain_sealing(&mut self, now: Time) {
        // Reports for a fresh context are sealed into it, which opens no other: this ends.
        loop {
            let output = self.sealing.take_output();
            if output.is_empty() {
                if !self.sealing.is_waiting() {
                    self.waits_since = None;
                }
                self.hurry_if_much_is_pending(now);
                return;
            }
            for output in output {
                match output {
                    Output::Opened(ordinal, context) => {
                        self.dirty.insert(context.stream);
                        self.ledger.open(ordinal, context.clone());
                        self.report_all(context.stream);
                        self.changes.contexts.push((ordinal, context));
                    }
                    Output::Closed(ordinal) => self.close_if_over(ordinal),
                    Output::Superseded(ids) => self.superseded(&ids),
                    Output::Sealed(sealed) => {
                        self.gateway.readings_sealed += u64::from(sealed.entry.stub.count);
                        self.counted.insert(sealed.entry.stub.stream);
                        self.ledger.add(sealed.id, sealed.entry);
                        let class = delivery::class(&sealed.entry);
                        let stub = &sealed.entry.stub;
                        let is_spot = stub.lane == proto::seal::Lane::Alert && stub.count > 0;
                        if self.waits_for_disk(&sealed.entry) {
                            self.held.insert(sealed.id);
                            self.hurry(now);
                        } else if is_spot && !self.window.is_connected() {
                            // A cuff forgets what it has told, and nobody measures that again.
                            self.window.add(sealed.id, class);
                            self.hurry(now);
                        } else if sealed.gathered {
                            let until = self.parked_until(now);
                            self.window.park(sealed.id, class, until);
                        } else {
                            self.window.add(sealed.id, class);
                        }
                        self.pending.insert(sealed.id, sealed.record);
                        let since = self.waits_since.unwrap_or(now);
                        self.unsaved.insert(sealed.id, since);
                        self.schedule_commit(now);
                    }
                }
            }
            self.seal_if_live(now);
        }
    }

    /// Gathered records wait until they are merged by a commit, which may be late; or until the budget opens.
    fn parked_until(&mut self, now: Time) -> Time {
        let allowance = self.allow(now);
        if allowance == Allowance::Urgent {
            return Time::MAX;
        }
        let metered = self.day.bytes_per_day().is_some();
        let time = if metered { gather(allowance) } else { GATHER };
        now + time + self.settings.commit_interval + GATHER
    }

    fn seal_if_live(&mut self, now: Time) {
        // On a line that does not keep up, a few seconds become one record, and alerts go at once. On a metered one,
        // too, and as much as the day's bytes ask for.
        let allowance = self.allow(now);
        if self.day.bytes_per_day().is_some() {
            let hold = allowance == Allowance::Urgent;
            self.sealing.gather(Some(gather(allowance)), hold);
        } else {
            let gather = self.window.is_slow(now).then_some(GATHER);
            self.sealing.gather(gather, false);
        }
        if self.window.is_live(now) && self.sealing.is_waiting() {
            self.sealing.flush(now);
        }
    }

    /// What waits becomes durable without waiting for the interval's end.
    fn hurry(&mut self, now: Time) {
        self.commit_due = Some(now);
        self.at_once = true;
    }

    fn schedule_commit(&mut self, now: Time) {
        let interval = if self.stopping {
            Span::ZERO
        } else {
            self.settings.commit_interval
        };
        let due = now + interval;
        self.commit_due = Some(self.commit_due.map_or(due, |known| known.min(due)));
    }

    fn declare(&mut self, stream: StreamId, source: u16, reason: GapReason, loss: Loss) {
        self.sealing.declare(stream, source, reason, loss);
    }
}
