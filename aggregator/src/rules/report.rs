//! What two sets of rules raised on the same days, as figures, and what stands against activating the second.
//!
//! Promises: figures alone, never whom they are of; the same days give the same figures, intervals included. An alert of
//! the first set is *missed* by the second if that raises none of the same condition, or later than is told here, or with
//! less priority. Must not know: who folded.

use std::collections::BTreeMap;

use proto::v1;
use twin::{Condition, Priority};
use vitals::{Span, Time};

use super::RuleSet;
use crate::evaluate::bootstrap;

/// An alert may come so much later and still be the same help: of high priority, and others.
const LATE_HIGH: Span = Span::from_mins(5);
const LATE: Span = Span::from_mins(30);

/// What a set of rules is held to before it may be activated; `config.toml` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Alerts about the body in a hundred patient-days, at most.
    pub alerts: u32,
    /// Alerts, or missed alerts, that a group of patients may have more in a hundred patient-days.
    pub margin: u32,
    /// Hours that were judged, at least: of recorded time, and measured of all patients together.
    pub hours: u32,
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

/// The figures of all patients; `quieter`: conditions whose models were switched. Hashes, span and who asked are the caller's to fill.
#[must_use]
pub fn report(patients: &[Figures], quieter: &[Condition]) -> v1::ShadowReport {
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
    let mut missed = BTreeMap::new();
    for told in patients.iter().flat_map(Figures::missed) {
        let (alerts, acknowledged): &mut (u32, u32) =
            missed.entry((told.condition, told.priority())).or_default();
        *alerts += 1;
        *acknowledged += u32::from(told.acknowledged);
    }
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
    let missed = missed.into_iter();
    let missed = missed.map(
        |((condition, priority), (alerts, acknowledged))| v1::Missed {
            condition: condition.name().into(),
            priority: priority as i32,
            alerts,
            acknowledged,
        },
    );
    v1::ShadowReport {
        patients: count(patients.len()),
        // An empty sum is -0.
        patient_days: patients.iter().map(|one| one.days).sum::<f64>() + 0.0,
        alerts: Some(sum(&|_| true)),
        night: Some(sum(&|told| told.at_night)),
        burdens,
        missed: missed.collect(),
        subgroups: subgroups(patients, quieter),
        quieter: quieter.iter().map(|of| of.name().into()).collect(),
        fold_version: twin::FOLD_VERSION,
        ..Default::default()
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
    fn of(one: &Figures, quieter: &[Condition]) -> Self {
        // What was decided is no loss that nobody saw.
        let missed = one
            .missed()
            .filter(|told| !quieter.contains(&told.condition));
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

fn subgroups(patients: &[Figures], quieter: &[Condition]) -> Vec<v1::Subgroup> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Figures>> = BTreeMap::new();
    for one in patients {
        for (of, group) in &one.groups {
            groups.entry((of, group)).or_default().push(one);
        }
    }
    let one = |((of, group), patients): ((&str, &str), Vec<&Figures>)| {
        // Each patient once: what a draw sums up is looked at two thousand times.
        let each: Vec<Sums> = patients.iter().map(|one| Sums::of(one, quieter)).collect();
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

/// What stands against activating what a report is of, each with its number and what to do. `in_force`: now.
#[must_use]
pub fn refusals(report: &v1::ShadowReport, in_force: &RuleSet, budget: &Budget) -> Vec<String> {
    let mut against = Vec::new();
    if report.beside != in_force.hash || report.fold_version != twin::FOLD_VERSION {
        against.push(
            "it was tried beside rules, or by a program, that are not in force any more: try it again with `rules shadow`"
                .into(),
        );
    }
    let least = f64::from(budget.hours);
    let spanned = Time::from_micros(report.to_us).since(Time::from_micros(report.from_us));
    let (spanned, measured) = (spanned.as_secs_f64() / 3600.0, report.patient_days * 24.0);
    if spanned < least || measured < least {
        against.push(format!(
            "it was tried over {spanned:.1} h of recorded time with {measured:.1} measured hours, and both must be {least:.0} h: try it over more days"
        ));
    }
    let after = report.alerts.map_or(0, |alerts| alerts.after);
    let a_day = if report.patient_days > 0.0 {
        f64::from(after) / report.patient_days
    } else {
        0.0
    };
    let most = f64::from(budget.alerts) / 100.0;
    if a_day > most {
        against.push(format!(
            "{a_day:.2} alerts a patient-day are above the budget of {most:.2}: make the rules raise less, or let whoever answers for the ward change rules_budget in config.toml"
        ));
    }
    let high = report.missed.iter();
    let high: u32 = high
        .filter(|missed| missed.priority() == v1::Priority::High)
        .filter(|missed| !report.quieter.contains(&missed.condition))
        .map(|missed| missed.alerts)
        .sum();
    if high > 0 {
        against.push(format!(
            "{high} alerts of high priority would have been missed, late or less urgent: no set of rules that does so is activated"
        ));
    }
    let margin = f64::from(budget.margin) / 100.0;
    for group in &report.subgroups {
        let name = format!("{} {}", group.of, group.group);
        if group.change > margin {
            against.push(format!(
                "{name}: {:+.2} alerts a patient-day (95 % {:.2} to {:.2}, {} patients) are beyond the margin of {margin:.2}",
                group.change, group.change_low, group.change_high, group.patients
            ));
        }
        if group.missed > margin {
            against.push(format!(
                "{name}: {:.2} missed alerts a patient-day (95 % {:.2} to {:.2}, {} patients) are beyond the margin of {margin:.2}",
                group.missed, group.missed_low, group.missed_high, group.patients
            ));
        }
    }
    against
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
            ..report(patients, &[])
        }
    }

    fn against(report: &v1::ShadowReport) -> Vec<String> {
        refusals(report, &RuleSet::built_in(), &BUDGET)
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

    #[test]
    fn what_a_switch_misses_is_told_and_stands_against_nothing() {
        use Priority::High;
        let fell = |from: i64| Told {
            condition: Condition::Fall,
            ..told(High, from, from + 9)
        };
        let lost = [fell(100), fell(200)];
        let patients = [patient("x", &lost, &[])];
        let switched = v1::ShadowReport {
            beside: RuleSet::built_in().hash,
            to_us: at(48 * 60).as_micros(),
            ..report(&patients, &[Condition::Fall])
        };
        assert_eq!(switched.missed[0].alerts, 2, "it is told");
        assert_eq!(switched.quieter, ["fall"]);
        assert_eq!(against(&switched), [""; 0]);
        let by_accident = against(&tried(&patients));
        assert_eq!(
            by_accident.len(),
            2,
            "high, and of a group: {by_accident:?}"
        );
        // Another condition is not decided upon by that.
        let both = [fell(100), told(High, 300, 309)];
        let other = v1::ShadowReport {
            beside: RuleSet::built_in().hash,
            to_us: at(48 * 60).as_micros(),
            ..report(&[patient("x", &both, &[])], &[Condition::Fall])
        };
        assert!(against(&other)[0].starts_with("1 alerts of high priority"));
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
