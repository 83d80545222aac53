//! PURE. The open minute: small records of one source that will become one merged record; and the open hour, in
//! which the records of minutes become one of up to 4 KiB.
//!
//! Without a line, each commit interval seals a record per source, so that a crash loses little; sixty of them
//! take thirty times the room of one. So their readings are remembered for a minute, sealed again as one
//! record that names the numbers it replaces, and the small ones are removed in the same commit. The same again
//! for an hour, because thirty days are 130,000 minutes of three sources, and each record costs memory.
//! Invariants: only records of one context, stream and source are merged; what is remembered always fits one
//! record; a reading keeps its sequence number, by which the centre tells it apart whatever arrives.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::seal::{MAX_BODY, MAX_INFLATED, fits_record};
use proto::v1::BatchBody;
use proto::wire::{MAX_READINGS, ReadingBatch, estimated_size, one_batch};
use vitals::{Reading, SourceId, Span, Time};
use zeroize::Zeroizing;

use super::RecordId;

/// How long small records are collected without a line.
pub const MINUTE: Span = Span::from_secs(60);
/// And then those that they became.
pub const HOUR: Span = Span::from_secs(3600);
/// Bytes that a replaced number takes at most: below 2^35 in a packed list.
const NUMBER_SIZE: usize = 5;
/// Bytes besides readings and numbers: tags and lengths.
const FRAME: usize = 16;

/// Small records of one source, and what they hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Minute {
    /// When the first was sealed.
    pub began: Time,
    /// Their places, oldest first.
    pub ids: Vec<RecordId>,
    /// Their readings, in order.
    pub readings: Vec<Reading>,
}

impl Minute {
    /// The one body that replaces the records.
    #[must_use]
    pub fn body(&self) -> BatchBody {
        BatchBody {
            supersedes: self.ids.iter().map(|id| id.number).collect(),
            ..one_batch(&self.readings).map_or_else(BatchBody::default, ReadingBatch::into_body)
        }
    }

    /// True if one record holds it, as it is or deflated.
    fn fits(&self) -> bool {
        let most = estimated_size(&self.readings) + FRAME + self.ids.len() * NUMBER_SIZE;
        most <= MAX_BODY
            || (most <= MAX_INFLATED
                && self.readings.len() <= MAX_READINGS
                && fits_record(&Zeroizing::new(self.body().encode_to_vec())))
    }

    fn take(&mut self, id: RecordId, readings: &[Reading]) {
        self.ids.push(id);
        self.readings.extend_from_slice(readings);
    }

    /// Takes the record, unless it is of another context or the room ends.
    fn try_take(&mut self, id: RecordId, readings: &[Reading]) -> bool {
        let same_context = self
            .ids
            .first()
            .is_none_or(|first| first.ordinal == id.ordinal);
        if !same_context {
            return false;
        }
        let (ids, count) = (self.ids.len(), self.readings.len());
        self.take(id, readings);
        let fits = self.fits();
        if !fits {
            self.ids.truncate(ids);
            self.readings.truncate(count);
        }
        fits
    }
}

/// The open minutes, or hours, of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Minutes {
    open: BTreeMap<SourceId, Minute>,
    /// Full before their time.
    full: Vec<Minute>,
}

impl Minutes {
    /// Remembers a record that was just sealed. All readings are of one source.
    pub fn add(&mut self, id: RecordId, readings: &[Reading], now: Time) {
        let Some(source) = readings.first().map(|reading| reading.source) else {
            return;
        };
        if let Some(minute) = self.open.get_mut(&source) {
            if minute.try_take(id, readings) {
                return;
            }
            self.full.extend(self.open.remove(&source));
        }
        let minute = Minute {
            began: now,
            ids: vec![id],
            readings: readings.to_vec(),
        };
        self.open.insert(source, minute);
    }

    /// Minutes that are over after `age`; one that holds a single record needs no merging.
    pub fn take_over(&mut self, now: Time, age: Span) -> Vec<Minute> {
        let mut over = std::mem::take(&mut self.full);
        let due = |minute: &Minute| now.since(minute.began) >= age;
        let sources: Vec<SourceId> = self.open.keys().copied().collect();
        for source in sources {
            if self.open.get(&source).is_some_and(due) {
                over.extend(self.open.remove(&source));
            }
        }
        over
    }

    /// The open hour of the minute's source, if the minute does not fit into it.
    pub fn take_without_room_for(&mut self, minute: &Minute) -> Option<Minute> {
        let (id, source) = (minute.ids.first()?, minute.readings.first()?.source);
        let open = self.open.get_mut(&source)?;
        let (ids, count) = (open.ids.len(), open.readings.len());
        if open.try_take(*id, &minute.readings) {
            open.ids.truncate(ids);
            open.readings.truncate(count);
            return None;
        }
        self.open.remove(&source)
    }

    /// Forgets everything: the small records stay as they are.
    pub fn clear(&mut self) {
        self.open.clear();
        self.full.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::{Fixed, Kind, Quality, Value};

    fn at(seconds: i64) -> Time {
        Time::from_micros(1_800_000_000_000_000) + Span::from_secs(seconds)
    }

    fn readings(source: u16, sequence: u64, count: u64) -> Vec<Reading> {
        let one = |n| Reading {
            kind: Kind::HeartRate,
            value: Value::Measured(Fixed(i64::try_from(n * 7919 % 200).unwrap_or(0))),
            source: SourceId(source),
            sequence: n,
            effective: at(i64::try_from(n).unwrap_or(0)),
            received: at(i64::try_from(n).unwrap_or(0)),
            quality: Quality::GOOD,
            device: None,
        };
        (sequence..sequence + count).map(one).collect()
    }

    fn id(ordinal: u64, number: u64) -> RecordId {
        RecordId { ordinal, number }
    }

    #[test]
    fn a_minute_is_over_after_a_minute_and_sources_stay_apart() {
        let mut minutes = Minutes::default();
        for n in 0..60 {
            minutes.add(
                id(1, 2 * n + 1),
                &readings(1, n, 1),
                at(i64::try_from(n).unwrap_or(0)),
            );
            minutes.add(
                id(1, 2 * n + 2),
                &readings(2, n, 1),
                at(i64::try_from(n).unwrap_or(0)),
            );
        }
        assert!(minutes.take_over(at(59), MINUTE).is_empty());
        let over = minutes.take_over(at(60), MINUTE);
        assert_eq!(over.len(), 2);
        for minute in over {
            assert_eq!((minute.ids.len(), minute.readings.len()), (60, 60));
            assert!(
                minute
                    .readings
                    .iter()
                    .all(|r| r.source == minute.readings[0].source)
            );
        }
        assert!(minutes.take_over(at(600), MINUTE).is_empty());
    }

    #[test]
    fn what_is_full_is_over_before_its_time_and_fits_one_record() {
        let mut minutes = Minutes::default();
        for n in 0..80 {
            minutes.add(id(1, n + 1), &readings(1, n * 100, 100), at(0));
        }
        let over = minutes.take_over(at(1), MINUTE);
        assert!(over.len() > 1);
        assert!(
            over[0].readings.len() >= 1300,
            "deflated: more than a record holds as it is"
        );
        for minute in over {
            assert!(minute.fits());
        }
    }

    #[test]
    fn contexts_are_never_mixed_and_single_records_are_left_alone() {
        let mut minutes = Minutes::default();
        minutes.add(id(1, 8), &readings(1, 0, 1), at(0));
        minutes.add(id(1, 9), &readings(1, 1, 1), at(1));
        minutes.add(id(2, 1), &readings(1, 0, 1), at(2));
        let over = minutes.take_over(at(100), MINUTE);
        let ids: Vec<_> = over.into_iter().map(|minute| minute.ids).collect();
        assert_eq!(ids, [vec![id(1, 8), id(1, 9)], vec![id(2, 1)]]);
    }
}
