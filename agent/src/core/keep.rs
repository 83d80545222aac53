//! Keeping: what becomes durable when, and what is dropped when there is no room.
//!
//! A record that is receipted before its commit never touches the disk: live, the outbox is nearly idle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::seal::{Lane, parse_header};
use proto::v1::GapReason;
use vitals::{Span, StreamId, Time};

use super::{Core, delivery};
use crate::outbox::RecordId;
use crate::outbox::ledger::{Entry, span_of};
use crate::outbox::seal::Loss;
use crate::outbox::store::{Changes, Opened, StoreError};
use crate::outbox::writer::{Done, Job};

/// Bytes in memory that are worth a commit before its time, and the most that are kept while the store
/// fails; then the oldest dense readings go first, declared.
const MANY_PENDING_BYTES: usize = 256 * 1024;
const MOST_PENDING_BYTES: usize = 2 * 1024 * 1024;
/// How long counts, positions, removals and what is learnt of devices' clocks wait for their commit while all records have
/// their receipts: each commit costs the flash 25 KB and more, whatever it holds.
const COUNTS: Span = Span::from_secs(10);
/// Records whose removal is worth a commit: what is removed later than its receipt is only sent again after a crash.
const MANY_REMOVED: usize = 1000;
/// How often the oldest are looked for: their age is told by the minute.
const LOOK_FOR_EXPIRED: Span = Span::from_secs(60);
/// The budget never falls below this, however full the disk is.
const LEAST_BUDGET: u64 = 64 * 1024;

/// How many bytes of records may be kept: the configured budget, less while the disk is nearly full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    configured: u64,
    keep_free: u64,
    /// What the buffer held when the disk became too full to let it grow.
    capped_at: Option<u64>,
}

impl Budget {
    pub(super) const fn new(configured: u64, keep_free: u64) -> Self {
        Self {
            configured,
            keep_free,
            capped_at: None,
        }
    }

    /// Looks at the disk.
    fn observe(&mut self, free: u64, held: u64) {
        if free == 0 {
            // Even the reserve is spent: from here on, less must do.
            if self.capped_at.is_none() {
                self.disk_full(held);
            }
        } else if free < self.keep_free {
            self.capped_at.get_or_insert(held);
        } else if free > self.keep_free + self.keep_free / 4 {
            self.capped_at = None;
        }
    }

    /// A write found the disk full: less must do.
    fn disk_full(&mut self, held: u64) {
        let cap = self.capped_at.unwrap_or(held).min(held);
        self.capped_at = Some(cap - cap / 4);
    }

    fn bytes(self) -> u64 {
        let cap = self.capped_at.unwrap_or(u64::MAX).max(LEAST_BUDGET);
        self.configured.min(cap)
    }

    /// What to free when this much is held: more than the excess, so that drops are rare and few gap records
    /// tell of them.
    fn excess(self, held: u64) -> Option<u64> {
        let over = held.checked_sub(self.bytes()).filter(|over| *over > 0)?;
        Some(over + self.bytes() / 16)
    }
}

impl Core {
    /// A budget below what people may configure, so that tests fill it quickly.
    #[cfg(test)]
    pub(super) fn budget_for_tests(&mut self, bytes: u64) {
        self.budget.configured = bytes;
    }

    /// Takes over what lay in the store.
    pub(super) fn take_over<S>(&mut self, opened: &Opened<S>) {
        for (ordinal, context) in &opened.contexts {
            self.ledger.open(*ordinal, context.clone());
        }
        for (stream, row) in &opened.streams {
            let epoch = row.highest_epoch.max(row.receipt_epoch);
            self.ledger.raise_epoch(*stream, epoch);
        }
        for (id, entry) in opened.records.iter() {
            self.ledger.add(id, entry);
            self.window.add_backlog(id, delivery::class(&entry));
        }
        let over: Vec<u64> = self.ledger.empty_contexts().collect();
        for ordinal in over {
            self.ledger.close(ordinal);
            self.changes.close.push(ordinal);
        }
        self.changes.aside.extend(&opened.damaged);
        self.changes.remove.extend(&opened.safe);
    }

    /// The last run did not end by itself: what came after its last commit is lost. Whether a device was connected
    /// then, the commit does not know: it may have come since, and so may the order to listen to it.
    pub(super) fn declare_crash<S>(&mut self, opened: &Opened<S>, now: Time) {
        if self.committed.clean {
            return;
        }
        let committed = Time::from_micros(self.committed.committed_at_us);
        for stream in self.sealing.streams().collect::<Vec<_>>() {
            let row = opened.streams.get(&stream);
            if row.is_none_or(|row| row.collecting) {
                // Before the first commit of all there may have been readings since the order to listen.
                let from = committed.max(self.sealing.counts_from(stream)).min(now);
                let loss = Loss {
                    readings: 0,
                    exact: false,
                    from,
                    // A machine without a battery for its clock may have come back in its own past.
                    to: now.max(committed),
                };
                self.declare(stream, 0, GapReason::AgentStopped, loss);
            }
        }
    }

    /// Records were damaged, or the whole store: what is missing is counted as exactly as can be, and bounded by
    /// the time of the contexts.
    pub(super) fn declare_damage<S>(&mut self, opened: &Opened<S>, now: Time) {
        let assigned: BTreeSet<StreamId> = self.sealing.streams().collect();
        let committed = Time::from_micros(self.committed.committed_at_us);
        let ended = opened.missing.iter();
        for missing in ended.filter(|missing| !assigned.contains(&missing.stream)) {
            // Nothing can be sealed for it any more: the count is all that can be told.
            tracing::warn!(
                readings = missing.readings,
                "of a stream that has ended, readings are lost"
            );
            self.count_dropped("buffer_damaged", missing.readings);
        }
        for stream in assigned {
            let contexts = opened.contexts.values();
            let of_stream = contexts.filter(|context| context.stream == stream);
            let opened_at = of_stream
                .filter_map(|context| parse_header(&context.header).ok())
                .map(|header| header.opened_at)
                .min();
            // Where no context is left, all since the order to listen may have waited here.
            let from = opened_at.unwrap_or_else(|| self.sealing.counts_from(stream));
            let loss = |readings, exact| Loss {
                readings,
                exact,
                from: from.min(now),
                to: now.max(committed),
            };
            let missing = opened.missing.iter();
            let missing: Vec<_> = missing.filter(|m| m.stream == stream).collect();
            for missing in &missing {
                let loss = loss(missing.readings, missing.exact);
                self.count_dropped("buffer_damaged", missing.readings);
                self.declare(stream, missing.source, GapReason::BufferDamaged, loss);
            }
            if missing.is_empty() && opened.more_may_be_missing {
                self.declare(stream, 0, GapReason::BufferDamaged, loss(0, false));
            }
        }
    }

    pub(super) fn store(&mut self, done: Done, now: Time) {
        match done {
            Done::Loaded(found) => self.loaded(found, now),
            Done::Committed {
                result: Ok(()),
                free,
            } => {
                if let Some(changes) = self.committing.take() {
                    for (id, _) in &changes.put {
                        self.pending.remove(id);
                        self.let_go(*id);
                    }
                    self.committed = changes.gateway.clone();
                }
                if self.store_trouble.take().is_some() {
                    tracing::info!("the outbox store works again");
                }
                self.budget.observe(free, self.ledger.bytes());
            }
            Done::Committed {
                result: Err(error), ..
            } => self.commit_failed(&error, now),
        }
        if self.has_changes() {
            self.schedule_commit(now);
        }
        if self.at_once || !self.held.is_empty() {
            self.hurry(now);
        }
    }

    pub(super) fn has_changes(&self) -> bool {
        self.is_pressing()
            || !self.unsaved.is_empty()
            || !self.changes.remove.is_empty()
            || !self.changes.clocks.is_empty()
            || !self.counted.is_empty()
            || self.gateway.readings_receipted != self.committed.readings_receipted
    }

    /// Something but records changed that is promised within the commit interval.
    fn is_pressing(&self) -> bool {
        let changes = &self.changes;
        !(self.dirty.is_empty()
            && changes.contexts.is_empty()
            && changes.remove.len() < MANY_REMOVED
            && changes.aside.is_empty()
            && changes.put_aside.is_empty()
            && changes.close.is_empty())
            || self.gateway.clean != self.committed.clean
            || self.day.is_worth_keeping(&self.committed.spent)
    }

    /// When what changed must be durable: a reading, an interval after it came. On a line that keeps up it is sealed and sent
    /// at once, has its receipt by then, and needs no commit. Counts, positions, removals and what is learnt of clocks wait
    /// longer, and then for a moment when no record would come to the disk with them, only to be removed again.
    fn latest_commit(&self, now: Time) -> Time {
        if self.at_once || self.is_pressing() {
            return now;
        }
        let oldest = self.unsaved.values().min();
        // A clock that was set back must not put it off.
        let record = oldest.map(|since| (*since).min(now) + self.settings.commit_interval);
        let committed = Time::from_micros(self.committed.committed_at_us).min(now);
        match record {
            Some(record) => record.min(committed + COUNTS + COUNTS),
            None => committed + COUNTS,
        }
    }

    /// Nothing waits for a receipt: the moment for counts that waited long enough.
    pub(super) fn commit_if_quiet(&mut self, now: Time) {
        if self.commit_due.is_some() && self.unsaved.is_empty() && self.committing.is_none() {
            let due = self.latest_commit(now).max(now);
            self.commit_due = self.commit_due.map(|known| known.min(due));
        }
    }

    /// Starts a commit of everything that changed, unless one is under way.
    pub(super) fn commit(&mut self, now: Time) {
        if self.committing.is_some() {
            // Its answer schedules the next one.
            self.commit_due = None;
            return;
        }
        self.drop_expired(now);
        self.make_room(now);
        self.commit_due = None;
        if !self.has_changes() {
            self.at_once = false;
            return;
        }
        let latest = self.latest_commit(now);
        if latest > now {
            self.commit_due = Some(latest);
            return;
        }
        self.at_once = false;
        let mut changes = std::mem::take(&mut self.changes);
        self.count_kept();
        self.listing.clear();
        let unsaved = std::mem::take(&mut self.unsaved);
        changes.put = unsaved
            .into_keys()
            .filter_map(|id| self.pending.get(&id).map(|record| (id, record.clone())))
            .collect();
        self.dirty.append(&mut self.counted);
        for stream in std::mem::take(&mut self.dirty) {
            let position = self.sealing.position(stream);
            let row = self.sealing.row_mut(stream);
            if let Some((_, context, number)) = position
                && row.context == context.0
            {
                (row.durable, row.durable_at_us) = (number, now.as_micros());
            }
            row.commits = self.gateway.commits + 1;
            changes.streams.push((stream, row.clone()));
        }
        self.gateway.committed_at_us = now.as_micros();
        self.gateway.commits += 1;
        self.gateway.records_kept = self.ledger.len() as u64;
        self.gateway.next_ordinal = self.sealing.next_ordinal();
        let (day, spent) = self.day.remembered();
        (self.gateway.day, self.gateway.spent) = (day, spent.clone());
        changes.gateway = self.gateway.clone();
        // The writer gets a copy: if it fails, the same is given again.
        let changes = Arc::new(changes);
        self.jobs.push_back(Job::Commit(Arc::clone(&changes)));
        self.committing = Some(changes);
    }

    /// With this commit the store holds what the ledger does: its rows say so, for whoever must count a loss.
    fn count_kept(&mut self) {
        for stream in self.sealing.rows().keys().copied().collect::<Vec<_>>() {
            let kept = self.ledger.of_stream(stream);
            let row = self.sealing.row_mut(stream);
            let counted = (kept.readings, kept.gap_records);
            if (row.readings_kept, row.gap_records_kept) != counted {
                (row.readings_kept, row.gap_records_kept) = counted;
                self.dirty.insert(stream);
            }
        }
    }

    fn commit_failed(&mut self, error: &StoreError, now: Time) {
        self.counters.commits_failed += 1;
        if let Some(changes) = self.committing.take() {
            self.give_back(Changes::clone(&changes));
        }
        if error.is_disk_full() {
            self.budget.disk_full(self.ledger.bytes());
        }
        for id in std::mem::take(&mut self.held) {
            self.held.insert(id);
            self.let_go(id);
        }
        let text = crate::status::describe(error);
        if self.store_trouble.as_ref() != Some(&text) {
            tracing::error!(
                error = text,
                "the outbox cannot be made durable: readings are kept in memory"
            );
        }
        self.store_trouble = Some(text);
        self.shed_memory(now);
    }

    /// What a failed commit held is to be committed again, before what came since.
    fn give_back(&mut self, mut failed: Changes) {
        for (id, _) in failed.put.drain(..) {
            if self.ledger.get(id).is_some() && self.pending.contains_key(&id) {
                // As old as can be: it is due.
                self.unsaved.insert(id, Time::ZERO);
            }
        }
        for (stream, _) in failed.streams.drain(..) {
            self.dirty.insert(stream);
        }
        let since = std::mem::replace(&mut self.changes, failed);
        self.changes.contexts.extend(since.contexts);
        self.changes.clocks.extend(since.clocks);
        self.changes.remove.extend(since.remove);
        self.changes.aside.extend(since.aside);
        self.changes.put_aside.extend(since.put_aside);
        self.changes.close.extend(since.close);
    }

    /// True for a record of readings that may hold what a device stores: sent before it is durable, it would be
    /// with the centre and, after a crash, fetched from the device again. While nothing can be written, late is worse
    /// than twice.
    pub(super) fn waits_for_disk(&self, entry: &Entry) -> bool {
        let stub = &entry.stub;
        stub.count > 0 && self.listing.contains(&stub.stream) && self.store_trouble.is_none()
    }

    /// A record that waited for the disk is sent.
    fn let_go(&mut self, id: RecordId) {
        if self.held.remove(&id)
            && let Some(entry) = self.ledger.get(id)
        {
            self.window.add(id, delivery::class(&entry));
        }
    }

    /// A record is no longer needed, on disk or in memory.
    pub(super) fn forget(&mut self, id: RecordId) {
        self.pending.remove(&id);
        self.held.remove(&id);
        if self.unsaved.remove(&id).is_none() {
            self.changes.remove.push(id);
        }
    }

    /// Drops records whose loss is declared: by source, with their exact count.
    pub(super) fn drop_records(
        &mut self,
        ids: &[RecordId],
        reason: GapReason,
        name: &str,
        now: Time,
    ) {
        let mut lost: BTreeMap<(StreamId, u16), Vec<Entry>> = BTreeMap::new();
        for id in ids {
            let Some(entry) = self.ledger.remove(*id) else {
                continue;
            };
            self.window.remove(*id);
            self.forget(*id);
            let key = (entry.stub.stream, entry.stub.source);
            lost.entry(key).or_default().push(entry);
            self.close_if_over(id.ordinal);
        }
        for ((stream, source), entries) in lost {
            let readings = entries.iter().map(|e| u64::from(e.stub.count)).sum();
            // What a damaged record told that holds no readings (a loss, an alert at home), nobody knows any more. One
            // that is refused is not told of again: that would be refused as well.
            let told = |entry: &Entry| {
                entry.stub.count == 0 && matches!(entry.stub.lane, Lane::Gap | Lane::Alert)
            };
            let exact = reason != GapReason::BufferDamaged || !entries.iter().any(told);
            // Heartbeats hold no readings: their loss is none.
            if readings == 0 && exact {
                continue;
            }
            let (from, to) = span_of(&entries).unwrap_or((now, now));
            let loss = Loss {
                readings,
                exact,
                from,
                to,
            };
            self.count_dropped(name, readings);
            self.declare(stream, source, reason, loss);
        }
        self.schedule_commit(now);
    }

    /// Without a line, the small records of a minute become one: a thousand bytes instead of sixty records. On
    /// a slow one, those of a few seconds.
    pub(super) fn merge(&mut self, now: Time) {
        let (ledger, window) = (&self.ledger, &self.window);
        let connected = window.is_connected();
        self.sealing.merge(now, |id| {
            ledger.get(id).is_some() && (!connected || window.is_parked(id))
        });
    }

    /// Records whose readings lie in a merged one that is committed together with their removal.
    pub(super) fn superseded(&mut self, ids: &[RecordId]) {
        for id in ids {
            if let Some(entry) = self.ledger.remove(*id) {
                self.gateway.readings_sealed -= u64::from(entry.stub.count);
                self.window.remove(*id);
                // The merged one is new, what is in it is not.
                self.at_once |= self.unsaved.contains_key(id);
                self.forget(*id);
            }
        }
    }

    /// The declared policy for what waited too long: it goes as if the buffer were full, and says why.
    fn drop_expired(&mut self, now: Time) {
        if self.expiry_due > now {
            return;
        }
        self.expiry_due = now + LOOK_FOR_EXPIRED;
        self.drop_old_clocks(now);
        let expired = self.ledger.expired(now - self.settings.buffer_age);
        if expired.is_empty() {
            return;
        }
        tracing::warn!(
            records = expired.len(),
            "readings waited longer than the buffer keeps them and are dropped"
        );
        self.drop_records(&expired, GapReason::TooOld, "too_old", now);
        self.sealing.flush(now);
        self.drain_sealing(now);
    }

    /// The declared policy when the buffer is full: waveforms, then dense vitals, the oldest first.
    fn make_room(&mut self, now: Time) {
        let Some(excess) = self.budget.excess(self.ledger.bytes()) else {
            return;
        };
        let victims = self.ledger.victims(excess);
        if victims.is_empty() {
            return;
        }
        tracing::warn!(
            records = victims.len(),
            "the buffer is full: the oldest dense readings are dropped"
        );
        self.drop_records(&victims, GapReason::BufferFull, "buffer_full", now);
        self.sealing.flush(now);
        self.drain_sealing(now);
    }

    /// The same for memory while nothing can be written.
    fn shed_memory(&mut self, now: Time) {
        let held: usize = self.pending.values().map(Vec::len).sum();
        let Some(mut excess) = held.checked_sub(MOST_PENDING_BYTES) else {
            return;
        };
        let mut victims = Vec::new();
        for lane in [Lane::Waveform, Lane::Vitals] {
            for (id, record) in &self.pending {
                let of_lane = self.ledger.get(*id).is_some_and(|e| e.stub.lane == lane);
                if of_lane && excess > 0 {
                    excess = excess.saturating_sub(record.len());
                    victims.push(*id);
                }
            }
        }
        self.drop_records(&victims, GapReason::BufferFull, "buffer_full", now);
    }

    /// Much waits in memory: commit now rather than at the interval's end.
    pub(super) fn hurry_if_much_is_pending(&mut self, now: Time) {
        if self.store_trouble.is_none()
            && self.committing.is_none()
            && self.unsaved.len() * 128 > MANY_PENDING_BYTES
        {
            self.hurry(now);
        }
    }
}
