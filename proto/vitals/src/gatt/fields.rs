//! Decoded values as named fields: what `decode` prints, and what the test vectors are written in.
//!
//! The names are those of the vectors and are stable. An optional field that the device did not send is left
//! out; contact and energy of a heart rate are always there, as nothing where the sensor cannot tell.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{
    BloodPressure, BodyComposition, CgmRecord, Continuous, DateTime, Decoded, GlucoseMeasurement,
    GlucoseSample, GlucoseUnit, HeartRateMeasurement, MeasurementStatus, MiScale, Number,
    OximeterFeatures, ScaleUnits, SensorStatus, Special, SpotCheck, TemperatureMeasurement,
    TemperatureUnit, WeightMeasurement,
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
    /// Several words.
    Texts(Vec<String>),
    /// Rows of whole numbers.
    Rows(Vec<Vec<i64>>),
    /// Fields of their own.
    Group(Fields),
    /// Several records of one value.
    Records(Vec<Fields>),
}

/// Fields in the order in which the device wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(&'static str, Field)>);

impl Fields {
    pub(super) fn with(mut self, name: &'static str, field: impl Into<Field>) -> Self {
        self.0.push((name, field.into()));
        self
    }

    pub(super) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    pub(super) fn with_some(self, name: &'static str, field: Option<impl Into<Field>>) -> Self {
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

from_whole!(u8 i8 u16 i16 u32 i32);

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
            Self::BloodPressure(value) => blood_pressure(value),
            Self::CuffPressure(value) => cuff_pressure(value),
            Self::EnhancedBloodPressure(value) => value.fields(),
            Self::EnhancedCuffPressure(value) => value.fields(),
            Self::Glucose(value) => glucose(value),
            Self::GlucoseContext(value) => value.fields(),
            Self::GlucoseFeatures(value) => none.with("features", value.0),
            Self::RecordAccess(value) => value.fields(),
            Self::Cgm(records) => match records.as_slice() {
                [one] => cgm(one),
                several => none.with("records", Field::Records(several.iter().map(cgm).collect())),
            },
            Self::CgmFeatures(value) => value.fields(),
            Self::CgmStatus(value) => value.fields(),
            Self::CgmSessionStart(value) => value.fields(),
            Self::CgmRunTime(value) => value.fields(),
            Self::CgmControl(value) => value.fields(),
            Self::Weight(value) => weight(value),
            Self::BodyComposition(value) => body_composition(value),
            Self::MiScale(value) => mi_scale(value),
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
            Self::CurrentTime(value) => value.fields(),
            Self::LocalTimeInfo(value) => value.fields(),
            Self::ReferenceTime(value) => value.fields(),
            Self::PolarControl(value) => value.fields(),
            Self::Polar(value) => value.fields(),
            Self::Health(value) | Self::StoredHealth(value) => value.fields(),
            Self::ElapsedTime(value) => none
                .with("flags", value.flags)
                .with("source", value.source)
                .with("offset", value.offset)
                .with_some(
                    "time",
                    value.utc(crate::Span::ZERO).and_then(DateTime::from_utc),
                ),
            Self::Uart(value) => value.fields(),
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

fn blood_pressure(value: &BloodPressure) -> Fields {
    Fields::default()
        .with("unit", value.unit.text())
        .with("sys", value.systolic)
        .with("dia", value.diastolic)
        .with("map", value.mean)
        .and(pressure_rest(value))
}

/// The diastolic and mean places of a cuff pressure mean nothing and are not shown.
fn cuff_pressure(value: &BloodPressure) -> Fields {
    Fields::default()
        .with("unit", value.unit.text())
        .with("cuff", value.systolic)
        .and(pressure_rest(value))
}

fn pressure_rest(value: &BloodPressure) -> Fields {
    Fields::default()
        .with_some("time", value.time)
        .with_some("pulse", value.pulse_rate)
        .with_some("user", value.user)
        .with_some("status", value.status.map(|status| status.0))
}

fn glucose(value: &GlucoseMeasurement) -> Fields {
    let unit = |sample: GlucoseSample| match sample.unit {
        GlucoseUnit::KgPerLitre => "kg/L",
        GlucoseUnit::MolPerLitre => "mol/L",
    };
    Fields::default()
        .with("seq", value.sequence)
        .with("base_time", value.base_time)
        .with_some("time_offset_min", value.time_offset_min)
        .with_some(
            "concentration",
            value.sample.map(|sample| sample.concentration),
        )
        .with_some("unit", value.sample.map(unit))
        .with_some("type", value.sample.map(|sample| sample.fluid))
        .with_some("location", value.sample.map(|sample| sample.location))
        .with_some("sensor_status", value.sensor_status)
        .with_some("context_follows", value.context_follows.then_some(true))
}

fn cgm(record: &CgmRecord) -> Fields {
    Fields::default()
        .with("glucose", record.glucose)
        .with("time_offset_min", record.time_offset_min)
        .with_some("status_octet", record.status)
        .with_some("caltemp_octet", record.caltemp)
        .with_some("warning_octet", record.warning)
        .with_some("trend", record.trend)
        .with_some("quality", record.quality)
        .with_some("crc_ok", record.crc_ok)
}

/// A scale's steps as a number: `value * step * 10^exponent`; 0xFFFF = the measurement failed.
fn steps(value: u16, step: i32, exponent: i8) -> Number {
    match value {
        u16::MAX => Number::Special(Special::NaN),
        value => Number::new(i32::from(value).saturating_mul(step), exponent),
    }
}

fn mass(units: ScaleUnits, value: u16) -> Number {
    match units {
        ScaleUnits::Metric => steps(value, 5, -3),
        ScaleUnits::Imperial => steps(value, 1, -2),
    }
}

fn height(units: ScaleUnits, value: u16) -> Number {
    match units {
        ScaleUnits::Metric => steps(value, 1, -3),
        ScaleUnits::Imperial => steps(value, 1, -1),
    }
}

fn weight(value: &WeightMeasurement) -> Fields {
    let unit = match value.units {
        ScaleUnits::Metric => "kg",
        ScaleUnits::Imperial => "lb",
    };
    Fields::default()
        .with("weight", mass(value.units, value.weight))
        .with("unit", unit)
        .with_some("time", value.time)
        .with_some("user", value.user)
        .with_some(
            "bmi",
            value.bmi_and_height.map(|(bmi, _)| steps(bmi, 1, -1)),
        )
        .with_some(
            "height",
            value
                .bmi_and_height
                .map(|(_, tall)| height(value.units, tall)),
        )
}

fn body_composition(value: &BodyComposition) -> Fields {
    let mass = |steps: u16| mass(value.units, steps);
    Fields::default()
        .with("body_fat_pct", steps(value.body_fat, 1, -1))
        .with_some(
            "unit",
            (value.units == ScaleUnits::Imperial).then_some("lb"),
        )
        .with_some("time", value.time)
        .with_some("user", value.user)
        .with_some(
            "basal_metabolism_kj",
            value.basal_metabolism_kj.map(|energy| steps(energy, 1, 0)),
        )
        .with_some(
            "muscle_pct",
            value.muscle_percentage.map(|part| steps(part, 1, -1)),
        )
        .with_some("muscle_mass", value.muscle_mass.map(mass))
        .with_some("fat_free_mass", value.fat_free_mass.map(mass))
        .with_some("soft_lean_mass", value.soft_lean_mass.map(mass))
        .with_some("body_water_mass", value.body_water_mass.map(mass))
        .with_some(
            "impedance_ohm",
            value.impedance.map(|impedance| steps(impedance, 1, -1)),
        )
        .with_some("weight", value.weight.map(mass))
        .with_some("height", value.height.map(|tall| height(value.units, tall)))
        .with_some("more_follows", value.more_follows.then_some(true))
}

fn mi_scale(value: &MiScale) -> Fields {
    let (name, units) = if value.is_pounds() {
        ("weight_lb", ScaleUnits::Imperial)
    } else {
        ("weight_kg", ScaleUnits::Metric)
    };
    Fields::default()
        .with("vendor_layout", true)
        .with("time", value.time)
        .with("impedance", value.impedance)
        .with(name, mass(units, value.weight))
        .with("stabilised", value.is_stabilised())
}
