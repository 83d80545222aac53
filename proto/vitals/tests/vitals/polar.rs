//! Polar sensors: waveform blocks and pulse intervals.

use vitals::gatt::{
    Characteristic as C, Decoded, Packing, PmdControl, PmdData, PmdFrame, PmdSetting, PmdType,
    PulseInterval, decode,
};
use vitals::observe::{self, Memory, Origin, Sequences};
use vitals::{Fixed, Kind, Quality, SourceId, Span, Time, Value, Wave, Waveform};

use crate::vectors::octets;

/// 2026-11-21T20:00:00Z.
const RECEIVED: Time = Time::from_micros(1_795_291_200_000_000);

fn ecg(timestamp_ns: u64, samples: usize) -> Decoded {
    Decoded::Polar(PmdFrame {
        what: PmdType::Ecg,
        recording: 0,
        timestamp_ns,
        frame_type: 0,
        data: PmdData::Samples {
            channels: 1,
            packing: Packing::Plain(3),
            values: vec![250; samples],
        },
    })
}

#[derive(Default)]
struct Gateway {
    memory: Memory,
    sequences: Sequences,
}

impl Gateway {
    fn blocks(&mut self, decoded: &Decoded, received: Time) -> Vec<Waveform> {
        let origin = Origin {
            source: SourceId(3),
            received,
            clock_ahead: Span::ZERO,
        };
        let blocks = observe::waveforms(decoded, origin, &mut self.memory, &mut self.sequences);
        blocks.into_iter().map(Result::unwrap).collect()
    }

    fn learn(&mut self, control: PmdControl) {
        let origin = Origin {
            source: SourceId(3),
            received: RECEIVED,
            clock_ahead: Span::ZERO,
        };
        let decoded = Decoded::PolarControl(control);
        let got = observe::readings(&decoded, origin, &mut self.memory, &mut self.sequences);
        assert!(got.is_empty(), "a request measures nothing");
    }
}

/// 73 samples of a strap whose crystal gives 130.6 Hz.
const FRAME_NS: u64 = 559_000_000;

#[test]
fn blocks_follow_the_devices_clock_and_not_the_radios_moods() {
    let mut gateway = Gateway::default();
    let delays = [40, 10, 300, 15, 12];
    let mut blocks = Vec::new();
    for (frame, delay) in (0_u64..).zip(delays) {
        let measured =
            RECEIVED + Span::from_micros(i64::try_from(frame * FRAME_NS / 1000).unwrap());
        // The strap's own clock says 2019.
        let stamp = 600_000_000_000_000_000 + frame * FRAME_NS;
        blocks.extend(gateway.blocks(&ecg(stamp, 73), measured + Span::from_millis(delay)));
    }
    assert_eq!(blocks.len(), 5);
    assert_eq!(
        blocks[0].rate_millihertz, 130_000,
        "what straps are asked for"
    );
    assert_eq!(blocks[1].rate_millihertz, 130_590, "measured");
    let sequences: Vec<u64> = blocks.iter().map(|block| block.sequence).collect();
    assert_eq!(sequences, [0, 1, 2, 3, 4]);
    for pair in blocks[1..].windows(2) {
        let gap = pair[1].start.since(pair[0].time_of(73)).as_micros();
        assert!(gap.abs() < 1_000, "{gap} us between two blocks");
    }
    assert!(
        blocks
            .iter()
            .all(|block| block.time_of(72) <= block.received)
    );
    assert_eq!(blocks[0].wave, Wave::Ecg);
    assert!(blocks[0].values().all(|value| (value - 250.0).abs() < 1e-9));
}

#[test]
fn a_lost_frame_is_a_gap_and_no_slow_heart() {
    let mut gateway = Gateway::default();
    gateway.learn(PmdControl::start_ecg());
    let at = |n: i64| RECEIVED + Span::from_millis(559 * n);
    gateway.blocks(&ecg(FRAME_NS, 73), at(1));
    gateway.blocks(&ecg(2 * FRAME_NS, 73), at(2));
    let after = gateway.blocks(&ecg(4 * FRAME_NS, 73), at(4));
    assert_eq!(after[0].rate_millihertz, 130_590);
    assert!(after[0].start.since(at(3)).as_micros().abs() < 10_000);
}

#[test]
fn a_clock_that_is_set_anew_moves_nothing() {
    let mut gateway = Gateway::default();
    gateway.blocks(&ecg(600_000_000_000_000_000, 73), RECEIVED);
    let later = RECEIVED + Span::from_secs(1);
    let block = gateway.blocks(&ecg(800_000_000_000_000_000, 73), later);
    assert_eq!(block[0].rate_millihertz, 130_000);
    assert_eq!(block[0].time_of(72), later);
}

#[test]
fn acceleration_has_the_rate_that_was_asked_for() {
    let mut gateway = Gateway::default();
    gateway.learn(PmdControl::start_acceleration(25));
    let frame = "02009435770000000001f7ffffffe703f8fffeffe503f9ffffffe503";
    let block = &gateway.blocks(&decode(C::PolarData, &octets(frame)).unwrap(), RECEIVED)[0];
    assert_eq!(
        (block.wave, block.rate_millihertz),
        (Wave::Acceleration, 25_000)
    );
    assert_eq!((block.samples(), block.channels), (3, 3));
    assert_eq!(block.start, RECEIVED - Span::from_millis(80));
    assert_eq!(block.numbers[..3], [-9, -1, 999]);
}

#[test]
fn packed_acceleration_needs_the_devices_factor() {
    let mut gateway = Gateway::default();
    let frame = decode(
        C::PolarData,
        &octets("02009435770000000080e803e803e8030301aaaa"),
    )
    .unwrap();
    assert!(
        gateway.blocks(&frame, RECEIVED).is_empty(),
        "of unknown size"
    );
    gateway.learn(PmdControl::Response {
        request: 2,
        what: PmdType::Acceleration,
        status: 0,
        more: false,
        settings: vec![PmdSetting::Factor(vec![0.000_244_f32.to_bits()])],
    });
    let block = &gateway.blocks(&frame, RECEIVED)[0];
    let first = block.values().next().unwrap();
    assert!((first - 244.0).abs() < 1e-3, "{first}");
}

#[test]
fn light_is_no_reading_and_one_block() {
    let frame = "01009435770000000000010203040506ffff7f000000ffffff0fefef0000800fefef";
    let block =
        &Gateway::default().blocks(&decode(C::PolarData, &octets(frame)).unwrap(), RECEIVED)[0];
    assert_eq!((block.wave, block.channels), (Wave::Photoplethysmogram, 4));
}

#[test]
fn pulse_intervals_keep_their_doubts() {
    let interval = |heart_rate, interval_ms, flags| PulseInterval {
        heart_rate,
        interval_ms,
        error_ms: 8,
        flags,
    };
    let frame = Decoded::Polar(PmdFrame {
        what: PmdType::PulseIntervals,
        recording: 0,
        timestamp_ns: 0,
        frame_type: 0,
        data: PmdData::Intervals(vec![interval(70, 900, 0b111), interval(71, 850, 0b110)]),
    });
    let origin = Origin {
        source: SourceId(3),
        received: RECEIVED,
        clock_ahead: Span::ZERO,
    };
    let got = observe::readings(
        &frame,
        origin,
        &mut Memory::default(),
        &mut Sequences::default(),
    );
    let kinds: Vec<Kind> = got.iter().map(|reading| reading.kind).collect();
    assert_eq!(
        kinds,
        [Kind::PulseInterval, Kind::PulseInterval, Kind::PulseRate]
    );
    assert_eq!(got[0].quality, Quality::QUESTIONABLE);
    assert_eq!(got[1].value, Value::Measured(Fixed(8500)));
    assert_eq!(got[1].quality, Quality::GOOD);
    assert_eq!(got[0].effective, RECEIVED - Span::from_millis(850));
    let written = frame.encode().unwrap();
    assert_eq!(decode(C::PolarData, &written), Ok(frame));
}
