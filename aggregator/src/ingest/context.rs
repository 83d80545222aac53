//! Admission of contexts: the header's signature, its gateway, its stream, its key.
//!
//! Invariants: admitted is what the gateway's enrolled key signed, for a stream that is assigned to it, under a key
//! of that patient; certificate dates are not asked, because backlog outlives certificates, revocation is. An
//! admission is an entry of the journal before it is answered. Must not know: batches.

use proto::seal::{ContextHeader, SealError, verify_header};
use proto::v1::{self, CentreToGateway, OpenContext, RefusalReason, centre_to_gateway};
use vitals::{ContextId, GatewayId};

use super::{Desk, Ingest, Replies};
use crate::counters::Refused;
use crate::journal::Entry;

/// Certificates in a chain, at most: leaf, CA, and one spare.
const CHAIN: usize = 3;
/// Bytes of one certificate, at most; ours have about 500.
const CERTIFICATE: usize = 4096;

/// Why a context is refused, for the gateway and for people.
type Why = (RefusalReason, &'static str);
/// The same with the context, where the header says which.
type Refusal = (Option<ContextId>, RefusalReason, &'static str);

/// A header that holds.
enum Judged {
    Known(ContextId),
    New(Box<ContextHeader>),
}

impl Ingest {
    /// Admits a context or refuses it.
    pub(super) async fn admit(
        &self,
        gateway: &GatewayId,
        desk: &mut Desk,
        open: &OpenContext,
        replies: &mut Replies,
    ) {
        let header = match self.judge_context(gateway, desk, open) {
            Ok(Judged::Known(context)) => return admitted(context, replies),
            Ok(Judged::New(header)) => header,
            Err((context, reason, detail)) => {
                return self.refuse(replies, context.map(|context| (context, 0)), reason, detail);
            }
        };
        let context = header.context;
        let predecessor = header.predecessor.map(|before| before.context);
        let forked = self
            .parts
            .books
            .registry()
            .would_fork(header.stream, predecessor);
        let entry = Entry::ContextAdmitted {
            gateway: gateway.clone(),
            header: open.header.clone(),
            chain: open.certificate_chain.clone(),
            forked,
        };
        if let Err(error) = self.parts.journal.append(vec![entry.into()]).await {
            return self.refuse_stopped(replies, &error);
        }
        if forked {
            self.parts.counters.refuse(Refused::Forked);
            tracing::warn!(%gateway, %context, "second successor of one context: rollback, clone or lost state");
        }
        admitted(context, replies);
    }

    fn judge_context(
        &self,
        gateway: &GatewayId,
        desk: &mut Desk,
        open: &OpenContext,
    ) -> Result<Judged, Refusal> {
        let parsed = proto::seal::parse_header(&open.header).map_err(|error| {
            let (reason, detail) = unreadable(&error);
            (None, reason, detail)
        })?;
        let context = parsed.context;
        let refusal = |(reason, detail)| (Some(context), reason, detail);
        if self.may_open(gateway, &parsed, open).map_err(refusal)? {
            return Ok(Judged::Known(context));
        }
        if !desk.budget.context(self.parts.clock.moment()) {
            return Err(refusal((
                RefusalReason::Busy,
                "too many contexts: try again later",
            )));
        }
        self.signed(open)
            .map(|header| Judged::New(Box::new(header)))
            .map_err(refusal)
    }

    /// What the registry says, before any public-key work: true if this very header was admitted already.
    fn may_open(
        &self,
        gateway: &GatewayId,
        parsed: &ContextHeader,
        open: &OpenContext,
    ) -> Result<bool, Why> {
        use RefusalReason as Reason;
        if parsed.gateway != *gateway {
            return Err((
                Reason::HeaderInvalid,
                "the header names another gateway than the certificate",
            ));
        }
        let registry = self.parts.books.registry();
        if !registry.may_write(gateway) {
            return Err((Reason::Revoked, "the gateway was revoked: enrol it again"));
        }
        let Some(stream) = registry
            .stream(parsed.stream)
            .filter(|of| of.gateway == *gateway)
        else {
            return Err((
                Reason::NotAssigned,
                "the stream is not assigned to this gateway",
            ));
        };
        if stream.frozen {
            return Err((
                Reason::Frozen,
                "the stream is frozen: enrol the gateway again",
            ));
        }
        let patient = registry.patient(&stream.patient);
        if !patient.is_some_and(|of| of.keys.iter().any(|(id, _)| *id == parsed.key_id)) {
            return Err((
                Reason::HeaderInvalid,
                "the header names a key that is not the patient's",
            ));
        }
        match registry.context(parsed.context) {
            // Sent again after a reconnection: verified when it was admitted.
            Some(known) if *known.header == *open.header => Ok(true),
            Some(_) => Err((Reason::HeaderInvalid, "another header has this context id")),
            None => Ok(false),
        }
    }

    /// The header, if a certificate of this centre signed it.
    fn signed(&self, open: &OpenContext) -> Result<ContextHeader, Why> {
        use RefusalReason as Reason;
        let chain = &open.certificate_chain;
        let Some(leaf) = chain.first() else {
            return Err((Reason::HeaderInvalid, "the certificate chain is empty"));
        };
        if chain.len() > CHAIN || chain.iter().any(|cert| cert.len() > CERTIFICATE) {
            return Err((Reason::TooLarge, "the certificate chain is too long"));
        }
        if proto::cert::issued_by(leaf, &self.parts.ca).is_err() {
            return Err((
                Reason::HeaderInvalid,
                "the certificate is not of this centre",
            ));
        }
        verify_header(&open.header, leaf).map_err(|_| {
            (
                Reason::HeaderInvalid,
                "the header's signature does not hold",
            )
        })
    }
}

/// Why octets are no header of ours.
fn unreadable(error: &SealError) -> Why {
    match error {
        SealError::UnsupportedVersion { .. } | SealError::UnsupportedSuite { .. } => (
            RefusalReason::HeaderInvalid,
            "header version or suite is newer than this centre: update it",
        ),
        SealError::Malformed { .. }
        | SealError::Checksum
        | SealError::Forged
        | SealError::OtherGateway
        | SealError::TooLarge { .. }
        | SealError::NumberUsed { .. }
        | SealError::BadKey => (RefusalReason::Malformed, "the header does not parse"),
    }
}

fn admitted(context: ContextId, replies: &mut Replies) {
    let admitted = v1::ContextAdmitted {
        context: context.0.to_vec(),
    };
    let kind = Some(centre_to_gateway::Kind::ContextAdmitted(admitted));
    replies.messages.push(CentreToGateway { kind });
}
