//! The sealed-batch format, byte by byte in `SEAL.md`: the agent seals to the patient's key with a
//! [`Sealer`], the centre opens with an [`Opener`], both prove delivery with [`receipt`], and the centre
//! orders with [`command`].
//!
//! Invariants: a batch key lives in memory only and seals a number once; what [`Opener::open`] returns was
//! sealed by the holder of the gateway key that signed the context's header, for this stream and number; no
//! parser here panics on any bytes. Foreign crypto crates are named in [`crypto`] only.
//!
//! Must not know: what a body says (see `wire`), stores, transports, who is assigned to whom.

pub mod command;
pub mod crypto;
mod deflate;
pub mod header;
mod key;
mod open;
pub mod receipt;
pub mod record;
pub mod rest;
mod sealer;

pub use crypto::{ContextKeys, Secret, SigningKey, Suite};
pub use deflate::{MAX_INFLATED, deflated_size, fits_record};
pub use header::{ContextHeader, Predecessor, parse_header, verify_header};
pub use key::{KeyId, PatientPublic, PatientSecret};
pub use open::{BodyMalformed, Opened, Opener};
pub use record::{Lane, MAX_BODY, MAX_RECORD, Stub, padded_size, parse_stub, tag_of};
pub use sealer::{Label, NewContext, Sealer};

/// Why bytes were refused. Each variant is a different decision for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not this format: refuse, and tell the sender which field.
    #[error("malformed: {field}")]
    Malformed {
        /// The field of `SEAL.md` that does not hold.
        field: &'static str,
    },
    /// A newer format: the reader must be updated.
    #[error("format version {version} is not known here: update this program")]
    UnsupportedVersion {
        /// The version found.
        version: u8,
    },
    /// A suite that this version does not open.
    #[error("suite {suite} is not known here: update this program")]
    UnsupportedSuite {
        /// The suite found.
        suite: u8,
    },
    /// Damaged by accident, on disk or on the way.
    #[error("the checksum does not hold: the bytes are damaged")]
    Checksum,
    /// Well formed, but the tag or signature does not hold: not from the one it claims to be from.
    #[error("the tag or signature does not hold")]
    Forged,
    /// The certificate does not name the gateway that the header names.
    #[error("the certificate is not that of the header's gateway")]
    OtherGateway,
    /// The body does not fit one record: split the readings (`wire::split_to_fit`).
    #[error("a body of {size} bytes does not fit a record, which takes {limit}")]
    TooLarge {
        /// Encoded size of the body, bytes.
        size: usize,
        /// What fits.
        limit: usize,
    },
    /// The number was sealed before, or is 0. Sealing it again would repeat a nonce.
    #[error("batch number {number} cannot be sealed: the last was {last}")]
    NumberUsed {
        /// The number asked for.
        number: u64,
        /// The highest number sealed so far.
        last: u64,
    },
    /// The patient's key, or the encapsulated key, is no usable X25519 key.
    #[error("the key is not a usable X25519 key")]
    BadKey,
}

/// Takes a fixed-size field from the front of `bytes`; the name goes into the error.
fn take<const N: usize>(bytes: &mut &[u8], field: &'static str) -> Result<[u8; N], SealError> {
    let (head, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or(SealError::Malformed { field })?;
    *bytes = rest;
    Ok(*head)
}

fn take_u16(bytes: &mut &[u8], field: &'static str) -> Result<u16, SealError> {
    take(bytes, field).map(u16::from_be_bytes)
}

fn take_u32(bytes: &mut &[u8], field: &'static str) -> Result<u32, SealError> {
    take(bytes, field).map(u32::from_be_bytes)
}

fn take_u64(bytes: &mut &[u8], field: &'static str) -> Result<u64, SealError> {
    take(bytes, field).map(u64::from_be_bytes)
}

fn take_time(bytes: &mut &[u8], field: &'static str) -> Result<vitals::Time, SealError> {
    take(bytes, field).map(|raw| vitals::Time::from_micros(i64::from_be_bytes(raw)))
}
