//! From a decoded notification to readings.
//!
//! Here a device's way of speaking ends: 0 beats per minute becomes "no lock", Fahrenheit becomes Celsius, a
//! broken clock is replaced and marked. How many readings a notification gives depends on its octets and on
//! what the device sent before, never on time.
//! Pure: the time of receipt, the counters and what the device said before are handed in.
#![deny(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::arithmetic_side_effects
)]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

mod blocks;
pub mod clock;
mod general;
mod glucose;
mod oximeter;
mod polar;
mod quarantine;
mod samples;
mod scale;
mod timeline;

pub use self::blocks::waveforms;
use self::clock::{Claim, DeviceClock, Judged};
use self::oximeter::{OFF_BODY, Status, oximeter};
use self::quarantine::Quarantine;
use self::timeline::Timeline;
use crate::gatt::bangle::Lines;
use crate::gatt::ghs::Segments;
use crate::gatt::{
    Advert, BloodPressure, CgmSessionStart, DateTime, Decimal, Decoded, EnhancedBloodPressure,
    HeartRateMeasurement, Number, PressureStatus, PressureUnit, TemperatureMeasurement,
    TemperatureUnit,
};
use crate::{
    Absence, DeviceTime, Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value, Wave,
};

/// A device's stamp may be this far ahead of the gateway: clocks drift. It then counts as "now".
pub const MAX_AHEAD: Span = Span::from_mins(2);

/// A device's stamp may be this old: what a device stores, it sends within a year. Older is a wrong clock.
pub const MAX_AGE: Span = Span::from_mins(366 * 24 * 60);

/// Where and when a notification came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which sensor.
    pub source: SourceId,
    /// When the gateway got it.
    pub received: Time,
    /// How far the device's wall clock is ahead of UTC (its time zone); zero where nobody knows.
    pub clock_ahead: Span,
}

/// Counts the readings of each (source, kind) from 0. One per sealed context.
#[derive(Clone, Debug, Default)]
pub struct Sequences {
    next: BTreeMap<(SourceId, Kind), u64>,
    blocks: BTreeMap<(SourceId, Wave), u64>,
}

impl Sequences {
    /// The next number of this source and kind; every call counts.
    pub fn take(&mut self, source: SourceId, kind: Kind) -> u64 {
        let next = self.next.entry((source, kind)).or_default();
        let taken = *next;
        *next = next.saturating_add(1);
        taken
    }

    /// The next number of this source's waveform blocks; every call counts.
    fn take_block(&mut self, source: SourceId, wave: Wave) -> u64 {
        let next = self.blocks.entry((source, wave)).or_default();
        let taken = *next;
        *next = next.saturating_add(1);
        taken
    }
}

/// What a device said earlier and later values rest on. One per device, for as long as it is known: it says the
/// same again after a reconnect, but not after a new context.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// When the session of a continuous glucose monitor began.
    session: Option<CgmSessionStart>,
    /// The last glucose record: its number and its stamp, for the context that follows.
    glucose: Option<(u16, Option<Stamp>)>,
    /// The clock and the rates of a Polar sensor.
    polar: polar::Streams,
    /// Observations whose segments still come.
    live: Joining,
    stored: Joining,
    /// By which clock it takes the samples of its arrays.
    sampling: Timeline,
    /// What it advertised last.
    advert: Option<Advert>,
    /// A line of a watch that is still being printed.
    lines: Lines,
    /// What its clock was found to be.
    clock: DeviceClock,
    /// The same for what a continuous monitor counts from its session's start.
    counter: DeviceClock,
    /// The last stamp of each kind.
    stamps: BTreeMap<Kind, Time>,
    /// Readings whose time nobody knows yet.
    quarantine: Quarantine,
}

/// One observation, joined for its numbers and for its sample arrays.
#[derive(Clone, Debug, Default)]
struct Joining {
    numbers: Segments,
    arrays: Segments,
}

impl Memory {
    /// What is known of its clock.
    #[must_use]
    pub const fn clock(&self) -> &DeviceClock {
        &self.clock
    }

    /// What is known of the clock by which a continuous monitor counts from its session's start.
    #[must_use]
    pub const fn counter(&self) -> &DeviceClock {
        &self.counter
    }

    /// The gateway's own clock was wrong: what was learnt against it is worth nothing.
    pub fn forget_clocks(&mut self) {
        (self.clock, self.counter) = Default::default();
    }

    /// What was known of its clocks before the gateway started anew, and of which session the second one was.
    #[must_use]
    pub fn with_clocks(
        clock: DeviceClock,
        counter: DeviceClock,
        session: Option<CgmSessionStart>,
    ) -> Self {
        Self {
            session,
            clock,
            counter,
            ..Self::default()
        }
    }
}

/// What was said in vain: values whose checksum does not fit. They give no reading; whoever counts refusals
/// counts these.
#[must_use]
pub fn damaged(decoded: &Decoded) -> usize {
    let broken = |crc_ok: Option<bool>| usize::from(crc_ok == Some(false));
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only continuous glucose monitors send checksums"
    )]
    match decoded {
        Decoded::Cgm(records) => records.iter().map(|record| broken(record.crc_ok)).sum(),
        Decoded::CgmFeatures(value) => broken(value.crc_ok),
        Decoded::CgmStatus(value) => broken(value.crc_ok),
        Decoded::CgmSessionStart(value) => broken(value.crc_ok),
        Decoded::CgmRunTime(value) => broken(value.crc_ok),
        Decoded::CgmControl(value) => broken(value.crc_ok),
        _ => 0,
    }
}

/// The readings of a decoded value, in the order in which the device wrote them; none for values that measure
/// nothing (device information, features) or nothing that has a [`Kind`].
#[must_use]
pub fn readings(
    decoded: &Decoded,
    origin: Origin,
    memory: &mut Memory,
    sequences: &mut Sequences,
) -> Vec<Reading> {
    let mut out = Collector {
        origin,
        sequences,
        clock: core::mem::take(&mut memory.clock),
        counter: core::mem::take(&mut memory.counter),
        stamps: core::mem::take(&mut memory.stamps),
        readings: Vec::new(),
    };
    match decoded {
        Decoded::HeartRate(measurement) => heart_rate(&mut out, measurement),
        Decoded::SpotCheck(spot) => {
            let stamp = out.stamp(spot.time, !spot.clock_not_set);
            let status = Status::of(spot.measurement_status, spot.sensor_status);
            oximeter(&mut out, spot.normal, spot.pai, status, stamp);
        }
        // The fast and slow averages are the same heart seen through another window: one pair is one reading
        // each, and the normal one is what the thresholds are made for.
        Decoded::Continuous(value) => {
            let status = Status::of(value.measurement_status, value.sensor_status);
            oximeter(&mut out, value.normal, value.pai, status, None);
        }
        Decoded::Temperature(measurement) => temperature(&mut out, measurement, Quality::GOOD),
        Decoded::IntermediateTemperature(measurement) => {
            temperature(&mut out, measurement, Quality::ESTIMATE);
        }
        Decoded::BloodPressure(value) => blood_pressure(&mut out, value),
        Decoded::Battery(level) => {
            out.whole(Kind::BatteryLevel, i64::from(level.percent), Quality::GOOD);
        }
        Decoded::Steps(count) => out.whole(Kind::StepCount, i64::from(count.steps), Quality::GOOD),
        Decoded::EnhancedBloodPressure(value) => blood_pressure(&mut out, &calendar(value)),
        Decoded::Glucose(value) => glucose::measurement(&mut out, value, memory),
        Decoded::GlucoseContext(value) => glucose::context(&mut out, value, memory),
        Decoded::Cgm(records) => glucose::monitor(&mut out, records, memory),
        Decoded::CgmSessionStart(value) => glucose::session(&mut out, value, memory),
        Decoded::Weight(value) => scale::weight(&mut out, value),
        Decoded::BodyComposition(value) => scale::composition(&mut out, value),
        Decoded::MiScale(value) => scale::mi_scale(&mut out, value),
        // What a cuff holds while it measures says nothing about the body.
        Decoded::CuffPressure(_) | Decoded::EnhancedCuffPressure(_) => {}
        Decoded::BodyLocation(_)
        | Decoded::HeartRateControl(_)
        | Decoded::OximeterFeatures(_)
        | Decoded::TemperatureType(_)
        | Decoded::MeasurementInterval(_)
        | Decoded::Text(_)
        | Decoded::SystemId(_)
        | Decoded::PnpId(_)
        | Decoded::GlucoseFeatures(_)
        | Decoded::RecordAccess(_)
        | Decoded::CgmFeatures(_)
        | Decoded::CgmStatus(_)
        | Decoded::CgmRunTime(_)
        | Decoded::CgmControl(_)
        | Decoded::LocalTimeInfo(_)
        | Decoded::ReferenceTime(_) => {}
        Decoded::PolarControl(control) => memory.polar.learn(control),
        Decoded::Polar(frame) => polar::intervals(&mut out, frame),
        // A segment that is missing was lost on the air: its observation is given up.
        Decoded::Health(segment) => {
            if let Ok(Some(observation)) = memory.live.numbers.take(segment) {
                general::observation(&mut out, &observation);
            }
        }
        Decoded::StoredHealth(segment) => {
            if let Ok(Some(observation)) = memory.stored.numbers.take(segment) {
                general::observation(&mut out, &observation);
            }
        }
        Decoded::ElapsedTime(_) => {}
        Decoded::Uart(piece) => {
            for line in memory.lines.take(piece.octets()) {
                general::watch_line(&mut out, line);
            }
        }
        Decoded::DateTime(time) => out.clock_read(*time),
        Decoded::CurrentTime(value) => out.clock_read(value.time),
    }
    let Collector {
        sequences,
        clock,
        counter,
        stamps,
        mut readings,
        ..
    } = out;
    (memory.clock, memory.counter, memory.stamps) = (clock, counter, stamps);
    let clocks = (&memory.clock, &memory.counter);
    memory.quarantine.settle(&mut readings, clocks, sequences);
    readings
}

/// The readings of an advert: a Polar sensor's heart rate, a BTHome device's numbers. An advert is repeated many
/// times; what says the same as the last one gives nothing.
#[must_use]
pub fn advert(
    advert: &Advert,
    origin: Origin,
    memory: &mut Memory,
    sequences: &mut Sequences,
) -> Vec<Reading> {
    if memory.advert.as_ref() == Some(advert) {
        return Vec::new();
    }
    memory.advert = Some(advert.clone());
    let mut out = Collector {
        origin,
        sequences,
        clock: DeviceClock::default(),
        counter: DeviceClock::default(),
        stamps: BTreeMap::new(),
        readings: Vec::new(),
    };
    if let Some(rate) = advert.polar() {
        general::polar_advert(&mut out, rate);
    }
    if let Some(Ok(sensor)) = advert.bthome() {
        general::bthome(&mut out, &sensor);
    }
    for reading in &mut out.readings {
        reading.quality = reading.quality.with(Quality::ADVERTISED);
    }
    out.readings
}

/// What the device says about skin contact: `None` = nothing.
#[must_use]
pub fn contact(decoded: &Decoded) -> Option<bool> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "few sensors feel the skin")]
    let status = match decoded {
        Decoded::HeartRate(measurement) => return measurement.contact,
        Decoded::SpotCheck(spot) => spot.sensor_status,
        Decoded::Continuous(value) => value.sensor_status,
        _ => None,
    };
    status.map(|status| !status.has(OFF_BODY))
}

/// The exactness of a date and time, and of a continuous monitor's minutes.
const SECOND: Span = Span::from_secs(1);
const MINUTE: Span = Span::from_mins(1);

/// A device's stamp, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    /// What it says, where that is a moment.
    raw: Option<Time>,
    judged: Judged,
}

struct Collector<'a> {
    origin: Origin,
    sequences: &'a mut Sequences,
    clock: DeviceClock,
    counter: DeviceClock,
    stamps: BTreeMap<Kind, Time>,
    readings: Vec<Reading>,
}

impl Collector<'_> {
    /// `trusted`: the device does not say that its clock was never set.
    fn stamp(&mut self, time: Option<DateTime>, trusted: bool) -> Option<Stamp> {
        time.map(|time| self.judge(time.as_if_utc(), SECOND, trusted))
    }

    /// When a moment of the device's clock really was.
    fn judge(&mut self, raw: Option<Time>, exact: Span, trusted: bool) -> Stamp {
        let claim = raw.map(|stamp| Claim {
            stamp,
            exact,
            ahead: self.origin.clock_ahead,
            trusted,
        });
        let received = self.origin.received;
        let judged = claim.map(|claim| self.clock.judge(claim, received));
        self.stamp_of(raw, judged)
    }

    /// The same for a moment counted from the start of a monitor's session, by a clock that says its zone and that
    /// nobody sets.
    fn judge_counted(&mut self, stamp: Time, ahead: Span) -> Stamp {
        let claim = Claim {
            stamp,
            exact: MINUTE,
            ahead,
            trusted: true,
        };
        let judged = self.counter.judge(claim, self.origin.received);
        self.stamp_of(Some(stamp), Some(judged))
    }

    fn stamp_of(&self, raw: Option<Time>, judged: Option<Judged>) -> Stamp {
        let judged = judged.unwrap_or(Judged {
            effective: self.origin.received,
            uncertainty: Span::MAX,
            quality: Quality::CLOCK_REPAIRED.with(Quality::CLOCK_UNKNOWN),
        });
        Stamp { raw, judged }
    }

    fn clock_read(&mut self, time: DateTime) {
        if let Some(raw) = time.as_if_utc() {
            self.clock.read(raw, self.origin.received);
        }
    }

    fn push(&mut self, kind: Kind, value: Value, effective: Time, quality: Quality) {
        self.push_with(kind, value, effective, quality, None);
    }

    fn push_with(
        &mut self,
        kind: Kind,
        value: Value,
        effective: Time,
        quality: Quality,
        device: Option<DeviceTime>,
    ) {
        let (low, high) = kind.info().plausible;
        let implausible = match value {
            Value::Measured(fixed) => !(low..=high).contains(&fixed.to_f64(kind)),
            Value::Absent(_) => false,
        };
        let quality = if implausible {
            quality.with(Quality::IMPLAUSIBLE)
        } else {
            quality
        };
        let Origin {
            source, received, ..
        } = self.origin;
        let sequence = self.sequences.take(source, kind);
        self.readings.push(Reading {
            kind,
            value,
            source,
            sequence,
            effective,
            received,
            quality,
            device,
        });
    }

    fn stamped(&mut self, kind: Kind, value: Value, stamp: Option<Stamp>, quality: Quality) {
        let Some(Stamp { raw, judged }) = stamp else {
            self.push(kind, value, self.origin.received, quality);
            return;
        };
        let again = raw.is_some_and(|raw| self.stamps.insert(kind, raw) == Some(raw));
        let quality = if again {
            quality.with(Quality::SAME_STAMP)
        } else {
            quality
        };
        let device = raw.map(|stamp| DeviceTime {
            stamp,
            uncertainty: judged.uncertainty,
        });
        let quality = quality.with(judged.quality);
        // A meal is stamped with its glucose, which a gateway whose own clock stepped back got later than now.
        let effective = judged.effective.min(self.origin.received);
        self.push_with(kind, value, effective, quality, device);
    }

    /// A whole number in the unit of a kind that keeps no decimals.
    fn whole(&mut self, kind: Kind, value: i64, quality: Quality) {
        self.push(
            kind,
            Value::Measured(Fixed(value)),
            self.origin.received,
            quality,
        );
    }
}

fn heart_rate(out: &mut Collector<'_>, measurement: &HeartRateMeasurement) {
    let off = measurement.contact == Some(false);
    let quality = if off {
        Quality::NO_CONTACT
    } else {
        Quality::GOOD
    };
    let received = out.origin.received;
    let rate = match measurement.bpm {
        0 if off => Value::Absent(Absence::NoContact),
        0 => Value::Absent(Absence::NoLock),
        bpm => Value::Measured(Fixed(i64::from(bpm))),
    };
    out.push(Kind::HeartRate, rate, received, quality);
    if let Some(energy) = measurement.energy_kj {
        out.whole(Kind::EnergyExpended, i64::from(energy), Quality::GOOD);
    }
    // The last interval ends when the notification came; each one before it ends where the next begins.
    let mut ends = received
        - measurement
            .rr_1024
            .iter()
            .fold(Span::ZERO, |sum, rr| sum + rr_span(*rr));
    for rr in &measurement.rr_1024 {
        ends = ends + rr_span(*rr);
        out.push(
            Kind::RrInterval,
            Value::Measured(rr_fixed(*rr)),
            ends,
            quality,
        );
    }
}

/// 1/1024 s in whole microseconds, cut.
fn rr_span(rr_1024: u16) -> Span {
    Span::from_micros(i64::from(rr_1024).saturating_mul(1_000_000) >> 10)
}

/// 1/1024 s in tenths of a millisecond, rounded: finer than the sensor's own step, so nothing is lost.
fn rr_fixed(rr_1024: u16) -> Fixed {
    Fixed(
        i64::from(rr_1024)
            .saturating_mul(10_000)
            .saturating_add(512)
            >> 10,
    )
}

fn temperature(out: &mut Collector<'_>, measurement: &TemperatureMeasurement, quality: Quality) {
    let kind = Kind::BodyTemperature;
    let value = match (measurement.unit, measurement.value) {
        (TemperatureUnit::Celsius, number) => value(kind, number),
        (TemperatureUnit::Fahrenheit, Number::Finite(decimal)) => {
            let celsius = (decimal.to_f64() - 32.0) * 5.0 / 9.0;
            fixed_or_absent(Fixed::from_f64(kind, celsius))
        }
        (TemperatureUnit::Fahrenheit, Number::Special(special)) => Value::Absent(special.absence()),
    };
    let stamp = out.stamp(measurement.time, true);
    out.stamped(kind, value, stamp, quality);
}

/// 1 kPa in mmHg (conventional millimetre of mercury, 133.322387415 Pa).
const MMHG_PER_KPA: f64 = 7.500_616_827;

fn blood_pressure(out: &mut Collector<'_>, measurement: &BloodPressure) {
    let doubt = PressureStatus::BODY_MOVED
        .with(PressureStatus::CUFF_LOOSE)
        .with(PressureStatus::WRONG_POSITION);
    let doubtful = measurement.status.is_some_and(|status| status.has(doubt));
    let quality = if doubtful {
        Quality::QUESTIONABLE
    } else {
        Quality::GOOD
    };
    let stamp = out.stamp(measurement.time, true);
    let pressures = [
        (Kind::SystolicPressure, measurement.systolic),
        (Kind::DiastolicPressure, measurement.diastolic),
        (Kind::MeanPressure, measurement.mean),
    ];
    for (kind, pressure) in pressures {
        let value = match measurement.unit {
            PressureUnit::KPa => scaled(kind, pressure, MMHG_PER_KPA),
            PressureUnit::MmHg => value(kind, pressure),
        };
        out.stamped(kind, value, stamp, quality);
    }
    if let Some(rate) = measurement.pulse_rate {
        out.stamped(
            Kind::PulseRate,
            value(Kind::PulseRate, rate),
            stamp,
            quality,
        );
    }
}

/// The same measurement as a cuff with a calendar sends it.
fn calendar(value: &EnhancedBloodPressure) -> BloodPressure {
    BloodPressure {
        unit: value.about.unit,
        systolic: value.systolic,
        diastolic: value.diastolic,
        mean: value.mean,
        time: value.about.time(),
        pulse_rate: value.about.pulse_rate,
        user: value.about.user,
        status: value.about.status,
    }
}

fn value(kind: Kind, number: Number) -> Value {
    match number {
        Number::Finite(decimal) => {
            fixed_or_absent(Decimal::scaled(decimal, kind.info().decimals).map(Fixed))
        }
        Number::Special(special) => Value::Absent(special.absence()),
    }
}

/// A finite number beyond what [`Fixed`] holds (9e15 of the kind's steps) is "not at this resolution".
fn fixed_or_absent(fixed: Option<Fixed>) -> Value {
    fixed.map_or(Value::Absent(Absence::NotAtThisResolution), Value::Measured)
}

/// A number times `factor`.
fn scaled(kind: Kind, number: Number, factor: f64) -> Value {
    match number {
        Number::Finite(decimal) => {
            fixed_or_absent(Fixed::from_f64(kind, decimal.to_f64() * factor))
        }
        Number::Special(special) => Value::Absent(special.absence()),
    }
}
