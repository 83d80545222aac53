//! Commands: everything the centre orders, signed by the command key that the gateway pinned at enrolment.

use prost::Message as _;
use vitals::GatewayId;

use super::crypto::{self, SigningKey};
use crate::v1::{Command, SignedCommand};

const LABEL: &[u8] = b"vitaltwin command v1\0";

/// Why a gateway does not obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The signature is not by the pinned command key.
    #[error("the command's signature is not by the centre's command key")]
    Forged,
    /// Signed by the centre, but not a command: this agent may be too old.
    #[error("the command does not parse: update the agent")]
    Malformed,
    /// It is for another gateway.
    #[error("the command is for another gateway")]
    OtherGateway,
    /// It was obeyed before, or a newer one was.
    #[error("command {number} is not newer than {last}")]
    Stale {
        /// Its number.
        number: u64,
        /// The highest number obeyed.
        last: u64,
    },
}

/// Signs a command.
#[must_use]
pub fn sign(key: &SigningKey, command: &Command) -> SignedCommand {
    let command = command.encode_to_vec();
    let signature = key.sign(&[LABEL, &command].concat());
    SignedCommand { command, signature }
}

/// The command, if this gateway must obey it: signed under the pinned key (uncompressed P-256 point), for
/// this gateway, and with a number higher than `last`.
///
/// # Errors
/// [`CommandError`].
pub fn verify(
    command_key: &[u8; 65],
    gateway: &GatewayId,
    last: u64,
    signed: &SignedCommand,
) -> Result<Command, CommandError> {
    let message = [LABEL, &signed.command].concat();
    crypto::verify_p256(command_key, &message, &signed.signature)
        .map_err(|_| CommandError::Forged)?;
    let command =
        Command::decode(signed.command.as_slice()).map_err(|_| CommandError::Malformed)?;
    if command.gateway != gateway.as_str() {
        return Err(CommandError::OtherGateway);
    }
    if command.number <= last {
        return Err(CommandError::Stale {
            number: command.number,
            last,
        });
    }
    Ok(command)
}
