//! The history as readers see it, from journal to merged blocks, against the obvious: a list of everything that was sent.

use std::collections::{BTreeMap, HashSet};

use prost::Message as _;
use proto::seal::{Label, Lane, Sealer};
use proto::v1;
use proto::wire::encode_columns;
use tonic::Code;
use vitals::{
    ContextId, DeviceTime, Fixed, Kind, PatientId, Quality, Reading, SourceId, Span, Time, Value,
};

use super::past::{ask, gateway, open, whole_second};
use super::rig::Rig;
use crate::history;
use crate::journal::{Entry, Position};
use crate::serve::front::Wire;

/// Small, the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn signed(&mut self, end: u64) -> i64 {
        i64::try_from(self.below(end)).expect("small")
    }
}

/// A batch as it was sent.
#[derive(Clone)]
struct Sent {
    record: Vec<u8>,
    context: ContextId,
    number: u64,
    supersedes: Vec<u64>,
    readings: Vec<Reading>,
}

/// Everything that was journaled, in order.
struct World {
    rig: Rig,
    patient: PatientId,
    from: Time,
    sealers: Vec<(Sealer, ContextId)>,
    sequences: BTreeMap<(usize, Kind), u64>,
    sent: Vec<Sent>,
    journaled: Vec<(u64, Time, Sent)>,
    random: Random,
}

/// A reading as an answer tells it: effective time in ms, position, kind, number, quality.
type Line = (i64, u64, i32, f64, u32);
/// A stretch: begin in ms, kind, stream, source; count, left out, low, high, mean.
type Stretch = ((i64, i32, String, u32), (u32, u32, f64, f64, f64));

impl World {
    async fn new(seed: u64) -> Self {
        let rig = Rig::new().await;
        let patient = rig.patient("p-1").await;
        let from = whole_second(rig.clock.now() - Span::from_mins(600));
        let mut sealers = Vec::new();
        for name in ["g-1", "g-2"] {
            let stream = rig.assign(&patient, name, from).await;
            let sealer = open(&rig, &patient, stream).await;
            let context = sealer.context();
            sealers.push((sealer, context));
        }
        Self {
            rig,
            patient,
            from,
            sealers,
            sequences: BTreeMap::new(),
            sent: Vec::new(),
            journaled: Vec::new(),
            random: Random(seed),
        }
    }

    fn reading(&mut self, which: usize, at: i64) -> Reading {
        let kind = [Kind::HeartRate, Kind::OxygenSaturation]
            [which ^ usize::from(self.random.below(5) == 0)];
        let sequence = self.sequences.entry((which, kind)).or_default();
        *sequence += 1;
        let sequence = *sequence - 1;
        let absent = self.random.below(20) == 0;
        let quality = [
            Quality::GOOD,
            Quality::GOOD,
            Quality::QUESTIONABLE,
            Quality::IMPLAUSIBLE,
        ];
        let effective = self.from + Span::from_millis(at * 1000 + self.random.signed(40));
        Reading {
            kind,
            value: if absent {
                Value::Absent(vitals::Absence::NotANumber)
            } else {
                Value::Measured(Fixed(60 + self.random.signed(90)))
            },
            source: SourceId(1),
            sequence,
            effective,
            received: effective + Span::from_millis(7),
            quality: quality[usize::try_from(self.random.below(4)).expect("small")],
            device: (self.random.below(4) == 0).then(|| DeviceTime {
                stamp: effective + Span::from_secs(3600),
                uncertainty: Span::from_secs(2),
            }),
        }
    }

    fn seal(&mut self, which: usize, readings: Vec<Reading>, supersedes: Vec<u64>) -> Sent {
        let times = || readings.iter().map(|one| one.effective);
        let (sealer, context) = &mut self.sealers[which];
        let label = Label {
            number: sealer.next_number(),
            lane: Lane::Vitals,
            source: 1,
            count: u16::try_from(readings.len()).expect("few"),
            oldest: times().min().expect("not empty"),
            newest: times().max().expect("not empty"),
        };
        let body = v1::BatchBody {
            columns: encode_columns(&readings),
            supersedes: supersedes.clone(),
            ..Default::default()
        };
        let sent = Sent {
            record: sealer.seal(&label, &body).expect("it fits"),
            context: *context,
            number: label.number,
            supersedes,
            readings,
        };
        self.sent.push(sent.clone());
        sent
    }

    async fn journal(&mut self, sent: Sent) {
        let entry = Entry::Batch {
            gateway: gateway(),
            record: sent.record.clone(),
        };
        let appended = self
            .rig
            .journal
            .append(vec![entry.into()])
            .await
            .expect("durable");
        self.journaled.push((appended.last.0, appended.known, sent));
    }

    /// New readings, old ones late, before the assignment, one batch again, two batches merged: whatever comes.
    async fn step(&mut self) {
        let which = usize::try_from(self.random.below(2)).expect("small");
        let begin = self.random.signed(30_000) - 300;
        let count = 1 + self.random.signed(12);
        let act = self.random.below(10);
        let old = self
            .sent
            .iter()
            .rev()
            .filter(|sent| sent.context == self.sealers[which].1);
        let old: Vec<Sent> = old.take(3).cloned().collect();
        let sent = match act {
            0 if !old.is_empty() => old[old.len() - 1].clone(),
            1 if old.len() > 1 => {
                // Merged, one part of it perhaps never journaled by itself.
                let mut readings = [&old[1].readings[..], &old[0].readings].concat();
                readings.sort_by_key(|reading| (reading.kind, reading.sequence));
                readings.dedup_by_key(|reading| (reading.kind, reading.sequence));
                self.seal(which, readings, vec![old[1].number, old[0].number])
            }
            _ => {
                let readings = (0..count).map(|n| self.reading(which, begin + n)).collect();
                let sent = self.seal(which, readings, Vec::new());
                if act == 2 {
                    // It waits at the gateway: what replaces it may come first.
                    return;
                }
                sent
            }
        };
        self.journal(sent).await;
    }

    /// The readings that an answer as of `limit` has, each once, as the fold takes them.
    fn expected(
        &self,
        (from, to): (i64, i64),
        limit: u64,
        known: Time,
    ) -> Vec<(Line, Quality, String)> {
        let (mut numbers, mut seen) = (HashSet::new(), HashSet::new());
        let mut lines = Vec::new();
        for (position, at, sent) in &self.journaled {
            if !numbers.insert((sent.context, sent.number)) {
                continue;
            }
            let mut partly = false;
            for replaced in &sent.supersedes {
                partly |= !numbers.insert((sent.context, *replaced));
            }
            for one in &sent.readings {
                let new = seen.insert((sent.context, one.kind, one.sequence));
                let effective = one.effective.as_micros().div_euclid(1000);
                let told = (new || !partly)
                    && *position <= limit
                    && *at <= known
                    && one.effective >= self.from
                    && (from..to).contains(&effective);
                if let Some(number) = one.number().filter(|_| told) {
                    let line = (
                        effective,
                        *position,
                        one.kind.wire(),
                        number,
                        one.quality.bits(),
                    );
                    let which = usize::from(self.sealers[1].1 == sent.context);
                    lines.push((line, one.quality, which.to_string()));
                }
            }
        }
        lines.sort_by(|(one, ..), (other, ..)| {
            (one.0, one.1, one.2).cmp(&(other.0, other.1, other.2))
        });
        lines
    }

    fn question(&self) -> v1::HistoryRequest {
        v1::HistoryRequest {
            patient: self.patient.reveal().into(),
            from_us: 0,
            to_us: i64::MAX,
            ..Default::default()
        }
    }

    async fn lines(&self, request: v1::HistoryRequest) -> Vec<Line> {
        let request = v1::HistoryRequest {
            provenance: true,
            ..request
        };
        lines_of(&ask(&self.rig, request).await.expect("an answer"))
    }

    /// Everything in blocks.
    async fn write_out(&self) {
        let newest = self.rig.journal.status().position;
        self.rig
            .history
            .write_out(newest)
            .await
            .expect("it is written");
        assert_eq!(self.rig.history.covered(), newest);
    }

    async fn check(&mut self) {
        let newest = self.rig.journal.status().position.0;
        let (begin, end) = (millis(self.from), millis(self.from) + 30_000_000);
        for _ in 0..4 {
            let (a, b) = (
                begin + self.random.signed(30_000_000),
                begin + self.random.signed(30_000_000),
            );
            let (from, to) = (a.min(b), a.max(b) + 1);
            let position = self.random.below(newest) + 1;
            let at = self.journaled
                [usize::try_from(self.random.below(self.journaled.len() as u64)).expect("small")]
            .1;
            let bare = v1::HistoryRequest {
                from_us: from * 1000,
                to_us: to * 1000,
                ..self.question()
            };
            for (limit, known, request) in [
                (newest, Time::MAX, bare.clone()),
                (
                    position,
                    Time::MAX,
                    v1::HistoryRequest {
                        known_at_position: position,
                        ..bare.clone()
                    },
                ),
                (
                    newest,
                    end_of_millisecond(at),
                    v1::HistoryRequest {
                        known_at_us: at.as_micros(),
                        ..bare.clone()
                    },
                ),
            ] {
                let expected = self.expected((from, to), limit, known);
                let lines: Vec<Line> = expected.iter().map(|(line, ..)| *line).collect();
                assert_eq!(self.lines(request.clone()).await, lines, "{request:?}");
                self.check_stretches(request, limit, known, (from, to))
                    .await;
            }
        }
        let all = self.expected((begin - 1_000_000, end + 1_000_000), newest, Time::MAX);
        assert!(all.len() > 20, "control: there is something");
    }

    async fn check_stretches(
        &self,
        request: v1::HistoryRequest,
        limit: u64,
        known: Time,
        (from, to): (i64, i64),
    ) {
        for (resolution, width) in [
            (v1::Resolution::Minute, 60_000),
            (v1::Resolution::Hour, 3_600_000),
        ] {
            let request = v1::HistoryRequest {
                resolution: resolution as i32,
                ..request.clone()
            };
            let whole = (
                from.div_euclid(width) * width,
                (to + width - 1).div_euclid(width) * width,
            );
            let mut expected: BTreeMap<(i64, i32, String), Vec<(f64, Quality)>> = BTreeMap::new();
            for (line, quality, which) in self.expected(whole, limit, known) {
                let key = (line.0.div_euclid(width) * width, line.2, which);
                expected.entry(key).or_default().push((line.3, quality));
            }
            let chunks = ask(&self.rig, request).await.expect("an answer");
            let mut told = BTreeMap::new();
            for ((begin, kind, stream, _), sums) in stretches_of(&chunks) {
                let second = self
                    .streams()
                    .iter()
                    .position(|of| *of == stream)
                    .expect("one of ours");
                assert!(
                    told.insert((begin, kind, second.to_string()), sums)
                        .is_none(),
                    "a stretch twice"
                );
            }
            assert_eq!(told.len(), expected.len());
            for (key, (count, left_out, low, high, mean)) in told {
                let of_it = &expected[&key];
                let used = of_it
                    .iter()
                    .filter(|(_, quality)| quality.usable())
                    .map(|(number, _)| *number);
                let used: Vec<f64> = used.collect();
                assert_eq!(
                    (count as usize, left_out as usize),
                    (used.len(), of_it.len() - used.len())
                );
                if !used.is_empty() {
                    assert_eq!(low, used.iter().copied().fold(f64::MAX, f64::min));
                    assert_eq!(high, used.iter().copied().fold(f64::MIN, f64::max));
                    let of = used.iter().sum::<f64>() / used.len() as f64;
                    assert!((mean - of).abs() < 1e-9, "{mean} {of}");
                }
            }
        }
    }

    fn streams(&self) -> Vec<String> {
        let registry = self.rig.books.registry();
        let of =
            |(_, context): &(_, ContextId)| registry.context(*context).expect("admitted").stream;
        self.sealers
            .iter()
            .map(|one| proto::text::hex(&of(one).0))
            .collect()
    }
}

fn millis(at: Time) -> i64 {
    at.as_micros().div_euclid(1000)
}

fn end_of_millisecond(at: Time) -> Time {
    Time::from_micros(millis(at) * 1000 + 999)
}

fn lines_of(chunks: &[v1::HistoryChunk]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for chunk in chunks {
        for (n, at) in chunk.effective_us.iter().enumerate() {
            lines.push((
                at / 1000,
                chunk.position[n],
                chunk.kind,
                chunk.value[n],
                chunk.quality[n],
            ));
        }
    }
    // Chunks of several kinds and sensors are told one after the other.
    lines.sort_by_key(|one| (one.0, one.1, one.2));
    lines
}

fn stretches_of(chunks: &[v1::HistoryChunk]) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    for chunk in chunks {
        for (n, at) in chunk.effective_us.iter().enumerate() {
            let key = (at / 1000, chunk.kind, chunk.stream.clone(), chunk.source);
            let sums = (
                chunk.count[n],
                chunk.left_out[n],
                chunk.low[n],
                chunk.high[n],
                chunk.value[n],
            );
            stretches.push((key, sums));
        }
    }
    stretches
}

#[tokio::test]
async fn an_answer_is_the_same_from_journal_tail_blocks_and_merged_blocks() {
    let mut world = World::new(0x9E37_79B9_7F4A_7C15).await;
    for round in 0..40 {
        for _ in 0..12 {
            world.step().await;
        }
        if round % 3 != 1 {
            world.write_out().await;
        }
        if round % 7 == 5 || round == 38 {
            world.check().await;
        }
        if round % 13 == 9 {
            world.rig = world.rig.restart().await;
            world.check().await;
        }
    }
}

#[tokio::test]
async fn an_answer_can_be_cut_anywhere_while_more_is_known_and_merged() {
    let mut world = World::new(0xDEAD_BEEF_CAFE_F00D).await;
    let readings: Vec<Reading> = (0..7_000).map(|n| world.reading(0, n)).collect();
    for part in readings.chunks(100) {
        let sent = world.seal(0, part.to_vec(), Vec::new());
        world.journal(sent).await;
    }
    world.write_out().await;
    let minutes = v1::HistoryRequest {
        resolution: v1::Resolution::Minute as i32,
        ..world.question()
    };
    let raw = v1::HistoryRequest {
        provenance: true,
        ..world.question()
    };
    for question in [raw, minutes] {
        let whole = ask(&world.rig, question.clone()).await.expect("an answer");
        let mut cuts = 0;
        for (n, chunk) in whole.iter().enumerate() {
            if chunk.resume.is_empty() {
                continue;
            }
            cuts += 1;
            // Meanwhile the past grows and moves.
            for _ in 0..5 {
                world.step().await;
            }
            world.write_out().await;
            let rest = v1::HistoryRequest {
                resume: chunk.resume.clone(),
                ..question.clone()
            };
            let rest = ask(&world.rig, rest).await.expect("the rest");
            let joined = [&whole[..=n], &rest].concat();
            if question.provenance {
                assert_eq!(lines_of(&joined), lines_of(&whole));
            } else {
                assert_eq!(stretches_of(&joined), stretches_of(&whole));
            }
        }
        assert!(
            cuts >= 1 && (cuts >= 3 || !question.provenance),
            "control: {cuts}"
        );
        let after = ask(&world.rig, question.clone()).await.expect("an answer");
        assert_ne!(after, whole, "control: asked anew it has grown");
        let resume = whole.last().expect("chunks").resume.clone();
        let other = v1::HistoryRequest {
            resume,
            to_us: 1_000_000,
            ..question
        };
        assert_eq!(
            ask(&world.rig, other).await,
            Err(Code::InvalidArgument),
            "another question"
        );
    }
}

#[tokio::test]
async fn what_was_known_later_is_left_out_and_what_was_known_stays() {
    let mut world = World::new(7).await;
    let tell = async |world: &mut World, at: i64| {
        let sent = {
            let reading = Reading {
                value: Value::Measured(Fixed(at)),
                quality: Quality::GOOD,
                ..world.reading(0, at)
            };
            world.seal(0, vec![reading], Vec::new())
        };
        world.journal(sent.clone()).await;
        sent
    };
    tell(&mut world, 100).await;
    let early = world.journaled[0].clone();
    // Measured before, known after.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    tell(&mut world, 50).await;
    let values = async |world: &World, request: v1::HistoryRequest| -> Vec<i64> {
        let lines = world.lines(request).await;
        lines
            .iter()
            .map(|line| (line.0 - millis(world.from)) / 1000)
            .collect()
    };
    for written in [false, true] {
        if written {
            world.write_out().await;
        }
        let then = v1::HistoryRequest {
            known_at_position: early.0,
            ..world.question()
        };
        assert_eq!(values(&world, then).await, [100]);
        let then = v1::HistoryRequest {
            known_at_us: early.1.as_micros(),
            ..world.question()
        };
        assert_eq!(values(&world, then).await, [100]);
        let before = v1::HistoryRequest {
            known_at_us: early.1.as_micros() - 2_000,
            ..world.question()
        };
        assert_eq!(values(&world, before).await, [0_i64; 0]);
        assert_eq!(values(&world, world.question()).await, [50, 100]);
        let far = v1::HistoryRequest {
            known_at_position: u64::MAX,
            ..world.question()
        };
        assert_eq!(
            values(&world, far).await,
            [50, 100],
            "the future is the present"
        );
    }
}

#[tokio::test]
async fn damage_is_named_and_stays_where_it_is() {
    let mut world = World::new(11).await;
    for begin in [0, 20_000] {
        let readings = (0..200).map(|n| world.reading(0, begin + n)).collect();
        let sent = world.seal(0, readings, Vec::new());
        world.journal(sent).await;
        world.write_out().await;
    }
    let folder = world.rig.dir();
    crate::history::damage(&folder.history());
    assert_eq!(ask(&world.rig, world.question()).await, Err(Code::DataLoss));
    let later = v1::HistoryRequest {
        from_us: (world.from + Span::from_secs(10_000)).as_micros(),
        ..world.question()
    };
    assert!(world.lines(later).await.len() > 100, "the rest can be had");
    // Without the file all of it is made again.
    let World { rig, .. } = world;
    let rig = rig
        .restart_after(|dir| std::fs::remove_file(dir.history()).expect("it was there"))
        .await;
    let whole = v1::HistoryRequest {
        patient: "p-1".into(),
        to_us: i64::MAX,
        ..Default::default()
    };
    let chunks = ask(&rig, whole).await.expect("an answer");
    assert!(chunks.iter().map(|chunk| chunk.value.len()).sum::<usize>() > 300);
}

/// As a kill leaves it: files copied while the thread writes and merges.
#[tokio::test]
async fn a_kill_at_any_moment_neither_loses_nor_doubles() {
    let mut world = World::new(23).await;
    let mut copies = Vec::new();
    let kept = tempfile::tempdir().expect("a directory");
    for round in 0..24 {
        for _ in 0..6 {
            world.step().await;
        }
        let newest = world.rig.journal.status().position;
        let history = world.rig.history.clone();
        let writing = tokio::spawn(async move { history.write_out(newest).await });
        let copy = kept.path().join(format!("{round}"));
        std::fs::create_dir(&copy).expect("a directory");
        let moment = std::time::Duration::from_micros(world.random.below(4_000));
        tokio::time::sleep(moment).await;
        for name in ["history.db", "history.db-wal"] {
            // The file does not change while its log is short of a checkpoint; the log may be torn.
            let _ = std::fs::copy(world.rig.dir().store().join(name), copy.join(name));
        }
        writing.await.expect("no panic").expect("it is written");
        copies.push(copy);
    }
    let expected = world.lines(world.question()).await;
    for copy in copies {
        let put = |dir: &crate::dir::CentreDir| {
            for name in ["history.db", "history.db-wal", "history.db-shm"] {
                let _ = std::fs::remove_file(dir.store().join(name));
                let _ = std::fs::copy(copy.join(name), dir.store().join(name));
            }
        };
        world.rig = world.rig.restart_after(put).await;
        let before = world.rig.history.covered();
        assert_eq!(
            world.lines(world.question()).await,
            expected,
            "from {before:?}"
        );
        world.write_out().await;
        assert_eq!(
            world.lines(world.question()).await,
            expected,
            "from {before:?}"
        );
    }
}

#[tokio::test]
async fn what_is_removed_by_age_is_gone_from_the_blocks_too_and_an_answer_says_so() {
    let mut world = World::new(31).await;
    for _ in 0..4 {
        for _ in 0..30 {
            world.step().await;
        }
        world.write_out().await;
    }
    let blocks = || history::blocks(&world.rig.dir().history());
    assert_eq!(blocks(), 4, "control");
    // In the middle of the third block.
    let middle = world.journaled[world.journaled.len() * 5 / 8].0;
    let (journal, forever) = (&world.rig.journal, Time::from_micros(i64::MAX));
    while journal
        .remove(Position(middle), forever)
        .await
        .expect("removed")
        .entries
        > 0
    {}
    let (below, since) = journal.status().removed.expect("removed");
    assert_eq!(below, Position(middle), "each row is one batch");
    world.rig.history.remove_before(below);
    world.step().await;
    world.write_out().await;
    assert_eq!(history::blocks(&world.rig.dir().history()), 3);
    let told = world.lines(world.question()).await;
    let expected = world.expected((i64::MIN, i64::MAX), u64::MAX, forever);
    let kept: Vec<_> = expected
        .iter()
        .map(|(line, ..)| *line)
        .filter(|line| line.1 >= below.0)
        .collect();
    assert!(kept.len() > 100 && kept.len() < expected.len(), "control");
    assert_eq!(told, kept);
    let minutes = v1::HistoryRequest {
        resolution: v1::Resolution::Minute.into(),
        ..world.question()
    };
    let minutes = ask(&world.rig, minutes).await.expect("an answer");
    let counted = |chunk: &v1::HistoryChunk| {
        let all = chunk.count.iter().chain(&chunk.left_out);
        all.sum::<u32>() as usize
    };
    assert_eq!(minutes.iter().map(counted).sum::<usize>(), kept.len());
    // A question into that time alone is not answered by silence.
    let old = v1::HistoryRequest {
        to_us: since.as_micros(),
        ..world.question()
    };
    assert_eq!(ask(&world.rig, old).await, Err(Code::OutOfRange));
    let asked = v1::CoverageRequest {
        patient: world.patient.reveal().into(),
        kinds: Vec::new(),
        from_us: world.from.as_micros(),
        to_us: world.rig.clock.now().as_micros(),
    };
    let path = "/vitaltwin.v1.HistoryService/Coverage";
    let (code, bytes) = world
        .rig
        .call(path, &asked, Wire::Native, Some(world.rig.operator()), &[])
        .await;
    assert_eq!(code, Code::Ok);
    let answer = v1::CoverageResponse::decode(&bytes[5..]).expect("an answer");
    let mut classes = answer.lines.iter().flat_map(|line| &line.stretches);
    assert!(classes.any(|one| one.class() == v1::CoverageClass::Removed));
    assert!(
        !answer
            .lines
            .iter()
            .flat_map(|line| &line.stretches)
            .any(|one| {
                one.class() == v1::CoverageClass::Measured && one.from_us < since.as_micros()
            })
    );
}

#[tokio::test]
async fn a_history_that_is_ahead_of_its_journal_is_set_aside() {
    let mut world = World::new(31).await;
    for _ in 0..10 {
        world.step().await;
    }
    world.write_out().await;
    let dir = world.rig.dir();
    let history = dir.history();
    let World { rig, .. } = world;
    // A journal that begins anew beside the old history.
    let rig = rig
        .restart_after(|dir| {
            for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
                let _ = std::fs::remove_file(dir.store().join(name));
            }
        })
        .await;
    assert_eq!(rig.history.covered(), Position(0));
    assert!(history.with_extension("db.aside").exists());
}
