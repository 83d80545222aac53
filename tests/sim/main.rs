//! A seeded simulation of agents and centre: the production state machines (the agent's core with seal, ledger, window
//! and survival; the centre's ingest, journal, registry, fold, hub and readers) in one thread, with virtual time, and
//! with clock, network and disks simulated. A seed decides everything: messages delayed, lost, doubled, overtaking each
//! other; lines cut or dead; power cuts at both ends, also in the middle of a commit; full, slow and rotting disks;
//! clocks that jump; readings that are voided; readers that come and go. `truth.rs` judges the properties P1 to P9 on the way and at the end.
//!
//! A seed that fails prints the command that runs it again; a long run says how far it is, and how to go on from there.
//!
//! Each property has a negative control, a bug in one of the simulation's own adapters that it must find:
//!
//! | property | planted | found by |
//! |---|---|---|
//! | P1 what is receipted is not lost | `ForgottenSync`: a disk calls commits durable that it did not sync | the journal that is opened again |
//! | P2 each reading once | `ValuesAgain`: the radio hands its last values out again | the journal |
//! | P3 readers see the log's order | `StaleCursor`: a reader goes on from a cursor that is not its newest | the reader |
//! | P4 losses are declared | `QuietLoss`: a card loses a record and says nothing | what was measured, at the end |
//! | P5 a twin is the replay of its log | `OtherTime`: the fold is given another time; `ForgottenMeanwhile`: a void misses what came while the log was read again; `ForgottenBehind`: a fold that catches up misses what came while it read | the next life's replay, and the one at the end |
//! | P6 one alert an episode, none missed | `DroppedAlerts`: alerts are not published; `OpenDoor`: receipts though nobody watches | what was measured; the receipts |
//! | P7 recovery is bounded | `EndlessBackoff`: each failure to connect doubles the wait | fresh readings after the last fault |
//! | P8 all is delivered in the end | `HangingWriter`: after a failed write the card's writer hangs | the agents, at the end |
//! | P9 no patient's reading reaches another | `SwappedDevices`: the radio takes two devices for each other | the journal |

mod card;
mod centre;
mod house;
mod plan;
mod rereading;
mod shelf;
mod stock;
mod truth;
mod watcher;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use plan::{Bug, Property};
use world::{Failure, Report, run};

/// Schedules of the gate.
const GATE: u64 = 200;
/// Between two words on how far it is.
const TELLING: u64 = 500;
/// Lines of a failure's trace; all of them where one seed is run again.
const TRACE: usize = 40;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A failure as people read it.
fn explain(seed: u64, bug: Option<Bug>, failure: &Failure) -> String {
    let trace = failure.trace.join("\n  ");
    let violation = &failure.violation;
    format!(
        "seed {seed} (planted: {bug:?}): {:?} does not hold: {}\n  {trace}\nrun it again: \
         VITALTWIN_SIM_SEED={seed} cargo test --workspace --test sim schedules -- --nocapture\n",
        violation.property, violation.what
    )
}

/// A panic of the production code is a failure of the schedule, too.
fn judged(seed: u64, bug: Option<Bug>) -> Result<Report, Box<Failure>> {
    let again = number("VITALTWIN_SIM_SEED").is_some();
    let kept = if again { usize::MAX } else { TRACE };
    catch_unwind(AssertUnwindSafe(|| run(seed, bug, kept))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let what = format!("a panic: {}", text.unwrap_or("no text"));
        Err(Box::new(Failure {
            violation: plan::Violation {
                property: Property::P5,
                what,
            },
            trace: Vec::new(),
        }))
    })
}

#[derive(Default)]
struct Sums {
    schedules: AtomicU64,
    seconds: AtomicU64,
    readings: AtomicU64,
    entries: AtomicU64,
    alerts: AtomicU64,
    crashes: AtomicU64,
}

impl Sums {
    fn add(&self, report: &Report) {
        let seconds = u64::try_from(report.simulated.as_micros()).unwrap_or(0) / 1_000_000;
        for (sum, more) in [
            (&self.schedules, 1),
            (&self.seconds, seconds),
            (&self.readings, report.readings),
            (&self.entries, report.entries),
            (&self.alerts, report.alerts as u64),
            (&self.crashes, report.crashes),
        ] {
            sum.fetch_add(more, Ordering::Relaxed);
        }
    }

    fn describe(&self) -> String {
        let [schedules, seconds, readings, entries, alerts, crashes] = [
            &self.schedules,
            &self.seconds,
            &self.readings,
            &self.entries,
            &self.alerts,
            &self.crashes,
        ]
        .map(|sum| sum.load(Ordering::Relaxed));
        let days = seconds / 86_400;
        format!(
            "{schedules} schedules, {days} simulated days, {crashes} crashes, {readings} readings, {entries} entries, {alerts} alert changes"
        )
    }
}

/// Runs all seeds of a range, on all processors; the failures, in the order of their seeds.
fn schedules_of(seeds: std::ops::Range<u64>, sums: &Sums) -> Vec<String> {
    let next = AtomicU64::new(seeds.start);
    let failures = std::sync::Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // What each thread is at: all before the least of them is done.
    let at: Vec<_> = (0..threads).map(|_| AtomicU64::new(seeds.start)).collect();
    let (next, failures, seeds, all) = (&next, &failures, &seeds, &at);
    std::thread::scope(|scope| {
        for mine in &at {
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    mine.store(seed, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match judged(seed, None) {
                        Ok(report) => sums.add(&report),
                        Err(failure) => {
                            let text = explain(seed, None, &failure);
                            eprintln!("{text}");
                            failures.lock().expect("no panic").push((seed, text));
                        }
                    }
                    if (seed + 1 - seeds.start).is_multiple_of(TELLING) {
                        let at = all.iter().map(|at| at.load(Ordering::Relaxed));
                        let first = at.min().unwrap_or(seed);
                        let left = seeds.end - first;
                        eprintln!("{}", sums.describe());
                        eprintln!(
                            "to go on from here: VITALTWIN_SIM_SEED={first} VITALTWIN_SIM={left}"
                        );
                    }
                }
            });
        }
    });
    let mut failures = std::mem::take(&mut *failures.lock().expect("no panic"));
    failures.sort();
    failures.into_iter().map(|(_, text)| text).collect()
}

/// `VITALTWIN_SIM`: how many; `VITALTWIN_SIM_SEED`: the first, and only that one unless a count is given.
#[test]
fn schedules_hold_every_property() {
    let first = number("VITALTWIN_SIM_SEED");
    let default = if first.is_some() { 1 } else { GATE };
    let count = number("VITALTWIN_SIM").unwrap_or(default);
    let first = first.unwrap_or(0);
    let (began, sums) = (Instant::now(), Sums::default());
    let failures = schedules_of(first..first + count, &sums);
    eprintln!("{} in {:?}", sums.describe(), began.elapsed());
    let failed = failures.len();
    let shown: Vec<_> = failures.into_iter().take(3).collect();
    assert!(
        shown.is_empty(),
        "{failed} of {count} failed; the first:\n{}",
        shown.join("\n")
    );
}

#[test]
fn a_seed_gives_the_same_schedule_each_time() {
    for seed in [1, 2, 3, 4, 5] {
        let again = |()| judged(seed, None).map_err(|failure| explain(seed, None, &failure));
        assert_eq!(again(()), again(()));
    }
}

/// The negative control of a property: a planted bug, found within the seeds of the gate.
fn is_found(bug: Bug) {
    let property = bug.breaks();
    let mut others = Vec::new();
    let found = (0..GATE).find(|seed| match judged(*seed, Some(bug)) {
        Err(failure) if failure.violation.property == property => {
            eprintln!("{bug:?}: seed {seed}: {}", failure.violation.what);
            true
        }
        Err(failure) => {
            others.push(failure.violation.property);
            false
        }
        Ok(_) => false,
    });
    assert!(found.is_some(), "{bug:?} was never found; but {others:?}");
}

#[test]
fn planted_a_disk_that_forgets_to_sync_is_found() {
    is_found(Bug::ForgottenSync);
}

#[test]
fn planted_values_that_come_again_are_found() {
    is_found(Bug::ValuesAgain);
}

#[test]
fn planted_a_cursor_that_is_not_the_newest_is_found() {
    is_found(Bug::StaleCursor);
}

#[test]
fn planted_a_loss_that_nobody_tells_is_found() {
    is_found(Bug::QuietLoss);
}

#[test]
fn planted_a_fold_with_another_time_is_found() {
    is_found(Bug::OtherTime);
}

#[test]
fn planted_alerts_that_are_dropped_are_found() {
    is_found(Bug::DroppedAlerts);
}

#[test]
fn planted_a_void_that_forgets_what_came_meanwhile_is_found() {
    is_found(Bug::ForgottenMeanwhile);
}

#[test]
fn planted_an_endless_wait_is_found() {
    is_found(Bug::EndlessBackoff);
}

#[test]
fn planted_a_writer_that_hangs_is_found() {
    is_found(Bug::HangingWriter);
}

#[test]
fn planted_a_feed_that_forgets_what_came_while_it_read_is_found() {
    is_found(Bug::ForgottenBehind);
}

#[test]
fn planted_a_door_that_stays_open_while_nobody_watches_is_found() {
    is_found(Bug::OpenDoor);
}

#[test]
fn planted_devices_taken_for_each_other_are_found() {
    is_found(Bug::SwappedDevices);
}
