//! What people who run the centre do: patients, assignments, tokens, revocation, status.
//!
//! One set of functions for the operator's gRPC service (`service.rs`) and for the command line working directly on
//! a centre that is not running.
//!
//! Invariants: each act is one append to the journal and has happened when it returns; a patient's key is durable in
//! the vault before its entry is; errors name the field and the remedy and never a patient's data. Must not know:
//! gRPC, arguments, screens.

mod devices;
mod filters;
mod fleet;
mod people;
mod platforms;
mod remote;
mod roster;
mod rules;
mod service;
mod status;
mod void;

use std::sync::{Arc, Mutex, PoisonError};

use proto::cert::Role;
use proto::clock::Clock;
use proto::seal::{KeyId, PatientPublic, crypto};
use proto::token::EnrolmentToken;
use proto::v1::{self, CentreStatus, PatientAssignment};
use vitals::{GatewayId, PatientId, SourceId, Span, StreamId, Time};

use crate::chain::Silence;
use crate::counters::Counters;
use crate::ingest::{Room, Sessions};
use crate::journal::{Appended, Draft, Entry, Journal, JournalError};
use crate::registry::{Books, Stream};
use crate::rules::Budget;
use crate::serve::signin::Listed;
use crate::staff;
use crate::vault::VaultError;
use devices::Devices;

pub use fleet::{FleetDoor, Things};
pub use people::TeamChange;
pub use roster::Asker;
pub use service::OperatorDoor;
pub use status::{DAMAGED_BLOCK, HISTORY_STOPPED};
pub use void::{MOST_VOIDED, Misattributed};

/// A token that says nothing else holds this long.
pub const TOKEN_VALID_S: u32 = 3600;
/// A token holds at most a week.
const TOKEN_LONGEST_S: u32 = 7 * 24 * 3600;
/// Characters of a display name or label.
const LONGEST_TEXT: usize = 200;
/// Sensors of one patient at one gateway: as many as a batch may report.
const MOST_DEVICES: usize = proto::wire::MAX_DEVICES;

/// Why an act was refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An argument is no good.
    #[error("{field}: {remedy}")]
    Invalid {
        /// Which argument.
        field: &'static str,
        /// What it must be.
        remedy: String,
    },
    /// What it names does not exist.
    #[error("{what}: there is none of this id or name; see `{list}`")]
    NotFound {
        /// "patient" or "gateway".
        what: &'static str,
        /// The command that lists them.
        list: &'static str,
    },
    /// It cannot be done as things are.
    #[error("{0}")]
    Conflict(String),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What the fold and the readers know.
pub trait Live: Send + Sync {
    /// Adds what the fold and the readers count.
    fn fill(&self, status: &mut CentreStatus);

    /// The sensors of a patient: under which number of which stream each is known, and its Bluetooth address.
    fn devices(&self, patient: &PatientId) -> Vec<(StreamId, SourceId, String)>;

    /// Hops behind the doors that are not heard; nothing of a centre that does not serve.
    fn silences(&self) -> Vec<Silence> {
        Vec::new()
    }

    /// What the twins know of a patient's devices and gateways; nothing while twins are not current.
    fn things(&self, _patient: &PatientId) -> Things {
        Things::default()
    }

    /// Entries that are durable and not yet folded.
    fn behind(&self) -> u64 {
        0
    }

    /// How many platforms and channels are waited for.
    fn expected(&self) -> (usize, usize) {
        (0, 0)
    }

    /// What else a person should know.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The fold, if it stands still. Must be answered whatever the fold does.
    fn stands_still(&self) -> Option<Silence> {
        None
    }

    /// Who is signed in at the page, of one person or of all.
    fn sessions(&self, _person: Option<&str>) -> Vec<Listed> {
        Vec::new()
    }

    /// Ends sessions: that of this id, or all of a person. How many.
    fn end_sessions(&self, _id: Option<&str>, _person: Option<&str>) -> usize {
        0
    }

    /// A one-time sign-in link for a person; `None` when there is no page to sign in at.
    fn sign_in(&self, person: &str) -> Option<String>;
}

/// The desk of those who run the centre.
pub struct Admin {
    parts: AdminParts,
    /// Two cannot claim one device, or one name, at once.
    one_at_a_time: tokio::sync::Mutex<()>,
    /// Recorded days are folded by one who asks at a time.
    one_shadow: Arc<tokio::sync::Mutex<()>>,
    devices: Mutex<Devices>,
    rosters: roster::Rosters,
}

/// What it works with.
pub struct AdminParts {
    /// Registry and keys.
    pub books: Arc<Books>,
    /// Where acts become durable.
    pub journal: Journal,
    /// The one clock.
    pub clock: Clock,
    /// Refusals.
    pub counters: Arc<Counters>,
    /// SHA-256 of the CA's certificate.
    pub ca_sha256: [u8; 32],
    /// The gRPC address that tokens name, "host:port"; `None` if it is not known while nothing listens.
    pub grpc_address: Option<String>,
    /// Who is connected.
    pub sessions: Arc<Sessions>,
    /// Twins and readers.
    pub live: Arc<dyn Live>,
    /// The journal's disk.
    pub room: Arc<Room>,
    /// What rules are held to before they are activated.
    pub budget: Budget,
}

impl std::fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminParts")
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

impl Admin {
    /// Over its parts.
    #[must_use]
    pub fn new(parts: AdminParts) -> Self {
        Self {
            parts,
            one_at_a_time: tokio::sync::Mutex::default(),
            one_shadow: Arc::default(),
            devices: Mutex::default(),
            rosters: roster::Rosters::default(),
        }
    }

    /// A new patient with a new key.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn add_patient(
        &self,
        name: &str,
        test_data: bool,
    ) -> Result<v1::Patient, AdminError> {
        let name = text("display_name", name)?;
        let patient =
            PatientId::parse(&format!("p-{}", random_text(20))).expect("letters and digits");
        let books = &self.parts.books;
        let (key_id, public) = self.generate(&patient).await?;
        let sealed = books
            .seal_name(&patient, &name)
            .expect("its key was made just now");
        let added = Entry::PatientAdded {
            patient: patient.clone(),
            name: sealed,
            test_data,
        };
        let key = Entry::KeyAdded {
            patient: patient.clone(),
            key_id: key_id.0,
            public_key: public.0,
        };
        self.parts
            .journal
            .append(vec![added.into(), key.into()])
            .await?;
        Ok(self.describe(&patient))
    }

    /// A new key of a patient, durable in the vault.
    async fn generate(&self, patient: &PatientId) -> Result<(KeyId, PatientPublic), AdminError> {
        let (books, patient) = (Arc::clone(&self.parts.books), patient.clone());
        let made = tokio::task::spawn_blocking(move || books.vault().generate(&patient)).await;
        Ok(made.map_err(|error| AdminError::Conflict(error.to_string()))??)
    }

    /// All patients.
    #[must_use]
    pub fn patients(&self) -> Vec<v1::Patient> {
        let ids: Vec<PatientId> = self
            .parts
            .books
            .registry()
            .patients()
            .map(|(patient, _)| patient.clone())
            .collect();
        ids.iter().map(|patient| self.describe(patient)).collect()
    }

    fn describe(&self, patient: &PatientId) -> v1::Patient {
        let books = &self.parts.books;
        let (test_data, keys, streams) = {
            let registry = books.registry();
            let of = registry.patient(patient);
            let test_data = of.is_some_and(|of| of.test_data);
            let keys = of.map_or(0, |of| of.keys.len());
            let streams: Vec<_> = registry
                .streams_of(patient)
                .map(|(stream, of)| (stream, of.gateway.clone(), of.from, of.sealed_to))
                .collect();
            (test_data, keys, streams)
        };
        let assignments = streams
            .into_iter()
            .map(|(stream, gateway, from, sealed_to)| PatientAssignment {
                gateway: gateway.as_str().into(),
                stream: stream.to_string(),
                devices: books.devices(stream),
                effective_from_us: from.as_micros(),
                key_generation: sealed_to,
            });
        let will = self.will(patient);
        v1::Patient {
            patient: patient.reveal().into(),
            display_name: books.name(patient),
            test_data,
            assignments: assignments.collect(),
            collection: will.collection.into(),
            collection_since_us: will.since.as_micros(),
            key_generation: u32::try_from(keys).unwrap_or(u32::MAX),
            teams: self.teams_of(patient),
            platforms: self.shares_of(patient),
        }
    }

    /// Gives devices of a patient to a gateway: the whole list, which replaces the former one of this patient at
    /// this gateway. An empty list ends the assignment; its backlog is still taken.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn assign(
        &self,
        patient: &str,
        gateway: &str,
        devices: &[String],
        by: &str,
    ) -> Result<PatientAssignment, AdminError> {
        let patient = self.patient(patient)?;
        let gateway = self.gateway(gateway)?;
        let devices = addresses(devices)?;
        let _one = self.one_at_a_time.lock().await;
        if !devices.is_empty() && !self.will(&patient).allows() {
            return Err(AdminError::Conflict(
                "the patient has paused or withdrawn: `patient resume` comes first".into(),
            ));
        }
        let place = self.place(&patient, &gateway, &devices)?;
        let (stream, _, from) = place;
        let sealed_to = self
            .parts
            .books
            .registry()
            .stream(stream)
            .map_or(0, |of| of.sealed_to);
        let draft = self.assigned(&patient, &gateway, place, devices.clone())?;
        self.append_by(by, vec![draft]).await?;
        Ok(PatientAssignment {
            gateway: gateway.as_str().into(),
            stream: stream.to_string(),
            devices,
            effective_from_us: from.as_micros(),
            key_generation: sealed_to,
        })
    }

    /// Stream, key and start of an assignment. The stream is the former one while it lasts; after an end it is a
    /// new one. Devices that are new begin now, whatever else the stream had before: what they hold from earlier
    /// may be another person's. Those that stay keep their begin (the fold goes by all entries of a stream).
    fn place(
        &self,
        patient: &PatientId,
        gateway: &GatewayId,
        devices: &[String],
    ) -> Result<(StreamId, [u8; 8], Time), AdminError> {
        let books = &self.parts.books;
        let own: Vec<_> = {
            let registry = books.registry();
            let revoked =
                |gateway: &GatewayId| registry.gateway(gateway).is_some_and(|of| of.revoked);
            if revoked(gateway) {
                return Err(AdminError::Conflict(format!(
                    "gateway {gateway} was revoked: make a new token"
                )));
            }
            let live = |of: &Stream| !of.frozen && !revoked(&of.gateway);
            let others = |of: &Stream| live(of) && of.patient != *patient;
            let mut known = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, taken)) = known.taken((books, &registry), devices, others) {
                return Err(AdminError::Conflict(format!(
                    "device {taken} is another patient's at gateway {}: take it out of that assignment first (`patient list` shows it; `patient assign` without it, or with --end)",
                    of.gateway
                )));
            }
            let own = registry.streams_of(patient);
            own.filter(|(_, of)| live(of))
                .map(|(stream, of)| (stream, of.clone()))
                .collect()
        };
        let mut here = own.into_iter().filter(|(_, of)| of.gateway == *gateway);
        let lasting = here.find(|(stream, _)| !books.devices(*stream).is_empty());
        let registry = books.registry();
        let keys = registry
            .patient(patient)
            .map(|patient| patient.keys.as_slice())
            .unwrap_or_default();
        let (key_id, _) = keys
            .last()
            .ok_or_else(|| AdminError::Conflict("the patient has no key".into()))?;
        let now = self.parts.clock.now();
        let (stream, from) = match lasting {
            // An end moves no begin: what the gateway still holds is taken.
            Some((stream, of)) if devices.is_empty() => (stream, of.from),
            Some((stream, _)) => (stream, now),
            None if devices.is_empty() => {
                return Err(AdminError::Conflict(format!(
                    "gateway {gateway} has no device of this patient: there is nothing to end"
                )));
            }
            None => (StreamId(crypto::random()), now),
        };
        Ok((stream, key_id.0, from))
    }

    /// A one-time token for a new gateway, and when it ends.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn create_token(
        &self,
        label: &str,
        valid_s: u32,
        by: &str,
    ) -> Result<(String, GatewayId, Time), AdminError> {
        let label = text("label", label)?;
        let valid_s = if valid_s == 0 { TOKEN_VALID_S } else { valid_s };
        if valid_s > TOKEN_LONGEST_S {
            let remedy = format!("at most {TOKEN_LONGEST_S} seconds");
            return Err(AdminError::Invalid {
                field: "valid_s",
                remedy,
            });
        }
        let grpc_address = self.parts.grpc_address.clone().ok_or_else(|| {
            AdminError::Conflict(
                "the port is not known while the centre is not running: start it, or set `listen` in config.toml".into(),
            )
        })?;
        let gateway =
            GatewayId::parse(&format!("g-{}", random_text(12))).expect("letters and digits");
        let token = EnrolmentToken {
            grpc_address,
            ca_sha256: self.parts.ca_sha256,
            gateway: gateway.clone(),
            secret: crypto::random(),
        };
        let expires = self.parts.clock.now() + Span::from_secs(valid_s.into());
        let entry = Entry::TokenCreated {
            gateway: gateway.clone(),
            label,
            hash: token.secret_sha256(),
            expires,
        };
        self.append_by(by, vec![entry.into()]).await?;
        Ok((token.encode(), gateway, expires))
    }

    /// Takes a gateway's rights away, for good. Returns how many of its connections this cuts.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn revoke(&self, gateway: &str, by: &str) -> Result<u32, AdminError> {
        let gateway = self.gateway(gateway)?;
        // Each connection sees the entry and ends itself.
        let live = self.parts.sessions.live(&gateway);
        let entry = Entry::GatewayRevoked {
            gateway: gateway.clone(),
        };
        self.append_by(by, vec![entry.into()]).await?;
        tracing::warn!(%gateway, "gateway revoked");
        Ok(live)
    }

    /// Refuses every certificate of an operator or platform from now on, for good. Which certificates were issued is
    /// kept nowhere, so a name that nobody has is taken too.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn revoke_certificate(&self, role: Role, name: &str) -> Result<(), AdminError> {
        if !matches!(role, Role::Operator | Role::Platform) {
            return Err(AdminError::Invalid {
                field: "role",
                remedy: "operator or platform; gateways have a revocation of their own".into(),
            });
        }
        let name = text("name", name)?;
        if name.is_empty() {
            return Err(AdminError::Invalid {
                field: "name",
                remedy: "give the name in the certificate".into(),
            });
        }
        // Each open stream asks the registry again within a second and ends itself.
        let entry = Entry::CertificateRevoked { role, name };
        self.parts.journal.append(vec![entry.into()]).await?;
        tracing::warn!(role = role.as_str(), "certificate revoked");
        Ok(())
    }

    /// A one-time sign-in link, for somebody who was added, or (`patient` not empty) to a patient's own page.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for others, [`AdminError::Conflict`] when the centre is not running.
    pub fn sign_in(&self, person: &str, patient: &str) -> Result<(String, String), AdminError> {
        let person = match patient {
            "" => self.person_named(&people::fit("person", person)?)?,
            patient => staff::patient_name(&self.patient(patient)?),
        };
        let link = self.parts.live.sign_in(&person).ok_or_else(|| {
            AdminError::Conflict(
                "nobody can sign in while the centre is not running: start it first".into(),
            )
        })?;
        Ok((link, fingerprint(&self.parts.ca_sha256)))
    }

    /// One append: by whose word, and what they did.
    async fn append_by(&self, by: &str, drafts: Vec<Draft>) -> Result<Appended, JournalError> {
        let signed = Entry::By {
            by: by.to_owned(),
            at: self.parts.clock.now(),
            entries: u32::try_from(drafts.len()).unwrap_or(u32::MAX),
        };
        let drafts = std::iter::once(signed.into()).chain(drafts).collect();
        self.parts.journal.append(drafts).await
    }

    fn patient(&self, patient: &str) -> Result<PatientId, AdminError> {
        PatientId::parse(patient)
            .filter(|patient| self.parts.books.registry().patient(patient).is_some())
            .ok_or(AdminError::NotFound {
                what: "patient",
                list: "patient list",
            })
    }

    fn gateway(&self, gateway: &str) -> Result<GatewayId, AdminError> {
        GatewayId::parse(gateway)
            .filter(|gateway| self.parts.books.registry().gateway(gateway).is_some())
            .ok_or(AdminError::NotFound {
                what: "gateway",
                list: "gateway list",
            })
    }
}

/// A fingerprint as browsers show it: upper-case pairs with colons.
#[must_use]
pub fn fingerprint(sha256: &[u8; 32]) -> String {
    let pairs: Vec<String> = sha256.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

fn text(field: &'static str, text: &str) -> Result<String, AdminError> {
    let text = text.trim();
    if text.chars().count() > LONGEST_TEXT || text.chars().any(char::is_control) {
        let remedy = format!("at most {LONGEST_TEXT} characters, none of them a control character");
        return Err(AdminError::Invalid { field, remedy });
    }
    Ok(text.to_owned())
}

/// Bluetooth addresses in capital letters, each once.
fn addresses(devices: &[String]) -> Result<Vec<String>, AdminError> {
    let invalid = |remedy: String| AdminError::Invalid {
        field: "devices",
        remedy,
    };
    if devices.len() > MOST_DEVICES {
        return Err(invalid(format!(
            "at most {MOST_DEVICES} of one patient at one gateway"
        )));
    }
    let mut all = Vec::with_capacity(devices.len());
    for device in devices {
        let pairs: Vec<&str> = device.split(':').collect();
        let fine = pairs.len() == 6
            && pairs
                .iter()
                .all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
        if !fine {
            return Err(invalid(
                "each must be a Bluetooth address like AA:BB:CC:DD:EE:FF".into(),
            ));
        }
        let device = device.to_ascii_uppercase();
        if all.contains(&device) {
            return Err(invalid(format!("{device} is there twice")));
        }
        all.push(device);
    }
    Ok(all)
}

/// Random letters and digits that nobody confuses (Crockford's base 32, lower case): 5 bits each.
fn random_text(length: usize) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bytes: [u8; 32] = crypto::random();
    bytes
        .iter()
        .take(length)
        .map(|byte| char::from(DIGITS[usize::from(byte & 31)]))
        .collect()
}

#[cfg(test)]
mod tests;
