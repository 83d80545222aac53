//! What readers of one filter share: a state is narrowed, encoded and given its cursor once for all of them, and
//! each of them gets the same bytes. Whether a reader may have them is asked for each reader and message elsewhere.
//!
//! Invariants: what is kept is bounded by [`Limits::shared`](super::Limits); equal states of a patient have equal
//! digests of what was asked for, so who was sent one with the same digest last has nothing new to get.
//!
//! Must not know: who reads, who may read.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use prost::Message as _;
use proto::v1;
use vitals::PatientId;

use super::{AlertFilter, At, FilterHash, Hub, PatientIndex, Stream, TwinFilter, View};

/// A state of a twin as readers of one question get it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) patient: PatientId,
    pub(super) index: PatientIndex,
    pub(super) at: At,
    pub(super) changes: u64,
    /// Of what was asked for, without where and when; none where all is asked for, and each state is news.
    pub(super) digest: Option<u64>,
    /// `v1::Twin`.
    pub(super) twin: Bytes,
    /// Of `at`.
    pub(super) cursor: Bytes,
}

/// The newest few of something.
#[derive(Debug)]
struct Recent<K, V> {
    by_key: HashMap<K, V>,
    order: VecDeque<K>,
    most: usize,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            order: VecDeque::new(),
            most,
        }
    }

    fn get(&self, key: K) -> Option<&V> {
        self.by_key.get(&key)
    }

    fn put(&mut self, key: K, value: V) {
        if self.by_key.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
    }
}

/// A question about twins.
#[derive(Debug)]
pub(super) struct TwinQuestion {
    pub(super) filter: TwinFilter,
    pub(super) hash: FilterHash,
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    recent: Recent<PatientIndex, Arc<Made>>,
    /// States encoded so far.
    encoded: u64,
}

impl TwinQuestion {
    /// With nothing shared yet. Of those who name patients, each state of these is kept at most once.
    pub(super) fn new(filter: TwinFilter, most: usize) -> Self {
        let named = filter.patients.len();
        let most = if named == 0 { most } else { most.min(named) };
        let shared = Shared {
            recent: Recent::new(most),
            encoded: 0,
        };
        Self {
            hash: filter.hash(),
            filter,
            shared: Mutex::new(shared),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing in here panics half-way through a change.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest state of a patient; no newer one than that at `at` is looked for when that is at hand.
    pub(super) fn state(&self, hub: &Hub, index: PatientIndex, at: Option<At>) -> Arc<Made> {
        // Held while the state is encoded: who wants the same one meanwhile waits for it and gets it.
        let mut shared = self.lock();
        if let Some(made) = shared.recent.get(index)
            && Some(made.at) == at
        {
            return Arc::clone(made);
        }
        let view = hub.view(index);
        if let Some(made) = shared.recent.get(index)
            && made.at == view.at
        {
            return Arc::clone(made);
        }
        let made = Arc::new(self.make(&mut shared, hub, index, &view));
        shared.recent.put(index, Arc::clone(&made));
        made
    }

    fn make(&self, shared: &mut Shared, hub: &Hub, index: PatientIndex, view: &View) -> Made {
        shared.encoded += 1;
        let (twin, digest) = if self.filter.narrows() {
            let (twin, digest) = frame_last(self.filter.narrow(&view.twin, |id| hub.rested(id)));
            (twin, Some(digest))
        } else {
            (view.twin.encode_to_vec(), None)
        };
        Made {
            patient: hub.id_of(index),
            index,
            at: view.at,
            changes: view.changes,
            digest,
            twin: twin.into(),
            cursor: hub.cursor(Stream::Twins, self.hash, view.at),
        }
    }

    #[cfg(test)]
    pub(super) fn encoded(&self) -> u64 {
        self.lock().encoded
    }
}

/// The twin encoded, and a digest of what it says besides where and when it says it. The order of fields in a
/// message is free: those of the place come last.
fn frame_last(mut twin: v1::Twin) -> (Vec<u8>, u64) {
    let place = v1::Twin {
        position: std::mem::take(&mut twin.position),
        known_us: std::mem::take(&mut twin.known_us),
        state_hash: std::mem::take(&mut twin.state_hash),
        ..v1::Twin::default()
    };
    let mut bytes = twin.encode_to_vec();
    let mut digest = DefaultHasher::new();
    bytes.hash(&mut digest);
    // Into a vector that grows: it cannot run out of room.
    let _ = place.encode(&mut bytes);
    (bytes, digest.finish())
}

/// A question about alerts.
#[derive(Debug)]
pub(super) struct AlertQuestion {
    pub(super) filter: AlertFilter,
    pub(super) hash: FilterHash,
    cursors: Mutex<Recent<At, Bytes>>,
}

impl AlertQuestion {
    /// With nothing shared yet.
    pub(super) fn new(filter: AlertFilter, most: usize) -> Self {
        Self {
            hash: filter.hash(),
            filter,
            cursors: Mutex::new(Recent::new(most)),
        }
    }

    /// The cursor that resumes after `at`.
    pub(super) fn cursor(&self, hub: &Hub, at: At) -> Bytes {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cursor) = cursors.get(at) {
            return cursor.clone();
        }
        let cursor = hub.cursor(Stream::Alerts, self.hash, at);
        cursors.put(at, cursor.clone());
        cursor
    }
}

/// The questions that somebody asks just now, each once.
#[derive(Debug)]
pub(super) struct Questions<F, Q>(Mutex<Open<F, Q>>);

#[derive(Debug)]
struct Open<F, Q> {
    by_filter: HashMap<F, Weak<Q>>,
    /// When so many are noted, those that nobody asks any more are forgotten.
    forget_at: usize,
}

impl<F, Q> Default for Questions<F, Q> {
    fn default() -> Self {
        let by_filter = HashMap::new();
        Self(Mutex::new(Open {
            by_filter,
            forget_at: 64,
        }))
    }
}

impl<F: Clone + Eq + Hash, Q> Questions<F, Q> {
    /// The question of this filter; `make` makes it when nobody asks it yet.
    pub(super) fn of(&self, filter: &F, make: impl FnOnce(F) -> Q) -> Arc<Q> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(question) = open.by_filter.get(filter).and_then(Weak::upgrade) {
            return question;
        }
        if open.by_filter.len() >= open.forget_at {
            open.by_filter
                .retain(|_, question| question.strong_count() > 0);
            open.forget_at = (open.by_filter.len() * 2).max(64);
        }
        let question = Arc::new(make(filter.clone()));
        open.by_filter
            .insert(filter.clone(), Arc::downgrade(&question));
        question
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_few_are_kept() {
        let mut recent = Recent::new(2);
        for (key, value) in [(1, "a"), (2, "b"), (1, "c"), (3, "d")] {
            recent.put(key, value);
        }
        assert_eq!(
            (recent.get(1), recent.get(2), recent.get(3)),
            (None, Some(&"b"), Some(&"d"))
        );
        assert_eq!(recent.order.len(), 2);
    }

    #[test]
    fn a_question_is_one_while_it_is_asked_and_forgotten_then() {
        let questions = Questions::<u32, u32>::default();
        let first = questions.of(&1, |filter| filter);
        assert!(Arc::ptr_eq(&first, &questions.of(&1, |_| unreachable!())));
        for filter in 2..1000 {
            questions.of(&filter, |filter| filter);
        }
        let open = questions.0.lock().expect("no test panics here");
        assert!(open.by_filter.len() <= 64, "{}", open.by_filter.len());
        assert!(open.by_filter.contains_key(&1));
    }

    #[test]
    fn the_digest_is_of_what_is_said_and_nothing_is_lost() {
        let twin = |position, patient: &str| v1::Twin {
            patient: patient.into(),
            position,
            known_us: 5,
            state_hash: vec![1; 16],
            ..v1::Twin::default()
        };
        let (bytes, digest) = frame_last(twin(3, "a"));
        assert_eq!(v1::Twin::decode(bytes.as_slice()), Ok(twin(3, "a")));
        assert_eq!(digest, frame_last(twin(4, "a")).1);
        assert_ne!(digest, frame_last(twin(3, "b")).1);
    }
}
