//! A glucose meter: each drop of blood is a record with its context, given through the Record Access Control Point alone.

use alloc::vec::Vec;

use vitals::Span;
use vitals::gatt::glucose_context::Meal;
use vitals::gatt::{
    GlucoseContext, GlucoseFeatures, GlucoseMeasurement, GlucoseSample, GlucoseUnit, Number,
};

use crate::clock::DeviceClock;
use crate::device::{Device, Heard};
use crate::gatt::{self, Refusal, Service, Uuid, Value};
use crate::profiles;
use crate::records::{Record, RecordStore};

/// Capillary whole blood, from a finger.
const FLUID: u8 = 1;
const LOCATION: u8 = 1;
/// Milligrams a decilitre in a kilogram a litre.
const MG_DL: f64 = 1e5;

/// One test strip.
#[derive(Clone, Copy, Debug)]
pub struct Tested {
    /// mg/dL.
    pub glucose: f64,
    /// After a meal with so many grams of carbohydrate; none: before one.
    pub carbohydrate_g: Option<f64>,
}

/// The meter.
#[derive(Debug)]
pub struct GlucoseMeter {
    clock: DeviceClock,
    records: RecordStore,
    next: u16,
}

impl GlucoseMeter {
    const SERVICES: &'static [Service] = &[profiles::GLUCOSE, profiles::CURRENT_TIME_SERVICE];

    /// Without any record yet.
    #[must_use]
    pub fn new(clock: DeviceClock) -> Self {
        Self {
            clock,
            records: RecordStore::default(),
            next: 0,
        }
    }

    /// The wearer tested.
    pub fn measure(&mut self, up: Span, found: Tested) {
        let Some(time) = self.clock.date_time(up) else {
            return;
        };
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        let measurement = GlucoseMeasurement {
            sequence,
            base_time: time,
            time_offset_min: None,
            sample: Some(GlucoseSample {
                // Whole milligrams a decilitre, as a meter shows them.
                concentration: Number::nearest_sfloat(libm::round(found.glucose) / MG_DL, 5),
                unit: GlucoseUnit::KgPerLitre,
                fluid: FLUID,
                location: LOCATION,
            }),
            sensor_status: None,
            context_follows: true,
        };
        // Snack; grams in kilograms.
        let eaten = |grams: f64| (4, Number::nearest_sfloat(grams / 1000.0, 3));
        let after = found.carbohydrate_g;
        let context = GlucoseContext {
            sequence,
            extended_flags: None,
            carbohydrate: after.map(eaten),
            meal: Some(if after.is_some() {
                Meal::After
            } else {
                Meal::Before
            }),
            // Tested by oneself, no health issues.
            tester_and_health: Some((1, 5)),
            exercise: None,
            dose: None,
            hba1c: None,
        };
        let values = [
            gatt::value(profiles::GLUCOSE_MEASUREMENT, measurement.encode()),
            gatt::value(profiles::GLUCOSE_CONTEXT, context.encode()),
        ];
        self.records.keep(Record {
            number: sequence,
            time: Some(time),
            values: values.into_iter().flatten().collect(),
        });
    }
}

impl Device for GlucoseMeter {
    fn services(&self) -> &'static [Service] {
        Self::SERVICES
    }

    fn poll(&mut self, _up: Span, heard: Heard<'_>) -> Vec<Value> {
        self.records.poll(heard)
    }

    fn busy(&self, _heard: Heard<'_>) -> bool {
        self.records.busy()
    }

    fn undelivered(&mut self, _value: Value) {
        // It is in the memory still, and asked for again.
    }

    fn read(&self, up: Span, characteristic: Uuid) -> Option<Vec<u8>> {
        match characteristic {
            // Low battery detection, nothing else.
            profiles::GLUCOSE_FEATURE => Some(GlucoseFeatures(1).encode()),
            other => self.clock.read(up, other),
        }
    }

    fn write(&mut self, up: Span, characteristic: Uuid, octets: &[u8]) -> Result<(), Refusal> {
        if characteristic == profiles::RECORD_ACCESS {
            return self.records.write(octets);
        }
        let written = self.clock.write(up, characteristic, octets);
        written.unwrap_or(Err(Refusal::NOT_PERMITTED))
    }

    fn clock_mut(&mut self) -> &mut DeviceClock {
        &mut self.clock
    }
}
