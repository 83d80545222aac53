//! Receipts: the centre's proof of durable delivery, under the context's receipt key.
//!
//! Invariant: a receipt that [`verify`] returns has ascending, disjoint, non-empty ranges; whether the tags
//! match is for the one who holds the records ([`tags_hash`]).

use vitals::ContextId;

use super::SealError;
use super::crypto::{self, Secret, Sha256, TAG_SIZE};
use crate::v1;

const LABEL: &[u8] = b"vitaltwin receipt v1\0";
/// Most ranges in one receipt: 48 bytes each, so that a receipt fits the 64 KiB of a message.
pub const MAX_RANGES: usize = 1024;

/// Consecutive batches that lie in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First number.
    pub first: u64,
    /// Last number.
    pub last: u64,
    /// [`tags_hash`] of the batches `first..=last`.
    pub tags_hash: [u8; 32],
}

/// A receipt whose MAC holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Of this context.
    pub context: ContextId,
    /// The journal's epoch.
    pub journal_epoch: u64,
    /// Ascending and disjoint.
    pub ranges: Vec<Range>,
}

/// SHA-256 over the tags of consecutive batches, in order.
#[must_use]
pub fn tags_hash(tags: impl IntoIterator<Item = [u8; TAG_SIZE]>) -> [u8; 32] {
    let mut hash = Sha256::default();
    tags.into_iter().for_each(|tag| hash.update(&tag));
    hash.finish()
}

/// The MAC over a receipt's content.
#[must_use]
pub fn mac(key: &Secret, context: ContextId, journal_epoch: u64, ranges: &[Range]) -> [u8; 32] {
    let mut message = Vec::with_capacity(LABEL.len() + 28 + 48 * ranges.len());
    message.extend_from_slice(LABEL);
    message.extend_from_slice(&context.0);
    message.extend_from_slice(&journal_epoch.to_be_bytes());
    message.extend_from_slice(
        &u32::try_from(ranges.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    for range in ranges {
        message.extend_from_slice(&range.first.to_be_bytes());
        message.extend_from_slice(&range.last.to_be_bytes());
        message.extend_from_slice(&range.tags_hash);
    }
    crypto::hmac_sha256(key, &message)
}

/// The message for a gateway. `ranges` must be ascending, disjoint and at most [`MAX_RANGES`].
#[must_use]
pub fn make(key: &Secret, context: ContextId, journal_epoch: u64, ranges: &[Range]) -> v1::Receipt {
    let wire = |range: &Range| v1::ReceiptRange {
        first: range.first,
        last: range.last,
        tags_hash: range.tags_hash.to_vec(),
    };
    v1::Receipt {
        context: context.0.to_vec(),
        ranges: ranges.iter().map(wire).collect(),
        journal_epoch,
        mac: mac(key, context, journal_epoch, ranges).to_vec(),
    }
}

/// Verifies a receipt under the key of the context that it names.
///
/// # Errors
/// [`SealError::Malformed`], or [`SealError::Forged`] if the MAC does not hold.
pub fn verify(key: &Secret, receipt: &v1::Receipt) -> Result<Verified, SealError> {
    let malformed = |field| SealError::Malformed { field };
    let context = ContextId::from_slice(&receipt.context).ok_or(malformed("context"))?;
    if receipt.ranges.is_empty() || receipt.ranges.len() > MAX_RANGES {
        return Err(malformed("ranges"));
    }
    let mut before = 0;
    let mut ranges = Vec::with_capacity(receipt.ranges.len());
    for range in &receipt.ranges {
        let tags_hash = range
            .tags_hash
            .as_slice()
            .try_into()
            .map_err(|_| malformed("tags hash"))?;
        if range.first <= before || range.last < range.first {
            return Err(malformed("ranges"));
        }
        before = range.last;
        ranges.push(Range {
            first: range.first,
            last: range.last,
            tags_hash,
        });
    }
    let expected = mac(key, context, receipt.journal_epoch, &ranges);
    if !crypto::equal(&expected, &receipt.mac) {
        return Err(SealError::Forged);
    }
    Ok(Verified {
        context,
        journal_epoch: receipt.journal_epoch,
        ranges,
    })
}
