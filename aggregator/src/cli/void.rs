//! `patient void`: what is asked, and what was done.

use proto::v1::{VoidReadingsRequest, VoidReadingsResponse};

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
