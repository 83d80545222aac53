//! `kill -9` at random moments: over append, send, receipt, rotation of keys and contexts, and salvage.
//!
//! `VITALTWIN_OUTBOX_KILLS=1000 cargo test -p vitaltwin-agent --test outbox kill` runs the full count.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::house::{House, Life};

/// Kills in one house.
const A_HOUSE: u64 = 12;

fn life(seed: u64) -> Life {
    Life {
        seed,
        from: 0,
        beats: 900,
        line: true,
        drain: false,
        budget: 1 << 30,
    }
}

/// Lives and kills; what the house's centre says at the end.
fn house_of_kills(seed: u64, kills: u64, salvage: bool) -> (u64, u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut house = House::new();
    house.drain();
    house.receipts_lost = 20;
    for kill in 0..kills {
        if rng.random_ratio(1, 4) {
            house.centre().rotate_key();
        }
        // A store that does not open, and is salvaged: by the life that is killed, or by the one after.
        if salvage && rng.random_ratio(1, 5) {
            std::fs::write(house.dir().join("outbox/conf"), b"rubbish").expect("written");
        }
        let running = house.start(life(seed << 20 | kill), &[]);
        // A third dies while it starts, opens or salvages; the others at work.
        if rng.random_ratio(2, 3) {
            let before = house.centre().commits;
            crate::wait_for("a commit", Duration::from_secs(60), || {
                (house.centre().commits > before).then_some(())
            });
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
        running.kill(&house);
    }
    house.drain();
    let centre = house.centre();
    let missing = centre
        .judge()
        .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    (missing, centre.commits)
}

#[test]
fn what_was_durable_survives_every_kill_and_nothing_comes_twice() {
    let kills = crate::count("VITALTWIN_OUTBOX_KILLS", 24);
    let (mut commits, mut missing) = (0, 0);
    for seed in 0..kills.div_ceil(A_HOUSE) {
        let (lost, made) = house_of_kills(seed, A_HOUSE, seed % 2 == 1);
        commits += made;
        missing += lost;
    }
    println!("{kills} kills, {commits} commits, {missing} durable readings missing and declared");
    assert_eq!(missing, 0, "a kill alone loses nothing durable");
    assert!(
        commits > kills,
        "the negative control: nothing was committed"
    );
}
