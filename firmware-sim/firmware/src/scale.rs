//! A scale that also estimates what a body is made of; it sends what it has when somebody listens.

use alloc::vec::Vec;

use vitals::Span;
use vitals::gatt::{BodyComposition, ScaleUnits, WeightMeasurement};

use crate::clock::DeviceClock;
use crate::device::{Device, Heard, Waiting};
use crate::gatt::{self, Refusal, Service, Uuid, Value};
use crate::profiles;

/// Weight has this resolution, kilograms.
const RESOLUTION_KG: f64 = 0.005;

/// One weighing.
#[derive(Clone, Copy, Debug)]
pub struct Weighed {
    /// Kilograms.
    pub weight: f64,
    /// Percent; none without bare feet.
    pub body_fat: Option<f64>,
    /// Metres, as the wearer entered it.
    pub height: f64,
}

/// The scale.
#[derive(Debug)]
pub struct Scale {
    clock: DeviceClock,
    waiting: Waiting,
}

impl Scale {
    const SERVICES: &'static [Service] = &[profiles::WEIGHT, profiles::COMPOSITION];

    /// Without any value yet.
    #[must_use]
    pub fn new(clock: DeviceClock) -> Self {
        Self {
            clock,
            waiting: Waiting::default(),
        }
    }

    /// Somebody stood on it.
    pub fn measure(&mut self, up: Span, found: Weighed) {
        // A person's numbers fit in 16 bits at these resolutions; the casts saturate for what is no person.
        let units = |value: f64, resolution: f64| libm::round(value / resolution) as u16;
        let bmi = found.weight / (found.height * found.height);
        let weight = WeightMeasurement {
            units: ScaleUnits::Metric,
            weight: units(found.weight, RESOLUTION_KG),
            time: self.clock.date_time(up),
            user: Some(1),
            bmi_and_height: Some((units(bmi, 0.1), units(found.height, 0.001))),
        };
        let encoded = weight.encode();
        self.waiting
            .push(gatt::value(profiles::WEIGHT_MEASUREMENT, encoded));
        let composition = BodyComposition {
            units: ScaleUnits::Metric,
            // FFFF: the measurement did not succeed.
            body_fat: found.body_fat.map_or(0xFFFF, |share| units(share, 0.1)),
            time: self.clock.date_time(up),
            user: Some(1),
            basal_metabolism_kj: None,
            muscle_percentage: None,
            muscle_mass: None,
            fat_free_mass: None,
            soft_lean_mass: None,
            body_water_mass: None,
            impedance: None,
            weight: found.body_fat.map(|_| units(found.weight, RESOLUTION_KG)),
            height: None,
            more_follows: false,
        };
        let encoded = composition.encode();
        self.waiting
            .push(gatt::value(profiles::BODY_COMPOSITION, encoded));
    }
}

impl Device for Scale {
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
            // Time stamp, several users, body mass index; resolution 0.005 kg and 0.001 m.
            profiles::WEIGHT_FEATURE => Some(Vec::from([0xBF, 0, 0, 0])),
            // Time stamp and several users; resolution 0.005 kg and 0.001 m.
            profiles::BODY_COMPOSITION_FEATURE => Some(Vec::from([0x03, 0xB8, 0, 0])),
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
