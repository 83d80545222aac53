//! Adverts: what a device says without a connection, and the two that carry vitals: Polar's heart rate and
//! BTHome.
//!
//! An advert is not a promise of anything: whoever stands in the street can send one. Only those of devices
//! that were assigned may become readings.

use alloc::string::String;
use alloc::vec::Vec;

use super::bthome::BtHome;
use super::fields::{Field, Fields};
use super::octets::Octets;
use super::{DecodeError, uuid};

/// Company of Polar Electro.
pub const POLAR: u16 = 0x006B;
/// Service data of BTHome.
pub const BTHOME: u16 = 0xFCD2;

/// Longest advert (extended advertising, Core 5.4).
const MAX_ADVERT: usize = 1650;

/// What an advert holds. Structures of other types are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advert {
    /// Discoverability flags.
    pub flags: Option<u8>,
    /// Services by 16-bit UUID.
    pub services: Vec<u16>,
    /// dBm.
    pub tx_power: Option<i8>,
    /// Name, whole or shortened.
    pub name: Option<String>,
    /// Company and its data.
    pub manufacturer: Option<(u16, Vec<u8>)>,
    /// Data by 16-bit service UUID.
    pub service_data: Vec<(u16, Vec<u8>)>,
}

impl Advert {
    /// From raw advertising data: structures of length, type and data.
    ///
    /// # Errors
    /// A structure that is cut off.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        if data.len() > MAX_ADVERT {
            return Err(DecodeError::TooLong { octets: data.len() });
        }
        let mut rest = data;
        let mut advert = Self::default();
        while let [length, tail @ ..] = rest {
            // A length of 0 ends the significant part.
            let Some(length) = usize::from(*length).checked_sub(1) else {
                break;
            };
            let ([kind, body @ ..], next) =
                tail.split_at_checked(length.saturating_add(1))
                    .ok_or(DecodeError::Short {
                        field: "structure",
                        need: length.saturating_add(1),
                        got: tail.len(),
                    })?
            else {
                break;
            };
            advert.take(*kind, body)?;
            rest = next;
        }
        Ok(advert)
    }

    fn take(&mut self, kind: u8, body: &[u8]) -> Result<(), DecodeError> {
        match (kind, body) {
            (0x01, [flags, ..]) => self.flags = Some(*flags),
            (0x02 | 0x03, body) => {
                let (pairs, _) = body.as_chunks::<2>();
                self.services
                    .extend(pairs.iter().copied().map(u16::from_le_bytes));
            }
            (0x08 | 0x09, name) => self.name = Some(String::from_utf8_lossy(name).into_owned()),
            (0x0A, [power, ..]) => self.tx_power = Some(power.cast_signed()),
            (0x16, body) => {
                let mut octets = Octets::new(body)?;
                let service = octets.u16("service data")?;
                self.service_data.push((service, octets.rest().to_vec()));
            }
            (0xFF, body) => {
                let mut octets = Octets::new(body)?;
                let company = octets.u16("company")?;
                self.manufacturer = Some((company, octets.rest().to_vec()));
            }
            _ => {}
        }
        Ok(())
    }

    /// The heart rate of a Polar sensor, if this is one.
    #[must_use]
    pub fn polar(&self) -> Option<PolarRate> {
        let (company, data) = self.manufacturer.as_ref()?;
        (*company == POLAR).then(|| PolarRate::decode(data).ok())?
    }

    /// The measurements of a BTHome device, if this is one.
    #[must_use]
    pub fn bthome(&self) -> Option<Result<BtHome, DecodeError>> {
        let of_bthome = |(service, _): &&(u16, Vec<u8>)| *service == BTHOME;
        let (_, data) = self.service_data.iter().find(of_bthome)?;
        Some(BtHome::decode(data))
    }

    /// True if the device says that it has this service.
    #[must_use]
    pub fn offers(&self, service: u128) -> bool {
        self.services.iter().any(|short| uuid(*short) == service)
    }

    /// Its named fields.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let services = self
            .services
            .iter()
            .map(|short| alloc::format!("{short:04X}"));
        let services: Vec<String> = services.collect();
        let polar = self.polar().map(|rate| {
            Field::Group(
                Fields::default()
                    .with("fast", rate.fast)
                    .with("slow", rate.slow),
            )
        });
        let fields = Fields::default()
            .with_some("flags", self.flags)
            .with_some(
                "uuids",
                (!services.is_empty()).then_some(Field::Texts(services)),
            )
            .with_some(
                "company",
                self.manufacturer.as_ref().map(|(company, _)| *company),
            )
            .with_some("polar_hr", polar)
            .with_some("tx_power", self.tx_power)
            .with_some("name", self.name.as_deref());
        match self.bthome() {
            Some(Ok(bthome)) => fields.with("bthome", Field::Group(bthome.fields())),
            Some(Err(error)) => fields.with("bthome_error", error.reason()),
            None => fields,
        }
    }
}

/// Heart rate in the adverts of Polar's H series and OH1: manufacturer data of company 006B.
///
/// Source: what users found out and Polar's SDK confirms: status, counter, then fast and slow average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolarRate {
    /// Status bits and a counter: change with every measurement.
    pub status: [u8; 2],
    /// Beats per minute, averaged over little; 0 = none.
    pub fast: u8,
    /// Beats per minute, averaged over more; 0 = none.
    pub slow: u8,
}

impl PolarRate {
    /// From manufacturer data without the company.
    ///
    /// # Errors
    /// Short. What follows the rates belongs to newer devices.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(data)?;
        let [first, second, fast, slow] = octets.array("polar_hr")?;
        Ok(Self {
            status: [first, second],
            fast,
            slow,
        })
    }

    /// Manufacturer data without the company.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let [first, second] = self.status;
        Vec::from([first, second, self.fast, self.slow])
    }
}
