//! Enrolment: a one-time token and a certificate request become a gateway; a certificate becomes a fresh one, also
//! for a grace after its end.
//!
//! Invariants: a token is spent exactly once, by the entry that enrols its gateway (so a crash between has either
//! happened or not); a wrong token is told from an expired one only by its holder; names in a request are ignored;
//! who renews proves that he holds the enrolled key, and nothing is spent or journaled before that.
//! Must not know: gRPC, TLS.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use proto::cert::{self, Role};
use proto::clock::Clock;
use proto::seal::crypto;
use proto::token::EnrolmentToken;
use vitals::{GatewayId, Span, Time};

use super::budget::Renewals;
use crate::ca::{Authority, CaError, Issued};
use crate::counters::{Counters, Refused};
use crate::journal::{Entry, Journal, JournalError};
use crate::registry::Books;

const HOUR: Span = Span::from_mins(60);
const DAY: Span = Span::from_mins(24 * 60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token does not hold, or was spent, or has run out. One text for all, so that nobody can probe.
    #[error("the enrolment token is not valid (any more): ask the operator for a new one")]
    Token,
    /// The request is no good.
    #[error(transparent)]
    Request(CaError),
    /// The gateway was revoked or never enrolled.
    #[error("this gateway was revoked: enrol it again with a new token")]
    Revoked,
    /// The certificate shown is not of a gateway of this centre, or the request is for another key.
    #[error(
        "the request is not signed by the key of a gateway of this centre: enrol it again with a new token"
    )]
    Holder,
    /// It was away for longer than the grace.
    #[error(
        "the gateway's certificate ended {0} days ago, which is too long: enrol it again with a new token"
    )]
    TooOld(i64),
    /// Over the gateway's budget.
    #[error("too many certificates for this gateway: try again later")]
    Busy,
    /// The store stopped.
    #[error("the centre cannot write now: try again later")]
    Store(#[source] JournalError),
}

/// The enrolment desk.
#[derive(Debug)]
pub struct Enrolment {
    books: Arc<Books>,
    journal: Journal,
    authority: Arc<Authority>,
    clock: Clock,
    counters: Arc<Counters>,
    /// One at a time: what makes a token single-use.
    spending: tokio::sync::Mutex<()>,
    renewals: Mutex<HashMap<GatewayId, Renewals>>,
    /// How long after its end a certificate is still good for a fresh one, and for nothing else.
    grace: Span,
}

impl Enrolment {
    /// Over its parts.
    #[must_use]
    pub fn new(
        books: Arc<Books>,
        journal: Journal,
        authority: Arc<Authority>,
        clock: Clock,
        counters: Arc<Counters>,
        grace: Span,
    ) -> Self {
        Self {
            books,
            journal,
            authority,
            clock,
            counters,
            spending: tokio::sync::Mutex::default(),
            renewals: Mutex::default(),
            grace,
        }
    }

    /// Spends a token for a certificate. Nothing is spent on an error.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn enrol(&self, token: &str, csr: &[u8]) -> Result<(GatewayId, Issued), EnrolError> {
        let token = EnrolmentToken::parse(token).map_err(|_| self.refused(EnrolError::Token))?;
        let gateway = token.gateway.clone();
        let _one = self.spending.lock().await;
        if !self.holds(&token) {
            return Err(self.refused(EnrolError::Token));
        }
        let issued = self.issue(&gateway, csr)?;
        let entry = Entry::GatewayEnrolled {
            gateway: gateway.clone(),
            serial: issued.serial.clone(),
            not_after: issued.not_after,
        };
        self.journal
            .append(vec![entry.into()])
            .await
            .map_err(EnrolError::Store)?;
        tracing::info!(%gateway, "gateway enrolled");
        Ok((gateway, issued))
    }

    /// A fresh certificate for the gateway that holds the key of `certificate`, its last one: `csr` is signed by
    /// that key.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn renew(
        &self,
        certificate: &[u8],
        csr: &[u8],
    ) -> Result<(GatewayId, Issued), EnrolError> {
        let (gateway, ended) = self.holder(certificate, csr)?;
        let gateway = &gateway;
        if !self.books.registry().may_write(gateway) {
            return Err(self.refused(EnrolError::Revoked));
        }
        let away = self.clock.now().since(ended);
        if away > self.grace {
            let days = away.as_micros() / DAY.as_micros();
            return Err(self.refused(EnrolError::TooOld(days)));
        }
        if !self.may_renew(gateway) {
            return Err(self.refused(EnrolError::Busy));
        }
        let issued = self.issue(gateway, csr)?;
        let entry = Entry::CertificateIssued {
            gateway: gateway.clone(),
            serial: issued.serial.clone(),
            not_after: issued.not_after,
        };
        self.journal
            .append(vec![entry.into()])
            .await
            .map_err(EnrolError::Store)?;
        if away > Span::ZERO {
            tracing::info!(%gateway, away_h = away.as_micros() / HOUR.as_micros(), "gateway came back with a certificate that had ended");
        }
        Ok((gateway.clone(), issued))
    }

    /// Whose key signed the request, and when the certificate that says so ended or will end.
    fn holder(&self, certificate: &[u8], csr: &[u8]) -> Result<(GatewayId, Time), EnrolError> {
        let key = Authority::requested_key(csr)
            .map_err(|error| self.refused(EnrolError::Request(error)))?;
        let found = || {
            cert::issued_by(certificate, self.authority.ca()).ok()?;
            let identity = cert::peer_identity(certificate).ok()?;
            let same = cert::p256_point(certificate).ok()?.as_slice() == key;
            let gateway = GatewayId::parse(&identity.name)?;
            (same && identity.role == Role::Gateway).then_some((gateway, identity.not_after))
        };
        found().ok_or_else(|| self.refused(EnrolError::Holder))
    }

    /// The authority behind it.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    fn may_renew(&self, gateway: &GatewayId) -> bool {
        // Bounded: only gateways that hold an enrolled key come here.
        let mut renewals = self.renewals.lock().unwrap_or_else(PoisonError::into_inner);
        renewals
            .entry(gateway.clone())
            .or_default()
            .spend(Instant::now())
    }

    fn holds(&self, token: &EnrolmentToken) -> bool {
        let registry = self.books.registry();
        let known = registry
            .gateway(&token.gateway)
            .filter(|gateway| !gateway.revoked);
        known
            .and_then(|gateway| gateway.token.as_ref())
            .is_some_and(|kept| {
                crypto::equal(&kept.hash, &token.secret_sha256()) && self.clock.now() < kept.expires
            })
    }

    fn issue(&self, gateway: &GatewayId, csr: &[u8]) -> Result<Issued, EnrolError> {
        self.authority
            .gateway(gateway, csr)
            .map_err(|error| self.refused(EnrolError::Request(error)))
    }

    fn refused(&self, error: EnrolError) -> EnrolError {
        self.counters.refuse(match &error {
            EnrolError::Token => Refused::Token,
            EnrolError::Request(_) => Refused::Request,
            EnrolError::Holder => Refused::Holder,
            EnrolError::TooOld(_) => Refused::TooOld,
            EnrolError::Revoked => Refused::Revoked,
            EnrolError::Busy => Refused::Busy,
            EnrolError::Store(_) => Refused::StoreStopped,
        });
        error
    }
}
