//! A cursor over foreign octets and a builder of our own. Little-endian, as everything in GATT.
//!
//! Invariant: reading never panics and never yields part of a field.

use alloc::vec::Vec;

use super::float::Number;
use super::{DecodeError, EncodeError, MAX_JOINED, MAX_VALUE};

/// What is left to read.
#[derive(Debug)]
pub(super) struct Octets<'a> {
    rest: &'a [u8],
}

impl<'a> Octets<'a> {
    /// Over a whole characteristic value.
    pub(super) fn new(value: &'a [u8]) -> Result<Self, DecodeError> {
        if value.len() > MAX_VALUE {
            return Err(DecodeError::TooLong {
                octets: value.len(),
            });
        }
        Ok(Self { rest: value })
    }

    /// Over what several values of a characteristic carried together, or a part of it.
    pub(super) fn joined(value: &'a [u8]) -> Result<Self, DecodeError> {
        if value.len() > MAX_JOINED {
            return Err(DecodeError::TooLong {
                octets: value.len(),
            });
        }
        Ok(Self { rest: value })
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::Short {
                field,
                need: N,
                got: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(super) fn i16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        self.array(field).map(i16::from_le_bytes)
    }

    pub(super) fn u24(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field)
            .map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn sfloat(&mut self, field: &'static str) -> Result<Number, DecodeError> {
        self.u16(field).map(Number::from_sfloat)
    }

    pub(super) fn float(&mut self, field: &'static str) -> Result<Number, DecodeError> {
        self.u32(field).map(Number::from_float)
    }

    /// The next `count` octets.
    pub(super) fn take(
        &mut self,
        field: &'static str,
        count: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            return Err(DecodeError::Short {
                field,
                need: count,
                got: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(head)
    }

    /// `read` if the flag is set.
    pub(super) fn when<T>(
        &mut self,
        flag: bool,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        flag.then(|| read(self)).transpose()
    }

    /// Whether anything is left.
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many octets are left.
    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// Nothing may be left, unless the sender set a flag that this version reserves: then the octets are a
    /// field of a later version of the profile, which the profiles tell a collector to pass over.
    pub(super) fn finish(self, reserved_flags: bool) -> Result<(), DecodeError> {
        if self.rest.is_empty() || reserved_flags {
            Ok(())
        } else {
            Err(DecodeError::Trailing {
                octets: self.rest.len(),
            })
        }
    }
}

/// A value being written.
#[derive(Debug, Default)]
pub(super) struct Builder {
    out: Vec<u8>,
}

impl Builder {
    pub(super) fn u8(mut self, value: u8) -> Self {
        self.out.push(value);
        self
    }

    pub(super) fn u16(mut self, value: u16) -> Self {
        self.out.extend(value.to_le_bytes());
        self
    }

    pub(super) fn u24(mut self, value: u32, field: &'static str) -> Result<Self, EncodeError> {
        let [a, b, c, high] = value.to_le_bytes();
        if high != 0 {
            return Err(EncodeError {
                field,
                expected: "below 2^24",
            });
        }
        self.out.extend([a, b, c]);
        Ok(self)
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.out.extend(value.to_le_bytes());
        self
    }

    pub(super) fn octets(mut self, value: &[u8]) -> Self {
        self.out.extend_from_slice(value);
        self
    }

    pub(super) fn sfloat(self, value: Number, field: &'static str) -> Result<Self, EncodeError> {
        let bits = value.to_sfloat().ok_or(EncodeError {
            field,
            expected: "within SFLOAT's 12-bit mantissa",
        })?;
        Ok(self.u16(bits))
    }

    pub(super) fn float(self, value: Number, field: &'static str) -> Result<Self, EncodeError> {
        let bits = value.to_float().ok_or(EncodeError {
            field,
            expected: "within FLOAT's 24-bit mantissa",
        })?;
        Ok(self.u32(bits))
    }

    /// `write` if there is something to write.
    pub(super) fn when<T>(
        self,
        value: Option<T>,
        write: impl FnOnce(Self, T) -> Result<Self, EncodeError>,
    ) -> Result<Self, EncodeError> {
        match value {
            Some(value) => write(self, value),
            None => Ok(self),
        }
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, EncodeError> {
        if self.out.len() > MAX_VALUE {
            return Err(EncodeError {
                field: "value",
                expected: "at most 512 octets in all",
            });
        }
        Ok(self.out)
    }

    /// What is carried by several values of a characteristic.
    pub(super) fn finish_joined(self) -> Result<Vec<u8>, EncodeError> {
        if self.out.len() > MAX_JOINED {
            return Err(EncodeError {
                field: "value",
                expected: "at most 4096 octets in all segments",
            });
        }
        Ok(self.out)
    }
}

/// A flags octet or word from (condition, bit) pairs.
pub(super) fn flags8(pairs: &[(bool, u8)]) -> u8 {
    pairs
        .iter()
        .filter(|(set, _)| *set)
        .fold(0, |flags, (_, bit)| flags | bit)
}
