//! Polar sensors: waveform blocks and pulse intervals.
//!
//! A frame tells the device's time of its last sample, on a clock that nobody need have set ([`Timeline`]). The rate
//! is measured from frame to frame, and what was asked for is the guess before that.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::timeline::Timeline;
use super::{Collector, Origin};
use crate::gatt::{
    Decimal, Number, Packing, PmdControl, PmdData, PmdFrame, PmdSetting, PmdType, PulseInterval,
};
use crate::{Absence, Fixed, Kind, Quality, Span, Time, Value, Wave, Waveform};

/// What is known of a sensor's streams.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    clock: Timeline,
    streams: BTreeMap<u8, Stream>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    /// Of the last frame.
    timestamp_ns: Option<u64>,
    /// Asked for, or measured.
    rate_millihertz: Option<u32>,
    /// Bits of a 32-bit float: what one step of packed samples means.
    factor: Option<u32>,
}

impl Streams {
    /// What was asked of the device, or what it answered.
    pub(super) fn learn(&mut self, control: &PmdControl) {
        let (what, settings) = match control {
            PmdControl::Start(what, settings)
            | PmdControl::Response {
                what,
                settings,
                request: 2,
                ..
            } => (what, settings),
            PmdControl::GetSettings(_)
            | PmdControl::Stop(_)
            | PmdControl::Features(..)
            | PmdControl::Response { .. } => return,
        };
        let stream = self.streams.entry(what.code()).or_default();
        for setting in settings {
            match setting {
                PmdSetting::SampleRate(rates) => {
                    if let [hertz] = rates.as_slice() {
                        stream.rate_millihertz = Some(u32::from(*hertz).saturating_mul(1000));
                    }
                }
                PmdSetting::Factor(factors) => stream.factor = factors.first().copied(),
                PmdSetting::Resolution(_)
                | PmdSetting::Range(_)
                | PmdSetting::RangeMilli(_)
                | PmdSetting::Channels(_) => {}
            }
        }
    }

    /// Our time of the device's.
    fn time(&mut self, timestamp_ns: u64, received: Time) -> Time {
        let device = i64::try_from(timestamp_ns.div_euclid(1000)).unwrap_or(i64::MAX);
        self.clock.time(device, received)
    }

    /// Samples in a thousand seconds, from the time between two frames.
    fn rate(&mut self, frame: &PmdFrame, nominal: u32) -> u32 {
        let stream = self.streams.entry(frame.what.code()).or_default();
        let before = stream.timestamp_ns.replace(frame.timestamp_ns);
        let elapsed = before.and_then(|before| frame.timestamp_ns.checked_sub(before));
        let samples = u64::try_from(frame.samples()).unwrap_or(u64::MAX);
        let measured = elapsed
            .and_then(|elapsed| {
                samples
                    .saturating_mul(1_000_000_000_000)
                    .checked_div(elapsed)
            })
            .and_then(|rate| u32::try_from(rate).ok())
            .filter(|rate| (1000..=MAX_RATE).contains(rate));
        match (measured, stream.rate_millihertz) {
            (Some(measured), Some(known)) if !agrees(measured, known) => known,
            (Some(measured), _) => {
                stream.rate_millihertz = Some(measured);
                measured
            }
            (None, known) => known.unwrap_or(nominal),
        }
    }
}

/// Nothing that people wear is faster, samples in a thousand seconds.
pub(super) const MAX_RATE: u32 = 2_000_000;

/// Whether a measured rate may follow a known one. A lost frame looks like a slow sensor and is not believed; a
/// rate up to double is, because then a frame was lost when the known one was measured.
const fn agrees(measured: u32, known: u32) -> bool {
    let (measured, known) = (measured as u64, known as u64);
    measured.saturating_mul(20) >= known.saturating_mul(19)
        && measured.saturating_mul(5) <= known.saturating_mul(11)
}

/// The block of a frame, its sequence number still to be given; `None` for frames that carry no wave.
pub(super) fn block(frame: &PmdFrame, origin: Origin, streams: &mut Streams) -> Option<Waveform> {
    let PmdData::Samples {
        channels,
        packing,
        values,
    } = &frame.data
    else {
        return None;
    };
    let (wave, nominal) = match frame.what {
        PmdType::Ecg => (Wave::Ecg, 130_000),
        PmdType::Ppg => (Wave::Photoplethysmogram, 55_000),
        PmdType::Acceleration => (Wave::Acceleration, 50_000),
        // Decoded, and no wave yet.
        PmdType::PulseIntervals
        | PmdType::Gyroscope
        | PmdType::Magnetometer
        | PmdType::Reserved(_) => return None,
    };
    let last = usize::from(*channels).max(1);
    let last = values.len().checked_div(last)?.checked_sub(1)?;
    let packed = matches!(packing, Packing::Deltas { .. });
    let stepped = packed && wave == Wave::Acceleration && frame.frame_type == 0;
    let step = if stepped {
        streams.step()?
    } else {
        Decimal {
            mantissa: 1,
            exponent: 0,
        }
    };
    let mut block = Waveform {
        wave,
        source: origin.source,
        sequence: 0,
        start: Time::ZERO,
        received: origin.received,
        rate_millihertz: streams.rate(frame, nominal).max(1),
        channels: *channels,
        step,
        numbers: values.clone(),
        quality: Quality::GOOD,
    };
    let length = block.time_of(last).since(block.start);
    block.start = streams.time(frame.timestamp_ns, origin.received) - length;
    Some(block)
}

impl Streams {
    /// What one step of packed acceleration means, thousandths of g. Without the device's factor nobody knows.
    fn step(&self) -> Option<Decimal> {
        let stream = self.streams.get(&PmdType::Acceleration.code())?;
        let factor = f32::from_bits(stream.factor?);
        match Number::nearest_float(f64::from(factor) * 1000.0, 6) {
            Number::Finite(step) => Some(step),
            Number::Special(_) => None,
        }
    }
}

/// The last interval ends when the frame came; each one before it ends where the next begins.
pub(super) fn intervals(out: &mut Collector<'_>, frame: &PmdFrame) {
    let PmdData::Intervals(intervals) = &frame.data else {
        return;
    };
    let span = |one: &PulseInterval| Span::from_millis(i64::from(one.interval_ms));
    let received = out.origin.received;
    let mut ends = received
        - intervals
            .iter()
            .fold(Span::ZERO, |sum, one| sum + span(one));
    let qualities: Vec<Quality> = intervals.iter().copied().map(quality).collect();
    for (one, quality) in intervals.iter().zip(&qualities) {
        ends = ends + span(one);
        let tenths = Fixed(i64::from(one.interval_ms).saturating_mul(10));
        out.push(Kind::PulseInterval, Value::Measured(tenths), ends, *quality);
    }
    if let (Some(last), Some(quality)) = (intervals.last(), qualities.last()) {
        let rate = match (last.heart_rate, last.contact()) {
            (0, Some(false)) => Value::Absent(Absence::NoContact),
            (0, _) => Value::Absent(Absence::NoLock),
            (rate, _) => Value::Measured(Fixed(i64::from(rate).saturating_mul(10))),
        };
        out.push(Kind::PulseRate, rate, received, *quality);
    }
}

fn quality(one: PulseInterval) -> Quality {
    let moved = if one.is_blocked() {
        Quality::QUESTIONABLE
    } else {
        Quality::GOOD
    };
    match one.contact() {
        Some(false) => moved.with(Quality::NO_CONTACT),
        Some(true) | None => moved,
    }
}
