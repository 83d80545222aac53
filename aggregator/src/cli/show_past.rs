//! How the past is printed: a twin made again, and the way from an alert back to its batches.
//!
//! Must not know: how either is found.

use proto::text::hex;
use proto::v1;
use serde_json::{Value, json};
use vitals::Kind;

use super::show::{line, time};
use crate::past::{Cause, Rebuilt, Source, Why};

/// Batches shown at each end of a long list.
const ENDS: usize = 4;

/// For people.
pub(super) fn rebuilt(rebuilt: &Rebuilt) -> String {
    let twin = &rebuilt.twin;
    let mut text = format!(
        "{} after entry {}: state of entry {}, {}\nstate hash {}, fold version {}\n",
        twin.patient,
        rebuilt.at.0,
        twin.position,
        time(twin.known_us),
        hex(&twin.state_hash),
        twin::FOLD_VERSION
    );
    for channel in &twin.channels {
        let value = channel
            .value
            .map_or_else(|| "no number".into(), |value| value.to_string());
        let stale = if channel.stale { ", stale" } else { "" };
        line(
            &mut text,
            &format!(
                "  {} {value} {} at {}{stale}",
                name(channel.kind),
                unit(channel.kind),
                time(channel.effective_us)
            ),
        );
    }
    for score in &twin.scores {
        line(
            &mut text,
            &format!("  {} {} to {}", score.name, score.low, score.high),
        );
    }
    for alert in &twin.alerts {
        line(
            &mut text,
            &format!("  alert {} {}", alert.id, alert.condition),
        );
    }
    if let Some(position) = rebuilt.doubtful_from {
        line(
            &mut text,
            &format!(
                "the journal is damaged at entry {}: what comes after may be incomplete",
                position.0
            ),
        );
    }
    text
}

/// For programs.
pub(super) fn rebuilt_json(rebuilt: &Rebuilt) -> Value {
    let twin = &rebuilt.twin;
    let channels = twin.channels.iter().map(|channel| {
        json!({
            "kind": name(channel.kind),
            "unit": unit(channel.kind),
            "value": channel.value,
            "effective_us": channel.effective_us,
            "count": channel.count,
            "stale": channel.stale,
        })
    });
    let scores = twin.scores.iter();
    let scores =
        scores.map(|score| json!({"name": score.name, "low": score.low, "high": score.high}));
    let alerts = twin.alerts.iter();
    let alerts = alerts.map(|alert| json!({"id": alert.id, "condition": alert.condition}));
    json!({
        "patient": twin.patient,
        "after_position": rebuilt.at.0,
        "position": twin.position,
        "known_us": twin.known_us,
        "state_hash": hex(&twin.state_hash),
        "fold_version": twin::FOLD_VERSION,
        "channels": channels.collect::<Vec<_>>(),
        "scores": scores.collect::<Vec<_>>(),
        "alerts": alerts.collect::<Vec<_>>(),
        "doubtful_from": rebuilt.doubtful_from.map(|position| position.0),
        "test_data": twin.test_data,
    })
}

/// For people.
pub(super) fn why(why: &Why) -> String {
    let alert = &why.alert;
    let mut text = format!(
        "alert {} about {}: {}\n{}\nmodel {} ({})\n",
        alert.id,
        alert.patient,
        alert.condition,
        alert.summary,
        alert.model,
        hex(&alert.model_hash)
    );
    line(&mut text, "what it rests on:");
    for of in &alert.evidence {
        let number =
            |value: Option<f64>| value.map_or_else(|| "-".into(), |value| value.to_string());
        line(
            &mut text,
            &format!(
                "  {:3.0} %  {}: {} against {}",
                of.contribution * 100.0,
                of.label,
                number(of.value),
                number(of.limit)
            ),
        );
    }
    line(&mut text, &avoided(&alert.evidence));
    for of in alert.evidence.iter().filter(|of| of.avoided_at.is_some()) {
        let at = of
            .avoided_at
            .map_or_else(String::new, |at| format!("{at:.1}"));
        line(&mut text, &format!("  {} of {at}", of.label));
    }
    line(&mut text, "its life:");
    for step in &why.life {
        line(
            &mut text,
            &format!(
                "  entry {} {} {} {}, by {}",
                step.position.0,
                time(step.known.as_micros()),
                priority(step.priority),
                state(step.state),
                cause(&step.cause)
            ),
        );
    }
    batches(&mut text, &why.batches);
    text
}

fn batches(text: &mut String, batches: &[Source]) {
    if batches.is_empty() {
        line(
            text,
            "no batch brought a reading for it: it is about silence, a link or a machine",
        );
        return;
    }
    let readings: usize = batches.iter().map(|batch| batch.readings).sum();
    line(
        text,
        &format!("{} batches brought {readings} readings:", batches.len()),
    );
    let left_out = batches.len().saturating_sub(2 * ENDS);
    for (index, batch) in batches.iter().enumerate() {
        if left_out > 0 && index == ENDS {
            line(
                text,
                &format!("  ... {left_out} more (all of them with --json)"),
            );
        }
        if left_out > 0 && (ENDS..batches.len() - ENDS).contains(&index) {
            continue;
        }
        line(
            text,
            &format!(
                "  entry {} known {} from {}: context {} number {}, {} readings of {} to {}",
                batch.position.0,
                time(batch.known.as_micros()),
                batch.gateway,
                hex(&batch.context.0),
                batch.number,
                batch.readings,
                time(batch.oldest.as_micros()),
                time(batch.newest.as_micros())
            ),
        );
    }
}

/// What comes before the changes that would have avoided an alert, each by itself.
fn avoided(evidence: &[proto::v1::Evidence]) -> String {
    if evidence.iter().any(|of| of.avoided_at.is_some()) {
        "nobody would have been told, all else as it was, with".into()
    } else {
        "no single value would have avoided it".into()
    }
}

/// For programs.
pub(super) fn why_json(why: &Why) -> Value {
    let alert = &why.alert;
    let evidence = alert.evidence.iter().map(|of| {
        json!({
            "kind": name(of.kind),
            "label": of.label,
            "value": of.value,
            "limit": of.limit,
            "effective_us": of.effective_us,
            "contribution": of.contribution,
            "avoided_at": of.avoided_at,
        })
    });
    let life = why.life.iter().map(|step| {
        json!({
            "position": step.position.0,
            "known_us": step.known.as_micros(),
            "state": state(step.state),
            "priority": priority(step.priority),
            "cause": cause(&step.cause),
        })
    });
    let batches = why.batches.iter().map(|batch| {
        json!({
            "position": batch.position.0,
            "known_us": batch.known.as_micros(),
            "gateway": batch.gateway.as_str(),
            "context": hex(&batch.context.0),
            "number": batch.number,
            "readings": batch.readings,
            "oldest_us": batch.oldest.as_micros(),
            "newest_us": batch.newest.as_micros(),
        })
    });
    json!({
        "alert": alert.id,
        "patient": alert.patient,
        "condition": alert.condition,
        "summary": alert.summary,
        "model": alert.model,
        "model_hash": hex(&alert.model_hash),
        "onset_us": alert.onset_us,
        "raised_us": alert.raised_us,
        "position": alert.position,
        "fold_version": twin::FOLD_VERSION,
        "evidence": evidence.collect::<Vec<_>>(),
        "life": life.collect::<Vec<_>>(),
        "batches": batches.collect::<Vec<_>>(),
        "test_data": alert.test_data,
    })
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Batch(gateway) => format!("a batch of {gateway}"),
        Cause::Person(name) => name.clone(),
        Cause::Entry => "an entry of the operators".into(),
        Cause::Time => "time".into(),
    }
}

const fn state(state: v1::AlertState) -> &'static str {
    match state {
        v1::AlertState::Active => "active",
        v1::AlertState::Acknowledged => "acknowledged",
        v1::AlertState::Resolved => "resolved",
        v1::AlertState::Unspecified => "unknown",
    }
}

const fn priority(priority: v1::Priority) -> &'static str {
    match priority {
        v1::Priority::High => "high",
        v1::Priority::Medium => "medium",
        v1::Priority::Low => "low",
        v1::Priority::Unspecified => "unknown",
    }
}

fn name(kind: i32) -> &'static str {
    Kind::from_wire(kind).map_or("", |kind| kind.info().name)
}

fn unit(kind: i32) -> &'static str {
    Kind::from_wire(kind).map_or("", |kind| kind.info().unit)
}
