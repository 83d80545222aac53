//! Health Thermometer Service 1809: temperature 2A1C, intermediate temperature 2A1E, temperature type 2A1D,
//! measurement interval 2A21 (HTS 1.0).

use alloc::vec::Vec;

use super::date_time::DateTime;
use super::float::Number;
use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError, coded};

const FAHRENHEIT: u8 = 1;
const TIME: u8 = 1 << 1;
const TYPE: u8 = 1 << 2;
const RESERVED: u8 = 0b1111_1000;

/// Unit of a temperature on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemperatureUnit {
    /// Degrees Celsius.
    Celsius,
    /// Degrees Fahrenheit.
    Fahrenheit,
}

/// 2A1C and 2A1E.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemperatureMeasurement {
    /// In `unit`.
    pub value: Number,
    /// Unit of `value`.
    pub unit: TemperatureUnit,
    /// The device's stamp.
    pub time: Option<DateTime>,
    /// Where it was measured.
    pub site: Option<TemperatureType>,
}

impl TemperatureMeasurement {
    /// From the octets of an indication (2A1C) or notification (2A1E).
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let decoded = Self {
            value: octets.float("value")?,
            unit: if flags & FAHRENHEIT == 0 {
                TemperatureUnit::Celsius
            } else {
                TemperatureUnit::Fahrenheit
            },
            time: octets.when(flags & TIME != 0, DateTime::read)?,
            site: octets.when(flags & TYPE != 0, |octets| {
                octets.u8("type").map(TemperatureType::from_code)
            })?,
        };
        octets.finish(flags & RESERVED != 0)?;
        Ok(decoded)
    }

    /// The octets of an indication.
    ///
    /// # Errors
    /// A number that no FLOAT holds.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let flags = flags8(&[
            (self.unit == TemperatureUnit::Fahrenheit, FAHRENHEIT),
            (self.time.is_some(), TIME),
            (self.site.is_some(), TYPE),
        ]);
        Builder::default()
            .u8(flags)
            .float(self.value, "value")?
            .when(self.time, |builder, time| Ok(time.write(builder)))?
            .when(self.site, |builder, site| Ok(builder.u8(site.code())))?
            .finish()
    }
}

coded! {
    /// 2A1D: where on the body.
    TemperatureType {
        /// Armpit.
        Armpit = 1 => "armpit",
        /// Body (general).
        Body = 2 => "body",
        /// Ear (usually the lobe).
        Ear = 3 => "ear",
        /// Finger.
        Finger = 4 => "finger",
        /// Gastro-intestinal tract.
        GastroIntestinal = 5 => "gastro-intestinal tract",
        /// Mouth.
        Mouth = 6 => "mouth",
        /// Rectum.
        Rectum = 7 => "rectum",
        /// Toe.
        Toe = 8 => "toe",
        /// Tympanum (ear drum).
        Tympanum = 9 => "tympanum",
    }
}

/// 2A21: time between measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasurementInterval {
    /// Seconds; 0 = not periodic.
    pub seconds: u16,
}

impl MeasurementInterval {
    /// From the octets of a read or indication.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let seconds = octets.u16("interval")?;
        octets.finish(false)?;
        Ok(Self { seconds })
    }

    /// The octets of a read or indication.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        self.seconds.to_le_bytes().into()
    }
}
