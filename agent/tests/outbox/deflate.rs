//! What deflating does to real batches, lane by lane; the figures of `proto/SEAL.md`:
//! `cargo test -p vitaltwin-agent --test outbox deflating -- --nocapture`.
//!
//! The columns are what the agent makes of such readings; the values are recorded ones where `VITALTWIN_SHARED` has
//! them. Arrival jitters as it does over Bluetooth: this decides most, for the jitter itself cannot be deflated.

use std::path::PathBuf;

use prost::Message as _;
use proto::seal::{MAX_BODY, deflated_size, padded_size};
use proto::v1::BatchBody;
use proto::wire::{one_batch, split_to_fit, split_waveforms};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vitals::gatt::Decimal;
use vitals::{
    DeviceTime, Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value, Wave, Waveform,
};

use crate::centre::at;

/// Padded bytes of a body as it is, and as it is sealed.
fn sizes(body: &BatchBody) -> (usize, usize) {
    let body = body.encode_to_vec();
    let plain = padded_size(body.len()).map_or(body.len(), usize::from);
    let deflated = deflated_size(&body).and_then(padded_size).map(usize::from);
    (
        plain,
        deflated.map_or(plain, |deflated| deflated.min(plain)),
    )
}

fn tell(what: &str, bodies: &[BatchBody], readings: usize) -> f64 {
    let (plain, sealed) = bodies
        .iter()
        .map(sizes)
        .fold((0, 0), |(p, s), (plain, sealed)| (p + plain, s + sealed));
    let raw: usize = bodies.iter().map(|body| body.encoded_len()).sum();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = |bytes: usize| bytes as f64 / readings as f64;
    println!(
        "{what}: {readings} readings, {:.2} bytes each encoded; padded {:.2} plain, {:.2} as sealed ({:.0} %)",
        each(raw),
        each(plain),
        each(sealed),
        100.0 * each(sealed) / each(plain)
    );
    each(sealed) / each(plain)
}

fn recorded(path: &str) -> Option<Vec<u8>> {
    let shared = std::env::var_os("VITALTWIN_SHARED")
        .map_or_else(|| PathBuf::from("../../shared"), PathBuf::from);
    std::fs::read(shared.join("recordings").join(path)).ok()
}

/// A resting heart, second by second, that arrives up to `jitter` late.
fn heart(count: u64, jitter: i64) -> Vec<Reading> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut rate = 62_i64;
    let one = |n: u64| {
        rate = (rate + rng.random_range(-1..=1)).clamp(50, 90);
        let late = Span::from_micros(rng.random_range(0..=jitter));
        let when = at(n) + late;
        reading(Kind::HeartRate, rate, n, when)
    };
    (0..count).map(one).collect()
}

const fn reading(kind: Kind, value: i64, sequence: u64, when: Time) -> Reading {
    Reading {
        kind,
        value: Value::Measured(Fixed(value)),
        source: SourceId(1),
        sequence,
        effective: when,
        received: when,
        quality: Quality::GOOD,
        device: None,
    }
}

/// What a glucose sensor stored, every five minutes, with its own stamps, read in one go.
fn stored(count: u64) -> Vec<Reading> {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut level = 110_i64;
    let one = |n: u64| {
        level = (level + rng.random_range(-4..=4)).clamp(60, 250);
        let when = at(n * 300);
        let arrived = at(count * 300);
        Reading {
            received: arrived
                + Span::from_micros(
                    i64::try_from(n * 22_500).expect("small") + rng.random_range(0..7500),
                ),
            device: Some(DeviceTime {
                stamp: when + Span::from_millis(7400),
                uncertainty: Span::from_secs(2),
            }),
            ..reading(Kind::InterstitialGlucose, level, n, when)
        }
    };
    (0..count).map(one).collect()
}

/// One lead of record 100 of the MIT-BIH database (format 212: two numbers of 12 bits in three bytes), as a chest
/// strap would cut it: a second a block.
fn ecg(blocks: u64) -> Option<Vec<Waveform>> {
    let bytes = recorded("wfdb_sample/100.dat")?;
    let numbers: Vec<i32> = bytes
        .chunks_exact(3)
        .map(|three| {
            let low = i32::from(three[0]) | i32::from(three[1] & 0x0F) << 8;
            if low > 2047 { low - 4096 } else { low }
        })
        .collect();
    let cut = |(n, numbers): (u64, &[i32])| Waveform {
        wave: Wave::Ecg,
        source: SourceId(1),
        sequence: n,
        start: at(n),
        received: at(n + 1),
        rate_millihertz: 360_000,
        channels: 1,
        step: Decimal {
            mantissa: 5,
            exponent: -6,
        },
        numbers: numbers.to_vec(),
        quality: Quality::GOOD,
    };
    Some(
        (0..blocks)
            .zip(numbers.chunks_exact(360))
            .map(cut)
            .collect(),
    )
}

fn bodies_of(readings: &[Reading], a_record: usize) -> Vec<BatchBody> {
    let batches = readings.chunks(a_record).filter_map(one_batch);
    batches.map(proto::wire::ReadingBatch::into_body).collect()
}

#[test]
fn deflating_makes_merged_and_stored_records_smaller_and_no_record_larger() {
    for (name, jitter) in [
        ("exact", 0),
        ("jitter 1 ms", 1000),
        ("jitter 30 ms", 30_000),
    ] {
        let heart = heart(2400, jitter);
        let one = tell(
            &format!("one notification, {name}"),
            &bodies_of(&heart[..60], 1),
            60,
        );
        assert!((0.999..=1.0).contains(&one), "left alone");
        tell(
            &format!("ten seconds, {name}"),
            &bodies_of(&heart[..60], 10),
            60,
        );
        let minute = tell(
            &format!("a minute, {name}"),
            &bodies_of(&heart[..600], 60),
            600,
        );
        let ten = tell(
            &format!("ten minutes, {name}"),
            &bodies_of(&heart, 600),
            2400,
        );
        assert!(minute <= 1.0 && ten < 0.7, "{minute} {ten}");
    }
    let stored = stored(2000);
    let bodies: Vec<_> = split_to_fit(&stored, 0)
        .into_iter()
        .map(proto::wire::ReadingBatch::into_body)
        .collect();
    assert!(bodies.iter().all(|body| body.encoded_len() <= MAX_BODY));
    assert!(tell("stored spot records", &bodies, 2000) < 0.6);
    let Some(blocks) = ecg(300) else {
        println!("skipped: no electrocardiogram in VITALTWIN_SHARED");
        return;
    };
    for together in [1, 6] {
        let bodies: Vec<_> = blocks
            .chunks(together)
            .flat_map(split_waveforms)
            .map(proto::wire::WaveformBatch::into_body)
            .collect();
        let what = format!("an electrocardiogram, {together} s a record, by sample");
        assert!(tell(&what, &bodies, 300 * 360) <= 1.0);
    }
}
