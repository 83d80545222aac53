//! A recorded glucose: what a continuous monitor told of somebody, every few minutes.
//!
//! Format: the comma-separated files of `iglu` (Hall et al. 2018 among them): a head line, then `id,time,mg/dL,...` with the
//! time as `2014-02-03 08:42:12`. The first person of the file is worn. PURE but for reading the file.

use std::path::{Path, PathBuf};

use vitals::gatt::DateTime;

/// Glucose outside is nobody's, mg/dL.
const LIMITS: (f64, f64) = (20.0, 600.0);

/// Why a recording cannot be worn.
#[derive(Debug, thiserror::Error)]
pub enum GlucoseError {
    /// The file cannot be read.
    #[error("cannot read the glucose recording {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// A line is not what it should be.
    #[error("{file} line {line}: expected id,YYYY-MM-DD HH:MM:SS,mg/dL in order of time")]
    Line {
        /// Which file.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// There is nothing in it.
    #[error("the glucose recording {0} is empty")]
    Empty(PathBuf),
}

/// Somebody's glucose.
#[derive(Clone, Debug, PartialEq)]
pub struct GlucoseRecording {
    /// (seconds since the first, mg/dL), in order.
    points: Vec<(f64, f64)>,
}

impl GlucoseRecording {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`GlucoseError`]; names file and line.
    pub fn load(file: &Path) -> Result<Self, GlucoseError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| GlucoseError::Read(file.into(), error))?;
        let mut points: Vec<(f64, f64)> = Vec::new();
        let mut first: Option<(&str, f64)> = None;
        for (place, words) in text.lines().enumerate().skip(1) {
            let bad = || GlucoseError::Line {
                file: file.into(),
                line: place + 1,
            };
            let (id, at, glucose) = parse(words).ok_or_else(bad)?;
            let &mut (who, start) = first.get_or_insert((id, at));
            if who != id {
                break;
            }
            let since = at - start;
            if points.last().is_some_and(|(last, _)| *last >= since) {
                return Err(bad());
            }
            points.push((since, glucose));
        }
        if points.is_empty() {
            return Err(GlucoseError::Empty(file.into()));
        }
        Ok(Self { points })
    }

    /// At `at` seconds since its first value, mg/dL, between neighbours on a straight line; before its begin and after its
    /// end the nearest value.
    #[must_use]
    pub fn at(&self, at: f64) -> f64 {
        let after = self.points.partition_point(|(time, _)| *time <= at);
        let before = after
            .checked_sub(1)
            .and_then(|place| self.points.get(place));
        match (before, self.points.get(after)) {
            (Some((t0, g0)), Some((t1, g1))) => g0 + (g1 - g0) * (at - t0) / (t1 - t0),
            (Some((_, glucose)), None) | (None, Some((_, glucose))) => *glucose,
            // A recording is never empty.
            (None, None) => f64::NAN,
        }
    }
}

/// Who, when (seconds since 1970) and how much.
fn parse(line: &str) -> Option<(&str, f64, f64)> {
    let mut words = line.split(',');
    let (id, time, glucose) = (words.next()?, words.next()?, words.next()?);
    let numbers: Result<Vec<u16>, _> = time.split(['-', ' ', ':']).map(str::parse).collect();
    let &[year, month, day, hour, minute, second] = numbers.ok()?.as_slice() else {
        return None;
    };
    let octet = |number: u16| u8::try_from(number).ok();
    let moment = DateTime {
        year,
        month: octet(month)?,
        day: octet(day)?,
        hour: octet(hour)?,
        minute: octet(minute)?,
        second: octet(second)?,
    };
    let at = moment.as_if_utc()?.since(vitals::Time::ZERO).as_secs_f64();
    let glucose = glucose
        .parse()
        .ok()
        .filter(|g| (LIMITS.0..LIMITS.1).contains(g))?;
    Some((id, at, glucose))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_person_is_worn_and_a_bad_line_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("g.csv");
        let write = |text: &str| std::fs::write(&file, text).expect("a small file");
        write(
            "id,time,gl\na,2014-02-03 08:42:12,93.0,x\na,2014-02-03 08:47:12,103,x\nb,2014-02-03 09:00:00,300,x\n",
        );
        let worn = GlucoseRecording::load(&file).expect("readable");
        let all = [-5.0, 0.0, 150.0, 300.0, 9000.0].map(|at| worn.at(at));
        assert_eq!(all, [93.0, 93.0, 98.0, 103.0, 103.0]);
        write("id,time,gl\na,2014-02-03 08:42:12,93\na,2014-02-30 08:42:12,93\n");
        let error = GlucoseRecording::load(&file)
            .expect_err("no such day")
            .to_string();
        assert!(error.contains("line 3"), "{error}");
    }

    #[test]
    fn a_published_recording_is_worn() {
        let shared = std::env::var_os("VITALTWIN_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
            PathBuf::from,
        );
        let file = shared.join("recordings/cgm_hall/example_data_hall.csv");
        if !file.exists() {
            println!("skipped: {} is absent", file.display());
            return;
        }
        let worn = GlucoseRecording::load(&file).expect("readable");
        assert_eq!((worn.at(0.0), worn.at(300.0)), (93.0, 93.0));
        assert!(worn.points.len() > 500, "{} values", worn.points.len());
    }
}
