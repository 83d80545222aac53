//! A recorded heart: a series of RR intervals from a file, and where in it atrial fibrillation begins.
//!
//! Two formats, plain or gzip:
//! * PhysioNet dump (`qrsNNNNN.txt[.gz]`): lines of start sample, RR in seconds, end sample; rhythm changes from the
//!   file `atrNNNNN.txt[.gz]` beside it, where it exists (`(N`, `(AFIB`, `(AFL`, `(J`).
//! * One interval a line, in seconds or milliseconds (told apart by the median: above 10 it is milliseconds);
//!   lines that begin with `#` are skipped.
//!
//! PURE but for reading the file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::patient::Rhythm;

/// Sampling rate of the PhysioNet dumps, Hz.
const PHYSIONET_HZ: f64 = 250.0;
/// A day of beats at 300 a minute: more is not a recording for this use.
const BEATS_LIMIT: usize = 432_000;
/// Largest file read, unpacked.
const BYTES_LIMIT: u64 = 64 << 20;
/// Intervals outside are not a heart's, seconds. The lower limit lets machine-found double beats pass: a recording is
/// worn as it is.
const RR_LIMITS_S: (f64, f64) = (0.10, 8.0);
/// A paroxysm must hold this long to be worth a demonstration, seconds.
const MIN_PAROXYSM_S: f64 = 300.0;

/// Why a recording cannot be worn.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("cannot read the recording {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// A line is not what it should be.
    #[error("{file} line {line}: expected {expected}")]
    Line {
        /// Which file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// Too few or too many intervals.
    #[error("{0} holds {1} intervals; a recording has 2 to {BEATS_LIMIT}")]
    Count(PathBuf, usize),
}

/// One recorded beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordedBeat {
    /// Interval that ended with this beat, seconds.
    pub rr_s: f64,
    /// Rhythm by the annotation; sinus where there is none.
    pub rhythm: Rhythm,
}

/// A series of recorded beats.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    beats: Vec<RecordedBeat>,
}

impl Replay {
    /// Reads a file; looks for the annotations beside a PhysioNet dump.
    ///
    /// # Errors
    /// See [`ReplayError`]; names file, line and what was expected.
    pub fn load(file: &Path) -> Result<Self, ReplayError> {
        let text = read_text(file)?;
        let name = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let beats = match name.strip_prefix("qrs") {
            Some(rest) => {
                let atr = file.with_file_name(format!("atr{rest}"));
                let changes = if atr.is_file() {
                    changes(&atr, &read_text(&atr)?)?
                } else {
                    Vec::new()
                };
                physionet(file, &text, &changes)?
            }
            None => plain(file, &text)?,
        };
        if beats.len() < 2 || beats.len() > BEATS_LIMIT {
            return Err(ReplayError::Count(file.into(), beats.len()));
        }
        Ok(Self { beats })
    }

    /// From intervals in seconds, without annotations.
    #[must_use]
    pub fn from_intervals(intervals: &[f64]) -> Self {
        let beat = |rr_s: &f64| RecordedBeat {
            rr_s: *rr_s,
            rhythm: Rhythm::Sinus,
        };
        Self {
            beats: intervals.iter().map(beat).collect(),
        }
    }

    /// In order.
    #[must_use]
    pub fn beats(&self) -> &[RecordedBeat] {
        &self.beats
    }

    /// Seconds from the first beat to the first annotated fibrillation.
    #[must_use]
    pub fn fibrillation_onset_s(&self) -> Option<f64> {
        let place = self
            .beats
            .iter()
            .position(|beat| beat.rhythm == Rhythm::AtrialFibrillation)?;
        Some(
            self.beats
                .iter()
                .skip(1)
                .take(place)
                .map(|beat| beat.rr_s)
                .sum(),
        )
    }

    /// The part that begins `lead_s` seconds of sinus rhythm before a paroxysm: the first one that has such a lead and
    /// lasts at least five minutes; else the one that comes closest. Without any paroxysm: the whole.
    #[must_use]
    pub fn before_paroxysm(self, lead_s: f64) -> Self {
        let wanted = lead_s + MIN_PAROXYSM_S;
        let mut best: Option<(f64, usize)> = None;
        let mut place = 0;
        for pair in self.runs().windows(2) {
            let &[(_, before_s, count), (rhythm, lasts_s, _)] = pair else {
                continue;
            };
            place += count;
            let shown = before_s.min(lead_s) + lasts_s.min(MIN_PAROXYSM_S);
            let better = best.is_none_or(|(most, _)| shown > most && most < wanted);
            if rhythm == Rhythm::AtrialFibrillation && better {
                best = Some((shown, self.start_of_lead(place - count, place, lead_s)));
            }
        }
        match best {
            Some((_, start)) => Self {
                beats: self.beats.into_iter().skip(start).collect(),
            },
            None => self,
        }
    }

    /// Stretches of one rhythm: which, how long in seconds, how many beats.
    fn runs(&self) -> Vec<(Rhythm, f64, usize)> {
        let mut runs: Vec<(Rhythm, f64, usize)> = Vec::new();
        for beat in &self.beats {
            match runs.last_mut() {
                Some((rhythm, lasts_s, count)) if *rhythm == beat.rhythm => {
                    *lasts_s += beat.rr_s;
                    *count += 1;
                }
                _ => runs.push((beat.rhythm, beat.rr_s, 1)),
            }
        }
        runs
    }

    fn start_of_lead(&self, sinus_from: usize, onset: usize, lead_s: f64) -> usize {
        let mut lead = 0.0;
        let lead_beats = self
            .beats
            .iter()
            .take(onset)
            .skip(sinus_from)
            .rev()
            .take_while(|beat| {
                let wanted = lead < lead_s;
                lead += beat.rr_s;
                wanted
            });
        onset - lead_beats.count()
    }
}

fn read_text(file: &Path) -> Result<String, ReplayError> {
    let fail = |error| ReplayError::Read(file.into(), error);
    let reader = BufReader::new(File::open(file).map_err(fail)?);
    let mut text = String::new();
    if file.extension().is_some_and(|ending| ending == "gz") {
        flate2::read::GzDecoder::new(reader)
            .take(BYTES_LIMIT)
            .read_to_string(&mut text)
            .map_err(fail)?;
    } else {
        reader
            .take(BYTES_LIMIT)
            .read_to_string(&mut text)
            .map_err(fail)?;
    }
    Ok(text)
}

/// Lines with their numbers, without comments and empty ones.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let all = text
        .lines()
        .enumerate()
        .map(|(place, line)| (place + 1, line.trim()));
    all.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn physionet(
    file: &Path,
    text: &str,
    changes: &[(f64, Rhythm)],
) -> Result<Vec<RecordedBeat>, ReplayError> {
    let mut changes = changes.iter().peekable();
    let mut rhythm = Rhythm::Sinus;
    let one = |(line, words): (usize, &str)| {
        let numbers: Vec<f64> = words
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        let bad = |expected| ReplayError::Line {
            file: file.into(),
            line,
            expected,
        };
        let &[start, rr_s, end] = numbers.as_slice() else {
            return Err(bad("start sample, RR in seconds, end sample"));
        };
        if ((end - start) / PHYSIONET_HZ - rr_s).abs() > 0.01 {
            return Err(bad("an RR interval that agrees with its samples at 250 Hz"));
        }
        while let Some((_, now)) = changes.next_if(|(from, _)| *from <= end) {
            rhythm = *now;
        }
        checked(file, line, rr_s).map(|rr_s| RecordedBeat { rr_s, rhythm })
    };
    lines(text).map(one).collect()
}

fn checked(file: &Path, line: usize, rr_s: f64) -> Result<f64, ReplayError> {
    if (RR_LIMITS_S.0..=RR_LIMITS_S.1).contains(&rr_s) {
        Ok(rr_s)
    } else {
        let expected = "an RR interval of 0.1 to 8 s";
        Err(ReplayError::Line {
            file: file.into(),
            line,
            expected,
        })
    }
}

/// Rhythm changes by sample. Flutter and junctional rhythm are not fibrillation: they count as the other.
fn changes(file: &Path, text: &str) -> Result<Vec<(f64, Rhythm)>, ReplayError> {
    let one = |(line, words): (usize, &str)| {
        let bad = || ReplayError::Line {
            file: file.into(),
            line,
            expected: "elapsed time, sample, ..., a rhythm such as (N",
        };
        let mut words = words.split_whitespace();
        let sample = words
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(bad)?;
        let label = words.last().ok_or_else(bad)?;
        let rhythm = match label {
            "(AFIB" => Rhythm::AtrialFibrillation,
            other if other.starts_with('(') => Rhythm::Sinus,
            _ => return Err(bad()),
        };
        Ok((sample, rhythm))
    };
    lines(text)
        .filter(|(_, words)| !words.starts_with("Elapsed"))
        .map(one)
        .collect()
}

fn plain(file: &Path, text: &str) -> Result<Vec<RecordedBeat>, ReplayError> {
    let bad = |line| ReplayError::Line {
        file: file.into(),
        line,
        expected: "one number",
    };
    let numbers = lines(text)
        .map(|(line, word)| {
            word.parse::<f64>()
                .map(|number| (line, number))
                .map_err(|_| bad(line))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut sorted: Vec<f64> = numbers.iter().map(|(_, number)| *number).collect();
    sorted.sort_by(f64::total_cmp);
    let milliseconds = sorted
        .get(sorted.len() / 2)
        .is_some_and(|median| *median > 10.0);
    let scale = if milliseconds { 1e-3 } else { 1.0 };
    let one = |(line, number): (usize, f64)| {
        checked(file, line, number * scale).map(|rr_s| RecordedBeat {
            rr_s,
            rhythm: Rhythm::Sinus,
        })
    };
    numbers.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a small file");
        (folder, file)
    }

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        let (_a, seconds) = write("rr.txt", "# mine\n0.8\n0.82\n1.1\n");
        let (_b, millis) = write("rr.txt", "800\n820\n1100\n");
        let rr = |file: &Path| {
            Replay::load(file).map(|r| r.beats().iter().map(|b| b.rr_s).collect::<Vec<_>>())
        };
        assert_eq!(rr(&seconds).expect("readable"), [0.8, 0.82, 1.1]);
        let close = |a: &f64, b: &f64| (a - b).abs() < 1e-9;
        let from_millis = rr(&millis).expect("readable");
        assert!(
            from_millis
                .iter()
                .zip(&[0.8, 0.82, 1.1])
                .all(|(a, b)| close(a, b))
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        let check = |name: &str, text: &str, expected: &str| {
            let (_folder, file) = write(name, text);
            let error = Replay::load(&file).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("rr.txt", "0.8\nabc\n", "line 2: expected one number");
        check(
            "rr.txt",
            "0.8\n0.8\n99\n",
            "line 3: expected an RR interval",
        );
        check(
            "qrs1.txt",
            "0 0.544 136\n136 9.9 276\n",
            "line 2: expected an RR interval that agrees",
        );
        check("rr.txt", "0.8\n", "1 intervals");
    }

    #[test]
    fn the_part_before_a_paroxysm_is_found() {
        let mut text = String::new();
        let mut end = 0;
        for _ in 0..1500 {
            text += &format!("{end}\t0.800\t{}\n", end + 200);
            end += 200;
        }
        let (folder, file) = write("qrs1.txt", &text);
        // A short paroxysm after 100 s, a long one after 500 s.
        let changes = "Elapsed time  Sample #  Type  Sub Chan  Num\tAux\n 0:00 68 + 0 0 0 (N\n 1:40 25000 + 0 0 0 (AFIB\n \
                       1:50 27500 + 0 0 0 (N\n 8:20 125000 + 0 0 0 (AFIB\n";
        std::fs::write(folder.path().join("atr1.txt"), changes).expect("a small file");
        let replay = Replay::load(&file).expect("readable");
        assert_eq!(replay.beats().len(), 1500);
        let worn = replay.before_paroxysm(120.0);
        let onset = worn.fibrillation_onset_s().expect("there is one");
        assert!((119.0..121.0).contains(&onset), "onset after {onset} s");
    }
}
