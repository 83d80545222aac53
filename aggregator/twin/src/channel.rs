//! One kind of measurement: the latest value, which source leads, what is usual, and the last half hour.
//!
//! *Latest* goes by effective time: late data never replace newer data. One source leads a kind (`fusion` has the
//! policies); another
//! takes over only when the leader has had nothing usable for the kind's freshness limit, or so little that
//! the other sent [`rule::TAKE_OVER_AFTER`] readings meanwhile. So two sensors that disagree do not look like
//! a body that jumps. Readings of other sources are counted and kept
//! in the journal, and move nothing here.

use vitals::{Fixed, Kind, Quality, Reading, SourceId, Span, StreamId, Time, Value};

use crate::baseline::Baseline;
use crate::forecast::{self, Forecaster};
use crate::fusion::{Policy, Rivalry, policy};
use crate::rule;
use crate::view::ChannelView;
use crate::window::Window;

/// A source of the patient's: sources are numbered within streams.
pub(crate) type Origin = (StreamId, SourceId);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Latest {
    origin: Origin,
    value: Value,
    effective: Time,
    received: Time,
    quality: Quality,
}

/// What a reading is to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The newest of the source that leads.
    Newest,
    /// Of the source that leads, but older than what is known.
    Late,
    /// Of another source.
    Aside,
}

/// One kind of measurement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Channel {
    kind: Kind,
    latest: Option<Latest>,
    /// Newest usable effective time of the leader.
    usable: Option<Time>,
    /// Value of it.
    usable_value: f64,
    /// The time between it and the one before it.
    pace: Option<Span>,
    /// Another source, and how much it sent that is newer than `usable`.
    rival: Option<(Origin, u32)>,
    rivalry: Rivalry,
    count: u64,
    baseline: Baseline,
    /// Time has been noticed to pass the freshness limit of `latest` and of `usable`.
    stale: bool,
    usable_stale: bool,
    /// A reading with nothing around it, so far: perhaps a spot check.
    pub(crate) lone: Option<Time>,
    /// The newest reading is beyond a cut, or of a slow sensor, and the ten seconds that it is in are not judged yet.
    pub(crate) unjudged: Option<Time>,
    /// The window of the source that led until now, to be looked through; empty between steps.
    pub(crate) left: Option<(Origin, Window)>,
    pub(crate) window: Option<Window>,
    pub(crate) forecaster: Option<Forecaster>,
}

impl Channel {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            latest: None,
            usable: None,
            usable_value: 0.0,
            pace: None,
            rival: None,
            rivalry: Rivalry::default(),
            count: 0,
            baseline: Baseline::default(),
            stale: false,
            usable_stale: false,
            lone: None,
            unjudged: None,
            left: None,
            window: rule::is_tracked(kind).then(|| Window::new(kind)),
            forecaster: forecast::rule(kind).map(|_| Forecaster::new(kind)),
        }
    }

    /// Takes a reading of this kind; `effective` is its time, cut to known time. `walks`: whether this person walked; `None`: it may be
    /// of somebody else, and nothing is learned.
    pub(crate) fn take(
        &mut self,
        origin: Origin,
        reading: &Reading,
        effective: Time,
        known: Time,
        walks: Option<bool>,
    ) -> Role {
        self.count += 1;
        let number = usable(reading);
        // Anybody can send an advert: it takes the place of nothing that came over a link.
        let advert = reading.quality.has(Quality::ADVERTISED);
        if advert
            && self.latest.is_some_and(|latest| {
                !latest.quality.has(Quality::ADVERTISED)
                    && known.since(latest.effective) < rule::fresh_for(self.kind)
            })
        {
            return Role::Aside;
        }
        if self.latest.is_some_and(|latest| latest.origin != origin) {
            if !advert {
                self.compare(origin, effective, number);
            }
            if !self.takes_over(origin, effective, number) {
                return Role::Aside;
            }
        }
        if let Some((fixed, walks)) = number.zip(walks) {
            self.baseline.take(self.kind, effective, fixed, walks);
        }
        if self
            .latest
            .is_some_and(|latest| latest.origin == origin && effective < latest.effective)
        {
            // Late, and yet it can be the newest that is usable.
            if let Some(fixed) =
                number.filter(|_| self.usable.is_none_or(|usable| effective > usable))
            {
                self.set_usable(effective, fixed, known);
            }
            return Role::Late;
        }
        if let Some(latest) = self.latest.filter(|latest| latest.origin != origin) {
            self.restart(latest.origin);
            (self.usable, self.pace) = (None, None);
        }
        self.latest = Some(Latest {
            origin,
            value: reading.value,
            effective,
            received: reading.received,
            quality: reading.quality,
        });
        self.stale = known.since(effective) >= rule::fresh_for(self.kind);
        if let Some(fixed) = number {
            self.set_usable(effective, fixed, known);
        }
        Role::Newest
    }

    /// True if the newest usable reading is about now.
    pub(crate) fn is_fresh(&self, now: Time) -> bool {
        self.usable
            .is_some_and(|usable| now.since(usable) < rule::fresh_for(self.kind))
    }

    /// When the newest usable reading was measured.
    pub(crate) const fn measured(&self) -> Option<Time> {
        self.usable
    }

    /// The newest usable reading came longer after the one before it than a spot check waits for company.
    pub(crate) fn is_slow(&self) -> bool {
        self.pace.is_some_and(|pace| pace > rule::SPOT_AFTER)
    }

    /// The value that scores use (the last minute's mean for streaming kinds), with its time, or why there
    /// is none.
    pub(crate) fn observation(&self, now: Time) -> Result<(f64, Time), &'static str> {
        let Some(usable) = self.usable.filter(|_| self.is_fresh(now)) else {
            return Err(match self.latest {
                None => "not measured",
                Some(latest) if matches!(latest.value, Value::Absent(_)) => {
                    "the sensor cannot measure"
                }
                Some(latest) if !latest.quality.usable() => "the readings are not usable",
                Some(_) => "too old",
            });
        };
        let mean = self.window.as_ref().and_then(Window::last_minute);
        Ok((mean.unwrap_or(self.usable_value), usable))
    }

    /// When time alone changes what is shown.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let fresh_for = rule::fresh_for(self.kind);
        let latest = self
            .latest
            .filter(|_| !self.stale)
            .map(|latest| latest.effective + fresh_for);
        let usable = self
            .usable
            .filter(|_| !self.usable_stale)
            .map(|usable| usable + fresh_for);
        latest.into_iter().chain(usable).min()
    }

    /// Notices what is no longer about now.
    pub(crate) fn notice(&mut self, now: Time) {
        let fresh_for = rule::fresh_for(self.kind);
        self.stale |= self
            .latest
            .is_some_and(|latest| latest.effective + fresh_for <= now);
        self.usable_stale |= self.usable.is_some_and(|usable| usable + fresh_for <= now);
    }

    /// The source that leads, with its window.
    pub(crate) fn leader(&self) -> Option<(Origin, &Window)> {
        Some((self.latest?.origin, self.window.as_ref()?))
    }

    pub(crate) fn quality(&self) -> Quality {
        self.latest.map_or(Quality::GOOD, |latest| latest.quality)
    }

    /// For readers. `walks`: this person, now.
    pub(crate) fn view(&self, known: Time, walks: bool) -> Option<ChannelView> {
        let latest = self.latest?;
        let learned = self.baseline.learned(self.kind, latest.effective, walks);
        let (value, absence) = match latest.value {
            Value::Measured(fixed) => (Some(fixed.to_f64(self.kind)), None),
            Value::Absent(absence) => (None, Some(absence)),
        };
        Some(ChannelView {
            kind: self.kind,
            value,
            absence,
            effective: latest.effective,
            received: latest.received,
            source: latest.origin.1,
            stream: latest.origin.0,
            quality: latest.quality,
            baseline: learned.map(|(level, _)| level),
            band: learned.map(|(_, band)| band),
            count: self.count,
            stale: known.since(latest.effective) >= rule::fresh_for(self.kind),
            fresh_for: rule::fresh_for(self.kind),
            disagreement: self.rivalry.view(self.kind, latest.origin, known),
        })
    }

    fn takes_over(&mut self, origin: Origin, effective: Time, number: Option<Fixed>) -> bool {
        let newer = self
            .latest
            .is_some_and(|latest| effective > latest.effective);
        let Some(usable) = self.usable else {
            // A leader that never measured anything yields to any number.
            return number.is_some();
        };
        if number.is_none() || !newer {
            return false;
        }
        let sent = match self.rival {
            Some((rival, sent)) if rival == origin => sent.saturating_add(1),
            Some(_) | None => 1,
        };
        self.rival = Some((origin, sent));
        // A measurement that stands for hours is followed by the next one, whoever takes it; but a leader that streams is
        // not interrupted by a spot check of something else (a patch under the arm, a thermometer in the ear).
        let streams = self.pace.is_some_and(|pace| pace <= rule::joins(self.kind));
        if policy(self.kind) == Policy::Interval
            && (!streams || effective.since(usable) >= rule::joins(self.kind))
        {
            return true;
        }
        sent >= rule::TAKE_OVER_AFTER || effective.since(usable) >= rule::fresh_for(self.kind)
    }

    /// Another source's number beside the leader's.
    fn compare(&mut self, origin: Origin, effective: Time, number: Option<Fixed>) {
        if let (Some(fixed), Some(latest), Some(usable)) = (number, self.latest, self.usable) {
            let leader = (latest.origin, self.usable_value, usable);
            let other = (origin, fixed.to_f64(self.kind), effective);
            self.rivalry.compare(self.kind, leader, other);
        }
    }

    fn set_usable(&mut self, effective: Time, fixed: Fixed, known: Time) {
        self.pace = self.usable.map(|before| effective.since(before));
        self.usable = Some(effective);
        self.rival = None;
        self.usable_value = fixed.to_f64(self.kind);
        self.usable_stale = known.since(effective) >= rule::fresh_for(self.kind);
    }

    fn restart(&mut self, leader: Origin) {
        (self.lone, self.unjudged) = (None, None);
        if let Some(window) = &mut self.window {
            self.left = Some((leader, window.clone()));
            window.clear();
        }
        if let Some(forecaster) = &mut self.forecaster {
            forecaster.restart();
        }
    }
}

/// The number, if models may use it.
pub(crate) fn usable(reading: &Reading) -> Option<Fixed> {
    match reading.value {
        Value::Measured(fixed) if reading.quality.usable() => Some(fixed),
        Value::Measured(_) | Value::Absent(_) => None,
    }
}

crate::canonical_fields! {
    Latest { origin, value, effective, received, quality }
    Channel { kind, latest, usable, usable_value, pace, rival, rivalry, count, baseline, stale, usable_stale, lone, unjudged, left, window, forecaster }
}
