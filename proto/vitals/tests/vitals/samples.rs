//! Strategies that make every value that can be written.

use proptest::prelude::*;
use vitals::gatt::*;
use vitals::{Span, Time};

pub(crate) fn sfloat() -> impl Strategy<Value = Number> {
    any::<u16>().prop_map(Number::from_sfloat)
}

pub(crate) fn float() -> impl Strategy<Value = Number> {
    any::<u32>().prop_map(Number::from_float)
}

pub(crate) fn date_time() -> impl Strategy<Value = DateTime> {
    any::<[u8; 7]>().prop_map(|octets| DateTime::decode(&octets).unwrap())
}

pub(crate) fn moment() -> impl Strategy<Value = Time> {
    // 1600 to 9900.
    (-11_676_000_000_i64..250_000_000_000).prop_map(|seconds| Time::ZERO + Span::from_secs(seconds))
}

fn pair() -> impl Strategy<Value = SpO2Pr> {
    (sfloat(), sfloat()).prop_map(|(spo2, pulse_rate)| SpO2Pr { spo2, pulse_rate })
}

fn measurement_status() -> impl Strategy<Value = MeasurementStatus> {
    any::<u16>().prop_map(MeasurementStatus)
}

fn sensor_status() -> impl Strategy<Value = SensorStatus> {
    (0..1_u32 << 24).prop_map(SensorStatus)
}

pub(crate) fn heart_rate() -> impl Strategy<Value = HeartRateMeasurement> {
    let rr = proptest::collection::vec(any::<u16>(), 0..12);
    (
        any::<u16>(),
        any::<Option<bool>>(),
        any::<Option<u16>>(),
        rr,
    )
        .prop_map(|(bpm, contact, energy_kj, rr_1024)| HeartRateMeasurement {
            bpm,
            contact,
            energy_kj,
            rr_1024,
        })
}

pub(crate) fn spot_check() -> impl Strategy<Value = SpotCheck> {
    let optional = (
        proptest::option::of(date_time()),
        proptest::option::of(measurement_status()),
        proptest::option::of(sensor_status()),
        proptest::option::of(sfloat()),
    );
    (pair(), optional, any::<bool>()).prop_map(
        |(normal, (time, measurement_status, sensor_status, pai), clock_not_set)| SpotCheck {
            normal,
            time,
            measurement_status,
            sensor_status,
            pai,
            clock_not_set,
        },
    )
}

pub(crate) fn continuous() -> impl Strategy<Value = Continuous> {
    let optional = (
        proptest::option::of(pair()),
        proptest::option::of(pair()),
        proptest::option::of(measurement_status()),
        proptest::option::of(sensor_status()),
        proptest::option::of(sfloat()),
    );
    (pair(), optional).prop_map(
        |(normal, (fast, slow, measurement_status, sensor_status, pai))| Continuous {
            normal,
            fast,
            slow,
            measurement_status,
            sensor_status,
            pai,
        },
    )
}

fn features() -> impl Strategy<Value = OximeterFeatures> {
    let optional = (
        proptest::option::of(measurement_status()),
        proptest::option::of(sensor_status()),
    );
    (any::<u16>(), optional).prop_map(|(bits, (measurement_status, sensor_status))| {
        let told = |is: bool, bit: SupportedFeatures| if is { bit.0 } else { 0 };
        let low = told(
            measurement_status.is_some(),
            SupportedFeatures::MEASUREMENT_STATUS,
        ) | told(sensor_status.is_some(), SupportedFeatures::SENSOR_STATUS);
        OximeterFeatures {
            supported: SupportedFeatures(bits & !3 | low),
            measurement_status,
            sensor_status,
        }
    })
}

pub(crate) fn temperature() -> impl Strategy<Value = TemperatureMeasurement> {
    let optional = (
        proptest::option::of(date_time()),
        proptest::option::of(any::<u8>()),
    );
    (float(), any::<bool>(), optional).prop_map(|(value, celsius, (time, site))| {
        TemperatureMeasurement {
            value,
            unit: if celsius {
                TemperatureUnit::Celsius
            } else {
                TemperatureUnit::Fahrenheit
            },
            time,
            site: site.map(TemperatureType::from_code),
        }
    })
}

/// A characteristic and any value that it can carry.
pub(crate) fn anything() -> impl Strategy<Value = (Characteristic, Decoded)> {
    use Characteristic as C;
    prop_oneof![
        heart_rate().prop_map(|value| (C::HeartRateMeasurement, Decoded::HeartRate(value))),
        any::<u8>().prop_map(|code| (
            C::BodySensorLocation,
            Decoded::BodyLocation(BodyLocation::from_code(code))
        )),
        Just((
            C::HeartRateControlPoint,
            Decoded::HeartRateControl(HeartRateControl::ResetEnergyExpended)
        )),
        spot_check().prop_map(|value| (C::PlxSpotCheck, Decoded::SpotCheck(value))),
        continuous().prop_map(|value| (C::PlxContinuous, Decoded::Continuous(value))),
        features().prop_map(|value| (C::PlxFeatures, Decoded::OximeterFeatures(value))),
        temperature().prop_map(|value| (C::TemperatureMeasurement, Decoded::Temperature(value))),
        temperature().prop_map(|value| (
            C::IntermediateTemperature,
            Decoded::IntermediateTemperature(value)
        )),
        any::<u8>().prop_map(|code| (
            C::TemperatureType,
            Decoded::TemperatureType(TemperatureType::from_code(code))
        )),
        any::<u16>().prop_map(|seconds| (
            C::MeasurementInterval,
            Decoded::MeasurementInterval(MeasurementInterval { seconds })
        )),
        (0..=100_u8)
            .prop_map(|percent| (C::BatteryLevel, Decoded::Battery(BatteryLevel { percent }))),
        any::<String>().prop_map(|text| (
            C::ModelNumber,
            Decoded::Text(DeviceText::from_octets(text.as_bytes()))
        )),
        any::<[u8; 8]>().prop_map(|octets| (
            C::SystemId,
            Decoded::SystemId(SystemId::decode(&octets).unwrap())
        )),
        any::<[u8; 7]>()
            .prop_map(|octets| (C::PnpId, Decoded::PnpId(PnpId::decode(&octets).unwrap()))),
        date_time().prop_map(|value| (C::DateTime, Decoded::DateTime(value))),
        any::<u32>().prop_map(|steps| (C::MotionStepCount, Decoded::Steps(StepCount { steps }))),
    ]
}
