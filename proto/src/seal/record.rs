//! One sealed batch as bytes: stub, ciphertext, tag, checksum. Nothing here needs a key.
//!
//! Invariants: a record has at most [`MAX_RECORD`] bytes; its stub says exactly how long it is.

use vitals::{ContextId, StreamId, Time};

use super::crypto::TAG_SIZE;
use super::{SealError, take, take_u16, take_u32, take_u64};
use crate::v1;

const MAGIC: &[u8; 4] = b"VTB1";
/// The same with a deflated body.
const MAGIC_DEFLATED: &[u8; 4] = b"VTB2";
/// Bytes of the stub: readable without a key, bound by the tag.
pub const STUB_SIZE: usize = 57;
/// Bytes of the CRC-32C at the end.
const CHECKSUM_SIZE: usize = 4;
/// Longest record, bytes: one page of the outbox's store.
pub const MAX_RECORD: usize = 4096;
/// Bytes in front of the body inside the seal, its length.
pub(super) const LENGTH_SIZE: usize = 2;
/// Longest encoded body that fits a record as it is, bytes; see also [`super::MAX_INFLATED`].
pub const MAX_BODY: usize = 4000 - LENGTH_SIZE;
/// Plaintexts are padded to one of these, so that their length tells little.
const PADDED: [u16; 12] = [
    64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4000,
];
/// Microseconds of the stub's time unit.
const MINUTE_US: i64 = 60_000_000;

/// What may be delayed or dropped for what. The discriminants are wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// First of all.
    Alert = 1,
    /// Scalar readings, heartbeats, device reports.
    Vitals = 2,
    /// Dense signals; dropped first.
    Waveform = 3,
    /// Counted losses; never dropped.
    Gap = 4,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 4] = [Self::Alert, Self::Vitals, Self::Waveform, Self::Gap];

    /// From the number in a stub; `None` for numbers that this version does not know.
    #[must_use]
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| *lane as u8 == number)
    }
}

impl From<Lane> for v1::Lane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Alert => Self::Alert,
            Lane::Vitals => Self::Vitals,
            Lane::Waveform => Self::Waveform,
            Lane::Gap => Self::Gap,
        }
    }
}

/// What a record says in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stub {
    /// The body was deflated before it was sealed.
    pub deflated: bool,
    /// The assignment.
    pub stream: StreamId,
    /// The HPKE context.
    pub context: ContextId,
    /// Counts the batches of the context, from 1.
    pub number: u64,
    /// What it may wait for.
    pub lane: Lane,
    /// The agent's number of the source; 0 for none.
    pub source: u16,
    /// Scalar readings inside.
    pub count: u16,
    /// Oldest effective time inside, whole minutes since the Unix epoch.
    pub oldest_minute: u32,
    /// Whole minutes to the newest, rounded up; `u16::MAX` means at least that.
    pub span_minutes: u16,
    /// Bytes of the padded plaintext.
    pub padded: u16,
}

impl Stub {
    /// Start of the time span inside.
    #[must_use]
    pub fn oldest(&self) -> Time {
        Time::from_micros(i64::from(self.oldest_minute) * MINUTE_US)
    }

    /// End of the time span inside (rounded up to a minute).
    #[must_use]
    pub fn newest(&self) -> Time {
        Time::from_micros(
            (i64::from(self.oldest_minute) + i64::from(self.span_minutes)) * MINUTE_US,
        )
    }

    /// Bytes of the whole record.
    #[must_use]
    pub fn record_size(&self) -> usize {
        STUB_SIZE + usize::from(self.padded) + TAG_SIZE + CHECKSUM_SIZE
    }

    pub(super) fn encode(&self) -> [u8; STUB_SIZE] {
        let mut bytes = Vec::with_capacity(STUB_SIZE);
        bytes.extend_from_slice(if self.deflated { MAGIC_DEFLATED } else { MAGIC });
        bytes.extend_from_slice(&self.stream.0);
        bytes.extend_from_slice(&self.context.0);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.push(self.lane as u8);
        bytes.extend_from_slice(&self.source.to_be_bytes());
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.extend_from_slice(&self.oldest_minute.to_be_bytes());
        bytes.extend_from_slice(&self.span_minutes.to_be_bytes());
        bytes.extend_from_slice(&self.padded.to_be_bytes());
        bytes
            .try_into()
            .expect("the fields of a stub take 57 bytes")
    }
}

/// The coarse time span of a stub: (oldest minute, minutes to the newest). Times before 1970 count as 1970.
pub(super) fn coarse(oldest: Time, newest: Time) -> (u32, u16) {
    let first = u32::try_from(oldest.as_micros().max(0) / MINUTE_US).unwrap_or(u32::MAX);
    let last = newest.as_micros().max(0);
    let last = last / MINUTE_US + i64::from(last % MINUTE_US != 0);
    let span = (last - i64::from(first)).max(0);
    (first, u16::try_from(span).unwrap_or(u16::MAX))
}

/// The padded size of a plaintext that holds a body of this many encoded bytes; `None` if it does not fit a
/// record.
#[must_use]
pub fn padded_size(body: usize) -> Option<u16> {
    PADDED
        .into_iter()
        .find(|size| usize::from(*size) >= body.saturating_add(LENGTH_SIZE))
}

/// CRC-32C of the bytes, as it ends a record.
#[must_use]
pub fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).to_be_bytes()
}

/// Reads the stub of a whole record; magic, fields, length and checksum hold.
///
/// # Errors
/// [`SealError::Malformed`] or [`SealError::Checksum`]. A record cut short is malformed ("length"); what was
/// changed by accident fails the checksum, unless the change hit the magic or the length.
pub fn parse_stub(record: &[u8]) -> Result<Stub, SealError> {
    let malformed = |field| SealError::Malformed { field };
    let mut rest = record;
    let deflated = match &take::<4>(&mut rest, "magic")? {
        MAGIC => false,
        MAGIC_DEFLATED => true,
        _ => return Err(malformed("magic")),
    };
    let stream = StreamId(take(&mut rest, "length")?);
    let context = ContextId(take(&mut rest, "length")?);
    let number = take_u64(&mut rest, "length")?;
    let [lane] = take(&mut rest, "length")?;
    let source = take_u16(&mut rest, "length")?;
    let count = take_u16(&mut rest, "length")?;
    let oldest_minute = take_u32(&mut rest, "length")?;
    let span_minutes = take_u16(&mut rest, "length")?;
    let padded = take_u16(&mut rest, "length")?;
    if rest.len() != usize::from(padded) + TAG_SIZE + CHECKSUM_SIZE {
        return Err(malformed("length"));
    }
    let (summed, sum) = record
        .split_last_chunk::<CHECKSUM_SIZE>()
        .ok_or(malformed("length"))?;
    if checksum(summed) != *sum {
        return Err(SealError::Checksum);
    }
    // Only now: damage is told from malice before any field is judged.
    if !PADDED.contains(&padded) {
        return Err(malformed("padded size"));
    }
    if number == 0 {
        return Err(malformed("number"));
    }
    let lane = Lane::from_wire(lane).ok_or(malformed("lane"))?;
    Ok(Stub {
        deflated,
        stream,
        context,
        number,
        lane,
        source,
        count,
        oldest_minute,
        span_minutes,
        padded,
    })
}

/// The AEAD tag of a record, which its receipt covers.
///
/// # Errors
/// As [`parse_stub`].
pub fn tag_of(record: &[u8]) -> Result<[u8; TAG_SIZE], SealError> {
    parse_stub(record)?;
    let summed = record
        .split_last_chunk::<CHECKSUM_SIZE>()
        .map(|(summed, _)| summed);
    let tag = summed.and_then(|summed| summed.last_chunk::<TAG_SIZE>());
    tag.copied().ok_or(SealError::Malformed { field: "length" })
}

/// Splits a whole record, whose stub holds, into (stub bytes, ciphertext and tag).
pub(super) fn split(record: &[u8]) -> (&[u8], &[u8]) {
    let (stub, rest) = record.split_at(STUB_SIZE);
    (stub, &rest[..rest.len() - CHECKSUM_SIZE])
}
