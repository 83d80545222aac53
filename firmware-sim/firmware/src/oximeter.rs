//! A fingertip pulse oximeter: continuous values while a finger is in, and one spot check when it has settled.

use alloc::vec::Vec;

use embedded_hal::i2c::I2c;
use max3010x::Error;
use vitals::gatt::oximeter::{
    MeasurementStatus, OximeterFeatures, SensorStatus, SpotCheck, SupportedFeatures,
};

use crate::gatt::{self, Service, Uuid, Value};
use crate::optic::Optic;

/// Periods that a finger settles before the spot check is sent.
const SPOT_CHECK_AFTER: u8 = 10;

/// The oximeter.
#[derive(Debug)]
pub struct Oximeter<I2C> {
    optic: Optic<I2C>,
    settled: u8,
}

impl<I2C: I2c> Oximeter<I2C> {
    /// The attribute table, without battery and device information.
    pub const SERVICES: &'static [Service] = &[gatt::PULSE_OXIMETER];

    /// Starts the sensor.
    ///
    /// # Errors
    /// What its driver says.
    pub fn start(i2c: I2C) -> Result<Self, Error<I2C::Error>> {
        Ok(Self {
            optic: Optic::start(i2c)?,
            settled: 0,
        })
    }

    /// Empties the FIFO; to be called at least every 0.6 s.
    pub fn poll(&mut self) {
        self.optic.poll();
    }

    /// What is due each period.
    pub fn measurements(&mut self) -> Vec<Value> {
        let continuous = self.optic.continuous();
        let settled = self.optic.pulse().spo2.is_some();
        self.settled = if settled {
            self.settled.saturating_add(1)
        } else {
            0
        };
        let spot = (self.settled == SPOT_CHECK_AFTER).then_some(SpotCheck {
            normal: continuous.normal,
            time: None,
            measurement_status: Some(MeasurementStatus::VALIDATED),
            sensor_status: None,
            pai: continuous.pai,
            clock_not_set: true,
        });
        [
            gatt::value(gatt::PLX_CONTINUOUS, continuous.encode()),
            spot.and_then(|spot| gatt::value(gatt::PLX_SPOT_CHECK, spot.encode())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What a read gives.
    #[must_use]
    pub fn read(&self, characteristic: Uuid) -> Option<Vec<u8>> {
        if characteristic == gatt::PLX_FEATURES {
            features().encode().ok()
        } else {
            None
        }
    }
}

/// What watch and oximeter can do.
pub(crate) fn features() -> OximeterFeatures {
    let measurement = MeasurementStatus::ONGOING.0
        | MeasurementStatus::VALIDATED.0
        | MeasurementStatus::UNAVAILABLE.0;
    let sensor = SensorStatus::ANALYSING.0
        | SensorStatus::UNCONNECTED_TO_PATIENT.0
        | SensorStatus::SENSOR_MALFUNCTION.0;
    OximeterFeatures {
        supported: SupportedFeatures::PAI,
        measurement_status: Some(MeasurementStatus(measurement)),
        sensor_status: Some(SensorStatus(sensor)),
    }
}
