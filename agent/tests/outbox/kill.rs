//! `kill -9` at random moments: over append, send, receipt, rotation of keys and contexts, and salvage.
//!
//! And before each single thing that a salvage does to the disk.
//!
//! `VITALTWIN_OUTBOX_KILLS=1000 cargo test -p vitaltwin-agent --test outbox kill` runs the full count.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::house::{House, Life};
use crate::shim::library;

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

/// Folders in the agent's whose names begin so.
fn folders(house: &House, kind: &str) -> usize {
    let entries = std::fs::read_dir(house.dir()).expect("a folder").flatten();
    let of_kind = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(kind));
    of_kind.count()
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
    let aside = folders(&house, "salvage-") + folders(&house, "corrupt-");
    assert!(
        salvage || aside == 0,
        "seed {seed}: a kill alone damages no store"
    );
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

/// A house whose store does not open, and a life that salvages it and dies before the n-th thing that it would do to
/// a file. The things there were, if it lived.
fn killed_in_a_salvage(at: u64) -> Option<u64> {
    let mut house = House::new();
    house.drain();
    house.live(Life {
        beats: 60,
        line: false,
        ..life(1)
    });
    std::fs::write(house.dir().join("outbox/conf"), b"rubbish").expect("written");
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let count = house.dir().with_extension("count");
    let envs = [
        ("LD_PRELOAD", path(&library())),
        ("RIG_DIR", path(&house.dir())),
        ("RIG_KILL_AT", at.to_string()),
        ("RIG_COUNT", path(&count)),
    ];
    let short = Life {
        beats: 1,
        line: false,
        ..life(2)
    };
    house.start(short, &envs).try_end(&house);
    house.drain();
    let missing = house.centre().judge().expect("nothing twice");
    assert_eq!(missing, 0, "killed before step {at}");
    assert_eq!(folders(&house, "salvage-"), 0, "killed before step {at}");
    let counts = std::fs::read_to_string(count).ok()?;
    counts.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_kill_at_any_step_of_a_salvage_loses_nothing() {
    let steps = killed_in_a_salvage(u64::MAX).expect("it lived");
    let tries = crate::count("VITALTWIN_OUTBOX_KILLS", 24) / 2;
    let step = steps.div_ceil(tries.max(1)).max(1);
    let mut killed = 0;
    for at in (1..=steps).step_by(usize::try_from(step).expect("small")) {
        killed += u64::from(killed_in_a_salvage(at).is_none());
    }
    println!("killed at {killed} of {steps} steps of a salvage");
    assert!(killed * 2 > steps / step, "the negative control: {killed}");
}
