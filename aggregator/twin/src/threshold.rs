//! Threshold rules at work: how long the ten-second means have been beyond a cut, by the window (so late
//! data complete a duration). `past` asks the same of what is no longer about now.
//!
//! Not known here: what an alert is, or which sensor measured.

use vitals::{Span, Time};

use crate::rule::{self, Level, Side, Threshold};
use crate::window::{BUCKET, Window};

/// Missing buckets in a row that do not end a run: a sensor that reconnects takes half a minute.
pub(crate) const BRIDGED: i64 = 3;
/// The longest way to the next measured bucket that a sensor's own pace explains: what comes less often is a row of
/// spot checks.
pub(crate) const PACED: i64 = rule::SPOT_BEFORE.as_micros() / BUCKET.as_micros() + 1;

/// True if a run goes on over the way between two measured buckets; `other` is the way to the one before or after
/// them. A sensor that sends each minute has missing buckets all the time: what it says twice in a row held between.
pub(crate) fn goes_on(way: i64, other: Option<i64>) -> bool {
    let is_pace = |other: i64| way.max(other) <= PACED && way <= other + other / 2 + 1;
    way <= BRIDGED + 1 || other.is_some_and(is_pace)
}

/// A run of buckets beyond a cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    /// Begin of its first bucket.
    pub(crate) onset: Time,
    /// Mean of its newest bucket.
    pub(crate) newest: f64,
}

/// The run of buckets beyond `cut` that ends with bucket `last`, if it lasted for `hold`.
pub(crate) fn run(window: &Window, last: i64, side: Side, cut: f64, hold: Span) -> Option<Run> {
    let newest = window.mean(last)?;
    let measured = (window.oldest()..=last).rev();
    let mut measured = measured.filter_map(|index| Some((index, window.mean(index)?)));
    let beyond = |(_, mean): &(i64, f64)| is_beyond(side, *mean, cut);
    let (mut first, mut next) = (None, measured.next());
    while let Some((index, _)) = next.filter(beyond) {
        first = Some(index);
        let before = measured.next();
        let Some((way, far)) = before.map(|(at, _)| (index - at, at)) else {
            break;
        };
        // The one before that is looked at only where it matters.
        let other = || {
            let mut older = (window.oldest()..far).rev();
            older
                .find(|at| window.mean(*at).is_some())
                .map(|at| far - at)
        };
        if !goes_on(way, None) && !goes_on(way, other()) {
            break;
        }
        next = before;
    }
    // The first and the last bucket may be beyond by a part of their time only: together they count as one.
    let first = first?;
    let lasted = (last - first).saturating_mul(BUCKET.as_micros());
    (lasted >= hold.as_micros()).then(|| Run {
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

pub(crate) fn is_beyond(side: Side, value: f64, cut: f64) -> bool {
    match side {
        Side::Below => value < cut,
        Side::Above => value > cut,
    }
}

/// The one further beyond.
pub(crate) fn worse(side: Side, a: f64, b: f64) -> f64 {
    match side {
        Side::Below => a.min(b),
        Side::Above => a.max(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::{Fixed, Kind};

    fn rule() -> Threshold {
        rule::thresholds(&rule::Rules::BUILT_IN, false)[0]
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
    fn a_slow_sensor_is_believed_at_its_own_pace() {
        let every = |buckets: usize, values: &[i64]| {
            let gap = core::iter::repeat_n(None, buckets - 1);
            let values: alloc::vec::Vec<_> = values
                .iter()
                .flat_map(|value| core::iter::once(Some(*value)).chain(gap.clone()))
                .collect();
            let last = values.iter().rposition(Option::is_some).expect("measured");
            let w = window(&values);
            run(&w, last as i64, Side::Below, 88.0, Span::from_secs(30)).map(|run| run.onset)
        };
        for buckets in [1, 2, 3, 6, 12, 30] {
            let low = [96, 96, 96, 87, 87, 87, 87];
            let onset = Some(Window::start(3 * buckets as i64));
            assert_eq!(every(buckets, &low), onset, "each {buckets}");
            if buckets > 3 {
                let lone = [96, 96, 96, 87];
                assert_eq!(every(buckets, &lone), None, "a lone one, each {buckets}");
            }
        }
        assert_eq!(every(40, &[96, 87, 87]), None, "a row of spot checks");
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
}
