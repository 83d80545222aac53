//! PURE. What lies in the store besides sealed records, as bytes and back.
//!
//! Each value is framed: magic `VTR1`, kind (1), length (4, big-endian), a protobuf message, CRC-32C over all
//! before. The frame lets [`super::salvage`] find rows in a store that does not open.
//! Invariant: no row holds a reading or a key that opens one.

use std::collections::BTreeMap;

use prost::Message;
use proto::seal::Secret;
use proto::seal::record::checksum;
use vitals::{ContextId, StreamId};

use super::ledger::Context;

const MAGIC: &[u8; 4] = b"VTR1";
/// Bytes in front of a row's message.
const HEAD: usize = 9;
/// Longest row taken, bytes: a context with its certificate chain stays far below.
pub const MAX_ROW: usize = 16 * 1024;

/// A row that can be framed.
pub trait Row: Message + Default {
    /// Tells rows of one kind from another.
    const KIND: u8;

    /// The framed bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.encoded_len() + 4);
        bytes.extend_from_slice(MAGIC);
        bytes.push(Self::KIND);
        let length = u32::try_from(self.encoded_len()).expect("rows are far below 4 GiB");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.encode_to_vec());
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// From exactly these framed bytes; `None` if they are damaged or of another kind.
    #[must_use]
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, message, rest) = split(bytes)?;
        (kind == Self::KIND && rest.is_empty()).then_some(())?;
        Self::decode(message).ok()
    }
}

/// A row of any kind at the front of `bytes`, as found by salvage: (kind, its message, its whole length).
#[must_use]
pub fn find(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (kind, message, rest) = split(bytes)?;
    Some((kind, message, bytes.len() - rest.len()))
}

fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let [a, b, c, d, kind, l0, l1, l2, l3] = *head;
    if [a, b, c, d] != *MAGIC {
        return None;
    }
    let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
    if length > MAX_ROW {
        return None;
    }
    let (message, rest) = rest.split_at_checked(length)?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let summed = bytes.get(..HEAD + length)?;
    (checksum(summed) == *sum).then_some((kind, message, rest))
}

/// A context that has records, or may still get some.
#[derive(Clone, PartialEq, Message)]
pub struct ContextRow {
    /// Its place in the order of opening.
    #[prost(uint64, tag = "1")]
    pub ordinal: u64,
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub context: Vec<u8>,
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub stream: Vec<u8>,
    /// The signed header.
    #[prost(bytes = "vec", tag = "4")]
    pub header: Vec<u8>,
    /// Certificates, DER, leaf first.
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub chain: Vec<Vec<u8>>,
    /// 32 bytes; opens nothing.
    #[prost(bytes = "vec", tag = "6")]
    pub receipt_key: Vec<u8>,
}

impl Row for ContextRow {
    const KIND: u8 = b'c';
}

impl ContextRow {
    /// The row of a context.
    #[must_use]
    pub fn of(ordinal: u64, context: &Context) -> Self {
        Self {
            ordinal,
            context: context.id.0.to_vec(),
            stream: context.stream.0.to_vec(),
            header: context.header.clone(),
            chain: context.chain.clone(),
            receipt_key: context.receipt_key.expose().to_vec(),
        }
    }

    /// The context of a row; `None` if a field has a wrong length.
    #[must_use]
    pub fn context(self) -> Option<Context> {
        Some(Context {
            id: ContextId::from_slice(&self.context)?,
            stream: StreamId::from_slice(&self.stream)?,
            header: self.header,
            chain: self.chain,
            receipt_key: Secret::from_slice(&self.receipt_key)?,
        })
    }
}

/// What outlives the contexts of a stream.
#[derive(Clone, PartialEq, Message)]
pub struct StreamRow {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub stream: Vec<u8>,
    /// The newest context, 16 bytes; empty if none was opened.
    #[prost(bytes = "vec", tag = "2")]
    pub context: Vec<u8>,
    /// Its highest number that is on disk or receipted.
    #[prost(uint64, tag = "3")]
    pub durable: u64,
    /// When that was committed.
    #[prost(int64, tag = "4")]
    pub durable_at_us: i64,
    /// Its highest number whose receipt was acted upon.
    #[prost(uint64, tag = "5")]
    pub receipted: u64,
    /// Journal epoch of that receipt.
    #[prost(uint64, tag = "6")]
    pub receipt_epoch: u64,
    /// Scalar readings decoded since enrolment.
    #[prost(uint64, tag = "7")]
    pub readings_decoded: u64,
    /// Devices of the stream were listened to at the last commit: a crash may have lost readings.
    #[prost(bool, tag = "8")]
    pub collecting: bool,
    /// Devices as [`super::seal::Sealing::source`] hides them (a stolen disk shows no address); the place in
    /// the list, from 1, is the source number. Never shortened.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub sources: Vec<Vec<u8>>,
    /// Scalar readings in the records of the stream that the store holds as of this commit.
    #[prost(uint64, tag = "10")]
    pub readings_kept: u64,
    /// Records among them that declare losses.
    #[prost(uint64, tag = "11")]
    pub gap_records_kept: u64,
    /// Which stored records of devices were taken.
    #[prost(message, repeated, tag = "12")]
    pub records: Vec<RecordsRow>,
    /// The number of the commit that wrote this row: tells the newer of two.
    #[prost(uint64, tag = "13")]
    pub commits: u64,
    /// The highest journal epoch of which a receipt was acted upon, in any context.
    #[prost(uint64, tag = "14")]
    pub highest_epoch: u64,
}

/// Which stored records of one device were taken: numbers as ranges (first, last, first, last, ...).
#[derive(Clone, PartialEq, Message)]
pub struct RecordsRow {
    /// The device, as its source number.
    #[prost(uint32, tag = "1")]
    pub source: u32,
    /// Sequence numbers of glucose records.
    #[prost(uint64, repeated, tag = "2")]
    pub glucose: Vec<u64>,
    /// Sequence numbers of glucose contexts.
    #[prost(uint64, repeated, tag = "3")]
    pub contexts: Vec<u64>,
    /// The last glucose record that announced a context.
    #[prost(uint32, optional, tag = "4")]
    pub announced: Option<u32>,
    /// Minutes of a monitor's session.
    #[prost(uint64, repeated, tag = "5")]
    pub monitor: Vec<u64>,
    /// That session's start, as the device writes it.
    #[prost(bytes = "vec", tag = "6")]
    pub session: Vec<u8>,
    /// Stamps of an oximeter's spot checks, in order, each as the seconds since the one before it (the first: since
    /// 1970), followed by how many have it. (Tag 7 held microseconds.)
    #[prost(uint64, repeated, tag = "8")]
    pub spots: Vec<u64>,
    /// The newest time of a glucose record, seconds since 1970 by the device; 0 = none.
    #[prost(uint64, tag = "9")]
    pub glucose_latest: u64,
    /// The same when the device began to number anew; 0 = it never did.
    #[prost(uint64, tag = "10")]
    pub glucose_before: u64,
}

impl Row for StreamRow {
    const KIND: u8 = b's';
}

impl StreamRow {
    /// The greater one is the newer row of a stream.
    #[must_use]
    pub const fn age(&self) -> (u64, i64, u64) {
        (self.commits, self.durable_at_us, self.readings_decoded)
    }
}

/// What is known of one device's clock, so that a restart does not make a known clock unknown. Two devices' rows
/// would not fit in one value of the store.
#[derive(Clone, PartialEq, Message)]
pub struct ClockRow {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub stream: Vec<u8>,
    /// The device, as its source number.
    #[prost(uint32, tag = "2")]
    pub source: u32,
    /// When this was kept, to the minute: of several versions the newest counts.
    #[prost(int64, tag = "3")]
    pub kept_at_us: i64,
    /// Its clock's model, as `vitals` gives it.
    #[prost(sint64, repeated, tag = "4")]
    pub clock: Vec<i64>,
    /// The same for what a monitor counts from its session's start.
    #[prost(sint64, repeated, tag = "5")]
    pub counter: Vec<i64>,
}

impl Row for ClockRow {
    const KIND: u8 = b'k';
}

/// Whose clock: a stream, and the source number of a device in it.
pub type ClockOf = (StreamId, u16);

impl ClockRow {
    /// Whose it is; `None` if a field is out of range.
    #[must_use]
    pub fn of(&self) -> Option<ClockOf> {
        let source = u16::try_from(self.source).ok()?;
        Some((StreamId::from_slice(&self.stream)?, source))
    }
}

/// The gateway's own counters, and how its last run ended.
#[derive(Clone, PartialEq, Message)]
pub struct GatewayRow {
    /// Time of the last commit.
    #[prost(int64, tag = "1")]
    pub committed_at_us: i64,
    /// The run ended by itself: everything decoded was sealed and committed.
    #[prost(bool, tag = "2")]
    pub clean: bool,
    /// The next context's place.
    #[prost(uint64, tag = "3")]
    pub next_ordinal: u64,
    /// Scalar readings decoded since enrolment.
    #[prost(uint64, tag = "4")]
    pub readings_decoded: u64,
    /// Scalar readings receipted since enrolment.
    #[prost(uint64, tag = "5")]
    pub readings_receipted: u64,
    /// Scalar readings dropped since enrolment, by reason.
    #[prost(btree_map = "string, uint64", tag = "6")]
    pub readings_dropped: BTreeMap<String, u64>,
    /// When the agent last got an authentic receipt; 0 = never.
    #[prost(int64, tag = "7")]
    pub last_receipt_us: i64,
    /// Scalar readings sealed since enrolment.
    #[prost(uint64, tag = "8")]
    pub readings_sealed: u64,
    /// Commits since enrolment: tells the newer of two rows, whatever the clock does.
    #[prost(uint64, tag = "9")]
    pub commits: u64,
    /// The store was salvaged, and the core has not yet declared what was lost.
    #[prost(bool, tag = "10")]
    pub loss_undeclared: bool,
    /// Records that the store holds as of this commit.
    #[prost(uint64, tag = "11")]
    pub records_kept: u64,
    /// The day that it is for the line's budget, since 1970.
    #[prost(int64, tag = "12")]
    pub day: i64,
    /// Bytes that passed the line, by day.
    #[prost(btree_map = "int64, uint64", tag = "13")]
    pub spent: BTreeMap<i64, u64>,
}

impl Row for GatewayRow {
    const KIND: u8 = b'm';
}

impl GatewayRow {
    /// The greater one is the newer row.
    #[must_use]
    pub const fn age(&self) -> (u64, i64) {
        (self.commits, self.committed_at_us)
    }
}

/// A part of the list of records in [`super::tally`]. All lists have the same length.
#[derive(Clone, PartialEq, Message)]
pub struct ListRow {
    /// The context's place.
    #[prost(uint64, tag = "1")]
    pub ordinal: u64,
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub stream: Vec<u8>,
    /// Numbers within the context.
    #[prost(uint64, repeated, tag = "3")]
    pub numbers: Vec<u64>,
    /// Source numbers.
    #[prost(uint32, repeated, tag = "4")]
    pub sources: Vec<u32>,
    /// Readings, times two; plus one if the record declares losses.
    #[prost(uint32, repeated, tag = "5")]
    pub counts: Vec<u32>,
    /// The list is complete with this row.
    #[prost(bool, tag = "6")]
    pub last: bool,
}

impl Row for ListRow {
    const KIND: u8 = b'l';
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> StreamRow {
        StreamRow {
            stream: vec![1; 16],
            durable: 300,
            sources: vec![vec![7; 8]],
            ..StreamRow::default()
        }
    }

    #[test]
    fn rows_round_trip_and_every_flipped_bit_is_found() {
        let bytes = row().to_bytes();
        assert_eq!(StreamRow::from_bytes(&bytes), Some(row()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(StreamRow::from_bytes(&damaged), None, "bit {bit}");
        }
        assert_eq!(StreamRow::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(GatewayRow::from_bytes(&bytes), None, "another kind");
    }

    #[test]
    fn a_row_is_found_in_front_of_anything() {
        let mut bytes = row().to_bytes();
        let length = bytes.len();
        bytes.extend_from_slice(b"rubbish");
        let (kind, message, found) = find(&bytes).expect("a row");
        assert_eq!((kind, found), (StreamRow::KIND, length));
        assert_eq!(StreamRow::decode(message).ok(), Some(row()));
        assert!(find(b"VTR1c\xff\xff\xff\xff").is_none());
    }
}
