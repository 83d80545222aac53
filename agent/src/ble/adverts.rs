//! PURE. Adverts as a source: which of what devices advertise is handed on as a value. Time is passed in.
//!
//! An advert proves nothing: whoever stands in the street can send one under any address. So only those of assigned
//! devices are taken, and none of a device that proves more another way: by a bond, or by the link that it has now.
//! What is taken is marked when it is decoded.
//!
//! Invariants: an advert that was taken before (the same octets, or the same packet of a BTHome device) is not taken
//! again; a device gives at most one a second; what is not taken for another reason than repetition is counted by it;
//! memory is bounded by the number of assigned devices.
//! Must not know: D-Bus, btleplug, what the numbers mean.

use std::collections::{BTreeMap, BTreeSet};

use vitals::gatt::BtHome;
use vitals::gatt::advert::{BTHOME, POLAR};
use vitals::{Span, Time};

use super::Address;

/// In place of a characteristic: the value is advertising data, in its structures.
pub const ADVERT: u128 = 0;
/// Least time between two adverts that are taken of a device.
const PACE: Span = Span::from_secs(1);
/// Longest data that fit in a structure, with its type and its 16-bit number.
const LONGEST: usize = 252;

/// The device is not assigned here.
const NOT_ASSIGNED: &str = "advert_not_assigned";
/// The device is bonded: only its key proves who it is.
const BONDED: &str = "advert_of_bonded_device";
/// The device has a link: it does not advertise, or tells the same over it.
const BESIDE_LINK: &str = "advert_beside_link";
/// Another device answered under this address last.
const DISTRUSTED: &str = "advert_of_impostor";
/// More adverts than one a second.
const TOO_OFTEN: &str = "advert_too_often";
/// Longer than an advert's structure can be.
const TOO_LONG: &str = "advert_too_long";

/// Data in an advert that may be vitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// Of a company.
    Manufacturer(u16, &'a [u8]),
    /// Of a service, by its 16-bit number.
    Service(u16, &'a [u8]),
}

impl Data<'_> {
    /// True for the forms that carry vitals.
    #[must_use]
    pub const fn is_vital(self) -> bool {
        match self {
            Self::Manufacturer(company, _) => company == POLAR,
            Self::Service(service, _) => service == BTHOME,
        }
    }

    /// True for the form of devices that have nothing else to say over a link.
    #[must_use]
    pub const fn is_beacon(self) -> bool {
        matches!(self, Self::Service(BTHOME, _))
    }

    /// As a structure of advertising data; `None` if it is longer than one can be.
    fn structure(self) -> Option<Vec<u8>> {
        let (kind, number, data) = match self {
            Self::Manufacturer(company, data) => (0xFF, company, data),
            Self::Service(service, data) => (0x16, service, data),
        };
        let length = u8::try_from(data.len().min(LONGEST + 1) + 3).ok()?;
        let [low, high] = number.to_le_bytes();
        let head = [length, kind, low, high];
        (data.len() <= LONGEST).then(|| [&head, data].concat())
    }

    /// The packet number of a BTHome device, by which it tells its repetitions.
    fn packet(self) -> Option<i32> {
        let Self::Service(BTHOME, data) = self else {
            return None;
        };
        let objects = BtHome::decode(data).ok()?.objects;
        let packet = objects.iter().find(|object| object.id == 0)?;
        Some(packet.raw)
    }
}

/// What is known of the device whose address an advert bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It is assigned here.
    pub assigned: bool,
    /// There is a bond with it.
    pub bonded: bool,
    /// It has a link.
    pub linked: bool,
}

#[derive(Debug)]
struct Last {
    structure: Vec<u8>,
    packet: Option<i32>,
    at: Time,
}

/// The adverts of one adapter.
#[derive(Debug, Default)]
pub struct Adverts {
    last: BTreeMap<Address, Last>,
    distrusted: BTreeSet<Address>,
    refused: BTreeMap<String, u64>,
}

impl Adverts {
    /// Another device answered under this address (`true`), or the right one did.
    pub fn distrust(&mut self, device: Address, distrusted: bool) {
        if distrusted {
            self.distrusted.insert(device);
        } else {
            self.distrusted.remove(&device);
        }
    }

    /// Forgets what is not assigned any more.
    pub fn keep(&mut self, assigned: &BTreeSet<Address>) {
        self.last.retain(|device, _| assigned.contains(device));
        self.distrusted.retain(|device| assigned.contains(device));
    }

    /// An advert was heard: its value, if it is to be taken.
    pub fn take(
        &mut self,
        device: Address,
        data: Data<'_>,
        standing: Standing,
        now: Time,
    ) -> Option<Vec<u8>> {
        if !data.is_vital() {
            return None;
        }
        let structure = data.structure();
        let last = self.last.get(&device);
        let packet = data.packet();
        let repeated = last.is_some_and(|last| {
            Some(&last.structure) == structure.as_ref()
                || (packet.is_some() && last.packet == packet)
        });
        let refused = match &structure {
            _ if !standing.assigned => Some(NOT_ASSIGNED),
            _ if standing.bonded => Some(BONDED),
            _ if self.distrusted.contains(&device) => Some(DISTRUSTED),
            _ if standing.linked => Some(BESIDE_LINK),
            None => Some(TOO_LONG),
            Some(_) if repeated => return None,
            Some(_) if last.is_some_and(|last| now < last.at + PACE && now >= last.at) => {
                Some(TOO_OFTEN)
            }
            Some(_) => None,
        };
        if let Some(reason) = refused {
            *self.refused.entry(reason.to_owned()).or_insert(0) += 1;
            return None;
        }
        let structure = structure?;
        let last = Last {
            structure: structure.clone(),
            packet,
            at: now,
        };
        self.last.insert(device, last);
        Some(structure)
    }

    /// What was not taken since the last call, by reason.
    #[must_use]
    pub fn take_refused(&mut self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::gatt::Advert;

    const A: Address = Address([1; 6]);
    const ASSIGNED: Standing = Standing {
        assigned: true,
        bonded: false,
        linked: false,
    };

    fn at(seconds: i64) -> Time {
        Time::from_micros(0) + Span::from_secs(seconds)
    }

    const fn beats(data: &[u8]) -> Data<'_> {
        Data::Manufacturer(POLAR, data)
    }

    #[test]
    fn what_is_taken_is_advertising_data_and_comes_once() {
        let mut adverts = Adverts::default();
        let taken = adverts.take(A, beats(&[0x3B, 1, 72, 70]), ASSIGNED, at(0));
        let advert = Advert::decode(&taken.expect("new")).expect("well formed");
        assert_eq!(advert.polar().map(|rate| rate.fast), Some(72));
        for second in 0..100 {
            let again = adverts.take(A, beats(&[0x3B, 1, 72, 70]), ASSIGNED, at(second));
            assert_eq!(again, None, "repeated");
        }
        assert!(
            adverts.take_refused().is_empty(),
            "a repetition is no reading"
        );
        let next = adverts.take(A, beats(&[0x3B, 2, 72, 70]), ASSIGNED, at(100));
        assert!(next.is_some());
        // A packet of a home sensor with one number is one, whatever else its octets say.
        let room = |packet, degrees| [0x40, 0x00, packet, 0x02, degrees, 0x08];
        let mut take = |packet, degrees, second| {
            let octets = room(packet, degrees);
            let data = Data::Service(BTHOME, &octets);
            adverts.take(A, data, ASSIGNED, at(second)).is_some()
        };
        assert!(take(1, 10, 200) && !take(1, 11, 210) && take(2, 10, 220));
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let mut adverts = Adverts::default();
        let mut taken = 0;
        for number in 0..10_000_i64 {
            let [low, high, ..] = number.to_le_bytes();
            let now = at(0) + Span::from_millis(number);
            let value = [low, high, 72, 70];
            taken += usize::from(adverts.take(A, beats(&value), ASSIGNED, now).is_some());
        }
        assert_eq!(taken, 10, "ten seconds");
        assert_eq!(adverts.take_refused()[TOO_OFTEN], 9990);
        assert!(adverts.take_refused().is_empty(), "told once");
    }

    #[test]
    fn nobody_is_believed_beyond_what_he_proves() {
        let mut adverts = Adverts::default();
        let mut refused = |standing: Standing| {
            assert_eq!(adverts.take(A, beats(&[1, 2, 3, 4]), standing, at(0)), None);
            let refused = adverts.take_refused();
            refused.into_keys().next()
        };
        let stranger = Standing {
            assigned: false,
            ..ASSIGNED
        };
        let bonded = Standing {
            bonded: true,
            ..ASSIGNED
        };
        let linked = Standing {
            linked: true,
            ..ASSIGNED
        };
        assert_eq!(refused(stranger).as_deref(), Some(NOT_ASSIGNED));
        assert_eq!(refused(bonded).as_deref(), Some(BONDED));
        assert_eq!(refused(linked).as_deref(), Some(BESIDE_LINK));
        adverts.distrust(A, true);
        assert_eq!(adverts.take(A, beats(&[1, 2, 3, 4]), ASSIGNED, at(0)), None);
        assert_eq!(adverts.take_refused()[DISTRUSTED], 1);
        adverts.distrust(A, false);
        assert!(
            adverts
                .take(A, beats(&[1, 2, 3, 4]), ASSIGNED, at(0))
                .is_some()
        );
        // What carries no vitals is nobody's business.
        let other = Data::Manufacturer(0x004C, &[1, 2, 3, 4]);
        assert_eq!(adverts.take(A, other, stranger, at(0)), None);
        assert!(adverts.take_refused().is_empty());
        let long = [0; 300];
        assert_eq!(adverts.take(A, beats(&long), ASSIGNED, at(9)), None);
        assert_eq!(adverts.take_refused()[TOO_LONG], 1);
    }
}
