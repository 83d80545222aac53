//! Enrolment and renewal: how this gateway gets its certificate.
//!
//! The one-time token pins the centre's CA; the key is made here and never leaves. What the centre answers is
//! checked before it is kept: the CA is the pinned one, it issued the certificate, the certificate names the
//! gateway of the token and holds our key.
//! Must not know: sealing, the outbox.

use proto::cert::{self, CertError, Role};
use proto::clock::Clock;
use proto::seal::crypto::equal;
use proto::tls;
use proto::token::{EnrolmentToken, TokenError};
use proto::v1::{EnrolRequest, EnrolResponse, RenewRequest};
use vitals::{GatewayId, Span, Time};

use crate::identity::{Identity, IdentityDir, IdentityError, Request};
use crate::uplink::UplinkError;
use crate::uplink::grpc;
use crate::uplink::meter::Meter;

/// A certificate is renewed when a third of its life is left, but at least this long before its end.
const LEAST_NOTICE: Span = Span::from_mins(10);

/// Longest chain taken, bytes: it lies beside each context in the outbox, whose rows stay below 4 KiB.
const LONGEST_CHAIN: usize = 3072;

/// Why enrolment or renewal failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The text is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// There is an identity already.
    #[error("this gateway is enrolled already: give --replace to enrol it anew")]
    AlreadyEnrolled,
    /// No key or request could be made.
    #[error("the certificate request could not be made")]
    Request(#[source] rcgen::Error),
    /// The centre was not reached, is another one than the token names, or refused.
    #[error("the centre did not enrol this gateway")]
    Centre(#[source] UplinkError),
    /// The answer does not fit the question.
    #[error("the centre's answer cannot be used: {0}")]
    Answer(&'static str),
    /// It could not be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The TLS configuration cannot be made from the identity.
    #[error("the identity cannot be used for TLS")]
    Tls(#[from] tls::TlsError),
}

impl EnrolError {
    /// What the person at the gateway can do, where the error itself does not say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let Self::Centre(error) = self else {
            return None;
        };
        Some(match error {
            UplinkError::Address(_) => {
                "the token holds an address that is none: ask for a new token"
            }
            UplinkError::Unreachable { .. } | UplinkError::TimedOut => {
                "is this gateway online, does the centre run, and does a firewall let its port through?"
            }
            UplinkError::Tls { .. } => {
                "either this is not the centre that made the token, or this gateway's clock is wrong: compare `date`"
            }
            UplinkError::NoAnswer => {
                "the connection stood, but no answer came: try again in a minute"
            }
            UplinkError::Ended(_) | UplinkError::Renewed => return None,
        })
    }
}

/// Spends a token and keeps the identity; its gateway id.
///
/// # Errors
/// [`EnrolError`].
pub async fn enrol(
    dir: &IdentityDir,
    token_text: &str,
    replace: bool,
    clock: Clock,
) -> Result<GatewayId, EnrolError> {
    if dir.is_enrolled() && !replace {
        return Err(EnrolError::AlreadyEnrolled);
    }
    let token = EnrolmentToken::parse(token_text)?;
    let request = Request::fresh().map_err(EnrolError::Request)?;
    let config = tls::pinned_client_config(token.ca_sha256, clock);
    let question = EnrolRequest {
        token: token_text.trim().to_owned(),
        csr: request.csr.clone(),
    };
    let told = grpc::enrol(&token.grpc_address, config, question)
        .await
        .map_err(EnrolError::Centre)?;
    if !equal(&tls::ca_fingerprint(&told.ca), &token.ca_sha256) {
        return Err(EnrolError::Answer(
            "its CA is not the one that the token names",
        ));
    }
    check(&told, &token.gateway, request.public_point())?;
    dir.store_new(&request, &told)?;
    Ok(token.gateway)
}

/// Gets a fresh certificate for the same key and keeps it; the new identity. The proof is the request's signature,
/// not the connection: it works as well after the old certificate's end.
///
/// # Errors
/// [`EnrolError`].
pub async fn renew(
    dir: &IdentityDir,
    identity: &Identity,
    grpc_address: &str,
    clock: Clock,
    meter: &Meter,
) -> Result<Identity, EnrolError> {
    let request = Request::renewal(identity).map_err(EnrolError::Request)?;
    let config = tls::client_config(&identity.ca, None, clock)?;
    let question = RenewRequest {
        csr: request.csr.clone(),
        certificate: identity.chain.first().cloned().unwrap_or_default(),
    };
    let told = grpc::renew(grpc_address, config, question, meter)
        .await
        .map_err(EnrolError::Centre)?;
    if told.ca != identity.ca {
        return Err(EnrolError::Answer(
            "its CA changed: enrol this gateway anew",
        ));
    }
    if told.command_key != identity.command_key {
        return Err(EnrolError::Answer(
            "its command key changed: enrol this gateway anew",
        ));
    }
    check(&told, &identity.gateway, request.public_point())?;
    dir.store_renewed(&told)?;
    Ok(dir.load()?)
}

/// TLS for this identity towards the centre.
///
/// # Errors
/// The chain, key or CA cannot be used.
pub fn client_config(
    identity: &Identity,
    clock: Clock,
) -> Result<rustls::ClientConfig, tls::TlsError> {
    let credentials = tls::credentials(&identity.chain, &identity.key_pkcs8);
    tls::client_config(&identity.ca, Some(credentials), clock)
}

/// When to renew: a third of the certificate's remaining life before its end, seen from when it was got.
///
/// # Errors
/// The leaf is none.
pub fn renewal_due(identity: &Identity, got: Time) -> Result<Time, CertError> {
    let leaf = identity.chain.first().ok_or(CertError::Malformed)?;
    let end = cert::peer_identity(leaf)?.not_after;
    let life = end.since(got).as_micros().max(0);
    let notice = Span::from_micros((life / 3).max(LEAST_NOTICE.as_micros().min(life / 2)));
    Ok(end - notice)
}

fn check(told: &EnrolResponse, gateway: &GatewayId, point: &[u8]) -> Result<(), EnrolError> {
    let leaf = told
        .certificate_chain
        .first()
        .ok_or(EnrolError::Answer("it has no certificate"))?;
    cert::issued_by(leaf, &told.ca)
        .map_err(|_| EnrolError::Answer("its CA did not issue the certificate"))?;
    let subject = cert::peer_identity(leaf)
        .map_err(|_| EnrolError::Answer("the certificate names nobody"))?;
    if subject.role != Role::Gateway
        || subject.name != gateway.as_str()
        || told.gateway != gateway.as_str()
    {
        return Err(EnrolError::Answer("the certificate names another gateway"));
    }
    if cert::p256_point(leaf)
        .ok()
        .as_ref()
        .map(<[u8; 65]>::as_slice)
        != Some(point)
    {
        return Err(EnrolError::Answer("the certificate holds another key"));
    }
    if told.certificate_chain.iter().map(Vec::len).sum::<usize>() > LONGEST_CHAIN {
        return Err(EnrolError::Answer("its certificate chain is too long"));
    }
    if told.command_key.len() != 65 {
        return Err(EnrolError::Answer("its command key is none"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::seal::SigningKey;
    use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
    use std::sync::Arc;
    use zeroize::Zeroizing;

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        der: Vec<u8>,
    }

    fn authority() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = name("centre", "CA");
        let der = params.self_signed(&key).expect("signed").der().to_vec();
        Authority {
            issuer: Issuer::new(params, key),
            der,
        }
    }

    fn name(role: &str, common: &str) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, role);
        name.push(DnType::CommonName, common);
        name
    }

    fn answer(authority: &Authority, key: &KeyPair, role: &str, gateway: &str) -> EnrolResponse {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(role, gateway);
        params.not_after = rcgen::date_time_ymd(2027, 3, 1);
        let leaf = params.signed_by(key, &authority.issuer).expect("signed");
        EnrolResponse {
            gateway: gateway.into(),
            certificate_chain: vec![leaf.der().to_vec()],
            ca: authority.der.clone(),
            command_key: vec![4; 65],
            ..EnrolResponse::default()
        }
    }

    fn refused(told: &EnrolResponse, point: &[u8]) -> &'static str {
        let gateway = GatewayId::parse("g-1").expect("a gateway id");
        match check(told, &gateway, point) {
            Ok(()) => "nothing",
            Err(EnrolError::Answer(why)) => why,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn an_answer_must_fit_the_question() {
        let (ours, stranger) = (authority(), authority());
        let key = KeyPair::generate().expect("a key");
        let point = key.public_key_raw();
        let good = answer(&ours, &key, "gateway", "g-1");
        assert_eq!(refused(&good, point), "nothing");
        let other_key = KeyPair::generate().expect("a key");
        for (bad, word) in [
            (answer(&ours, &other_key, "gateway", "g-1"), "another key"),
            (answer(&ours, &key, "gateway", "g-2"), "another gateway"),
            (answer(&ours, &key, "operator", "g-1"), "another gateway"),
            (
                EnrolResponse {
                    ca: stranger.der.clone(),
                    ..good.clone()
                },
                "did not issue",
            ),
            (
                EnrolResponse {
                    command_key: vec![4; 64],
                    ..good.clone()
                },
                "command key",
            ),
            (EnrolResponse::default(), "no certificate"),
            (
                EnrolResponse {
                    certificate_chain: [good.certificate_chain.clone(), vec![vec![0; 3000]]]
                        .concat(),
                    ..good.clone()
                },
                "too long",
            ),
        ] {
            let why = refused(&bad, point);
            assert!(why.contains(word), "{word}: {why}");
        }
    }

    #[test]
    fn renewal_is_due_a_third_before_the_end() {
        let ours = authority();
        let key = KeyPair::generate().expect("a key");
        let told = answer(&ours, &key, "gateway", "g-1");
        let leaf = told.certificate_chain[0].clone();
        let end = cert::peer_identity(&leaf).expect("a certificate").not_after;
        let identity = Identity {
            gateway: GatewayId::parse("g-1").expect("a gateway id"),
            key: Arc::new(SigningKey::from_pkcs8(&key.serialize_der()).expect("a key")),
            key_pkcs8: Zeroizing::new(key.serialize_der()),
            chain: told.certificate_chain,
            ca: told.ca,
            command_key: [4; 65],
            grpc_address: String::new(),
            mqtt_address: String::new(),
        };
        let due = |life: Span| renewal_due(&identity, end - life).expect("a certificate");
        let day = Span::from_mins(24 * 60);
        assert_eq!(end.since(due(day)), Span::from_mins(8 * 60));
        // Short lives keep ten minutes, or half of what there is.
        assert_eq!(end.since(due(Span::from_mins(24))), LEAST_NOTICE);
        assert_eq!(end.since(due(Span::from_mins(10))), Span::from_mins(5));
        // One that ran out long ago is due at once.
        assert!(renewal_due(&identity, end + day).expect("a certificate") <= end + day);
    }
}
