//! Attribute tables of the devices that store what they measured, by the profiles of the Bluetooth SIG.

use crate::gatt::{Access, Characteristic, Service, Uuid, notify, read};

const fn with(uuid: Uuid, access: Access) -> Characteristic {
    Characteristic { uuid, access }
}

const fn indicate(uuid: Uuid) -> Characteristic {
    with(uuid, Access::Indicate)
}

/// Blood Pressure Measurement.
pub const BLOOD_PRESSURE_MEASUREMENT: Uuid = Uuid::short(0x2A35);
/// Blood Pressure Feature.
pub const BLOOD_PRESSURE_FEATURE: Uuid = Uuid::short(0x2A49);
/// Date Time: a device's clock, written by whoever connects, as on cuffs and scales of A&D.
pub const DATE_TIME: Uuid = Uuid::short(0x2A08);
/// Current Time.
pub const CURRENT_TIME: Uuid = Uuid::short(0x2A2B);
/// Record Access Control Point.
pub const RECORD_ACCESS: Uuid = Uuid::short(0x2A52);
/// Glucose Measurement.
pub const GLUCOSE_MEASUREMENT: Uuid = Uuid::short(0x2A18);
/// Glucose Measurement Context.
pub const GLUCOSE_CONTEXT: Uuid = Uuid::short(0x2A34);
/// Glucose Feature.
pub const GLUCOSE_FEATURE: Uuid = Uuid::short(0x2A51);
/// CGM Measurement.
pub const CGM_MEASUREMENT: Uuid = Uuid::short(0x2AA7);
/// CGM Feature.
pub const CGM_FEATURE: Uuid = Uuid::short(0x2AA8);
/// CGM Status.
pub const CGM_STATUS: Uuid = Uuid::short(0x2AA9);
/// CGM Session Start Time.
pub const CGM_SESSION_START: Uuid = Uuid::short(0x2AAA);
/// CGM Session Run Time.
pub const CGM_RUN_TIME: Uuid = Uuid::short(0x2AAB);
/// CGM Specific Ops Control Point.
pub const CGM_CONTROL: Uuid = Uuid::short(0x2AAC);
/// Weight Measurement.
pub const WEIGHT_MEASUREMENT: Uuid = Uuid::short(0x2A9D);
/// Weight Scale Feature.
pub const WEIGHT_FEATURE: Uuid = Uuid::short(0x2A9E);
/// Body Composition Measurement.
pub const BODY_COMPOSITION: Uuid = Uuid::short(0x2A9C);
/// Body Composition Feature.
pub const BODY_COMPOSITION_FEATURE: Uuid = Uuid::short(0x2A9B);

/// Current Time service, with a clock that can be set.
pub const CURRENT_TIME_SERVICE: Service = Service {
    uuid: Uuid::short(0x1805),
    characteristics: &[with(CURRENT_TIME, Access::ReadWrite)],
};

/// Blood Pressure service with a clock that is written before it reports.
pub const BLOOD_PRESSURE: Service = Service {
    uuid: Uuid::short(0x1810),
    characteristics: &[
        indicate(BLOOD_PRESSURE_MEASUREMENT),
        read(BLOOD_PRESSURE_FEATURE),
        with(DATE_TIME, Access::ReadWrite),
    ],
};

/// Glucose service.
pub const GLUCOSE: Service = Service {
    uuid: Uuid::short(0x1808),
    characteristics: &[
        notify(GLUCOSE_MEASUREMENT),
        notify(GLUCOSE_CONTEXT),
        read(GLUCOSE_FEATURE),
        with(RECORD_ACCESS, Access::WriteIndicate),
    ],
};

/// Continuous Glucose Monitoring service.
pub const CGM: Service = Service {
    uuid: Uuid::short(0x181F),
    characteristics: &[
        notify(CGM_MEASUREMENT),
        read(CGM_FEATURE),
        read(CGM_STATUS),
        with(CGM_SESSION_START, Access::ReadWrite),
        read(CGM_RUN_TIME),
        with(RECORD_ACCESS, Access::WriteIndicate),
        with(CGM_CONTROL, Access::WriteIndicate),
    ],
};

/// Weight Scale service with a clock that is written before it reports.
pub const WEIGHT: Service = Service {
    uuid: Uuid::short(0x181D),
    characteristics: &[
        indicate(WEIGHT_MEASUREMENT),
        read(WEIGHT_FEATURE),
        with(DATE_TIME, Access::ReadWrite),
    ],
};

/// Body Composition service.
pub const COMPOSITION: Service = Service {
    uuid: Uuid::short(0x181B),
    characteristics: &[indicate(BODY_COMPOSITION), read(BODY_COMPOSITION_FEATURE)],
};

/// Pulse Oximeter service of a device that stores spot checks.
pub const SPOT_OXIMETER: Service = Service {
    uuid: Uuid::short(0x1822),
    characteristics: &[
        indicate(crate::gatt::PLX_SPOT_CHECK),
        read(crate::gatt::PLX_FEATURES),
        with(RECORD_ACCESS, Access::WriteIndicate),
    ],
};

/// A `PineTime` watch with the `InfiniTime` firmware.
pub const PINE_TIME: &[Service] = &[
    crate::gatt::HEART_RATE,
    crate::gatt::INFINITIME_MOTION,
    CURRENT_TIME_SERVICE,
];

/// A Bangle.js watch with the app that shows its heart rate to others.
pub const BANGLE: &[Service] = &[crate::gatt::HEART_RATE];
