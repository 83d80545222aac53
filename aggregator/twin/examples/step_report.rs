//! Report: what a step costs, and how large a twin is. A patient with strap, oximeter and thermometer, one
//! notification a second each, one batch per notification; what facts about them and light from the oximeter add, as a ratio of the same run; and
//! what a sample of light costs its finder. Run: `cargo run --release -p twin --example step_report`.

#[path = "../support/mod.rs"]
mod support;

use support::Chance;
use twin::event::{Assigned, Batch};
use twin::facts::{Fact, FactKind};
use twin::{Event, Twin, step};
use vitals::gatt::Decimal;
use vitals::{
    ContextId, Fixed, GatewayId, Kind, Quality, Reading, SourceId, Span, StreamId, Time, Value,
    Wave, Waveform,
};

/// Events with the times at which they are known.
type Log = [(Time, Event)];

/// Runs of each kind, one kind after the other; the least of each counts.
const RUNS: usize = 7;
/// Light from the oximeter, samples a second, and in a block.
const LIGHT_HZ: u32 = 25;
const BLOCK: usize = 14;

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
    beside(&assigned, &log, zero, readings);
    for rate in [25.0, 55.0, 130.0, 250.0] {
        for irregular in [false, true] {
            light(rate, irregular);
        }
    }
}

/// What people know of a patient who has much: a heart that fails, medicines, results.
fn facts(zero: Time) -> Event {
    let fact = |id: &str, kind, code: &str, value: Option<f64>, unit: &str, text: &str| Fact {
        id: id.into(),
        kind,
        code: code.into(),
        label: String::new(),
        value,
        unit: unit.into(),
        text: text.into(),
        from: zero,
        to: None,
    };
    let medicine = |id: &str, code: &str| {
        let code = format!("http://www.whocc.no/atc|{code}");
        fact(id, FactKind::Medication, &code, None, "", "")
    };
    let ill = |id: &str, code: &str| {
        let code = format!("http://hl7.org/fhir/sid/icd-10|{code}");
        fact(id, FactKind::Condition, &code, None, "", "")
    };
    let result = |id: &str, code: &str, value, unit: &str| {
        let code = format!("http://loinc.org|{code}");
        fact(id, FactKind::Laboratory, &code, Some(value), unit, "")
    };
    let record = vec![
        fact("born", FactKind::BirthYear, "", Some(1941.0), "", ""),
        fact("sex", FactKind::Sex, "", None, "", "female"),
        fact("supply", FactKind::OxygenSupply, "", Some(2.0), "L/min", ""),
        fact("mind", FactKind::Consciousness, "", None, "", "A"),
        ill("heart", "I50.1"),
        ill("kidney", "N18.3"),
        ill("lung", "J44.1"),
        medicine("m1", "C07AB07"),
        medicine("m2", "C03CA01"),
        medicine("m3", "B01AF02"),
        result("potassium", "2823-3", 5.6, "mmol/L"),
        result("haemoglobin", "718-7", 9.8, "g/dL"),
    ];
    let (by, retract) = ("anna".into(), Vec::new());
    Event::Facts {
        by,
        record,
        retract,
    }
}

/// Blocks of light beside the log, each in a batch of its own.
fn lit(log: &Log, zero: Time) -> (Vec<(Time, Event)>, usize) {
    let mut chance = Chance(4);
    let seconds = log.len() as f64 / 3.0;
    let truth = support::electric::beats(&mut chance, seconds, false);
    let worn = support::optic::Worn::WELL;
    let counts = support::optic::signal(&mut chance, &truth, seconds, LIGHT_HZ.into(), worn);
    let mut all = log.to_vec();
    for (number, samples) in (0u64..).zip(counts.chunks(BLOCK)) {
        let micros = number * BLOCK as u64 * 1_000_000 / u64::from(LIGHT_HZ);
        let start = zero + Span::from_micros(i64::try_from(micros).expect("hours"));
        let received = start + Span::from_millis(BLOCK as i64 * 1000 / i64::from(LIGHT_HZ));
        let block = Waveform {
            wave: Wave::Photoplethysmogram,
            source: SourceId(2),
            sequence: number,
            start,
            received,
            rate_millihertz: LIGHT_HZ * 1000,
            channels: 1,
            step: Decimal {
                mantissa: 1,
                exponent: 0,
            },
            numbers: samples.iter().map(|x| x.round() as i32).collect(),
            quality: Quality::GOOD,
        };
        let Event::Batch(mut of) = batch(log.len() as u64 + number + 1, Vec::new()) else {
            unreachable!("it is one");
        };
        of.waveforms.push(block);
        all.push((received, Event::Batch(of)));
    }
    all.sort_by_key(|(known, _)| *known);
    (all, counts.len())
}

/// The same log with facts, and with light, beside it alone: what is added is said as a ratio.
fn beside(assigned: &Event, log: &Log, zero: Time, readings: u64) {
    let (with_light, samples) = lit(log, zero);
    let run = |known: bool, log: &Log| {
        let (mut twin, mut out) = (Twin::new(), Vec::new());
        step(&mut twin, assigned, zero, &mut out);
        if known {
            step(&mut twin, &facts(zero), zero, &mut out);
            assert_eq!(twin.facts().count(), 12, "all of them are taken");
        }
        let begin = spent();
        for (at, event) in log {
            out.clear();
            step(&mut twin, event, *at, &mut out);
        }
        spent().saturating_sub(begin).as_secs_f64()
    };
    let kinds: [(&str, bool, &Log); 4] = [
        ("alone", false, log),
        ("with 12 facts", true, log),
        ("with light", false, &with_light),
        ("with both", true, &with_light),
    ];
    let mut least = [f64::INFINITY; 4];
    for _ in 0..RUNS {
        for (least, (_, known, log)) in least.iter_mut().zip(kinds) {
            *least = least.min(run(known, log));
        }
    }
    let [alone, ..] = least;
    for (took, (what, _, log)) in least.iter().zip(kinds) {
        println!(
            "the same {readings} readings {what}, {} steps: {:.2} of the time alone",
            log.len(),
            took / alone
        );
    }
    let sample = (least[2] - alone) / samples as f64;
    println!(
        "light at {LIGHT_HZ} Hz through the whole step: {:.3} us per sample, the batch it comes in included",
        sample * 1e6
    );
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
