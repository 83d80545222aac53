//! PURE. Past readings of one patient: blocks and tail of the history, merged into effective-time order, each reading
//! once; or stretches of time with minimum, mean and maximum.
//!
//! Blocks are taken by their oldest reading; what is older than the next block's oldest is complete and is given, so
//! that only readings which may still be preceded are held. A block that was merged while the question ran is no harm:
//! the rest is planned anew, and what was given is left out.
//!
//! Invariants: an answer is as of one [`Limit`]; for the same limit and question it is the same, however often it is
//! cut and resumed, whatever was written or merged meanwhile; within a chunk there is one kind and one sensor; what was
//! set aside or has no number does not come; at most [`HELD`] readings are held, else the question is refused.
//!
//! Must not know: gRPC's server, the gate, SQLite.

use std::collections::{BTreeMap, VecDeque};

use proto::seal::crypto::Sha256;
use proto::text::hex;
use proto::v1::{HistoryChunk, HistoryRequest};
use vitals::Kind;

use super::thin::Thinned;
use crate::history::block::{Batch, Block, Origin, Point, Stamp, UNKNOWN};
use crate::history::rollup::{self, Place, Rollup, Sum, Width};
use crate::history::{Plan, Row};

/// Readings that wait for older ones, at most: about 60 MiB.
const HELD: usize = 400_000;
/// Readings in one answer, roughly: 50 KiB encoded.
const CHUNK: usize = 2048;
/// Blocks whose sums are read at once.
const SUMS: usize = 64;

/// What the centre knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// Journal position of the last entry.
    pub(super) position: u64,
    /// Its time at the latest, ms.
    pub(super) known: i64,
}

/// What was asked. Times in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Empty: all.
    pub(super) kinds: Vec<Kind>,
    /// From this effective time...
    pub(super) from: i64,
    /// ...up to, without, this one.
    pub(super) to: i64,
    /// Per kind; 0 = all.
    pub(super) max_points: usize,
    /// Also what the devices' own clocks said.
    pub(super) device_times: bool,
    /// Also which batch brought it.
    pub(super) provenance: bool,
    /// Stretches of time instead of readings.
    pub(super) width: Option<Width>,
    /// As of when.
    pub(super) limit: Limit,
    /// What lies before this journal position is no longer kept, also where it is still there.
    pub(super) floor: u64,
    /// What had been voided by then.
    pub(super) voids: Vec<Hidden>,
    /// Names the question in the tokens of its answer.
    pub(super) name: [u8; 8],
}

/// Readings of a sensor that are not told, by effective time, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) origin: Origin,
    pub(super) from: i64,
    /// The first one after them.
    pub(super) to: i64,
}

/// More readings lie across each other than can be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// Where an answer goes on: version (1) || name of the question (8) || limit: position (8), known (8) || effective time
/// (8), ms; big-endian. It gives no right and says nothing that its bearer was not told, so nothing authenticates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    name: [u8; 8],
    /// As of when the answer is.
    pub(super) limit: Limit,
    /// Everything before was given, ms.
    pub(super) next: i64,
}

const TOKEN: u8 = 1;

impl Token {
    /// The name of a question, whatever its token says.
    pub(super) fn name(request: &HistoryRequest) -> [u8; 8] {
        use prost::Message as _;
        let bare = HistoryRequest {
            resume: Vec::new(),
            ..request.clone()
        };
        let mut hash = Sha256::default();
        hash.update(b"vitaltwin history v1\0");
        hash.update(&bare.encode_to_vec());
        let mut short = [0; 8];
        short.copy_from_slice(&hash.finish()[..8]);
        short
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![TOKEN];
        bytes.extend(self.name);
        bytes.extend(self.limit.position.to_be_bytes());
        bytes.extend(self.limit.known.to_be_bytes());
        bytes.extend(self.next.to_be_bytes());
        bytes
    }

    /// `None`: not ours, or of another question.
    pub(super) fn decode(bytes: &[u8], name: [u8; 8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (its_name, rest) = rest.split_first_chunk::<8>()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (known, rest) = rest.split_first_chunk()?;
        let next = i64::from_be_bytes(rest.try_into().ok()?);
        (*version == TOKEN && *its_name == name).then_some(Self {
            name,
            limit: Limit {
                position: u64::from_be_bytes(*position),
                known: i64::from_be_bytes(*known),
            },
            next,
        })
    }
}

/// What makes a reading that reading, in the order in which readings are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    effective: i64,
    position: u64,
    kind: Kind,
    /// Among those of its kind in its batch.
    index: u32,
}

/// What is told of a reading or of a stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) effective: i64,
    pub(super) value: f64,
    pub(super) quality: u32,
    pub(super) origin: Origin,
    stamp: Option<Stamp>,
    batch: Option<Batch>,
    sum: Option<Extremes>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Extremes {
    low: f64,
    high: f64,
    count: u32,
    left_out: u32,
}

/// What is to be looked up next.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// Where readings of these times lie, ms.
    Plan((i64, i64)),
    /// These blocks' sums.
    Sums(Vec<Row>, Width),
    /// This block's readings.
    Readings(Row),
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Plan(Plan),
    Sums(Vec<Rollup>),
    Readings(Block),
    /// A block was merged meanwhile.
    Moved,
}

/// A running question. Ask [`Merge::wants`] what to look up, give it to [`Merge::take`], until it wants nothing.
#[derive(Debug)]
pub(super) struct Merge {
    question: Question,
    plan: Option<Plan>,
    points: BTreeMap<Key, Told>,
    sums: Rollup,
    given_point: Option<Key>,
    given_sum: Option<Place>,
    done: bool,
    out: Output,
}

impl Merge {
    pub(super) fn new(question: Question) -> Self {
        let out = Output::new(&question);
        Self {
            question,
            plan: None,
            points: BTreeMap::new(),
            sums: Rollup::new(),
            given_point: None,
            given_sum: None,
            done: false,
            out,
        }
    }

    /// What to look up next; `None`: all was given.
    pub(super) fn wants(&mut self) -> Option<Wanted> {
        if self.done {
            return None;
        }
        let limit = self.question.limit;
        let Some(plan) = &self.plan else {
            return Some(Wanted::Plan((self.begin(), self.question.to - 1)));
        };
        // Its sums hold what was voided since.
        let hidden = |row: &Row| {
            let mut voids = self.question.voids.iter();
            voids.any(|void| row.reaches_into(void.from, void.to))
        };
        let kept = |row: &Row| row.is_kept_from(self.question.floor).0;
        let whole =
            |row: &&Row| row.is_known_by(limit.position, limit.known) && kept(row) && !hidden(row);
        if let Some(width) = self.question.width {
            let rows: Vec<Row> = plan
                .rows
                .iter()
                .take(SUMS)
                .take_while(whole)
                .cloned()
                .collect();
            if !rows.is_empty() {
                return Some(Wanted::Sums(rows, width));
            }
        }
        plan.rows.front().cloned().map(Wanted::Readings)
    }

    /// What was not given yet begins here, ms.
    fn begin(&self) -> i64 {
        let point = self.given_point.map(|key| key.effective);
        let sum = self.given_sum.zip(self.question.width);
        let sum = sum.map(|(place, width)| place.number * width.millis());
        point
            .or(sum)
            .map_or(self.question.from, |given| given.max(self.question.from))
    }

    /// Takes what was wanted.
    pub(super) fn take(&mut self, found: Found) -> Result<(), TooMany> {
        match found {
            Found::Moved => {
                self.plan = None;
                self.points.clear();
                self.sums.clear();
                return Ok(());
            }
            Found::Plan(mut plan) => {
                if let Some(tail) = plan.tail.take() {
                    self.hold(&tail);
                }
                let limit = self.question.limit;
                let floor = self.question.floor;
                let may = |row: &Row| row.begins_by(limit.position) && row.is_kept_from(floor).1;
                plan.rows.retain(may);
                self.plan = Some(plan);
            }
            Found::Sums(all) => {
                for sums in all {
                    self.hold_sums(sums);
                    self.pop();
                }
            }
            Found::Readings(block) => {
                self.hold(&block);
                self.pop();
            }
        }
        let next = self.plan.as_ref().and_then(|plan| plan.rows.front());
        let watermark = next.map(Row::oldest_ms);
        self.give(watermark);
        if self.points.len() + self.sums.len() > HELD {
            return Err(TooMany);
        }
        if watermark.is_none() {
            self.done = true;
            self.out.finish();
        }
        Ok(())
    }

    fn pop(&mut self) {
        if let Some(plan) = &mut self.plan {
            plan.rows.pop_front();
        }
    }

    fn hold(&mut self, block: &Block) {
        let Question {
            kinds,
            from,
            to,
            limit,
            floor,
            voids,
            ..
        } = &self.question;
        let wanted = |point: &Point| {
            let batch = block.batch(point);
            let hides = |void: &Hidden| {
                void.origin == batch.origin && (void.from..void.to).contains(&point.effective)
            };
            !voids.iter().any(hides)
                && (*from..*to).contains(&point.effective)
                && (kinds.is_empty() || kinds.contains(&point.kind))
                && (*floor..=limit.position).contains(&batch.position)
                && batch.known <= limit.known
        };
        if let Some(width) = self.question.width {
            let mut sums = Rollup::new();
            rollup::add(&mut sums, block, width, wanted);
            self.hold_sums(sums);
            return;
        }
        let mut counts: (u32, BTreeMap<Kind, u32>) = (u32::MAX, BTreeMap::new());
        for point in &block.points {
            if counts.0 != point.batch {
                counts = (point.batch, BTreeMap::new());
            }
            let count = counts.1.entry(point.kind).or_default();
            let index = std::mem::replace(count, *count + 1);
            if !point.flags.is_told() || !wanted(point) {
                continue;
            }
            let batch = block.batch(point);
            let key = Key {
                effective: point.effective,
                position: batch.position,
                kind: point.kind,
                index,
            };
            if self.given_point.is_some_and(|given| key <= given) {
                continue;
            }
            let told = Told {
                effective: point.effective,
                value: point.number.to_f64(point.kind),
                quality: point.flags.quality().bits(),
                origin: batch.origin,
                stamp: point.stamp,
                batch: Some(*batch),
                sum: None,
            };
            self.points.insert(key, told);
        }
    }

    fn hold_sums(&mut self, sums: Rollup) {
        let Question {
            kinds,
            from,
            to,
            width: Some(width),
            ..
        } = &self.question
        else {
            return;
        };
        for (place, sum) in sums {
            let wanted = (*from..*to).contains(&(place.number * width.millis()))
                && (kinds.is_empty() || kinds.contains(&place.kind))
                && self.given_sum.is_none_or(|given| place > given);
            if wanted {
                self.sums
                    .entry(place)
                    .and_modify(|held| held.join(&sum))
                    .or_insert(sum);
            }
        }
    }

    /// Gives what nothing older than `watermark` (ms) can precede any more; `None`: all.
    fn give(&mut self, watermark: Option<i64>) {
        while let Some(entry) = self.points.first_entry() {
            if watermark.is_some_and(|watermark| entry.key().effective >= watermark) {
                break;
            }
            let (key, told) = entry.remove_entry();
            self.given_point = Some(key);
            self.out.push(key.kind, told);
        }
        let Some(width) = self.question.width else {
            return;
        };
        while let Some(entry) = self.sums.first_entry() {
            let end = (entry.key().number + 1) * width.millis();
            if watermark.is_some_and(|watermark| end > watermark) {
                break;
            }
            let (place, sum) = entry.remove_entry();
            self.given_sum = Some(place);
            self.out.push(place.kind, stretch(&place, &sum, width));
        }
    }

    /// The next answer, if one is complete.
    pub(super) fn next_chunk(&mut self) -> Option<HistoryChunk> {
        self.out.ready.pop_front()
    }
}

fn stretch(place: &Place, sum: &Sum, width: Width) -> Told {
    let unit = 10_f64.powi(place.kind.info().decimals.into());
    let number = |fixed: i64| vitals::Fixed(fixed).to_f64(place.kind);
    Told {
        effective: place.number * width.millis(),
        value: sum.mean().map_or(0.0, |mean| mean / unit),
        quality: sum.quality,
        origin: place.origin,
        stamp: None,
        batch: None,
        sum: Some(Extremes {
            low: number(sum.low),
            high: number(sum.high),
            count: sum.count,
            left_out: sum.left_out,
        }),
    }
}

/// Makes answers of what comes in order.
#[derive(Debug)]
struct Output {
    max_points: usize,
    device_times: bool,
    provenance: bool,
    token: Token,
    open: BTreeMap<(Kind, Origin), Vec<Told>>,
    count: usize,
    /// Of the last one that was put there.
    last: i64,
    thinned: BTreeMap<Kind, Thinned>,
    ready: VecDeque<HistoryChunk>,
}

impl Output {
    fn new(question: &Question) -> Self {
        Self {
            max_points: question.max_points,
            device_times: question.device_times,
            provenance: question.provenance,
            token: Token {
                name: question.name,
                limit: question.limit,
                next: question.from,
            },
            open: BTreeMap::new(),
            count: 0,
            last: question.from,
            thinned: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    fn push(&mut self, kind: Kind, told: Told) {
        if self.max_points > 0 {
            let limit = self.max_points;
            let thinned = self
                .thinned
                .entry(kind)
                .or_insert_with(|| Thinned::new(limit));
            thinned.push(told);
            return;
        }
        // Between two times the answer can be cut; where hostile data have one time only, it is cut anyhow.
        if self.count >= CHUNK && (told.effective > self.last || self.count >= 4 * CHUNK) {
            let whole = told.effective > self.last;
            self.flush(false, whole.then_some(self.last + 1));
        }
        self.put(kind, told);
    }

    fn put(&mut self, kind: Kind, told: Told) {
        self.last = told.effective;
        self.open.entry((kind, told.origin)).or_default().push(told);
        self.count += 1;
    }

    /// Everything open becomes chunks; `next`: all before it was given then.
    fn flush(&mut self, thinned: bool, next: Option<i64>) {
        self.count = 0;
        for ((kind, origin), told) in std::mem::take(&mut self.open) {
            let chunk = self.chunk(kind, origin, &told, thinned);
            self.ready.push_back(chunk);
        }
        if let (Some(next), Some(last)) = (next, self.ready.back_mut()) {
            last.resume = Token { next, ..self.token }.encode();
        }
    }

    fn chunk(&self, kind: Kind, origin: Origin, told: &[Told], thinned: bool) -> HistoryChunk {
        let micros = |millis: i64| millis.saturating_mul(1000);
        let stamps = || {
            told.iter()
                .filter(|_| self.device_times)
                .map(|one| one.stamp)
        };
        let unsure = |stamp: Stamp| match stamp.uncertainty {
            UNKNOWN => UNKNOWN,
            known => micros(known),
        };
        let batches = || {
            told.iter()
                .filter(|_| self.provenance)
                .filter_map(|one| one.batch)
        };
        let sums = || told.iter().filter_map(|one| one.sum);
        HistoryChunk {
            kind: kind.wire(),
            source: origin.source.0.into(),
            stream: hex(&origin.stream.0),
            effective_us: told.iter().map(|one| micros(one.effective)).collect(),
            value: told.iter().map(|one| one.value).collect(),
            quality: told.iter().map(|one| one.quality).collect(),
            thinned,
            device_us: stamps()
                .map(|stamp| stamp.map_or(0, |stamp| micros(stamp.stamp)))
                .collect(),
            uncertainty_us: stamps().map(|stamp| stamp.map_or(0, unsure)).collect(),
            low: sums().map(|sum| sum.low).collect(),
            high: sums().map(|sum| sum.high).collect(),
            count: sums().map(|sum| sum.count).collect(),
            left_out: sums().map(|sum| sum.left_out).collect(),
            position: batches().map(|batch| batch.position).collect(),
            known_us: batches().map(|batch| micros(batch.known)).collect(),
            received_us: batches().map(|batch| micros(batch.received)).collect(),
            resume: Vec::new(),
        }
    }

    fn finish(&mut self) {
        for (kind, thinned) in std::mem::take(&mut self.thinned) {
            let was_thinned = thinned.width.is_some();
            for told in thinned.into_told() {
                self.put(kind, told);
                if self.count >= CHUNK {
                    self.flush(was_thinned, None);
                }
            }
            self.flush(was_thinned, None);
        }
        if self.max_points == 0 {
            self.flush(false, Some(self.last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::block::Flags;
    use vitals::{Fixed, Quality, SourceId, StreamId};

    /// A batch of one reading a second, known at `position`.
    fn block(position: u64, seconds: std::ops::Range<i64>) -> Block {
        let mut block = Block::default();
        let batch = Batch {
            position,
            known: 1,
            received: 1,
            origin: Origin {
                stream: StreamId([1; 16]),
                source: SourceId(1),
            },
        };
        let point = |second| Point {
            batch: 0,
            kind: Kind::HeartRate,
            effective: second * 1000,
            number: Fixed(second),
            flags: Flags::new(Quality::GOOD, None, false),
            stamp: None,
        };
        block.push(batch, seconds.map(point));
        block
    }

    fn question(width: Option<Width>) -> Question {
        Question {
            kinds: Vec::new(),
            from: 0,
            to: i64::MAX / 1000,
            max_points: 0,
            device_times: false,
            provenance: false,
            width,
            limit: Limit {
                position: u64::MAX,
                known: i64::MAX,
            },
            floor: 0,
            voids: Vec::new(),
            name: [0; 8],
        }
    }

    /// The answer when the parts lie apart first; after `moved` looks they are one block.
    fn answer(width: Option<Width>, moved: usize) -> Vec<(i64, f64)> {
        let parts = [block(1, 0..200), block(2, 100..400), block(3, 390..500)];
        let mut whole = Block::default();
        parts.iter().for_each(|part| whole.append(part));
        let mut merge = Merge::new(question(width));
        let (mut looks, mut told) = (0, Vec::new());
        while let Some(wanted) = merge.wants() {
            looks += 1;
            let merged = looks > moved;
            let row = |id: i64, block: &Block| Row::for_test(id, block);
            let found = match wanted {
                Wanted::Plan(_) if merged => Found::Plan(Plan {
                    rows: [row(9, &whole)].into(),
                    tail: None,
                }),
                Wanted::Plan(_) => Found::Plan(Plan {
                    rows: (0..).zip(&parts).map(|(id, part)| row(id, part)).collect(),
                    tail: None,
                }),
                Wanted::Readings(row) => match (row.number(), merged) {
                    (9, _) => Found::Readings(whole.clone()),
                    (_, true) => Found::Moved,
                    (part, false) => {
                        Found::Readings(parts[usize::try_from(part).expect("small")].clone())
                    }
                },
                Wanted::Sums(rows, width) => {
                    let sums = rows.iter().map(|row| {
                        let block = match (row.number(), merged) {
                            (9, _) => &whole,
                            (_, true) => return None,
                            (part, false) => &parts[usize::try_from(part).expect("small")],
                        };
                        let mut sums = Rollup::new();
                        rollup::add(&mut sums, block, width, |_| true);
                        Some(sums)
                    });
                    let sums: Option<Vec<_>> = sums.collect();
                    sums.map_or(Found::Moved, Found::Sums)
                }
            };
            merge.take(found).expect("few");
            assert!(looks < 20, "it never ends");
        }
        while let Some(chunk) = merge.next_chunk() {
            told.extend(chunk.effective_us.iter().copied().zip(chunk.value));
        }
        told
    }

    #[test]
    fn blocks_that_are_merged_under_a_question_change_nothing() {
        for width in [None, Some(Width::Minute)] {
            let expected = answer(width, 20);
            assert_eq!(
                expected.len(),
                if width.is_some() { 9 } else { 610 },
                "control"
            );
            for moved in 0..6 {
                assert_eq!(answer(width, moved), expected, "after {moved} looks");
            }
        }
    }

    #[test]
    fn more_than_can_be_sorted_is_refused() {
        let mut merge = Merge::new(question(None));
        let Some(Wanted::Plan(_)) = merge.wants() else {
            panic!("a plan first");
        };
        // Each reaches from the beginning: nothing can be given before the last one is read.
        let far = i64::try_from(HELD).expect("fits");
        let wide = block(1, 0..far / 2 + 1);
        let rows = (0..3).map(|id| Row::for_test(id, &wide)).collect();
        merge
            .take(Found::Plan(Plan { rows, tail: None }))
            .expect("nothing yet");
        let two = block(2, 0..far / 2 + 1);
        assert_eq!(merge.take(Found::Readings(wide)), Ok(()), "control");
        assert_eq!(merge.take(Found::Readings(two)), Err(TooMany));
    }

    #[test]
    fn tokens_are_of_their_question() {
        let request = HistoryRequest {
            patient: "p-1".into(),
            to_us: 5,
            ..Default::default()
        };
        let name = Token::name(&request);
        let limit = Limit {
            position: 7,
            known: 9,
        };
        let bytes = Token {
            name,
            limit,
            next: -3,
        }
        .encode();
        let resumed = HistoryRequest {
            resume: bytes.clone(),
            ..request.clone()
        };
        assert_eq!(Token::name(&resumed), name);
        assert_eq!(
            Token::decode(&bytes, name),
            Some(Token {
                name,
                limit,
                next: -3
            })
        );
        let other = HistoryRequest {
            to_us: 6,
            ..request
        };
        assert_eq!(Token::decode(&bytes, Token::name(&other)), None);
        for end in 0..bytes.len() {
            assert_eq!(Token::decode(&bytes[..end], name), None);
        }
    }
}
