//! The account of a run: threads from the kernel, stages from the centre, and the rest of each by subtraction.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

/// What `run --stage-times` wrote.
#[derive(Debug, Deserialize)]
struct Account {
    /// "thread/what" and nanoseconds of CPU.
    stages: Vec<(String, u64)>,
    borders: u64,
    border_ns: u64,
}

/// Threads as the account calls them: by the kernel's name, and what the rest of each does.
const THREADS: [(&str, &str, &str); 3] = [
    (
        "worker",
        "tokio-rt-worker",
        "TLS, HTTP/2, protobuf of messages, sockets, scheduling",
    ),
    (
        "journal",
        "journal",
        "taking from the queue, waking callers",
    ),
    (
        "fold",
        "fold",
        "taking from the feed, letting go of what was folded",
    ),
];

/// One line: what, nanoseconds of CPU in all.
type Line = (String, i128);

/// Prints it, nanoseconds a reading.
///
/// # Errors
/// When the account is no JSON.
pub(super) fn print(
    account: &str,
    threads: &BTreeMap<String, Duration>,
    whole: Duration,
    readings: f64,
) -> Result<()> {
    let account: Account = serde_json::from_str(account)?;
    let whole = nanos(whole);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (each, share) = (
        |ns: i128| ns as f64 / readings,
        |ns: i128| ns as f64 / whole as f64 * 100.0,
    );
    println!("where the time goes, ns of CPU a reading, from the start of the process on:");
    for (what, ns) in lines(&account, threads, whole) {
        println!("  {:9.1}  {:5.1} %  {what}", each(ns), share(ns));
    }
    println!("  {:9.1}  100.0 %  whole process", each(whole));
    println!(
        "  (the account itself: {} borders of {} ns, {:.1} ns a reading, inside the figures)",
        account.borders,
        account.border_ns,
        each(i128::from(account.borders) * i128::from(account.border_ns))
    );
    Ok(())
}

/// All lines but the last; they add up to `whole`.
fn lines(account: &Account, threads: &BTreeMap<String, Duration>, whole: i128) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut left = whole;
    let mut others = threads.clone();
    for (thread, kernel, does) in THREADS {
        let mut rest = others.remove(kernel).map_or(0, nanos);
        left -= rest;
        for (name, ns) in &account.stages {
            if let Some(what) = name.strip_prefix(thread).and_then(|n| n.strip_prefix('/')) {
                rest -= i128::from(*ns);
                lines.push((format!("{thread}: {what}"), i128::from(*ns)));
            }
        }
        lines.push((format!("{thread}: rest ({does})"), rest));
    }
    let other: i128 = others.into_values().map(nanos).sum();
    lines.push(("other threads".into(), other));
    lines.push((
        "remainder (threads that ended, and the kernel's rounding)".into(),
        left - other,
    ));
    lines
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_add_up_to_the_process_and_a_stage_that_claims_too_much_shows() {
        let account = Account {
            stages: vec![("fold/step".into(), 70), ("worker/open".into(), 500)],
            borders: 0,
            border_ns: 0,
        };
        let threads = [("fold", 100), ("tokio-rt-worker", 400), ("main", 5)];
        let threads = threads.map(|(name, ns)| (name.to_owned(), Duration::from_nanos(ns)));
        let lines = lines(&account, &BTreeMap::from(threads), 510);
        assert_eq!(lines.iter().map(|(_, ns)| ns).sum::<i128>(), 510);
        let of = |part: &str| {
            let found = lines.iter().find(|(what, _)| what.starts_with(part));
            found.map(|(_, ns)| *ns)
        };
        assert_eq!(of("fold: rest"), Some(30));
        assert_eq!(of("worker: rest"), Some(-100), "it is not hidden");
        assert_eq!(of("other threads"), Some(5));
        assert_eq!(of("remainder"), Some(5));
    }
}
