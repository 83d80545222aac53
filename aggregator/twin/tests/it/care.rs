//! What people do about alerts, and who is called while nobody does.

use proptest::prelude::*;
use twin::alert::{Alert, AlertId, Change, Condition, Priority, State};
use twin::care::{Act, COMMENTS, Duty, is_kept, next_duty};
use twin::{Event, rule};
use vitals::Span;

use crate::support::{World, at, oxygen, pulse, seconds};

const LOW: Condition = Condition::OxygenSaturationLow;

/// A world whose oxygen is low since 0: `value` 90 is medium priority, 80 is high. Raised within a minute.
fn low(value: f64) -> World {
    let mut world = World::new();
    world.live((0..60).map(|second| oxygen(second, value)));
    world
}

fn the(world: &World) -> &Alert {
    world.active(LOW).expect("it holds")
}

/// Oxygen goes on at `value`, a reading every ten seconds, so that nothing is stale.
fn goes_on(world: &mut World, from: i64, to: i64, value: f64) {
    let step = usize::try_from(10).expect("small");
    world.live((from..to).step_by(step).map(|second| oxygen(second, value)));
}

fn by(world: &mut World, known: i64, act: Act) {
    let by = "anna".into();
    world.event(known, Event::Care { by, act });
}

fn snooze(world: &mut World, known: i64, until: i64) {
    let act = Act::Snooze {
        condition: LOW,
        until: at(until),
        reason: "sleeping on the sensor".into(),
    };
    by(world, known, act);
}

fn acknowledge(world: &mut World, known: i64) {
    let event = Event::Acknowledged {
        alert: the(world).id,
        by: "anna".into(),
        note: String::new(),
    };
    world.event(known, event);
}

fn calls(alert: &Alert) -> Vec<(Duty, i64)> {
    let after = |call: &twin::care::Call| (call.duty, seconds(call.at) - seconds(alert.raised));
    alert.calls.made.iter().map(after).collect()
}

#[test]
fn high_priority_climbs_its_ladder_and_says_that_nobody_answered() {
    let mut world = low(80.0);
    assert_eq!(the(&world).priority, Priority::High);
    assert_eq!(calls(the(&world)), [(Duty::Nurse, 0)], "at once");
    goes_on(&mut world, 60, 1500, 80.0);
    let alert = the(&world);
    let expected = [
        (Duty::Nurse, 0),
        (Duty::Doctor, 180),
        (Duty::Supervisor, 360),
    ];
    assert_eq!(calls(alert), expected);
    let end = alert.calls.unanswered.expect("the ladder ended");
    assert_eq!(end.since(alert.raised), Span::from_mins(10));
    assert_eq!(
        world.count(LOW, Change::Called),
        2,
        "the first is the alert itself"
    );
    assert_eq!(world.count(LOW, Change::Unanswered), 1, "once");
    assert_eq!(
        alert.state,
        State::Active,
        "and it waits on in everybody's sight"
    );
}

#[test]
fn taking_notice_ends_the_calls() {
    let mut world = low(80.0);
    goes_on(&mut world, 60, 250, 80.0);
    acknowledge(&mut world, 260);
    goes_on(&mut world, 270, 1500, 80.0);
    let alert = the(&world);
    let made = [(Duty::Nurse, 0), (Duty::Doctor, 180)];
    assert_eq!(calls(alert), made, "what was called stays to be read");
    assert_eq!(alert.calls.unanswered, None);
}

#[test]
fn recovery_ends_the_calls() {
    let mut world = low(80.0);
    goes_on(&mut world, 60, 300, 97.0);
    let id = AlertId(1);
    let alert = world.twin.alert(id).expect("remembered");
    assert_eq!((alert.state, alert.calls.since), (State::Resolved, None));
    world.tick(4000);
    assert_eq!(world.count(LOW, Change::Unanswered), 0);
}

#[test]
fn what_becomes_more_urgent_begins_its_ladder_anew() {
    let mut world = low(90.0);
    assert_eq!(the(&world).priority, Priority::Medium);
    acknowledge(&mut world, 61);
    assert_eq!(the(&world).calls.since, None);
    goes_on(&mut world, 70, 200, 80.0);
    let alert = the(&world);
    assert_eq!(
        (alert.priority, alert.state),
        (Priority::High, State::Active)
    );
    assert_eq!(alert.calls.made.len(), 1, "the nurse, again");
    assert!(alert.calls.since > Some(alert.raised));
}

#[test]
fn late_time_makes_every_call_with_its_own_time() {
    let mut world = low(80.0);
    world.tick(7200);
    let told: Vec<i64> = world
        .changes
        .iter()
        .filter(|change| change.alert.condition == LOW)
        .filter(|change| matches!(change.what, Change::Called | Change::Unanswered))
        .map(|change| seconds(change.at) - seconds(change.alert.raised))
        .collect();
    assert_eq!(told, [180, 360, 600]);
}

#[test]
fn a_snooze_silences_one_condition_until_its_end() {
    let mut world = low(90.0);
    snooze(&mut world, 61, 3661);
    let alert = the(&world);
    assert_eq!(alert.snoozed_until, Some(at(3661)));
    assert_eq!((alert.calls.since, alert.calls.made.len()), (None, 0));
    let (condition, snooze) = world.twin.snoozes().next().expect("it is on the twin");
    assert_eq!((condition, snooze.by.as_str()), (LOW, "anna"));
    world.tick(3660);
    assert_eq!(world.count(LOW, Change::Called), 0, "silent for the hour");
    world.tick(3662);
    assert_eq!(world.count(LOW, Change::Woken), 1);
    let alert = the(&world);
    assert_eq!(alert.snoozed_until, None);
    assert_eq!(alert.calls.since, Some(at(3661)), "and the nurse is called");
    assert_eq!(world.twin.snoozes().count(), 0);
}

#[test]
fn an_alert_that_begins_during_a_snooze_is_born_silent() {
    let mut world = World::new();
    snooze(&mut world, 0, 3600);
    world.live((0..60).map(|second| oxygen(second, 90.0)));
    let alert = the(&world);
    assert_eq!(alert.snoozed_until, Some(at(3600)), "there to see");
    assert_eq!(alert.calls.since, None, "but nobody is called");
}

#[test]
fn no_snooze_reaches_high_priority() {
    let mut world = low(80.0);
    snooze(&mut world, 61, 3661);
    assert_eq!(the(&world).snoozed_until, None);
    assert_eq!(world.twin.snoozes().count(), 0);
    // And one that is on ends when the condition gets there, whatever was acknowledged or silenced before.
    let mut world = low(90.0);
    snooze(&mut world, 61, 3661);
    acknowledge(&mut world, 62);
    goes_on(&mut world, 70, 200, 80.0);
    let alert = the(&world);
    assert_eq!(
        (alert.priority, alert.state),
        (Priority::High, State::Active)
    );
    assert_eq!(alert.snoozed_until, None);
    assert!(alert.calls.since.is_some());
    assert_eq!(world.twin.snoozes().count(), 0);
    // Born high: the same.
    let mut world = World::new();
    snooze(&mut world, 0, 3600);
    world.live((0..60).map(|second| oxygen(second, 80.0)));
    goes_on(&mut world, 60, 200, 80.0);
    assert!(is_kept(the(&world), world.twin.known()));
    assert_eq!(world.twin.snoozes().count(), 0);
}

#[test]
fn a_snooze_lasts_a_shift_at_most_and_can_be_ended() {
    let mut world = low(90.0);
    snooze(&mut world, 61, 100 * 3600);
    let longest = at(61) + rule::SNOOZE_AT_MOST;
    assert_eq!(the(&world).snoozed_until, Some(longest));
    by(&mut world, 100, Act::Wake { condition: LOW });
    assert_eq!(the(&world).snoozed_until, None);
    assert_eq!(the(&world).calls.since, Some(at(100)));
    let before = world.changes.len();
    by(&mut world, 101, Act::Wake { condition: LOW });
    snooze(&mut world, 102, 50);
    assert_eq!(world.changes.len(), before, "nothing to end; already over");
}

#[test]
fn comments_and_owner_stay_with_the_alert() {
    let mut world = low(80.0);
    let alert = the(&world).id;
    for number in 0..=COMMENTS {
        let text = format!("{number}");
        by(&mut world, 70, Act::Comment { alert, text });
    }
    let owner = "ben".to_owned();
    by(&mut world, 71, Act::Own { alert, owner });
    let (newest, held) = (COMMENTS.to_string(), the(&world));
    assert_eq!(held.comments.len(), COMMENTS);
    let last = held.comments.last().expect("some");
    assert_eq!((&last.text, last.by.as_str()), (&newest, "anna"));
    assert_eq!(held.owner, "ben");
    assert!(
        held.calls.since.is_some(),
        "words are no answer to an alarm"
    );
    let unknown = AlertId(99);
    let text = "?".into();
    by(
        &mut world,
        72,
        Act::Comment {
            alert: unknown,
            text,
        },
    );
    assert_eq!(world.twin.counters().unknown_alerts, 1);
}

/// Nobody is on duty whom the last of `calls` calls is for.
fn nobody(world: &mut World, known: i64, calls: u32) {
    let (alert, text) = (the(world).id, "nobody is on duty".to_owned());
    let (by, act) = ("roster".into(), Act::Pass { alert, calls, text });
    world.event(known, Event::Care { by, act });
}

#[test]
fn where_nobody_is_on_duty_the_next_one_is_called_at_once_and_the_others_no_later() {
    let mut world = low(80.0);
    let raised = seconds(the(&world).raised);
    nobody(&mut world, raised + 30, 1);
    assert_eq!(calls(the(&world)), [(Duty::Nurse, 0), (Duty::Doctor, 30)]);
    assert_eq!(the(&world).comments.len(), 1, "and it says why");
    // Said twice, or of a call that is not the last: nothing more happens.
    nobody(&mut world, raised + 31, 1);
    assert_eq!(the(&world).calls.made.len(), 2);
    assert_eq!(the(&world).comments.len(), 1);
    goes_on(&mut world, raised + 40, raised + 400, 80.0);
    let expected = [
        (Duty::Nurse, 0),
        (Duty::Doctor, 30),
        (Duty::Supervisor, 360),
    ];
    assert_eq!(calls(the(&world)), expected, "as the ladder says");
    // Nobody is left to be called: the end comes in its own time.
    nobody(&mut world, raised + 401, 3);
    assert_eq!(the(&world).calls.unanswered, None);
    goes_on(&mut world, raised + 410, raised + 700, 80.0);
    let end = the(&world).calls.unanswered.expect("the ladder ended");
    assert_eq!(end.since(the(&world).raised), Span::from_mins(10));
}

#[test]
fn nothing_is_passed_over_of_an_alert_that_waits_for_nobody() {
    let mut world = low(90.0);
    snooze(&mut world, 61, 900);
    nobody(&mut world, 62, 0);
    assert!(the(&world).calls.made.is_empty(), "silenced");
    by(&mut world, 70, Act::Wake { condition: LOW });
    acknowledge(&mut world, 71);
    nobody(&mut world, 72, 1);
    assert_eq!(the(&world).calls.made.len(), 1, "somebody took notice");
}

fn escalate(world: &mut World, known: i64, duty: Duty, text: &str) {
    let (alert, text) = (the(world).id, text.to_owned());
    by(world, known, Act::Escalate { alert, duty, text });
}

#[test]
fn a_person_has_the_next_one_called_and_the_ladder_goes_on_from_there() {
    let mut world = low(80.0);
    let raised = seconds(the(&world).raised);
    let before = world.count(LOW, Change::Called);
    escalate(&mut world, raised + 20, Duty::Doctor, "blue lips");
    assert_eq!(calls(the(&world)), [(Duty::Nurse, 0), (Duty::Doctor, 20)]);
    assert_eq!(world.count(LOW, Change::Called), before + 1);
    let by_whom: Vec<_> = the(&world).calls.made.iter().map(|of| &*of.by).collect();
    assert_eq!(by_whom, ["", "anna"]);
    assert_eq!(the(&world).comments[0].text, "blue lips");
    // Said twice, and of one who is not next: nothing more happens, and nothing is told.
    let told = world.changes.len();
    escalate(&mut world, raised + 21, Duty::Doctor, "blue lips");
    escalate(&mut world, raised + 21, Duty::Nurse, "");
    assert_eq!(world.changes.len(), told);
    assert_eq!(the(&world).comments.len(), 1);
    // The doctor has the three minutes that a doctor has, and the end comes four after the last one was called.
    goes_on(&mut world, raised + 30, raised + 600, 80.0);
    let expected = [
        (Duty::Nurse, 0),
        (Duty::Doctor, 20),
        (Duty::Supervisor, 200),
    ];
    assert_eq!(calls(the(&world)), expected);
    let end = the(&world).calls.unanswered.expect("the ladder ended");
    assert_eq!(end.since(the(&world).raised), Span::from_secs(440));
    escalate(&mut world, raised + 601, Duty::Supervisor, "");
    assert_eq!(the(&world).calls.made.len(), 3, "nobody is left");
}

#[test]
fn an_acknowledged_alert_that_is_escalated_waits_for_a_person_again() {
    let mut world = low(80.0);
    let raised = seconds(the(&world).raised);
    acknowledge(&mut world, raised + 30);
    goes_on(&mut world, raised + 40, raised + 1000, 80.0);
    assert_eq!(calls(the(&world)), [(Duty::Nurse, 0)], "control");
    escalate(&mut world, raised + 1000, Duty::Doctor, "");
    assert_eq!(the(&world).state, State::Active);
    assert_eq!(the(&world).acknowledged, None);
    assert!(the(&world).comments.is_empty(), "no words, no comment");
    goes_on(&mut world, raised + 1010, raised + 1500, 80.0);
    let expected = [
        (Duty::Nurse, 0),
        (Duty::Doctor, 1000),
        (Duty::Supervisor, 1180),
    ];
    assert_eq!(calls(the(&world)), expected);
    let end = the(&world).calls.unanswered.expect("the ladder ended");
    assert_eq!(end.since(the(&world).raised), Span::from_secs(1420));
}

#[test]
fn nobody_is_called_of_what_is_silenced_or_over() {
    let mut world = low(90.0);
    snooze(&mut world, 61, 900);
    escalate(&mut world, 62, Duty::Nurse, "");
    assert!(the(&world).calls.made.is_empty(), "silenced");
    let alert = the(&world).id;
    goes_on(&mut world, 70, 400, 97.0);
    assert!(world.active(LOW).is_none(), "it is over");
    let (duty, text) = (Duty::Nurse, String::new());
    let told = world.changes.len();
    by(&mut world, 401, Act::Escalate { alert, duty, text });
    assert_eq!(world.changes.len(), told);
    assert_eq!(world.twin.counters().unknown_alerts, 0);
    let (alert, text) = (AlertId(99), String::new());
    by(&mut world, 402, Act::Escalate { alert, duty, text });
    assert_eq!(world.twin.counters().unknown_alerts, 1);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Oxygen(f64, i64),
    Acknowledge,
    Snooze(i64),
    Wake,
    /// Nobody is on duty after so many calls, if there were so many.
    Nobody(u32),
    /// Whoever is next.
    Escalate,
    Pass(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop_oneof![Just(80.0), Just(90.0), Just(97.0)], 30i64..200)
            .prop_map(|(value, last)| Step::Oxygen(value, last)),
        1 => Just(Step::Acknowledge),
        2 => (1i64..7200).prop_map(Step::Snooze),
        1 => Just(Step::Wake),
        3 => (0u32..5).prop_map(Step::Nobody),
        2 => Just(Step::Escalate),
        2 => (1i64..2000).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// After whatever people do and whatever happens, every alert of high priority is acknowledged, over, called to the
    /// end of its ladder, or still climbing it in time.
    #[test]
    fn no_high_alert_is_ever_left_alone(steps in proptest::collection::vec(any_step(), 1..25)) {
        let (mut world, mut now) = (World::new(), 1);
        for step in steps {
            match step {
                Step::Oxygen(value, last) => {
                    world.live((now..now + last).step_by(2).map(|second| oxygen(second, value)));
                    now += last;
                }
                Step::Acknowledge => if world.active(LOW).is_some() {
                    acknowledge(&mut world, now);
                },
                Step::Snooze(last) => snooze(&mut world, now, now + last),
                Step::Wake => by(&mut world, now, Act::Wake { condition: LOW }),
                Step::Nobody(calls) => if world.active(LOW).is_some() {
                    nobody(&mut world, now, calls);
                },
                Step::Escalate => if let Some(duty) = world.active(LOW).and_then(next_duty) {
                    escalate(&mut world, now, duty, "");
                    prop_assert_eq!(the(&world).state, State::Active);
                },
                Step::Pass(last) => {
                    now += last;
                    world.tick(now);
                }
            }
            now += 1;
            let known = world.twin.known();
            for alert in world.twin.alerts() {
                prop_assert!(is_kept(alert, known), "{alert:?} at {known:?}");
                // Whatever is said about who is on duty, no call is later than the ladder has it.
                let Some(since) = alert.calls.since else { continue };
                let rungs = rule::ladder(alert.priority).rungs;
                for (rung, call) in rungs.iter().zip(&alert.calls.made) {
                    prop_assert!(call.at <= since + rung.after && call.duty == rung.duty);
                }
            }
        }
        // The end of time: nothing climbs for ever.
        world.tick(now + 3600);
        for alert in world.twin.alerts().into_iter().filter(|alert| alert.priority == Priority::High) {
            prop_assert!(alert.state != State::Active || alert.calls.unanswered.is_some());
        }
    }
}

#[test]
fn a_fast_heart_and_the_score_that_counts_it_are_one_call_with_both_in_sight() {
    let mut world = World::new();
    for second in 1..240 {
        world.readings(second, vec![pulse(second, 135.0), oxygen(second, 93.0)]);
    }
    let fast = world.active(Condition::HeartRateHigh).expect("above 130");
    let score = world.active(Condition::EarlyWarningScore);
    let score = score.expect("3 and 2 points");
    assert_eq!(
        (fast.priority, score.priority),
        (Priority::Medium, Priority::Medium)
    );
    let of = |one: &twin::Alert| (one.part_of, one.calls.made.len());
    let (first, other) = if fast.id < score.id {
        (fast, score)
    } else {
        (score, fast)
    };
    assert_eq!((of(first), of(other)), ((None, 1), (Some(first.id), 0)));
}
