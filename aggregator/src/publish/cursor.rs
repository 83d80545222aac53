//! The cursor that readers resume with: to them opaque bytes, to us (epoch, filter, place), authenticated.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | stream: 1 twins, 2 alerts |
//! | 2 | 8 | journal epoch, big-endian |
//! | 10 | 8 | hash of the filter |
//! | 18 | 8 | journal position, big-endian |
//! | 26 | 4 | index of the event within that entry, big-endian |
//! | 30 | 16 | HMAC-SHA256 over bytes 0..30, first half |
//!
//! Invariants: a cursor that this centre did not make is never honoured; a cursor never widens what its bearer
//! may see (the gate is asked for each event all the same); decoding is total.
//!
//! Must not know: gRPC, patients' state.

use proto::seal::Secret;
use proto::seal::crypto::{equal, hmac_sha256};

use super::FilterHash;

const VERSION: u8 = 1;
const CLEAR: usize = 30;
const TAG: usize = 16;

/// Encoded length.
pub const CURSOR_BYTES: usize = CLEAR + TAG;

/// Place of a published event: the journal entry it came from, and its index among the events of that entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// Journal position.
    pub position: u64,
    /// From 0.
    pub index: u32,
}

impl At {
    /// Before every event.
    pub const START: Self = Self {
        position: 0,
        index: 0,
    };

    /// After every event of the entry at `position`.
    #[must_use]
    pub const fn end_of(position: u64) -> Self {
        Self {
            position,
            index: u32::MAX,
        }
    }
}

/// Which stream a cursor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// `TwinService.Watch`.
    Twins,
    /// `AlertService.Watch`.
    Alerts,
}

impl Stream {
    const fn number(self) -> u8 {
        match self {
            Self::Twins => 1,
            Self::Alerts => 2,
        }
    }
}

/// Why a cursor cannot be honoured: the reader gets a snapshot instead, with this text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not made by this centre, or changed on the way.
    #[error("the cursor was not made by this centre or was changed")]
    NotOurs,
    /// The journal was restored or begun again.
    #[error("the cursor is from another epoch of the journal")]
    OtherEpoch,
    /// Made for another question.
    #[error("the cursor was made for another filter, or for who sees other patients")]
    OtherFilter,
    /// Events after it are no longer kept.
    #[error("the cursor is older than the events that are kept")]
    TooOld,
    /// Later than everything known: the journal lost its end.
    #[error("the cursor is ahead of the journal")]
    Ahead,
}

/// Makes and reads cursors.
#[derive(Clone)]
pub struct CursorKey(Secret);

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey(hidden)")
    }
}

impl CursorKey {
    /// From a secret that survives a restart.
    #[must_use]
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The cursor that resumes after `at`.
    #[must_use]
    pub fn encode(&self, stream: Stream, epoch: u64, filter: FilterHash, at: At) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.push(VERSION);
        bytes.push(stream.number());
        bytes.extend_from_slice(&epoch.to_be_bytes());
        bytes.extend_from_slice(&filter.0);
        bytes.extend_from_slice(&at.position.to_be_bytes());
        bytes.extend_from_slice(&at.index.to_be_bytes());
        let tag = hmac_sha256(&self.0, &bytes);
        bytes.extend_from_slice(&tag[..TAG]);
        bytes
    }

    /// Where the cursor stands.
    ///
    /// # Errors
    /// [`CursorError::NotOurs`], [`CursorError::OtherEpoch`], [`CursorError::OtherFilter`], in this order.
    pub fn decode(
        &self,
        stream: Stream,
        epoch: u64,
        filter: FilterHash,
        cursor: &[u8],
    ) -> Result<At, CursorError> {
        let (clear, tag) = cursor.split_at_checked(CLEAR).ok_or(CursorError::NotOurs)?;
        let expected = hmac_sha256(&self.0, clear);
        if !equal(&expected[..TAG], tag) {
            return Err(CursorError::NotOurs);
        }
        let mut rest = clear;
        let [version, number] = take::<2>(&mut rest)?;
        if version != VERSION {
            return Err(CursorError::NotOurs);
        }
        let its_epoch = u64::from_be_bytes(take(&mut rest)?);
        let its_filter = FilterHash(take(&mut rest)?);
        let at = At {
            position: u64::from_be_bytes(take(&mut rest)?),
            index: u32::from_be_bytes(take(&mut rest)?),
        };
        if its_epoch != epoch {
            return Err(CursorError::OtherEpoch);
        }
        if number != stream.number() || its_filter != filter {
            return Err(CursorError::OtherFilter);
        }
        Ok(at)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CursorError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(CursorError::NotOurs)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: FilterHash = FilterHash([0; 8]);

    fn key() -> CursorKey {
        CursorKey::new(Secret::new([7; 32]))
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let filter = NONE;
        let other = FilterHash([3; 8]);
        let at = At {
            position: 9,
            index: 2,
        };
        let cursor = key().encode(Stream::Twins, 1, filter, at);
        let read = |stream, epoch, filter| key().decode(stream, epoch, filter, &cursor);
        assert_eq!(read(Stream::Twins, 1, filter), Ok(at));
        assert_eq!(read(Stream::Twins, 2, filter), Err(CursorError::OtherEpoch));
        assert_eq!(read(Stream::Twins, 1, other), Err(CursorError::OtherFilter));
        assert_eq!(
            read(Stream::Alerts, 1, filter),
            Err(CursorError::OtherFilter)
        );
        let foreign = CursorKey::new(Secret::new([8; 32]));
        assert_eq!(
            foreign.decode(Stream::Twins, 1, filter, &cursor),
            Err(CursorError::NotOurs)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_encoded_is_decoded(epoch: u64, position: u64, index: u32, filter: [u8; 8]) {
            let filter = FilterHash(filter);
            let at = At { position, index };
            let cursor = key().encode(Stream::Alerts, epoch, filter, at);
            prop_assert_eq!(cursor.len(), CURSOR_BYTES);
            prop_assert_eq!(key().decode(Stream::Alerts, epoch, filter, &cursor), Ok(at));
        }

        #[test]
        fn any_changed_byte_is_refused(place in 0..CURSOR_BYTES, flip in 1..=255_u8) {
            let filter = NONE;
            let mut cursor = key().encode(Stream::Alerts, 3, filter, At { position: 5, index: 0 });
            cursor[place] ^= flip;
            let got = key().decode(Stream::Alerts, 3, filter, &cursor);
            prop_assert_eq!(got, Err(CursorError::NotOurs));
        }

        #[test]
        fn foreign_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let got = key().decode(Stream::Alerts, 3, NONE, &bytes);
            prop_assert_eq!(got, Err(CursorError::NotOurs));
        }
    }
}
