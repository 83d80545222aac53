//! Past waveforms: the blocks of a patient's streams, one stream after the other, each batch opened once.
//!
//! Invariants: a block comes if it reaches into the time asked for; none that began before the stream was the
//! patient's, nor one of which any part was voided; nothing is held but the page that was just read.
//!
//! Must not know: gRPC's server, the gate, SQLite.

use std::collections::VecDeque;

use proto::v1::WaveformChunk;
use proto::wire;
use twin::event::Void;
use vitals::{StreamId, Time, Wave};

use super::StreamOf;
use crate::journal::{Content, HistoryCursor, Opened, Page};

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct WaveQuestion {
    /// Empty: all.
    pub(super) waves: Vec<Wave>,
    /// From this effective time...
    pub(super) from: Time,
    /// ...up to, without, this one.
    pub(super) to: Time,
    /// What was voided.
    pub(super) voids: Vec<Void>,
}

/// A running question. Ask [`Blocks::wants`] what to load, give it to [`Blocks::take`], until it wants nothing.
#[derive(Debug)]
pub(super) struct Blocks {
    question: WaveQuestion,
    streams: VecDeque<StreamOf>,
    after: Option<HistoryCursor>,
    ready: VecDeque<WaveformChunk>,
}

impl Blocks {
    pub(super) fn new(question: WaveQuestion, streams: Vec<StreamOf>) -> Self {
        Self {
            question,
            streams: streams.into(),
            after: None,
            ready: VecDeque::new(),
        }
    }

    /// The page to load next; `None`: all was read.
    pub(super) fn wants(&self) -> Option<(StreamId, (Time, Time), Option<HistoryCursor>)> {
        let of = self.streams.front()?;
        Some((
            of.stream,
            (self.question.from, self.question.to),
            self.after,
        ))
    }

    /// Takes the page that was wanted.
    pub(super) fn take(&mut self, page: &Page) {
        let Some(of) = self.streams.front() else {
            return;
        };
        let question = &self.question;
        for committed in &page.batches {
            let Some(Opened::Batch(batch)) = committed.body.as_deref() else {
                continue;
            };
            let Content::Body(body) = &batch.content else {
                continue;
            };
            // Readings and waveforms never share a batch: what has none need not be checked.
            if body.waveforms.is_empty() {
                continue;
            }
            let Ok(content) = wire::decode_body(batch.source, batch.number, body) else {
                continue;
            };
            let wanted = content.waveforms.iter().map(|block| {
                let (stream, end) = (batch.stream, block.time_of(block.samples()));
                let mut voids = question.voids.iter();
                let is_void =
                    voids.any(|void| void.touches(stream, batch.source, block.start, end));
                !is_void
                    && (question.waves.is_empty() || question.waves.contains(&block.wave))
                    && block.start >= of.from
                    && block.start < question.to
                    && end > question.from
            });
            let blocks = body.waveforms.iter().zip(wanted);
            let blocks: Vec<_> = blocks
                .filter(|(_, wanted)| *wanted)
                .map(|(block, _)| block.clone())
                .collect();
            if !blocks.is_empty() {
                self.ready.push_back(WaveformChunk {
                    source: batch.source.0.into(),
                    blocks,
                });
            }
        }
        self.after = page.next;
        if page.next.is_none() {
            self.streams.pop_front();
        }
    }

    /// The next answer, if one is ready.
    pub(super) fn next_chunk(&mut self) -> Option<WaveformChunk> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Committed, Entry, OpenedBatch, Position};
    use std::sync::Arc;
    use vitals::gatt::Decimal;
    use vitals::{ContextId, GatewayId, PatientId, Quality, SourceId, Waveform};

    use crate::traces::Trace;

    const STREAM: StreamId = StreamId([1; 16]);

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    /// One second of ECG, journaled.
    fn second(number: u64, start: i64) -> Committed {
        let block = Waveform {
            wave: Wave::Ecg,
            source: SourceId(1),
            sequence: number,
            start: at(start),
            received: at(start + 1),
            rate_millihertz: 130_000,
            channels: 1,
            step: Decimal {
                mantissa: 1,
                exponent: 0,
            },
            numbers: vec![7; 130],
            quality: Quality::GOOD,
        };
        let body = wire::split_waveforms(&[block]).remove(0).into_body();
        let opened = OpenedBatch {
            stream: STREAM,
            patient: PatientId::parse("p-1").expect("a patient id"),
            context: ContextId([1; 16]),
            number,
            lane: 3,
            source: SourceId(1),
            readings: 1,
            content: Content::Body(body),
        };
        Committed {
            position: Position(number),
            known: at(start + 2),
            entry: Arc::new(Entry::Batch {
                gateway: GatewayId::parse("g-1").expect("a gateway id"),
                record: Vec::new(),
            }),
            body: Some(Arc::new(Opened::Batch(opened))),
            trace: Trace::default(),
        }
    }

    /// The seconds at which the blocks of the answer begin.
    fn answer(waves: Vec<Wave>, from: i64, to: i64, assigned: i64) -> Vec<i64> {
        answer_without(Vec::new(), (waves, from, to), assigned)
    }

    fn answer_without(
        voids: Vec<Void>,
        (waves, from, to): (Vec<Wave>, i64, i64),
        assigned: i64,
    ) -> Vec<i64> {
        let question = WaveQuestion {
            waves,
            from: at(from),
            to: at(to),
            voids,
        };
        let of = StreamOf {
            stream: STREAM,
            from: at(assigned),
        };
        let mut blocks = Blocks::new(question, vec![of]);
        let mut starts = Vec::new();
        let mut pages = [vec![second(1, 10), second(2, 11)], vec![second(3, 12)]].into_iter();
        while let Some((stream, _, _)) = blocks.wants() {
            assert_eq!(stream, STREAM);
            let batches = pages.next().expect("two pages");
            let next = (batches.len() == 2).then(HistoryCursor::default);
            blocks.take(&Page {
                batches,
                oldest_left: next.map(|_| at(12)),
                next,
            });
            while let Some(chunk) = blocks.next_chunk() {
                starts.extend(chunk.blocks.iter().map(|block| block.start_us / 1_000_000));
            }
        }
        starts
    }

    #[test]
    fn a_block_of_which_a_part_was_another_persons_is_nobodys() {
        let half = vitals::Span::from_millis(500);
        let without = |from: Time, to: Time| {
            let void = Void {
                stream: STREAM,
                source: SourceId(1),
                from,
                to,
            };
            answer_without(vec![void], (vec![], 0, 100), 0)
        };
        assert_eq!(without(at(11), at(12)), [10, 12], "to the sample");
        // It began before what was voided, or ends after it.
        assert_eq!(without(at(11) + half, at(12)), [10, 12]);
        assert_eq!(without(at(10), at(11) + half), [12]);
        let of_another = Void {
            stream: STREAM,
            source: SourceId(2),
            from: at(0),
            to: at(100),
        };
        let all = answer_without(vec![of_another], (vec![], 0, 100), 0);
        assert_eq!(all, [10, 11, 12], "control");
    }

    #[test]
    fn blocks_that_reach_into_the_time_come_once() {
        assert_eq!(answer(vec![], 0, 100, 0), [10, 11, 12]);
        assert_eq!(answer(vec![Wave::Ecg], 11, 12, 0), [11]);
        assert_eq!(answer(vec![Wave::Acceleration], 0, 100, 0), [] as [i64; 0]);
        assert_eq!(answer(vec![], 0, 100, 11), [11, 12], "before it was theirs");
    }
}
