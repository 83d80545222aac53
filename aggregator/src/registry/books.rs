//! The one shared copy of the registry, and the keys that open what it names.
//!
//! Invariants: only the journal changes the registry (through [`Keeper`]), each entry once and in order; locks are held for a lookup,
//! never across an await; openers are cached within a bound and can always be made again from the journaled
//! header and the vault. Must not know: transports, what a twin makes of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use prost::Message as _;
use proto::seal::{Opener, SealError, parse_header, parse_stub};
use proto::v1::{BatchBody, Lane, RecordFactsRequest};
use tokio::sync::watch;
use vitals::{ContextId, GatewayId, PatientId, SourceId, StreamId, Time};

use super::Registry;
use crate::journal::{Content, Entry, Keeper, Opened, OpenedBatch, Position, SealedText};
use crate::vault::Vault;

/// Openers in memory, about 500 bytes each. A live gateway uses one per patient, and one that is not here costs a
/// decapsulation for each batch: room for all patients of a large centre, in 64 MiB.
const OPENERS: usize = 131_072;
/// Of them, of one gateway: twice as many as it may open at once, and no gateway pushes out those of others.
const OPENERS_A_GATEWAY: usize = 512;

/// Purposes of sealed texts.
const NAME: &str = "name";
const NOTE: &str = "note";
const DEVICES: &str = "devices";
const FACTS: &str = "facts";
const VOID: &str = "void";
const MOVED: &str = "moved";

/// Registry, vault and openers.
#[derive(Debug)]
pub struct Books {
    registry: RwLock<Registry>,
    vault: Arc<Vault>,
    openers: Mutex<Openers>,
    /// Position of the last entry that changed who may do what.
    changed: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct Openers {
    by_context: HashMap<ContextId, Kept>,
    by_gateway: HashMap<GatewayId, usize>,
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    opener: Arc<Opener>,
    gateway: GatewayId,
    /// When it was used last, in uses.
    used: u64,
}

impl Books {
    /// Empty books over a vault; the journal's replay fills them.
    #[must_use]
    pub fn new(vault: Arc<Vault>) -> Self {
        Self {
            registry: RwLock::default(),
            vault,
            openers: Mutex::default(),
            changed: watch::Sender::new(Position::START),
        }
    }

    /// The registry as of now. Keep the guard for a lookup only.
    pub fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when patients, gateways, assignments or orders changed (not for batches).
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Position> {
        self.changed.subscribe()
    }

    /// The vault.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The vault, to share.
    #[must_use]
    pub const fn vault_handle(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// A patient's display name; empty if there is none or its key is gone.
    #[must_use]
    pub fn name(&self, patient: &PatientId) -> String {
        let name = self
            .registry()
            .patient(patient)
            .map(|patient| patient.name.clone());
        let open = |name: SealedText| self.vault.open_text(patient, NAME, &name);
        name.and_then(open).unwrap_or_default()
    }

    /// Bluetooth addresses of a stream; empty if it has ended or its key is gone.
    #[must_use]
    pub fn devices(&self, stream: StreamId) -> Vec<String> {
        let found = self
            .registry()
            .stream(stream)
            .map(|of| (of.patient.clone(), of.devices.clone()));
        found
            .map(|(patient, devices)| self.open_devices(&patient, &devices))
            .unwrap_or_default()
    }

    /// Seals a display name; `None` without a key.
    #[must_use]
    pub fn seal_name(&self, patient: &PatientId, name: &str) -> Option<SealedText> {
        self.vault.seal_text(patient, NAME, name)
    }

    /// Seals the note of an acknowledgement; `None` without a key.
    #[must_use]
    pub fn seal_note(&self, patient: &PatientId, note: &str) -> Option<SealedText> {
        self.vault.seal_text(patient, NOTE, note)
    }

    /// Seals why readings were voided; `None` without a key.
    #[must_use]
    pub fn seal_reason(&self, patient: &PatientId, reason: &str) -> Option<SealedText> {
        self.vault.seal_text(patient, VOID, reason)
    }

    /// Why readings were voided; empty if the key is gone.
    #[must_use]
    pub fn open_reason(&self, patient: &PatientId, reason: &SealedText) -> String {
        let text = self.vault.open_text(patient, VOID, reason);
        text.unwrap_or_default()
    }

    /// Seals readings that were another's; `None` without a key.
    #[must_use]
    pub fn seal_moved(&self, patient: &PatientId, body: &BatchBody) -> Option<SealedText> {
        let sealed = self.vault.seal(patient, MOVED, &body.encode_to_vec())?;
        Some(SealedText(sealed))
    }

    /// Seals a list of Bluetooth addresses; `None` without a key.
    #[must_use]
    pub fn seal_devices(&self, patient: &PatientId, devices: &[String]) -> Option<SealedText> {
        self.vault.seal_text(patient, DEVICES, &devices.join("\n"))
    }

    /// Opens a list of Bluetooth addresses; empty without a key.
    #[must_use]
    pub fn open_devices(&self, patient: &PatientId, devices: &SealedText) -> Vec<String> {
        let text = self
            .vault
            .open_text(patient, DEVICES, devices)
            .unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The opener of an admitted context, from the cache or made anew; `None` if the context is unknown or its
    /// keys are gone.
    #[must_use]
    pub fn opener(&self, context: ContextId) -> Option<Arc<Opener>> {
        if let Some(known) = self.lock_openers().get(context) {
            return Some(known);
        }
        let (header, patient) = {
            let registry = self.registry();
            let of = registry.context(context)?;
            (
                Arc::clone(&of.header),
                registry.stream(of.stream)?.patient.clone(),
            )
        };
        let header = parse_header(&header).ok()?;
        let secret = self.vault.secret(&patient, header.key_id)?;
        let opener = Arc::new(Opener::new(&secret, &header).ok()?);
        self.lock_openers().put(context, &header.gateway, &opener);
        Some(opener)
    }

    /// Whether the opener of a context is in memory, so that opening with it is cheap.
    #[must_use]
    pub fn has_opener(&self, context: ContextId) -> bool {
        self.lock_openers().by_context.contains_key(&context)
    }

    /// Verifies and opens one record under an admitted context.
    ///
    /// # Errors
    /// `None` if the context is not known; else as [`Opener::open`].
    pub fn open(
        &self,
        context: ContextId,
        record: &[u8],
    ) -> Option<Result<OpenedBatch, SealError>> {
        let opener = self.opener(context)?;
        let patient = self.registry().stream(opener.stream())?.patient.clone();
        Some(opener.open(record).map(|opened| OpenedBatch {
            stream: opened.stub.stream,
            patient,
            context: opened.stub.context,
            number: opened.stub.number,
            lane: opened.stub.lane as u8,
            source: SourceId(opened.stub.source),
            readings: opened.stub.count,
            content: opened.body.map_or(Content::Malformed, Content::Body),
        }))
    }

    /// The registry as of now, for a snapshot.
    #[must_use]
    pub fn keep(&self) -> Registry {
        self.registry().clone()
    }

    /// The openers in memory, each with whose it is, for a snapshot.
    #[must_use]
    pub fn keep_openers(&self) -> Vec<(PatientId, Arc<Opener>)> {
        let openers: Vec<_> = {
            let openers = self.lock_openers();
            let kept = openers.by_context.values();
            kept.map(|kept| Arc::clone(&kept.opener)).collect()
        };
        let registry = self.registry();
        let whose = |opener: Arc<Opener>| {
            let patient = registry.stream(opener.stream())?.patient.clone();
            Some((patient, opener))
        };
        openers.into_iter().filter_map(whose).collect()
    }

    /// Goes on from a snapshot; entries up to the registry's position change nothing more.
    pub fn restore(&self, registry: Registry, openers: Vec<Opener>) {
        {
            let mut cache = self.lock_openers();
            for opener in openers {
                let context = opener.context();
                if let Some(of) = registry.context(context) {
                    cache.put(context, &of.gateway, &Arc::new(opener));
                }
            }
        }
        let at = registry.at();
        *self
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner) = registry;
        self.changed.send_replace(at);
    }

    fn lock_openers(&self) -> std::sync::MutexGuard<'_, Openers> {
        self.openers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Openers {
    fn get(&mut self, context: ContextId) -> Option<Arc<Opener>> {
        self.uses += 1;
        let kept = self.by_context.get_mut(&context)?;
        kept.used = self.uses;
        Some(Arc::clone(&kept.opener))
    }

    fn put(&mut self, context: ContextId, gateway: &GatewayId, opener: &Arc<Opener>) {
        if self.by_gateway.get(gateway).copied().unwrap_or_default() >= OPENERS_A_GATEWAY {
            self.forget_half(Some(gateway));
        }
        if self.by_context.len() >= OPENERS {
            self.forget_half(None);
        }
        let kept = Kept {
            opener: Arc::clone(opener),
            gateway: gateway.clone(),
            used: self.uses,
        };
        if self.by_context.insert(context, kept).is_none() {
            *self.by_gateway.entry(gateway.clone()).or_default() += 1;
        }
    }

    /// Forgets those used longest ago, of one gateway or of all: half at once, so that the scan is paid once in
    /// many openings.
    fn forget_half(&mut self, of: Option<&GatewayId>) {
        let chosen = |kept: &Kept| of.is_none_or(|of| kept.gateway == *of);
        let all = self.by_context.values().filter(|kept| chosen(kept));
        let mut uses: Vec<u64> = all.map(|kept| kept.used).collect();
        if uses.is_empty() {
            return;
        }
        let middle = uses.len() / 2;
        let (_, middle, _) = uses.select_nth_unstable(middle);
        let middle = *middle;
        self.by_context
            .retain(|_, kept| !chosen(kept) || kept.used > middle);
        self.by_gateway.clear();
        for kept in self.by_context.values() {
            *self.by_gateway.entry(kept.gateway.clone()).or_default() += 1;
        }
    }
}

impl Keeper for Books {
    fn apply(&self, position: Position, _known: Time, entry: &Entry) {
        self.registry
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(position, entry);
        match entry {
            Entry::EpochStarted { .. }
            | Entry::PatientAdded { .. }
            | Entry::KeyAdded { .. }
            | Entry::TokenCreated { .. }
            | Entry::GatewayEnrolled { .. }
            | Entry::CertificateIssued { .. }
            | Entry::GatewayRevoked { .. }
            | Entry::Assigned { .. }
            | Entry::StreamFrozen { .. }
            | Entry::SetAside { .. }
            | Entry::CertificateRevoked { .. }
            | Entry::Configured { .. }
            | Entry::Collection { .. }
            | Entry::RulesActivated { .. }
            | Entry::VoidSettled { .. } => {
                // The fold may read again, behind the writer, what was applied before.
                self.changed.send_if_modified(|at| {
                    let newer = position > *at;
                    *at = position.max(*at);
                    newer
                });
            }
            Entry::ContextAdmitted { .. }
            | Entry::Batch { .. }
            | Entry::Acknowledged { .. }
            | Entry::Care { .. }
            | Entry::Facts { .. }
            | Entry::Tick
            | Entry::Quarantined { .. }
            | Entry::Voided { .. }
            | Entry::Person { .. }
            | Entry::Roster { .. }
            | Entry::TakenOver { .. }
            | Entry::RulesTried { .. }
            | Entry::By { .. }
            | Entry::Team { .. }
            | Entry::Passkey { .. }
            | Entry::Account { .. }
            | Entry::Platform { .. }
            | Entry::Sharing { .. }
            | Entry::Moved { .. }
            | Entry::Damaged { .. }
            | Entry::Looked { .. }
            | Entry::Exported { .. } => {}
        }
    }

    fn unseal(&self, entry: &Entry) -> Option<Arc<Opened>> {
        let opened = match entry {
            Entry::Batch { record, .. } => {
                let context = parse_stub(record).ok()?.context;
                Opened::Batch(self.open(context, record)?.ok()?)
            }
            Entry::Assigned {
                patient, devices, ..
            } => Opened::Devices(self.open_devices(patient, devices)),
            Entry::Facts { patient, facts, .. } => {
                let plain = self.vault.open_sealed(patient, FACTS, &facts.0)?;
                Opened::Facts(RecordFactsRequest::decode(plain.as_slice()).ok()?)
            }
            Entry::Acknowledged { patient, note, .. }
            | Entry::Care {
                patient,
                text: note,
                ..
            } => Opened::Text(self.vault.open_text(patient, NOTE, note)?),
            Entry::Voided {
                patient, reason, ..
            } => Opened::Text(self.vault.open_text(patient, VOID, reason)?),
            Entry::Moved {
                patient,
                stream,
                context,
                number,
                source,
                readings,
                body,
            } => {
                let plain = self.vault.open_sealed(patient, MOVED, &body.0)?;
                Opened::Batch(OpenedBatch {
                    stream: *stream,
                    patient: patient.clone(),
                    context: *context,
                    number: *number,
                    lane: Lane::Vitals as u8,
                    source: *source,
                    readings: *readings,
                    content: BatchBody::decode(&plain[..])
                        .map_or(Content::Malformed, Content::Body),
                })
            }
            Entry::EpochStarted { .. }
            | Entry::PatientAdded { .. }
            | Entry::KeyAdded { .. }
            | Entry::TokenCreated { .. }
            | Entry::GatewayEnrolled { .. }
            | Entry::CertificateIssued { .. }
            | Entry::GatewayRevoked { .. }
            | Entry::ContextAdmitted { .. }
            | Entry::StreamFrozen { .. }
            | Entry::Tick
            | Entry::Quarantined { .. }
            | Entry::SetAside { .. }
            | Entry::CertificateRevoked { .. }
            | Entry::Configured { .. }
            | Entry::Collection { .. }
            | Entry::Person { .. }
            | Entry::Roster { .. }
            | Entry::TakenOver { .. }
            | Entry::RulesActivated { .. }
            | Entry::RulesTried { .. }
            | Entry::By { .. }
            | Entry::Team { .. }
            | Entry::Passkey { .. }
            | Entry::Account { .. }
            | Entry::Platform { .. }
            | Entry::Sharing { .. }
            | Entry::VoidSettled { .. }
            | Entry::Damaged { .. }
            | Entry::Looked { .. }
            | Entry::Exported { .. } => return None,
        };
        Some(Arc::new(opened))
    }
}

#[cfg(test)]
mod tests {
    use proto::seal::Suite;
    use proto::seal::crypto::{ContextKeys, Secret};
    use vitals::StreamId;

    use super::*;

    fn opener(number: u32) -> Arc<Opener> {
        let mut context = [0; 16];
        context[..4].copy_from_slice(&number.to_be_bytes());
        let keys = ContextKeys {
            batch: Secret::from_slice(&[1; 32]).expect("a key"),
            receipt: Secret::from_slice(&[2; 32]).expect("a key"),
        };
        let of = (StreamId([0; 16]), ContextId(context));
        Arc::new(Opener::from_keys(Suite::Aes256Gcm, of.0, of.1, keys))
    }

    #[test]
    fn a_gateway_pushes_out_its_own_openers_that_were_used_longest_ago_and_nobody_elses() {
        let gateway = |id| GatewayId::parse(id).expect("an id");
        let mut openers = Openers::default();
        let (theirs, used) = (opener(0), opener(1));
        openers.put(theirs.context(), &gateway("g-other"), &theirs);
        openers.put(used.context(), &gateway("g-loud"), &used);
        for number in 2..2000 {
            let one = opener(number);
            openers.put(one.context(), &gateway("g-loud"), &one);
            assert!(
                openers.get(used.context()).is_some(),
                "it is used all the time"
            );
            assert!(openers.by_context.len() <= OPENERS_A_GATEWAY + 1);
        }
        assert!(openers.by_context.len() > OPENERS_A_GATEWAY / 2);
        assert!(openers.get(theirs.context()).is_some(), "the other's stays");
    }
}
