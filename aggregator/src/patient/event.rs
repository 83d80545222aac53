//! What a durable entry means to which patient.
//!
//! Invariants: total; what cannot be read any more (a destroyed key, a body that a newer agent wrote) is
//! skipped or folded as malformed, by the same rule live and in a replay.
//!
//! Must not know: twins' state, publishing.

use std::sync::Arc;

use proto::v1;
use proto::wire;
use twin::care::{Act, Duty};
use twin::event::{Assigned, Batch, Damaged, DeviceReport, Gap, Heartbeat, Link, LocalAlert, Void};
use twin::rules::Rules;
use twin::{AlertId, Condition, Event};
use vitals::{GatewayId, Kind, PatientId, SourceId, StreamId, Time};

use super::facts;
use crate::journal::{CareAct, Committed, Content, Entry, Opened, OpenedBatch};
use crate::rules::RuleSet;

/// What an entry asks of the fold.
#[derive(Debug)]
pub(super) enum Meaning {
    /// A twin begins.
    Begin { patient: PatientId, test_data: bool },
    /// An event of one patient.
    One { patient: PatientId, event: Event },
    /// The gateway ended: an event of every patient it collects for.
    GatewayRevoked(GatewayId),
    /// Nothing more is taken from the stream: an event of the patient whose it is.
    StreamFrozen(StreamId),
    /// A person took notice of an alert of the centre itself.
    OwnAlertAcknowledged {
        patient: PatientId,
        key: String,
        by: String,
        note: String,
    },
    /// An entry was quarantined for a patient.
    Quarantined { patient: PatientId, position: u64 },
    /// Readings of a patient are void.
    Voided {
        patient: PatientId,
        voids: Vec<Void>,
        by: String,
        reason: String,
    },
    /// The twin is from here on what its log gives without what was voided at that position.
    VoidSettled { patient: PatientId, void: u64 },
    /// Rules for everybody are in force from here on.
    Rules(Arc<Rules>),
    /// The journal begins, or was restored from a backup.
    Epoch(u64),
    /// Only time passed.
    Nothing,
}

/// What `committed` means.
pub(super) fn meaning(committed: &Committed) -> Meaning {
    let opened = committed.body.as_deref();
    match &*committed.entry {
        Entry::PatientAdded {
            patient, test_data, ..
        } => Meaning::Begin {
            patient: patient.clone(),
            test_data: *test_data,
        },
        Entry::Assigned {
            patient,
            gateway,
            stream,
            from,
            ..
        } => {
            let devices = match opened {
                Some(Opened::Devices(devices)) => devices.clone(),
                Some(Opened::Batch(_) | Opened::Text(_) | Opened::Facts(_)) | None => Vec::new(),
            };
            let (stream, gateway, from) = (*stream, gateway.clone(), *from);
            let event = Event::Assigned(Assigned {
                stream,
                gateway,
                devices,
                from,
            });
            Meaning::One {
                patient: patient.clone(),
                event,
            }
        }
        Entry::GatewayRevoked { gateway } => Meaning::GatewayRevoked(gateway.clone()),
        Entry::StreamFrozen { stream } => Meaning::StreamFrozen(*stream),
        Entry::Batch { .. } | Entry::Moved { .. } => match opened {
            Some(Opened::Batch(batch)) => Meaning::One {
                patient: batch.patient.clone(),
                event: batch_event(batch),
            },
            Some(Opened::Devices(_) | Opened::Text(_) | Opened::Facts(_)) | None => {
                Meaning::Nothing
            }
        },
        Entry::Acknowledged {
            patient, alert, by, ..
        } => {
            let note = text(opened);
            let (patient, by) = (patient.clone(), by.clone());
            match AlertId::parse(alert) {
                Some(alert) => Meaning::One {
                    patient,
                    event: Event::Acknowledged { alert, by, note },
                },
                None => Meaning::OwnAlertAcknowledged {
                    patient,
                    key: alert.clone(),
                    by,
                    note,
                },
            }
        }
        Entry::Facts { patient, by, .. } => match opened {
            Some(Opened::Facts(said)) => Meaning::One {
                patient: patient.clone(),
                event: facts::event(by, said),
            },
            Some(Opened::Batch(_) | Opened::Devices(_) | Opened::Text(_)) | None => {
                Meaning::Nothing
            }
        },
        Entry::Care {
            patient, by, act, ..
        } => match care(act, text(opened)) {
            Some(act) => Meaning::One {
                patient: patient.clone(),
                event: Event::Care {
                    by: by.clone(),
                    act,
                },
            },
            None => Meaning::Nothing,
        },
        Entry::Quarantined { position, patient } => Meaning::Quarantined {
            patient: patient.clone(),
            position: position.0,
        },
        Entry::EpochStarted { epoch, .. } => Meaning::Epoch(*epoch),
        Entry::RulesActivated { document, .. } => match RuleSet::parse(document) {
            Ok(set) => Meaning::Rules(set.rules),
            Err(error) => {
                // Another release wrote it: those before stay in force.
                tracing::error!(position = committed.position.0, %error, "rules in the log cannot be read");
                Meaning::Nothing
            }
        },
        Entry::Collection {
            patient,
            collection,
            ..
        } => Meaning::One {
            patient: patient.clone(),
            event: Event::Collection {
                given: *collection == v1::Collection::Given,
            },
        },
        Entry::Voided {
            patient,
            sources,
            from,
            to,
            by,
            ..
        } => {
            let reason = match opened {
                Some(Opened::Text(reason)) => reason.clone(),
                Some(Opened::Batch(_) | Opened::Devices(_) | Opened::Facts(_)) | None => {
                    String::new()
                }
            };
            let void = |(stream, source): &(StreamId, SourceId)| Void {
                stream: *stream,
                source: *source,
                from: *from,
                to: *to,
            };
            Meaning::Voided {
                patient: patient.clone(),
                voids: sources.iter().map(void).collect(),
                by: by.clone(),
                reason,
            }
        }
        Entry::VoidSettled { patient, void } => Meaning::VoidSettled {
            patient: patient.clone(),
            void: void.0,
        },
        Entry::Damaged {
            patient,
            stream,
            from,
            to,
            readings,
            exact,
            ..
        } => Meaning::One {
            patient: patient.clone(),
            event: Event::Damaged(Damaged {
                stream: *stream,
                from: *from,
                to: *to,
                readings: *readings,
                exact: *exact,
            }),
        },
        Entry::KeyAdded { .. }
        | Entry::TokenCreated { .. }
        | Entry::GatewayEnrolled { .. }
        | Entry::CertificateIssued { .. }
        | Entry::ContextAdmitted { .. }
        | Entry::Tick
        | Entry::SetAside { .. }
        | Entry::CertificateRevoked { .. }
        | Entry::Person { .. }
        | Entry::RulesTried { .. }
        | Entry::Roster { .. }
        | Entry::TakenOver { .. }
        | Entry::By { .. }
        | Entry::Team { .. }
        | Entry::Passkey { .. }
        | Entry::Account { .. }
        | Entry::Platform { .. }
        | Entry::Sharing { .. }
        | Entry::Configured { .. }
        | Entry::Looked { .. }
        | Entry::Exported { .. } => Meaning::Nothing,
    }
}

/// What a person wrote; empty where its key is gone.
fn text(opened: Option<&Opened>) -> String {
    match opened {
        Some(Opened::Text(text)) => text.clone(),
        Some(Opened::Batch(_) | Opened::Devices(_) | Opened::Facts(_)) | None => String::new(),
    }
}

/// `None`: it names an alert or condition that this program does not know.
fn care(act: &CareAct, text: String) -> Option<Act> {
    Some(match act {
        CareAct::Comment { alert } => Act::Comment {
            alert: AlertId::parse(alert)?,
            text,
        },
        CareAct::Own { alert, owner } => Act::Own {
            alert: AlertId::parse(alert)?,
            owner: owner.clone(),
        },
        CareAct::Snooze { condition, until } => Act::Snooze {
            condition: Condition::parse(condition)?,
            until: *until,
            reason: text,
        },
        CareAct::Wake { condition } => Act::Wake {
            condition: Condition::parse(condition)?,
        },
        CareAct::Pass { alert, calls } => Act::Pass {
            alert: AlertId::parse(alert)?,
            calls: *calls,
            text,
        },
        CareAct::Escalate { alert, duty } => Act::Escalate {
            alert: AlertId::parse(alert)?,
            duty: Duty::of(*duty)?,
            text,
        },
    })
}

fn batch_event(batch: &OpenedBatch) -> Event {
    let malformed = || Event::Malformed {
        stream: batch.stream,
        context: batch.context,
        number: batch.number,
        readings: batch.readings.into(),
    };
    let Content::Body(body) = &batch.content else {
        return malformed();
    };
    let Ok(content) = wire::decode_body(batch.source, batch.number, body) else {
        return malformed();
    };
    let told = content.local_alerts.iter().map(local_alert);
    let Some(local_alerts) = told.collect() else {
        return malformed();
    };
    Event::Batch(Batch {
        stream: batch.stream,
        context: batch.context,
        number: batch.number,
        supersedes: content.supersedes,
        readings: content.readings,
        waveforms: content.waveforms,
        gaps: content.gaps.iter().map(gap).collect(),
        heartbeat: content.heartbeat.as_ref().map(heartbeat),
        devices: content.devices.into_iter().map(device).collect(),
        local_alerts,
    })
}

/// `wire` has checked that sources fit.
fn source(number: u32) -> SourceId {
    SourceId(u16::try_from(number).unwrap_or(0))
}

fn gap(gap: &v1::Gap) -> Gap {
    Gap {
        source: source(gap.source),
        reason: gap.reason,
        readings: gap.readings,
        exact: gap.exact,
        from: Time::from_micros(gap.from_us),
        to: Time::from_micros(gap.to_us),
    }
}

fn heartbeat(heartbeat: &v1::Heartbeat) -> Heartbeat {
    Heartbeat {
        sent: Time::from_micros(heartbeat.sent_us),
        buffer_records: heartbeat.buffer_records,
        readings_decoded: heartbeat.readings_decoded,
        awake_since: told(heartbeat.awake_since_us),
        complete_until: told(heartbeat.complete_until_us),
    }
}

/// 0 is what a message has that does not say it.
fn told(micros: i64) -> Option<Time> {
    (micros > 0).then(|| Time::from_micros(micros))
}

/// `None`: no rule of ours has such a condition.
fn local_alert(told: &v1::LocalAlert) -> Option<LocalAlert> {
    Some(LocalAlert {
        condition: Condition::of_threshold(&told.condition)?,
        kind: Kind::from_wire(told.kind)?,
        value: told.value,
        limit: told.limit,
        onset: Time::from_micros(told.onset_us),
        raised: Time::from_micros(told.raised_us),
        as_of: Time::from_micros(told.as_of_us),
        resolved: (told.resolved_us != 0).then(|| Time::from_micros(told.resolved_us)),
    })
}

fn device(report: v1::DeviceReport) -> DeviceReport {
    let link = match report.link() {
        v1::LinkState::Connected => Link::Connected,
        v1::LinkState::Lost => Link::Lost,
        v1::LinkState::Searching | v1::LinkState::Unspecified => Link::Searching,
    };
    DeviceReport {
        source: source(report.source),
        address: report.address,
        name: report.name,
        model: report.model,
        link,
        since: Time::from_micros(report.since_us),
        battery_percent: report
            .battery_percent
            .and_then(|percent| u8::try_from(percent).ok()),
        contact: report.contact,
    }
}
