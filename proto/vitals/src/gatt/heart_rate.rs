//! Heart Rate Service 180D: measurement 2A37, body sensor location 2A38, control point 2A39 (HRS 1.0).
//!
//! A rate of 0 means that the sensor has no lock; it stays 0 here and becomes an absence in
//! [`crate::observe`]. The RR flag without any RR interval occurs (no beat in that second) and is fine.

use alloc::vec::Vec;

use super::octets::{Builder, Octets, flags8};
use super::{DecodeError, EncodeError, coded};

const WIDE: u8 = 1;
const CONTACT: u8 = 1 << 1;
const CONTACT_SUPPORTED: u8 = 1 << 2;
const ENERGY: u8 = 1 << 3;
const RR: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// 2A37.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartRateMeasurement {
    /// Beats per minute; 0 = no lock.
    pub bpm: u16,
    /// Skin contact; `None` = the sensor cannot tell.
    pub contact: Option<bool>,
    /// Energy since the last reset, kJ; 65535 = the counter is full.
    pub energy_kj: Option<u16>,
    /// RR intervals since the last notification, oldest first, 1/1024 s.
    pub rr_1024: Vec<u16>,
}

impl HeartRateMeasurement {
    /// From the octets of a notification.
    ///
    /// # Errors
    /// Short, trailing, or half an RR interval at the end.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let flags = octets.u8("flags")?;
        let bpm = if flags & WIDE == 0 {
            u16::from(octets.u8("bpm")?)
        } else {
            octets.u16("bpm")?
        };
        let contact = (flags & CONTACT_SUPPORTED != 0).then_some(flags & CONTACT != 0);
        let energy_kj = octets.when(flags & ENERGY != 0, |octets| octets.u16("energy_kj"))?;
        let mut rr_1024 = Vec::new();
        if flags & RR != 0 {
            while !octets.is_empty() {
                rr_1024.push(octets.u16("rr_1024")?);
            }
        }
        octets.finish(flags & RESERVED != 0)?;
        Ok(Self {
            bpm,
            contact,
            energy_kj,
            rr_1024,
        })
    }

    /// The octets of a notification; the rate takes one octet where it can.
    ///
    /// # Errors
    /// More RR intervals than an attribute value can hold.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let narrow = u8::try_from(self.bpm);
        let flags = flags8(&[
            (narrow.is_err(), WIDE),
            (self.contact == Some(true), CONTACT),
            (self.contact.is_some(), CONTACT_SUPPORTED),
            (self.energy_kj.is_some(), ENERGY),
            (!self.rr_1024.is_empty(), RR),
        ]);
        let builder = Builder::default().u8(flags);
        let builder = match narrow {
            Ok(bpm) => builder.u8(bpm),
            Err(_) => builder.u16(self.bpm),
        };
        let builder = builder.when(self.energy_kj, |builder, energy| Ok(builder.u16(energy)))?;
        self.rr_1024
            .iter()
            .fold(builder, |builder, rr| builder.u16(*rr))
            .finish()
    }
}

coded! {
    /// 2A38: where the sensor is worn.
    BodyLocation {
        /// Elsewhere.
        Other = 0 => "other",
        /// Chest.
        Chest = 1 => "chest",
        /// Wrist.
        Wrist = 2 => "wrist",
        /// Finger.
        Finger = 3 => "finger",
        /// Hand.
        Hand = 4 => "hand",
        /// Ear lobe.
        EarLobe = 5 => "ear lobe",
        /// Foot.
        Foot = 6 => "foot",
    }
}

/// 2A39, written by a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartRateControl {
    /// Sets the energy counter to 0.
    ResetEnergyExpended,
}

impl HeartRateControl {
    /// From the octet that was written.
    ///
    /// # Errors
    /// Short, trailing, or another command than 1 (all others are reserved).
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let command = octets.u8("command")?;
        octets.finish(false)?;
        if command != 1 {
            return Err(DecodeError::BadValue {
                field: "command",
                expected: "1 (reset energy expended)",
            });
        }
        Ok(Self::ResetEnergyExpended)
    }

    /// The octet to write.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::ResetEnergyExpended => Vec::from([1]),
        }
    }
}
