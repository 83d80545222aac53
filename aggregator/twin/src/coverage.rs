//! Coverage: what each stretch of time was for each source and kind, so that nobody takes silence for health.
//!
//! Facts come in effective time, in any order (`SourceFacts`, `StreamFacts`), and are kept as stretches
//! (`runs.rs`); a question lays them over its window (`line.rs`) and gives [`Stretch`]es that tile it: no hole, no
//! overlap, so their sum is the window. What was said later replaces nothing: the same facts give the same answer.
//!
//! At each moment the first of these that holds names it:
//!
//! 1. outside of all terms of the sensor: *withheld* where the patient paused or withdrew, else *unassigned*, which
//!    counts for nothing: it is outside of every percentage;
//! 2. older than [`HORIZON`], or than what the bounds keep: *forgotten*;
//! 3. *measured*: between two usable readings that are at most [`rule::joins`] apart;
//! 4. what readings without a usable number say: *not worn*, *sensor fault*, *clock unknown*;
//! 5. what gap records declare: *dropped by policy (n)*, *lost (n)*, *gateway down* (the agent was stopped);
//! 6. *measured* (or *clock unknown*) again, where a source measures only now and then: one measurement stands for
//!    a while (`Cadence`): a cuff used once a day leaves no gap of 23 hours;
//! 7. *gateway down*: no heartbeat vouches for the moment, and a later one does or the limit for it has passed;
//! 8. *out of range*: the gateway had no link to the sensor: too far, switched off or flat, which radio cannot tell;
//! 9. *not worn*: the sensor said so, and since then nothing over the same link;
//! 10. *sensor fault*: a sensor that streams said nothing over a sound link for [`rule::SILENT_AT_LEAST`], and the
//!     gateway vouches that nothing of that time waits there;
//! 11. *awaited*: none of these. It may come, or nobody knows why it did not.
//!
//! Bounds: [`HORIZON`], `runs::MOST` stretches a list, [`MOST_LINKS`] links a source, [`MOST_LOSSES`] gap records
//! a stream. Must not know: clocks (now is passed in), patients, messages.

mod line;
mod runs;
crate::canonical_fields! {
    KindFacts { measured, unable, undated }
    SourceFacts { kinds, off, links_forgotten, links }
    Loss { from, to, source, class, readings }
    StreamFacts { alive, complete, losses_forgotten, losses }
    Withheld { past, since }
}

crate::canonical_numbers! {
    Class { Measured, NotWorn, SensorFault, ClockUnknown, Dropped, Lost, OutOfRange, GatewayDown, Awaited, Forgotten, Withheld, Unassigned }
}

#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use vitals::{Absence, Kind, Quality, Reading, SourceId, Span, StreamId, Time, Value};

use crate::channel::usable;
use crate::event::{Gap, Heartbeat, Link};
use crate::rule;
use crate::stream::Stream;
use line::Sight;
pub(crate) use runs::Runs;

/// How far back a question can reach: a week and a day.
pub const HORIZON: Span = Span::from_mins(8 * 24 * 60);
/// Changes of a link that are kept per source.
pub const MOST_LINKS: usize = 512;
/// Gap records that are kept per stream.
pub const MOST_LOSSES: usize = 512;
/// Signs of a gateway's life this close together are one.
const ALIVE: Span = Span::from_secs(10);

/// What a stretch of time was. In the order in which one source's word goes before another's when a patient has
/// several of one kind; the numbers are wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// There are readings that models may use.
    Measured = 1,
    /// The sensor said that it is not on the body.
    NotWorn = 2,
    /// The sensor could not measure, or said nothing over a sound link.
    SensorFault = 3,
    /// It was measured, but nobody knows when.
    ClockUnknown = 4,
    /// A bounded store or queue was full: dropped as declared, and counted.
    Dropped = 5,
    /// Damaged or refused, and counted.
    Lost = 6,
    /// The gateway had no link to the sensor.
    OutOfRange = 7,
    /// Nothing vouches that the gateway ran.
    GatewayDown = 8,
    /// It may come, or nobody knows why it did not.
    Awaited = 9,
    /// Before what is kept for this question.
    Forgotten = 10,
    /// The patient paused or withdrew.
    Withheld = 11,
    /// No sensor was assigned. Outside of every percentage.
    Unassigned = 12,
}

/// A stretch `[from, to)` of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// First moment.
    pub from: Time,
    /// First moment after it.
    pub to: Time,
    /// What it was.
    pub class: Class,
    /// Readings, of all kinds of the source, that gap records reaching into it declare; at least so many. A record
    /// that reaches into two stretches counts in both.
    pub readings: u64,
}

/// The window of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Of which kind.
    pub kind: Kind,
    /// Of which source; `None`: of all together, the best word of any of them at each moment.
    pub source: Option<(StreamId, SourceId)>,
    /// In order; each begins where the one before ends.
    pub stretches: Vec<Stretch>,
}

/// What is known of one kind of a source.
#[derive(Clone, Debug, Default, PartialEq)]
struct KindFacts {
    measured: Runs,
    unable: Runs,
    undated: Runs,
}

/// What is known of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SourceFacts {
    kinds: BTreeMap<Kind, KindFacts>,
    /// It said that it is not on the body.
    off: Runs,
    /// From when on the link was so, oldest first.
    links: Vec<(Time, Link)>,
    links_forgotten: Option<Time>,
}

impl SourceFacts {
    /// A reading, at an effective time that is not beyond known time.
    pub(crate) fn reading(&mut self, reading: &Reading, effective: Time, known: Time) {
        if effective < known - HORIZON {
            return;
        }
        let join = rule::joins(reading.kind);
        if says_off(reading) && rule::is_about_the_body(reading.kind) {
            self.off.insert(effective, effective, join);
            self.kinds.entry(reading.kind).or_default();
            return;
        }
        let facts = self.kinds.entry(reading.kind).or_default();
        let runs = if reading.quality.has(Quality::CLOCK_UNKNOWN) {
            &mut facts.undated
        } else if usable(reading).is_some() {
            &mut facts.measured
        } else {
            &mut facts.unable
        };
        runs.insert(effective, effective, join);
    }

    /// A reading whose own time is impossible: it was measured, and came at `received`.
    pub(crate) fn undated(&mut self, kind: Kind, received: Time) {
        let facts = self.kinds.entry(kind).or_default();
        facts.undated.insert(received, received, rule::joins(kind));
    }

    /// The link is so from `since` on.
    pub(crate) fn link(&mut self, since: Time, link: Link) {
        if self.links_forgotten.is_some_and(|end| since <= end) {
            return;
        }
        let at = self.links.partition_point(|&(known, _)| known < since);
        match self.links.get_mut(at).filter(|(known, _)| *known == since) {
            // Two words about one moment: the same one wins in whatever order they come.
            Some((_, known)) => *known = (*known).max(link),
            None => self.links.insert(at, (since, link)),
        }
        if self.links.len() > MOST_LINKS {
            self.links.remove(0);
            self.links_forgotten = self.links.first().map(|(since, _)| *since);
        }
    }

    fn link_at(&self, at: Time) -> Option<(Time, Link)> {
        let after = self.links.partition_point(|&(since, _)| since <= at);
        self.links.get(after.checked_sub(1)?).copied()
    }

    /// Lets go of what no question can reach.
    pub(crate) fn prune(&mut self, known: Time) {
        let before = known - HORIZON;
        self.off.prune(before);
        for facts in self.kinds.values_mut() {
            facts.measured.prune(before);
            facts.unable.prune(before);
            facts.undated.prune(before);
        }
        // The one that holds at the horizon stays.
        let over = self.links.partition_point(|&(since, _)| since <= before);
        self.links.drain(..over.saturating_sub(1));
    }

    /// True if [`SourceFacts::prune`] has something to let go of.
    pub(crate) fn is_stale(&self, known: Time) -> bool {
        let before = known - HORIZON;
        let of_kind = |of: &KindFacts| {
            [&of.measured, &of.unable, &of.undated]
                .iter()
                .all(|runs| runs.begins_after(before))
        };
        let links = self.links.iter().filter(|(since, _)| *since <= before);
        !self.off.begins_after(before) || !self.kinds.values().all(of_kind) || links.count() > 1
    }
}

fn says_off(reading: &Reading) -> bool {
    reading.quality.has(Quality::NO_CONTACT) || reading.value == Value::Absent(Absence::NoContact)
}

/// A declared loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Loss {
    from: Time,
    to: Time,
    source: SourceId,
    class: Class,
    readings: u64,
}

/// What is known of a stream as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StreamFacts {
    alive: Runs,
    /// Nothing measured before this waits at the gateway.
    complete: Option<Time>,
    losses: Vec<Loss>,
    losses_forgotten: Option<Time>,
}

impl StreamFacts {
    /// The gateway ran, and says since when.
    pub(crate) fn beat(&mut self, beat: &Heartbeat, known: Time) {
        let sent = beat.sent.min(known);
        // One that does not say since when vouches for a beat.
        let awake = beat.awake_since.unwrap_or(sent - rule::HEARTBEAT);
        self.alive.insert(awake.min(sent), sent, ALIVE);
        if let Some(complete) = beat.complete_until {
            let complete = complete.min(sent);
            self.complete = Some(self.complete.map_or(complete, |known| known.max(complete)));
        }
        self.prune(known);
    }

    /// Lets go of what no question can reach.
    pub(crate) fn prune(&mut self, known: Time) {
        self.alive.prune(known - HORIZON);
        self.losses.retain(|loss| loss.to >= known - HORIZON);
    }

    /// True if [`StreamFacts::prune`] has something to let go of.
    pub(crate) fn is_stale(&self, known: Time) -> bool {
        let before = known - HORIZON;
        !self.alive.begins_after(before) || self.losses.iter().any(|loss| loss.to < before)
    }

    /// The gateway received something: it ran.
    pub(crate) fn heard(&mut self, received: Time) {
        self.alive.insert(received, received, ALIVE);
    }

    /// Readings were lost, and the gateway says so.
    pub(crate) fn declare(&mut self, gap: &Gap, known: Time) {
        let (from, to) = (gap.from, gap.to.min(known));
        if to < known - HORIZON || to < from {
            return;
        }
        let loss = Loss {
            from,
            to,
            source: gap.source,
            class: class_of(gap.reason),
            readings: gap.readings,
        };
        let at = self.losses.partition_point(|known| *known <= loss);
        self.losses.insert(at, loss);
        if self.losses.len() > MOST_LOSSES {
            let gone = self.losses.remove(0);
            self.losses_forgotten = self.losses_forgotten.max(Some(gone.to));
        }
    }

    /// Losses of a source; a source of 0 stands for all.
    fn losses(&self, source: SourceId) -> impl Iterator<Item = &Loss> + '_ {
        let of = move |loss: &&Loss| loss.source == source || loss.source == SourceId(0);
        self.losses.iter().filter(of)
    }
}

/// Stands where a gateway's reason stands, and is none of its: the centre itself lost what it was sent.
pub(crate) const CENTRE_RESTORED: i32 = -1;
/// The same: its disk damaged what it had.
pub(crate) const CENTRE_DAMAGED: i32 = -2;

/// By the wire number of `GapReason`.
const fn class_of(reason: i32) -> Class {
    match reason {
        // The agent was stopped before its last commit.
        1 => Class::GatewayDown,
        // Buffer full, queue full, waited too long: each by a declared policy.
        2 | 5 | 6 => Class::Dropped,
        // Damaged, refused, lost by the centre, and whatever a newer agent declares.
        _ => Class::Lost,
    }
}

/// When the patient did not want to be measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Withheld {
    past: Runs,
    since: Option<Time>,
}

impl Withheld {
    /// The patient said whether devices may be read.
    pub(crate) fn say(&mut self, given: bool, known: Time) {
        match (given, self.since) {
            (false, None) => self.since = Some(known),
            (true, Some(since)) => {
                self.past.insert(since, known, Span::ZERO);
                self.since = None;
            }
            (false, Some(_)) | (true, None) => {}
        }
    }

    fn until(&self, now: Time) -> Runs {
        let mut runs = self.past.clone();
        if let Some(since) = self.since {
            runs.insert(since, now.max(since), Span::ZERO);
        }
        runs
    }
}

/// The lines of `kinds` (empty: of all that were ever measured) over `[from, to)`, as known at `now`: of each kind
/// first all sources together, then each that was assigned in that time.
pub(crate) fn lines(
    streams: &BTreeMap<StreamId, Arc<Stream>>,
    withheld: &Withheld,
    kinds: &[Kind],
    (from, to): (Time, Time),
    now: Time,
) -> Vec<Line> {
    let window = (from, to.max(from));
    let withheld = withheld.until(now);
    let mut wanted: BTreeSet<Kind> = kinds.iter().copied().collect();
    if kinds.is_empty() {
        let devices = streams.values().flat_map(|stream| stream.devices.values());
        wanted.extend(devices.flat_map(|device| device.facts.kinds.keys().copied()));
    }
    let mut lines = Vec::new();
    for kind in wanted {
        let of_kind = sources(streams, &withheld, kind, window, now);
        let parts: Vec<_> = if of_kind.is_empty() {
            bare(streams, &withheld, kind, window, now)
        } else {
            of_kind.iter().map(|line| line.stretches.clone()).collect()
        };
        lines.push(Line {
            kind,
            source: None,
            stretches: line::together(&parts, &withheld, window),
        });
        lines.extend(of_kind);
    }
    lines
}

/// One line per source that ever said anything of `kind` and was assigned in the window.
fn sources(
    streams: &BTreeMap<StreamId, Arc<Stream>>,
    withheld: &Runs,
    kind: Kind,
    window: (Time, Time),
    now: Time,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (id, stream) in streams {
        for (source, device) in &stream.devices {
            let Some(facts) = device.facts.kinds.get(&kind) else {
                continue;
            };
            let terms = stream.terms_of(&device.address);
            let sight = Sight {
                kind,
                facts,
                of: &device.facts,
                stream: &stream.facts,
                source: *source,
                terms: &terms,
                withheld,
                now,
            };
            if let Some(stretches) = sight.cut(window) {
                lines.push(Line {
                    kind,
                    source: Some((*id, *source)),
                    stretches,
                });
            }
        }
    }
    lines
}

/// Where nothing of a kind ever came: what can be said of each stream's time.
fn bare(
    streams: &BTreeMap<StreamId, Arc<Stream>>,
    withheld: &Runs,
    kind: Kind,
    window: (Time, Time),
    now: Time,
) -> Vec<Vec<Stretch>> {
    let (facts, of) = (KindFacts::default(), SourceFacts::default());
    let cut = |stream: &Stream| {
        let terms = stream.terms_of("");
        let sight = Sight {
            kind,
            facts: &facts,
            of: &of,
            stream: &stream.facts,
            source: SourceId(0),
            terms: &terms,
            withheld,
            now,
        };
        sight.cut(window)
    };
    streams.values().filter_map(|stream| cut(stream)).collect()
}
