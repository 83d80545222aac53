//! What is known of devices' clocks, kept over a restart: in the same commit as the readings that were dated by it.

use vitals::gatt::CgmSessionStart;
use vitals::observe::Memory;
use vitals::observe::clock::{Change, DeviceClock};
use vitals::{SourceId, StreamId, Time};

use super::Core;
use crate::ble::Address;
use crate::outbox::rows::ClockRow;
use crate::status::ClockStatus;

impl Core {
    /// A device's memory as far as it was kept.
    pub(super) fn remembered(&self, stream: StreamId, source: SourceId) -> Memory {
        let Some(row) = self.clocks.get(&(stream, source.0)) else {
            return Memory::default();
        };
        // Numbers that no clock gave: as if it had never been met.
        let clock = |numbers: &[i64]| DeviceClock::from_numbers(numbers).unwrap_or_default();
        let records = self.sealing.rows().get(&stream).map(|row| &row.records);
        let mut records = records.into_iter().flatten();
        let session = records.find(|records| records.source == u32::from(source.0));
        let session = session.and_then(|row| CgmSessionStart::decode(&row.session).ok());
        Memory::with_clocks(clock(&row.clock), clock(&row.counter), session)
    }

    /// More may be known of a device's clocks than was kept.
    pub(super) fn keep_clocks(&mut self, address: Address, now: Time) {
        let Some(device) = self.devices.get(&address) else {
            return;
        };
        let of = (device.stream, device.source.0);
        let (clock, counter) = (device.memory.clock(), device.memory.counter());
        let (clock, counter) = (clock.to_numbers(), counter.to_numbers());
        let known = self.clocks.get(&of);
        let same = known.map_or(clock.is_empty() && counter.is_empty(), |known| {
            (&known.clock, &known.counter) == (&clock, &counter)
        });
        if same {
            return;
        }
        let row = ClockRow {
            stream: of.0.0.to_vec(),
            source: of.1.into(),
            kept_at_us: now.as_micros(),
            clock,
            counter,
        };
        self.clocks.insert(of, row.clone());
        self.changes.clocks.insert(of, row);
        self.schedule_commit(now);
    }
}

/// A device's clock for people; `None` while it was never compared with ours.
pub(super) fn shown(memory: &Memory, now: Time) -> Option<ClockStatus> {
    let clock = memory.clock();
    let (offset, uncertainty) = clock.offset(now)?;
    let (drift, drift_uncertainty) = clock.drift()?;
    let (changes, last) = clock.changes();
    let last_change = last.map_or("", |change| match change {
        Change::Zone => "zone",
        Change::Set => "set",
        Change::Reset => "reset",
    });
    Some(ClockStatus {
        ahead_us: -offset.as_micros(),
        uncertainty_us: uncertainty.as_micros(),
        gains_ppb: -drift,
        gains_uncertainty_ppb: drift_uncertainty,
        changes,
        last_change: last_change.to_owned(),
    })
}
