//! A wearable as a whole: patient, sensor chips, the firmware that reads them, battery, and whether it is worn.
//!
//! PURE in time: [`Wearable::advance_to`] plays everything up to a moment of the scenario and gives what was sent. The same
//! plan and patient give the same octets. Must not know: D-Bus, clocks.

mod board;
mod instrument;
mod vendor;

use std::collections::BTreeSet;

use firmware::beacon;
use firmware::gatt::{self, Refusal, Service, Uuid, Value};
use serde::Deserialize;
use vitals::gatt::BatteryLevel;
use vitals::{Span, Time};

use crate::patient::Patient;
use crate::patient::noise::derive;
use crate::patient::signal::Sensor;
use crate::scenario::{WearablePlan, Worn};
use board::{Board, Fit};

/// What every simulated device says of its maker, so that nobody takes its values for a person's.
pub const MANUFACTURER: &str = "vitaltwin sim (test data)";
/// Serial number of the device that answers in another's place.
const IMPOSTOR: &str = "SPOOFED00001";
/// Firmware revision shown.
const REVISION: &str = env!("CARGO_PKG_VERSION");
/// Sensors are looked at this often: no FIFO of theirs fills in that time.
const POLL_US: i64 = 200_000;
/// Second 0 of a scenario where nobody says otherwise: the beginning of 2026, UTC.
pub const USUAL_START: Time = Time::from_micros(1_767_225_600_000_000);

/// What sort of wearable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Chest strap: heart rate with RR intervals and contact.
    Strap,
    /// Smartwatch: heart rate, saturation, steps.
    Watch,
    /// Fingertip pulse oximeter.
    Oximeter,
    /// Ear thermometer.
    Thermometer,
    /// Blood-pressure cuff: sends what it stored when somebody listens.
    Cuff,
    /// Glucose meter: records with context, behind the Record Access Control Point.
    GlucoseMeter,
    /// Continuous glucose monitor: live records, and stored ones behind the Record Access Control Point.
    Cgm,
    /// Scale: weight and body composition, sent when somebody listens.
    Scale,
    /// Oximeter for spot checks: live, and stored ones behind the Record Access Control Point.
    SpotOximeter,
    /// Polar H10: a strap that also streams ECG, acceleration and intervals when asked.
    #[serde(rename = "polar-h10")]
    PolarH10,
    /// `PineTime` watch with `InfiniTime`: heart rate, steps, a clock that can be set.
    PineTime,
    /// Bangle.js watch: heart rate.
    Bangle,
    /// Thermometer patch that is never connected to: `BTHome` version 2 adverts.
    ThermometerBeacon,
    /// Heart-rate sensor that nobody needs to connect to: it has the rate in its adverts.
    HeartRateBeacon,
}

impl Kind {
    /// Name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strap => "strap",
            Self::Watch => "watch",
            Self::Oximeter => "oximeter",
            Self::Thermometer => "thermometer",
            Self::Cuff => "cuff",
            Self::GlucoseMeter => "glucose-meter",
            Self::Cgm => "cgm",
            Self::Scale => "scale",
            Self::SpotOximeter => "spot-oximeter",
            Self::PolarH10 => "polar-h10",
            Self::PineTime => "pine-time",
            Self::Bangle => "bangle",
            Self::ThermometerBeacon => "thermometer-beacon",
            Self::HeartRateBeacon => "heart-rate-beacon",
        }
    }

    const fn appearance(self) -> u16 {
        // Assigned numbers: heart rate belt, watch, fingertip oximeter, ear thermometer, arm cuff, glucose meter,
        // continuous glucose monitor, scale.
        match self {
            Self::Strap | Self::PolarH10 | Self::HeartRateBeacon => 0x0341,
            Self::Watch | Self::PineTime | Self::Bangle => 0x00C0,
            Self::Oximeter | Self::SpotOximeter => 0x0C41,
            Self::Thermometer | Self::ThermometerBeacon => 0x0301,
            Self::Cuff => 0x0381,
            Self::GlucoseMeter => 0x0400,
            Self::Cgm => 0x0D00,
            Self::Scale => 0x0C80,
        }
    }

    pub(crate) const fn period_s(self) -> f64 {
        match self {
            Self::Strap
            | Self::Watch
            | Self::Oximeter
            | Self::PolarH10
            | Self::PineTime
            | Self::Bangle
            | Self::ThermometerBeacon
            | Self::HeartRateBeacon => 1.0,
            Self::Thermometer => 30.0,
            Self::Cgm => 300.0,
            Self::Cuff | Self::SpotOximeter => 600.0,
            Self::GlucoseMeter => 900.0,
            Self::Scale => 3600.0,
        }
    }
}

/// What a wearable asks of who wants its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pairing {
    /// Nothing.
    #[default]
    None,
    /// A bond, which needs nobody to look or type.
    JustWorks,
    /// A bond, for which somebody types these six digits, which it shows or has on a label.
    Passkey(u32),
}

/// What a wearable says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Bluetooth address, upper case.
    pub address: String,
    /// Advertised name; begins with "vitaltwin sim".
    pub name: String,
    /// GAP appearance.
    pub appearance: u16,
    /// Sort.
    pub kind: Kind,
}

/// What an advert carries beside name and services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advert {
    /// Service data: the service's 16-bit number, octets.
    Service(u16, Vec<u8>),
    /// Manufacturer data: the company's number, octets.
    Manufacturer(u16, Vec<u8>),
}

/// A value that a wearable sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// When, since the start of the scenario.
    pub at: Span,
    /// What.
    pub value: Value,
}

/// A wearable.
#[derive(Debug)]
pub struct Wearable {
    identity: Identity,
    plan: WearablePlan,
    patient: Patient,
    board: Board,
    battery: Battery,
    fit: Fit,
    /// Changes of `fit.worn` still to come, in order of time.
    worn_changes: Vec<Worn>,
    spoofed: bool,
    /// Counts adverts.
    adverts: u8,
    /// Who listens to what; all of it for nobody in particular.
    listening: Option<BTreeSet<Uuid>>,
    period: Span,
    played: Span,
    due: Span,
}

#[derive(Clone, Copy, Debug)]
struct Battery {
    percent: f64,
    per_hour: f64,
    since: Span,
    /// Last level that was sent.
    sent: Option<u8>,
}

impl Battery {
    fn level(&self, at: Span) -> u8 {
        let used = (at.as_secs_f64() - self.since.as_secs_f64()) / 3600.0 * self.per_hour;
        // Between 0 and 100: the cast keeps the number.
        (self.percent - used).clamp(0.0, 100.0).round() as u8
    }
}

impl Wearable {
    /// By its plan, on this patient, at the start of the scenario.
    #[must_use]
    pub fn new(plan: &WearablePlan, patient: Patient) -> Self {
        let address = plan.address.to_ascii_uppercase();
        let tail: String = address.chars().filter(|c| *c != ':').skip(8).collect();
        let name = format!("vitaltwin sim {} {tail}", plan.kind.name());
        let mut worn_changes = plan.worn.clone();
        worn_changes.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        let period = plan.period();
        let sensor = Sensor {
            seed: derive(patient.body().seed(), &address),
            disturbed: 0.0,
        };
        let (percent, per_hour) = (plan.battery, plan.battery_per_hour);
        let board = Board::new(plan, &patient, sensor.seed, USUAL_START);
        Self {
            identity: Identity {
                address,
                name,
                appearance: plan.kind.appearance(),
                kind: plan.kind,
            },
            plan: plan.clone(),
            patient,
            board,
            battery: Battery {
                percent,
                per_hour,
                since: Span::ZERO,
                sent: None,
            },
            fit: Fit { worn: true, sensor },
            worn_changes,
            spoofed: false,
            adverts: 0,
            listening: None,
            period,
            played: Span::ZERO,
            due: period,
        }
    }

    /// What it says about itself.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it asks of who wants its values.
    #[must_use]
    pub fn pairing(&self) -> Pairing {
        self.plan.pairing
    }

    /// Second 0 of the scenario is at `epoch`: devices with clocks of their own start by it. To be called before the first
    /// [`Wearable::advance_to`].
    pub fn begin(&mut self, epoch: Time) {
        let seed = self.fit.sensor.seed;
        self.board = Board::new(&self.plan, &self.patient, seed, epoch);
    }

    /// Who listens to what, from now on: devices that store keep what nobody would hear.
    pub fn listen(&mut self, to: BTreeSet<Uuid>) {
        self.listening = Some(to);
    }

    /// From now on another device answers in its place: same address and name, another serial number.
    pub fn set_spoofed(&mut self, spoofed: bool) {
        self.spoofed = spoofed;
    }

    /// What its advert carries at `at`; `None` for a device that tells its values to who connects.
    pub fn advert(&mut self, at: Span) -> Option<Advert> {
        let state = self.patient.state(at.as_secs_f64());
        let earlier = self.patient.state(at.as_secs_f64() - 30.0);
        let worn = self.fit.worn;
        match self.identity.kind {
            Kind::ThermometerBeacon => {
                self.adverts = self.adverts.wrapping_add(1);
                let battery = self.battery.level(at);
                let celsius = if worn { state.temperature } else { 22.0 };
                let octets = beacon::bthome_thermometer(self.adverts, battery, celsius);
                Some(Advert::Service(beacon::BTHOME, octets))
            }
            Kind::HeartRateBeacon => {
                let rate = |rate| if worn { rate } else { 0.0 };
                let (fast, slow) = (rate(state.heart_rate), rate(earlier.heart_rate));
                let octets = beacon::polar_heart_rate(fast, slow);
                Some(Advert::Manufacturer(beacon::POLAR, octets))
            }
            Kind::Strap
            | Kind::Watch
            | Kind::Oximeter
            | Kind::Thermometer
            | Kind::Cuff
            | Kind::GlucoseMeter
            | Kind::Cgm
            | Kind::Scale
            | Kind::SpotOximeter
            | Kind::PolarH10
            | Kind::PineTime
            | Kind::Bangle => None,
        }
    }

    /// True if it takes links.
    #[must_use]
    pub fn is_connectable(&self) -> bool {
        !matches!(self.board, Board::Beacon { .. })
    }

    /// Its attribute table.
    #[must_use]
    pub fn services(&self) -> Vec<Service> {
        if !self.is_connectable() {
            return Vec::new();
        }
        let mut services = self.board.services().to_vec();
        services.extend([gatt::BATTERY, gatt::DEVICE_INFORMATION]);
        services
    }

    /// The body that wears it.
    #[must_use]
    pub fn patient(&self) -> &Patient {
        &self.patient
    }

    /// When it will send next, since the start of the scenario.
    #[must_use]
    pub fn next_due(&self) -> Span {
        let heard = heard(self.listening.as_ref());
        match self.board.pace(&heard) {
            Some(pace) => self.due.min(self.played + pace),
            None => self.due,
        }
    }

    /// Plays up to `until`; gives what was sent meanwhile, in order.
    pub fn advance_to(&mut self, until: Span) -> Vec<Emission> {
        let mut sent = Vec::new();
        loop {
            let at = self.next_due();
            if at > until {
                break;
            }
            if at == self.due {
                self.play_to(at);
                self.measure(at);
                let values = self.board.measurements().into_iter();
                sent.extend(values.map(|value| Emission { at, value }));
                sent.extend(self.battery_change(at));
                self.due = self.due + self.period;
            }
            sent.extend(self.answers(at));
        }
        // The rest of the way is played when its values are due: the simulation is only looked at then. A device that stores
        // answers at any time.
        sent.extend(self.answers(until));
        sent
    }

    /// What is said out of turn.
    fn answers(&mut self, at: Span) -> Vec<Emission> {
        let streams = self.board.pace(&heard(self.listening.as_ref())).is_some();
        if streams || !self.board.is_continuous() {
            self.play_to(at);
        }
        let said = self.board.poll(at, &heard(self.listening.as_ref()));
        said.into_iter()
            .map(|value| Emission { at, value })
            .collect()
    }

    fn measure(&mut self, at: Span) {
        if !self.fit.worn {
            return;
        }
        if let Some(station) = self.board.station() {
            station.measure(&self.patient, at, &heard(self.listening.as_ref()));
        }
    }

    /// A value that nobody took after all.
    pub fn undelivered(&mut self, at: Span, value: Value) {
        if let Some(station) = self.board.station() {
            station.device_at(at).undelivered(value);
        }
    }

    /// A write by the central.
    ///
    /// # Errors
    /// The attribute protocol's error code.
    pub fn write(&mut self, at: Span, characteristic: Uuid, octets: &[u8]) -> Result<(), Refusal> {
        self.board.write(at, characteristic, octets)
    }

    /// On the body or not, from now on; the plan's later changes still happen.
    pub fn set_worn(&mut self, worn: bool) {
        self.fit.worn = worn;
    }

    /// Disturbs the sensors' signal from now on: 0 = not at all, 1 = noise as large as the signal.
    pub fn disturb(&mut self, share: f64) {
        self.fit.sensor.disturbed = share.clamp(0.0, 10.0);
    }

    /// Battery charge, from now on.
    pub fn set_battery(&mut self, percent: u8) {
        self.battery.percent = percent.min(100).into();
        self.battery.since = self.played;
    }

    /// Cuts or mends the wire to the sensors.
    pub fn break_sensor(&mut self, broken: bool) {
        self.board.wire().set_broken(broken);
    }

    /// What a read of a characteristic gives.
    pub fn read(&mut self, at: Span, characteristic: Uuid) -> Option<Vec<u8>> {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        match characteristic {
            gatt::BATTERY_LEVEL => BatteryLevel {
                percent: self.battery.level(self.played),
            }
            .encode()
            .ok(),
            gatt::MANUFACTURER_NAME => text(MANUFACTURER),
            gatt::MODEL_NUMBER => text(self.identity.kind.name()),
            gatt::SERIAL_NUMBER if self.spoofed => text(IMPOSTOR),
            gatt::SERIAL_NUMBER => text(&self.identity.address.replace(':', "")),
            gatt::FIRMWARE_REVISION => text(REVISION),
            other => self.board.read(at, other),
        }
    }

    fn battery_change(&mut self, at: Span) -> Option<Emission> {
        let percent = self.battery.level(at);
        if !self.is_connectable() {
            return None;
        }
        if self.battery.sent.replace(percent) == Some(percent) {
            return None;
        }
        let bytes = BatteryLevel { percent }.encode().ok()?;
        Some(Emission {
            at,
            value: Value {
                characteristic: gatt::BATTERY_LEVEL,
                bytes,
            },
        })
    }

    /// Body and chips live up to `until`, and the firmware looks at its sensors often enough.
    fn play_to(&mut self, until: Span) {
        while self.played < until {
            // A station looks at the body when it measures, not at every beat.
            let continuous = self.board.is_continuous();
            let to = if continuous {
                (self.played + Span::from_micros(POLL_US)).min(until)
            } else {
                until
            };
            let at = to.as_secs_f64();
            while self
                .worn_changes
                .first()
                .is_some_and(|change| change.at_s <= at)
            {
                self.fit.worn = self.worn_changes.remove(0).on;
            }
            if continuous {
                self.patient.advance_to(at);
            }
            self.board.play_to(&self.patient, at, self.fit);
            self.played = to;
        }
    }
}

/// Whether somebody listens.
fn heard(listening: Option<&BTreeSet<Uuid>>) -> impl Fn(Uuid) -> bool {
    move |uuid| listening.is_none_or(|listening| listening.contains(&uuid))
}

/// Microseconds of a scenario's time; scenarios are checked to stay below 10^7 seconds.
pub(crate) fn seconds(seconds: f64) -> Span {
    Span::from_micros((seconds * 1e6).round() as i64)
}
