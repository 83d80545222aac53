//! What a certificate of the house says: whose it is and which key it holds.
//!
//! Invariant: this reads names only; whoever asks has verified the certificate against the centre's CA first
//! (by TLS, or because it came from the centre's own registry), and checks revocation himself.
//! The only file that names the X.509 parser.

use vitals::Time;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

use crate::seal::crypto::verify_p256;
use crate::text::hex;

/// What the holder of a certificate is; the subject's organisation (O).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A gateway: may send for itself.
    Gateway,
    /// A person who runs the centre.
    Operator,
    /// A program of another system that reads.
    Platform,
    /// The centre itself.
    Centre,
}

impl Role {
    /// The subject's O.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Operator => "operator",
            Self::Platform => "platform",
            Self::Centre => "centre",
        }
    }

    /// From the subject's O.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Gateway, Self::Operator, Self::Platform, Self::Centre]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// Who a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// From O.
    pub role: Role,
    /// From CN: the gateway's id, the operator's or platform's name.
    pub name: String,
    /// Serial number, lower-case hexadecimal without leading zeros.
    pub serial: String,
    /// Last second at which the certificate is valid.
    pub not_after: Time,
}

/// Why a certificate says nothing useful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertError {
    /// Not a DER certificate.
    #[error("the certificate is not valid DER")]
    Malformed,
    /// The subject lacks a name, or has two.
    #[error("the certificate's subject must have exactly one {field}")]
    Subject {
        /// "CN" or "O".
        field: &'static str,
    },
    /// O is none of the roles.
    #[error("the certificate's O is none of gateway, operator, platform, centre")]
    UnknownRole,
    /// The key is no P-256 key.
    #[error("the certificate's key is not an ECDSA P-256 key")]
    UnknownKey,
    /// Some other CA issued it.
    #[error("the certificate was not issued by this CA")]
    NotIssued,
}

/// Whose certificate it is, from verified DER.
///
/// # Errors
/// [`CertError`] if it is no certificate or its subject is not one of ours.
pub fn peer_identity(cert_der: &[u8]) -> Result<Identity, CertError> {
    let cert = parse(cert_der)?;
    let subject = cert.subject();
    let name = single(subject.iter_common_name(), "CN")?;
    let role = single(subject.iter_organization(), "O")?;
    let serial = hex(cert.raw_serial());
    Ok(Identity {
        role: Role::parse(&role).ok_or(CertError::UnknownRole)?,
        name,
        serial: serial.trim_start_matches('0').to_owned(),
        not_after: Time::from_micros(
            cert.validity()
                .not_after
                .timestamp()
                .saturating_mul(1_000_000),
        ),
    })
}

/// The common name alone, from verified DER.
///
/// # Errors
/// As [`peer_identity`].
pub fn peer_common_name(cert_der: &[u8]) -> Result<String, CertError> {
    single(parse(cert_der)?.subject().iter_common_name(), "CN")
}

/// The uncompressed P-256 point (65 bytes) of a certificate's key.
///
/// # Errors
/// [`CertError::Malformed`], or [`CertError::UnknownKey`] for any other kind of key.
pub fn p256_point(cert_der: &[u8]) -> Result<[u8; 65], CertError> {
    let cert = parse(cert_der)?;
    let key = cert.public_key();
    let curve = key
        .algorithm
        .parameters
        .as_ref()
        .and_then(|any| any.as_oid().ok());
    if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY || curve != Some(OID_EC_P256) {
        return Err(CertError::UnknownKey);
    }
    let point: &[u8] = &key.subject_public_key.data;
    point.try_into().map_err(|_| CertError::UnknownKey)
}

/// Verifies that the CA signed this certificate, whatever its dates say: for contexts sealed under a
/// certificate that ran out since.
///
/// # Errors
/// [`CertError::NotIssued`] if the signature is not by the CA's key or the issuer is not the CA's subject;
/// else as [`peer_identity`].
pub fn issued_by(cert_der: &[u8], ca_der: &[u8]) -> Result<(), CertError> {
    let cert = parse(cert_der)?;
    let ca = parse(ca_der)?;
    if cert.issuer().as_raw() != ca.subject().as_raw()
        || cert.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256
    {
        return Err(CertError::NotIssued);
    }
    let signature: &[u8] = &cert.signature_value.data;
    verify_p256(
        &p256_point(ca_der)?,
        cert.tbs_certificate.as_ref(),
        signature,
    )
    .map_err(|_| CertError::NotIssued)
}

fn parse(cert_der: &[u8]) -> Result<X509Certificate<'_>, CertError> {
    match X509Certificate::from_der(cert_der) {
        Ok(([], cert)) => Ok(cert),
        Ok(_) | Err(_) => Err(CertError::Malformed),
    }
}

fn single<'a>(
    mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
    field: &'static str,
) -> Result<String, CertError> {
    match (
        values.next().and_then(|value| value.as_str().ok()),
        values.next(),
    ) {
        (Some(text), None) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(CertError::Subject { field }),
    }
}
