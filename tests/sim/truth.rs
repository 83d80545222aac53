//! What really happened, and the properties that are judged against it.
//!
//! Must not know: how the centre or an agent works inside; only what sensors measured, what the journal holds, what was
//! receipted and what readers saw.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1::{self, GapReason};
use proto::wire::decode_body;
use twin::rule;
use vitals::{ContextId, Kind, PatientId, SourceId, Span, StreamId, Time, Value};
use vitaltwin_aggregator::journal::{Committed, Content, Opened, OpenedBatch, Position};
use vitaltwin_aggregator::publish::Hub;

use crate::centre::{States, states};
use crate::plan::{Property, START, Violation, broken, is_slow, whose};
use crate::stock::Stock;

/// A gap's times come from stubs and commits: this much is rounding.
const ROUNDING: Span = Span::from_secs(61);
/// What is known later than this may be about the past: a heart rate is fresh for a minute.
const FRESH: Span = Span::from_secs(45);
/// A stamp is this much before the value is handed over, at most.
const STAMPING: Span = Span::from_millis(20);
/// Readings of one episode may be apart by this much and still be one stretch of buckets.
const BUCKET: Span = Span::from_secs(10);
/// What a slow heart must last so that the rule must see it, wherever its ten seconds begin.
const LONG: Span = Span::from_secs(55);

/// What is voided takes away evidence of what lies this near.
const AROUND_VOID: Span = Span::from_secs(120);

/// Names a reading as the twin tells readings apart.
type Key = (StreamId, ContextId, SourceId, Kind, u64);

/// A value that a sensor gave to an agent.
#[derive(Debug)]
struct Beat {
    /// In the right time.
    at: Time,
    /// The agent's clock was ahead by this much.
    ahead: Span,
    /// Its place in the journal.
    keys: BTreeSet<Key>,
    /// When it came to lie there first, by the centre's clock.
    known: Time,
    /// What lies there says that the heart is too slow.
    is_ill: bool,
}

impl Beat {
    /// Its agent's clock was right, but for the digits that tell one stamp from another.
    fn is_at_its_time(&self) -> bool {
        self.ahead.as_micros().abs() <= 25_000
    }

    /// It was known while it was about now.
    fn was_live(&self) -> bool {
        !self.keys.is_empty() && self.known.since(self.at) < FRESH
    }
}

/// A loss that was declared.
#[derive(Clone, Copy, Debug)]
struct Gap {
    from: Time,
    to: Time,
    reason: GapReason,
}

#[derive(Default)]
pub(crate) struct Truth {
    /// By patient, and by what the agent stamped them with.
    beats: BTreeMap<(usize, i64), Beat>,
    gaps: Vec<(usize, Gap)>,
    /// Distinct readings in the journal, by patient.
    readings: BTreeMap<usize, BTreeSet<Key>>,
    /// What people voided, or tried to while the disk failed.
    voids: Vec<(usize, Time, Time)>,
    /// Receipts that left the centre.
    receipted: BTreeSet<(ContextId, u64)>,
    journaled: BTreeSet<(ContextId, u64)>,
    last: Position,
    /// The largest step back of an agent's clock at a start.
    pub(crate) set_back: Span,
    /// States that readers were shown.
    shown: BTreeMap<u64, Vec<(String, Vec<u8>)>>,
    /// What stood when a centre died.
    pub(crate) stood: Option<(Position, States)>,
}

impl Truth {
    /// A sensor's value was taken by an agent, which stamped it.
    pub(crate) fn measured(&mut self, patient: usize, at: Time, stamped: Time) {
        let beat = Beat {
            at,
            ahead: stamped.since(at),
            keys: BTreeSet::new(),
            known: Time::ZERO,
            is_ill: false,
        };
        self.beats.insert((patient, stamped.as_micros()), beat);
    }

    /// An entry was committed for the first time.
    pub(crate) fn committed(&mut self, committed: &Committed) -> Result<(), Violation> {
        if committed.position <= self.last {
            return broken(Property::P2, "a position was given twice");
        }
        self.last = committed.position;
        let Some(Opened::Batch(batch)) = committed.body.as_deref() else {
            return Ok(());
        };
        if !self.journaled.insert((batch.context, batch.number)) {
            return broken(Property::P2, "a batch was journaled twice");
        }
        self.batch(batch, committed.known)
    }

    fn batch(&mut self, batch: &OpenedBatch, known: Time) -> Result<(), Violation> {
        let patients = &Stock::get().patients;
        let patient = patients.iter().position(|(id, ..)| *id == batch.patient);
        let Some(patient) = patient else {
            return broken(Property::P9, "a batch of nobody");
        };
        let Content::Body(body) = &batch.content else {
            return broken(Property::P1, "a batch does not parse");
        };
        let Ok(content) = decode_body(batch.source, batch.number, body) else {
            return broken(Property::P1, "a batch does not decode");
        };
        for reading in content.readings {
            let Value::Measured(value) = reading.value else {
                continue;
            };
            if whose(value.0) != Some(patient) {
                let of = whose(value.0);
                let what = format!("a reading of patient {of:?} lies in the log of {patient}");
                return broken(Property::P9, what);
            }
            let (source, kind, sequence) = (reading.source, reading.kind, reading.sequence);
            let key = (batch.stream, batch.context, source, kind, sequence);
            self.readings.entry(patient).or_default().insert(key);
            let stamped = reading.received.as_micros();
            let Some(beat) = self.beats.get_mut(&(patient, stamped)) else {
                return broken(
                    Property::P2,
                    format!("nobody measured what came at {stamped}"),
                );
            };
            if beat.keys.insert(key) {
                (beat.known, beat.is_ill) = (known, is_slow(value.0));
            }
            if beat.keys.len() > 1 {
                let what = format!("patient {patient}: the reading of {stamped} is there twice");
                return broken(Property::P2, what);
            }
        }
        for gap in &content.gaps {
            let (from, to) = (gap.from_us, gap.to_us);
            let gap = Gap {
                from: Time::from_micros(from),
                to: Time::from_micros(to),
                reason: gap.reason(),
            };
            self.gaps.push((patient, gap));
        }
        Ok(())
    }

    /// A receipt leaves the centre, whose disk holds what `has` says.
    pub(crate) fn receipt(
        &mut self,
        receipt: &v1::Receipt,
        has: impl Fn(ContextId, u64) -> bool,
    ) -> Result<(), Violation> {
        let Some(context) = ContextId::from_slice(&receipt.context) else {
            return broken(Property::P1, "a receipt for no context");
        };
        for number in receipt.ranges.iter().flat_map(|of| of.first..=of.last) {
            if !has(context, number) {
                return broken(Property::P1, "a receipt for what is not in the journal");
            }
            self.receipted.insert((context, number));
        }
        Ok(())
    }

    /// The centre opened its journal again, which holds what `has` says and ends at `last`.
    pub(crate) fn reopened(
        &mut self,
        last: Position,
        has: impl Fn(ContextId, u64) -> bool,
    ) -> Result<(), Violation> {
        let mut receipted = self.receipted.iter();
        let lost = receipted.find(|(context, number)| !has(*context, *number));
        if let Some((_, number)) = lost {
            return broken(
                Property::P1,
                format!("batch {number} was receipted and is lost"),
            );
        }
        if last < self.last {
            let (last, before) = (last.0, self.last.0);
            let what = format!("the journal ended at {before} and ends at {last} now");
            return broken(Property::P1, what);
        }
        Ok(())
    }

    /// A reader was shown this state of a patient.
    pub(crate) fn shown(&mut self, twin: &v1::Twin) {
        let state = (twin.patient.clone(), twin.state_hash.clone());
        let shown = self.shown.entry(twin.position).or_default();
        if !shown.contains(&state) {
            shown.push(state);
        }
    }

    /// An entry was read again, and `hub` knows the twins that it gives.
    pub(crate) fn replayed(&mut self, committed: &Committed, hub: &Hub) -> Result<(), Violation> {
        let position = committed.position;
        if position > self.last {
            // It was on disk when the store failed: nobody was told, and it counts.
            self.committed(committed)?;
        }
        match &self.stood {
            Some((at, stood)) if *at == position && *stood != states(hub) => {
                let what = format!("the replay up to {} is not what stood there", at.0);
                broken(Property::P5, what)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The last replay stands here: what readers were shown must be what it gives.
    pub(crate) fn was_so(&self, position: Position, hub: &Hub) -> Result<(), Violation> {
        for (patient, hash) in self.shown.get(&position.0).into_iter().flatten() {
            let index = PatientId::parse(patient).and_then(|id| hub.find(&id));
            let twin = index.map(|index| hub.view(index).twin);
            if twin.is_none_or(|twin| twin.position != position.0 || twin.state_hash != *hash) {
                let what = format!("a reader saw a state of {patient} that is not the log's");
                return broken(Property::P3, what);
            }
        }
        Ok(())
    }

    /// The sensors that a patient's readings came from so far.
    pub(crate) fn sources(&self, patient: usize) -> Vec<(StreamId, SourceId)> {
        let keys = self.readings.get(&patient).into_iter().flatten();
        let sources: BTreeSet<_> = keys
            .map(|(stream, _, source, ..)| (*stream, *source))
            .collect();
        sources.into_iter().collect()
    }

    /// Somebody voided what a patient's sensors measured then.
    pub(crate) fn voided(&mut self, patient: usize, from: Time, to: Time) {
        self.voids.push((patient, from, to));
    }

    /// Nothing of it, nor of what the rules look at around it, is voided.
    fn is_whole(&self, patient: usize, (from, to): (Time, Time)) -> bool {
        let near = |(of, begin, end): &(usize, Time, Time)| {
            *of == patient && *begin <= to + AROUND_VOID && from <= *end + AROUND_VOID
        };
        !self.voids.iter().any(near)
    }

    /// Readings measured at or after this (right) time lie in the journal.
    pub(crate) fn is_fresh(&self, patient: usize, since: Time) -> bool {
        let mut of = self.beats.iter().filter(|((of, _), _)| *of == patient);
        of.any(|(_, beat)| beat.at >= since && !beat.keys.is_empty())
    }

    /// Distinct readings in the journal.
    pub(crate) fn readings(&self, patient: usize) -> u64 {
        self.readings.get(&patient).map_or(0, |of| of.len() as u64)
    }

    /// Everything is delivered: what is not in the journal must have been declared.
    pub(crate) fn nothing_is_silent(&self) -> Result<(), Violation> {
        for ((patient, stamped), beat) in &self.beats {
            if !beat.keys.is_empty() {
                continue;
            }
            let stamped = Time::from_micros(*stamped);
            let slack = ROUNDING + self.set_back;
            let covers = |(of, gap): &&(usize, Gap)| {
                of == patient && gap.from - slack <= stamped && stamped <= gap.to + slack
            };
            // A crash's gap is exact at its beginning: what was committed must not be lost.
            let covers_crash = |(of, gap): &&(usize, Gap)| {
                of == patient
                    && gap.reason == GapReason::AgentStopped
                    && gap.from - self.set_back - STAMPING <= stamped
                    && stamped <= gap.to + self.set_back
            };
            let mut others = self
                .gaps
                .iter()
                .filter(|(_, gap)| gap.reason != GapReason::AgentStopped);
            if others.find(covers).is_none() && self.gaps.iter().find(covers_crash).is_none() {
                let second = |at: Time| at.since(START).as_secs_f64();
                let told = self.gaps.iter().filter(|(of, _)| of == patient);
                let told: Vec<_> = told
                    .map(|(_, gap)| (gap.reason, second(gap.from), second(gap.to)))
                    .collect();
                let what = format!(
                    "patient {patient}: the reading of {} s is lost and no gap tells (clocks were set back by {:?}): {told:?}",
                    second(stamped),
                    self.set_back
                );
                return broken(Property::P4, what);
            }
        }
        Ok(())
    }

    /// Each episode that the journal's readings contain, put in the order of their stamps, has an alert or a finding,
    /// whatever part of it came when. One of which every reading came while it was fresh has no two live alerts.
    pub(crate) fn alerts_are_right(
        &self,
        patients: usize,
        alerts: &[v1::Alert],
    ) -> Result<(), Violation> {
        for patient in 0..patients {
            for episode in self.episodes(patient) {
                let span = (episode[0].0, episode[episode.len() - 1].0);
                if !self.is_whole(patient, span) {
                    continue;
                }
                self.is_told(patient, &episode, alerts)?;
            }
        }
        Ok(())
    }

    /// Stretches of slow readings of almost a minute, none far from the next and nothing else among them: enough for
    /// the rule, however their ten seconds fall.
    fn episodes(&self, patient: usize) -> Vec<Vec<(Time, &Beat)>> {
        let of = self.beats.iter().filter(|((of, _), _)| *of == patient);
        let folded = of.filter_map(|((_, stamped), beat)| {
            let stamped = Time::from_micros(*stamped);
            // Before the assignment, and too far ahead: set aside.
            let counts = stamped >= START && stamped.since(beat.known) <= rule::MAX_AHEAD;
            (counts && !beat.keys.is_empty()).then_some((stamped.min(beat.known), beat))
        });
        let mut folded: Vec<_> = folded.collect();
        folded.sort_by_key(|(at, _)| *at);
        let goes_on = |a: &(Time, &Beat), b: &(Time, &Beat)| {
            a.1.is_ill && b.1.is_ill && b.0.since(a.0) <= BUCKET
        };
        let runs = folded.chunk_by(goes_on);
        let long = |run: &&[(Time, &Beat)]| run[run.len() - 1].0.since(run[0].0) >= LONG;
        runs.filter(long).map(<[_]>::to_vec).collect()
    }

    fn is_told(
        &self,
        patient: usize,
        episode: &[(Time, &Beat)],
        alerts: &[v1::Alert],
    ) -> Result<(), Violation> {
        let (from, to) = (episode[0].0, episode[episode.len() - 1].0);
        let around = self.beats.iter().filter(|((of, _), beat)| {
            let wide = (from - Span::from_secs(30), to + Span::from_secs(90));
            *of == patient && beat.at >= wide.0 && beat.at <= wide.1
        });
        let is_live = around.fold(true, |all, (_, beat)| {
            all && beat.is_at_its_time() && beat.was_live()
        });
        let id = Stock::get().patients[patient].0.reveal();
        let of_it = |alert: &&v1::Alert| alert.patient == id && alert.condition == "heart_rate_low";
        let onset = |alert: &v1::Alert| Time::from_micros(alert.onset_us);
        // A run goes on over gaps that are longer than what is asked of an episode here: an alert may begin before.
        let about = |alert: &&v1::Alert| onset(alert) < to + BUCKET && last(alert) >= from;
        let found: Vec<_> = alerts.iter().filter(of_it).filter(about).collect();
        let begins_with_it = |alert: &&&v1::Alert| onset(alert) >= from - Span::from_secs(20);
        let live = found.iter().filter(|alert| !alert.retrospective);
        let live = live.filter(begins_with_it).count();
        let second = |at: Time| at.since(START).as_secs_f64();
        if found.is_empty() {
            let of = alerts.iter().filter(of_it);
            let of: Vec<_> = of
                .map(|alert| {
                    (
                        alert.retrospective,
                        second(onset(alert)),
                        second(last(alert)),
                    )
                })
                .collect();
            let came = episode.iter();
            let came: Vec<_> = came
                .map(|(at, beat)| (second(*at), second(beat.known)))
                .collect();
            let (from, to) = (second(from), second(to));
            let what = format!(
                "patient {patient}: the episode {from} to {to} has no alert: {of:?}; it came {came:?}"
            );
            return broken(Property::P6, what);
        }
        if is_live && live > 1 {
            let what = format!("patient {patient}: {live} alerts for one live episode");
            return broken(Property::P6, what);
        }
        Ok(())
    }
}

/// The end of what an alert is about, as far as it is told.
fn last(alert: &v1::Alert) -> Time {
    let evidence = alert.evidence.iter().map(|of| of.effective_us).max();
    match (alert.retrospective, alert.resolved_us) {
        (true, _) => Time::from_micros(evidence.unwrap_or(alert.onset_us)),
        (false, 0) => Time::MAX,
        (false, resolved) => Time::from_micros(resolved),
    }
}
