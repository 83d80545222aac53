//! Decoded values as named fields: what `decode` prints, and what the test vectors are written in.
//!
//! The names are those of the vectors and are stable. An optional field that the device did not send is left
//! out; contact and energy of a heart rate are always there, as nothing where the sensor cannot tell.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{
    Continuous, DateTime, Decoded, HeartRateMeasurement, MeasurementStatus, Number,
    OximeterFeatures, SensorStatus, SpotCheck, TemperatureMeasurement, TemperatureUnit,
};

/// The value of a named field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The device cannot tell.
    Nothing,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A decimal number or what is said in its place.
    Number(Number),
    /// Words.
    Text(String),
    /// Whole numbers in order.
    Wholes(Vec<i64>),
}

/// Fields in the order in which the device wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(&'static str, Field)>);

impl Fields {
    fn with(mut self, name: &'static str, field: impl Into<Field>) -> Self {
        self.0.push((name, field.into()));
        self
    }

    fn with_some(self, name: &'static str, field: Option<impl Into<Field>>) -> Self {
        match field {
            Some(field) => self.with(name, field),
            None => self,
        }
    }
}

impl From<bool> for Field {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

macro_rules! from_whole {
    ($($int:ty)*) => {
        $(impl From<$int> for Field {
            fn from(whole: $int) -> Self {
                Self::Whole(i64::from(whole))
            }
        })*
    };
}

from_whole!(u8 u16 i16 u32);

impl From<Number> for Field {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<DateTime> for Field {
    fn from(time: DateTime) -> Self {
        Self::Text(time.to_string())
    }
}

impl From<MeasurementStatus> for Field {
    fn from(status: MeasurementStatus) -> Self {
        status.0.into()
    }
}

impl From<SensorStatus> for Field {
    fn from(status: SensorStatus) -> Self {
        status.0.into()
    }
}

impl Decoded {
    /// Its named fields.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let none = Fields::default();
        match self {
            Self::HeartRate(value) => heart_rate(value),
            Self::BodyLocation(value) => none
                .with("location", value.code())
                .with("location_name", value.name()),
            Self::HeartRateControl(_) => none.with("op", "reset energy expended"),
            Self::SpotCheck(value) => spot_check(value),
            Self::Continuous(value) => continuous(value),
            Self::OximeterFeatures(value) => features(value),
            Self::Temperature(value) | Self::IntermediateTemperature(value) => temperature(value),
            Self::TemperatureType(value) => none
                .with("type", value.code())
                .with("type_name", value.name()),
            Self::MeasurementInterval(value) => none.with("interval_s", value.seconds),
            Self::Battery(value) => none.with("battery", value.percent),
            Self::Text(value) => none.with("value", value.as_str()),
            Self::SystemId(value) => {
                // 40 bits: always within i64.
                let manufacturer = i64::try_from(value.manufacturer).unwrap_or(i64::MAX);
                none.with("manufacturer", Field::Whole(manufacturer))
                    .with("oui", value.oui)
            }
            Self::PnpId(value) => none
                .with("vendor_source", value.vendor_source)
                .with("vendor", value.vendor)
                .with("product", value.product)
                .with("version", value.version),
            Self::DateTime(value) => none.with("time", *value),
            Self::Steps(value) => none.with("steps", value.steps),
        }
    }
}

fn heart_rate(value: &HeartRateMeasurement) -> Fields {
    Fields::default()
        .with("bpm", value.bpm)
        .with("contact", value.contact.map_or(Field::Nothing, Field::Flag))
        .with(
            "energy_kj",
            value.energy_kj.map_or(Field::Nothing, Field::from),
        )
        .with(
            "rr_1024",
            Field::Wholes(value.rr_1024.iter().copied().map(i64::from).collect()),
        )
}

fn spot_check(value: &SpotCheck) -> Fields {
    Fields::default()
        .with("spo2", value.normal.spo2)
        .with("pr", value.normal.pulse_rate)
        .with_some("time", value.time)
        .with_some("measurement_status", value.measurement_status)
        .with_some("device_sensor_status", value.sensor_status)
        .with_some("pai", value.pai)
        .with_some("device_clock_not_set", value.clock_not_set.then_some(true))
}

fn continuous(value: &Continuous) -> Fields {
    Fields::default()
        .with("spo2", value.normal.spo2)
        .with("pr", value.normal.pulse_rate)
        .with_some("spo2_fast", value.fast.map(|pair| pair.spo2))
        .with_some("pr_fast", value.fast.map(|pair| pair.pulse_rate))
        .with_some("spo2_slow", value.slow.map(|pair| pair.spo2))
        .with_some("pr_slow", value.slow.map(|pair| pair.pulse_rate))
        .with_some("measurement_status", value.measurement_status)
        .with_some("device_sensor_status", value.sensor_status)
        .with_some("pai", value.pai)
}

fn features(value: &OximeterFeatures) -> Fields {
    Fields::default()
        .with("features", value.supported.0)
        .with_some("measurement_status", value.measurement_status)
        .with_some("device_sensor_status", value.sensor_status)
}

fn temperature(value: &TemperatureMeasurement) -> Fields {
    let unit = match value.unit {
        TemperatureUnit::Celsius => "C",
        TemperatureUnit::Fahrenheit => "F",
    };
    Fields::default()
        .with("value", value.value)
        .with("unit", unit)
        .with_some("time", value.time)
        .with_some("type", value.site.map(super::TemperatureType::code))
}
