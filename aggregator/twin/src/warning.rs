//! The alert that NEWS2 makes: on the *low* end of the interval only, after it held for a while.
//!
//! A single parameter at 3 asks for a review by itself. Saturation and pulse have threshold rules with the
//! same cuts, so their 3 is not reported a second time here. What goes missing is no recovery: the alert ends
//! only while every parameter that scored is still measured.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Time};

use crate::alert::{Condition, Evidence, Priority};
use crate::life::Draft;
use crate::news2::{self, Parameter, Score};
use crate::rule::{self, NEWS2_EMERGENCY, NEWS2_HOLD, NEWS2_URGENT, fingerprint};

/// The state of the rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Warning {
    /// Known time since which the score is at least urgent (a single 3 or the aggregate), and emergency.
    urgent: Option<Time>,
    emergency: Option<Time>,
    /// Known time since which an active alert has no reason.
    calm: Option<Time>,
    /// Parameters that scored when the alert was raised.
    scored: Vec<Parameter>,
    raised: Option<Priority>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Nothing,
    Raise(Priority),
    Resolve,
}

impl Warning {
    /// Judges a new score at known time.
    pub(crate) fn judge(&mut self, score: &Score, now: Time) -> Verdict {
        let emergency = score.low >= NEWS2_EMERGENCY;
        let urgent = emergency || score.low >= NEWS2_URGENT || own_red(score).is_some();
        self.urgent = urgent.then(|| self.urgent.unwrap_or(now));
        self.emergency = emergency.then(|| self.emergency.unwrap_or(now));
        let lost = |parameter: &Parameter| score.part(*parameter).points.is_none();
        let calm = self.raised.is_some() && !urgent && !self.scored.iter().any(lost);
        self.calm = calm.then(|| self.calm.unwrap_or(now));
        let held = |since: Option<Time>| since.is_some_and(|since| since + NEWS2_HOLD <= now);
        if held(self.calm) {
            *self = Self::default();
            return Verdict::Resolve;
        }
        let reached = if held(self.emergency) {
            Some(Priority::High)
        } else {
            held(self.urgent).then_some(Priority::Medium)
        };
        match reached {
            Some(priority) if self.raised.is_none_or(|raised| priority > raised) => {
                self.raised = Some(priority);
                self.scored = score.scoring();
                Verdict::Raise(priority)
            }
            Some(_) | None => Verdict::Nothing,
        }
    }

    /// Known time since which the score has been urgent.
    pub(crate) const fn onset(&self) -> Option<Time> {
        self.urgent
    }

    /// When time alone decides.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let urgent = self.urgent.filter(|_| self.raised.is_none());
        let emergency = self
            .emergency
            .filter(|_| self.raised != Some(Priority::High));
        [urgent, emergency, self.calm]
            .into_iter()
            .flatten()
            .min()
            .map(|since| since + NEWS2_HOLD)
    }
}

/// A parameter at 3 that has no threshold rule of its own.
fn own_red(score: &Score) -> Option<Parameter> {
    let has_rule =
        |parameter: &Parameter| matches!(parameter, Parameter::OxygenSaturation | Parameter::Pulse);
    score
        .red()
        .into_iter()
        .find(|parameter| !has_rule(parameter))
}

/// The alert for a score. `times` and qualities: of each parameter's reading, where it has one.
pub(crate) fn draft(
    score: &Score,
    priority: Priority,
    times: &[(Time, Quality); 7],
    onset: Time,
) -> Draft {
    let total = f64::from(score.low.max(1));
    let evidence =
        Parameter::ALL
            .into_iter()
            .zip(times)
            .filter_map(|(parameter, (effective, quality))| {
                let part = score.part(parameter);
                let points = part.points.filter(|points| *points > 0)?;
                Some(Evidence {
                    kind: kind_of(parameter),
                    label: format!("{} scores {points}", parameter.name()),
                    value: part.value,
                    limit: None,
                    effective: *effective,
                    quality: *quality,
                    contribution: f64::from(points) / total,
                })
            });
    let range = if score.low == score.high {
        format!("{}", score.low)
    } else {
        format!(
            "at least {} (at most {}; missing: {})",
            score.low,
            score.high,
            score.missing()
        )
    };
    let why = match own_red(score) {
        Some(red) if score.low < NEWS2_URGENT => format!(": {} alone scores 3", red.name()),
        Some(_) | None => String::new(),
    };
    Draft {
        condition: Condition::EarlyWarningScore,
        priority,
        onset,
        summary: format!("NEWS2 is {range}{why}."),
        plain_summary: "Several vital signs together are further from normal than they should be."
            .into(),
        evidence: evidence.collect(),
        model: news2::MODEL,
        model_hash: fingerprint(&news2::definition()),
        expected: None,
        probability: None,
        subject: String::new(),
        told_locally: None,
    }
}

const fn kind_of(parameter: Parameter) -> Option<Kind> {
    match parameter {
        Parameter::Respiration => Some(Kind::RespiratoryRate),
        Parameter::OxygenSaturation => Some(Kind::OxygenSaturation),
        Parameter::Systolic => Some(Kind::SystolicPressure),
        Parameter::Pulse => Some(Kind::HeartRate),
        Parameter::Temperature => Some(Kind::BodyTemperature),
        Parameter::Oxygen | Parameter::Consciousness => None,
    }
}

/// True if a reading of this kind can change the score.
pub(crate) const fn concerns(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::RespiratoryRate
            | Kind::OxygenSaturation
            | Kind::SystolicPressure
            | Kind::HeartRate
            | Kind::PulseRate
            | Kind::BodyTemperature
    )
}

const _: () = assert!(rule::NEWS2_URGENT < rule::NEWS2_EMERGENCY);

crate::canonical_fields! {
    Warning { urgent, emergency, calm, scored, raised }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::news2::Inputs;
    use vitals::Span;

    fn score(respiration: f64, pulse: Result<f64, &'static str>) -> Score {
        Score::of(&Inputs {
            respiration: Ok(respiration),
            oxygen_saturation: Ok(94.0),
            on_oxygen: Err("unknown"),
            systolic: Err("not measured"),
            pulse,
            alert: Err("unknown"),
            temperature: Ok(37.0),
            scale_2: false,
        })
    }

    fn at(seconds: i64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn only_the_low_end_counts_and_only_after_the_hold() {
        let mut warning = Warning::default();
        // 1 + 2 = 3 for sure, up to 20 with what is missing.
        assert_eq!(
            warning.judge(&score(16.0, Ok(120.0)), at(0)),
            Verdict::Nothing
        );
        assert_eq!(warning.deadline(), None);
        // 2 + 1 + 2 = 5.
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), at(10)),
            Verdict::Nothing
        );
        assert_eq!(warning.deadline(), Some(at(70)));
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), at(69)),
            Verdict::Nothing
        );
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), at(70)),
            Verdict::Raise(Priority::Medium)
        );
        // 3 + 1 + 3 = 7.
        assert_eq!(
            warning.judge(&score(26.0, Ok(140.0)), at(80)),
            Verdict::Nothing
        );
        assert_eq!(
            warning.judge(&score(26.0, Ok(140.0)), at(140)),
            Verdict::Raise(Priority::High)
        );
    }

    #[test]
    fn a_flicker_starts_the_hold_again() {
        let mut warning = Warning::default();
        warning.judge(&score(22.0, Ok(120.0)), at(0));
        warning.judge(&score(16.0, Ok(120.0)), at(50));
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), at(60)),
            Verdict::Nothing
        );
        assert_eq!(warning.deadline(), Some(at(120)));
    }

    #[test]
    fn a_single_three_counts_unless_it_has_a_rule_of_its_own() {
        let mut warning = Warning::default();
        warning.judge(&score(16.0, Ok(140.0)), at(0));
        assert_eq!(warning.deadline(), None, "pulse has its own rule");
        warning.judge(&score(26.0, Ok(70.0)), at(0));
        assert_eq!(
            warning.judge(&score(26.0, Ok(70.0)), at(60)),
            Verdict::Raise(Priority::Medium)
        );
    }

    #[test]
    fn what_goes_missing_is_no_recovery() {
        let mut warning = Warning::default();
        warning.judge(&score(22.0, Ok(120.0)), at(0));
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), at(60)),
            Verdict::Raise(Priority::Medium)
        );
        assert_eq!(
            warning.judge(&score(22.0, Err("too old")), at(100)),
            Verdict::Nothing
        );
        assert_eq!(warning.deadline(), None);
        assert_eq!(
            warning.judge(&score(16.0, Ok(70.0)), at(200)),
            Verdict::Nothing
        );
        assert_eq!(
            warning.judge(&score(16.0, Ok(70.0)), at(260)),
            Verdict::Resolve
        );
    }
}
