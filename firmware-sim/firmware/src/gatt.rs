//! The attribute table of a wearable: which services and characteristics it shows, and one value of them.
//!
//! Must not know: D-Bus, BlueZ, how values are transported. Values are octets as on the air.

use alloc::vec::Vec;
use core::fmt;

/// A Bluetooth UUID; prints in the long form with hyphens, lower case, as BlueZ does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub u128);

impl Uuid {
    /// A 16-bit number assigned by the Bluetooth SIG, on the Bluetooth base UUID.
    #[must_use]
    pub const fn short(number: u16) -> Self {
        Self(((number as u128) << 96) | 0x0000_0000_0000_1000_8000_0080_5F9B_34FB)
    }

    /// From the long form with hyphens, or from the four digits of a 16-bit number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 4 {
            return u16::from_str_radix(text, 16).ok().map(Self::short);
        }
        let hyphens = text
            .char_indices()
            .filter(|&(_, c)| c == '-')
            .map(|(i, _)| i);
        if text.len() != 36 || !hyphens.eq([8, 13, 18, 23]) {
            return None;
        }
        text.split('-')
            .try_fold(0u128, |number, part| {
                let bits = u32::try_from(part.len() * 4).ok()?;
                Some((number << bits) | u128::from_str_radix(part, 16).ok()?)
            })
            .map(Self)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            n >> 96,
            (n >> 80) & 0xFFFF,
            (n >> 64) & 0xFFFF,
            (n >> 48) & 0xFFFF,
            n & 0xFFFF_FFFF_FFFF
        )
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a central may do with a characteristic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Notifications only.
    Notify,
    /// Indications only (a confirmation comes back).
    Indicate,
    /// Read, and notifications when it changes.
    ReadNotify,
    /// Written.
    Write,
    /// Read and written.
    ReadWrite,
    /// Written, and answered with indications: a control point.
    WriteIndicate,
    /// The same, which can also be read.
    ReadWriteIndicate,
}

impl Access {
    /// True if it can be read.
    #[must_use]
    pub const fn readable(self) -> bool {
        matches!(
            self,
            Self::Read | Self::ReadNotify | Self::ReadWrite | Self::ReadWriteIndicate
        )
    }

    /// True if it can be written.
    #[must_use]
    pub const fn writable(self) -> bool {
        matches!(
            self,
            Self::Write | Self::ReadWrite | Self::WriteIndicate | Self::ReadWriteIndicate
        )
    }

    /// True if it can be subscribed to.
    #[must_use]
    pub const fn pushes(self) -> bool {
        !matches!(self, Self::Read | Self::Write | Self::ReadWrite)
    }
}

/// One characteristic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Characteristic {
    /// Its type.
    pub uuid: Uuid,
    /// What a central may do.
    pub access: Access,
}

/// One primary service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its type.
    pub uuid: Uuid,
    /// In the order of their handles.
    pub characteristics: &'static [Characteristic],
}

/// A value that the wearable sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Of which characteristic.
    pub characteristic: Uuid,
    /// Octets as on the air.
    pub bytes: Vec<u8>,
}

/// Why a device refuses a write: the attribute protocol's error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u8);

impl Refusal {
    /// Nothing there can be written.
    pub const NOT_PERMITTED: Self = Self(0x03);
    /// The octets have a length that nothing has.
    pub const LENGTH: Self = Self(0x0D);
    /// The answer could not be sent: nobody subscribed to the control point (Core supplement, part B, 1.2).
    pub const NOT_CONFIGURED: Self = Self(0xFD);
    /// The former request is still being answered.
    pub const IN_PROGRESS: Self = Self(0xFE);
    /// A value outside what the device takes.
    pub const OUT_OF_RANGE: Self = Self(0xFF);
}

/// A value, unless its encoder refused it (which would be a defect of the caller: nothing is sent then).
pub(crate) fn value<E>(characteristic: Uuid, encoded: Result<Vec<u8>, E>) -> Option<Value> {
    encoded.ok().map(|bytes| Value {
        characteristic,
        bytes,
    })
}

pub(crate) const fn read(uuid: Uuid) -> Characteristic {
    Characteristic {
        uuid,
        access: Access::Read,
    }
}

pub(crate) const fn notify(uuid: Uuid) -> Characteristic {
    Characteristic {
        uuid,
        access: Access::Notify,
    }
}

/// Heart Rate Measurement.
pub const HEART_RATE_MEASUREMENT: Uuid = Uuid::short(0x2A37);
/// Body Sensor Location.
pub const BODY_SENSOR_LOCATION: Uuid = Uuid::short(0x2A38);
/// PLX Continuous Measurement.
pub const PLX_CONTINUOUS: Uuid = Uuid::short(0x2A5F);
/// PLX Spot-Check Measurement.
pub const PLX_SPOT_CHECK: Uuid = Uuid::short(0x2A5E);
/// PLX Features.
pub const PLX_FEATURES: Uuid = Uuid::short(0x2A60);
/// Temperature Measurement.
pub const TEMPERATURE_MEASUREMENT: Uuid = Uuid::short(0x2A1C);
/// Temperature Type.
pub const TEMPERATURE_TYPE: Uuid = Uuid::short(0x2A1D);
/// Battery Level.
pub const BATTERY_LEVEL: Uuid = Uuid::short(0x2A19);
/// Manufacturer Name String.
pub const MANUFACTURER_NAME: Uuid = Uuid::short(0x2A29);
/// Model Number String.
pub const MODEL_NUMBER: Uuid = Uuid::short(0x2A24);
/// Serial Number String.
pub const SERIAL_NUMBER: Uuid = Uuid::short(0x2A25);
/// Firmware Revision String.
pub const FIRMWARE_REVISION: Uuid = Uuid::short(0x2A26);
/// Step count of the `InfiniTime` watch firmware (documentation `doc/MotionService.md` there): u32, little-endian.
pub const INFINITIME_STEPS: Uuid = Uuid(0x0003_0001_78fc_48fe_8e23_433b_3a19_42d0);

/// Heart Rate service.
pub const HEART_RATE: Service = Service {
    uuid: Uuid::short(0x180D),
    characteristics: &[notify(HEART_RATE_MEASUREMENT), read(BODY_SENSOR_LOCATION)],
};

/// Pulse Oximeter service that measures all the time.
pub const PULSE_OXIMETER_CONTINUOUS: Service = Service {
    uuid: Uuid::short(0x1822),
    characteristics: &[notify(PLX_CONTINUOUS), read(PLX_FEATURES)],
};

/// Pulse Oximeter service that measures all the time and also sends a spot check when a finger has settled.
pub const PULSE_OXIMETER: Service = Service {
    uuid: Uuid::short(0x1822),
    characteristics: &[
        Characteristic {
            uuid: PLX_SPOT_CHECK,
            access: Access::Indicate,
        },
        notify(PLX_CONTINUOUS),
        read(PLX_FEATURES),
    ],
};

/// Health Thermometer service.
pub const HEALTH_THERMOMETER: Service = Service {
    uuid: Uuid::short(0x1809),
    characteristics: &[
        Characteristic {
            uuid: TEMPERATURE_MEASUREMENT,
            access: Access::Indicate,
        },
        read(TEMPERATURE_TYPE),
    ],
};

/// Battery service.
pub const BATTERY: Service = Service {
    uuid: Uuid::short(0x180F),
    characteristics: &[Characteristic {
        uuid: BATTERY_LEVEL,
        access: Access::ReadNotify,
    }],
};

/// Device Information service.
pub const DEVICE_INFORMATION: Service = Service {
    uuid: Uuid::short(0x180A),
    characteristics: &[
        read(MANUFACTURER_NAME),
        read(MODEL_NUMBER),
        read(SERIAL_NUMBER),
        read(FIRMWARE_REVISION),
    ],
};

/// Motion service of the `InfiniTime` watch firmware.
pub const INFINITIME_MOTION: Service = Service {
    uuid: Uuid(0x0003_0000_78fc_48fe_8e23_433b_3a19_42d0),
    characteristics: &[Characteristic {
        uuid: INFINITIME_STEPS,
        access: Access::ReadNotify,
    }],
};

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn uuids_print_as_bluez_prints_them_and_parse_back() {
        assert_eq!(
            HEART_RATE_MEASUREMENT.to_string(),
            "00002a37-0000-1000-8000-00805f9b34fb"
        );
        assert_eq!(
            INFINITIME_STEPS.to_string(),
            "00030001-78fc-48fe-8e23-433b3a1942d0"
        );
        assert_eq!(
            Uuid::parse(&INFINITIME_STEPS.to_string()),
            Some(INFINITIME_STEPS)
        );
        assert_eq!(Uuid::parse("2a37"), Some(HEART_RATE_MEASUREMENT));
        assert_eq!(Uuid::parse("2a3"), None);
        assert_eq!(Uuid::parse("00002a37-0000-1000-8000-00805f9b34f"), None);
    }
}
