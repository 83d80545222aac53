//! Rules as data: freshness limits, thresholds with their durations and hysteresis, bounds on clocks and
//! silence. The engine code holds no number of its own.
//!
//! Every table's constants enter the hash that each alert carries (see [`definition`]). Priorities follow the
//! consequence-and-onset table of IEC 60601-1-8: death or irreversible injury with prompt onset is high,
//! reversible injury with prompt onset is medium, what only delays care is low.

use alloc::format;
use alloc::string::String;

use vitals::{Kind, Span};

use crate::alert::{Condition, Priority};
use crate::care::Duty;
use crate::event::Context;

/// How old a reading may be and still be about *now*.
///
/// Streaming sensors send every second or so; 60 s bridges a reconnect and a slow link. Respiratory rate is
/// an average over a minute. Thermometers and cuffs store their readings and are used a few times a day:
/// what they say stays true for hours, and NEWS2 has no other source for it.
#[must_use]
pub const fn fresh_for(kind: Kind) -> Span {
    match kind {
        Kind::HeartRate
        | Kind::RrInterval
        | Kind::PulseRate
        | Kind::OxygenSaturation
        | Kind::PulseAmplitudeIndex
        | Kind::PulseInterval => Span::from_secs(60),
        Kind::RespiratoryRate => Span::from_mins(5),
        // A continuous glucose monitor sends every one to five minutes.
        Kind::EnergyExpended
        | Kind::StepCount
        | Kind::StepsTaken
        | Kind::InterstitialGlucose
        | Kind::GlucoseRate
        | Kind::RoomTemperature => Span::from_mins(15),
        Kind::SystolicPressure
        | Kind::DiastolicPressure
        | Kind::MeanPressure
        | Kind::BloodGlucose
        | Kind::MealContext
        | Kind::Carbohydrates => Span::from_mins(2 * 60),
        Kind::BodyTemperature => Span::from_mins(4 * 60),
        // Changes over days: stepping on the scale once a day is enough.
        Kind::BatteryLevel
        | Kind::BodyWeight
        | Kind::BodyFat
        | Kind::BodyMassIndex
        | Kind::BodyHeight
        | Kind::MuscleMass
        | Kind::MusclePart
        | Kind::FatFreeMass
        | Kind::SoftLeanMass
        | Kind::BodyWaterMass
        | Kind::BodyImpedance
        | Kind::BasalMetabolism
        | Kind::HaemoglobinA1c => Span::from_mins(24 * 60),
    }
}

/// The longest time between two readings of a source that counts as measured throughout: several times what
/// streaming sensors take.
#[must_use]
pub const fn joins(kind: Kind) -> Span {
    let fresh = fresh_for(kind);
    match fresh.as_micros() / 1_000_000 {
        ..=60 => Span::from_secs(10),
        61..=300 => Span::from_secs(60),
        _ if is_sparse(kind) => Span::from_mins(5),
        _ => fresh,
    }
}

/// True for what is measured a few times a day at most, by devices that sleep in between.
#[must_use]
pub const fn is_sparse(kind: Kind) -> bool {
    fresh_for(kind).as_micros() >= Span::from_mins(2 * 60).as_micros()
}

/// A measurement that is taken now and then stands for a day at most: once a day is what cuffs and scales are
/// asked for.
pub const STANDS_AT_MOST: Span = Span::from_mins(24 * 60);

/// Usable readings that another source must send after the leader's newest one to take over from it: the
/// leader is too sparse to watch by, or about to be gone.
pub const TAKE_OVER_AFTER: u32 = 20;

/// True for what the body does (and not the equipment): only these say that a sensor is on the body.
#[must_use]
pub const fn is_about_the_body(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::BatteryLevel
            | Kind::StepCount
            | Kind::StepsTaken
            | Kind::EnergyExpended
            | Kind::RoomTemperature
    )
}

/// True for kinds whose last half hour is kept.
#[must_use]
pub const fn is_tracked(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::HeartRate | Kind::PulseRate | Kind::OxygenSaturation | Kind::RespiratoryRate
    )
}

/// A stamp further ahead of known time than this is set aside; less is cut to known time. Gateways keep time
/// by NTP: minutes mean a wrong clock, seconds mean skew.
pub const MAX_AHEAD: Span = Span::from_mins(5);
/// A stamp older than this is set aside. Backlog of a year is no backlog; it is a clock that was never set.
pub const MAX_AGE: Span = Span::from_mins(366 * 24 * 60);

/// When a condition that ended and comes back is the same episode, and when a person is asked again about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Again {
    /// It comes back so soon after it ended ...
    pub within: Span,
    /// ... and no later than this after it was first told: then it is told as a new one.
    pub at_most: Span,
    /// Whoever took notice is asked again when it then lasts for this long (twice as long each further time) ...
    pub lasting: Span,
    /// ... or is this much further beyond its limit, in the kind's unit (half as much more each further time).
    pub deeper: f64,
}

/// What may come back as the same episode; `None`: what comes back is told as new. Only what is of medium priority each
/// time. A slow heart in sleep passes its limit again and again all night; who has looked at it once knows. What is low
/// in oxygen or sugar again is a new danger each time.
#[must_use]
pub const fn again(condition: Condition) -> Option<Again> {
    if matches!(condition, Condition::HeartRateLow) {
        return Some(Again {
            within: Span::from_mins(16 * 60),
            at_most: Span::from_mins(24 * 60),
            lasting: Span::from_mins(10),
            deeper: 5.0,
        });
    }
    None
}

/// On which side of the cut the trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Below the cut.
    Below,
    /// Above the cut.
    Above,
}

/// A cut and how long the ten-second means must be beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// In the kind's unit; the cut itself is fine.
    pub cut: f64,
    /// How long beyond it.
    pub hold: Span,
    /// What it then is.
    pub priority: Priority,
}

/// Up to three levels of a rule.
#[derive(Clone, Copy, PartialEq)]
pub struct Levels {
    of: [Level; 3],
    count: usize,
}

impl Levels {
    const fn of(levels: &[Level]) -> Self {
        let mut of = [levels[0]; 3];
        let mut place = 1;
        while place < levels.len() {
            of[place] = levels[place];
            place += 1;
        }
        Self {
            of,
            count: levels.len(),
        }
    }
}

impl core::ops::Deref for Levels {
    type Target = [Level];

    fn deref(&self) -> &[Level] {
        self.of.get(..self.count).unwrap_or_default()
    }
}

impl core::fmt::Debug for Levels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What is prescribed for one patient in place of the first limit for everybody; in the kinds' units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Heart rate below which people are told.
    pub heart_rate_low: Option<u16>,
    /// Heart rate above which people are told.
    pub heart_rate_high: Option<u16>,
    /// Oxygen saturation below which people are told.
    pub oxygen_low: Option<u16>,
}

impl Limits {
    /// What a limit of that name may be. None reaches what is most urgent for everybody, and none is so narrow that a
    /// healthy person passes it all day.
    #[must_use]
    pub fn range(name: &str) -> Option<core::ops::RangeInclusive<u16>> {
        match name {
            "heart_rate_low" => Some(31..=60),
            "heart_rate_high" => Some(100..=149),
            "oxygen_saturation_low" => Some(89..=95),
            _ => None,
        }
    }

    const fn at(&self, condition: Condition) -> Option<u16> {
        match condition {
            Condition::HeartRateLow => self.heart_rate_low,
            Condition::HeartRateHigh => self.heart_rate_high,
            Condition::OxygenSaturationLow => self.oxygen_low,
            Condition::AtrialFibrillation
            | Condition::OxygenSaturationFalling
            | Condition::EarlyWarningScore
            | Condition::GlucoseLow
            | Condition::GlucoseHigh
            | Condition::GlucoseFalling
            | Condition::HeartPause
            | Condition::ShockIndexHigh
            | Condition::Fever
            | Condition::RestingHeartRateRaised
            | Condition::HeartFailureDrift
            | Condition::BreathingDrift
            | Condition::BloodPressureLow
            | Condition::Fall
            | Condition::SensorOff
            | Condition::BatteryLow
            | Condition::DeviceSilent
            | Condition::DeviceLost
            | Condition::GatewaySilent
            | Condition::ClockWrong
            | Condition::NotMonitored => None,
        }
    }
}

/// A threshold rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// What it raises.
    pub condition: Condition,
    /// Kinds, best first: a later one counts only while the earlier ones are not fresh.
    pub kinds: &'static [Kind],
    /// Which side.
    pub side: Side,
    /// First the level that raises, then those that make it more urgent.
    pub levels: Levels,
    /// It is over when the means were this far back inside the first cut (hysteresis) ...
    pub clear_by: f64,
    /// ... for this long.
    pub clear_hold: Span,
    /// For people.
    pub label: &'static str,
}

const HALF_MINUTE: Span = Span::from_secs(30);
const MINUTE: Span = Span::from_secs(60);

/// Scale 1 of NEWS2 gives 3 points at 91 % and below; below 88 % is where oxygen is given whatever the
/// disease. Staying below 92 % for five minutes is as urgent.
const OXYGEN_LEVELS: [Level; 3] = [
    Level {
        cut: 92.0,
        hold: HALF_MINUTE,
        priority: Priority::Medium,
    },
    Level {
        cut: 88.0,
        hold: HALF_MINUTE,
        priority: Priority::High,
    },
    Level {
        cut: 92.0,
        hold: Span::from_mins(5),
        priority: Priority::High,
    },
];
/// With a prescribed target of 88-92 % (NEWS2 scale 2), 3 points begin at 83 %.
const OXYGEN_LEVELS_SCALE_2: [Level; 2] = [
    Level {
        cut: 88.0,
        hold: MINUTE,
        priority: Priority::Medium,
    },
    Level {
        cut: 84.0,
        hold: HALF_MINUTE,
        priority: Priority::High,
    },
];
/// NEWS2 gives 3 points at 131/min and above. A minute, because climbing stairs passes.
const FAST_LEVELS: [Level; 2] = [
    Level {
        cut: 130.0,
        hold: MINUTE,
        priority: Priority::Medium,
    },
    Level {
        cut: 150.0,
        hold: Span::from_mins(2),
        priority: Priority::High,
    },
];
/// NEWS2 gives 3 points at 40/min and below.
const SLOW_LEVELS: [Level; 2] = [
    Level {
        cut: 40.0,
        hold: HALF_MINUTE,
        priority: Priority::Medium,
    },
    Level {
        cut: 30.0,
        hold: HALF_MINUTE,
        priority: Priority::High,
    },
];

const PULSE: &[Kind] = &[Kind::HeartRate, Kind::PulseRate];

/// The threshold rules; `scale_2`: the patient has a prescribed oxygen target of 88-92 %.
#[must_use]
pub const fn thresholds(scale_2: bool) -> [Threshold; 3] {
    [
        Threshold {
            condition: Condition::OxygenSaturationLow,
            kinds: &[Kind::OxygenSaturation],
            side: Side::Below,
            levels: if scale_2 {
                Levels::of(&OXYGEN_LEVELS_SCALE_2)
            } else {
                Levels::of(&OXYGEN_LEVELS)
            },
            clear_by: 1.0,
            clear_hold: MINUTE,
            label: "Oxygen saturation",
        },
        Threshold {
            condition: Condition::HeartRateHigh,
            kinds: PULSE,
            side: Side::Above,
            levels: Levels::of(&FAST_LEVELS),
            clear_by: 5.0,
            clear_hold: MINUTE,
            label: "Heart rate",
        },
        Threshold {
            condition: Condition::HeartRateLow,
            kinds: PULSE,
            side: Side::Below,
            levels: Levels::of(&SLOW_LEVELS),
            clear_by: 3.0,
            clear_hold: MINUTE,
            label: "Heart rate",
        },
    ]
}

/// The threshold rules for one patient. A limit of their own takes the place of the first cut, and of the same cut for
/// longer where it is further out; what is most urgent for everybody stays.
#[must_use]
pub fn personal(context: &Context) -> [Threshold; 3] {
    let scale_2 = context.oxygen_target_88_92;
    thresholds(scale_2).map(|mut rule| {
        let prescribed = scale_2 && rule.condition == Condition::OxygenSaturationLow;
        let own = context.limits.at(rule.condition).map(f64::from);
        let Some(own) = own.filter(|_| !prescribed) else {
            return rule;
        };
        let first = rule.levels.of[0].cut;
        for (place, level) in rule.levels.of.iter_mut().enumerate() {
            let further = match rule.side {
                Side::Below => own < first,
                Side::Above => own > first,
            };
            if level.cut == first && (place == 0 || further) {
                level.cut = own;
            }
        }
        rule
    })
}

/// A single reading with nothing within this span before it and after it is a spot check: it stands for its
/// whole hold time.
pub const SPOT_BEFORE: Span = Span::from_mins(5);
/// The longest hold time that a spot check can stand for.
pub const SPOT_STANDS_FOR: Span = Span::from_mins(2);
/// How long to wait for another reading before a lone one counts as a spot check.
pub const SPOT_AFTER: Span = HALF_MINUTE;

/// Late data that showed trouble about the past is reported when no more of it came for this long.
pub const FINDING_AFTER: Span = MINUTE;

/// How long a gateway's own alert that is not called over waits for live data to speak: an agent that was started
/// anew finds its sensors again within a minute or two, and then a rule needs its duration.
pub const LOCAL_WAITS: Span = Span::from_mins(5);

/// NEWS2 must stay at a level for this long: single parameters flicker at their cuts.
pub const NEWS2_HOLD: Span = MINUTE;
/// The same where pulse and respiration alone bring the total to where it is: stairs, a walk, a quarrel do that, and pass. It
/// is a sum of time: what it falls below for a while is subtracted. NEWS2 asks for a response within the hour.
pub const NEWS2_STRAIN_HOLD: Span = Span::from_mins(30);
/// What the other parameters may score then: more than one point is no exertion.
pub const NEWS2_STRAIN_OTHERS: u32 = 1;
/// NEWS2 aggregate that asks for an urgent response (RCP 2017).
pub const NEWS2_URGENT: u32 = 5;
/// NEWS2 aggregate that asks for an emergency response (RCP 2017).
pub const NEWS2_EMERGENCY: u32 = 7;

/// Atrial fibrillation must be positive for this long: the guideline's shortest episode is 30 s.
pub const RHYTHM_HOLD: Span = HALF_MINUTE;
/// ... and negative for this long before it is over.
pub const RHYTHM_CLEAR: Span = MINUTE;

/// A sensor that says it is off the body is reported after this long.
pub const OFF_HOLD: Span = HALF_MINUTE;
/// A sensor that cannot measure, without saying why, is reported after this long.
pub const UNABLE_HOLD: Span = MINUTE;
/// Usable readings for this long end it.
pub const OFF_CLEAR: Span = Span::from_secs(10);
/// What a sensor said longer ago than this says nothing about now.
pub const OFF_FRESH: Span = Span::from_mins(5);

/// Battery at or below this percentage is low ...
pub const BATTERY_LOW: u8 = 15;
/// ... until it is at or above this one.
pub const BATTERY_CLEAR: u8 = 20;

/// A source is streaming once it sent this many notifications ...
pub const STREAMING_AFTER: u32 = 10;
/// ... at a typical interval of at most this.
pub const STREAMING_INTERVAL: Span = Span::from_mins(1);
/// A streaming source is silent after this many typical intervals ...
pub const SILENT_INTERVALS: i64 = 10;
/// ... but not before this.
pub const SILENT_AT_LEAST: Span = Span::from_secs(90);

/// A lost link is reported after this long: sensors pass out of range and come back.
pub const LOST_HOLD: Span = Span::from_mins(2);
/// A sensor that never was seen is reported after this long.
pub const NEVER_SEEN_HOLD: Span = Span::from_mins(10);

/// Heartbeats are sealed every 30 s; six missed ones are silence.
pub const GATEWAY_SILENT: Span = Span::from_mins(3);
/// A gateway that never said anything is reported this long after its assignment.
pub const GATEWAY_NEVER: Span = Span::from_mins(10);
/// Beat of the gateways' heart.
pub const HEARTBEAT: Span = Span::from_secs(30);

/// A wrong clock is over when stamps were right for this long.
pub const CLOCK_CLEAR: Span = MINUTE;

/// One call of a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// After the alert began to wait for a person.
    pub after: Span,
    /// Who is called.
    pub duty: Duty,
}

/// Who is called about an alert while nobody takes notice, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// In order; the first at once.
    pub rungs: &'static [Rung],
    /// When it is recorded that nobody answered; `None`: the last one called has all the time.
    pub end: Option<Span>,
}

const fn rung(minutes: i64, duty: Duty) -> Rung {
    Rung {
        after: Span::from_mins(minutes),
        duty,
    }
}

/// The ladder of a priority. High priority asks for a person within minutes (IEC 60601-1-8: immediate response), so
/// three people are called within six and the end is recorded after ten; medium asks for a prompt response; low is
/// for whoever watches, in their own time. A team's own times are a rule of theirs, not of a standard.
#[must_use]
pub const fn ladder(priority: Priority) -> Ladder {
    match priority {
        Priority::High => Ladder {
            rungs: const {
                &[
                    rung(0, Duty::Nurse),
                    rung(3, Duty::Doctor),
                    rung(6, Duty::Supervisor),
                ]
            },
            end: Some(Span::from_mins(10)),
        },
        Priority::Medium => Ladder {
            rungs: const { &[rung(0, Duty::Nurse), rung(30, Duty::Doctor)] },
            end: Some(Span::from_mins(60)),
        },
        Priority::Low => Ladder {
            rungs: const { &[rung(0, Duty::Nurse)] },
            end: None,
        },
    }
}

/// The longest snooze: a shift. What is to be silent for longer is a matter of the patient's own limits.
pub const SNOOZE_AT_MOST: Span = Span::from_mins(12 * 60);

/// True for what a gateway tells the home by itself while it hears nothing from the centre: what the threshold
/// rules call most urgent.
#[must_use]
pub fn is_critical(condition: Condition, priority: Priority) -> bool {
    priority == Priority::High && Condition::of_threshold(condition.name()) == Some(condition)
}

/// This person's own lower limit of the heart rate, from the usual floor of their nights: below it by [`NIGHT_MARGIN`] is not
/// usual for them. Within [`NIGHT_LIMITS`]: never where it is urgent for everybody, never stricter than for everybody.
#[must_use]
pub fn night_limit(usual_floor: f64) -> Option<u16> {
    let own = libm::floor(usual_floor - NIGHT_MARGIN).clamp(NIGHT_LIMITS.0, NIGHT_LIMITS.1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "35 to 40"
    )]
    (own < NIGHT_LIMITS.1).then_some(own as u16)
}

/// See [`night_limit`]; per minute.
pub const NIGHT_MARGIN: f64 = 2.0;
/// See [`night_limit`]; per minute.
pub const NIGHT_LIMITS: (f64, f64) = (35.0, 40.0);

/// The definition of the threshold rules for one patient, for the hash that alerts carry.
#[must_use]
pub fn definition(context: &Context) -> String {
    let mut text =
        format!("thresholds/3 bucket 10 s trimmed mean nights {NIGHT_MARGIN} {NIGHT_LIMITS:?}\n");
    for rule in personal(context) {
        text.push_str(&format!(
            "{rule:?} fresh {:?} again {:?}\n",
            rule.kinds.first().map(|kind| fresh_for(*kind)),
            again(rule.condition)
        ));
    }
    text
}

/// The definition of the technical rules.
#[must_use]
pub fn technical_definition() -> String {
    format!(
        "technical/2 off {OFF_HOLD:?} unable {UNABLE_HOLD:?} clear {OFF_CLEAR:?} fresh {OFF_FRESH:?} battery \
         {BATTERY_LOW} {BATTERY_CLEAR} streaming {STREAMING_AFTER} {STREAMING_INTERVAL:?} silent \
         {SILENT_INTERVALS} {SILENT_AT_LEAST:?} lost {LOST_HOLD:?} never {NEVER_SEEN_HOLD:?} gateway \
         {GATEWAY_SILENT:?} {GATEWAY_NEVER:?} clock {MAX_AHEAD:?} {MAX_AGE:?} {CLOCK_CLEAR:?} \
         not monitored at once"
    )
}

/// FNV-1a with 128 bits: names a definition, does not protect it.
#[must_use]
pub fn fingerprint(definition: &str) -> [u8; 16] {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = definition.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    hash.to_be_bytes()
}

crate::canonical_fields! {
    Limits { heart_rate_low, heart_rate_high, oxygen_low }
}
