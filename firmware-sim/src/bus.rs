//! A D-Bus of one's own for one pretended machine, so that btleplug finds a Bluetooth daemon where there is none.
//!
//! The broker is a child process, `dbus-daemon`; where it is missing, the error says what to install. It listens on a socket
//! in a folder of ours and dies with the value. Clients are pointed at it by `DBUS_SYSTEM_BUS_ADDRESS`, which libdbus (and
//! so btleplug) honours.
//!
//! Why no broker in Rust (tried 2026-11-21): `busd` 0.6.1 keeps a client's match rules as a set, so that the second of two
//! equal `AddMatch` is lost and one `RemoveMatch` ends both. btleplug adds and removes the rule of its own notification
//! stream on every connect, and hears nothing any more.
//!
//! Must not know: Bluetooth.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a broker may take from its start to its socket; it takes 20 ms on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How often its socket is looked for meanwhile.
const START_POLL: Duration = Duration::from_millis(5);
/// The longest path a Unix socket can have, with room for a file name.
const SOCKET_PATH_LIMIT: usize = 100;

/// Why there is no private bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No broker is installed.
    #[error(
        "no dbus-daemon in PATH: install it with `apt-get install dbus-daemon` (Debian, Ubuntu), `dnf install \
         dbus-daemon` (Fedora) or `pacman -S dbus` (Arch)"
    )]
    NoBroker,
    /// The folder for socket and configuration cannot be used.
    #[error("the folder {0} for the private bus cannot be used")]
    Folder(PathBuf, #[source] std::io::Error),
    /// The folder's name is longer than a Unix socket's may be.
    #[error(
        "the folder {0} has too long a name for a Unix socket (at most {SOCKET_PATH_LIMIT} bytes)"
    )]
    PathTooLong(PathBuf),
    /// The broker could not be started.
    #[error("cannot start {program}")]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The broker started but did not listen.
    #[error("{program} did not listen within {START_LIMIT:?}; it said: {said}")]
    NotListening {
        /// Which.
        program: PathBuf,
        /// Its last words.
        said: String,
    },
}

/// A running private bus; dropping it ends the broker and removes what it made in the folder.
#[derive(Debug)]
pub struct PrivateBus {
    folder: PathBuf,
    address: String,
    broker: Child,
    program: PathBuf,
}

impl PrivateBus {
    /// Starts a broker whose socket lies in `folder`, which is created where missing.
    ///
    /// # Errors
    /// See [`BusError`]; [`BusError::NoBroker`] names the package to install.
    pub async fn start(folder: &Path) -> Result<Self, BusError> {
        let program = find_broker().ok_or(BusError::NoBroker)?;
        Self::start_with(&program, folder).await
    }

    /// The same with a given `dbus-daemon`.
    ///
    /// # Errors
    /// See [`BusError`].
    pub async fn start_with(program: &Path, folder: &Path) -> Result<Self, BusError> {
        Self::launch(program, folder, None).await
    }

    /// A bus that keeps so many match rules for each client and no more, as system buses do (512 by default).
    ///
    /// # Errors
    /// See [`BusError`].
    pub async fn start_limited(folder: &Path, match_rules: u32) -> Result<Self, BusError> {
        let program = find_broker().ok_or(BusError::NoBroker)?;
        Self::launch(&program, folder, Some(match_rules)).await
    }

    async fn launch(
        program: &Path,
        folder: &Path,
        match_rules: Option<u32>,
    ) -> Result<Self, BusError> {
        let bad_folder = |error| BusError::Folder(folder.into(), error);
        std::fs::create_dir_all(folder).map_err(bad_folder)?;
        let folder = folder.canonicalize().map_err(bad_folder)?;
        if folder.as_os_str().len() > SOCKET_PATH_LIMIT {
            return Err(BusError::PathTooLong(folder));
        }
        let socket = folder.join("bus");
        let log = folder.join("bus.log");
        remove(&socket);
        let configuration = folder.join("bus.conf");
        let text = configuration_text(&socket, match_rules);
        std::fs::write(&configuration, text).map_err(bad_folder)?;
        let broker = spawn(program, &folder, &log)?;
        let address = address_of(&socket);
        let mut bus = Self {
            folder,
            address,
            broker,
            program: program.into(),
        };
        bus.wait_for(&socket, &log).await?;
        Ok(bus)
    }

    /// The broker dies: nobody is told, and no client of it ever recovers its connection.
    pub fn kill(&mut self) {
        // Failure means that it is gone already, which is what we want.
        let _ = self.broker.kill();
        let _ = self.broker.wait();
    }

    /// After [`PrivateBus::kill`], a new broker at the same address; nobody is on it.
    ///
    /// # Errors
    /// See [`BusError`].
    pub async fn revive(&mut self) -> Result<(), BusError> {
        self.kill();
        let log = self.folder.join("bus.log");
        let socket = self.folder.join("bus");
        remove(&socket);
        self.broker = spawn(&self.program, &self.folder, &log)?;
        self.wait_for(&socket, &log).await
    }

    /// What goes into `DBUS_SYSTEM_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The broker that was found.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    async fn wait_for(&mut self, socket: &Path, log: &Path) -> Result<(), BusError> {
        let deadline = Instant::now() + START_LIMIT;
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            let gone = self.broker.try_wait().ok().flatten().is_some();
            if gone || Instant::now() > deadline {
                let words = std::fs::read_to_string(log).unwrap_or_default();
                let said = words.lines().last().unwrap_or("nothing").into();
                let program = self.program.clone();
                return Err(BusError::NotListening { program, said });
            }
            tokio::time::sleep(START_POLL).await;
        }
        Ok(())
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        self.kill();
        for name in ["bus", "bus.conf", "bus.log"] {
            remove(&self.folder.join(name));
        }
    }
}

fn spawn(program: &Path, folder: &Path, log: &Path) -> Result<Child, BusError> {
    let bad_folder = |error| BusError::Folder(folder.into(), error);
    let output = std::fs::File::create(log).map_err(bad_folder)?;
    Command::new(program)
        .arg(format!(
            "--config-file={}",
            folder.join("bus.conf").display()
        ))
        .args(["--nofork", "--nopidfile"])
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(bad_folder)?)
        .stderr(output)
        .spawn()
        .map_err(|source| BusError::Start {
            program: program.into(),
            source,
        })
}

fn remove(path: &Path) {
    // A file that is not there is as good as removed; any other trouble shows when it is made anew.
    let _ = std::fs::remove_file(path);
}

fn address_of(socket: &Path) -> String {
    format!("unix:path={}", socket.display())
}

fn find_broker() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("dbus-daemon"))
        .find(|file| file.is_file())
}

/// Everybody may own every name and talk to everybody: the socket's folder is the protection.
fn configuration_text(socket: &Path, match_rules: Option<u32>) -> String {
    let limits = match_rules.map_or_else(String::new, |most| {
        format!(r#"<limit name="max_match_rules_per_connection">{most}</limit>"#)
    });
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow receive_type="signal"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/></policy>{limits}</busconfig>
"#,
        socket.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_broker_that_ends_is_quoted_and_one_that_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = PrivateBus::start_with(Path::new("/bin/cat"), folder.path()).await;
        let text = error.expect_err("cat is no broker").to_string();
        assert!(
            text.contains("cat did not listen") && text.contains("--help"),
            "{text}"
        );
        let error = PrivateBus::start_with(Path::new("/no/such/broker"), folder.path()).await;
        assert!(matches!(error, Err(BusError::Start { .. })));
        assert!(
            BusError::NoBroker
                .to_string()
                .contains("apt-get install dbus-daemon")
        );
    }
}
