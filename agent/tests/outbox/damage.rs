//! Flipped bits, zeroed pages, torn ends and noise in the store's file: what can be read is salvaged, the rest is
//! declared: exactly after a clean end, as a loss of unknown size where nobody can know.
//!
//! `VITALTWIN_DAMAGE=1000 cargo test -p vitaltwin-agent --test outbox damage` runs the full count.

use std::time::Duration;

use proto::v1::GapReason;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::house::{House, Life};

#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Bits(u32),
    Pages(u32),
    CutOff,
    Noise,
    Gone,
}

fn damage(rng: &mut ChaCha8Rng) -> Damage {
    match rng.random_range(0..10) {
        0 => Damage::None,
        1..=4 => Damage::Bits(1 << rng.random_range(0..15)),
        5 | 6 => Damage::Pages(rng.random_range(1..8)),
        7 => Damage::CutOff,
        8 => Damage::Noise,
        _ => Damage::Gone,
    }
}

fn apply(damage: Damage, bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    match damage {
        Damage::None => {}
        Damage::Bits(count) => {
            for _ in 0..count {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
        }
        Damage::Pages(count) => {
            for _ in 0..count {
                let page = rng.random_range(0..bytes.len().div_ceil(4096)) * 4096;
                let end = (page + 4096).min(bytes.len());
                bytes[page..end].fill(0);
            }
        }
        Damage::CutOff => bytes.truncate(rng.random_range(0..bytes.len())),
        Damage::Noise => rng.fill(bytes.as_mut_slice()),
        Damage::Gone => bytes.clear(),
    }
}

/// (readings lost, readings there were, records whose key was there before them).
fn damaged(seed: u64) -> (u64, u64, u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut house = House::new();
    house.drain();
    let clean = rng.random_bool(0.6);
    let life = Life {
        seed,
        from: 0,
        beats: if clean {
            rng.random_range(5..200)
        } else {
            5000
        },
        line: !clean,
        drain: false,
        budget: 1 << 30,
        waves: !seed.is_multiple_of(3),
    };
    let running = house.start(life, &[]);
    if clean {
        running.end(&house);
    } else {
        std::thread::sleep(Duration::from_micros(rng.random_range(50_000..400_000)));
        running.kill(&house);
    }
    let file = house.dir().join("outbox/db");
    let mut bytes = std::fs::read(&file).expect("the store's file");
    let damage = damage(&mut rng);
    apply(damage, &mut bytes, &mut rng);
    std::fs::write(&file, bytes).expect("written");
    house.drain();
    let centre = house.centre();
    let all = centre.durable.iter().map(|life| life.readings()).sum();
    let what = format!("seed {seed}, clean {clean}, {damage:?}");
    let missing = centre
        .judge()
        .unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
    let gaps = centre.gaps();
    let of_damage: Vec<_> = gaps
        .iter()
        .filter(|gap| gap.reason() == GapReason::BufferDamaged)
        .collect();
    if clean {
        let declared: u64 = of_damage.iter().map(|gap| gap.readings).sum();
        assert!(
            declared == missing && of_damage.iter().all(|gap| gap.exact),
            "{what}: {missing} missing, declared {of_damage:?}"
        );
    }
    if matches!(damage, Damage::None) {
        assert!(
            missing == 0 && of_damage.is_empty(),
            "{what}: {of_damage:?}"
        );
    }
    (missing, all, centre.places)
}

#[test]
fn what_damage_took_is_declared_and_the_rest_comes_through() {
    let (mut lost, mut all, mut places) = (0, 0, 0);
    let seeds = crate::count("VITALTWIN_DAMAGE", 12);
    let first = crate::count("VITALTWIN_FIRST_SEED", 0);
    for seed in first..first + seeds {
        let (missing, readings, taken) = damaged(seed);
        lost += missing;
        all += readings;
        places += taken;
    }
    println!(
        "{seeds} damaged stores, {places} records in places: {lost} of {all} durable readings lost, all of them declared"
    );
    assert!(places > 0, "no record came to a place that was made for it");
    assert!(
        lost > 0 && lost < all,
        "the negative control: {lost} of {all}"
    );
}
