//! Waveform blocks: packed differences, in batches that fit a record.
//!
//! Invariants: what [`split_waveforms`] makes encodes to at most the size asked for; a block that must be cut
//! becomes blocks that follow each other without a gap, told by their times; numbers come back exactly.

use vitals::gatt::Decimal;
use vitals::{Quality, SourceId, Time, Wave, Waveform};

use super::{MAX_SAMPLES, WireError};
use crate::seal::MAX_BODY;
use crate::v1::{self, BatchBody};

/// Most bytes of a block besides its numbers: tags, lengths, and every field at its longest.
const BLOCK_SIZE: usize = 80;
/// Most blocks in one body: more than fit a record.
const MAX_BLOCKS: usize = 64;

/// Blocks of one source that fit one record.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformBatch {
    /// Their source.
    pub source: SourceId,
    /// How many blocks, for the stub.
    pub count: u16,
    /// Effective time of the oldest sample, for the stub.
    pub oldest: Time,
    /// Effective time of the newest sample, for the stub.
    pub newest: Time,
    /// The blocks.
    pub blocks: Vec<v1::Waveform>,
}

impl WaveformBatch {
    /// A body with these blocks and nothing else.
    #[must_use]
    pub fn into_body(self) -> BatchBody {
        BatchBody {
            waveforms: self.blocks,
            ..BatchBody::default()
        }
    }
}

/// Packs blocks into batches of one source each that fit a record. Their order is kept. A block without samples
/// is none.
#[must_use]
pub fn split_waveforms(blocks: &[Waveform]) -> Vec<WaveformBatch> {
    let mut full = Vec::new();
    let mut open: Option<(WaveformBatch, usize)> = None;
    for (block, piece) in blocks.iter().flat_map(pieces) {
        let size = piece_size(&piece);
        let newest = block.1;
        match &mut open {
            Some((batch, taken))
                if batch.source == block.0.source
                    && *taken + size <= MAX_BODY
                    && batch.blocks.len() < MAX_BLOCKS =>
            {
                batch.count += 1;
                batch.oldest = batch.oldest.min(Time::from_micros(piece.start_us));
                batch.newest = batch.newest.max(newest);
                batch.blocks.push(piece);
                *taken += size;
            }
            _ => {
                full.extend(open.take().map(|(batch, _)| batch));
                let start = Time::from_micros(piece.start_us);
                let batch = WaveformBatch {
                    source: block.0.source,
                    count: 1,
                    oldest: start,
                    newest,
                    blocks: vec![piece],
                };
                open = Some((batch, size));
            }
        }
    }
    full.extend(open.map(|(batch, _)| batch));
    full
}

/// A block as messages of at most a record's room each, with the time of each one's last sample.
fn pieces(block: &Waveform) -> Vec<((&Waveform, Time), v1::Waveform)> {
    let channels = usize::from(block.channels.max(1));
    let mut pieces = Vec::new();
    let mut first = 0;
    while first < block.samples() {
        let mut deltas = Vec::new();
        let mut size = BLOCK_SIZE;
        let mut before = vec![0_i64; channels];
        let mut taken = 0;
        for sample in block.numbers[first * channels..].chunks_exact(channels) {
            let differences = sample
                .iter()
                .zip(&before)
                .map(|(number, before)| i64::from(*number) - before);
            let differences: Vec<i64> = differences.collect();
            let cost: usize = differences
                .iter()
                .copied()
                .map(super::columns::varint_size)
                .sum();
            if taken > 0 && (size + cost > MAX_BODY || deltas.len() + channels > MAX_SAMPLES) {
                break;
            }
            size += cost;
            taken += 1;
            deltas.extend(differences);
            before = sample.iter().copied().map(i64::from).collect();
        }
        let start = block.time_of(first);
        let message = v1::Waveform {
            wave: block.wave.wire(),
            start_us: start.as_micros(),
            received_delta_us: block.received.since(start).as_micros(),
            rate_millihertz: block.rate_millihertz,
            channels: block.channels.into(),
            step_mantissa: block.step.mantissa,
            step_exponent: block.step.exponent.into(),
            number_delta: deltas,
            quality: block.quality.bits(),
            sequence: block.sequence,
        };
        pieces.push(((block, block.time_of(first + taken - 1)), message));
        first += taken;
    }
    pieces
}

/// An upper bound of a message's bytes in a body.
fn piece_size(message: &v1::Waveform) -> usize {
    let deltas = message.number_delta.iter().copied();
    BLOCK_SIZE + deltas.map(super::columns::varint_size).sum::<usize>()
}

/// The blocks of a body that was sealed for `source`.
///
/// # Errors
/// [`WireError`], naming the field of the first block that does not hold.
pub fn decode_waveforms(source: SourceId, body: &BatchBody) -> Result<Vec<Waveform>, WireError> {
    let numbers = |block: &v1::Waveform| block.number_delta.len();
    let all: usize = body.waveforms.iter().map(numbers).sum();
    if body.waveforms.len() > MAX_BLOCKS || all > MAX_SAMPLES {
        return Err(WireError::TooMany {
            field: "waveforms",
            limit: MAX_SAMPLES,
        });
    }
    let blocks = body.waveforms.iter().enumerate();
    blocks
        .map(|(index, block)| decode_waveform(source, block, index))
        .collect()
}

fn decode_waveform(
    source: SourceId,
    block: &v1::Waveform,
    index: usize,
) -> Result<Waveform, WireError> {
    let malformed = |field| WireError::Malformed { field, index };
    let wave = Wave::from_wire(block.wave).ok_or(WireError::Unknown {
        field: "waveform.wave",
        index,
    })?;
    let channels = u8::try_from(block.channels)
        .ok()
        .filter(|channels| *channels > 0)
        .ok_or(malformed("waveform.channels"))?;
    if block.rate_millihertz == 0 {
        return Err(malformed("waveform.rate_millihertz"));
    }
    let width = usize::from(channels);
    if block.number_delta.is_empty() || !block.number_delta.len().is_multiple_of(width) {
        return Err(malformed("waveform.number_delta"));
    }
    let mut numbers: Vec<i32> = Vec::with_capacity(block.number_delta.len());
    for (at, delta) in block.number_delta.iter().enumerate() {
        let before = at
            .checked_sub(width)
            .map_or(0, |before| i64::from(numbers[before]));
        let number = before
            .checked_add(*delta)
            .and_then(|number| i32::try_from(number).ok());
        numbers.push(number.ok_or(malformed("waveform.number_delta"))?);
    }
    let exponent =
        i8::try_from(block.step_exponent).map_err(|_| malformed("waveform.step_exponent"))?;
    let received = block
        .start_us
        .checked_add(block.received_delta_us)
        .ok_or(malformed("waveform.received_delta_us"))?;
    Ok(Waveform {
        wave,
        source,
        sequence: block.sequence,
        start: Time::from_micros(block.start_us),
        received: Time::from_micros(received),
        rate_millihertz: block.rate_millihertz,
        channels,
        step: Decimal {
            mantissa: block.step_mantissa,
            exponent,
        },
        numbers,
        quality: Quality::from_bits(block.quality),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    fn block(channels: u8, numbers: Vec<i32>, sequence: u64) -> Waveform {
        Waveform {
            wave: Wave::Ecg,
            source: SourceId(3),
            sequence,
            start: Time::from_micros(1_795_291_200_000_000),
            received: Time::from_micros(1_795_291_201_000_000),
            rate_millihertz: 130_000,
            channels,
            step: Decimal {
                mantissa: 1,
                exponent: -3,
            },
            numbers,
            quality: Quality::QUESTIONABLE,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn blocks_come_back_whole_and_fit_their_records(
            channels in 1..5_u8,
            blocks in prop::collection::vec(prop::collection::vec(any::<i32>(), 0..1500), 1..5),
        ) {
            let blocks: Vec<Waveform> = (0..)
                .zip(blocks)
                .map(|(sequence, mut numbers)| {
                    numbers.truncate(numbers.len() / usize::from(channels) * usize::from(channels));
                    block(channels, numbers, sequence)
                })
                .collect();
            let mut back: Vec<i32> = Vec::new();
            for batch in split_waveforms(&blocks) {
                let (oldest, newest, count) = (batch.oldest, batch.newest, batch.count);
                let body = batch.into_body();
                prop_assert!(body.encoded_len() <= MAX_BODY);
                let decoded = decode_waveforms(SourceId(3), &body).expect("well formed");
                prop_assert_eq!(usize::from(count), decoded.len());
                for block in decoded {
                    prop_assert!(block.start >= oldest);
                    prop_assert!(block.time_of(block.samples() - 1) <= newest);
                    back.extend(block.numbers);
                }
            }
            let sent: Vec<i32> = blocks.into_iter().flat_map(|block| block.numbers).collect();
            prop_assert_eq!(back, sent);
        }
    }

    #[test]
    fn an_electrocardiogram_takes_less_than_two_bytes_a_sample() {
        // A QRS complex is steep for a tenth of a second, the rest is not.
        let numbers = (0..130).map(|n: i32| {
            if n % 100 < 8 {
                150 * (n % 8)
            } else {
                n % 40 - 20
            }
        });
        let batches = split_waveforms(&[block(1, numbers.collect(), 0)]);
        let [batch] = batches.as_slice() else {
            panic!("one second fits one record");
        };
        assert_eq!(batch.count, 1);
        let bytes = batch.clone().into_body().encoded_len();
        assert!(bytes < 260, "{bytes} bytes for 130 samples");
    }

    #[test]
    fn hostile_blocks_are_refused_by_field() {
        let good = split_waveforms(&[block(2, vec![1, 2, 3, 4], 0)])
            .remove(0)
            .into_body();
        assert!(decode_waveforms(SourceId(1), &good).is_ok());
        let spoilt = |spoil: fn(&mut v1::Waveform)| {
            let mut body = good.clone();
            spoil(&mut body.waveforms[0]);
            let error = decode_waveforms(SourceId(1), &body).expect_err("spoilt");
            error.to_string()
        };
        for (error, field) in [
            (spoilt(|block| block.wave = 99), "wave"),
            (spoilt(|block| block.channels = 0), "channels"),
            (spoilt(|block| block.channels = 300), "channels"),
            (spoilt(|block| block.channels = 3), "number_delta"),
            (spoilt(|block| block.rate_millihertz = 0), "rate"),
            (spoilt(|block| block.number_delta.clear()), "number_delta"),
            (
                spoilt(|block| block.number_delta[3] = i64::MAX),
                "number_delta",
            ),
            (spoilt(|block| block.step_exponent = 200), "step_exponent"),
            (
                spoilt(|block| block.received_delta_us = i64::MAX),
                "received",
            ),
            (
                spoilt(|block| block.number_delta = vec![0; 2 * MAX_SAMPLES]),
                "waveforms",
            ),
        ] {
            assert!(error.contains(field), "{field}: {error}");
        }
    }
}
