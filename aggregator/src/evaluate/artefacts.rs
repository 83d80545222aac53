//! What sensors do wrong, planted into simulated people who are well, and into people to whom something happens meanwhile: is
//! nobody told of an artefact, and is what happens not missed behind one? The score is the share of trials that went right;
//! a test holds it.
//!
//! What is scored is whether people are told of the body, and of what is done to the sensors where that is the case itself. A low under
//! pressure that passes 54 mg/dL rings by intent, and is scored as wrong all the same.

use twin::{Change, Condition, Priority};
use vitals::gatt::Decimal;
use vitals::{Absence, Kind, Quality, SourceId, Span, Time, Wave, Waveform};

use super::support::fold::{Fold, at};
use super::support::{Chance, electric};
use super::{Aim, Figure, Section, Wanted};

/// What is aimed at, and what a change may not fall below: per cent of all trials.
pub(super) const AIM: f64 = 100.0;

type Trial = fn(&mut Chance) -> bool;

/// What is planted, and whether a trial went right.
const CASES: [(&str, Trial); 18] = [
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
    ("sugar that truly falls below 70 in the night", slow_low),
    (
        "sugar that falls below 54 as fast as under pressure",
        deep_low,
    ),
    ("another wearer, after the sensors were off", |c| {
        wearers(c, Some(&Body::unlike)).0
    }),
    ("the same wearer, after the sensors were off", |c| {
        wearers(c, None).0
    }),
];

pub(super) fn report(wanted: &Wanted) -> Vec<Section> {
    let trials = (wanted.people / 5).clamp(3, 20);
    vec![bench(trials), pairs(wanted.people)]
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

/// A night whose sugar goes down by 1.5 mg/dL a minute to 62: told as a low within a quarter of an hour, as ever.
fn slow_low(chance: &mut Chance) -> bool {
    let mut fold = Fold::new(at(0.0));
    let level = 112.0 + 8.0 * chance.normal();
    let mut crossed = None;
    for slot in 0..84 {
        let value =
            (level - 7.5 * (f64::from(slot) - 50.0).max(0.0)).max(62.0) + 2.0 * chance.normal();
        let now = at(f64::from(slot) * 300.0);
        if value < 70.0 {
            crossed.get_or_insert(now);
        }
        fold.put(1, Kind::InterstitialGlucose, now, value);
        fold.send(now);
    }
    let low = fold.of(Condition::GlucoseLow).next();
    low.zip(crossed)
        .is_some_and(|(low, crossed)| low.from.since(crossed) <= Span::from_mins(15))
}

/// Whatever made it fall: below 54 rings with the reading that is.
fn deep_low(chance: &mut Chance) -> bool {
    let mut fold = Fold::new(at(0.0));
    let level = 100.0 + 5.0 * chance.normal();
    for slot in 0..60 {
        let value = if slot < 50 {
            level + 2.0 * chance.normal()
        } else {
            48.0
        };
        let now = at(f64::from(slot) * 300.0);
        fold.put(1, Kind::InterstitialGlucose, now, value);
        fold.send(now);
    }
    let low = fold.of(Condition::GlucoseLow).next();
    low.is_some_and(|low| low.priority == Priority::High && low.from == at(50.0 * 300.0))
}

/// What is each person's own: pulse and respiration at night, saturation, variation of the beats (logarithm, ms).
#[derive(Clone, Copy)]
struct Body([f64; 4]);

impl Body {
    /// Of adults, as far as they differ.
    fn any(chance: &mut Chance) -> Self {
        let drawn = [(60.0, 8.0), (15.0, 2.0), (96.8, 0.8), (3.4, 0.45)];
        Self(drawn.map(|(mean, deviation)| mean + deviation * chance.normal().clamp(-2.0, 2.0)))
    }

    /// Somebody who is much unlike: a grandchild with the watch of a grandmother.
    fn unlike(&self, _: &mut Chance) -> Self {
        let Self([pulse, respiration, saturation, beats]) = *self;
        Self([
            pulse + 22.0,
            respiration + 5.0,
            saturation - 1.5,
            beats + 0.8,
        ])
    }

    /// Anybody.
    fn other(&self, chance: &mut Chance) -> Self {
        Self::any(chance)
    }
}

type Swap<'s> = &'s dyn Fn(&Body, &mut Chance) -> Body;

/// Three days of somebody who takes the sensors off for 40 min twice a day; after the last time perhaps somebody else has them. Each
/// figure wanders by itself within the day, and by day pulse and respiration are higher. Whether all went right (told
/// within two hours of the swap, never before it and never without one), and how often it was told without a reason.
fn wearers(chance: &mut Chance, swap: Option<Swap<'_>>) -> (bool, u64) {
    let mut fold = Fold::new(at(0.0));
    let own = Body::any(chance);
    let other = swap.map(|swap| swap(&own, chance));
    let (begin, end) = (66 * 60, 69 * 60);
    let mut wander = [0.0; 4];
    let (mut noticed, mut without_reason) = (false, 0);
    for minute in 0..end {
        for (of, size) in wander.iter_mut().zip([4.0, 1.0, 0.4, 0.2]) {
            *of = 0.97 * *of + 0.243 * size * chance.normal();
        }
        let (day, off) = (minute % 1440 >= 420, [380..420, 1140..1180]);
        if off.iter().any(|off| off.contains(&(minute % 1440)))
            || (begin - 40..begin).contains(&minute)
        {
            continue;
        }
        let Body(of) = other.filter(|_| minute >= begin).unwrap_or(own);
        let now = at(f64::from(minute) * 60.0);
        let (faster, deeper) = if day { (12.0, 2.0) } else { (0.0, 0.0) };
        let pulse = of[0] + faster + wander[0] + 1.5 * chance.normal();
        fold.put(1, Kind::HeartRate, now, pulse.round());
        fold.put(
            1,
            Kind::RespiratoryRate,
            now,
            (of[1] + deeper + wander[1] + 0.7 * chance.normal()).round(),
        );
        let air = of[2] + wander[2] + 0.5 * chance.normal();
        fold.put(2, Kind::OxygenSaturation, now, air.round().min(100.0));
        // A minute of beats in each five.
        let beats = if minute % 5 == 1 { 40 } else { 0 };
        let size = libm::exp(of[3] + wander[3]) / core::f64::consts::SQRT_2;
        for beat in 0..beats {
            let interval = 60_000.0 / pulse.max(40.0);
            let then = at(f64::from(minute) * 60.0 + f64::from(beat) * interval / 1000.0);
            fold.put(
                1,
                Kind::RrInterval,
                then,
                (interval + size * chance.normal()).max(300.0),
            );
        }
        fold.send(at(f64::from(minute) * 60.0 + 59.0));
        let told = fold.changes().filter(|change| {
            change.what == Change::Raised && change.alert.condition == Condition::AnotherWearer
        });
        let told = told.count() as u64;
        if other.is_some() && minute >= begin {
            noticed |= told > 0 && minute < begin + 120;
        } else {
            without_reason += told;
        }
    }
    (
        noticed == other.is_some() && without_reason == 0,
        without_reason,
    )
}

/// Sensors that go to anybody else, and that come back to the same person: what is found, and what is told without a reason.
fn pairs(people: u64) -> Section {
    let mut section = Section::new(
        "Another wearer: simulated",
        "Three days each. Who takes over the sensors is drawn from the same people, so many are alike: that those are not found is no fault of the figures.",
    );
    let (mut found, mut without_reason) = (0, 0);
    for n in 0..people {
        let swapped = wearers(&mut Chance(870_000 + n), Some(&Body::other));
        let same = wearers(&mut Chance(880_000 + n), None);
        found += u64::from(swapped.0);
        without_reason += swapped.1 + same.1;
    }
    section.figures = vec![
        Figure::share("noticed within two hours, anybody else", found, people),
        // 13 or 14 times each.
        Figure::share(
            "told without a reason, of all times that somebody put them on again",
            without_reason,
            people * 13,
        ),
    ];
    section
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
