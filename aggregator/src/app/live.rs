//! What the operators' desk learns of the rest of the centre: one that serves, and one that does not; and what the machines
//! learn that watch this one.
//!
//! Must not know: who asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::clock::Clock;
use proto::notify::Notifier;
use proto::v1::{AlertState, CentreStatus};
use tokio_util::sync::CancellationToken;
use vitals::{PatientId, SourceId, Span, StreamId, Time};

use super::certificate::ServerCertificate;
use crate::admin::{Admin, DAMAGED_BLOCK, HISTORY_STOPPED, Live, Things};
use crate::chain::{self, Silence};
use crate::channel::Channels;
use crate::config::Config;
use crate::history::History;
use crate::journal::Journal;
use crate::metrics::Listening;
use crate::patient::Patients;
use crate::serve::attendance::Attendance;
use crate::serve::signin::{Listed, SignIn};
use crate::snapshot::Snapshots;

/// Between two words to systemd, real time; its watchdog waits for a minute.
const ALIVE: Duration = Duration::from_secs(5);

/// A centre that serves.
pub(super) struct Running {
    pub(super) certificate: Arc<ServerCertificate>,
    pub(super) patients: Patients,
    pub(super) sign_in: Arc<SignIn>,
    pub(super) page: String,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) history: History,
    pub(super) chain: Chain,
}

impl Live for Running {
    fn fill(&self, status: &mut CentreStatus) {
        fill(&self.patients, status);
        status.watchers = u32::try_from(self.patients.hub().watchers()).unwrap_or(u32::MAX);
        status.server_certificate_expires_us = self.certificate.ends().as_micros();
        for (why, count) in self.snapshots.health().failed {
            status.refused.insert(why.into(), count);
        }
        let unsettled = self.patients.rereadings_failed();
        if unsettled > 0 {
            status.refused.insert("void_not_settled".into(), unsettled);
        }
        let blocks = self.history.damaged_blocks();
        if blocks > 0 {
            status.refused.insert(DAMAGED_BLOCK.into(), blocks as u64);
        }
        if self.history.has_stopped() {
            status.refused.insert(HISTORY_STOPPED.into(), 1);
        }
    }

    fn silences(&self) -> Vec<Silence> {
        self.chain.silences(&self.patients)
    }

    fn notes(&self) -> Vec<String> {
        let hub = self.patients.hub();
        let note = (!hub.is_ready()).then(|| {
            let durable = self.chain.journal.status().position.0;
            let left = durable.saturating_sub(hub.position());
            format!("the twins are brought up to date after the start: {left} entries are left; nobody is shown one before, and after two minutes gateways keep what they have until then")
        });
        note.into_iter().collect()
    }

    fn stands_still(&self) -> Option<Silence> {
        self.chain.stands_still(&self.patients)
    }

    fn things(&self, patient: &PatientId) -> Things {
        let hub = self.patients.hub();
        let known = hub.find(patient).filter(|_| hub.is_ready());
        known.map_or_else(Things::default, |index| {
            let view = hub.view(index);
            Things {
                devices: view.twin.devices.clone(),
                gateways: view.twin.gateways.clone(),
            }
        })
    }

    fn behind(&self) -> u64 {
        let durable = self.chain.journal.status().position.0;
        durable.saturating_sub(self.patients.hub().position())
    }

    fn expected(&self) -> (usize, usize) {
        (self.chain.expected.len(), self.chain.channels.count())
    }

    fn devices(&self, patient: &PatientId) -> Vec<(StreamId, SourceId, String)> {
        self.patients.devices(patient)
    }

    fn sessions(&self, person: Option<&str>) -> Vec<Listed> {
        let sessions = self.sign_in.sessions(person, None).into_iter();
        sessions.map(|(session, _)| session).collect()
    }

    fn end_sessions(&self, id: Option<&str>, person: Option<&str>) -> usize {
        self.sign_in.end_listed(id, person)
    }

    fn sign_in(&self, person: &str) -> Option<String> {
        Some(format!(
            "{}sign-in?code={}",
            self.page,
            self.sign_in.create_code(person)
        ))
    }
}

/// What the centre itself watches of the way to people.
pub(super) struct Chain {
    expected: Vec<String>,
    within: Span,
    began: Time,
    journal: Journal,
    attendance: Arc<Attendance>,
    channels: Arc<Channels>,
    clock: Clock,
    fold: Mutex<chain::Fold>,
}

impl Chain {
    pub(super) fn new(
        config: &Config,
        journal: &Journal,
        attendance: &Arc<Attendance>,
        channels: &Arc<Channels>,
        clock: Clock,
    ) -> Self {
        Self {
            expected: config.expected_platforms.clone(),
            within: Span::from_secs(config.platform_silent_s.into()),
            began: clock.now(),
            journal: journal.clone(),
            attendance: Arc::clone(attendance),
            channels: Arc::clone(channels),
            clock,
            fold: Mutex::default(),
        }
    }

    /// Takes no lock that the fold's work is done under: whoever asks whether it hangs must not hang with it.
    fn stands_still(&self, patients: &Patients) -> Option<Silence> {
        let (hub, durable) = (patients.hub(), self.journal.status().position.0);
        let silence = {
            let mut fold = self.fold.lock().unwrap_or_else(PoisonError::into_inner);
            fold.look(hub.position(), durable, self.clock.now())
        };
        hub.note_still(silence.is_some());
        silence
    }

    fn silences(&self, patients: &Patients) -> Vec<Silence> {
        let now = self.clock.now();
        let heard = self.attendance.heard();
        let within = (self.within, self.began);
        let alerts = patients.hub().alerts();
        let unanswered = alerts
            .iter()
            .map(|of| &of.alert)
            .filter(|alert| alert.unanswered_us > 0 && alert.state() == AlertState::Active);
        let unanswered: Vec<_> = unanswered
            .map(|alert| Time::from_micros(alert.unanswered_us))
            .collect();
        let mut silent: Vec<_> = self.stands_still(patients).into_iter().collect();
        silent.extend(chain::subscribers(&self.expected, &heard, within, now));
        silent.extend(chain::channels(self.channels.silent()));
        silent.extend(chain::persons(&unanswered));
        silent
    }
}

/// A centre that does not.
pub(super) struct Still {
    pub(super) patients: Patients,
}

impl Live for Still {
    fn fill(&self, status: &mut CentreStatus) {
        fill(&self.patients, status);
    }

    fn devices(&self, patient: &PatientId) -> Vec<(StreamId, SourceId, String)> {
        self.patients.devices(patient)
    }

    fn sign_in(&self, _: &str) -> Option<String> {
        None
    }
}

fn fill(patients: &Patients, status: &mut CentreStatus) {
    let totals = patients.totals();
    status.readings_applied = totals.applied;
    status.readings_duplicated = totals.duplicated;
    status.readings_declared_lost = totals.declared_lost;
    status.losses_of_unknown_size = totals.losses_of_unknown_size;
    status.readings_quarantined = totals.quarantined;
    if totals.entries_quarantined > 0 {
        let count = totals.entries_quarantined;
        status.refused.insert("quarantined_entry".into(), count);
    }
}

/// Tells systemd that the centre is ready, and every few seconds that it lives: what is asked for that passes through
/// the locks of the work, so a centre that hangs on one is not alive.
pub(super) async fn alive(admin: Arc<Admin>, stop: CancellationToken) {
    let systemd = Notifier::from_env();
    systemd.ready();
    let mut turns = tokio::time::interval(ALIVE);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = turns.tick() => {}
        }
        let status = admin.status();
        if let Some(silence) = admin.stands_still() {
            // No word: systemd starts a centre anew that says nothing for a minute.
            tracing::error!("{}", silence.words);
        } else if status.store_stopped.is_empty() {
            let gateways = status.gateways.iter();
            let connected = gateways.filter(|gateway| !gateway.connected_by.is_empty());
            systemd.alive(&format!("{} gateways connected", connected.count()));
        } else {
            systemd.alive("nothing is taken: look at `vitaltwin-aggregator doctor`");
        }
    }
    systemd.stopping();
}

/// Answers the machines that watch this one, if any may ask.
pub(super) async fn watched(
    metrics: Option<Listening>,
    admin: Arc<Admin>,
    clock: Clock,
    stop: CancellationToken,
) {
    if let Some(metrics) = metrics {
        let pulse = Arc::clone(&admin);
        let pulse = Arc::new(move || pulse.stands_still());
        let ask = Arc::new(move || admin.status());
        metrics.serve((ask, pulse), clock, stop).await;
    }
}
