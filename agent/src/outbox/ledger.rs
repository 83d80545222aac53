//! PURE. Which sealed records exist, what a receipt covers, what to drop when there is no room.
//!
//! Invariants: a record leaves the ledger through [`Ledger::receipt`] (the MAC holds, the tags are those of our
//! own records, and no later journal of the centre has spoken) or through [`Ledger::remove`] by a caller who
//! declares a gap; [`Ledger::victims`] never names a record of the alert or gap lane, and names older ones of a
//! lane before younger ones.
//! Must not know: where the bytes are, transports, clocks.

use std::collections::{BTreeMap, HashMap};

use proto::seal::receipt;
use proto::seal::{Lane, SealError, Secret, Stub, tag_of};
use proto::v1;
use vitals::{ContextId, StreamId, Time};

use super::RecordId;
use super::records::Records;

/// Tags of receipted records kept per context: a late range may cover old and new records at once.
const RECENT_TAGS: usize = 1024;
/// Longest range of a receipt that is looked at: far above what can be in flight.
const LONGEST_RANGE: u64 = 1 << 20;

/// What is known of a context without its batch key.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its id.
    pub id: ContextId,
    /// Its stream.
    pub stream: StreamId,
    /// The signed header.
    pub header: Vec<u8>,
    /// The gateway's certificate chain when it was opened, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// Proves receipts; opens nothing.
    pub receipt_key: Secret,
}

/// What is known of a record without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The AEAD tag, which its receipt covers.
    pub tag: [u8; 16],
    /// The stub.
    pub stub: Stub,
}

impl Entry {
    /// From a whole record.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn of(record: &[u8]) -> Result<Self, SealError> {
        let stub = proto::seal::parse_stub(record)?;
        let tag = tag_of(record)?;
        Ok(Self { tag, stub })
    }
}

/// Why a receipt is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFault {
    /// It names a context that is not here: all of its records were receipted before, or it is not ours.
    #[error("a receipt for a context that is not kept here")]
    UnknownContext,
    /// It does not parse.
    #[error("a malformed receipt")]
    Malformed,
    /// The MAC does not hold, or the tags are not those of our records.
    #[error("a receipt that is not authentic")]
    Forged,
    /// It is from before the centre was restored from a backup: what it covers may be lost there.
    #[error("a receipt of an earlier journal than one that was acted upon")]
    Outdated,
}

/// What an authentic receipt removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipted {
    /// The context's ordinal.
    pub ordinal: u64,
    /// Records that are safe elsewhere and have left the ledger.
    pub removed: Vec<(RecordId, Entry)>,
    /// Ranges that could not be judged because tags of older records in them are forgotten. Their records
    /// stay and are sent again.
    pub unjudged: usize,
}

#[derive(Debug)]
struct State {
    context: Context,
    lanes: [usize; 5],
    recent: BTreeMap<u64, [u8; 16]>,
    receipted: u64,
    epoch: u64,
}

/// What of a stream has no receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Scalar readings in them.
    pub readings: u64,
    /// Records among them that declare losses.
    pub gap_records: u64,
}

impl Kept {
    fn of(entry: &Entry) -> Self {
        Self {
            records: 1,
            bytes: entry.stub.record_size() as u64,
            readings: u64::from(entry.stub.count),
            gap_records: u64::from(entry.stub.lane == Lane::Gap),
        }
    }
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    contexts: BTreeMap<u64, State>,
    records: Records,
    ordinals: HashMap<ContextId, u64>,
    streams: BTreeMap<StreamId, Kept>,
    /// The highest journal epoch whose receipt was acted upon.
    epochs: BTreeMap<StreamId, u64>,
    bytes: u64,
}

impl Ledger {
    /// Takes note of a context.
    pub fn open(&mut self, ordinal: u64, context: Context) {
        self.ordinals.insert(context.id, ordinal);
        let state = State {
            context,
            lanes: [0; 5],
            recent: BTreeMap::new(),
            receipted: 0,
            epoch: 0,
        };
        self.contexts.insert(ordinal, state);
    }

    /// The context is over and has no records: nothing of it needs keeping.
    pub fn close(&mut self, ordinal: u64) {
        if let Some(state) = self.contexts.remove(&ordinal) {
            debug_assert!(
                !self.records.has_any_of(ordinal),
                "a context outlives its records"
            );
            self.ordinals.remove(&state.context.id);
        }
    }

    /// A context by its place.
    #[must_use]
    pub fn context(&self, ordinal: u64) -> Option<&Context> {
        self.contexts.get(&ordinal).map(|state| &state.context)
    }

    /// A context's place.
    #[must_use]
    pub fn ordinal(&self, context: ContextId) -> Option<u64> {
        self.ordinals.get(&context).copied()
    }

    /// Contexts without records.
    pub fn empty_contexts(&self) -> impl Iterator<Item = u64> + '_ {
        let ordinals = self.contexts.keys().copied();
        ordinals.filter(|ordinal| !self.records.has_any_of(*ordinal))
    }

    /// Contexts kept.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// The highest number receipted in a context and the epoch of that receipt; zeros if none.
    #[must_use]
    pub fn receipted(&self, ordinal: u64) -> (u64, u64) {
        self.contexts
            .get(&ordinal)
            .map_or((0, 0), |state| (state.receipted, state.epoch))
    }

    /// The highest journal epoch of which a receipt was acted upon for a stream; 0 if none.
    #[must_use]
    pub fn epoch(&self, stream: StreamId) -> u64 {
        self.epochs.get(&stream).copied().unwrap_or(0)
    }

    /// From here on no receipt of an earlier epoch counts for the stream.
    pub fn raise_epoch(&mut self, stream: StreamId, epoch: u64) {
        let highest = self.epochs.entry(stream).or_default();
        *highest = epoch.max(*highest);
    }

    /// Adds a record of a context that was opened.
    pub fn add(&mut self, id: RecordId, entry: Entry) {
        let Some(state) = self.contexts.get_mut(&id.ordinal) else {
            debug_assert!(false, "a record follows its context");
            return;
        };
        if self.records.insert(id, entry) {
            state.lanes[entry.stub.lane as usize] += 1;
            self.bytes += entry.stub.record_size() as u64;
            let (kept, more) = (
                self.streams.entry(entry.stub.stream).or_default(),
                Kept::of(&entry),
            );
            kept.records += more.records;
            kept.bytes += more.bytes;
            kept.readings += more.readings;
            kept.gap_records += more.gap_records;
        }
    }

    /// Removes a record whose loss the caller declares.
    pub fn remove(&mut self, id: RecordId) -> Option<Entry> {
        let state = self.contexts.get_mut(&id.ordinal)?;
        let entry = self.records.remove(id)?;
        state.lanes[entry.stub.lane as usize] -= 1;
        self.bytes -= entry.stub.record_size() as u64;
        if let Some(kept) = self.streams.get_mut(&entry.stub.stream) {
            let less = Kept::of(&entry);
            kept.records -= less.records;
            kept.bytes -= less.bytes;
            kept.readings -= less.readings;
            kept.gap_records -= less.gap_records;
        }
        Some(entry)
    }

    /// What is known of a record.
    #[must_use]
    pub fn get(&self, id: RecordId) -> Option<Entry> {
        self.records.get(id)
    }

    /// Records that have no receipt.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// True if every record has its receipt.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of the records that have no receipt.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (RecordId, Entry)> + '_ {
        self.records.iter()
    }

    /// Takes a receipt: verifies it, and removes what it covers.
    ///
    /// # Errors
    /// [`ReceiptFault`], with nothing removed.
    pub fn receipt(&mut self, message: &v1::Receipt) -> Result<Receipted, ReceiptFault> {
        let context = ContextId::from_slice(&message.context).ok_or(ReceiptFault::Malformed)?;
        let ordinal = self.ordinal(context).ok_or(ReceiptFault::UnknownContext)?;
        let state = self
            .contexts
            .get(&ordinal)
            .ok_or(ReceiptFault::UnknownContext)?;
        let verified =
            receipt::verify(&state.context.receipt_key, message).map_err(|error| match error {
                SealError::Malformed { .. } => ReceiptFault::Malformed,
                SealError::Forged
                | SealError::UnsupportedVersion { .. }
                | SealError::UnsupportedSuite { .. }
                | SealError::Checksum
                | SealError::OtherGateway
                | SealError::TooLarge { .. }
                | SealError::NumberUsed { .. }
                | SealError::BadKey => ReceiptFault::Forged,
            })?;
        let (stream, epoch) = (state.context.stream, verified.journal_epoch);
        if epoch < self.epoch(stream) {
            return Err(ReceiptFault::Outdated);
        }
        let mut unjudged = 0;
        let mut numbers = Vec::new();
        for range in &verified.ranges {
            match state.judge((ordinal, &self.records), range)? {
                Some(found) => numbers.extend(found),
                None => unjudged += 1,
            }
        }
        self.raise_epoch(stream, epoch);
        Ok(self.take_receipted(ordinal, &numbers, epoch, unjudged))
    }

    /// What to drop to free at least `bytes`: waveforms first, then dense vitals, oldest first. Fewer bytes
    /// if there is nothing more that may be dropped.
    #[must_use]
    pub fn victims(&self, bytes: u64) -> Vec<RecordId> {
        let mut freed = 0;
        let mut victims = Vec::new();
        for lane in [Lane::Waveform, Lane::Vitals] {
            let of_lane = self
                .contexts
                .iter()
                .filter(|(_, s)| s.lanes[lane as usize] > 0);
            for (ordinal, _) in of_lane {
                for (id, entry) in self.records.of(*ordinal) {
                    if freed >= bytes {
                        return victims;
                    }
                    if entry.stub.lane == lane {
                        freed += entry.stub.record_size() as u64;
                        victims.push(id);
                    }
                }
            }
        }
        victims
    }

    /// Waveforms and dense vitals whose newest reading is older than this.
    #[must_use]
    pub fn expired(&self, before: Time) -> Vec<RecordId> {
        let expires = |(_, entry): &(RecordId, Entry)| {
            matches!(entry.stub.lane, Lane::Waveform | Lane::Vitals) && entry.stub.newest() < before
        };
        self.iter().filter(expires).map(|(id, _)| id).collect()
    }

    /// The oldest record of each lane of a stream, for heartbeats.
    #[must_use]
    pub fn oldest_by_lane(&self, stream: StreamId) -> Vec<(Lane, ContextId, u64)> {
        let of_stream = |lane: Lane| {
            self.contexts
                .iter()
                .filter(|(_, of)| of.context.stream == stream && of.lanes[lane as usize] > 0)
                .find_map(|(ordinal, state)| {
                    let mut records = self.records.of(*ordinal);
                    let (id, _) = records.find(|(_, entry)| entry.stub.lane == lane)?;
                    Some((lane, state.context.id, id.number))
                })
        };
        Lane::ALL.into_iter().filter_map(of_stream).collect()
    }

    /// What of one stream has no receipt.
    #[must_use]
    pub fn of_stream(&self, stream: StreamId) -> Kept {
        self.streams.get(&stream).copied().unwrap_or_default()
    }

    fn take_receipted(
        &mut self,
        ordinal: u64,
        numbers: &[u64],
        epoch: u64,
        unjudged: usize,
    ) -> Receipted {
        let mut removed = Vec::with_capacity(numbers.len());
        for number in numbers {
            let id = RecordId {
                ordinal,
                number: *number,
            };
            if let Some(entry) = self.remove(id) {
                removed.push((id, entry));
            }
        }
        if let Some(state) = self.contexts.get_mut(&ordinal) {
            for (id, entry) in &removed {
                state.recent.insert(id.number, entry.tag);
                state.receipted = state.receipted.max(id.number);
            }
            state.epoch = epoch;
            while state.recent.len() > RECENT_TAGS {
                state.recent.pop_first();
            }
        }
        Receipted {
            ordinal,
            removed,
            unjudged,
        }
    }
}

impl State {
    /// Numbers of the range that are still here, if the range is authentic; `None` if it cannot be judged.
    fn judge(
        &self,
        (ordinal, records): (u64, &Records),
        range: &receipt::Range,
    ) -> Result<Option<Vec<u64>>, ReceiptFault> {
        if range.last - range.first >= LONGEST_RANGE {
            return Err(ReceiptFault::Malformed);
        }
        let here: Vec<u64> = records
            .range(ordinal, range.first, range.last)
            .map(|(id, _)| id.number)
            .collect();
        if here.is_empty() {
            return Ok(Some(here));
        }
        let tag = |number| {
            let entry = records.get(RecordId { ordinal, number });
            let entry = entry.map(|entry| entry.tag);
            entry.or_else(|| self.recent.get(&number).copied())
        };
        let tags: Option<Vec<[u8; 16]>> = (range.first..=range.last).map(tag).collect();
        let Some(tags) = tags else {
            return Ok(None);
        };
        if receipt::tags_hash(tags) != range.tags_hash {
            return Err(ReceiptFault::Forged);
        }
        Ok(Some(here))
    }
}

/// The time span of a set of records as coarsely as their stubs tell it; `None` for no records.
pub fn span_of<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Option<(Time, Time)> {
    entries.into_iter().fold(None, |span, entry| {
        let (oldest, newest) = (entry.stub.oldest(), entry.stub.newest());
        Some(span.map_or((oldest, newest), |(from, to): (Time, Time)| {
            (from.min(oldest), to.max(newest))
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto::seal::receipt::{Range, make, tags_hash};

    const STREAM: StreamId = StreamId([7; 16]);
    const CONTEXT: ContextId = ContextId([9; 16]);

    fn key() -> Secret {
        Secret::new([3; 32])
    }

    fn entry(number: u64, lane: Lane) -> Entry {
        let stub = Stub {
            deflated: false,
            stream: STREAM,
            context: CONTEXT,
            number,
            lane,
            source: 1,
            count: 2,
            oldest_minute: 10,
            span_minutes: 1,
            padded: 64,
        };
        let mut tag = [0; 16];
        tag[8..].copy_from_slice(&number.to_be_bytes());
        Entry { tag, stub }
    }

    fn ledger(numbers: std::ops::RangeInclusive<u64>) -> Ledger {
        let mut ledger = Ledger::default();
        let context = Context {
            id: CONTEXT,
            stream: STREAM,
            header: vec![],
            chain: vec![],
            receipt_key: key(),
        };
        ledger.open(1, context);
        for number in numbers {
            ledger.add(id(number), entry(number, Lane::Vitals));
        }
        ledger
    }

    fn id(number: u64) -> RecordId {
        RecordId { ordinal: 1, number }
    }

    fn range(first: u64, last: u64) -> Range {
        let tags = (first..=last).map(|number| entry(number, Lane::Vitals).tag);
        Range {
            first,
            last,
            tags_hash: tags_hash(tags),
        }
    }

    fn numbers(receipted: &Receipted) -> Vec<u64> {
        receipted.removed.iter().map(|(id, _)| id.number).collect()
    }

    #[test]
    fn an_authentic_receipt_removes_what_it_covers() {
        let mut ledger = ledger(1..=10);
        let receipt = make(&key(), CONTEXT, 4, &[range(2, 3), range(7, 7)]);
        let receipted = ledger.receipt(&receipt).expect("authentic");
        assert_eq!(numbers(&receipted), [2, 3, 7]);
        assert_eq!(ledger.len(), 7);
        assert_eq!(ledger.receipted(1), (7, 4));
        // The same again removes nothing and is no fault.
        let again = ledger.receipt(&receipt).expect("authentic");
        assert!(numbers(&again).is_empty());
    }

    #[test]
    fn forged_receipts_remove_nothing() {
        let mut ledger = ledger(1..=3);
        let good = make(&key(), CONTEXT, 1, &[range(1, 3)]);
        // Another key; a bit of the MAC; tags of other bytes; a range stretched under the old MAC.
        let other_key = make(&Secret::new([4; 32]), CONTEXT, 1, &[range(1, 3)]);
        let mut bit = good.clone();
        bit.mac[0] ^= 1;
        let mut wrong = range(1, 3);
        wrong.tags_hash[0] ^= 1;
        let other_bytes = make(&key(), CONTEXT, 1, &[wrong]);
        let mut stretched = good.clone();
        stretched.ranges[0].first = 2;
        let mut other_epoch = good.clone();
        other_epoch.journal_epoch = 2;
        for forged in [other_key, bit, other_bytes, stretched, other_epoch] {
            assert_eq!(ledger.receipt(&forged), Err(ReceiptFault::Forged));
        }
        let mut unknown = good.clone();
        unknown.context[0] ^= 1;
        assert_eq!(ledger.receipt(&unknown), Err(ReceiptFault::UnknownContext));
        assert_eq!(ledger.len(), 3);
        // The control: the true one is taken.
        assert_eq!(ledger.receipt(&good).map(|r| r.removed.len()), Ok(3));
    }

    #[test]
    fn a_receipt_from_before_a_restore_of_the_centre_removes_nothing() {
        let mut ledger = ledger(1..=10);
        let of_epoch = |epoch, first, last| make(&key(), CONTEXT, epoch, &[range(first, last)]);
        let receipted = ledger.receipt(&of_epoch(2, 1, 3)).expect("authentic");
        assert_eq!(numbers(&receipted), [1, 2, 3]);
        let outdated = ledger.receipt(&of_epoch(1, 4, 6));
        assert_eq!(outdated, Err(ReceiptFault::Outdated));
        // One that is not authentic is that first, and raises nothing.
        let mut forged = of_epoch(9, 4, 6);
        forged.mac[0] ^= 1;
        assert_eq!(ledger.receipt(&forged), Err(ReceiptFault::Forged));
        assert_eq!((ledger.len(), ledger.epoch(STREAM)), (7, 2));
        let receipted = ledger.receipt(&of_epoch(2, 4, 6)).expect("the control");
        assert_eq!(numbers(&receipted), [4, 5, 6]);
        // As a restart hears it from the stream's row.
        ledger.raise_epoch(STREAM, 5);
        ledger.raise_epoch(STREAM, 4);
        let outdated = ledger.receipt(&of_epoch(4, 7, 8));
        assert_eq!(outdated, Err(ReceiptFault::Outdated));
    }

    #[test]
    fn one_bad_range_spoils_the_whole_receipt() {
        let mut ledger = ledger(1..=4);
        let mut wrong = range(3, 4);
        wrong.tags_hash[5] ^= 8;
        let receipt = make(&key(), CONTEXT, 1, &[range(1, 2), wrong]);
        assert_eq!(ledger.receipt(&receipt), Err(ReceiptFault::Forged));
        assert_eq!(ledger.len(), 4);
    }

    #[test]
    fn a_range_over_old_and_new_records_is_judged_by_remembered_tags() {
        let mut ledger = ledger(1..=4);
        let first = make(&key(), CONTEXT, 1, &[range(1, 3)]);
        ledger.receipt(&first).expect("authentic");
        let overlapping = make(&key(), CONTEXT, 1, &[range(2, 4)]);
        let receipted = ledger.receipt(&overlapping).expect("authentic");
        assert_eq!(numbers(&receipted), [4]);
    }

    #[test]
    fn a_range_with_forgotten_tags_keeps_its_records() {
        let mut ledger = ledger(5..=6);
        let receipt = make(&key(), CONTEXT, 1, &[range(4, 6)]);
        let receipted = ledger.receipt(&receipt).expect("the MAC holds");
        assert_eq!((numbers(&receipted).len(), receipted.unjudged), (0, 1));
        assert_eq!(ledger.len(), 2);
    }

    #[test]
    fn a_range_beyond_measure_is_malformed() {
        let mut ledger = ledger(1..=2);
        let receipt = make(
            &key(),
            CONTEXT,
            1,
            &[Range {
                last: u64::MAX,
                ..range(1, 2)
            }],
        );
        assert_eq!(ledger.receipt(&receipt), Err(ReceiptFault::Malformed));
    }

    #[test]
    fn victims_are_waveforms_then_old_vitals_never_alerts_or_gaps() {
        let mut ledger = ledger(1..=1);
        let lanes = [
            Lane::Alert,
            Lane::Waveform,
            Lane::Vitals,
            Lane::Gap,
            Lane::Waveform,
        ];
        for (number, lane) in (2..).zip(lanes) {
            ledger.add(id(number), entry(number, lane));
        }
        let size = entry(1, Lane::Vitals).stub.record_size() as u64;
        let victims =
            |bytes| -> Vec<u64> { ledger.victims(bytes).iter().map(|id| id.number).collect() };
        assert_eq!(victims(1), [3]);
        assert_eq!(victims(size + 1), [3, 6]);
        assert_eq!(victims(size * 3), [3, 6, 1]);
        assert_eq!(victims(u64::MAX), [3, 6, 1, 4]);
    }

    #[test]
    fn what_is_older_than_the_budget_of_age_expires_but_never_alerts_and_gaps() {
        let mut ledger = ledger(1..=2);
        for (number, lane) in [(3, Lane::Alert), (4, Lane::Gap), (5, Lane::Waveform)] {
            ledger.add(id(number), entry(number, lane));
        }
        let newest = entry(1, Lane::Vitals).stub.newest();
        assert_eq!(ledger.expired(newest), []);
        let expired = ledger.expired(newest + vitals::Span::from_secs(1));
        assert_eq!(expired, [id(1), id(2), id(5)]);
    }

    #[test]
    fn heartbeats_learn_the_oldest_of_each_lane() {
        let mut ledger = ledger(4..=6);
        ledger.add(id(9), entry(9, Lane::Gap));
        assert_eq!(
            ledger.oldest_by_lane(STREAM),
            [(Lane::Vitals, CONTEXT, 4), (Lane::Gap, CONTEXT, 9)]
        );
        assert_eq!(ledger.oldest_by_lane(StreamId([0; 16])), []);
        assert_eq!(ledger.of_stream(STREAM).records, 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// Receipts in any order, overlapping and repeated, against a plain set: what is gone is exactly what
        /// an authentic receipt covered, and counts and bytes agree.
        #[test]
        fn receipts_in_any_order(
            receipts in proptest::collection::vec((1..40_u64, 0..10_u64, any::<bool>()), 0..40),
        ) {
            let mut ledger = ledger(1..=40);
            let mut model: std::collections::BTreeSet<u64> = (1..=40).collect();
            for (first, length, authentic) in receipts {
                let last = (first + length).min(40);
                let mut receipt = make(&key(), CONTEXT, 1, &[range(first, last)]);
                if authentic {
                    let receipted = ledger.receipt(&receipt).expect("authentic");
                    prop_assert_eq!(receipted.unjudged, 0);
                    for number in numbers(&receipted) {
                        prop_assert!(model.remove(&number), "removed twice");
                    }
                    prop_assert!(!model.iter().any(|n| (first..=last).contains(n)));
                } else {
                    receipt.mac[3] ^= 0x40;
                    prop_assert_eq!(ledger.receipt(&receipt), Err(ReceiptFault::Forged));
                }
                let here: Vec<u64> = ledger.iter().map(|(id, _)| id.number).collect();
                prop_assert!(here.iter().eq(model.iter()));
                prop_assert_eq!(ledger.len(), model.len());
                let kept = ledger.of_stream(STREAM);
                prop_assert_eq!((kept.records, kept.bytes), (ledger.len() as u64, ledger.bytes()));
                let readings: u64 = ledger.iter().map(|(_, entry)| u64::from(entry.stub.count)).sum();
                prop_assert_eq!(kept.readings, readings);
            }
        }
    }
}
