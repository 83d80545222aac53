//! The state, and the one function that changes it.
//!
//! [`step`] first fires what time alone brings about, each deadline with its own time, then applies the
//! event. Nothing here reads a clock.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use vitals::{GatewayId, Kind, SourceId, StreamId, Time};

use crate::alert::{AlertChange, Condition, Withdrawal};
use crate::body::{Body, BodyDue};
use crate::canonical::{Canonical, read};
use crate::coverage::{self, Withheld};
use crate::event::{Assigned, Batch, Damaged, Event, Gap, Void};
use crate::facts::Facts;
use crate::life::{Life, Subject};
use crate::order::{Novelty, Verdict};
use crate::rule;
use crate::rules::switch::Standings;
use crate::stream::{self, Aside, Stream};
use crate::technical::{self, Due, ShutOut};
use crate::view::{BeatView, Counters};

/// What a step yields. Nothing leaves the process before the entry that made it is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// What readers see of the twin changed. At most once per step, and last.
    TwinChanged,
    /// An alert changed. In order; never conflated.
    Alert(Box<AlertChange>),
    /// A beat was found in an electrocardiogram or in light.
    Beat(Box<BeatView>),
}

/// Deadlines fired per step at most: a bound on a mistake, not on a patient.
const MAX_FIRED: usize = 10_000;

/// One patient's twin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Twin {
    pub(crate) known: Time,
    /// Shared with copies of this twin until one of them changes: most have ended, and are never touched again.
    pub(crate) streams: BTreeMap<StreamId, Arc<Stream>>,
    /// Readings on streams that are not this patient's, or were and are forgotten.
    pub(crate) stray: Counters,
    pub(crate) body: Body,
    pub(crate) life: Life,
    pub(crate) withheld: Withheld,
    pub(crate) facts: Facts,
    /// Readings that are not folded, by when they were voided; at most [`crate::event::MAX_VOIDS`].
    pub(crate) voids: Vec<Void>,
}

crate::canonical_fields! {
    Twin { known, streams, stray, body, life, withheld, facts, voids }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Body(BodyDue),
    Stream(StreamId, Due),
    Local,
    Care,
    Facts,
}

/// Fires every deadline `d <= known` in order, each with `now = d`, then applies `event` with `now = known`.
/// `known` must not run backwards; if it does, the twin's own known time stands in.
pub fn step(twin: &mut Twin, event: &Event, known: Time, out: &mut Vec<Effect>) {
    let known = known.max(twin.known);
    let told = out.len();
    let mut changed = twin.fire_until(known, out);
    twin.known = known;
    changed |= twin.apply(event, known, out);
    twin.life.group(known, out);
    // What the event itself made due (a silence that late data revealed) fires now.
    changed |= twin.fire_until(known, out);
    let unsaid = twin.life.take_unsaid();
    twin.body
        .keep_score(known, out.get(told..).unwrap_or(&[]), &unsaid);
    if changed {
        out.push(Effect::TwinChanged);
    }
}

impl Twin {
    /// A twin that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that knows nothing but what is not to be folded: what [`Twin::amend`] is given is folded from it.
    #[must_use]
    pub fn without(voids: &[Void]) -> Self {
        Self {
            voids: voids.to_vec(),
            ..Self::default()
        }
    }

    /// Readings that are not folded.
    #[must_use]
    pub fn voids(&self) -> &[Void] {
        &self.voids
    }

    /// Readings were voided: `anew` is the fold of the same log without them, from [`Twin::without`] and without what
    /// people did about alerts. Everything is as there from now on; alerts stay those that were told, and what rested on
    /// the voided readings is withdrawn.
    pub fn amend(&mut self, anew: Self, why: &Withdrawal, out: &mut Vec<Effect>) {
        let known = self.known.max(anew.known);
        let mut life = core::mem::take(&mut self.life);
        life.amend(anew.life, why, known, out);
        life.group(known, out);
        *self = Self {
            known,
            life,
            ..anew
        };
        out.push(Effect::TwinChanged);
    }

    /// Known time of the last step.
    #[must_use]
    pub const fn known(&self) -> Time {
        self.known
    }

    /// When time alone will next change this twin; append a tick then if nothing else came.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.next_item().map(|(at, _)| at)
    }

    /// Appends the canonical encoding of the whole state: equal states, equal bytes.
    pub fn canonical_bytes(&self, out: &mut Vec<u8>) {
        crate::FOLD_VERSION.encode(out);
        self.encode(out);
    }

    /// The state that [`Twin::canonical_bytes`] wrote; `None` if these are not such bytes of this fold version.
    #[must_use]
    pub fn from_canonical_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, twin) = read::<(u32, Self)>(bytes)?;
        (version == crate::FOLD_VERSION).then_some(twin)
    }

    fn next_item(&self) -> Option<(Time, Item)> {
        let body = self.body.deadline().map(|(at, due)| (at, Item::Body(due)));
        let streams = self.streams.iter().filter_map(|(id, stream)| {
            technical::deadline(*id, stream, &self.life)
                .map(|(at, due)| (at, Item::Stream(*id, due)))
        });
        let local = self.life.local.deadline().map(|at| (at, Item::Local));
        let care = self.life.deadline().map(|at| (at, Item::Care));
        let facts = self.facts.deadline();
        let facts = facts.map(|at| (at, Item::Facts));
        body.into_iter()
            .chain(streams)
            .chain(local)
            .chain(care)
            .chain(facts)
            .min()
    }

    fn fire_until(&mut self, known: Time, out: &mut Vec<Effect>) -> bool {
        let mut fired = false;
        for _ in 0..MAX_FIRED {
            let Some((at, item)) = self.next_item().filter(|(at, _)| *at <= known) else {
                break;
            };
            let now = at.max(self.known);
            self.known = now;
            fired = true;
            match item {
                Item::Body(due) => self.body.fire(due, now, &mut self.life, out),
                Item::Local => self.life.settle_local(self.body.rules_in_force(), now, out),
                Item::Care => self.life.care_due(now, out),
                Item::Facts => self.heed_facts(now, out),
                Item::Stream(id, due) => {
                    if let Some(stream) = self.streams.get_mut(&id).map(Arc::make_mut) {
                        technical::fire(id, stream, due, now, &mut self.life, out);
                    }
                }
            }
            self.life.group(now, out);
        }
        fired
    }

    fn apply(&mut self, event: &Event, known: Time, out: &mut Vec<Effect>) -> bool {
        match event {
            Event::Assigned(assigned) => self.assign(assigned, known, out),
            Event::Batch(batch) => self.batch(batch, known, out),
            Event::Malformed {
                stream,
                context,
                number,
                readings,
            } => {
                let Some(stream) = self.streams.get_mut(stream).map(Arc::make_mut) else {
                    self.stray.malformed = self.stray.malformed.saturating_add(*readings);
                    return true;
                };
                let counters = &mut stream.counters;
                match stream.order.admit(*context, *number, &[]) {
                    Verdict::New | Verdict::Partly => {
                        counters.malformed = counters.malformed.saturating_add(*readings);
                    }
                    Verdict::Duplicate => {
                        counters.duplicated = counters.duplicated.saturating_add(*readings);
                    }
                    Verdict::Forgotten => stream::set_aside(counters, Aside::Forgotten, *readings),
                }
            }
            Event::Acknowledged { alert, by, note } => {
                self.life.acknowledge(*alert, by, note, known, out);
                let lines = &self.body.rules_in_force().models;
                self.life.let_go(lines, known, out);
            }
            Event::Care { by, act } => self.life.care(by, act, known, out),
            Event::GatewayRevoked { gateway } => self.revoke(gateway, known, out),
            Event::StreamFrozen { stream } => {
                self.shut_out(&[*stream], ShutOut::Frozen, known, out);
            }
            Event::Facts {
                by,
                record,
                retract,
            } => {
                retract.iter().for_each(|id| self.facts.retract(id));
                for fact in record {
                    self.facts.record(fact, by, known);
                }
                self.heed_facts(known, out);
            }
            Event::Rules(rules) => {
                self.body.set_rules(rules);
                self.heed_facts(known, out);
            }
            Event::Collection { given } => self.withheld.say(*given, known),
            Event::Voided(void) => void.keep_in(&mut self.voids),
            Event::Tick => return false,
            Event::Restored { since } => self.lose(*since, known),
            Event::Damaged(damaged) => self.lose_part(damaged, known),
        }
        true
    }

    /// How the models stand for this person by the rules.
    pub(crate) fn standings(&self, at: Time) -> Standings {
        Standings::of(&self.body.rules_in_force().models, &self.facts, at)
    }

    /// Rules and models are told what holds now.
    fn heed_facts(&mut self, now: Time, out: &mut Vec<Effect>) {
        let context = self.facts.heed(now);
        let standings = self.standings(now);
        let lines = &self.body.rules_in_force().models;
        self.life.stand(standings, lines, now, out);
        self.body.set_context(context, now, &mut self.life, out);
    }

    fn assign(&mut self, assigned: &Assigned, known: Time, out: &mut Vec<Effect>) {
        match self.streams.get_mut(&assigned.stream).map(Arc::make_mut) {
            Some(stream) => {
                stream.assign(assigned, known);
                technical::expect_no_more(assigned.stream, stream, known, &mut self.life, out);
            }
            None => {
                self.forget_ended(known);
                self.streams
                    .insert(assigned.stream, Arc::new(Stream::new(assigned, known)));
            }
        }
    }

    /// Lets go of streams that ended so long ago that nothing of theirs is taken any more, however late it comes: their
    /// counts stay. And of what no question can reach in those that ended later.
    fn forget_ended(&mut self, known: Time) {
        let over = |stream: &Stream| {
            let ended = stream.ended();
            stream.lost.is_none() && ended.is_some_and(|at| known.since(at) > rule::MAX_AGE)
        };
        let stray = &mut self.stray;
        self.streams.retain(|_, stream| {
            let goes = over(stream);
            if goes {
                stray.add(&stream.counters);
            }
            !goes
        });
        for stream in self.streams.values_mut() {
            if !stream.lasts() && stream.is_stale(known) {
                Arc::make_mut(stream).prune(known);
            }
        }
    }

    /// Each stream may have lost readings, nobody knows how many: what is measured of that time comes again.
    fn lose(&mut self, since: Time, known: Time) {
        for stream in self.streams.values_mut().map(Arc::make_mut) {
            let counters = &mut stream.counters;
            counters.losses_of_unknown_size = counters.losses_of_unknown_size.saturating_add(1);
            let gap = Gap {
                source: SourceId(0),
                reason: coverage::CENTRE_RESTORED,
                readings: 0,
                exact: false,
                from: since,
                to: known,
            };
            stream.facts.declare(&gap, known);
        }
    }

    fn lose_part(&mut self, damaged: &Damaged, known: Time) {
        let Some(stream) = self.streams.get_mut(&damaged.stream).map(Arc::make_mut) else {
            return;
        };
        let counters = &mut stream.counters;
        counters.declared_lost = counters.declared_lost.saturating_add(damaged.readings);
        let unknown = u64::from(!damaged.exact);
        counters.losses_of_unknown_size = counters.losses_of_unknown_size.saturating_add(unknown);
        let gap = Gap {
            source: SourceId(0),
            reason: coverage::CENTRE_DAMAGED,
            readings: damaged.readings,
            exact: damaged.exact,
            from: damaged.from,
            to: damaged.to,
        };
        stream.facts.declare(&gap, known);
    }

    fn revoke(&mut self, gateway: &GatewayId, known: Time, out: &mut Vec<Effect>) {
        let of =
            |(id, stream): (&StreamId, &Arc<Stream>)| (stream.gateway == *gateway).then_some(*id);
        let ids: Vec<StreamId> = self.streams.iter().filter_map(of).collect();
        self.shut_out(&ids, ShutOut::Revoked, known, out);
    }

    fn shut_out(&mut self, ids: &[StreamId], why: ShutOut, known: Time, out: &mut Vec<Effect>) {
        let mut ended = Vec::new();
        for id in ids {
            let Some(stream) = self.streams.get_mut(id).map(Arc::make_mut) else {
                continue;
            };
            if stream.lasts() {
                ended.push(*id);
            }
            match why {
                ShutOut::Revoked => stream.revoke(known),
                ShutOut::Frozen => stream.freeze(known),
            }
            technical::expect_no_more(*id, stream, known, &mut self.life, out);
        }
        for id in ended {
            if self.is_covered(id, known) {
                continue;
            }
            if let Some(stream) = self.streams.get_mut(&id).map(Arc::make_mut) {
                technical::not_monitored(id, stream, why, known, &mut self.life, out);
            }
        }
    }

    /// True if other gateways have every sensor that `id` lost at `at`.
    fn is_covered(&self, id: StreamId, at: Time) -> bool {
        let Some(stream) = self.streams.get(&id) else {
            return true;
        };
        let mut sensors = stream.ended_at(at);
        sensors.all(|sensor| {
            let mut lists = self.streams.values().flat_map(|stream| stream.listed());
            lists.any(|listed| listed == sensor)
        })
    }

    /// A gateway with an assignment was heard: what was shut out is monitored again if others have its sensors,
    /// or if people have decided since who has which.
    fn monitored_again(&mut self, heard: StreamId, known: Time, out: &mut Vec<Effect>) {
        let Some(assigned_at) = self
            .streams
            .get(&heard)
            .filter(|stream| stream.lasts())
            .map(|stream| stream.assigned_at())
        else {
            return;
        };
        let lost = |(id, stream): (&StreamId, &Arc<Stream>)| stream.lost.map(|at| (*id, at));
        let lost: Vec<(StreamId, Time)> = self.streams.iter().filter_map(lost).collect();
        for (id, at) in lost {
            if assigned_at <= at && !self.is_covered(id, at) {
                continue;
            }
            if let Some(stream) = self.streams.get_mut(&id).map(Arc::make_mut) {
                stream.lost = None;
            }
            let subject = Subject::Stream(id);
            self.life
                .resolve(Condition::NotMonitored, subject, known, out);
        }
    }

    fn batch(&mut self, batch: &Batch, known: Time, out: &mut Vec<Effect>) {
        let count = batch.readings.len() as u64;
        let Some(stream) = self.streams.get_mut(&batch.stream).map(Arc::make_mut) else {
            stream::set_aside(&mut self.stray, Aside::Unassigned, count);
            return;
        };
        let verdict = if stream.revoked {
            None
        } else {
            Some(
                stream
                    .order
                    .admit(batch.context, batch.number, &batch.supersedes),
            )
        };
        match verdict {
            None => stream::set_aside(&mut stream.counters, Aside::Unassigned, count),
            Some(Verdict::Forgotten) => {
                stream::set_aside(&mut stream.counters, Aside::Forgotten, count);
            }
            Some(Verdict::Duplicate) => {
                stream.counters.duplicated = stream.counters.duplicated.saturating_add(count);
            }
            Some(verdict @ (Verdict::New | Verdict::Partly)) => {
                self.take(batch, verdict == Verdict::Partly, known, out);
            }
        }
    }

    fn take(&mut self, batch: &Batch, partly: bool, known: Time, out: &mut Vec<Effect>) {
        let Some(stream) = self.streams.get_mut(&batch.stream).map(Arc::make_mut) else {
            return;
        };
        let id = batch.stream;
        let (mut alive, mut fresh) = (false, false);
        for report in &batch.devices {
            if stream.report(report, known) {
                technical::heard(id, report.source, stream, known, &mut self.life, out);
            }
        }
        if let Some(heartbeat) = &batch.heartbeat {
            alive |= stream.hear(heartbeat.sent, known);
            stream.beat(heartbeat, known);
            fresh |= known.since(heartbeat.sent) < rule::GATEWAY_SILENT;
            if stream
                .heartbeat
                .as_ref()
                .is_none_or(|newest| newest.sent <= heartbeat.sent)
            {
                stream.heartbeat = Some(heartbeat.clone());
            }
        }
        if !partly {
            // The parts of a merged batch that came before have told of these losses.
            let lost: u64 = batch
                .gaps
                .iter()
                .fold(0, |sum, gap| sum.saturating_add(gap.readings));
            stream.counters.declared_lost = stream.counters.declared_lost.saturating_add(lost);
            let unknown = batch.gaps.iter().filter(|gap| !gap.exact).count() as u64;
            let counters = &mut stream.counters;
            counters.losses_of_unknown_size =
                counters.losses_of_unknown_size.saturating_add(unknown);
            for gap in &batch.gaps {
                stream.facts.declare(gap, known);
            }
        }
        for reading in &batch.readings {
            match stream.order.note(batch.context, reading) {
                Novelty::Known if partly => {
                    stream.counters.duplicated = stream.counters.duplicated.saturating_add(1);
                    continue;
                }
                Novelty::Forgotten if partly => {
                    stream.set_aside(Aside::Forgotten);
                    continue;
                }
                Novelty::New | Novelty::Known | Novelty::Forgotten => {}
            }
            let is_void = |void: &Void| void.covers(id, reading.source, reading.effective);
            if self.voids.iter().any(is_void) {
                stream.set_aside(Aside::Voided);
                continue;
            }
            if let Some(why) = stream.refuses(reading.source, reading.effective, known) {
                stream.set_aside(why);
                if matches!(why, Aside::Future | Aside::Ancient) {
                    let device = stream.devices.entry(reading.source).or_default();
                    device
                        .facts
                        .undated(reading.kind, reading.received.min(known));
                    technical::clock_wrong(
                        id,
                        stream,
                        reading.source,
                        why == Aside::Future,
                        known,
                        &mut self.life,
                        out,
                    );
                }
                continue;
            }
            stream.counters.applied += 1;
            let (effective, received) = (reading.effective.min(known), reading.received.min(known));
            alive |= stream.hear(received, known);
            fresh |= known.since(received) < rule::GATEWAY_SILENT;
            let device = stream.devices.entry(reading.source).or_default();
            let vouches = device.vouches(reading);
            if vouches {
                device.reading(reading, effective, received);
                device.facts.reading(reading, effective, known);
            }
            stream.facts.heard(received);
            if vouches {
                technical::heard(id, reading.source, stream, known, &mut self.life, out);
            }
            self.body.take(
                (id, reading.source),
                batch.context,
                reading,
                effective,
                known,
                &mut self.life,
                out,
            );
        }
        // A merged batch never holds waveforms.
        for block in batch.waveforms.iter().filter(|_| !partly) {
            let last = block.time_of(block.samples());
            // One that is another's in part is nobody's.
            let is_void = |void: &Void| void.touches(id, block.source, block.start, last);
            let is_refused = |at| stream.refuses(block.source, at, known).is_some();
            if is_refused(block.start) || is_refused(last) || self.voids.iter().any(is_void) {
                stream.set_aside_block();
                continue;
            }
            stream.counters.blocks_applied += 1;
            let received = block.received.min(known);
            alive |= stream.hear(received, known);
            fresh |= known.since(received) < rule::GATEWAY_SILENT;
            let device = stream.devices.entry(block.source).or_default();
            let flat = block.numbers.windows(2).all(|pair| pair[0] == pair[1]);
            device.block(block.quality, flat, last.min(known), received);
            stream.facts.heard(received);
            technical::heard(id, block.source, stream, known, &mut self.life, out);
            let origin = (id, block.source);
            self.body.wave(origin, block, known, &mut self.life, out);
        }
        for told in &batch.local_alerts {
            self.life.tell(told, self.body.rules_in_force(), known, out);
        }
        if alive {
            self.life
                .resolve(Condition::GatewaySilent, Subject::Stream(id), known, out);
        }
        if fresh {
            self.monitored_again(id, known, out);
        }
        self.body.settle(known, &mut self.life, out);
    }
}

/// The kind whose readings say what the pulse is, best first.
pub(crate) const PULSE: [Kind; 2] = [Kind::HeartRate, Kind::PulseRate];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_the_streams_that_do_not_change() {
        let at = |seconds: i64| Time::from_micros(1_795_219_200_000_000 + seconds * 1_000_000);
        let [former, present] = [StreamId([1; 16]), StreamId([2; 16])];
        let assigned = |stream, devices: &[&str]| {
            Event::Assigned(Assigned {
                stream,
                gateway: GatewayId::parse("gw-1").expect("valid"),
                devices: devices.iter().map(|address| (*address).into()).collect(),
                from: at(0),
            })
        };
        let (mut twin, mut out) = (Twin::new(), Vec::new());
        for (second, event) in [
            (0, assigned(former, &["AA:BB:CC:DD:EE:01"])),
            (9, assigned(former, &[])),
            (10, assigned(present, &["AA:BB:CC:DD:EE:01"])),
        ] {
            step(&mut twin, &event, at(second), &mut out);
        }
        let copy = twin.clone();
        let malformed = Event::Malformed {
            stream: present,
            context: vitals::ContextId([3; 16]),
            number: 1,
            readings: 1,
        };
        step(&mut twin, &malformed, at(11), &mut out);
        let shared = |id| Arc::ptr_eq(&twin.streams[&id], &copy.streams[&id]);
        assert!(shared(former));
        assert!(!shared(present), "control: this one changed");
        assert_eq!(
            copy.streams[&present].counters.malformed, 0,
            "and its copy did not"
        );
    }
}
