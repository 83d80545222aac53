//! PURE. How many links the adapter carries at once: told by people, or found out.
//!
//! Nobody says so: `BlueZ` calls a connect that found the adapter full "abort-by-local" like any other failure, or
//! never answers it (measured on 5.66, and so in the source of later ones). So it is tried:
//!
//! ```text
//!        stuck             a place that another gave helped       who gave it fails without one
//!  Open -----> Suspected -----------------------------> Probing -----------------------------> Full
//!    ^             |                                       |                                     |
//!    +-------------+---------------------------------------+-------------------------------------+
//!      it did not help       who gave it is back: no limit       a free place did not help, or an hour passed
//! ```
//!
//! Invariants: a limit is believed only after one device connected in a place that another gave, and the other could
//! not connect beside it; a belief that a free place does not bear out is dropped; none lasts longer than
//! an hour.
//! Must not know: devices, D-Bus.

use vitals::{Span, Time};

/// What was found out is tried again after so long: another program's link may have taken the place.
const BELIEVED: Span = Span::from_mins(60);

/// How the adapter's links (measured elsewhere: 5 to 7 on common dongles) are shared.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    /// How many there are, as people told; `None`: it is found out by [`Slots`].
    pub most: Option<usize>,
    /// How long a link may stay while another device waits.
    pub hold: Span,
}

impl Default for Sharing {
    fn default() -> Self {
        Self {
            most: None,
            hold: Span::from_secs(60),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Open,
    Suspected(usize),
    Probing(usize),
    Full(usize, Time),
}

/// The machine. `up` is always the number of links that are up.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    told: Option<usize>,
    found: Found,
}

impl Slots {
    /// With a limit that people told, which is then not doubted.
    #[must_use]
    pub const fn new(told: Option<usize>) -> Self {
        Self {
            told,
            found: Found::Open,
        }
    }

    /// Links that may be up or tried; `None`: as many as there are devices.
    #[must_use]
    pub fn most(&self, now: Time) -> Option<usize> {
        self.told.or(match self.found {
            Found::Open => None,
            Found::Suspected(most) => Some(most),
            Found::Probing(most) => Some(most + 1),
            Found::Full(most, since) => (since + BELIEVED > now).then_some(most),
        })
    }

    /// A device that is heard cannot be connected: is it for want of a place?
    pub fn stuck(&mut self, up: usize, now: Time) {
        if up > 0 && self.most(now).is_none() {
            self.found = Found::Suspected(up);
        }
    }

    /// An attempt failed.
    pub fn failed(&mut self, up: usize, now: Time) {
        self.found = match self.found {
            Found::Suspected(most) | Found::Full(most, _) if up < most => Found::Open,
            Found::Probing(most) if up >= most => Found::Full(most, now),
            Found::Open | Found::Suspected(_) | Found::Probing(_) | Found::Full(..) => self.found,
        };
    }

    /// An attempt succeeded; its link is one of those that are up.
    pub fn connected(&mut self, up: usize) {
        self.found = match self.found {
            Found::Suspected(most) => Found::Probing(most),
            Found::Probing(most) | Found::Full(most, _) if up > most => Found::Open,
            Found::Open | Found::Probing(_) | Found::Full(..) => self.found,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Time {
        Time::from_micros(0) + Span::from_mins(minutes)
    }

    /// Two links are up, a third device is stuck, one link gives way, the third is up.
    fn probing() -> Slots {
        let mut slots = Slots::new(None);
        slots.stuck(2, at(0));
        assert_eq!(slots.most(at(0)), Some(2));
        slots.connected(2);
        slots
    }

    #[test]
    fn a_full_adapter_is_found_out_and_doubted_again() {
        let mut slots = probing();
        assert_eq!(slots.most(at(1)), Some(3), "who gave way may try");
        slots.failed(2, at(2));
        assert_eq!(slots.most(at(2)), Some(2));
        assert_eq!(slots.most(at(61)), Some(2));
        assert_eq!(slots.most(at(62)), None);
    }

    #[test]
    fn who_is_back_beside_the_others_shows_that_there_was_no_limit() {
        let mut slots = probing();
        slots.connected(3);
        assert_eq!(slots.most(at(1)), None);
    }

    #[test]
    fn what_a_free_place_does_not_help_is_no_limit() {
        let mut slots = Slots::new(None);
        slots.stuck(2, at(0));
        slots.failed(1, at(1));
        assert_eq!(slots.most(at(1)), None);
        let mut slots = probing();
        slots.failed(2, at(2));
        slots.failed(1, at(3));
        assert_eq!(slots.most(at(3)), None);
    }

    #[test]
    fn a_lone_device_is_never_stuck_for_want_of_a_place_and_people_are_believed() {
        let mut slots = Slots::new(None);
        slots.stuck(0, at(0));
        assert_eq!(slots.most(at(0)), None);
        let mut slots = Slots::new(Some(2));
        slots.stuck(2, at(0));
        slots.failed(1, at(1));
        assert_eq!(slots.most(at(1)), Some(2));
    }
}
