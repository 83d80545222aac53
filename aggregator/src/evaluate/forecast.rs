//! Forecasts of saturation and heart rate on simulated series, beside persistence; predictive alerts on stable days (all of
//! them false) and on falls (their lead before the truth crosses the limit). The seeds are not those that the rule was tuned
//! on.

use twin::forecast::{Forecaster, Foresight, HORIZONS};
use twin::window::{Placed, Window};
use vitals::{Fixed, Kind, Span, Time};

use super::support::Chance;
use super::support::simulated::{Fall, Form, Nature, series};
use super::{Aim, Figure, Section, Wanted};

/// The sensor the demo wears, and worse ones.
const NATURES: [(&str, Nature); 4] = [
    (
        "noise 0.6, 0.1 steps",
        Nature {
            wander: 0.3,
            tau: 120.0,
            noise: 0.6,
            step: 0.1,
            artefacts: 4.0,
            gaps: 2.0,
        },
    ),
    (
        "noise 0.6, whole %",
        Nature {
            wander: 0.3,
            tau: 120.0,
            noise: 0.6,
            step: 1.0,
            artefacts: 4.0,
            gaps: 2.0,
        },
    ),
    (
        "wander 0.6 in 5 min",
        Nature {
            wander: 0.6,
            tau: 300.0,
            noise: 0.4,
            step: 1.0,
            artefacts: 4.0,
            gaps: 2.0,
        },
    ),
    (
        "wander 0.8 in 10 min",
        Nature {
            wander: 0.8,
            tau: 600.0,
            noise: 0.4,
            step: 1.0,
            artefacts: 8.0,
            gaps: 4.0,
        },
    ),
];

struct Run {
    forecaster: Forecaster,
    alerts: Vec<usize>,
}

/// Feeds a series and notes when predictive alerts would be raised.
fn run(kind: Kind, values: &[(f64, Option<f64>)]) -> Run {
    let mut window = Window::new(kind);
    let mut forecaster = Forecaster::new(kind);
    let (mut alerts, mut active) = (Vec::new(), false);
    for (second, (_, reading)) in values.iter().enumerate() {
        let Some(fixed) = reading.and_then(|value| Fixed::from_f64(kind, value)) else {
            continue;
        };
        let before = window.newest();
        let at = Time::ZERO + Span::from_secs(second as i64);
        if window.take(at, fixed) != Placed::Opened {
            continue;
        }
        let Some(closed) = before else { continue };
        forecaster.look(&window, closed);
        match forecaster.foresight() {
            Foresight::Coming { .. } if !active => {
                active = true;
                alerts.push(second);
            }
            Foresight::Clear => active = false,
            Foresight::Coming { .. } | Foresight::Undecided => {}
        }
    }
    Run { forecaster, alerts }
}

/// Scored points, covered ones, and sums of errors of both, by horizon.
type Sums = [(u64, u64, f64, f64); HORIZONS.len()];

pub(super) fn report(wanted: &Wanted) -> Vec<Section> {
    let mut section = Section::new(
        "Forecast of saturation and heart rate: simulated",
        "Stable days of 24 h, on which every predictive alert is false, and falls from 96 to 88 %. No open recording of a fall was at hand: not validated on people.",
    );
    let days = (wanted.people / 5).clamp(2, 20);
    for (name, nature) in NATURES {
        let mut total = Sums::default();
        let day = |seed: u64| {
            let values = series(
                &mut Chance(seed * 77 + 100_001),
                86_400,
                96.0,
                nature,
                None,
                (50.0, 100.0),
            );
            run(Kind::OxygenSaturation, &values)
        };
        let runs: Vec<Run> = (0..days).map(day).collect();
        runs.iter().for_each(|run| add(&mut total, &run.forecaster));
        let alerts: Vec<f64> = runs.iter().map(|run| run.alerts.len() as f64).collect();
        let what = format!("false alerts on stable days, {name}");
        section
            .figures
            .push(Figure::mean(what, &alerts, "a patient-day").aims(Aim::Most(0.5)));
        tell(&mut section.figures, name, "%", &total);
    }
    for (name, nature) in NATURES {
        for form in [Form::Linear, Form::Sigmoid, Form::Exponential] {
            for minutes in [8.0, 15.0, 30.0] {
                falls(&mut section.figures, name, nature, form, minutes);
            }
        }
    }
    let nature = Nature {
        wander: 6.0,
        tau: 300.0,
        noise: 1.0,
        step: 1.0,
        artefacts: 0.0,
        gaps: 2.0,
    };
    let mut total = Sums::default();
    for seed in 0..days / 2 {
        let values = series(
            &mut Chance(seed * 91 + 300_005),
            86_400,
            75.0,
            nature,
            None,
            (20.0, 220.0),
        );
        add(&mut total, &run(Kind::HeartRate, &values).forecaster);
    }
    tell(&mut section.figures, "heart rate", "/min", &total);
    vec![section]
}

fn falls(figures: &mut Vec<Figure>, name: &str, nature: Nature, form: Form, minutes: f64) {
    let mut leads = Vec::new();
    let runs = 40;
    for seed in 0..runs {
        let fall = Fall {
            begin: 240.0 + 20.0 * seed as f64,
            length: minutes * 60.0,
            depth: 8.0,
            form,
        };
        let seconds = (fall.begin + fall.length) as usize + 900;
        let mut chance = Chance(seed * 31 + 200_003);
        let values = series(
            &mut chance,
            seconds,
            96.0,
            nature,
            Some(fall),
            (50.0, 100.0),
        );
        let crossed = (0..seconds).find(|second| 96.0 - fall.at(*second as f64) < 92.0);
        let alerts = run(Kind::OxygenSaturation, &values).alerts;
        let first = alerts
            .into_iter()
            .find(|second| *second as f64 >= fall.begin);
        let lead = crossed
            .zip(first)
            .filter(|(crossed, first)| first < crossed);
        leads.extend(lead.map(|(crossed, first)| (crossed - first) as f64 / 60.0));
    }
    let what = format!("foreseen, {form:?} in {minutes} min, {name}");
    figures.push(Figure::share(what, leads.len() as u64, runs));
    if !leads.is_empty() {
        figures.push(Figure::mean(
            format!("lead, {form:?} in {minutes} min, {name}"),
            &leads,
            "min",
        ));
    }
}

fn add(total: &mut Sums, forecaster: &Forecaster) {
    for (sum, ledger) in total.iter_mut().zip(forecaster.ledgers()) {
        sum.0 += ledger.scored;
        sum.1 += ledger.covered;
        sum.2 += ledger.error;
        sum.3 += ledger.persistence_error;
    }
}

fn tell(figures: &mut Vec<Figure>, name: &str, unit: &'static str, total: &Sums) {
    for (buckets, (scored, covered, error, persistence)) in HORIZONS.iter().zip(total) {
        let minutes = buckets / 6;
        let count = (*scored).max(1) as f64;
        let error = Figure::new(
            format!("mean error at {minutes} min, {name}"),
            error / count,
            unit,
        );
        figures.push(error.beside("persistence", persistence / count));
        figures.push(Figure::share(
            format!("90 % interval holds at {minutes} min, {name}"),
            *covered,
            *scored,
        ));
    }
}
