//! One (gateway, patient) stream: what is assigned, what came, and whether the gateway lives.
//!
//! Bounds: [`MAX_SOURCES`] sources per stream; readings of further ones are set aside.

use alloc::collections::BTreeMap;
use alloc::string::String;

use vitals::{GatewayId, Reading, SourceId, Time};

use crate::canonical::Bytes;
use crate::device::Device;
use crate::event::{Assigned, DeviceReport, Heartbeat};
use crate::order::Order;
use crate::rule;
use crate::view::Counters;

/// Sources per stream: a patient wears a handful.
pub(crate) const MAX_SOURCES: usize = 64;

/// Why a reading is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    BeforeAssignment,
    Unassigned,
    Future,
    Ancient,
    Forgotten,
}

/// A stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stream {
    pub(crate) gateway: GatewayId,
    /// Assigned Bluetooth addresses (upper case), each with the begin of its assignment.
    assigned: BTreeMap<String, Time>,
    /// Earliest begin of an assignment.
    from: Time,
    /// Known time of the assignment.
    assigned_at: Time,
    pub(crate) revoked: bool,
    pub(crate) order: Order,
    pub(crate) counters: Counters,
    pub(crate) heartbeat: Option<Heartbeat>,
    /// Newest time at which the gateway made anything, never beyond known time.
    pub(crate) content: Option<Time>,
    /// Since when content came without a silence.
    pub(crate) alive_since: Time,
    pub(crate) silent: bool,
    pub(crate) devices: BTreeMap<SourceId, Device>,
}

impl Stream {
    pub(crate) fn new(assigned: &Assigned, known: Time) -> Self {
        let mut stream = Self {
            gateway: assigned.gateway.clone(),
            assigned: BTreeMap::new(),
            from: assigned.from,
            assigned_at: known,
            revoked: false,
            order: Order::default(),
            counters: Counters::default(),
            heartbeat: None,
            content: None,
            alive_since: known,
            silent: false,
            devices: BTreeMap::new(),
        };
        stream.assign(assigned, known);
        stream
    }

    /// Replaces the assignment. A device that stays keeps its earlier begin.
    pub(crate) fn assign(&mut self, assigned: &Assigned, known: Time) {
        let begin = |address: &String| {
            let address = address.to_ascii_uppercase();
            let from = self
                .assigned
                .get(&address)
                .map_or(assigned.from, |former| assigned.from.min(*former));
            (address, from)
        };
        self.assigned = assigned.devices.iter().map(begin).collect();
        self.from = self
            .assigned
            .values()
            .copied()
            .min()
            .unwrap_or(assigned.from);
        self.gateway = assigned.gateway.clone();
        self.assigned_at = known;
        self.revoked = false;
    }

    /// Why a reading must not be folded, if so.
    pub(crate) fn refuses(&self, reading: &Reading, known: Time) -> Option<Aside> {
        let device = self.devices.get(&reading.source);
        if self.revoked || (device.is_none() && self.devices.len() >= MAX_SOURCES) {
            return Some(Aside::Unassigned);
        }
        let address = device.map_or("", |device| device.address.as_str());
        let from = if address.is_empty() || self.assigned.is_empty() {
            self.from
        } else {
            match self.assigned.get(&address.to_ascii_uppercase()) {
                Some(from) => *from,
                None => return Some(Aside::Unassigned),
            }
        };
        if reading.effective > known + rule::MAX_AHEAD {
            Some(Aside::Future)
        } else if known.since(reading.effective) > rule::MAX_AGE {
            Some(Aside::Ancient)
        } else if reading.effective < from {
            Some(Aside::BeforeAssignment)
        } else {
            None
        }
    }

    pub(crate) fn report(&mut self, report: &DeviceReport, known: Time) -> bool {
        if !self.devices.contains_key(&report.source) && self.devices.len() >= MAX_SOURCES {
            return false;
        }
        self.devices
            .entry(report.source)
            .or_default()
            .report(report, known);
        true
    }

    /// The gateway made something at `at`. Gives true if that ends its silence.
    pub(crate) fn hear(&mut self, at: Time, known: Time) -> bool {
        let at = at.min(known);
        let last = self.content.unwrap_or(self.assigned_at);
        if self.content.is_none() || at.since(last) >= rule::GATEWAY_SILENT {
            self.alive_since = at;
        }
        self.content = Some(self.content.map_or(at, |content| content.max(at)));
        let ends = self.silent && known.since(at) < rule::GATEWAY_SILENT;
        if ends {
            (self.silent, self.alive_since) = (false, at);
        }
        ends
    }

    /// When the gateway's silence is to be reported.
    pub(crate) fn silence_deadline(&self) -> Option<Time> {
        if self.silent || self.revoked {
            return None;
        }
        Some(match self.content {
            Some(content) => content.max(self.assigned_at) + rule::GATEWAY_SILENT,
            None => self.assigned_at + rule::GATEWAY_NEVER,
        })
    }

    /// When a sensor's silence is to be reported: its gateway must have been heard since then (and not only
    /// have fallen silent itself), and be back for as long.
    pub(crate) fn device_silence_deadline(&self, device: &Device) -> Option<Time> {
        let (bound, heard, content) = (device.silence()?, device.heard?, self.content?);
        let at = heard.max(self.alive_since) + bound;
        (!self.silent && !self.revoked && content + rule::HEARTBEAT >= at).then_some(at)
    }

    pub(crate) fn set_aside(&mut self, why: Aside) {
        set_aside(&mut self.counters, why, 1);
    }

    pub(crate) fn encode(&self, to: &mut Bytes<'_>) {
        to.text(self.gateway.as_str());
        to.len(self.assigned.len());
        for (address, from) in &self.assigned {
            to.text(address);
            to.time(*from);
        }
        to.time(self.from);
        to.time(self.assigned_at);
        to.bool(self.revoked);
        self.order.encode(to);
        encode_counters(&self.counters, to);
        to.option(self.heartbeat.as_ref(), |to, heartbeat| {
            to.time(heartbeat.sent);
            to.u64(heartbeat.buffer_records);
            to.u64(heartbeat.readings_decoded);
        });
        to.option(self.content, Bytes::time);
        to.time(self.alive_since);
        to.bool(self.silent);
        to.len(self.devices.len());
        for (source, device) in &self.devices {
            to.u32(u32::from(source.0));
            device.encode(to);
        }
    }
}

/// Counts readings that are set aside.
pub(crate) fn set_aside(counters: &mut Counters, why: Aside, readings: u64) {
    counters.quarantined = counters.quarantined.saturating_add(readings);
    let reason = match why {
        Aside::BeforeAssignment => &mut counters.quarantined_before_assignment,
        Aside::Unassigned => &mut counters.quarantined_unassigned,
        Aside::Future => &mut counters.quarantined_future,
        Aside::Ancient => &mut counters.quarantined_ancient,
        Aside::Forgotten => &mut counters.quarantined_forgotten,
    };
    *reason = reason.saturating_add(readings);
}

pub(crate) fn encode_counters(counters: &Counters, to: &mut Bytes<'_>) {
    for count in counters.all() {
        to.u64(count);
    }
}
