//! What the log holds of the ways in which people sign in and are reached. Must not know: how they are proved (`serve`).

use std::fmt;

use vitals::Time;

use super::entry::SealedText;

/// What became of a passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasskeyAct {
    /// It was made.
    Added {
        /// For pages of this host alone.
        host: String,
        /// As `serve::passkey` writes it.
        key: Vec<u8>,
        /// How often it had signed.
        count: u32,
        /// For its person.
        label: String,
        /// When, by the centre's clock.
        at: Time,
    },
    /// It signed in; how often it has signed now.
    Used(u32),
    /// It is worth nothing any more.
    Removed,
}

/// What became of a way to sign in, or to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountAct {
    /// A password with its second factor; it replaces the former ones.
    PasswordSet {
        /// What the password is proved against.
        hash: PasswordHash,
        /// Secret of the codes (`serve::totp`), sealed by the vault.
        seed: SealedText,
        /// SHA-256 of each recovery code.
        recovery: Vec<[u8; 32]>,
        /// When, by the centre's clock.
        at: Time,
    },
    /// A code of this step signed in: none of it or of a former step does again.
    CodeUsed(u64),
    /// This recovery code signed in, and is spent.
    RecoveryUsed([u8; 32]),
    /// New recovery codes; the former ones are worth nothing.
    RecoveryMade(Vec<[u8; 32]>),
    /// Neither password nor codes are worth anything any more.
    PasswordRemoved,
    /// Whoever this provider calls so is this person.
    Linked {
        /// The provider, as it calls itself.
        issuer: String,
        /// Whom it names; its own affair.
        subject: String,
        /// When, by the centre's clock.
        at: Time,
    },
    /// Nobody of a provider is this person any more.
    Unlinked,
    /// A browser of theirs takes messages.
    Subscribed {
        /// Names it: the hash of its address.
        id: [u8; 16],
        /// Its address and keys (`channel::push`), sealed by the vault.
        sealed: SealedText,
        /// For its person.
        label: String,
        /// When, by the centre's clock.
        at: Time,
    },
    /// It takes no more: by its person's will, or its push service says that it is gone.
    Unsubscribed {
        /// Which.
        id: [u8; 16],
    },
}

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
