//! Corners of the specifications that the shared vectors do not reach.

use vitals::gatt::{
    BodyLocation, Characteristic as C, DecodeError, Decoded, DeviceText, HeartRateMeasurement,
    Layout, Number, SensorStatus, TemperatureUnit, Uuid, decode, uuid,
};

use crate::vectors::octets;

fn heart_rate(hex: &str) -> Result<HeartRateMeasurement, DecodeError> {
    HeartRateMeasurement::decode(&octets(hex))
}

#[test]
fn contact_counts_only_where_it_is_supported() {
    assert_eq!(heart_rate("0240").unwrap().contact, None);
    assert_eq!(heart_rate("0440").unwrap().contact, Some(false));
    assert_eq!(heart_rate("0640").unwrap().contact, Some(true));
}

#[test]
fn reserved_flags_are_passed_over_and_may_bring_octets() {
    assert_eq!(heart_rate("e040").unwrap().bpm, 64);
    assert_eq!(heart_rate("20400102").unwrap().bpm, 64);
    assert_eq!(
        heart_rate("004001"),
        Err(DecodeError::Trailing { octets: 1 })
    );
}

#[test]
fn a_cut_value_names_its_field() {
    let short = |field, need, got| Err(DecodeError::Short { field, need, got });
    assert_eq!(heart_rate(""), short("flags", 1, 0));
    assert_eq!(heart_rate("00"), short("bpm", 1, 0));
    assert_eq!(heart_rate("0140"), short("bpm", 2, 1));
    assert_eq!(heart_rate("084001"), short("energy_kj", 2, 1));
    assert_eq!(heart_rate("1039230435"), short("rr_1024", 2, 1));
    let text = heart_rate("1039230435").unwrap_err().to_string();
    assert!(text.contains("rr_1024") && text.contains("MTU"), "{text}");
}

#[test]
fn a_spot_check_with_everything() {
    let cut = decode(
        C::PlxSpotCheck,
        &octets("0facf3bef5e8070b1d1708392040220000"),
    );
    assert_eq!(
        cut.unwrap_err(),
        DecodeError::Short {
            field: "pai",
            need: 2,
            got: 0
        }
    );
    let Decoded::SpotCheck(value) = decode(
        C::PlxSpotCheck,
        &octets("0facf3bef5e8070b1d170839204022000066e3"),
    )
    .unwrap() else {
        panic!("another kind of value");
    };
    assert_eq!(value.normal.spo2, Number::new(940, -1));
    assert_eq!(value.normal.pulse_rate, Number::new(1470, -1));
    assert_eq!(value.time.unwrap().to_string(), "2024-11-29T23:08:57");
    assert!(
        value
            .sensor_status
            .unwrap()
            .has(SensorStatus::LOW_PERFUSION)
    );
    assert_eq!(value.pai, Some(Number::new(870, -2)));
    assert!(!value.clock_not_set);
}

#[test]
fn fahrenheit_is_told_apart() {
    let Decoded::Temperature(value) =
        decode(C::TemperatureMeasurement, &octets("01da0300ff")).unwrap()
    else {
        panic!("another kind of value");
    };
    assert_eq!(
        (value.value, value.unit),
        (Number::new(986, -1), TemperatureUnit::Fahrenheit)
    );
}

#[test]
fn battery_above_a_hundred_is_refused() {
    assert!(decode(C::BatteryLevel, &[100]).is_ok());
    let error = decode(C::BatteryLevel, &[101]).unwrap_err();
    assert_eq!(error.reason(), "bad_value");
    assert!(decode(C::BatteryLevel, &[100, 0]).is_err());
}

#[test]
fn a_mi_scale_is_not_half_decoded_as_the_standard_layout() {
    let value = octets("0204e307011d1135010000743b");
    let error = decode(C::BodyComposition, &value).unwrap_err();
    assert!(error.to_string().contains("Mi scale"), "{error}");
    assert!(matches!(
        Layout::of_device("MIBFS").decode(C::BodyComposition, &value),
        Ok(Decoded::MiScale(_))
    ));
    assert_eq!(Layout::of_device("mibcs"), Layout::MiScale);
    assert_eq!(Layout::of_device("Beurer BF105"), Layout::Sig);
    assert_eq!(Layout::of_device("M\u{ef}"), Layout::Sig);
}

#[test]
fn a_glucose_record_of_another_size_than_its_flags_is_refused() {
    assert!(decode(C::CgmMeasurement, &octets("06000c100600")).is_ok());
    assert!(decode(C::CgmMeasurement, &octets("07000c100600")).is_err());
    assert!(decode(C::CgmMeasurement, &octets("00000c100600")).is_err());
    assert!(decode(C::CgmMeasurement, &octets("09000c100600010203")).is_err());
    let Decoded::Cgm(records) =
        decode(C::CgmMeasurement, &octets("06000c10050006000c100600")).unwrap()
    else {
        panic!("another kind of value");
    };
    assert_eq!(records.len(), 2);
}

#[test]
fn reserved_codes_are_kept() {
    assert_eq!(
        decode(C::BodySensorLocation, &[1]),
        Ok(Decoded::BodyLocation(BodyLocation::Chest))
    );
    assert_eq!(
        decode(C::BodySensorLocation, &[7]),
        Ok(Decoded::BodyLocation(BodyLocation::Reserved(7)))
    );
}

#[test]
fn device_text_can_neither_move_the_cursor_nor_turn_the_line() {
    let text = |octets: &[u8]| DeviceText::from_octets(octets).as_str().to_string();
    assert_eq!(text(b"Polar H10\0\0"), "Polar H10");
    assert_eq!(text(b" \x1b[2JH10\r\n"), "[2JH10");
    assert_eq!(text("abc\u{202E}fed".as_bytes()), "abcfed");
    assert_eq!(text(&[0x48, 0xFF, 0x31]), "H\u{FFFD}1");
    assert_eq!(text("\u{e9}".repeat(200).as_bytes()).chars().count(), 64);
    assert_eq!(text(&[]), "");
}

#[test]
fn the_table_has_no_uuid_twice_and_finds_each() {
    for characteristic in C::ALL.iter().copied() {
        assert_eq!(C::from_uuid(characteristic.uuid()), Ok(characteristic));
    }
    let unknown = uuid(0x2A9B);
    assert_eq!(
        C::from_uuid(unknown),
        Err(DecodeError::UnknownCharacteristic { uuid: unknown })
    );
    assert_eq!(
        Uuid(unknown).to_string(),
        "00002a9b-0000-1000-8000-00805f9b34fb"
    );
    assert_eq!(
        Uuid(C::MotionStepCount.uuid()).to_string(),
        "00030001-78fc-48fe-8e23-433b3a1942d0"
    );
}
