//! What the past held is judged on everything that is known of it: parts that came live and parts that came late.

use proptest::prelude::*;
use twin::alert::{Change, Condition};
use twin::event::{DeviceReport, Link};
use vitals::{Kind, Quality, Reading, SourceId};

use crate::support::{
    OXIMETER, STRAP, World, absent, at, batch, oxygen, pulse, reading, report, seconds,
};

const LOW: Condition = Condition::OxygenSaturationLow;
const HOUR: i64 = 3600;

fn low(seconds: core::ops::Range<i64>) -> Vec<Reading> {
    seconds.map(|second| oxygen(second, 85.0)).collect()
}

fn well(seconds: core::ops::Range<i64>) -> Vec<Reading> {
    seconds.map(|second| oxygen(second, 97.0)).collect()
}

fn findings(world: &World, condition: Condition) -> Vec<(i64, i64)> {
    let of = world
        .changes
        .iter()
        .filter(|change| change.what == Change::Finding && change.alert.condition == condition);
    of.map(|change| {
        let until = change.alert.evidence.first().map(|of| of.effective);
        (seconds(change.alert.onset), until.map_or(0, seconds))
    })
    .collect()
}

fn raised(world: &World, condition: Condition) -> usize {
    world.count(condition, Change::Raised)
}

/// Twenty seconds came live before the line went, the rest hours later: neither is half a minute by itself.
#[test]
fn an_episode_that_came_in_two_parts_is_a_finding() {
    for hours in [0, 6] {
        let mut world = World::new();
        world.live(well(0..100));
        world.live(low(100..120));
        let back = 200 + hours * HOUR;
        world.live(well(back..back + 100));
        let late: Vec<_> = low(120..135).into_iter().chain(well(135..200)).collect();
        world.readings(back + 100, late);
        world.tick(back + 300);
        assert_eq!(findings(&world, LOW), [(100, 140)], "after {hours} hours");
        assert_eq!(raised(&world, LOW), 0);
    }
}

/// Two lows with a good half minute between them are two findings, whichever comes first: of the one that comes last people
/// would know nothing.
#[test]
fn a_low_shortly_before_or_after_one_that_was_told_is_told_as_well() {
    for (first, then) in [((320, 380), (220, 290)), ((220, 260), (290, 3290))] {
        let mut world = World::new();
        world.live(well(9000..9100));
        for (place, part) in [first, then].into_iter().enumerate() {
            let at = 9101 + 100 * place as i64;
            world.readings(at, low(part.0..part.1));
            world.readings(at + 1, well(part.1..part.1 + 30));
            world.tick(at + 90);
        }
        assert_eq!(findings(&world, LOW), [first, then]);
    }
}

/// What goes on in the very time of a finding is the same one, and says so.
#[test]
fn a_finding_that_goes_on_is_told_anew_with_its_new_end() {
    let mut world = World::new();
    world.live(well(9000..9100));
    world.readings(9101, low(220..260));
    world.tick(9190);
    assert_eq!(findings(&world, LOW), [(220, 260)]);
    world.readings(9191, low(260..1260));
    world.readings(9192, well(1260..1300));
    world.tick(9300);
    let until = |change: &twin::AlertChange| change.alert.evidence[0].effective;
    let of = world.changes.iter();
    let of = of.filter(|change| change.alert.condition == LOW);
    let told: Vec<_> = of
        .map(|change| {
            (
                change.what,
                seconds(change.alert.onset),
                seconds(until(change)),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(Change::Finding, 220, 260), (Change::Updated, 220, 1260)]
    );
}

/// Control: the two parts are two, for between them all was well.
#[test]
fn two_short_parts_with_a_good_time_between_them_are_nothing() {
    for hours in [0, 6] {
        let mut world = World::new();
        world.live(well(0..100));
        world.live(low(100..120));
        let back = 300 + hours * HOUR;
        world.live(well(back..back + 100));
        let late: Vec<_> = well(120..150).into_iter().chain(low(150..170)).collect();
        world.readings(back + 100, late);
        world.readings(back + 101, well(170..300));
        world.tick(back + 300);
        assert_eq!(findings(&world, LOW), []);
    }
}

/// The middle comes last, and joins what was live on both sides; the newest comes first.
#[test]
fn parts_are_joined_in_whatever_order_they_come() {
    for hours in [0, 6] {
        let mut world = World::new();
        world.live(well(0..100));
        world.live(low(100..110));
        world.live(low(150..160));
        world.live(well(160..200));
        let back = 300 + hours * HOUR;
        world.live(well(back..back + 60));
        for begin in [140, 130, 120, 110] {
            world.readings(back + 60, low(begin..begin + 10));
            world.tick(back + 60);
        }
        world.tick(back + 200);
        assert_eq!(findings(&world, LOW), [(100, 160)], "after {hours} hours");
    }
}

#[test]
fn a_long_episode_is_one_finding_though_its_backlog_comes_with_pauses() {
    let mut world = World::new();
    world.live(well(0..60));
    let back = 10 * HOUR;
    world.live(well(back..back + 10));
    // An hour of it, ten minutes at a time, two minutes apart.
    for part in 0..6 {
        let begin = 1000 + part * 600;
        world.readings(back + 10 + part * 120, low(begin..begin + 600));
    }
    world.readings(back + 800, well(4600..5000));
    world.tick(back + 1000);
    assert_eq!(findings(&world, LOW).len(), 1);
}

/// A backlog without an end in one batch is looked through on the way.
#[test]
fn more_than_can_be_kept_is_judged_on_the_way() {
    let mut world = World::new();
    let back = 30 * HOUR;
    world.live(well(back..back + 10));
    let sparse = (0..2000).map(|place| {
        let second = 1000 + place * 10;
        let value = if place < 700 || place % 100 < 6 {
            85.0
        } else {
            97.0
        };
        oxygen(second, value)
    });
    world.readings(back + 10, sparse.collect());
    world.tick(back + 100);
    // The first 700 buckets and six more are one; then twelve of a minute.
    assert_eq!(findings(&world, LOW).len(), 13);
}

#[test]
fn open_ends_stay_bounded() {
    let size = |world: &World| {
        let mut bytes = Vec::new();
        world.twin.canonical_bytes(&mut bytes);
        bytes.len()
    };
    // Every two minutes the line goes after twenty seconds; nothing ever comes late.
    let turns = |value: f64| {
        let mut world = World::new();
        for turn in 0..2000 {
            let begin = turn * 120;
            world.live(
                (begin..begin + 20)
                    .step_by(5)
                    .map(|second| oxygen(second, value)),
            );
        }
        world
    };
    let (mut world, control) = (turns(85.0), turns(97.0));
    let more = size(&world) - size(&control);
    assert!(more < 40_000, "{more}");
    // Control: the newest of them is still known.
    let begin = 1999 * 120;
    world.live(well(begin + 600..begin + 700));
    world.readings(begin + 700, low(begin + 20..begin + 40));
    world.tick(begin + 800);
    assert!(findings(&world, LOW).contains(&(begin, begin + 40)));
}

/// Ten seconds are judged when the next ones begin. If that is after a gap, they are not about now any more.
#[test]
fn what_ended_with_the_line_is_a_finding_when_the_line_is_back() {
    let mut world = World::new();
    world.live(well(0..100));
    world.live(low(100..138));
    world.live(well(138..140));
    world.live(well(700..760));
    world.tick(900);
    assert_eq!(raised(&world, LOW), 0, "it is ten minutes ago");
    assert_eq!(findings(&world, LOW).len(), 1);
}

/// A sensor that dies with the patient in trouble: nothing comes after it that would complete its last ten seconds.
#[test]
fn the_last_readings_before_a_silence_are_judged_by_time_alone() {
    let mut world = World::new();
    world.live(well(0..100));
    world.live(low(100..133));
    assert_eq!(
        raised(&world, LOW),
        0,
        "three times ten seconds, and a beginning"
    );
    world.tick(163);
    let alert = world
        .active(LOW)
        .expect("the fourth is all that there will be");
    assert_eq!((seconds(alert.onset), seconds(alert.raised)), (100, 162));
    // Control: where all was well again there is nothing to judge.
    let mut world = World::new();
    world.live(low(100..131));
    world.live(well(131..134));
    world.tick(400);
    assert_eq!(raised(&world, LOW), 0);
}

fn named(world: &mut World, known: i64, source: SourceId) {
    let mut told = batch(0, Vec::new());
    told.devices = vec![DeviceReport {
        address: "AA:BB:CC:DD:EE:01".into(),
        ..report(source, Link::Connected, known)
    }];
    world.send(known, told);
}

/// The watch of the night tells in the morning, when the strap leads: for the night nobody else spoke.
#[test]
fn another_sensors_backlog_counts_where_the_leader_did_not_measure() {
    const WATCH: SourceId = SourceId(3);
    let slow =
        |from: i64| (from..from + 60).map(|second| reading(WATCH, Kind::HeartRate, second, 34.0));
    for (begin, expected) in [(1000, 1), (5000, 0)] {
        let mut world = World::new();
        named(&mut world, 1, WATCH);
        world.live((2..60).map(|second| reading(WATCH, Kind::HeartRate, second, 60.0)));
        world.live((4000..7500).step_by(5).map(|second| pulse(second, 70.0)));
        world.readings(7600, slow(begin).collect());
        world.tick(7800);
        assert_eq!(
            world.count(Condition::HeartRateLow, Change::Finding),
            expected,
            "at {begin}"
        );
        assert_eq!(raised(&world, Condition::HeartRateLow), 0);
    }
}

/// The pulse of an oximeter stands in for a heart rate that nobody measured then, whoever measures one now.
#[test]
fn a_second_best_kind_counts_for_the_time_that_had_nothing_better() {
    for (begin, expected) in [(1000, 1), (5000, 0)] {
        let mut world = World::new();
        world.live((4000..7500).step_by(5).map(|second| pulse(second, 70.0)));
        let slow =
            (begin..begin + 60).map(|second| reading(OXIMETER, Kind::PulseRate, second, 34.0));
        world.readings(7500, slow.collect());
        world.tick(7700);
        assert_eq!(
            world.count(Condition::HeartRateLow, Change::Finding),
            expected,
            "at {begin}"
        );
    }
}

/// A single measurement that waited at the gateway says by itself what it says live.
#[test]
fn a_spot_check_that_came_late_is_a_finding() {
    let mut world = World::new();
    world.readings(2 * HOUR, vec![oxygen(100, 84.0)]);
    world.tick(2 * HOUR + 100);
    assert_eq!(findings(&world, LOW), [(100, 110)]);
    assert_eq!(raised(&world, LOW), 0);
    // Controls: one of a row that was well, and one that ended in no signal.
    let mut world = World::new();
    world.live(
        well(0..400)
            .into_iter()
            .filter(|of| of.effective != at(100)),
    );
    world.readings(2 * HOUR, vec![oxygen(100, 84.0)]);
    world.tick(2 * HOUR + 100);
    assert_eq!(findings(&world, LOW), []);
    let mut world = World::new();
    let gone = absent(
        OXIMETER,
        Kind::OxygenSaturation,
        105,
        vitals::Absence::NotANumber,
    );
    world.readings(2 * HOUR, vec![oxygen(100, 84.0), gone]);
    world.tick(2 * HOUR + 100);
    assert_eq!(findings(&world, LOW), []);
}

/// Adverts of the past, of a sensor that does not lead, raise no finding: anybody can send one.
#[test]
fn late_adverts_tell_nothing_of_the_past() {
    let mut world = World::new();
    world.live((4000..4100).map(|second| pulse(second, 70.0)));
    let advert = |second| Reading {
        quality: Quality::ADVERTISED,
        ..reading(STRAP, Kind::HeartRate, second, 34.0)
    };
    world.readings(4200, (1000..1100).map(advert).collect());
    world.tick(4400);
    assert_eq!(world.count(Condition::HeartRateLow, Change::Finding), 0);
}

/// The judge: ten-second means of everything, in time order, by the rule's own words.
fn episodes(values: &[f64]) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    let mut begin = None;
    for (bucket, value) in values.iter().chain(&[97.0]).enumerate() {
        let bucket = i64::try_from(bucket).expect("small");
        match (begin, *value < 92.0) {
            (None, true) => begin = Some(bucket),
            (Some(from), false) => {
                if bucket - from >= 4 {
                    found.push((from * 10, bucket * 10));
                }
                begin = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever came live and whatever came late, in whatever order: each episode is an alert or a finding.
    #[test]
    fn every_episode_of_the_joined_data_is_told(
        // Stretches of low and well, in buckets; whether each bucket came live; the order of what did not.
        stretches in prop::collection::vec((1usize..9, any::<bool>()), 4..24),
        live in prop::collection::vec(prop::bool::weighted(0.6), 200),
        order in any::<u64>(),
        pause in prop::sample::select(vec![70_i64, 900, 4000, 90_000]),
    ) {
        let mut values: Vec<f64> = Vec::new();
        for (length, is_low) in &stretches {
            values.extend(core::iter::repeat_n(if *is_low { 85.0 } else { 97.0 }, *length));
        }
        let of = |bucket: usize| {
            let begin = 1000 + i64::try_from(bucket).expect("small") * 10;
            (begin..begin + 10).step_by(2).map(|second| oxygen(second, values[bucket])).collect::<Vec<_>>()
        };
        let mut world = World::new();
        let mut late = Vec::new();
        for bucket in 0..values.len() {
            if live[bucket % live.len()] {
                world.live(of(bucket));
            } else {
                late.push(bucket);
            }
        }
        let end = 1000 + i64::try_from(values.len()).expect("small") * 10 + pause;
        world.live(well(end..end + 70));
        late.sort_by_key(|bucket| (*bucket as u64).wrapping_mul(order | 1) >> 7);
        for (place, bucket) in late.iter().enumerate() {
            world.readings(end + 71 + i64::try_from(place).expect("small"), of(*bucket));
        }
        world.tick(end + 1000);
        let episodes = episodes(&values);
        let told: Vec<_> = world
            .changes
            .iter()
            .filter(|change| change.alert.condition == LOW)
            .filter(|change| matches!(change.what, Change::Raised | Change::Finding | Change::Updated | Change::Resolved))
            .map(|change| {
                let until = match change.what {
                    Change::Finding => change.alert.evidence[0].effective,
                    Change::Raised
                    | Change::Updated
                    | Change::Acknowledged
                    | Change::Resolved
                    | Change::Withdrawn
                    | Change::Called
                    | Change::Unanswered
                    | Change::Snoozed
                    | Change::Woken
                    | Change::Noted => change.alert.resolved.unwrap_or(at(end)),
                };
                (seconds(change.alert.onset) - 1000, seconds(until) - 1000)
            })
            .collect();
        for (from, to) in &episodes {
            // Within a minute of an episode that was told it is the same one; what parts the two may come later than what
            // bridges them, forty seconds.
            prop_assert!(
                told.iter().any(|(onset, until)| onset - 100 <= *to && until + 100 >= *from),
                "{from}..{to} is not told: {told:?}"
            );
        }
        // None begins where all was well.
        for (onset, _) in &told {
            let value = usize::try_from(onset / 10).ok().and_then(|bucket| values.get(bucket));
            prop_assert!(value.is_some_and(|value| *value < 92.0), "{onset}: {values:?}");
        }
    }
}

/// What was well is not kept for ever: where it was, two low buckets far apart are still no pace of a slow sensor.
#[test]
fn what_was_well_parts_also_when_it_is_forgotten() {
    let live = [5, 19, 25, 28, 31, 37, 39, 40];
    let is_low = |bucket: i64| bucket < 6 || (21..29).contains(&bucket) || bucket == 40;
    let of = |bucket: i64| {
        let begin = 1000 + bucket * 10;
        let value = if is_low(bucket) { 85.0 } else { 97.0 };
        (begin..begin + 10)
            .map(|second| oxygen(second, value))
            .collect::<Vec<_>>()
    };
    let mut world = World::new();
    for bucket in live {
        world.live(of(bucket));
    }
    let end = 1410 + 4000;
    world.live(well(end..end + 70));
    for (place, bucket) in (0..40).filter(|bucket| !live.contains(bucket)).enumerate() {
        world.readings(end + 71 + i64::try_from(place).expect("small"), of(bucket));
    }
    world.tick(end + 1000);
    assert_eq!(findings(&world, LOW), [(1000, 1060)]);
}
