//! PURE. Assignments as the agent uses them: checked once, where they come in.
//!
//! Invariant: a list is taken whole or refused whole, so that nothing is half obeyed.

use std::collections::BTreeSet;

use proto::seal::{KeyId, PatientPublic};
use proto::v1::{self, Collection};
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

/// A stream that is not collected now by the patient's will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Which.
    pub stream: StreamId,
    /// Paused or withdrawn.
    pub collection: Collection,
    /// Since when.
    pub since: Time,
    /// What is left of it here is deleted unsent.
    pub erase_unsent: bool,
}

/// Everything that a gateway collects, and what it must not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duty {
    /// What it collects.
    pub assignments: Vec<Assignment>,
    /// What it does not, by a patient's will. None of them is among the assignments.
    pub withheld: Vec<Withheld>,
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

/// Checks a whole list; one bad entry refuses it all, so that nothing is half obeyed. A stream or a device
/// that is named twice is refused, too: which of two patients wears it is not guessed here.
///
/// # Errors
/// [`AssignmentError`].
pub fn parse_assignments(list: &v1::AssignmentList) -> Result<Duty, AssignmentError> {
    let parse = |(index, message)| {
        Assignment::parse(message).map_err(|field| AssignmentError::Malformed { index, field })
    };
    let parsed = list.assignments.iter().enumerate().map(parse);
    let assignments: Vec<Assignment> = parsed.collect::<Result<_, _>>()?;
    let (mut streams, mut devices) = (BTreeSet::new(), BTreeSet::new());
    for (index, assignment) in assignments.iter().enumerate() {
        let twice = |field| AssignmentError::Malformed { index, field };
        if !streams.insert(assignment.stream) {
            return Err(twice("stream"));
        }
        if !assignment
            .devices
            .iter()
            .all(|device| devices.insert(*device))
        {
            return Err(twice("devices"));
        }
    }
    let withheld = |(index, message): (usize, &v1::Withheld)| {
        let stream = StreamId::from_slice(&message.stream);
        Ok(Withheld {
            stream: stream.filter(|stream| streams.insert(*stream)).ok_or(
                AssignmentError::Malformed {
                    index,
                    field: "withheld",
                },
            )?,
            collection: message.collection(),
            since: Time::from_micros(message.since_us),
            erase_unsent: message.erase_unsent,
        })
    };
    let withheld = list.withheld.iter().enumerate().map(withheld);
    let withheld = withheld.collect::<Result<_, _>>()?;
    Ok(Duty {
        assignments,
        withheld,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(stream: u8, devices: &[&str]) -> v1::Assignment {
        v1::Assignment {
            stream: vec![stream; 16],
            key_id: vec![2; 8],
            public_key: vec![3; 32],
            devices: devices.iter().map(|&device| device.to_owned()).collect(),
            effective_from_us: 5,
        }
    }

    fn fault(assignments: Vec<v1::Assignment>) -> Option<(usize, &'static str)> {
        let parsed = parse_assignments(&v1::AssignmentList {
            assignments,
            withheld: Vec::new(),
        });
        let AssignmentError::Malformed { index, field } = parsed.err()?;
        Some((index, field))
    }

    #[test]
    fn nobody_is_guessed_when_a_stream_or_a_device_is_named_twice() {
        let (one, other) = ("AA:BB:CC:DD:EE:01", "AA:BB:CC:DD:EE:02");
        let fine = vec![assignment(1, &[one]), assignment(2, &[other])];
        assert_eq!(fault(fine), None);
        let streams = vec![assignment(1, &[one]), assignment(1, &[other])];
        assert_eq!(fault(streams), Some((1, "stream")));
        let devices = vec![
            assignment(1, &[one]),
            assignment(2, &[other, "aa_bb_cc_dd_ee_01"]),
        ];
        assert_eq!(fault(devices), Some((1, "devices")));
        assert_eq!(fault(vec![assignment(1, &["x"])]), Some((0, "devices")));
    }
}
