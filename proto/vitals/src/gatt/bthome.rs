//! BTHome v2: measurements in service data FCD2, the format of many home sensors (bthome.io/format).
//!
//! Objects follow each other without lengths: an object that this version does not know ends what can be read,
//! as the format asks for; the rest is told by [`BtHome::unknown`]. Encrypted adverts are refused: they need a
//! key of the device that this gateway does not have.

use alloc::vec::Vec;

use super::fields::{Field, Fields};
use super::float::Number;
use super::octets::Octets;
use super::{DecodeError, EncodeError};

const ENCRYPTED: u8 = 1;
const VERSION: u8 = 2;

/// One measured object: its id and its number in the unit of the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Object id of the format.
    pub id: u8,
    /// The number, as it was sent.
    pub raw: i32,
}

/// What is known of an object id: octets, signed, power of ten, name.
struct Row(u8, u8, bool, i8, &'static str);

/// The ids of numbers up to four octets that home sensors send; names are those of the format. Binary states
/// are numbers of one octet.
const ROWS: &[Row] = &[
    Row(0x00, 1, false, 0, "packet_id"),
    Row(0x01, 1, false, 0, "battery"),
    Row(0x02, 2, true, -2, "temperature"),
    Row(0x03, 2, false, -2, "humidity"),
    Row(0x04, 3, false, -2, "pressure"),
    Row(0x05, 3, false, -2, "illuminance"),
    Row(0x06, 2, false, -2, "mass_kg"),
    Row(0x07, 2, false, -2, "mass_lb"),
    Row(0x08, 2, true, -2, "dewpoint"),
    Row(0x09, 1, false, 0, "count"),
    Row(0x0C, 2, false, -3, "voltage"),
    Row(0x0D, 2, false, 0, "pm2_5"),
    Row(0x0E, 2, false, 0, "pm10"),
    Row(0x0F, 1, false, 0, "generic_boolean"),
    Row(0x10, 1, false, 0, "power"),
    Row(0x11, 1, false, 0, "opening"),
    Row(0x12, 2, false, 0, "co2"),
    Row(0x13, 2, false, 0, "tvoc"),
    Row(0x14, 2, false, -2, "moisture"),
    Row(0x15, 1, false, 0, "battery_low"),
    Row(0x21, 1, false, 0, "motion"),
    Row(0x23, 1, false, 0, "occupancy"),
    Row(0x25, 1, false, 0, "presence"),
    Row(0x2E, 1, false, 0, "humidity"),
    Row(0x2F, 1, false, 0, "moisture"),
    Row(0x3A, 1, false, 0, "button"),
    Row(0x3D, 2, false, 0, "count"),
    Row(0x3F, 2, true, -1, "rotation"),
    Row(0x43, 2, false, -3, "current"),
    Row(0x45, 2, true, -1, "temperature"),
    Row(0x46, 1, false, -1, "uv_index"),
    Row(0x51, 2, false, -3, "acceleration"),
    Row(0x52, 2, false, -3, "gyroscope"),
];

fn row(id: u8) -> Option<&'static Row> {
    ROWS.iter().find(|Row(known, ..)| *known == id)
}

impl Object {
    /// The number in the unit of its id.
    #[must_use]
    pub fn number(self) -> Number {
        Number::new(
            self.raw,
            row(self.id).map_or(0, |Row(_, _, _, exponent, _)| *exponent),
        )
    }

    /// What it is, in the words of the format.
    #[must_use]
    pub fn name(self) -> &'static str {
        row(self.id).map_or("unknown", |Row(.., name)| name)
    }
}

/// A BTHome advert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtHome {
    /// The device sends when something happens, not steadily.
    pub on_event: bool,
    /// What it measured.
    pub objects: Vec<Object>,
    /// Id of the first object that this version cannot read; nothing behind it was read.
    pub unknown: Option<u8>,
}

impl BtHome {
    /// From service data without the UUID.
    ///
    /// # Errors
    /// Encrypted, of another version, or cut off.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(data)?;
        let info = octets.u8("device_info")?;
        if info >> 5 != VERSION {
            return Err(DecodeError::BadValue {
                field: "device_info",
                expected: "BTHome version 2",
            });
        }
        if info & ENCRYPTED != 0 {
            return Err(DecodeError::BadValue {
                field: "device_info",
                expected: "not encrypted: switch the device's encryption off, its key is not known here",
            });
        }
        let mut read = Self {
            on_event: info & 1 << 2 != 0,
            objects: Vec::new(),
            unknown: None,
        };
        while !octets.is_empty() {
            let id = octets.u8("object")?;
            let Some(Row(_, width, signed, ..)) = row(id) else {
                read.unknown = Some(id);
                break;
            };
            let bytes = octets.take("object", usize::from(*width))?;
            let low = bytes
                .iter()
                .rev()
                .fold(0_i32, |number, byte| number << 8 | i32::from(*byte));
            let raw = match (signed, width) {
                (true, 2) => i32::from(u16::try_from(low).unwrap_or_default().cast_signed()),
                (true | false, _) => low,
            };
            read.objects.push(Object { id, raw });
        }
        Ok(read)
    }

    /// Service data without the UUID.
    ///
    /// # Errors
    /// An id or number that the format does not have.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::from([VERSION << 5 | u8::from(self.on_event) << 2]);
        for object in &self.objects {
            let wrong = EncodeError {
                field: "object",
                expected: "an id of the format with a number of its width",
            };
            let Row(_, width, signed, ..) = row(object.id).ok_or(wrong)?;
            let bits = u32::from(*width).saturating_mul(8);
            let limit = 1_i32.wrapping_shl(bits);
            let (low, high) = if *signed {
                (limit.wrapping_neg() / 2, limit / 2)
            } else {
                (0, limit)
            };
            if !(low..high).contains(&object.raw) {
                return Err(wrong);
            }
            out.push(object.id);
            out.extend(object.raw.to_le_bytes().iter().take(usize::from(*width)));
        }
        out.extend(self.unknown);
        Ok(out)
    }

    /// The number of the first object with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Number> {
        let named = self.objects.iter().find(|object| object.name() == name);
        named.map(|object| object.number())
    }

    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        let all = self
            .objects
            .iter()
            .fold(Fields::default(), |fields, object| {
                fields.with(object.name(), Field::Number(object.number()))
            });
        all.with_some("unknown_object", self.unknown)
    }
}
