//! Faults on demand: what radio, daemon and people can do to a wearable's data.

use std::sync::Arc;
use std::time::Duration;

use firmware::gatt::Uuid;

use super::objects;
use super::peer::Peer;
use super::world::{BUS_NAME, Emitted, World};

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

    /// The daemon dies and is back after `away_ms`. As measured: the new daemon inherits the kernel's links, so
    /// devices stay connected, but every subscription and scan is gone and nobody is told.
    ///
    /// # Errors
    /// [`FaultError::Bus`].
    pub async fn restart_daemon(&self, away_ms: u32) -> Result<(), FaultError> {
        self.world.connection.release_name(BUS_NAME).await?;
        {
            let mut adapter = self.world.adapter();
            adapter.scans.clear();
            adapter.filters.clear();
        }
        for peer in &self.world.peers {
            peer.link().forget_sessions();
        }
        tokio::time::sleep(Duration::from_millis(away_ms.into())).await;
        self.world.connection.request_name(BUS_NAME).await?;
        Ok(())
    }
}
