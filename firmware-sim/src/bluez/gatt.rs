//! `org.bluez.GattService1`, `GattCharacteristic1` and `GattDescriptor1`.

use std::collections::HashMap;
use std::sync::Arc;

use firmware::gatt::{Access, BATTERY_LEVEL, Refusal, Uuid};
use zbus::fdo;
use zbus::message::Header;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use super::adapter::client_of;
use super::device::object_path;
use super::error::Error;
use super::peer::{CharacteristicAt, Peer, Subscribed};
use super::world::World;

/// What peripherals of this kind negotiate with a Linux host.
const MTU: u16 = 247;
/// Client Characteristic Configuration.
const CONFIGURATION: Uuid = Uuid::short(0x2902);

/// A primary service.
#[derive(Debug)]
pub(crate) struct GattService1 {
    pub(crate) uuid: Uuid,
    pub(crate) device: String,
}

#[zbus::interface(name = "org.bluez.GattService1")]
impl GattService1 {
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.uuid.to_string()
    }

    #[zbus(property)]
    fn device(&self) -> fdo::Result<OwnedObjectPath> {
        object_path(&self.device)
    }

    #[zbus(property)]
    fn primary(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn includes(&self) -> Vec<OwnedObjectPath> {
        Vec::new()
    }
}

/// A characteristic.
#[derive(Debug)]
pub(crate) struct GattCharacteristic1 {
    world: Arc<World>,
    peer: Arc<Peer>,
    service: String,
    at: CharacteristicAt,
}

impl GattCharacteristic1 {
    pub(crate) fn new(
        world: Arc<World>,
        peer: Arc<Peer>,
        service: String,
        at: CharacteristicAt,
    ) -> Self {
        Self {
            world,
            peer,
            service,
            at,
        }
    }

    fn uuid_number(&self) -> Uuid {
        self.at.characteristic.uuid
    }

    async fn unlock(&self) -> Result<(), Error> {
        if self.peer.protects(self.uuid_number()) {
            self.world.unlock(&self.peer).await
        } else {
            Ok(())
        }
    }
}

#[zbus::interface(name = "org.bluez.GattCharacteristic1")]
impl GattCharacteristic1 {
    async fn read_value(&self, _options: HashMap<String, OwnedValue>) -> Result<Vec<u8>, Error> {
        if !self.peer.link().connected {
            return Err(Error::link_missing());
        }
        if !self.at.characteristic.access.readable() {
            return Err(Error::read_not_permitted());
        }
        self.unlock().await?;
        let value = self
            .peer
            .wearable()
            .read(self.world.now(), self.uuid_number())
            .ok_or_else(Error::not_supported)?;
        self.peer
            .link()
            .values
            .insert(self.uuid_number(), value.clone());
        self.world.announce_value(&self.at.path, &value).await;
        Ok(value)
    }

    async fn write_value(
        &self,
        value: Vec<u8>,
        _options: HashMap<String, OwnedValue>,
    ) -> Result<(), Error> {
        let access = self.at.characteristic.access;
        if !self.peer.link().connected {
            return Err(Error::link_missing());
        }
        if !access.writable() {
            return Err(Error::write_not_permitted());
        }
        self.unlock().await?;
        let uuid = self.uuid_number();
        // A control point answers by indications: somebody must listen.
        if access.pushes() && !self.peer.link().subscribed(uuid) {
            return Err(Error::att(Refusal::NOT_CONFIGURED.0));
        }
        let now = self.world.now();
        let written = self.peer.wearable().write(now, uuid, &value);
        self.peer.link().wrote(uuid, value);
        self.peer.wake.notify_one();
        written.map_err(|refusal| Error::att(refusal.0))
    }

    async fn start_notify(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        if !self.at.characteristic.access.pushes() {
            return Err(Error::not_supported());
        }
        if self.peer.link().connected {
            self.unlock().await?;
        }
        {
            let mut link = self.peer.link();
            if link.refuses && self.uuid_number() != BATTERY_LEVEL {
                link.unsubscribe(self.uuid_number(), &client_of(&header));
                return Err(Error::write_not_permitted());
            }
        }
        let outcome = self
            .peer
            .link()
            .subscribe(self.uuid_number(), &client_of(&header));
        self.peer.wake.notify_one();
        match outcome {
            Subscribed::First => {
                self.world.announce_notifying(&self.at.path, true).await;
                Ok(())
            }
            Subscribed::Again => Ok(()),
            Subscribed::Waiting => Err(Error::in_progress()),
            Subscribed::NoLink => Err(Error::link_missing()),
        }
    }

    async fn stop_notify(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        let outcome = self
            .peer
            .link()
            .unsubscribe(self.uuid_number(), &client_of(&header));
        match outcome {
            None => Err(Error::no_session()),
            Some(last) => {
                if last {
                    self.world.announce_notifying(&self.at.path, false).await;
                }
                Ok(())
            }
        }
    }

    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.uuid_number().to_string()
    }

    #[zbus(property)]
    fn service(&self) -> fdo::Result<OwnedObjectPath> {
        object_path(&self.service)
    }

    #[zbus(property)]
    fn value(&self) -> Vec<u8> {
        self.peer
            .link()
            .values
            .get(&self.uuid_number())
            .cloned()
            .unwrap_or_default()
    }

    #[zbus(property)]
    fn notifying(&self) -> fdo::Result<bool> {
        if self.at.characteristic.access.pushes() {
            Ok(self.peer.link().notifying(self.uuid_number()))
        } else {
            Err(fdo::Error::Failed("No such property 'Notifying'".into()))
        }
    }

    #[zbus(property)]
    fn flags(&self) -> Vec<&'static str> {
        match self.at.characteristic.access {
            Access::Read => vec!["read"],
            Access::Notify => vec!["notify"],
            Access::Indicate => vec!["indicate"],
            Access::ReadNotify => vec!["read", "notify"],
            Access::Write => vec!["write"],
            Access::ReadWrite => vec!["read", "write"],
            Access::WriteIndicate => vec!["write", "indicate"],
            Access::ReadWriteIndicate => vec!["read", "write", "indicate"],
        }
    }

    #[zbus(property, name = "MTU")]
    fn mtu(&self) -> u16 {
        MTU
    }
}

/// A client characteristic configuration descriptor.
#[derive(Debug)]
pub(crate) struct GattDescriptor1 {
    pub(crate) characteristic: String,
}

#[zbus::interface(name = "org.bluez.GattDescriptor1")]
impl GattDescriptor1 {
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        CONFIGURATION.to_string()
    }

    #[zbus(property)]
    fn characteristic(&self) -> fdo::Result<OwnedObjectPath> {
        object_path(&self.characteristic)
    }

    #[zbus(property)]
    fn value(&self) -> Vec<u8> {
        Vec::new()
    }
}
