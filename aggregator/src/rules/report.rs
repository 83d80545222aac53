//! What two sets of rules raised on the same days, as figures.
//!
//! Promises: figures alone, never whom they are of; the same days give the same figures, intervals included. An alert of
//! the first set is *missed* by the second if that raises none of the same condition, or later than is told here, or with
//! less priority. What is missed because a line about models has one quiet for that person is told with that line.
//! Must not know: who folded, what stands against it.

use std::collections::BTreeMap;

use proto::v1;
use twin::rules::switch::Standing;
use twin::{Condition, Priority};
use vitals::{Span, Time};

use crate::evaluate::bootstrap;

/// An alert may come so much later and still be the same help: of high priority, and others.
const LATE_HIGH: Span = Span::from_mins(5);
const LATE: Span = Span::from_mins(30);

/// What a document does to models, beside the rules in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switched {
    /// Conditions whose models it has quieter, for anybody.
    pub quieter: Vec<Condition>,
    /// Its lines that have a model quiet for some people while it speaks of others.
    pub uneven: Vec<Uneven>,
}

/// A line that has a model in shadow or off for some people while it speaks of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uneven {
    /// Its place among the lines.
    pub place: usize,
    /// The model, by what it raises.
    pub condition: Condition,
    /// In shadow, or off.
    pub standing: Standing,
    /// Whom it is about, for people.
    pub whom: String,
    /// Who decided it; empty: it does not say.
    pub by: String,
    /// Why; empty: it does not say.
    pub why: String,
    /// The rules in force have this model quiet for somebody already, so a trial beside them cannot count all that is missed.
    pub uncounted: bool,
}

/// One alert, or one time that it began anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What was wrong.
    pub condition: Condition,
    /// When each priority was reached: low, medium, high. A higher one reaches those below it.
    pub reached: [Option<Time>; 3],
    /// When it was over; `None`: it holds still.
    pub ended: Option<Time>,
    /// It is an alert that was there before, come back.
    pub again: bool,
    /// Somebody took notice.
    pub acknowledged: bool,
    /// It was raised in the patient's night.
    pub at_night: bool,
    /// The line of the rules that are tried that has its model quiet for this person, when it was this urgent.
    pub silenced: Option<usize>,
}

impl Told {
    fn priority(&self) -> Priority {
        match self.reached {
            [_, _, Some(_)] => Priority::High,
            [_, Some(_), None] => Priority::Medium,
            [_, None, None] => Priority::Low,
        }
    }

    fn reached(&self, priority: Priority) -> Option<Time> {
        self.reached[priority as usize - 1]
    }

    /// `other` told the same in time and as urgently.
    fn is_told_by(&self, other: &Self) -> bool {
        let priority = self.priority();
        let late = if priority == Priority::High {
            LATE_HIGH
        } else {
            LATE
        };
        let (Some(wanted), Some(reached)) = (self.reached(priority), other.reached(priority))
        else {
            return false;
        };
        self.condition == other.condition
            && reached <= wanted + late
            && other.ended.is_none_or(|ended| ended >= wanted)
    }
}

/// What is known of one patient's recorded days.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Days in which anything was measured, by the hour.
    pub days: f64,
    /// What the patient has in common with others: kind of group, and group.
    pub groups: Vec<(&'static str, String)>,
    /// Under the rules in force.
    pub before: Vec<Told>,
    /// Under those that are tried.
    pub after: Vec<Told>,
}

impl Figures {
    fn missed(&self) -> impl Iterator<Item = &Told> {
        let is_missed = |told: &&Told| !self.after.iter().any(|other| told.is_told_by(other));
        self.before.iter().filter(is_missed)
    }
}

/// Alerts; one that comes back is none of its own.
fn alerts(of: &[Told]) -> impl Iterator<Item = &Told> {
    of.iter().filter(|told| !told.again)
}

/// The figures of all patients; `switched`: what the document does to models. Hashes, span and who asked are the caller's to fill.
#[must_use]
pub fn report(patients: &[Figures], switched: &Switched) -> v1::ShadowReport {
    let sum = |of: &dyn Fn(&Told) -> bool| {
        let side = |side: &dyn Fn(&Figures) -> &Vec<Told>| {
            let all = patients.iter().flat_map(|one| alerts(side(one)));
            count(all.filter(|told| of(told)).count())
        };
        v1::Count {
            before: side(&|one| &one.before),
            after: side(&|one| &one.after),
        }
    };
    let mut burdens = Vec::new();
    for condition in Condition::ALL {
        for priority in [Priority::High, Priority::Medium, Priority::Low] {
            let alerts = sum(&|told| (told.condition, told.priority()) == (condition, priority));
            if alerts.before + alerts.after > 0 {
                burdens.push(v1::Burden {
                    condition: condition.name().into(),
                    priority: priority as i32,
                    alerts: Some(alerts),
                });
            }
        }
    }
    v1::ShadowReport {
        patients: count(patients.len()),
        // An empty sum is -0.
        patient_days: patients.iter().map(|one| one.days).sum::<f64>() + 0.0,
        alerts: Some(sum(&|_| true)),
        night: Some(sum(&|told| told.at_night)),
        burdens,
        missed: missed(patients, |_| true),
        subgroups: subgroups(patients),
        quieter: switched.quieter.iter().map(|of| of.name().into()).collect(),
        silenced: switched
            .uneven
            .iter()
            .map(|line| silenced(patients, line))
            .collect(),
        fold_version: twin::FOLD_VERSION,
        ..Default::default()
    }
}

/// What is missed of those that `of` holds for, by condition and priority.
fn missed(patients: &[Figures], of: impl Fn(&Told) -> bool) -> Vec<v1::Missed> {
    let mut missed: BTreeMap<_, v1::Missed> = BTreeMap::new();
    for told in patients.iter().flat_map(Figures::missed) {
        if of(told) {
            let sum = missed.entry((told.condition, told.priority()));
            let sum = sum.or_default();
            sum.alerts += 1;
            sum.acknowledged += u32::from(told.acknowledged);
            sum.switched += u32::from(told.silenced.is_some());
        }
    }
    let missed = missed.into_iter();
    let missed = missed.map(|((condition, priority), sum)| v1::Missed {
        condition: condition.name().into(),
        priority: priority as i32,
        ..sum
    });
    missed.collect()
}

/// What a line takes from those whom it is about.
fn silenced(patients: &[Figures], line: &Uneven) -> v1::Silenced {
    let is_by_it =
        |told: &Told| told.condition == line.condition && told.silenced == Some(line.place);
    let mut groups: BTreeMap<(&str, &str), v1::SilencedGroup> = BTreeMap::new();
    for one in patients {
        let alerts = count(one.missed().filter(|told| is_by_it(told)).count());
        for (of, group) in &one.groups {
            let sum = groups.entry((of, group)).or_default();
            sum.alerts += alerts;
            sum.patients += 1;
            sum.patient_days += one.days;
        }
    }
    let groups = groups.into_iter().filter(|(_, sum)| sum.alerts > 0);
    let groups = groups.map(|((of, group), sum)| v1::SilencedGroup {
        of: of.into(),
        group: group.into(),
        ..sum
    });
    v1::Silenced {
        condition: line.condition.name().into(),
        standing: line.standing.name().into(),
        cohort: line.whom.clone(),
        by: line.by.clone(),
        why: line.why.clone(),
        missed: missed(patients, is_by_it),
        groups: groups.collect(),
        uncounted: line.uncounted,
    }
}

/// Of one patient.
struct Sums {
    days: f64,
    before: f64,
    after: f64,
    missed: f64,
}

impl Sums {
    fn of(one: &Figures) -> Self {
        // What a line about models takes is told with that line.
        let missed = one.missed().filter(|told| told.silenced.is_none());
        Self {
            days: one.days,
            before: number(alerts(&one.before).count()),
            after: number(alerts(&one.after).count()),
            missed: number(missed.count()),
        }
    }
}

/// Of all those patients together; where nothing was measured: none.
fn a_day(of: &[&Sums], figure: impl Fn(&Sums) -> f64) -> f64 {
    let days: f64 = of.iter().map(|sums| sums.days).sum();
    let sum: f64 = of.iter().map(|sums| figure(sums)).sum();
    if days > 0.0 { sum / days } else { 0.0 }
}

fn subgroups(patients: &[Figures]) -> Vec<v1::Subgroup> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Figures>> = BTreeMap::new();
    for one in patients {
        for (of, group) in &one.groups {
            groups.entry((of, group)).or_default().push(one);
        }
    }
    let one = |((of, group), patients): ((&str, &str), Vec<&Figures>)| {
        // Each patient once: what a draw sums up is looked at two thousand times.
        let each: Vec<Sums> = patients.iter().map(|one| Sums::of(one)).collect();
        let all: Vec<&Sums> = each.iter().collect();
        let change = |sums: &Sums| sums.after - sums.before;
        let missed = |sums: &Sums| sums.missed;
        let (change_low, change_high) = bootstrap(&each, |drawn| a_day(drawn, change));
        let (missed_low, missed_high) = bootstrap(&each, |drawn| a_day(drawn, missed));
        v1::Subgroup {
            of: of.into(),
            group: group.into(),
            patients: count(each.len()),
            patient_days: each.iter().map(|sums| sums.days).sum(),
            before: a_day(&all, |sums| sums.before),
            after: a_day(&all, |sums| sums.after),
            change: a_day(&all, change),
            change_low,
            change_high,
            missed: a_day(&all, missed),
            missed_low,
            missed_high,
        }
    };
    groups.into_iter().map(one).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "alerts of one patient")]
const fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::RuleSet;
    use super::super::refusal::{Budget, Refusal, refusals};
    use super::*;

    const BUDGET: Budget = Budget {
        alerts: 100,
        margin: 50,
        hours: 24,
    };

    fn at(minutes: i64) -> Time {
        Time::ZERO + Span::from_mins(minutes)
    }

    fn told(priority: Priority, from: i64, to: i64) -> Told {
        let reached = |of| (of <= priority).then(|| at(from));
        Told {
            condition: Condition::HeartRateHigh,
            reached: [Priority::Low, Priority::Medium, Priority::High].map(reached),
            ended: Some(at(to)),
            again: false,
            acknowledged: true,
            at_night: from < 60,
            silenced: None,
        }
    }

    fn patient(group: &str, before: &[Told], after: &[Told]) -> Figures {
        Figures {
            days: 2.0,
            groups: vec![("sex", group.into())],
            before: before.to_vec(),
            after: after.to_vec(),
        }
    }

    fn tried(patients: &[Figures]) -> v1::ShadowReport {
        v1::ShadowReport {
            beside: RuleSet::built_in().hash,
            to_us: at(48 * 60).as_micros(),
            ..report(patients, &Switched::default())
        }
    }

    fn against(report: &v1::ShadowReport) -> Vec<String> {
        let all = refusals(report, &RuleSet::built_in(), &BUDGET);
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_alert_is_missed_if_it_is_not_told_in_time_and_as_urgently() {
        use Priority::{High, Medium};
        let missed = |before: Told, after: &[Told]| patient("x", &[before], after).missed().count();
        let high = told(High, 100, 200);
        assert_eq!(missed(high.clone(), &[]), 1);
        assert_eq!(missed(high.clone(), &[told(High, 105, 150)]), 0);
        assert_eq!(missed(high.clone(), &[told(High, 106, 150)]), 1, "late");
        assert_eq!(missed(high.clone(), &[told(Medium, 100, 200)]), 1);
        assert_eq!(missed(high, &[told(High, 50, 99)]), 1, "another one");
        let medium = told(Medium, 100, 110);
        assert_eq!(missed(medium.clone(), &[told(High, 130, 140)]), 0);
        assert_eq!(missed(medium.clone(), &[told(High, 131, 140)]), 1);
        let other = Told {
            condition: Condition::HeartRateLow,
            ..medium.clone()
        };
        assert_eq!(missed(medium, &[other]), 1);
    }

    #[test]
    fn figures_are_counted_by_condition_night_and_group() {
        use Priority::{High, Medium};
        let (night, day) = (told(Medium, 10, 20), told(High, 100, 110));
        let again = Told {
            again: true,
            ..told(Medium, 200, 210)
        };
        let both = [night.clone(), day.clone(), again];
        let report = tried(&[
            patient("female", &both, std::slice::from_ref(&day)),
            patient("male", &[], &[]),
        ]);
        assert_eq!(
            report.alerts,
            Some(v1::Count {
                before: 2,
                after: 1
            })
        );
        assert_eq!(
            report.night,
            Some(v1::Count {
                before: 1,
                after: 0
            })
        );
        assert_eq!(report.burdens.len(), 2);
        let missed: Vec<_> = report
            .missed
            .iter()
            .map(|of| (of.alerts, of.acknowledged))
            .collect();
        assert_eq!(missed, [(2, 2)], "what came back is missed, too");
        let [female, male] = &report.subgroups[..] else {
            panic!("two groups: {:?}", report.subgroups);
        };
        assert_eq!((female.before, female.after), (1.0, 0.5));
        assert_eq!((female.change_low, female.change_high), (-0.5, -0.5));
        assert_eq!((male.before, male.change), (0.0, 0.0));
        let all = against(&report);
        assert_eq!(all.len(), 1, "1 missed alert a day of one group: {all:?}");
        assert!(all[0].contains("sex female"), "{all:?}");
    }

    fn fell(from: i64, line: Option<usize>) -> Told {
        Told {
            condition: Condition::Fall,
            silenced: line,
            ..told(Priority::High, from, from + 9)
        }
    }

    fn switched(patients: &[Figures], switched: &Switched) -> v1::ShadowReport {
        v1::ShadowReport {
            beside: RuleSet::built_in().hash,
            to_us: at(48 * 60).as_micros(),
            ..report(patients, switched)
        }
    }

    #[test]
    fn what_a_switch_for_everybody_misses_is_told_and_stands_against_nothing() {
        let lost = [fell(100, Some(0)), fell(200, Some(0))];
        let all = Switched {
            quieter: vec![Condition::Fall],
            uneven: Vec::new(),
        };
        let report = switched(&[patient("x", &lost, &[])], &all);
        assert_eq!((report.missed[0].alerts, report.missed[0].switched), (2, 2));
        assert_eq!(report.quieter, ["fall"]);
        assert_eq!(against(&report), [""; 0]);
        let by_accident = [fell(100, None), fell(200, None)];
        let by_accident = against(&switched(&[patient("x", &by_accident, &[])], &all));
        assert_eq!(
            by_accident.len(),
            2,
            "high, and of a group: {by_accident:?}"
        );
        // Another condition is not decided upon by that.
        let both = [fell(100, Some(0)), told(Priority::High, 300, 309)];
        let other = switched(&[patient("x", &both, &[])], &all);
        assert!(against(&other)[0].starts_with("1 alerts of high priority"));
    }

    #[test]
    fn a_switch_for_some_people_is_refused_for_what_they_miss_until_it_says_who_decided_it_and_why()
    {
        let uneven = |by: &str, why: &str| Switched {
            quieter: vec![Condition::Fall],
            uneven: vec![Uneven {
                place: 1,
                condition: Condition::Fall,
                standing: Standing::Off,
                whom: "people who are female".into(),
                by: by.into(),
                why: why.into(),
                uncounted: false,
            }],
        };
        let women = patient("female", &[fell(100, Some(1)), fell(200, Some(1))], &[]);
        let men = patient("male", &[fell(100, None)], &[fell(100, None)]);
        let patients = [women, men];
        let report = switched(&patients, &uneven("", ""));
        let refused = refusals(&report, &RuleSet::built_in(), &BUDGET);
        assert_eq!(
            refused,
            [Refusal::Unequal {
                cohort: "people who are female".into(),
                model: "fall".into(),
                missed: 2,
                standing: "off".into(),
            }]
        );
        let said = refused[0].to_string();
        for part in [
            "people who are female",
            "fall",
            "2 alerts",
            "by = ",
            "why = ",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        let report = switched(&patients, &uneven("Dr. Weber", "rings by itself"));
        assert_eq!(against(&report), [""; 0]);
        let [silenced] = &report.silenced[..] else {
            panic!("one line: {report:?}");
        };
        assert_eq!(
            (silenced.by.as_str(), silenced.why.as_str()),
            ("Dr. Weber", "rings by itself")
        );
        assert_eq!(silenced.missed[0].alerts, 2);
        let [group] = &silenced.groups[..] else {
            panic!("women alone miss any: {silenced:?}");
        };
        assert_eq!(
            (group.group.as_str(), group.alerts, group.patients),
            ("female", 2, 1)
        );

        // Of low priority it is told, and nobody is worse off for it.
        let low = Told {
            silenced: Some(1),
            condition: Condition::Fall,
            ..told(Priority::Low, 100, 110)
        };
        let report = switched(&[patient("female", &[low], &[])], &uneven("", ""));
        assert_eq!(report.silenced[0].missed[0].alerts, 1);
        assert_eq!(against(&report), [""; 0]);

        // Nobody could count it.
        let mut blind = uneven("", "");
        blind.uneven[0].uncounted = true;
        let report = switched(&[patient("female", &[], &[])], &blind);
        let refused = refusals(&report, &RuleSet::built_in(), &BUDGET);
        assert!(
            matches!(&refused[..], [Refusal::Uncounted { .. }]),
            "{refused:?}"
        );
    }

    #[test]
    fn what_stands_against_it_is_told_with_its_number() {
        use Priority::{High, Medium};
        assert_eq!(against(&tried(&[patient("x", &[], &[])])), [""; 0]);
        let late = v1::ShadowReport {
            to_us: at(60).as_micros(),
            ..tried(&[patient("x", &[], &[])])
        };
        assert!(against(&late)[0].contains("1.0 h"), "{:?}", against(&late));
        let other = v1::ShadowReport {
            beside: "other".into(),
            ..tried(&[patient("x", &[], &[])])
        };
        assert!(against(&other)[0].contains("not in force any more"));
        let missed = against(&tried(&[patient("x", &[told(High, 1, 2)], &[])]));
        assert!(
            missed[0].starts_with("1 alerts of high priority"),
            "{missed:?}"
        );
        let many: Vec<_> = (0..3)
            .map(|hour| told(Medium, hour * 60, hour * 60 + 9))
            .collect();
        let loud = against(&tried(&[patient("x", &many, &many)]));
        assert!(loud[0].starts_with("1.50 alerts a patient-day"), "{loud:?}");
        assert_eq!(loud.len(), 1, "it is no worse than before");
        let quiet = patient("y", &[], &[]);
        let uneven = against(&tried(&[patient("x", &[], &many), quiet.clone(), quiet]));
        assert!(
            uneven[0].starts_with("sex x: +1.50"),
            "within the budget, and not for one group: {uneven:?}"
        );
    }
}
