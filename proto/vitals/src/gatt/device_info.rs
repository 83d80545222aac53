//! Device Information Service 180A: strings (2A24 to 2A29), system id 2A23, `PnP` id 2A50 (DIS 1.1).
//!
//! The strings are the device's word and end on screens and in reports: at most 64 characters, no control,
//! direction or invisible characters, invalid UTF-8 replaced. So a hostile name can neither move a cursor nor
//! reverse a line.

use alloc::string::String;
use alloc::vec::Vec;

use super::octets::{Builder, Octets};
use super::{DecodeError, EncodeError};

/// Longest text kept, in characters (the contract's limit for device names).
pub const MAX_TEXT: usize = 64;

/// A device's text, safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceText(String);

impl DeviceText {
    /// From any octets that a device gives as text (also its advertised name). Total.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Self {
        let text = String::from_utf8_lossy(octets);
        let kept: String = text
            .trim()
            .chars()
            .filter(|c| !hidden(*c))
            .take(MAX_TEXT)
            .collect();
        Self(kept.trim().into())
    }

    /// From the octets of a read.
    ///
    /// # Errors
    /// Longer than an attribute value can be.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        Octets::new(value).map(|mut octets| Self::from_octets(octets.rest()))
    }

    /// The octets of a read.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.0.as_bytes().into()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, and those that reorder or hide text (Unicode general category Cf, where it matters).
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// 2A23: a 64-bit id of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemId {
    /// Given by the maker, 40 bits.
    pub manufacturer: u64,
    /// The maker's organisationally unique identifier, 24 bits.
    pub oui: u32,
}

impl SystemId {
    /// From the octets of a read.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let [a, b, c, d, e] = octets.array("manufacturer")?;
        let oui = octets.u24("oui")?;
        octets.finish(false)?;
        Ok(Self {
            manufacturer: u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]),
            oui,
        })
    }

    /// The octets of a read.
    ///
    /// # Errors
    /// A part that is too large.
    pub fn encode(self) -> Result<Vec<u8>, EncodeError> {
        let [a, b, c, d, e, 0, 0, 0] = self.manufacturer.to_le_bytes() else {
            return Err(EncodeError {
                field: "manufacturer",
                expected: "below 2^40",
            });
        };
        Builder::default()
            .octets(&[a, b, c, d, e])
            .u24(self.oui, "oui")?
            .finish()
    }
}

/// 2A50: who made it, as on USB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PnpId {
    /// Who gave the vendor number: 1 = Bluetooth SIG, 2 = USB forum.
    pub vendor_source: u8,
    /// Vendor number.
    pub vendor: u16,
    /// Product number.
    pub product: u16,
    /// Product version.
    pub version: u16,
}

impl PnpId {
    /// From the octets of a read.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let decoded = Self {
            vendor_source: octets.u8("vendor_source")?,
            vendor: octets.u16("vendor")?,
            product: octets.u16("product")?,
            version: octets.u16("version")?,
        };
        octets.finish(false)?;
        Ok(decoded)
    }

    /// The octets of a read.
    ///
    /// # Errors
    /// None today.
    pub fn encode(self) -> Result<Vec<u8>, EncodeError> {
        Builder::default()
            .u8(self.vendor_source)
            .u16(self.vendor)
            .u16(self.product)
            .u16(self.version)
            .finish()
    }
}
