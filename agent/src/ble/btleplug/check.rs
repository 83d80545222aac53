//! Whether daemon and links still are what they seem: asked from time to time, because nobody tells. A link that brought a
//! value since then is one: the question, which is for all that the daemon knows of a device, is for silent ones.

use btleplug::api::{Central as _, Peripheral as _};
use btleplug::platform::Peripheral;
use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::{CALL_TIMEOUT, Session, within};
use crate::ble::Address;
use crate::ble::link::Input;
use crate::ble::radio::Radio;

impl Session {
    /// Asks the daemon whether it lives, and whether links are what they seem.
    pub(super) fn start_check(&mut self, radio: &Radio) {
        if self.check.is_some() {
            return;
        }
        let adapter = self.adapter.clone();
        let mut peers: Vec<(Address, Peripheral)> = Vec::new();
        for address in radio.connected() {
            if let Some(peer) = self.peers.get_mut(&address)
                && !std::mem::take(&mut peer.heard)
            {
                peers.push((address, peer.peripheral.clone()));
            }
        }
        self.check = Some(
            async move {
                within(adapter.adapter_info()).await?;
                let mut inputs = Vec::new();
                for (address, peripheral) in peers {
                    match timeout(CALL_TIMEOUT, peripheral.is_connected()).await {
                        Ok(Ok(true)) => {}
                        Ok(Ok(false)) => inputs.push((address, Input::Dropped)),
                        // The daemon lives, but does not know this device any more.
                        Ok(Err(_)) => inputs.push((address, Input::Vanished)),
                        Err(_) => return Err("the Bluetooth daemon does not answer".into()),
                    }
                }
                Ok(inputs)
            }
            .boxed(),
        );
    }
}
