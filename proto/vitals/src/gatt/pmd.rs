//! Polar Measurement Data (service FB005C80): control FB005C81 and data FB005C82, as Polar's published
//! measurement data specification and SDK describe them.
//!
//! ECG of a chest strap (130 Hz), acceleration, optical signals and pulse intervals. A frame carries the
//! device's time of its *last* sample, nanoseconds since 2000-01-01 of a clock that nobody need have set.
//! Optical sensors pack samples as differences: a reference sample, then blocks of differences of so many
//! bits each; the blocks are kept as they came, so that a frame can be written again octet by octet.

use alloc::vec::Vec;

use super::fields::{Field, Fields};
use super::octets::{Builder, Octets};
use super::{DecodeError, EncodeError, coded};

coded! {
    /// What a stream carries.
    PmdType {
        /// Electrocardiogram, microvolt.
        Ecg = 0 => "ECG",
        /// Light through skin: three channels and ambient light.
        Ppg = 1 => "PPG",
        /// Acceleration along three axes.
        Acceleration = 2 => "ACC",
        /// Intervals between pulses.
        PulseIntervals = 3 => "PPI",
        /// Rotation about three axes.
        Gyroscope = 5 => "GYRO",
        /// Magnetic field along three axes.
        Magnetometer = 6 => "MAG",
    }
}

const COMPRESSED: u8 = 1 << 7;
/// The upper bits of the type octet tell recordings from live data.
const TYPE_BITS: u8 = 0x3F;

/// One interval between two optical pulses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PulseInterval {
    /// Beats per minute; 0 = none yet.
    pub heart_rate: u8,
    /// Milliseconds.
    pub interval_ms: u16,
    /// How wrong the interval may be, milliseconds.
    pub error_ms: u16,
    /// Bit 0: the body moved, the interval is no good; bit 1: skin contact, valid if bit 2 is set.
    pub flags: u8,
}

impl PulseInterval {
    /// The body moved, or something else took the interval's meaning away.
    #[must_use]
    pub const fn is_blocked(self) -> bool {
        self.flags & 1 != 0
    }

    /// On the skin? `None`: it cannot tell.
    #[must_use]
    pub const fn contact(self) -> Option<bool> {
        if self.flags & 1 << 2 == 0 {
            None
        } else {
            Some(self.flags & 1 << 1 != 0)
        }
    }
}

/// A run of differences of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaBlock {
    /// Bits of a difference, 1 to 32.
    pub bits: u8,
    /// Samples (of all channels each), at least 1.
    pub count: u8,
}

/// How samples lie in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Little-endian numbers of so many octets.
    Plain(u8),
    /// A reference sample of so many bits and blocks of differences.
    Deltas {
        /// Bits of the reference sample, 1 to 32.
        resolution: u8,
        /// What follows the reference sample.
        blocks: Vec<DeltaBlock>,
    },
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PmdData {
    /// Samples of `channels` numbers each, interleaved.
    Samples {
        /// How many numbers a sample has.
        channels: u8,
        /// How they lie in the frame.
        packing: Packing,
        /// The numbers.
        values: Vec<i32>,
    },
    /// Intervals.
    Intervals(Vec<PulseInterval>),
}

/// FB005C82.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PmdFrame {
    /// What it carries.
    pub what: PmdType,
    /// Upper two bits of the type octet (0 = live).
    pub recording: u8,
    /// Of the last sample, nanoseconds since 2000-01-01 of the device's clock.
    pub timestamp_ns: u64,
    /// Layout of the samples, 0 to 127.
    pub frame_type: u8,
    /// The samples.
    pub data: PmdData,
}

/// Channels and packing of a (type, compressed, frame type); `None` = no layout that anybody published.
const fn layout(what: PmdType, compressed: bool, frame_type: u8) -> Option<(u8, u8)> {
    Some(match (what, compressed, frame_type) {
        (PmdType::Ecg, false, 0) => (1, 3),
        (PmdType::Ppg, false, 0) => (4, 3),
        (PmdType::Acceleration, false, 0) => (3, 1),
        (PmdType::Acceleration, false, 1) => (3, 2),
        (PmdType::Acceleration, false, 2) => (3, 3),
        (PmdType::Ppg, true, 0) => (4, 22),
        (PmdType::Acceleration, true, 0 | 1)
        | (PmdType::Gyroscope | PmdType::Magnetometer, true, 0) => (3, 16),
        _ => return None,
    })
}

impl PmdFrame {
    /// From the octets of a notification.
    ///
    /// # Errors
    /// Short, part of a sample at the end, or a layout that Polar did not publish.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let first = octets.u8("type")?;
        let what = PmdType::from_code(first & TYPE_BITS);
        let timestamp_ns = u64::from_le_bytes(octets.array("timestamp_ns")?);
        let second = octets.u8("frame_type")?;
        let (compressed, frame_type) = (second & COMPRESSED != 0, second & !COMPRESSED);
        let data = match (layout(what, compressed, frame_type), what) {
            (Some((channels, width)), _) if compressed => deltas(octets.rest(), channels, width)?,
            (Some((channels, width)), _) => plain(octets.rest(), channels, width)?,
            (None, PmdType::PulseIntervals) if !compressed && frame_type == 0 => {
                PmdData::Intervals(intervals(octets.rest())?)
            }
            (None, _) => {
                return Err(DecodeError::BadValue {
                    field: "frame_type",
                    expected: "a layout of the Polar SDK for this type",
                });
            }
        };
        Ok(Self {
            what,
            recording: first >> 6,
            timestamp_ns,
            frame_type,
            data,
        })
    }

    /// The octets of a notification.
    ///
    /// # Errors
    /// Samples that do not fit the layout of this frame type.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let compressed = matches!(
            self.data,
            PmdData::Samples {
                packing: Packing::Deltas { .. },
                ..
            }
        );
        let wrong = EncodeError {
            field: "frame_type",
            expected: "the layout of its samples",
        };
        if self.frame_type & COMPRESSED != 0 || self.recording > 3 || self.what.code() > TYPE_BITS {
            return Err(wrong);
        }
        let head = Builder::default()
            .u8(self.recording << 6 | self.what.code())
            .octets(&self.timestamp_ns.to_le_bytes())
            .u8(self.frame_type | if compressed { COMPRESSED } else { 0 });
        match &self.data {
            PmdData::Intervals(intervals) => intervals
                .iter()
                .fold(head, |builder, one| {
                    builder
                        .u8(one.heart_rate)
                        .u16(one.interval_ms)
                        .u16(one.error_ms)
                        .u8(one.flags)
                })
                .finish(),
            PmdData::Samples {
                channels,
                packing,
                values,
            } => {
                let width = match packing {
                    Packing::Plain(octets) => *octets,
                    Packing::Deltas { resolution, .. } => *resolution,
                };
                if layout(self.what, compressed, self.frame_type) != Some((*channels, width)) {
                    return Err(wrong);
                }
                match packing {
                    Packing::Plain(octets) => write_plain(head, values, *octets)?,
                    Packing::Deltas { resolution, blocks } => {
                        head.octets(&write_deltas(values, *channels, *resolution, blocks)?)
                    }
                }
                .finish()
            }
        }
    }

    /// How many samples (of all channels each) or intervals.
    #[must_use]
    pub fn samples(&self) -> usize {
        match &self.data {
            PmdData::Intervals(intervals) => intervals.len(),
            PmdData::Samples {
                channels, values, ..
            } => values
                .len()
                .checked_div(usize::from(*channels))
                .unwrap_or_default(),
        }
    }

    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        let head = Fields::default()
            .with("type", self.what.code())
            .with(
                "timestamp_ns",
                Field::Whole(i64::try_from(self.timestamp_ns).unwrap_or(i64::MAX)),
            )
            .with("frame_type", self.frame_type);
        match &self.data {
            PmdData::Intervals(intervals) => {
                let one = |interval: &PulseInterval| {
                    Fields::default()
                        .with("hr", interval.heart_rate)
                        .with("ppi_ms", interval.interval_ms)
                        .with("error_ms", interval.error_ms)
                        .with("blocker", interval.is_blocked())
                        .with_some("contact", interval.contact())
                };
                head.with("ppi", Field::Records(intervals.iter().map(one).collect()))
            }
            PmdData::Samples {
                channels,
                packing,
                values,
            } => {
                let compressed = matches!(packing, Packing::Deltas { .. });
                head.with_some("compressed", compressed.then_some(true))
                    .with(self.samples_name(compressed), rows(values, *channels))
            }
        }
    }

    const fn samples_name(&self, compressed: bool) -> &'static str {
        match self.what {
            PmdType::Ecg => "uv",
            PmdType::Ppg => "ppg",
            // The only packed layout whose step is a factor that the device tells at the start.
            PmdType::Acceleration if compressed && self.frame_type == 0 => "xyz",
            PmdType::Acceleration => "xyz_mg",
            PmdType::PulseIntervals
            | PmdType::Gyroscope
            | PmdType::Magnetometer
            | PmdType::Reserved(_) => "xyz",
        }
    }
}

/// Numbers in order, or, of several channels, one row a sample.
fn rows(values: &[i32], channels: u8) -> Field {
    let wholes = |values: &[i32]| values.iter().copied().map(i64::from).collect();
    if channels < 2 {
        Field::Wholes(wholes(values))
    } else {
        Field::Rows(values.chunks(usize::from(channels)).map(wholes).collect())
    }
}

/// Little-endian two's complement of 1 to 4 octets.
fn signed(octets: &[u8]) -> i32 {
    let unsigned = octets
        .iter()
        .rev()
        .fold(0_u32, |number, octet| number << 8 | u32::from(*octet));
    extend(
        unsigned,
        u32::try_from(octets.len()).unwrap_or(4).saturating_mul(8),
    )
}

/// The lowest `bits` (1 to 32) as two's complement.
const fn extend(number: u32, bits: u32) -> i32 {
    let unused = 32_u32.saturating_sub(bits);
    number
        .wrapping_shl(unused)
        .cast_signed()
        .wrapping_shr(unused)
}

fn plain(octets: &[u8], channels: u8, width: u8) -> Result<PmdData, DecodeError> {
    let size = usize::from(channels).saturating_mul(usize::from(width));
    whole(octets.len(), size)?;
    Ok(PmdData::Samples {
        channels,
        packing: Packing::Plain(width),
        values: octets
            .chunks_exact(usize::from(width))
            .map(signed)
            .collect(),
    })
}

/// Nothing may be left behind the last whole sample.
fn whole(octets: usize, size: usize) -> Result<(), DecodeError> {
    match octets.checked_rem(size).unwrap_or_default() {
        0 => Ok(()),
        got => Err(DecodeError::Short {
            field: "samples",
            need: size,
            got,
        }),
    }
}

fn intervals(octets: &[u8]) -> Result<Vec<PulseInterval>, DecodeError> {
    whole(octets.len(), 6)?;
    let (all, _) = octets.as_chunks::<6>();
    let read = |[heart_rate, a, b, c, d, flags]: &[u8; 6]| PulseInterval {
        heart_rate: *heart_rate,
        interval_ms: u16::from_le_bytes([*a, *b]),
        error_ms: u16::from_le_bytes([*c, *d]),
        flags: *flags,
    };
    Ok(all.iter().map(read).collect())
}

fn write_plain(builder: Builder, values: &[i32], width: u8) -> Result<Builder, EncodeError> {
    values.iter().try_fold(builder, |builder, value| {
        let bits = u32::from(width).saturating_mul(8);
        if extend(value.cast_unsigned(), bits) != *value {
            return Err(EncodeError {
                field: "values",
                expected: "numbers that fit the layout",
            });
        }
        let octets = value.to_le_bytes();
        Ok(builder.octets(octets.get(..usize::from(width)).unwrap_or(&octets)))
    })
}

/// A reference sample and blocks of differences, interleaved as they were measured: the samples of a packed
/// frame behind its head.
///
/// # Errors
/// Short; a width outside 1 to 32; a block without samples.
pub fn deltas(octets: &[u8], channels: u8, resolution: u8) -> Result<PmdData, DecodeError> {
    let mut octets = Octets::new(octets)?;
    if !(1..=32).contains(&resolution) || channels == 0 {
        return Err(DecodeError::BadValue {
            field: "resolution",
            expected: "1 to 32 bits, and at least one channel",
        });
    }
    let width = usize::from(resolution.div_ceil(8));
    let mut values = Vec::new();
    for _ in 0..channels {
        let unsigned = signed(octets.take("reference sample", width)?).cast_unsigned();
        values.push(extend(unsigned, u32::from(resolution)));
    }
    let mut last = values.clone();
    let mut blocks = Vec::new();
    while !octets.is_empty() {
        let bits = octets.u8("delta bits")?;
        let count = octets.u8("delta count")?;
        if !(1..=32).contains(&bits) || count == 0 {
            return Err(DecodeError::BadValue {
                field: "delta bits",
                expected: "1 to 32, with at least one sample",
            });
        }
        let numbers = usize::from(count).saturating_mul(usize::from(channels));
        let all_bits = numbers.saturating_mul(usize::from(bits));
        let packed = octets.take("deltas", all_bits.div_ceil(8))?;
        let mut reader = Bits::new(packed);
        for _ in 0..count {
            for value in &mut last {
                *value = value.wrapping_add(reader.take(u32::from(bits)));
            }
            values.extend_from_slice(&last);
        }
        blocks.push(DeltaBlock { bits, count });
    }
    Ok(PmdData::Samples {
        channels,
        packing: Packing::Deltas { resolution, blocks },
        values,
    })
}

fn write_deltas(
    values: &[i32],
    channels: u8,
    resolution: u8,
    blocks: &[DeltaBlock],
) -> Result<Vec<u8>, EncodeError> {
    let wrong = EncodeError {
        field: "blocks",
        expected: "widths and counts that hold the samples",
    };
    let mut samples = values.chunks_exact(usize::from(channels));
    let mut last = samples.next().ok_or(wrong)?.to_vec();
    let width = usize::from(resolution.div_ceil(8));
    let mut out = Vec::new();
    for value in &last {
        if extend(value.cast_unsigned(), u32::from(resolution)) != *value {
            return Err(wrong);
        }
        out.extend(value.to_le_bytes().iter().take(width));
    }
    for block in blocks {
        if !(1..=32).contains(&block.bits) || block.count == 0 {
            return Err(wrong);
        }
        out.extend([block.bits, block.count]);
        let mut writer = BitsOut::default();
        for _ in 0..block.count {
            let sample = samples.next().ok_or(wrong)?;
            for (value, last) in sample.iter().zip(&mut last) {
                let delta = value.wrapping_sub(*last);
                if extend(delta.cast_unsigned(), u32::from(block.bits)) != delta {
                    return Err(wrong);
                }
                writer.put(delta.cast_unsigned(), u32::from(block.bits));
                *last = *value;
            }
        }
        out.extend(writer.finish());
    }
    if samples.next().is_none() && samples.remainder().is_empty() {
        Ok(out)
    } else {
        Err(wrong)
    }
}

/// Bits from the lowest of the first octet on.
struct Bits<'a> {
    octets: core::slice::Iter<'a, u8>,
    held: u64,
    bits: u32,
}

impl<'a> Bits<'a> {
    fn new(octets: &'a [u8]) -> Self {
        Self {
            octets: octets.iter(),
            held: 0,
            bits: 0,
        }
    }

    /// The next `count` (1 to 32) as two's complement; zeros behind the end.
    fn take(&mut self, count: u32) -> i32 {
        while self.bits < count {
            let octet = self.octets.next().copied().unwrap_or_default();
            self.held |= u64::from(octet).wrapping_shl(self.bits);
            self.bits = self.bits.saturating_add(8);
        }
        let [a, b, c, d, ..] = self.held.to_le_bytes();
        self.held = self.held.wrapping_shr(count);
        self.bits = self.bits.saturating_sub(count);
        extend(u32::from_le_bytes([a, b, c, d]), count)
    }
}

#[derive(Default)]
struct BitsOut {
    out: Vec<u8>,
    held: u64,
    bits: u32,
}

impl BitsOut {
    /// The lowest `count` (1 to 32) bits.
    fn put(&mut self, value: u32, count: u32) {
        let mask = u64::MAX.wrapping_shr(64_u32.saturating_sub(count));
        self.held |= (u64::from(value) & mask).wrapping_shl(self.bits);
        self.bits = self.bits.saturating_add(count);
        while self.bits >= 8 {
            self.octet();
        }
    }

    fn octet(&mut self) {
        let [octet, ..] = self.held.to_le_bytes();
        self.out.push(octet);
        self.held >>= 8;
        self.bits = self.bits.saturating_sub(8);
    }

    fn finish(mut self) -> Vec<u8> {
        if self.bits > 0 {
            self.octet();
        }
        self.out
    }
}

/// Blocks of differences for samples, as narrow as each run of at most 64 allows: what a device would send.
#[must_use]
pub fn blocks(values: &[i32], channels: u8) -> Vec<DeltaBlock> {
    let channels = usize::from(channels).max(1);
    let samples: Vec<&[i32]> = values.chunks_exact(channels).collect();
    let deltas: Vec<u8> = samples
        .iter()
        .zip(samples.iter().skip(1))
        .map(|(before, after)| {
            let widths = before
                .iter()
                .zip(after.iter())
                .map(|(before, after)| bits_of(after.wrapping_sub(*before)));
            widths.max().unwrap_or(1)
        })
        .collect();
    deltas
        .chunks(64)
        .map(|run| DeltaBlock {
            bits: run.iter().copied().max().unwrap_or(1),
            count: u8::try_from(run.len()).unwrap_or(u8::MAX),
        })
        .collect()
}

/// Bits of a number in two's complement, 1 to 32.
fn bits_of(number: i32) -> u8 {
    let magnitude = if number < 0 { !number } else { number }.cast_unsigned();
    let bits = 33_u32.saturating_sub(magnitude.leading_zeros());
    u8::try_from(bits.clamp(1, 32)).unwrap_or(32)
}
