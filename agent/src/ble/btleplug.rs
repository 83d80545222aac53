//! The only file that names btleplug: carries out what the pure [`Radio`] decides, on BlueZ over D-Bus.
//!
//! What was measured about btleplug and `BlueZ`, and what follows here:
//! * a dropped `Manager` leaks its D-Bus connection, each connect may leak match rules, and nothing recovers when
//!   the bus dies: one process has one manager, and ends when anything of that fails it;
//! * the adapter's event stream also carries every value and is unbounded: it is drained always, by this loop,
//!   which waits for nothing else (slow calls are futures beside it, queues out are filled without waiting);
//! * a notify session outlives its link, and values come before the next subscription: one notification
//!   stream per peripheral, opened before the first subscription and kept for life, on the same object;
//! * reading a value makes it appear as a notification: such echoes are dropped, and only what was subscribed
//!   to counts;
//! * the daemon's restart is silent, and "connected" may be said for ever: its name is watched, links are asked
//!   for regularly, and the pure machine has a watchdog on the data;
//! * a device whose first connect fails is forgotten, and that call is never answered: it is looked for meanwhile;
//! * a scan that cannot be started says so in no event: after several the worker starts afresh;
//! * dropping a stream can panic in a background task: [`quiet_known_panic`] keeps that one off the log.

mod adverts;
mod attempt;
mod check;
mod commands;
mod panic;
mod polar;
pub mod probe;
mod recovery;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use btleplug::api::{
    Central as _, CentralEvent, CentralState, Manager as _, Peripheral as _, ValueNotification,
};
use btleplug::platform::{Adapter, Manager, Peripheral, PeripheralId};
use futures_util::stream::{FuturesUnordered, SelectAll};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use proto::clock::Clock;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

pub use self::panic::quiet_known_panic;

use self::attempt::{Attempt, Failure, READ_FOR_ABOUT, read_about};
use self::recovery::Recovery;
use super::adverts::{Adverts, Data};
use super::bluez;
use super::link::{Input, Limits};
use super::pipe::Setup;
use super::radio::{Command, Radio, ScanWindows};
use super::slots::Sharing;
use super::worker::{Orders, Out};
use super::{About, Address, LinkState, Notification, RadioEvent};

/// Real time for one subscription or read: a device that wants pairing hangs for 30 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Real time between checks that daemon and links still are what they seem.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// An echo of a read comes within this real time after its answer.
const ECHO: Duration = Duration::from_secs(1);
/// Scans in a row that may fail to start.
const MOST_FAILED_SCANS: u32 = 4;
/// Values kept of a device that has not yet proved who it is: a minute of a strap, where reading takes that long.
const MOST_HELD: usize = 256;
/// What the bus says when a connection has used up its match rules.
const RULES_USED_UP: &str = "more match rules";

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Values = Pin<Box<dyn Stream<Item = (Address, ValueNotification)> + Send>>;

/// The radio of one worker process.
#[derive(Debug)]
pub struct Bluetooth {
    /// How it shall work.
    pub setup: Setup,
    /// The house's clock.
    pub clock: Clock,
    /// Where values and news go.
    pub out: Out,
    /// What the agent wants.
    pub orders: Orders,
}

impl Bluetooth {
    /// Works until it is told to stop.
    ///
    /// # Errors
    /// Why this process can do no more, for people: a fresh one must take over.
    pub async fn run(self) -> Result<(), String> {
        let limits = Limits {
            silence: self.setup.silence,
            ..Limits::default()
        };
        let sharing = Sharing {
            most: self.setup.most_links,
            ..Sharing::default()
        };
        let mut radio = Radio::new(limits, ScanWindows::default(), sharing);
        let mut session = Session::open(&self).await?;
        self.out.event(RadioEvent::Health(None));
        self.out.alive();
        session.run(&self, &mut radio).await?;
        session.close(&radio, &self.setup).await;
        Ok(())
    }
}

/// A peripheral that was connected once; kept for life.
struct Peer {
    peripheral: Peripheral,
    /// (service, characteristic) that were subscribed to; also after the link dropped, because the notify
    /// session outlives it.
    subscribed: HashSet<(u128, u128)>,
    /// It sent a value since the last look at its link.
    heard: bool,
    /// It proved on this link to be the device that it is held to.
    proved: bool,
    /// What it sent before it did.
    held: Vec<Notification>,
    /// Polar's streams that were asked for with the device's own settings on this link.
    asked: HashSet<u8>,
    /// Characteristics whose next value is the echo of a read: until then, or for as long as the read lasts.
    echoes: HashMap<u128, Option<Instant>>,
}

enum Outcome {
    Attempt(Address, Box<Attempt>),
    Scan { started: bool },
    Plain,
}

/// One `Manager`, one adapter, one event stream.
struct Session {
    _manager: Manager,
    adapter: Adapter,
    /// Such as "hci0".
    name: String,
    events: Pin<Box<dyn Stream<Item = CentralEvent> + Send>>,
    ids: BTreeMap<Address, PeripheralId>,
    peers: HashMap<Address, Peer>,
    values: SelectAll<Values>,
    /// Scan, connect, disconnect: one after the other, in the order decided.
    queue: VecDeque<Command>,
    running: Option<Task<Outcome>>,
    /// What devices say about themselves, read beside everything else.
    reads: FuturesUnordered<Task<(Address, About)>>,
    check: Option<Task<Checked>>,
    /// Resolves when the daemon changed hands or the bus died.
    daemon: oneshot::Receiver<&'static str>,
    failed_scans: u32,
    recovery: Recovery,
    adverts: Adverts,
    /// Requests to Polar sensors, written beside everything else.
    requests: FuturesUnordered<Task<()>>,
}

/// Links that are not what they seem; or why the daemon cannot be asked.
type Checked = Result<Vec<(Address, Input)>, String>;

impl Session {
    async fn open(bluetooth: &Bluetooth) -> Result<Self, String> {
        let text = |error: btleplug::Error| error.to_string();
        let watch = tokio::task::spawn_blocking(bluez::watch_daemon);
        let daemon = watch.await.map_err(|error| error.to_string())??;
        let manager = within(Manager::new()).await?;
        let mut chosen = None;
        for adapter in within(manager.adapters()).await? {
            let info = adapter.adapter_info().await.map_err(text)?;
            let name = info.split(' ').next().unwrap_or_default();
            if bluetooth
                .setup
                .adapter
                .as_deref()
                .is_none_or(|wanted| wanted == name)
            {
                chosen = Some((adapter, name.to_owned()));
                break;
            }
        }
        let (adapter, name) = chosen.ok_or_else(|| match &bluetooth.setup.adapter {
            Some(name) => {
                format!("there is no Bluetooth adapter {name}: see `adapter` in config.toml")
            }
            None => "there is no Bluetooth adapter".to_owned(),
        })?;
        let events = within(adapter.events()).await?;
        Ok(Self {
            _manager: manager,
            adapter,
            name,
            events,
            ids: BTreeMap::new(),
            peers: HashMap::new(),
            values: SelectAll::new(),
            queue: VecDeque::new(),
            running: None,
            reads: FuturesUnordered::new(),
            check: None,
            daemon,
            failed_scans: 0,
            recovery: Recovery::default(),
            adverts: Adverts::default(),
            requests: FuturesUnordered::new(),
        })
    }

    /// `Ok` when told to stop.
    async fn run(&mut self, bluetooth: &Bluetooth, radio: &mut Radio) -> Result<(), String> {
        let clock = bluetooth.clock;
        let orders = &bluetooth.orders;
        let (mut stop, mut assigned) = (orders.stop.clone(), orders.devices.clone());
        let devices = assigned.borrow_and_update().keys().copied().collect();
        radio.assign(&devices, clock.now());
        let mut check = interval(CHECK_EVERY);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.obey(bluetooth, radio);
            self.tell(bluetooth, radio);
            let now = clock.now();
            let due = radio.next_deadline(now);
            let due = due.into_iter().chain(self.recovery.next_deadline()).min();
            let pause = due.map_or(Duration::from_secs(3600), |due| clock.real(due.since(now)));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                Some((address, value)) = self.values.next(), if !self.values.is_empty() => {
                    self.value(address, value, bluetooth, radio);
                }
                event = self.events.next() => match event {
                    Some(event) => self.event(event, bluetooth, radio)?,
                    None => return Err("the adapter's events ended".into()),
                },
                why = &mut self.daemon => {
                    return Err(why.unwrap_or("nobody watches the Bluetooth daemon").into());
                }
                outcome = next(&mut self.running) => self.outcome(outcome, bluetooth, radio)?,
                Some((address, about)) = self.reads.next(), if !self.reads.is_empty() => {
                    self.about(address, about, bluetooth);
                }
                Some(()) = self.requests.next(), if !self.requests.is_empty() => {}
                written = self.recovery.written() => self.recovery.wrote(written, clock.now()),
                checked = next(&mut self.check) => {
                    let checked = checked?;
                    bluetooth.out.alive();
                    let refused = self.adverts.take_refused();
                    if !refused.is_empty() {
                        bluetooth.out.event(RadioEvent::Adverts(refused));
                    }
                    for (address, input) in checked {
                        radio.handle(address, input, clock.now(), rand::random());
                    }
                }
                Ok(()) = assigned.changed() => {
                    let wanted = assigned.borrow_and_update();
                    self.recovery.taken(&wanted);
                    let devices = wanted.keys().copied().collect();
                    drop(wanted);
                    self.adverts.keep(&devices);
                    if radio.assign(&devices, clock.now()) {
                        self.meet_again(radio, clock);
                    }
                }
                _ = check.tick() => self.start_check(radio),
                () = tokio::time::sleep(pause) => {
                    self.recovery.turn(clock.now());
                    radio.tick(clock.now(), rand::random());
                }
            }
        }
    }

    fn tell(&mut self, bluetooth: &Bluetooth, radio: &mut Radio) {
        while let Some((address, state)) = radio.poll_change() {
            if state != LinkState::Connected {
                self.recovery.lost(address);
                if let Some(peer) = self.peers.get_mut(&address) {
                    peer.proved = false;
                    peer.asked.clear();
                }
            }
            bluetooth.out.event(RadioEvent::Link(address, state));
        }
        while let Some((address, profile, outcome)) = self.recovery.poll_over() {
            tracing::debug!(%address, ?profile, ?outcome, "stored records");
            let event = RadioEvent::Records(address, profile, outcome);
            bluetooth.out.event(event);
        }
    }

    /// Leaves no link behind, within a second: a device that stays connected cannot be found by others.
    async fn close(&mut self, radio: &Radio, setup: &Setup) {
        let connected = radio.connected();
        let links: Vec<Peripheral> = connected
            .filter_map(|address| Some(self.peers.get(&address)?.peripheral.clone()))
            .collect();
        let all = futures_util::future::join_all(links.iter().map(|link| async {
            polar::stop(link, &setup.polar_streams).await;
            link.disconnect().await
        }));
        let _whatever_is_left = timeout(Duration::from_secs(1), all).await;
    }

    /// Devices that were seen before they were assigned are known already: `BlueZ` may not tell again.
    fn meet_again(&self, radio: &mut Radio, clock: Clock) {
        for address in self.ids.keys() {
            radio.handle(*address, Input::Seen, clock.now(), rand::random());
        }
    }

    fn value(
        &mut self,
        address: Address,
        value: ValueNotification,
        bluetooth: &Bluetooth,
        radio: &mut Radio,
    ) {
        let Some(peer) = self.peers.get_mut(&address) else {
            return;
        };
        let (service, characteristic) = (value.service_uuid.as_u128(), value.uuid.as_u128());
        if !peer.subscribed.contains(&(service, characteristic)) || !radio.is_assigned(address) {
            return;
        }
        if let Some(until) = peer.echoes.get(&characteristic).copied() {
            let read_runs = until.is_none();
            if !read_runs {
                peer.echoes.remove(&characteristic);
            }
            if until.is_none_or(|until| Instant::now() < until) {
                return;
            }
        }
        peer.heard = true;
        let received = bluetooth.clock.now();
        let notification = Notification {
            device: address,
            service,
            characteristic,
            value: value.value,
            received,
        };
        if peer.proved {
            self.hand_on(notification, bluetooth, radio);
        } else if peer.held.len() < MOST_HELD {
            peer.held.push(notification);
        } else {
            bluetooth.out.missed(&notification);
        }
    }

    fn hand_on(&mut self, value: Notification, bluetooth: &Bluetooth, radio: &mut Radio) {
        radio.handle(value.device, Input::Value, value.received, 0);
        if let Some(peer) = self.peers.get_mut(&value.device)
            && let Some(request) = polar::answer(&peer.peripheral, &mut peer.asked, &value)
        {
            self.requests.push(request);
        }
        if !self.recovery.heard(&value) {
            bluetooth.out.value(value);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "foreign, and what else there may be is no news here"
    )]
    fn event(
        &mut self,
        event: CentralEvent,
        bluetooth: &Bluetooth,
        radio: &mut Radio,
    ) -> Result<(), String> {
        let (id, input) = match event {
            CentralEvent::DeviceDiscovered(id) => {
                if let Some(address) = address_of(&id)
                    && !radio.is_assigned(address)
                {
                    bluetooth.out.event(RadioEvent::Unassigned(address));
                }
                (id, Input::Seen)
            }
            CentralEvent::DeviceDisconnected(id) => (id, Input::Dropped),
            CentralEvent::ManufacturerDataAdvertisement {
                id,
                manufacturer_data,
            } => {
                for (company, data) in &manufacturer_data {
                    let data = Data::Manufacturer(*company, data);
                    self.advert(&id, data, bluetooth, radio);
                }
                (id, Input::Seen)
            }
            CentralEvent::ServiceDataAdvertisement { id, service_data } => {
                for (service, data) in &service_data {
                    let service = vitals::gatt::short(service.as_u128());
                    if let Some(service) = service {
                        let data = Data::Service(service, data);
                        self.advert(&id, data, bluetooth, radio);
                    }
                }
                (id, Input::Seen)
            }
            CentralEvent::DeviceConnected(id)
            | CentralEvent::DeviceUpdated(id)
            | CentralEvent::RssiUpdate { id, .. }
            | CentralEvent::ServicesAdvertisement { id, .. } => (id, Input::Seen),
            CentralEvent::StateUpdate(CentralState::PoweredOff) => {
                return Err("the Bluetooth adapter is switched off".into());
            }
            _ => return Ok(()),
        };
        if let Some(address) = address_of(&id) {
            self.ids.insert(address, id);
            radio.handle(address, input, bluetooth.clock.now(), rand::random());
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        outcome: Outcome,
        bluetooth: &Bluetooth,
        radio: &mut Radio,
    ) -> Result<(), String> {
        let (address, attempt) = match outcome {
            Outcome::Attempt(address, attempt) => (address, *attempt),
            Outcome::Scan { started: true } => {
                self.failed_scans = 0;
                return Ok(());
            }
            Outcome::Scan { started: false } => {
                self.failed_scans += 1;
                return match self.failed_scans {
                    MOST_FAILED_SCANS => Err("the adapter does not scan any more".into()),
                    _ => Ok(()),
                };
            }
            Outcome::Plain => return Ok(()),
        };
        let now = bluetooth.clock.now();
        if let Some(values) = attempt.values {
            self.values.push(values);
        }
        let peer = attempt.peripheral.map(|peripheral| {
            self.peers.entry(address).or_insert_with(|| Peer {
                peripheral,
                subscribed: HashSet::new(),
                heard: false,
                proved: false,
                held: Vec::new(),
                asked: HashSet::new(),
                echoes: HashMap::new(),
            })
        });
        let input = match attempt.failure {
            None => Input::Subscribed {
                characteristics: attempt.subscribed.len(),
                streams: attempt.streams,
            },
            Some(Failure::Vanished) => {
                self.ids.remove(&address);
                Input::Vanished
            }
            Some(Failure::Other(error)) if error.contains(RULES_USED_UP) => {
                return Err("D-Bus gives this worker no more match rules".into());
            }
            Some(Failure::Impostor(what)) => {
                tracing::warn!(what, "another device answers under an assigned address");
                let told = RadioEvent::Impostor(address, what.into());
                bluetooth.out.event(told);
                self.adverts.distrust(address, true);
                Input::Refused
            }
            Some(Failure::Empty) => {
                let adapter = self.name.clone();
                // Cached services that are broken stay so until the daemon forgets the device.
                drop(tokio::task::spawn_blocking(move || {
                    if let Err(error) = bluez::forget(&adapter, address) {
                        tracing::debug!(%address, error, "a device without services stays");
                    }
                }));
                Input::Vanished
            }
            Some(Failure::Other(error)) => {
                tracing::debug!(%address, error, "connecting failed");
                Input::ConnectFailed
            }
        };
        radio.handle(address, Input::Connected, now, rand::random());
        radio.handle(address, input, now, rand::random());
        let Some(peer) = peer else {
            return Ok(());
        };
        let held = std::mem::take(&mut peer.held);
        if attempt.subscribed.is_empty() {
            // Who proved who it is before the attempt failed is believed what it sent meanwhile.
            for value in held {
                if attempt.proved {
                    self.hand_on(value, bluetooth, radio);
                } else {
                    bluetooth.out.missed(&value);
                }
            }
            return Ok(());
        }
        peer.proved = true;
        self.adverts.distrust(address, false);
        for known in READ_FOR_ABOUT {
            peer.echoes.insert(known.uuid(), None);
        }
        bluetooth.out.met(address, attempt.met.clone());
        peer.subscribed = attempt.subscribed;
        for told in attempt.told {
            bluetooth.out.value(Notification {
                device: address,
                service: told.service,
                characteristic: told.characteristic,
                value: told.value,
                received: told.received,
            });
        }
        let peripheral = peer.peripheral.clone();
        let marks = bluetooth.orders.devices.borrow().get(&address).copied();
        self.recovery
            .begin(address, &peripheral, marks.unwrap_or_default(), now);
        for value in held {
            self.hand_on(value, bluetooth, radio);
        }
        let met = attempt.met;
        self.reads
            .push(async move { (address, read_about(&peripheral, met).await) }.boxed());
        if attempt.unknown > 0 {
            bluetooth
                .out
                .event(RadioEvent::UnknownProfiles(address, attempt.unknown));
        }
        Ok(())
    }

    fn about(&mut self, address: Address, about: About, bluetooth: &Bluetooth) {
        if let Some(peer) = self.peers.get_mut(&address) {
            let until = Instant::now() + ECHO;
            for echo in peer.echoes.values_mut() {
                *echo = Some(until);
            }
        }
        bluetooth.out.event(RadioEvent::About(address, about));
    }
}

/// Waits for a task that may not be there; takes it out when it is done.
async fn next<T>(task: &mut Option<Task<T>>) -> T {
    match task {
        Some(running) => {
            let done = running.await;
            *task = None;
            done
        }
        None => std::future::pending().await,
    }
}

/// A call with a time limit and its error as text for people.
async fn within<T>(call: impl Future<Output = Result<T, btleplug::Error>>) -> Result<T, String> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the Bluetooth daemon does not answer".into()),
    }
}

/// The address in an id such as "hci0/dev_AA_BB_CC_DD_EE_FF": asking `BlueZ` for it would cost a round trip
/// per advert.
fn address_of(id: &PeripheralId) -> Option<Address> {
    let text = id.to_string();
    Address::parse(text.rsplit_once("dev_")?.1)
}
