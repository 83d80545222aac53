//! Devices that store and send later: record access, glucose, cuffs, scales.

use vitals::gatt::{
    CgmFeatures, CgmRecord, CgmSessionStart, Characteristic as C, CurrentTime, DateTime, Decoded,
    LocalTimeInfo, Mark, MiScale, Number, RecordAccess, RecordOp, RecordOutcome, Records, decode,
};
use vitals::observe::{self, Memory, Origin, Sequences};
use vitals::{Absence, Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value};

use crate::vectors::octets;

/// 2026-11-21T20:00:00Z.
const RECEIVED: Time = Time::from_micros(1_795_291_200_000_000);
const HOUR: Span = Span::from_mins(60);

fn readings(decoded: &Decoded, memory: &mut Memory) -> Vec<Reading> {
    let origin = Origin {
        source: SourceId(3),
        received: RECEIVED,
        clock_ahead: Span::ZERO,
    };
    observe::readings(decoded, origin, memory, &mut Sequences::default())
}

fn of_hex(characteristic: C, hex: &str) -> Vec<Reading> {
    readings(
        &decode(characteristic, &octets(hex)).unwrap(),
        &mut Memory::default(),
    )
}

fn measured(readings: &[Reading]) -> Vec<(Kind, i64)> {
    let number = |reading: &Reading| match reading.value {
        Value::Measured(Fixed(number)) => Some((reading.kind, number)),
        Value::Absent(_) => None,
    };
    readings.iter().filter_map(number).collect()
}

#[test]
fn records_after_the_last_one_are_asked_for() {
    let asked = |last| RecordAccess::report_after(last).encode().unwrap();
    assert_eq!(asked(None), [1, 1]);
    assert_eq!(asked(Some(41)), [1, 3, 1, 42, 0]);
    assert_eq!(asked(Some(u16::MAX)), [1, 1], "no number comes after it");
    assert_eq!(RecordAccess::Abort.encode().unwrap(), [3, 0]);
}

#[test]
fn record_access_by_the_book() {
    let parse = |hex| RecordAccess::decode(&octets(hex));
    assert_eq!(
        parse("06000101"),
        Ok(RecordAccess::Response {
            request: RecordOp::Report,
            outcome: RecordOutcome::Success
        })
    );
    assert_eq!(parse("05000700"), Ok(RecordAccess::Counted(7)));
    let from_to = Records::Within(Mark::Sequence(1), Mark::Sequence(2));
    assert_eq!(parse("04040101000200"), Ok(RecordAccess::Count(from_to)));
    let wide = Records::AtLeast(Mark::Record(0x0102_0304));
    assert_eq!(parse("01030104030201"), Ok(RecordAccess::Report(wide)));
    for wrong in ["", "01", "0100", "0103", "010301ff", "0301", "0901", "0107"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_meters_record_is_milligrams_per_decilitre_at_its_own_time() {
    // 0.0059 mol/L, capillary, location not told; 2026-11-21 17:00 plus 60 minutes.
    let got = of_hex(C::GlucoseMeasurement, "070100ea070b151100003c003bc0f1");
    assert_eq!(measured(&got), [(Kind::BloodGlucose, 1063)]);
    assert_eq!(got[0].effective, RECEIVED - Span::from_mins(120));
    assert_eq!(got[0].quality.sampled(), (1, 15));
    assert!(got[0].quality.usable());
}

#[test]
fn a_meters_doubts_are_kept() {
    let with_status = |fluid: &str, status: &str| {
        of_hex(
            C::GlucoseMeasurement,
            &format!("0a0100ea070b1514000078b0{fluid}{status}"),
        )[0]
    };
    assert_eq!(
        with_status("11", "0000").value,
        Value::Measured(Fixed(1200))
    );
    assert!(with_status("1a", "0000").quality.has(Quality::DEVICE_TEST));
    assert!(!with_status("1a", "0000").quality.usable());
    assert!(with_status("11", "0400").quality.has(Quality::QUESTIONABLE));
    assert_eq!(
        with_status("11", "2000").value,
        Value::Absent(Absence::PositiveInfinity)
    );
    assert_eq!(
        with_status("11", "4000").value,
        Value::Absent(Absence::NegativeInfinity)
    );
    assert!(
        with_status("11", "0008")
            .quality
            .has(Quality::CLOCK_REPAIRED)
    );
}

#[test]
fn a_meal_has_the_time_of_its_glucose() {
    let mut memory = Memory::default();
    let record = decode(
        C::GlucoseMeasurement,
        &octets("120700ea070b15130000 78b011".replace(' ', "").as_str()),
    )
    .unwrap();
    let glucose = readings(&record, &mut memory);
    // Carbohydrates 0.045 kg, after a meal, HbA1c 6.5 %.
    let after = decode(
        C::GlucoseMeasurementContext,
        &octets("43070002 2dd0 02 41f0".replace(' ', "").as_str()),
    )
    .unwrap();
    let context = readings(&after, &mut memory);
    assert_eq!(
        measured(&context),
        [
            (Kind::MealContext, 2),
            (Kind::Carbohydrates, 450),
            (Kind::HaemoglobinA1c, 65)
        ]
    );
    assert!(
        context
            .iter()
            .all(|one| one.effective == glucose[0].effective && one.quality == Quality::GOOD)
    );
    // Of another record: its time is not known.
    let stray = decode(C::GlucoseMeasurementContext, &octets("02080002")).unwrap();
    assert_eq!(
        readings(&stray, &mut memory)[0].quality,
        Quality::CLOCK_REPAIRED.with(Quality::CLOCK_UNKNOWN)
    );
}

/// Found by the fuzzer.
#[test]
fn a_meal_never_lies_in_the_future_though_the_gateways_clock_stepped_back() {
    let mut memory = Memory::default();
    let origin = |received| Origin {
        source: SourceId(3),
        received,
        clock_ahead: Span::ZERO,
    };
    let record = decode(C::GlucoseMeasurement, &octets("120700ea070b1513000078b011")).unwrap();
    let mut sequences = Sequences::default();
    let later = RECEIVED - HOUR;
    let glucose = observe::readings(&record, origin(later), &mut memory, &mut sequences);
    assert_eq!(glucose[0].effective, later);
    let meal = decode(C::GlucoseMeasurementContext, &octets("02070002")).unwrap();
    let now = later - HOUR;
    let got = observe::readings(&meal, origin(now), &mut memory, &mut sequences);
    assert_eq!(got[0].effective, now);
}

fn monitor_record() -> CgmRecord {
    CgmRecord {
        glucose: Number::new(120, 0),
        time_offset_min: 30,
        status: None,
        caltemp: None,
        warning: None,
        trend: Some(Number::new(-15, -1)),
        quality: None,
        crc_ok: Some(true),
    }
}

#[test]
fn a_monitor_counts_from_its_session() {
    let mut memory = Memory::default();
    let record = Decoded::Cgm(vec![monitor_record()]);
    let lost = readings(&record, &mut memory);
    let unknown = Quality::CLOCK_REPAIRED.with(Quality::CLOCK_UNKNOWN);
    assert_eq!(lost[0].quality, unknown, "no session yet");
    // Began an hour ago; the device is at UTC+1 with daylight saving (another hour).
    let start = CgmSessionStart {
        time: DateTime::from_utc(RECEIVED - HOUR + HOUR + HOUR).unwrap(),
        time_zone: 4,
        dst: 4,
        crc_ok: None,
    };
    assert!(readings(&Decoded::CgmSessionStart(start), &mut memory).is_empty());
    let got = readings(&record, &mut memory);
    assert_eq!(
        measured(&got),
        [(Kind::InterstitialGlucose, 1200), (Kind::GlucoseRate, -150)]
    );
    assert_eq!(got[0].effective, RECEIVED - Span::from_mins(30));
    assert_eq!(got[0].quality, Quality::GOOD);
}

#[test]
fn a_broken_checksum_is_counted_and_no_reading() {
    let broken = CgmRecord {
        crc_ok: Some(false),
        ..monitor_record()
    };
    let octets = CgmRecord::encode(&[monitor_record(), broken]).unwrap();
    let decoded = decode(C::CgmMeasurement, &octets).unwrap();
    assert_eq!(observe::damaged(&decoded), 1);
    assert_eq!(readings(&decoded, &mut Memory::default()).len(), 2);
    let mut memory = Memory::default();
    let start = CgmSessionStart {
        time: DateTime::from_utc(RECEIVED - HOUR).unwrap(),
        time_zone: 0,
        dst: 0,
        crc_ok: Some(false),
    };
    readings(&Decoded::CgmSessionStart(start), &mut memory);
    let record = Decoded::Cgm(vec![monitor_record()]);
    assert_eq!(
        readings(&record, &mut memory)[0].quality,
        Quality::CLOCK_REPAIRED.with(Quality::CLOCK_UNKNOWN),
        "a damaged start starts nothing"
    );
}

#[test]
fn monitors_without_checksums_say_ffff() {
    let features = CgmFeatures {
        supported: 0x8000,
        fluid: 9,
        location: 5,
        crc_ok: None,
    };
    let octets = features.encode().unwrap();
    assert_eq!(octets, [0x00, 0x80, 0x00, 0x59, 0xFF, 0xFF]);
    assert_eq!(CgmFeatures::decode(&octets), Ok(features));
    let checked = CgmFeatures {
        crc_ok: Some(true),
        ..features
    };
    assert_eq!(CgmFeatures::decode(&checked.encode().unwrap()), Ok(checked));
}

#[test]
fn scales_speak_kilograms() {
    assert_eq!(
        measured(&of_hex(C::WeightMeasurement, "00204e")),
        [(Kind::BodyWeight, 100_000)]
    );
    // 220.46 lb, body mass index 30.9, 70.9 inches.
    assert_eq!(
        measured(&of_hex(C::WeightMeasurement, "091e563501c502")),
        [
            (Kind::BodyWeight, 99_999),
            (Kind::BodyMassIndex, 309),
            (Kind::BodyHeight, 1801)
        ]
    );
    let failed = of_hex(C::WeightMeasurement, "00ffff");
    assert_eq!(failed[0].value, Value::Absent(Absence::NotANumber));
}

#[test]
fn what_a_body_is_made_of() {
    let got = of_hex(C::BodyComposition, "9803c500a01b7c013c2f74205212");
    assert_eq!(
        measured(&got),
        [
            (Kind::BodyFat, 197),
            (Kind::BasalMetabolism, 7072),
            (Kind::MusclePart, 380),
            (Kind::SoftLeanMass, 60_460),
            (Kind::BodyWaterMass, 41_540),
            (Kind::BodyImpedance, 4690)
        ]
    );
}

#[test]
fn a_weight_that_still_moves_is_no_reading() {
    let still = |control| {
        let mut value = MiScale::decode(&octets("0204e307011d1135010000743b")).unwrap();
        value.control = control;
        readings(&Decoded::MiScale(value), &mut Memory::default())
    };
    assert!(still([2, 4]).is_empty());
    assert_eq!(measured(&still([2, 0x24])), [(Kind::BodyWeight, 76_100)]);
}

#[test]
fn an_enhanced_cuff_is_a_cuff() {
    // 138/88, mean NaN, 2026-11-21T19:59:50Z in seconds since 2000, pulse 60.
    let seconds = u32::try_from(1_795_291_190_i64 - 946_684_800).unwrap();
    let mut value = octets("468a005800ff07");
    value.extend(seconds.to_le_bytes());
    value.extend(octets("3c00"));
    let got = readings(
        &decode(C::EnhancedBloodPressure, &value).unwrap(),
        &mut Memory::default(),
    );
    assert_eq!(
        measured(&got),
        [
            (Kind::SystolicPressure, 1380),
            (Kind::DiastolicPressure, 880),
            (Kind::PulseRate, 600)
        ]
    );
    assert_eq!(got[0].effective, RECEIVED - Span::from_secs(10));
}

#[test]
fn the_clock_that_is_written_to_a_device() {
    let now = RECEIVED + Span::from_millis(500);
    let value = CurrentTime::at(now, HOUR, 1).unwrap();
    // 2026-11-21 is a Saturday.
    assert_eq!(
        value.encode().unwrap(),
        [0xEA, 0x07, 11, 21, 21, 0, 0, 6, 128, 1]
    );
    let zone = |time_zone, dst| LocalTimeInfo { time_zone, dst }.ahead();
    assert_eq!(zone(4, 4), Some(HOUR + HOUR));
    assert_eq!(zone(-20, 0), Some(Span::from_mins(-300)));
    assert_eq!(zone(-128, 0), None);
    assert_eq!(zone(0, 255), None);
}

/// Spot checks of a device whose battery was changed, made and sent half an hour apart; its clock cannot be read.
#[test]
fn quarantined_readings_are_released_when_the_clock_becomes_known() {
    let mut memory = Memory::default();
    let mut sequences = Sequences::default();
    let mut deliver = |number: i64| {
        let up = Span::from_mins(30 * number);
        let time = DateTime::from_utc(Time::ZERO + Span::from_secs(7) + up).unwrap();
        let mut value = vec![0x01, 90 + u8::try_from(number).unwrap(), 0, 72, 0];
        value.extend(time.to_octets());
        let origin = Origin {
            source: SourceId(3),
            received: RECEIVED + up,
            clock_ahead: Span::ZERO,
        };
        let spot = decode(C::PlxSpotCheck, &value).unwrap();
        observe::readings(&spot, origin, &mut memory, &mut sequences)
    };
    let of = |readings: Vec<Reading>| -> Vec<Reading> {
        let mut readings = readings;
        readings.retain(|reading| reading.kind == Kind::OxygenSaturation);
        readings
    };
    let unknown = |reading: &Reading| reading.quality.has(Quality::CLOCK_UNKNOWN);
    for number in 0..2 {
        let quarantined = of(deliver(number));
        assert_eq!(quarantined.len(), 1);
        assert!(unknown(&quarantined[0]) && !quarantined[0].quality.usable());
    }
    // The third agrees with them: all three have a time now, and the quarantined ones come again.
    let all = of(deliver(2));
    let numbers: Vec<_> = all
        .iter()
        .map(|reading| (reading.value, reading.sequence))
        .collect();
    let percent = |percent: i64, sequence| (Value::Measured(Fixed(percent * 10)), sequence);
    assert_eq!(numbers, [percent(92, 2), percent(90, 3), percent(91, 4)]);
    for (reading, number) in all.iter().zip([2, 0, 1]) {
        assert!(!unknown(reading) && reading.quality.has(Quality::CLOCK_REPAIRED));
        let taken = RECEIVED + Span::from_mins(30 * number);
        let device = reading.device.expect("its own stamp");
        let off = reading.effective.since(taken).as_micros().abs();
        assert!(off <= device.uncertainty.as_micros(), "{reading:?}");
        assert!(device.uncertainty < Span::from_mins(3));
        assert_eq!(
            device.stamp,
            Time::from_micros(7_000_000) + Span::from_mins(30 * number)
        );
    }
    assert_eq!(of(deliver(3)).len(), 1, "released once");
}
