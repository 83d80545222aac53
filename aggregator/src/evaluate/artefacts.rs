//! What sensors do wrong, planted into simulated people who are well, and into people to whom something happens meanwhile: is
//! nobody told of an artefact, and is what happens not missed behind one? The score is the share of trials that went right;
//! a test holds it.
//!
//! What is scored is whether people are told of the body. That a device changed its wearer is noticed by nothing yet.

use twin::{Condition, Priority};
use vitals::gatt::Decimal;
use vitals::{Absence, Kind, Quality, SourceId, Time, Wave, Waveform};

use super::support::fold::{Fold, at};
use super::support::{Chance, electric};
use super::{Aim, Figure, Section, Wanted};

/// What is aimed at, and what a change may not fall below: per cent of all trials.
pub(super) const AIM: f64 = 100.0;

type Trial = fn(&mut Chance) -> bool;

/// What is planted, and whether a trial went right.
const CASES: [(&str, Trial); 14] = [
    ("no number in three readings of ten, and well", |c| {
        calm(c, &missing)
    }),
    ("no number in three of ten while saturation falls", |c| {
        found(c, &missing)
    }),
    ("a heart rate that stays the same to the digit", stuck_rate),
    ("an electrocardiogram that goes flat", |c| {
        electrode(c, Noise::Flat, false)
    }),
    ("a probe that slips and then is off", |c| calm(c, &slips)),
    ("movement every two minutes, and well", |c| calm(c, &moves)),
    ("movement every two minutes while saturation falls", |c| {
        found(c, &moves)
    }),
    ("muscle noise on a sinus rhythm", |c| {
        electrode(c, Noise::Muscle, false)
    }),
    ("muscle noise on fibrillation", |c| {
        electrode(c, Noise::Muscle, true)
    }),
    ("a glucose sensor that is lain upon", compression),
    ("another wearer, who is well", |c| calm(c, &swapped)),
    ("a clock two hours ahead, with low readings", clock_ahead),
    ("a clock that jumps back an hour", clock_back),
    ("one interval in 200 doubled", lost_beats),
];

pub(super) fn report(wanted: &Wanted) -> Vec<Section> {
    let trials = (wanted.people / 5).clamp(3, 20);
    vec![bench(trials)]
}

/// So many trials of each case.
pub(super) fn bench(trials: u64) -> Section {
    let mut section = Section::new(
        "Artefacts: simulated",
        "Each case planted into several people. Going wrong is an alert about the body where there is nothing, or none where there is something.",
    );
    let (mut right, mut all) = (0, 0);
    for (place, (name, trial)) in CASES.into_iter().enumerate() {
        let seed = |n: u64| Chance(800_000 + 1000 * place as u64 + n);
        let went_right = (0..trials).filter(|n| trial(&mut seed(*n))).count() as u64;
        (right, all) = (right + went_right, all + trials);
        section
            .figures
            .push(Figure::share(name, went_right, trials));
    }
    let score = Figure::share("score: trials that went right", right, all);
    section.figures.insert(0, score.aims(Aim::Least(AIM)));
    section
}

/// A second of somebody with a strap and an oximeter: what the sensors say.
type Spoil<'s> = &'s dyn Fn(&mut Chance, usize, (f64, f64)) -> (Option<f64>, Option<f64>);

/// Forty minutes; `falls`: the saturation falls to 84 % from the twentieth on.
fn person(chance: &mut Chance, spoil: Spoil<'_>, falls: bool) -> Fold {
    let mut fold = Fold::new(at(0.0));
    let (rate, oxygen) = (68.0 + 6.0 * chance.normal(), 96.8 + 0.5 * chance.normal());
    for second in 0..2400 {
        let now = at(second as f64);
        let part = if falls {
            ((second as f64 - 1200.0) / 300.0).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let truth = (
            rate + chance.normal(),
            oxygen - 12.8 * part + 0.4 * chance.normal(),
        );
        let (heart, air) = spoil(chance, second, truth);
        match heart {
            Some(heart) => fold.put(1, Kind::HeartRate, now, heart.round()),
            None => fold.put_absent(1, Kind::HeartRate, now, Absence::NotANumber),
        }
        match air {
            Some(air) => fold.put(
                2,
                Kind::OxygenSaturation,
                now,
                air.round().clamp(0.0, 100.0),
            ),
            None => fold.put_absent(2, Kind::OxygenSaturation, now, Absence::NoContact),
        }
        fold.send(now);
    }
    fold
}

fn calm(chance: &mut Chance, spoil: Spoil<'_>) -> bool {
    person(chance, spoil, false).told.is_empty()
}

/// Told as urgent, and not before it began.
fn found(chance: &mut Chance, spoil: Spoil<'_>) -> bool {
    let fold = person(chance, spoil, true);
    let low = Condition::OxygenSaturationLow;
    let told = fold.of(low).any(|told| told.priority == Priority::High);
    told && fold.told.iter().all(|told| told.from >= at(1200.0))
}

fn missing(chance: &mut Chance, _: usize, (heart, air): (f64, f64)) -> (Option<f64>, Option<f64>) {
    let heart = (chance.uniform() >= 0.3).then_some(heart);
    (heart, (chance.uniform() >= 0.3).then_some(air))
}

/// Low for twenty seconds, then nothing, and again after ten minutes.
fn slips(
    chance: &mut Chance,
    second: usize,
    (heart, air): (f64, f64),
) -> (Option<f64>, Option<f64>) {
    let air = match second % 600 {
        300..320 => Some(70.0 + 5.0 * chance.normal()),
        320..420 => None,
        _ => Some(air),
    };
    (Some(heart), air)
}

/// Fifteen seconds of every two minutes.
fn moves(
    chance: &mut Chance,
    second: usize,
    (heart, air): (f64, f64),
) -> (Option<f64>, Option<f64>) {
    if second % 120 < 15 {
        let jump = 40.0 + 10.0 * chance.normal();
        return (
            Some(heart + 1.5 * jump),
            Some(air - 8.0 - 4.0 * chance.uniform()),
        );
    }
    (Some(heart), Some(air))
}

fn swapped(_: &mut Chance, second: usize, (heart, air): (f64, f64)) -> (Option<f64>, Option<f64>) {
    if second < 1200 {
        (Some(heart), Some(air))
    } else {
        (Some(heart + 22.0), Some(air - 1.5))
    }
}

fn stuck_rate(chance: &mut Chance) -> bool {
    let stuck = 60.0 + 30.0 * chance.uniform();
    calm(chance, &|_, _, (_, air)| (Some(stuck), Some(air)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Noise {
    Flat,
    Muscle,
}

/// Ten minutes of an electrocardiogram at 130 Hz.
fn electrode(chance: &mut Chance, noise: Noise, fibrillates: bool) -> bool {
    let truth = electric::beats(chance, 600.0, fibrillates);
    let mut signal = electric::signal(chance, &truth, 600.0, 130.0);
    match noise {
        Noise::Muscle => {
            electric::bursts(chance, &mut signal, 130.0, (20.0, 120.0));
        }
        Noise::Flat => signal[300 * 130..420 * 130].fill(0.0),
    }
    let mut fold = Fold::new(at(0.0));
    for (number, samples) in (0..).zip(signal.chunks(73)) {
        fold.block(Waveform {
            wave: Wave::Ecg,
            source: SourceId(1),
            sequence: number,
            start: at(number as f64 * 73.0 / 130.0),
            received: Time::ZERO,
            rate_millihertz: 130_000,
            channels: 1,
            step: Decimal {
                mantissa: 1,
                exponent: 0,
            },
            numbers: samples.iter().map(|value| value.round() as i32).collect(),
            quality: Quality::GOOD,
        });
    }
    let af = fold.of(Condition::AtrialFibrillation).next().is_some();
    if fibrillates {
        af
    } else {
        fold.told.is_empty()
    }
}

/// A night at 105 mg/dL; from the fourth hour on it is lain upon for 20 minutes: 45 less, quickly there and back.
fn compression(chance: &mut Chance) -> bool {
    let mut fold = Fold::new(at(0.0));
    let level = 105.0 + 8.0 * chance.normal();
    for slot in 0..84 {
        let lain = (50..54).contains(&slot);
        let value = level + 2.0 * chance.normal() - if lain { 45.0 } else { 0.0 };
        let now = at(f64::from(slot) * 300.0);
        fold.put(1, Kind::InterstitialGlucose, now, value);
        fold.send(now);
    }
    fold.told.is_empty()
}

/// Stamped two hours ahead: set aside, and told as what it is.
fn clock_ahead(chance: &mut Chance) -> bool {
    let mut fold = Fold::new(at(0.0));
    for second in 0..1200 {
        let known = at(f64::from(second));
        let stamp = at(f64::from(second) + 7200.0);
        fold.put(
            2,
            Kind::OxygenSaturation,
            stamp,
            (85.0 + chance.normal()).round(),
        );
        fold.send(known);
    }
    let told = fold.twin.alerts();
    let is_clock = told
        .iter()
        .any(|alert| alert.condition == Condition::ClockWrong);
    fold.told.is_empty() && is_clock
}

fn clock_back(chance: &mut Chance) -> bool {
    let mut fold = Fold::new(at(0.0));
    for second in 3600..6000 {
        let known = at(f64::from(second));
        let jumped = f64::from(second) - if second > 4800 { 3600.0 } else { 0.0 };
        let air = (96.5 + 0.5 * chance.normal()).round();
        fold.put(2, Kind::OxygenSaturation, at(jumped), air);
        fold.put(
            1,
            Kind::HeartRate,
            at(jumped),
            (66.0 + 2.0 * chance.normal()).round(),
        );
        fold.send(known);
    }
    fold.told.is_empty()
}

fn lost_beats(chance: &mut Chance) -> bool {
    let mut fold = Fold::new(at(0.0));
    let mut now = 0.0;
    while now < 3600.0 {
        let double = if chance.uniform() < 0.005 { 2.0 } else { 1.0 };
        let interval =
            0.95 * double * (1.0 + 0.03 * libm::sin(1.6 * now) + 0.012 * chance.normal());
        now += interval;
        fold.put(1, Kind::RrInterval, at(now), interval * 1000.0);
        fold.send(at(now));
    }
    fold.told.is_empty()
}
