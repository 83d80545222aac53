//! The agent's options: `config.toml` in its folder. Every field is optional; unknown keys are refused with
//! their name, so that a slip of the pen never silently means a default.
//!
//! `agent/config.sample.toml` shows all of them with their defaults (a test holds it to that).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use proto::text::host_port;
use serde::de::{IntoDeserializer as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use vitals::Span;

use crate::ble::pipe::{PolarStream, Setup};

use crate::survival;

/// Longest commit interval: what a crash may lose.
const LONGEST_COMMIT_MS: u64 = 60_000;
/// Least budget of a metered line: heartbeats alone take that much.
const LEAST_PER_DAY: u64 = 262_144;
/// Twice what heartbeats of 300 bytes take in a day, times the seconds between them: they always go.
const HEARTBEATS_PER_DAY: u64 = 2 * 300 * 86_400;

/// Options of `vitaltwin-agent`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The transport: "grpc" or "mqtt"; or both, `["mqtt", "grpc"]`: the first while it delivers, else the other. The
    /// command line's `--uplink` goes before it.
    pub uplink: Uplinks,
    /// With two transports: seconds without an authentic word of the centre after which the other is taken. Never less
    /// than three heartbeats. 30 to 86400.
    pub uplink_after_s: u64,
    /// Bytes that the line to the centre may carry on a day of UTC, both ways, TLS and all. 0: it is free. Else at
    /// least 262144, and at least twice what heartbeats take (51840000 / `heartbeat_s`).
    pub bytes_per_day: u64,
    /// The centre's gRPC door, "host:port". Absent: as told at enrolment.
    pub grpc_address: Option<String>,
    /// The centre's MQTT door, "host:port". Absent: as told at enrolment.
    pub mqtt_address: Option<String>,
    /// The Bluetooth adapter, such as "hci0". Absent: the first one.
    pub adapter: Option<String>,
    /// Links that the Bluetooth adapter carries at once; with more devices they take turns. Absent: found out.
    pub most_links: Option<usize>,
    /// Minutes by which the home's wall clocks are ahead of UTC. Given: written to devices that take a clock, and
    /// their stamps are read by it. Absent: no clock is written, and stamps are read as UTC. -720 to 840.
    pub utc_offset_min: Option<i16>,
    /// What Polar sensors are asked to stream besides the heart rate: "ecg" (chest strap, 130 Hz), "acceleration"
    /// (50 Hz), "intervals" (optical sensor). A sensor that has no such stream refuses and goes on.
    pub polar_streams: Vec<PolarStream>,
    /// How often the outbox is made durable, milliseconds; a crash loses at most this much. 10 to 60000.
    pub commit_interval_ms: u64,
    /// Bytes of sealed records kept at most. Beyond it the oldest dense readings are dropped and declared;
    /// spot checks and declared gaps never. At least 1 MiB.
    pub buffer_bytes: u64,
    /// Days that a reading may wait for the centre at most; what is older is dropped and declared as above. 1 to
    /// 3650.
    pub buffer_days: u64,
    /// Bytes of disk that stay free: with less, the buffer counts as full.
    pub keep_free_bytes: u64,
    /// Seconds between heartbeats, which prove to the centre that the agent lives. 5 to 3600.
    pub heartbeat_s: u64,
    /// A wearable that streams and is silent for this many seconds is connected anew. 5 to 3600.
    pub silence_s: u64,
    /// Seconds without an authentic receipt after which the centre counts as silent, so that critical alerts are
    /// raised here. Never less than three heartbeats. 0: never. Else 60 to 86400.
    pub survival_after_s: u64,
    /// Seconds for which receipts must have come for the centre to count as heard again. 0 to 3600.
    pub survival_clear_s: u64,
    /// Program (absolute path) and arguments to run for each alert raised here; no shell reads them. It gets two
    /// more: "raised", "resolved" or "handed-over", and the condition's code. Empty: none.
    pub survival_hook: Vec<String>,
    /// What people at home are asked to do when an alert is raised here; whom to call. 1 to 200 characters.
    pub survival_words: String,
    /// Where the status page for people at home listens, on this machine only: a loopback address with a port
    /// (0: any free one). Empty: no page.
    pub page_listen: String,
    /// Where people at home find their own page, as the status page tells them: an https address of at most 200 characters.
    /// Absent: at the centre's gRPC door. Empty: it is not told.
    pub own_page: Option<String>,
}

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum UplinkKind {
    /// A bidirectional gRPC stream.
    Grpc,
    /// MQTT 3.1.1.
    Mqtt,
}

impl UplinkKind {
    /// The word used in options, status and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Mqtt => "mqtt",
        }
    }
}

/// The preferred transport, and the one to use while that does not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uplinks {
    /// Used whenever it delivers.
    pub preferred: UplinkKind,
    /// `None`: there is no other way.
    pub fallback: Option<UplinkKind>,
}

impl Uplinks {
    /// This transport alone.
    #[must_use]
    pub const fn only(kind: UplinkKind) -> Self {
        Self {
            preferred: kind,
            fallback: None,
        }
    }

    /// From a list, the preferred one first; `None` unless it holds one, or two that differ.
    #[must_use]
    pub fn of(kinds: &[UplinkKind]) -> Option<Self> {
        match *kinds {
            [kind] => Some(Self::only(kind)),
            [preferred, fallback] if preferred != fallback => Some(Self {
                preferred,
                fallback: Some(fallback),
            }),
            _ => None,
        }
    }

    /// Both, or the one.
    pub fn kinds(self) -> impl Iterator<Item = UplinkKind> {
        [Some(self.preferred), self.fallback].into_iter().flatten()
    }
}

impl<'de> Deserialize<'de> for Uplinks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UplinksVisitor)
    }
}

struct UplinksVisitor;

impl<'de> Visitor<'de> for UplinksVisitor {
    type Value = Uplinks;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("\"grpc\", \"mqtt\", or a list of both with the preferred one first")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Uplinks, E> {
        UplinkKind::deserialize(word.into_deserializer()).map(Uplinks::only)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Uplinks, A::Error> {
        let mut kinds = Vec::new();
        while let Some(kind) = list.next_element()? {
            kinds.push(kind);
        }
        Uplinks::of(&kinds).ok_or_else(|| serde::de::Error::invalid_length(kinds.len(), &self))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            uplink: Uplinks::only(UplinkKind::Grpc),
            uplink_after_s: 120,
            bytes_per_day: 0,
            grpc_address: None,
            mqtt_address: None,
            adapter: None,
            most_links: None,
            utc_offset_min: None,
            polar_streams: Vec::new(),
            commit_interval_ms: 1000,
            buffer_bytes: 512 << 20,
            buffer_days: 180,
            keep_free_bytes: 64 << 20,
            heartbeat_s: 30,
            silence_s: 30,
            survival_after_s: 180,
            survival_clear_s: 60,
            survival_hook: Vec::new(),
            survival_words: "Please call your care team.".into(),
            page_listen: "127.0.0.1:8480".into(),
            own_page: None,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there but cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, or holds an unknown key or a value of the wrong type.
    #[error("{path} is not a configuration")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A value is out of its range.
    #[error("{field} = {value} is out of range: it must be {expected}")]
    Range {
        /// Which key.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        expected: &'static str,
    },
}

impl Config {
    /// From `config.toml` in the agent's folder; the defaults if there is none.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, key and remedy.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join("config.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let config: Self =
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source })?;
        config.check()?;
        Ok(config)
    }

    /// Whether every value is in its range.
    ///
    /// # Errors
    /// [`ConfigError::Range`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let range = |field, value: u64, fine: bool, expected| {
            let value = value.to_string();
            fine.then_some(()).ok_or(ConfigError::Range {
                field,
                value,
                expected,
            })
        };
        let commit = self.commit_interval_ms;
        let fine = (10..=LONGEST_COMMIT_MS).contains(&commit);
        range("commit_interval_ms", commit, fine, "10 to 60000")?;
        let links = self.most_links.unwrap_or(1) as u64;
        range("most_links", links, links > 0, "at least 1")?;
        let offset = self.utc_offset_min.unwrap_or(0);
        if !(-720..=840).contains(&offset) {
            return Err(ConfigError::Range {
                field: "utc_offset_min",
                value: offset.to_string(),
                expected: "-720 to 840",
            });
        }
        let bytes = self.buffer_bytes;
        range("buffer_bytes", bytes, bytes >= 1 << 20, "at least 1048576")?;
        let days = self.buffer_days;
        range("buffer_days", days, (1..=3650).contains(&days), "1 to 3650")?;
        for (field, value) in [
            ("heartbeat_s", self.heartbeat_s),
            ("silence_s", self.silence_s),
        ] {
            range(field, value, (5..=3600).contains(&value), "5 to 3600")?;
        }
        let after = self.uplink_after_s;
        let fine = (30..=86_400).contains(&after);
        range("uplink_after_s", after, fine, "30 to 86400")?;
        let bytes = self.bytes_per_day;
        let least = LEAST_PER_DAY.max(HEARTBEATS_PER_DAY / self.heartbeat_s.max(1));
        let expected =
            "0 or at least 262144, and twice what heartbeats take: 51840000 / heartbeat_s";
        range(
            "bytes_per_day",
            bytes,
            bytes == 0 || bytes >= least,
            expected,
        )?;
        self.check_survival()?;
        for (field, address) in [
            ("grpc_address", &self.grpc_address),
            ("mqtt_address", &self.mqtt_address),
        ] {
            if let Some(text) = address
                && host_port(text).is_none()
            {
                let value = text.clone();
                let expected = "\"host:port\"";
                return Err(ConfigError::Range {
                    field,
                    value,
                    expected,
                });
            }
        }
        Ok(())
    }

    fn check_survival(&self) -> Result<(), ConfigError> {
        let range = |field, value: String, fine: bool, expected| {
            fine.then_some(()).ok_or(ConfigError::Range {
                field,
                value,
                expected,
            })
        };
        let (after, clear) = (self.survival_after_s, self.survival_clear_s);
        let fine = after == 0 || (60..=86_400).contains(&after);
        range(
            "survival_after_s",
            after.to_string(),
            fine,
            "0 or 60 to 86400",
        )?;
        range(
            "survival_clear_s",
            clear.to_string(),
            clear <= 3600,
            "0 to 3600",
        )?;
        let program = self.survival_hook.first();
        let fine = program.is_none_or(|program| program.starts_with('/'));
        let value = program.cloned().unwrap_or_default();
        range("survival_hook", value, fine, "[\"/absolute/path\", ...]")?;
        let words = self.survival_words.trim();
        let fine = (1..=200).contains(&words.chars().count());
        range(
            "survival_words",
            words.to_owned(),
            fine,
            "1 to 200 characters",
        )?;
        let fine = self.page_listen.is_empty() || self.page_address().is_some();
        let value = self.page_listen.clone();
        let expected = "a loopback address with a port, such as \"127.0.0.1:8480\", or empty: the page is for \
                        whoever sits at this machine";
        range("page_listen", value, fine, expected)?;
        let own = self.own_page.as_deref().unwrap_or_default();
        let address = own.parse::<hyper::Uri>().ok();
        let secure =
            address.is_some_and(|of| of.scheme_str() == Some("https") && of.host().is_some());
        let fine = own.is_empty() || (own.len() <= 200 && secure);
        range(
            "own_page",
            own.to_owned(),
            fine,
            "an https address of at most 200 characters, or empty",
        )
    }

    /// Where the page listens.
    #[must_use]
    pub fn page_address(&self) -> Option<SocketAddr> {
        let address: SocketAddr = self.page_listen.parse().ok()?;
        address.ip().is_loopback().then_some(address)
    }

    /// Silence after which the other transport is taken; `None` if there is none.
    #[must_use]
    pub fn uplink_after(&self, uplinks: Uplinks) -> Option<Span> {
        let least = self.heartbeat_s.saturating_mul(3);
        let after = self.uplink_after_s.max(least);
        let after = Span::from_secs(i64::try_from(after).unwrap_or(i64::MAX));
        uplinks.fallback.map(|_| after)
    }

    /// When the centre counts as silent.
    #[must_use]
    pub fn survival(&self) -> survival::Limits {
        let seconds = |value| Span::from_secs(i64::try_from(value).unwrap_or(i64::MAX));
        let least = self.heartbeat_s.saturating_mul(3);
        let after = self.survival_after_s;
        survival::Limits {
            after: (after > 0).then(|| seconds(after.max(least))),
            clear: seconds(self.survival_clear_s),
        }
    }

    /// What the radio's worker needs to know.
    #[must_use]
    pub fn radio(&self) -> Setup {
        Setup {
            adapter: self.adapter.clone(),
            silence: Span::from_secs(i64::try_from(self.silence_s).unwrap_or(i64::MAX)),
            most_links: self.most_links,
            clock_ahead_min: self.utc_offset_min,
            polar_streams: self.polar_streams.clone(),
        }
    }

    /// The commit interval.
    #[must_use]
    pub fn commit_interval(&self) -> Span {
        Span::from_millis(i64::try_from(self.commit_interval_ms).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("config.toml"), text).expect("written");
        Config::load(dir.path())
    }

    #[test]
    fn the_sample_file_shows_every_default() {
        let sample = include_str!("../config.sample.toml");
        assert_eq!(load(sample).expect("valid"), Config::default());
        // With every option that is commented out switched on, it still parses: no name is misspelt.
        let all: String = sample
            .lines()
            .map(|line| line.strip_prefix("#= ").unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let all = load(&all).expect("valid");
        assert!(
            all.own_page.is_some()
                && all.adapter.is_some()
                && all.grpc_address.is_some()
                && all.mqtt_address.is_some()
        );
    }

    #[test]
    fn every_field_is_documented_in_the_sample() {
        // A key that does not exist is refused with the names of all that do.
        let error = load("no_such_key = 1").expect_err("unknown");
        let source = std::error::Error::source(&error).expect("a cause");
        let text = source.to_string();
        let list = text.split("expected one of").nth(1).expect("the names");
        let names: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
        assert!(names.len() > 12, "{names:?}");
        let sample: Vec<&str> = include_str!("../config.sample.toml").lines().collect();
        for name in names {
            let line = sample.iter().position(|line| {
                let line = line.strip_prefix("#= ").unwrap_or(line);
                line.split(' ').next() == Some(name)
            });
            let line = line.unwrap_or_else(|| panic!("config.sample.toml does not show {name}"));
            // Its paragraph begins with a comment.
            let begin = sample[..line].iter().rposition(|line| line.is_empty());
            let first = sample[begin.map_or(0, |begin| begin + 1)];
            assert!(first.starts_with("# "), "{name} is not explained: {first}");
        }
    }

    #[test]
    fn one_transport_or_two() {
        let both = load("uplink = [\"mqtt\", \"grpc\"]\nheartbeat_s = 60").expect("fine");
        assert_eq!(
            Uplinks::of(&[UplinkKind::Mqtt, UplinkKind::Grpc]),
            Some(both.uplink)
        );
        assert_eq!(both.uplink_after(both.uplink), Some(Span::from_secs(180)));
        let one = load("uplink = \"mqtt\"").expect("fine");
        assert_eq!(one.uplink, Uplinks::only(UplinkKind::Mqtt));
        assert_eq!(one.uplink_after(one.uplink), None);
    }

    #[test]
    fn no_file_means_defaults() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(
            Config::load(dir.path()).expect("defaults"),
            Config::default()
        );
    }

    #[test]
    fn slips_are_named() {
        let text = |toml: &str| {
            let error = load(toml).expect_err("wrong");
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error} {}", source.unwrap_or_default())
        };
        assert!(text("comit_interval_ms = 5").contains("comit_interval_ms"));
        assert!(text("commit_interval_ms = 5").contains("10 to 60000"));
        assert!(text("uplink = \"pigeon\"").contains("pigeon"));
        assert!(text("mqtt_address = \"centre\"").contains("host:port"));
        for list in [
            "[]",
            "[\"mqtt\", \"mqtt\"]",
            "[\"mqtt\", \"grpc\", \"mqtt\"]",
        ] {
            assert!(
                text(&format!("uplink = {list}")).contains("preferred one first"),
                "{list}"
            );
        }
        assert!(text("uplink = [\"grpc\", \"pigeon\"]").contains("pigeon"));
        assert!(text("uplink_after_s = 5").contains("30 to 86400"));
        assert!(text("bytes_per_day = 1000").contains("0 or at least 262144"));
        assert!(text("bytes_per_day = 1000000").contains("51840000 / heartbeat_s"));
        let rare = "bytes_per_day = 1000000\nheartbeat_s = 60";
        assert!(
            load(rare).is_ok(),
            "heartbeats every minute leave half of it"
        );
        assert!(text("buffer_bytes = 4").contains("1048576"));
        assert!(text("buffer_days = 0").contains("1 to 3650"));
        assert!(text("survival_after_s = 5").contains("0 or 60 to 86400"));
        assert!(text("survival_hook = [\"ring\"]").contains("absolute"));
        assert!(text("survival_words = \" \"").contains("1 to 200"));
        for other in [
            "http://centre.example.org/",
            "https:",
            "centre.example.org",
            "javascript:x",
        ] {
            assert!(
                text(&format!("own_page = \"{other}\"")).contains("an https address"),
                "{other}"
            );
        }
        assert!(
            load("own_page = \"\"").is_ok()
                && load("own_page = \"https://me.example.org/\"").is_ok()
        );
        for open in ["0.0.0.0:8480", "192.168.1.7:8480", "[::]:8480", "localhost"] {
            assert!(
                text(&format!("page_listen = \"{open}\"")).contains("loopback"),
                "{open}"
            );
        }
    }
}
