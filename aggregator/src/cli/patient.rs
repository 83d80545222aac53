//! `patient`: who they are, what is read of them, and what is shown of one.
//!
//! Must not know: how it is done.

use anyhow::Result;
use clap::Subcommand;
use proto::clock::Clock;
use proto::v1::Collection;

use super::look::{self, ShowArguments};
use super::office::Office;
use super::{print, show, void};
use crate::dir::CentreDir;

#[derive(Debug, Subcommand)]
pub(super) enum PatientCommand {
    /// Add a patient; prints the pseudonymous id.
    Add {
        /// Display name; kept sealed under the patient's own key.
        #[arg(long, default_value = "")]
        name: String,
        /// Mark everything about this patient as simulated.
        #[arg(long)]
        test_data: bool,
    },
    /// List patients with their gateways and devices.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// A patient's twin as it is now: values with their age and what is usual, scores, forecasts, alerts, devices. Needs the
    /// running centre.
    Show(ShowArguments),
    /// Say which devices of a patient a gateway collects: the whole list, which replaces the former one.
    Assign {
        /// The patient's id.
        patient: String,
        /// The gateway's id.
        #[arg(long)]
        gateway: String,
        /// A Bluetooth address (repeat it for more).
        #[arg(
            long = "device",
            value_name = "AA:BB:CC:DD:EE:FF",
            required_unless_present = "end"
        )]
        devices: Vec<String>,
        /// End the assignment; what the gateway holds already is still taken.
        #[arg(long, conflicts_with = "devices")]
        end: bool,
    },
    /// The patient wants a pause: no device is read from now on, at any gateway. What was measured before is still
    /// delivered.
    Pause {
        /// The patient's id.
        patient: String,
    },
    /// The patient withdraws the consent to be measured. What was measured before is still delivered, unless it is to
    /// be erased.
    Withdraw {
        /// The patient's id.
        patient: String,
        /// Delete on the gateways what they have not delivered; it is not taken any more.
        #[arg(long)]
        erase_unsent: bool,
    },
    /// Make a new key for the patient: gateways seal to it from their next contact on. What was sealed to the former
    /// keys still opens; `patient list` shows who has not changed yet.
    RotateKey {
        /// The patient's id.
        patient: String,
    },
    /// Void readings of a sensor that somebody else wore: nothing rests on them any more, alerts that did are withdrawn with
    /// the reason, and questions as of an earlier time still show them. Cannot be undone.
    Void(void::Arguments),
    /// What was voided of a patient: when, by whom, why, and whether the twin has been freed of it.
    Voids {
        /// The patient's id.
        patient: String,
        /// As JSON, with the field names of `PatientVoid` in proto/v1/operator.proto.
        #[arg(long)]
        json: bool,
    },
    /// The patient agrees (again): devices are read from now on as they were assigned before.
    Resume {
        /// The patient's id.
        patient: String,
    },
}

pub(super) async fn run(command: PatientCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    let mut office = Office::open(dir.clone(), clock).await?;
    let answer = match command {
        PatientCommand::Add { name, test_data } => office
            .add_patient(&name, test_data)
            .await
            .map(|patient| patient.patient + "\n"),
        PatientCommand::List { json } => match office.patients().await {
            Ok(patients) if json => show::json(&show::patients_json(&patients)),
            Ok(patients) => Ok(show::patients(&patients)),
            Err(error) => Err(error),
        },
        PatientCommand::Show(asked) => {
            office.close().await;
            return look::patient(asked, &dir, clock).await;
        }
        PatientCommand::Assign {
            patient,
            gateway,
            devices,
            end: _,
        } => office
            .assign(&patient, &gateway, &devices)
            .await
            .map(|assigned| show::assigned(&assigned)),
        PatientCommand::Pause { patient } => office
            .set_collection(&patient, Collection::Paused, false)
            .await
            .map(|()| "paused: no device is read until `patient resume`\n".into()),
        PatientCommand::Withdraw {
            patient,
            erase_unsent,
        } => office
            .set_collection(&patient, Collection::Withdrawn, erase_unsent)
            .await
            .map(|()| "withdrawn: no device is read any more\n".into()),
        PatientCommand::Void(arguments) => office
            .void(arguments.into())
            .await
            .map(|voided| void::done(&voided)),
        PatientCommand::Voids { patient, json } => match office.voids(&patient).await {
            Ok(voids) if json => show::json(&void::list_json(&voids)),
            Ok(voids) => Ok(void::list(&voids)),
            Err(error) => Err(error),
        },
        PatientCommand::RotateKey { patient } => office
            .rotate_key(&patient)
            .await
            .map(|rotated| show::rotated(&rotated)),
        PatientCommand::Resume { patient } => office
            .set_collection(&patient, Collection::Given, false)
            .await
            .map(|()| "devices are read from now on\n".into()),
    };
    office.close().await;
    print(&answer?)
}
