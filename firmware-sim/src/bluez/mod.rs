//! A Bluetooth daemon on a private bus: what btleplug's Linux backend needs of `org.bluez`, and how the real one
//! (BlueZ 5.66, measured in a virtual machine) behaves, faults included.
//!
//! * [`FakeBluez`]: starts and owns it.
//! * `world`: shared state and every change of it; `peer`: one wearable's link and sessions; `objects`: the tree.
//! * `adapter`, `device`, `gatt`: the interfaces; `pairing`: agents and bonds; `error`: its errors.
//! * [`Faults`]: faults on demand, in process; `control`: the same over D-Bus (`org.vitaltwin.Sim1` at `/sim`).
//!
//! The only module that names `zbus`. Must not know: physiology, chips.

mod adapter;
mod control;
mod device;
mod error;
mod faults;
mod gatt;
mod objects;
mod pairing;
mod peer;
mod world;

use std::sync::Arc;

use futures_util::StreamExt;
use proto::clock::Clock;
use tokio::task::JoinSet;
use vitals::Time;

pub use faults::{FaultError, Faults};
pub use world::{Emitted, Trace};

use crate::wearable::Wearable;
use peer::Peer;
use world::{ADAPTER_PATH, BUS_NAME, World};

/// The second name of the daemon's connection; it stays while the daemon "restarts".
pub const CONTROL_NAME: &str = "org.vitaltwin.Sim";
/// Where the control object lies.
pub const CONTROL_PATH: &str = "/sim";

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The bus cannot be reached or refused us.
    #[error("cannot serve {BUS_NAME} on the bus {address}")]
    Bus {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: zbus::Error,
    },
}

/// How to start the daemon.
#[derive(Clone)]
pub struct Options {
    /// D-Bus address, `unix:path=...`.
    pub bus: String,
    /// What the machine is called.
    pub gateway: String,
    /// Drives everything.
    pub clock: Clock,
    /// Second 0 of the scenario.
    pub start: Time,
    /// Told about every value sent.
    pub trace: Option<Trace>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("bus", &self.bus)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// A running daemon with its wearables; dropping it ends them and leaves the bus.
#[derive(Debug)]
pub struct FakeBluez {
    faults: Arc<Faults>,
    tasks: JoinSet<()>,
}

impl FakeBluez {
    /// Connects to the bus, takes the daemon's name and starts the wearables.
    ///
    /// # Errors
    /// [`StartError::Bus`] if the bus is not there or has a Bluetooth daemon already.
    pub async fn start(options: Options, wearables: Vec<Wearable>) -> Result<Self, StartError> {
        let address = options.bus.clone();
        Self::serve(options, wearables)
            .await
            .map_err(|source| StartError::Bus { address, source })
    }

    async fn serve(options: Options, wearables: Vec<Wearable>) -> zbus::Result<Self> {
        let connection = zbus::connection::Builder::address(options.bus.as_str())?
            .build()
            .await?;
        let peers: Vec<Arc<Peer>> = wearables
            .into_iter()
            .map(|mut wearable| {
                wearable.begin(options.start);
                Arc::new(Peer::new(ADAPTER_PATH, wearable))
            })
            .collect();
        let Options {
            gateway,
            clock,
            start,
            trace,
            ..
        } = options;
        let world = Arc::new(World::new(
            connection.clone(),
            clock,
            start,
            gateway,
            peers,
            trace,
        ));
        objects::add_root(&world).await?;
        objects::add_adapter(&world).await?;
        let faults = Arc::new(Faults::new(Arc::clone(&world)));
        connection
            .object_server()
            .at(CONTROL_PATH, control::Sim1::new(Arc::clone(&faults)))
            .await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_clients(
            Arc::clone(&world),
            names_changing(&world).await?,
        ));
        // The control name last: who sees it may count on org.bluez.
        connection.request_name(BUS_NAME).await?;
        connection.request_name(CONTROL_NAME).await?;
        for peer in &world.peers {
            tasks.spawn(Arc::clone(&world).wear(Arc::clone(peer)));
        }
        Ok(Self { faults, tasks })
    }

    /// Faults on demand.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Until the bus goes away, which ends everything here.
    pub async fn run(&mut self) {
        // Wearables play for ever; the watch over the bus ends with the bus.
        self.tasks.join_next().await;
    }
}

async fn names_changing(world: &World) -> zbus::Result<zbus::fdo::NameOwnerChangedStream> {
    let bus = zbus::fdo::DBusProxy::new(&world.connection).await?;
    bus.receive_name_owner_changed().await
}

/// A client that leaves the bus leaves its scans and sessions.
async fn watch_clients(world: Arc<World>, mut changes: zbus::fdo::NameOwnerChangedStream) {
    while let Some(change) = changes.next().await {
        let Ok(change) = change.args() else { continue };
        if change.name().starts_with(':') && change.new_owner().is_none() {
            world.forget_client(change.name()).await;
        }
    }
}
