//! Backups and what is made of them.
//!
//! Must not know: what the files hold.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use proto::clock::Clock;

use super::{print, settings, show};
use crate::app::Core;
use crate::backup;
use crate::dir::CentreDir;
use crate::lock::StoreLock;

/// Copies the centre; prints the last position in the copy.
pub(super) fn backup(dir: &CentreDir, to: &Path, vault: Option<&Path>) -> Result<()> {
    let manifest = backup::backup(dir, to, vault)?;
    if vault.is_none() {
        let hint = "the patients' keys are not in it: nothing of it can be read without a backup of the vault (--vault)";
        writeln!(std::io::stderr(), "{hint}").context("standard error")?;
    }
    print(&format!("position {}\n", manifest.position))
}

/// Makes a centre of a backup, in a new epoch.
pub(super) async fn restore(
    dir: &CentreDir,
    from: &Path,
    vault: &Path,
    clock: Clock,
) -> Result<()> {
    let manifest = backup::restore(from, vault, dir)?;
    let lock = StoreLock::take(&dir.lock())?;
    let core = Core::open(lock, dir.clone(), settings(dir)?, clock)?;
    let (epoch, first) = core.new_epoch().await?;
    print(&show::restored(&manifest, epoch, first))
}
