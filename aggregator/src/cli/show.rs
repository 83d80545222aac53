//! Answers as text for people and as JSON for programs.
//!
//! JSON has the field names of the contract (`proto/v1/operator.proto`). Must not know: where answers come from.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use proto::cert::Role;
use proto::v1::{
    CentreStatus, Collection, ConfigurationOutcome, CoverageClass, CoverageLine, CoverageResponse,
    CoverageStretch, GatewayStatus, Kind, Patient, PatientAssignment, RotateKeyResponse,
};
use serde_json::{Value, json};
use vitals::Span;

/// What a restore did.
pub(super) fn restored(manifest: &crate::backup::Manifest, epoch: u64, first: u64) -> String {
    let known = jiff::Timestamp::from_microsecond(manifest.known_us);
    let known = known.map_or_else(|_| "an unknown time".to_owned(), |known| known.to_string());
    format!(
        "restored: epoch {epoch} begins at position {first}\n\
         The backup ends at position {} ({known}). What was receipted after it comes again from gateways that still hold\n\
         it; the rest is lost, and coverage shows that time as \"lost\" for each patient.\n",
        manifest.position
    )
}

/// Per kind and sensor the share of each class, of the time in which a sensor was assigned.
pub(super) fn coverage(answer: &CoverageResponse) -> String {
    let mut text = String::new();
    line(
        &mut text,
        &format!("{} to {}", time(answer.from_us), time(answer.to_us)),
    );
    for of in &answer.lines {
        let who = match of.source {
            0 => "all sensors together".into(),
            source => format!("sensor {source} of stream {}", of.stream),
        };
        let shares = shares(of);
        let shares = shares
            .iter()
            .map(|(class, share)| format!("{} {share:.1} %", class_name(*class)));
        let shares: Vec<String> = shares.collect();
        let shares = if shares.is_empty() {
            "no sensor was assigned".into()
        } else {
            shares.join(", ")
        };
        line(
            &mut text,
            &format!("{}  {who}: {shares}", kind_name(of.kind())),
        );
    }
    text
}

/// In percent, by class in the contract's order; they make a hundred.
fn shares(of: &CoverageLine) -> Vec<(CoverageClass, f64)> {
    let mut times = BTreeMap::<i32, i64>::new();
    for one in &of.stretches {
        if one.class() != CoverageClass::Unassigned {
            *times.entry(one.class).or_default() += one.to_us - one.from_us;
        }
    }
    let seconds = |micros| Span::from_micros(micros).as_secs_f64();
    let whole = seconds(times.values().sum());
    let share = |(class, micros): (i32, i64)| {
        let class = CoverageClass::try_from(class).unwrap_or_default();
        (class, 100.0 * seconds(micros) / whole)
    };
    times.into_iter().map(share).collect()
}

fn class_name(class: CoverageClass) -> String {
    word(class.as_str_name(), "COVERAGE_CLASS_")
}

fn kind_name(kind: Kind) -> String {
    word(kind.as_str_name(), "KIND_")
}

/// A name of the contract as people write it.
fn word(name: &str, prefix: &str) -> String {
    let name = name.strip_prefix(prefix).unwrap_or(name);
    name.to_ascii_lowercase().replace('_', " ")
}

pub(super) fn coverage_json(answer: &CoverageResponse) -> Value {
    let stretch = |one: &CoverageStretch| {
        json!({
            "from_us": one.from_us,
            "to_us": one.to_us,
            "class": one.class().as_str_name(),
            "readings": one.readings,
        })
    };
    let of = |line: &CoverageLine| {
        json!({
            "kind": line.kind().as_str_name(),
            "stream": line.stream,
            "source": line.source,
            "stretches": line.stretches.iter().map(stretch).collect::<Vec<_>>(),
        })
    };
    json!({
        "from_us": answer.from_us,
        "to_us": answer.to_us,
        "as_of_us": answer.as_of_us,
        "lines": answer.lines.iter().map(of).collect::<Vec<_>>(),
    })
}

use super::import::Imported;

/// JSON as a text with a line break.
pub(super) fn json(value: &Value) -> Result<String> {
    let text = serde_json::to_string_pretty(value).context("writing JSON")?;
    Ok(text + "\n")
}

pub(super) fn sign_in(link: &str, fingerprint: &str) -> String {
    format!(
        "{link}\n\nThe link works once, for ten minutes. What follows `code=` can be read out instead: it is typed where the link leads\n\
         without it. The browser will warn that it does not know this centre:\n\
         compare the certificate authority's SHA-256 fingerprint before you go on:\n{fingerprint}\n"
    )
}

pub(super) fn patients(patients: &[Patient]) -> String {
    if patients.is_empty() {
        return "no patients yet: `patient add --name NAME`\n".into();
    }
    let mut text = String::new();
    for patient in patients {
        let test = if patient.test_data {
            "  (test data)"
        } else {
            ""
        };
        line(
            &mut text,
            &format!("{}  {}{test}", patient.patient, patient.display_name),
        );
        let will = patient.collection();
        if matches!(will, Collection::Paused | Collection::Withdrawn) {
            let (will, since) = (collection(will), time(patient.collection_since_us));
            line(
                &mut text,
                &format!("    {will} since {since}: no device is read"),
            );
        }
        for assignment in &patient.assignments {
            line(
                &mut text,
                &format!("    {}", assigned(assignment).trim_end()),
            );
            let (sealed_to, newest) = (assignment.key_generation, patient.key_generation);
            if (1..newest).contains(&sealed_to) && !assignment.devices.is_empty() {
                let still =
                    format!("        seals to key {sealed_to} of {newest} until its next contact");
                line(&mut text, &still);
            }
        }
    }
    text
}

pub(super) fn rotated(rotated: &RotateKeyResponse) -> String {
    format!(
        "key {} is in force; gateways told: {}\n",
        rotated.key_generation, rotated.assignments
    )
}

pub(super) fn patients_json(patients: &[Patient]) -> Value {
    let one = |patient: &Patient| {
        json!({
            "patient": patient.patient,
            "display_name": patient.display_name,
            "test_data": patient.test_data,
            "collection": collection(patient.collection()),
            "collection_since_us": patient.collection_since_us,
            "key_generation": patient.key_generation,
            "teams": patient.teams,
            "assignments": patient.assignments.iter().map(|assignment| json!({
                "gateway": assignment.gateway,
                "stream": assignment.stream,
                "devices": assignment.devices,
                "effective_from_us": assignment.effective_from_us,
                "key_generation": assignment.key_generation,
            })).collect::<Vec<_>>(),
        })
    };
    json!({ "patients": patients.iter().map(one).collect::<Vec<_>>() })
}

pub(super) fn assigned(assignment: &PatientAssignment) -> String {
    if assignment.devices.is_empty() {
        return format!("gateway {}  ended\n", assignment.gateway);
    }
    let since = time(assignment.effective_from_us);
    format!(
        "gateway {}  {}  since {since}\n",
        assignment.gateway,
        assignment.devices.join(" ")
    )
}

pub(super) fn token_json(token: &str, gateway: &str) -> Value {
    json!({ "token": token, "gateway": gateway })
}

pub(super) fn revoked(connections: u32) -> String {
    match connections {
        0 => "revoked; it was not connected\n".into(),
        _ => "revoked; its connection is cut\n".into(),
    }
}

pub(super) fn imported(done: &Imported) -> String {
    let (taken, known) = (done.taken, done.known);
    let mut text = format!("{taken} records taken, {known} known already\n");
    for (reason, count) in &done.refused {
        let _never_fails = writeln!(text, "{count} not taken: {reason}");
    }
    if done.damaged > 0 {
        let damaged = done.damaged;
        let _never_fails = writeln!(
            text,
            "{damaged} pieces of the file are damaged: export it again"
        );
    }
    let receipts = done.receipts.display();
    text + &format!("receipts: {receipts} (on the gateway: `vitaltwin-agent import-receipts`)\n")
}

pub(super) fn refused(role: Role, name: &str) -> String {
    let role = role.as_str();
    format!("every certificate of {role} {name} is refused from now on\n")
}

pub(super) fn gateways(status: &CentreStatus) -> String {
    if status.gateways.is_empty() {
        return "no gateways yet: `gateway token`\n".into();
    }
    let mut text = String::new();
    for gateway in &status.gateways {
        let state = match (
            gateway.revoked,
            gateway.connected_by.as_str(),
            gateway.certificate_expires_us,
        ) {
            (true, _, _) => "revoked".to_owned(),
            (false, _, 0) => "not enrolled yet".to_owned(),
            (false, "", _) if gateway.last_seen_us == 0 => {
                "not seen since the centre was started".to_owned()
            }
            (false, "", _) => format!("away, last seen {}", time(gateway.last_seen_us)),
            (false, by, _) => format!(
                "connected by {by}, last seen {}",
                time(gateway.last_seen_us)
            ),
        };
        line(
            &mut text,
            &format!("{}  {state}  {}", gateway.gateway, gateway.label),
        );
        if !gateway.waiting_for.is_empty() {
            line(&mut text, &format!("    next: {}", gateway.waiting_for));
        }
        if gateway.configuration_number > 0 {
            line(&mut text, &format!("    {}", settings(gateway)));
        }
    }
    text
}

/// What became of the settings that were sent last.
fn settings(gateway: &GatewayStatus) -> String {
    let number = gateway.configuration_number;
    let report = gateway.configuration.as_ref();
    match report.filter(|report| report.number == number) {
        None => format!("settings {number}: sent, no answer yet"),
        Some(report) => {
            let (outcome, detail) = (outcome(report.outcome()), &report.detail);
            format!("settings {number}: {outcome}  {detail}")
        }
    }
}

const fn outcome(outcome: ConfigurationOutcome) -> &'static str {
    match outcome {
        ConfigurationOutcome::Unspecified => "unknown",
        ConfigurationOutcome::Trial => "on trial",
        ConfigurationOutcome::Applied => "applied",
        ConfigurationOutcome::Refused => "refused",
        ConfigurationOutcome::RolledBack => "rolled back",
    }
}

const fn collection(collection: Collection) -> &'static str {
    match collection {
        Collection::Unspecified | Collection::Given => "given",
        Collection::Paused => "paused",
        Collection::Withdrawn => "withdrawn",
    }
}

pub(super) fn gateways_json(status: &CentreStatus) -> Value {
    let one = |gateway: &proto::v1::GatewayStatus| {
        json!({
            "gateway": gateway.gateway,
            "label": gateway.label,
            "revoked": gateway.revoked,
            "connected_by": gateway.connected_by,
            "last_seen_us": gateway.last_seen_us,
            "certificate_expires_us": gateway.certificate_expires_us,
            "configuration": gateway.configuration.as_ref().map(|report| json!({
                "number": report.number,
                "outcome": outcome(report.outcome()),
                "detail": report.detail,
            })),
            "configuration_number": gateway.configuration_number,
            "waiting_for": gateway.waiting_for,
        })
    };
    Value::Array(status.gateways.iter().map(one).collect())
}

pub(super) fn status(status: &CentreStatus) -> String {
    let mut text = String::new();
    if !status.test_clock.is_empty() {
        line(&mut text, &format!("TEST CLOCK   {}", status.test_clock));
    }
    if !status.store_stopped.is_empty() {
        line(
            &mut text,
            &format!("STORE STOPPED  {}", status.store_stopped),
        );
    }
    for warning in &status.warnings {
        line(&mut text, &format!("LOOK AT      {warning}"));
    }
    line(&mut text, &format!("version      {}", status.version));
    let place = (status.journal_epoch, status.journal_position);
    line(
        &mut text,
        &format!("journal      epoch {}, position {}", place.0, place.1),
    );
    line(
        &mut text,
        &format!("batches      {} journaled", status.batches_journaled),
    );
    line(
        &mut text,
        &format!(
            "readings     {} journaled, {} applied, {} duplicated, {} declared lost (and {} losses of unknown size), {} quarantined",
            status.readings_journaled,
            status.readings_applied,
            status.readings_duplicated,
            status.readings_declared_lost,
            status.losses_of_unknown_size,
            status.readings_quarantined
        ),
    );
    line(&mut text, &format!("patients     {}", status.patients));
    line(&mut text, &format!("watchers     {}", status.watchers));
    let mut refused: Vec<_> = status.refused.iter().collect();
    refused.sort();
    for (reason, count) in refused {
        line(&mut text, &format!("refused      {count} {reason}"));
    }
    if let (Some(made), Some(sent)) = (status.traces.get("made"), status.traces.get("sent")) {
        line(
            &mut text,
            &format!("traces       {made} steps made, {sent} sent"),
        );
    }
    for gateway in gateways(status)
        .lines()
        .filter(|_| !status.gateways.is_empty())
    {
        line(&mut text, &format!("gateway      {gateway}"));
    }
    text.push_str("Research software, not a medical device.\n");
    text
}

pub(super) fn status_json(status: &CentreStatus) -> Value {
    json!({
        "version": status.version,
        "journal_epoch": status.journal_epoch,
        "journal_position": status.journal_position,
        "store_stopped": status.store_stopped,
        "readings_journaled": status.readings_journaled,
        "readings_applied": status.readings_applied,
        "readings_duplicated": status.readings_duplicated,
        "readings_declared_lost": status.readings_declared_lost,
        "losses_of_unknown_size": status.losses_of_unknown_size,
        "readings_quarantined": status.readings_quarantined,
        "batches_journaled": status.batches_journaled,
        "gateways": gateways_json(status),
        "refused": status.refused,
        "traces": status.traces,
        "patients": status.patients,
        "watchers": status.watchers,
        "test_clock": status.test_clock,
        "readings_receipted": status.readings_receipted,
        "warnings": status.warnings,
        "silent": status.silent.iter().map(|of| json!({
            "hop": of.hop,
            "who": of.who,
            "since_us": of.since_us,
            "bound_s": of.bound_s,
        })).collect::<Vec<_>>(),
        "server_certificate_expires_us": status.server_certificate_expires_us,
    })
}

/// A time for people: UTC, whole seconds.
pub(super) fn time(micros: i64) -> String {
    let second = Timestamp::from_second(micros.div_euclid(1_000_000));
    second.map_or_else(|_| "an unknown time".into(), |second| second.to_string())
}

pub(super) fn line(text: &mut String, content: &str) {
    writeln!(text, "{}", content.trim_end()).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `CentreStatus` may grow: then this JSON must too.
    #[test]
    fn status_as_json_has_every_field_of_the_contract() {
        let contract = include_str!("../../../proto/v1/operator.proto");
        let message = |name: &str| {
            let (_, rest) = contract
                .split_once(&format!("message {name} {{"))
                .expect("it is there");
            let (fields, _) = rest.split_once('}').expect("it ends");
            let fields = fields
                .lines()
                .map(str::trim)
                .filter(|line| !line.starts_with("//"));
            fields
                .filter_map(|line| Some(line.split_once(" = ")?.0.rsplit_once(' ')?.1))
                .collect::<Vec<_>>()
        };
        let status = CentreStatus {
            gateways: vec![proto::v1::GatewayStatus::default()],
            ..CentreStatus::default()
        };
        let json = status_json(&status);
        for (fields, json) in [
            (message("CentreStatus"), &json),
            (message("GatewayStatus"), &json["gateways"][0]),
        ] {
            let keys = json.as_object().expect("an object");
            assert_eq!(keys.len(), fields.len());
            assert!(
                fields.iter().all(|field| keys.contains_key(*field)),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn shares_leave_out_the_time_without_a_sensor_and_make_a_hundred() {
        let stretch = |from_us, to_us, class: CoverageClass| CoverageStretch {
            from_us,
            to_us,
            class: class.into(),
            readings: 0,
        };
        let mut line = CoverageLine {
            kind: Kind::HeartRate.into(),
            stretches: vec![
                stretch(0, 50, CoverageClass::Unassigned),
                stretch(50, 80, CoverageClass::Measured),
                stretch(80, 90, CoverageClass::NotWorn),
            ],
            ..CoverageLine::default()
        };
        let shares = shares(&line);
        assert_eq!(
            shares,
            [
                (CoverageClass::Measured, 75.0),
                (CoverageClass::NotWorn, 25.0)
            ]
        );
        let lines = vec![line.clone()];
        let answer = CoverageResponse {
            lines,
            ..CoverageResponse::default()
        };
        let text = coverage(&answer);
        let told = "heart rate  all sensors together: measured 75.0 %, not worn 25.0 %";
        assert!(text.contains(told), "{text}");
        line.stretches.truncate(1);
        let answer = CoverageResponse {
            lines: vec![line],
            ..CoverageResponse::default()
        };
        assert!(coverage(&answer).contains("no sensor was assigned"));
    }

    #[test]
    fn times_are_for_people() {
        assert_eq!(time(1_795_262_400_999_999), "2026-11-21T12:00:00Z");
    }
}
