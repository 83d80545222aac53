//! `init`: everything that a centre needs before its first start.
//!
//! Invariant: keys that exist are kept; only `config.toml` that does not exist is written. Must not know: journal.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use proto::cert::Role;
use proto::clock::Clock;
use proto::seal::crypto;

use super::certificate;
use crate::admin::fingerprint;
use crate::ca::Authority;
use crate::config::Config;
use crate::dir::{self, CentreDir};
use crate::vault::Vault;

/// Makes what is missing.
pub(super) fn init(dir: &CentreDir, config: &Config, operator: &str, clock: Clock) -> Result<()> {
    let operator = certificate::name_of("--operator", operator)?;
    // What would be written must also be readable: a wrong name is told now and not at the first start.
    Config::parse(&config.to_text())?;
    dir.create()?;
    if !dir.config().exists() {
        dir::write_private(&dir.config(), config.to_text().as_bytes())?;
    }
    Vault::create(&dir.vault())?;
    if !dir.serve_key().exists() {
        dir::write_private(&dir.serve_key(), &crypto::random::<32>())?;
    }
    Authority::create(dir, clock)?;
    let authority = Authority::open(dir, clock)?;
    let folder = dir.operator();
    if !folder.join("cert.pem").exists() {
        let person = authority.person(operator, Role::Operator)?;
        certificate::write(&folder, &person, authority.ca())?;
    }
    let root = dir.root().display();
    let mut out = std::io::stderr();
    writeln!(
        out,
        "centre in {root}\nCA fingerprint (SHA-256) {}\nnext: vitaltwin-aggregator --dir {root} run",
        fingerprint(&authority.fingerprint())
    )
    .context("standard error")
}
