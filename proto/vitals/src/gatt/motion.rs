//! The step counter of InfiniTime, the open firmware of the `PineTime` watch: motion service
//! `00030000-78fc-48fe-8e23-433b3a1942d0`, step count `00030001-...`, a little-endian u32.
//!
//! Why this one: the SIG's step counters (Physical Activity Monitor 183E, Running Speed and Cadence 1814) are
//! hardly found on watches; this one is on a watch that people own and can program.

use alloc::vec::Vec;

use super::DecodeError;
use super::octets::Octets;

/// `00030001-78fc-48fe-8e23-433b3a1942d0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepCount {
    /// Steps since the watch's counter was reset (it does so at midnight of its own clock).
    pub steps: u32,
}

impl StepCount {
    /// From the octets of a read or notification.
    ///
    /// # Errors
    /// Short or trailing.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let steps = octets.u32("steps")?;
        octets.finish(false)?;
        Ok(Self { steps })
    }

    /// The octets of a read or notification.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        self.steps.to_le_bytes().into()
    }
}
