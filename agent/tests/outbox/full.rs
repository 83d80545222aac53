//! The disk is full at the n-th write, for all n: for one write, or for a long while. Nothing is lost but what the declared
//! policy lets go of where less must do, waveforms first, and that is counted; nothing is corrupted, and all goes on when
//! there is room again.
//!
//! `VITALTWIN_FULL_DISK=1000000 cargo test -p vitaltwin-agent --test outbox full` tries every write; the gate some.

use std::path::Path;

use crate::centre::{Durable, is_frame};
use crate::house::{House, Life};
use crate::shim::library;

const BEATS: u64 = 40;

fn life() -> Life {
    Life {
        seed: 1,
        from: 0,
        beats: BEATS,
        line: false,
        drain: true,
        budget: 1 << 30,
        waves: true,
    }
}

/// One house whose disk is full at this write for so many; the writes that there were, and the records whose key was
/// there before them.
fn run(at: u64, long: u64) -> (u64, u64) {
    let mut house = House::new();
    house.drain();
    let from = house.next;
    let count = house.dir().with_extension("count");
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let envs = [
        ("LD_PRELOAD", path(&library())),
        ("RIG_DIR", path(&house.dir().join("outbox"))),
        ("RIG_FULL_AT", at.to_string()),
        ("RIG_FULL_FOR", long.to_string()),
        ("RIG_COUNT", path(&count)),
    ];
    let ended = house.start(life(), &envs).try_end(&house);
    let mut shed = 0;
    if ended {
        // It lived to its end: memory held everything, durable or not, but for waveforms that the policy let go of.
        let centre = house.centre();
        let all = Durable {
            first: from,
            last: from + BEATS - 1,
            waves: true,
        };
        let gone: Vec<u64> = all.markers().filter(|m| !centre.applied(*m)).collect();
        let declared = centre.gaps().iter().map(|gap| gap.readings).sum::<u64>();
        // What was on its way when the policy let go of it is declared, and came all the same.
        assert!(
            gone.iter().all(|marker| is_frame(*marker)) && declared >= gone.len() as u64,
            "write {at} for {long}: {gone:?} gone, {declared} declared: {:?}",
            centre.gaps()
        );
        shed = gone.len() as u64;
    }
    // Where it could not even open its store it said so and ended: a supervisor starts it again.
    house.drain();
    let centre = house.centre();
    let missing = centre
        .judge()
        .unwrap_or_else(|wrong| panic!("write {at} for {long}: {wrong}"));
    assert_eq!(missing, shed, "write {at} for {long}");
    let text = std::fs::read_to_string(count).unwrap_or_default();
    let writes = text.split_whitespace().next();
    let writes = writes.and_then(|text| text.parse().ok()).unwrap_or(0);
    (writes, centre.places)
}

#[test]
fn a_disk_full_at_any_write_loses_nothing() {
    let (writes, places) = run(u64::MAX, 0);
    assert!(writes > BEATS, "the shim saw {writes} writes");
    assert!(places > 0, "no record came to a place that was made for it");
    let tries = crate::count("VITALTWIN_FULL_DISK", 12);
    let step = writes.div_ceil(tries).max(1);
    let mut made = 0;
    for at in (1..=writes).step_by(usize::try_from(step).expect("small")) {
        for long in [1, 60] {
            run(at, long);
            made += 1;
        }
    }
    println!("the disk was full at {made} moments of {writes} writes; {places} records in places");
}
