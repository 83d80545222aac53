//! State as bytes and back: equal states, equal bytes. Big-endian, fixed widths, lengths before lists, one byte
//! before every option, one NaN. The aggregator hashes these bytes, and its snapshots are made of them.
//!
//! Invariants: what is written reads back as the same state; reading is total (`None` for bytes that nothing
//! wrote) and takes no more memory than the bytes warrant. A type names its fields once, for both directions
//! ([`canonical_fields!`](crate::canonical_fields)); the compiler sees to it that none is forgotten.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use vitals::{
    Absence, ContextId, Fixed, GatewayId, Kind, PatientId, Quality, SourceId, Span, StreamId, Time,
    Value,
};

/// What has canonical bytes.
pub trait Canonical: Sized {
    /// Appends the bytes.
    fn encode(&self, to: &mut Vec<u8>);

    /// Reads them and leaves what follows; `None` if they are not such bytes.
    fn decode(from: &mut &[u8]) -> Option<Self>;
}

/// The whole of `bytes` as a value; `None` if something is left over.
#[must_use]
pub fn read<T: Canonical>(mut bytes: &[u8]) -> Option<T> {
    let value = T::decode(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

/// Canonical bytes of structs: their fields in the order named.
#[macro_export]
macro_rules! canonical_fields {
    ($($type:ty { $($field:tt),* $(,)? })*) => {$(
        impl $crate::canonical::Canonical for $type {
            fn encode(&self, to: &mut $crate::canonical::Buffer) {
                $($crate::canonical::Canonical::encode(&self.$field, to);)*
            }

            fn decode(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::canonical::Canonical::decode(from)?,)* })
            }
        }
    )*};
}

/// Canonical bytes of enums without content: their number.
#[macro_export]
macro_rules! canonical_numbers {
    ($($type:ident { $($name:ident),* $(,)? })*) => {$(
        impl $crate::canonical::Canonical for $type {
            fn encode(&self, to: &mut $crate::canonical::Buffer) {
                to.push(match self { $(Self::$name => Self::$name as u8,)* });
            }

            fn decode(from: &mut &[u8]) -> Option<Self> {
                let number = u8::decode(from)?;
                $(if number == Self::$name as u8 { return Some(Self::$name); })*
                None
            }
        }
    )*};
}

/// Where bytes are appended.
pub type Buffer = Vec<u8>;

/// Texts that a state holds by reference. One that is missing here can be written, but not read.
const WORDS: [&str; 20] = [
    crate::words::THRESHOLDS,
    crate::words::TECHNICAL,
    crate::news2::MODEL,
    crate::rhythm::MODEL,
    crate::rhythm::LIGHT_MODEL,
    crate::glucose::MODEL,
    crate::forecast::MODEL,
    crate::forecast::NO_DATA,
    crate::forecast::OTHER_SENSOR,
    crate::trend::TOO_SHORT,
    crate::trend::TOO_MANY_GAPS,
    crate::watch::MODELS[0].name,
    crate::watch::MODELS[1].name,
    crate::watch::MODELS[2].name,
    crate::watch::MODELS[3].name,
    crate::watch::MODELS[4].name,
    crate::watch::MODELS[5].name,
    crate::watch::MODELS[6].name,
    crate::watch::MODELS[7].name,
    crate::watch::MODELS[8].name,
];

fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

fn encode_len(length: usize, to: &mut Vec<u8>) {
    // Every collection of a state is bounded, far below this.
    u32::try_from(length).unwrap_or(u32::MAX).encode(to);
}

fn decode_len(from: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::decode(from)?).ok()
}

/// Every element takes a byte at least: no more room is made than that many bytes are there.
fn decode_list<T: Canonical, L: FromIterator<T>>(from: &mut &[u8]) -> Option<L> {
    let length = decode_len(from)?;
    if length > from.len() {
        return None;
    }
    (0..length).map(|_| T::decode(from)).collect()
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Canonical for $type {
            fn encode(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_be_bytes());
            }

            fn decode(from: &mut &[u8]) -> Option<Self> {
                let bytes = take(from, size_of::<Self>())?;
                bytes.try_into().ok().map(Self::from_be_bytes)
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i32, i64);

impl Canonical for usize {
    fn encode(&self, to: &mut Vec<u8>) {
        (*self as u64).encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        u64::decode(from)?.try_into().ok()
    }
}

impl Canonical for bool {
    fn encode(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        match u8::decode(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Canonical for f64 {
    fn encode(&self, to: &mut Vec<u8>) {
        let bits = if self.is_nan() {
            0x7ff8_0000_0000_0000
        } else {
            self.to_bits()
        };
        bits.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        u64::decode(from).map(Self::from_bits)
    }
}

impl Canonical for f32 {
    fn encode(&self, to: &mut Vec<u8>) {
        let bits = if self.is_nan() {
            0x7fc0_0000
        } else {
            self.to_bits()
        };
        bits.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        u32::decode(from).map(Self::from_bits)
    }
}

impl Canonical for String {
    fn encode(&self, to: &mut Vec<u8>) {
        encode_len(self.len(), to);
        to.extend_from_slice(self.as_bytes());
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let length = decode_len(from)?;
        let text = core::str::from_utf8(take(from, length)?).ok()?;
        Some(text.into())
    }
}

impl Canonical for &'static str {
    fn encode(&self, to: &mut Vec<u8>) {
        debug_assert!(
            WORDS.contains(self),
            "{self:?} could not be read from a snapshot"
        );
        encode_len(self.len(), to);
        to.extend_from_slice(self.as_bytes());
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let text = String::decode(from)?;
        WORDS.into_iter().find(|word| *word == text)
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn encode(&self, to: &mut Vec<u8>) {
        self.is_some().encode(to);
        if let Some(value) = self {
            value.encode(to);
        }
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::decode(from)? {
            Some(T::decode(from)?)
        } else {
            None
        })
    }
}

impl<T: Canonical> Canonical for Box<T> {
    fn encode(&self, to: &mut Vec<u8>) {
        T::encode(self, to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        T::decode(from).map(Self::new)
    }
}

impl<T: Canonical> Canonical for Arc<T> {
    fn encode(&self, to: &mut Vec<u8>) {
        T::encode(self, to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        T::decode(from).map(Self::new)
    }
}

impl<T: Canonical, E: Canonical> Canonical for Result<T, E> {
    fn encode(&self, to: &mut Vec<u8>) {
        self.is_ok().encode(to);
        match self {
            Ok(value) => value.encode(to),
            Err(error) => error.encode(to),
        }
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::decode(from)? {
            Ok(T::decode(from)?)
        } else {
            Err(E::decode(from)?)
        })
    }
}

macro_rules! lists {
    ($($list:ident),*) => {$(
        impl<T: Canonical> Canonical for $list<T> {
            fn encode(&self, to: &mut Vec<u8>) {
                encode_len(self.len(), to);
                self.iter().for_each(|element| element.encode(to));
            }

            fn decode(from: &mut &[u8]) -> Option<Self> {
                // A start reads thousands of states: none has more room than it needs.
                let mut list: Self = decode_list(from)?;
                list.shrink_to_fit();
                Some(list)
            }
        }
    )*};
}

lists!(Vec, VecDeque);

impl<T: Canonical + Ord> Canonical for BTreeSet<T> {
    fn encode(&self, to: &mut Vec<u8>) {
        encode_len(self.len(), to);
        self.iter().for_each(|element| element.encode(to));
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        decode_list(from)
    }
}

impl<K: Canonical + Ord, V: Canonical> Canonical for BTreeMap<K, V> {
    fn encode(&self, to: &mut Vec<u8>) {
        encode_len(self.len(), to);
        for (key, value) in self {
            key.encode(to);
            value.encode(to);
        }
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        decode_list::<(K, V), Self>(from)
    }
}

impl<T: Canonical, const N: usize> Canonical for [T; N] {
    fn encode(&self, to: &mut Vec<u8>) {
        self.iter().for_each(|element| element.encode(to));
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let list: Option<Vec<T>> = (0..N).map(|_| T::decode(from)).collect();
        list?.try_into().ok()
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*))*) => {$(
        impl<$($name: Canonical),*> Canonical for ($($name,)*) {
            fn encode(&self, to: &mut Vec<u8>) {
                $(self.$index.encode(to);)*
            }

            fn decode(from: &mut &[u8]) -> Option<Self> {
                Some(($($name::decode(from)?,)*))
            }
        }
    )*};
}

tuples! { (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) }

impl Canonical for Time {
    fn encode(&self, to: &mut Vec<u8>) {
        self.as_micros().encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        i64::decode(from).map(Self::from_micros)
    }
}

impl Canonical for Span {
    fn encode(&self, to: &mut Vec<u8>) {
        self.as_micros().encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        i64::decode(from).map(Self::from_micros)
    }
}

impl Canonical for Kind {
    fn encode(&self, to: &mut Vec<u8>) {
        to.push(*self as u8);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Self::from_wire(u8::decode(from)?.into())
    }
}

impl Canonical for Quality {
    fn encode(&self, to: &mut Vec<u8>) {
        self.bits().encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        u32::decode(from).map(Self::from_bits)
    }
}

impl Canonical for Value {
    fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Self::Measured(fixed) => {
                to.push(0);
                fixed.0.encode(to);
            }
            Self::Absent(absence) => to.push(*absence as u8),
        }
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        match u8::decode(from)? {
            0 => i64::decode(from).map(|fixed| Self::Measured(Fixed(fixed))),
            absence => Absence::from_wire(absence.into()).map(Self::Absent),
        }
    }
}

impl Canonical for GatewayId {
    fn encode(&self, to: &mut Vec<u8>) {
        encode_len(self.as_str().len(), to);
        to.extend_from_slice(self.as_str().as_bytes());
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Self::parse(&String::decode(from)?)
    }
}

impl Canonical for PatientId {
    fn encode(&self, to: &mut Vec<u8>) {
        encode_len(self.reveal().len(), to);
        to.extend_from_slice(self.reveal().as_bytes());
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Self::parse(&String::decode(from)?)
    }
}

impl Canonical for StreamId {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.0);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        take(from, 16).and_then(Self::from_slice)
    }
}

impl Canonical for ContextId {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.0);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        take(from, 16).and_then(Self::from_slice)
    }
}

impl Canonical for SourceId {
    fn encode(&self, to: &mut Vec<u8>) {
        self.0.encode(to);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        u16::decode(from).map(Self)
    }
}
