//! The twin's state and its alerts as messages of the contract.
//!
//! Invariants: the same state gives the same message, so a replay shows readers nothing new; an alert's public
//! id is stable across restarts and tells nothing about the patient to who does not hold the centre's secret.
//!
//! Must not know: who looks, clocks, how states come about.

use proto::seal::Secret;
use proto::seal::crypto::{hmac_sha256, sha256};
use proto::text::hex;
use proto::v1;
use twin::care::{Call, Comment, Snooze, next_duty};
use twin::event::Link;
use twin::facts::Influence;
use twin::rules::switch::{ModelStanding, Standing};
use twin::view::{
    ChannelView, DeviceView, ForecastView, GatewayView, RhythmView, ScorePart, ScoreView, TallyView,
};
use twin::{Alert, AlertId, Condition, Evidence, Twin};
use vitals::{PatientId, Time};

use super::At;

/// Makes public alert ids.
#[derive(Clone)]
pub struct AlertIds(Secret);

impl std::fmt::Debug for AlertIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AlertIds(hidden)")
    }
}

impl AlertIds {
    /// From a secret that survives a restart.
    #[must_use]
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The public id of the alert that the journal calls `key`: 16 hexadecimal digits.
    #[must_use]
    pub fn public(&self, patient: &PatientId, key: &str) -> String {
        let message = format!("vitaltwin alert v1\0{}\0{key}", patient.reveal());
        let tag = hmac_sha256(&self.0, message.as_bytes());
        hex(&tag[..8])
    }
}

/// What a message says besides the state itself.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// Whose.
    pub patient: &'a PatientId,
    /// Place of the newest change.
    pub at: At,
    /// Known time of that place.
    pub known: Time,
    /// Simulated or demonstration data.
    pub test_data: bool,
}

/// The whole twin. `changed_at` knows the journal position of an alert's last change; `own` are alerts of the
/// centre itself about this patient.
#[must_use]
pub fn twin(
    state: &Twin,
    frame: &Frame<'_>,
    ids: &AlertIds,
    changed_at: impl Fn(AlertId) -> Option<u64>,
    own: impl Iterator<Item = v1::Alert>,
) -> v1::Twin {
    let mut canonical = Vec::new();
    state.canonical_bytes(&mut canonical);
    let hash = sha256(&[&canonical]);
    let alerts = state.alerts().into_iter().map(|one| {
        let position = changed_at(one.id).unwrap_or(frame.at.position);
        v1::Alert {
            position,
            ..alert(one, frame, ids)
        }
    });
    v1::Twin {
        patient: frame.patient.reveal().to_owned(),
        position: frame.at.position,
        known_us: frame.known.as_micros(),
        channels: state.channels().into_iter().map(channel).collect(),
        scores: state.scores().into_iter().map(score).collect(),
        forecasts: state.forecasts().into_iter().map(forecast).collect(),
        alerts: alerts.chain(own).collect(),
        devices: state.devices().into_iter().map(device).collect(),
        gateways: state.gateways().into_iter().map(gateway).collect(),
        test_data: frame.test_data,
        state_hash: hash[..16].to_vec(),
        rhythm: Some(rhythm(state.rhythm())),
        tallies: state.tallies().into_iter().map(tally).collect(),
        snoozes: state.snoozes().map(snooze).collect(),
        influences: state.influences().into_iter().map(influence).collect(),
        models: quiet(state),
    }
}

/// One alert; `frame.at` is the place of its change.
#[must_use]
pub fn alert(alert: &Alert, frame: &Frame<'_>, ids: &AlertIds) -> v1::Alert {
    let acknowledged = alert.acknowledged.as_ref();
    let withdrawn = alert.withdrawn.as_ref();
    v1::Alert {
        id: ids.public(frame.patient, &alert.id.to_string()),
        patient: frame.patient.reveal().to_owned(),
        condition: alert.condition.name().to_owned(),
        priority: alert.priority as i32,
        category: alert.category() as i32,
        state: alert.state as i32,
        onset_us: alert.onset.as_micros(),
        raised_us: alert.raised.as_micros(),
        acknowledged_us: acknowledged.map_or(0, |ack| ack.at.as_micros()),
        acknowledged_by: acknowledged.map(|ack| ack.by.clone()).unwrap_or_default(),
        acknowledge_note: acknowledged.map(|ack| ack.note.clone()).unwrap_or_default(),
        resolved_us: alert.resolved.map_or(0, Time::as_micros),
        summary: alert.summary.clone(),
        plain_summary: alert.plain_summary.clone(),
        evidence: alert.evidence.iter().map(evidence).collect(),
        model: alert.model.to_owned(),
        model_hash: alert.model_hash.to_vec(),
        expected_us: alert.expected.map(Time::as_micros),
        probability: alert.probability,
        subject: alert.subject.clone(),
        test_data: frame.test_data,
        position: frame.at.position,
        retrospective: alert.retrospective,
        told_locally_us: alert.told_locally.map_or(0, Time::as_micros),
        withdrawn_us: withdrawn.map_or(0, |of| of.at.as_micros()),
        withdrawn_by: withdrawn.map(|of| of.by.clone()).unwrap_or_default(),
        withdrawn_reason: withdrawn.map(|of| of.reason.clone()).unwrap_or_default(),
        calls: alert.calls.made.iter().map(call).collect(),
        next_call_us: alert
            .calls
            .due(alert.priority)
            .filter(|_| alert.part_of.is_none())
            .map_or(0, Time::as_micros),
        unanswered_us: alert.calls.unanswered.map_or(0, Time::as_micros),
        snoozed_until_us: alert.snoozed_until.map_or(0, Time::as_micros),
        owner: alert.owner.clone(),
        comments: alert.comments.iter().map(comment).collect(),
        withheld: false,
        next_duty: next_duty(alert).map_or(0, |duty| duty as i32),
        part_of: alert
            .part_of
            .map_or_else(String::new, |of| ids.public(frame.patient, &of.to_string())),
    }
}

fn call(call: &Call) -> v1::Call {
    v1::Call {
        at_us: call.at.as_micros(),
        duty: call.duty as i32,
        by: call.by.clone(),
    }
}

fn comment(comment: &Comment) -> v1::Comment {
    v1::Comment {
        at_us: comment.at.as_micros(),
        by: comment.by.clone(),
        text: comment.text.clone(),
    }
}

fn influence(influence: Influence) -> v1::Influence {
    v1::Influence {
        fact: influence.fact,
        effect: influence.effect.to_owned(),
    }
}

fn snooze((condition, snooze): (Condition, &Snooze)) -> v1::Snooze {
    v1::Snooze {
        condition: condition.name().to_owned(),
        by: snooze.by.clone(),
        reason: snooze.reason.clone(),
        since_us: snooze.since.as_micros(),
        until_us: snooze.until.as_micros(),
    }
}

fn kind_number(kind: vitals::Kind) -> i32 {
    v1::Kind::from(kind) as i32
}

fn interval((low, high): (f64, f64)) -> v1::Interval {
    v1::Interval { low, high }
}

/// Only those that do not speak: a state is sent often.
fn quiet(state: &Twin) -> Vec<v1::ModelStanding> {
    let all = state.model_standings().into_iter();
    let quiet = all.filter(|of| of.standing != Standing::Live);
    quiet.map(model).collect()
}

fn model(of: ModelStanding) -> v1::ModelStanding {
    v1::ModelStanding {
        condition: of.condition.name().into(),
        model: of.model.into(),
        standing: match of.standing {
            Standing::Live => v1::Standing::Live,
            Standing::Shadow => v1::Standing::Shadow,
            Standing::Off => v1::Standing::Off,
        }
        .into(),
        why: of.why,
        unsaid: of.unsaid,
    }
}

fn evidence(evidence: &Evidence) -> v1::Evidence {
    v1::Evidence {
        kind: evidence.kind.map_or(0, kind_number),
        label: evidence.label.clone(),
        value: evidence.value,
        limit: evidence.limit,
        effective_us: evidence.effective.as_micros(),
        quality: evidence.quality.bits(),
        contribution: evidence.contribution,
        known: evidence.known,
        avoided_at: evidence.avoided_at,
    }
}

fn channel(channel: ChannelView) -> v1::Channel {
    v1::Channel {
        kind: kind_number(channel.kind),
        value: channel.value,
        absence: channel
            .absence
            .map_or(0, |absence| v1::Absence::from(absence) as i32),
        effective_us: channel.effective.as_micros(),
        received_us: channel.received.as_micros(),
        source: channel.source.0.into(),
        quality: channel.quality.bits(),
        baseline: channel.baseline,
        band: channel.band.map(interval),
        count: channel.count,
        stale: channel.stale,
        fresh_for_us: channel.fresh_for.as_micros(),
        disagreement: channel.disagreement.map(|other| v1::Disagreement {
            source: other.source.0.into(),
            value: other.value,
            effective_us: other.effective.as_micros(),
            since_us: other.since.as_micros(),
        }),
    }
}

fn tally(tally: TallyView) -> v1::Tally {
    let source = |(_, source, last_day): (_, vitals::SourceId, _)| v1::TallySource {
        source: source.0.into(),
        last_day,
    };
    v1::Tally {
        name: tally.name.to_owned(),
        unit: tally.unit.to_owned(),
        last_hour: tally.last_hour,
        last_day: tally.last_day,
        sources: tally.sources.into_iter().map(source).collect(),
    }
}

fn score(score: ScoreView) -> v1::Score {
    v1::Score {
        name: score.name.to_owned(),
        low: score.low,
        high: score.high,
        parts: score.parts.into_iter().map(score_part).collect(),
        at_us: score.at.as_micros(),
        source: score.source.to_owned(),
    }
}

fn score_part(part: ScorePart) -> v1::ScorePart {
    v1::ScorePart {
        name: part.name.to_owned(),
        points: part.points.map(u32::from),
        value: part.value,
        missing_reason: part.missing.to_owned(),
    }
}

fn forecast(forecast: ForecastView) -> v1::Forecast {
    let points = forecast.points.into_iter().map(|point| v1::ForecastPoint {
        at_us: point.at.as_micros(),
        value: point.value,
        interval: Some(interval((point.low, point.high))),
    });
    v1::Forecast {
        kind: kind_number(forecast.kind),
        made_us: forecast.made.as_micros(),
        points: points.collect(),
        abstained: forecast.abstained.to_owned(),
        model: forecast.model.to_owned(),
        coverage_nominal: forecast.coverage_nominal,
        coverage_observed: forecast.coverage_observed,
        scored: forecast.scored,
        crosses_us: forecast.crosses.map(Time::as_micros),
        threshold: forecast.threshold,
        error: forecast.error,
        persistence_error: forecast.persistence_error,
        unfit_s: forecast
            .unfit
            .iter()
            .map(|ahead| u32::try_from(ahead.as_micros() / 1_000_000).unwrap_or(u32::MAX))
            .collect(),
    }
}

fn rhythm(rhythm: RhythmView) -> v1::Rhythm {
    v1::Rhythm {
        finding: rhythm.finding.to_owned(),
        entropy: rhythm.score,
        cut: rhythm.cut,
        beats: rhythm.beats,
        source: rhythm.source.to_owned(),
    }
}

fn device(device: DeviceView) -> v1::DeviceState {
    let link = match device.link {
        Some(Link::Connected) => "connected",
        Some(Link::Searching) => "searching",
        Some(Link::Lost) => "lost",
        None => "",
    };
    v1::DeviceState {
        source: device.source.0.into(),
        stream: device.stream.to_string(),
        name: device.name,
        model: device.model,
        address: device.address,
        link: link.to_owned(),
        since_us: device.since.as_micros(),
        battery_percent: device.battery_percent.map(u32::from),
        contact: device.contact,
        last_reading_us: device.last_reading.map(Time::as_micros),
    }
}

fn gateway(gateway: GatewayView) -> v1::GatewayState {
    let counters = gateway.counters;
    v1::GatewayState {
        gateway: gateway.gateway.to_string(),
        stream: gateway.stream.to_string(),
        last_heartbeat_us: gateway.last_heartbeat.map_or(0, Time::as_micros),
        silent: gateway.silent,
        buffer_records: gateway.buffer_records,
        readings_decoded: gateway.readings_decoded,
        readings_applied: counters.applied,
        readings_duplicated: counters.duplicated,
        readings_declared_lost: counters.declared_lost,
        losses_of_unknown_size: counters.losses_of_unknown_size,
        readings_quarantined: counters.quarantined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alert_ids_are_stable_and_keyed() {
        let patient = PatientId::parse("p-1").expect("a patient id");
        let other = PatientId::parse("p-2").expect("a patient id");
        let ids = AlertIds::new(Secret::new([3; 32]));
        let id = ids.public(&patient, "a-1");
        assert_eq!(
            id,
            AlertIds::new(Secret::new([3; 32])).public(&patient, "a-1")
        );
        assert_eq!(id.len(), 16);
        let others = [
            ids.public(&patient, "a-2"),
            ids.public(&other, "a-1"),
            AlertIds::new(Secret::new([4; 32])).public(&patient, "a-1"),
        ];
        assert!(others.iter().all(|one| *one != id));
    }
}
