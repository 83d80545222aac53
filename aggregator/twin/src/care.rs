//! What people do about alerts, and who is called while nobody does.
//!
//! An alert that holds waits for a person until one takes notice of it. While it waits, people are called by their
//! duty, one rung of a ladder after the other ([`rule::ladder`]); at the ladder's end it is recorded that nobody
//! answered, and it goes on waiting in everybody's sight. Taking notice, recovery and a snooze end the calls; an alert
//! that becomes more urgent, or whose snooze is over, begins its ladder anew. Where nobody is on duty at a rung, it is passed
//! over: the next one is called at once, and each further one when the ladder says, or sooner. No word about who is on duty can
//! make a call later, or undo one. An alert that is listed under another one of the same problem (`life::group`) makes no call of its
//! own meanwhile; none of high priority ever is.
//!
//! A person who looks at an open alert can have the next one called at once. The rest of the ladder then follows as it would have,
//! had it come to that rung by itself: sooner, never later. Of an alert that somebody took notice of, it waits for a person again.
//!
//! Promises: every alert of high priority is acknowledged by a named person, or over, or was called to the end of
//! its ladder and says so, at most [`rule::ladder`]'s end after it began to wait ([`is_kept`] is that sentence). A
//! snooze silences one condition (which has a direction: too high and too low are two), until a stated end at most
//! [`rule::SNOOZE_AT_MOST`] away; it never silences high priority, and ends when the condition gets there.
//!
//! Must not know: who is on duty, how people are reached.

use alloc::string::String;
use alloc::vec::Vec;

use vitals::Time;

use crate::alert::{Alert, AlertId, Change, Condition, Priority, State};
use crate::rule;

/// Newest comments that an alert keeps; the log keeps all.
pub const COMMENTS: usize = 16;

/// Who is called. The numbers are those of `proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Duty {
    /// Watches the patients.
    Nurse = 1,
    /// Decides on treatment.
    Doctor = 2,
    /// Answers for the team.
    Supervisor = 3,
}

impl Duty {
    /// All, in the order in which they are called.
    pub const ALL: [Self; 3] = [Self::Nurse, Self::Doctor, Self::Supervisor];

    /// The one of that number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|duty| *duty as u8 == number)
    }

    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nurse => "nurse",
            Self::Doctor => "doctor",
            Self::Supervisor => "supervisor",
        }
    }
}

/// A call of whoever has a duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Known time.
    pub at: Time,
    /// Who.
    pub duty: Duty,
    /// Who had them called before their time; empty: the ladder did.
    pub by: String,
}

/// The calls about an alert while nobody takes notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Known time since when it waits for a person; `None`: it does not.
    pub since: Option<Time>,
    /// Those of this wait, or of the last one.
    pub made: Vec<Call>,
    /// Known time at which the ladder ended unanswered.
    pub unanswered: Option<Time>,
}

impl Calls {
    /// The next call or the end of the ladder.
    #[must_use]
    pub fn due(&self, priority: Priority) -> Option<Time> {
        let since = self.since.filter(|_| self.unanswered.is_none())?;
        let ladder = rule::ladder(priority);
        // Who was called by a person has as long as if the ladder had come to them by itself.
        let calls = self.made.iter().zip(ladder.rungs);
        let early = calls.filter(|(call, _)| !call.by.is_empty() && call.at >= since);
        let since = early.fold(since, |since, (call, rung)| since.min(call.at - rung.after));
        match ladder.rungs.get(self.made.len()) {
            Some(rung) => Some(since + rung.after),
            None => Some(since + ladder.end?),
        }
    }

    /// Who would be called next; `None`: nobody is left.
    #[must_use]
    pub fn next(&self, priority: Priority) -> Option<Duty> {
        let rungs = rule::ladder(priority).rungs;
        rungs.get(self.made.len()).map(|rung| rung.duty)
    }

    /// Climbs one rung, or notes the end. `now` is what [`Calls::due`] said, or `by` says that it is to be now.
    fn climb(&mut self, priority: Priority, now: Time, by: &str) -> Change {
        match self.next(priority) {
            Some(duty) => {
                self.made.push(Call {
                    at: now,
                    duty,
                    by: by.into(),
                });
                Change::Called
            }
            None => {
                self.unanswered = Some(now);
                Change::Unanswered
            }
        }
    }
}

/// A person's words about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Known time.
    pub at: Time,
    /// Who.
    pub by: String,
    /// What.
    pub text: String,
}

/// A condition that a person silenced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snooze {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Known time.
    pub since: Time,
    /// Known time at which it ends by itself.
    pub until: Time,
}

/// What a person does, other than taking notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Says something about an alert.
    Comment {
        /// Which.
        alert: crate::alert::AlertId,
        /// Their words.
        text: String,
    },
    /// Says whose affair an alert is.
    Own {
        /// Which.
        alert: crate::alert::AlertId,
        /// Whose; empty: nobody's in particular.
        owner: String,
    },
    /// Silences a condition of this patient.
    Snooze {
        /// Which.
        condition: Condition,
        /// Until when, known time; cut to [`rule::SNOOZE_AT_MOST`] from now.
        until: Time,
        /// Why.
        reason: String,
    },
    /// Ends a snooze before its time.
    Wake {
        /// Which condition.
        condition: Condition,
    },
    /// Nobody is on duty whom the last call is for: the next one is called at once, if the ladder has one.
    Pass {
        /// Which alert.
        alert: crate::alert::AlertId,
        /// How many calls were made when that was found; after another one it says nothing any more.
        calls: u32,
        /// Who says so, in words.
        text: String,
    },
    /// Has the next one of the ladder called now. Where that is somebody else by now, nothing happens.
    Escalate {
        /// Which alert.
        alert: crate::alert::AlertId,
        /// Who is to be called.
        duty: Duty,
        /// What they are to know; may be empty.
        text: String,
    },
}

/// Who can be called about `alert` now, by a person or by the ladder; `None`: nobody is left, or it is over or silenced.
#[must_use]
pub fn next_duty(alert: &Alert) -> Option<Duty> {
    let open = alert.state != State::Resolved && alert.snoozed_until.is_none();
    alert.calls.next(alert.priority).filter(|_| open)
}

/// A person had somebody called about this very alert, in this wait.
#[must_use]
pub(crate) fn is_escalated(alert: &Alert) -> bool {
    alert.calls.made.iter().any(|call| !call.by.is_empty())
}

/// A condition of that priority can be silenced: the floor below which no snooze reaches.
#[must_use]
pub fn can_be_snoozed(priority: Priority) -> bool {
    priority < Priority::High
}

/// The promise about `alert` as of `now`: of high priority, it is acknowledged, over, or still climbing its ladder, or
/// it was called to the end. For tests: the promise, said once.
#[must_use]
pub fn is_kept(alert: &Alert, now: Time) -> bool {
    let answered = alert.state != State::Active || alert.calls.unanswered.is_some();
    let climbing = alert.calls.due(alert.priority).is_some_and(|due| due > now);
    let called =
        !alert.calls.made.is_empty() && alert.snoozed_until.is_none() && alert.part_of.is_none();
    alert.priority < Priority::High || answered || (climbing && called)
}

/// Nobody is on duty whom the last of `calls` calls is for. `None`: it does not wait for that any more, or nobody is left to be
/// called, and the end of the ladder comes in its own time.
pub(crate) fn pass(alert: &mut Alert, calls: u32, now: Time) -> Option<Change> {
    let waits =
        alert.state == State::Active && alert.snoozed_until.is_none() && alert.part_of.is_none();
    let of = &alert.calls;
    let last = u32::try_from(of.made.len()) == Ok(calls);
    let left = of.made.len() < rule::ladder(alert.priority).rungs.len();
    let climbs = waits && last && left && of.since.is_some();
    climbs.then(|| alert.calls.climb(alert.priority, now, ""))
}

/// `by` has `duty` called now. `None`: that is not the next one, or nobody is called about it.
pub(crate) fn escalate(
    alert: &mut Alert,
    duty: Duty,
    (by, text): (&str, &str),
    now: Time,
) -> Option<Change> {
    if next_duty(alert) != Some(duty) {
        return None;
    }
    if alert.state == State::Acknowledged {
        // Whoever took notice asks for another one: it waits for them. The log keeps the former act.
        (alert.state, alert.acknowledged, alert.quiet) = (State::Active, None, false);
        alert.calls.since = Some(now);
    }
    // Whoever is called about another one does not hear that somebody wants them for this one.
    alert.part_of = None;
    if !text.is_empty() {
        note(alert, by, text, now);
    }
    Some(alert.calls.climb(alert.priority, now, by))
}

/// A person's words; the oldest of many make room.
pub(crate) fn note(alert: &mut Alert, by: &str, text: &str, now: Time) {
    if alert.comments.len() >= COMMENTS {
        alert.comments.remove(0);
    }
    alert.comments.push(Comment {
        at: now,
        by: by.into(),
        text: text.into(),
    });
}

/// The alert begins to wait for a person, or waits anew: the first call is made at once, unless `snooze` silences it.
pub(crate) fn wait(alert: &mut Alert, snooze: Option<&Snooze>, now: Time) {
    let silent = snooze.filter(|_| can_be_snoozed(alert.priority));
    alert.snoozed_until = silent.map(|snooze| snooze.until);
    alert.calls = Calls::default();
    alert.part_of = None;
    if silent.is_none() {
        alert.calls.since = Some(now);
        alert.calls.climb(alert.priority, now, "");
    }
}

/// The alert begins to wait under another one of the same problem: whoever is called about that one hears of both.
pub(crate) fn list(alert: &mut Alert, under: AlertId, now: Time) {
    alert.snoozed_until = None;
    alert.calls = Calls {
        since: Some(now),
        ..Calls::default()
    };
    alert.part_of = Some(under);
}

/// It is listed no longer, and holds: people are called about it by itself. Who was called already is not called again.
pub(crate) fn unlist(alert: &mut Alert, now: Time) -> Change {
    alert.part_of = None;
    if alert.calls.made.is_empty() {
        alert.calls.since = Some(now);
        return alert.calls.climb(alert.priority, now, "");
    }
    Change::Noted
}

/// It waits no longer; what was called stays to be read.
pub(crate) fn rest(alert: &mut Alert) {
    alert.calls.since = None;
    alert.part_of = None;
}

/// The alert's next deadline.
pub(crate) fn deadline(alert: &Alert) -> Option<Time> {
    let due = alert.calls.due(alert.priority);
    alert
        .snoozed_until
        .or(due.filter(|_| alert.part_of.is_none()))
}

/// Its deadline came.
pub(crate) fn fire(alert: &mut Alert, now: Time) -> Change {
    if alert.snoozed_until.is_some() {
        return wake(alert, now);
    }
    alert.calls.climb(alert.priority, now, "")
}

/// A snooze reaches the alert.
pub(crate) fn snooze(alert: &mut Alert, until: Time) -> Change {
    alert.snoozed_until = Some(until);
    alert.calls = Calls::default();
    alert.part_of = None;
    Change::Snoozed
}

/// A snooze ends.
pub(crate) fn wake(alert: &mut Alert, now: Time) -> Change {
    alert.snoozed_until = None;
    if alert.state == State::Active {
        wait(alert, None, now);
    }
    Change::Woken
}

crate::canonical_fields! {
    Call { at, duty, by }
    Calls { since, made, unanswered }
    Comment { at, by, text }
    Snooze { by, reason, since, until }
}

crate::canonical_numbers! {
    Duty { Nurse, Doctor, Supervisor }
}
