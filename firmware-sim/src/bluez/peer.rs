//! One wearable as the daemon sees it: object path, link, attribute handles, notify sessions.
//!
//! Invariants: values flow only while `connected`, to characteristics with an active session, unless silenced; a session
//! belongs to one client, survives a drop as inactive, and is active again before services are announced as resolved
//! (measured on BlueZ 5.66).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use firmware::gatt::{self, Characteristic, Service, Uuid};

use tokio::sync::Notify;

use super::pairing::Cancel;
use crate::wearable::{Advert, Identity, Pairing, Wearable};

/// The first handle that a peripheral's own services get.
const FIRST_HANDLE: u16 = 0x0010;

/// Writes that are remembered, for tests.
const MOST_WRITTEN: usize = 64;

/// A wearable and its link.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Name and address.
    pub(crate) identity: Identity,
    /// `/org/bluez/hci0/dev_..`.
    pub(crate) path: String,
    /// What it asks of who wants its values.
    pub(crate) pairing: Pairing,
    /// The daemon's view of its attribute table.
    pub(crate) services: Vec<ServiceAt>,
    wearable: Mutex<Wearable>,
    link: Mutex<Link>,
    turn: tokio::sync::Mutex<()>,
    /// Told when the wearable may have something to say out of turn: it was written to, somebody listens.
    pub(crate) wake: Notify,
}

/// A service with its place in the object tree.
#[derive(Clone, Debug)]
pub(crate) struct ServiceAt {
    pub(crate) path: String,
    pub(crate) service: Service,
    pub(crate) characteristics: Vec<CharacteristicAt>,
}

/// A characteristic with its place in the object tree.
#[derive(Clone, Debug)]
pub(crate) struct CharacteristicAt {
    pub(crate) path: String,
    pub(crate) characteristic: Characteristic,
    /// Path of the client configuration descriptor, where there is one.
    pub(crate) configuration: Option<String>,
}

/// The changing part.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The daemon has a Device1 object for it.
    pub(crate) known: bool,
    /// The daemon has its GATT objects.
    pub(crate) exported: bool,
    pub(crate) connecting: bool,
    pub(crate) connected: bool,
    pub(crate) resolved: bool,
    /// Counts links, so that what was started on an old one does nothing on a new one.
    pub(crate) number: u64,
    pub(crate) rssi: Option<i16>,
    /// What its last advert carried.
    pub(crate) advert: Option<Advert>,
    /// So many connects fail before one succeeds.
    pub(crate) fail_connects: u32,
    /// Connected but says nothing.
    pub(crate) silent: bool,
    /// Services resolve to nothing (bluez/bluez#1489).
    pub(crate) hide_services: bool,
    /// The same, until the daemon forgets the device.
    pub(crate) services_lost: bool,
    /// Nothing but the battery can be subscribed to.
    pub(crate) refuses: bool,
    /// Discovery of services takes so much longer.
    pub(crate) discovery_delay: Duration,
    /// There is a bond: keys on both sides.
    pub(crate) bonded: bool,
    /// A pairing is under way.
    pub(crate) pairing: Option<Cancel>,
    /// Something else answers under this address.
    pub(crate) spoofed: bool,
    /// By characteristic: client -> session is active.
    sessions: BTreeMap<Uuid, BTreeMap<String, bool>>,
    /// What was written, oldest first; only the last few.
    pub(crate) written: VecDeque<(Uuid, Vec<u8>)>,
    /// Last value seen by the daemon.
    pub(crate) values: BTreeMap<Uuid, Vec<u8>>,
    /// Values that went out.
    pub(crate) sent: u64,
    /// Values that the wearable made while nobody was there to take them.
    pub(crate) unheard: u64,
}

/// What came of `StartNotify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscribed {
    /// The first session of this characteristic.
    First,
    /// There was one before.
    Again,
    /// This client's session waits for the link.
    Waiting,
    /// There is no link.
    NoLink,
}

impl Link {
    /// Opens a session for `client`.
    pub(crate) fn subscribe(&mut self, uuid: Uuid, client: &str) -> Subscribed {
        let sessions = self.sessions.entry(uuid).or_default();
        match sessions.get(client) {
            Some(true) => return Subscribed::Again,
            Some(false) => return Subscribed::Waiting,
            None if !self.connected => return Subscribed::NoLink,
            None => {}
        }
        let first = sessions.is_empty();
        sessions.insert(client.into(), true);
        if first {
            Subscribed::First
        } else {
            Subscribed::Again
        }
    }

    /// Ends the session of `client`; `None` if it had none, else true if it was the last.
    pub(crate) fn unsubscribe(&mut self, uuid: Uuid, client: &str) -> Option<bool> {
        let sessions = self.sessions.get_mut(&uuid)?;
        sessions.remove(client)?;
        Some(sessions.is_empty())
    }

    /// Ends all sessions of a client that left the bus.
    pub(crate) fn forget_client(&mut self, client: &str) {
        for sessions in self.sessions.values_mut() {
            sessions.remove(client);
        }
    }

    /// Remembers a write.
    pub(crate) fn wrote(&mut self, uuid: Uuid, octets: Vec<u8>) {
        if self.written.len() == MOST_WRITTEN {
            self.written.pop_front();
        }
        self.written.push_back((uuid, octets));
    }

    /// Ends all sessions: the daemon itself went away.
    pub(crate) fn forget_sessions(&mut self) {
        self.sessions.clear();
    }

    /// True if somebody has a session, active or waiting.
    pub(crate) fn notifying(&self, uuid: Uuid) -> bool {
        self.sessions
            .get(&uuid)
            .is_some_and(|sessions| !sessions.is_empty())
    }

    /// True if a value of this characteristic would reach somebody now.
    pub(crate) fn heard(&self, uuid: Uuid) -> bool {
        !self.silent && self.subscribed(uuid)
    }

    /// All that would reach somebody now.
    pub(crate) fn listening(&self) -> BTreeSet<Uuid> {
        let all = self.sessions.keys().copied();
        all.filter(|uuid| self.heard(*uuid)).collect()
    }

    /// True if a session of this characteristic is active, even where the wearable is silent.
    pub(crate) fn subscribed(&self, uuid: Uuid) -> bool {
        let sessions = self.sessions.get(&uuid);
        self.connected && sessions.is_some_and(|all| all.values().any(|active| *active))
    }

    /// (De)activates all sessions with the link.
    pub(crate) fn set_sessions_active(&mut self, active: bool) {
        for sessions in self.sessions.values_mut() {
            sessions.values_mut().for_each(|session| *session = active);
        }
    }
}

impl Peer {
    /// Below the adapter's path.
    pub(crate) fn new(adapter: &str, wearable: Wearable) -> Self {
        let identity = wearable.identity().clone();
        let path = format!("{adapter}/dev_{}", identity.address.replace(':', "_"));
        let services = lay_out(&path, &wearable.services());
        Self {
            identity,
            path,
            pairing: wearable.pairing(),
            services,
            wearable: Mutex::new(wearable),
            link: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The link's state. Never held across an await.
    pub(crate) fn link(&self) -> MutexGuard<'_, Link> {
        self.link
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Who holds it announces what happens to this peer next.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The wearable itself. Never held across an await, never taken while `link` is held.
    pub(crate) fn wearable(&self) -> MutexGuard<'_, Wearable> {
        self.wearable
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where a characteristic lies; the first one where a service repeats it.
    pub(crate) fn find(&self, uuid: Uuid) -> Option<&CharacteristicAt> {
        self.services
            .iter()
            .flat_map(|service| &service.characteristics)
            .find(|at| at.characteristic.uuid == uuid)
    }

    /// True if a characteristic wants a link that is encrypted with a bond: everything of a device that pairs, but for
    /// what anybody may know (battery, who made it).
    pub(crate) fn protects(&self, uuid: Uuid) -> bool {
        let open = [gatt::BATTERY, gatt::DEVICE_INFORMATION];
        let is_open = |c: &Characteristic| c.uuid == uuid;
        self.pairing != Pairing::None && !open.iter().any(|s| s.characteristics.iter().any(is_open))
    }

    /// Long forms of the services' UUIDs.
    pub(crate) fn uuids(&self) -> Vec<String> {
        self.services
            .iter()
            .map(|at| at.service.uuid.to_string())
            .collect()
    }
}

/// Numbers attributes as a server does: service, then for each characteristic declaration, value, configuration.
fn lay_out(device: &str, services: &[Service]) -> Vec<ServiceAt> {
    let mut handle = FIRST_HANDLE;
    let mut next = |count: u16| {
        let this = handle;
        handle += count;
        this
    };
    let lay_out_one = |service: &Service| {
        let path = format!("{device}/service{:04x}", next(1));
        let characteristics = service
            .characteristics
            .iter()
            .map(|&characteristic| {
                let own = format!("{path}/char{:04x}", next(2));
                let configuration = characteristic
                    .access
                    .pushes()
                    .then(|| format!("{own}/desc{:04x}", next(1)));
                CharacteristicAt {
                    path: own,
                    characteristic,
                    configuration,
                }
            })
            .collect();
        ServiceAt {
            path,
            service: *service,
            characteristics,
        }
    };
    services.iter().map(lay_out_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_follow_the_attribute_table() {
        let laid = lay_out("/d", &[gatt::HEART_RATE, gatt::BATTERY]);
        let paths: Vec<&str> = laid
            .iter()
            .flat_map(|s| &s.characteristics)
            .map(|c| c.path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "/d/service0010/char0011",
                "/d/service0010/char0014",
                "/d/service0016/char0017"
            ]
        );
        let configuration = laid
            .first()
            .and_then(|s| s.characteristics.first()?.configuration.clone());
        assert_eq!(
            configuration.as_deref(),
            Some("/d/service0010/char0011/desc0013")
        );
    }

    #[test]
    fn a_session_survives_a_drop_and_ends_with_its_client() {
        let hr = gatt::HEART_RATE_MEASUREMENT;
        let mut link = Link {
            connected: true,
            ..Link::default()
        };
        assert_eq!(link.subscribe(hr, ":1.5"), Subscribed::First);
        assert!(link.heard(hr));
        link.connected = false;
        link.set_sessions_active(false);
        assert_eq!(link.subscribe(hr, ":1.5"), Subscribed::Waiting);
        assert_eq!(link.subscribe(hr, ":1.6"), Subscribed::NoLink);
        assert!(!link.heard(hr) && link.notifying(hr));
        link.connected = true;
        link.set_sessions_active(true);
        assert!(link.heard(hr));
        link.forget_client(":1.5");
        assert!(!link.heard(hr));
        assert_eq!(link.unsubscribe(hr, ":1.5"), None);
    }
}
