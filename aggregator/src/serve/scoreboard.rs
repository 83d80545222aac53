//! How good the models are, as a message of the contract.
//!
//! Must not know: gRPC's server, the gate, whom it is of.

use proto::v1;
use twin::board::{AlertScore, ForecastScore, HorizonScore, Scoreboard};
use vitals::Span;

/// The message.
pub(super) fn message(board: &Scoreboard) -> v1::Scoreboard {
    v1::Scoreboard {
        patients: board.patients,
        forecasts: board.forecasts.iter().map(forecast).collect(),
        alerts: board.alerts.iter().map(alert).collect(),
    }
}

fn seconds(span: Span) -> u32 {
    u32::try_from(span.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

fn forecast(score: &ForecastScore) -> v1::ForecastScore {
    let abstention = |(reason, times): &(&'static str, u64)| v1::Abstention {
        reason: (*reason).to_owned(),
        times: *times,
    };
    v1::ForecastScore {
        kind: score.kind.wire(),
        model: score.model.to_owned(),
        nominal: score.nominal,
        made: score.made,
        abstained: score.abstained.iter().map(abstention).collect(),
        horizons: score.horizons.iter().map(horizon).collect(),
    }
}

fn horizon(score: &HorizonScore) -> v1::HorizonScore {
    let errors = score.errors();
    v1::HorizonScore {
        ahead_s: seconds(score.ahead),
        due: score.due,
        scored: score.scored,
        covered: score.covered,
        error: errors.map(|(error, _)| error),
        persistence_error: errors.map(|(_, persistence)| persistence),
        withheld: score.withheld,
        unfit: score.unfit,
    }
}

fn alert(score: &AlertScore) -> v1::AlertScore {
    let lead = score.lead;
    let foretold = score.events.saturating_sub(score.missed).max(1);
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let mean = lead.map(|lead| lead.sum.as_secs_f64() / foretold as f64);
    v1::AlertScore {
        model: score.model.to_owned(),
        condition: score.condition.name().to_owned(),
        absent: score.absent.to_owned(),
        event: score.event.to_owned(),
        within_s: seconds(score.within),
        told: score.told,
        right: score.right,
        late: score.late,
        wrong: score.wrong,
        unknown: score.unknown,
        waiting: score.waiting,
        events: score.events,
        missed: score.missed,
        lead_mean_s: mean,
        lead_least_s: lead.map(|lead| lead.least.as_secs_f64()),
        lead_most_s: lead.map(|lead| lead.most.as_secs_f64()),
    }
}
