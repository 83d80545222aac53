//! PURE. One assigned device's connection as a machine; time and jitter are passed in.
//!
//! ```text
//!            seen             connected          services        subscribed
//!  Unseen ---------> Ready -----------> Connecting ----> Discovering ----> Subscribed
//!    ^                 ^     (its turn)     |  failed        |  zero services   |  lost, silent
//!    |                 |                    v                v                  v
//!    +--- vanished ----+---- due ------- Backoff <-----------+------------------+
//! ```
//!
//! Invariants: a connect that yields nothing to subscribe to is a failed connect; a device that failed to connect
//! twice must be heard again before the next attempt, because `BlueZ` also lists what is out of reach; the delay between attempts
//! grows until a *value* arrives (a link that connects but stays mute is no success); a subscribed link that
//! falls silent for longer than its rhythm allows is cut and connected anew, because `BlueZ` may say
//! "connected" for ever after its daemon restarted.
//! Must not know: D-Bus, btleplug, what the values mean.

use vitals::{Span, Time};

use super::LinkState;
use crate::backoff::Backoff;

/// Delays and limits of a link.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// First delay after a failure.
    pub backoff_first: Span,
    /// Longest delay after failures.
    pub backoff_longest: Span,
    /// A device that streams and is silent for this long is connected anew. Slower rhythms are learnt: the
    /// limit is never below six of the device's own mean intervals.
    pub silence: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            backoff_first: Span::from_millis(500),
            backoff_longest: Span::from_secs(60),
            silence: Span::from_secs(30),
        }
    }
}

/// What happened to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An advert, or `BlueZ` lists it.
    Seen,
    /// Connecting failed or timed out.
    ConnectFailed,
    /// Connected; services are being looked up.
    Connected,
    /// Subscribed to this many characteristics; `streams` if one of them notifies all the time (as opposed
    /// to spot checks, which may be hours apart).
    Subscribed {
        /// Characteristics subscribed to; zero is a failed connect.
        characteristics: usize,
        /// One of them notifies continuously.
        streams: bool,
    },
    /// A subscribed value arrived.
    Value,
    /// The link is down.
    Dropped,
    /// `BlueZ` forgot the device; it must be seen again before it can be connected.
    Vanished,
    /// What answered is not this device.
    Refused,
    /// It advertises vitals; `beacon` if devices that do so have nothing else to say over a link.
    Advertised {
        /// Nothing else to say.
        beacon: bool,
    },
}

/// What to do for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close the link if there is one; its outcome does not matter.
    Disconnect,
}

/// An impostor is looked at again after so long: the true device may be back.
const REFUSED: Span = Span::from_secs(60);
/// A beacon that could not be connected is tried again after so long: each attempt costs half a minute without a
/// scan, and anybody can make a device look like a beacon.
const BEACON: Span = Span::from_mins(60);
/// Failures in a row after which a device that is listed but not heard is no longer tried.
const LISTED_ONLY: u32 = 1;
/// Failures in a row that are not blamed on the distance: the last of them came after the device was heard anew.
const STUCK: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unseen,
    Ready,
    Connecting,
    Discovering,
    Subscribed {
        streams: bool,
        since: Time,
        last_value: Time,
    },
    Backoff {
        until: Time,
        seen: bool,
    },
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Link {
    limits: Limits,
    state: State,
    backoff: Backoff,
    shown: LinkState,
    since: Time,
    /// Mean interval between values, learnt; `None` before two values.
    rhythm: Option<Span>,
    last_value: Option<Time>,
    /// It advertises vitals: it is worth listening for as long as there is no link.
    advertises: bool,
    /// Devices that advertise as it does have nothing else to say over a link.
    beacon: bool,
}

impl Link {
    /// A device that was never seen.
    #[must_use]
    pub fn new(limits: Limits, now: Time) -> Self {
        Self {
            limits,
            state: State::Unseen,
            backoff: Backoff::new(limits.backoff_first, limits.backoff_longest),
            shown: LinkState::Searching,
            since: now,
            rhythm: None,
            last_value: None,
            advertises: false,
            beacon: false,
        }
    }

    /// The link as people see it, and since when.
    #[must_use]
    pub const fn shown(&self) -> (LinkState, Time) {
        (self.shown, self.since)
    }

    /// True if it waits for its turn to connect.
    #[must_use]
    pub fn wants_connect(&self, now: Time) -> bool {
        match self.state {
            State::Ready => true,
            State::Backoff { until, seen } => seen && until <= now,
            State::Unseen | State::Connecting | State::Discovering | State::Subscribed { .. } => {
                false
            }
        }
    }

    /// True while it is neither connected nor about to be: scanning helps.
    #[must_use]
    pub const fn wants_scan(&self) -> bool {
        match self.state {
            State::Unseen | State::Backoff { seen: false, .. } => true,
            State::Ready | State::Backoff { .. } => self.advertises,
            State::Connecting | State::Discovering | State::Subscribed { .. } => false,
        }
    }

    /// True if it is heard and cannot be connected all the same: after three failures, six, twelve and so on.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        let failures = self.backoff.failures();
        let heard = matches!(self.state, State::Backoff { seen: true, .. });
        heard && failures.is_multiple_of(STUCK) && (failures / STUCK).is_power_of_two()
    }

    /// True while an attempt to connect runs.
    #[must_use]
    pub const fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting | State::Discovering)
    }

    /// Since when it is subscribed; `None` while it is not.
    #[must_use]
    pub const fn subscribed_since(&self) -> Option<Time> {
        match self.state {
            State::Subscribed { since, .. } => Some(since),
            State::Unseen
            | State::Ready
            | State::Connecting
            | State::Discovering
            | State::Backoff { .. } => None,
        }
    }

    /// Gives its place to another device: cut without blame, and waiting for its next turn.
    pub fn give_way(&mut self, now: Time) -> Action {
        self.last_value = None;
        self.show(LinkState::Lost, now);
        self.state = State::Ready;
        Action::Disconnect
    }

    /// Its turn has come.
    pub fn connect(&mut self) {
        debug_assert!(!self.is_connecting(), "one attempt at a time");
        self.state = State::Connecting;
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Time, jitter: u8) -> Option<Action> {
        match input {
            Input::Seen => {
                match &mut self.state {
                    State::Unseen => self.state = State::Ready,
                    State::Backoff { seen, .. } => *seen = true,
                    State::Ready
                    | State::Connecting
                    | State::Discovering
                    | State::Subscribed { .. } => {}
                }
                None
            }
            Input::Advertised { beacon } => {
                (self.advertises, self.beacon) = (true, beacon);
                None
            }
            Input::ConnectFailed => {
                let heard = self.backoff.failures() < LISTED_ONLY;
                let had_link = self.fail(now, jitter, heard);
                if let State::Backoff { until, seen } = &mut self.state
                    && self.beacon
                {
                    (*until, *seen) = (now + BEACON, false);
                }
                had_link
            }
            Input::Refused => {
                let had_link = self.fail(now, jitter, false);
                self.state = State::Backoff {
                    until: now + REFUSED,
                    seen: false,
                };
                had_link
            }
            Input::Connected => {
                if self.state == State::Connecting {
                    self.state = State::Discovering;
                }
                None
            }
            Input::Subscribed {
                characteristics: 0, ..
            } => self.fail(now, jitter, true),
            // The link dropped while the adapter was still subscribing: its news is stale.
            Input::Subscribed { .. } if !self.has_link() => Some(Action::Disconnect),
            Input::Subscribed { streams, .. } => {
                self.state = State::Subscribed {
                    streams,
                    since: now,
                    last_value: now,
                };
                self.show(LinkState::Connected, now);
                None
            }
            Input::Value => {
                self.value(now);
                None
            }
            Input::Dropped if self.has_link() => self.fail(now, jitter, true),
            Input::Dropped => None,
            Input::Vanished => {
                if self.state == State::Ready {
                    self.state = State::Unseen;
                    return None;
                }
                self.fail(now, jitter, false)
            }
        }
    }

    /// Time passed: cuts a link that fell silent.
    pub fn tick(&mut self, now: Time, jitter: u8) -> Option<Action> {
        (self.silent_at()? <= now)
            .then(|| self.fail(now, jitter, true))
            .flatten()
    }

    /// When [`Link::tick`] or [`Link::wants_connect`] next has something new to say.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        match self.state {
            State::Backoff { until, seen: true } => Some(until),
            State::Subscribed { .. } => self.silent_at(),
            State::Unseen
            | State::Ready
            | State::Connecting
            | State::Discovering
            | State::Backoff { .. } => None,
        }
    }

    fn silent_at(&self) -> Option<Time> {
        let State::Subscribed {
            streams: true,
            last_value,
            ..
        } = self.state
        else {
            return None;
        };
        let slow = self
            .rhythm
            .map_or(Span::ZERO, |mean| Span::from_micros(mean.as_micros() * 6));
        Some(last_value + self.limits.silence.max(slow))
    }

    fn value(&mut self, now: Time) {
        if let State::Subscribed { last_value, .. } = &mut self.state {
            *last_value = now;
            self.backoff.succeed();
        }
        if let Some(before) = self.last_value.replace(now) {
            let interval = now.since(before).as_micros().max(0);
            // An hour bounds what one long absence can teach.
            let interval = interval.min(Span::from_mins(60).as_micros());
            let mean = self.rhythm.map_or(interval, |mean| {
                mean.as_micros() + (interval - mean.as_micros()) / 8
            });
            self.rhythm = Some(Span::from_micros(mean));
        }
    }

    const fn has_link(&self) -> bool {
        matches!(
            self.state,
            State::Connecting | State::Discovering | State::Subscribed { .. }
        )
    }

    fn fail(&mut self, now: Time, jitter: u8, seen: bool) -> Option<Action> {
        let had_link = self.has_link();
        if matches!(self.state, State::Subscribed { .. }) {
            self.show(LinkState::Lost, now);
        }
        // Time without a link teaches nothing about the device's rhythm.
        self.last_value = None;
        let until = now + self.backoff.fail(jitter);
        self.state = State::Backoff { until, seen };
        had_link.then_some(Action::Disconnect)
    }

    fn show(&mut self, state: LinkState, now: Time) {
        if self.shown != state {
            self.shown = state;
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(0) + Span::from_secs(seconds)
    }

    fn subscribed(now: Time) -> Link {
        let mut link = Link::new(Limits::default(), now);
        link.handle(Input::Seen, now, 0);
        link.connect();
        link.handle(Input::Connected, now, 0);
        let input = Input::Subscribed {
            characteristics: 2,
            streams: true,
        };
        link.handle(input, now, 0);
        link
    }

    #[test]
    fn seen_connected_subscribed() {
        let mut link = Link::new(Limits::default(), at(0));
        assert!(link.wants_scan() && !link.wants_connect(at(0)));
        link.handle(Input::Seen, at(1), 0);
        assert!(link.wants_connect(at(1)) && !link.wants_scan());
        link.connect();
        assert!(link.is_connecting() && !link.wants_connect(at(1)));
        assert_eq!(subscribed(at(2)).shown(), (LinkState::Connected, at(2)));
    }

    #[test]
    fn zero_services_are_a_failed_connect() {
        let mut link = Link::new(Limits::default(), at(0));
        link.handle(Input::Seen, at(0), 0);
        link.connect();
        link.handle(Input::Connected, at(0), 0);
        let input = Input::Subscribed {
            characteristics: 0,
            streams: false,
        };
        assert_eq!(link.handle(input, at(0), 0), Some(Action::Disconnect));
        assert_eq!(link.shown().0, LinkState::Searching);
        assert!(!link.wants_connect(at(0)) && link.wants_connect(at(1)));
    }

    #[test]
    fn delays_grow_until_a_value_arrives() {
        let mut link = Link::new(Limits::default(), at(0));
        link.handle(Input::Seen, at(0), 0);
        let mut waits = Vec::new();
        let mut now = at(0);
        for _ in 0..4 {
            link.connect();
            link.handle(Input::ConnectFailed, now, 0);
            link.handle(Input::Seen, now, 0);
            let due = link.next_deadline().expect("backing off");
            waits.push(due.since(now).as_micros() / 1000);
            now = due;
        }
        assert_eq!(waits, [500, 1000, 2000, 4000]);
        // Connecting alone is no success...
        link.connect();
        let input = Input::Subscribed {
            characteristics: 1,
            streams: true,
        };
        link.handle(input, now, 0);
        link.handle(Input::Dropped, now, 0);
        let due = link.next_deadline().expect("backing off");
        assert_eq!(due.since(now), Span::from_secs(8));
        // ... a value is.
        link.connect();
        link.handle(input, due, 0);
        link.handle(Input::Value, due, 0);
        link.handle(Input::Dropped, due, 0);
        let next = link.next_deadline().expect("backing off");
        assert_eq!(next.since(due), Span::from_millis(500));
    }

    #[test]
    fn a_silent_link_is_cut_and_a_lively_one_is_not() {
        let mut link = subscribed(at(0));
        for second in 1..100 {
            assert_eq!(link.tick(at(second), 0), None);
            link.handle(Input::Value, at(second), 0);
        }
        assert_eq!(link.tick(at(128), 0), None);
        assert_eq!(link.tick(at(129), 0), Some(Action::Disconnect));
        assert_eq!(link.shown(), (LinkState::Lost, at(129)));
    }

    #[test]
    fn a_slow_rhythm_is_learnt() {
        let mut link = subscribed(at(0));
        for n in 1..40 {
            link.handle(Input::Value, at(n * 20), 0);
        }
        assert_eq!(link.tick(at(39 * 20 + 100), 0), None);
        assert_eq!(link.tick(at(39 * 20 + 121), 0), Some(Action::Disconnect));
    }

    #[test]
    fn a_spot_check_device_may_be_silent() {
        let mut link = subscribed(at(0));
        let input = Input::Subscribed {
            characteristics: 1,
            streams: false,
        };
        link.handle(input, at(0), 0);
        assert_eq!(link.next_deadline(), None);
        assert_eq!(link.tick(at(1_000_000), 0), None);
    }

    #[test]
    fn what_vanished_must_be_seen_again() {
        let mut link = subscribed(at(0));
        assert_eq!(
            link.handle(Input::Vanished, at(5), 0),
            Some(Action::Disconnect)
        );
        assert!(link.wants_scan() && !link.wants_connect(at(100)));
        link.handle(Input::Seen, at(100), 0);
        assert!(link.wants_connect(at(100)));
    }

    #[test]
    fn a_beacon_is_listened_for_and_rarely_tried() {
        let mut link = Link::new(Limits::default(), at(0));
        link.handle(Input::Seen, at(0), 0);
        assert!(link.wants_connect(at(0)), "it may take links");
        let beacon = Input::Advertised { beacon: true };
        link.handle(beacon, at(0), 0);
        link.connect();
        link.handle(Input::ConnectFailed, at(1), 0);
        for second in 2..3600 {
            link.handle(Input::Seen, at(second), 0);
            link.handle(beacon, at(second), 0);
            assert!(
                link.wants_scan() && !link.wants_connect(at(second)),
                "{second}"
            );
        }
        link.handle(Input::Seen, at(3601), 0);
        assert!(link.wants_connect(at(3601)), "it may be one no more");
        // A strap that advertises its rate is tried as ever, and listened for between.
        let mut strap = Link::new(Limits::default(), at(0));
        strap.handle(Input::Seen, at(0), 0);
        strap.handle(Input::Advertised { beacon: false }, at(0), 0);
        assert!(strap.wants_scan() && strap.wants_connect(at(0)));
        strap.connect();
        assert!(!strap.wants_scan());
    }

    #[test]
    fn a_stray_input_does_not_leave_its_state() {
        let mut link = Link::new(Limits::default(), at(0));
        assert_eq!(link.handle(Input::Dropped, at(0), 0), None);
        link.handle(Input::Connected, at(0), 0);
        link.handle(Input::Value, at(0), 0);
        let stale = Input::Subscribed {
            characteristics: 1,
            streams: false,
        };
        assert_eq!(link.handle(stale, at(0), 0), Some(Action::Disconnect));
        assert!(link.wants_scan());
    }
}
