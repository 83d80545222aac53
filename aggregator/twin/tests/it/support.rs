//! A patient with one gateway, and words to write logs with. Times are seconds from the assignment.

use twin::alert::{Alert, AlertChange, Change, Condition};
use twin::event::{Assigned, Batch, DeviceReport, Heartbeat, Link};
use twin::facts::{Fact, FactKind};
use twin::{Effect, Event, Twin, step};
use vitals::{
    Absence, ContextId, Fixed, GatewayId, Kind, Quality, Reading, SourceId, Span, StreamId, Time,
    Value,
};

pub(crate) const STREAM: StreamId = StreamId([1; 16]);
pub(crate) const CONTEXT: ContextId = ContextId([2; 16]);
pub(crate) const STRAP: SourceId = SourceId(1);
pub(crate) const OXIMETER: SourceId = SourceId(2);

/// 2026-11-21T00:00:00Z: the zero of a test's seconds.
pub(crate) fn at(seconds: i64) -> Time {
    Time::from_micros(1_795_219_200_000_000) + Span::from_secs(seconds)
}

/// A reading whose sequence number is its second, received when it was measured.
pub(crate) fn reading(source: SourceId, kind: Kind, seconds: i64, value: f64) -> Reading {
    Reading {
        kind,
        value: Value::Measured(Fixed::from_f64(kind, value).expect("a small number")),
        source,
        sequence: u64::try_from(seconds).unwrap_or(0),
        effective: at(seconds),
        received: at(seconds),
        quality: Quality::GOOD,
        device: None,
    }
}

pub(crate) fn absent(source: SourceId, kind: Kind, seconds: i64, why: Absence) -> Reading {
    Reading {
        value: Value::Absent(why),
        ..reading(source, kind, seconds, 0.0)
    }
}

pub(crate) fn oxygen(seconds: i64, value: f64) -> Reading {
    reading(OXIMETER, Kind::OxygenSaturation, seconds, value)
}

pub(crate) fn pulse(seconds: i64, value: f64) -> Reading {
    reading(STRAP, Kind::HeartRate, seconds, value)
}

/// Holds from 0 on.
pub(crate) fn fact(id: &str, kind: FactKind, text: &str) -> Fact {
    Fact {
        id: id.into(),
        kind,
        code: String::new(),
        label: String::new(),
        value: None,
        unit: String::new(),
        text: text.into(),
        from: at(0),
        to: None,
    }
}

pub(crate) fn assigned() -> Event {
    Event::Assigned(Assigned {
        stream: STREAM,
        gateway: GatewayId::parse("gw-1").expect("valid"),
        devices: vec!["AA:BB:CC:DD:EE:01".into(), "AA:BB:CC:DD:EE:02".into()],
        from: at(0),
    })
}

pub(crate) fn batch(number: u64, readings: Vec<Reading>) -> Batch {
    Batch {
        stream: STREAM,
        context: CONTEXT,
        number,
        supersedes: Vec::new(),
        readings,
        waveforms: Vec::new(),
        gaps: Vec::new(),
        heartbeat: None,
        devices: Vec::new(),
        local_alerts: Vec::new(),
    }
}

pub(crate) fn report(source: SourceId, link: Link, since: i64) -> DeviceReport {
    DeviceReport {
        source,
        address: format!("AA:BB:CC:DD:EE:{:02}", source.0),
        name: format!("Sensor {}", source.0),
        model: "M".into(),
        link,
        since: at(since),
        battery_percent: None,
        contact: None,
    }
}

/// A twin, its log so far, and every alert change.
pub(crate) struct World {
    pub(crate) twin: Twin,
    pub(crate) log: Vec<(Time, Event)>,
    pub(crate) changes: Vec<AlertChange>,
    number: u64,
}

impl World {
    /// Assigned at 0, with both sensors connected.
    pub(crate) fn new() -> Self {
        let mut world = Self {
            twin: Twin::new(),
            log: Vec::new(),
            changes: Vec::new(),
            number: 0,
        };
        world.event(0, assigned());
        let mut first = batch(0, Vec::new());
        first.devices = vec![
            report(STRAP, Link::Connected, 0),
            report(OXIMETER, Link::Connected, 0),
        ];
        world.send(0, first);
        world
    }

    pub(crate) fn event(&mut self, known: i64, event: Event) {
        self.event_at(at(known), event);
    }

    pub(crate) fn event_at(&mut self, known: Time, event: Event) {
        let mut out = Vec::new();
        step(&mut self.twin, &event, known, &mut out);
        self.log.push((known, event));
        let changes = out.into_iter().filter_map(|effect| match effect {
            Effect::Alert(change) => Some(*change),
            Effect::Beat(_) | Effect::TwinChanged => None,
        });
        self.changes.extend(changes);
    }

    /// Sends a batch under the next number.
    pub(crate) fn send(&mut self, known: i64, mut batch: Batch) {
        self.number += 1;
        batch.number = self.number;
        self.event(known, Event::Batch(batch));
    }

    pub(crate) fn readings(&mut self, known: i64, readings: Vec<Reading>) {
        self.send(known, batch(0, readings));
    }

    /// Readings one by one, each known a second after it was measured.
    pub(crate) fn live(&mut self, readings: impl IntoIterator<Item = Reading>) {
        for reading in readings {
            let known = reading.effective.since(at(0)).as_micros() / 1_000_000 + 1;
            self.readings(known, vec![reading]);
        }
    }

    pub(crate) fn heartbeat(&mut self, known: i64, sent: i64) {
        let mut beat = batch(0, Vec::new());
        beat.heartbeat = Some(Heartbeat {
            sent: at(sent),
            buffer_records: 0,
            readings_decoded: 0,
            awake_since: None,
            complete_until: None,
        });
        self.send(known, beat);
    }

    pub(crate) fn facts(&mut self, known: i64, record: Vec<Fact>) {
        let by = "anna".to_owned();
        self.event(
            known,
            Event::Facts {
                by,
                record,
                retract: Vec::new(),
            },
        );
    }

    pub(crate) fn tick(&mut self, known: i64) {
        self.event(known, Event::Tick);
    }

    pub(crate) fn count(&self, condition: Condition, what: Change) -> usize {
        self.changes
            .iter()
            .filter(|change| change.alert.condition == condition && change.what == what)
            .count()
    }

    pub(crate) fn active(&self, condition: Condition) -> Option<&Alert> {
        self.twin
            .alerts()
            .into_iter()
            .find(|alert| alert.condition == condition)
    }

    pub(crate) fn physiological(&self) -> Vec<&AlertChange> {
        let body = |change: &&AlertChange| change.alert.category() == twin::Category::Physiological;
        self.changes.iter().filter(body).collect()
    }
}

/// Seconds from zero.
pub(crate) fn seconds(time: Time) -> i64 {
    time.since(at(0)).as_micros() / 1_000_000
}
