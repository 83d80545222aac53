//! Report: atrial fibrillation on real RR intervals, the live model beside the former one (Zhou 2015 by itself, as
//! published). Beat-wise, causal (the verdict at the beat, from what lies before it), and as alerts would show it.
//!
//! Cuts were chosen on simulation, CinC 2017, GUDB and Welltory, so what is printed of these is no independent figure. The
//! AFDB sample was looked at twice, and the second choice knew what the first look had shown (MODELS.md).
//! Run: `cargo run --release -p twin --example af_report`.

mod support;

use std::path::Path;

use support::recorded::{beats, bootstrap, cinc, unzip, wilson};
use twin::rhythm::{Beat, Beats, CUT, Verdict};
use twin::rule::{RHYTHM_CLEAR, RHYTHM_HOLD};
use vitals::{Span, Time};

/// Reports on the recordings of a folder.
type Report = fn(&Path);

fn main() {
    let recordings = support::recordings();
    let reports: [(&str, Report); 4] = [
        ("afdb_rr_sample", report_afdb),
        ("gudb_rpeaks", report_gudb),
        ("cinc2017", report_cinc),
        ("welltory_covid", report_welltory),
    ];
    for (name, report) in reports {
        let folder = recordings.join(name);
        if folder.exists() {
            report(&folder);
        } else {
            println!("skipped: {} absent", folder.display());
        }
    }
}

/// Who judges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    Zhou,
    Live,
}

const MODELS: [(Model, &str); 2] = [(Model::Zhou, "Zhou 2015"), (Model::Live, "live")];

/// An interval: its end, tenths of a millisecond.
type Interval = (Time, i64);

/// What a model says at each beat: nothing, no, yes.
fn verdicts(model: Model, intervals: &[Interval]) -> Vec<Option<bool>> {
    let mut kept = Beats::default();
    let say = |(sequence, (at, tenth_ms)): (u64, &Interval)| {
        kept.take(Beat {
            at: *at,
            tenth_ms: Some(*tenth_ms),
            sequence,
            run: 0,
        });
        match model {
            Model::Zhou => kept.entropy().map(|entropy| entropy > CUT),
            Model::Live => match kept.verdict() {
                Verdict::Unknown => None,
                Verdict::Other => Some(false),
                Verdict::Fibrillation => Some(true),
            },
        }
    };
    (0..).zip(intervals).map(say).collect()
}

/// Begin and end of alerts: verdicts that hold, until the contrary holds. The begin is the first beat of the first
/// positive window: 129 beats (Zhou), 19 (live).
fn alerts(model: Model, intervals: &[Interval], verdicts: &[Option<bool>]) -> Vec<(Time, Time)> {
    let window = match model {
        Model::Zhou => 128,
        Model::Live => 18,
    };
    let (mut spans, mut open, mut since) = (Vec::new(), None, 0);
    for (index, verdict) in verdicts.iter().enumerate() {
        if index == 0 || verdicts[index - 1] != *verdict {
            since = index;
        }
        let lasted = intervals[index].0.since(intervals[since].0);
        match (verdict, open) {
            (Some(true), None) if lasted >= RHYTHM_HOLD => {
                open = Some(intervals[since.saturating_sub(window)].0);
            }
            (Some(false), Some(begin)) if lasted >= RHYTHM_CLEAR => {
                spans.push((begin, intervals[index].0));
                open = None;
            }
            _ => {}
        }
    }
    if let (Some(begin), Some((last, _))) = (open, intervals.last()) {
        spans.push((begin, *last));
    }
    spans
}

#[derive(Clone, Default)]
struct Tally {
    name: String,
    tp: u64,
    fp: u64,
    tn: u64,
    fn_: u64,
    episodes: u64,
    found: u64,
    alerts: u64,
    false_alerts: u64,
    free_hours: f64,
    /// Seconds from the begin of an episode to the first positive verdict in it.
    waits: Vec<f64>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.tp += other.tp;
        self.fp += other.fp;
        self.tn += other.tn;
        self.fn_ += other.fn_;
        self.episodes += other.episodes;
        self.found += other.found;
        self.alerts += other.alerts;
        self.false_alerts += other.false_alerts;
        self.free_hours += other.free_hours;
        self.waits.extend(&other.waits);
    }

    fn sum(of: &[&Self]) -> Self {
        let mut sum = Self::default();
        of.iter().for_each(|one| sum.add(one));
        sum
    }

    fn share(a: u64, b: u64) -> f64 {
        100.0 * a as f64 / (a + b) as f64
    }

    fn sensitivity(&self) -> f64 {
        Self::share(self.tp, self.fn_)
    }

    fn specificity(&self) -> f64 {
        Self::share(self.tn, self.fp)
    }

    fn print(&self) {
        let mut waits = self.waits.clone();
        waits.sort_by(f64::total_cmp);
        let wait = waits.get(waits.len() / 2).copied().unwrap_or(f64::NAN);
        println!(
            "  {:>9}  Se {:6.2}  Sp {:6.2}  PPV {:6.2}  episodes >= 30 s found {}/{}  alerts {} false {} ({:.2} per 24 h without AF)  first yes after {wait:.0} s",
            self.name,
            self.sensitivity(),
            self.specificity(),
            Self::share(self.tp, self.fp),
            self.found,
            self.episodes,
            self.alerts,
            self.false_alerts,
            self.false_alerts as f64 * 24.0 / self.free_hours
        );
    }
}

fn report_afdb(folder: &Path) {
    println!("AFDB sample (4 of 25 records; machine beats), causal");
    for (model, name) in MODELS {
        println!(" {name}");
        let mut tallies = Vec::new();
        for record in ["04015", "04043", "04746", "08219"] {
            let text = unzip(&folder.join(format!("qrs{record}.txt.gz")));
            let labels = rhythms(&unzip(&folder.join(format!("atr{record}.txt.gz"))));
            let mut tally = tally(model, &at_250_hz(&text), &labels);
            tally.name = record.to_owned();
            tally.print();
            tallies.push(tally);
        }
        let mut total = Tally::sum(&tallies.iter().collect::<Vec<_>>());
        total.name = "all".to_owned();
        total.print();
        let se = bootstrap(&tallies, |drawn| Tally::sum(drawn).sensitivity());
        let sp = bootstrap(&tallies, |drawn| Tally::sum(drawn).specificity());
        let found = wilson(total.found, total.episodes);
        println!(
            "             95 %: Se {:.1}-{:.1}, Sp {:.1}-{:.1} (records drawn again: there are four), found {:.1}-{:.1} %",
            se.0, se.1, sp.0, sp.1, found.0, found.1
        );
    }
    println!(
        "  (25 records, shared reference, Zhou 2015: causal Se 96.10 Sp 97.52; 3.57 false episodes per 24 h)"
    );
}

/// A line of the dump: start sample, seconds, end sample.
fn at_250_hz(text: &str) -> Vec<Interval> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let start: i64 = fields.next()?.parse().ok()?;
        let end: i64 = fields.nth(1)?.parse().ok()?;
        Some((Time::from_micros(end * 4000), (end - start) * 40))
    };
    text.lines().filter_map(line).collect()
}

/// Changes of rhythm: when, is it atrial fibrillation.
fn rhythms(text: &str) -> Vec<(Time, bool)> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let sample: i64 = fields.nth(1)?.parse().ok()?;
        Some((Time::from_micros(sample * 4000), line.contains("(AFIB")))
    };
    text.lines().filter_map(line).collect()
}

fn tally(model: Model, intervals: &[Interval], labels: &[(Time, bool)]) -> Tally {
    let mut tally = Tally::default();
    let verdicts = verdicts(model, intervals);
    let last = intervals.last().map_or(Time::ZERO, |(end, _)| *end);
    let ends = labels.iter().skip(1).map(|(at, _)| *at).chain([last]);
    let truth: Vec<(Time, Time)> = labels
        .iter()
        .zip(ends)
        .filter(|((_, af), _)| *af)
        .map(|((from, _), to)| (*from, to))
        .collect();
    for ((end, tenth_ms), verdict) in intervals.iter().zip(&verdicts) {
        let label = labels.partition_point(|(from, _)| from <= end);
        let af = label.checked_sub(1).is_some_and(|label| labels[label].1);
        match (*verdict == Some(true), af) {
            (true, true) => tally.tp += 1,
            (true, false) => tally.fp += 1,
            (false, true) => tally.fn_ += 1,
            (false, false) => tally.tn += 1,
        }
        if !af {
            tally.free_hours += *tenth_ms as f64 / 36e6;
        }
    }
    let spans = alerts(model, intervals, &verdicts);
    let meets = |a: &(Time, Time), b: &(Time, Time)| a.0 < b.1 && b.0 < a.1;
    for episode in &truth {
        if episode.1.since(episode.0) < Span::from_secs(30) {
            continue;
        }
        tally.episodes += 1;
        tally.found += u64::from(spans.iter().any(|span| meets(span, episode)));
        let within = intervals.iter().zip(&verdicts);
        let first = within
            .filter(|((end, _), _)| (episode.0..episode.1).contains(end))
            .find(|(_, verdict)| **verdict == Some(true));
        if let Some(((end, _), _)) = first {
            tally
                .waits
                .push(end.since(episode.0).as_micros() as f64 / 1e6);
        }
    }
    tally.alerts = spans.len() as u64;
    let is_false = |span: &&(Time, Time)| !truth.iter().any(|episode| meets(span, episode));
    tally.false_alerts = spans.iter().filter(is_false).count() as u64;
    tally
}

/// Verdicts on many short series: beats judged and positive, series judged and ever positive, series that alert.
#[derive(Default)]
struct Flagged {
    judged: u64,
    positive: u64,
    series: u64,
    ever: u64,
    alerted: u64,
}

impl Flagged {
    fn take(&mut self, model: Model, intervals: &[Interval]) {
        let verdicts = verdicts(model, intervals);
        let judged = verdicts.iter().flatten().count() as u64;
        let positive = verdicts.iter().filter(|v| **v == Some(true)).count() as u64;
        self.judged += judged;
        self.positive += positive;
        self.series += u64::from(judged > 0);
        self.ever += u64::from(positive > 0);
        self.alerted += u64::from(!alerts(model, intervals, &verdicts).is_empty());
    }

    fn print(&self, what: &str) {
        let (low, high) = wilson(self.ever, self.series);
        println!(
            "  {what:>22}: {} of {} beats judged AF ({:.2} %); {} of {} series ever (95 %: {low:.1}-{high:.1} %), {} alert",
            self.positive,
            self.judged,
            100.0 * self.positive as f64 / self.judged.max(1) as f64,
            self.ever,
            self.series,
            self.alerted
        );
    }
}

/// Ends that follow from the intervals.
fn in_a_row(tenth_ms: impl Iterator<Item = i64>) -> Vec<Interval> {
    let mut at = Time::ZERO;
    let end = |tenth_ms| {
        at = at + Span::from_micros(tenth_ms * 100);
        (at, tenth_ms)
    };
    tenth_ms.map(end).collect()
}

fn report_gudb(folder: &Path) {
    println!(
        "GUDB, 25 healthy students, R peaks by hand, 2 min per activity, chest strap and cables"
    );
    for activity in ["sitting", "maths", "walking", "hand_bike", "jogging"] {
        for (model, name) in MODELS {
            let mut flagged = Flagged::default();
            for (subject, lead) in
                (0..25).flat_map(|subject| [(subject, "cs"), (subject, "cables")])
            {
                let file = format!("subject_{subject:02}/{activity}/annotation_{lead}.tsv");
                let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
                    continue;
                };
                let peaks: Vec<i64> = text.lines().filter_map(|l| l.trim().parse().ok()).collect();
                let steps = peaks.windows(2).map(|pair| (pair[1] - pair[0]) * 40);
                flagged.take(model, &in_a_row(steps));
            }
            flagged.print(&format!("{activity}, {name}"));
        }
    }
}

fn report_cinc(folder: &Path) {
    println!(
        "CinC 2017 (290 of 8,528), ECG of 9-61 s through our QRS detection; labels are of whole recordings"
    );
    let recordings: Vec<_> = cinc(folder)
        .into_iter()
        .map(|(_, label, signal)| {
            let found = beats(&signal, 300.0);
            let intervals = found
                .iter()
                .filter_map(|beat| Some((beat.at, beat.tenth_ms?)));
            (label, intervals.collect::<Vec<_>>())
        })
        .collect();
    for (label, what) in [
        ('A', "AF"),
        ('N', "normal"),
        ('O', "other rhythm"),
        ('~', "noisy"),
    ] {
        for (model, name) in MODELS {
            let mut flagged = Flagged::default();
            for (_, intervals) in recordings.iter().filter(|(of, _)| *of == label) {
                flagged.take(model, intervals);
            }
            flagged.print(&format!("{what}, {name}"));
        }
    }
}

fn report_welltory(folder: &Path) {
    println!("Welltory, 3,245 short readings by phone camera or strap; who has AF is not known");
    let text = std::fs::read_to_string(folder.join("hrv_measurements.csv")).expect("in SOURCE.md");
    for (model, name) in MODELS {
        let mut flagged = Flagged::default();
        for line in text.lines() {
            // The intervals are the one quoted field.
            let Some(list) = line.split('"').nth(1) else {
                continue;
            };
            let tenths = list
                .split(',')
                .filter_map(|ms| ms.trim().parse::<f64>().ok());
            flagged.take(model, &in_a_row(tenths.map(|ms| (ms * 10.0) as i64)));
        }
        flagged.print(name);
    }
}
