//! PURE. Assignments as the agent uses them: checked once, where they come in.
//!
//! Invariant: a list is taken whole or refused whole, so that nothing is half obeyed.

use proto::seal::{KeyId, PatientPublic};
use proto::v1;
use vitals::{StreamId, Time};

use crate::ble::Address;

/// One assignment, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The stream.
    pub stream: StreamId,
    /// Generation of the patient's key.
    pub key_id: KeyId,
    /// The patient's public key.
    pub public_key: PatientPublic,
    /// Devices whose readings belong to the stream.
    pub devices: Vec<Address>,
    /// Readings count from this time on.
    pub from: Time,
}

impl Assignment {
    /// From the contract's message; the name of the first field that does not hold.
    ///
    /// # Errors
    /// That name.
    pub fn parse(message: &v1::Assignment) -> Result<Self, &'static str> {
        let devices = message.devices.iter().map(|text| Address::parse(text));
        Ok(Self {
            stream: StreamId::from_slice(&message.stream).ok_or("stream")?,
            key_id: KeyId::from_slice(&message.key_id).ok_or("key_id")?,
            public_key: PatientPublic::from_slice(&message.public_key).ok_or("public_key")?,
            devices: devices.collect::<Option<_>>().ok_or("devices")?,
            from: Time::from_micros(message.effective_from_us),
        })
    }
}

/// Errors of a signed assignment list, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// A field does not hold.
    #[error(
        "assignment {index}: {field} is malformed: the centre and this agent do not fit together"
    )]
    Malformed {
        /// Which assignment, from 0.
        index: usize,
        /// The field.
        field: &'static str,
    },
}

/// Checks a whole list; one bad assignment refuses it all, so that nothing is half obeyed.
///
/// # Errors
/// [`AssignmentError`].
pub fn parse_assignments(list: &v1::AssignmentList) -> Result<Vec<Assignment>, AssignmentError> {
    let parse = |(index, message)| {
        Assignment::parse(message).map_err(|field| AssignmentError::Malformed { index, field })
    };
    list.assignments.iter().enumerate().map(parse).collect()
}
