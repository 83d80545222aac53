//! PURE. A record that goes out in pieces, so that an alert waits behind one piece and not behind the whole of it.
//!
//! The centre answers each piece but the last, and that is what the pace is learnt from; for the last one comes the
//! receipt. A centre that answers none does not know pieces: for the rest of the connection records go out whole.
//! Must not know: what else is to be sent, transports, clocks.

use std::collections::VecDeque;
use std::ops::Range;

use vitals::Time;

use super::{Class, Flight, Origin, Send, Window};
use crate::outbox::RecordId;

/// Bytes of a piece, at least: with its envelope what 2 kbit/s carries in two seconds. Less would be mostly envelopes.
const LEAST: usize = 448;

/// Whether the centre puts pieces together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pieces {
    /// None was answered yet.
    Untried,
    /// One was.
    Answered,
    /// One was not, for longer than any line takes.
    Unanswered,
}

impl Pieces {
    /// Bytes of a record that goes out whole, at most, where `room` may be on its way.
    pub(super) fn whole(self, room: usize) -> usize {
        match self {
            Self::Untried | Self::Answered => room.max(LEAST),
            Self::Unanswered => usize::MAX,
        }
    }
}

/// Bytes of a piece where `room` may be on its way: two of them keep a line busy.
pub(super) fn piece(room: usize) -> usize {
    (room / 2).max(LEAST)
}

/// A piece that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OnItsWay {
    end: usize,
    /// When it was handed over, and how many bytes were on their way then, its own included.
    pub(super) sent: Time,
    pub(super) behind: usize,
}

/// The record, and how far it is.
#[derive(Debug)]
pub(super) struct Cut {
    id: RecordId,
    size: usize,
    sent: usize,
    held: usize,
    pieces: VecDeque<OnItsWay>,
}

impl Cut {
    pub(super) const fn new(id: RecordId, size: usize) -> Self {
        Self {
            id,
            size,
            sent: 0,
            held: 0,
            pieces: VecDeque::new(),
        }
    }

    pub(super) const fn id(&self) -> RecordId {
        self.id
    }

    /// Bytes of the next piece, of `most` at most.
    pub(super) fn next(&self, most: usize) -> usize {
        most.min(self.size - self.sent)
    }

    /// The next piece goes out; `behind`: bytes on their way then, its own included.
    pub(super) fn send(&mut self, most: usize, sent: Time, behind: usize) -> Range<usize> {
        let end = self.sent + self.next(most);
        self.pieces.push_back(OnItsWay { end, sent, behind });
        std::mem::replace(&mut self.sent, end)..end
    }

    /// All of it went out.
    pub(super) const fn is_over(&self) -> bool {
        self.sent == self.size
    }

    /// Bytes without an answer.
    pub(super) const fn under_way(&self) -> usize {
        self.sent - self.held
    }

    /// The centre says that it has so many bytes: the newest piece that this answers.
    pub(super) fn taken(&mut self, held: usize) -> Option<OnItsWay> {
        // Of a record that went out before, perhaps: that says nothing about this one.
        self.pieces.iter().find(|piece| piece.end == held)?;
        let mut newest = None;
        while let Some(piece) = self.pieces.front().filter(|piece| piece.end <= held) {
            (newest, self.held) = (Some(*piece), piece.end);
            self.pieces.pop_front();
        }
        newest
    }
}

impl Window {
    /// The centre has so many bytes of the record that goes out in pieces: an unsigned hint, for the pace.
    pub fn piece_taken(&mut self, held: usize, now: Time) {
        let Some(mut cut) = self.cut.take() else {
            return;
        };
        if let Some(taken) = cut.taken(held) {
            self.pieces = Pieces::Answered;
            self.pace.arrived(taken.behind, taken.sent, now);
            if let Some(flight) = self.land(cut.id()) {
                let bytes = cut.under_way();
                let due = if bytes == 0 { Time::MAX } else { flight.due };
                self.fly(
                    cut.id(),
                    Flight {
                        due,
                        bytes,
                        ..flight
                    },
                );
            }
        }
        self.cut = Some(cut);
    }

    /// The centre cannot make anything of a message: of a piece, if it knows none or has lost its place. An unsigned hint.
    pub fn piece_refused(&mut self, now: Time) {
        let Some(cut) = self.cut.take() else {
            return;
        };
        if let Some(flight) = self.land(cut.id()) {
            let due = flight.due.min(now + self.limits.pause);
            self.fly(cut.id(), Flight { due, ..flight });
        }
        self.cut = Some(cut);
    }

    /// What has gone out in part.
    pub(super) fn rest_of_cut(&self) -> Option<(RecordId, Class, Origin)> {
        let id = self.cut.as_ref()?.id();
        let flight = self.flights.get(&id)?;
        self.may_go(flight.class, flight.live)
            .then_some((id, flight.class, Origin::Cut))
    }

    /// The next piece of a record that is too large for the line's moment, or its first.
    pub(super) fn send_piece(
        &mut self,
        (id, class, from): (RecordId, Class, Origin),
        size: usize,
        now: Time,
    ) -> Option<Send> {
        let room = self.pace.room();
        let mut cut = match self.cut.take() {
            Some(cut) if from == Origin::Cut => cut,
            _ => Cut::new(id, size),
        };
        let bytes = cut.next(piece(room));
        // What waits to be sent again itself is on its way no more: or two lost receipts would wait for each other.
        let overdue = self.due.iter().take_while(|(due, _)| *due <= now);
        let overdue = overdue.filter_map(|(_, id)| self.flights.get(id));
        let before = self.flight_bytes - overdue.map(|flight| flight.bytes).sum::<usize>();
        if before > 0 && before + bytes > room {
            self.cut = (from == Origin::Cut).then_some(cut);
            return None;
        }
        if from != Origin::Cut {
            self.take_off(id, class, from, 0, now);
        }
        let flight = self.land(id)?;
        let bytes = flight.bytes + bytes;
        let behind = self.flight_bytes + bytes;
        let due = now + self.patience(behind, flight.attempts);
        let flight = Flight {
            due,
            sent: now,
            bytes,
            behind,
            ..flight
        };
        self.fly(id, flight);
        let range = cut.send(piece(room), now, behind);
        self.cut = (!cut.is_over()).then_some(cut);
        Some(Send::Piece(id, range))
    }

    /// A piece without an answer for too long: the record goes out anew, and whole if no piece ever had one.
    pub(super) fn give_up_cut(&mut self, now: Time) {
        let flight = self
            .cut
            .as_ref()
            .and_then(|cut| self.flights.get(&cut.id()));
        if flight.is_some_and(|flight| flight.due <= now) {
            self.cut = None;
            if self.pieces == Pieces::Untried {
                self.pieces = Pieces::Unanswered;
            }
        }
    }
}
