//! `scoreboard`: how good the models are, for people and as JSON.
//!
//! Must not know: how it is counted.

use std::fmt::Write as _;

use anyhow::Result;
use proto::clock::Clock;
use proto::v1::{AlertScore, ForecastScore, HorizonScore, Scoreboard};
use serde_json::{Value, json};

use super::{office, print, show};
use crate::dir::CentreDir;

pub(super) async fn run(
    dir: &CentreDir,
    clock: Clock,
    patient: Option<String>,
    json: bool,
) -> Result<()> {
    let board = office::scoreboard(dir, clock, patient).await?;
    print(&if json {
        show::json(&as_json(&board))?
    } else {
        as_text(&board)
    })
}

fn as_text(board: &Scoreboard) -> String {
    let mut text = format!("patients: {}\n", board.patients);
    for forecast in &board.forecasts {
        let _ = writeln!(
            text,
            "\nforecast {} ({}): {} made",
            forecast.kind().as_str_name(),
            forecast.model,
            forecast.made
        );
        for horizon in &forecast.horizons {
            text += &horizon_text(horizon, forecast.nominal);
        }
        for abstained in &forecast.abstained {
            let _ = writeln!(
                text,
                "  none {} times: {}",
                abstained.times, abstained.reason
            );
        }
    }
    for alert in &board.alerts {
        text += &alert_text(alert);
    }
    text
}

fn horizon_text(horizon: &HorizonScore, nominal: f64) -> String {
    let HorizonScore {
        ahead_s,
        due,
        scored,
        covered,
        unfit,
        ..
    } = horizon;
    let mut text = format!(
        "  {:>3} min: {due} came due, {scored} measured",
        ahead_s / 60
    );
    if let (Some(error), Some(persistence)) = (horizon.error, horizon.persistence_error) {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let share = 100.0 * *covered as f64 / *scored as f64;
        let nominal = 100.0 * nominal;
        let _ = write!(
            text,
            ", {share:.1} % inside (aim {nominal:.0}), error {error:.2}, persistence {persistence:.2}"
        );
    }
    if *unfit > 0 {
        let _ = write!(text, "; not good enough for {unfit}");
    }
    text + "\n"
}

fn alert_text(alert: &AlertScore) -> String {
    let mut text = format!("\nalert {} ({})", alert.condition, alert.model);
    if !alert.absent.is_empty() {
        let _ = writeln!(text, ": not counted: {}", alert.absent);
        return text;
    }
    let AlertScore {
        event,
        told,
        right,
        late,
        wrong,
        unknown,
        waiting,
        events,
        missed,
        ..
    } = alert;
    let _ = writeln!(text, ": {event}, within {} min", alert.within_s / 60);
    let _ = writeln!(
        text,
        "  {told} told: {right} right, {late} late, {wrong} wrong, {unknown} not measured, {waiting} waiting"
    );
    let _ = writeln!(text, "  {events} events, {missed} missed");
    if let (Some(mean), Some(least), Some(most)) =
        (alert.lead_mean_s, alert.lead_least_s, alert.lead_most_s)
    {
        let [mean, least, most] = [mean, least, most].map(|seconds| seconds / 60.0);
        let _ = writeln!(text, "  ahead by {mean:.1} min ({least:.1} to {most:.1})");
    }
    text
}

fn as_json(board: &Scoreboard) -> Value {
    json!({
        "patients": board.patients,
        "forecasts": board.forecasts.iter().map(forecast_json).collect::<Vec<_>>(),
        "alerts": board.alerts.iter().map(alert_json).collect::<Vec<_>>(),
    })
}

fn forecast_json(score: &ForecastScore) -> Value {
    let horizon = |of: &HorizonScore| {
        json!({
            "ahead_s": of.ahead_s,
            "due": of.due,
            "scored": of.scored,
            "covered": of.covered,
            "error": of.error,
            "persistence_error": of.persistence_error,
            "withheld": of.withheld,
            "unfit": of.unfit,
        })
    };
    let abstained = score.abstained.iter();
    let abstained = abstained.map(|of| json!({"reason": of.reason, "times": of.times}));
    json!({
        "kind": score.kind().as_str_name(),
        "model": score.model,
        "nominal": score.nominal,
        "made": score.made,
        "abstained": abstained.collect::<Vec<_>>(),
        "horizons": score.horizons.iter().map(horizon).collect::<Vec<_>>(),
    })
}

fn alert_json(of: &AlertScore) -> Value {
    json!({
        "model": of.model,
        "condition": of.condition,
        "absent": of.absent,
        "event": of.event,
        "within_s": of.within_s,
        "told": of.told,
        "right": of.right,
        "late": of.late,
        "wrong": of.wrong,
        "unknown": of.unknown,
        "waiting": of.waiting,
        "events": of.events,
        "missed": of.missed,
        "lead_mean_s": of.lead_mean_s,
        "lead_least_s": of.lead_least_s,
        "lead_most_s": of.lead_most_s,
    })
}
