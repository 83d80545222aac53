//! Enrolment: a one-time token and a certificate request become a gateway; a certificate becomes a fresh one.
//!
//! Invariants: a token is spent exactly once, by the entry that enrols its gateway (so a crash between has either
//! happened or not); a wrong token is told from an expired one only by its holder; names in a request are ignored.
//! Must not know: gRPC, TLS.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use proto::clock::Clock;
use proto::seal::crypto;
use proto::token::EnrolmentToken;
use vitals::GatewayId;

use super::budget::Renewals;
use crate::ca::{Authority, CaError, Issued};
use crate::counters::{Counters, Refused};
use crate::journal::{Entry, Journal, JournalError};
use crate::registry::Books;

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
    ) -> Self {
        Self {
            books,
            journal,
            authority,
            clock,
            counters,
            spending: tokio::sync::Mutex::default(),
            renewals: Mutex::default(),
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

    /// A fresh certificate for a gateway that proved itself with its present one.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn renew(&self, gateway: &GatewayId, csr: &[u8]) -> Result<Issued, EnrolError> {
        if !self.books.registry().may_write(gateway) {
            return Err(self.refused(EnrolError::Revoked));
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
        Ok(issued)
    }

    /// The authority behind it.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    fn may_renew(&self, gateway: &GatewayId) -> bool {
        // Bounded: only gateways with a certificate of ours come here.
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
            EnrolError::Revoked => Refused::Revoked,
            EnrolError::Busy => Refused::Busy,
            EnrolError::Store(_) => Refused::StoreStopped,
        });
        error
    }
}
