//! Report: what a step costs, and how large a twin is. A patient with strap, oximeter and thermometer, one
//! notification a second each, one batch per notification; and what a sample of light costs. Run: `cargo run --release -p twin --example
//! step_report`.

#[path = "../support/mod.rs"]
mod support;

use support::Chance;
use twin::event::{Assigned, Batch};
use twin::{Event, Twin, step};
use vitals::{
    ContextId, Fixed, GatewayId, Kind, Quality, Reading, SourceId, Span, StreamId, Time, Value,
};

/// Processor time of this process so far.
fn spent() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next();
    let nanos = nanos.and_then(|field| field.parse().ok()).unwrap_or(0);
    std::time::Duration::from_nanos(nanos)
}

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split_whitespace().nth(1);
    pages
        .and_then(|field| field.parse::<usize>().ok())
        .unwrap_or(0)
        * 4096
}

fn reading(source: u16, kind: Kind, sequence: u64, at: Time, value: f64) -> Reading {
    Reading {
        kind,
        value: Value::Measured(Fixed::from_f64(kind, value).expect("a small number")),
        source: SourceId(source),
        sequence,
        effective: at,
        received: at,
        quality: Quality::GOOD,
        device: None,
    }
}

fn batch(number: u64, readings: Vec<Reading>) -> Event {
    Event::Batch(Batch {
        stream: StreamId([1; 16]),
        context: ContextId([2; 16]),
        number,
        supersedes: Vec::new(),
        readings,
        waveforms: Vec::new(),
        gaps: Vec::new(),
        heartbeat: None,
        local_alerts: Vec::new(),
        devices: Vec::new(),
    })
}

fn main() {
    let zero = Time::from_micros(1_795_219_200_000_000);
    let assigned = Event::Assigned(Assigned {
        stream: StreamId([1; 16]),
        gateway: GatewayId::parse("gw").expect("valid"),
        devices: vec!["AA:BB:CC:DD:EE:01".into()],
        from: zero,
    });
    let mut chance = Chance(4);
    let (mut log, mut readings) = (Vec::new(), 0u64);
    for second in 0..7200u64 {
        let at = zero + Span::from_secs(i64::try_from(second).expect("small"));
        let heart = 75.0 + 3.0 * chance.normal();
        let rr = 60_000.0 / heart + 20.0 * chance.normal();
        let strap = vec![
            reading(1, Kind::HeartRate, second, at, heart),
            reading(1, Kind::RrInterval, second, at, rr),
        ];
        let oximeter = vec![
            reading(
                2,
                Kind::OxygenSaturation,
                second,
                at,
                96.0 + 0.6 * chance.normal(),
            ),
            reading(2, Kind::PulseRate, second, at, heart),
        ];
        let thermometer = vec![reading(3, Kind::BodyTemperature, second, at, 36.8)];
        for (n, list) in [strap, oximeter, thermometer].into_iter().enumerate() {
            readings += list.len() as u64;
            log.push((at, batch(second * 3 + n as u64 + 1, list)));
        }
    }
    let (mut twin, mut out) = (Twin::new(), Vec::new());
    step(&mut twin, &assigned, zero, &mut out);
    let begin = spent();
    for (known, event) in &log {
        out.clear();
        step(&mut twin, event, *known, &mut out);
    }
    let took = spent().saturating_sub(begin);
    let mut bytes = Vec::new();
    let begin = spent();
    for _ in 0..1000 {
        bytes.clear();
        twin.canonical_bytes(&mut bytes);
    }
    let encoding = spent().saturating_sub(begin) / 1000;
    let each = took.as_secs_f64() / readings as f64;
    println!(
        "{readings} readings in {} batches: {:.2} us per reading, {:.2} us per step, {:.0} readings/s on one core",
        log.len(),
        each * 1e6,
        took.as_secs_f64() * 1e6 / log.len() as f64,
        1.0 / each
    );
    println!(
        "canonical state: {} bytes, written in {:.1} us",
        bytes.len(),
        encoding.as_secs_f64() * 1e6
    );
    // Copies of a state read back from bytes share nothing with each other.
    let before = resident();
    let copies: Vec<_> = (0..1000)
        .map(|_| Twin::from_canonical_bytes(&bytes))
        .collect();
    let each = resident().saturating_sub(before) / copies.len();
    println!(
        "memory: {each} bytes resident a twin, of them {} in one piece",
        size_of::<Twin>()
    );
    for rate in [25.0, 55.0, 130.0, 250.0] {
        for irregular in [false, true] {
            light(rate, irregular);
        }
    }
}

/// An hour of light, in blocks of half a second, each sample's cost.
fn light(rate: f64, irregular: bool) {
    let mut chance = Chance(4);
    let truth = support::electric::beats(&mut chance, 3600.0, irregular);
    let worn = support::optic::Worn::WELL;
    let signal = support::optic::signal(&mut chance, &truth, 3600.0, rate, worn);
    let begin = spent();
    let found = support::recorded::light(twin::ppg::Finder::default(), &signal, rate);
    let each = spent().saturating_sub(begin).as_secs_f64() / signal.len() as f64;
    println!(
        "light at {rate} Hz, {}: {:.3} us per sample, {} beats",
        if irregular { "without order" } else { "sinus" },
        each * 1e6,
        found.beats.len()
    );
}
