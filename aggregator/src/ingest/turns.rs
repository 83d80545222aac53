//! PURE. Whose records are opened next. Opening costs a centre most, so it is done in slices, a few at a time, and each
//! gateway gets its turn by what it used so far: who asked for little waits for the slices that are being opened, and for
//! nobody's queue.
//!
//! * Those that wait go by *start*, the virtual time at which a gateway's slices would begin if all shared one machine
//!   evenly (start-time fair queueing). Vitals start later than alerts, and waveforms later than both, by a stated amount
//!   ([`Class::handicap`]) and no more: what a gateway calls an alert is its own word, and must not starve others.
//! * A centre that cannot keep up says so by how long the oldest one waits: then waveforms are not taken, and later vitals
//!   neither ([`Turns::sheds`]). Gateways keep both, and send them again. Alerts are always taken.
//!
//! Invariants: at most [`SLOTS`] slices at once; no gateway is forgotten while it waits; what is remembered of a gateway
//! is one number, dropped once it has fallen behind. Must not know: clocks, records, tasks.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use proto::seal::Lane;
use vitals::GatewayId;

/// Slices at once: one more than the machine's cores helps nobody, and two keep the smallest machine busy.
pub(super) const SLOTS: usize = 2;
/// Records in one slice: about half a millisecond of opening.
pub(super) const SLICE: usize = 32;
/// One that waits for so long means that waveforms are more than can be taken now ...
const SHEDS_WAVEFORMS: Duration = Duration::from_secs(1);
/// ... and vitals as well.
const SHEDS_VITALS: Duration = Duration::from_secs(5);
/// Gateways of which a number is remembered before those that fell behind are forgotten.
const REMEMBERED: usize = 1024;

/// How urgent; the order is that of the turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Alerts,
    Vitals,
    Waveforms,
}

impl Class {
    /// Records by which it starts later.
    const fn handicap(self) -> u64 {
        match self {
            Self::Alerts => 0,
            Self::Vitals => 8 * SLICE as u64,
            Self::Waveforms => 256 * SLICE as u64,
        }
    }

    pub(super) const fn of(lane: Lane) -> Self {
        match lane {
            Lane::Alert | Lane::Gap => Self::Alerts,
            Lane::Vitals => Self::Vitals,
            Lane::Waveform => Self::Waveforms,
        }
    }
}

/// A place in the queue: where it starts, by its number.
pub(super) type Place = (u64, u64);

/// See the module. `W` is what a waiting one is woken by.
#[derive(Debug)]
pub(super) struct Turns<W> {
    busy: usize,
    /// Start of the slice that got its turn last.
    now: u64,
    numbers: u64,
    /// Where each gateway's last slice ends.
    ends: HashMap<GatewayId, u64>,
    /// By place: its start, since when it waits, and its waker.
    waiting: BTreeMap<Place, (u64, Instant, W)>,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self {
            busy: 0,
            now: 0,
            numbers: 0,
            ends: HashMap::new(),
            waiting: BTreeMap::new(),
        }
    }
}

impl<W> Turns<W> {
    /// Asks for a turn of `cost` (records). `None`: it is this one's turn; else where it waits, and whoever calls is woken by
    /// `wake`.
    pub(super) fn ask(
        &mut self,
        gateway: &GatewayId,
        (class, cost): (Class, u64),
        now: Instant,
        wake: impl FnOnce() -> W,
    ) -> Option<Place> {
        let start = self.ends.get(gateway).copied().unwrap_or(0).max(self.now);
        self.ends.insert(gateway.clone(), start + cost);
        if self.ends.len() > REMEMBERED {
            let reached = self.now;
            self.ends.retain(|_, end| *end > reached);
        }
        if self.busy < SLOTS {
            self.busy += 1;
            self.now = self.now.max(start);
            return None;
        }
        self.numbers += 1;
        let place = (start + class.handicap(), self.numbers);
        self.waiting.insert(place, (start, now, wake()));
        Some(place)
    }

    /// A slice is done, and the next one has its turn: its waker, if one waits.
    pub(super) fn done(&mut self) -> Option<W> {
        match self.waiting.pop_first() {
            Some((_, (start, _, wake))) => {
                self.now = self.now.max(start);
                Some(wake)
            }
            None => {
                self.busy = self.busy.saturating_sub(1);
                None
            }
        }
    }

    /// One that waited goes away. False: it had its turn meanwhile.
    pub(super) fn leave(&mut self, place: Place) -> bool {
        self.waiting.remove(&place).is_some()
    }

    /// Whether records of this class are more than can be taken now.
    pub(super) fn sheds(&self, class: Class, now: Instant) -> bool {
        let limit = match class {
            Class::Alerts => return false,
            Class::Vitals => SHEDS_VITALS,
            Class::Waveforms => SHEDS_WAVEFORMS,
        };
        let mut since = self.waiting.values().map(|(_, since, _)| *since);
        since.any(|since| now.duration_since(since) > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn gateway(number: u32) -> GatewayId {
        GatewayId::parse(&format!("g-{number}")).expect("a fine id")
    }

    /// Waits of one of ten gateways that each ask for a slice every 50 ms, on a machine that opens a slice a millisecond in
    /// each slot, while another one asks for 1,000 times as much; `named`: the queue knows who asks.
    fn waits(neighbour: bool, named: bool) -> Vec<Duration> {
        let start = Instant::now();
        let mut turns: Turns<(bool, Instant)> = Turns::default();
        let (mut at, mut waits) = (start, Vec::new());
        for millisecond in 0_u32..2_000 {
            at = start + MS * millisecond;
            let mut ask = |who: u32, turns: &mut Turns<(bool, Instant)>| {
                let is_light = who > 0;
                let of = gateway(if named { who } else { 0 });
                let class = (Class::Vitals, SLICE as u64);
                if turns.ask(&of, class, at, || (is_light, at)).is_none() && is_light {
                    waits.push(Duration::ZERO);
                }
            };
            if neighbour {
                for _ in 0..20 {
                    ask(0, &mut turns);
                }
            }
            if millisecond % 5 == 0 {
                ask(1 + millisecond / 5 % 10, &mut turns);
            }
            for _ in 0..SLOTS {
                if let Some((true, since)) = turns.done() {
                    waits.push(at + MS - since);
                }
            }
        }
        let _ = at;
        waits.sort();
        waits
    }

    fn p99(waits: &[Duration]) -> Duration {
        waits[waits.len() * 99 / 100]
    }

    #[test]
    fn a_neighbour_at_a_thousand_times_the_rate_costs_the_others_one_slice() {
        let alone = waits(false, true);
        assert_eq!((alone.len(), p99(&alone)), (400, Duration::ZERO));
        let beside = waits(true, true);
        assert!(
            beside.len() >= 399,
            "all of them had their turn: {}",
            beside.len()
        );
        assert!(p99(&beside) <= MS, "{:?}", p99(&beside));
        // Negative control: who asks is not looked at, so all stand in one queue.
        let blind = waits(true, false);
        assert!(
            blind.len() < 100,
            "almost nobody had a turn: {}",
            blind.len()
        );
    }

    #[test]
    fn alerts_go_before_vitals_and_waveforms_are_shed_first() {
        let (start, mut turns) = (Instant::now(), Turns::default());
        for number in 0..u32::try_from(SLOTS).expect("few") {
            assert_eq!(
                turns.ask(&gateway(number), (Class::Vitals, 1), start, || ""),
                None
            );
        }
        let classes = [
            (Class::Waveforms, "waveform"),
            (Class::Vitals, "vitals"),
            (Class::Alerts, "alert"),
        ];
        for (number, (class, name)) in (10..).zip(classes) {
            assert!(
                turns
                    .ask(&gateway(number), (class, 1), start, || name)
                    .is_some()
            );
        }
        let sheds = |turns: &Turns<_>, after: Duration| {
            classes.map(|(class, _)| turns.sheds(class, start + after))
        };
        assert_eq!(sheds(&turns, SHEDS_WAVEFORMS), [false; 3]);
        assert_eq!(sheds(&turns, SHEDS_WAVEFORMS + MS), [true, false, false]);
        assert_eq!(sheds(&turns, SHEDS_VITALS + MS), [true, true, false]);
        assert_eq!(turns.done(), Some("alert"));
        assert_eq!(turns.done(), Some("vitals"));
        assert_eq!(turns.done(), Some("waveform"));
        assert_eq!((turns.done(), turns.done()), (None, None));
        assert_eq!(
            sheds(&turns, Duration::from_secs(60)),
            [false; 3],
            "it keeps up again"
        );
    }

    #[test]
    fn who_calls_everything_an_alert_starves_nobody() {
        let (start, mut turns) = (Instant::now(), Turns::default());
        let slice = SLICE as u64;
        for number in 0..SLOTS {
            let number = u32::try_from(number).expect("few");
            assert_eq!(
                turns.ask(&gateway(number), (Class::Vitals, 1), start, || 0),
                None
            );
        }
        for _ in 0..1000 {
            turns.ask(&gateway(7), (Class::Alerts, slice), start, || 7);
        }
        turns.ask(&gateway(8), (Class::Vitals, slice), start, || 8);
        let before = (0..1000).take_while(|_| turns.done() == Some(7)).count();
        assert!((1..=9).contains(&before), "{before} slices went before");
    }

    #[test]
    fn who_goes_away_takes_nobodys_turn() {
        let (now, mut turns) = (Instant::now(), Turns::default());
        let ask = |turns: &mut Turns<u32>, number| {
            turns.ask(&gateway(number), (Class::Vitals, 1), now, || number)
        };
        assert_eq!((ask(&mut turns, 0), ask(&mut turns, 1)), (None, None));
        let gone = ask(&mut turns, 2).expect("it waits");
        ask(&mut turns, 3).expect("it waits");
        assert!(turns.leave(gone));
        assert_eq!(turns.done(), Some(3));
        assert!(!turns.leave(gone));
    }
}
