//! `org.bluez.Adapter1`: power, scans, forgetting devices.

use std::collections::HashMap;
use std::sync::Arc;

use zbus::message::Header;
use zbus::zvariant::{ObjectPath, OwnedValue};

use super::error::Error;
use super::objects;
use super::world::World;

/// The controller's own address.
const ADDRESS: &str = "00:1A:7D:DA:71:13";
/// As a kernel with BlueZ 5.66 shows it; the agent's backend hides an adapter without a readable one.
const MODALIAS: &str = "usb:v1D6Bp0246d0542";

/// The adapter's object.
#[derive(Debug)]
pub(crate) struct Adapter1 {
    world: Arc<World>,
}

impl Adapter1 {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

/// Who calls.
pub(crate) fn client_of(header: &Header<'_>) -> String {
    header.sender().map(ToString::to_string).unwrap_or_default()
}

#[zbus::interface(name = "org.bluez.Adapter1")]
impl Adapter1 {
    async fn start_discovery(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        {
            let adapter = self.world.adapter();
            if !adapter.powered {
                return Err(Error::not_ready());
            }
            if adapter.scan_held {
                return Err(Error::already_in_progress());
            }
        }
        let scanned_before = !self.world.adapter().scans.is_empty();
        if !self.world.start_scan(&client_of(&header)) {
            return Err(Error::already_in_progress());
        }
        if !scanned_before {
            self.world.announce_discovering(true).await;
        }
        Ok(())
    }

    async fn stop_discovery(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        match self.world.stop_scan(&client_of(&header)) {
            None => Err(Error::no_discovery()),
            Some(last) => {
                if last {
                    self.world.announce_discovering(false).await;
                }
                Ok(())
            }
        }
    }

    fn set_discovery_filter(
        &self,
        properties: HashMap<String, OwnedValue>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let uuids = match properties.get("UUIDs") {
            None => Vec::new(),
            Some(value) => {
                Vec::<String>::try_from(value.try_clone().map_err(|e| Error::ZBus(e.into()))?)
                    .map_err(|e| Error::ZBus(e.into()))?
                    .iter()
                    .map(|uuid| uuid.to_ascii_lowercase())
                    .collect()
            }
        };
        self.world
            .adapter()
            .filters
            .insert(client_of(&header), uuids);
        Ok(())
    }

    fn get_discovery_filters(&self) -> Vec<String> {
        ["UUIDs", "RSSI", "Pathloss", "Transport", "DuplicateData"]
            .map(String::from)
            .to_vec()
    }

    async fn remove_device(&self, device: ObjectPath<'_>) -> Result<(), Error> {
        let peer = self
            .world
            .peers
            .iter()
            .find(|peer| peer.path == device.as_str());
        let peer = peer
            .filter(|peer| peer.link().known)
            .ok_or_else(Error::does_not_exist)?;
        objects::remove_device(&self.world, peer)
            .await
            .map_err(Error::ZBus)?;
        // What the daemon had written down about it goes, too.
        let mut link = peer.link();
        link.bonded = false;
        link.services_lost = false;
        Ok(())
    }

    #[zbus(property)]
    fn address(&self) -> &'static str {
        ADDRESS
    }

    #[zbus(property)]
    fn address_type(&self) -> &'static str {
        "public"
    }

    #[zbus(property)]
    fn name(&self) -> String {
        self.world.gateway.clone()
    }

    #[zbus(property)]
    fn alias(&self) -> String {
        self.world.gateway.clone()
    }

    #[zbus(property)]
    fn class(&self) -> u32 {
        0x0000_0104
    }

    #[zbus(property)]
    fn powered(&self) -> bool {
        self.world.adapter().powered
    }

    #[zbus(property)]
    fn set_powered(&mut self, powered: bool) {
        let mut adapter = self.world.adapter();
        adapter.powered = powered;
        if !powered {
            adapter.scans.clear();
        }
    }

    #[zbus(property)]
    fn discoverable(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn pairable(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn discovering(&self) -> bool {
        let adapter = self.world.adapter();
        adapter.scan_held || !adapter.scans.is_empty()
    }

    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> Vec<String> {
        vec![
            "00001801-0000-1000-8000-00805f9b34fb".into(),
            "00001800-0000-1000-8000-00805f9b34fb".into(),
        ]
    }

    #[zbus(property)]
    fn modalias(&self) -> &'static str {
        MODALIAS
    }

    #[zbus(property)]
    fn roles(&self) -> Vec<String> {
        vec!["central".into(), "peripheral".into()]
    }
}
