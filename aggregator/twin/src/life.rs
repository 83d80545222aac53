//! The life of alerts: one per condition and subject at a time, ids counting up, every change handed out whole. Resolved ones
//! are remembered for a while, so that people can still take notice of them and late data about the same episode do not report it again.
//!
//! Bounds: active alerts by the number of conditions and subjects; [`RECENT`] resolved ones.

mod gate;
mod group;
mod told;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{SourceId, Span, StreamId, Time};

use crate::alert::{
    self, Acknowledgement, Alert, AlertChange, AlertId, Change, Condition, Evidence, Priority,
    State,
};
use crate::bearing::Bearings;
use crate::canonical::Canonical;
use crate::care::{self, Act, Calls, Snooze};
use crate::local::Waiting;
use crate::rule;
use crate::rules::switch::Standings;
use crate::twin::Effect;
use crate::watch::Unsaid;

/// Resolved alerts remembered.
pub(crate) const RECENT: usize = 64;
/// Late data that end this close before an alert that is active belong to it, and a gateway's word this close to a known
/// episode is about that one.
pub(crate) const SAME_EPISODE: Span = Span::from_secs(60);

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Patient,
    Stream(StreamId),
    Source(StreamId, SourceId),
}

/// Identifies an active alert.
pub(crate) type Key = (Condition, Subject);

/// What a rule or model says when it raises.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) condition: Condition,
    pub(crate) priority: Priority,
    pub(crate) onset: Time,
    pub(crate) summary: String,
    pub(crate) plain_summary: String,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) model: &'static str,
    pub(crate) model_hash: [u8; 16],
    pub(crate) expected: Option<Time>,
    pub(crate) probability: Option<f64>,
    pub(crate) subject: String,
    pub(crate) told_locally: Option<Time>,
}

/// What to do about alerts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Say {
    Raise(Draft),
    Resolve(Condition),
    /// Found in data that came late, with its end.
    Find(Draft, Time),
}

impl Say {
    /// Of which condition.
    pub(crate) fn condition(&self) -> Condition {
        match self {
            Self::Raise(draft) | Self::Find(draft, _) => draft.condition,
            Self::Resolve(condition) => *condition,
        }
    }

    /// Does it.
    pub(crate) fn to(self, life: &mut Life, now: Time, out: &mut Vec<Effect>) {
        match self {
            Self::Raise(draft) => life.raise(Subject::Patient, draft, now, out),
            Self::Resolve(condition) => life.resolve(condition, Subject::Patient, now, out),
            Self::Find(draft, end) => life.finding(draft, end, now, out),
        }
    }
}

/// All alerts of a twin.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Life {
    /// Highest id given.
    pub(crate) last: u64,
    pub(crate) active: BTreeMap<Key, Alert>,
    pub(crate) recent: VecDeque<Alert>,
    /// What gateways told by themselves and nothing else speaks of yet.
    pub(crate) local: Waiting,
    /// Conditions that people silenced.
    snoozes: BTreeMap<Condition, Snooze>,
    /// What people did that named nothing known.
    pub(crate) unknown: u64,
    /// What is known of the person and bears upon what is raised.
    pub(crate) bearings: Bearings,
    /// Models that do not speak by the rules in force.
    pub(crate) standings: Standings,
    /// What those in shadow would have told.
    pub(crate) unsaid: BTreeMap<Condition, Unsaid>,
    /// Of that, what began in this step; empty between steps.
    unsaid_now: Vec<Condition>,
}

impl Life {
    pub(crate) fn active(&self, condition: Condition, subject: Subject) -> Option<&Alert> {
        self.active.get(&(condition, subject))
    }

    pub(crate) fn all_active(&self) -> impl Iterator<Item = &Alert> {
        self.active.values()
    }

    pub(crate) fn find(&self, id: AlertId) -> Option<&Alert> {
        self.active
            .values()
            .chain(&self.recent)
            .find(|alert| alert.id == id)
    }

    /// Raises an alert. One that is active already is left as it is, unless the new one is more urgent: then it
    /// waits for a person again, because nobody took notice of that much (the log keeps the former act).
    pub(crate) fn raise(
        &mut self,
        subject: Subject,
        mut draft: Draft,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if subject == Subject::Patient && !self.speaks(draft.condition) {
            self.keep_unsaid(draft.condition);
            return;
        }
        let key = (draft.condition, subject);
        let measured = draft.priority;
        if subject == Subject::Patient {
            self.local.join_live(&mut draft);
            self.bearings.bear_upon(&mut draft);
        }
        let holds = self.active.get(&key).map(|alert| alert.priority);
        let reached = holds.map_or(draft.priority, |of| of.max(draft.priority));
        let under = self.leader(key, reached, now);
        if let Some(alert) = self.active.get_mut(&key) {
            let joined =
                draft.told_locally.is_some() && one_with(alert, draft.onset, draft.told_locally);
            let louder = alert.quiet && draft.priority == alert.priority && !joined;
            // Also where what is known had made it as urgent before anything measured was.
            let worse = draft.priority > alert.priority || measured > alert.measured;
            if worse || louder {
                alert.priority = alert.priority.max(draft.priority);
                alert.measured = alert.measured.max(measured);
                alert.quiet = false;
                alert.asked_again += u32::from(louder);
                (alert.state, alert.acknowledged) = (State::Active, None);
                (alert.summary, alert.plain_summary) = (draft.summary, draft.plain_summary);
                alert.evidence = draft.evidence;
                (alert.model, alert.model_hash) = (draft.model, draft.model_hash);
                group::begin(alert, self.snoozes.get(&draft.condition), under, now);
                let (condition, priority) = (alert.condition, alert.priority);
                emit(Change::Updated, now, alert, out);
                self.end_snooze_at(condition, priority, now, out);
            } else if joined {
                emit(Change::Updated, now, alert, out);
            }
            return;
        }
        if let Some(alert) = self.comes_back(&draft, subject, under, now) {
            emit(Change::Updated, now, &alert, out);
            self.active.insert(key, alert);
            return;
        }
        let mut alert = self.born(draft, measured, now);
        let (condition, priority) = (alert.condition, alert.priority);
        group::begin(&mut alert, self.snooze_of(condition), under, now);
        emit(Change::Raised, now, &alert, out);
        self.active.insert(key, alert);
        self.end_snooze_at(condition, priority, now, out);
    }

    /// The alert whose episode goes on with `draft`, if there is one: it holds again. Whoever took notice of it knows; else
    /// it waits for a person anew.
    fn comes_back(
        &mut self,
        draft: &Draft,
        subject: Subject,
        under: Option<AlertId>,
        now: Time,
    ) -> Option<Alert> {
        let again = rule::again(draft.condition)?;
        let goes_on = |alert: &Alert| {
            alert.condition == draft.condition
                && alert.priority == draft.priority
                && alert
                    .resolved
                    .is_some_and(|at| now.since(at) < again.within)
                && now.since(alert.raised) < again.at_most
                && !alert.retrospective
                && alert.withdrawn.is_none()
        };
        let may = subject == Subject::Patient
            && draft.priority == Priority::Medium
            && draft.told_locally.is_none();
        let place = self.recent.iter().rposition(goes_on).filter(|_| may)?;
        let mut alert = self.recent.remove(place)?;
        alert.resolved = None;
        alert.episodes = alert.episodes.saturating_add(1);
        alert.summary = format!(
            "{} The {}. time since it began.",
            draft.summary, alert.episodes
        );
        alert.plain_summary.clone_from(&draft.plain_summary);
        alert.evidence.clone_from(&draft.evidence);
        alert.quiet = alert.acknowledged.is_some();
        if alert.quiet {
            alert.state = State::Acknowledged;
        } else {
            alert.state = State::Active;
            group::begin(&mut alert, self.snoozes.get(&draft.condition), under, now);
        }
        Some(alert)
    }

    pub(crate) fn snooze_of(&self, condition: Condition) -> Option<&Snooze> {
        self.snoozes.get(&condition)
    }

    /// A snooze ends when its condition reaches what cannot be silenced: also the milder ones are heard again.
    fn end_snooze_at(
        &mut self,
        condition: Condition,
        priority: Priority,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if !care::can_be_snoozed(priority) {
            self.end_snooze(condition, now, out);
        }
    }

    fn end_snooze(&mut self, condition: Condition, now: Time, out: &mut Vec<Effect>) {
        if self.snoozes.remove(&condition).is_none() {
            return;
        }
        let silenced = self
            .active
            .values_mut()
            .filter(|alert| alert.condition == condition && alert.snoozed_until.is_some());
        for alert in silenced {
            emit(care::wake(alert, now), now, alert, out);
        }
    }

    pub(crate) fn snoozes(&self) -> impl Iterator<Item = (Condition, &Snooze)> {
        self.snoozes
            .iter()
            .map(|(condition, snooze)| (*condition, snooze))
    }

    /// When somebody is to be called next, or a snooze ends.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let calls = self.active.values().filter_map(care::deadline);
        let snoozes = self.snoozes.values().map(|snooze| snooze.until);
        calls.chain(snoozes).min()
    }

    /// That time has come.
    pub(crate) fn care_due(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.snoozes.retain(|_, snooze| snooze.until > now);
        for alert in self.active.values_mut() {
            if care::deadline(alert).is_some_and(|due| due <= now) {
                emit(care::fire(alert, now), now, alert, out);
            }
        }
    }

    /// A person did something about an alert or condition. What names nothing known is counted.
    pub(crate) fn care(&mut self, by: &str, act: &Act, now: Time, out: &mut Vec<Effect>) {
        match act {
            Act::Comment { alert, text } => {
                let Some(alert) = self.known(*alert) else {
                    return;
                };
                care::note(alert, by, text, now);
                emit(Change::Noted, now, alert, out);
            }
            Act::Pass { alert, calls, text } => {
                let Some(alert) = self.known(*alert) else {
                    return;
                };
                if let Some(change) = care::pass(alert, *calls, now) {
                    care::note(alert, by, text, now);
                    emit(change, now, alert, out);
                }
            }
            Act::Escalate { alert, duty, text } => {
                let Some(alert) = self.known(*alert) else {
                    return;
                };
                if let Some(change) = care::escalate(alert, *duty, (by, text), now) {
                    emit(change, now, alert, out);
                }
            }
            Act::Own { alert, owner } => {
                let Some(alert) = self.known(*alert) else {
                    return;
                };
                alert.owner.clone_from(owner);
                emit(Change::Noted, now, alert, out);
            }
            Act::Snooze {
                condition,
                until,
                reason,
            } => self.snooze(*condition, (by, reason), *until, now, out),
            Act::Wake { condition } => self.end_snooze(*condition, now, out),
        }
    }

    fn snooze(
        &mut self,
        condition: Condition,
        (by, reason): (&str, &str),
        until: Time,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let until = until.min(now + rule::SNOOZE_AT_MOST);
        let of = |alert: &&mut Alert| alert.condition == condition;
        let beyond = self.active.values_mut().filter(of);
        if until <= now
            || beyond
                .into_iter()
                .any(|alert| !care::can_be_snoozed(alert.priority))
        {
            return;
        }
        self.snoozes.insert(
            condition,
            Snooze {
                by: by.into(),
                reason: reason.into(),
                since: now,
                until,
            },
        );
        for alert in self.active.values_mut().filter(of) {
            emit(care::snooze(alert, until), now, alert, out);
        }
    }

    /// The alert that a person names; one that is none is counted.
    fn known(&mut self, id: AlertId) -> Option<&mut Alert> {
        let mut alerts = self.active.values_mut().chain(&mut self.recent);
        let found = alerts.find(|alert| alert.id == id);
        self.unknown += u64::from(found.is_none());
        found
    }

    pub(crate) fn resolve(
        &mut self,
        condition: Condition,
        subject: Subject,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if subject == Subject::Patient && !self.speaks(condition) {
            // What stands waits for a person, whatever this model says now.
            if let Some(unsaid) = self.unsaid.get_mut(&condition) {
                unsaid.holds = false;
            }
            return;
        }
        self.end(condition, subject, now, out);
    }

    fn end(&mut self, condition: Condition, subject: Subject, now: Time, out: &mut Vec<Effect>) {
        let Some(mut alert) = self.active.remove(&(condition, subject)) else {
            return;
        };
        alert.state = State::Resolved;
        alert.resolved = Some(now);
        alert.snoozed_until = None;
        care::rest(&mut alert);
        emit(Change::Resolved, now, &alert, out);
        self.remember(alert);
    }

    /// Reports an episode found in late data. It belongs to a known one if it holds some of the same time, or ends so
    /// shortly before an alert that is active: then it makes the begin of that one earlier, and the end of a finding
    /// later. It never raises and never resolves. What lies beside a known one is told for itself: who read of forty bad
    /// seconds does not know of the bad hour after them.
    pub(crate) fn finding(
        &mut self,
        mut draft: Draft,
        end: Time,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if !self.speaks(draft.condition) {
            return;
        }
        self.local.join_past(&mut draft, end);
        if let Some(alert) = self.active.get_mut(&(draft.condition, Subject::Patient))
            && end + SAME_EPISODE >= alert.onset
        {
            if one_with(alert, draft.onset, draft.told_locally) {
                emit(Change::Updated, now, alert, out);
            }
            return;
        }
        let holds = |alert: &&mut Alert| {
            let until = if alert.retrospective {
                alert.measured_until()
            } else {
                alert.resolved.unwrap_or(Time::MAX)
            };
            alert.condition == draft.condition
                && alert.withdrawn.is_none()
                && alert.onset <= end
                && until >= draft.onset
        };
        if let Some(alert) = self.recent.iter_mut().find(holds) {
            let earlier = one_with(alert, draft.onset, draft.told_locally);
            let later = alert.retrospective
                && alert::measured_until(&draft.evidence, draft.onset) > alert.measured_until();
            if later {
                alert.priority = alert.priority.max(draft.priority);
                alert.measured = alert.measured.max(draft.priority);
                alert.summary = draft.summary;
                alert.plain_summary = draft.plain_summary;
                alert.evidence = draft.evidence;
            }
            if earlier || later {
                emit(Change::Updated, now, alert, out);
            }
            return;
        }
        let measured = draft.priority;
        let mut alert = self.born(draft, measured, now);
        alert.state = State::Resolved;
        alert.resolved = Some(now);
        alert.retrospective = true;
        emit(Change::Finding, now, &alert, out);
        self.remember(alert);
    }

    /// A person took notice. The first one counts.
    pub(crate) fn acknowledge(
        &mut self,
        id: AlertId,
        by: &str,
        note: &str,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(alert) = self.known(id) else {
            return;
        };
        if alert.acknowledged.is_some() {
            return;
        }
        alert.acknowledged = Some(Acknowledgement {
            at: now,
            by: by.into(),
            note: note.into(),
        });
        if alert.state == State::Active {
            alert.state = State::Acknowledged;
        }
        care::rest(alert);
        emit(Change::Acknowledged, now, alert, out);
    }

    fn born(&mut self, draft: Draft, measured: Priority, now: Time) -> Alert {
        debug_assert!(
            draft.condition.may_be(draft.priority),
            "the table of harm and onset has no such priority of {:?}",
            draft.condition
        );
        self.last += 1;
        Alert {
            id: AlertId(self.last),
            condition: draft.condition,
            priority: draft.priority,
            measured,
            state: State::Active,
            onset: draft.onset,
            raised: now,
            acknowledged: None,
            resolved: None,
            summary: draft.summary,
            plain_summary: draft.plain_summary,
            evidence: draft.evidence,
            model: draft.model,
            model_hash: draft.model_hash,
            expected: draft.expected,
            probability: draft.probability,
            subject: draft.subject,
            retrospective: false,
            told_locally: draft.told_locally,
            calls: Calls::default(),
            snoozed_until: None,
            owner: String::new(),
            comments: Vec::new(),
            withdrawn: None,
            episodes: 1,
            quiet: false,
            asked_again: 0,
            part_of: None,
        }
    }

    pub(crate) fn remember(&mut self, alert: Alert) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(alert);
    }
}

/// The newest words are kept.
/// Takes over what another word about the same episode adds; true if it added anything.
fn one_with(alert: &mut Alert, onset: Time, told_locally: Option<Time>) -> bool {
    let before = (alert.onset, alert.told_locally);
    alert.onset = alert.onset.min(onset);
    alert.told_locally = alert.told_locally.into_iter().chain(told_locally).min();
    (alert.onset, alert.told_locally) != before
}

pub(crate) fn emit(what: Change, at: Time, alert: &Alert, out: &mut Vec<Effect>) {
    out.push(Effect::Alert(Box::new(AlertChange {
        what,
        at,
        alert: alert.clone(),
    })));
}

impl Canonical for Subject {
    fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Self::Patient => to.push(0),
            Self::Stream(stream) => {
                to.push(1);
                stream.encode(to);
            }
            Self::Source(stream, source) => {
                to.push(2);
                (*stream, *source).encode(to);
            }
        }
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(match u8::decode(from)? {
            0 => Self::Patient,
            1 => Self::Stream(StreamId::decode(from)?),
            2 => Self::Source(StreamId::decode(from)?, SourceId::decode(from)?),
            _ => return None,
        })
    }
}

crate::canonical_fields! {
    Life { last, unknown, snoozes, local, bearings, standings, unsaid, unsaid_now, active, recent }
}
