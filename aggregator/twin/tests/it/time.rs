//! An alert is about now: what late and stale data may do, and what they may not.

use twin::alert::{Change, Condition, State};
use vitals::{Kind, Reading, Span, Time};

use crate::support::{STRAP, World, at, oxygen, pulse, reading, seconds};

/// Loop #2521: back-fill took back a live urgent low one second after it was raised.
#[test]
fn back_fill_does_not_withdraw_a_live_alert() {
    let mut world = World::new();
    world.live((600..660).map(|second| oxygen(second, 85.0)));
    assert!(world.active(Condition::OxygenSaturationLow).is_some());
    let good = (400..600).map(|second| oxygen(second, 97.0)).collect();
    world.readings(661, good);
    let between = (560..600)
        .map(|second| Reading {
            sequence: 10_000 + second as u64,
            ..oxygen(second, 97.0)
        })
        .collect();
    world.readings(662, between);
    assert!(world.active(Condition::OxygenSaturationLow).is_some());
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Resolved),
        0
    );
    // Negative control: fresh data do withdraw it.
    world.live((662..760).map(|second| oxygen(second, 97.0)));
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Resolved),
        1
    );
}

/// xDrip #289: back-fill raised alerts about the past.
#[test]
fn back_fill_about_the_past_is_a_finding_and_raises_nothing() {
    let mut world = World::new();
    world.live((1000..1030).map(|second| oxygen(second, 97.0)));
    world.readings(
        1031,
        (300..420).map(|second| oxygen(second, 84.0)).collect(),
    );
    world.live((1031..1200).map(|second| oxygen(second, 97.0)));
    assert!(world.active(Condition::OxygenSaturationLow).is_none());
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Raised),
        0
    );
    let finding = world
        .changes
        .iter()
        .find(|change| change.what == Change::Finding)
        .expect("reported as past");
    assert!(finding.alert.retrospective);
    assert_eq!(finding.alert.state, State::Resolved);
    assert_eq!(seconds(finding.alert.onset), 300);
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Finding),
        1
    );
}

#[test]
fn a_whole_backlog_in_order_raises_nothing_about_the_past() {
    let mut world = World::new();
    // Half an hour of outage with trouble in the middle, then everything at once.
    let value = |second: i64| {
        if (600..900).contains(&second) {
            84.0
        } else {
            97.0
        }
    };
    for chunk in 0..18 {
        let readings = (chunk * 100..chunk * 100 + 100)
            .map(|second| oxygen(second, value(second)))
            .collect();
        world.readings(1900, readings);
    }
    world.live((1900..1960).map(|second| oxygen(second, 97.0)));
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Raised),
        0
    );
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Finding),
        1
    );
}

#[test]
fn late_data_complete_a_duration_and_the_alert_is_raised_now() {
    let mut world = World::new();
    // Live data begin at 600 and are low; alone they have not lasted.
    world.live((600..612).map(|second| oxygen(second, 86.0)));
    assert!(world.active(Condition::OxygenSaturationLow).is_none());
    // The half minute before arrives late.
    world.readings(613, (560..600).map(|second| oxygen(second, 86.0)).collect());
    let alert = world
        .active(Condition::OxygenSaturationLow)
        .expect("holds, and its newest evidence is fresh");
    assert_eq!(seconds(alert.onset), 560);
    assert_eq!(seconds(alert.raised), 613);
    assert!(!alert.retrospective);
}

#[test]
fn the_same_late_data_raise_nothing_once_the_newest_evidence_is_old() {
    let mut world = World::new();
    world.live((600..612).map(|second| oxygen(second, 86.0)));
    world.readings(700, (560..600).map(|second| oxygen(second, 86.0)).collect());
    assert!(world.active(Condition::OxygenSaturationLow).is_none());
    world.tick(800);
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Finding),
        1
    );
}

#[test]
fn late_data_about_a_live_episode_make_its_onset_earlier_and_no_second_alert() {
    let mut world = World::new();
    world.live((600..660).map(|second| oxygen(second, 85.0)));
    world.readings(661, (500..600).map(|second| oxygen(second, 85.0)).collect());
    world.tick(730);
    let alert = world
        .active(Condition::OxygenSaturationLow)
        .expect("active");
    assert_eq!(seconds(alert.onset), 500);
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Raised),
        1
    );
    assert_eq!(
        world.count(Condition::OxygenSaturationLow, Change::Finding),
        0
    );
}

#[test]
fn late_data_never_replace_a_newer_latest() {
    let mut world = World::new();
    world.live([oxygen(100, 97.0), oxygen(101, 96.0)]);
    world.readings(103, vec![oxygen(50, 88.0)]);
    let channel = world
        .twin
        .channels()
        .into_iter()
        .find(|channel| channel.kind == Kind::OxygenSaturation);
    let channel = channel.expect("measured");
    assert_eq!(
        (channel.value, channel.effective, channel.count),
        (Some(96.0), at(101), 3)
    );
}

#[test]
fn silence_is_no_recovery() {
    let mut world = World::new();
    world.live((600..660).map(|second| oxygen(second, 85.0)));
    world.tick(4000);
    assert!(world.active(Condition::OxygenSaturationLow).is_some());
}

#[test]
fn a_value_goes_stale_by_time_alone_and_leaves_the_score() {
    let mut world = World::new();
    world.live((0..20).map(|second| oxygen(second, 95.0)));
    let saturation = |world: &World| world.twin.scores()[0].parts[1];
    assert_eq!(saturation(&world).points, Some(1));
    assert_eq!(world.twin.next_deadline(), Some(at(19 + 60)));
    world.tick(79);
    assert_eq!(
        (saturation(&world).points, saturation(&world).missing),
        (None, "too old")
    );
    assert!(world.twin.channels()[0].stale);
}

#[test]
fn deadlines_fire_with_their_own_time() {
    let mut world = World::new();
    world.heartbeat(1, 1);
    world.tick(5000);
    let silent = &world
        .active(Condition::GatewaySilent)
        .expect("silent since 1");
    assert_eq!(seconds(silent.raised), 1 + 180);
}

#[test]
fn known_time_does_not_run_backwards() {
    let mut world = World::new();
    world.live([oxygen(100, 97.0)]);
    world.event_at(Time::ZERO, twin::Event::Tick);
    assert_eq!(world.twin.known(), at(101));
}

#[test]
fn a_stamp_a_little_ahead_is_cut_to_known_time() {
    let mut world = World::new();
    world.readings(100, vec![oxygen(220, 97.0)]);
    assert_eq!(world.twin.channels()[0].effective, at(100));
    assert_eq!(world.twin.counters().applied, 1);
}

fn beats(from: i64, count: i64, mut interval: impl FnMut(i64) -> i64) -> Vec<Reading> {
    let mut time = at(from);
    let mut list = Vec::new();
    for n in 0..count {
        let ms = interval(n);
        time = time + Span::from_millis(ms);
        list.push(Reading {
            sequence: n as u64,
            effective: time,
            received: time,
            ..reading(STRAP, Kind::RrInterval, 0, ms as f64)
        });
    }
    list
}

fn irregular(n: i64) -> i64 {
    400 + (n * n * 7919 + n * 104_729) % 691
}

#[test]
fn fibrillation_in_a_backlog_is_a_finding_and_live_fibrillation_an_alert() {
    let mut world = World::new();
    let list = beats(0, 400, irregular);
    world.readings(3600, list.clone());
    world.tick(3700);
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Raised),
        0
    );
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Finding),
        1
    );
    // Negative control: the same beats live.
    let mut world = World::new();
    world.live(list);
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Raised),
        1
    );
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Finding),
        0
    );
}

#[test]
fn late_beats_complete_the_window_of_live_fibrillation() {
    let mut world = World::new();
    let list = beats(0, 300, irregular);
    let (late, live) = list.split_at(275);
    // The last seconds come live, what was before them two seconds later.
    for beat in live {
        world.event_at(
            beat.effective + Span::from_secs(1),
            twin::Event::Batch(crate::support::batch(beat.sequence + 1000, vec![*beat])),
        );
    }
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Raised),
        0
    );
    let known = live[live.len() - 1].effective + Span::from_secs(2);
    world.event_at(
        known,
        twin::Event::Batch(crate::support::batch(5000, late.to_vec())),
    );
    assert_eq!(
        world.count(Condition::AtrialFibrillation, Change::Raised),
        1
    );
}

#[test]
fn a_slow_pulse_in_late_data_does_not_touch_the_oximeter() {
    let mut world = World::new();
    world.live((600..640).map(|second| pulse(second, 70.0)));
    world.readings(641, (100..200).map(|second| pulse(second, 30.0)).collect());
    world.tick(800);
    assert_eq!(world.count(Condition::HeartRateLow, Change::Finding), 1);
    assert_eq!(world.physiological().len(), 1);
}

/// Two sensors of one kind, value and sequence apart.
fn oxygen_of(source: vitals::SourceId, second: i64, value: f64) -> Reading {
    Reading {
        source,
        ..oxygen(second, value)
    }
}

#[test]
fn one_sensor_leads_and_another_takes_over_when_it_falls_silent() {
    let mut world = World::new();
    let shown = |world: &World| world.twin.channels()[0].value;
    for second in 0..60 {
        world.live([
            oxygen_of(STRAP, second, 97.0),
            oxygen_of(crate::support::OXIMETER, second, 90.0),
        ]);
    }
    assert_eq!(shown(&world), Some(97.0), "the first one leads");
    assert!(
        world.physiological().is_empty(),
        "and the other moves nothing"
    );
    world.live((60..85).map(|second| oxygen_of(crate::support::OXIMETER, second, 90.0)));
    assert_eq!(
        shown(&world),
        Some(90.0),
        "twenty readings without a word of the leader"
    );
}

#[test]
fn a_sparse_sensor_does_not_lead_a_dense_one() {
    let mut world = World::new();
    for second in 0..60 {
        if second % 30 == 0 {
            world.live([oxygen_of(STRAP, second, 97.0)]);
        }
        world.live([oxygen_of(crate::support::OXIMETER, second, 94.0)]);
    }
    assert_eq!(world.twin.channels()[0].value, Some(94.0));
}

/// "Late means older, at known time, than the kind's freshness limit: seconds for SpO2, longer for a thermometer."
#[test]
fn what_is_late_goes_by_the_kind() {
    let mut world = World::new();
    let warm = reading(STRAP, Kind::BodyTemperature, 100, 39.4);
    world.readings(3 * 3600, vec![warm, oxygen(3 * 3600 - 61, 85.0)]);
    let parts = &world.twin.scores()[0].parts;
    let of = |place: usize| (parts[place].points, parts[place].missing);
    assert_eq!(of(1), (None, "too old"), "saturation of a minute ago");
    let temperature = parts.iter().find(|part| part.value == Some(39.4));
    assert_eq!(
        temperature.and_then(|part| part.points),
        Some(2),
        "of three hours ago"
    );
}

/// "Back-fill always completes state": what is usual for a person is learned from the night that came late, too.
#[test]
fn back_fill_completes_what_is_usual() {
    let mut world = World::new();
    for hour in 0..8 {
        let begin = hour * 3600;
        let night = (begin..begin + 3600)
            .step_by(30)
            .map(|second| oxygen(second, 95.0));
        world.readings(12 * 3600, night.collect());
    }
    world.live([oxygen(12 * 3600, 97.0)]);
    let channel = &world.twin.channels()[0];
    let usual = channel.baseline.expect("learned");
    assert!((usual - 95.0).abs() < 0.2, "{usual}");
}

/// ... and the slope on which a forecast rests.
#[test]
fn back_fill_completes_the_slope() {
    let forecast = |filled: bool| {
        let mut world = World::new();
        world.live((1000..1030).map(|second| oxygen(second, 96.0)));
        if filled {
            world.readings(
                1031,
                (700..1000).map(|second| oxygen(second, 96.0)).collect(),
            );
        }
        world.live((1031..1060).map(|second| oxygen(second, 96.0)));
        world.twin.forecasts()[0].clone()
    };
    assert!(!forecast(true).points.is_empty());
    assert!(
        !forecast(false).abstained.is_empty(),
        "control: too little came live"
    );
}

/// An alert is never suppressed by a model that has no data: here every model but the rule is without.
#[test]
fn models_without_data_suppress_nothing() {
    let mut world = World::new();
    world.live((100..141).map(|second| oxygen(second, 85.0)));
    assert!(
        world
            .twin
            .forecasts()
            .iter()
            .all(|of| !of.abstained.is_empty())
    );
    let missing = |part: &&twin::view::ScorePart| part.points.is_none();
    assert!(world.twin.scores()[0].parts.iter().filter(missing).count() > 4);
    assert!(world.active(Condition::OxygenSaturationLow).is_some());
    // The forecast stops with the data; silence is said, and nothing is taken back.
    world.heartbeat(200, 200);
    world.heartbeat(500, 500);
    assert!(world.active(Condition::OxygenSaturationLow).is_some());
    assert_eq!(world.count(Condition::DeviceSilent, Change::Raised), 1);
}

/// A strap that is connected and feels nothing does not hide what the oximeter's pulse says.
#[test]
fn a_better_sensor_without_numbers_hides_nothing() {
    let mut world = World::new();
    for second in 0..200 {
        world.live([
            crate::support::absent(STRAP, Kind::HeartRate, second, vitals::Absence::NoContact),
            reading(crate::support::OXIMETER, Kind::PulseRate, second, 33.0),
        ]);
    }
    assert!(world.active(Condition::HeartRateLow).is_some());
    // Also one that measured until now: its silence is its freshness limit long.
    let mut world = World::new();
    world.live((0..50).map(|second| pulse(second, 70.0)));
    world.live(
        (50..140).map(|second| reading(crate::support::OXIMETER, Kind::PulseRate, second, 33.0)),
    );
    let alert = world
        .active(Condition::HeartRateLow)
        .expect("nobody else speaks");
    assert_eq!(seconds(alert.onset), 50);
}

/// A clock that was ahead and is set right hides nothing of what comes after it.
#[test]
fn a_clock_that_is_set_back_does_not_make_the_present_late() {
    let mut world = World::new();
    for second in 0..60 {
        world.readings(second, vec![oxygen(second + 240, 97.0)]);
    }
    world.live((60..110).map(|second| Reading {
        sequence: 10_000 + second as u64,
        ..oxygen(second, 85.0)
    }));
    assert!(world.active(Condition::OxygenSaturationLow).is_some());
}
