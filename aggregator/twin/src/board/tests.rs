//! The scoreboard of alerts on scripted events, when a horizon is unfit, and sums over people.

use super::*;
use crate::alert::{Alert, AlertId, Priority, State};
use crate::care::Calls;

fn at(minutes: i64) -> Time {
    Time::ZERO + Span::from_mins(minutes)
}

fn change(what: Change, condition: Condition, onset: i64, told: i64) -> AlertChange {
    let alert = Alert {
        id: AlertId(1),
        condition,
        priority: Priority::Medium,
        measured: Priority::Medium,
        state: State::Active,
        onset: at(onset),
        raised: at(told),
        acknowledged: None,
        resolved: None,
        summary: "".into(),
        plain_summary: "".into(),
        evidence: Vec::new(),
        model: "",
        model_hash: [0; 16],
        expected: None,
        probability: None,
        subject: "".into(),
        retrospective: what == Change::Finding,
        told_locally: None,
        calls: Calls::default(),
        snoozed_until: None,
        owner: "".into(),
        comments: Vec::new(),
        withdrawn: None,
        episodes: 1,
        quiet: false,
        asked_again: 0,
        part_of: None,
    };
    AlertChange {
        what,
        at: at(told),
        alert,
    }
}

const FALLING: Condition = Condition::OxygenSaturationFalling;
const LOW: Condition = Condition::OxygenSaturationLow;

/// Measured without end.
fn always(_: Kind) -> Option<(Time, Span)> {
    Some((Time::MAX, Span::ZERO))
}

fn of(board: &Board, condition: Condition) -> AlertScore {
    let told = board.view();
    *told
        .iter()
        .find(|one| one.condition == condition)
        .expect("on the board")
}

/// (told, right, late, wrong, unknown, waiting, events, missed)
fn counts(one: &AlertScore) -> [u64; 8] {
    [
        one.told,
        one.right,
        one.late,
        one.wrong,
        one.unknown,
        one.waiting,
        one.events,
        one.missed,
    ]
}

#[test]
fn an_alert_is_right_when_its_event_begins_in_time() {
    let mut board = Board::default();
    for (told, onset) in [(10, 22), (100, 104)] {
        board.hear(&change(Change::Raised, FALLING, told, told));
        board.settle(at(onset), always);
        assert_eq!(of(&board, FALLING).waiting, 1);
        board.hear(&change(Change::Raised, LOW, onset, onset + 1));
    }
    board.settle(at(500), always);
    let score = of(&board, FALLING);
    assert_eq!(counts(&score), [2, 2, 0, 0, 0, 0, 2, 0]);
    let lead = score.lead.expect("two leads");
    assert_eq!(
        (lead.sum, lead.least, lead.most),
        (Span::from_mins(16), Span::from_mins(4), Span::from_mins(12))
    );
}

#[test]
fn wrong_late_missed_and_unknown_are_four_things() {
    let mut board = Board::default();
    board.hear(&change(Change::Raised, FALLING, 0, 0));
    board.settle(at(24), always);
    assert_eq!(of(&board, FALLING).waiting, 1, "an event may still be told");
    board.settle(at(25), always);
    assert_eq!(counts(&of(&board, FALLING)), [1, 0, 0, 1, 0, 0, 0, 0]);
    // Nothing came before it, and again within a quarter of an hour: one event.
    board.hear(&change(Change::Raised, LOW, 100, 101));
    board.hear(&change(Change::Raised, LOW, 110, 111));
    assert_eq!(counts(&of(&board, FALLING)), [1, 0, 0, 1, 0, 0, 1, 1]);
    // It had begun.
    board.hear(&change(Change::Raised, FALLING, 200, 200));
    board.hear(&change(Change::Raised, LOW, 199, 201));
    assert_eq!(counts(&of(&board, FALLING)), [2, 0, 1, 1, 0, 0, 2, 2]);
    board.hear(&change(Change::Raised, FALLING, 205, 205));
    assert_eq!(counts(&of(&board, FALLING)), [3, 0, 2, 1, 0, 0, 2, 2]);
    // Then the oximeter was taken off.
    board.hear(&change(Change::Raised, FALLING, 300, 300));
    board.settle(at(400), |_| Some((at(305), Span::from_mins(1))));
    assert_eq!(counts(&of(&board, FALLING)), [4, 0, 2, 1, 1, 0, 2, 2]);
    assert_eq!(of(&board, FALLING).lead, None);
}

#[test]
fn a_lead_is_that_of_the_first_alert_and_a_change_of_one_is_none() {
    let mut board = Board::default();
    board.hear(&change(Change::Raised, FALLING, 10, 10));
    board.hear(&change(Change::Raised, FALLING, 12, 12));
    board.hear(&change(Change::Updated, FALLING, 12, 13));
    board.hear(&change(Change::Raised, LOW, 14, 15));
    let score = of(&board, FALLING);
    assert_eq!(counts(&score), [2, 2, 0, 0, 0, 0, 1, 0]);
    assert_eq!(score.lead.expect("foretold").sum, Span::from_mins(4));
    // What was measured before it was told says nothing of the time after, however long it is fresh.
    board.hear(&change(Change::Raised, FALLING, 300, 300));
    board.settle(at(400), |_| Some((at(299), Span::from_mins(60))));
    assert_eq!(of(&board, FALLING).unknown, 1);
}

#[test]
fn an_older_part_that_came_late_does_not_hide_that_the_event_has_begun() {
    let mut board = Board::default();
    board.hear(&change(Change::Raised, FALLING, 100, 100));
    board.hear(&change(Change::Raised, LOW, 130, 131));
    board.hear(&change(Change::Finding, LOW, 110, 132));
    board.hear(&change(Change::Raised, FALLING, 140, 140));
    assert_eq!(of(&board, FALLING).late, 1, "it began at 130");
}

#[test]
fn late_data_make_what_waits_right_and_nothing_missed() {
    let mut board = Board::default();
    board.hear(&change(Change::Finding, LOW, 5, 60));
    assert_eq!(counts(&of(&board, FALLING)), [0; 8], "nobody had sent it");
    board.hear(&change(Change::Raised, FALLING, 100, 100));
    board.hear(&change(Change::Finding, LOW, 40, 101));
    assert_eq!(of(&board, FALLING).waiting, 1, "that is of before");
    board.hear(&change(Change::Finding, LOW, 105, 118));
    assert_eq!(counts(&of(&board, FALLING)), [1, 1, 0, 0, 0, 0, 1, 0]);
}

#[test]
fn cuffs_are_events_once_while_they_stay_low() {
    let mut board = Board::default();
    let cuff = |systolic, mean| Cuff {
        systolic: Some(systolic),
        diastolic: None,
        mean: Some(mean),
    };
    board.hear(&change(Change::Raised, Condition::ShockIndexHigh, 0, 0));
    board.cuff(at(60), &cuff(95.0, 70.0));
    board.cuff(at(120), &cuff(85.0, 60.0));
    board.cuff(at(130), &cuff(84.0, 59.0));
    let shock = of(&board, Condition::ShockIndexHigh);
    assert_eq!(counts(&shock), [1, 1, 0, 0, 0, 0, 1, 0]);
    assert_eq!(shock.lead.expect("foretold").sum, Span::from_mins(120));
    let pressure = of(&board, Condition::BloodPressureLow);
    assert_eq!(counts(&pressure), [0, 0, 0, 0, 0, 0, 1, 1]);
    // Still low after more than its time: no other one.
    board.cuff(at(480), &cuff(84.0, 59.0));
    assert_eq!(of(&board, Condition::BloodPressureLow).events, 1);
    // The alert about the very cuff that was low foretold nothing.
    board.hear(&change(
        Change::Raised,
        Condition::BloodPressureLow,
        130,
        130,
    ));
    assert_eq!(of(&board, Condition::BloodPressureLow).late, 1);
}

#[test]
fn what_foretells_nothing_measured_says_why_and_has_no_number() {
    let board = Board::default();
    for condition in [
        Condition::RestingHeartRateRaised,
        Condition::HeartFailureDrift,
        Condition::Fever,
    ] {
        let score = of(&board, condition);
        assert!(
            !score.absent.is_empty() && score.within == Span::ZERO,
            "{condition:?}"
        );
    }
    assert_eq!(of(&board, FALLING).absent, "");
    for model in watch::MODELS {
        of(&board, model.condition);
    }
}

#[test]
fn a_flood_of_alerts_is_bounded() {
    let mut board = Board::default();
    let drift = Condition::BreathingDrift;
    for minute in 0..100 {
        board.hear(&change(Change::Raised, drift, minute, minute));
    }
    let score = of(&board, drift);
    assert_eq!(
        (score.told, score.wrong, score.waiting),
        (100, 100 - WAITING as u64, WAITING as u64)
    );
    let mut bytes = Vec::new();
    crate::canonical::Canonical::encode(&board, &mut bytes);
    assert!(bytes.len() < 1024, "{} bytes", bytes.len());
}

#[test]
fn a_horizon_is_unfit_after_enough_outcomes_and_fit_again() {
    let mut recent = Recent::default();
    let mut feed = |from: u64, to: u64, inside: bool, errors: (f64, f64)| {
        (from..to).for_each(|n| recent.take(n, inside, errors, 0.1));
        recent.unfit
    };
    assert!(!feed(1, 200, false, (9.0, 1.0)), "too few to say");
    assert!(feed(200, 201, false, (9.0, 1.0)));
    assert!(feed(201, 400, true, (0.5, 1.0)), "not yet");
    assert!(!feed(400, 4000, true, (0.5, 1.0)));
    // As far off as persistence is no reason, and flat signals are none.
    assert!(!feed(4000, 9000, true, (1.0, 1.0)));
    assert!(!feed(9000, 14_000, true, (0.01, 0.0)));
    assert!(
        feed(14_000, 19_000, true, (1.1, 1.0)),
        "worse than persistence"
    );
    let mut outside = Recent::default();
    for n in 1..=1000 {
        outside.take(n, n % 10 >= 3, (0.5, 1.0), 0.1);
    }
    assert!(outside.unfit, "seven in ten inside");
    // More than eight in ten again are not enough to be shown again, and nine are.
    let mut feed = |inside: fn(u64) -> bool| {
        (1001..6000).for_each(|n| outside.take(n, inside(n), (0.5, 1.0), 0.1));
        outside.unfit
    };
    assert!(feed(|n| n % 6 > 0), "five in six");
    assert!(!feed(|n| n % 20 > 0));
}

#[test]
fn scores_of_people_add_up() {
    let mut board = Board::default();
    board.hear(&change(Change::Raised, FALLING, 10, 10));
    board.hear(&change(Change::Raised, LOW, 15, 16));
    let horizon = HorizonScore {
        ahead: Span::from_mins(5),
        due: 10,
        scored: 8,
        covered: 7,
        square: 32.0,
        persistence_square: 72.0,
        withheld: 0,
        unfit: 1,
    };
    let one = Scoreboard {
        patients: 1,
        forecasts: alloc::vec![ForecastScore {
            kind: Kind::HeartRate,
            model: forecast::MODEL,
            nominal: 0.9,
            made: 10,
            abstained: alloc::vec![(trend::TOO_SHORT, 3)],
            horizons: alloc::vec![horizon],
        }],
        alerts: board.view(),
    };
    let mut sum = Scoreboard::default();
    sum.add(&one);
    assert_eq!(sum, one);
    sum.add(&one);
    assert_eq!(sum.patients, 2);
    let both = &sum.forecasts[0].horizons[0];
    assert_eq!((both.due, both.scored, both.unfit), (20, 16, 2));
    assert_eq!(both.errors(), Some((2.0, 3.0)));
    assert_eq!(sum.forecasts[0].abstained, [(trend::TOO_SHORT, 6)]);
    let falling = sum.alerts.iter().find(|one| one.condition == FALLING);
    let lead = falling.and_then(|one| one.lead).expect("foretold");
    assert_eq!(
        (lead.sum, lead.most),
        (Span::from_mins(10), Span::from_mins(5))
    );
}
