//! Waveform blocks from sample arrays of Generic Health Sensors.
//!
//! A block is made of what is known for certain, or refused with the reason: nobody guesses what samples show, their
//! unit, their sign, or when they were taken. A wrong guess would be an electrocardiogram that never was.

use alloc::vec::Vec;

use super::timeline::Timeline;
use super::{Origin, general, polar};
use crate::gatt::ghs::Arrayed;
use crate::gatt::{Decimal, Number, SampleArray};
use crate::{Span, Time, Wave, Waveform};

// What samples show: ISO/IEEE 11073-10101, an electrocardiogram's lead not told, I, II and III.
const ECG: [u32; 4] = [131_328, 131_329, 131_330, 131_389];
const PLETHYSMOGRAM: u32 = 150_452;

// Units, and the power of ten to that of the wave.
const DIMENSIONLESS: (u16, i8) = (512, 0);
const VOLT: (u16, i8) = (4256, 6);
const MILLIVOLT: (u16, i8) = (4274, 3);
const MICROVOLT: (u16, i8) = (4275, 0);

/// A coarser clock would move blocks against each other, and with them the beats that are found in them.
const FINE: Span = Span::from_millis(1);

/// The block of a live array, its sequence number still to be given; else why there is none, a short stable word.
pub(super) fn block(
    arrayed: Arrayed<'_>,
    origin: Origin,
    clock: &mut Timeline,
) -> Result<Waveform, &'static str> {
    let samples = arrayed.samples.ok_or("sample_array_layout")?;
    let (wave, power) = wave(arrayed.code, samples.unit).ok_or("sample_array_unknown_kind")?;
    let quality = general::quality(arrayed.status).ok_or("sample_array_not_measured")?;
    // Whether a period with several samples is a moment seen by several sensors or a stretch of time, nobody says.
    if samples.at_once != 1 {
        return Err("sample_array_interleaved");
    }
    if samples.depends_on_sign() {
        return Err("sample_array_sign_unknown");
    }
    let rate = rate(samples.period).ok_or("sample_array_out_of_range")?;
    let (numbers, step) = numbers(samples, power).ok_or("sample_array_out_of_range")?;
    let last = numbers.len().checked_sub(1).ok_or("sample_array_empty")?;
    let time = arrayed.time.filter(|time| time.unit() <= FINE);
    let first = time.and_then(|time| time.counted());
    let first = first.ok_or("sample_array_undated")?;
    let mut block = Waveform {
        wave,
        source: origin.source,
        sequence: 0,
        start: Time::ZERO,
        received: origin.received,
        rate_millihertz: rate,
        channels: 1,
        step,
        numbers,
        quality,
    };
    let length = block.time_of(last).since(block.start);
    let ends = first.as_micros().saturating_add(length.as_micros());
    block.start = clock.time(ends, origin.received) - length;
    Ok(block)
}

fn wave(code: u32, unit: u16) -> Option<(Wave, i8)> {
    let (wave, units): (Wave, &[(u16, i8)]) = match code {
        PLETHYSMOGRAM => (Wave::Photoplethysmogram, &[DIMENSIONLESS]),
        code if ECG.contains(&code) => (Wave::Ecg, &[VOLT, MILLIVOLT, MICROVOLT]),
        _ => return None,
    };
    let known = units.iter().find(|(known, _)| *known == unit)?;
    Some((wave, known.1))
}

/// Samples in a thousand seconds.
fn rate(period: Number) -> Option<u32> {
    let rate = libm::round(1000.0 / period.to_f64()?);
    let fits = (1.0..=f64::from(polar::MAX_RATE)).contains(&rate);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the bounds just before"
    )]
    fits.then_some(rate as u32)
}

/// The samples as whole numbers of a step; exact, or none.
fn numbers(samples: &SampleArray, power: i8) -> Option<(Vec<i32>, Decimal)> {
    let (Number::Finite(scale), Number::Finite(offset)) = (samples.scale, samples.offset) else {
        return None;
    };
    if scale.mantissa == 0 {
        return None;
    }
    let (factor, offset, step) = if offset.mantissa == 0 {
        (1, 0, scale)
    } else {
        let exponent = scale.exponent.min(offset.exponent);
        let whole = |one: Decimal| {
            let up = u32::try_from(one.exponent.checked_sub(exponent)?).ok()?;
            i64::from(one.mantissa).checked_mul(10_i64.checked_pow(up)?)
        };
        let step = Decimal {
            mantissa: 1,
            exponent,
        };
        (whole(scale)?, whole(offset)?, step)
    };
    let step = Decimal {
        exponent: step.exponent.checked_add(power)?,
        ..step
    };
    let number = |sample: u32| {
        let number = i64::from(sample).checked_mul(factor)?.checked_add(offset)?;
        i32::try_from(number).ok()
    };
    let numbers: Option<_> = samples.samples().map(number).collect();
    Some((numbers?, step))
}
