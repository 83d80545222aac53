//! Clocks that drift, jump with zones and summer time, are set by hand and lose their power: what is said about
//! when something was measured holds, and what cannot be known is not guessed.
//!
//! Seeded. `VITALTWIN_CLOCK_LIVES` sets how many lives of a clock are played (default 60 in the gate).

use vitals::observe::clock::{Change, Claim, DeviceClock, Judged};
use vitals::{Quality, Span, Time};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200 * SECOND;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.next() % (high - low).unsigned_abs()).expect("a small range")
    }
}

/// A clock as it hangs in a device, which knows the truth.
struct Wall {
    /// True time of the last change, and what the clock showed then.
    since: i64,
    shown: i64,
    drift_ppm: i64,
}

impl Wall {
    fn shows(&self, truth: i64) -> i64 {
        let passed = truth - self.since;
        let drift = i128::from(passed) * i128::from(self.drift_ppm) / 1_000_000;
        self.shown + passed + i64::try_from(drift).expect("small")
    }

    fn stamp(&self, truth: i64) -> Time {
        Time::from_micros(self.shows(truth).div_euclid(SECOND) * SECOND)
    }

    /// Somebody or something changes it.
    fn change(&mut self, truth: i64, dice: &mut Dice) {
        let shown = self.shows(truth);
        self.shown = match dice.next() % 5 {
            0 => shown + HOUR,
            1 => shown - HOUR,
            2 => shown + dice.between(1, 40) * 15 * 60 * SECOND,
            // By hand. Less than ten minutes could be drift since the last meeting.
            3 => {
                let turn = dice.between(600 * SECOND, 3 * HOUR);
                shown + turn * [-1, 1][usize::from(dice.next().is_multiple_of(2))]
            }
            _ => dice.between(0, 40) * 365 * 24 * HOUR,
        };
        self.since = truth;
    }
}

struct Checked {
    truth: i64,
    stamp: Time,
    judged: Judged,
    /// Which delivery brought it.
    delivery: usize,
}

/// Ninety days of a cuff that is taken along, stores, and comes home every few hours to days.
fn life(seed: u64, drift_ppm: i64) -> Vec<Checked> {
    life_with(seed, drift_ppm, |clock| clock)
}

/// The same, where the clock's model goes through something before each meeting.
fn life_with(
    seed: u64,
    drift_ppm: i64,
    between: impl Fn(DeviceClock) -> DeviceClock,
) -> Vec<Checked> {
    let mut dice = Dice(seed);
    let mut wall = Wall {
        since: START,
        shown: START + dice.between(-12, 12) * HOUR,
        drift_ppm,
    };
    let mut clock = DeviceClock::default();
    clock.read(wall.stamp(START), Time::from_micros(START + SECOND));
    let mut checked = Vec::new();
    let mut now = START;
    let mut delivery = 0;
    while now < START + 90 * 24 * HOUR {
        // It is away: measures, and at most once is changed between two meetings.
        let home = now + dice.between(HOUR / 4, 40 * HOUR);
        let changed = dice
            .next()
            .is_multiple_of(4)
            .then(|| dice.between(now, home));
        let mut stored = Vec::new();
        let mut measured = now;
        let mut change = changed;
        loop {
            measured += dice.between(SECOND, 6 * HOUR);
            if let Some(at) = change
                && at < measured.min(home)
            {
                wall.change(at, &mut dice);
                change = None;
            }
            if measured >= home {
                break;
            }
            stored.push((measured, wall.stamp(measured)));
        }
        now = home;
        clock = between(clock);
        // It comes home: its clock is read, then its records are.
        let read = wall.stamp(now);
        now += dice.between(0, 2 * SECOND);
        clock.read(read, Time::from_micros(now));
        delivery += 1;
        for (truth, stamp) in stored {
            now += dice.between(0, SECOND / 4);
            let judged = clock.judge(claim(stamp), Time::from_micros(now));
            checked.push(Checked {
                truth,
                stamp,
                judged,
                delivery,
            });
        }
    }
    checked
}

fn claim(stamp: Time) -> Claim {
    Claim {
        stamp,
        exact: Span::from_secs(1),
        ahead: Span::ZERO,
        trusted: true,
    }
}

fn lives() -> u64 {
    let told = std::env::var("VITALTWIN_CLOCK_LIVES").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(60)
}

fn off(one: &Checked) -> i64 {
    (one.judged.effective.as_micros() - one.truth).abs()
}

#[test]
fn the_truth_lies_within_what_is_said_and_time_does_not_fall() {
    let (mut all, mut close, mut naive_wrong, mut would_fail) = (0_u32, 0_u32, 0_u32, 0_u32);
    for seed in 0..lives() {
        let drift = Dice(seed ^ 0xD1F7).between(-1_400, 1_400);
        let life = life(seed, drift);
        for (before, one) in life.iter().zip(&life[1..]) {
            if before.delivery == one.delivery && one.stamp >= before.stamp {
                assert!(
                    one.judged.effective >= before.judged.effective,
                    "seed {seed}"
                );
            }
        }
        for one in &life {
            let said = one.judged.uncertainty.as_micros();
            assert!(
                off(one) <= said,
                "seed {seed}, drift {drift} ppm, delivery {}: off by {} s, said {} s; stamp {:?}",
                one.delivery,
                off(one) / SECOND,
                said / SECOND,
                one.stamp,
            );
            all += 1;
            close += u32::from(said <= 5 * 60 * SECOND);
            naive_wrong += u32::from((one.stamp.as_micros() - one.truth).abs() > 600 * SECOND);
            would_fail += u32::from(off(one) > said / 8);
        }
    }
    println!(
        "{all} stored records of {} lives: {close} within five minutes",
        lives()
    );
    assert!(all > 1000);
    // Saying "anything is possible" would pass the check above: most of it is said sharply.
    assert!(f64::from(close) > 0.6 * f64::from(all), "{close} of {all}");
    // The rig sees a clock that is wrong, and a claim that is too bold.
    assert!(
        f64::from(naive_wrong) > 0.5 * f64::from(all),
        "{naive_wrong}"
    );
    assert!(would_fail > 20, "{would_fail}");
}

/// A gateway that starts anew between any two meetings dates every record soundly, and nearly as sharply as one that
/// never did, although it keeps no moment closer than to the minute.
#[test]
fn a_model_that_was_kept_judges_nearly_as_before() {
    let kept = |clock: DeviceClock| {
        let numbers = clock.to_numbers();
        let kept = DeviceClock::from_numbers(&numbers).expect("its own numbers");
        assert_eq!(kept.to_numbers(), numbers, "what was kept is kept as it is");
        kept
    };
    let close = |life: &[Checked]| {
        let close = |one: &&Checked| one.judged.uncertainty.as_micros() <= 5 * 60 * SECOND;
        life.iter().filter(close).count()
    };
    let (mut before, mut after, mut wrong) = (0, 0, 0);
    for seed in 0..lives() / 4 {
        let drift = Dice(seed ^ 0xD1F7).between(-1_400, 1_400);
        let life_kept = life_with(seed, drift, kept);
        for one in &life_kept {
            let said = one.judged.uncertainty.as_micros();
            assert!(
                off(one) <= said,
                "seed {seed}: off by {} us, said {said}",
                off(one)
            );
        }
        before += close(&life(seed, drift));
        after += close(&life_kept);
        let forgotten = life_with(seed, drift, |_| DeviceClock::default());
        let is_wrong = |one: &&Checked| off(one) > one.judged.uncertainty.as_micros();
        wrong += forgotten.iter().filter(is_wrong).count();
    }
    println!("within five minutes: {before}, kept {after}; forgotten, {wrong} are wrong");
    assert!(after * 100 >= before * 98, "{after} of {before}");
    // Control: one that forgets knows of no change, and is too bold.
    assert!(wrong > 100, "{wrong}");
}

/// What lies in clear names no moment closer than the records beside it do.
#[test]
fn what_is_kept_names_no_moment_closer_than_to_the_minute() {
    let mut clock = DeviceClock::default();
    let start = Time::from_micros(START + 1_234_567);
    for n in 0..6 {
        let now = start + Span::from_secs(n * 1_237);
        // Set once, so that there are two epochs.
        let behind = if n < 3 { 9 } else { 3_609 };
        clock.read(now - Span::from_secs(behind), now);
        clock.judge(claim(now - Span::from_secs(behind)), now);
    }
    let numbers = clock.to_numbers();
    let moments = numbers.iter().filter(|n| **n > START / 2 && **n < i64::MAX);
    let moments: Vec<_> = moments.collect();
    assert!(moments.len() >= 5, "{numbers:?}");
    for moment in moments {
        assert_eq!(moment % (60 * SECOND), 0, "{numbers:?}");
    }
}

#[test]
fn numbers_that_no_clock_gave_are_refused() {
    let mut clock = DeviceClock::default();
    assert!(clock.to_numbers().is_empty());
    let now = Time::from_micros(START);
    clock.read(now - Span::from_secs(9), now);
    let numbers = clock.to_numbers();
    assert!(DeviceClock::from_numbers(&numbers).is_some());
    for length in [1, 6, 8, numbers.len() - 1] {
        assert_eq!(DeviceClock::from_numbers(&numbers[..length]), None);
    }
    let mut dice = Dice(3);
    for _ in 0..2_000 {
        let mut wild = numbers.clone();
        let place = usize::try_from(dice.next() % numbers.len() as u64).expect("small");
        wild[place] = i64::from_le_bytes(dice.next().to_le_bytes());
        if let Some(mut clock) = DeviceClock::from_numbers(&wild) {
            clock.judge(claim(now), now);
            clock.read(now, now);
            let _ = (clock.offset(now), clock.drift());
        }
    }
}

/// What is not compared any more becomes less sure by its age.
#[test]
fn uncertainty_grows_with_age() {
    let mut clock = DeviceClock::default();
    let now = Time::from_micros(START);
    clock.read(now + Span::from_mins(60), now);
    let unsure = |days: i64| {
        let at = now + Span::from_mins(days * 24 * 60);
        clock.offset(at).expect("read").1.as_micros()
    };
    assert!(unsure(0) < 10 * SECOND);
    // Two minutes a day until its drift was measured.
    assert!((120 * SECOND..150 * SECOND).contains(&unsure(1)));
    assert!((1200 * SECOND..1400 * SECOND).contains(&unsure(10)));
}

#[test]
fn drift_is_learnt_and_old_records_become_sharp() {
    let wall = Wall {
        since: START,
        shown: START,
        drift_ppm: 400,
    };
    let mut clock = DeviceClock::default();
    for day in 0..30 {
        let now = START + day * 24 * HOUR;
        clock.read(wall.stamp(now), Time::from_micros(now + SECOND));
    }
    let (rate, unsure) = clock.drift().expect("read");
    // The clock runs 400 ppm fast, so true time is slower by that.
    assert!((rate + 400_000).abs() <= unsure, "{rate} ± {unsure} ppb");
    assert!(unsure < 60_000);
    let measured = START + 22 * 24 * HOUR;
    let now = Time::from_micros(START + 29 * 24 * HOUR + 5 * SECOND);
    let judged = clock.judge(claim(wall.stamp(measured)), now);
    let off = (judged.effective.as_micros() - measured).abs();
    assert!(
        off <= judged.uncertainty.as_micros() && off < 60 * SECOND,
        "{off}"
    );
    assert!(judged.uncertainty < Span::from_mins(2));
    assert_eq!(clock.changes(), (0, None));
}

#[test]
fn a_drift_beyond_belief_is_believed_when_seen() {
    // Five per cent: an hour and twelve minutes a day.
    let wall = Wall {
        since: START,
        shown: START,
        drift_ppm: 50_000,
    };
    let mut clock = DeviceClock::default();
    for tenth in 0..60 {
        let now = START + tenth * HOUR / 10;
        clock.read(wall.stamp(now), Time::from_micros(now + SECOND));
        if tenth > 20 {
            let measured = now - HOUR / 20;
            let judged = clock.judge(claim(wall.stamp(measured)), Time::from_micros(now));
            let off = (judged.effective.as_micros() - measured).abs();
            assert!(off <= judged.uncertainty.as_micros(), "{tenth}: {off}");
        }
    }
}

#[test]
fn changes_are_named() {
    for (turn, change) in [
        (HOUR, Change::Zone),
        (-5 * HOUR - HOUR / 2, Change::Zone),
        (20 * 60 * SECOND, Change::Set),
        (-400 * 24 * HOUR, Change::Reset),
        (-START, Change::Reset),
    ] {
        let mut clock = DeviceClock::default();
        let (now, later) = (Time::from_micros(START), Time::from_micros(START + HOUR));
        clock.read(now, now);
        clock.read(later + Span::from_micros(turn), later);
        assert_eq!(clock.changes(), (1, Some(change)), "{turn}");
        let (offset, half) = clock.offset(now).expect("read");
        assert!((offset.as_micros() + turn).abs() <= half.as_micros());
    }
}

/// Measurements that arrive ten seconds after they were taken, hours apart, from a clock that is never read.
fn live(shown_ahead: i64, times: i64) -> Vec<Judged> {
    let mut clock = DeviceClock::default();
    let one = |n: i64| {
        let truth = START + n * 3 * HOUR + n * n * 61 * SECOND;
        let stamp = Time::from_micros((truth + shown_ahead).div_euclid(SECOND) * SECOND);
        clock.judge(claim(stamp), Time::from_micros(truth + 10 * SECOND))
    };
    (0..times).map(one).collect()
}

#[test]
fn a_clock_that_cannot_be_read_shows_itself_by_the_third_measurement() {
    // New York: five hours behind. Taken at its word first: it may have stored them.
    let judged = live(-5 * HOUR, 4);
    assert_eq!(judged[0].effective, Time::from_micros(START - 5 * HOUR));
    assert_eq!(judged[0].uncertainty, vitals::observe::clock::ANY_ZONE);
    for late in &judged[2..] {
        assert!(late.uncertainty <= Span::from_secs(100));
        assert_eq!(late.quality, Quality::CLOCK_REPAIRED);
    }
    // 1970: nobody knows, and then everybody does.
    let judged = live(-START, 4);
    let unknown = Quality::CLOCK_REPAIRED.with(Quality::CLOCK_UNKNOWN);
    assert_eq!((judged[0].quality, judged[1].quality), (unknown, unknown));
    assert_eq!(judged[0].uncertainty, Span::MAX);
    assert_eq!(judged[2].quality, Quality::CLOCK_REPAIRED);
    let truth = START + 6 * HOUR + 4 * 61 * SECOND;
    assert!((judged[2].effective.as_micros() - truth).abs() < 100 * SECOND);
    // A year ahead: the same. A right clock needs no repair.
    assert_eq!(live(365 * 24 * HOUR, 1)[0].quality, unknown);
    assert!(
        live(0, 5)
            .iter()
            .all(|judged| judged.quality == Quality::GOOD)
    );
    assert!(live(0, 5)[4].uncertainty <= Span::from_secs(100));
}

#[test]
fn stored_measurements_at_any_distance_do_not_look_like_a_wrong_clock() {
    let mut dice = Dice(7);
    let mut clock = DeviceClock::default();
    let mut now = START;
    for _ in 0..400 {
        now += dice.between(HOUR, 20 * HOUR);
        let measured = now - dice.between(0, HOUR);
        let judged = clock.judge(claim(Time::from_micros(measured)), Time::from_micros(now));
        assert!((judged.effective.as_micros() - measured).abs() <= judged.uncertainty.as_micros());
        assert_eq!(judged.quality, Quality::GOOD);
    }
}

#[test]
fn any_order_of_anything_is_survived() {
    let mut dice = Dice(11);
    for _ in 0..200 {
        let mut clock = DeviceClock::default();
        for _ in 0..60 {
            let wild = |dice: &mut Dice| {
                let raw = i64::from_le_bytes(dice.next().to_le_bytes());
                Time::from_micros(raw >> (dice.next() % 40))
            };
            let (stamp, received) = (wild(&mut dice), wild(&mut dice));
            if dice.next().is_multiple_of(3) {
                clock.read(stamp, received);
            }
            let trusted = dice.next().is_multiple_of(2);
            let claim = Claim {
                trusted,
                ahead: Span::from_micros(wild(&mut dice).as_micros()),
                ..claim(stamp)
            };
            let judged = clock.judge(claim, received);
            assert!(judged.effective <= received && judged.uncertainty >= Span::ZERO);
        }
    }
}
