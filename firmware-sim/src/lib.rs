//! A bench full of wearables: patients with a physiology, sensor chips at register level, real firmware and drivers, and a
//! Bluetooth daemon on a private bus, so that an unmodified gateway program finds, connects and subscribes to them.
//!
//! In the order of the flow:
//! * [`scenario`]: who wears what where, and what happens to them. [`replay`]: a recorded heart.
//! * [`patient`]: PURE, seeded physiology. [`chip`]: sensors behind embedded-hal buses. The firmware that reads them is the
//!   crate `firmware`. [`wearable`]: all three, with battery and contact.
//! * [`bluez`]: the Bluetooth daemon, with faults on demand. [`bus`]: the private D-Bus.
//!
//! Everything here is test data and says so: device names begin with "vitaltwin sim", the maker is [`wearable::MANUFACTURER`].
//! The same seed gives the same octets. Must not know: agent, aggregator.

pub mod bluez;
pub mod bus;
pub mod chip;
pub mod patient;
pub mod replay;
pub mod scenario;
pub mod wearable;
