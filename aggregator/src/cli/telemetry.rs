//! What the centre logs, on standard error.
//!
//! `log` in config.toml chooses, `RUST_LOG` before it. Invariant: libraries that would print each frame of a
//! connection are held to WARN unless the filter names them itself. Must not know: what is logged.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

/// Libraries that log each frame, each of them at DEBUG.
const TALKATIVE: [&str; 5] = ["h2", "hyper", "rustls", "tonic", "tower"];

/// Starts the log.
pub(super) fn init(configured: &str) -> Result<()> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| configured.to_owned());
    let filter = EnvFilter::try_new(held(&filter)).context("config.toml: log")?;
    let told = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    told.map_err(|error| anyhow::anyhow!("starting the log: {error}"))
}

/// The filter with talkative libraries at WARN, except those that it names, and except where it says less anyway.
fn held(filter: &str) -> String {
    let named = |library: &str| {
        filter.split(',').any(|part| {
            let target = part.split(['=', '[']).next().unwrap_or_default().trim();
            target.split("::").next() == Some(library)
        })
    };
    // A part without a target is the level of everything else; without one, only errors are logged.
    let quiet = !filter.split(',').any(|part| {
        let level = part.trim().to_ascii_lowercase();
        ["warn", "info", "debug", "trace", "2", "3", "4", "5"].contains(&level.as_str())
    });
    let mut held = filter.to_owned();
    if !quiet {
        for library in TALKATIVE.into_iter().filter(|library| !named(library)) {
            held.push_str(&format!(",{library}=warn"));
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talkative_libraries_are_held_to_warnings_unless_named() {
        for filter in ["debug", "trace,vitaltwin_aggregator=info", "info"] {
            let held = held(filter);
            assert!(held.starts_with(filter));
            for library in TALKATIVE {
                assert!(held.contains(&format!(",{library}=warn")), "{held}");
            }
            EnvFilter::try_new(&held).expect("a filter");
        }
        let named = held("debug,h2=trace,tower::buffer=info");
        for library in ["h2", "tower"] {
            assert!(!named.contains(&format!(",{library}=warn")), "{named}");
        }
        assert!(named.contains(",hyper=warn"), "control: {named}");
        // What says less than WARN is not made louder.
        for quiet in ["error", "off", "vitaltwin_aggregator=debug"] {
            assert_eq!(held(quiet), quiet);
        }
    }
}
