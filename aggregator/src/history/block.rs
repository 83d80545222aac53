//! PURE. What one patient's sensors measured, as columns per kind and source: the form in which cold history lies.
//!
//! Bytes (before sealing): version (1) || origins: count, then stream (16) and source (varint) each || columns over all
//! batches in journal order: origin, position, known, received || sections: count, then each: kind, origin, length,
//! and its columns: readings of each batch of its origin; effective time; number; flags; for readings that a device
//! stamped: index, stamp minus effective time, uncertainty. Times are milliseconds since the Unix epoch.
//!
//! Invariants: the readings of a kind and source keep the order in which they became known; what is encoded decodes
//! to the same, section by section; decoding is total. Must not know: keys, SQLite, the journal.

use std::collections::BTreeMap;

use vitals::{Absence, Fixed, Kind, Quality, SourceId, StreamId};

use super::column;

const VERSION: u8 = 1;
/// Most readings of a block.
pub(super) const MOST: usize = 1 << 20;
/// Above the bits of [`Quality`]: why there is no number.
const ABSENCE_SHIFT: u32 = 32;
/// Above those: outside the assignment, set aside.
const ASIDE: u64 = 1 << 40;
/// Uncertainty of a device's clock that nobody knows.
pub const UNKNOWN: i64 = -1;

/// A sensor of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Its stream.
    pub stream: StreamId,
    /// Which sensor in it.
    pub source: SourceId,
}

/// A journaled batch that readings came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its entry.
    pub position: u64,
    /// When the centre knew it, ms.
    pub known: i64,
    /// When the gateway had its last reading, ms.
    pub received: i64,
    /// Whose readings.
    pub origin: Origin,
}

/// What is to be said of a reading besides its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u64);

impl Flags {
    /// Of a reading; `aside`: it lies outside the assignment.
    #[must_use]
    pub fn new(quality: Quality, absent: Option<Absence>, aside: bool) -> Self {
        let absent = absent.map_or(0, |absence| u64::from(absence as u8));
        let aside = if aside { ASIDE } else { 0 };
        Self(u64::from(quality.bits()) | absent << ABSENCE_SHIFT | aside)
    }

    /// What sensor and agent said about it.
    #[must_use]
    pub const fn quality(self) -> Quality {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the lower half is the quality"
        )]
        Quality::from_bits(self.0 as u32)
    }

    /// It has a number, and it is the patient's.
    #[must_use]
    pub const fn is_told(self) -> bool {
        self.0 >> ABSENCE_SHIFT == 0
    }
}

/// What a device's own clock said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its date and time, read as if it kept UTC, ms.
    pub stamp: i64,
    /// How far the effective time may be off, ms; [`UNKNOWN`].
    pub uncertainty: i64,
}

/// A reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Index of its batch in the block.
    pub batch: u32,
    /// What was measured.
    pub kind: Kind,
    /// When the body did it, ms.
    pub effective: i64,
    /// The number, as the kind's decimals say; 0 where there is none.
    pub number: Fixed,
    /// What is to be said of it.
    pub flags: Flags,
    /// Where the device gave a time.
    pub stamp: Option<Stamp>,
}

/// Readings of one patient, in journal order within each kind and source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Batches in journal order.
    pub batches: Vec<Batch>,
    /// Their readings.
    pub points: Vec<Point>,
}

impl Block {
    /// Adds a batch with its readings (whose `batch` is set here).
    pub fn push(&mut self, batch: Batch, points: impl IntoIterator<Item = Point>) {
        let index = u32::try_from(self.batches.len()).expect("fewer batches than readings");
        self.batches.push(batch);
        let points = points.into_iter().map(|point| Point {
            batch: index,
            ..point
        });
        self.points.extend(points);
    }

    /// Adds all of a block that became known later.
    pub fn append(&mut self, later: &Self) {
        let before = u32::try_from(self.batches.len()).expect("fewer batches than readings");
        self.batches.extend(&later.batches);
        let points = later.points.iter().map(|point| Point {
            batch: before + point.batch,
            ..*point
        });
        self.points.extend(points);
    }

    /// The batch of a reading of this block.
    #[must_use]
    pub fn batch(&self, point: &Point) -> &Batch {
        &self.batches[point.batch as usize]
    }

    /// Oldest and newest effective time, ms; `None` without readings.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        let times = || self.points.iter().map(|point| point.effective);
        Some((times().min()?, times().max()?))
    }

    /// As bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let origins = Index::of(self.batches.iter().map(|batch| batch.origin));
        let mut bytes = vec![VERSION];
        origins.encode(&mut bytes);
        let batches = |of: &dyn Fn(&Batch) -> i64| self.batches.iter().map(of).collect::<Vec<_>>();
        column::write(&mut bytes, &batches(&|batch| origins.number(&batch.origin)));
        column::write(&mut bytes, &batches(&|batch| batch.position.cast_signed()));
        column::write(&mut bytes, &batches(&|batch| batch.known));
        column::write(
            &mut bytes,
            &batches(&|batch| batch.known.wrapping_sub(batch.received)),
        );
        let mut sections: BTreeMap<(Kind, Origin), Vec<&Point>> = BTreeMap::new();
        for point in &self.points {
            let of = (point.kind, self.batch(point).origin);
            sections.entry(of).or_default().push(point);
        }
        column::put_len(&mut bytes, sections.len());
        for ((kind, origin), points) in sections {
            column::put(&mut bytes, kind.wire().into());
            column::put(&mut bytes, origins.number(&origin));
            let section = self.section(origin, &points);
            column::put_len(&mut bytes, section.len());
            bytes.extend(section);
        }
        bytes
    }

    fn section(&self, origin: Origin, points: &[&Point]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut counts: BTreeMap<u32, i64> = BTreeMap::new();
        for point in points {
            *counts.entry(point.batch).or_default() += 1;
        }
        let of_origin = (0..)
            .zip(&self.batches)
            .filter(|(_, batch)| batch.origin == origin);
        let counts = of_origin.map(|(index, _)| counts.get(&index).copied().unwrap_or(0));
        column::write(&mut bytes, &counts.collect::<Vec<_>>());
        let each =
            |of: &dyn Fn(&Point) -> i64| points.iter().map(|point| of(point)).collect::<Vec<_>>();
        column::write(&mut bytes, &each(&|point| point.effective));
        column::write(&mut bytes, &each(&|point| point.number.0));
        column::write(&mut bytes, &each(&|point| point.flags.0.cast_signed()));
        let stamped = (0..)
            .zip(points)
            .filter_map(|(index, point)| Some((index, point, point.stamp?)));
        let stamped: Vec<(i64, _, Stamp)> = stamped.collect();
        let each =
            |of: &dyn Fn(&(i64, &&Point, Stamp)) -> i64| stamped.iter().map(of).collect::<Vec<_>>();
        column::write(&mut bytes, &each(&|(index, _, _)| *index));
        column::write(
            &mut bytes,
            &each(&|(_, point, stamp)| stamp.stamp.wrapping_sub(point.effective)),
        );
        column::write(&mut bytes, &each(&|(_, _, stamp)| stamp.uncertainty));
        bytes
    }

    /// Back from bytes, with the readings of the kinds wanted; empty: all.
    pub(super) fn decode(mut bytes: &[u8], kinds: &[Kind]) -> Option<Self> {
        let from = &mut bytes;
        (column::take(from, 1)? == [VERSION]).then_some(())?;
        let origins = Index::decode(from)?;
        let (number, position) = (column::read(from)?, column::read(from)?);
        let (known, before) = (column::read(from)?, column::read(from)?);
        let same = [position.len(), known.len(), before.len()] == [number.len(); 3];
        same.then_some(())?;
        let mut block = Self::default();
        for (((number, position), known), before) in
            number.into_iter().zip(position).zip(known).zip(before)
        {
            block.batches.push(Batch {
                position: position.cast_unsigned(),
                known,
                received: known.wrapping_sub(before),
                origin: origins.at(number)?,
            });
        }
        for _ in 0..column::get_len(from)? {
            let kind = Kind::from_wire(i32::try_from(column::get(from)?).ok()?);
            let origin = origins.at(column::get(from)?)?;
            let length = column::get_len(from)?;
            let section = column::take(from, length)?;
            // A kind of a later program is left out.
            if let Some(kind) = kind.filter(|kind| kinds.is_empty() || kinds.contains(kind)) {
                block.take_section(kind, origin, section)?;
            }
        }
        from.is_empty().then_some(block)
    }

    fn take_section(&mut self, kind: Kind, origin: Origin, mut bytes: &[u8]) -> Option<()> {
        let from = &mut bytes;
        let counts = column::read(from)?;
        let (times, numbers, flags) = (
            column::read(from)?,
            column::read(from)?,
            column::read(from)?,
        );
        let (indexes, stamps, uncertain) = (
            column::read(from)?,
            column::read(from)?,
            column::read(from)?,
        );
        let of_origin = (0..)
            .zip(&self.batches)
            .filter(|(_, batch)| batch.origin == origin);
        let mut batches = Vec::with_capacity(times.len());
        for ((index, _), count) in of_origin.zip(counts) {
            let count = usize::try_from(count)
                .ok()
                .filter(|count| *count <= times.len())?;
            batches.extend(std::iter::repeat_n(index, count));
        }
        let same = [batches.len(), numbers.len(), flags.len()] == [times.len(); 3];
        let stamped = [stamps.len(), uncertain.len()] == [indexes.len(); 2];
        (same && stamped && from.is_empty()).then_some(())?;
        let begin = self.points.len();
        let points = batches.into_iter().zip(times).zip(numbers).zip(flags);
        self.points
            .extend(points.map(|(((batch, effective), number), flags)| Point {
                batch,
                kind,
                effective,
                number: Fixed(number),
                flags: Flags(flags.cast_unsigned()),
                stamp: None,
            }));
        for ((index, stamp), uncertainty) in indexes.into_iter().zip(stamps).zip(uncertain) {
            let point = self.points.get_mut(begin + usize::try_from(index).ok()?)?;
            let stamp = point.effective.wrapping_add(stamp);
            point.stamp = Some(Stamp { stamp, uncertainty });
        }
        Some(())
    }

    /// Whether both hold the same, whatever the order of their sections.
    pub(super) fn same(&self, other: &Self) -> bool {
        let sorted = |block: &Self| {
            let mut points = block.points.clone();
            points.sort_by_key(|point| (point.kind, block.batch(point).origin));
            points
        };
        self.batches == other.batches && sorted(self) == sorted(other)
    }
}

/// Sensors by number, so that each is named once.
pub(super) struct Index(Vec<Origin>);

impl Index {
    pub(super) fn of(origins: impl Iterator<Item = Origin>) -> Self {
        let mut all: Vec<Origin> = origins.collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    pub(super) fn number(&self, origin: &Origin) -> i64 {
        let at = self
            .0
            .binary_search(origin)
            .expect("every origin was given");
        i64::try_from(at).expect("few")
    }

    pub(super) fn at(&self, number: i64) -> Option<Origin> {
        self.0.get(usize::try_from(number).ok()?).copied()
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        column::put_len(to, self.0.len());
        for origin in &self.0 {
            to.extend(origin.stream.0);
            column::put(to, origin.source.0.into());
        }
    }

    pub(super) fn decode(from: &mut &[u8]) -> Option<Self> {
        let count = column::get_len(from)?;
        let origin = |_| {
            let stream = StreamId(column::take(from, 16)?.try_into().ok()?);
            let source = SourceId(u16::try_from(column::get(from)?).ok()?);
            Some(Origin { stream, source })
        };
        (0..count).map(origin).collect::<Option<Vec<_>>>().map(Self)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::history) fn origin(number: u8) -> Origin {
        Origin {
            stream: StreamId([number; 16]),
            source: SourceId(number.into()),
        }
    }

    pub(in crate::history) fn point(kind: Kind, effective: i64, number: i64) -> Point {
        Point {
            batch: 0,
            kind,
            effective,
            number: Fixed(number),
            flags: Flags::new(Quality::GOOD, None, false),
            stamp: None,
        }
    }

    /// Batches of hostile shape: any order of time, kinds without a reading, flags and stamps here and there.
    pub(in crate::history) fn any_block() -> impl Strategy<Value = Block> {
        let kind = prop::sample::select(vec![
            Kind::HeartRate,
            Kind::OxygenSaturation,
            Kind::BodyTemperature,
        ]);
        let stamp = prop::option::weighted(0.2, (any::<i64>(), -1..50_i64));
        let point = (
            kind,
            -5_000_000..5_000_000_i64,
            -500..500_i64,
            0..4_u32,
            0..9_u8,
            stamp,
        );
        let point = point.prop_map(|(kind, effective, number, quality, absent, stamp)| Point {
            flags: Flags::new(
                Quality::from_bits(quality),
                (absent == 8).then_some(Absence::NotANumber),
                absent == 7,
            ),
            stamp: stamp.map(|(stamp, uncertainty)| Stamp { stamp, uncertainty }),
            ..tests::point(kind, effective, number)
        });
        let batch = (1..3_u8, 0..9_i64, prop::collection::vec(point, 0..8));
        prop::collection::vec(batch, 0..40).prop_map(|batches| {
            let mut block = Block::default();
            for (position, (number, late, points)) in (1..).zip(batches) {
                let batch = Batch {
                    position: position * 3,
                    known: i64::try_from(position).expect("small") * 1000,
                    received: i64::try_from(position).expect("small") * 1000 - late,
                    origin: origin(number),
                };
                block.push(batch, points);
            }
            block
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_block_comes_back_as_it_was(block in any_block(), later in any_block()) {
            let mut both = block.clone();
            both.append(&later);
            let bytes = both.encode();
            let back = Block::decode(&bytes, &[]).expect("just written");
            prop_assert!(back.same(&both));
            prop_assert_eq!(back.encode(), bytes.clone());
            let one = Block::decode(&bytes, &[Kind::HeartRate]).expect("just written");
            let count = both.points.iter().filter(|point| point.kind == Kind::HeartRate).count();
            prop_assert_eq!(one.points.len(), count);
            for end in (0..bytes.len()).step_by(13) {
                prop_assert!(Block::decode(&bytes[..end], &[]).is_none(), "cut at {}", end);
            }
        }
    }

    #[test]
    fn blocks_that_differ_are_not_the_same() {
        let mut block = Block::default();
        let batch = Batch {
            position: 1,
            known: 2,
            received: 1,
            origin: origin(1),
        };
        block.push(
            batch,
            [point(Kind::HeartRate, 5, 60), point(Kind::HeartRate, 6, 61)],
        );
        assert!(block.same(&block.clone()), "control");
        let mut other = block.clone();
        other.points.swap(0, 1);
        assert!(!block.same(&other));
    }
}
