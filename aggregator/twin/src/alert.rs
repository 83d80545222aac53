//! Alerts: what is wrong, how urgent, on what evidence, and what people did about it.
//!
//! Life: active -> acknowledged -> resolved, one alert per episode; one that becomes more urgent is active
//! again, whoever acknowledged it before. Ids count up from 1 within a twin.
//! Nothing here knows a patient: the aggregator prefixes ids.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use vitals::{Kind, Quality, Time};

use crate::care::{Calls, Comment};

/// Id of an alert within its twin; prints as `a-<n>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

impl AlertId {
    /// From `a-<n>`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("a-")?;
        let canonical = !digits.is_empty() && !digits.starts_with(['0', '+']);
        canonical.then(|| digits.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a-{}", self.0)
    }
}

/// What is wrong. `name()` is what readers see and filter by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Condition {
    /// RR intervals look like atrial fibrillation.
    AtrialFibrillation = 1,
    /// Oxygen saturation is foreseen to cross its limit.
    OxygenSaturationFalling = 2,
    /// Oxygen saturation is below its limit.
    OxygenSaturationLow = 3,
    /// Pulse above its limit.
    HeartRateHigh = 4,
    /// Pulse below its limit.
    HeartRateLow = 5,
    /// NEWS2 reached a level that asks for a response.
    EarlyWarningScore = 6,
    /// Glucose is below its limit.
    GlucoseLow = 7,
    /// Glucose is above its limit.
    GlucoseHigh = 8,
    /// Glucose is foreseen to fall below its limit.
    GlucoseFalling = 9,
    /// No heart beat for seconds.
    HeartPause = 10,
    /// The pulse is fast for so low a pressure.
    ShockIndexHigh = 11,
    /// Temperature is raised.
    Fever = 12,
    /// The resting heart rate is above what is usual for this person.
    RestingHeartRateRaised = 13,
    /// Signs of heart failure drift together over days.
    HeartFailureDrift = 14,
    /// Respiration, saturation and pulse get worse together over hours.
    BreathingDrift = 15,
    /// Mean arterial pressure is low.
    BloodPressureLow = 16,
    /// Somebody seems to have fallen and hardly moves.
    Fall = 17,
    /// Glucose is foreseen to rise above its limit.
    GlucoseRising = 18,
    /// The sensor says it is not on the body, or has not been able to measure.
    SensorOff = 20,
    /// A sensor's battery is nearly empty.
    BatteryLow = 21,
    /// A connected sensor sends nothing.
    DeviceSilent = 22,
    /// The gateway lost the link to a sensor.
    DeviceLost = 23,
    /// Nothing fresh from a gateway.
    GatewaySilent = 24,
    /// A source stamps its readings with an impossible time; they are set aside.
    ClockWrong = 25,
    /// A gateway was revoked or its stream frozen, and no other one collects what it did.
    NotMonitored = 26,
    /// Glucose fell faster than sugar falls: the sensor may be pressed upon.
    GlucoseSensorPressed = 27,
    /// Somebody else may wear the sensors.
    AnotherWearer = 28,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::AtrialFibrillation,
        Self::OxygenSaturationFalling,
        Self::OxygenSaturationLow,
        Self::HeartRateHigh,
        Self::HeartRateLow,
        Self::EarlyWarningScore,
        Self::GlucoseLow,
        Self::GlucoseHigh,
        Self::GlucoseFalling,
        Self::GlucoseRising,
        Self::HeartPause,
        Self::ShockIndexHigh,
        Self::Fever,
        Self::RestingHeartRateRaised,
        Self::HeartFailureDrift,
        Self::BreathingDrift,
        Self::BloodPressureLow,
        Self::Fall,
        Self::SensorOff,
        Self::BatteryLow,
        Self::DeviceSilent,
        Self::DeviceLost,
        Self::GatewaySilent,
        Self::ClockWrong,
        Self::NotMonitored,
        Self::GlucoseSensorPressed,
        Self::AnotherWearer,
    ];

    /// The one of that name, as [`Condition::name`] says it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The condition of one of the threshold rules, by its name; `None` for every other name.
    #[must_use]
    pub fn of_threshold(name: &str) -> Option<Self> {
        let mut conditions = crate::rule::THRESHOLDS.into_iter();
        conditions.find(|condition| condition.name() == name)
    }

    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtrialFibrillation => "atrial_fibrillation",
            Self::OxygenSaturationFalling => "oxygen_saturation_falling",
            Self::OxygenSaturationLow => "oxygen_saturation_low",
            Self::HeartRateHigh => "heart_rate_high",
            Self::HeartRateLow => "heart_rate_low",
            Self::EarlyWarningScore => "early_warning_score",
            Self::GlucoseLow => "glucose_low",
            Self::GlucoseHigh => "glucose_high",
            Self::GlucoseFalling => "glucose_falling",
            Self::GlucoseRising => "glucose_rising",
            Self::HeartPause => "heart_pause",
            Self::ShockIndexHigh => "shock_index_high",
            Self::Fever => "fever",
            Self::RestingHeartRateRaised => "resting_heart_rate_raised",
            Self::HeartFailureDrift => "heart_failure_drift",
            Self::BreathingDrift => "breathing_drift",
            Self::BloodPressureLow => "blood_pressure_low",
            Self::Fall => "fall",
            Self::SensorOff => "sensor_off",
            Self::BatteryLow => "battery_low",
            Self::DeviceSilent => "device_silent",
            Self::DeviceLost => "device_lost",
            Self::GatewaySilent => "gateway_silent",
            Self::ClockWrong => "clock_wrong",
            Self::NotMonitored => "not_monitored",
            Self::GlucoseSensorPressed => "glucose_sensor_pressed",
            Self::AnotherWearer => "another_wearer",
        }
    }

    /// About the body, or about the equipment.
    #[must_use]
    pub const fn category(self) -> Category {
        match self {
            Self::AtrialFibrillation
            | Self::OxygenSaturationFalling
            | Self::OxygenSaturationLow
            | Self::HeartRateHigh
            | Self::HeartRateLow
            | Self::EarlyWarningScore
            | Self::GlucoseLow
            | Self::GlucoseHigh
            | Self::GlucoseFalling
            | Self::GlucoseRising
            | Self::HeartPause
            | Self::ShockIndexHigh
            | Self::Fever
            | Self::RestingHeartRateRaised
            | Self::HeartFailureDrift
            | Self::BreathingDrift
            | Self::BloodPressureLow
            | Self::Fall => Category::Physiological,
            Self::SensorOff
            | Self::BatteryLow
            | Self::DeviceSilent
            | Self::DeviceLost
            | Self::GatewaySilent
            | Self::ClockWrong
            | Self::NotMonitored
            | Self::GlucoseSensorPressed
            | Self::AnotherWearer => Category::Technical,
        }
    }
}

/// How soon a person should look. Larger is more urgent; the numbers are those of `proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// Delayed.
    Low = 1,
    /// Prompt: minutes to tens of minutes.
    Medium = 2,
    /// Immediate.
    High = 3,
}

impl Priority {
    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Body or equipment. The numbers are those of `proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Category {
    /// The body.
    Physiological = 1,
    /// The equipment.
    Technical = 2,
}

/// Where in its life an alert is. The numbers are those of `proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Holds, and nobody took notice yet.
    Active = 1,
    /// Holds, and a person took notice.
    Acknowledged = 2,
    /// Holds no longer.
    Resolved = 3,
}

/// A person took notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Known time.
    pub at: Time,
    /// Who.
    pub by: String,
    /// Their words; may be empty.
    pub note: String,
}

/// One input of the decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// What was measured; `None` for evidence that is not a measurement (a link state, a heartbeat).
    pub kind: Option<Kind>,
    /// For people.
    pub label: String,
    /// The value, in the unit of `kind` or as the label says.
    pub value: Option<f64>,
    /// The limit that it is held against.
    pub limit: Option<f64>,
    /// With this value, all else as it was, the alert would not have been told; `None`: this alone would not have avoided it, or
    /// nobody can say.
    pub avoided_at: Option<f64>,
    /// When the body did it; `Time::ZERO` where it does not apply.
    pub effective: Time,
    /// What the sensor said about it.
    pub quality: Quality,
    /// Share of the decision; the shares of one alert sum to 1.
    pub contribution: f64,
    /// What people know of the patient, and nothing that was measured ([`crate::bearing`]); `effective` is then the time that it
    /// is of.
    pub known: bool,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its id within the twin.
    pub id: AlertId,
    /// What is wrong.
    pub condition: Condition,
    /// How urgent.
    pub priority: Priority,
    /// How urgent what was measured is by itself; what is known of the patient may make it more urgent.
    pub measured: Priority,
    /// Where in its life.
    pub state: State,
    /// Effective time at which the condition began, as far as the data tell.
    pub onset: Time,
    /// Known time at which it was raised.
    pub raised: Time,
    /// Set once a person took notice, also after it was resolved; empty again once it became more urgent.
    pub acknowledged: Option<Acknowledgement>,
    /// Known time at which it was resolved.
    pub resolved: Option<Time>,
    /// One sentence in clinicians' words.
    pub summary: String,
    /// One sentence in plain words.
    pub plain_summary: String,
    /// What it rests on; contributions sum to 1.
    pub evidence: Vec<Evidence>,
    /// Model or rule with its version, e.g. `news2/2`.
    pub model: &'static str,
    /// Identity of the model's definition (FNV-1a 128 of its constants; names, does not protect).
    pub model_hash: [u8; 16],
    /// Predictive alerts only: when the limit will be crossed.
    pub expected: Option<Time>,
    /// Predictive alerts only: probability of crossing within the horizon.
    pub probability: Option<f64>,
    /// Device (name and address) or gateway that it concerns; empty if it concerns none.
    pub subject: String,
    /// The evidence was past its freshness limit at known time: a finding about the past.
    pub retrospective: bool,
    /// When the gateway told the home of it by itself, because it heard nothing from the centre.
    pub told_locally: Option<Time>,
    /// Who was called about it.
    pub calls: Calls,
    /// A person silenced its condition until then.
    pub snoozed_until: Option<Time>,
    /// Whose affair it is; empty: nobody's in particular.
    pub owner: String,
    /// What people said about it, the newest last.
    pub comments: Vec<Comment>,
    /// It rested on readings that were voided.
    pub withdrawn: Option<Withdrawal>,
    /// How often it began: more than once where it came back soon after it ended ([`crate::rule::again`]).
    pub episodes: u32,
    /// It came back, and what a person said about it before still counts.
    pub quiet: bool,
    /// How often a person who had taken notice was asked again, because it lasted or went deeper.
    pub asked_again: u32,
    /// It is listed under this alert, which is of the same problem and as urgent or more: whoever is called about that one hears
    /// of both. `None`: people are called about it by itself. Never set at high priority.
    pub part_of: Option<AlertId>,
}

/// Readings were voided: they were not this patient's, or are not to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Known time.
    pub at: Time,
    /// Who voided them.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

impl Alert {
    /// Body or equipment.
    #[must_use]
    pub const fn category(&self) -> Category {
        self.condition.category()
    }

    /// The last of the measurements that it rests on; the onset where there are none.
    pub(crate) fn measured_until(&self) -> Time {
        measured_until(&self.evidence, self.onset)
    }
}

/// The last of the measurements, `onset` where there are none.
pub(crate) fn measured_until(evidence: &[Evidence], onset: Time) -> Time {
    let measured = evidence.iter().filter(|of| !of.known);
    measured.fold(onset, |until, of| until.max(of.effective))
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Change {
    /// Raised now.
    Raised = 1,
    /// More urgent now, or its onset is better known.
    Updated = 2,
    /// A person took notice.
    Acknowledged = 3,
    /// Holds no longer.
    Resolved = 4,
    /// Found in data that came late: about the past, born resolved.
    Finding = 5,
    /// Somebody is called, because nobody took notice.
    Called = 6,
    /// The last one was called, and nobody took notice.
    Unanswered = 7,
    /// A person silenced the condition.
    Snoozed = 8,
    /// A snooze is over, and it holds still.
    Woken = 9,
    /// A person said something, or whose affair it is; or it is listed under another alert of the same problem from now on.
    Noted = 10,
    /// It rested on readings that were voided since: it holds no longer, and never should have been told.
    Withdrawn = 11,
}

/// A change of an alert, with the whole alert after it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertChange {
    /// What happened.
    pub what: Change,
    /// Known time of the change (a deadline's own time when a deadline made it).
    pub at: Time,
    /// The alert as it is now.
    pub alert: Alert,
}

crate::canonical_fields! {
    AlertId { 0 }
    Withdrawal { at, by, reason }
    Acknowledgement { at, by, note }
    Evidence { kind, label, value, limit, avoided_at, effective, quality, contribution, known }
    Alert { id, condition, priority, measured, state, onset, raised, acknowledged, resolved, summary, plain_summary, evidence, model, model_hash, expected, probability, subject, retrospective, told_locally, calls, snoozed_until, owner, comments, withdrawn, episodes, quiet, asked_again, part_of }
}

crate::canonical_numbers! {
    Condition { AtrialFibrillation, OxygenSaturationFalling, OxygenSaturationLow, HeartRateHigh, HeartRateLow, EarlyWarningScore, GlucoseLow, GlucoseHigh, GlucoseFalling, GlucoseRising, HeartPause, ShockIndexHigh, Fever, RestingHeartRateRaised, HeartFailureDrift, BreathingDrift, BloodPressureLow, Fall, SensorOff, BatteryLow, DeviceSilent, DeviceLost, GatewaySilent, ClockWrong, NotMonitored, GlucoseSensorPressed, AnotherWearer }
    Priority { Low, Medium, High }
    State { Active, Acknowledged, Resolved }
}
