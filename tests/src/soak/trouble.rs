//! PURE. What happens to whom, from a seed.
//!
//! Each home and the centre has a lane of its own: one trouble after the other, each held for a while, with a pause
//! between; lanes overlap. The order within a lane depends on the seed alone.

use std::time::Duration;

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Something bad, or something that people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// `kill -9`; started again at the end.
    AgentKilled,
    /// SIGTERM; started again at the end.
    AgentStopped,
    /// The power is cut and the clock has no battery: started with this many seconds of offset, set right at the end.
    PowerCut(i64),
    /// The machine's clock jumps by this many seconds under the running agent, and back at the end.
    ClockStep(i64),
    /// Somebody fills the disk until the end, and there is no line.
    DiskFull,
    /// `kill -9` of the radio's worker.
    RadioKilled,
    /// bluetoothd is restarted; links survive.
    DaemonRestarted,
    /// The same; links do not.
    DaemonAfresh,
    /// The broker dies, and with it all on it; back at the end.
    BusKilled,
    /// The Bluetooth stick is pulled until the end.
    AdapterGone,
    /// All links end.
    LinksDropped,
    /// All links end, and connects fail for a long while.
    OutOfRange,
    /// Connected and mute until the end.
    Silence,
    /// Taken off until the end.
    TakenOff,
    /// No line until the end.
    LineCut,
    /// Delayed, flipped and torn until the end.
    LineRough,
    /// Hardly anything comes through until the end.
    LineThin,
    /// `kill -9` of the centre; back at the end.
    CentreKilled,
    /// SIGTERM of the centre; back at the end.
    CentreStopped,
    /// A patient wants a pause until the end.
    Paused,
    /// Every patient gets a new key.
    KeysRotated,
    /// The operator changes a setting of a gateway from afar.
    Configured,
}

impl Trouble {
    /// A name for counts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AgentKilled => "agent killed",
            Self::AgentStopped => "agent stopped",
            Self::PowerCut(_) => "power cut, clock unset",
            Self::ClockStep(0..) => "clock set forward and back",
            Self::ClockStep(_) => "clock set back and forward",
            Self::DiskFull => "disk full",
            Self::RadioKilled => "radio worker killed",
            Self::DaemonRestarted => "bluetoothd restarted",
            Self::DaemonAfresh => "bluetoothd restarted afresh",
            Self::BusKilled => "bus killed",
            Self::AdapterGone => "adapter gone",
            Self::LinksDropped => "links dropped",
            Self::OutOfRange => "out of range",
            Self::Silence => "connected and mute",
            Self::TakenOff => "taken off",
            Self::LineCut => "line cut",
            Self::LineRough => "line rough",
            Self::LineThin => "line thin",
            Self::CentreKilled => "centre killed",
            Self::CentreStopped => "centre stopped",
            Self::Paused => "patient paused",
            Self::KeysRotated => "keys rotated",
            Self::Configured => "configured from afar",
        }
    }
}

/// Who it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A home whose agent is let alone.
    Steady,
    /// A home to which everything happens.
    Rough,
    /// The same, with a small disk.
    Small,
    /// The centre, still mortal.
    Centre,
    /// The centre in its second half, let alone.
    CentreSpared,
}

const RADIO: &[Trouble] = &[
    Trouble::RadioKilled,
    Trouble::DaemonRestarted,
    Trouble::DaemonAfresh,
    Trouble::BusKilled,
    Trouble::AdapterGone,
    Trouble::LinksDropped,
    Trouble::OutOfRange,
    Trouble::Silence,
    Trouble::TakenOff,
];
const LINE: &[Trouble] = &[Trouble::LineCut, Trouble::LineRough, Trouble::LineThin];
/// Offsets are drawn when one is chosen.
const AGENT: &[Trouble] = &[
    Trouble::AgentKilled,
    Trouble::AgentStopped,
    Trouble::PowerCut(0),
    Trouble::ClockStep(1),
    Trouble::ClockStep(-1),
];
const CENTRE: &[Trouble] = &[
    Trouble::CentreKilled,
    Trouble::CentreStopped,
    Trouble::Paused,
    Trouble::KeysRotated,
    Trouble::Configured,
];
const SPARED: &[Trouble] = &[Trouble::Paused, Trouble::KeysRotated, Trouble::Configured];

/// Longest jump of a running clock, seconds of the wall: the test clock makes hours of it.
const LONGEST_STEP_S: i64 = 300;
/// Longest offset after a power cut, seconds of the wall.
const LONGEST_UNSET_S: i64 = 2000;

/// One lane's troubles.
#[derive(Debug)]
pub struct Lane {
    rng: ChaCha8Rng,
}

impl Lane {
    /// The lane of that number.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        Self { rng }
    }

    /// What comes next, and for how long.
    pub fn next(&mut self, whose: Whose) -> (Trouble, Duration) {
        let kinds: &[&[Trouble]] = match whose {
            Whose::Steady => &[RADIO, LINE],
            Whose::Rough => &[RADIO, LINE, AGENT, AGENT],
            Whose::Small => &[RADIO, LINE, AGENT, AGENT, &[Trouble::DiskFull]],
            Whose::Centre => &[CENTRE],
            Whose::CentreSpared => &[SPARED],
        };
        let kind = kinds.choose(&mut self.rng).copied().unwrap_or(LINE);
        let chosen = kind.choose(&mut self.rng).copied();
        let mut trouble = chosen.unwrap_or(Trouble::LineCut);
        if let Trouble::ClockStep(way) = trouble {
            trouble = Trouble::ClockStep(way * self.rng.random_range(1..=LONGEST_STEP_S));
        } else if let Trouble::PowerCut(_) = trouble {
            trouble = Trouble::PowerCut(-self.rng.random_range(60..=LONGEST_UNSET_S));
        }
        (trouble, self.span(1..25))
    }

    /// How long nothing happens in this lane.
    pub fn pause(&mut self, whose: Whose) -> Duration {
        match whose {
            Whose::Centre | Whose::CentreSpared => self.span(20..60),
            Whose::Steady | Whose::Rough | Whose::Small => self.span(5..25),
        }
    }

    fn span(&mut self, seconds: std::ops::Range<u64>) -> Duration {
        let millis = seconds.start * 1000..seconds.end * 1000;
        Duration::from_millis(self.rng.random_range(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_all_and_the_steady_agent_is_let_alone() {
        let draw = |seed, whose| -> Vec<Trouble> {
            let mut lane = Lane::new(seed, 1);
            (0..400).map(|_| lane.next(whose).0).collect()
        };
        assert_eq!(draw(1, Whose::Rough), draw(1, Whose::Rough));
        assert_ne!(draw(1, Whose::Rough), draw(2, Whose::Rough));
        let mortal = draw(3, Whose::Small);
        for kind in [
            "agent killed",
            "disk full",
            "power cut, clock unset",
            "line cut",
        ] {
            assert!(
                mortal.iter().any(|t| t.name() == kind),
                "{kind} never comes"
            );
        }
        let steady = draw(3, Whose::Steady);
        assert!(!steady.iter().any(|t| t.name().starts_with("agent")));
        let spared = draw(3, Whose::CentreSpared);
        assert!(!spared.iter().any(|t| t.name().starts_with("centre")));
    }
}
