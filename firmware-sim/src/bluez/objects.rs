//! The object tree: what appears on the bus where, and when it goes.
//!
//! Node names are those of the real daemon (`dev_..`, `serviceXXXX`, `charXXXX`, `descXXXX`): btleplug finds services
//! by introspection of exactly these names.

use std::sync::Arc;

use super::adapter::Adapter1;
use super::device::Device1;
use super::gatt::{GattCharacteristic1, GattDescriptor1, GattService1};
use super::pairing::AgentManager1;
use super::peer::Peer;
use super::world::{ADAPTER_PATH, World};

/// The adapter and the agent manager.
pub(crate) async fn add_adapter(world: &Arc<World>) -> zbus::Result<()> {
    let server = world.connection.object_server();
    server
        .at(ADAPTER_PATH, Adapter1::new(Arc::clone(world)))
        .await?;
    Ok(())
}

/// What does not depend on the adapter.
pub(crate) async fn add_root(world: &Arc<World>) -> zbus::Result<()> {
    let server = world.connection.object_server();
    server.at("/", zbus::fdo::ObjectManager).await?;
    let agents = AgentManager1::new(Arc::clone(world));
    server.at("/org/bluez", agents).await?;
    Ok(())
}

/// The adapter disappears, with everything below it.
pub(crate) async fn remove_adapter(world: &Arc<World>) -> zbus::Result<()> {
    for peer in &world.peers {
        remove_device(world, peer).await?;
    }
    world
        .connection
        .object_server()
        .remove::<Adapter1, _>(ADAPTER_PATH)
        .await?;
    Ok(())
}

/// A device was heard.
pub(crate) async fn add_device(world: &Arc<World>, peer: &Arc<Peer>) -> zbus::Result<()> {
    let device = Device1::new(Arc::clone(world), Arc::clone(peer));
    world
        .connection
        .object_server()
        .at(peer.path.as_str(), device)
        .await?;
    Ok(())
}

/// A device is not there any more.
pub(crate) async fn remove_device(world: &Arc<World>, peer: &Arc<Peer>) -> zbus::Result<()> {
    world.link_down(peer).await;
    remove_services(world, peer).await?;
    let known = std::mem::take(&mut peer.link().known);
    if known {
        world
            .connection
            .object_server()
            .remove::<Device1, _>(peer.path.as_str())
            .await?;
    }
    Ok(())
}

/// A device's attributes were discovered.
pub(crate) async fn add_services(world: &Arc<World>, peer: &Arc<Peer>) -> zbus::Result<()> {
    let server = world.connection.object_server();
    for at in &peer.services {
        let service = GattService1 {
            uuid: at.service.uuid,
            device: peer.path.clone(),
        };
        server.at(at.path.as_str(), service).await?;
        for own in &at.characteristics {
            let characteristic = GattCharacteristic1::new(
                Arc::clone(world),
                Arc::clone(peer),
                at.path.clone(),
                own.clone(),
            );
            server.at(own.path.as_str(), characteristic).await?;
            if let Some(path) = &own.configuration {
                let descriptor = GattDescriptor1 {
                    characteristic: own.path.clone(),
                };
                server.at(path.as_str(), descriptor).await?;
            }
        }
    }
    Ok(())
}

/// A device's attributes are gone.
pub(crate) async fn remove_services(world: &Arc<World>, peer: &Arc<Peer>) -> zbus::Result<()> {
    if !std::mem::take(&mut peer.link().exported) {
        return Ok(());
    }
    let server = world.connection.object_server();
    for at in &peer.services {
        for own in &at.characteristics {
            if let Some(path) = &own.configuration {
                server.remove::<GattDescriptor1, _>(path.as_str()).await?;
            }
            server
                .remove::<GattCharacteristic1, _>(own.path.as_str())
                .await?;
        }
        server.remove::<GattService1, _>(at.path.as_str()).await?;
    }
    Ok(())
}
