//! `rules`: what is in force, trying others over recorded days, and putting them into force.
//!
//! Must not know: what stands against a set of rules.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use proto::clock::Clock;
use proto::v1::{
    ActivateRulesRequest, Count, ListRulesRequest, ListRulesResponse, Priority, RuleSet,
    ShadowReport, ShadowRulesRequest, Silenced,
};
use serde_json::{Value, json};
use vitals::Time;

use super::office::{Office, said};
use super::people::AT_THE_STORE;
use super::{print, show};
use crate::dir::CentreDir;
use crate::rules;

/// Months of a large centre are folded in it.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// The document in force, or with --json everything about it. A copy, edited, is what the others take.
    Show {
        /// As JSON, with the field names of `RuleSet` in proto/v1/rules.proto.
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong with a document, or its hash. Needs no centre.
    Check {
        /// TOML.
        file: PathBuf,
    },
    /// Fold the recorded days twice, under the rules in force and under a document, and say what would have been different:
    /// alerts, nights, missed ones, groups of patients. Takes its time; what comes of it is kept.
    Shadow {
        /// TOML.
        file: PathBuf,
        /// From when on, such as 2026-11-21T08:00:00Z. Default: as much as is kept.
        #[arg(long, value_name = "TIME")]
        from: Option<jiff::Timestamp>,
        /// Until when. Default: now.
        #[arg(long, value_name = "TIME")]
        to: Option<jiff::Timestamp>,
        /// As JSON, with the field names of `ShadowReport` in proto/v1/rules.proto.
        #[arg(long)]
        json: bool,
    },
    /// Put a document into force for all patients, if `shadow` found nothing against it.
    Activate {
        /// TOML.
        file: PathBuf,
        /// Why; kept in clear, so name no patient.
        #[arg(long)]
        reason: String,
    },
    /// Which rules were in force since when, by whose word and why.
    History {
        /// As JSON, with the field names of `ListRulesResponse` in proto/v1/rules.proto.
        #[arg(long)]
        json: bool,
    },
    /// Put the rules that were in force before into force again, at once.
    Back {
        /// Why; kept in clear, so name no patient.
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn rules(command: RulesCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    if let RulesCommand::Check { file } = &command {
        let set = rules::RuleSet::parse(&read(file)?)?;
        let mut text = format!("{}\n", set.hash);
        for model in set.models() {
            let _ = writeln!(text, "{model}");
        }
        return print(&text);
    }
    let mut office = Office::open_for(dir, clock, LONGEST).await?;
    let told = ask(&mut office, command).await;
    office.close().await;
    print(&told?)
}

async fn ask(office: &mut Office, command: RulesCommand) -> Result<String> {
    Ok(match command {
        RulesCommand::Check { .. } => String::new(),
        RulesCommand::Show { json } => {
            let listed = office.rules().await?;
            let set = listed.sets.first().context("the centre names no rules")?;
            if json {
                pretty(&set_json(set))
            } else {
                set.document.clone()
            }
        }
        RulesCommand::History { json } => {
            let listed = office.rules().await?;
            if json {
                let sets: Vec<Value> = listed.sets.iter().map(set_json).collect();
                let shadow = listed.shadow.as_ref().map(report_json);
                pretty(&json!({ "sets": sets, "shadow": shadow }))
            } else {
                listed.sets.iter().map(line).collect()
            }
        }
        RulesCommand::Shadow {
            file,
            from,
            to,
            json,
        } => {
            let micros = |at: Option<jiff::Timestamp>| at.map_or(0, |at| at.as_microsecond());
            let report = office
                .shadow_rules(read(&file)?, micros(from), micros(to))
                .await?;
            if json {
                pretty(&report_json(&report))
            } else {
                report_text(&report)
            }
        }
        RulesCommand::Activate { file, reason } => {
            line(&office.activate_rules(read(&file)?, reason, false).await?)
        }
        RulesCommand::Back { reason } => {
            line(&office.activate_rules(String::new(), reason, true).await?)
        }
    })
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn line(set: &RuleSet) -> String {
    if set.since_us == 0 {
        return format!("{}  built in\n", set.hash);
    }
    let since = show::time(set.since_us);
    format!(
        "{}  since {since} by {}: {}\n",
        set.hash, set.by, set.reason
    )
}

fn set_json(set: &RuleSet) -> Value {
    json!({
        "hash": set.hash,
        "document": set.document,
        "since_us": set.since_us,
        "by": set.by,
        "reason": set.reason,
        "alert_hashes": set.alert_hashes,
    })
}

fn counts(count: Option<&Count>) -> (u32, u32) {
    count.map_or((0, 0), |count| (count.before, count.after))
}

fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Medium => "medium",
        Priority::Low | Priority::Unspecified => "low",
    }
}

fn report_json(of: &ShadowReport) -> Value {
    let count = |count: Option<&Count>| {
        let (before, after) = counts(count);
        json!({ "before": before, "after": after })
    };
    let burdens = of.burdens.iter().map(|burden| {
        json!({
            "condition": burden.condition,
            "priority": priority(burden.priority()),
            "alerts": count(burden.alerts.as_ref()),
        })
    });
    let missed = of.missed.iter().map(|missed| {
        json!({
            "condition": missed.condition,
            "priority": priority(missed.priority()),
            "alerts": missed.alerts,
            "acknowledged": missed.acknowledged,
            "switched": missed.switched,
        })
    });
    let subgroups = of.subgroups.iter().map(|group| {
        json!({
            "of": group.of,
            "group": group.group,
            "patients": group.patients,
            "patient_days": group.patient_days,
            "before": group.before,
            "after": group.after,
            "change": group.change,
            "change_low": group.change_low,
            "change_high": group.change_high,
            "missed": group.missed,
            "missed_low": group.missed_low,
            "missed_high": group.missed_high,
        })
    });
    json!({
        "hash": of.hash,
        "beside": of.beside,
        "from_us": of.from_us,
        "to_us": of.to_us,
        "patients": of.patients,
        "patient_days": of.patient_days,
        "alerts": count(of.alerts.as_ref()),
        "night": count(of.night.as_ref()),
        "burdens": burdens.collect::<Vec<_>>(),
        "missed": missed.collect::<Vec<_>>(),
        "subgroups": subgroups.collect::<Vec<_>>(),
        "fold_version": of.fold_version,
        "by": of.by,
        "at_us": of.at_us,
        "refusals": of.refusals,
        "quieter": of.quieter,
        "silenced": of.silenced.iter().map(silenced_json).collect::<Vec<_>>(),
    })
}

fn silenced_json(of: &Silenced) -> Value {
    let missed = of.missed.iter().map(|missed| {
        json!({
            "priority": priority(missed.priority()),
            "alerts": missed.alerts,
            "acknowledged": missed.acknowledged,
        })
    });
    let groups = of.groups.iter().map(|group| {
        json!({
            "of": group.of,
            "group": group.group,
            "patients": group.patients,
            "patient_days": group.patient_days,
            "alerts": group.alerts,
        })
    });
    json!({
        "condition": of.condition,
        "standing": of.standing,
        "cohort": of.cohort,
        "by": of.by,
        "why": of.why,
        "missed": missed.collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
        "uncounted": of.uncounted,
    })
}

/// A line that holds for some people only: whose decision, why, what they miss, and which groups do.
fn silenced_text(of: &Silenced) -> String {
    let mut text = format!("  {}: {} for {}; ", of.condition, of.standing, of.cohort);
    if of.by.is_empty() {
        text.push_str("nobody says why");
    } else {
        let _ = write!(text, "by {}: {}", of.by, of.why);
    }
    let mut missed: Vec<String> = of
        .missed
        .iter()
        .map(|missed| {
            format!(
                "{} of {} priority",
                missed.alerts,
                priority(missed.priority())
            )
        })
        .collect();
    if missed.is_empty() {
        missed.push("none".into());
    }
    let _ = writeln!(text, "\n    missed: {}", missed.join(", "));
    if of.uncounted {
        text.push_str(
            "    the rules in force have it quiet for somebody already: this is not all\n",
        );
    }
    for group in &of.groups {
        let _ = writeln!(
            text,
            "    {} {} ({}): {} in {:.1} patient-days",
            group.of, group.group, group.patients, group.alerts, group.patient_days
        );
    }
    text
}

fn report_text(of: &ShadowReport) -> String {
    let a_day = |count: u32| {
        if of.patient_days > 0.0 {
            f64::from(count) / of.patient_days
        } else {
            0.0
        }
    };
    let mut text = format!(
        "{} beside {}\n{} to {}: {} patients, {:.1} patient-days\n\n{:<34} {:>9} {:>9}\n",
        of.hash,
        of.beside,
        show::time(of.from_us),
        show::time(of.to_us),
        of.patients,
        of.patient_days,
        "alerts a patient-day",
        "in force",
        "tried"
    );
    let mut row = |name: &str, count: Option<&Count>| {
        let (before, after) = counts(count);
        let _ = writeln!(
            text,
            "{name:<34} {:>9.2} {:>9.2}",
            a_day(before),
            a_day(after)
        );
    };
    row("all", of.alerts.as_ref());
    row("at night", of.night.as_ref());
    for burden in &of.burdens {
        let name = format!("{}, {}", burden.condition, priority(burden.priority()));
        row(&name, burden.alerts.as_ref());
    }
    text.push_str("\nmissed (none, later or less urgent):");
    if of.missed.is_empty() {
        text.push_str(" nothing");
    }
    text.push('\n');
    for missed in &of.missed {
        let _ = writeln!(
            text,
            "  {}, {}: {} (noticed by somebody: {})",
            missed.condition,
            priority(missed.priority()),
            missed.alerts,
            missed.acknowledged
        );
    }
    if !of.quieter.is_empty() {
        let _ = writeln!(
            text,
            "  of these, {}: their models are switched by this document, and that was decided",
            of.quieter.join(", ")
        );
    }
    if !of.silenced.is_empty() {
        text.push_str("\nmodels that are quiet for some people and speak of others:\n");
        text.extend(of.silenced.iter().map(silenced_text));
    }
    text.push_str("\ngroups (patients): in force, tried, change and missed a patient-day, with 95 % intervals\n");
    for group in &of.subgroups {
        let _ = writeln!(
            text,
            "  {} {} ({}): {:.2} {:.2}  {:+.2} ({:.2} to {:.2})  missed {:.2} ({:.2} to {:.2})",
            group.of,
            group.group,
            group.patients,
            group.before,
            group.after,
            group.change,
            group.change_low,
            group.change_high,
            group.missed,
            group.missed_low,
            group.missed_high
        );
    }
    if of.refusals.is_empty() {
        text.push_str("\nIt may be activated.\n");
    } else {
        text.push_str("\nIt may not be activated:\n");
        for refusal in &of.refusals {
            let _ = writeln!(text, "  {refusal}");
        }
    }
    text
}

impl Office {
    async fn rules(&mut self) -> Result<ListRulesResponse> {
        match self {
            Self::Direct(admin, _) => Ok(admin.rules()),
            Self::Running(client, _) => {
                let listed = client.list_rules(ListRulesRequest {}).await;
                Ok(listed.map_err(said)?.into_inner())
            }
        }
    }

    async fn shadow_rules(
        &mut self,
        document: String,
        from_us: i64,
        to_us: i64,
    ) -> Result<ShadowReport> {
        match self {
            Self::Direct(admin, _) => {
                let span = (Time::from_micros(from_us), Time::from_micros(to_us));
                Ok(admin.shadow_rules(&document, span, AT_THE_STORE).await?)
            }
            Self::Running(client, _) => {
                let request = ShadowRulesRequest {
                    document,
                    from_us,
                    to_us,
                };
                Ok(client
                    .shadow_rules(request)
                    .await
                    .map_err(said)?
                    .into_inner())
            }
        }
    }

    async fn activate_rules(
        &mut self,
        document: String,
        reason: String,
        back: bool,
    ) -> Result<RuleSet> {
        match self {
            Self::Direct(admin, _) if back => Ok(admin.rules_back(&reason, AT_THE_STORE).await?),
            Self::Direct(admin, _) => Ok(admin
                .activate_rules(&document, &reason, AT_THE_STORE)
                .await?),
            Self::Running(client, _) => {
                let request = ActivateRulesRequest {
                    document,
                    reason,
                    back,
                };
                Ok(client
                    .activate_rules(request)
                    .await
                    .map_err(said)?
                    .into_inner())
            }
        }
    }
}
