//! The edge: reads wearables, seals every reading for one patient, keeps it until it is safe elsewhere.
//!
//! The way of one notification, and the folders in its order:
//! [`ble`] -> `decode` -> [`outbox`] -> [`uplink`].

pub mod backoff;
pub mod ble;
pub mod config;
pub mod decode;
pub mod outbox;
pub mod uplink;
