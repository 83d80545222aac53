//! A monitor that is lain upon reads low: pressure squeezes the fluid that it measures out of the skin. The reading falls
//! at once, faster than sugar falls in a body, stays for as long as somebody lies so, and comes back as fast.
//!
//! Doubt begins with a fall of 25 mg/dL within six minutes (5 mg/dL a minute, beyond what monitors show of bodies) out of a
//! quarter of an hour that was not falling. While it lasts, 25 minutes at most, a reading from 54 to 70 is told as that, too:
//! an alert of low priority about the sensor, with the value and what to do. Doubt takes nothing away: lows ring and are foreseen
//! as ever, and a low says that it fell like that; a fall that had begun before is not doubted. It knows no night: people
//! lie on sofas, too.
//!
//! Must not know: alerts' life.

use vitals::{Span, Time};

use super::{APART, Glucose, LOW, VERY_LOW};

/// A fall so deep, within so long, mg/dL.
const FALL: f64 = 25.0;
const WITHIN: Span = Span::from_mins(6);
/// Before it: a time without a fall of so much.
const BEFORE: Span = Span::from_mins(21);
const CALM: f64 = 10.0;
/// Back to so near where it was.
const BACK: f64 = 15.0;
/// What lasts longer is not doubted any more.
const LONGEST: Span = Span::from_mins(25);

/// A fall that was faster than sugar falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pressed {
    /// The first reading after the fall, and the newest.
    since: Time,
    seen: Time,
    /// Where it was before.
    pub(super) before: f64,
}

impl Pressed {
    /// Doubted still.
    pub(super) fn doubts(&self) -> bool {
        self.seen.since(self.since) <= LONGEST
    }
}

impl Glucose {
    /// Takes the newest reading, which is not among the recent ones yet.
    pub(super) fn press(&mut self, at: Time, value: f64) {
        self.pressed = self
            .pressed
            .filter(|pressed| value < pressed.before - BACK && at.since(pressed.seen) <= APART)
            .map(|pressed| Pressed {
                seen: at,
                ..pressed
            })
            .or_else(|| self.falls_like_pressure(at, value));
    }

    fn falls_like_pressure(&self, at: Time, value: f64) -> Option<Pressed> {
        let recent = || self.recent.iter().rev();
        let near = recent().take_while(|(of, _)| at.since(*of) <= WITHIN);
        let (top_at, before) = near.copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let earlier = recent().filter(|(of, _)| *of < top_at && at.since(*of) <= BEFORE);
        let highest = earlier.map(|(_, value)| *value).reduce(f64::max)?;
        let pressed = Pressed {
            since: at,
            seen: at,
            before,
        };
        (before - value >= FALL && highest - before < CALM).then_some(pressed)
    }

    /// A low reading that may be pressure on the sensor.
    pub(super) fn doubted(&self, value: f64) -> Option<Pressed> {
        let doubted = (VERY_LOW..LOW).contains(&value);
        self.pressed.filter(|pressed| doubted && pressed.doubts())
    }
}

/// Its constants.
pub(super) fn definition() -> alloc::string::String {
    alloc::format!("pressed {FALL} {WITHIN:?} {BEFORE:?} {CALM} {BACK} {LONGEST:?}")
}

crate::canonical_fields! {
    Pressed { since, seen, before }
}
