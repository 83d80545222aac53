//! Threshold rules at work: how long the ten-second means have been beyond a cut, by the window (so late
//! data complete a duration), and the same for late data about the past.
//!
//! Not known here: what an alert is, or which sensor measured.

use vitals::{Span, Time};

use crate::rhythm::Episode;
use crate::rule::{self, Level, Side, Threshold};
use crate::window::{BUCKET, Window};

/// Missing buckets in a row that do not end a run: a sensor that reconnects takes half a minute.
const BRIDGED: i64 = 3;

/// A run of buckets beyond a cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    /// Begin of its first bucket.
    pub(crate) onset: Time,
    /// Mean of its newest bucket.
    pub(crate) newest: f64,
}

/// The run of buckets beyond `cut` that ends with bucket `last`, if it lasted for `hold` and half of it was
/// measured.
pub(crate) fn run(window: &Window, last: i64, side: Side, cut: f64, hold: Span) -> Option<Run> {
    let newest = window.mean(last)?;
    let (mut first, mut measured, mut missing) = (last, 0, 0);
    for index in (window.oldest()..=last).rev() {
        match window.mean(index) {
            Some(mean) if is_beyond(side, mean, cut) => {
                (first, missing) = (index, 0);
                measured += 1;
            }
            Some(_) => break,
            None => missing += 1,
        }
        if missing > BRIDGED {
            break;
        }
    }
    // The first and the last bucket may be beyond by a part of their time only: together they count as one.
    let buckets = last - first + 1;
    let lasted = (buckets - 1).saturating_mul(BUCKET.as_micros());
    let holds = measured > 0 && lasted >= hold.as_micros() && measured * 2 >= buckets;
    holds.then(|| Run {
        onset: Window::start(first),
        newest,
    })
}

/// The most urgent level that holds at bucket `last`, with its run.
pub(crate) fn level(window: &Window, last: i64, rule: &Threshold) -> Option<(Level, Run)> {
    let held = rule
        .levels
        .iter()
        .filter_map(|level| Some((*level, run(window, last, rule.side, level.cut, level.hold)?)));
    // The first of equals: the plainest reason.
    held.reduce(|best, next| {
        if next.0.priority > best.0.priority {
            next
        } else {
            best
        }
    })
}

/// True if the means were back inside, past the hysteresis, for long enough at bucket `last`.
pub(crate) fn is_clear(window: &Window, last: i64, rule: &Threshold) -> bool {
    let Some(first) = rule.levels.first() else {
        return true;
    };
    let (side, cut) = match rule.side {
        Side::Below => (Side::Above, first.cut + rule.clear_by),
        Side::Above => (Side::Below, first.cut - rule.clear_by),
    };
    run(window, last, side, cut, rule.clear_hold).is_some()
}

/// What a spot check says by itself: the most urgent level short enough for one reading to stand for.
pub(crate) fn spot(value: f64, rule: &Threshold) -> Option<Level> {
    let short = rule
        .levels
        .iter()
        .filter(|level| level.hold <= rule::SPOT_STANDS_FOR);
    short
        .filter(|level| is_beyond(rule.side, value, level.cut))
        .max_by_key(|level| level.priority)
        .copied()
}

/// True if a spot check is back inside, past the hysteresis.
pub(crate) fn spot_is_clear(value: f64, rule: &Threshold) -> bool {
    rule.levels.first().is_none_or(|first| match rule.side {
        Side::Below => value > first.cut + rule.clear_by,
        Side::Above => value < first.cut - rule.clear_by,
    })
}

fn is_beyond(side: Side, value: f64, cut: f64) -> bool {
    match side {
        Side::Below => value < cut,
        Side::Above => value > cut,
    }
}

/// One rule followed through data about the past, in time order, bucket by bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Past {
    bucket: i64,
    sum: f64,
    count: f64,
    /// First and last bucket of the run, and its worst mean.
    run: Option<(i64, i64, f64)>,
    fed: Time,
}

impl Past {
    /// Takes a usable value about the past; gives an episode that it ends.
    pub(crate) fn take(
        &mut self,
        effective: Time,
        value: f64,
        known: Time,
        rule: &Threshold,
    ) -> Option<Episode> {
        let bucket = Window::index(effective);
        let mut ended = None;
        if self.count > 0.0 && bucket != self.bucket {
            ended = self.close(rule);
            let backwards = bucket < self.bucket;
            let gap = self
                .run
                .is_some_and(|(_, last, _)| bucket - last > BRIDGED + 1);
            if backwards || gap {
                ended = ended.or_else(|| self.end(rule));
            }
            (self.sum, self.count) = (0.0, 0.0);
        }
        self.bucket = bucket;
        self.sum += value;
        self.count += 1.0;
        self.fed = known;
        ended
    }

    /// When an open run is handed out if nothing more comes.
    pub(crate) fn deadline(&self) -> Option<Time> {
        (self.count > 0.0).then(|| self.fed + rule::FINDING_AFTER)
    }

    /// Nothing more came.
    pub(crate) fn flush(&mut self, rule: &Threshold) -> Option<Episode> {
        let ended = if self.count > 0.0 {
            self.close(rule)
        } else {
            None
        };
        (self.sum, self.count) = (0.0, 0.0);
        ended.or_else(|| self.end(rule))
    }

    fn close(&mut self, rule: &Threshold) -> Option<Episode> {
        let first = rule.levels.first()?;
        let mean = self.sum / self.count;
        if !is_beyond(rule.side, mean, first.cut) {
            return self.end(rule);
        }
        self.run = Some(match self.run {
            None => (self.bucket, self.bucket, mean),
            Some((begin, _, worst)) => {
                let worst = if rule.side == Side::Below {
                    worst.min(mean)
                } else {
                    worst.max(mean)
                };
                (begin, self.bucket, worst)
            }
        });
        None
    }

    fn end(&mut self, rule: &Threshold) -> Option<Episode> {
        let (begin, last, worst) = self.run.take()?;
        let (onset, end) = (Window::start(begin), Window::start(last + 1));
        let hold = rule.levels.first()?.hold;
        (end.since(onset) >= hold + BUCKET).then_some(Episode { onset, end, worst })
    }
}

crate::canonical_fields! {
    Past { bucket, sum, count, run, fed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::{Fixed, Kind};

    fn rule() -> Threshold {
        rule::thresholds(false)[0]
    }

    fn window(values: &[Option<i64>]) -> Window {
        let mut window = Window::new(Kind::OxygenSaturation);
        for (index, value) in values.iter().enumerate() {
            if let Some(value) = value {
                window.take(Window::start(index as i64), Fixed(*value * 10));
            }
        }
        window
    }

    #[test]
    fn the_cut_itself_is_fine_and_a_run_must_last() {
        let seconds = |n| Span::from_secs(n);
        let w = window(&[Some(96), Some(92), Some(91), Some(91), Some(90)]);
        let held =
            run(&w, 4, Side::Below, 92.0, seconds(20)).expect("three buckets are 20 s for sure");
        assert_eq!((held.onset, held.newest), (Window::start(2), 90.0));
        assert_eq!(run(&w, 4, Side::Below, 92.0, seconds(30)), None);
        assert_eq!(run(&w, 1, Side::Below, 92.0, seconds(0)), None);
    }

    #[test]
    fn a_short_gap_is_bridged_and_a_long_one_ends_the_run() {
        let w = window(&[Some(90), Some(90), Some(90), None, None, None, Some(90)]);
        assert_eq!(
            run(&w, 6, Side::Below, 92.0, Span::from_secs(60)).map(|run| run.onset),
            Some(Window::start(0))
        );
        let w = window(&[Some(90), Some(90), None, None, None, None, Some(90)]);
        assert_eq!(run(&w, 6, Side::Below, 92.0, Span::from_secs(20)), None);
    }

    #[test]
    fn clearing_needs_the_hysteresis_for_its_time() {
        let low = [Some(90); 6];
        let at = |back: i64, buckets: usize| {
            let values: alloc::vec::Vec<_> = low
                .into_iter()
                .chain((0..buckets).map(|_| Some(back)))
                .collect();
            is_clear(&window(&values), values.len() as i64 - 1, &rule())
        };
        assert!(at(94, 7));
        assert!(!at(94, 6), "not yet a minute");
        assert!(!at(93, 7), "93 is the first cut plus the hysteresis itself");
    }

    #[test]
    fn an_episode_in_the_past_needs_its_duration() {
        let feed = |seconds: core::ops::Range<i64>, past: &mut Past, value: f64| {
            seconds
                .filter_map(|second| {
                    past.take(
                        Time::ZERO + Span::from_secs(second),
                        value,
                        Time::MAX,
                        &rule(),
                    )
                })
                .last()
        };
        let mut past = Past::default();
        assert_eq!(feed(0..40, &mut past, 85.0), None);
        let found = feed(40..60, &mut past, 97.0).expect("40 s below 92");
        assert_eq!(
            (found.onset, found.end, found.worst),
            (Window::start(0), Window::start(4), 85.0)
        );
        assert_eq!(feed(60..80, &mut past, 85.0), None);
        assert_eq!(feed(80..120, &mut past, 97.0), None, "20 s are too short");
    }
}
