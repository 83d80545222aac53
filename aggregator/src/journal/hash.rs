//! A password in the log: what it is proved against. Must not know: how it is made (`serve::password`).

use std::fmt;

/// A password as it is kept: Argon2id, with what it cost. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Of its own.
    pub salt: [u8; 16],
    /// The tag.
    pub tag: [u8; 32],
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}
