//! Report: atrial fibrillation on real RR intervals. Beat-wise sensitivity and specificity on the AFDB sample
//! (causal: the verdict at the window's end), episodes as alerts would show them, and false alerts on GUDB
//! (healthy students). Nothing is tuned on either set. Run: `cargo run --release -p twin --example af_report`.

mod support;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use twin::rhythm::{Beat, Beats, Judgement, Verdict};
use vitals::{Span, Time};

fn main() {
    let recordings = support::recordings();
    let afdb = recordings.join("afdb_rr_sample");
    if afdb.exists() {
        report_afdb(&afdb);
    } else {
        println!("skipped: {} absent", afdb.display());
    }
    let gudb = recordings.join("gudb_rpeaks");
    if gudb.exists() {
        report_gudb(&gudb);
    } else {
        println!("skipped: {} absent", gudb.display());
    }
}

fn unzip(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).expect("listed in SOURCE.md");
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("gzip text");
    text
}

/// End sample and tenths of a millisecond of each interval, at 250 Hz.
fn intervals(text: &str) -> Vec<(i64, i64)> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let start: i64 = fields.next()?.parse().ok()?;
        let end: i64 = fields.nth(1)?.parse().ok()?;
        Some((end, (end - start) * 40))
    };
    text.lines().filter_map(line).collect()
}

/// Changes of rhythm: sample, is it atrial fibrillation.
fn rhythms(text: &str) -> Vec<(i64, bool)> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let sample: i64 = fields.nth(1)?.parse().ok()?;
        Some((sample, line.contains("(AFIB")))
    };
    text.lines().filter_map(line).collect()
}

#[derive(Default)]
struct Tally {
    tp: u64,
    fp: u64,
    tn: u64,
    fn_: u64,
    episodes: u64,
    found: u64,
    alerts: u64,
    false_alerts: u64,
    free_hours: f64,
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
    }

    fn print(&self, name: &str) {
        let share = |a: u64, b: u64| {
            if a + b == 0 {
                f64::NAN
            } else {
                100.0 * a as f64 / (a + b) as f64
            }
        };
        println!(
            "{name:>6}  Se {:6.2}  Sp {:6.2}  PPV {:6.2}  episodes >= 30 s found {}/{}  alerts {} false {} ({:.2} per 24 h without AF)",
            share(self.tp, self.fn_),
            share(self.tn, self.fp),
            share(self.tp, self.fp),
            self.found,
            self.episodes,
            self.alerts,
            self.false_alerts,
            self.false_alerts as f64 * 24.0 / self.free_hours
        );
    }
}

fn report_afdb(folder: &Path) {
    println!("AFDB sample (4 of 25 records; machine beats), causal, cut 0.639 as published");
    let mut total = Tally::default();
    for record in ["04015", "04043", "04746", "08219"] {
        let beats = intervals(&unzip(&folder.join(format!("qrs{record}.txt.gz"))));
        let labels = rhythms(&unzip(&folder.join(format!("atr{record}.txt.gz"))));
        let tally = run(&beats, &labels);
        tally.print(record);
        total.add(&tally);
    }
    total.print("all");
    println!(
        "        (25 records, shared reference: causal Se 96.10 Sp 97.52; 3.57 false episodes per 24 h)"
    );
}

fn run(beats: &[(i64, i64)], labels: &[(i64, bool)]) -> Tally {
    let is_af = |sample: i64| {
        labels
            .iter()
            .take_while(|(from, _)| *from <= sample)
            .last()
            .is_some_and(|(_, af)| *af)
    };
    let mut tally = Tally::default();
    let mut kept = Beats::default();
    let mut alert: Option<i64> = None;
    let mut spans = Vec::new();
    for (sequence, &(end, tenth_ms)) in beats.iter().enumerate() {
        let at = Time::ZERO + Span::from_micros(end * 4000);
        kept.take(Beat {
            at,
            tenth_ms: Some(tenth_ms),
            sequence: sequence as u64,
            run: 0,
        });
        match (kept.verdict() == Verdict::Fibrillation, is_af(end)) {
            (true, true) => tally.tp += 1,
            (true, false) => tally.fp += 1,
            (false, true) => tally.fn_ += 1,
            (false, false) => tally.tn += 1,
        }
        if !is_af(end) {
            tally.free_hours += tenth_ms as f64 / 36e6;
        }
        match (kept.judgement(), alert) {
            (Judgement::Holds { onset, .. }, None) => {
                alert = Some(onset.as_micros() / 4000);
            }
            (Judgement::Clear, Some(onset)) => {
                spans.push((onset, end));
                alert = None;
            }
            _ => {}
        }
    }
    let last = beats.last().map_or(0, |(end, _)| *end);
    if let Some(onset) = alert {
        spans.push((onset, last));
    }
    let ends = labels
        .iter()
        .skip(1)
        .map(|(sample, _)| *sample)
        .chain([last]);
    let truth: Vec<(i64, i64)> = labels
        .iter()
        .zip(ends)
        .filter(|((_, af), _)| *af)
        .map(|((from, _), to)| (*from, to))
        .collect();
    let meets = |a: &(i64, i64), b: &(i64, i64)| a.0 < b.1 && b.0 < a.1;
    for episode in truth.iter().filter(|(from, to)| to - from >= 30 * 250) {
        tally.episodes += 1;
        tally.found += u64::from(spans.iter().any(|span| meets(span, episode)));
    }
    tally.alerts = spans.len() as u64;
    tally.false_alerts = spans
        .iter()
        .filter(|span| !truth.iter().any(|episode| meets(span, episode)))
        .count() as u64;
    tally
}

fn report_gudb(folder: &Path) {
    println!(
        "GUDB, 25 healthy students, chest-strap R peaks, 2 min per activity (the window needs 129 beats)"
    );
    for activity in ["sitting", "maths", "walking", "hand_bike", "jogging"] {
        let (mut judged, mut positive, mut series, mut flagged) = (0u64, 0u64, 0u64, 0u64);
        for subject in 0..25 {
            let file = folder.join(format!("subject_{subject:02}/{activity}/annotation_cs.tsv"));
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            let peaks: Vec<i64> = text
                .lines()
                .filter_map(|line| line.trim().parse().ok())
                .collect();
            let mut kept = Beats::default();
            let mut any = false;
            for (sequence, pair) in peaks.windows(2).enumerate() {
                let [from, to] = [pair[0], pair[1]];
                let at = Time::ZERO + Span::from_micros(to * 4000);
                kept.take(Beat {
                    at,
                    tenth_ms: Some((to - from) * 40),
                    sequence: sequence as u64,
                    run: 0,
                });
                judged += u64::from(kept.verdict() != Verdict::Unknown);
                positive += u64::from(kept.verdict() == Verdict::Fibrillation);
                any |= kept.verdict() == Verdict::Fibrillation;
            }
            series += u64::from(kept.verdict() != Verdict::Unknown);
            flagged += u64::from(any);
        }
        println!(
            "  {activity:>10}: {positive} of {judged} beats judged AF; {flagged} of {series} series ever"
        );
    }
}
