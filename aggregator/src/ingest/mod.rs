//! Ingest: what gateways say, whichever door it came by, until it lies in the journal and is receipted.
//!
//! `mqtt/` and `grpc.rs` are the doors: they know who speaks (from the verified certificate) and carry messages.
//! This core decides: a context is admitted for its signed header (`context.rs`), a batch for its tag
//! (`batch.rs`); both become entries of the journal, and only then the gateway is answered. `command.rs` signs
//! what gateways must obey. What a person carried here in a file comes in by `import.rs`.
//!
//! Invariants: what does not open is never journaled nor receipted; a receipt names only what is durable; one
//! gateway's messages are handled one after the other, and its work is bounded before any public-key operation,
//! so that it delays itself only: what it may send is a budget (`budget.rs`), and opening is done in turns (`turns.rs`),
//! in which a centre that cannot keep up takes alerts before vitals and vitals before waveforms. Must not know: MQTT, gRPC, TLS, twins.

mod batch;
mod budget;
mod command;
mod context;
pub mod enrol;
pub mod grpc;
mod health;
mod import;
mod late;
pub mod mqtt;
mod pieces;
mod queue;
mod room;
mod sessions;
mod turns;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use proto::clock::Clock;
use proto::seal::SigningKey;
use proto::v1::{
    CentreToGateway, Command, GatewayToCentre, Hello, PieceTaken, RecordPiece, Refusal,
    RefusalReason, SealedBatches, SignedCommand, centre_to_gateway, gateway_to_centre,
};
use vitals::{ContextId, GatewayId};

use crate::counters::{Counters, Refused};
use crate::journal::{Journal, JournalError};
use crate::registry::Books;
use crate::traces::{Fact, Name, Step};
use budget::{Budget, Sent};
use pieces::{Piece, Pieces};
use queue::Queue;

pub use budget::Flow;
pub use late::Late;
pub use room::{Room, free_bytes};
pub use sessions::{Seen, Session, Sessions};

/// Messages that a door hands over at once, at most.
pub const GROUP: usize = 64;
/// Characters of what a gateway says of its settings.
const LONGEST_DETAIL: usize = 300;
/// Bytes of messages that a door hands over at once, roughly: bounds memory per connection.
pub const GROUP_BYTES: usize = 256 * 1024;

/// What ingest works with.
#[derive(Debug)]
pub struct Parts {
    /// Registry and keys.
    pub books: Arc<Books>,
    /// Where entries go.
    pub journal: Journal,
    /// Signs commands.
    pub command_key: SigningKey,
    /// The centre's CA, DER.
    pub ca: Vec<u8>,
    /// The one clock.
    pub clock: Clock,
    /// Where refusals are counted.
    pub counters: Arc<Counters>,
    /// What each gateway may send.
    pub flow: Flow,
    /// The journal's disk.
    pub room: Arc<Room>,
    /// Twins that are not up to date.
    pub late: Late,
}

/// The core behind both doors.
#[derive(Debug)]
pub struct Ingest {
    parts: Parts,
    sessions: Arc<Sessions>,
    queue: Queue,
    gateways: Mutex<HashMap<GatewayId, Arc<tokio::sync::Mutex<Desk>>>>,
    /// Commands signed before, by gateway and number: as many as a gateway has open.
    signed: Mutex<HashMap<GatewayId, BTreeMap<u64, SignedCommand>>>,
}

/// How many of them refuse something.
fn refusals(replies: &Replies) -> usize {
    let refusal = |message: &&CentreToGateway| {
        matches!(message.kind, Some(centre_to_gateway::Kind::Refusal(_)))
    };
    replies.messages.iter().filter(refusal).count()
}

/// What ingest remembers of one gateway between messages.
#[derive(Debug, Default)]
struct Desk {
    budget: Budget,
    sent: Sent,
    pieces: Pieces,
    /// How often a batch of an admitted context did not open.
    forged: HashMap<(ContextId, u64), u32>,
}

/// What a door sends back, and what it must know.
#[derive(Debug, Default)]
pub struct Replies {
    /// To send, in order.
    pub messages: Vec<CentreToGateway>,
    /// The highest command number that the gateway has or is being sent; `None` until it said hello.
    pub commands_after: Option<u64>,
}

impl Ingest {
    /// Over its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            sessions: Arc::default(),
            queue: Queue::default(),
            gateways: Mutex::default(),
            signed: Mutex::default(),
        }
    }

    /// Who is connected.
    #[must_use]
    pub const fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// What it works with.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Handles messages of one connection, in order, and returns when what they brought is durable or refused.
    pub async fn handle(&self, session: &Session, messages: Vec<GatewayToCentre>) -> Replies {
        let gateway = session.gateway();
        let mut step = Step::first(Name::Message);
        step.note(Fact::Transport(session.transport().as_str()));
        step.note(Fact::Records(messages.len()));
        session.saw(self.parts.clock.now());
        let desk = self.desk(gateway);
        let mut desk = desk.lock().await;
        let mut replies = Replies::default();
        let mut records = Vec::new();
        for message in messages {
            let Some(kind) = message.kind else {
                self.refuse(
                    &mut replies,
                    None,
                    RefusalReason::Malformed,
                    "a message without content",
                );
                continue;
            };
            match kind {
                gateway_to_centre::Kind::Batches(SealedBatches { records: more }) => {
                    records.extend(more);
                }
                gateway_to_centre::Kind::Piece(piece) => {
                    records.extend(self.piece(session, &mut desk, &piece, &mut replies));
                }
                gateway_to_centre::Kind::OpenContext(open) => {
                    self.take(
                        session,
                        &mut desk,
                        std::mem::take(&mut records),
                        &mut replies,
                        step.trace(),
                    )
                    .await;
                    self.admit(gateway, &mut desk, &open, &mut replies).await;
                }
                gateway_to_centre::Kind::Hello(hello) => {
                    self.hello(session, &mut desk, hello, &mut replies);
                }
            }
        }
        self.take(session, &mut desk, records, &mut replies, step.trace())
            .await;
        step.note(Fact::Refused(refusals(&replies)));
        replies
    }

    /// A piece of a record; the record once it is whole.
    fn piece(
        &self,
        session: &Session,
        desk: &mut Desk,
        piece: &RecordPiece,
        replies: &mut Replies,
    ) -> Option<Vec<u8>> {
        match desk.pieces.take(session.id(), piece) {
            Piece::Whole(record) => return Some(record),
            Piece::Held(held) => replies.messages.push(CentreToGateway {
                kind: Some(centre_to_gateway::Kind::PieceTaken(PieceTaken { held })),
            }),
            Piece::OutOfPlace => {
                let detail = "a piece that continues nothing: send the record anew";
                self.refuse(replies, None, RefusalReason::Malformed, detail);
            }
            Piece::TooLarge => {
                let detail = "a record has at most 4096 bytes";
                self.refuse(replies, None, RefusalReason::TooLarge, detail);
            }
        }
        None
    }

    fn hello(&self, session: &Session, desk: &mut Desk, hello: Hello, replies: &mut Replies) {
        let gateway = session.gateway();
        if !desk.budget.hello(self.parts.clock.moment()) {
            let detail = "too many hellos: try again later";
            return self.refuse(replies, None, RefusalReason::Busy, detail);
        }
        let version = proto::wire::sanitise(&hello.agent_version);
        tracing::info!(%gateway, agent = %version, "gateway said hello");
        let configuration = hello.configuration.map(|mut report| {
            report.detail = proto::wire::clean(&report.detail, LONGEST_DETAIL);
            report
        });
        session.told(version, configuration, hello.health.map(health::bounded));
        let (commands, after) = self.commands(gateway, hello.command_number);
        replies
            .messages
            .extend(commands.into_iter().map(command_message));
        replies.commands_after = Some(after);
    }

    /// Commands for a gateway with a number above `after`, in order, and the highest number among them and
    /// `after`.
    #[must_use]
    pub fn commands(&self, gateway: &GatewayId, after: u64) -> (Vec<SignedCommand>, u64) {
        let commands = command::newer(&self.parts.books, gateway, after);
        let highest = commands.last().map_or(after, |command| command.number);
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = signed.entry(gateway.clone()).or_default();
        // Asked from further back is asked for all; what is no longer among them is not asked for again.
        let first = commands.first().map_or(u64::MAX, |command| command.number);
        let open: Vec<u64> = commands.iter().map(|command| command.number).collect();
        signed.retain(|number, _| *number < first || open.binary_search(number).is_ok());
        while signed.len() > command::MOST {
            signed.pop_first();
        }
        let sign = |command: Command| {
            let number = command.number;
            let sign = || proto::seal::command::sign(&self.parts.command_key, &command);
            signed.entry(number).or_insert_with(sign).clone()
        };
        (commands.into_iter().map(sign).collect(), highest)
    }

    /// Whether the gateway may still write.
    #[must_use]
    pub fn may_write(&self, gateway: &GatewayId) -> bool {
        self.parts.books.registry().may_write(gateway)
    }

    /// The refusal for a message that does not even decode; counted.
    #[must_use]
    pub fn malformed(&self, detail: &str) -> CentreToGateway {
        let mut replies = Replies::default();
        self.refuse(&mut replies, None, RefusalReason::Malformed, detail);
        replies.messages.remove(0)
    }

    fn desk(&self, gateway: &GatewayId) -> Arc<tokio::sync::Mutex<Desk>> {
        // Bounded: only gateways with a certificate of ours come here.
        let mut desks = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(desks.entry(gateway.clone()).or_default())
    }

    fn refuse(
        &self,
        replies: &mut Replies,
        batch: Option<(ContextId, u64)>,
        reason: RefusalReason,
        detail: &str,
    ) {
        self.parts.counters.refuse(counted_as(reason));
        let (context, number) = batch.map_or((Vec::new(), 0), |(context, number)| {
            (context.0.to_vec(), number)
        });
        let refusal = Refusal {
            context,
            number,
            reason: reason.into(),
            detail: detail.into(),
        };
        replies.messages.push(CentreToGateway {
            kind: Some(centre_to_gateway::Kind::Refusal(refusal)),
        });
    }

    fn refuse_stopped(&self, replies: &mut Replies, error: &JournalError) {
        tracing::warn!(%error, "gateway refused: the store does not take entries");
        self.refuse(
            replies,
            None,
            RefusalReason::StoreStopped,
            "the centre cannot write now; keep the data",
        );
    }
}

/// A command as a message.
#[must_use]
pub fn command_message(command: SignedCommand) -> CentreToGateway {
    CentreToGateway {
        kind: Some(centre_to_gateway::Kind::Command(command)),
    }
}

const fn counted_as(reason: RefusalReason) -> Refused {
    match reason {
        RefusalReason::Unspecified | RefusalReason::Malformed => Refused::Malformed,
        RefusalReason::TooLarge => Refused::TooLarge,
        RefusalReason::UnknownContext => Refused::UnknownContext,
        RefusalReason::HeaderInvalid => Refused::HeaderInvalid,
        RefusalReason::NotAssigned => Refused::NotAssigned,
        RefusalReason::Forged => Refused::Forged,
        RefusalReason::Revoked => Refused::Revoked,
        RefusalReason::StoreStopped => Refused::StoreStopped,
        RefusalReason::Frozen => Refused::Frozen,
        RefusalReason::Overloaded => Refused::Overloaded,
        RefusalReason::Busy => Refused::Busy,
    }
}

#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;
