//! The one TLS configuration for both ends: rustls, TLS 1.3 only, provider aws-lc-rs named explicitly (no
//! process-wide default is installed), certificates checked at the time of the house's [`Clock`].
//!
//! Invariants: no session is ever resumed, so every connection shows and proves its certificate anew (a
//! resumed one would outlive the certificate's end); the only root is the centre's own CA, but for a client of somebody
//! else's server. Revocation is the
//! caller's job, by the name and serial that [`peer_identity`] reads.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{ServerName, UnixTime};

pub use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use crate::cert::{CertError, Identity, Role, peer_common_name, peer_identity};
use crate::clock::Clock;
use crate::seal::crypto::{equal, sha256};

/// ALPN of gRPC.
pub const ALPN_H2: &[u8] = b"h2";
/// ALPN of the page for browsers without HTTP/2.
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA certificate is none.
    #[error("the CA certificate cannot be used")]
    Ca(#[source] Error),
    /// The chain or the private key is none, or they do not belong together.
    #[error("the certificate chain and private key cannot be used")]
    Credentials(#[source] Error),
}

/// A certificate chain (leaf first) and its private key (PKCS#8) as rustls takes them.
#[must_use]
pub fn credentials(
    chain: &[Vec<u8>],
    pkcs8: &[u8],
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = chain
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    (chain, PrivateKeyDer::Pkcs8(pkcs8.to_vec().into()))
}

/// SHA-256 of a CA certificate (DER): the pin in an enrolment token.
#[must_use]
pub fn ca_fingerprint(ca_der: &[u8]) -> [u8; 32] {
    sha256(&[ca_der])
}

/// For a client that trusts the centre's CA and nothing else, with its own certificate where it has one.
/// ALPN is empty: a gRPC client adds [`ALPN_H2`].
///
/// # Errors
/// [`TlsError`] if a certificate or key cannot be used.
pub fn client_config(
    ca_der: &[u8],
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    clock: Clock,
) -> Result<ClientConfig, TlsError> {
    let builder = client_builder(clock).with_root_certificates(roots(ca_der)?);
    let mut config = match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(TlsError::Credentials)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// For a client of somebody else's server: trusts these roots (DER), as many of them as can be used, and shows no certificate.
///
/// # Errors
/// [`TlsError::Ca`] if none of them can be used.
pub fn web_client_config(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
    clock: Clock,
) -> Result<ClientConfig, TlsError> {
    let mut store = RootCertStore::empty();
    let (usable, _others) = store.add_parsable_certificates(roots);
    if usable == 0 {
        let none = Error::InvalidCertificate(CertificateError::BadEncoding);
        return Err(TlsError::Ca(none));
    }
    let mut config = client_builder(clock)
        .with_root_certificates(store)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// For enrolment: trusts exactly the server whose chain holds, above the leaf, the CA certificate with this
/// SHA-256, and whose leaf that CA signed for the name called, at the time now. The server must therefore
/// send its CA along.
#[must_use]
pub fn pinned_client_config(ca_sha256: [u8; 32], clock: Clock) -> ClientConfig {
    let verifier = PinnedCa {
        ca_sha256,
        provider: provider(),
    };
    let mut config = client_builder(clock)
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// For a server. With `client_ca_der` a client *may* show a certificate, which must then be a valid one of
/// that CA; without it none is asked for.
///
/// # Errors
/// [`TlsError`] if a certificate or key cannot be used.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_ca_der: Option<&[u8]>,
    clock: Clock,
    alpn: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&TLS13])
        .expect("aws-lc-rs has TLS 1.3 cipher suites");
    let builder = match client_ca_der {
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider())
                .allow_unauthenticated()
                .build()
                .map_err(|error| TlsError::Ca(Error::General(error.to_string())))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Credentials)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn client_builder(clock: Clock) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_details(provider(), Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&TLS13])
        .expect("aws-lc-rs has TLS 1.3 cipher suites")
}

fn roots(ca_der: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(ca_der.to_vec()))
        .map_err(TlsError::Ca)?;
    Ok(Arc::new(roots))
}

/// The house's clock as rustls reads it.
#[derive(Debug)]
struct TlsTime(Clock);

impl TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0.unix_time())
    }
}

/// Finds the pinned CA in what the server presents, then lets webpki verify the leaf against it.
#[derive(Debug)]
struct PinnedCa {
    ca_sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ca = intermediates
            .iter()
            .find(|cert| equal(&ca_fingerprint(cert), &self.ca_sha256))
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let roots =
            roots(ca).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
