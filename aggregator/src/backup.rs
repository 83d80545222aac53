//! Copies of a centre that go on as a centre: made while it works, restored into a new directory.
//!
//! A backup holds everything but the patients' keys: settings, the centre's own keys, the journal, the snapshots, and
//! `backup.json`, which says what it is and the SHA-256 of each file. The vault is copied apart, to another place with
//! another life: only both together can be read.
//!
//! Invariants: the copy of the journal is of one moment, and of no earlier one than the snapshots'; a backup is
//! complete when its `backup.json` is there; nothing is restored over a centre, nor from files that are not those
//! that were written; a restored centre begins a new epoch, and none that was broken off before goes on. Must not know: what the files hold.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use proto::seal::crypto::Sha256;
use serde::{Deserialize, Serialize};

use crate::dir::{self, CentreDir};
use crate::journal;
use crate::snapshot;
use crate::vault;

/// Version of `backup.json` and of what it names.
const FORMAT: u32 = 1;
const MANIFEST: &str = "backup.json";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file.
    pub format: u32,
    /// The release that made it.
    pub program: String,
    /// `centre` or `vault`.
    pub of: String,
    /// The last entry of the journal; 0 for a vault.
    #[serde(default)]
    pub position: u64,
    /// Its known time, microseconds since the Unix epoch.
    #[serde(default)]
    pub known_us: i64,
    /// SHA-256 of each file, hexadecimal, by its path.
    pub files: BTreeMap<String, String>,
}

/// Copies a centre, and its vault if `vault` says where. It may be running.
///
/// # Errors
/// When a place is taken already, or a file cannot be read or written. What was written is no backup then.
pub fn backup(from: &CentreDir, to: &Path, vault: Option<&Path>) -> Result<Manifest> {
    if let Some(vault) = vault {
        anyhow::ensure!(
            !vault.starts_with(to) && !to.starts_with(vault),
            "the vault's backup must not lie with the journal's: give --vault another place"
        );
    }
    make(to)?;
    let mut files = Files::default();
    for path in [from.config(), from.command_key(), from.serve_key()] {
        files.copy(from.root(), &path, to)?;
    }
    if from.push_key().exists() {
        files.copy(from.root(), &from.push_key(), to)?;
    }
    for file in list(&from.ca())? {
        files.copy(from.root(), &file, to)?;
    }
    make(&to.join("store"))?;
    // The journal last: it holds everything that the snapshots were made of.
    if from.snapshots().exists() {
        let copy = to.join("store/snapshots.db");
        snapshot::copy(&from.snapshots(), &copy).context("the snapshots")?;
        files.note(to, &copy)?;
    }
    let copy = to.join("store/journal.db");
    journal::copy(&from.journal(), &copy).context("the journal")?;
    files.note(to, &copy)?;
    let (position, known) = journal::last(&copy)?;
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").into(),
        of: "centre".into(),
        position: position.0,
        known_us: known.as_micros(),
        files: files.0,
    };
    if let Some(to) = vault {
        // After the journal: it holds every key that an entry there needs.
        make(to)?;
        let mut files = Files::default();
        files.copy(&from.vault(), &from.vault().join("kek"), to)?;
        let copy = to.join("vault.db");
        vault::copy(&from.vault().join("vault.db"), &copy).context("the vault")?;
        files.note(to, &copy)?;
        let manifest = Manifest {
            of: "vault".into(),
            position: 0,
            known_us: 0,
            files: files.0,
            ..manifest.clone()
        };
        finish(to, &manifest)?;
    }
    finish(to, &manifest)?;
    Ok(manifest)
}

/// Puts a backup and its vault into a directory that holds no centre. The new epoch is begun by who calls.
///
/// # Errors
/// When the directory is a centre, a backup is not complete, damaged, or made by a newer release.
pub fn restore(from: &Path, vault: &Path, to: &CentreDir) -> Result<Manifest> {
    anyhow::ensure!(
        !to.restoring().exists(),
        "a restore into {} was broken off: remove that directory, and restore again",
        to.root().display()
    );
    anyhow::ensure!(
        !to.journal().exists() && !to.vault().join("kek").exists(),
        "{} is a centre already: restore into an empty directory, and put that one aside",
        to.root().display()
    );
    let manifest = read(from, "centre")?;
    let keys = read(vault, "vault")?;
    to.create()?;
    dir::write_private(&to.restoring(), b"a backup is being made a centre of\n")?;
    for name in manifest.files.keys() {
        put(from, name, &to.root().join(name))?;
    }
    for name in keys.files.keys() {
        put(vault, name, &to.vault().join(name))?;
    }
    Ok(manifest)
}

/// A backup's own words, once all its files are there and are those that were written.
fn read(from: &Path, of: &str) -> Result<Manifest> {
    let path = from.join(MANIFEST);
    let text = fs::read(&path)
        .with_context(|| format!("{}: this is no complete backup", path.display()))?;
    let found: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let format = found.get("format").and_then(serde_json::Value::as_u64);
    anyhow::ensure!(
        format.is_some_and(|format| format <= FORMAT.into()),
        "{} was written by a newer release: restore it with that one",
        path.display()
    );
    let manifest: Manifest =
        serde_json::from_value(found).with_context(|| path.display().to_string())?;
    anyhow::ensure!(
        manifest.of == of,
        "{} is a backup of a {}, not of a {of}",
        from.display(),
        manifest.of
    );
    for (name, sum) in &manifest.files {
        let plain = Path::new(name)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        anyhow::ensure!(plain, "{}: {name:?} is no file of a backup", path.display());
        let file = from.join(name);
        let found = sum_of(&file).with_context(|| file.display().to_string())?;
        anyhow::ensure!(
            found == *sum,
            "{} is damaged: take another backup",
            file.display()
        );
    }
    Ok(manifest)
}

/// What was copied, with its sums.
#[derive(Default)]
struct Files(BTreeMap<String, String>);

impl Files {
    fn copy(&mut self, root: &Path, path: &Path, to: &Path) -> Result<()> {
        let name = path.strip_prefix(root).context("a file of the centre")?;
        let copy = to.join(name);
        if let Some(folder) = copy.parent().filter(|folder| !folder.exists()) {
            make(folder)?;
        }
        let bytes = dir::read(path)?;
        dir::write_private(&copy, &bytes)?;
        self.note(to, &copy)
    }

    /// A copy that SQLite wrote is made durable and private here.
    fn note(&mut self, to: &Path, copy: &Path) -> Result<()> {
        let at = || copy.display().to_string();
        fs::set_permissions(copy, fs::Permissions::from_mode(0o600)).with_context(at)?;
        File::open(copy)
            .and_then(|file| file.sync_all())
            .with_context(at)?;
        let name = copy.strip_prefix(to).context("a file of the backup")?;
        let name = name.to_str().context("a plain name")?.to_owned();
        self.0.insert(name, sum_of(copy).with_context(at)?);
        Ok(())
    }
}

fn finish(to: &Path, manifest: &Manifest) -> Result<()> {
    let text = serde_json::to_vec_pretty(manifest)?;
    Ok(dir::write_private(&to.join(MANIFEST), &text)?)
}

fn put(from: &Path, name: &str, to: &Path) -> Result<()> {
    let at = || to.display().to_string();
    let mut bytes = File::open(from.join(name)).with_context(at)?;
    let mut copy = File::create_new(to).with_context(at)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o600)).with_context(at)?;
    io::copy(&mut bytes, &mut copy).with_context(at)?;
    copy.sync_all().with_context(at)?;
    Ok(dir::sync(to.parent().context("a folder")?)?)
}

/// A folder of ours that is new or empty.
fn make(folder: &Path) -> Result<()> {
    let at = || folder.display().to_string();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(at)?;
    anyhow::ensure!(
        fs::read_dir(folder).with_context(at)?.next().is_none(),
        "{} is not empty: give each backup a place of its own",
        folder.display()
    );
    Ok(())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let at = || folder.display().to_string();
    let files = fs::read_dir(folder).with_context(at)?;
    let files = files.map(|file| file.map(|file| file.path()));
    let mut files: Vec<_> = files.collect::<Result<_, _>>().with_context(at)?;
    files.retain(|file| file.is_file());
    files.sort();
    Ok(files)
}

fn sum_of(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let (mut file, mut hash) = (File::open(path)?, Sha256::default());
    let mut part = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            break;
        }
        hash.update(&part[..read]);
    }
    Ok(hash
        .finish()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests;
