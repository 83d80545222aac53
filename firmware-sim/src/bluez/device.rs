//! `org.bluez.Device1`: connect, pair, disconnect, and what an advert says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use firmware::gatt::Uuid;
use zbus::fdo;
use zbus::message::Header;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};

use super::adapter::client_of;
use super::error::Error;
use super::objects;
use super::peer::Peer;
use super::world::{ADAPTER_PATH, World};
use crate::wearable::Advert;

/// From `Connect` to a link, or to the failure of one.
const CONNECT_TIME: Duration = Duration::from_millis(20);

/// A device's object.
#[derive(Debug)]
pub(crate) struct Device1 {
    world: Arc<World>,
    peer: Arc<Peer>,
}

impl Device1 {
    pub(crate) fn new(world: Arc<World>, peer: Arc<Peer>) -> Self {
        Self { world, peer }
    }

    /// The controller refuses one more link (HCI 0x09). The daemon does not say so: a device that it never had a link to
    /// it forgets, and never answers; for others it is a failure like any other (measured on BlueZ 5.66).
    async fn find_no_slot(&self) -> Result<(), Error> {
        let met = {
            let mut link = self.peer.link();
            link.connecting = false;
            link.number > 0
        };
        if met {
            return Err(Error::connection_aborted());
        }
        let (world, peer) = (Arc::clone(&self.world), Arc::clone(&self.peer));
        tokio::spawn(async move {
            if let Err(error) = objects::remove_device(&world, &peer).await {
                tracing::warn!(%error, "a device stays on the bus");
            }
        });
        std::future::pending().await
    }
}

#[zbus::interface(name = "org.bluez.Device1")]
impl Device1 {
    async fn connect(&self) -> Result<(), Error> {
        let fails = {
            let powered = self.world.adapter().powered;
            let mut link = self.peer.link();
            if !powered {
                return Err(Error::not_ready());
            }
            if link.connecting {
                return Err(Error::already_in_progress());
            }
            if link.connected {
                return Ok(());
            }
            link.connecting = true;
            let fails = link.fail_connects > 0 || self.peer.services.is_empty();
            link.fail_connects = link.fail_connects.saturating_sub(1);
            fails
        };
        tokio::time::sleep(CONNECT_TIME).await;
        if fails {
            self.peer.link().connecting = false;
            return Err(Error::connection_aborted());
        }
        if self.world.is_full() {
            return self.find_no_slot().await;
        }
        self.world.link_up(&self.peer).await;
        Ok(())
    }

    /// Connects first where there is no link yet.
    async fn pair(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        if self.peer.link().bonded {
            return Err(Error::already_exists());
        }
        self.connect().await?;
        self.world.pair(&self.peer, Some(&client_of(&header))).await
    }

    fn cancel_pairing(&self) -> Result<(), Error> {
        let cancel = self.peer.link().pairing.clone();
        cancel.ok_or_else(Error::does_not_exist)?.notify_one();
        Ok(())
    }

    async fn disconnect(&self) -> Result<(), Error> {
        if self.world.link_down(&self.peer).await {
            Ok(())
        } else {
            Err(Error::not_connected())
        }
    }

    #[zbus(property)]
    fn address(&self) -> &str {
        &self.peer.identity.address
    }

    #[zbus(property)]
    fn address_type(&self) -> &'static str {
        "random"
    }

    #[zbus(property)]
    fn name(&self) -> &str {
        &self.peer.identity.name
    }

    #[zbus(property)]
    fn alias(&self) -> &str {
        &self.peer.identity.name
    }

    #[zbus(property)]
    fn appearance(&self) -> u16 {
        self.peer.identity.appearance
    }

    #[zbus(property)]
    fn adapter(&self) -> fdo::Result<OwnedObjectPath> {
        object_path(ADAPTER_PATH)
    }

    #[zbus(property)]
    fn paired(&self) -> bool {
        self.peer.link().bonded
    }

    #[zbus(property)]
    fn bonded(&self) -> bool {
        self.peer.link().bonded
    }

    #[zbus(property)]
    fn trusted(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn blocked(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn legacy_pairing(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn connected(&self) -> bool {
        self.peer.link().connected
    }

    #[zbus(property)]
    fn services_resolved(&self) -> bool {
        self.peer.link().resolved
    }

    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> Vec<String> {
        self.peer.uuids()
    }

    #[zbus(property)]
    fn service_data(&self) -> fdo::Result<HashMap<String, OwnedValue>> {
        match &self.peer.link().advert {
            Some(Advert::Service(service, octets)) => {
                let uuid = Uuid::short(*service).to_string();
                Ok(HashMap::from([(uuid, owned(octets)?)]))
            }
            _ => Err(fdo::Error::Failed("No such property 'ServiceData'".into())),
        }
    }

    #[zbus(property)]
    fn manufacturer_data(&self) -> fdo::Result<HashMap<u16, OwnedValue>> {
        match &self.peer.link().advert {
            Some(Advert::Manufacturer(company, octets)) => {
                Ok(HashMap::from([(*company, owned(octets)?)]))
            }
            _ => Err(fdo::Error::Failed(
                "No such property 'ManufacturerData'".into(),
            )),
        }
    }

    // Absent where the device was not heard in this scan, as with the real daemon.
    #[zbus(property, name = "RSSI")]
    fn rssi(&self) -> fdo::Result<i16> {
        self.peer
            .link()
            .rssi
            .ok_or_else(|| fdo::Error::Failed("No such property 'RSSI'".into()))
    }
}

/// What an advert carries as a changed property.
pub(crate) fn advertised(advert: &Advert) -> (&'static str, Value<'static>) {
    match advert {
        Advert::Service(service, octets) => {
            let uuid = Uuid::short(*service).to_string();
            let data = HashMap::from([(uuid, Value::from(octets.clone()))]);
            ("ServiceData", data.into())
        }
        Advert::Manufacturer(company, octets) => {
            let data = HashMap::from([(*company, Value::from(octets.clone()))]);
            ("ManufacturerData", data.into())
        }
    }
}

fn owned(octets: &[u8]) -> fdo::Result<OwnedValue> {
    OwnedValue::try_from(Value::from(octets.to_vec()))
        .map_err(|error| fdo::Error::Failed(error.to_string()))
}

/// A path that was built from an address is always a valid one; a bad address is an error, not a panic.
pub(crate) fn object_path(path: &str) -> fdo::Result<OwnedObjectPath> {
    OwnedObjectPath::try_from(path.to_owned())
        .map_err(|error| fdo::Error::Failed(error.to_string()))
}
