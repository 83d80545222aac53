//! Sample arrays: observations of class 4 of the Generic Health Sensor Service, which carry a waveform.
//!
//! Unit, scale factor, offset, time between two samples, samples of one moment, octets of a sample, number of samples,
//! samples. This is the layout of a client and a server that authors of the specification published after it was
//! adopted (Philips, 2023); a program from before that (2023-04) has two more fields, and its arrays are refused
//! here, because their lengths do not agree. Neither says whether a sample has a sign: whoever uses samples must
//! take none for known.

use alloc::vec::Vec;

use super::float::Number;
use super::octets::{Builder, Octets};
use super::{DecodeError, EncodeError};

/// Octets before the samples.
const HEAD: usize = 20;
/// Octets of a sample at most.
const WIDEST: usize = 4;

/// Samples at a steady rate. A value is a sample times `scale`, plus `offset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleArray {
    /// MDC code of the unit, within its partition.
    pub unit: u16,
    /// What one step of a sample means.
    pub scale: Number,
    /// The value of a sample of 0.
    pub offset: Number,
    /// Seconds from one moment to the next.
    pub period: Number,
    /// Samples of one moment.
    pub at_once: u8,
    /// Octets of a sample, 1 to 4.
    pub width: u8,
    /// The samples as they came, little-endian; whole ones only.
    pub octets: Vec<u8>,
}

impl SampleArray {
    /// True if these octets can be one: what they say of their length is so.
    pub(super) fn fits(value: &[u8]) -> bool {
        let Some((head, samples)) = value.split_at_checked(HEAD) else {
            return false;
        };
        let [.., width, a, b, c, d] = *head else {
            return false;
        };
        let width = usize::from(width);
        let count = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok();
        (1..=WIDEST).contains(&width)
            && count.and_then(|count| count.checked_mul(width)) == Some(samples.len())
    }

    pub(super) fn read(body: &mut Octets<'_>) -> Result<Self, DecodeError> {
        let (unit, scale) = (body.u16("unit")?, body.float("scale")?);
        let (offset, period) = (body.float("offset")?, body.float("period")?);
        let (at_once, width) = (body.u8("at_once")?, body.u8("width")?);
        // It was counted before: see `fits`.
        let _count = body.u32("count")?;
        Ok(Self {
            unit,
            scale,
            offset,
            period,
            at_once,
            width,
            octets: body.rest().to_vec(),
        })
    }

    pub(super) fn write(&self, builder: Builder) -> Result<Builder, EncodeError> {
        let count = self.octets.chunks_exact(usize::from(self.width).max(1));
        let whole = count.remainder().is_empty() && (1..=WIDEST).contains(&usize::from(self.width));
        let count = u32::try_from(count.len()).ok().filter(|_| whole);
        let count = count.ok_or(EncodeError {
            field: "octets",
            expected: "whole samples of 1 to 4 octets",
        })?;
        Ok(builder
            .u16(self.unit)
            .float(self.scale, "scale")?
            .float(self.offset, "offset")?
            .float(self.period, "period")?
            .u8(self.at_once)
            .u8(self.width)
            .u32(count)
            .octets(&self.octets))
    }

    /// The samples, taken for numbers without a sign.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = u32> {
        let width = usize::from(self.width).max(1);
        self.octets.chunks_exact(width).map(|octets| {
            let value = octets.iter().rev();
            value.fold(0_u32, |value, octet| value << 8 | u32::from(*octet))
        })
    }

    /// True if a sample would be another number if it had a sign.
    #[must_use]
    pub fn depends_on_sign(&self) -> bool {
        let width = usize::from(self.width).max(1);
        let last = |octets: &[u8]| octets.last().is_some_and(|octet| *octet >= 0x80);
        self.octets.chunks_exact(width).any(last)
    }
}
