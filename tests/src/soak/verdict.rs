//! PURE. From samples and last counts to what failed.
//!
//! Flat means: over the second half of each long life of a process, the middle of all slopes between two samples
//! (Theil and Sen) is below a bound. That line ignores single peaks, and a process that grows to its working size and
//! stays there is flat.
//!
//! The centre's memory is judged otherwise. It keeps eight days of coverage, which is as long as the run: it fills up all
//! the time, by design, to a bound that the tests of `twin` hold; and it rises and falls by ten mebibytes with the
//! history's tail, which it keeps until ten minutes of the wall or 250,000 readings fill a block. But all that it keeps is a fold of its log, so it is started anew near the end: what it holds more at its
//! least, late in its long life than in the middle, and would not hold because of what the log grew by, is a leak.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::sample::{Counts, Sample, Taken};
use crate::client::Measurement;

/// Its name among the processes.
const CENTRE: &str = "centre";
/// A life shorter than this share of the run says nothing about leaks.
const LONG_LIFE: f64 = 0.4;
/// And so do fewer samples in its second half.
const FEWEST: usize = 8;
/// Memory of a life shorter than this may still grow to its working size.
const SETTLED_S: f64 = 1800.0;
/// Resident KiB that a process may gain over the length of the run, if the second half of its life went on like that.
const MOST_KIB: f64 = 2048.0;
/// First samples of a life of the centre whose least says what its log makes it hold.
const FIRST: usize = 3;
/// Handles and threads likewise.
const MOST_HANDLES: f64 = 4.0;

/// One reading in so many may be like another by chance, where a clock passed a moment twice.
const CHANCE: u64 = 10_000;

/// Readings that are alike in everything that tells measurements apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alike {
    /// One measurement, kept twice: kind and source.
    pub twice: Vec<(i32, u32)>,
    /// Without a stamp of the device, at a moment that the gateway's clock passed more than once: two measurements or one.
    pub unknown: u64,
}

/// Looks for pairs in a sorted list; `again` is what the clock passed more than once.
#[must_use]
pub fn alike(sorted: &[Measurement], again: &[(i64, i64)]) -> Alike {
    let mut found = Alike::default();
    for pair in sorted.windows(2).filter(|pair| pair[0] == pair[1]) {
        let (kind, _, source, effective, _, stamp) = &pair[0];
        let passed = |(from, to): &(i64, i64)| from <= effective && effective <= to;
        if *stamp == 0 && again.iter().any(passed) {
            found.unknown += 1;
        } else {
            found.twice.push((*kind, *source));
        }
    }
    found
}

/// How it ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Last {
    /// The last sample, everything drained.
    pub sample: Sample,
    /// Readings that the history gives once more than they were measured, by home, kind and source.
    pub twice: BTreeMap<String, u64>,
    /// Readings that look like another one, where only a clock that passed a moment twice may be to blame, by home.
    pub unknown: BTreeMap<String, u64>,
    /// Readings that the history gives, by home.
    pub read: BTreeMap<String, u64>,
    /// Readings that the history gives: those with a number.
    pub in_history: u64,
    /// Readings that the twin applied or quarantined, by home.
    pub kept: BTreeMap<String, u64>,
    /// Agents that ended by themselves and were started again, by what they said last.
    pub ended_by_themselves: BTreeMap<String, u64>,
    /// What the harness itself saw go wrong.
    pub seen: Vec<String>,
}

/// How a long life grew.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// Home and part.
    pub who: String,
    /// Seconds lived under observation.
    pub lived_s: f64,
    /// First and last in its second half, and growth over the length of the run: resident KiB, handles, threads.
    pub rows: [(&'static str, u64, u64, f64); 3],
}

/// What failed, and the growth of all long lives.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Nothing failed if empty.
    pub failures: Vec<String>,
    /// For people.
    pub growths: Vec<Growth>,
    books: String,
    centre: String,
}

impl Verdict {
    /// Judges a run of that length.
    #[must_use]
    pub fn of(samples: &[Sample], last: &Last, length: Duration) -> Self {
        let mut verdict = Self {
            growths: growths(samples, length.as_secs_f64()),
            ..Self::default()
        };
        verdict.failures.extend(last.seen.iter().cloned());
        verdict.judge_growth();
        verdict.judge_centre(samples);
        verdict.judge_books(samples, last);
        verdict
    }

    fn judge_growth(&mut self) {
        for who in ["steady/agent", CENTRE] {
            if !self.growths.iter().any(|growth| growth.who == who) {
                self.failures
                    .push(format!("no long life of {who} was seen"));
            }
        }
        for growth in &self.growths {
            for (what, first, last, grown) in growth.rows {
                let most = if what == "KiB" {
                    MOST_KIB
                } else {
                    MOST_HANDLES
                };
                let settled = what != "KiB" || growth.lived_s >= SETTLED_S && growth.who != CENTRE;
                if grown > most && settled {
                    self.failures.push(format!(
                        "{} is not flat: {first} to {last} {what}, {grown:.0} over the run's length (at most {most})",
                        growth.who
                    ));
                }
            }
        }
    }

    /// The last life began on the log of the one before it.
    fn judge_centre(&mut self, samples: &[Sample]) {
        let Some(held) = held(samples) else {
            return;
        };
        if held.leaked_kib > MOST_KIB && held.lived_s >= SETTLED_S {
            let (most, text) = (MOST_KIB, &held.text);
            let why = format!("{text} (at most {most} KiB more than its log explains)");
            self.failures.push(why);
        }
        self.centre = held.text;
    }

    fn judge_books(&mut self, samples: &[Sample], last: &Last) {
        let (homes, centre) = (&last.sample.homes, &last.sample.centre);
        let sum = |of: fn(&Counts) -> u64| homes.values().map(of).sum::<u64>();
        let (decoded, receipted) = (sum(|c| c.decoded), sum(|c| c.receipted));
        let kept = centre.applied + centre.quarantined + centre.declared_lost;
        let mut fail = |wrong: bool, why: String| {
            if wrong {
                self.failures.push(why);
            }
        };
        fail(
            !centre.known,
            "the centre does not answer at the end".into(),
        );
        fail(decoded == 0, "nothing was measured".into());
        for (home, counts) in homes {
            let waiting = counts.waiting;
            fail(waiting > 0, format!("{home} still holds {waiting} records"));
        }
        fail(
            decoded > kept,
            format!("{decoded} decoded and kept, {kept} applied, quarantined or declared lost"),
        );
        let dropped = sum(|c| c.dropped);
        fail(
            dropped != centre.declared_lost,
            format!("{dropped} dropped, {} declared lost", centre.declared_lost),
        );
        for (home, counts) in homes {
            let there = last.kept.get(home).copied().unwrap_or(0);
            let whole = counts.decoded.checked_sub(counts.dropped + there);
            // A killed agent may have sent what it had not committed: the centre then knows more than its books.
            let wrong = whole.map_or(home == "steady", |missing| missing > 0);
            fail(
                wrong,
                format!(
                    "{home}: {} decoded, {} dropped, {there} in the twin",
                    counts.decoded, counts.dropped
                ),
            );
        }
        fail(
            centre.applied > centre.journaled,
            format!(
                "{} applied of {} journaled",
                centre.applied, centre.journaled
            ),
        );
        for (what, count) in &last.twice {
            fail(
                true,
                format!("{count} readings twice in the history, {what}"),
            );
        }
        for (home, unknown) in &last.unknown {
            let read = last.read.get(home).copied().unwrap_or(0);
            fail(
                *unknown * CHANCE > read,
                format!(
                    "{home}: {unknown} of {read} readings are like another, too many for a clock that was set back"
                ),
            );
        }
        for why in fallen(samples, &last.sample) {
            fail(true, why);
        }
        self.books = format!(
            "{decoded} decoded, {receipted} receipted; centre: {} journaled, {} applied, {} came again, {} quarantined, {} declared lost, {} losses of unknown size; in the history {}, {} twice, {} like another where a clock passed twice",
            centre.journaled,
            centre.applied,
            centre.duplicated,
            centre.quarantined,
            centre.declared_lost,
            centre.losses_of_unknown_size,
            last.in_history,
            last.twice.values().sum::<u64>(),
            last.unknown.values().sum::<u64>()
        );
    }

    /// For people.
    #[must_use]
    pub fn text(&self, troubles: &BTreeMap<&'static str, u64>) -> String {
        let mut text = String::from("what happened:\n");
        for (name, count) in troubles {
            // A String takes everything.
            let _fine = writeln!(text, "  {count:5} {name}");
        }
        text += "second half of each long life (first, last, growth over the run's length):\n";
        for growth in &self.growths {
            let rows = growth.rows.map(|(what, first, last, grown)| {
                format!("{first} to {last} {what} ({grown:+.1})")
            });
            let _fine = writeln!(
                text,
                "  {:<13} {:6.0} s  {}",
                growth.who,
                growth.lived_s,
                rows.join(", ")
            );
        }
        let _fine = writeln!(text, "{}\nbooks: {}", self.centre, self.books);
        for failure in &self.failures {
            let _fine = writeln!(text, "FAILED: {failure}");
        }
        text += if self.failures.is_empty() {
            "passed: nothing receipted lost, nothing applied twice, everything else declared; flat"
        } else {
            "failed"
        };
        text
    }
}

/// What the centre's last life but one held more and more of, and would not hold because of its log.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// For people.
    pub(super) text: String,
    pub(super) leaked_kib: f64,
    /// How long that life was.
    pub(super) lived_s: f64,
}

/// Compares the last two lives of the centre; `None` where there are no two.
pub(super) fn held(samples: &[Sample]) -> Option<Held> {
    let mut lives: Vec<(u32, f64, Vec<u64>)> = Vec::new();
    for sample in samples {
        let Some(taken) = sample.processes.get(CENTRE) else {
            continue;
        };
        match lives.last_mut() {
            Some((pid, _, held)) if *pid == taken.pid => held.push(taken.anon_kib),
            Some(_) | None => lives.push((taken.pid, sample.at_s, vec![taken.anon_kib])),
        }
    }
    let [.., (_, began, long), (_, ended, anew)] = lives.as_slice() else {
        return None;
    };
    let lived_s = ended - began;
    let least = |held: &[u64]| held.iter().min().copied();
    let third = long.len() / 3;
    let (begin, end) = (long.len() - 2 * third, long.len() - third);
    let levels = (
        least(&long[..long.len().min(FIRST)]),
        least(&anew[..anew.len().min(FIRST)]),
        least(&long[begin..end]),
        least(&long[end..]),
    );
    let (Some(first), Some(anew), Some(middle), Some(late)) = levels else {
        return None;
    };
    let text = format!(
        "the centre held {first} KiB at the begin of its life of {lived_s:.0} s and {anew} KiB anew at its end; at its \
         least {middle} KiB in the middle and {late} KiB at last"
    );
    #[expect(clippy::cast_precision_loss, reason = "KiB are far below 2^53")]
    let grown = |from: u64, to: u64| to as f64 - from as f64;
    let leaked_kib = grown(middle, late) - grown(first, anew).max(0.0);
    Some(Held {
        text,
        leaked_kib,
        lived_s,
    })
}

/// Counts that may never fall, and did: what an agent had receipted when it was looked at must stay in its books and
/// in the centre's journal, through every kill.
fn fallen(samples: &[Sample], last: &Sample) -> Vec<String> {
    let mut wrong = BTreeMap::<&str, String>::new();
    let mut receipted = BTreeMap::<&str, u64>::new();
    for sample in samples.iter().chain([last]) {
        for (home, counts) in &sample.homes {
            let known = receipted.entry(home).or_default();
            // An agent that has just been started has not written a status yet.
            if counts.sealed > 0 && counts.sealed < *known {
                let (sealed, at_s) = (counts.sealed, sample.at_s);
                let why =
                    format!("{home} had {known} receipted, and {sealed} sealed at {at_s:.0} s");
                wrong.entry(home).or_insert(why);
            }
            *known = counts.receipted.max(*known);
        }
    }
    let (all, journaled) = (receipted.values().sum::<u64>(), last.centre.journaled);
    let short = format!("{all} receipted, {journaled} in the journal");
    let short = (journaled < all).then_some(short);
    wrong.into_values().chain(short).collect()
}

/// How each long life grew in its second half.
pub(super) fn growths(samples: &[Sample], length_s: f64) -> Vec<Growth> {
    let mut lives = BTreeMap::<(&str, u32), Vec<(f64, &Taken)>>::new();
    for sample in samples {
        for (who, taken) in &sample.processes {
            let life = lives.entry((who, taken.pid)).or_default();
            life.push((sample.at_s, taken));
        }
    }
    lives
        .into_iter()
        .filter_map(|((who, _), life)| growth(who, &life, length_s))
        .collect()
}

fn growth(who: &str, life: &[(f64, &Taken)], length_s: f64) -> Option<Growth> {
    let lived_s = life.last()?.0 - life.first()?.0;
    let half = life.get(life.len() / 2..)?;
    if lived_s < LONG_LIFE * length_s || half.len() < FEWEST {
        return None;
    }
    let row = |what, of: fn(&Taken) -> u64| {
        #[expect(
            clippy::cast_precision_loss,
            reason = "KiB and handles are far below 2^53"
        )]
        let points: Vec<(f64, f64)> = half.iter().map(|(at, t)| (*at, of(t) as f64)).collect();
        let [first, last] = [half.first()?, half.last()?].map(|(_, taken)| of(taken));
        Some((what, first, last, slope(&points)? * length_s))
    };
    Some(Growth {
        who: who.into(),
        lived_s,
        rows: [
            row("KiB", |t| t.anon_kib)?,
            row("handles", |t| t.fds)?,
            row("threads", |t| t.threads)?,
        ],
    })
}

/// The middle of the slopes between all pairs.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::new();
    for (n, (x, y)) in points.iter().enumerate() {
        for (later, value) in &points[n + 1..] {
            slopes.push((value - y) / (later - x));
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::sample::CentreCounts;
    use super::*;

    const RUN: Duration = Duration::from_secs(6000);

    fn run(handles: fn(u64) -> u64, sealed: u64) -> (Vec<Sample>, Last) {
        let at = |minute: u64| {
            let taken = Taken {
                pid: 7,
                rss_kib: 20_000,
                anon_kib: 9000 + minute % 3,
                fds: handles(minute),
                threads: 9,
            };
            let counts = Counts {
                decoded: 10 * minute,
                sealed: 10 * minute,
                receipted: 10 * minute,
                ..Counts::default()
            };
            #[expect(clippy::cast_precision_loss, reason = "a hundred")]
            let at_s = minute as f64 * 60.0;
            Sample {
                at_s,
                processes: [
                    ("steady/agent".into(), taken.clone()),
                    ("centre".into(), taken),
                ]
                .into(),
                homes: [("steady".into(), counts)].into(),
                centre: CentreCounts {
                    known: true,
                    journaled: 10 * minute,
                    applied: 10 * minute,
                    ..CentreCounts::default()
                },
                ..Sample::default()
            }
        };
        let mut sample = at(100);
        if let Some(counts) = sample.homes.get_mut("steady") {
            counts.sealed = sealed;
        }
        let last = Last {
            sample,
            kept: [("steady".into(), 1000)].into(),
            ..Last::default()
        };
        ((0..100).map(at).collect(), last)
    }

    #[test]
    fn a_flat_run_with_whole_books_passes() {
        let (samples, last) = run(|minute| 30 + minute % 5, 1000);
        let verdict = Verdict::of(&samples, &last, RUN);
        assert!(verdict.failures.is_empty(), "{:?}", verdict.failures);
    }

    #[test]
    fn a_leak_is_seen_and_growing_once_is_none() {
        let (samples, last) = run(|minute| 30 + minute / 5, 1000);
        let verdict = Verdict::of(&samples, &last, RUN);
        assert!(verdict.failures.iter().any(|why| why.contains("not flat")));
        let (samples, last) = run(|minute| 30 + minute.min(40), 1000);
        assert!(Verdict::of(&samples, &last, RUN).failures.is_empty());
    }

    #[test]
    fn what_the_log_makes_the_centre_hold_is_no_leak_and_what_it_does_not_hold_again_is() {
        let judge = |held: fn(u64, bool) -> u64| {
            let (mut samples, last) = run(|_| 30, 1000);
            for (minute, sample) in (0..).zip(&mut samples) {
                let anew = minute >= 92;
                let taken = sample.processes.get_mut(CENTRE).expect("there");
                (taken.pid, taken.anon_kib) = (7 + u32::from(anew), held(minute, anew));
            }
            Verdict::of(&samples, &last, RUN).failures.join("; ")
        };
        // Up to ten mebibytes more before each snapshot.
        assert_eq!(
            judge(|minute, _| 9000 + 60 * minute + minute % 10 * 1000),
            "",
            "it fills up"
        );
        let leaked = judge(|minute, anew| 9000 + if anew { 0 } else { 80 * minute });
        assert!(leaked.contains("more than its log explains"), "{leaked}");
    }

    #[test]
    fn a_pair_is_one_measurement_unless_a_device_or_a_clock_tells_otherwise() {
        let at = |effective, stamp| (1, "aa".to_owned(), 3, effective, 72, stamp);
        let again = [(1000, 2000)];
        let found = alike(&[at(500, 0), at(500, 0)], &again);
        assert_eq!(found.twice, [(1, 3)], "the clock passed it once");
        let found = alike(&[at(1500, 0), at(1500, 0)], &again);
        assert_eq!((found.twice.len(), found.unknown), (0, 1));
        let found = alike(&[at(1500, 7), at(1500, 7)], &again);
        assert_eq!(
            (found.twice.len(), found.unknown),
            (1, 0),
            "its device knew"
        );
        let found = alike(&[at(500, 7), at(500, 8)], &again);
        assert_eq!(found, Alike::default(), "two checks, dated at once");
        let failures = |unknown| {
            let (samples, mut last) = run(|_| 30, 1000);
            last.unknown.insert("rough".into(), unknown);
            last.read.insert("rough".into(), 30_000);
            Verdict::of(&samples, &last, RUN).failures.join("; ")
        };
        assert_eq!(failures(3), "");
        assert!(failures(4).contains("too many for a clock"));
    }

    #[test]
    fn lost_doubled_and_forgotten_readings_are_seen() {
        let failures = |change: fn(&mut Last)| {
            let (samples, mut last) = run(|_| 30, 1000);
            change(&mut last);
            Verdict::of(&samples, &last, RUN).failures.join("; ")
        };
        assert_eq!(failures(|_| {}), "");
        let lost = failures(|last| last.sample.centre.applied -= 1);
        assert!(lost.contains("1000 decoded and kept, 999"), "{lost}");
        assert!(
            failures(|last| {
                last.twice.insert("steady".into(), 1);
            })
            .contains("twice")
        );
        assert!(failures(|last| last.sample.centre.applied += 1).contains("1001 applied"));
        let (samples, last) = run(|_| 30, 400);
        let forgot = Verdict::of(&samples, &last, RUN).failures.join("; ");
        assert!(
            forgot.contains("had 990 receipted, and 400 sealed"),
            "{forgot}"
        );
    }
}
