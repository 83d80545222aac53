//! What is written reads back as the same value.

use proptest::prelude::*;
use vitals::gatt::{self, DateTime, Number, Special, Validity};
use vitals::{Span, Time};

use crate::samples;

proptest! {
    #[test]
    fn every_value_reads_back((characteristic, value) in samples::anything()) {
        let octets = value.encode().unwrap();
        prop_assert_eq!(gatt::decode(characteristic, &octets), Ok(value));
    }

    /// A cut value is refused, or (an RR list, a text) is a shorter value that the specification allows.
    #[test]
    fn a_cut_value_is_never_half_decoded((characteristic, value) in samples::anything(), cut in 1..20_usize) {
        use gatt::Characteristic as C;
        let octets = value.encode().unwrap();
        let kept = &octets[..octets.len().saturating_sub(cut)];
        let Ok(decoded) = gatt::decode(characteristic, kept) else { return Ok(()) };
        match (&value, &decoded) {
            (gatt::Decoded::HeartRate(whole), gatt::Decoded::HeartRate(short)) => {
                prop_assert!(whole.rr_1024.starts_with(&short.rr_1024));
                prop_assert_eq!((whole.bpm, whole.contact, whole.energy_kj), (short.bpm, short.contact, short.energy_kj));
                prop_assert_eq!(cut % 2, 0, "half an interval was dropped");
            }
            (gatt::Decoded::Cgm(whole), gatt::Decoded::Cgm(short)) => prop_assert!(whole.starts_with(short)),
            // A frame has as many samples as fit, and a request as many settings.
            (gatt::Decoded::Polar(_) | gatt::Decoded::PolarControl(_), _) => {}
            // Their checksum is optional, and so is the second half of a record number.
            (gatt::Decoded::CgmStatus(_)
            | gatt::Decoded::CgmSessionStart(_)
            | gatt::Decoded::CgmRunTime(_)
            | gatt::Decoded::CgmControl(_)
            | gatt::Decoded::RecordAccess(_), _) => prop_assert!(matches!(cut, 2 | 4), "{decoded:?}"),
            _ => prop_assert!(characteristic == C::ModelNumber || kept.len() == octets.len(), "{decoded:?}"),
        }
    }

    #[test]
    fn every_moment_has_a_date_and_back(time in samples::moment()) {
        let date = DateTime::from_utc(time).unwrap();
        prop_assert_eq!(date.validity(), Validity::Complete);
        prop_assert_eq!(date.as_if_utc(), Some(time));
        prop_assert_eq!(date.to_string(), date_by_counting(time));
    }

    #[test]
    fn the_nearest_number_is_near(value in -200.0..200.0_f64, decimals in 0..3_u8) {
        let sfloat = Number::nearest_sfloat(value, decimals).to_f64().unwrap();
        let float = Number::nearest_float(value, decimals).to_f64().unwrap();
        let step = 10_f64.powi(-i32::from(decimals));
        prop_assert!((float - value).abs() <= step / 2.0 + 1e-9);
        // An SFLOAT has three digits to spend.
        prop_assert!((sfloat - value).abs() <= step.max(value.abs() / 2045.0 * 10.0) / 2.0 + 1e-9);
    }

    #[test]
    fn scaling_agrees_with_floating_point(bits in any::<u16>(), decimals in 0..3_u8) {
        let Number::Finite(decimal) = Number::from_sfloat(bits) else { return Ok(()) };
        let scaled = decimal.scaled(decimals).unwrap();
        let expected = decimal.to_f64() * 10_f64.powi(i32::from(decimals));
        #[expect(clippy::cast_precision_loss, reason = "an SFLOAT's numbers are far below 2^53")]
        let difference = (scaled as f64 - expected).abs();
        prop_assert!(difference <= 0.5 + 1e-6, "{decimal:?}: {scaled} for {expected}");
    }
}

/// The date by counting days one by one from a known one: slow, and too simple to be wrong.
fn date_by_counting(time: Time) -> String {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let seconds = time.as_micros().div_euclid(1_000_000);
    let (mut days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += if leap(year) { 366 } else { 365 };
    }
    while days >= if leap(year) { 366 } else { 365 } {
        days -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let lengths = [
        31,
        if leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!(
        "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}",
        month + 1,
        days + 1
    )
}

#[test]
fn every_sfloat_pattern_survives() {
    for bits in 0..=u16::MAX {
        assert_eq!(Number::from_sfloat(bits).to_sfloat(), Some(bits));
    }
}

#[test]
fn every_special_survives_both_widths() {
    for special in Special::ALL {
        let number = Number::Special(special);
        assert_eq!(Number::from_sfloat(number.to_sfloat().unwrap()), number);
        assert_eq!(Number::from_float(number.to_float().unwrap()), number);
        assert_eq!(number.to_f64(), None);
    }
}

#[test]
fn numbers_that_would_read_as_special_are_not_written() {
    for mantissa in [2046, 2047, -2048, -2047, -2046] {
        assert_eq!(Number::new(mantissa, 0).to_sfloat(), None);
        assert!(
            Number::new(mantissa, 1).to_sfloat().is_some(),
            "special only at exponent 0"
        );
    }
    assert_eq!(Number::new(0x7F_FFFF, 0).to_float(), None);
    assert_eq!(Number::new(2048, 0).to_sfloat(), None);
    assert_eq!(Number::new(1, 8).to_sfloat(), None);
}

#[test]
fn what_is_not_finite_becomes_special() {
    assert_eq!(
        Number::nearest_sfloat(f64::NAN, 1),
        Number::Special(Special::NaN)
    );
    assert_eq!(
        Number::nearest_sfloat(f64::INFINITY, 1),
        Number::Special(Special::PositiveInfinity)
    );
    assert_eq!(
        Number::nearest_sfloat(-1e300, 1),
        Number::Special(Special::NegativeInfinity)
    );
    assert_eq!(Number::nearest_sfloat(98.04, 1), Number::new(980, -1));
    assert_eq!(
        Number::nearest_sfloat(250.0, 1),
        Number::new(250, 0),
        "2500 does not fit 12 bits"
    );
}

#[test]
fn dates_that_do_not_exist_have_no_moment() {
    let date = |year, month, day, hour| DateTime {
        year,
        month,
        day,
        hour,
        minute: 0,
        second: 0,
    };
    assert_eq!(date(2024, 2, 29, 0).validity(), Validity::Complete);
    assert_eq!(date(2100, 2, 29, 0).validity(), Validity::Impossible);
    assert_eq!(date(2023, 4, 31, 0).validity(), Validity::Impossible);
    assert_eq!(date(2023, 13, 1, 0).validity(), Validity::Impossible);
    assert_eq!(date(2023, 1, 1, 24).validity(), Validity::Impossible);
    assert_eq!(date(0, 4, 17, 20).validity(), Validity::Unknown);
    assert_eq!(date(2023, 0, 17, 20).validity(), Validity::Unknown);
    assert_eq!(date(0, 4, 17, 20).as_if_utc(), None);
    assert_eq!(
        date(1970, 1, 1, 1).as_if_utc(),
        Some(Time::ZERO + Span::from_mins(60))
    );
}
