//! Faults on demand: what radio, daemon and people can do to a wearable's data.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use firmware::gatt::Uuid;

use super::objects;
use super::pairing::Agents;
use super::peer::Peer;
use super::world::{BUS_NAME, Emitted, NEAREST_RSSI, World};

/// Why a fault could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// No wearable has this address.
    #[error("no wearable has the address {0}")]
    UnknownDevice(String),
    /// The wearable has no such characteristic.
    #[error("{address} has no characteristic {characteristic}")]
    UnknownCharacteristic {
        /// Which wearable.
        address: String,
        /// Which characteristic.
        characteristic: Uuid,
    },
    /// Nobody would hear the value.
    #[error("{address} is not connected, or nobody is subscribed to {characteristic}")]
    NotSubscribed {
        /// Which wearable.
        address: String,
        /// Which characteristic.
        characteristic: Uuid,
    },
    /// The bus refused.
    #[error("the bus refused")]
    Bus(#[from] zbus::Error),
}

/// Makes faults.
#[derive(Debug)]
pub struct Faults {
    world: Arc<World>,
}

impl Faults {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    fn peer(&self, address: &str) -> Result<&Arc<Peer>, FaultError> {
        self.world
            .peer(address)
            .ok_or_else(|| FaultError::UnknownDevice(address.into()))
    }

    /// Addresses of all wearables, in the scenario's order.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.world
            .peers
            .iter()
            .map(|peer| peer.identity.address.clone())
            .collect()
    }

    /// Ends the link; false if there was none. The wearable advertises again.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`], as everywhere here.
    pub async fn drop_link(&self, address: &str) -> Result<bool, FaultError> {
        Ok(self.world.link_down(self.peer(address)?).await)
    }

    /// The next `count` connects fail with "le-connection-abort-by-local".
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn fail_connects(&self, address: &str, count: u32) -> Result<(), FaultError> {
        self.peer(address)?.link().fail_connects = count;
        Ok(())
    }

    /// The wearable stays connected and says nothing.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn silence(&self, address: &str, silent: bool) -> Result<(), FaultError> {
        self.peer(address)?.link().silent = silent;
        Ok(())
    }

    /// From the next connect on, services resolve to nothing (bluez/bluez#1489).
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn hide_services(&self, address: &str, hidden: bool) -> Result<(), FaultError> {
        self.peer(address)?.link().hide_services = hidden;
        Ok(())
    }

    /// The device refuses new subscriptions to what it measures; its battery it tells.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn refuse_subscriptions(&self, address: &str, refuse: bool) -> Result<(), FaultError> {
        self.peer(address)?.link().refuses = refuse;
        Ok(())
    }

    /// From the next connect on, services resolve to nothing until the daemon forgets the device (`RemoveDevice`).
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn lose_services(&self, address: &str) -> Result<(), FaultError> {
        self.peer(address)?.link().services_lost = true;
        Ok(())
    }

    /// From the next connect on, discovery of services takes so much longer; what was subscribed on a former link
    /// comes meanwhile. A shorter delay told meanwhile ends one that is under way.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn slow_discovery(&self, address: &str, by: Duration) -> Result<(), FaultError> {
        self.peer(address)?.link().discovery_delay = by;
        Ok(())
    }

    /// Another program on the machine reads a value, which everybody sees as a change of it.
    ///
    /// # Errors
    /// Also [`FaultError::UnknownCharacteristic`] where it has none that can be read.
    pub async fn read_by_another(&self, address: &str, uuid: Uuid) -> Result<(), FaultError> {
        let peer = self.peer(address)?;
        let value = peer.wearable().read(self.world.now(), uuid);
        let (Some(at), Some(value)) = (peer.find(uuid), value) else {
            return Err(FaultError::UnknownCharacteristic {
                address: peer.identity.address.clone(),
                characteristic: uuid,
            });
        };
        self.world.announce_value(&at.path, &value).await;
        Ok(())
    }

    /// A former process of the gateway left the link up: the device is connected, resolved, and does not advertise.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub async fn leave_link_up(&self, address: &str) -> Result<(), FaultError> {
        let peer = self.peer(address)?;
        self.world.advertise(peer, NEAREST_RSSI).await;
        if !peer.link().connected {
            self.world.link_up(peer).await;
        }
        Ok(())
    }

    /// Somebody else's scan, which nobody here can stop: every `StartDiscovery` is answered with "in progress".
    pub async fn hold_scan(&self, held: bool) {
        self.world.adapter().scan_held = held;
        self.world.announce_discovering(held).await;
    }

    /// The controller carries so many links from now on; 0 = as many as are asked for. Links that are up stay.
    pub fn set_slots(&self, slots: usize) {
        self.world.adapter().slots = (slots > 0).then_some(slots);
    }

    /// Another device answers in its place: same address and name, another serial number, and not the key of a bond
    /// (so the link ends before services are resolved).
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn spoof(&self, address: &str, spoofed: bool) -> Result<(), FaultError> {
        let peer = self.peer(address)?;
        peer.wearable().set_spoofed(spoofed);
        peer.link().spoofed = spoofed;
        Ok(())
    }

    /// True if there is a bond.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn bonded(&self, address: &str) -> Result<bool, FaultError> {
        Ok(self.peer(address)?.link().bonded)
    }

    /// Match rules that the bus keeps, by client (its unique name): what a client leaks shows here.
    ///
    /// # Errors
    /// [`FaultError::Bus`] also where the broker was built without statistics.
    pub async fn match_rules(&self) -> Result<BTreeMap<String, usize>, FaultError> {
        let reply = self
            .world
            .connection
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus.Debug.Stats"),
                "GetAllMatchRules",
                &(),
            )
            .await?;
        let all: HashMap<String, Vec<String>> = reply.body().deserialize()?;
        let count = |(client, rules): (String, Vec<String>)| (client, rules.len());
        Ok(all.into_iter().map(count).collect())
    }

    /// The patient puts it on or takes it off.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn set_worn(&self, address: &str, worn: bool) -> Result<(), FaultError> {
        self.peer(address)?.wearable().set_worn(worn);
        Ok(())
    }

    /// Noise on the sensors' signal: 0 = none, 1 = as large as the signal.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn disturb(&self, address: &str, share: f64) -> Result<(), FaultError> {
        self.peer(address)?.wearable().disturb(share);
        Ok(())
    }

    /// Battery charge, percent.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn set_battery(&self, address: &str, percent: u8) -> Result<(), FaultError> {
        self.peer(address)?.wearable().set_battery(percent);
        Ok(())
    }

    /// The wearable's sensor bus answers every transfer with NACK.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn break_sensor(&self, address: &str, broken: bool) -> Result<(), FaultError> {
        self.peer(address)?.wearable().break_sensor(broken);
        Ok(())
    }

    /// Sends any octets as a value; they may be hostile. Returns what was sent and when.
    ///
    /// # Errors
    /// Also [`FaultError::UnknownCharacteristic`], [`FaultError::NotSubscribed`].
    pub async fn inject(
        &self,
        address: &str,
        uuid: Uuid,
        bytes: Vec<u8>,
    ) -> Result<Emitted, FaultError> {
        let peer = self.peer(address)?;
        let (address, characteristic) = (peer.identity.address.clone(), uuid);
        if peer.find(uuid).is_none() {
            return Err(FaultError::UnknownCharacteristic {
                address,
                characteristic,
            });
        }
        let sent = self.world.push(peer, uuid, bytes).await;
        sent.ok_or(FaultError::NotSubscribed {
            address,
            characteristic,
        })
    }

    /// True if a value of this characteristic would reach somebody now.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn heard(&self, address: &str, uuid: Uuid) -> Result<bool, FaultError> {
        Ok(self.peer(address)?.link().heard(uuid))
    }

    /// What was written to a characteristic, oldest first; only the last few writes of a device are remembered.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn written(&self, address: &str, uuid: Uuid) -> Result<Vec<Vec<u8>>, FaultError> {
        let peer = self.peer(address)?;
        let link = peer.link();
        let to = link.written.iter().filter(|(to, _)| *to == uuid);
        Ok(to.map(|(_, octets)| octets.clone()).collect())
    }

    /// Values sent, and values that nobody was there to hear.
    ///
    /// # Errors
    /// [`FaultError::UnknownDevice`].
    pub fn counts(&self, address: &str) -> Result<(u64, u64), FaultError> {
        let peer = self.peer(address)?;
        let link = peer.link();
        Ok((link.sent, link.unheard))
    }

    /// The radio is unplugged, or plugged in again.
    ///
    /// # Errors
    /// [`FaultError::Bus`].
    pub async fn vanish_adapter(&self, gone: bool) -> Result<(), FaultError> {
        if gone {
            self.world.adapter().scans.clear();
            objects::remove_adapter(&self.world).await?;
        } else {
            objects::add_adapter(&self.world).await?;
        }
        Ok(())
    }

    /// The daemon dies and is back after `away`. As measured: the new daemon inherits the kernel's links, so devices
    /// stay connected, but it resolves no services over them until they are disconnected; every subscription, scan and
    /// agent is gone, and nobody is told.
    ///
    /// # Errors
    /// [`FaultError::Bus`].
    pub async fn restart_daemon(&self, away_ms: u32) -> Result<(), FaultError> {
        self.restart(away_ms, false).await
    }

    /// The same where the links died with the daemon: the new one knows no device, the objects of the old one are
    /// unknown, bonds are kept, and nobody is told.
    ///
    /// # Errors
    /// [`FaultError::Bus`].
    pub async fn restart_daemon_afresh(&self, away_ms: u32) -> Result<(), FaultError> {
        self.restart(away_ms, true).await
    }

    async fn restart(&self, away_ms: u32, afresh: bool) -> Result<(), FaultError> {
        let world = &self.world;
        world.connection.release_name(BUS_NAME).await?;
        world.set_mute(true);
        {
            let mut adapter = world.adapter();
            adapter.scans.clear();
            adapter.filters.clear();
        }
        *world.agents() = Agents::default();
        for peer in &world.peers {
            peer.link().forget_sessions();
            if afresh {
                objects::remove_device(world, peer).await?;
            } else {
                // The link is the kernel's; who was behind it the new daemon never asked.
                objects::remove_services(world, peer).await?;
                peer.link().resolved = false;
            }
        }
        tokio::time::sleep(Duration::from_millis(away_ms.into())).await;
        world.set_mute(false);
        world.connection.request_name(BUS_NAME).await?;
        Ok(())
    }
}
