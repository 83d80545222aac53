//! PURE. Survival: while nothing authentic comes from the centre, or what comes proves no care because the day's bytes
//! are spent and it gets no vitals to watch, the few critical alerts are raised here.
//!
//! * The rules are the centre's own, as the crate `twin` runs them ([`twin::sentinel`]); none is written twice. What a centre
//!   changed about them for everybody comes signed ([`rules`]); what it knows about a patient does not come here.
//! * Silence is judged by authentic receipts, never by the state of a connection: heartbeats are receipted, so a
//!   centre that works says something every half minute. It begins after [`Limits::after`] and ends when
//!   receipts have come for [`Limits::clear`] without such a gap, so a line that flickers rings nothing twice.
//! * What is raised becomes a [`Signal`] (for log, hook and page: it names a condition, never a patient or a
//!   value) and a sealed word to the centre, which makes it one with its own alert.
//! * When the centre is heard again it watches again: what still holds is handed over, with its onset.
//!
//! Must not know: clocks, processes, sealing. [`hook`] is the shell that runs a command for each signal.

pub mod hook;
pub mod rules;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use proto::v1::LocalAlert;
use twin::rules::Rules;
use twin::sentinel::Sentinel;
use twin::{Alert, Condition};
use vitals::{Reading, SourceId, Span, StreamId, Time};

/// When silence begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nothing authentic for this long is silence; `None`: never.
    pub after: Option<Span>,
    /// Receipts must have come for this long to end it.
    pub clear: Span,
}

/// What people at home are to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What happened.
    pub what: What,
    /// To which condition.
    pub condition: Condition,
}

/// What happened to a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It began, and nobody else may know.
    Raised,
    /// It is over.
    Resolved,
    /// The centre is heard again and takes over.
    HandedOver,
}

impl What {
    /// The word that a hook gets.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Resolved => "resolved",
            Self::HandedOver => "handed-over",
        }
    }
}

/// The rules at work on one stream, and when they have something to do although nothing comes: asked after each event.
#[derive(Debug, Default)]
struct Watch {
    sentinel: Sentinel,
    due: Option<Time>,
}

/// The machine.
#[derive(Debug)]
pub struct Survival {
    limits: Limits,
    rules: Arc<Rules>,
    streams: BTreeMap<StreamId, Watch>,
    /// The last authentic receipt; at first, the start.
    heard: Time,
    /// Since when it came without a gap.
    heard_since: Time,
    is_silent: bool,
    raised: BTreeMap<(StreamId, Condition), LocalAlert>,
    signals: VecDeque<Signal>,
    words: VecDeque<(StreamId, LocalAlert)>,
}

impl Survival {
    /// Nothing assigned; the centre counts as heard.
    #[must_use]
    pub fn new(limits: Limits, now: Time) -> Self {
        Self {
            limits,
            rules: Arc::new(Rules::BUILT_IN),
            streams: BTreeMap::new(),
            heard: now,
            heard_since: now,
            is_silent: false,
            raised: BTreeMap::new(),
            signals: VecDeque::new(),
            words: VecDeque::new(),
        }
    }

    /// The streams that are collected now. One that is gone is watched no longer.
    pub fn assign(&mut self, streams: impl Iterator<Item = StreamId>, now: Time) {
        let mut before = std::mem::take(&mut self.streams);
        for stream in streams {
            let mut watch = before.remove(&stream).unwrap_or_default();
            watch.sentinel.go_by(&self.rules);
            self.streams.insert(stream, watch);
        }
        for stream in before.keys() {
            self.look_at(*stream, now);
        }
    }

    /// What comes from now on is judged by these rules.
    pub fn go_by(&mut self, rules: Rules) {
        self.rules = Arc::new(rules);
        for watch in self.streams.values_mut() {
            watch.sentinel.go_by(&self.rules);
        }
    }

    /// Readings that were decoded.
    pub fn take(&mut self, origin: (StreamId, SourceId), readings: &[Reading], now: Time) {
        if let Some(watch) = self.streams.get_mut(&origin.0) {
            watch.sentinel.take(origin, readings, now);
            watch.due = watch.sentinel.next_deadline();
            self.look_at(origin.0, now);
        }
    }

    /// An authentic receipt came.
    pub fn heard(&mut self, now: Time) {
        if self.is_long_ago(now) {
            self.heard_since = now;
        }
        self.heard = now;
        self.judge(now);
    }

    /// The line came back: what holds is said again, so that the centre knows that it still does.
    pub fn line_up(&mut self) {
        for ((stream, _), word) in &mut self.raised {
            let kind = vitals::Kind::from_wire(word.kind);
            let sentinel = self.streams.get(stream).map(|watch| &watch.sentinel);
            if let Some((value, at)) = sentinel.zip(kind).and_then(|(s, kind)| s.newest(kind)) {
                (word.value, word.as_of_us) = (value, at.as_micros());
            }
            self.words.push_back((*stream, word.clone()));
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now: Time) {
        if self.streams.is_empty() {
            // Nothing is sent, so nothing is receipted.
            (self.heard, self.heard_since) = (now, now);
        }
        for watch in self.streams.values_mut() {
            if watch.due.is_some_and(|due| due <= now) {
                watch.sentinel.pass(now);
                watch.due = watch.sentinel.next_deadline();
            }
        }
        self.judge(now);
    }

    /// When [`Survival::tick`] has something to do although nothing comes.
    #[must_use]
    pub fn next_deadline(&self) -> Time {
        let rules = self.streams.values().filter_map(|watch| watch.due);
        let silence = self.limits.after.filter(|_| !self.is_silent);
        let silence = silence.filter(|_| !self.streams.is_empty());
        let silence = silence.map(|after| self.heard + after);
        rules.chain(silence).min().unwrap_or(Time::MAX)
    }

    /// The next signal for the home.
    pub fn poll_signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }

    /// The next word for the centre, to be sealed for its stream.
    pub fn poll_word(&mut self) -> Option<(StreamId, LocalAlert)> {
        self.words.pop_front()
    }

    /// True while alerts are raised here.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// How many alerts raised here hold, and since when the first of them.
    #[must_use]
    pub fn holding(&self) -> (usize, Option<Time>) {
        let since = self.raised.values().map(|word| word.raised_us).min();
        (self.raised.len(), since.map(Time::from_micros))
    }

    fn is_long_ago(&self, now: Time) -> bool {
        let after = self.limits.after;
        after.is_some_and(|after| now.since(self.heard) >= after)
    }

    fn judge(&mut self, now: Time) {
        if !self.is_silent && self.is_long_ago(now) {
            self.is_silent = true;
            tracing::warn!("the centre is silent: critical alerts are raised here from now on");
        } else if self.is_silent
            && !self.is_long_ago(now)
            && self.heard.since(self.heard_since) >= self.limits.clear
        {
            self.is_silent = false;
            tracing::info!("the centre is heard again: it raises the alerts");
            for (_, condition) in std::mem::take(&mut self.raised).into_keys() {
                let what = What::HandedOver;
                self.signals.push_back(Signal { what, condition });
            }
        }
        if self.is_silent {
            for stream in self.streams.keys().copied().collect::<Vec<_>>() {
                self.look_at(stream, now);
            }
        }
    }

    /// Raises what holds and was not raised yet; ends what holds no longer.
    fn look_at(&mut self, stream: StreamId, now: Time) {
        if !self.is_silent {
            return;
        }
        let sentinel = self.streams.get(&stream).map(|watch| &watch.sentinel);
        let holds: Vec<&Alert> = sentinel.into_iter().flat_map(Sentinel::critical).collect();
        for alert in &holds {
            let key = (stream, alert.condition);
            if let (false, Some(word)) = (self.raised.contains_key(&key), word(alert, now)) {
                self.signals.push_back(Signal {
                    what: What::Raised,
                    condition: alert.condition,
                });
                self.words.push_back((stream, word.clone()));
                self.raised.insert(key, word);
            }
        }
        let is_over = |(of, condition): &&(StreamId, Condition)| {
            *of == stream && holds.iter().all(|alert| alert.condition != *condition)
        };
        let over: Vec<_> = self.raised.keys().filter(is_over).copied().collect();
        for (stream, condition) in over {
            let Some(mut word) = self.raised.remove(&(stream, condition)) else {
                continue;
            };
            word.resolved_us = now.as_micros();
            self.words.push_back((stream, word));
            let what = What::Resolved;
            self.signals.push_back(Signal { what, condition });
        }
    }
}

fn word(alert: &Alert, now: Time) -> Option<LocalAlert> {
    let evidence = alert.evidence.first()?;
    Some(LocalAlert {
        condition: alert.condition.name().to_owned(),
        kind: evidence.kind?.wire(),
        value: evidence.value?,
        limit: evidence.limit?,
        onset_us: alert.onset.min(now).as_micros(),
        raised_us: now.as_micros(),
        as_of_us: evidence.effective.as_micros(),
        resolved_us: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::{Fixed, Kind, Quality, Value};

    const STREAM: StreamId = StreamId([7; 16]);
    const LIMITS: Limits = Limits {
        after: Some(Span::from_secs(180)),
        clear: Span::from_secs(60),
    };

    fn at(seconds: i64) -> Time {
        Time::from_micros(1_800_000_000_000_000) + Span::from_secs(seconds)
    }

    fn survival() -> Survival {
        let mut survival = Survival::new(LIMITS, at(0));
        survival.assign([STREAM].into_iter(), at(0));
        survival
    }

    /// A second of an oximeter; the centre receipts it or not.
    fn second(survival: &mut Survival, second: i64, saturation: f64, receipted: bool) {
        let kind = Kind::OxygenSaturation;
        let reading = Reading {
            kind,
            value: Value::Measured(Fixed::from_f64(kind, saturation).expect("small")),
            source: SourceId(1),
            sequence: u64::try_from(second).expect("positive"),
            effective: at(second),
            received: at(second),
            quality: Quality::GOOD,
            device: None,
        };
        survival.take((STREAM, SourceId(1)), &[reading], at(second));
        if receipted {
            survival.heard(at(second));
        }
        survival.tick(at(second));
    }

    fn told(survival: &mut Survival) -> Vec<&'static str> {
        std::iter::from_fn(|| survival.poll_signal())
            .map(|signal| {
                assert_eq!(signal.condition, Condition::OxygenSaturationLow);
                signal.what.as_str()
            })
            .collect()
    }

    fn words(survival: &mut Survival) -> Vec<LocalAlert> {
        std::iter::from_fn(|| survival.poll_word())
            .map(|(stream, word)| {
                assert_eq!(stream, STREAM);
                word
            })
            .collect()
    }

    #[test]
    fn a_centre_that_is_heard_is_left_to_raise_its_alerts() {
        let mut survival = survival();
        for s in 0..900 {
            second(&mut survival, s, 80.0, s % 30 == 0);
        }
        assert!(!survival.is_silent());
        assert_eq!(told(&mut survival), [""; 0]);
        assert_eq!(words(&mut survival), []);
    }

    #[test]
    fn silence_rings_once_for_what_began_before_it_and_says_when_it_is_over() {
        let mut survival = survival();
        for s in 0..400 {
            second(&mut survival, s, if s < 100 { 97.0 } else { 80.0 }, s == 0);
        }
        assert!(survival.is_silent());
        assert_eq!(told(&mut survival), ["raised"]);
        let raised = words(&mut survival);
        let [word] = raised.as_slice() else {
            panic!("one word, not {raised:?}");
        };
        assert_eq!(
            word.onset_us,
            at(100).as_micros(),
            "durations were complete"
        );
        assert_eq!(
            word.raised_us,
            at(180).as_micros(),
            "as soon as it was silent"
        );
        assert_eq!((word.value, word.limit), (80.0, 88.0));
        assert_eq!(survival.holding(), (1, Some(at(180))));
        for s in 400..500 {
            second(&mut survival, s, 97.0, false);
        }
        assert_eq!(told(&mut survival), ["resolved"]);
        let over = words(&mut survival);
        assert!(over.len() == 1 && over[0].resolved_us > at(460).as_micros());
        assert_eq!(over[0].onset_us, word.onset_us);
        assert_eq!(survival.holding(), (0, None));
    }

    #[test]
    fn a_line_that_flickers_ends_nothing_and_a_steady_one_takes_over() {
        let mut survival = survival();
        for s in 0..300 {
            second(&mut survival, s, 80.0, false);
        }
        assert_eq!(told(&mut survival), ["raised"]);
        let _first = words(&mut survival);
        // The line comes back: it is said again with fresh evidence, but one receipt is no steady centre.
        survival.line_up();
        let again = words(&mut survival);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].as_of_us, at(299).as_micros());
        for s in 300..359 {
            second(&mut survival, s, 80.0, s % 30 == 0);
        }
        assert!(survival.is_silent());
        assert_eq!(told(&mut survival), [""; 0]);
        for s in 359..400 {
            second(&mut survival, s, 80.0, s % 30 == 0);
        }
        assert!(!survival.is_silent());
        assert_eq!(told(&mut survival), ["handed-over"]);
        assert_eq!(survival.holding(), (0, None));
        // The centre knows that it holds; it finds by itself when it is over.
        assert_eq!(words(&mut survival), []);
    }

    #[test]
    fn receipts_with_a_gap_between_them_are_no_steady_contact() {
        let mut survival = survival();
        for s in 0..1200 {
            // A receipt every four minutes: each ends a silence of more than three.
            second(&mut survival, s, 97.0, s % 240 == 0 && s > 0);
        }
        assert!(survival.is_silent());
    }

    #[test]
    fn without_a_patient_and_when_switched_off_there_is_no_silence() {
        let mut alone = Survival::new(LIMITS, at(0));
        alone.tick(at(86_400));
        assert!(!alone.is_silent());
        assert_eq!(alone.next_deadline(), Time::MAX);
        let off = Limits {
            after: None,
            ..LIMITS
        };
        let mut off = Survival::new(off, at(0));
        off.assign([STREAM].into_iter(), at(0));
        for s in 0..400 {
            second(&mut off, s, 80.0, false);
        }
        assert!(!off.is_silent() && told(&mut off).is_empty());
    }

    /// A centre whose most urgent limit of saturation is 90 %.
    #[test]
    fn the_rules_of_the_centre_are_gone_by_for_streams_of_now_and_of_later() {
        let mut strict = Rules::BUILT_IN;
        strict.oxygen_low.levels = twin::rules::Levels::new(&[
            strict.oxygen_low.levels[0],
            twin::rules::Level {
                cut: 90.0,
                ..strict.oxygen_low.levels[1]
            },
        ])
        .expect("two");
        for first in [false, true] {
            let mut survival = Survival::new(LIMITS, at(0));
            if first {
                survival.go_by(strict.clone());
            }
            survival.assign([STREAM].into_iter(), at(0));
            if !first {
                survival.go_by(strict.clone());
            }
            (0..240).for_each(|s| second(&mut survival, s, 89.0, false));
            assert_eq!(told(&mut survival), ["raised"], "{first}");
            assert_eq!(words(&mut survival)[0].limit, 90.0);
        }
        // Control: by what is built in 89 % is urgent only once it lasts.
        let mut survival = survival();
        (0..240).for_each(|s| second(&mut survival, s, 89.0, false));
        assert_eq!(told(&mut survival), [""; 0]);
    }

    #[test]
    fn a_stream_that_is_taken_away_rings_no_longer() {
        let mut survival = survival();
        for s in 0..300 {
            second(&mut survival, s, 80.0, false);
        }
        survival.assign(std::iter::empty(), at(300));
        assert_eq!(told(&mut survival), ["raised", "resolved"]);
    }
}
