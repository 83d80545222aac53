//! The radio side: finds the assigned wearables, keeps them connected, hands on what they notify.
//!
//! It works in a process of its own, which may die or hang at any time:
//! * [`supervisor`]: the agent's end: starts the worker, hears it, ends it when it hangs, starts it again.
//! * [`pipe`]: what the two say to each other.
//! * [`worker`]: the worker's end.
//! * [`link`]: PURE. One device's connection as a machine: seen, connecting, discovering, subscribed, lost,
//!   backing off, with a watchdog on the data.
//! * [`radio`]: PURE. All links of one adapter: who may connect now, when to scan.
//! * [`slots`]: PURE. How many links the adapter carries at once.
//! * [`records`]: PURE. Fetching what a device stored while nobody listened.
//! * [`adverts`]: PURE. Which of what devices advertise is handed on.
//! * [`pins`]: what a device was when it was first met, and whether it still is.
//! * [`btleplug`]: the only file that names the foreign crate; carries out what the machines decide.
//! * [`bluez`]: what btleplug does not offer, by calls of our own on D-Bus.
//!
//! Invariants: only assigned devices are connected; a value that was not subscribed to is never handed on;
//! the queue to the core is bounded, and what does not fit is counted per device.
//! Must not know: seals, stores, uplinks.

pub mod adverts;
pub mod bluez;
pub mod btleplug;
pub mod link;
pub mod pins;
pub mod pipe;
pub mod radio;
pub mod records;
pub mod slots;
pub mod supervisor;
pub mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use vitals::Time;

/// A Bluetooth device address. Written `AA:BB:CC:DD:EE:FF`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(pub [u8; 6]);

impl Address {
    /// From `AA:BB:CC:DD:EE:FF`, or with `_` or `-` between; either case. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '_', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2)?;
            // `from_str_radix` would take a sign.
            if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(bytes))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a Bluetooth address (AA:BB:CC:DD:EE:FF)")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One value that a device notified or indicated; or advertised, where the characteristic is [`adverts::ADVERT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Who.
    pub device: Address,
    /// The service's UUID.
    #[serde(with = "pipe::uuid")]
    pub service: u128,
    /// The characteristic's UUID.
    #[serde(with = "pipe::uuid")]
    pub characteristic: u128,
    /// The bytes.
    #[serde(with = "pipe::octets")]
    pub value: Vec<u8>,
    /// The gateway's clock when the value came out of the radio.
    #[serde(with = "pipe::time")]
    pub received: Time,
}

/// What the radio tells the core besides values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RadioEvent {
    /// An assigned device's link changed.
    Link(Address, LinkState),
    /// What a device says about itself, read after it was subscribed.
    About(Address, About),
    /// A device that is not assigned was seen.
    Unassigned(Address),
    /// An assigned device offers this many characteristics that nobody here can decode.
    UnknownProfiles(Address, usize),
    /// Fetching a device's stored records ended.
    Records(Address, records::Profile, records::Outcome),
    /// What answers under a device's address is not that device: this differs. Nothing of it was taken.
    Impostor(Address, String),
    /// Adverts that were not taken since this was told last, by reason.
    Adverts(BTreeMap<String, u64>),
    /// The radio works (`None`) or why it does not, for people.
    Health(Option<String>),
    /// The radio's worker ended and is started again.
    Ended(WorkerEnd),
}

/// Why the radio's worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WorkerEnd {
    /// By itself, because adapter, daemon or bus failed it.
    Trouble,
    /// It crashed, or somebody killed it.
    Died,
    /// It said nothing any more and was killed.
    Hung,
}

impl WorkerEnd {
    /// Lower-case word for counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::Died => "died",
            Self::Hung => "hung",
        }
    }
}

/// A link as people and the centre see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LinkState {
    /// Being looked for; not connected since the agent started.
    Searching,
    /// Connected and subscribed.
    Connected,
    /// Was connected; gone.
    Lost,
}

impl LinkState {
    /// Lower-case word for status and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Searching => "searching",
            Self::Connected => "connected",
            Self::Lost => "lost",
        }
    }
}

/// What a device says about itself, texts cut and cleaned. Absent where it does not, or where the last reading of it failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Advertised name.
    pub name: Option<String>,
    /// Manufacturer name string (2A29).
    pub manufacturer: Option<String>,
    /// Model number string (2A24).
    pub model: Option<String>,
    /// Battery level in percent (2A19, read).
    pub battery_percent: Option<u8>,
}

/// Notifications that found the queue to the core full, by device: counted by the radio, taken by the core,
/// which declares them as a gap.
#[derive(Clone, Debug, Default)]
pub struct Overflow(Arc<Mutex<BTreeMap<Address, Missed>>>);

/// Notifications of one device that were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// How many.
    pub notifications: u64,
    /// When the first came.
    #[serde(with = "pipe::time")]
    pub from: Time,
    /// When the last came.
    #[serde(with = "pipe::time")]
    pub to: Time,
}

impl Overflow {
    /// Counts one more.
    pub fn count(&self, device: Address, at: Time) {
        let one = Missed {
            notifications: 1,
            from: at,
            to: at,
        };
        self.add(device, one);
    }

    /// Counts what was counted elsewhere.
    pub fn add(&self, device: Address, more: Missed) {
        let mut missed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missed
            .entry(device)
            .and_modify(|entry| {
                entry.notifications += more.notifications;
                entry.from = entry.from.min(more.from);
                entry.to = entry.to.max(more.to);
            })
            .or_insert(more);
    }

    /// Takes all that was counted since the last call.
    #[must_use]
    pub fn take(&self) -> BTreeMap<Address, Missed> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_in_every_spelling_and_nothing_else() {
        let address = Address([0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0x0F]);
        for text in [
            "AA:BB:CC:DD:EE:0F",
            "aa:bb:cc:dd:ee:0f",
            "AA_BB_CC_DD_EE_0F",
        ] {
            assert_eq!(Address::parse(text), Some(address));
        }
        assert_eq!(address.to_string(), "AA:BB:CC:DD:EE:0F");
        for text in [
            "",
            "AA:BB:CC:DD:EE",
            "AA:BB:CC:DD:EE:0F:1",
            "AA:BB:CC:DD:EE:+F",
            "A:BB:CC:DD:EE:0F0",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn overflow_counts_until_it_is_taken() {
        let overflow = Overflow::default();
        let device = Address([1; 6]);
        overflow.count(device, Time::from_micros(5));
        overflow.count(device, Time::from_micros(9));
        let missed = Missed {
            notifications: 2,
            from: Time::from_micros(5),
            to: Time::from_micros(9),
        };
        assert_eq!(overflow.take(), BTreeMap::from([(device, missed)]));
        assert!(overflow.take().is_empty());
    }
}
