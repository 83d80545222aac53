//! Past readings: sealed batches from the journal's index, merged into effective-time order, each reading once.
//!
//! There is no second copy of the data: a question opens the batches again. Pages of several streams are merged
//! by their watermark ("nothing older comes from here"), so that only readings which may still be preceded are
//! held.
//!
//! Invariants: readings come in effective-time order, chunk after chunk, within a chunk of one kind and source;
//! a reading that lies in several batches (resent, merged) comes once; nothing outside the assignment comes; at
//! most [`HELD`] readings are held, else the question is refused.
//!
//! Must not know: gRPC's server, the gate, SQLite.

use std::collections::{BTreeMap, VecDeque};

use proto::v1::HistoryChunk;
use proto::wire;
use vitals::{ContextId, DeviceTime, Kind, SourceId, Span, StreamId, Time};

use super::StreamOf;
use crate::journal::{Committed, Content, HistoryCursor, Opened, Page};

/// Readings that wait for older ones, at most: about 50 MiB.
const HELD: usize = 400_000;
/// Readings in one answer, roughly: 50 KiB encoded.
const CHUNK: usize = 2048;

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Empty: all.
    pub(super) kinds: Vec<Kind>,
    /// From this effective time...
    pub(super) from: Time,
    /// ...up to, without, this one.
    pub(super) to: Time,
    /// Per kind; 0 = all.
    pub(super) max_points: usize,
    /// Also what the devices' own clocks said.
    pub(super) device_times: bool,
}

/// More readings lie across each other than can be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// What makes a reading that reading, in the order in which readings are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    effective: Time,
    stream: StreamId,
    context: ContextId,
    source: SourceId,
    kind: Kind,
    sequence: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    effective: Time,
    source: SourceId,
    value: f64,
    quality: u32,
    device: Option<DeviceTime>,
}

/// What is told of a reading: its number, its quality, its device's clock.
type Held = (f64, u32, Option<DeviceTime>);

/// One stream, as far as it was read.
#[derive(Debug)]
struct Source {
    of: StreamOf,
    after: Option<HistoryCursor>,
    /// Nothing older comes from here; `None`: nothing comes at all.
    watermark: Option<Time>,
}

/// A running question. Ask [`Merge::wants`] what to load, give it to [`Merge::take`], until it wants nothing.
#[derive(Debug)]
pub(super) struct Merge {
    question: Question,
    sources: Vec<Source>,
    held: BTreeMap<Key, Held>,
    out: Output,
}

impl Merge {
    pub(super) fn new(question: Question, streams: Vec<StreamOf>) -> Self {
        let begin = Some(Time::from_micros(i64::MIN));
        let source = |of| Source {
            of,
            after: None,
            watermark: begin,
        };
        let sources = streams.into_iter().map(source).collect();
        let out = Output::new(question.max_points, question.device_times);
        Self {
            question,
            sources,
            held: BTreeMap::new(),
            out,
        }
    }

    /// The page to load next; `None`: all was read.
    pub(super) fn wants(&self) -> Option<(StreamId, (Time, Time), Option<HistoryCursor>)> {
        let open = self
            .sources
            .iter()
            .filter_map(|source| Some((source.watermark?, source)));
        let (_, source) = open.min_by_key(|(watermark, _)| *watermark)?;
        Some((
            source.of.stream,
            (self.question.from, self.question.to),
            source.after,
        ))
    }

    /// Takes the page that was wanted for `stream`.
    pub(super) fn take(&mut self, stream: StreamId, page: &Page) -> Result<(), TooMany> {
        let Some(source) = self
            .sources
            .iter_mut()
            .find(|source| source.of.stream == stream)
        else {
            return Ok(());
        };
        source.after = page.next;
        source.watermark = page.next.and(page.oldest_left);
        let from = source.of.from.max(self.question.from);
        for batch in &page.batches {
            hold(
                &mut self.held,
                batch,
                (from, self.question.to),
                &self.question.kinds,
            );
        }
        let watermark = self
            .sources
            .iter()
            .filter_map(|source| source.watermark)
            .min();
        while let Some(entry) = self.held.first_entry() {
            if watermark.is_some_and(|watermark| entry.key().effective >= watermark) {
                break;
            }
            let (key, (value, quality, device)) = entry.remove_entry();
            let Key {
                effective,
                source,
                kind,
                ..
            } = key;
            self.out.push(
                kind,
                Point {
                    effective,
                    source,
                    value,
                    quality,
                    device,
                },
            );
        }
        if self.held.len() > HELD {
            return Err(TooMany);
        }
        if watermark.is_none() {
            self.out.finish();
        }
        Ok(())
    }

    /// The next answer, if one is complete.
    pub(super) fn next_chunk(&mut self) -> Option<HistoryChunk> {
        self.out.ready.pop_front()
    }
}

fn hold(
    held: &mut BTreeMap<Key, Held>,
    committed: &Committed,
    (from, to): (Time, Time),
    kinds: &[Kind],
) {
    let Some(Opened::Batch(batch)) = committed.body.as_deref() else {
        return;
    };
    let Content::Body(body) = &batch.content else {
        return;
    };
    let Ok(content) = wire::decode_body(batch.source, batch.number, body) else {
        return;
    };
    for reading in content.readings {
        let wanted = (from..to).contains(&reading.effective)
            && (kinds.is_empty() || kinds.contains(&reading.kind));
        let Some(value) = reading.number().filter(|_| wanted) else {
            continue;
        };
        let key = Key {
            effective: reading.effective,
            stream: batch.stream,
            context: batch.context,
            source: reading.source,
            kind: reading.kind,
            sequence: reading.sequence,
        };
        held.insert(key, (value, reading.quality.bits(), reading.device));
    }
}

/// Makes answers of what comes in order.
#[derive(Debug)]
struct Output {
    max_points: usize,
    device_times: bool,
    open: BTreeMap<(Kind, SourceId), Vec<Point>>,
    count: usize,
    thinned: BTreeMap<Kind, Thinned>,
    ready: VecDeque<HistoryChunk>,
}

impl Output {
    const fn new(max_points: usize, device_times: bool) -> Self {
        Self {
            max_points,
            device_times,
            open: BTreeMap::new(),
            count: 0,
            thinned: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    fn push(&mut self, kind: Kind, point: Point) {
        if self.max_points > 0 {
            let limit = self.max_points;
            self.thinned
                .entry(kind)
                .or_insert_with(|| Thinned::new(limit))
                .push(point);
            return;
        }
        self.put(kind, point, false);
    }

    fn put(&mut self, kind: Kind, point: Point, thinned: bool) {
        self.open
            .entry((kind, point.source))
            .or_default()
            .push(point);
        self.count += 1;
        if self.count >= CHUNK {
            self.flush(thinned);
        }
    }

    fn flush(&mut self, thinned: bool) {
        self.count = 0;
        for ((kind, source), points) in std::mem::take(&mut self.open) {
            let told = || points.iter().filter(|_| self.device_times);
            let device_us = told().map(|point| point.device.map_or(0, |d| d.stamp.as_micros()));
            let unsure = |point: &Point| match point.device {
                Some(device) if device.uncertainty < Span::MAX => device.uncertainty.as_micros(),
                Some(_) => -1,
                None => 0,
            };
            let (device_us, uncertainty_us) = (device_us.collect(), told().map(unsure).collect());
            self.ready.push_back(HistoryChunk {
                kind: kind.wire(),
                source: source.0.into(),
                effective_us: points
                    .iter()
                    .map(|point| point.effective.as_micros())
                    .collect(),
                value: points.iter().map(|point| point.value).collect(),
                quality: points.iter().map(|point| point.quality).collect(),
                thinned,
                device_us,
                uncertainty_us,
            });
        }
    }

    fn finish(&mut self) {
        for (kind, thinned) in std::mem::take(&mut self.thinned) {
            let was_thinned = thinned.width.is_some();
            for point in thinned.into_points() {
                self.put(kind, point, was_thinned);
            }
            self.flush(was_thinned);
        }
        self.flush(false);
    }
}

/// At most `limit` points of one kind: all of them, or the lowest and highest of each of `limit / 2` equal
/// stretches of time. The stretches double when data go on beyond the last one.
#[derive(Debug)]
struct Thinned {
    limit: usize,
    points: Vec<Point>,
    /// Width of a stretch, microseconds, once thinning began.
    width: Option<i64>,
    start: Time,
    stretches: BTreeMap<i64, (Point, Point)>,
}

impl Thinned {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            points: Vec::new(),
            width: None,
            start: Time::ZERO,
            stretches: BTreeMap::new(),
        }
    }

    fn push(&mut self, point: Point) {
        if let Some(width) = self.width {
            self.merge(width, point);
            return;
        }
        self.points.push(point);
        if self.points.len() <= self.limit {
            return;
        }
        let points = std::mem::take(&mut self.points);
        self.start = points.first().map_or(Time::ZERO, |first| first.effective);
        let length = point.effective.since(self.start).as_micros();
        let width = length / self.buckets() + 1;
        self.width = Some(width);
        for point in points {
            self.merge(width, point);
        }
    }

    fn buckets(&self) -> i64 {
        i64::try_from(self.limit / 2).unwrap_or(i64::MAX).max(1)
    }

    fn merge(&mut self, mut width: i64, point: Point) {
        let offset = point.effective.since(self.start).as_micros();
        while offset / width >= self.buckets() {
            width = width.saturating_mul(2);
            self.width = Some(width);
            for (number, (low, high)) in std::mem::take(&mut self.stretches) {
                self.put(number / 2, low);
                self.put(number / 2, high);
            }
        }
        self.put(offset / width, point);
    }

    fn put(&mut self, number: i64, point: Point) {
        let (low, high) = self.stretches.entry(number).or_insert((point, point));
        if point.value < low.value {
            *low = point;
        }
        if point.value > high.value {
            *high = point;
        }
    }

    fn into_points(self) -> Vec<Point> {
        let mut points = self.points;
        for (low, high) in self.stretches.into_values() {
            let (first, second) = if low.effective <= high.effective {
                (low, high)
            } else {
                (high, low)
            };
            points.push(first);
            if second != first {
                points.push(second);
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(stream: u8, sequence: u64, seconds: i64) -> vitals::Reading {
        let kind = if stream == 1 {
            Kind::HeartRate
        } else {
            Kind::OxygenSaturation
        };
        vitals::Reading {
            kind,
            value: vitals::Value::Measured(vitals::Fixed(500 + seconds)),
            source: SourceId(1),
            sequence,
            effective: Time::from_micros(seconds * 1_000_000),
            received: Time::from_micros(seconds * 1_000_000),
            quality: vitals::Quality::GOOD,
            device: None,
        }
    }

    /// A journaled batch with readings at these seconds; the sequence of a reading is its second.
    fn batch(stream: u8, number: u64, seconds: std::ops::Range<i64>) -> Committed {
        let readings: Vec<_> = seconds
            .map(|at| reading(stream, at.cast_unsigned(), at))
            .collect();
        let body = proto::v1::BatchBody {
            columns: wire::encode_columns(&readings),
            ..Default::default()
        };
        let opened = crate::journal::OpenedBatch {
            stream: StreamId([stream; 16]),
            patient: vitals::PatientId::parse("p-1").expect("a patient id"),
            context: ContextId([stream; 16]),
            number,
            lane: 2,
            source: SourceId(1),
            readings: u16::try_from(readings.len()).expect("few"),
            content: Content::Body(body),
        };
        let gateway = vitals::GatewayId::parse("g-1").expect("a gateway id");
        let record = Vec::new();
        let entry = crate::journal::Entry::Batch { gateway, record };
        Committed {
            position: crate::journal::Position(number),
            known: Time::from_micros(i64::try_from(number).expect("small")),
            entry: std::sync::Arc::new(entry),
            body: Some(std::sync::Arc::new(Opened::Batch(opened))),
        }
    }

    /// Pages of one batch each, in the order given; the next page's oldest is the next batch's first second.
    type Pages = Vec<(u8, Vec<(i64, Committed)>)>;

    /// (kind, second) of every reading of the answer.
    fn answer(question: Question, from: i64, pages: Pages) -> Vec<(i32, i64)> {
        let of = |(stream, _): &(u8, _)| StreamOf {
            stream: StreamId([*stream; 16]),
            from: Time::from_micros(from * 1_000_000),
        };
        let mut merge = Merge::new(question, pages.iter().map(of).collect());
        let mut left: BTreeMap<StreamId, VecDeque<(i64, Committed)>> = pages
            .into_iter()
            .map(|(stream, pages)| (StreamId([stream; 16]), pages.into()))
            .collect();
        let mut got = Vec::new();
        while let Some((stream, _, _)) = merge.wants() {
            let pages = left.get_mut(&stream).expect("one of ours");
            let batches = pages
                .pop_front()
                .map(|(_, batch)| batch)
                .into_iter()
                .collect();
            let oldest = pages
                .front()
                .map(|(oldest, _)| Time::from_micros(oldest * 1_000_000));
            let next = oldest.map(|_| HistoryCursor::default());
            merge
                .take(
                    stream,
                    &Page {
                        batches,
                        oldest_left: oldest,
                        next,
                    },
                )
                .expect("few readings");
            while let Some(chunk) = merge.next_chunk() {
                assert!(!chunk.thinned);
                let seconds = chunk.effective_us.iter().map(|at| at / 1_000_000);
                got.extend(seconds.map(|at| (chunk.kind, at)));
            }
        }
        got
    }

    fn all(from: i64, to: i64) -> Question {
        let (from, to) = (
            Time::from_micros(from * 1_000_000),
            Time::from_micros(to * 1_000_000),
        );
        Question {
            kinds: Vec::new(),
            from,
            to,
            max_points: 0,
            device_times: false,
        }
    }

    #[test]
    fn each_reading_once_in_order_within_range_and_assignment() {
        let heart = Kind::HeartRate.wire();
        let pages = || -> Pages {
            vec![(
                1,
                vec![
                    (0, batch(1, 1, 0..10)),
                    // Resent, merged and late: the same readings again, and what lay between.
                    (0, batch(1, 7, 5..25)),
                    (20, batch(1, 3, 20..30)),
                ],
            )]
        };
        let seconds = |range: std::ops::Range<i64>| range.map(|at| (heart, at)).collect::<Vec<_>>();
        assert_eq!(answer(all(0, 100), 0, pages()), seconds(0..30));
        assert_eq!(answer(all(7, 22), 0, pages()), seconds(7..22));
        assert_eq!(
            answer(all(0, 100), 12, pages()),
            seconds(12..30),
            "not before the assignment"
        );
    }

    #[test]
    fn streams_are_merged_and_kinds_chosen() {
        let (heart, oxygen) = (Kind::HeartRate.wire(), Kind::OxygenSaturation.wire());
        let pages = || -> Pages {
            vec![
                (1, vec![(0, batch(1, 1, 0..5)), (5, batch(1, 2, 5..9))]),
                (2, vec![(3, batch(2, 1, 3..7))]),
            ]
        };
        let mut both = answer(all(0, 100), 0, pages());
        let (mut hearts, mut oxygens) = (both.clone(), both.clone());
        hearts.retain(|(kind, _)| *kind == heart);
        oxygens.retain(|(kind, _)| *kind == oxygen);
        assert!(hearts.is_sorted() && oxygens.is_sorted());
        both.sort_unstable();
        assert_eq!(both.len(), 9 + 4);
        let one = Question {
            kinds: vec![Kind::OxygenSaturation],
            ..all(0, 100)
        };
        assert_eq!(
            answer(one, 0, pages()),
            (3..7).map(|at| (oxygen, at)).collect::<Vec<_>>()
        );
    }

    fn point(seconds: i64, value: f64) -> Point {
        let effective = Time::from_micros(seconds * 1_000_000);
        Point {
            effective,
            source: SourceId(1),
            value,
            quality: 0,
            device: None,
        }
    }

    #[test]
    fn what_a_device_said_itself_is_told_to_who_asks() {
        let said = |stamp, uncertainty| Point {
            device: Some(DeviceTime {
                stamp: Time::from_micros(stamp),
                uncertainty,
            }),
            ..point(1, 36.6)
        };
        let chunk = |device_times| {
            let mut out = Output::new(0, device_times);
            for point in [
                point(0, 1.0),
                said(7, Span::from_secs(2)),
                said(8, Span::MAX),
            ] {
                out.push(Kind::BodyTemperature, point);
            }
            out.finish();
            out.ready.pop_front().expect("three points")
        };
        let asked = chunk(true);
        assert_eq!(asked.device_us, [0, 7, 8]);
        assert_eq!(asked.uncertainty_us, [0, 2_000_000, -1]);
        let plain = chunk(false);
        assert!(plain.device_us.is_empty() && plain.uncertainty_us.is_empty());
        assert_eq!(plain.value.len(), 3);
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let mut thinned = Thinned::new(4);
        (0..4).for_each(|n| thinned.push(point(n, 1.0)));
        assert!(thinned.width.is_none());
        assert_eq!(thinned.into_points().len(), 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn thinning_keeps_the_extremes_the_order_and_the_limit(
            values in proptest::collection::vec(0..1000_i32, 1..400),
            gaps in proptest::collection::vec(0..90_i64, 400),
            limit in 2..40_usize,
        ) {
            let mut thinned = Thinned::new(limit);
            let mut seconds = 1_700_000_000;
            for (value, gap) in values.iter().zip(gaps) {
                seconds += gap;
                thinned.push(point(seconds, f64::from(*value)));
            }
            let points = thinned.into_points();
            prop_assert!(points.len() <= limit.max(2));
            prop_assert!(points.is_sorted_by_key(|point| point.effective));
            let all = || points.iter().map(|point| point.value);
            let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
            prop_assert_eq!(low, f64::from(*values.iter().min().expect("not empty")));
            prop_assert_eq!(high, f64::from(*values.iter().max().expect("not empty")));
        }
    }
}
