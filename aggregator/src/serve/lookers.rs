//! Who has which patient's page open just now, so that two who look at the same patient know of each other before both act.
//!
//! Invariants: somebody is here for as long as their page is open (dropping [`Looking`] is the end), in memory only; at most [`PAGES`]
//! pages a person. Must not know: gRPC, who may see whom (it is asked for each patient).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use vitals::PatientId;

/// Pages that one person may have open: tabs and screens.
const PAGES: usize = 32;

/// Who looks, by patient, in order.
pub(super) type Seen = BTreeMap<PatientId, BTreeSet<String>>;

/// See the module.
#[derive(Debug)]
pub(super) struct Lookers {
    pages: Mutex<Pages>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Pages {
    /// By the person and a number of the page.
    open: BTreeMap<(String, u64), Option<PatientId>>,
    last: u64,
}

/// An open page; dropping it closes it.
#[derive(Debug)]
pub(super) struct Looking {
    of: Arc<Lookers>,
    page: (String, u64),
}

impl Lookers {
    /// Nobody yet.
    pub(super) fn new() -> Arc<Self> {
        let (changed, _) = watch::channel(());
        Arc::new(Self {
            pages: Mutex::default(),
            changed,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `person` opens a page, of this patient or of none. `None`: they have too many.
    pub(super) fn open(
        self: &Arc<Self>,
        person: &str,
        patient: Option<PatientId>,
    ) -> Option<Looking> {
        let mut pages = self.lock();
        let theirs = (person.to_owned(), 0)..=(person.to_owned(), u64::MAX);
        if pages.open.range(theirs).count() >= PAGES {
            return None;
        }
        pages.last += 1;
        let page = (person.to_owned(), pages.last);
        pages.open.insert(page.clone(), patient);
        drop(pages);
        self.changed.send_replace(());
        let of = Arc::clone(self);
        Some(Looking { of, page })
    }

    /// Whoever looks at somebody of whom `may` says so, without `person`.
    pub(super) fn beside(&self, person: &str, may: impl Fn(&PatientId) -> bool) -> Seen {
        let mut seen = Seen::new();
        for ((who, _), patient) in &self.lock().open {
            if let Some(patient) = patient.as_ref().filter(|_| who != person) {
                seen.entry(patient.clone()).or_default().insert(who.clone());
            }
        }
        seen.retain(|patient, _| may(patient));
        seen
    }

    /// Tells that pages were opened or closed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.of.lock().open.remove(&self.page);
        self.of.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(patient: &str) -> PatientId {
        PatientId::parse(patient).expect("a patient id")
    }

    fn told(of: &Lookers, person: &str, may: &[&str]) -> Vec<String> {
        let seen = of.beside(person, |patient| may.contains(&patient.reveal()));
        let lines = seen.iter().map(|(patient, people)| {
            let people: Vec<_> = people.iter().map(String::as_str).collect();
            format!("{}: {}", patient.reveal(), people.join(", "))
        });
        lines.collect()
    }

    #[test]
    fn who_looks_is_told_to_the_others_who_may_see_the_patient_while_they_look() {
        let lookers = Lookers::new();
        let mut changes = lookers.changes();
        let all = ["p-a", "p-b"];
        let open = |person: &str, patient: &str| lookers.open(person, Some(id(patient)));
        let (first, second) = (open("ann", "p-a"), open("ann", "p-a"));
        let _list = lookers.open("ben", None);
        let _other = open("cid", "p-b");
        assert!(changes.has_changed().expect("it lives"));
        changes.mark_unchanged();
        assert_eq!(told(&lookers, "ben", &all), ["p-a: ann", "p-b: cid"]);
        assert_eq!(told(&lookers, "ben", &["p-b"]), ["p-b: cid"]);
        assert_eq!(told(&lookers, "ann", &all), ["p-b: cid"]);
        // Of two pages one is left, and then none.
        drop(first);
        assert_eq!(told(&lookers, "ben", &["p-a"]), ["p-a: ann"]);
        drop(second);
        assert!(told(&lookers, "ben", &["p-a"]).is_empty());
        assert!(changes.has_changed().expect("it lives"));
    }

    #[test]
    fn a_persons_pages_are_bounded_and_nobody_elses_are_for_that() {
        let lookers = Lookers::new();
        let open = || lookers.open("ann", None);
        let mut pages: Vec<_> = (0..PAGES).map(|_| open().expect("room")).collect();
        assert!(open().is_none());
        assert!(lookers.open("ann2", None).is_some());
        pages.pop();
        assert!(open().is_some());
    }
}
