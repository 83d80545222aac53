//! PURE. What rosters make of the calls of alerts that wait, and what is said where a roster leaves a hole.
//!
//! Promises: the last call of an alert that waits is named once, with whoever is on duty in the teams of its patient; where nobody
//! is, it is passed over, and if it is the last rung that is said. Where any of the patient's teams says nothing of a duty, nobody
//! knows who has it, and nothing is passed over. After a restart the alert's comments say what is done.
//!
//! Must not know: the registry, clocks, how acts become entries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::v1::{Alert, AlertState, Duty, Priority};
use twin::AlertId;
use vitals::{PatientId, Span, Time};

use super::plan::Turn;
use crate::chain::{Hop, Silence};
use crate::channel::settings::name_of;

/// A shift is to be taken over within that time of its beginning.
pub const HANDOVER: Span = Span::from_mins(15);
/// People of a team that a call names, and teams.
const NAMED: usize = 5;
/// Under which name it writes into the log; no person is called so.
pub const WRITER: &str = "roster";

/// A duty in a team, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Which.
    pub duty: Duty,
    /// What the roster says.
    pub turn: Turn,
    /// Who of the turn's people can be called.
    pub able: Vec<String>,
    /// Whoever comes has taken over, or nothing was to be taken over.
    pub taken: bool,
}

/// A team, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ward {
    /// Its name.
    pub team: String,
    /// Whom it looks after.
    pub patients: Arc<BTreeSet<PatientId>>,
    /// Since when there is a roster that this program cannot read.
    pub unread: Option<Time>,
    /// The duties of which its roster speaks.
    pub duties: Vec<Post>,
}

impl Ward {
    fn post(&self, duty: Duty) -> Option<&Post> {
        self.duties.iter().find(|post| post.duty == duty)
    }
}

/// What is to be written down about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Whose.
    pub patient: PatientId,
    /// The alert, as the journal calls it.
    pub alert: String,
    /// The words.
    pub text: String,
    /// The call is passed over: so many were made.
    pub pass: Option<u32>,
}

/// An alert's id, the number of its call, and when that was.
type Call = (String, usize, i64);

/// Which calls are dealt with.
#[derive(Debug, Default)]
pub struct Watch {
    done: BTreeSet<Call>,
}

enum Who {
    /// Nobody says who has the duty.
    Unplanned,
    /// These have, each in a team.
    People(Vec<(String, Vec<String>)>),
    /// In none of these teams anybody has.
    Nobody(Vec<String>),
}

fn who(wards: &[&Ward], duty: Duty) -> Who {
    let mut people = Vec::new();
    let mut planned = !wards.is_empty();
    for ward in wards {
        match ward.post(duty) {
            Some(post) if !post.able.is_empty() => {
                people.push((ward.team.clone(), post.able.clone()));
            }
            Some(_) => {}
            None => planned = false,
        }
    }
    if !people.is_empty() {
        Who::People(people)
    } else if planned {
        Who::Nobody(wards.iter().map(|ward| ward.team.clone()).collect())
    } else {
        Who::Unplanned
    }
}

impl Watch {
    /// What is to be done now. `alerts`: all that are kept, with their patients and the journal's names for them.
    pub fn look<'a>(
        &mut self,
        wards: &[Ward],
        alerts: impl Iterator<Item = (&'a PatientId, &'a str, &'a Alert)>,
    ) -> Vec<Act> {
        let (mut acts, mut open) = (Vec::new(), BTreeSet::new());
        let mut of: BTreeMap<&PatientId, Vec<&Ward>> = BTreeMap::new();
        for (patient, key, alert) in alerts {
            let waits = alert.state() == AlertState::Active
                && alert.snoozed_until_us == 0
                && alert.part_of.is_empty();
            let Some(last) = alert.calls.last().filter(|_| waits) else {
                continue;
            };
            let call = (alert.id.clone(), alert.calls.len(), last.at_us);
            if self.done.contains(&call) {
                open.insert(call);
                continue;
            }
            let theirs = of.entry(patient).or_insert_with(|| {
                let all = wards.iter();
                all.filter(|ward| ward.patients.contains(patient)).collect()
            });
            let found = who(theirs, last.duty());
            let opening = opening(&call, last.duty());
            let is_said = alert.comments.iter().any(|of| {
                of.by == WRITER && of.at_us >= last.at_us && of.text.starts_with(&opening)
            });
            let next = next(alert.priority(), call.1);
            let (words, pass) = match found {
                // Once there is a roster, it is asked again.
                Who::Unplanned => continue,
                Who::People(people) => (format!("{opening}is for {}", listed(&people)), None),
                Who::Nobody(teams) => {
                    let nobody = format!("{opening}nobody is on duty in {}", teams.join(", "));
                    match next {
                        Some(duty) => (
                            format!("{nobody}; the {} is called at once", name_of(duty)),
                            u32::try_from(call.1).ok(),
                        ),
                        None => (format!("{nobody}; it waits in everybody's sight"), None),
                    }
                }
            };
            // What was named and lost its people since is passed over all the same.
            if is_said && pass.is_none() {
                open.insert(call);
                continue;
            }
            // The centre's own alerts, about its work, are nobody's duty.
            if AlertId::parse(key).is_some() {
                acts.push(Act {
                    patient: patient.clone(),
                    alert: key.to_owned(),
                    text: words,
                    pass,
                });
            }
        }
        self.done = open;
        acts
    }
}

fn opening((_, number, _): &Call, duty: Duty) -> String {
    format!("call {number} ({}): ", name_of(duty))
}

/// Names by team; of many, the first.
fn listed(people: &[(String, Vec<String>)]) -> String {
    let one = |(team, names): &(String, Vec<String>)| {
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        format!("{}{more} ({team})", shown.join(", "))
    };
    let shown: Vec<String> = people.iter().take(NAMED).map(one).collect();
    shown.join("; ")
}

/// Who is called after so many calls.
fn next(priority: Priority, made: usize) -> Option<Duty> {
    let priority = match priority {
        Priority::High => twin::Priority::High,
        Priority::Medium => twin::Priority::Medium,
        Priority::Low | Priority::Unspecified => twin::Priority::Low,
    };
    let rung = twin::rule::ladder(priority).rungs.get(made)?;
    Some(match rung.duty {
        twin::care::Duty::Nurse => Duty::Nurse,
        twin::care::Duty::Doctor => Duty::Doctor,
        twin::care::Duty::Supervisor => Duty::Supervisor,
    })
}

/// Holes in the rosters of teams that look after somebody: nobody on duty, a shift that nobody took over, a roster that
/// cannot be read.
#[must_use]
pub fn silences(wards: &[Ward], now: Time) -> Vec<Silence> {
    let mut silent = Vec::new();
    for ward in wards.iter().filter(|ward| !ward.patients.is_empty()) {
        let team = &ward.team;
        if let Some(since) = ward.unread {
            silent.push(Silence {
                hop: Hop::Duty,
                who: team.clone(),
                since,
                bound: Span::ZERO,
                words: format!("the roster of team {team} cannot be read here, and calls go on without it: `roster check` says why"),
            });
        }
        for post in &ward.duties {
            let duty = name_of(post.duty);
            if post.able.is_empty() {
                let planned = if post.turn.people.is_empty() {
                    String::new()
                } else {
                    format!(
                        " ({} may not act for this team any more)",
                        post.turn.people.join(", ")
                    )
                };
                silent.push(Silence {
                    hop: Hop::Duty,
                    who: format!("{team}, {duty}"),
                    since: post.turn.from,
                    bound: Span::ZERO,
                    words: format!("nobody is on duty as {duty} in team {team}{planned}: calls go to the next rung at once; name somebody with `roster set`"),
                });
            } else if !post.taken && now.since(post.turn.from) > HANDOVER {
                silent.push(Silence {
                    hop: Hop::Handover,
                    who: format!("{team}, {duty}"),
                    since: post.turn.from,
                    bound: HANDOVER,
                    words: format!("nobody has taken over as {duty} in team {team}: ask {} whether they are there", post.able.join(", ")),
                });
            }
        }
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn patient(id: &str) -> PatientId {
        PatientId::parse(id).expect("a patient id")
    }

    fn post(duty: Duty, able: &[&str]) -> Post {
        let able: Vec<String> = able.iter().map(|name| (*name).into()).collect();
        Post {
            duty,
            turn: Turn {
                duty,
                shift: "day".into(),
                from: NOW - Span::from_mins(60),
                until: NOW + Span::from_mins(60),
                people: able.clone(),
            },
            able,
            taken: true,
        }
    }

    fn ward(team: &str, patients: &[&str], duties: Vec<Post>) -> Ward {
        Ward {
            team: team.into(),
            patients: Arc::new(patients.iter().copied().map(patient).collect()),
            unread: None,
            duties,
        }
    }

    fn alert(priority: Priority, calls: &[Duty]) -> Alert {
        let call = |duty: &Duty| v1::Call {
            at_us: NOW.as_micros(),
            duty: *duty as i32,
            by: String::new(),
        };
        Alert {
            id: "7.1".into(),
            state: AlertState::Active as i32,
            priority: priority as i32,
            calls: calls.iter().map(call).collect(),
            ..Alert::default()
        }
    }

    fn look(watch: &mut Watch, wards: &[Ward], alert: &Alert) -> Vec<(String, Option<u32>)> {
        let of = patient("p-1");
        let acts = watch.look(wards, [(&of, "a-1", alert)].into_iter());
        acts.into_iter().map(|act| (act.text, act.pass)).collect()
    }

    #[test]
    fn a_call_names_who_is_on_duty_once() {
        let wards = [
            ward("A", &["p-1"], vec![post(Duty::Nurse, &["Ann", "Bob"])]),
            ward("B", &["p-1"], vec![]),
            ward("C", &["p-2"], vec![post(Duty::Nurse, &["Cy"])]),
        ];
        let mut watch = Watch::default();
        let mut alert = alert(Priority::High, &[Duty::Nurse]);
        let named = "call 1 (nurse): is for Ann, Bob (A)";
        assert_eq!(look(&mut watch, &wards, &alert), [(named.into(), None)]);
        alert.comments.push(v1::Comment {
            at_us: NOW.as_micros(),
            by: WRITER.into(),
            text: named.into(),
        });
        assert_eq!(look(&mut watch, &wards, &alert), []);
        // Others' words push it out of the alert: it is not said again.
        alert.comments.clear();
        assert_eq!(look(&mut watch, &wards, &alert), []);
        alert.state = AlertState::Acknowledged as i32;
        assert_eq!(look(&mut watch, &wards, &alert), []);
        assert!(watch.done.is_empty(), "what waits no longer is forgotten");
    }

    #[test]
    fn where_nobody_is_on_duty_the_next_rung_is_called_and_the_last_one_is_said() {
        let empty = || vec![post(Duty::Nurse, &[]), post(Duty::Supervisor, &[])];
        let wards = [ward("A", &["p-1"], empty()), ward("B", &["p-1"], empty())];
        let mut watch = Watch::default();
        let first = alert(Priority::High, &[Duty::Nurse]);
        let passed = "call 1 (nurse): nobody is on duty in A, B; the doctor is called at once";
        assert_eq!(look(&mut watch, &wards, &first), [(passed.into(), Some(1))]);
        let last = alert(
            Priority::High,
            &[Duty::Nurse, Duty::Doctor, Duty::Supervisor],
        );
        let said = "call 3 (supervisor): nobody is on duty in A, B; it waits in everybody's sight";
        assert_eq!(look(&mut watch, &wards, &last), [(said.into(), None)]);
        // No roster speaks of doctors.
        let second = alert(Priority::High, &[Duty::Nurse, Duty::Doctor]);
        assert_eq!(look(&mut watch, &wards, &second), []);
        // A ladder with one rung has no next one.
        let low = alert(Priority::Low, &[Duty::Nurse]);
        assert_eq!(look(&mut watch, &wards, &low)[0].1, None);
    }

    #[test]
    fn nothing_is_passed_over_where_a_team_does_not_say_who_has_the_duty() {
        let nobody = ward("A", &["p-1"], vec![post(Duty::Nurse, &[])]);
        let first = alert(Priority::High, &[Duty::Nurse]);
        for other in [vec![ward("B", &["p-1"], vec![])], vec![]] {
            let wards: Vec<Ward> = other.into_iter().chain([nobody.clone()]).collect();
            let got = look(&mut Watch::default(), &wards, &first);
            assert_eq!(got.is_empty(), wards.len() == 2, "{got:?}");
        }
        // Nobody's patient.
        assert_eq!(look(&mut Watch::default(), &[], &first), []);
    }

    #[test]
    fn who_goes_home_after_they_were_named_is_passed_over() {
        let mut wards = [ward("A", &["p-1"], vec![post(Duty::Nurse, &["Ann"])])];
        let mut watch = Watch::default();
        let mut first = alert(Priority::Medium, &[Duty::Nurse]);
        let (text, _) = look(&mut watch, &wards, &first).remove(0);
        first.comments.push(v1::Comment {
            at_us: NOW.as_micros(),
            by: WRITER.into(),
            text,
        });
        // Before it was seen that the words are there.
        wards[0].duties = vec![post(Duty::Nurse, &[])];
        assert_eq!(look(&mut watch, &wards, &first)[0].1, Some(1));
    }

    #[test]
    fn holes_are_told_where_there_is_somebody_to_look_after() {
        let told = |ward: Ward, now: Time| -> Vec<(Hop, String)> {
            let silent = silences(&[ward], now);
            silent.into_iter().map(|of| (of.hop, of.who)).collect()
        };
        let nobody = || vec![post(Duty::Nurse, &[]), post(Duty::Doctor, &["Dee"])];
        let gap = [(Hop::Duty, "A, nurse".to_owned())];
        assert_eq!(told(ward("A", &["p-1"], nobody()), NOW), gap);
        assert_eq!(told(ward("A", &[], nobody()), NOW), []);
        let late = Post {
            taken: false,
            ..post(Duty::Nurse, &["Ann"])
        };
        let (from, of) = (late.turn.from, || ward("A", &["p-1"], vec![late.clone()]));
        assert_eq!(told(of(), from + HANDOVER), [], "within its bound");
        let untaken = [(Hop::Handover, "A, nurse".to_owned())];
        assert_eq!(told(of(), from + HANDOVER + Span::from_micros(1)), untaken);
        let unread = Ward {
            unread: Some(NOW),
            ..ward("A", &["p-1"], vec![])
        };
        assert_eq!(told(unread, NOW), [(Hop::Duty, "A".to_owned())]);
    }
}
