//! Glucose through the whole fold, reading by reading: errors at 30 and 60 minutes beside persistence and an autoregression
//! learned online (recursive least squares, twelve lags), coverage of the intervals pooled and of the worst person, and lows and
//! highs foreseen beside trivial rules (`foretold`). The last 40 % of each person's time counts, the first 60 % only teaches.

mod foretold;

use std::collections::BTreeMap;

use vitals::{Kind, Span, Time};

use super::support::Chance;
use super::support::fold::{Fold, ZERO};
use super::support::recorded::bootstrap;
use super::{Aim, Figure, Section, Wanted, page};
use foretold::{Foretold, Seen};

const KIND: Kind = Kind::InterstitialGlucose;
const MINUTES: [i64; 2] = [30, 60];
/// Of the online autoregression that is the baseline.
const LAGS: usize = 12;

/// One horizon of one person.
#[derive(Clone, Copy, Default)]
struct Errors {
    model: f64,
    persistence: f64,
    regression: f64,
    inside: f64,
    width: f64,
    count: f64,
}

/// One person.
#[derive(Default)]
struct Person {
    errors: [Errors; 2],
    foretold: Vec<Foretold>,
    /// Hours, truth; and hours, mean, low and high of the forecast half an hour before.
    truth: Vec<(f64, f64)>,
    made: Vec<(f64, f64, f64, f64)>,
}

/// Autoregression on the last values by recursive least squares, one for each horizon.
struct Regression {
    weights: Vec<f64>,
    inverse: Vec<Vec<f64>>,
}

impl Regression {
    fn new() -> Self {
        let row = |of| {
            (0..=LAGS)
                .map(|at| if at == of { 1000.0 } else { 0.0 })
                .collect()
        };
        Self {
            weights: vec![0.0; LAGS + 1],
            inverse: (0..=LAGS).map(row).collect(),
        }
    }

    /// Differences of the last values and their mean level, in hundreds.
    fn features(before: &[f64]) -> Vec<f64> {
        let differences = before.windows(2).map(|pair| (pair[1] - pair[0]) / 100.0);
        let level = before.last().map_or(0.0, |last| last / 100.0 - 1.2);
        differences.chain([level]).collect()
    }

    fn change(&self, features: &[f64]) -> f64 {
        100.0
            * self
                .weights
                .iter()
                .zip(features)
                .map(|(a, b)| a * b)
                .sum::<f64>()
    }

    fn learn(&mut self, features: &[f64], change: f64) {
        let error = (change - self.change(features)) / 100.0;
        let dot = |row: &Vec<f64>| row.iter().zip(features).map(|(a, b)| a * b).sum::<f64>();
        let seen: Vec<f64> = self.inverse.iter().map(dot).collect();
        let scale = 1.0 + seen.iter().zip(features).map(|(a, b)| a * b).sum::<f64>();
        for (weight, seen) in self.weights.iter_mut().zip(&seen) {
            *weight += seen / scale * error;
        }
        for (row, by_row) in self.inverse.iter_mut().zip(&seen) {
            for (cell, by_column) in row.iter_mut().zip(&seen) {
                *cell -= by_row * by_column / scale;
            }
        }
    }
}

pub(super) fn report(wanted: &Wanted) -> Vec<Section> {
    let path = wanted.recordings.join("cgm_hall/example_data_hall.csv");
    let recorded = std::fs::read_to_string(&path).ok().map(|text| {
        let mut people: BTreeMap<String, Vec<(Time, f64)>> = BTreeMap::new();
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split(',').collect();
            if let [id, time, glucose, ..] = fields.as_slice()
                && let (Some(time), Ok(glucose)) = (time_of(time), glucose.parse())
            {
                people.entry((*id).into()).or_default().push((time, glucose));
            }
        }
        section(
            "Glucose: Hall 2018",
            "19 people without insulin. Nothing was fitted to them but the choice among published forms (MODELS.md).",
            people.into_values().collect(),
        )
    });
    let recorded = recorded.unwrap_or_else(|| Section::absent("Glucose: Hall 2018", &path));
    let people = |life: Life| {
        (0..wanted.people.min(20))
            .map(|seed| simulated(seed, life))
            .collect()
    };
    let made = section(
        "Glucose: simulated people",
        "Ten days of meals and nights each; as simple as it sounds, and easier than people.",
        people(WELL),
    );
    let diabetic = section(
        "Glucose: simulated people with diabetes",
        "The same with more sugar between meals, and meals that raise it higher and for longer.",
        people(DIABETIC),
    );
    vec![recorded, made, diabetic]
}

/// "2014-02-03 08:42:12", taken as UTC.
fn time_of(text: &str) -> Option<Time> {
    let stamp: jiff::Timestamp = format!("{}Z", text.trim().replacen(' ', "T", 1))
        .parse()
        .ok()?;
    Some(Time::from_micros(stamp.as_microsecond()))
}

/// How people are simulated: sugar between meals and its deviation over people, what a meal adds (at least, and more), after how
/// many hours.
#[derive(Clone, Copy)]
struct Life {
    base: (f64, f64),
    meal: (f64, f64),
    peak: f64,
}

const WELL: Life = Life {
    base: (100.0, 10.0),
    meal: (30.0, 25.0),
    peak: 0.8,
};
const DIABETIC: Life = Life {
    base: (160.0, 20.0),
    meal: (50.0, 80.0),
    peak: 1.5,
};

/// Meals that rise and fall, a slow wander, the noise of a sensor.
fn simulated(seed: u64, life: Life) -> Vec<(Time, f64)> {
    let mut chance = Chance(700_000 + seed);
    let base = life.base.0 + life.base.1 * chance.normal();
    let mut meals: Vec<(f64, f64)> = Vec::new();
    for day in 0..10 {
        for hour in [7.5, 12.5, 16.0, 19.0] {
            let at = f64::from(day) * 24.0 + hour + 0.6 * chance.normal();
            meals.push((at, life.meal.0 + life.meal.1 * chance.uniform()));
        }
    }
    let (mut wander, mut noise) = (0.0, 0.0);
    (0..2880)
        .map(|slot| {
            let hour = f64::from(slot) / 12.0;
            wander += -wander / 60.0 + 2.0 * chance.normal();
            noise = 0.7 * noise + 2.0 * chance.normal();
            let food: f64 = meals
                .iter()
                .map(|(at, size)| (hour - at).max(0.0) / life.peak * size)
                .zip(
                    meals
                        .iter()
                        .map(|(at, _)| libm::exp(1.0 - (hour - at).max(0.0) / life.peak)),
                )
                .map(|(rise, fall)| rise * fall)
                .sum();
            let value = (base + wander + food + noise).clamp(45.0, 390.0);
            (ZERO + Span::from_mins(5 * i64::from(slot)), value)
        })
        .collect()
}

fn section(title: &str, about: &str, mut people: Vec<Vec<(Time, f64)>>) -> Section {
    let mut section = Section::new(title, about);
    for readings in &mut people {
        readings.sort_by_key(|(time, _)| *time);
        readings.dedup_by_key(|(time, _)| *time);
    }
    let people: Vec<Person> = people.iter().map(|readings| follow(readings)).collect();
    for (h, minutes) in MINUTES.into_iter().enumerate() {
        let root = |of: fn(&Errors) -> f64| {
            let one = |person: &Person| {
                let errors = &person.errors[h];
                (of(errors) / errors.count).sqrt()
            };
            people.iter().map(one).collect::<Vec<f64>>()
        };
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        let (model, persistence) = (root(|of| of.model), root(|of| of.persistence));
        let regression = mean(&root(|of| of.regression));
        section.figures.push(
            Figure::mean(
                format!("root mean square error at {minutes} min"),
                &model,
                "mg/dL",
            )
            .beside("persistence", mean(&persistence)),
        );
        section.figures.push(
            Figure::mean(
                format!("the same, online RLS beside it, {minutes} min"),
                &model,
                "mg/dL",
            )
            .beside("RLS, 12 lags", regression)
            .aims(Aim::Most(0.92 * regression)),
        );
        let inside = |of: &[&Person]| {
            let sum = |part: fn(&Errors) -> f64| {
                of.iter().map(|person| part(&person.errors[h])).sum::<f64>()
            };
            100.0 * sum(|of| of.inside) / sum(|of| of.count)
        };
        let pooled = inside(&people.iter().collect::<Vec<_>>());
        section.figures.push(
            Figure::new(
                format!("90 % interval holds at {minutes} min, pooled"),
                pooled,
                "%",
            )
            .within(bootstrap(&people, inside))
            .aims(Aim::Least(89.0)),
        );
        let worst = people.iter().map(|person| inside(&[person]));
        section.figures.push(
            Figure::new(
                format!("the same, worst person, {minutes} min"),
                worst.fold(f64::INFINITY, f64::min),
                "%",
            )
            .aims(Aim::Least(88.0)),
        );
        let width = people
            .iter()
            .map(|person| person.errors[h].width / person.errors[h].count);
        let width: Vec<f64> = width.collect();
        section.figures.push(Figure::mean(
            format!("width at {minutes} min"),
            &width,
            "mg/dL",
        ));
    }
    let told: Vec<_> = people
        .iter()
        .map(|person| person.foretold.clone())
        .collect();
    foretold::tell(&mut section, &told);
    if let Some(person) = people.first() {
        let day = |at: f64| at < person.truth.first().map_or(0.0, |first| first.0) + 24.0;
        let truth: Vec<_> = person
            .truth
            .iter()
            .copied()
            .filter(|of| day(of.0))
            .collect();
        let made: Vec<_> = person.made.iter().copied().filter(|of| day(of.0)).collect();
        let caption = "a day of one person, mg/dL: what came, and its forecast of 30 min before with its interval";
        section
            .pictures
            .push(page::forecast(caption, &truth, &made));
    }
    section
}

fn follow(readings: &[(Time, f64)]) -> Person {
    let mut person = Person::default();
    let Some((first, _)) = readings.first() else {
        return person;
    };
    let mut fold = Fold::new(*first);
    let begin = readings.len() * 3 / 5;
    let label = |at: Time| {
        let near = readings.partition_point(|(time, _)| *time < at - Span::from_secs(150));
        let near = readings.get(near);
        near.filter(|(time, _)| time.since(at) < Span::from_secs(150))
            .map(|(_, value)| *value)
    };
    let mut regressions = [Regression::new(), Regression::new()];
    let hours = |at: Time| at.since(*first).as_secs_f64() / 3600.0;
    let back = |number: usize| {
        let from = number.checked_sub(LAGS)?;
        let values = readings.get(from..=number)?;
        Some(values.iter().map(|(_, value)| *value).collect::<Vec<_>>())
    };
    let mut seen = Vec::new();
    for (number, (at, value)) in readings.iter().enumerate() {
        fold.put(1, KIND, *at, *value);
        fold.send(*at);
        // What was foreseen then is learned now that it came.
        for (regression, minutes) in regressions.iter_mut().zip(MINUTES) {
            let then = *at - Span::from_mins(minutes);
            let then = readings.partition_point(|(time, _)| *time < then - Span::from_secs(150));
            if let Some(before) = back(then).filter(|_| then < number) {
                let change = value - readings[then].1;
                regression.learn(&Regression::features(&before), change);
            }
        }
        if number < begin {
            continue;
        }
        person.truth.push((hours(*at), *value));
        let mut now = Seen {
            at: *at,
            value: *value,
            before: label(*at - Span::from_mins(15)),
            ahead: None,
        };
        for view in fold.twin.forecasts() {
            for point in &view.points {
                let ahead = point.at.since(view.made);
                let Some(h) = MINUTES.iter().position(|of| Span::from_mins(*of) == ahead) else {
                    continue;
                };
                if h == 0 {
                    now.ahead = Some((point.value, (point.high - point.low) / 2.0));
                    let made = (hours(point.at), point.value, point.low, point.high);
                    person.made.push(made);
                }
                let Some(truth) = label(point.at) else {
                    continue;
                };
                let features = back(number).map(|before| Regression::features(&before));
                let change = features.map_or(0.0, |of| regressions[h].change(&of));
                let of = &mut person.errors[h];
                of.model += (truth - point.value).powi(2);
                of.persistence += (truth - value).powi(2);
                of.regression += (truth - value - change).powi(2);
                of.inside += f64::from(u8::from((point.low..=point.high).contains(&truth)));
                of.width += point.high - point.low;
                of.count += 1.0;
            }
        }
        seen.push(now);
    }
    person.foretold = foretold::count(&seen, &fold);
    person
}
