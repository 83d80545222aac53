//! Several sources of one kind: what counts, and whether they agree. One policy per kind:
//!
//! * *instantaneous* (heart rate, saturation, ...): one source leads, another takes over when the leader falls silent or
//!   grows sparse (`channel`), so two sensors that differ never look like a body that jumps;
//! * *interval* (cuff, scale, thermometer, meter): each measurement stands for a while, so the newest counts, whoever took
//!   it, unless the leader streams;
//! * *additive* (steps, energy): sources are never summed; in every ten minutes the one that counted most counts, for a
//!   device that is not worn counts nothing and two that are worn count the same steps (`Tally`).
//!
//! All readings are kept in the journal, whatever counts here. A source beside the leader is compared with it, and lasting
//! disagreement is shown (`Rivalry`). Must not know: alerts, texts.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use vitals::{Kind, Span, Time};

use crate::channel::Origin;
use crate::rule;
use crate::view::{DisagreementView, TallyView};

/// How sources of a kind are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// One leads.
    Instantaneous,
    /// The newest counts.
    Interval,
    /// The one that counted most in ten minutes counts for them.
    Additive,
}

/// The policy of a kind.
#[must_use]
pub const fn policy(kind: Kind) -> Policy {
    if Tallied::of(kind).is_some() {
        Policy::Additive
    } else if rule::is_sparse(kind) {
        Policy::Interval
    } else {
        Policy::Instantaneous
    }
}

/// How far two sources of a kind may be apart at the same time: (absolute, part of the larger); the larger of both
/// holds. `None`: not compared.
///
/// Twice what the standard of the instrument allows one of them: heart rate 10 % or 5/min (IEC 60601-2-27), SpO2 4 % rms
/// (ISO 80601-2-61, here 2 x 4), non-invasive pressure a mean error of 5 mmHg with a deviation of 8 (ISO 81060-2, here
/// 2 x 8), glucose 15 mg/dL or 15 % (ISO 15197). Respiration, temperature and weight: engineering limits, for wearables
/// state none that is common.
const fn tolerance(kind: Kind) -> Option<(f64, f64)> {
    match kind {
        Kind::HeartRate | Kind::PulseRate => Some((10.0, 0.20)),
        Kind::OxygenSaturation => Some((8.0, 0.0)),
        Kind::RespiratoryRate => Some((6.0, 0.0)),
        Kind::BodyTemperature => Some((1.0, 0.0)),
        Kind::SystolicPressure | Kind::DiastolicPressure | Kind::MeanPressure => Some((16.0, 0.0)),
        Kind::BloodGlucose | Kind::InterstitialGlucose => Some((30.0, 0.30)),
        Kind::BodyWeight => Some((1.0, 0.02)),
        Kind::RrInterval
        | Kind::EnergyExpended
        | Kind::PulseAmplitudeIndex
        | Kind::BatteryLevel
        | Kind::StepCount
        | Kind::BodyFat
        | Kind::BodyMassIndex
        | Kind::BodyHeight
        | Kind::MuscleMass
        | Kind::MusclePart
        | Kind::FatFreeMass
        | Kind::SoftLeanMass
        | Kind::BodyWaterMass
        | Kind::BodyImpedance
        | Kind::BasalMetabolism
        | Kind::GlucoseRate
        | Kind::MealContext
        | Kind::Carbohydrates
        | Kind::HaemoglobinA1c
        | Kind::StepsTaken
        | Kind::PulseInterval
        | Kind::RoomTemperature => None,
    }
}

/// Measurements this close together are of the same moment.
fn same_moment(kind: Kind) -> Span {
    if rule::is_sparse(kind) {
        Span::from_mins(30)
    } else {
        rule::joins(kind)
    }
}

/// So many comparisons more apart than together are lasting: one in a stream may be a movement of the hand, one of a cuff
/// is all there is.
fn lasting(kind: Kind) -> u8 {
    if rule::is_sparse(kind) { 1 } else { 10 }
}

/// What a source said last, and when.
type Word = (Origin, f64, Time);

/// Whether two sources agree: the one that leads and another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rivalry {
    pair: Option<(Word, Word)>,
    /// Comparisons apart less those together, from 0 to `lasting`.
    apart: u8,
    stands: bool,
    since: Time,
}

impl Rivalry {
    /// Another source's newest word beside the leader's.
    pub(crate) fn compare(&mut self, kind: Kind, leader: Word, other: Word) {
        let ((led_by, led, led_at), (by, value, at)) = (leader, other);
        let Some((absolute, part)) = tolerance(kind) else {
            return;
        };
        let between = at.since(led_at).max(led_at.since(at));
        if between > same_moment(kind) {
            return;
        }
        if let Some((first, second)) = self.pair {
            let same = [first.0, second.0].contains(&led_by) && [first.0, second.0].contains(&by);
            if !same {
                (self.apart, self.stands) = (0, false);
            } else if at < first.2.max(second.2) {
                // A late word is about a moment that was judged.
                return;
            }
        }
        self.pair = Some((leader, other));
        let allowed = absolute.max(part * led.max(value));
        if libm::fabs(led - value) > allowed {
            if self.apart == 0 {
                self.since = at;
            }
            self.apart = (self.apart + 1).min(lasting(kind));
            self.stands |= self.apart == lasting(kind);
        } else {
            self.apart = self.apart.saturating_sub(1);
            self.stands &= self.apart > 0;
        }
    }

    /// What is shown beside the word of `leader`, while the other one's is fresh.
    pub(crate) fn view(&self, kind: Kind, leader: Origin, known: Time) -> Option<DisagreementView> {
        let (first, second) = self.pair.filter(|_| self.stands)?;
        let (origin, value, at) = match leader {
            leader if leader == first.0 => second,
            leader if leader == second.0 => first,
            _ => return None,
        };
        (known.since(at) < rule::fresh_for(kind)).then_some(DisagreementView {
            stream: origin.0,
            source: origin.1,
            value,
            effective: at,
            since: self.since,
        })
    }
}

/// What is added up. Two kinds can count the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tallied {
    Steps = 1,
    Energy = 2,
}

impl Tallied {
    pub(crate) const fn of(kind: Kind) -> Option<Self> {
        if matches!(kind, Kind::StepCount | Kind::StepsTaken) {
            Some(Self::Steps)
        } else if matches!(kind, Kind::EnergyExpended) {
            Some(Self::Energy)
        } else {
            None
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Energy => "energy_expended",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Steps => "{steps}",
            Self::Energy => "kJ",
        }
    }
}

const SLICE: Span = Span::from_mins(10);
/// Slices of a day, and the one that is open.
const SLICES: usize = 145;
const SLICES_AN_HOUR: i64 = 6;
const SLICES_A_DAY: i64 = 144;
/// Sources that are told apart; the one that has been silent for longest makes room.
const SOURCES: usize = 4;

/// What one source counted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Count {
    /// Number of the newest slice, from the Unix epoch.
    newest: i64,
    /// Slices up to the newest, oldest first; at most [`SLICES`].
    slices: VecDeque<u32>,
    /// A counter's last value: (kind, when, value). What it has grown by is what counts.
    counter: Option<(Kind, Time, i64)>,
    /// The newest word.
    told: Option<Time>,
}

impl Count {
    fn add(&mut self, slice: i64, amount: u32) {
        if self.slices.is_empty() {
            self.newest = slice;
            self.slices.push_back(0);
        }
        let ahead = slice.saturating_sub(self.newest);
        if ahead >= SLICES_A_DAY {
            self.slices.clear();
            self.slices.push_back(0);
            self.newest = slice;
        } else if ahead > 0 {
            for _ in 0..ahead {
                self.slices.push_back(0);
            }
            self.newest = slice;
        } else {
            // Late data make the past longer.
            let before = self.newest.saturating_sub(slice);
            if before > SLICES_A_DAY {
                return;
            }
            while (self.slices.len() as i64) <= before {
                self.slices.push_front(0);
            }
        }
        while self.slices.len() > SLICES {
            self.slices.pop_front();
        }
        if let Some(counted) = self.at_mut(slice) {
            *counted = counted.saturating_add(amount);
        }
    }

    fn index(&self, slice: i64) -> Option<usize> {
        let before = usize::try_from(self.newest.checked_sub(slice)?).ok()?;
        self.slices.len().checked_sub(before + 1)
    }

    fn at_mut(&mut self, slice: i64) -> Option<&mut u32> {
        let index = self.index(slice)?;
        self.slices.get_mut(index)
    }

    fn at(&self, slice: i64) -> u32 {
        self.index(slice)
            .and_then(|index| self.slices.get(index))
            .copied()
            .unwrap_or(0)
    }
}

/// The last day of something that is added up, source by source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally(BTreeMap<Origin, Count>);

impl Tally {
    /// A usable reading: what was counted since the reading before, or a counter. `value` in whole units.
    /// Gives how much that adds, and the time since the word before; nothing for what is older than that.
    pub(crate) fn take(
        &mut self,
        kind: Kind,
        origin: Origin,
        value: i64,
        effective: Time,
    ) -> Option<(u32, Span)> {
        if self.0.len() >= SOURCES && !self.0.contains_key(&origin) {
            let silent = self.0.iter().min_by_key(|(_, count)| count.newest);
            if let Some(silent) = silent.map(|(origin, _)| *origin) {
                self.0.remove(&silent);
            }
        }
        let count = self.0.entry(origin).or_default();
        let slice = slice_of(effective);
        let amount = if kind == Kind::StepsTaken {
            value
        } else {
            let before = count.counter;
            if let Some((of, at, _)) = before
                && of == kind
                && effective <= at
            {
                // What a counter grew by since then is already in.
                return None;
            }
            count.counter = Some((kind, effective, value));
            match before {
                Some((of, _, before)) if of == kind && value >= before => {
                    value.saturating_sub(before)
                }
                // It was set back, and has counted this much since.
                Some((of, ..)) if of == kind => value,
                Some(_) | None => 0,
            }
        };
        let amount = u32::try_from(amount).unwrap_or(0);
        count.add(slice, amount);
        let before = count.told.filter(|before| effective > *before);
        count.told = count.told.max(Some(effective));
        before.map(|before| (amount, effective.since(before)))
    }

    pub(crate) fn view(&self, what: Tallied, known: Time) -> TallyView {
        let now = slice_of(known);
        let most = |slice| {
            self.0
                .values()
                .map(|count| count.at(slice))
                .max()
                .unwrap_or(0)
        };
        let sum = |slices: i64| {
            (now - slices + 1..=now)
                .map(|slice| u64::from(most(slice)))
                .sum()
        };
        let alone = |count: &Count| {
            (now - SLICES_A_DAY + 1..=now)
                .map(|slice| u64::from(count.at(slice)))
                .sum()
        };
        let sources: Vec<_> = self
            .0
            .iter()
            .map(|((stream, source), count)| (*stream, *source, alone(count)))
            .collect();
        TallyView {
            name: what.name(),
            unit: what.unit(),
            last_hour: sum(SLICES_AN_HOUR),
            last_day: sum(SLICES_A_DAY),
            sources,
        }
    }
}

fn slice_of(time: Time) -> i64 {
    time.as_micros().div_euclid(SLICE.as_micros())
}

crate::canonical_fields! {
    Rivalry { pair, apart, stands, since }
    Count { newest, slices, counter, told }
    Tally { 0 }
}

crate::canonical_numbers! {
    Tallied { Steps, Energy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Canonical as _, read};
    use proptest::prelude::*;
    use vitals::{SourceId, StreamId};

    const WATCH: Origin = (StreamId([1; 16]), SourceId(1));
    const PHONE: Origin = (StreamId([1; 16]), SourceId(2));
    const DAY: Time = Time::from_micros(1_800_000_000_000_000);

    fn at(minute: i64) -> Time {
        DAY + Span::from_mins(minute)
    }

    #[test]
    fn steps_of_two_devices_are_not_counted_twice() {
        let mut tally = Tally::default();
        for minute in 0..60 {
            tally.take(Kind::StepsTaken, WATCH, 100, at(minute));
            // The phone carries a counter of its own and lies on the table for the second half hour.
            let counted = 5000 + 95 * minute.min(29);
            tally.take(Kind::StepCount, PHONE, counted, at(minute));
        }
        let view = tally.view(Tallied::Steps, at(59));
        assert_eq!(view.last_hour, 6000);
        let of: Vec<_> = view.sources.iter().map(|(_, _, sum)| *sum).collect();
        assert_eq!(of, [6000, 95 * 29], "each source's own sum is told");
        // The other way round: the watch is charged while the phone is carried.
        for minute in 60..120 {
            tally.take(
                Kind::StepCount,
                PHONE,
                5000 + 95 * 29 + 80 * (minute - 59),
                at(minute),
            );
        }
        let view = tally.view(Tallied::Steps, at(119));
        assert_eq!((view.last_hour, view.last_day), (80 * 60, 6000 + 80 * 60));
    }

    #[test]
    fn a_counter_that_is_set_back_counts_on_and_a_late_one_counts_once() {
        let mut tally = Tally::default();
        for (minute, counter) in [(0, 900), (1, 1000), (3, 1200), (2, 1100), (4, 50), (5, 70)] {
            tally.take(Kind::StepCount, WATCH, counter, at(minute));
        }
        assert_eq!(
            tally.view(Tallied::Steps, at(5)).last_hour,
            100 + 200 + 50 + 20
        );
    }

    #[test]
    fn a_day_is_forgotten_slice_by_slice_and_sources_are_bounded() {
        let mut tally = Tally::default();
        tally.take(Kind::StepsTaken, WATCH, 7, at(0));
        for hour in 1..23 {
            tally.take(Kind::StepsTaken, WATCH, 1, at(hour * 60));
        }
        assert_eq!(tally.view(Tallied::Steps, at(23 * 60)).last_day, 29);
        assert_eq!(tally.view(Tallied::Steps, at(24 * 60)).last_day, 22);
        assert_eq!(tally.view(Tallied::Steps, at(60 * 24 * 60)).last_day, 0);
        // Far back, far ahead and too many: bounded, and no number is made up.
        tally.take(Kind::StepsTaken, WATCH, 5, at(-3 * 24 * 60));
        for source in 0..40 {
            let origin = (WATCH.0, SourceId(source));
            tally.take(Kind::StepsTaken, origin, 1, at(30 * 60 + i64::from(source)));
            tally.take(Kind::StepsTaken, origin, 1, at(400 * 24 * 60));
        }
        assert!(tally.0.len() <= SOURCES);
        assert!(tally.0.values().all(|count| count.slices.len() <= SLICES));
    }

    #[test]
    fn two_that_differ_for_long_disagree_and_one_outlier_does_not() {
        let mut rivalry = Rivalry::default();
        let kind = Kind::HeartRate;
        let mut see = |second: i64, led: f64, other: f64| {
            let now = DAY + Span::from_secs(second);
            rivalry.compare(kind, (WATCH, led, now), (PHONE, other, now));
            rivalry.view(kind, WATCH, now)
        };
        for second in 0..20 {
            let shown = see(second, 70.0, if second == 7 { 140.0 } else { 72.0 });
            assert_eq!(shown, None, "one outlier");
        }
        let shown: Vec<_> = (20..40).map(|second| see(second, 70.0, 140.0)).collect();
        assert!(shown[..9].iter().all(Option::is_none) && shown[9..].iter().all(Option::is_some));
        let shown = shown[19].expect("it lasts");
        assert_eq!(
            (shown.value, shown.since),
            (140.0, DAY + Span::from_secs(20))
        );
        let back: Vec<_> = (40..60).map(|second| see(second, 70.0, 75.0)).collect();
        assert!(
            back[8].is_some() && back[9].is_none(),
            "and it ends as it began"
        );
    }

    #[test]
    fn a_cuff_and_a_watch_an_hour_apart_are_not_compared() {
        let mut rivalry = Rivalry::default();
        let kind = Kind::SystolicPressure;
        rivalry.compare(kind, (WATCH, 120.0, at(0)), (PHONE, 160.0, at(60)));
        assert_eq!(rivalry.view(kind, WATCH, at(60)), None);
        rivalry.compare(kind, (WATCH, 120.0, at(0)), (PHONE, 160.0, at(20)));
        assert!(
            rivalry.view(kind, WATCH, at(20)).is_some(),
            "one is all there is"
        );
        assert_eq!(
            rivalry.view(kind, WATCH, at(200)),
            None,
            "an old word is none"
        );
    }

    proptest! {
        /// Whatever comes in whatever order: never more than what all sources counted, never less than the best one.
        #[test]
        fn a_total_lies_between_the_best_source_and_all(
            readings in prop::collection::vec((0_u16..3, 0_i64..1400, 0_i64..500), 0..200)
        ) {
            let mut tally = Tally::default();
            let mut sums = [0_u64; 3];
            for (source, minute, steps) in readings {
                tally.take(Kind::StepsTaken, (WATCH.0, SourceId(source)), steps, at(minute));
                sums[usize::from(source)] += steps.unsigned_abs();
            }
            let view = tally.view(Tallied::Steps, at(1400));
            prop_assert!(view.last_day <= sums.iter().sum());
            prop_assert!(view.last_day >= *sums.iter().max().expect("three"));
            let mut bytes = Vec::new();
            tally.encode(&mut bytes);
            prop_assert_eq!(read::<Tally>(&bytes), Some(tally));
        }
    }
}
