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

fn real_date() -> impl Strategy<Value = DateTime> {
    moment().prop_map(|time| DateTime::from_utc(time).unwrap())
}

fn blood_pressure() -> impl Strategy<Value = BloodPressure> {
    let optional = (
        proptest::option::of(date_time()),
        proptest::option::of(sfloat()),
        any::<Option<u8>>(),
        any::<Option<u16>>(),
    );
    (any::<bool>(), (sfloat(), sfloat(), sfloat()), optional).prop_map(
        |(kpa, (systolic, diastolic, mean), (time, pulse_rate, user, status))| BloodPressure {
            unit: if kpa {
                PressureUnit::KPa
            } else {
                PressureUnit::MmHg
            },
            systolic,
            diastolic,
            mean,
            time,
            pulse_rate,
            user,
            status: status.map(PressureStatus),
        },
    )
}

fn glucose() -> impl Strategy<Value = GlucoseMeasurement> {
    let sample = (sfloat(), any::<bool>(), 0..16_u8, 0..16_u8).prop_map(
        |(concentration, molar, fluid, location)| {
            let unit = if molar {
                GlucoseUnit::MolPerLitre
            } else {
                GlucoseUnit::KgPerLitre
            };
            GlucoseSample {
                concentration,
                unit,
                fluid,
                location,
            }
        },
    );
    let optional = (
        any::<Option<i16>>(),
        proptest::option::of(sample),
        any::<Option<u16>>(),
    );
    (any::<u16>(), date_time(), optional, any::<bool>()).prop_map(
        |(sequence, base_time, (time_offset_min, sample, sensor_status), context_follows)| {
            GlucoseMeasurement {
                sequence,
                base_time,
                time_offset_min,
                sample,
                sensor_status,
                context_follows,
            }
        },
    )
}

fn cgm() -> impl Strategy<Value = Vec<CgmRecord>> {
    let octets = (
        any::<Option<u8>>(),
        any::<Option<u8>>(),
        any::<Option<u8>>(),
    );
    let numbers = (
        proptest::option::of(sfloat()),
        proptest::option::of(sfloat()),
    );
    let record = (
        sfloat(),
        any::<u16>(),
        octets,
        numbers,
        any::<Option<bool>>(),
    )
        .prop_map(
            |(glucose, time_offset_min, (status, caltemp, warning), (trend, quality), crc_ok)| {
                CgmRecord {
                    glucose,
                    time_offset_min,
                    status,
                    caltemp,
                    warning,
                    trend,
                    quality,
                    crc_ok,
                }
            },
        );
    proptest::collection::vec(record, 1..4)
}

fn units(metric: bool) -> ScaleUnits {
    if metric {
        ScaleUnits::Metric
    } else {
        ScaleUnits::Imperial
    }
}

fn weight() -> impl Strategy<Value = WeightMeasurement> {
    let optional = (
        proptest::option::of(date_time()),
        any::<Option<u8>>(),
        any::<Option<(u16, u16)>>(),
    );
    (any::<bool>(), any::<u16>(), optional).prop_map(
        |(metric, weight, (time, user, bmi_and_height))| WeightMeasurement {
            units: units(metric),
            weight,
            time,
            user,
            bmi_and_height,
        },
    )
}

fn body_composition() -> impl Strategy<Value = BodyComposition> {
    let who = (proptest::option::of(real_date()), any::<Option<u8>>());
    (any::<(bool, u16, bool)>(), who, any::<[Option<u16>; 9]>()).prop_map(
        |((metric, body_fat, more_follows), (time, user), words)| {
            let [
                basal,
                percentage,
                muscle,
                fat_free,
                soft_lean,
                water,
                impedance,
                weight,
                height,
            ] = words;
            BodyComposition {
                units: units(metric),
                body_fat,
                time,
                user,
                basal_metabolism_kj: basal,
                muscle_percentage: percentage,
                muscle_mass: muscle,
                fat_free_mass: fat_free,
                soft_lean_mass: soft_lean,
                body_water_mass: water,
                impedance,
                weight,
                height,
                more_follows,
            }
        },
    )
}

/// What has no strategy of its own: the longest value that random octets hold, whatever their flags announce.
fn from_octets() -> impl Strategy<Value = (Characteristic, Decoded)> {
    use Characteristic as C;
    let characteristic = proptest::sample::select(vec![
        C::EnhancedBloodPressure,
        C::EnhancedCuffPressure,
        C::GlucoseMeasurementContext,
        C::GlucoseFeatures,
        C::CgmFeatures,
        C::CgmStatus,
        C::CgmSessionStart,
        C::CgmRunTime,
        C::CurrentTime,
        C::LocalTimeInformation,
        C::ReferenceTimeInformation,
        C::PolarControlPoint,
    ]);
    (characteristic, any::<[u8; 32]>()).prop_filter_map("no value", |(characteristic, octets)| {
        let value = (1..octets.len())
            .rev()
            .find_map(|length| decode(characteristic, &octets[..length]).ok());
        Some((characteristic, value?))
    })
}

fn record_access() -> impl Strategy<Value = RecordAccess> {
    let mark = prop_oneof![
        any::<u16>().prop_map(Mark::Sequence),
        any::<u32>().prop_map(Mark::Record),
        date_time().prop_map(Mark::Time),
    ];
    let records = prop_oneof![
        Just(Records::All),
        Just(Records::First),
        Just(Records::Last),
        mark.clone().prop_map(Records::AtMost),
        mark.prop_map(Records::AtLeast),
        any::<(u16, u16)>()
            .prop_map(|(from, to)| Records::Within(Mark::Sequence(from), Mark::Sequence(to))),
        any::<(u32, u32)>()
            .prop_map(|(from, to)| Records::Within(Mark::Record(from), Mark::Record(to))),
        (date_time(), date_time())
            .prop_map(|(from, to)| Records::Within(Mark::Time(from), Mark::Time(to))),
    ];
    let answer = (any::<u8>(), any::<u8>()).prop_map(|(request, outcome)| RecordAccess::Response {
        request: RecordOp::from_code(request),
        outcome: RecordOutcome::from_code(outcome),
    });
    prop_oneof![
        records.clone().prop_map(RecordAccess::Report),
        records.clone().prop_map(RecordAccess::CombinedReport),
        records.clone().prop_map(RecordAccess::Delete),
        records.prop_map(RecordAccess::Count),
        Just(RecordAccess::Abort),
        any::<u16>().prop_map(RecordAccess::Counted),
        any::<u16>().prop_map(RecordAccess::CombinedReportDone),
        answer,
    ]
}

/// Frames as a sensor writes them: plain or packed as narrow as they go.
fn polar() -> impl Strategy<Value = PmdFrame> {
    let small = proptest::collection::vec(-2000..2000_i32, 3..90);
    (small, any::<u64>(), 0..4_u8, 0..4_usize).prop_map(
        |(mut values, timestamp_ns, recording, layout)| {
            let (what, channels, plain) = [
                (PmdType::Ecg, 1, true),
                (PmdType::Acceleration, 3, true),
                (PmdType::Acceleration, 3, false),
                (PmdType::Ppg, 4, false),
            ][layout];
            let wanted = values.len().next_multiple_of(usize::from(channels));
            values.resize(wanted, -7);
            let packing = if plain {
                Packing::Plain(if what == PmdType::Ecg { 3 } else { 2 })
            } else {
                Packing::Deltas {
                    resolution: if what == PmdType::Ppg { 22 } else { 16 },
                    blocks: pmd::blocks(&values, channels),
                }
            };
            PmdFrame {
                what,
                recording,
                timestamp_ns,
                frame_type: u8::from(what == PmdType::Acceleration),
                data: PmdData::Samples {
                    channels,
                    packing,
                    values,
                },
            }
        },
    )
}

/// Values of a continuous glucose monitor with a checksum that fits, does not, or is not there.
fn cgm_control() -> impl Strategy<Value = CgmControl> {
    let op = prop_oneof![
        any::<u8>().prop_map(CgmOp::SetInterval),
        Just(CgmOp::GetInterval),
        any::<u8>().prop_map(CgmOp::Interval),
        sfloat().prop_map(CgmOp::SetHighAlert),
        sfloat().prop_map(CgmOp::SetLowAlert),
        Just(CgmOp::StartSession),
        Just(CgmOp::StopSession),
        any::<(u8, u8)>().prop_map(|(request, outcome)| CgmOp::Response {
            request,
            outcome: CgmOutcome::from_code(outcome)
        }),
    ];
    (op, any::<Option<bool>>()).prop_map(|(op, crc_ok)| CgmControl { op, crc_ok })
}

fn cgm_session() -> impl Strategy<Value = CgmSessionStart> {
    (date_time(), any::<(i8, u8, Option<bool>)>()).prop_map(|(time, (time_zone, dst, crc_ok))| {
        CgmSessionStart {
            time,
            time_zone,
            dst,
            crc_ok,
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
        blood_pressure()
            .prop_map(|value| (C::BloodPressureMeasurement, Decoded::BloodPressure(value))),
        blood_pressure()
            .prop_map(|value| (C::IntermediateCuffPressure, Decoded::CuffPressure(value))),
        glucose().prop_map(|value| (C::GlucoseMeasurement, Decoded::Glucose(value))),
        cgm().prop_map(|records| (C::CgmMeasurement, Decoded::Cgm(records))),
        weight().prop_map(|value| (C::WeightMeasurement, Decoded::Weight(value))),
        body_composition().prop_map(|value| (C::BodyComposition, Decoded::BodyComposition(value))),
        from_octets(),
        record_access()
            .prop_map(|value| (C::RecordAccessControlPoint, Decoded::RecordAccess(value))),
        polar().prop_map(|value| (C::PolarData, Decoded::Polar(value))),
        cgm_control().prop_map(|value| (C::CgmControlPoint, Decoded::CgmControl(value))),
        cgm_session().prop_map(|value| (C::CgmSessionStart, Decoded::CgmSessionStart(value))),
        any::<u32>().prop_map(|steps| (C::MotionStepCount, Decoded::Steps(StepCount { steps }))),
    ]
}
