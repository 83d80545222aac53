//! Gathers the facts for the report. What cannot be found out is a fact, too: nothing here fails.
//!
//! Must not know: what a fact means.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use proto::clock::Clock;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use vitals::Time;

use super::judge::Found;
use crate::ca::{self, Authority};
use crate::config::{Config, ConfigError};
use crate::dir::{self, CentreDir};
use crate::ingest::free_bytes;
use crate::journal;
use crate::vault::Vault;

/// A journal up to this size is looked at page by page; a larger one takes too long for a person who waits.
const LOOKED_AT: u64 = 1 << 30;

pub(super) fn config(dir: &CentreDir) -> Result<Config, ConfigError> {
    let text = fs::read_to_string(dir.config());
    Config::parse(&text.map_err(|error| ConfigError::Toml(error.to_string()))?)
}

/// Why the folder cannot be used; the first thing found.
pub(super) fn folder(dir: &CentreDir) -> Option<String> {
    let root = match fs::metadata(dir.root()) {
        Ok(root) => root,
        Err(error) => return Some(format!("{}: {error}", dir.root().display())),
    };
    if root.mode() & 0o077 != 0 {
        return Some(format!("others can read {}", dir.root().display()));
    }
    let folders = [
        dir.root().to_owned(),
        dir.ca(),
        dir.vault(),
        dir.store(),
        dir.operator(),
    ];
    let strange = |path: &Path| {
        let mut files = fs::read_dir(path).into_iter().flatten().flatten();
        files.find(|file| file.metadata().is_ok_and(|file| file.uid() != root.uid()))
    };
    let strange = folders.iter().find_map(|folder| strange(folder))?;
    let path = strange.path();
    Some(format!(
        "{} belongs to another user than the folder does",
        path.display()
    ))
}

pub(super) fn free(dir: &CentreDir) -> Result<u64, String> {
    free_bytes(&dir.store()).map_err(|error| format!("free space is unknown: {error}"))
}

pub(super) fn journal_bytes(dir: &CentreDir) -> u64 {
    fs::metadata(dir.journal()).map_or(0, |file| file.len())
}

/// What is missing, damaged or exposed.
pub(super) fn keys(dir: &CentreDir, clock: Clock) -> Vec<String> {
    let said = |what: &str, error: &dyn std::error::Error| format!("{what}: {error}");
    let mut broken = Vec::new();
    if let Err(error) = Authority::open(dir, clock) {
        broken.push(said("authority", &error));
    }
    if let Err(error) = Vault::open_to_read(&dir.vault()) {
        broken.push(said("vault", &error));
    }
    if let Err(error) = ca::command_key(dir) {
        broken.push(said("command key", &error));
    }
    match dir::read_secret(&dir.serve_key()) {
        Ok(key) if key.len() == 32 => {}
        Ok(_) => broken.push("serve.key does not hold 32 bytes".into()),
        Err(error) => broken.push(said("serve key", &error)),
    }
    broken
}

/// Whose certificate, and its end.
pub(super) fn certificates(dir: &CentreDir) -> impl Iterator<Item = (&'static str, Option<Time>)> {
    let end = |der: &[u8]| Some(proto::cert::peer_identity(der).ok()?.not_after);
    let der = |path: &Path| end(&fs::read(path).ok()?);
    let pem = |path: &Path| end(&CertificateDer::from_pem_file(path).ok()?);
    [
        ("the authority's", der(&dir.ca().join("ca.der"))),
        ("the centre's own", der(&dir.ca().join("server.der"))),
        ("the operator's", pem(&dir.operator().join("cert.pem"))),
    ]
    .into_iter()
}

pub(super) fn journal(dir: &CentreDir) -> Result<Found, String> {
    let examined =
        journal::examine(&dir.journal(), LOOKED_AT).map_err(|error| error.to_string())?;
    Ok(Found {
        entries: examined.next.0 - 1,
        last_known: examined.last_known,
        is_sound: examined.is_sound,
    })
}
