//! The centre's certificate authority: who is who. The only file that names rcgen.
//!
//! `ca/ca.{der,key}`: self-signed, ECDSA P-256, ten years. `ca/server.{der,key}`: the centre's own certificate for
//! its names, 90 days, made anew in its last 30 (looked at
//! at each start and once a day). Operators' certificates: one year. Gateways':
//! 24 hours, renewed by themselves; revocation is by name, in the registry. `command.key` signs commands.
//!
//! Invariants: the CA signs names that the centre chose, never names from a request; every key is ECDSA P-256.
//! Must not know: tokens, sessions, who may ask.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr as _;

use proto::cert::{Role, peer_identity};
use proto::clock::Clock;
use proto::seal::{SigningKey, crypto};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, SanType, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use vitals::{GatewayId, Span, Time};

use crate::dir::{self, CentreDir, DirError};

const DAY: Span = Span::from_mins(24 * 60);
/// The CA outlives every certificate that it signs.
const CA_DAYS: i64 = 3650;
const SERVER_DAYS: i64 = 90;
/// In its last 30 days a new server certificate is made.
const SERVER_RENEW_DAYS: i64 = 30;
const OPERATOR_DAYS: i64 = 365;
/// Short enough that a stolen key is worth little, long enough to outlast a night without the centre.
pub const GATEWAY_VALIDITY: Span = DAY;
/// Certificates hold from this long ago: a gateway's clock may be behind.
const BACKDATED: Span = Span::from_mins(60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The request of a gateway is no good; the text says what to mend.
    #[error("the certificate request cannot be used: {0}")]
    Request(&'static str),
    /// The library refused, for instance a damaged CA file.
    #[error("the certificate authority in {place} cannot be used: {reason}")]
    Broken {
        /// Which file or step.
        place: &'static str,
        /// What the library said.
        reason: String,
    },
}

fn broken(place: &'static str) -> impl FnOnce(rcgen::Error) -> CaError {
    move |error| CaError::Broken {
        place,
        reason: error.to_string(),
    }
}

/// A certificate chain (DER, leaf first, CA last) with what the registry notes of it.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// Of the leaf.
    pub serial: Vec<u8>,
    /// End of the leaf's validity.
    pub not_after: Time,
}

/// Certificate and key as files of a person or of the server.
pub struct Credentials {
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8 DER.
    pub key: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// The authority, ready to sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca: Vec<u8>,
    clock: Clock,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(hidden)")
    }
}

impl Authority {
    /// Makes CA and command key where there are none; existing ones are never replaced.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn create(dir: &CentreDir, clock: Clock) -> Result<(), CaError> {
        if !dir.command_key().exists() {
            dir::write_private(&dir.command_key(), &SigningKey::generate_pkcs8())?;
        }
        let (cert, key) = (dir.ca().join("ca.der"), dir.ca().join("ca.key"));
        if cert.exists() && key.exists() {
            return Ok(());
        }
        let pair = new_key()?;
        let mut params = params("vitaltwin CA", Role::Centre, clock, days(CA_DAYS));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = params.self_signed(&pair).map_err(broken("ca/"))?;
        dir::write_private(&key, pair.serialized_der())?;
        dir::write_private(&cert, ca.der())?;
        Ok(())
    }

    /// Reads the CA.
    ///
    /// # Errors
    /// [`CaError`]; a key that others may read is refused.
    pub fn open(dir: &CentreDir, clock: Clock) -> Result<Self, CaError> {
        let ca = dir::read(&dir.ca().join("ca.der"))?;
        let key = dir::read_secret(&dir.ca().join("ca.key"))?;
        let key = key_pair(&key).map_err(broken("ca/ca.key"))?;
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(ca.as_slice()), key);
        let issuer = issuer.map_err(broken("ca/ca.der"))?;
        Ok(Self { issuer, ca, clock })
    }

    /// The CA's certificate, DER.
    #[must_use]
    pub fn ca(&self) -> &[u8] {
        &self.ca
    }

    /// SHA-256 of the CA's certificate: what tokens pin and browsers show.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        proto::tls::ca_fingerprint(&self.ca)
    }

    /// The centre's own certificate: the one on disk, or a new one when that is missing, near its end, or not for
    /// these names. `127.0.0.1`, `::1` and `localhost` are always among them.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn server(&self, folder: &Path, names: &[String]) -> Result<Credentials, CaError> {
        let (cert, key, list) = (
            folder.join("server.der"),
            folder.join("server.key"),
            folder.join("server.names"),
        );
        let mut wanted = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
        wanted.extend(
            names
                .iter()
                .filter(|name| !wanted.contains(name))
                .cloned()
                .collect::<Vec<_>>(),
        );
        let noted = wanted.join("\n");
        if let (Ok(leaf), Ok(pkcs8), Ok(of)) =
            (dir::read(&cert), dir::read_secret(&key), dir::read(&list))
        {
            let left = peer_identity(&leaf).map(|of| of.not_after.since(self.clock.now()));
            let ours = proto::cert::issued_by(&leaf, &self.ca).is_ok();
            if ours
                && of == noted.as_bytes()
                && left.is_ok_and(|left| left > days(SERVER_RENEW_DAYS))
            {
                return Ok(Credentials {
                    chain: vec![leaf, self.ca.clone()],
                    key: pkcs8,
                });
            }
        }
        let pair = new_key()?;
        let mut params = params(
            "vitaltwin centre",
            Role::Centre,
            self.clock,
            days(SERVER_DAYS),
        );
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = wanted
            .iter()
            .map(|name| san(name))
            .collect::<Result<_, _>>()?;
        let leaf = self.sign(params, &pair)?;
        dir::write_private(&key, pair.serialized_der())?;
        dir::write_private(&cert, leaf.der())?;
        dir::write_private(&list, noted.as_bytes())?;
        let key = pair.serialized_der().to_vec().into();
        Ok(Credentials {
            chain: vec![leaf.der().to_vec(), self.ca.clone()],
            key,
        })
    }

    /// An operator's or platform's certificate with a new key.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn person(&self, name: &str, role: Role) -> Result<Credentials, CaError> {
        let pair = new_key()?;
        let mut params = params(name, role, self.clock, days(OPERATOR_DAYS));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = self.sign(params, &pair)?;
        let key = pair.serialized_der().to_vec().into();
        Ok(Credentials {
            chain: vec![leaf.der().to_vec(), self.ca.clone()],
            key,
        })
    }

    /// The key that a request is for, as an uncompressed point: whoever made the request held it.
    ///
    /// # Errors
    /// As [`Authority::gateway`].
    pub fn requested_key(csr: &[u8]) -> Result<Vec<u8>, CaError> {
        request(csr).map(|request| request.public_key.der_bytes().to_vec())
    }

    /// A gateway's certificate for the key of its request. The names in the request are ignored.
    ///
    /// # Errors
    /// [`CaError::Request`] if the request is malformed, not signed by its own key, or the key is not P-256.
    pub fn gateway(&self, gateway: &GatewayId, csr: &[u8]) -> Result<Issued, CaError> {
        let request = request(csr)?;
        let mut params = params(
            gateway.as_str(),
            Role::Gateway,
            self.clock,
            GATEWAY_VALIDITY,
        );
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let serial = params
            .serial_number
            .as_ref()
            .map(SerialNumber::to_bytes)
            .unwrap_or_default();
        let leaf = self.sign(params, &request.public_key)?;
        let identity = peer_identity(leaf.der());
        let not_after = identity
            .map_err(|_| CaError::Request("the key must be ECDSA P-256"))?
            .not_after;
        Ok(Issued {
            chain: vec![leaf.der().to_vec(), self.ca.clone()],
            serial,
            not_after,
        })
    }

    fn sign(
        &self,
        params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Certificate, CaError> {
        params.signed_by(key, &self.issuer).map_err(broken("ca/"))
    }
}

/// The key that signs commands.
///
/// # Errors
/// [`CaError`]; a key that others may read is refused.
pub fn command_key(dir: &CentreDir) -> Result<SigningKey, CaError> {
    let key = dir::read_secret(&dir.command_key())?;
    SigningKey::from_pkcs8(&key).map_err(|_| CaError::Broken {
        place: "command.key",
        reason: "it is no ECDSA P-256 key".into(),
    })
}

/// PEM text of DER, for files that other programs read.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    use std::fmt::Write as _;
    let coded = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in coded.as_bytes().chunks(64) {
        let line = std::str::from_utf8(line).expect("base64 is ASCII");
        writeln!(text, "{line}").expect("a String takes everything");
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// A request whose signature by its own key holds.
fn request(csr: &[u8]) -> Result<CertificateSigningRequestParams, CaError> {
    let request =
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr))
            .map_err(|_| CaError::Request("it is no PKCS#10 request signed by its own key"))?;
    if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(CaError::Request("the key must be ECDSA P-256"));
    }
    Ok(request)
}

const fn days(count: i64) -> Span {
    Span::from_mins(count * 24 * 60)
}

fn new_key() -> Result<KeyPair, CaError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(broken("a new key"))
}

fn key_pair(pkcs8: &[u8]) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), &PKCS_ECDSA_P256_SHA256)
}

fn params(name: &str, role: Role, clock: Clock, validity: Span) -> CertificateParams {
    let now = clock.now();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, role.as_str());
    params.distinguished_name.push(DnType::CommonName, name);
    let at = |time: Time| {
        let seconds = u64::try_from(time.as_micros() / 1_000_000).unwrap_or(0);
        date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds)
    };
    params.not_before = at(now - BACKDATED);
    params.not_after = at(now + validity);
    params.use_authority_key_identifier_extension = true;
    // A positive number without leading zeros, so that every reader writes it alike.
    let mut serial = crypto::random::<16>();
    serial[0] = serial[0] & 0x3F | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

fn san(name: &str) -> Result<SanType, CaError> {
    if let Ok(address) = IpAddr::from_str(name) {
        return Ok(SanType::IpAddress(address));
    }
    let name = name.try_into().map_err(broken("the configured names"))?;
    Ok(SanType::DnsName(name))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A certificate request as a gateway makes it, for a PKCS#8 key.
    pub(crate) fn request(pkcs8: &[u8]) -> Vec<u8> {
        let request =
            CertificateParams::default().serialize_request(&key_pair(pkcs8).expect("a P-256 key"));
        request.expect("a request").der().to_vec()
    }

    fn authority() -> (tempfile::TempDir, CentreDir, Authority) {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = CentreDir::new(temp.path());
        dir.create().expect("folders");
        Authority::create(&dir, Clock::system()).expect("a CA");
        let authority = Authority::open(&dir, Clock::system()).expect("it opens");
        (temp, dir, authority)
    }

    fn csr(name: &str) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .serialize_request(&new_key().expect("a key"))
            .expect("a request")
            .der()
            .to_vec()
    }

    #[test]
    fn a_gateway_gets_the_name_that_the_centre_chose() {
        let (_temp, _, authority) = authority();
        let gateway = GatewayId::parse("g-17").expect("fine id");
        let issued = authority
            .gateway(&gateway, &csr("g-other, O=operator"))
            .expect("a certificate");
        let identity = peer_identity(&issued.chain[0]).expect("one of ours");
        assert_eq!(
            (identity.role, identity.name.as_str()),
            (Role::Gateway, "g-17")
        );
        assert_eq!(identity.not_after, issued.not_after);
        assert_eq!(identity.serial, proto::text::hex(&issued.serial));
        assert!(issued.not_after.since(Clock::system().now()) <= GATEWAY_VALIDITY);
        assert!(proto::cert::issued_by(&issued.chain[0], authority.ca()).is_ok());
        assert_eq!(issued.chain[1], authority.ca());
    }

    #[test]
    fn a_request_that_is_not_signed_by_its_key_is_refused() {
        let (_temp, _, authority) = authority();
        let gateway = GatewayId::parse("g-17").expect("fine id");
        let good = csr("x");
        assert!(authority.gateway(&gateway, &good).is_ok(), "control");
        let mut changed = good.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        for bad in [changed, good[..last].to_vec(), vec![], b"hello".to_vec()] {
            assert!(matches!(
                authority.gateway(&gateway, &bad),
                Err(CaError::Request(_))
            ));
        }
        let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let other = CertificateParams::default()
            .serialize_request(&other)
            .expect("a request");
        assert!(matches!(
            authority.gateway(&gateway, other.der()),
            Err(CaError::Request(_))
        ));
    }

    #[test]
    fn the_server_certificate_is_kept_until_its_names_or_its_end_ask_for_another() {
        let (_temp, dir, authority) = authority();
        let names = vec!["centre.example".to_owned()];
        let first = authority.server(&dir.ca(), &names).expect("a certificate");
        let again = authority.server(&dir.ca(), &names).expect("a certificate");
        assert_eq!(first.chain, again.chain);
        let other = authority.server(&dir.ca(), &[]).expect("a certificate");
        assert_ne!(first.chain[0], other.chain[0]);
        let now = Clock::system().now();
        let late = Clock::test(now, now + days(61), 1.0).expect("a fine rate");
        let late = Authority::open(&dir, late).expect("it opens");
        let renewed = late.server(&dir.ca(), &[]).expect("a certificate");
        assert_ne!(renewed.chain[0], other.chain[0]);
    }

    #[test]
    fn init_again_keeps_ca_and_command_key() {
        let (_temp, dir, authority) = authority();
        let key = command_key(&dir).expect("a key").public_point();
        Authority::create(&dir, Clock::system()).expect("nothing to do");
        assert_eq!(
            Authority::open(&dir, Clock::system())
                .expect("it opens")
                .ca(),
            authority.ca()
        );
        assert_eq!(command_key(&dir).expect("a key").public_point(), key);
    }
}
