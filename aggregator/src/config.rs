//! `config.toml`: every setting of the centre, with its meaning, unit and default.
//!
//! Invariants: unknown keys are refused by name; [`SAMPLE`] parses to the defaults (tested). Must not know: files.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::channel::settings::Channel;
use crate::rules::Budget;
use crate::serve::provider::settings::Settings as Provider;
use crate::traces::Traces;

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where gRPC and the page listen: one TLS port. Port 0 takes a free one. Default 127.0.0.1:8443.
    pub listen: SocketAddr,
    /// Where MQTT listens (TLS). Port 0 takes a free one. Default 127.0.0.1:8883.
    pub mqtt_listen: SocketAddr,
    /// Host names and addresses under which gateways and people reach this centre; the first one goes into
    /// tokens and links. `localhost`, `127.0.0.1` and `::1` are always added to the certificate. Default: none,
    /// then the address of `listen` is used.
    pub names: Vec<String>,
    /// Largest size of the journal in MiB; a write beyond it stops the store as a full disk does. 0: no limit
    /// but the disk's. Default 0.
    pub journal_max_mib: u32,
    /// Room that stays free on the journal's disk, MiB: with less, batches are refused (gateways keep them) while
    /// the store still works. 0: the disk may become full. Default 256.
    pub disk_free_min_mib: u32,
    /// Minutes between two snapshots, by the centre's clock: a start reads the newest one and the log since. 0: none
    /// are made, and a start reads the whole log. Default 10.
    pub snapshot_minutes: u32,
    /// Days that batches stay in the journal; older ones that snapshots cover are removed, after the newest snapshot was
    /// read back, and so are blocks of the history that hold nothing else. History, `rebuild` and `why` then say "older
    /// than what is kept", and coverage "removed". What people and gateways were allowed and did stays for
    /// good. 0: everything stays. Needs snapshots. Default 0.
    pub retention_days: u32,
    /// What one gateway may send on the long run, KiB/s; what is more waits. 0: no limit. Default 2048.
    pub gateway_kib_per_s: u32,
    /// What one gateway may send at once before that limit holds, KiB. Default 16384.
    pub gateway_burst_kib: u32,
    /// Days after its end during which a gateway's certificate can still be renewed with the same key; a gateway
    /// that was away for longer is enrolled again. A stolen gateway that nobody revoked comes back within it, too.
    /// Default 90.
    pub renew_grace_days: u32,
    /// Connections that may be open at once on each port. Default 4096.
    pub max_connections: u32,
    /// Changes of alerts that a reader who was away can still catch up with (at least four a patient), and resolved alerts
    /// that lists show; of each about 1 KiB. Alerts that hold are kept whatever their number. Default 8192, at least 64.
    pub alerts_kept: u32,
    /// Platforms (the names of `platform add`) that ought to read alerts all the time: one that does not is told as silent
    /// by `status`, `doctor` and the metrics. Default: none.
    pub expected_platforms: Vec<String>,
    /// How long such a platform may be away, or confirm nothing once it has begun to confirm, seconds, before it is told.
    /// Default 120, at least 30.
    pub platform_silent_s: u32,
    /// Where `/metrics`, `/health` and `/ready` answer, in clear: a loopback address (see METRICS.md). Default: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// People sign in at the page by passkeys and one-time links alone: a password, or a provider of identities, opens nothing,
    /// also where somebody has one. Default false.
    pub passkey_only: bool,
    /// Who says at the page who somebody is, beside the centre: `[provider]` at the end of the file, an OpenID Connect provider.
    /// Only people of `person link` come in by it, in the roles that they have here. Default: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// How people are reached who are called: `[[channels]]` at the end of the file, each with a `name`, `duties`, and a
    /// `webhook`, `mail` or `push`. Default: none.
    pub channels: Vec<Channel>,
    /// Alerts about the body that rules may raise in a hundred patient-days of a trial; with more they are not activated.
    /// Default 100.
    pub rules_budget: u32,
    /// Alerts, or missed ones, that a group of patients may have more in a hundred patient-days of it. Default 50.
    pub rules_margin: u32,
    /// Hours of recorded time that rules are tried over at least, and measured hours of all patients together. Default 168.
    pub rules_hours: u32,
    /// Where traces go: `[traces]` at the end of the file, with the `collector` (OpenTelemetry, OTLP over gRPC), the `ca_file`
    /// that its certificate comes from, and `one_in` how many messages and calls one is traced. Never anything about a
    /// patient. Default: nowhere.
    pub traces: Option<Traces>,
    /// What is logged: a filter of `tracing-subscriber`, such as `info` or `vitaltwin_aggregator=debug`. Never
    /// anything about a patient. Default `info`.
    pub log: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            mqtt_listen: SocketAddr::from(([127, 0, 0, 1], 8883)),
            names: Vec::new(),
            journal_max_mib: 0,
            disk_free_min_mib: 256,
            snapshot_minutes: 10,
            retention_days: 0,
            gateway_kib_per_s: 2048,
            gateway_burst_kib: 16384,
            renew_grace_days: 90,
            max_connections: 4096,
            alerts_kept: 8192,
            expected_platforms: Vec::new(),
            platform_silent_s: 120,
            metrics_listen: None,
            passkey_only: false,
            provider: None,
            channels: Vec::new(),
            rules_budget: 100,
            rules_margin: 50,
            rules_hours: 168,
            traces: None,
            log: "info".into(),
        }
    }
}

/// A file that says what the defaults are.
pub const SAMPLE: &str = r#"# Settings of a vitaltwin centre. Every key may be left out; shown are the defaults.

# Where gRPC and the page listen (one TLS port), and MQTT. Port 0 takes a free one.
listen = "127.0.0.1:8443"
mqtt_listen = "127.0.0.1:8883"

# Host names and addresses under which gateways and people reach this centre. The first goes into tokens and
# links. localhost, 127.0.0.1 and ::1 are always in the certificate.
names = []

# Largest size of the journal in MiB; 0 = no limit but the disk's.
journal_max_mib = 0

# Room in MiB that stays free on the journal's disk: with less, batches are refused and gateways keep them.
# 0 = the disk may become full.
disk_free_min_mib = 256

# Minutes between two snapshots: a start reads the newest one and the log since. 0 = none are made.
snapshot_minutes = 10

# Days that batches stay in the journal; older ones are removed once snapshots cover them, and so is what the history
# holds of them. What people and gateways were allowed and did stays for good. 0 = everything stays.
retention_days = 0

# What one gateway may send on the long run (KiB/s; 0 = no limit) and at once (KiB); what is more waits.
gateway_kib_per_s = 2048
gateway_burst_kib = 16384

# Days after the end of its certificate (24 hours) during which a gateway that was away comes back by itself, with
# the same key; after that it is enrolled again. Revoke a gateway that is lost: within these days it could return.
renew_grace_days = 90

# Connections that may be open at once on each port.
max_connections = 4096

# Changes of alerts that a reader who was away can still catch up with (at least four a patient), and resolved alerts that
# lists show: about 2 KiB of memory each. Alerts that hold are kept whatever their number.
alerts_kept = 8192

# Platforms (names as given to `platform add`) that ought to read alerts all the time, and how long one may be away (or
# confirm nothing once it has begun to confirm) before `status`, `doctor` and the metrics call it silent, in seconds.
expected_platforms = []
platform_silent_s = 120

# Where /metrics (Prometheus), /health and /ready answer, in clear: an address of this machine only, such as
# "127.0.0.1:9464". Commented out: nowhere.
# metrics_listen = "127.0.0.1:9464"

# true: people sign in at the page by passkeys and one-time links alone. false: also by a password together with a code of an
# authenticator app, where somebody set that up at the page.
passkey_only = false

# What rules for everybody are held to before `rules activate` takes them, in a trial over recorded days (`rules shadow`):
# alerts about the body in a hundred patient-days, at most; how many more of them, or missed ones, a group of patients (age,
# sex, device, ...) may have; and for how many hours it was tried at least.
rules_budget = 100
rules_margin = 50
rules_hours = 168

# What is logged: error, warn, info, debug, or a filter per module.
log = "info"

# Who says who somebody is, beside the centre: a provider of identities (OpenID Connect). It is to send people back to the
# page's address with provider/return behind it. Only whom `person link` named comes in by it, in the role they have here.
#
# [provider]
# name = "Example Clinic"                            # on the button
# issuer = "https://id.example.org"                  # exactly as it calls itself
# client_id = "vitaltwin"
# secret_file = "/etc/vitaltwin/provider.secret"     # left out: PKCE alone
# ca_file = "/etc/ssl/certs/ca-certificates.crt"     # roots of its server's certificate; this is the default

# How people are reached who are called, each with a name of its own; duties left out: nurse, doctor and supervisor. What is
# sent says that somebody is waited for, and never whom it is about. `channel test NAME` sends one.
#
# [[channels]]
# name = "ward"
# duties = ["nurse"]
# [channels.webhook]                                 # a CloudEvent, signed as Standard Webhooks says
# url = "https://ward.example.org/hook"
# secret_file = "/etc/vitaltwin/ward.secret"         # openssl rand -base64 32
#
# [[channels]]
# name = "duty-mail"
# duties = ["doctor", "supervisor"]
# ca_file = "/etc/ssl/certs/ca-certificates.crt"     # roots of its server's certificate; this is the default
# [channels.mail]
# server = "mail.example.org:465"                    # TLS 1.3 first at 465, STARTTLS elsewhere
# user = "vitaltwin"                                 # with password_file, or neither
# password_file = "/etc/vitaltwin/mail.password"
# from = "vitaltwin <vitaltwin@example.org>"
# to = ["duty@example.org"]
#
# [[channels]]
# name = "browsers"
# duties = ["nurse", "doctor"]
# [channels.push]                                    # to browsers of theirs, switched on at the page; one such channel
# contact = "mailto:operator@example.org"            # whom push services turn to

# Where traces go: an OpenTelemetry collector (OTLP over gRPC), by TLS 1.3, or in clear on this machine alone. They say
# how long each step took, and never about whom or from which gateway.
#
# [traces]
# collector = "https://otel.example.org:4317"        # or "http://127.0.0.1:4317"
# ca_file = "/etc/ssl/certs/ca-certificates.crt"     # roots of its certificate; this is the default
# one_in = 100                                       # of so many messages and calls, one
"#;

/// Why the settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key is unknown, or a value is of the wrong kind; the text names both, and the line.
    #[error("config.toml: {0}")]
    Toml(String),
    /// A value makes no sense.
    #[error("config.toml: {key}: {remedy}")]
    Value {
        /// Which setting.
        key: &'static str,
        /// What it must be.
        remedy: &'static str,
    },
}

impl Config {
    /// From the text of the file.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and what it must be.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|error| ConfigError::Toml(error.to_string()))?;
        let value = |key, remedy| Err(ConfigError::Value { key, remedy });
        if config.max_connections == 0 {
            return value("max_connections", "must be at least 1");
        }
        if config.alerts_kept < 64 {
            return value("alerts_kept", "must be at least 64");
        }
        if config.platform_silent_s < 30 {
            return value("platform_silent_s", "must be at least 30");
        }
        if config.names.iter().any(|name| !is_host(name)) {
            return value(
                "names",
                "each must be a host name or an IP address, without port or scheme",
            );
        }
        if config
            .metrics_listen
            .is_some_and(|address| !address.ip().is_loopback())
        {
            return value(
                "metrics_listen",
                "must be a loopback address such as 127.0.0.1:9464: it is in clear; let a collector on this machine send it on",
            );
        }
        if config.retention_days > 0 && config.snapshot_minutes == 0 {
            return value(
                "retention_days",
                "needs snapshots: set snapshot_minutes, too",
            );
        }
        if let Some(remedy) = config.provider.as_ref().and_then(Provider::complaint) {
            return value("provider", remedy);
        }
        let mut names = BTreeSet::new();
        for channel in &config.channels {
            let again = (!names.insert(&channel.name)).then_some("name: each must be another one");
            if let Some(remedy) = channel.complaint().or(again) {
                return value("channels", remedy);
            }
        }
        if let Some(remedy) = config.traces.as_ref().and_then(Traces::complaint) {
            return value("traces", remedy);
        }
        if config.listen == config.mqtt_listen && config.listen.port() != 0 {
            return value("mqtt_listen", "must differ from listen");
        }
        Ok(config)
    }

    /// The text that `init` writes: the sample with this configuration's values.
    #[must_use]
    pub fn to_text(&self) -> String {
        let default = Self::default();
        let names = self
            .names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ");
        SAMPLE
            .replace(
                &format!("\nlisten = \"{}\"", default.listen),
                &format!("\nlisten = \"{}\"", self.listen),
            )
            .replace(
                &default.mqtt_listen.to_string(),
                &self.mqtt_listen.to_string(),
            )
            .replace("names = []", &format!("names = [{names}]"))
    }

    /// What rules are held to before they are activated.
    #[must_use]
    pub const fn budget(&self) -> Budget {
        Budget {
            alerts: self.rules_budget,
            margin: self.rules_margin,
            hours: self.rules_hours,
        }
    }

    /// The host that tokens and links name.
    #[must_use]
    pub fn host(&self) -> String {
        match self.names.first() {
            Some(name) if name.contains(':') => format!("[{name}]"),
            Some(name) => name.clone(),
            None if self.listen.ip().is_unspecified() => "localhost".into(),
            None if self.listen.is_ipv6() => format!("[{}]", self.listen.ip()),
            None => self.listen.ip().to_string(),
        }
    }
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.parse::<std::net::IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_says_the_defaults() {
        assert_eq!(Config::parse(SAMPLE), Ok(Config::default()));
        assert_eq!(Config::parse(""), Ok(Config::default()));
        assert_eq!(Config::default().to_text(), SAMPLE);
    }

    #[test]
    fn the_traces_of_the_sample_are_traces() {
        let begin = SAMPLE.find("# [traces]").expect("they are shown");
        let text = SAMPLE[begin..].replace("\n# ", "\n").replacen("# ", "", 1);
        let config = Config::parse(&text).expect("it is TOML");
        assert_eq!(config.traces.map(|of| of.one_in), Some(100));
        for refused in ["http://otel.example.org:4317", "otel.example.org"] {
            let text = format!("[traces]\ncollector = \"{refused}\"");
            let error = Config::parse(&text).expect_err("in clear, or no address");
            assert!(error.to_string().contains("traces: collector"), "{error}");
        }
        let never = "[traces]\ncollector = \"http://[::1]:4317\"\none_in = 0";
        assert!(Config::parse(never).is_err());
    }

    #[test]
    fn the_channels_of_the_sample_are_channels() {
        let begin = SAMPLE.find("# [[channels]]").expect("they are shown");
        let end = SAMPLE.find("\n# Where traces go").expect("they follow");
        let text = SAMPLE[begin..end]
            .replace("\n# ", "\n")
            .replacen("# ", "", 1);
        let config = Config::parse(&text.replace("\n#\n", "\n")).expect("it is TOML");
        let ways = config.channels.iter();
        let ways: Vec<_> = ways.map(|of| (&*of.name, of.reaches().len())).collect();
        assert_eq!(ways, [("ward", 1), ("duty-mail", 2), ("browsers", 2)]);
        let again = Config::parse(&toml::to_string(&config).expect("TOML"));
        assert_eq!(again, Ok(config));
    }

    #[test]
    fn what_init_writes_is_read_back() {
        let config = Config {
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            mqtt_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            names: vec!["centre.example".into(), "10.0.0.7".into()],
            ..Config::default()
        };
        assert_eq!(Config::parse(&config.to_text()), Ok(config.clone()));
        assert_eq!(config.host(), "centre.example");
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        for (text, named) in [
            ("listne = \"127.0.0.1:1\"", "listne"),
            ("listen = \"here\"", "listen"),
            ("max_connections = 0", "max_connections"),
            ("alerts_kept = 3", "alerts_kept"),
            ("platform_silent_s = 5", "platform_silent_s"),
            ("names = [\"https://x\"]", "names"),
            ("metrics_listen = \"0.0.0.0:9464\"", "metrics_listen"),
            ("retention_days = 5\nsnapshot_minutes = 0", "retention_days"),
            ("mqtt_listen = \"127.0.0.1:8443\"", "mqtt_listen"),
            (
                "[[channels]]\nname = \"a\"",
                "exactly one of webhook, mail and push",
            ),
            (
                "[[channels]]\nname = \"a\"\nwebhook = { url = \"http://x\", secret_file = \"s\" }",
                "https://",
            ),
            (
                "[[channels]]\nname = \"a\"\nduties = [\"cook\"]\nmail = { server = \"x:465\", from = \"a@b\", to = [\"c@d\"] }",
                "duties",
            ),
        ] {
            let error = Config::parse(text).expect_err(text).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
