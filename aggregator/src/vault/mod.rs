//! The vault: patients' private keys, wrapped under one key-encryption key (KEK), and nothing else.
//!
//! `vault/kek` holds the KEK (32 bytes, mode 0600); `vault/vault.db` the wrapped keys. The KEK is read once at
//! start. Everything about a patient at rest is sealed under a key that is derived from the patient's own, so
//! destroying that one key closes all of it.
//!
//! Invariants: a key is durable before anybody may seal to it; a KEK that others may read is refused; no error
//! and no log names a patient. Must not know: journal, twins, gateways.

mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};

use proto::seal::{KeyId, PatientPublic, PatientSecret, Secret, crypto, rest};
use vitals::PatientId;
use zeroize::Zeroizing;

use crate::dir::{self, DirError};
use crate::journal::SealedText;
use store::{Row, StoreError, VaultStore};

/// Why the vault cannot do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The KEK file.
    #[error("the vault's key-encryption key: {0}")]
    Kek(#[source] DirError),
    /// The KEK file does not hold a key.
    #[error("the vault's key-encryption key must be 32 bytes: restore vault/kek from its backup")]
    KekSize,
    /// A wrapped key does not open.
    #[error(
        "{count} keys in the vault do not open under this key-encryption key: vault/kek and vault/vault.db do not belong together, restore both from one backup"
    )]
    Unwrap {
        /// How many.
        count: usize,
    },
    /// The database.
    #[error("{0}")]
    Store(String),
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// Patients' keys in memory, and their wrapped copies on disk.
pub struct Vault {
    kek: Secret,
    store: Mutex<VaultStore>,
    /// Each patient's generations, newest last.
    keys: RwLock<BTreeMap<PatientId, Vec<(KeyId, PatientSecret)>>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(hidden)")
    }
}

impl Vault {
    /// Makes a KEK where there is none; an existing one is never replaced.
    ///
    /// # Errors
    /// [`VaultError::Kek`].
    pub fn create(folder: &Path) -> Result<(), VaultError> {
        let path = folder.join("kek");
        if path.exists() {
            return Ok(());
        }
        dir::write_private(&path, &crypto::random::<32>()).map_err(VaultError::Kek)
    }

    /// Reads the KEK and unwraps all keys.
    ///
    /// # Errors
    /// [`VaultError`]; a KEK that others may read is refused.
    pub fn open(folder: &Path) -> Result<Self, VaultError> {
        Self::unwrap(folder, VaultStore::open(&folder.join("vault.db"))?)
    }

    /// The same beside a centre that works on it: nothing can be added.
    ///
    /// # Errors
    /// As [`Vault::open`]; also when there is none.
    pub fn open_to_read(folder: &Path) -> Result<Self, VaultError> {
        Self::unwrap(folder, VaultStore::open_to_read(&folder.join("vault.db"))?)
    }

    fn unwrap(folder: &Path, store: VaultStore) -> Result<Self, VaultError> {
        let kek = dir::read_secret(&folder.join("kek")).map_err(VaultError::Kek)?;
        let kek = Secret::from_slice(&kek).ok_or(VaultError::KekSize)?;
        let mut keys: BTreeMap<PatientId, Vec<_>> = BTreeMap::new();
        let mut closed = 0;
        for row in store.all()? {
            match unwrap(&kek, &row) {
                Some((patient, key)) => keys.entry(patient).or_default().push(key),
                None => closed += 1,
            }
        }
        if closed > 0 {
            return Err(VaultError::Unwrap { count: closed });
        }
        Ok(Self {
            kek,
            store: Mutex::new(store),
            keys: RwLock::new(keys),
        })
    }

    /// A new key generation for a patient, durable when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// [`VaultError::Store`]; then there is no new key.
    pub fn generate(&self, patient: &PatientId) -> Result<(KeyId, PatientPublic), VaultError> {
        let (key_id, secret) = (KeyId::random(), PatientSecret::generate());
        let public = secret.public();
        let wrapped = rest::seal(
            &self.kek,
            &purpose(patient.reveal(), key_id),
            secret.expose(),
        );
        let row = Row {
            patient: patient.reveal().into(),
            key_id: key_id.0.to_vec(),
            wrapped,
        };
        self.store
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&row)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.entry(patient.clone())
            .or_default()
            .push((key_id, secret));
        Ok((key_id, public))
    }

    /// A patient's private key of one generation; `None` if the vault does not hold it (any more).
    #[must_use]
    pub fn secret(&self, patient: &PatientId, key_id: KeyId) -> Option<PatientSecret> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (_, secret) = keys.get(patient)?.iter().find(|(id, _)| *id == key_id)?;
        Some(secret.clone())
    }

    /// Seals a text about a patient under the newest generation; empty stays empty. `None` without a key.
    /// `purpose` ("name", "note"...) is bound: the text opens for the same purpose only.
    #[must_use]
    pub fn seal_text(&self, patient: &PatientId, purpose: &str, text: &str) -> Option<SealedText> {
        if text.is_empty() {
            return Some(SealedText::default());
        }
        self.seal(patient, purpose, text.as_bytes()).map(SealedText)
    }

    /// Seals bytes about a patient under the newest generation. `None` without a key.
    #[must_use]
    pub fn seal(&self, patient: &PatientId, purpose: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (key_id, secret) = keys.get(patient)?.last()?;
        let (key_id, key) = (*key_id, rest::patient_key(secret));
        drop(keys);
        let mut bytes = key_id.0.to_vec();
        bytes.extend(rest::seal(&key, purpose, plain));
        Some(bytes)
    }

    /// Opens what [`Vault::seal`] made; `None` if the key is gone or the bytes are not ours.
    #[must_use]
    pub fn open_sealed(
        &self,
        patient: &PatientId,
        purpose: &str,
        bytes: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (key_id, sealed) = bytes.split_first_chunk::<8>()?;
        let secret = self.secret(patient, KeyId(*key_id))?;
        rest::open(&rest::patient_key(&secret), purpose, sealed).ok()
    }

    /// Opens what [`Vault::seal_text`] made; `None` if the key is gone or the bytes are not ours.
    #[must_use]
    pub fn open_text(
        &self,
        patient: &PatientId,
        purpose: &str,
        text: &SealedText,
    ) -> Option<String> {
        if text.0.is_empty() {
            return Some(String::new());
        }
        let plain = self.open_sealed(patient, purpose, &text.0)?;
        String::from_utf8(plain.to_vec()).ok()
    }

    /// Seals a secret of a person who signs in here: what proves them, and what reaches them.
    #[must_use]
    pub fn seal_for(&self, person: &str, purpose: &str, plain: &[u8]) -> SealedText {
        SealedText(rest::seal(
            &self.kek,
            &staff_purpose(person, purpose),
            plain,
        ))
    }

    /// Opens what [`Vault::seal_for`] made for the same person and purpose.
    #[must_use]
    pub fn open_for(
        &self,
        person: &str,
        purpose: &str,
        sealed: &SealedText,
    ) -> Option<Zeroizing<Vec<u8>>> {
        rest::open(&self.kek, &staff_purpose(person, purpose), &sealed.0).ok()
    }
}

/// A whole copy of the wrapped keys in another file, as of now; the key that wraps them is not in it.
///
/// # Errors
/// [`VaultError::Store`].
pub fn copy(path: &Path, to: &Path) -> Result<(), VaultError> {
    let to = to.to_str();
    let to = to.ok_or_else(|| VaultError::Store("the path is not UTF-8".into()))?;
    Ok(VaultStore::open_to_read(path)?.copy_to(to)?)
}

fn purpose(patient: &str, key_id: KeyId) -> String {
    format!("patient key {patient} {key_id}")
}

/// No purpose of a patient's key begins so.
fn staff_purpose(person: &str, purpose: &str) -> String {
    format!("person's {purpose} {person}")
}

fn unwrap(kek: &Secret, row: &Row) -> Option<(PatientId, (KeyId, PatientSecret))> {
    let key_id = KeyId::from_slice(&row.key_id)?;
    let plain = rest::open(kek, &purpose(&row.patient, key_id), &row.wrapped).ok()?;
    let secret = PatientSecret::from_slice(&plain).ok()?;
    Some((PatientId::parse(&row.patient)?, (key_id, secret)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn patient(id: &str) -> PatientId {
        PatientId::parse(id).expect("fine id")
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary directory");
        Vault::create(folder.path()).expect("it is made");
        folder
    }

    #[test]
    fn keys_survive_a_restart_and_are_not_on_disk_in_clear() {
        let folder = folder();
        let ann = patient("p-ann");
        let vault = Vault::open(folder.path()).expect("it opens");
        let (first, _) = vault.generate(&ann).expect("durable");
        let (second, public) = vault.generate(&ann).expect("durable");
        let secret = vault.secret(&ann, second).expect("just made");
        let note = vault
            .seal_text(&ann, "note", "felt dizzy")
            .expect("there is a key");
        drop(vault);

        let vault = Vault::open(folder.path()).expect("it opens again");
        let again = vault.secret(&ann, second).expect("kept");
        assert_eq!(again.expose(), secret.expose());
        assert_eq!(again.public(), public);
        assert!(
            vault.secret(&ann, first).is_some(),
            "a retired generation still opens"
        );
        assert_eq!(
            vault.open_text(&ann, "note", &note).as_deref(),
            Some("felt dizzy")
        );
        assert_eq!(
            vault.open_text(&ann, "name", &note),
            None,
            "another purpose"
        );
        assert_eq!(
            vault.open_text(&patient("p-bob"), "note", &note),
            None,
            "another patient"
        );
        drop(vault);
        for file in std::fs::read_dir(folder.path()).expect("a folder") {
            let bytes = std::fs::read(file.expect("an entry").path()).expect("readable");
            assert!(!bytes.windows(32).any(|window| window == secret.expose()));
        }
    }

    #[test]
    fn a_readable_or_foreign_kek_is_refused() {
        let folder = folder();
        let vault = Vault::open(folder.path()).expect("it opens");
        vault.generate(&patient("p-ann")).expect("durable");
        drop(vault);
        let kek = folder.path().join("kek");
        std::fs::set_permissions(&kek, std::fs::Permissions::from_mode(0o644)).expect("our file");
        let error = Vault::open(folder.path()).expect_err("others may read it");
        assert!(
            matches!(
                error,
                VaultError::Kek(DirError::Exposed { mode: 0o644, .. })
            ),
            "{error}"
        );
        dir::write_private(&kek, &[1; 32]).expect("it is written");
        let error = Vault::open(folder.path()).expect_err("another key");
        assert!(matches!(error, VaultError::Unwrap { count: 1 }), "{error}");
        dir::write_private(&kek, &[1; 31]).expect("it is written");
        assert!(matches!(
            Vault::open(folder.path()),
            Err(VaultError::KekSize)
        ));
    }

    #[test]
    fn a_key_moved_to_another_patient_does_not_open() {
        let folder = folder();
        let vault = Vault::open(folder.path()).expect("it opens");
        vault.generate(&patient("p-ann")).expect("durable");
        {
            let store = vault.store.lock().expect("no panic before");
            let row = store.all().expect("it reads").remove(0);
            store
                .add(&Row {
                    patient: "p-bob".into(),
                    ..row
                })
                .expect("durable");
        }
        drop(vault);
        assert!(matches!(
            Vault::open(folder.path()),
            Err(VaultError::Unwrap { count: 1 })
        ));
    }
}
