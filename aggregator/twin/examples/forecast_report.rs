//! Report: forecasts of saturation and heart rate on simulated series, beside persistence; predictive alerts
//! on stable days (all of them false) and on falls (their lead before the truth crosses the limit). The seeds
//! are not those that the rule was tuned on.
//! Run: `cargo run --release -p twin --example forecast_report`.

mod support;

use support::Chance;
use support::simulated::{Fall, Form, Nature, series};
use twin::forecast::{Forecaster, Foresight, HORIZONS};
use twin::window::{Placed, Window};
use vitals::{Fixed, Kind, Span, Time};

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

fn main() {
    println!("Simulated saturation: stable days (24 h, mean 96), every predictive alert is false");
    for (name, nature) in NATURES {
        let (mut false_alerts, days) = (0, 20);
        let mut total = [(0u64, 0u64, 0.0, 0.0); 5];
        for seed in 0..days {
            let values = series(
                &mut Chance(seed * 77 + 100_001),
                86_400,
                96.0,
                nature,
                None,
                (50.0, 100.0),
            );
            let run = run(Kind::OxygenSaturation, &values);
            false_alerts += run.alerts.len();
            add(&mut total, &run.forecaster);
        }
        println!("  {name}: {false_alerts} false alerts in {days} days");
        print(&total);
    }
    println!("Simulated falls 96 -> 88: lead of the predictive alert before the truth is below 92");
    for (name, nature) in NATURES {
        for form in [Form::Linear, Form::Sigmoid, Form::Exponential] {
            for minutes in [8.0, 12.0, 15.0, 30.0] {
                falls(name, nature, form, minutes);
            }
        }
    }
    println!("Simulated heart rate (mean 75, wander 6 in 5 min)");
    let nature = Nature {
        wander: 6.0,
        tau: 300.0,
        noise: 1.0,
        step: 1.0,
        artefacts: 0.0,
        gaps: 2.0,
    };
    let mut total = [(0u64, 0u64, 0.0, 0.0); 5];
    for seed in 0..10 {
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
    print(&total);
}

fn falls(name: &str, nature: Nature, form: Form, minutes: f64) {
    let (mut leads, mut missed, mut early) = (Vec::new(), 0, 0);
    let mut total = [(0u64, 0u64, 0.0, 0.0); 5];
    let runs = 40;
    for seed in 0..runs {
        let fall = Fall {
            begin: 240.0 + 20.0 * seed as f64,
            length: minutes * 60.0,
            depth: 8.0,
            form,
        };
        let seconds = (fall.begin + fall.length) as usize + 900;
        let values = series(
            &mut Chance(seed * 31 + 200_003),
            seconds,
            96.0,
            nature,
            Some(fall),
            (50.0, 100.0),
        );
        let crossed = (0..seconds)
            .find(|second| 96.0 - fall.at(*second as f64) < 92.0)
            .expect("falls to 88");
        let run = run(Kind::OxygenSaturation, &values);
        match run
            .alerts
            .iter()
            .find(|second| **second as f64 >= fall.begin)
        {
            Some(second) if *second < crossed => leads.push((crossed - second) as f64 / 60.0),
            _ => missed += 1,
        }
        early += run
            .alerts
            .iter()
            .filter(|second| (**second as f64) < fall.begin)
            .count();
        add(&mut total, &run.forecaster);
    }
    leads.sort_by(f64::total_cmp);
    let median = leads.get(leads.len() / 2).copied().unwrap_or(f64::NAN);
    let least = leads.first().copied().unwrap_or(f64::NAN);
    let (scored, error, persistence) = total.iter().fold((0, 0.0, 0.0), |sum, part| {
        (sum.0 + part.0, sum.1 + part.2, sum.2 + part.3)
    });
    println!(
        "  {name:22} {form:?} {minutes:>4} min: foreseen {}/{runs}, lead median {median:.1} min (least {least:.1}), missed {missed}, before the fall {early}; error {:.2} persistence {:.2}",
        leads.len(),
        error / scored as f64,
        persistence / scored as f64,
    );
}

fn add(total: &mut [(u64, u64, f64, f64); 5], forecaster: &Forecaster) {
    for (sum, ledger) in total.iter_mut().zip(forecaster.ledgers()) {
        sum.0 += ledger.scored;
        sum.1 += ledger.covered;
        sum.2 += ledger.error;
        sum.3 += ledger.persistence_error;
    }
}

fn print(total: &[(u64, u64, f64, f64); 5]) {
    for (buckets, (scored, covered, error, persistence)) in HORIZONS.iter().zip(total) {
        println!(
            "    {:>2} min: mean error {:.3}, persistence {:.3}; coverage {:.3} of 0.90 ({scored} points)",
            buckets / 6,
            error / *scored as f64,
            persistence / *scored as f64,
            *covered as f64 / *scored as f64,
        );
    }
}
