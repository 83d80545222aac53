//! The models that watch for one thing each, on simulated cohorts through the whole fold, each beside a trivial rule on the same
//! people. The cohorts are as simple as they sound, and no open recording of any of these events was at hand: none of this
//! validates a model on people; it says whether a model is worth more than a line of code.

use twin::Condition;
use twin::facts::FactKind;
use vitals::Kind;

use super::support::Chance;
use super::support::fold::{Fold, at, seconds};
use super::support::moved::{Moved, RATE, UPRIGHT};
use super::{Figure, Section, Wanted};

const DAY: f64 = 86_400.0;

/// What became of one simulated person.
struct Lived {
    /// When the event began and ended, seconds; none: this one is well.
    event: Option<(f64, f64)>,
    /// Seconds at which the model told, and the trivial rule.
    model: Vec<f64>,
    trivial: Vec<f64>,
    days: f64,
}

pub(super) fn report(wanted: &Wanted) -> Vec<Section> {
    let people = wanted.people.clamp(10, 60);
    let cohort = |seed: u64, of: fn(&mut Chance, bool) -> Lived| {
        let one = move |n: u64| of(&mut Chance(seed + n), n.is_multiple_of(2));
        (0..2 * people).map(one).collect::<Vec<_>>()
    };
    vec![
        section(
            "Pause of the heart",
            "Six hours of intervals, hearts of 38 to 80/min, one beat in 1,000 not found; half have pauses of 3.2 to 7 s, one after the other.",
            "an interval of 3 s",
            &cohort(510_000, pause),
        ),
        section(
            "Shock index",
            "Ten days of three cuffs a day; every fifth lives near 0.85; half bleed on the tenth day, the index half as high again.",
            "0.9 and more",
            &cohort(520_000, shock),
        ),
        section(
            "Fever",
            "Ten days of four readings a day, three in ten on the skin, one in 30 with a hot drink; half are ill for two days.",
            "a reading of 38",
            &cohort(530_000, fever),
        ),
        section(
            "Illness by resting heart rate (NightSignal)",
            "Three weeks; three in ten sleep restlessly, one night in 20 is a feast; half are ill from day 15 for five days.",
            "4/min more, one day",
            &cohort(540_000, illness),
        ),
        section(
            "Heart failure that decompensates",
            "Sixty days of weight, heart rate, respiration, saturation, steps; half decompensate from day 40 within ten days, four in ten of them without gaining weight; heart failure is known.",
            "2 kg in 3 days",
            &cohort(550_000, heart_failure),
        ),
        section(
            "Breathing that gets worse",
            "Ten days of respiration, saturation and pulse each ten minutes; one in four lives with COPD (90 %, 22/min); half get worse from day 8 within twelve hours.",
            "25/min or 91 % in a half hour",
            &cohort(560_000, breathing),
        ),
        section(
            "Low blood pressure",
            "Nine days of three cuffs a day, one in four lives low (mean 76); then a cuff each 20 min for five hours, in which the mean of half of them falls by a third or more.",
            "a mean of 72 and less",
            &cohort(570_000, pressure),
        ),
        section(
            "Falls",
            "An hour of walks, runs, jumps, sitting down hard and dropping into bed at 50 Hz; half fall once, and one in four of these is up again within 15 s.",
            "an impact of 3 g",
            &cohort(590_000, fall),
        ),
    ]
}

fn section(title: &str, about: &str, trivial: &'static str, cohort: &[Lived]) -> Section {
    let mut section = Section::new(format!("{title}: simulated"), about);
    let with: Vec<&Lived> = cohort.iter().filter(|one| one.event.is_some()).collect();
    let first = |told: &[f64], (begin, end): (f64, f64)| {
        told.iter().copied().find(|at| (begin..=end).contains(at))
    };
    let found = |of: fn(&Lived) -> &[f64]| {
        let found = with.iter().filter_map(|one| first(of(one), one.event?));
        found.count() as u64
    };
    let (ours, theirs) = (found(|one| &one.model), found(|one| &one.trivial));
    let share = 100.0 * theirs as f64 / with.len().max(1) as f64;
    let sensitivity = Figure::share("events found", ours, with.len() as u64);
    section.figures.push(sensitivity.beside(trivial, share));
    let wrong = |of: fn(&Lived) -> &[f64]| {
        let one = |one: &Lived| {
            let inside = |at: &&f64| {
                one.event
                    .is_some_and(|(from, to)| (from..=to).contains(*at))
            };
            let told = of(one);
            (told.len() - told.iter().filter(inside).count()) as f64 / one.days
        };
        cohort.iter().map(one).collect::<Vec<f64>>()
    };
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let theirs = mean(&wrong(|one| &one.trivial));
    let ours = Figure::mean("false alerts", &wrong(|one| &one.model), "a patient-day");
    section.figures.push(ours.beside(trivial, theirs));
    let wait = |of: fn(&Lived) -> &[f64]| {
        let wait = |one: &&Lived| {
            let (begin, end) = one.event?;
            Some((first(of(one), (begin, end))? - begin) / 3600.0)
        };
        with.iter().filter_map(wait).collect::<Vec<f64>>()
    };
    let (ours, theirs) = (wait(|one| &one.model), wait(|one| &one.trivial));
    if !ours.is_empty() {
        let ours = Figure::mean("told after the begin", &ours, "h");
        section.figures.push(ours.beside(trivial, mean(&theirs)));
    }
    let well = cohort.iter().filter(|one| one.event.is_none());
    let calm = well.clone().filter(|one| one.model.is_empty()).count() as u64;
    let trivially = well.clone().filter(|one| one.trivial.is_empty()).count() as f64;
    let all = well.count() as u64;
    let figure = Figure::share("people who are well and are not told of", calm, all);
    section
        .figures
        .push(figure.beside(trivial, 100.0 * trivially / all.max(1) as f64));
    section
}

fn told(fold: &Fold, condition: Condition) -> Vec<f64> {
    fold.of(condition).map(|told| seconds(told.from)).collect()
}

fn pause(chance: &mut Chance, ill: bool) -> Lived {
    let mut fold = Fold::new(at(0.0));
    let length = 6.0 * 3600.0;
    let usual = 60.0 / (38.0 + 42.0 * chance.uniform());
    let begin = 3600.0 + 3.0 * 3600.0 * chance.uniform();
    let event = ill.then_some((begin, begin + 1800.0));
    let (mut now, mut trivial, mut pauses, mut lost) = (0.0, Vec::new(), 0, 0.0);
    while now < length {
        let mut interval = usual * (1.0 + 0.03 * libm::sin(1.6 * now) + 0.015 * chance.normal());
        let within = event.is_some_and(|(from, to)| (from..to).contains(&now));
        if within && pauses < 3 && now > begin + 300.0 * f64::from(pauses) {
            pauses += 1;
            interval = 3.2 + 3.8 * chance.uniform();
        }
        now += interval;
        if chance.uniform() < 0.001 {
            lost += interval;
            continue;
        }
        interval += std::mem::take(&mut lost);
        if interval >= 3.0 {
            trivial.push(now);
        }
        fold.put(1, Kind::RrInterval, at(now), interval * 1000.0);
        fold.send(at(now));
    }
    Lived {
        event,
        model: told(&fold, Condition::HeartPause),
        trivial,
        days: length / DAY,
    }
}

fn shock(chance: &mut Chance, ill: bool) -> Lived {
    let mut fold = Fold::new(at(0.0));
    let own = if chance.uniform() < 0.2 {
        0.85
    } else {
        0.58 + 0.06 * chance.normal()
    };
    let event = ill.then_some((9.0 * DAY, 10.0 * DAY));
    let mut trivial = Vec::new();
    for number in 0..30 {
        let now = f64::from(number) * 8.0 * 3600.0 + 1000.0;
        let bleeds = ill && number >= 27;
        let times = if bleeds {
            1.25 + 0.25 * f64::from((number - 27).min(1))
        } else {
            1.0
        };
        let index = (own + 0.05 * chance.normal()) * times;
        let systolic = (128.0 + 9.0 * chance.normal()) / if bleeds { 1.15 } else { 1.0 };
        let rate = (index * systolic).round();
        if rate / systolic.round() >= 0.9 {
            trivial.push(now);
        }
        fold.put(1, Kind::HeartRate, at(now), rate);
        fold.put(2, Kind::SystolicPressure, at(now), systolic.round());
        fold.send(at(now));
    }
    Lived {
        event,
        model: told(&fold, Condition::ShockIndexHigh),
        trivial,
        days: 10.0,
    }
}

fn fever(chance: &mut Chance, ill: bool) -> Lived {
    let mut fold = Fold::new(at(0.0));
    let skin = chance.uniform() < 0.3;
    let own = if skin { 34.6 } else { 36.5 } + 0.25 * chance.normal();
    let event = ill.then_some((6.0 * DAY, 8.5 * DAY));
    let mut trivial = Vec::new();
    for number in 0..40 {
        let now = f64::from(number) * 6.0 * 3600.0 + 1000.0;
        let day = 0.3 * libm::sin(core::f64::consts::TAU * now / DAY);
        let fever = if ill && (24..32).contains(&number) {
            1.9
        } else {
            0.0
        };
        let drink = if chance.uniform() < 0.033 { 1.5 } else { 0.0 };
        let celsius = own + day + fever + drink + 0.15 * chance.normal();
        if celsius >= 38.0 {
            trivial.push(now);
        }
        fold.put(3, Kind::BodyTemperature, at(now), celsius);
        fold.send(at(now));
    }
    Lived {
        event,
        model: told(&fold, Condition::Fever),
        trivial,
        days: 10.0,
    }
}

/// A day of a watch: asleep at `rest` for eight hours, faster for the others, a reading each three minutes.
fn day_of_a_watch(fold: &mut Fold, chance: &mut Chance, day: usize, rest: f64) {
    for slot in 0..480 {
        let now = at(day as f64 * DAY + f64::from(slot) * 180.0);
        let awake = if slot < 160 {
            0.0
        } else {
            18.0 + 6.0 * chance.normal()
        };
        fold.put(
            4,
            Kind::HeartRate,
            now,
            (rest + awake.max(0.0) + 2.0 * chance.normal()).round(),
        );
        fold.send(now);
    }
}

/// Days on which `value` is at least `limit` above the median of all days before, from the sixth on.
fn above_median(values: &[f64], limit: f64) -> Vec<f64> {
    let above = |day: &usize| {
        let mut before = values[..*day].to_vec();
        before.sort_by(f64::total_cmp);
        values[*day] - before[before.len() / 2] >= limit
    };
    let days = (5..values.len()).filter(above);
    days.map(|day| (day + 1) as f64 * DAY).collect()
}

fn illness(chance: &mut Chance, ill: bool) -> Lived {
    let mut fold = Fold::new(at(0.0));
    let own = 58.0 + 6.0 * chance.normal();
    let sway = if chance.uniform() < 0.3 { 3.5 } else { 1.3 };
    let more = 6.0 + 3.0 * chance.uniform();
    let mut rests = Vec::new();
    for day in 0..22 {
        let feast = if chance.uniform() < 0.05 { 6.0 } else { 0.0 };
        let sick = if ill && (15..20).contains(&day) {
            more
        } else {
            0.0
        };
        let rest = own + sway * chance.normal() + feast + sick;
        rests.push(rest);
        day_of_a_watch(&mut fold, chance, day, rest);
    }
    Lived {
        event: ill.then_some((15.0 * DAY, 21.5 * DAY)),
        model: told(&fold, Condition::RestingHeartRateRaised),
        trivial: above_median(&rests, 4.0),
        days: 22.0,
    }
}

fn heart_failure(chance: &mut Chance, ill: bool) -> Lived {
    let mut fold = Fold::new(at(0.0));
    let code = "http://hl7.org/fhir/sid/icd-10|I50.0";
    fold.fact(FactKind::Condition, code, at(0.0));
    let (own, breath) = (70.0 + 8.0 * chance.normal(), 16.0 + chance.normal());
    let (weight, walks) = (
        80.0 + 12.0 * chance.normal(),
        2500.0 + 2500.0 * chance.uniform(),
    );
    let gains = if chance.uniform() < 0.4 { 0.3 } else { 2.5 };
    let mut weights = Vec::new();
    for day in 0..60 {
        let part = if ill {
            ((day as f64 - 40.0) / 10.0).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let scale = weight + 0.5 * chance.normal() + gains * part;
        weights.push(scale);
        let rest = own + 1.8 * chance.normal() + 7.0 * part;
        day_of_a_watch(&mut fold, chance, day, rest);
        let evening = at(day as f64 * DAY + 79_000.0);
        let day_of = |chance: &mut Chance, level: f64, sway: f64| level + sway * chance.normal();
        fold.put(5, Kind::BodyWeight, evening, scale);
        fold.put(
            6,
            Kind::RespiratoryRate,
            evening,
            day_of(chance, breath, 0.8) + 3.5 * part,
        );
        fold.put(
            6,
            Kind::OxygenSaturation,
            evening,
            day_of(chance, 95.5, 0.6) - 2.0 * part,
        );
        let steps = (day_of(chance, walks, 0.3 * walks) * (1.0 - 0.45 * part)).max(0.0);
        fold.put(4, Kind::StepsTaken, evening, steps.round());
        fold.send(evening);
    }
    let heavier = |day: &usize| weights[*day] - weights[*day - 3] >= 2.0;
    let trivial = (3..60)
        .filter(heavier)
        .map(|day| day as f64 * DAY + 79_000.0);
    Lived {
        event: ill.then_some((40.0 * DAY, 55.0 * DAY)),
        model: told(&fold, Condition::HeartFailureDrift),
        trivial: trivial.collect(),
        days: 60.0,
    }
}

/// The begins of what holds without a break of `apart` seconds.
fn runs(times: Vec<f64>, apart: f64) -> Vec<f64> {
    let mut last = f64::NEG_INFINITY;
    let begins = |at: &f64| *at - std::mem::replace(&mut last, *at) > apart;
    times.into_iter().filter(begins).collect()
}

fn breathing(chance: &mut Chance, ill: bool) -> Lived {
    let mut fold = Fold::new(at(0.0));
    let copd = chance.uniform() < 0.25;
    let mut own = [15.5 + chance.normal(), 96.5 + 0.5 * chance.normal(), 70.0];
    own[2] += 8.0 * chance.normal();
    if copd {
        (own[0], own[1]) = (22.0 + 0.7 * chance.normal(), 90.0 + 0.7 * chance.normal());
    }
    let (begin, much) = (7.2 * DAY, 0.6 + 0.6 * chance.uniform());
    let (mut trivial, mut wander, mut half_hour) = (Vec::new(), [0.0; 3], Vec::new());
    for slot in 0..1440 {
        let now = f64::from(slot) * 600.0;
        let awake = if now % DAY < 8.0 * 3600.0 { 0.0 } else { 1.0 };
        let part = if ill {
            ((now - begin) / (0.5 * DAY)).clamp(0.0, 1.0) * much
        } else {
            0.0
        };
        let mut values = [0.0; 3];
        let of = [(1.5, 7.0, 0.8), (0.3, -5.0, 0.5), (12.0, 16.0, 3.0)];
        for (place, (by_day, worse, sway)) in of.into_iter().enumerate() {
            wander[place] = 0.95 * wander[place] + 0.31 * sway * chance.normal();
            let noise = 0.5 * sway * chance.normal();
            values[place] = own[place] + by_day * awake + worse * part + wander[place] + noise;
        }
        half_hour.push(values);
        if half_hour.len() == 3 {
            let mean = |place: usize| half_hour.iter().map(|of| of[place]).sum::<f64>() / 3.0;
            if mean(0) >= 25.0 || mean(1) <= 91.0 {
                trivial.push(now);
            }
            half_hour.clear();
        }
        fold.put(6, Kind::RespiratoryRate, at(now), values[0].round());
        fold.put(
            2,
            Kind::OxygenSaturation,
            at(now),
            values[1].min(100.0).round(),
        );
        fold.put(1, Kind::HeartRate, at(now), values[2].round());
        fold.send(at(now));
    }
    Lived {
        event: ill.then_some((begin, begin + 1.5 * DAY)),
        model: told(&fold, Condition::BreathingDrift),
        trivial: runs(trivial, 2.0 * 3600.0),
        days: 10.0,
    }
}

fn pressure(chance: &mut Chance, ill: bool) -> Lived {
    let mut fold = Fold::new(at(0.0));
    let low = chance.uniform() < 0.25;
    let own = if low {
        76.0 + 2.0 * chance.normal()
    } else {
        94.0 + 6.0 * chance.normal()
    };
    let (begin, much) = (9.0 * DAY + 3600.0, 0.33 + 0.15 * chance.uniform());
    let rare = (0..27).map(|number| f64::from(number) * 8.0 * 3600.0);
    let often = (0..16).map(|number| 9.0 * DAY + f64::from(number) * 1200.0);
    let (mut trivial, mut event) = (Vec::new(), None);
    for now in rare.chain(often) {
        let part = if ill {
            ((now - begin) / 7200.0).clamp(0.0, 1.0) * much
        } else {
            0.0
        };
        let truth = own * (1.0 - part);
        // The event itself is a true mean below 65 mmHg; what is told in the half hour before is in time.
        if event.is_none() && truth < 65.0 {
            event = Some((now - 3600.0, 10.0 * DAY));
        }
        let mean = truth + 4.0 * chance.normal();
        if mean <= 72.0 {
            trivial.push(now);
        }
        let pulse_pressure = 0.45 * mean;
        let (diastolic, systolic) = (
            mean - pulse_pressure / 3.0,
            mean + 2.0 * pulse_pressure / 3.0,
        );
        fold.put(2, Kind::SystolicPressure, at(now), systolic.round());
        fold.put(2, Kind::DiastolicPressure, at(now), diastolic.round());
        fold.send(at(now));
    }
    Lived {
        event,
        model: told(&fold, Condition::BloodPressureLow),
        trivial: runs(trivial, 3600.0),
        days: 9.2,
    }
}

fn fall(chance: &mut Chance, ill: bool) -> Lived {
    let mut moved = Moved::default();
    let length = 3600.0;
    let (when, mut event) = (600.0 + 2400.0 * chance.uniform(), None);
    moved.rest(chance, UPRIGHT, 10.0);
    while moved.seconds() < length {
        if ill && event.is_none() && moved.seconds() > when {
            moved.busy(chance, UPRIGHT, 10.0);
            let begin = moved.seconds();
            let after = moved.fall(chance);
            let (gets_up, lies) = (chance.uniform() < 0.25, 5.0 + 10.0 * chance.uniform());
            if gets_up {
                moved.busy(chance, after, lies);
            } else {
                moved.rest(chance, after, 120.0);
            }
            event = Some((begin, begin + 120.0));
        }
        moved.live(chance);
    }
    let mut fold = Fold::new(at(0.0));
    moved
        .blocks(at(0.0))
        .into_iter()
        .for_each(|block| fold.block(block));
    let hard = |(sample, axes): (usize, &[i32])| {
        let square: f64 = axes.iter().map(|of| f64::from(*of) * f64::from(*of)).sum();
        (square.sqrt() >= 3000.0).then(|| sample as f64 / RATE as f64)
    };
    let hard = moved.numbers.chunks_exact(3).enumerate().filter_map(hard);
    Lived {
        event,
        model: told(&fold, Condition::Fall),
        trivial: runs(hard.collect(), 5.0),
        days: moved.seconds() / DAY,
    }
}
