//! The primitives under the seal: HPKE key schedule, AEAD, HMAC, ECDSA, SHA-256, randomness.
//!
//! The only file of the house that names the crates `hpke` and `aws-lc-rs` (TLS reaches the latter through
//! rustls). Secrets are wiped when dropped and never printed.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING,
    ED25519, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use aws_lc_rs::{agreement, constant_time, digest, hmac, rand};
use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

type PrivateKey = <X25519HkdfSha256 as hpke::Kem>::PrivateKey;
type PublicKey = <X25519HkdfSha256 as hpke::Kem>::PublicKey;
type EncappedKey = <X25519HkdfSha256 as hpke::Kem>::EncappedKey;

const BATCH_KEY: &[u8] = b"vitaltwin batch key";
const RECEIPT_KEY: &[u8] = b"vitaltwin receipt key";
/// Bytes that an AEAD tag takes, both suites.
pub const TAG_SIZE: usize = 16;

/// 32 secret bytes, wiped when dropped; `Debug` hides them.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// From a slice; `None` unless it has 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    /// The bytes, for the one who stores or wraps them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        equal(self.expose(), other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The bulk AEAD of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// X25519 and AES-256-GCM: for processors with AES instructions.
    Aes256Gcm,
    /// X25519 and ChaCha20-Poly1305: for those without.
    ChaCha20Poly1305,
}

impl Suite {
    /// The faster one on this processor, asked at run time.
    #[must_use]
    pub fn for_this_cpu() -> Self {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        let aes = std::arch::is_x86_feature_detected!("aes");
        #[cfg(target_arch = "aarch64")]
        let aes = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
        let aes = false;
        if aes {
            Self::Aes256Gcm
        } else {
            Self::ChaCha20Poly1305
        }
    }

    /// The number in the header.
    #[must_use]
    pub const fn wire(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::ChaCha20Poly1305 => 2,
        }
    }

    /// From the number in the header; `None` for numbers that this version does not know.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }
}

/// The primitive refused: a key that is none, a tag or signature that does not hold. No detail on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic operation failed")]
pub struct CryptoError;

/// Random bytes from the operating system's generator.
///
/// # Panics
/// If the operating system has no randomness: nothing can be done safely then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system's random generator works");
    bytes
}

/// SHA-256 over the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::default();
    parts.iter().for_each(|part| hash.update(part));
    hash.finish()
}

/// SHA-256 fed bit by bit.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Sha256 {
    /// Feeds more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all that was fed.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0
            .finish()
            .as_ref()
            .try_into()
            .expect("SHA-256 has 32 bytes")
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}

/// HMAC-SHA256 of `message`.
#[must_use]
pub fn hmac_sha256(key: &Secret, message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), message);
    tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
}

/// HMAC-SHA1 of `message`: for one-time codes (RFC 6238) alone, because authenticator apps know no other everywhere. No
/// collision of SHA-1 harms an HMAC.
#[must_use]
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, message);
    tag.as_ref().try_into().expect("HMAC-SHA1 has 20 bytes")
}

/// HMAC-SHA256 of the parts under a key of whatever length, for protocols of others.
#[must_use]
pub fn hmac_sha256_with(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, &parts.concat());
    tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
}

/// A new P-256 key for one agreement.
///
/// # Panics
/// If the operating system has no randomness.
#[must_use]
pub fn generate_agreement_key() -> Secret {
    let key = agreement::PrivateKey::generate(&agreement::ECDH_P256);
    let key = key.expect("the operating system's random generator works");
    let bytes: EcPrivateKeyBin<'_> = key.as_be_bytes().expect("a P-256 key has bytes");
    Secret::from_slice(bytes.as_ref()).expect("a P-256 key has 32 bytes")
}

/// What `own` and the holder of `peer` (an uncompressed P-256 point) share, and the point of `own`.
///
/// # Errors
/// If a key is none.
pub fn agree_p256(own: &Secret, peer: &[u8; 65]) -> Result<([u8; 65], Secret), CryptoError> {
    let own = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, own.expose());
    let own = own.map_err(|_| CryptoError)?;
    let point = own.compute_public_key().map_err(|_| CryptoError)?;
    let point = point.as_ref().try_into().map_err(|_| CryptoError)?;
    let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, peer);
    let shared = agreement::agree(&own, peer, CryptoError, |shared| {
        Secret::from_slice(shared).ok_or(CryptoError)
    });
    Ok((point, shared?))
}

/// AES-128-GCM without further data, for protocols of others: encrypts in place and appends the tag. A nonce never twice.
///
/// # Errors
/// Only if `text` is longer than the cipher takes.
pub fn seal_aes128(key: &[u8; 16], nonce: [u8; 12], text: &mut Vec<u8>) -> Result<(), CryptoError> {
    let key = UnboundKey::new(&AES_128_GCM, key).expect("the cipher takes 16 bytes");
    let nonce = Nonce::assume_unique_for_key(nonce);
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::empty(), text)
        .map_err(|_| CryptoError)
}

/// ECDSA P-256 over SHA-256 of `message` as JOSE writes it: r and s, 32 bytes each. `pkcs8`: the key.
///
/// # Errors
/// If the bytes are no P-256 private key.
pub fn sign_p256_fixed(pkcs8: &[u8], message: &[u8]) -> Result<[u8; 64], CryptoError> {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
    let key = key.map_err(|_| CryptoError)?;
    let signature = key.sign(&rand::SystemRandom::new(), message);
    let signature = signature.map_err(|_| CryptoError)?;
    signature.as_ref().try_into().map_err(|_| CryptoError)
}

/// Compares in constant time.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Both secrets that a context exports.
#[derive(Clone, Debug)]
pub struct ContextKeys {
    /// Seals and opens batches; in memory only.
    pub batch: Secret,
    /// Proves receipts; opens nothing; may lie beside its context on disk.
    pub receipt: Secret,
}

/// A new X25519 pair: (private, public).
#[must_use]
pub fn generate_patient_key() -> (Secret, [u8; 32]) {
    let mut seed = random::<32>();
    let (private, public) = X25519HkdfSha256::derive_keypair(&seed);
    seed.zeroize();
    (
        Secret::new(private.to_bytes().into()),
        public.to_bytes().into(),
    )
}

/// The public key of a private one.
///
/// # Errors
/// If the bytes are no X25519 private key.
pub fn patient_public_key(private: &Secret) -> Result<[u8; 32], CryptoError> {
    let private = PrivateKey::from_bytes(private.expose()).map_err(|_| CryptoError)?;
    Ok(X25519HkdfSha256::sk_to_pk(&private).to_bytes().into())
}

/// HPKE base mode, sender: the encapsulated key and the exported secrets.
///
/// # Errors
/// If `public` is no usable X25519 public key.
pub fn encapsulate(public: &[u8; 32], info: &[u8]) -> Result<([u8; 32], ContextKeys), CryptoError> {
    let public = PublicKey::from_bytes(public).map_err(|_| CryptoError)?;
    let (encapped, context) = hpke::setup_sender::<ExportOnlyAead, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        info,
    )
    .map_err(|_| CryptoError)?;
    let keys = export(|label, out| context.export(label, out))?;
    Ok((encapped.to_bytes().into(), keys))
}

/// HPKE base mode, receiver: the exported secrets.
///
/// # Errors
/// If a key is no X25519 key, or the encapsulated key is a low-order point.
pub fn decapsulate(
    private: &Secret,
    encapped: &[u8; 32],
    info: &[u8],
) -> Result<ContextKeys, CryptoError> {
    let private = PrivateKey::from_bytes(private.expose()).map_err(|_| CryptoError)?;
    let encapped = EncappedKey::from_bytes(encapped).map_err(|_| CryptoError)?;
    let context = hpke::setup_receiver::<ExportOnlyAead, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private,
        &encapped,
        info,
    )
    .map_err(|_| CryptoError)?;
    export(|label, out| context.export(label, out))
}

fn export<E>(
    secret: impl Fn(&[u8], &mut [u8]) -> Result<(), E>,
) -> Result<ContextKeys, CryptoError> {
    let one = |label: &[u8]| {
        let mut out = Zeroizing::new([0; 32]);
        secret(label, out.as_mut_slice()).map_err(|_| CryptoError)?;
        Ok::<_, CryptoError>(Secret(out))
    };
    Ok(ContextKeys {
        batch: one(BATCH_KEY)?,
        receipt: one(RECEIPT_KEY)?,
    })
}

/// The bulk AEAD under one batch key. Nonce = 4 zero bytes and the batch number, so a number must never be
/// sealed twice: [`super::Sealer`] sees to that.
pub struct BatchCipher(LessSafeKey);

impl BatchCipher {
    /// Expands the key.
    #[must_use]
    pub fn new(suite: Suite, key: &Secret) -> Self {
        let algorithm = match suite {
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key.expose()).expect("both ciphers take 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts in place and appends the tag.
    ///
    /// # Errors
    /// Only if `text` is longer than any record.
    pub fn seal(&self, number: u64, aad: &[u8], text: &mut Vec<u8>) -> Result<(), CryptoError> {
        self.0
            .seal_in_place_append_tag(nonce(number), Aad::from(aad), text)
            .map_err(|_| CryptoError)
    }

    /// Verifies and decrypts in place; the plaintext is the returned part.
    ///
    /// # Errors
    /// The tag does not hold: forged, damaged, or of another number, stub or key.
    pub fn open<'t>(
        &self,
        number: u64,
        aad: &[u8],
        text: &'t mut [u8],
    ) -> Result<&'t [u8], CryptoError> {
        let plain = self
            .0
            .open_in_place(nonce(number), Aad::from(aad), text)
            .map_err(|_| CryptoError)?;
        Ok(plain)
    }
}

impl fmt::Debug for BatchCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchCipher(hidden)")
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// An ECDSA P-256 key that signs: a gateway's enrolled key, or the centre's command key.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// From PKCS#8 DER.
    ///
    /// # Errors
    /// If the bytes are no P-256 private key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .map(Self)
            .map_err(|_| CryptoError)
    }

    /// A new key as PKCS#8 DER, for the one who stores it.
    #[must_use]
    pub fn generate_pkcs8() -> Zeroizing<Vec<u8>> {
        let document = EcdsaKeyPair::generate_pkcs8(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &rand::SystemRandom::new(),
        )
        .expect("the operating system's random generator works");
        Zeroizing::new(document.as_ref().to_vec())
    }

    /// The uncompressed public point, 65 bytes.
    #[must_use]
    pub fn public_point(&self) -> [u8; 65] {
        self.0
            .public_key()
            .as_ref()
            .try_into()
            .expect("an uncompressed P-256 point has 65 bytes")
    }

    /// ASN.1 DER signature over SHA-256 of `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(&rand::SystemRandom::new(), message);
        signature
            .expect("the operating system's random generator works")
            .as_ref()
            .to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

/// Verifies an ASN.1 DER signature under an uncompressed P-256 point.
///
/// # Errors
/// The point is none, or the signature does not hold.
pub fn verify_p256(point: &[u8; 65], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(message, signature)
        .map_err(|_| CryptoError)
}

/// Verifies an Ed25519 signature under its public key.
///
/// # Errors
/// The key is none, or the signature does not hold.
pub fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    UnparsedPublicKey::new(&ED25519, key)
        .verify(message, signature)
        .map_err(|_| CryptoError)
}
