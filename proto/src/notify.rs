//! Tells systemd how the agent is: ready, alive, stopping. Without systemd every call does nothing.
//!
//! The protocol is one datagram of `KEY=value` lines to the socket that `NOTIFY_SOCKET` names (sd_notify(3)).
//! The watchdog is fed by the loop that does the work, so a program that hangs is started anew.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to systemd, if there is one.
#[derive(Debug, Default)]
pub struct Notifier(Option<(UnixDatagram, SocketAddr)>);

impl Notifier {
    /// From the environment that systemd gives.
    #[must_use]
    pub fn from_env() -> Self {
        let name = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
        Self::to(&name).unwrap_or_default()
    }

    /// To the socket of this name; "@" begins an abstract one.
    ///
    /// # Errors
    /// The name is none, or there are no sockets.
    pub fn to(name: &str) -> io::Result<Self> {
        let address = match name.strip_prefix('@') {
            Some(hidden) => SocketAddr::from_abstract_name(hidden)?,
            None if name.starts_with('/') => SocketAddr::from_pathname(name)?,
            None => return Ok(Self(None)),
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not stop the work.
        socket.set_nonblocking(true)?;
        Ok(Self(Some((socket, address))))
    }

    /// Everything is built: units that wait for this one may start.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// The loop turns; `status` is shown by `systemctl status`.
    pub fn alive(&self, status: &str) {
        self.say(&format!("WATCHDOG=1\nSTATUS={status}"));
    }

    /// It stops in order.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=draining");
    }

    fn say(&self, text: &str) {
        if let Some((socket, address)) = &self.0 {
            // A manager that cannot be told notices by itself: the watchdog is not fed.
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_each_word() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify");
        let heard = UnixDatagram::bind(&path).expect("bound");
        let notifier = Notifier::to(&path.to_string_lossy()).expect("a path");
        let hear = || {
            let mut bytes = [0; 256];
            let length = heard.recv(&mut bytes).expect("a datagram");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        notifier.ready();
        assert_eq!(hear(), "READY=1");
        notifier.alive("connected");
        assert_eq!(hear(), "WATCHDOG=1\nSTATUS=connected");
        notifier.stopping();
        assert!(hear().starts_with("STOPPING=1"));
    }

    #[test]
    fn without_systemd_nothing_happens() {
        for name in [
            "",
            "nonsense",
            "/nowhere/notify",
            "@vitaltwin-nobody-listens",
        ] {
            let notifier = Notifier::to(name).expect("no error");
            notifier.ready();
            notifier.alive("");
        }
    }
}
