//! What goes into the fold: everything that can change a twin, already opened and parsed.

use crate::bearing::Bearing;
use vitals::{ContextId, GatewayId, Reading, SourceId, Span, StreamId, Time, Waveform};

/// One journal entry about this patient.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Devices of this patient are collected by a gateway. Replaces the former assignment of the stream; an
    /// empty list ends it.
    Assigned(Assigned),
    /// A verified, opened, parsed batch.
    Batch(Batch),
    /// A batch that opened but did not parse; its readings are known only by the stub's count.
    Malformed {
        /// Its stream.
        stream: StreamId,
        /// Its context.
        context: ContextId,
        /// Its number.
        number: u64,
        /// Readings that the stub counted.
        readings: u64,
    },
    /// A person acknowledged an alert.
    Acknowledged {
        /// The alert's id.
        alert: crate::alert::AlertId,
        /// Who, as the gate named them.
        by: alloc::string::String,
        /// Their words; may be empty.
        note: alloc::string::String,
    },
    /// A person did something else about an alert or condition.
    Care {
        /// Who, as the gate named them.
        by: alloc::string::String,
        /// What.
        act: crate::care::Act,
    },
    /// The gateway may no longer write; its streams end.
    GatewayRevoked {
        /// Which.
        gateway: GatewayId,
    },
    /// Two copies of a gateway send on one stream: nothing more is taken from it, and it never begins again.
    StreamFrozen {
        /// Which.
        stream: StreamId,
    },
    /// What people know about the patient.
    Facts {
        /// Who says it, as the gate named them.
        by: alloc::string::String,
        /// Each replaces the one of its id.
        record: alloc::vec::Vec<crate::facts::Fact>,
        /// Ids of those that were wrong.
        retract: alloc::vec::Vec<alloc::string::String>,
    },
    /// Rules for everybody, from now on: what comes is judged by them.
    Rules(alloc::sync::Arc<crate::rules::Rules>),
    /// The patient said whether devices may be read. The ends and begins of assignments that follow from it are
    /// events of their own.
    Collection {
        /// They may.
        given: bool,
    },
    /// Readings that came, and those that still may, are not to be folded. Of those that were, nothing stays once the
    /// log was folded anew without them ([`crate::Twin::amend`]).
    Voided(Void),
    /// The centre had readings of a stream, and its disk lost them.
    Damaged(Damaged),
    /// Time passed. Deadlines at or before `known` have fired when `step` returns.
    Tick,
    /// The centre goes on from a backup: what it was sent from then until now is lost, as far as gateways do not hold
    /// it still.
    Restored {
        /// Known time of the last entry that the backup holds.
        since: Time,
    },
}

/// What the facts of the moment change in rules and models ([`crate::facts`]).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Context {
    /// NEWS2's scale 2 for oxygen saturation: only with a prescribed target of 88-92 %.
    pub oxygen_target_88_92: bool,
    /// Breathes supplemental oxygen; `None`: unknown.
    pub on_oxygen: Option<bool>,
    /// Alert (in the sense of ACVPU); `None`: unknown.
    pub alert_and_oriented: Option<bool>,
    /// NEWS2 and MEWS do not hold for this person: a child, or pregnant.
    pub early_warning_unfit: bool,
    /// Atrial fibrillation is known: another episode is no news.
    pub known_fibrillation: bool,
    /// The heart is known to fail: models that watch for its decompensation speak.
    pub known_heart_failure: bool,
    /// Medicines, results, genes and symptoms that bear upon what is raised.
    pub bearings: crate::bearing::Bearings,
    /// The patient's own limits.
    pub limits: crate::rule::Limits,
}

impl Context {
    /// The heart is known to fail, or a result speaks for it: the model of its decompensation is applicable.
    #[must_use]
    pub fn heart_may_fail(&self) -> bool {
        let speaks = [Bearing::PumpsPoorly, Bearing::NatriureticHigh];
        let given = |bearing: Bearing| self.bearings.get(bearing).is_some();
        self.known_heart_failure || speaks.into_iter().any(given)
    }

    /// What a beta blocker does to what is usual of the pulse.
    #[must_use]
    pub fn blockade(&self) -> Blockade {
        let taken = self.bearings.get(Bearing::BetaBlocker);
        let ended = self.bearings.get(Bearing::BetaBlockerEnded);
        Blockade {
            taken: taken.is_some(),
            changed: taken.or(ended).map(|given| given.at),
        }
    }
}

/// See [`Context::blockade`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blockade {
    /// One is taken.
    pub taken: bool,
    /// When the newest began, or when the last one ended, not long ago: what was usual before is another person's.
    pub changed: Option<vitals::Time>,
}

/// An assignment of devices to this patient through a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The stream's id.
    pub stream: StreamId,
    /// The gateway.
    pub gateway: GatewayId,
    /// Bluetooth addresses.
    pub devices: alloc::vec::Vec<alloc::string::String>,
    /// Begin of those that are new on the list; on a stream that exists already never before known time.
    /// Readings with an effective time before it are quarantined, and so are those from the known time on at
    /// which their device is no longer listed.
    pub from: Time,
}

/// Readings that were damaged at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Of which stream.
    pub stream: StreamId,
    /// Nothing of it was measured before this ...
    pub from: Time,
    /// ... nor from then on.
    pub to: Time,
    /// At least so many.
    pub readings: u64,
    /// Exactly so many.
    pub exact: bool,
}

/// Readings of a sensor that are not to be folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Void {
    /// Their stream ...
    pub stream: StreamId,
    /// ... and source.
    pub source: SourceId,
    /// First effective time.
    pub from: Time,
    /// The first one after them.
    pub to: Time,
}

/// Voids that a twin keeps: people make them, and rarely.
pub const MAX_VOIDS: usize = 256;

impl Void {
    /// Joins a list; the oldest goes if that is full.
    pub(crate) fn keep_in(self, list: &mut alloc::vec::Vec<Self>) {
        if list.len() >= MAX_VOIDS {
            list.remove(0);
        }
        list.push(self);
    }

    /// True if a reading is one of them.
    #[must_use]
    pub fn covers(&self, stream: StreamId, source: SourceId, effective: Time) -> bool {
        (self.stream, self.source) == (stream, source) && (self.from..self.to).contains(&effective)
    }

    /// True if a block that reaches from `begin` to before `end` holds any of it: then none of the block is anybody's.
    #[must_use]
    pub fn touches(&self, stream: StreamId, source: SourceId, begin: Time, end: Time) -> bool {
        (self.stream, self.source) == (stream, source) && begin < self.to && end > self.from
    }
}

/// The content of one sealed batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its stream.
    pub stream: StreamId,
    /// Its context.
    pub context: ContextId,
    /// Its number within the context, from 1. (context, number) is the dedup key.
    pub number: u64,
    /// Numbers of the same context whose content this batch replaces.
    pub supersedes: alloc::vec::Vec<u64>,
    /// Scalar readings, in the order the agent took them.
    pub readings: alloc::vec::Vec<Reading>,
    /// Blocks of waveforms, in the order the agent took them.
    pub waveforms: alloc::vec::Vec<Waveform>,
    /// Declared losses.
    pub gaps: alloc::vec::Vec<Gap>,
    /// Present in heartbeats.
    pub heartbeat: Option<Heartbeat>,
    /// Device states that changed.
    pub devices: alloc::vec::Vec<DeviceReport>,
    /// Alerts that the gateway raised by itself.
    pub local_alerts: alloc::vec::Vec<LocalAlert>,
}

/// Counted loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which source; 0 = unknown.
    pub source: SourceId,
    /// Wire number of `GapReason`.
    pub reason: i32,
    /// How many readings, at least.
    pub readings: u64,
    /// `readings` is all of them; else nobody knows how many more.
    pub exact: bool,
    /// First lost effective time.
    pub from: Time,
    /// Last lost effective time.
    pub to: Time,
}

/// An alert that a gateway raised by itself, by the same rules, while it heard nothing from the centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalAlert {
    /// One of the threshold rules' conditions.
    pub condition: crate::alert::Condition,
    /// What was measured.
    pub kind: vitals::Kind,
    /// Its value, in the unit of `kind` ...
    pub value: f64,
    /// ... and the limit that it was held against.
    pub limit: f64,
    /// Effective time at which the condition began.
    pub onset: Time,
    /// The agent's clock when it told the home.
    pub raised: Time,
    /// Effective time of the newest evidence.
    pub as_of: Time,
    /// The agent's clock when the condition was over; `None` while it holds.
    pub resolved: Option<Time>,
}

/// The gateway lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The agent's clock when it was sealed.
    pub sent: Time,
    /// Sealed records not yet receipted.
    pub buffer_records: u64,
    /// Scalar readings decoded for this stream so far.
    pub readings_decoded: u64,
    /// The agent ran without a break since then; `None`: it does not say.
    pub awake_since: Option<Time>,
    /// Nothing measured before this waits at the gateway; `None`: it does not say.
    pub complete_until: Option<Time>,
}

/// A sensor as the gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceReport {
    /// Its number within the stream.
    pub source: SourceId,
    /// Bluetooth address.
    pub address: alloc::string::String,
    /// Name as the device gives it.
    pub name: alloc::string::String,
    /// Model as the device gives it.
    pub model: alloc::string::String,
    /// Link state.
    pub link: Link,
    /// Since when (agent's clock).
    pub since: Time,
    /// Percent.
    pub battery_percent: Option<u8>,
    /// The sensor says that it is (not) on the body.
    pub contact: Option<bool>,
}

/// Link state of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// Connected and subscribed.
    Connected,
    /// Never seen since the agent started, or being looked for.
    Searching,
    /// Was connected; gone.
    Lost,
}

/// How long a reading of a kind counts as being about *now* (rule data; see `rule.rs`).
pub type FreshFor = Span;

crate::canonical_numbers! {
    Link { Connected, Searching, Lost }
}

crate::canonical_fields! {
    Void { stream, source, from, to }
    Context { oxygen_target_88_92, on_oxygen, alert_and_oriented, early_warning_unfit, known_fibrillation, known_heart_failure, bearings, limits }
}
