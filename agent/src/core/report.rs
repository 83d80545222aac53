//! What the core knows, for people.

use proto::v1::{Collection, ConfigurationOutcome, ConfigurationReport};
use vitals::Time;

use super::{Core, clocks};
use crate::outbox::assignment::Withheld;
use crate::status::{
    BudgetStatus, Buffer, ConfigurationStatus, DeviceStatus, Status, WithheldStatus,
};
use crate::uplink::budget::Allowance;

impl Core {
    /// Everything that the core knows; the shell adds what only it knows (transport, clock, certificate).
    #[must_use]
    pub fn status(&self, now: Time) -> Status {
        let devices = self.devices.iter().map(|(address, device)| DeviceStatus {
            address: address.to_string(),
            stream: device.stream.to_string(),
            source: device.source.0,
            link: device.link.as_str().to_owned(),
            since_us: device.since.as_micros(),
            name: device.about.name.clone().unwrap_or_default(),
            model: device.about.model.clone().unwrap_or_default(),
            impostor: device.impostor.clone().unwrap_or_default(),
            battery_percent: device.about.battery_percent,
            contact: device.contact,
            readings: device.readings,
            last_value_us: device.last_value.map_or(0, Time::as_micros),
            clock: clocks::shown(&device.memory, now),
        });
        let commands = self.commander.refused().by_reason();
        let unassigned = self.unassigned.iter();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            gateway: self.gateway_id.to_string(),
            written_us: now.as_micros(),
            uplink: String::new(),
            uplink_why: String::new(),
            uplink_since_us: 0,
            uplink_switches: 0,
            bytes_passed_today: self.day.spent(),
            budget: self.budget(),
            connected: self.window.is_connected(),
            line_trouble: self.line_trouble.clone().unwrap_or_default(),
            radio_trouble: self.radio_trouble.clone().unwrap_or_default(),
            radio_restarts: self.counters.radio_restarts.by_reason().clone(),
            store_trouble: self.store_trouble.clone().unwrap_or_default(),
            devices: devices.collect(),
            unassigned: unassigned.map(|(a, n)| (a.to_string(), *n)).collect(),
            buffer: Buffer {
                records: self.ledger.len(),
                bytes: self.ledger.bytes(),
            },
            last_receipt_us: self.gateway.last_receipt_us,
            readings_decoded: self.gateway.readings_decoded,
            readings_sealed: self.gateway.readings_sealed,
            readings_receipted: self.gateway.readings_receipted,
            readings_dropped: self.gateway.readings_dropped.clone(),
            device_data_refused: self.counters.device_data_refused.by_reason().clone(),
            receipts_invalid: self.counters.receipts_invalid,
            receipts_late: self.counters.receipts_late,
            receipts_outdated: self.counters.receipts_outdated,
            commands_refused: commands.values().sum(),
            commands_refused_by_reason: commands.clone(),
            command_number: self.commander.obeyed().number,
            refusals: self.counters.refusals.by_reason().clone(),
            malformed_messages: self.counters.malformed_messages,
            contexts: self.ledger.contexts(),
            commits_failed: self.counters.commits_failed,
            connections: self.counters.connections,
            centre_silent: self.survival.is_silent(),
            alerts_here: self.survival.holding().0,
            alerts_here_since_us: self.survival.holding().1.map_or(0, Time::as_micros),
            hook_failures: 0,
            page: String::new(),
            withheld: self.withheld.iter().map(withheld).collect(),
            configuration: self.configuration.as_ref().map(configuration),
            certificate_expires_us: 0,
            certificate_trouble: String::new(),
            test_clock: String::new(),
        }
    }
}

impl Core {
    /// The day's budget, if the line is metered.
    fn budget(&self) -> Option<BudgetStatus> {
        let bytes_per_day = self.day.bytes_per_day()?;
        let waits = match self.window.allowance() {
            Allowance::All => "nothing",
            Allowance::Live => "backlog and waveforms",
            Allowance::Urgent => "all but alerts, spot checks, gaps and heartbeats",
        };
        Some(BudgetStatus {
            bytes_per_day,
            spent: self.day.spent(),
            waits: waits.to_owned(),
            records_waiting: self.window.waiting(),
            day_ends_us: self.day.day_ends().as_micros(),
        })
    }
}

fn withheld(of: &Withheld) -> WithheldStatus {
    let collection = match of.collection {
        Collection::Withdrawn => "withdrawn",
        // Whatever a newer centre calls it: nothing is read.
        Collection::Paused | Collection::Given | Collection::Unspecified => "paused",
    };
    WithheldStatus {
        stream: of.stream.to_string(),
        collection: collection.to_owned(),
        since_us: of.since.as_micros(),
    }
}

fn configuration(report: &ConfigurationReport) -> ConfigurationStatus {
    let outcome = match report.outcome() {
        ConfigurationOutcome::Unspecified => "unknown",
        ConfigurationOutcome::Trial => "on trial",
        ConfigurationOutcome::Applied => "applied",
        ConfigurationOutcome::Refused => "refused",
        ConfigurationOutcome::RolledBack => "rolled back",
    };
    ConfigurationStatus {
        number: report.number,
        outcome: outcome.to_owned(),
        detail: report.detail.clone(),
    }
}
