//! The memory card of a gateway: what a sled store under the outbox's rules holds, without sled.
//!
//! Invariants, those that the outbox measured of its store: a commit is there whole or not at all after a crash, but
//! its deletions may lag; what was called durable stays. Bits rot all the same. Must not know: the simulation's time.

use std::collections::BTreeMap;

use vitals::StreamId;
use vitaltwin_agent::identity::Obeyed;
use vitaltwin_agent::outbox::RecordId;
use vitaltwin_agent::outbox::ledger::{Context, Entry};
use vitaltwin_agent::outbox::records::Records;
use vitaltwin_agent::outbox::rows::{ClockOf, ClockRow, GatewayRow, StreamRow};
use vitaltwin_agent::outbox::store::{Changes, Opened};
use vitaltwin_agent::outbox::tally::missing_of_rows;

/// How much of a commit is on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Nothing,
    /// All but the deletions.
    Lagging,
    All,
}

#[derive(Default)]
pub(crate) struct Card {
    contexts: BTreeMap<u64, Context>,
    records: BTreeMap<RecordId, Vec<u8>>,
    streams: BTreeMap<StreamId, StreamRow>,
    clocks: BTreeMap<ClockOf, ClockRow>,
    gateway: Option<GatewayRow>,
    /// In a file of its own, changed by rename.
    pub(crate) obeyed: Obeyed,
    /// Planted: the oldest record is missing at the next start, and nobody is told.
    loses_quietly: bool,
}

impl Card {
    pub(crate) fn new(loses_quietly: bool) -> Self {
        Self {
            loses_quietly,
            ..Self::default()
        }
    }

    pub(crate) fn commit(&mut self, changes: &Changes, extent: Extent) {
        if extent == Extent::Nothing {
            return;
        }
        self.contexts.extend(changes.contexts.iter().cloned());
        self.records.extend(changes.put.iter().cloned());
        for id in &changes.aside {
            self.records.remove(id);
        }
        self.streams.extend(changes.streams.iter().cloned());
        for (of, row) in &changes.clocks {
            match row {
                Some(row) => self.clocks.insert(*of, row.clone()),
                None => self.clocks.remove(of),
            };
        }
        self.gateway = Some(changes.gateway.clone());
        if extent == Extent::All {
            for id in &changes.remove {
                self.records.remove(id);
            }
            for ordinal in &changes.close {
                self.contexts.remove(ordinal);
            }
        }
    }

    /// Those of the records that are there and whole.
    pub(crate) fn load(&self, ids: &[RecordId]) -> Vec<(RecordId, Vec<u8>)> {
        let of = |id: &RecordId| Some((*id, self.records.get(id)?.clone()));
        let found = ids.iter().filter_map(of);
        found
            .filter(|(_, record)| Entry::of(record).is_ok())
            .collect()
    }

    pub(crate) fn records(&self) -> usize {
        self.records.len()
    }

    /// One bit of the record at this place flips.
    pub(crate) fn rot(&mut self, place: usize, bit: usize) {
        if let Some(record) = self.records.values_mut().nth(place) {
            let bit = bit % (record.len() * 8);
            record[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// As the agent's store reads itself when it opens.
    pub(crate) fn open(&mut self) -> Opened<()> {
        if self.loses_quietly
            && let Some((_, lost)) = self.records.pop_first()
            && let Ok(lost) = Entry::of(&lost)
            && let Some(row) = self.streams.get_mut(&lost.stub.stream)
        {
            row.readings_kept -= u64::from(lost.stub.count).min(row.readings_kept);
        }
        let mut records = Records::default();
        let mut damaged = Vec::new();
        for (id, record) in &self.records {
            match (Entry::of(record), self.contexts.get(&id.ordinal)) {
                (Ok(entry), Some(context)) if entry.stub.context == context.id => {
                    records.insert(*id, entry);
                }
                _ => damaged.push(*id),
            }
        }
        let more_may_be_missing = !damaged.is_empty();
        Opened {
            store: (),
            missing: missing_of_rows(&self.streams, &records, !more_may_be_missing),
            contexts: self.contexts.clone(),
            records,
            streams: self.streams.clone(),
            clocks: self.clocks.clone(),
            gateway: self.gateway.clone(),
            damaged,
            set_aside: None,
            more_may_be_missing,
            safe: Vec::new(),
        }
    }
}
