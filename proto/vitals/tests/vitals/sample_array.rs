//! Sample arrays of generic health sensors: a waveform block, or a refusal with its reason.

use vitals::gatt::ghs::{GhsValue, SAMPLES};
use vitals::gatt::{
    Characteristic as C, Decoded, ElapsedTime, Number, Observation, SampleArray, Segment, Special,
    decode,
};
use vitals::observe::{self, Memory, Origin, Sequences};
use vitals::{Kind, Quality, SourceId, Span, Time, Wave, Waveform};

use crate::vectors::octets;

/// 2026-11-21T20:00:00Z.
const RECEIVED: Time = Time::from_micros(1_795_291_200_000_000);

/// Lead I, four samples at 250 Hz from 19:59:59.000Z on, half a microvolt a step, a thousand below zero: by hand, by the
/// published layout.
pub(crate) const ECG: &str = "04 2b00 0300 01010200 2a 180ae294c500 06 00\
    b310 050000ff 18fcff00 040000fd 01 02 04000000 d007 3408 c607 0208";

fn ecg() -> Observation {
    Observation::decode(&octets(&ECG.replace(' ', ""))).unwrap()
}

fn array(observation: &mut Observation) -> &mut SampleArray {
    match &mut observation.value {
        GhsValue::Samples(array) => array,
        GhsValue::Numeric(_)
        | GhsValue::Compound(_)
        | GhsValue::Bundle(_)
        | GhsValue::Other(..) => panic!("a sample array"),
    }
}

#[derive(Default)]
struct Gateway {
    memory: Memory,
    sequences: Sequences,
}

impl Gateway {
    fn hear(&mut self, decoded: &Decoded, received: Time) -> Vec<Result<Waveform, &'static str>> {
        let origin = Origin {
            source: SourceId(3),
            received,
            clock_ahead: Span::ZERO,
        };
        observe::waveforms(decoded, origin, &mut self.memory, &mut self.sequences)
    }

    fn live(
        &mut self,
        observation: &Observation,
        received: Time,
    ) -> Vec<Result<Waveform, &'static str>> {
        self.hear(&Decoded::Health(whole(observation)), received)
    }
}

fn whole(observation: &Observation) -> Segment {
    Segment {
        first: true,
        last: true,
        counter: 0,
        octets: observation.encode().unwrap(),
    }
}

#[test]
fn an_electrocardiogram_is_a_block_in_microvolts() {
    let value = [vec![3], octets(&ECG.replace(' ', ""))].concat();
    let decoded = decode(C::LiveHealthObservations, &value).unwrap();
    assert_eq!(decoded.encode().unwrap(), value);
    let block = Gateway::default().hear(&decoded, RECEIVED)[0]
        .clone()
        .unwrap();
    assert_eq!((block.wave, block.channels), (Wave::Ecg, 1));
    assert_eq!(block.rate_millihertz, 250_000);
    let values: Vec<f64> = block.values().collect();
    for (value, expected) in values.iter().zip([0.0, 50.0, -5.0, 25.0]) {
        assert!((value - expected).abs() < 1e-9, "{values:?}");
    }
    assert_eq!(
        block.time_of(3),
        RECEIVED,
        "nothing is known of the way yet"
    );
    assert_eq!(block.quality, Quality::GOOD);
    // As `vitaltwin-agent decode` shows it.
    let fields = format!("{:?}", decoded.fields());
    assert!(
        fields.contains("sample_arrays") && fields.contains("2000"),
        "{fields}"
    );
}

#[test]
fn blocks_follow_each_other_as_the_device_took_them() {
    let mut gateway = Gateway::default();
    let mut starts = Vec::new();
    for (beat, delay) in (0_i64..).zip([30, 5, 200, 12, 9]) {
        let mut observation = ecg();
        let time = observation.time.as_mut().unwrap();
        time.value += u64::try_from(16 * beat).unwrap();
        let measured = RECEIVED + Span::from_millis(16 * beat + 12);
        let blocks = gateway.live(&observation, measured + Span::from_millis(delay));
        let block = blocks[0].clone().unwrap();
        assert_eq!(block.sequence, u64::try_from(beat).unwrap());
        starts.push(block.start);
    }
    // The second came fastest: from there on nothing of the radio is left.
    for pair in starts[1..].windows(2) {
        let gap = pair[1].since(pair[0]).as_micros() - 16_000;
        assert!(gap.abs() < 100, "{gap} us");
    }
}

#[test]
fn units_are_those_of_the_wave() {
    let mut millivolts = ecg();
    array(&mut millivolts).unit = 4274;
    let block = Gateway::default().live(&millivolts, RECEIVED)[0]
        .clone()
        .unwrap();
    assert!((block.values().nth(1).unwrap() - 50_000.0).abs() < 1e-6);
    let mut light = ecg();
    light.code = Some(150_452);
    array(&mut light).unit = 512;
    array(&mut light).offset = Number::new(0, 0);
    let block = Gateway::default().live(&light, RECEIVED)[0]
        .clone()
        .unwrap();
    assert_eq!(block.wave, Wave::Photoplethysmogram);
    assert_eq!(block.numbers, [2000, 2100, 1990, 2050]);
}

#[test]
fn what_is_not_certain_is_refused_with_its_reason() {
    let refused = |change: &dyn Fn(&mut Observation)| {
        let mut observation = ecg();
        change(&mut observation);
        Gateway::default().live(&observation, RECEIVED)[0]
            .clone()
            .err()
    };
    assert_eq!(refused(&|_| {}), None, "the control");
    let with_array = |change: fn(&mut SampleArray)| refused(&|one| change(array(one)));
    let with_time =
        |change: fn(&mut ElapsedTime)| refused(&|one| change(one.time.as_mut().unwrap()));
    let out_of_range = Some("sample_array_out_of_range");
    // What it shows, in which unit.
    let unknown = Some("sample_array_unknown_kind");
    assert_eq!(refused(&|one| one.code = Some(151_562)), unknown);
    assert_eq!(refused(&|one| one.code = None), unknown);
    assert_eq!(with_array(|array| array.unit = 512), unknown);
    // Whether it was measured, and by how many sensors.
    let not_measured = Some("sample_array_not_measured");
    assert_eq!(refused(&|one| one.status = Some(1)), not_measured);
    let interleaved = Some("sample_array_interleaved");
    assert_eq!(with_array(|array| array.at_once = 3), interleaved);
    // Whether a sample is far above zero or below it.
    let sign = Some("sample_array_sign_unknown");
    assert_eq!(with_array(|array| array.octets[3] = 0x80), sign);
    // When.
    let undated = Some("sample_array_undated");
    assert_eq!(refused(&|one| one.time = None), undated);
    assert_eq!(
        with_time(|time| time.flags &= !0x0C),
        undated,
        "to a second"
    );
    // How fast and how much.
    assert_eq!(
        with_array(|array| array.period = Number::new(0, 0)),
        out_of_range
    );
    assert_eq!(
        with_array(|array| array.period = Number::new(-4, -3)),
        out_of_range
    );
    assert_eq!(
        with_array(|array| array.period = Number::new(1, -7)),
        out_of_range
    );
    assert_eq!(
        with_array(|array| array.scale = Number::new(0, 0)),
        out_of_range
    );
    assert_eq!(
        with_array(|array| array.offset = Number::Special(Special::NaN)),
        out_of_range
    );
    assert_eq!(
        with_array(|array| array.scale = Number::new(8_000_000, 0)),
        out_of_range
    );
    assert_eq!(
        with_array(|array| array.offset = Number::new(1, 40)),
        out_of_range
    );
    assert_eq!(
        with_array(|array| array.octets.clear()),
        Some("sample_array_empty")
    );
    // Marked, not refused.
    let mut doubtful = ecg();
    doubtful.status = Some(1 << 1);
    let block = Gateway::default().live(&doubtful, RECEIVED)[0]
        .clone()
        .unwrap();
    assert_eq!(block.quality, Quality::QUESTIONABLE);
}

/// As a program of 2023-04 sends it: the least and the greatest value stand before the period, and the number of
/// samples has two octets.
#[test]
fn an_older_layout_is_refused_and_takes_no_number_along() {
    let older = "04 2400 0100 01010200 b310 050000ff 18fcff00 00000000 64000000 040000fd 01 02 0200 d007 3408";
    let older = octets(&older.replace(' ', ""));
    let older = Observation::decode(&older).unwrap();
    assert!(matches!(older.value, GhsValue::Other(SAMPLES, _)));
    let spo2 = Observation::decode(&octets("010c000100b84b0200200262000000")).unwrap();
    let bundle = Observation {
        code: None,
        value: GhsValue::Bundle(vec![older, spo2]),
        ..ecg()
    };
    let mut gateway = Gateway::default();
    let refused = gateway.live(&bundle, RECEIVED);
    assert_eq!(refused, [Err("sample_array_layout")]);
    let readings = observe::readings(
        &Decoded::Health(whole(&bundle)),
        Origin {
            source: SourceId(3),
            received: RECEIVED,
            clock_ahead: Span::ZERO,
        },
        &mut gateway.memory,
        &mut gateway.sequences,
    );
    let kinds: Vec<Kind> = readings.iter().map(|reading| reading.kind).collect();
    assert_eq!(kinds, [Kind::OxygenSaturation]);
}

#[test]
fn a_long_array_comes_in_segments() {
    let mut observation = ecg();
    array(&mut observation).octets = [0xD0, 7].repeat(500);
    let octets = observation.encode().unwrap();
    assert!(octets.len() > 1000);
    let mut gateway = Gateway::default();
    let mut stored = Gateway::default();
    let pieces: Vec<&[u8]> = octets.chunks(180).collect();
    let last = pieces.len() - 1;
    for (at, piece) in pieces.into_iter().enumerate() {
        let segment = Segment {
            first: at == 0,
            last: at == last,
            counter: u8::try_from(at).unwrap(),
            octets: piece.to_vec(),
        };
        let blocks = gateway.hear(&Decoded::Health(segment.clone()), RECEIVED);
        let refused = stored.hear(&Decoded::StoredHealth(segment), RECEIVED);
        if at < last {
            assert!(blocks.is_empty() && refused.is_empty());
        } else {
            assert_eq!(blocks[0].clone().unwrap().samples(), 500);
            assert_eq!(refused, [Err("sample_array_stored")]);
        }
    }
    // Too long for a gateway to hold.
    array(&mut observation).octets = [0xD0, 7].repeat(3000);
    assert!(observation.encode().is_err());
}
