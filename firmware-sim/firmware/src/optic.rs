//! The optical front of watch and oximeter: a MAX30102 read by the published driver `max3010x`, and what [`Ppg`] makes of
//! its samples.

use embedded_hal::i2c::I2c;
use max3010x::marker::{ic, mode};
use max3010x::{AdcRange, Error, Led, LedPulseWidth, Max3010x, SampleAveraging, SamplingRate};
use vitals::gatt::float::{Number, Special};
use vitals::gatt::oximeter::{Continuous, MeasurementStatus, SensorStatus, SpO2Pr};

use crate::ppg::{Ppg, Pulse};

/// LED current, in steps of 0.2 mA: 7.2 mA.
pub const LED_AMPLITUDE: u8 = 0x24;
/// Part number that the chip must show.
const PART: u8 = 0x15;
/// Samples that the FIFO holds, times two colours.
const FIFO_WORDS: usize = 64;

type Chip<I2C> = Max3010x<I2C, ic::Max30102, mode::Oximeter>;

/// Light in, pulse out.
pub struct Optic<I2C> {
    chip: Chip<I2C>,
    ppg: Ppg,
    broken: bool,
}

impl<I2C: I2c> Optic<I2C> {
    /// Configures the chip: 50 samples a second, 18 bits, both LEDs at [`LED_AMPLITUDE`].
    ///
    /// # Errors
    /// The bus's error, or [`Error::InvalidArguments`] if another chip answers.
    pub fn start(i2c: I2C) -> Result<Self, Error<I2C::Error>> {
        let mut chip = Max3010x::new_max30102(i2c);
        chip.reset()?;
        if chip.get_part_id()? != PART {
            return Err(Error::InvalidArguments);
        }
        let mut chip = chip.into_oximeter()?;
        chip.set_sample_averaging(SampleAveraging::Sa1)?;
        chip.set_sampling_rate(SamplingRate::Sps50)?;
        chip.set_pulse_width(LedPulseWidth::Pw411)?;
        chip.set_adc_range(AdcRange::Fs4k)?;
        chip.set_pulse_amplitude(Led::All, LED_AMPLITUDE)?;
        chip.enable_fifo_rollover()?;
        chip.clear_fifo()?;
        Ok(Self {
            chip,
            ppg: Ppg::default(),
            broken: false,
        })
    }

    /// Empties the FIFO; to be called at least every 0.6 s.
    pub fn poll(&mut self) {
        let mut words = [0; FIFO_WORDS];
        match self.chip.read_fifo(&mut words) {
            Ok(0) => self.unblock(),
            Ok(count) => {
                self.broken = false;
                for pair in words.chunks_exact(2).take(count.into()) {
                    // LED1 is red, LED2 infrared.
                    self.ppg.feed(pair[0], pair[1]);
                }
            }
            Err(_) if self.broken => {}
            Err(_) => {
                self.broken = true;
                self.ppg = Ppg::default();
            }
        }
    }

    /// A full FIFO looks like an empty one (both pointers are equal); its overflow counter tells them apart. It was
    /// not read for longer than it holds, so what it holds is of no use any more.
    fn unblock(&mut self) {
        if self
            .chip
            .get_overflow_sample_count()
            .is_ok_and(|lost| lost > 0)
        {
            // Should this fail, the next poll tries again.
            let _ = self.chip.clear_fifo();
            self.ppg = Ppg::default();
        }
    }

    /// What is known now.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.ppg.pulse()
    }

    /// The chip does not answer.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// As a continuous measurement with status and pulse amplitude index.
    #[must_use]
    pub fn continuous(&self) -> Continuous {
        let pulse = self.pulse();
        let settled = pulse.spo2.is_some() && pulse.rate.is_some();
        let sensor = if self.broken {
            SensorStatus::SENSOR_MALFUNCTION
        } else if !pulse.contact {
            SensorStatus::UNCONNECTED_TO_PATIENT
        } else if !settled {
            SensorStatus::ANALYSING
        } else {
            SensorStatus::default()
        };
        let measurement = if settled {
            MeasurementStatus::ONGOING
        } else {
            MeasurementStatus::UNAVAILABLE
        };
        Continuous {
            normal: SpO2Pr {
                spo2: sfloat(pulse.spo2, 1),
                pulse_rate: sfloat(pulse.rate, 1),
            },
            fast: None,
            slow: None,
            measurement_status: Some(measurement),
            sensor_status: Some(sensor),
            pai: Some(sfloat(pulse.amplitude, 2)),
        }
    }
}

impl<I2C> core::fmt::Debug for Optic<I2C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Optic")
            .field("ppg", &self.ppg)
            .finish_non_exhaustive()
    }
}

/// A number, or the NaN that a device sends where it has none.
pub(crate) fn sfloat(value: Option<f32>, decimals: u8) -> Number {
    value.map_or(Number::Special(Special::NaN), |value| {
        Number::nearest_sfloat(value.into(), decimals)
    })
}
