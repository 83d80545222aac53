//! Pulse Oximeter Service 1822: spot check 2A5E, continuous 2A5F, features 2A60 (PLXS 1.0.1).
//!
//! Finger out is NaN, never 2047: numbers stay [`Number`]s.

use alloc::vec::Vec;

use super::date_time::DateTime;
use super::float::Number;
use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError, bits};

bits! {
    /// What the device says about this measurement (16 bits).
    MeasurementStatus(u16) {
        /// Still measuring.
        ONGOING = 5;
        /// An early estimate.
        EARLY_ESTIMATE = 6;
        /// Validated.
        VALIDATED = 7;
        /// Fully qualified.
        FULLY_QUALIFIED = 8;
        /// From the device's store.
        FROM_STORAGE = 9;
        /// For demonstration.
        DEMONSTRATION = 10;
        /// For testing.
        TESTING = 11;
        /// Calibration is going on.
        CALIBRATING = 12;
        /// No measurement.
        UNAVAILABLE = 13;
        /// Questionable.
        QUESTIONABLE = 14;
        /// Invalid.
        INVALID = 15;
    }
}

bits! {
    /// What the device says about itself and its sensor (24 bits).
    SensorStatus(u32) {
        /// The display goes on showing an older value.
        EXTENDED_DISPLAY = 0;
        /// The equipment is broken.
        EQUIPMENT_MALFUNCTION = 1;
        /// Signal processing is irregular.
        PROCESSING_IRREGULAR = 2;
        /// The signal is not enough.
        INADEQUATE_SIGNAL = 3;
        /// The signal is poor.
        POOR_SIGNAL = 4;
        /// Perfusion is low.
        LOW_PERFUSION = 5;
        /// The signal is erratic.
        ERRATIC_SIGNAL = 6;
        /// The signal does not pulse.
        NON_PULSATILE = 7;
        /// The pulse is questionable.
        QUESTIONABLE_PULSE = 8;
        /// The signal is still being analysed.
        ANALYSING = 9;
        /// Something disturbs the sensor.
        INTERFERENCE = 10;
        /// The sensor is not on the patient.
        UNCONNECTED_TO_PATIENT = 11;
        /// The sensor is of an unknown sort.
        UNKNOWN_SENSOR = 12;
        /// The sensor has slipped.
        DISPLACED = 13;
        /// The sensor is broken.
        SENSOR_MALFUNCTION = 14;
        /// The sensor is unplugged.
        DISCONNECTED = 15;
    }
}

/// Saturation and pulse rate of one averaging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpO2Pr {
    /// Oxygen saturation, percent.
    pub spo2: Number,
    /// Pulse rate, beats per minute.
    pub pulse_rate: Number,
}

impl SpO2Pr {
    fn read(
        octets: &mut Octets<'_>,
        spo2: &'static str,
        rate: &'static str,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            spo2: octets.sfloat(spo2)?,
            pulse_rate: octets.sfloat(rate)?,
        })
    }

    fn write(self, builder: Builder) -> Result<Builder, EncodeError> {
        builder
            .sfloat(self.spo2, "spo2")?
            .sfloat(self.pulse_rate, "pulse_rate")
    }
}

/// 2A5E.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpotCheck {
    /// What was measured.
    pub normal: SpO2Pr,
    /// The device's stamp.
    pub time: Option<DateTime>,
    /// About this measurement.
    pub measurement_status: Option<MeasurementStatus>,
    /// About device and sensor.
    pub sensor_status: Option<SensorStatus>,
    /// Pulse amplitude index, percent.
    pub pai: Option<Number>,
    /// The device says that its clock was never set: `time` means nothing.
    pub clock_not_set: bool,
}

impl SpotCheck {
    const TIME: u8 = 1;
    const MEASUREMENT_STATUS: u8 = 1 << 1;
    const SENSOR_STATUS: u8 = 1 << 2;
    const PAI: u8 = 1 << 3;
    const CLOCK_NOT_SET: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;

    /// From the octets of an indication.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let has = |bit: u8| flags & bit != 0;
        let decoded = Self {
            normal: SpO2Pr::read(&mut octets, "spo2", "pr")?,
            time: octets.when(has(Self::TIME), DateTime::read)?,
            measurement_status: octets
                .when(has(Self::MEASUREMENT_STATUS), read_measurement_status)?,
            sensor_status: octets.when(has(Self::SENSOR_STATUS), read_sensor_status)?,
            pai: octets.when(has(Self::PAI), |octets| octets.sfloat("pai"))?,
            clock_not_set: has(Self::CLOCK_NOT_SET),
        };
        octets.finish(has(Self::RESERVED))?;
        Ok(decoded)
    }

    /// The octets of an indication.
    ///
    /// # Errors
    /// A number that no SFLOAT holds, or a sensor status above 24 bits.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let flags = flags8(&[
            (self.time.is_some(), Self::TIME),
            (self.measurement_status.is_some(), Self::MEASUREMENT_STATUS),
            (self.sensor_status.is_some(), Self::SENSOR_STATUS),
            (self.pai.is_some(), Self::PAI),
            (self.clock_not_set, Self::CLOCK_NOT_SET),
        ]);
        self.normal
            .write(Builder::default().u8(flags))?
            .when(self.time, |builder, time| Ok(time.write(builder)))?
            .when(self.measurement_status, |builder, status| {
                Ok(builder.u16(status.0))
            })?
            .when(self.sensor_status, |builder, status| {
                builder.u24(status.0, "sensor_status")
            })?
            .when(self.pai, |builder, pai| builder.sfloat(pai, "pai"))?
            .finish()
    }
}

/// 2A5F.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuous {
    /// At normal averaging.
    pub normal: SpO2Pr,
    /// At fast averaging.
    pub fast: Option<SpO2Pr>,
    /// At slow averaging.
    pub slow: Option<SpO2Pr>,
    /// About this measurement.
    pub measurement_status: Option<MeasurementStatus>,
    /// About device and sensor.
    pub sensor_status: Option<SensorStatus>,
    /// Pulse amplitude index, percent.
    pub pai: Option<Number>,
}

impl Continuous {
    const FAST: u8 = 1;
    const SLOW: u8 = 1 << 1;
    const MEASUREMENT_STATUS: u8 = 1 << 2;
    const SENSOR_STATUS: u8 = 1 << 3;
    const PAI: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;

    /// From the octets of a notification.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let has = |bit: u8| flags & bit != 0;
        let decoded = Self {
            normal: SpO2Pr::read(&mut octets, "spo2", "pr")?,
            fast: octets.when(has(Self::FAST), |octets| {
                SpO2Pr::read(octets, "spo2_fast", "pr_fast")
            })?,
            slow: octets.when(has(Self::SLOW), |octets| {
                SpO2Pr::read(octets, "spo2_slow", "pr_slow")
            })?,
            measurement_status: octets
                .when(has(Self::MEASUREMENT_STATUS), read_measurement_status)?,
            sensor_status: octets.when(has(Self::SENSOR_STATUS), read_sensor_status)?,
            pai: octets.when(has(Self::PAI), |octets| octets.sfloat("pai"))?,
        };
        octets.finish(has(Self::RESERVED))?;
        Ok(decoded)
    }

    /// The octets of a notification.
    ///
    /// # Errors
    /// A number that no SFLOAT holds, or a sensor status above 24 bits.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let flags = flags8(&[
            (self.fast.is_some(), Self::FAST),
            (self.slow.is_some(), Self::SLOW),
            (self.measurement_status.is_some(), Self::MEASUREMENT_STATUS),
            (self.sensor_status.is_some(), Self::SENSOR_STATUS),
            (self.pai.is_some(), Self::PAI),
        ]);
        self.normal
            .write(Builder::default().u8(flags))?
            .when(self.fast, |builder, pair| pair.write(builder))?
            .when(self.slow, |builder, pair| pair.write(builder))?
            .when(self.measurement_status, |builder, status| {
                Ok(builder.u16(status.0))
            })?
            .when(self.sensor_status, |builder, status| {
                builder.u24(status.0, "sensor_status")
            })?
            .when(self.pai, |builder, pai| builder.sfloat(pai, "pai"))?
            .finish()
    }
}

fn read_measurement_status(octets: &mut Octets<'_>) -> Result<MeasurementStatus, DecodeError> {
    octets.u16("measurement_status").map(MeasurementStatus)
}

fn read_sensor_status(octets: &mut Octets<'_>) -> Result<SensorStatus, DecodeError> {
    octets.u24("device_sensor_status").map(SensorStatus)
}

bits! {
    /// What the oximeter can do (first 16 bits of 2A60).
    SupportedFeatures(u16) {
        /// Tells which measurement status bits it uses.
        MEASUREMENT_STATUS = 0;
        /// Tells which sensor status bits it uses.
        SENSOR_STATUS = 1;
        /// Stores spot checks.
        STORAGE = 2;
        /// Stamps spot checks.
        TIMESTAMP = 3;
        /// Sends fast averages.
        FAST = 4;
        /// Sends slow averages.
        SLOW = 5;
        /// Sends the pulse amplitude index.
        PAI = 6;
        /// Keeps several bonds.
        MULTIPLE_BONDS = 7;
    }
}

/// 2A60.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OximeterFeatures {
    /// What it can do. The two lowest bits follow from the fields below.
    pub supported: SupportedFeatures,
    /// Measurement status bits that it uses.
    pub measurement_status: Option<MeasurementStatus>,
    /// Sensor status bits that it uses.
    pub sensor_status: Option<SensorStatus>,
}

impl OximeterFeatures {
    /// From the octets of a read.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let supported = SupportedFeatures(octets.u16("supported_features")?);
        let has = |bit| supported.has(bit);
        let decoded = Self {
            supported,
            measurement_status: octets.when(
                has(SupportedFeatures::MEASUREMENT_STATUS),
                read_measurement_status,
            )?,
            sensor_status: octets
                .when(has(SupportedFeatures::SENSOR_STATUS), read_sensor_status)?,
        };
        octets.finish(supported.0 & 0xFF00 != 0)?;
        Ok(decoded)
    }

    /// The octets of a read.
    ///
    /// # Errors
    /// The two lowest bits of `supported` contradict the fields, or a sensor status above 24 bits.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let fits = self.supported.has(SupportedFeatures::MEASUREMENT_STATUS)
            == self.measurement_status.is_some()
            && self.supported.has(SupportedFeatures::SENSOR_STATUS) == self.sensor_status.is_some();
        if !fits {
            return Err(EncodeError {
                field: "supported",
                expected: "in keeping with the status fields",
            });
        }
        Builder::default()
            .u16(self.supported.0)
            .when(self.measurement_status, |builder, status| {
                Ok(builder.u16(status.0))
            })?
            .when(self.sensor_status, |builder, status| {
                builder.u24(status.0, "sensor_status")
            })?
            .finish()
    }
}
