//! The sealed-batch format, byte by byte in `SEAL.md`.

pub mod crypto;
