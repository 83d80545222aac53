//! A seeded fuzzer on stable Rust: inputs that were accepted are kept and mutated, over every decoder.
//!
//! The gate runs a few; `VITALTWIN_FUZZ=100000000 cargo test --release -p vitals --test vitals fuzzer` runs as
//! many as are asked for and prints the figure. An execution is one input through one decoder; what is accepted
//! is also written, read again, named, and made readings of.

use vitals::gatt::bangle::{BangleLine, Lines};
use vitals::gatt::ghs::{Observation, Segments};
use vitals::gatt::{
    Advert, BtHome, Characteristic, Decoded, Layout, MAX_VALUE, Number, PolarRate, Segment, pmd,
};
use vitals::observe::{self, Memory, Origin, Sequences};
use vitals::{SourceId, Span, Time};

use crate::sample_array::ECG;
use crate::vectors::octets;

/// Executions in the gate.
const FEW: u64 = 30_000;
/// Accepted inputs that are kept for each decoder.
const POOL: usize = 48;

/// xorshift64*: any even spread of bits will do.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit.max(1)
    }

    fn octet(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }
}

/// What is fuzzed.
#[derive(Clone, Copy)]
enum Target {
    Value(Layout, Characteristic),
    Advert,
    BtHome,
    PolarRate,
    Line,
    Deltas,
    Numbers,
    Observation,
    /// A sample array, live, in as few segments as possible.
    Array,
}

fn targets() -> Vec<Target> {
    let values = Characteristic::ALL.iter().copied();
    let mut all: Vec<Target> = values
        .map(|known| Target::Value(Layout::Sig, known))
        .collect();
    all.extend([
        Target::Value(Layout::MiScale, Characteristic::BodyComposition),
        Target::Advert,
        Target::BtHome,
        Target::PolarRate,
        Target::Line,
        Target::Deltas,
        Target::Numbers,
        Target::Observation,
        Target::Array,
    ]);
    all
}

/// What a gateway remembers from input to input.
#[derive(Default)]
struct Gateway {
    memory: Memory,
    sequences: Sequences,
    lines: Lines,
    segments: Segments,
}

fn origin(random: &mut Random) -> Origin {
    let jitter = i64::try_from(random.next() >> 20).unwrap();
    Origin {
        source: SourceId(1),
        received: Time::from_micros(1_795_291_200_000_000 + jitter % 1_000_000_000),
        clock_ahead: Span::from_mins(jitter % 1000),
    }
}

impl Gateway {
    /// True if the input was accepted.
    fn execute(&mut self, target: Target, input: &[u8], random: &mut Random) -> bool {
        match target {
            Target::Value(layout, known) => match layout.decode(known, input) {
                Ok(decoded) => {
                    let written = decoded.encode().expect("what was decoded can be written");
                    assert_eq!(layout.decode(known, &written).as_ref(), Ok(&decoded));
                    self.observe(&decoded, origin(random));
                    true
                }
                Err(error) => {
                    assert!(!error.reason().is_empty());
                    false
                }
            },
            Target::Advert => Advert::decode(input).is_ok_and(|advert| {
                let _ = advert.fields();
                let origin = origin(random);
                let got = observe::advert(&advert, origin, &mut self.memory, &mut self.sequences);
                got.iter().all(|one| one.effective == origin.received)
            }),
            Target::BtHome => BtHome::decode(input).is_ok_and(|sensor| {
                let written = sensor.encode().expect("what was decoded can be written");
                assert_eq!(BtHome::decode(&written), Ok(sensor));
                true
            }),
            Target::PolarRate => PolarRate::decode(input).is_ok(),
            Target::Line => {
                let said = self.lines.take(input);
                BangleLine::parse(input).is_some() || !said.is_empty()
            }
            Target::Deltas => {
                let (channels, bits) = (random.octet() % 5, random.octet() % 34);
                pmd::deltas(input, channels, bits).is_ok()
            }
            Target::Numbers => {
                let [a, b, c, d, ..] = *input else {
                    return false;
                };
                let float = Number::from_float(u32::from_le_bytes([a, b, c, d]));
                assert_eq!(float.to_float(), Some(u32::from_le_bytes([a, b, c, d])));
                let sfloat = Number::from_sfloat(u16::from_le_bytes([a, b]));
                assert_eq!(sfloat.to_sfloat(), Some(u16::from_le_bytes([a, b])));
                true
            }
            Target::Array => self.array(input, random),
            Target::Observation => {
                if let Ok(segment) = Segment::decode(input) {
                    let _ = self.segments.take(&segment);
                }
                Observation::decode(input).is_ok_and(|observation| {
                    let written = observation
                        .encode()
                        .expect("what was decoded can be written");
                    assert_eq!(Observation::decode(&written), Ok(observation));
                    true
                })
            }
        }
    }

    /// Observations that are too long for one value come in segments, and as readings and blocks all the same.
    fn array(&mut self, input: &[u8], random: &mut Random) -> bool {
        let Ok(observation) = Observation::decode(input) else {
            return false;
        };
        let pieces = input.chunks(MAX_VALUE - 1);
        let last = pieces.len() - 1;
        for (at, octets) in pieces.enumerate() {
            let segment = Segment {
                first: at == 0,
                last: at == last,
                counter: u8::try_from(at % 64).unwrap(),
                octets: octets.to_vec(),
            };
            let origin = origin(random);
            self.observe(&Decoded::Health(segment.clone()), origin);
            self.observe(&Decoded::StoredHealth(segment), origin);
        }
        let _ = observation
            .encode()
            .expect("what was decoded can be written");
        observation.arrays().iter().any(|one| one.samples.is_some())
    }

    fn observe(&mut self, decoded: &Decoded, origin: Origin) {
        let _ = decoded.fields();
        let readings = observe::readings(decoded, origin, &mut self.memory, &mut self.sequences);
        assert!(readings.iter().all(|one| one.effective <= origin.received));
        let blocks = observe::waveforms(decoded, origin, &mut self.memory, &mut self.sequences);
        for block in blocks.into_iter().flatten() {
            assert!(block.start <= origin.received && block.rate_millihertz > 0);
            assert_eq!(block.numbers.len() % usize::from(block.channels), 0);
        }
    }
}

/// Something near an input that was accepted, or anything.
fn mutate(pool: &[Vec<u8>], random: &mut Random, input: &mut Vec<u8>) {
    const EDGES: [u8; 8] = [0, 1, 0x0F, 0x7F, 0x80, 0xFE, 0xFF, b'"'];
    input.clear();
    if pool.is_empty() || random.below(16) == 0 {
        let length = random.below(24);
        input.extend((0..length).map(|_| random.octet()));
    } else {
        input.extend(&pool[random.below(pool.len())]);
    }
    for _ in 0..=random.below(4) {
        let at = random.below(input.len());
        match random.below(7) {
            0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            1 if !input.is_empty() => input[at] = EDGES[random.below(EDGES.len())],
            2 if !input.is_empty() => input[at] = random.octet(),
            3 => input.truncate(at),
            4 if input.len() < 200 => input.insert(at.min(input.len()), random.octet()),
            5 if input.len() < 200 => (0..random.below(6)).for_each(|_| input.push(random.octet())),
            6 if !pool.is_empty() => {
                let other = &pool[random.below(pool.len())];
                input.truncate(at);
                input.extend(other.iter().skip(at).take(200));
            }
            _ => {}
        }
    }
}

/// How many of `count` executions were accepted.
fn fuzz(seed: u64, count: u64) -> u64 {
    let targets = targets();
    let mut random = Random(seed);
    let mut pools: Vec<Vec<Vec<u8>>> = vec![Vec::new(); targets.len()];
    let line = targets
        .iter()
        .position(|target| matches!(target, Target::Line))
        .unwrap();
    pools[line].push(b"{\"t\":\"act\",\"hrm\":72,\"stp\":31,\"x\":[{}]}\n".to_vec());
    let array = pools.len() - 1;
    pools[array].push(octets(&ECG.replace(' ', "")));
    let mut gateway = Gateway::default();
    let mut input = Vec::new();
    let mut accepted = 0;
    for turn in 0..count {
        let which = usize::try_from(turn).unwrap() % targets.len();
        mutate(&pools[which], &mut random, &mut input);
        if gateway.execute(targets[which], &input, &mut random) {
            accepted += 1;
            let pool = &mut pools[which];
            if pool.len() < POOL {
                pool.push(input.clone());
            } else if random.below(64) == 0 {
                pool[random.below(POOL)].clone_from(&input);
            }
        }
    }
    accepted
}

#[test]
fn every_decoder_survives_mutated_inputs() {
    let count = std::env::var("VITALTWIN_FUZZ").map_or(FEW, |text| text.parse().unwrap());
    let accepted = fuzz(0x9E37_79B9_7F4A_7C15, count);
    println!(
        "{count} executions over {} decoders, {accepted} accepted, no crash",
        targets().len()
    );
    assert!(
        accepted > count / 20,
        "the fuzzer knocks at closed doors: {accepted} of {count}"
    );
}
