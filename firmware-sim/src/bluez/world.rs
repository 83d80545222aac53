//! What all objects of the pretended daemon share: the bus, the adapter's state, the peers, and every change to them.
//!
//! Invariants: no lock but a peer's turn (`Peer::turn`) is held across an await; a peer's values and the end of its link
//! are announced in the order in which they happened; a change of state is announced after it was made; what a task began
//! on one link it does not continue on the next (`Link::number`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use firmware::gatt::Uuid;
use proto::clock::{Clock, wall_now};
use vitals::{Span, Time};
use zbus::Connection;
use zbus::zvariant::Value;

use super::pairing::Agents;
use super::peer::Peer;
use super::{device, objects};

/// The one adapter.
pub(crate) const ADAPTER_PATH: &str = "/org/bluez/hci0";
/// The name on the bus.
pub(crate) const BUS_NAME: &str = "org.bluez";
const DEVICE: &str = "org.bluez.Device1";
const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";
/// From the start of a scan to the first device, and the pace of the link's steps: as measured on the bench with
/// BlueZ 5.66, rounded.
const FIRST_ADVERT: Duration = Duration::from_millis(50);
const LINK_STEP: Duration = Duration::from_millis(20);
/// How often a device that is not connected is heard during a scan.
const ADVERT_PERIOD: Duration = Duration::from_secs(1);
/// Signal strength of the nearest wearable, dBm; each further one is 3 dB weaker.
pub(crate) const NEAREST_RSSI: i16 = -48;

/// One value that left a wearable.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// Which wearable.
    pub address: String,
    /// Which characteristic.
    pub characteristic: Uuid,
    /// Counts the values of this wearable that were sent, from 1.
    pub number: u64,
    /// When, by the simulation's clock.
    pub at: Time,
    /// When, by the wall's clock.
    pub at_wall: Time,
    /// When, for measurements within this process. Taken just before the signal is written.
    pub instant: Instant,
    /// Octets as on the air.
    pub bytes: Vec<u8>,
}

/// Told about every value just before it is sent, in the order of sending for each wearable.
pub type Trace = Arc<dyn Fn(&Emitted) + Send + Sync>;

/// State of the adapter.
#[derive(Debug, Default)]
pub(crate) struct Adapter {
    pub(crate) powered: bool,
    /// By client: the service UUIDs it wants to see; empty = all.
    pub(crate) scans: BTreeMap<String, Vec<String>>,
    /// By client: the filter it set, for its next scan.
    pub(crate) filters: BTreeMap<String, Vec<String>>,
    /// Another program, or the kernel on behalf of a dead daemon, has a scan that nobody here can stop.
    pub(crate) scan_held: bool,
    /// Links that the controller carries; none: as many as are asked for.
    pub(crate) slots: Option<usize>,
    /// Counts scans, so that the task of an old one ends.
    scan_number: u64,
}

/// Everything.
pub(crate) struct World {
    pub(crate) connection: Connection,
    pub(crate) clock: Clock,
    /// Second 0 of the scenario.
    pub(crate) start: Time,
    pub(crate) peers: Vec<Arc<Peer>>,
    /// What the machine is called.
    pub(crate) gateway: String,
    pub(crate) trace: Option<Trace>,
    adapter: Mutex<Adapter>,
    agents: Mutex<Agents>,
    /// Nothing is announced: the daemon is dead, but what it kept changes.
    mute: AtomicBool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("peers", &self.peers.len())
            .finish_non_exhaustive()
    }
}

impl World {
    pub(crate) fn new(
        connection: Connection,
        clock: Clock,
        start: Time,
        gateway: String,
        peers: Vec<Arc<Peer>>,
        trace: Option<Trace>,
    ) -> Self {
        let adapter = Mutex::new(Adapter {
            powered: true,
            ..Adapter::default()
        });
        Self {
            connection,
            clock,
            start,
            peers,
            gateway,
            trace,
            adapter,
            agents: Mutex::default(),
            mute: AtomicBool::new(false),
        }
    }

    pub(crate) fn adapter(&self) -> MutexGuard<'_, Adapter> {
        self.adapter
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn agents(&self) -> MutexGuard<'_, Agents> {
        self.agents
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether changes are kept from the bus.
    pub(crate) fn set_mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::SeqCst);
    }

    /// True if the controller has no slot for one more link.
    pub(crate) fn is_full(&self) -> bool {
        let Some(slots) = self.adapter().slots else {
            return false;
        };
        let used = self.peers.iter().filter(|peer| peer.link().connected);
        used.count() >= slots
    }

    /// Time of the scenario.
    pub(crate) fn now(&self) -> Span {
        self.clock.now().since(self.start)
    }

    /// By Bluetooth address, in any case.
    pub(crate) fn peer(&self, address: &str) -> Option<&Arc<Peer>> {
        self.peers
            .iter()
            .find(|peer| peer.identity.address.eq_ignore_ascii_case(address))
    }

    /// Emits `PropertiesChanged`.
    pub(crate) async fn changed(
        &self,
        path: &str,
        interface: &str,
        properties: &[(&str, Value<'_>)],
    ) -> zbus::Result<()> {
        if self.mute.load(Ordering::SeqCst) {
            return Ok(());
        }
        let properties: HashMap<&str, &Value<'_>> =
            properties.iter().map(|(k, v)| (*k, v)).collect();
        let body = (interface, properties, Vec::<&str>::new());
        self.connection
            .emit_signal(
                None::<&str>,
                path,
                "org.freedesktop.DBus.Properties",
                "PropertiesChanged",
                &body,
            )
            .await
    }

    /// `PropertiesChanged` of a device.
    pub(crate) async fn device_changed(&self, peer: &Peer, properties: &[(&str, Value<'_>)]) {
        if let Err(error) = self.changed(&peer.path, DEVICE, properties).await {
            tracing::warn!(%error, "cannot announce a change of a device");
        }
    }

    // ---- scanning ----

    /// Starts to show devices to `client`; false if it scans already.
    pub(crate) fn start_scan(self: &Arc<Self>, client: &str) -> bool {
        let (number, first) = {
            let mut adapter = self.adapter();
            if adapter.scans.contains_key(client) {
                return false;
            }
            let first = adapter.scans.is_empty();
            let filter = adapter.filters.get(client).cloned().unwrap_or_default();
            adapter.scans.insert(client.into(), filter);
            if first {
                adapter.scan_number += 1;
            }
            (adapter.scan_number, first)
        };
        if first {
            tokio::spawn(Arc::clone(self).scan(number));
        }
        true
    }

    /// Ends the scan of `client`; `None` if it had none, else true if nobody scans any more.
    pub(crate) fn stop_scan(&self, client: &str) -> Option<bool> {
        let mut adapter = self.adapter();
        adapter.scans.remove(client)?;
        Some(adapter.scans.is_empty())
    }

    async fn scan(self: Arc<Self>, number: u64) {
        tokio::time::sleep(FIRST_ADVERT).await;
        for round in 0i16.. {
            for (place, peer) in (0i16..).zip(&self.peers) {
                let wanted = {
                    let adapter = self.adapter();
                    if adapter.scan_number != number || adapter.scans.is_empty() || !adapter.powered
                    {
                        return;
                    }
                    let uuids = peer.uuids();
                    adapter.scans.values().any(|filter| {
                        filter.is_empty() || filter.iter().any(|uuid| uuids.contains(uuid))
                    })
                };
                if wanted {
                    self.advertise(peer, NEAREST_RSSI - 3 * place - (round + place) % 3)
                        .await;
                }
            }
            tokio::time::sleep(ADVERT_PERIOD).await;
        }
    }

    /// The adapter hears an advert: a new device appears, a known one changes its signal strength. A connected
    /// peripheral does not advertise.
    pub(crate) async fn advertise(self: &Arc<Self>, peer: &Arc<Peer>, rssi: i16) {
        let advert = peer.wearable().advert(self.now());
        let new = {
            let mut link = peer.link();
            if link.connected {
                return;
            }
            link.rssi = Some(rssi);
            link.advert.clone_from(&advert);
            !std::mem::replace(&mut link.known, true)
        };
        if new {
            if let Err(error) = objects::add_device(self, peer).await {
                tracing::warn!(%error, "cannot add a device");
            }
        } else {
            let mut changes = vec![("RSSI", rssi.into())];
            changes.extend(advert.map(|advert| device::advertised(&advert)));
            self.device_changed(peer, &changes).await;
        }
    }

    // ---- link ----

    /// The link is up: announce it, then resolve services in the background.
    pub(crate) async fn link_up(self: &Arc<Self>, peer: &Arc<Peer>) {
        let number = {
            let mut link = peer.link();
            link.connecting = false;
            link.connected = true;
            link.number += 1;
            link.number
        };
        self.device_changed(peer, &[("Connected", true.into())])
            .await;
        tokio::spawn(Arc::clone(self).resolve(Arc::clone(peer), number));
    }

    /// Service discovery: the daemon first enables again what was subscribed on the former link.
    async fn resolve(self: Arc<Self>, peer: Arc<Peer>, number: u64) {
        tokio::time::sleep(LINK_STEP).await;
        let (export, hide, wrong_key) = {
            let mut link = peer.link();
            if link.number != number || !link.connected {
                return;
            }
            let hide = link.hide_services || link.services_lost;
            let wrong_key = link.bonded && link.spoofed;
            link.set_sessions_active(!hide && !wrong_key);
            peer.wake.notify_one();
            let export = !hide && !wrong_key && !std::mem::replace(&mut link.exported, true);
            (export, hide, wrong_key)
        };
        if wrong_key {
            // Who does not have the key of the bond cannot encrypt, and the kernel ends the link.
            self.link_down(&peer).await;
            return;
        }
        let outcome = if hide {
            objects::remove_services(&self, &peer).await
        } else if export {
            objects::add_services(&self, &peer).await
        } else {
            Ok(())
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "cannot show or hide services");
        }
        let started = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(LINK_STEP).await;
            if started.elapsed() >= peer.link().discovery_delay {
                break;
            }
        }
        {
            let mut link = peer.link();
            if link.number != number || !link.connected {
                return;
            }
            link.resolved = true;
        }
        let uuids = if hide { Vec::new() } else { peer.uuids() };
        let changes = [
            ("UUIDs", Value::from(uuids)),
            ("ServicesResolved", true.into()),
        ];
        self.device_changed(&peer, &changes).await;
    }

    /// The link goes down, whoever wanted it; false if there was none. Order as measured: services first.
    pub(crate) async fn link_down(&self, peer: &Peer) -> bool {
        let _turn = peer.turn().await;
        let resolved = {
            let mut link = peer.link();
            if !link.connected {
                return false;
            }
            link.connected = false;
            link.set_sessions_active(false);
            if let Some(cancel) = link.pairing.take() {
                cancel.notify_one();
            }
            std::mem::take(&mut link.resolved)
        };
        if resolved {
            self.device_changed(peer, &[("ServicesResolved", false.into())])
                .await;
        }
        self.device_changed(peer, &[("Connected", false.into())])
            .await;
        true
    }

    // ---- values ----

    /// A wearable sends a value; `None` if nobody hears it.
    pub(crate) async fn push(&self, peer: &Peer, uuid: Uuid, bytes: Vec<u8>) -> Option<Emitted> {
        let path = &peer.find(uuid)?.path;
        let _turn = peer.turn().await;
        let number = {
            let mut link = peer.link();
            if !link.heard(uuid) {
                link.unheard += 1;
                return None;
            }
            link.values.insert(uuid, bytes.clone());
            link.sent += 1;
            link.sent
        };
        let emitted = Emitted {
            address: peer.identity.address.clone(),
            characteristic: uuid,
            number,
            at: self.clock.now(),
            at_wall: wall_now(),
            instant: Instant::now(),
            bytes,
        };
        if let Some(trace) = &self.trace {
            trace(&emitted);
        }
        self.announce_value(path, &emitted.bytes).await;
        Some(emitted)
    }

    /// `PropertiesChanged(Value)`: for a notification, and as the real daemon does, for a read.
    pub(crate) async fn announce_value(&self, path: &str, bytes: &[u8]) {
        if let Err(error) = self
            .changed(path, CHARACTERISTIC, &[("Value", bytes.into())])
            .await
        {
            tracing::warn!(%error, "cannot announce a value");
        }
    }

    /// `PropertiesChanged(Notifying)`.
    pub(crate) async fn announce_notifying(&self, path: &str, notifying: bool) {
        let changes = [("Notifying", notifying.into())];
        if let Err(error) = self.changed(path, CHARACTERISTIC, &changes).await {
            tracing::warn!(%error, "cannot announce a subscription");
        }
    }

    /// Runs a wearable for ever: what its firmware makes is pushed when it is due.
    pub(crate) async fn wear(self: Arc<Self>, peer: Arc<Peer>) {
        loop {
            let now = self.now();
            let listening = peer.link().listening();
            let (emissions, next) = {
                let mut wearable = peer.wearable();
                wearable.listen(listening);
                let emissions = wearable.advance_to(now);
                (emissions, wearable.next_due())
            };
            for emission in emissions {
                let value = emission.value;
                let sent = self
                    .push(&peer, value.characteristic, value.bytes.clone())
                    .await;
                if sent.is_none() {
                    peer.wearable().undelivered(now, value);
                }
            }
            let wait = self.clock.real(next - self.now());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = peer.wake.notified() => {}
            }
        }
    }

    /// A client left the bus: its scans, sessions and agent end; links stay, as measured.
    pub(crate) async fn forget_client(&self, client: &str) {
        self.agents().forget_client(client);
        let scan_ended = {
            let mut adapter = self.adapter();
            adapter.filters.remove(client);
            adapter.scans.remove(client).is_some() && adapter.scans.is_empty()
        };
        for peer in &self.peers {
            peer.link().forget_client(client);
        }
        if scan_ended {
            self.announce_discovering(false).await;
        }
    }

    /// `PropertiesChanged(Discovering)`.
    pub(crate) async fn announce_discovering(&self, discovering: bool) {
        let changes = [("Discovering", discovering.into())];
        if let Err(error) = self
            .changed(ADAPTER_PATH, "org.bluez.Adapter1", &changes)
            .await
        {
            tracing::warn!(%error, "cannot announce a change of the adapter");
        }
    }
}
