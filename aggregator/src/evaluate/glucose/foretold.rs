//! Lows and highs that were foreseen half an hour ahead: by the fold's alerts, and by three trivial rules on the same readings (a
//! straight line through the last quarter of an hour, one that goes well beyond, and a limit that is nearer). Highs of 180 mg/dL, too, which most people reach:
//! nobody is alarmed about those, and the decision is the one that the fold makes at 250, made here on its forecasts.
//!
//! An event lasts a quarter of an hour. An alert is true if one begins within 45 minutes after it.

use twin::Condition;
use vitals::{Span, Time};

use super::super::support::fold::Fold;
use super::super::support::recorded::bootstrap;
use super::super::{Figure, Section};

const LASTS: Span = Span::from_mins(15);
const WITHIN: Span = Span::from_mins(45);

/// A moment with its forecast.
pub(super) struct Seen {
    pub(super) at: Time,
    pub(super) value: f64,
    /// A quarter of an hour before.
    pub(super) before: Option<f64>,
    /// Expected in half an hour, and the half-width of its interval of 90 %.
    pub(super) ahead: Option<(f64, f64)>,
}

/// What is foreseen.
#[derive(Clone, Copy)]
struct Limit {
    name: &'static str,
    at: f64,
    below: bool,
    /// What the fold raises; none: nobody is alarmed about it.
    alert: Option<Condition>,
    /// The nearer limit.
    near: f64,
}

const LIMITS: [Limit; 3] = [
    Limit {
        name: "lows (70)",
        at: 70.0,
        below: true,
        alert: Some(Condition::GlucoseFalling),
        near: 80.0,
    },
    Limit {
        name: "highs (250)",
        at: 250.0,
        below: false,
        alert: Some(Condition::GlucoseRising),
        near: 220.0,
    },
    Limit {
        name: "highs (180)",
        at: 180.0,
        below: false,
        alert: None,
        near: 150.0,
    },
];

/// The third asks of the straight line that it goes 30 mg/dL beyond: few false ones, as the model.
const RULES: [&str; 4] = ["model", "straight line", "line 30 beyond", "nearer limit"];

/// What became of one rule about one limit in one person.
#[derive(Clone, Default)]
pub(super) struct Foretold {
    events: u64,
    leads: Vec<f64>,
    raised: u64,
    right: u64,
    days: f64,
}

impl Limit {
    fn is_beyond(self, value: f64) -> bool {
        if self.below {
            value < self.at
        } else {
            value > self.at
        }
    }

    /// Begins of what lasted.
    fn events(self, seen: &[Seen]) -> Vec<Time> {
        let mut events = Vec::new();
        let mut since: Option<Time> = None;
        for one in seen {
            since = self.is_beyond(one.value).then(|| since.unwrap_or(one.at));
            let long = since.is_some_and(|since| one.at.since(since) >= LASTS);
            if long && events.last() != since.as_ref() {
                events.extend(since);
            }
        }
        events
    }

    /// Likely, and unlikely, that it is passed in half an hour; towards it is positive.
    fn judge(self, rule: &str, one: &Seen) -> (bool, bool) {
        let over = |value: f64, limit: f64| {
            if self.below {
                limit - value
            } else {
                value - limit
            }
        };
        match rule {
            "model" => one.ahead.map_or((false, false), |(ahead, half)| {
                // A probability of 0.5 is the middle, one of 0.15 lies 1.04 deviations away, and the interval's end 1.645.
                let deviations = over(ahead, self.at) / half * 1.645;
                (deviations >= 0.0, deviations < -1.04)
            }),
            "straight line" | "line 30 beyond" => {
                let beyond = if rule == "straight line" { 0.0 } else { 30.0 };
                let ahead = one
                    .before
                    .map(|before| one.value + 2.0 * (one.value - before));
                let likely = ahead.is_some_and(|ahead| over(ahead, self.at) >= beyond);
                (likely, !likely)
            }
            _ => {
                let over = over(one.value, self.near);
                (over >= 0.0, over < -5.0)
            }
        }
    }

    /// When a rule would have told: twice likely in a row, and again only after three times unlikely or once it has come.
    fn told(self, rule: &str, seen: &[Seen]) -> Vec<Time> {
        let (mut likely, mut unlikely, mut active) = (0, 0, false);
        let (mut told, mut since) = (Vec::new(), None);
        for one in seen {
            let (is_likely, is_unlikely) = self.judge(rule, one);
            likely = if is_likely { likely + 1 } else { 0 };
            unlikely = if is_unlikely { unlikely + 1 } else { 0 };
            let beyond = self.is_beyond(one.value);
            since = beyond.then(|| since.unwrap_or(one.at));
            if since.is_some_and(|since: Time| one.at.since(since) >= LASTS) || unlikely >= 3 {
                active = false;
            } else if likely >= 2 && !beyond && !active {
                active = true;
                told.push(one.at);
            }
        }
        told
    }
}

/// Every limit by every rule, in the order of [`tell`].
pub(super) fn count(seen: &[Seen], fold: &Fold) -> Vec<Foretold> {
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for limit in LIMITS {
        let events = limit.events(seen);
        for rule in RULES {
            let raised = match limit.alert.filter(|_| rule == RULES[0]) {
                Some(condition) => {
                    let told = fold.of(condition).map(|told| told.from);
                    told.filter(|at| *at >= first.at).collect()
                }
                None => limit.told(rule, seen),
            };
            let within = |event: &Time, told: &Time| {
                let lead = event.since(*told);
                lead >= Span::ZERO && lead <= WITHIN
            };
            let lead = |event: &Time| {
                let told = raised.iter().find(|told| within(event, told))?;
                Some(event.since(*told).as_secs_f64() / 60.0)
            };
            let right = |told: &&Time| events.iter().any(|event| within(event, told));
            all.push(Foretold {
                events: events.len() as u64,
                leads: events.iter().filter_map(lead).collect(),
                raised: raised.len() as u64,
                right: raised.iter().filter(right).count() as u64,
                days: last.at.since(first.at).as_secs_f64() / 86_400.0,
            });
        }
    }
    all
}

/// Figures of many people.
pub(super) fn tell(section: &mut Section, people: &[Vec<Foretold>]) {
    let lines = LIMITS
        .iter()
        .flat_map(|limit| RULES.map(|rule| (limit.name, rule)));
    for (line, (limit, rule)) in lines.enumerate() {
        let of: Vec<&Foretold> = people
            .iter()
            .filter_map(|person| person.get(line))
            .collect();
        let leads: Vec<f64> = of.iter().flat_map(|one| one.leads.clone()).collect();
        let events = of.iter().map(|one| one.events).sum();
        let what = |what: &str| format!("{limit} {what}, {rule}");
        let found = Figure::share(what("foreseen"), leads.len() as u64, events);
        section.figures.push(found);
        let a_day = |of: &[&&Foretold]| {
            let wrong: u64 = of.iter().map(|one| one.raised - one.right).sum();
            wrong as f64 / of.iter().map(|one| one.days).sum::<f64>()
        };
        let wrong = Figure::new(
            what("foreseen falsely"),
            a_day(&of.iter().collect::<Vec<_>>()),
            "a patient-day",
        );
        section.figures.push(wrong.within(bootstrap(&of, a_day)));
        if !leads.is_empty() {
            section
                .figures
                .push(Figure::mean(what("ahead"), &leads, "min"));
        }
    }
}
