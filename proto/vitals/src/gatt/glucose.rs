//! Glucose Service 1808: measurement 2A18 (GLS 1.0.1).
//!
//! Type is the low nibble and location the high one: others have had them swapped.

use alloc::vec::Vec;

use super::date_time::DateTime;
use super::float::Number;
use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError};

const OFFSET: u8 = 1;
const CONCENTRATION: u8 = 1 << 1;
const MOLAR: u8 = 1 << 2;
const STATUS: u8 = 1 << 3;
const CONTEXT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Unit of a concentration on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlucoseUnit {
    /// Kilograms per litre (times 1e5 = mg/dL).
    KgPerLitre,
    /// Mol per litre (times 1e3 = mmol/L).
    MolPerLitre,
}

/// A concentration and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlucoseSample {
    /// In `unit`.
    pub concentration: Number,
    /// Unit of `concentration`.
    pub unit: GlucoseUnit,
    /// Kind of fluid, 4 bits (1 = capillary whole blood, 10 = control solution).
    pub fluid: u8,
    /// Where it was taken, 4 bits (1 = finger, 15 = unknown).
    pub location: u8,
}

/// 2A18.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlucoseMeasurement {
    /// Counts the meter's records.
    pub sequence: u16,
    /// The meter's clock, without what people changed since.
    pub base_time: DateTime,
    /// To be added to `base_time`, minutes.
    pub time_offset_min: Option<i16>,
    /// What was measured.
    pub sample: Option<GlucoseSample>,
    /// Sensor status annunciation.
    pub sensor_status: Option<u16>,
    /// A context value (2A34) follows.
    pub context_follows: bool,
}

impl GlucoseMeasurement {
    /// From the octets of a notification.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let has = |bit: u8| flags & bit != 0;
        let decoded = Self {
            sequence: octets.u16("seq")?,
            base_time: DateTime::read(&mut octets)?,
            time_offset_min: octets.when(has(OFFSET), |octets| octets.i16("time_offset_min"))?,
            sample: octets.when(has(CONCENTRATION), |octets| read_sample(octets, has(MOLAR)))?,
            sensor_status: octets.when(has(STATUS), |octets| octets.u16("sensor_status"))?,
            context_follows: has(CONTEXT),
        };
        octets.finish(has(RESERVED))?;
        Ok(decoded)
    }

    /// The octets of a notification.
    ///
    /// # Errors
    /// A number that no SFLOAT holds, or a fluid or location above 4 bits.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let molar = self
            .sample
            .is_some_and(|sample| sample.unit == GlucoseUnit::MolPerLitre);
        let flags = flags8(&[
            (self.time_offset_min.is_some(), OFFSET),
            (self.sample.is_some(), CONCENTRATION),
            (molar, MOLAR),
            (self.sensor_status.is_some(), STATUS),
            (self.context_follows, CONTEXT),
        ]);
        self.base_time
            .write(Builder::default().u8(flags).u16(self.sequence))
            .when(self.time_offset_min, |builder, offset| {
                Ok(builder.u16(offset.cast_unsigned()))
            })?
            .when(self.sample, write_sample)?
            .when(
                self.sensor_status,
                |builder, status| Ok(builder.u16(status)),
            )?
            .finish()
    }
}

fn read_sample(octets: &mut Octets<'_>, molar: bool) -> Result<GlucoseSample, DecodeError> {
    let concentration = octets.sfloat("concentration")?;
    let both = octets.u8("type")?;
    let unit = if molar {
        GlucoseUnit::MolPerLitre
    } else {
        GlucoseUnit::KgPerLitre
    };
    Ok(GlucoseSample {
        concentration,
        unit,
        fluid: both & 0x0F,
        location: both >> 4,
    })
}

fn write_sample(builder: Builder, sample: GlucoseSample) -> Result<Builder, EncodeError> {
    if sample.fluid > 15 || sample.location > 15 {
        return Err(EncodeError {
            field: "type",
            expected: "two numbers of 4 bits",
        });
    }
    Ok(builder
        .sfloat(sample.concentration, "concentration")?
        .u8(sample.location << 4 | sample.fluid))
}
