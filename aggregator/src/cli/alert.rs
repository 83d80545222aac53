//! `alert`: what waits for a person, and what people do about it.
//!
//! Invariant: every act is done in the name in the certificate. Must not know: how an act is done.

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use proto::clock::Clock;
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::{
    AcknowledgeRequest, Alert, AlertState, Call, CommentRequest, Duty, EndSnoozeRequest,
    EscalateRequest, GetAlertRequest, ListAlertsRequest, Priority, SetOwnerRequest, SnoozeRequest,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::handover::{self, HandoverArguments};
use super::look::plain;
use super::office::{self, Reader, said};
use super::{print, show};
use crate::channel::settings::name_of as duty;
use crate::dir::CentreDir;

/// Who is called.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum CalledDuty {
    Nurse,
    Doctor,
    Supervisor,
}

impl From<CalledDuty> for Duty {
    fn from(duty: CalledDuty) -> Self {
        match duty {
            CalledDuty::Nurse => Self::Nurse,
            CalledDuty::Doctor => Self::Doctor,
            CalledDuty::Supervisor => Self::Supervisor,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum AlertCommand {
    /// List alerts, most urgent first, with who was called and whose they are.
    List {
        /// Also those that are resolved, as far as they are kept.
        #[arg(long)]
        resolved: bool,
        /// As JSON, with the field names of `Alert` in proto/v1/alert.proto.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reader: Reader,
    },
    /// Take notice of an alert: nobody else is called about it.
    Acknowledge {
        /// The alert's id.
        alert: String,
        /// What you did or will do.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        reader: Reader,
    },
    /// Say something about an alert. It is no answer: who is to be called is called on.
    Comment {
        /// The alert's id.
        alert: String,
        /// Your words.
        text: String,
        #[command(flatten)]
        reader: Reader,
    },
    /// Have the next one called now, without waiting for their time. Of an alert that somebody took notice of, it waits for
    /// a person again.
    Escalate {
        /// The alert's id.
        alert: String,
        /// Who is to be called; left out: whoever is next.
        #[arg(long, value_enum)]
        to: Option<CalledDuty>,
        /// What they are to know.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        reader: Reader,
    },
    /// Say whose affair an alert is.
    Own {
        /// The alert's id.
        alert: String,
        /// Whose; left out: nobody's in particular.
        #[arg(default_value = "")]
        person: String,
        #[command(flatten)]
        reader: Reader,
    },
    /// Silence a condition of a patient for a while: it is shown, and nobody is called. High priority cannot be silenced,
    /// and ends a snooze.
    Snooze {
        /// The patient's id.
        patient: String,
        /// The condition as alerts name it, such as heart_rate_low.
        condition: String,
        /// For how long; 720 (12 hours) at most.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=720))]
        minutes: u32,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        reader: Reader,
    },
    /// End a snooze before its time.
    Wake {
        /// The patient's id.
        patient: String,
        /// The condition.
        condition: String,
        #[command(flatten)]
        reader: Reader,
    },
    /// What one shift tells the next; see `handover`.
    Handover(HandoverArguments),
}

pub(super) async fn run(command: AlertCommand, dir: &CentreDir, clock: Clock) -> Result<()> {
    let reader = match &command {
        AlertCommand::List { reader, .. }
        | AlertCommand::Acknowledge { reader, .. }
        | AlertCommand::Comment { reader, .. }
        | AlertCommand::Escalate { reader, .. }
        | AlertCommand::Own { reader, .. }
        | AlertCommand::Snooze { reader, .. }
        | AlertCommand::Wake { reader, .. } => reader,
        AlertCommand::Handover(asked) => return handover::run(asked, dir, clock).await,
    };
    let channel = office::reader(dir, reader, clock).await?;
    let mut client = AlertServiceClient::new(channel.clone());
    let done = match command {
        AlertCommand::List { resolved, json, .. } => {
            let alerts = list(&mut client, resolved).await?;
            return print(&if json {
                show::json(&alerts.iter().map(alert_json).collect())?
            } else {
                alerts.iter().map(line).collect()
            });
        }
        AlertCommand::Handover(_) => return Ok(()),
        AlertCommand::Acknowledge { alert, note, .. } => {
            let request = AcknowledgeRequest { alert, note };
            client.acknowledge(request).await
        }
        AlertCommand::Comment { alert, text, .. } => {
            client.comment(CommentRequest { alert, text }).await
        }
        AlertCommand::Escalate {
            alert, to, note, ..
        } => {
            let duty = match to {
                Some(duty) => duty.into(),
                None => next_duty(&mut client, &alert).await?,
            };
            let request = EscalateRequest {
                alert,
                duty: duty.into(),
                text: note,
            };
            client.escalate(request).await
        }
        AlertCommand::Own { alert, person, .. } => {
            let request = SetOwnerRequest {
                alert,
                owner: person,
            };
            client.set_owner(request).await
        }
        AlertCommand::Snooze {
            patient,
            condition,
            minutes,
            reason,
            ..
        } => {
            let request = SnoozeRequest {
                patient,
                condition,
                for_s: minutes * 60,
                reason,
            };
            let answer = client.snooze(request).await.map_err(said)?.into_inner();
            let snooze = answer.snooze.unwrap_or_default();
            return print(&format!("silent until {}\n", show::time(snooze.until_us)));
        }
        AlertCommand::Wake {
            patient, condition, ..
        } => {
            let request = EndSnoozeRequest { patient, condition };
            client.end_snooze(request).await.map_err(said)?;
            return print("heard again\n");
        }
    };
    print(&line(&done.map_err(said)?.into_inner()))
}

/// Who would be called next, as the centre has it.
async fn next_duty(client: &mut AlertServiceClient<Channel>, alert: &str) -> Result<Duty> {
    let request = GetAlertRequest {
        alert: alert.to_owned(),
    };
    let alert = client.get(request).await.map_err(said)?.into_inner();
    match (alert.next_duty(), alert.state()) {
        (Duty::Unspecified, AlertState::Resolved) => bail!("the alert is resolved already"),
        (Duty::Unspecified, _) if alert.snoozed_until_us > 0 => {
            bail!(
                "the condition is silenced: end that first with `alert wake`, and it calls at once"
            )
        }
        (Duty::Unspecified, _) => {
            bail!("all whom the alert's ladder has are called already: nobody is left")
        }
        (duty @ (Duty::Nurse | Duty::Doctor | Duty::Supervisor), _) => Ok(duty),
    }
}

pub(super) async fn list(
    client: &mut AlertServiceClient<Channel>,
    resolved: bool,
) -> Result<Vec<Alert>> {
    let (mut alerts, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListAlertsRequest {
            include_resolved: resolved,
            page_token,
            ..ListAlertsRequest::default()
        };
        let page = client.list(request).await.map_err(said)?.into_inner();
        alerts.extend(page.alerts);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(alerts);
        }
    }
}

pub(super) const fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "HIGH",
        Priority::Medium => "medium",
        Priority::Low => "low",
        Priority::Unspecified => "unknown",
    }
}

/// What became of it so far.
pub(super) fn fate(alert: &Alert) -> String {
    let called = || {
        let name = |call: &Call| match call.by.as_str() {
            "" => duty(call.duty()).to_owned(),
            by => format!("{} by {by}", duty(call.duty())),
        };
        let names: Vec<String> = alert.calls.iter().map(name).collect();
        names.join(", ")
    };
    match alert.state() {
        AlertState::Resolved => format!("over {}", show::time(alert.resolved_us)),
        AlertState::Acknowledged => format!("acknowledged by {}", alert.acknowledged_by),
        AlertState::Active | AlertState::Unspecified if alert.snoozed_until_us > 0 => {
            format!("silent until {}", show::time(alert.snoozed_until_us))
        }
        AlertState::Active | AlertState::Unspecified if !alert.part_of.is_empty() => {
            format!("with {}", alert.part_of)
        }
        AlertState::Active | AlertState::Unspecified if alert.unanswered_us > 0 => {
            format!("NOBODY ANSWERED; called: {}", called())
        }
        AlertState::Active | AlertState::Unspecified => format!("called: {}", called()),
    }
}

pub(super) fn line(alert: &Alert) -> String {
    let mut text = format!(
        "{}  {:6}  {}  {}  {}; {}",
        alert.id,
        priority(alert.priority()),
        show::time(alert.raised_us),
        alert.patient,
        plain(&alert.summary),
        plain(&fate(alert))
    );
    if !alert.owner.is_empty() {
        text += &format!("; owner {}", plain(&alert.owner));
    }
    text += "\n";
    for comment in &alert.comments {
        let at = show::time(comment.at_us);
        let (by, words) = (plain(&comment.by), plain(&comment.text));
        text += &format!("    {at} {by}: {words}\n");
    }
    text
}

pub(super) fn alert_json(alert: &Alert) -> Value {
    let calls = alert
        .calls
        .iter()
        .map(|call| json!({ "at_us": call.at_us, "duty": duty(call.duty()), "by": call.by }));
    let comments = alert
        .comments
        .iter()
        .map(|comment| json!({ "at_us": comment.at_us, "by": comment.by, "text": comment.text }));
    json!({
        "id": alert.id,
        "patient": alert.patient,
        "condition": alert.condition,
        "priority": priority(alert.priority()).to_lowercase(),
        "state": match alert.state() {
            AlertState::Active | AlertState::Unspecified => "active",
            AlertState::Acknowledged => "acknowledged",
            AlertState::Resolved => "resolved",
        },
        "summary": alert.summary,
        "onset_us": alert.onset_us,
        "raised_us": alert.raised_us,
        "acknowledged_us": alert.acknowledged_us,
        "acknowledged_by": alert.acknowledged_by,
        "acknowledge_note": alert.acknowledge_note,
        "resolved_us": alert.resolved_us,
        "calls": calls.collect::<Vec<_>>(),
        "next_call_us": alert.next_call_us,
        "next_duty": (alert.next_duty() != Duty::Unspecified).then(|| duty(alert.next_duty())),
        "unanswered_us": alert.unanswered_us,
        "snoozed_until_us": alert.snoozed_until_us,
        "part_of": alert.part_of,
        "owner": alert.owner,
        "comments": comments.collect::<Vec<_>>(),
        "retrospective": alert.retrospective,
        "test_data": alert.test_data,
    })
}
