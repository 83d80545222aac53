//! PURE. What the fold says, as JSON lines. Format: `aggregator/REPLAY.md`.
//!
//! Invariant: the same state and change give the same line, byte for byte. Must not know: where lines go.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use twin::board::{AlertScore, ForecastScore, Scoreboard, UNFIT};
use twin::view::{BeatView, ForecastView, RhythmView};
use twin::{AlertChange, Category, Change, Evidence, Priority, State, Twin};
use vitals::Time;

/// The types of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Scores and levels, after each change.
    State,
    /// A heart beat found in an electrocardiogram.
    Beat,
    /// The rhythm model, after each RR interval or beat.
    Rhythm,
    /// A forecast, or why there is none.
    Forecast,
    /// An alert's change.
    Alert,
    /// An episode found in data that came late.
    Finding,
    /// How good the models were, once, at the end.
    Scoreboard,
}

impl Type {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::State,
        Self::Beat,
        Self::Rhythm,
        Self::Forecast,
        Self::Alert,
        Self::Finding,
        Self::Scoreboard,
    ];

    /// As the line says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Beat => "beat",
            Self::Rhythm => "rhythm",
            Self::Forecast => "forecast",
            Self::Alert => "alert",
            Self::Finding => "finding",
            Self::Scoreboard => "scoreboard",
        }
    }
}

impl FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|of| of.name() == text);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            format!("{text} is no type of line: give one of {all}")
        })
    }
}

/// What every line begins with.
fn line(patient: &str, known: Time, of: Type) -> Value {
    json!({"patient": patient, "known": time(known), "type": of.name()})
}

/// Scores and levels.
pub(super) fn state(patient: &str, known: Time, twin: &Twin) -> Value {
    let scores = twin.scores().into_iter().map(|score| {
        let bounds = json!({"low": score.low, "high": score.high});
        (score.name.to_owned(), bounds)
    });
    let levels = twin.channels().into_iter().map(|channel| {
        let level = json!({
            "value": channel.value,
            "unit": channel.kind.info().unit,
            "effective": time(channel.effective),
            "stale": channel.stale,
            "baseline": channel.baseline,
            "low": channel.band.map(|(low, _)| low),
            "high": channel.band.map(|(_, high)| high),
        });
        (channel.kind.info().name.to_owned(), level)
    });
    let models = twin.models().into_iter().map(|model| {
        let stands = json!({
            "figure": model.figure,
            "cut": model.cut,
            "live": model.live,
            "abstain": model.figure.is_none().then_some(model.abstained),
        });
        (model.model.to_owned(), stands)
    });
    let models: Map<_, _> = models.collect();
    let (scores, levels): (Map<_, _>, Map<_, _>) = (scores.collect(), levels.collect());
    let mut line = line(patient, known, Type::State);
    line["scores"] = scores.into();
    line["levels"] = levels.into();
    line["models"] = models.into();
    line
}

/// How good the models were for this patient, when the file was over.
pub(super) fn scoreboard(patient: &str, known: Time, board: &Scoreboard) -> Value {
    let mut line = line(patient, known, Type::Scoreboard);
    line["forecasts"] = board.forecasts.iter().map(forecast_score).collect();
    line["alerts"] = board.alerts.iter().map(alert_score).collect();
    line
}

fn forecast_score(score: &ForecastScore) -> Value {
    let horizon = |of: &twin::board::HorizonScore| {
        let errors = of.errors();
        json!({
            "horizon_s": of.ahead.as_micros() / 1_000_000,
            "due": of.due,
            "scored": of.scored,
            "covered": of.covered,
            "rmse": errors.map(|(error, _)| error),
            "persistence_rmse": errors.map(|(_, persistence)| persistence),
            "withheld": of.withheld,
            "unfit": of.unfit > 0,
        })
    };
    let abstained = score.abstained.iter();
    let abstained = abstained.map(|(why, times)| ((*why).to_owned(), (*times).into()));
    json!({
        "kind": score.kind.info().name,
        "model": score.model,
        "level": score.nominal,
        "made": score.made,
        "abstained": abstained.collect::<Map<_, _>>(),
        "horizons": score.horizons.iter().map(horizon).collect::<Vec<_>>(),
    })
}

fn alert_score(score: &AlertScore) -> Value {
    if !score.absent.is_empty() {
        return json!({"model": score.model, "condition": score.condition.name(), "absent": score.absent});
    }
    let seconds = |span: vitals::Span| span.as_secs_f64();
    json!({
        "model": score.model,
        "condition": score.condition.name(),
        "event": score.event,
        "within_s": seconds(score.within),
        "told": score.told,
        "right": score.right,
        "late": score.late,
        "wrong": score.wrong,
        "unknown": score.unknown,
        "waiting": score.waiting,
        "events": score.events,
        "missed": score.missed,
        "lead_sum_s": score.lead.map(|lead| seconds(lead.sum)),
        "lead_least_s": score.lead.map(|lead| seconds(lead.least)),
        "lead_most_s": score.lead.map(|lead| seconds(lead.most)),
    })
}

/// A beat found in a waveform.
pub(super) fn beat(patient: &str, known: Time, source: &str, view: &BeatView) -> Value {
    let mut line = line(patient, known, Type::Beat);
    line["source"] = source.into();
    line["wave"] = view.wave.info().name.into();
    line["effective"] = time(view.beat.at).into();
    line["rr_ms"] = view.beat.tenth_ms.map(|tenths| tenths as f64 / 10.0).into();
    line["within_ms"] = view
        .beat
        .within_tenth_ms
        .map(|tenths| tenths as f64 / 10.0)
        .into();
    line["quality"] = ((view.beat.quality * 1000.0).round() / 1000.0).into();
    line["counts"] = view.counts.into();
    line
}

/// The rhythm model after an interval.
pub(super) fn rhythm(patient: &str, known: Time, effective: Time, view: &RhythmView) -> Value {
    let mut line = line(patient, known, Type::Rhythm);
    line["effective"] = time(effective).into();
    line["af"] = view.fibrillation.into();
    line["score"] = view.score.into();
    line["cut"] = view.cut.into();
    line["abstain"] = view.score.is_none().then_some(view.finding).into();
    line
}

/// A forecast: one line per horizon, or one that says why there is none.
pub(super) fn forecast(patient: &str, known: Time, view: &ForecastView) -> Vec<Value> {
    let kind = view.kind.info().name;
    let begin = |made: Option<Time>| {
        let mut line = line(patient, known, Type::Forecast);
        line["kind"] = kind.into();
        line["made"] = made.map(time).into();
        line["model"] = view.model.into();
        line["level"] = view.coverage_nominal.into();
        line
    };
    if !view.abstained.is_empty() {
        let mut line = begin(None);
        line["abstain"] = view.abstained.into();
        return vec![line];
    }
    let point = |point: &twin::view::ForecastPoint| {
        let mut line = begin(Some(view.made));
        line["horizon_s"] = (point.at.since(view.made).as_micros() / 1_000_000).into();
        line["mean"] = point.value.into();
        line["low"] = point.low.into();
        line["high"] = point.high.into();
        line["abstain"] = Value::Null;
        line
    };
    let unfit = view.unfit.iter().map(|ahead| {
        let mut line = begin(Some(view.made));
        line["horizon_s"] = (ahead.as_micros() / 1_000_000).into();
        line["abstain"] = UNFIT.into();
        line
    });
    view.points.iter().map(point).chain(unfit).collect()
}

/// An alert's change, or a finding.
pub(super) fn alert(patient: &str, change: &AlertChange) -> (Type, Value) {
    let of = if change.what == Change::Finding {
        Type::Finding
    } else {
        Type::Alert
    };
    let alert = &change.alert;
    let mut line = line(patient, change.at, of);
    line["id"] = alert.id.to_string().into();
    line["condition"] = alert.condition.name().into();
    line["category"] = match alert.category() {
        Category::Physiological => "physiological",
        Category::Technical => "technical",
    }
    .into();
    line["priority"] = match alert.priority {
        Priority::High => "high",
        Priority::Medium => "medium",
        Priority::Low => "low",
    }
    .into();
    line["change"] = match change.what {
        Change::Raised => "raised",
        Change::Updated => "updated",
        Change::Acknowledged => "acknowledged",
        Change::Resolved => "resolved",
        Change::Finding => "finding",
        Change::Called => "called",
        Change::Unanswered => "unanswered",
        Change::Snoozed => "snoozed",
        Change::Woken => "woken",
        Change::Noted => "noted",
        Change::Withdrawn => "withdrawn",
    }
    .into();
    line["presence"] = (alert.state != State::Resolved).into();
    line["effective"] = time(alert.onset).into();
    line["until"] = alert.resolved.map(time).into();
    line["summary"] = alert.summary.as_str().into();
    line["model"] = alert.model.into();
    line["expected"] = alert.expected.map(time).into();
    line["probability"] = alert.probability.into();
    line["part_of"] = alert.part_of.map(|of| of.to_string()).into();
    line["evidence"] = alert
        .evidence
        .iter()
        .map(evidence)
        .collect::<Vec<_>>()
        .into();
    (of, line)
}

fn evidence(of: &Evidence) -> Value {
    json!({
        "kind": of.kind.map(|kind| kind.info().name),
        "label": of.label,
        "value": of.value,
        "limit": of.limit,
        "contribution": of.contribution,
        "known": of.known,
        "avoided_at": of.avoided_at,
    })
}

fn time(time: Time) -> String {
    let stamp = Timestamp::from_microsecond(time.as_micros());
    stamp.map_or_else(|_| String::new(), |stamp| format!("{stamp:.6}"))
}
