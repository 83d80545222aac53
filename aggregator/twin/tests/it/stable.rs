//! A stable patient for a day: noise, wander, artefacts, gaps. Nothing physiological may be raised.

use twin::alert::Category;
use twin::{Effect, Event, Twin, step};
use vitals::{Kind, Reading, Span};

use crate::shared::Chance;
use crate::support::{OXIMETER, STRAP, assigned, at, batch, reading};

#[test]
fn a_stable_day_raises_nothing() {
    let (mut twin, mut out, mut chance) = (Twin::new(), Vec::new(), Chance(2026));
    step(&mut twin, &assigned(), at(0), &mut out);
    let (mut wander, mut artefact, mut beat) = (0.0, 0, at(0));
    let mut sequence = 0;
    for second in 0..86_400i64 {
        wander = 0.9917 * wander + 0.0386 * chance.normal();
        if artefact == 0 && chance.uniform() < 4.0 / 3600.0 {
            artefact = 5 + (chance.uniform() * 15.0) as i64;
        }
        let dip = if artefact > 0 { 12.0 } else { 0.0 };
        artefact = (artefact - 1).max(0);
        let saturation = (96.0 + wander + 0.6 * chance.normal() - dip).min(100.0);
        let heart = 72.0 + 8.0 * wander + 2.0 * chance.normal();
        let mut readings = vec![
            reading(OXIMETER, Kind::OxygenSaturation, second, saturation),
            reading(STRAP, Kind::HeartRate, second, heart),
        ];
        // Sinus arrhythmia: 5 % with the breath, every 4 s.
        let breath = if second % 4 < 2 { 1.05 } else { 0.95 };
        let interval = 60_000.0 / heart * breath + 10.0 * chance.normal();
        while beat + Span::from_millis(interval as i64) <= at(second) {
            beat = beat + Span::from_millis(interval as i64);
            readings.push(Reading {
                sequence,
                effective: beat,
                received: beat,
                ..reading(STRAP, Kind::RrInterval, 0, interval)
            });
            sequence += 1;
        }
        step(
            &mut twin,
            &Event::Batch(batch(second as u64 + 1, readings)),
            at(second),
            &mut out,
        );
    }
    let raised: Vec<_> = out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Alert(change) => Some(change),
            Effect::Beat(_) | Effect::TwinChanged => None,
        })
        .filter(|change| change.alert.category() == Category::Physiological)
        .map(|change| (change.what, &change.alert.summary))
        .collect();
    assert!(raised.is_empty(), "{raised:?}");
    let forecast = twin
        .forecasts()
        .into_iter()
        .find(|f| f.kind == Kind::OxygenSaturation)
        .expect("forecast");
    println!(
        "saturation, a stable day: mean error {:.3}, persistence {:.3}, coverage {:.3} over {} points",
        forecast.error.expect("scored"),
        forecast.persistence_error.expect("scored"),
        forecast.coverage_observed.expect("scored"),
        forecast.scored
    );
    assert!(forecast.error < forecast.persistence_error);
    assert!(
        forecast
            .coverage_observed
            .is_some_and(|c| (0.87..=0.93).contains(&c))
    );
    assert!(
        twin.channels()
            .iter()
            .any(|channel| channel.baseline.is_some())
    );
}
