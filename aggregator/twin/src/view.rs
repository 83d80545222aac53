//! What readers are shown, computed from the state. Everything in `proto/v1/twin.proto` is here except what
//! only the aggregator knows (patient, position, hash).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use vitals::{Absence, GatewayId, Kind, Quality, SourceId, Span, StreamId, Time, Wave};

use crate::alert::{Alert, AlertId, Condition};
use crate::board::Scoreboard;
use crate::care::Snooze;
use crate::coverage;
use crate::event::{Context, Link};
use crate::facts::{Influence, Recorded};
use crate::rules::switch::{self, ModelStanding, Standing};
use crate::signal::{Beat, Counts};
use crate::stream::Stream;
use crate::twin::Twin;
use crate::watch;

/// One kind of measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelView {
    /// What is measured.
    pub kind: Kind,
    /// Latest number (by effective time, of the source that leads), in the kind's unit.
    pub value: Option<f64>,
    /// Why there is no number.
    pub absence: Option<Absence>,
    /// When the body did it.
    pub effective: Time,
    /// When the gateway got it.
    pub received: Time,
    /// The source that leads.
    pub source: SourceId,
    /// Its stream.
    pub stream: StreamId,
    /// What the sensor said about it.
    pub quality: Quality,
    /// What is usual for this person at that hour, walking or not; absent until learned.
    pub baseline: Option<f64>,
    /// Its 95 % band.
    pub band: Option<(f64, f64)>,
    /// Readings applied to this channel, all sources.
    pub count: u64,
    /// The latest reading is older than `fresh_for` at known time.
    pub stale: bool,
    /// Limit of freshness.
    pub fresh_for: Span,
    /// Another source that has lastingly said something else.
    pub disagreement: Option<DisagreementView>,
}

/// Another source of a kind says something else than the one that leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DisagreementView {
    /// Its stream.
    pub stream: StreamId,
    /// Its number.
    pub source: SourceId,
    /// What it said last, in the kind's unit.
    pub value: f64,
    /// When.
    pub effective: Time,
    /// Since when they differ.
    pub since: Time,
}

/// What is added up over the sources that count it, none twice.
#[derive(Clone, Debug, PartialEq)]
pub struct TallyView {
    /// `steps` or `energy_expended`.
    pub name: &'static str,
    /// UCUM.
    pub unit: &'static str,
    /// The last hour, to ten minutes.
    pub last_hour: u64,
    /// The last 24 hours.
    pub last_day: u64,
    /// What each source counted in the last 24 hours.
    pub sources: Vec<(StreamId, SourceId, u64)>,
}

/// A score with an interval over what is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreView {
    /// `news2`.
    pub name: &'static str,
    /// Lowest total that the missing inputs allow.
    pub low: u32,
    /// Highest total that the missing inputs allow.
    pub high: u32,
    /// Its parts, in the order of the chart.
    pub parts: Vec<ScorePart>,
    /// Known time at which it was computed.
    pub at: Time,
    /// Definition, for people.
    pub source: &'static str,
}

/// One parameter of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScorePart {
    /// For people.
    pub name: &'static str,
    /// Absent: missing or stale.
    pub points: Option<u8>,
    /// The value that was scored, after rounding.
    pub value: Option<f64>,
    /// Why it is missing; empty if it is not.
    pub missing: &'static str,
}

/// A forecast, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastView {
    /// What is foreseen.
    pub kind: Kind,
    /// Effective time of the newest data it rests on.
    pub made: Time,
    /// Horizon points; empty when the model abstains.
    pub points: Vec<ForecastPoint>,
    /// Times ahead that are left out: not good enough for this person ([`crate::board`]).
    pub unfit: Vec<Span>,
    /// Why the model abstains; empty if it does not.
    pub abstained: &'static str,
    /// Name and version.
    pub model: &'static str,
    /// Nominal coverage of the intervals.
    pub coverage_nominal: f64,
    /// Coverage that they reached on the points scored so far.
    pub coverage_observed: Option<f64>,
    /// Points scored so far.
    pub scored: u64,
    /// When the forecast crosses `threshold`.
    pub crosses: Option<Time>,
    /// The limit that matters for this kind.
    pub threshold: Option<f64>,
    /// Mean absolute error over the scored points.
    pub error: Option<f64>,
    /// The same for persistence (the mean of the last minute goes on).
    pub persistence_error: Option<f64>,
}

/// One point of a forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastPoint {
    /// Effective time.
    pub at: Time,
    /// Expected value.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What the rhythm model says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RhythmView {
    /// For people: `not enough beats`, `sinus or other`, `possible atrial fibrillation`.
    pub finding: &'static str,
    /// It is the last of them.
    pub fibrillation: bool,
    /// The model's figure.
    pub score: Option<f64>,
    /// Above it the model says atrial fibrillation.
    pub cut: f64,
    /// Beats in the window.
    pub beats: u32,
    /// Definition, for people.
    pub source: &'static str,
}

/// How a model that watches for one thing stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelView {
    /// Name and version.
    pub model: &'static str,
    /// What it raises.
    pub condition: Condition,
    /// It raises it; else it is in shadow.
    pub live: bool,
    /// Its figure now.
    pub figure: Option<f64>,
    /// From there on it speaks.
    pub cut: f64,
    /// Why it has no figure; empty if it has one.
    pub abstained: &'static str,
    /// How often it would have spoken, had it been live.
    pub unsaid: u32,
}

/// A beat found in a waveform.
#[derive(Clone, Debug, PartialEq)]
pub struct BeatView {
    /// Its stream.
    pub stream: StreamId,
    /// Its source.
    pub source: SourceId,
    /// What it was found in.
    pub wave: Wave,
    /// When it was, the interval that it ends, its quality.
    pub beat: Beat,
    /// It is among those that the rhythm model looks at: no better source's beats count in its place.
    pub counts: bool,
    /// What the rhythm model says at it; none where the beat does not count, or lies before others that were there.
    pub rhythm: Option<RhythmView>,
}

/// A sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceView {
    /// Its number within the stream.
    pub source: SourceId,
    /// Its stream.
    pub stream: StreamId,
    /// As the device names itself.
    pub name: String,
    /// As the device names its model.
    pub model: String,
    /// Bluetooth address; empty until the gateway reported it.
    pub address: String,
    /// Link state; `None` until the gateway reported it.
    pub link: Option<Link>,
    /// Since when (agent's clock).
    pub since: Time,
    /// Percent.
    pub battery_percent: Option<u8>,
    /// On the body?
    pub contact: Option<bool>,
    /// Newest effective time of its readings.
    pub last_reading: Option<Time>,
}

/// A gateway's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayView {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its stream.
    pub stream: StreamId,
    /// When its newest heartbeat was sealed.
    pub last_heartbeat: Option<Time>,
    /// Nothing fresh came for longer than the bound.
    pub silent: bool,
    /// It may no longer write.
    pub revoked: bool,
    /// Sealed records not yet receipted, as of its newest heartbeat.
    pub buffer_records: u64,
    /// Scalar readings decoded, as of its newest heartbeat.
    pub readings_decoded: u64,
    /// What became of its readings.
    pub counters: Counters,
}

/// What became of scalar readings. `applied + duplicated + quarantined` is what parsed batches held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Folded into the twin.
    pub applied: u64,
    /// Had been folded before.
    pub duplicated: u64,
    /// Set aside, all reasons.
    pub quarantined: u64,
    /// Of these: measured before the assignment began.
    pub quarantined_before_assignment: u64,
    /// Of these: on a stream that is not assigned or was revoked, or measured while the sensor was not on its
    /// list.
    pub quarantined_unassigned: u64,
    /// Of these: stamped in the future.
    pub quarantined_future: u64,
    /// Of these: stamped more than a year ago.
    pub quarantined_ancient: u64,
    /// Of these: from a context so old, or a number so far behind, that it can no longer be told whether they
    /// were applied.
    pub quarantined_forgotten: u64,
    /// Of these: voided by people.
    pub quarantined_voided: u64,
    /// Declared lost by the gateway.
    pub declared_lost: u64,
    /// Declared losses of which the gateway could not say how many readings they took.
    pub losses_of_unknown_size: u64,
    /// In batches that did not parse, as their stubs count.
    pub malformed: u64,
    /// Blocks of waveforms folded into the twin ...
    pub blocks_applied: u64,
    /// ... and set aside: outside the assignment, or of an impossible time.
    pub blocks_quarantined: u64,
    /// Acknowledgements that named no known alert (only in the twin's own counters).
    pub unknown_alerts: u64,
    /// Facts that were not taken: more than are kept, or unfit.
    pub facts_refused: u64,
}

impl Counters {
    /// Adds another's counts.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.applied = self.applied.saturating_add(other.applied);
        self.duplicated = self.duplicated.saturating_add(other.duplicated);
        self.quarantined = self.quarantined.saturating_add(other.quarantined);
        self.quarantined_before_assignment = self
            .quarantined_before_assignment
            .saturating_add(other.quarantined_before_assignment);
        self.quarantined_unassigned = self
            .quarantined_unassigned
            .saturating_add(other.quarantined_unassigned);
        self.quarantined_future = self
            .quarantined_future
            .saturating_add(other.quarantined_future);
        self.quarantined_ancient = self
            .quarantined_ancient
            .saturating_add(other.quarantined_ancient);
        self.quarantined_forgotten = self
            .quarantined_forgotten
            .saturating_add(other.quarantined_forgotten);
        self.quarantined_voided = self
            .quarantined_voided
            .saturating_add(other.quarantined_voided);
        self.declared_lost = self.declared_lost.saturating_add(other.declared_lost);
        self.losses_of_unknown_size = self
            .losses_of_unknown_size
            .saturating_add(other.losses_of_unknown_size);
        self.malformed = self.malformed.saturating_add(other.malformed);
        self.blocks_applied = self.blocks_applied.saturating_add(other.blocks_applied);
        self.blocks_quarantined = self
            .blocks_quarantined
            .saturating_add(other.blocks_quarantined);
        self.unknown_alerts = self.unknown_alerts.saturating_add(other.unknown_alerts);
        self.facts_refused = self.facts_refused.saturating_add(other.facts_refused);
    }
}

impl Twin {
    /// Channels, by kind.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelView> {
        self.body.channels(self.known)
    }

    /// What is added up over a day: steps, energy.
    #[must_use]
    pub fn tallies(&self) -> Vec<TallyView> {
        self.body.tallies(self.known)
    }

    /// Scores.
    #[must_use]
    pub fn scores(&self) -> Vec<ScoreView> {
        self.body.scores(self.known)
    }

    /// Forecasts, also those that abstain.
    #[must_use]
    pub fn forecasts(&self) -> Vec<ForecastView> {
        let off = |condition| self.life.standings.get(condition).0 == Standing::Off;
        let sweet = || off(Condition::GlucoseFalling) && off(Condition::GlucoseRising);
        let quiet = |kind: Kind| {
            kind == Kind::OxygenSaturation && off(Condition::OxygenSaturationFalling)
                || kind == Kind::InterstitialGlucose && sweet()
        };
        let mut forecasts = self.body.forecasts(self.known);
        for forecast in &mut forecasts {
            if quiet(forecast.kind) {
                forecast.points.clear();
                (forecast.abstained, forecast.crosses) = (switch::OFF, None);
            }
        }
        forecasts
    }

    /// What the rhythm model says.
    #[must_use]
    pub fn rhythm(&self) -> RhythmView {
        let rhythm = self.body.rhythm(self.known);
        if self.life.standings.get(Condition::AtrialFibrillation).0 != Standing::Off {
            return rhythm;
        }
        RhythmView {
            finding: switch::OFF,
            fibrillation: false,
            score: None,
            ..rhythm
        }
    }

    /// The models that watch for one thing each.
    #[must_use]
    pub fn models(&self) -> Vec<ModelView> {
        let told = self.body.models().into_iter().map(|model| {
            let (standing, _) = self.life.standings.get(model.condition);
            let unsaid = self.life.unsaid.get(&model.condition);
            let unsaid = unsaid.map_or(0, |unsaid| unsaid.times);
            let model = ModelView {
                live: model.live && standing == Standing::Live,
                unsaid: model.unsaid.saturating_add(unsaid),
                ..model
            };
            (standing, model)
        });
        // Nothing is said of one that is off.
        let shown = told.filter(|(standing, _)| *standing != Standing::Off);
        shown.map(|(_, model)| model).collect()
    }

    /// How good the models are for this person.
    #[must_use]
    pub fn scoreboard(&self) -> Scoreboard {
        self.body.scoreboard()
    }

    /// What became of the blocks of electrocardiograms, by source.
    #[must_use]
    pub fn ecg_counts(&self) -> Vec<(StreamId, SourceId, Counts)> {
        let counts = self.body.ecg_counts();
        counts
            .map(|((stream, source), counts)| (stream, source, counts))
            .collect()
    }

    /// The same of photoplethysmograms.
    #[must_use]
    pub fn ppg_counts(&self) -> Vec<(StreamId, SourceId, Counts)> {
        let counts = self.body.ppg_counts();
        counts
            .map(|((stream, source), counts)| (stream, source, counts))
            .collect()
    }

    /// When the beats are said for which a waveform waits, if no more of it comes.
    #[must_use]
    pub fn beats_deadline(&self) -> Option<Time> {
        self.body.beats_deadline()
    }

    /// What is known about the patient that no sensor measures, by id.
    pub fn facts(&self) -> impl Iterator<Item = &Recorded> {
        self.facts.all()
    }

    /// What these facts, and what was learned of this person, change at the moment.
    #[must_use]
    pub fn influences(&self) -> Vec<Influence> {
        let mut told = self.facts.influences(self.known);
        told.extend(self.body.learned_limit().map(|_| Influence {
            fact: String::new(),
            effect: "nights: the lower limit of the heart rate is this person's own, between 35 and 40/min; what is urgent below 30/min stays",
        }));
        told
    }

    /// How the models stand for this person, and why those do not speak that do not.
    #[must_use]
    pub fn model_standings(&self) -> Vec<ModelStanding> {
        let context = self.context();
        let lines = &self.rules().models;
        let inapplicable = |condition: Condition| {
            if watch::is_shadow(condition) {
                Some((Standing::Shadow, switch::NOT_BY_CARD))
            } else if condition == Condition::HeartFailureDrift && !context.heart_may_fail() {
                Some((Standing::Shadow, switch::HEART_NOT_KNOWN))
            } else if condition == Condition::OxygenSaturationFalling && context.oxygen_target_88_92
            {
                Some((Standing::Off, switch::NOT_FOR_TARGET))
            } else if condition == Condition::EarlyWarningScore && context.early_warning_unfit {
                Some((Standing::Off, switch::NOT_FOR_THEM))
            } else {
                None
            }
        };
        let all = switch::SWITCHED.into_iter().chain([switch::SCORE]);
        all.map(|(condition, model)| {
            let (ruled, line) = self.life.standings.get(condition);
            let by_rules = (ruled != Standing::Live).then(|| {
                let line = line.and_then(|line| lines.get(line));
                (ruled, switch::because(line))
            });
            let by_itself = inapplicable(condition).map(|(standing, why)| (standing, why.into()));
            // What keeps it quieter counts.
            let why = by_rules
                .into_iter()
                .chain(by_itself)
                .max_by_key(|(of, _)| *of);
            let (standing, why) = why.unwrap_or((Standing::Live, String::new()));
            let unsaid = self.life.unsaid.get(&condition);
            let by_rules = unsaid.map_or(0, |unsaid| unsaid.times);
            ModelStanding {
                condition,
                model,
                standing,
                why,
                unsaid: by_rules.saturating_add(self.body.unsaid(condition)),
            }
        })
        .collect()
    }

    /// What rules and models are told of them.
    #[must_use]
    pub const fn context(&self) -> Context {
        self.body.context()
    }

    /// Sensors, by stream and number.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceView> {
        let of_stream = |(id, stream): (&StreamId, &Arc<Stream>)| {
            let id = *id;
            let view =
                move |(source, device): (&vitals::SourceId, &crate::device::Device)| DeviceView {
                    source: *source,
                    stream: id,
                    name: device.name.clone(),
                    model: device.model.clone(),
                    address: device.address.clone(),
                    link: device.link,
                    since: device.since,
                    battery_percent: device.battery.map(|(_, percent)| percent),
                    contact: device.contact,
                    last_reading: device.measured,
                };
            stream
                .devices
                .iter()
                .map(move |(source, device)| view((source, device)))
                .collect::<Vec<_>>()
        };
        self.streams.iter().flat_map(of_stream).collect()
    }

    /// What each stretch of `window` was, for `kinds` (empty: all that were ever measured), as known at `now`.
    #[must_use]
    pub fn coverage(&self, kinds: &[Kind], window: (Time, Time), now: Time) -> Vec<coverage::Line> {
        coverage::lines(
            &self.streams,
            &self.withheld,
            kinds,
            window,
            now.max(self.known),
        )
    }

    /// Gateways' streams.
    #[must_use]
    pub fn gateways(&self) -> Vec<GatewayView> {
        let view = |(id, stream): (&StreamId, &Arc<Stream>)| GatewayView {
            gateway: stream.gateway.clone(),
            stream: *id,
            last_heartbeat: stream.heartbeat.as_ref().map(|heartbeat| heartbeat.sent),
            silent: stream.silent,
            revoked: stream.is_shut_out(),
            buffer_records: stream
                .heartbeat
                .as_ref()
                .map_or(0, |heartbeat| heartbeat.buffer_records),
            readings_decoded: stream
                .heartbeat
                .as_ref()
                .map_or(0, |heartbeat| heartbeat.readings_decoded),
            counters: stream.counters,
        };
        self.streams.iter().map(view).collect()
    }

    /// Alerts that hold, most urgent first, then oldest first.
    #[must_use]
    pub fn alerts(&self) -> Vec<&Alert> {
        let mut alerts: Vec<&Alert> = self.life.all_active().collect();
        alerts.sort_by(|a, b| b.priority.cmp(&a.priority).then(a.id.cmp(&b.id)));
        alerts
    }

    /// An alert that holds, or that was resolved not long ago.
    #[must_use]
    pub fn alert(&self, id: AlertId) -> Option<&Alert> {
        self.life.find(id)
    }

    /// Conditions that people silenced.
    pub fn snoozes(&self) -> impl Iterator<Item = (Condition, &Snooze)> {
        self.life.snoozes()
    }

    /// Sums over all streams, unassigned ones included.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut sum = self.stray;
        for stream in self.streams.values() {
            sum.add(&stream.counters);
        }
        sum.unknown_alerts = self.life.unknown;
        sum.facts_refused = self.facts.refused;
        sum
    }
}

crate::canonical_fields! {
    Counters { applied, duplicated, quarantined, quarantined_before_assignment, quarantined_unassigned, quarantined_future, quarantined_ancient, quarantined_forgotten, quarantined_voided, declared_lost, losses_of_unknown_size, malformed, blocks_applied, blocks_quarantined, unknown_alerts, facts_refused }
}
