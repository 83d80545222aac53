//! scratch
pub mod backoff;
pub mod ble;
pub mod command;
pub mod config;
pub mod decode;
pub mod enrol;
pub mod identity;
pub mod outbox;
pub mod uplink;
