//! Battery Service 180F: level 2A19 (BAS 1.0).

use alloc::vec::Vec;

use super::octets::Octets;
use super::{DecodeError, EncodeError};

/// 2A19.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatteryLevel {
    /// Charge, 0 to 100.
    pub percent: u8,
}

impl BatteryLevel {
    /// From the octet of a read or notification.
    ///
    /// # Errors
    /// Short, trailing, or above 100 (reserved).
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let percent = octets.u8("battery")?;
        octets.finish(false)?;
        if percent > 100 {
            return Err(DecodeError::BadValue {
                field: "battery",
                expected: "0 to 100 percent",
            });
        }
        Ok(Self { percent })
    }

    /// The octet of a read or notification.
    ///
    /// # Errors
    /// Above 100.
    pub fn encode(self) -> Result<Vec<u8>, EncodeError> {
        if self.percent > 100 {
            return Err(EncodeError {
                field: "battery",
                expected: "0 to 100 percent",
            });
        }
        Ok(Vec::from([self.percent]))
    }
}
