//! How the centre is doing: counters, gateways with what each waits for, and what a person should look at.
//!
//! Must not know: who asks; anything about a patient.

use std::collections::BTreeSet;

use proto::v1::{self, CentreStatus, ConfigurationOutcome, GatewayStatus};
use vitals::{GatewayId, Span, Time};

use super::Admin;
use crate::chain::{self, Silence};

/// Under this name a history that failed is counted among what is refused.
pub const HISTORY_STOPPED: &str = "history_stopped";
/// Under this name entries of the journal are counted whose checksum did not hold when they were read.
const DAMAGED_ENTRY: &str = "damaged_entry";
/// The same of blocks of the history.
pub const DAMAGED_BLOCK: &str = "damaged_block";
const DAY: Span = Span::from_mins(24 * 60);
/// The server's certificate is made anew in its last thirty days: with fewer left, something is wrong.
const SERVER_WARNING: Span = Span::from_mins(14 * 24 * 60);

impl Admin {
    /// State and counters.
    #[must_use]
    pub fn status(&self) -> CentreStatus {
        let journal = self.parts.journal.status();
        let mut status = CentreStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            journal_position: journal.position.0,
            store_stopped: journal.stopped,
            refused: self.parts.counters.all_refused().into_iter().collect(),
            readings_receipted: self.parts.counters.all_receipted().into_iter().collect(),
            test_clock: self.parts.clock.describe(),
            traces: crate::traces::counted(),
            ..CentreStatus::default()
        };
        if status.store_stopped.is_empty() {
            status.store_stopped = self.parts.room.lacking().unwrap_or_default();
        }
        {
            let registry = self.parts.books.registry();
            // A start from a snapshot does not read again what was damaged before it.
            let damaged = journal.damaged.max(registry.damages() as u64);
            if damaged > 0 {
                status.refused.insert(DAMAGED_ENTRY.into(), damaged);
            }
            status.journal_epoch = registry.epoch();
            status.readings_journaled = registry.totals().readings;
            status.batches_journaled = registry.totals().batches;
            status.patients = u32::try_from(registry.patients().count()).unwrap_or(u32::MAX);
            let gateways = registry.gateways().map(|(id, gateway)| GatewayStatus {
                gateway: id.as_str().into(),
                label: gateway.label.clone(),
                revoked: gateway.revoked,
                certificate_expires_us: gateway.not_after.as_micros(),
                configuration_number: gateway
                    .configuration
                    .as_ref()
                    .map_or(0, |(position, _)| position.0),
                ..GatewayStatus::default()
            });
            status.gateways = gateways.collect();
        }
        let collecting = self.collecting();
        let mut heard = Vec::new();
        for gateway in &mut status.gateways {
            let seen =
                GatewayId::parse(&gateway.gateway).and_then(|id| self.parts.sessions.seen(&id));
            if let Some(seen) = seen {
                if !gateway.revoked {
                    heard.push((seen.last_by, seen.last_seen));
                }
                gateway.connected_by = seen
                    .connected_by
                    .map(|by| by.as_str().to_owned())
                    .unwrap_or_default();
                gateway.last_seen_us = seen.last_seen.as_micros();
                gateway.configuration = seen.configuration;
            }
            gateway.waiting_for = waiting_for(gateway, &collecting).into();
        }
        self.parts.live.fill(&mut status);
        let now = self.parts.clock.now();
        status.warnings = warnings(&status, now);
        let unseen = self.seen_by_nobody();
        if unseen > 0 {
            status.warnings.push(format!(
                "{unseen} patients are in no team with a nurse or doctor, and there is no supervisor: nobody at the page sees their alerts (`team list`, `team take`)"
            ));
        }
        status.warnings.extend(self.parts.live.notes());
        let mut silences = self.parts.live.silences();
        silences.extend(chain::broker(&heard, now));
        silences.extend(self.roster_silences(now));
        silences.sort_by(|a, b| (a.hop, &a.who).cmp(&(b.hop, &b.who)));
        for silence in silences {
            status.silent.push(v1::Silence {
                hop: silence.hop.as_str().into(),
                who: silence.who,
                since_us: silence.since.as_micros(),
                bound_s: u32::try_from(silence.bound.as_micros() / 1_000_000).unwrap_or(u32::MAX),
            });
            status.warnings.push(silence.words);
        }
        status
    }

    /// The fold, if it stands still; answered whatever the fold does.
    #[must_use]
    pub fn stands_still(&self) -> Option<Silence> {
        self.parts.live.stands_still()
    }

    /// Gateways that have at least one device to read.
    fn collecting(&self) -> BTreeSet<String> {
        let books = &self.parts.books;
        let registry = books.registry();
        let mut collecting = BTreeSet::new();
        // One list that names a device is enough: this is asked every few seconds, and each is sealed.
        for (_, of) in registry.streams().filter(|(_, of)| !of.frozen) {
            if !collecting.contains(of.gateway.as_str())
                && !books.open_devices(&of.patient, &of.devices).is_empty()
            {
                collecting.insert(of.gateway.as_str().to_owned());
            }
        }
        collecting
    }
}

/// What a person has to do next before this gateway collects anything.
fn waiting_for(gateway: &GatewayStatus, collecting: &BTreeSet<String>) -> &'static str {
    if gateway.revoked {
        ""
    } else if gateway.certificate_expires_us == 0 {
        "give its token to `vitaltwin-agent enrol` (or make a new one with `gateway token`)"
    } else if !collecting.contains(&gateway.gateway) {
        "assign a patient's devices: `patient assign PATIENT --gateway GATEWAY --device ADDRESS`"
    } else if gateway.last_seen_us == 0 && gateway.connected_by.is_empty() {
        "start its agent: it was not seen since this centre was started"
    } else {
        ""
    }
}

/// What a person should look at.
fn warnings(status: &CentreStatus, now: Time) -> Vec<String> {
    let mut warnings = Vec::new();
    if !status.store_stopped.is_empty() {
        warnings.push(format!("nothing is taken: {}", status.store_stopped));
    }
    if status.refused.contains_key(HISTORY_STOPPED) {
        warnings.push("questions about the past are refused: the history stopped; look at the log, then start the centre again".into());
    }
    if let Some(count) = status.refused.get(DAMAGED_ENTRY) {
        warnings.push(format!(
            "{count} entries of the journal are damaged at rest and were left out: the disk cannot be trusted; the coverage of whose they were says \"lost\" there, and the log names them"
        ));
    }
    if let Some(count) = status.refused.get(DAMAGED_BLOCK) {
        warnings.push(format!(
            "{count} blocks of the history are damaged at rest: the disk cannot be trusted; stop the centre and remove store/history.db, which is then made again from the journal"
        ));
    }
    let left = Time::from_micros(status.server_certificate_expires_us).since(now);
    if status.server_certificate_expires_us > 0 && left < SERVER_WARNING {
        let days = left.as_micros() / DAY.as_micros();
        warnings.push(format!(
            "the centre's own certificate ends in {days} days and was not made anew: look at the log"
        ));
    }
    for gateway in status.gateways.iter().filter(|of| !of.revoked) {
        let id = &gateway.gateway;
        if (1..=now.as_micros()).contains(&gateway.certificate_expires_us) {
            warnings.push(format!(
                "gateway {id} is away: its certificate has ended (it renews it by itself when it comes back within the grace)"
            ));
        }
        let Some(report) = &gateway.configuration else {
            continue;
        };
        let outcome = match report.outcome() {
            ConfigurationOutcome::Refused => "refused",
            ConfigurationOutcome::RolledBack => "rolled back",
            ConfigurationOutcome::Unspecified
            | ConfigurationOutcome::Trial
            | ConfigurationOutcome::Applied => continue,
        };
        let (number, detail) = (report.number, &report.detail);
        warnings.push(format!(
            "gateway {id} {outcome} settings {number}: {detail}"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_and_a_history_that_stopped_are_something_to_look_at() {
        assert!(
            warnings(&CentreStatus::default(), Time::ZERO).is_empty(),
            "control"
        );
        for (name, words) in [
            (HISTORY_STOPPED, "the history stopped"),
            (DAMAGED_ENTRY, "1 entries of the journal"),
            (DAMAGED_BLOCK, "1 blocks of the history"),
        ] {
            let mut status = CentreStatus::default();
            status.refused.insert(name.into(), 1);
            let [told] = &warnings(&status, Time::ZERO)[..] else {
                panic!("one warning")
            };
            assert!(told.contains(words), "{told}");
        }
    }
}
