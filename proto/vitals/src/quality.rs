//! What a sensor says about its own signal, and why a number is absent.

/// Flags about one reading; the bits are wire format (`Flagged.quality`): add, never reuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quality(u32);

impl Quality {
    /// Nothing to remark.
    pub const GOOD: Self = Self(0);
    /// The sensor says that it is not on the body.
    pub const NO_CONTACT: Self = Self(1);
    /// The sensor calls its own signal weak or questionable.
    pub const QUESTIONABLE: Self = Self(1 << 1);
    /// Outside the kind's plausible range: kept, marked, not folded into scores.
    pub const IMPLAUSIBLE: Self = Self(1 << 2);
    /// The effective time is not what the device's own stamp says: its clock is known to be off, or the stamp
    /// says nothing; [`crate::Reading::device`] has what it said and how sure the correction is.
    pub const CLOCK_REPAIRED: Self = Self(1 << 3);
    /// The sensor says that this is an early estimate.
    pub const ESTIMATE: Self = Self(1 << 4);
    /// The device marks the value as test or demonstration data.
    pub const DEVICE_TEST: Self = Self(1 << 5);

    /// Nobody knows when it was measured: the device's clock is wrong and was never compared with the gateway's,
    /// so the received time stands in. A stored measurement would look fresh: kept, marked, not folded. If the clock
    /// becomes known, the reading comes once more, with its time.
    pub const CLOCK_UNKNOWN: Self = Self(1 << 6);
    /// The device gave the measurement of this kind before it the same stamp: their order is that of their
    /// sequence numbers, and it may have sent one twice.
    pub const SAME_STAMP: Self = Self(1 << 7);

    /// It came in an advert: anybody can send one under any address, from the street. Kept, marked and shown, but no
    /// model and no rule rests on it.
    pub const ADVERTISED: Self = Self(1 << 8);

    /// Released from quarantine: its time was worked out after it came, from a clock that was unknown then. It completes
    /// the history and may tell of the past, but nothing about now rests on it.
    pub const RELEASED: Self = Self(1 << 9);

    /// Moved here by people from another patient's log, where it was voided: it was this patient's all the time. It
    /// completes the history and may tell of the past, but nothing about now rests on it.
    pub const MOVED: Self = Self(1 << 10);

    /// Context of a glucose sample: what it was drawn from (`fluid`: 1 capillary whole blood, 2 capillary
    /// plasma, 3 venous whole blood, 4 venous plasma, 5 arterial whole blood, 6 arterial plasma, 9 interstitial
    /// fluid) and where (`location`: 1 finger, 2 other site, 3 ear lobe, 15 not told), four bits each, as the
    /// Glucose Service numbers them. Takes nothing of a number's meaning away.
    #[must_use]
    pub const fn sample(fluid: u8, location: u8) -> Self {
        Self((fluid as u32 & 0xF) << 16 | (location as u32 & 0xF) << 20)
    }

    /// The fluid and location of [`Quality::sample`]; 0 = not told.
    #[must_use]
    pub const fn sampled(self) -> (u8, u8) {
        ((self.0 >> 16 & 0xF) as u8, (self.0 >> 20 & 0xF) as u8)
    }

    /// From wire bits; unknown bits are kept, so that a newer agent's flags survive an older centre.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The wire bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags but for those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True if every flag of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if models may use the number: no flag that takes its meaning away.
    #[must_use]
    pub const fn usable(self) -> bool {
        self.0
            & (Self::NO_CONTACT.0
                | Self::IMPLAUSIBLE.0
                | Self::DEVICE_TEST.0
                | Self::CLOCK_UNKNOWN.0
                | Self::ADVERTISED.0
                | Self::RELEASED.0)
            == 0
    }
}

/// Why there is no number. The discriminants are wire format (`proto` enum `Absence`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Absence {
    /// IEEE 11073 NaN: the sensor could not measure.
    NotANumber = 1,
    /// IEEE 11073 `NRes`.
    NotAtThisResolution = 2,
    /// IEEE 11073 +INFINITY: above what the sensor can measure.
    PositiveInfinity = 3,
    /// IEEE 11073 -INFINITY: below what the sensor can measure.
    NegativeInfinity = 4,
    /// IEEE 11073 reserved for future use.
    Reserved = 5,
    /// The sensor says that it is not on the body.
    NoContact = 6,
    /// The sensor has no lock on a signal yet (a heart rate of 0 is this, not an asystole).
    NoLock = 7,
}

impl Absence {
    /// From the wire number; `None` for 0 and for numbers that this version does not know.
    #[must_use]
    pub const fn from_wire(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::NotANumber,
            2 => Self::NotAtThisResolution,
            3 => Self::PositiveInfinity,
            4 => Self::NegativeInfinity,
            5 => Self::Reserved,
            6 => Self::NoContact,
            7 => Self::NoLock,
            _ => return None,
        })
    }
}
