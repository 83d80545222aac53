//! The state as bytes: equal states, equal bytes. Big-endian, fixed widths, lengths before lists, one byte
//! before every option, one NaN. The aggregator hashes these bytes; nothing reads them back.

use alloc::vec::Vec;

use vitals::{Kind, Quality, Time, Value};

/// Appends canonical bytes.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a mut Vec<u8>);

impl Bytes<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn len(&mut self, length: usize) {
        self.u64(length as u64);
    }

    pub(crate) fn f64(&mut self, value: f64) {
        let bits = if value.is_nan() {
            0x7ff8_0000_0000_0000
        } else {
            value.to_bits()
        };
        self.u64(bits);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.len(value.len());
        self.0.extend_from_slice(value);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(crate) fn time(&mut self, value: Time) {
        self.i64(value.as_micros());
    }

    pub(crate) fn kind(&mut self, value: Kind) {
        self.u8(value as u8);
    }

    pub(crate) fn quality(&mut self, value: Quality) {
        self.u32(value.bits());
    }

    pub(crate) fn value(&mut self, value: Value) {
        match value {
            Value::Measured(fixed) => {
                self.u8(0);
                self.i64(fixed.0);
            }
            Value::Absent(absence) => self.u8(absence as u8),
        }
    }

    /// An option: a byte, then what is inside.
    pub(crate) fn option<T>(&mut self, value: Option<T>, inside: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            inside(self, value);
        }
    }
}
