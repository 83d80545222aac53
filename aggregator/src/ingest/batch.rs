//! Batches: verified by their tag, journaled once, receipted whenever they come.
//!
//! Invariants: a record is opened before it is journaled, and receipted after it is durable. A number of a context
//! that lies in the journal is receipted again and not journaled again; its tag proves that the bytes are the
//! same, since a context's key seals a number once. Must not know: what is inside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use proto::seal::receipt::{self, Range};
use proto::seal::{MAX_RECORD, SealError, Stub, parse_stub, tag_of};
use proto::v1::{CentreToGateway, RefusalReason, centre_to_gateway};
use vitals::{ContextId, GatewayId, StreamId};

use super::queue::Turn;
use super::turns::{Class, SLICE};
use super::{Desk, Ingest, Replies, Session};
use crate::counters::Refused;
use crate::journal::{Draft, Entry, Opened};
use crate::stages::{Lap, Stage};
use crate::traces::{Fact, Name, Trace};

/// A batch that did not open this often is ordered to be set aside: damage on the way heals when it is sent
/// again, a bad record does not.
const FORGED_BEFORE_SET_ASIDE: u32 = 3;
/// Batches that did not open and are remembered per gateway; beyond it all are forgotten and counted anew.
const FORGED_REMEMBERED: usize = 1024;

/// Names a batch.
type Batch = (ContextId, u64);
/// What to receipt: tag by number, by context.
type Tags = BTreeMap<ContextId, BTreeMap<u64, [u8; 16]>>;

/// Why a record is not taken.
enum NotTaken {
    Refused(Option<Batch>, RefusalReason, &'static str),
    /// The tag does not hold.
    Forged(Batch),
    /// Verified, and proof that the stream has two live contexts.
    Cloned(StreamId, Batch),
}

/// Verified; `draft` is `None` when it lies in the journal already.
struct Taken {
    batch: Batch,
    /// As its clear stub says.
    source: (StreamId, u32),
    tag: [u8; 16],
    draft: Option<Draft>,
}

impl Ingest {
    /// Journals what is new, receipts what is durable, refuses the rest.
    pub(super) async fn take(
        &self,
        session: &Session,
        desk: &mut Desk,
        records: Vec<Vec<u8>>,
        replies: &mut Replies,
        trace: Trace,
    ) {
        if records.is_empty() {
            return;
        }
        if let Some(lacking) = self.parts.room.lacking() {
            tracing::warn!(lacking, "gateway refused");
            self.parts.counters.refuse(Refused::DiskLow);
            let detail = "the centre's disk is nearly full; keep the data";
            return self.refuse(replies, None, RefusalReason::Busy, detail);
        }
        if self.parts.late.is_too_late() {
            self.parts.counters.refuse(Refused::NotCurrent);
            let detail = "the centre brings its twins up to date; keep the data";
            return self.refuse(replies, None, RefusalReason::Busy, detail);
        }
        let bytes: usize = records.iter().map(Vec::len).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let wait = desk
            .sent
            .note(self.parts.flow, bytes, self.parts.clock.moment());
        if !wait.is_zero() {
            // It holds its own connection only; what it sends meanwhile stays in its own buffers.
            self.parts.counters.refuse(Refused::Delayed);
            tokio::time::sleep(wait).await;
        }
        let gateway = session.gateway();
        let mut judging = trace.step(Name::Judge);
        judging.note(Fact::Records(records.len()));
        let mut drafts = Vec::new();
        let mut readings = 0;
        let mut tags = Tags::new();
        let mut sources = BTreeSet::new();
        let mut pending = BTreeSet::new();
        let mut hopeless: BTreeMap<ContextId, Vec<u64>> = BTreeMap::new();
        let mut turn: Option<(Class, usize, Turn<'_>)> = None;
        for record in by_class(records) {
            let class = class_of(&record);
            let is_mine = |(of, left, _): &&mut (Class, usize, _)| *of == class && *left > 0;
            if let Some((_, left, _)) = turn.as_mut().filter(is_mine) {
                *left -= 1;
            } else {
                // Given on before the next one is asked for.
                drop(turn.take());
                let now = self.parts.clock.moment();
                let mine = self.queue.turn(gateway, (class, SLICE as u64), now).await;
                turn = Some((class, SLICE - 1, mine));
            }
            if self.queue.sheds(class, self.parts.clock.moment()) {
                self.shed(class, &record, replies);
                continue;
            }
            match self.judge(gateway, desk, &pending, record) {
                Ok(Taken {
                    batch,
                    source,
                    tag,
                    draft,
                }) => {
                    sources.insert(source);
                    tags.entry(batch.0).or_default().insert(batch.1, tag);
                    pending.insert(batch);
                    readings += draft.as_ref().map_or(0, readings_of);
                    drafts.extend(draft.map(|draft| Draft { trace, ..draft }));
                }
                Err(NotTaken::Refused(batch, reason, detail)) => {
                    self.refuse(replies, batch, reason, detail);
                }
                Err(NotTaken::Forged(batch)) => {
                    self.refuse(
                        replies,
                        Some(batch),
                        RefusalReason::Forged,
                        "the tag does not verify",
                    );
                    if forged_too_often(desk, batch, self.parts.clock.moment()) {
                        hopeless.entry(batch.0).or_default().push(batch.1);
                    }
                }
                Err(NotTaken::Cloned(stream, batch)) => {
                    self.freeze(gateway, stream, batch, replies).await;
                }
            }
        }
        drop(turn);
        judging.note(Fact::New(drafts.len()));
        drop(judging);
        drafts.extend(hopeless.into_iter().map(|(context, numbers)| {
            Draft::from(Entry::SetAside {
                gateway: gateway.clone(),
                context,
                numbers,
            })
        }));
        if !drafts.is_empty() {
            let _until_answered = trace.traced(Name::Append);
            if let Err(error) = self.parts.journal.append(drafts).await {
                return self.refuse_stopped(replies, &error);
            }
            self.parts.counters.receipted(session.transport(), readings);
        }
        if !tags.is_empty() {
            session.receipted(self.parts.clock.now(), sources.into_iter());
        }
        self.receipt(&tags, replies);
    }

    /// The gateway keeps it, and sends it again.
    fn shed(&self, class: Class, record: &[u8], replies: &mut Replies) {
        let reason = match class {
            Class::Waveforms => Refused::ShedWaveforms,
            Class::Vitals | Class::Alerts => Refused::ShedVitals,
        };
        self.parts.counters.refuse(reason);
        let batch = parse_stub(record)
            .ok()
            .map(|stub| (stub.context, stub.number));
        let detail = "more than the centre can take now; keep the data";
        self.refuse(replies, batch, RefusalReason::Overloaded, detail);
    }

    fn judge(
        &self,
        gateway: &GatewayId,
        desk: &mut Desk,
        pending: &BTreeSet<Batch>,
        record: Vec<u8>,
    ) -> Result<Taken, NotTaken> {
        let refused = |batch, reason, detail| Err(NotTaken::Refused(batch, reason, detail));
        if record.len() > MAX_RECORD {
            return refused(
                None,
                RefusalReason::TooLarge,
                "a record has at most 4096 bytes",
            );
        }
        let mut lap = Lap::sample();
        let stub = parse_stub(&record).map_err(|error| unreadable(&error))?;
        let tag = tag_of(&record).map_err(|error| unreadable(&error))?;
        let batch = (stub.context, stub.number);
        let source = (stub.stream, u32::from(stub.source));
        let known = self
            .known(gateway, &stub)
            .map_err(|(reason, detail)| NotTaken::Refused(Some(batch), reason, detail))?;
        if !self.parts.books.has_opener(stub.context)
            && !desk.budget.opener(self.parts.clock.moment())
        {
            let detail = "too many contexts at once: try again later";
            return refused(Some(batch), RefusalReason::Busy, detail);
        }
        lap.end(Stage::Admit);
        let opened = self.parts.books.open(stub.context, &record);
        lap.end(Stage::Open);
        let opened = match opened {
            Some(Ok(opened)) => opened,
            Some(Err(SealError::Forged)) => return Err(NotTaken::Forged(batch)),
            Some(Err(error)) => return Err(unreadable(&error)),
            None => {
                let detail = "the patient's key is gone";
                return refused(Some(batch), RefusalReason::HeaderInvalid, detail);
            }
        };
        if known || pending.contains(&batch) {
            return Ok(Taken {
                batch,
                source,
                tag,
                draft: None,
            });
        }
        if self
            .parts
            .books
            .registry()
            .proves_clone(stub.context, stub.oldest())
        {
            return Err(NotTaken::Cloned(stub.stream, batch));
        }
        let entry = Entry::Batch {
            gateway: gateway.clone(),
            record,
        };
        let body = Some(Arc::new(Opened::Batch(opened)));
        lap.end(Stage::Admit);
        Ok(Taken {
            batch,
            source,
            tag,
            draft: Some(Draft {
                body,
                ..entry.into()
            }),
        })
    }

    /// Whether the batch is in the journal; an error if its context may not be written to.
    fn known(
        &self,
        gateway: &GatewayId,
        stub: &Stub,
    ) -> Result<bool, (RefusalReason, &'static str)> {
        let registry = self.parts.books.registry();
        if !registry.may_write(gateway) {
            return Err((
                RefusalReason::Revoked,
                "the gateway was revoked: enrol it again",
            ));
        }
        let Some(context) = registry.context(stub.context) else {
            return Err((
                RefusalReason::UnknownContext,
                "send the context's header again",
            ));
        };
        if context.gateway != *gateway {
            return Err((
                RefusalReason::NotAssigned,
                "the context is another gateway's",
            ));
        }
        match registry.stream(context.stream) {
            Some(stream) if stream.frozen => Err((
                RefusalReason::Frozen,
                "the stream is frozen: enrol the gateway again",
            )),
            Some(_) if registry.is_erased(context.stream) => Err((
                RefusalReason::NotAssigned,
                "the patient withdrew: what is left of this stream is to be deleted",
            )),
            Some(_) => Ok(context.journaled.contains(stub.number)),
            None => Err((RefusalReason::NotAssigned, "the stream is not assigned")),
        }
    }

    async fn freeze(
        &self,
        gateway: &GatewayId,
        stream: StreamId,
        batch: Batch,
        replies: &mut Replies,
    ) {
        let frozen = self
            .parts
            .books
            .registry()
            .stream(stream)
            .is_some_and(|of| of.frozen);
        if !frozen {
            tracing::error!(%gateway, %stream, "two live contexts with one predecessor: the stream is frozen");
            if let Err(error) = self
                .parts
                .journal
                .append(vec![Entry::StreamFrozen { stream }.into()])
                .await
            {
                return self.refuse_stopped(replies, &error);
            }
        }
        let detail = "two copies of this gateway send at once: enrol it again";
        self.refuse(replies, Some(batch), RefusalReason::Frozen, detail);
    }

    fn receipt(&self, tags: &Tags, replies: &mut Replies) {
        let mut lap = Lap::begin();
        let epoch = self.parts.books.registry().epoch();
        for (context, tags) in tags {
            // Just used to open them; at worst it is made anew.
            let Some(opener) = self.parts.books.opener(*context) else {
                continue;
            };
            for ranges in ranges(tags).chunks(receipt::MAX_RANGES) {
                let receipt = receipt::make(opener.receipt_key(), *context, epoch, ranges);
                let kind = Some(centre_to_gateway::Kind::Receipt(receipt));
                replies.messages.push(CentreToGateway { kind });
            }
        }
        lap.end(Stage::Receipt);
    }
}

fn unreadable(error: &SealError) -> NotTaken {
    let detail = match error {
        SealError::Checksum => "a record's checksum does not hold",
        SealError::UnsupportedVersion { .. } | SealError::UnsupportedSuite { .. } => {
            "a record is newer than this centre: update it"
        }
        SealError::Malformed { .. }
        | SealError::Forged
        | SealError::OtherGateway
        | SealError::TooLarge { .. }
        | SealError::NumberUsed { .. }
        | SealError::BadKey => "a record does not parse",
    };
    NotTaken::Refused(None, RefusalReason::Malformed, detail)
}

fn forged_too_often(desk: &mut Desk, batch: Batch, now: Instant) -> bool {
    if desk.forged.len() >= FORGED_REMEMBERED && !desk.forged.contains_key(&batch) {
        desk.forged.clear();
    }
    let times = desk.forged.entry(batch).or_default();
    *times = times.saturating_add(1);
    // Over budget it is ordered some later time that it comes.
    let enough = *times >= FORGED_BEFORE_SET_ASIDE && desk.budget.order(now);
    if enough {
        desk.forged.remove(&batch);
    }
    enough
}

fn readings_of(draft: &Draft) -> u64 {
    match draft.body.as_deref() {
        Some(Opened::Batch(batch)) => u64::from(batch.readings),
        Some(Opened::Devices(_) | Opened::Text(_) | Opened::Facts(_)) | None => 0,
    }
}

/// How urgent a record is, as its clear stub says; one that does not parse costs nothing to refuse.
fn class_of(record: &[u8]) -> Class {
    parse_stub(record).map_or(Class::Alerts, |stub| Class::of(stub.lane))
}

/// The most urgent first; each kind in the order in which it came.
fn by_class(mut records: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    records.sort_by_cached_key(|record| class_of(record));
    records
}

/// Runs of consecutive numbers.
fn ranges(tags: &BTreeMap<u64, [u8; 16]>) -> Vec<Range> {
    let mut runs: Vec<(u64, u64, Vec<[u8; 16]>)> = Vec::new();
    for (number, tag) in tags {
        match runs.last_mut() {
            Some((_, last, tags)) if last.checked_add(1) == Some(*number) => {
                *last = *number;
                tags.push(*tag);
            }
            Some(_) | None => runs.push((*number, *number, vec![*tag])),
        }
    }
    let run = |(first, last, tags)| Range {
        first,
        last,
        tags_hash: receipt::tags_hash(tags),
    };
    runs.into_iter().map(run).collect()
}
