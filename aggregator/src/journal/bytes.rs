//! Fields of entries as bytes: big-endian integers, a length before what has none of its own.
//!
//! Invariant: reading is total; what does not parse names its field. Must not know: entries.

use vitals::{GatewayId, PatientId, Time};

use super::codec::DecodeError;
use super::entry::SealedText;

pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(super) fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a message is at most 64 KiB and a row at most a few MiB");
    out.extend_from_slice(&len.to_be_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_time(out: &mut Vec<u8>, time: Time) {
    out.extend_from_slice(&time.as_micros().to_be_bytes());
}

pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Field(field))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let [byte] = self.array::<1>(field)?;
        Ok(byte)
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.byte(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Field(field)),
        }
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.array(field).map(i64::from_be_bytes)
    }

    pub(super) fn time(&mut self, field: &'static str) -> Result<Time, DecodeError> {
        self.i64(field).map(Time::from_micros)
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = u32::from_be_bytes(self.array(field)?);
        let len = usize::try_from(len).map_err(|_| DecodeError::Field(field))?;
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Field(field))?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let text = std::str::from_utf8(self.bytes(field)?);
        text.map(str::to_owned)
            .map_err(|_| DecodeError::Field(field))
    }

    pub(super) fn sealed(&mut self, field: &'static str) -> Result<SealedText, DecodeError> {
        Ok(SealedText(self.bytes(field)?.to_vec()))
    }

    pub(super) fn patient(&mut self) -> Result<PatientId, DecodeError> {
        PatientId::parse(&self.text("patient")?).ok_or(DecodeError::Field("patient"))
    }

    pub(super) fn gateway(&mut self) -> Result<GatewayId, DecodeError> {
        GatewayId::parse(&self.text("gateway")?).ok_or(DecodeError::Field("gateway"))
    }

    pub(super) fn list<T>(
        &mut self,
        field: &'static str,
        item: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = u32::from_be_bytes(self.array(field)?);
        (0..count).map(|_| item(self)).collect()
    }
}
