//! The agent's side: opens a context to a patient's key and seals batches under it.
//!
//! Invariant: a number is sealed at most once in the life of a key; numbers only go up; the batch key never
//! leaves this value.

use prost::Message as _;
use vitals::{ContextId, GatewayId, StreamId, Time};
use zeroize::Zeroizing;

use super::crypto::{self, BatchCipher, Secret, SigningKey, Suite, TAG_SIZE};
use super::deflate::pack;
use super::record::{LENGTH_SIZE, MAX_BODY, checksum, coarse};
use super::{ContextHeader, KeyId, Lane, PatientPublic, Predecessor, SealError, Stub};
use crate::v1::BatchBody;

/// What an agent knows when it opens a context.
#[derive(Clone, Debug)]
pub struct NewContext {
    /// The bulk AEAD; [`Suite::for_this_cpu`] as a rule.
    pub suite: Suite,
    /// The generation of the patient's key.
    pub key_id: KeyId,
    /// The patient's public key.
    pub public_key: PatientPublic,
    /// The assignment.
    pub stream: StreamId,
    /// Where the last context of this stream ended on this gateway.
    pub predecessor: Option<Predecessor>,
    /// Who seals.
    pub gateway: GatewayId,
    /// The agent's clock.
    pub opened_at: Time,
}

/// What the stub of a batch will say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Higher than every number sealed before; from 1, +1 a batch as a rule.
    pub number: u64,
    /// What it may wait for.
    pub lane: Lane,
    /// The agent's number of the source; 0 for none.
    pub source: u16,
    /// Scalar readings inside.
    pub count: u16,
    /// Oldest effective time inside.
    pub oldest: Time,
    /// Newest effective time inside.
    pub newest: Time,
}

/// An open context. One per agent start and stream.
#[derive(Debug)]
pub struct Sealer {
    stream: StreamId,
    context: ContextId,
    cipher: BatchCipher,
    receipt_key: Secret,
    last: u64,
}

impl Sealer {
    /// Opens a fresh context: the signed header for the centre, and the sealer.
    ///
    /// # Errors
    /// [`SealError::BadKey`] if the patient's public key is none.
    pub fn open_context(new: NewContext, key: &SigningKey) -> Result<(Vec<u8>, Self), SealError> {
        let mut header = ContextHeader {
            suite: new.suite,
            key_id: new.key_id,
            stream: new.stream,
            context: ContextId(crypto::random()),
            predecessor: new.predecessor,
            opened_at: new.opened_at,
            gateway: new.gateway,
            encapsulated: [0; 32],
        };
        let (encapsulated, keys) = crypto::encapsulate(&new.public_key.0, &header.info())
            .map_err(|_| SealError::BadKey)?;
        header.encapsulated = encapsulated;
        let sealer = Self {
            stream: header.stream,
            context: header.context,
            cipher: BatchCipher::new(header.suite, &keys.batch),
            receipt_key: keys.receipt,
            last: 0,
        };
        Ok((header.sign(key), sealer))
    }

    /// The stream it seals for.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The context it is.
    #[must_use]
    pub fn context(&self) -> ContextId {
        self.context
    }

    /// The number for the next batch.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.last + 1
    }

    /// The key that proves receipts of this context. Opens nothing; may lie on disk.
    #[must_use]
    pub fn receipt_key(&self) -> &Secret {
        &self.receipt_key
    }

    /// Seals one batch into a record, deflated where that makes the record smaller.
    ///
    /// # Errors
    /// [`SealError::TooLarge`], with nothing used up; [`SealError::NumberUsed`].
    pub fn seal(&mut self, label: &Label, body: &BatchBody) -> Result<Vec<u8>, SealError> {
        self.seal_encoded(label, &Zeroizing::new(body.encode_to_vec()))
    }

    /// As [`Sealer::seal`], for a body that is encoded already.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn seal_encoded(&mut self, label: &Label, body: &[u8]) -> Result<Vec<u8>, SealError> {
        // u64::MAX is kept back so that `next_number` cannot overflow.
        if label.number <= self.last || label.number == u64::MAX {
            return Err(SealError::NumberUsed {
                number: label.number,
                last: self.last,
            });
        }
        let too_large = SealError::TooLarge {
            size: body.len(),
            limit: MAX_BODY,
        };
        let packed = pack(body).ok_or(too_large)?;
        let padded = packed.padded;
        let inside = packed.deflated.as_ref().map_or(body, |text| text);
        let length = u16::try_from(inside.len()).map_err(|_| too_large)?;
        let (oldest_minute, span_minutes) = coarse(label.oldest, label.newest);
        let stub = Stub {
            deflated: packed.deflated.is_some(),
            stream: self.stream,
            context: self.context,
            number: label.number,
            lane: label.lane,
            source: label.source,
            count: label.count,
            oldest_minute,
            span_minutes,
            padded,
        };
        let clear = stub.encode();
        let mut text = Vec::with_capacity(usize::from(padded) + TAG_SIZE);
        text.extend_from_slice(&length.to_be_bytes());
        text.extend_from_slice(inside);
        debug_assert_eq!(text.len(), inside.len() + LENGTH_SIZE);
        text.resize(usize::from(padded), 0);
        self.last = label.number;
        let sealed = self.cipher.seal(label.number, &clear, &mut text);
        sealed.expect("a record is far below what the ciphers take");
        let mut record = Vec::with_capacity(stub.record_size());
        record.extend_from_slice(&clear);
        record.extend_from_slice(&text);
        let sum = checksum(&record);
        record.extend_from_slice(&sum);
        Ok(record)
    }
}
