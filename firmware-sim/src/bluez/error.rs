//! The errors that bluetoothd answers with, by their D-Bus names and texts.

/// An error of the daemon. Texts are those of BlueZ 5.66.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.bluez.Error")]
pub(crate) enum Error {
    /// Trouble on the bus itself.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// General failure; the text says which.
    Failed(String),
    /// Already under way.
    InProgress(String),
    /// The adapter is off.
    NotReady(String),
    /// There is no link.
    NotConnected(String),
    /// The characteristic cannot do that.
    NotSupported(String),
    /// The characteristic does not allow that.
    NotPermitted(String),
    /// No such object.
    DoesNotExist(String),
    /// An agent, or a bond, is there already.
    AlreadyExists(String),
    /// An argument that is not one of those allowed.
    InvalidArguments(String),
    /// Keys or numbers do not agree.
    AuthenticationFailed(String),
    /// The agent said no.
    AuthenticationRejected(String),
    /// Pairing was broken off.
    AuthenticationCanceled(String),
}

impl Error {
    /// What the device answered, by the attribute protocol's error code.
    pub(crate) fn att(code: u8) -> Self {
        match code {
            0x03 => Self::write_not_permitted(),
            code => Self::Failed(format!("Operation failed with ATT error: 0x{code:02x}")),
        }
    }
}

macro_rules! standard {
    ($($(#[$doc:meta])* $name:ident => $variant:ident $text:literal;)*) => {
        impl Error {
            $($(#[$doc])* pub(crate) fn $name() -> Self { Self::$variant($text.into()) })*
        }
    };
}

standard! {
    /// A second scan by the same client, or a second connect.
    already_in_progress => InProgress "Operation already in progress";
    /// `StartNotify` while the session waits for its link to come back.
    in_progress => InProgress "In Progress";
    /// The adapter is not powered.
    not_ready => NotReady "Resource Not Ready";
    /// `StopDiscovery` without a scan.
    no_discovery => Failed "No discovery started";
    /// The link could not be made.
    connection_aborted => Failed "le-connection-abort-by-local";
    /// `Disconnect` without a link.
    not_connected => NotConnected "Not Connected";
    /// A read or a subscription without a link.
    link_missing => Failed "Not connected";
    /// `StopNotify` without a session.
    no_session => Failed "No notify session started";
    /// The characteristic has no such procedure.
    not_supported => NotSupported "Operation is not supported";
    /// The characteristic is not readable.
    read_not_permitted => NotPermitted "Read not permitted";
    /// The characteristic is not writable.
    write_not_permitted => NotPermitted "Write not permitted";
    /// The characteristic wants an encrypted link, and there is no bond.
    not_paired => NotPermitted "Not paired";
    /// A second bond with a device, a second agent of a client.
    already_exists => AlreadyExists "Already Exists";
    /// An agent with a capability that there is not.
    bad_capability => InvalidArguments "Invalid arguments in method call";
    /// Pairing failed: no agent that could have answered, or a wrong passkey.
    authentication_failed => AuthenticationFailed "Authentication Failed";
    /// The agent refused.
    authentication_rejected => AuthenticationRejected "Authentication Rejected";
    /// `CancelPairing`, or the link went away.
    authentication_canceled => AuthenticationCanceled "Authentication Canceled";
    /// No such device, agent or pairing.
    does_not_exist => DoesNotExist "Does Not Exist";
}
