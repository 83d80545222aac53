//! Gathers the facts for the report. What cannot be found out is a fact, too: nothing here fails.
//!
//! Must not know: what a fact means.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use proto::cert::peer_identity;
use proto::clock::Clock;
use proto::text::host_port;
use proto::tls::ALPN_HTTP1;
use rustls::CertificateError;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vitals::{Span, Time};

use super::judge::{Door, Folder, Reached};
use crate::ble::btleplug::probe::{Probe, probe};
use crate::config::{Config, ConfigError, UplinkKind};
use crate::enrol::client_config;
use crate::identity::{Identity, IdentityDir, IdentityError};

/// Real time for each step of a call.
const STEP: Duration = Duration::from_secs(10);
/// The head of an answer is shorter than this.
const HEAD: u64 = 8192;
/// Folders inside the agent's folder that are looked into for owners.
const INSIDE: [&str; 2] = ["identity", "outbox"];

pub(super) fn config(dir: &Path) -> Result<Config, ConfigError> {
    Config::load(dir)
}

pub(super) fn identity(dir: &Path) -> Result<Identity, IdentityError> {
    IdentityDir::of(dir).load()
}

pub(super) fn not_after(identity: &Identity) -> Option<Time> {
    let leaf = identity.chain.first()?;
    Some(peer_identity(leaf).ok()?.not_after)
}

pub(super) fn free(dir: &Path) -> Result<u64, String> {
    fs4::available_space(dir).map_err(|error| error.to_string())
}

/// Damaged stores: those that still hold something to fetch, and those that were searched.
pub(super) fn set_aside(dir: &Path) -> (usize, usize) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    let count = |kind: &str| {
        let of_kind = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with(kind);
        names.iter().filter(of_kind).count()
    };
    (count("salvage-"), count("corrupt-"))
}

/// True if an agent holds the folder's lock.
pub(super) fn is_running(dir: &Path) -> bool {
    // Opened for reading: asking makes no lock file.
    File::open(dir.join("agent.lock"))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

pub(super) fn folder(dir: &Path) -> Folder {
    let mut found = Folder {
        path: dir.display().to_string(),
        ..Folder::default()
    };
    let about = match fs::metadata(dir) {
        Ok(about) => about,
        Err(error) => {
            found.trouble = error.to_string();
            return found;
        }
    };
    // Linux shows whose process this is; elsewhere the question stays open.
    let me = fs::metadata("/proc/self").map_or(about.uid(), |this| this.uid());
    found.is_foreign = me != 0 && me != about.uid();
    if found.is_foreign {
        return found;
    }
    found.is_private = about.mode() & 0o077 == 0;
    let inside = INSIDE.iter().map(|name| dir.join(name));
    for place in std::iter::once(dir.to_owned()).chain(inside) {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let (Ok(file), path) = (entry.metadata(), entry.path()) else {
                continue;
            };
            let name = path.strip_prefix(dir).unwrap_or(&path).display();
            if file.uid() != about.uid() {
                found.strangers.push(name.to_string());
            }
            if place.ends_with("identity") && file.mode() & 0o077 != 0 {
                found.is_private = false;
            }
        }
    }
    found.strangers.sort();
    let proof = dir.join(".doctor");
    if let Err(error) = fs::write(&proof, b"can be written").and_then(|()| fs::remove_file(&proof))
    {
        found.trouble = format!("it cannot be written: {error}");
    }
    found
}

pub(super) async fn radio(wanted: Option<&str>) -> Probe {
    probe(wanted).await
}

/// True if a switch of the machine has turned Bluetooth off.
pub(super) fn is_blocked() -> bool {
    let switches = fs::read_dir("/sys/class/rfkill")
        .into_iter()
        .flatten()
        .flatten();
    let read = |path: &Path, name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
    switches.map(|switch| switch.path()).any(|switch| {
        read(&switch, "type").trim() == "bluetooth"
            && (read(&switch, "soft").trim() == "1" || read(&switch, "hard").trim() == "1")
    })
}

/// Calls the doors that this agent uses.
pub(super) async fn centre(identity: &Identity, config: &Config, clock: Clock) -> Vec<Door> {
    let grpc = config.grpc_address.as_ref();
    let grpc = grpc.unwrap_or(&identity.grpc_address);
    let mut doors = vec![call("centre", grpc, true, identity, clock).await];
    if config.uplink.kinds().any(|kind| kind == UplinkKind::Mqtt) {
        let mqtt = config.mqtt_address.as_ref();
        let mqtt = mqtt.unwrap_or(&identity.mqtt_address);
        doors.push(call("broker", mqtt, false, identity, clock).await);
    }
    doors
}

async fn call(
    name: &'static str,
    address: &str,
    speaks_http: bool,
    identity: &Identity,
    clock: Clock,
) -> Door {
    let mut door = Door {
        name,
        address: address.to_owned(),
        reached: Reached::Trusted,
        clock_offset: None,
    };
    match connect(address, speaks_http, identity, clock).await {
        Err(reached) => door.reached = reached,
        Ok(stream) if speaks_http => match ask_time(stream, address).await {
            // A test clock is not the machine's, and the answer's is.
            Ok(told) if clock.describe().is_empty() => {
                door.clock_offset = told.map(|told| told.since(clock.now()));
            }
            Ok(_) => {}
            Err(error) => door.reached = Reached::NoTls(error.to_string()),
        },
        Ok(_) => {}
    }
    door
}

async fn connect(
    address: &str,
    speaks_http: bool,
    identity: &Identity,
    clock: Clock,
) -> Result<TlsStream<TcpStream>, Reached> {
    let (host, port) = host_port(address).ok_or(Reached::NoAddress)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Reached::NoAddress)?;
    let nowhere = |error: io::Error| Reached::Nowhere(error.to_string());
    let late = |_| Reached::Nowhere(format!("no answer within {} s", STEP.as_secs()));
    let tcp = timeout(STEP, TcpStream::connect((host, port)))
        .await
        .map_err(late)?
        .map_err(nowhere)?;
    let mut tls =
        client_config(identity, clock).map_err(|error| Reached::NoTls(error.to_string()))?;
    if speaks_http {
        tls.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    }
    let shaken = timeout(STEP, TlsConnector::from(Arc::new(tls)).connect(name, tcp)).await;
    let silent = |_| Reached::NoTls(format!("no answer within {} s", STEP.as_secs()));
    shaken.map_err(silent)?.map_err(|error| sort(&error))
}

/// Why there was no handshake.
fn sort(error: &io::Error) -> Reached {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(why)) = cause else {
        return Reached::NoTls(error.to_string());
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other flaw is one")]
    match why {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Reached::WrongTime,
        other => Reached::Stranger(other.to_string()),
    }
}

/// The time that the centre's HTTP server puts into every answer, whatever the answer is.
async fn ask_time(mut stream: TlsStream<TcpStream>, host: &str) -> io::Result<Option<Time>> {
    let question = format!("HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = timeout(STEP, async {
        stream.write_all(question.as_bytes()).await?;
        let mut head = Vec::new();
        let mut stream = stream.take(HEAD);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                break;
            }
        }
        io::Result::Ok(head)
    });
    let head = answer.await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(date_of(&String::from_utf8_lossy(&head)))
}

fn date_of(head: &str) -> Option<Time> {
    let date = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then_some(value.trim())
    })?;
    let told = httpdate::parse_http_date(date).ok()?;
    let since = told.duration_since(UNIX_EPOCH).ok()?;
    let seconds = i64::try_from(since.as_secs()).ok()?;
    // Whole seconds are cut off: half a second is the best guess.
    Some(Time::ZERO + Span::from_secs(seconds) + Span::from_millis(500))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_date_of_an_answer() {
        let head = "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert_eq!(
            date_of(head),
            Some(Time::from_micros(784_111_777_500_000)),
            "the example of RFC 9110"
        );
        assert_eq!(date_of("HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(date_of("date: yesterday\r\n"), None);
    }

    #[test]
    fn a_folder_is_seen_as_it_is() {
        let parent = tempfile::tempdir().expect("a folder");
        let missing = folder(&parent.path().join("none"));
        assert!(!missing.trouble.is_empty());
        let dir = parent.path().join("agent");
        crate::identity::private_dir(&dir.join("identity")).expect("made");
        fs::write(dir.join("identity/key.pem"), "k").expect("written");
        let mode = |path: &str, mode| {
            fs::set_permissions(dir.join(path), fs::Permissions::from_mode(mode)).expect("set");
        };
        mode("identity/key.pem", 0o600);
        let found = folder(&dir);
        assert!(found.is_private && found.trouble.is_empty() && found.strangers.is_empty());
        mode("identity/key.pem", 0o640);
        assert!(!folder(&dir).is_private, "the key can be read by others");
        mode("identity/key.pem", 0o600);
        mode("", 0o755);
        assert!(!folder(&dir).is_private);
    }

    #[test]
    fn an_agent_is_told_from_a_leftover_lock_file() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(!is_running(dir.path()));
        let lock = File::create(dir.path().join("agent.lock")).expect("made");
        assert!(!is_running(dir.path()), "nobody holds it");
        lock.try_lock().expect("free");
        assert!(is_running(dir.path()));
    }
}
