//! The alert that NEWS2 makes: on the *low* end of the interval only, after it held for a while.
//!
//! Where pulse and respiration alone bring the total to where it is, it must do so for longer: everybody who climbs stairs
//! is at 5 for a minute. That time is added up, so that a total which wavers around its limit is not lost.
//!
//! A single parameter at 3 asks for a review by itself. Saturation and pulse have threshold rules with the
//! same cuts, so their 3 is not reported a second time here. What goes missing is no recovery: the alert ends
//! only while every parameter that scored is still measured.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Span, Time};

use crate::alert::{Condition, Evidence, Priority};
use crate::life::Draft;
use crate::news2::{self, Inputs, Parameter, Score};
use crate::rule::{NEWS2_STRAIN_OTHERS, fingerprint};
use crate::rules::EarlyWarning;

/// The state of the rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Warning {
    /// Known time since which the score is at least urgent (a single 3 or the aggregate), and emergency.
    urgent: Option<Time>,
    emergency: Option<Time>,
    strain: Strain,
    /// Known time since which an active alert has no reason.
    calm: Option<Time>,
    /// Parameters that scored when the alert was raised.
    scored: Vec<Parameter>,
    raised: Option<Priority>,
}

/// For how long the total has been urgent by pulse and respiration alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Strain {
    /// Less the time in which it was not; the first time of it.
    held: Span,
    since: Option<Time>,
    /// When it was judged last, and what it was then.
    judged: Time,
    holds: bool,
}

impl Strain {
    fn judge(&mut self, holds: bool, now: Time) {
        let passed = now.since(self.judged).min(JUDGED_WITHIN);
        self.held = if self.holds {
            self.held + passed
        } else {
            (self.held - passed).max(Span::ZERO)
        };
        if !holds && self.held == Span::ZERO {
            self.since = None;
        } else if holds && self.since.is_none() {
            self.since = Some(now);
        }
        (self.judged, self.holds) = (now, holds);
    }

    /// When it will have held for long enough, if nothing changes.
    fn due(&self, rules: &EarlyWarning) -> Option<Time> {
        let left = rules.strain_hold - self.held;
        self.holds.then(|| self.judged + left.max(Span::ZERO))
    }
}

/// What was judged longer ago says nothing about the time since: respiration is fresh for so long.
const JUDGED_WITHIN: Span = Span::from_mins(5);

/// Steps of the chart's unit in which a parameter is looked for that would not call.
const FAR: i32 = 200;

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Nothing,
    Raise(Priority),
    Resolve,
}

impl Warning {
    /// Judges a new score at known time.
    pub(crate) fn judge(&mut self, score: &Score, rules: &EarlyWarning, now: Time) -> Verdict {
        let emergency = score.low >= rules.emergency;
        let aggregate = score.low >= rules.urgent;
        let by_others = aggregate && score.others() > NEWS2_STRAIN_OTHERS;
        let quick = emergency || by_others || own_red(score).is_some();
        let urgent = quick || aggregate;
        self.strain.judge(urgent, now);
        self.urgent = quick.then(|| self.urgent.unwrap_or(now));
        self.emergency = emergency.then(|| self.emergency.unwrap_or(now));
        let lost = |parameter: &Parameter| score.part(*parameter).points.is_none();
        let calm = self.raised.is_some() && !urgent && !self.scored.iter().any(lost);
        self.calm = calm.then(|| self.calm.unwrap_or(now));
        let held = |since: Option<Time>| since.is_some_and(|since| since + rules.hold <= now);
        if held(self.calm) {
            *self = Self::default();
            return Verdict::Resolve;
        }
        let reached = if held(self.emergency) {
            Some(Condition::EarlyWarningScore.worst())
        } else {
            let strained = self.strain.due(rules).is_some_and(|due| due <= now);
            (held(self.urgent) || strained).then_some(Condition::EarlyWarningScore.base())
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
    pub(crate) fn onset(&self) -> Option<Time> {
        self.urgent.or(self.strain.since)
    }

    /// When time alone decides.
    pub(crate) fn deadline(&self, rules: &EarlyWarning) -> Option<Time> {
        let urgent = self.urgent.filter(|_| self.raised.is_none());
        let emergency = self
            .emergency
            .filter(|_| self.raised != Some(Priority::High));
        let strain = self.strain.due(rules).filter(|_| self.raised.is_none());
        [urgent, emergency, self.calm]
            .map(|since| since.map(|since| since + rules.hold))
            .into_iter()
            .chain([strain])
            .flatten()
            .min()
    }
}

/// The nearest value of one parameter with which nobody would be called, all else as it is; `None`: it alone cannot avoid it, or it
/// is no number.
fn avoid(inputs: &Inputs, rules: &EarlyWarning, parameter: Parameter) -> Option<f64> {
    let unit = if parameter == Parameter::Temperature {
        0.1
    } else {
        1.0
    };
    let value = Score::of(inputs).part(parameter).value?;
    (1..=FAR)
        .flat_map(|steps| [f64::from(steps), -f64::from(steps)])
        .find_map(|steps| {
            let near = libm::round(value / unit + steps) * unit;
            let other = Score::of(&inputs.with(parameter, near));
            (other.low < rules.urgent && own_red(&other).is_none()).then_some(near)
        })
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
    (inputs, score): (&Inputs, &Score),
    rules: &EarlyWarning,
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
                    avoided_at: avoid(inputs, rules, parameter),
                    effective: *effective,
                    quality: *quality,
                    contribution: f64::from(points) / total,
                    known: false,
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
        Some(red) if score.low < rules.urgent => format!(": {} alone scores 3", red.name()),
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
        model_hash: fingerprint(&news2::definition(rules)),
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

crate::canonical_fields! {
    Strain { held, since, judged, holds }
    Warning { urgent, emergency, strain, calm, scored, raised }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals::Span;

    const RULES: EarlyWarning = EarlyWarning::BUILT_IN;

    /// With 2 points of something that exertion does not explain.
    fn score(respiration: f64, pulse: Result<f64, &'static str>) -> Score {
        strained(93.0, respiration, pulse)
    }

    fn strained(oxygen: f64, respiration: f64, pulse: Result<f64, &'static str>) -> Score {
        Score::of(&Inputs {
            respiration: Ok(respiration),
            oxygen_saturation: Ok(oxygen),
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
        // 2 + 2 = 4 for sure, up to 20 with what is missing.
        assert_eq!(
            warning.judge(&score(16.0, Ok(120.0)), &RULES, at(0)),
            Verdict::Nothing
        );
        assert_eq!(warning.deadline(&RULES), None);
        // 2 + 2 + 2 = 6.
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), &RULES, at(10)),
            Verdict::Nothing
        );
        assert_eq!(warning.deadline(&RULES), Some(at(70)));
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), &RULES, at(69)),
            Verdict::Nothing
        );
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), &RULES, at(70)),
            Verdict::Raise(Priority::Medium)
        );
        // 3 + 2 + 3 = 8.
        assert_eq!(
            warning.judge(&score(26.0, Ok(140.0)), &RULES, at(80)),
            Verdict::Nothing
        );
        assert_eq!(
            warning.judge(&score(26.0, Ok(140.0)), &RULES, at(140)),
            Verdict::Raise(Priority::High)
        );
    }

    #[test]
    fn a_flicker_starts_the_hold_again() {
        let mut warning = Warning::default();
        warning.judge(&score(22.0, Ok(120.0)), &RULES, at(0));
        warning.judge(&score(16.0, Ok(120.0)), &RULES, at(50));
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), &RULES, at(60)),
            Verdict::Nothing
        );
        assert_eq!(warning.deadline(&RULES), Some(at(120)));
    }

    #[test]
    fn a_single_three_counts_unless_it_has_a_rule_of_its_own() {
        let mut warning = Warning::default();
        warning.judge(&strained(94.0, 16.0, Ok(140.0)), &RULES, at(0));
        assert_eq!(warning.deadline(&RULES), None, "pulse has its own rule");
        warning.judge(&score(26.0, Ok(70.0)), &RULES, at(0));
        assert_eq!(
            warning.judge(&score(26.0, Ok(70.0)), &RULES, at(60)),
            Verdict::Raise(Priority::Medium)
        );
    }

    #[test]
    fn what_exertion_explains_must_hold_for_half_an_hour() {
        let stairs = strained(94.0, 22.0, Ok(120.0));
        let mut warning = Warning::default();
        assert_eq!(warning.judge(&stairs, &RULES, at(0)), Verdict::Nothing);
        assert_eq!(warning.deadline(&RULES), Some(at(1800)));
        assert_eq!(warning.judge(&stairs, &RULES, at(120)), Verdict::Nothing);
        // Something else joins: no longer.
        warning.judge(&score(22.0, Ok(120.0)), &RULES, at(130));
        assert_eq!(warning.deadline(&RULES), Some(at(190)));
    }

    #[test]
    fn a_total_that_wavers_around_its_limit_is_not_lost() {
        // Pneumonia without an oximeter that says more: over in every fifth minute, and never for long.
        let mut warning = Warning::default();
        let (ill, less) = (
            strained(94.0, 22.0, Ok(120.0)),
            strained(94.0, 20.0, Ok(120.0)),
        );
        let raised = (0..90).find(|minute| {
            let now = if minute % 5 == 4 { &less } else { &ill };
            warning.judge(now, &RULES, at(minute * 60)) != Verdict::Nothing
        });
        assert!(
            raised.is_some_and(|minute| (30..60).contains(&minute)),
            "{raised:?}"
        );
        // An emergency and a respiration of 25 do not wait.
        for worst in [
            strained(95.0, 26.0, Ok(140.0)),
            strained(96.0, 26.0, Ok(70.0)),
        ] {
            let mut warning = Warning::default();
            warning.judge(&worst, &RULES, at(0));
            assert_eq!(warning.deadline(&RULES), Some(at(60)));
        }
    }

    #[test]
    fn stairs_every_hour_do_not_add_up() {
        let mut warning = Warning::default();
        for hour in 0..24 {
            for (minute, score) in [
                (0, strained(94.0, 22.0, Ok(120.0))),
                (4, strained(96.0, 14.0, Ok(70.0))),
            ] {
                let verdict = warning.judge(&score, &RULES, at(hour * 3600 + minute * 60));
                assert_eq!(verdict, Verdict::Nothing);
            }
            for minute in 5..60 {
                warning.judge(
                    &strained(96.0, 14.0, Ok(70.0)),
                    &RULES,
                    at(hour * 3600 + minute * 60),
                );
            }
        }
    }

    #[test]
    fn what_goes_missing_is_no_recovery() {
        let mut warning = Warning::default();
        warning.judge(&score(22.0, Ok(120.0)), &RULES, at(0));
        assert_eq!(
            warning.judge(&score(22.0, Ok(120.0)), &RULES, at(60)),
            Verdict::Raise(Priority::Medium)
        );
        assert_eq!(
            warning.judge(&score(22.0, Err("too old")), &RULES, at(100)),
            Verdict::Nothing
        );
        assert_eq!(warning.deadline(&RULES), None);
        assert_eq!(
            warning.judge(&score(16.0, Ok(70.0)), &RULES, at(200)),
            Verdict::Nothing
        );
        assert_eq!(
            warning.judge(&score(16.0, Ok(70.0)), &RULES, at(260)),
            Verdict::Resolve
        );
    }

    /// Over many sets of numbers that call: what is said to avoid it does, nothing nearer does, and where nothing is said no value
    /// of that parameter would.
    #[test]
    fn what_would_have_avoided_a_call_is_the_nearest_value_that_does() {
        let mut state = 7_u64;
        let mut draw = |from: i32, to: i32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let span = u64::try_from(to - from).expect("a range");
            from + i32::try_from((state >> 33) % span).expect("small")
        };
        let calls = |inputs: &Inputs| {
            let score = Score::of(inputs);
            score.low >= RULES.urgent || own_red(&score).is_some()
        };
        let (mut single, mut none) = (0, 0);
        for _ in 0..800 {
            let scale_2 = draw(0, 2) == 1;
            let inputs = Inputs {
                respiration: Ok(f64::from(draw(6, 32))),
                oxygen_saturation: Ok(f64::from(draw(80, 101))),
                on_oxygen: [Ok(true), Ok(false), Err("not known")][draw(0, 3) as usize],
                systolic: Ok(f64::from(draw(80, 230))),
                pulse: Ok(f64::from(draw(35, 140))),
                alert: Ok(draw(0, 8) > 0),
                temperature: Ok(f64::from(draw(345, 400)) / 10.0),
                scale_2,
            };
            if !calls(&inputs) {
                continue;
            }
            for parameter in Parameter::ALL {
                let Some(value) = Score::of(&inputs).part(parameter).value else {
                    continue;
                };
                let tenths = |of: f64| {
                    if parameter == Parameter::Temperature {
                        of * 10.0
                    } else {
                        of
                    }
                };
                let from = libm::round(tenths(value)) as i32;
                let at = |steps: i32| {
                    let unit = if parameter == Parameter::Temperature {
                        10.0
                    } else {
                        1.0
                    };
                    inputs.with(parameter, f64::from(from + steps) / unit)
                };
                let nearest =
                    (1..=FAR).find(|steps| [*steps, -steps].iter().any(|of| !calls(&at(*of))));
                let said = avoid(&inputs, &RULES, parameter);
                let steps = said.map(|said| (libm::round(tenths(said)) as i32 - from).abs());
                assert_eq!(steps, nearest, "{parameter:?} {inputs:?}");
                if let Some(said) = said {
                    assert!(
                        !calls(&inputs.with(parameter, said)),
                        "{parameter:?} {said} {inputs:?}"
                    );
                    single += 1;
                } else {
                    none += 1;
                }
            }
        }
        assert!(single > 200 && none > 200, "{single} {none}");
    }
}
