//! `fact`: what is known about a patient that no sensor measures.
//!
//! Must not know: what facts change; the centre tells.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use jiff::Timestamp;
use proto::clock::Clock;
use proto::v1::context_service_client::ContextServiceClient;
use proto::v1::twin_service_client::TwinServiceClient;
use proto::v1::{
    Fact, GetContextRequest, GetTwinRequest, Influence, PatientContext, RecordFactsRequest,
};
use serde_json::{Value, json};
use twin::facts;

use super::office::{self, Reader, said};
use super::{print, show};
use crate::dir::CentreDir;

#[derive(Debug, Subcommand)]
pub(super) enum FactCommand {
    /// List a patient's facts, and what each changes at the moment.
    List {
        /// The patient's id.
        patient: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reader: Reader,
    },
    /// Record a fact, in place of the one of its id. Some kinds change rules and models: oxygen_target (`--text 88-92`),
    /// oxygen_supply (`--value 2`, litres a minute), consciousness (`--text A`), pregnancy, birth_year (`--value 1947`),
    /// limit (`--text heart_rate_low --value 35`, in place of the first limit for everybody), condition and medication by their codes; `fact list` says how.
    Record {
        /// The patient's id.
        patient: String,
        /// Your name for the fact; the kind, where there is one of it.
        #[arg(long)]
        id: Option<String>,
        /// What sort of fact.
        #[arg(long, value_parser = kind)]
        kind: facts::FactKind,
        /// `SYSTEM|CODE`, such as `http://hl7.org/fhir/sid/icd-10|I48.0`.
        #[arg(long, default_value = "")]
        code: String,
        /// For people.
        #[arg(long, default_value = "")]
        label: String,
        /// A number.
        #[arg(long, allow_negative_numbers = true)]
        value: Option<f64>,
        /// Its unit (UCUM).
        #[arg(long, default_value = "")]
        unit: String,
        /// A text.
        #[arg(long, default_value = "")]
        text: String,
        /// Since when it holds. Default: now.
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Until when. Default: until somebody says otherwise.
        #[arg(long, value_name = "TIME")]
        to: Option<Timestamp>,
        #[command(flatten)]
        reader: Reader,
    },
    /// Take back a fact that was wrong. (One that is over is recorded again with `--to`.)
    Retract {
        /// The patient's id.
        patient: String,
        /// The fact's id.
        id: String,
        #[command(flatten)]
        reader: Reader,
    },
}

fn kind(name: &str) -> Result<facts::FactKind, String> {
    facts::FactKind::parse(name).ok_or_else(|| {
        let names = facts::FactKind::ALL.map(facts::FactKind::name);
        format!("no such kind; there are {}", names.join(", "))
    })
}

pub(super) async fn run(command: FactCommand, dir: &CentreDir, clock: Clock) -> Result<()> {
    let (FactCommand::List { reader, .. }
    | FactCommand::Record { reader, .. }
    | FactCommand::Retract { reader, .. }) = &command;
    let channel = office::reader(dir, reader, clock).await?;
    let mut client = ContextServiceClient::new(channel.clone());
    let (patient, json, answer) = match command {
        FactCommand::List { patient, json, .. } => {
            let request = GetContextRequest {
                patient: patient.clone(),
            };
            (patient, json, client.get(request).await)
        }
        FactCommand::Record {
            patient,
            id,
            kind,
            code,
            label,
            value,
            unit,
            text,
            from,
            to,
            ..
        } => {
            let fact = Fact {
                id: id.unwrap_or_else(|| {
                    // There is one of each limit.
                    let is_limit = kind == facts::FactKind::Limit;
                    if is_limit {
                        text.clone()
                    } else {
                        kind.name().to_owned()
                    }
                }),
                kind: kind as i32,
                code,
                label,
                value,
                unit,
                text,
                from_us: from.map_or(clock.now().as_micros(), Timestamp::as_microsecond),
                to_us: to.map_or(0, Timestamp::as_microsecond),
                ..Fact::default()
            };
            let request = RecordFactsRequest {
                patient: patient.clone(),
                facts: vec![fact],
                retract: Vec::new(),
            };
            (patient, false, client.record(request).await)
        }
        FactCommand::Retract { patient, id, .. } => {
            let request = RecordFactsRequest {
                patient: patient.clone(),
                facts: Vec::new(),
                retract: vec![id],
            };
            (patient, false, client.record(request).await)
        }
    };
    let known = answer.map_err(said)?.into_inner();
    let twin = TwinServiceClient::new(channel)
        .get(GetTwinRequest { patient })
        .await;
    let influences = twin.map_err(said)?.into_inner().influences;
    print(&if json {
        show::json(&list_json(&known, &influences))?
    } else {
        list(&known, &influences)
    })
}

fn name(fact: &Fact) -> Result<&'static str> {
    let kinds = facts::FactKind::ALL.into_iter();
    let of = |kind: &facts::FactKind| *kind as i32 == fact.kind;
    let found = kinds
        .map(|kind| (kind, kind.name()))
        .find(|(kind, _)| of(kind));
    found
        .map(|(_, name)| name)
        .context("a kind of a later version")
}

fn effects<'a>(influences: &'a [Influence], id: &str) -> Vec<&'a str> {
    let of = influences.iter().filter(|one| one.fact == id);
    of.map(|one| one.effect.as_str()).collect()
}

fn list(known: &PatientContext, influences: &[Influence]) -> String {
    let mut text = String::new();
    for fact in &known.facts {
        let value = fact
            .value
            .map(|value| value.to_string())
            .unwrap_or_default();
        let says = [&fact.label, &fact.code, &value, &fact.unit, &fact.text];
        let says: Vec<&str> = says
            .into_iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        let until = match fact.to_us {
            0 => String::new(),
            to => format!(" until {}", show::time(to)),
        };
        let line = format!(
            "{}  {}  {}  since {}{until}, by {}",
            fact.id,
            name(fact).unwrap_or("?"),
            says.join(" "),
            show::time(fact.from_us),
            fact.recorded_by
        );
        show::line(&mut text, &line);
        for effect in effects(influences, &fact.id) {
            show::line(&mut text, &format!("    {effect}"));
        }
    }
    text
}

fn list_json(known: &PatientContext, influences: &[Influence]) -> Value {
    let of = |fact: &Fact| {
        json!({
            "id": fact.id,
            "kind": name(fact).unwrap_or("?"),
            "code": fact.code,
            "label": fact.label,
            "value": fact.value,
            "unit": fact.unit,
            "text": fact.text,
            "from_us": fact.from_us,
            "to_us": fact.to_us,
            "recorded_by": fact.recorded_by,
            "recorded_us": fact.recorded_us,
            "influences": effects(influences, &fact.id),
        })
    };
    known.facts.iter().map(of).collect()
}
