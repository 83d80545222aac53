//! One person's fold: readings, blocks and facts in, alerts and beats out. It is `twin::step`, as a running centre calls it.
//!
//! Must not know: where readings come from, what is counted.

use std::collections::BTreeMap;

use twin::alert::{Category, Change, Condition, Priority};
use twin::event::{Assigned, Batch};
use twin::facts::{Fact, FactKind};
use twin::signal::Beat;
use twin::{AlertChange, Effect, Event, Twin, step};
use vitals::{
    Absence, ContextId, Fixed, GatewayId, Kind, Quality, Reading, SourceId, Span, StreamId, Time,
    Value, Waveform,
};

/// When simulated lives begin: 2026-11-21T00:00:00Z.
pub(crate) const ZERO: Time = Time::from_micros(1_795_219_200_000_000);
const STREAM: StreamId = StreamId([1; 16]);

/// An alert as it was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) condition: Condition,
    pub(crate) priority: Priority,
    /// When the condition began, as far as the data tell.
    pub(crate) onset: Time,
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// How often somebody was called about it.
    pub(crate) calls: u32,
}

/// A twin and its log's counters.
pub(crate) struct Fold {
    pub(crate) twin: Twin,
    out: Vec<Effect>,
    number: u64,
    sequences: BTreeMap<(u16, Kind), u64>,
    pending: Vec<Reading>,
    pub(crate) told: Vec<Told>,
}

impl Fold {
    /// One whose sensors are assigned from `from` on.
    pub(crate) fn new(from: Time) -> Self {
        let mut fold = Self {
            twin: Twin::new(),
            out: Vec::new(),
            number: 0,
            sequences: BTreeMap::new(),
            pending: Vec::new(),
            told: Vec::new(),
        };
        let assigned = Event::Assigned(Assigned {
            stream: STREAM,
            gateway: GatewayId::parse("gw").expect("a valid id"),
            devices: vec!["AA:BB:CC:DD:EE:01".into()],
            from,
        });
        fold.step(&assigned, from);
        fold
    }

    /// A fact of a code, from `at` on.
    pub(crate) fn fact(&mut self, kind: FactKind, code: &str, at: Time) {
        let fact = Fact {
            id: code.into(),
            kind,
            code: code.into(),
            label: String::new(),
            value: None,
            unit: String::new(),
            text: String::new(),
            from: at,
            to: None,
        };
        let (by, record, retract) = ("evaluation".into(), vec![fact], Vec::new());
        self.step(
            &Event::Facts {
                by,
                record,
                retract,
            },
            at,
        );
    }

    /// A value that comes with the next batch; what a kind cannot hold is left out.
    pub(crate) fn put(&mut self, source: u16, kind: Kind, at: Time, value: f64) {
        if let Some(fixed) = Fixed::from_f64(kind, value) {
            self.put_as(source, kind, at, Value::Measured(fixed), Quality::GOOD);
        }
    }

    /// A reading without a number.
    pub(crate) fn put_absent(&mut self, source: u16, kind: Kind, at: Time, why: Absence) {
        self.put_as(source, kind, at, Value::Absent(why), Quality::GOOD);
    }

    fn put_as(&mut self, source: u16, kind: Kind, at: Time, value: Value, quality: Quality) {
        let sequence = self.sequences.entry((source, kind)).or_default();
        *sequence += 1;
        self.pending.push(Reading {
            kind,
            value,
            source: SourceId(source),
            sequence: *sequence,
            effective: at,
            received: at,
            quality,
            device: None,
        });
    }

    /// Sends what was put, at a known time.
    pub(crate) fn send(&mut self, known: Time) {
        let mut readings = std::mem::take(&mut self.pending);
        for reading in &mut readings {
            reading.received = known;
        }
        self.batch(readings, Vec::new(), known);
    }

    /// Sends a block of a waveform, known when it was over.
    pub(crate) fn block(&mut self, mut block: Waveform) {
        let known = block.time_of(block.samples()).max(self.twin.known());
        block.received = known;
        self.batch(Vec::new(), vec![block], known);
    }

    fn batch(&mut self, readings: Vec<Reading>, waveforms: Vec<Waveform>, known: Time) {
        self.number += 1;
        let batch = Batch {
            stream: STREAM,
            context: ContextId([2; 16]),
            number: self.number,
            supersedes: Vec::new(),
            readings,
            waveforms,
            gaps: Vec::new(),
            heartbeat: None,
            devices: Vec::new(),
            local_alerts: Vec::new(),
        };
        self.step(&Event::Batch(batch), known);
    }

    /// Time passed.
    pub(crate) fn pass(&mut self, known: Time) {
        self.step(&Event::Tick, known);
    }

    /// Says the last beats of a waveform.
    pub(crate) fn last_beats(&mut self) {
        if let Some(due) = self.twin.beats_deadline() {
            self.pass(due);
        }
    }

    /// A person takes notice.
    pub(crate) fn notice(&mut self, alert: twin::AlertId, known: Time) {
        let (by, note) = ("nurse".into(), String::new());
        self.step(&Event::Acknowledged { alert, by, note }, known);
    }

    fn step(&mut self, event: &Event, known: Time) {
        self.out.clear();
        step(&mut self.twin, event, known, &mut self.out);
        for effect in &self.out {
            if let Effect::Alert(change) = effect {
                tell(&mut self.told, change);
            }
        }
    }

    /// Changes of alerts that the last step told.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &AlertChange> {
        self.out.iter().filter_map(|effect| match effect {
            Effect::Alert(change) => Some(&**change),
            Effect::Beat(_) | Effect::TwinChanged => None,
        })
    }

    /// Beats that the last step told.
    pub(crate) fn beats(&self) -> impl Iterator<Item = Beat> {
        self.out.iter().filter_map(|effect| match effect {
            Effect::Beat(view) => Some(view.beat),
            Effect::Alert(_) | Effect::TwinChanged => None,
        })
    }

    /// Alerts of a condition that were told.
    pub(crate) fn of(&self, condition: Condition) -> impl Iterator<Item = &Told> {
        self.told
            .iter()
            .filter(move |told| told.condition == condition)
    }
}

/// Keeps the book of what was told about the body.
fn tell(told: &mut Vec<Told>, change: &AlertChange) {
    let alert = &change.alert;
    if alert.condition.category() != Category::Physiological {
        return;
    }
    if change.what == Change::Raised {
        told.push(Told {
            condition: alert.condition,
            priority: alert.priority,
            onset: alert.onset,
            from: change.at,
            to: Time::MAX,
            calls: 1,
        });
        return;
    }
    let mut of = told.iter_mut().rev();
    let Some(told) = of.find(|told| told.condition == alert.condition) else {
        return;
    };
    if change.what == Change::Resolved {
        told.to = change.at;
    } else if change.what == Change::Updated && alert.resolved.is_none() {
        told.to = Time::MAX;
        told.priority = told.priority.max(alert.priority);
        told.calls += u32::from(alert.calls.since == Some(change.at));
    }
}

/// Seconds of a time since [`ZERO`].
pub(crate) fn seconds(at: Time) -> f64 {
    at.since(ZERO).as_secs_f64()
}

/// A time so many seconds after [`ZERO`].
pub(crate) fn at(seconds: f64) -> Time {
    ZERO + Span::from_micros((seconds * 1e6) as i64)
}
