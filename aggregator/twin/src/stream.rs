//! One (gateway, patient) stream: what is assigned, what came, and whether the gateway lives.
//!
//! A sensor is this patient's from the begin of each of its assignments to the end: what it measured outside
//! of them is somebody else's, or nobody's, however late it comes.
//!
//! Bounds: [`MAX_SOURCES`] sources per stream; readings of further ones are set aside. [`MAX_FORMER`] sensors
//! that were on the list once, with [`MAX_TERMS`] terms each: backlog of what is forgotten is set aside too.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{GatewayId, SourceId, Span, Time};

use crate::coverage::{Runs, StreamFacts};
use crate::device::Device;
use crate::event::{Assigned, DeviceReport, Heartbeat};
use crate::order::Order;
use crate::rule;
use crate::view::Counters;

/// Sources per stream: a patient wears a handful.
pub(crate) const MAX_SOURCES: usize = 64;

/// Sensors no longer on the list whose backlog is still taken, per stream.
pub(crate) const MAX_FORMER: usize = 128;
/// Terms per sensor.
pub(crate) const MAX_TERMS: usize = 32;

/// From when until when a sensor is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term {
    from: Time,
    /// The first moment after it; `None` while it lasts.
    to: Option<Time>,
}

impl Term {
    fn holds(&self, effective: Time) -> bool {
        self.from <= effective && self.to.is_none_or(|to| effective < to)
    }
}

/// Why a reading is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    BeforeAssignment,
    Unassigned,
    Future,
    Ancient,
    Forgotten,
    Voided,
}

/// A stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stream {
    pub(crate) gateway: GatewayId,
    /// Bluetooth addresses (upper case) that are or were assigned, each with its terms, oldest first.
    assigned: BTreeMap<String, Vec<Term>>,
    /// Known time of the assignment.
    assigned_at: Time,
    pub(crate) revoked: bool,
    frozen: bool,
    /// Since when its sensors are not monitored, because it was revoked or frozen, and nobody else has them.
    pub(crate) lost: Option<Time>,
    pub(crate) order: Order,
    pub(crate) counters: Counters,
    pub(crate) heartbeat: Option<Heartbeat>,
    /// Newest time at which the gateway made anything, never beyond known time.
    pub(crate) content: Option<Time>,
    /// Since when content came without a silence.
    pub(crate) alive_since: Time,
    pub(crate) silent: bool,
    // Boxed: a node of the map has room for eleven.
    pub(crate) devices: BTreeMap<SourceId, Box<Device>>,
    pub(crate) facts: StreamFacts,
}

impl Stream {
    pub(crate) fn new(assigned: &Assigned, known: Time) -> Self {
        let mut stream = Self {
            gateway: assigned.gateway.clone(),
            assigned: BTreeMap::new(),
            assigned_at: known,
            revoked: false,
            frozen: false,
            lost: None,
            order: Order::default(),
            counters: Counters::default(),
            heartbeat: None,
            content: None,
            alive_since: known,
            silent: false,
            devices: BTreeMap::new(),
            facts: StreamFacts::default(),
        };
        stream.list(&assigned.devices, assigned.from, known);
        stream
    }

    /// Replaces the assignment. A sensor that stays keeps its begin; one that comes new begins now, or later if
    /// the assignment says so, for until now somebody else may have worn it; one that goes ends now.
    pub(crate) fn assign(&mut self, assigned: &Assigned, known: Time) {
        self.list(&assigned.devices, assigned.from.max(known), known);
        self.gateway = assigned.gateway.clone();
        self.assigned_at = known;
        self.revoked = false;
    }

    fn list(&mut self, devices: &[String], from: Time, known: Time) {
        let wanted: BTreeSet<String> = devices
            .iter()
            .map(|address| address.to_ascii_uppercase())
            .collect();
        self.end_terms(known, |address| !wanted.contains(address));
        if self.frozen {
            return;
        }
        for address in wanted {
            let terms = self.assigned.entry(address).or_default();
            if terms.last().is_none_or(|term| term.to.is_some()) {
                terms.push(Term { from, to: None });
            }
            if terms.len() > MAX_TERMS {
                terms.remove(0);
            }
        }
        self.forget_former();
    }

    fn end_terms(&mut self, known: Time, which: impl Fn(&String) -> bool) {
        for (address, terms) in &mut self.assigned {
            if let Some(term) = terms.last_mut().filter(|term| term.to.is_none())
                && which(address)
            {
                term.to = Some(known.max(term.from));
            }
        }
    }

    /// The gateway may no longer write.
    pub(crate) fn revoke(&mut self, known: Time) {
        self.revoked = true;
        self.end_terms(known, |_| true);
    }

    /// Two copies of the gateway send: nothing measured from now on is taken, whatever is assigned later.
    pub(crate) fn freeze(&mut self, known: Time) {
        self.frozen = true;
        self.end_terms(known, |_| true);
    }

    /// True if it may no longer write.
    pub(crate) const fn is_shut_out(&self) -> bool {
        self.revoked || self.frozen
    }

    /// Known time of the newest assignment.
    pub(crate) const fn assigned_at(&self) -> Time {
        self.assigned_at
    }

    /// Sensors on the list.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &String> {
        let present =
            |(_, terms): &(_, &Vec<Term>)| terms.last().is_some_and(|term| term.to.is_none());
        self.assigned
            .iter()
            .filter(present)
            .map(|(address, _)| address)
    }

    /// Sensors whose term ended at `at`.
    pub(crate) fn ended_at(&self, at: Time) -> impl Iterator<Item = &String> {
        let ended = move |(_, terms): &(_, &Vec<Term>)| {
            terms
                .last()
                .is_some_and(|term| term.to == Some(at.max(term.from)))
        };
        self.assigned
            .iter()
            .filter(ended)
            .map(|(address, _)| address)
    }

    /// Forgets the sensors that went longest ago.
    fn forget_former(&mut self) {
        let ended = |(address, terms): (&String, &Vec<Term>)| {
            terms.last()?.to.map(|to| (to, address.clone()))
        };
        let mut former: Vec<_> = self.assigned.iter().filter_map(ended).collect();
        former.sort_unstable();
        let excess = former.len().saturating_sub(MAX_FORMER);
        for (_, address) in former.iter().take(excess) {
            self.assigned.remove(address);
        }
    }

    /// Why what a source measured then must not be folded, if so.
    pub(crate) fn refuses(&self, source: SourceId, effective: Time, known: Time) -> Option<Aside> {
        let device = self.devices.get(&source);
        if self.revoked || (device.is_none() && self.devices.len() >= MAX_SOURCES) {
            return Some(Aside::Unassigned);
        }
        let address = device.map_or("", |device| device.address.as_str());
        let terms = || {
            // A sensor that no report named yet can be any of the list.
            let of = |(listed, _): &(&String, &Vec<Term>)| {
                address.is_empty() || listed.eq_ignore_ascii_case(address)
            };
            self.assigned.iter().filter(of).flat_map(|(_, terms)| terms)
        };
        let Some(begin) = terms().map(|term| term.from).min() else {
            return Some(Aside::Unassigned);
        };
        if effective > known + rule::MAX_AHEAD {
            Some(Aside::Future)
        } else if known.since(effective) > rule::MAX_AGE {
            Some(Aside::Ancient)
        } else if effective < begin {
            Some(Aside::BeforeAssignment)
        } else if terms().any(|term| term.holds(effective)) {
            None
        } else {
            Some(Aside::Unassigned)
        }
    }

    /// True while anything is expected of the gateway.
    pub(crate) fn lasts(&self) -> bool {
        self.listed().next().is_some()
    }

    /// When the last of its sensors went; `None` while it lasts.
    pub(crate) fn ended(&self) -> Option<Time> {
        let ends = |terms: &Vec<Term>| terms.last().and_then(|term| term.to);
        let last = self.assigned.values().filter_map(ends).max();
        (!self.lasts()).then(|| last.unwrap_or(self.assigned_at))
    }

    /// Begin of a sensor's present term; `None`: nothing is expected of it. A sensor that no report named yet can
    /// be any of the list.
    pub(crate) fn begin(&self, device: &Device) -> Option<Time> {
        let address = device.address.as_str();
        let listed = self
            .assigned
            .iter()
            .filter(|(listed, _)| address.is_empty() || listed.eq_ignore_ascii_case(address));
        let present = |(_, terms): (_, &Vec<Term>)| {
            let last = terms.last().filter(|term| term.to.is_none())?;
            Some(last.from)
        };
        listed.filter_map(present).min()
    }

    /// All terms of a sensor; of any on the list where the address is not known.
    pub(crate) fn terms_of(&self, address: &str) -> Runs {
        let of = |(listed, _): &(&String, &Vec<Term>)| {
            address.is_empty() || listed.eq_ignore_ascii_case(address)
        };
        let mut runs = Runs::default();
        for term in self.assigned.iter().filter(of).flat_map(|(_, terms)| terms) {
            runs.insert(term.from, term.to.unwrap_or(Time::MAX), Span::ZERO);
        }
        runs
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

    /// The gateway ran, and says how far it is.
    pub(crate) fn beat(&mut self, heartbeat: &Heartbeat, known: Time) {
        self.facts.beat(heartbeat, known);
        self.prune(known);
    }

    /// Lets go of what no question about coverage can reach. A stream that has ended has no beat that would.
    pub(crate) fn prune(&mut self, known: Time) {
        self.facts.prune(known);
        for device in self.devices.values_mut() {
            device.facts.prune(known);
        }
    }

    /// True if [`Stream::prune`] has something to let go of.
    pub(crate) fn is_stale(&self, known: Time) -> bool {
        self.facts.is_stale(known) || self.devices.values().any(|of| of.facts.is_stale(known))
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
        if self.silent || !self.lasts() {
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
        let at = heard.max(self.alive_since).max(self.begin(device)?) + bound;
        (!self.silent && content + rule::HEARTBEAT >= at).then_some(at)
    }

    pub(crate) fn set_aside(&mut self, why: Aside) {
        set_aside(&mut self.counters, why, 1);
    }

    /// A block of a waveform.
    pub(crate) fn set_aside_block(&mut self) {
        let aside = &mut self.counters.blocks_quarantined;
        *aside = aside.saturating_add(1);
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
        Aside::Voided => &mut counters.quarantined_voided,
    };
    *reason = reason.saturating_add(readings);
}

crate::canonical_fields! {
    Term { from, to }
    Heartbeat { sent, buffer_records, readings_decoded, awake_since, complete_until }
    Stream { gateway, assigned, assigned_at, revoked, frozen, lost, order, counters, heartbeat, content, alive_since, silent, devices, facts }
}
