//! PURE. Which of two transports carries the line: the preferred one, or the other while that does not deliver.
//!
//! Delivery is a word of the centre that proves itself (a receipt, a signed command), not a connection: a door can be
//! open and lead nowhere. Without one for `after`, the other transport is taken. The way back is tried *beside* the
//! one in use, which goes on carrying, and is taken once the preferred one stands; the rests between trials double
//! while the way back does not hold, so that a door that opens and leads nowhere costs ever less.
//! Invariants: exactly one transport is in use; it is left only after `after` in silence, or for the preferred one
//! that just came up; the preferred one is tried again within `LONGEST_REST`.
//! Must not know: what the transports are, connections, records.

use vitals::{Span, Time};

/// How long the preferred transport rests before it is tried beside the other.
const FIRST_REST: Span = Span::from_mins(10);
/// ... and at most.
const LONGEST_REST: Span = Span::from_mins(6 * 60);

/// A transport's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one to use whenever it delivers.
    Preferred,
    /// The one to use while that does not.
    Fallback,
}

/// Why the transport in use is the one in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no other.
    Only,
    /// It is the preferred one.
    Preferred,
    /// The preferred one was silent for too long.
    PreferredSilent,
    /// The other one was silent, too.
    BothSilent,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Choice {
    /// `None`: there is no other transport.
    after: Option<Span>,
    using: Place,
    why: Why,
    /// When the one in use was taken, or proved itself last.
    proved: Time,
    /// Since when the one in use is in use.
    since: Time,
    /// When the preferred one is tried next, or since when it is being tried.
    trial: Time,
    trying: bool,
    rest: Span,
    switches: u64,
}

impl Choice {
    /// Begins with the preferred transport. `after`: silence before the other is taken; `None` if there is none.
    #[must_use]
    pub const fn new(after: Option<Span>, now: Time) -> Self {
        Self {
            after,
            using: Place::Preferred,
            why: if after.is_some() {
                Why::Preferred
            } else {
                Why::Only
            },
            proved: now,
            since: now,
            trial: Time::MAX,
            trying: false,
            rest: FIRST_REST,
            switches: 0,
        }
    }

    /// The one in use.
    #[must_use]
    pub const fn using(&self) -> Place {
        self.using
    }

    /// Why, and since when.
    #[must_use]
    pub const fn why(&self) -> (Why, Time) {
        (self.why, self.since)
    }

    /// How often another one was taken into use.
    #[must_use]
    pub const fn switches(&self) -> u64 {
        self.switches
    }

    /// Whether a transport shall have a connection: the one in use, and the preferred one while it is tried.
    #[must_use]
    pub fn wants(&self, place: Place) -> bool {
        place == self.using || (place == Place::Preferred && self.trying)
    }

    /// The one in use delivers: the centre proved that it heard, or nothing waits to be delivered.
    pub fn delivered(&mut self, now: Time) {
        self.proved = now;
        if self.using == Place::Preferred && now.since(self.since) >= FIRST_REST {
            self.rest = FIRST_REST;
        }
    }

    /// A connection stands. True: it is the line from now on.
    pub fn up(&mut self, place: Place, now: Time) -> bool {
        if place == Place::Preferred && self.using == Place::Fallback && self.trying {
            self.take(Place::Preferred, Why::Preferred, now);
        }
        place == self.using
    }

    /// Time passed. True: another transport is in use now.
    pub fn tick(&mut self, now: Time) -> bool {
        let Some(after) = self.after else {
            return false;
        };
        if self.trying && now.since(self.trial) >= after {
            self.rest_on(now);
        } else if self.using == Place::Fallback && !self.trying && now >= self.trial {
            (self.trying, self.trial) = (true, now);
        }
        if now.since(self.proved) < after {
            return false;
        }
        match self.using {
            Place::Preferred => {
                let why = if self.why == Why::BothSilent {
                    Why::BothSilent
                } else {
                    Why::PreferredSilent
                };
                self.take(Place::Fallback, why, now);
                self.rest_on(now);
            }
            Place::Fallback => self.take(Place::Preferred, Why::BothSilent, now),
        }
        true
    }

    /// When [`Choice::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Time {
        let Some(after) = self.after else {
            return Time::MAX;
        };
        let trial = match (self.using, self.trying) {
            (Place::Preferred, _) => Time::MAX,
            (Place::Fallback, true) => self.trial + after,
            (Place::Fallback, false) => self.trial,
        };
        trial.min(self.proved + after)
    }

    fn take(&mut self, place: Place, why: Why, now: Time) {
        self.using = place;
        self.why = why;
        (self.proved, self.since) = (now, now);
        self.trying = false;
        self.switches += 1;
    }

    /// The preferred one is left alone for a while, and for longer the next time.
    fn rest_on(&mut self, now: Time) {
        self.trying = false;
        self.trial = now + self.rest;
        self.rest = Span::from_micros(self.rest.as_micros().saturating_mul(2)).min(LONGEST_REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AFTER: Span = Span::from_secs(120);

    fn at(seconds: i64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn alone_it_is_never_left() {
        let mut choice = Choice::new(None, at(0));
        assert!(!choice.tick(at(1_000_000)) && choice.up(Place::Preferred, at(1)));
        assert_eq!(choice.next_deadline(), Time::MAX);
        assert_eq!(choice.why().0, Why::Only);
    }

    #[test]
    fn silence_leads_to_the_other_and_a_standing_door_back() {
        let mut choice = Choice::new(Some(AFTER), at(0));
        choice.delivered(at(50));
        assert!(!choice.tick(at(169)));
        assert_eq!(choice.next_deadline(), at(170));
        assert!(choice.tick(at(170)));
        assert_eq!(
            (choice.using(), choice.why().0),
            (Place::Fallback, Why::PreferredSilent)
        );
        assert!(!choice.wants(Place::Preferred), "it rests");
        assert!(
            !choice.up(Place::Preferred, at(171)),
            "a late one is not the line"
        );
        for second in 171..770 {
            choice.delivered(at(second));
            assert!(!choice.tick(at(second)) && !choice.wants(Place::Preferred));
        }
        // Tried beside the other, which carries on.
        choice.tick(at(770));
        assert!(choice.wants(Place::Preferred) && choice.wants(Place::Fallback));
        assert!(choice.up(Place::Preferred, at(780)));
        assert_eq!(
            (choice.using(), choice.why()),
            (Place::Preferred, (Why::Preferred, at(780)))
        );
        assert!(!choice.wants(Place::Fallback));
        assert_eq!(choice.switches(), 2);
    }

    #[test]
    fn a_door_that_leads_nowhere_is_tried_ever_more_rarely() {
        let mut choice = Choice::new(Some(AFTER), at(0));
        let mut trials = Vec::new();
        for second in 0..200_000 {
            let before = choice.using();
            choice.tick(at(second));
            if choice.using() == Place::Fallback {
                choice.delivered(at(second));
            }
            // It connects at once, and nothing ever comes back.
            if choice.wants(Place::Preferred)
                && choice.up(Place::Preferred, at(second))
                && before == Place::Fallback
            {
                trials.push(second);
            }
        }
        let rests: Vec<i64> = trials.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(rests[..4], [1320, 2520, 4920, 9720]);
        assert!(
            rests.iter().all(|rest| *rest <= 6 * 3600 + 120),
            "{rests:?}"
        );
    }

    #[test]
    fn with_both_silent_each_gets_its_turn() {
        let mut choice = Choice::new(Some(AFTER), at(0));
        let mut used = Vec::new();
        for second in 0..700 {
            if choice.tick(at(second)) {
                used.push((second, choice.using(), choice.why().0));
            }
        }
        use Place::{Fallback, Preferred};
        let expected = [
            (120, Fallback, Why::PreferredSilent),
            (240, Preferred, Why::BothSilent),
            (360, Fallback, Why::BothSilent),
            (480, Preferred, Why::BothSilent),
            (600, Fallback, Why::BothSilent),
        ];
        assert_eq!(used, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Whatever the doors do: a transport that delivers is kept, one that does not is left in time, the preferred
        /// one is never forgotten, and no deadline is missed by looking only then.
        #[test]
        fn what_delivers_is_found_and_kept(doors in prop::collection::vec((any::<bool>(), any::<bool>(), 30..4000_i64), 1..12)) {
            let mut choice = Choice::new(Some(AFTER), at(0));
            let mut now = 0;
            let mut tried = at(0);
            for (preferred, fallback, lasts) in doors {
                let open = |place| if place == Place::Preferred { preferred } else { fallback };
                let mut silent = 0;
                for _ in 0..lasts {
                    now += 1;
                    let due = choice.next_deadline() <= at(now);
                    let (before, proved) = (choice.using(), choice.proved);
                    let changed = choice.tick(at(now));
                    prop_assert!(due || !changed, "something to do only at a deadline");
                    if changed {
                        prop_assert!(at(now).since(proved) >= AFTER, "left only after silence");
                    }
                    for place in [Place::Fallback, Place::Preferred] {
                        if choice.wants(place) && open(place) && choice.up(place, at(now)) {
                            choice.delivered(at(now));
                        }
                    }
                    if !changed && before == Place::Preferred && open(before) && choice.proved == at(now) {
                        prop_assert_eq!(choice.using(), before, "what delivers is kept");
                    }
                    if choice.wants(Place::Preferred) {
                        tried = at(now);
                    }
                    prop_assert!(at(now).since(tried) <= LONGEST_REST);
                    silent = if open(choice.using()) { 0 } else { silent + 1 };
                    if preferred || fallback {
                        prop_assert!(silent <= 2 * 120 + 1, "found within twice the silence: {silent}");
                    }
                }
            }
        }
    }
}
