//! Bluetooth profiles: octets of characteristic values to typed values, and back.
//!
//! * [`Characteristic`]: the table of what is known: UUID, service, how it is read.
//! * [`decode`]: octets of any known characteristic to a [`Decoded`].
//! * [`Decoded::fields`]: a decoded value by field names, for people and test vectors.
//! * one module per service, each with `decode` and `encode` of its characteristics.
//!
//! Invariants, for any octets: no panic; a value is decoded whole or refused whole with the field's name; a
//! special number never becomes a number; reserved flag bits are passed over, and octets after the known
//! fields are refused unless such a bit is set (they then belong to a later version of the profile).
//!
//! This module must not know where octets come from, nor what a twin makes of them.
#![deny(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::arithmetic_side_effects
)]

use core::fmt;

mod decoded;
mod error;
mod octets;
mod shapes;

pub mod advert;
pub mod bangle;
pub mod battery;
pub mod blood_pressure;
pub mod bthome;
pub mod cgm;
pub mod cgm_session;
pub mod clock;
pub mod date_time;
pub mod device_info;
pub mod enhanced_pressure;
pub mod fields;
pub mod float;
pub mod ghs;
pub mod glucose;
pub mod glucose_context;
pub mod heart_rate;
pub mod motion;
pub mod oximeter;
pub mod pmd;
pub mod pmd_control;
pub mod racp;
pub mod sample_array;
pub mod thermometer;
pub mod weight;

pub use advert::{Advert, PolarRate};
pub use bangle::{BangleLine, UartPiece};
pub use battery::BatteryLevel;
pub use blood_pressure::{BloodPressure, PressureStatus, PressureUnit};
pub use bthome::BtHome;
pub use cgm::CgmRecord;
pub use cgm_session::{
    CgmControl, CgmFeatures, CgmOp, CgmOutcome, CgmRunTime, CgmSessionStart, CgmStatus,
};
pub use clock::{CurrentTime, LocalTimeInfo, ReferenceTime};
pub use date_time::{DateTime, Validity};
pub use decoded::Decoded;
pub use device_info::{DeviceText, PnpId, SystemId};
pub use enhanced_pressure::{Enhanced, EnhancedBloodPressure, EnhancedCuffPressure};
pub use error::{DecodeError, EncodeError};
pub use fields::{Field, Fields};
pub use float::{Decimal, Number, Special};
pub use ghs::{ElapsedTime, Observation, Segment};
pub use glucose::{GlucoseMeasurement, GlucoseSample, GlucoseUnit};
pub use glucose_context::{Dose, DoseUnit, GlucoseContext, GlucoseFeatures, Meal};
pub use heart_rate::{BodyLocation, HeartRateControl, HeartRateMeasurement};
pub use motion::StepCount;
pub use oximeter::{
    Continuous, MeasurementStatus, OximeterFeatures, SensorStatus, SpO2Pr, SpotCheck,
    SupportedFeatures,
};
pub use pmd::{DeltaBlock, Packing, PmdData, PmdFrame, PmdType, PulseInterval};
pub use pmd_control::{PmdControl, PmdSetting};
pub use racp::{Mark, RecordAccess, RecordOp, RecordOutcome, Records};
pub use sample_array::SampleArray;
pub use thermometer::{
    MeasurementInterval, TemperatureMeasurement, TemperatureType, TemperatureUnit,
};
pub use weight::{BodyComposition, MiScale, ScaleUnits, WeightMeasurement};

use shapes::{bits, coded};

/// Longest attribute value that Bluetooth allows (Core 5.4, vol. 3, part F, 3.2.9).
pub const MAX_VALUE: usize = 512;

/// Longest observation that is joined from segments: eight whole values. A device may not fill a gateway's memory.
pub const MAX_JOINED: usize = 4096;

/// `0000xxxx-0000-1000-8000-00805f9b34fb`: where the SIG's short UUIDs live.
const BASE: u128 = 0x0000_0000_0000_1000_8000_0080_5F9B_34FB;

/// The full UUID of a 16-bit one.
#[must_use]
pub const fn uuid(short: u16) -> u128 {
    (short as u128) << 96 | BASE
}

/// The 16-bit form of a full UUID, if it has one.
#[must_use]
pub const fn short(uuid: u128) -> Option<u16> {
    let [_, _, high, low, ..] = uuid.to_be_bytes();
    let short = u16::from_be_bytes([high, low]);
    if self::uuid(short) == uuid {
        Some(short)
    } else {
        None
    }
}

/// A UUID that displays as text with dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid(pub u128);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q] = self.0.to_be_bytes();
        write!(
            f,
            "{a:02x}{b:02x}{c:02x}{d:02x}-{e:02x}{g:02x}-{h:02x}{i:02x}-{j:02x}{k:02x}-"
        )?;
        write!(f, "{l:02x}{m:02x}{n:02x}{o:02x}{p:02x}{q:02x}")
    }
}

/// How a collector uses a characteristic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Notified or indicated.
    Subscribe,
    /// Read once after connecting.
    Read,
    /// Read once, then notified where the device offers it.
    ReadAndSubscribe,
    /// Written.
    Write,
    /// Subscribed to first, then written; the answer is indicated.
    Control,
}

/// Facts about a characteristic.
#[derive(Clone, Copy, Debug)]
pub struct CharacteristicInfo {
    /// Its UUID.
    pub uuid: u128,
    /// The service that it usually is in.
    pub service: u128,
    /// Stable lower-case name.
    pub name: &'static str,
    /// How a collector uses it.
    pub access: Access,
}

macro_rules! characteristics {
    ($($(#[$doc:meta])* $item:ident = $uuid:expr, $service:expr, $access:ident, $name:literal
        => $decoded:ident(|$octets:ident| $decode:expr),)*) => {
        /// A characteristic that this version knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Characteristic {
            $($(#[$doc])* $item,)*
        }

        impl Characteristic {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$item,)*];

            /// Facts about it.
            #[must_use]
            pub const fn info(self) -> CharacteristicInfo {
                match self {
                    $(Self::$item => CharacteristicInfo {
                        uuid: $uuid, service: $service, name: $name, access: Access::$access,
                    },)*
                }
            }
        }

        /// The octets of a characteristic value, decoded by the layout that its UUID stands for. Whoever knows
        /// that a device has a layout of its own on this UUID must not come here.
        ///
        /// # Errors
        /// Why the value was refused as a whole.
        pub fn decode(characteristic: Characteristic, octets: &[u8]) -> Result<Decoded, DecodeError> {
            match characteristic {
                $(Characteristic::$item => { let $octets = octets; $decode.map(Decoded::$decoded) })*
            }
        }
    };
}

/// Services, as 16-bit UUIDs.
const HEART_RATE: u128 = uuid(0x180D);
const OXIMETER: u128 = uuid(0x1822);
const THERMOMETER: u128 = uuid(0x1809);
const BLOOD_PRESSURE: u128 = uuid(0x1810);
const GLUCOSE: u128 = uuid(0x1808);
const CGM: u128 = uuid(0x181F);
const WEIGHT: u128 = uuid(0x181D);
const BODY_COMPOSITION: u128 = uuid(0x181B);
const BATTERY: u128 = uuid(0x180F);
const DEVICE_INFO: u128 = uuid(0x180A);
const CURRENT_TIME: u128 = uuid(0x1805);
const POLAR: u128 = 0xFB00_5C80_02E7_F387_1CAD_8ACD_2D8D_F0C8;
const HEALTH_SENSOR: u128 = uuid(0x1840);
const ELAPSED_TIME: u128 = uuid(0x183F);
const UART: u128 = 0x6E40_0001_B5A3_F393_E0A9_E50E_24DC_CA9E;
const MOTION: u128 = 0x0003_0000_78FC_48FE_8E23_433B_3A19_42D0;

characteristics! {
    /// Heart rate, contact, energy, RR intervals.
    HeartRateMeasurement = uuid(0x2A37), HEART_RATE, Subscribe, "heart_rate_measurement"
        => HeartRate(|octets| HeartRateMeasurement::decode(octets)),
    /// Where a heart-rate sensor is worn.
    BodySensorLocation = uuid(0x2A38), HEART_RATE, Read, "body_sensor_location"
        => BodyLocation(|octets| BodyLocation::decode(octets)),
    /// Commands to a heart-rate sensor.
    HeartRateControlPoint = uuid(0x2A39), HEART_RATE, Write, "heart_rate_control_point"
        => HeartRateControl(|octets| HeartRateControl::decode(octets)),
    /// A spot check of an oximeter.
    PlxSpotCheck = uuid(0x2A5E), OXIMETER, Subscribe, "plx_spot_check"
        => SpotCheck(|octets| SpotCheck::decode(octets)),
    /// Continuous values of an oximeter.
    PlxContinuous = uuid(0x2A5F), OXIMETER, Subscribe, "plx_continuous"
        => Continuous(|octets| Continuous::decode(octets)),
    /// What an oximeter can do.
    PlxFeatures = uuid(0x2A60), OXIMETER, Read, "plx_features"
        => OximeterFeatures(|octets| OximeterFeatures::decode(octets)),
    /// A final temperature.
    TemperatureMeasurement = uuid(0x2A1C), THERMOMETER, Subscribe, "temperature_measurement"
        => Temperature(|octets| TemperatureMeasurement::decode(octets)),
    /// A temperature while the thermometer still settles.
    IntermediateTemperature = uuid(0x2A1E), THERMOMETER, Subscribe, "intermediate_temperature"
        => IntermediateTemperature(|octets| TemperatureMeasurement::decode(octets)),
    /// Where a thermometer measures.
    TemperatureType = uuid(0x2A1D), THERMOMETER, Read, "temperature_type"
        => TemperatureType(|octets| TemperatureType::decode(octets)),
    /// Time between temperatures.
    MeasurementInterval = uuid(0x2A21), THERMOMETER, Read, "measurement_interval"
        => MeasurementInterval(|octets| MeasurementInterval::decode(octets)),
    /// A final blood pressure.
    BloodPressureMeasurement = uuid(0x2A35), BLOOD_PRESSURE, Subscribe, "blood_pressure_measurement"
        => BloodPressure(|octets| BloodPressure::decode(octets)),
    /// Pressure in the cuff while it measures.
    IntermediateCuffPressure = uuid(0x2A36), BLOOD_PRESSURE, Subscribe, "intermediate_cuff_pressure"
        => CuffPressure(|octets| BloodPressure::decode(octets)),
    /// A final blood pressure with a clock that counts seconds.
    EnhancedBloodPressure = uuid(0x2B34), BLOOD_PRESSURE, Subscribe, "enhanced_blood_pressure_measurement"
        => EnhancedBloodPressure(|octets| EnhancedBloodPressure::decode(octets)),
    /// Pressure in the cuff while it measures, with a clock that counts seconds.
    EnhancedCuffPressure = uuid(0x2B35), BLOOD_PRESSURE, Subscribe, "enhanced_intermediate_cuff_pressure"
        => EnhancedCuffPressure(|octets| EnhancedCuffPressure::decode(octets)),
    /// A record of a glucose meter.
    GlucoseMeasurement = uuid(0x2A18), GLUCOSE, Subscribe, "glucose_measurement"
        => Glucose(|octets| GlucoseMeasurement::decode(octets)),
    /// Meals, medication and health around a record of a glucose meter.
    GlucoseMeasurementContext = uuid(0x2A34), GLUCOSE, Subscribe, "glucose_measurement_context"
        => GlucoseContext(|octets| GlucoseContext::decode(octets)),
    /// What a glucose meter can do.
    GlucoseFeatures = uuid(0x2A51), GLUCOSE, Read, "glucose_features"
        => GlucoseFeatures(|octets| GlucoseFeatures::decode(octets)),
    /// Requests for stored records, and their answers. Also of other services.
    RecordAccessControlPoint = uuid(0x2A52), GLUCOSE, Control, "record_access_control_point"
        => RecordAccess(|octets| RecordAccess::decode(octets)),
    /// Records of a continuous glucose monitor.
    CgmMeasurement = uuid(0x2AA7), CGM, Subscribe, "cgm_measurement"
        => Cgm(|octets| CgmRecord::decode(octets)),
    /// What a continuous glucose monitor can do.
    CgmFeatures = uuid(0x2AA8), CGM, Read, "cgm_features"
        => CgmFeatures(|octets| CgmFeatures::decode(octets)),
    /// How it is.
    CgmStatus = uuid(0x2AA9), CGM, Read, "cgm_status"
        => CgmStatus(|octets| CgmStatus::decode(octets)),
    /// When its session began.
    CgmSessionStart = uuid(0x2AAA), CGM, Read, "cgm_session_start"
        => CgmSessionStart(|octets| CgmSessionStart::decode(octets)),
    /// How long its sensor lasts.
    CgmRunTime = uuid(0x2AAB), CGM, Read, "cgm_run_time"
        => CgmRunTime(|octets| CgmRunTime::decode(octets)),
    /// Operations of a continuous glucose monitor.
    CgmControlPoint = uuid(0x2AAC), CGM, Control, "cgm_specific_ops_control_point"
        => CgmControl(|octets| CgmControl::decode(octets)),
    /// A weight.
    WeightMeasurement = uuid(0x2A9D), WEIGHT, Subscribe, "weight_measurement"
        => Weight(|octets| WeightMeasurement::decode(octets)),
    /// What a body is made of.
    BodyComposition = uuid(0x2A9C), BODY_COMPOSITION, Subscribe, "body_composition"
        => BodyComposition(|octets| BodyComposition::decode(octets)),
    /// Charge of the battery.
    BatteryLevel = uuid(0x2A19), BATTERY, ReadAndSubscribe, "battery_level"
        => Battery(|octets| BatteryLevel::decode(octets)),
    /// Who made the device.
    ManufacturerName = uuid(0x2A29), DEVICE_INFO, Read, "manufacturer_name"
        => Text(|octets| DeviceText::decode(octets)),
    /// Its model.
    ModelNumber = uuid(0x2A24), DEVICE_INFO, Read, "model_number"
        => Text(|octets| DeviceText::decode(octets)),
    /// Its serial number.
    SerialNumber = uuid(0x2A25), DEVICE_INFO, Read, "serial_number"
        => Text(|octets| DeviceText::decode(octets)),
    /// Its firmware.
    FirmwareRevision = uuid(0x2A26), DEVICE_INFO, Read, "firmware_revision"
        => Text(|octets| DeviceText::decode(octets)),
    /// Its hardware.
    HardwareRevision = uuid(0x2A27), DEVICE_INFO, Read, "hardware_revision"
        => Text(|octets| DeviceText::decode(octets)),
    /// Its software.
    SoftwareRevision = uuid(0x2A28), DEVICE_INFO, Read, "software_revision"
        => Text(|octets| DeviceText::decode(octets)),
    /// A 64-bit id of the device.
    SystemId = uuid(0x2A23), DEVICE_INFO, Read, "system_id"
        => SystemId(|octets| SystemId::decode(octets)),
    /// Vendor and product numbers.
    PnpId = uuid(0x2A50), DEVICE_INFO, Read, "pnp_id"
        => PnpId(|octets| PnpId::decode(octets)),
    /// A device's clock.
    DateTime = uuid(0x2A08), CURRENT_TIME, Read, "date_time"
        => DateTime(|octets| DateTime::decode(octets)),
    /// A device's clock, with day of week and fraction.
    CurrentTime = uuid(0x2A2B), CURRENT_TIME, Read, "current_time"
        => CurrentTime(|octets| CurrentTime::decode(octets)),
    /// A device's time zone.
    LocalTimeInformation = uuid(0x2A0F), CURRENT_TIME, Read, "local_time_information"
        => LocalTimeInfo(|octets| LocalTimeInfo::decode(octets)),
    /// How much a device trusts its clock.
    ReferenceTimeInformation = uuid(0x2A14), CURRENT_TIME, Read, "reference_time_information"
        => ReferenceTime(|octets| ReferenceTime::decode(octets)),
    /// Starts and stops the streams of a Polar sensor.
    PolarControlPoint = 0xFB00_5C81_02E7_F387_1CAD_8ACD_2D8D_F0C8, POLAR, Control, "polar_control_point"
        => PolarControl(|octets| PmdControl::decode(octets)),
    /// ECG, acceleration, light and pulse intervals of a Polar sensor.
    PolarData = 0xFB00_5C82_02E7_F387_1CAD_8ACD_2D8D_F0C8, POLAR, Subscribe, "polar_data"
        => Polar(|octets| PmdFrame::decode(octets)),
    /// Live observations of any sensor.
    LiveHealthObservations = uuid(0x2B8B), HEALTH_SENSOR, Subscribe, "live_health_observations"
        => Health(|octets| Segment::decode(octets)),
    /// Stored observations of any sensor.
    StoredHealthObservations = uuid(0x2BDD), HEALTH_SENSOR, Subscribe, "stored_health_observations"
        => StoredHealth(|octets| Segment::decode(octets)),
    /// The clock that stamps observations.
    CurrentElapsedTime = uuid(0x2BF2), ELAPSED_TIME, Read, "current_elapsed_time"
        => ElapsedTime(|octets| ElapsedTime::decode(octets)),
    /// What a Bangle.js watch prints.
    BangleLines = 0x6E40_0003_B5A3_F393_E0A9_E50E_24DC_CA9E, UART, Subscribe, "bangle_lines"
        => Uart(|octets| UartPiece::decode(octets)),
    /// Steps counted by an `InfiniTime` watch.
    MotionStepCount = 0x0003_0001_78FC_48FE_8E23_433B_3A19_42D0, MOTION, ReadAndSubscribe, "motion_step_count"
        => Steps(|octets| StepCount::decode(octets)),
}

impl Characteristic {
    /// From its UUID.
    ///
    /// # Errors
    /// [`DecodeError::UnknownCharacteristic`].
    pub fn from_uuid(uuid: u128) -> Result<Self, DecodeError> {
        let known = Self::ALL.iter().find(|known| known.info().uuid == uuid);
        known
            .copied()
            .ok_or(DecodeError::UnknownCharacteristic { uuid })
    }

    /// Its UUID.
    #[must_use]
    pub const fn uuid(self) -> u128 {
        self.info().uuid
    }
}

/// Whose layout a device uses where a UUID alone does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// That of the specifications.
    #[default]
    Sig,
    /// Xiaomi's on 2A9C.
    MiScale,
}

impl Layout {
    /// From the name that a device advertises.
    #[must_use]
    pub fn of_device(name: &str) -> Self {
        // MIBCS, MIBFS: body composition scales 1 and 2.
        const MI: [&str; 4] = ["MIBCS", "MIBFS", "MI SCALE", "MI_SCALE"];
        let name = name.trim().as_bytes();
        let starts = |prefix: &&str| {
            name.get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        if MI.iter().any(starts) {
            Self::MiScale
        } else {
            Self::Sig
        }
    }

    /// Like [`decode`], by this layout.
    ///
    /// # Errors
    /// Why the value was refused as a whole.
    pub fn decode(
        self,
        characteristic: Characteristic,
        octets: &[u8],
    ) -> Result<Decoded, DecodeError> {
        match (self, characteristic) {
            (Self::MiScale, Characteristic::BodyComposition) => {
                MiScale::decode(octets).map(Decoded::MiScale)
            }
            (Self::MiScale | Self::Sig, _) => decode(characteristic, octets),
        }
    }
}
