//! Report: whole days of simulated lives through the whole fold: how often people who are well are alarmed about, by
//! condition, and whether events that were planted are missed. A strap with intervals, an oximeter, a watch that measures
//! each minute, a thermometer and a cuff; movement, artefacts that the sensor does not notice, ectopic beats, walks and
//! stairs, loose contact. Simple on purpose, and not the project's patient simulator; no rule was tuned on it.
//! Run: `cargo run --release -p twin --example lives_report [people]`.

mod support;

use std::collections::BTreeMap;

use support::Chance;
use support::recorded::wilson;
use twin::alert::{Category, Change, Condition, Priority};
use twin::event::{Assigned, Batch};
use twin::{Effect, Event, Twin, step};
use vitals::{
    ContextId, Fixed, GatewayId, Kind, Quality, Reading, SourceId, Span, StreamId, Time, Value,
};

const DAY: usize = 86_400;
const ZERO: Time = Time::from_micros(1_795_219_200_000_000);

/// What is planted in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Planted {
    Nothing,
    /// Saturation falls to 84 % within twenty minutes, and stays for twenty.
    Hypoxia,
    /// The heart goes to 165/min at rest, for ten minutes.
    Fast,
    /// To 32/min, for five.
    Slow,
    /// Intervals without order for an hour, at a rate of 95.
    Fibrillation,
}

/// How it is worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worn {
    /// A strap each second and an oximeter each five.
    Strap,
    /// A watch that tells rate and saturation each minute, and nothing else.
    Watch,
}

struct Life {
    chance: Chance,
    worn: Worn,
    planted: Planted,
    begin: usize,
    rest: f64,
    saturation: f64,
    ectopic: f64,
    /// Walks and stairs: begin, end, how much faster the heart goes.
    moves: Vec<(usize, usize, f64)>,
}

impl Life {
    fn new(seed: u64, worn: Worn, planted: Planted) -> Self {
        let mut chance = Chance(seed);
        let mut moves = Vec::new();
        let awake = |chance: &mut Chance| 25_000 + (chance.uniform() * 53_000.0) as usize;
        for _ in 0..6 {
            // Stairs, a bus that leaves.
            let begin = awake(&mut chance);
            let length = 30 + (chance.uniform() * 90.0) as usize;
            moves.push((begin, begin + length, 25.0 + 30.0 * chance.uniform()));
        }
        for _ in 0..2 {
            // A walk, work in the garden.
            let begin = awake(&mut chance);
            let length = 900 + (chance.uniform() * 2700.0) as usize;
            moves.push((begin, begin + length, 15.0 + 25.0 * chance.uniform()));
        }
        let begin = 4000 + (chance.uniform() * 70_000.0) as usize;
        // A planted event comes to somebody who rests.
        if planted != Planted::Nothing {
            moves.retain(|(from, to, _)| *to < begin - 600 || *from > begin + 4800);
        }
        Self {
            rest: 62.0 + 8.0 * chance.normal().clamp(-2.0, 2.0),
            saturation: 96.6 + 0.8 * chance.normal().clamp(-1.5, 1.5),
            ectopic: if chance.uniform() < 0.2 { 0.03 } else { 0.002 },
            moves,
            worn,
            planted,
            begin,
            chance,
        }
    }

    /// Length of what is planted, seconds.
    fn lasts(&self) -> usize {
        match self.planted {
            Planted::Nothing => 0,
            Planted::Hypoxia => 2400,
            Planted::Fast => 600,
            Planted::Slow => 300,
            Planted::Fibrillation => 3600,
        }
    }

    fn condition(&self) -> Option<Condition> {
        match self.planted {
            Planted::Nothing => None,
            Planted::Hypoxia => Some(Condition::OxygenSaturationLow),
            Planted::Fast => Some(Condition::HeartRateHigh),
            Planted::Slow => Some(Condition::HeartRateLow),
            Planted::Fibrillation => Some(Condition::AtrialFibrillation),
        }
    }
}

/// What was raised, when, and until when it stood.
struct Told {
    condition: Condition,
    priority: Priority,
    from: usize,
    to: usize,
}

/// Runs a day.
fn live(life: &mut Life) -> Vec<Told> {
    let (mut twin, mut out, mut number) = (Twin::new(), Vec::new(), 0);
    let stream = StreamId([1; 16]);
    let assigned = Event::Assigned(Assigned {
        stream,
        gateway: GatewayId::parse("gw").expect("valid"),
        devices: vec!["AA:BB:CC:DD:EE:01".into()],
        from: ZERO,
    });
    step(&mut twin, &assigned, ZERO, &mut out);
    let mut sequences: BTreeMap<(u16, Kind), u64> = BTreeMap::new();
    let (mut heart, mut air) = (0.0, 0.0);
    let (mut artefact, mut gap) = ((0_usize, 0.0), 0_usize);
    let mut raised = Vec::new();
    let (mut beat, mut early) = (0.0_f64, false);
    let lasts = life.lasts();
    for second in 0..DAY {
        let chance = &mut life.chance;
        let night = !(23_000..80_000).contains(&second);
        // Wander of some minutes.
        heart += -heart / 300.0 + 4.0 * (2.0_f64 / 300.0).sqrt() * chance.normal();
        air += -air / 600.0 + 0.5 * (2.0_f64 / 600.0).sqrt() * chance.normal();
        let moved = life
            .moves
            .iter()
            .find(|(from, to, _)| (*from..*to + 60).contains(&second));
        let effort = moved.map_or(0.0, |(from, to, by)| {
            let up = ((second - from) as f64 / 30.0).min(1.0);
            let down = second.saturating_sub(*to) as f64 / 60.0;
            by * up * (1.0 - down).max(0.0)
        });
        let mut rate = life.rest + heart + effort - if night { 6.0 } else { 0.0 };
        let mut oxygen = life.saturation + air - if night { 0.6 } else { 0.0 };
        let into = second.checked_sub(life.begin).filter(|into| *into < lasts);
        let mut disorder = false;
        if let Some(into) = into {
            match life.planted {
                Planted::Nothing => {}
                Planted::Hypoxia => {
                    let part = (into as f64 / 1200.0).min(1.0);
                    oxygen += part * (84.0 - life.saturation);
                }
                Planted::Fast => rate = 165.0 + heart,
                Planted::Slow => rate = 32.0 + 0.3 * heart,
                Planted::Fibrillation => (rate, disorder) = (95.0 + heart, true),
            }
        }
        // Artefacts that the sensor does not notice, more of them in movement; loose contact.
        let often = if effort > 5.0 { 8.0 } else { 0.6 };
        if artefact.0 == 0 && chance.uniform() < often / 3600.0 {
            artefact = (
                5 + (chance.uniform() * 16.0) as usize,
                3.0 + 14.0 * chance.uniform(),
            );
        }
        if gap == 0 && chance.uniform() < 0.5 / 3600.0 {
            gap = 10 + (chance.uniform() * 120.0) as usize;
        }
        let off = if artefact.0 > 0 { artefact.1 } else { 0.0 };
        artefact.0 = artefact.0.saturating_sub(1);
        gap = gap.saturating_sub(1);
        let at = ZERO + Span::from_secs(second as i64);
        let mut readings = Vec::new();
        let mut put = |source: u16, kind: Kind, at: Time, value: f64| {
            let sequence = sequences.entry((source, kind)).or_default();
            *sequence += 1;
            readings.push(Reading {
                kind,
                value: Value::Measured(Fixed::from_f64(kind, value).expect("small")),
                source: SourceId(source),
                sequence: *sequence,
                effective: at,
                received: at,
                quality: Quality::GOOD,
                device: None,
            });
        };
        let told = (oxygen.min(100.0) + 0.5 * chance.normal() - off)
            .clamp(50.0, 100.0)
            .round();
        match life.worn {
            Worn::Strap if gap == 0 => {
                let doubled = if off > 12.0 { 1.5 } else { 1.0 };
                put(
                    1,
                    Kind::HeartRate,
                    at,
                    (rate * doubled + 0.7 * chance.normal()).round(),
                );
                while beat <= second as f64 {
                    let usual = 60.0 / rate;
                    let breath = 0.03 * libm::sin(1.6 * beat);
                    let factor = if disorder {
                        0.7 + 0.6 * chance.uniform()
                    } else if early {
                        1.35
                    } else if chance.uniform() < life.ectopic {
                        0.65
                    } else {
                        1.0 + breath + 0.012 * chance.normal()
                    };
                    early = !disorder && !early && factor == 0.65;
                    beat += usual * factor;
                    let end = ZERO + Span::from_micros((beat * 1e6) as i64);
                    put(1, Kind::RrInterval, end.min(at), usual * factor * 1000.0);
                }
                if second % 5 == 0 {
                    put(2, Kind::OxygenSaturation, at, told);
                }
            }
            Worn::Watch if second % 60 == 17 && gap == 0 => {
                put(
                    4,
                    Kind::HeartRate,
                    at,
                    (rate + 2.0 * chance.normal()).round(),
                );
                put(4, Kind::OxygenSaturation, at, told);
            }
            Worn::Strap | Worn::Watch => beat = beat.max(second as f64),
        }
        if second % 60 == 30 {
            put(
                1,
                Kind::RespiratoryRate,
                at,
                (14.0 + effort / 6.0 + chance.normal()).round(),
            );
        }
        if second % 14_400 == 600 {
            put(3, Kind::BodyTemperature, at, 36.7 + 0.2 * chance.normal());
        }
        if second % 28_800 == 900 {
            put(
                5,
                Kind::SystolicPressure,
                at,
                (124.0 + 8.0 * chance.normal()).round(),
            );
        }
        number += 1;
        let batch = Batch {
            stream,
            context: ContextId([2; 16]),
            number,
            supersedes: Vec::new(),
            readings,
            waveforms: Vec::new(),
            gaps: Vec::new(),
            heartbeat: None,
            devices: Vec::new(),
            local_alerts: Vec::new(),
        };
        out.clear();
        step(&mut twin, &Event::Batch(batch), at, &mut out);
        for effect in &out {
            let Effect::Alert(change) = effect else {
                continue;
            };
            let (alert, is) = (&change.alert, |told: &&mut Told| {
                told.condition == change.alert.condition
            });
            if change.what == Change::Raised
                && alert.condition.category() == Category::Physiological
            {
                let (condition, priority) = (alert.condition, alert.priority);
                raised.push(Told {
                    condition,
                    priority,
                    from: second,
                    to: DAY,
                });
            } else if change.what == Change::Resolved
                && let Some(told) = raised.iter_mut().rev().find(is)
            {
                told.to = second;
            }
        }
    }
    raised
}

fn main() {
    let people = std::env::args().nth(1).and_then(|of| of.parse().ok());
    let people: u64 = people.unwrap_or(100);
    println!("{people} simulated people a line, a day each");
    for worn in [Worn::Strap, Worn::Watch] {
        let mut by: BTreeMap<(&str, String), u32> = BTreeMap::new();
        let mut days = Vec::new();
        for seed in 0..people {
            let raised = live(&mut Life::new(seed + 1, worn, Planted::Nothing));
            for told in &raised {
                let key = (told.condition.name(), format!("{:?}", told.priority));
                *by.entry(key).or_default() += 1;
            }
            days.push(raised.len() as f64);
        }
        let mean = |of: &[&f64]| of.iter().copied().sum::<f64>() / of.len() as f64;
        let all = mean(&days.iter().collect::<Vec<_>>());
        let (low, high) = support::recorded::bootstrap(&days, mean);
        let calm = days.iter().filter(|day| **day == 0.0).count();
        println!(
            "well, {worn:?}: {calm} of {people} days without any; {all:.2} alerts a patient-day (95 %: {low:.2}-{high:.2}; aim 0.5) {by:?}"
        );
        let planted = [
            Planted::Hypoxia,
            Planted::Fast,
            Planted::Slow,
            Planted::Fibrillation,
        ];
        for planted in planted {
            if worn == Worn::Watch && planted == Planted::Fibrillation {
                continue;
            }
            let (mut found, mut waits) = (0, Vec::new());
            for seed in 0..people {
                let mut life = Life::new(10_000 + seed, worn, planted);
                let (begin, end) = (life.begin, life.begin + life.lasts() + 120);
                let condition = life.condition();
                let raised = live(&mut life);
                // One that stood already is no miss: nobody is told twice.
                let mut stood = raised.iter().filter(|told| {
                    Some(told.condition) == condition && told.from < end && told.to > begin
                });
                if let Some(told) = stood.next() {
                    found += 1;
                    waits.push(told.from.saturating_sub(begin));
                }
            }
            waits.sort_unstable();
            let (low, high) = wilson(found, people);
            println!(
                "  planted {planted:?}: {found} of {people} found (95 %: {low:.1}-{high:.1} %), half within {} s, last {} s",
                waits.get(waits.len() / 2).unwrap_or(&0),
                waits.last().unwrap_or(&0)
            );
        }
    }
}
