//! Data at rest at the centre: wrapping patients' keys under the vault's key, and small texts about a
//! patient (names, notes) under that patient's own key.
//!
//! `1 || salt (24, random) || ciphertext and tag`: AES-256-GCM under HMAC-SHA256(key, "vitaltwin rest v1\0" ||
//! salt) with nonce zero. A fresh key for each box, so the number of boxes under one key has no bound that
//! anybody would reach. The purpose is the associated data: a box opens for its own purpose only.

use zeroize::Zeroizing;

use super::crypto::{self, BatchCipher, Secret, Suite};
use super::{PatientSecret, SealError, take};

const VERSION: u8 = 1;
const BOX_LABEL: &[u8] = b"vitaltwin rest v1\0";
const PATIENT_LABEL: &[u8] = b"vitaltwin patient rest v1\0";

/// The key for small texts about a patient, derived from the patient's private key: it dies with it.
#[must_use]
pub fn patient_key(secret: &PatientSecret) -> Secret {
    Secret::new(crypto::hmac_sha256(&secret.private, PATIENT_LABEL))
}

/// Seals `text` for a purpose, such as "patient key p-17".
#[must_use]
pub fn seal(key: &Secret, purpose: &str, text: &[u8]) -> Vec<u8> {
    let salt = crypto::random::<24>();
    let mut sealed = Vec::with_capacity(text.len() + 16);
    sealed.extend_from_slice(text);
    let cipher = cipher(key, &salt);
    cipher
        .seal(0, purpose.as_bytes(), &mut sealed)
        .expect("texts at rest are far below what the cipher takes");
    let mut bytes = Vec::with_capacity(25 + sealed.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&salt);
    bytes.extend_from_slice(&sealed);
    bytes
}

/// Opens what [`seal`] made for the same purpose.
///
/// # Errors
/// [`SealError::Malformed`], [`SealError::UnsupportedVersion`]; [`SealError::Forged`] for another key, another
/// purpose, or changed bytes.
pub fn open(key: &Secret, purpose: &str, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let mut rest = bytes;
    let [version] = take(&mut rest, "version")?;
    if version != VERSION {
        return Err(SealError::UnsupportedVersion { version });
    }
    let salt = take::<24>(&mut rest, "salt")?;
    let mut sealed = Zeroizing::new(rest.to_vec());
    let plain = cipher(key, &salt).open(0, purpose.as_bytes(), &mut sealed);
    plain
        .map(|plain| Zeroizing::new(plain.to_vec()))
        .map_err(|_| SealError::Forged)
}

fn cipher(key: &Secret, salt: &[u8; 24]) -> BatchCipher {
    let once = Secret::new(crypto::hmac_sha256(key, &[BOX_LABEL, salt].concat()));
    BatchCipher::new(Suite::Aes256Gcm, &once)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_opens_for_its_key_and_purpose_only() {
        let secret = PatientSecret::generate();
        let key = patient_key(&secret);
        let sealed = seal(&key, "name", b"text");
        assert_eq!(
            open(&key, "name", &sealed).as_deref().map(Vec::as_slice),
            Ok(b"text".as_slice())
        );
        assert_eq!(open(&key, "note", &sealed), Err(SealError::Forged));
        let other = patient_key(&PatientSecret::generate());
        assert_eq!(open(&other, "name", &sealed), Err(SealError::Forged));
        for end in 0..sealed.len() {
            assert!(open(&key, "name", &sealed[..end]).is_err());
        }
        assert_ne!(seal(&key, "name", b"text"), sealed);
    }
}
