//! Generic health sensors, watches that print lines, and adverts.

use vitals::gatt::bangle::{BangleLine, Lines};
use vitals::gatt::ghs::{Segment, Segments};
use vitals::gatt::{Advert, BtHome, Characteristic as C, Decoded, Number, UartPiece, decode};
use vitals::observe::{self, Memory, Origin, Sequences};
use vitals::{Absence, Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value};

use crate::vectors::octets;

/// 2026-11-21T20:00:00Z.
const RECEIVED: Time = Time::from_micros(1_795_291_200_000_000);

const ORIGIN: Origin = Origin {
    source: SourceId(3),
    received: RECEIVED,
    clock_ahead: Span::ZERO,
};

fn readings(decoded: &Decoded, memory: &mut Memory) -> Vec<Reading> {
    observe::readings(decoded, ORIGIN, memory, &mut Sequences::default())
}

fn measured(readings: &[Reading]) -> Vec<(Kind, i64)> {
    let number = |reading: &Reading| match reading.value {
        Value::Measured(Fixed(number)) => Some((reading.kind, number)),
        Value::Absent(_) => None,
    };
    readings.iter().filter_map(number).collect()
}

/// A blood pressure of 100/60, mean 80, and a bundle of SpO2 98 % and pulse 98: octets as an STMicroelectronics
/// example sends them, the time changed to 2026-11-21T19:59:50Z.
const PRESSURE: &str = "073500 1300 044a0200 22b6b4943200000600 40e20100 03\
    054a0200 01 200f 64000000 064a0200 01 200f 3c000000 074a0200 01 200f 50000000";
const BUNDLE: &str = "ff2f00 4200 22b6b4943200000600 01 3c4c0200 02\
    010c00 0100 b84b0200 2002 62000000 010c00 0100 1a480200 a00a 62000000";

fn health(hex: &str) -> Vec<u8> {
    octets(&hex.replace(' ', ""))
}

#[test]
fn a_health_sensor_says_what_it_measures() {
    for (hex, expected) in [
        (
            PRESSURE,
            vec![
                (Kind::SystolicPressure, 1000),
                (Kind::DiastolicPressure, 600),
                (Kind::MeanPressure, 800),
            ],
        ),
        (
            BUNDLE,
            vec![(Kind::OxygenSaturation, 980), (Kind::PulseRate, 980)],
        ),
    ] {
        let mut value = vec![3];
        value.extend(health(hex));
        let decoded = decode(C::LiveHealthObservations, &value).unwrap();
        assert_eq!(decoded.encode().unwrap(), value);
        let got = readings(&decoded, &mut Memory::default());
        assert_eq!(measured(&got), expected);
        assert_eq!(got[0].effective, RECEIVED - Span::from_secs(10));
    }
}

#[test]
fn segments_are_joined_and_a_lost_one_gives_the_observation_up() {
    let whole = health(PRESSURE);
    let (first, rest) = whole.split_at(20);
    let (second, third) = rest.split_at(20);
    let segment = |head: u8, octets: &[u8]| {
        let mut value = vec![head];
        value.extend(octets);
        Segment::decode(&value).unwrap()
    };
    let first = segment(1 | 7 << 2, first);
    let second = segment(8 << 2, second);
    let third = segment(2 | 9 << 2, third);
    let mut segments = Segments::default();
    assert_eq!(segments.take(&first), Ok(None));
    assert_eq!(segments.take(&second), Ok(None));
    assert!(segments.take(&third).unwrap().is_some());
    assert_eq!(segments.take(&first), Ok(None));
    assert!(segments.take(&third).is_err(), "the middle is missing");
    assert!(segments.take(&second).is_err(), "nothing was begun");
}

#[test]
fn a_unit_is_never_guessed() {
    // SpO2 in mmHg.
    let mut value = vec![3];
    value.extend(health("010c00 0100 b84b0200 200f 62000000"));
    let decoded = decode(C::LiveHealthObservations, &value).unwrap();
    assert!(readings(&decoded, &mut Memory::default()).is_empty());
}

#[test]
fn a_watch_prints_lines_in_pieces() {
    let mut memory = Memory::default();
    let mut print = |text: &str| {
        let piece = UartPiece::decode(text.as_bytes()).unwrap();
        measured(&readings(&Decoded::Uart(piece), &mut memory))
    };
    assert_eq!(print("{\"t\":\"act\",\"hr"), []);
    assert_eq!(
        print("m\":72,\"stp\":31}\r\n"),
        [(Kind::HeartRate, 72), (Kind::StepsTaken, 31)]
    );
    assert_eq!(
        print("{\"t\":\"status\",\"bat\":81,\"volt\":4.1}\n"),
        [(Kind::BatteryLevel, 81)]
    );
    assert_eq!(print(">reset()\n{\"t\":\"notify\",\"hrm\":50}\n"), []);
}

#[test]
fn a_rate_that_the_watch_doubts_is_marked_and_none_is_absent() {
    let line = |text: &str| {
        let piece = UartPiece::decode(text.as_bytes()).unwrap();
        readings(&Decoded::Uart(piece), &mut Memory::default())[0]
    };
    assert_eq!(
        line("{\"t\":\"hrm\",\"bpm\":80,\"conf\":20}\n").quality,
        Quality::QUESTIONABLE
    );
    assert_eq!(
        line("{\"t\":\"act\",\"hrm\":0}\n").value,
        Value::Absent(Absence::NoLock)
    );
}

#[test]
fn only_whole_lines_of_ours_are_read() {
    let nested = br#"{ "t" : "act" , "x":{"hrm":1,"y":["}"]} , "hrm":-3.5e, "stp":12}"#;
    let read = BangleLine::parse(nested).unwrap();
    assert_eq!(
        (read.heart_rate, read.steps),
        (None, Some(Number::new(12, 0)))
    );
    for text in [
        "",
        "{",
        "{}",
        "[1]",
        "{\"t\":\"act\"",
        "{\"t\":\"act\"}x",
        "{\"hrm\":1}",
    ] {
        assert_eq!(BangleLine::parse(text.as_bytes()), None, "{text}");
    }
    let mut lines = Lines::default();
    assert!(lines.take(&[b'x'; 600]).is_empty());
    assert!(
        lines.take(b"{\"t\":\"act\",\"hrm\":1}\n").is_empty(),
        "the rest of a long line"
    );
    assert_eq!(lines.take(b"{\"t\":\"act\",\"hrm\":1}\n").len(), 1);
}

#[test]
fn home_sensors_in_adverts() {
    // The format's own example: temperature 25.06, humidity 50.55.
    let read = BtHome::decode(&octets("4002ca0903bf13")).unwrap();
    assert_eq!(read.get("temperature"), Some(Number::new(2506, -2)));
    assert_eq!(read.get("humidity"), Some(Number::new(5055, -2)));
    let below = BtHome::decode(&octets("4002f0d8")).unwrap();
    assert_eq!(below.get("temperature"), Some(Number::new(-10_000, -2)));
    let newer = BtHome::decode(&octets("40015df1aabb")).unwrap();
    assert_eq!((newer.objects.len(), newer.unknown), (1, Some(0xF1)));
    let encrypted = BtHome::decode(&octets("41e445f3c962332211006c7c4519"));
    let text = encrypted.unwrap_err().to_string();
    assert!(text.contains("encryption"), "{text}");
    assert!(BtHome::decode(&octets("2002ca09")).is_err(), "version 1");
    assert!(BtHome::decode(&octets("4002ca")).is_err(), "cut off");
}

#[test]
fn an_advert_is_a_reading_once() {
    let hex = "02010603020d1807ff6b003b1b5452020a001209506f6c6172204837204437393034433134";
    let advert = Advert::decode(&octets(hex)).unwrap();
    let mut memory = Memory::default();
    let mut sequences = Sequences::default();
    let got = observe::advert(&advert, ORIGIN, &mut memory, &mut sequences);
    assert_eq!(measured(&got), [(Kind::HeartRate, 84)]);
    assert!(observe::advert(&advert, ORIGIN, &mut memory, &mut sequences).is_empty());
    let room = Advert::decode(&octets("0916d2fc4002ca09015d0409414243")).unwrap();
    let got = observe::advert(&room, ORIGIN, &mut memory, &mut sequences);
    assert_eq!(
        measured(&got),
        [(Kind::RoomTemperature, 2506), (Kind::BatteryLevel, 93)]
    );
    assert!(Advert::decode(&octets("0a16d2fc")).is_err());
}
