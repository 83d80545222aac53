//! `patient void` and `patient voids`: what is asked, what was done.

use proto::v1::{PatientVoid, VoidReadingsRequest, VoidReadingsResponse};
use serde_json::{Value, json};

use super::show::{line, time};
use crate::admin::MOST_VOIDED;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The patient's id.
    patient: String,
    /// The sensor.
    #[arg(long, value_name = "AA:BB:CC:DD:EE:FF")]
    device: String,
    /// When it was put on wrongly, such as 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: jiff::Timestamp,
    /// Up to when (without).
    #[arg(long, value_name = "TIME")]
    to: jiff::Timestamp,
    /// Whose readings they are: they come into that patient's log as data that came late, and raise no alert.
    #[arg(long, value_name = "PATIENT")]
    to_patient: Option<String>,
    /// Why; told with each alert that is withdrawn.
    #[arg(long)]
    reason: String,
}

impl From<Arguments> for VoidReadingsRequest {
    fn from(asked: Arguments) -> Self {
        Self {
            patient: asked.patient,
            device: asked.device,
            from_us: asked.from.as_microsecond(),
            to_us: asked.to.as_microsecond(),
            to_patient: asked.to_patient.unwrap_or_default(),
            reason: asked.reason,
        }
    }
}

/// For people.
pub(super) fn done(voided: &VoidReadingsResponse) -> String {
    let more = if voided.readings == MOST_VOIDED as u64 {
        " or more"
    } else {
        ""
    };
    format!(
        "{}{more} readings are void, {} of them moved (entry {})\n",
        voided.readings, voided.moved, voided.position
    )
}

/// For people.
pub(super) fn list(voids: &[PatientVoid]) -> String {
    let mut text = String::new();
    for void in voids {
        let whose = if void.to_patient.is_empty() {
            String::new()
        } else {
            format!("  given to {}", void.to_patient)
        };
        let state = if void.settled_position == 0 {
            "the twin still rests on them: its log is being read again"
        } else {
            "nothing rests on them"
        };
        line(
            &mut text,
            &format!(
                "entry {}  {}  {} to {}{whose}\n  {} by {}: {}\n  {state}",
                void.position,
                void.devices.join(" "),
                time(void.from_us),
                time(void.to_us),
                time(void.voided_us),
                void.by,
                void.reason,
            ),
        );
    }
    if text.is_empty() {
        line(&mut text, "nothing was voided");
    }
    text
}

pub(super) fn list_json(voids: &[PatientVoid]) -> Value {
    let one = |void: &PatientVoid| {
        json!({
            "position": void.position,
            "voided_us": void.voided_us,
            "by": void.by,
            "reason": void.reason,
            "from_us": void.from_us,
            "to_us": void.to_us,
            "devices": void.devices,
            "to_patient": void.to_patient,
            "settled_position": void.settled_position,
        })
    };
    json!({ "voids": voids.iter().map(one).collect::<Vec<_>>() })
}
