//! A continuous glucose monitor: a record at each interval of its session, sent to who listens, kept for who asks later.
//! Every value carries its checksum (E2E-CRC).

use alloc::vec::Vec;

use vitals::Span;
use vitals::gatt::{
    CgmControl, CgmFeatures, CgmOp, CgmOutcome, CgmRecord, CgmRunTime, CgmSessionStart, CgmStatus,
    DateTime, Number,
};

use crate::clock::DeviceClock;
use crate::device::{Device, Heard, Waiting};
use crate::gatt::{self, Refusal, Service, Uuid, Value};
use crate::profiles;
use crate::records::{Record, RecordStore};

/// Features: checksum, trend, quality.
const FEATURES: u32 = 1 << 12 | 1 << 15 | 1 << 16;
/// Interstitial fluid, subcutaneous tissue.
const FLUID: u8 = 9;
const LOCATION: u8 = 5;
/// How long a sensor lasts.
const RUN_TIME_H: u16 = 240;

/// What the sensor found.
#[derive(Clone, Copy, Debug)]
pub struct Sensed {
    /// mg/dL.
    pub glucose: f64,
    /// mg/dL a minute.
    pub trend: f64,
    /// Percent.
    pub quality: f64,
}

/// The monitor. Its session begins when it is put on.
#[derive(Debug)]
pub struct Cgm {
    clock: DeviceClock,
    records: RecordStore,
    live: Waiting,
    answers: Waiting,
    /// Running time at which the session began.
    started: Span,
    /// Of the last record.
    last: Option<Span>,
    /// Between the last two records; 0 before there are two.
    interval_min: u8,
}

impl Cgm {
    const SERVICES: &'static [Service] = &[profiles::CGM];

    /// Without any record yet.
    #[must_use]
    pub fn new(clock: DeviceClock) -> Self {
        Self {
            clock,
            records: RecordStore::default(),
            live: Waiting::default(),
            answers: Waiting::default(),
            started: Span::ZERO,
            last: None,
            interval_min: 0,
        }
    }

    /// A record is due.
    pub fn measure(&mut self, up: Span, found: Sensed, heard: Heard<'_>) {
        let offset = self.offset_min(up);
        if let Some(last) = self.last.replace(up) {
            let minutes = (up - last).as_micros() / 60_000_000;
            self.interval_min = u8::try_from(minutes).unwrap_or(u8::MAX);
        }
        let record = CgmRecord {
            glucose: Number::nearest_sfloat(found.glucose, 0),
            time_offset_min: offset,
            status: None,
            caltemp: None,
            warning: None,
            trend: Some(Number::nearest_sfloat(found.trend, 1)),
            quality: Some(Number::nearest_sfloat(found.quality, 0)),
            crc_ok: Some(true),
        };
        let value = gatt::value(profiles::CGM_MEASUREMENT, CgmRecord::encode(&[record]));
        if heard(profiles::CGM_MEASUREMENT) {
            self.live.push(value.clone());
        }
        self.records.keep(Record {
            number: offset,
            time: self.clock.date_time(up),
            values: value.into_iter().collect(),
        });
    }

    fn offset_min(&self, up: Span) -> u16 {
        // Sessions are over long before the 45 days that 16 bits of minutes hold.
        u16::try_from((up - self.started).as_micros() / 60_000_000).unwrap_or(u16::MAX)
    }

    fn session_start(&self, up: Span) -> Option<CgmSessionStart> {
        Some(CgmSessionStart {
            time: DateTime::from_utc(self.clock.now(up) + (self.started - up))?,
            time_zone: 0,
            dst: 0,
            crc_ok: Some(true),
        })
    }

    fn control(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        let request = *octets.first().ok_or(Refusal::LENGTH)?;
        let respond = |outcome| CgmOp::Response { request, outcome };
        let op = match CgmControl::decode(octets).map(|control| control.op) {
            Ok(CgmOp::GetInterval) => CgmOp::Interval(self.interval_min),
            // The session is begun by putting the sensor on, and ended by taking it off; intervals are its own.
            Ok(_) | Err(_) => respond(CgmOutcome::OpNotSupported),
        };
        let crc_ok = Some(true);
        let answer = CgmControl { op, crc_ok }.encode();
        self.answers
            .push(gatt::value(profiles::CGM_CONTROL, answer));
        Ok(())
    }
}

impl Device for Cgm {
    fn services(&self) -> &'static [Service] {
        Self::SERVICES
    }

    fn poll(&mut self, _up: Span, heard: Heard<'_>) -> Vec<Value> {
        let mut sent: Vec<Value> = self.answers.next(heard).into_iter().collect();
        sent.extend(self.live.next(heard));
        sent.extend(self.records.poll(heard));
        sent
    }

    fn busy(&self, heard: Heard<'_>) -> bool {
        self.answers.has_next(heard) || self.live.has_next(heard) || self.records.busy()
    }

    fn undelivered(&mut self, _value: Value) {
        // It is in the memory still, and asked for again.
    }

    fn read(&self, up: Span, characteristic: Uuid) -> Option<Vec<u8>> {
        let crc_ok = Some(true);
        match characteristic {
            profiles::CGM_FEATURE => CgmFeatures {
                supported: FEATURES,
                fluid: FLUID,
                location: LOCATION,
                crc_ok,
            }
            .encode()
            .ok(),
            profiles::CGM_STATUS => CgmStatus {
                time_offset_min: self.offset_min(up),
                status: 0,
                caltemp: 0,
                warning: 0,
                crc_ok,
            }
            .encode()
            .ok(),
            profiles::CGM_SESSION_START => self.session_start(up)?.encode().ok(),
            profiles::CGM_RUN_TIME => CgmRunTime {
                hours: RUN_TIME_H,
                crc_ok,
            }
            .encode()
            .ok(),
            _ => None,
        }
    }

    fn write(&mut self, up: Span, characteristic: Uuid, octets: &[u8]) -> Result<(), Refusal> {
        match characteristic {
            profiles::RECORD_ACCESS => self.records.write(octets),
            profiles::CGM_CONTROL => self.control(octets),
            profiles::CGM_SESSION_START => {
                // A collector writes what time it is (CGMS 1.0.2, 3.4.2): the device then works out the start.
                let written = CgmSessionStart::decode(octets).map_err(|_| Refusal::LENGTH)?;
                let now = written.utc(Span::ZERO).ok_or(Refusal::OUT_OF_RANGE)?;
                self.clock.set(up, now);
                Ok(())
            }
            _ => Err(Refusal::NOT_PERMITTED),
        }
    }

    fn clock_mut(&mut self) -> &mut DeviceClock {
        &mut self.clock
    }
}
