//! PURE. From what was measured, what the history gives, what twins count and what readers saw, to what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::carrier::Sums;
use super::readers::{Now, Saw};
use crate::soak::sample::Sample;
use crate::soak::verdict::{growths, held};
use crate::watcher::{Record, Step};

/// KiB that the centre may hold more in its long life than its log explains: so much, or this share of what it holds.
const MOST_KIB: f64 = 16.0 * 1024.0;
const MOST_SHARE: f64 = 0.05;
/// KiB that the soak's own process may gain.
const OWN_KIB: f64 = 48.0 * 1024.0;
/// Failures of a sort that are printed.
const SHOWN: usize = 3;

/// What was done, to be held against what is there.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) samples: Vec<Sample>,
    pub(super) troubles: BTreeMap<&'static str, u64>,
    pub(super) patients: usize,
    pub(super) length: Duration,
    /// Readings that were measured.
    pub(super) measured: u64,
    pub(super) sums: Sums,
    /// What the histories have too few, and too many.
    pub(super) missing: u64,
    pub(super) twice: u64,
    /// Readings that each twin must count.
    pub(super) expected: BTreeMap<String, u64>,
    /// All delivered; a moment later, when readers had read; and from the log alone.
    pub(super) delivered: Now,
    pub(super) read_out: Now,
    pub(super) anew: Now,
    pub(super) readers: Vec<Saw>,
    pub(super) alerts: Vec<Record>,
    /// What the harness saw go wrong.
    pub(super) seen: Vec<String>,
}

/// Readings that `there` (in order) has too few and too many of what was measured (in order).
pub(super) fn compare(measured: &[(i64, i64)], there: &[(i64, i64)]) -> (u64, u64) {
    let mut left = BTreeMap::<_, i64>::new();
    for reading in measured {
        *left.entry(reading).or_default() += 1;
    }
    for reading in there {
        *left.entry(reading).or_default() -= 1;
    }
    let (mut missing, mut twice) = (0, 0);
    for count in left.into_values() {
        missing += u64::try_from(count).unwrap_or(0);
        twice += u64::try_from(-count).unwrap_or(0);
    }
    (missing, twice)
}

impl Found {
    /// What failed; empty: nothing.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = self.seen.clone();
        let mut fail = |wrong: bool, why: String| {
            if wrong {
                failures.push(why);
            }
        };
        fail(self.measured == 0, "nothing was measured".into());
        let missing = self.missing;
        fail(missing > 0, format!("{missing} readings are lost"));
        let twice = self.twice;
        fail(twice > 0, format!("{twice} readings are there twice"));
        for why in self.twins().into_iter().chain(self.readers()) {
            fail(true, why);
        }
        match held(&self.samples) {
            None => fail(true, "no long life of the centre was seen".into()),
            Some(held) => {
                let most = MOST_KIB.max(MOST_SHARE * self.level());
                let leaked = held.leaked_kib;
                fail(
                    leaked > most,
                    format!(
                        "not flat: {leaked:.0} KiB more than the log explains, at most {most:.0}: {}",
                        held.text
                    ),
                );
            }
        }
        for growth in growths(&self.samples, self.length.as_secs_f64()) {
            let (_, first, last, grown) = growth.rows[0];
            let who = growth.who;
            fail(
                who == "soak" && grown > OWN_KIB,
                format!(
                    "{who} is not flat: {first} to {last} KiB, {grown:.0} over the run's length, at most {OWN_KIB}"
                ),
            );
        }
        failures
    }

    fn level(&self) -> f64 {
        let last = self
            .samples
            .iter()
            .rev()
            .find_map(|of| of.processes.get("centre"));
        #[expect(clippy::cast_precision_loss, reason = "KiB are far below 2^53")]
        last.map_or(0.0, |taken| taken.anon_kib as f64)
    }

    fn twins(&self) -> Vec<String> {
        let wrong = self.expected.iter().filter_map(|(patient, expected)| {
            let counted = self
                .delivered
                .get(patient)
                .map_or(0, |(.., counted)| *counted);
            let why = format!("a twin counts {counted} readings of {expected}");
            (counted != *expected).then_some(why)
        });
        let other = self
            .anew
            .iter()
            .filter_map(|(patient, (position, hash, _))| {
                let before = self.read_out.get(patient)?;
                let why = format!("a twin at {position} is another one after a restart");
                (before.0 == *position && before.1 != *hash).then_some(why)
            });
        first(wrong).into_iter().chain(first(other)).collect()
    }

    fn readers(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, (twins, said)) in self.readers.iter().enumerate() {
            wrong.extend(said.iter().map(|said| format!("reader {number}: {said}")));
            let behind = self
                .delivered
                .iter()
                .filter_map(|(patient, (position, ..))| {
                    let seen = twins.position(patient);
                    let why = format!("reader {number} stands at {seen}, the twin at {position}");
                    (seen < *position).then_some(why)
                });
            wrong.extend(first(behind));
            let other = self
                .read_out
                .iter()
                .filter_map(|(patient, (position, hash, _))| {
                    let (at, seen) = twins.known.get(patient)?;
                    let why = format!("reader {number} saw another state at {position}");
                    (at == position && seen != hash).then_some(why)
                });
            wrong.extend(first(other));
        }
        if let [one, other] = self.alerts.as_slice() {
            let changes =
                |record: &Record| -> Vec<Step> { record.steps.iter().skip(1).cloned().collect() };
            // One may have ended before the newest came.
            let common = one.changes().min(other.changes());
            let mut one = one.clone();
            one.steps.truncate(common + 1);
            let mut happened = changes(other);
            happened.truncate(common);
            wrong.extend(
                one.verdict(&happened)
                    .err()
                    .map(|said| format!("alerts: {said}")),
            );
        }
        wrong
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        for (name, count) in &self.troubles {
            lines.push(format!("  {count:5} {name}"));
        }
        let Sums {
            receipted,
            sent_again,
            refused,
            lines: connections,
        } = self.sums;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let rate = self.measured as f64 / self.length.as_secs_f64();
        lines.push(format!(
            "{} readings of {} patients ({rate:.0}/s), {receipted} batches receipted, {sent_again} sent again after that, \
             {refused} refusals, {connections} lines; lost {}, twice {}",
            self.measured, self.patients, self.missing, self.twice
        ));
        let states = self.readers.iter().map(|(twins, _)| {
            let (came, left_out) = twins.states;
            format!(
                "{came} states ({left_out} conflated, {} snapshots)",
                twins.snapshots.len()
            )
        });
        let states: Vec<_> = states.collect();
        let alerts: Vec<_> = self
            .alerts
            .iter()
            .map(|of| of.changes().to_string())
            .collect();
        lines.push(format!(
            "readers: {}; changes of alerts {}",
            states.join(", "),
            alerts.join(" and ")
        ));
        let compared = self.anew.iter().filter(|(patient, state)| {
            self.read_out
                .get(*patient)
                .is_some_and(|before| before.0 == state.0)
        });
        lines.push(format!(
            "{} of {} twins stand where they stood before a restart, and are the same",
            compared.count(),
            self.patients
        ));
        lines.extend(held(&self.samples).map(|held| held.text));
        let failures = self.failures();
        lines.extend(failures.iter().map(|why| format!("FAILED: {why}")));
        lines.push(if failures.is_empty() {
            "passed: nothing receipted lost, nothing twice, flat".into()
        } else {
            "failed".into()
        });
        lines.join("\n")
    }
}

/// The first of them, and how many there are.
fn first(wrong: impl Iterator<Item = String>) -> Vec<String> {
    let all: Vec<String> = wrong.collect();
    let count = all.len();
    let mut shown: Vec<String> = all.into_iter().take(SHOWN).collect();
    if count > SHOWN {
        shown.push(format!("and {} like these", count - SHOWN));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::sample::Taken;
    use crate::watcher::Twins;

    fn sample(n: u32, centre: (u32, u64), own: u64) -> Sample {
        let taken = |pid, anon_kib| Taken {
            pid,
            anon_kib,
            ..Taken::default()
        };
        let processes = [
            ("centre".into(), taken(centre.0, centre.1)),
            ("soak".into(), taken(1, own)),
        ];
        Sample {
            at_s: f64::from(n) * 10.0,
            processes: processes.into(),
            ..Sample::default()
        }
    }

    /// A long life, and a short one on the same log.
    fn good() -> Found {
        let life = |n: u32| (2 + n / 80, 400_000 + u64::from(n % 80) * 100);
        let state = (9, vec![1], 20);
        let now: Now = [("a".to_owned(), state)].into();
        let mut twins = Twins::default();
        twins.known.insert("a".into(), (9, vec![1]));
        Found {
            samples: (0..100).map(|n| sample(n, life(n), 50_000)).collect(),
            length: Duration::from_secs(1000),
            measured: 20,
            expected: [("a".to_owned(), 20)].into(),
            delivered: now.clone(),
            read_out: now.clone(),
            anew: now,
            readers: vec![(twins, None)],
            ..Found::default()
        }
    }

    #[test]
    fn what_is_lost_and_what_is_twice_is_counted() {
        let measured = [(1, 60), (2, 61), (3, 60)];
        assert_eq!(compare(&measured, &measured), (0, 0));
        assert_eq!(compare(&measured, &measured[..2]), (1, 0));
        assert_eq!(
            compare(&measured, &[(1, 60), (1, 60), (2, 61), (3, 60)]),
            (0, 1)
        );
        assert_eq!(compare(&measured, &[(1, 60), (2, 99), (3, 60)]), (1, 1));
    }

    #[test]
    fn each_fault_is_named_and_a_good_run_passes() {
        assert_eq!(good().failures(), Vec::<String>::new(), "control");
        let failures = |change: fn(&mut Found)| {
            let mut found = good();
            change(&mut found);
            found.failures().join("; ")
        };
        for (change, says) in [
            (
                (|of| of.missing = 1) as fn(&mut Found),
                "1 readings are lost",
            ),
            (|of| of.twice = 2, "2 readings are there twice"),
            (|of| of.measured = 0, "nothing was measured"),
            (
                |of| *of.expected.get_mut("a").expect("a") = 21,
                "counts 20 readings of 21",
            ),
            (|of| of.delivered.clear(), "counts 0 readings"),
            (
                |of| of.anew.get_mut("a").expect("a").1 = vec![2],
                "another one after a restart",
            ),
            (
                |of| of.readers[0].1 = Some("it went back".into()),
                "it went back",
            ),
            (|of| of.readers[0].0.known.clear(), "reader 0 stands at 0"),
            (
                |of| of.read_out.get_mut("a").expect("a").1 = vec![2],
                "another state",
            ),
            (|of| of.samples.truncate(50), "no long life"),
        ] {
            let said = failures(change);
            assert!(said.contains(says), "{says}: {said}");
        }
    }

    #[test]
    fn memory_that_grows_is_a_leak_at_either_end() {
        let mut found = good();
        let life = |n: u32| {
            let (anew, of) = (n / 80, u64::from(n % 80));
            (2 + anew, 400_000 + of * 2000)
        };
        found.samples = (0..100).map(|n| sample(n, life(n), 50_000)).collect();
        assert!(
            found
                .failures()
                .join("")
                .contains("more than the log explains")
        );
        let mut found = good();
        let own = |n: u32| sample(n, (2 + n / 80, 400_000), 50_000 + u64::from(n) * 1000);
        found.samples = (0..100).map(own).collect();
        assert!(found.failures().join("").contains("soak is not flat"));
    }
}
