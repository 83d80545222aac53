//! How many peers of one address may be at the door before they have shown a gateway's certificate.
//!
//! Without it, one machine that connects and says nothing would take every place. Must not know: TLS, MQTT.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Peers of one address that are not known yet. Gateways behind one address are let in one after the other.
const MOST: u32 = 32;

/// Who is at the door, by address.
#[derive(Debug, Default)]
pub(super) struct Greetings {
    waiting: Mutex<HashMap<IpAddr, u32>>,
}

/// A peer that is being asked who it is; dropping it makes room.
#[derive(Debug)]
pub(super) struct Greeting {
    greetings: Arc<Greetings>,
    address: IpAddr,
}

impl Greetings {
    /// Room for one more; `None` when its address has enough of them. This machine is not counted: it may be a
    /// forwarder for all.
    pub(super) fn begin(self: &Arc<Self>, address: IpAddr) -> Option<Greeting> {
        let address = address.to_canonical();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let here = waiting.get(&address).copied().unwrap_or_default();
        if here >= MOST && !address.is_loopback() {
            return None;
        }
        waiting.insert(address, here + 1);
        Some(Greeting {
            greetings: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        let mut waiting = self
            .greetings
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = waiting.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                waiting.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_never_takes_every_place() {
        let greetings = Arc::new(Greetings::default());
        let begin = |address: &str| greetings.begin(address.parse().expect("an address"));
        let mut held: Vec<_> = (0..MOST).map(|_| begin("192.0.2.1")).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(begin("192.0.2.1").is_none() && begin("::ffff:192.0.2.1").is_none());
        assert!(begin("192.0.2.2").is_some(), "control: another address");
        held.pop();
        held.push(begin("192.0.2.1"));
        assert!(held.iter().all(Option::is_some), "room again");
        drop(held);
        assert!(greetings.waiting.lock().expect("no panic").is_empty());
        let own: Vec<_> = (0..=MOST).map(|_| begin("127.0.0.1")).collect();
        assert!(own.iter().all(Option::is_some));
    }
}
