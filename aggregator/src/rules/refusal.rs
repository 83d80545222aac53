//! What stands against activating a set of rules that was tried.
//!
//! Promises: each reason has its number and what to do, and all of them are told at once. No group of patients may be worse off
//! beyond the margin. A model may be switched for everybody whatever that misses, so that one that rings falsely can be stopped; for
//! some people only, what they miss of high and medium priority stands against it until the line says who decided that, and why.
//! Must not know: who folded, what a document looks like.

use proto::v1;
use vitals::Time;

use super::RuleSet;

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

/// A figure of a group of patients, a patient-day, with its 95 % interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Worse {
    /// Kind of group, and group.
    pub group: String,
    /// The figure.
    pub figure: f64,
    /// Lower end of its interval ...
    pub low: f64,
    /// ... and the upper one.
    pub high: f64,
    /// Of how many.
    pub patients: u32,
    /// What a group may have.
    pub margin: f64,
}

/// One thing that stands against it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Other rules, or another program, than now.
    #[error(
        "it was tried beside rules, or by a program, that are not in force any more: try it again with `rules shadow`"
    )]
    Outdated,
    /// Too little was judged.
    #[error(
        "it was tried over {spanned:.1} h of recorded time with {measured:.1} measured hours, and both must be {least:.0} h: try it over more days"
    )]
    TooShort {
        /// Hours of recorded time.
        spanned: f64,
        /// Hours in which anything was measured, of all patients.
        measured: f64,
        /// What both must be.
        least: f64,
    },
    /// More alerts than people can answer.
    #[error(
        "{a_day:.2} alerts a patient-day are above the budget of {most:.2}: make the rules raise less, or let whoever answers for the ward change rules_budget in config.toml"
    )]
    Loud {
        /// Alerts a patient-day.
        a_day: f64,
        /// What it may be.
        most: f64,
    },
    /// Cuts, durations or the score miss what is most urgent.
    #[error(
        "{0} alerts of high priority would have been missed, late or less urgent: no set of rules that does so is activated"
    )]
    MissesHigh(u32),
    /// A group has more alerts.
    #[error("{}: {:+.2} alerts a patient-day (95 % {:.2} to {:.2}, {} patients) are beyond the margin of {:.2}", .0.group, .0.figure, .0.low, .0.high, .0.patients, .0.margin)]
    GroupLouder(Worse),
    /// A group misses more.
    #[error("{}: {:.2} missed alerts a patient-day (95 % {:.2} to {:.2}, {} patients) are beyond the margin of {:.2}", .0.group, .0.figure, .0.low, .0.high, .0.patients, .0.margin)]
    GroupMisses(Worse),
    /// A model is switched for some people, and they miss what others are still told.
    #[error(
        "{model} is {standing} for {cohort}, who would have missed {missed} alerts of high or medium priority that others keep: leave the model as it is for them, switch it for everybody, or write into that [[model]] line by = \"who decided it\" and why = \"the reason\""
    )]
    Unequal {
        /// Whom it is switched for.
        cohort: String,
        /// By what it raises.
        model: String,
        /// Shadow or off.
        standing: String,
        /// Alerts of high and medium priority.
        missed: u32,
    },
    /// The same, and the rules in force are quiet about it already, so nobody can count what is missed.
    #[error(
        "{model} is {standing} for {cohort} and not for others, and how much they miss cannot be counted, because the rules in force have that model quiet for somebody already: write into that [[model]] line by = \"who decided it\" and why = \"the reason\""
    )]
    Uncounted {
        /// Whom it is switched for.
        cohort: String,
        /// By what it raises.
        model: String,
        /// Shadow or off.
        standing: String,
    },
}

/// What stands against activating what a report is of. `in_force`: now.
#[must_use]
pub fn refusals(report: &v1::ShadowReport, in_force: &RuleSet, budget: &Budget) -> Vec<Refusal> {
    let mut against = Vec::new();
    if report.beside != in_force.hash || report.fold_version != twin::FOLD_VERSION {
        against.push(Refusal::Outdated);
    }
    let least = f64::from(budget.hours);
    let spanned = Time::from_micros(report.to_us).since(Time::from_micros(report.from_us));
    let (spanned, measured) = (spanned.as_secs_f64() / 3600.0, report.patient_days * 24.0);
    if spanned < least || measured < least {
        against.push(Refusal::TooShort {
            spanned,
            measured,
            least,
        });
    }
    let after = report.alerts.map_or(0, |alerts| alerts.after);
    let a_day = if report.patient_days > 0.0 {
        f64::from(after) / report.patient_days
    } else {
        0.0
    };
    let most = f64::from(budget.alerts) / 100.0;
    if a_day > most {
        against.push(Refusal::Loud { a_day, most });
    }
    let high = report.missed.iter();
    let high: u32 = high
        .filter(|missed| missed.priority() == v1::Priority::High)
        .map(|missed| missed.alerts.saturating_sub(missed.switched))
        .sum();
    if high > 0 {
        against.push(Refusal::MissesHigh(high));
    }
    let margin = f64::from(budget.margin) / 100.0;
    for group in &report.subgroups {
        let worse = |(figure, low, high)| Worse {
            group: format!("{} {}", group.of, group.group),
            figure,
            low,
            high,
            patients: group.patients,
            margin,
        };
        if group.change > margin {
            let change = (group.change, group.change_low, group.change_high);
            against.push(Refusal::GroupLouder(worse(change)));
        }
        if group.missed > margin {
            let missed = (group.missed, group.missed_low, group.missed_high);
            against.push(Refusal::GroupMisses(worse(missed)));
        }
    }
    against.extend(report.silenced.iter().filter_map(unequal));
    against
}

fn unequal(line: &v1::Silenced) -> Option<Refusal> {
    if !line.by.is_empty() && !line.why.is_empty() {
        return None;
    }
    let urgent = line.missed.iter();
    let urgent = urgent.filter(|missed| missed.priority() >= v1::Priority::Medium);
    let missed: u32 = urgent.map(|missed| missed.alerts).sum();
    let (cohort, model) = (line.cohort.clone(), line.condition.clone());
    let standing = line.standing.clone();
    if missed > 0 {
        return Some(Refusal::Unequal {
            cohort,
            model,
            standing,
            missed,
        });
    }
    line.uncounted.then_some(Refusal::Uncounted {
        cohort,
        model,
        standing,
    })
}
