//! Whole days of simulated lives through the whole fold: how often people who are well are alarmed about, and whether events
//! that were planted are missed. A strap with intervals, an oximeter, a watch that measures each minute and counts steps, a
//! thermometer and a cuff; movement, artefacts that the sensor does not notice, ectopic beats, walks and stairs, loose contact.
//!
//! Simple on purpose, and not the project's patient simulator. The bodies are those of before any rule was changed for them. A
//! nurse takes notice of every alert three minutes after she is called.

use std::collections::BTreeMap;

use twin::{Change, Condition};
use vitals::Kind;

use super::support::Chance;
use super::support::fold::{Fold, Told, at, seconds};
use super::{Aim, Figure, Section, Wanted};

const DAY: usize = 86_400;

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
    /// Saturation falls to 84 % on a walk of more than an hour.
    HypoxiaWalking,
    /// 165/min on the same walk.
    FastWalking,
    /// Pulse, respiration and saturation go wrong together within an hour, and stay so for three: 118/min, 24/min, 93 %.
    Ill,
    /// The same in somebody who walks about for the first hour and a quarter of it.
    IllWalking,
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

impl Planted {
    fn walks(self) -> bool {
        matches!(
            self,
            Self::HypoxiaWalking | Self::FastWalking | Self::IllWalking
        )
    }
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
        // A planted event comes to somebody who rests, or who walks through all of it.
        if planted != Planted::Nothing {
            moves.retain(|(from, to, _)| *to < begin - 600 || *from > begin + 4800);
        }
        if planted.walks() {
            moves.push((begin - 300, begin + 4500, 25.0));
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
            Planted::Hypoxia | Planted::HypoxiaWalking => 2400,
            Planted::Fast | Planted::FastWalking => 600,
            Planted::Ill | Planted::IllWalking => 10_800,
            Planted::Slow => 300,
            Planted::Fibrillation => 3600,
        }
    }

    fn condition(&self) -> Option<Condition> {
        match self.planted {
            Planted::Nothing => None,
            Planted::Hypoxia | Planted::HypoxiaWalking => Some(Condition::OxygenSaturationLow),
            Planted::Fast | Planted::FastWalking => Some(Condition::HeartRateHigh),
            Planted::Ill | Planted::IllWalking => Some(Condition::EarlyWarningScore),
            Planted::Slow => Some(Condition::HeartRateLow),
            Planted::Fibrillation => Some(Condition::AtrialFibrillation),
        }
    }
}

/// Runs some days, each like the first but for chance; what is planted is planted in the last one.
fn live(life: &mut Life, days: usize) -> Vec<Told> {
    let mut fold = Fold::new(at(0.0));
    let (mut heart, mut air) = (0.0, 0.0);
    let (mut artefact, mut gap) = ((0_usize, 0.0), 0_usize);
    let (mut beat, mut early) = (0.0_f64, false);
    let lasts = life.lasts();
    let begin = life.begin + (days - 1) * DAY;
    let mut nurse: Vec<(usize, twin::AlertId)> = Vec::new();
    for second in 0..days * DAY {
        let of_day = second % DAY;
        let chance = &mut life.chance;
        let night = !(23_000..80_000).contains(&of_day);
        // Wander of some minutes.
        heart += -heart / 300.0 + 4.0 * (2.0_f64 / 300.0).sqrt() * chance.normal();
        air += -air / 600.0 + 0.5 * (2.0_f64 / 600.0).sqrt() * chance.normal();
        let moved = life
            .moves
            .iter()
            .find(|(from, to, _)| (*from..*to + 60).contains(&of_day));
        let effort = moved.map_or(0.0, |(from, to, by)| {
            let up = ((of_day - from) as f64 / 30.0).min(1.0);
            let down = of_day.saturating_sub(*to) as f64 / 60.0;
            by * up * (1.0 - down).max(0.0)
        });
        let mut rate = life.rest + heart + effort - if night { 6.0 } else { 0.0 };
        let mut oxygen = life.saturation + air - if night { 0.6 } else { 0.0 };
        let into = second.checked_sub(begin).filter(|into| *into < lasts);
        let (mut disorder, mut breath) = (false, 14.0 + effort / 6.0);
        if let Some(into) = into {
            match life.planted {
                Planted::Nothing => {}
                Planted::Hypoxia | Planted::HypoxiaWalking => {
                    let part = (into as f64 / 1200.0).min(1.0);
                    oxygen += part * (84.0 - life.saturation);
                }
                Planted::Fast | Planted::FastWalking => rate = 165.0 + heart,
                Planted::Ill | Planted::IllWalking => {
                    let part = (into as f64 / 3600.0).min(1.0);
                    rate += part * (118.0 - life.rest - effort).max(0.0);
                    breath += part * (24.0 - breath).max(0.0);
                    oxygen += part * (93.0 - life.saturation);
                }
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
        let now = at(second as f64);
        let told = (oxygen.min(100.0) + 0.5 * chance.normal() - off)
            .clamp(50.0, 100.0)
            .round();
        match life.worn {
            Worn::Strap if gap == 0 => {
                let doubled = if off > 12.0 { 1.5 } else { 1.0 };
                fold.put(
                    1,
                    Kind::HeartRate,
                    now,
                    (rate * doubled + 0.7 * chance.normal()).round(),
                );
                while beat <= second as f64 {
                    let usual = 60.0 / rate;
                    let sway = 0.03 * libm::sin(1.6 * beat);
                    let factor = if disorder {
                        0.7 + 0.6 * chance.uniform()
                    } else if early {
                        1.35
                    } else if chance.uniform() < life.ectopic {
                        0.65
                    } else {
                        1.0 + sway + 0.012 * chance.normal()
                    };
                    early = !disorder && !early && factor == 0.65;
                    beat += usual * factor;
                    let end = at(beat);
                    fold.put(1, Kind::RrInterval, end.min(now), usual * factor * 1000.0);
                }
                if second % 5 == 0 {
                    fold.put(2, Kind::OxygenSaturation, now, told);
                }
            }
            Worn::Watch if second % 60 == 17 && gap == 0 => {
                fold.put(
                    4,
                    Kind::HeartRate,
                    now,
                    (rate + 2.0 * chance.normal()).round(),
                );
                fold.put(4, Kind::OxygenSaturation, now, told);
            }
            Worn::Strap | Worn::Watch => beat = beat.max(second as f64),
        }
        if second % 60 == 30 {
            fold.put(
                1,
                Kind::RespiratoryRate,
                now,
                (breath + chance.normal()).round(),
            );
        }
        if life.worn == Worn::Watch && second % 60 == 0 {
            fold.put(
                4,
                Kind::StepsTaken,
                now,
                if effort > 10.0 { 105.0 } else { 0.0 },
            );
        }
        if second % 14_400 == 600 {
            fold.put(3, Kind::BodyTemperature, now, 36.7 + 0.2 * chance.normal());
        }
        if second % 28_800 == 900 {
            fold.put(
                5,
                Kind::SystolicPressure,
                now,
                (124.0 + 8.0 * chance.normal()).round(),
            );
        }
        fold.send(now);
        let called = fold.changes().filter(|change| {
            change.alert.calls.since == Some(change.at) && change.what != Change::Resolved
        });
        nurse.extend(called.map(|change| (second + 180, change.alert.id)));
        nurse.retain(|(due, alert)| {
            if *due == second {
                fold.notice(*alert, now);
            }
            *due > second
        });
    }
    fold.told
}

/// What is planted, and what it is called.
const PLANTED: [(Planted, &str); 8] = [
    (Planted::Hypoxia, "saturation falls to 84 %"),
    (Planted::Fast, "165/min at rest"),
    (Planted::Slow, "32/min"),
    (Planted::Fibrillation, "fibrillation"),
    (
        Planted::HypoxiaWalking,
        "saturation falls to 84 % on a walk",
    ),
    (Planted::FastWalking, "165/min on a walk"),
    (Planted::Ill, "pulse, respiration, saturation together"),
    (Planted::IllWalking, "the same in somebody who walks"),
];

pub(super) fn report(wanted: &Wanted) -> Vec<Section> {
    let people = wanted.people;
    let mut sections = Vec::new();
    for (worn, name) in [(Worn::Strap, "a strap"), (Worn::Watch, "a watch")] {
        let mut section = Section::new(
            format!("All rules together, on simulated lives: {name}"),
            format!(
                "{people} people a line, a day each, and for those who are well also the last of seven days of {} people.",
                learned(people)
            ),
        );
        well(&mut section, people, worn, 1);
        well(&mut section, learned(people), worn, 7);
        for (planted, what) in PLANTED {
            if worn == Worn::Strap || planted != Planted::Fibrillation {
                find(&mut section, people, worn, planted, what);
            }
        }
        sections.push(section);
    }
    sections
}

fn learned(people: u64) -> u64 {
    (people / 4).max(1)
}

/// People who are well.
fn well(section: &mut Section, people: u64, worn: Worn, days: usize) {
    let last = at(((days - 1) * DAY) as f64);
    let mut by: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut alerts, mut calls) = (Vec::new(), Vec::new());
    for seed in 0..people {
        let told = live(&mut Life::new(seed + 1, worn, Planted::Nothing), days);
        let of_last: Vec<&Told> = told.iter().filter(|told| told.from >= last).collect();
        for told in &of_last {
            *by.entry(told.condition.name()).or_default() += 1;
        }
        alerts.push(of_last.len() as f64);
        calls.push(of_last.iter().map(|told| f64::from(told.calls)).sum());
    }
    let calm = alerts.iter().filter(|day| **day == 0.0).count() as u64;
    let day = if days == 1 {
        "first day"
    } else {
        "seventh day"
    };
    let by: Vec<String> = by
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let what = format!("well, {day}: alerts ({})", by.join(", "));
    section
        .figures
        .push(Figure::mean(what, &alerts, "a patient-day").aims(Aim::Most(0.5)));
    section.figures.push(Figure::mean(
        format!("well, {day}: calls of a nurse"),
        &calls,
        "a patient-day",
    ));
    section.figures.push(Figure::share(
        format!("well, {day}: days without any"),
        calm,
        people,
    ));
}

/// People to whom something happens.
fn find(section: &mut Section, people: u64, worn: Worn, planted: Planted, what: &str) {
    let (mut found, mut waits) = (0, Vec::new());
    for seed in 0..people {
        let mut life = Life::new(10_000 + seed, worn, planted);
        let (begin, end) = (life.begin as f64, (life.begin + life.lasts() + 120) as f64);
        let condition = life.condition();
        let told = live(&mut life, 1);
        // One that stood already is no miss: nobody is told twice.
        let mut stood = told.iter().filter(|told| {
            Some(told.condition) == condition && told.from < at(end) && told.to > at(begin)
        });
        if let Some(told) = stood.next() {
            found += 1;
            waits.push((seconds(told.from) - begin).max(0.0));
        }
    }
    section
        .figures
        .push(Figure::share(format!("found: {what}"), found, people).aims(Aim::Least(100.0)));
    if !waits.is_empty() {
        section
            .figures
            .push(Figure::mean(format!("told after: {what}"), &waits, "s"));
    }
}
