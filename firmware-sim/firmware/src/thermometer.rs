//! An ear thermometer that stays in: an infrared MLX90614 read by the published driver `mlx9061x` (which checks the
//! chip's packet error code), one indication each period.

use alloc::vec::Vec;

use embedded_hal::i2c::I2c;
use mlx9061x::{Error, Mlx9061x, SlaveAddr, ic};
use vitals::gatt::float::{Number, Special};
use vitals::gatt::thermometer::{TemperatureMeasurement, TemperatureType, TemperatureUnit};

use crate::gatt::{self, Service, Uuid, Value};

/// Unused: this firmware never writes the chip's EEPROM. The data sheet's write time, milliseconds.
const EEPROM_WRITE_MS: u8 = 10;

/// The thermometer.
pub struct Thermometer<I2C> {
    chip: Mlx9061x<I2C, ic::Mlx90614>,
}

impl<I2C: I2c> Thermometer<I2C> {
    /// The attribute table, without battery and device information.
    pub const SERVICES: &'static [Service] = &[gatt::HEALTH_THERMOMETER];

    /// Checks that the sensor answers with a good packet error code.
    ///
    /// # Errors
    /// What its driver says.
    pub fn start(i2c: I2C) -> Result<Self, Error<I2C::Error>> {
        let mut chip = Mlx9061x::new_mlx90614(i2c, SlaveAddr::Default, EEPROM_WRITE_MS)?;
        chip.ambient_temperature()?;
        Ok(Self { chip })
    }

    /// What the sensor sees now; a sensor that does not answer, or garbles its answer, gives a NaN.
    pub fn measurement(&mut self) -> Option<Value> {
        let value = match self.chip.object1_temperature() {
            Ok(celsius) => Number::nearest_float(celsius.into(), 2),
            Err(_) => Number::Special(Special::NaN),
        };
        let measurement = TemperatureMeasurement {
            value,
            unit: TemperatureUnit::Celsius,
            time: None,
            site: Some(TemperatureType::Tympanum),
        };
        gatt::value(gatt::TEMPERATURE_MEASUREMENT, measurement.encode())
    }

    /// What a read gives.
    #[must_use]
    pub fn read(&self, characteristic: Uuid) -> Option<Vec<u8>> {
        (characteristic == gatt::TEMPERATURE_TYPE)
            .then(|| Vec::from([TemperatureType::Tympanum.code()]))
    }
}

impl<I2C> core::fmt::Debug for Thermometer<I2C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Thermometer").finish_non_exhaustive()
    }
}
