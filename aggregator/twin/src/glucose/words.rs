//! What alerts about glucose say, once for clinicians and once in plain words. No word here names a patient.

use alloc::string::String;
use alloc::{format, vec};

use vitals::{Kind, Quality, Span, Time};

use super::{HIGH, LOW, MODEL, VERY_LOW, definition};
use crate::alert::{Condition, Evidence, Priority};
use crate::life::Draft;
use crate::rule::fingerprint;

/// The reading that an alert rests on.
pub(super) struct Shown {
    pub(super) kind: Kind,
    pub(super) onset: Time,
    pub(super) at: Time,
    pub(super) value: f64,
    pub(super) quality: Quality,
    /// It fell faster than sugar falls, from there.
    pub(super) before: Option<f64>,
}

fn draft(shown: &Shown, condition: Condition, priority: Priority, limit: f64) -> Draft {
    Draft {
        condition,
        priority,
        onset: shown.onset,
        summary: String::new(),
        plain_summary: String::new(),
        evidence: vec![Evidence {
            kind: Some(shown.kind),
            label: "Glucose".into(),
            value: Some(shown.value),
            limit: Some(limit),
            avoided_at: Some(limit),
            effective: shown.at,
            quality: shown.quality,
            contribution: 1.0,
            known: false,
        }],
        model: MODEL,
        model_hash: fingerprint(&definition()),
        expected: None,
        probability: None,
        subject: String::new(),
        told_locally: None,
    }
}

/// `lasts`: two readings below the first limit; else one below the second rings by itself.
pub(super) fn low(shown: &Shown, priority: Priority, lasts: bool) -> Draft {
    let limit = if priority == Priority::High {
        VERY_LOW
    } else {
        LOW
    };
    let mut now = draft(shown, Condition::GlucoseLow, priority, limit);
    for one in &mut now.evidence {
        one.avoided_at = Some(if lasts { LOW } else { VERY_LOW });
    }
    let fell = shown.before.map_or_else(String::new, |before| {
        format!(" It fell from {before:.0} faster than sugar falls: the sensor may be pressed upon; a drop of blood tells.")
    });
    Draft {
        summary: format!(
            "Glucose {:.0} mg/dL, below {limit} mg/dL.{fell}",
            shown.value
        ),
        plain_summary:
            "The sugar in the blood is too low. Follow what was agreed for this, and measure again."
                .into(),
        ..now
    }
}

/// It is about the sensor, and the value is told all the same.
pub(super) fn pressed(shown: &Shown, before: f64) -> Draft {
    Draft {
        summary: format!(
            "Glucose {:.0} mg/dL after {before:.0}, faster than sugar falls: the sensor may be pressed upon. It is told as a \
             low all the same; a drop of blood tells.",
            shown.value
        ),
        plain_summary: "The sugar reading fell suddenly. Are you lying on the sensor? Turn over, and measure with a drop of blood if you feel unwell."
            .into(),
        ..draft(
            shown,
            Condition::GlucoseSensorPressed,
            Condition::GlucoseSensorPressed.base(),
            LOW,
        )
    }
}

pub(super) fn past(shown: &Shown) -> Draft {
    Draft {
        summary: format!(
            "Glucose was below {LOW} mg/dL (lowest {:.0}), seen in data that came late.",
            shown.value
        ),
        plain_summary: "The sugar in the blood was too low for a while; the readings arrived late."
            .into(),
        ..draft(
            shown,
            Condition::GlucoseLow,
            Condition::GlucoseLow.base(),
            LOW,
        )
    }
}

pub(super) fn high(shown: &Shown) -> Draft {
    Draft {
        summary: format!("Glucose {:.0} mg/dL, above {HIGH} mg/dL.", shown.value),
        plain_summary: "The sugar in the blood is too high.".into(),
        ..draft(
            shown,
            Condition::GlucoseHigh,
            Condition::GlucoseHigh.base(),
            HIGH,
        )
    }
}

pub(super) fn falling(shown: &Shown, ahead: f64, probability: f64) -> Draft {
    Draft {
        plain_summary: "The sugar in the blood is falling and may soon be too low.".into(),
        ..foreseen(
            shown,
            Condition::GlucoseFalling,
            ("below", LOW),
            ahead,
            probability,
        )
    }
}

pub(super) fn rising(shown: &Shown, ahead: f64, probability: f64) -> Draft {
    Draft {
        plain_summary: "The sugar in the blood is rising and may soon be too high.".into(),
        ..foreseen(
            shown,
            Condition::GlucoseRising,
            ("above", HIGH),
            ahead,
            probability,
        )
    }
}

fn foreseen(
    shown: &Shown,
    condition: Condition,
    (side, limit): (&str, f64),
    ahead: f64,
    probability: f64,
) -> Draft {
    let now = draft(shown, condition, condition.base(), limit);
    let evidence = |of: &Evidence| {
        let expected = Evidence {
            label: "Glucose expected in 30 min".into(),
            value: Some(ahead),
            ..of.clone()
        };
        // The decision rests on what is expected; what is measured is shown beside it.
        let measured = Evidence {
            avoided_at: None,
            contribution: 0.0,
            known: false,
            ..of.clone()
        };
        [measured, expected]
    };
    Draft {
        summary: format!(
            "Glucose {:.0} mg/dL, expected at {ahead:.0} in 30 min: {side} {limit} with a probability of {:.0} %.",
            shown.value,
            probability * 100.0
        ),
        evidence: now.evidence.iter().flat_map(evidence).collect(),
        expected: Some(shown.at + Span::from_mins(30)),
        probability: Some(probability),
        ..now
    }
}
