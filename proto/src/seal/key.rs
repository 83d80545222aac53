//! The patient's key pair, to which agents seal.

use std::fmt;

use super::SealError;
use super::crypto::{self, Secret};

/// Names a generation of a patient's key: 8 random bytes, meaningless in themselves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(crypto::random())
    }

    /// From a slice; `None` unless it has 8 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A patient's public key (X25519). Not secret, but it names the patient to those who know it: no log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PatientPublic(pub [u8; 32]);

impl PatientPublic {
    /// From a slice; `None` unless it has 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for PatientPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientPublic(hidden)")
    }
}

/// A patient's private key (X25519). Lives in the centre's vault, wrapped; wiped from memory when dropped.
#[derive(Clone)]
pub struct PatientSecret {
    pub(super) private: Secret,
    public: PatientPublic,
}

impl PatientSecret {
    /// A new key from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let (private, public) = crypto::generate_patient_key();
        Self {
            private,
            public: PatientPublic(public),
        }
    }

    /// From the 32 bytes that [`PatientSecret::expose`] gave.
    ///
    /// # Errors
    /// [`SealError::BadKey`] if they are none.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SealError> {
        let private = Secret::from_slice(bytes).ok_or(SealError::BadKey)?;
        let public = crypto::patient_public_key(&private).map_err(|_| SealError::BadKey)?;
        Ok(Self {
            private,
            public: PatientPublic(public),
        })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PatientPublic {
        self.public
    }

    /// The private half, for the vault that wraps it.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.private.expose()
    }
}

impl fmt::Debug for PatientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientSecret(hidden)")
    }
}
