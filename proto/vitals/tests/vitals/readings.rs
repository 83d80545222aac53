//! From notification to readings: how many, when, and with what reserve.

use vitals::gatt::{
    Characteristic as C, DateTime, Decoded, Number, TemperatureMeasurement, TemperatureUnit, decode,
};
use vitals::observe::{self, Memory, Origin, Sequences};
use vitals::{Absence, Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value};

use crate::vectors::octets;

/// 2026-11-21T20:00:00Z.
const RECEIVED: Time = Time::from_micros(1_795_291_200_000_000);

fn origin() -> Origin {
    Origin {
        source: SourceId(3),
        received: RECEIVED,
        clock_ahead: Span::ZERO,
    }
}

fn readings(characteristic: C, hex: &str) -> Vec<Reading> {
    let decoded = decode(characteristic, &octets(hex)).unwrap();
    observe::readings(
        &decoded,
        origin(),
        &mut Memory::default(),
        &mut Sequences::default(),
    )
}

fn kinds(readings: &[Reading]) -> Vec<Kind> {
    readings.iter().map(|reading| reading.kind).collect()
}

#[test]
fn a_heart_rate_with_two_intervals_is_three_readings() {
    let got = readings(C::HeartRateMeasurement, "104372038a03");
    assert_eq!(
        kinds(&got),
        [Kind::HeartRate, Kind::RrInterval, Kind::RrInterval]
    );
    assert_eq!(got[0].value, Value::Measured(Fixed(67)));
    assert_eq!(
        got[1].value,
        Value::Measured(Fixed(8613)),
        "882/1024 s = 861.33 ms"
    );
    assert_eq!(got[2].effective, RECEIVED);
    assert_eq!(
        got[1].effective,
        RECEIVED - Span::from_micros(906 * 1_000_000 / 1024)
    );
    assert_eq!(
        (got[0].sequence, got[1].sequence, got[2].sequence),
        (0, 0, 1)
    );
    assert!(
        got.iter()
            .all(|reading| reading.quality == Quality::GOOD && reading.source == SourceId(3))
    );
}

#[test]
fn energy_is_one_reading_more() {
    let got = readings(C::HeartRateMeasurement, "1f0101320101000201ffff");
    assert_eq!(got.len(), 5);
    assert_eq!(got[1].kind, Kind::EnergyExpended);
    assert_eq!(
        got[4].quality,
        Quality::IMPLAUSIBLE,
        "64 s between two beats"
    );
}

#[test]
fn numbers_go_on_over_notifications_and_apart_by_source() {
    let decoded = decode(C::HeartRateMeasurement, &octets("104372038a03")).unwrap();
    let mut sequences = Sequences::default();
    assert_eq!(
        observe::readings(&decoded, origin(), &mut Memory::default(), &mut sequences).len(),
        3
    );
    let second = observe::readings(&decoded, origin(), &mut Memory::default(), &mut sequences);
    assert_eq!(
        (second[0].sequence, second[1].sequence, second[2].sequence),
        (1, 2, 3)
    );
    let other = Origin {
        source: SourceId(4),
        ..origin()
    };
    assert_eq!(
        observe::readings(&decoded, other, &mut Memory::default(), &mut sequences)[0].sequence,
        0
    );
}

#[test]
fn no_beats_per_minute_is_no_lock_not_an_asystole() {
    assert_eq!(
        readings(C::HeartRateMeasurement, "0600")[0].value,
        Value::Absent(Absence::NoLock)
    );
    assert_eq!(
        readings(C::HeartRateMeasurement, "0000")[0].value,
        Value::Absent(Absence::NoLock)
    );
    let off = readings(C::HeartRateMeasurement, "0400");
    assert_eq!(off[0].value, Value::Absent(Absence::NoContact));
    assert!(off[0].quality.has(Quality::NO_CONTACT));
}

#[test]
fn a_rate_without_contact_is_kept_and_not_used() {
    let got = readings(C::HeartRateMeasurement, "14509203");
    assert_eq!(got[0].value, Value::Measured(Fixed(80)));
    assert!(
        got.iter()
            .all(|reading| reading.quality.has(Quality::NO_CONTACT) && !reading.quality.usable())
    );
}

#[test]
fn finger_out_is_an_absence_with_its_reason() {
    let got = readings(C::PlxContinuous, "00ff07ff07");
    assert_eq!(kinds(&got), [Kind::OxygenSaturation, Kind::PulseRate]);
    assert!(
        got.iter()
            .all(|reading| reading.value == Value::Absent(Absence::NotANumber))
    );
    // With "sensor unconnected to user" (bit 11) the reason is better known.
    let got = readings(C::PlxContinuous, "08ff07ff07000800");
    assert!(
        got.iter()
            .all(|reading| reading.value == Value::Absent(Absence::NoContact))
    );
    let decoded = decode(C::PlxContinuous, &octets("08ff07ff07000800")).unwrap();
    assert_eq!(observe::contact(&decoded), Some(false));
}

#[test]
fn an_oximeter_gives_its_normal_pair_and_the_index() {
    let got = readings(C::PlxContinuous, "1fd4f36300d4f36000caf363000001000000cee2");
    assert_eq!(
        kinds(&got),
        [
            Kind::OxygenSaturation,
            Kind::PulseRate,
            Kind::PulseAmplitudeIndex
        ]
    );
    assert_eq!(got[0].value, Value::Measured(Fixed(980)));
    assert_eq!(got[1].value, Value::Measured(Fixed(990)));
    assert_eq!(got[2].value, Value::Measured(Fixed(718)));
}

#[test]
fn what_the_device_disowns_is_absent() {
    // Measurement status bit 15: invalid.
    let got = readings(C::PlxContinuous, "04610060000080");
    assert_eq!(got[0].value, Value::Absent(Absence::NotANumber));
}

#[test]
fn demonstration_data_is_marked() {
    let got = readings(C::PlxContinuous, "04610060000004");
    assert!(
        got.iter()
            .all(|reading| reading.quality == Quality::DEVICE_TEST && !reading.quality.usable())
    );
}

#[test]
fn an_unset_clock_is_replaced_and_marked() {
    let got = readings(C::PlxSpotCheck, "1761006000e10701010122132000200000");
    assert!(got.iter().all(|reading| reading.effective == RECEIVED));
    assert!(
        got[0].quality.has(Quality::CLOCK_REPAIRED),
        "device says: clock not set"
    );
    assert!(
        got[0].quality.has(Quality::QUESTIONABLE),
        "sensor status bit 5: low perfusion"
    );
}

fn thermometer(time: Option<DateTime>) -> Reading {
    let value = TemperatureMeasurement {
        value: Number::new(368, -1),
        unit: TemperatureUnit::Celsius,
        time,
        site: None,
    };
    observe::readings(
        &Decoded::Temperature(value),
        origin(),
        &mut Memory::default(),
        &mut Sequences::default(),
    )[0]
}

#[test]
fn a_stamp_is_believed_within_a_year_and_two_minutes() {
    let at = |time: Time| thermometer(DateTime::from_utc(time));
    let hour_ago = RECEIVED - Span::from_mins(60);
    assert_eq!(
        (at(hour_ago).effective, at(hour_ago).quality),
        (hour_ago, Quality::GOOD)
    );
    let ahead = RECEIVED + Span::from_mins(1);
    assert_eq!(
        (at(ahead).effective, at(ahead).quality),
        (RECEIVED, Quality::GOOD)
    );
    // Three minutes or some time zone ahead: it cannot have been later than now.
    for ahead in [3, 14 * 60] {
        let got = at(RECEIVED + Span::from_mins(ahead));
        assert_eq!(
            (got.effective, got.quality),
            (RECEIVED, Quality::CLOCK_REPAIRED)
        );
    }
    let unknown = Quality::CLOCK_REPAIRED.with(Quality::CLOCK_UNKNOWN);
    for wrong in [
        RECEIVED + Span::from_mins(15 * 60),
        RECEIVED - Span::from_mins(367 * 24 * 60),
        Time::ZERO,
    ] {
        let got = at(wrong);
        assert_eq!((got.effective, got.quality), (RECEIVED, unknown));
        assert!(!got.quality.usable(), "it may have been measured long ago");
        assert_eq!(got.device.map(|device| device.stamp), Some(wrong));
    }
    let unknown_year = DateTime {
        year: 0,
        month: 4,
        day: 17,
        hour: 20,
        minute: 41,
        second: 59,
    };
    let got = thermometer(Some(unknown_year));
    assert_eq!((got.quality, got.device), (unknown, None));
    assert_eq!(thermometer(None).quality, Quality::GOOD);
}

#[test]
fn a_known_time_zone_is_taken_off() {
    let two_hours = Span::from_mins(120);
    let local = DateTime::from_utc(RECEIVED + two_hours);
    let value = TemperatureMeasurement {
        value: Number::new(368, -1),
        unit: TemperatureUnit::Celsius,
        time: local,
        site: None,
    };
    let zoned = Origin {
        clock_ahead: two_hours,
        ..origin()
    };
    let got = observe::readings(
        &Decoded::Temperature(value),
        zoned,
        &mut Memory::default(),
        &mut Sequences::default(),
    );
    assert_eq!(
        (got[0].effective, got[0].quality),
        (RECEIVED, Quality::GOOD)
    );
}

#[test]
fn fahrenheit_becomes_celsius() {
    assert_eq!(
        readings(C::TemperatureMeasurement, "01da0300ff")[0].value,
        Value::Measured(Fixed(3700))
    );
    assert_eq!(
        readings(C::TemperatureMeasurement, "01ffff7f00")[0].value,
        Value::Absent(Absence::NotANumber)
    );
}

#[test]
fn a_cuff_gives_three_pressures_and_a_pulse_in_mmhg() {
    let got = readings(C::BloodPressureMeasurement, "15bdf00b009ff03c001200");
    let pressures = [
        Kind::SystolicPressure,
        Kind::DiastolicPressure,
        Kind::MeanPressure,
        Kind::PulseRate,
    ];
    assert_eq!(kinds(&got), pressures);
    assert_eq!(got[0].value, Value::Measured(Fixed(1418)), "18.9 kPa");
    assert!(got[0].quality.has(Quality::QUESTIONABLE), "cuff too loose");
    let got = readings(
        C::BloodPressureMeasurement,
        "def6f416f3ff07e4070114082b00b2f2018000",
    );
    assert_eq!(got[0].value, Value::Measured(Fixed(1270)));
    assert_eq!(got[2].value, Value::Absent(Absence::NotANumber));
    assert!(
        got[0].quality.has(Quality::CLOCK_REPAIRED),
        "2020 is years off"
    );
}

#[test]
fn an_intermediate_temperature_is_an_estimate() {
    assert_eq!(
        readings(C::IntermediateTemperature, "006c0100ff")[0].quality,
        Quality::ESTIMATE
    );
}

#[test]
fn sensor_nonsense_is_kept_and_marked() {
    let got = readings(C::TemperatureMeasurement, "00e80300ff");
    assert_eq!(
        (got[0].value, got[0].quality),
        (Value::Measured(Fixed(10_000)), Quality::IMPLAUSIBLE)
    );
    let got = readings(C::TemperatureMeasurement, "000100007f");
    assert_eq!(
        got[0].value,
        Value::Absent(Absence::NotAtThisResolution),
        "1e127 degrees fit nowhere"
    );
}

#[test]
fn battery_and_steps_are_readings_and_names_are_not() {
    assert_eq!(
        readings(C::BatteryLevel, "51")[0].value,
        Value::Measured(Fixed(81))
    );
    assert_eq!(
        readings(C::MotionStepCount, "10270000")[0].value,
        Value::Measured(Fixed(10_000))
    );
    assert!(readings(C::ModelNumber, "483130").is_empty());
}
