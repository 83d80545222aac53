//! PURE. Which calls are to be told on which channel now, what came of it, and which channels are silent.
//!
//! The fold decides who is called and when (`twin::care`), whatever becomes of a message; here it is only seen to that each call
//! is told on each channel that reaches its duty, again and again while the alert waits for a person. What came of it is a comment
//! on the alert, in the log: the proof that somebody was reached, or that nobody was. After a restart those comments say what is done.
//!
//! Promises: a call that was told is not told again, but where the centre died between the telling and its proof; a call that is
//! no longer needed (answered, over, silenced) is not told any more; a failure is said once a call, after [`BOUND`]; each channel has
//! at most [`AT_ONCE`] messages on the way, and none waits for another channel.
//!
//! Must not know: networks, what messages say.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use proto::v1::{Alert, AlertState, Duty};
use vitals::{Span, Time};

use super::settings::name_of;

/// A call that could not be told for so long is told as such, and its channel is called silent.
pub const BOUND: Span = Span::from_secs(120);
/// Messages of a channel on the way at once.
pub const AT_ONCE: usize = 8;
/// Seconds until the next try; the last one over and over.
const PAUSES_S: [i64; 4] = [2, 5, 15, 60];
/// Longest proof or reason that is kept, characters.
const LONGEST: usize = 160;

/// A call of an alert: told apart from those of a later wait by its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The alert's public id.
    pub alert: String,
    /// From 1, the rung of its ladder.
    pub number: usize,
    /// Known time, microseconds.
    pub at_us: i64,
}

/// One message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Place of the channel among the plan's.
    pub channel: usize,
    /// What about.
    pub call: Call,
    /// Who is called.
    pub duty: Duty,
    /// The alert's priority.
    pub priority: proto::v1::Priority,
    /// Simulated or demonstration data.
    pub test_data: bool,
}

/// What came of a message: the server's words that it took it, or why it was not taken.
pub type Outcome = Result<String, String>;

/// A call of an alert that waits.
struct Wanted {
    job: Job,
    /// The alert says already that it was told.
    told: bool,
    /// The alert says already that it could not be told.
    failure_told: bool,
}

#[derive(Debug)]
struct Try {
    since: Time,
    tries: usize,
    next: Time,
    on_the_way: bool,
    failure_told: bool,
}

#[derive(Debug)]
struct Of {
    name: String,
    duties: Vec<Duty>,
    open: BTreeMap<Call, Try>,
    done: BTreeSet<Call>,
    /// Since when nothing was taken, and why.
    failing: Option<(Time, String)>,
}

/// A channel that takes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Its name.
    pub name: String,
    /// Since when.
    pub since: Time,
    /// Why, in its server's words.
    pub why: String,
}

/// All channels and what is open on each.
#[derive(Debug, Default)]
pub struct Plan {
    channels: Vec<Of>,
}

impl Plan {
    /// Channels by name and whom they reach.
    #[must_use]
    pub fn new(channels: impl IntoIterator<Item = (String, Vec<Duty>)>) -> Self {
        let of = |(name, duties)| Of {
            name,
            duties,
            open: BTreeMap::new(),
            done: BTreeSet::new(),
            failing: None,
        };
        Self {
            channels: channels.into_iter().map(of).collect(),
        }
    }

    /// What is to be sent now, most urgent first. `alerts`: all that are kept.
    pub fn look<'a>(
        &mut self,
        alerts: impl Iterator<Item = &'a Alert> + Clone,
        now: Time,
    ) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (place, of) in self.channels.iter_mut().enumerate() {
            let waiting = alerts.clone().filter(|alert| waits(alert));
            let wanted: Vec<Wanted> = waiting.flat_map(|alert| of.wanted(place, alert)).collect();
            let calls: BTreeSet<&Call> = wanted.iter().map(|of| &of.job.call).collect();
            of.open
                .retain(|call, of| of.on_the_way || calls.contains(call));
            of.done.retain(|call| calls.contains(call));
            // An alert keeps its newest comments only: what they said once is remembered.
            let told = wanted.iter().filter(|of| of.told);
            of.done.extend(told.map(|of| of.job.call.clone()));
            let mut due = wanted;
            due.retain(|one| of.is_due(&one.job, now));
            due.sort_by_key(|of| (Reverse(of.job.priority), of.job.call.at_us));
            let on_the_way = of.open.values().filter(|of| of.on_the_way).count();
            due.truncate(AT_ONCE.saturating_sub(on_the_way));
            for Wanted {
                job, failure_told, ..
            } in due
            {
                let first = Try {
                    since: now,
                    tries: 0,
                    next: now,
                    on_the_way: false,
                    failure_told,
                };
                of.open.entry(job.call.clone()).or_insert(first).on_the_way = true;
                jobs.push(job);
            }
        }
        jobs
    }

    /// What came of a message. Returns what the alert is to say of it, if anything.
    pub fn ended(&mut self, job: &Job, outcome: &Outcome, now: Time) -> Option<String> {
        let of = self.channels.get_mut(job.channel)?;
        let (number, duty) = (job.call.number, name_of(job.duty));
        match outcome {
            Ok(proof) => {
                of.failing = None;
                of.open.remove(&job.call);
                of.done.insert(job.call.clone());
                Some(format!("{} {}", told(number, duty), short(proof)))
            }
            Err(why) => {
                of.failing.get_or_insert_with(|| (now, short(why))).1 = short(why);
                let open = of.open.get_mut(&job.call)?;
                open.on_the_way = false;
                let pause = PAUSES_S.get(open.tries).or(PAUSES_S.last());
                open.next = now + Span::from_secs(pause.copied().unwrap_or(60));
                open.tries += 1;
                let is_late = now.since(open.since) >= BOUND && !open.failure_told;
                is_late.then(|| {
                    open.failure_told = true;
                    format!("{} {}; it is tried on", not_told(number, duty), short(why))
                })
            }
        }
    }

    /// Channels on which nothing was taken for [`BOUND`], though something was to be told.
    #[must_use]
    pub fn silent(&self, now: Time) -> Vec<Silent> {
        let silent = self.channels.iter().filter_map(|of| {
            let (since, why) = of.failing.as_ref()?;
            (now.since(*since) >= BOUND).then(|| Silent {
                name: of.name.clone(),
                since: *since,
                why: why.clone(),
            })
        });
        silent.collect()
    }

    /// Under which name a channel writes into the log; no person has a name with a space and this word before it.
    #[must_use]
    pub fn writer(&self, channel: usize) -> String {
        let of = self.channels.get(channel);
        writer(of.map_or("", |of| &of.name))
    }
}

impl Of {
    fn wanted(&self, channel: usize, alert: &Alert) -> Vec<Wanted> {
        let by = writer(&self.name);
        let calls = alert.calls.iter().enumerate();
        let ours = calls.filter(|(_, call)| self.duties.contains(&call.duty()));
        let said = |text: &str, since: i64| {
            let mut comments = alert.comments.iter();
            comments.any(|of| of.by == by && of.at_us >= since && of.text.starts_with(text))
        };
        let wanted = ours.map(|(place, call)| {
            let (number, duty) = (place + 1, name_of(call.duty()));
            Wanted {
                told: said(&told(number, duty), call.at_us),
                failure_told: said(&not_told(number, duty), call.at_us),
                job: Job {
                    channel,
                    call: Call {
                        alert: alert.id.clone(),
                        number,
                        at_us: call.at_us,
                    },
                    duty: call.duty(),
                    priority: alert.priority(),
                    test_data: alert.test_data,
                },
            }
        });
        wanted.collect()
    }

    fn is_due(&self, job: &Job, now: Time) -> bool {
        let open = self.open.get(&job.call);
        !self.done.contains(&job.call) && open.is_none_or(|of| !of.on_the_way && of.next <= now)
    }
}

/// An alert that somebody is called about by itself; one that is listed under another is told with that.
fn waits(alert: &Alert) -> bool {
    alert.state() == AlertState::Active && alert.snoozed_until_us == 0 && alert.part_of.is_empty()
}

fn writer(name: &str) -> String {
    format!("channel {name}")
}

fn told(number: usize, duty: &str) -> String {
    format!("call {number} ({duty}) was told:")
}

fn not_told(number: usize, duty: &str) -> String {
    format!("call {number} ({duty}) could not be told:")
}

/// A server's words, so that they harm nobody who reads them.
fn short(words: &str) -> String {
    let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn after(seconds: i64) -> Time {
        NOW + Span::from_secs(seconds)
    }

    fn alert(duties: &[Duty]) -> Alert {
        let call = |(place, duty): (usize, &Duty)| v1::Call {
            at_us: after(i64::try_from(place).expect("few") * 180).as_micros(),
            duty: *duty as i32,
            by: String::new(),
        };
        Alert {
            id: "7.1".into(),
            state: AlertState::Active as i32,
            priority: v1::Priority::High as i32,
            calls: duties.iter().enumerate().map(call).collect(),
            ..Alert::default()
        }
    }

    fn plan() -> Plan {
        Plan::new([
            ("ward".into(), vec![Duty::Nurse]),
            ("house".into(), vec![Duty::Nurse, Duty::Doctor]),
        ])
    }

    fn comment(alert: &mut Alert, by: String, at: Time, text: String) {
        let at_us = at.as_micros();
        alert.comments.push(v1::Comment { at_us, by, text });
    }

    #[test]
    fn a_call_is_told_once_on_each_channel_that_reaches_its_duty() {
        let (mut plan, mut alert) = (plan(), alert(&[Duty::Nurse]));
        let jobs = plan.look([&alert].into_iter(), NOW);
        assert_eq!(jobs.iter().map(|of| of.channel).collect::<Vec<_>>(), [0, 1]);
        assert!(
            plan.look([&alert].into_iter(), NOW).is_empty(),
            "on the way"
        );
        let words = plan.ended(&jobs[0], &Ok("250 2.0.0 Ok\r\n".into()), after(1));
        let words = words.expect("proof");
        assert_eq!(words, "call 1 (nurse) was told: 250 2.0.0 Ok  ");
        assert!(
            plan.look([&alert].into_iter(), after(2)).is_empty(),
            "not folded yet"
        );
        comment(&mut alert, plan.writer(0), after(2), words);
        assert!(plan.look([&alert].into_iter(), after(3)).is_empty());
        // Sixteen people say something, and the proof is pushed out.
        alert.comments.clear();
        assert!(plan.look([&alert].into_iter(), after(4)).is_empty());
    }

    #[test]
    fn after_a_restart_the_log_says_what_was_told() {
        let mut alert = alert(&[Duty::Nurse, Duty::Doctor]);
        let words = told(1, "nurse") + " 204";
        comment(&mut alert, writer("house"), after(1), words.clone());
        let jobs = plan().look([&alert].into_iter(), after(200));
        let left: Vec<_> = jobs.iter().map(|of| (of.channel, of.call.number)).collect();
        assert_eq!(left, [(0, 1), (1, 2)]);
        // The control: somebody else's words, and those of a former wait, prove nothing.
        for (by, at) in [("house", after(1)), ("channel house", after(-1))] {
            alert.comments.clear();
            comment(&mut alert, by.into(), at, words.clone());
            let jobs = plan().look([&alert].into_iter(), after(200));
            assert_eq!(jobs.len(), 3, "{by}");
        }
    }

    #[test]
    fn a_failure_is_tried_on_told_once_and_ends_with_the_need() {
        let (mut plan, mut alert) = (plan(), alert(&[Duty::Doctor]));
        let (mut tries, mut said) = (Vec::new(), Vec::new());
        for second in 0..600 {
            for job in plan.look([&alert].into_iter(), after(second)) {
                tries.push(second);
                let refused = Err("550 no such user\u{1b}[2J".into());
                said.extend(plan.ended(&job, &refused, after(second)));
            }
        }
        assert_eq!(tries[..6], [0, 2, 7, 22, 82, 142]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("call 1 (doctor) could not be told: 550")
                && !said[0].contains('\u{1b}')
        );
        let silent = plan.silent(after(600));
        assert_eq!((silent[0].name.as_str(), silent[0].since), ("house", NOW));
        assert!(plan.silent(after(100)).is_empty(), "within the bound");
        // Told at last: it is heard again.
        let job = &plan.look([&alert].into_iter(), after(700))[0];
        assert!(plan.ended(job, &Ok("204".into()), after(701)).is_some());
        assert!(plan.silent(after(900)).is_empty());
        // A next call, and somebody takes notice before it was told.
        alert.calls.push(v1::Call {
            at_us: after(900).as_micros(),
            duty: Duty::Doctor as i32,
            by: String::new(),
        });
        let job = plan.look([&alert].into_iter(), after(900)).remove(0);
        assert_eq!(plan.ended(&job, &Err("busy".into()), after(900)), None);
        alert.state = AlertState::Acknowledged as i32;
        assert!(plan.look([&alert].into_iter(), after(999)).is_empty());
    }

    #[test]
    fn a_channel_that_hangs_holds_up_no_other_and_takes_no_more_than_it_can() {
        let mut plan = plan();
        let alerts: Vec<Alert> = (0..100)
            .map(|number| Alert {
                id: format!("{number}.1"),
                ..alert(&[Duty::Nurse])
            })
            .collect();
        let first = plan.look(alerts.iter(), NOW);
        let of = |jobs: &[Job], channel| jobs.iter().filter(|job| job.channel == channel).count();
        assert_eq!((of(&first, 0), of(&first, 1)), (AT_ONCE, AT_ONCE));
        for job in first.iter().filter(|job| job.channel == 1) {
            plan.ended(job, &Ok("204".into()), after(1));
        }
        let second = plan.look(alerts.iter(), after(1));
        assert_eq!((of(&second, 0), of(&second, 1)), (0, AT_ONCE));
    }
}
