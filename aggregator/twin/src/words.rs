//! What alerts say, once for clinicians and once in plain words, with the evidence that they rest on.
//!
//! Technical alerts name the hop: the sensor, its link, or the gateway. No word here names a patient.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use vitals::{Kind, Quality, Time};

use crate::alert::{Condition, Evidence, Priority};
use crate::event::{Context, LocalAlert};
use crate::forecast::{self, Fit};
use crate::life::Draft;
use crate::rhythm;
use crate::rule::{self, Level, Rules, Side, Threshold, fingerprint};
use crate::rules;

/// Names the threshold rules.
pub(crate) const THRESHOLDS: &str = "thresholds/3";
/// Names the technical rules.
pub(crate) const TECHNICAL: &str = "technical/2";

/// What a threshold rule found.
pub(crate) struct Beyond<'a> {
    pub(crate) rule: &'a Threshold,
    pub(crate) level: Level,
    pub(crate) kind: Kind,
    pub(crate) onset: Time,
    pub(crate) value: f64,
    pub(crate) at: Time,
    pub(crate) quality: Quality,
    /// What bends the rules for this patient.
    pub(crate) context: Context,
    /// The rules for everybody.
    pub(crate) rules: &'a Rules,
    /// The limit of the heart rate was learned from this person's nights.
    pub(crate) learned: bool,
}

impl Beyond<'_> {
    /// It lasts, or is so far beyond, that a person is asked again who took notice of an episode before.
    /// `asked`: how often that was so already.
    pub(crate) fn is_worse(&self, asked: u32) -> bool {
        rule::again(self.rule.condition).is_some_and(|again| {
            let first = self.rule.levels.first().map_or(0.0, |level| level.cut);
            let lasting = again.lasting.as_micros() << asked.min(8);
            let deeper = again.deeper * (1.0 + 0.5 * f64::from(asked));
            self.at.since(self.onset).as_micros() >= lasting
                || libm::fabs(self.value - first) >= deeper
        })
    }
}

/// A threshold crossed. `past`: found in late data.
pub(crate) fn threshold(found: &Beyond<'_>, past: bool) -> Draft {
    let Beyond { rule, level, .. } = found;
    let (beyond, plain) = match rule.side {
        Side::Below => ("below", "lower"),
        Side::Above => ("above", "higher"),
    };
    let unit = if found.kind.info().unit == "%" {
        " %"
    } else {
        found.kind.info().unit
    };
    let (label, cut, value) = (rule.label, level.cut, found.value);
    let (summary, plain_summary) = if past {
        (
            format!(
                "{label} was {beyond} {cut}{unit} (worst ten seconds {value:.1}{unit}), seen in data that came late."
            ),
            format!(
                "{label} was {plain} than it should be for a while; the readings arrived late."
            ),
        )
    } else {
        (
            format!(
                "{label} {value:.1}{unit}, {beyond} {cut}{unit} for {} s or more.",
                level.hold.as_micros() / 1_000_000
            ),
            format!("{label} is {plain} than it should be."),
        )
    };
    let own = found.learned && rule.condition == Condition::HeartRateLow;
    let learned = own.then(|| Evidence {
        kind: None,
        label: format!(
            "Limit learned from this person's nights; for everybody {}/min",
            rule::first_cut(&found.rules.heart_rate_low)
        ),
        value: rule.levels.first().map(|level| level.cut),
        limit: None,
        avoided_at: None,
        effective: found.at,
        quality: Quality::GOOD,
        contribution: 0.0,
        known: false,
    });
    Draft {
        condition: rule.condition,
        priority: level.priority,
        onset: found.onset,
        summary,
        plain_summary,
        evidence: vec![Evidence {
            kind: Some(found.kind),
            label: format!("{label}, mean of ten seconds"),
            value: Some(value),
            limit: Some(cut),
            // None of its levels lies nearer to normal than the first.
            avoided_at: rule.levels.first().map(|level| level.cut),
            effective: found.at,
            quality: found.quality,
            contribution: 1.0,
            known: false,
        }]
        .into_iter()
        .chain(learned)
        .collect(),
        model: THRESHOLDS,
        model_hash: fingerprint(&rule::definition(found.rules, &found.context)),
        expected: None,
        probability: None,
        subject: String::new(),
        told_locally: None,
    }
}

/// What a gateway told by itself; `None` if no rule has such a condition. `past`: it is over, or not about now.
pub(crate) fn told(told: &LocalAlert, in_force: &Rules, past: bool) -> Option<Draft> {
    // A gateway goes by the rules in force if it has heard of them, else by what is built in; of the patient it knows nothing.
    let at_limit = |rules| {
        let thresholds = rule::thresholds(rules, false);
        let rule = thresholds
            .into_iter()
            .find(|rule| rule.condition == told.condition)?;
        let limit = |level: &&Level| level.cut.total_cmp(&told.limit).is_eq();
        let level = rule.levels.iter().find(limit).copied();
        Some((rules, rule, level))
    };
    let known = at_limit(in_force).filter(|(.., level)| level.is_some());
    let (rules, rule, level) = known.or_else(|| at_limit(&rules::BUILT_IN))?;
    let rule = &rule;
    let found = Beyond {
        rule,
        level: level.or(rule.levels.first().copied())?,
        kind: told.kind,
        onset: told.onset,
        value: told.value,
        at: told.as_of,
        quality: Quality::GOOD,
        context: Context::default(),
        rules,
        learned: false,
    };
    let mut draft = threshold(&found, past);
    draft.priority = Priority::High;
    draft.told_locally = Some(told.raised);
    if past {
        let unit = told.kind.info().unit;
        draft.summary = format!(
            "{} was {:.1} {unit} (limit {} {unit}), as the gateway saw it.",
            rule.label, told.value, told.limit
        );
    }
    draft.summary.push_str(
        " The gateway told the home of it by itself, because it heard nothing from the centre.",
    );
    draft
        .plain_summary
        .push_str(" The home was told of it while the line was down.");
    Some(draft)
}

/// Atrial fibrillation. `past`: found in late data. `light`: in pulse waves alone, which tell less: low priority, and said so.
pub(crate) fn fibrillation(
    onset: Time,
    score: f64,
    at: Time,
    quality: Quality,
    (past, light): (bool, bool),
) -> Draft {
    let (cut, condition) = (rhythm::CUT, Condition::AtrialFibrillation);
    let (intervals, begins, hold) = if light {
        ("pulse intervals", "Pulse intervals", rhythm::LIGHT_HOLD)
    } else {
        ("RR intervals", "RR intervals", rule::RHYTHM_HOLD)
    };
    let alone = if light {
        " Seen by light alone, where early beats and movement look alike."
    } else {
        ""
    };
    let (summary, plain_summary) = if past {
        (
            format!(
                "{begins} looked like atrial fibrillation (irregularity {score:.3}, cut {cut}), seen in data that came late.{alone}"
            ),
            "The heart beat irregularly for a while; the readings arrived late.".into(),
        )
    } else {
        (
            format!(
                "Possible atrial fibrillation: irregularity of {intervals} {score:.3}, cut {cut}, for {} s or more.{alone} Confirm with an ECG.",
                hold.as_micros() / 1_000_000
            ),
            if light {
                "The pulse looks irregular. An ECG can tell what it is."
            } else {
                "The heart beats irregularly. An ECG can tell what it is."
            }
            .into(),
        )
    };
    let (kind, model, definition) = if light {
        let definition = rhythm::light_definition();
        (Kind::PulseInterval, rhythm::LIGHT_MODEL, definition)
    } else {
        (Kind::RrInterval, rhythm::MODEL, rhythm::definition())
    };
    Draft {
        condition,
        priority: if light {
            Priority::Low
        } else {
            condition.base()
        },
        onset,
        summary,
        plain_summary,
        evidence: vec![Evidence {
            kind: Some(kind),
            label: format!("Irregularity of {intervals} (entropy and novelty)"),
            value: Some(score),
            limit: Some(cut),
            avoided_at: Some(cut),
            effective: at,
            quality,
            contribution: 1.0,
            known: false,
        }],
        model,
        model_hash: fingerprint(&definition),
        expected: None,
        probability: None,
        subject: String::new(),
        told_locally: None,
    }
}

/// Saturation is foreseen to cross its limit. The contributions are the share of the way to the expected
/// value at the horizon that lies behind, and the share that lies ahead.
pub(crate) fn falling(
    fit: &Fit,
    expected: Time,
    probability: f64,
    at: Time,
    quality: Quality,
) -> Option<Draft> {
    let kind = Kind::OxygenSaturation;
    let rule = forecast::rule(kind)?;
    let predict = rule.predict?;
    let horizon = predict.horizon;
    let path = |buckets: i64| {
        (0..buckets)
            .fold((0.0, fit.slope), |(sum, slope), _| {
                (sum + slope, slope * rule.damping)
            })
            .0
    };
    let (behind, ahead) = (libm::fabs(fit.moved), libm::fabs(path(horizon)));
    let share = behind / (behind + ahead);
    let per_minute = fit.slope * 6.0;
    let minutes = expected.since(at).as_secs_f64() / 60.0;
    let item = |label: &str, value: f64, limit: Option<f64>, contribution: f64| Evidence {
        kind: Some(kind),
        label: label.into(),
        value: Some(value),
        limit,
        avoided_at: None,
        effective: at,
        quality,
        contribution,
        known: false,
    };
    Some(Draft {
        condition: Condition::OxygenSaturationFalling,
        priority: Condition::OxygenSaturationFalling.base(),
        onset: at,
        summary: format!(
            "Oxygen saturation {:.1} %, falling by {:.2} % per minute: expected below {} % in about {minutes:.0} min (probability {:.0} % within {} min).",
            fit.level,
            -per_minute,
            rule.threshold,
            probability * 100.0,
            horizon / 6
        ),
        plain_summary: "The oxygen in the blood is falling and may soon be too low.".into(),
        evidence: vec![
            Evidence {
                avoided_at: Some(-predict.moved),
                ..item("Fall so far, % saturation", fit.moved, None, share)
            },
            item(
                "Trend, % saturation per minute",
                per_minute,
                None,
                1.0 - share,
            ),
            item("Level now", fit.level, Some(rule.threshold), 0.0),
        ],
        model: forecast::MODEL,
        model_hash: fingerprint(&forecast::definition(kind)),
        expected: Some(expected),
        probability: Some(probability),
        subject: String::new(),
        told_locally: None,
    })
}

/// A technical alert: condition, subject, what is said, since when, and the figure that it rests on.
pub(crate) struct Fault {
    pub(crate) condition: Condition,
    pub(crate) subject: String,
    pub(crate) onset: Time,
    pub(crate) kind: Option<Kind>,
    pub(crate) value: Option<f64>,
    pub(crate) detail: String,
}

/// A technical alert.
pub(crate) fn technical(fault: Fault) -> Draft {
    let Fault {
        condition,
        subject,
        onset,
        kind,
        value,
        detail,
    } = fault;
    let plain = match condition {
        Condition::GatewaySilent => {
            "The box that collects the readings has stopped talking to us. Is it switched on and connected?"
        }
        Condition::SensorOff => {
            "A sensor is not on the body, or cannot measure. Please put it on again."
        }
        Condition::BatteryLow => "A sensor's battery is nearly empty. Please charge or replace it.",
        Condition::DeviceSilent => "A sensor is connected but sends nothing.",
        Condition::DeviceLost => "A sensor is out of reach of the box that collects the readings.",
        Condition::ClockWrong => "A sensor's clock is wrong; its readings are set aside.",
        Condition::NotMonitored => {
            "No readings reach us now, so nobody is watching them: the box that collects them was shut out. \
             Please ask the team to set up a box again."
        }
        Condition::AtrialFibrillation
        | Condition::OxygenSaturationFalling
        | Condition::OxygenSaturationLow
        | Condition::HeartRateHigh
        | Condition::HeartRateLow
        | Condition::EarlyWarningScore
        | Condition::GlucoseLow
        | Condition::GlucoseHigh
        | Condition::GlucoseFalling
        | Condition::GlucoseRising
        | Condition::HeartPause
        | Condition::ShockIndexHigh
        | Condition::Fever
        | Condition::RestingHeartRateRaised
        | Condition::HeartFailureDrift
        | Condition::BreathingDrift
        | Condition::BloodPressureLow
        | Condition::Fall
        | Condition::GlucoseSensorPressed
        | Condition::AnotherWearer => "",
    };
    let limit = (condition == Condition::BatteryLow).then(|| f64::from(rule::BATTERY_LOW));
    let evidence: Vec<Evidence> = vec![Evidence {
        kind,
        label: detail.clone(),
        value,
        limit,
        avoided_at: limit,
        effective: onset,
        quality: Quality::GOOD,
        contribution: 1.0,
        known: false,
    }];
    Draft {
        condition,
        priority: condition.base(),
        onset,
        summary: format!("{subject}: {detail}."),
        plain_summary: plain.into(),
        evidence,
        model: TECHNICAL,
        model_hash: fingerprint(&rule::technical_definition()),
        expected: None,
        probability: None,
        subject,
        told_locally: None,
    }
}
