//! PURE. What is known of each record that waits, in 32 bytes: a hundred thousand wait on a gateway that has 20 MiB for
//! everything.
//!
//! Why not a map of entries: stream and context are the same for all records of a place, numbers are dense, and a tree
//! that is filled in order is half empty. So records lie sorted in short lists, as a stub says it and no wider.
//! Invariant: an entry that was put comes back as it was. Must not know: what an entry means.

use std::collections::BTreeMap;

use proto::seal::{Lane, Stub};
use vitals::{ContextId, StreamId};

use super::RecordId;
use super::ledger::Entry;

/// Numbers that share a list: taking the oldest of one moves 16 KiB at most.
const A_LIST: u64 = 512;

/// One record of a list.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: [u8; 16],
    oldest_minute: u32,
    /// Its number, counted from the list's first.
    place: u16,
    source: u16,
    count: u16,
    span_minutes: u16,
    padded: u16,
    lane: Lane,
    deflated: bool,
}

/// The records of one context.
#[derive(Clone, Debug)]
struct Shelf {
    stream: StreamId,
    context: ContextId,
    lists: BTreeMap<u64, Vec<Slot>>,
}

/// Entries by place, in order.
#[derive(Clone, Debug, Default)]
pub struct Records {
    shelves: BTreeMap<u64, Shelf>,
    len: usize,
}

impl Records {
    /// Puts a record, or replaces it; true if it is new. All records of one ordinal are of one context.
    pub fn insert(&mut self, id: RecordId, entry: Entry) -> bool {
        let (list, place) = split(id.number);
        let stub = entry.stub;
        let shelf = self.shelves.entry(id.ordinal).or_insert_with(|| Shelf {
            stream: stub.stream,
            context: stub.context,
            lists: BTreeMap::new(),
        });
        debug_assert_eq!((shelf.stream, shelf.context), (stub.stream, stub.context));
        let slot = Slot {
            tag: entry.tag,
            oldest_minute: stub.oldest_minute,
            place,
            source: stub.source,
            count: stub.count,
            span_minutes: stub.span_minutes,
            padded: stub.padded,
            lane: stub.lane,
            deflated: stub.deflated,
        };
        let list = shelf.lists.entry(list).or_default();
        match find(list, place) {
            Ok(at) => {
                list[at] = slot;
                false
            }
            Err(at) => {
                list.insert(at, slot);
                self.len += 1;
                true
            }
        }
    }

    /// Takes a record out.
    pub fn remove(&mut self, id: RecordId) -> Option<Entry> {
        let (number, place) = split(id.number);
        let shelf = self.shelves.get_mut(&id.ordinal)?;
        let list = shelf.lists.get_mut(&number)?;
        let slot = list.remove(find(list, place).ok()?);
        self.len -= 1;
        let entry = slot.entry(shelf.stream, shelf.context, id.number);
        if list.is_empty() {
            shelf.lists.remove(&number);
        } else if list.len() < list.capacity() / 4 {
            list.shrink_to(list.len() * 2);
        }
        if shelf.lists.is_empty() {
            self.shelves.remove(&id.ordinal);
        }
        Some(entry)
    }

    /// What is known of a record.
    #[must_use]
    pub fn get(&self, id: RecordId) -> Option<Entry> {
        let (number, place) = split(id.number);
        let shelf = self.shelves.get(&id.ordinal)?;
        let list = shelf.lists.get(&number)?;
        let slot = list.get(find(list, place).ok()?)?;
        Some(slot.entry(shelf.stream, shelf.context, id.number))
    }

    /// True if there is a record at this place.
    #[must_use]
    pub fn contains(&self, id: RecordId) -> bool {
        self.get(id).is_some()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True if there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True if a context has any.
    #[must_use]
    pub fn has_any_of(&self, ordinal: u64) -> bool {
        self.shelves.contains_key(&ordinal)
    }

    /// All records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (RecordId, Entry)> + '_ {
        self.shelves.keys().flat_map(|ordinal| self.of(*ordinal))
    }

    /// Those of one context, oldest first.
    pub fn of(&self, ordinal: u64) -> impl Iterator<Item = (RecordId, Entry)> + '_ {
        self.range(ordinal, 0, u64::MAX)
    }

    /// Those of one context from one number to another, both included, oldest first.
    pub fn range(
        &self,
        ordinal: u64,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = (RecordId, Entry)> + '_ {
        let shelf = self.shelves.get(&ordinal).into_iter();
        shelf.flat_map(move |shelf| {
            let lists = shelf.lists.range(first / A_LIST..=last / A_LIST);
            let all = lists.flat_map(move |(list, slots)| {
                slots.iter().map(move |slot| {
                    let number = list * A_LIST + u64::from(slot.place);
                    let entry = slot.entry(shelf.stream, shelf.context, number);
                    (RecordId { ordinal, number }, entry)
                })
            });
            all.filter(move |(id, _)| (first..=last).contains(&id.number))
        })
    }

    /// Keeps those that are wanted.
    pub fn retain(&mut self, wanted: impl Fn(RecordId) -> bool) {
        let unwanted: Vec<RecordId> = self
            .iter()
            .map(|(id, _)| id)
            .filter(|id| !wanted(*id))
            .collect();
        for id in unwanted {
            self.remove(id);
        }
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl FromIterator<(RecordId, Entry)> for Records {
    fn from_iter<I: IntoIterator<Item = (RecordId, Entry)>>(entries: I) -> Self {
        let mut records = Self::default();
        for (id, entry) in entries {
            records.insert(id, entry);
        }
        records
    }
}

impl Slot {
    const fn entry(&self, stream: StreamId, context: ContextId, number: u64) -> Entry {
        let stub = Stub {
            deflated: self.deflated,
            stream,
            context,
            number,
            lane: self.lane,
            source: self.source,
            count: self.count,
            oldest_minute: self.oldest_minute,
            span_minutes: self.span_minutes,
            padded: self.padded,
        };
        Entry {
            tag: self.tag,
            stub,
        }
    }
}

/// The list of a number, and its place there.
fn split(number: u64) -> (u64, u16) {
    let place = u16::try_from(number % A_LIST).expect("a list is short");
    (number / A_LIST, place)
}

/// Where a place is in a list, or would be; new ones come last.
fn find(list: &[Slot], place: u16) -> Result<usize, usize> {
    match list.last() {
        Some(last) if last.place < place => Err(list.len()),
        _ => list.binary_search_by_key(&place, |slot| slot.place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(ordinal: u64, number: u64) -> RecordId {
        RecordId { ordinal, number }
    }

    fn entry(of: RecordId, salt: u16) -> Entry {
        let low = u8::try_from(of.ordinal).unwrap_or(0);
        let stub = Stub {
            deflated: salt % 2 == 1,
            stream: StreamId([low; 16]),
            context: ContextId([low ^ 1; 16]),
            number: of.number,
            lane: Lane::ALL[usize::from(salt) % Lane::ALL.len()],
            source: salt,
            count: !salt,
            oldest_minute: u32::from(salt) << 16,
            span_minutes: salt ^ 0xFF,
            padded: salt.rotate_left(4),
        };
        Entry {
            tag: of
                .number
                .to_be_bytes()
                .repeat(2)
                .try_into()
                .unwrap_or([0; 16]),
            stub,
        }
    }

    #[test]
    fn a_record_takes_32_bytes() {
        assert_eq!(size_of::<Slot>(), 32);
    }

    proptest! {
        #[test]
        fn it_is_a_map_in_order(
            steps in proptest::collection::vec((0_u64..3, 0_u64..1200, any::<u16>(), any::<bool>()), 0..400),
            first in 0_u64..1200, length in 0_u64..1200,
        ) {
            let (mut records, mut model) = (Records::default(), BTreeMap::new());
            for (ordinal, number, salt, put) in steps {
                let id = id(ordinal, number);
                if put {
                    let new = records.insert(id, entry(id, salt));
                    prop_assert_eq!(model.insert(id, entry(id, salt)).is_none(), new);
                } else {
                    prop_assert_eq!(records.remove(id), model.remove(&id));
                }
                prop_assert_eq!(records.get(id), model.get(&id).copied());
                prop_assert_eq!(records.len(), model.len());
            }
            let whole: Vec<_> = model.iter().map(|(id, entry)| (*id, *entry)).collect();
            prop_assert_eq!(records.iter().collect::<Vec<_>>(), whole.clone());
            let last = first + length;
            let range: Vec<_> = whole
                .iter()
                .filter(|(id, _)| id.ordinal == 1 && (first..=last).contains(&id.number))
                .copied()
                .collect();
            prop_assert_eq!(records.range(1, first, last).collect::<Vec<_>>(), range);
            for ordinal in 0..3 {
                let any = model.keys().any(|id| id.ordinal == ordinal);
                prop_assert_eq!(records.has_any_of(ordinal), any);
            }
            records.retain(|id| id.number % 3 == 0);
            model.retain(|id, _| id.number % 3 == 0);
            prop_assert_eq!(records.iter().map(|(id, _)| id).collect::<Vec<_>>(), model.into_keys().collect::<Vec<_>>());
        }
    }
}
