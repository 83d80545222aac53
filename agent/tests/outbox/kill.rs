//! `kill -9` at random moments: over append, send, receipt, rotation of keys and contexts, and salvage.
//!
//! And before each single thing that a salvage, an opening or the very first start does to the disk.
//!
//! `VITALTWIN_OUTBOX_KILLS=1000 cargo test -p vitaltwin-agent --test outbox kill` runs the full count.

use std::path::Path;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::house::{House, Life};
use crate::shim::library;

/// Kills in one house.
const A_HOUSE: u64 = 12;

fn life(seed: u64, waves: bool) -> Life {
    Life {
        seed,
        from: 0,
        beats: 900,
        line: true,
        drain: false,
        budget: 1 << 30,
        waves,
    }
}

/// Folders in the agent's whose names begin so.
fn folders(house: &House, kind: &str) -> usize {
    let entries = std::fs::read_dir(house.dir()).expect("a folder").flatten();
    let of_kind = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(kind));
    of_kind.count()
}

/// Stores that were set aside.
fn aside(house: &House) -> usize {
    folders(house, "salvage-") + folders(house, "corrupt-")
}

/// What was done in houses.
#[derive(Default)]
struct Kills {
    commits: u64,
    missing: u64,
    places: u64,
}

/// Lives and kills, and what the house's centre says at the end.
fn house_of_kills(seed: u64, kills: u64, done: &mut Kills) {
    let (salvage, waves) = (seed % 2 == 1, seed % 4 < 2);
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
        let running = house.start(life(seed << 20 | kill, waves), &[]);
        // A third dies while it starts, opens or salvages; the others at work, early or late.
        if rng.random_ratio(2, 3) {
            let enough = house.centre().commits + rng.random_range(1..40);
            crate::wait_for("commits", Duration::from_secs(60), || {
                (house.centre().commits >= enough).then_some(())
            });
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
        running.kill(&house);
        assert!(
            salvage || aside(&house) == 0,
            "seed {seed}, before kill {kill}: a kill alone damages no store; all is in {}",
            house.keep().display()
        );
    }
    house.drain();
    assert!(
        salvage || aside(&house) == 0,
        "seed {seed}: a kill alone damages no store; all is in {}",
        house.keep().display()
    );
    let centre = house.centre();
    done.missing += centre
        .judge()
        .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    done.commits += centre.commits;
    assert!(
        (centre.places > 0) == waves,
        "seed {seed}: {} records in places, waves {waves}",
        centre.places
    );
    done.places += centre.places;
}

#[test]
fn what_was_durable_survives_every_kill_and_nothing_comes_twice() {
    let kills = crate::count("VITALTWIN_OUTBOX_KILLS", 24);
    let mut done = Kills::default();
    for seed in 0..kills.div_ceil(A_HOUSE) {
        house_of_kills(seed, A_HOUSE, &mut done);
    }
    let Kills {
        commits,
        missing,
        places,
    } = done;
    println!(
        "{kills} kills, {commits} commits, {places} records in places, {missing} durable readings missing and declared"
    );
    assert_eq!(missing, 0, "a kill alone loses nothing durable");
    assert!(
        commits > kills,
        "the negative control: nothing was committed"
    );
}

/// What the life that is killed finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Store,
    StoreThatDoesNotOpen,
}

/// A life that dies before the n-th thing that it would do to a file. The things there were, if it lived.
fn killed(found: Found, at: u64) -> Option<u64> {
    let mut house = House::new();
    if found != Found::Nothing {
        house.drain();
        house.live(Life {
            beats: 60,
            line: false,
            ..life(1, true)
        });
    }
    if found == Found::StoreThatDoesNotOpen {
        std::fs::write(house.dir().join("outbox/conf"), b"rubbish").expect("written");
    }
    let path = |path: &Path| path.to_string_lossy().into_owned();
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
        ..life(2, true)
    };
    house.start(short, &envs).try_end(&house);
    house.drain();
    let missing = house.centre().judge().expect("nothing twice");
    assert_eq!(missing, 0, "{found:?}, killed before step {at}");
    let left = match found {
        Found::Nothing | Found::Store => aside(&house),
        Found::StoreThatDoesNotOpen => folders(&house, "salvage-"),
    };
    assert_eq!(
        left,
        0,
        "{found:?}, killed before step {at}: all is in {}",
        house.keep().display()
    );
    let counts = std::fs::read_to_string(count).ok()?;
    counts.split_whitespace().nth(1)?.parse().ok()
}

/// Kills at so many steps, evenly spread.
fn killed_at_steps(found: Found, tries: u64) {
    let steps = killed(found, u64::MAX).expect("it lived");
    let step = steps.div_ceil(tries.max(1)).max(1);
    let mut died = 0;
    for at in (1..=steps).step_by(usize::try_from(step).expect("small")) {
        died += u64::from(killed(found, at).is_none());
    }
    println!("{found:?}: killed at {died} of {steps} steps");
    assert!(died * 2 > steps / step, "the negative control: {died}");
}

#[test]
fn a_kill_at_any_step_of_a_salvage_loses_nothing() {
    let tries = crate::count("VITALTWIN_OUTBOX_KILLS", 24) / 2;
    killed_at_steps(Found::StoreThatDoesNotOpen, tries);
}

#[test]
fn a_kill_at_any_step_of_an_opening_sets_no_store_aside() {
    let tries = crate::count("VITALTWIN_OUTBOX_KILLS", 24) / 2;
    killed_at_steps(Found::Store, tries);
    killed_at_steps(Found::Nothing, tries);
}
