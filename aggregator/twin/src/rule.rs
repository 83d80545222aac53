//! Rules as data: freshness limits, thresholds with their durations and hysteresis, bounds on clocks and
//! silence. The engine code holds no number of its own.
//!
//! Every table's constants enter the hash that each alert carries (see [`definition`]). Priorities are those of the
//! table of harm and onset in [`crate::urgency`].

use alloc::format;
use alloc::string::String;

use vitals::{Kind, Span};

use crate::alert::{Condition, Priority};
use crate::care::Duty;
use crate::event::Context;
pub use crate::rules::{Cuts, Level, Levels, Rules, Side};

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
            | Condition::GlucoseRising
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
            | Condition::NotMonitored
            | Condition::GlucoseSensorPressed
            | Condition::AnotherWearer => None,
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

const PULSE: &[Kind] = &[Kind::HeartRate, Kind::PulseRate];

/// What threshold rules raise.
pub const THRESHOLDS: [Condition; 3] = [
    Condition::OxygenSaturationLow,
    Condition::HeartRateHigh,
    Condition::HeartRateLow,
];

/// True for kinds that a threshold rule is about.
#[must_use]
pub fn is_watched(kind: Kind) -> bool {
    kind == Kind::OxygenSaturation || PULSE.contains(&kind)
}

/// The threshold rules; `scale_2`: the patient has a prescribed oxygen target of 88-92 %.
#[must_use]
pub const fn thresholds(rules: &Rules, scale_2: bool) -> [Threshold; 3] {
    const fn of(
        condition: Condition,
        kinds: &'static [Kind],
        side: Side,
        cuts: &Cuts,
        label: &'static str,
    ) -> Threshold {
        Threshold {
            condition,
            kinds,
            side,
            levels: cuts.levels,
            clear_by: cuts.clear_by,
            clear_hold: cuts.clear_hold,
            label,
        }
    }
    let oxygen = if scale_2 {
        &rules.oxygen_low_88_92
    } else {
        &rules.oxygen_low
    };
    let [low, fast, slow] = THRESHOLDS;
    [
        of(
            low,
            &[Kind::OxygenSaturation],
            Side::Below,
            oxygen,
            "Oxygen saturation",
        ),
        of(
            fast,
            PULSE,
            Side::Above,
            &rules.heart_rate_high,
            "Heart rate",
        ),
        of(
            slow,
            PULSE,
            Side::Below,
            &rules.heart_rate_low,
            "Heart rate",
        ),
    ]
}

/// What a threshold rule goes by, for everybody; `None`: no threshold rule has that condition.
#[must_use]
pub const fn cuts(rules: &Rules, condition: Condition) -> Option<&Cuts> {
    if matches!(condition, Condition::OxygenSaturationLow) {
        Some(&rules.oxygen_low)
    } else if matches!(condition, Condition::HeartRateHigh) {
        Some(&rules.heart_rate_high)
    } else if matches!(condition, Condition::HeartRateLow) {
        Some(&rules.heart_rate_low)
    } else {
        None
    }
}

/// The same, to be changed.
#[must_use]
pub const fn cuts_mut(rules: &mut Rules, condition: Condition) -> Option<&mut Cuts> {
    if matches!(condition, Condition::OxygenSaturationLow) {
        Some(&mut rules.oxygen_low)
    } else if matches!(condition, Condition::HeartRateHigh) {
        Some(&mut rules.heart_rate_high)
    } else if matches!(condition, Condition::HeartRateLow) {
        Some(&mut rules.heart_rate_low)
    } else {
        None
    }
}

/// The cut that raises, for everybody.
#[must_use]
pub fn first_cut(cuts: &Cuts) -> f64 {
    cuts.levels.first().map_or(0.0, |level| level.cut)
}

/// The threshold rules for one patient. A limit of their own takes the place of the first cut, and of the same cut for
/// longer where it is further out; what is most urgent for everybody stays.
#[must_use]
pub fn personal(rules: &Rules, context: &Context) -> [Threshold; 3] {
    let scale_2 = context.oxygen_target_88_92;
    thresholds(rules, scale_2).map(|mut rule| {
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

/// What the others than pulse and respiration may score where these two alone strain NEWS2: more than one point is no exertion.
pub const NEWS2_STRAIN_OTHERS: u32 = 1;
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

/// Alerts of one problem that began to wait within it are listed together.
pub const SAME_MINUTES: Span = Span::from_mins(5);
/// What was listed for so long was seen by whoever takes notice of the alert that it is listed under.
pub const SEEN: Span = Span::from_secs(10);

/// The longest snooze: a shift. What is to be silent for longer is a matter of the patient's own limits.
pub const SNOOZE_AT_MOST: Span = Span::from_mins(12 * 60);

/// True for what a gateway tells the home by itself while it hears nothing from the centre: what the threshold
/// rules call most urgent.
#[must_use]
pub fn is_critical(condition: Condition, priority: Priority) -> bool {
    priority == Priority::High && THRESHOLDS.contains(&condition)
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
pub fn definition(rules: &Rules, context: &Context) -> String {
    let mut text =
        format!("thresholds/3 bucket 10 s trimmed mean nights {NIGHT_MARGIN} {NIGHT_LIMITS:?}\n");
    for rule in personal(rules, context) {
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
