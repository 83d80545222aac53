//! The outbox in a process of its own, which is killed, loses power, fills its disk and gets damaged files.
//!
//! * `house`: the child, the whole core over a real store, without radio or network; this test program again,
//!   asked for the "test" `house::child`.
//! * `centre`: what outlives it: it opens, remembers and receipts, and judges at the end.
//! * `kill`, `power`, `full`, `damage`, `theft`: what is done to the child and its disk.
//! * `deflate`: figures of what deflating does to batches.
//! * `month`: thirty days without a line, in this process; the README says how to get its figures.
//!
//! The gate runs few fixed seeds; the README names the variables that run the full counts.

mod centre;
mod damage;
mod deflate;
mod full;
mod house;
mod kill;
mod month;
mod power;
mod shim;
mod theft;

use std::time::{Duration, Instant};

/// A count from the environment for a soak, else the gate's.
fn count(variable: &str, gate: u64) -> u64 {
    let asked = std::env::var(variable).ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(gate)
}

/// Waits for a condition; panics with what was waited for.
fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
