//! One problem, one call: alerts that are signs of the same thing in the body, or tell of sensors of one gateway that are gone, and began
//! within the same minutes, are listed under the most urgent of them, and people are called about that one.
//!
//! Promises: an alert of high priority is never listed under another; none is listed under a less urgent one; none loses its
//! priority, its place among the alerts or its own end. It is listed while the other one calls people, and no longer: where that
//! one is over, silenced, or its ladder ended unanswered, people are called about this one, at once. Who takes notice of the other
//! one takes notice of what was listed for [`rule::SEEN`] by then; what came later waits by itself. No call is made that would not
//! have been made without this, and none sooner.
//! Must not know: what a condition is measured by, who is called.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::cmp::Reverse;

use vitals::Time;

use super::{Key, Life, Subject, emit};
use crate::alert::{Acknowledgement, Alert, AlertId, Change, Condition, Priority, State};
use crate::care::{self, Snooze};
use crate::rule;
use crate::twin::Effect;

/// The words of whoever took notice of something that was listed.
const WITH: &str = "taken notice of with a more urgent alert of the same problem";

/// Pairs of conditions that are signs of one problem where they come together: the same measurements are in both, or one foretells the
/// other. A judgement of medicine by people who are no clinicians: it is to be reviewed by one.
const ONE_PROBLEM: [(Condition, Condition); 16] = {
    use Condition as C;
    [
        // The score counts what these measure.
        (C::EarlyWarningScore, C::HeartRateHigh),
        (C::EarlyWarningScore, C::HeartRateLow),
        (C::EarlyWarningScore, C::OxygenSaturationLow),
        (C::EarlyWarningScore, C::OxygenSaturationFalling),
        (C::EarlyWarningScore, C::BloodPressureLow),
        (C::EarlyWarningScore, C::ShockIndexHigh),
        (C::EarlyWarningScore, C::Fever),
        (C::EarlyWarningScore, C::BreathingDrift),
        // The index is the pulse by the pressure.
        (C::ShockIndexHigh, C::HeartRateHigh),
        (C::ShockIndexHigh, C::BloodPressureLow),
        // Fast because it fibrillates.
        (C::AtrialFibrillation, C::HeartRateHigh),
        // A pause of the heart is in the rate.
        (C::HeartPause, C::HeartRateLow),
        // Foreseen, and come true.
        (C::OxygenSaturationFalling, C::OxygenSaturationLow),
        (C::BreathingDrift, C::OxygenSaturationLow),
        (C::GlucoseFalling, C::GlucoseLow),
        (C::GlucoseRising, C::GlucoseHigh),
    ]
};

/// True for alerts that are of one problem where they come within the same minutes: of the body by [`ONE_PROBLEM`]; sensors of one
/// gateway that are gone or silent (somebody left the house, or its radio broke).
fn is_one_problem(a: Key, b: Key) -> bool {
    let gone = |of: Condition| matches!(of, Condition::DeviceLost | Condition::DeviceSilent);
    match (a.1, b.1) {
        (Subject::Patient, Subject::Patient) => {
            ONE_PROBLEM.contains(&(a.0, b.0)) || ONE_PROBLEM.contains(&(b.0, a.0))
        }
        (Subject::Source(here, one), Subject::Source(there, other)) => {
            here == there && one != other && gone(a.0) && gone(b.0)
        }
        (Subject::Patient | Subject::Stream(_) | Subject::Source(..), _) => false,
    }
}

/// People are being called about it, and no other alert stands before it.
fn calls(alert: &Alert) -> bool {
    alert.state == State::Active
        && alert.part_of.is_none()
        && alert.snoozed_until.is_none()
        && alert.calls.since.is_some()
        && alert.calls.unanswered.is_none()
}

/// An alert of that key and priority may stand under the other one.
fn may_stand_under((of, leader): (&Key, &Alert), key: Key, priority: Priority) -> bool {
    priority < Priority::High
        && leader.priority >= priority
        && calls(leader)
        && is_one_problem(*of, key)
}

/// The alert begins to wait for a person: by itself, or under another one of the same problem. A snooze silences it.
pub(super) fn begin(alert: &mut Alert, snooze: Option<&Snooze>, under: Option<AlertId>, now: Time) {
    match under.filter(|_| snooze.is_none()) {
        Some(leader) => care::list(alert, leader, now),
        None => care::wait(alert, snooze, now),
    }
}

impl Life {
    /// The alert under which one of `key` that begins to wait now is listed, if there is one: the most urgent, and the first of those.
    pub(super) fn leader(&self, key: Key, priority: Priority, now: Time) -> Option<AlertId> {
        if priority >= Priority::High {
            return None;
        }
        let began = |alert: &Alert| {
            let since = alert.calls.since;
            since.is_some_and(|since| now.since(since) <= rule::SAME_MINUTES)
        };
        let all = self.active.iter();
        let leaders = all.filter(|of| may_stand_under(*of, key, priority) && began(of.1));
        let leaders = leaders.map(|(_, alert)| (alert.priority, Reverse(alert.id)));
        leaders.max().map(|(_, Reverse(id))| id)
    }

    /// After what happened: what began before a more urgent one of its problem goes under that, what is listed under one that no
    /// longer calls people waits by itself, and what a person took notice of with the other one is noticed.
    pub(crate) fn group(&mut self, now: Time, out: &mut Vec<Effect>) {
        let all = self.active.iter();
        let keys: Vec<Key> = all
            .filter(|(_, alert)| {
                alert.state == State::Active
                    && alert.priority < Priority::High
                    && alert.calls.since.is_some()
                    && !care::is_escalated(alert)
            })
            .map(|(key, _)| *key)
            .collect();
        // Takeovers first, so that what was listed under the one taken over finds its new place at once.
        for key in &keys {
            self.go_under(*key, now, out);
        }
        for key in &keys {
            self.settle_listed(*key, now, out);
        }
    }

    /// A more urgent one of the same problem began within minutes after this one.
    fn go_under(&mut self, key: Key, now: Time, out: &mut Vec<Effect>) {
        let Some(alert) = self.active.get(&key).filter(|alert| calls(alert)) else {
            return;
        };
        let Some(since) = alert.calls.since else {
            return;
        };
        let all = self.active.iter();
        let more = all.filter(|(of, leader)| {
            let began = leader.calls.since;
            leader.priority > alert.priority
                && may_stand_under((of, leader), key, alert.priority)
                && began.is_some_and(|at| at >= since && at.since(since) <= rule::SAME_MINUTES)
        });
        let more = more.map(|(_, of)| (of.priority, Reverse(of.id)));
        let Some((_, Reverse(leader))) = more.max() else {
            return;
        };
        if let Some(alert) = self.active.get_mut(&key) {
            alert.part_of = Some(leader);
            emit(Change::Noted, now, alert, out);
        }
    }

    /// What is listed stays so, is noticed with the other one, or waits by itself.
    fn settle_listed(&mut self, key: Key, now: Time, out: &mut Vec<Effect>) {
        let Some(alert) = self.active.get(&key) else {
            return;
        };
        let Some(leader) = alert.part_of else { return };
        let listed = alert.calls.since;
        let of = self.active.iter().find(|(_, of)| of.id == leader);
        if of.is_some_and(|of| may_stand_under(of, key, alert.priority)) {
            return;
        }
        let seen = listed.is_some_and(|since| now.since(since) >= rule::SEEN);
        let noticed = of.filter(|(_, of)| of.state == State::Acknowledged && seen);
        let noticed = noticed.and_then(|(_, of)| Some(of.acknowledged.as_ref()?.by.clone()));
        let next = self.leader(key, alert.priority, now);
        let Some(alert) = self.active.get_mut(&key) else {
            return;
        };
        let change = if let Some(by) = noticed {
            // Not with which one: not every reader of this one may know of that.
            let note = WITH.to_owned();
            alert.state = State::Acknowledged;
            alert.acknowledged = Some(Acknowledgement { at: now, by, note });
            care::rest(alert);
            Change::Acknowledged
        } else if next.is_some() {
            alert.part_of = next;
            Change::Noted
        } else {
            care::unlist(alert, now)
        };
        emit(change, now, alert, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::Act;
    use crate::life::Draft;
    use alloc::collections::BTreeMap;
    use alloc::string::String;

    use proptest::prelude::*;
    use vitals::Span;

    const CONDITIONS: [Condition; 8] = [
        Condition::HeartRateHigh,
        Condition::EarlyWarningScore,
        Condition::OxygenSaturationLow,
        Condition::OxygenSaturationFalling,
        Condition::ShockIndexHigh,
        Condition::BloodPressureLow,
        Condition::Fever,
        Condition::AtrialFibrillation,
    ];

    fn at(seconds: i64) -> Time {
        Time::from_micros(1_795_219_200_000_000) + Span::from_secs(seconds)
    }

    fn draft(condition: Condition, priority: Priority, now: Time) -> Draft {
        Draft {
            condition,
            priority,
            onset: now,
            summary: String::new(),
            plain_summary: String::new(),
            evidence: Vec::new(),
            model: crate::news2::MODEL,
            model_hash: [0; 16],
            expected: None,
            probability: None,
            subject: String::new(),
            told_locally: None,
        }
    }

    /// A life that is told what to do, second by second.
    #[derive(Default)]
    struct Course {
        life: Life,
        out: Vec<Effect>,
    }

    impl Course {
        /// All that is due until then, as the twin does it.
        fn until(&mut self, second: i64) {
            while let Some(due) = self.life.deadline().filter(|due| *due <= at(second)) {
                self.life.care_due(due, &mut self.out);
                self.life.group(due, &mut self.out);
            }
        }

        fn raise(&mut self, second: i64, condition: Condition, priority: Priority) {
            self.until(second);
            let draft = draft(condition, priority, at(second));
            self.life
                .raise(Subject::Patient, draft, at(second), &mut self.out);
            self.life.group(at(second), &mut self.out);
        }

        fn over(&mut self, second: i64, condition: Condition) {
            self.until(second);
            self.life
                .resolve(condition, Subject::Patient, at(second), &mut self.out);
            self.life.group(at(second), &mut self.out);
        }

        fn notice(&mut self, second: i64, condition: Condition) {
            self.until(second);
            if let Some(id) = self.get(condition).map(|alert| alert.id) {
                self.life
                    .acknowledge(id, "anna", "", at(second), &mut self.out);
            }
            self.life.group(at(second), &mut self.out);
        }

        fn snooze(&mut self, second: i64, condition: Condition) {
            self.until(second);
            let act = Act::Snooze {
                condition,
                until: at(second + 600),
                reason: "seen".into(),
            };
            self.life.care("anna", &act, at(second), &mut self.out);
            self.life.group(at(second), &mut self.out);
        }

        fn get(&self, condition: Condition) -> Option<&Alert> {
            self.life.active(condition, Subject::Patient)
        }

        fn of(&self, condition: Condition) -> &Alert {
            self.get(condition).expect("it holds")
        }

        /// Calls of people so far, of all alerts: one for each rung that a change was told with.
        fn calls(&self) -> usize {
            let mut made = BTreeMap::new();
            for effect in &self.out {
                if let Effect::Alert(change) = effect {
                    for call in &change.alert.calls.made {
                        made.insert((change.alert.id, call.at, call.duty), ());
                    }
                }
            }
            made.len()
        }
    }

    const RATE: Condition = Condition::HeartRateHigh;
    const SCORE: Condition = Condition::EarlyWarningScore;
    const INDEX: Condition = Condition::ShockIndexHigh;
    const OXYGEN: Condition = Condition::OxygenSaturationLow;
    use Priority::{High, Medium};

    #[test]
    fn signs_of_one_problem_within_minutes_are_one_call_under_the_first_as_urgent() {
        let mut course = Course::default();
        course.raise(0, RATE, Medium);
        course.raise(60, SCORE, Medium);
        course.raise(90, INDEX, Medium);
        let first = course.of(RATE).id;
        assert_eq!(course.of(SCORE).part_of, Some(first));
        assert_eq!(course.of(INDEX).part_of, Some(first));
        assert_eq!(course.calls(), 1);
        assert_eq!(course.of(SCORE).priority, Medium, "as urgent as before");
        course.raise(100, OXYGEN, Medium);
        assert_eq!(course.of(OXYGEN).part_of, None, "no sign of a fast heart");
        let mut late = Course::default();
        late.raise(0, RATE, Medium);
        late.raise(301, SCORE, Medium);
        assert_eq!((late.of(SCORE).part_of, late.calls()), (None, 2));
    }

    #[test]
    fn one_that_a_person_had_somebody_called_about_is_listed_no_longer() {
        let mut course = Course::default();
        course.raise(0, RATE, High);
        course.raise(60, SCORE, Medium);
        let score = course.of(SCORE);
        assert_eq!(score.part_of, Some(course.of(RATE).id));
        let duty = care::next_duty(score).expect("nobody was called yet");
        let alert = score.id;
        let text = "look at this one".into();
        let act = Act::Escalate { alert, duty, text };
        course.life.care("anna", &act, at(61), &mut course.out);
        course.life.group(at(61), &mut course.out);
        course.until(90);
        let score = course.of(SCORE);
        assert_eq!((score.part_of, score.calls.made.len()), (None, 1));
    }

    #[test]
    fn the_most_urgent_takes_what_began_before_and_one_of_high_priority_is_never_listed() {
        let mut course = Course::default();
        course.raise(0, RATE, Medium);
        course.raise(60, SCORE, High);
        assert_eq!(course.of(RATE).part_of, Some(course.of(SCORE).id));
        assert_eq!(course.of(SCORE).part_of, None);
        course.raise(70, OXYGEN, High);
        assert_eq!(course.of(OXYGEN).part_of, None, "high beside high");
        // It gets as urgent itself.
        course.raise(80, RATE, High);
        let rate = course.of(RATE);
        assert_eq!((rate.part_of, rate.calls.made.len()), (None, 1));
    }

    #[test]
    fn what_is_listed_calls_people_once_the_other_one_does_not() {
        for end in [Course::over, Course::snooze] {
            let mut course = Course::default();
            course.raise(0, RATE, Medium);
            course.raise(60, SCORE, Medium);
            end(&mut course, 120, RATE);
            let score = course.of(SCORE);
            assert_eq!((score.part_of, score.calls.since), (None, Some(at(120))));
            assert_eq!(score.calls.made.len(), 1);
        }
        // Nobody answered.
        let mut course = Course::default();
        course.raise(0, RATE, Medium);
        course.raise(60, SCORE, Medium);
        course.until(3600);
        assert!(course.of(RATE).calls.unanswered.is_some());
        assert_eq!(course.of(SCORE).part_of, None);
        assert_eq!(course.of(SCORE).calls.made.len(), 1);
        // Who was called before it was listed is not called again.
        let mut course = Course::default();
        course.raise(0, RATE, Medium);
        course.raise(60, SCORE, High);
        course.over(120, SCORE);
        assert_eq!(course.of(RATE).part_of, None);
        assert_eq!(course.of(RATE).calls.made.len(), 1);
        course.until(1800);
        assert_eq!(course.of(RATE).calls.made.len(), 2, "the doctor, in time");
    }

    #[test]
    fn who_takes_notice_of_the_other_one_takes_notice_of_what_they_saw() {
        let mut course = Course::default();
        course.raise(0, RATE, Medium);
        course.raise(60, SCORE, Medium);
        course.raise(95, INDEX, Medium);
        course.notice(100, RATE);
        let score = course.of(SCORE);
        let noticed = score.acknowledged.as_ref().expect("seen for 40 s");
        assert_eq!(noticed.by, "anna");
        assert_eq!(noticed.note, WITH);
        assert_eq!(score.state, State::Acknowledged);
        let index = course.of(INDEX);
        assert_eq!(index.state, State::Active, "it came five seconds before");
        assert_eq!((index.part_of, index.calls.made.len()), (None, 1));
        // What comes after that is for somebody again.
        course.raise(110, Condition::AtrialFibrillation, Medium);
        assert_eq!(course.of(Condition::AtrialFibrillation).part_of, None);
    }

    #[derive(Clone, Copy, Debug)]
    enum Did {
        Raise(usize, bool),
        Over(usize),
        Notice(usize),
        Snooze(usize),
        Nothing,
    }

    fn did() -> impl Strategy<Value = (i64, Did)> {
        let one = 0usize..CONDITIONS.len();
        let did = prop_oneof![
            5 => (one.clone(), prop::bool::weighted(0.3)).prop_map(|(of, high)| Did::Raise(of, high)),
            2 => one.clone().prop_map(Did::Over),
            1 => one.clone().prop_map(Did::Notice),
            1 => one.prop_map(Did::Snooze),
            1 => Just(Did::Nothing),
        ];
        let pause = prop_oneof![4 => 0i64..120, 2 => 120i64..900, 1 => 900i64..4000];
        (pause, did)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Each condition alone in a life of its own is how it would be without this: nothing is listed there.
        #[test]
        fn nothing_urgent_is_hidden_and_nobody_is_called_more_often(
            course in prop::collection::vec(did(), 1..60),
        ) {
            let mut together = Course::default();
            let mut alone: Vec<Course> = CONDITIONS.iter().map(|_| Course::default()).collect();
            let mut second = 0;
            for (pause, did) in course {
                second += pause;
                let mut both = |of: usize, act: &dyn Fn(&mut Course, Condition)| {
                    act(&mut together, CONDITIONS[of]);
                    act(&mut alone[of], CONDITIONS[of]);
                };
                match did {
                    Did::Raise(of, high) => {
                        let worst = CONDITIONS[of].worst();
                        let priority = if high { worst } else { CONDITIONS[of].base() };
                        both(of, &|course, condition| course.raise(second, condition, priority));
                    }
                    Did::Over(of) => both(of, &|course, condition| course.over(second, condition)),
                    Did::Notice(of) => both(of, &|course, condition| course.notice(second, condition)),
                    Did::Snooze(of) => both(of, &|course, condition| course.snooze(second, condition)),
                    Did::Nothing => {}
                }
                together.until(second);
                for (condition, alone) in CONDITIONS.iter().zip(&mut alone) {
                    alone.until(second);
                    let (here, there) = (together.get(*condition), alone.get(*condition));
                    prop_assert_eq!(here.map(|of| of.priority), there.map(|of| of.priority));
                    let Some(here) = here else { continue };
                    prop_assert!(care::is_kept(here, at(second)), "{:?}", here);
                    if here.state == State::Active && here.snoozed_until.is_none() {
                        // It calls people by itself, or something as urgent does.
                        let stands = match here.part_of {
                            None => !here.calls.made.is_empty(),
                            Some(id) => {
                                let mut all = together.life.active.iter();
                                let leader = all.find(|(_, of)| of.id == id).expect("it holds");
                                let key = (*condition, Subject::Patient);
                                may_stand_under(leader, key, here.priority)
                            }
                        };
                        prop_assert!(stands, "{:?}", here);
                    }
                }
                let before: usize = alone.iter().map(Course::calls).sum();
                prop_assert!(together.calls() <= before, "{} and {before}", together.calls());
            }
        }
    }

    #[test]
    fn every_pair_is_of_the_body_and_named_once() {
        for (place, (a, b)) in ONE_PROBLEM.iter().enumerate() {
            assert_ne!(a, b);
            let key = |of: &Condition| (*of, Subject::Patient);
            assert!(is_one_problem(key(a), key(b)) && is_one_problem(key(b), key(a)));
            for of in [a, b] {
                assert_eq!(of.category(), crate::alert::Category::Physiological);
            }
            let others = [(*a, *b), (*b, *a)];
            let twice = ONE_PROBLEM[place + 1..]
                .iter()
                .any(|of| others.contains(of));
            assert!(!twice, "{a:?} {b:?}");
        }
    }
}
