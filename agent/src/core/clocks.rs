//! What is known of devices' clocks, kept over a restart: in the same commit as the readings that were dated by it.
//!
//! It is kept for as long as a device is assigned here and used. When the gateway's own clock was set, all of it is
//! forgotten: a gateway without a battery clock may have learnt it, in this life or the last, before it knew the time.

use vitals::gatt::CgmSessionStart;
use vitals::observe::Memory;
use vitals::observe::clock::{Change, DeviceClock};
use vitals::{SourceId, Span, StreamId, Time};

use super::Core;
use crate::ble::Address;
use crate::outbox::rows::{ClockOf, ClockRow};
use crate::status::ClockStatus;

/// A clock that was not met for this long has drifted by hours: what is known of it is of no use.
const UNUSED: Span = Span::from_mins(90 * 24 * 60);
const MINUTE: i64 = 60_000_000;

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
            kept_at_us: now.as_micros().div_euclid(MINUTE) * MINUTE,
            clock,
            counter,
        };
        self.clocks.insert(of, row.clone());
        self.changes.clocks.insert(of, Some(row));
        self.schedule_commit(now);
    }

    /// The gateway's own clock was set: what was compared with it before is worth nothing.
    pub(super) fn clock_set(&mut self, now: Time) {
        for device in self.devices.values_mut() {
            device.memory.forget_clocks();
        }
        let known: Vec<ClockOf> = self.clocks.keys().copied().collect();
        tracing::warn!(
            devices = known.len(),
            "this machine's clock was set: what was known of devices' clocks is forgotten"
        );
        self.drop_clocks(&known, now);
    }

    /// Forgets the clocks of devices that are not assigned here, or were not met for long.
    pub(super) fn drop_old_clocks(&mut self, now: Time) {
        let devices = self.devices.values();
        let assigned: Vec<ClockOf> = devices.map(|of| (of.stream, of.source.0)).collect();
        let is_old = |(of, row): (&ClockOf, &ClockRow)| {
            let unused = now.since(Time::from_micros(row.kept_at_us)) > UNUSED;
            (unused || !assigned.contains(of)).then_some(*of)
        };
        let old: Vec<ClockOf> = self.clocks.iter().filter_map(is_old).collect();
        self.drop_clocks(&old, now);
    }

    fn drop_clocks(&mut self, which: &[ClockOf], now: Time) {
        for of in which {
            self.clocks.remove(of);
            self.changes.clocks.insert(*of, None);
            self.schedule_commit(now);
        }
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
