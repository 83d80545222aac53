//! The contract's services for readers. Each file is one service; `watch` is what their streams share.
//!
//! Must not know: TLS, the journal's format, how rights come about.

pub(super) mod alert;
pub(super) mod history;
pub(super) mod twin;
mod watch;

use tonic::{Request, Status};
use vitals::PatientId;

use super::access::Caller;
use super::error;
use super::peer::Stopping;

/// Patients that one call may name.
const PATIENTS: usize = 1000;

/// Who asks; the guard has put it there.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Status::internal("a call came past the guard: report it to the makers"))
}

/// When the centre stops; never for a call that did not come through the port.
fn stopping<T>(request: &Request<T>) -> Stopping {
    request
        .extensions()
        .get::<Stopping>()
        .cloned()
        .unwrap_or_default()
}

fn patient(field: &str, text: &str) -> Result<PatientId, Status> {
    PatientId::parse(text)
        .ok_or_else(|| error::invalid(field, "must be a patient's id as `patient list` shows it"))
}

fn patients(texts: &[String]) -> Result<Vec<PatientId>, Status> {
    if texts.len() > PATIENTS {
        return Err(error::invalid(
            "patients",
            "at most 1000; leave it empty for all",
        ));
    }
    texts.iter().map(|text| patient("patients", text)).collect()
}
