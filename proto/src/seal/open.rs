//! The centre's side: opens the batches of one context.
//!
//! Invariant: forged and malformed are told apart. Forged bytes are refused; what was truly sealed but does
//! not parse is the gateway's word, is kept, and is counted as malformed.

use prost::Message as _;
use vitals::{ContextId, StreamId};
use zeroize::Zeroizing;

use super::crypto::{self, BatchCipher, ContextKeys, Secret, Suite};
use super::deflate::inflate;
use super::record::{LENGTH_SIZE, split};
use super::{ContextHeader, PatientSecret, SealError, Stub, parse_stub};
use crate::v1::BatchBody;

/// A record whose tag holds.
#[derive(Debug)]
pub struct Opened {
    /// What it says in clear, now proven.
    pub stub: Stub,
    /// What was sealed, or why it does not parse.
    pub body: Result<BatchBody, BodyMalformed>,
}

/// Truly sealed, but not a body: to be journaled, receipted, and folded as malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed body is malformed: {field}")]
pub struct BodyMalformed {
    /// "length", "padding", "deflate" or "encoding".
    pub field: &'static str,
}

/// Opens the batches of one admitted context.
#[derive(Debug)]
pub struct Opener {
    suite: Suite,
    stream: StreamId,
    context: ContextId,
    cipher: BatchCipher,
    keys: ContextKeys,
}

impl Opener {
    /// From the patient's private key and a header that [`super::verify_header`] returned.
    ///
    /// # Errors
    /// [`SealError::BadKey`] if the encapsulated key is no usable X25519 key. A header that was sealed to
    /// another key gives an opener that finds every record forged: compare `key_id` first.
    pub fn new(secret: &PatientSecret, header: &ContextHeader) -> Result<Self, SealError> {
        let keys = crypto::decapsulate(&secret.private, &header.encapsulated, &header.info());
        let keys = keys.map_err(|_| SealError::BadKey)?;
        Ok(Self::from_keys(
            header.suite,
            header.stream,
            header.context,
            keys,
        ))
    }

    /// From exported keys, so that a restart decapsulates nothing.
    #[must_use]
    pub fn from_keys(
        suite: Suite,
        stream: StreamId,
        context: ContextId,
        keys: ContextKeys,
    ) -> Self {
        let cipher = BatchCipher::new(suite, &keys.batch);
        Self {
            suite,
            stream,
            context,
            cipher,
            keys,
        }
    }

    /// The exported keys, for a snapshot sealed under the patient's key.
    #[must_use]
    pub fn keys(&self) -> &ContextKeys {
        &self.keys
    }

    /// The key that proves receipts of this context.
    #[must_use]
    pub fn receipt_key(&self) -> &Secret {
        &self.keys.receipt
    }

    /// The bulk AEAD.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The stream that its records must name.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The context that its records must name.
    #[must_use]
    pub fn context(&self) -> ContextId {
        self.context
    }

    /// Verifies and opens one record.
    ///
    /// # Errors
    /// [`SealError::Malformed`] and [`SealError::Checksum`] as [`parse_stub`]; [`SealError::Forged`] if the
    /// tag does not hold or the record names another stream or context.
    pub fn open(&self, record: &[u8]) -> Result<Opened, SealError> {
        let stub = parse_stub(record)?;
        if stub.stream != self.stream || stub.context != self.context {
            return Err(SealError::Forged);
        }
        let (clear, sealed) = split(record);
        let mut text = Zeroizing::new(sealed.to_vec());
        let plain = self
            .cipher
            .open(stub.number, clear, &mut text)
            .map_err(|_| SealError::Forged)?;
        Ok(Opened {
            stub,
            body: body_of(plain, stub.deflated),
        })
    }
}

fn body_of(plain: &[u8], deflated: bool) -> Result<BatchBody, BodyMalformed> {
    let malformed = |field| BodyMalformed { field };
    let (length, rest) = plain
        .split_first_chunk::<LENGTH_SIZE>()
        .ok_or(malformed("length"))?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (body, padding) = rest.split_at_checked(length).ok_or(malformed("length"))?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(malformed("padding"));
    }
    let inflated;
    let body = if deflated {
        inflated = inflate(body).ok_or(malformed("deflate"))?;
        inflated.as_slice()
    } else {
        body
    };
    BatchBody::decode(body).map_err(|_| malformed("encoding"))
}
