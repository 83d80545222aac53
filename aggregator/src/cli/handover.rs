//! `handover`: what one shift tells the next, with who leaves and who comes.
//!
//! Must not know: how an act is done.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use proto::clock::Clock;
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::context_service_client::ContextServiceClient;
use proto::v1::operator_service_client::OperatorServiceClient;
use proto::v1::{
    Alert, AlertState, Category, Fact, FactKind, GetContextRequest, ListRostersRequest,
    ListTeamsRequest, Roster, Snooze,
};
use serde_json::{Value, json};
use vitals::Span;

use super::alert::{alert_json, line, list};
use super::look::plain;
use super::office::{self, Reader, said};
use super::roster::{roster_json, text};
use super::{print, show};
use crate::dir::CentreDir;
use crate::staff;

/// Whose handover.
#[derive(Debug, clap::Args)]
pub(super) struct HandoverArguments {
    /// Of the patients of this team alone.
    #[arg(long)]
    team: Option<String>,
    /// How long the shift was.
    #[arg(long, value_name = "N", default_value_t = 8)]
    hours: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reader: Reader,
}

pub(super) async fn run(asked: &HandoverArguments, dir: &CentreDir, clock: Clock) -> Result<()> {
    let channel = office::reader(dir, &asked.reader, clock).await?;
    let mut desk = OperatorServiceClient::new(channel.clone());
    let listed = desk.list_rosters(ListRostersRequest {}).await;
    let mut rosters = listed.map_err(said)?.into_inner().rosters;
    let wanted = match &asked.team {
        None => None,
        Some(name) => {
            let teams = desk.list_teams(ListTeamsRequest {}).await.map_err(said)?;
            let teams = teams.into_inner().teams;
            let Some(team) = teams.into_iter().find(|of| staff::alike(&of.name, name)) else {
                bail!("there is no team of this name; see `team list`");
            };
            rosters.retain(|of| of.team == team.name);
            Some(team.patients.into_iter().collect::<BTreeSet<String>>())
        }
    };
    let ours = |patient: &String| wanted.as_ref().is_none_or(|of| of.contains(patient));
    let since = clock.now() - Span::from_mins(i64::from(asked.hours) * 60);
    let mut alerts = list(&mut AlertServiceClient::new(channel.clone()), true).await?;
    alerts.retain(|alert| ours(&alert.patient));
    let twins = office::twins(channel.clone()).await?;
    let mut context = ContextServiceClient::new(channel);
    let (mut snoozes, mut notes) = (Vec::new(), Vec::new());
    for twin in twins.into_iter().filter(|twin| ours(&twin.patient)) {
        let patient = twin.patient;
        let request = GetContextRequest {
            patient: patient.clone(),
        };
        let facts = context.get(request).await.map_err(said)?.into_inner().facts;
        let said = facts.into_iter().filter(|fact| {
            fact.kind() == FactKind::Reported && fact.recorded_us >= since.as_micros()
        });
        notes.extend(said.map(|fact| (patient.clone(), fact)));
        let theirs = twin.snoozes.into_iter();
        snoozes.extend(theirs.map(|snooze| (patient.clone(), snooze)));
    }
    snoozes.sort_by_key(|(_, snooze)| snooze.until_us);
    notes.sort_by_key(|(_, fact)| fact.recorded_us);
    let handover = Handover {
        rosters,
        alerts,
        snoozes,
        notes,
        since_us: since.as_micros(),
    };
    print(&if asked.json {
        show::json(&handover.to_json())?
    } else {
        handover.to_text()
    })
}

/// PURE. All of it.
struct Handover {
    rosters: Vec<Roster>,
    alerts: Vec<Alert>,
    snoozes: Vec<(String, Snooze)>,
    notes: Vec<(String, Fact)>,
    since_us: i64,
}

impl Handover {
    /// Each alert that holds or ended in the shift, under exactly one heading.
    fn parts(&self) -> [(&'static str, Vec<&Alert>); 5] {
        let heading = |alert: &Alert| match alert.state() {
            AlertState::Resolved if alert.resolved_us < self.since_us => None,
            AlertState::Resolved => Some(4),
            AlertState::Active | AlertState::Unspecified if alert.unanswered_us > 0 => Some(0),
            AlertState::Active | AlertState::Unspecified | AlertState::Acknowledged
                if alert.category() == Category::Technical =>
            {
                Some(3)
            }
            AlertState::Active | AlertState::Unspecified => Some(1),
            AlertState::Acknowledged => Some(2),
        };
        let part = |place: usize| {
            let all = self.alerts.iter();
            all.filter(|alert| heading(alert) == Some(place)).collect()
        };
        [
            ("nobody answered", part(0)),
            ("waits for a person", part(1)),
            ("acknowledged and not over", part(2)),
            ("silent devices", part(3)),
            ("ended in this shift", part(4)),
        ]
    }

    fn to_text(&self) -> String {
        let mut told: String = self.rosters.iter().map(text).collect();
        told += &format!("since {}\n", show::time(self.since_us));
        for (heading, alerts) in self.parts() {
            told += &format!("\n{heading}: {}\n", alerts.len());
            told.extend(alerts.into_iter().map(line));
        }
        told += &format!("\nsilenced: {}\n", self.snoozes.len());
        for (patient, snooze) in &self.snoozes {
            told += &format!(
                "{patient}  {}  until {}, by {}: {}\n",
                snooze.condition,
                show::time(snooze.until_us),
                plain(&snooze.by),
                plain(&snooze.reason)
            );
        }
        told += &format!("\nwhat patients said: {}\n", self.notes.len());
        for (patient, fact) in &self.notes {
            let at = show::time(fact.recorded_us);
            told += &format!("{patient}  {at}  {}\n", plain(&words(fact)));
        }
        told
    }

    fn to_json(&self) -> Value {
        let part = |(heading, alerts): (&str, Vec<&Alert>)| {
            let alerts: Vec<Value> = alerts.into_iter().map(alert_json).collect();
            (heading.replace(' ', "_"), Value::from(alerts))
        };
        let mut json: serde_json::Map<String, Value> = self.parts().map(part).into_iter().collect();
        let snoozes = self.snoozes.iter().map(|(patient, snooze)| {
            json!({
                "patient": patient,
                "condition": snooze.condition,
                "by": snooze.by,
                "reason": snooze.reason,
                "since_us": snooze.since_us,
                "until_us": snooze.until_us,
            })
        });
        let notes = self.notes.iter().map(|(patient, fact)| {
            json!({
                "patient": patient,
                "by": fact.recorded_by,
                "at_us": fact.recorded_us,
                "text": words(fact),
            })
        });
        json.insert("silenced".into(), snoozes.collect());
        json.insert("patients_said".into(), notes.collect());
        json.insert(
            "rosters".into(),
            self.rosters.iter().map(roster_json).collect(),
        );
        json.insert("since_us".into(), self.since_us.into());
        json.into()
    }
}

/// What a patient told of themselves.
fn words(fact: &Fact) -> String {
    let value = fact.value.map(|value| format!("{value} {}", fact.unit));
    let parts = [
        fact.label.clone(),
        value.unwrap_or_default(),
        fact.text.clone(),
    ];
    let said: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    said.join(", ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(id: &str, state: AlertState, unanswered_us: i64, resolved_us: i64) -> Alert {
        Alert {
            id: id.into(),
            state: state as i32,
            unanswered_us,
            resolved_us,
            ..Alert::default()
        }
    }

    #[test]
    fn a_handover_has_each_alert_once_and_what_ended_before_not_at_all() {
        let technical = |alert| Alert {
            category: Category::Technical as i32,
            ..alert
        };
        let handover = Handover {
            alerts: vec![
                alert("waits", AlertState::Active, 0, 0),
                alert("alone", AlertState::Active, 5, 0),
                technical(alert("deaf", AlertState::Active, 5, 0)),
                technical(alert("off", AlertState::Active, 0, 0)),
                technical(alert("lost", AlertState::Acknowledged, 5, 0)),
                // Acknowledged late, after the ladder had ended.
                alert("taken", AlertState::Acknowledged, 5, 0),
                alert("over", AlertState::Resolved, 0, 100),
                alert("long over", AlertState::Resolved, 0, 99),
            ],
            rosters: Vec::new(),
            snoozes: Vec::new(),
            notes: Vec::new(),
            since_us: 100,
        };
        let ids = |(_, alerts): (_, Vec<&Alert>)| {
            alerts
                .iter()
                .map(|alert| alert.id.clone())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let got = handover.parts().map(ids);
        assert_eq!(got, ["alone deaf", "waits", "taken", "off lost", "over"]);
    }
}
