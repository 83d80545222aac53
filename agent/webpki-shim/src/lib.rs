//! Stands in for `rustls-webpki` 0.102, which rumqttc 0.25 names only in an error type.
//!
//! That line carries RUSTSEC-2026-0049, -0098, -0099 and -0104 and will not be mended; this crate
//! re-exports the maintained 0.103 under the old version number. Delete it when rumqttc moves on.
pub use new::*;
