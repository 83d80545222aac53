//! What the log holds: every kind of entry that can change a twin or the registry.
//!
//! Invariants: an entry names patients by pseudonym only; whatever tells about a patient (names, notes, device
//! addresses, readings) is sealed under that patient's key before it becomes an entry. Encoding: `codec.rs`.
//!
//! Must not know: SQLite, TLS, gRPC, what a twin makes of it.

use std::fmt;
use std::sync::Arc;

use proto::cert::Role;
use proto::v1::{AccessDoor, AccessPart, Collection, StaffRole};
use vitals::{ContextId, GatewayId, Kind, PatientId, SourceId, StreamId, Time};

use super::account::{AccountAct, PasskeyAct};
use super::care::CareAct;
use crate::scope::Scope;
use crate::traces::Trace;

/// Place of an entry in the log, from 1, without holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Before the first entry.
    pub const START: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Bytes sealed under a patient's symmetric key (`vault`): nonce, ciphertext and tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedText(pub Vec<u8>);

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// First entry of a journal, and of each life after a restore from backup.
    EpochStarted {
        /// Random-free count, from 1.
        epoch: u64,
        /// Version of the program, for people.
        program: String,
    },
    /// A patient exists.
    PatientAdded {
        /// Pseudonymous id.
        patient: PatientId,
        /// Display name; empty when none was given.
        name: SealedText,
        /// Simulated or demonstration data.
        test_data: bool,
    },
    /// A patient's key pair was made; the private half lies in the vault only.
    KeyAdded {
        /// Whose.
        patient: PatientId,
        /// Names the generation of the key.
        key_id: [u8; 8],
        /// X25519.
        public_key: [u8; 32],
    },
    /// A one-time enrolment token was handed out.
    TokenCreated {
        /// The id that the gateway will have.
        gateway: GatewayId,
        /// For people.
        label: String,
        /// SHA-256 of the token's secret.
        hash: [u8; 32],
        /// Not to be spent from this time on.
        expires: Time,
    },
    /// A token was spent: the gateway exists and has its first certificate.
    GatewayEnrolled {
        /// Which.
        gateway: GatewayId,
        /// Certificate serial number.
        serial: Vec<u8>,
        /// End of its validity.
        not_after: Time,
    },
    /// A further certificate.
    CertificateIssued {
        /// To which gateway.
        gateway: GatewayId,
        /// Certificate serial number.
        serial: Vec<u8>,
        /// End of its validity.
        not_after: Time,
    },
    /// The gateway may no longer write; its streams end.
    GatewayRevoked {
        /// Which.
        gateway: GatewayId,
    },
    /// Every certificate of an operator or platform of this name is refused, those that it had and those that it
    /// may get: the name is spent.
    CertificateRevoked {
        /// Operator or platform.
        role: Role,
        /// The subject's common name.
        name: String,
    },
    /// Devices of a patient are collected by a gateway: the whole list, which replaces the former one of the same
    /// stream. A device that was in the former list keeps its begin; a new one begins at `from`; one that is no
    /// longer there ends at this entry's known time.
    Assigned {
        /// Whose readings.
        patient: PatientId,
        /// Which gateway.
        gateway: GatewayId,
        /// The stream's id.
        stream: StreamId,
        /// Key generation that the agent seals to.
        key_id: [u8; 8],
        /// Bluetooth addresses, newline separated, sealed under the patient's key. Opened: [`Opened::Devices`].
        devices: SealedText,
        /// Readings of new devices with an effective time before this are quarantined.
        from: Time,
    },
    /// A context was admitted: its header's signature, gateway and stream held.
    ContextAdmitted {
        /// Who sealed it.
        gateway: GatewayId,
        /// The signed header (proto/SEAL.md).
        header: Vec<u8>,
        /// The gateway's certificate chain, DER, leaf first.
        chain: Vec<Vec<u8>>,
        /// Another context with the same predecessor was admitted before: rollback or clone.
        forked: bool,
    },
    /// Two successors of one context were live at once: nothing more is taken until the gateway is enrolled
    /// again.
    StreamFrozen {
        /// Which stream.
        stream: StreamId,
    },
    /// A sealed batch whose tag was verified.
    Batch {
        /// Who sent it.
        gateway: GatewayId,
        /// The record (proto/SEAL.md).
        record: Vec<u8>,
    },
    /// A person acknowledged an alert.
    Acknowledged {
        /// About whom.
        patient: PatientId,
        /// The alert's id.
        alert: String,
        /// Who, as the gate named them.
        by: String,
        /// Their words, sealed under the patient's key; empty if none. Opened: [`Opened::Text`].
        note: SealedText,
    },
    /// A person did something else about an alert or a condition.
    Care {
        /// About whom.
        patient: PatientId,
        /// Who, as the gate named them.
        by: String,
        /// What.
        act: CareAct,
        /// Their words, sealed under the patient's key; empty if none. Opened: [`Opened::Text`].
        text: SealedText,
    },
    /// A person recorded or took back facts about a patient.
    Facts {
        /// About whom.
        patient: PatientId,
        /// Who, as the gate named them.
        by: String,
        /// A `RecordFactsRequest` without the patient, sealed under the patient's key. Opened: [`Opened::Facts`].
        facts: SealedText,
    },
    /// Time passed; a deadline was due and nothing else came.
    Tick,
    /// The fold panicked on an entry: that entry is left out from now on.
    Quarantined {
        /// Which entry.
        position: Position,
        /// Whose twin.
        patient: PatientId,
    },
    /// These batches of a gateway will never open: it may set them aside. The command that tells it carries this
    /// entry's position as its number. (Assignment lists are derived from the registry; their number is the
    /// position of the entry that changed them last.)
    SetAside {
        /// Which gateway is told.
        gateway: GatewayId,
        /// Context of the batches.
        context: ContextId,
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// Settings were sent to a gateway; they replace the former ones. The command that carries them has this entry's
    /// position as its number.
    Configured {
        /// Which.
        gateway: GatewayId,
        /// TOML; what it means is the agent's affair.
        settings: String,
    },
    /// The patient said whether the devices may be read. The ends and begins of assignments that follow from it are
    /// entries of their own, appended with this one.
    Collection {
        /// Who.
        patient: PatientId,
        /// From this entry's known time on.
        collection: Collection,
        /// With a withdrawal: what gateways still hold is deleted there unsent, and not taken here.
        erase_unsent: bool,
        /// Since when, by the centre's clock.
        since: Time,
        /// The streams that are withheld from now on; none when it is given.
        streams: Vec<StreamId>,
    },
    /// Readings of a sensor were not the patient's: nothing rests on them any more, nor on what still comes of that time.
    Voided {
        /// Whose log they lie in.
        patient: PatientId,
        /// The sensor, by stream and number.
        sources: Vec<(StreamId, SourceId)>,
        /// First effective time.
        from: Time,
        /// The first one after them.
        to: Time,
        /// When, by the centre's clock.
        since: Time,
        /// Who, as the gate named them.
        by: String,
        /// Why, sealed under the patient's key. Opened: [`Opened::Text`].
        reason: SealedText,
        /// Who had worn the sensor; the readings follow as [`Entry::Moved`].
        moved_to: Option<PatientId>,
    },
    /// Nothing in a patient's twin rests any more on what was voided: its log was read again without that.
    VoidSettled {
        /// Whose.
        patient: PatientId,
        /// The entry that voided it.
        void: Position,
    },
    /// Readings that were voided in another patient's log, sealed anew under this one's key. Opened: [`Opened::Batch`].
    Moved {
        /// Whose they are.
        patient: PatientId,
        /// A stream made for them.
        stream: StreamId,
        /// Stands for the context that they came in.
        context: ContextId,
        /// From 1, within that.
        number: u64,
        /// The sensor's number.
        source: SourceId,
        /// How many.
        readings: u16,
        /// A `BatchBody`.
        body: SealedText,
    },
    /// A batch that was receipted is damaged at rest: what it held is lost, and the patient's coverage says so.
    Damaged {
        /// Whose.
        patient: PatientId,
        /// Whose stream.
        stream: StreamId,
        /// Where it lies.
        position: Position,
        /// Nothing in it was measured before this ...
        from: Time,
        /// ... nor from then on, as far as its index says.
        to: Time,
        /// At least so many.
        readings: u64,
        /// Exactly so many.
        exact: bool,
    },
    /// Somebody took a copy of past readings.
    Exported {
        /// Who, as the gate named them.
        by: String,
        /// Of whom.
        patients: Vec<PatientId>,
        /// Empty: all kinds.
        kinds: Vec<Kind>,
        /// From this effective time on ...
        from: Time,
        /// ... up to, without, this one.
        to: Time,
        /// As known at this entry.
        known: Position,
        /// Patients and sensors have names of the copy's own in it.
        pseudonymous: bool,
    },
    /// Somebody is shown something of these patients; what they are shown of the same until `until` has no entry of its own.
    Looked {
        /// Who, as the gate named them.
        by: String,
        /// What, and where.
        sight: Sight,
        /// Of whom.
        patients: Vec<PatientId>,
        /// From when on, by the centre's clock.
        from: Time,
        /// This entry vouches for nothing from then on.
        until: Time,
    },
    /// Somebody may sign in at the page in this role from now on; without one: no longer, for good.
    Person {
        /// The name that their acts are recorded under.
        person: String,
        /// `Unspecified`: everything is taken back.
        role: StaffRole,
        /// Who said so.
        by: String,
    },
    /// Who belongs to a team, or whom it looks after.
    Team {
        /// Its name.
        team: String,
        /// What is different now.
        act: TeamAct,
        /// Who said so.
        by: String,
    },
    /// Who is on duty in a team, from here on.
    Roster {
        /// Which team.
        team: String,
        /// TOML (`roster::Roster`); empty: nobody says any more.
        document: String,
        /// When, by the centre's clock.
        since: Time,
        /// Who said so.
        by: String,
    },
    /// Somebody took over from the shift before.
    TakenOver {
        /// Which team.
        team: String,
        /// Whose duty, by its number in the contract.
        duty: u8,
        /// When the shift began that they took over, by its roster.
        shift: Time,
        /// Who left, as the roster named them.
        leaving: Vec<String>,
        /// When, by the centre's clock.
        at: Time,
        /// Who came.
        by: String,
    },
    /// Rules for everybody are in force from here on.
    RulesActivated {
        /// TOML (`rules::RuleSet`).
        document: String,
        /// When, by the centre's clock.
        since: Time,
        /// Who, as the gate named them.
        by: String,
        /// Why.
        reason: String,
    },
    /// Rules were tried over recorded days.
    RulesTried {
        /// A `ShadowReport`: figures, and nobody's name.
        report: Vec<u8>,
    },
    /// Who did what the next entries say; they are appended with this one.
    By {
        /// Who, as the gate named them.
        by: String,
        /// When, by the centre's clock.
        at: Time,
        /// How many entries.
        entries: u32,
    },
    /// What a platform may have from here on, in place of what was said before.
    Platform {
        /// The name in its certificate.
        platform: String,
        /// `None`: nothing.
        scope: Option<Arc<Scope>>,
        /// When, by the centre's clock.
        since: Time,
        /// Who said so.
        by: String,
    },
    /// Whether a platform may have something of a patient, by the patient's word.
    Sharing {
        /// Whose word.
        patient: PatientId,
        /// Of which platform.
        platform: String,
        /// It may.
        shared: bool,
        /// Who wrote it down.
        by: String,
    },
    /// A passkey of a person: with it they sign in at the page. Its private half is with them alone.
    Passkey {
        /// Whose.
        person: String,
        /// The credential's id.
        id: Vec<u8>,
        /// What became of it.
        act: PasskeyAct,
    },
    /// How a person signs in beside passkeys, or is reached.
    Account {
        /// Whose.
        person: String,
        /// What became of it.
        act: AccountAct,
        /// Who did it.
        by: String,
    },
}

/// What somebody is shown of a patient, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sight {
    /// What.
    pub part: AccessPart,
    /// Empty: all, or of no kind in particular.
    pub kinds: Vec<Kind>,
    /// By the patient's id, not as one of a list.
    pub named: bool,
    /// Which way.
    pub door: AccessDoor,
}

/// What changes about a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamAct {
    /// It is there, and of nobody.
    Made,
    /// It is no more.
    Ended,
    /// A person belongs to it.
    Joined(String),
    /// A person no longer does.
    Left(String),
    /// It looks after a patient.
    Took(PatientId),
    /// It no longer does.
    Released(PatientId),
    /// It keeps a filter of the worklist under a name; without facets: no longer.
    Filters {
        /// The filter's name.
        name: String,
        /// What passes, as the contract has it.
        facets: Vec<String>,
    },
}

/// What an entry holds in clear, in memory only. `Debug` hides it.
#[derive(Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are batches, and each lies in an Arc of its own"
)]
pub enum Opened {
    /// Of [`Entry::Batch`].
    Batch(OpenedBatch),
    /// Of [`Entry::Assigned`]: Bluetooth addresses.
    Devices(Vec<String>),
    /// Of [`Entry::Acknowledged`] and [`Entry::Care`].
    Text(String),
    /// Of [`Entry::Facts`].
    Facts(proto::v1::RecordFactsRequest),
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(hidden)")
    }
}

/// A verified batch: the clear stub's fields and the content.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenedBatch {
    /// Its stream.
    pub stream: StreamId,
    /// Whose stream it is.
    pub patient: PatientId,
    /// Its context.
    pub context: ContextId,
    /// Its number in the context, from 1.
    pub number: u64,
    /// Wire number of [`proto::v1::Lane`].
    pub lane: u8,
    /// Opaque source number; 0 = none.
    pub source: SourceId,
    /// Scalar readings that the stub counts.
    pub readings: u16,
    /// What was inside.
    pub content: Content,
}

/// What a verified batch held. `Debug` hides it.
#[expect(
    clippy::large_enum_variant,
    reason = "almost every batch has a body: a box would cost each of them an allocation"
)]
#[derive(Clone, PartialEq)]
pub enum Content {
    /// A message of the contract; its columns are not yet checked (`proto::wire` does that).
    Body(proto::v1::BatchBody),
    /// The tag held, but the plaintext is no `BatchBody`.
    Malformed,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body(_) => "Body(hidden)",
            Self::Malformed => "Malformed",
        })
    }
}

/// An entry to append, with what it holds in clear where the caller knows it already.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What to write.
    pub entry: Entry,
    /// Handed on to the fold so that nothing is opened twice.
    pub body: Option<Arc<Opened>>,
    /// Of the message that brought it.
    pub trace: Trace,
}

impl From<Entry> for Draft {
    fn from(entry: Entry) -> Self {
        Self {
            entry,
            body: None,
            trace: Trace::default(),
        }
    }
}

/// An entry that lies durable in the log.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Where.
    pub position: Position,
    /// When it was appended: strictly increasing along the log.
    pub known: Time,
    /// What.
    pub entry: Arc<Entry>,
    /// In clear; `None` when the entry has no sealed part, or when its keys no longer exist.
    pub body: Option<Arc<Opened>>,
    /// Of the message that brought it, if it is new.
    pub trace: Trace,
}
