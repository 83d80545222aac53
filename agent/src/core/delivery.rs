//! Delivery: what goes to the centre, and what its receipts, refusals and orders do.

use std::ops::Range;

use prost::Message as _;
use proto::seal::Lane;
use proto::v1::{
    CentreToGateway, GapReason, GatewayToCentre, Hello, OpenContext, Receipt, RecordPiece, Refusal,
    RefusalReason, SealedBatches, SignedCommand, centre_to_gateway as down,
    gateway_to_centre as up,
};
use proto::wire::sanitise;
use vitals::{ContextId, Time};

use super::Core;
use crate::command::Order;
use crate::outbox::RecordId;
use crate::outbox::ledger::{Entry, ReceiptFault, Receipted};
use crate::outbox::store::StoreError;
use crate::outbox::writer::Job;
use crate::status::describe;
use crate::uplink::UplinkEvent;
use crate::uplink::budget::Allowance;
use crate::uplink::window::{Class, Refused, Send};

/// What is being read from disk for the line.
#[derive(Debug)]
pub(super) enum Asked {
    /// Records.
    Whole(Vec<RecordId>),
    /// A piece of one.
    Piece(RecordId, Range<usize>),
}

impl Asked {
    fn ids(&self) -> &[RecordId] {
        match self {
            Self::Whole(ids) => ids,
            Self::Piece(id, _) => std::slice::from_ref(id),
        }
    }
}

impl Core {
    /// The next message for the line, if one is due. Call it only when the line takes one more.
    pub fn poll_message(&mut self, now: Time) -> Option<GatewayToCentre> {
        let message = self.next_message(now)?;
        self.day.hand(message.encoded_len() as u64);
        self.allow(now);
        Some(message)
    }

    fn next_message(&mut self, now: Time) -> Option<GatewayToCentre> {
        if !self.window.is_connected() {
            return None;
        }
        if std::mem::take(&mut self.hello_due) {
            return Some(message(up::Kind::Hello(Hello {
                agent_version: env!("CARGO_PKG_VERSION").to_owned(),
                command_number: self.commander.obeyed().number,
                configuration: self.configuration.clone(),
                health: self.health(now),
            })));
        }
        loop {
            // Backlog that was read from disk waits behind whatever is live.
            let backlog_too = self.loading.is_empty() && self.ready.is_empty();
            let ledger = &self.ledger;
            let size = |id| ledger.get(id).map_or(0, |entry| entry.stub.record_size());
            match self.window.next(now, backlog_too, size) {
                Some(Send::Open(ordinal)) => {
                    if let Some(opened) = self.open_context(ordinal) {
                        return Some(opened);
                    }
                }
                Some(Send::Records(ids)) => {
                    if let Some(message) = self.in_memory(&ids) {
                        return Some(message);
                    }
                    // Those in memory as well: a commit may be under way, and they may be on disk alone when
                    // the answer comes.
                    self.load(Asked::Whole(ids));
                }
                Some(Send::Piece(id, range)) => {
                    if let Some(piece) = self.piece_in_memory(id, &range) {
                        return Some(piece);
                    }
                    self.load(Asked::Piece(id, range));
                }
                None => return self.ready.pop_front(),
            }
        }
    }

    pub(super) fn uplink(&mut self, event: UplinkEvent, now: Time) {
        match event {
            UplinkEvent::Up(_) => {
                self.counters.connections += 1;
                self.line_trouble = None;
                self.hello_due = true;
                self.ready.clear();
                self.window.connected();
                self.survival.line_up();
                self.sealing.line(true);
                // Life is proved at once, not with the next beat.
                if !self.stopping {
                    self.heartbeat_due = now;
                }
            }
            UplinkEvent::Down(why) => {
                self.line_trouble = Some(why);
                self.day.line_down();
                self.sealing.line(false);
                self.window.disconnected();
                self.ready.clear();
                for loading in &mut self.loading {
                    *loading = None;
                }
            }
            UplinkEvent::Malformed => self.counters.malformed_messages += 1,
            UplinkEvent::Message(CentreToGateway { kind }) => match kind {
                Some(down::Kind::Receipt(receipt)) => self.receipt(&receipt, now),
                Some(down::Kind::Command(signed)) => self.command(&signed, now),
                Some(down::Kind::Refusal(refusal)) => self.refusal(&refusal, now),
                Some(down::Kind::PieceTaken(taken)) => {
                    let held = usize::try_from(taken.held).unwrap_or(usize::MAX);
                    self.window.piece_taken(held, now);
                }
                Some(down::Kind::ContextAdmitted(admitted)) => {
                    // Only a hint: a centre that does not know it after all says so, and gets the header.
                    let context = ContextId::from_slice(&admitted.context);
                    if let Some(ordinal) = context.and_then(|id| self.ledger.ordinal(id)) {
                        self.window.admitted(ordinal);
                    }
                }
                None => self.counters.malformed_messages += 1,
            },
        }
    }

    /// Records that were read from disk for the line.
    pub(super) fn loaded(
        &mut self,
        found: Result<Vec<(RecordId, Vec<u8>)>, StoreError>,
        now: Time,
    ) {
        let Some(asked) = self.loading.pop_front() else {
            return;
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                // A failed read proves nothing about the records: they are in flight and come again.
                tracing::error!(error = describe(&error), "the outbox cannot be read");
                return;
            }
        };
        // The line that asked is gone: the window has these records as backlog again.
        let Some(asked) = asked else {
            return;
        };
        let ids = asked.ids();
        let mut found: std::collections::BTreeMap<_, _> = found.into_iter().collect();
        let mut records = Vec::with_capacity(ids.len());
        let mut damaged = Vec::new();
        for id in ids {
            if self.ledger.get(*id).is_none() {
                continue;
            }
            match self.pending.get(id).cloned().or_else(|| found.remove(id)) {
                Some(record) => records.push(record),
                None => damaged.push(*id),
            }
        }
        if !damaged.is_empty() {
            self.changes.aside.extend(&damaged);
            self.drop_records(&damaged, GapReason::BufferDamaged, "buffer_damaged", now);
        }
        match asked {
            Asked::Whole(_) if records.is_empty() => {}
            Asked::Whole(_) => self.ready.push_back(batches(records)),
            Asked::Piece(id, range) => {
                self.in_pieces = records.pop().map(|record| (id, record));
                self.ready.extend(self.piece_in_memory(id, &range));
            }
        }
    }

    fn load(&mut self, asked: Asked) {
        self.jobs.push_back(Job::Load(asked.ids().to_vec()));
        self.loading.push_back(Some(asked));
    }

    /// A piece of a record that is in memory, or was read for the piece before.
    fn piece_in_memory(&self, id: RecordId, range: &Range<usize>) -> Option<GatewayToCentre> {
        let read = self.in_pieces.as_ref().filter(|(read, _)| *read == id);
        let record = self.pending.get(&id).or(read.map(|(_, record)| record))?;
        Some(message(up::Kind::Piece(RecordPiece {
            offset: u32::try_from(range.start).ok()?,
            data: record.get(range.clone())?.to_vec(),
            last: range.end == record.len(),
        })))
    }

    fn in_memory(&self, ids: &[RecordId]) -> Option<GatewayToCentre> {
        let records = ids.iter().map(|id| self.pending.get(id).cloned());
        records.collect::<Option<Vec<_>>>().map(batches)
    }

    fn open_context(&self, ordinal: u64) -> Option<GatewayToCentre> {
        let context = self.ledger.context(ordinal)?;
        Some(message(up::Kind::OpenContext(OpenContext {
            header: context.header.clone(),
            certificate_chain: context.chain.clone(),
        })))
    }

    fn receipt(&mut self, receipt: &Receipt, now: Time) {
        match self.ledger.receipt(receipt) {
            Ok(receipted) => {
                self.heard = true;
                self.receipted(&receipted, now);
            }
            Err(ReceiptFault::UnknownContext) => self.counters.receipts_late += 1,
            Err(fault @ ReceiptFault::Outdated) => {
                self.counters.receipts_outdated += 1;
                let count = self.counters.receipts_outdated;
                if count.is_power_of_two() {
                    tracing::warn!(%fault, count, "receipt ignored: its records are sent again");
                }
            }
            Err(fault @ (ReceiptFault::Malformed | ReceiptFault::Forged)) => {
                self.counters.receipts_invalid += 1;
                // Who can send one can send a million: the log tells of the first, and then ever more rarely.
                let count = self.counters.receipts_invalid;
                if count.is_power_of_two() {
                    tracing::warn!(%fault, count, "receipt ignored: nothing is deleted for it");
                }
            }
        }
    }

    fn receipted(&mut self, receipted: &Receipted, now: Time) {
        self.gateway.last_receipt_us = now.as_micros();
        let ids = receipted.removed.iter().map(|(id, _)| *id);
        self.window.receipted(ids, now);
        // A receipt for a heartbeat proves no care: with the day's bytes spent the centre gets no vitals to watch.
        if self.allow(now) > Allowance::Urgent {
            self.survival.heard(now);
        }
        for (id, entry) in &receipted.removed {
            self.forget(*id);
            self.gateway.readings_receipted += u64::from(entry.stub.count);
        }
        let ordinal = receipted.ordinal;
        if let Some(context) = self.ledger.context(ordinal) {
            let (stream, id) = (context.stream, context.id);
            let (number, epoch) = self.ledger.receipted(ordinal);
            let highest = self.ledger.epoch(stream);
            let row = self.sealing.row_mut(stream);
            if std::mem::replace(&mut row.highest_epoch, highest) != highest {
                self.dirty.insert(stream);
            }
            if row.context == id.0 {
                (row.receipted, row.receipt_epoch) = (number, epoch);
                self.counted.insert(stream);
            }
        }
        self.close_if_over(ordinal);
        self.schedule_commit(now);
    }

    /// A context that gets no more records and has none left is forgotten.
    pub(super) fn close_if_over(&mut self, ordinal: u64) {
        if !self.sealing.is_open(ordinal) && self.ledger.empty_contexts().any(|o| o == ordinal) {
            self.ledger.close(ordinal);
            self.window.closed(ordinal);
            self.changes.close.push(ordinal);
        }
    }

    fn command(&mut self, signed: &SignedCommand, now: Time) {
        let order = match self.commander.take(signed) {
            Ok(order) => order,
            Err(error) => {
                let count: u64 = self.commander.refused().by_reason().values().sum();
                if count.is_power_of_two() {
                    tracing::warn!(%error, count, "command not obeyed");
                }
                return;
            }
        };
        self.obeyed_changed = true;
        self.heard = true;
        match order {
            Order::Assign(duty) => {
                let (streams, withheld) = (duty.assignments.len(), duty.withheld.len());
                tracing::info!(streams, withheld, "assignments obeyed");
                self.assign(duty, now);
            }
            Order::Watch(rules) => {
                tracing::info!("rules of the centre obeyed");
                self.survival.go_by(*rules);
            }
            Order::Configure { number, settings } => self.ordered = Some((number, settings)),
            Order::SetAside { context, numbers } => self.set_aside(context, &numbers, now),
            Order::Unknown => {
                tracing::warn!("an order of a newer centre is not known here: update");
            }
        }
    }

    fn set_aside(&mut self, context: ContextId, numbers: &[u64], now: Time) {
        let Some(ordinal) = self.ledger.ordinal(context) else {
            return;
        };
        let ids = numbers.iter().map(|number| RecordId {
            ordinal,
            number: *number,
        });
        let ids: Vec<RecordId> = ids.filter(|id| self.ledger.get(*id).is_some()).collect();
        for id in &ids {
            match self.pending.get(id) {
                Some(record) if self.unsaved.contains_key(id) => {
                    self.changes.put_aside.push((*id, record.clone()));
                }
                _ => self.changes.aside.push(*id),
            }
        }
        tracing::warn!(
            records = ids.len(),
            "records set aside by order of the centre"
        );
        self.drop_records(&ids, GapReason::Refused, "refused", now);
    }

    fn refusal(&mut self, refusal: &Refusal, now: Time) {
        let known = RefusalReason::try_from(refusal.reason);
        let name = known.map_or("unknown_here", |reason| reason.as_str_name());
        let name = name.strip_prefix("REFUSAL_REASON_").unwrap_or(name);
        let name = name.to_ascii_lowercase();
        self.counters.refusals.add(&name, 1);
        let detail = sanitise(&refusal.detail);
        self.line_trouble = Some(format!("the centre refuses ({name}): {detail}"));
        // A later centre's reason: nothing is known of it but that this was not taken.
        let reason = known.unwrap_or(RefusalReason::Overloaded);
        let refused = match reason {
            RefusalReason::UnknownContext => Refused::HeaderMissing,
            RefusalReason::HeaderInvalid
            | RefusalReason::NotAssigned
            | RefusalReason::Revoked
            | RefusalReason::Frozen => Refused::Context,
            RefusalReason::StoreStopped | RefusalReason::Busy => Refused::Everything,
            RefusalReason::Overloaded => Refused::Later(refusal.number),
            RefusalReason::Malformed
            | RefusalReason::TooLarge
            | RefusalReason::Forged
            | RefusalReason::Unspecified => Refused::Record(refusal.number),
        };
        let context = ContextId::from_slice(&refusal.context);
        let ordinal = context.and_then(|context| self.ledger.ordinal(context));
        if matches!(refused, Refused::Record(_)) && refusal.context.is_empty() {
            self.window.piece_refused(now);
        }
        // Everything may rest without a context; for one that is not kept here there is nothing to delay.
        if refused == Refused::Everything || ordinal.is_some() {
            self.window.refused(ordinal.unwrap_or(0), refused, now);
        }
    }
}

/// How urgent a record is.
pub(super) const fn class(entry: &Entry) -> Class {
    match entry.stub.lane {
        Lane::Alert | Lane::Gap => Class::Urgent,
        Lane::Vitals if entry.stub.count == 0 => Class::Life,
        Lane::Vitals => Class::Vitals,
        Lane::Waveform => Class::Waveform,
    }
}

fn batches(records: Vec<Vec<u8>>) -> GatewayToCentre {
    message(up::Kind::Batches(SealedBatches { records }))
}

const fn message(kind: up::Kind) -> GatewayToCentre {
    GatewayToCentre { kind: Some(kind) }
}
