//! Continuous Glucose Monitoring Service 181F: measurement 2AA7 (CGMS 1.0.1).
//!
//! A value holds one record or several, each led by its size. A record with a checksum that does not fit is
//! decoded and says so: whoever uses it drops and counts it.

use alloc::vec::Vec;

use super::float::Number;
use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError};

const TREND: u8 = 1;
const QUALITY: u8 = 1 << 1;
const WARNING: u8 = 1 << 5;
const CALTEMP: u8 = 1 << 6;
const STATUS: u8 = 1 << 7;

/// One record of 2AA7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgmRecord {
    /// Concentration, mg/dL.
    pub glucose: Number,
    /// Minutes since the session's start.
    pub time_offset_min: u16,
    /// Sensor status annunciation, status octet.
    pub status: Option<u8>,
    /// Calibration and temperature octet.
    pub caltemp: Option<u8>,
    /// Warning octet.
    pub warning: Option<u8>,
    /// Trend, mg/dL per minute.
    pub trend: Option<Number>,
    /// Quality, percent.
    pub quality: Option<Number>,
    /// Whether the record's checksum fits; `None` = it has none.
    pub crc_ok: Option<bool>,
}

impl CgmRecord {
    /// The records of a notification.
    ///
    /// # Errors
    /// Short, a size that does not fit the flags, or no record at all.
    pub fn decode(value: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let mut octets = Octets::new(value)?;
        let mut records = Vec::new();
        while records.is_empty() || !octets.is_empty() {
            let size = octets.u8("size")?;
            let body = octets.take("record", usize::from(size).saturating_sub(1))?;
            records.push(Self::decode_one(size, body)?);
        }
        Ok(records)
    }

    fn decode_one(size: u8, body: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(body)?;
        let flags = octets.u8("flags")?;
        let has = |bit: u8| flags & bit != 0;
        let record = Self {
            glucose: octets.sfloat("glucose")?,
            time_offset_min: octets.u16("time_offset_min")?,
            status: octets.when(has(STATUS), |octets| octets.u8("status_octet"))?,
            caltemp: octets.when(has(CALTEMP), |octets| octets.u8("caltemp_octet"))?,
            warning: octets.when(has(WARNING), |octets| octets.u8("warning_octet"))?,
            trend: octets.when(has(TREND), |octets| octets.sfloat("trend"))?,
            quality: octets.when(has(QUALITY), |octets| octets.sfloat("quality"))?,
            crc_ok: None,
        };
        if octets.is_empty() {
            return Ok(record);
        }
        let sent = octets.u16("crc")?;
        octets.finish(false)?;
        let covered = body
            .split_last_chunk::<2>()
            .map_or(body, |(covered, _)| covered);
        let computed = covered
            .iter()
            .fold(crc_step(CRC_START, size), |crc, octet| {
                crc_step(crc, *octet)
            });
        Ok(Self {
            crc_ok: Some(sent == computed),
            ..record
        })
    }

    /// The octets of a notification. A record whose `crc_ok` is `Some(false)` gets a wrong checksum, so that
    /// fault tests can send one.
    ///
    /// # Errors
    /// No record, a number that no SFLOAT holds, or too many octets.
    pub fn encode(records: &[Self]) -> Result<Vec<u8>, EncodeError> {
        if records.is_empty() {
            return Err(EncodeError {
                field: "records",
                expected: "at least one",
            });
        }
        let mut value = Vec::new();
        for record in records {
            value.extend(record.encode_one()?);
        }
        Builder::default().octets(&value).finish()
    }

    fn encode_one(&self) -> Result<Vec<u8>, EncodeError> {
        let flags = flags8(&[
            (self.trend.is_some(), TREND),
            (self.quality.is_some(), QUALITY),
            (self.warning.is_some(), WARNING),
            (self.caltemp.is_some(), CALTEMP),
            (self.status.is_some(), STATUS),
        ]);
        let body = Builder::default()
            .u8(flags)
            .sfloat(self.glucose, "glucose")?
            .u16(self.time_offset_min)
            .when(self.status, |builder, octet| Ok(builder.u8(octet)))?
            .when(self.caltemp, |builder, octet| Ok(builder.u8(octet)))?
            .when(self.warning, |builder, octet| Ok(builder.u8(octet)))?
            .when(self.trend, |builder, trend| builder.sfloat(trend, "trend"))?
            .when(self.quality, |builder, quality| {
                builder.sfloat(quality, "quality")
            })?
            .finish()?;
        let checksum = if self.crc_ok.is_some() { 2 } else { 0 };
        let size =
            u8::try_from(body.len().saturating_add(checksum).saturating_add(1)).map_err(|_| {
                EncodeError {
                    field: "size",
                    expected: "at most 255",
                }
            })?;
        let computed = body.iter().fold(crc_step(CRC_START, size), |crc, octet| {
            crc_step(crc, *octet)
        });
        let sent = self
            .crc_ok
            .map(|fits| if fits { computed } else { !computed });
        Builder::default()
            .u8(size)
            .octets(&body)
            .when(sent, |builder, crc| Ok(builder.u16(crc)))?
            .finish()
    }
}

/// The checksum over all of `octets`.
pub(super) fn crc(octets: &[u8]) -> u16 {
    octets
        .iter()
        .fold(CRC_START, |crc, octet| crc_step(crc, *octet))
}

/// CRC-16/MCRF4XX: polynomial 1021 reflected, start FFFF, over everything before it.
const CRC_START: u16 = 0xFFFF;

fn crc_step(crc: u16, octet: u8) -> u16 {
    (0..8).fold(crc ^ u16::from(octet), |crc, _| {
        if crc & 1 == 0 {
            crc >> 1
        } else {
            crc >> 1 ^ 0x8408
        }
    })
}
