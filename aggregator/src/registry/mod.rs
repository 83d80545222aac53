//! The registry: who is a patient, which gateway may collect what, what was admitted, ordered and revoked.
//!
//! A pure fold of the journal's administrative entries ([`Registry::apply`]); there is no second table. The one
//! shared copy, with the keys to open what it names, is [`Books`].
//!
//! Invariants: the same log gives the same registry; what was revoked or frozen stays so. Must not know: SQLite,
//! TLS, who asks.

mod accounts;
mod books;
mod damage;
mod looks;
mod offices;
mod people;
mod platforms;
mod ranges;
mod rules;
mod saved;
mod streams;
mod voids;
mod will;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use proto::cert::Role;
use proto::seal::{ContextHeader, KeyId, PatientPublic, parse_header, parse_stub};
use vitals::{ContextId, GatewayId, PatientId, Span, StreamId, Time};

use crate::journal::{Entry, Position, SealedText, TeamAct};

pub use accounts::{Link, Password, Subscription};
pub use books::Books;
pub use looks::Look;
pub use offices::{Act, Deed};
pub use people::{Passkey, Rostered, TakenOver, Team, Wards};
pub use platforms::Given;
pub use ranges::RangeSet;
pub use rules::Decided;
pub use voids::{Voided, Voiding};
pub use will::{Will, Withheld};

/// Orders to set aside that are kept for a gateway that is away; older ones are asked for again by its resending.
pub const SET_ASIDE_KEPT: usize = 256;
/// Two successors of one context are both live when each has data from this long after both began: more than a
/// broker or a network holds back, since what they hold back was measured before.
const FORK_SLACK: Span = Span::from_mins(2);

/// Everything administrative.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// The last entry applied.
    at: Position,
    epoch: u64,
    patients: BTreeMap<PatientId, Patient>,
    gateways: BTreeMap<GatewayId, Gateway>,
    /// Operators and platforms whose certificates are refused.
    revoked: HashSet<(Role, String)>,
    streams: streams::Streams,
    contexts: BTreeMap<ContextId, Context>,
    /// Which contexts name which predecessor (`None`: none), by stream.
    successors: BTreeMap<(StreamId, Option<ContextId>), Vec<ContextId>>,
    totals: Totals,
    /// By patient, in the order of the log.
    voids: BTreeMap<PatientId, Vec<Voided>>,
    voidings: BTreeMap<PatientId, Vec<Voiding>>,
    /// Declared, by where it lies and whose it was.
    damaged: BTreeSet<(Position, StreamId)>,
    staff: people::Staff,
    looks: looks::Looks,
    rules: rules::Decisions,
    offices: offices::Offices,
    accounts: accounts::Accounts,
    platforms: platforms::Platforms,
    /// Who paused or withdrew.
    aside: Arc<BTreeSet<PatientId>>,
}

/// What the log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Batches.
    pub batches: u64,
    /// Scalar readings in them, as their stubs count.
    pub readings: u64,
}

/// A patient.
#[derive(Clone, Debug)]
pub struct Patient {
    /// Display name, sealed (`Books::name`).
    pub name: SealedText,
    /// Simulated or demonstration data.
    pub test_data: bool,
    /// Key generations, newest last.
    pub keys: Vec<(KeyId, PatientPublic)>,
    /// Whether the devices may be read, and since when.
    pub will: Will,
}

/// A gateway.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// For people.
    pub label: String,
    /// Not yet spent.
    pub token: Option<Token>,
    /// Has or had a certificate.
    pub enrolled: bool,
    /// May not write any more.
    pub revoked: bool,
    /// End of its newest certificate.
    pub not_after: Time,
    /// Where its list of assignments changed last: the number of the command that carries it.
    pub list_changed: Option<Position>,
    /// Settings sent last, and where: the number of the command that carries them.
    pub configuration: Option<(Position, String)>,
    /// Orders to set aside, by command number.
    pub set_aside: VecDeque<(Position, ContextId, Vec<u64>)>,
}

/// An enrolment token that nobody spent yet.
#[derive(Clone, Debug)]
pub struct Token {
    /// SHA-256 of its secret.
    pub hash: [u8; 32],
    /// Not to be spent from then on.
    pub expires: Time,
}

/// One (gateway, patient) assignment.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Whose readings.
    pub patient: PatientId,
    /// Collected by whom.
    pub gateway: GatewayId,
    /// Key that the agent is to seal to.
    pub key_id: KeyId,
    /// The newest of the patient's keys that it did seal to, from 1; 0 before its first context.
    pub sealed_to: u32,
    /// Bluetooth addresses, sealed (`Books::devices`).
    pub devices: SealedText,
    /// When its first devices were assigned: readings from this effective time on.
    pub from: Time,
    /// Two successors of one context were live at once.
    pub frozen: bool,
}

/// An admitted context.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who seals.
    pub gateway: GatewayId,
    /// For which stream.
    pub stream: StreamId,
    /// The signed header.
    pub header: Arc<[u8]>,
    /// The agent's clock.
    pub opened_at: Time,
    /// The context before it.
    pub predecessor: Option<ContextId>,
    /// Another context has the same predecessor.
    pub forked: bool,
    /// Numbers that lie in the journal.
    pub journaled: RangeSet,
    /// Where it was admitted.
    admitted: Position,
    /// Whatever it measured was measured after this: the later of its opening and of the last that its
    /// predecessor wrote to disk. A gateway without a real-time clock may open it in its own past.
    begins: Time,
    /// Newest start of data in it.
    newest_data: Time,
    /// The same of what arrived after the newest context beside it was admitted.
    newest_since: Time,
}

impl Registry {
    /// Takes note of one entry of the log; one that it knows already (from a snapshot) changes nothing.
    pub fn apply(&mut self, position: Position, entry: &Entry) {
        if position <= self.at {
            return;
        }
        self.at = position;
        self.note_act(position, entry);
        match entry {
            Entry::EpochStarted { epoch, .. } => self.epoch = *epoch,
            Entry::PatientAdded {
                patient,
                name,
                test_data,
            } => {
                let added = Patient {
                    name: name.clone(),
                    test_data: *test_data,
                    keys: Vec::new(),
                    will: Will::default(),
                };
                self.patients.insert(patient.clone(), added);
            }
            Entry::KeyAdded {
                patient,
                key_id,
                public_key,
            } => {
                if let Some(patient) = self.patients.get_mut(patient) {
                    patient
                        .keys
                        .push((KeyId(*key_id), PatientPublic(*public_key)));
                }
            }
            Entry::TokenCreated {
                gateway,
                label,
                hash,
                expires,
            } => {
                let gateway = self.gateways.entry(gateway.clone()).or_default();
                gateway.label.clone_from(label);
                gateway.token = Some(Token {
                    hash: *hash,
                    expires: *expires,
                });
            }
            Entry::GatewayEnrolled {
                gateway, not_after, ..
            } => {
                let gateway = self.gateways.entry(gateway.clone()).or_default();
                gateway.token = None;
                gateway.enrolled = true;
                gateway.not_after = *not_after;
            }
            Entry::CertificateIssued {
                gateway, not_after, ..
            } => {
                self.gateways.entry(gateway.clone()).or_default().not_after = *not_after;
            }
            Entry::GatewayRevoked { gateway } => {
                let gateway = self.gateways.entry(gateway.clone()).or_default();
                gateway.revoked = true;
                gateway.token = None;
            }
            Entry::CertificateRevoked { role, name } => {
                self.revoked.insert((*role, name.clone()));
            }
            Entry::Assigned {
                patient,
                gateway,
                stream,
                key_id,
                devices,
                from,
            } => {
                let former = self.streams.get(stream);
                let frozen = former.is_some_and(|former| former.frozen);
                let sealed_to = former.map_or(0, |former| former.sealed_to);
                // Its first devices; each that came later has a begin of its own (the fold knows).
                let from = former.map_or(*from, |former| former.from.min(*from));
                let assigned = Stream {
                    patient: patient.clone(),
                    gateway: gateway.clone(),
                    key_id: KeyId(*key_id),
                    sealed_to,
                    devices: devices.clone(),
                    from,
                    frozen,
                };
                self.streams.insert(*stream, assigned);
                self.gateways
                    .entry(gateway.clone())
                    .or_default()
                    .list_changed = Some(position);
            }
            Entry::ContextAdmitted { header, forked, .. } => self.admit(position, header, *forked),
            Entry::StreamFrozen { stream } => {
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.frozen = true;
                }
            }
            Entry::Batch { record, .. } => self.note_batch(record),
            Entry::SetAside {
                gateway,
                context,
                numbers,
            } => {
                let gateway = self.gateways.entry(gateway.clone()).or_default();
                gateway
                    .set_aside
                    .push_back((position, *context, numbers.clone()));
                if gateway.set_aside.len() > SET_ASIDE_KEPT {
                    gateway.set_aside.pop_front();
                }
            }
            Entry::Configured { gateway, settings } => {
                self.gateways
                    .entry(gateway.clone())
                    .or_default()
                    .configuration = Some((position, settings.clone()));
            }
            Entry::Collection {
                patient,
                collection,
                erase_unsent,
                since,
                streams,
            } => {
                let will = Will {
                    collection: *collection,
                    since: *since,
                    erase_unsent: *erase_unsent,
                    withheld: Vec::new(),
                };
                self.note_will(position, patient, will, streams);
            }
            Entry::Voided { .. } => self.note_void(position, entry),
            Entry::VoidSettled { patient, void } => self.note_settled(position, patient, *void),
            Entry::Damaged { .. } => self.note_damage(entry),
            Entry::Looked { .. } => self.note_look(entry),
            Entry::Person { person, role, .. } => {
                self.staff.note_person(person, *role);
                if self.staff.is_gone(person) {
                    self.accounts.forget(person);
                }
            }
            Entry::Account { person, act, .. } => self.accounts.note(person, act),
            Entry::Team { team, act, by } => {
                self.staff.note_team(team, act, by);
                if *act == TeamAct::Ended {
                    self.platforms.forget_team(team);
                }
            }
            Entry::Platform { .. } | Entry::Sharing { .. } => self.platforms.note(entry),
            Entry::Passkey { person, id, act } => self.staff.note_passkey(person, id, act),
            Entry::Roster {
                team,
                document,
                since,
                by,
            } => {
                let roster = Rostered {
                    document: document.as_str().into(),
                    since: *since,
                    by: by.clone(),
                };
                self.staff.note_roster(team, roster);
            }
            Entry::TakenOver {
                team,
                duty,
                shift,
                at,
                by,
                ..
            } => {
                let taken = TakenOver {
                    shift: *shift,
                    at: *at,
                    by: by.clone(),
                };
                self.staff.note_taken(team, *duty, taken);
            }
            Entry::RulesActivated {
                document,
                since,
                by,
                reason,
            } => self.rules.note(Decided {
                at: position,
                document: document.clone(),
                since: *since,
                by: by.clone(),
                reason: reason.clone(),
            }),
            Entry::RulesTried { report } => self.rules.tried.clone_from(report),
            Entry::Acknowledged { .. }
            | Entry::Care { .. }
            | Entry::Facts { .. }
            | Entry::Tick
            | Entry::Quarantined { .. }
            | Entry::Moved { .. }
            | Entry::By { .. }
            | Entry::Exported { .. } => {}
        }
    }

    fn admit(&mut self, position: Position, header: &[u8], forked: bool) {
        let Ok(ContextHeader {
            gateway,
            stream,
            context,
            predecessor,
            opened_at,
            key_id,
            ..
        }) = parse_header(header)
        else {
            // Only verified headers are journaled.
            return;
        };
        if self.contexts.contains_key(&context) {
            return;
        }
        if let Some(of) = self.streams.get_mut(&stream)
            && let Some(patient) = self.patients.get(&of.patient)
            && let Some(place) = patient.keys.iter().position(|(id, _)| *id == key_id)
        {
            let generation = u32::try_from(place + 1).unwrap_or(u32::MAX);
            of.sealed_to = of.sealed_to.max(generation);
        }
        let begins = predecessor.map_or(opened_at, |before| opened_at.max(before.durable_at));
        let predecessor = predecessor.map(|before| before.context);
        for beside in self.beside(stream, context, predecessor) {
            if let Some(beside) = self.contexts.get_mut(&beside) {
                beside.newest_since = Time::ZERO;
            }
        }
        self.successors
            .entry((stream, predecessor))
            .or_default()
            .push(context);
        let admitted = Context {
            gateway,
            stream,
            header: header.into(),
            opened_at,
            predecessor,
            forked,
            journaled: RangeSet::default(),
            admitted: position,
            begins,
            newest_data: Time::ZERO,
            newest_since: Time::ZERO,
        };
        self.contexts.insert(context, admitted);
    }

    /// The contexts of a stream that one agent never writes to at the same time as to this one: the one before
    /// it, those after it, and those that name the same predecessor.
    fn beside(
        &self,
        stream: StreamId,
        context: ContextId,
        predecessor: Option<ContextId>,
    ) -> Vec<ContextId> {
        let named = |before| self.successors.get(&(stream, before)).into_iter().flatten();
        named(predecessor)
            .chain(named(Some(context)))
            .chain(&predecessor)
            .filter(|beside| **beside != context)
            .copied()
            .collect()
    }

    fn note_batch(&mut self, record: &[u8]) {
        let Ok(stub) = parse_stub(record) else { return };
        let Some(context) = self.contexts.get_mut(&stub.context) else {
            return;
        };
        if context.journaled.insert(stub.number) {
            self.totals.batches += 1;
            self.totals.readings += u64::from(stub.count);
        }
        context.newest_data = context.newest_data.max(stub.oldest());
        context.newest_since = context.newest_since.max(stub.oldest());
    }

    /// The last entry applied.
    #[must_use]
    pub const fn at(&self) -> Position {
        self.at
    }

    /// The journal's epoch; 0 before the first entry.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the log holds, each batch counted once.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// All patients, by id.
    pub fn patients(&self) -> impl Iterator<Item = (&PatientId, &Patient)> {
        self.patients.iter()
    }

    /// One patient.
    #[must_use]
    pub fn patient(&self, patient: &PatientId) -> Option<&Patient> {
        self.patients.get(patient)
    }

    /// All gateways, by id.
    pub fn gateways(&self) -> impl Iterator<Item = (&GatewayId, &Gateway)> {
        self.gateways.iter()
    }

    /// One gateway.
    #[must_use]
    pub fn gateway(&self, gateway: &GatewayId) -> Option<&Gateway> {
        self.gateways.get(gateway)
    }

    /// Whether the gateway is enrolled and was not revoked.
    #[must_use]
    pub fn may_write(&self, gateway: &GatewayId) -> bool {
        self.gateways
            .get(gateway)
            .is_some_and(|gateway| gateway.enrolled && !gateway.revoked)
    }

    /// Whether certificates of this operator or platform are refused.
    #[must_use]
    pub fn is_revoked(&self, role: Role, name: &str) -> bool {
        self.revoked.contains(&(role, name.to_owned()))
    }

    /// One stream.
    #[must_use]
    pub fn stream(&self, stream: StreamId) -> Option<&Stream> {
        self.streams.get(&stream)
    }

    /// All streams.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.streams.iter()
    }

    /// The streams of a patient.
    pub fn streams_of<'a>(
        &'a self,
        patient: &'a PatientId,
    ) -> impl Iterator<Item = (StreamId, &'a Stream)> {
        self.streams.of(patient)
    }

    /// The streams that a gateway collects.
    pub fn streams_at<'a>(
        &'a self,
        gateway: &'a GatewayId,
    ) -> impl Iterator<Item = (StreamId, &'a Stream)> {
        self.streams.at(gateway)
    }

    /// One context.
    #[must_use]
    pub fn context(&self, context: ContextId) -> Option<&Context> {
        self.contexts.get(&context)
    }

    /// How many contexts were admitted.
    #[must_use]
    pub fn contexts_count(&self) -> usize {
        self.contexts.len()
    }

    /// Whether a new context would be a second successor: the agent's disk was rolled back or cloned, or it lost
    /// what it knew of its last context.
    #[must_use]
    pub fn would_fork(&self, stream: StreamId, predecessor: Option<ContextId>) -> bool {
        self.successors
            .get(&(stream, predecessor))
            .is_some_and(|known| !known.is_empty())
    }

    /// Whether new data of `context` that begin at `data` prove that it lives side by side with another context
    /// that should have ended when it began: each has data from after both began, and those of the one that was
    /// admitted first arrived after the other was admitted. The gateway's own clock alone proves nothing: it may
    /// have gone back at a power cut.
    #[must_use]
    pub fn proves_clone(&self, context: ContextId, data: Time) -> bool {
        let Some(of) = self.contexts.get(&context) else {
            return false;
        };
        let beside = self.beside(of.stream, context, of.predecessor);
        beside.iter().any(|other| {
            self.contexts.get(other).is_some_and(|other| {
                let both = of.begins.max(other.begins) + FORK_SLACK;
                let others = if other.admitted < of.admitted {
                    other.newest_since
                } else {
                    other.newest_data
                };
                data >= both && others >= both
            })
        })
    }
}

#[cfg(test)]
mod tests;
