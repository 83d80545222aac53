//! A blood-pressure cuff: it measures when its wearer presses the button, and sends what it has when somebody listens.

use alloc::vec::Vec;

use vitals::Span;
use vitals::gatt::{BloodPressure, Number, PressureUnit};

use crate::clock::DeviceClock;
use crate::device::{Device, Heard, Waiting};
use crate::gatt::{self, Refusal, Service, Uuid, Value};
use crate::profiles;

/// One inflation.
#[derive(Clone, Copy, Debug)]
pub struct Pressures {
    /// mmHg.
    pub systolic: f64,
    /// mmHg.
    pub diastolic: f64,
    /// Beats per minute.
    pub pulse: f64,
}

/// The cuff.
#[derive(Debug)]
pub struct Cuff {
    clock: DeviceClock,
    waiting: Waiting,
}

impl Cuff {
    const SERVICES: &'static [Service] = &[profiles::BLOOD_PRESSURE];

    /// Without any value yet.
    #[must_use]
    pub fn new(clock: DeviceClock) -> Self {
        Self {
            clock,
            waiting: Waiting::default(),
        }
    }

    /// The wearer measured.
    pub fn measure(&mut self, up: Span, found: Pressures) {
        // Oscillometric cuffs show whole millimetres.
        let whole = |value: f64| Number::nearest_sfloat(value, 0);
        let value = BloodPressure {
            unit: PressureUnit::MmHg,
            systolic: whole(found.systolic),
            diastolic: whole(found.diastolic),
            mean: whole(found.diastolic + (found.systolic - found.diastolic) / 3.0),
            time: self.clock.date_time(up),
            pulse_rate: Some(whole(found.pulse)),
            user: None,
            status: None,
        };
        let value = gatt::value(profiles::BLOOD_PRESSURE_MEASUREMENT, value.encode());
        self.waiting.push(value);
    }
}

impl Device for Cuff {
    fn services(&self) -> &'static [Service] {
        Self::SERVICES
    }

    fn poll(&mut self, _up: Span, heard: Heard<'_>) -> Vec<Value> {
        self.waiting.next(heard).into_iter().collect()
    }

    fn busy(&self, heard: Heard<'_>) -> bool {
        self.waiting.has_next(heard)
    }

    fn undelivered(&mut self, value: Value) {
        self.waiting.put_back(value);
    }

    fn read(&self, up: Span, characteristic: Uuid) -> Option<Vec<u8>> {
        match characteristic {
            // Irregular pulse detection, nothing else.
            profiles::BLOOD_PRESSURE_FEATURE => Some(Vec::from([0x04, 0x00])),
            other => self.clock.read(up, other),
        }
    }

    fn write(&mut self, up: Span, characteristic: Uuid, octets: &[u8]) -> Result<(), Refusal> {
        let written = self.clock.write(up, characteristic, octets);
        written.unwrap_or(Err(Refusal::NOT_PERMITTED))
    }

    fn clock_mut(&mut self) -> &mut DeviceClock {
        &mut self.clock
    }
}
