//! The contract: the only description of what crosses a process border.
//!
//! * `v1/*.proto`, generated into [`v1`] (checked in; `tests/generated.rs` verifies it).
//! * [`seal`]: the sealed-batch format, byte by byte in `SEAL.md`: context headers, records, receipts,
//!   commands, and boxes for data at rest. The agent seals, the centre opens, both with this code; its test
//!   vectors lie in `vectors/` beside a second implementation in Python.
//! * [`wire`]: readings to columnar bodies that fit a record, and bodies back with every field checked.
//! * [`carry`]: files that carry sealed records by hand where there is no line (`CARRY.md`).
//! * [`topic`]: MQTT topic grammar.
//! * [`token`]: the line of text with which a gateway enrols.
//! * [`clock`]: the one clock a process reads, and the test clock that can drive all of them.
//! * [`report`], [`notify`]: how a process tells people and systemd how it is.
//! * [`tls`]: the one TLS configuration (rustls, TLS 1.3, aws-lc-rs) for both ends.
//! * [`cert`]: what a certificate of the house says: role, name, key, issuer.
//!
//! Foreign crypto crates are named in `seal::crypto` and `tls`, the X.509 parser in `cert`, and nowhere else.
//! Every parser here takes hostile bytes: none panics, and each error names the field.
//!
//! Must not know: BLE, stores, models, screens.

pub mod carry;
pub mod cert;
pub mod clock;
pub mod notify;
pub mod report;
pub mod seal;
pub mod text;
pub mod tls;
pub mod token;
pub mod topic;
pub mod wire;

/// Generated from `v1/*.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::all,
    clippy::wildcard_enum_match_arm,
    rustdoc::all,
    reason = "generated"
)]
pub mod v1 {
    include!("generated/vitaltwin.v1.rs");

    /// Encoded `FileDescriptorSet` of the contract, for server reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
}
