//! Is there a radio? Asked once, for people: each joint from here to the adapter on its own.

use btleplug::api::{Central as _, CentralState, Manager as _};
use btleplug::platform::Manager;

use super::within;

/// How far it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// D-Bus cannot be reached.
    NoBus(String),
    /// bluetoothd does not answer.
    NoDaemon(String),
    /// There is no adapter, or none of the name asked for.
    NoAdapter(Option<String>),
    /// The adapter is there, but off.
    Off(String),
    /// The adapter is there and on.
    Ready(String),
}

/// Asks for the adapter of this name, or for the first one.
pub async fn probe(wanted: Option<&str>) -> Probe {
    let manager = match within(Manager::new()).await {
        Ok(manager) => manager,
        Err(error) => return Probe::NoBus(error),
    };
    let adapters = match within(manager.adapters()).await {
        Ok(adapters) => adapters,
        Err(error) => return Probe::NoDaemon(error),
    };
    for adapter in adapters {
        let info = match within(adapter.adapter_info()).await {
            Ok(info) => info,
            Err(error) => return Probe::NoDaemon(error),
        };
        let name = info.split(' ').next().unwrap_or_default();
        if wanted.is_none_or(|wanted| wanted == name) {
            return match within(adapter.adapter_state()).await {
                Ok(CentralState::PoweredOn) => Probe::Ready(name.to_owned()),
                _ => Probe::Off(name.to_owned()),
            };
        }
    }
    Probe::NoAdapter(wanted.map(str::to_owned))
}
