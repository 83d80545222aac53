//! What the agent logs, on standard error.
//!
//! Levels: ERROR somebody must act; WARN the agent helps itself, but somebody should know; INFO start, stop,
//! connections, orders obeyed; DEBUG each attempt. `RUST_LOG` chooses.
//! Invariant: nothing measured and nothing that names a patient is logged at any level; libraries that would
//! print values (bytes from the radio, packets) are held to WARN whatever `RUST_LOG` says.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged without `RUST_LOG`.
const DEFAULT: &str = "warn,vitaltwin_agent=info";
/// Libraries that log what they carry.
const TALKATIVE: [&str; 7] = [
    "bluez_async",
    "btleplug",
    "dbus",
    "dbus_tokio",
    "rumqttc",
    "h2",
    "sled",
];

/// Starts logging. A second call in one process changes nothing.
pub fn init() {
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let quiet = filter_fn(|metadata| may_log(metadata.target(), *metadata.level()));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(chosen.and(quiet));
    let _already_started = tracing_subscriber::registry().with(layer).try_init();
}

fn may_log(target: &str, level: tracing::Level) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    !TALKATIVE.contains(&library) || LevelFilter::WARN >= level
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn talkative_libraries_are_held_to_warnings() {
        assert!(!may_log("bluez_async::events", Level::TRACE));
        assert!(!may_log("rumqttc::state", Level::INFO));
        assert!(may_log("rumqttc::state", Level::WARN));
        assert!(may_log("vitaltwin_agent::core", Level::DEBUG));
    }
}
