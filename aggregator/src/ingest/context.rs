//! Admission of contexts: the header's signature, its gateway, its stream, its key.
//!
//! Invariants: admitted is what the gateway's enrolled key signed, for a stream that is assigned to it, under a key
//! of that patient; certificate dates are not asked, because backlog outlives certificates, revocation is. An
//! admission is an entry of the journal before it is answered. Must not know: batches.

use std::time::Instant;

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
    ) -> Result<Judged, (Option<ContextId>, RefusalReason, &'static str)> {
        use RefusalReason as Reason;
        let parsed = proto::seal::parse_header(&open.header).map_err(|error| match error {
            SealError::UnsupportedVersion { .. } | SealError::UnsupportedSuite { .. } => (
                None,
                Reason::HeaderInvalid,
                "header version or suite is newer than this centre: update it",
            ),
            SealError::Malformed { .. }
            | SealError::Checksum
            | SealError::Forged
            | SealError::OtherGateway
            | SealError::TooLarge { .. }
            | SealError::NumberUsed { .. }
            | SealError::BadKey => (None, Reason::Malformed, "the header does not parse"),
        })?;
        let context = Some(parsed.context);
        let refuse = |reason, detail| Err((context, reason, detail));
        if parsed.gateway != *gateway {
            return refuse(
                Reason::HeaderInvalid,
                "the header names another gateway than the certificate",
            );
        }
        {
            let registry = self.parts.books.registry();
            if !registry.may_write(gateway) {
                return refuse(Reason::Revoked, "the gateway was revoked: enrol it again");
            }
            let Some(stream) = registry
                .stream(parsed.stream)
                .filter(|of| of.gateway == *gateway)
            else {
                return refuse(
                    Reason::NotAssigned,
                    "the stream is not assigned to this gateway",
                );
            };
            if stream.frozen {
                return refuse(
                    Reason::Frozen,
                    "the stream is frozen: enrol the gateway again",
                );
            }
            let key = |patient| registry.patient(patient).map(|of| of.keys.as_slice());
            let keys = key(&stream.patient).unwrap_or_default();
            if !keys.iter().any(|(id, _)| *id == parsed.key_id) {
                return refuse(
                    Reason::HeaderInvalid,
                    "the header names a key that is not the patient's",
                );
            }
            match registry.context(parsed.context) {
                // Sent again after a reconnection: verified when it was admitted.
                Some(known) if *known.header == *open.header => {
                    return Ok(Judged::Known(parsed.context));
                }
                Some(_) => {
                    return refuse(Reason::HeaderInvalid, "another header has this context id");
                }
                None => {}
            }
        }
        if !desk.budget.context(Instant::now()) {
            return refuse(Reason::Busy, "too many contexts: try again later");
        }
        let chain = &open.certificate_chain;
        let Some(leaf) = chain.first() else {
            return refuse(Reason::HeaderInvalid, "the certificate chain is empty");
        };
        if chain.len() > CHAIN || chain.iter().any(|cert| cert.len() > CERTIFICATE) {
            return refuse(Reason::TooLarge, "the certificate chain is too long");
        }
        if proto::cert::issued_by(leaf, &self.parts.ca).is_err() {
            return refuse(
                Reason::HeaderInvalid,
                "the certificate is not of this centre",
            );
        }
        verify_header(&open.header, leaf)
            .map(|header| Judged::New(Box::new(header)))
            .map_err(|_| {
                (
                    context,
                    Reason::HeaderInvalid,
                    "the header's signature does not hold",
                )
            })
    }
}

fn admitted(context: ContextId, replies: &mut Replies) {
    let admitted = v1::ContextAdmitted {
        context: context.0.to_vec(),
    };
    let kind = Some(centre_to_gateway::Kind::ContextAdmitted(admitted));
    replies.messages.push(CentreToGateway { kind });
}
