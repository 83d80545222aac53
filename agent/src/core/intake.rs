//! Intake: values become readings, readings wait for the seal; devices and their states.

use proto::seal::Lane;
use proto::v1::{DeviceReport, GapReason, Heartbeat, LanePosition, LinkState as WireLink};
use proto::wire::sanitise;
use vitals::{Span, StreamId, Time};

use super::records::{Fresh, TakenRecords, is_stored};
use super::spots::Spots;
use super::{Core, Device};
use crate::ble::records::Outcome;
use crate::ble::{About, Address, LinkState, Notification, RadioEvent};
use crate::decode::{
    BAD_CHECKSUM, BEFORE_ASSIGNMENT, IMPOSTOR, NOT_ASSIGNED, NOT_FETCHED, TAKEN_BEFORE,
    UNKNOWN_PROFILE, decode,
};
use crate::outbox::RecordId;
use crate::outbox::assignment::{Duty, Withheld};
use crate::outbox::ledger::Entry;
use crate::outbox::seal::Loss;

/// Unassigned devices remembered: a busy street passes by in a day.
const MOST_UNASSIGNED: usize = 256;
/// A process whose ticks are further apart (and than two beats) did not run in between.
const MOST_ASLEEP: Span = Span::from_mins(3);
/// No reading waits longer for its seal than this.
const UNSEALED: Span = Span::from_secs(20);

impl Core {
    pub(super) fn notification(&mut self, notification: &Notification, now: Time) {
        let address = notification.device;
        let Some(device) = self.devices.get_mut(&address) else {
            self.counters.device_data_refused.add(NOT_ASSIGNED, 1);
            return;
        };
        let (stream, source) = (device.stream, device.source);
        let from = self.sealing.counts_from(stream);
        if notification.received < from {
            self.counters.device_data_refused.add(BEFORE_ASSIGNMENT, 1);
            return;
        }
        let name = device.about.name.clone();
        let Some(sequences) = self.sealing.sequences(stream, now) else {
            // The stream's key is no key: counted and shown where the context could not be opened.
            self.counters.device_data_refused.add("no_usable_key", 1);
            return;
        };
        let part;
        let notification = match device.records.take(notification) {
            Fresh::Whole => notification,
            Fresh::Part(value) => {
                part = Notification {
                    value,
                    ..notification.clone()
                };
                &part
            }
            Fresh::Nothing => {
                self.counters.device_data_refused.add(TAKEN_BEFORE, 1);
                return;
            }
        };
        let ahead = self.settings.clock_ahead;
        let memory = &mut device.memory;
        let decoded = decode(
            notification,
            name.as_deref(),
            (source, ahead),
            memory,
            sequences,
        );
        let mut observed = match decoded {
            Ok(observed) => observed,
            Err(reason) => {
                self.counters.device_data_refused.add(reason, 1);
                return;
            }
        };
        if observed.damaged > 0 {
            self.counters
                .device_data_refused
                .add(BAD_CHECKSUM, observed.damaged);
        }
        for reason in &observed.refused {
            self.counters.device_data_refused.add(reason, 1);
        }
        let early = observed.waveforms.len();
        observed.waveforms.retain(|block| block.start >= from);
        let early = early - observed.waveforms.len();
        if early > 0 {
            self.counters
                .device_data_refused
                .add(BEFORE_ASSIGNMENT, early as u64);
        }
        let all = observed.readings.len();
        // An interval between beats reaches back: it may begin before the assignment.
        observed
            .readings
            .retain(|reading| reading.effective >= from);
        let kept = observed.readings.len();
        if kept < all {
            let early = (all - kept) as u64;
            self.counters
                .device_data_refused
                .add(BEFORE_ASSIGNMENT, early);
        }
        self.count_decoded(stream, kept as u64, now);
        let stored = is_stored(notification.characteristic);
        if stored {
            self.listing.insert(stream);
        }
        self.survival
            .take((stream, source), &observed.readings, now);
        let lane = self.lane(address, observed.lane, notification.received);
        self.waits_since.get_or_insert(now);
        self.sealing.push(stream, lane, observed.readings);
        self.sealing.push_waveforms(stream, observed.waveforms);
        if self.sealing.is_full(stream) {
            self.sealing.flush_stream(stream, now);
        }
        let Some(device) = self.devices.get_mut(&address) else {
            return;
        };
        device.readings += kept as u64;
        device.last_value = Some(notification.received);
        let contact = observed.contact.or(device.contact);
        let battery = observed.battery_percent.or(device.about.battery_percent);
        if (contact, battery) != (device.contact, device.about.battery_percent) {
            (device.contact, device.about.battery_percent) = (contact, battery);
            self.report(address);
        }
        if stored {
            self.keep_records(address, now);
        }
        self.keep_clocks(address, now);
    }

    /// The lane of a notification: that of spot checks within the device's allowance only.
    fn lane(&mut self, address: Address, lane: Lane, received: Time) -> Lane {
        let Some(device) = self.devices.get_mut(&address) else {
            return lane;
        };
        if lane == Lane::Alert && !device.spots.take(received) {
            return Lane::Vitals;
        }
        lane
    }

    pub(super) fn radio(&mut self, event: RadioEvent, now: Time) {
        match event {
            RadioEvent::Link(address, link) => {
                let Some(device) = self.devices.get_mut(&address) else {
                    return;
                };
                if device.link == link {
                    return;
                }
                (device.link, device.since) = (link, now);
                if link == LinkState::Connected {
                    device.impostor = None;
                }
                if link != LinkState::Connected {
                    // What it said about contact is no longer so.
                    device.contact = None;
                    device.records.link_lost();
                }
                self.report(address);
            }
            RadioEvent::About(address, about) => {
                if let Some(device) = self.devices.get_mut(&address) {
                    let merged = merge(&device.about, about);
                    if device.about != merged {
                        device.about = merged;
                        self.report(address);
                    }
                }
            }
            RadioEvent::Unassigned(address) => {
                if self.unassigned.len() < MOST_UNASSIGNED || self.unassigned.contains_key(&address)
                {
                    *self.unassigned.entry(address).or_insert(0) += 1;
                }
            }
            RadioEvent::UnknownProfiles(_, count) => {
                self.counters
                    .device_data_refused
                    .add(UNKNOWN_PROFILE, count as u64);
            }
            RadioEvent::Records(address, profile, outcome) => {
                match (outcome, self.devices.get_mut(&address)) {
                    (Outcome::Complete, Some(device)) => {
                        device.records.complete(profile);
                        self.keep_records(address, now);
                    }
                    (Outcome::Failed, _) => {
                        self.counters.device_data_refused.add(NOT_FETCHED, 1);
                    }
                    (Outcome::Complete | Outcome::Unsupported, _) => {}
                }
            }
            RadioEvent::Impostor(address, what) => {
                self.counters.device_data_refused.add(IMPOSTOR, 1);
                if let Some(device) = self.devices.get_mut(&address) {
                    device.impostor = Some(what);
                }
            }
            RadioEvent::Adverts(refused) => {
                for (reason, count) in refused {
                    self.counters.device_data_refused.add(&reason, count);
                }
            }
            RadioEvent::Health(trouble) => self.radio_trouble = trouble,
            RadioEvent::Ended(end) => self.counters.radio_restarts.add(end.as_str(), 1),
        }
    }

    /// Replaces the assignments; devices keep their state while they stay with their stream.
    pub(super) fn assign(&mut self, duty: Duty, now: Time) {
        self.sealing.assign(&duty.assignments, now);
        self.survival.assign(self.sealing.streams(), now);
        let assigned = self.sealing.devices().clone();
        self.devices
            .retain(|address, device| assigned.get(address) == Some(&device.stream));
        for (address, stream) in assigned {
            let source = self.sealing.source(stream, address);
            self.sealing.row_mut(stream).collecting = true;
            self.dirty.insert(stream);
            self.unassigned.remove(&address);
            let row = self.sealing.rows().get(&stream);
            let mut kept = row.into_iter().flat_map(|row| &row.records);
            let kept = kept.find(|kept| kept.source == u32::from(source.0));
            let records = kept.map(TakenRecords::from_row).unwrap_or_default();
            let memory = self.remembered(stream, source);
            self.devices.entry(address).or_insert(Device {
                stream,
                source,
                link: LinkState::Searching,
                since: now,
                about: About::default(),
                records,
                impostor: None,
                memory,
                contact: None,
                readings: 0,
                last_value: None,
                spots: Spots::new(now),
            });
        }
        self.devices_changed = true;
        self.drop_old_clocks(now);
        self.schedule_commit(now);
        self.erase(&duty.withheld, now);
        self.withheld = duty.withheld;
        // A new assignment is alive from its first moment, also before its device is found.
        if !self.stopping {
            self.heartbeat_due = now;
        }
    }

    /// Which records of a device were taken goes to disk with the readings of the same commit.
    fn keep_records(&mut self, address: Address, now: Time) {
        let Some(device) = self.devices.get(&address) else {
            return;
        };
        let (stream, source) = (device.stream, device.source.0);
        let kept = device.records.to_row(source);
        let rows = &mut self.sealing.row_mut(stream).records;
        let known = rows.iter().find(|row| row.source == u32::from(source));
        if known != kept.as_ref() {
            rows.retain(|row| row.source != u32::from(source));
            rows.extend(kept);
            self.dirty.insert(stream);
            // The radio is told how far it got.
            self.devices_changed = true;
            self.schedule_commit(now);
        }
    }

    /// Deletes unsent what patients who withdrew do not want to be delivered. No gap tells of it: the stream is
    /// closed, and the centre knows why.
    fn erase(&mut self, withheld: &[Withheld], now: Time) {
        let erased = withheld.iter().filter(|of| of.erase_unsent);
        let erased: Vec<StreamId> = erased.map(|of| of.stream).collect();
        if erased.is_empty() {
            return;
        }
        // What waited for its seal was sealed when the stream was closed.
        self.drain_sealing(now);
        let of_them = self.ledger.iter();
        let of_them = of_them.filter(|(_, entry)| erased.contains(&entry.stub.stream));
        let ids: Vec<RecordId> = of_them.map(|(id, _)| id).collect();
        if !ids.is_empty() {
            tracing::warn!(records = ids.len(), "deleted unsent by a patient's will");
            self.drop_records(&ids, GapReason::Unspecified, "withdrawn", now);
        }
    }

    /// Declares what found the queue from the radio full.
    pub(super) fn declare_overflow(&mut self, now: Time) {
        for (address, missed) in self.overflow.take() {
            let Some(device) = self.devices.get(&address) else {
                // Nobody's any more: there is no stream to declare it in.
                let refused = &mut self.counters.device_data_refused;
                refused.add(NOT_ASSIGNED, missed.notifications);
                continue;
            };
            let (stream, source) = (device.stream, device.source.0);
            // One notification holds one reading at least.
            let loss = Loss {
                readings: missed.notifications,
                exact: false,
                from: missed.from,
                to: missed.to,
            };
            self.count_dropped("queue_full", missed.notifications);
            self.declare(stream, source, GapReason::QueueFull, loss);
            self.schedule_commit(now);
        }
    }

    /// Life is vouched for only while this process ran: after a sleep of the machine, or a jump of its clock, it
    /// begins anew.
    pub(super) fn stay_awake(&mut self, now: Time) {
        let slept = now.since(self.ticked);
        let beats = self.settings.heartbeat + self.settings.heartbeat;
        if slept < Span::ZERO || slept > MOST_ASLEEP.max(beats) {
            self.awake_since = now;
            // A clock that went back would silence the heart until it is there again.
            if !self.stopping {
                self.heartbeat_due = now;
            }
        }
        self.ticked = now;
    }

    /// Nothing measured before this waits here: neither in a record without a receipt nor for its seal.
    fn complete_until(&self, stream: StreamId, now: Time) -> Time {
        let of_stream =
            |(_, entry): &(RecordId, Entry)| entry.stub.stream == stream && entry.stub.count > 0;
        let kept = self.ledger.iter().filter(of_stream);
        let oldest = kept.map(|(_, entry)| entry.stub.oldest()).min();
        let sealed = now - UNSEALED;
        oldest.unwrap_or(sealed).min(sealed)
    }

    pub(super) fn heartbeats(&mut self, now: Time) {
        for stream in self.sealing.streams().collect::<Vec<_>>() {
            let kept = self.ledger.of_stream(stream);
            let oldest = self.ledger.oldest_by_lane(stream).into_iter();
            let oldest_unreceipted = oldest.map(|(lane, context, number)| LanePosition {
                lane: proto::v1::Lane::from(lane).into(),
                context: context.0.to_vec(),
                number,
            });
            let row = self.sealing.rows().get(&stream);
            let heartbeat = Heartbeat {
                sent_us: now.as_micros(),
                oldest_unreceipted: oldest_unreceipted.collect(),
                buffer_bytes: kept.bytes,
                buffer_records: kept.records,
                readings_decoded: row.map_or(0, |row| row.readings_decoded),
                device_data_refused: self
                    .counters
                    .device_data_refused
                    .by_reason()
                    .iter()
                    .map(|(reason, count)| (reason.clone(), *count))
                    .collect(),
                awake_since_us: self.awake_since.min(now).as_micros(),
                complete_until_us: self.complete_until(stream, now).as_micros(),
            };
            self.sealing.heartbeat(stream, heartbeat, now);
        }
    }

    /// The state of all devices of a stream, for a fresh context.
    pub(super) fn report_all(&mut self, stream: StreamId) {
        let of_stream =
            |(address, device): (&Address, &Device)| (device.stream == stream).then_some(*address);
        for address in self
            .devices
            .iter()
            .filter_map(of_stream)
            .collect::<Vec<_>>()
        {
            self.report(address);
        }
    }

    fn report(&mut self, address: Address) {
        let Some(device) = self.devices.get(&address) else {
            return;
        };
        let text = |text: &Option<String>| sanitise(text.as_deref().unwrap_or_default());
        let link = match device.link {
            LinkState::Searching => WireLink::Searching,
            LinkState::Connected => WireLink::Connected,
            LinkState::Lost => WireLink::Lost,
        };
        let report = DeviceReport {
            source: u32::from(device.source.0),
            address: address.to_string(),
            name: text(&device.about.name),
            manufacturer: text(&device.about.manufacturer),
            model: text(&device.about.model),
            link: link.into(),
            since_us: device.since.as_micros(),
            battery_percent: device.about.battery_percent.map(u32::from),
            contact: device.contact,
        };
        self.sealing.report(device.stream, report);
    }

    fn count_decoded(&mut self, stream: StreamId, readings: u64, now: Time) {
        if readings > 0 {
            self.sealing.row_mut(stream).readings_decoded += readings;
            self.gateway.readings_decoded += readings;
            self.counted.insert(stream);
            self.schedule_commit(now);
        }
    }

    pub(super) fn count_dropped(&mut self, reason: &str, readings: u64) {
        let dropped = &mut self.gateway.readings_dropped;
        *dropped.entry(reason.to_owned()).or_insert(0) += readings;
    }
}

/// What is known now: the newer word where there is one.
fn merge(known: &About, new: About) -> About {
    About {
        name: new.name.or_else(|| known.name.clone()),
        manufacturer: new.manufacturer.or_else(|| known.manufacturer.clone()),
        model: new.model.or_else(|| known.model.clone()),
        battery_percent: new.battery_percent.or(known.battery_percent),
    }
}
