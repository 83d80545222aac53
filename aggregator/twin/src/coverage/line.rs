//! Facts laid over a window: the class of each moment, by the table in the module above.
//!
//! Between two neighbouring moments at which any fact begins or ends, nothing changes: so the window is cut at all
//! of them, each piece is judged once, and equal neighbours are joined. Whatever the facts are, the pieces tile.

use alloc::vec::Vec;

use vitals::{Kind, SourceId, Span, Time};

use super::{Class, HORIZON, KindFacts, Loss, Runs, SourceFacts, StreamFacts, Stretch};
use crate::event::Link;
use crate::rule;

/// How a source measures a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cadence {
    /// One reading after the other, while it can.
    Streams,
    /// Now and then: each measurement stands for so long.
    NowAndThen(Span),
}

/// Everything that bears on one kind of one source.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) kind: Kind,
    pub(super) facts: &'a KindFacts,
    pub(super) of: &'a SourceFacts,
    pub(super) stream: &'a StreamFacts,
    pub(super) source: SourceId,
    pub(super) terms: &'a Runs,
    pub(super) withheld: &'a Runs,
    pub(super) now: Time,
}

/// A piece, and whether it is silence: what that means depends on how long it is.
type Piece = (Time, Time, Class, bool);

impl Sight<'_> {
    /// The window's stretches; `None` if the sensor was not assigned in it at all.
    pub(super) fn cut(&self, (from, to): (Time, Time)) -> Option<Vec<Stretch>> {
        // A silence that reaches beyond the window is as long as it is.
        let wide = (from - rule::SILENT_AT_LEAST, to + rule::SILENT_AT_LEAST);
        let cadence = self.cadence();
        let cuts = self.cuts(wide, cadence);
        let mut pieces: Vec<Piece> = Vec::new();
        for pair in cuts.windows(2) {
            let &[begin, end] = pair else { continue };
            let (class, silent) = self.class(begin, cadence);
            match pieces.last_mut() {
                Some(last) if (last.2, last.3) == (class, silent) => last.1 = end,
                _ => pieces.push((begin, end, class, silent)),
            }
        }
        let mut stretches = Vec::new();
        for (begin, end, mut class, silent) in pieces {
            if silent && end.since(begin) >= rule::SILENT_AT_LEAST {
                class = Class::SensorFault;
            }
            push(&mut stretches, begin.max(from), end.min(to), class);
        }
        for stretch in &mut stretches {
            stretch.readings = self.declared(stretch);
        }
        let assigned =
            |stretch: &Stretch| !matches!(stretch.class, Class::Unassigned | Class::Withheld);
        stretches.iter().any(assigned).then_some(stretches)
    }

    /// Every moment at which anything begins or ends, with the window's own ends.
    fn cuts(&self, (from, to): (Time, Time), cadence: Cadence) -> Vec<Time> {
        let mut cuts = alloc::vec![from, to, self.now, self.floor()];
        cuts.extend(self.stream.complete);
        let facts = self.facts;
        let runs = [
            self.terms,
            self.withheld,
            &facts.measured,
            &facts.unable,
            &facts.undated,
            &self.of.off,
            &self.stream.alive,
        ];
        cuts.extend(
            runs.into_iter()
                .flat_map(Runs::iter)
                .flat_map(|(a, b)| [a, b]),
        );
        if let Cadence::NowAndThen(stands) = cadence {
            let both = facts.measured.iter().chain(facts.undated.iter());
            cuts.extend(both.map(|(_, end)| end + stands));
        }
        cuts.extend(self.of.links.iter().map(|(since, _)| *since));
        let losses = self.stream.losses(self.source);
        cuts.extend(losses.flat_map(|loss| [loss.from, loss.to]));
        cuts.retain(|at| (from..=to).contains(at));
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    /// The class of the moment `at`, and whether it is a silence that is a fault if it lasts.
    fn class(&self, at: Time, cadence: Cadence) -> (Class, bool) {
        if let Some(class) = self.outside(at).or_else(|| self.said(at, cadence)) {
            return (class, false);
        }
        if let Some(class) = self.without_gateway(at) {
            return (class, false);
        }
        let spot = matches!(cadence, Cadence::NowAndThen(_));
        if spot && rule::is_sparse(self.kind) {
            // It sleeps, out of reach, until somebody uses it.
            return (Class::Awaited, false);
        }
        match self.of.link_at(at) {
            None => (Class::Awaited, false),
            Some((_, Link::Searching | Link::Lost)) => (Class::OutOfRange, false),
            Some((since, Link::Connected)) if self.is_off_since(at, since) => {
                (Class::NotWorn, false)
            }
            Some((_, Link::Connected)) => {
                let nothing_waits = self.stream.complete.is_some_and(|until| at < until);
                (Class::Awaited, nothing_waits && !spot)
            }
        }
    }

    /// What holds whatever was measured.
    fn outside(&self, at: Time) -> Option<Class> {
        if !self.terms.contains(at) {
            return Some(if self.withheld.contains(at) {
                Class::Withheld
            } else {
                Class::Unassigned
            });
        }
        if at >= self.now {
            return Some(Class::Awaited);
        }
        (at < self.floor()).then_some(Class::Forgotten)
    }

    /// What readings and gap records say.
    fn said(&self, at: Time, cadence: Cadence) -> Option<Class> {
        let facts = self.facts;
        if facts.measured.contains(at) {
            return Some(Class::Measured);
        }
        if rule::is_about_the_body(self.kind) && self.of.off.contains(at) {
            return Some(Class::NotWorn);
        }
        if facts.unable.contains(at) {
            return Some(Class::SensorFault);
        }
        if facts.undated.contains(at) {
            return Some(Class::ClockUnknown);
        }
        let holds = |loss: &&Loss| loss.from <= at && at < loss.to;
        let losses = self.stream.losses(self.source).filter(holds);
        if let Some(class) = losses.map(|loss| loss.class).min() {
            return Some(class);
        }
        let Cadence::NowAndThen(stands) = cadence else {
            return None;
        };
        let end = |runs: &Runs| Some(runs.before(at)?.1).filter(|end| at < *end + stands);
        match (end(&facts.measured), end(&facts.undated)) {
            (measured @ Some(_), undated) if measured >= undated => Some(Class::Measured),
            (_, Some(_)) => Some(Class::ClockUnknown),
            _ => None,
        }
    }

    /// What it is if nothing vouches for the gateway.
    fn without_gateway(&self, at: Time) -> Option<Class> {
        let alive = &self.stream.alive;
        if alive.contains(at) {
            return None;
        }
        // Beats were due while the term lasts, and not after it.
        let (begin, end) = self.terms.before(at)?;
        let due = end.min(self.now);
        let missed = match alive.before(at) {
            Some((_, last)) => due.since(last.max(begin)) >= rule::GATEWAY_SILENT,
            None => due.since(begin) >= rule::GATEWAY_NEVER,
        };
        Some(if missed || alive.goes_on_after(at) {
            Class::GatewayDown
        } else {
            Class::Awaited
        })
    }

    /// The sensor said over this link that it is off the body, and measured nothing since.
    fn is_off_since(&self, at: Time, link_since: Time) -> bool {
        let Some((_, off)) = self.of.off.before(at) else {
            return false;
        };
        let measured = self.facts.measured.before(at);
        rule::is_about_the_body(self.kind)
            && off >= link_since
            && measured.is_none_or(|(_, end)| end < off)
    }

    /// Nothing is told of what lies before.
    fn floor(&self) -> Time {
        let facts = self.facts;
        let forgotten = [
            facts.measured.forgotten(),
            facts.unable.forgotten(),
            facts.undated.forgotten(),
            self.of.off.forgotten(),
            self.of.links_forgotten,
            self.stream.alive.forgotten(),
            self.stream.losses_forgotten,
        ];
        let forgotten = forgotten.into_iter().flatten().max();
        forgotten.unwrap_or(Time::ZERO).max(self.now - HORIZON)
    }

    /// By what came so far: a source whose readings hang together for long streams.
    fn cadence(&self) -> Cadence {
        let both = || self.facts.measured.iter().chain(self.facts.undated.iter());
        let length = both().fold(Span::ZERO, |sum, (begin, end)| sum + end.since(begin));
        let count = both().count();
        let join = rule::joins(self.kind).as_micros();
        let streams = i64::try_from(count)
            .ok()
            .and_then(|count| join.checked_mul(2)?.checked_mul(count))
            .is_some_and(|least| count > 0 && length.as_micros() >= least);
        if streams {
            return Cadence::Streams;
        }
        if rule::is_sparse(self.kind) {
            return Cadence::NowAndThen(rule::STANDS_AT_MOST);
        }
        // A watch that looks every ten minutes: by its own rhythm.
        let begins: Vec<Time> = both().map(|(begin, _)| begin).collect();
        let mut between: Vec<Span> = begins.windows(2).map(|two| two[1].since(two[0])).collect();
        between.retain(|span| *span > Span::ZERO);
        between.sort_unstable();
        let middle = between
            .get(between.len() / 2)
            .filter(|_| between.len() >= 2);
        let stands = middle.map_or(rule::fresh_for(self.kind), |middle| *middle + *middle);
        Cadence::NowAndThen(stands.min(rule::STANDS_AT_MOST))
    }

    fn declared(&self, stretch: &Stretch) -> u64 {
        let reaches = |loss: &&Loss| {
            loss.class == stretch.class && loss.from < stretch.to && loss.to > stretch.from
        };
        let losses = self.stream.losses(self.source).filter(reaches);
        losses.fold(0, |sum, loss| sum.saturating_add(loss.readings))
    }
}

/// Appends a piece that is not empty; equal neighbours become one.
fn push(stretches: &mut Vec<Stretch>, from: Time, to: Time, class: Class) {
    if from >= to {
        return;
    }
    match stretches.last_mut() {
        Some(last) if last.class == class => last.to = to,
        _ => stretches.push(Stretch {
            from,
            to,
            class,
            readings: 0,
        }),
    }
}

/// Several lines of one window as one: at each moment the first class of the enum's order that any of them has.
pub(super) fn together(
    parts: &[Vec<Stretch>],
    withheld: &Runs,
    (from, to): (Time, Time),
) -> Vec<Stretch> {
    let mut cuts: Vec<Time> = alloc::vec![from, to];
    let ends = parts.iter().flatten().flat_map(|one| [one.from, one.to]);
    cuts.extend(ends.chain(withheld.iter().flat_map(|(begin, end)| [begin, end])));
    cuts.retain(|at| (from..=to).contains(at));
    cuts.sort_unstable();
    cuts.dedup();
    let mut stretches = Vec::new();
    for pair in cuts.windows(2) {
        let &[begin, end] = pair else { continue };
        let at = |part: &Vec<Stretch>| {
            let after = part.partition_point(|one| one.from <= begin);
            Some(part.get(after.checked_sub(1)?)?.class)
        };
        let nobody = if withheld.contains(begin) {
            Class::Withheld
        } else {
            Class::Unassigned
        };
        let class = parts.iter().filter_map(at).min().unwrap_or(nobody);
        push(&mut stretches, begin, end, class.min(nobody));
    }
    for stretch in &mut stretches {
        let same = |one: &&Stretch| {
            one.class == stretch.class && one.from < stretch.to && one.to > stretch.from
        };
        let same = parts.iter().flatten().filter(same);
        stretch.readings = same.fold(0, |sum, one| sum.saturating_add(one.readings));
    }
    stretches
}
