//! Settings in the running agent. Those from afar are judged when they come, tried by starting anew, and kept on disk
//! before the order that brought them counts as obeyed; what becomes of them is decided in [`crate::remote`].

use std::sync::Arc;

use proto::clock::Clock;
use tokio::sync::watch;
use vitals::{GatewayId, Span, Time};

use super::App;
use crate::config::{Config, UplinkKind};
use crate::core::Settings;
use crate::identity::{Identity, IdentityDir};
use crate::remote::Remote;
use crate::status::describe;
use crate::uplink::Access;
use crate::uplink::grpc::Grpc;
use crate::uplink::meter::Meter;
use crate::uplink::mqtt::Mqtt;
use crate::uplink::switch::Line;
use crate::uplink::window::Limits;

/// What is in force from this start on. The start counts before anything can go wrong in it.
pub(super) fn starting(dir: &IdentityDir, local: &Config, now: Time) -> (Remote, Config) {
    let before = dir.remote();
    let mut remote = before.clone();
    let config = remote.start(local, now);
    if remote != before {
        keep(dir, &remote);
    }
    (remote, config)
}

fn keep(dir: &IdentityDir, remote: &Remote) {
    if let Err(error) = dir.store_remote(remote) {
        tracing::error!(error = describe(&error), "settings could not be kept");
    }
}

impl App {
    /// The line's switch is told at most once a second: it thinks in minutes.
    fn tell_delivered(&mut self, now: Time) {
        let second = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
        self.delivered
            .send_if_modified(|told| std::mem::replace(told, second) != second);
    }

    /// Judges what was ordered, and ends a trial that is over.
    pub(super) fn follow_settings(&mut self, now: Time) {
        let mut changed = false;
        if let Some((number, settings)) = self.core.poll_ordered() {
            tracing::info!(number, "settings from the centre");
            self.again |= self.remote.take(number, &settings, &self.local, now);
            changed = true;
        }
        let heard = self.core.poll_heard();
        if heard || (self.core.is_connected() && self.core.is_drained()) {
            // What waits for nothing is delivered.
            self.tell_delivered(now);
        }
        if heard && self.remote.heard() {
            tracing::info!("the centre is heard under its settings: they stay");
            changed = true;
        }
        if self.remote.expire(now) {
            tracing::warn!("the centre was not heard under its settings: back to the former ones");
            self.again = true;
            changed = true;
        }
        if changed {
            keep(&self.identity_dir, &self.remote);
            self.core.tell_configuration(self.remote.report.clone());
        }
    }
}

/// What each transport needs.
pub(super) struct Way<'a> {
    pub(super) addresses: &'a Addresses,
    pub(super) gateway: &'a GatewayId,
    pub(super) tls: watch::Receiver<Arc<rustls::ClientConfig>>,
    pub(super) meter: &'a Meter,
    pub(super) clock: Clock,
}

impl Way<'_> {
    /// A transport, ready to be wanted.
    pub(super) fn line(&self, kind: UplinkKind) -> Line {
        let access = Access {
            address: self.addresses.of_line(kind).to_owned(),
            tls: self.tls.clone(),
            meter: self.meter.clone(),
        };
        match kind {
            UplinkKind::Grpc => Line::start(kind.as_str(), Grpc::new(access), self.clock),
            UplinkKind::Mqtt => {
                let mqtt = Mqtt::new(access, self.gateway.clone());
                Line::start(kind.as_str(), mqtt, self.clock)
            }
        }
    }
}

/// Where the centre listens: as configured, else as it told at enrolment.
pub(super) struct Addresses {
    pub(super) grpc: String,
    pub(super) mqtt: String,
}

impl Addresses {
    pub(super) fn of(config: &Config, identity: &Identity) -> Self {
        let chosen = |configured: &Option<String>, told: &String| {
            configured.as_ref().unwrap_or(told).clone()
        };
        Self {
            grpc: chosen(&config.grpc_address, &identity.grpc_address),
            mqtt: chosen(&config.mqtt_address, &identity.mqtt_address),
        }
    }

    fn of_line(&self, uplink: UplinkKind) -> &str {
        match uplink {
            UplinkKind::Grpc => &self.grpc,
            UplinkKind::Mqtt => &self.mqtt,
        }
    }
}

/// What the core needs of them.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        commit_interval: config.commit_interval(),
        buffer_bytes: config.buffer_bytes,
        buffer_age: Span::from_secs(i64::try_from(config.buffer_days * 86_400).unwrap_or(i64::MAX)),
        keep_free_bytes: config.keep_free_bytes,
        clock_ahead: Span::from_mins(config.utc_offset_min.unwrap_or(0).into()),
        heartbeat: Span::from_secs(i64::try_from(config.heartbeat_s).unwrap_or(i64::MAX)),
        window: Limits::default(),
        bytes_per_day: config.bytes_per_day,
        survival: config.survival(),
    }
}
