//! Recorded days under two sets of rules: each patient's log through the fold twice, side by side.
//!
//! Promises: it is the fold of the centre (the same meaning of entries, the same step, deadlines included), with three
//! differences, each for a reason. Rules that the log puts into force are passed over: two are compared. What was voided,
//! also later, is left out from the beginning. What people did about alerts reaches the first twin alone, so that it is known
//! of which they took notice: the second one's alerts have other numbers. None of it decides whether an alert is raised.
//!
//! Must not know: what becomes of the figures, who asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::wire;
use twin::event::Void;
use twin::facts::FactKind;
use twin::rules::Rules;
use twin::{AlertChange, AlertId, Change, Condition, Effect, Event, Priority, State, Twin};
use vitals::{PatientId, Time};

use super::event::{Meaning, meaning};
use super::guarded::Guarded;
use crate::journal::{Committed, Content, Opened};
use crate::rules::{Figures, Told};

const HOUR_US: i64 = 3_600_000_000;
/// A reading that was known so long after it was measured is late.
const LATE_US: i64 = 60_000_000;
/// Share of late readings from which on a connection counts as broken now and then.
const OFTEN_LATE: f64 = 0.05;
/// The patient's night, where they live: from, and up to without, these hours.
const NIGHT: (i8, i8) = (22, 6);
/// Kinds of devices that one patient counts for.
const MOST_DEVICES: usize = 16;

/// Two twins of each patient.
pub struct Rehearsal {
    rules: [Arc<Rules>; 2],
    span: (Time, Time),
    voids: BTreeMap<PatientId, Vec<Void>>,
    players: BTreeMap<PatientId, Player>,
    last_known: Time,
    effects: Vec<Effect>,
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rehearsal(hidden)")
    }
}

struct Player {
    sides: [Side; 2],
    /// In which anything was measured.
    hours: BTreeSet<i64>,
    readings: u64,
    late: u64,
}

struct Side {
    guarded: Guarded,
    told: BTreeMap<AlertId, Vec<Told>>,
}

impl Rehearsal {
    /// Judges what is known in `span`: from, and up to without, these times. `before` and `after`: the two sets of rules.
    #[must_use]
    pub fn new(
        before: Arc<Rules>,
        after: Arc<Rules>,
        span: (Time, Time),
        voids: BTreeMap<PatientId, Vec<Void>>,
    ) -> Self {
        Self {
            rules: [before, after],
            span,
            voids,
            players: BTreeMap::new(),
            last_known: Time::ZERO,
            effects: Vec::new(),
        }
    }

    /// The next entry of the log.
    pub fn take(&mut self, committed: &Committed) {
        let known = committed.known;
        match meaning(committed) {
            Meaning::Begin { patient, .. } => self.begin(&patient),
            Meaning::One { patient, event } => {
                if let (Some(Opened::Batch(batch)), true) =
                    (committed.body.as_deref(), self.is_judged(known))
                    && let Content::Body(body) = &batch.content
                    && let Some(player) = self.players.get_mut(&patient)
                    && let Ok(content) = wire::decode_body(batch.source, batch.number, body)
                {
                    for reading in &content.readings {
                        let effective = reading.effective.as_micros();
                        player.hours.insert(effective.div_euclid(HOUR_US));
                        player.readings += 1;
                        player.late += u64::from(known.as_micros() - effective > LATE_US);
                    }
                }
                self.step(&patient, &event, known);
            }
            Meaning::GatewayRevoked(gateway) => {
                self.step_all(&Event::GatewayRevoked { gateway }, known);
            }
            Meaning::StreamFrozen(stream) => self.step_all(&Event::StreamFrozen { stream }, known),
            Meaning::Epoch(epoch) if epoch > 1 => {
                let since = self.last_known;
                self.step_all(&Event::Restored { since }, known);
            }
            Meaning::Epoch(_)
            | Meaning::Rules(_)
            | Meaning::OwnAlertAcknowledged { .. }
            | Meaning::Quarantined { .. }
            | Meaning::Voided { .. }
            | Meaning::VoidSettled { .. }
            | Meaning::Nothing => {}
        }
        self.last_known = known;
    }

    /// What there is to say, patient by patient in no order that tells who they are; only of whom anything was measured.
    #[must_use]
    pub fn end(mut self) -> Vec<Figures> {
        let end = self.last_known.max(self.span.0).min(self.span.1);
        self.step_all(&Event::Tick, end);
        let measured = self
            .players
            .into_values()
            .filter(|one| !one.hours.is_empty());
        measured.map(|player| player.figures(self.span.0)).collect()
    }

    fn is_judged(&self, known: Time) -> bool {
        (self.span.0..self.span.1).contains(&known)
    }

    fn begin(&mut self, patient: &PatientId) {
        let voids = self.voids.get(patient).map_or(&[][..], Vec::as_slice);
        let sides = self.rules.each_ref().map(|rules| Side {
            guarded: Guarded::from_twin(twin::step, Twin::without(voids).under(rules)),
            told: BTreeMap::new(),
        });
        let player = Player {
            sides,
            hours: BTreeSet::new(),
            readings: 0,
            late: 0,
        };
        self.players.entry(patient.clone()).or_insert(player);
    }

    fn step_all(&mut self, event: &Event, known: Time) {
        let patients: Vec<PatientId> = self.players.keys().cloned().collect();
        for patient in patients {
            self.step(&patient, event, known);
        }
    }

    fn step(&mut self, patient: &PatientId, event: &Event, known: Time) {
        let Some(player) = self.players.get_mut(patient) else {
            return;
        };
        let by_people = matches!(event, Event::Acknowledged { .. } | Event::Care { .. });
        let [before, after] = &mut player.sides;
        // The second one first: what the first is told of is looked up in it.
        if !by_people {
            after.take(event, known, &mut self.effects, |_| None);
        }
        let after = after.guarded.twin();
        before.take(event, known, &mut self.effects, |of| after.silenced_by(of));
    }
}

impl Side {
    fn take(
        &mut self,
        event: &Event,
        known: Time,
        effects: &mut Vec<Effect>,
        silenced_by: impl Fn(Condition) -> Option<usize>,
    ) {
        // What panics is left out, as in the fold.
        let _ = self.guarded.step(event.clone(), known, effects);
        for effect in effects.drain(..) {
            if let Effect::Alert(change) = effect {
                self.note(&change, silenced_by(change.alert.condition));
            }
        }
    }

    /// `silenced`: the line of the rules that are tried that has its model quiet for this person now.
    fn note(&mut self, change: &AlertChange, silenced: Option<usize>) {
        let alert = &change.alert;
        // Technical ones rest on no rule of these, and what is found in late data calls nobody.
        if alert.category() != twin::Category::Physiological || change.what == Change::Finding {
            return;
        }
        let told = self.told.entry(alert.id).or_default();
        let over = alert.state == State::Resolved;
        if told.last().is_none_or(|last| last.ended.is_some()) {
            if over {
                return;
            }
            told.push(Told {
                condition: alert.condition,
                reached: [None; 3],
                ended: None,
                again: !told.is_empty(),
                acknowledged: false,
                at_night: false,
                silenced,
            });
        }
        if let Some(last) = told.last_mut() {
            for priority in [Priority::Low, Priority::Medium, Priority::High] {
                if priority <= alert.priority {
                    let reached = &mut last.reached[priority as usize - 1];
                    if reached.is_none() {
                        last.silenced = silenced;
                    }
                    reached.get_or_insert(change.at);
                }
            }
            last.acknowledged |= alert.acknowledged.is_some();
            last.ended = over.then_some(change.at);
        }
    }
}

impl Player {
    fn figures(self, from: Time) -> Figures {
        let [before, after] = self.sides;
        let twin = before.guarded.twin();
        let zone = zone_of(twin);
        let mut groups = groups_of(twin);
        let share = as_number(self.late) / as_number(self.readings.max(1));
        let connection = if share < OFTEN_LATE {
            "steady"
        } else {
            "broken"
        };
        groups.push(("connectivity", connection.into()));
        let judged = |side: BTreeMap<AlertId, Vec<Told>>| {
            let told = side.into_values().flatten();
            let began = |told: &Told| told.reached.iter().flatten().min().copied();
            // What held already is none of these days, but it may be what the other side tells anew.
            let told = told.filter(|told| told.ended.is_none_or(|ended| ended >= from));
            told.map(|told| Told {
                again: told.again || began(&told).is_none_or(|at| at < from),
                at_night: began(&told).is_some_and(|at| is_night(at, &zone)),
                ..told
            })
            .collect()
        };
        Figures {
            days: as_number(self.hours.len() as u64) / 24.0,
            groups,
            before: judged(before.told),
            after: judged(after.told),
        }
    }
}

/// Where the patient lives; where that is not known, or this machine has no such zone: UTC.
fn zone_of(twin: &Twin) -> jiff::tz::TimeZone {
    let name = newest(twin, FactKind::TimeZone).map(|fact| fact.text.clone());
    let zone = name.and_then(|name| jiff::tz::TimeZone::get(&name).ok());
    zone.unwrap_or(jiff::tz::TimeZone::UTC)
}

fn is_night(at: Time, zone: &jiff::tz::TimeZone) -> bool {
    let at = jiff::Timestamp::from_microsecond(at.as_micros());
    at.is_ok_and(|at| {
        let hour = zone.to_datetime(at).hour();
        hour >= NIGHT.0 || hour < NIGHT.1
    })
}

fn newest(twin: &Twin, kind: FactKind) -> Option<&twin::facts::Fact> {
    let facts = twin.facts().map(|recorded| &recorded.fact);
    facts
        .filter(|fact| fact.kind == kind)
        .max_by_key(|fact| (fact.from, fact.id.clone()))
}

fn groups_of(twin: &Twin) -> Vec<(&'static str, String)> {
    let year = 1970 + twin.known().as_micros().div_euclid(31_556_952_000_000);
    let born = newest(twin, FactKind::BirthYear).and_then(|fact| fact.value);
    #[expect(clippy::cast_possible_truncation, reason = "checked: 1880 to 2200")]
    let age = born.map(|born| match year - born as i64 {
        ..18 => "under 18",
        18..40 => "18-39",
        40..65 => "40-64",
        65..80 => "65-79",
        80.. => "80 and over",
    });
    let sex = newest(twin, FactKind::Sex).map(|fact| fact.text.clone());
    let devices: BTreeSet<String> = twin
        .devices()
        .into_iter()
        .map(|device| device.model)
        .filter(|model| !model.is_empty())
        .collect();
    // As studies of oximeters divide the Monk scale.
    let tone = newest(twin, FactKind::SkinTone).and_then(|fact| fact.value);
    let tone = tone.map(|tone| match tone {
        ..5.0 => "light (Monk 1-4)",
        5.0..8.0 => "medium (Monk 5-7)",
        _ => "dark (Monk 8-10)",
    });
    let unknown = || String::from("unknown");
    let mut groups = vec![
        ("skin_tone", tone.map_or_else(unknown, String::from)),
        ("age", age.map_or_else(unknown, String::from)),
        ("sex", sex.unwrap_or_else(unknown)),
    ];
    if devices.is_empty() {
        groups.push(("device", unknown()));
    }
    let devices = devices.into_iter().take(MOST_DEVICES);
    groups.extend(devices.map(|model| ("device", model)));
    groups
}

#[expect(clippy::cast_precision_loss, reason = "counts of readings and hours")]
const fn as_number(count: u64) -> f64 {
    count as f64
}
