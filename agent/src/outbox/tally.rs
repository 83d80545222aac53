//! PURE. What should be in the store, kept beside it, so that a damaged store's loss can be counted.
//!
//! The rows of the store say how many readings it holds; but where they are damaged with it, or sled went back
//! to an older state, nobody could tell what is missing. So a copy of the rows lies in a small file of its own,
//! renewed now and then, and at a clean end with a list of all records. Counts only: the file opens nothing.
//! Invariant: a loss is called exact only if nothing can have come or gone since the count was taken.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::seal::Lane;
use vitals::StreamId;

use super::RecordId;
use super::ledger::Entry;
use super::records::Records;
use super::rows::{self, GatewayRow, ListRow, Row as _, StreamRow};

/// Records that a list names at most: with more, a clean end is counted like an unclean one.
pub const MOST_LISTED: usize = 50_000;
/// Records in one row of the list: each takes at most 12 bytes.
const A_ROW: usize = 1024;

/// What the list says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub stream: StreamId,
    /// Its source.
    pub source: u16,
    /// Scalar readings in it.
    pub count: u16,
    /// It declares losses.
    pub is_gap: bool,
}

impl Listed {
    /// What a list says of this record.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self {
            stream: entry.stub.stream,
            source: entry.stub.source,
            count: entry.stub.count,
            is_gap: entry.stub.lane == Lane::Gap,
        }
    }
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// The gateway's row of the same commit.
    pub gateway: GatewayRow,
    /// The streams' rows.
    pub streams: BTreeMap<StreamId, StreamRow>,
    /// Every record; only at a clean end, when nothing came or went since.
    pub list: Option<BTreeMap<RecordId, Listed>>,
}

/// Readings of one source that should be there and are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Their stream.
    pub stream: StreamId,
    /// Their source; 0 = unknown.
    pub source: u16,
    /// How many.
    pub readings: u64,
    /// `readings` is exact.
    pub exact: bool,
}

impl Tally {
    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.gateway.to_bytes();
        for row in self.streams.values() {
            bytes.extend(row.to_bytes());
        }
        for row in self.list.iter().flat_map(list_rows) {
            bytes.extend(row.to_bytes());
        }
        bytes
    }

    /// From the file's bytes; `None` without a whole gateway row. A damaged list is no list.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut gateway = None;
        let mut tally = Self::default();
        let mut listed = BTreeMap::new();
        let mut last = false;
        while let Some((kind, message, length)) = rows::find(bytes) {
            bytes = bytes.get(length..)?;
            match kind {
                GatewayRow::KIND => gateway = GatewayRow::decode(message).ok(),
                StreamRow::KIND => {
                    let row = StreamRow::decode(message).ok()?;
                    tally
                        .streams
                        .insert(StreamId::from_slice(&row.stream)?, row);
                }
                ListRow::KIND => {
                    let row = ListRow::decode(message).ok()?;
                    last = row.last;
                    read_list(&row, &mut listed);
                }
                _ => return None,
            }
        }
        tally.gateway = gateway?;
        tally.list = last.then_some(listed);
        Some(tally)
    }
}

fn list_rows(list: &BTreeMap<RecordId, Listed>) -> Vec<ListRow> {
    let mut rows: Vec<ListRow> = Vec::new();
    for (id, listed) in list {
        let full = rows.last().is_none_or(|row| {
            row.numbers.len() >= A_ROW || row.ordinal != id.ordinal || row.stream != listed.stream.0
        });
        if full {
            rows.push(ListRow {
                ordinal: id.ordinal,
                stream: listed.stream.0.to_vec(),
                ..ListRow::default()
            });
        }
        if let Some(row) = rows.last_mut() {
            row.numbers.push(id.number);
            row.sources.push(u32::from(listed.source));
            row.counts
                .push(u32::from(listed.count) << 1 | u32::from(listed.is_gap));
        }
    }
    // An empty list has a row, too: nothing is there, and that is known.
    rows.push(ListRow {
        last: true,
        ..ListRow::default()
    });
    rows
}

fn read_list(row: &ListRow, list: &mut BTreeMap<RecordId, Listed>) {
    let Some(stream) = StreamId::from_slice(&row.stream) else {
        return;
    };
    for ((number, source), count) in row.numbers.iter().zip(&row.sources).zip(&row.counts) {
        let id = RecordId {
            ordinal: row.ordinal,
            number: *number,
        };
        let listed = Listed {
            stream,
            source: u16::try_from(*source).unwrap_or(0),
            count: u16::try_from(*count >> 1).unwrap_or(u16::MAX),
            is_gap: count & 1 == 1,
        };
        list.insert(id, listed);
    }
}

/// Of the records in the list, what is not `there`: exact, by source.
#[must_use]
pub fn missing_of_list(list: &BTreeMap<RecordId, Listed>, there: &Records) -> Vec<Missing> {
    let mut missing: BTreeMap<(StreamId, u16), Missing> = BTreeMap::new();
    for (id, listed) in list {
        if there.contains(*id) {
            continue;
        }
        let of_source = missing
            .entry((listed.stream, listed.source))
            .or_insert(Missing {
                stream: listed.stream,
                source: listed.source,
                readings: 0,
                exact: true,
            });
        of_source.readings += u64::from(listed.count);
        // What a lost gap record declared, nobody knows any more.
        of_source.exact &= !listed.is_gap;
    }
    missing.into_values().filter(is_a_loss).collect()
}

/// Of the readings that the rows count, what is not `there`. Not `exact`: the rows may be older or newer than
/// the records, and what was receipted in between cannot be told from what was lost.
#[must_use]
pub fn missing_of_rows(
    rows: &BTreeMap<StreamId, StreamRow>,
    there: &Records,
    exact: bool,
) -> Vec<Missing> {
    let mut held: BTreeMap<StreamId, (u64, u64)> = BTreeMap::new();
    for (_, entry) in there.iter() {
        let (readings, gaps) = held.entry(entry.stub.stream).or_default();
        *readings += u64::from(entry.stub.count);
        *gaps += u64::from(entry.stub.lane == Lane::Gap);
    }
    let missing = rows.iter().map(|(stream, row)| {
        let (readings, gaps) = held.get(stream).copied().unwrap_or_default();
        Missing {
            stream: *stream,
            source: 0,
            readings: row.readings_kept.saturating_sub(readings),
            exact: exact && gaps >= row.gap_records_kept,
        }
    });
    missing.filter(is_a_loss).collect()
}

/// Heartbeats hold no readings: their loss is none.
const fn is_a_loss(missing: &Missing) -> bool {
    missing.readings > 0 || !missing.exact
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::seal::Stub;
    use vitals::ContextId;

    const STREAM: StreamId = StreamId([7; 16]);

    fn id(number: u64) -> RecordId {
        RecordId { ordinal: 3, number }
    }

    fn entry(number: u64, lane: Lane, count: u16) -> Entry {
        let stub = Stub {
            deflated: false,
            stream: STREAM,
            context: ContextId([9; 16]),
            number,
            lane,
            source: 2,
            count,
            oldest_minute: 10,
            span_minutes: 1,
            padded: 64,
        };
        Entry { tag: [0; 16], stub }
    }

    fn records(count: u64) -> Records {
        let mut records: Records = (1..=count)
            .map(|number| (id(number), entry(number, Lane::Vitals, 5)))
            .collect();
        records.insert(id(count + 1), entry(count + 1, Lane::Gap, 0));
        records
    }

    fn tally(records: &Records) -> Tally {
        let row = StreamRow {
            stream: STREAM.0.to_vec(),
            readings_kept: 5 * (records.len() as u64 - 1),
            gap_records_kept: 1,
            ..StreamRow::default()
        };
        let listed = |(id, entry): (RecordId, Entry)| (id, Listed::of(&entry));
        Tally {
            gateway: GatewayRow {
                commits: 8,
                ..GatewayRow::default()
            },
            streams: [(STREAM, row)].into(),
            list: Some(records.iter().map(listed).collect()),
        }
    }

    #[test]
    fn it_round_trips_and_a_damaged_list_is_no_list() {
        for count in [0, 1, 5000] {
            let tally = tally(&records(count));
            let bytes = tally.to_bytes();
            assert_eq!(Tally::from_bytes(&bytes).as_ref(), Some(&tally));
            let cut = Tally::from_bytes(&bytes[..bytes.len() - 1]).expect("the rows are whole");
            assert_eq!((cut.list, cut.gateway), (None, tally.gateway.clone()));
            let mut damaged = bytes.clone();
            damaged[9] ^= 1;
            assert_eq!(Tally::from_bytes(&damaged), None);
        }
        let empty = Tally {
            list: Some(BTreeMap::new()),
            ..Tally::default()
        };
        assert_eq!(Tally::from_bytes(&empty.to_bytes()), Some(empty));
    }

    #[test]
    fn what_is_missing_is_counted_by_list_or_by_rows() {
        let all = records(20);
        let tally = tally(&all);
        let list = tally.list.as_ref().expect("a list");
        assert_eq!(missing_of_list(list, &all), []);
        assert_eq!(missing_of_rows(&tally.streams, &all, true), []);
        let mut some = all.clone();
        for number in [3, 4, 9] {
            some.remove(id(number));
        }
        let missing = |source, exact| Missing {
            stream: STREAM,
            source,
            readings: 15,
            exact,
        };
        assert_eq!(missing_of_list(list, &some), [missing(2, true)]);
        assert_eq!(
            missing_of_rows(&tally.streams, &some, true),
            [missing(0, true)]
        );
        assert_eq!(
            missing_of_rows(&tally.streams, &some, false),
            [missing(0, false)]
        );
        // With a gap record, what it declared is gone as well.
        some.remove(id(21));
        assert_eq!(missing_of_list(list, &some), [missing(2, false)]);
        assert_eq!(
            missing_of_rows(&tally.streams, &some, true),
            [missing(0, false)]
        );
    }
}
