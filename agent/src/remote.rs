//! PURE. Settings from afar: checked whole, on trial until the centre was heard under them, else rolled back.
//!
//! An order can saw off the branch it came by. So what the centre sends is refused whole if one key does not hold;
//! else it is on trial from the next start on. A word of the centre that proves itself (a receipt, a signed command)
//! ends the trial well. No such word within `TRIAL`, or `STARTS` starts without one, and the settings before it
//! are in force again. Each outcome is reported to the centre and shown in the status.
//!
//! Invariants: one set is in force at any time, whole; a set that was rolled back or refused is not tried again; only
//! the keys of `Settings` can be set from afar. Must not know: files, transports, what a setting does.

use proto::v1::{ConfigurationOutcome, ConfigurationReport};
use serde::Deserialize;
use vitals::{Span, Time};

use crate::config::{Config, Uplinks};
use crate::status::describe;

/// The centre must be heard within this time of the trial's first start.
const TRIAL: Span = Span::from_mins(10);
/// Starts without a word of the centre: a crash, or somebody who pulled the plug, more than once.
const STARTS: u32 = 3;
/// Bytes of settings.
const LONGEST: usize = 4096;

/// What may be set from afar, each key as in `config.toml`. Not among them: what could run a program or name
/// another file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    uplink: Option<Uplinks>,
    uplink_after_s: Option<u64>,
    bytes_per_day: Option<u64>,
    grpc_address: Option<String>,
    mqtt_address: Option<String>,
    commit_interval_ms: Option<u64>,
    buffer_bytes: Option<u64>,
    buffer_days: Option<u64>,
    keep_free_bytes: Option<u64>,
    heartbeat_s: Option<u64>,
    silence_s: Option<u64>,
}

/// A set of settings.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Version {
    /// Number of the command that carried it.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// TOML.
    #[prost(string, tag = "2")]
    pub settings: String,
}

/// What is kept of it on disk.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Remote {
    /// Confirmed; in force unless another is on trial.
    #[prost(message, optional, tag = "1")]
    pub good: Option<Version>,
    /// In force, not confirmed.
    #[prost(message, optional, tag = "2")]
    pub trial: Option<Version>,
    /// Starts of the trial.
    #[prost(uint32, tag = "3")]
    pub starts: u32,
    /// When the trial began, microseconds.
    #[prost(int64, tag = "4")]
    pub since_us: i64,
    /// What became of the last set.
    #[prost(message, optional, tag = "5")]
    pub report: Option<ConfigurationReport>,
}

impl Remote {
    /// Judges a set of settings over those of this machine. True: start anew, to try it.
    pub fn take(&mut self, number: u64, settings: &str, local: &Config, now: Time) -> bool {
        if self
            .report
            .as_ref()
            .is_some_and(|last| last.number >= number)
        {
            return false;
        }
        if let Err(why) = overlay(local, settings) {
            self.tell(number, ConfigurationOutcome::Refused, why);
            return false;
        }
        self.trial = Some(Version {
            number,
            settings: settings.to_owned(),
        });
        (self.starts, self.since_us) = (0, now.as_micros());
        self.tell(number, ConfigurationOutcome::Trial, String::new());
        true
    }

    /// What is in force from this start on.
    pub fn start(&mut self, local: &Config, now: Time) -> Config {
        self.starts += u32::from(self.trial.is_some());
        if self.starts > STARTS {
            self.roll_back(&format!(
                "the agent was started {STARTS} times without a word from the centre"
            ));
        }
        self.expire(now);
        let version = self.trial.as_ref().or(self.good.as_ref());
        let Some(Version { number, settings }) = version.cloned() else {
            return local.clone();
        };
        overlay(local, &settings).unwrap_or_else(|why| {
            // What is on this machine changed meanwhile: the two do not go together any more.
            (self.trial, self.good) = (None, None);
            self.tell(number, ConfigurationOutcome::Refused, why);
            local.clone()
        })
    }

    /// The centre proved that it hears and is heard. True: the trial is over.
    pub fn heard(&mut self) -> bool {
        // What is heard before the start that tries it was said to the former settings.
        let Some(trial) = self.trial.take_if(|_| self.starts > 0) else {
            return false;
        };
        let number = trial.number;
        self.good = Some(trial);
        self.tell(number, ConfigurationOutcome::Applied, String::new());
        true
    }

    /// True: the trial ran out. Start anew with the settings before it.
    pub fn expire(&mut self, now: Time) -> bool {
        let over = self.trial.is_some() && now.since(Time::from_micros(self.since_us)) > TRIAL;
        if over {
            let minutes = TRIAL.as_micros() / 60_000_000;
            self.roll_back(&format!("no word from the centre within {minutes} minutes"));
        }
        over
    }

    fn roll_back(&mut self, why: &str) {
        if let Some(trial) = self.trial.take() {
            self.starts = 0;
            let why = format!("{why}: the former settings are in force again");
            self.tell(trial.number, ConfigurationOutcome::RolledBack, why);
        }
    }

    fn tell(&mut self, number: u64, outcome: ConfigurationOutcome, detail: String) {
        let running = self.trial.as_ref().or(self.good.as_ref());
        self.report = Some(ConfigurationReport {
            number,
            outcome: outcome.into(),
            detail,
            running: Some(running.map_or(0, |version| version.number)),
        });
    }
}

/// The machine's own settings with the centre's over them; why not, for people.
fn overlay(local: &Config, text: &str) -> Result<Config, String> {
    if text.len() > LONGEST {
        return Err(format!("settings have at most {LONGEST} bytes"));
    }
    let remote: Settings = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let mut config = local.clone();
    let Settings {
        uplink,
        uplink_after_s,
        bytes_per_day,
        grpc_address,
        mqtt_address,
        commit_interval_ms,
        buffer_bytes,
        buffer_days,
        keep_free_bytes,
        heartbeat_s,
        silence_s,
    } = remote;
    config.uplink = uplink.unwrap_or(config.uplink);
    config.uplink_after_s = uplink_after_s.unwrap_or(config.uplink_after_s);
    config.bytes_per_day = bytes_per_day.unwrap_or(config.bytes_per_day);
    config.grpc_address = grpc_address.or(config.grpc_address);
    config.mqtt_address = mqtt_address.or(config.mqtt_address);
    config.commit_interval_ms = commit_interval_ms.unwrap_or(config.commit_interval_ms);
    config.buffer_bytes = buffer_bytes.unwrap_or(config.buffer_bytes);
    config.buffer_days = buffer_days.unwrap_or(config.buffer_days);
    config.keep_free_bytes = keep_free_bytes.unwrap_or(config.keep_free_bytes);
    config.heartbeat_s = heartbeat_s.unwrap_or(config.heartbeat_s);
    config.silence_s = silence_s.unwrap_or(config.silence_s);
    config.check().map_err(|error| describe(&error))?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_micros(1_000_000);

    fn outcome(remote: &Remote) -> ConfigurationOutcome {
        remote.report.as_ref().expect("a report").outcome()
    }

    fn tried(settings: &str) -> (Remote, Config) {
        let mut remote = Remote::default();
        assert!(remote.take(4, settings, &Config::default(), START));
        let config = remote.start(&Config::default(), START);
        (remote, config)
    }

    #[test]
    fn one_key_that_does_not_hold_refuses_the_whole() {
        let mut remote = Remote::default();
        for (number, bad, named) in [
            (1, "heartbeat_s = 60\ncommit_interval_ms = 1", "10 to 60000"),
            (2, "heartbeat_s = 60\nhook = \"/bin/sh\"", "hook"),
            (3, "heartbeat_s = \"often\"", "u64"),
            (4, "heartbeat_s 60", ""),
            (5, "bytes_per_day = 5", "262144"),
            (6, "uplink = [\"mqtt\", \"mqtt\"]", "preferred one first"),
        ] {
            assert!(
                !remote.take(number, bad, &Config::default(), START),
                "{bad}"
            );
            let report = remote.report.clone().expect("a report");
            assert_eq!(report.outcome(), ConfigurationOutcome::Refused, "{bad}");
            assert!(report.detail.contains(named), "{}", report.detail);
            assert_eq!(remote.start(&Config::default(), START), Config::default());
        }
    }

    #[test]
    fn a_trial_that_is_heard_stays_and_the_next_one_falls_back_on_it() {
        let mut early = Remote::default();
        assert!(early.take(4, "heartbeat_s = 60", &Config::default(), START));
        assert!(!early.heard(), "not tried yet");
        let (mut remote, config) = tried("heartbeat_s = 60");
        assert_eq!(config.heartbeat_s, 60);
        assert_eq!(outcome(&remote), ConfigurationOutcome::Trial);
        assert!(remote.heard() && !remote.heard());
        assert_eq!(outcome(&remote), ConfigurationOutcome::Applied);
        let local = Config::default();
        assert!(remote.take(9, "heartbeat_s = 120", &local, START));
        assert_eq!(remote.start(&local, START).heartbeat_s, 120);
        assert!(!remote.expire(START + TRIAL));
        assert!(remote.expire(START + TRIAL + Span::from_millis(1)));
        assert_eq!(outcome(&remote), ConfigurationOutcome::RolledBack);
        assert_eq!(remote.start(&local, START).heartbeat_s, 60);
        assert!(
            !remote.heard(),
            "what was rolled back is not confirmed later"
        );
    }

    #[test]
    fn a_trial_that_crashes_is_given_up() {
        let (mut remote, _) = tried("heartbeat_s = 60");
        for _ in 1..STARTS {
            assert_eq!(remote.start(&Config::default(), START).heartbeat_s, 60);
        }
        assert_eq!(remote.start(&Config::default(), START), Config::default());
        assert_eq!(outcome(&remote), ConfigurationOutcome::RolledBack);
        let again = remote.take(4, "heartbeat_s = 60", &Config::default(), START);
        assert!(!again, "not tried again, also when the centre repeats it");
    }

    #[test]
    fn no_settings_mean_the_machines_own() {
        let (_, config) = tried("bytes_per_day = 9000000\nuplink = [\"mqtt\", \"grpc\"]");
        assert_eq!(config.bytes_per_day, 9_000_000);
        assert_eq!(config.uplink.kinds().count(), 2);
        let (mut remote, _) = tried("heartbeat_s = 60");
        remote.heard();
        assert!(remote.take(5, "", &Config::default(), START));
        assert_eq!(remote.start(&Config::default(), START), Config::default());
    }
}
