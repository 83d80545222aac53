//! Why octets were refused, or a value could not be written. Each variant is one decision for a caller; the
//! text names the field and what a person can do. Holds no measured value, so it may be logged and counted.

use core::fmt;

/// Why a characteristic value was refused. The value is refused as a whole: nothing of it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The value ends before a field that its flags announce.
    Short {
        /// The first field that is not whole.
        field: &'static str,
        /// Octets that the field needs.
        need: usize,
        /// Octets that were left for it.
        got: usize,
    },
    /// Octets are left that no flag announces.
    Trailing {
        /// How many.
        octets: usize,
    },
    /// Longer than any attribute value can be, or than what is joined from several of them may be.
    TooLong {
        /// How many octets came.
        octets: usize,
    },
    /// A field holds what its specification does not allow.
    BadValue {
        /// Which field.
        field: &'static str,
        /// What the specification asks for.
        expected: &'static str,
    },
    /// No decoder for this characteristic.
    UnknownCharacteristic {
        /// Its UUID.
        uuid: u128,
    },
}

impl DecodeError {
    /// A short stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Short { .. } => "short",
            Self::Trailing { .. } => "trailing",
            Self::TooLong { .. } => "too_long",
            Self::BadValue { .. } => "bad_value",
            Self::UnknownCharacteristic { .. } => "unknown_characteristic",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Short { .. } => {
                "the value was cut off: check the ATT MTU and the sensor's firmware"
            }
            Self::Trailing { .. } => {
                "the octets are not of this profile's layout: check the characteristic and the device's own layout"
            }
            Self::TooLong { .. } => "join no values: decode each notification alone",
            Self::BadValue { .. } => {
                "check the sensor's firmware, or whether the device uses a layout of its own on this UUID"
            }
            Self::UnknownCharacteristic { .. } => {
                "see `gatt::Characteristic` for what is known; report the device's profile to have it added"
            }
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { field, need, got } => {
                write!(f, "short: field `{field}` needs {need} octets, {got} left")
            }
            Self::Trailing { octets } => {
                write!(f, "trailing: {octets} octets that no flag announces")
            }
            Self::TooLong { octets } => {
                let (one, joined) = (super::MAX_VALUE, super::MAX_JOINED);
                write!(
                    f,
                    "too long: {octets} octets, at most {one}, or {joined} in segments"
                )
            }
            Self::BadValue { field, expected } => {
                write!(f, "bad value: field `{field}` must be {expected}")
            }
            Self::UnknownCharacteristic { uuid } => {
                write!(f, "unknown characteristic {}", super::Uuid(*uuid))
            }
        }?;
        write!(f, " ({})", self.remedy())
    }
}

impl core::error::Error for DecodeError {}

/// Why a value has no octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The field that does not fit its place.
    pub field: &'static str,
    /// What would fit.
    pub expected: &'static str,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field `{}` must be {}", self.field, self.expected)
    }
}

impl core::error::Error for EncodeError {}
