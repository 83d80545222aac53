//! A chest strap: beats from the ECG, heart rate and RR intervals by the Heart Rate profile.

use alloc::vec::Vec;

use embedded_hal::spi::SpiDevice;
use vitals::gatt::heart_rate::{BodyLocation, HeartRateMeasurement};

use crate::ads1292::{Ads1292, COUNT_NANOVOLT, Error};
use crate::ecg::RPeaks;
use crate::gatt::{self, Service, Uuid, Value};
use crate::rate::Rate;

/// RR intervals that one notification carries at most, as straps with the default MTU do; the oldest are dropped.
const RR_KEPT: usize = 9;
/// Without a beat for so many seconds the rate is no longer true.
const LOCK_LOST_S: f32 = 3.0;

/// The strap.
#[derive(Debug)]
pub struct Strap<SPI> {
    front: Ads1292<SPI>,
    peaks: RPeaks,
    rate: Rate,
    intervals: Vec<u16>,
    contact: bool,
}

impl<SPI: SpiDevice> Strap<SPI> {
    /// The attribute table, without battery and device information.
    pub const SERVICES: &'static [Service] = &[gatt::HEART_RATE];

    /// Starts the front end.
    ///
    /// # Errors
    /// What the front end's driver says.
    pub fn start(spi: SPI) -> Result<Self, Error<SPI::Error>> {
        let front = Ads1292::start(spi)?;
        let (peaks, rate) = (RPeaks::default(), Rate::default());
        Ok(Self {
            front,
            peaks,
            rate,
            intervals: Vec::new(),
            contact: false,
        })
    }

    /// DRDY fell: a conversion is ready.
    pub fn on_data_ready(&mut self) {
        let contact = match self.front.read() {
            Ok(sample) => {
                if !sample.leads_off {
                    self.take(sample.counts as f32 * (COUNT_NANOVOLT / 1000.0));
                }
                !sample.leads_off
            }
            // A front end that does not answer sees no skin.
            Err(_) => false,
        };
        if self.contact && !contact {
            self.peaks.interrupt();
            self.rate.reset();
            self.intervals.clear();
        }
        self.contact = contact;
    }

    fn take(&mut self, microvolt: f32) {
        if let Some(interval) = self.peaks.feed(microvolt) {
            self.rate.feed(f32::from(interval) / 1024.0);
            if self.intervals.len() == RR_KEPT {
                self.intervals.remove(0);
            }
            self.intervals.push(interval);
        }
    }

    /// The notification that is due: rate, contact, and the intervals since the last one.
    pub fn measurement(&mut self) -> Option<Value> {
        if self
            .peaks
            .silent_for_s()
            .is_some_and(|silent| silent > LOCK_LOST_S)
        {
            self.rate.reset();
        }
        let rate = self
            .rate
            .per_minute()
            .filter(|_| self.contact)
            .unwrap_or(0.0);
        let measurement = HeartRateMeasurement {
            // 3 beats in 8 s at least: never above 16 bits.
            bpm: libm::roundf(rate) as u16,
            contact: Some(self.contact),
            energy_kj: None,
            rr_1024: core::mem::take(&mut self.intervals),
        };
        gatt::value(gatt::HEART_RATE_MEASUREMENT, measurement.encode())
    }

    /// What a read gives.
    #[must_use]
    pub fn read(&self, characteristic: Uuid) -> Option<Vec<u8>> {
        (characteristic == gatt::BODY_SENSOR_LOCATION)
            .then(|| Vec::from([BodyLocation::Chest.code()]))
    }
}
