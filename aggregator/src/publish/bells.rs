//! Who is woken for whom: a reader is woken for the patients it named, and for no other's sake.
//!
//! Invariants: a ring between two waits is not lost, many are one; a bell that is dropped is forgotten; ringing
//! costs by the readers who are woken, not by all who listen.
//!
//! Must not know: what changed, what a reader makes of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use vitals::PatientId;

#[derive(Debug, Default)]
struct Clapper {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Clapper {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// Of those who named nobody and hear of all.
    all: HashMap<u64, Arc<Clapper>>,
    named: HashMap<PatientId, HashMap<u64, Arc<Clapper>>>,
    listening: usize,
}

/// The bells of all readers of one kind of stream.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<Inner>);

/// One reader's bell.
#[derive(Debug)]
pub(super) struct Bell {
    number: u64,
    patients: BTreeSet<PatientId>,
    clapper: Arc<Clapper>,
    bells: Arc<Bells>,
}

impl Bells {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A map operation does not panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bell for these patients; nobody named: for all.
    pub(super) fn hang(self: &Arc<Self>, patients: &BTreeSet<PatientId>) -> Bell {
        let clapper = Arc::new(Clapper::default());
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        inner.listening += 1;
        if patients.is_empty() {
            inner.all.insert(number, Arc::clone(&clapper));
        }
        for patient in patients {
            let named = inner.named.entry(patient.clone()).or_default();
            named.insert(number, Arc::clone(&clapper));
        }
        drop(inner);
        Bell {
            number,
            patients: patients.clone(),
            clapper,
            bells: Arc::clone(self),
        }
    }

    /// Something changed about these patients.
    pub(super) fn ring<'a>(&self, patients: impl Iterator<Item = &'a PatientId>) {
        let inner = self.lock();
        let mut to_ring: Vec<_> = inner.all.values().cloned().collect();
        if !inner.named.is_empty() {
            let named = patients.filter_map(|patient| inner.named.get(patient));
            to_ring.extend(named.flat_map(HashMap::values).cloned());
        }
        drop(inner);
        // Without the lock: what is woken may hang up.
        to_ring.iter().for_each(|clapper| clapper.ring());
    }

    /// How many bells hang here.
    pub(super) fn listening(&self) -> usize {
        self.lock().listening
    }
}

impl Bell {
    /// Ready when it was rung since it was last ready. Wakes the task that asked last.
    pub(super) fn poll_rung(&self, context: &mut Context<'_>) -> Poll<()> {
        self.clapper.waker.register(context.waker());
        if self.clapper.rung.swap(false, Ordering::AcqRel) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let mut inner = self.bells.lock();
        inner.listening -= 1;
        inner.all.remove(&self.number);
        for patient in &self.patients {
            if let Some(named) = inner.named.get_mut(patient) {
                named.remove(&self.number);
                if named.is_empty() {
                    inner.named.remove(patient);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> PatientId {
        PatientId::parse(name).expect("a patient id")
    }

    fn rung(bell: &Bell) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        bell.poll_rung(&mut context).is_ready()
    }

    #[test]
    fn a_bell_rings_for_its_patients_alone_and_once() {
        let bells = Arc::new(Bells::default());
        let (all, a) = (
            bells.hang(&BTreeSet::new()),
            bells.hang(&[id("a"), id("b")].into()),
        );
        let other = bells.hang(&[id("c")].into());
        assert!(!rung(&a), "control: nobody rang");
        bells.ring([id("a"), id("b")].iter());
        assert_eq!((rung(&all), rung(&a), rung(&other)), (true, true, false));
        assert_eq!((rung(&all), rung(&a)), (false, false), "once");
        drop(a);
        bells.ring([id("c")].iter());
        assert!(rung(&other));
        assert_eq!(bells.listening(), 2);
        drop((all, other));
        let inner = bells.lock();
        assert!(inner.all.is_empty() && inner.named.is_empty() && inner.listening == 0);
    }
}
