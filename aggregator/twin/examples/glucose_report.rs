//! Report: glucose of real people through the whole fold, reading by reading: errors at 30 and 60 minutes beside
//! persistence and a straight line, coverage of the intervals, and what the alerts would have been. Hall et al. 2018, 19
//! people without insulin; the last 40 % of each person's time counts, the first 60 % only teaches. No constant of the
//! model was fitted to it but by choice among published forms. Run: `cargo run --release -p twin --example glucose_report`.

mod support;

use std::collections::BTreeMap;

use twin::alert::{Change, Condition};
use twin::event::{Assigned, Batch};
use twin::{Effect, Event, Twin, step};
use vitals::{
    ContextId, Fixed, GatewayId, Kind, Quality, Reading, SourceId, Span, StreamId, Time, Value,
};

const STREAM: StreamId = StreamId([1; 16]);
const KIND: Kind = Kind::InterstitialGlucose;
const MINUTES: [i64; 2] = [30, 60];

#[derive(Clone, Copy, Default)]
struct Errors {
    model: f64,
    persistence: f64,
    line: f64,
    inside: f64,
    width: f64,
    count: f64,
}

#[derive(Default)]
struct Alarms {
    days: f64,
    lows: u32,
    foreseen: u32,
    lead_min: f64,
    raised: u32,
    true_raised: u32,
}

fn main() {
    let path = support::recordings().join("cgm_hall/example_data_hall.csv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} absent", path.display());
        return;
    };
    let mut people: BTreeMap<String, Vec<(Time, f64)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        if let [id, time, glucose, ..] = fields.as_slice()
            && let (Some(time), Ok(glucose)) = (time_of(time), glucose.parse())
        {
            people
                .entry((*id).into())
                .or_default()
                .push((time, glucose));
        }
    }
    let mut means = [Errors::default(); 2];
    let mut worst = [1.0_f64; 2];
    let mut alarms = Alarms::default();
    for readings in people.values_mut() {
        readings.sort_by_key(|(time, _)| *time);
        readings.dedup_by_key(|(time, _)| *time);
        for (h, errors) in follow(readings, &mut alarms).into_iter().enumerate() {
            let root = |sum: f64| (sum / errors.count).sqrt();
            means[h].model += root(errors.model);
            means[h].persistence += root(errors.persistence);
            means[h].line += root(errors.line);
            means[h].inside += errors.inside / errors.count;
            means[h].width += errors.width / errors.count;
            means[h].count += 1.0;
            worst[h] = worst[h].min(errors.inside / errors.count);
        }
    }
    println!(
        "{} people; root mean square error, mg/dL, mean over people, last 40 % of each",
        people.len()
    );
    for (h, minutes) in MINUTES.into_iter().enumerate() {
        let of = |sum: f64| sum / means[h].count;
        println!(
            "  {minutes} min: {:.2}, persistence {:.2}, straight line {:.2}; 90 % interval holds {:.3} (worst person {:.3}), mean width {:.0}",
            of(means[h].model),
            of(means[h].persistence),
            of(means[h].line),
            of(means[h].inside),
            worst[h],
            of(means[h].width)
        );
    }
    println!(
        "lows (below 70 for 15 min or more) {}, foreseen {} (mean lead {:.0} min); foreseen alerts {} in {:.0} days ({:.2} a day), of these followed by a low within 45 min {}",
        alarms.lows,
        alarms.foreseen,
        alarms.lead_min / f64::from(alarms.foreseen.max(1)),
        alarms.raised,
        alarms.days,
        f64::from(alarms.raised) / alarms.days,
        alarms.true_raised
    );
}

/// "2014-02-03 08:42:12", taken as UTC.
fn time_of(text: &str) -> Option<Time> {
    let numbers: Vec<i64> = text
        .split(['-', ' ', ':'])
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second] = numbers.try_into().ok()?;
    // Days from the civil date (Howard Hinnant's algorithm).
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(Time::ZERO + Span::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

fn follow(readings: &[(Time, f64)], alarms: &mut Alarms) -> [Errors; 2] {
    let mut twin = Twin::new();
    let mut out = Vec::new();
    let assigned = Event::Assigned(Assigned {
        stream: STREAM,
        gateway: GatewayId::parse("gw-1").expect("valid"),
        devices: vec!["AA:BB:CC:DD:EE:01".into()],
        from: readings[0].0,
    });
    step(&mut twin, &assigned, readings[0].0, &mut out);
    let begin = readings.len() * 3 / 5;
    let label = |at: Time| {
        let near = readings.partition_point(|(time, _)| *time < at - Span::from_secs(150));
        readings
            .get(near)
            .filter(|(time, _)| time.since(at) < Span::from_secs(150))
            .map(|(_, value)| *value)
    };
    let mut errors = [Errors::default(); 2];
    let mut raised = Vec::new();
    for (number, (at, value)) in readings.iter().enumerate() {
        let reading = Reading {
            kind: KIND,
            value: Value::Measured(Fixed::from_f64(KIND, *value).expect("in range")),
            source: SourceId(1),
            sequence: number as u64,
            effective: *at,
            received: *at,
            quality: Quality::GOOD,
            device: None,
        };
        let batch = Batch {
            stream: STREAM,
            context: ContextId([2; 16]),
            number: number as u64 + 1,
            supersedes: Vec::new(),
            readings: vec![reading],
            waveforms: Vec::new(),
            gaps: Vec::new(),
            heartbeat: None,
            devices: Vec::new(),
            local_alerts: Vec::new(),
        };
        out.clear();
        step(&mut twin, &Event::Batch(batch), *at, &mut out);
        if number < begin {
            continue;
        }
        raised.extend(out.iter().filter_map(|effect| match effect {
            Effect::Alert(change)
                if change.what == Change::Raised
                    && change.alert.condition == Condition::GlucoseFalling =>
            {
                Some(change.alert.raised)
            }
            Effect::Alert(_) | Effect::Beat(_) | Effect::TwinChanged => None,
        }));
        let before = number.checked_sub(3).and_then(|at| readings.get(at));
        for view in twin.forecasts() {
            for (h, point) in view.points.iter().enumerate() {
                let Some(truth) = label(point.at) else {
                    continue;
                };
                let slope = before.map_or(0.0, |(then, was)| {
                    (value - was) / at.since(*then).as_secs_f64() * 60.0
                });
                let line = value + slope * MINUTES[h] as f64;
                let of = &mut errors[h];
                of.model += (truth - point.value).powi(2);
                of.persistence += (truth - value).powi(2);
                of.line += (truth - line).powi(2);
                of.inside += f64::from(u8::from((point.low..=point.high).contains(&truth)));
                of.width += point.high - point.low;
                of.count += 1.0;
            }
        }
    }
    let test = &readings[begin..];
    let mut lows = Vec::new();
    let mut since: Option<Time> = None;
    for (at, value) in test {
        since = (*value < 70.0).then(|| since.unwrap_or(*at));
        if since.is_some_and(|since| at.since(since) >= Span::from_mins(15))
            && lows.last() != since.as_ref()
        {
            lows.extend(since);
        }
    }
    let hour = Span::from_mins(60);
    let within = |low: &Time, alert: &Time| {
        low.since(*alert) >= Span::ZERO && low.since(*alert) <= Span::from_mins(45)
    };
    alarms.days += test.last().map_or(0.0, |(last, _)| {
        last.since(test[0].0).as_secs_f64() / hour.as_secs_f64() / 24.0
    });
    alarms.lows += lows.len() as u32;
    for low in &lows {
        if let Some(alert) = raised.iter().find(|alert| within(low, alert)) {
            alarms.foreseen += 1;
            alarms.lead_min += low.since(*alert).as_secs_f64() / 60.0;
        }
    }
    alarms.raised += raised.len() as u32;
    alarms.true_raised += raised
        .iter()
        .filter(|alert| lows.iter().any(|low| within(low, alert)))
        .count() as u32;
    errors
}
