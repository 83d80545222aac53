//! What the past held: late data joined with what came live, in time order, and judged by the threshold rules.
//!
//! An episode may have come in parts: its begin live, the rest an hour later from a gateway's buffer, each too short for
//! the rule by itself. So ten-second buckets that leave the live window stay here while late data beside them could
//! still make an episode of them: a short run beyond a cut with an open side, and what was measured next to it. What is
//! beyond the window when it comes is joined to them. Each run that lasts is handed out once, as an episode; whether
//! an alert spoke of it already is not known here.
//!
//! A source that does not lead is followed for itself, and counts only for time that no leader measured; so does a
//! kind that only stands in for a better one.
//!
//! Bounds: [`MOST_LINES`] sources and kinds with [`MOST_BUCKETS`] buckets each, [`MOST_LED`], [`MOST_TOLD`],
//! [`MOST_SPOTS`]. Beyond them the oldest is forgotten: late data are then judged by themselves, as if nothing had come
//! live. Not known here: alerts, what is live.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use vitals::{Fixed, Kind, Time};

use crate::channel::Origin;
use crate::rhythm::Episode;
use crate::rule::{self, Threshold};
use crate::threshold::{self, BRIDGED, PACED};
use crate::window::{BUCKET, Bucket, Window, per_unit};

/// A source of one kind.
pub(crate) type Line = (Kind, Origin);
/// The source that leads a kind, with its window.
pub(crate) type Leader<'a> = (Line, &'a Window);

/// Buckets this far apart may be of one run.
const REACH: i64 = BRIDGED + 1;
const MOST_LINES: usize = 8;
const MOST_BUCKETS: usize = 512;
/// Stretches of time that leading sources measured.
const MOST_LED: usize = 128;
/// Runs handed out.
const MOST_TOLD: usize = 64;
/// Late readings that may be spot checks.
const MOST_SPOTS: usize = 64;
/// Buckets that may come together between two looks.
const ROOM: usize = 64;

/// An episode that the joined data contain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// Place of its rule.
    pub(crate) rule: usize,
    pub(crate) kind: Kind,
    pub(crate) episode: Episode,
}

/// Buckets of one source that no judgement has closed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Open {
    buckets: BTreeMap<i64, Bucket>,
    /// How many the last look left.
    left: usize,
}

/// Buckets `first..=last`, measured by a leading source.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Led {
    line: Line,
    first: i64,
    last: i64,
}

/// Buckets `first..=last` were an episode of a rule, and that was handed out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    rule: usize,
    first: i64,
    last: i64,
    worst: f64,
    /// What was measured beside it and is not of it.
    before: Option<i64>,
    after: Option<i64>,
}

impl Told {
    fn found(&self, kind: Kind) -> Found {
        let (onset, end) = (Window::start(self.first), Window::start(self.last + 1));
        let worst = self.worst;
        Found {
            rule: self.rule,
            kind,
            episode: Episode { onset, end, worst },
        }
    }

    /// True if a run is of the same episode: near, and nothing is known of between that ends it.
    fn has(&self, run: &Run) -> bool {
        let (from, to) = (self.first - REACH, self.last + REACH);
        let parted = |end: i64, between: [Option<i64>; 2], begin: i64| {
            let mut between = between.into_iter().flatten();
            between.any(|at| end < at && at < begin)
        };
        run.first <= to
            && run.last >= from
            && !parted(run.last, [run.after, self.before], self.first)
            && !parted(self.last, [run.before, self.after], run.first)
    }
}

/// The past of the kinds that have threshold rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Past {
    open: BTreeMap<Line, Open>,
    led: VecDeque<Led>,
    told: VecDeque<Told>,
    spots: VecDeque<(Line, i64)>,
    /// Something came since the last look.
    fed: bool,
    /// When it is looked at if nothing more comes.
    look: Option<Time>,
}

/// Buckets beyond a cut.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: i64,
    last: i64,
    worst: f64,
    /// The longest way between two of its buckets.
    way: i64,
    /// The bucket that was measured before it, and after it.
    before: Option<i64>,
    after: Option<i64>,
}

impl Run {
    fn of_one(bucket: i64, worst: f64, before: Option<i64>) -> Self {
        Self {
            first: bucket,
            last: bucket,
            worst,
            way: 0,
            before,
            after: None,
        }
    }
}

impl Past {
    /// A leading source measured, live or late.
    pub(crate) fn lead(&mut self, line: Line, at: Time) {
        let bucket = Window::index(at);
        let touches = |led: &&mut Led| {
            led.line == line && bucket >= led.first - REACH && bucket <= led.last + REACH
        };
        if let Some(led) = self.led.iter_mut().rev().find(touches) {
            (led.first, led.last) = (led.first.min(bucket), led.last.max(bucket));
            return;
        }
        make_room(&mut self.led, MOST_LED);
        let (first, last) = (bucket, bucket);
        self.led.push_back(Led { line, first, last });
    }

    /// Buckets before `until` leave the live window of a source: what could still become a part of an episode stays.
    pub(crate) fn leave(
        &mut self,
        line: Line,
        window: &Window,
        until: i64,
        rules: &[Threshold; 3],
    ) {
        let Some(newest) = window.newest() else {
            return;
        };
        for index in window.oldest()..until.min(newest + 1) {
            let Some(bucket) = window.bucket(index) else {
                continue;
            };
            let open = self.open.get(&line);
            let kept = |at: i64| open.and_then(|open| open.buckets.get(&at));
            let is_open = |at: i64| {
                let mean = kept(at).or(window.bucket(at)).and_then(|of| mean(of, line));
                mean.is_some_and(|mean| is_beyond_any(mean, line.0, rules))
            };
            if (index - REACH..=index + REACH).any(is_open) {
                let bucket = *bucket;
                let open = self.open_line(line);
                open.buckets.entry(index).or_default().join(&bucket);
                self.fed |= open.buckets.len() >= open.left + ROOM;
            }
        }
    }

    /// A usable value about the past. `kept`: the live window of its source has it.
    pub(crate) fn late(
        &mut self,
        line: Line,
        at: Time,
        value: Fixed,
        kept: bool,
        known: Time,
        rules: &[Threshold; 3],
    ) {
        let bucket = Window::index(at);
        if !kept {
            let open = self.open_line(line);
            open.buckets.entry(bucket).or_default().take(value.0);
        }
        let spot = value.to_f64(line.0);
        if is_beyond_any(spot, line.0, rules) && !self.spots.contains(&(line, bucket)) {
            make_room(&mut self.spots, MOST_SPOTS);
            self.spots.push_back((line, bucket));
        }
        self.doubt(known);
    }

    /// Live data may have been left unjudged.
    pub(crate) fn doubt(&mut self, known: Time) {
        self.fed = true;
        self.look = Some(known + rule::FINDING_AFTER);
    }

    /// A source said late that it could not measure: a lone value before it was no spot check.
    pub(crate) fn no_signal(&mut self, line: Line, at: Time) {
        let bucket = Window::index(at);
        self.spots.retain(|(of, spot)| {
            *of != line || !(*spot..=*spot + buckets(rule::SPOT_AFTER)).contains(&bucket)
        });
    }

    /// Something came since the last look.
    pub(crate) const fn is_fed(&self) -> bool {
        self.fed
    }

    /// No more can be kept before a look.
    pub(crate) fn is_full(&self) -> bool {
        let mut lines = self.open.values();
        lines.any(|open| open.buckets.len() >= MOST_BUCKETS)
    }

    /// When it must be looked at if nothing more comes.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.look
    }

    /// Judges what is joined now, and lets go of what nothing can add to. `whole`: no more is expected; else runs that
    /// more data may go on are left for later. So are runs whose end is still about now: those are the live rules'.
    pub(crate) fn look(
        &mut self,
        leaders: &[Leader<'_>],
        rules: &[Threshold; 3],
        now: Time,
        whole: bool,
    ) -> Vec<Found> {
        let (mut found, mut again) = (Vec::new(), None);
        self.fed = false;
        let leading = leaders.iter().map(|(line, _)| *line);
        let lines: BTreeSet<Line> = self.open.keys().copied().chain(leading).collect();
        for line in lines {
            let window = leaders.iter().find(|(of, _)| *of == line);
            let joined = joined(
                self.open.get(&line),
                window.map(|(_, window)| *window),
                line,
            );
            let mut keep = BTreeSet::new();
            for (index, rule) in rules.iter().enumerate() {
                if !rule.kinds.contains(&line.0) {
                    continue;
                }
                if whole {
                    self.look_for_spots(line, &joined, index, rule, now, &mut found);
                }
                let paced = |from, to| self.is_paced(line, from, to);
                for run in runs(&joined, rule, paced) {
                    let fresh_until = Window::start(run.last + 1) + rule::fresh_for(line.0);
                    if fresh_until > now {
                        again = Some(again.map_or(fresh_until, |at: Time| at.min(fresh_until)));
                    } else if self.is_settled(line, &run, index, rule, whole, &mut found) {
                        continue;
                    }
                    // With what was measured beside it: it does not go on there.
                    let beside = |other: Option<i64>, own: i64| {
                        other.filter(|at| (at - own).abs() <= PACED).unwrap_or(own)
                    };
                    keep.extend(beside(run.before, run.first)..=beside(run.after, run.last));
                }
            }
            if let Some(open) = self.open.get_mut(&line) {
                open.buckets.retain(|at, _| keep.contains(at));
                while open.buckets.len() >= MOST_BUCKETS {
                    open.buckets.pop_first();
                }
                open.left = open.buckets.len();
            }
        }
        self.open.retain(|_, open| !open.buckets.is_empty());
        if whole {
            self.spots.clear();
            self.look = again;
        }
        found
    }

    /// True if nothing more is to be said about a run, whatever comes.
    fn is_settled(
        &mut self,
        line: Line,
        run: &Run,
        index: usize,
        rule: &Threshold,
        whole: bool,
        found: &mut Vec<Found>,
    ) -> bool {
        let told = self.told.iter_mut();
        let mut told = told.filter(|told| told.rule == index && told.has(run));
        if let Some(told) = told.next() {
            if whole {
                let goes_on = run.first < told.first || run.last > told.last;
                (told.first, told.last) = (told.first.min(run.first), told.last.max(run.last));
                told.worst = threshold::worse(rule.side, told.worst, run.worst);
                if goes_on {
                    found.push(told.found(line.0));
                }
            }
            // Until then what parts the two may come.
            return whole;
        }
        let Some(hold) = rule.levels.first().map(|level| buckets(level.hold)) else {
            return true;
        };
        if run.last - run.first < hold {
            // As long as it can become between its neighbours.
            let most = run.before.zip(run.after);
            return most.is_some_and(|(before, after)| after - before - 2 < hold);
        }
        let ended = run.after.is_some_and(|after| after - run.last <= REACH);
        // What lies between far buckets may still be on its way.
        if !whole && (!ended || run.way > REACH) {
            return false;
        }
        if !self.is_overruled(line, run, rule) {
            self.tell(line, index, run, found);
        }
        true
    }

    fn tell(&mut self, line: Line, rule: usize, run: &Run, found: &mut Vec<Found>) {
        make_room(&mut self.told, MOST_TOLD);
        let (first, last, worst) = (run.first, run.last, run.worst);
        let told = Told {
            rule,
            first,
            last,
            worst,
            before: run.before,
            after: run.after,
        };
        found.push(told.found(line.0));
        self.told.push_back(told);
    }

    /// True if a leading source measured then, and nothing between: what was well is not kept, so a missing bucket alone
    /// does not say that nobody measured.
    fn is_paced(&self, line: Line, from: i64, to: i64) -> bool {
        let mut led = self.led.iter().filter(|led| led.line == line);
        let inside = |led: &Led| led.first < to && led.last > from;
        let ends = |led: &Led| led.first == to || led.last == from;
        led.clone().any(ends) && !led.any(inside)
    }

    /// True if a leading source, or one of a better kind, measured at least half of that time.
    fn is_overruled(&self, (kind, origin): Line, run: &Run, rule: &Threshold) -> bool {
        let better = |other: Kind| {
            let mut better = rule.kinds.iter().take_while(|of| **of != kind);
            better.any(|of| *of == other)
        };
        let others = self
            .led
            .iter()
            .filter(|led| better(led.line.0) || led.line.0 == kind && led.line.1 != origin);
        let measured: i64 = others
            .map(|led| (led.last.min(run.last) - led.first.max(run.first) + 1).max(0))
            .sum();
        measured * 2 > run.last - run.first
    }

    /// Late readings with nothing around them stand for themselves, as live ones do.
    fn look_for_spots(
        &mut self,
        line: Line,
        joined: &[(i64, f64)],
        index: usize,
        rule: &Threshold,
        now: Time,
        found: &mut Vec<Found>,
    ) {
        let of: Vec<i64> = self
            .spots
            .iter()
            .filter(|(of, _)| *of == line)
            .map(|(_, at)| *at)
            .collect();
        for spot in of {
            let around = spot - buckets(rule::SPOT_BEFORE)..=spot + buckets(rule::SPOT_AFTER);
            let others = joined
                .iter()
                .any(|(at, _)| *at != spot && around.contains(at));
            let led = self.led.iter().any(|led| {
                led.line.0 == line.0
                    && (led.first, led.last) != (spot, spot)
                    && led.last >= *around.start()
                    && led.first <= *around.end()
            });
            let value = joined
                .iter()
                .find(|(at, _)| *at == spot)
                .map(|(_, mean)| *mean);
            let level = value.and_then(|value| threshold::spot(value, rule));
            let is_past = Window::start(spot + 1) + rule::fresh_for(line.0) <= now;
            let is_told =
                |told: &Told| told.rule == index && (told.first..=told.last).contains(&spot);
            let run = Run::of_one(spot, value.unwrap_or_default(), None);
            if level.is_some()
                && is_past
                && !others
                && !led
                && !self.told.iter().any(is_told)
                && !self.is_overruled(line, &run, rule)
            {
                self.tell(line, index, &run, found);
            }
        }
    }

    fn open_line(&mut self, line: Line) -> &mut Open {
        if !self.open.contains_key(&line) && self.open.len() >= MOST_LINES {
            let newest = |open: &Open| open.buckets.last_key_value().map(|(at, _)| *at);
            let oldest = self.open.iter().min_by_key(|(_, open)| newest(open));
            if let Some(oldest) = oldest.map(|(line, _)| *line) {
                self.open.remove(&oldest);
            }
        }
        self.open.entry(line).or_default()
    }
}

/// Makes room for one more: the oldest goes.
fn make_room<T>(list: &mut VecDeque<T>, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
}

/// How many buckets a span is long.
fn buckets(span: vitals::Span) -> i64 {
    span.as_micros() / BUCKET.as_micros()
}

fn mean(bucket: &Bucket, (kind, _): Line) -> Option<f64> {
    bucket.mean().map(|mean| mean / per_unit(kind))
}

/// True if a rule's first cut is passed.
fn is_beyond_any(value: f64, kind: Kind, rules: &[Threshold; 3]) -> bool {
    let mut rules = rules.iter().filter(|rule| rule.kinds.contains(&kind));
    rules.any(|rule| is_beyond_first(value, rule))
}

fn is_beyond_first(value: f64, rule: &Threshold) -> bool {
    let first = rule.levels.first();
    first.is_some_and(|level| threshold::is_beyond(rule.side, value, level.cut))
}

/// Everything of a source that was measured and is known here, in time order.
fn joined(open: Option<&Open>, window: Option<&Window>, line: Line) -> Vec<(i64, f64)> {
    let mut all: BTreeMap<i64, Bucket> = open.map(|open| open.buckets.clone()).unwrap_or_default();
    if let Some((window, newest)) = window.and_then(|window| Some((window, window.newest()?))) {
        for index in window.oldest()..=newest {
            if let Some(bucket) = window.bucket(index) {
                all.entry(index).or_default().join(bucket);
            }
        }
    }
    let all = all.iter();
    all.filter_map(|(index, bucket)| Some((*index, mean(bucket, line)?)))
        .collect()
}

/// The runs beyond a rule's first cut. `paced`: nothing was measured between two buckets.
fn runs(joined: &[(i64, f64)], rule: &Threshold, paced: impl Fn(i64, i64) -> bool) -> Vec<Run> {
    let (mut runs, mut before, mut way_before) = (Vec::<Run>::new(), None, None);
    for (place, &(at, value)) in joined.iter().enumerate() {
        let beyond = is_beyond_first(value, rule);
        let way = before.map(|before| at - before);
        let way_after = joined.get(place + 1).map(|(next, _)| next - at);
        let goes_on =
            |way: i64| way <= REACH || goes_on(way, way_before, way_after) && paced(at - way, at);
        match runs.last_mut().filter(|run| Some(run.last) == before) {
            Some(run) if beyond && way.is_some_and(goes_on) => {
                run.way = run.way.max(at - run.last);
                run.last = at;
                run.worst = threshold::worse(rule.side, run.worst, value);
            }
            open => {
                if let Some(run) = open {
                    run.after = Some(at);
                }
                if beyond {
                    runs.push(Run::of_one(at, value, before));
                }
            }
        }
        (before, way_before) = (Some(at), way);
    }
    runs
}

/// As for the live rules; what was measured after it tells the pace as well.
fn goes_on(way: i64, before: Option<i64>, after: Option<i64>) -> bool {
    threshold::goes_on(way, before) || threshold::goes_on(way, after)
}

crate::canonical_fields! {
    Open { buckets, left }
    Led { line, first, last }
    Told { rule, first, last, worst, before, after }
    Past { open, led, told, spots, fed, look }
}
