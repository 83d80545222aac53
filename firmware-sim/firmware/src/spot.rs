//! A fingertip oximeter that keeps its spot checks, and sends each at once where somebody listens.

use alloc::vec::Vec;

use vitals::Span;
use vitals::gatt::{Number, SpO2Pr, SpotCheck};

use crate::clock::DeviceClock;
use crate::device::{Device, Heard, Waiting};
use crate::gatt::{self, Refusal, Service, Uuid, Value};
use crate::records::{Record, RecordStore};
use crate::{oximeter, profiles};

/// One finger held still.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// Percent.
    pub saturation: f64,
    /// Beats per minute.
    pub pulse: f64,
}

/// The oximeter.
#[derive(Debug)]
pub struct SpotOximeter {
    clock: DeviceClock,
    records: RecordStore,
    fresh: Waiting,
    next: u16,
}

impl SpotOximeter {
    const SERVICES: &'static [Service] = &[profiles::SPOT_OXIMETER, profiles::CURRENT_TIME_SERVICE];

    /// Without any record yet.
    #[must_use]
    pub fn new(clock: DeviceClock) -> Self {
        Self {
            clock,
            records: RecordStore::default(),
            fresh: Waiting::default(),
            next: 0,
        }
    }

    /// The wearer measured; `heard` tells whether it goes out at once.
    pub fn measure(&mut self, up: Span, found: Checked, heard: Heard<'_>) {
        let time = self
            .clock
            .is_set()
            .then(|| self.clock.date_time(up))
            .flatten();
        let whole = |value: f64| Number::nearest_sfloat(value, 0);
        let check = SpotCheck {
            normal: SpO2Pr {
                spo2: whole(found.saturation),
                pulse_rate: whole(found.pulse),
            },
            time,
            measurement_status: None,
            sensor_status: None,
            pai: None,
            clock_not_set: !self.clock.is_set(),
        };
        let value = gatt::value(gatt::PLX_SPOT_CHECK, check.encode());
        if heard(gatt::PLX_SPOT_CHECK) {
            self.fresh.push(value.clone());
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.records.keep(Record {
            number,
            time,
            values: value.into_iter().collect(),
        });
    }
}

impl Device for SpotOximeter {
    fn services(&self) -> &'static [Service] {
        Self::SERVICES
    }

    fn poll(&mut self, _up: Span, heard: Heard<'_>) -> Vec<Value> {
        let mut sent: Vec<Value> = self.fresh.next(heard).into_iter().collect();
        sent.extend(self.records.poll(heard));
        sent
    }

    fn busy(&self, heard: Heard<'_>) -> bool {
        self.fresh.has_next(heard) || self.records.busy()
    }

    fn undelivered(&mut self, _value: Value) {
        // It is in the memory still, and asked for again.
    }

    fn read(&self, up: Span, characteristic: Uuid) -> Option<Vec<u8>> {
        match characteristic {
            gatt::PLX_FEATURES => oximeter::features().encode().ok(),
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
