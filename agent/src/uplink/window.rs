//! PURE. What to send next: alerts first, then live, backlog behind, never more than the line carries in a
//! moment, again after a while.
//!
//! Invariants: nothing is forgotten: a record that was added is waiting, in flight or removed by the caller
//! (who removes for authentic receipts and declared drops only), and a lost connection puts what was in
//! flight back; a context's header precedes its records, unless the centre said that it knows the context; an
//! unsigned refusal delays, it never removes; what has no alert in it goes out only while little is on its
//! way (`pace.rs`), so that an alert never waits behind more than a moment of other data; what is larger than that goes
//! out in pieces (`window/cut.rs`), with alerts between them; on a metered line what the
//! budget does not let go waits here (`budget.rs`).
//! Must not know: transports, stores, bytes of records, clocks.

mod choose;
mod cut;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use vitals::{Span, Time};

use self::choose::{Origin, goes_with};
use self::cut::{Cut, Pieces, piece};
use super::budget::Allowance;
use super::pace::Pace;
use crate::outbox::RecordId;

/// Limits of a window.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Backlog records in flight at most.
    pub backlog_in_flight: usize,
    /// Live records in flight at most.
    pub live_in_flight: usize,
    /// Bytes of records in one message at most; half of what the contract allows a message.
    pub message_bytes: usize,
    /// First delay before a record without a receipt is sent again.
    pub retry_first: Span,
    /// Longest such delay.
    pub retry_longest: Span,
    /// How long a refused context rests before it is tried again.
    pub hold: Span,
    /// How long everything rests after "busy" or "store stopped".
    pub pause: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            backlog_in_flight: 256,
            live_in_flight: 1024,
            message_bytes: 32 * 1024,
            retry_first: Span::from_secs(20),
            retry_longest: Span::from_secs(300),
            hold: Span::from_secs(60),
            pause: Span::from_secs(5),
        }
    }
}

/// What goes first. The order is the order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Alerts, spot checks, gaps.
    Urgent,
    /// Heartbeats.
    Life,
    /// Dense vitals.
    Vitals,
    /// Waveforms.
    Waveform,
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Send {
    /// The header of this context (by ordinal).
    Open(u64),
    /// These records, in this order, in one message.
    Records(Vec<RecordId>),
    /// These bytes of a record that the line does not carry in a moment. Its other pieces follow in order, and no
    /// other record's come between.
    Piece(RecordId, Range<usize>),
}

/// What an unsigned refusal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The centre does not know the context: send its header again.
    HeaderMissing,
    /// The context is not taken now; rest it.
    Context,
    /// This record is not taken now; rest it.
    Record(u64),
    /// Too much of its kind comes now, or a reason that a later centre has: send it in a moment, and each time later.
    Later(u64),
    /// Nothing is taken now; rest everything.
    Everything,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    class: Class,
    due: Time,
    attempts: u32,
    /// How often in a row the centre asked for it later.
    put_off: u32,
    live: bool,
    /// When it was handed to the line first, its bytes, and how many were on their way then, these included.
    sent: Time,
    bytes: usize,
    behind: usize,
}

/// The machine.
#[derive(Debug)]
pub struct Window {
    limits: Limits,
    connected: bool,
    paused_until: Option<Time>,
    /// Contexts whose header went out on this connection, or that the centre knows.
    opened: BTreeSet<u64>,
    /// Contexts that the centre said it knows: it keeps them across connections.
    admitted: BTreeSet<u64>,
    held: BTreeMap<u64, Time>,
    /// Headers that were asked for again, and when: one answer per pause.
    reopened: BTreeMap<u64, Time>,
    live: BTreeSet<(Class, RecordId)>,
    /// Small live records on a slow line: to be merged, or sent at the time given.
    parked: BTreeMap<RecordId, (Class, Time)>,
    backlog: BTreeMap<(Class, u64), BTreeSet<u64>>,
    backlog_len: usize,
    flights: BTreeMap<RecordId, Flight>,
    flight_bytes: usize,
    due: BTreeSet<(Time, RecordId)>,
    live_flights: usize,
    pace: Pace,
    /// The record that goes out in pieces now.
    cut: Option<Cut>,
    /// Whether the centre of this connection puts pieces together.
    pieces: Pieces,
    /// What the line's budget lets go now, and whether it has one.
    allowance: Allowance,
    metered: bool,
}

impl Window {
    /// An empty window, not connected.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            connected: false,
            paused_until: None,
            opened: BTreeSet::new(),
            admitted: BTreeSet::new(),
            held: BTreeMap::new(),
            reopened: BTreeMap::new(),
            live: BTreeSet::new(),
            parked: BTreeMap::new(),
            backlog: BTreeMap::new(),
            backlog_len: 0,
            flights: BTreeMap::new(),
            flight_bytes: 0,
            due: BTreeSet::new(),
            live_flights: 0,
            pace: Pace::new(),
            cut: None,
            pieces: Pieces::Untried,
            allowance: Allowance::All,
            metered: false,
        }
    }

    /// What the line's budget lets go from now on; `metered`: there is one. What waited for it is backlog once it
    /// opens again.
    pub fn allow(&mut self, allowance: Allowance, metered: bool) {
        if self.allowance == Allowance::Urgent && allowance > Allowance::Urgent {
            let held: Vec<_> = self
                .parked
                .iter()
                .map(|(id, (class, _))| (*id, *class))
                .collect();
            for (id, class) in held {
                self.parked.remove(&id);
                self.add_backlog(id, class);
            }
        }
        (self.allowance, self.metered) = (allowance, metered);
    }

    /// Whether the budget lets a record go now.
    fn may_go(&self, class: Class, live: bool) -> bool {
        match (class, live) {
            (Class::Urgent | Class::Life, _) => true,
            (Class::Vitals, true) => self.allowance >= Allowance::Live,
            (Class::Vitals, false) | (Class::Waveform, _) => self.allowance == Allowance::All,
        }
    }

    /// A new record: live if there is a connection, else backlog.
    pub fn add(&mut self, id: RecordId, class: Class) {
        if self.connected {
            self.live.insert((class, id));
        } else {
            self.add_backlog(id, class);
        }
    }

    /// A new record that may soon be replaced by a merged one: it waits until then, at most until `until`.
    pub fn park(&mut self, id: RecordId, class: Class, until: Time) {
        if self.connected {
            self.parked.insert(id, (class, until));
        } else {
            self.add_backlog(id, class);
        }
    }

    /// A record from before.
    pub fn add_backlog(&mut self, id: RecordId, class: Class) {
        let numbers = self.backlog.entry((class, id.ordinal)).or_default();
        self.backlog_len += usize::from(numbers.insert(id.number));
    }

    /// These records have their receipt: they are gone, and the line has shown what it carries.
    pub fn receipted(&mut self, ids: impl Iterator<Item = RecordId>, now: Time) {
        let mut told: Option<Flight> = None;
        for id in ids {
            let flight = self.flights.get(&id).filter(|flight| flight.attempts == 0);
            if let Some(flight) = flight.filter(|f| told.is_none_or(|t| t.behind < f.behind)) {
                told = Some(*flight);
            }
            self.remove(id);
        }
        if let Some(flight) = told {
            self.pace.arrived(flight.behind, flight.sent, now);
        }
    }

    /// The record is gone: receipted, dropped by policy, replaced or set aside.
    pub fn remove(&mut self, id: RecordId) {
        if self.land(id).is_some() || self.parked.remove(&id).is_some() {
            return;
        }
        for class in [Class::Urgent, Class::Life, Class::Vitals, Class::Waveform] {
            if self.live.remove(&(class, id)) || self.take_backlog(id, class) {
                return;
            }
        }
    }

    /// A connection is up.
    pub fn connected(&mut self) {
        self.connected = true;
        self.opened.clone_from(&self.admitted);
        self.pace = Pace::new();
        self.pieces = Pieces::Untried;
    }

    /// The centre knows this context.
    pub fn admitted(&mut self, ordinal: u64) {
        self.admitted.insert(ordinal);
    }

    /// The context is over.
    pub fn closed(&mut self, ordinal: u64) {
        self.admitted.remove(&ordinal);
        self.opened.remove(&ordinal);
    }

    /// The connection is down: what was live or in flight is backlog.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.opened.clear();
        self.held.clear();
        self.reopened.clear();
        self.paused_until = None;
        self.due.clear();
        self.live_flights = 0;
        self.flight_bytes = 0;
        self.cut = None;
        for (id, flight) in std::mem::take(&mut self.flights) {
            self.add_backlog(id, flight.class);
        }
        for (class, id) in std::mem::take(&mut self.live) {
            self.add_backlog(id, class);
        }
        for (id, (class, _)) in std::mem::take(&mut self.parked) {
            self.add_backlog(id, class);
        }
    }

    /// True if a new record would go out at once: the batcher then seals each notification by itself.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        self.connected
            && self.paused_until.is_none()
            && self.live.is_empty()
            && self.live_flights < self.limits.live_in_flight / 8
            && !self.is_slow(now)
    }

    /// True while the line carries less than what is live, or each byte counts: small records are then worth
    /// merging.
    #[must_use]
    pub fn is_slow(&self, now: Time) -> bool {
        let first = self.flights.values().filter(|flight| flight.attempts == 0);
        let oldest = first.map(|flight| flight.sent).min();
        self.connected && (self.metered || self.pace.is_slow(oldest, now))
    }

    /// True while a connection is up.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Records that wait or are in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len() + self.parked.len() + self.backlog_len + self.flights.len()
    }

    /// Records that are not on their way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.len() - self.flights.len()
    }

    /// What the line's budget lets go now.
    #[must_use]
    pub const fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// True if nothing waits and nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if the record waits to be merged: no line ever had it.
    #[must_use]
    pub fn is_parked(&self, id: RecordId) -> bool {
        self.parked.contains_key(&id)
    }

    /// An unsigned refusal: a hint. Delays what it names.
    pub fn refused(&mut self, ordinal: u64, refused: Refused, now: Time) {
        match refused {
            Refused::HeaderMissing => {
                let last = self.reopened.get(&ordinal);
                if last.is_some_and(|last| now.since(*last) < self.limits.pause) {
                    return;
                }
                self.reopened.insert(ordinal, now);
                self.closed(ordinal);
                self.land_context(ordinal);
            }
            Refused::Context => {
                self.closed(ordinal);
                self.held.insert(ordinal, now + self.limits.hold);
                self.land_context(ordinal);
            }
            Refused::Record(number) => {
                let id = RecordId { ordinal, number };
                let due = now + self.limits.retry_longest;
                self.again(id, due);
            }
            Refused::Later(number) => {
                let id = RecordId { ordinal, number };
                let put_off = self.flights.get(&id).map_or(0, |flight| flight.put_off);
                self.again(id, now + self.growing(self.limits.pause, put_off));
                if let Some(flight) = self.flights.get_mut(&id) {
                    flight.put_off += 1;
                }
            }
            Refused::Everything => {
                let due = now + self.limits.pause;
                self.paused_until = Some(due);
                for id in self.flights.keys().copied().collect::<Vec<_>>() {
                    self.again(id, due);
                }
            }
        }
    }

    /// What to send now, if anything; only what is live or urgent unless `backlog_too`. `size` gives the bytes
    /// of a record.
    pub fn next(
        &mut self,
        now: Time,
        backlog_too: bool,
        size: impl Fn(RecordId) -> usize,
    ) -> Option<Send> {
        if !self.connected {
            return None;
        }
        if let Some(until) = self.paused_until {
            if now < until {
                return None;
            }
            self.paused_until = None;
        }
        self.held.retain(|_, until| now < *until);
        self.unpark(now);
        self.give_up_cut(now);
        let room = self.pace.room();
        let most = self.limits.message_bytes.min(room.max(1));
        let whole = self.pieces.whole(room);
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut began = None;
        // While one record goes out in pieces, only what needs none goes between them.
        let cut = self.cut.as_ref().map(Cut::id);
        let goes = |id| cut.is_none_or(|cut| cut == id) || size(id) <= whole;
        while let Some((mut id, mut class, mut from)) =
            self.candidate(now, backlog_too, began, &goes)
        {
            let mut more = size(id);
            let on_its_way = matches!(from, Origin::Flight | Origin::Cut);
            let waits = class != Class::Urgent && !on_its_way && self.flight_bytes > 0;
            let first = if more > whole { piece(room) } else { more };
            if waits && self.flight_bytes + first > room {
                // What is sent again has its room; if it waited for more, a lost receipt would stop all.
                let again = self.unreceipted(now, backlog_too, &goes);
                let Some(again) = again.filter(|again| goes_with(began, again)) else {
                    break;
                };
                (id, class, from) = again;
                more = size(id);
            }
            if !self.opened.contains(&id.ordinal) {
                if records.is_empty() {
                    self.opened.insert(id.ordinal);
                    return Some(Send::Open(id.ordinal));
                }
                break;
            }
            if more > whole {
                if records.is_empty() {
                    return self.send_piece((id, class, from), more, now);
                }
                break;
            }
            bytes += more;
            if bytes > most && !records.is_empty() {
                break;
            }
            self.take_off(id, class, from, more, now);
            began = Some((from, class == Class::Urgent));
            records.push(id);
        }
        (!records.is_empty()).then_some(Send::Records(records))
    }

    /// When [`Window::next`] may have something to send although nothing new came.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if !self.connected {
            return None;
        }
        if let Some(until) = self.paused_until {
            return Some(until);
        }
        let flying = |id| self.flights.get(id);
        let may_go = |id| flying(id).is_some_and(|flight| self.may_go(flight.class, flight.live));
        let due = self
            .due
            .iter()
            .find(|(_, id)| may_go(id))
            .map(|(due, _)| *due);
        let held = self.held.values().min().copied();
        let parked = self.parked.values().map(|(_, until)| *until).min();
        let parked = parked.filter(|until| *until < Time::MAX);
        due.into_iter().chain(held).chain(parked).min()
    }

    /// Nothing waits to be merged any longer than it should, or on a line that keeps up.
    fn unpark(&mut self, now: Time) {
        if self.parked.is_empty() {
            return;
        }
        let slow = self.is_slow(now);
        let over = |(id, (class, until)): (&RecordId, &(Class, Time))| {
            (*until <= now || !slow).then_some((*class, *id))
        };
        let over: Vec<_> = self.parked.iter().filter_map(over).collect();
        for (class, id) in over {
            self.parked.remove(&id);
            self.live.insert((class, id));
        }
    }

    /// How long a receipt is waited for.
    fn patience(&self, behind: usize, attempts: u32) -> Span {
        let patience = self.pace.patience(self.limits.retry_first, behind);
        self.growing(patience, attempts)
    }

    /// Twice as long each time, up to the longest.
    fn growing(&self, first: Span, times: u32) -> Span {
        let delay = first.as_micros() << times.min(20);
        Span::from_micros(delay.min(self.limits.retry_longest.as_micros()))
    }

    fn take_off(&mut self, id: RecordId, class: Class, from: Origin, bytes: usize, now: Time) {
        let before = match from {
            Origin::Live => {
                self.live.remove(&(class, id));
                None
            }
            Origin::Backlog => {
                self.take_backlog(id, class);
                None
            }
            Origin::Flight | Origin::Cut => self.land(id),
        };
        let attempts = before.map_or(0, |flight| flight.attempts + 1);
        let behind = self.flight_bytes + bytes;
        let flight = Flight {
            class,
            due: now + self.patience(behind, attempts),
            attempts,
            put_off: before.map_or(0, |flight| flight.put_off),
            live: before.map_or(from == Origin::Live, |flight| flight.live),
            sent: before.map_or(now, |flight| flight.sent),
            bytes,
            behind,
        };
        self.fly(id, flight);
    }

    /// The centre did not take it: it is on its way no more, and goes out again at `due`.
    fn again(&mut self, id: RecordId, due: Time) {
        if let Some(flight) = self.land(id) {
            let attempts = flight.attempts.max(1);
            let flight = Flight {
                due,
                attempts,
                bytes: 0,
                ..flight
            };
            self.fly(id, flight);
        }
    }

    fn fly(&mut self, id: RecordId, flight: Flight) {
        self.live_flights += usize::from(flight.live);
        self.flight_bytes += flight.bytes;
        self.due.insert((flight.due, id));
        self.flights.insert(id, flight);
    }

    fn land(&mut self, id: RecordId) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        self.cut = self.cut.take().filter(|cut| cut.id() != id);
        self.due.remove(&(flight.due, id));
        self.live_flights -= usize::from(flight.live);
        self.flight_bytes -= flight.bytes;
        Some(flight)
    }

    fn land_context(&mut self, ordinal: u64) {
        let all = RecordId { ordinal, number: 0 }..=RecordId {
            ordinal,
            number: u64::MAX,
        };
        let ids: Vec<RecordId> = self.flights.range(all).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(flight) = self.land(id) {
                self.add_backlog(id, flight.class);
            }
        }
    }

    fn take_backlog(&mut self, id: RecordId, class: Class) -> bool {
        let key = (class, id.ordinal);
        let Some(numbers) = self.backlog.get_mut(&key) else {
            return false;
        };
        let taken = numbers.remove(&id.number);
        if numbers.is_empty() {
            self.backlog.remove(&key);
        }
        self.backlog_len -= usize::from(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(0) + Span::from_secs(seconds)
    }

    fn id(ordinal: u64, number: u64) -> RecordId {
        RecordId { ordinal, number }
    }

    fn window() -> Window {
        Window::new(Limits {
            backlog_in_flight: 4,
            live_in_flight: 8,
            message_bytes: 300,
            ..Limits::default()
        })
    }

    fn all(window: &mut Window, now: Time) -> Vec<Send> {
        std::iter::from_fn(|| window.next(now, true, |_| 100)).collect()
    }

    /// One record in three is larger than what a fresh line takes at once.
    fn mixed(id: RecordId) -> usize {
        if id.number.is_multiple_of(3) {
            5000
        } else {
            100
        }
    }

    fn all_mixed(window: &mut Window, now: Time) -> Vec<Send> {
        std::iter::from_fn(|| window.next(now, true, mixed)).collect()
    }

    #[test]
    fn a_lost_receipt_stops_nothing_that_waits_behind_it() {
        let mut window = window();
        window.connected();
        window.add(id(1, 1), Class::Vitals);
        let whole_room = window.pace.room();
        let first: Vec<_> =
            std::iter::from_fn(|| window.next(at(0), true, |_| whole_room)).collect();
        assert_eq!(first.last(), Some(&Send::Records(vec![id(1, 1)])));
        // Its receipt is lost. What comes has no room, until the first is sent again and receipted.
        window.add(id(1, 2), Class::Vitals);
        assert_eq!(window.next(at(1), true, |_| whole_room), None);
        let again = window.next(at(1000), true, |_| whole_room);
        assert_eq!(again, Some(Send::Records(vec![id(1, 1)])));
        window.receipted([id(1, 1)].into_iter(), at(1001));
        let next = window.next(at(1001), true, |_| whole_room);
        assert_eq!(next, Some(Send::Records(vec![id(1, 2)])));
    }

    /// A record of 4000 bytes on a line whose first record of 500 took two seconds.
    fn cut_on_a_thin_line() -> (Window, fn(RecordId) -> usize) {
        let size: fn(RecordId) -> usize = |id| if id.number == 1 { 4000 } else { 500 };
        let mut window = Window::new(Limits::default());
        window.connected();
        window.add(id(1, 2), Class::Vitals);
        window.add_backlog(id(1, 1), Class::Vitals);
        assert_eq!(window.next(at(0), true, size), Some(Send::Open(1)));
        let first = Some(Send::Records(vec![id(1, 2)]));
        assert_eq!(window.next(at(0), false, size), first);
        window.receipted([id(1, 2)].into_iter(), at(2));
        let piece = Some(Send::Piece(id(1, 1), 0..448));
        assert_eq!(window.next(at(2), true, size), piece);
        assert_eq!(window.next(at(2), true, size), None, "one at a time");
        (window, size)
    }

    #[test]
    fn what_the_line_does_not_carry_in_a_moment_goes_in_pieces_with_others_between() {
        let (mut window, size) = cut_on_a_thin_line();
        window.add(id(1, 3), Class::Urgent);
        window.add(id(1, 4), Class::Vitals);
        let alert = Some(Send::Records(vec![id(1, 3)]));
        assert_eq!(window.next(at(3), true, size), alert, "at once");
        window.piece_taken(4000, at(4));
        assert_eq!(window.next(at(4), true, size), None, "a number of no piece");
        window.piece_taken(448, at(4));
        window.receipted([id(1, 3)].into_iter(), at(5));
        let live = Some(Send::Records(vec![id(1, 4)]));
        assert_eq!(window.next(at(5), true, size), live, "live before backlog");
        window.receipted([id(1, 4)].into_iter(), at(7));
        let mut from = 448;
        for n in 0..20 {
            let now = at(8 + 2 * n);
            let Some(Send::Piece(piece, range)) = window.next(now, true, size) else {
                panic!("its other pieces follow");
            };
            assert_eq!((piece, range.start), (id(1, 1), from));
            from = range.end;
            if from == 4000 {
                break;
            }
            window.piece_taken(from, now + Span::from_secs(2));
        }
        assert_eq!((from, window.len()), (4000, 1));
        window.receipted([id(1, 1)].into_iter(), at(60));
        assert!(window.is_empty());
        assert_eq!(window.flight_bytes, 0);
    }

    #[test]
    fn a_centre_that_answers_no_piece_gets_the_record_whole() {
        let (mut window, size) = cut_on_a_thin_line();
        let whole = Some(Send::Records(vec![id(1, 1)]));
        assert_eq!(window.next(at(1000), true, size), whole);
        // One that did answer gets it in pieces again.
        let (mut window, size) = cut_on_a_thin_line();
        window.piece_taken(448, at(4));
        let next = window.next(at(4), true, size);
        assert_eq!(next, Some(Send::Piece(id(1, 1), 448..896)));
        let anew = window.next(at(1000), true, size);
        assert_eq!(anew, Some(Send::Piece(id(1, 1), 0..448)));
        // One that says so is not waited for.
        let (mut window, size) = cut_on_a_thin_line();
        window.piece_refused(at(3));
        assert_eq!(window.next(at(4), true, size), None);
        assert_eq!(window.next(at(8), true, size), whole);
        // A record that is gone takes its pieces with it, and so does a connection.
        let (mut window, _) = cut_on_a_thin_line();
        window.remove(id(1, 1));
        assert!(window.cut.is_none() && window.flight_bytes == 0);
        let (mut window, size) = cut_on_a_thin_line();
        window.disconnected();
        assert_eq!((window.len(), window.flight_bytes), (1, 0));
        window.connected();
        assert_eq!(window.next(at(9), true, size), Some(Send::Open(1)));
        let first = window.next(at(9), true, size);
        assert_eq!(first, Some(Send::Piece(id(1, 1), 0..1024)));
    }

    #[test]
    fn header_first_live_first_backlog_bounded() {
        let mut window = window();
        for number in 1..=6 {
            window.add(id(1, number), Class::Vitals);
        }
        assert_eq!(all(&mut window, at(0)), [], "not connected");
        window.connected();
        window.add(id(2, 1), Class::Vitals);
        assert_eq!(
            all(&mut window, at(0)),
            [
                Send::Open(2),
                Send::Records(vec![id(2, 1)]),
                Send::Open(1),
                Send::Records(vec![id(1, 1), id(1, 2), id(1, 3)]),
                Send::Records(vec![id(1, 4)]),
            ]
        );
        window.remove(id(1, 2));
        assert_eq!(all(&mut window, at(0)), [Send::Records(vec![id(1, 5)])]);
    }

    #[test]
    fn backlog_waits_while_it_is_being_read() {
        let mut window = window();
        window.add(id(1, 1), Class::Vitals);
        window.connected();
        assert_eq!(window.next(at(0), false, |_| 100), None);
        window.add(id(2, 1), Class::Vitals);
        assert_eq!(window.next(at(0), false, |_| 100), Some(Send::Open(2)));
        let live = Some(Send::Records(vec![id(2, 1)]));
        assert_eq!(window.next(at(0), false, |_| 100), live);
        assert_eq!(window.next(at(0), false, |_| 100), None);
    }

    #[test]
    fn urgent_backlog_goes_before_older_vitals() {
        let mut window = window();
        window.add(id(1, 1), Class::Vitals);
        window.add(id(1, 2), Class::Urgent);
        window.connected();
        assert_eq!(
            all(&mut window, at(0))[1..],
            [Send::Records(vec![id(1, 2)]), Send::Records(vec![id(1, 1)])]
        );
    }

    #[test]
    fn an_alert_waits_for_nothing_and_old_ones_go_before_live_vitals() {
        let mut window = window();
        window.add(id(1, 1), Class::Urgent);
        for number in 2..100 {
            window.add(id(1, number), Class::Vitals);
        }
        window.connected();
        window.add(id(1, 100), Class::Vitals);
        let sent = |window: &mut Window| -> Vec<Send> {
            std::iter::from_fn(|| window.next(at(0), true, |_| 1000)).collect()
        };
        // What nobody knows about this line yet lets two records of a thousand bytes go.
        assert_eq!(
            sent(&mut window)[1..],
            [
                Send::Records(vec![id(1, 1)]),
                Send::Records(vec![id(1, 100)])
            ]
        );
        window.add(id(1, 101), Class::Urgent);
        assert_eq!(sent(&mut window), [Send::Records(vec![id(1, 101)])]);
        // Four seconds for three thousand bytes: one record at a time, and an alert in between.
        window.receipted([id(1, 1), id(1, 100), id(1, 101)].into_iter(), at(4));
        assert!(window.is_slow(at(4)));
        assert_eq!(sent(&mut window), [Send::Records(vec![id(1, 2)])]);
        window.add(id(1, 102), Class::Urgent);
        window.add(id(1, 103), Class::Vitals);
        assert_eq!(sent(&mut window), [Send::Records(vec![id(1, 102)])]);
        window.receipted([id(1, 2), id(1, 102)].into_iter(), at(8));
        assert_eq!(sent(&mut window), [Send::Records(vec![id(1, 103)])]);
    }

    #[test]
    fn a_budget_lets_go_in_the_declared_order() {
        let mut window = window();
        window.add(id(1, 1), Class::Vitals);
        window.connected();
        for (number, class) in [
            (2, Class::Waveform),
            (3, Class::Vitals),
            (4, Class::Life),
            (5, Class::Urgent),
        ] {
            window.add(id(1, number), class);
        }
        let mut sent = |allowance| {
            window.allow(allowance, true);
            let sent: Vec<u64> = all(&mut window, at(0))
                .into_iter()
                .filter_map(|send| match send {
                    Send::Records(ids) => Some(ids),
                    Send::Open(_) | Send::Piece(..) => None,
                })
                .flatten()
                .map(|id| id.number)
                .collect();
            sent
        };
        assert_eq!(sent(Allowance::Urgent), [5, 4]);
        assert_eq!(sent(Allowance::Live), [3]);
        assert_eq!(sent(Allowance::All), [2, 1]);
        // What had no receipt waits like anything else, and nobody is woken for it.
        window.allow(Allowance::Urgent, true);
        window.receipted([id(1, 4), id(1, 5)].into_iter(), at(1));
        assert_eq!(window.next_deadline(), None);
        assert_eq!(all(&mut window, at(1000)), []);
        window.allow(Allowance::Live, true);
        assert_eq!(all(&mut window, at(1000)), [Send::Records(vec![id(1, 3)])]);
        assert_eq!(window.len(), 3);
    }

    #[test]
    fn what_was_held_for_the_budget_is_backlog_when_it_opens() {
        let mut window = window();
        window.connected();
        window.allow(Allowance::Urgent, true);
        window.park(id(1, 1), Class::Vitals, Time::MAX);
        assert_eq!(
            (all(&mut window, at(0)), window.next_deadline()),
            (vec![], None)
        );
        window.allow(Allowance::Live, true);
        assert!(!window.is_parked(id(1, 1)));
        assert_eq!(all(&mut window, at(1)), []);
        window.allow(Allowance::All, true);
        assert_eq!(all(&mut window, at(1)).len(), 2, "header and record");
    }

    #[test]
    fn what_is_parked_waits_to_be_merged_and_not_longer() {
        let mut window = window();
        window.connected();
        window.add(id(1, 1), Class::Vitals);
        all(&mut window, at(0));
        assert!(window.is_slow(at(5)), "no receipt for five seconds");
        window.park(id(1, 2), Class::Vitals, at(15));
        window.park(id(1, 3), Class::Vitals, at(15));
        assert_eq!(all(&mut window, at(6)), []);
        window.remove(id(1, 2));
        assert!(window.is_parked(id(1, 3)) && !window.is_parked(id(1, 2)));
        assert_eq!(window.next_deadline(), Some(at(15)));
        assert_eq!(all(&mut window, at(15)), [Send::Records(vec![id(1, 3)])]);
        window.park(id(1, 4), Class::Vitals, at(100));
        window.disconnected();
        assert_eq!(window.len(), 3, "parked is not forgotten");
    }

    #[test]
    fn a_context_that_the_centre_knows_needs_no_header_again() {
        let mut window = window();
        window.connected();
        window.add(id(1, 1), Class::Vitals);
        all(&mut window, at(0));
        window.admitted(1);
        window.disconnected();
        window.connected();
        let records = [Send::Records(vec![id(1, 1)])];
        assert_eq!(all(&mut window, at(1)), records);
        // A centre restored from a backup may know it no more: it says so.
        window.refused(1, Refused::HeaderMissing, at(2));
        assert_eq!(all(&mut window, at(2))[0], Send::Open(1));
    }

    #[test]
    fn a_record_without_receipt_is_sent_again_later_and_later() {
        let mut window = window();
        window.connected();
        window.add(id(1, 1), Class::Vitals);
        all(&mut window, at(0));
        assert_eq!(all(&mut window, at(19)), []);
        let mut sent = Vec::new();
        for second in 20..400 {
            if !all(&mut window, at(second)).is_empty() {
                sent.push(second);
            }
        }
        assert_eq!(sent, [20, 60, 140, 300]);
        window.remove(id(1, 1));
        assert_eq!(all(&mut window, at(10_000)), []);
        assert!(window.is_empty() && window.next_deadline().is_none());
    }

    #[test]
    fn a_lost_connection_puts_everything_back_and_headers_go_out_again() {
        let mut window = window();
        window.connected();
        window.add(id(1, 1), Class::Vitals);
        let first = all(&mut window, at(0));
        window.disconnected();
        assert_eq!(window.len(), 1);
        window.connected();
        assert_eq!(all(&mut window, at(1)), first);
    }

    #[test]
    fn refusals_delay_and_never_remove() {
        let mut window = window();
        window.connected();
        window.add(id(1, 1), Class::Vitals);
        let first = all(&mut window, at(0));
        window.refused(1, Refused::HeaderMissing, at(1));
        assert_eq!(all(&mut window, at(1)), first, "header and record again");
        window.refused(1, Refused::HeaderMissing, at(2));
        assert_eq!(all(&mut window, at(2)), [], "asked for too often");
        window.refused(1, Refused::Context, at(3));
        assert_eq!(all(&mut window, at(62)), []);
        assert_eq!(window.next_deadline(), Some(at(63)));
        assert_eq!(all(&mut window, at(63)), first);
        window.refused(1, Refused::Record(1), at(64));
        assert_eq!(all(&mut window, at(300)), []);
        assert_eq!(all(&mut window, at(364)).len(), 1);
        window.add(id(1, 2), Class::Vitals);
        window.refused(0, Refused::Everything, at(365));
        assert_eq!(all(&mut window, at(369)), []);
        // The new one, and the one that was on its way when the centre took nothing.
        assert_eq!(all(&mut window, at(370)).len(), 2);
        assert_eq!(window.len(), 2);
    }

    #[test]
    fn what_the_centre_wants_later_comes_later_each_time() {
        let mut window = window();
        window.connected();
        window.add_backlog(id(1, 1), Class::Vitals);
        all(&mut window, at(0));
        let mut sent = Vec::new();
        for second in 0..1200 {
            if second == 0 || !all(&mut window, at(second)).is_empty() {
                sent.push(second);
                window.refused(1, Refused::Later(1), at(second));
            }
        }
        assert_eq!(sent, [0, 5, 15, 35, 75, 155, 315, 615, 915]);
        assert_eq!(window.len(), 1, "it is not given up");
    }

    #[test]
    fn is_live_only_while_the_line_keeps_up() {
        let mut window = window();
        assert!(!window.is_live(at(0)));
        window.connected();
        assert!(window.is_live(at(0)));
        window.add(id(1, 1), Class::Vitals);
        assert!(!window.is_live(at(0)), "one waits");
        all(&mut window, at(0));
        assert!(!window.is_live(at(0)), "one of 8/8 is in flight");
        window.remove(id(1, 1));
        assert!(window.is_live(at(0)));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u64, u8),
        Receipt(usize),
        Connect,
        Disconnect,
        Refuse(u64, u8),
        Wait(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..4_u64, 0..4_u8).prop_map(|(ordinal, class)| Step::Add(ordinal, class)),
            3 => any::<usize>().prop_map(Step::Receipt),
            1 => Just(Step::Connect),
            1 => Just(Step::Disconnect),
            1 => (1..4_u64, 0..4_u8).prop_map(|(ordinal, kind)| Step::Refuse(ordinal, kind)),
            1 => (0..100_i64).prop_map(Step::Wait),
        ]
    }

    fn class(n: u8) -> Class {
        [Class::Urgent, Class::Vitals, Class::Waveform, Class::Life][usize::from(n)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// Against a plain set of what must not be forgotten: whatever is sent is in the set, the window's
        /// length is the set's, and once the line works everything is sent.
        #[test]
        fn forgets_nothing_and_sends_nothing_else(steps in proptest::collection::vec(step(), 1..150)) {
            let mut window = window();
            let mut present: BTreeSet<RecordId> = BTreeSet::new();
            let mut next = BTreeMap::new();
            let mut opened: BTreeSet<u64> = BTreeSet::new();
            let (mut now, mut held) = (at(0), 0);
            for step in steps {
                match step {
                    Step::Add(ordinal, kind) => {
                        let number = next.entry(ordinal).or_insert(0_u64);
                        *number += 1;
                        window.add(id(ordinal, *number), class(kind));
                        present.insert(id(ordinal, *number));
                    }
                    // Receipts come in any order, for anything that was ever added.
                    Step::Receipt(pick) => {
                        if pick % 2 == 0 {
                            window.piece_taken(held, now);
                        }
                        if let Some(id) = present.iter().nth(pick % present.len().max(1)).copied() {
                            present.remove(&id);
                            window.remove(id);
                            window.remove(id);
                        }
                    }
                    Step::Connect => window.connected(),
                    Step::Disconnect => {
                        window.disconnected();
                        opened.clear();
                    }
                    Step::Refuse(ordinal, kind) => {
                        let refused = [
                            Refused::HeaderMissing,
                            Refused::Context,
                            Refused::Record(1),
                            Refused::Everything,
                        ][usize::from(kind)];
                        window.refused(ordinal, refused, now);
                    }
                    Step::Wait(seconds) => now = now + Span::from_secs(seconds),
                }
                for send in all_mixed(&mut window, now) {
                    match send {
                        Send::Open(ordinal) => { opened.insert(ordinal); }
                        Send::Records(ids) => for id in ids {
                            prop_assert!(present.contains(&id));
                            prop_assert!(opened.contains(&id.ordinal));
                        },
                        Send::Piece(id, range) => {
                            prop_assert!(present.contains(&id) && opened.contains(&id.ordinal));
                            prop_assert!(range.end <= mixed(id) && !range.is_empty());
                            held = range.end;
                        }
                    }
                }
                prop_assert_eq!(window.len(), present.len());
                prop_assert!(window.live_flights <= 8, "live is bounded");
                prop_assert!(window.flights.len() - window.live_flights <= 4, "backlog is bounded");
            }
            // The line works from now on, and the centre receipts all that it gets.
            window.disconnected();
            window.connected();
            let mut whole = 0;
            for _ in 0..1000 {
                now = now + Span::from_secs(400);
                for send in all_mixed(&mut window, now) {
                    let through = match send {
                        Send::Open(_) => Vec::new(),
                        Send::Records(ids) => ids,
                        Send::Piece(id, range) => {
                            if range.start == 0 {
                                whole = 0;
                            }
                            prop_assert_eq!(range.start, whole, "in order");
                            whole = range.end;
                            if whole < mixed(id) {
                                window.piece_taken(whole, now);
                                continue;
                            }
                            vec![id]
                        }
                    };
                    for id in through {
                        window.remove(id);
                        present.remove(&id);
                    }
                }
            }
            prop_assert!(present.is_empty() && window.is_empty());
            prop_assert_eq!(window.flight_bytes, 0);
        }
    }
}
