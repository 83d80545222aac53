//! `patient`: who is a patient, whose devices are collected where, and what the patient allows.
//!
//! Must not know: how an act is done.

use anyhow::Result;
use proto::clock::Clock;
use proto::v1::Collection;

use super::office::Office;
use super::{PatientCommand, print, show, void};
use crate::dir::CentreDir;

pub(super) async fn run(command: PatientCommand, dir: CentreDir, clock: Clock) -> Result<()> {
    let mut office = Office::open(dir, clock).await?;
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
