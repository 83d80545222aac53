//! Waveforms: samples at a steady rate, in blocks with start, rate, scale and quality.
//!
//! A reading is one scalar; a waveform block is many samples that mean something only together. Blocks travel,
//! are kept and are dropped in a lane of their own.

use alloc::vec::Vec;

use crate::gatt::Decimal;
use crate::{Quality, SourceId, Span, Time};

/// What a waveform shows. The discriminants are wire format (`proto` enum `Wave`): add, never reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Wave {
    /// Electrocardiogram of one lead.
    Ecg = 1,
    /// Light through skin, as the sensor counts it; the last of several channels may be ambient light.
    Photoplethysmogram = 2,
    /// Acceleration along x, y, z.
    Acceleration = 3,
}

/// Codes and unit of a wave.
#[derive(Clone, Copy, Debug)]
pub struct WaveInfo {
    /// Stable lower-case name.
    pub name: &'static str,
    /// UCUM unit of a value.
    pub unit: &'static str,
    /// ISO/IEEE 11073-10101 code; 0 where none is known for sure.
    pub mdc: u32,
}

impl Wave {
    /// All of them, in wire order.
    pub const ALL: [Self; 3] = [Self::Ecg, Self::Photoplethysmogram, Self::Acceleration];

    /// The wire number.
    #[must_use]
    pub const fn wire(self) -> i32 {
        self as i32
    }

    /// From the wire number; `None` for numbers that this version does not know.
    #[must_use]
    pub fn from_wire(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|wave| wave.wire() == number)
    }

    /// Codes and unit. MDC: ISO/IEEE 11073-10101 (131328 = ECG, lead not told; 150452 = plethysmogram).
    #[must_use]
    pub const fn info(self) -> WaveInfo {
        let (name, unit, mdc) = match self {
            Self::Ecg => ("ecg", "uV", 131_328),
            Self::Photoplethysmogram => ("photoplethysmogram", "1", 150_452),
            Self::Acceleration => ("acceleration", "m[g]", 0),
        };
        WaveInfo { name, unit, mdc }
    }
}

/// Samples that follow each other without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waveform {
    /// What it shows.
    pub wave: Wave,
    /// Where it comes from, within the stream.
    pub source: SourceId,
    /// Counts the blocks of this source and wave, without gaps, per sealed context.
    pub sequence: u64,
    /// When the body did the first sample.
    pub start: Time,
    /// When the gateway got the last one.
    pub received: Time,
    /// Samples in a thousand seconds; at least 1.
    pub rate_millihertz: u32,
    /// Numbers of a sample, at least 1.
    pub channels: u8,
    /// A value is a number times this, in the wave's unit.
    pub step: Decimal,
    /// The numbers, the channels of a sample one after the other; whole samples only.
    pub numbers: Vec<i32>,
    /// What the sensor and the agent say about it.
    pub quality: Quality,
}

impl Waveform {
    /// How many samples (of all channels each).
    #[must_use]
    pub fn samples(&self) -> usize {
        self.numbers.len() / usize::from(self.channels.max(1))
    }

    /// When the body did sample `index`; index [`Waveform::samples`] is where the next block begins.
    #[must_use]
    pub fn time_of(&self, index: usize) -> Time {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        let rate = i64::from(self.rate_millihertz.max(1));
        self.start + Span::from_micros(index.saturating_mul(1_000_000_000) / rate)
    }

    /// The numbers in the wave's unit, in the order of [`Waveform::numbers`].
    pub fn values(&self) -> impl Iterator<Item = f64> {
        let step = self.step.to_f64();
        self.numbers
            .iter()
            .map(move |number| f64::from(*number) * step)
    }
}
