//! Devices that measure now and then, on a patient: what they find there. The firmware does the rest.
//!
//! They have no chips: cuffs, strips and scales are simulated by what they come to, with the spread that such devices have.

use std::collections::VecDeque;

use firmware::cgm::{Cgm, Sensed};
use firmware::clock::DeviceClock;
use firmware::cuff::{Cuff, Pressures};
use firmware::device::{Device, Heard};
use firmware::glucose_meter::{GlucoseMeter, Tested};
use firmware::scale::{Scale, Weighed};
use firmware::spot::{Checked, SpotOximeter};
use vitals::{Span, Time};

use super::seconds;
use crate::patient::Patient;
use crate::patient::noise::uniform;
use crate::scenario::{ClockChange, WearablePlan};

/// Channel of the spread of measurements.
const SPREAD: u64 = 301;
/// Everybody here is as tall as this, metres, and has about this share of fat, percent.
const HEIGHT_M: f64 = 1.72;
const BODY_FAT: f64 = 26.0;
/// A meter's user eats so much before every other test, grams of carbohydrate.
const SNACK_G: f64 = 45.0;
/// A needle under the skin lags behind the blood, seconds.
const CGM_LAG_S: f64 = 480.0;

/// A device that measures now and then.
#[derive(Debug)]
pub(super) enum Instrument {
    Cuff(Cuff),
    GlucoseMeter(GlucoseMeter),
    Cgm(Cgm),
    Scale(Scale),
    SpotOximeter(SpotOximeter),
}

/// When a measurement is made, and which one it is.
#[derive(Clone, Copy, Debug)]
struct Occasion {
    /// Seconds of the scenario; negative: before its start.
    at: f64,
    /// How long the device has been running.
    up: Span,
    /// Of its spread.
    seed: u64,
    /// Counts its measurements.
    number: u64,
}

impl Instrument {
    fn device(&self) -> &dyn Device {
        match self {
            Self::Cuff(device) => device,
            Self::GlucoseMeter(device) => device,
            Self::Cgm(device) => device,
            Self::Scale(device) => device,
            Self::SpotOximeter(device) => device,
        }
    }

    fn device_mut(&mut self) -> &mut dyn Device {
        match self {
            Self::Cuff(device) => device,
            Self::GlucoseMeter(device) => device,
            Self::Cgm(device) => device,
            Self::Scale(device) => device,
            Self::SpotOximeter(device) => device,
        }
    }

    /// Measures once. Spreads are those that such devices are known for: 2 mmHg, 5 % of a strip, 6 % of a needle, 1 %.
    fn measure(&mut self, patient: &Patient, when: Occasion, heard: Heard<'_>) {
        let Occasion {
            at,
            up,
            seed,
            number,
        } = when;
        let state = patient.state(at);
        let spread = |channel: u64| uniform(seed, SPREAD + channel, number);
        match self {
            Self::Cuff(cuff) => {
                let found = Pressures {
                    systolic: state.systolic + 2.0 * spread(0),
                    diastolic: state.diastolic + 2.0 * spread(1),
                    pulse: state.heart_rate,
                };
                cuff.measure(up, found);
            }
            Self::GlucoseMeter(meter) => {
                let found = Tested {
                    glucose: state.glucose * (1.0 + 0.05 * spread(0)),
                    carbohydrate_g: (number % 2 == 1).then_some(SNACK_G),
                };
                meter.measure(up, found);
            }
            Self::Cgm(monitor) => {
                // A recording is that of a needle: it has lag and spread already.
                let (lag, error) = if patient.body().has_recorded_glucose() {
                    (0.0, 0.0)
                } else {
                    (CGM_LAG_S, 0.06)
                };
                let under_skin = |at: f64| patient.state(at - lag).glucose;
                let found = Sensed {
                    glucose: under_skin(at) * (1.0 + error * spread(0)),
                    // Over five minutes, as monitors report it.
                    trend: (under_skin(at) - under_skin(at - 300.0)) / 5.0,
                    quality: 95.0 + 3.0 * spread(1),
                };
                monitor.measure(up, found, heard);
            }
            Self::Scale(scale) => {
                let found = Weighed {
                    weight: state.weight + 0.05 * spread(0),
                    // Every fifth time in socks.
                    body_fat: (number % 5 != 4).then_some(BODY_FAT + 0.4 * spread(1)),
                    height: HEIGHT_M,
                };
                scale.measure(up, found);
            }
            Self::SpotOximeter(oximeter) => {
                let found = Checked {
                    saturation: (state.spo2 + spread(0)).min(100.0),
                    pulse: state.heart_rate,
                };
                oximeter.measure(up, found, heard);
            }
        }
    }
}

/// What happens to a device's clock.
#[derive(Debug)]
pub(super) struct Meddling {
    /// Still to come, in order of time.
    changes: VecDeque<ClockChange>,
}

impl Meddling {
    /// By the plan.
    pub(super) fn new(plan: &WearablePlan) -> Self {
        let mut changes = plan.clock.changes.clone();
        changes.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        Self {
            changes: changes.into(),
        }
    }

    /// Lets happen what does until `at`; the clock has been running for `lead` longer.
    pub(super) fn until(&mut self, at: Span, lead: Span, clock: &mut DeviceClock) {
        while let Some(change) = self.changes.front().copied() {
            let when = seconds(change.at_s);
            if when > at {
                return;
            }
            self.changes.pop_front();
            if change.reset {
                clock.reset(when + lead);
            }
            if change.turn_s != 0.0 {
                clock.turn(when + lead, seconds(change.turn_s));
            }
        }
    }
}

/// An instrument with its wearer's habits: when its clock is meddled with, how often each measurement is repeated, what it
/// had in memory before the scenario began.
#[derive(Debug)]
pub(super) struct Station {
    instrument: Instrument,
    meddling: Meddling,
    /// How long it had been running when the scenario began.
    lead: Span,
    seed: u64,
    repeat: u16,
    /// Counts measurements.
    number: u64,
}

impl Station {
    /// As it lies there at the start of the scenario, which is `epoch` by UTC.
    pub(super) fn new(
        plan: &WearablePlan,
        patient: &Patient,
        seed: u64,
        epoch: Time,
        make: fn(DeviceClock) -> Instrument,
    ) -> Self {
        let period = plan.period();
        let lead = Span::from_micros(period.as_micros() * i64::from(plan.stored));
        let offset = seconds(plan.clock.offset_s);
        let shown = epoch + offset - lead;
        let clock = DeviceClock::new(shown, plan.clock.drift_ppm);
        let mut station = Self {
            instrument: make(clock),
            meddling: Meddling::new(plan),
            lead,
            seed,
            repeat: plan.repeat,
            number: 0,
        };
        for earlier in 0..plan.stored {
            let up = Span::from_micros(period.as_micros() * i64::from(earlier));
            // Nobody listened then.
            station.measure(patient, up - lead, &|_| false);
        }
        station
    }

    /// What the firmware shows to the outside.
    pub(super) fn device(&self) -> &dyn Device {
        self.instrument.device()
    }

    /// The same, with the clock as it is at `at`.
    pub(super) fn device_at(&mut self, at: Span) -> &mut dyn Device {
        let clock = self.instrument.device_mut().clock_mut();
        self.meddling.until(at, self.lead, clock);
        self.instrument.device_mut()
    }

    /// How long it has been running.
    pub(super) fn up(&self, at: Span) -> Span {
        at + self.lead
    }

    /// Measures, as often as its wearer does.
    pub(super) fn measure(&mut self, patient: &Patient, at: Span, heard: Heard<'_>) {
        self.device_at(at);
        for _ in 0..self.repeat {
            let when = Occasion {
                at: at.as_secs_f64(),
                up: self.up(at),
                seed: self.seed,
                number: self.number,
            };
            self.instrument.measure(patient, when, heard);
            self.number += 1;
        }
    }
}
