//! People simulated from the model, and otherwise: what they are made of comes back, and the band holds.

extern crate std;

use super::*;

/// SplitMix64; a normal is the sum of twelve uniforms.
struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

const HEART: Kind = Kind::HeartRate;

fn minute(number: i64) -> Time {
    Time::ZERO + Span::from_mins(number)
}

fn take(baseline: &mut Baseline, number: i64, beats: f64, walks: bool) {
    let value = Fixed::from_f64(HEART, beats).expect("a heart rate");
    baseline.take(HEART, minute(number), value, walks);
}

fn minutes(values: impl Iterator<Item = i64>) -> Baseline {
    let mut baseline = Baseline::default();
    for (number, value) in (0..).zip(values) {
        take(&mut baseline, number, value as f64, false);
    }
    baseline
}

/// Somebody as the model has them.
struct Person {
    chance: Chance,
    state: [f64; STATES],
    /// Standard deviation of a usual minute.
    sigma: f64,
}

impl Person {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut between = |low: f64, high: f64| low + (high - low) * chance.uniform();
        let (day, half) = (between(2.0, 8.0), between(0.0, 3.0));
        let (phase, other) = (between(0.0, TAU), between(0.0, TAU));
        let state = [
            between(55.0, 80.0),
            day * libm::cos(phase),
            day * libm::sin(phase),
            half * libm::cos(other),
            half * libm::sin(other),
            between(15.0, 40.0),
            0.0,
        ];
        let sigma = between(3.0, 6.0);
        Self {
            chance,
            state,
            sigma,
        }
    }

    /// Four walks a day, of half an hour each.
    fn walks(number: i64) -> bool {
        matches!(number.rem_euclid(1440) % 240, 0..30) && number.rem_euclid(1440) >= 480
    }

    fn minute(&mut self, number: i64) -> f64 {
        let kept = libm::exp(-1.0 / FADES);
        let fresh = self.chance.normal() * libm::sqrt(EXCURSIONS * (1.0 - kept * kept));
        self.state[EXCURSION] = self.state[EXCURSION] * kept + fresh * self.sigma;
        let noise = self.chance.normal() * libm::sqrt(1.0 - EXCURSIONS) * self.sigma;
        let walking = if Self::walks(number) { 1.0 } else { 0.0 };
        dot(&weights(minute(number), walking), &self.state) + noise
    }
}

#[test]
fn what_people_are_made_of_comes_back_and_innovations_are_white_with_the_stated_variance() {
    const PEOPLE: u64 = 40;
    const DAYS: i64 = 14;
    const LEARNED: i64 = 4 * 1440;
    let rule = rule(HEART).expect("a rule");
    let (mut in_band, mut squares, mut neighbours, mut count) = (0, 0.0, 0.0, 0.0);
    for seed in 0..PEOPLE {
        let mut person = Person::new(seed);
        let mut baseline = Baseline::default();
        let (mut own, mut before, mut of_one) = (0.0, 0.0, 0.0);
        for number in 0..DAYS * 1440 {
            let walks = Person::walks(number);
            let filled = Minute {
                index: number,
                sum: Fixed::from_f64(HEART, person.minute(number))
                    .expect("a heart rate")
                    .0,
                count: 1,
                walked: u32::from(walks),
            };
            let innovation = baseline.fold(HEART, rule, filled, false);
            if number >= LEARNED {
                own += innovation * innovation;
                neighbours += innovation * before;
                of_one += 1.0;
            }
            before = innovation;
        }
        // Chi-square with so many degrees of freedom, 99 % of it: normal at that size.
        let half = 2.576 * libm::sqrt(2.0 / of_one);
        in_band += u32::from((own / of_one - 1.0).abs() < half);
        (squares, count) = (squares + own, count + of_one);
        let sigma = person.sigma;
        for (place, (found, truth)) in baseline.state.iter().zip(&person.state).enumerate() {
            let away = (found - truth).abs() / sigma;
            assert!(
                place == EXCURSION || away < 0.6,
                "{seed}: state {place} is {away:.2} spreads away"
            );
        }
        for variance in [baseline.scale, baseline.spread] {
            let ratio = variance / (sigma * sigma);
            assert!(
                (0.75..1.3).contains(&ratio),
                "{seed}: variance {ratio:.2} of the true one"
            );
        }
    }
    let (mean, lag) = (squares / count, neighbours / squares);
    std::eprintln!(
        "normalised innovations: mean square {mean:.4}, {in_band} of {PEOPLE} people in their 99 % band, lag one {lag:.4}"
    );
    assert!(in_band >= 37, "{in_band} of {PEOPLE}");
    assert!(lag.abs() < 0.02, "innovations are not white: {lag}");
}

/// Nobody is as the model has them: sleep is a step, excursions are long, noise has tails.
#[test]
fn of_people_that_are_otherwise_the_band_holds_95_percent_and_is_narrower_than_one_for_all_hours() {
    let (mut held, mut flat_held, mut widths, mut flat_widths, mut count) =
        (0.0, 0.0, 0.0, 0.0, 0.0);
    for seed in 100..120 {
        let mut chance = Chance(seed);
        let (asleep, spread) = (8.0 + 8.0 * chance.uniform(), 2.0 + 2.0 * chance.uniform());
        let mut excursion = 0.0;
        let mut baseline = Baseline::default();
        let mut seen = alloc::vec::Vec::new();
        for number in 0..10_i64 * 1440 {
            let hour = number.rem_euclid(1440) / 60;
            excursion = 0.98 * excursion + 0.2 * spread * chance.normal();
            let tail = if chance.uniform() < 0.02 { 4.0 } else { 1.0 };
            let beats =
                if hour < 7 { 70.0 - asleep } else { 70.0 } + excursion + tail * chance.normal();
            if number >= 5 * 1440 {
                let (_, (low, high)) = baseline
                    .learned(HEART, minute(number), false)
                    .expect("learned");
                held += f64::from(u8::from((low..=high).contains(&beats)));
                widths += high - low;
                count += 1.0;
                let mean = seen.iter().sum::<f64>() / seen.len() as f64;
                let squares = seen
                    .iter()
                    .map(|beats: &f64| (beats - mean) * (beats - mean));
                if number % 60 == 0 {
                    let half = 1.96 * libm::sqrt(squares.sum::<f64>() / seen.len() as f64);
                    flat_held += 60.0 * f64::from(u8::from((beats - mean).abs() <= half));
                    flat_widths += 60.0 * 2.0 * half;
                }
            } else {
                seen.push(beats);
            }
            take(&mut baseline, number, beats, false);
        }
    }
    std::eprintln!(
        "band: {:.1} % held, {:.1} beats wide; one for all hours: {:.1} %, {:.1} wide",
        100.0 * held / count,
        widths / count,
        100.0 * flat_held / count,
        flat_widths / count
    );
    assert!((0.93..0.97).contains(&(held / count)), "{}", held / count);
    assert!(widths < 0.85 * flat_widths, "{}", widths / flat_widths);
}

#[test]
fn nothing_is_shown_before_it_is_learned() {
    let learned =
        |count| minutes((0..count).map(|_| 70)).learned(HEART, minute(count as i64), false);
    assert_eq!(learned(200), None, "long enough, not yet");
    assert!(learned(400).is_some());
}

#[test]
fn an_hour_that_was_never_seen_has_a_wide_band() {
    let baseline = minutes((0..480).map(|n| 70 + n % 3));
    let width = |hour: i64| {
        let at = minute(hour * 60);
        let (_, (low, high)) = baseline.learned(HEART, at, false).expect("learned");
        high - low
    };
    assert!(width(18) > 1.2 * width(6), "{} {}", width(18), width(6));
}

#[test]
fn an_hour_of_trouble_does_not_become_normal() {
    let values = (0..2000)
        .map(|n| 70 + [-4, -2, 0, 2, 4][n % 5])
        .chain((0..60).map(|_| 140));
    let (usual, _) = minutes(values)
        .learned(HEART, minute(2060), false)
        .expect("learned");
    assert!(usual < 72.0, "{usual}");
}

#[test]
fn what_lasts_becomes_usual_within_days() {
    let values = (0..10 * 1440i64)
        .map(|n| if n < 4000 { 70 } else { 85 } + [-4, -2, 0, 2, 4][n as usize % 5]);
    let (usual, _) = minutes(values)
        .learned(HEART, minute(10 * 1440), false)
        .expect("learned");
    assert!((usual - 85.0).abs() < 3.0, "{usual}");
}

#[test]
fn what_walking_adds_is_no_part_of_rest() {
    let mut person = Person::new(7);
    let mut baseline = Baseline::default();
    for number in 0..5 * 1440 {
        let beats = person.minute(number);
        take(&mut baseline, number, beats, Person::walks(number));
    }
    let of = |walks| {
        baseline
            .learned(HEART, minute(5 * 1440 + 600), walks)
            .expect("learned")
            .0
    };
    let added = of(true) - of(false);
    assert!(
        (added - person.state[WALKING]).abs() < 0.6 * person.sigma,
        "{added}"
    );
}

#[test]
fn late_minutes_count_as_well() {
    let mut baseline = minutes((0..400).map(|_| 70));
    let (points, last) = (baseline.points, baseline.last);
    for second in 0..300 {
        let at = Time::ZERO + Span::from_secs(3600 + second);
        baseline.take(
            HEART,
            at,
            Fixed::from_f64(HEART, 80.0).expect("a heart rate"),
            false,
        );
    }
    assert_eq!((baseline.points, baseline.last), (points + 4, last));
}

#[test]
fn a_cuff_has_a_level_and_no_hours() {
    let mut baseline = Baseline::default();
    let kind = Kind::SystolicPressure;
    for number in 0..30i64 {
        let value = Fixed::from_f64(kind, 120.0 + [-6.0, 0.0, 6.0][number as usize % 3]);
        baseline.take(
            kind,
            minute(number * 480),
            value.expect("a pressure"),
            false,
        );
    }
    let at = |hours: i64| {
        baseline
            .learned(kind, minute(hours * 60), false)
            .expect("learned")
    };
    assert_eq!(at(3), at(15));
    let (level, (low, high)) = at(3);
    assert!(
        (level - 120.0).abs() < 2.0 && (16.0..26.0).contains(&(high - low)),
        "{level} {low} {high}"
    );
}
